#' Plots of factor fits and of the choice of their number
#'
#' Drawn with ggplot2, which must be installed. `plot()` draws; `autoplot()` (after
#' `library(ggplot2)`) returns the plot.
#'
#' @param object,x A fit of [fit_factor_model()] or a result of [select_n_factors()].
#' @param type For a fit: `"loadings"`, a heat map of the loadings of the standardised
#'   genes; `"communality"`, how much of each gene's variance the factors explain.
#' @param max_genes Draw at most so many genes, those with the largest communality. Genes
#'   are sorted as [factor_fit-methods] prints them: by the factor they load on most,
#'   strongest first.
#' @param ... For `plot`: the arguments of `autoplot`. Otherwise not used.
#' @return `autoplot`: a ggplot object. `plot`: the same, invisibly, after drawing it.
#' @details For a selection there is one panel for each criterion; the number it chooses
#'   is marked. Bars of the held-out log-likelihood are one standard error to each side;
#'   the dashed line of parallel analysis is the quantile without factors.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed.
#' @name factor_fit_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' fit <- fit_factor_model(cor(mtcars), n_factors = 2, n_samples = 32, rotation = "varimax")
#' plot(fit)
#' plot(fit, type = "communality")
#' set.seed(1)
#' plot(select_n_factors(as.matrix(mtcars), max_factors = 4, n_threads = 1))
NULL

#' @rdname factor_fit_plots
#' @exportS3Method ggplot2::autoplot
autoplot.factor_fit <- function(object, type = c("loadings", "communality"),
                                max_genes = 40, ...) {
  need_ggplot2()
  type <- check_choice(type, c("loadings", "communality"), "type")
  check_factor_fit(object, "object")
  check_whole(max_genes, "max_genes", 1)
  # Where all noise variances are one (ppca), some are above the gene's variance.
  communality <- pmin(pmax(1 - object$uniquenesses, 0), 1)
  shown <- genes_shown(standardised_loadings(object), object$uniquenesses, max_genes)
  labels <- make.unique(gene_labels(object))[shown]
  if (type == "loadings") {
    plot_fit_loadings(object, shown, labels)
  } else {
    plot_communality(communality[shown], labels, object$heywood[shown], genes_note(object, shown))
  }
}

#' @rdname factor_fit_plots
#' @export
plot.factor_fit <- function(x, ...) {
  draw(autoplot.factor_fit(x, ...))
}

plot_fit_loadings <- function(fit, shown, labels) {
  if (fit$n_factors == 0L) {
    abort_input("A fit without factors has no loadings to draw.", class = "covmash_error_argument")
  }
  L <- standardised_loadings(fit)[shown, , drop = FALSE]
  cells <- data.frame(
    gene = factor(rep(labels, times = ncol(L)), levels = rev(labels)),
    factor = factor(rep(colnames(L), each = nrow(L)), levels = colnames(L)),
    value = as.vector(L)
  )
  rows <- axis_names(labels, what = "genes", points = 260)
  plot <- ggplot2::ggplot(
    cells, ggplot2::aes(x = .data$factor, y = .data$gene, fill = .data$value)
  ) +
    ggplot2::geom_tile(colour = "white") +
    fill_signed(max(1, abs(L)), "Loading") +
    ggplot2::labs(
      title = "Loadings of the standardised genes", x = NULL, y = NULL,
      subtitle = if (fit$rotation != "none") paste("Rotation:", fit$rotation),
      caption = notes(genes_note(fit, shown), rows$note)
    ) +
    theme_heat(nrow(L)) + rows$layers
  if (ncol(L) <= 8L) {
    plot <- plot + ggplot2::theme(axis.text.x = ggplot2::element_text(angle = 0, hjust = 0.5, size = 10))
  }
  # Where they fit.
  if (nrow(L) <= 30L && ncol(L) <= 12L) {
    plot <- plot + cell_numbers(cells$value, max(1, abs(L)), size = if (nrow(L) <= 20L) 3 else 2.4)
  }
  plot
}

genes_note <- function(fit, shown) {
  shown_of(length(shown), length(fit$uniquenesses), "genes", "those with the largest communality")
}

plot_communality <- function(communality, labels, heywood, note = NULL) {
  rows <- axis_names(labels[order(-communality)], what = "genes")
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
      title = "Variance explained by the factors", x = "Communality", y = NULL, caption = notes(note, rows$note)
    ) +
    theme_rows() + rows$layers
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
