#' Covariance matrices of simple patterns
#'
#' Matrices that do not depend on the estimates: effects that are independent,
#' specific to one condition, equal in all conditions, or equally correlated.
#'
#' @param data A data object made by [mash_set_data()], or a [source][mash_source()]; only the number and the
#'   names of its conditions are used.
#' @param cov_methods Which patterns, as a character vector (names may be
#'   abbreviated):
#'   * `"identity"`: the identity;
#'   * `"singletons"`: for each condition a matrix with a single 1 on the diagonal;
#'   * `"equal_effects"`: all ones;
#'   * `"simple_het"`: ones on the diagonal and 0.25, 0.5 or 0.75 off it;
#'   * `"null"`: all zeros.
#'
#'   Or a list whose elements are such names, or, under a name of their own,
#'   lists with `fn`, a function of `data` (or its name) that returns a matrix
#'   or a list of matrices, and `args`, a list of further arguments to it.
#' @param groups How the conditions belong together, to add matrices of that: one value for each
#'   condition (a vector or factor; one with names is matched to the conditions by them), or a data
#'   frame with a column for each way of grouping, as tissue and time.
#' @return A named list of R x R matrices without dimnames: `identity`, one for
#'   each condition (named after the columns of `Bhat`, or `singletons_1`, ...),
#'   `equal_effects`, `simple_het_1` to `simple_het_3`. For a grouping `g` (the name of the
#'   column; `group` for a vector) further:
#'   * `g_shared`: equal effects within a group, independent ones between groups;
#'   * `g_het`: equal effects within a group, correlated 0.5 between groups;
#'   * `g_<level>` for each level of two conditions or more: equal effects in that group alone;
#'   * `g_x_h` for each two groupings: the product of `g_het` and `h_het`, which for conditions
#'     that are all combinations of both is their Kronecker product.
#' @section Errors: A method that does not exist is an error of class
#'   `covmash_error_argument`.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019).
#'   *Nature Genetics* 51, 187-195. \doi{10.1038/s41588-018-0268-8}
#' @seealso [cov_pca()], [cov_ed()] for matrices learned from the data.
#' @concept covariance matrix
#' @export
#' @examples
#' data <- mash_set_data(matrix(rnorm(12), 4, 3))
#' names(cov_canonical(data))
#' cov_canonical(data, c("id", "equal"))
#'
#' # conditions that are combinations of a tissue and a time
#' design <- expand.grid(tissue = c("liver", "lung"), time = c("early", "late"))
#' data <- mash_set_data(matrix(rnorm(20), 5, 4))
#' names(cov_canonical(data, "identity", groups = design))
#'
#' # a pattern of one's own
#' ar1 <- function(data, rho) rho^abs(outer(seq_len(ncol(data)), seq_len(ncol(data)), "-"))
#' cov_canonical(data, list(ar = list(fn = ar1, args = list(rho = 0.5))))
cov_canonical <- function(data,
                          cov_methods = c(
                            "identity", "singletons", "equal_effects",
                            "simple_het"
                          ),
                          groups = NULL) {
  data <- take_effects(data)$data
  if (!is.character(cov_methods) && !is.list(cov_methods) ||
        length(cov_methods) == 0L) {
    abort_input(
      "`cov_methods` must be names of patterns or a list, not {describe(cov_methods)}.",
      class = "covmash_error_argument"
    )
  }
  parts <- lapply(seq_along(cov_methods), function(i) {
    covariances_by_method(data, cov_methods[[i]], names(cov_methods)[i])
  })
  do.call(c, c(parts, list(cov_groups(check_groups(groups, data)))))
}

