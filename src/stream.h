#pragma once
// Binding of what data past memory need: the noises of a segment, passes over it, and the master that asks for them.
// Included by mash.cpp: what both need of the core is compiled once, which makes the library 70 kB smaller.
#include "options.h"

#include <covmash/base/splitmix.h>
#include <covmash/mash/full_pass.h>
#include <covmash/mash/slots.h>
#include <covmash/mash/surrogate.h>
#include <covmash/model/noise_keys.h>
#include <covmash/model/strata.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>

using Rcpp::_;

namespace {

covmash::PassQuery pass_query(const Rcpp::List& query, const covmash::Selection& selection) {
  covmash::PassQuery q;
  q.x = covmash::by_slot(selection, Rcpp::as<std::vector<double>>(query["x"]));
  q.from = covmash::by_slot(selection, Rcpp::as<std::vector<double>>(query["from"]));
  q.steps = Rcpp::as<std::vector<double>>(query["steps"]);
  q.hard = query["hard"];
  q.most_hard = Rcpp::as<std::size_t>(query["most_hard"]);
  for (int slot : Rcpp::as<std::vector<int>>(query["also"])) q.also.push_back(static_cast<std::size_t>(slot));
  return q;
}

// Answers stay in slot order, in which they are added.
Rcpp::List answer_list(const covmash::PassAnswer& a) {
  return Rcpp::List::create(_["n_effects"] = a.n_effects, _["maxima"] = a.maxima, _["log_density"] = a.log_density,
                            _["along"] = a.along, _["gradient"] = a.gradient, _["hessian"] = bridge::matrix_of(a.hessian),
                            _["covering"] = a.covering, _["hard"] = a.hard);
}

// What comes back is not trusted to fit the question: it may come from a file.
covmash::PassAnswer pass_answer(const Rcpp::List& list, const covmash::PassQuery& query) {
  covmash::PassAnswer a;
  a.n_effects = list["n_effects"];
  a.maxima = list["maxima"];
  a.log_density = list["log_density"];
  a.along = Rcpp::as<std::vector<double>>(list["along"]);
  a.gradient = Rcpp::as<std::vector<double>>(list["gradient"]);
  a.hessian = Rcpp::as<arma::mat>(list["hessian"]);
  a.covering = Rcpp::as<std::vector<double>>(list["covering"]);
  a.hard = Rcpp::as<std::vector<float>>(list["hard"]);
  for (std::size_t p = 0; p < query.x.size(); ++p)
    if (query.x[p] > 0.0) a.columns.push_back(p);
  a.columns.insert(a.columns.end(), query.also.begin(), query.also.end());
  covmash::require(a.gradient.size() == query.x.size() && a.covering.size() == query.x.size() &&
                       a.along.size() == (query.from.empty() ? 0 : query.steps.size()) &&
                       a.hessian.n_rows == a.columns.size() && a.hessian.n_cols == a.columns.size() &&
                       a.hard.size() % std::max<std::size_t>(query.x.size(), 1) == 0,
                   "the answer of a pass is not one to the query");
  return a;
}

// The master, with all that it stands on. It lives as long as the call of mash().
struct Master {
  Master(const Rcpp::List& sample, const Rcpp::List& g, const Rcpp::List& settings)
      : threads(settings), problem(sample, g, threads.executor), computed(problem.noise, problem.prior, threads.executor) {
    const auto times = Rcpp::as<std::vector<double>>(settings["times"]);
    covmash::require(times.size() == problem.data.effects().n_effects, "there must be one number for each effect");
    computed.weigh(times);
    const double bytes = 4.0 * 64.0 * static_cast<double>(computed.n_blocks() * computed.n_columns());
    threads.executor.step("Likelihoods of the sample", true);
    if (bytes <= bridge::options<covmash::FitOptions>(settings).memory) stored = computed.store(threads.executor);
    if (!stored) computed.find_base(threads.executor);
    covmash::LikelihoodSource& source =
        stored ? static_cast<covmash::LikelihoodSource&>(*stored) : static_cast<covmash::LikelihoodSource&>(computed);
    const covmash::Selection& selection = computed.selection();
    auto options = bridge::options<covmash::WeightsOptions>(settings);
    if (settings.containsElementNamed("start") && !Rf_isNull(settings["start"]))
      options.start = covmash::by_slot(selection, Rcpp::as<std::vector<double>>(settings["start"]));
    threads.executor.step("Mixture weights of the sample", false);
    master = std::make_unique<covmash::PassMaster>(
        source, covmash::by_slot(selection, Rcpp::as<std::vector<double>>(settings["prior"])),
        covmash::scale_grids(selection), options, threads.executor);
  }

