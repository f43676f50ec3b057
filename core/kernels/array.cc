// Kernels: values, shapes, transposes, joins, fills and paddings.
//
// Kernels that only move elements know their width, not their dtype (strided_copy.h).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/base/broadcast.h"
#include "core/base/parallel.h"
#include "core/kernels/box.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

std::int64_t product(std::span<const std::int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t(1), std::multiplies<>());
}

std::string join_ints(const Ints& values) {
  std::string text;
  for (std::int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

// ---- values from outside, and values that are passed on

std::unique_ptr<Kernel> prepare_const(PrepareContext& c) {
  c.fixed_output(0, c.attr<Tensor>("value"));
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_placeholder(PrepareContext& c) {
  c.own_output(0);
  return kernel(
      [name = c.node().name(), dtype = c.output_dtype(0), shape = c.attr<Shape>("shape")](RunContext&) {
        invalid("no value was fed for the placeholder '", name, "' of dtype ", name_of(dtype), " and shape ",
                shape, "; pass one in feed_dict");
      });
}

std::unique_ptr<Kernel> prepare_same(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.alias(i, i);
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_check_numerics(PrepareContext& c) {
  c.alias(0, 0);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([n = c.input_shape(0).size(), message = c.attr<std::string>("message")](RunContext& r) {
      const T* x = r.input<T>(0);
      bool nan = false, infinite = false;
      for (std::int64_t i = 0; i < n; ++i) {
        nan |= std::isnan(Compute<T>(x[i]));
        infinite |= std::isinf(Compute<T>(x[i]));
      }
      require(!nan && !infinite, message, message.empty() ? "" : ": ", "the tensor has ",
              nan && infinite ? "NaN and infinite"
              : nan           ? "NaN"
                              : "infinite",
              " elements");
    });
  });
  return made;
}

// ---- shapes as values

template <class Value>
std::unique_ptr<Kernel> fixed_ints(PrepareContext& c, Value value) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    visit(IndexTypes{}, c.output_dtype(i), [&]<class T>(std::type_identity<T>) {
      const Ints values = value(c.input_shape(i));
      Tensor tensor(dtype_v<T>, c.output_shape(i));
      std::transform(values.begin(), values.end(), tensor.data<T>(), [](std::int64_t v) { return T(v); });
      c.fixed_output(i, std::move(tensor));
    });
  }
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_shape(PrepareContext& c) {
  return fixed_ints(c, [](const Shape& shape) { return Ints(shape.dims().begin(), shape.dims().end()); });
}
std::unique_ptr<Kernel> prepare_size(PrepareContext& c) {
  return fixed_ints(c, [](const Shape& shape) { return Ints{shape.size()}; });
}
std::unique_ptr<Kernel> prepare_rank(PrepareContext& c) {
  return fixed_ints(c, [](const Shape& shape) { return Ints{shape.rank()}; });
}

// Vectors of integers computed from others: nearly always folded, so these are only simple.
template <class Compute>
std::unique_ptr<Kernel> small_ints(PrepareContext& c, Compute compute) {
  std::vector<int> inputs(std::size_t(c.num_inputs()));
  std::iota(inputs.begin(), inputs.end(), 0);
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel(
      [values = FromInts<std::vector<Ints>>(c, inputs, compute), dtype = c.output_dtype(0)](RunContext& r) {
        values.with(r, [&](const std::vector<Ints>& all) {
          for (int i = 0; i < int(all.size()); ++i) {
            visit(IndexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
              const std::vector<T> narrow(all[std::size_t(i)].begin(), all[std::size_t(i)].end());
              r.set_output(i, Tensor::vector<T>(std::span<const T>(narrow)));
            });
          }
        });
      });
}

std::unique_ptr<Kernel> prepare_broadcast_args(PrepareContext& c) {
  return small_ints(c, [](const std::vector<Ints>& in) -> std::vector<Ints> {
    const Shape shape = broadcast(Shape(in[0]), Shape(in[1]));
    return {Ints(shape.dims().begin(), shape.dims().end())};
  });
}

