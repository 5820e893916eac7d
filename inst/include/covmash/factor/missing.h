#pragma once
// Maximum-likelihood factor analysis of a sample with missing entries: the search for the maximum of
// observed_likelihood.h.
//
// EM is slow; its step is a good preconditioner for the gradient, so a quasi-Newton search takes its place (Jamshidian
// and Jennrich 1997, JRSS B 59, 569-587). Where no step along the quasi-Newton direction goes down, at a bound or at
// the limit of rounding, steps of EM itself go on: they never go up.
//
// The likelihood has saddles, among them every point at which groups of variables that are not seen together have
// covariance zero, and may have several maxima. So the search starts
//   from the fit with missing values at their means, from pairwise correlations, from pieces of variables that share no
//   sample, each fitted alone, and from scattered loadings, none of them with an exact zero;
// all starts go a few steps, the best goes on to the end, then, with up to 150 variables, the others until they are
// where the best is or have ended elsewhere. If ends differ, up to 64 variables are started from once more, with one
// variable after the other at its floor. The end is then kicked: a saddle is left that way.
//
// Time: some 150 to 250 evaluations of the likelihood where all starts agree.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <deque>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../base/splitmix.h"
#include "../linalg/lbfgs.h"
#include "../linalg/panel.h"
#include "../linalg/sample_covariance.h"
#include "fit.h"
#include "observed_likelihood.h"

namespace covmash {

inline MissingFactorFit fit_factors_missing(const double* x, std::size_t n, std::size_t p,
                                            const MissingFactorOptions& options, Executor& executor);

// Where searches start: loadings in units of the observed standard deviations.
class MissingFactorStarts {
 public:
  using Vector = std::vector<double>;

  MissingFactorStarts(ObservedLikelihood& likelihood, const MissingFactorOptions& options, Executor& executor)
      : at_(likelihood), options_(options), executor_(executor), p_(likelihood.variables()), K_(likelihood.factors()) {}

  // The complete fit with every missing value at its mean.
  Vector imputed() {
    const auto S = SampleCovariance::from_data(at_.values(), at_.samples(), p_, true, executor_);
    FactorFitOptions complete;
    complete.n_factors = K_;
    complete.lower = std::max(options_.lower, 0.02);
    complete.tolerance = 1e-3;
    complete.max_iterations = 15;
    complete.start.assign(p_, 0.5);
    const FactorFit fit = fit_factors(S, complete, executor_);
    arma::mat B = fit.loadings;
    arma::vec psi = fit.psi;
    for (std::size_t j = 0; j < p_; ++j) {
      B.row(j) *= std::sqrt(S.variance()[j]);
      psi[j] *= S.variance()[j];
    }
    return without_zeros(std::move(B), psi);
  }

  // Principal factors of the pairwise correlations; what is not seen together is what the factors make of it.
  Vector pairwise() {
    const arma::mat& R = correlations();
    arma::mat B = scattered_loadings();
    for (int round = 0; round < 12; ++round) {
      const arma::mat L = standardised(B);
      arma::mat M = L * L.t(), Q, T, V;
      for (std::size_t i = 0; i < p_; ++i)
        for (std::size_t j = 0; j < p_; ++j)
          if (i == j || !std::isnan(R(i, j))) M(i, j) = i == j ? std::min(M(i, i), 0.95) : R(i, j);
      arma::vec values;
      if (!arma::qr_econ(Q, T, M * L) || !arma::eig_sym(values, V, Q.t() * M * Q))
        throw numeric_error("an eigendecomposition did not converge");
      B = Q * V * arma::diagmat(arma::sqrt(arma::clamp(values, 0.0, arma::datum::inf)));
      unstandardise(B);
    }
    return without_zeros(std::move(B), arma::vec());
  }

  // Variables that are nearly another one, at most two: a factor that is that variable is a maximum of its own, which
  // starts of even communalities do not find.
  std::vector<std::size_t> anchors() {
    const arma::mat& R = correlations();
    std::vector<std::pair<double, std::size_t>> nearest;
    for (std::size_t i = 0; i < p_; ++i) {
      double most = 0.0;
      for (std::size_t j = 0; j < p_; ++j)
        if (i != j && !std::isnan(R(i, j))) most = std::max(most, std::fabs(R(i, j)));
      if (most > 0.9) nearest.push_back({-most, i});
    }
    std::sort(nearest.begin(), nearest.end());
    std::vector<std::size_t> out;
    for (std::size_t a = 0; a < nearest.size() && a < 2; ++a) out.push_back(nearest[a].second);
    return out;
  }

