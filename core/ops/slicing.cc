// Definitions: taking pieces of arrays and putting pieces together, by position, by index or by value.
#include <algorithm>

#include "core/base/slice.h"
#include "core/ops/known_ints.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kIndices = "Tindices: {int32, int64}";
constexpr const char* kOutIndex = "out_idx: {int32, int64} = int32";

// ---- by position

void split_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const Shape& value = c.input(1);
  const auto axis = c.int_value(0);
  Shape part = Shape::unknown();
  if (value.has_rank() && axis) {
    part = value;
    const int at = normalize_axis(*axis, value.rank());
    const std::int64_t count = c.num_outputs();
    require(value[at] == kUnknown || value[at] % count == 0, "dimension ", at, " of shape ", value,
            " does not divide into ", count, " equal parts");
    if (value[at] != kUnknown) part.set_dim(at, value[at] / count);
  } else if (value.has_rank()) {
    require(value.rank() > 0, "a scalar cannot be split");
    part = Shape::unknown_of_rank(value.rank());
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, part);
}

void split_v_shape(ShapeContext& c) {
  const Shape& value = c.input(0);
  const int count = c.num_outputs();
  require(c.with_rank(1, 1).compatible_with(Shape{count}), "there are ", c.input(1)[0], " sizes for ", count,
          " parts; give one for each");
  c.with_rank(2, 0);
  const auto sizes = c.ints(1);
  const auto axis = c.int_value(2);
  if (!value.has_rank()) return;
  require(value.rank() > 0, "a scalar cannot be split");
  Shape part = axis ? value : Shape::unknown_of_rank(value.rank());
  if (axis) part.set_dim(normalize_axis(*axis, value.rank()), kUnknown);
  if (!axis || !sizes) {
    for (int i = 0; i < count; ++i) c.output(i, part);
    return;
  }
  const int at = normalize_axis(*axis, value.rank());
  std::int64_t given = 0;
  int open = 0;
  bool unknown = false;
  for (std::int64_t size : *sizes) {
    require(size == kUnknownValue || size >= -1, "a part cannot have the size ", size);
    unknown |= size == kUnknownValue;
    if (size >= 0) given += size;
    open += size == -1;
  }
  require(open <= 1, "only one of the sizes can be -1");
  if (value[at] != kUnknown && !unknown) {
    require(open ? given <= value[at] : given == value[at], "the sizes add up to ", given, ", but dimension ",
            at, " of shape ", value, " is ", value[at]);
  }
  for (int i = 0; i < count; ++i) {
    std::int64_t size = (*sizes)[std::size_t(i)];
    if (size == -1) size = unknown || value[at] == kUnknown ? kUnknown : value[at] - given;
    part.set_dim(at, as_dimension(size));
    c.output(i, part);
  }
}

void slice_shape(ShapeContext& c) {
  Shape input = c.input(0);
  const Shape bounds = c.with_rank(1, 1).merge(c.with_rank(2, 1));
  const auto size = c.ints(2);
  if (!input.has_rank() && bounds[0] != kUnknown) input = Shape::unknown_of_rank(int(bounds[0]));
  require(!input.has_rank() || bounds[0] == kUnknown || bounds[0] == input.rank(), "begin and size have ",
          bounds[0], " entries for an array of shape ", input, "; give one for each dimension");
  if (!size) return c.output(0, input.has_rank() ? Shape::unknown_of_rank(input.rank()) : Shape::unknown());
  const bool to_end = std::find_if(size->begin(), size->end(), [](auto n) { return n < 0; }) != size->end();
  // Where every size is given, nobody needs to know the beginnings to tell the shape.
  const Tensor* known_begin = c.node().input(1).node->constant();
  const auto begin = to_end || known_begin || c.node().input(1).node->ints(c.node().input(1).index)
                         ? c.ints(1)
                         : std::nullopt;
  Shape shape;
  for (int i = 0; i < input.rank(); ++i) {
    const std::int64_t n = (*size)[std::size_t(i)], from = begin ? (*begin)[std::size_t(i)] : kUnknownValue;
    require(n == kUnknownValue || n >= -1, "a size cannot be ", n, "; use -1 for all that is left");
    if (from != kUnknownValue && input[i] != kUnknown) {
      const std::int64_t length = n < 0 ? 0 : n;
      require(from >= 0 && from <= input[i] && length <= input[i] - from, "a slice of ", length,
              " elements from ", from, " goes beyond dimension ", i, " of shape ", input);
    }
    if (n == -1) {
      shape.push_back(from == kUnknownValue || input[i] == kUnknown ? kUnknown : input[i] - from);
    } else {
      shape.push_back(as_dimension(n));
    }
  }
  c.output(0, shape);
  const auto values = input.rank() == 1 && shape.is_full() ? known_ints(c, 0) : std::nullopt;
  if (values && begin && (*begin)[0] != kUnknownValue)
    c.output_ints(0, PartialInts(values->begin() + (*begin)[0], values->begin() + (*begin)[0] + shape[0]));
}

