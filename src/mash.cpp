// Binding of the mash fit: likelihoods, mixture weights, posteriors.
#include "options.h"

#include <covmash/mash/fit.h>
#include <covmash/mash/interval.h>
#include <covmash/mash/joint.h>
#include <covmash/mash/largest.h>
#include <covmash/mash/likelihood.h>
#include <covmash/mash/posterior.h>
#include <covmash/mash/sharing.h>
#include <covmash/mash/statement.h>
#include <covmash/model/entries.h>
#include <covmash/model/placeholders.h>

#include <functional>
#include <memory>

#include "pca.h"
#include "stream.h"

using Rcpp::_;

namespace {

Rcpp::List weights_list(const covmash::WeightsResult& w) {
  return Rcpp::List::create(_["pi"] = w.pi, _["objective"] = w.objective, _["kkt_violation"] = w.kkt_violation,
                            _["gap_bound"] = w.gap_bound, _["iterations"] = w.iterations, _["converged"] = w.converged);
}

Rcpp::List noise_counts(const covmash::NoiseModel& noise) {
  double shared = 0.0;
  for (const auto& g : noise.shared()) shared += static_cast<double>(g.effects.size());
  return Rcpp::List::create(_["n_groups"] = static_cast<double>(noise.shared().size()), _["n_shared_rows"] = shared,
                            _["n_row_specific"] = static_cast<double>(noise.row_specific().size()),
                            _["n_patterns"] = static_cast<double>(noise.n_patterns()),
                            _["n_missing"] = static_cast<double>(noise.n_missing()),
                            _["n_all_missing"] = static_cast<double>(noise.all_missing().size()));
}

// Vectors and matrices that the core fills, one row an effect.
class Results {
 public:
  explicit Results(const bridge::Data& data) : data_(data) {}

  double* add_vector(const char* name) {
    Rcpp::NumericVector x = bridge::numeric_vector(data_.n_effects());
    list_.push_back(x, name);
    return x.begin();
  }

  double* add(const char* name, int n_columns) {
    Rcpp::NumericMatrix x = bridge::numeric_matrix(data_.n_effects(), n_columns);
    list_.push_back(x, name);
    return x.begin();
  }

  // Sizes and names of the dimensions as R has them; names may be lists of NULL.
  double* add_array(const char* name, const Rcpp::IntegerVector& dim, const Rcpp::List& dimnames) {
    R_xlen_t size = 1;
    for (int n : dim) size *= n;
    Rcpp::NumericVector x = bridge::numeric_vector(size);
    x.attr("dim") = dim;
    x.attr("dimnames") = dimnames;
    list_.push_back(x, name);
    return x.begin();
  }

  // Of the size of the data, with their names.
  double* add_like_data(const char* name) {
    double* values = add(name, data_.n_conditions());
    Rf_setAttrib(list_[name], R_DimNamesSymbol, data_.dimnames());
    return values;
  }

  Rcpp::List list() const { return list_; }

 private:
  const bridge::Data& data_;
  Rcpp::List list_;
};

// wanted: A and its row names, summaries, covariance, draws, seed, scaled (by Shat_alpha), and the names of the effects
// and of the draws.
covmash::JointOptions joint_options(const Rcpp::List& wanted, const Rcpp::List& data) {
  covmash::JointOptions o;
  if (!Rf_isNull(wanted["A"])) o.map = Rcpp::as<arma::mat>(wanted["A"]);
  if (Rcpp::as<bool>(wanted["scaled"])) o.scale = Rcpp::as<Rcpp::NumericMatrix>(data["Shat_alpha"]).begin();
  o.draws = Rcpp::as<std::size_t>(wanted["draws"]);
  o.seed = static_cast<std::uint64_t>(Rcpp::as<double>(wanted["seed"]));
  return o;
}

covmash::JointOutput joint_output(const Rcpp::List& wanted, int J, int Q, Results& results) {
  const SEXP effects = wanted["effects"], outcomes = wanted["outcomes"];
  covmash::JointOutput out;
  if (Rcpp::as<bool>(wanted["summaries"])) {
    const auto matrix = [&](const char* name) {
      return results.add_array(name, {J, Q}, Rcpp::List::create(effects, outcomes));
    };
    out.mean = matrix("PosteriorMean");
    out.sd = matrix("PosteriorSD");
    out.lfdr = matrix("lfdr");
    out.negative = matrix("NegativeProb");
    out.lfsr = matrix("lfsr");
  }
  if (Rcpp::as<bool>(wanted["covariance"]))
    out.covariance = results.add_array("PosteriorCov", {Q, Q, J}, Rcpp::List::create(outcomes, outcomes, effects));
  const int n_draws = Rcpp::as<int>(wanted["draws"]);
  if (n_draws > 0)
    out.draws = results.add_array("PosteriorSamples", {J, Q, n_draws},
                                  Rcpp::List::create(effects, outcomes, wanted["samples"]));
  return out;
}

// The posterior of what `wanted` asks for: summaries, covariances, draws, and if not NULL intervals (level, shortest) and a
// statement (include and exclude, counted from 1, any, sign, tolerance), the largest condition (include, labels, points) and
// sharing (counts, weights, factor); active: in how many conditions.
struct Joint {
  std::vector<std::unique_ptr<covmash::JointQuestion>> questions;
  std::unique_ptr<covmash::JointPosterior> posterior;
  std::function<void()> finish = [] {};  // when all effects are done

