#pragma once
// The joint posterior of the conditions of an effect, a mixture of normals, for what its summaries by condition do not
// hold: linear combinations A b, covariances, draws. With F_O the observed rows of a factor of U, V_j = M M', z = M^-1 bhat:
//
//   G = M^-1 F_O,   L L' = I + w G'G,   B = sqrt(w) A F L^-T:   A b | component ~ N(sqrt(w) B L^-1 G'z, B B')
//
// (M^-1 and w as everywhere; I + w G'G is positive definite whatever U is.) F has R rows: unobserved conditions come from
// what the others say. R conditions, Q rows of A, rank q, for a component that has weight in an effect: O(q^3 + Q q^2),
// which effects with the same noise share, then O(R q + q^2 + Q q), and O(Q^2) with covariances; a draw O(Q q).

#include <algorithm>
#include <armadillo>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "../base/error.h"
#include "../base/executor.h"
#include "../base/threefry.h"
#include "../linalg/cholesky.h"
#include "../linalg/product.h"
#include "../model/noise.h"
#include "../model/prior.h"
#include "../sweep/whiten.h"

namespace covmash {

struct JointOptions {
  arma::mat map;                  // A, Q x R; empty for the identity
  const double* scale = nullptr;  // J x R, column-major: A is applied to b_r scale_r; null for 1
  std::size_t draws = 0;          // of each effect
  std::uint64_t seed = 0;
};

// Where results go; null where one is not wanted. Mean to lfsr: J x Q, all or none of them.
struct JointOutput {
  double *mean = nullptr, *sd = nullptr, *lfdr = nullptr, *negative = nullptr, *lfsr = nullptr;
  double* covariance = nullptr;  // Q x Q x J
  double* draws = nullptr;       // J x Q x draws
};

class JointPosterior {
 public:
  // What a thread keeps from one effect to the next.
  struct Workspace;

  // selection: whose slots the weights are of. Everything given must outlive this.
  JointPosterior(const NoiseModel& noise, const MixturePrior& prior, const Selection& selection, JointOptions options,
                 const JointOutput& out, Executor& executor)
      : noise_(noise), selection_(selection), options_(std::move(options)), out_(out), executor_(executor) {
    const std::size_t J = noise.effects().n_effects, R = noise.effects().n_conditions;
    require(options_.map.is_empty() || options_.map.n_cols == R, "A must have one column for each condition");
    Q_ = options_.map.is_empty() ? R : options_.map.n_rows;
    for (const auto& chosen : selection.covariances) factors_.push_back(prior.covariances[chosen.index].whole_factor());
    group_of_.assign(J, own);
    factor_.assign(J, 1.0);
    for (std::size_t g = 0; g < noise.shared().size(); ++g) {
      const SharedNoise& group = noise.shared()[g];
      for (std::size_t i = 0; i < group.effects.size(); ++i) {
        group_of_[group.effects[i]] = g;
        factor_[group.effects[i]] = group.factor[i];
      }
    }
    for (std::size_t j : noise.all_missing()) group_of_[j] = nothing;
  }

  // Effect j, whose component in slot i has the posterior weight weights[i * stride]; they sum to 1.
  void effect(std::size_t j, const double* weights, std::size_t stride, Workspace& ws) const;

 private:
  static constexpr std::size_t own = static_cast<std::size_t>(-1), nothing = own - 1;
  static constexpr double negligible = 1e-15;  // weight

  // A covariance in the noise of an effect: G, G'G, A F and which of its rows are zero.
  struct Whitened;
  // One scale of it: L and B, and B B' where covariances are wanted.
  struct Component;

  void prepare_noise(std::size_t j, Workspace& ws) const;
  const Whitened& whitened(std::size_t j, std::size_t k, Workspace& ws) const;
  const Component& component(const Whitened& G, std::size_t slot, double w, Workspace& ws) const;
  void map_factor(std::size_t j, std::size_t k, Whitened& out) const;
  void summarise(std::size_t j, Workspace& ws) const;
  void draw(std::size_t j, Workspace& ws) const;