// The expression of a strided slice whose begin, end and strides are inputs first, first + 1 and first + 2;
// nothing if not even their number is known.
std::optional<SliceExpression> slice_expression(ShapeContext& c, int first) {
  for (int i = first; i < first + 3; ++i) c.with_rank(i, 1);
  const auto begin = c.ints(first), end = c.ints(first + 1), strides = c.ints(first + 2);
  if (!begin && !end && !strides) return std::nullopt;
  const std::size_t count = (begin ? begin : end ? end : strides)->size();
  const PartialInts unknown(count, kUnknownValue);
  SliceExpression expression = masks_of(c);
  expression.begin = begin.value_or(unknown);
  expression.end = end.value_or(unknown);
  expression.strides = strides.value_or(unknown);
  return expression;
}

void strided_slice_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  const auto expression = slice_expression(c, 1);
  if (!expression || !input.has_rank()) return c.output(0, Shape::unknown());
  const SliceResult slice = resolve_slice(*expression, input, kUnknownValue);
  c.output(0, slice.shape);
  if (input.rank() != 1 || slice.shape.rank() > 1) return;
  const SliceRange& range = slice.ranges[0];
  const auto values = known_ints(c, 0);
  if (!values || !range.begin_known || range.size == kUnknown) return;
  PartialInts taken;
  for (std::int64_t i = 0; i < range.size; ++i)
    taken.push_back((*values)[std::size_t(range.begin + i * range.stride)]);
  c.output_ints(0, std::move(taken));
}

void strided_slice_grad_shape(ShapeContext& c) {
  const Shape shape = c.shape_value(0);
  c.output(0, shape);
  const auto expression = slice_expression(c, 1);
  if (!expression || !shape.has_rank()) return;
  const Shape slice = resolve_slice(*expression, shape, kUnknownValue).shape;
  require(slice.compatible_with(c.input(4)), "dy has shape ", c.input(4), ", but the slice has ", slice);
}

void strided_slice_update_shape(ShapeContext& c) {
  c.output(0, c.input(0));
  slice_expression(c, 1);
}

void reverse_shape(ShapeContext& c) {
  const Shape dims = c.with_rank(1, 1);
  c.output(0, c.input(0));
  if (dims[0] == kUnknown) return;
  if (!c.input(0).has_rank()) return c.output(0, Shape::unknown_of_rank(int(dims[0])));
  require(dims[0] == c.input(0).rank(), "there are ", dims[0], " flags for an array of shape ", c.input(0),
          "; give one for each dimension");
}

void reverse_v2_shape(ShapeContext& c) {
  c.with_rank(1, 1);
  c.output(0, c.input(0));
  const auto axes = c.input(0).has_rank() ? c.ints(1) : std::nullopt;
  if (!axes) return;
  std::vector<bool> seen(std::size_t(c.input(0).rank()), false);
  for (std::int64_t axis : *axes) {
    if (axis == kUnknownValue) continue;
    const int at = normalize_axis(axis, c.input(0).rank());
    require(!seen[std::size_t(at)], "axis ", at, " is named twice");
    seen[std::size_t(at)] = true;
  }
}

void roll_shape(ShapeContext& c) {
  c.output(0, c.with_rank_at_least(0, 1));
  for (int i : {1, 2}) {
    const Shape& shape = c.input(i);
    require(!shape.has_rank() || shape.rank() <= 1, "shift and axis must be numbers or vectors, got shape ",
            shape);
  }
  require(c.input(1).compatible_with(c.input(2)), "there are shifts of shape ", c.input(1),
          " for axes of shape ", c.input(2), "; give one for each axis");
  const auto axes = c.input(0).has_rank() ? known_ints(c, 2) : std::nullopt;
  if (!axes) return;
  for (std::int64_t axis : *axes) {
    if (axis != kUnknownValue) normalize_axis(axis, c.input(0).rank());
  }
}

