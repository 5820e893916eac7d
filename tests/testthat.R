library(testthat)
library(covmash)

test_check("covmash")
