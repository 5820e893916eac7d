#pragma once
// The Options structs of the core under the names their fields have in R. Read from a list of settings and written to
// one, so that a default is told once, in the struct.
#include "bridge.h"

#include <limits>
#include <type_traits>

#include <covmash/deconvolution/deconvolve.h>
#include <covmash/deconvolution/fit.h>
#include <covmash/factor/fit.h>
#include <covmash/factor/missing.h>
#include <covmash/mash/fit.h>
#include <covmash/mash/interval.h>
#include <covmash/mash/posterior.h>
#include <covmash/mash/largest.h>
#include <covmash/mash/statement.h>

namespace bridge {

template <typename Visitor>
void fields(covmash::WeightsOptions& o, Visitor&& field) {
  field("max_iter", o.max_iterations);
  field("tol", o.tolerance);
}

template <typename Visitor>
void fields(covmash::FitOptions& o, Visitor&& field) {
  fields(o.weights, field);
  field("memory", o.memory);
}

template <typename Visitor>
void fields(covmash::PosteriorOptions& o, Visitor&& field) {
  field("pi_thresh", o.pi_threshold);
  field("summaries", o.summaries);
  field("alternatives", o.alternatives);
  field("block_rows", o.block_rows);
}

template <typename Visitor>
void fields(covmash::IntervalOptions& o, Visitor&& field) {
  field("level", o.level);
  field("shortest", o.shortest);
}

template <typename Visitor>
void fields(covmash::LargestOptions& o, Visitor&& field) {
  field("points", o.points);
}

template <typename Visitor>
void fields(covmash::StatementOptions& o, Visitor&& field) {
  field("any", o.any);
  field("sign", o.sign);
  field("tolerance", o.tolerance);
}

template <typename Visitor>
void fields(covmash::DeconvolutionOptions& o, Visitor&& field) {
  field("tol", o.tolerance);
  field("maxiter", o.max_iterations);
  field("w", o.ridge);
  field("fixamp", o.fix_weights);
}

template <typename Visitor>
void fields(covmash::TruncatedOptions& o, Visitor&& field) {
  field("maxiter", o.max_iterations);
  field("converge_tol", o.tolerance);
  field("eigen_tol", o.eigenvalue_floor);
}

template <typename Visitor>
void fields(covmash::DeconvolveOptions& o, Visitor&& field) {
  field("lambda", o.lambda);
  field("first_scale", o.first_scale);
  field("extreme", o.extreme);
  field("loadings", o.loadings);
  field("accelerate", o.accelerate);
  field("tol", o.tolerance);
  field("max_evaluations", o.max_evaluations);
  field("trial_steps", o.trial_steps);
  field("null", o.null);
  field("nullweight", o.null_weight);
}

template <typename Visitor>
void fields(covmash::FactorFitOptions& o, Visitor&& field) {
  field("lower", o.lower);
  field("tol", o.tolerance);
  field("max_iter", o.max_iterations);
}

template <typename Visitor>
void fields(covmash::MissingFactorOptions& o, Visitor&& field) {
  field("lower", o.lower);
  field("tol", o.tolerance);
  field("max_iter", o.max_iterations);
}

// R's numbers are doubles; one beyond a whole type is its largest value.
template <typename T>
T number(double x) {
  if (std::is_floating_point<T>::value) return static_cast<T>(x);
  return x >= static_cast<double>(std::numeric_limits<T>::max()) ? std::numeric_limits<T>::max() : static_cast<T>(x);
}

inline void read(SEXP x, bool& value) { value = Rcpp::as<bool>(x); }

template <typename T>
void read(SEXP x, T& value) {
  value = number<T>(Rcpp::as<double>(x));
}

// What the settings name; the rest keeps its default.
template <typename Options>
Options options(const Rcpp::List& settings) {
  Options o;
  fields(o, [&](const char* name, auto& value) {
    if (settings.containsElementNamed(name)) read(settings[name], value);
  });
  return o;
}

template <typename Options>
Rcpp::List defaults() {
  Options o;
  Rcpp::List out;
  fields(o, [&](const char* name, auto& value) {
    if (std::is_same<std::decay_t<decltype(value)>, bool>::value)
      out[name] = static_cast<bool>(value);
    else
      out[name] = static_cast<double>(value);
  });
  return out;
}

}  // namespace bridge
