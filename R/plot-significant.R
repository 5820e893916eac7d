# How many effects are significant, where, and in which conditions together.

# TRUE where significant, FALSE also where there is no estimate.
significant_cells <- function(m, thresh, conditions, predicted) {
  hits <- significance(m, thresh, conditions, get_lfsr, predicted) < thresh
  hits[is.na(hits)] <- FALSE
  hits
}

plot_n_significant <- function(m, conditions, thresh, top, predicted, what = "conditions") {
  hits <- significant_cells(m, thresh, conditions, predicted)
  counts <- colSums(hits)
  bars <- data.frame(condition = plot_labels(hits), n = unname(counts))
  bars <- bars[order(-bars$n), ]
  all <- nrow(bars)
  bars <- utils::head(bars, how_many(top, Inf))
  bars$condition <- factor(bars$condition, levels = rev(bars$condition))
  rows <- axis_names(rev(levels(bars$condition)), what = what)
  plot <- ggplot2::ggplot(bars, ggplot2::aes(x = .data$n, y = .data$condition)) +
    ggplot2::geom_col(width = 0.75, fill = plot_colours$main) +
    ggplot2::scale_x_continuous(expand = ggplot2::expansion(mult = c(0, 0.12))) +
    ggplot2::labs(
      title = paste("Significant effects by", sub("s$", "", what)),
      subtitle = paste0(
        below(thresh), "; ", plural(sum(any_hit(hits)), "effect"), " of ", format_count(nrow(hits)), " in at least one"
      ),
      x = "Number of effects", y = NULL,
      caption = notes(shown_of(nrow(bars), all, what, "those with the most"), rows$note)
    ) +
    theme_rows() + rows$layers
  if (nrow(bars) <= 50) {
    plot <- plot + ggplot2::geom_text(
      ggplot2::aes(label = format_count_each(.data$n)),
      hjust = -0.2, size = min(3, label_size(nrow(bars)) / 2.845), colour = "grey30"
    )
  }
  plot
}

format_count_each <- function(n) format(n, scientific = FALSE, trim = TRUE)

# Column by column: a sum over rows of a large matrix cannot be interrupted.
count_hits <- function(hits) {
  n <- integer(nrow(hits))
  for (r in seq_len(ncol(hits))) {
    cpp_listen()
    n <- n + unname(hits[, r])
  }
  n
}

any_hit <- function(hits) count_hits(hits) > 0L

plot_n_conditions <- function(m, conditions, thresh, predicted, what = "conditions") {
  hits <- significant_cells(m, thresh, conditions, predicted)
  n <- count_hits(hits)
  R <- ncol(hits)
  title <- paste("Number of", what, "in which effects are significant")
  subtitle <- paste0(
    below(thresh), "; ", plural(sum(n > 0), "effect"), " of ", format_count(nrow(hits)), " in at least one"
  )
  bars <- data.frame(conditions = seq_len(R), n = tabulate(n, R))
  plot <- ggplot2::ggplot(bars, ggplot2::aes(x = .data$conditions, y = .data$n)) +
    ggplot2::geom_col(width = 0.85, fill = plot_colours$main) +
    ggplot2::scale_x_continuous(
      breaks = if (R <= 15) seq_len(R) else unique(c(1, pretty(c(1, R), 8)[-1])), expand = ggplot2::expansion(add = 0.3)
    ) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(mult = c(0, 0.1))) +
    ggplot2::labs(title = title, subtitle = subtitle, x = paste("Number of", what), y = "Number of effects") +
    theme_covmash() + ggplot2::theme(panel.grid.major.x = ggplot2::element_blank())
  if (R <= 15) {
    plot <- plot + ggplot2::geom_text(
      ggplot2::aes(label = format_count_each(.data$n)), vjust = -0.5, size = 3, colour = "grey30"
    )
  }
  plot
}

# ---- sets of conditions -----------------------------------------------------------

