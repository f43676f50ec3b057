// Jobs of one step that wait for each other: each starts when all that it waits for has ended. Those that may
// wait for other steps have threads of their own, so that they hold nobody up.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/thread_cache.h"
#include "core/registry/step.h"

namespace headrace {

class Flow {
 public:
  struct Job {
    std::vector<int> successors;  // who waits for this one
    int predecessors = 0;         // how many it waits for
    bool blocking = false;        // may wait for another step
  };
  struct Options {
    int lanes = 1;  // threads for what does not block, the caller's among them
    // Blocking jobs look after deadline and interruption themselves while they wait: when nothing else is
    // left to do, one of them may have the caller's thread.
    bool jobs_poll = false;
  };

  Flow(std::span<const Job> jobs, ThreadCache& threads, Step& step, Options options);
  virtual ~Flow() = default;
  // Rethrows the first failure, once everything that had started by then has ended.
  void run();

 protected:
  // On any thread, several at a time. The lane is -1 on a thread of its own.
  virtual void execute(int job, int lane) = 0;
  // After the job, before those that wait for it: one at a time.
  virtual void finished(int /*job*/) {}

 private:
  void make_ready(int job);
  void launch(std::function<void()> work);
  bool may_have_the_caller() const;
  void start_blocking();
  void work(int lane);
  void run_one(std::unique_lock<std::mutex>& lock, int lane);
  void finish(int job);
  void try_to_execute(int job, int lane);
  void fail(std::exception_ptr failure);

  const std::span<const Job> jobs_;
  ThreadCache& threads_;
  Step& step_;
  const Options options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> ready_;
  std::vector<int> ready_blocking_;
  std::vector<int> missing_;  // by job: predecessors to come
  int left_;
  int running_ = 0;        // on other threads
  bool stopping_ = false;  // nothing more is started
  std::exception_ptr failure_;
};

}  // namespace headrace
