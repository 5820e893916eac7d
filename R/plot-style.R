# What all pictures share: two palettes, one theme, the size and number of labels, and how many points are drawn.
# Sizes are made for 7 x 5 inches; a larger device only gives more room.

need_ggplot2 <- function() {
  if (!requireNamespace("ggplot2", quietly = TRUE)) {
    abort_input(
      "Plots need the package ggplot2; install it with install.packages(\"ggplot2\").",
      class = "covmash_error_package"
    )
  }
}

draw <- function(plot) {
  print(plot)
  invisible(plot)
}

# ---- colours -----------------------------------------------------------------

# low and high: negative and positive, in every picture (ColorBrewer's RdBu). shares: what has no sign, from none to
# all, ever darker (BuPu). The colour-blind tell both apart.
plot_colours <- list(
  main = "#2b6ca3", other = "#9aa5b1", low = "#2166ac", high = "#b2182b",
  shares = c(
    "#f7fcfd", "#e0ecf4", "#bfd3e6", "#9ebcda", "#8c96c6", "#8c6bb1", "#88419d", "#810f7c", "#4d004b"
  )
)

# From -limit to limit; from 0 where nothing is negative, in the same colours.
fill_signed <- function(limit, name, negative = TRUE, ...) {
  ggplot2::scale_fill_gradient2(
    low = plot_colours$low, mid = "white", high = plot_colours$high, midpoint = 0,
    limits = c(if (negative) -limit else 0, limit), name = name, ...
  )
}

fill_share <- function(name, limit = 1, ...) {
  ggplot2::scale_fill_gradientn(
    colours = plot_colours$shares, limits = c(0, limit), na.value = "grey85", name = name, ...
  )
}

# Numbers in the cells of a heat map, white where the cell is dark.
cell_numbers <- function(value, limit, size = 3, ...) {
  shown <- ifelse(is.na(value), "", sub("^-(0[.]00)$", "\\1", sprintf("%.2f", value)))
  ggplot2::geom_text(
    ggplot2::aes(label = shown), size = size,
    colour = ifelse(!is.na(value) & abs(value) > 0.55 * limit, "white", "grey15"), ...
  )
}

# ---- themes ------------------------------------------------------------------

theme_covmash <- function() {
  ggplot2::theme_minimal(base_size = 11) +
    ggplot2::theme(
      panel.grid.minor = ggplot2::element_blank(),
      plot.title.position = "plot", plot.caption.position = "plot",
      plot.subtitle = ggplot2::element_text(size = 9.5, colour = "grey30"),
      plot.caption = ggplot2::element_text(size = 8.5, hjust = 0, colour = "grey30"),
      plot.margin = ggplot2::margin(6, 10, 6, 6)
    )
}

theme_heat <- function(n, points = 280) {
  theme_covmash() +
    ggplot2::theme(
      panel.grid = ggplot2::element_blank(),
      axis.text.x = ggplot2::element_text(angle = 90, hjust = 1, vjust = 0.5, size = label_size(n, points)),
      axis.text.y = ggplot2::element_text(size = label_size(n, points))
    )
}

# Bars and rows of conditions: lines along them only.
theme_rows <- function() {
  theme_covmash() + ggplot2::theme(panel.grid.major.y = ggplot2::element_blank())
}

# A picture of which there is nothing to draw, and why.
empty_plot <- function(title, why) {
  ggplot2::ggplot() + ggplot2::labs(title = title, subtitle = why) + ggplot2::theme_void(base_size = 11)
}

# ---- names on axes -----------------------------------------------------------

# Every condition its own place on an axis, also those with the same name.
plot_labels <- function(x) make.unique(condition_labels(x))

# The size of n labels along an axis of so many points, and which of them there is room for: every how many-th.
label_size <- function(n, points = 280) {
  max(5, min(10, 0.9 * points * label_step(n, points) / n))
}

label_step <- function(n, points = 280) max(1, ceiling(5.5 * n / points))

