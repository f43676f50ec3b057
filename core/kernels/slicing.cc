// Kernels: pieces of arrays by position, by index and by value.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <unordered_map>

#include "core/base/parallel.h"
#include "core/base/slice.h"
#include "core/kernels/box.h"
#include "core/kernels/elements.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

std::int64_t product(std::span<const std::int64_t> dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t(1), std::multiplies<>());
}

// ---- by position

// Whether the elements of a box are neighbours in the array: it is as wide as the array in all dimensions
// after the first in which it has more than one element.
bool is_contiguous(std::span<const std::int64_t> array, std::span<const std::int64_t> box) {
  std::size_t i = 0;
  while (i < box.size() && box[i] == 1) ++i;
  return i == box.size() || std::equal(box.begin() + std::ptrdiff_t(i) + 1, box.end(),
                                       array.begin() + std::ptrdiff_t(i) + 1, array.end());
}

std::unique_ptr<Kernel> prepare_slice(PrepareContext& c) {
  const Shape &from = c.input_shape(0), &to = c.output_shape(0);
  if (from == to) {  // it can only begin at zero
    c.alias(0, 0);
    return nothing_to_run();
  }
  FromInts<std::int64_t> offset(c, {1}, [from, to](auto& values) {
    const Ints strides = strides_of(from.dims());
    std::int64_t sum = 0;
    for (int i = 0; i < from.rank(); ++i) {
      const std::int64_t begin = values[0][std::size_t(i)];
      require(begin >= 0 && begin <= from[i] - to[i], "a slice of ", to[i], " elements from ", begin,
              " goes beyond dimension ", i, " of shape ", from);
      sum += begin * strides[std::size_t(i)];
    }
    return sum;
  });
  if (offset.now() && is_plain(c.input_dtype(0)) && is_contiguous(from.dims(), to.dims()))
    c.piece(0, 0, std::size_t(*offset.now()) * size_of(c.input_dtype(0)));
  return kernel(
      [offset,
       copy = StridedCopy(c.input_dtype(0), to.dims(), strides_of(from.dims()), strides_of(to.dims())),
       output = OutputMemory(c, 0)](RunContext& r) {
        void* memory = output(r);
        offset.with(r, [&](std::int64_t at) { copy.run(r.input<void>(0), at, memory, 0); });
      });
}

// Rows that are long enough are read where they stand.
std::vector<TapeEntry> lower_slice(const Node& node) {
  constexpr std::int64_t kLeastRun = 64;
  const Shape &whole = node.input(0).shape(), &box = node.shape(0);
  const Tensor* begin = node.input(1).node->constant();
  if (!begin || !whole.is_full() || !box.is_full() || run_in(box, whole) < kLeastRun) return {};
  return {{"", {{0, box, 0, whole, to_ints(*begin)}}, node.dtype(0), box}};
}

// A strided slice of an array as the copy out of it (or into it) that it is.
struct StridedPlan {
  StridedCopy copy;
  std::int64_t offset;     // in the sliced array
  std::optional<Box> box;  // if all strides are 1
  bool whole;              // every element in its order
  bool contiguous;         // neighbours in their order
};

enum class Direction { out, in };

FromInts<StridedPlan> strided_plan(PrepareContext& c, const Shape& array, const Shape& piece, DType dtype,
                                   int first, Direction direction) {
  return {
      c, {first, first + 1, first + 2}, [=, masks = masks_of(c)](auto& values) {
        SliceExpression expression = masks;
        expression.begin = values[0];
        expression.end = values[1];
        expression.strides = values[2];
        const SliceResult slice = resolve_slice(expression, array, INT64_MIN);
        require(slice.shape == piece, "the slice has shape ", slice.shape, ", where ", piece, " is expected");
        const Ints strides = strides_of(array.dims());
        Ints dims, begin, in_array;
        std::int64_t offset = 0;
        bool unit = true;
        for (std::size_t i = 0; i < slice.ranges.size(); ++i) {
          const SliceRange& range = slice.ranges[i];
          dims.push_back(range.size);
          begin.push_back(range.begin);
          in_array.push_back(range.stride * strides[i]);
          offset += range.begin * strides[i];
          unit &= range.stride == 1;
        }
        const Ints in_piece = strides_of(dims);
        const bool out = direction == Direction::out;
        return StridedPlan{StridedCopy(dtype, dims, out ? in_array : in_piece, out ? in_piece : in_array),
                           offset,
                           unit && !out ? std::optional(Box(dtype, array, begin, dims)) : std::nullopt,
                           unit && product(dims) == array.size(), unit && is_contiguous(array.dims(), dims)};
      }};
}

