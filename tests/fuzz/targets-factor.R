# Calls of the side of factored covariances and factor models, against dense algebra.

dense_inverse_of <- function(x) dense_inverse(dense_of(x))

# ---- making ----------------------------------------------------------------------

target("factor_covariance", weight = 2, function() {
  x <- new_factor_cov()
  args <- list(B = x$B, F = x$F, D = x$D)
  if (chance(0.1)) args$B <- as.data.frame(args$B)
  if (chance(0.1)) args$D <- diag(unname(args$D), length(args$D))
  # As it is: to Matrix itself tiny numbers are symmetric, whatever they are.
  if (chance(0.1) && have_Matrix && ncol(x$B) > 0) {
    B <- as.matrix(args$B)
    args$B <- methods::new("dgeMatrix", x = as.vector(B), Dim = dim(B), Dimnames = list(rownames(B), colnames(B)))
  }
  valid("factor_covariance", args, check = function(value) {
    near_matrix(dense_of(value), dense_of(x), 1e-13, "covariance")
  })
})

target("generate_factor_covariance", draws = TRUE, weight = 0.7, function() {
  n <- between(1, 8)
  k <- between(0, 3)
  args <- list(n_genes = n, n_pathways = k)
  if (chance(0.3)) args$pathways_per_gene <- between(0, k)
  if (chance(0.2)) args$gene_names <- letters[seq_len(n)]
  valid("generate_factor_covariance", args, check = function(x) {
    same(as.integer(dim(x$Sigma)), as.integer(c(n, n)), "shape")
  })
})

target("n_parameters", weight = 0.4, function() {
  n <- between(1, 50)
  k <- between(0, 5)
  valid("n_parameters", list(n, k), check = function(x) {
    wanted <- c(n * (n + 1) / 2, n * k + n, n * k + n - k * (k - 1) / 2)
    near(c(x$full, x$factor, x$identified), wanted, 0, what = "counts")
  })
})

# ---- entries and shape ---------------------------------------------------------------

target("dim.factor_cov", weight = 0.2, function() {
  x <- new_factor_cov()
  valid("dim", list(x), function(v) same(as.integer(v), rep(length(x$D), 2), "dim"))
})
target("dim.factor_precision", weight = 0.2, function() {
  x <- new_precision()
  valid("dim", list(x), function(v) same(as.integer(v), rep(nrow(x$covariance$B), 2), "dim"))
})
target("dimnames.factor_cov", weight = 0.2, function() {
  x <- new_factor_cov()
  valid("dimnames", list(x), function(v) {
    same(v, if (!is.null(names(x$D))) list(names(x$D), names(x$D)), "dimnames")
  })
})
target("dimnames.factor_precision", weight = 0.2, function() {
  x <- new_precision()
  valid("dimnames", list(x), function(v) same(v, dimnames(x$covariance), "dimnames"))
})
target("t.factor_cov", weight = 0.2, function() {
  x <- new_factor_cov()
  valid("t", list(x), function(v) same(v, x, "t()"))
})
target("t.factor_precision", weight = 0.2, function() {
  x <- new_precision()
  valid("t", list(x), function(v) same(v, x, "t()"))
})

target("as.matrix.factor_cov", weight = 0.7, function() {
  x <- new_factor_cov()
  valid("as.matrix", list(x), check = function(v) {
    c(
      near_matrix(v, dense_of(x), 1e-13, "matrix"), names_are(v, names(x$D), names(x$D)), same(v, t(v), "its transpose")
    )
  })
})

target("as.matrix.factor_precision", weight = 2, function() {
  x <- regular_factor_cov()
  valid("as.matrix", list(covmash::precision(x)), check = function(v) {
    S <- dense_of(x)
    c(near_matrix(v, dense_inverse(S), inverse_tolerance(S), "precision"), same(v, t(v), "its transpose"))
  })
})

genes_of <- function(x, at) if (is.null(names(x$D)) || chance(0.5)) at else names(x$D)[at]

