#include "core/registry/step.h"

#include "core/registry/ended.h"

namespace headrace {

void Cancellation::cancel(Code code, std::string why) {
  std::unique_lock lock(mutex_);
  if (cancelled()) return;
  code_ = code;
  why_ = std::move(why);
  cancelled_.store(true, std::memory_order_release);
  // A call stays registered while it runs, so that forget() can wait for it.
  while (!calls_.empty()) {
    const auto it = calls_.begin();
    const auto wake = it->second;
    lock.unlock();
    wake();
    lock.lock();
    calls_.erase(it);
    idle_.notify_all();
  }
}

void Cancellation::check() const {
  if (!cancelled()) return;
  std::lock_guard lock(mutex_);
  if (why_ == kAnotherFailed) throw EndedByAnother(code_, why_);
  throw Error(code_, why_);
}

std::int64_t Cancellation::on_cancel(std::function<void()> wake) {
  {
    std::lock_guard lock(mutex_);
    if (!cancelled()) {
      calls_.emplace(++next_token_, std::move(wake));
      return next_token_;
    }
  }
  wake();
  return 0;
}

void Cancellation::forget(std::int64_t token) {
  std::unique_lock lock(mutex_);
  if (!cancelled()) {
    calls_.erase(token);
    return;
  }
  idle_.wait(lock, [&] { return !calls_.contains(token); });
}

void Step::poll() {
  if (deadline && std::chrono::steady_clock::now() > *deadline) {
    cancellation.cancel(Code::deadline_exceeded, "the step ran past its timeout (RunOptions.timeout_in_ms)");
  }
  if (interrupted && interrupted()) cancellation.cancel(Code::cancelled, "the step was interrupted");
}

}  // namespace headrace
