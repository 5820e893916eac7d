# Sharing between conditions: its heat map, and a map of the conditions in two dimensions.

# The matrix of get_pairwise_sharing(), and the words that say what it is.
sharing_of <- function(m, thresh, predicted, factor = 0.5, lfsr_thresh = thresh, FUN = identity, ...) {
  shared <- get_pairwise_sharing(m, factor, lfsr_thresh, FUN, predicted)
  n <- sum(get_n_significant_conditions(m, lfsr_thresh, predicted = predicted) > 0)
  same <- if (factor > 0) {
    paste("the same sign and within a factor of", format(1 / factor, digits = 3))
  } else {
    "the same sign"
  }
  labels <- plot_labels(shared)
  dimnames(shared) <- list(labels, labels)
  list(
    shared = shared,
    words = notes(
      paste0("Share with ", same, ", of the effects with ", below(lfsr_thresh), " in either condition"),
      if (!identical(FUN, identity)) "(after `FUN`)",
      paste0("(", plural(n, "effect"), " in some condition)."),
      width = heat_width
    )
  )
}

plot_sharing <- function(sharing) {
  shared <- sharing$shared
  labels <- rownames(shared)
  order <- labels[cluster_order(shared)]
  cells <- heat_cells(shared, order)
  axes <- heat_axes(order)
  plot <- ggplot2::ggplot(cells, ggplot2::aes(x = .data$column, y = .data$row, fill = .data$value)) +
    ggplot2::geom_tile(colour = if (nrow(shared) <= 20) "white" else NA) +
    fill_share("Shared") +
    ggplot2::coord_equal() +
    ggplot2::labs(
      title = "Sharing of effects between conditions", subtitle = sharing$words, x = NULL, y = NULL,
      caption = notes(
        if (nrow(shared) > 2) "Conditions are clustered.", axes$note,
        if (anyNA(shared)) "Grey: no effect is significant in either.", width = heat_width
      )
    ) +
    theme_heat(nrow(shared)) + axes$layers
  if (nrow(shared) <= 12) {
    plot <- plot + cell_numbers(cells$value, 1)
  }
  plot
}

# Classical multidimensional scaling of 1 - sharing.
plot_sharing_map <- function(sharing) {
  shared <- sharing$shared
  title <- "Conditions by the sharing of effects"
  dropped <- character()
  # A pair without significant effects has no distance.
  while (anyNA(shared)) {
    worst <- which.max(rowSums(is.na(shared)))
    dropped <- c(dropped, rownames(shared)[worst])
    shared <- shared[-worst, -worst, drop = FALSE]
  }
  if (nrow(shared) < 2L) {
    return(empty_plot(title, "Fewer than two conditions have significant effects"))
  }
  points <- map_of(1 - shared)
  frame <- map_frame(points)
  size <- if (nrow(points) <= 15) 10 else if (nrow(points) <= 50) 7.5 else 6
  labels <- place_labels(points$x, points$y, shorten(points$condition, 28), size, frame$x, frame$y, c(6, 3.5))
  without <- nrow(points) - nrow(labels)
  ggplot2::ggplot(points, ggplot2::aes(x = .data$x, y = .data$y)) +
    ggplot2::geom_segment(
      data = labels[labels$far, ], ggplot2::aes(xend = .data$at_x, yend = .data$at_y),
      colour = "grey70", linewidth = 0.25
    ) +
    ggplot2::geom_text(
      data = labels, ggplot2::aes(x = .data$at_x, y = .data$at_y, label = .data$label, hjust = .data$hjust),
      size = size / 2.845, colour = "grey15"
    ) +
    ggplot2::geom_point(colour = plot_colours$main, size = if (nrow(points) <= 50) 2 else 1.3) +
    ggplot2::coord_equal(xlim = frame$x, ylim = frame$y, expand = FALSE) +
    ggplot2::labs(
      title = title, subtitle = sharing$words,
      x = dimension_title(1, attr(points, "share")), y = dimension_title(2, attr(points, "share")),
      caption = notes(
        "Multidimensional scaling of 1 - sharing: near each other are conditions that share much.",
        if (without > 0) paste0(plural(without, "condition"), " without a name, for want of room."),
        if (length(dropped) > 0) {
          paste0(plural(length(dropped), "condition"), " left out: a pair of them has no significant effect.")
        }
      )
    ) +
    theme_covmash()
}

# Points of the conditions, and how much of all (absolute) eigenvalues each dimension has.
map_of <- function(distance) {
  n <- nrow(distance)
  k <- min(2L, n - 1L)
  # It warns of dimensions that are not there; they are zero here.
  scaled <- suppressWarnings(stats::cmdscale(distance, k = k, eig = TRUE))
  xy <- matrix(0, n, 2)
  xy[, seq_len(ncol(scaled$points))] <- scaled$points
  # The sign of a dimension is arbitrary: its largest value is positive.
  for (j in 1:2) if (xy[which.max(abs(xy[, j])), j] < 0) xy[, j] <- -xy[, j]
  total <- sum(abs(scaled$eig))
  share <- if (total > 0) pmax(c(scaled$eig, 0, 0)[1:2], 0) / total else c(0, 0)
  structure(data.frame(condition = rownames(distance), x = xy[, 1], y = xy[, 2]), share = share)
}

dimension_title <- function(i, share) sprintf("Dimension %d (%.0f %%)", i, 100 * share[i])

# Limits with room for names, in the proportions of the panel.
map_frame <- function(points, proportion = 3.5 / 6) {
  middle <- c(mean(range(points$x)), mean(range(points$y)))
  half <- max(diff(range(points$x)) * 0.68, diff(range(points$y)) * 0.6 / proportion, 1e-3)
  list(x = middle[1] + c(-1, 1) * half, y = middle[2] + c(-1, 1) * half * proportion)
}
