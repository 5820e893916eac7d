#pragma once
// The log-likelihood of a factor model given a sample with missing entries, x_i = mu + B f_i + e_i with only some entries
// of x_i observed (missing at random), its gradient and the step of EM.
//
// Given the factors the variables are independent, so only the factors are missing data in the sense of EM (Rubin and
// Thayer 1982, Psychometrika 47, 69-76): with O the observed entries of row i,
//   G_i = I + B_O' Psi_O^-1 B_O,   m_i = E f = G_i^-1 B_O' Psi_O^-1 (x_O - mu_O),   E f f' = G_i^-1 + m_i m_i'
//   log-likelihood of row i = -1/2 [ |O| log 2 pi + sum log psi_O + log|G_i| + sum (x - mu)^2 / psi - v' m_i ]
// and each variable's own regression on (1, f) is the M-step. The gradient is that of the likelihood by Fisher's
// identity. All sums over rows and variables are products with the 0/1 matrix of what is observed:
// 2 n p (K + 1)(K + 2) flops an evaluation whatever the patterns are. Memory: four times the data.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "../base/buffer.h"
#include "../base/constants.h"
#include "../base/error.h"
#include "../base/executor.h"
#include "../linalg/cholesky.h"
#include "../linalg/panel.h"

namespace covmash {

struct MissingFactorOptions {
  std::size_t n_factors = 1;
  double lower = 0.005;               // floor of psi, in units of the observed variance
  double tolerance = 1e-8;            // on the EM step, in standard deviations
  std::size_t max_iterations = 1000;  // from one start
  std::size_t memory = 20;
  bool equal_psi = false;  // probabilistic PCA: one psi for all, variables are not scaled
};

struct MissingFactorFit {
  arma::mat loadings;  // p x K, on the scale of the data
  arma::vec psi, mean;
  std::vector<bool> at_bound;
  double loglik = 0.0;
  double step = 0.0;  // length of the last EM step
  std::size_t iterations = 0, evaluations = 0, starts = 0;
  bool converged = false;
};

class ObservedLikelihood {
 public:
  using Vector = std::vector<double>;

  // Parameters of variable j: mu, B_1 ... B_K, then log psi (one at the very end if it is shared). Data are centred and
  // scaled to unit observed variances (all by one number if psi is shared).
  struct Point {
    Vector x, gradient;  // of f = -2/n log-likelihood; zero where a bound holds
    std::vector<bool> psi_free;
    std::vector<double> second;  // p x (K + 1)(K + 2)/2: sums of (1, f)(1, f)' over the rows in which j is observed
    std::vector<double> first;   // p x (K + 1): sums of x_j (1, f)
    double f = std::numeric_limits<double>::infinity();
    double rounding = 0.0;  // of f: its terms may be much larger than itself
  };

  // x: n x p, column-major, NaN where missing. Every variable has at least two values, not all the same.
  ObservedLikelihood(const double* x, std::size_t n, std::size_t p, const MissingFactorOptions& options,
                     Executor& executor)
      : n_(n), p_(p), K_(options.n_factors), options_(options), executor_(executor) {
    by_variable_.require_size(n * p);
    by_sample_.require_size(n * p);
    seen_by_variable_.require_size(n * p);
    seen_by_sample_.require_size(n * p);
    centre_.resize(p);
    scale_.resize(p);
    count_.resize(p);
    squares_.assign(p, 0.0);
    double total = 0.0;
    for (std::size_t j = 0; j < p; ++j) {
      const double* column = x + j * n;
      double sum = 0.0, m = 0.0;
      for (std::size_t i = 0; i < n; ++i)
        if (!std::isnan(column[i])) {
          sum += column[i];
          m += 1.0;
        }
      require(m > 1.0, "a variable has fewer than two values");
      count_[j] = m;
      centre_[j] = sum / m;
      double s = 0.0;
      for (std::size_t i = 0; i < n; ++i)
        if (!std::isnan(column[i])) s += (column[i] - centre_[j]) * (column[i] - centre_[j]);
      scale_[j] = std::sqrt(s / m);
      require(scale_[j] > 0.0, "a variable is constant");
      total += scale_[j] * scale_[j];
    }
    if (options.equal_psi) std::fill(scale_.begin(), scale_.end(), std::sqrt(total / static_cast<double>(p)));
    n_values_ = 0.0;
    log_scale_ = 0.0;
    for (std::size_t j = 0; j < p; ++j) {
      for (std::size_t i = 0; i < n; ++i) {
        const bool seen = !std::isnan(x[j * n + i]);
        const double value = seen ? (x[j * n + i] - centre_[j]) / scale_[j] : 0.0;
        by_variable_[j * n + i] = by_sample_[i * p + j] = value;
        seen_by_variable_[j * n + i] = seen_by_sample_[i * p + j] = seen ? 1.0 : 0.0;
        squares_[j] += value * value;
      }
      n_values_ += count_[j];
      log_scale_ += count_[j] * std::log(scale_[j]);
    }
  }

