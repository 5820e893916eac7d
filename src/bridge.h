#pragma once
// Between R and the core: arguments in, interrupts through. The only header that knows both.

// RcppArmadillo first: it configures Armadillo for R.
#include <RcppArmadillo.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <stdexcept>

// then the core
#include <covmash/base/executor.h>
#include <covmash/model/noise.h>
#include <covmash/model/prior.h>

namespace bridge {

// Lets R's interrupts and errors through (a user's interrupt, a time limit, an error of a handler), as they are: R's jump
// is caught, becomes a C++ exception that unwinds the core and ends its threads, and goes on where the export returns to R.
// Also tells R about steps (R/progress.R) when a call takes over two seconds, if R wants to hear.
class RProgress : public covmash::Progress {
 public:
  RProgress() : report_("report_progress", Rcpp::Environment::namespace_env("covmash")) {
    const Rcpp::Environment home = Rcpp::Environment::namespace_env("covmash");
    wanted_ = Rcpp::as<bool>(Rcpp::Function("progress_wanted", home)());
    if (wanted_) age_ = Rcpp::as<double>(Rcpp::Function("progress_age", home)());
  }

  void step(const char* name) override {
    name_ = name;
    iteration_ = 0;
  }

  void iteration(std::size_t n) override { iteration_ = n; }

  void check(double fraction) override {
    Rcpp::unwindProtect(poll, nullptr);
    if (!wanted_) return;
    const double seconds = age_ + std::chrono::duration<double>(Clock::now() - start_).count();
    if (seconds > 2.0) report_(name_, fraction, static_cast<double>(iteration_), seconds);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static SEXP poll(void*) {
    R_CheckUserInterrupt();
    return R_NilValue;
  }
  Rcpp::Function report_;
  bool wanted_ = false;
  double age_ = 0.0;  // seconds that the call of the user had lasted when this was made
  const char* name_ = "covmash";
  std::size_t iteration_ = 0;
  Clock::time_point start_ = Clock::now();
};

// Lets an interrupt through.
inline void listen() {
  Rcpp::unwindProtect(
      [](void*) {
        R_CheckUserInterrupt();
        return R_NilValue;
      },
      nullptr);
}

struct Threads {
  explicit Threads(int n) : executor(static_cast<std::size_t>(n), &progress) {}
  explicit Threads(const Rcpp::List& settings) : Threads(Rcpp::as<int>(settings["n_threads"])) {}
  RProgress progress;
  covmash::ThreadExecutor executor;
};

// Results of a size that matters. Where R has no memory for them its error unwinds the core as it should; the constructors
// of Rcpp would let it jump over everything that is alive.
inline SEXP allocate(SEXPTYPE type, R_xlen_t n) {
  return Rcpp::unwindProtect([=] { return Rf_allocVector(type, n); });
}
inline Rcpp::NumericVector numeric_vector(R_xlen_t n) { return allocate(REALSXP, n); }
inline Rcpp::NumericMatrix numeric_matrix(int n_rows, int n_columns) {
  return Rcpp::unwindProtect([=] { return Rf_allocMatrix(REALSXP, n_rows, n_columns); });
}
inline Rcpp::NumericMatrix matrix_of(const arma::mat& x) {
  Rcpp::NumericMatrix out = numeric_matrix(static_cast<int>(x.n_rows), static_cast<int>(x.n_cols));
  std::copy(x.begin(), x.end(), out.begin());
  return out;
}

// G with B F B' = G G'; F is NULL for the identity.
inline arma::mat whole_loadings(const arma::mat& B, SEXP F) {
  if (Rf_isNull(F)) return B;
  return B * covmash::recognise(Rcpp::as<arma::mat>(F)).whole_factor();
}

// A plain matrix, or a factor_cov, which stays low rank plus diagonal.
inline covmash::Covariance covariance(SEXP U, covmash::Executor& executor) {
  if (!Rf_inherits(U, "factor_cov")) return covmash::recognise(Rcpp::as<arma::mat>(U), &executor);
  const Rcpp::List parts(U);
  return covmash::low_rank_plus_diagonal(whole_loadings(Rcpp::as<arma::mat>(parts["B"]), parts["F"]),
                                         Rcpp::as<arma::vec>(parts["D"]));
}

// A data object of R (R/data.R). The core borrows its matrices, which live as long as this does.
class Data {
 public:
  explicit Data(const Rcpp::List& data) : bhat_(data["Bhat"]), shat_(data["Shat"]), parts_(data) {
    covmash::require(bhat_.nrow() == shat_.nrow() && bhat_.ncol() == shat_.ncol(), "Bhat and Shat differ in size");
  }

