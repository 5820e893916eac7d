#pragma once
// How work reaches threads. An algorithm cuts its work into tasks whose number and content do not depend on the
// threads; every task writes its own output; sums are added in the order of the tasks. So results have the same bits
// for any number of threads. Threads are made by the first run that has work for them, and joined when their executor
// goes, at the end of the call that made it: nothing survives that a fork could inherit.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <limits>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "error.h"
#include "pulse.h"

namespace covmash {

// Hears from running work, always on the thread that called it.
class Progress {
 public:
  virtual ~Progress() = default;
  // A new step of the computation begins.
  virtual void step(const char* /*name*/) {}
  // Its n-th iteration begins, counted from 1.
  virtual void iteration(std::size_t /*n*/) {}
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
  // In a step that repeats the same until it has converged: the n-th time begins.
  virtual void iteration(std::size_t n) = 0;
};

// The executor's checkpoint(), for whom may have none.
inline void checkpoint(Executor* executor) {
  if (executor) executor->checkpoint();
}

inline Pulse pulse_of(Executor& executor) {
  return {[](void* listener) { static_cast<Executor*>(listener)->checkpoint(); }, &executor};
}

// For work inside a task: it stays in the thread of the task, and listens as the task does.
class InnerExecutor : public Executor {
 public:
  explicit InnerExecutor(Executor* outer) : outer_(outer) {}
  std::size_t workers() const override { return 1; }
  void run(std::size_t n_tasks, double /*work*/, const Task& task) override {
    for (std::size_t i = 0; i < n_tasks; ++i) {
      task(i, 0);
      checkpoint();
    }
  }
  void checkpoint() override { covmash::checkpoint(outer_); }
  void step(const char*, bool) override {}
  void iteration(std::size_t) override {}

 private:
  Executor* outer_;
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
  void iteration(std::size_t n) override {
    if (progress_) progress_->iteration(n);
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
  explicit ThreadExecutor(std::size_t threads, Progress* progress = nullptr)
      : threads_(std::min(std::max<std::size_t>(threads, 1), most_threads())), progress_(progress), serial_(progress) {}
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;
  ~ThreadExecutor() override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      quit_ = true;
    }
    begin_.notify_all();
    for (auto& t : pool_) t.join();
  }

  // No more threads than this are ever started: beyond a few for each processor they only cost memory.
  static std::size_t most_threads() {
    static const std::size_t most = std::max<std::size_t>(16, 4 * std::size_t(std::thread::hardware_concurrency()));
    return most;
  }

  std::size_t workers() const override { return threads_; }

  void run(std::size_t n_tasks, double work, const Task& task) override {
    std::size_t n = std::min(threads_, n_tasks);
    // In short runs the calling thread is one of the workers: one thread less to wake.
    const std::size_t own = work < listens_from ? 1 : 0;
    if (n > 1 && work >= serial_below) n = std::min(n, grow(n - own) + own);
    if (n <= 1 || work < serial_below) {
      serial_.run(n_tasks, work, task);
      return;
    }
    stop_ = false;
    next_ = 0;
    caller_ = std::this_thread::get_id();
    in_threads_ = true;
    refused_ = nullptr;
    std::unique_lock<std::mutex> lock(mutex_);
    error_ = nullptr;
    task_ = &task;
    n_tasks_ = n_tasks;
    first_worker_ = own;
    wanted_ = running_ = n - own;
    ++round_;
    lock.unlock();
    begin_.notify_all();
    if (own == 1) work_on(task, n_tasks, 0);
    lock.lock();
    // In long runs the calling thread waits and listens; it does no work, so that it can answer an interrupt at once.
    while (running_ > 0) {
      finished_.wait_for(lock, std::chrono::milliseconds(100));
      if (!progress_ || running_ == 0 || stop_) continue;
      lock.unlock();
      try {
        const double done = static_cast<double>(std::min<std::size_t>(next_, n_tasks));
        progress_->check(one_run_ ? done / static_cast<double>(n_tasks) : std::numeric_limits<double>::quiet_NaN());
      } catch (...) {
        refused_ = std::current_exception();
        stop_ = true;
      }
      lock.lock();
    }
    lock.unlock();
    task_ = nullptr;
    in_threads_ = false;
    // What the Progress threw goes first: the caller may have begun to act on it.
    if (refused_) std::rethrow_exception(std::exchange(refused_, nullptr));
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  // In a thread: gives up when the others have. Otherwise asks the caller's Progress.
  void checkpoint() override {
    if (in_threads_ && stop_) throw interrupted();
    if (!in_threads_) return serial_.checkpoint();
    if (std::this_thread::get_id() != caller_) return;
    try {
      serial_.checkpoint();
    } catch (...) {
      refused_ = std::current_exception();
      throw;
    }
  }
  void step(const char* name, bool one_run) override {
    one_run_ = one_run;
    serial_.step(name, one_run);
  }
  void iteration(std::size_t n) override { serial_.iteration(n); }

 private:
  static constexpr double serial_below = 4e7;  // some 5 ms: on virtual processors waking threads can cost a good part of one
  static constexpr double listens_from = 1e8;  // some 20 ms

  // At least n threads, if they can be had; returns how many there are.
  std::size_t grow(std::size_t n) {
    while (pool_.size() < n) {
      try {
        pool_.emplace_back([this, worker = pool_.size()] { serve(worker); });
      } catch (const std::system_error&) {  // no thread to be had
        break;
      } catch (const std::bad_alloc&) {  // nor memory for one
        break;
      }
    }
    return pool_.size();
  }

  // What a thread does from its beginning to its end.
  void serve(std::size_t worker) {
    std::size_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      begin_.wait(lock, [&] { return quit_ || round_ != seen; });
      if (quit_) return;
      seen = round_;
      if (worker >= wanted_) continue;
      const Task& task = *task_;
      const std::size_t n_tasks = n_tasks_, own = worker + first_worker_;
      lock.unlock();
      work_on(task, n_tasks, own);
      lock.lock();
      if (--running_ == 0) finished_.notify_one();
    }
  }

  void work_on(const Task& task, std::size_t n_tasks, std::size_t worker) {
    try {
      for (std::size_t i; !stop_ && (i = next_++) < n_tasks;) task(i, worker);
    } catch (...) {
      std::lock_guard<std::mutex> lock(mutex_);
      if (!error_) error_ = std::current_exception();  // before the others hear of it and give up
      stop_ = true;
    }
  }

  std::size_t threads_;
  Progress* progress_;
  SerialExecutor serial_;
  bool one_run_ = false;
  std::atomic<bool> stop_{false}, in_threads_{false};
  std::atomic<std::size_t> next_{0};
  std::thread::id caller_;
  std::exception_ptr refused_;  // what the Progress threw; of the calling thread
  // under the mutex
  std::mutex mutex_;
  std::condition_variable begin_, finished_;
  std::size_t round_ = 0, wanted_ = 0, first_worker_ = 0, running_ = 0, n_tasks_ = 0;
  const Task* task_ = nullptr;
  std::exception_ptr error_;
  bool quit_ = false;
  std::vector<std::thread> pool_;  // last: the threads use what is above
};

}  // namespace covmash