target("[.factor_cov", weight = 1.5, function() {
  x <- new_factor_cov()
  N <- length(x$D)
  i <- sample.int(N, between(1, N), chance(0.2))
  j <- if (chance(0.4)) i else sample.int(N, between(1, N))
  S <- dense_of(x)
  dimnames(S) <- dimnames(x)
  way <- pick(c("both", "both", "no drop", "rows", "pairs", "vector"))
  scale <- max(diag(S), 1e-300)
  switch(way,
    both = valid("[", list(x, genes_of(x, i), genes_of(x, j)), check = function(v) {
      wanted <- S[i, j]
      if (inherits(v, "factor_cov")) v <- as.matrix(v)
      c(near(v, wanted, 1e-13, scale, "entries"), same(dimnames(v), dimnames(wanted), "dimnames"))
    }),
    `no drop` = valid("[", list(x, i, j, drop = FALSE), check = function(v) {
      if (inherits(v, "factor_cov")) v <- as.matrix(v)
      near(v, S[i, j, drop = FALSE], 1e-13, scale, "entries")
    }),
    rows = valid("[", list(x, i, quote(expr = )), check = function(v) {
      if (inherits(v, "factor_cov")) v <- as.matrix(v)
      near(v, S[i, ], 1e-13, scale, "entries")
    }),
    pairs = valid("[", list(x, cbind(rep_len(i, 3), rep_len(j, 3))), check = function(v) {
      near(v, S[cbind(rep_len(i, 3), rep_len(j, 3))], 1e-13, scale, "entries")
    }),
    vector = valid("[", list(x, i), check = function(v) near(v, unname(S[i]), 1e-13, scale, "entries"))
  )
})

target("[.factor_precision", weight = 1, function() {
  x <- regular_factor_cov(plain = TRUE)
  P <- covmash::precision(x)
  S <- dense_of(x)
  M <- dense_inverse(S)
  dimnames(M) <- dimnames(x)
  N <- nrow(M)
  i <- sample.int(N, between(1, N))
  j <- sample.int(N, between(1, N))
  valid("[", list(P, genes_of(x, i), genes_of(x, j)), check = function(v) {
    if (inherits(v, "factor_precision")) v <- as.matrix(v)
    near(v, M[i, j], inverse_tolerance(S), max(diag(M)), "entries")
  })
})

target("all.equal.factor_cov", weight = 0.5, function() {
  x <- new_factor_cov(plain = TRUE)
  K <- ncol(x$B)
  y <- x
  if (is.null(x$F) && K > 1) {
    Q <- qr.Q(qr(matrix(stats::rnorm(K * K), K)))
    y$B <- x$B %*% Q
    dimnames(y$B) <- dimnames(x$B)
  }
  different <- chance(0.5)
  if (different) y$D <- y$D + 0.5
  valid("all.equal", list(x, y), check = function(v) yes(isTRUE(v) != different, "all.equal() is wrong"))
})

target("all.equal.factor_precision", weight = 0.3, function() {
  x <- new_precision()
  valid("all.equal", list(x, x), check = function(v) yes(isTRUE(v), "not equal to itself"))
})

target("Ops.factor_cov", weight = 0.7, function() {
  x <- new_factor_cov(plain = TRUE)
  a <- pick(c(0, 0.5, 3, 1e-6, 1e6))
  way <- pick(c("left", "right", "over"))
  if (way == "over" && a == 0) a <- 2
  S <- dense_of(x)
  wanted <- if (way == "over") S / a else a * S
  args <- if (way == "left") list(a, x) else list(x, a)
  valid(if (way == "over") "/" else "*", args, check = function(v) {
    near(unname(as.matrix(v)), wanted, 1e-13, max(abs(wanted)), "entries")
  })
})

# As S4 methods, of both classes: multiples and quotients by one number are the only ones there are.
for (class in c("factor_cov", "factor_precision")) local({
  class <- class
  make <- function() if (class == "factor_cov") new_factor_cov(plain = TRUE) else new_precision(plain = TRUE)
  scaled <- function(name, args_of, weight = 0.3) {
    target(name, weight = weight, function() {
      x <- make()
      a <- pick(c(0.5, 3, 1e-6, 1e6))
      one <- args_of(x, a)
      valid(one$fun, one$args, check = function(v) {
        M <- unname(as.matrix(x))
        near(unname(as.matrix(v)), one$factor * M, 1e-12, max(abs(one$factor * M)) * 1e-3, "entries")
      })
    })
  }
  scaled(paste0("Ops(", class, ",ANY)"), function(x, a) {
    over <- chance(0.5)
    list(fun = if (over) "/" else "*", args = list(x, a), factor = if (over) 1 / a else a)
  })
  scaled(paste0("Ops(ANY,", class, ")"), function(x, a) list(fun = "*", args = list(a, x), factor = a))
  # Errors, whatever they are given.
  for (other in c("missing", class)) local({
    other <- other
    target(paste0("Ops(", class, ",", other, ")"), weight = 0.2, function() {
      if (other == "missing") return(refused("-", list(make())))
      refused(pick(c("+", "*", "==", "&")), list(make(), make()))
    })
  })
  target(paste0("!(", class, ")"), weight = 0.2, function() refused("!", list(make())))
  for (other in setdiff(c("factor_cov", "factor_precision"), class)) local({
    other <- other
    target(paste0("Ops(", class, ",", other, ")"), weight = 0.2, function() refused("+", list(make(), new_precision())))
  })
})
target("Ops", weight = 0.2, function() valid("+", list(1, 2)))
target("!", weight = 0.2, function() valid("!", list(TRUE)))

