#' Plots of data, fits and covariance matrices
#'
#' Drawn with ggplot2, which must be installed. `plot()` draws; `autoplot()`
#' (after `library(ggplot2)`) returns the plot, to be changed or saved.
#'
#' @param object,x A fit of [mash()], a result of [mash_1by1()] or a data object of
#'   [mash_set_data()].
#' @param type For a fit: `"weights"` (default), the estimated weight of each
#'   covariance matrix; `"sharing"`, a heat map of [get_pairwise_sharing()];
#'   `"effect"`, a forest plot of one effect across conditions.
#' @param effect Row number or name of the effect to draw with `type = "effect"`; the
#'   most significant one if `NULL`.
#' @param data The data object of the fit, to show the observed estimates (open
#'   circles) beside the posterior ones.
#' @param max_weights Draw at most so many matrices, the largest weights.
#' @param ... For `plot`: the arguments of `autoplot`. For `type = "sharing"`: those
#'   of [get_pairwise_sharing()]. Otherwise not used.
#' @return `autoplot`: a ggplot object. `plot`: the same, invisibly, after drawing it.
#' @details The forest plot shows posterior means with bars of 1.96 posterior
#'   standard deviations to each side, ordered by the mean; the fainter a bar, the
#'   larger its lfsr. The plot of a data object shows for each condition the
#'   middle half and the middle 98 per cent of the z-scores, with dashed lines where
#'   98 per cent would lie if there were no effects.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed.
#' @name mash_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 4, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' plot(fit)
#' plot(fit, type = "sharing")
#' plot(fit, type = "effect", effect = "effect_60", data = data)
NULL

# low and high: negative and positive, in every plot; told apart by the colour-blind too (ColorBrewer's RdBu).
plot_colours <- list(main = "#2b6ca3", other = "#9aa5b1", low = "#2166ac", high = "#b2182b")

need_ggplot2 <- function() {
  if (!requireNamespace("ggplot2", quietly = TRUE)) {
    abort_input(
      "Plots need the package ggplot2; install it with install.packages(\"ggplot2\").",
      class = "covmash_error_package"
    )
  }
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_fit <- function(object, type = c("weights", "sharing", "effect"),
                              effect = NULL, data = NULL, max_weights = 30,
                              ...) {
  need_ggplot2()
  type <- check_choice(type, c("weights", "sharing", "effect"), "type")
  switch(type,
    weights = plot_weights(object, max_weights),
    sharing = plot_sharing(get_pairwise_sharing(object, ...)),
    effect = plot_effect(object, effect, data)
  )
}

#' @rdname mash_plots
#' @export
plot.mash_fit <- function(x, ...) {
  draw(autoplot.mash_fit(x, ...))
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_1by1 <- function(object, effect = NULL, data = NULL, ...) {
  need_ggplot2()
  plot_effect(object, effect, data)
}

#' @rdname mash_plots
#' @export
plot.mash_1by1 <- function(x, ...) {
  draw(autoplot.mash_1by1(x, ...))
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_data <- function(object, ...) {
  need_ggplot2()
  plot_z(object)
}

#' @rdname mash_plots
#' @export
plot.mash_data <- function(x, ...) {
  draw(autoplot.mash_data(x, ...))
}

draw <- function(plot) {
  print(plot)
  invisible(plot)
}

# Text that fits when there are many conditions.
label_size <- function(n) {
  if (n <= 15) 10 else if (n <= 30) 8 else if (n <= 60) 6.5 else 4
}

# Every condition its own place on an axis, also those with the same name.
plot_labels <- function(x) make.unique(condition_labels(x))

theme_covmash <- function() {
  ggplot2::theme_minimal(base_size = 11) +
    ggplot2::theme(
      panel.grid.minor = ggplot2::element_blank(),
      plot.title.position = "plot"
    )
}

theme_heat <- function(n) {
  theme_covmash() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x = ggplot2::element_text(
        angle = 90, hjust = 1, vjust = 0.5, size = label_size(n)
      ),
      axis.text.y = ggplot2::element_text(size = label_size(n))
    )
}

plot_weights <- function(fit, max_weights) {
  check_whole(max_weights, "max_weights", 1)
  weights <- sort(get_estimated_pi(fit), decreasing = TRUE)
  weights <- first_few(weights[weights > 1e-4], max_weights)
  bars <- data.frame(
    matrix = factor(names(weights), levels = rev(names(weights))),
    weight = unname(weights),
    kind = ifelse(names(weights) == "null", "null", "covariance")
  )
  ggplot2::ggplot(
    bars, ggplot2::aes(x = .data$weight, y = .data$matrix, fill = .data$kind)
  ) +
    ggplot2::geom_col(width = 0.75, show.legend = FALSE) +
    ggplot2::geom_text(
      ggplot2::aes(label = formatC(.data$weight, digits = 3, format = "f")),
      hjust = -0.15, size = 3, colour = "grey30"
    ) +
    ggplot2::scale_fill_manual(
      values = c(null = plot_colours$other, covariance = plot_colours$main)
    ) +
    ggplot2::scale_x_continuous(
      expand = ggplot2::expansion(mult = c(0, 0.12))
    ) +
    ggplot2::labs(
      title = "Estimated weights of the covariance matrices",
      x = "Weight", y = NULL
    ) +
    theme_covmash() +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(),
      axis.text.y = ggplot2::element_text(size = label_size(nrow(bars)))
    )
}

# Similar conditions side by side.
cluster_order <- function(shared) {
  if (nrow(shared) < 3L || anyNA(shared)) {
    return(seq_len(nrow(shared)))
  }
  stats::hclust(stats::as.dist(1 - shared), method = "average")$order
}

plot_sharing <- function(shared) {
  labels <- plot_labels(shared)
  dimnames(shared) <- list(labels, labels)
  order <- labels[cluster_order(shared)]
  cells <- heat_cells(shared, order)
  plot <- ggplot2::ggplot(
    cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)
  ) +
    ggplot2::geom_tile(colour = if (nrow(shared) <= 20) "white" else NA) +
    ggplot2::scale_fill_viridis_c(
      limits = c(0, 1), option = "mako", direction = -1, na.value = "grey85",
      name = "Shared"
    ) +
    ggplot2::coord_equal() +
    ggplot2::labs(
      title = "Sharing of effects between conditions",
      subtitle = "Share of significant effects that agree",
      x = NULL, y = NULL
    ) +
    theme_heat(nrow(shared))
  if (nrow(shared) <= 12) {
    plot <- plot + ggplot2::geom_text(
      ggplot2::aes(
        label = ifelse(is.na(.data$value), "", sprintf("%.2f", .data$value))
      ),
      size = 3,
      colour = ifelse(!is.na(cells$value) & cells$value > 0.35, "white", "grey15")
    )
  }
  plot
}

