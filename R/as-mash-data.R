# Data objects from what users have: summary statistics, long tables, assays, and the list of matrices that goes from lab
# to lab as *.mash.rds.

#' Make a data object from what you have
#'
#' @param x A result of [read_sumstats()]; a data frame with a row for each effect and condition (long), with two
#'   columns for each condition (wide), or with a column of estimates for each; a matrix of estimates, or all else that
#'   [mash_set_data()] takes for one; a `SummarizedExperiment`; a list with `Bhat` and `Shat`; the list of a
#'   `*.mash.rds` file ([read_mash_rds()]); the path of such a file or of any that [read_sumstats()] reads; or a data
#'   object.
#' @param ... Further arguments of [mash_set_data()], such as `V` and `alpha`.
#' @param columns For data frames: which columns hold what, as in [read_sumstats()], e.g.
#'   `c(gene = "gene", condition = "tissue", estimate = "b", se = "s")`.
#' @param assays For a SummarizedExperiment: the names or numbers of the assays with estimates and standard errors.
#' @param part For the list of a `*.mash.rds` file: `"strong"`, `"random"` or another part of it, such as
#'   `"random.test"` and `"null"`.
#' @return A data object of [mash_set_data()].
#' @section Errors: Those of [read_sumstats()] and [mash_set_data()]; `covmash_error_argument` for a part or an assay
#'   that is not there.
#' @seealso [read_sumstats()]
#' @concept summary statistics
#' @export
#' @examples
#' long <- expand.grid(snp = paste0("rs", 1:4), tissue = c("liver", "lung"))
#' long$beta <- c(0.5, 0.1, -0.3, 0, 0.6, 0.2, -0.2, 0.1)
#' long$se <- 0.1
#' as_mash_data(long[-2, ])
as_mash_data <- function(x, ...) UseMethod("as_mash_data")

#' @rdname as_mash_data
#' @export
as_mash_data.default <- function(x, ...) {
  if (is_number_like(x) || inherits(x, "Matrix")) {
    return(mash_set_data(x, ...))
  }
  abort_input(
    "`x` must be something that estimates can be taken from: a result of read_sumstats(), a data frame, a matrix, a ",
    "SummarizedExperiment, a list with Bhat and Shat, or a path, not {describe(x)}.",
    class = "covmash_error_data"
  )
}

#' @rdname as_mash_data
#' @export
as_mash_data.mash <- function(x, ...) {
  take_dots(list(...), character(), "as_mash_data() of a data object")
  take_data(x)
}

#' @rdname as_mash_data
#' @export
as_mash_data.mash_sumstats <- function(x, ...) {
  check_sumstats(x)
  mash_set_data(x$Bhat, x$Shat, ...)
}

#' @rdname as_mash_data
#' @export
as_mash_data.data.frame <- function(x, ..., columns = NULL) {
  if (is.null(columns) && is_frame_of_estimates(x)) {
    return(mash_set_data(x, ...))
  }
  as_mash_data(read_and_say(list(x), columns), ...)
}

#' @rdname as_mash_data
#' @export
as_mash_data.matrix <- function(x, ...) mash_set_data(x, ...)

#' @rdname as_mash_data
#' @export
as_mash_data.character <- function(x, ..., part = "strong", columns = NULL) {
  if (checkmate::test_string(x) && grepl("[.]rds$", x, ignore.case = TRUE)) {
    check_file(x, "x")
    content <- readRDS(x)
    return(if (is_interchange(content)) as_mash_data(content, part = part, ...) else as_mash_data(content, ...))
  }
  as_mash_data(read_and_say(x, columns), ...)
}

# Rows that name no effect or no condition are not left out in silence.
read_and_say <- function(files, columns) {
  read <- read_sumstats(files, columns = columns, verbose = FALSE)
  said <- said_of_unnamed(read$report)
  if (length(said) > 0L) inform_covmash("{paste(said, collapse = ', ')}.", class = "covmash_message_sumstats")
  read
}

#' @rdname as_mash_data
#' @export
as_mash_data.list <- function(x, ..., part = "strong") {
  if (!is_interchange(x)) {
    if (is.null(x[["Bhat"]])) as_mash_data.default(x)
    return(mash_set_data(x[["Bhat"]], x[["Shat"]], ...))
  }
  known <- parts_of_interchange(x)
  if (!checkmate::test_string(part) || !part %in% known) {
    abort_input(
      "`part` must be one of {paste0(\"'\", known, \"'\", collapse = ', ')}, not {describe(part)}.", class = "covmash_error_argument"
    )
  }
  b <- x[[paste0(part, ".b")]]
  if (is.null(b)) {
    return(mash_set_data(x[[paste0(part, ".z")]], 1, ...))
  }
  mash_set_data(b, x[[paste0(part, ".s")]], ...)
}