std::unique_ptr<Kernel> prepare_broadcast_gradient_args(PrepareContext& c) {
  return small_ints(c, [](const std::vector<Ints>& in) -> std::vector<Ints> {
    auto axes = broadcast_gradient_axes(Shape(in[0]), Shape(in[1]));
    return {std::move(axes[0]), std::move(axes[1])};
  });
}

std::unique_ptr<Kernel> prepare_concat_offset(PrepareContext& c) {
  return small_ints(c, [](const std::vector<Ints>& in) {
    const int axis = normalize_axis(in[0][0], int(in[1].size()));
    std::vector<Ints> offsets;
    std::int64_t offset = 0;
    for (std::size_t i = 1; i < in.size(); ++i) {
      offsets.emplace_back(in[i].size(), 0);
      offsets.back()[std::size_t(axis)] = offset;
      offset += in[i][std::size_t(axis)];
    }
    return offsets;
  });
}

std::unique_ptr<Kernel> prepare_invert_permutation(PrepareContext& c) {
  return small_ints(c, [](const std::vector<Ints>& in) -> std::vector<Ints> {
    Ints inverse(in[0].size(), -1);
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      const std::int64_t at = in[0][i];
      require(at >= 0 && at < std::int64_t(inverse.size()) && inverse[std::size_t(at)] < 0, "entry ", at,
              " is out of range or there twice, so this is no permutation of [0, ", inverse.size(), ")");
      inverse[std::size_t(at)] = std::int64_t(i);
    }
    return {inverse};
  });
}

// ---- other shapes

std::unique_ptr<Kernel> prepare_squeeze(PrepareContext& c) {
  c.alias(0, 0);
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_reshape(PrepareContext& c) {
  c.alias(0, 0);
  if (c.constant(1)) return nothing_to_run();
  // The number of elements alone can tell the shape; what was asked for must agree.
  return kernel(
      [asked = FromInts<bool>(c, {1}, [from = c.input_shape(0), to = c.output_shape(0)](auto& values) {
         bool same = std::int64_t(values[0].size()) == to.rank();
         for (int i = 0; same && i < to.rank(); ++i) {
           const std::int64_t size = values[0][std::size_t(i)];
           same = size == -1 || size == to[i];
         }
         const auto open = std::count(values[0].begin(), values[0].end(), -1);
         require(same && open <= 1, "an array of shape ", from, " has ", from.size(),
                 " elements, and does not fit the new shape (", join_ints(values[0]), ")");
         return true;
       })](RunContext& r) { asked.with(r, [](bool) {}); });
}

std::unique_ptr<Kernel> prepare_bitcast(PrepareContext& c) {
  const std::size_t bytes = std::size_t(c.output_shape(0).size()) * size_of(c.output_dtype(0));
  return kernel([bytes](RunContext& r) {
    if (bytes) std::memcpy(r.output<void>(0), r.input<void>(0), bytes);
  });
}

// ---- transposes

StridedCopy transposing(DType dtype, const Shape& from, const Shape& to, const Ints& perm) {
  const Ints strides = strides_of(from.dims());
  Ints dims, from_strides;
  std::vector<bool> seen(std::size_t(from.rank()), false);
  for (std::int64_t axis : perm) {
    const std::size_t at = std::size_t(normalize_axis(axis, from.rank()));
    require(!seen[at], "dimension ", at, " is in the permutation twice; name each once");
    seen[at] = true;
    dims.push_back(from[int(at)]);
    from_strides.push_back(strides[at]);
  }
  require(Shape(dims) == to, "the result has shape ", Shape(dims), ", where ", to, " is expected");
  return StridedCopy(dtype, dims, from_strides, strides_of(dims));
}

// Whether a permutation leaves every element where it is in memory.
bool moves_nothing(const Shape& shape, const Ints& perm) {
  int last = -1;
  for (std::int64_t axis : perm) {
    const int at = normalize_axis(axis, shape.rank());
    if (shape[at] == 1) continue;
    if (at < last) return false;
    last = at;
  }
  return true;
}

template <bool conjugate>
std::unique_ptr<Kernel> prepare_transpose(PrepareContext& c) {
  const DType dtype = c.input_dtype(0);
  const bool conjugating = conjugate && is_complex(dtype);
  const auto perm = c.constant_ints(1);
  if (perm && !conjugating && moves_nothing(c.input_shape(0), *perm)) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  FromInts<StridedCopy> copy(c, {1}, [dtype, from = c.input_shape(0), to = c.output_shape(0)](auto& values) {
    return transposing(dtype, from, to, values[0]);
  });
  return kernel(
      [copy, dtype, conjugating, n = c.output_shape(0).size(), output = OutputMemory(c, 0)](RunContext& r) {
        void* to = output(r);
        copy.with(r, [&](const StridedCopy& made) { made.run(r.input<void>(0), to); });
        if (!conjugating) return;
        visit(ComplexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
          T* y = static_cast<T*>(to);
          for (std::int64_t i = 0; i < n; ++i) y[i] = std::conj(y[i]);
        });
      });
}

