// One run of a plan: what its kernels share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/base/tensor.h"

namespace headrace {

// Ends a step early. Blocking operations register how to wake them.
class Cancellation {
 public:
  bool cancelled() const { return cancelled_.load(std::memory_order_acquire); }
  // Cancelled by whom and why: the error that check() throws.
  void cancel(Code code, std::string why);
  void check() const;  // throws Cancelled, DeadlineExceeded... once cancelled
  // Registers a call to make on cancellation; makes it at once if that has happened. Returns a token to
  // unregister.
  std::int64_t on_cancel(std::function<void()> wake);
  // After this returns, the call is not running and will not run.
  void forget(std::int64_t token);

 private:
  std::atomic<bool> cancelled_{false};
  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::map<std::int64_t, std::function<void()>> calls_;
  std::int64_t next_token_ = 0;
  Code code_ = Code::cancelled;
  std::string why_;
};

class Trace;  // trace.h

struct Step {
  std::int64_t id = 0;
  Cancellation cancellation;
  Trace* trace = nullptr;  // only if the caller asked for one
  // Called now and then on the thread that called run; returns true to interrupt (Ctrl-C). May be empty.
  std::function<bool()> interrupted;
  std::optional<std::chrono::steady_clock::time_point> deadline;

  // Cancels the step if the deadline has passed or the caller was interrupted. Only on the thread that called
  // run.
  void poll();
};

}  // namespace headrace
