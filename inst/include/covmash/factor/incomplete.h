#pragma once
// Questions of samples that may have missing values, asked of a factor model: log-densities and factor scores. Samples
// with the same observed genes share one FactorInverse, O(N q^2) a pattern and O(N q) a sample.
//
// Patterns are the tasks of threads; a single one is cut into blocks of samples instead.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "inverse.h"

namespace covmash {

struct SamplePattern {
  arma::uvec samples, observed;  // rows of X; genes
};

// Rows of X (samples x genes, NaN where missing) with the same observed genes together, in the order of their first.
inline std::vector<SamplePattern> sample_patterns(const arma::mat& X) {
  const arma::uword n = X.n_rows, N = X.n_cols;
  std::vector<std::string> missing(n, std::string((N + 7) / 8, '\0'));
  for (arma::uword g = 0; g < N; ++g) {
    const double* x = X.colptr(g);
    for (arma::uword i = 0; i < n; ++i)
      if (std::isnan(x[i])) missing[i][g / 8] |= static_cast<char>(1 << (g % 8));
  }
  std::unordered_map<std::string, std::size_t> known;
  std::vector<std::vector<arma::uword>> members;
  for (arma::uword i = 0; i < n; ++i) {
    const std::size_t at = known.emplace(missing[i], members.size()).first->second;
    if (at == members.size()) members.emplace_back();
    members[at].push_back(i);
  }
  std::vector<SamplePattern> patterns(members.size());
  for (std::size_t p = 0; p < members.size(); ++p) {
    patterns[p].samples = arma::uvec(members[p]);
    std::vector<arma::uword> observed;
    for (arma::uword g = 0; g < N; ++g)
      if (!std::isnan(X(members[p][0], g))) observed.push_back(g);
    patterns[p].observed = arma::uvec(observed);
  }
  return patterns;
}

// visit(inverse, pattern, executor) for every pattern that observes anything, G G' + diag(noise) the covariance of all
// genes. Returns the genes that make the covariance of some pattern singular, which is then not visited.
template <typename Visit>
std::vector<arma::uword> over_patterns(const arma::mat& G, const arma::vec& noise,
                                       const std::vector<SamplePattern>& patterns, Executor& executor, Visit&& visit) {
  std::vector<std::vector<arma::uword>> dependent(patterns.size());
  auto one = [&](std::size_t p, Executor& inner) {
    const arma::uvec& observed = patterns[p].observed;
    if (observed.is_empty()) return;
    const bool all = observed.n_elem == G.n_rows;
    const FactorInverse inverse =
        all ? FactorInverse(G, noise, &inner, Purpose::density)
            : FactorInverse(G.rows(observed), noise.elem(observed), &inner, Purpose::density);
    for (arma::uword g : inverse.dependent()) dependent[p].push_back(observed[g]);
    if (!inverse.singular()) visit(inverse, patterns[p], inner);
  };
  if (patterns.size() == 1) {
    one(0, executor);
  } else {
    double work = 0.0;
    for (const SamplePattern& pattern : patterns)
      work += 4.0 * static_cast<double>(pattern.observed.n_elem) * static_cast<double>(G.n_cols + 1) *
              static_cast<double>(pattern.samples.n_elem + 2 * G.n_cols);
    executor.run(patterns.size(), work, [&](std::size_t p, std::size_t) {
      executor.checkpoint();
      SerialExecutor inner;
      one(p, inner);
    });
  }
  for (const auto& genes : dependent)
    if (!genes.empty()) return genes;
  return {};
}

// log N(x; 0, G G' + diag(noise)) of the observed part of each row of X; 0 if it has none. Returns as over_patterns().
inline std::vector<arma::uword> log_density_observed(const arma::mat& G, const arma::vec& noise, const arma::mat& X,
                                                     Executor& executor, arma::vec& out) {
  require(X.n_cols == G.n_rows, "the samples and the covariance differ in length");
  out.zeros(X.n_rows);
  return over_patterns(G, noise, sample_patterns(X), executor,
                       [&](const FactorInverse& inverse, const SamplePattern& pattern, Executor& inner) {
                         const bool whole = pattern.samples.n_elem == X.n_rows && inverse.genes() == X.n_cols;
                         if (whole) {
                           out = inverse.log_density(X, inner);
                         } else {
                           out.elem(pattern.samples) =
                               inverse.log_density(X.submat(pattern.samples, pattern.observed), inner);
                         }
                       });
}

enum class Scores { regression, bartlett };

// The factors of each row of X, samples x q. Regression: their mean given the sample, 0 if nothing is observed.
// Bartlett: weighted least squares, NaN where the observed genes do not determine them; needs noise of every gene.
inline arma::mat factor_scores(const arma::mat& G, const arma::vec& noise, const arma::mat& X, Scores method,
                               Executor& executor) {
  require(X.n_cols == G.n_rows, "the samples and the loadings differ in length");
  require(method == Scores::regression || noise.min() > 0.0, "Bartlett's scores need noise of every gene");
  arma::mat out(X.n_rows, G.n_cols);
  out.fill(method == Scores::regression ? 0.0 : std::numeric_limits<double>::quiet_NaN());
  if (out.is_empty()) return out;
  constexpr arma::uword block = 32;
  const auto dependent =
      over_patterns(G, noise, sample_patterns(X), executor,
                    [&](const FactorInverse& inverse, const SamplePattern& pattern, Executor& inner) {
                      if (method == Scores::bartlett && !inverse.identified()) return;
                      const arma::uword n = pattern.samples.n_elem;
                      const double work = 2.0 * static_cast<double>(n) * static_cast<double>(G.n_elem);
                      inner.run((n + block - 1) / block, work, [&](std::size_t task, std::size_t) {
                        const arma::uvec rows =
                            pattern.samples.subvec(task * block, std::min<arma::uword>(n, (task + 1) * block) - 1);
                        const arma::mat Y = X.submat(rows, pattern.observed).t();
                        const arma::mat f =
                            method == Scores::bartlett ? inverse.least_squares_factors(Y) : inverse.expected_factors(Y);
                        for (arma::uword i = 0; i < rows.n_elem; ++i) out.row(rows[i]) = f.col(i).t();
                      });
                    });
  if (!dependent.empty()) throw numeric_error("the covariance matrix of a factor model is singular");
  return out;
}

}  // namespace covmash
