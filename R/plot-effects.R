# Pictures of effects: one across conditions (forest), raw against posterior, and their sizes by condition.

# The row a user means: one number or name, or the most significant.
resolve_effect <- function(m, effect) {
  means <- get_pm(m)
  if (is.null(effect)) {
    lfsr <- significance(m, 0.05, NULL, get_lfsr, FALSE)
    best <- which.min(lfsr)
    if (length(best) == 0L) {
      abort_input(
        "No observed estimate has an lfsr to choose an effect by; give `effect`.",
        class = "covmash_error_index"
      )
    }
    return((as.numeric(best) - 1) %% nrow(lfsr) + 1)
  }
  row <- resolve_index(effect, nrow(means), rownames(means), "effect", "effect")
  if (length(row) != 1L) {
    abort_input(
      "`effect` must choose one effect, not {length(row)}.",
      class = "covmash_error_index"
    )
  }
  row
}

# The row of the data that is the effect of that row of the results.
row_of_effect <- function(m, data, row) {
  means <- get_pm(m)
  label <- rownames(means)[row]
  if (is.null(label) || is.null(rownames(data$Bhat))) {
    match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
    return(row)
  }
  if (identical(rownames(data$Bhat), rownames(means))) {
    return(row)
  }
  match_effects(label, rownames(data$Bhat), 1L, nrow(data$Bhat), "effect")
}

# The data in the conditions of the results.
data_of_results <- function(m, data) {
  data <- match_conditions(take_data(data), conditions_of(m))
  R <- ncol(get_pm(m))
  if (ncol(data$Bhat) != R) {
    abort_input(
      "`data` have {plural(ncol(data$Bhat), 'condition')}, but the results {R}; give the data of the fit.",
      class = "covmash_error_dimensions"
    )
  }
  data
}

# ---- forest ------------------------------------------------------------------

effect_table <- function(m, row) {
  means <- get_pm(m)
  data.frame(
    condition = plot_labels(means),
    mean = means[row, ], sd = get_psd(m)[row, ], lfsr = get_lfsr(m)[row, ],
    row.names = NULL
  )
}