// ---- joining and taking apart

// The part of an array along an axis: [outer, part of `total`, inner] seen as rows of part * inner elements
// that are total * inner apart.
struct Part {
  StridedCopy copy;
  std::int64_t offset;  // in the whole
  bool contiguous;      // there, too
};

enum class Direction { in, out };  // into the whole, or out of it

// Parts with sizes that add up to the whole's dimension `axis`.
std::vector<Part> parts_of(DType dtype, const Shape& whole, int axis, const Ints& sizes,
                           Direction direction) {
  const std::int64_t outer = product(whole.dims().first(std::size_t(axis)));
  const std::int64_t inner = product(whole.dims().subspan(std::size_t(axis) + 1));
  const std::int64_t row = whole[axis] * inner;
  std::vector<Part> parts;
  std::int64_t offset = 0;
  for (std::int64_t size : sizes) {
    const Ints dims{outer, size * inner}, in_part{size * inner, 1}, in_whole{row, 1};
    parts.push_back({direction == Direction::in ? StridedCopy(dtype, dims, in_part, in_whole)
                                                : StridedCopy(dtype, dims, in_whole, in_part),
                     offset, outer == 1});
    offset += size * inner;
  }
  require(offset == row, "the parts add up to ", inner ? offset / inner : 0, ", but dimension ", axis,
          " of shape ", whole, " is ", whole[axis]);
  return parts;
}

std::size_t bytes_at(DType dtype, const Part& part) { return std::size_t(part.offset) * size_of(dtype); }

std::unique_ptr<Kernel> join(PrepareContext& c, int first, FromInts<std::vector<Part>> parts) {
  const DType dtype = c.output_dtype(0);
  if (const auto* known = parts.now(); known && is_plain(dtype)) {
    for (int i = 0; i < int(known->size()); ++i) {
      const Part& part = (*known)[std::size_t(i)];
      if (part.contiguous) c.hold(0, first + i, bytes_at(dtype, part));
    }
  }
  return kernel([parts = std::move(parts), dtype, first, output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    parts.with(r, [&](const std::vector<Part>& all) {
      for (int i = 0; i < int(all.size()); ++i) {
        const Part& part = all[std::size_t(i)];
        const void* from = r.input<void>(first + i);
        const bool is_there = part.contiguous && is_plain(dtype) &&
                              from == static_cast<const char*>(to) + bytes_at(dtype, part);
        if (!is_there) part.copy.run(from, 0, to, part.offset);
      }
    });
  });
}

std::unique_ptr<Kernel> take_apart(PrepareContext& c, int input, FromInts<std::vector<Part>> parts) {
  if (const auto* known = parts.now(); known && is_plain(c.input_dtype(input))) {
    for (int i = 0; i < int(known->size()); ++i) {
      const Part& part = (*known)[std::size_t(i)];
      if (part.contiguous) c.piece(i, input, bytes_at(c.input_dtype(input), part));
    }
  }
  std::vector<OutputMemory> outputs;
  for (int i = 0; i < c.num_outputs(); ++i) outputs.emplace_back(c, i);
  return kernel([parts = std::move(parts), input, outputs](RunContext& r) {
    parts.with(r, [&](const std::vector<Part>& all) {
      for (std::size_t i = 0; i < all.size(); ++i)
        all[i].copy.run(r.input<void>(input), all[i].offset, outputs[i](r), 0);
    });
  });
}

