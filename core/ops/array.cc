// Definitions: making arrays, asking for shapes, changing shapes, joining and padding.
// Slices and indices are in slicing.cc, diagonals in diag.cc, blocks and patches in space.cc.
#include <algorithm>
#include <cmath>

#include "core/base/broadcast.h"
#include "core/ops/known_ints.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kIndexType = "{int32, int64} = int32";

std::string index_type(const char* name) { return str(name, ": ", kIndexType); }

// ---- values from outside

void const_shape(ShapeContext& c) {
  const Tensor& value = c.attr<Tensor>("value");
  require(value.dtype() == c.attr<DType>("dtype"), "the value is ", name_of(value.dtype()),
          ", but 'dtype' is ", name_of(c.attr<DType>("dtype")), "; they must be the same");
  c.output(0, value.shape());
}

void attr_shape(ShapeContext& c) { c.output(0, c.attr<Shape>("shape")); }

// The static shape is the attribute's, because another value may be fed.
void default_shape(ShapeContext& c) {
  const Shape& shape = c.attr<Shape>("shape");
  require(shape.compatible_with(c.input(0)), "the default has shape ", c.input(0),
          ", which the placeholder's shape ", shape, " does not allow");
  c.output(0, shape);
}

void identity_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.output(i, c.input(i));
    pass_ints(c, i, i);
  }
}

// ---- shapes as values

void shape_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    const Shape& shape = c.input(i);
    c.output(i, Shape{shape.has_rank() ? shape.rank() : kUnknown});
    if (!shape.has_rank()) continue;
    PartialInts values;
    for (std::int64_t size : shape.dims()) {
      require(size <= INT32_MAX || c.attr<DType>("out_type") == DType::int64, "dimension ", size,
              " does not fit int32; use out_type=int64");
      values.push_back(as_value(size));
    }
    c.output_ints(i, std::move(values));
  }
}

void size_shape(ShapeContext& c) {
  c.output(0, Shape());
  c.output_ints(0, {as_value(c.input(0).size())});
}

void rank_shape(ShapeContext& c) {
  c.output(0, Shape());
  if (c.input(0).has_rank()) c.output_ints(0, {c.input(0).rank()});
}

// ---- the same elements in the same order

void reshape_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  c.with_rank(1, 1);
  const auto values = c.ints(1);
  if (!values) return c.output(0, Shape::unknown());
  require(std::count(values->begin(), values->end(), -1) <= 1,
          "only one dimension of the new shape can be -1");
  Shape shape;
  std::int64_t known = 1;
  int open = -1, open_count = 0;
  for (std::int64_t value : *values) {
    require(value == kUnknownValue || value >= -1, "a shape cannot have the dimension ", value);
    shape.push_back(value < 0 ? kUnknown : value);
    if (value < 0) {
      open = shape.rank() - 1;
      ++open_count;
    } else {
      known = mul_dims(known, value);
    }
  }
  // No elements in one dimension are none at all.
  const bool empty = std::find(input.dims().begin(), input.dims().end(), 0) != input.dims().end();
  const std::int64_t size = empty ? 0 : input.size();
  if (size != kUnknown) {
    if (open_count == 0) {
      require(known == size, "an array of shape ", input, " has ", size, " elements, the new shape ", shape,
              " needs ", known);
    } else if (open_count == 1 && known > 0) {
      require(size % known == 0, "an array of shape ", input, " has ", size,
              " elements, which do not divide into the new shape ", shape);
      shape.set_dim(open, size / known);
    } else if (open_count == 1 && (*values)[open] == -1) {
      invalid("the size of the dimension -1 cannot be told, because the others of the new shape ", shape,
              " have no elements; give it");
    }
  }
  c.output(0, shape);
  if (shape.rank() <= 1) pass_ints(c, 0, 0);
}