# Points filled where significant; raw estimates, if there are data, in grey below. Conditions without a posterior mean
# have no place on the axis.
plot_effect <- function(m, effect, data = NULL, thresh = 0.05, top = NULL, title = NULL,
                        xlab = "Posterior mean and 1.96 standard deviations",
                        ylab = NULL, labels = NULL, what = "conditions",
                        colours = list(box = plot_colours$main, lines = plot_colours$main)) {
  row <- resolve_effect(m, effect)
  table <- effect_table(m, row)
  if (!is.null(labels)) {
    table$condition <- as.character(labels)
  }
  if (!is.null(data)) {
    data <- data_of_results(m, data)
    at <- row_of_effect(m, data, row)
    table$observed <- (data$Bhat * data$Shat_alpha)[at, ]
    table$se <- (data$Shat * data$Shat_alpha)[at, ]
  }
  table <- table[order(table$mean, na.last = NA), ]
  all <- nrow(table)
  kept <- utils::head(order(table$lfsr), how_many(top, 45))
  table <- table[sort(kept), ]
  table$condition <- factor(table$condition, levels = unique(table$condition))
  table$lower <- table$mean - 1.96 * table$sd
  table$upper <- table$mean + 1.96 * table$sd
  table$called <- factor(significance_words(table$lfsr, thresh), levels = called_words(thresh))
  rows <- axis_names(rev(levels(table$condition)), what = what, points = 250)
  if (is.null(title)) {
    name <- rownames(get_pm(m))[row]
    title <- if (is.null(name)) paste("Effect", row) else name
  }
  n <- nrow(table)
  up <- ggplot2::position_nudge(y = if (is.null(data)) 0 else 0.17)
  down <- ggplot2::position_nudge(y = -0.2)
  size <- if (n <= 20) 2.2 else if (n <= 50) 1.5 else 1
  # All rows, so that the axis keeps their order.
  raw <- if (!is.null(data)) table
  plot <- ggplot2::ggplot(table, ggplot2::aes(x = .data$mean, y = .data$condition)) +
    ggplot2::geom_vline(xintercept = 0, colour = "grey50", linetype = "dashed")
  if (!is.null(raw)) {
    raw$from <- raw$observed - 1.96 * raw$se
    raw$to <- raw$observed + 1.96 * raw$se
    plot <- plot +
      ggplot2::geom_segment(
        data = raw, ggplot2::aes(x = .data$from, xend = .data$to, yend = .data$condition),
        colour = "grey70", linewidth = 0.4, position = down, na.rm = TRUE
      ) +
      ggplot2::geom_point(
        data = raw, ggplot2::aes(x = .data$observed), shape = 4, size = 0.7 * size, colour = "grey35", position = down,
        na.rm = TRUE
      )
  }
  plot +
    ggplot2::geom_segment(
      ggplot2::aes(x = .data$lower, xend = .data$upper, yend = .data$condition),
      colour = colours$lines, linewidth = if (n <= 20) 0.8 else 0.5, position = up
    ) +
    ggplot2::geom_point(
      ggplot2::aes(fill = .data$called), shape = 21, colour = colours$box, size = size, stroke = 0.6, position = up,
      show.legend = TRUE  # also of what no point is, from ggplot2 3.5 on
    ) +
    ggplot2::scale_fill_manual(
      values = stats::setNames(c(colours$box, "white"), levels(table$called)), name = NULL, drop = FALSE
    ) +
    ggplot2::labs(
      title = title, x = xlab, y = ylab,
      caption = notes(
        shown_of(n, all, what, "those with the smallest lfsr"), rows$note,
        if (!is.null(raw)) "Grey crosses: observed estimates and 1.96 standard errors."
      )
    ) +
    theme_rows() +
    ggplot2::theme(legend.position = "bottom", legend.margin = ggplot2::margin(0, 0, 0, 0)) + rows$layers
}

# What is significant, and what is not.
called_words <- function(thresh) c(below(thresh), paste("lfsr >=", format(thresh)))

significance_words <- function(lfsr, thresh) called_words(thresh)[ifelse(!is.na(lfsr) & lfsr < thresh, 1L, 2L)]

# ---- raw against posterior -----------------------------------------------------

# Conditions chosen by the user, or those with the most significant effects, in the order of the columns.
conditions_to_draw <- function(counts, conditions, top, default, labels) {
  if (!is.null(conditions)) {
    return(list(at = resolve_index(conditions, length(counts), labels, "conditions", "condition"), note = NULL))
  }
  at <- sort(utils::head(order(-counts), how_many(top, default)))
  list(at = at, note = shown_of(length(at), length(counts), "conditions", "those with the most significant effects"))
}