std::unique_ptr<Kernel> prepare_strided_slice(PrepareContext& c) {
  auto plan = strided_plan(c, c.input_shape(0), c.output_shape(0), c.input_dtype(0), 1, Direction::out);
  const StridedPlan* known = plan.now();
  if (known && known->whole) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  if (known && known->contiguous && is_plain(c.input_dtype(0)))
    c.piece(0, 0, std::size_t(known->offset) * size_of(c.input_dtype(0)));
  return kernel([plan, output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    plan.with(r, [&](const StridedPlan& made) { made.copy.run(r.input<void>(0), made.offset, to, 0); });
  });
}

std::unique_ptr<Kernel> prepare_strided_slice_grad(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const Shape& whole = c.output_shape(0);
  auto plan = strided_plan(c, whole, c.input_shape(4), dtype, 1, Direction::in);
  Tensor zero(dtype, Shape());
  set_zero(dtype, zero.raw(), 1);
  return kernel([plan, zero, dtype, n = whole.size(), output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    plan.with(r, [&](const StridedPlan& made) {
      if (made.box) {
        made.box->fill_around(to, zero.raw());
      } else {
        set_zero(dtype, to, n);
      }
      made.copy.run(r.input<void>(4), 0, to, made.offset);
    });
  });
}

// Output 0 starts as a copy of input 0: in place where that may be overwritten.
class CopiedInput {
 public:
  explicit CopiedInput(PrepareContext& c)
      : dtype_(c.output_dtype(0)), n_(c.output_shape(0).size()), output_(c, 0) {
    if (is_plain(dtype_)) c.in_place(0, 0);
  }
  void* operator()(RunContext& r) const {
    void* to = output_(r);
    const void* from = r.input<void>(0);
    if (to != from) {
      const Ints dims{n_}, strides{1};
      StridedCopy(dtype_, dims, strides, strides).run(from, to);
    }
    return to;
  }

 private:
  DType dtype_;
  std::int64_t n_;
  OutputMemory output_;
};

std::unique_ptr<Kernel> prepare_strided_slice_update(PrepareContext& c) {
  auto plan = strided_plan(c, c.input_shape(0), c.input_shape(4), c.input_dtype(0), 1, Direction::in);
  return kernel([plan, copied = CopiedInput(c)](RunContext& r) {
    void* to = copied(r);
    plan.with(r, [&](const StridedPlan& made) { made.copy.run(r.input<void>(4), 0, to, made.offset); });
  });
}

// Copies an array with some dimensions reversed.
template <class Flags>
void copy_reversed(DType dtype, const Shape& shape, const Flags& reversed, const void* from, void* to) {
  if (shape.size() == 0) return;
  const Ints strides = strides_of(shape.dims());
  Ints from_strides = strides;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < strides.size(); ++i) {
    if (!reversed[i]) continue;
    offset += (shape[int(i)] - 1) * strides[i];
    from_strides[i] = -strides[i];
  }
  StridedCopy(dtype, shape.dims(), from_strides, strides).run(from, offset, to, 0);
}

std::unique_ptr<Kernel> prepare_reverse(PrepareContext& c) {
  return kernel(
      [shape = c.input_shape(0), dtype = c.input_dtype(0), output = OutputMemory(c, 0)](RunContext& r) {
        copy_reversed(dtype, shape, r.input<bool>(1), r.input<void>(0), output(r));
      });
}

std::unique_ptr<Kernel> prepare_reverse_v2(PrepareContext& c) {
  FromInts<std::vector<bool>> flags(c, {1}, [rank = c.input_shape(0).rank()](auto& values) {
    std::vector<bool> reversed(std::size_t(rank), false);
    for (std::int64_t axis : values[0]) {
      const std::size_t at = std::size_t(normalize_axis(axis, rank));
      require(!reversed[at], "axis ", at, " is named twice");
      reversed[at] = true;
    }
    return reversed;
  });
  return kernel([flags, shape = c.input_shape(0), dtype = c.input_dtype(0),
                 output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    flags.with(r, [&](const std::vector<bool>& reversed) {
      copy_reversed(dtype, shape, reversed, r.input<void>(0), to);
    });
  });
}