  Joint(const Rcpp::List& wanted, const Rcpp::List& data, const bridge::Problem& problem,
        const covmash::Selection& selection, Results& results, covmash::Executor& executor) {
    const covmash::JointOptions asked = joint_options(wanted, data);
    const int J = problem.data.n_effects();
    const int Q = asked.map.is_empty() ? problem.data.n_conditions() : static_cast<int>(asked.map.n_rows);
    const covmash::JointOutput target = joint_output(wanted, J, Q, results);
    if (!Rf_isNull(wanted["interval"])) {
      const Rcpp::List names = Rcpp::List::create(wanted["effects"], wanted["outcomes"]);
      double* lower = results.add_array("lower", {J, Q}, names);
      double* upper = results.add_array("upper", {J, Q}, names);
      const auto options = bridge::options<covmash::IntervalOptions>(wanted["interval"]);
      questions.push_back(std::make_unique<covmash::Intervals>(J, options, lower, upper, executor.workers()));
    }
    if (!Rf_isNull(wanted["statement"])) {
      const Rcpp::List asked_for = wanted["statement"];
      auto options = bridge::options<covmash::StatementOptions>(asked_for);
      for (int r : Rcpp::as<std::vector<int>>(asked_for["include"])) options.include.push_back(r - 1);
      for (int r : Rcpp::as<std::vector<int>>(asked_for["exclude"])) options.exclude.push_back(r - 1);
      covmash::StatementOutput out;
      out.probability = results.add_vector("probability");
      if (options.sign) {
        out.positive = results.add_vector("positive");
        out.negative = results.add_vector("negative");
        out.error = results.add_vector("error");
      }
      questions.push_back(std::make_unique<covmash::JointStatement>(options, out, executor.workers()));
    }
    if (Rcpp::as<bool>(wanted["active"]))
      questions.push_back(std::make_unique<covmash::ActiveConditions>(
          J, results.add_array("active", {J, Q + 1}, Rcpp::List::create(wanted["effects"], R_NilValue))));
    if (!Rf_isNull(wanted["largest"])) {
      const Rcpp::List asked_for = wanted["largest"];
      auto options = bridge::options<covmash::LargestOptions>(asked_for);
      for (int r : Rcpp::as<std::vector<int>>(asked_for["include"])) options.include.push_back(r - 1);
      covmash::LargestOutput out;
      out.probability = results.add_array("largest", {J, static_cast<int>(options.include.size())},
                                          Rcpp::List::create(wanted["effects"], asked_for["labels"]));
      out.none = results.add_vector("none");
      out.error = results.add_vector("error");
      questions.push_back(std::make_unique<covmash::LargestCondition>(J, std::max(Q, problem.data.n_conditions()),
                                                                      options, out, executor.workers()));
    }
    if (!Rf_isNull(wanted["sharing"])) {
      const Rcpp::List sharing = wanted["sharing"];
      const Rcpp::IntegerMatrix counts = sharing["counts"];
      const Rcpp::NumericVector weights = sharing["weights"];
      const Rcpp::List names = Rcpp::List::create(wanted["outcomes"], wanted["outcomes"]);
      double* out = results.add_array("sharing", {Q, Q}, names);
      auto question = std::make_unique<covmash::ExpectedSharing>(
          J, Q, counts.begin(), weights.begin(), Rcpp::as<double>(sharing["factor"]), executor.workers());
      finish = [q = question.get(), out] { q->result(NA_REAL, out); };
      questions.push_back(std::move(question));
    }
    std::vector<const covmash::JointQuestion*> all;
    for (const auto& q : questions) all.push_back(q.get());
    posterior = std::make_unique<covmash::JointPosterior>(problem.noise, problem.prior, selection, asked, target,
                                                          executor, std::move(all));
  }
};

covmash::EntryOptions entry_options(const Rcpp::List& settings) {
  covmash::EntryOptions o;
  o.zero = settings["zero"];
  o.shat_for_both = settings["shat_for_both"];
  o.shat_for_zero = settings["shat_for_zero"];
  o.alpha = settings["alpha"];
  o.missing = NA_REAL;
  o.is_missing = [](double x) { return static_cast<bool>(R_IsNA(x)); };
  return o;
}

Rcpp::NumericVector positions(const std::vector<std::size_t>& at) {
  Rcpp::NumericVector out = bridge::numeric_vector(static_cast<R_xlen_t>(at.size()));
  for (std::size_t i = 0; i < at.size(); ++i) out[i] = static_cast<double>(at[i]) + 1.0;
  return out;
}

}  // namespace

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    const auto penalty = Rcpp::as<std::vector<double>>(settings["prior"]);
    auto options = bridge::options<covmash::FitOptions>(settings);
    const auto numbers = [&](const char* name) {
      const bool given = settings.containsElementNamed(name) && !Rf_isNull(settings[name]);
      return given ? Rcpp::as<std::vector<double>>(settings[name]) : std::vector<double>();
    };
    options.weights.start = numbers("start");
    options.effect_weights = numbers("weights");
    const covmash::FitResult fit = covmash::fit(problem.noise, problem.prior, penalty, options, threads.executor);
    Rcpp::List out = weights_list(fit.weights);
    out["n_rows"] = static_cast<double>(fit.n_effects);
    out["seconds_likelihood"] = fit.seconds_likelihood;
    out["seconds_weights"] = fit.seconds_weights;
    return out;
  });
}