plot_shrinkage <- function(m, data, conditions, thresh, top, predicted, max_points) {
  if (is.null(data)) {
    abort_input(
      "`data` is missing; give the data object of the fit, whose estimates are drawn against the posterior means.",
      class = "covmash_error_argument"
    )
  }
  data <- data_of_results(m, data)
  means <- get_pm(m)
  rows <- match_effects(rownames(data$Bhat), rownames(means), nrow(data$Bhat), nrow(means))
  lfsr <- significance(m, thresh, NULL, get_lfsr, predicted)
  counts <- colSums(lfsr < thresh, na.rm = TRUE)
  chosen <- conditions_to_draw(counts, conditions, top, 9, colnames(means))
  labels <- plot_labels(means)[chosen$at]
  each <- lapply(seq_along(chosen$at), function(k) {
    r <- chosen$at[k]
    points_of_condition(data, rows, r, means[, r], lfsr[, r], thresh, labels[k], max_points)
  })
  points <- do.call(rbind, lapply(each, `[[`, "points"))
  all <- sum(vapply(each, `[[`, 1L, "n"))
  title <- "Observed effects and their posterior means"
  if (all == 0L) {
    return(empty_plot(title, "No effect is observed"))
  }
  points$called <- factor(points$called, levels = called_words(thresh))
  points$condition <- factor(points$condition, levels = labels)
  kept <- thin_points(points$raw, points$posterior, interaction(points$condition, points$called), max_points)
  points <- points[kept, ]
  # Significant ones on top.
  points <- points[order(points$called, decreasing = TRUE), ]
  columns <- panel_columns(length(labels), NULL)
  strips <- panel_titles(labels, columns)
  few <- nrow(points) <= 500
  ggplot2::ggplot(points, ggplot2::aes(x = .data$raw, y = .data$posterior)) +
    ggplot2::geom_abline(colour = "grey50", linetype = "dashed") +
    ggplot2::geom_point(
      ggplot2::aes(fill = .data$called, colour = .data$called), shape = 21,
      size = if (few) 1.8 else 0.9, stroke = 0.3, show.legend = TRUE
    ) +
    scale_called(levels(points$called)) +
    (if (length(labels) > 1L) {
      ggplot2::facet_wrap(ggplot2::vars(.data$condition), labeller = strips$labeller)
    }) +
    ggplot2::labs(
      title = if (length(labels) == 1L) paste0(title, ": ", labels) else title,
      subtitle = "Dashed: no shrinkage", x = "Observed effect", y = "Posterior mean",
      caption = notes(chosen$note, thinned_note(length(kept), all))
    ) +
    theme_covmash() + strips$theme +
    ggplot2::theme(legend.position = "bottom", legend.margin = ggplot2::margin(0, 0, 0, 0))
}

# The points of condition r, at most max_points of its n observed ones.
points_of_condition <- function(data, rows, r, means, lfsr, thresh, label, max_points) {
  raw <- unname(data$Bhat[, r] * data$Shat_alpha[, r])
  posterior <- unname(means[rows])
  seen <- which(!is.na(raw) & !is.na(posterior))
  called <- significance_words(unname(lfsr[rows]), thresh)
  kept <- seen[thin_points(raw[seen], posterior[seen], called[seen], max_points)]
  list(
    n = length(seen),
    points = data.frame(
      condition = rep(label, length(kept)), raw = raw[kept], posterior = posterior[kept], called = called[kept]
    )
  )
}

# Significant points dark and filled, others light: told apart without colours too.
scale_called <- function(levels) {
  list(
    ggplot2::scale_fill_manual(
      values = stats::setNames(c(plot_colours$main, "white"), levels), name = NULL, drop = FALSE
    ),
    ggplot2::scale_colour_manual(
      values = stats::setNames(c("#14395c", "#7d8894"), levels), name = NULL, drop = FALSE
    ),
    ggplot2::guides(fill = ggplot2::guide_legend(override.aes = list(size = 2.5)))
  )
}

# ---- sizes -------------------------------------------------------------------

