#pragma once
// The joint posterior of the conditions of an effect, a mixture of normals, for what its summaries by condition do not
// hold: linear combinations A b, covariances, draws. With F_O the observed rows of a factor of U, V_j = M M', z = M^-1 bhat:
//
//   M^-1 F_O = Q' B W'  (B lower bidiagonal),   L L' = I + w B'B,   Y = sqrt(w) A F W L^-T,   t = Q z
//   A b | component  ~  N(sqrt(w) Y L^-1 B't, Y Y')
//
// What else is asked of the joint posterior is a JointQuestion: intervals (interval.h).
//
// The bidiagonal form makes every scale w cheap: L is bidiagonal, its entries sums of positive numbers. F W has all R rows:
// unobserved conditions come from what the others say. R conditions, Q rows of A, rank q: O((R + Q) q^2) for a covariance
// that has weight in an effect, which effects with the same noise share; then O(R q) an effect and covariance, O(Q q) a
// scale, and O(Q^2 q) with covariances; a draw O(Q q).

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
#include "../linalg/householder.h"
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

// A component of an effect's joint posterior, N(mean, Y Y') with a weight; a point mass at 0 has no Y.
struct JointPart {
  double weight;
  const arma::mat* Y;
  const arma::vec* variance;               // the diagonal of Y Y'
  const arma::mat* covariance;             // Y Y' where it is wanted
  const std::vector<unsigned char>* zero;  // which combinations are exactly 0
  arma::vec mean;

  bool zero_at(std::size_t r) const { return !Y || (*zero)[r]; }
};

// What else is asked of an effect: an answer to its parts, whose weights sum to 1. Asked by several threads at once, each
// with the number of a worker of its own (executor.h), for what a thread keeps from one effect to the next.
class JointQuestion {
 public:
  virtual ~JointQuestion() = default;
  virtual bool wants_covariance() const { return false; }
  virtual void effect(std::size_t j, const std::vector<JointPart>& parts, std::size_t worker) const = 0;
};

class JointPosterior {
 public:
  // What a thread keeps from one effect to the next.
  struct Workspace;

  // selection: whose slots the weights are of. Everything given must outlive this.
  JointPosterior(const NoiseModel& noise, const MixturePrior& prior, const Selection& selection, JointOptions options,
                 const JointOutput& out, Executor& executor, std::vector<const JointQuestion*> questions = {})
      : noise_(noise),
        selection_(selection),
        options_(std::move(options)),
        out_(out),
        questions_(std::move(questions)),
        executor_(executor) {
    covariance_ = out.covariance != nullptr;
    for (const JointQuestion* q : questions_) covariance_ = covariance_ || q->wants_covariance();
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

  // The bidiagonal form of a covariance in the noise of an effect, A F W, and which of its rows are zero.
  struct Form;
  // One scale of it: L and Y, the diagonal of Y Y', and all of it where covariances are wanted.
  struct Component;

  void prepare_noise(std::size_t j, Workspace& ws) const;
  const Form& form(std::size_t j, std::size_t k, Workspace& ws) const;
  const Component& component(const Form& f, std::size_t slot, double w, Workspace& ws) const;
  void map_factor(std::size_t j, std::size_t k, Form& out) const;
  void summarise(std::size_t j, Workspace& ws) const;
  void draw(std::size_t j, Workspace& ws) const;

  const NoiseModel& noise_;
  const Selection& selection_;
  JointOptions options_;
  JointOutput out_;
  std::vector<const JointQuestion*> questions_;
  bool covariance_ = false;
  Executor& executor_;
  std::size_t Q_ = 0;
  std::vector<arma::mat> factors_;      // by covariance of the selection
  std::vector<std::size_t> group_of_;   // by effect
  std::vector<double> factor_;
};

struct JointPosterior::Form {
  std::size_t stamp = 0;
  arma::mat G;  // m x q; below its subdiagonal the tails of the left reflectors
  std::vector<double> alpha, beta, tau, row;
  arma::mat mapped;  // Q x q
  std::vector<unsigned char> zero;

  // From G and A F: Golub and Kahan 1965, doi:10.1137/0702016, beginning with a row.
  void bidiagonalise(Executor& executor) {
    const std::size_t m = G.n_rows, q = G.n_cols;
    alpha.assign(q, 0.0);
    beta.assign(q, 0.0);
    tau.assign(q, 0.0);
    row.resize(q);
    arma::vec product;
    for (std::size_t k = 0; k < std::min(m, q); ++k) {
      executor.checkpoint();
      const std::size_t n = q - k;
      for (std::size_t c = 0; c < n; ++c) row[c] = G.at(k, k + c);
      const double scale = make_reflector(n, row.data());
      alpha[k] = row[0];
      if (scale != 0.0) {
        reflect_columns(scale, n, k + 1, k, G, product);
        reflect_columns(scale, n, 0, k, mapped, product);
      }
      if (k + 1 == m) break;
      double* column = G.colptr(k) + k + 1;
      tau[k] = make_reflector(m - k - 1, column);
      beta[k] = column[0];
      for (std::size_t c = k + 1; c < q; ++c) reflect(tau[k], m - k - 1, column, G.colptr(c) + k + 1);
    }
  }