// A box of an array on its way to another place.
struct MovedBox {
  StridedCopy copy;
  std::int64_t from, to;
};

std::unique_ptr<Kernel> prepare_roll(PrepareContext& c) {
  FromInts<std::vector<MovedBox>> boxes(
      c, {1, 2}, [shape = c.input_shape(0), dtype = c.input_dtype(0)](auto& values) {
        const Ints &shifts = values[0], &axes = values[1];
        require(shifts.size() == axes.size(), "there are ", shifts.size(), " shifts for ", axes.size(),
                " axes");
        Ints shift(std::size_t(shape.rank()), 0);
        for (std::size_t i = 0; i < axes.size(); ++i) {
          const int at = normalize_axis(axes[i], shape.rank());
          const std::int64_t size = std::max<std::int64_t>(shape[at], 1);
          std::int64_t& sum = shift[std::size_t(at)];
          sum = ((sum + shifts[i] % size) % size + size) % size;
        }
        // Each axis that is shifted cuts the array in two.
        const Ints strides = strides_of(shape.dims());
        std::vector<MovedBox> made;
        Ints dims(shape.dims().begin(), shape.dims().end());
        const auto cut = [&](auto& self, std::size_t axis, std::int64_t from, std::int64_t to) -> void {
          if (axis == dims.size()) {
            made.push_back({StridedCopy(dtype, dims, strides, strides), from, to});
          } else if (shift[axis] == 0) {
            self(self, axis + 1, from, to);
          } else {
            const std::int64_t size = dims[axis], by = shift[axis], stride = strides[axis];
            dims[axis] = size - by;
            self(self, axis + 1, from, to + by * stride);
            dims[axis] = by;
            self(self, axis + 1, from + (size - by) * stride, to);
            dims[axis] = size;
          }
        };
        cut(cut, 0, 0, 0);
        return made;
      });
  return kernel([boxes, output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    boxes.with(r, [&](const std::vector<MovedBox>& all) {
      for (const MovedBox& box : all) box.copy.run(r.input<void>(0), box.from, to, box.to);
    });
  });
}

std::unique_ptr<Kernel> prepare_reverse_sequence(PrepareContext& c) {
  const Shape& shape = c.input_shape(0);
  const int batch = normalize_axis(c.attr<std::int64_t>("batch_dim"), shape.rank());
  const int seq = normalize_axis(c.attr<std::int64_t>("seq_dim"), shape.rank());
  FromInts<Ints> lengths(c, {1}, [size = shape[seq], count = shape[batch]](auto& values) {
    for (std::int64_t length : values[0])
      require(length >= 0 && length <= size, "the length ", length, " is not in [0, ", size, "]");
    return values[0];
  });
  return kernel(
      [lengths, shape, batch, seq, dtype = c.input_dtype(0), output = OutputMemory(c, 0)](RunContext& r) {
        void* to = output(r);
        if (shape.size() == 0) return;
        const void* from = r.input<void>(0);
        lengths.with(r, [&](const Ints& all) {
          const Ints strides = strides_of(shape.dims());
          const std::size_t along = std::size_t(seq);
          for (std::int64_t b = 0; b < shape[batch]; ++b) {
            const std::int64_t offset = b * strides[std::size_t(batch)], length = all[std::size_t(b)];
            Ints dims(shape.dims().begin(), shape.dims().end()), reversed = strides;
            dims[std::size_t(batch)] = 1;
            dims[along] = length;
            reversed[along] = -strides[along];
            StridedCopy(dtype, dims, reversed, strides)
                .run(from, offset + (length - 1) * strides[along], to, offset);
            dims[along] = shape[seq] - length;
            const std::int64_t rest = offset + length * strides[along];
            StridedCopy(dtype, dims, strides, strides).run(from, rest, to, rest);
          }
        });
      });
}

// ---- by index

[[noreturn]] void bad_index(std::int64_t position, std::int64_t index, std::int64_t size) {
  fail(Code::invalid_argument, "index ", index, " (number ", position, " of the indices) is not in [0, ",
       size, ")");
}