plot_sizes <- function(m, conditions, thresh, top, predicted, what = "conditions") {
  means <- get_pm(m)
  lfsr <- significance(m, thresh, NULL, get_lfsr, predicted)
  title <- "Sizes of significant effects"
  labels <- plot_labels(means)
  at <- if (is.null(conditions)) {
    seq_along(labels)
  } else {
    resolve_index(conditions, length(labels), colnames(means), "conditions", "condition")
  }
  boxes <- do.call(rbind, lapply(at, function(r) {
    size <- abs(means[which(lfsr[, r] < thresh), r])
    if (length(size) == 0L) return(NULL)
    q <- unname(stats::quantile(size, c(0.05, 0.25, 0.5, 0.75, 0.95)))
    data.frame(condition = labels[r], n = length(size), low = q[1], q1 = q[2], mid = q[3], q3 = q[4], high = q[5])
  }))
  if (is.null(boxes)) {
    return(empty_plot(title, paste("No effect has", below(thresh))))
  }
  with_effects <- nrow(boxes)
  boxes <- boxes[utils::head(order(-boxes$n), how_many(top, Inf)), ]
  boxes <- boxes[order(boxes$mid), ]
  boxes$condition <- factor(boxes$condition, levels = boxes$condition)
  rows <- axis_names(rev(levels(boxes$condition)), what = what)
  none <- length(at) - with_effects
  ggplot2::ggplot(boxes, ggplot2::aes(y = .data$condition)) +
    ggplot2::geom_boxplot(
      ggplot2::aes(
        xmin = .data$low, xlower = .data$q1, xmiddle = .data$mid, xupper = .data$q3, xmax = .data$high
      ),
      stat = "identity", fill = plot_colours$shares[3], colour = plot_colours$main, width = 0.7,
      linewidth = if (nrow(boxes) > 50) 0.25 else 0.4
    ) +
    ggplot2::labs(
      title = title,
      subtitle = paste0("Median, middle half and middle 90 % of those with ", below(thresh)),
      x = "Absolute posterior mean", y = NULL,
      caption = notes(
        shown_of(nrow(boxes), with_effects, what, "those with the most significant effects"),
        if (none > 0) {
          paste0(format_count(none), " of ", length(at), " ", what, " without significant effects left out.")
        },
        rows$note
      )
    ) +
    theme_rows() + rows$layers
}

# ---- mashr's forest ----------------------------------------------------------

#' Forest plot of one effect
#'
#' Posterior mean and 1.96 posterior standard deviations to each side for one
#' effect, across conditions.
#'
#' @param m A fit of [mash()] or a result of [mash_1by1()].
#' @param i Row number or name of the effect.
#' @param xlab,ylab Axis labels.
#' @param ... `labels`: names of the conditions, in the order of the columns. `colors`: one
#'   colour, or a list with colours `box` (points) and `lines`, as rmeta's `meta.colors()` makes it.
#'   `xlim`: the range of effects shown. Anything else is ignored with a warning.
#' @return A ggplot object.
#' @section Differences from mashr: A ggplot2 plot instead of one of the rmeta
#'   package; conditions are labelled and ordered by their mean; points are filled where the lfsr is
#'   below 0.05.
#' @seealso [mash_plots]
#' @concept meta-analysis
#' @export
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' mash_plot_meta(fit, get_significant_results(fit)[1])
mash_plot_meta <- function(m, i, xlab = "Effect size", ylab = "Condition", ...) {
  need_ggplot2()
  dots <- take_dots(list(...), c("labels", "colors", "xlim"), "mash_plot_meta()")
  R <- ncol(get_pm(m))
  if (!is.null(dots$labels) && length(dots$labels) != R) {
    abort_input(
      "`labels` must have one label for each of the {plural(R, 'condition')}, not {length(dots$labels)}.",
      class = "covmash_error_argument"
    )
  }
  colours <- meta_colours(dots$colors)
  plot <- plot_effect(m, i, xlab = xlab, ylab = ylab, labels = dots$labels, colours = colours)
  if (is.null(dots$xlim)) {
    return(plot)
  }
  if (!checkmate::test_numeric(dots$xlim, len = 2, finite = TRUE, any.missing = FALSE)) {
    abort_input("`xlim` must be two numbers, not {describe(dots$xlim)}.", class = "covmash_error_argument")
  }
  plot + ggplot2::coord_cartesian(xlim = dots$xlim)
}

# The colours of points and lines.
meta_colours <- function(colors) {
  if (is.null(colors)) {
    return(list(box = plot_colours$main, lines = plot_colours$main))
  }
  if (is.character(colors) && length(colors) == 1L) {
    colors <- list(box = colors, lines = colors)
  }
  one <- function(x) is.character(x) && length(x) >= 1L && !anyNA(x)
  if (!is.list(colors) || !one(colors$box) || !one(colors$lines)) {
    abort_input(
      "`colors` must be one colour, or a list with colours `box` and `lines`, not {describe(colors)}.",
      class = "covmash_error_argument"
    )
  }
  list(box = colors$box[1], lines = colors$lines[1])
}