# ---- products ---------------------------------------------------------------------------

# An operand with n rows, and as a matrix.
operand <- function(n, left = FALSE) {
  m <- between(1, 3)
  y <- matrix(stats::rnorm(n * m), n, m, dimnames = if (chance(0.3)) list(NULL, letters[seq_len(m)]))
  if (left) t(y) else y
}

product_check <- function(wanted, scale) function(v) near(unname(as.matrix(v)), wanted, 1e-11, scale, "product")

for (class in c("factor_cov", "factor_precision")) local({
  class <- class
  make <- function() {
    if (class == "factor_cov") {
      x <- new_factor_cov(plain = TRUE)
      return(list(x = x, M = dense_of(x)))
    }
    x <- regular_factor_cov(plain = TRUE, D0 = pick(c(0, 0.3)))
    list(x = covmash::precision(x), M = dense_inverse(dense_of(x)), tol = inverse_tolerance(dense_of(x)))
  }
  check_of <- function(one, wanted) {
    tol <- max(1e-11, one$tol)
    scale <- 10 * max(abs(one$M), abs(wanted))
    function(v) near(unname(as.matrix(v)), wanted, tol, scale, "product")
  }
  add <- function(generic, signature, args_of) {
    name <- paste0(generic, "(", paste(signature, collapse = ","), ")")
    target(name, weight = 0.35, function() {
      one <- make()
      made <- args_of(one)
      valid(generic, made$args, check = check_of(one, unname(made$wanted)))
    })
  }
  n <- function(one) nrow(one$M)
  add("%*%", c(class, "ANY"), function(one) {
    y <- operand(n(one))
    list(args = list(one$x, y), wanted = one$M %*% y)
  })
  add("%*%", c("ANY", class), function(one) {
    y <- operand(n(one), TRUE)
    list(args = list(y, one$x), wanted = y %*% one$M)
  })
  add("%*%", c(class, class), function(one) list(args = list(one$x, one$x), wanted = one$M %*% one$M))
  for (generic in c("crossprod", "tcrossprod")) local({
    generic <- generic
    add(generic, c(class, "ANY"), function(one) {
      y <- operand(n(one), generic == "tcrossprod")
      list(args = list(one$x, y), wanted = if (generic == "crossprod") one$M %*% y else one$M %*% t(y))
    })
    add(generic, c("ANY", class), function(one) {
      y <- operand(n(one), generic == "tcrossprod")
      list(args = list(y, one$x), wanted = if (generic == "crossprod") t(y) %*% one$M else y %*% one$M)
    })
    add(generic, c(class, class), function(one) list(args = list(one$x, one$x), wanted = one$M %*% one$M))
    add(generic, c(class, "missing"), function(one) list(args = list(one$x), wanted = one$M %*% one$M))
    add(generic, c(class, "NULL"), function(one) list(args = list(one$x, NULL), wanted = one$M %*% one$M))
  })
  target(paste0("diag(", class, ")"), weight = 0.5, function() {
    one <- make()
    valid("diag", list(one$x), check = function(v) {
      c(near(v, diag(one$M), max(1e-13, one$tol), 0, "diagonal"), same(names(v), dimnames(one$x)[[1]], "names"))
    })
  })
  target(paste0("cov2cor(", class, ")"), weight = 0.5, function() {
    one <- make()
    valid("cov2cor", list(one$x), check = function(v) {
      near(unname(as.matrix(v)), stats::cov2cor(one$M), max(1e-12, one$tol), 1, "correlation")
    })
  })
  target(paste0("show(", class, ")"), prints = TRUE, weight = 0.2, function() valid("show", list(make()$x)))
})

for (name in c("crossprod", "tcrossprod", "diag", "cov2cor", "show")) local({
  name <- name
  target(name, prints = name == "show", weight = 0.2, function() {
    x <- if (name == "show") new_factor_cov() else crossprod(matrix(stats::rnorm(12), 4))
    valid(name, list(x), check = function(v) {
      if (name == "show") return(character())
      original <- get(name, if (name == "cov2cor") asNamespace("stats") else baseenv())
      near(v, original(x), 1e-14, what = name)
    })
  })
})

