// Products of matrices and of batches of them.
#include <algorithm>

#include "core/base/einsum.h"
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using enum Trait;

// The two matrix dimensions of input i as the product sees them.
struct Matrix {
  std::int64_t rows, columns;
};
Matrix matrix(const Shape& shape, bool transposed) {
  return transposed ? Matrix{shape[-1], shape[-2]} : Matrix{shape[-2], shape[-1]};
}

void check_inner(const ShapeContext& c, std::int64_t a, std::int64_t b, bool transpose_a, bool transpose_b) {
  require(a == kUnknown || b == kUnknown || a == b,
          "inner dimensions differ: ", c.node().op().inputs()[0].name, " is ", c.input(0),
          transpose_a ? " transposed" : "", ", ", c.node().op().inputs()[1].name, " is ", c.input(1),
          transpose_b ? " transposed" : "", "; transpose one, or pass matching shapes");
}

void matmul_shape(ShapeContext& c) {
  const bool ta = c.attr<bool>("transpose_a"), tb = c.attr<bool>("transpose_b");
  const Matrix a = matrix(c.with_rank(0, 2), ta), b = matrix(c.with_rank(1, 2), tb);
  check_inner(c, a.columns, b.rows, ta, tb);
  c.output(0, Shape{a.rows, b.columns});
}

void batch_matmul_shape(ShapeContext& c) {
  const bool adj_x = c.attr<bool>("adj_x"), adj_y = c.attr<bool>("adj_y");
  const Shape x = c.with_rank_at_least(0, 2), y = c.with_rank_at_least(1, 2);
  if (!x.has_rank() || !y.has_rank()) {
    // Equal ranks are asked for, so one known rank tells the other's.
    return c.output(0, x.merge(y).has_rank() ? Shape::unknown_of_rank(x.merge(y).rank()) : Shape::unknown());
  }
  require(x.rank() == y.rank() && x.slice(0, -2).compatible_with(y.slice(0, -2)),
          "batch dimensions differ: x is ", x, ", y is ", y,
          "; reshape one, or use BatchMatMulV2, which broadcasts");
  const Matrix a = matrix(x, adj_x), b = matrix(y, adj_y);
  check_inner(c, a.columns, b.rows, adj_x, adj_y);
  c.output(0, x.slice(0, -2).merge(y.slice(0, -2)).concat(Shape{a.rows, b.columns}));
}

void batch_matmul_v2_shape(ShapeContext& c) {
  const bool adj_x = c.attr<bool>("adj_x"), adj_y = c.attr<bool>("adj_y");
  const Shape x = c.with_rank_at_least(0, 2), y = c.with_rank_at_least(1, 2);
  if (!x.has_rank() || !y.has_rank()) return c.output(0, Shape::unknown());
  const Matrix a = matrix(x, adj_x), b = matrix(y, adj_y);
  check_inner(c, a.columns, b.rows, adj_x, adj_y);
  c.output(0, broadcast(x.slice(0, -2), y.slice(0, -2)).concat(Shape{a.rows, b.columns}));
}

void added_product_shape(ShapeContext& c) {
  const Shape a = c.with_rank(1, 2), b = c.with_rank(2, 2);
  require(a[0] == kUnknown || b[0] == kUnknown || a[0] == b[0], "a has ", a[0], " rows, b has ", b[0]);
  scalar_shape(c);
}

void einsum_shape(ShapeContext& c) {
  const std::string& equation = c.attr<std::string>("equation");
  require(c.num_inputs() <= 2, "there are ", c.num_inputs(), " operands; an Einsum has one or two");
  std::vector<Shape> shapes;
  for (int i = 0; i < c.num_inputs(); ++i) shapes.push_back(c.input(i));
  c.output(0, Shape::unknown());
  // Without an ellipsis, the equation tells ranks.
  std::string_view terms = std::string_view(equation).substr(0, equation.find("->"));
  for (Shape& shape : shapes) {
    const std::string_view term = terms.substr(0, terms.find(','));
    terms.remove_prefix(std::min(terms.size(), term.size() + 1));
    if (shape.has_rank()) continue;
    if (term.find('.') != term.npos) return;
    const auto rank = std::count_if(term.begin(), term.end(), [](char label) { return label != ' '; });
    shape = Shape(std::vector<std::int64_t>(std::size_t(rank), kUnknown));
  }
  const EinsumLabels labels = parse_einsum(equation, shapes);
  const auto sizes = einsum_sizes(equation, labels, shapes);
  Shape result;
  for (const Label label : labels.output) result.push_back(sizes.at(label));
  c.output(0, result);
}

HEADRACE_OPS(matmul) {
  const auto types = "T: {bfloat16, float16, float32, float64, int32, int64, complex64, complex128}";
  define_fused(op("MatMul")
                   .in("a: T", "b: T")
                   .out("product: T")
                   .attr("transpose_a: bool = false", "transpose_b: bool = false", types)
                   .traits(Trait::matrix_product)
                   .shape(matmul_shape)
                   .doc("Multiplies two matrices, each transposed first if asked for."));
  define_fused(
      op("BatchMatMul")
          .in("x: T", "y: T")
          .out("output: T")
          .attr(types, "adj_x: bool = false", "adj_y: bool = false")
          .shape(batch_matmul_shape)
          .doc("Multiplies the matrices of two batches of the same shape, each conjugate-transposed first if "
               "asked for."));
  define_fused(op("BatchMatMulV2")
                   .in("x: T", "y: T")
                   .out("output: T")
                   .attr(types, "adj_x: bool = false", "adj_y: bool = false")
                   .shape(batch_matmul_v2_shape)
                   .doc("Multiplies the matrices of two batches whose batch dimensions broadcast."));
  // The sums of passes/loop_sums.cc.
  const auto summed = "T: {float32, float64, complex64, complex128}";
  op("_ProductSum")
      .in("total: T")
      .out("sum: variant")
      .attr(summed)
      .traits(no_gradient)
      .shape(scalar_shape)
      .doc("Starts a sum of a matrix and of products of others.");
  op("_AddProduct")
      .in("sum: variant", "a: T", "b: T")
      .out("sum: variant")
      .attr(summed)
      .traits(no_gradient)
      .shape(added_product_shape)
      .doc("Adds the transpose of `a` times `b` to a sum, at once or together with the next ones.");
  op("_ProductTotal")
      .in("sum: variant")
      .out("total: T")
      .attr(summed, "shape: shape")
      .traits(no_gradient)
      .shape([](ShapeContext& c) { c.output(0, c.attr<Shape>("shape")); })
      .doc("What a sum comes to.");
  op("Einsum")
      .in("inputs: N * T")
      .out("output: T")
      .attr("equation: string", "N: int >= 1", types)
      .shape(einsum_shape)
      .doc(
          "Products of elements summed along labelled dimensions, such as \"bij,bjk->bik\"; one operand or "
          "two.");
}

}  // namespace
}  // namespace headrace