# The cells of a square matrix as a data frame, first row at the top.
heat_cells <- function(x, order) {
  data.frame(
    row = factor(rep(rownames(x), times = ncol(x)), levels = rev(order)),
    column = factor(rep(colnames(x), each = nrow(x)), levels = order),
    value = as.vector(x)
  )
}

# The row a user means: one number or name, or the most significant.
resolve_effect <- function(m, effect) {
  means <- get_pm(m)
  if (is.null(effect)) {
    lfsr <- significance(m, 0.05, NULL, get_lfsr, FALSE)
    best <- which.min(lfsr)
    if (length(best) == 0L) {
      abort_input(
        "No observed estimate has an lfsr to choose an effect by; give `effect`.",
        class = "covmash_error_index"
      )
    }
    return((as.numeric(best) - 1) %% nrow(lfsr) + 1)
  }
  row <- resolve_index(effect, nrow(means), rownames(means), "effect", "effect")
  if (length(row) != 1L) {
    abort_input(
      "`effect` must choose one effect, not {length(row)}.",
      class = "covmash_error_index"
    )
  }
  row
}

# The row of the data that is the effect of that row of the results.
row_of_effect <- function(m, data, row) {
  means <- get_pm(m)
  label <- rownames(means)[row]
  if (is.null(label) || is.null(rownames(data$Bhat))) {
    match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
    return(row)
  }
  if (identical(rownames(data$Bhat), rownames(means))) {
    return(row)
  }
  match_effects(label, rownames(data$Bhat), 1L, nrow(data$Bhat), "effect")
}

effect_table <- function(m, row) {
  means <- get_pm(m)
  data.frame(
    condition = plot_labels(means),
    mean = means[row, ], sd = get_psd(m)[row, ], lfsr = get_lfsr(m)[row, ],
    row.names = NULL
  )
}

