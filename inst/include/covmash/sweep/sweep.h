#pragma once
// The sweep: the only loop over blocks of effects and components of the prior. It whitens a block, brings each selected
// covariance into the form that the plan has for the block, and evaluates the log-likelihoods of all its scales. What
// else is to be known is a question, an object with
//
//   bool wants(k)             whether covariance k of the selection is to be visited
//   void visit(const Visit&)  its forms are at hand, and the log-likelihoods of its components are known
//   void known(form, from, to)  the log-likelihoods of all components are known for the lanes [from, to)
//
// Spectral forms are kept, so their visits come when all log-likelihoods of the block are known; the others right after
// their own log-likelihoods, before known(). O(R q) an effect and covariance and O(q) a scale, beside the forms (plan.h).
// A row's result depends on that row alone, and on the form its group has.

#include <armadillo>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../base/executor.h"
#include "../model/noise.h"
#include "../model/prior.h"
#include "diagonalise.h"
#include "plan.h"
#include "scale.h"
#include "whiten.h"

namespace covmash {

// What one worker needs; made once and reused.
struct Workspace {
  WhitenedBlock block;
  Buffer<double> loglik;  // [slot * 64 + lane]
  // spectral: by covariance, and for which (group, c) their tables are
  std::vector<SpectralScales> spectral;
  std::size_t table_group = Plan::none;
  double table_factor = 0.0;
  BlockSquares squares;
  // grouped: the bundles that a block needs and the last ones needed, by covariance where there is room
  std::vector<std::vector<GroupForms>> groups;
  GroupProjection projection;
  Buffer<double> group_shat, group_chol, scratch;
  // row-specific
  RowForm row;
  Buffer<double> gain, absorbed_shat, absorbed_z, absorbed_constant;
};

// Spectral forms of the noises of a dictionary, kept from one part of the effects to the next: of one prior and one C.
class SpectralStore {
 public:
  // Room for the forms of so many noises, the last of which is that of the effects with one Shat.
  void prepare(std::size_t n_noises, std::size_t n_covariances) {
    n_covariances_ = n_covariances;
    forms_.resize(n_noises * n_covariances);
  }
  std::shared_ptr<const Spectral>& form(std::size_t noise, std::size_t covariance) {
    return forms_[noise * n_covariances_ + covariance];
  }

 private:
  std::size_t n_covariances_ = 0;
  std::vector<std::shared_ptr<const Spectral>> forms_;
};

class Sweep {
 public:
  // Makes the spectral forms of the selected components, or takes those that the store has. Everything given must outlive
  // the sweep.
  Sweep(const NoiseModel& noise, const MixturePrior& prior, const Plan& plan, Selection selection, Executor& executor,
        SpectralStore* store = nullptr)
      : kernels_(simd::kernels()),
        executor_(executor),
        noise_(noise),
        prior_(prior),
        plan_(plan),
        selection_(std::move(selection)),
        whitener_(noise, plan, &executor) {
    const std::size_t R = noise.effects().n_conditions, K = selection_.covariances.size();
    for (const auto& c : selection_.covariances) {
      const Covariance& U = prior.covariances[c.index];
      absorbs_.push_back(!c.zero() && plan.absorbs(c.index));
      absorbs_shared_.push_back(!c.zero() && plan.absorbs_shared(c.index));
      factors_.push_back(absorbs_shared_.back() ? U.factor : U.whole_factor());
      if (c.zero()) factors_.back().set_size(R, 0);
      require(factors_.back().n_rows == R, "covariance matrix " + std::to_string(c.index + 1) + " has " +
                                               std::to_string(factors_.back().n_rows) + " rows, but there are " +
                                               std::to_string(R) + " conditions");
    }
    spectral_.resize(plan.spectral_groups().size() * K);
    if (store) store->prepare(noise.n_known() + 1, prior.covariances.size());
    executor.run(spectral_.size(), work_to_decompose(), [&](std::size_t task, std::size_t) {
      const std::size_t k = task % K;
      if (absorbs_shared_[k]) return;
      const SharedNoise& group = noise_.shared()[plan_.spectral_groups()[task / K]];
      std::shared_ptr<const Spectral> own;
      auto& form = store ? store->form(group.known, selection_.covariances[k].index) : own;
      if (!form) form = std::make_shared<const Spectral>(diagonalise(factors_[k], group, &executor_));
      spectral_[task] = form;
    });
  }

