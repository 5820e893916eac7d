test_that("abort_input() signals one classed error with the message it was given", {
  error <- expect_error(abort_input("`x` must be positive.", class = "covmash_error_value"), "`x` must be positive")
  expect_s3_class(error, c("covmash_error_value", "covmash_error_input", "covmash_error", "error"), exact = FALSE)
  classes <- class(error)
  expect_lt(match("covmash_error_value", classes), match("covmash_error_input", classes))
  expect_lt(match("covmash_error_input", classes), match("covmash_error", classes))
  expect_s3_class(expect_error(abort_input("no class")), "covmash_error_input")
})

test_that("expressions in a message are replaced by their values, which are text and not code", {
  fail <- function(name, n) abort_input("column '{name}' of {n + 1}%d", " has {NULL}{c('a', 'b')}")
  expect_error(fail("{stop()}", 4), "column '{stop()}' of 5%d has a, b", fixed = TRUE, class = "covmash_error_input")
  long <- strrep("a long name ", 40)
  error <- tryCatch(fail(long, 1), error = identity)
  expect_identical(conditionMessage(error), paste0("column '", long, "' of 2%d has a, b"))
  expect_warning(warn_covmash("{long}"), long, fixed = TRUE)
  expect_message(inform_covmash("{long}"), long, fixed = TRUE, class = "covmash_message")
})

test_that("no text has an expression that is cut by a brace of its own, or that does not parse", {
  calls <- c("abort_input", "warn_covmash", "inform_covmash", "step_message")
  texts_in <- function(e) {
    if (!is.call(e)) {
      return(NULL)
    }
    parts <- as.list(e)
    of_call <- if (is.name(e[[1]]) && as.character(e[[1]]) %in% calls) {
      paste(unlist(Filter(is.character, parts[names(parts) != "class"])), collapse = "")
    }
    c(of_call, unlist(lapply(Filter(is.call, parts), texts_in)))
  }
  home <- asNamespace("covmash")
  texts <- unlist(lapply(ls(home), function(name) {
    if (is.function(home[[name]])) texts_in(body(home[[name]]))
  }))
  expect_gt(length(texts), 100)
  for (text in texts) {
    expect_identical(lengths(gregexpr("{", text, fixed = TRUE)), lengths(gregexpr("}", text, fixed = TRUE)), info = text)
    for (code in regmatches(text, gregexpr("\\{[^{}]*\\}", text))[[1]]) {
      expect_no_error(str2lang(substr(code, 2, nchar(code) - 1)))
    }
  }
})

test_that("warn_covmash() signals a classed warning and goes on", {
  expect_warning(warn_covmash("2 rows are empty.", class = "covmash_warning_rows"), class = "covmash_warning_rows")
  expect_warning(warn_covmash("2 rows are empty.", class = "covmash_warning_rows"), "2 rows", class = "covmash_warning")
  after <- suppressWarnings({
    warn_covmash("x", class = "covmash_warning_x")
    7
  })
  expect_identical(after, 7)
})

test_that("users can catch every input error of the package by one class", {
  caught <- tryCatch(mash_set_data("a"), covmash_error = function(e) "caught")
  expect_identical(caught, "caught")
})

