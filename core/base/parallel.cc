#include "core/base/parallel.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#ifdef __SANITIZE_THREAD__
#include <thread>
#include <vector>
#endif

namespace headrace {
namespace {

// Starting and joining a team costs a few microseconds; less work than this per thread is not worth it.
constexpr double kWorthOneThread = 12'000;  // ns

int default_threads() {
  static const int threads = [] {
    const char* text = std::getenv("HEADRACE_NUM_THREADS");
    const int asked = text ? std::atoi(text) : 0;
    return asked > 0 ? asked : omp_get_max_threads();
  }();
  return threads;
}

// Whether this thread is one of a team's, and what they do together: OpenMP's, but where ThreadSanitizer
// watches. It cannot see OpenMP's barriers, which are not compiled with it, and would take every loop for a
// race. Plain threads do the same work there, and oneDNN, which is not compiled with it either, has one
// thread.
#ifdef __SANITIZE_THREAD__
thread_local int own_threads = 0;
thread_local bool inside = false;

bool in_team() { return inside; }

template <class Work>
void run_team(int threads, const Work& work) {
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i) {
    team.emplace_back([&] {
      inside = true;
      work();
    });
  }
  for (std::thread& one : team) one.join();
}
#else
bool in_team() { return omp_in_parallel(); }

template <class Work>
void run_team(int threads, const Work& work) {
#pragma omp parallel num_threads(threads)
  work();
}
#endif

}  // namespace

#ifdef __SANITIZE_THREAD__
int num_threads() {
  if (own_threads == 0) set_num_threads(default_threads());
  return own_threads;
}

void set_num_threads(int threads) {
  omp_set_num_threads(1);
  own_threads = std::max(1, threads);
}
#else
int num_threads() {
  // OpenMP's own setting is per calling thread too, so the two are kept as one.
  thread_local const bool initialised = (omp_set_num_threads(default_threads()), true);
  return initialised ? omp_get_max_threads() : 1;
}

void set_num_threads(int threads) {
  num_threads();
  omp_set_num_threads(std::max(1, threads));
}
#endif

void parallel_for(std::int64_t count, double cost, FunctionRef<void(std::int64_t, std::int64_t)> body) {
  if (count <= 0) return;
  const auto worth = std::int64_t(double(count) * cost / kWorthOneThread);
  const auto threads = int(std::min({std::int64_t(num_threads()), worth, count}));
  if (threads <= 1 || in_team()) return body(0, count);

  // A few chunks a thread, taken as threads come free: a core that is busy elsewhere delays one chunk only.
  const std::int64_t chunks = std::min<std::int64_t>(count, std::int64_t(threads) * 4);
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr failure;
  run_team(threads, [&] {
    for (std::int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
      try {
        body(count * i / chunks, count * (i + 1) / chunks);
      } catch (...) {
        if (!failed.exchange(true)) failure = std::current_exception();
        next.store(chunks, std::memory_order_relaxed);
      }
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace headrace
