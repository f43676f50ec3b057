// Random bits and what becomes of them; core/kernels/random.cc says which bits belong to which number.
#include "core/kernels/vector/functions.h"
#include "core/kernels/vector/isa.h"

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

// Philox of core/kernels/philox.h for `blocks` counters, `stride` apart: vectors hold one word of many
// blocks.
void philox(std::uint64_t key, std::uint64_t low, std::uint64_t high, std::uint64_t stride,
            std::int64_t blocks, std::uint32_t* words) {
  const std::uint32_t high0 = std::uint32_t(high), high1 = std::uint32_t(high >> 32);
  const std::uint32_t key0 = std::uint32_t(key), key1 = std::uint32_t(key >> 32);
  for (std::int64_t i = 0; i < blocks; ++i) {
    const std::uint64_t counter = low + std::uint64_t(i) * stride;
    std::uint32_t c0 = std::uint32_t(counter), c1 = std::uint32_t(counter >> 32), c2 = high0, c3 = high1;
    std::uint32_t k0 = key0, k1 = key1;
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t(0xD2511F53u) * c0, p1 = std::uint64_t(0xCD9E8D57u) * c2;
      c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0;
      c1 = std::uint32_t(p1);
      c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1;
      c3 = std::uint32_t(p0);
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    words[4 * i] = c0;
    words[4 * i + 1] = c1;
    words[4 * i + 2] = c2;
    words[4 * i + 3] = c3;
  }
}

INLINE float uniform_of(std::uint32_t bits) {
  return as_float(std::int32_t(0x3F800000u | (bits & 0x007FFFFFu))) - 1.0f;
}

void uniform(std::int64_t n, const std::uint32_t* words, float* y) {
  for (std::int64_t i = 0; i < n; ++i) y[i] = uniform_of(words[i]);
}

// Sine and cosine of an angle in [0, 2 pi], to about an ulp of 1: pi / 2 is subtracted in three parts that
// make each product exact. The polynomials are those of S. Moshier's Cephes library.
struct Direction {
  float sin, cos;
};
INLINE Direction direction_of(float angle) {
  const float shifted = angle * 0.636619772f + kRound;
  const std::int32_t quadrant = as_int(shifted);
  const float whole = shifted - kRound;
  const float r =
      ((angle - whole * 1.5703125f) - whole * 4.837512969970703125e-4f) - whole * 7.54978995489e-8f;
  const float s = r * r;
  const float sine = r + r * s * polynomial(s, -1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f);
  const float cosine =
      1.0f - 0.5f * s +
      s * s * polynomial(s, 2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f);
  const bool swap = quadrant & 1;
  const float y = swap ? cosine : sine, x = swap ? sine : cosine;
  // Signs by quadrant: the second bit of it for the sine, of the next one for the cosine.
  return {as_float(as_int(y) ^ std::int32_t(std::uint32_t(quadrant & 2) << 30)),
          as_float(as_int(x) ^ std::int32_t(std::uint32_t((quadrant + 1) & 2) << 30))};
}

// Box and Muller's transformation of n / 2 pairs.
void normal(std::int64_t n, const std::uint32_t* words, float* y) {
  for (std::int64_t i = 0; i < n / 2; ++i) {
    const float u = at_least(uniform_of(words[2 * i]), 1e-7f), v = uniform_of(words[2 * i + 1]);
    const float radius = __builtin_sqrtf(-2.0f * log_of(u));
    const Direction direction = direction_of(6.2831853071795864769f * v);
    y[2 * i] = direction.sin * radius;
    y[2 * i + 1] = direction.cos * radius;
  }
}

}  // namespace

vector::Random random() { return {philox, uniform, normal}; }

}  // namespace headrace::HEADRACE_ISA
