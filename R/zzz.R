# Exported functions that compute run behind one door. It is put on here, when all of them are
# there, so that no function has to think of it.

# R's errors about memory become those of covmash, and the clock of the progress bar counts from
# here. name: of the function that the user called.
enter <- function(expr, name = "covmash") {
  if (is.null(progress$entered)) {
    progress$entered <- elapsed()
    progress$called <- name
    on.exit(progress$entered <- progress$called <- NULL)
  }
  name_memory_errors(expr)
}

with_door <- function(f, name) {
  body(f) <- call("enter", body(f), paste0(name, "()"))
  f
}

# Functions that call UseMethod() cannot be among them.
behind_door <- c(
  "check_covariance", "conditional", "correlation", "count_significant", "cov_canonical", "cov_ed",
  "cov_empirical", "cov_fa", "cov_flash", "cov_pca", "cov_ted", "cov_udi", "cv_deconvolve", "cv_mash",
  "deconvolve", "diagnose", "eigenvalues", "estimate_error_correlation", "estimate_null_correlation_simple",
  "factor_scores", "fit_factor_model", "fit_indices", "generate_factor_covariance", "get_n_significant_conditions",
  "get_pairwise_sharing", "get_pairwise_sharing_from_samples", "get_posterior_condition_wise_summary",
  "get_posterior_weights", "get_qvalue", "get_significant_results", "get_svalue", "is_covariance",
  "log_density", "marginal", "mash", "mash_1by1", "mash_compute_loglik", "mash_compute_posterior_matrices",
  "mash_compute_vloglik", "mash_cost", "mash_estimate_corr_em", "mash_output", "mash_pipeline", "mash_posterior",
  "mash_report", "mash_set_data", "mash_source", "mash_update_data", "nearest_covariance", "partial_correlation",
  "partial_correlation_network", "placeholder_to_na", "precision", "read_sumstats", "rfactor_cov",
  "select_n_factors", "select_strong_effects", "sim_contrast1", "sim_contrast2", "simple_sims", "simple_sims2",
  "summarise_effects", "write_mash", "write_source"
)

for (name in behind_door) {
  assign(name, with_door(get(name), name))
}
rm(name)
