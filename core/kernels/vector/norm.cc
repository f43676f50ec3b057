#include "core/kernels/vector/norm.h"

namespace headrace::HEADRACE_ISA {
namespace {

// Four rows at once: a sum is then loaded and stored once for four elements.
constexpr std::int64_t kRows = 4;

void sum(std::int64_t rows, std::int64_t channels, const float* __restrict x, float* __restrict sums) {
  std::int64_t row = 0;
  for (; row + kRows <= rows; row += kRows, x += kRows * channels) {
    for (std::int64_t i = 0; i < channels; ++i)
      sums[i] += (x[i] + x[channels + i]) + (x[2 * channels + i] + x[3 * channels + i]);
  }
  for (; row < rows; ++row, x += channels) {
    for (std::int64_t i = 0; i < channels; ++i) sums[i] += x[i];
  }
}

void squares(std::int64_t rows, std::int64_t channels, const float* __restrict x,
             const float* __restrict mean, float* __restrict sums) {
  std::int64_t row = 0;
  for (; row + kRows <= rows; row += kRows, x += kRows * channels) {
    for (std::int64_t i = 0; i < channels; ++i) {
      const float a = x[i] - mean[i], b = x[channels + i] - mean[i];
      const float c = x[2 * channels + i] - mean[i], d = x[3 * channels + i] - mean[i];
      sums[i] += (a * a + b * b) + (c * c + d * d);
    }
  }
  for (; row < rows; ++row, x += channels) {
    for (std::int64_t i = 0; i < channels; ++i) sums[i] += (x[i] - mean[i]) * (x[i] - mean[i]);
  }
}

template <bool residual, bool rectify>
void scale_as(std::int64_t rows, std::int64_t channels, const float* x, const float* __restrict factor,
              const float* __restrict shift, const float* r, float* y) {
  for (std::int64_t row = 0; row < rows; ++row) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < channels; ++i) {
      float value = x[i] * factor[i] + shift[i];
      if (residual) value += r[i];
      y[i] = rectify && value <= 0 ? 0.0f : value;
    }
    x += channels, y += channels;
    if (residual) r += channels;
  }
}

void scale(std::int64_t rows, std::int64_t channels, const float* x, const float* factor, const float* shift,
           const float* residual, bool rectify, float* y) {
  if (residual && rectify) return scale_as<true, true>(rows, channels, x, factor, shift, residual, y);
  if (residual) return scale_as<true, false>(rows, channels, x, factor, shift, residual, y);
  if (rectify) return scale_as<false, true>(rows, channels, x, factor, shift, residual, y);
  scale_as<false, false>(rows, channels, x, factor, shift, residual, y);
}

constexpr NormLoops kLoops{sum, squares, scale};

}  // namespace

const NormLoops& norm_loops() { return kLoops; }

}  // namespace headrace::HEADRACE_ISA