  // The first factor is variable i, at its floor; the others have no meaning.
  Vector anchored(std::size_t i) {
    const arma::mat& R = correlations();
    arma::mat B = scattered_loadings() * 0.5;
    for (std::size_t j = 0; j < p_; ++j) {
      const double r = i == j ? 1.0 : std::isnan(R(i, j)) ? 0.2 * (2.0 * scatter_() - 1.0) : R(i, j);
      for (std::size_t k = 0; k < K_; ++k) B(j, k) *= std::sqrt(1.0 - std::min(r * r, 1.0));
      B(j, 0) = std::min(std::max(r, -0.995), 0.995) * std::sqrt(at_.variance(j));
    }
    arma::vec psi(p_);
    for (std::size_t j = 0; j < p_; ++j)
      psi[j] = std::max(at_.variance(j) - arma::dot(B.row(j), B.row(j)), options_.lower * at_.variance(j));
    return at_.parameters(B, psi);
  }

  // Numbers of no meaning: half of each variance is common.
  Vector scattered() { return without_zeros(scattered_loadings(), arma::vec()); }

  // The same with one variable at its floor.
  Vector scattered_with_floor(std::size_t j) {
    arma::mat B = scattered_loadings();
    const double size = arma::norm(B.row(j));
    if (size > 0.0) B.row(j) *= std::sqrt((1.0 - options_.lower) * at_.variance(j)) / size;
    Vector x = without_zeros(std::move(B), arma::vec());
    if (!options_.equal_psi) x[at_.psi_at(j)] = at_.low();
    return x;
  }

  // Numbers of no meaning added to the loadings.
  Vector kicked(const Vector& from) {
    Vector x = from;
    for (std::size_t j = 0; j < p_; ++j)
      for (std::size_t k = 0; k < K_; ++k)
        x[j * at_.stride() + 1 + k] += 0.1 * std::sqrt(at_.variance(j)) * (2.0 * scatter_() - 1.0);
    return x;
  }

  // Variables that share no sample with the others, directly or through third ones.
  std::vector<std::vector<std::size_t>> pieces() const {
    std::vector<std::size_t> parent(p_);
    std::iota(parent.begin(), parent.end(), std::size_t{0});
    auto root = [&](std::size_t j) {
      while (parent[j] != j) j = parent[j] = parent[parent[j]];
      return j;
    };
    const std::size_t n = at_.samples();
    for (std::size_t i = 0; i < n; ++i) {
      std::size_t first = p_;
      for (std::size_t j = 0; j < p_; ++j) {
        if (at_.seen()[j * n + i] == 0.0) continue;
        if (first == p_)
          first = root(j);
        else
          parent[root(j)] = first = root(first);
      }
    }
    std::vector<std::vector<std::size_t>> members(p_), out;
    for (std::size_t j = 0; j < p_; ++j) members[root(j)].push_back(j);
    for (auto& piece : members)
      if (!piece.empty()) out.push_back(std::move(piece));
    return out;
  }

  // Each piece fitted alone, put together; x has the data. `iterations` and `evaluations` are added to.
  Vector from_pieces(const double* x, const std::vector<std::vector<std::size_t>>& pieces, MissingFactorFit& total) {
    Vector out = scattered();
    const std::size_t n = at_.samples();
    for (const auto& piece : pieces) {
      std::vector<std::size_t> rows;
      for (std::size_t i = 0; i < n; ++i)
        if (at_.seen()[piece[0] * n + i] != 0.0 ||
            std::any_of(piece.begin(), piece.end(), [&](std::size_t j) { return at_.seen()[j * n + i] != 0.0; }))
          rows.push_back(i);
      MissingFactorOptions options = options_;
      options.n_factors = std::min({K_, piece.size() - 1, rows.size() - 1});
      Vector data(rows.size() * piece.size());
      for (std::size_t c = 0; c < piece.size(); ++c)
        for (std::size_t i = 0; i < rows.size(); ++i) data[c * rows.size() + i] = x[piece[c] * n + rows[i]];
      const MissingFactorFit part = fit_factors_missing(data.data(), rows.size(), piece.size(), options, executor_);
      total.iterations += part.iterations;
      total.evaluations += part.evaluations;
      at_.take_over(part, piece, out);
    }
    return out;
  }

