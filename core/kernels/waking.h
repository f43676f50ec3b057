// What lets a waiting operation be waked when its step is cancelled.
#pragma once

#include <condition_variable>
#include <mutex>

#include "core/registry/step.h"

namespace headrace {

// While one of these is alive, cancellation of the step notifies `changed`. To be made and destroyed without
// holding `mutex`: waking takes it, so that no wake is missed between a look at the step and the wait.
class Waking {
 public:
  Waking(Step& step, std::mutex& mutex, std::condition_variable& changed)
      : step_(step), token_(step.cancellation.on_cancel([&mutex, &changed] {
          std::lock_guard lock(mutex);
          changed.notify_all();
        })) {}
  ~Waking() { step_.cancellation.forget(token_); }
  Waking(const Waking&) = delete;
  Waking& operator=(const Waking&) = delete;

 private:
  Step& step_;
  std::int64_t token_;
};

}  // namespace headrace
