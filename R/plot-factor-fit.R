#' Plots of factor fits and of the choice of their number
#'
#' Drawn with ggplot2, which must be installed. `plot()` draws; `autoplot()` (after
#' `library(ggplot2)`) returns the plot.
#'
#' @param object,x A fit of [fit_factor_model()] or a result of [select_n_factors()].
#' @param type For a fit:
#'   * `"loadings"`: a heat map of the loadings of the standardised genes;
#'   * `"communality"`: how much of each gene's variance the factors explain;
#'   * `"residuals"`: a heat map of the residual correlations, see
#'   [residuals()][factor_residuals];
#'   * `"scree"`: eigenvalues of the observed correlation matrix, with those of parallel
#'   analysis if `selection` has them;
#'   * `"correlations"`: of the factors;
#'   * `"network"`: partial correlations of the genes under the model, see
#'   [partial_correlation_network()].
#' @param max_genes Draw at most so many genes: those with the largest communality, for
#'   `"residuals"` those with the largest residuals. Genes are sorted as
#'   [factor_fit-methods] prints them: by the factor they load on most, strongest first.
#' @param cutoff Loadings below it in absolute value are left blank.
#' @param data What the model was fitted to, for `"residuals"` and `"scree"` where the
#'   fit does not keep its covariance matrix.
#' @param selection A result of [select_n_factors()] of the same data, for `"scree"`.
#' @param threshold For `"network"`: the smallest partial correlation drawn.
#' @param ... For `plot`: the arguments of `autoplot`. Otherwise not used.
#' @return `autoplot`: a ggplot object. `plot`: the same, invisibly, after drawing it.
#' @details For a selection there is one panel for each criterion; the number it chooses
#'   is marked. Bars of the held-out log-likelihood are one standard error to each side;
#'   the dashed line of parallel analysis is the quantile without factors.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed;
#'   `covmash_error_argument` for a fit without factors where they are drawn, and if `data`
#'   is needed; `covmash_error_fit` for damaged objects.
#' @name factor_fit_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32, rotation = "promax")
#' plot(fit, cutoff = 0.3)
#' set.seed(1)
#' chosen <- select_n_factors(mtcars, max_factors = 4, n_folds = 2, n_threads = 1)
#' plot(chosen)
#' plot(fit, type = "scree", selection = chosen)
NULL

fit_plot_types <- c("loadings", "communality", "residuals", "scree", "correlations", "network")

#' @rdname factor_fit_plots
#' @exportS3Method ggplot2::autoplot
autoplot.factor_fit <- function(object,
                                type = c("loadings", "communality", "residuals", "scree", "correlations", "network"),
                                max_genes = 50, cutoff = 0.1, data = NULL, selection = NULL, threshold = 0.1, ...) {
  need_ggplot2()
  type <- check_choice(type, fit_plot_types, "type")
  check_factor_fit(object, "object")
  check_whole(max_genes, "max_genes", 1)
  check_number(cutoff, "cutoff", 0, what = "a number of at least 0")
  switch(type,
    loadings = plot_fit_loadings(object, max_genes, cutoff),
    communality = plot_communality(object, max_genes),
    residuals = plot_fit_residuals(object, data, max_genes),
    scree = plot_scree(object, data, selection),
    correlations = plot_factor_correlations(object),
    network = autoplot.gene_network(partial_correlation_network(object$covariance, threshold))
  )
}

#' @rdname factor_fit_plots
#' @export
plot.factor_fit <- function(x, ...) {
  draw(autoplot.factor_fit(x, ...))
}

need_factors <- function(fit, what) {
  if (fit$n_factors == 0L) {
    abort_input("A fit without factors has no {what} to draw.", class = "covmash_error_argument")
  }
}

# "50 of 100 genes" and which; NULL if all are drawn.
some_genes <- function(shown, fit, which) {
  if (length(shown) < fit$n_genes) {
    paste0(length(shown), " of ", plural(fit$n_genes, "gene"), ", those with the largest ", which)
  }
}

# What there is of a first line and a second one.
subtitle_of <- function(..., second = NULL) {
  lines <- c(paste(c(...), collapse = "; "), second)
  lines <- lines[nzchar(lines)]
  if (length(lines) > 0L) paste(lines, collapse = "\n")
}

