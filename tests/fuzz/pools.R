# What calls are made of: valid problems and objects of every kind, values that fit nowhere, and ways to spoil a valid
# value. All randomness is R's generator, so that a call follows from its seed alone.

pick <- function(x) x[[sample.int(length(x), 1)]]
chance <- function(p) stats::runif(1) < p
between <- function(a, b) if (a >= b) a else sample(a:b, 1)

# ---- problems of mash --------------------------------------------------------

random_correlation <- function(R, cond = 10) {
  if (R == 1) return(matrix(1))
  Q <- qr.Q(qr(matrix(stats::rnorm(R * R), R)))
  V <- Q %*% (cond^seq(-1, 0, length.out = R) * t(Q))
  V <- stats::cov2cor((V + t(V)) / 2)
  (V + t(V)) / 2
}

random_U <- function(R, kind = pick(c("null", "singleton", "rank1", "low", "identity", "full", "full", "factor"))) {
  U <- switch(kind,
    null = matrix(0, R, R),
    singleton = diag(as.numeric(seq_len(R) == sample.int(R, 1)), R),
    rank1 = tcrossprod(stats::rnorm(R) * (if (R > 1 && chance(0.3)) seq_len(R) > 1 else 1)),
    low = tcrossprod(matrix(stats::rnorm(R * max(1, R - 1)), R)),
    identity = diag(stats::runif(1, 0.5, 2), R),
    full = crossprod(matrix(stats::rnorm(R * (R + 2)), R + 2)),
    factor = covmash::factor_covariance(
      matrix(stats::rnorm(R * min(2, R)), R), D = stats::runif(R) * (if (chance(0.3)) 0 else 1)
    )
  )
  U
}

# Effects, standard errors, V, alpha and a prior. `plain`: of moderate size and scale, for comparisons of values.
new_problem <- function(plain = FALSE, J = NULL, R = NULL, scaled = TRUE) {
  if (is.null(R)) R <- pick(c(1, 2, 2, 3, 3, 4, 5, 6, 8))
  if (is.null(J)) J <- pick(if (plain) c(1, 2, 3, 5, 8, 12) else c(1, 1, 2, 3, 5, 8, 12, 20, 40, 60))
  noise <- pick(c("one", "common", "proportional", "rows", "odd", "ties"))
  Shat <- switch(noise,
    one = matrix(1, J, R),
    common = matrix(stats::runif(R, 0.3, 2), J, R, byrow = TRUE),
    proportional = outer(sample(c(0.5, 1, 1.7), J, TRUE), stats::runif(R, 0.3, 2)),
    rows = matrix(exp(stats::runif(J * R, log(0.1), log(3))), J, R),
    odd = {
      s <- matrix(stats::runif(R, 0.3, 2), J, R, byrow = TRUE)
      s[J, ] <- stats::runif(R, 0.3, 2)
      s
    },
    ties = matrix(sample(c(0.5, 1), J * R, TRUE), J, R)
  )
  z <- matrix(stats::rnorm(J * R, sd = sample(c(0.3, 1, 4), J * R, TRUE)), J, R)
  if (chance(0.1)) z <- round(z)
  if (chance(0.05)) z[] <- 0
  if (chance(0.05)) z <- 10 * z
  if (chance(0.1)) z[sample.int(J * R, 1)] <- 0
  scale <- if (chance(0.8) || !scaled) 1 else pick(if (plain) c(1e-6, 1e6) else c(1e-6, 1e6, 1e-10, 1e30))
  if (!plain && chance(0.03)) Shat <- Shat * 1e-3 * exp(stats::runif(J * R, 0, log(1e6)))
  Bhat <- z * Shat * scale
  Shat <- Shat * scale
  missing <- pick(c("no", "no", "no", "some", "pattern", "row"))
  if (missing == "some") Bhat[stats::runif(J * R) < 0.2] <- NA
  if (missing == "pattern" && R > 1) Bhat[seq_len(J) %% 2 == 0, sample.int(R, 1)] <- NA
  if (missing == "row" && J > 1) Bhat[sample.int(J, 1), ] <- NA
  if (chance(0.3)) Shat[is.na(Bhat) & stats::runif(J * R) < 0.5] <- NA
  # At least one estimate in every condition and in all.
  if (all(is.na(Bhat))) {
    Bhat[] <- 0.5 * scale
    Shat[] <- scale
  }
  named <- pick(c("both", "both", "rows", "columns", "no"))
  dimnames(Bhat) <- list(
    if (named %in% c("both", "rows")) paste0("e", seq_len(J)),
    if (named %in% c("both", "columns")) paste0("c", seq_len(R))
  )
  dimnames(Shat) <- dimnames(Bhat)
  V <- switch(pick(c("identity", "identity", "correlation", "ill", "covariance")),
    identity = diag(R),
    correlation = random_correlation(R),
    ill = random_correlation(R, if (plain) 1e3 else 1e8),
    covariance = random_correlation(R) * tcrossprod(stats::runif(R, 0.5, 2))
  )
  K <- between(1, 4)
  Ulist <- lapply(seq_len(K), function(k) random_U(R))
  names(Ulist) <- paste0("U", seq_len(K))
  grid <- sort(exp(stats::runif(between(1, 3), log(0.2), log(5)))) * scale
  if (chance(0.05)) grid <- c(0, grid)
  usepointmass <- chance(0.8)
  pi <- stats::rexp(K * length(grid) + usepointmass)
  if (length(pi) > 3) pi[sample.int(length(pi), 1)] <- 0
  alpha <- pick(c(0, 0, 0, 1, 1, 0.5))
  # Under alpha = 1 the prior is on z-scores.
  if (alpha > 0) grid <- grid / scale^alpha
  g <- list(pi = pi / sum(pi), Ulist = Ulist, grid = grid, usepointmass = usepointmass)
  names(g$pi) <- component_labels(g)
  list(Bhat = Bhat, Shat = Shat, V = V, alpha = alpha, g = g, J = J, R = R)
}