  int n_effects() const { return bhat_.nrow(); }
  int n_conditions() const { return bhat_.ncol(); }
  SEXP dimnames() const { return Rf_getAttrib(bhat_, R_DimNamesSymbol); }

  covmash::Effects effects() const {
    covmash::Effects e;
    e.bhat = bhat_.begin();
    e.shat = shat_.begin();
    e.n_effects = bhat_.nrow();
    e.n_conditions = bhat_.ncol();
    return e;
  }

  // Grouped by a dictionary if the data object has one.
  covmash::NoiseModel noise(covmash::Executor& executor) const {
    if (!parts_.containsElementNamed("dictionary") || Rf_isNull(parts_["dictionary"]))
      return covmash::NoiseModel(effects(), correlation(executor), &executor);
    const covmash::NoiseDictionary known = dictionary();
    return covmash::NoiseModel(effects(), correlation(executor), &executor, &known);
  }

  // A list of R: shat, conditions x noises, NA where nothing is observed, and count.
  covmash::NoiseDictionary dictionary() const {
    const Rcpp::List known = parts_["dictionary"];
    std::vector<std::size_t> count;
    for (double n : Rcpp::as<std::vector<double>>(known["count"])) count.push_back(static_cast<std::size_t>(n));
    return covmash::NoiseDictionary(Rcpp::as<arma::mat>(known["shat"]), std::move(count));
  }

  // V: a matrix, an array of them, or of contrasts whose errors differ between effects NULL.
  covmash::ErrorCorrelation correlation(covmash::Executor& executor) const {
    const SEXP V = parts_["V"];
    if (Rf_isNull(V)) {
      const Rcpp::NumericMatrix shat = parts_["Shat_orig"];
      const SEXP original = parts_["V_orig"];
      const double* array = matrices_in(original) ? REAL(original) : nullptr;
      return covmash::ErrorCorrelation(Rcpp::as<arma::mat>(parts_["L"]), shat.begin(), shat.nrow(),
                                       array ? arma::mat() : Rcpp::as<arma::mat>(original), array, &executor);
    }
    if (matrices_in(V)) return covmash::ErrorCorrelation(REAL(V), bhat_.ncol(), bhat_.nrow(), &executor);
    return covmash::ErrorCorrelation(Rcpp::as<arma::mat>(V));
  }

  // The estimates, one effect a column.
  arma::mat transposed() const { return Rcpp::as<arma::mat>(bhat_).t(); }

 private:
  static bool matrices_in(SEXP V) { return Rf_length(Rf_getAttrib(V, R_DimSymbol)) == 3; }

  Rcpp::NumericMatrix bhat_, shat_;
  Rcpp::List parts_;
};

// A prior of R (R/prior.R): Ulist, grid, usepointmass; its weights are pi.
inline covmash::MixturePrior mixture_prior(const Rcpp::List& g, covmash::Executor& executor) {
  covmash::MixturePrior prior;
  const Rcpp::List Ulist = g["Ulist"];
  for (R_xlen_t k = 0; k < Ulist.size(); ++k) prior.covariances.push_back(covariance(Ulist[k], executor));
  for (double sd : Rcpp::as<std::vector<double>>(g["grid"])) prior.scales.push_back(sd * sd);
  prior.point_mass = Rcpp::as<bool>(g["usepointmass"]);
  return prior;
}

inline std::vector<double> weights(const Rcpp::List& g) { return Rcpp::as<std::vector<double>>(g["pi"]); }

// What most exports are about: the data under a prior. What a data object or a prior of R may hold is known here only.
struct Problem {
  Problem(const Rcpp::List& data_object, const Rcpp::List& g, covmash::Executor& executor)
      : data(data_object), noise(data.noise(executor)), prior(mixture_prior(g, executor)) {}

  Data data;
  covmash::NoiseModel noise;
  covmash::MixturePrior prior;
};

inline std::vector<arma::mat> matrices(const Rcpp::List& x) {
  std::vector<arma::mat> out;
  for (R_xlen_t k = 0; k < x.size(); ++k) out.push_back(Rcpp::as<arma::mat>(x[k]));
  return out;
}

inline Rcpp::List list_of(const std::vector<arma::mat>& x) {
  Rcpp::List out(x.size());
  for (std::size_t k = 0; k < x.size(); ++k) out[k] = matrix_of(x[k]);
  return out;
}

// Raises the R condition of the exception that is being handled (bridge.cpp). What R threw itself (RProgress) passes.
[[noreturn]] void pass_to_r();

// Runs the core; an error becomes an R condition of its kind. One handler, for every export has its copy.
template <typename Function>
auto guarded(Function&& f) -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    pass_to_r();
  }
}

}  // namespace bridge