  std::size_t samples() const { return n_; }
  std::size_t variables() const { return p_; }
  std::size_t factors() const { return K_; }
  std::size_t evaluations() const { return evaluations_; }
  // Centred, scaled, 0 where missing; by variable (as x) and the 0/1 of what is seen.
  const double* values() const { return by_variable_.data(); }
  const double* seen() const { return seen_by_variable_.data(); }
  // Observed variance in the units of the search; number of values.
  double variance(std::size_t j) const { return squares_[j] / count_[j]; }
  double count(std::size_t j) const { return count_[j]; }

  // Parameters with means 0.
  Vector parameters(const arma::mat& B, const arma::vec& psi) const {
    Vector x(n_parameters(), 0.0);
    for (std::size_t j = 0; j < p_; ++j)
      for (std::size_t k = 0; k < K_; ++k) x[j * stride() + 1 + k] = B(j, k);
    for (std::size_t j = 0; j < n_psi(); ++j)
      x[psi_at(j)] = std::log(options_.equal_psi ? arma::mean(psi) : static_cast<double>(psi[j]));
    project(x);
    return x;
  }

  // Of a fit to some of the variables (those of `which`), as far as it goes: mean, B (its columns the first ones), psi.
  void take_over(const MissingFactorFit& part, const std::vector<std::size_t>& which, Vector& x) const {
    for (std::size_t i = 0; i < which.size(); ++i) {
      const std::size_t j = which[i];
      x[j * stride()] = (part.mean[i] - centre_[j]) / scale_[j];
      for (std::size_t k = 0; k < K_; ++k)
        x[j * stride() + 1 + k] = k < part.loadings.n_cols ? part.loadings(i, k) / scale_[j] : 0.0;
      if (!options_.equal_psi) x[psi_at(j)] = std::log(part.psi[i] / (scale_[j] * scale_[j]));
    }
    project(x);
  }

  std::size_t stride() const { return K_ + (options_.equal_psi ? 1 : 2); }
  std::size_t n_psi() const { return options_.equal_psi ? 1 : p_; }
  std::size_t psi_at(std::size_t j) const { return options_.equal_psi ? p_ * stride() : j * stride() + K_ + 1; }
  std::size_t n_parameters() const { return p_ * stride() + (options_.equal_psi ? 1 : 0); }
  std::size_t pairs() const { return (K_ + 1) * (K_ + 2) / 2; }
  double low() const { return std::log(options_.equal_psi ? 1e-10 : options_.lower); }

  static double longest(const Vector& d) {
    double worst = 0.0;
    for (double value : d) worst = std::max(worst, std::fabs(value));
    return worst;
  }

  void project(Vector& x) const {
    for (std::size_t j = 0; j < n_psi(); ++j) {
      double& value = x[psi_at(j)];
      value = std::min(std::max(value, low()), 5.0);
    }
  }

  void hold_bounds(const Point& at, Vector& d) const {
    for (std::size_t j = 0; j < n_psi(); ++j)
      if (!at.psi_free[j]) d[psi_at(j)] = 0.0;
  }

  static std::size_t pair(std::size_t k, std::size_t l) { return k >= l ? k * (k + 1) / 2 + l : l * (l + 1) / 2 + k; }

