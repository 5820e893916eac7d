// Binding of what data past memory need: the noises of a segment, passes over it, and the master that asks for them.
#include "options.h"

#include <covmash/mash/full_pass.h>
#include <covmash/mash/slots.h>
#include <covmash/mash/surrogate.h>
#include <covmash/model/noise_keys.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>

using Rcpp::_;

namespace {

covmash::PassQuery pass_query(const Rcpp::List& query, const covmash::Selection& selection) {
  covmash::PassQuery q;
  q.x = covmash::by_slot(selection, Rcpp::as<std::vector<double>>(query["x"]));
  q.from = covmash::by_slot(selection, Rcpp::as<std::vector<double>>(query["from"]));
  q.steps = Rcpp::as<std::vector<double>>(query["steps"]);
  return q;
}

// Answers stay in slot order, in which they are added.
Rcpp::List answer_list(const covmash::PassAnswer& a) {
  return Rcpp::List::create(_["n_effects"] = a.n_effects, _["maxima"] = a.maxima, _["log_density"] = a.log_density,
                            _["along"] = a.along, _["gradient"] = a.gradient, _["hessian"] = bridge::matrix_of(a.hessian),
                            _["covering"] = a.covering);
}

covmash::PassAnswer pass_answer(const Rcpp::List& list, const covmash::PassQuery& query) {
  covmash::PassAnswer a;
  a.n_effects = list["n_effects"];
  a.maxima = list["maxima"];
  a.log_density = list["log_density"];
  a.along = Rcpp::as<std::vector<double>>(list["along"]);
  a.gradient = Rcpp::as<std::vector<double>>(list["gradient"]);
  a.hessian = Rcpp::as<arma::mat>(list["hessian"]);
  a.covering = Rcpp::as<std::vector<double>>(list["covering"]);
  for (std::size_t p = 0; p < query.x.size(); ++p)
    if (query.x[p] > 0.0) a.support.push_back(p);
  return a;
}

// The master, with all that it stands on. It lives as long as the call of mash().
struct Master {
  Master(const Rcpp::List& sample, const Rcpp::List& g, const Rcpp::List& settings)
      : threads(settings), problem(sample, g, threads.executor), computed(problem.noise, problem.prior, threads.executor) {
    computed.weigh(Rcpp::as<std::vector<double>>(settings["times"]));
    const double bytes = 4.0 * 64.0 * static_cast<double>(computed.n_blocks() * computed.n_columns());
    threads.executor.step("Likelihoods of the sample", true);
    if (bytes <= bridge::options<covmash::FitOptions>(settings).memory) stored = computed.store(threads.executor);
    if (!stored) computed.find_base(threads.executor);
    covmash::LikelihoodSource& source =
        stored ? static_cast<covmash::LikelihoodSource&>(*stored) : static_cast<covmash::LikelihoodSource&>(computed);
    const covmash::Selection& selection = computed.selection();
    auto options = bridge::options<covmash::WeightsOptions>(settings);
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
                            _["base"] = m.computed.base());
}

}  // namespace

// The answer of the effects of `data` to a query: x, from, steps, base.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_full_pass(const Rcpp::List& data, const Rcpp::List& g, const Rcpp::List& query,
                         const Rcpp::List& settings) {
  return bridge::guarded([&] {
    bridge::Threads threads(settings);
    const bridge::Problem problem(data, g, threads.executor);
    threads.executor.step("Pass over the data", true);
    covmash::ComputedLikelihoods source(problem.noise, problem.prior, threads.executor);
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

// The noises of a segment but for the simple ones: keys (8 bytes each), how many effects have them, and the first.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_noise_keys(const Rcpp::List& data) {
  return bridge::guarded([&] {
    bridge::Threads threads(1);
    const bridge::Data given(data);
    const covmash::NoiseKeys keys(given.effects(), given.correlation(threads.executor), &threads.executor);
    std::unordered_map<std::uint64_t, std::size_t> known;
    std::vector<std::uint64_t> key;
    std::vector<double> count, first;
    double simple = 0.0, nothing = 0.0;
    for (std::size_t j = 0; j < keys.key.size(); ++j) {
      if (keys.scale[j] == 0.0) {
        ++nothing;
        continue;
      }
      if (keys.simple[j]) {
        ++simple;
        continue;
      }
      const auto at = known.emplace(keys.key[j], key.size());
      if (at.second) {
        key.push_back(keys.key[j]);
        count.push_back(0.0);
        first.push_back(static_cast<double>(j) + 1.0);
      }
      count[at.first->second] += 1.0;
    }
    Rcpp::RawVector bytes = bridge::allocate(RAWSXP, static_cast<R_xlen_t>(8 * key.size()));
    if (!key.empty()) std::memcpy(bytes.begin(), key.data(), 8 * key.size());
    return Rcpp::List::create(_["key"] = bytes, _["count"] = count, _["first"] = first, _["simple"] = simple,
                              _["unobserved"] = nothing, _["n_missing"] = static_cast<double>(keys.n_missing));
  });
}

namespace {

constexpr std::size_t n_counters = std::size_t(1) << 26;

std::size_t counter_of(const unsigned char* key) {
  std::uint64_t k;
  std::memcpy(&k, key, sizeof k);
  return static_cast<std::size_t>(k >> 38);
}

}  // namespace

// A counter for every 26 bits of a key, up to 255. No noise is shared by more effects than its counter says.
// [[Rcpp::export(rng = false)]]
SEXP cpp_noise_counters() {
  return bridge::guarded([&]() -> SEXP {
    return Rcpp::XPtr<std::vector<unsigned char>>(new std::vector<unsigned char>(n_counters, 0));
  });
}

// [[Rcpp::export(rng = false)]]
void cpp_count_noises(SEXP counters, const Rcpp::RawVector& key, const Rcpp::NumericVector& count) {
  bridge::guarded([&] {
    std::vector<unsigned char>& counter = *Rcpp::XPtr<std::vector<unsigned char>>(counters);
    for (R_xlen_t i = 0; i < count.size(); ++i) {
      unsigned char& c = counter[counter_of(key.begin() + 8 * i)];
      c = static_cast<unsigned char>(std::min(255.0, c + count[i]));
    }
  });
}

// The counters that reach `least`.
// [[Rcpp::export(rng = false)]]
Rcpp::IntegerVector cpp_frequent_noises(SEXP counters, int least) {
  return bridge::guarded([&] {
    const std::vector<unsigned char>& counter = *Rcpp::XPtr<std::vector<unsigned char>>(counters);
    std::vector<int> at;
    for (std::size_t i = 0; i < counter.size(); ++i)
      if (counter[i] >= least) at.push_back(static_cast<int>(i));
    return Rcpp::wrap(at);
  });
}

// Which keys belong to one of the counters, in ascending order.
// [[Rcpp::export(rng = false)]]
Rcpp::LogicalVector cpp_counted_noises(const Rcpp::RawVector& key, const Rcpp::IntegerVector& counters) {
  return bridge::guarded([&] {
    Rcpp::LogicalVector out(key.size() / 8);
    for (R_xlen_t i = 0; i < out.size(); ++i)
      out[i] = std::binary_search(counters.begin(), counters.end(), static_cast<int>(counter_of(key.begin() + 8 * i)));
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
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(sum));
    return std::string(text);
  });
}
