# Pictures of covariance matrices: heat maps, and leading eigenvectors.

#' Pictures of covariance matrices
#'
#' `plot_covariances()`: heat maps, each matrix divided by its largest variance, so that all share one colour scale
#' from -1 to 1. `plot_eigenvectors()`: bars of the leading eigenvectors, of length one, each with the share of
#' the variance (of the trace) that it explains.
#'
#' @param Ulist A named list of covariance matrices, one matrix, or a fit of [mash()] or [deconvolve()], of which
#'   those with the largest weights come first and those without weight are left out.
#' @param ncol Number of panels in a row; chosen if `NULL`.
#' @param max_matrices Draw at most so many, the first ones (for a fit: with the largest weights). What was left
#'   out is said below the picture.
#' @param cluster Put similar conditions side by side (average linkage of one minus the mean correlation, by the
#'   weights of a fit)? Otherwise
#'   they are in the order of the columns.
#' @param n_vectors Number of eigenvectors of each matrix, largest eigenvalue first.
#' @return A ggplot object.
#' @section Errors: `covmash_error_ulist` if a matrix is not a covariance matrix; `covmash_error_package` if ggplot2
#'   is not installed.
#' @seealso [mash_plots]
#' @export
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' data <- mash_set_data(matrix(rnorm(20), 5, 4))
#' plot_covariances(cov_canonical(data))
#' plot_eigenvectors(cov_pca(data, 2))
plot_covariances <- function(Ulist, ncol = NULL, max_matrices = 36, cluster = FALSE) {
  need_ggplot2()
  check_flag(cluster, "cluster")
  given <- matrices_to_draw(Ulist, ncol, max_matrices)
  heat_panels(lapply(normalize_Ulist(given$Ulist), within_one), given, cluster, "Scaled\ncovariance", ncol)
}

#' @rdname plot_covariances
#' @export
plot_eigenvectors <- function(Ulist, n_vectors = 1, max_matrices = 4, ncol = NULL) {
  need_ggplot2()
  n_vectors <- whole_number(n_vectors, "n_vectors", 1)
  vector_panels(matrices_to_draw(Ulist, ncol, max_matrices), n_vectors, ncol)
}

# Checked dense matrices, their weights if there are any, and what was left out.
matrices_to_draw <- function(Ulist, ncol, max_matrices) {
  max_matrices <- how_many(max_matrices, 36, "max_matrices")
  if (!is.null(ncol)) check_whole(ncol, "ncol", 1)
  weights <- NULL
  if (inherits(Ulist, c("mash_fit", "deconvolution", "mash_prior"))) {
    check_prior_fit(Ulist, "Ulist")
    weights <- get_estimated_pi(Ulist)
    if (Ulist$fitted_g$usepointmass) weights <- weights[-1]
    Ulist <- Ulist$fitted_g$Ulist
    names(weights) <- names(Ulist)
  }
  if (is.matrix(Ulist) || is_factor_cov(Ulist)) {
    Ulist <- list(U = Ulist)
  }
  if (is.list(Ulist)) {
    Ulist <- lapply(Ulist, function(U) if (is_factor_cov(U)) as.matrix(U) else U)
  }
  first <- if (is.list(Ulist) && length(Ulist) > 0L) Ulist[[1]]
  Ulist <- check_ulist(Ulist, if (is.matrix(first)) nrow(first) else 1L)
  all <- length(Ulist)
  which <- "the first"
  if (!is.null(weights)) {
    used <- order(-weights)
    # Matrices without weight say nothing about the effects, unless there are no others.
    if (any(weights > smallest_weight)) used <- used[weights[used] > smallest_weight]
    weights <- weights[used]
    Ulist <- Ulist[used]
    which <- "those with the largest weights"
  }
  kept <- seq_len(min(length(Ulist), max_matrices))
  list(
    Ulist = Ulist[kept], weights = if (!is.null(weights)) unname(weights[kept]),
    note = shown_of(length(kept), all, "matrices", which)
  )
}

within_one <- function(x) pmax(pmin(x, 1), -1)

