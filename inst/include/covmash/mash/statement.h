#pragma once
// Joint statements about an effect: that it is nonzero in all (any) of some conditions, or of one sign there, and zero in
// all of others; and in how many conditions it is nonzero. What is zero is told by the structure of the covariances, exactly;
// signs are orthant probabilities (orthant.h). A component whose share cannot matter is left out, and counts as error.
// O(R) a component with weight, and an orthant where signs are asked for.

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "joint.h"
#include "orthant.h"

namespace covmash {

struct StatementOptions {
  std::vector<std::size_t> include, exclude;
  bool any = false;         // else all of `include`
  bool sign = false;        // else nonzero
  double tolerance = 5e-3;  // of the error of a probability of signs
};

// J each; positive, negative and error only with signs.
struct StatementOutput {
  double *probability = nullptr, *positive = nullptr, *negative = nullptr, *error = nullptr;
};

// Of one effect: that all entries are positive, or all negative, where parts of its posterior put them. The points go where
// they make the error of the sum smaller.
class Signs {
 public:
  void clear() { n_terms_ = 0; }

  // The statement about these entries holds under the part, none of them zero there. The part must outlive the answer.
  void add(const JointPart& part, const std::vector<arma::uword>& entries) {
    Term& t = next();
    t.part = &part;
    t.entries = entries;
    t.sd.set_size(entries.size());
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      t.sd[i] = std::sqrt((*part.variance)[entries[i]]);
      const double z = part.mean[entries[i]] / t.sd[i];
      low = std::min(low, z);
      high = std::max(high, z);
    }
    t.bound[0] = part.weight * normal_cdf(low);
    t.bound[1] = part.weight * normal_cdf(-high);
  }

  double probability(double tolerance, double& positive, double& negative, double& error) {
    double neglected = choose(0.1 * tolerance);
    // Each may neglect as much of itself as leaves the sum of all below a tenth of the tolerance, of either kind.
    const double share = 0.1 * tolerance / static_cast<double>(std::max<std::size_t>(chosen_.size(), 1));
    while (orthants_.size() < chosen_.size()) orthants_.emplace_back();
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      const Term& t = terms_[chosen_[i].term];
      const double sign = chosen_[i].negative ? -1.0 : 1.0;
      mean_.set_size(t.entries.size());
      for (std::size_t r = 0; r < t.entries.size(); ++r) mean_[r] = sign * t.part->mean[t.entries[r]];
      OrthantOptions options;
      options.negligible = share / t.part->weight;
      options.cut = std::max(options.negligible, 1e-12);
      options.stream = i;
      orthants_[i].assign(mean_, *t.part->Y, t.entries, t.sd, options);
      if (!orthants_[i].exact()) orthants_[i].refine();
    }
    double variance;
    for (;;) {
      Orthant* worst = nullptr;
      double most = 0.0;
      variance = 0.0;
      for (std::size_t i = 0; i < chosen_.size(); ++i) {
        const double se = weight(i) * orthants_[i].standard_error();
        variance += se * se;
        if (se > most && orthants_[i].points() < max_points) {
          most = se;
          worst = &orthants_[i];
        }
      }
      if (!worst || 4.0 * std::sqrt(variance) <= 0.7 * tolerance) break;
      worst->refine();
    }
    positive = negative = 0.0;
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      (chosen_[i].negative ? negative : positive) += weight(i) * orthants_[i].value();
      neglected += weight(i) * orthants_[i].neglected();
    }
    error = 4.0 * std::sqrt(variance) + neglected;
    positive = std::min(positive, 1.0);
    negative = std::min(negative, 1.0);
    return positive + negative;
  }

 private:
  static constexpr std::size_t max_points = 262144;

  struct Term {
    const JointPart* part = nullptr;
    std::vector<arma::uword> entries;
    arma::vec sd;
    double bound[2] = {};  // of weight times the probability: all positive, all negative
  };
  struct Choice {
    std::size_t term;
    bool negative;
  };

  Term& next() {
    if (n_terms_ == terms_.size()) terms_.emplace_back();
    return terms_[n_terms_++];
  }

  double weight(std::size_t i) const { return terms_[chosen_[i].term].part->weight; }

  // Leaves out the probabilities whose sum is below `budget`, unless they are exact anyway; returns a bound of the sum.
  double choose(double budget) {
    chosen_.clear();
    for (std::size_t i = 0; i < n_terms_; ++i)
      for (const bool negative : {false, true}) chosen_.push_back({i, negative});
    const auto bound = [&](const Choice& c) { return terms_[c.term].bound[c.negative]; };
    std::stable_sort(chosen_.begin(), chosen_.end(),
                     [&](const Choice& a, const Choice& b) { return bound(a) > bound(b); });
    double sum = 0.0;
    for (std::size_t i = chosen_.size(); i-- > 0;) {
      const Term& t = terms_[chosen_[i].term];
      if (t.entries.size() < 3 || t.part->Y->n_cols < 2) continue;
      if (sum + bound(chosen_[i]) > budget) break;
      sum += bound(chosen_[i]);
      chosen_.erase(chosen_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return sum;
  }

  std::vector<Term> terms_;  // the first n_terms_ of them
  std::size_t n_terms_ = 0;
  std::vector<Choice> chosen_;
  std::vector<Orthant> orthants_;  // of the choices
  arma::vec mean_;
};

class JointStatement final : public JointQuestion {
 public:
  JointStatement(const StatementOptions& options, const StatementOutput& out, std::size_t workers)
      : options_(options), out_(out), scratch_(workers) {}

  void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t worker) const override {
    Scratch& s = scratch_[worker];
    const double small = 0.01 * options_.tolerance / static_cast<double>(parts.size());
    double probability = 0.0, left_out = 0.0;
    s.signs.clear();
    for (const JointPart& part : parts) {
      if (std::any_of(options_.exclude.begin(), options_.exclude.end(),
                      [&](std::size_t r) { return !part.zero_at(r); }))
        continue;
      s.active.clear();
      for (std::size_t r : options_.include)
        if (!part.zero_at(r)) s.active.push_back(r);
      const bool holds = options_.any ? !s.active.empty() : s.active.size() == options_.include.size();
      if (!holds) continue;
      probability += part.weight;
      if (!options_.sign || s.active.empty()) continue;
      // Not worth a look, unless it is exact anyway.
      if (part.weight < small && s.active.size() > 2)
        left_out += part.weight;
      else
        s.signs.add(part, s.active);
    }
    if (options_.sign) {
      probability = s.signs.probability(options_.tolerance, out_.positive[j], out_.negative[j], out_.error[j]);
      out_.error[j] += left_out;
    }
    out_.probability[j] = std::min(probability, 1.0);
  }

 private:
  struct Scratch {
    Signs signs;
    std::vector<arma::uword> active;
  };

  StatementOptions options_;
  StatementOutput out_;
  mutable std::vector<Scratch> scratch_;  // by worker
};

// In how many of Q conditions: probability of 0, ..., Q, J x (Q + 1) column-major.
class ActiveConditions final : public JointQuestion {
 public:
  ActiveConditions(std::size_t n_effects, double* distribution) : n_effects_(n_effects), out_(distribution) {}

  void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t) const override {
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
