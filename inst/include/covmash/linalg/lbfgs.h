#pragma once
// Limited-memory quasi-Newton directions with a preconditioner of the caller's (Nocedal and Wright 2006,
// algorithm 7.4). Memory 2 m n, time O(m n) a direction beside the preconditioner.

#include <cstddef>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "panel.h"

namespace covmash {

class Lbfgs {
 public:
  using Vector = std::vector<double>;
  explicit Lbfgs(std::size_t memory) : memory_(memory) {}

  void clear() { pairs_.clear(); }

  // step = x_new - x_old, change = gradient_new - gradient_old; kept only if the curvature along it is positive.
  void remember(Vector step, Vector change) {
    const double sy = dot(step, change);
    if (!(sy > 1e-10 * dot(step, step)) || !(sy > 0.0)) return;
    pairs_.push_back({std::move(step), std::move(change), 1.0 / sy});
    if (pairs_.size() > memory_) pairs_.pop_front();
  }

  // - H gradient, H the quasi-Newton inverse Hessian that starts from `precondition`.
  Vector direction(const Vector& gradient, const std::function<Vector(const Vector&)>& precondition) const {
    Vector q = gradient;
    std::vector<double> alpha(pairs_.size());
    for (std::size_t i = pairs_.size(); i-- > 0;) {
      alpha[i] = pairs_[i].rho * dot(pairs_[i].step, q);
      for (std::size_t j = 0; j < q.size(); ++j) q[j] -= alpha[i] * pairs_[i].change[j];
    }
    Vector r = precondition(q);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const double beta = pairs_[i].rho * dot(pairs_[i].change, r);
      for (std::size_t j = 0; j < r.size(); ++j) r[j] += (alpha[i] - beta) * pairs_[i].step[j];
    }
    for (double& x : r) x = -x;
    return r;
  }

 private:
  struct Pair {
    Vector step, change;
    double rho;
  };
  std::size_t memory_;
  std::deque<Pair> pairs_;
};

}  // namespace covmash