std::unique_ptr<Kernel> concat(PrepareContext& c, int first, int last, int axis_input) {
  std::vector<Shape> shapes;
  for (int i = first; i < last; ++i) shapes.push_back(c.input_shape(i));
  return join(c, first,
              {c, {axis_input}, [dtype = c.output_dtype(0), shapes, whole = c.output_shape(0)](auto& values) {
                 const int axis = normalize_axis(values[0][0], whole.rank());
                 Ints sizes;
                 for (const Shape& shape : shapes) {
                   sizes.push_back(shape[axis]);
                   Shape expected = whole;
                   expected.set_dim(axis, shape[axis]);
                   require(shape == expected, "an array of shape ", shape, " cannot be part of one of shape ",
                           whole, " along axis ", axis);
                 }
                 return parts_of(dtype, whole, axis, sizes, Direction::in);
               }});
}
std::unique_ptr<Kernel> prepare_concat(PrepareContext& c) { return concat(c, 1, c.num_inputs(), 0); }
std::unique_ptr<Kernel> prepare_concat_v2(PrepareContext& c) {
  return concat(c, 0, c.num_inputs() - 1, c.num_inputs() - 1);
}

std::unique_ptr<Kernel> prepare_pack(PrepareContext& c) {
  const Shape& whole = c.output_shape(0);
  const int axis = normalize_axis(c.attr<std::int64_t>("axis"), whole.rank());
  const Ints sizes(std::size_t(c.num_inputs()), 1);
  return join(c, 0, {c, {}, [dtype = c.output_dtype(0), whole, axis, sizes](auto&) {
                       return parts_of(dtype, whole, axis, sizes, Direction::in);
                     }});
}

std::unique_ptr<Kernel> prepare_unpack(PrepareContext& c) {
  const Shape& whole = c.input_shape(0);
  const int axis = normalize_axis(c.attr<std::int64_t>("axis"), whole.rank());
  const Ints sizes(std::size_t(c.num_outputs()), 1);
  return take_apart(c, 0, {c, {}, [dtype = c.input_dtype(0), whole, axis, sizes](auto&) {
                             return parts_of(dtype, whole, axis, sizes, Direction::out);
                           }});
}

std::unique_ptr<Kernel> split(PrepareContext& c, int value, int axis_input) {
  std::vector<Shape> shapes;
  for (int i = 0; i < c.num_outputs(); ++i) shapes.push_back(c.output_shape(i));
  return take_apart(
      c, value,
      {c, {axis_input}, [dtype = c.output_dtype(0), shapes, whole = c.input_shape(value)](auto& values) {
         const int axis = normalize_axis(values[0][0], whole.rank());
         Ints sizes;
         for (const Shape& shape : shapes) sizes.push_back(shape[axis]);
         return parts_of(dtype, whole, axis, sizes, Direction::out);
       }});
}
std::unique_ptr<Kernel> prepare_split(PrepareContext& c) { return split(c, 1, 0); }
std::unique_ptr<Kernel> prepare_split_v(PrepareContext& c) { return split(c, 0, 2); }

// Where parts along an axis begin, for tapes.
std::optional<Boxes> boxes_along(const Node& node, int axis_input, int value, const Shape& whole,
                                 const std::vector<Shape>& shapes) {
  const Tensor* axis = node.input(axis_input).node->constant();
  if (!axis || !whole.is_full() || whole.rank() == 0) return std::nullopt;
  const std::int64_t given = to_ints(*axis)[0];
  if (given < -whole.rank() || given >= whole.rank()) return std::nullopt;
  Boxes boxes{value, {}};
  std::vector<std::int64_t> begin(std::size_t(whole.rank()), 0);
  for (const Shape& shape : shapes) {
    if (!shape.is_full()) return std::nullopt;
    boxes.begins.push_back(begin);
    begin[std::size_t(normalize_axis(given, whole.rank()))] +=
        shape[int(normalize_axis(given, whole.rank()))];
  }
  return boxes;
}
FindBoxes cut_along(int axis_input, int value) {
  return [=](const Node& node) {
    std::vector<Shape> shapes;
    for (int i = 0; i < node.num_outputs(); ++i) shapes.push_back(node.shape(i));
    const int axis = axis_input < 0 ? axis_input + int(node.inputs().size()) : axis_input;
    return boxes_along(node, axis, value, node.input(value).shape(), shapes);
  };
}
FindBoxes joined_along(bool axis_first) {
  return [=](const Node& node) {
    const int count = int(node.inputs().size()) - 1, first = axis_first ? 1 : 0;
    std::vector<Shape> shapes;
    for (int i = first; i < first + count; ++i) shapes.push_back(node.input(i).shape());
    return boxes_along(node, axis_first ? 0 : count, first, node.shape(0), shapes);
  };
}

