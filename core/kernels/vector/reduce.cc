// Reductions of contiguous rows, and of columns over rows.
//
// A sum keeps many partial sums side by side, so that vectors can add them and rounding errors stay small;
// how they are grouped depends on the length alone, never on threads.
#include "core/kernels/vector/functions.h"
#include "core/kernels/vector/isa.h"

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

template <class T>
struct Limits {  // of integers
  static constexpr T highest = T(-1) > T(0) ? T(-1) : T((std::uint64_t(1) << (8 * sizeof(T) - 1)) - 1);
  static constexpr T lowest = T(-1) > T(0) ? T(0) : T(std::uint64_t(1) << (8 * sizeof(T) - 1));
};
template <>
struct Limits<float> {
  static constexpr float highest = __builtin_inff(), lowest = -__builtin_inff();
};
template <>
struct Limits<double> {
  static constexpr double highest = __builtin_inf(), lowest = -__builtin_inf();
};

// Narrow integers would multiply as int, which may overflow.
template <class T>
INLINE T mul(T x, T y) {
  return x * y;
}
INLINE std::uint16_t mul(std::uint16_t x, std::uint16_t y) { return std::uint16_t(std::uint32_t(x) * y); }

// `of` combines, `take` is what one element counts for.
struct Sum {
  template <class T>
  static constexpr T start = T(0);
  template <class T>
  INLINE static T of(T a, T b) {
    return T(a + b);
  }
  template <class T>
  INLINE static T take(T x) {
    return x;
  }
};
struct SumSquares : Sum {
  template <class T>
  INLINE static T take(T x) {
    return mul(x, x);
  }
};
struct Prod {
  template <class T>
  static constexpr T start = T(1);
  template <class T>
  INLINE static T of(T a, T b) {
    return mul(a, b);
  }
  template <class T>
  INLINE static T take(T x) {
    return x;
  }
};
struct Max {  // of integers
  template <class T>
  static constexpr T start = Limits<T>::lowest;
  template <class T>
  INLINE static T of(T a, T b) {
    return b > a ? b : a;
  }
  template <class T>
  INLINE static T take(T x) {
    return x;
  }
};
struct Min {  // of integers
  template <class T>
  static constexpr T start = Limits<T>::highest;
  template <class T>
  INLINE static T of(T a, T b) {
    return b < a ? b : a;
  }
  template <class T>
  INLINE static T take(T x) {
    return x;
  }
};

// Combines `steps` vectors of `Lanes` elements into the lanes, eight at a time as a tree.
template <int Lanes, class T, class F>
INLINE void accumulate(const T* a, std::int64_t steps, T* lanes) {
  std::int64_t i = 0;
  for (; i + 8 <= steps; i += 8) {
    const T* p = a + i * Lanes;
    for (int j = 0; j < Lanes; ++j) {
      const auto at = [&](int k) { return F::take(p[k * Lanes + j]); };
      lanes[j] = F::of(lanes[j], F::of(F::of(F::of(at(0), at(1)), F::of(at(2), at(3))),
                                       F::of(F::of(at(4), at(5)), F::of(at(6), at(7)))));
    }
  }
  for (; i < steps; ++i) {
    for (int j = 0; j < Lanes; ++j) lanes[j] = F::of(lanes[j], F::take(a[i * Lanes + j]));
  }
}

template <class T, class F>
void row_loop(std::int64_t n, const void* x, void* out) {
  const T* a = static_cast<const T*>(x);
  constexpr int kLanes = 256 / sizeof(T), kFew = 8;
  if (n < 2 * kFew) {
    T even = F::template start<T>, odd = even;
    std::int64_t i = 0;
    for (; i + 2 <= n; i += 2) {
      even = F::of(even, F::take(a[i]));
      odd = F::of(odd, F::take(a[i + 1]));
    }
    if (i < n) even = F::of(even, F::take(a[i]));
    *static_cast<T*>(out) = F::of(even, odd);
    return;
  }
  T few[kFew];  // what kLanes leave over, and short rows
  for (int j = 0; j < kFew; ++j) few[j] = F::template start<T>;
  std::int64_t i = 0;
  if (n >= kLanes) {
    T lanes[kLanes];
    for (int j = 0; j < kLanes; ++j) lanes[j] = F::template start<T>;
    accumulate<kLanes, T, F>(a, n / kLanes, lanes);
    i = n / kLanes * kLanes;
    for (int width = kLanes / 2; width >= kFew; width /= 2) {
      for (int j = 0; j < width; ++j) lanes[j] = F::of(lanes[j], lanes[j + width]);
    }
    for (int j = 0; j < kFew; ++j) few[j] = lanes[j];
  }
  for (; i + kFew <= n; i += kFew) {
    for (int j = 0; j < kFew; ++j) few[j] = F::of(few[j], F::take(a[i + j]));
  }
  for (int j = 0; i < n; ++i, ++j) few[j] = F::of(few[j], F::take(a[i]));
  for (int width = kFew / 2; width > 0; width /= 2) {
    for (int j = 0; j < width; ++j) few[j] = F::of(few[j], few[j + width]);
  }
  *static_cast<T*>(out) = few[0];
}