# How many effects are significant in exactly which conditions: a logical matrix of sets in rows, the largest number
# first, and the numbers.
significant_sets <- function(hits) {
  hits <- unname(hits[any_hit(hits), , drop = FALSE])
  # Fifty conditions are one whole number that a double holds exactly.
  blocks <- split(seq_len(ncol(hits)), (seq_len(ncol(hits)) - 1) %/% 50)
  codes <- lapply(blocks, function(at) as.vector(hits[, at, drop = FALSE] %*% 2^(seq_along(at) - 1)))
  key <- do.call(paste, lapply(codes, format, digits = 17, trim = TRUE, scientific = FALSE))
  first <- which(!duplicated(key))
  n <- tabulate(match(key, key[first]), length(first))
  order <- order(-n, first)
  list(sets = hits[first[order], , drop = FALSE], n = n[order])
}

# Bars above a matrix of dots, in one panel: conditions have their rows below zero.
plot_sets <- function(m, conditions, thresh, top, predicted, what = "conditions") {
  hits <- significant_cells(m, thresh, conditions, predicted)
  title <- paste("Sets of", what, "in which effects are significant")
  if (!any(hits)) {
    return(empty_plot(title, paste("No effect has", below(thresh))))
  }
  # Most significant effects at the top.
  hits <- hits[, order(-colSums(hits)), drop = FALSE]
  labels <- plot_labels(hits)
  R <- length(labels)
  all <- significant_sets(hits)
  kept <- seq_len(min(length(all$n), how_many(top, 20)))
  n <- all$n[kept]
  member <- all$sets[kept, , drop = FALSE]
  height <- max(2.5, 0.45 * R)
  # Bars stand a little above the first row.
  base <- -0.5 + 0.03 * (R + height)
  bars <- data.frame(set = kept, n = n, bottom = base, top = base + height * n / max(n))
  dots <- data.frame(
    set = rep(kept, R), row = -rep(seq_len(R), each = length(kept)), inside = as.vector(member)
  )
  span <- do.call(rbind, lapply(kept, function(k) -range(which(member[k, ]))))
  lines <- data.frame(set = kept, from = span[, 1], to = span[, 2])
  room <- 280 * R / (R + height + 1)
  named <- seq(1, R, by = label_step(R, room))
  ggplot2::ggplot(bars, ggplot2::aes(x = .data$set)) +
    ggplot2::geom_rect(
      ggplot2::aes(xmin = .data$set - 0.36, xmax = .data$set + 0.36, ymin = .data$bottom, ymax = .data$top),
      fill = plot_colours$main
    ) +
    ggplot2::geom_text(
      ggplot2::aes(y = .data$top, label = format_count_each(.data$n)),
      vjust = -0.4, size = if (length(kept) > 25) 2 else 2.6, colour = "grey30"
    ) +
    ggplot2::geom_segment(
      data = lines, ggplot2::aes(xend = .data$set, y = .data$from, yend = .data$to),
      colour = plot_colours$main, linewidth = 0.4
    ) +
    ggplot2::geom_point(
      data = dots, ggplot2::aes(y = .data$row, colour = .data$inside), show.legend = FALSE,
      size = max(0.5, min(3, 60 / (R + height)))
    ) +
    ggplot2::scale_colour_manual(values = c(`TRUE` = plot_colours$main, `FALSE` = "grey90")) +
    ggplot2::scale_x_continuous(breaks = NULL, expand = ggplot2::expansion(add = 0.6)) +
    ggplot2::scale_y_continuous(
      breaks = -named, labels = shorten(labels[named]),
      expand = ggplot2::expansion(mult = c(0.01, 0.07), add = c(0.3, 0))
    ) +
    ggplot2::labs(
      title = title,
      subtitle = paste0(
        "Each effect with ", below(thresh), " somewhere is counted once, in the set of all its ", what
      ),
      x = NULL, y = NULL,
      caption = notes(
        shown_of(length(kept), length(all$n), "sets", paste0(
          "those with the most effects (", format_count(sum(n)), " of ", format_count(sum(all$n)), ")"
        )),
        step_note(R, what, room)
      )
    ) +
    theme_covmash() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(), axis.text.y = ggplot2::element_text(size = label_size(R, room))
    )
}