std::unique_ptr<Kernel> prepare_unravel_index(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(IndexTypes{}, c.input_dtype(0), [&]<class I>(std::type_identity<I>) {
    made = kernel([n = c.input_shape(0).size(), rank = c.input_shape(1)[0]](RunContext& r) {
      const I *indices = r.input<I>(0), *dims = r.input<I>(1);
      I* to = r.output<I>(0);
      std::int64_t size = 1;
      for (std::int64_t d = 0; d < rank; ++d) size = checked_mul(size, dims[d]);
      for (std::int64_t i = 0; i < n; ++i) {
        if (indices[i] < 0 || indices[i] >= size) bad_index(i, indices[i], size);
        std::int64_t rest = indices[i];
        for (std::int64_t d = rank; d-- > 0;) {
          to[d * n + i] = I(rest % dims[d]);
          rest /= dims[d];
        }
      }
    });
  });
  return made;
}

// to[b, o, i, :] = from[b, o, indices[b, i], :], rows of `inner` elements.
struct GatherLayout {
  std::int64_t batch, outer, axis, indices, inner;
};

template <class T, class I>
void gather_rows(const T* from, const I* indices, T* to, const GatherLayout& l) {
  const double cost = 2 + double(l.inner * std::int64_t(sizeof(T))) * 0.15;
  for (std::int64_t i = 0; i < l.batch * l.indices; ++i) {
    if (indices[i] < 0 || indices[i] >= l.axis) bad_index(i, indices[i], l.axis);
  }
  parallel_for(l.batch * l.outer * l.indices, cost, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t block = begin / l.indices, at = begin % l.indices;  // (batch, outer), and the index
    for (std::int64_t i = begin; i < end; at = 0, ++block) {
      const I* row = indices + block / l.outer * l.indices;
      const T* source = from + block * l.axis * l.inner;
      for (const std::int64_t stop = std::min(end, i + l.indices - at); i < stop; ++i, ++at) {
        if (l.inner == 1) {
          to[i] = source[row[at]];
        } else {
          std::copy_n(source + row[at] * l.inner, l.inner, to + i * l.inner);
        }
      }
    }
  });
}

std::unique_ptr<Kernel> gather(PrepareContext& c, std::int64_t batch_dims, FromInts<int> axis) {
  const Shape &params = c.input_shape(0), &indices = c.input_shape(1), &to = c.output_shape(0);
  return kernel([=, dtype = c.input_dtype(0), index_dtype = c.input_dtype(1),
                 output = OutputMemory(c, 0)](RunContext& r) {
    void* memory = output(r);
    axis.with(r, [&](int at) {
      require(batch_dims <= at, "batch_dims ", batch_dims, " must not be greater than axis ", at);
      const auto dims = params.dims();
      const GatherLayout layout{product(dims.first(std::size_t(batch_dims))),
                                product(dims.subspan(std::size_t(batch_dims), std::size_t(at - batch_dims))),
                                params[at], product(indices.dims().subspan(std::size_t(batch_dims))),
                                product(dims.subspan(std::size_t(at) + 1))};
      require(layout.batch * layout.outer * layout.indices * layout.inner == to.size(),
              "the result does not have the shape ", to, " that is expected");
      if (to.size() == 0) return;
      visit(IndexTypes{}, index_dtype, [&]<class I>(std::type_identity<I>) {
        visit_element(dtype, [&]<class T>(std::type_identity<T>) {
          gather_rows(r.input<T>(0), r.input<I>(1), static_cast<T*>(memory), layout);
        });
      });
    });
  });
}

std::unique_ptr<Kernel> prepare_gather(PrepareContext& c) {
  return gather(c, 0, {c, {}, [](auto&) { return 0; }});
}
std::unique_ptr<Kernel> prepare_gather_v2(PrepareContext& c) {
  std::int64_t batch = c.attr<std::int64_t>("batch_dims");
  if (batch < 0) batch += c.input_shape(1).rank();
  return gather(c, batch, {c, {2}, [rank = c.input_shape(0).rank()](auto& values) {
                             return normalize_axis(values[0][0], rank);
                           }});
}

// Index vectors into the leading dimensions of an array: which slice each one names.
struct IndexVectors {
  std::int64_t count, depth, slice;  // how many, their length, elements of one slice
  Ints sizes, strides;               // of the leading dimensions