# Names of genes beside so many rows, in a figure of the usual height.
gene_text <- function(n) ggplot2::element_text(size = max(3.5, min(10, 270 / n)))

plot_fit_loadings <- function(fit, max_genes, cutoff) {
  need_factors(fit, "loadings")
  shown <- genes_shown(standardised_loadings(fit), fit$uniquenesses, max_genes)
  labels <- make.unique(gene_labels(fit))[shown]
  L <- standardised_loadings(fit)[shown, , drop = FALSE]
  factors <- make.unique(colnames(L))
  cells <- data.frame(
    gene = factor(rep(labels, times = ncol(L)), levels = rev(labels)),
    factor = factor(rep(factors, each = nrow(L)), levels = factors), value = as.vector(L)
  )
  blank <- abs(cells$value) < cutoff
  cells$shown <- ifelse(blank, 0, cells$value)
  cells$label <- ifelse(blank, "", two_decimals(cells$value))
  rows <- nrow(L)
  plot <- ggplot2::ggplot(cells, ggplot2::aes(x = .data$factor, y = .data$gene, fill = .data$shown)) +
    ggplot2::geom_tile(colour = if (rows <= 60L) "grey92" else NA) +
    fill_signed(max(1, abs(L)), "Loading") +
    ggplot2::labs(
      title = "Loadings of the standardised genes", x = NULL, y = NULL,
      subtitle = subtitle_of(
        if (fit$rotation != "none") paste("Rotation:", fit$rotation),
        if (any(blank)) paste("below", format(cutoff), "left blank"),
        second = some_genes(shown, fit, "communality")
      )
    ) +
    theme_heat(rows) +
    ggplot2::theme(axis.text.y = gene_text(rows))
  if (ncol(L) <= 8L) {
    plot <- plot + ggplot2::theme(axis.text.x = ggplot2::element_text(angle = 0, hjust = 0.5, size = 10))
  }
  # Where there is room for numbers.
  if (rows <= 25L && ncol(L) <= 10L) {
    plot <- plot + ggplot2::geom_text(
      ggplot2::aes(label = .data$label), size = min(3.2, 60 / rows),
      colour = ifelse(abs(cells$shown) > 0.7, "white", "grey15")
    )
  }
  plot
}

plot_communality <- function(fit, max_genes) {
  shown <- genes_shown(standardised_loadings(fit), fit$uniquenesses, max_genes)
  # Where all noise variances are one (ppca), some are above the gene's variance.
  communality <- pmin(pmax(1 - fit$uniquenesses, 0), 1)[shown]
  labels <- make.unique(gene_labels(fit))[shown]
  heywood <- fit$heywood[shown]
  bars <- data.frame(
    gene = factor(labels, levels = labels[order(communality)]),
    value = unname(communality), kind = ifelse(heywood, "Heywood", "ordinary")
  )
  ggplot2::ggplot(bars, ggplot2::aes(x = .data$value, y = .data$gene, fill = .data$kind)) +
    ggplot2::geom_col(width = 0.75, show.legend = any(heywood)) +
    ggplot2::scale_fill_manual(
      values = c(Heywood = plot_colours$high, ordinary = plot_colours$main), name = NULL
    ) +
    ggplot2::scale_x_continuous(limits = c(0, 1.001), expand = ggplot2::expansion(mult = c(0, 0.02))) +
    ggplot2::labs(
      title = "Share of each gene's variance that the factors explain", x = "Communality", y = NULL,
      subtitle = some_genes(shown, fit, "communality")
    ) +
    theme_covmash() +
    ggplot2::theme(panel.grid.major.y = ggplot2::element_blank(), axis.text.y = gene_text(nrow(bars)))
}