component_labels <- function(g) {
  L <- length(g$grid)
  labels <- paste0(rep(names(g$Ulist), times = L), ".", rep(seq_len(L), each = length(g$Ulist)))
  if (g$usepointmass) c("null", labels) else labels
}

quietly <- function(expr) suppressMessages(suppressWarnings(expr))

data_of <- function(problem) {
  quietly(covmash::mash_set_data(problem$Bhat, problem$Shat, alpha = problem$alpha, V = problem$V))
}

new_data <- function(...) data_of(new_problem(...))

# What the plain-R model says of a problem (tests/testthat/helper-reference.R).
truth_of <- function(problem, g = problem$g) {
  Ulist <- lapply(g$Ulist, as.matrix)
  reference_mash(
    unname(problem$Bhat), unname(problem$Shat), problem$V, Ulist, g$grid, unname(g$pi), g$usepointmass, problem$alpha
  )
}

# ---- fitted things, made once for a process, each from a seed of its own ---------

made <- new.env()

fixed <- function(kind, k, make) {
  key <- paste(kind, k)
  if (is.null(made[[key]])) {
    seed <- get0(".Random.seed", globalenv())
    on.exit(if (!is.null(seed)) assign(".Random.seed", seed, globalenv()))
    set.seed(1000 * k + utf8ToInt(substr(kind, 1, 1)))
    made[[key]] <- make()
  }
  made[[key]]
}

n_fits <- 24

# problem, data and fit
fit_pool <- function(k = sample.int(n_fits, 1)) {
  fixed("mash", k, function() {
    p <- new_problem(J = c(1, 2, 5, 20, 40)[k %% 5 + 1], R = c(1, 2, 3, 5)[k %% 4 + 1])
    data <- data_of(p)
    fit <- quietly(switch(k %% 6 + 1,
      covmash::mash(data, p$g$Ulist, grid = p$g$grid, verbose = FALSE),
      covmash::mash(data, p$g$Ulist, grid = p$g$grid, verbose = FALSE, output_lfdr = TRUE),
      covmash::mash(data, covmash::cov_canonical(data), verbose = FALSE),
      covmash::mash(data, g = p$g, fixg = TRUE, verbose = FALSE),
      covmash::mash(data, p$g$Ulist, usepointmass = FALSE, verbose = FALSE),
      covmash::mash(data, p$g$Ulist, verbose = FALSE, outputlevel = 1)
    ))
    list(problem = p, data = data, fit = fit)
  })
}

# A fit that has a posterior.
full_fit_pool <- function() {
  repeat {
    one <- fit_pool()
    if (!is.null(one$fit$result$lfsr)) return(one)
  }
}

onebyone_pool <- function(k = sample.int(9, 1)) {
  fixed("onebyone", k, function() {
    p <- new_problem(J = c(1, 3, 20)[k %% 3 + 1], R = c(1, 2, 4)[(k - 1) %/% 3 + 1])
    data <- data_of(p)
    fit <- quietly(covmash::mash_1by1(data, prior = c("ash", "flat", "uniform")[k %% 3 + 1]))
    list(problem = p, data = data, fit = fit)
  })
}

