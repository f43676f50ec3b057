#include "core/kernels/vector/gemm.h"

#if defined(HEADRACE_ISA_avx512)
#define VECTOR_BYTES 64
#elif defined(HEADRACE_ISA_avx2)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

namespace headrace::HEADRACE_ISA {
namespace {

template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(VECTOR_BYTES)));
  static constexpr int lanes = VECTOR_BYTES / sizeof(T);
};

// Two vectors wide, and as many rows as leave registers for them: the accumulators never leave the registers.
#if defined(HEADRACE_ISA_avx512)
constexpr int kRows = 12;
#elif defined(HEADRACE_ISA_avx2)
constexpr int kRows = 6;
#else
constexpr int kRows = 4;
#endif

template <class T>
void run(std::int64_t depth, const T* a, const T* b, T* tile) {
  using V = typename VectorOf<T>::type;
  constexpr int lanes = VectorOf<T>::lanes;
  V* out = reinterpret_cast<V*>(tile);
  V sums[kRows][2];
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) sums[r][0] = out[2 * r], sums[r][1] = out[2 * r + 1];
  for (std::int64_t k = 0; k < depth; ++k) {
    const V b0 = *reinterpret_cast<const V*>(b), b1 = *reinterpret_cast<const V*>(b + lanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const V x = V{} + a[r];
      sums[r][0] += x * b0;
      sums[r][1] += x * b1;
    }
    a += kRows;
    b += 2 * lanes;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) out[2 * r] = sums[r][0], out[2 * r + 1] = sums[r][1];
}

template <class T>
const GemmTile<T>* tile_of() {
  static constexpr GemmTile<T> tile{kRows, 2 * VectorOf<T>::lanes, run<T>};
  return &tile;
}

// Complex numbers are rare enough for loops that the compiler unrolls as it sees fit.
template <class T>
void run_complex(std::int64_t depth, const std::complex<T>* a, const std::complex<T>* b,
                 std::complex<T>* tile) {
  constexpr int rows = 2, columns = 8;
  T real[rows][columns] = {}, imaginary[rows][columns] = {};
  for (std::int64_t k = 0; k < depth; ++k, a += rows, b += columns) {
    for (int r = 0; r < rows; ++r) {
      const T x = a[r].real(), y = a[r].imag();
      for (int c = 0; c < columns; ++c) {
        real[r][c] += x * b[c].real() - y * b[c].imag();
        imaginary[r][c] += x * b[c].imag() + y * b[c].real();
      }
    }
  }
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) tile[r * columns + c] += std::complex<T>(real[r][c], imaginary[r][c]);
  }
}

template <class T>
const GemmTile<std::complex<T>>* complex_tile_of() {
  static constexpr GemmTile<std::complex<T>> tile{2, 8, run_complex<T>};
  return &tile;
}

}  // namespace

const GemmTile<float>* gemm_tile(float) { return tile_of<float>(); }
const GemmTile<double>* gemm_tile(double) { return tile_of<double>(); }
const GemmTile<std::int32_t>* gemm_tile(std::int32_t) { return tile_of<std::int32_t>(); }
const GemmTile<std::int64_t>* gemm_tile(std::int64_t) { return tile_of<std::int64_t>(); }
const GemmTile<std::complex<float>>* gemm_tile(std::complex<float>) { return complex_tile_of<float>(); }
const GemmTile<std::complex<double>>* gemm_tile(std::complex<double>) { return complex_tile_of<double>(); }

}  // namespace headrace::HEADRACE_ISA