// ---- filling and repeating

std::unique_ptr<Kernel> prepare_fill(PrepareContext& c) {
  return kernel([dtype = c.output_dtype(0), n = c.output_shape(0).size(), output = OutputMemory(c, 0)](
                    RunContext& r) { set_all(dtype, output(r), r.input<void>(1), n); });
}

constexpr std::size_t kSmall = 4096;  // bytes of a result that is kept rather than written in every run

Tensor ones(DType dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  visit(PlainTypes{}, dtype,
        [&]<class T>(std::type_identity<T>) { std::fill_n(tensor.data<T>(), tensor.size(), T(1)); });
  return tensor;
}

std::unique_ptr<Kernel> prepare_zeros_like(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  if (dtype == DType::resource || dtype == DType::variant) return nullptr;
  const std::int64_t n = c.output_shape(0).size();
  if (std::size_t(n) * size_of(dtype) <= kSmall) {
    Tensor zeros(dtype, c.output_shape(0));
    set_zero(dtype, zeros.raw(), n);
    c.fixed_output(0, std::move(zeros));
    return nothing_to_run();
  }
  return kernel([dtype, n, output = OutputMemory(c, 0)](RunContext& r) { set_zero(dtype, output(r), n); });
}

std::unique_ptr<Kernel> prepare_ones_like(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const std::int64_t n = c.output_shape(0).size();
  if (std::size_t(n) * size_of(dtype) <= kSmall) {
    c.fixed_output(0, ones(dtype, c.output_shape(0)));
    return nothing_to_run();
  }
  return kernel([dtype, n, one = ones(dtype, Shape())](RunContext& r) {
    set_all(dtype, r.output<void>(0), one.raw(), n);
  });
}

std::unique_ptr<Kernel> prepare_tile(PrepareContext& c) {
  const DType dtype = c.input_dtype(0);
  const Shape &from = c.input_shape(0), &to = c.output_shape(0);
  if (from == to) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  // Dimension i of the result is walked as (multiple, size).
  Ints dims, from_strides, to_strides;
  const Ints in_from = strides_of(from.dims()), in_to = strides_of(to.dims());
  for (int i = 0; i < from.rank(); ++i) {
    dims.insert(dims.end(), {from[i] == 0 ? 0 : to[i] / from[i], from[i]});
    from_strides.insert(from_strides.end(), {0, in_from[std::size_t(i)]});
    to_strides.insert(to_strides.end(), {from[i] * in_to[std::size_t(i)], in_to[std::size_t(i)]});
  }
  // Where the multiples are not known before the run, the static shape was given by somebody: hold them to
  // it.
  FromInts<bool> checked(c, {1}, [from, to](auto& values) {
    for (int i = 0; i < from.rank(); ++i) {
      require(from[i] * values[0][std::size_t(i)] == to[i], "the multiples make dimension ", i, " ",
              from[i] * values[0][std::size_t(i)], ", where shape ", to, " is expected");
    }
    return true;
  });
  return kernel([checked, copy = StridedCopy(dtype, dims, from_strides, to_strides),
                 output = OutputMemory(c, 0)](RunContext& r) {
    checked.with(r, [](bool) {});
    copy.run(r.input<void>(0), output(r));
  });
}