  IndexVectors(const Shape& array, const Shape& indices)
      : count(product(indices.dims().first(std::size_t(indices.rank() - 1)))), depth(indices[-1]) {
    slice = product(array.dims().subspan(std::size_t(depth)));
    sizes.assign(array.dims().begin(), array.dims().begin() + depth);
    strides.assign(std::size_t(depth), slice);
    for (std::int64_t d = depth - 1; d-- > 0;)
      strides[std::size_t(d)] = strides[std::size_t(d + 1)] * sizes[std::size_t(d + 1)];
  }
  // Where the slice of vector i begins, in elements.
  template <class I>
  std::int64_t offset(const I* indices, std::int64_t i) const {
    std::int64_t offset = 0;
    for (std::int64_t d = 0; d < depth; ++d) {
      const std::int64_t at = indices[i * depth + d];
      if (at < 0 || at >= sizes[std::size_t(d)]) [[unlikely]]
        fail_at(indices + i * depth, i);
      offset += at * strides[std::size_t(d)];
    }
    return offset;
  }
  template <class I>
  [[noreturn]] void fail_at(const I* vector, std::int64_t i) const {
    Ints wide(vector, vector + depth);
    std::string text;
    for (std::int64_t at : wide) text += (text.empty() ? "" : ", ") + std::to_string(at);
    fail(Code::invalid_argument, "the index vector (", text, "), number ", i,
         " of the indices, does not point into ", Shape(sizes));
  }
};

std::unique_ptr<Kernel> prepare_gather_nd(PrepareContext& c) {
  return kernel([vectors = IndexVectors(c.input_shape(0), c.input_shape(1)), dtype = c.input_dtype(0),
                 index_dtype = c.input_dtype(1), output = OutputMemory(c, 0)](RunContext& r) {
    void* memory = output(r);
    visit(IndexTypes{}, index_dtype, [&]<class I>(std::type_identity<I>) {
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        const T* from = r.input<T>(0);
        const I* indices = r.input<I>(1);
        T* to = static_cast<T*>(memory);
        const double cost = 3 + double(vectors.depth) + double(vectors.slice) * sizeof(T) * 0.15;
        parallel_for(vectors.count, cost, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) {
            const T* row = from + vectors.offset(indices, i);
            std::copy(row, row + vectors.slice, to + i * vectors.slice);
          }
        });
      });
    });
  });
}

enum class Scatter { update, add, subtract };

// Applies updates in order, so that sums do not depend on the number of threads and the last update wins.
template <Scatter how, class T, class I>
void scatter(const IndexVectors& vectors, const I* indices, const T* updates, T* to) {
  for (std::int64_t i = 0; i < vectors.count; ++i) {
    T* row = to + vectors.offset(indices, i);
    const T* update = updates + i * vectors.slice;
    for (std::int64_t j = 0; j < vectors.slice; ++j) {
      if constexpr (how == Scatter::update) {
        row[j] = update[j];
      } else if constexpr (std::is_same_v<T, bool>) {
        row[j] = row[j] || update[j];
      } else if constexpr (std::is_same_v<T, std::string>) {
        row[j] += update[j];
      } else {
        using C = Compute<T>;
        row[j] = how == Scatter::add ? T(C(row[j]) + C(update[j])) : T(C(row[j]) - C(update[j]));
      }
    }
  }
}

using ScatterTypes = Join<PlainTypes, Types<std::string>>;

