# Pictures of factored covariances. Everything is ggplot2 except rows of panels with a
# scale each, which are laid out with grid.

#' Pictures of a factored covariance
#'
#' @param object,x A `factor_cov` ([factor_covariance()]), a network
#'   ([partial_correlation_network()]) or panels to draw.
#' @param type What to draw:
#'   * `"loadings"`: the loadings \eqn{B};
#'   * `"covariance"`, `"systematic"`, `"noise"`: \eqn{\Sigma}, \eqn{B F B'}, \eqn{D};
#'   * `"decomposition"`: \eqn{B F B' + D = \Sigma} as one row of panels, each with a
#'     scale of its own;
#'   * `"correlation"`: the correlation matrix;
#'   * `"eigenvalues"`: a histogram of all eigenvalues with a line at zero;
#'   * `"overview"`: covariance, loadings and eigenvalues side by side, for many genes;
#'   * `"network"`: the network of partial correlations.
#' @param values Write the numbers into the cells? By default if there are at most 12
#'   rows and columns.
#' @param title Title; `NULL` for the usual one.
#' @param bins Number of bars of the histogram.
#' @param threshold,max_edges For `type = "network"`, see
#'   [partial_correlation_network()].
#' @param ... For `plot`: the arguments of `autoplot`. Otherwise not used.
#' @return `autoplot`: a ggplot object; for `"decomposition"` and `"overview"` an object of
#'   class `"factor_panels"`, which `print()` and `plot()` draw and `ggplot2::ggsave()`
#'   saves. `plot`: the same, invisibly, after drawing it.
#' @details The matrix pictures are dense: O(N^2) memory. In the network, genes stand on a
#'   circle, in an order that puts connected genes side by side; genes without an edge
#'   are left out.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed;
#'   `covmash_error_argument` for an unknown type.
#' @name factor_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' B <- rbind(
#'   TP53 = c(0.8, 0), BRCA1 = c(0.7, 0), IL6 = c(0.1, 0.9), TNF = c(0.1, 0.8)
#' )
#' colnames(B) <- c("p53", "NF-kB")
#' Sigma <- factor_covariance(B, D = c(0.04, 0.03, 0.05, 0.06))
#' plot(Sigma)
#' plot(Sigma, type = "decomposition")
#' plot(Sigma, type = "network")
NULL

factor_plot_types <- c(
  "loadings", "covariance", "systematic", "noise", "decomposition", "correlation",
  "eigenvalues", "overview", "network"
)

#' @rdname factor_plots
#' @exportS3Method ggplot2::autoplot
autoplot.factor_cov <- function(object,
                                type = c(
                                  "loadings", "covariance", "systematic", "noise",
                                  "decomposition", "correlation", "eigenvalues",
                                  "overview", "network"
                                ),
                                values = NULL, title = NULL, bins = 30,
                                threshold = 0.1, max_edges = 1e4, ...) {
  need_ggplot2()
  check_factor_cov(object, "object")
  type <- check_choice(type, factor_plot_types, "type")
  if (!is.null(values)) check_flag(values, "values")
  check_whole(bins, "bins", 1)
  switch(type,
    loadings = plot_loadings(object, values, title),
    covariance = plot_matrix(as.matrix(object), heat_covariance, values, title),
    systematic = plot_matrix(
      as.matrix(systematic_covariance(object)), heat_systematic, values, title
    ),
    noise = plot_matrix(as.matrix(noise_covariance(object)), heat_noise, values, title),
    decomposition = plot_decomposition(object, values, title),
    correlation = plot_matrix(
      as.matrix(correlation(object)), heat_correlation, values, title
    ),
    eigenvalues = plot_eigenvalues(object, bins, title),
    overview = plot_overview(object, bins, title),
    network = autoplot.gene_network(
      partial_correlation_network(object, threshold, max_edges),
      title = title
    )
  )
}

#' @rdname factor_plots
#' @export
plot.factor_cov <- function(x, ...) {
  draw(autoplot.factor_cov(x, ...))
}

# ---- heat maps --------------------------------------------------------------

# How each kind of matrix is drawn: limits, words, and whether its scale has negative values in any case.
heat_loadings <- list(
  diverging = TRUE, legend = "Loading",
  title = "Loadings B: how strongly each gene responds to each factor"
)
heat_covariance <- list(
  diverging = FALSE, legend = "Covariance",
  title = "Covariance Sigma = B F B' + D"
)
heat_systematic <- list(
  diverging = FALSE, legend = "Covariance",
  title = "Systematic covariance B F B': shared regulation"
)
heat_noise <- list(
  diverging = FALSE, legend = "Variance",
  title = "Noise D: gene by gene"
)
heat_correlation <- list(
  diverging = TRUE, legend = "Correlation",
  limit = 1, title = "Correlation of the genes"
)