std::vector<TapeEntry> lower_to_broadcast(const Node& node, int input) {
  return {{"", {{input, node.input(input).shape()}}, node.dtype(0), node.shape(0)}};
}

std::unique_ptr<Kernel> prepare_broadcast_to(PrepareContext& c) {
  const Shape &from = c.input_shape(0), &to = c.output_shape(0);
  if (from == to) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  const int missing = to.rank() - from.rank();
  Ints strides(std::size_t(to.rank()), 0);
  const Ints in_from = strides_of(from.dims());
  for (int i = 0; i < from.rank(); ++i) {
    if (from[i] != 1) strides[std::size_t(missing + i)] = in_from[std::size_t(i)];
  }
  return kernel([copy = StridedCopy(c.input_dtype(0), to.dims(), strides, strides_of(to.dims())),
                 output = OutputMemory(c, 0)](RunContext& r) { copy.run(r.input<void>(0), output(r)); });
}

// ---- padding

// The beginnings of the inner box, from paddings that must lead from shape `inner` to shape `whole`.
Ints box_begin(const Shape& inner, const Shape& whole, const Ints& paddings) {
  Ints begin;
  for (int i = 0; i < inner.rank(); ++i) {
    const std::int64_t before = paddings[std::size_t(2 * i)], after = paddings[std::size_t(2 * i + 1)];
    require(before >= 0 && after >= 0, "paddings cannot be negative, got ", before, " and ", after);
    require(inner[i] + before + after == whole[i], "the paddings ", before, " and ", after,
            " do not lead from shape ", inner, " to ", whole, " in dimension ", i);
    begin.push_back(before);
  }
  return begin;
}

std::unique_ptr<Kernel> prepare_pad(PrepareContext& c) {
  const DType dtype = c.input_dtype(0);
  if (c.input_shape(0) == c.output_shape(0)) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  FromInts<Box> box(c, {1}, [dtype, inner = c.input_shape(0), whole = c.output_shape(0)](auto& values) {
    return Box(dtype, whole, box_begin(inner, whole, values[0]),
               Ints(inner.dims().begin(), inner.dims().end()));
  });
  Tensor zero(dtype, Shape());
  set_zero(dtype, zero.raw(), 1);
  return kernel([box, zero, constant = c.num_inputs() > 2, output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    box.with(r, [&](const Box& made) {
      made.fill_around(to, constant ? r.input<void>(2) : zero.raw());
      made.copy_in(r.input<void>(0), to);
    });
  });
}

// For each place along a padded dimension, the place in the inner one that it mirrors.
Ints mirrored(std::int64_t size, std::int64_t before, std::int64_t whole, bool reflect) {
  Ints from;
  for (std::int64_t i = 0; i < whole; ++i) {
    std::int64_t at = i - before;
    if (at < 0) at = reflect ? -at : -at - 1;
    if (at >= size) at = reflect ? 2 * size - at - 2 : 2 * size - at - 1;
    require(at >= 0 && at < size, "dimension of size ", size, " has too few elements to mirror");
    from.push_back(at);
  }
  return from;
}

// One table a dimension: offsets in the inner array of what each place of the whole mirrors.
struct Mirror {
  std::vector<Ints> offsets;
};

Mirror mirror(const Shape& inner, const Shape& whole, const Ints& paddings, bool reflect) {
  const Ints begin = box_begin(inner, whole, paddings), strides = strides_of(inner.dims());
  Mirror made;
  for (int i = 0; i < inner.rank(); ++i) {
    Ints from = mirrored(inner[i], begin[std::size_t(i)], whole[i], reflect);
    for (std::int64_t& at : from) at *= strides[std::size_t(i)];
    made.offsets.push_back(std::move(from));
  }
  return made;
}

// Calls line(begin of a line in the whole, offset of that line in the inner array) for each innermost line of
// lines [first, last).
template <class Line>
void walk_mirror(const Mirror& mirror, std::int64_t first, std::int64_t last, Line line) {
  const int outer = int(mirror.offsets.size()) - 1;
  const std::int64_t length = std::int64_t(mirror.offsets.back().size());
  for (std::int64_t i = first; i < last; ++i) {
    std::int64_t rest = i, offset = 0;
    for (int d = outer; d-- > 0;) {
      const Ints& table = mirror.offsets[std::size_t(d)];
      offset += table[std::size_t(rest % std::int64_t(table.size()))];
      rest /= std::int64_t(table.size());
    }
    line(i * length, offset);
  }
}

