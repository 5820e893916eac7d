# Groups of effects, such as the variants of a gene: what a group shows, and which claims about groups, conditions and
# effects to make at a stated error.

#' Summaries of groups of effects
#'
#' One row for each group, such as the variants tested for a gene: its lead effect and how sure
#' that is.
#'
#' @param m A fit of [mash()], a result of [mash_1by1()] or of [mash_contrast()], or anything else that
#'   [get_lfsr()] takes; for `summarise_effects()` also a posterior in files, [mash_output()].
#' @param by One value for each effect, that of its group: a vector or a factor. Or how the group follows from the name
#'   of the effect: a function of a vector of names; or a regular expression, of which the match is the group, or, if it
#'   has parentheses, what is in the first of them, e.g. `"^[^_]+"` where names are `gene_variant`. `NULL`: every effect
#'   is a group.
#' @param thresh Significant means an lfsr strictly below this.
#' @param predicted Count effects in conditions in which they were not observed, too?
#' @param by_condition One row for each group and condition, in place of one for each group?
#' @return A data frame with one row for each group, in the order in which groups first come (of a factor:
#'   its levels), and the columns
#'   * `group`; `n_effects`, how many effects it has;
#'   * `lead`, the effect with the smallest lfsr in any condition, by name or number, and `condition`, where;
#'   * `estimate`, `std.error`, `lfsr` of the lead effect in that condition;
#'   * `n_significant`, the number of conditions in which the lead effect is significant, and `signs`, a
#'     letter for each condition: `+` or `-` where it is significant, `0` where not, `.` where it
#'     was not observed;
#'   * `n_any`, the number of conditions in which any effect of the group is significant.
#'
#'   With `by_condition = TRUE` a row for each group and condition with estimates: `group`, `condition`; `n_effects` and
#'   `n_significant`, the numbers of effects observed and significant there; `lead`, the effect with the smallest lfsr
#'   there, and its `estimate`, `std.error` and `lfsr`.
#'
#'   The lfsr of the lead effect is the probability that its sign is wrong given its own estimates. Where the effects of
#'   a group are estimated independently it needs no correction for having been the smallest, as a p-value would;
#'   where they are correlated, as variants in linkage disequilibrium are, it is too small, see [control_hierarchy()].
#' @section Errors: `covmash_error_argument` for a `by` of another length or with missing values;
#'   `covmash_error_fit` if `m` has no lfsr.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [control_hierarchy()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' gene <- paste0("gene_", rep(1:40, each = 5))
#' tail(summarise_effects(fit, by = gene))
summarise_effects <- function(m, by = NULL, thresh = 0.05, predicted = FALSE, by_condition = FALSE) {
  check_flag(by_condition, "by_condition")
  if (inherits(m, "mash_output")) {
    return(stream_summaries(m, by, thresh, predicted, by_condition))
  }
  lfsr <- significance(m, thresh, NULL, get_lfsr, predicted)
  groups <- if (is.null(by)) each_effect(lfsr) else effect_groups(by, nrow(lfsr), row_labels(lfsr))
  parts <- group_summaries(lfsr, get_pm(m), get_psd(m), groups, thresh, by_condition)
  finish_summaries(parts, by_condition, condition_labels(lfsr))
}

# table: a row for each group, or for each group and condition with an estimate; leads by name or number. any: of
# groups, in which conditions any effect is significant. labels: all groups.
group_summaries <- function(lfsr, means, sds, groups, thresh, by_condition) {
  n <- length(groups$labels)
  columns <- seq_len(ncol(lfsr))
  describe <- function(lead, where) {
    at <- cbind(lead, where)
    list(
      lead = row_labels(lfsr)[lead], condition = condition_labels(lfsr)[where], estimate = unname(means[at]),
      std.error = if (is.null(sds)) rep(NA_real_, length(lead)) else unname(sds[at]), lfsr = unname(lfsr[at])
    )
  }
  if (by_condition) {
    tables <- lapply(columns, function(r) {
      n_effects <- tabulate(groups$at[!is.na(lfsr[, r])], n)
      here <- which(n_effects > 0L)
      lead <- first_of_each(groups$at, lfsr[, r], n)[here]
      n_significant <- tabulate(groups$at[which(lfsr[, r] < thresh)], n)[here]
      plain_frame(c(
        list(group = groups$labels[here], n_effects = n_effects[here], n_significant = n_significant),
        describe(lead, rep(r, length(here)))
      ))
    })
    return(list(table = do.call(rbind, tables), labels = groups$labels))
  }
  lead <- first_of_each(groups$at, row_minima(lfsr), n)
  of_lead <- unname(lfsr[lead, , drop = FALSE])
  significant <- !is.na(of_lead) & of_lead < thresh
  of_means <- unname(means[lead, , drop = FALSE])
  signs <- matrix(".", length(lead), ncol(lfsr))
  signs[!is.na(of_lead)] <- "0"
  signs[significant] <- ifelse(of_means[significant] < 0, "-", "+")
  any <- vapply(columns, function(r) tabulate(groups$at[which(lfsr[, r] < thresh)], n) > 0L, logical(n))
  list(
    table = plain_frame(c(
      list(group = groups$labels, n_effects = tabulate(groups$at, n)), describe(lead, condition_of_minimum(lfsr, lead)),
      list(n_significant = as.integer(rowSums(significant)), signs = do.call(paste0, split(signs, col(signs))))
    )),
    any = matrix(any, n), labels = groups$labels
  )
}

