// Binding of the covariance matrices of factor models.
#include "bridge.h"

#include <covmash/factor_model.h>

using Rcpp::_;

namespace {

// G with Sigma = G G' + diag(D). F is NULL for the identity.
arma::mat whole_factor(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F) {
  if (F.isNull()) return B;
  return B * covmash::factor_root(Rcpp::as<arma::mat>(F.get()));
}

Rcpp::NumericVector from_one(const std::vector<arma::uword>& index) {
  Rcpp::NumericVector out(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) out[i] = static_cast<double>(index[i]) + 1.0;
  return out;
}

Rcpp::List singular_list(const covmash::FactorInverse& inverse) {
  return Rcpp::List::create(_["dependent"] = from_one(inverse.dependent()));
}

}  // namespace

// [[Rcpp::export(rng = false)]]
arma::mat cpp_factor_root(const arma::mat& F) { return covmash::factor_root(F); }

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_log_det(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F, const arma::vec& D) {
  const covmash::FactorInverse inverse(whole_factor(B, F), D);
  Rcpp::List out = singular_list(inverse);
  out["log_det"] = inverse.log_det();
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_solve(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F, const arma::vec& D,
                            arma::mat Y) {
  const covmash::FactorInverse inverse(whole_factor(B, F), D);
  Rcpp::List out = singular_list(inverse);
  if (inverse.singular()) return out;
  inverse.solve(Y);
  out["x"] = Rcpp::wrap(Y);
  return out;
}

// The rows of X are samples, of which mean has been subtracted.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_log_density(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F, const arma::vec& D,
                                  const arma::mat& X) {
  const covmash::FactorInverse inverse(whole_factor(B, F), D);
  Rcpp::List out = singular_list(inverse);
  if (inverse.singular()) return out;
  const double constant = -0.5 * (static_cast<double>(D.n_elem) * std::log(2.0 * M_PI) + inverse.log_det());
  Rcpp::NumericVector value(X.n_rows);
  constexpr arma::uword block = 64;
  for (arma::uword from = 0; from < X.n_rows; from += block) {
    const arma::uword to = std::min(X.n_rows, from + block) - 1;
    arma::mat Y = X.rows(from, to).t();
    const arma::rowvec quadratic = inverse.quadratic(Y);
    for (arma::uword i = 0; i < quadratic.n_elem; ++i) value[from + i] = constant - 0.5 * quadratic[i];
  }
  out["value"] = value;
  return out;
}

// The factors given genes at y: mean (K) and covariance (K x K), in terms of the columns of B.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_posterior(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F, const arma::vec& D,
                                const arma::vec& y) {
  const covmash::FactorInverse inverse(whole_factor(B, F), D);
  Rcpp::List out = singular_list(inverse);
  if (inverse.singular()) return out;
  covmash::FactorPosterior posterior = inverse.posterior(y);
  if (F.isNotNull()) {
    const arma::mat L = covmash::factor_root(Rcpp::as<arma::mat>(F.get()));
    posterior.mean = L * posterior.mean;
    posterior.root = L * posterior.root;
  }
  out["mean"] = Rcpp::NumericVector(posterior.mean.begin(), posterior.mean.end());
  out["covariance"] = Rcpp::wrap(arma::mat(posterior.root * posterior.root.t()));
  return out;
}

// Sigma^-1 = D^-1 - W W' for positive D; `kept` = 1 / (1 + s^2) belongs to the columns of W.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_precision(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F, const arma::vec& D) {
  const covmash::FactorInverse inverse(whole_factor(B, F), D);
  Rcpp::List out = singular_list(inverse);
  if (inverse.singular()) return out;
  const arma::vec kept_precision = inverse.kept_precision();
  const arma::vec diagonal = kept_precision / arma::square(inverse.root_noise());
  out["W"] = Rcpp::wrap(inverse.precision_factor());
  out["kept"] = Rcpp::NumericVector(inverse.kept().begin(), inverse.kept().end());
  out["diagonal"] = Rcpp::NumericVector(diagonal.begin(), diagonal.end());
  return out;
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_factor_eigenvalues(const arma::mat& B, const Rcpp::Nullable<Rcpp::NumericMatrix>& F,
                                           const arma::vec& D) {
  const arma::vec values = covmash::factor_eigenvalues(whole_factor(B, F), D);
  return Rcpp::NumericVector(values.begin(), values.end());
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_strong_pairs(const arma::mat& V, double threshold, double max_edges, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const auto list = covmash::strong_pairs(V, threshold, static_cast<std::size_t>(max_edges), threads.executor);
    const R_xlen_t n = static_cast<R_xlen_t>(list.edges.size());
    Rcpp::NumericVector first(n), second(n), weight(n);
    for (R_xlen_t i = 0; i < n; ++i) {
      first[i] = static_cast<double>(list.edges[i].first) + 1.0;
      second[i] = static_cast<double>(list.edges[i].second) + 1.0;
      weight[i] = list.edges[i].weight;
    }
    return Rcpp::List::create(_["first"] = first, _["second"] = second, _["weight"] = weight,
                              _["complete"] = list.complete);
  });
}