void expand_dims_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  require(!c.input(1).is_full() || c.input(1).size() == 1, "the axis must be one number, got shape ",
          c.input(1));
  const auto axis = c.int_value(1);
  if (!input.has_rank()) return c.output(0, Shape::unknown());
  if (!axis) return c.output(0, Shape::unknown_of_rank(input.rank() + 1));
  const int at = normalize_axis(*axis, input.rank() + 1);
  c.output(0, input.slice(0, at).concat(Shape{1}).concat(input.slice(at)));
  if (input.rank() == 0) pass_ints(c, 0, 0);
}

void squeeze_shape(ShapeContext& c) {
  const Shape& input = c.input(0);
  const auto& axes = c.attr<std::vector<std::int64_t>>("squeeze_dims");
  if (!input.has_rank()) return c.output(0, Shape::unknown());
  if (axes.empty() && !input.is_full()) return c.output(0, Shape::unknown());
  std::vector<bool> drop(std::size_t(input.rank()), false);
  for (std::int64_t axis : axes) {
    const int at = normalize_axis(axis, input.rank());
    require(input[at] == 1 || input[at] == kUnknown, "dimension ", at, " of shape ", input, " is ", input[at],
            "; only dimensions of size 1 can be squeezed");
    drop[std::size_t(at)] = true;
  }
  Shape shape;
  for (int i = 0; i < input.rank(); ++i) {
    if (axes.empty() ? input[i] != 1 : !drop[std::size_t(i)]) shape.push_back(input[i]);
  }
  c.output(0, shape);
  pass_ints(c, 0, 0);
}

void bitcast_shape(ShapeContext& c) {
  Shape shape = c.input(0);
  const std::int64_t from = std::int64_t(size_of(c.attr<DType>("T")));
  const std::int64_t to = std::int64_t(size_of(c.attr<DType>("type")));
  if (shape.has_rank()) {
    if (from > to) {
      shape.push_back(from / to);
    } else if (from < to) {
      require(shape.rank() > 0 && (shape[-1] == to / from || shape[-1] == kUnknown),
              "the last dimension of shape ", shape, " must be ", to / from,
              ", the ratio of the sizes of the dtypes");
      shape = shape.slice(0, -1);
    }
  }
  c.output(0, shape);
}

// ---- the same elements in another order

void transpose_shape(ShapeContext& c) {
  Shape input = c.input(0);
  c.with_rank(1, 1);
  const auto perm = c.ints(1);
  if (!perm) return c.output(0, input.has_rank() ? Shape::unknown_of_rank(input.rank()) : Shape::unknown());
  const int rank = int(perm->size());
  require(!input.has_rank() || input.rank() == rank, "the permutation has ", rank,
          " entries for an array of shape ", input, "; it must have one for each dimension");
  if (!input.has_rank()) input = Shape::unknown_of_rank(rank);
  Shape shape;
  std::vector<bool> seen(std::size_t(rank), false);
  for (std::int64_t axis : *perm) {
    if (axis == kUnknownValue) {
      shape.push_back(kUnknown);
      continue;
    }
    const int at = normalize_axis(axis, rank);
    require(!seen[std::size_t(at)], "dimension ", at, " is in the permutation twice; name each once");
    seen[std::size_t(at)] = true;
    shape.push_back(input[at]);
  }
  c.output(0, shape);
  if (rank <= 1) pass_ints(c, 0, 0);
}

void invert_permutation_shape(ShapeContext& c) {
  c.output(0, c.with_rank(0, 1));
  const auto values = known_ints(c, 0);
  if (!values) return;
  PartialInts inverse(values->size(), kUnknownValue);
  for (std::size_t i = 0; i < values->size(); ++i) {
    const std::int64_t at = (*values)[i];
    if (at == kUnknownValue) return;
    require(at >= 0 && at < std::int64_t(inverse.size()), at, " is not in [0, ", inverse.size(),
            "), so this is no permutation");
    inverse[std::size_t(at)] = std::int64_t(i);
  }
  c.output_ints(0, std::move(inverse));
}

// ---- joining