FromInts<Mirror> mirror_of(PrepareContext& c, const Shape& inner, const Shape& whole) {
  return {c, {1}, [inner, whole, reflect = c.attr<std::string>("mode") == "REFLECT"](auto& values) {
            return mirror(inner, whole, values[0], reflect);
          }};
}

std::unique_ptr<Kernel> prepare_mirror_pad(PrepareContext& c) {
  if (c.input_shape(0) == c.output_shape(0)) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  const Shape& whole = c.output_shape(0);
  const std::int64_t lines = whole.size() == 0 ? 0 : whole.size() / whole[-1];
  return kernel([table = mirror_of(c, c.input_shape(0), whole), lines, dtype = c.input_dtype(0),
                 output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    table.with(r, [&](const Mirror& made) {
      const Ints& along = made.offsets.back();
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        const T* x = r.input<T>(0);
        T* y = static_cast<T*>(to);
        parallel_for(lines, double(along.size()), [&](std::int64_t first, std::int64_t last) {
          walk_mirror(made, first, last, [&](std::int64_t begin, std::int64_t offset) {
            for (std::size_t i = 0; i < along.size(); ++i) y[begin + std::int64_t(i)] = x[offset + along[i]];
          });
        });
      });
    });
  });
}

std::unique_ptr<Kernel> prepare_mirror_pad_grad(PrepareContext& c) {
  if (c.input_shape(0) == c.output_shape(0)) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  const Shape &whole = c.input_shape(0), &inner = c.output_shape(0);
  const std::int64_t lines = whole.size() == 0 ? 0 : whole.size() / whole[-1];
  std::unique_ptr<Kernel> made;
  visit(NumericTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([table = mirror_of(c, inner, whole), lines, n = inner.size()](RunContext& r) {
      const T* dy = r.input<T>(0);
      T* dx = r.output<T>(0);
      std::fill_n(dx, n, T(0));
      table.with(r, [&](const Mirror& made) {
        const Ints& along = made.offsets.back();
        walk_mirror(made, 0, lines, [&](std::int64_t begin, std::int64_t offset) {
          for (std::size_t i = 0; i < along.size(); ++i) {
            T& sum = dx[offset + along[i]];
            sum = T(Compute<T>(sum) + Compute<T>(dy[begin + std::int64_t(i)]));
          }
        });
      });
    });
  });
  return made;
}

// ---- sequences

std::unique_ptr<Kernel> prepare_one_hot(PrepareContext& c) {
  const Shape& shape = c.output_shape(0);
  const int axis = normalize_axis(c.attr<std::int64_t>("axis"), shape.rank());
  const std::int64_t outer = product(shape.dims().first(std::size_t(axis))), depth = shape[axis];
  const std::int64_t inner = product(shape.dims().subspan(std::size_t(axis) + 1));
  const DType dtype = c.output_dtype(0);
  const OutputMemory output(c, 0);
  FromInts<bool> checked(c, {1}, [depth](auto& values) {
    require(values[0][0] == depth, "the depth is ", values[0][0], ", where ", depth, " is expected");
    return true;
  });
  std::unique_ptr<Kernel> made;
  visit(Types<std::uint8_t, std::int32_t, std::int64_t>{}, c.input_dtype(0),
        [&]<class I>(std::type_identity<I>) {
          made = kernel([=](RunContext& r) {
            checked.with(r, [](bool) {});
            const I* indices = r.input<I>(0);
            void* to = output(r);
            set_all(dtype, to, r.input<void>(3), outer * depth * inner);
            visit_element(dtype, [&]<class T>(std::type_identity<T>) {
              const T& on = *r.input<T>(2);
              T* y = static_cast<T*>(to);
              for (std::int64_t i = 0; i < outer; ++i) {
                for (std::int64_t j = 0; j < inner; ++j) {
                  const std::int64_t at = std::int64_t(indices[i * inner + j]);
                  if (at >= 0 && at < depth) y[(i * depth + at) * inner + j] = on;
                }
              }
            });
          });
        });
  return made;
}