plot_effect <- function(m, effect, data = NULL, title = NULL,
                        xlab = "Effect (posterior mean +- 1.96 sd)",
                        ylab = NULL, labels = NULL,
                        colours = list(box = plot_colours$main, lines = plot_colours$main)) {
  row <- resolve_effect(m, effect)
  table <- effect_table(m, row)
  if (!is.null(labels)) {
    table$condition <- as.character(labels)
  }
  if (!is.null(data)) {
    data <- match_conditions(take_data(data), conditions_of(m))
    at <- row_of_effect(m, data, row)
    table$observed <- (data$Bhat * data$Shat_alpha)[at, ]
  }
  # Conditions without a posterior mean have no place on the axis.
  table <- table[order(table$mean, na.last = NA), ]
  table$condition <- factor(table$condition, levels = unique(table$condition))
  table$lower <- table$mean - 1.96 * table$sd
  table$upper <- table$mean + 1.96 * table$sd
  table$faint <- pmin(table$lfsr, 0.5)
  if (is.null(title)) {
    title <- if (is.null(rownames(get_pm(m)))) {
      paste("Effect", row)
    } else {
      rownames(get_pm(m))[row]
    }
  }
  plot <- ggplot2::ggplot(
    table, ggplot2::aes(x = .data$mean, y = .data$condition)
  ) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey50", linetype = "dashed") +
    ggplot2::geom_segment(
      ggplot2::aes(
        x = .data$lower, xend = .data$upper, yend = .data$condition,
        alpha = .data$faint
      ),
      colour = colours$lines, linewidth = 0.8
    ) +
    ggplot2::geom_point(
      ggplot2::aes(alpha = .data$faint),
      colour = colours$box, size = 2
    ) +
    ggplot2::scale_alpha_continuous(
      limits = c(0, 0.5), range = c(1, 0.25), name = "lfsr",
      breaks = c(0, 0.05, 0.25, 0.5),
      labels = c("0", "0.05", "0.25", ">= 0.5")
    ) +
    ggplot2::labs(title = title, x = xlab, y = ylab) +
    theme_covmash() +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(),
      axis.text.y = ggplot2::element_text(size = label_size(nrow(table)))
    )
  if (!is.null(data)) {
    plot <- plot +
      ggplot2::geom_point(
        data = table[!is.na(table$observed), ],
        ggplot2::aes(x = .data$observed), shape = 1, size = 1.8, colour = "grey35"
      ) +
      ggplot2::labs(caption = "Open circles: observed estimates")
  }
  plot
}

plot_z <- function(data) {
  data <- take_data(data, "x")
  z <- data$Bhat / data$Shat
  probs <- c(0.01, 0.25, 0.5, 0.75, 0.99)
  spread <- t(apply(z, 2, quantile, probs = probs, na.rm = TRUE, names = FALSE))
  table <- data.frame(
    condition = factor(plot_labels(z), levels = rev(plot_labels(z))),
    low = spread[, 1], q1 = spread[, 2], mid = spread[, 3], q3 = spread[, 4],
    high = spread[, 5], row.names = NULL
  )
  ends <- stats::qnorm(c(0.01, 0.99))
  ggplot2::ggplot(table, ggplot2::aes(y = .data$condition)) +
    ggplot2::geom_vline(xintercept = ends, colour = "grey50", linetype = "dashed") +
    # A condition without estimates keeps its line, empty.
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$low, xend = .data$high, yend = .data$condition),
      colour = plot_colours$main, linewidth = 0.5, na.rm = TRUE
    ) +
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$q1, xend = .data$q3, yend = .data$condition),
      colour = plot_colours$main, linewidth = 2, na.rm = TRUE
    ) +
    ggplot2::geom_point(
      ggplot2::aes(x = .data$mid), na.rm = TRUE,
      shape = 21, fill = "white", colour = plot_colours$main, size = 1.8
    ) +
    ggplot2::labs(
      title = "z-scores by condition",
      subtitle = "Median, middle half and middle 98 % (dashed: without effects)",
      x = "z-score", y = NULL
    ) +
    theme_covmash() +
    ggplot2::theme(
      panel.grid.major.y = ggplot2::element_blank(),
      axis.text.y = ggplot2::element_text(size = label_size(nrow(table)))
    )
}

