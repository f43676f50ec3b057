// The inner loop of our own matrix products, one for each instruction set (gemm.cc is compiled once for
// each).
#pragma once

#include <complex>
#include <cstdint>

namespace headrace {

// Adds the product of two packed panels to a tile: tile[r * columns + c] += sum over k of a[k * rows + r] *
// b[k * columns + c]. The sizes of the tile are the instruction set's.
template <class T>
struct GemmTile {
  int rows, columns;
  void (*run)(std::int64_t depth, const T* a, const T* b, T* tile);
};

#define HEADRACE_DECLARE_GEMM(ISA)                                       \
  namespace ISA {                                                        \
  const GemmTile<float>* gemm_tile(float);                               \
  const GemmTile<double>* gemm_tile(double);                             \
  const GemmTile<std::int32_t>* gemm_tile(std::int32_t);                 \
  const GemmTile<std::int64_t>* gemm_tile(std::int64_t);                 \
  const GemmTile<std::complex<float>>* gemm_tile(std::complex<float>);   \
  const GemmTile<std::complex<double>>* gemm_tile(std::complex<double>); \
  }
HEADRACE_DECLARE_GEMM(baseline)
HEADRACE_DECLARE_GEMM(avx2)
HEADRACE_DECLARE_GEMM(avx512)
#undef HEADRACE_DECLARE_GEMM

}  // namespace headrace