# By conditions, in the order of groups and of conditions.
finish_summaries <- function(parts, by_condition, conditions) {
  table <- parts$table
  if (by_condition) {
    table <- table[order(match(table$group, parts$labels), match(table$condition, conditions)), ]
    table <- table[c("group", "condition", "n_effects", "n_significant", "lead", "estimate", "std.error", "lfsr")]
  } else {
    table$n_any <- as.integer(rowSums(parts$any))
  }
  rownames(table) <- NULL
  table
}

#' Hierarchical error control over groups, conditions and effects
#'
#' Which groups (genes) have an effect, in which conditions, and which effects these are, so that at every
#' level the expected share of wrong claims is at most its target.
#'
#' @param m,by,predicted As in [summarise_effects()].
#' @param level The targets of groups, of conditions within groups, and of effects within these: three
#'   numbers, or one for all.
#' @return A list of class `"mash_hierarchy"`:
#'   * `groups`: a data frame with one row for each selected group: `group`, and the claim it rests on,
#'     `effect`, `condition`, `sign` (1 or -1), with its `lfsr`;
#'   * `conditions`: one row for each selected group and condition, with the same columns;
#'   * `effects`: one row for each selected group, condition and effect;
#'   * `expected_error`: the mean lfsr of the claims of each level, which is at most `level`.
#'
#'   `print()` gives it back, invisibly; `format()` is one line of text.
#' @details A claim is that the effect of an effect in a condition has a given sign. Given the data it is wrong with
#'   probability lfsr. That a group has an effect in a condition follows from
#'   any of its claims there, so it is claimed for its smallest lfsr; so for a group with its smallest
#'   lfsr in any condition. Then
#'   1. groups are selected in the order of their lfsr while the mean lfsr of those selected is at most
#'      `level[1]`;
#'   2. of the conditions of selected groups, the one that each group was selected for, and then others in
#'      the order of their lfsr, while the mean over all of them is at most `level[2]`;
#'   3. of the effects in selected groups and conditions, the one that each condition was selected for, and
#'      then others in the order of their lfsr, while the mean over all of them is at most `level[3]`.
#'
#'   *Guarantee.* Where effects are estimated independently of each other, the mean lfsr of a set of claims that was
#'   chosen with the data is the expectation of its share of wrong ones given the data (Newton et al. 2004; Mueller et
#'   al. 2004). So under the model the expected share of wrong signs is at most `level` among selected groups, among
#'   selected groups and conditions, and among selected effects. It is as good as the model: a prior that was learned
#'   from few effects, or from strong ones alone, makes the lfsr optimistic. Where a target of a lower level is below
#'   that of a higher one, claims that it would leave without support make the groups fewer.
#'
#'   *Linkage disequilibrium.* An lfsr is given an effect's own estimates. Of correlated variants of a gene without
#'   effects the smallest has several chances to look sure, and that the others show nothing is not counted: with
#'   six variants a gene in strong disequilibrium 18 % of the genes selected at `level = 0.05` were wrong, 5 % at
#'   `level = 0.01`. Take a lower level then, or one variant a gene that was chosen without these data.
#'
#'   The order of levels is that of hierarchical tests of many traits (Peterson et al. 2016), whose
#'   p-values pay at each level for the selection at the one before; probabilities given all data need not.
#' @section Errors: As [summarise_effects()].
#' @references Newton MA, Noueiry A, Sarkar D, Ahlquist P (2004). Detecting differential gene expression
#'   with a semiparametric hierarchical mixture method. *Biostatistics* 5(2), 155-176.
#'   \doi{10.1093/biostatistics/5.2.155}
#'
#'   Mueller P, Parmigiani G, Robert C, Rousseau J (2004). Optimal sample size for multiple testing: the
#'   case of gene expression microarrays. *Journal of the American Statistical Association* 99,
#'   990-1001. \doi{10.1198/016214504000001646}
#'
#'   Peterson CB, Bogomolov M, Benjamini Y, Sabatti C (2016). Many phenotypes without many false
#'   discoveries: error controlling strategies for multitrait association studies. *Genetic
#'   Epidemiology* 40(1), 45-56. \doi{10.1002/gepi.21942}
#'
#'   Stephens M (2017). False discovery rates: a new deal. *Biostatistics* 18(2), 275-294.
#'   \doi{10.1093/biostatistics/kxw041}
#' @seealso [summarise_effects()], [get_svalue()]
#' @concept multiple testing
#' @concept false discovery rate
#' @concept eGene
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' gene <- paste0("gene_", rep(1:40, each = 5))
#' found <- control_hierarchy(fit, by = gene)
#' found
#' head(found$conditions)
control_hierarchy <- function(m, by = NULL, level = 0.05, predicted = FALSE) {
  level <- check_levels(level)
  lfsr <- significance(m, 0.05, NULL, get_lfsr, predicted)
  groups <- if (is.null(by)) each_effect(lfsr) else effect_groups(by, nrow(lfsr), row_labels(lfsr))
  claims <- claims_by_condition(lfsr, groups$at, length(groups$labels))
  # A lower level must hold what the higher ones rest on.
  lead <- first_of_each(claims$group, claims$lfsr, length(groups$labels))
  lead <- lead[!is.na(lead)]
  selected <- take_while(claims$lfsr[lead], min(level))
  chosen_groups <- claims[lead[selected], ]
  in_group <- claims$group %in% chosen_groups$group
  chosen_conditions <- with_others(claims[in_group, ], lead[selected], which(in_group), min(level[2:3]))
  all_effects <- claims_of_effects(lfsr, groups$at, chosen_conditions)
  chosen_effects <- with_others(
    all_effects, match(claim_keys(chosen_conditions, lfsr), claim_keys(all_effects, lfsr)), seq_len(nrow(all_effects)),
    level[3]
  )
  parts <- lapply(
    list(groups = chosen_groups, conditions = chosen_conditions, effects = chosen_effects),
    describe_claims, labels = groups$labels, lfsr = lfsr, means = get_pm(m)
  )
  structure(
    c(parts, list(expected_error = vapply(parts, function(x) if (nrow(x) == 0L) 0 else mean(x$lfsr), 0), level = level)),
    class = "mash_hierarchy"
  )
}