  const simd::KernelTable& kernels() const { return kernels_; }
  const NoiseModel& noise() const { return noise_; }
  const MixturePrior& prior() const { return prior_; }
  const Plan& plan() const { return plan_; }
  const Selection& selection() const { return selection_; }

  void prepare(Workspace& ws) const {
    ws.loglik.require_size(std::max<std::size_t>(selection_.size(), 1) * simd::lanes);
    ws.spectral.resize(factors_.size());
    ws.squares.all.require_size(simd::lanes);
    ws.table_group = Plan::none;
    if (!plan_.has(Form::grouped)) return;
    const std::size_t n_bundles = simd::lanes / std::max<std::size_t>(plan_.sizes().grouped, 2) / kernels_.width + 2;
    double bytes = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k)
      bytes +=
          8.0 * static_cast<double>(n_bundles * kernels_.width *
                                    GroupForms::size(factors_[k].n_rows, factors_[k].n_cols,
                                                     selection_.covariances[k].scales.size(), kernels_.width, true));
    ws.groups.resize(bytes <= kept_bytes ? std::max<std::size_t>(factors_.size(), 1) : 1);
    for (auto& bundles : ws.groups) bundles.resize(n_bundles);
    // Lanes of a block that no segment fills are read with the others; they only have to hold numbers.
    const std::size_t R = noise_.effects().n_conditions;
    for (auto* b :
         {&ws.projection.t, &ws.projection.rest, &ws.projection.alpha, &ws.projection.beta, &ws.projection.zeta}) {
      double* x = b->require_size((b == &ws.projection.t ? R : 1) * simd::lanes);
      std::fill(x, x + b->size(), 0.0);
    }
  }