#' @rdname as_mash_data
#' @export
as_mash_data.SummarizedExperiment <- function(x, ..., assays = NULL) {
  known <- SummarizedExperiment::assayNames(x)
  chosen <- if (is.null(assays)) {
    vapply(list(usual_names$estimate, usual_names$se), function(names) match(TRUE, tolower(known) %in% names), 0L)
  } else if (is.character(assays)) {
    match(assays, known)
  } else {
    assays
  }
  n <- length(SummarizedExperiment::assays(x))
  if (!is.numeric(chosen) || length(chosen) != 2L || anyNA(chosen) || !all(chosen %in% seq_len(n))) {
    has <- if (length(known)) paste0("the assays ", quote_some(known, 12L)) else plural(n, "assay")
    abort_input(
      "`assays` must name the assay of estimates and that of standard errors, e.g. c(\"beta\", \"se\"); `x` has {has}.",
      class = "covmash_error_argument"
    )
  }
  parts <- lapply(chosen, function(k) as.matrix(SummarizedExperiment::assay(x, k)))
  mash_set_data(parts[[1]], parts[[2]], ...)
}

# ---- *.mash.rds ------------------------------------------------------------------

is_interchange <- function(x) {
  is.list(x) && !is.data.frame(x) && any(grepl("^(strong|random|null|random[.]test)[.][bz]$", names(x)))
}

parts_of_interchange <- function(x) {
  unique(sub("[.][bz]$", "", grep("^(strong|random|null|.*[.]test)[.][bz]$", names(x), value = TRUE)))
}

#' The list of matrices that many pipelines exchange
#'
#' Pipelines for multi-tissue eQTL studies write a list of matrices to a file `*.mash.rds`: `strong.b`, `strong.s`,
#' `strong.z` of the lead effects, `random.b` ... of a random choice, `null.b` ... of effects that are taken for null,
#' and `XtX`, the crossproduct of the strong z-scores.
#'
#' @param x A data object, or what [as_mash_data()] takes.
#' @param file Path of an RDS file.
#' @param strong,random,null Rows of `x` for each part: numbers, names or TRUE and FALSE. At least one.
#' @param overwrite Replace a file that is there?
#' @return `read_mash_rds()`: a list of data objects by part, such as `strong` and `random`, with the attribute `XtX`
#'   if the file has it. Parts without standard errors are z-scores with standard error 1. `write_mash_rds()`: the
#'   path, invisibly.
#' @details Written are `b`, `s` and `z` (`b / s`) of each part, on the scale of the estimates whatever `alpha` is, and
#'   `XtX` (\eqn{Z'Z}, missing z-scores as 0). A missing estimate is `NA`; other programs may want it otherwise.
#' @section Errors: `covmash_error_file` for a file that is not there, is no such list, or is there already.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [as_mash_data()]
#' @export
#' @examples
#' set.seed(1)
#' sim <- simple_sims(nsamp = 20, ncond = 3, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' file <- tempfile(fileext = ".mash.rds")
#' write_mash_rds(data, file, strong = get_significant_results(mash_1by1(data)), random = 1:40)
#' read_mash_rds(file)$random
#' unlink(file)
read_mash_rds <- function(file) {
  refuse_missing(missing(file), "file", "the path of an RDS file", "covmash_error_file")
  check_file(file, "file")
  x <- tryCatch(readRDS(file), error = function(e) NULL)
  if (!is_interchange(x)) {
    abort_input(
      "'{file}' must hold a list with matrices such as strong.b, strong.s, random.b, random.s.", class = "covmash_error_file"
    )
  }
  parts <- parts_of_interchange(x)
  out <- lapply(stats::setNames(parts, parts), function(part) as_mash_data(x, part = part))
  attr(out, "XtX") <- x[["XtX"]]
  out
}

#' @rdname read_mash_rds
#' @export
write_mash_rds <- function(x, file, strong = NULL, random = NULL, null = NULL, overwrite = FALSE) {
  data <- as_mash_data(x)
  check_flag(overwrite, "overwrite")
  if (missing(file) || !checkmate::test_string(file, min.chars = 1L) || !dir.exists(dirname(file))) {
    abort_input("`file` must be the path of a file in a folder that exists.", class = "covmash_error_file")
  }
  if (file.exists(file) && !overwrite) {
    abort_input("'{file}' is there already; give another `file`, or overwrite = TRUE.", class = "covmash_error_file")
  }
  rows <- Filter(Negate(is.null), list(strong = strong, random = random, null = null))
  if (length(rows) == 0L) {
    abort_input("Give the rows of `strong`, `random` or `null`.", class = "covmash_error_argument")
  }
  out <- list()
  for (part in names(rows)) {
    chosen <- resolve_subset(rows[[part]], data, part)
    b <- (data$Bhat * data$Shat_alpha)[chosen, , drop = FALSE]
    s <- (data$Shat * data$Shat_alpha)[chosen, , drop = FALSE]
    out[paste0(part, c(".b", ".s", ".z"))] <- list(b, s, b / s)
  }
  if (!is.null(strong)) out$XtX <- crossprod(replace(out$strong.z, is.na(out$strong.z), 0))
  partial <- tempfile(tmpdir = dirname(file), fileext = ".rds")
  on.exit(unlink(partial))
  saveRDS(out, partial)
  if (!file.rename(partial, file)) abort_input("'{file}' cannot be written.", class = "covmash_error_file")
  invisible(file)
}