test_that("errors of the core keep their kind, and name what they are about", {
  sim <- small_data(J = 6, R = 2)
  g <- list(Ulist = list(U = diag(2)), grid = 1, usepointmass = TRUE, pi = c(0.5, 0.5))
  cnd <- rlang::catch_cnd(run_core(cpp_fit(sim$data, g, list(prior = 1, n_threads = 1))))
  expect_true(all(c("covmash_error_input", "covmash_error_core", "covmash_error") %in% class(cnd)))
  expect_match(conditionMessage(cnd), "one value for each mixture component")

  # The door does not let such data in; the core on its own names the effect.
  big <- matrix(c(1, 2, 1e200, -1), 2, dimnames = list(c("a.b", "b"), NULL))
  data <- new_mash_data(big, array(1, dim(big)), diag(2), 0)
  model <- list(Ulist = list(U = diag(2)), grid = 1, usepointmass = TRUE)
  broken <- quote(fit_weights(data, model, c(10, 1), "newton", list(), 1))
  cnd <- rlang::catch_cnd(eval(broken))
  expect_true(all(c("covmash_error_numeric", "covmash_error_core", "covmash_error") %in% class(cnd)))
  expect_match(conditionMessage(cnd), "effect 1 (a.b) is not finite", fixed = TRUE)

  # A handler for the class of before still hears it.
  expect_identical(tryCatch(eval(broken), covmash_error_core = function(cnd) "heard"), "heard")
  # What is no error of the core's own is an error of the core without a kind.
  expect_error(run_core(cpp_defaults("luck")), "no options called 'luck'", class = "covmash_error_core")
  # What is R's, heard while the core ran, stays what it is.
  own <- structure(list(message = "mine", call = NULL), class = c("mine", "error", "condition"))
  expect_identical(tryCatch(run_core(stop(own)), error = identity), own)
})

test_that("the subject of an error is named by what it is, not by what the text looks like", {
  fail <- function(...) run_core(stop_core("numeric", ...), effects = c("x", "y"), matrices = c("one", "two"))
  expect_error(fail("effect 1 beside covariance matrix 2 fails", "covariance matrix", 2),
    "effect 1 beside covariance matrix 2 (two) fails", fixed = TRUE, class = "covmash_error_numeric")
  expect_error(fail("effect 3 fails", "effect", 3), "^effect 3 fails$")
  expect_error(fail("component 2 fails", "component", 2), "^component 2 fails$")
  expect_error(fail("nothing in particular fails"), "^nothing in particular fails$")
})

test_that("an error names the function the user called", {
  error <- tryCatch(mash_set_data("a"), error = identity)
  expect_match(deparse(error$call)[1], "mash_set_data")
})

test_that("memory that runs out is one classed error, whoever notices", {
  memory <- c("covmash_error_memory", "covmash_error_core", "covmash_error")
  for (fail in list(
    quote(stop_core("memory", "")),
    quote(stop(structure(list(message = "std::bad_alloc", call = NULL), class = c("std::bad_alloc", "C++Error", "error", "condition")))),
    quote(stop(structure(list(message = "vector::reserve", call = NULL), class = c("std::length_error", "C++Error", "error", "condition")))),
    quote(stop("cannot allocate vector of size 8.0 Gb", call. = FALSE))
  )) {
    cnd <- rlang::catch_cnd(run_core(eval(fail)))
    expect_true(all(memory %in% class(cnd)))
    expect_match(conditionMessage(cnd), "not enough memory")
    for (what in c("n_threads", "covmash.memory", "covmash.block_rows", "matrices")) {
      expect_match(conditionMessage(cnd), what, fixed = TRUE)
    }
  }
  # In R code too, behind the door of an exported function.
  m <- structure(list(result = list(PosteriorMean = diag(2), lfsr = diag(2))), class = "mash")
  cnd <- rlang::catch_cnd(get_pairwise_sharing(m, FUN = function(x) stop("cannot allocate vector of size 1.5 Mb")))
  expect_s3_class(cnd, "covmash_error_memory")
  expect_match(conditionMessage(cnd), "1.5 Mb", fixed = TRUE)
  expect_error(get_pairwise_sharing(m, FUN = function(x) stop("cannot be")), "^cannot be$")
})

test_that("the door changes nothing about a function", {
  home <- asNamespace("covmash")
  for (name in behind_door) {
    expect_identical(as.character(body(home[[name]])[[1]]), "enter")
    expect_false("UseMethod" %in% all.names(body(home[[name]])))
  }
  computing <- c("mash", "mash_1by1", "cov_ed", "cov_pca", "fit_factor_model", "partial_correlation_network")
  expect_true(all(computing %in% behind_door))
  expect_null(progress$entered)
})