  const NoiseModel& noise_;
  const Selection& selection_;
  JointOptions options_;
  JointOutput out_;
  Executor& executor_;
  std::size_t Q_ = 0;
  std::vector<arma::mat> factors_;      // by covariance of the selection
  std::vector<std::size_t> group_of_;   // by effect
  std::vector<double> factor_;
};

struct JointPosterior::Whitened {
  std::size_t stamp = 0;
  arma::mat G, gram, mapped;
  std::vector<unsigned char> zero;
};

struct JointPosterior::Component {
  std::size_t stamp = 0;
  arma::mat L, B, covariance;
};

struct JointPosterior::Workspace {
  // The noise of the current effect. What was computed under the current stamp is of the same noise.
  std::size_t stamp = 0, group = nothing;
  double factor = 0.0;
  bool ready = false;
  NoisePattern own_pattern;
  const NoisePattern* pattern = nullptr;
  arma::vec direction, z;
  std::vector<Whitened> whitened;
  std::vector<Component> components;
  // The components that have weight in it.
  struct Part {
    double weight;
    const Component* component;  // null: a point mass at 0
    const std::vector<unsigned char>* zero;
    arma::vec mean;
  };
  std::vector<Part> parts;
  std::vector<double> cumulative, xi;
  arma::vec mean, h, a;
  arma::mat covariance;
};

// z, and whether the noise is that of the effect before.
inline void JointPosterior::prepare_noise(std::size_t j, Workspace& ws) const {
  const Effects& e = noise_.effects();
  if (ws.whitened.empty()) {
    ws.whitened.resize(factors_.size());
    ws.components.resize(selection_.size());
  }
  const std::size_t group = group_of_[j];
  const bool same = ws.ready && group != own && group == ws.group && factor_[j] == ws.factor && !options_.scale;
  if (!same) {
    ++ws.stamp;
    ws.group = group;
    ws.factor = factor_[j];
    ws.ready = true;
    if (group == own) {
      ws.own_pattern = noise_.pattern_of_effect(j);
      ws.pattern = &ws.own_pattern;
    } else if (group == nothing) {
      ws.own_pattern = NoisePattern();
      ws.own_pattern.identity = true;
      ws.pattern = &ws.own_pattern;
    } else {
      ws.pattern = noise_.shared()[group].pattern;
    }
    const auto& observed = ws.pattern->observed;
    ws.direction.set_size(observed.size());
    for (std::size_t r = 0; r < observed.size(); ++r)
      ws.direction[r] = group == own ? e.s(j, observed[r]) : factor_[j] * noise_.shared()[group].direction[r];
  }
  const auto& observed = ws.pattern->observed;
  ws.z.set_size(observed.size());
  for (std::size_t r = 0; r < observed.size(); ++r) ws.z[r] = e.b(j, observed[r]) / ws.direction[r];
  if (!ws.pattern->identity)
    ws.z = arma::solve(arma::trimatl(ws.pattern->chol), ws.z, arma::solve_opts::fast);
}

// A D F, D the scales of the effect. A row whose entries cancel is zero: they are sums that would be 0 without rounding.
inline void JointPosterior::map_factor(std::size_t j, std::size_t k, Whitened& out) const {
  const arma::mat& F = factors_[k];
  const std::size_t J = noise_.effects().n_effects, R = F.n_rows, q = F.n_cols;
  out.zero.assign(Q_, 0);
  if (options_.map.is_empty()) {
    out.mapped = F;
    for (std::size_t r = 0; r < R; ++r) {
      out.zero[r] = arma::all(F.row(r) == 0.0);
      if (options_.scale) out.mapped.row(r) *= options_.scale[r * J + j];
    }
    return;
  }
  arma::vec length(R);
  for (std::size_t r = 0; r < R; ++r) length[r] = arma::norm(F.row(r));
  out.mapped.zeros(Q_, q);
  for (std::size_t i = 0; i < Q_; ++i) {
    double size = 0.0;
    for (std::size_t r = 0; r < R; ++r) {
      const double a = options_.map.at(i, r);
      if (a == 0.0) continue;
      const double weight = options_.scale ? a * options_.scale[r * J + j] : a;
      out.mapped.row(i) += weight * F.row(r);
      size += std::fabs(weight) * length[r];
    }
    const double tolerance = 4.0 * static_cast<double>(R) * std::numeric_limits<double>::epsilon();
    if (arma::norm(out.mapped.row(i)) <= tolerance * size) {
      out.zero[i] = 1;
      out.mapped.row(i).zeros();
    }
  }
}

inline const JointPosterior::Whitened& JointPosterior::whitened(std::size_t j, std::size_t k, Workspace& ws) const {
  Whitened& out = ws.whitened[k];
  if (out.stamp == ws.stamp) return out;
  out.stamp = ws.stamp;
  const arma::mat& F = factors_[k];
  const auto& observed = ws.pattern->observed;
  out.G.set_size(observed.size(), F.n_cols);
  for (std::size_t r = 0; r < observed.size(); ++r) out.G.row(r) = F.row(observed[r]) / ws.direction[r];
  if (!ws.pattern->identity && !out.G.is_empty()) out.G = solve_lower(ws.pattern->chol, out.G, &executor_);
  out.gram = transposed_product(out.G, out.G, &executor_);
  map_factor(j, k, out);
  return out;
}

inline const JointPosterior::Component& JointPosterior::component(const Whitened& white, std::size_t slot, double w,
                                                                  Workspace& ws) const {
  Component& out = ws.components[slot];
  if (out.stamp == ws.stamp) return out;
  out.stamp = ws.stamp;
  arma::mat K = w * white.gram;
  K.diag() += 1.0;
  if (!lower_cholesky(out.L, K, &executor_))
    throw numeric_error("the posterior covariance of component " + std::to_string(selection_.component[slot] + 1) +
                        " could not be computed");
  out.B = std::sqrt(w) * solve_lower(out.L, white.mapped.t(), &executor_).t();
  if (out_.covariance) out.covariance = product_transposed(out.B, out.B, &executor_);
  return out;
}

inline void JointPosterior::effect(std::size_t j, const double* weights, std::size_t stride, Workspace& ws) const {
  prepare_noise(j, ws);
  ws.parts.clear();
  const auto weight_of = [&](std::size_t slot) { return weights[slot * stride]; };
  double point = selection_.point_mass ? weight_of(0) : 0.0;
  for (std::size_t k = 0; k < factors_.size(); ++k) {
    const Selection::Covariance& chosen = selection_.covariances[k];
    const Whitened* white = nullptr;
    for (std::size_t l = 0; l < chosen.scales.size(); ++l) {
      const double weight = weight_of(chosen.slot + l);
      if (weight <= negligible) continue;
      if (chosen.zero() || factors_[k].is_empty()) {
        point += weight;
        continue;
      }
      if (!white) {
        white = &whitened(j, k, ws);
        ws.h = white->G.t() * ws.z;
      }
      const Component& c = component(*white, chosen.slot + l, chosen.scales[l], ws);
      ws.a = arma::solve(arma::trimatl(c.L), ws.h, arma::solve_opts::fast);
      ws.parts.push_back({weight, &c, &white->zero, std::sqrt(chosen.scales[l]) * (c.B * ws.a)});
      executor_.checkpoint();
    }
  }
  if (point > 0.0) ws.parts.push_back({point, nullptr, nullptr, arma::vec(Q_, arma::fill::zeros)});
  summarise(j, ws);
  if (out_.draws) draw(j, ws);
}

inline void JointPosterior::summarise(std::size_t j, Workspace& ws) const {
  if (!out_.mean && !out_.covariance) return;
  const std::size_t J = noise_.effects().n_effects;
  ws.mean.zeros(Q_);
  for (const auto& part : ws.parts) ws.mean += part.weight * part.mean;
  if (out_.covariance) {
    ws.covariance.zeros(Q_, Q_);
    for (const auto& part : ws.parts) {
      if (part.component) ws.covariance += part.weight * part.component->covariance;
      const arma::vec off = part.mean - ws.mean;
      for (std::size_t c = 0; c < Q_; ++c) {
        const double scaled = part.weight * off[c];
        double* column = ws.covariance.colptr(c);
        for (std::size_t r = 0; r < Q_; ++r) column[r] += scaled * off[r];
      }
    }
    std::copy(ws.covariance.begin(), ws.covariance.end(), out_.covariance + j * Q_ * Q_);
  }
  if (!out_.mean) return;
  for (std::size_t r = 0; r < Q_; ++r) {
    double variance = 0.0, negative = 0.0, positive = 0.0, zero = 0.0;
    for (const auto& part : ws.parts) {
      const double m = part.mean[r], off = m - ws.mean[r];
      variance += part.weight * off * off;
      if (!part.component || (*part.zero)[r]) {
        zero += part.weight;
        continue;
      }
      const double own_variance = arma::accu(arma::square(part.component->B.row(r)));
      variance += part.weight * own_variance;
      const double x = m / std::sqrt(2.0 * own_variance);
      negative += part.weight * 0.5 * std::erfc(x);
      positive += part.weight * 0.5 * std::erfc(-x);
    }
    const std::size_t at = r * J + j;
    out_.mean[at] = ws.mean[r];
    out_.sd[at] = std::sqrt(variance);
    out_.lfdr[at] = std::min(zero, 1.0);
    out_.negative[at] = std::min(negative, 1.0);
    out_.lfsr[at] = std::min(std::min(negative, positive) + zero, 1.0);
  }
}

inline void JointPosterior::draw(std::size_t j, Workspace& ws) const {
  const std::size_t J = noise_.effects().n_effects;
  ws.cumulative.clear();
  double total = 0.0;
  for (const auto& part : ws.parts) ws.cumulative.push_back(total += part.weight);
  RandomStream stream(options_.seed, j);
  for (std::size_t d = 0; d < options_.draws; ++d) {
    const double u = stream.uniform() * total;
    const auto at = std::upper_bound(ws.cumulative.begin(), ws.cumulative.end(), u) - ws.cumulative.begin();
    const auto& part = ws.parts[std::min(static_cast<std::size_t>(at), ws.parts.size() - 1)];
    double* out = out_.draws + d * Q_ * J + j;
    if (!part.component) {
      for (std::size_t r = 0; r < Q_; ++r) out[r * J] = 0.0;
      continue;
    }
    const arma::mat& B = part.component->B;
    ws.xi.resize(B.n_cols);
    stream.normals(B.n_cols, ws.xi.data());
    ws.a = part.mean;
    for (std::size_t c = 0; c < B.n_cols; ++c) {
      const double* column = B.colptr(c);
      for (std::size_t r = 0; r < Q_; ++r) ws.a[r] += ws.xi[c] * column[r];
    }
    for (std::size_t r = 0; r < Q_; ++r) out[r * J] = ws.a[r];
  }
}

}  // namespace covmash
