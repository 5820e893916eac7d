# What the scripts here share, run from the top of the checkout: where they write, and sources of packages from CRAN.

output_directory <- function() {
  out <- c(commandArgs(TRUE), "_build/peers")[1]
  dir.create(out, recursive = TRUE, showWarnings = FALSE)
  normalizePath(out)
}

# The unpacked source of a package in `where`, fetched if it is not there.
source_of <- function(package, where) {
  unpacked <- file.path(where, package)
  if (!dir.exists(unpacked)) {
    dir.create(where, recursive = TRUE, showWarnings = FALSE)
    tarball <- utils::download.packages(package, where, type = "source", quiet = TRUE)[1, 2]
    utils::untar(tarball, exdir = where)
  }
  unpacked
}
