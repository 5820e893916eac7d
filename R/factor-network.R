#' @rdname partial_correlation
#' @export
partial_correlation_network <- function(Sigma, threshold = 0.1, max_edges = 1e6,
                                        n_threads = NULL) {
  check_number(threshold, "threshold", 0, 1, "a number above 0 and at most 1")
  if (threshold == 0) {
    abort_input(
      "`threshold` must be above 0; partial_correlation() gives all pairs.",
      class = "covmash_error_argument"
    )
  }
  check_whole(max_edges, "max_edges", 1)
  found <- factor_core(
    Sigma, cpp_factor_network, threshold, max_edges, resolve_threads(n_threads)
  )
  if (!found$complete) {
    abort_input(
      "More than {format_count(max_edges)} pairs of genes have a partial correlation of at least ",
      "{format(threshold)}; raise `threshold` or `max_edges`.",
      class = "covmash_error_too_many_edges"
    )
  }
  genes <- gene_names(Sigma)
  if (is.null(genes)) genes <- seq_along(Sigma$D)
  structure(
    data.frame(
      gene1 = genes[found$first], gene2 = genes[found$second],
      partial_correlation = found$weight
    ),
    genes = genes, threshold = threshold,
    class = c("gene_network", "data.frame")
  )
}