// settings: besides the options, summaries, lfdr and posterior_weights say which results are wanted; joint, if it is not
// NULL, what of the joint posterior.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_posterior(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    const auto options = bridge::options<covmash::PosteriorOptions>(settings);
    covmash::PosteriorPass pass(problem.noise, problem.prior, bridge::weights(g), options, threads.executor);
    const auto& kept = pass.kept_components();

    Results results(problem.data);
    covmash::PosteriorOutput out;
    out.loglik = results.add("vloglik", 1);
    if (problem.prior.point_mass && options.alternatives) {
      out.null_loglik = results.add_vector("null_loglik");
      out.alternative_loglik = results.add("alt_loglik", 1);
    }
    if (options.summaries) {
      out.mean = results.add_like_data("PosteriorMean");
      out.sd = results.add_like_data("PosteriorSD");
      if (Rcpp::as<bool>(settings["lfdr"])) out.lfdr = results.add_like_data("lfdr");
      out.negative = results.add_like_data("NegativeProb");
      out.lfsr = results.add_like_data("lfsr");
    }
    if (Rcpp::as<bool>(settings["posterior_weights"]))
      out.weights = results.add("posterior_weights", static_cast<int>(kept.size()));
    std::unique_ptr<Joint> joint;
    if (!Rf_isNull(settings["joint"]))
      joint = std::make_unique<Joint>(settings["joint"], data, problem, pass.selection(), results, threads.executor);
    pass.run(out, threads.executor, joint ? joint->posterior.get() : nullptr);
    if (joint) joint->finish();

    Rcpp::List list = results.list();
    Rcpp::NumericVector from_one(kept.begin(), kept.end());
    list["kept"] = from_one + 1.0;
    list["noise"] = noise_counts(problem.noise);
    return list;
  });
}