  bridge::Threads threads;
  bridge::Problem problem;
  covmash::ComputedLikelihoods computed;
  std::unique_ptr<covmash::StoredLikelihoods> stored;
  std::unique_ptr<covmash::PassMaster> master;
};

Rcpp::List query_list(const Master& m) {
  const covmash::PassQuery& q = m.master->query();
  const auto numbers = [&](const std::vector<double>& x) {
    return covmash::by_component(m.computed.selection(), x);
  };
  return Rcpp::List::create(_["x"] = numbers(q.x), _["from"] = numbers(q.from), _["steps"] = q.steps,
                            _["also"] = std::vector<int>(q.also.begin(), q.also.end()),
                            _["hard"] = q.hard, _["most_hard"] = static_cast<double>(q.most_hard),
                            _["base"] = m.computed.base());
}

}  // namespace

// What a process keeps from one segment to the next, for one prior, V and dictionary.
// [[Rcpp::export(rng = false)]]
SEXP cpp_spectral_store() {
  return bridge::guarded([&]() -> SEXP { return Rcpp::XPtr<covmash::SpectralStore>(new covmash::SpectralStore()); });
}

// The answer of the effects of `data`, which have a dictionary, to a query: x, from, steps, also (slots), base.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_full_pass(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& query,
                         const Rcpp::List& settings, SEXP store) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    threads.executor.step("Pass over the data", true);
    covmash::SpectralStore* forms = Rcpp::XPtr<covmash::SpectralStore>(store).get();
    covmash::ComputedLikelihoods source(problem.noise, problem.prior, threads.executor, forms);
    source.set_base(query["base"]);
    const covmash::PassQuery q = pass_query(query, source.selection());
    return answer_list(covmash::FullPass(source, q, threads.executor).run());
  });
}

// settings: times, how often each effect of the sample counts, a number each; prior, memory and those of the solver.
// [[Rcpp::export(rng = false)]]
SEXP cpp_pass_master(const Rcpp::List& sample, const Rcpp::List& g, const Rcpp::List& settings) {
  return bridge::guarded([&]() -> SEXP { return Rcpp::XPtr<Master>(new Master(sample, g, settings)); });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pass_query(SEXP master) {
  return bridge::guarded([&] { return query_list(*Rcpp::XPtr<Master>(master)); });
}

// The answer of all effects. Returns the next query, or NULL.
// [[Rcpp::export(rng = false)]]
SEXP cpp_pass_take(SEXP master, const Rcpp::List& answer) {
  return bridge::guarded([&]() -> SEXP {
    Rcpp::XPtr<Master> m(master);
    if (!m->master->take(pass_answer(answer, m->master->query()))) return R_NilValue;
    return query_list(*m);
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_pass_result(SEXP master) {
  return bridge::guarded([&] {
    Rcpp::XPtr<Master> m(master);
    const covmash::WeightsResult w = m->master->result();
    return Rcpp::List::create(_["pi"] = covmash::by_component(m->computed.selection(), w.pi),
                              _["objective"] = w.objective, _["kkt_violation"] = w.kkt_violation,
                              _["gap_bound"] = w.gap_bound, _["iterations"] = w.iterations,
                              _["converged"] = w.converged);
  });
}

namespace {

// Noises are counted by 26 bits of their keys: no noise is shared by more effects than its counter says.
constexpr std::size_t n_counters = std::size_t(1) << 26;
using Counters = std::vector<unsigned char>;

std::size_t counter_of(std::uint64_t key) { return static_cast<std::size_t>(key >> 38); }

std::string text_of(std::uint64_t x) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(x));
  return text;
}

}  // namespace

// The noises of a segment but for the simple ones: their counters, a whole number of 4 bytes for each noise, how many
// effects have it; and what else there is to count.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_noise_keys(const Rcpp::List& data) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    const bridge::Data given(data);
    const covmash::NoiseKeys keys(given.effects(), given.correlation(threads.executor), &threads.executor);
    std::unordered_map<std::uint64_t, int> known;
    double simple = 0.0, nothing = 0.0;
    for (std::size_t j = 0; j < keys.key.size(); ++j) {
      if (keys.scale[j] == 0.0)
        ++nothing;
      else if (keys.simple[j])
        ++simple;
      else
        ++known[keys.key[j]];
    }
    Rcpp::IntegerVector counter(known.size()), count(known.size());
    R_xlen_t i = 0;
    for (const auto& noise : known) {
      counter[i] = static_cast<int>(counter_of(noise.first));
      count[i++] = noise.second;
    }
    return Rcpp::List::create(_["counter"] = counter, _["count"] = count, _["simple"] = simple,
                              _["unobserved"] = nothing, _["n_missing"] = static_cast<double>(keys.n_missing));
  });
}

// Counters up to 255.
// [[Rcpp::export(rng = false)]]
SEXP cpp_noise_counters() {
  return bridge::guarded([&]() -> SEXP { return Rcpp::XPtr<Counters>(new Counters(n_counters, 0)); });
}

