// Float functions without branches, written so that a loop over them becomes vector code. Coefficients come
// from tools/fit_polynomials.py; errors are below 2 ulp, NaN and infinities give what IEEE 754 asks for.
#pragma once

#include <cstdint>

namespace headrace::HEADRACE_ISA {
namespace {

#define INLINE inline __attribute__((always_inline))

INLINE float as_float(std::int32_t bits) { return __builtin_bit_cast(float, bits); }
INLINE std::int32_t as_int(float x) { return __builtin_bit_cast(std::int32_t, x); }
INLINE double as_double(std::int64_t bits) { return __builtin_bit_cast(double, bits); }

constexpr float kInfinity = __builtin_inff();
constexpr float kNaN = __builtin_nanf("");

template <class T, class... C>
INLINE T polynomial(T x, T highest, C... rest) {
  T y = highest;
  ((y = y * x + T(rest)), ...);
  return y;
}

INLINE float abs_of(float x) { return as_float(as_int(x) & 0x7fffffff); }
INLINE float with_sign(float magnitude, float sign) {
  return as_float((as_int(magnitude) & 0x7fffffff) | (as_int(sign) & INT32_MIN));
}
// These keep a NaN in x.
INLINE float at_least(float x, float low) { return x < low ? low : x; }
INLINE float at_most(float x, float high) { return x > high ? high : x; }

// Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
constexpr float kRound = 12582912.0f;
constexpr double kRoundDouble = 6755399441055744.0;

INLINE float round_even(float x) {  // of any size
  const float rounded = with_sign((abs_of(x) + 8388608.0f) - 8388608.0f, x);
  return abs_of(x) < 8388608.0f ? rounded : x;
}
INLINE float floor_of(float x) {
  const float r = round_even(x);
  return with_sign(r - (r > x ? 1.0f : 0.0f), x);
}
INLINE float ceil_of(float x) {
  const float r = round_even(x);
  return with_sign(r + (r < x ? 1.0f : 0.0f), x);
}

// x = n log 2 + r with |r| <= log(2) / 2; the high part of log 2 has trailing zeros, so that n times it is
// exact.
INLINE float reduce_exp(float x, std::int32_t* n) {
  const float shifted = x * 1.44269504f + kRound;
  *n = as_int(shifted) - as_int(kRound);
  const float whole = shifted - kRound;
  return (x - whole * 0.693359375f) - whole * -2.12194440e-4f;
}
INLINE float power_of_2(std::int32_t n) { return as_float(std::int32_t(std::uint32_t(n + 127) << 23)); }

// 2^(n + more) for n + kRound, without taking n out of it.
INLINE float shifted_power_of_2(float shifted, std::int32_t more) {
  return as_float(std::int32_t((std::uint32_t(as_int(shifted)) << 23) + (std::uint32_t(127 + more) << 23)));
}

INLINE float exp_of(float x) {
  const float limited = at_most(at_least(x, -104.0f), 89.0f);
  std::int32_t n;
  const float r = reduce_exp(limited, &n);
  const float p = polynomial(r, 0.0013814320554956794f, 0.00836885068565607f, 0.041668400168418884f,
                             0.1666651964187622f, 0.4999999403953552f);
  const std::int32_t half = n >> 1;  // in two steps, for results that are subnormal or nearly overflow
  return (1.0f + (r + r * r * p)) * power_of_2(half) * power_of_2(n - half);
}

INLINE float expm1_of(float x) {
  const float limited = at_most(at_least(x, -18.0f), 89.0f);
  std::int32_t n;
  const float r = reduce_exp(limited, &n);
  const float p = polynomial(r, 0.00019845893257297575f, 0.0013940823264420033f, 0.008333389647305012f,
                             0.04166635870933533f, 0.1666666567325592f, 0.5f);
  const std::int32_t half = n >> 1;
  const float scale = power_of_2(half), rest = power_of_2(n - half);
  // 2^n (r + r^2 p) + (2^n - 1), with the two factors of 2^n applied so that nothing overflows early.
  const float m = r + r * r * p;
  const float small = m * (scale * rest) + (scale * rest - 1.0f);
  const float large = ((1.0f + m) * scale) * rest;
  const float y = n > 100 ? large : small;
  return x == 0.0f ? x : y;
}

INLINE float log_of(float x) {
  const bool subnormal = x < 1.17549435e-38f;
  const float scaled = subnormal ? x * 8388608.0f : x;
  // Mantissa in [sqrt(1/2), sqrt(2)).
  const auto shifted = std::int32_t(std::uint32_t(as_int(scaled)) - 0x3f3504f3u);
  const std::int32_t n = (shifted >> 23) - (subnormal ? 23 : 0);
  const float f = as_float((shifted & 0x007fffff) + 0x3f3504f3) - 1.0f;
  const float p = polynomial(f, 0.0674663856625557f, -0.11675651371479034f, 0.11888162791728973f,
                             -0.1240558922290802f, 0.14219552278518677f, -0.1666799634695053f,
                             0.2000211924314499f, -0.25000008940696716f, 0.3333331346511841f);
  const float e = float(n), f2 = f * f;
  const float low = (f2 * f * p + e * -2.12194440e-4f) - 0.5f * f2;
  float y = (f + low) + e * 0.693359375f;
  y = x < kInfinity ? y : x;  // inf, NaN
  y = x < 0.0f ? kNaN : y;
  return x == 0.0f ? -kInfinity : y;
}

INLINE float log1p_of(float x) {
  const float u = 1.0f + x;
  // What rounding took from u, to first order.
  const float correction = (x - (u - 1.0f)) / u;
  const float y = log_of(u) + (abs_of(u) < kInfinity && u != 0.0f ? correction : 0.0f);
  return abs_of(x) < 1e-7f ? x : y;
}

INLINE float tanh_of(float x) {
  const float y = at_most(abs_of(x), 10.0f), s = y * y;
  const float near = y + y * s *
                             polynomial(s, 0.016437578946352005f, -0.05267181247472763f, 0.13320724666118622f,
                                        -0.3333294689655304f);
  // 1 - 2 / (exp(2 y) + 1), which loses little where the result is above a half: one part of log 2 will do.
  // The coefficients are those of exp for 2 r.
  const float shifted = y * (2.0f * 1.44269504f) + kRound;
  const float r = y - (shifted - kRound) * 0.34657359f;
  const float m =
      r * polynomial(r, 64 * 0.0013814320554956794f, 32 * 0.00836885068565607f, 16 * 0.041668400168418884f,
                     8 * 0.1666651964187622f, 4 * 0.4999999403953552f, 2.0f);
  const float scale = shifted_power_of_2(shifted, 0);
  const float far = 1.0f - 2.0f / (m * scale + (scale + 1.0f));
  return with_sign(y < 0.55f ? near : far, x);
}

// 2^-24 / (2^-24 + 2^-24 exp(-x)): the factor keeps exp(-x) finite where the result is subnormal. With
// exp(-x) = s + s q and s a power of two, s q is exact.
INLINE float sigmoid_of(float x) {
  const float limited = at_most(at_least(x, -104.0f), 60.0f);
  const float shifted = limited * -1.44269504f + kRound;
  const float whole = shifted - kRound;
  const float r = (-limited - whole * 0.693359375f) - whole * -2.12194440e-4f;
  const float p = polynomial(r, 0.0013814320554956794f, 0.00836885068565607f, 0.041668400168418884f,
                             0.1666651964187622f, 0.4999999403953552f);
  constexpr float kFactor = 5.9604644775390625e-08f;
  const float q = r + r * r * p, scale = shifted_power_of_2(shifted, -24);
  return kFactor / ((q * scale + kFactor) + scale);
}

INLINE float softplus_of(float x) { return log1p_of(exp_of(-abs_of(x))) + (x < 0.0f ? 0.0f : x); }

INLINE float erf_of(float x) {
  const float t = at_most(abs_of(x), 4.0f), s = t * t;
  const float near = t + t * polynomial(s, 8.267101657111198e-05f, -0.0008117971592582762f,
                                        0.005198818165808916f, -0.026858491823077202f, 0.11283678561449051f,
                                        -0.37612631916999817f, 0.12837916612625122f);
  const float far =
      1.0f - exp_of(polynomial(t, 0.00019295013044029474f, -0.0030139435548335314f, 0.022110356017947197f,
                               -0.10369008034467697f, -0.6374570727348328f, -1.1275125741958618f,
                               -0.00023507622245233506f));
  return with_sign(t < 0.9375f ? near : far, x);
}

// In double, because an error in the exponent y log(x) is an error of that many ulp in the result.
INLINE float pow_of(float x, float y) {
  const float a = abs_of(x);
  const bool subnormal = a < 1.17549435e-38f;
  const float scaled = subnormal ? a * 8388608.0f : a;
  const auto shifted = std::int32_t(std::uint32_t(as_int(scaled)) - 0x3f3504f3u);
  const std::int32_t n = (shifted >> 23) - (subnormal ? 23 : 0);
  const double m = double(as_float((shifted & 0x007fffff) + 0x3f3504f3));
  const double s = (m - 1.0) / (m + 1.0);
  double log2 = double(n) + s * polynomial(s * s, 0.2829556894445835, 0.3199019517676023, 0.4122093401143095,
                                           0.5770779415356653, 0.9617966941160705, 2.885390081777847);
  log2 = a == 0.0f ? -double(kInfinity) : log2;
  log2 = a < kInfinity ? log2 : double(a);  // inf, NaN
  double t = double(y) * log2;
  t = t < -160.0 ? -160.0 : t;
  t = t > 130.0 ? 130.0 : t;
  const double whole = t + kRoundDouble;
  const double r = t - (whole - kRoundDouble);
  const double p = polynomial(r, 1.5201921600800952e-05, 0.0001546929114697513, 0.0013333922563620447,
                              0.009618027253656472, 0.05550410353447521, 0.24022651198157788,
                              0.693147180728447, 0.9999999999616807);
  const std::int64_t exponent =
      __builtin_bit_cast(std::int64_t, whole) - __builtin_bit_cast(std::int64_t, kRoundDouble) + 1023;
  float z = float(p * as_double(std::int64_t(std::uint64_t(exponent) << 52)));

  const bool whole_y = round_even(y) == y;
  // Odd: y / 2 is not whole. Above 2^24 every float is even.
  const bool odd = whole_y && round_even(y * 0.5f) != y * 0.5f;
  const bool negative = as_int(x) < 0;
  z = negative && odd ? -z : z;
  z = x < 0.0f && x > -kInfinity && !whole_y ? kNaN : z;
  z = a == 1.0f && abs_of(y) == kInfinity ? 1.0f : z;
  return x == 1.0f || y == 0.0f ? 1.0f : z;
}

// Sine and cosine of x = n pi/2 + r, in double: exact enough up to kMaxAngle, where n stops having 20 bits.
constexpr float kMaxAngle = 1e6f;
struct SinCos {
  double sin, cos;  // of r
  std::int32_t n;
};
INLINE SinCos sin_cos(float x) {
  const double d = double(x);
  const double shifted = d * 0.63661977236758134 + kRoundDouble;
  const double whole = shifted - kRoundDouble;
  const double r = (d - whole * 1.57079632673412561417) - whole * 6.07710050650619224932e-11;
  const double s = r * r;
  SinCos y;
  y.sin = r + r * s *
                  polynomial(s, -2.4761133054019207e-08, 2.755535073429494e-06, -0.0001984126379068039,
                             0.008333333325214324, -0.16666666666631283);
  y.cos = 1.0 - 0.5 * s +
          s * s *
              polynomial(s, -2.72095479667114e-07, 2.4799511766237692e-05, -0.0013888883722632185,
                         0.041666666622477096);
  y.n = std::int32_t(__builtin_bit_cast(std::int64_t, shifted));
  return y;
}
INLINE float sin_of(float x) {
  const SinCos y = sin_cos(x);
  const float z = float(y.n & 1 ? y.cos : y.sin);
  return x == 0.0f ? x : (y.n & 2 ? -z : z);
}
INLINE float cos_of(float x) {
  const SinCos y = sin_cos(x);
  const float z = float(y.n & 1 ? y.sin : y.cos);
  return (y.n + 1) & 2 ? -z : z;
}
INLINE float tan_of(float x) {
  const SinCos y = sin_cos(x);
  const float z = float(y.n & 1 ? -y.cos / y.sin : y.sin / y.cos);
  return x == 0.0f ? x : z;
}

}  // namespace
}  // namespace headrace::HEADRACE_ISA
