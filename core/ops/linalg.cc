// Definitions of linear algebra: decompositions of matrices, in the last two dimensions.
#include <algorithm>

#include "core/registry/ops.h"

namespace headrace {
namespace {

void qr_shape(ShapeContext& c) {
  const Shape matrix = c.with_rank_at_least(0, 2);
  if (!matrix.has_rank()) {
    c.output(0, Shape::unknown());
    c.output(1, Shape::unknown());
    return;
  }
  const std::int64_t rows = matrix[-2], columns = matrix[-1];
  const std::int64_t less = rows == kUnknown || columns == kUnknown ? kUnknown : std::min(rows, columns);
  const std::int64_t inner = c.attr<bool>("full_matrices") ? rows : less;
  const Shape batch = matrix.slice(0, -2);
  c.output(0, batch.concat(Shape{rows, inner}));
  c.output(1, batch.concat(Shape{inner, columns}));
}

}  // namespace

HEADRACE_OPS(linalg) {
  op("Qr")
      .in("input: T")
      .out("q: T", "r: T")
      .attr("full_matrices: bool = false", "T: {float64, float32, float16, complex64, complex128}")
      .shape(qr_shape)
      .doc("Matrices as products of one with orthonormal columns and an upper triangular one.");
}

}  // namespace headrace