// values[first, last) joined along the axis that input `axis_input` names.
void concat(ShapeContext& c, int first, int last, int axis_input) {
  const auto axis = c.int_value(axis_input);
  int rank = -1;
  for (int i = first; i < last; ++i) {
    if (!c.input(i).has_rank()) continue;
    require(c.input(i).rank() > 0, "scalars cannot be joined; stack them");
    require(rank < 0 || rank == c.input(i).rank(), "arrays of shapes ", c.input(first), " and ", c.input(i),
            " cannot be joined; they must have the same rank");
    rank = c.input(i).rank();
  }
  if (rank < 0) return c.output(0, Shape::unknown());
  if (!axis) return c.output(0, Shape::unknown_of_rank(rank));
  const int at = normalize_axis(*axis, rank);
  Shape shape = Shape::unknown_of_rank(rank);
  std::int64_t total = 0;
  for (int i = first; i < last; ++i) {
    Shape part = c.input(i).has_rank() ? c.input(i) : Shape::unknown_of_rank(rank);
    total = add_dims(total, part[at]);
    part.set_dim(at, kUnknown);
    require(shape.compatible_with(part), "arrays of shapes ", c.input(first), " and ", c.input(i),
            " cannot be joined along axis ", at, "; all other dimensions must agree");
    shape = shape.merge(part);
  }
  shape.set_dim(at, total);
  c.output(0, shape);
  if (rank != 1) return;
  PartialInts joined;
  for (int i = first; i < last; ++i) {
    const auto part = known_ints(c, i);
    if (!part) return;
    joined.insert(joined.end(), part->begin(), part->end());
  }
  c.output_ints(0, std::move(joined));
}

void concat_shape(ShapeContext& c) { concat(c, 1, c.num_inputs(), 0); }
void concat_v2_shape(ShapeContext& c) { concat(c, 0, c.num_inputs() - 1, c.num_inputs() - 1); }

void concat_offset_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  const auto axis = c.int_value(0);
  Shape shape = Shape::unknown_of_rank(1);
  for (int i = 1; i < c.num_inputs(); ++i) shape = shape.merge(c.with_rank(i, 1));
  std::int64_t offset = 0;
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.output(i, shape);
    if (!axis || !shape.is_full()) continue;
    const std::size_t at = std::size_t(normalize_axis(*axis, int(shape[0])));
    PartialInts offsets(std::size_t(shape[0]), 0);
    offsets[at] = as_value(offset);
    c.output_ints(i, std::move(offsets));
    const auto part = known_ints(c, i + 1);
    offset = add_dims(offset, part ? as_dimension((*part)[at]) : kUnknown);
  }
}

void pack_shape(ShapeContext& c) {
  Shape part = Shape::unknown();
  for (int i = 0; i < c.num_inputs(); ++i) {
    require(part.compatible_with(c.input(i)), "arrays of shapes ", part, " and ", c.input(i),
            " cannot be stacked; all must have the same shape");
    part = part.merge(c.input(i));
  }
  if (!part.has_rank()) return c.output(0, Shape::unknown());
  const int at = normalize_axis(c.attr<std::int64_t>("axis"), part.rank() + 1);
  c.output(0, part.slice(0, at).concat(Shape{c.num_inputs()}).concat(part.slice(at)));
  if (part.rank() != 0 || !is_index(c.input_dtype(0))) return;
  PartialInts values;
  for (int i = 0; i < c.num_inputs(); ++i)
    values.push_back(known_ints(c, i).value_or(PartialInts{kUnknownValue})[0]);
  c.output_ints(0, std::move(values));
}

void unpack_shape(ShapeContext& c) {
  const Shape value = c.with_rank_at_least(0, 1);
  if (!value.has_rank()) return;
  const int at = normalize_axis(c.attr<std::int64_t>("axis"), value.rank());
  const std::int64_t count = c.num_outputs();
  require(value[at] == count || value[at] == kUnknown, "dimension ", at, " of shape ", value, " is ",
          value[at], ", but num is ", count, "; they must be the same");
  const Shape part = value.slice(0, at).concat(value.slice(at + 1));
  const auto values = value.rank() == 1 ? known_ints(c, 0) : std::nullopt;
  for (int i = 0; i < count; ++i) {
    c.output(i, part);
    if (values) c.output_ints(i, {(*values)[std::size_t(i)]});
  }
}

