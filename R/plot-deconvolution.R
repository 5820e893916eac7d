#' Plots of a deconvolution
#'
#' Drawn with ggplot2, which must be installed. `plot()` draws; `autoplot()` (after
#' `library(ggplot2)`) returns the plot.
#'
#' @param object,x A fit of [deconvolve()].
#' @param type `"matrices"` (default), a heat map of each covariance as correlations, conditions
#'   clustered, its weight in the title; `"eigenvalues"`, those of each covariance relative
#'   to the largest; `"vectors"`, the leading eigenvector of each; `"trace"`, the objective
#'   by step, below its last value.
#' @param max_matrices Draw at most so many covariances, those with the largest weights.
#' @param ... For `plot`: the arguments of `autoplot`. Otherwise not used.
#' @return `autoplot`: a ggplot object. `plot`: the same, invisibly, after drawing it.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed.
#' @name deconvolution_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 60, ncond = 4, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- deconvolve(data, n_full = 3, n_threads = 1)
#' plot(fit)
#' plot(fit, type = "eigenvalues")
#' plot(fit, type = "vectors")
#' plot(fit, type = "trace")
NULL

#' @rdname deconvolution_plots
#' @exportS3Method ggplot2::autoplot
autoplot.deconvolution <- function(object, type = c("matrices", "eigenvalues", "vectors", "trace"),
                                   max_matrices = 9, ...) {
  need_ggplot2()
  check_deconvolution(object)
  type <- check_choice(type, c("matrices", "eigenvalues", "vectors", "trace"), "type")
  check_whole(max_matrices, "max_matrices", 1)
  if (type == "trace") {
    return(plot_trace(object$objective))
  }
  given <- matrices_to_draw(object, NULL, max_matrices)
  switch(type,
    matrices = heat_panels(
      lapply(given$Ulist, correlation_or_zero), given, TRUE, "Correlation",
      title = "Covariances of the true effects, as correlations"
    ),
    eigenvalues = plot_relative_eigenvalues(given),
    vectors = vector_panels(given, title = "Leading eigenvectors")
  )
}

#' @rdname deconvolution_plots
#' @export
plot.deconvolution <- function(x, ...) {
  need_ggplot2()
  draw(autoplot.deconvolution(x, ...))
}

plot_trace <- function(objective) {
  steps <- data.frame(step = seq_along(objective) - 1, below = objective[length(objective)] - objective)
  # The last one has no place on the scale of logarithms.
  steps <- steps[is.finite(steps$below) & steps$below > 0, ]
  ggplot2::ggplot(steps, ggplot2::aes(x = .data$step, y = .data$below)) +
    ggplot2::geom_line(colour = plot_colours$main) +
    ggplot2::scale_y_log10() +
    ggplot2::scale_x_continuous(breaks = whole_breaks) +
    ggplot2::labs(
      title = "How far the objective is below its last value", x = "Step after the trial of the starts", y = "Log units"
    ) +
    theme_covmash()
}

plot_relative_eigenvalues <- function(given) {
  Ulist <- given$Ulist
  labels <- paste0(names(Ulist), " (", weight_words(given$weights), ")")
  strips <- panel_titles(labels, panel_columns(length(labels), NULL))
  lines <- do.call(rbind, lapply(seq_along(Ulist), function(k) {
    e <- pmax(eigen(Ulist[[k]], symmetric = TRUE, only.values = TRUE)$values, 0)
    data.frame(at = seq_along(e), value = if (e[1] > 0) e / e[1] else e, matrix = labels[k])
  }))
  lines$matrix <- factor(lines$matrix, levels = labels)
  ggplot2::ggplot(lines, ggplot2::aes(x = .data$at, y = pmax(.data$value, 1e-6))) +
    ggplot2::geom_line(colour = plot_colours$main) +
    ggplot2::geom_point(colour = plot_colours$main, size = 1) +
    ggplot2::facet_wrap(ggplot2::vars(.data$matrix), labeller = strips$labeller) +
    ggplot2::scale_y_log10() +
    ggplot2::scale_x_continuous(breaks = whole_breaks) +
    ggplot2::labs(
      title = "Eigenvalues of the covariances", x = NULL, y = "Relative to the largest",
      caption = notes(given$note, if (any(lines$value < 1e-6)) "Below 1e-6: drawn at 1e-6.")
    ) +
    theme_covmash() + strips$theme
}