# A list of factors, one for each way of grouping.
check_groups <- function(groups, data) {
  if (is.null(groups)) {
    return(NULL)
  }
  if (!is.data.frame(groups)) {
    groups <- if (is.atomic(groups) && is.null(dim(groups))) list(group = groups)
  }
  R <- n_conditions(data)
  sizes_fit <- length(groups) > 0L && all(lengths(groups) == R) && all(vapply(groups, is.atomic, TRUE))
  if (!sizes_fit || anyNA(unlist(lapply(groups, as.character)))) {
    abort_input(
      "`groups` must have one value for each of the {plural(R, 'condition')}, in a vector or in the columns of a data ",
      "frame, and none of them missing.",
      class = "covmash_error_argument"
    )
  }
  lapply(groups, function(g) {
    if (!is.null(names(g)) && setequal(names(g), colnames(data$Bhat))) {
      g <- g[colnames(data$Bhat)]
    }
    factor(as.character(g), levels = unique(as.character(g)))
  })
}

cov_groups <- function(groups) {
  made <- list()
  for (name in names(groups)) {
    g <- groups[[name]]
    same <- outer(as.integer(g), as.integer(g), `==`) + 0
    made[[paste0(name, "_shared")]] <- same
    made[[paste0(name, "_het")]] <- 0.5 + 0.5 * same
    for (level in levels(g)[table(g) > 1]) {
      made[[paste0(name, "_", level)]] <- tcrossprod((g == level) + 0)
    }
  }
  for (pair in if (length(groups) > 1L) utils::combn(names(groups), 2, simplify = FALSE)) {
    made[[paste(pair, collapse = "_x_")]] <- made[[paste0(pair[1], "_het")]] * made[[paste0(pair[2], "_het")]]
  }
  made
}

# The matrices of one method, named.
covariances_by_method <- function(data, method, name) {
  if (is.character(method)) {
    name <- check_choice(method, names(canonical_methods), "cov_methods")
    method <- canonical_methods[[name]]
  } else if (is.function(method)) {
    method <- list(fn = method)
  }
  if (is.null(name) || is.na(name) || !nzchar(name)) {
    abort_input(
      "A function in `cov_methods` needs a name: list(my_name = list(fn = ..., args = ...)).",
      class = "covmash_error_argument"
    )
  }
  fn <- if (is.list(method)) method[["fn"]]
  if (checkmate::test_string(fn)) {
    fn <- get0(fn, mode = "function")
  }
  if (!is.function(fn)) {
    abort_input(
      "The element '{name}' of `cov_methods` has no function `fn`; write ",
      "list({name} = list(fn = ..., args = ...)).",
      class = "covmash_error_argument"
    )
  }
  made <- do.call(fn, c(list(data), as.list(method$args)))
  if (!is.list(made)) {
    return(stats::setNames(list(made), name))
  }
  if (name == "singletons" && !is.null(colnames(data$Bhat))) {
    names(made) <- colnames(data$Bhat)
  } else {
    names(made) <- paste0(name, "_", seq_along(made))
  }
  made
}

cov_identity <- function(data) diag(n_conditions(data))

cov_singletons <- function(data) {
  R <- n_conditions(data)
  lapply(seq_len(R), function(r) cov_first_singleton(data, r))
}

# All zeros but for a 1 at (r, r); the first condition unless told otherwise.
cov_first_singleton <- function(data, r = 1L) {
  U <- cov_all_zeros(data)
  U[r, r] <- 1
  U
}

cov_equal_effects <- function(data) {
  matrix(1, n_conditions(data), n_conditions(data))
}

cov_all_zeros <- function(data) {
  matrix(0, n_conditions(data), n_conditions(data))
}

# Ones on the diagonal, `corr` elsewhere; one matrix for each value.
cov_simple_het <- function(data, corr = c(0.25, 0.5, 0.75)) {
  if (!is.numeric(corr) || length(corr) == 0L || anyNA(corr) ||
        any(abs(corr) > 1)) {
    abort_input(
      "`corr` must hold correlations from -1 to 1, not {describe(corr)}.",
      class = "covmash_error_argument"
    )
  }
  lapply(corr, function(rho) {
    U <- matrix(rho, n_conditions(data), n_conditions(data))
    diag(U) <- 1
    U
  })
}

canonical_methods <- list(
  null = list(fn = cov_all_zeros),
  identity = list(fn = cov_identity),
  singletons = list(fn = cov_singletons),
  equal_effects = list(fn = cov_equal_effects),
  simple_het = list(fn = cov_simple_het)
)
