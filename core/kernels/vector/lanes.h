// exp, sigmoid and tanh of sixteen floats at once, for AVX-512: it looks up an entry of a table for each of
// them in one instruction, since a table of 16 or 32 entries fits registers. So a polynomial of a low degree
// for a small piece of the range will do, and nothing is divided but for the sigmoid. Coefficients come from
// tools/fit_polynomials.py; errors are below 2 ulp, NaN and infinities give what IEEE 754 asks for.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "core/kernels/vector/functions.h"

namespace headrace::HEADRACE_ISA {
namespace {

using Lanes = __m512;
constexpr int kLanes = 16;

INLINE Lanes all(float x) { return _mm512_set1_ps(x); }
INLINE __m512i bits_of(Lanes x) { return _mm512_castps_si512(x); }
INLINE Lanes lanes_of(__m512i bits) { return _mm512_castsi512_ps(bits); }
// These keep a NaN in x.
INLINE Lanes at_least(Lanes x, float low) { return _mm512_max_ps(all(low), x); }
INLINE Lanes at_most(Lanes x, float high) { return _mm512_min_ps(all(high), x); }

// The low four or five bits of an index count.
INLINE Lanes look_up(const float (&table)[16], __m512i index) {
  return _mm512_permutexvar_ps(index, _mm512_load_ps(table));
}
INLINE Lanes look_up(const float (&table)[32], __m512i index) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
}

// ---- exp(x) = 2^n power (1 + rest + r + r^2 (c2 + c3 r)), with n in sixteenths, |r| <= log(2) / 32 and the
// power of 2 that n has beyond its whole part, which is rounded; `rest` is what rounding took from it.
// clang-format off
alignas(64) constexpr float kPower[16] = {
    1.0f, 1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f, 1.29683959f, 1.35425556f,
    1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f, 1.68179286f, 1.75625217f, 1.8340081f, 1.91520655f};
alignas(64) constexpr float kRest[16] = {
    0.0f, 4.62854679e-08f, -1.19921575e-08f, 4.72978208e-08f, 3.19341815e-08f, 3.62105723e-08f,
    -3.09907229e-08f, -7.47521334e-09f, 1.71142709e-08f, -3.04768335e-08f, 5.23333421e-09f, 6.10759177e-09f,
    -1.4719606e-08f, -5.25879518e-09f, -6.12825968e-09f, 5.14060927e-09f};
// clang-format on
constexpr float kSixteenths = 1.5f * (1 << 19);  // adding it leaves the nearest sixteenth in the low bits

struct Exponential {
  Lanes n, power, m;  // 2^n power (1 + m), where n is rounded down
};
// Of sign * x.
template <int sign>
INLINE Exponential exponential(Lanes x) {
  const Lanes shifted = x * (float(sign) * 1.44269504f) + kSixteenths;
  const Lanes n = shifted - kSixteenths;
  const Lanes r = (float(sign) * x - n * 0.693359375f) - n * -2.12194440e-4f;
  const Lanes m = (r * 0.16666720807552338f + 0.5000162124633789f) * r + 1.0f;
  return {n, look_up(kPower, bits_of(shifted)), m * r + look_up(kRest, bits_of(shifted))};
}

INLINE Lanes exp_of(Lanes x) {
  const Exponential e = exponential<1>(at_most(at_least(x, -104.5f), 89.0f));
  return _mm512_scalef_ps(e.power * e.m + e.power, e.n);
}

// 2^-24 / (2^-24 + 2^-24 exp(-x)): the factor keeps exp(-x) finite where the result is subnormal. What is
// small is added first.
INLINE Lanes sigmoid_of(Lanes x) {
  const Exponential e = exponential<-1>(at_most(at_least(x, -104.0f), 60.0f));
  const Lanes factor = all(5.9604644775390625e-08f), scale = _mm512_scalef_ps(e.power, e.n - 24.0f);
  return factor / ((scale * e.m + _mm512_min_ps(scale, factor)) + _mm512_max_ps(scale, factor));
}

// ---- tanh. |x| + 1 has an exponent and three more bits, which tell one of 32 pieces, narrow where x is
// small; a polynomial of degree 5 from where the piece begins. Coefficients of the highest power come first,
// and pieces in the order of the low five bits.
// clang-format off
alignas(64) constexpr float kTanh[6][32] = {
    {
        -0.0432205871f, -0.014043415f, -0.00611494528f, -0.00338518643f, 0.00262914132f, 0.015312531f,
        0.00823816564f, -0.00342942844f, 0.000319208222f, 0.000481223484f, -0.000360798324f,
        -0.000382545084f, -0.000276503502f, -0.000389902474f, -0.000157689385f, 0.000152477776f,
        3.16357864e-06f, 6.82573136e-06f, 1.48562194e-05f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.129841045f,
        0.163292453f, 0.108627982f, -0.0313453004f, -0.191465855f, 0.296581894f, 0.111960985f, 0.321015209f},
    {
        0.030748412f, -0.0122850938f, -0.0212919433f, -0.0187359452f, -0.0166374184f, -0.0195957087f,
        -0.0115903495f, -0.00190022227f, -0.00238233805f, -0.00134290045f, 0.00017671923f, 0.000377100223f,
        0.000308434915f, 0.000473733729f, 0.000192093939f, -0.000192474472f, -8.34204911e-06f,
        -1.71248448e-05f, -3.71528804e-05f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.000513689825f, 0.0624216981f,
        0.124046043f, 0.179269567f, 0.212629855f, 0.0274926536f, 0.0451912433f, -0.0564914346f},
    {
        0.102572002f, 0.10799621f, 0.0869120136f, 0.0618545935f, 0.0418435223f, 0.0286930278f,
        0.0178091694f, 0.00985642336f, 0.00617904775f, 0.00249571213f, 0.000627135683f, 9.44869244e-05f,
        -3.94549206e-05f, -0.000172153843f, -7.11274552e-05f, 8.89793373e-05f, 8.65480706e-06f,
        1.51702425e-05f, 3.25395049e-05f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, -0.33335948f, -0.311023802f,
        -0.255115241f, -0.179642826f, -0.0992828161f, -0.00582038844f, 0.0477278456f, 0.0945335999f},
    {
        -0.319740683f, -0.237831816f, -0.163481176f, -0.107043914f, -0.068086125f, -0.0426538587f,
        -0.0263072718f, -0.0160211343f, -0.0097677242f, -0.00365053397f, -0.00129334664f, -0.0004517833f,
        -0.000152988359f, -2.8128361e-05f, -8.95611174e-06f, -2.38631401e-05f, -5.64419679e-06f,
        -5.76507273e-06f, -1.16716965e-05f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 4.44362797e-07f, -0.12251398f,
        -0.23031044f, -0.312295169f, -0.363210052f, -0.384546369f, -0.379182488f, -0.355695724f},
    {
        0.419970572f, 0.280413389f, 0.180703893f, 0.113809086f, 0.0706501082f, 0.0434694327f, 0.02659446f,
        0.0162123851f, 0.00986311864f, 0.00364197558f, 0.00133805664f, 0.000490924867f, 0.000179799536f,
        6.43871026e-05f, 2.36000997e-05f, 9.96848757e-06f, 3.6175627e-06f, 1.11517977e-06f, 1.51332472e-06f,
        0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 1.0f, 0.984537542f, 0.94001615f, 0.871579349f, 0.786444366f,
        0.692427337f, 0.596589863f, 0.504525602f},
    {
        0.761594176f, 0.848283648f, 0.905148268f, 0.941375554f, 0.964027584f, 0.978026092f, 0.986614287f,
        0.991859734f, 0.995054781f, 0.998177886f, 0.999329329f, 0.999753237f, 0.999909222f, 0.999966621f,
        0.999987721f, 0.99999547f, 0.999998331f, 0.999999762f, 0.99999994f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f,
        0.0f, 0.124352999f, 0.244918659f, 0.3583574f, 0.462117165f, 0.554599702f, 0.635148942f, 0.703905582f}};
// clang-format on
INLINE Lanes tanh_of(Lanes x) {
  const Lanes y = at_most(lanes_of(_mm512_and_si512(bits_of(x), _mm512_set1_epi32(INT32_MAX))), 14.9f);
  const Lanes beyond_1 = y + 1.0f;
  const __m512i piece = _mm512_srli_epi32(bits_of(beyond_1), 20);
  const Lanes begin = lanes_of(_mm512_slli_epi32(piece, 20)) - 1.0f, d = y - begin;
  Lanes z = look_up(kTanh[0], piece);
  for (int k = 1; k < 6; ++k) z = z * d + look_up(kTanh[k], piece);
  constexpr int kSecondWhereThirdElseFirst = 0xd8;
  return lanes_of(_mm512_ternarylogic_epi32(bits_of(z), bits_of(x), _mm512_set1_epi32(INT32_MIN),
                                            kSecondWhereThirdElseFirst));
}

}  // namespace
}  // namespace headrace::HEADRACE_ISA
