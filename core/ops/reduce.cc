// Reductions, scans and segment operations.
#include "core/ops/reduce.h"

#include <vector>

#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

#define FLOATS "bfloat16, float16, float32, float64"
#define COMPLEX "complex64, complex128"
#define INTEGERS "int8, int16, int32, int64, uint8, uint16, uint32, uint64"
#define REALS FLOATS ", " INTEGERS
#define NUMBERS REALS ", " COMPLEX
#define AXES "Tidx: {int32, int64} = int32"
#define SEGMENTS "Tindices: {int32, int64}"
#define NUM_SEGMENTS "Tnumsegments: {int32, int64} = int32"

bool known(const std::optional<PartialInts>& values) {
  if (!values) return false;
  for (const auto value : *values) {
    if (value == kUnknownValue) return false;
  }
  return true;
}

}  // namespace

void reduce_shape(ShapeContext& c) {
  const bool keep_dims = c.attr<bool>("keep_dims");
  const Shape& input = c.input(0);
  require(!c.input(1).has_rank() || c.input(1).rank() <= 1, "reduction_indices has shape ", c.input(1),
          ", expected one axis or a vector of axes");
  const auto axes = c.ints(1);
  if (!input.has_rank()) return c.output(0, Shape::unknown());
  if (!known(axes)) return c.output(0, keep_dims ? Shape::unknown_of_rank(input.rank()) : Shape::unknown());
  std::vector<bool> reduced(std::size_t(input.rank()));
  for (const auto axis : *axes) {
    const auto at = std::size_t(normalize_axis(axis, input.rank()));
    reduced[at] = true;
  }
  std::vector<std::int64_t> dims;
  for (int i = 0; i < input.rank(); ++i) {
    if (!reduced[std::size_t(i)]) {
      dims.push_back(input[i]);
    } else if (keep_dims) {
      dims.push_back(1);
    }
  }
  c.output(0, Shape(std::move(dims)));
}

namespace {

// A product or sum over a whole shape vector is a size that other shapes may be made of.
void reduce_ints_shape(ShapeContext& c, std::int64_t start,
                       bool (*combine)(std::int64_t, std::int64_t, std::int64_t*)) {
  reduce_shape(c);
  const DType dtype = c.input_dtype(0);
  if ((dtype != DType::int32 && dtype != DType::int64) || c.input(0).rank() != 1) return;
  const auto values = c.ints(0);
  const auto axes = c.ints(1);
  if (!known(values) || !known(axes) || axes->empty()) return;
  std::int64_t result = start;
  for (const auto value : *values) {
    if (!combine(result, value, &result)) return;
  }
  c.output_ints(0, {result});
}
void prod_shape(ShapeContext& c) {
  reduce_ints_shape(c, 1, [](auto a, auto b, auto* z) { return !__builtin_mul_overflow(a, b, z); });
}
void sum_shape(ShapeContext& c) {
  reduce_ints_shape(c, 0, [](auto a, auto b, auto* z) { return !__builtin_add_overflow(a, b, z); });
}

void arg_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  c.with_rank(1, 0);
  const auto axis = c.int_value(1);
  if (!input.has_rank()) return c.output(0, Shape::unknown());
  require(input.rank() > 0, "input is a scalar, expected at least one dimension");
  if (!axis) return c.output(0, Shape::unknown_of_rank(input.rank() - 1));
  const int at = normalize_axis(*axis, input.rank());
  require(input[at] != 0, "input is ", input, ": dimension ", at,
          " is empty, so there is no element to point at");
  c.output(0, input.slice(0, at).concat(input.slice(at + 1, input.rank())));
}

void scan_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const auto axis = c.int_value(1);
  if (axis && c.input(0).has_rank()) normalize_axis(*axis, c.input(0).rank());
  same_shape(c);
}

Shape after_first(const Shape& shape) {
  return shape.has_rank() ? shape.slice(1, shape.rank()) : Shape::unknown();
}