// ---- filling

void fill_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const Shape shape = c.shape_value(0);
  if (const auto values = known_ints(c, 0)) {
    require(std::find(values->begin(), values->end(), -1) == values->end(),
            "a shape cannot have the dimension -1");
  }
  c.output(0, shape);
  const auto value = known_ints(c, 1);
  if (value && shape.is_full() && shape.rank() <= 1 && shape.size() <= kMaxPartialInts)
    c.output_ints(0, PartialInts(std::size_t(shape.size()), (*value)[0]));
}

template <std::int64_t value>
void like_shape(ShapeContext& c) {
  const Shape& shape = c.input(0);
  c.output(0, shape);
  if (is_index(c.input_dtype(0)) && shape.is_full() && shape.rank() <= 1 && shape.size() <= kMaxPartialInts)
    c.output_ints(0, PartialInts(std::size_t(shape.size()), value));
}

void tile_shape(ShapeContext& c) {
  Shape input = c.input(0);
  c.with_rank(1, 1);
  const auto multiples = c.ints(1);
  if (!multiples)
    return c.output(0, input.has_rank() ? Shape::unknown_of_rank(input.rank()) : Shape::unknown());
  const int rank = int(multiples->size());
  require(!input.has_rank() || input.rank() == rank, "there are ", rank, " multiples for an array of shape ",
          input, "; give one for each dimension");
  if (!input.has_rank()) input = Shape::unknown_of_rank(rank);
  Shape shape;
  for (int i = 0; i < rank; ++i) {
    const std::int64_t multiple = (*multiples)[std::size_t(i)];
    require(multiple == kUnknownValue || multiple >= 0, "a multiple cannot be negative, got ", multiple);
    shape.push_back(mul_dims(input[i], as_dimension(multiple)));
  }
  c.output(0, shape);
}

void broadcast_to_shape(ShapeContext& c) {
  const Shape shape = c.shape_value(1);
  c.output(0, shape);
  const Shape& input = c.input(0);
  if (!shape.has_rank() || !input.has_rank()) return;
  require(input.rank() <= shape.rank(), "an array of shape ", input, " cannot be broadcast to ", shape,
          ", which has fewer dimensions");
  for (int i = 1; i <= input.rank(); ++i) {
    const std::int64_t from = input[-i], to = shape[-i];
    require(from == kUnknown || to == kUnknown || from == to || from == 1, "an array of shape ", input,
            " cannot be broadcast to ", shape, "; each dimension must be the same, or 1 before");
  }
}

std::optional<Shape> shape_in(ShapeContext& c, int i) {
  const auto values = c.ints(i);
  if (!values) return std::nullopt;
  Shape shape;
  for (std::int64_t value : *values) {
    require(value == kUnknownValue || value >= 0, "a shape cannot have the dimension ", value);
    shape.push_back(as_dimension(value));
  }
  return shape;
}

void broadcast_args_shape(ShapeContext& c) {
  const auto a = shape_in(c, 0), b = shape_in(c, 1);
  const Shape x = c.with_rank(0, 1), y = c.with_rank(1, 1);
  if (!a || !b)
    return c.output(0, Shape{x[0] == kUnknown || y[0] == kUnknown ? kUnknown : std::max(x[0], y[0])});
  const Shape shape = broadcast(*a, *b);
  PartialInts values;
  for (std::int64_t size : shape.dims()) values.push_back(as_value(size));
  c.output(0, Shape{shape.rank()});
  c.output_ints(0, std::move(values));
}

