#include <covmash/base/executor.h>
#include <covmash/base/pulse.h>
#include <covmash/simd/dispatch.h>
#include <gtest/gtest.h>

#include <vector>

using namespace covmash;

namespace {

struct Stopping : SerialExecutor {
  int calls = 0, allowed = 3;
  void checkpoint() override {
    if (++calls > allowed) throw interrupted();
  }
};

}  // namespace

// Loops over matrices that take long can be left in the middle; those over small ones do not listen.
TEST(Pulse, LargeLoopsListen) {
  const auto& k = simd::kernels();
  for (std::size_t m : {8, 160}) {
    std::vector<double> A(m * (m + 1) / 2 * k.width, 0.0), log_det(k.width);
    for (std::size_t r = 0; r < m; ++r)
      for (std::size_t lane = 0; lane < k.width; ++lane) A[(r * (r + 1) / 2 + r) * k.width + lane] = 4.0;
    Stopping listener;
    if (m == 8) {
      k.pack_cholesky(m, A.data(), log_det.data(), pulse_of(listener));
      EXPECT_EQ(listener.calls, 0);
    } else {
      EXPECT_THROW(k.pack_cholesky(m, A.data(), log_det.data(), pulse_of(listener)), interrupted);
    }

    const std::size_t W = k.width;
    std::vector<double> F(m * m, 0.0), shat(m * W, 1.0), z(m * W, 1.0), work((m * m + 4 * m) * W), alpha(m * W),
        beta(m * W), zeta(W), back(m * m * W);
    for (std::size_t r = 0; r < m; ++r) F[r * m + r] = 1.0 + static_cast<double>(r);
    Stopping other;
    const auto decompose = [&] {
      k.rowwise_decompose(m, m, F.data(), shat.data(), nullptr, z.data(), work.data(), alpha.data(), beta.data(),
                          zeta.data(), back.data(), pulse_of(other));
    };
    if (m == 8) {
      decompose();
      EXPECT_EQ(other.calls, 0);
    } else {
      EXPECT_THROW(decompose(), interrupted);
    }
  }
}