# Names that are too long lose their middle.
shorten <- function(x, width = 32) {
  long <- !is.na(x) & nchar(x) > width
  front <- ceiling((width - 2) / 2)
  back <- width - 2 - front
  x[long] <- paste0(substr(x[long], 1, front), "..", substring(x[long], nchar(x[long]) - back + 1))
  x
}

# The layers that write `labels` (from the top, or from the left) along an axis, and the sentence that says which of
# them are not there. A scale is added only where it is needed, so that users can give their own.
axis_names <- function(labels, axis = "y", points = 280, what = "conditions", width = 32) {
  n <- length(labels)
  step <- label_step(n, points)
  scale <- if (axis == "y") ggplot2::scale_y_discrete else ggplot2::scale_x_discrete
  size <- label_size(n, points)
  text <- if (axis == "y") {
    ggplot2::element_text(size = size)
  } else {
    ggplot2::element_text(size = size, angle = 90, hjust = 1, vjust = 0.5)
  }
  list(
    layers = list(
      if (step > 1 || any(nchar(labels) > width)) {
        scale(breaks = labels[seq(1, n, by = step)], labels = function(x) shorten(x, width))
      },
      do.call(ggplot2::theme, stats::setNames(list(text), paste0("axis.text.", axis)))
    ),
    note = step_note(n, what, points)
  )
}

step_note <- function(n, what, points = 280) {
  step <- label_step(n, points)
  if (step > 1) paste0("Every ", ordinal(step), " of ", format_count(n), " ", what, " is labelled.")
}

ordinal <- function(n) {
  last <- if (n %% 100 %in% 11:13) 4 else min((n - 1) %% 10 + 1, 4)
  paste0(n, c("st", "nd", "rd", "th")[last])
}

# ---- words -------------------------------------------------------------------

# Sentences below a picture, those that are there, in lines that fit.
notes <- function(..., width = 105) {
  # No line ends within "lfsr < 0.05".
  text <- gsub("lfsr (<|>=) ", "lfsr\001\\1\001", paste(c(...), collapse = " "))
  if (nzchar(text)) gsub("\001", " ", paste(strwrap(text, width), collapse = "\n"), fixed = TRUE)
}

# A square map does not fill the width, and its texts begin where it does.
heat_width <- 80

# What was left out: "20 of 100 conditions, those with ...".
shown_of <- function(shown, all, what, which) {
  if (shown < all) {
    paste0(format_count(shown), " of ", format_count(all), " ", what, ", ", which, ".")
  }
}

below <- function(thresh) paste("lfsr <", format(thresh))

# How many to draw: `default` unless it was said; Inf for all.
how_many <- function(top, default, name = "top") {
  if (is.null(top)) {
    return(default)
  }
  if (!is_plain(top) || !checkmate::test_number(top, lower = 1) || is.finite(top) && top != round(top)) {
    abort_input("`{name}` must be a whole number of at least 1 (Inf for all), not {describe(top)}.",
      class = "covmash_error_argument"
    )
  }
  top
}

# ---- heat maps ---------------------------------------------------------------

# Similar conditions side by side: by shares or correlations, 1 for the most similar.
cluster_order <- function(x) {
  if (nrow(x) < 3L) {
    return(seq_len(nrow(x)))
  }
  x[is.na(x)] <- 0
  stats::hclust(stats::as.dist(1 - x), method = "average")$order
}

# The cells of a square matrix as a data frame, first row at the top.
heat_cells <- function(x, order) {
  data.frame(
    row = factor(rep(rownames(x), times = ncol(x)), levels = rev(order)),
    column = factor(rep(colnames(x), each = nrow(x)), levels = order),
    value = as.vector(x)
  )
}

# Rows and columns in the same order: with many, or long names, only the rows are labelled, and the map gets the room.
heat_axes <- function(order) {
  twice <- length(order) <= 20 && max(nchar(order)) <= 14
  rows <- axis_names(order, "y", points = if (twice) 220 else 285)
  columns <- if (twice) {
    axis_names(order, "x", points = 220)
  } else {
    list(layers = list(ggplot2::theme(axis.text.x = ggplot2::element_blank())))
  }
  list(
    layers = c(rows$layers, columns$layers),
    note = c(rows$note, if (!twice) "Columns are in the order of the rows.")
  )
}

