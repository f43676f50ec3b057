// Steps that wait at a resource, in order of arrival.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>

#include "core/kernels/waking.h"

namespace headrace {

class Line {
 public:
  // Waits until attempt(first) returns true, where `first` says whether nobody came before; it is called
  // under `mutex`, whenever `changed` is notified. give_up() is, too, if the step is cancelled or the attempt
  // throws.
  template <class Attempt, class GiveUp>
  void wait(Step& step, std::mutex& mutex, std::condition_variable& changed, Attempt attempt,
            GiveUp give_up) {
    const Waking waking(step, mutex, changed);
    std::unique_lock lock(mutex);
    waiting_.push_back(&waking);
    struct Place {
      Line& line;
      std::condition_variable& changed;
      const void* self;
      ~Place() {
        line.waiting_.erase(std::find(line.waiting_.begin(), line.waiting_.end(), self));
        changed.notify_all();
      }
    } const place{*this, changed, &waking};
    try {
      while (true) {
        step.cancellation.check();
        if (attempt(waiting_.front() == &waking)) return;
        changed.wait(lock);
      }
    } catch (...) {
      give_up();
      throw;
    }
  }
  template <class Attempt>
  void wait(Step& step, std::mutex& mutex, std::condition_variable& changed, Attempt attempt) {
    wait(step, mutex, changed, attempt, [] {});
  }

 private:
  std::deque<const void*> waiting_;
};

}  // namespace headrace
