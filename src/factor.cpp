// Binding of the covariance matrices of factor models.
#include "bridge.h"

#include <covmash/factor/eigenvalues.h>
#include <covmash/factor/incomplete.h>
#include <covmash/factor/inverse.h>
#include <covmash/factor/loadings.h>
#include <covmash/factor/network.h>
#include <covmash/factor/sample.h>

#include "factor_fit.h"

using Rcpp::_;

namespace {

Rcpp::NumericVector from_one(const std::vector<arma::uword>& index) {
  Rcpp::NumericVector out(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) out[i] = static_cast<double>(index[i]) + 1.0;
  return out;
}

Rcpp::NumericVector numbers(const arma::vec& x) { return Rcpp::NumericVector(x.begin(), x.end()); }

Rcpp::List singular_list(const covmash::FactorInverse& inverse) {
  return Rcpp::List::create(_["dependent"] = from_one(inverse.dependent()));
}

// G with B F B' = G G'; F is NULL for the identity.
arma::mat loadings(const arma::mat& B, SEXP F, covmash::Executor& executor) {
  if (Rf_isNull(F)) return B;
  return covmash::whole_loadings(B, Rcpp::as<arma::mat>(F), executor);
}

// The inverse of B F B' + D, and what answer(inverse, list, executor) adds to the list if it is not singular.
template <typename Answer>
Rcpp::List of_inverse(const arma::mat& B, SEXP F, const arma::vec& D, int n_threads, covmash::Purpose purpose,
                      Answer&& answer) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const covmash::FactorInverse inverse(loadings(B, F, threads.executor), D, &threads.executor, purpose);
    Rcpp::List out = singular_list(inverse);
    if (!inverse.singular()) answer(inverse, out, threads.executor);
    return out;
  });
}

}  // namespace

// [[Rcpp::export(rng = false)]]
arma::mat cpp_factor_root(const arma::mat& F) { return covmash::factor_root(F); }

// G with B F B' = G G'; F is NULL for the identity.
// [[Rcpp::export(rng = false)]]
arma::mat cpp_whole_loadings(const arma::mat& B, SEXP F) { return bridge::whole_loadings(B, F); }

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_systematic_variances(const arma::mat& B, const arma::mat& F) {
  return numbers(covmash::systematic_variances(B, F));
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_log_det(const arma::mat& B, SEXP F, const arma::vec& D, int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::density,
                    [](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor&) {
                      out["log_det"] = inverse.log_det();
                    });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_solve(const arma::mat& B, SEXP F, const arma::vec& D, arma::mat Y, int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::inverse,
                    [&](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor& executor) {
                      inverse.solve(Y, executor);
                      out["x"] = Rcpp::wrap(Y);
                    });
}

// The rows of X are samples, of which the mean has been subtracted; values may be missing.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_log_density(const arma::mat& B, SEXP F, const arma::vec& D, const arma::mat& X, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    arma::vec value;
    const auto dependent =
        covmash::log_density_observed(loadings(B, F, threads.executor), D, X, threads.executor, value);
    return Rcpp::List::create(_["dependent"] = from_one(dependent), _["value"] = numbers(value));
  });
}

// The same for each sample together, from their covariance S (divisor n).
// [[Rcpp::export(rng = false)]]
double cpp_factor_loglik_of_covariance(const arma::mat& B, const arma::vec& D, const arma::mat& S, double n_samples,
                                       int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const covmash::FactorInverse inverse(B, D, &threads.executor);
    return n_samples * inverse.mean_log_density(S, threads.executor);
  });
}

// samples x factors; regression scores, or Bartlett's with NA where they are not determined.
// [[Rcpp::export(rng = false)]]
arma::mat cpp_factor_scores(const arma::mat& B, SEXP F, const arma::vec& D, const arma::mat& X, bool bartlett,
                            int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    if (bartlett) {
      arma::mat scores = covmash::factor_scores(B, D, X, covmash::Scores::bartlett, threads.executor);
      scores.replace(arma::datum::nan, NA_REAL);
      return scores;
    }
    if (Rf_isNull(F)) return covmash::factor_scores(B, D, X, covmash::Scores::regression, threads.executor);
    const arma::mat L = covmash::factor_root(Rcpp::as<arma::mat>(F));
    const arma::mat scores = covmash::factor_scores(B * L, D, X, covmash::Scores::regression, threads.executor);
    return arma::mat(scores * L.t());
  });
}

// [[Rcpp::export(rng = false)]]
arma::mat cpp_factor_draws(const arma::mat& B, SEXP F, const arma::vec& D, const arma::vec& mean, const arma::mat& f,
                           arma::mat X) {
  covmash::factor_draws(bridge::whole_loadings(B, F), D, mean, f, X);
  return X;
}