  // A rough count of operations for a block, to decide about threads and about keeping what was computed.
  double work_per_block() const {
    const double specific = plan_.share(Form::row), grouped = plan_.share(Form::grouped);
    const double shared = 1.0 - specific - grouped;
    double flops = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const double R = static_cast<double>(factors_[k].n_rows), q = static_cast<double>(factors_[k].n_cols);
      const double n_scales = static_cast<double>(selection_.covariances[k].scales.size());
      if (absorbs_[k] && (specific > 0.5 || absorbs_shared_[k])) {
        flops += n_scales * R * (4.0 * q * q + 40.0);
        continue;
      }
      const double terms = spectral_.empty() || !spectral_[k] ? q : static_cast<double>(spectral_[k]->explicit_terms);
      flops += shared * terms * (4.0 * R + 10.0 * n_scales);
      flops += grouped * q * (4.0 * R + 20.0 * n_scales + 0.2 * R * q);
      flops += specific * (q * (4.0 * R * R + 60.0) + n_scales * (10.0 * q + 100.0));
    }
    return 64.0 * (flops + 20.0 * static_cast<double>(selection_.size()));
  }

  // The same for the spectral forms, once for each group that has them.
  double work_to_decompose() const {
    double flops = 0.0;
    for (std::size_t k = 0; k < factors_.size(); ++k)
      if (!absorbs_shared_[k])
        flops += 40.0 * static_cast<double>(factors_[k].n_rows * factors_[k].n_cols * factors_[k].n_cols);
    return flops * static_cast<double>(plan_.spectral_groups().size());
  }

  struct Visit;

  // ws.loglik[slot * 64 + lane] for a block, and the question's visits.
  template <typename Question>
  void run(const Block& block, Workspace& ws, Question&& question) const {
    whitener_.load(block, ws.block);
    if (block.form == Form::spectral)
      run_spectral(block, ws, question);
    else if (block.form == Form::grouped)
      run_grouped(block, ws, question);
    else
      run_rows(ws, question);
  }

  // One covariance of the selection whose form is at hand in the workspace: scales [first, first + n) of it, lanes
  // [from, to).
  struct Visit {
    std::size_t k, first, n, from, to;
    Form form;                       // row: also where a diagonal part has joined shared noise
    const simd::DiagonalPart* part;  // of that
    const Sweep* sweep;
    Workspace* ws;

    const Selection::Covariance& chosen() const { return sweep->selection_.covariances[k]; }
    // Whether the log-likelihoods of the other components of these lanes are known.
    bool all_known() const { return ws->block.block.form == Form::spectral; }
    // The components join a mixture's moments with weights rho[scale * 64 + lane] (of the block's lanes, from scale
    // `first` on); kept: which scales of the covariance enter.
    void moments(const double* rho, const unsigned char* kept, MomentSum& sum) const {
      sweep->moments(*this, rho, kept, sum);
    }
  };

 private:
  static constexpr double kept_bytes = 6.4e7;  // group forms that a worker keeps

  const Spectral& spectral(std::size_t group, std::size_t k) const {
    return *spectral_[plan_.position(group) * selection_.covariances.size() + k];
  }
  const Covariance& covariance(std::size_t k) const { return prior_.covariances[selection_.covariances[k].index]; }
  const std::vector<double>& scales(std::size_t k) const { return selection_.covariances[k].scales; }
  double* loglik(std::size_t k, Workspace& ws) const {
    return ws.loglik.data() + selection_.covariances[k].slot * simd::lanes;
  }
  std::size_t packs() const { return simd::lanes / kernels_.width; }

  void null_loglik(std::size_t rows, Workspace& ws) const {
    double* squares = ws.squares.all.data();
    std::fill(squares, squares + simd::lanes, 0.0);
    kernels_.add_squares(rows, ws.block.z.data(), squares);
    if (!selection_.point_mass) return;
    const double shrink = 1.0, log_det = 0.0;
    kernels_.shared_loglik(1, 1, &shrink, squares, ws.block.constant, &log_det, ws.loglik.data());
  }

  // ---- spectral ----

  template <typename Question>
  void run_spectral(const Block& block, Workspace& ws, Question& question) const {
    const Segment& segment = plan_.segments(block)[0];
    const SharedNoise& noise = noise_.shared()[segment.group];
    const std::size_t m = noise.observed().size();
    refresh_tables(segment.group, noise.factor[segment.begin], ws);
    ws.squares.know_others = false;
    null_loglik(m, ws);
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      if (absorbs_shared_[k])
        absorb_packs(k, false, ws, [](const Visit&) {});
      else
        spectral_loglik(spectral(segment.group, k), scales(k), ws.block, m, ws.spectral[k], ws.squares, loglik(k, ws),
                        kernels_);
      if (m >= 32) executor_.checkpoint();
    }
    question.known(Form::spectral, 0, simd::lanes);
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      if (!question.wants(k)) continue;
      if (absorbs_shared_[k])
        absorb_packs(k, true, ws, [&](const Visit& v) { question.visit(v); });
      else
        question.visit(Visit{k, 0, scales(k).size(), 0, simd::lanes, Form::spectral, nullptr, this, &ws});
    }
  }

  void refresh_tables(std::size_t group, double factor, Workspace& ws) const {
    if (!ws.block.one_factor || (ws.table_group == group && ws.table_factor == factor)) return;
    ws.table_group = group;
    ws.table_factor = factor;
    for (std::size_t k = 0; k < factors_.size(); ++k)
      if (!absorbs_shared_[k])
        ws.spectral[k].make_tables(spectral(group, k), ws.block.inverse_c2[0], scales(k), kernels_);
  }

  // ---- grouped ----

  template <typename Question>
  void run_grouped(const Block& block, Workspace& ws, Question& question) const {
    const std::size_t R = noise_.effects().n_conditions;
    const auto segments = plan_.segments(block);
    null_loglik(R, ws);
    for (std::size_t k = 0; k < factors_.size(); ++k) {
      const bool wanted = question.wants(k);
      const std::size_t n = scales(k).size(), q = factors_[k].n_cols;
      if (absorbs_shared_[k]) {
        absorb_packs(k, wanted, ws, [&](const Visit& v) {
          if (wanted) question.visit(v);
        });
        continue;
      }
      double* out = loglik(k, ws);
      if (q == 0) {
        const double shrink = 1.0, log_det = 0.0;
        for (std::size_t l = 0; l < n; ++l)
          kernels_.shared_loglik(1, 1, &shrink, ws.squares.all.data(), ws.block.constant, &log_det,
                                 out + l * simd::lanes);
      }
      for (const Segment& s : segments) {
        if (q == 0) break;
        const std::size_t at = plan_.position(s.group);
        const GroupForms& f = forms(k, at, wanted, ws);
        group_project(f, at % kernels_.width, s, ws.block, ws.projection, kernels_);
        group_loglik(f, at % kernels_.width, noise_.shared()[s.group].one_factor(), scales(k), s, ws.block,
                     ws.projection, out, kernels_);
        if (R >= 32) executor_.checkpoint();
      }
      if (q > 0) repeat_last_lane(segments[segments.size() - 1], n, out);
      if (wanted) question.visit(Visit{k, 0, n, 0, simd::lanes, Form::grouped, nullptr, this, &ws});
      if (R >= 32) executor_.checkpoint();  // one block can take long
    }
    question.known(Form::grouped, 0, simd::lanes);
  }

  // The lanes of a block that no register of its last segment reaches.
  void repeat_last_lane(const Segment& last, std::size_t n_scales, double* loglik) const {
    const std::size_t end = last.end(kernels_.width);
    for (std::size_t l = 0; l < n_scales && end < simd::lanes; ++l)
      std::fill(loglik + l * simd::lanes + end, loglik + (l + 1) * simd::lanes, loglik[l * simd::lanes + end - 1]);
  }

  // The forms of covariance k for the bundle of groups that the one at this position belongs to.
  GroupForms& forms(std::size_t k, std::size_t position, bool keep_back, Workspace& ws) const {
    const std::size_t W = kernels_.width, bundle = position / W;
    auto& bundles = ws.groups[ws.groups.size() > 1 ? k : 0];
    GroupForms& f = bundles[bundle % bundles.size()];
    const std::size_t key = bundle * factors_.size() + k;
    if (f.key == key && (f.has_back || !keep_back || factors_[k].n_cols <= 1)) return f;
    const std::size_t first = bundle * W, n = std::min(W, plan_.grouped().size() - first);
    const PackNoise noise = whitener_.noise_of_groups(plan_.grouped().data() + first, n, ws.group_shat, ws.group_chol);
    f.decompose(factors_[k], noise, scales(k), keep_back, kernels_, ws.scratch, pulse_of(executor_));
    f.key = key;
    if (f.q > 1)
      for (std::size_t i = 0; i < n; ++i) {
        const SharedNoise& group = noise_.shared()[plan_.grouped()[first + i]];
        const double inverse = 1.0 / group.factor.front();
        if (group.one_factor()) f.make_tables(i, inverse * inverse, scales(k), kernels_);
      }
    return f;
  }

  // ---- row-specific ----

  template <typename Question>
  void run_rows(Workspace& ws, Question& question) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    for (std::size_t pack = 0; pack < packs(); ++pack) {
      const double* z = ws.block.pack_z.data() + pack * R * W;
      const double* constant = ws.block.constant + pack * W;
      if (selection_.point_mass) kernels_.rowwise_null(R, z, constant, ws.loglik.data() + pack * W);
      for (std::size_t k = 0; k < factors_.size(); ++k) {
        const bool wanted = question.wants(k);
        if (absorbs_[k]) {
          absorb_pack(k, pack, wanted, ws, [&](const Visit& v) {
            if (wanted) question.visit(v);
          });
        } else {
          const std::size_t q = factors_[k].n_cols, n = scales(k).size();
          ws.row.decompose(factors_[k], whitener_.noise_of(pack, ws.block), z, wanted && q > 1, kernels_,
                           pulse_of(executor_));
          row_loglik(ws.row, q, R, z, constant, n, scales(k).data(), loglik(k, ws) + pack * W, kernels_);
          if (wanted) question.visit(Visit{k, 0, n, pack * W, (pack + 1) * W, Form::row, nullptr, this, &ws});
        }
        if (R >= 32) executor_.checkpoint();  // one block can take long
      }
      question.known(Form::row, pack * W, (pack + 1) * W);
    }
  }

  // A covariance whose diagonal part joins the noise: A = (V + w D) + w F F', scale by scale. O(R q^2) an effect and
  // scale, and nothing of size R^2.
  template <typename Visitor>
  void absorb_pack(std::size_t k, std::size_t pack, bool keep_back, Workspace& ws, Visitor&& visit) const {
    const std::size_t R = noise_.effects().n_conditions, W = kernels_.width;
    const Covariance& U = covariance(k);
    const double* inverse_shat = ws.block.inverse_shat.data() + pack * R * W;
    const double* z = ws.block.pack_z.data() + pack * R * W;
    double* gain = ws.gain.require_size(R * W);
    double* new_shat = ws.absorbed_shat.require_size(R * W);
    double* new_z = ws.absorbed_z.require_size(R * W);
    double* new_constant = ws.absorbed_constant.require_size(W);
    double* out = loglik(k, ws) + pack * W;
    const simd::DiagonalPart part = {U.diagonal.memptr(), gain, inverse_shat, z};
    for (std::size_t l = 0; l < scales(k).size(); ++l) {
      kernels_.rowwise_absorb(R, U.diagonal.memptr(), scales(k)[l], inverse_shat, z, ws.block.constant + pack * W, gain,
                              new_shat, new_z, new_constant);
      ws.row.decompose(U.factor, PackNoise{new_shat, nullptr}, new_z, keep_back, kernels_, pulse_of(executor_));
      row_loglik(ws.row, U.factor.n_cols, R, new_z, new_constant, 1, &scales(k)[l], out + l * simd::lanes, kernels_);
      visit(Visit{k, l, 1, pack * W, (pack + 1) * W, Form::row, &part, this, &ws});
    }
  }

  template <typename Visitor>
  void absorb_packs(std::size_t k, bool keep_back, Workspace& ws, Visitor&& visit) const {
    whitener_.pack(ws.block);
    for (std::size_t pack = 0; pack < packs(); ++pack) absorb_pack(k, pack, keep_back, ws, visit);
    executor_.checkpoint();
  }

  // ---- moments ----

  void moments(const Visit& v, const double* rho, const unsigned char* kept, MomentSum& sum) const {
    Workspace& ws = *v.ws;
    const Covariance& U = covariance(v.k);
    if (v.form == Form::spectral) {
      const std::size_t group = plan_.segments(ws.block.block)[0].group;
      spectral_moments(spectral(group, v.k), U, scales(v.k), kept, ws.block, noise_.shared()[group].observed().size(),
                       rho, ws.spectral[v.k], sum, kernels_, pulse_of(executor_));
    } else if (v.form == Form::row) {
      const arma::mat& F = v.part ? U.factor : factors_[v.k];
      row_moments(ws.row.alpha.data(), ws.row.beta.data(), ws.row.zeta.data(), ws.row.back.data(), F.n_cols, F, U,
                  v.part, v.n, scales(v.k).data() + v.first, rho + v.from, v.from, sum, kernels_, pulse_of(executor_));
    } else {
      grouped_moments(v, U, rho, kept, sum);
    }
  }

  void grouped_moments(const Visit& v, const Covariance& U, const double* rho, const unsigned char* kept,
                       MomentSum& sum) const {
    Workspace& ws = *v.ws;
    const arma::mat& F = factors_[v.k];
    const std::size_t W = kernels_.width, q = F.n_cols;
    if (q <= 1) {
      const GroupProjection& p = ws.projection;
      for (std::size_t lane = 0; lane < simd::lanes; lane += W)
        row_moments(p.alpha.data() + lane, p.beta.data() + lane, p.zeta.data() + lane, nullptr, q, F, U, nullptr, v.n,
                    scales(v.k).data(), rho + lane, lane, sum, kernels_);
      return;
    }
    for (std::size_t l = 0; l < v.n; ++l) {
      if (!kept[l]) continue;
      for (const Segment& s : plan_.segments(ws.block.block)) {
        const std::size_t at = plan_.position(s.group);
        group_moments(forms(v.k, at, true, ws), at % W, noise_.shared()[s.group], l, scales(v.k)[l], s, ws.block,
                      ws.projection, sum, kernels_);
        if (F.n_rows >= 32) executor_.checkpoint();
      }
      kernels_.posterior_full(F.n_rows, U.zero_variance.data(), sum.mean.data(), sum.variance.data(), true,
                              rho + l * simd::lanes, sum.total, sum.at);
    }
  }

  const simd::KernelTable& kernels_;
  Executor& executor_;
  const NoiseModel& noise_;
  const MixturePrior& prior_;
  const Plan& plan_;
  Selection selection_;
  Whitener whitener_;
  std::vector<arma::mat> factors_;
  std::vector<unsigned char> absorbs_, absorbs_shared_;
  std::vector<std::shared_ptr<const Spectral>> spectral_;
};

}  // namespace covmash
