# Covariances in which each condition is unassociated, directly or indirectly associated.

#' Covariances of direct and indirect associations
#'
#' Each condition is unassociated (U, its effect is zero), directly associated (D) or
#' indirectly associated (I, its effect follows from the direct ones through the
#' correlation of the errors): the models of Stephens (2013) for related phenotypes.
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()], whose `V` is the correlation of the
#'   phenotypes.
#' @param model The models: a matrix with one row for each, of letters `"U"`, `"D"` and
#'   `"I"` for the conditions; a vector is one model. Default: all of the
#'   \eqn{3^R - 2^R} models with at least one direct association.
#' @return A named list of R x R matrices, `cov_udi_` and the letters.
#' @details With V the correlation of the errors, \eqn{V_{D \cdot U}}{V_D.U} its block of the
#'   direct conditions given the unassociated ones, and \eqn{B} the regression of the
#'   indirect conditions on the others that falls to the direct ones, the matrix is
#'   \eqn{V_{D \cdot U}}{V_D.U} for D, \eqn{B V_{D \cdot U}}{B V_D.U} between I and D, and
#'   \eqn{B V_{D \cdot U} B'}{B V_D.U B'} for I.
#' @section Errors: `covmash_error_argument` for other letters, or a model without a D.
#' @references Stephens M (2013). A unified framework for association analysis with
#'   multiple related phenotypes. *PLoS ONE* 8, e65245.
#'   \doi{10.1371/journal.pone.0065245}
#' @seealso [cov_canonical()]
#' @export
#' @examples
#' V <- matrix(c(1, 0.5, 0.5, 1), 2)
#' data <- mash_set_data(matrix(rnorm(8), 4, 2), V = V)
#' cov_udi(data)
#' cov_udi(data, c("I", "D"))
cov_udi <- function(data, model = udi_model_matrix(n_conditions(data))) {
  data <- take_effects(data)$data
  V <- unname(common_V(data, "cov_udi()"))
  model <- check_udi_model(model, ncol(V))
  made <- lapply(seq_len(nrow(model)), function(i) {
    U <- udi_covariance(V, model[i, ])
    dimnames(U) <- dimnames_of_conditions(data)
    U
  })
  stats::setNames(made, paste0("cov_udi_", apply(model, 1, paste, collapse = "")))
}

# All models of R conditions with a D, the first condition varying fastest.
udi_model_matrix <- function(R) {
  if (R > 10L) {
    abort_input(
      "All models of {R} conditions are {format_count(3^R - 2^R)}; give `model`.", class = "covmash_error_argument"
    )
  }
  all <- as.matrix(expand.grid(rep(list(c("U", "D", "I")), R), stringsAsFactors = FALSE))
  unname(all[rowSums(all == "D") > 0L, , drop = FALSE])
}

check_udi_model <- function(model, R) {
  if (is.character(model) && is.null(dim(model))) {
    model <- matrix(model, 1L)
  }
  if (!is.character(model) || !is.matrix(model) || ncol(model) != R || anyNA(model) || !all(model %in% c("U", "D", "I"))) {
    abort_input(
      "`model` must be a matrix of the letters U, D and I with one column for each of the {plural(R, 'condition')}, not ",
      "{describe(model)}.",
      class = "covmash_error_argument"
    )
  }
  if (any(rowSums(model == "D") == 0)) {
    at <- which(rowSums(model == "D") == 0)[1]
    abort_input(
      "`model` must have at least one D in every row, but row {at} has none.", class = "covmash_error_argument"
    )
  }
  model
}

udi_covariance <- function(V, letters) {
  U <- which(letters == "U")
  D <- which(letters == "D")
  I <- which(letters == "I")
  rest <- c(U, D)
  direct <- V[D, D, drop = FALSE]
  if (length(U) > 0L) {
    direct <- direct - V[D, U, drop = FALSE] %*% solve(V[U, U, drop = FALSE], V[U, D, drop = FALSE])
  }
  out <- matrix(0, nrow(V), nrow(V))
  out[D, D] <- symmetrise(direct)
  if (length(I) > 0L) {
    # The columns of D of the regression of I on all others.
    on_others <- t(solve(V[rest, rest, drop = FALSE], V[rest, I, drop = FALSE]))
    B <- on_others[, match(D, rest), drop = FALSE]
    out[I, D] <- B %*% direct
    out[D, I] <- t(out[I, D])
    out[I, I] <- symmetrise(B %*% direct %*% t(B))
  }
  out
}
