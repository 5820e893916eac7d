# The door: data objects and fits are looked at once where they enter, whatever was done to them on the way
# (readRDS, edits by hand). Their parts must fit together and hold usable numbers; one pass over the
# data, no copy. Edits that make sense pass: data$Bhat[i, ] <- x, fit$result <- other rows.

# ---- data objects ------------------------------------------------------------

# A data object that can be worked with. One saved by mashr is converted.
take_data <- function(data, name = "data") {
  refuse_missing(missing(data), name, "a data object made by mash_set_data()", "covmash_error_data")
  if (!inherits(data, "mash_data")) {
    if (!is_mashr_data(data)) {
      refuse_data(data, name)
    }
    return(data_from_mashr(data, name))
  }
  validate_mash_data(data, name)
}

refuse_data <- function(data, name) {
  advice <- if (is_source(data)) {
    "take some of its rows, data[rows]"
  } else if (is.list(data) && all(c("Bhat", "Shat") %in% names(data))) {
    "make it from the same `Bhat` and `Shat` with covmash::mash_set_data()"
  } else {
    "make it with mash_set_data()"
  }
  abort_input(
    "`{name}` must be a data object of covmash, not {describe(data)}; {advice}.",
    class = "covmash_error_data"
  )
}

damaged_data <- function(name, ..., env = parent.frame()) {
  what <- interpolate(..., env = env)
  abort_input(
    "`{name}` is damaged: {what}; make it again with mash_set_data().",
    class = "covmash_error_data"
  )
}

# The invariants of a data object.
validate_mash_data <- function(data, name = "data") {
  data <- validate_shape(data, name)
  check_entries(data, name)
  # The scale of the estimates; NA where there is none.
  if (!isTRUE(min(data$Shat_alpha, Inf, na.rm = TRUE) > 0)) {
    damaged_data(name, "its `Shat_alpha` must be positive")
  }
  data
}

# That its parts fit together. Matrices of integers, which an edit can leave, become doubles.
validate_shape <- function(data, name = "data") {
  if (!is.list(data)) {
    damaged_data(name, "it is not a list but {describe(unclass(data))}")
  }
  for (part in c("Bhat", "Shat", "Shat_alpha")) {
    x <- data[[part]]
    if (!is.matrix(x) || !is_number_like(x)) {
      damaged_data(name, "its `{part}` must be a numeric matrix, not {describe(x)}")
    }
    if (!is.double(x)) {
      storage.mode(x) <- "double"
      data[[part]] <- x
    }
    if (length(x) == 0L || !identical(dim(x), dim(data$Bhat))) {
      damaged_data(
        name, "its `{part}` is {nrow(x)} x {ncol(x)}",
        if (part != "Bhat") " but its `Bhat` is {nrow(data$Bhat)} x {ncol(data$Bhat)}"
      )
    }
  }
  for (side in 1:2) {
    labels <- dimnames(data$Bhat)[[side]]
    check_same_names(
      labels, dimnames(data$Shat)[[side]], paste0(name, "$Shat"), c("row", "column")[side],
      paste0("`", name, "$Bhat`")
    )
  }
  if (!checkmate::test_number(data$alpha, finite = TRUE)) {
    damaged_data(name, "its `alpha` must be one finite number, not {describe(data$alpha)}")
  }
  validate_V(data, name)
  data
}

# That it is positive definite is seen where it is factorised.
validate_V <- function(data, name) {
  V <- data$V
  R <- ncol(data$Bhat)
  if (!is.null(data$L)) {
    validate_contrasts(data, name)
    if (is.null(V)) {
      return(invisible(NULL))
    }
  }
  if (length(dim(V)) == 3L) {
    if (!is.double(V) || !identical(dim(V), c(R, R, nrow(data$Bhat)))) {
      damaged_data(name, "its array `V` must be {R} x {R} x {nrow(data$Bhat)}, not {paste(dim(V), collapse = ' x ')}")
    }
    return(invisible(NULL))
  }
  if (!is.matrix(V) || !is.numeric(V) || !identical(dim(V), c(R, R))) {
    damaged_data(name, "its `V` must be a numeric matrix of {R} x {R}, not {describe(V)}")
  }
  if (!all(is.finite(V)) || !is_symmetric(V)) {
    damaged_data(name, "its `V` is not finite and symmetric")
  }
  check_same_names(
    colnames(data$Bhat), colnames(V), paste0(name, "$V"), "column", paste0("`", name, "$Bhat`")
  )
}

