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
  weights <- object$pi
  shown <- utils::head(order(-weights), max_matrices)
  Ulist <- lapply(object$Ulist[shown], as.matrix)
  labels <- sprintf("%s (%.1f %%)", names(object$Ulist)[shown], 100 * weights[shown])
  switch(type,
    matrices = plot_matrices(Ulist, labels),
    eigenvalues = plot_relative_eigenvalues(Ulist, labels),
    vectors = plot_leading_vectors(Ulist, labels)
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
    ggplot2::labs(
      title = "How far the objective is below its last value", x = "Step after the trial of the starts", y = "Log units"
    ) +
    theme_covmash()
}

# Conditions in the order that suits the mean absolute correlation of all.
plot_matrices <- function(Ulist, labels) {
  R <- ncol(Ulist[[1]])
  conditions <- plot_labels(Ulist[[1]])
  correlations <- lapply(Ulist, correlation_or_zero)
  order <- conditions[cluster_order(Reduce(`+`, lapply(correlations, abs)) / length(correlations))]
  cells <- do.call(rbind, lapply(seq_along(correlations), function(k) {
    C <- correlations[[k]]
    dimnames(C) <- list(conditions, conditions)
    cbind(heat_cells(C, order), matrix = labels[k])
  }))
  cells$matrix <- factor(cells$matrix, levels = labels)
  ggplot2::ggplot(cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)) +
    ggplot2::geom_tile() +
    ggplot2::facet_wrap(~matrix) +
    ggplot2::coord_equal() +
    ggplot2::scale_fill_gradient2(
      low = plot_colours$low, mid = "white", high = plot_colours$high, limits = c(-1, 1), name = "Correlation"
    ) +
    ggplot2::labs(title = "Covariances of the true effects, as correlations", x = NULL, y = NULL) +
    theme_heat(R * min(3, length(Ulist)))
}

# 0 where there is no variance.
correlation_or_zero <- function(U) {
  sd <- sqrt(diag(U))
  C <- U / ifelse(sd > 0, sd, 1) / rep(ifelse(sd > 0, sd, 1), each = nrow(U))
  pmin(pmax(C, -1), 1)
}

plot_relative_eigenvalues <- function(Ulist, labels) {
  lines <- do.call(rbind, lapply(seq_along(Ulist), function(k) {
    e <- pmax(eigen(Ulist[[k]], symmetric = TRUE, only.values = TRUE)$values, 0)
    data.frame(at = seq_along(e), value = if (e[1] > 0) e / e[1] else e, matrix = labels[k])
  }))
  lines$matrix <- factor(lines$matrix, levels = labels)
  ggplot2::ggplot(lines, ggplot2::aes(x = .data$at, y = pmax(.data$value, 1e-6))) +
    ggplot2::geom_line(colour = plot_colours$main) +
    ggplot2::geom_point(colour = plot_colours$main, size = 1) +
    ggplot2::facet_wrap(~matrix) +
    ggplot2::scale_y_log10() +
    ggplot2::labs(title = "Eigenvalues of the covariances", x = NULL, y = "Relative to the largest") +
    theme_covmash()
}

plot_leading_vectors <- function(Ulist, labels) {
  conditions <- plot_labels(Ulist[[1]])
  bars <- do.call(rbind, lapply(seq_along(Ulist), function(k) {
    v <- eigen(Ulist[[k]], symmetric = TRUE)$vectors[, 1]
    data.frame(condition = conditions, value = v * (if (sum(v) < 0) -1 else 1), matrix = labels[k])
  }))
  bars$condition <- factor(bars$condition, levels = rev(conditions))
  bars$matrix <- factor(bars$matrix, levels = labels)
  ggplot2::ggplot(bars, ggplot2::aes(x = .data$value, y = .data$condition, fill = .data$value > 0)) +
    ggplot2::geom_col(show.legend = FALSE) +
    ggplot2::facet_wrap(~matrix) +
    ggplot2::scale_fill_manual(values = c(`FALSE` = plot_colours$low, `TRUE` = plot_colours$high)) +
    ggplot2::labs(title = "Leading eigenvectors", x = NULL, y = NULL) +
    theme_covmash() +
    ggplot2::theme(axis.text.y = ggplot2::element_text(size = label_size(length(conditions) * min(3, length(Ulist)))))
}
