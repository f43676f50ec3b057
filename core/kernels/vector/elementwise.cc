// The elementwise loops and their table.
#include "core/kernels/vector/functions.h"
#ifdef HEADRACE_ISA_avx512
#include "core/kernels/vector/lanes.h"
#endif
#include "core/kernels/vector/isa.h"

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

using vector::Binary;
using vector::Entry;
using vector::Ternary;
using vector::Unary;
using vector::WithScalar;

// In place, x and y are one array; ivdep says that nothing else overlaps, so no run-time check forbids
// vectors.
template <class T, class R, class F>
void unary_loop(std::int64_t n, const void* x, void* y) {
  const T* a = static_cast<const T*>(x);
  R* r = static_cast<R*>(y);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = F::of(a[i]);
}
template <class T, class R, class F>
void binary_loop(std::int64_t n, const void* x, const void* y, void* z) {
  const T *a = static_cast<const T*>(x), *b = static_cast<const T*>(y);
  R* r = static_cast<R*>(z);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = F::of(a[i], b[i]);
}
// With a single element for x, or for y.
template <class T, class F>
void left_scalar_loop(std::int64_t n, const void* x, const void* y, void* z) {
  const T a = *static_cast<const T*>(x);
  const T* b = static_cast<const T*>(y);
  T* r = static_cast<T*>(z);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = F::of(a, b[i]);
}
template <class T, class F>
void right_scalar_loop(std::int64_t n, const void* x, const void* y, void* z) {
  const T* a = static_cast<const T*>(x);
  const T b = *static_cast<const T*>(y);
  T* r = static_cast<T*>(z);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = F::of(a[i], b);
}
template <class A, class T, class F>
void ternary_loop(std::int64_t n, const void* x, const void* y, const void* z, void* out) {
  const A* a = static_cast<const A*>(x);
  const T *b = static_cast<const T*>(y), *c = static_cast<const T*>(z);
  T* r = static_cast<T*>(out);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = F::of(a[i], b[i], c[i]);
}

// Of functions that may be had for several elements at once.
#ifdef HEADRACE_ISA_avx512
template <class F>
void function_loop(std::int64_t n, const void* x, void* y) {
  const auto* a = static_cast<const float*>(x);
  auto* r = static_cast<float*>(y);
  for (; n >= kLanes; n -= kLanes, a += kLanes, r += kLanes) _mm512_storeu_ps(r, F::of(_mm512_loadu_ps(a)));
  const auto rest = __mmask16((1u << n) - 1);
  if (n > 0) _mm512_mask_storeu_ps(r, rest, F::of(_mm512_maskz_loadu_ps(rest, a)));
}
#else
template <class F>
void function_loop(std::int64_t n, const void* x, void* y) {
  unary_loop<float, float, F>(n, x, y);
}
#endif

// Large angles go to the C library, a block at a time, so that the vector loop has no branch.
template <class F, float (*Exact)(float)>
void angle_loop(std::int64_t n, const void* x, void* y) {
  const float* a = static_cast<const float*>(x);
  float* r = static_cast<float*>(y);
  constexpr std::int64_t kBlock = 256;
  float kept[kBlock];
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t count = n - begin < kBlock ? n - begin : kBlock;
    int large = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      kept[i] = a[begin + i];
      large |= abs_of(kept[i]) > kMaxAngle;
    }
    for (std::int64_t i = 0; i < count; ++i) r[begin + i] = F::of(kept[i]);
    if (!large) continue;
    for (std::int64_t i = 0; i < count; ++i) {
      if (abs_of(kept[i]) > kMaxAngle) r[begin + i] = Exact(kept[i]);
    }
  }
}
float exact_sin(float x) { return __builtin_sinf(x); }
float exact_cos(float x) { return __builtin_cosf(x); }
float exact_tan(float x) { return __builtin_tanf(x); }

#define UNARY(NAME, EXPRESSION)  \
  struct NAME {                  \
    template <class T>           \
    INLINE static auto of(T x) { \
      return EXPRESSION;         \
    }                            \
  };