# ---- inverse, determinant, root -------------------------------------------------------------

target("solve.factor_cov", weight = 3, function() {
  x <- regular_factor_cov()
  N <- length(x$D)
  S <- dense_of(x)
  tol <- inverse_tolerance(S)
  way <- pick(c("vector", "matrix", "none"))
  b <- if (way == "vector") stats::rnorm(N) * sqrt(diag(S)) else matrix(stats::rnorm(2 * N), N) * sqrt(diag(S))
  sd <- sqrt(diag(S))
  if (way == "none") {
    return(valid("solve", list(x), check = function(v) near_matrix(v, dense_inverse(S), tol, "inverse")))
  }
  valid("solve", list(x, b), check = function(v) {
    wanted <- dense_inverse(S) %*% b
    # In units in which all variances are 1.
    near(as.vector(as.matrix(v) * sd), as.vector(wanted * sd), tol, max(abs(wanted * sd)), "solution")
  })
})

# Of what B F B' + D is the sum of: with correlated factors they may cancel.
size_of_terms <- function(x) {
  B <- abs(unname(x$B))
  F <- if (is.matrix(x$F)) abs(x$F) else diag(if (is.null(x$F)) 1 else abs(x$F), ncol(B))
  max(rowSums((B %*% F) * B) + x$D)
}

target("solve.factor_precision", weight = 0.7, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  b <- stats::rnorm(nrow(S))
  if (chance(0.3)) {
    return(valid("solve", list(covmash::precision(x)), check = function(v) near_matrix(v, S, 1e-13, "covariance")))
  }
  valid("solve", list(covmash::precision(x), b), check = function(v) {
    near(as.vector(v), as.vector(S %*% b), 1e-12, size_of_terms(x) * nrow(S), "solution")
  })
})

target("precision", weight = 2.5, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  plain <- chance(0.3)
  if (plain && condition_of(S) > 1e10) plain <- FALSE
  arg <- if (plain) {
    dimnames(S) <- dimnames(x)
    S
  } else {
    x
  }
  S <- unname(S)
  valid("precision", list(arg), na = if (!plain) "D_inverse|W|s$", check = function(P) {
    M <- dense_inverse(S)
    tol <- inverse_tolerance(S)
    c(
      near_matrix(P, M, tol, "precision"),
      if (!plain) near(diag(P), diag(M), tol, 0, "diagonal"),
      if (!plain) near(as.numeric(determinant(P)$modulus), -log_det_of(S), 1e-9 + tol, what = "log-determinant")
    )
  })
})

log_det_of <- function(S) {
  sd <- sqrt(diag(S))
  2 * sum(log(sd)) + as.numeric(determinant(S / sd / rep(sd, each = nrow(S)))$modulus)
}

target("determinant.factor_cov", weight = 1.5, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  valid("determinant", list(x), check = function(v) {
    near(as.numeric(v$modulus), log_det_of(S), 1e-10 + inverse_tolerance(S), what = "log-determinant")
  })
})

target("determinant.factor_precision", weight = 0.7, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  valid("determinant", list(covmash::precision(x)), check = function(v) {
    near(as.numeric(v$modulus), -log_det_of(S), 1e-10 + inverse_tolerance(S), what = "log-determinant")
  })
})

target("chol.factor_cov", weight = 0.7, function() {
  x <- regular_factor_cov(plain = TRUE)
  valid("chol", list(x), check = function(R) {
    c(near_matrix(crossprod(R), dense_of(x), 1e-12, "R'R"), yes(all(R[lower.tri(R)] == 0), "not triangular"))
  })
})

target("chol.factor_precision", weight = 0.5, function() {
  x <- regular_factor_cov(plain = TRUE)
  S <- dense_of(x)
  valid("chol", list(covmash::precision(x)), check = function(R) {
    near_matrix(crossprod(R), dense_inverse(S), inverse_tolerance(S), "R'R")
  })
})

target("update.factor_cov", weight = 0.7, function() {
  x <- new_factor_cov(plain = TRUE)
  add <- stats::rnorm(length(x$D))
  args <- list(x, add = add)
  if (chance(0.4)) args$name <- "new"
  valid("update", args, check = function(v) near_matrix(v, dense_of(x) + tcrossprod(add), 1e-12, "covariance"))
})

target("update.factor_precision", weight = 1, function() {
  x <- regular_factor_cov()
  add <- stats::rnorm(length(x$D)) * sqrt(diag(dense_of(x)))
  S <- dense_of(x) + tcrossprod(add)
  valid("update", list(covmash::precision(x), add = add), na = "D_inverse|W|s$", check = function(P) {
    c(near_matrix(P, dense_inverse(S), inverse_tolerance(S), "precision"),
      near(diag(P), diag(dense_inverse(S)), inverse_tolerance(S), 0, "diagonal"))
  })
})

