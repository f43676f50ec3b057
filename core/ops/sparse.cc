// Definitions of operations on sparse tensors: indices (n, rank), values (n) and a dense shape (rank).
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

void to_dense_shape(ShapeContext& c) {
  const Shape& indices = c.input(0);
  require(!indices.has_rank() || indices.rank() <= 2, "sparse_indices have the shape ", indices,
          ", expected [n, rank]");
  c.with_rank(1, 1);
  const Shape& values = c.input(2);
  require(!values.has_rank() || values.rank() <= 1, "sparse_values have the shape ", values,
          ", expected [n]");
  c.with_rank(3, 0);
  Shape shape = c.shape_value(1);
  if (indices.has_rank() && indices.rank() == 2 && indices[1] != kUnknown) {
    require(!shape.has_rank() || shape.rank() == indices[1], "sparse_indices have the shape ", indices,
            ", output_shape has ", shape.rank(), " dimensions; give an index for each");
  }
  if (indices.has_rank() && indices.rank() == 2 && values.has_rank() && values.rank() == 1) {
    require(indices[0] == kUnknown || values[0] == kUnknown || indices[0] == values[0], "there are ",
            indices[0], " indices and ", values[0], " values; give as many");
  }
  c.output(0, shape);
}

void reorder_shape(ShapeContext& c) {
  const Shape indices = c.with_rank(0, 2), values = c.with_rank(1, 1), shape = c.with_rank(2, 1);
  const std::int64_t count = Shape{indices[0]}.merge(values)[0], rank = Shape{indices[1]}.merge(shape)[0];
  c.output(0, Shape{count, rank});
  c.output(1, Shape{count});
}

}  // namespace

HEADRACE_OPS(sparse) {
  op("SparseToDense")
      .in("sparse_indices: Tindices", "output_shape: Tindices", "sparse_values: T", "default_value: T")
      .out("dense: T")
      .attr("validate_indices: bool = true", "T: type", "Tindices: {int32, int64}")
      .shape(to_dense_shape)
      .doc(
          "A tensor of `output_shape` with the values at their indices, and the default elsewhere. One value "
          "may stand for all. With `validate_indices`, they have to be in order and different.");
  op("SparseReorder")
      .in("input_indices: int64", "input_values: T", "input_shape: int64")
      .out("output_indices: int64", "output_values: T")
      .attr("T: type")
      .shape(reorder_shape)
      .doc("A sparse tensor with its elements in row-major order.");
}

}  // namespace headrace
