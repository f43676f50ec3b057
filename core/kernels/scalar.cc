#include "core/kernels/scalar.h"

#include <bit>
#include <cmath>
#include <complex>
#include <type_traits>

#include "core/base/error.h"
#include "core/kernels/special.h"

namespace headrace::scalar {
namespace {

using vector::Binary;
using vector::Entry;
using vector::Reduction;
using vector::Ternary;
using vector::Unary;

template <class T, class R, class F>
void unary_loop(std::int64_t n, const void* x, void* y) {
  const T* a = static_cast<const T*>(x);
  R* r = static_cast<R*>(y);
  for (std::int64_t i = 0; i < n; ++i) r[i] = R(F::of(a[i]));
}
template <class T, class R, class F>
void binary_loop(std::int64_t n, const void* x, const void* y, void* z) {
  const T *a = static_cast<const T*>(x), *b = static_cast<const T*>(y);
  R* r = static_cast<R*>(z);
  for (std::int64_t i = 0; i < n; ++i) r[i] = R(F::of(a[i], b[i]));
}
template <class T, class F>
void ternary_loop(std::int64_t n, const void* x, const void* y, const void* z, void* out) {
  const T *a = static_cast<const T*>(x), *b = static_cast<const T*>(y), *c = static_cast<const T*>(z);
  T* r = static_cast<T*>(out);
  for (std::int64_t i = 0; i < n; ++i) r[i] = T(F::of(a[i], b[i], c[i]));
}

#define UNARY(NAME, EXPRESSION) \
  struct NAME {                 \
    template <class T>          \
    static auto of(T x) {       \
      return EXPRESSION;        \
    }                           \
  };
#define BINARY(NAME, EXPRESSION) \
  struct NAME {                  \
    template <class T>           \
    static auto of(T x, T y) {   \
      return EXPRESSION;         \
    }                            \
  };

// ---- integers

template <class T>
void check_divisor(T y) {
  if (y == 0) [[unlikely]]
    invalid("integer division by zero; the divisor must have no zero element");
}
// The lowest integer divided by -1 would trap.
template <class T>
T divide(T x, T y) {
  check_divisor(y);
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return T(std::make_unsigned_t<T>(0) - std::make_unsigned_t<T>(x));
  }
  return T(x / y);
}
template <class T>
T remainder(T x, T y) {
  check_divisor(y);
  if constexpr (std::is_signed_v<T>) {
    if (y == -1) return 0;
  }
  return T(x % y);
}
template <class T>
T floor_divide(T x, T y) {
  const T quotient = divide(x, y);
  return remainder(x, y) != 0 && (x < 0) != (y < 0) ? T(quotient - 1) : quotient;
}
template <class T>
T floor_remainder(T x, T y) {
  const T rest = remainder(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? T(rest + y) : rest;
}
float remainder(float x, float y) { return std::fmod(x, y); }
double remainder(double x, double y) { return std::fmod(x, y); }
float floor_remainder(float x, float y) {
  const float rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
double floor_remainder(double x, double y) {
  const double rest = std::fmod(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}
template <class T>
T power(T x, T y) {
  if (y < 0) invalid("an integer to the power ", std::int64_t(y), "; integer exponents must not be negative");
  std::uint64_t result = 1, factor = std::uint64_t(x);
  for (auto rest = std::uint64_t(y); rest != 0; rest >>= 1, factor *= factor) {
    if (rest & 1) result *= factor;
  }
  return T(result);
}
template <class T>
T shift_count(T y) {
  constexpr T kMost = T(8 * sizeof(T) - 1);
  return y < 0 ? T(0) : y > kMost ? kMost : y;
}

BINARY(TruncateDiv, divide(x, y))
BINARY(FloorDiv, floor_divide(x, y))
BINARY(TruncateMod, remainder(x, y))
BINARY(FloorMod, floor_remainder(x, y))
BINARY(IntPow, power(x, y))
BINARY(LeftShift, T(std::make_unsigned_t<T>(x) << shift_count(y)))
BINARY(RightShift, T(x >> shift_count(y)))
UNARY(Same, x)
UNARY(Relu6, x > 6 ? T(6) : x)
BINARY(ReluGrad, y > 0 ? x : T(0))
BINARY(Relu6Grad, y > 0 && y < 6 ? x : T(0))
UNARY(Reciprocal, divide(T(1), x))
UNARY(PopulationCount, std::uint8_t(std::popcount(std::make_unsigned_t<T>(x))))

// ---- floats

UNARY(Sin, std::sin(x))
UNARY(Cos, std::cos(x))
UNARY(Tan, std::tan(x))
UNARY(Asin, std::asin(x))
UNARY(Acos, std::acos(x))
UNARY(Atan, std::atan(x))
UNARY(Sinh, std::sinh(x))
UNARY(Cosh, std::cosh(x))
UNARY(Asinh, std::asinh(x))
UNARY(Acosh, std::acosh(x))
UNARY(Atanh, std::atanh(x))
UNARY(Erfc, std::erfc(x))
UNARY(Lgamma, special::lgamma(x))
UNARY(Digamma, special::digamma(x))
UNARY(Erfinv, special::erfinv(x))
UNARY(Ndtri, special::ndtri(x))
UNARY(BesselI0e, special::bessel_i0e(x))
UNARY(BesselI1e, special::bessel_i1e(x))
BINARY(Atan2, std::atan2(x, y))
BINARY(Nextafter, std::nextafter(x, y))
BINARY(TruncateDivFloat, std::trunc(x / y))
BINARY(Zeta, special::zeta(x, y))
BINARY(Polygamma, special::polygamma(x, y))
BINARY(Igamma, special::igamma(x, y))
BINARY(Igammac, special::igammac(x, y))
BINARY(IgammaGradA, special::igamma_grad_a(x, y))
struct Betainc {
  static double of(double a, double b, double x) { return special::betainc(a, b, x); }
};

// ---- complex numbers

template <class T>
std::complex<T> complex_expm1(std::complex<T> x) {
  // e^a (cos b + i sin b) - 1 without cancellation: cos b - 1 = -2 sin^2(b / 2).
  const T grown = std::expm1(x.real()), half = std::sin(x.imag() / 2);
  return {grown * std::cos(x.imag()) - 2 * half * half, (grown + 1) * std::sin(x.imag())};
}
template <class T>
std::complex<T> complex_log1p(std::complex<T> x) {
  // log |1 + x| = log1p(2 a + a^2 + b^2) / 2
  const T a = x.real(), b = x.imag();
  return {std::log1p(a * (2 + a) + b * b) / 2, std::atan2(b, 1 + a)};
}
template <class T>
std::complex<T> sign(std::complex<T> x) {
  return x == T(0) ? std::complex<T>(0) : x / std::abs(x);
}
template <class T>
std::complex<T> complex_pow(std::complex<T> x, std::complex<T> y) {
  return y == T(0) ? std::complex<T>(1) : std::pow(x, y);
}

UNARY(Neg, -x)
UNARY(Square, x* x)
UNARY(Sqrt, std::sqrt(x))
UNARY(Exp, std::exp(x))
UNARY(Log, std::log(x))
UNARY(Tanh, std::tanh(x))
UNARY(ComplexReciprocal, T(1) / x)
UNARY(ComplexRsqrt, T(1) / std::sqrt(x))
UNARY(ComplexSigmoid, T(1) / (T(1) + std::exp(-x)))
UNARY(ComplexExpm1, complex_expm1(x))
UNARY(ComplexLog1p, complex_log1p(x))
UNARY(ComplexSign, sign(x))
UNARY(ComplexRound, T(std::nearbyint(x.real()), std::nearbyint(x.imag())))
UNARY(Conj, std::conj(x))
UNARY(Real, x.real())
UNARY(Imag, x.imag())
UNARY(Angle, std::arg(x))
UNARY(ComplexAbs, std::abs(x))
BINARY(Add, x + y)
BINARY(Sub, x - y)
BINARY(Mul, x* y)
BINARY(Div, x / y)
BINARY(Equal, x == y)
BINARY(NotEqual, x != y)
BINARY(ComplexSquaredDifference, (x - y) * std::conj(x - y))
BINARY(ComplexPow, complex_pow(x, y))
BINARY(MulNoNan, y == T(0) ? T(0) : x * y)
BINARY(DivNoNan, y == T(0) ? T(0) : x / y)
BINARY(Xdivy, x == T(0) ? T(0) : x / y)
BINARY(Xlogy, x == T(0) ? T(0) : x * std::log(y))
BINARY(TanhGrad, y*(T(1) - x * x))
BINARY(SigmoidGrad, y* x*(T(1) - x))
BINARY(SqrtGrad, y* T(0.5) / std::conj(x))
BINARY(RsqrtGrad, y* T(-0.5) * std::conj(x * x * x))
BINARY(ReciprocalGrad, -y* std::conj(x* x))
BINARY(MakeComplex, (std::complex<T>(x, y)))

// ---- the tables

// clang-format off
#define U(OP, DTYPE, T, R, F, COST) {OP, DType::DTYPE, unary_loop<T, R, F>, COST}
#define B(OP, DTYPE, T, R, F, COST) {OP, DType::DTYPE, binary_loop<T, R, F>, COST}
#define FLOATS(M, OP, F, COST) M(OP, float32, float, float, F, COST), M(OP, float64, double, double, F, COST)
#define C64 std::complex<float>
#define C128 std::complex<double>
#define COMPLEX(M, OP, F, COST) M(OP, complex64, C64, C64, F, COST), M(OP, complex128, C128, C128, F, COST)
#define COMPLEX_TO(M, OP, R64, R128, F, COST) M(OP, complex64, C64, R64, F, COST), M(OP, complex128, C128, R128, F, COST)
#define UNSIGNED(M, OP, F, COST)                                                                              \
  M(OP, uint8, std::uint8_t, std::uint8_t, F, COST), M(OP, uint16, std::uint16_t, std::uint16_t, F, COST),    \
  M(OP, uint32, std::uint32_t, std::uint32_t, F, COST), M(OP, uint64, std::uint64_t, std::uint64_t, F, COST)
#define INTS(M, OP, F, COST)                                                                                  \
  M(OP, int8, std::int8_t, std::int8_t, F, COST), M(OP, int16, std::int16_t, std::int16_t, F, COST),          \
  M(OP, int32, std::int32_t, std::int32_t, F, COST), M(OP, int64, std::int64_t, std::int64_t, F, COST),       \
  UNSIGNED(M, OP, F, COST)
#define INTS_TO_UINT8(OP, F, COST)                                                                            \
  U(OP, int8, std::int8_t, std::uint8_t, F, COST), U(OP, int16, std::int16_t, std::uint8_t, F, COST),         \
  U(OP, int32, std::int32_t, std::uint8_t, F, COST), U(OP, int64, std::int64_t, std::uint8_t, F, COST),       \
  U(OP, uint8, std::uint8_t, std::uint8_t, F, COST), U(OP, uint16, std::uint16_t, std::uint8_t, F, COST),     \
  U(OP, uint32, std::uint32_t, std::uint8_t, F, COST), U(OP, uint64, std::uint64_t, std::uint8_t, F, COST)

constexpr Entry<Unary> kUnary[] = {
    U("Sin", float64, double, double, Sin, 10), U("Cos", float64, double, double, Cos, 10),
    U("Tan", float64, double, double, Tan, 15),
    FLOATS(U, "Asin", Asin, 8), FLOATS(U, "Acos", Acos, 8), FLOATS(U, "Atan", Atan, 8),
    FLOATS(U, "Sinh", Sinh, 10), FLOATS(U, "Cosh", Cosh, 10), FLOATS(U, "Asinh", Asinh, 12),
    FLOATS(U, "Acosh", Acosh, 12), FLOATS(U, "Atanh", Atanh, 12), FLOATS(U, "Erfc", Erfc, 12),
    FLOATS(U, "Lgamma", Lgamma, 25), FLOATS(U, "Digamma", Digamma, 30), FLOATS(U, "Erfinv", Erfinv, 150),
    FLOATS(U, "Ndtri", Ndtri, 150), FLOATS(U, "BesselI0e", BesselI0e, 60), FLOATS(U, "BesselI1e", BesselI1e, 60),
    INTS(U, "Round", Same, 0.3f), UNSIGNED(U, "Abs", Same, 0.3f), INTS(U, "Reciprocal", Reciprocal, 2),
    INTS(U, "Inv", Reciprocal, 2), INTS_TO_UINT8("PopulationCount", PopulationCount, 1),
    UNSIGNED(U, "Relu", Same, 0.3f), UNSIGNED(U, "Relu6", Relu6, 0.3f),
    COMPLEX(U, "Neg", Neg, 1), COMPLEX(U, "Square", Square, 2), COMPLEX(U, "Sqrt", Sqrt, 30),
    COMPLEX(U, "Rsqrt", ComplexRsqrt, 40), COMPLEX(U, "Exp", Exp, 40), COMPLEX(U, "Expm1", ComplexExpm1, 50),
    COMPLEX(U, "Log", Log, 40), COMPLEX(U, "Log1p", ComplexLog1p, 50), COMPLEX(U, "Sin", Sin, 60),
    COMPLEX(U, "Cos", Cos, 60), COMPLEX(U, "Tan", Tan, 60), COMPLEX(U, "Asin", Asin, 60), COMPLEX(U, "Acos", Acos, 60),
    COMPLEX(U, "Atan", Atan, 60), COMPLEX(U, "Sinh", Sinh, 60), COMPLEX(U, "Cosh", Cosh, 60),
    COMPLEX(U, "Tanh", Tanh, 60), COMPLEX(U, "Asinh", Asinh, 60), COMPLEX(U, "Acosh", Acosh, 60),
    COMPLEX(U, "Atanh", Atanh, 60), COMPLEX(U, "Sigmoid", ComplexSigmoid, 50),
    COMPLEX(U, "Reciprocal", ComplexReciprocal, 8), COMPLEX(U, "Inv", ComplexReciprocal, 8),
    COMPLEX(U, "Sign", ComplexSign, 15), COMPLEX(U, "Round", ComplexRound, 4), COMPLEX(U, "Conj", Conj, 1),
    COMPLEX_TO(U, "Real", float, double, Real, 0.5f), COMPLEX_TO(U, "Imag", float, double, Imag, 0.5f),
    COMPLEX_TO(U, "Angle", float, double, Angle, 20), COMPLEX_TO(U, "ComplexAbs", float, double, ComplexAbs, 6),
};

constexpr Entry<Binary> kBinary[] = {
    INTS(B, "Div", TruncateDiv, 2), INTS(B, "RealDiv", TruncateDiv, 2), INTS(B, "TruncateDiv", TruncateDiv, 2),
    FLOATS(B, "TruncateDiv", TruncateDivFloat, 1), INTS(B, "FloorDiv", FloorDiv, 3),
    INTS(B, "Mod", TruncateMod, 2), INTS(B, "TruncateMod", TruncateMod, 2), INTS(B, "FloorMod", FloorMod, 3),
    FLOATS(B, "Mod", TruncateMod, 10), FLOATS(B, "TruncateMod", TruncateMod, 10), FLOATS(B, "FloorMod", FloorMod, 10),
    INTS(B, "Pow", IntPow, 5), INTS(B, "LeftShift", LeftShift, 0.5f), INTS(B, "RightShift", RightShift, 0.5f),
    UNSIGNED(B, "ReluGrad", ReluGrad, 0.3f), UNSIGNED(B, "Relu6Grad", Relu6Grad, 0.3f),
    FLOATS(B, "Atan2", Atan2, 20), FLOATS(B, "NextAfter", Nextafter, 5), FLOATS(B, "Zeta", Zeta, 400),
    FLOATS(B, "Polygamma", Polygamma, 500), FLOATS(B, "Igamma", Igamma, 200), FLOATS(B, "Igammac", Igammac, 200),
    FLOATS(B, "IgammaGradA", IgammaGradA, 300),
    COMPLEX(B, "Add", Add, 1), COMPLEX(B, "AddV2", Add, 1), COMPLEX(B, "Sub", Sub, 1), COMPLEX(B, "Mul", Mul, 2),
    COMPLEX(B, "Div", Div, 8), COMPLEX(B, "RealDiv", Div, 8), COMPLEX(B, "Pow", ComplexPow, 150),
    COMPLEX(B, "SquaredDifference", ComplexSquaredDifference, 2), COMPLEX(B, "MulNoNan", MulNoNan, 3),
    COMPLEX(B, "DivNoNan", DivNoNan, 8), COMPLEX(B, "Xdivy", Xdivy, 8), COMPLEX(B, "Xlogy", Xlogy, 50),
    COMPLEX_TO(B, "Equal", bool, bool, Equal, 1), COMPLEX_TO(B, "NotEqual", bool, bool, NotEqual, 1),
    COMPLEX(B, "TanhGrad", TanhGrad, 4), COMPLEX(B, "SigmoidGrad", SigmoidGrad, 4),
    COMPLEX(B, "SqrtGrad", SqrtGrad, 10), COMPLEX(B, "RsqrtGrad", RsqrtGrad, 6),
    COMPLEX(B, "InvGrad", ReciprocalGrad, 4), COMPLEX(B, "ReciprocalGrad", ReciprocalGrad, 4),
    B("Complex", float32, float, C64, MakeComplex, 0.5f), B("Complex", float64, double, C128, MakeComplex, 1),
};

constexpr Entry<Ternary> kTernary[] = {
    {"Betainc", DType::float32, ternary_loop<float, Betainc>, 300},
    {"Betainc", DType::float64, ternary_loop<double, Betainc>, 300},
};
// clang-format on

// ---- reductions of complex numbers

struct SumOf {
  static constexpr double start = 0;
  template <class T>
  static T of(T a, T b) {
    return a + b;
  }
};
struct ProdOf {
  static constexpr double start = 1;
  template <class T>
  static T of(T a, T b) {
    return a * b;
  }
};
template <class T, class F>
void row_loop(std::int64_t n, const void* x, void* out) {
  const T* a = static_cast<const T*>(x);
  T result{typename T::value_type(F::start)};
  for (std::int64_t i = 0; i < n; ++i) result = F::of(result, a[i]);
  *static_cast<T*>(out) = result;
}
template <class T, class F>
void columns_loop(std::int64_t rows, std::int64_t width, std::int64_t stride, const void* x, void* out,
                  bool begins) {
  const T* a = static_cast<const T*>(x);
  T* r = static_cast<T*>(out);
  for (std::int64_t j = 0; begins && j < width; ++j) r[j] = T{typename T::value_type(F::start)};
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < width; ++j) r[j] = F::of(r[j], a[i * stride + j]);
  }
}
#define REDUCTION(OP, DTYPE, T, F) \
  { OP, DType::DTYPE, row_loop<T, F>, columns_loop<T, F> }
constexpr Reduction kReductions[] = {
    REDUCTION("sum", complex64, C64, SumOf),
    REDUCTION("sum", complex128, C128, SumOf),
    REDUCTION("prod", complex64, C64, ProdOf),
    REDUCTION("prod", complex128, C128, ProdOf),
};

template <class T, int N>
constexpr vector::Table<T> table(const T (&entries)[N]) {
  return {entries, N};
}

}  // namespace

vector::Table<Entry<Unary>> unary() { return table(kUnary); }
vector::Table<Entry<Binary>> binary() { return table(kBinary); }
vector::Table<Entry<Ternary>> ternary() { return table(kTernary); }
vector::Table<Reduction> reductions() { return table(kReductions); }

}  // namespace headrace::scalar