  // h <- B'Q z; z is overwritten by Q z.
  void project(arma::vec& z, arma::vec& h) const {
    const std::size_t m = G.n_rows, q = G.n_cols;
    h.zeros(q);
    for (std::size_t k = 0; k < std::min(m, q); ++k) {
      if (k + 1 < m) reflect(tau[k], m - k - 1, G.colptr(k) + k + 1, z.memptr() + k + 1);
      h[k] = alpha[k] * z[k] + (k + 1 < m ? beta[k] * z[k + 1] : 0.0);
    }
  }

 private:
  // X (I - tau v v') on the n columns from `first` on and the rows from `from` on, v = (1, row[1], ...).
  void reflect_columns(double scale, std::size_t n, std::size_t from, std::size_t first, arma::mat& X,
                       arma::vec& product) const {
    const std::size_t rows = X.n_rows;
    if (from >= rows) return;
    product = X.submat(from, first, rows - 1, first);
    for (std::size_t c = 1; c < n; ++c) add_multiple(rows - from, row[c], X.colptr(first + c) + from, product.memptr());
    for (std::size_t c = 0; c < n; ++c)
      add_multiple(rows - from, -scale * (c == 0 ? 1.0 : row[c]), product.memptr(), X.colptr(first + c) + from);
  }
};

struct JointPosterior::Component {
  std::size_t stamp = 0;
  std::vector<double> diagonal, below;  // of L
  arma::mat Y, covariance;
  arma::vec variance;
};

struct JointPosterior::Workspace {
  std::size_t worker = 0;
  // The noise of the current effect. What was computed under the current stamp is of the same noise.
  std::size_t stamp = 0, group = nothing;
  double factor = 0.0;
  bool ready = false;
  NoisePattern own_pattern;
  const NoisePattern* pattern = nullptr;
  arma::vec direction, z, t;
  std::vector<Form> forms;
  std::vector<Component> components;
  std::vector<JointPart> parts;  // the components that have weight in it
  std::vector<double> cumulative, xi;
  arma::vec mean, h, drawn;
  arma::mat covariance;
};

// z, and whether the noise is that of the effect before.
inline void JointPosterior::prepare_noise(std::size_t j, Workspace& ws) const {
  const Effects& e = noise_.effects();
  if (ws.components.empty()) {
    ws.forms.resize(factors_.size());
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
inline void JointPosterior::map_factor(std::size_t j, std::size_t k, Form& out) const {
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

inline const JointPosterior::Form& JointPosterior::form(std::size_t j, std::size_t k, Workspace& ws) const {
  Form& out = ws.forms[k];
  if (out.stamp == ws.stamp) return out;
  out.stamp = ws.stamp;
  const arma::mat& F = factors_[k];
  const auto& observed = ws.pattern->observed;
  out.G.set_size(observed.size(), F.n_cols);
  for (std::size_t r = 0; r < observed.size(); ++r) out.G.row(r) = F.row(observed[r]) / ws.direction[r];
  if (!ws.pattern->identity && !out.G.is_empty()) out.G = solve_lower(ws.pattern->chol, out.G, &executor_);
  map_factor(j, k, out);
  out.bidiagonalise(executor_);
  return out;
}

// L_ii^2 = e_i + w beta_i^2 with e_i = 1 + w alpha_i^2 e_(i-1) / L_(i-1,i-1)^2: nothing is subtracted.
inline const JointPosterior::Component& JointPosterior::component(const Form& f, std::size_t slot, double w,
                                                                  Workspace& ws) const {
  Component& out = ws.components[slot];
  if (out.stamp == ws.stamp) return out;
  out.stamp = ws.stamp;
  const std::size_t q = f.alpha.size();
  out.diagonal.resize(q);
  out.below.resize(q);  // below[i]: L(i, i - 1)
  out.Y = std::sqrt(w) * f.mapped;
  double kept = 1.0, before = 1.0;
  for (std::size_t i = 0; i < q; ++i) {
    const double e = 1.0 + w * f.alpha[i] * f.alpha[i] * kept, square = e + w * f.beta[i] * f.beta[i];
    kept = e / square;
    out.diagonal[i] = std::sqrt(square);
    out.below[i] = i == 0 ? 0.0 : w * f.beta[i - 1] * f.alpha[i] / before;
    before = out.diagonal[i];
    double* y = out.Y.colptr(i);
    if (i > 0) add_multiple(Q_, -out.below[i], out.Y.colptr(i - 1), y);
    for (std::size_t r = 0; r < Q_; ++r) y[r] /= before;
  }
  out.variance.zeros(Q_);
  for (std::size_t i = 0; i < q; ++i) {
    const double* y = out.Y.colptr(i);
    for (std::size_t r = 0; r < Q_; ++r) out.variance[r] += y[r] * y[r];
  }
  if (covariance_) out.covariance = product_transposed(out.Y, out.Y, &executor_);
  return out;
}

inline void JointPosterior::effect(std::size_t j, const double* weights, std::size_t stride, Workspace& ws) const {
  prepare_noise(j, ws);
  ws.parts.clear();
  const auto weight_of = [&](std::size_t slot) { return weights[slot * stride]; };
  double point = selection_.point_mass ? weight_of(0) : 0.0;
  for (std::size_t k = 0; k < factors_.size(); ++k) {
    const Selection::Covariance& chosen = selection_.covariances[k];
    const Form* f = nullptr;
    for (std::size_t l = 0; l < chosen.scales.size(); ++l) {
      const double weight = weight_of(chosen.slot + l);
      if (weight <= negligible) continue;
      if (chosen.zero() || factors_[k].is_empty()) {
        point += weight;
        continue;
      }
      if (!f) {
        f = &form(j, k, ws);
        ws.t = ws.z;
        f->project(ws.t, ws.h);
      }
      const Component& c = component(*f, chosen.slot + l, chosen.scales[l], ws);
      arma::vec mean(Q_, arma::fill::zeros);
      double a = 0.0;  // of L^-1 h
      for (std::size_t i = 0; i < ws.h.n_elem; ++i) {
        a = (ws.h[i] - c.below[i] * a) / c.diagonal[i];
        add_multiple(Q_, std::sqrt(chosen.scales[l]) * a, c.Y.colptr(i), mean.memptr());
      }
      ws.parts.push_back({weight, &c.Y, &c.variance, &c.covariance, &f->zero, std::move(mean)});
      executor_.checkpoint();
    }
  }
  if (point > 0.0)
    ws.parts.push_back({point, nullptr, nullptr, nullptr, nullptr, arma::vec(Q_, arma::fill::zeros)});
  summarise(j, ws);
  for (const JointQuestion* question : questions_) question->effect(j, ws.parts, ws.worker);
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
      if (part.Y) ws.covariance += part.weight * *part.covariance;
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
      if (part.zero_at(r)) {
        zero += part.weight;
        continue;
      }
      const double own_variance = (*part.variance)[r];
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
    if (!part.Y) {
      for (std::size_t r = 0; r < Q_; ++r) out[r * J] = 0.0;
      continue;
    }
    const arma::mat& Y = *part.Y;
    ws.xi.resize(Y.n_cols);
    stream.normals(Y.n_cols, ws.xi.data());
    ws.drawn = part.mean;
    for (std::size_t c = 0; c < Y.n_cols; ++c) add_multiple(Q_, ws.xi[c], Y.colptr(c), ws.drawn.memptr());
    for (std::size_t r = 0; r < Q_; ++r) out[r * J] = ws.drawn[r];
  }
}

// All effects, under posterior weights of their own: J x P, components as users count them.
inline void posterior_under_weights(const NoiseModel& noise, const MixturePrior& prior, const arma::mat& weights,
                                    const JointOptions& options, const JointOutput& out, Executor& executor) {
  const std::size_t J = noise.effects().n_effects, per_task = 64;
  require(weights.n_rows == J && weights.n_cols == prior.n_components(),
          "there must be one posterior weight for each effect and component");
  const Selection selection(prior);
  const JointPosterior posterior(noise, prior, selection, options, out, executor);
  std::vector<JointPosterior::Workspace> workspaces(executor.workers());
  executor.step("Posterior", true);
  for (std::size_t w = 0; w < workspaces.size(); ++w) workspaces[w].worker = w;
  executor.run((J + per_task - 1) / per_task, 1e3 * static_cast<double>(weights.n_elem),
               [&](std::size_t task, std::size_t worker) {
                 std::vector<double> own(selection.size());
                 for (std::size_t j = task * per_task; j < std::min(J, (task + 1) * per_task); ++j) {
                   for (std::size_t slot = 0; slot < own.size(); ++slot) own[slot] = weights(j, selection.component[slot]);
                   posterior.effect(j, own.data(), 1, workspaces[worker]);
                 }
               });
}

}  // namespace covmash
