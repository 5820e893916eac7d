#pragma once
// Between R and the core: arguments in, interrupts through. The only header that knows both.

// RcppArmadillo first: it configures Armadillo for R.
#include <RcppArmadillo.h>

#include <chrono>

// then the core
#include <covmash/base/executor.h>
#include <covmash/model/noise.h>
#include <covmash/model/prior.h>

namespace bridge {

// Asks R whether the user pressed interrupt, without ever jumping over C++ frames; and reports a step that takes over
// two seconds to R, if R wants to hear (R/progress.R).
class RProgress : public covmash::Progress {
 public:
  RProgress()
      : report_("report_progress", Rcpp::Environment::namespace_env("covmash")),
        wanted_(Rcpp::as<bool>(Rcpp::Function("progress_wanted", Rcpp::Environment::namespace_env("covmash"))())) {}

  void step(const char* name) override {
    name_ = name;
    start_ = Clock::now();
  }

  void check(double fraction) override {
    if (R_ToplevelExec(poll, nullptr) == FALSE) throw covmash::interrupted();
    if (wanted_ && Clock::now() - start_ > std::chrono::seconds(2)) report_(name_, fraction);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static void poll(void*) { R_CheckUserInterrupt(); }
  Rcpp::Function report_;
  bool wanted_;
  const char* name_ = "covmash";
  Clock::time_point start_ = Clock::now();
};

struct Threads {
  explicit Threads(int n) : executor(static_cast<std::size_t>(n), &progress) {}
  RProgress progress;
  covmash::ThreadExecutor executor;
};

inline covmash::Effects effects(const Rcpp::NumericMatrix& bhat, const Rcpp::NumericMatrix& shat) {
  covmash::require(bhat.nrow() == shat.nrow() && bhat.ncol() == shat.ncol(), "Bhat and Shat differ in size");
  covmash::Effects e;
  e.bhat = bhat.begin();
  e.shat = shat.begin();
  e.n_effects = bhat.nrow();
  e.n_conditions = bhat.ncol();
  return e;
}

// G with B F B' = G G'; F is NULL for the identity.
inline arma::mat whole_loadings(const arma::mat& B, SEXP F) {
  if (Rf_isNull(F)) return B;
  return B * covmash::recognise(Rcpp::as<arma::mat>(F)).whole_factor();
}

// A plain matrix, or a factor_cov, which stays low rank plus diagonal.
inline covmash::Covariance covariance(SEXP U) {
  if (!Rf_inherits(U, "factor_cov")) return covmash::recognise(Rcpp::as<arma::mat>(U));
  const Rcpp::List parts(U);
  return covmash::low_rank_plus_diagonal(whole_loadings(Rcpp::as<arma::mat>(parts["B"]), parts["F"]),
                                         Rcpp::as<arma::vec>(parts["D"]));
}

inline covmash::MixturePrior mixture_prior(const Rcpp::List& Ulist, const std::vector<double>& grid, bool point_mass) {
  covmash::MixturePrior prior;
  for (R_xlen_t k = 0; k < Ulist.size(); ++k) prior.covariances.push_back(covariance(Ulist[k]));
  for (double sd : grid) prior.scales.push_back(sd * sd);
  prior.point_mass = point_mass;
  return prior;
}

inline std::vector<arma::mat> matrices(const Rcpp::List& x) {
  std::vector<arma::mat> out;
  for (R_xlen_t k = 0; k < x.size(); ++k) out.push_back(Rcpp::as<arma::mat>(x[k]));
  return out;
}

inline Rcpp::List list_of(const std::vector<arma::mat>& x) {
  Rcpp::List out(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) out[k] = Rcpp::wrap(x[k]);
  return out;
}

// Runs the core; an interrupt becomes R's own.
template <typename Function>
auto guarded(Function&& f) -> decltype(f()) {
  try {
    return f();
  } catch (const covmash::interrupted&) {
    throw Rcpp::internal::InterruptedException();
  }
}

}  // namespace bridge
