# The estimated prior: its weights by matrix, and by matrix and grid point.

# Weights of at most this much are not drawn.
smallest_weight <- 1e-4

format_weight <- function(w) ifelse(w < 5e-4, "< 0.001", formatC(w, digits = 3, format = "f"))

weights_note <- function(shown, weights, what = "matrices") {
  drawn <- sum(weights > smallest_weight)
  none <- length(weights) - drawn
  notes(
    if (length(shown) < drawn) paste0(
      shown_of(length(shown), drawn, what, "those with the largest weights"),
      " The others have ", formatC(sum(weights) - sum(shown), digits = 2, format = "g"), " together."
    ),
    if (none > 0) paste0(plural(none, "weight"), " of at most ", format(smallest_weight), " left out.")
  )
}

plot_weights <- function(fit, max_weights) {
  check_whole(max_weights, "max_weights", 1)
  all <- get_estimated_pi(fit)
  weights <- sort(all, decreasing = TRUE)
  weights <- first_few(weights[weights > smallest_weight], max_weights)
  bars <- data.frame(
    matrix = factor(names(weights), levels = rev(names(weights))),
    weight = unname(weights),
    kind = ifelse(names(weights) == "null", "null", "covariance")
  )
  rows <- axis_names(names(weights), what = "matrices")
  ggplot2::ggplot(bars, ggplot2::aes(x = .data$weight, y = .data$matrix, fill = .data$kind)) +
    ggplot2::geom_col(width = 0.75, show.legend = FALSE) +
    ggplot2::geom_text(
      ggplot2::aes(label = format_weight(.data$weight)),
      hjust = -0.15, size = min(3, label_size(nrow(bars)) / 2.845), colour = "grey30"
    ) +
    ggplot2::scale_fill_manual(values = c(null = plot_colours$other, covariance = plot_colours$main)) +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(mult = c(0, 0.12))) +
    ggplot2::labs(
      title = "Estimated weights of the covariance matrices", x = "Weight", y = NULL,
      caption = weights_note(weights, all)
    ) +
    theme_rows() + rows$layers
}

# A tile for each matrix and grid point with a weight; the point mass is in words.
plot_components <- function(fit, max_weights) {
  check_whole(max_weights, "max_weights", 1)
  parts <- tidy.mash_fit(fit, "weights")
  null <- if (fit$fitted_g$usepointmass) parts$weight[1]
  if (!is.null(null)) parts <- parts[-1, ]
  title <- "Estimated weights by covariance matrix and scale"
  by_matrix <- rowsum(parts$weight, parts$covariance, reorder = FALSE)[, 1]
  shown <- sort(by_matrix[by_matrix > smallest_weight], decreasing = TRUE)
  shown <- first_few(shown, max_weights)
  subtitle <- if (!is.null(null)) paste("Effects that are zero in every condition (null):", format_weight(null))
  if (length(shown) == 0L) {
    return(empty_plot(title, subtitle))
  }
  grid <- unique(fit$fitted_g$grid)
  scales <- make.unique(format_scale(grid))
  tiles <- data.frame(
    matrix = factor(parts$covariance, levels = rev(names(shown))),
    scale = factor(scales[match(parts$grid, grid)], levels = scales), weight = parts$weight
  )
  tiles <- tiles[!is.na(tiles$matrix), ]
  tiles$weight[tiles$weight <= smallest_weight] <- NA
  rows <- axis_names(names(shown), what = "matrices")
  columns <- axis_names(scales, "x", points = 330, what = "scales")
  largest <- max(tiles$weight, smallest_weight, na.rm = TRUE)
  plot <- ggplot2::ggplot(tiles, ggplot2::aes(x = .data$scale, y = .data$matrix, fill = .data$weight)) +
    ggplot2::geom_tile(colour = "grey90", linewidth = 0.2) +
    ggplot2::scale_fill_gradientn(
      colours = plot_colours$shares[-1], limits = c(0, largest), na.value = "white", name = "Weight"
    ) +
    ggplot2::labs(
      title = title, subtitle = subtitle, x = "Scale (standard deviation on the grid)", y = NULL,
      caption = notes(weights_note(shown, by_matrix), "White: no weight.", rows$note, columns$note)
    ) +
    theme_covmash() + ggplot2::theme(panel.grid = ggplot2::element_blank()) + rows$layers + columns$layers
  if (length(shown) <= 15 && length(grid) <= 20) {
    plot <- plot + cell_numbers(ifelse(tiles$weight < 0.005, NA, tiles$weight), largest, size = 2.4)
  }
  plot
}

format_scale <- function(grid) {
  format(signif(grid, 2), digits = 2, trim = TRUE, scientific = FALSE, drop0trailing = TRUE)
}
