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

void grad_sums(std::int64_t rows, std::int64_t channels, const float* __restrict dy,
               const float* __restrict x, const float* __restrict mean, float* __restrict sums,
               float* __restrict products) {
  const std::int64_t n = channels;
  std::int64_t row = 0;
  for (; row + kRows <= rows; row += kRows, dy += kRows * n, x += kRows * n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const float a = dy[i], b = dy[n + i], c = dy[2 * n + i], d = dy[3 * n + i];
      sums[i] += (a + b) + (c + d);
      products[i] += (a * (x[i] - mean[i]) + b * (x[n + i] - mean[i])) +
                     (c * (x[2 * n + i] - mean[i]) + d * (x[3 * n + i] - mean[i]));
    }
  }
  for (; row < rows; ++row, dy += n, x += n) {
    for (std::int64_t i = 0; i < n; ++i) {
      sums[i] += dy[i];
      products[i] += dy[i] * (x[i] - mean[i]);
    }
  }
}

void grad(std::int64_t rows, std::int64_t channels, const float* dy, const float* x,
          const float* __restrict a, const float* __restrict b, const float* __restrict c, float* dx) {
  for (std::int64_t row = 0; row < rows; ++row, dy += channels, x += channels, dx += channels) {
#pragma GCC ivdep
    for (std::int64_t i = 0; i < channels; ++i) dx[i] = dy[i] * a[i] + (x[i] * b[i] + c[i]);
  }
}

constexpr NormLoops kLoops{sum, squares, scale, grad_sums, grad};

}  // namespace

const NormLoops& norm_loops() { return kLoops; }

}  // namespace headrace::HEADRACE_ISA