# ---- parts -----------------------------------------------------------------------------------

target("marginal", weight = 1, function() {
  x <- new_factor_cov()
  at <- sample.int(length(x$D), between(1, length(x$D)))
  valid("marginal", list(x, genes_of(x, at)), check = function(v) {
    c(near_matrix(v, dense_of(x)[at, at, drop = FALSE], 1e-13, "covariance"), same(names(v$D), names(x$D)[at], "names"))
  })
})

target("systematic_covariance", weight = 0.5, function() {
  x <- new_factor_cov()
  valid("systematic_covariance", list(x), check = function(v) {
    near_matrix(v, dense_of(x) - diag(x$D, length(x$D)), 1e-12, "covariance", max(diag(dense_of(x))) + 0 * dense_of(x))
  })
})

target("noise_covariance", weight = 0.5, function() {
  x <- new_factor_cov()
  valid("noise_covariance", list(x), check = function(v) {
    near_matrix(v, diag(unname(x$D), length(x$D)), 0, "covariance")
  })
})

target("conditional", weight = 2, function() {
  x <- regular_factor_cov(N = pick(c(2, 3, 5, 8)), named = TRUE, D0 = 0.2)
  N <- length(x$D)
  at <- sample.int(N, between(1, N - 1))
  S <- dense_of(x)
  sd <- sqrt(diag(S))
  given <- stats::setNames(stats::rnorm(length(at)) * sd[at], names(x$D)[at])
  mean <- if (chance(0.5)) 0 else stats::rnorm(N) * sd
  mu <- rep_len(mean, N)
  valid("conditional", list(x, given, mean), check = function(v) {
    rest <- setdiff(seq_len(N), at)
    T <- S[at, at, drop = FALSE]
    A <- S[rest, at, drop = FALSE] %*% dense_inverse(T)
    tol <- inverse_tolerance(T)
    c(
      near(v$mean / sd[rest], (mu[rest] + drop(A %*% (given - mu[at]))) / sd[rest], 10 * tol, 5, "mean"),
      near_matrix(v$covariance, S[rest, rest, drop = FALSE] - A %*% S[at, rest, drop = FALSE], 10 * tol, "covariance",
                  outer(sd[rest], sd[rest])),
      same(names(v$mean), names(x$D)[rest], "names"), check_psd(v$covariance, "covariance")
    )
  })
})

target("correlation", weight = 1, function() {
  repeat {
    x <- new_factor_cov()
    if (all(diag(dense_of(x)) > 0)) break
  }
  rho <- stats::cov2cor(dense_of(x))
  if (chance(0.5)) {
    at <- sample.int(length(x$D), 1)
    return(valid("correlation", list(x, genes_of(x, at)), check = function(v) {
      c(near(v, rho[at, ], 1e-12, what = "correlation"), same(names(v), names(x$D), "names"))
    }))
  }
  valid("correlation", list(x), check = function(v) near(unname(as.matrix(v)), rho, 1e-12, what = "correlation"))
})

target("partial_correlation", weight = 2.5, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  P <- dense_inverse(S)
  rho <- -suppressWarnings(stats::cov2cor(P))
  diag(rho) <- 1
  tol <- inverse_tolerance(S)
  if (chance(0.5)) {
    at <- sample.int(nrow(S), 1)
    return(valid("partial_correlation", list(x, genes_of(x, at)), check = function(v) {
      near(v, rho[at, ], tol, what = "partial correlation")
    }))
  }
  valid("partial_correlation", list(x), check = function(v) {
    c(
      near(unname(as.matrix(v)), rho, tol, what = "partial correlation"),
      yes(is.infinite(tol) || all(abs(v) <= 1 + 1e-9), "above 1")
    )
  })
})

target("partial_correlation_network", weight = 1.5, function() {
  x <- regular_factor_cov()
  S <- dense_of(x)
  rho <- -suppressWarnings(stats::cov2cor(dense_inverse(S)))
  threshold <- pick(c(0.05, 0.3, 0.7, 1))
  tol <- inverse_tolerance(S)
  valid("partial_correlation_network", list(x, threshold = threshold), check = function(v) {
    if (tol > 1e-4) return(character())
    labels <- if (is.null(names(x$D))) seq_along(x$D) else names(x$D)
    found <- match(v$gene1, labels) + nrow(S) * (match(v$gene2, labels) - 1)
    sure <- which(upper.tri(rho) & abs(rho) > threshold + 2 * tol)
    possible <- which(row(rho) != col(rho) & abs(rho) >= threshold - 2 * tol)
    mirrored <- match(v$gene2, labels) + nrow(S) * (match(v$gene1, labels) - 1)
    c(
      near(v$partial_correlation, rho[found], tol, what = "partial correlation"),
      yes(all(sure %in% c(found, mirrored)), "an edge is missing"), yes(all(found %in% possible), "an edge too many")
    )
  })
})