void broadcast_gradient_args_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  c.with_rank(1, 1);
  for (int i = 0; i < 2; ++i) c.output(i, Shape{kUnknown});
  const auto a = shape_in(c, 0), b = shape_in(c, 1);
  if (!a || !b || !a->is_full() || !b->is_full()) return;
  auto axes = broadcast_gradient_axes(*a, *b);
  for (int i = 0; i < 2; ++i) {
    c.output(i, Shape{std::int64_t(axes[i].size())});
    c.output_ints(i, std::move(axes[i]));
  }
}

// ---- padding

// sign is 1 for padding, -1 for taking it off again.
void pad(ShapeContext& c, int sign) {
  const Shape& input = c.input(0);
  const Shape pads = c.with_rank(1, 2);
  require(pads[1] == 2 || pads[1] == kUnknown, "the paddings have shape ", pads,
          "; expected two columns, before and after, and a row for each dimension");
  require(!input.has_rank() || pads[0] == kUnknown || pads[0] == input.rank(), "there are ", pads[0],
          " rows of paddings for an array of shape ", input, "; give one for each dimension");
  const std::int64_t rank = input.has_rank() ? input.rank() : pads[0];
  if (rank == kUnknown) return c.output(0, Shape::unknown());
  const Tensor* value = c.value(1);
  if (!value) return c.output(0, Shape::unknown_of_rank(int(rank)));
  const auto amounts = to_ints(*value);
  Shape shape;
  for (int i = 0; i < int(rank); ++i) {
    const std::int64_t before = amounts[std::size_t(2 * i)], after = amounts[std::size_t(2 * i + 1)];
    require(before >= 0 && after >= 0, "paddings cannot be negative, got ", before, " and ", after);
    const std::int64_t size = input.has_rank() ? input[i] : kUnknown;
    if (size == kUnknown) {
      shape.push_back(kUnknown);
      continue;
    }
    if (c.node().has_attr("mode")) {
      const std::int64_t inner = sign > 0 ? size : size - before - after;
      const std::int64_t limit = c.attr<std::string>("mode") == "REFLECT" ? inner - 1 : inner;
      require(before <= limit && after <= limit, "dimension ", i, " of size ", inner, " has ",
              std::max(limit, std::int64_t(0)), " elements to mirror, fewer than the paddings ", before,
              " and ", after);
    }
    shape.push_back(checked_add(size, sign * checked_add(before, after)));
  }
  c.output(0, shape);
}
void pad_shape(ShapeContext& c) { pad(c, 1); }
void pad_v2_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  pad(c, 1);
}
void mirror_pad_grad_shape(ShapeContext& c) { pad(c, -1); }

// ---- sequences

void one_hot_shape(ShapeContext& c) {
  const Shape& indices = c.input(0);
  for (int i = 1; i < 4; ++i) c.with_rank(i, 0);
  const auto depth = c.int_value(1);
  require(!depth || *depth >= 0, "the depth cannot be negative, got ", depth.value_or(0));
  if (!indices.has_rank()) return c.output(0, Shape::unknown());
  const std::int64_t axis = c.attr<std::int64_t>("axis");
  const int at = normalize_axis(axis, indices.rank() + 1);
  c.output(0, indices.slice(0, at).concat(Shape{depth.value_or(kUnknown)}).concat(indices.slice(at)));
}

double scalar_value(const Tensor& tensor) {
  double value = 0;
  visit(RealTypes{}, tensor.dtype(),
        [&]<class T>(std::type_identity<T>) { value = double(Compute<T>(*tensor.data<T>())); });
  return value;
}