plot_loadings <- function(Sigma, values = NULL, title = NULL) {
  B <- Sigma$B
  if (ncol(B) == 0L) {
    abort_input(
      "There are no factors, so there are no loadings to draw.",
      class = "covmash_error_argument"
    )
  }
  rownames(B) <- if (is.null(rownames(B))) seq_len(nrow(B)) else make.unique(rownames(B))
  colnames(B) <- if (is.null(colnames(B))) seq_len(ncol(B)) else make.unique(colnames(B))
  plot_matrix(B, heat_loadings, values, title) + ggplot2::labs(x = NULL, y = NULL)
}

plot_matrix <- function(x, style, values = NULL, title = NULL, compact = FALSE, equal = TRUE) {
  many <- nrow(x) > 40L
  square <- nrow(x) == ncol(x)
  rows <- if (is.null(rownames(x))) as.character(seq_len(nrow(x))) else make.unique(rownames(x))
  columns <- if (is.null(colnames(x))) as.character(seq_len(ncol(x))) else make.unique(colnames(x))
  cells <- data.frame(
    row = rep(seq_len(nrow(x)), times = ncol(x)),
    column = rep(seq_len(ncol(x)), each = nrow(x)), value = as.vector(x)
  )
  points <- if (compact) 130 else if (square) 240 else 280
  at <- function(n) seq(1, n, by = label_step(n, points))
  at_rows <- at(nrow(x))
  at_columns <- at(ncol(x))
  # Beyond rounding, a negative entry has to be seen as one.
  diverging <- style$diverging || min(x) < -1e-8 * max(abs(x))
  limit <- if (is.null(style$limit)) max(abs(x), 1e-300) else style$limit
  # A correlation of 1 + 4e-16 is no missing value.
  cells$value <- pmax(pmin(cells$value, limit), -limit)
  if (!diverging) cells$value <- pmax(cells$value, 0)
  fill <- fill_signed(limit, style$legend, diverging, n.breaks = if (diverging) 5 else 4)
  plot <- ggplot2::ggplot(
    cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)
  ) +
    # A raster stays small when there are many cells.
    (if (many) ggplot2::geom_raster() else ggplot2::geom_tile(colour = "white")) +
    fill +
    ggplot2::scale_y_reverse(breaks = at_rows, labels = shorten(rows[at_rows], 20), expand = c(0, 0)) +
    ggplot2::scale_x_continuous(breaks = at_columns, labels = shorten(columns[at_columns], 20), expand = c(0, 0)) +
    ggplot2::labs(
      title = if (is.null(title)) style$title else title,
      x = if (many && square) "Gene", y = if (many) "Gene",
      caption = if (many && !compact) notes(step_note(nrow(x), "genes", points))
    ) +
    theme_heat(max(nrow(x), if (square) ncol(x) else 1L), points) +
    ggplot2::theme(
      axis.text.x = heat_axis_text(columns, ncol(x), compact),
      panel.border = ggplot2::element_rect(fill = NA, colour = "grey80")
    )
  if (compact) {
    plot <- plot + ggplot2::theme(axis.text.y = ggplot2::element_text(size = label_size(nrow(x), 130) * 0.8))
  }
  if (square && equal) plot <- plot + ggplot2::coord_equal()
  if (is.null(values)) values <- max(dim(x)) <= 12L
  if (values) plot <- plot + cell_text(cells, limit, nrow(x), compact)
  plot
}

# Short names need not be turned.
heat_axis_text <- function(labels, n, compact) {
  turn <- sum(nchar(labels)) > (if (compact) 22 else 60)
  steep <- turn && n > 12
  ggplot2::element_text(
    angle = if (steep) 90 else if (turn) 45 else 0, hjust = if (turn) 1 else 0.5, vjust = if (steep) 0.5 else 1,
    size = if (compact) label_size(n, 130) * 0.8 else label_size(n, 240)
  )
}

cell_text <- function(cells, limit, n, compact) {
  cell_numbers(cells$value, limit, size = if (compact) 2.7 else if (n <= 6) 4.2 else 3, fontface = "bold")
}

