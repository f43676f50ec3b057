// Threads that run parts of steps: compute lanes, and threads apart for what may wait.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace headrace {

// Grows to as many threads as there are jobs at once, and keeps them for later. Waiting jobs never hold up
// others.
class ThreadCache {
 public:
  ~ThreadCache();
  void start(std::function<void()> job);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  std::size_t idle_ = 0;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace headrace