# Whole numbers on a continuous axis.
whole_breaks <- function(limits) {
  at <- pretty(limits, 4)
  at[at == round(at)]
}

# ---- points ------------------------------------------------------------------

# Which points to draw so that there are at most so many and the picture looks the same: of points of a group that lie
# on top of each other, in the cells of a fine grid, the first.
thin_points <- function(x, y, group = NULL, max_points = 1e4) {
  n <- length(x)
  if (n <= max_points) {
    return(seq_len(n))
  }
  group <- if (is.null(group)) 0 else as.integer(factor(group))
  unit <- function(v) (v - min(v)) / max(max(v) - min(v), .Machine$double.xmin)
  u <- unit(x)
  v <- unit(y)
  for (cells in c(400, 280, 200, 140, 100, 70, 50, 35, 25, 12, 6, 3, 1)) {
    column <- pmin(floor(u * cells), cells - 1)
    kept <- which(!duplicated((group * cells + column) * cells + pmin(floor(v * cells), cells - 1)))
    if (length(kept) <= max_points) break
  }
  kept
}

thinned_note <- function(kept, all, what = "points") {
  if (kept < all) {
    paste0(
      format_count(kept), " of ", format_count(all), " ", what, " are drawn; those left out lie on top of others."
    )
  }
}

# Where to write the names of points so that no two overlap, none hides a point, and none leaves the panel: beside its
# point or a little away from it, to where a line then leads; those for which there is no such place are not in
# the result. `size` in points; the panel is `inches` wide and high and shows xlim, ylim.
place_labels <- function(x, y, labels, size, xlim, ylim, inches) {
  px <- (x - xlim[1]) / diff(xlim) * inches[1] * 72
  py <- (y - ylim[1]) / diff(ylim) * inches[2] * 72
  width <- 0.62 * size * nchar(labels)
  height <- 1.15 * size
  ways <- expand.grid(angle = c(0, 4, 1, 7, 3, 5, 2, 6) * pi / 4, distance = c(5, 12, 20, 30, 42, 56))
  boxes <- matrix(NA_real_, length(x), 4)
  out <- data.frame(label = labels, x = x, y = y, at_x = NA_real_, at_y = NA_real_, hjust = NA_real_, far = NA)
  # From the outside, where there is room.
  for (i in order(-((px - mean(px))^2 + (py - mean(py))^2))) {
    for (k in seq_len(nrow(ways))) {
      h <- (1 - sign(round(cos(ways$angle[k]), 6))) / 2
      end <- c(px[i] + ways$distance[k] * cos(ways$angle[k]), py[i] + ways$distance[k] * sin(ways$angle[k]))
      middle <- end[2] + height / 2 * sign(round(sin(ways$angle[k]), 6))
      box <- c(end[1] - h * width[i] + c(0, width[i]), middle + c(-0.5, 0.5) * height)
      inside <- box[1] >= 0 && box[2] <= inches[1] * 72 && box[3] >= 0 && box[4] <= inches[2] * 72
      overlaps <- boxes[, 1] < box[2] & boxes[, 2] > box[1] & boxes[, 3] < box[4] & boxes[, 4] > box[3]
      hides <- px > box[1] - 2 & px < box[2] + 2 & py > box[3] - 1 & py < box[4] + 1
      if (inside && !any(overlaps, na.rm = TRUE) && !any(hides)) {
        boxes[i, ] <- box
        out$at_x[i] <- xlim[1] + end[1] / (inches[1] * 72) * diff(xlim)
        out$at_y[i] <- ylim[1] + middle / (inches[2] * 72) * diff(ylim)
        out$hjust[i] <- h
        out$far[i] <- ways$distance[k] > 5
        break
      }
    }
  }
  out[!is.na(out$far), ]
}
