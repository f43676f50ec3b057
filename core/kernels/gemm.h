// Our own matrix product, for what the library does not compute: other dtypes, and convolutions of them.
//
// C (m, n) = A (m, k) times B (k, n), blocked for the caches and the registers. Operands are read through
// callbacks that pack them, so that a transposed matrix, a 16-bit one or the patches of an image need no copy
// of their own; the result is handed out tile by tile. T is the type that computes.
#pragma once

#include <cstdint>

#include "core/base/parallel.h"

namespace headrace {

// Packs A's rows [row, row + rows) of columns [k, k + depth): into[d * stride + r] = A[row + r, k + d].
template <class T>
using PackRows =
    FunctionRef<void(std::int64_t row, int rows, std::int64_t k, int depth, T* into, int stride)>;
// Packs B's columns [column, column + columns) of rows [k, k + depth): into[d * stride + c] = B[k + d, column
// + c].
template <class T>
using PackColumns =
    FunctionRef<void(std::int64_t column, int columns, std::int64_t k, int depth, T* into, int stride)>;
// Takes C[row + r, column + c] = tile[r * stride + c].
template <class T>
using StoreTile = FunctionRef<void(std::int64_t row, int rows, std::int64_t column, int columns,
                                   const T* tile, int stride)>;

// For float, double, int32, int64 and the complex types.
template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, PackRows<T> pack_a, PackColumns<T> pack_b,
          StoreTile<T> store);

}  // namespace headrace