target("log_density", weight = 2, function() {
  x <- regular_factor_cov()
  N <- length(x$D)
  S <- dense_of(x)
  sd <- sqrt(diag(S))
  n <- pick(c(1, 2, 5))
  mean <- if (chance(0.5)) 0 else stats::rnorm(N) * sd
  # In the span of the covariance.
  y <- matrix(stats::rnorm(n * N), n) %*% chol_or_root(S) + rep(rep_len(mean, N), each = n)
  if (chance(0.3)) y[stats::runif(n * N) < 0.3] <- NA
  valid("log_density", list(y, x, mean), check = function(v) {
    wanted <- apply(y, 1, function(row) {
      seen <- !is.na(row)
      if (!any(seen)) return(0)
      T <- S[seen, seen, drop = FALSE]
      r <- (row - rep_len(mean, N))[seen]
      -0.5 * (sum(seen) * log(2 * base::pi) + log_det_of(T) + sum(r * (dense_inverse(T) %*% r)))
    })
    near(v, wanted, 10 * inverse_tolerance(S), 5, "log-density")
  })
})

chol_or_root <- function(S) {
  sd <- sqrt(diag(S))
  e <- eigen(S / sd / rep(sd, each = nrow(S)), symmetric = TRUE)
  t(e$vectors * rep(sqrt(pmax(e$values, 0)), each = nrow(S))) * rep(sd, each = nrow(S))
}

target("rfactor_cov", draws = TRUE, weight = 0.7, function() {
  x <- new_factor_cov()
  n <- pick(c(0, 1, 4))
  valid("rfactor_cov", list(n, x), check = function(v) {
    c(same(dim(v), as.integer(c(n, length(x$D))), "shape"), names_are(v, NULL, names(x$D), "draws"))
  })
})

target("eigenvalues", weight = 1, function() {
  x <- new_factor_cov()
  S <- dense_of(x)
  n <- if (chance(0.5)) between(1, nrow(S))
  wanted <- eigen(S, symmetric = TRUE, only.values = TRUE)$values
  arg <- if (chance(0.3)) S else x
  valid("eigenvalues", list(arg, n), check = function(v) {
    near(v, if (is.null(n)) wanted else wanted[seq_len(n)], 1e-12, max(abs(wanted), 1e-300), "eigenvalues")
  })
})

# ---- is it one ---------------------------------------------------------------------------------

# A symmetric matrix and whether it is a covariance, with a margin.
judged <- function() {
  N <- pick(c(1, 2, 3, 6))
  Q <- qr.Q(qr(matrix(stats::rnorm(N * N), N)))
  good <- chance(0.5)
  values <- stats::runif(N, 0.1, 2)
  if (!good) values[N] <- -0.1
  S <- Q %*% (values * t(Q))
  S <- (S + t(S)) / 2
  if (any(diag(S) <= 0)) good <- FALSE
  list(S = S * 10^pick(c(0, -11, 11, -100, 100)), good = good)
}

target("is_covariance", weight = 1, function() {
  one <- judged()
  valid("is_covariance", list(one$S), check = function(v) same(v, one$good, "is_covariance"))
})

target("check_covariance", weight = 0.7, function() {
  one <- judged()
  valid("check_covariance", list(one$S), check = function(v) same(v$valid, one$good, "valid"))
})

target("nearest_covariance", weight = 1, function() {
  one <- judged()
  keep <- chance(0.4) && all(diag(one$S) >= 0)
  valid("nearest_covariance", list(one$S, keep_diag = keep), check = function(v) {
    c(
      check_psd(v, "matrix"), if (keep) near(diag(v), diag(one$S), 1e-12, 0, "diagonal"),
      if (one$good && !keep) near(v, one$S, 1e-12, max(abs(one$S)), "a covariance itself")
    )
  })
})

# ---- factor models --------------------------------------------------------------------------------