 private:
  arma::mat cross(const double* X, std::size_t n) const {
    Panel Y(n, p_), out(p_, p_);
    for (std::size_t j = 0; j < p_; ++j)
      for (std::size_t i = 0; i < n; ++i) Y(i, j) = X[j * n + i];
    multiply_into(row_major(X, n), Y, out, executor_);
    arma::mat C(p_, p_);
    for (std::size_t i = 0; i < p_; ++i)
      for (std::size_t j = 0; j < p_; ++j) C(i, j) = out(i, j);
    return C;
  }

  // Pairwise, NaN where fewer than three samples have both.
  const arma::mat& correlations() {
    if (!correlations_.is_empty()) return correlations_;
    const std::size_t n = at_.samples();
    correlations_ = cross(at_.values(), n);
    const arma::mat seen = cross(at_.seen(), n);
    for (std::size_t i = 0; i < p_; ++i)
      for (std::size_t j = 0; j < p_; ++j) {
        double& r = correlations_(i, j);
        r /= seen(i, j) * std::sqrt(at_.variance(i) * at_.variance(j));
        r = seen(i, j) > 2.0 ? std::min(std::max(r, -1.0), 1.0) : std::numeric_limits<double>::quiet_NaN();
      }
    return correlations_;
  }

  arma::mat standardised(arma::mat B) const {
    for (std::size_t j = 0; j < p_; ++j) B.row(j) /= std::sqrt(at_.variance(j));
    return B;
  }
  void unstandardise(arma::mat& B) const {
    for (std::size_t j = 0; j < p_; ++j) B.row(j) *= std::sqrt(at_.variance(j));
  }

  arma::mat scattered_loadings() {
    arma::mat B(p_, K_);
    const double size = std::sqrt(1.5 / static_cast<double>(K_));
    for (std::size_t j = 0; j < p_; ++j)
      for (std::size_t k = 0; k < K_; ++k) B(j, k) = size * (2.0 * scatter_() - 1.0);
    unstandardise(B);
    return B;
  }

  // Zeros stay zeros in every search: a factor without loadings, variables without covariance.
  Vector without_zeros(arma::mat B, arma::vec psi) {
    if (psi.is_empty()) psi.zeros(p_);
    for (std::size_t j = 0; j < p_; ++j) {
      const double variance = at_.variance(j);
      for (std::size_t k = 0; k < K_; ++k) B(j, k) += 0.05 * std::sqrt(variance) * (2.0 * scatter_() - 1.0);
      double common = arma::dot(B.row(j), B.row(j));
      if (psi[j] == 0.0) {
        if (common > 0.95 * variance) {
          B.row(j) *= std::sqrt(0.95 * variance / common);
          common = 0.95 * variance;
        }
        psi[j] = variance - common;
      }
    }
    return at_.parameters(B, psi);
  }

  ObservedLikelihood& at_;
  const MissingFactorOptions& options_;
  Executor& executor_;
  std::size_t p_, K_;
  arma::mat correlations_;
  SplitMix64 scatter_{42};
};

class MissingFactorSearch {
 public:
  using Vector = std::vector<double>;
  using Point = ObservedLikelihood::Point;

  MissingFactorSearch(const double* x, std::size_t n, std::size_t p, const MissingFactorOptions& options,
                      Executor& executor)
      : x_(x),
        n_(n),
        options_(options),
        executor_(executor),
        likelihood_(x, n, p, options, executor),
        starts_(likelihood_, options, executor) {}

  MissingFactorFit run() {
    const std::size_t p = likelihood_.variables();
    MissingFactorFit fit;
    Run best;
    if (options_.n_factors == 0) {
      best = begin(likelihood_.parameters(arma::mat(p, 0), arma::vec(p, arma::fill::ones)));
      advance(best, options_.max_iterations, options_.tolerance);
    } else {
      best = from_several(fit);
      leave_saddles(best);
    }
    fit.starts = n_starts_;
    fit.iterations += iterations_;
    fit.converged = best.converged;
    const std::size_t evaluations = fit.evaluations;
    likelihood_.finish(best.at, fit);
    fit.evaluations += evaluations;
    return fit;
  }

