#pragma once
// Maximum-likelihood factor analysis of a complete sample: S (p x p, divisor n) ~ B B' + Psi, B p x K, Psi diagonal.
//
// Given psi the best loadings come from the K leading eigenpairs (lambda, u) of A = Psi^-1/2 S Psi^-1/2, so that only
// x = log psi is searched (Joreskog 1967, Psychometrika 32, 443-482). With theta = max(lambda, 1):
//   f(x)      = sum x_i + sum S_ii / psi_i + sum_k (log theta_k + 1 - theta_k)      = log|Sigma| + tr(Sigma^-1 S)
//   df/dx_i   = 1 - S_ii / psi_i + sum_k (theta_k - 1) u_ik^2                       = (Sigma_ii - S_ii) / psi_i
// Expected second derivatives are P o P (elementwise square) with P = I - U U' (Lawley and Maxwell 1971, section 4);
// a vector costs O(p K^2), so they precondition a quasi-Newton search. Small problems, whose spectrum is known whole,
// take Newton steps with the exact second derivatives
//   diag(S_ii / psi_i) - L o H - sum_k (u_k u_k') o sum_{m > K} c_km u_m u_m',
//   c_km = (l_k - 1) (l_k + l_m) / (l_k - l_m),
// H = U U', L = U diag(lambda) U'. With up to 150 variables several starts are tried, with up to 64 more of them
// where their ends differ or psi ends at its floor. psi is bounded below; the bounds active at the end are reported
// (Heywood cases), as are the Kuhn-Tucker conditions.
//
// Time: a handful of eigenproblems of leading_eigen.h, each O(p^2 K) or O(n p K), beside forming S.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../base/splitmix.h"
#include "../linalg/cholesky.h"
#include "../linalg/lbfgs.h"
#include "../linalg/leading_eigen.h"
#include "../linalg/panel.h"
#include "../linalg/sample_covariance.h"

namespace covmash {

struct FactorFitOptions {
  std::size_t n_factors = 1;
  double lower = 0.005;     // floor of psi, in units of the variance
  double tolerance = 1e-9;  // on the projected gradient with respect to log psi
  std::size_t max_iterations = 1000;
  std::size_t memory = 12;    // pairs of the quasi-Newton search
  std::vector<double> start;  // psi to start from, in units of the variance; empty: chosen here
};

struct FactorFit {
  arma::mat loadings;          // p x K; columns orthogonal in the metric of 1 / psi, strongest first
  arma::vec psi;               // p
  std::vector<bool> at_bound;  // p; psi is at its floor
  double objective = 0.0;      // log|Sigma| + tr(Sigma^-1 S)
  double kkt_violation = 0.0;  // largest projected gradient with respect to log psi
  std::size_t iterations = 0, evaluations = 0, starts = 0;
  double products = 0.0;  // applications of S to a panel
  bool converged = false;
};

// f and its gradient at x = log psi; see the top.
class FactorProfile {
 public:
  using Vector = std::vector<double>;
  struct Point {
    Vector x, gradient;
    double f = std::numeric_limits<double>::infinity();
    double rounding = 0.0;  // of f: its terms may be much larger than itself
    Vector lambda;          // K leading eigenvalues
    arma::mat U;            // K x p: the vectors of one variable side by side
    std::size_t active;     // how many of them are above 1
    arma::vec all_values;   // whole problems only
    arma::mat all_vectors;
  };

  FactorProfile(const SampleCovariance& S, std::size_t K, Executor& executor) : S_(S), K_(K), eigen_(S, K, executor) {}

  std::size_t size() const { return S_.size(); }
  bool whole() const { return eigen_.whole(); }
  double products() const { return eigen_.products(); }
  std::size_t evaluations() const { return evaluations_; }