std::unique_ptr<Kernel> prepare_range(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([n = c.output_shape(0).size()](RunContext& r) {
      using C = std::conditional_t<std::is_integral_v<T>, std::int64_t, double>;
      const C start = C(Compute<T>(*r.input<T>(0))), delta = C(Compute<T>(*r.input<T>(2)));
      T* y = r.output<T>(0);
      for (std::int64_t i = 0; i < n; ++i) y[i] = T(Compute<T>(start + C(i) * delta));
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_lin_space(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([n = c.output_shape(0).size()](RunContext& r) {
      using C = Compute<T>;
      const C start = C(*r.input<T>(0)), stop = C(*r.input<T>(1));
      const C step = n > 1 ? (stop - start) / C(n - 1) : C(0);
      T* y = r.output<T>(0);
      for (std::int64_t i = 0; i < n; ++i) y[i] = T(start + C(i) * step);
      if (n > 1) y[n - 1] = T(stop);
    });
  });
  return made;
}

}  // namespace

HEADRACE_KERNELS(array) {
  add_kernel("Const", prepare_const);
  add_kernel("Placeholder", prepare_placeholder);
  add_kernel("PlaceholderV2", prepare_placeholder);
  for (const char* name : {"PlaceholderWithDefault", "Identity", "IdentityN", "Snapshot", "DeepCopy",
                           "GuaranteeConst", "DebugGradientIdentity", "StopGradient", "PreventGradient"}) {
    add_kernel(name, prepare_same);
  }
  add_kernel("CheckNumerics", prepare_check_numerics);

  add_kernel("Shape", prepare_shape);
  add_kernel("ShapeN", prepare_shape);
  add_kernel("Size", prepare_size);
  add_kernel("Rank", prepare_rank);
  add_kernel("BroadcastArgs", prepare_broadcast_args);
  add_kernel("BroadcastGradientArgs", prepare_broadcast_gradient_args);
  add_kernel("ConcatOffset", prepare_concat_offset);
  add_kernel("InvertPermutation", prepare_invert_permutation);

  add_kernel("Reshape", prepare_reshape);
  add_kernel("ExpandDims", prepare_squeeze);
  add_kernel("Squeeze", prepare_squeeze);
  add_kernel("Bitcast", prepare_bitcast);
  add_kernel("Transpose", prepare_transpose<false>);
  add_kernel("ConjugateTranspose", prepare_transpose<true>);

  add_kernel("Concat", prepare_concat);
  add_kernel("ConcatV2", prepare_concat_v2);
  add_kernel("Pack", prepare_pack);
  add_kernel("Unpack", prepare_unpack);
  add_kernel("Split", prepare_split);
  add_kernel("SplitV", prepare_split_v);
  add_cut("Split", cut_along(0, 1));
  add_cut("SplitV", cut_along(-1, 0));
  add_join("Concat", joined_along(true));
  add_join("ConcatV2", joined_along(false));

  add_kernel("Fill", prepare_fill);
  add_kernel("ZerosLike", prepare_zeros_like);
  add_kernel("OnesLike", prepare_ones_like);
  add_kernel("Tile", prepare_tile);
  add_kernel("BroadcastTo", prepare_broadcast_to);
  add_lowering("Fill", [](const Node& node) { return lower_to_broadcast(node, 1); });
  add_lowering("BroadcastTo", [](const Node& node) { return lower_to_broadcast(node, 0); });
  add_kernel("Pad", prepare_pad);
  add_kernel("PadV2", prepare_pad);
  add_kernel("MirrorPad", prepare_mirror_pad);
  add_kernel("MirrorPadGrad", prepare_mirror_pad_grad);

  add_kernel("OneHot", prepare_one_hot);
  add_kernel("Range", prepare_range);
  add_kernel("LinSpace", prepare_lin_space);
}

}  // namespace headrace
