#pragma once
// The question of the sweep that asks nothing more: log-likelihoods alone, and their J x P matrix.

#include <algorithm>
#include <cstddef>

#include "../base/executor.h"
#include "../sweep/sweep.h"

namespace covmash {

struct LogLikelihoods {
  bool wants(std::size_t) const { return false; }
  void visit(const Sweep::Visit&) {}
  void known(Form, std::size_t, std::size_t) {}
};

// In double, column-major, in the users' order: for other optimisers and for tests. Effects without data have
// log-likelihood 0.
inline void loglik_matrix(const NoiseModel& noise, const MixturePrior& prior, std::size_t block_rows,
                          Executor& executor, double* out) {
  const Selection selection(prior);
  const Plan plan(noise, prior, selection);
  const Sweep sweep(noise, prior, plan, selection, executor);
  const auto& blocks = plan.blocks();
  const std::size_t J = noise.effects().n_effects, per_task = std::max<std::size_t>(block_rows / block_effects, 1);
  std::fill(out, out + J * prior.n_components(), 0.0);
  executor.step("Likelihoods", true);
  executor.run((blocks.size() + per_task - 1) / per_task, sweep.work_per_block() * static_cast<double>(blocks.size()),
               [&](std::size_t task, std::size_t) {
                 Workspace ws;
                 sweep.prepare(ws);
                 const std::size_t end = std::min(blocks.size(), (task + 1) * per_task);
                 for (std::size_t b = task * per_task; b < end; ++b) {
                   sweep.run(blocks[b], ws, LogLikelihoods());
                   executor.checkpoint();
                   std::size_t rows[block_effects];
                   plan.rows(blocks[b], rows);
                   for (std::size_t slot = 0; slot < selection.size(); ++slot)
                     for_each_lane(blocks[b].lanes, [&](std::size_t lane) {
                       out[selection.component[slot] * J + rows[lane]] = ws.loglik[slot * simd::lanes + lane];
                     });
                 }
               });
}

}  // namespace covmash