  // `accuracy`: how exact the eigenvectors must be.
  Point evaluate(const Vector& x, double accuracy) {
    const std::size_t p = size();
    Point at;
    at.x = x;
    Vector e(p);
    for (std::size_t i = 0; i < p; ++i) e[i] = std::exp(-0.5 * x[i]);
    eigen_.solve(e, accuracy);
    ++evaluations_;
    at.lambda = K_ > 0 ? eigen_.values() : Vector();
    at.U.set_size(K_, p);
    for (std::size_t i = 0; i < p; ++i)
      for (std::size_t k = 0; k < K_; ++k) at.U(k, i) = eigen_.vector(i, k);
    at.active = 0;
    while (at.active < K_ && at.lambda[at.active] > 1.0) ++at.active;
    if (eigen_.whole()) {
      at.all_values = eigen_.all_values;
      at.all_vectors = eigen_.all_vectors;
    }
    at.f = 0.0;
    at.gradient.resize(p);
    for (std::size_t i = 0; i < p; ++i) {
      const double ratio = S_.diagonal()[i] * e[i] * e[i];
      at.f += x[i] + ratio;
      at.rounding += std::fabs(x[i]) + ratio;
      double g = 1.0 - ratio;
      for (std::size_t k = 0; k < at.active; ++k) g += (at.lambda[k] - 1.0) * at.U(k, i) * at.U(k, i);
      at.gradient[i] = g;
    }
    for (std::size_t k = 0; k < at.active; ++k) {
      at.f += std::log(at.lambda[k]) + 1.0 - at.lambda[k];
      at.rounding += at.lambda[k];
    }
    at.rounding *= 8.0 * std::numeric_limits<double>::epsilon();
    return at;
  }

  void look_again() { eigen_.look_again(); }

  // (P o P) v: 1 - 2 h_i on the diagonal plus the squares of U U'.
  static Vector expected_hessian(const Point& at, const Vector& v) {
    const std::size_t p = v.size(), K = at.active;
    std::vector<double> M(K * K, 0.0);
    for (std::size_t i = 0; i < p; ++i) {
      const double* u = at.U.colptr(i);
      for (std::size_t k = 0; k < K; ++k)
        for (std::size_t l = 0; l <= k; ++l) M[k * K + l] += v[i] * u[k] * u[l];
    }
    Vector out(p);
    for (std::size_t i = 0; i < p; ++i) {
      const double* u = at.U.colptr(i);
      double h = 0.0, s = 0.0;
      for (std::size_t k = 0; k < K; ++k) {
        h += u[k] * u[k];
        double t = 0.0;
        for (std::size_t l = 0; l < k; ++l) t += M[k * K + l] * u[l];
        s += u[k] * (2.0 * t + M[k * K + k] * u[k]);
      }
      out[i] = (1.0 - 2.0 * h) * v[i] + s;
    }
    return out;
  }

  // Solves (P o P) d = b on the free variables, by conjugate gradients.
  static Vector solve_expected(const Point& at, const std::vector<bool>& is_free, const Vector& b) {
    const std::size_t p = b.size();
    Vector diagonal(p);
    for (std::size_t i = 0; i < p; ++i) {
      double h = 0.0;
      for (std::size_t k = 0; k < at.active; ++k) h += at.U(k, i) * at.U(k, i);
      diagonal[i] = std::max((1.0 - h) * (1.0 - h), ridge);
    }
    auto multiply = [&](const Vector& v) {
      Vector out = expected_hessian(at, v);
      for (std::size_t i = 0; i < p; ++i) out[i] = is_free[i] ? out[i] + ridge * v[i] : 0.0;
      return out;
    };
    Vector d(p, 0.0), r(p, 0.0), z(p), direction(p);
    for (std::size_t i = 0; i < p; ++i) r[i] = is_free[i] ? b[i] : 0.0;
    for (std::size_t i = 0; i < p; ++i) z[i] = r[i] / diagonal[i];
    direction = z;
    double rz = dot(r, z);
    const double stop = 1e-10 * rz;
    for (int iteration = 0; iteration < 60 && rz > stop && rz > 0.0; ++iteration) {
      const Vector q = multiply(direction);
      const double curvature = dot(direction, q);
      if (!(curvature > 0.0)) break;
      const double a = rz / curvature;
      for (std::size_t i = 0; i < p; ++i) {
        d[i] += a * direction[i];
        r[i] -= a * q[i];
        z[i] = r[i] / diagonal[i];
      }
      const double next = dot(r, z);
      for (std::size_t i = 0; i < p; ++i) direction[i] = z[i] + next / rz * direction[i];
      rz = next;
    }
    return d;
  }

