#include "core/kernels/vector/pool.h"

namespace headrace::HEADRACE_ISA {
namespace {

template <class T>
void keep(std::int64_t n, const T* __restrict x, T* __restrict best) {
  for (std::int64_t i = 0; i < n; ++i) best[i] = x[i] <= best[i] || best[i] != best[i] ? best[i] : x[i];
}

template <class T>
void take(std::int64_t n, const T* __restrict x, const T* __restrict maximum, T* __restrict rest,
          T* __restrict to) {
  for (std::int64_t i = 0; i < n; ++i) {
    const bool here = !(x[i] < maximum[i]);
    to[i] += here ? rest[i] : T(0);
    rest[i] = here ? T(0) : rest[i];
  }
}

}  // namespace

PoolLoops<float> pool_loops(float) { return {keep<float>, take<float>}; }
PoolLoops<double> pool_loops(double) { return {keep<double>, take<double>}; }

}  // namespace headrace::HEADRACE_ISA
