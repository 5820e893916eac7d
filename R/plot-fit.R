#' Pictures of data and results
#'
#' Drawn with ggplot2, which must be installed. `plot()` draws; `autoplot()` (after `library(ggplot2)`) returns the
#' plot, to be changed (`+ theme()`, `+ labs()`) or saved.
#'
#' @param object,x A fit of [mash()], a result of [mash_1by1()] or [mash_contrast()], or a data object of
#'   [mash_set_data()].
#' @param type What to draw; see the table.
#' @param effect Row number or name of the effect to draw with `type = "effect"`; the most significant one if `NULL`.
#' @param data The data object of the fit. `"effect"` then shows the observed estimates too; `"shrinkage"` needs it;
#'   `"manhattan"` computes with it an lfsr that is 0 in double precision ([get_log_lfsr()]).
#' @param max_weights Draw at most so many matrices, those with the largest weights.
#' @param conditions The conditions (or contrasts) to look at: numbers, names or `TRUE`/`FALSE`; if `NULL` all, or
#'   for `"shrinkage"` and `"qq"` those that have most to show.
#' @param thresh Significant means an lfsr strictly below this.
#' @param top Draw at most so many (`Inf` for all) conditions, sets or matrices; the defaults are in the
#'   table. Which ones, and how many are left out, is said below the picture.
#' @param predicted Count estimates that were not observed too, as in [get_significant_results()]?
#' @param chromosome,position For `"manhattan"`: vectors with one element for each effect. Chromosomes are drawn in
#'   the order of the levels of a factor, else by number and then by name; without `chromosome` there is one.
#' @param max_points Draw at most so many points. Those left out lie on top of others.
#' @param ... For `plot`: the arguments of `autoplot`. For `"sharing"` and `"map"`: `factor`, `lfsr_thresh` and
#'   `FUN` of [get_pairwise_sharing()]. Otherwise not used.
#' @return `autoplot`: a ggplot object. `plot`: the same, invisibly, after drawing it.
#' @details
#' | `type` | shows | default `top` | of |
#' |---|---|---|---|
#' | `"weights"` | the weight of each covariance matrix | `max_weights` | fit |
#' | `"components"` | the weights by matrix and scale | `max_weights` | fit |
#' | `"covariances"` | the matrices as heat maps, conditions clustered | 9 | fit |
#' | `"eigenvectors"` | the leading eigenvector of each matrix | 4 | fit |
#' | `"sharing"` | heat map of [get_pairwise_sharing()], clustered | | fit, 1by1 |
#' | `"map"` | conditions in the plane: multidimensional scaling of 1 - sharing | | fit, 1by1 |
#' | `"effect"` | forest of one effect, filled where significant | 45 | fit, 1by1, contrast |
#' | `"shrinkage"` | observed effects against posterior means | 9 | fit, 1by1 |
#' | `"significant"` | number of significant effects by condition | `Inf` | fit, 1by1, contrast |
#' | `"n_conditions"` | histogram of the number of conditions an effect is significant in | | fit, 1by1, contrast |
#' | `"sets"` | number of effects by the set of conditions they are significant in | 20 | fit, 1by1, contrast |
#' | `"sizes"` | absolute posterior means of significant effects by condition | `Inf` | fit, 1by1, contrast |
#' | `"manhattan"` | smallest lfsr of each effect along the genome | | fit, 1by1 |
#' | `"z"` | middle of the z-scores by condition | `Inf` | data |
#' | `"qq"` | quantiles of the z-scores by condition | 9 | data |
#'
#' Labels are made for 7 x 5 inches. Where there are too many, every n-th is written and the picture says so. Where a
#' colour stands for a sign, negative is blue and positive red; scales without sign go from white to purple.
#'
#' Bars of the forest are 1.96 standard deviations to each side. The band of `"qq"` has 95 % of each order
#' statistic of independent z-scores without effects.
#' @section Errors: `covmash_error_package` if ggplot2 is not installed; `covmash_error_argument` for an unknown type
#'   or a missing `data` or `position`; `covmash_error_index` for an unknown effect or condition; `covmash_error_fit`
#'   for a fit without posterior.
#' @references Urbut SM, Wang G, Carbonetto P, Stephens M (2019). *Nature Genetics* 51, 187-195.
#'   \doi{10.1038/s41588-018-0268-8}
#' @seealso [plot_covariances()], [deconvolution_plots], [factor_plots]
#' @name mash_plots
#' @examplesIf requireNamespace("ggplot2", quietly = TRUE)
#' set.seed(1)
#' sim <- simple_sims(nsamp = 50, ncond = 4, err_sd = 0.5)
#' data <- mash_set_data(sim$Bhat, sim$Shat)
#' fit <- mash(data, cov_canonical(data), verbose = FALSE, n_threads = 1)
#' plot(fit, type = "sharing")
#' plot(fit, type = "effect", effect = "effect_60", data = data)
NULL

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_fit <- function(object,
                              type = c(
                                "weights", "sharing", "effect", "components", "covariances", "eigenvectors", "map",
                                "shrinkage", "significant", "n_conditions", "sets", "sizes", "manhattan"
                              ),
                              effect = NULL, data = NULL, max_weights = 30, conditions = NULL, thresh = 0.05,
                              top = NULL, predicted = FALSE, chromosome = NULL, position = NULL, max_points = 1e4,
                              ...) {
  need_ggplot2()
  type <- check_choice(type, eval(formals(autoplot.mash_fit)$type), "type")
  switch(type,
    weights = plot_weights(object, max_weights),
    components = plot_components(object, max_weights),
    covariances = plot_covariances(object, max_matrices = how_many(top, 9), cluster = TRUE),
    eigenvectors = plot_eigenvectors(object, max_matrices = how_many(top, 4)),
    plot_results(
      object, type, effect, data, conditions, thresh, top, predicted, chromosome, position, max_points, ...
    )
  )
}