#define BINARY(NAME, EXPRESSION)      \
  struct NAME {                       \
    template <class T>                \
    INLINE static auto of(T x, T y) { \
      return EXPRESSION;              \
    }                                 \
  };

// The same names for both precisions.
INLINE float exp_(float x) { return exp_of(x); }
INLINE float expm1_(float x) { return expm1_of(x); }
INLINE float log_(float x) { return log_of(x); }
INLINE float log1p_(float x) { return log1p_of(x); }
INLINE float tanh_(float x) { return tanh_of(x); }
INLINE float sigmoid_(float x) { return sigmoid_of(x); }
INLINE float softplus_(float x) { return softplus_of(x); }
INLINE float erf_(float x) { return erf_of(x); }
INLINE float pow_(float x, float y) { return pow_of(x, y); }
INLINE float abs_(float x) { return abs_of(x); }
INLINE float sqrt_(float x) { return __builtin_sqrtf(x); }
INLINE float floor_(float x) { return floor_of(x); }
INLINE float ceil_(float x) { return ceil_of(x); }
INLINE float round_(float x) { return round_even(x); }
#ifdef HEADRACE_ISA_avx512
INLINE Lanes exp_(Lanes x) { return exp_of(x); }
INLINE Lanes tanh_(Lanes x) { return tanh_of(x); }
INLINE Lanes sigmoid_(Lanes x) { return sigmoid_of(x); }
#endif
INLINE double exp_(double x) { return __builtin_exp(x); }
INLINE double expm1_(double x) { return __builtin_expm1(x); }
INLINE double log_(double x) { return __builtin_log(x); }
INLINE double log1p_(double x) { return __builtin_log1p(x); }
INLINE double tanh_(double x) { return __builtin_tanh(x); }
INLINE double erf_(double x) { return __builtin_erf(x); }
INLINE double pow_(double x, double y) { return __builtin_pow(x, y); }
INLINE double abs_(double x) { return __builtin_fabs(x); }
INLINE double sqrt_(double x) { return __builtin_sqrt(x); }
INLINE double floor_(double x) { return __builtin_floor(x); }
INLINE double ceil_(double x) { return __builtin_ceil(x); }
INLINE double round_(double x) { return __builtin_rint(x); }
INLINE double sigmoid_(double x) {
  const double e = __builtin_exp(-__builtin_fabs(x));
  return (x < 0 ? e : 1.0) / (1.0 + e);
}
INLINE double softplus_(double x) {
  return __builtin_log1p(__builtin_exp(-__builtin_fabs(x))) + (x < 0 ? 0.0 : x);
}

// Narrow integers would multiply as int, which may overflow.
template <class T>
INLINE T mul(T x, T y) {
  return x * y;
}
INLINE std::uint16_t mul(std::uint16_t x, std::uint16_t y) { return std::uint16_t(std::uint32_t(x) * y); }
INLINE std::uint8_t mul(std::uint8_t x, std::uint8_t y) { return std::uint8_t(std::uint32_t(x) * y); }

// ---- both floats and integers (unsigned stands for both signs where bits are the same)
UNARY(Neg, T(-x))
UNARY(Square, mul(x, x))
UNARY(Abs, T(x < 0 ? -x : x))
UNARY(Sign, T((x > 0) - (x < 0)))
BINARY(Add, T(x + y))
BINARY(Sub, T(x - y))
BINARY(Mul, mul(x, y))
BINARY(SquaredDifference, mul(T(x - y), T(x - y)))
BINARY(Maximum, T(x > y || x != x ? x : y))
BINARY(Minimum, T(x < y || x != x ? x : y))
BINARY(Equal, x == y)
BINARY(NotEqual, x != y)
BINARY(Less, x < y)
BINARY(LessEqual, x <= y)
BINARY(Greater, x > y)
BINARY(GreaterEqual, x >= y)