plot_eigenvalues <- function(Sigma, bins = 30, title = NULL, words = "; ") {
  table <- data.frame(value = eigenvalues(Sigma))
  ggplot2::ggplot(table, ggplot2::aes(x = .data$value)) +
    ggplot2::geom_histogram(
      bins = bins, fill = plot_colours$main, colour = "white", alpha = 0.85,
      boundary = 0
    ) +
    ggplot2::geom_vline(
      xintercept = 0, colour = plot_colours$high, linetype = "dashed"
    ) +
    ggplot2::labs(
      title = if (is.null(title)) "Eigenvalues" else title,
      subtitle = paste0(
        "From ", signif(min(table$value), 4), " to ", signif(max(table$value), 4),
        words, "dashed: zero"
      ),
      x = "Eigenvalue", y = "Count"
    ) +
    theme_covmash()
}

# ---- rows of panels ---------------------------------------------------------

plot_decomposition <- function(Sigma, values = NULL, title = NULL) {
  bar <- legend_below() + ggplot2::theme(
    plot.title = ggplot2::element_text(size = 11, hjust = 0.5), plot.title.position = "panel"
  )
  panel <- function(x, style, words) {
    plot_matrix(as.matrix(x), style, values, words, compact = TRUE) + bar
  }
  factor_panels(
    list(
      panel(systematic_covariance(Sigma), heat_systematic, "Systematic, B F B'"),
      "+",
      panel(noise_covariance(Sigma), heat_noise, "Noise, D"),
      "=",
      panel(Sigma, heat_covariance, "Total, Sigma")
    ),
    widths = c(1, 0.12, 1, 0.12, 1), title = title
  )
}

legend_below <- function() {
  ggplot2::theme(
    legend.position = "bottom", legend.key.width = grid::unit(0.7, "cm"),
    legend.key.height = grid::unit(0.3, "cm"), legend.title = ggplot2::element_blank(),
    legend.text = ggplot2::element_text(size = 8)
  )
}

plot_overview <- function(Sigma, bins = 30, title = NULL) {
  small <- ggplot2::theme(plot.title = ggplot2::element_text(size = 11))
  # Panels fill their heights, so that the titles stand in one line.
  bar <- small + legend_below()
  N <- length(Sigma$D)
  K <- ncol(Sigma$B)
  panels <- list(
    plot_matrix(
      as.matrix(Sigma), heat_covariance, FALSE,
      paste0("Covariance (", N, " x ", N, ")"), compact = TRUE, equal = FALSE
    ) + bar,
    if (K > 0L) plot_matrix(
      Sigma$B, heat_loadings, FALSE, paste0("Loadings (", N, " x ", K, ")"),
      compact = TRUE, equal = FALSE
    ) + ggplot2::labs(x = "Factor", y = NULL) + bar,
    plot_eigenvalues(Sigma, bins, words = "\n") + small
  )
  panels <- panels[!vapply(panels, is.null, logical(1))]
  widths <- if (K > 0L) c(1.25, 0.8, 1) else c(1.2, 1)
  factor_panels(panels, widths, title)
}

# Panels and the signs between them, side by side.
factor_panels <- function(panels, widths, title = NULL) {
  structure(
    list(panels = panels, widths = widths, title = title),
    class = "factor_panels"
  )
}

panels_grob <- function(x) {
  heights <- if (is.null(x$title)) {
    grid::unit(1, "null")
  } else {
    grid::unit.c(grid::unit(1.8, "lines"), grid::unit(1, "null"))
  }
  layout <- grid::grid.layout(
    nrow = length(heights), ncol = length(x$panels),
    widths = grid::unit(x$widths, "null"), heights = heights
  )
  last <- length(heights)
  children <- lapply(seq_along(x$panels), function(i) {
    panel <- x$panels[[i]]
    content <- if (is.character(panel)) {
      grid::textGrob(panel, gp = grid::gpar(fontsize = 28, col = "grey30"))
    } else {
      ggplot2::ggplotGrob(panel)
    }
    grid::gTree(
      children = grid::gList(content),
      vp = grid::viewport(layout.pos.row = last, layout.pos.col = i)
    )
  })
  if (!is.null(x$title)) {
    children <- c(children, list(grid::textGrob(
      x$title, x = 0.01, hjust = 0, gp = grid::gpar(fontsize = 13),
      vp = grid::viewport(layout.pos.row = 1)
    )))
  }
  grid::gTree(
    children = do.call(grid::gList, children), vp = grid::viewport(layout = layout)
  )
}

#' @rdname factor_plots
#' @export
plot.factor_panels <- function(x, ...) {
  need_ggplot2()
  grid::grid.newpage()
  grid::grid.draw(panels_grob(x))
  invisible(x)
}