// weights: J x P posterior weights.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_posterior_under_weights(const Rcpp::List& data, const Rcpp::List& g, const arma::mat& weights,
                                       const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    const Rcpp::List wanted = settings["joint"];
    const covmash::JointOptions asked = joint_options(wanted, data);
    const int R = problem.data.n_conditions(), Q = asked.map.is_empty() ? R : static_cast<int>(asked.map.n_rows);
    Results results(problem.data);
    const covmash::JointOutput target = joint_output(wanted, problem.data.n_effects(), Q, results);
    covmash::posterior_under_weights(problem.noise, problem.prior, weights, asked, target, threads.executor);
    return results.list();
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericMatrix cpp_loglik_matrix(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    const std::size_t block_rows = bridge::options<covmash::PosteriorOptions>(settings).block_rows;
    Rcpp::NumericMatrix out =
        bridge::numeric_matrix(problem.data.n_effects(), static_cast<int>(problem.prior.n_components()));
    covmash::loglik_matrix(problem.noise, problem.prior, block_rows, threads.executor, out.begin());
    return out;
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_fit_weights(const arma::mat& L, const std::vector<double>& prior, const Rcpp::List& control,
                           int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const auto options = bridge::options<covmash::WeightsOptions>(control);
    return weights_list(covmash::fit_weights(L, prior, options, threads.executor));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_noise_groups(const Rcpp::List& data) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    return noise_counts(bridge::Data(data).noise(threads.executor));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_effect_range(const Rcpp::List& data) {
  return bridge::guarded([&] {
    const bridge::Data unpacked(data);
    const covmash::EffectRange range = covmash::effect_range(unpacked.effects());
    return Rcpp::List::create(_["smallest_shat"] = range.smallest_shat, _["largest_excess"] = range.largest_excess);
  });
}

// NULL if every entry can be used.
// [[Rcpp::export(rng = false)]]
SEXP cpp_unusable_entry(const Rcpp::List& data) {
  return bridge::guarded([&]() -> SEXP {
    const covmash::UnusableEntry bad = covmash::first_unusable(bridge::Data(data).effects());
    if (bad.problem == covmash::Unusable::nothing) return R_NilValue;
    const char* problem = bad.problem == covmash::Unusable::bhat   ? "bhat"
                          : bad.problem == covmash::Unusable::shat ? "shat"
                                                                   : "magnitude";
    return Rcpp::List::create(_["problem"] = problem, _["entry"] = static_cast<double>(bad.entry) + 1.0);
  });
}

// How many entries are of each kind, and the first of them (NA if there is none).
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_count_entries(const Rcpp::List& data, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const covmash::EntryCounts counts =
        covmash::count_entries(bridge::Data(data).effects(), entry_options(settings), threads.executor);
    Rcpp::NumericVector count(counts.size()), first(counts.size());
    for (std::size_t k = 0; k < counts.size(); ++k) {
      count[k] = static_cast<double>(counts[k].count);
      first[k] = counts[k].count == 0 ? NA_REAL : static_cast<double>(counts[k].first) + 1.0;
    }
    count.names() = first.names() =
        Rcpp::CharacterVector::create("bhat_not_a_number", "shat_not_a_number", "shat_missing", "shat_negative",
                                      "both_zero", "shat_zero", "unobserved", "shat_unused");
    return Rcpp::List::create(_["count"] = count, _["first"] = first);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_scale_entries(const Rcpp::List& data, const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Data given(data);
    Rcpp::List out;
    double* parts[3];
    const char* names[3] = {"Bhat", "Shat", "Shat_alpha"};
    for (int k = 0; k < 3; ++k) {
      Rcpp::NumericMatrix part = bridge::numeric_matrix(given.n_effects(), given.n_conditions());
      part.attr("dimnames") = given.dimnames();
      parts[k] = part.begin();
      out[names[k]] = part;
    }
    covmash::scale_entries(given.effects(), entry_options(settings), parts[0], parts[1], parts[2], threads.executor);
    return out;
  });
}

// With alpha = 0 and in place, in matrices that nobody else holds.
// [[Rcpp::export(rng = false)]]
void cpp_mask_entries(Rcpp::NumericMatrix Bhat, Rcpp::NumericMatrix Shat, const Rcpp::List& settings) {
  bridge::guarded([&] {
    bridge::Threads threads(settings);
    const covmash::Effects e{Bhat.begin(), Shat.begin(), static_cast<std::size_t>(Bhat.nrow()),
                             static_cast<std::size_t>(Bhat.ncol())};
    covmash::scale_entries(e, entry_options(settings), Bhat.begin(), Shat.begin(), nullptr, threads.executor);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_empty_rows(const Rcpp::List& data) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    return positions(covmash::empty_rows(bridge::Data(data).effects(), threads.executor));
  });
}

// The first matrix of an array that is no correlation (from 1; 0 if there is none), and what it is not.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_bad_correlation(const Rcpp::NumericVector& array) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    const Rcpp::IntegerVector dim = array.attr("dim");
    const auto bad = covmash::first_bad_correlation(array.begin(), dim[0], dim[2], threads.executor);
    return Rcpp::List::create(_["at"] = static_cast<double>(bad.at),
                              _["what"] = bad.symmetric ? "positive definite" : "symmetric");
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_placeholders(const Rcpp::List& data) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    return positions(
        covmash::find_placeholders(bridge::Data(data).effects(), covmash::PlaceholderOptions(), &threads.executor));
  });
}