void segment_shape(ShapeContext& c) {
  const Shape data = c.with_rank_at_least(0, 1);
  const Shape ids = c.with_rank(1, 1);
  if (data.has_rank()) {
    require(ids.compatible_with(data.slice(0, 1)), "segment_ids is ", ids, " but data is ", data,
            "; give one id for each row of data");
  }
  c.output(0, Shape{kUnknown}.concat(after_first(data)));
}

std::int64_t num_segments(ShapeContext& c, int i) {
  c.with_rank(i, 0);
  const auto count = c.int_value(i);
  if (count) require(*count >= 0, "num_segments is ", *count, ", but it cannot be negative");
  return count.value_or(kUnknown);
}

}  // namespace

void unsorted_segment_shape(ShapeContext& c) {
  const Shape &data = c.input(0), &ids = c.input(1);
  const std::int64_t count = num_segments(c, 2);
  if (!data.has_rank() || !ids.has_rank()) return c.output(0, Shape::unknown());
  require(ids.rank() <= data.rank() && ids.compatible_with(data.slice(0, ids.rank())), "segment_ids is ", ids,
          " but data is ", data, "; the shape of the ids must begin the shape of the data");
  c.output(0, Shape{count}.concat(data.slice(ids.rank(), data.rank())));
}

namespace {

void check_sparse_segments(const ShapeContext& c) {
  const Shape indices = c.with_rank(1, 1), ids = c.with_rank(2, 1);
  require(indices.compatible_with(ids), "indices is ", indices, " but segment_ids is ", ids,
          "; give one id for each index");
}
void sparse_segment_shape(ShapeContext& c) {
  const Shape data = c.with_rank_at_least(0, 1);
  check_sparse_segments(c);
  c.output(0, Shape{kUnknown}.concat(after_first(data)));
}
void sparse_segment_num_shape(ShapeContext& c) {
  const Shape data = c.with_rank_at_least(0, 1);
  check_sparse_segments(c);
  c.output(0, Shape{num_segments(c, 3)}.concat(after_first(data)));
}
void sparse_segment_grad_shape(ShapeContext& c) {
  const Shape grad = c.with_rank_at_least(0, 1);
  check_sparse_segments(c);
  c.output(0, Shape{num_segments(c, 3)}.concat(after_first(grad)));
}

struct Row {
  const char* name;
  const char* doc;
};

}  // namespace

