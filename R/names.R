# Names decide: a fit knows the names of its conditions and effects, and data that it is used with are
# matched by them. By position only where one cannot do otherwise: the fit has no names.

# The names of the conditions of a fit or a fitted_g; NULL if it has none. They travel with the matrices, so that a
# prior that is alone, or was rearranged, has them too.
conditions_of <- function(g) {
  Ulist <- if (is.null(g[["fitted_g"]])) g[["Ulist"]] else g$fitted_g$Ulist
  for (U in if (is.list(Ulist)) Ulist) {
    if (!is.null(colnames(U))) {
      return(colnames(U))
    }
  }
  if (is.list(g[["result"]])) colnames(g$result$PosteriorMean)
}

# Matrices of the prior with the names of the conditions they are about.
with_condition_names <- function(Ulist, conditions) {
  if (is.null(conditions)) {
    return(Ulist)
  }
  labels <- list(conditions, conditions)
  lapply(Ulist, function(U) {
    if (is_factor_cov(U)) {
      B <- U$B
      rownames(B) <- conditions
      return(new_factor_cov(B, U$F, stats::setNames(U$D, conditions)))
    }
    dimnames(U) <- labels
    U
  })
}

# Data with the conditions of a fit, in its order. Those that the data lack are missing, those that the fit
# does not know an error.
match_conditions <- function(data, conditions, name = "data") {
  theirs <- colnames(data$Bhat)
  if (is.null(conditions) || identical(theirs, conditions)) {
    return(data)
  }
  if (is.null(theirs)) {
    abort_input(
      "The conditions of `{name}` have no names, but those of the fit have ({quote_some(conditions)}); name the ",
      "columns of its `Bhat`, so that none is taken for another.",
      class = "covmash_error_names"
    )
  }
  unknown <- setdiff(theirs, conditions)
  if (length(unknown) > 0L) {
    has <- if (length(unknown) == 1L) "has a condition" else "has conditions"
    abort_input(
      "`{name}` {has} that the fit does not know, ",
      "{quote_some(unknown)}; it knows {quote_some(conditions, 6L)}. Rename or leave out.",
      class = "covmash_error_names"
    )
  }
  refuse_ambiguous(theirs, name, "condition")
  refuse_ambiguous(conditions, "fit", "condition")
  lacking <- setdiff(conditions, theirs)
  inform_covmash(
    if (length(lacking) > 0L) {
      paste0(
        "`{name}` lacks {plural(length(lacking), 'condition')} of the fit, {quote_some(lacking)}: taken as missing. "
      )
    } else {
      "The conditions of `{name}` are in another order than those of the fit and are matched by name. "
    },
    "Results have the conditions of the fit, in its order.",
    class = "covmash_message_conditions"
  )
  with_conditions(data, conditions)
}

refuse_ambiguous <- function(labels, name, what) {
  at <- anyDuplicated(labels)
  if (at > 0L) {
    abort_input(
      "The {what} name '{labels[at]}' of `{name}` occurs more than once, so that {what}s cannot be matched by ",
      "name; make the names unique.",
      class = "covmash_error_names"
    )
  }
}

# Conditions that are not in the data are missing in every row; errors do not correlate with what is not there.
with_conditions <- function(data, conditions) {
  at <- match(conditions, colnames(data$Bhat))
  choose <- function(x) {
    x <- x[, at, drop = FALSE]
    colnames(x) <- conditions
    x
  }
  if (!is.null(data$L)) {
    L <- data$L[at, , drop = FALSE]
    L[is.na(at), ] <- 0
    rownames(L) <- conditions
    data$L <- L
  }
  if (!is.null(data$V)) {
    data$V <- with_conditions_of_V(data$V, at, conditions)
  }
  data$Bhat <- choose(data$Bhat)
  data$Shat <- choose(data$Shat)
  data$Shat_alpha <- if (data$alpha == 0) {
    array(1, dim(data$Bhat), dimnames(data$Bhat))
  } else {
    choose(data$Shat_alpha)
  }
  data
}

