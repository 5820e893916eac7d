# Pictures of data and of results of mash: every type, with the arguments it takes.

types_of <- function(class) eval(formals(get(paste0("autoplot.", class), asNamespace("covmash")))$type)

# Arguments that go with a type, of R conditions and J effects.
picture_args <- function(type, data, J, R, what = seq_len(R)) {
  args <- list()
  if (type %in% c("effect", "shrinkage", "manhattan") && (type == "shrinkage" || chance(0.5))) args$data <- data
  if (type == "effect" && chance(0.5)) args$effect <- sample.int(J, 1)
  if (type == "manhattan") {
    args$position <- pick(list(seq_len(J), stats::runif(J, 0, 1e8), rep(7, J)))
    if (chance(0.7)) args$chromosome <- pick(list(rep(1, J), sample(c(1:3, "X"), J, TRUE), factor(rep_len(letters[1:4], J))))
  }
  if (type %in% c("shrinkage", "significant", "n_conditions", "sets", "sizes", "manhattan") && chance(0.3)) {
    args$conditions <- pick(list(1, R, what, -1)[seq_len(if (R > 1) 4 else 3)])
  }
  if (type %in% c("sharing", "map") && chance(0.4)) args$factor <- stats::runif(1)
  if (type %in% c("sharing", "map") && chance(0.2)) args$FUN <- abs
  if (chance(0.3)) args$thresh <- pick(c(0, 0.01, 0.2, 0.5, 1))
  if (chance(0.3)) args$top <- pick(c(1, 3, Inf))
  if (chance(0.2) && type != "effect") args$predicted <- TRUE
  if (chance(0.2)) args$max_points <- pick(c(1, 10, 1e5))
  args
}

fit_plot_args <- function() {
  one <- full_fit_pool()
  type <- pick(types_of("mash_fit"))
  if (type == "weights") {
    return(list(one$fit, type = type))
  }
  c(list(one$fit, type = type), picture_args(type, one$data, one$problem$J, one$problem$R))
}
plots("autoplot.mash_fit", "autoplot", fit_plot_args, 1)
plots("plot.mash_fit", "plot", fit_plot_args, 0.2)

onebyone_plot_args <- function() {
  one <- onebyone_pool()
  type <- pick(types_of("mash_1by1"))
  c(list(one$fit, type = type), picture_args(type, one$data, one$problem$J, one$problem$R))
}
plots("autoplot.mash_1by1", "autoplot", onebyone_plot_args, 0.5)
plots("plot.mash_1by1", "plot", onebyone_plot_args, 0.1)

contrast_plot_args <- function() {
  repeat {
    one <- full_fit_pool()
    if (one$problem$R > 1) break
  }
  contrast <- quietly(covmash::mash_contrast(one$fit, one$data, pick(c("pairwise", "reference", "deviation"))))
  type <- pick(types_of("mash_contrast"))
  args <- picture_args(type, NULL, one$problem$J, ncol(contrast$result$lfsr))
  c(list(contrast, type = type), args[intersect(names(args), c("effect", "conditions", "thresh", "top"))])
}
plots("autoplot.mash_contrast", "autoplot", contrast_plot_args, 0.4)
plots("plot.mash_contrast", "plot", contrast_plot_args, 0.1)

data_plot_args <- function() {
  data <- new_data()
  args <- list(data, type = pick(types_of("mash_data")))
  if (args$type == "qq" && chance(0.3)) args$conditions <- ncol(data$Bhat)
  if (chance(0.3)) args$top <- pick(c(1, 3, Inf))
  args
}
plots("autoplot.mash_data", "autoplot", data_plot_args, 0.5)
plots("plot.mash_data", "plot", data_plot_args, 0.1)

matrices_args <- function() {
  args <- list(pick(list(new_problem()$g$Ulist, fit_pool()$fit, new_problem()$g$Ulist[[1]])))
  if (chance(0.3)) args$ncol <- between(1, 5)
  if (chance(0.3)) args$max_matrices <- pick(c(1, 2, Inf))
  args
}
plots("plot_covariances", "plot_covariances", function() {
  args <- matrices_args()
  if (chance(0.5)) args$cluster <- chance(0.5)
  args
}, 0.4)
plots("plot_eigenvectors", "plot_eigenvectors", function() {
  args <- matrices_args()
  if (chance(0.5)) args$n_vectors <- between(1, 4)
  args
}, 0.4)
plots("mash_plot_meta", "mash_plot_meta", function() {
  one <- full_fit_pool()
  list(one$fit, sample.int(one$problem$J, 1))
}, 0.1)