HEADRACE_OPS(reduce) {
  using enum Trait;

  op("Sum")
      .in("input: T", "reduction_indices: Tidx")
      .out("output: T")
      .attr("keep_dims: bool = false", "T: {" NUMBERS "}", AXES)
      .shape(sum_shape)
      .doc("Adds along axes.");
  op("Prod")
      .in("input: T", "reduction_indices: Tidx")
      .out("output: T")
      .attr("keep_dims: bool = false", "T: {" NUMBERS "}", AXES)
      .shape(prod_shape)
      .doc("Multiplies along axes.");
  for (const auto& [name, doc] :
       {Row{"Mean", "Averages along axes."},
        {"EuclideanNorm", "Computes the square root of the sum of squares along axes."}}) {
    op(name)
        .in("input: T", "reduction_indices: Tidx")
        .out("output: T")
        .attr("keep_dims: bool = false", "T: {" NUMBERS "}", AXES)
        .shape(reduce_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] : {Row{"Max", "Takes the largest along axes; NaN if any is."},
                                  {"Min", "Takes the smallest along axes; NaN if any is."}}) {
    op(name)
        .in("input: T", "reduction_indices: Tidx")
        .out("output: T")
        .attr("keep_dims: bool = false", "T: {" REALS "}", AXES)
        .shape(reduce_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] : {Row{"All", "Tells whether all along axes are true."},
                                  {"Any", "Tells whether any along axes is true."}}) {
    op(name)
        .in("input: bool", "reduction_indices: Tidx")
        .out("output: bool")
        .attr("keep_dims: bool = false", AXES)
        .traits(no_gradient)
        .shape(reduce_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"ArgMax", "Computes where along an axis the largest element is, the first of equals."},
        {"ArgMin", "Computes where along an axis the smallest element is, the first of equals."}}) {
    op(name)
        .in("input: T", "dimension: Tidx")
        .out("output: output_type")
        .attr("T: {" NUMBERS ", bool}", AXES, "output_type: {int32, int64} = int64")
        .traits(no_gradient)
        .shape(arg_shape)
        .doc(doc);
  }

  for (const auto& [name, doc] : {Row{"Cumsum", "Computes running sums along an axis."},
                                  {"Cumprod", "Computes running products along an axis."}}) {
    op(name)
        .in("x: T", "axis: Tidx")
        .out("out: T")
        .attr("exclusive: bool = false", "reverse: bool = false", "T: {" NUMBERS "}", AXES)
        .shape(scan_shape)
        .doc(doc);
  }
  op("CumulativeLogsumexp")
      .in("x: T", "axis: Tidx")
      .out("out: T")
      .attr("exclusive: bool = false", "reverse: bool = false", "T: {" FLOATS "}", AXES)
      .shape(scan_shape)
      .doc("Computes running values of log(sum(exp(x))) along an axis.");

  for (const auto& [name, doc] : {Row{"SegmentSum", "Adds the rows of each segment; ids are sorted."},
                                  {"SegmentMean", "Averages the rows of each segment; ids are sorted."},
                                  {"SegmentProd", "Multiplies the rows of each segment; ids are sorted."}}) {
    op(name)
        .in("data: T", "segment_ids: Tindices")
        .out("output: T")
        .attr("T: {" NUMBERS "}", SEGMENTS)
        .shape(segment_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"SegmentMax", "Takes the largest in each segment of rows; ids are sorted."},
        {"SegmentMin", "Takes the smallest in each segment of rows; ids are sorted."}}) {
    op(name)
        .in("data: T", "segment_ids: Tindices")
        .out("output: T")
        .attr("T: {" REALS "}", SEGMENTS)
        .shape(segment_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"UnsortedSegmentSum", "Adds the rows of each segment; negative ids are left out."},
        {"UnsortedSegmentProd", "Multiplies the rows of each segment; negative ids are left out."}}) {
    op(name)
        .in("data: T", "segment_ids: Tindices", "num_segments: Tnumsegments")
        .out("output: T")
        .attr("T: {" NUMBERS "}", SEGMENTS, NUM_SEGMENTS)
        .shape(unsorted_segment_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"UnsortedSegmentMax", "Takes the largest in each segment of rows; negative ids are left out."},
        {"UnsortedSegmentMin", "Takes the smallest in each segment of rows; negative ids are left out."}}) {
    op(name)
        .in("data: T", "segment_ids: Tindices", "num_segments: Tnumsegments")
        .out("output: T")
        .attr("T: {" REALS "}", SEGMENTS, NUM_SEGMENTS)
        .shape(unsorted_segment_shape)
        .doc(doc);
  }
  for (const auto& [kind, types, doc] :
       {std::array{"Sum", "T: {" REALS "}", "Adds the chosen rows of each segment; ids are sorted."},
        {"Mean", "T: {" FLOATS "}", "Averages the chosen rows of each segment; ids are sorted."},
        {"SqrtN", "T: {" FLOATS "}",
         "Adds the chosen rows of each segment, over the root of their number."}}) {
    op("SparseSegment" + std::string(kind))
        .in("data: T", "indices: Tidx", "segment_ids: int32")
        .out("output: T")
        .attr(types, AXES)
        .shape(sparse_segment_shape)
        .doc(doc);
    op("SparseSegment" + std::string(kind) + "WithNumSegments")
        .in("data: T", "indices: Tidx", "segment_ids: int32", "num_segments: Tnumsegments")
        .out("output: T")
        .attr(types, AXES, NUM_SEGMENTS)
        .shape(sparse_segment_num_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"SparseSegmentMeanGrad", "Computes the gradient of SparseSegmentMean."},
        {"SparseSegmentSqrtNGrad", "Computes the gradient of SparseSegmentSqrtN."}}) {
    op(name)
        .in("grad: T", "indices: Tidx", "segment_ids: int32", "output_dim0: int32")
        .out("output: T")
        .attr("T: {" FLOATS "}", AXES)
        .shape(sparse_segment_grad_shape)
        .doc(doc);
  }
}

}  // namespace headrace
