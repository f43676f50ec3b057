// What a product of (batches of) matrices computes, read off its node and shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/shape.h"
#include "core/registry/kernel.h"

namespace headrace {

// For each i of `batch`: out[i] (m, n) = a[a_batch(i)] (m, k) times b[b_batch(i)] (k, n), where a transposed
// operand lies in memory the other way round.
struct Product {
  explicit Product(PrepareContext& c);

  std::int64_t batch, m, n, k;
  bool transpose_a, transpose_b, conjugate_a, conjugate_b;
  Shape x_batch, y_batch;  // the operands' batch dimensions, before broadcasting

  std::int64_t a_batch(std::int64_t i) const { return a_index.empty() ? i : a_index[std::size_t(i)]; }
  std::int64_t b_batch(std::int64_t i) const { return b_index.empty() ? i : b_index[std::size_t(i)]; }

 private:
  std::vector<std::int64_t> a_index, b_index;  // empty where nothing broadcasts
};

}  // namespace headrace