// ---- floats
UNARY(AbsFloat, abs_(x))
UNARY(SignFloat, x != x ? x : T((x > 0) - (x < 0)))
UNARY(Reciprocal, T(1) / x)
UNARY(Sqrt, sqrt_(x))
UNARY(Rsqrt, T(1) / sqrt_(x))
UNARY(Exp, exp_(x))
UNARY(Expm1, expm1_(x))
UNARY(Log, log_(x))
UNARY(Log1p, log1p_(x))
UNARY(Tanh, tanh_(x))
UNARY(Sigmoid, sigmoid_(x))
UNARY(Erf, erf_(x))
UNARY(Sin, sin_of(x))
UNARY(Cos, cos_of(x))
UNARY(Tan, tan_of(x))
UNARY(Floor, floor_(x))
UNARY(Ceil, ceil_(x))
UNARY(Round, round_(x))
UNARY(IsNan, x != x)
UNARY(IsInf, abs_(x) == T(kInfinity))
UNARY(IsFinite, abs_(x) < T(kInfinity))
BINARY(Div, x / y)
BINARY(DivNoNan, y == 0 ? T(0) : x / y)
BINARY(MulNoNan, y == 0 ? T(0) : x * y)
BINARY(Xdivy, x == 0 ? T(0) : x / y)
BINARY(Xlogy, x == 0 ? T(0) : x * log_(y))
BINARY(Pow, pow_(x, y))
BINARY(FloorDiv, floor_(x / y))

// ---- derivatives, of the value y first and the gradient dy second, as the operations have them
BINARY(TanhGrad, y*(T(1) - x * x))
BINARY(SigmoidGrad, y* x*(T(1) - x))
BINARY(SqrtGrad, y* T(0.5) / x)
BINARY(RsqrtGrad, y* T(-0.5) * x * x * x)
BINARY(ReciprocalGrad, -y* x* x)

// ---- activations, and their derivatives of the gradient first and the feature (or the value) second
UNARY(Relu, x < 0 ? T(0) : x)
UNARY(Relu6, x<0 ? T(0) : x> 6 ? T(6) : x)
UNARY(Elu, x < 0 ? expm1_(x) : x)
UNARY(Selu, x < 0 ? T(1.7580993408473768599) * expm1_(x) : T(1.0507009873554804934) * x)
UNARY(Softplus, softplus_(x))
UNARY(Softsign, x / (T(1) + abs_(x)))
BINARY(LeakyRelu, x > 0 ? x : x * y)
BINARY(ReluGrad, y > 0 ? x : T(0))
BINARY(Relu6Grad, y > 0 && y < 6 ? x : T(0))
BINARY(EluGrad, y < 0 ? x * (y + T(1)) : x)
BINARY(SeluGrad, y < 0 ? x * (y + T(1.7580993408473768599)) : x * T(1.0507009873554804934))
BINARY(SoftplusGrad, x* sigmoid_(y))
BINARY(SoftsignGrad, x / ((T(1) + abs_(y)) * (T(1) + abs_(y))))

// ---- bits and truth values
UNARY(Not, T(x ^ 1))
UNARY(Invert, T(~x))
BINARY(And, T(x& y))
BINARY(Or, T(x | y))
BINARY(Xor, T(x ^ y))

struct Choose {
  template <class T>
  INLINE static T of(std::uint8_t condition, T yes, T no) {
    return condition ? yes : no;
  }
};
struct Pair {
  std::uint64_t low, high;
};
struct Clip {
  template <class T>
  INLINE static T of(T x, T low, T high) {
    const T limited = x < low ? low : x;
    return limited > high ? high : limited;
  }
};
struct LeakyReluGrad {
  template <class T>
  INLINE static T of(T gradient, T feature, T alpha) {
    return feature > 0 ? gradient : gradient * alpha;
  }
};

