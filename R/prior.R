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
  check_reach(list(Ulist = Ulist, grid = grid, usepointmass = usepointmass), data)
}

# Effects so large that their variance, in units of the smallest noise, is no number. Common sizes are known to be
# far from that without a look at the data.
check_reach <- function(model, data) {
  variances <- vapply(model$Ulist, function(U) max(diag(U)), numeric(1))
  largest <- sqrt(max(variances)) * max(model$grid)
  if (largest < 1e50) {
    return(model)
  }
  smallest <- min(1, effect_range(data)$smallest_shat)
  if (!(largest / smallest <= 1e150)) {
    k <- which.max(variances)
    abort_input(
      "Matrix {k} ('{names(model$Ulist)[k]}') at the largest grid point has the standard deviation {format(largest)}, ",
      "too large to compute with; use smaller matrices or a smaller `grid`.",
      class = "covmash_error_grid"
    )
  }
  model
}

# The same from a fit, or its fitted_g; with `pi` if it has one.
model_from_g <- function(g, data, usepointmass = NULL, need_pi = TRUE) {
  g <- check_g(g)
  if (!is.null(g$fitted_g)) {
    check_alpha(g, data)
    g <- g$fitted_g
  }
  point <- point_mass_of_g(g, usepointmass)
  model <- list(
    Ulist = check_ulist(
      g$Ulist, ncol(data$Bhat), colnames(data$Bhat), "g$Ulist"
    ),
    grid = check_grid(g$grid, "g$grid"),
    usepointmass = point
  )
  check_reach(model, data)
  if (need_pi) {
    model$pi <- check_pi(g$pi, model)
  }
  model
}

# A fit, or something with the parts of a prior.
check_g <- function(g) {
  refuse_missing(missing(g), "g", "a fit of mash() or its `fitted_g`", "covmash_error_g")
  bare <- if (is.list(g) && !is.null(g[["fitted_g"]])) g$fitted_g else g
  if (!is.list(bare) || is.null(bare[["Ulist"]]) || is.null(bare[["grid"]])) {
    abort_input(
      "`g` must be a fit of mash() or its `fitted_g` (a list with pi, Ulist, grid, usepointmass), not ",
      "{describe(g)}.",
      class = "covmash_error_g"
    )
  }
  g
}

# The data in the conditions of `g`, a fit or its fitted_g.
data_for_g <- function(data, g) match_conditions(data, conditions_of(check_g(g)))

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
  if (!are_weights(pi, P, any_sum = TRUE)) {
    first <- if (model$usepointmass) "null first, then "
    abort_input(
      "`g$pi` must hold {plural(P, 'non-negative weight')}, not all 0 ({first}grid-major), not ",
      "{describe_weights(pi)}.",
      class = "covmash_error_g"
    )
  }
  if (!are_weights(pi, P)) {
    warn_covmash(
      "`g$pi` sums to {format(sum(pi), digits = 10)}, not 1, and is scaled: posteriors are the same, log-likelihoods not.",
      class = "covmash_warning_pi"
    )
    pi <- pi / sum(pi)
  }
  as.double(pi)
}

# What is asked about data under a given prior, a fit or a fitted_g: the data in its conditions and the model with
# its weights. A bare fitted_g does not know its alpha, so the user is reminded of it.
problem_of <- function(g, data) {
  data <- data_for_g(take_data(data), g)
  model <- model_from_g(g, data)
  if (is.null(g$fitted_g)) {
    inform_covmash(
      "`g` is a fitted_g, which does not record alpha; it is taken to belong to alpha = ",
      "{format(data$alpha)}, that of `data`.",
      class = "covmash_message_alpha"
    )
  }
  list(data = data, model = model)
}

# ---- components --------------------------------------------------------------

# Component names, null first, then grid-major.
component_names <- function(model) {
  if (!is.null(model$labels)) {
    return(model$labels)
  }
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

# The penalty as pseudo-counts: prior_p - 1 is the weight of log(pi_p). `null` is the place of the null component, 0 if
# there is none: then nothing is penalised.
set_prior <- function(n_components, prior, nullweight = 10, null = 1L, name = "prior") {
  if (is.numeric(prior)) {
    return(check_prior_vector(prior, n_components, name))
  }
  prior <- check_choice(prior, c("nullbiased", "uniform"), name)
  check_number(nullweight, "nullweight", 1, what = "a number of at least 1")
  values <- rep(1, n_components)
  if (prior == "nullbiased" && null > 0L) {
    values[null] <- nullweight
  }
  values
}

# The point mass at zero or else the first component that is one: a matrix or a grid point of zero.
null_component <- function(model) {
  if (model$usepointmass) {
    return(1L)
  }
  zero <- outer(vapply(model$Ulist, is_zero_covariance, NA), model$grid == 0, `|`)
  if (any(zero)) which(zero)[1] else 0L
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
      factored = TRUE, class = "covmash_error_ulist", advice = "; nearest_covariance() gives the nearest that is one"
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

# Names that have nothing in common with those of the data are accepted, as in check_same_names().
check_order_of_conditions <- function(U, label, conditions) {
  for (side in 1:2) {
    labels <- dimnames(U)[[side]]
    what <- c("row", "column")[side]
    if (is.null(conditions) || is.null(labels) || identical(labels, conditions) || !any(labels %in% conditions)) {
      next
    }
    at <- which(labels != conditions)[1]
    if (setequal(labels, conditions)) {
      abort_input(
        "{label} has the conditions of the data in another order ({what} {at} is '{labels[at]}'); ",
        "reorder its rows and columns.",
        class = "covmash_error_names"
      )
    }
    abort_input(
      "{label} does not have the conditions of the data: its {what} {at} is '{labels[at]}', but that of the data ",
      "'{conditions[at]}'; rename its rows and columns or leave them without names.",
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
  scaled <- do.call(c, lapply(grid, function(w) lapply(Ulist, function(U) w^2 * U)))
  if (!is.null(names(Ulist))) {
    names(scaled) <- paste0(names(Ulist), ".", rep(seq_along(grid), each = length(Ulist)))
  }
  scaled
}
