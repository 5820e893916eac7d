# The two sides of each kind of task: what is timed, and nothing else.

set_data <- function(package, inputs) {
  inputs$data <- getExportedValue(package, "mash_set_data")(inputs$Bhat, inputs$Shat)
  inputs
}

run_side <- function(package, inputs, n_threads = 1) {
  run <- sides[[inputs$kind]][[package]]
  if (package == "covmash") run(inputs, n_threads) else run(inputs)
}

sides <- list(
  mash = list(
    covmash = function(x, n_threads) {
      covmash::mash(x$data, x$Ulist, grid = x$grid, verbose = FALSE, n_threads = n_threads)
    },
    # mashr takes a grid of NULL for a grid that was given.
    mashr = function(x) {
      if (is.null(x$grid)) {
        mashr::mash(x$data, x$Ulist, verbose = FALSE)
      } else {
        mashr::mash(x$data, x$Ulist, grid = x$grid, verbose = FALSE)
      }
    }
  ),
  posterior = list(
    covmash = function(x, n_threads) {
      covmash::mash_compute_posterior_matrices(x$fit, x$data, n_threads = n_threads)
    },
    # It says that the alpha of a fitted_g is unknown.
    mashr = function(x) suppressMessages(mashr::mash_compute_posterior_matrices(x$fit$fitted_g, x$data))
  ),
  onebyone = list(
    covmash = function(x, n_threads) covmash::mash_1by1(x$data, n_threads = n_threads),
    mashr = function(x) mashr::mash_1by1(x$data)
  ),
  # Both with their default stopping rule, tol = 1e-6 on the mean log-likelihood: made explicit here. mashr's cov_ed()
  # is this function and new names; it keeps the weights, which the objective needs, and counts iterations in a file.
  deconvolution = list(
    covmash = function(x, n_threads) {
      covmash::cov_ed(x$data, x$start, subset = x$strong, tol = 1e-6, n_threads = n_threads)
    },
    mashr = function(x) {
      mashr:::bovy_wrapper(x$data, x$start, subset = x$strong, tol = 1e-6, logfile = x$logfile)
    }
  )
)