# 0 where there is no variance.
correlation_or_zero <- function(U) {
  sd <- sqrt(diag(U))
  within_one(U / ifelse(sd > 0, sd, 1) / rep(ifelse(sd > 0, sd, 1), each = nrow(U)))
}

# Canonical matrices have no dimnames, those from data have: the first names found serve all panels.
common_labels <- function(Ulist) {
  named <- !vapply(Ulist, function(U) is.null(colnames(U)), logical(1))
  plot_labels(Ulist[[if (any(named)) which(named)[1] else 1L]])
}

# Conditions in the order that suits the mean correlation of all matrices, by their weights if they have any.
common_order <- function(Ulist, weights = NULL) {
  if (is.null(weights)) weights <- rep(1, length(Ulist))
  parts <- Map(function(U, w) w * correlation_or_zero(unname(U)), Ulist, weights / sum(weights))
  cluster_order(Reduce(`+`, parts))
}

# How many panels in a row.
panel_columns <- function(n, ncol) if (is.null(ncol)) ggplot2::wrap_dims(n)[2] else min(ncol, n)

# Names of panels cut and shrunk to their width: a labeller, and a theme.
panel_titles <- function(titles, columns, width = 420) {
  room <- width / columns
  longest <- max(nchar(unlist(strsplit(titles, "\n", fixed = TRUE))), 1)
  size <- max(5.5, min(9, room / (0.6 * longest)))
  cut <- function(x) {
    vapply(strsplit(x, "\n", fixed = TRUE), function(lines) {
      paste(shorten(lines, max(6, floor(room / (0.6 * size)))), collapse = "\n")
    }, "")
  }
  list(
    labeller = function(labels) lapply(labels, function(x) cut(as.character(x))),
    theme = ggplot2::theme(strip.text = ggplot2::element_text(size = size, margin = ggplot2::margin(2, 0, 2, 0)))
  )
}

weight_words <- function(weights) if (!is.null(weights)) sprintf("%.1f %%", 100 * weights)

heat_panels <- function(values, given, cluster, legend, ncol = NULL, title = NULL) {
  n <- length(values)
  R <- nrow(values[[1]])
  labels <- common_labels(given$Ulist)
  order <- if (cluster) labels[common_order(given$Ulist, given$weights)] else labels
  titles <- names(values)
  if (!is.null(given$weights)) titles <- paste0(titles, "\n", weight_words(given$weights))
  cells <- do.call(rbind, lapply(seq_len(n), function(k) {
    U <- values[[k]]
    dimnames(U) <- list(labels, labels)
    data.frame(matrix = titles[k], heat_cells(U, order))
  }))
  cells$matrix <- factor(cells$matrix, levels = titles)
  columns <- panel_columns(n, ncol)
  side <- panel_side(n, columns)
  axes <- if (n == 1L) heat_axes(order) else panel_axes(order, side)
  # Names on the axes take from the panels.
  taken <- if (n > 1L && is.null(axes$note)) 0.55 * min(8, label_size(R, side)) * min(12, max(nchar(order))) else 0
  strips <- panel_titles(titles, columns, columns * side - taken)
  ggplot2::ggplot(cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)) +
    ggplot2::geom_tile() +
    ggplot2::facet_wrap(ggplot2::vars(.data$matrix), ncol = ncol, labeller = strips$labeller) +
    fill_signed(1, legend) +
    ggplot2::coord_equal() +
    ggplot2::labs(
      title = title, x = NULL, y = NULL,
      caption = notes(given$note, if (cluster && R > 2) "Conditions are clustered.", axes$note, width = heat_width)
    ) +
    theme_heat(R) +
    ggplot2::theme(
      panel.border = ggplot2::element_rect(fill = NA, colour = "grey80"), panel.spacing = grid::unit(4, "pt")
    ) + strips$theme + axes$layers
}

# The side of n square panels, in points.
panel_side <- function(n, columns) min(420 / columns, 270 / ceiling(n / columns)) - 16