 private:
  // One search under way.
  struct Run {
    Point at;
    Lbfgs memory;
    std::vector<bool> was_free;
    std::size_t iterations = 0, stalled = 0;
    bool converged = false, ended = false;

    Run() : memory(0) {}
    Run(Point start, std::size_t pairs) : at(std::move(start)), memory(pairs), was_free(at.psi_free.size(), true) {}
  };

  Run begin(Vector x) {
    ++n_starts_;
    return Run(likelihood_.evaluate(std::move(x)), options_.memory);
  }

  Run from_several(MissingFactorFit& fit) {
    const std::size_t p = likelihood_.variables();
    std::deque<Run> runs;
    runs.push_back(begin(starts_.imputed()));
    executor_.step("Fitting a factor model with missing values", false);
    const auto pieces = starts_.pieces();
    if (pieces.size() > 1) runs.push_back(begin(starts_.from_pieces(x_, pieces, fit)));
    if (p <= several_below) runs.push_back(begin(starts_.pairwise()));
    // With one psi for all no variable is at its floor alone, and maxima are few.
    if (p <= many_below && !options_.equal_psi)
      for (std::size_t i : starts_.anchors()) runs.push_back(begin(starts_.anchored(i)));
    const int scattered = p > several_below || options_.equal_psi ? 1 : p > many_below ? 2 : 3;
    for (int repeat = 0; repeat < scattered; ++repeat) runs.push_back(begin(starts_.scattered()));
    std::size_t first = 0;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      advance(runs[r], short_run, options_.tolerance);
      if (runs[r].at.f < runs[first].at.f) first = r;
    }
    Run best = std::move(runs[first]);
    runs.erase(runs.begin() + static_cast<std::ptrdiff_t>(first));
    advance(best, options_.max_iterations, options_.tolerance);
    if (p > several_below) return best;
    bool differ = false;
    for (Run& other : runs) differ = compete(other, best) || differ;
    if (!differ || p > many_below) return best;
    for (std::size_t j = 0; j < p; ++j) {
      Run other = begin(starts_.scattered_with_floor(j));
      compete(other, best);
    }
    for (std::size_t repeat = 0; repeat < std::max<std::size_t>(8, 400 / p); ++repeat) {
      Run other = begin(starts_.scattered());
      compete(other, best);
    }
    return best;
  }

  // Goes on with `other` until it is where `best` is or has ended, and takes its place if it is better. Did it end
  // elsewhere?
  bool compete(Run& other, Run& best) {
    while (!other.ended) {
      if (same_place(other.at, best.at)) return false;
      advance(other, short_run, options_.tolerance);
    }
    const double gain = best.at.f - other.at.f, margin = 1e-9 * (1.0 + std::fabs(best.at.f));
    if (gain > margin || (other.converged && !best.converged && gain > -margin)) best = std::move(other);
    return std::fabs(gain) > margin;
  }

  // The same covariances, in units of the observed variances, up to a tenth: searches from there end together.
  bool same_place(const Point& a, const Point& b) const {
    const std::size_t p = likelihood_.variables(), K = options_.n_factors, stride = likelihood_.stride();
    if (a.f - b.f > 0.02 * static_cast<double>(p)) return false;
    for (std::size_t i = 0; i < p; ++i) {
      const double *ai = a.x.data() + i * stride + 1, *bi = b.x.data() + i * stride + 1;
      if (std::fabs(a.x[likelihood_.psi_at(i)] - b.x[likelihood_.psi_at(i)]) > 0.3) return false;
      for (std::size_t j = 0; j <= i; ++j) {
        const double *aj = a.x.data() + j * stride + 1, *bj = b.x.data() + j * stride + 1;
        double difference = 0.0;
        for (std::size_t k = 0; k < K; ++k) difference += ai[k] * aj[k] - bi[k] * bj[k];
        if (std::fabs(difference) > 0.1 * std::sqrt(likelihood_.variance(i) * likelihood_.variance(j))) return false;
      }
    }
    return true;
  }

  // At a saddle a search that starts beside it goes below it.
  void leave_saddles(Run& best) {
    for (int kick = 0, kept = 0; kick < 20 && kept < 2; ++kick) {
      Run other = Run(likelihood_.evaluate(starts_.kicked(best.at.x)), options_.memory);
      advance(other, short_run, options_.tolerance);
      const double margin = 1e-9 * (1.0 + std::fabs(best.at.f));
      if (other.at.f < best.at.f - margin) {
        advance(other, options_.max_iterations, options_.tolerance);
        best = std::move(other);
        kept = 0;
      } else {
        ++kept;
      }
    }
  }

