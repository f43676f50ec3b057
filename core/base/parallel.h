// Data-parallel loops on the OpenMP runtime that oneDNN uses too, so that the two never compete for the
// cores.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace headrace {

// A borrowed callable: cheaper than std::function, valid only during the call that it is passed to.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef>) FunctionRef(F&& f)
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(args...);
        }) {}
  R operator()(Args... args) const { return call_(object_, args...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

// The number of threads that parallel_for and oneDNN use on the calling thread's behalf: the last
// set_num_threads on this thread, else HEADRACE_NUM_THREADS, else the number of cores.
int num_threads();
void set_num_threads(int threads);

// Calls body(begin, end) for ranges that cover [0, count), on several threads if the work is worth it.
// `cost` is about how many nanoseconds one item takes; ranges are whole multiples of nothing in particular.
// The first exception that a body throws is rethrown here after the others end.
void parallel_for(std::int64_t count, double cost, FunctionRef<void(std::int64_t, std::int64_t)> body);

}  // namespace headrace
