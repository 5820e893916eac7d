# The prior of the effects, `g`: covariance matrices (Ulist), a grid of scales, a point mass at
# zero or not, and the weights pi of the components, null first, then grid-major.

# Ulist, grid and point mass, checked, from the arguments of mash().
new_model <- function(data, Ulist, grid, gridmult, normalizeU, usepointmass) {
  check_flag(normalizeU, "normalizeU")
  check_flag(usepointmass, "usepointmass")
  if (is.null(Ulist)) {
    abort_input(
      "`Ulist` is missing; give covariance matrices, e.g. cov_canonical(data), or `g`.",
      class = "covmash_error_ulist"
    )
  }
  Ulist <- check_ulist(Ulist, ncol(data$Bhat), colnames(data$Bhat))
  if (normalizeU) {
    Ulist <- normalize_Ulist(Ulist)
  }
  if (is.null(grid)) {
    check_gridmult(gridmult)
    grid <- autoselect_grid(data, gridmult)
  } else {
    grid <- check_grid(grid)
  }
  list(Ulist = Ulist, grid = grid, usepointmass = usepointmass)
}

# The same from a fit, or its fitted_g; with `pi` if it has one.
model_from_g <- function(g, data, usepointmass = NULL, need_pi = TRUE) {
  if (inherits(g, "mash_fit") || is.list(g) && !is.null(g$fitted_g)) {
    check_alpha(g, data)
    g <- g$fitted_g
  }
  if (!is.list(g) || is.null(g$Ulist) || is.null(g$grid)) {
    abort_input(
      "`g` must be a fit of mash() or its `fitted_g` (a list with pi, Ulist, grid, usepointmass), not ",
      "{describe(g)}.",
      class = "covmash_error_g"
    )
  }
  point <- point_mass_of_g(g, usepointmass)
  model <- list(
    Ulist = check_ulist(
      g$Ulist, ncol(data$Bhat), colnames(data$Bhat), "g$Ulist"
    ),
    grid = check_grid(g$grid, "g$grid"),
    usepointmass = point
  )
  if (need_pi) {
    model$pi <- check_pi(g$pi, model)
  }
  model
}

# usepointmass may be said again, if it says the same.
point_mass_of_g <- function(g, usepointmass) {
  if (is.null(g$usepointmass)) {
    point <- if (is.null(usepointmass)) TRUE else usepointmass
  } else {
    point <- g$usepointmass
    if (!is.null(usepointmass) && !identical(usepointmass, point)) {
      abort_input(
        "`usepointmass` cannot differ from that of `g`, which is {describe(point)}; leave it out.",
        class = "covmash_error_g"
      )
    }
  }
  check_flag(point, "usepointmass")
  point
}

check_alpha <- function(fit, data) {
  if (!is.null(fit$alpha) && !isTRUE(all.equal(fit$alpha, data$alpha))) {
    abort_input(
      "The fit was made with alpha = {format(fit$alpha)} but `data` have alpha = {format(data$alpha)}; make ",
      "the data with the same alpha.",
      class = "covmash_error_alpha"
    )
  }
}

check_pi <- function(pi, model) {
  P <- n_components(model)
  ok <- is.numeric(pi) && length(pi) == P && all(is.finite(pi)) &&
    all(pi >= 0) && abs(sum(pi) - 1) < 1e-6
  if (!ok) {
    first <- if (model$usepointmass) "null first, then "
    abort_input(
      "`g$pi` must hold {plural(P, 'non-negative weight')} that sum to 1 ({first}grid-major), not ",
      "{describe(pi)}.",
      class = "covmash_error_g"
    )
  }
  as.double(pi)
}

# The model with its weights, from a fit or a fitted_g. A bare fitted_g does not
# know its alpha, so the user is reminded of it.
model_for_data <- function(g, data) {
  check_data(data)
  model <- model_from_g(g, data)
  if (is.null(g$fitted_g)) {
    inform_covmash(
      "`g` is a fitted_g, which does not record alpha; it is taken to belong to alpha = ",
      "{format(data$alpha)}, that of `data`.",
      class = "covmash_message_alpha"
    )
  }
  model
}

# ---- components --------------------------------------------------------------

# Component names, null first, then grid-major.
component_names <- function(model) {
  L <- length(model$grid)
  labels <- paste0(
    rep(names(model$Ulist), times = L), ".",
    rep(seq_len(L), each = length(model$Ulist))
  )
  if (model$usepointmass) c("null", labels) else labels
}

n_components <- function(model) {
  length(model$Ulist) * length(model$grid) + isTRUE(model$usepointmass)
}