std::unique_ptr<Kernel> prepare_scatter_nd(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const OutputMemory output(c, 0);
  const IndexVectors vectors(c.output_shape(0), c.input_shape(0));
  std::unique_ptr<Kernel> made;
  visit(ScatterTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.input_dtype(0), [&]<class I>(std::type_identity<I>) {
      made = kernel([=, n = c.output_shape(0).size()](RunContext& r) {
        T* to = static_cast<T*>(output(r));
        set_zero(dtype, to, n);
        scatter<Scatter::add>(vectors, r.input<I>(0), r.input<T>(1), to);
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_tensor_scatter_update(PrepareContext& c) {
  return kernel([copied = CopiedInput(c), vectors = IndexVectors(c.input_shape(0), c.input_shape(1)),
                 dtype = c.input_dtype(0), index_dtype = c.input_dtype(1)](RunContext& r) {
    void* to = copied(r);
    visit(IndexTypes{}, index_dtype, [&]<class I>(std::type_identity<I>) {
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        scatter<Scatter::update>(vectors, r.input<I>(1), r.input<T>(2), static_cast<T*>(to));
      });
    });
  });
}

template <Scatter how>
std::unique_ptr<Kernel> prepare_tensor_scatter_sum(PrepareContext& c) {
  const CopiedInput copied(c);
  const IndexVectors vectors(c.input_shape(0), c.input_shape(1));
  std::unique_ptr<Kernel> made;
  visit(NumericTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.input_dtype(1), [&]<class I>(std::type_identity<I>) {
      made = kernel([=](RunContext& r) {
        scatter<how>(vectors, r.input<I>(1), r.input<T>(2), static_cast<T*>(copied(r)));
      });
    });
  });
  return made;
}

// ---- by value

std::unique_ptr<Kernel> prepare_where(PrepareContext& c) {
  c.own_output(0);
  std::unique_ptr<Kernel> made;
  visit(PlainTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([shape = c.input_shape(0)](RunContext& r) {
      const T* x = r.input<T>(0);
      const std::int64_t n = shape.size(), rank = shape.rank();
      const auto is_set = [](const T& value) {
        if constexpr (std::is_same_v<T, bool>) return value;
        return !(Compute<T>(value) == Compute<T>(0));
      };
      std::int64_t count = 0;
      for (std::int64_t i = 0; i < n; ++i) count += is_set(x[i]);
      Tensor places(DType::int64, Shape{count, rank});
      std::int64_t* row = places.data<std::int64_t>();
      const Ints strides = strides_of(shape.dims());
      for (std::int64_t i = 0; i < n; ++i) {
        if (!is_set(x[i])) continue;
        std::int64_t rest = i;
        for (std::int64_t d = 0; d < rank; ++d) {
          row[d] = rest / strides[std::size_t(d)];
          rest %= strides[std::size_t(d)];
        }
        row += rank;
      }
      r.set_output(0, std::move(places));
    });
  });
  return made;
}

// Hashes and compares the slices [outer, position, inner] of an array by position, as bytes would be wrong
// for strings, and for floats that are equal without being the same (zeros).
template <class T>
struct Slices {
  const T* data;
  std::int64_t outer, size, inner;
  const T& at(std::int64_t position, std::int64_t o, std::int64_t i) const {
    return data[(o * size + position) * inner + i];
  }
  std::size_t hash(std::int64_t position) const {
    std::size_t hash = 0;
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) hash = hash * 1000003 + hash_of(at(position, o, i));
    }
    return hash;
  }
  bool equal(std::int64_t a, std::int64_t b) const {
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        if (!same(at(a, o, i), at(b, o, i))) return false;
      }
    }
    return true;
  }
  static bool same(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
      return float(a) == float(b);
    else
      return a == b;
  }
  static std::size_t hash_of(const T& value) {
    if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
      return std::hash<double>{}(double(value.real())) * 31 + std::hash<double>{}(double(value.imag()));
    } else {
      return std::hash<Compute<T>>{}(Compute<T>(value)) * 0x9E3779B97F4A7C15ull >> 7;
    }
  }
};

using UniqueTypes = Join<PlainTypes, Types<std::string>>;

// Positions of the first of each group of equal slices, the group of each position, and the size of each
// group.
struct Groups {
  Ints first, group, count;
};

template <class T>
Groups group(const Slices<T>& slices) {
  const auto hash = [&](std::int64_t i) { return slices.hash(i); };
  const auto equal = [&](std::int64_t a, std::int64_t b) { return slices.equal(a, b); };
  std::unordered_map<std::int64_t, std::int64_t, decltype(hash), decltype(equal)> known(
      std::size_t(slices.size), hash, equal);
  Groups groups;
  groups.group.reserve(std::size_t(slices.size));
  for (std::int64_t i = 0; i < slices.size; ++i) {
    const auto [it, added] = known.emplace(i, std::int64_t(groups.first.size()));
    if (added) {
      groups.first.push_back(i);
      groups.count.push_back(0);
    }
    groups.group.push_back(it->second);
    ++groups.count[std::size_t(it->second)];
  }
  return groups;
}

Tensor index_tensor(DType dtype, const Ints& values) {
  Tensor tensor(dtype, Shape{std::int64_t(values.size())});
  visit(IndexTypes{}, dtype,
        [&]<class I>(std::type_identity<I>) { std::copy(values.begin(), values.end(), tensor.data<I>()); });
  return tensor;
}