// clang-format off
#define U(OP, DTYPE, T, R, F, COST) {OP, DType::DTYPE, unary_loop<T, R, F>, COST}
#define B(OP, DTYPE, T, R, F, COST) {OP, DType::DTYPE, binary_loop<T, R, F>, COST}
#define FLOAT_U(OP, F, COST32, COST64) U(OP, float32, float, float, F, COST32), U(OP, float64, double, double, F, COST64)
#define FLOAT_B(OP, F, COST32, COST64) B(OP, float32, float, float, F, COST32), B(OP, float64, double, double, F, COST64)
#define FUNCTION_U(OP, F, COST32, COST64) {OP, DType::float32, function_loop<F>, COST32}, U(OP, float64, double, double, F, COST64)
#define TEST_U(OP, F) U(OP, float32, float, bool, F, 0.2f), U(OP, float64, double, bool, F, 0.3f)
// Integers whose sign does not matter.
#define BITS(M, OP, F, COST)                                                                                  \
  M(OP, int8, std::uint8_t, std::uint8_t, F, COST), M(OP, uint8, std::uint8_t, std::uint8_t, F, COST),        \
  M(OP, int16, std::uint16_t, std::uint16_t, F, COST), M(OP, uint16, std::uint16_t, std::uint16_t, F, COST),  \
  M(OP, int32, std::uint32_t, std::uint32_t, F, COST), M(OP, uint32, std::uint32_t, std::uint32_t, F, COST),  \
  M(OP, int64, std::uint64_t, std::uint64_t, F, COST), M(OP, uint64, std::uint64_t, std::uint64_t, F, COST)
#define SIGNED(M, OP, F, COST)                                                                                \
  M(OP, int8, std::int8_t, std::int8_t, F, COST), M(OP, int16, std::int16_t, std::int16_t, F, COST),          \
  M(OP, int32, std::int32_t, std::int32_t, F, COST), M(OP, int64, std::int64_t, std::int64_t, F, COST)
#define UNSIGNED(M, OP, F, COST)                                                                              \
  M(OP, uint8, std::uint8_t, std::uint8_t, F, COST), M(OP, uint16, std::uint16_t, std::uint16_t, F, COST),    \
  M(OP, uint32, std::uint32_t, std::uint32_t, F, COST), M(OP, uint64, std::uint64_t, std::uint64_t, F, COST)
#define INTS(M, OP, F, COST) SIGNED(M, OP, F, COST), UNSIGNED(M, OP, F, COST)
#define COMPARE(OP, F)                                                                                        \
  B(OP, float32, float, bool, F, 0.2f), B(OP, float64, double, bool, F, 0.3f),                                \
  B(OP, int8, std::int8_t, bool, F, 0.1f), B(OP, int16, std::int16_t, bool, F, 0.1f),                         \
  B(OP, int32, std::int32_t, bool, F, 0.2f), B(OP, int64, std::int64_t, bool, F, 0.3f),                       \
  B(OP, uint8, std::uint8_t, bool, F, 0.1f), B(OP, uint16, std::uint16_t, bool, F, 0.1f),                     \
  B(OP, uint32, std::uint32_t, bool, F, 0.2f), B(OP, uint64, std::uint64_t, bool, F, 0.3f)

