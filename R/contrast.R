# Contrasts: effects as differences from a reference condition or from the mean of all.

#' Contrasts of conditions
#'
#' `contrast_matrix()` are the differences of all conditions from a reference, or from
#' their mean. [mash_update_data()] makes data of them.
#'
#' @param R Number of conditions, at least 2.
#' @param ref The reference: a number, one of `name`, or `"mean"` for the mean of all conditions.
#' @param name Names of the conditions.
#' @return A matrix of R - 1 rows and R columns, named `<condition>-<reference>` and by the
#'   conditions, with the attribute `reference`. With `ref = "mean"` the last condition has no
#'   row: its difference is minus the sum of the others.
#' @section Errors: `covmash_error_contrast` if there is no such reference.
#' @section Differences from mashr: Two conditions work.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51,
#'   187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [mash_update_data()], [sim_contrast2()]
#' @export
#' @examples
#' contrast_matrix(3, 1, c("control", "low", "high"))
#' contrast_matrix(3, "mean")
contrast_matrix <- function(R, ref, name = 1:R) {
  check_whole(R, "R", 2)
  refuse_missing(missing(ref), "ref", "the number or name of the reference, or \"mean\"", "covmash_error_contrast")
  if (!is.atomic(name) || length(name) != R || anyNA(name)) {
    abort_input(
      "`name` must have one name for each of the {plural(R, 'condition')}, not {describe(name)}.",
      class = "covmash_error_contrast"
    )
  }
  name <- as.character(name)
  if (identical(ref, "mean")) {
    L <- diag(R) - 1 / R
    kept <- seq_len(R - 1L)
    label <- "mean"
  } else {
    at <- reference_position(ref, R, name)
    L <- diag(R)
    L[, at] <- L[, at] - 1
    kept <- seq_len(R)[-at]
    label <- name[at]
  }
  L <- L[kept, , drop = FALSE]
  dimnames(L) <- list(paste0(name[kept], "-", label), name)
  structure(L, reference = ref)
}

reference_position <- function(ref, R, name, argument = "ref", or = ", or \"mean\"") {
  at <- if (is.numeric(ref) && checkmate::test_count(ref, positive = TRUE) && ref <= R) {
    ref
  } else if (length(ref) == 1L && is.atomic(ref)) {
    which(name == as.character(ref))
  }
  if (length(at) != 1L) {
    many <- if (length(at) > 1L) " (there are several)"
    abort_input(
      "`{argument}` must be a number from 1 to {R} or the name of one condition{or}, not {describe(ref)}{many}.",
      class = "covmash_error_contrast"
    )
  }
  at
}
