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

void solve_shape(ShapeContext& c) {
  const Shape matrix = c.with_rank_at_least(0, 2), rhs = c.with_rank_at_least(1, 2);
  if (!matrix.has_rank() || !rhs.has_rank()) return c.output(0, Shape::unknown());
  require(matrix.slice(-1).compatible_with(matrix.slice(-2, -1)), "matrix has shape ", matrix,
          "; its last two dimensions must be the same");
  const std::int64_t size = matrix.slice(-1).merge(matrix.slice(-2, -1))[0];
  require(Shape{size}.compatible_with(rhs.slice(-2, -1)), "matrix has shape ", matrix, ", rhs ", rhs,
          "; there must be as many rows");
  const Shape rows = Shape{size}.merge(rhs.slice(-2, -1));
  c.output(0, matrix.slice(0, -2).merge(rhs.slice(0, -2)).concat(rows).concat(rhs.slice(-1)));
}

}  // namespace

HEADRACE_OPS(linalg) {
  op("MatrixTriangularSolve")
      .in("matrix: T", "rhs: T")
      .out("output: T")
      .attr("lower: bool = true", "adjoint: bool = false",
            "T: {float64, float32, float16, complex64, complex128}")
      .shape(solve_shape)
      .doc("Solves matrix * output = rhs for triangular matrices; what is beyond the triangle is not read.");
  op("Qr")
      .in("input: T")
      .out("q: T", "r: T")
      .attr("full_matrices: bool = false", "T: {float64, float32, float16, complex64, complex128}")
      .shape(qr_shape)
      .doc("Matrices as products of one with orthonormal columns and an upper triangular one.");
}

}  // namespace headrace