# ---- factored covariances ------------------------------------------------------

# A valid factored covariance. plain: nonsingular, of moderate condition.
new_factor_cov <- function(N = pick(c(1, 1, 2, 3, 5, 8, 12)), K = pick(c(0, 1, 1, 2, 3, N, N + 2)), plain = FALSE,
                           D0 = if (plain) 0 else 0.25, named = chance(0.6)) {
  B <- matrix(stats::rnorm(N * K), N, K)
  F <- NULL
  if (K > 0) {
    F <- switch(pick(c("none", "none", "full", "diagonal", "low")),
      none = NULL,
      full = crossprod(matrix(stats::rnorm(K * (K + 2)), K + 2)),
      diagonal = diag(stats::runif(K, 0.5, 2), K),
      low = if (plain) NULL else tcrossprod(stats::rnorm(K))
    )
  }
  D <- stats::runif(N, 0.2, 2)
  if (chance(D0)) D[sample.int(N, min(N, between(1, 2)))] <- 0
  if (!plain && chance(0.1)) D[] <- 0
  if (!plain && chance(0.1)) D <- D * 10^stats::runif(N, -20, 0)
  if (!plain && chance(0.05)) D <- D * 1e-14
  if (chance(0.1)) D[] <- 1
  scale <- if (plain || chance(0.85)) 1 else pick(c(1e-8, 1e8, 1e-60, 1e60))
  if (named) {
    dimnames(B) <- list(paste0("g", seq_len(N)), if (K > 0 && chance(0.5)) paste0("f", seq_len(K)))
    names(D) <- rownames(B)
  }
  covmash::factor_covariance(B * sqrt(scale), F, D * scale)
}

dense_of <- function(x) {
  B <- unname(x$B)
  S <- if (is.null(x$F)) tcrossprod(B) else B %*% unname(x$F) %*% t(B)
  S <- (S + t(S)) / 2
  S + diag(unname(x$D), length(x$D))
}

# Singular, or too nearly so for an answer: the covariance of the genes without noise is.
is_singular <- function(x) {
  none <- which(x$D == 0)
  if (length(none) == 0) return(FALSE)
  S <- dense_of(x)[none, none, drop = FALSE]
  any(diag(S) <= 0) || condition_of(S) > 1e9
}

regular_factor_cov <- function(plain = chance(0.5), ...) {
  repeat {
    x <- new_factor_cov(plain = plain, ...)
    if (!is_singular(x)) return(x)
  }
}

# The condition of a matrix scaled to unit diagonal.
condition_of <- function(S) {
  sd <- sqrt(diag(S))
  values <- eigen(S / sd / rep(sd, each = nrow(S)), symmetric = TRUE, only.values = TRUE)$values
  if (min(values) <= 0) Inf else max(values) / min(values)
}

# What is nearly singular may be refused.
new_precision <- function(...) {
  repeat {
    P <- tryCatch(covmash::precision(regular_factor_cov(...)), covmash_error = function(cnd) NULL)
    if (!is.null(P)) return(P)
  }
}

new_samples <- function(n = pick(c(4, 6, 10, 25, 40)), N = pick(c(2, 3, 4, 6, 8)), K = 1, missing = FALSE) {
  x <- matrix(stats::rnorm(n * K), n) %*% matrix(stats::rnorm(K * N, sd = 1.5), K) +
    matrix(stats::rnorm(n * N), n) * rep(stats::runif(N, 0.5, 1.5), each = n)
  if (missing) x[stats::runif(n * N) < 0.1] <- NA
  if (chance(0.6)) colnames(x) <- paste0("g", seq_len(N))
  x
}

n_factor_fits <- 12

# x and fit
factor_fit_pool <- function(k = sample.int(n_factor_fits, 1)) {
  fixed("factor_fit", k, function() {
    N <- c(3, 4, 6, 8)[k %% 4 + 1]
    K <- if (k %% 5 == 0) 0 else if (N >= 6) 2 else 1
    x <- new_samples(30, N, max(K, 1), missing = k %% 3 == 0)
    if (K == 1 && N == 3) K <- 0
    method <- c("ml", "pca", "ppca")[k %% 3 + 1]
    if (anyNA(x) && method == "pca") method <- "ml"
    rotation <- c("none", "varimax", "promax")[k %% 3 + 1]
    list(x = x, fit = quietly(covmash::fit_factor_model(x, K, method, rotation = rotation)))
  })
}