  Point evaluate(Vector x) {
    ++evaluations_;
    Point at;
    at.x = std::move(x);
    const Vector w = precisions(at);
    const RowMoments rows = row_moments(at, w);
    Panel second(p_, pairs()), first(p_, K_ + 1);
    multiply_into(row_major(seen_by_variable_.data(), n_), rows.moments, second, executor_);
    multiply_into(row_major(by_variable_.data(), n_), rows.means, first, executor_);
    at.first.resize(p_ * (K_ + 1));
    for (std::size_t j = 0; j < p_; ++j) std::copy_n(first.row(j), K_ + 1, at.first.data() + j * (K_ + 1));
    add_deviances(rows, at);
    add_gradient(w, first, second, at);
    return at;
  }

  // The EM step for the gradient q: n/2 psi_j S_j^-1 for (mu, B)_j, n / n_j for log psi_j.
  Vector precondition(const Point& at, const Vector& q) const {
    const std::size_t m = K_ + 1;
    const double n = static_cast<double>(n_);
    Vector out(q.size(), 0.0);
    Vector factor(m * (m + 1) / 2), y(m);
    const auto L = packed_rows(factor.data());
    for (std::size_t j = 0; j < p_; ++j) {
      const double* S = at.second.data() + j * pairs();
      factorise(S, L);
      std::copy_n(q.data() + j * stride(), m, y.data());
      forward_substitute(m, L, y.data());
      back_substitute(m, L, y.data());
      const double scale = 0.5 * n * std::exp(at.x[psi_at(j)]);
      for (std::size_t k = 0; k < m; ++k) out[j * stride() + k] = scale * y[k];
    }
    for (std::size_t j = 0; j < n_psi(); ++j) {
      const double rows = options_.equal_psi ? n_values_ : count_[j];
      out[psi_at(j)] = q[psi_at(j)] * n / rows;
    }
    return out;
  }

  // The step of EM itself: every variable's regression on (1, f), then what it leaves of the variance. It never lowers
  // the likelihood, also where bounds hold.
  Vector em_step(const Point& at) const {
    const std::size_t m = K_ + 1;
    Vector out(at.x.size()), factor(m * (m + 1) / 2), y(m);
    const auto L = packed_rows(factor.data());
    double shared = 0.0;
    for (std::size_t j = 0; j < p_; ++j) {
      const double *S = at.second.data() + j * pairs(), *c = at.first.data() + j * m;
      factorise(S, L);
      std::copy_n(c, m, y.data());
      forward_substitute(m, L, y.data());
      back_substitute(m, L, y.data());
      double left = squares_[j];
      for (std::size_t k = 0; k < m; ++k) {
        double sum = 0.0;
        for (std::size_t l = 0; l < m; ++l) sum += S[pair(k, l)] * y[l];
        left += y[k] * (sum - 2.0 * c[k]);
        out[j * stride() + k] = y[k];
      }
      left = std::max(left, 1e-300);
      if (options_.equal_psi)
        shared += left;
      else
        out[psi_at(j)] = std::log(left / count_[j]);
    }
    if (options_.equal_psi) out[psi_at(0)] = std::log(shared / n_values_);
    project(out);
    return out;
  }

  void finish(const Point& at, MissingFactorFit& fit) const {
    arma::mat B(p_, K_);
    fit.mean.set_size(p_);
    fit.psi.set_size(p_);
    fit.at_bound.resize(p_);
    for (std::size_t j = 0; j < p_; ++j) {
      fit.mean[j] = centre_[j] + scale_[j] * at.x[j * stride()];
      fit.psi[j] = std::exp(at.x[psi_at(j)]);
      fit.at_bound[j] = at.x[psi_at(j)] <= low();
      for (std::size_t k = 0; k < K_; ++k) B(j, k) = at.x[j * stride() + 1 + k] / std::sqrt(fit.psi[j]);
    }
    // Columns orthogonal in the metric of 1 / psi, strongest first.
    fit.loadings.zeros(p_, K_);
    if (K_ > 0) {
      arma::vec values;
      arma::mat V;
      if (!arma::eig_sym(values, V, B.t() * B)) throw numeric_error("an eigendecomposition did not converge");
      fit.loadings = B * arma::fliplr(V);
    }
    for (std::size_t j = 0; j < p_; ++j) {
      for (std::size_t k = 0; k < K_; ++k) fit.loadings(j, k) *= std::sqrt(fit.psi[j]) * scale_[j];
      fit.psi[j] *= scale_[j] * scale_[j];
    }
    fit.loglik = -0.5 * (static_cast<double>(n_) * at.f + n_values_ * 2.0 * log_sqrt_2pi) - log_scale_;
    fit.step = longest(precondition(at, at.gradient));
    fit.evaluations = evaluations_;
  }