void range_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.with_rank(i, 0);
  c.output(0, Shape{kUnknown});
  if (is_index(c.input_dtype(0))) {
    const auto start = c.int_value(0), limit = c.int_value(1), delta = c.int_value(2);
    require(!delta || *delta != 0, "the step of a range cannot be 0");
    if (!start || !limit || !delta) return;
    require(*start == *limit || (*start < *limit) == (*delta > 0), "a range from ", *start, " to ", *limit,
            " cannot be walked in steps of ", *delta, "; change the sign of the step");
    const std::int64_t length = *limit - *start;
    const std::int64_t size = length / *delta + (length % *delta != 0);
    c.output(0, Shape{size});
    if (size > kMaxPartialInts) return;
    PartialInts values;
    for (std::int64_t i = 0; i < size; ++i) values.push_back(*start + i * *delta);
    return c.output_ints(0, std::move(values));
  }
  const Tensor *start = c.value(0), *limit = c.value(1), *delta = c.value(2);
  if (!start || !limit || !delta) return;
  const double from = scalar_value(*start), to = scalar_value(*limit), step = scalar_value(*delta);
  require(step != 0, "the step of a range cannot be 0");
  require(from == to || (from < to) == (step > 0), "a range from ", from, " to ", to,
          " cannot be walked in steps of ", step, "; change the sign of the step");
  const double count = std::ceil(std::abs((to - from) / step));
  require(count < 9e18, "a range from ", from, " to ", to, " in steps of ", step, " is too long");
  c.output(0, Shape{std::int64_t(count)});
}

void lin_space_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) c.with_rank(i, 0);
  const auto count = c.int_value(2);
  require(!count || *count > 0, "the number of points must be at least 1, got ", count.value_or(0));
  c.output(0, Shape{count.value_or(kUnknown)});
}

}  // namespace