with_conditions_of_V <- function(V, at, conditions) {
  seen <- which(!is.na(at))
  R <- length(conditions)
  if (is.matrix(V)) {
    out <- diag(R)
    out[seen, seen] <- V[at[seen], at[seen]]
    if (!is.null(colnames(V))) dimnames(out) <- list(conditions, conditions)
    return(out)
  }
  out <- array(diag(R), c(R, R, dim(V)[3]))
  out[seen, seen, ] <- V[at[seen], at[seen], ]
  out
}

# The rows of `ours` (effects of a fit) that the effects `theirs` are, for n of them.
match_effects <- function(theirs, ours, n_theirs, n_ours, name = "data") {
  if (identical(theirs, ours) && n_theirs == n_ours) {
    return(seq_len(n_ours))
  }
  if (is.null(ours) || is.null(theirs)) {
    if (is.null(ours) && is.null(theirs) || n_theirs != n_ours) {
      abort_input(
        "`{name}` has {plural(n_theirs, 'effect')}, but the fit has {plural(n_ours, 'effect')}, and they cannot be ",
        "matched by name; give the data of the fit.",
        class = "covmash_error_dimensions"
      )
    }
    sides <- c(paste0("`", name, "`"), "the fit")
    if (is.null(ours)) sides <- rev(sides)
    abort_input(
      "The effects of {sides[1]} have no names, but those of {sides[2]} have, so that they cannot be matched; name both.",
      class = "covmash_error_names"
    )
  }
  at <- match(theirs, ours)
  if (anyNA(at)) {
    abort_input(
      "`{name}` has effects that the fit does not have, {quote_some(theirs[is.na(at)])}; give the data of the fit.",
      class = "covmash_error_names"
    )
  }
  refuse_ambiguous(theirs, name, "effect")
  refuse_ambiguous(ours, "fit", "effect")
  at
}

# ---- missing estimates of a fit ----------------------------------------------

# Which entries of the results of `m` were not observed: a logical matrix, or NULL if all were. The results may
# be those of other rows than were fitted (m$result <- ...); they are known by name.
unobserved <- function(m) {
  if (length(m$missing) == 0L) {
    return(NULL)
  }
  fitted <- m[["dim"]]
  if (inherits(m, "mash_rows")) {
    whole <- array(FALSE, fitted)
    whole[m$missing] <- TRUE
    return(whole)
  }
  means <- m$result$PosteriorMean
  if (is.null(fitted) || is.null(means)) {  # a fit of an earlier version
    fitted <- dim(means)
  }
  whole <- matrix(FALSE, fitted[1L], fitted[2L])
  whole[m$missing] <- TRUE
  same <- identical(dim(means), dim(whole))
  rows <- place_by_name(rownames(means), m[["dimnames"]][[1L]], same)
  columns <- place_by_name(colnames(means), m[["dimnames"]][[2L]], same || ncol(means) == fitted[2L])
  if (is.null(rows) || is.null(columns)) {
    warn_covmash(
      "The results are those of other rows than were fitted, and without names it is not known which of their ",
      "estimates were missing: all count as observed. Name the rows and columns of `Bhat`.",
      class = "covmash_warning_missing"
    )
    return(NULL)
  }
  if (identical(rows, TRUE) && identical(columns, TRUE)) {
    return(whole)
  }
  whole[rows, columns, drop = FALSE]
}

# Positions of `labels` among those of the fit; TRUE if they are the same, NULL if it cannot be told.
place_by_name <- function(labels, fitted, same_size) {
  if (same_size && (is.null(labels) || is.null(fitted) || identical(labels, fitted))) {
    return(TRUE)
  }
  if (is.null(labels) || is.null(fitted) || anyDuplicated(fitted) > 0L) {
    return(NULL)
  }
  at <- match(labels, fitted)
  if (anyNA(at)) NULL else at
}