#' @export
print.factor_panels <- function(x, ...) plot.factor_panels(x)

# ggsave() draws what it is given with grid.draw().
#' @exportS3Method grid::grid.draw
grid.draw.factor_panels <- function(x, recording = TRUE) {
  check_flag(recording, "recording")
  grid::grid.draw(panels_grob(x), recording = recording)
}

# ---- network ----------------------------------------------------------------

#' @rdname factor_plots
#' @exportS3Method ggplot2::autoplot
autoplot.gene_network <- function(object, title = NULL, ...) {
  need_ggplot2()
  genes <- unique(c(object$gene1, object$gene2))
  if (length(genes) == 0L) {
    return(
      ggplot2::ggplot() +
        ggplot2::labs(
          title = if (is.null(title)) "Partial correlations" else title,
          subtitle = paste0(
            "No pair reaches ", format(attr(object, "threshold")), " in absolute value"
          )
        ) +
        ggplot2::theme_void()
    )
  }
  genes <- genes[network_order(object, genes)]
  angle <- 2 * pi * (seq_along(genes) - 1) / length(genes)
  nodes <- data.frame(gene = as.character(genes), x = sin(angle), y = cos(angle))
  from <- match(object$gene1, genes)
  to <- match(object$gene2, genes)
  edges <- data.frame(
    x = nodes$x[from], y = nodes$y[from], xend = nodes$x[to], yend = nodes$y[to],
    value = object$partial_correlation
  )
  limit <- max(abs(edges$value))
  plot <- ggplot2::ggplot() +
    ggplot2::geom_segment(
      data = edges,
      ggplot2::aes(
        x = .data$x, y = .data$y, xend = .data$xend, yend = .data$yend,
        colour = .data$value, linewidth = abs(.data$value)
      )
    ) +
    ggplot2::geom_point(
      data = nodes, ggplot2::aes(x = .data$x, y = .data$y),
      size = if (nrow(nodes) <= 40) 3 else 1.2, colour = "grey25"
    ) +
    ggplot2::scale_colour_gradient2(
      low = plot_colours$low, mid = "grey92", high = plot_colours$high,
      limits = c(-limit, limit), name = "Partial\ncorrelation", n.breaks = 5
    ) +
    ggplot2::scale_linewidth(
      range = if (nrow(edges) <= 200) c(0.3, 2) else c(0.1, 0.6), guide = "none"
    ) +
    ggplot2::coord_equal(clip = "off", xlim = c(-1.4, 1.4), ylim = c(-1.4, 1.4)) +
    ggplot2::labs(
      title = if (is.null(title)) "Network of partial correlations" else title,
      subtitle = paste0(
        plural(nrow(edges), "edge"), " between ", plural(nrow(nodes), "gene"),
        ", of at least ", format(attr(object, "threshold")), " in absolute value"
      ),
      caption = if (nrow(nodes) > 60) "More than 60 genes are not named."
    ) +
    ggplot2::theme_void(base_size = 11)
  if (nrow(nodes) <= 120) {
    plot <- plot + node_labels(nodes)
  }
  plot
}

# Beside the nodes; where they stand close, along the radius and the smaller the more there are.
node_labels <- function(nodes) {
  n <- nrow(nodes)
  left <- nodes$x < -1e-9
  radial <- n > 12
  nodes$angle <- if (radial) atan2(nodes$y, nodes$x) * 180 / pi + 180 * left else 0
  nodes$hjust <- if (radial) as.numeric(left) else (1 - nodes$x) / 2
  nodes$vjust <- if (radial) 0.5 else (1 - nodes$y) / 2
  ggplot2::geom_text(
    data = nodes,
    ggplot2::aes(
      x = 1.07 * .data$x, y = 1.07 * .data$y, label = .data$gene, angle = .data$angle, hjust = .data$hjust,
      vjust = .data$vjust
    ),
    size = if (n <= 30) 3.2 else max(1.7, 110 / n), colour = "grey15"
  )
}

#' @rdname factor_plots
#' @export
plot.gene_network <- function(x, ...) {
  draw(autoplot.gene_network(x, ...))
}

# Connected genes side by side on the circle.
network_order <- function(network, genes) {
  n <- length(genes)
  if (n < 3L || n > 2000L) {
    return(seq_len(n))
  }
  strength <- matrix(0, n, n)
  at <- cbind(match(network$gene1, genes), match(network$gene2, genes))
  strength[at] <- abs(network$partial_correlation)
  strength <- pmax(strength, t(strength))
  stats::hclust(stats::as.dist(1 - strength), method = "average")$order
}
