udi_data <- function() {
  V <- matrix(c(1, 0.5, 0.2, 0.5, 1, 0.4, 0.2, 0.4, 1), 3)
  mash_set_data(matrix(1:6 / 6, 2, dimnames = list(NULL, c("x", "y", "z"))), V = V)
}

test_that("all models with a direct association, the first condition fastest", {
  data <- udi_data()
  made <- cov_udi(data)
  expect_length(made, 3^3 - 2^3)
  expect_identical(names(made)[1:3], paste0("cov_udi_", c("DUU", "UDU", "DDU")))
  for (U in made) expect_gte(min(eigen(U, symmetric = TRUE, only.values = TRUE)$values), -1e-15)
  expect_identical(colnames(made[[1]]), c("x", "y", "z"))
  fit <- mash(data, made, verbose = FALSE)
  expect_true(is.finite(fit$loglik))
})

test_that("indirect effects follow from the direct ones", {
  V <- udi_data()$V
  U <- cov_udi(udi_data(), c("D", "I", "U"))[["cov_udi_DIU"]]
  direct <- V[1, 1] - V[1, 3]^2 / V[3, 3]
  slope <- solve(V[c(1, 3), c(1, 3)], V[c(1, 3), 2])[1]
  expect_equal(unname(U), rbind(c(direct, slope * direct, 0), c(slope * direct, slope^2 * direct, 0), 0))
  expect_equal(unname(cov_udi(udi_data(), c("D", "D", "D"))[[1]]), V)
})

test_that("wrong models are errors", {
  data <- udi_data()
  expect_error(cov_udi(data, c("D", "U")), "model", class = "covmash_error_argument")
  expect_error(cov_udi(data, c("D", "U", "x")), "model", class = "covmash_error_argument")
  expect_error(cov_udi(data, rbind(c("D", "U", "U"), c("U", "I", "U"))), "row 2", class = "covmash_error_argument")
  expect_error(udi_model_matrix(11), "give `model`", class = "covmash_error_argument")
})