# What contrasts were made of.
validate_contrasts <- function(data, name) {
  L <- data$L
  fits <- is.matrix(L) && is.numeric(L) && all(is.finite(L)) && nrow(L) == ncol(data$Bhat) &&
    is.matrix(data$Shat_orig) && is.double(data$Shat_orig) &&
    identical(dim(data$Shat_orig), c(nrow(data$Bhat), ncol(L))) &&
    is.double(data$V_orig) && identical(dim(data$V_orig)[1:2], c(ncol(L), ncol(L))) &&
    (is.matrix(data$V_orig) || identical(dim(data$V_orig)[3], nrow(data$Bhat)))
  if (!fits) {
    damaged_data(name, "its `L`, `Shat_orig` and `V_orig` do not fit together")
  }
}

# Estimates and standard errors that the core can take: positive standard errors, and
# nothing whose square, or the square of whose z-score, is not a number.
check_entries <- function(data, name) {
  bad <- run_core(cpp_unusable_entry(data))
  if (is.null(bad)) {
    return(invisible(NULL))
  }
  at <- bad$entry
  entry <- label_entry(data$Bhat, at)
  b <- format(data$Bhat[at])
  s <- format(data$Shat[at])
  if (identical(bad$problem, "shat")) {
    abort_input(
      "`{name}` has the standard error {s} in {entry}, where there is an estimate; it must be positive and ",
      "finite. Set the estimate to NA to leave it out.",
      class = c("covmash_error_shat", "covmash_error_data")
    )
  }
  if (identical(bad$problem, "bhat")) {
    abort_input(
      "`{name}` has the estimate {b} in {entry}; it must be finite or NA.",
      class = c("covmash_error_bhat", "covmash_error_data")
    )
  }
  abort_input(
    "`{name}` holds numbers that cannot be computed with: {entry} has the estimate {b} with standard error ",
    "{s}; estimates and standard errors, and their ratio to the smallest standard error, must be between 1e-150 and ",
    "1e150 in size. Change the units or set such entries to NA.",
    class = c("covmash_error_magnitude", "covmash_error_data")
  )
}

# ---- data objects made by mashr ---------------------------------------------

is_mashr_data <- function(data) {
  inherits(data, "mash") && is.list(data) &&
    all(c("Bhat", "Shat", "Shat_alpha", "V", "alpha") %in% names(data))
}

# The same data as an object of covmash. mashr writes a missing estimate as 0 with standard error 1e6;
# the object keeps them so, for its user may have meant them.
data_from_mashr <- function(data, name) {
  parts <- lapply(data[c("Bhat", "Shat", "Shat_alpha")], as_matrix, vector = "column")
  contrasts <- NULL
  V <- data$V
  if (!is.null(data$L)) {
    # An array of them is computed when it is needed.
    V <- if (length(dim(data$LSVSLt)) != 3L) data$LSVSLt
    dimnames(parts$Shat) <- dimnames(parts$Bhat)
    contrasts <- list(L = data$L, Shat_orig = data$Shat_orig, V_orig = data$V)
  }
  data <- structure(
    c(parts, list(V = V, commonV = is.matrix(V), alpha = data$alpha), contrasts),
    class = c("mash_data", "mash")
  )
  data <- validate_mash_data(data, name)
  count <- length(mashr_placeholders(data))
  if (count > 0L) {
    them <- if (count == 1L) "it" else "them"
    inform_covmash(
      "`{name}` was made by mashr, which writes a missing estimate as 0 with standard error 1e6: ",
      "{plural(count, 'such entry is', 'such entries are')} taken as observed; placeholder_to_na() makes {them} missing.",
      class = "covmash_message_placeholder"
    )
  }
  data
}

# ---- fits --------------------------------------------------------------------

check_fit <- function(m, name = "m") {
  refuse_missing(missing(m), name, "a fit of mash()", "covmash_error_fit")
  if (!inherits(m, "mash_fit") && !is_mashr_fit(m)) {
    abort_input("`{name}` must be a fit of mash(), not {describe(m)}.", class = "covmash_error_fit")
  }
  if (!is.list(m)) {
    damaged_fit(name, "it is not a list but {describe(unclass(m))}")
  }
  if (anyNA(names(m)) || anyNA(names(m$result)) || anyNA(names(m$fitted_g))) {
    damaged_fit(name, "some of its elements have NA for a name")
  }
  validate_g(m$fitted_g, name)
  invisible(m)
}

# A fit of mash() or of deconvolve(), or a prior of fit_mash_prior(): what holds a fitted prior.
check_prior_fit <- function(m, name) {
  if (!missing(m) && inherits(m, "mash_prior")) {
    return(check_mash_prior(m, name))
  }
  if (!missing(m) && inherits(m, "deconvolution")) {
    check_deconvolution(m, name)
    validate_g(m$fitted_g, name)
    return(invisible(m))
  }
  check_fit(m, name)
}

