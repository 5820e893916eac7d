# The R packages that DESCRIPTION asks for and that are missing or too old.
#   Rscript scripts/packages.R list [name or field ...]     prints them, one a line
#   Rscript scripts/packages.R install [name or field ...]  installs them from CRAN
# A field (Imports, LinkingTo, Suggests) stands for all its packages.

args <- commandArgs(trailingOnly = TRUE)
description <- read.dcf("DESCRIPTION")

requirements <- function(field) {
  entries <- trimws(strsplit(description[1, field], ",")[[1]])
  version <- ifelse(grepl(">=", entries), gsub(".*>=|[) \n]", "", entries), "0")
  stats::setNames(version, sub("[ (\n].*", "", entries))
}

is_there <- function(package, version) {
  path <- system.file(package = package)
  nzchar(path) && utils::packageVersion(package) >= version
}

missing_packages <- function(wanted) {
  is_field <- wanted %in% c("Imports", "LinkingTo", "Suggests")
  fields <- lapply(wanted[is_field], requirements)
  needs <- c(unlist(fields), stats::setNames(rep("0", sum(!is_field)), wanted[!is_field]))
  there <- vapply(seq_along(needs), function(i) is_there(names(needs)[i], needs[[i]]), NA)
  unique(names(needs)[!there])
}

# R's own default, "@CRAN@", asks the user, which a script cannot.
set_mirror <- function() {
  if (identical(unname(getOption("repos")["CRAN"]), "@CRAN@")) {
    utils::chooseCRANmirror(graphics = FALSE, ind = 1)
  }
}

writable_library <- function() {
  if (file.access(.libPaths()[1], 2) == 0) {
    return(.libPaths()[1])
  }
  own <- strsplit(Sys.getenv("R_LIBS_USER"), .Platform$path.sep)[[1]][1]
  dir.create(own, recursive = TRUE, showWarnings = FALSE)
  own
}

wanted <- missing_packages(args[-1])
if (args[1] == "list") {
  writeLines(wanted)
} else if (length(wanted)) {
  set_mirror()
  library_path <- writable_library()
  cat("Installing from CRAN (", getOption("repos")["CRAN"], ") into ", library_path, ", with what they need: ",
      paste(wanted, collapse = ", "), "\n", sep = "")
  utils::install.packages(wanted, lib = library_path, quiet = TRUE)
}