factor_loglik <- function(x, fit) {
  S <- unname(tcrossprod(fit$loadings %*% (if (is.null(fit$factor_covariance)) diag(ncol(fit$loadings)) else
    fit$factor_covariance), fit$loadings)) + diag(unname(fit$noise), length(fit$noise))
  sum(apply(x, 1, function(row) {
    seen <- !is.na(row)
    if (!any(seen)) return(0)
    r <- (row - fit$mean)[seen]
    T <- S[seen, seen, drop = FALSE]
    -0.5 * (sum(seen) * log(2 * base::pi) + log_det_of(T) + sum(r * (dense_inverse(T) %*% r)))
  }))
}

# factanal's likelihood, complete data.
factanal_loglik <- function(x, K, lower = 0.005) {
  n <- nrow(x)
  S <- stats::cov(x) * (n - 1) / n
  R <- stats::cov2cor(S)
  fit <- tryCatch(
    stats::factanal(covmat = R, factors = K, n.obs = n, rotation = "none", lower = lower,
                    control = list(opt = list(factr = 1, pgtol = 0, maxit = 5000))),
    error = function(cnd) NULL
  )
  if (is.null(fit)) return(-Inf)
  T <- tcrossprod(unclass(fit$loadings)) + diag(fit$uniquenesses)
  -n / 2 * (ncol(x) * log(2 * base::pi) + sum(log(diag(S))) + log_det_of(T) + sum(diag(dense_inverse(T) %*% R)))
}

target("fit_factor_model", weight = 4, function() {
  N <- pick(c(2, 3, 4, 6, 8))
  n <- pick(c(6, 12, 30, 60))
  missing <- chance(0.3)
  x <- new_samples(n, N, 1, missing)
  x[1, ] <- ifelse(is.na(x[1, ]), 0.5, x[1, ])
  x[2, ] <- ifelse(is.na(x[2, ]), -0.3, x[2, ])
  x <- x * pick(c(1, 1, 1, 1e-6, 1e6))
  method <- pick(c("ml", "ml", "ppca", if (!missing) "pca"))
  most <- if (method == "ml") floor(N + 0.5 - sqrt(2 * N + 0.25) + 1e-9) else N - 1
  K <- between(0, max(0, min(most, n - 2, 2)))
  from_cov <- !missing && chance(0.2)
  rotation <- pick(c("none", "varimax", "promax"))
  args <- if (from_cov) list(stats::cov(x), K, method, n_samples = n) else list(x, K, method)
  args$rotation <- rotation
  if (from_cov && chance(0.5)) {
    args[[1]] <- stats::cov.wt(x)
    if (chance(0.5)) args$n_samples <- NULL
  } else if (!from_cov && !is.null(colnames(x)) && chance(0.2)) {
    args[[1]] <- ~.
    args$data <- as.data.frame(x)
  }
  valid("fit_factor_model", args, na = "objective|mean|convergence|test", check = function(fit) {
    if (from_cov) return(check_psd(fit$covariance, "covariance"))
    own <- factor_loglik(x, fit)
    c(
      near(fit$loglik, own, 1e-7, what = "loglik"), check_psd(fit$covariance, "covariance"),
      yes(all(fit$noise > 0), "noise variances of 0"),
      if (method == "ml" && !missing && K > 0 && N > 2 && n > N) {
        best <- factanal_loglik(x, K)
        yes(fit$loglik >= best - 1e-5, sprintf("log-likelihood %.6g below factanal's", best - fit$loglik))
      },
      if (missing && K > 0) {
        # Never worse than no factor at all.
        none <- quietly(covmash::fit_factor_model(x, 0, method))
        yes(fit$loglik >= none$loglik - 1e-4, "worse than without factors")
      }
    )
  })
})

target("select_n_factors", draws = TRUE, weight = 0.7, function() {
  x <- new_samples(pick(c(12, 20)), pick(c(3, 4, 5)), 1, chance(0.2))
  args <- list(x, max_factors = pick(c(0, 1)), criteria = pick(list("bic", c("bic", "parallel"), "heldout")))
  args$n_permutations <- 3
  args$n_folds <- 2
  if (anyNA(x)) args$x <- NULL
  valid("select_n_factors", args, na = "table|eigenvalues|n_factors", check = function(v) {
    yes(all(is.na(v$n_factors) | v$n_factors >= 0), "negative numbers of factors")
  })
})

scores_of <- function(fit, x, method) {
  B <- fit$loadings
  F <- if (is.null(fit$factor_covariance)) diag(ncol(B)) else fit$factor_covariance
  t(apply(x, 1, function(row) {
    seen <- !is.na(row)
    b <- B[seen, , drop = FALSE] / fit$noise[seen]
    A <- crossprod(B[seen, , drop = FALSE], b)
    if (method == "regression") A <- A + solve(F)
    solve(A, crossprod(b, (row - fit$mean)[seen]))
  }))
}

