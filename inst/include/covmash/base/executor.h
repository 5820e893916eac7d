#pragma once
// How work reaches threads. An algorithm cuts its work into tasks whose number and content do not depend on the
// threads; every task writes its own output; sums are added in the order of the tasks. So results have the same bits
// for any number of threads. Threads are made and joined inside one call: nothing survives that a fork could inherit.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "error.h"

namespace covmash {

// Hears from running work, always on the thread that called it.
class Progress {
 public:
  virtual ~Progress() = default;
  // A new step of the computation begins.
  virtual void step(const char* /*name*/) {}
  // Every 100 ms or so. fraction: the part of the step that is done, NaN if nobody knows. May throw to stop the work.
  virtual void check(double /*fraction*/) {}
};

class Executor {
 public:
  using Task = std::function<void(std::size_t task, std::size_t worker)>;
  virtual ~Executor() = default;
  virtual std::size_t workers() const = 0;
  // Runs task(i, worker) for i in [0, n_tasks), worker in [0, workers()). `work` is a rough count of floating-point
  // operations: small work is not worth a thread.
  virtual void run(std::size_t n_tasks, double work, const Task& task) = 0;
  // Called by long tasks, about every 100 microseconds, and by long work between runs: lets an interrupt through. May
  // throw.
  virtual void checkpoint() = 0;
  // Tells the Progress what the following runs are for; one_run: there will be a single one, whose tasks can be
  // counted.
  virtual void step(const char* name, bool one_run) = 0;
};

class SerialExecutor : public Executor {
 public:
  explicit SerialExecutor(Progress* progress = nullptr) : progress_(progress) {}
  std::size_t workers() const override { return 1; }
  void run(std::size_t n_tasks, double /*work*/, const Task& task) override {
    for (std::size_t i = 0; i < n_tasks; ++i) {
      fraction_ = one_run_ ? static_cast<double>(i) / static_cast<double>(n_tasks) : unknown;
      task(i, 0);
      checkpoint();
    }
    fraction_ = unknown;
  }
  void checkpoint() override {
    if (!progress_) return;
    const auto now = Clock::now();
    if (now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    progress_->check(fraction_);
  }
  void step(const char* name, bool one_run) override {
    one_run_ = one_run;
    if (progress_) progress_->step(name);
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
  Progress* progress_;
  bool one_run_ = false;
  double fraction_ = unknown;
  Clock::time_point last_ = Clock::now();
};

class ThreadExecutor : public Executor {
 public:
  ThreadExecutor(std::size_t threads, Progress* progress = nullptr)
      : threads_(std::max<std::size_t>(threads, 1)), progress_(progress), serial_(progress) {}
  std::size_t workers() const override { return threads_; }

  void run(std::size_t n_tasks, double work, const Task& task) override {
    const std::size_t n = std::min(threads_, n_tasks);
    if (n <= 1 || work < serial_below) {
      serial_.run(n_tasks, work, task);
      return;
    }
    std::atomic<std::size_t> next{0};
    stop_ = false;
    std::exception_ptr error;
    std::mutex mutex;
    std::condition_variable finished;
    std::size_t running = 0;

    auto loop = [&](std::size_t worker) {
      try {
        for (std::size_t i; !stop_ && (i = next++) < n_tasks;) task(i, worker);
      } catch (...) {
        std::lock_guard<std::mutex> lock(mutex);
        if (!error) error = std::current_exception();
        stop_ = true;
      }
      std::lock_guard<std::mutex> lock(mutex);
      --running;
      finished.notify_one();
    };

    std::vector<std::thread> pool;
    struct Joiner {
      std::vector<std::thread>& pool;
      ThreadExecutor& owner;
      ~Joiner() {
        owner.stop_ = true;
        for (auto& t : pool) t.join();
        owner.in_threads_ = false;
      }
    };
    {
      Joiner joiner{pool, *this};
      in_threads_ = true;
      {
        std::lock_guard<std::mutex> lock(mutex);
        running = n;
      }
      for (std::size_t worker = 0; worker < n; ++worker) {
        try {
          pool.emplace_back(loop, worker);
        } catch (const std::system_error&) {  // no thread to be had: this one does the work
          if (worker == 0) {
            loop(0);
          } else {
            std::lock_guard<std::mutex> lock(mutex);
            --running;
          }
        }
      }
      // The calling thread waits and listens; it does no work, so that it can answer an interrupt at once.
      std::unique_lock<std::mutex> lock(mutex);
      while (running > 0) {
        finished.wait_for(lock, std::chrono::milliseconds(100));
        if (progress_ && running > 0) {
          lock.unlock();
          const double done = static_cast<double>(std::min<std::size_t>(next, n_tasks));
          progress_->check(one_run_ ? done / static_cast<double>(n_tasks) : std::numeric_limits<double>::quiet_NaN());
          lock.lock();
        }
      }
    }
    if (error) std::rethrow_exception(error);
  }

  // In a thread: gives up when the others have. Otherwise asks the caller's Progress.
  void checkpoint() override {
    if (in_threads_) {
      if (stop_) throw interrupted();
    } else {
      serial_.checkpoint();
    }
  }
  void step(const char* name, bool one_run) override {
    one_run_ = one_run;
    serial_.step(name, one_run);
  }

 private:
  static constexpr double serial_below = 5e6;  // starting threads costs about 50 microseconds
  std::size_t threads_;
  Progress* progress_;
  SerialExecutor serial_;
  bool one_run_ = false;
  std::atomic<bool> stop_{false}, in_threads_{false};
};

}  // namespace covmash