 private:
  // A diagonal that cancelled to nothing still gives a direction.
  template <typename Rows>
  void factorise(const double* S, const Rows& L) const {
    cholesky(
        K_ + 1, K_ + 1, L, [S](std::size_t k, std::size_t l) { return S[pair(k, l)]; }, by_diagonal,
        [S](std::size_t k, double a, double& diagonal) {
          diagonal = std::sqrt(std::max(a, 1e-12 * S[pair(k, k)]));
          return true;
        });
  }

  // 1 / psi by variable.
  Vector precisions(const Point& at) const {
    Vector w(p_);
    for (std::size_t j = 0; j < p_; ++j) w[j] = std::exp(-at.x[psi_at(j)]);
    return w;
  }

  // By row: the moments of (1, f) given the row, lower triangle; their first column; -2 log-likelihood without its
  // constant, and the size of its terms.
  struct RowMoments {
    Panel moments, means;
    Vector deviance, size;
  };

  RowMoments row_moments(const Point& at, const Vector& w) {
    const std::size_t K = K_, half = K * (K + 1) / 2;
    // G - I and B_O' Psi_O^-1 mu_O by row, and B_O' Psi_O^-1 x_O.
    Panel mask_side(p_, half + K), value_side(p_, std::max<std::size_t>(K, 1));
    for (std::size_t j = 0; j < p_; ++j) {
      const double* a = at.x.data() + j * stride();
      std::size_t c = 0;
      for (std::size_t k = 0; k < K; ++k) {
        for (std::size_t l = 0; l <= k; ++l) mask_side(j, c++) = a[1 + k] * a[1 + l] * w[j];
        value_side(j, k) = a[1 + k] * w[j];
        mask_side(j, half + k) = a[0] * a[1 + k] * w[j];
      }
    }
    Panel G(n_, half + K), v(n_, std::max<std::size_t>(K, 1));
    multiply_into(row_major(seen_by_sample_.data(), p_), mask_side, G, executor_);
    multiply_into(row_major(by_sample_.data(), p_), value_side, v, executor_);

    RowMoments out{Panel(n_, pairs()), Panel(n_, K + 1), Vector(n_), Vector(n_)};
    constexpr std::size_t block = 64;
    const double work = static_cast<double>(n_) * (static_cast<double>(K * K * K) + 4.0 * static_cast<double>(p_));
    executor_.run((n_ + block - 1) / block, work, [&](std::size_t task, std::size_t) {
      RowWorkspace ws{Vector(half), Vector(half), Vector(K), Vector(K)};
      for (std::size_t i = task * block; i < std::min(n_, (task + 1) * block); ++i) {
        const double log_det = invert_information(G.row(i), ws);
        const double explained = factor_means(v.row(i), G.row(i) + half, ws);
        write_moments(ws, out.moments.row(i), out.means.row(i));
        double quad = 0.0, log_psi = 0.0;
        residuals(at, w, i, quad, log_psi);
        out.deviance[i] = log_psi + log_det + quad - explained;
        out.size[i] = std::fabs(log_psi) + std::fabs(log_det) + quad + explained;
      }
    });
    return out;
  }

  // One row: factor L of G and its inverse, packed by rows; L^-1 (v - mean part) and m.
  struct RowWorkspace {
    Vector L, inverse, half_way, m;
  };

  // L^-1 of G = I + g, g packed by rows. Returns log|G|.
  double invert_information(const double* g, RowWorkspace& ws) const {
    double log_det = 0.0;
    cholesky(
        K_, K_, packed_rows(ws.L.data()),
        [g](std::size_t k, std::size_t l) { return g[k * (k + 1) / 2 + l] + (k == l ? 1.0 : 0.0); }, by_diagonal,
        [&](std::size_t, double a, double& diagonal) {
          log_det += std::log(a);
          diagonal = std::sqrt(a);
          return true;
        });
    invert_lower(K_, packed_rows(ws.L.data()), packed_rows(ws.inverse.data()));
    return log_det;
  }