for (name in c("factor_scores", "predict.factor_fit")) local({
  name <- name
  target(name, weight = 0.7, function() {
    repeat {
      one <- factor_fit_pool()
      if (one$fit$n_factors > 0) break
    }
    x <- one$x[1:5, , drop = FALSE]
    method <- pick(c("regression", "bartlett"))
    fun <- if (name == "factor_scores") "factor_scores" else "predict"
    valid(fun, list(one$fit, x, method), na = if (method == "bartlett") "", check = function(v) {
      if (method == "bartlett" && anyNA(x)) return(character())
      wanted <- tryCatch(scores_of(one$fit, x, method), error = function(cnd) NULL)
      if (is.null(wanted)) return(character())
      near(as.vector(v), if (one$fit$n_factors == 1) as.vector(wanted) else as.vector(wanted), 1e-7, what = "scores")
    })
  })
})

simple_fit_target <- function(name, generic, check = function(v, one) character(), na = NULL, extra = list()) {
  target(name, weight = 0.3, function() {
    one <- factor_fit_pool()
    valid(generic, c(list(one$fit), extra), na = na, check = function(v) check(v, one))
  })
}
simple_fit_target("coef.factor_fit", "coef", function(v, one) same(v, one$fit$loadings, "loadings"))
simple_fit_target("logLik.factor_fit", "logLik", function(v, one) {
  near(as.numeric(v), if (anyNA(one$x)) one$fit$loglik else factor_loglik(one$x, one$fit), 1e-7, what = "logLik")
})
simple_fit_target("nobs.factor_fit", "nobs", function(v, one) same(as.integer(v), nrow(one$x), "nobs"))
simple_fit_target("glance.factor_fit", "glance", na = "statistic|p.value|df.test|cfi|tli|rmsea|srmr")
simple_fit_target("summary.factor_fit", "summary", na = ".")
simple_fit_target("format.factor_fit", "format")

for (name in c("augment", "glance", "logLik", "nobs", "tidy")) local({
  name <- name
  target(paste0(name, ".factor_selection"), weight = 0.2, function() valid(name, list(selection_pool()), na = "."))
})

# ---- printing and pictures ----------------------------------------------------------------------------

prints_what("print.factor_cov", "print", function() new_factor_cov())
prints_what("print.factor_precision", "print", function() new_precision())
prints_what("print.factor_selection", "print", function() selection_pool())
prints_what("print.covariance_check", "print", function() covmash::check_covariance(judged()$S))
prints_what("print.parameter_count", "print", function() covmash::n_parameters(between(1, 30), between(0, 4)))
prints_what("print.summary.factor_cov", "print", function() summary(new_factor_cov()))
prints_what("print.summary.factor_fit", "print", function() summary(factor_fit_pool()$fit))
prints_what("print.summary.factor_precision", "print", function() summary(new_precision()))
prints_what("summary.factor_cov", "summary", function() new_factor_cov(), FALSE, 0.5)
prints_what("summary.factor_precision", "summary", function() new_precision(), FALSE, 0.5)
prints_what("format.factor_cov", "format", function() new_factor_cov(), FALSE, 0.2)
prints_what("format.factor_precision", "format", function() new_precision(), FALSE, 0.2)
prints_what("format.factor_selection", "format", function() selection_pool(), FALSE, 0.2)

cov_plot_args <- function() {
  x <- regular_factor_cov(K = pick(1:3), plain = TRUE)
  list(x, type = pick(c(
    "loadings", "covariance", "systematic", "noise", "decomposition", "correlation", "eigenvalues", "overview",
    "network"
  )))
}
plots("autoplot.factor_cov", "autoplot", cov_plot_args, 0.3)
plots("plot.factor_cov", "plot", cov_plot_args, 0.03)
plots("autoplot.factor_selection", "autoplot", function() list(selection_pool()), 0.2)
plots("plot.factor_selection", "plot", function() list(selection_pool()), 0.03)
plots("autoplot.gene_network", "autoplot", function() list(new_network()), 0.2)
plots("plot.gene_network", "plot", function() list(new_network()), 0.03)
panels <- function() list(ggplot2::autoplot(new_factor_cov(plain = TRUE, N = 4), type = "decomposition"))
plots("plot.factor_panels", "plot", panels, 0.02)
plots("print.factor_panels", "print", panels, 0.02)
plots("grid.draw.factor_panels", "grid.draw", panels, 0.02)