template <class T, class F>
void columns_loop(std::int64_t rows, std::int64_t width, std::int64_t stride, const void* x, void* out,
                  bool begins) {
  const T* a = static_cast<const T*>(x);
  T* r = static_cast<T*>(out);
  constexpr std::int64_t kTile = 4096 / sizeof(T);
  T sums[kTile];  // of our own, so that the compiler knows that nothing else points there
  for (std::int64_t begin = 0; begin < width; begin += kTile) {
    const std::int64_t count = width - begin < kTile ? width - begin : kTile;
    for (std::int64_t j = 0; j < count; ++j) sums[j] = begins ? F::template start<T> : r[begin + j];
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      const T *p = a + i * stride + begin, *q = p + stride, *s = q + stride, *t = s + stride;
      for (std::int64_t j = 0; j < count; ++j) {
        sums[j] =
            F::of(sums[j], F::of(F::of(F::take(p[j]), F::take(q[j])), F::of(F::take(s[j]), F::take(t[j]))));
      }
    }
    for (; i < rows; ++i) {
      const T* p = a + i * stride + begin;
      for (std::int64_t j = 0; j < count; ++j) sums[j] = F::of(sums[j], F::take(p[j]));
    }
    for (std::int64_t j = 0; j < count; ++j) r[begin + j] = sums[j];
  }
}

// Extremes of floats, NaN if any is: NaN loses every comparison, so that it is noted beside, which keeps both
// loops free of branches.
template <class T>
struct Flag {
  using type = std::int32_t;
};
template <>
struct Flag<double> {
  using type = std::int64_t;
};

template <class T, bool Largest>
INLINE void take_extremes(std::int64_t count, const T* x, T* best, typename Flag<T>::type* nan) {
  using Int = typename Flag<T>::type;
#pragma GCC ivdep
  for (std::int64_t j = 0; j < count; ++j) {
    const bool better = Largest ? x[j] > best[j] : x[j] < best[j];
    best[j] = better ? x[j] : best[j];
    nan[j] |= x[j] != x[j] ? Int(-1) : Int(0);
  }
}

template <class T, bool Largest>
void extreme_row(std::int64_t n, const void* x, void* out) {
  const T* a = static_cast<const T*>(x);
  constexpr int kLanes = 256 / sizeof(T);
  constexpr T kStart = Largest ? Limits<T>::lowest : Limits<T>::highest;
  T result = kStart;
  bool any_nan = false;
  std::int64_t i = 0;
  if (n >= kLanes) {
    T best[kLanes];
    typename Flag<T>::type nan[kLanes];
    for (int j = 0; j < kLanes; ++j) best[j] = kStart, nan[j] = 0;
    for (; i + kLanes <= n; i += kLanes) take_extremes<T, Largest>(kLanes, a + i, best, nan);
    for (int j = 0; j < kLanes; ++j) {
      result = (Largest ? best[j] > result : best[j] < result) ? best[j] : result;
      any_nan |= nan[j] != 0;
    }
  }
  for (; i < n; ++i) {
    result = (Largest ? a[i] > result : a[i] < result) ? a[i] : result;
    any_nan |= a[i] != a[i];
  }
  *static_cast<T*>(out) = any_nan ? T(kNaN) : result;
}

template <class T, bool Largest>
void extreme_columns(std::int64_t rows, std::int64_t width, std::int64_t stride, const void* x, void* out,
                     bool begins) {
  const T* a = static_cast<const T*>(x);
  T* r = static_cast<T*>(out);
  constexpr std::int64_t kTile = 4096 / sizeof(T);
  T best[kTile];
  typename Flag<T>::type nan[kTile];
  for (std::int64_t begin = 0; begin < width; begin += kTile) {
    const std::int64_t count = width - begin < kTile ? width - begin : kTile;
    for (std::int64_t j = 0; j < count; ++j) {
      best[j] = !begins ? r[begin + j] : Largest ? Limits<T>::lowest : Limits<T>::highest;
      nan[j] = best[j] != best[j] ? -1 : 0;
    }
    for (std::int64_t i = 0; i < rows; ++i)
      take_extremes<T, Largest>(count, a + i * stride + begin, best, nan);
    for (std::int64_t j = 0; j < count; ++j) r[begin + j] = nan[j] ? T(kNaN) : best[j];
  }
}

// clang-format off
#define R(OP, DTYPE, T, F) {OP, DType::DTYPE, row_loop<T, F>, columns_loop<T, F>}
#define EXTREME(OP, DTYPE, T, LARGEST) {OP, DType::DTYPE, extreme_row<T, LARGEST>, extreme_columns<T, LARGEST>}
#define FLOATS(OP, F) R(OP, float32, float, F), R(OP, float64, double, F)
#define BITS(OP, F)                                                                                           \
  R(OP, int8, std::uint8_t, F), R(OP, uint8, std::uint8_t, F), R(OP, int16, std::uint16_t, F),                \
  R(OP, uint16, std::uint16_t, F), R(OP, int32, std::uint32_t, F), R(OP, uint32, std::uint32_t, F),           \
  R(OP, int64, std::uint64_t, F), R(OP, uint64, std::uint64_t, F)
#define INTS(OP, F)                                                                                           \
  R(OP, int8, std::int8_t, F), R(OP, uint8, std::uint8_t, F), R(OP, int16, std::int16_t, F),                  \
  R(OP, uint16, std::uint16_t, F), R(OP, int32, std::int32_t, F), R(OP, uint32, std::uint32_t, F),            \
  R(OP, int64, std::int64_t, F), R(OP, uint64, std::uint64_t, F)

constexpr vector::Reduction kReductions[] = {
    FLOATS("sum", Sum), BITS("sum", Sum), FLOATS("prod", Prod), BITS("prod", Prod),
    EXTREME("max", float32, float, true), EXTREME("max", float64, double, true), INTS("max", Max),
    EXTREME("min", float32, float, false), EXTREME("min", float64, double, false), INTS("min", Min),
    FLOATS("sum_squares", SumSquares), BITS("sum_squares", SumSquares),
};
// clang-format on

}  // namespace

vector::Table<vector::Reduction> reductions() {
  return {kReductions, sizeof(kReductions) / sizeof(kReductions[0])};
}

}  // namespace headrace::HEADRACE_ISA
