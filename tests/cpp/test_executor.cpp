#include <covmash/executor.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include <covmash/error.h>

using namespace covmash;

namespace {

constexpr double plenty = 1e9;

struct StopAtOnce : Progress {
  void check() override { throw interrupted(); }
};

}  // namespace

TEST(Executor, RunsEveryTaskOnce) {
  for (std::size_t threads : {1, 2, 3, 7}) {
    ThreadExecutor executor(threads);
    std::vector<int> seen(1000, 0);
    std::vector<std::size_t> worker(1000, 99);
    executor.run(seen.size(), plenty, [&](std::size_t i, std::size_t w) {
      ++seen[i];
      worker[i] = w;
    });
    for (int n : seen) EXPECT_EQ(n, 1);
    for (std::size_t w : worker) EXPECT_LT(w, executor.workers());
  }
}

TEST(Executor, RunsNothing) {
  ThreadExecutor executor(3);
  executor.run(0, plenty, [](std::size_t, std::size_t) { FAIL(); });
}

TEST(Executor, CarriesExceptionsOut) {
  ThreadExecutor executor(2);
  EXPECT_THROW(executor.run(100, plenty,
                            [](std::size_t i, std::size_t) {
                              if (i == 50) throw numeric_error("row 51");
                            }),
               numeric_error);
}

TEST(Executor, StopsWhenAsked) {
  StopAtOnce progress;
  for (std::size_t threads : {1, 2}) {
    ThreadExecutor executor(threads, &progress);
    std::atomic<int> done{0};
    EXPECT_THROW(executor.run(10000, plenty,
                              [&](std::size_t, std::size_t) {
                                ++done;
                                std::this_thread::sleep_for(std::chrono::milliseconds(1));
                              }),
                 interrupted);
    EXPECT_LT(done, 2000);
  }
}