HEADRACE_OPS(array) {
  using enum Trait;

  op("Const")
      .out("output: dtype")
      .attr("value: tensor", "dtype: type")
      .traits(constant, no_gradient)
      .shape(const_shape)
      .doc("A fixed value.");
  op("Placeholder")
      .out("output: dtype")
      .attr("dtype: type", "shape: shape = ?")
      .traits(no_gradient, stateful)
      .shape(attr_shape)
      .doc("A value that must be fed.");
  op("PlaceholderV2")
      .out("output: dtype")
      .attr("dtype: type", "shape: shape")
      .traits(no_gradient, stateful)
      .shape(attr_shape)
      .doc("A value that must be fed.");
  op("PlaceholderWithDefault")
      .in("input: dtype")
      .out("output: dtype")
      .attr("dtype: type", "shape: shape")
      .traits(identity, alias)
      .shape(default_shape)
      .doc("A value that may be fed; `input` otherwise.");
  const auto same_value = [&](const char* name, const char* input, const char* output) {
    op(name)
        .in(input)
        .out(output)
        .attr("T: type")
        .traits(identity, alias)
        .shape(identity_shape)
        .doc("The same value.");
  };
  for (const char* name : {"Identity", "Snapshot", "GuaranteeConst", "DebugGradientIdentity"}) {
    same_value(name, "input: T", "output: T");
  }
  same_value("DeepCopy", "x: T", "y: T");
  op("IdentityN")
      .in("input: T")
      .out("output: T")
      .attr("T: list(type) >= 1")
      .shape(identity_shape)
      .doc("The same values.");
  op("StopGradient")
      .in("input: T")
      .out("output: T")
      .attr("T: type")
      .traits(identity, alias)
      .shape(identity_shape)
      .doc("The same value, which counts as a constant for differentiation.");
  op("PreventGradient")
      .in("input: T")
      .out("output: T")
      .attr("T: type", "message: string = ''")
      .traits(identity, alias)
      .shape(identity_shape)
      .doc("The same value, for which asking a gradient is an error.");
  op("CheckNumerics")
      .in("tensor: T")
      .out("output: T")
      .attr("T: {float16, bfloat16, float32, float64}", "message: string")
      .traits(stateful)
      .shape(same_shape)
      .doc("The same value if all elements are finite, else an error.");

  op("Shape")
      .in("input: T")
      .out("output: out_type")
      .attr("T: type", index_type("out_type"))
      .traits(no_gradient)
      .shape(shape_shape)
      .doc("The shape as a vector.");
  op("ShapeN")
      .in("input: N * T")
      .out("output: N * out_type")
      .attr("N: int >= 1", "T: type", index_type("out_type"))
      .traits(no_gradient)
      .shape(shape_shape)
      .doc("The shape of each input.");
  op("Size")
      .in("input: T")
      .out("output: out_type")
      .attr("T: type", index_type("out_type"))
      .traits(no_gradient)
      .shape(size_shape)
      .doc("The number of elements.");
  op("Rank")
      .in("input: T")
      .out("output: int32")
      .attr("T: type")
      .traits(no_gradient)
      .shape(rank_shape)
      .doc("The number of dimensions.");

  op("Reshape")
      .in("tensor: T", "shape: Tshape")
      .out("output: T")
      .attr("T: type", index_type("Tshape"))
      .traits(alias)
      .shape(reshape_shape)
      .doc("The same elements in another shape; one dimension may be -1, for what is left.");
  op("ExpandDims")
      .in("input: T", "dim: Tdim")
      .out("output: T")
      .attr("T: type", index_type("Tdim"))
      .traits(alias)
      .shape(expand_dims_shape)
      .doc("A new dimension of size 1 before dimension `dim`.");
  op("Squeeze")
      .in("input: T")
      .out("output: T")
      .attr("T: type", "squeeze_dims: list(int) = []")
      .traits(alias)
      .shape(squeeze_shape)
      .doc("Without the dimensions of size 1: all, or those named.");
  op("Bitcast")
      .in("input: T")
      .out("output: type")
      .attr(
          "T: {bfloat16, float16, float32, float64, int64, int32, uint8, uint16, uint32, uint64, int8, "
          "int16, "
          "complex64, complex128}",
          "type: {bfloat16, float16, float32, float64, int64, int32, uint8, uint16, uint32, uint64, int8, "
          "int16, "
          "complex64, complex128}")
      .traits(no_gradient)
      .shape(bitcast_shape)
      .doc("The same bytes read as another dtype.");

  for (const char* name : {"Transpose", "ConjugateTranspose"}) {
    op(name)
        .in("x: T", "perm: Tperm")
        .out("y: T")
        .attr("T: type", index_type("Tperm"))
        .shape(transpose_shape)
        .doc("Dimension i of the result is dimension perm[i] of x; the conjugate one conjugates, too.");
  }
  op("InvertPermutation")
      .in("x: T")
      .out("y: T")
      .attr(index_type("T"))
      .traits(no_gradient)
      .shape(invert_permutation_shape)
      .doc("y with y[x[i]] = i.");

  op("Concat")
      .in("concat_dim: int32", "values: N * T")
      .out("output: T")
      .attr("N: int >= 2", "T: type")
      .shape(concat_shape)
      .doc("Arrays joined along an axis.");
  op("ConcatV2")
      .in("values: N * T", "axis: Tidx")
      .out("output: T")
      .attr("N: int >= 2", "T: type", index_type("Tidx"))
      .traits(Trait::joins)
      .shape(concat_v2_shape)
      .doc("Arrays joined along an axis.");
  op("ConcatOffset")
      .in("concat_dim: int32", "shape: N * int32")
      .out("offset: N * int32")
      .attr("N: int >= 2")
      .traits(no_gradient)
      .shape(concat_offset_shape)
      .doc("Where arrays of these shapes begin in what Concat makes of them.");
  op("Pack")
      .in("values: N * T")
      .out("output: T")
      .attr("N: int >= 1", "T: type", "axis: int = 0")
      .shape(pack_shape)
      .doc("Arrays of one shape stacked along a new axis.");
  op("Unpack")
      .in("value: T")
      .out("output: num * T")
      .attr("num: int >= 0", "T: type", "axis: int = 0")
      .shape(unpack_shape)
      .doc("The slices of an array along an axis.");

  op("Fill")
      .in("dims: index_type", "value: T")
      .out("output: T")
      .attr("T: type", index_type("index_type"))
      .shape(fill_shape)
      .doc("An array with the same value everywhere.");
  op("ZerosLike")
      .in("x: T")
      .out("y: T")
      .attr("T: type")
      .traits(no_gradient)
      .shape(like_shape<0>)
      .doc("Zeros (empty strings, False) in the shape of x.");
  op("OnesLike")
      .in("x: T")
      .out("y: T")
      .attr(
          "T: {bfloat16, float16, float32, float64, int8, uint8, int16, uint16, int32, uint32, int64, "
          "uint64, "
          "complex64, complex128, bool}")
      .traits(no_gradient)
      .shape(like_shape<1>)
      .doc("Ones in the shape of x.");
  op("Tile")
      .in("input: T", "multiples: Tmultiples")
      .out("output: T")
      .attr("T: type", index_type("Tmultiples"))
      .shape(tile_shape)
      .doc("An array repeated so many times along each dimension.");
  op("BroadcastTo")
      .in("input: T", "shape: Tidx")
      .out("output: T")
      .attr("T: type", index_type("Tidx"))
      .shape(broadcast_to_shape)
      .doc("Dimensions of size 1 repeated, and new ones in front, to get this shape.");
  op("BroadcastArgs")
      .in("s0: T", "s1: T")
      .out("r0: T")
      .attr(index_type("T"))
      .traits(no_gradient)
      .shape(broadcast_args_shape)
      .doc("The shape that two shapes broadcast to.");
  op("BroadcastGradientArgs")
      .in("s0: T", "s1: T")
      .out("r0: T", "r1: T")
      .attr(index_type("T"))
      .traits(no_gradient)
      .shape(broadcast_gradient_args_shape)
      .doc("The axes over which a gradient must be summed for each of two operands that were broadcast.");

  op("Pad")
      .in("input: T", "paddings: Tpaddings")
      .out("output: T")
      .attr("T: type", index_type("Tpaddings"))
      .shape(pad_shape)
      .doc("Zeros around an array: paddings[i] = (before, after) for dimension i.");
  op("PadV2")
      .in("input: T", "paddings: Tpaddings", "constant_values: T")
      .out("output: T")
      .attr("T: type", index_type("Tpaddings"))
      .shape(pad_v2_shape)
      .doc("A constant around an array: paddings[i] = (before, after) for dimension i.");
  op("MirrorPad")
      .in("input: T", "paddings: Tpaddings")
      .out("output: T")
      .attr("T: type", index_type("Tpaddings"), "mode: {'REFLECT', 'SYMMETRIC'}")
      .shape(pad_shape)
      .doc("An array's mirror image around it, without its border (REFLECT) or with it (SYMMETRIC).");
  op("MirrorPadGrad")
      .in("input: T", "paddings: Tpaddings")
      .out("output: T")
      .attr("T: type", index_type("Tpaddings"), "mode: {'REFLECT', 'SYMMETRIC'}")
      .shape(mirror_pad_grad_shape)
      .doc("The gradient of MirrorPad: mirrored elements are added to where they came from.");

  op("OneHot")
      .in("indices: TI", "depth: int32", "on_value: T", "off_value: T")
      .out("output: T")
      .attr("axis: int = -1", "T: type", "TI: {uint8, int32, int64} = int64")
      .traits(no_gradient)
      .shape(one_hot_shape)
      .doc("on_value at each index along a new axis of size depth, off_value elsewhere.");
  op("Range")
      .in("start: Tidx", "limit: Tidx", "delta: Tidx")
      .out("output: Tidx")
      .attr("Tidx: {bfloat16, float16, float32, float64, int32, int64} = int32")
      .traits(no_gradient)
      .shape(range_shape)
      .doc("start, start + delta, ... before limit.");
  op("LinSpace")
      .in("start: T", "stop: T", "num: Tidx")
      .out("output: T")
      .attr("T: {bfloat16, float32, float64}", index_type("Tidx"))
      .traits(no_gradient)
      .shape(lin_space_shape)
      .doc("num points at equal distances from start to stop, both included.");
}

}  // namespace headrace