void reverse_sequence_shape(ShapeContext& c) {
  Shape input = c.input(0);
  const Shape lengths = c.with_rank(1, 1);
  if (input.has_rank()) {
    const int batch = normalize_axis(c.attr<std::int64_t>("batch_dim"), input.rank());
    const int seq = normalize_axis(c.attr<std::int64_t>("seq_dim"), input.rank());
    require(batch != seq, "the batch and the sequence cannot both be dimension ", seq);
    input.set_dim(batch, merge_dims(input[batch], lengths[0], "the batch and the number of lengths"));
  }
  c.output(0, input);
}

// ---- by index

void unravel_index_shape(ShapeContext& c) {
  const Shape vector = c.with_rank(1, 1);
  const Shape& indices = c.input(0);
  if (!indices.has_rank()) return;
  require(indices.rank() <= 1, "the indices must be a scalar or a vector, got shape ", indices);
  c.output(0, vector.concat(indices));
}

void gather_shape(ShapeContext& c) {
  c.output(0, c.input(1).concat(c.with_rank_at_least(0, 1).slice(1)));
  const auto values = known_ints(c, 0), indices = known_ints(c, 1);
  if (!values || !indices || c.input(0).rank() != 1) return;
  PartialInts taken;
  for (std::int64_t i : *indices) {
    require(i == kUnknownValue || (i >= 0 && i < std::int64_t(values->size())), "index ", i,
            " is not in [0, ", values->size(), ")");
    taken.push_back(i == kUnknownValue ? i : (*values)[std::size_t(i)]);
  }
  c.output_ints(0, std::move(taken));
}

void gather_v2_shape(ShapeContext& c) {
  const Shape params = c.with_rank_at_least(0, 1);
  const Shape& indices = c.input(1);
  c.with_rank(2, 0);
  const auto axis = c.int_value(2);
  std::int64_t batch = c.attr<std::int64_t>("batch_dims");
  if (!indices.has_rank() && batch != 0) return c.output(0, Shape::unknown());
  if (batch < 0) batch += indices.rank();
  require(batch >= 0 && (!indices.has_rank() || batch <= indices.rank()), "batch_dims ", batch,
          " is out of range for indices of shape ", indices);
  if (!params.has_rank()) return c.output(0, Shape::unknown());
  require(batch < params.rank(), "batch_dims ", batch, " is out of range for an array of shape ", params);
  if (!axis) {
    return c.output(0, indices.has_rank()
                           ? Shape::unknown_of_rank(params.rank() - 1 + indices.rank() - int(batch))
                           : Shape::unknown());
  }
  const int at = normalize_axis(*axis, params.rank());
  require(batch <= at, "batch_dims ", batch, " must not be greater than axis ", at);
  if (!indices.has_rank()) return c.output(0, Shape::unknown());
  Shape shape;
  for (int i = 0; i < int(batch); ++i)
    shape.push_back(
        merge_dims(params[i], indices[i], "the batch dimensions of the array and of the indices"));
  c.output(0, shape.concat(params.slice(int(batch), at))
                  .concat(indices.slice(int(batch), indices.rank()))
                  .concat(params.slice(at + 1)));
  if (batch == 0 && at == 0 && params.rank() == 1) {
    const Shape whole = c.outputs()[0];
    gather_shape(c);
    c.output(0, whole);
  }
}

// The shape of one element that an index vector of length `depth` names.
Shape element_shape(const Shape& params, std::int64_t depth) {
  if (!params.has_rank() || depth == kUnknown) return Shape::unknown();
  require(depth <= params.rank(), "an index has ", depth, " entries for an array of shape ", params,
          "; expected at most one for each dimension");
  return params.slice(int(depth));
}

void gather_nd_shape(ShapeContext& c) {
  const Shape indices = c.with_rank_at_least(1, 1);
  if (!indices.has_rank()) return;
  c.output(0, indices.slice(0, -1).concat(element_shape(c.input(0), indices[-1])));
}

