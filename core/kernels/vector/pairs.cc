// Two simple operations in one loop: second(first(a, b), c), rounded in between as they are in two loops
// (this file is compiled without contraction to fused operations).
#include "core/kernels/vector/isa.h"

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

using vector::Simple;

template <Simple op, class T>
inline T apply(T x, T y) {
  if constexpr (op == Simple::add) return x + y;
  if constexpr (op == Simple::sub) return x - y;
  if constexpr (op == Simple::sub_from) return y - x;
  if constexpr (op == Simple::mul) return x * y;
}

template <class T, Simple first, Simple second, bool one_b, bool one_c>
void pair_loop(std::int64_t n, const void* x, const void* y, const void* z, void* out) {
  const T *a = static_cast<const T*>(x), *b = static_cast<const T*>(y), *c = static_cast<const T*>(z);
  T* r = static_cast<T*>(out);
  const T b0 = *b, c0 = *c;
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) {
    r[i] = apply<second>(apply<first>(a[i], one_b ? b0 : b[i]), one_c ? c0 : c[i]);
  }
}

template <class T, Simple first, Simple second>
vector::Ternary with_scalars(bool one_b, bool one_c) {
  constexpr vector::Ternary loops[] = {
      pair_loop<T, first, second, false, false>, pair_loop<T, first, second, false, true>,
      pair_loop<T, first, second, true, false>, pair_loop<T, first, second, true, true>};
  return loops[2 * int(one_b) + int(one_c)];
}

// Calls f.operator()<op>().
template <class F>
vector::Ternary with_op(Simple op, F&& f) {
  switch (op) {
    case Simple::add:
      return f.template operator()<Simple::add>();
    case Simple::sub:
      return f.template operator()<Simple::sub>();
    case Simple::sub_from:
      return f.template operator()<Simple::sub_from>();
    case Simple::mul:
      return f.template operator()<Simple::mul>();
  }
  return nullptr;
}

}  // namespace

vector::Ternary pair_of(Simple first, bool one_b, Simple second, bool one_c, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::float64) return nullptr;
  return with_op(first, [&]<Simple f>() {
    return with_op(second, [&]<Simple s>() {
      return dtype == DType::float32 ? with_scalars<float, f, s>(one_b, one_c)
                                     : with_scalars<double, f, s>(one_b, one_c);
    });
  });
}

}  // namespace headrace::HEADRACE_ISA