check_levels <- function(level) {
  numbers <- is_plain(level) && checkmate::test_numeric(level, lower = 0, upper = 1, any.missing = FALSE)
  if (!numbers || !length(level) %in% c(1L, 3L)) {
    abort_input(
      "`level` must be one number from 0 to 1, or three, of groups, conditions and effects, not {describe(level)}.",
      class = "covmash_error_argument"
    )
  }
  stats::setNames(rep_len(as.double(level), 3L), c("groups", "conditions", "effects"))
}

# Of n effects with these names (or numbers). at: the number of each effect's group; labels: of the groups.
effect_groups <- function(by, n, names = NULL) {
  if (!is_group_vector(by, n)) {
    if (is.null(names)) {
      abort_input(
        "`by` must hold the group of each of the {plural(n, 'effect')}, without NA, not {describe(by)}.",
        class = "covmash_error_argument"
      )
    }
    by <- groups_of_names(by, as.character(names), n)
  }
  number_groups(by)
}

number_groups <- function(by) {
  labels <- if (is.factor(by)) levels(droplevels(by)) else as.character(unique(by))
  list(at = match(as.character(by), labels), labels = labels)
}

is_group_vector <- function(by, n) is.atomic(by) && length(by) == n && !anyNA(by)

# n: how many effects there are, of which these may be some.
groups_of_names <- function(by, names, n) {
  if (is.function(by)) {
    groups <- by(names)
    if (!is_group_vector(groups, length(names))) {
      abort_input(
        "The function `by` must give the group of each of the {plural(length(names), 'effect')} whose names it is ",
        "given, without NA, not {describe(groups)}.",
        class = "covmash_error_argument"
      )
    }
    return(groups)
  }
  if (!is_plain(by) || !checkmate::test_string(by, min.chars = 1L)) {
    abort_input(
      "`by` must hold the group of each of the {plural(n, 'effect')}, without NA, or be a function or a regular ",
      "expression that finds it in their names, not {describe(by)}.",
      class = "covmash_error_argument"
    )
  }
  found <- tryCatch(suppressWarnings(regexpr(by, names, perl = TRUE)), error = function(cnd) {
    abort_input("`by`, {describe(by)}, is no regular expression.", class = "covmash_error_argument")
  })
  if (any(found < 0)) {
    abort_input(
      "The regular expression `by`, {describe(by)}, is not found in the name of effect ",
      "'{names[found < 0][1L]}'.",
      class = "covmash_error_argument"
    )
  }
  start <- attr(found, "capture.start")
  if (is.null(start)) {
    return(regmatches(names, found))
  }
  substr(names, start[, 1L], start[, 1L] + attr(found, "capture.length")[, 1L] - 1L)
}