  // Up to `steps` more iterations.
  void advance(Run& run, std::size_t steps, double tolerance) {
    for (; steps > 0 && !run.ended; --steps) {
      if (run.iterations >= options_.max_iterations) {
        run.ended = true;
        return;
      }
      executor_.checkpoint();
      executor_.iteration(iterations_ + 1);
      const Vector em = likelihood_.precondition(run.at, run.at.gradient);
      const double length = ObservedLikelihood::longest(em);
      if (length <= tolerance) {
        run.converged = run.ended = true;
        return;
      }
      ++run.iterations;
      ++iterations_;
      if (!quasi_newton(run, em, length) && !expectation_maximization(run)) {
        // f cannot tell what is left from rounding.
        run.converged = length <= rounding_step;
        run.ended = true;
      }
    }
  }

  bool quasi_newton(Run& run, const Vector& em, double length) {
    Point& at = run.at;
    if (at.psi_free != run.was_free) run.memory.clear();
    run.was_free = at.psi_free;
    Vector d = run.memory.direction(at.gradient, [&](const Vector& q) { return likelihood_.precondition(at, q); });
    likelihood_.hold_bounds(at, d);
    if (!(dot(d, at.gradient) < 0.0)) {
      run.memory.clear();
      for (std::size_t i = 0; i < d.size(); ++i) d[i] = -em[i];
    }
    double t = std::min(1.0, longest_step / ObservedLikelihood::longest(d));
    for (int trial = 0; trial < 12; ++trial, t *= 0.4) {
      Vector y(at.x);
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += t * d[i];
      likelihood_.project(y);
      double predicted = 0.0;
      for (std::size_t i = 0; i < y.size(); ++i) predicted += at.gradient[i] * (y[i] - at.x[i]);
      Point next = likelihood_.evaluate(std::move(y));
      if (!std::isfinite(next.f)) continue;
      if (next.f <= at.f + 1e-4 * std::min(predicted, 0.0) || (next.f <= at.f + at.rounding && shorter(next, length))) {
        run.stalled = at.f - next.f <= at.rounding ? run.stalled + 1 : 0;
        if (run.stalled > 20) return false;
        remember(run, std::move(next));
        return true;
      }
    }
    run.memory.clear();
    return false;
  }

  bool expectation_maximization(Run& run) {
    const double before = ObservedLikelihood::longest(likelihood_.precondition(run.at, run.at.gradient));
    Point next = likelihood_.evaluate(likelihood_.em_step(run.at));
    if (!(next.f < run.at.f - run.at.rounding) && !(next.f <= run.at.f + run.at.rounding && shorter(next, before)))
      return false;
    remember(run, std::move(next));
    return true;
  }

  bool shorter(const Point& next, double length) const {
    return ObservedLikelihood::longest(likelihood_.precondition(next, next.gradient)) < length;
  }

  void remember(Run& run, Point next) {
    Vector step(run.at.x.size()), change(run.at.x.size());
    for (std::size_t i = 0; i < step.size(); ++i) {
      step[i] = next.x[i] - run.at.x[i];
      change[i] = next.gradient[i] - run.at.gradient[i];
    }
    run.memory.remember(std::move(step), std::move(change));
    run.at = std::move(next);
  }

  static constexpr std::size_t many_below = 64, several_below = 150, short_run = 12;
  static constexpr double longest_step = 1.0, rounding_step = 1e-6;
  const double* x_;
  std::size_t n_;
  const MissingFactorOptions& options_;
  Executor& executor_;
  ObservedLikelihood likelihood_;
  MissingFactorStarts starts_;
  std::size_t n_starts_ = 0, iterations_ = 0;
};

inline MissingFactorFit fit_factors_missing(const double* x, std::size_t n, std::size_t p,
                                            const MissingFactorOptions& options, Executor& executor) {
  require(options.n_factors < p || options.n_factors == 0, "there must be fewer factors than variables");
  require(options.n_factors < n, "there must be fewer factors than samples");
  return MissingFactorSearch(x, n, p, options, executor).run();
}

}  // namespace covmash