void check_updates(const Shape& shape, const Shape& indices, const Shape& updates) {
  if (!indices.has_rank() || indices.rank() == 0) return;
  const Shape expected = indices.slice(0, -1).concat(element_shape(shape, indices[-1]));
  require(expected.compatible_with(updates), "the updates have shape ", updates, " for indices of shape ",
          indices, " into an array of shape ", shape, "; expected ", expected);
}

void scatter_nd_shape(ShapeContext& c) {
  const Shape shape = c.shape_value(2);
  check_updates(shape, c.with_rank_at_least(0, 1), c.input(1));
  c.output(0, shape);
}

void tensor_scatter_shape(ShapeContext& c) {
  check_updates(c.input(0), c.with_rank_at_least(1, 1), c.input(2));
  c.output(0, c.input(0));
}

// ---- by value: the shapes depend on the data

void where_shape(ShapeContext& c) {
  c.output(0, Shape{kUnknown, c.input(0).has_rank() ? c.input(0).rank() : kUnknown});
}

void unique_shape(ShapeContext& c) {
  const Shape x = c.with_rank(0, 1);
  c.output(0, Shape{kUnknown});
  c.output(1, x);
  if (c.num_outputs() > 2) c.output(2, Shape{kUnknown});
}

void unique_v2_shape(ShapeContext& c) {
  Shape y = c.input(0);
  c.with_rank(1, 1);
  const auto axes = c.ints(1);
  c.output(1, Shape{kUnknown});
  if (c.num_outputs() > 2) c.output(2, Shape{kUnknown});
  if (!y.has_rank()) return;
  require(!axes || axes->size() <= 1, "expected one axis or none, got ", axes ? axes->size() : 0);
  if (axes && axes->empty()) {
    require(y.rank() == 1, "an array of shape ", y, " needs an axis");
    c.output(1, y);
    return c.output(0, Shape{kUnknown});
  }
  const bool known = axes && (*axes)[0] != kUnknownValue;
  if (!known) return c.output(0, Shape::unknown_of_rank(y.rank()));
  const int at = normalize_axis((*axes)[0], y.rank());
  c.output(1, Shape{y[at]});
  y.set_dim(at, kUnknown);
  c.output(0, y);
}

void list_diff_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 1);
  c.output(0, Shape{kUnknown});
  c.output(1, Shape{kUnknown});
}

void bound_shape(ShapeContext& c) {
  const Shape sorted = c.with_rank(0, 2), values = c.with_rank(1, 2);
  require(sorted.slice(0, 1).compatible_with(values.slice(0, 1)), "there are ", sorted[0],
          " sorted rows and ", values[0], " rows of values; there must be as many");
  c.output(0, values.merge(Shape{sorted[0], kUnknown}));
}

void dynamic_partition_shape(ShapeContext& c) {
  const Shape &data = c.input(0), &partitions = c.input(1);
  if (!partitions.has_rank()) return;
  if (data.has_rank()) {
    require(data.rank() >= partitions.rank() && data.slice(0, partitions.rank()).compatible_with(partitions),
            "the partitions have shape ", partitions, ", which is not how the data's shape ", data,
            " begins");
  }
  const Shape part = Shape{kUnknown}.concat(data.has_rank() ? data.slice(partitions.rank()) : data);
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, part);
}

// Indices that are constants tell the shape; others are data.
void dynamic_stitch_shape(ShapeContext& c) {
  const int count = c.num_inputs() / 2;
  Shape element = Shape::unknown();
  std::int64_t size = 0;
  for (int i = 0; i < count; ++i) {
    const Shape &indices = c.input(i), &data = c.input(count + i);
    if (const Tensor* known = c.node().input(i).node->constant()) {
      for (std::int64_t index : to_ints(*known)) {
        if (size != kUnknown) size = std::max(size, index + 1);
      }
    } else {
      size = kUnknown;
    }
    if (!indices.has_rank() || !data.has_rank()) continue;
    require(data.rank() >= indices.rank() && data.slice(0, indices.rank()).compatible_with(indices),
            "indices ", i, " have shape ", indices, ", which is not how the shape of their data ", data,
            " begins");
    const Shape rest = data.slice(indices.rank());
    require(element.compatible_with(rest), "data ", i, " has elements of shape ", rest, ", others have ",
            element, "; all must be the same");
    element = element.merge(rest);
  }
  c.output(0, Shape{size}.concat(element));
}