# Pictures of posterior means and false sign rates, of whatever has them.
plot_results <- function(m, type, effect = NULL, data = NULL, conditions = NULL, thresh = 0.05, top = NULL,
                         predicted = FALSE, chromosome = NULL, position = NULL, max_points = 1e4, ...,
                         what = "conditions") {
  check_number(thresh, "thresh", 0, 1, what = "a number from 0 to 1")
  check_flag(predicted, "predicted")
  check_whole(max_points, "max_points", 1)
  how_many(top, 1)
  switch(type,
    effect = plot_effect(m, effect, data, thresh, top, what = what),
    sharing = plot_sharing(sharing_of(m, thresh, predicted, ...)),
    map = plot_sharing_map(sharing_of(m, thresh, predicted, ...)),
    shrinkage = plot_shrinkage(m, data, conditions, thresh, top, predicted, max_points),
    significant = plot_n_significant(m, conditions, thresh, top, predicted, what),
    n_conditions = plot_n_conditions(m, conditions, thresh, predicted, what),
    sets = plot_sets(m, conditions, thresh, top, predicted, what),
    sizes = plot_sizes(m, conditions, thresh, top, predicted, what),
    manhattan = plot_manhattan(m, data, conditions, thresh, predicted, chromosome, position, max_points)
  )
}

#' @rdname mash_plots
#' @export
plot.mash_fit <- function(x, ...) {
  draw(autoplot.mash_fit(x, ...))
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_1by1 <- function(object, effect = NULL, data = NULL,
                               type = c(
                                 "effect", "sharing", "map", "shrinkage", "significant", "n_conditions", "sets",
                                 "sizes", "manhattan"
                               ),
                               conditions = NULL, thresh = 0.05, top = NULL, predicted = FALSE, chromosome = NULL,
                               position = NULL, max_points = 1e4, ...) {
  need_ggplot2()
  type <- check_choice(type, eval(formals(autoplot.mash_1by1)$type), "type")
  plot_results(
    object, type, effect, data, conditions, thresh, top, predicted, chromosome, position, max_points, ...
  )
}

#' @rdname mash_plots
#' @export
plot.mash_1by1 <- function(x, ...) {
  draw(autoplot.mash_1by1(x, ...))
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_contrast <- function(object, type = c("effect", "significant", "n_conditions", "sets", "sizes"),
                                   effect = NULL, conditions = NULL, thresh = 0.05, top = NULL, ...) {
  need_ggplot2()
  check_mash_contrast(object, "object")
  type <- check_choice(type, eval(formals(autoplot.mash_contrast)$type), "type")
  plot_results(
    object, type, effect, conditions = conditions, thresh = thresh, top = top, what = "contrasts"
  )
}

#' @rdname mash_plots
#' @export
plot.mash_contrast <- function(x, ...) {
  draw(autoplot.mash_contrast(x, ...))
}

#' @rdname mash_plots
#' @exportS3Method ggplot2::autoplot
autoplot.mash_data <- function(object, type = c("z", "qq"), conditions = NULL, top = NULL, max_points = 1e4, ...) {
  need_ggplot2()
  type <- check_choice(type, c("z", "qq"), "type")
  check_whole(max_points, "max_points", 1)
  switch(type, z = plot_z(object, top), qq = plot_qq(object, conditions, top, max_points))
}

#' @rdname mash_plots
#' @export
plot.mash_data <- function(x, ...) {
  draw(autoplot.mash_data(x, ...))
}
