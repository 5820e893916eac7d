# Calls of what advises: diagnose() and cv_mash().

findings_are <- function(x) {
  c(
    same(names(x), c("check", "level", "n", "finding", "advice"), "columns"),
    same(class(x), c("mash_findings", "data.frame"), "class"), yes(all(x$level %in% c("problem", "note")), "levels"),
    yes(!anyNA(x) && !any(grepl("\\bNA\\b|NaN|Inf", x$finding)), "texts")
  )
}

# Half of the calls with enough effects for all that it looks at.
diagnosed <- function() {
  if (chance(0.5)) {
    return(fit_pool()[c("fit", "data")])
  }
  p <- new_problem(J = 260, plain = chance(0.7))
  data <- data_of(p)
  Ulist <- if (chance(0.5)) p$g$Ulist else covmash::cov_canonical(data)
  fit <- quietly(covmash::mash(
    data, Ulist, grid = if (chance(0.5)) p$g$grid, usepointmass = chance(0.8), verbose = FALSE, outputlevel = 1
  ))
  if (chance(0.2)) data <- data[seq_len(220), ]
  list(fit = fit, data = data, problem = p)
}

target("diagnose", weight = 1.5, function() {
  one <- diagnosed()
  args <- list(one$fit, one$data)
  if (chance(0.2)) args$n_threads <- 2
  valid("diagnose", args, findings_are, may_fail = !is.null(one$problem) && deconvolution_may_fail(one$problem))
})

findings_pool <- function() {
  data <- data_of(new_problem())
  x <- covmash::check_mash_data(data)
  if (chance(0.2)) x[, pick(list(1:2, 3, c("check", "level", "finding", "advice"))), drop = FALSE] else x
}
target("print.mash_findings", weight = 0.3, prints = TRUE, function() valid("print", list(findings_pool()), na = "."))

cv_mash_args <- function() {
  p <- new_problem(plain = TRUE, J = between(12, 40), scaled = FALSE)
  if (sum(rowSums(!is.na(p$Bhat)) > 0) < 8) p$Bhat[] <- 1
  data <- data_of(p)
  p$data <- data
  Ulists <- list(own = p$g$Ulist, canonical = if (chance(0.5)) covmash::cov_canonical(data) else covmash::cov_canonical)
  args <- list(data = data, Ulists = Ulists[sample.int(2, between(1, 2))], n_folds = between(2, 3), grid = p$g$grid)
  J <- nrow(data$Bhat)
  if (chance(0.3)) args$by <- rep_len(letters[1:9], J)
  if (chance(0.2)) args$subset <- which(rowSums(!is.na(p$Bhat)) > 0)
  if (chance(0.2)) {
    args$n_folds <- args$by <- NULL
    args$folds <- rep_len(1:3, J)
  }
  args
}
target("cv_mash", weight = 1, draws = TRUE, function() {
  valid("cv_mash", cv_mash_args(), check = function(cv) {
    c(
      yes(cv$best %in% cv$table$candidate, "best"), near(min(cv$table$behind), 0, 1e-12, what = "behind"),
      near(cv$table$heldout, unname(colMeans(cv$heldout)), 1e-12, max(abs(cv$heldout)), "means"),
      same(length(cv$folds), nrow(cv$heldout), "folds")
    )
  })
})

mash_cv_pool <- function() {
  data <- covmash::mash_set_data(matrix(stats::rnorm(60), 20))
  quietly(covmash::cv_mash(data, list(one = list(diag(3)), two = covmash::cov_canonical(data)), n_folds = 2))
}
for (name in c("print", "format", "summary")) local({
  name <- name
  target(paste0(name, ".mash_cv"), weight = 0.15, prints = name == "print", function() {
    valid(name, list(mash_cv_pool()), na = ".")
  })
})
target("print.summary.mash_cv", weight = 0.1, prints = TRUE, function() {
  valid("print", list(summary(mash_cv_pool())), na = ".")
})
plots("autoplot.mash_cv", "autoplot", function() list(mash_cv_pool()), 0.1)
plots("plot.mash_cv", "plot", function() list(mash_cv_pool()), 0.1)
