// Between the 16-bit floating-point formats and float32: to nearest, ties to even, NaN kept.
#include "core/kernels/vector/functions.h"
#include "core/kernels/vector/isa.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

INLINE float half_to_float(std::uint16_t h) {
  const std::int32_t sign = std::int32_t(h & 0x8000) << 16;
  const std::int32_t magnitude = std::int32_t(h & 0x7fff) << 13;
  // The exponent's bias differs by 112; a product does that and makes subnormals normal.
  const float scaled = as_float(magnitude) * as_float((254 - 15) << 23);
  const std::int32_t special = magnitude | 0x7f800000;
  return as_float((magnitude >= 0x0f800000 ? special : as_int(scaled)) | sign);
}

INLINE std::uint16_t float_to_half(float x) {
  const std::int32_t bits = as_int(x);
  const std::int32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
  // Subnormal results: adding 1/2 lets the float addition round at the right bit.
  const std::int32_t subnormal = as_int(as_float(magnitude) + 0.5f) - 0x3f000000;
  const std::int32_t normal =
      std::int32_t(std::uint32_t(magnitude) + 0xc8000fffu + std::uint32_t((magnitude >> 13) & 1)) >> 13;
  std::int32_t h = magnitude < 0x38800000 ? subnormal : normal;
  h = magnitude >= 0x477ff000 ? 0x7c00 : h;
  h = magnitude > 0x7f800000 ? 0x7e00 | ((magnitude >> 13) & 0x3ff) : h;
  return std::uint16_t(sign | h);
}

INLINE std::uint16_t float_to_bfloat16(float x) {
  const std::uint32_t bits = std::uint32_t(as_int(x));
  const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return std::uint16_t((bits & 0x7fffffffu) > 0x7f800000u ? (bits >> 16) | 0x0040u : rounded);
}

}  // namespace

void float_of_half(std::int64_t n, const void* x, void* y) {
  const std::uint16_t* a = static_cast<const std::uint16_t*>(x);
  float* r = static_cast<float*>(y);
  std::int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm256_storeu_ps(r + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i))));
  }
#endif
  for (; i < n; ++i) r[i] = half_to_float(a[i]);
}
void half_of_float(std::int64_t n, const void* x, void* y) {
  const float* a = static_cast<const float*>(x);
  std::uint16_t* r = static_cast<std::uint16_t*>(y);
  std::int64_t i = 0;
#if defined(__F16C__)
  for (; i + 8 <= n; i += 8) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(r + i), _mm256_cvtps_ph(_mm256_loadu_ps(a + i), 0));
  }
#endif
  for (; i < n; ++i) r[i] = float_to_half(a[i]);
}
void float_of_bfloat16(std::int64_t n, const void* x, void* y) {
  const std::uint16_t* a = static_cast<const std::uint16_t*>(x);
  float* r = static_cast<float*>(y);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = as_float(std::int32_t(std::uint32_t(a[i]) << 16));
}
void bfloat16_of_float(std::int64_t n, const void* x, void* y) {
  const float* a = static_cast<const float*>(x);
  std::uint16_t* r = static_cast<std::uint16_t*>(y);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = float_to_bfloat16(a[i]);
}

}  // namespace headrace::HEADRACE_ISA
