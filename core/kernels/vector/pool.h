// The inner loops of maximum pooling over channels, one for each instruction set (pool.cc is compiled once
// for each).
#pragma once

#include <cstdint>

namespace headrace {

template <class T>
struct PoolLoops {
  // best[i] = max(best[i], x[i]); a NaN stays.
  void (*keep)(std::int64_t n, const T* x, T* best);
  // Where x[i] is the maximum that was found, to[i] takes what is left of the gradient, rest[i].
  void (*take)(std::int64_t n, const T* x, const T* maximum, T* rest, T* to);
};

#define HEADRACE_DECLARE_POOL(ISA)      \
  namespace ISA {                       \
  PoolLoops<float> pool_loops(float);   \
  PoolLoops<double> pool_loops(double); \
  }
HEADRACE_DECLARE_POOL(baseline)
HEADRACE_DECLARE_POOL(avx2)
HEADRACE_DECLARE_POOL(avx512)
#undef HEADRACE_DECLARE_POOL

}  // namespace headrace