std::unique_ptr<Kernel> unique(PrepareContext& c, FromInts<int> axis) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  std::unique_ptr<Kernel> made;
  visit(UniqueTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([axis, shape = c.input_shape(0), index = c.output_dtype(1),
                   counts = c.num_outputs() > 2](RunContext& r) {
      axis.with(r, [&](int at) {
        const Slices<T> slices{r.input<T>(0), product(shape.dims().first(std::size_t(at))), shape[at],
                               product(shape.dims().subspan(std::size_t(at) + 1))};
        const Groups groups = group(slices);
        Shape to = shape;
        to.set_dim(at, std::int64_t(groups.first.size()));
        Tensor y(dtype_v<T>, to);
        T* element = y.template data<T>();
        for (std::int64_t o = 0; o < slices.outer; ++o) {
          for (std::int64_t position : groups.first) {
            const T* from = &slices.at(position, o, 0);
            element = std::copy(from, from + slices.inner, element);
          }
        }
        r.set_output(0, std::move(y));
        r.set_output(1, index_tensor(index, groups.group));
        if (counts) r.set_output(2, index_tensor(index, groups.count));
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_unique(PrepareContext& c) {
  return unique(c, {c, {}, [](auto&) { return 0; }});
}
std::unique_ptr<Kernel> prepare_unique_v2(PrepareContext& c) {
  return unique(c, {c, {1}, [rank = c.input_shape(0).rank()](auto& values) {
                      return values[0].empty() ? 0 : normalize_axis(values[0][0], rank);
                    }});
}

std::unique_ptr<Kernel> prepare_list_diff(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  std::unique_ptr<Kernel> made;
  visit(UniqueTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([nx = c.input_shape(0).size(), ny = c.input_shape(1).size(),
                   index = c.output_dtype(1)](RunContext& r) {
      const T *x = r.input<T>(0), *y = r.input<T>(1);
      const auto hash = [](const T* p) { return Slices<T>::hash_of(*p); };
      const auto equal = [](const T* a, const T* b) { return Slices<T>::same(*a, *b); };
      std::unordered_map<const T*, bool, decltype(hash), decltype(equal)> drop(std::size_t(ny), hash, equal);
      for (std::int64_t i = 0; i < ny; ++i) drop.emplace(y + i, true);
      Ints kept;
      for (std::int64_t i = 0; i < nx; ++i) {
        if (!drop.contains(x + i)) kept.push_back(i);
      }
      Tensor out(dtype_v<T>, Shape{std::int64_t(kept.size())});
      for (std::size_t i = 0; i < kept.size(); ++i) out.template data<T>()[i] = x[kept[i]];
      r.set_output(0, std::move(out));
      r.set_output(1, index_tensor(index, kept));
    });
  });
  return made;
}

template <bool upper>
std::unique_ptr<Kernel> prepare_bound(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  const std::int64_t rows = c.input_shape(0)[0], size = c.input_shape(0)[1], count = c.input_shape(1)[1];
  visit(RealTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.output_dtype(0), [&]<class I>(std::type_identity<I>) {
      made = kernel([=](RunContext& r) {
        const auto less = [](const T& a, const T& b) { return Compute<T>(a) < Compute<T>(b); };
        const T *sorted = r.input<T>(0), *values = r.input<T>(1);
        I* to = r.output<I>(0);
        for (std::int64_t row = 0; row < rows; ++row) {
          const T *begin = sorted + row * size, *end = begin + size;
          for (std::int64_t i = 0; i < count; ++i) {
            const T& value = values[row * count + i];
            to[row * count + i] = I((upper ? std::upper_bound(begin, end, value, less)
                                           : std::lower_bound(begin, end, value, less)) -
                                    begin);
          }
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_dynamic_partition(PrepareContext& c) {
  const int parts = c.num_outputs();
  for (int i = 0; i < parts; ++i) c.own_output(i);
  const Shape element = c.input_shape(0).slice(c.input_shape(1).rank());
  return kernel([parts, element, n = c.input_shape(1).size(), dtype = c.input_dtype(0)](RunContext& r) {
    const std::int32_t* partition = r.input<std::int32_t>(1);
    Ints counts(std::size_t(parts), 0);
    for (std::int64_t i = 0; i < n; ++i) {
      require(partition[i] >= 0 && partition[i] < parts, "partition ", partition[i], " (number ", i,
              ") is not in [0, ", parts, ")");
      ++counts[std::size_t(partition[i])];
    }
    std::vector<Tensor> outputs;
    for (std::int64_t count : counts) outputs.emplace_back(dtype, Shape{count}.concat(element));
    visit_element(dtype, [&]<class T>(std::type_identity<T>) {
      const T* from = r.input<T>(0);
      std::vector<T*> to;
      for (const Tensor& output : outputs) to.push_back(static_cast<T*>(output.raw()));
      const std::int64_t size = element.size();
      for (std::int64_t i = 0; i < n; ++i) {
        T*& at = to[std::size_t(partition[i])];
        at = std::copy(from + i * size, from + (i + 1) * size, at);
      }
    });
    for (int i = 0; i < parts; ++i) r.set_output(i, std::move(outputs[std::size_t(i)]));
  });
}

std::unique_ptr<Kernel> prepare_dynamic_stitch(PrepareContext& c) {
  const int pairs = c.num_inputs() / 2;
  const DType dtype = c.output_dtype(0);
  c.own_output(0);
  Shape element = c.input_shape(pairs).slice(c.input_shape(0).rank());
  Ints counts;
  for (int i = 0; i < pairs; ++i) counts.push_back(c.input_shape(i).size());
  return kernel([pairs, dtype, element, counts, declared = c.output_shape(0)](RunContext& r) {
    std::int64_t size = 0;
    for (int i = 0; i < pairs; ++i) {
      const std::int32_t* indices = r.input<std::int32_t>(i);
      for (std::int64_t j = 0; j < counts[std::size_t(i)]; ++j) {
        require(indices[j] >= 0, "index ", indices[j], " is negative");
        size = std::max<std::int64_t>(size, std::int64_t(indices[j]) + 1);
      }
    }
    Tensor merged = zeros(dtype, Shape{size}.concat(element));  // in places that no index names
    require(declared.compatible_with(merged.shape()), "the indices lead to shape ", merged.shape(),
            ", where ", declared, " is expected");
    visit_element(dtype, [&]<class T>(std::type_identity<T>) {
      const std::int64_t length = element.size();
      T* to = static_cast<T*>(merged.raw());
      for (int i = 0; i < pairs; ++i) {
        const std::int32_t* indices = r.input<std::int32_t>(i);
        const T* from = r.input<T>(pairs + i);
        for (std::int64_t j = 0; j < counts[std::size_t(i)]; ++j)
          std::copy(from + j * length, from + (j + 1) * length, to + indices[j] * length);
      }
    });
    r.set_output(0, std::move(merged));
  });
}

}  // namespace

HEADRACE_KERNELS(slicing) {
  add_kernel("Slice", prepare_slice);
  add_lowering("Slice", lower_slice);
  add_kernel("StridedSlice", prepare_strided_slice);
  add_kernel("StridedSliceGrad", prepare_strided_slice_grad);
  add_kernel("TensorStridedSliceUpdate", prepare_strided_slice_update);
  add_kernel("Reverse", prepare_reverse);
  add_kernel("ReverseV2", prepare_reverse_v2);
  add_kernel("Roll", prepare_roll);
  add_kernel("ReverseSequence", prepare_reverse_sequence);

  add_kernel("UnravelIndex", prepare_unravel_index);
  add_kernel("Gather", prepare_gather);
  add_kernel("GatherV2", prepare_gather_v2);
  add_kernel("GatherNd", prepare_gather_nd);
  add_kernel("ScatterNd", prepare_scatter_nd);
  add_kernel("TensorScatterUpdate", prepare_tensor_scatter_update);
  add_kernel("TensorScatterAdd", prepare_tensor_scatter_sum<Scatter::add>);
  add_kernel("TensorScatterSub", prepare_tensor_scatter_sum<Scatter::subtract>);

  add_kernel("Where", prepare_where);
  for (const char* name : {"Unique", "UniqueWithCounts"}) add_kernel(name, prepare_unique);
  for (const char* name : {"UniqueV2", "UniqueWithCountsV2"}) add_kernel(name, prepare_unique_v2);
  add_kernel("ListDiff", prepare_list_diff);
  add_kernel("LowerBound", prepare_bound<false>);
  add_kernel("UpperBound", prepare_bound<true>);
  add_kernel("DynamicPartition", prepare_dynamic_partition);
  for (const char* name : {"DynamicStitch", "ParallelDynamicStitch"})
    add_kernel(name, prepare_dynamic_stitch);
}

}  // namespace headrace