// The factors given genes at y: mean (K) and covariance (K x K), in terms of the columns of B.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_posterior(const arma::mat& B, SEXP F, const arma::vec& D, const arma::vec& y, int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::density,
                    [&](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor& executor) {
                      covmash::FactorPosterior posterior = inverse.posterior(y);
                      if (!Rf_isNull(F)) {
                        const arma::mat L = covmash::factor_root(Rcpp::as<arma::mat>(F));
                        posterior.mean = L * posterior.mean;
                        posterior.root = L * posterior.root;
                      }
                      out["mean"] = numbers(posterior.mean);
                      const arma::mat& R = posterior.root;
                      out["covariance"] = Rcpp::wrap(covmash::tall_product(R, R.t(), &executor));
                    });
}

// W, Sigma^-1 = D^-1 - W W', where the border is empty; s are the singular values of D^-1/2 B chol(F). Otherwise rest,
// the same for the genes outside the border with rows of zeros inside, and the columns of the genes inside.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_precision(const arma::mat& B, SEXP F, const arma::vec& D, int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::inverse,
                    [&](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor& executor) {
                      const arma::mat columns = inverse.border_columns(executor);
                      out["diagonal"] = numbers(inverse.precision_diagonal(columns));
                      const arma::mat W = inverse.precision_factor();
                      if (inverse.border().is_empty()) {
                        out["W"] = Rcpp::wrap(W);
                        out["s"] = numbers(inverse.svd().s);
                        return;
                      }
                      arma::mat rest(D.n_elem, W.n_cols, arma::fill::zeros);
                      if (!W.is_empty()) rest.rows(inverse.others()) = W;
                      out["rest"] = Rcpp::wrap(rest);
                      out["columns"] = Rcpp::wrap(columns);
                      out["border"] = from_one(arma::conv_to<std::vector<arma::uword>>::from(inverse.border()));
                    });
}

// The column of Sigma^-1 of one gene (counted from 1), and the diagonal.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_precision_column(const arma::mat& B, SEXP F, const arma::vec& D, double gene, int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::inverse,
                    [&](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor& executor) {
                      arma::mat column(D.n_elem, 1, arma::fill::zeros);
                      column(static_cast<arma::uword>(gene) - 1, 0) = 1.0;
                      inverse.solve(column);
                      out["column"] = numbers(column.col(0));
                      out["diagonal"] = numbers(inverse.precision_diagonal(inverse.border_columns(executor)));
                    });
}

// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_network(const arma::mat& B, SEXP F, const arma::vec& D, double threshold, double max_edges,
                              int n_threads) {
  return of_inverse(B, F, D, n_threads, covmash::Purpose::inverse,
                    [&](const covmash::FactorInverse& inverse, Rcpp::List& out, covmash::Executor& executor) {
                      // More edges than pairs there cannot be, nor more than a number of 64 bits counts.
                      const double genes = static_cast<double>(D.n_elem), most = std::min(max_edges, genes * genes);
                      const covmash::EdgeList list = covmash::partial_correlation_network(
                          inverse, threshold, static_cast<std::size_t>(most), executor);
                      const R_xlen_t n = list.complete ? static_cast<R_xlen_t>(list.edges.size()) : 0;
                      Rcpp::NumericVector first(n), second(n), weight(n);
                      for (R_xlen_t i = 0; i < n; ++i) {
                        first[i] = static_cast<double>(list.edges[i].first) + 1.0;
                        second[i] = static_cast<double>(list.edges[i].second) + 1.0;
                        weight[i] = list.edges[i].weight;
                      }
                      out["first"] = first;
                      out["second"] = second;
                      out["weight"] = weight;
                      out["complete"] = list.complete;
                    });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_factor_eigenvalues(const arma::mat& B, SEXP F, const arma::vec& D) {
  return bridge::guarded([&] { return numbers(covmash::factor_eigenvalues(bridge::whole_loadings(B, F), D)); });
}

// The same for many genes, of the matrix itself.
// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_factor_formed_eigenvalues(const arma::mat& B, SEXP F, const arma::vec& D, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    return numbers(covmash::formed_factor_eigenvalues(loadings(B, F, threads.executor), D, threads.executor));
  });
}

// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_symmetric_eigenvalues(const arma::mat& A, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    return numbers(covmash::symmetric_eigenvalues(A, threads.executor));
  });
}

// The n largest, with residuals of at most `tolerance` times each.
// [[Rcpp::export(rng = false)]]
Rcpp::List cpp_factor_leading_eigenvalues(const arma::mat& B, SEXP F, const arma::vec& D, int n, double tolerance,
                                          int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    const auto out =
        covmash::leading_factor_eigenvalues(loadings(B, F, threads.executor), D, n, tolerance, threads.executor);
    return Rcpp::List::create(_["values"] = out.values, _["residual"] = out.residual, _["converged"] = out.converged);
  });
}

// Squared singular values of B chol(F).
// [[Rcpp::export(rng = false)]]
Rcpp::NumericVector cpp_factor_strengths(const arma::mat& B, SEXP F, int n_threads) {
  return bridge::guarded([&] {
    bridge::Threads threads(n_threads);
    return numbers(arma::square(covmash::graded_svd(loadings(B, F, threads.executor), &threads.executor).s));
  });
}