constexpr Entry<Unary> kUnary[] = {
    FLOAT_U("Neg", Neg, 0.2f, 0.4f), BITS(U, "Neg", Neg, 0.2f),
    FLOAT_U("Square", Square, 0.2f, 0.4f), BITS(U, "Square", Square, 0.3f),
    FLOAT_U("Abs", AbsFloat, 0.2f, 0.4f), SIGNED(U, "Abs", Abs, 0.2f),
    FLOAT_U("Sign", SignFloat, 0.2f, 0.4f), SIGNED(U, "Sign", Sign, 0.2f), UNSIGNED(U, "Sign", Sign, 0.2f),
    FLOAT_U("Reciprocal", Reciprocal, 0.3f, 0.7f), FLOAT_U("Inv", Reciprocal, 0.3f, 0.7f),
    FLOAT_U("Sqrt", Sqrt, 0.4f, 0.9f), FLOAT_U("Rsqrt", Rsqrt, 0.5f, 1.2f),
    FUNCTION_U("Exp", Exp, 0.6f, 5.0f), FLOAT_U("Expm1", Expm1, 0.7f, 10.0f),
    FLOAT_U("Log", Log, 0.7f, 5.0f), FLOAT_U("Log1p", Log1p, 1.0f, 10.0f),
    FUNCTION_U("Tanh", Tanh, 1.0f, 12.0f), FUNCTION_U("Sigmoid", Sigmoid, 0.9f, 6.0f), FLOAT_U("Erf", Erf, 1.0f, 12.0f),
    {"Sin", DType::float32, angle_loop<Sin, exact_sin>, 1.5f}, {"Cos", DType::float32, angle_loop<Cos, exact_cos>, 1.5f},
    {"Tan", DType::float32, angle_loop<Tan, exact_tan>, 2.5f},
    FLOAT_U("Floor", Floor, 0.2f, 0.4f), FLOAT_U("Ceil", Ceil, 0.2f, 0.4f),
    FLOAT_U("Rint", Round, 0.2f, 0.4f), FLOAT_U("Round", Round, 0.2f, 0.4f),
    TEST_U("IsNan", IsNan), TEST_U("IsInf", IsInf), TEST_U("IsFinite", IsFinite),
    U("LogicalNot", boolean, std::uint8_t, std::uint8_t, Not, 0.05f), BITS(U, "Invert", Invert, 0.2f),
    FLOAT_U("Relu", Relu, 0.2f, 0.4f), FLOAT_U("Relu6", Relu6, 0.2f, 0.4f),
    SIGNED(U, "Relu", Relu, 0.2f), INTS(U, "Relu6", Relu6, 0.2f),
    FLOAT_U("Elu", Elu, 0.8f, 10.0f), FLOAT_U("Selu", Selu, 0.8f, 10.0f),
    FLOAT_U("Softplus", Softplus, 1.8f, 12.0f), FLOAT_U("Softsign", Softsign, 0.3f, 0.7f),
};

// Of floats.
#define FLOAT_BINARY(X) \
  X("Add", Add, 0.2f, 0.4f) X("AddV2", Add, 0.2f, 0.4f) X("Sub", Sub, 0.2f, 0.4f) \
  X("Mul", Mul, 0.2f, 0.4f) X("SquaredDifference", SquaredDifference, 0.2f, 0.4f) \
  X("Div", Div, 0.3f, 0.7f) X("RealDiv", Div, 0.3f, 0.7f) X("DivNoNan", DivNoNan, 0.3f, 0.7f) \
  X("MulNoNan", MulNoNan, 0.2f, 0.4f) X("Xdivy", Xdivy, 0.3f, 0.7f) X("Xlogy", Xlogy, 0.8f, 5.0f) \
  X("Pow", Pow, 3.0f, 20.0f) X("FloorDiv", FloorDiv, 0.4f, 0.8f) X("Maximum", Maximum, 0.2f, 0.4f) \
  X("Minimum", Minimum, 0.2f, 0.4f) X("TanhGrad", TanhGrad, 0.2f, 0.4f) \
  X("SigmoidGrad", SigmoidGrad, 0.2f, 0.4f) X("SqrtGrad", SqrtGrad, 0.3f, 0.7f) \
  X("RsqrtGrad", RsqrtGrad, 0.2f, 0.4f) X("InvGrad", ReciprocalGrad, 0.2f, 0.4f) \
  X("ReciprocalGrad", ReciprocalGrad, 0.2f, 0.4f) X("LeakyRelu", LeakyRelu, 0.2f, 0.4f) \
  X("ReluGrad", ReluGrad, 0.2f, 0.4f) X("Relu6Grad", Relu6Grad, 0.2f, 0.4f) \
  X("EluGrad", EluGrad, 0.2f, 0.4f) X("SeluGrad", SeluGrad, 0.2f, 0.4f) \
  X("SoftplusGrad", SoftplusGrad, 1.0f, 6.0f) X("SoftsignGrad", SoftsignGrad, 0.3f, 0.7f)