  // The exact second derivatives, from the whole spectrum. O(p^3 K).
  arma::mat exact_hessian(const Point& at) const {
    const arma::uword p = size(), K = at.active;
    const arma::mat U = at.all_vectors.head_cols(K), rest = at.all_vectors.tail_cols(p - K);
    const arma::vec lambda = at.all_values.head(K), other = at.all_values.tail(p - K);
    arma::mat out = -(U * arma::diagmat(lambda) * U.t()) % (U * U.t());
    for (arma::uword k = 0; k < K; ++k) {
      const arma::vec gap = arma::clamp(lambda[k] - other, 1e-10 * lambda[k], arma::datum::inf);
      const arma::vec c = (lambda[k] - 1.0) * (lambda[k] + other) / gap;
      const arma::mat scaled = rest.each_col() % U.col(k);
      out -= scaled * arma::diagmat(c) * scaled.t();
    }
    for (arma::uword i = 0; i < p; ++i) out(i, i) += S_.diagonal()[i] * std::exp(-at.x[i]);
    return 0.5 * (out + out.t());
  }

 private:
  static constexpr double ridge = 1e-8;
  const SampleCovariance& S_;
  std::size_t K_;
  LeadingEigen eigen_;
  std::size_t evaluations_ = 0;
};

class FactorSearch {
 public:
  using Vector = std::vector<double>;
  using Point = FactorProfile::Point;

  FactorSearch(const SampleCovariance& S, const FactorFitOptions& options, Executor& executor)
      : S_(S), options_(options), executor_(executor), profile_(S, options.n_factors, executor) {
    const std::size_t p = S.size();
    low_.resize(p);
    high_.resize(p);
    for (std::size_t i = 0; i < p; ++i) {
      high_[i] = std::log(S.diagonal()[i]);
      low_[i] = high_[i] + std::log(options.lower);
    }
  }

  FactorFit run() {
    FactorFit fit;
    Best best;
    executor_.step("Fitting a factor model", false);
    if (!options_.start.empty()) {
      attempt(options_.start, fit, best);
    } else {
      if (S_.is_formed() && size() <= several_below) {
        for (const Vector& psi : first_starts()) attempt(psi, fit, best);
      } else {
        attempt(principal_start(), fit, best);
      }
      // Optima that differ, or one at the floor, beside which others tend to be: look harder.
      if ((best.distinct || at_floor(best.point)) && size() <= newton_below)
        for (const Vector& psi : further_starts()) attempt(psi, fit, best);
    }
    fit.converged = best.converged;
    finish(best.point, fit);
    return fit;
  }

 private:
  bool is_free(const Point& at, std::size_t i) const {
    return !(at.x[i] <= low_[i] && at.gradient[i] >= 0.0) && !(at.x[i] >= high_[i] && at.gradient[i] <= 0.0);
  }

  bool at_floor(const Point& at) const {
    for (std::size_t i = 0; i < at.x.size(); ++i)
      if (at.x[i] <= low_[i]) return true;
    return false;
  }

  double violation(const Point& at) const {
    double worst = 0.0;
    for (std::size_t i = 0; i < at.x.size(); ++i)
      if (is_free(at, i)) worst = std::max(worst, std::fabs(at.gradient[i]));
    return worst;
  }

  // What the K leading principal components leave of each variance.
  Vector principal_start() {
    const std::size_t p = S_.size(), K = options_.n_factors;
    Vector psi(p, 0.5);
    if (K == 0) return Vector(p, 1.0);
    LeadingEigen eigen(S_, K, executor_);
    Vector e(p);
    for (std::size_t i = 0; i < p; ++i) e[i] = 1.0 / std::sqrt(S_.diagonal()[i]);
    eigen.solve(e, 1e-2);
    for (std::size_t i = 0; i < p; ++i) {
      double left = 1.0;
      for (std::size_t k = 0; k < K; ++k) left -= eigen.values()[k] * eigen.vector(i, k) * eigen.vector(i, k);
      psi[i] = std::min(std::max(left, std::max(0.05, options_.lower)), 0.99);
    }
    return psi;
  }

  struct Best {
    Point point;
    bool converged = false, distinct = false;
  };

  std::size_t size() const { return S_.size(); }