# A fit that is to tell about itself: its log-likelihood and what it knows of the noise.
check_telling_fit <- function(m, name) {
  check_fit(m, name)
  counts <- c("n_effects", "n_conditions", "n_all_missing")
  if (!is_plain(m$loglik) || !checkmate::test_number(m$loglik)) {
    damaged_fit(name, "its `loglik` must be a number, not {describe(m$loglik)}")
  }
  if (!is.list(m$noise) || !all(vapply(counts, function(part) checkmate::test_count(m$noise[[part]]), NA))) {
    damaged_fit(name, "its `noise` must be the list that mash() makes")
  }
  invisible(m)
}

# A fit saved by mashr, or a list made by hand with its class.
is_mashr_fit <- function(m) inherits(m, "mash") && is.list(m) && !is.null(m[["fitted_g"]])

damaged_fit <- function(name, ..., env = parent.frame()) {
  what <- interpolate(..., env = env)
  abort_input("`{name}` is damaged: {what}; fit it again with mash().", class = "covmash_error_fit")
}

# That the parts of a prior fit together; its matrices are judged where it meets data.
validate_g <- function(g, name) {
  if (!is.list(g) || !is.list(g$Ulist) || length(g$Ulist) == 0L || is.null(names(g$Ulist))) {
    damaged_fit(name, "its `fitted_g` has no named list of matrices `Ulist`")
  }
  if (!is.numeric(g$grid) || length(g$grid) == 0L || !all(is.finite(g$grid)) || any(g$grid < 0)) {
    damaged_fit(name, "its `fitted_g` has no `grid` of finite standard deviations of at least 0")
  }
  if (!checkmate::test_flag(g$usepointmass)) {
    damaged_fit(name, "its `fitted_g$usepointmass` must be TRUE or FALSE, not {describe(g$usepointmass)}")
  }
  if (!are_weights(g$pi, n_components(g))) {
    damaged_fit(
      name, "its `fitted_g$pi` must hold {plural(n_components(g), 'non-negative weight')} that sum to 1, not ",
      "{describe_weights(g$pi)}"
    )
  }
}

are_weights <- function(pi, n, any_sum = FALSE) {
  is.numeric(pi) && length(pi) == n && all(is.finite(pi)) && all(pi >= 0) &&
    if (any_sum) is.finite(sum(pi)) && sum(pi) > 0 else abs(sum(pi) - 1) < 1e-6
}

describe_weights <- function(pi) {
  if (!is.numeric(pi) || length(pi) == 0L) {
    return(describe(pi))
  }
  bad <- which(!is.finite(pi) | pi < 0)
  if (length(bad) > 0L) {
    return(paste(format(pi[bad[1]]), "as its element", bad[1]))
  }
  paste0(plural(length(pi), "weight"), " with the sum ", format(sum(pi), digits = 10))
}

# One part of the results of a fit or of mash_1by1(), or of any list with a `result`.
result_part <- function(x, part, name = "x") {
  refuse_missing(missing(x), name, "a fit of mash() or a result of mash_1by1()", "covmash_error_fit")
  result <- if (is.list(x) && !is.data.frame(x)) x[["result"]]
  if (!is.list(result)) {
    abort_input(
      "`{name}` must be a fit of mash() or a result of mash_1by1(), not {describe(x)}.",
      class = "covmash_error_fit"
    )
  }
  value <- result[[part]]
  if (is.null(value) && length(result) == 0L) {
    abort_input(
      if (is.null(x[["source"]])) {
        "`{name}` has no posterior (it was made with `outputlevel = 1`); compute it with "
      } else {
        "`{name}` has no posterior, for it is the fit of a source; write it with mash_posterior() or compute some with "
      },
      "mash_compute_posterior_matrices().",
      class = "covmash_error_fit"
    )
  }
  if (!is.null(value) && !is.numeric(value)) {
    damaged_fit(name, "its `result${part}` must be a numeric matrix, not {describe(value)}")
  }
  value
}

# An element of a fit as a whole.
fit_element <- function(x, element, name = "x") {
  refuse_missing(missing(x), name, "a fit of mash()", "covmash_error_fit")
  value <- if (is.list(x) && !is.data.frame(x)) x[[element]]
  if (is.null(value)) {
    abort_input("`{name}` must be a fit of mash(), not {describe(x)}.", class = "covmash_error_fit")
  }
  value
}