#define LOOPS(OP, F, COST32, COST64) FLOAT_B(OP, F, COST32, COST64),
constexpr Entry<Binary> kBinary[] = {
    FLOAT_BINARY(LOOPS)
    BITS(B, "Add", Add, 0.2f),
    BITS(B, "AddV2", Add, 0.2f),
    BITS(B, "Sub", Sub, 0.2f),
    BITS(B, "Mul", Mul, 0.3f),
    BITS(B, "SquaredDifference", SquaredDifference, 0.3f),
    INTS(B, "Maximum", Maximum, 0.2f),
    INTS(B, "Minimum", Minimum, 0.2f),
    COMPARE("Equal", Equal), COMPARE("NotEqual", NotEqual), COMPARE("Less", Less), COMPARE("LessEqual", LessEqual),
    COMPARE("Greater", Greater), COMPARE("GreaterEqual", GreaterEqual),
    B("Equal", boolean, std::uint8_t, bool, Equal, 0.05f), B("NotEqual", boolean, std::uint8_t, bool, NotEqual, 0.05f),
    B("LogicalAnd", boolean, std::uint8_t, std::uint8_t, And, 0.05f),
    B("LogicalOr", boolean, std::uint8_t, std::uint8_t, Or, 0.05f),
    BITS(B, "BitwiseAnd", And, 0.2f), BITS(B, "BitwiseOr", Or, 0.2f), BITS(B, "BitwiseXor", Xor, 0.2f),
    INTS(B, "ReluGrad", ReluGrad, 0.2f), INTS(B, "Relu6Grad", Relu6Grad, 0.2f),
};
#undef LOOPS

#define LOOPS(OP, F, COST32, COST64) SCALAR(OP, float32, float, F), SCALAR(OP, float64, double, F),
#define SCALAR(OP, DTYPE, T, F) {OP, DType::DTYPE, left_scalar_loop<T, F>, right_scalar_loop<T, F>}
constexpr WithScalar kWithScalar[] = {FLOAT_BINARY(LOOPS)};
#undef LOOPS

#define C(OP, DTYPE, A, T, F, COST) {OP, DType::DTYPE, ternary_loop<A, T, F>, COST}
constexpr Entry<Ternary> kTernary[] = {
    // By width: who looks for a dtype that is not here takes one of its size.
    C("Select", uint8, std::uint8_t, std::uint8_t, Choose, 0.1f),
    C("Select", uint16, std::uint8_t, std::uint16_t, Choose, 0.1f),
    C("Select", uint32, std::uint8_t, std::uint32_t, Choose, 0.2f),
    C("Select", uint64, std::uint8_t, std::uint64_t, Choose, 0.4f),
    C("Select", complex128, std::uint8_t, Pair, Choose, 1.0f),
    C("ClipByValue", float32, float, float, Clip, 0.2f), C("ClipByValue", float64, double, double, Clip, 0.4f),
    C("ClipByValue", int8, std::int8_t, std::int8_t, Clip, 0.2f), C("ClipByValue", uint8, std::uint8_t, std::uint8_t, Clip, 0.2f),
    C("ClipByValue", int16, std::int16_t, std::int16_t, Clip, 0.2f), C("ClipByValue", uint16, std::uint16_t, std::uint16_t, Clip, 0.2f),
    C("ClipByValue", int32, std::int32_t, std::int32_t, Clip, 0.2f), C("ClipByValue", uint32, std::uint32_t, std::uint32_t, Clip, 0.2f),
    C("ClipByValue", int64, std::int64_t, std::int64_t, Clip, 0.4f), C("ClipByValue", uint64, std::uint64_t, std::uint64_t, Clip, 0.4f),
    C("LeakyReluGrad", float32, float, float, LeakyReluGrad, 0.2f), C("LeakyReluGrad", float64, double, double, LeakyReluGrad, 0.4f),
};
// clang-format on

template <class T, int N>
constexpr vector::Table<T> table(const T (&entries)[N]) {
  return {entries, N};
}

}  // namespace

vector::Table<Entry<Unary>> unary() { return table(kUnary); }
vector::Table<Entry<Binary>> binary() { return table(kBinary); }
vector::Table<WithScalar> with_scalar() { return table(kWithScalar); }
vector::Table<Entry<Ternary>> ternary() { return table(kTernary); }

}  // namespace headrace::HEADRACE_ISA