plot_fit_residuals <- function(fit, data, max_genes) {
  left <- residuals(fit, "correlation", data)
  labels <- make.unique(gene_labels(fit))
  base::diag(left) <- 0
  size <- sqrt(rowMeans(left^2, na.rm = TRUE))
  size[is.na(size)] <- 0
  # The genes with the largest, in the order in which loadings are drawn.
  largest <- first_few(order(-size), max_genes)
  order <- genes_shown(standardised_loadings(fit), fit$uniquenesses, fit$n_genes)
  shown <- order[order %in% largest]
  off <- left[lower.tri(left)]
  cells <- left[shown, shown, drop = FALSE]
  dimnames(cells) <- list(labels[shown], labels[shown])
  table <- heat_cells(cells, labels[shown])
  limit <- max(abs(cells), 1e-3, na.rm = TRUE)
  n <- length(shown)
  plot <- ggplot2::ggplot(table, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)) +
    ggplot2::geom_tile(colour = if (n <= 20L) "white" else NA) +
    fill_signed(limit, "Residual\ncorrelation", na.value = "grey85") +
    ggplot2::coord_equal() +
    ggplot2::labs(
      title = "What the factors leave: observed minus fitted correlations", x = NULL, y = NULL,
      subtitle = subtitle_of(
        if (any(!is.na(off))) paste0("Root mean square ", format(sqrt(mean(off^2, na.rm = TRUE)), digits = 2)),
        largest_residual(left, labels), second = some_genes(shown, fit, "residuals")
      )
    ) +
    theme_heat(n) +
    ggplot2::theme(axis.text.y = gene_text(n))
  if (n > 15L) plot <- plot + ggplot2::theme(axis.text.x = ggplot2::element_text(size = max(3.5, min(10, 270 / n))))
  if (n <= 12L) {
    plot <- plot + ggplot2::geom_text(
      ggplot2::aes(label = ifelse(is.na(.data$value), "", two_decimals(.data$value))),
      size = if (n <= 8L) 3 else 2.5,
      colour = ifelse(!is.na(table$value) & abs(table$value) > 0.6 * limit, "white", "grey15")
    )
  }
  plot
}

largest_residual <- function(left, labels) {
  size <- abs(left)
  size[!lower.tri(size)] <- NA
  if (all(is.na(size))) {
    return(NULL)
  }
  at <- which(size == max(size, na.rm = TRUE), arr.ind = TRUE)[1, ]
  paste0("largest ", sprintf("%.2f", left[at[1], at[2]]), ", ", labels[at[2]], " with ", labels[at[1]])
}

plot_scree <- function(fit, data, selection) {
  if (!is.null(selection)) {
    if (!inherits(selection, "factor_selection")) {
      abort_input(
        "`selection` must be a result of select_n_factors(), not {describe(selection)}.",
        class = "covmash_error_argument"
      )
    }
    check_factor_selection(selection, "selection")
  }
  reference <- selection$eigenvalues
  observed <- if (is.null(data) && is.null(fit$observed) && !is.null(reference)) {
    reference$observed
  } else {
    observed_eigenvalues(fit, data)
  }
  observed <- first_few(observed, 40L)
  points <- data.frame(
    factor = seq_along(observed), value = observed,
    kind = ifelse(seq_along(observed) <= fit$n_factors, "in the model", "left out")
  )
  plot <- ggplot2::ggplot(points, ggplot2::aes(x = .data$factor, y = .data$value)) +
    (if (nrow(points) > 1L) ggplot2::geom_line(colour = plot_colours$main)) +
    ggplot2::geom_point(ggplot2::aes(colour = .data$kind), size = 2.2) +
    ggplot2::scale_colour_manual(
      values = c(`in the model` = plot_colours$high, `left out` = plot_colours$main), name = NULL
    ) +
    ggplot2::scale_x_continuous(breaks = function(limits) {
      unique(round(pretty(limits, n = min(10, max(1, diff(limits))))))
    }) +
    ggplot2::labs(
      title = "Eigenvalues of the observed correlation matrix", x = "Number", y = "Eigenvalue",
      subtitle = subtitle_of(
        if (!is.null(reference)) {
          paste0("dashed: ", format(100 * selection$probability), " % quantile without factors (parallel analysis)")
        },
        if (length(observed) < fit$n_genes) paste("the first", length(observed), "of", fit$n_genes)
      )
    ) +
    theme_covmash() +
    ggplot2::theme(legend.position = "bottom")
  if (!is.null(reference)) {
    line <- data.frame(factor = reference$factor, value = reference$reference)
    # One point makes no line.
    plot <- plot + if (nrow(line) > 1L) {
      ggplot2::geom_line(data = line, linetype = "dashed", colour = "grey40")
    } else {
      ggplot2::geom_point(data = line, shape = 4, colour = "grey40")
    }
  }
  plot
}