OpDef& strided(OpDef& op) {
  return op.attr("T: type", "Index: {int32, int64}", "begin_mask: int = 0", "end_mask: int = 0",
                 "ellipsis_mask: int = 0", "new_axis_mask: int = 0", "shrink_axis_mask: int = 0");
}

}  // namespace

HEADRACE_OPS(slicing) {
  using enum Trait;

  op("Split")
      .in("split_dim: int32", "value: T")
      .out("output: num_split * T")
      .attr("num_split: int >= 1", "T: type")
      .shape(split_shape)
      .doc("Equal parts of an array along an axis.");
  op("SplitV")
      .in("value: T", "size_splits: Tlen", "split_dim: int32")
      .out("output: num_split * T")
      .attr("num_split: int >= 1", "T: type", "Tlen: {int32, int64} = int64")
      .traits(Trait::cuts)
      .shape(split_v_shape)
      .doc("Parts of these sizes of an array along an axis; one size may be -1, for what is left.");
  op("Slice")
      .in("input: T", "begin: Index", "size: Index")
      .out("output: T")
      .attr("T: type", "Index: {int32, int64}")
      .shape(slice_shape)
      .doc("size[i] elements from begin[i] on along dimension i, or all that are left if size[i] is -1.");
  strided(op("StridedSlice").in("input: T", "begin: Index", "end: Index", "strides: Index").out("output: T"))
      .shape(strided_slice_shape)
      .doc("An extended slice, as x[1:9:2, ..., None, 3].");
  strided(op("StridedSliceGrad")
              .in("shape: Index", "begin: Index", "end: Index", "strides: Index", "dy: T")
              .out("output: T"))
      .shape(strided_slice_grad_shape)
      .doc("dy where StridedSlice would read an array of this shape, zeros elsewhere.");
  strided(op("TensorStridedSliceUpdate")
              .in("input: T", "begin: Index", "end: Index", "strides: Index", "value: T")
              .out("output: T"))
      .shape(strided_slice_update_shape)
      .doc("The input with an extended slice of it replaced.");
  op("Reverse")
      .in("tensor: T", "dims: bool")
      .out("output: T")
      .attr(
          "T: {uint8, int8, uint16, int16, int32, int64, bool, float16, float32, float64, complex64, "
          "complex128, "
          "string}")
      .shape(reverse_shape)
      .doc("The elements in reverse order along the dimensions whose flag is set.");
  op("ReverseV2")
      .in("tensor: T", "axis: Tidx")
      .out("output: T")
      .attr("Tidx: {int32, int64} = int32",
            "T: {uint8, int8, uint16, int16, uint32, int32, uint64, int64, bool, bfloat16, float16, float32, "
            "float64, "
            "complex64, complex128, string}")
      .shape(reverse_v2_shape)
      .doc("The elements in reverse order along these axes.");
  op("Roll")
      .in("input: T", "shift: Tshift", "axis: Taxis")
      .out("output: T")
      .attr("T: type", "Tshift: {int32, int64}", "Taxis: {int32, int64}")
      .shape(roll_shape)
      .doc(
          "The elements moved by `shift` places along each axis; those that fall off come in at the other "
          "end.");
  op("ReverseSequence")
      .in("input: T", "seq_lengths: Tlen")
      .out("output: T")
      .attr("seq_dim: int", "batch_dim: int = 0", "T: type", "Tlen: {int32, int64} = int64")
      .shape(reverse_sequence_shape)
      .doc("The first seq_lengths[b] elements of each sequence b in reverse order, the others as they are.");

  op("UnravelIndex")
      .in("indices: Tidx", "dims: Tidx")
      .out("output: Tidx")
      .attr("Tidx: {int32, int64} = int32")
      .traits(no_gradient)
      .shape(unravel_index_shape)
      .doc("The index vectors of flat indices into an array of shape dims, one column each.");
  op("Gather")
      .in("params: Tparams", "indices: Tindices")
      .out("output: Tparams")
      .attr("validate_indices: bool = true", "Tparams: type", kIndices)
      .shape(gather_shape)
      .doc("params[i] for each index i.");
  op("GatherV2")
      .in("params: Tparams", "indices: Tindices", "axis: Taxis")
      .out("output: Tparams")
      .attr("batch_dims: int = 0", "Tparams: type", kIndices, "Taxis: {int32, int64}")
      .shape(gather_v2_shape)
      .doc("The slices of params along an axis that the indices name, separately for each batch.");
  op("GatherNd")
      .in("params: Tparams", "indices: Tindices")
      .out("output: Tparams")
      .attr("Tparams: type", kIndices)
      .shape(gather_nd_shape)
      .doc("params[i0, i1, ...] for each index vector (i0, i1, ...) along the last dimension of indices.");
  op("ScatterNd")
      .in("indices: Tindices", "updates: T", "shape: Tindices")
      .out("output: T")
      .attr("T: type", kIndices)
      .shape(scatter_nd_shape)
      .doc("An array of zeros of this shape to which updates are added at the places of the indices.");
  op("TensorScatterUpdate")
      .in("tensor: T", "indices: Tindices", "updates: T")
      .out("output: T")
      .attr("T: type", kIndices)
      .shape(tensor_scatter_shape)
      .doc("The tensor with elements replaced at the places of the indices.");
  for (const char* name : {"TensorScatterAdd", "TensorScatterSub"}) {
    op(name)
        .in("tensor: T", "indices: Tindices", "updates: T")
        .out("output: T")
        .attr("T: type", kIndices)
        .shape(tensor_scatter_shape)
        .doc("The tensor with updates added (subtracted) at the places of the indices.");
  }

  op("Where")
      .in("input: T")
      .out("index: int64")
      .attr(
          "T: {float32, float64, int32, uint8, int16, int8, complex64, int64, bfloat16, uint16, complex128, "
          "float16, "
          "uint32, uint64, bool} = bool")
      .traits(no_gradient)
      .shape(where_shape)
      .doc("The places of what is true or not zero, one row each, in row-major order.");
  op("Unique")
      .in("x: T")
      .out("y: T", "idx: out_idx")
      .attr("T: type", kOutIndex)
      .shape(unique_shape)
      .doc("The different elements in the order in which they first occur, and x as indices into them.");
  op("UniqueWithCounts")
      .in("x: T")
      .out("y: T", "idx: out_idx", "count: out_idx")
      .attr("T: type", kOutIndex)
      .shape(unique_shape)
      .doc("Unique, and how often each occurs.");
  op("UniqueV2")
      .in("x: T", "axis: Taxis")
      .out("y: T", "idx: out_idx")
      .attr("T: type", "Taxis: {int32, int64} = int64", kOutIndex)
      .shape(unique_v2_shape)
      .doc(
          "The different slices along an axis in the order in which they first occur, and the indices into "
          "them.");
  op("UniqueWithCountsV2")
      .in("x: T", "axis: Taxis")
      .out("y: T", "idx: out_idx", "count: out_idx")
      .attr("T: type", "Taxis: {int32, int64} = int64", kOutIndex)
      .shape(unique_v2_shape)
      .doc("UniqueV2, and how often each occurs.");
  op("ListDiff")
      .in("x: T", "y: T")
      .out("out: T", "idx: out_idx")
      .attr("T: type", kOutIndex)
      .shape(list_diff_shape)
      .doc("The elements of x that are not in y, and their places in x.");
  for (const char* name : {"LowerBound", "UpperBound"}) {
    op(name)
        .in("sorted_inputs: T", "values: T")
        .out("output: out_type")
        .attr("T: type", "out_type: {int32, int64} = int32")
        .traits(no_gradient)
        .shape(bound_shape)
        .doc(
            "Where each value could go into its sorted row: before equal elements (lower) or after them "
            "(upper).");
  }

  op("DynamicPartition")
      .in("data: T", "partitions: int32")
      .out("outputs: num_partitions * T")
      .attr("num_partitions: int >= 1", "T: type")
      .shape(dynamic_partition_shape)
      .doc("The elements of data whose partition is i go to output i, in order.");
  for (const char* name : {"DynamicStitch", "ParallelDynamicStitch"}) {
    op(name)
        .in("indices: N * int32", "data: N * T")
        .out("merged: T")
        .attr("N: int >= 1", "T: type")
        .shape(dynamic_stitch_shape)
        .doc("merged[indices[m][i]] = data[m][i]; of several for one place the last counts.");
  }
}

}  // namespace headrace
