#include <covmash/base/executor.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <covmash/base/error.h>

using namespace covmash;

namespace {

constexpr double plenty = 1e9;

struct StopAtOnce : Progress {
  void check(double) override { throw interrupted(); }
};

struct Recorder : Progress {
  std::vector<std::string> steps;
  std::vector<double> fractions;
  void step(const char* name) override { steps.push_back(name); }
  void check(double fraction) override { fractions.push_back(fraction); }
};

void sleep_one_millisecond() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

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
                                sleep_one_millisecond();
                              }),
                 interrupted);
    EXPECT_LT(done, 2000);
  }
}

TEST(Executor, ReportsHowMuchOfAStepIsDone) {
  for (std::size_t threads : {1, 2}) {
    Recorder progress;
    ThreadExecutor executor(threads, &progress);
    executor.step("counted", true);
    executor.run(500, plenty, [](std::size_t, std::size_t) { sleep_one_millisecond(); });
    ASSERT_FALSE(progress.fractions.empty());
    for (std::size_t i = 0; i < progress.fractions.size(); ++i) {
      EXPECT_GT(progress.fractions[i], i == 0 ? 0.0 : progress.fractions[i - 1]);
      EXPECT_LE(progress.fractions[i], 1.0);
    }
    progress.fractions.clear();
    executor.step("not counted", false);
    executor.run(300, plenty, [](std::size_t, std::size_t) { sleep_one_millisecond(); });
    ASSERT_FALSE(progress.fractions.empty());
    for (double fraction : progress.fractions) EXPECT_TRUE(std::isnan(fraction));
    EXPECT_EQ(progress.steps, (std::vector<std::string>{"counted", "not counted"}));
  }
}

// One task that runs for long listens too, in a thread as well as without.
TEST(Executor, StopsInsideATask) {
  StopAtOnce progress;
  for (std::size_t threads : {1, 2}) {
    ThreadExecutor executor(threads, &progress);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_THROW(executor.run(2, plenty,
                              [&](std::size_t, std::size_t) {
                                for (int i = 0; i < 5000; ++i) {
                                  sleep_one_millisecond();
                                  executor.checkpoint();
                                }
                              }),
                 interrupted);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  }
}

TEST(Executor, StartsNoMoreThreadsThanMakeSense) {
  ThreadExecutor executor(100000);
  EXPECT_EQ(executor.workers(), ThreadExecutor::most_threads());
  EXPECT_GE(executor.workers(), 16u);
  std::vector<std::thread::id> ids(4);
  executor.run(ids.size(), plenty, [&](std::size_t i, std::size_t w) {
    EXPECT_LT(w, ids.size());  // as many as there are tasks
    ids[i] = std::this_thread::get_id();
  });
  for (auto id : ids) EXPECT_NE(id, std::this_thread::get_id());
}

// The caller may have begun to act on it: it must not get lost behind what a task throws at the same time.
TEST(Executor, WhatTheProgressThrowsGoesFirst) {
  struct Refusing : Progress {
    void check(double) override { throw std::string("refused"); }
  } progress;
  for (double work : {5e7, plenty}) {  // the calling thread works, or waits
    ThreadExecutor executor(2, &progress);
    EXPECT_THROW(executor.run(1000, work,
                              [&](std::size_t, std::size_t) {
                                sleep_one_millisecond();
                                try {
                                  executor.checkpoint();
                                } catch (const interrupted&) {
                                  throw numeric_error("stopped in the middle");
                                }
                              }),
                 std::string);
    std::atomic<int> done{0};  // and the next run is as any other
    executor.run(3, plenty, [&](std::size_t, std::size_t) { ++done; });
    EXPECT_EQ(done, 3);
  }
}

TEST(Executor, CountsIterations) {
  struct Counter : Progress {
    std::vector<std::size_t> seen;
    void iteration(std::size_t n) override { seen.push_back(n); }
  } progress;
  SerialExecutor serial(&progress);
  ThreadExecutor threads(2, &progress);
  serial.iteration(1);
  threads.iteration(2);
  InnerExecutor(&serial).iteration(3);
  EXPECT_EQ(progress.seen, (std::vector<std::size_t>{1, 2}));
}

TEST(Executor, WorkInsideATaskListensAsTheTask) {
  struct Counting : SerialExecutor {
    int calls = 0;
    void checkpoint() override { ++calls; }
  } outer;
  InnerExecutor inner(&outer);
  int done = 0;
  inner.run(5, plenty, [&](std::size_t, std::size_t w) { done += w == 0; });
  EXPECT_EQ(done, 5);
  EXPECT_EQ(outer.calls, 5);
  pulse_of(outer)();
  EXPECT_EQ(outer.calls, 6);
  InnerExecutor(nullptr).checkpoint();
  checkpoint(nullptr);
  Pulse()();
}
