# Effects along the genome, by their smallest lfsr.

plot_manhattan <- function(m, data, conditions, thresh, predicted, chromosome, position, max_points) {
  lfsr <- significance(m, thresh, conditions, get_lfsr, predicted)
  place <- genome_places(chromosome, position, nrow(lfsr))
  title <- "Smallest lfsr of each effect"
  best <- smallest_log_lfsr(m, data, lfsr, conditions, predicted)
  points <- data.frame(x = place$x, y = -best$value, chromosome = place$chromosome)
  points <- points[!is.na(points$y), ]
  if (nrow(points) == 0L) {
    return(empty_plot(title, "No effect is observed"))
  }
  all <- nrow(points)
  shade <- points$chromosome %% 2
  points <- points[thin_points(points$x, points$y, shade, max_points), ]
  points$shade <- factor(points$chromosome %% 2, levels = c(1, 0))
  labels <- place$centres[place_along(place$centres$x, place$centres$label), ]
  ggplot2::ggplot(points, ggplot2::aes(x = .data$x, y = .data$y)) +
    ggplot2::geom_hline(yintercept = -log10(thresh), colour = "grey50", linetype = "dashed") +
    ggplot2::geom_point(ggplot2::aes(colour = .data$shade), size = 0.9, show.legend = FALSE) +
    ggplot2::scale_colour_manual(values = c(`1` = plot_colours$main, `0` = plot_colours$other)) +
    (if (is.null(chromosome)) {
      NULL
    } else {
      ggplot2::scale_x_continuous(
        breaks = labels$x, labels = labels$label, minor_breaks = NULL, expand = ggplot2::expansion(mult = 0.01)
      )
    }) +
    ggplot2::scale_y_continuous(expand = ggplot2::expansion(mult = c(0.02, 0.06))) +
    ggplot2::labs(
      title = title,
      subtitle = paste0(
        "Of ", plural(ncol(lfsr), "condition"), "; dashed: lfsr = ", format(thresh), "; ",
        plural(sum(points_below(best$value, thresh)), "effect"), " below it"
      ),
      x = if (is.null(chromosome)) "Position" else "Chromosome", y = "-log10(smallest lfsr)",
      caption = notes(
        thinned_note(nrow(points), all, "effects"), best$note,
        if (!is.null(chromosome) && nrow(labels) < nrow(place$centres)) {
          paste0(nrow(place$centres) - nrow(labels), " of ", nrow(place$centres), " chromosomes without a label.")
        }
      )
    ) +
    theme_covmash() +
    ggplot2::theme(
      axis.text.x = ggplot2::element_text(size = if (is.null(chromosome)) 9 else 7),
      panel.grid.major.x = ggplot2::element_blank()
    )
}

points_below <- function(log_lfsr, thresh) !is.na(log_lfsr) & log_lfsr < log10(thresh)

# The logarithm (base 10) of the smallest lfsr of each effect. Where that is 0 in double precision it is computed from
# the data; without them such effects stand at the smallest number there is.
smallest_log_lfsr <- function(m, data, lfsr, conditions, predicted) {
  smallest <- suppressWarnings(row_minima(lfsr))
  smallest[is.infinite(smallest)] <- NA
  value <- log10(smallest)
  tiny <- which(smallest < 1e-290)
  if (length(tiny) == 0L) {
    return(list(value = value))
  }
  if (!is.null(data) && inherits(m, "mash_fit")) {
    data <- data_of_results(m, data)
    at <- match_effects(rownames(data$Bhat), rownames(lfsr), nrow(data$Bhat), nrow(lfsr))
    given <- which(at %in% tiny)
    if (length(given) > 0L) {
      logs <- get_log_lfsr(m, data[given, ])
      if (!predicted) logs[is.na(data$Bhat[given, , drop = FALSE])] <- NA
      if (!is.null(conditions)) {
        chosen <- resolve_index(conditions, ncol(logs), colnames(get_pm(m)), "conditions", "condition")
        logs <- logs[, chosen, drop = FALSE]
      }
      value[at[given]] <- row_minima(logs)
    }
  }
  lowest <- is.infinite(value) | !is.na(value) & value < -300 & is.null(data)
  value[lowest] <- -300
  list(
    value = value,
    note = if (any(lowest)) {
      paste0(plural(sum(lowest), "effect"), " with an lfsr below 1e-300 at 300; `data` of a fit of mash() tells more.")
    }
  )
}

# Where each effect stands on the axis: chromosomes one after the other, in their natural order.
genome_places <- function(chromosome, position, J) {
  position <- check_positions(position, J)
  if (is.null(chromosome)) {
    return(list(x = position, chromosome = rep(1L, J)))
  }
  if (!is.atomic(chromosome) || !is.null(dim(chromosome)) || length(chromosome) != J || anyNA(chromosome)) {
    abort_input(
      "`chromosome` must have one name or number, none of them NA, for each of the {plural(J, 'effect')}, not ",
      "{describe(chromosome)}.",
      class = "covmash_error_argument"
    )
  }
  levels <- if (is.factor(chromosome)) {
    levels(droplevels(chromosome))
  } else {
    natural_order(unique(as.character(chromosome)))
  }
  number <- match(as.character(chromosome), levels)
  low <- vapply(split(position, factor(number, seq_along(levels))), min, 0)
  length <- vapply(split(position, factor(number, seq_along(levels))), max, 0) - low
  gap <- max(0.01 * sum(length), if (all(length == 0)) 1 else 0)
  start <- cumsum(c(0, (length + gap)[-length(length)]))
  list(
    x = unname(position - low[number] + start[number]), chromosome = number,
    centres = data.frame(x = unname(start + length / 2), label = sub("^chr", "", levels))
  )
}

check_positions <- function(position, J) {
  if (is.null(position)) {
    abort_input(
      "`position` is missing; give a number for each effect, in base pairs, and `chromosome` where there are several.",
      class = "covmash_error_argument"
    )
  }
  if (!is.numeric(position) || is.object(position) || !is.null(dim(position)) || length(position) != J ||
        !all(is.finite(position))) {
    abort_input(
      "`position` must have one finite number for each of the {plural(J, 'effect')}, not {describe(position)}.",
      class = "covmash_error_argument"
    )
  }
  as.double(position)
}

# 1, 2, ..., 10, ..., then names: X, Y.
natural_order <- function(x) {
  number <- suppressWarnings(as.numeric(sub("^chr", "", x)))
  x[order(is.na(number), number, x)]
}

# Which names, in order, have room along an axis of so many points.
place_along <- function(x, labels, points = 430, size = 7) {
  at <- if (length(x) > 1L) (x - min(x)) / max(max(x) - min(x), 1e-300) * points else 0
  half <- 0.3 * size * nchar(labels)
  keep <- logical(length(x))
  end <- -Inf
  for (i in seq_along(x)) {
    if (at[i] - half[i] >= end + 2) {
      keep[i] <- TRUE
      end <- at[i] + half[i]
    }
  }
  which(keep)
}
