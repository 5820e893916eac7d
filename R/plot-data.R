# Pictures of data objects: z-scores by condition, and their quantiles against those without effects.

z_scores <- function(data) {
  data <- take_data(data, "x")
  z <- data$Bhat / data$Shat
  dimnames(z) <- dimnames(data$Bhat)
  z
}

# With many conditions the widest are at the top; a few keep their order.
plot_z <- function(data, top = NULL) {
  z <- z_scores(data)
  probs <- c(0.01, 0.25, 0.5, 0.75, 0.99)
  spread <- t(apply(z, 2, quantile, probs = probs, na.rm = TRUE, names = FALSE))
  table <- data.frame(
    condition = plot_labels(z), low = spread[, 1], q1 = spread[, 2], mid = spread[, 3], q3 = spread[, 4],
    high = spread[, 5], row.names = NULL
  )
  widest <- order(-(table$high - table$low))
  all <- nrow(table)
  at <- if (all > 12) utils::head(widest, how_many(top, Inf)) else sort(utils::head(widest, how_many(top, Inf)))
  table <- table[at, ]
  table$condition <- factor(table$condition, levels = rev(table$condition))
  n <- nrow(table)
  ends <- stats::qnorm(c(0.01, 0.99))
  rows <- axis_names(rev(levels(table$condition)))
  thick <- min(2, 200 / n * 0.28)
  ggplot2::ggplot(table, ggplot2::aes(y = .data$condition)) +
    # A condition without estimates keeps its line, empty.
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$low, xend = .data$high, yend = .data$condition),
      colour = plot_colours$main, linewidth = min(0.5, thick / 2), na.rm = TRUE
    ) +
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$q1, xend = .data$q3, yend = .data$condition),
      colour = plot_colours$main, linewidth = thick, na.rm = TRUE
    ) +
    ggplot2::geom_point(
      ggplot2::aes(x = .data$mid), na.rm = TRUE,
      shape = 21, fill = "white", colour = plot_colours$main, size = min(1.8, 40 / n + 0.4), stroke = min(0.5, 12 / n)
    ) +
    ggplot2::geom_vline(xintercept = ends, colour = "grey20", linetype = "dashed", linewidth = 0.4) +
    ggplot2::labs(
      title = "z-scores by condition",
      subtitle = "Median, middle half and middle 98 % (dashed: the latter without effects)",
      x = "z-score", y = NULL,
      caption = notes(
        shown_of(n, all, "conditions", "the widest"), if (all > 12) "The widest at the top.", rows$note
      )
    ) +
    theme_rows() + rows$layers
}

# Quantiles of the z-scores against those of a standard normal, with the band that holds 95 % of each order statistic
# of independent z-scores without effects.
plot_qq <- function(data, conditions = NULL, top = NULL, max_points = 1e4) {
  z <- z_scores(data)
  labels <- plot_labels(z)
  title <- "Quantiles of z-scores by condition"
  chosen <- if (is.null(conditions)) {
    middle <- apply(abs(z), 2, function(x) if (all(is.na(x))) NA_real_ else median(x, na.rm = TRUE))
    at <- utils::head(order(-middle, na.last = NA), how_many(top, 9))
    list(at = sort(at), note = shown_of(length(at), ncol(z), "conditions", "those with the largest median |z|"))
  } else {
    list(at = resolve_index(conditions, ncol(z), colnames(z), "conditions", "condition"))
  }
  observed <- lapply(chosen$at, function(r) sort(unname(z[, r])))
  total <- sum(lengths(observed))
  if (total == 0L) {
    return(empty_plot(title, "No effect is observed"))
  }
  each <- max(50, floor(max_points / length(observed)))
  parts <- do.call(rbind, lapply(seq_along(observed), function(k) {
    n <- length(observed[[k]])
    if (n == 0L) return(NULL)
    i <- quantiles_to_draw(n, each)
    data.frame(
      condition = labels[chosen$at[k]], expected = stats::qnorm((i - 0.5) / n), z = observed[[k]][i],
      low = stats::qnorm(stats::qbeta(0.025, i, n - i + 1)), high = stats::qnorm(stats::qbeta(0.975, i, n - i + 1))
    )
  }))
  parts$condition <- factor(parts$condition, levels = labels[chosen$at])
  columns <- panel_columns(nlevels(parts$condition), NULL)
  strips <- panel_titles(levels(parts$condition), columns)
  ggplot2::ggplot(parts, ggplot2::aes(x = .data$expected, y = .data$z)) +
    ggplot2::geom_ribbon(ggplot2::aes(ymin = .data$low, ymax = .data$high), fill = "grey80") +
    ggplot2::geom_abline(colour = "grey50", linetype = "dashed") +
    ggplot2::geom_point(colour = plot_colours$main, size = 0.9) +
    ggplot2::facet_wrap(ggplot2::vars(.data$condition), labeller = strips$labeller) +
    ggplot2::labs(
      title = title, subtitle = "Grey: where 95 % of each quantile lies without effects",
      x = "Standard normal quantile", y = "z-score",
      caption = notes(
        chosen$note,
        if (nrow(parts) < total) {
          paste0(format_count(nrow(parts)), " of ", format_count(total), " quantiles are drawn, all of the tails.")
        }
      )
    ) +
    theme_covmash() + strips$theme
}

# All of n order statistics, or so many of them: every one in the tails, ever fewer towards the middle.
quantiles_to_draw <- function(n, each) {
  if (n <= each) {
    return(seq_len(n))
  }
  half <- unique(round(exp(seq(0, log(n / 2), length.out = max(2, floor(each / 2))))))
  sort(unique(c(half, n + 1 - half)))
}