selection_pool <- function(k = sample.int(3, 1)) {
  fixed("selection", k, function() {
    x <- new_samples(20, c(4, 5, 6)[k], 1)
    criteria <- list(c("bic", "parallel", "heldout"), "bic", c("bic", "parallel"))[[k]]
    quietly(covmash::select_n_factors(x, 1, criteria, n_folds = 2, n_permutations = 3))
  })
}

new_network <- function() {
  covmash::partial_correlation_network(regular_factor_cov(N = pick(c(1, 3, 6)), plain = TRUE), pick(c(0.01, 0.2, 0.9)))
}

# ---- values that fit nowhere ---------------------------------------------------

hostile <- function() {
  makers <- list(
    function() NULL, function() NA, function() NaN, function() Inf, function() -Inf, function() -1, function() 0,
    function() 1, function() 0.5, function() 2.7, function() 1e-300, function() 1e300, function() 1e12,
    function() 2^31, function() 3L, function() NA_integer_, function() TRUE, function() FALSE, function() "a",
    function() "", function() NA_character_, function() character(), function() numeric(), function() logical(),
    function() list(), function() list(1, "a"), function() function(x) x, function() quote(x), function() quote(f(x)),
    function() factor(c("1", "2")), function() factor("1"), function() as.Date("2020-01-01"), function() 1i,
    function() as.raw(1), function() matrix(1), function() matrix(numeric(), 0, 3), function() matrix(0, 2, 0),
    function() array(1:8, c(2, 2, 2)), function() data.frame(), function() data.frame(a = 1:3, b = letters[1:3]),
    function() letters, function() 1:3, function() c(a = 1), function() c(1, NA), function() c(-1, 1),
    function() y ~ x, function() expression(a), function() globalenv(), function() diag(3), function() -diag(2),
    function() matrix(c(1, 2, 2, 1), 2), function() matrix("a", 2, 2), function() matrix(NA, 2, 2),
    function() matrix(TRUE, 2, 2), function() structure(list(), class = "mash_fit"),
    function() structure(list(), class = c("mash_data", "mash")), function() structure(list(), class = "factor_cov"),
    function() structure(1, class = "foo"), function() new_factor_cov(), function() new_data(),
    function() fit_pool()$fit, function() onebyone_pool()$fit, function() factor_fit_pool()$fit,
    function() methods::new("numeric"), function() .Machine$integer.max, function() -0.0, function() 1e-17
  )
  pick(makers)()
}

have_Matrix <- requireNamespace("Matrix", quietly = TRUE)

# ---- spoiling a value ----------------------------------------------------------

# A value like the one given, and wrong in some way; often it is still acceptable. Ways that do not fit it give NULL.
spoil <- function(x) tryCatch(suppressWarnings(spoil_once(x)), error = function(cnd) NULL)

spoil_once <- function(x) {
  # An object of covmash inside a list is damaged by this.
  if (is_ours(x)) made$damage <- TRUE
  if (is.null(x) || is.function(x) || is.environment(x) || is.language(x) || chance(0.15)) {
    return(hostile())
  }
  if (is.list(x) && !is.data.frame(x)) return(spoil_list(x))
  if (is.matrix(x) && is.numeric(x) || is.data.frame(x)) return(spoil_matrix(x))
  if (is.numeric(x) && length(x) > 1) return(spoil_vector(x))
  if (is.character(x)) return(pick(list(hostile(), rev(x), c(x, "zzz"), x[0], toupper(x), as.factor(x), NA_character_)))
  if (is.numeric(x)) {
    return(pick(list(
      hostile(), hostile(), x + 0.5, -x, x * (if (x == round(x) || abs(x) > 1) 50 else 1e6), as.character(x), as.integer(x),
      c(x, x), x[0], factor(x), list(x),
      x + 1, matrix(x), NA_real_, x * 1e155, x * 1e-200
    )))
  }
  hostile()
}