each_effect <- function(x) list(at = seq_len(nrow(x)), labels = row_labels(x))

row_labels <- function(x) if (is.null(rownames(x))) seq_len(nrow(x)) else rownames(x)

# NA where all are.
row_minima <- function(x) do.call(pmin, c(lapply(seq_len(ncol(x)), function(r) unname(x[, r])), na.rm = TRUE))

# Which element is the smallest of each of n groups; NA of a group without elements, the first of one whose values are all
# missing.
first_of_each <- function(at, value, n) {
  order <- order(at, value)
  out <- rep(NA_integer_, n)
  first <- order[!duplicated(at[order])]
  out[at[first]] <- first
  out
}

condition_of_minimum <- function(lfsr, rows) {
  best <- rep(1L, length(rows))
  least <- lfsr[cbind(rows, best)]
  for (r in seq_len(ncol(lfsr))[-1]) {
    here <- lfsr[rows, r]
    better <- !is.na(here) & (is.na(least) | here < least)
    best[better] <- r
    least[better] <- here[better]
  }
  best
}

# Of every group and condition the effect with the smallest lfsr.
claims_by_condition <- function(lfsr, at, n) {
  parts <- lapply(seq_len(ncol(lfsr)), function(r) {
    effect <- first_of_each(at, lfsr[, r], n)
    data.frame(group = seq_len(n), effect = effect, condition = r, lfsr = unname(lfsr[effect, r]))
  })
  claims <- do.call(rbind, parts)
  claims[!is.na(claims$lfsr), ]
}

# All effects in groups and conditions that have been chosen.
claims_of_effects <- function(lfsr, at, chosen) {
  parts <- lapply(unique(chosen$condition), function(r) {
    effect <- which(at %in% chosen$group[chosen$condition == r] & !is.na(lfsr[, r]))
    data.frame(group = at[effect], effect = effect, condition = r, lfsr = unname(lfsr[effect, r]))
  })
  if (length(parts) == 0L) chosen[0, ] else do.call(rbind, parts)
}

claim_keys <- function(claims, lfsr) claims$effect + (claims$condition - 1) * nrow(lfsr)

# Positions of the smallest values, as many as have a mean of at most `level`.
take_while <- function(x, level) {
  order <- order(x)
  order[seq_len(sum(cumsum(x[order]) <= level * seq_along(x)))]
}

# Of `claims`, numbered by `numbers`: those that are `given`, and others, the smallest first, as many as have a mean of at
# most `level`.
with_others <- function(claims, given, numbers, level) {
  first <- match(given, numbers)
  others <- setdiff(seq_len(nrow(claims)), first)
  others <- others[order(claims$lfsr[others])]
  means <- (sum(claims$lfsr[first]) + cumsum(claims$lfsr[others])) / (length(first) + seq_along(others))
  chosen <- c(first, others[seq_len(sum(means <= level))])
  claims[sort(chosen), ]
}

describe_claims <- function(claims, labels, lfsr, means) {
  claims <- claims[order(claims$group, claims$condition, claims$lfsr), ]
  data.frame(
    group = labels[claims$group], effect = row_labels(lfsr)[claims$effect],
    condition = condition_labels(lfsr)[claims$condition],
    sign = ifelse(means[cbind(claims$effect, claims$condition)] < 0, -1, 1), lfsr = claims$lfsr
  )
}

#' @rdname control_hierarchy
#' @param x A result of `control_hierarchy()`.
#' @param ... Not used.
#' @export
print.mash_hierarchy <- function(x, ...) {
  check_hierarchy(x)
  cat(format(x), "\n", sep = "")
  errors <- paste0(names(x$expected_error), " ", signif(x$expected_error, 2), " (at most ", format(x$level), ")")
  text_lines("Expected share of wrong signs: ", paste(errors, collapse = ", "))
  invisible(x)
}

#' @rdname control_hierarchy
#' @export
format.mash_hierarchy <- function(x, ...) {
  check_hierarchy(x)
  paste0(
    plural(nrow(x$groups), "group"), ", ", plural(nrow(x$conditions), "condition"), " of them, ",
    plural(nrow(x$effects), "effect"), " in these"
  )
}

check_hierarchy <- function(x) {
  parts <- c("groups", "conditions", "effects")
  numbers <- is.list(x) && is.numeric(x$expected_error) && is.numeric(x$level) && length(x$level) == 3L
  if (!numbers || !all(vapply(x[parts], is.data.frame, NA)) || !identical(names(x$expected_error), parts)) {
    abort_input("`x` is damaged; it must come from control_hierarchy().", class = "covmash_error_argument")
  }
}