  // m = G^-1 (v - shift). Returns m' G m.
  double factor_means(const double* v, const double* shift, RowWorkspace& ws) const {
    const auto inverse = packed_rows(ws.inverse.data());
    double explained = 0.0;
    for (std::size_t k = 0; k < K_; ++k) {
      double a = 0.0;
      for (std::size_t l = 0; l <= k; ++l) a += inverse(k)[l] * (v[l] - shift[l]);
      ws.half_way[k] = a;
      explained += a * a;
    }
    for (std::size_t k = 0; k < K_; ++k) {
      double a = 0.0;
      for (std::size_t l = k; l < K_; ++l) a += inverse(l)[k] * ws.half_way[l];
      ws.m[k] = a;
    }
    return explained;
  }

  // (1, m)(1, m)' + G^-1 in its lower right corner, and (1, m).
  void write_moments(RowWorkspace& ws, double* moments, double* means) const {
    const auto inverse = packed_rows(ws.inverse.data());
    means[0] = moments[0] = 1.0;
    std::size_t c = 1;
    for (std::size_t k = 0; k < K_; ++k) {
      means[k + 1] = ws.m[k];
      moments[c++] = ws.m[k];
      for (std::size_t l = 0; l <= k; ++l) {
        double a = ws.m[k] * ws.m[l];
        for (std::size_t q = k; q < K_; ++q) a += inverse(q)[k] * inverse(q)[l];
        moments[c++] = a;
      }
    }
  }

  // Of what row i observes: sum (x - mu)^2 / psi, and sum log psi.
  void residuals(const Point& at, const Vector& w, std::size_t i, double& quad, double& log_psi) const {
    const double *row = by_sample_.data() + i * p_, *seen = seen_by_sample_.data() + i * p_;
    for (std::size_t j = 0; j < p_; ++j) {
      const double r = row[j] - at.x[j * stride()];
      quad += seen[j] * w[j] * r * r;
      log_psi += seen[j] * at.x[psi_at(j)];
    }
  }

  void add_deviances(const RowMoments& rows, Point& at) const {
    const double n = static_cast<double>(n_);
    at.f = 0.0;
    for (std::size_t i = 0; i < n_; ++i) {
      at.f += rows.deviance[i];
      at.rounding += rows.size[i];
    }
    at.f /= n;
    at.rounding *= 8.0 * std::numeric_limits<double>::epsilon() / n;
  }

  // By Fisher's identity, from the sums over the rows that observe a variable.
  void add_gradient(const Vector& w, const Panel& first, const Panel& second, Point& at) const {
    const double n = static_cast<double>(n_);
    at.gradient.assign(at.x.size(), 0.0);
    at.second.resize(p_ * pairs());
    for (std::size_t j = 0; j < p_; ++j) {
      const double* a = at.x.data() + j * stride();
      std::copy_n(second.row(j), pairs(), at.second.data() + j * pairs());
      double residual = squares_[j];
      for (std::size_t k = 0; k <= K_; ++k) {
        double sum = 0.0;
        for (std::size_t l = 0; l <= K_; ++l) sum += second(j, pair(k, l)) * a[l];
        at.gradient[j * stride() + k] = -2.0 / n * w[j] * (first(j, k) - sum);
        residual += a[k] * (sum - 2.0 * first(j, k));
      }
      at.gradient[psi_at(j)] += (count_[j] - w[j] * residual) / n;
    }
    at.psi_free.resize(n_psi());
    for (std::size_t j = 0; j < n_psi(); ++j) {
      double& g = at.gradient[psi_at(j)];
      at.psi_free[j] = !(at.x[psi_at(j)] <= low() && g >= 0.0);
      if (!at.psi_free[j]) g = 0.0;
    }
  }

  std::size_t n_, p_, K_;
  const MissingFactorOptions& options_;
  Executor& executor_;
  Buffer<double> by_variable_, by_sample_, seen_by_variable_, seen_by_sample_;
  Vector centre_, scale_, count_, squares_;
  double n_values_ = 0.0, log_scale_ = 0.0;
  std::size_t evaluations_ = 0;
};

}  // namespace covmash