# One panel has the axes of a heat map; of several, small ones, only those whose names can be read.
panel_axes <- function(order, side) {
  R <- length(order)
  if (R * 5.5 > side) {
    return(list(
      layers = list(ggplot2::theme(axis.text.x = ggplot2::element_blank(), axis.text.y = ggplot2::element_blank())),
      note = paste0("The ", R, " conditions are not labelled in panels of this size.")
    ))
  }
  size <- min(8, label_size(R, side))
  list(layers = list(
    if (any(nchar(order) > 12)) {
      list(
        ggplot2::scale_x_discrete(labels = function(x) shorten(x, 12)),
        ggplot2::scale_y_discrete(labels = function(x) shorten(x, 12))
      )
    },
    ggplot2::theme(
      axis.text.y = ggplot2::element_text(size = size),
      axis.text.x = ggplot2::element_text(size = size, angle = 90, hjust = 1, vjust = 0.5)
    )
  ))
}

# The leading eigenvectors of one matrix in rows, with their shares of the variance; the sum is positive.
leading_vectors <- function(U, n_vectors) {
  e <- eigen(U, symmetric = TRUE)
  values <- pmax(e$values, 0)
  shown <- seq_len(min(n_vectors, sum(values > 1e-8 * max(values))))
  lapply(shown, function(i) {
    v <- e$vectors[, i]
    list(vector = v * (if (sum(v) < -1e-12) -1 else 1), share = values[i] / sum(values), number = i)
  })
}

vector_panels <- function(given, n_vectors = 1, ncol = NULL,
                          title = "Leading eigenvectors of the covariance matrices") {
  zero <- vapply(given$Ulist, is_zero_covariance, NA)
  Ulist <- given$Ulist[!zero]
  if (length(Ulist) == 0L) {
    return(empty_plot(title, "No matrix has a variance above 0"))
  }
  labels <- common_labels(Ulist)
  R <- length(labels)
  words <- weight_words(given$weights)[!zero]
  panels <- unlist(lapply(seq_along(Ulist), function(k) {
    lapply(leading_vectors(Ulist[[k]], n_vectors), function(one) {
      one$title <- paste0(
        names(Ulist)[k], if (!is.null(words)) paste0("\nweight ", words[k]), "\n",
        if (n_vectors > 1) paste0(ordinal(one$number), ": "), sprintf("%.0f %% of variance", 100 * one$share)
      )
      one
    })
  }), recursive = FALSE)
  titles <- make.unique(vapply(panels, `[[`, "", "title"))
  bars <- data.frame(
    matrix = factor(rep(titles, each = R), levels = titles),
    condition = factor(rep(labels, length(panels)), levels = rev(labels)),
    value = unlist(lapply(panels, `[[`, "vector"))
  )
  # Many conditions need the whole height.
  if (is.null(ncol) && R > 12) ncol <- min(length(panels), 6)
  columns <- panel_columns(length(panels), ncol)
  strips <- panel_titles(titles, columns, 380)
  rows <- axis_names(labels, points = 285 / ceiling(length(panels) / columns) - 35, width = 24)
  ggplot2::ggplot(bars, ggplot2::aes(x = .data$value, y = .data$condition, fill = .data$value > 0)) +
    ggplot2::geom_col(show.legend = FALSE, width = 0.8) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey40", linewidth = 0.3) +
    ggplot2::facet_wrap(ggplot2::vars(.data$matrix), ncol = ncol, scales = "free_x", labeller = strips$labeller) +
    ggplot2::scale_fill_manual(values = c(`FALSE` = plot_colours$low, `TRUE` = plot_colours$high)) +
    ggplot2::scale_x_continuous(breaks = inner_breaks) +
    ggplot2::labs(
      title = title, x = NULL, y = NULL,
      caption = notes(
        given$note, if (any(zero)) paste0(plural(sum(zero), "matrix", "matrices"), " without variance left out."),
        rows$note
      )
    ) +
    theme_rows() + strips$theme + rows$layers + ggplot2::theme(panel.spacing.x = grid::unit(10, "pt"))
}

# Zero and one round number on each side, well within the limits, so that labels of neighbours do not meet.
inner_breaks <- function(limits) {
  at <- c(1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
  at <- c(at[at <= 0.65 * max(abs(limits))], 0)[1]
  unique(c(-at, 0, at))
}