#' Heat maps of covariance matrices
#'
#' One panel for each matrix, each divided by its largest variance, so that all
#' share one colour scale from -1 to 1.
#'
#' @param Ulist A named list of covariance matrices, one matrix, or a fit of [mash()].
#' @param ncol Number of panels in a row; chosen by ggplot2 if `NULL`.
#' @param max_matrices Draw at most so many, the first ones.
#' @return A ggplot object.
#' @section Errors: `covmash_error_ulist` if a matrix is not a covariance matrix.
#' @export
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' data <- mash_set_data(matrix(rnorm(20), 5, 4))
#' plot_covariances(cov_canonical(data))
plot_covariances <- function(Ulist, ncol = NULL, max_matrices = 36) {
  need_ggplot2()
  check_whole(max_matrices, "max_matrices", 1)
  if (!is.null(ncol)) {
    ncol <- whole_number(ncol, "ncol", 1)
  }
  if (inherits(Ulist, "mash_fit")) {
    check_fit(Ulist, "Ulist")
    Ulist <- Ulist$fitted_g$Ulist
  }
  if (is.matrix(Ulist) || is_factor_cov(Ulist)) {
    Ulist <- list(U = Ulist)
  }
  if (is.list(Ulist)) {
    Ulist <- lapply(Ulist, function(U) if (is_factor_cov(U)) as.matrix(U) else U)
  }
  first <- if (is.list(Ulist) && length(Ulist) > 0L) Ulist[[1]]
  R <- if (is.matrix(first)) nrow(first) else 1L
  Ulist <- normalize_Ulist(first_few(check_ulist(Ulist, R), max_matrices))
  labels <- common_labels(Ulist)
  cells <- do.call(rbind, lapply(names(Ulist), function(name) {
    U <- pmax(pmin(Ulist[[name]], 1), -1)
    dimnames(U) <- list(labels, labels)
    data.frame(matrix = name, heat_cells(U, labels))
  }))
  cells$matrix <- factor(cells$matrix, levels = names(Ulist))
  plot <- ggplot2::ggplot(
    cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)
  ) +
    ggplot2::geom_tile() +
    ggplot2::facet_wrap(ggplot2::vars(.data$matrix), ncol = ncol) +
    ggplot2::scale_fill_gradient2(
      low = plot_colours$low, mid = "white", high = plot_colours$high,
      limits = c(-1, 1), name = "Scaled\ncovariance"
    ) +
    ggplot2::coord_equal() +
    ggplot2::labs(x = NULL, y = NULL) +
    theme_heat(R) +
    ggplot2::theme(panel.border = ggplot2::element_rect(fill = NA, colour = "grey80"))
  # Labels of many conditions would be a blur in panels of this size.
  if (R > 12 && length(Ulist) > 1L) {
    plot <- plot + ggplot2::theme(
      axis.text.x = ggplot2::element_blank(), axis.text.y = ggplot2::element_blank()
    )
  } else if (length(Ulist) > 1L) {
    plot <- plot + ggplot2::theme(
      axis.text.x = ggplot2::element_text(angle = 90, hjust = 1, vjust = 0.5, size = 7),
      axis.text.y = ggplot2::element_text(size = 7)
    )
  }
  plot
}

# Canonical matrices have no dimnames, those from data have: the first names found
# serve all panels.
common_labels <- function(Ulist) {
  named <- !vapply(Ulist, function(U) is.null(colnames(U)), logical(1))
  plot_labels(Ulist[[if (any(named)) which(named)[1] else 1L]])
}

#' Forest plot of one effect
#'
#' Posterior mean and 1.96 posterior standard deviations to each side for one
#' effect, across conditions.
#'
#' @param m A fit of [mash()] or a result of [mash_1by1()].
#' @param i Row number or name of the effect.
#' @param xlab,ylab Axis labels.
#' @param ... `labels`: names of the conditions, in the order of the columns. `colors`: one
#'   colour, or a list with colours `box` (points) and `lines`, as rmeta's `meta.colors()` makes it.
#'   `xlim`: the range of effects shown. Anything else is ignored with a warning.
#' @return A ggplot object.
#' @section Differences from mashr: A ggplot2 plot instead of one of the rmeta
#'   package; conditions are labelled and ordered by their mean.
#' @seealso [mash_plots]
#' @concept meta-analysis
#' @export
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' mash_plot_meta(fit, get_significant_results(fit)[1])
mash_plot_meta <- function(m, i, xlab = "Effect size", ylab = "Condition", ...) {
  need_ggplot2()
  dots <- take_dots(list(...), c("labels", "colors", "xlim"), "mash_plot_meta()")
  R <- ncol(get_pm(m))
  if (!is.null(dots$labels) && length(dots$labels) != R) {
    abort_input(
      "`labels` must have one label for each of the {plural(R, 'condition')}, not {length(dots$labels)}.",
      class = "covmash_error_argument"
    )
  }
  colours <- meta_colours(dots$colors)
  plot <- plot_effect(m, i, xlab = xlab, ylab = ylab, labels = dots$labels, colours = colours)
  if (is.null(dots$xlim)) {
    return(plot)
  }
  if (!checkmate::test_numeric(dots$xlim, len = 2, finite = TRUE, any.missing = FALSE)) {
    abort_input("`xlim` must be two numbers, not {describe(dots$xlim)}.", class = "covmash_error_argument")
  }
  plot + ggplot2::coord_cartesian(xlim = dots$xlim)
}

# The colours of points and lines.
meta_colours <- function(colors) {
  if (is.null(colors)) {
    return(list(box = plot_colours$main, lines = plot_colours$main))
  }
  if (is.character(colors) && length(colors) == 1L) {
    colors <- list(box = colors, lines = colors)
  }
  one <- function(x) is.character(x) && length(x) >= 1L && !anyNA(x)
  if (!is.list(colors) || !one(colors$box) || !one(colors$lines)) {
    abort_input(
      "`colors` must be one colour, or a list with colours `box` and `lines`, not {describe(colors)}.",
      class = "covmash_error_argument"
    )
  }
  list(box = colors$box[1], lines = colors$lines[1])
}
