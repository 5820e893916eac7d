#pragma once
// Joint statements about an effect: that it is nonzero in all (any) of some conditions, or of one sign there, and zero in
// all of others; and in how many conditions it is nonzero. What is zero is told by the structure of the covariances, exactly;
// signs are orthant probabilities (orthant.h). A component whose share cannot matter is left out, and counts as error.
// O(R) a component with weight, and an orthant where signs are asked for.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <vector>

#include "joint.h"
#include "orthant.h"

namespace covmash {

struct StatementOptions {
  std::vector<std::size_t> include, exclude;
  bool any = false;         // else all of `include`
  bool sign = false;        // else nonzero
  double tolerance = 1e-3;  // of the error of a probability of signs
};

// J each; positive, negative and error only with signs.
struct StatementOutput {
  double *probability = nullptr, *positive = nullptr, *negative = nullptr, *error = nullptr;
};

class JointStatement final : public JointQuestion {
 public:
  JointStatement(const StatementOptions& options, const StatementOutput& out) : options_(options), out_(out) {}

  void effect(std::size_t j, const std::vector<JointPart>& parts) const override {
    double probability = 0.0, positive = 0.0, negative = 0.0, error = 0.0;
    const double negligible = 0.1 * options_.tolerance / static_cast<double>(parts.size());
    const Orthant orthant(0.5 * options_.tolerance);
    std::vector<arma::uword> active;
    for (const JointPart& part : parts) {
      if (std::any_of(options_.exclude.begin(), options_.exclude.end(), [&](std::size_t r) { return !part.zero_at(r); }))
        continue;
      active.clear();
      for (std::size_t r : options_.include)
        if (!part.zero_at(r)) active.push_back(r);
      const bool holds = options_.any ? !active.empty() : active.size() == options_.include.size();
      if (!holds) continue;
      probability += part.weight;
      if (!options_.sign || active.empty()) continue;
      const arma::uvec rows(active);
      const arma::mat Y = part.Y->rows(rows);
      const arma::vec mean = part.mean(rows);
      for (const double sign : {1.0, -1.0}) {
        double likely = 1.0;
        for (arma::uword i = 0; i < mean.n_elem; ++i)
          likely = std::min(likely, normal_cdf(sign * mean[i] / std::sqrt((*part.variance)[rows[i]])));
        if (part.weight * likely < negligible && mean.n_elem > 2) {
          error += part.weight * likely;
          continue;
        }
        const Probability p = orthant(sign * mean, Y);
        (sign > 0.0 ? positive : negative) += part.weight * p.value;
        error += part.weight * p.error;
      }
    }
    if (!options_.sign) {
      out_.probability[j] = std::min(probability, 1.0);
      return;
    }
    out_.positive[j] = std::min(positive, 1.0);
    out_.negative[j] = std::min(negative, 1.0);
    out_.probability[j] = std::min(positive + negative, 1.0);
    out_.error[j] = error;
  }

 private:
  StatementOptions options_;
  StatementOutput out_;
};

// In how many of Q conditions: probability of 0, ..., Q, J x (Q + 1) column-major.
class ActiveConditions final : public JointQuestion {
 public:
  ActiveConditions(std::size_t n_effects, double* distribution) : n_effects_(n_effects), out_(distribution) {}

  void effect(std::size_t j, const std::vector<JointPart>& parts) const override {
    for (std::size_t n = 0; n <= parts[0].mean.n_elem; ++n) out_[n * n_effects_ + j] = 0.0;
    for (const JointPart& part : parts) {
      std::size_t n = 0;
      for (std::size_t r = 0; r < part.mean.n_elem; ++r) n += !part.zero_at(r);
      out_[n * n_effects_ + j] += part.weight;
    }
  }

 private:
  std::size_t n_effects_;
  double* out_;
};

}  // namespace covmash