// [[Rcpp::export(rng = false)]]
void cpp_count_noises(SEXP counters, const Rcpp::IntegerVector& counter, const Rcpp::IntegerVector& count) {
  bridge::guarded([&] {
    Counters& all = *Rcpp::XPtr<Counters>(counters);
    for (R_xlen_t i = 0; i < count.size(); ++i) {
      unsigned char& c = all.at(static_cast<std::size_t>(counter[i]));
      c = static_cast<unsigned char>(std::min(255, c + count[i]));
    }
  });
}

// The counters that may hold a noise for the dictionary.
// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector cpp_frequent_noises(SEXP counters) {
  return bridge::guarded([&] {
    const Counters& all = *Rcpp::XPtr<Counters>(counters);
    std::vector<int> at;
    for (std::size_t i = 0; i < all.size(); ++i)
      if (all[i] >= covmash::path::smallest_in_dictionary) at.push_back(static_cast<int>(i));
    return Rcpp::IntegerVector(at.begin(), at.end());
  });
}

// [[Rcpp::export(rng = false)]]
int cpp_smallest_in_dictionary() { return static_cast<int>(covmash::path::smallest_in_dictionary); }

// Of the noises of a segment those whose counter is among `counters` (ascending): key, as text, how many effects have it,
// and Shat of the first.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_candidate_noises(const Rcpp::List& data, const Rcpp::IntegerVector& counters) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    const bridge::Data given(data);
    const covmash::Effects e = given.effects();
    const covmash::NoiseKeys keys(e, given.correlation(threads.executor), &threads.executor);
    std::unordered_map<std::uint64_t, std::size_t> known;
    std::vector<std::string> key;
    std::vector<double> count;
    std::vector<std::size_t> first;
    for (std::size_t j = 0; j < keys.key.size(); ++j) {
      if (keys.scale[j] == 0.0 || keys.simple[j]) continue;
      const int counter = static_cast<int>(counter_of(keys.key[j]));
      if (!std::binary_search(counters.begin(), counters.end(), counter)) continue;
      const auto at = known.emplace(keys.key[j], key.size());
      if (at.second) {
        key.push_back(text_of(keys.key[j]));
        count.push_back(0.0);
        first.push_back(j);
      }
      count[at.first->second] += 1.0;
    }
    Rcpp::NumericMatrix shat = bridge::numeric_matrix(given.n_conditions(), static_cast<int>(first.size()));
    for (std::size_t g = 0; g < first.size(); ++g)
      for (std::size_t r = 0; r < e.n_conditions; ++r)
        shat(r, g) = e.observed(first[g], r) ? e.s(first[g], r) : NA_REAL;
    return Rcpp::List::create(_["key"] = key, _["count"] = count, _["shat"] = shat);
  });
}

// Of every effect its kind, from 1; NA where nothing is observed.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_strata(const Rcpp::List& data) {
  return bridge::guarded([&] {
    const covmash::Strata strata(bridge::Data(data).effects());
    Rcpp::IntegerVector of(strata.of.size());
    for (std::size_t j = 0; j < strata.of.size(); ++j)
      of[j] = strata.of[j] == covmash::Strata::none ? NA_INTEGER : strata.of[j] + 1;
    return Rcpp::List::create(_["of"] = of, _["size"] = static_cast<double>(strata.size()));
  });
}

// A number from 0 to 1 for every effect from number `first` on, without order and always the same.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_lots(double first, int n) {
  return bridge::guarded([&] {
    Rcpp::NumericVector out = bridge::numeric_vector(n);
    for (int i = 0; i < n; ++i) {
      covmash::SplitMix64 lot(static_cast<std::uint64_t>(first) + static_cast<std::uint64_t>(i));
      out[i] = lot();
    }
    return out;
  });
}

// A number of the estimates and standard errors, every bit of them, as text.
// [[Rcpp::export(rng = false)]]
std::string cpp_checksum(const Rcpp::List& data) {
  return bridge::guarded([&] {
    const covmash::Effects e = bridge::Data(data).effects();
    std::uint64_t h[4] = {1, 2, 3, 4};
    for (const double* values : {e.bhat, e.shat})
      for (std::size_t i = 0; i < e.n_effects * e.n_conditions; ++i) {
        std::uint64_t bits;
        std::memcpy(&bits, values + i, sizeof bits);
        h[i % 4] = (h[i % 4] ^ bits) * 0x9e3779b97f4a7c15ULL;
        h[i % 4] ^= h[i % 4] >> 29;
      }
    std::uint64_t sum = e.n_effects;
    for (const std::uint64_t part : h) sum = (sum ^ part) * 0xff51afd7ed558ccdULL;
    return text_of(sum);
  });
}
