// The inner loops of batch normalisation over channels that come last, one for each instruction set (norm.cc
// is compiled once for each). Arrays with a value for each channel are `channels` long; x, y and the like are
// (rows, channels).
#pragma once

#include <cstdint>

namespace headrace {

struct NormLoops {
  // sums += the sums over rows of x.
  void (*sum)(std::int64_t rows, std::int64_t channels, const float* x, float* sums);
  // squares += the sums over rows of (x - mean)^2.
  void (*squares)(std::int64_t rows, std::int64_t channels, const float* x, const float* mean,
                  float* squares);
  // y = x * factor + shift, plus `residual` if there is one, rectified if asked for. A NaN stays.
  void (*scale)(std::int64_t rows, std::int64_t channels, const float* x, const float* factor,
                const float* shift, const float* residual, bool rectify, float* y);
  // sums += the sums over rows of dy, products += those of dy * (x - mean).
  void (*grad_sums)(std::int64_t rows, std::int64_t channels, const float* dy, const float* x,
                    const float* mean, float* sums, float* products);
  // dx = dy * a + x * b + c; dx may be dy or x.
  void (*grad)(std::int64_t rows, std::int64_t channels, const float* dy, const float* x, const float* a,
               const float* b, const float* c, float* dx);
};

#define HEADRACE_DECLARE_NORM(ISA) \
  namespace ISA {                  \
  const NormLoops& norm_loops();   \
  }
HEADRACE_DECLARE_NORM(baseline)
HEADRACE_DECLARE_NORM(avx2)
HEADRACE_DECLARE_NORM(avx512)
#undef HEADRACE_DECLARE_NORM

}  // namespace headrace