  void attempt(const Vector& psi, FactorFit& fit, Best& best) {
    Vector x(psi.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = std::min(std::max(high_[i] + std::log(psi[i]), low_[i]), high_[i]);
    bool converged = false;
    Point end = descend(std::move(x), fit.iterations, converged);
    // A later start must be better by more than rounding, so that the answer does not depend on it.
    const double difference = end.f - best.point.f, rounding = 1e-9 * (1.0 + std::fabs(end.f));
    if (fit.starts++ > 0 && std::fabs(difference) > 100.0 * rounding) best.distinct = true;
    if (fit.starts == 1 || difference < -rounding || (!best.converged && converged && difference < rounding)) {
      best.point = std::move(end);
      best.converged = converged;
    }
  }

  // Small problems have several optima often enough, and starts cost little.
  std::vector<Vector> first_starts() {
    const std::size_t p = S_.size(), K = options_.n_factors;
    std::vector<Vector> starts;
    if (K == 0) return {Vector(p, 1.0)};
    // From squared multiple correlations (Joreskog 1963).
    arma::mat L;
    if (lower_cholesky(L, S_.matrix(), &executor_)) {
      const arma::rowvec inverse_diagonal =
          arma::sum(arma::square(solve_lower(L, arma::eye(p, p), &executor_)), 0);
      Vector psi(p);
      for (std::size_t i = 0; i < p; ++i) {
        const double smc = 1.0 / (inverse_diagonal[i] * S_.diagonal()[i]);
        psi[i] = (1.0 - 0.5 * static_cast<double>(K) / static_cast<double>(p)) * std::min(std::max(smc, 1e-10), 1.0);
      }
      starts.push_back(psi);
    }
    starts.push_back(principal_start());
    starts.push_back(Vector(p, 0.5));
    if (p <= newton_below)
      for (int repeat = 0; repeat < random_starts; ++repeat) starts.push_back(scattered_start());
    return starts;
  }

  // One variable after the other at its floor, which is where optima hide; then anywhere.
  std::vector<Vector> further_starts() {
    const std::size_t p = S_.size();
    std::vector<Vector> starts;
    for (std::size_t i = 0; i < p; ++i) {
      Vector psi(p, 0.6);
      psi[i] = options_.lower;
      starts.push_back(psi);
    }
    for (int repeat = 0; repeat < 10 * random_starts; ++repeat) starts.push_back(scattered_start());
    return starts;
  }

  // Low and high values in a pattern of no meaning.
  Vector scattered_start() {
    Vector psi(S_.size());
    for (double& value : psi) value = 0.02 + 0.96 * scatter_();
    return psi;
  }

  Vector newton_direction(const Point& at, const std::vector<bool>& free) const {
    const std::size_t p = at.x.size();
    std::vector<arma::uword> which;
    for (std::size_t i = 0; i < p; ++i)
      if (free[i]) which.push_back(i);
    const arma::uvec index(which);
    const arma::mat H = profile_.exact_hessian(at).eval().submat(index, index);
    arma::vec g(which.size());
    for (std::size_t i = 0; i < which.size(); ++i) g[i] = at.gradient[which[i]];
    Vector out(p, 0.0);
    if (which.empty()) return out;
    // Negative curvature is turned round, so that every step goes down.
    arma::vec values;
    arma::mat Q;
    if (!arma::eig_sym(values, Q, H)) throw numeric_error("an eigendecomposition did not converge");
    const double floor = 1e-6 * std::max(arma::abs(values).max(), 1e-3);
    const arma::vec step = -Q * ((Q.t() * g) / arma::clamp(arma::abs(values), floor, arma::datum::inf));
    for (std::size_t i = 0; i < which.size(); ++i) out[which[i]] = step[i];
    return out;
  }

  Point descend(Vector x, std::size_t& iterations, bool& converged) {
    const std::size_t p = x.size();
    Lbfgs memory(options_.memory);
    Point at = profile_.evaluate(x, 1e-2);
    std::vector<bool> was_free(p, true);
    double accuracy = 1e-2;
    converged = false;
    int stalled = 0;
    bool looked_again = options_.n_factors == 0;
    for (std::size_t iteration = 0; iteration < options_.max_iterations; ++iteration) {
      const double worst = violation(at);
      if (worst <= options_.tolerance) {
        // Confirmed with eigenvectors exact enough for the claim.
        if (accuracy > options_.tolerance) {
          accuracy = options_.tolerance;
          at = profile_.evaluate(at.x, accuracy);
          continue;
        }
        // An eigenpair that was overlooked would make this a lower optimum.
        if (!profile_.whole() && !looked_again) {
          looked_again = true;
          profile_.look_again();
          at = profile_.evaluate(at.x, accuracy);
          continue;
        }
        converged = true;
        break;
      }
      ++iterations;
      accuracy = std::max(std::min(1e-2 * worst, accuracy), options_.tolerance);
      std::vector<bool> free(p);
      for (std::size_t i = 0; i < p; ++i) free[i] = is_free(at, i);
      if (free != was_free) memory.clear();
      was_free = free;
      Vector gradient(p);
      for (std::size_t i = 0; i < p; ++i) gradient[i] = free[i] ? at.gradient[i] : 0.0;

      Vector d =
          profile_.whole() && p <= newton_below
              ? newton_direction(at, free)
              : memory.direction(gradient, [&](const Vector& q) { return FactorProfile::solve_expected(at, free, q); });
      double largest = 0.0;
      for (std::size_t i = 0; i < p; ++i) {
        if (!free[i]) d[i] = 0.0;
        largest = std::max(largest, std::fabs(d[i]));
      }
      if (!(dot(d, gradient) < 0.0)) {
        memory.clear();
        for (std::size_t i = 0; i < p; ++i) d[i] = -gradient[i];
        largest = worst;
      }
      const double shrink = std::min(1.0, longest_step / largest);

      // Backtracking along the projected path.
      bool accepted = false;
      Point next;
      double t = shrink;
      for (int trial = 0; trial < 40; ++trial, t *= 0.4) {
        Vector y(p);
        double predicted = 0.0;
        for (std::size_t i = 0; i < p; ++i) {
          y[i] = std::min(std::max(at.x[i] + t * d[i], low_[i]), high_[i]);
          predicted += gradient[i] * (y[i] - at.x[i]);
        }
        next = profile_.evaluate(y, accuracy);
        // Where f cannot tell any more the gradient decides.
        if (std::isfinite(next.f) &&
            (next.f <= at.f + 1e-4 * predicted || (next.f <= at.f + at.rounding && violation(next) < worst))) {
          accepted = true;
          break;
        }
      }
      if (!accepted) {
        if (accuracy > options_.tolerance) {  // perhaps the eigenvectors were not exact enough
          accuracy = options_.tolerance;
          at = profile_.evaluate(at.x, accuracy);
          memory.clear();
          continue;
        }
        break;
      }
      Vector step(p), change(p);
      for (std::size_t i = 0; i < p; ++i) {
        step[i] = next.x[i] - at.x[i];
        change[i] = free[i] ? next.gradient[i] - at.gradient[i] : 0.0;
      }
      memory.remember(std::move(step), std::move(change));
      // At the limit of rounding f no longer tells steps apart; the gradient still does for a while.
      stalled = at.f - next.f <= at.rounding && violation(next) > 0.5 * worst ? stalled + 1 : 0;
      at = std::move(next);
      if (stalled > 5) break;
    }
    return at;
  }

  void finish(const Point& best, FactorFit& fit) {
    const std::size_t p = S_.size(), K = options_.n_factors;
    fit.psi.set_size(p);
    fit.loadings.zeros(p, K);
    fit.at_bound.resize(p);
    for (std::size_t i = 0; i < p; ++i) {
      fit.psi[i] = std::exp(best.x[i]);
      fit.at_bound[i] = best.x[i] <= low_[i];
      for (std::size_t k = 0; k < best.active; ++k)
        fit.loadings(i, k) = std::sqrt(fit.psi[i] * (best.lambda[k] - 1.0)) * best.U(k, i);
    }
    fit.objective = best.f;
    fit.kkt_violation = violation(best);
    fit.evaluations = profile_.evaluations();
    fit.products = profile_.products();
  }

  static constexpr std::size_t newton_below = 64, several_below = 150;
  static constexpr int random_starts = 4;
  static constexpr double longest_step = 2.0;
  const SampleCovariance& S_;
  const FactorFitOptions& options_;
  Executor& executor_;
  FactorProfile profile_;
  Vector low_, high_;
  SplitMix64 scatter_{42};
};

inline FactorFit fit_factors(const SampleCovariance& S, const FactorFitOptions& options, Executor& executor) {
  const std::size_t p = S.size();
  require(options.n_factors < p || options.n_factors == 0, "there must be fewer factors than variables");
  require(options.n_factors <= S.rank_bound(), "there must be fewer factors than samples");
  require(options.start.empty() || options.start.size() == p, "the start must have one value for each variable");
  require(options.lower > 0.0 && options.lower < 1.0, "the floor of the uniquenesses must be between 0 and 1");
  return FactorSearch(S, options, executor).run();
}

}  // namespace covmash