# The penalty as pseudo-counts: prior_p - 1 is the weight of log(pi_p). The
# null component comes first, if there is one; without it nothing is penalised.
set_prior <- function(n_components, prior, nullweight, usepointmass,
                      name = "prior") {
  if (is.numeric(prior)) {
    return(check_prior_vector(prior, n_components, name))
  }
  prior <- check_choice(prior, c("nullbiased", "uniform"), name)
  check_number(nullweight, "nullweight", 1, what = "a number of at least 1")
  values <- rep(1, n_components)
  if (prior == "nullbiased" && usepointmass) {
    values[1] <- nullweight
  }
  values
}

check_prior_vector <- function(prior, n_components, name) {
  if (length(prior) != n_components) {
    abort_input(
      "A numeric `{name}` must have one value for each of the {plural(n_components, 'mixture component')}, ",
      "but it has length {length(prior)}.",
      class = "covmash_error_prior"
    )
  }
  if (!all(is.finite(prior)) || any(prior < 1)) {
    at <- which(!is.finite(prior) | prior < 1)[1]
    abort_input(
      "A numeric `{name}` must hold finite values of at least 1, but its element {at} is ",
      "{format(prior[at])}.",
      class = "covmash_error_prior"
    )
  }
  as.double(prior)
}

# ---- covariance matrices -----------------------------------------------------

# The list of covariance matrices: plain, named, each checked.
check_ulist <- function(Ulist, R, conditions = NULL, name = "Ulist") {
  if (is.matrix(Ulist) || inherits(Ulist, c("factor_cov", "Matrix"))) {
    Ulist <- list(Ulist)
  }
  if (!is.list(Ulist) || is.data.frame(Ulist)) {
    abort_input(
      "`{name}` must be a list of covariance matrices, not {describe(Ulist)}.",
      class = "covmash_error_ulist"
    )
  }
  if (length(Ulist) == 0L) {
    abort_input(
      "`{name}` is empty; give at least one covariance matrix, e.g. those of cov_canonical().",
      class = "covmash_error_ulist"
    )
  }
  Ulist <- name_ulist(Ulist, name)
  size <- paste("have one row and one column for each of the", plural(R, "condition"))
  for (k in seq_along(Ulist)) {
    label <- paste0("Matrix ", k, " ('", names(Ulist)[k], "') of `", name, "`")
    # A factored covariance stays factored.
    Ulist[[k]] <- covariance_input(
      Ulist[[k]], label, "semi", "a numeric matrix", R, size, vector = "column",
      factored = TRUE, class = "covmash_error_ulist"
    )
    check_order_of_conditions(Ulist[[k]], label, conditions)
  }
  Ulist
}

# Matrices without a name are called U1, U2, ... after their place.
name_ulist <- function(Ulist, name = "Ulist") {
  labels <- names(Ulist)
  if (is.null(labels)) {
    labels <- character(length(Ulist))
  }
  unnamed <- is.na(labels) | !nzchar(labels)
  labels[unnamed] <- paste0("U", seq_along(Ulist))[unnamed]
  if (anyDuplicated(labels)) {
    warn_covmash(
      "`{name}` has two matrices called '{labels[duplicated(labels)][1]}'; numbers are added to tell them ",
      "apart.",
      class = "covmash_warning_names"
    )
    labels <- make.unique(labels)
  }
  names(Ulist) <- labels
  as.list(Ulist)
}

check_order_of_conditions <- function(U, label, conditions) {
  labels <- colnames(U)
  if (!is.null(conditions) && setequal(labels, conditions) && !identical(labels, conditions)) {
    at <- which(labels != conditions)[1]
    abort_input(
      "{label} has the conditions of the data in another order (column {at} is '{labels[at]}'); ",
      "reorder its rows and columns.",
      class = "covmash_error_names"
    )
  }
}

# Divide by the largest variance, so that the grid means the same for all.
normalize_cov <- function(U) {
  largest <- max(diag(U))
  if (largest > 0) U / largest else U
}

is_zero_covariance <- function(U) all(diag(U) == 0)

normalize_Ulist <- function(Ulist) lapply(Ulist, normalize_cov)

# Every matrix at every grid point, grid-major, with component names.
expand_cov <- function(Ulist, grid, usepointmass = TRUE) {
  model <- list(Ulist = Ulist, grid = grid, usepointmass = usepointmass)
  scaled <- scale_cov(Ulist, grid)
  if (usepointmass) {
    scaled <- c(list(matrix(0, nrow(Ulist[[1]]), ncol(Ulist[[1]]))), scaled)
  }
  stats::setNames(scaled, component_names(model))
}

scale_cov <- function(Ulist, grid) {
  do.call(c, lapply(grid, function(w) lapply(Ulist, function(U) w^2 * U)))
}