spoil_matrix <- function(x) {
  m <- nrow(x)
  n <- ncol(x)
  at <- if (length(as.matrix(x)) > 0) sample.int(m * n, 1) else 0
  put <- function(v) {
    if (at == 0) return(x)
    x <- as.matrix(x)
    x[at] <- v
    x
  }
  named <- function(rows, columns) {
    x <- as.matrix(x)
    dimnames(x) <- list(rows, columns)
    x
  }
  ways <- list(
    function() hostile(),
    function() as.data.frame(x), function() unname(as.matrix(x)), function() t(x),
    function() x[-1, , drop = FALSE], function() x[, -1, drop = FALSE], function() x[0, , drop = FALSE],
    function() x[, 0, drop = FALSE], function() rbind(as.matrix(x), 1), function() cbind(as.matrix(x), 1),
    function() x[rev(seq_len(m)), , drop = FALSE], function() x[, rev(seq_len(n)), drop = FALSE],
    function() put(NA), function() put(NaN), function() put(Inf), function() put(-Inf), function() put(-1),
    function() put(0), function() put(1e155), function() put(-1e300), function() put(1e-200), function() put(1e-310),
    function() as.matrix(x) * 1e-200, function() as.matrix(x) * 1e160, function() as.matrix(x) * 1e-9,
    function() round(as.matrix(x)), function() 0 * as.matrix(x),
    function() {
      x <- as.matrix(x)
      storage.mode(x) <- "integer"
      x
    },
    function() {
      x <- as.matrix(x)
      storage.mode(x) <- "character"
      x
    },
    function() as.vector(as.matrix(x)), function() as.list(as.data.frame(x)), function() as.matrix(x) + 0i,
    function() named(rep("same", m), rep("same", n)), function() named(NULL, rev(paste0("c", seq_len(n)))),
    function() named(paste0("x", seq_len(m)), paste0("null", seq_len(n))), function() named(rep(NA, m), rep("", n)),
    function() structure(as.matrix(x), class = c("foo", "matrix")), function() structure(as.matrix(x), note = "kept"),
    function() x[c(seq_len(m), m), , drop = FALSE], function() array(as.matrix(x), c(m, n, 1)),
    function() if (have_Matrix) methods::as(as.matrix(x), "dMatrix") else x,
    function() if (have_Matrix) Matrix::Matrix(as.matrix(x), sparse = TRUE) else x,
    function() if (have_Matrix && m == n) Matrix::Diagonal(m) else x,
    function() if (m == n) -as.matrix(x) else x, function() if (m == n && m > 1) put(as.matrix(x)[at] + 1) else x,
    function() if (m == n) as.matrix(x) - diag(m) else x, function() as.data.frame(lapply(as.data.frame(x), factor))
  )
  pick(ways)()
}

spoil_vector <- function(x) {
  n <- length(x)
  put <- function(v) {
    x[sample.int(n, 1)] <- v
    x
  }
  pick(list(
    function() hostile(), function() rev(x), function() x[-1], function() c(x, x[1]), function() x[0],
    function() put(NA),
    function() put(NaN), function() put(Inf), function() put(-1), function() put(0), function() put(1e200),
    function() put(1e-300), function() x * 1e-200, function() x * 1e200, function() -x, function() as.integer(x),
    function() as.character(x), function() as.list(x), function() factor(x), function() matrix(x), function() t(x),
    function() unname(x), function() stats::setNames(x, rep("same", n)),
    function() stats::setNames(x, paste0("z", 1:n)),
    function() x + 0i, function() put(x[1]), function() rep(x, 3)
  ))()
}

# Elements of the list itself, one level or more down; the class stays.
spoil_list <- function(x) tryCatch(suppressWarnings(spoil_element(x)), error = function(cnd) NULL)

spoil_element <- function(x) {
  if (length(x) == 0) return(hostile())
  at <- sample.int(length(x), 1)
  label <- names(x)[at]
  plain <- unclass(x)
  keep <- attributes(x)
  change <- function(value) {
    if (is.null(value)) plain[at] <- list(NULL) else plain[[at]] <- value
    restored <- plain
    attributes(restored) <- utils::modifyList(as.list(attributes(plain)), keep[setdiff(names(keep), "names")])
    if (isS4(x)) restored <- asS4(restored)
    restored
  }
  way <- pick(c("spoil", "spoil", "spoil", "spoil", "remove", "hostile", "swap", "rename", "bare", "double"))
  switch(way,
    spoil = change(spoil(plain[[at]])),
    remove = {
      if (is.null(label)) x[-at] else {
        plain[[label]] <- NULL
        keep$names <- names(plain)
        attributes(plain) <- keep
        if (isS4(x)) asS4(plain) else plain
      }
    },
    hostile = change(hostile()),
    swap = change(plain[[sample.int(length(x), 1)]]),
    rename = {
      if (!is.null(label)) keep$names[at] <- pick(c("zzz", "", NA, names(x)[1]))
      attributes(plain) <- keep
      if (isS4(x)) asS4(plain) else plain
    },
    bare = plain,
    double = c(plain, plain[at])
  )
}