observed_eigenvalues <- function(fit, data) {
  if (!is.null(data)) {
    x <- genes_of_fit(sample_values(data, "`data`"), fit, "data")
    if (anyNA(x)) {
      check_genes_vary(x)
      k <- min(40L, ncol(x), nrow(x) - 1L)
      return(correlation_eigenvalues(x, FALSE, k, list(n_threads = resolve_threads())))
    }
  }
  pmax(dense_eigenvalues(observed_of_fit(fit, data)$R), 0)
}

plot_factor_correlations <- function(fit) {
  need_factors(fit, "correlations")
  F <- fit$factor_covariance
  if (is.null(F)) F <- base::diag(nrow = fit$n_factors)
  dimnames(F) <- list(colnames(fit$loadings), colnames(fit$loadings))
  plot_matrix(F, heat_correlation, title = "Correlations of the factors") +
    ggplot2::labs(
      x = NULL, y = NULL,
      subtitle = if (is.null(fit$factor_covariance)) "Independent by the model" else paste("Rotation:", fit$rotation)
    )
}

#' @rdname factor_fit_plots
#' @exportS3Method ggplot2::autoplot
autoplot.factor_selection <- function(object, ...) {
  need_ggplot2()
  check_factor_selection(object, "object")
  points <- selection_points(object)
  ggplot2::ggplot(points, ggplot2::aes(x = .data$n, y = .data$value)) +
    ggplot2::geom_line(
      ggplot2::aes(linetype = .data$series), colour = plot_colours$main, show.legend = FALSE
    ) +
    ggplot2::geom_linerange(
      ggplot2::aes(ymin = .data$value - .data$se, ymax = .data$value + .data$se),
      colour = plot_colours$main, na.rm = TRUE
    ) +
    ggplot2::geom_point(
      data = points[points$series == "criterion", ],
      ggplot2::aes(colour = .data$chosen, size = .data$chosen), show.legend = FALSE
    ) +
    ggplot2::scale_linetype_manual(values = c(criterion = "solid", reference = "dashed")) +
    ggplot2::scale_colour_manual(
      values = c(`FALSE` = plot_colours$main, `TRUE` = plot_colours$high)
    ) +
    ggplot2::scale_size_manual(values = c(`FALSE` = 1.6, `TRUE` = 3.2)) +
    ggplot2::scale_x_continuous(breaks = function(limits) {
      unique(round(pretty(limits, n = min(10, diff(limits)))))
    }) +
    ggplot2::facet_wrap(ggplot2::vars(.data$panel), scales = "free_y", nrow = 1) +
    ggplot2::labs(
      title = "Choosing the number of factors",
      subtitle = paste0(
        paste0(
          criterion_names[names(object$n_factors)], ": ", object$n_factors,
          collapse = "; "
        )
      ),
      x = "Number of factors", y = NULL
    ) +
    theme_covmash()
}

#' @rdname factor_fit_plots
#' @export
plot.factor_selection <- function(x, ...) {
  draw(autoplot.factor_selection(x, ...))
}

# One data frame for all panels; a line without values is left out.
selection_points <- function(object) {
  table <- object$table
  panel <- function(name, n, value, se = NA_real_, series = "criterion", chosen = FALSE) {
    data.frame(panel = name, n = n, value = value, se = se, series = series, chosen = chosen)
  }
  chosen <- as.list(object$n_factors)
  points <- list()
  if ("bic" %in% object$criteria) {
    points$bic <- panel(
      "BIC (smallest)", table$n_factors, table$BIC, chosen = table$n_factors == chosen$bic
    )
  }
  if ("parallel" %in% object$criteria) {
    e <- object$eigenvalues
    name <- "Eigenvalue (above dashed line)"
    points$parallel <- rbind(
      panel(name, e$factor, e$observed, chosen = e$factor == chosen$parallel),
      panel(name, e$factor, e$reference, series = "reference")
    )
  }
  if ("heldout" %in% object$criteria) {
    kept <- !is.na(table$heldout)
    points$heldout <- panel(
      "Held-out log-density (largest)", table$n_factors[kept], table$heldout[kept],
      table$heldout_se[kept], chosen = table$n_factors[kept] == chosen$heldout
    )
  }
  points <- do.call(rbind, unname(points))
  points$panel <- factor(points$panel, levels = unique(points$panel))
  points
}
