#include "core/plan/flow.h"

#include <string>
#include <utility>

#include "core/registry/ended.h"

namespace headrace {

static constexpr auto kPollInterval = std::chrono::milliseconds(20);

static bool is_ended_by_another(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const EndedByAnother&) {
    return true;
  } catch (...) {
    return false;
  }
}

Flow::Flow(std::span<const Job> jobs, ThreadCache& threads, Step& step, Options options)
    : jobs_(jobs), threads_(threads), step_(step), options_(options), left_(int(jobs.size())) {
  missing_.reserve(jobs.size());
  for (int job = 0; job < left_; ++job) {
    missing_.push_back(jobs[std::size_t(job)].predecessors);
    if (missing_.back() == 0) make_ready(job);
  }
}

void Flow::run() {
  std::unique_lock lock(mutex_);
  for (int lane = 1; lane < options_.lanes; ++lane) launch([this, lane] { work(lane); });
  start_blocking();
  while (left_ > 0 && !stopping_) {
    const auto something = [&] { return !ready_.empty() || may_have_the_caller(); };
    if (!something()) changed_.wait_for(lock, kPollInterval);
    if (something()) run_one(lock, 0);
    lock.unlock();
    step_.poll();
    lock.lock();
    // Whoever is waked by that says at which node; nothing more is started.
    stopping_ = stopping_ || step_.cancellation.cancelled();
  }
  // Those that still run look at this object.
  changed_.notify_all();
  changed_.wait(lock, [&] { return running_ == 0; });
  if (!failure_) {
    if (left_ > 0) step_.cancellation.check();
    return;
  }
  std::rethrow_exception(failure_);
}

// All below but fail and try_to_execute is called under the lock.

void Flow::make_ready(int job) {
  if (jobs_[std::size_t(job)].blocking) {
    ready_blocking_.push_back(job);
  } else {
    ready_.push_back(job);
  }
}

void Flow::launch(std::function<void()> work) {
  ++running_;
  threads_.start([this, work = std::move(work)] {
    work();
    std::lock_guard lock(mutex_);
    --running_;
    changed_.notify_all();
  });
}

// Whether a blocking job is all that is left to do until it has ended.
bool Flow::may_have_the_caller() const {
  return options_.jobs_poll && ready_blocking_.size() == 1 && ready_.empty() && running_ == 0;
}

void Flow::start_blocking() {
  if (may_have_the_caller()) return;
  for (int job : std::exchange(ready_blocking_, {})) {
    launch([this, job] {
      try_to_execute(job, -1);
      std::lock_guard lock(mutex_);
      if (!stopping_) finish(job);
    });
  }
}

void Flow::work(int lane) {
  std::unique_lock lock(mutex_);
  while (left_ > 0 && !stopping_) {
    if (ready_.empty()) {
      changed_.wait(lock);
    } else {
      run_one(lock, lane);
    }
  }
}

void Flow::run_one(std::unique_lock<std::mutex>& lock, int lane) {
  int job = 0;
  if (ready_.empty()) {
    job = ready_blocking_.back();
    ready_blocking_.pop_back();
  } else {
    job = ready_.front();
    ready_.pop_front();
  }
  lock.unlock();
  try_to_execute(job, lane);
  lock.lock();
  if (!stopping_) finish(job);
}

void Flow::finish(int job) {
  --left_;
  finished(job);
  for (int next : jobs_[std::size_t(job)].successors) {
    if (--missing_[std::size_t(next)] == 0) make_ready(next);
  }
  start_blocking();
  changed_.notify_all();
}

void Flow::try_to_execute(int job, int lane) {
  try {
    execute(job, lane);
  } catch (...) {
    fail(std::current_exception());
  }
}

// The first failure counts that is not only the end of an operation because of another part's failure. The
// others are waked so that they end too.
void Flow::fail(std::exception_ptr failure) {
  {
    std::lock_guard lock(mutex_);
    if (failure_ && !(is_ended_by_another(failure_) && !is_ended_by_another(failure))) return;
    failure_ = failure;
    stopping_ = true;
  }
  step_.cancellation.cancel(Code::cancelled, std::string(kAnotherFailed));
  changed_.notify_all();
}

}  // namespace headrace
