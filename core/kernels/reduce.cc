#include "core/kernels/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/base/parallel.h"
#include "core/kernels/reduction.h"
#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

bool is_16_bit_float(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

// Which dimensions are reduced. The axes are constant wherever they matter to the output's shape.
std::vector<bool> reduced_dims(PrepareContext& c) {
  const Shape& shape = c.inputs()[0].shape;
  std::vector<bool> reduced(std::size_t(shape.rank()));
  if (shape.rank() == 0 || c.inputs()[1].shape.size() == 0) return reduced;
  const auto axes = c.constant_ints(1);
  if (!axes) internal("the axes are not known");
  for (const auto axis : *axes) reduced[std::size_t(normalize_axis(axis, shape.rank()))] = true;
  return reduced;
}

// Dimensions in alternating groups, kept and reduced: sizes, beginning with a kept one (perhaps of size 1).
std::vector<std::int64_t> groups_of(const Shape& shape, const std::vector<bool>& reduced) {
  std::vector<std::int64_t> groups{1};
  for (int d = 0; d < shape.rank(); ++d) {
    if (shape[d] == 1) continue;
    if (reduced[std::size_t(d)] != (groups.size() % 2 == 0)) groups.push_back(1);
    groups.back() *= shape[d];
  }
  return groups;
}

}  // namespace

std::unique_ptr<Kernel> reduce(PrepareContext& c, const char* name, const std::vector<bool>& reduced) {
  const DType dtype = c.inputs()[0].dtype;
  const Shape& shape = c.inputs()[0].shape;
  const bool converts = is_16_bit_float(dtype);
  const DType computes = converts ? DType::float32 : dtype;
  const Reducer by = find_reducer(name, computes);
  if (!by) return nullptr;

  std::int64_t count = 1;
  for (int d = 0; d < shape.rank(); ++d) count *= reduced[std::size_t(d)] ? shape[d] : 1;
  const std::int64_t results = c.outputs()[0].shape.size(), elements = shape.size();
  auto groups = groups_of(shape, reduced);
  if (groups.size() == 1) {  // nothing to reduce, unless squares are to be taken
    if (by.first == by.second) {
      c.alias(0, 0);
      return nothing_to_run();
    }
    groups.push_back(1);
  }
  if (elements == 0) groups = {results, 0};

  // From the innermost reduced group outwards; each stage but the last leaves its results in scratch memory.
  const std::size_t width = size_of(computes);
  std::vector<BlockedReduction> stages;
  std::size_t scratch = converts ? (std::size_t(elements + results) * width + 2 * kAlignment) : 0;
  std::size_t between = 0, partial = 0;
  const std::size_t converted = scratch;
  while (groups.size() > 1) {
    std::int64_t inner = 1;
    if (groups.size() % 2 == 1) {
      inner = groups.back();
      groups.pop_back();
    }
    const std::int64_t rows = groups.back();
    groups.pop_back();
    std::int64_t outer = 1;
    for (const auto size : groups) outer *= size;
    stages.emplace_back(Reducer{stages.empty() ? by.first : by.second, by.second}, width, outer, rows, inner);
    partial = std::max(partial, stages.back().scratch_bytes());
    if (groups.size() > 1) {
      between += (stages.back().output_bytes() + kAlignment - 1) / kAlignment * kAlignment;
      groups.back() *= inner;  // kept dimensions that now stand together
    }
  }
  c.scratch(scratch + between + partial);
  const auto& tables = vector::tables();
  const auto to_float = dtype == DType::float16 ? tables.float_of_half : tables.float_of_bfloat16;
  const auto from_float = dtype == DType::float16 ? tables.half_of_float : tables.bfloat16_of_float;
  return kernel([=](RunContext& r) {
    const std::byte* x = r.input<std::byte>(0);
    std::byte *out = r.output<std::byte>(0), *free = static_cast<std::byte*>(r.scratch());
    std::byte* last = out;
    if (converts) {
      auto* floats = reinterpret_cast<float*>(free);
      parallel_for(elements, 0.3, [&](std::int64_t begin, std::int64_t end) {
        to_float(end - begin, x + 2 * begin, floats + begin);
      });
      x = free;
      last = free + (std::size_t(elements) * width + kAlignment - 1) / kAlignment * kAlignment;
      free += converted;
    }
    std::byte* partials = free + between;
    for (std::size_t i = 0; i < stages.size(); ++i) {
      std::byte* to = i + 1 == stages.size() ? last : free;
      stages[i].run(x, to, partials);
      x = to;
      free += (stages[i].output_bytes() + kAlignment - 1) / kAlignment * kAlignment;
    }
    if (by.finish) by.finish(results, last, double(count));
    if (converts) from_float(results, last, out);
  });
}

namespace {

// The one loop over (outer, rows, inner) that a node is, if it is one. Over axes of size 1, or none, it only
// passes its input on.
std::vector<TapeEntry> lower_reduction(const char* name, const Node& node) {
  const Shape& shape = node.input(0).shape();
  const DType dtype = node.dtype(0);
  const Reducer by = find_reducer(name, is_16_bit_float(dtype) ? DType::float32 : dtype);
  if (!by || shape.size() == 0) return {};
  if (shape.size() == node.shape(0).size()) {
    if (by.first != by.second) return {};  // squares are to be taken
    return {{"", {{0, shape}}, dtype, node.shape(0)}};
  }
  const Tensor* axes = node.input(1).node->constant();
  if (!axes) return {};
  std::vector<bool> reduced(std::size_t(shape.rank()));
  for (const auto axis : to_ints(*axes)) reduced[std::size_t(normalize_axis(axis, shape.rank()))] = true;
  auto groups = groups_of(shape, reduced);
  groups.resize(std::max<std::size_t>(groups.size(), 3), 1);
  if (groups.size() > 3) return {};
  return {{name, {{0, Shape(groups)}}, dtype, node.shape(0), 0.1F, true}};
}

// ---- positions of extremes

// Strictly better, or the first NaN.
template <class T>
bool beats(T a, T b, bool largest) {
  if constexpr (requires { a.real(); }) {
    return largest ? std::abs(a) > std::abs(b) : std::abs(a) < std::abs(b);
  } else {
    using C = Compute<T>;
    const C x = C(a), y = C(b);
    return (largest ? x > y : x < y) || (x != x && y == y);
  }
}

// Where the first of the extreme elements of a long row is: the extreme by a vector loop, then the place.
template <class T>
std::int64_t first_extreme(const vector::Reduction& extreme, const T* row, std::int64_t count) {
  T best;
  extreme.row(count, row, &best);
  constexpr std::int64_t kBlock = 64;
  std::int64_t begin = 0;
  for (; begin + kBlock <= count; begin += kBlock) {
    int found = 0;
    for (std::int64_t i = 0; i < kBlock; ++i)
      found |= row[begin + i] == best || row[begin + i] != row[begin + i];
    if (found) break;
  }
  while (!(row[begin] == best || row[begin] != row[begin])) ++begin;
  return begin;
}

template <class T>
std::int64_t first_extreme_of_few(const T* row, std::int64_t count, bool largest) {
  std::int64_t at = 0;
  T best = row[0];
  for (std::int64_t i = 1; i < count; ++i) {
    const bool better = beats(row[i], best, largest);
    best = better ? row[i] : best;
    at = better ? i : at;
  }
  return at;
}

template <bool Largest>
std::unique_ptr<Kernel> prepare_arg(PrepareContext& c) {
  const Shape& shape = c.inputs()[0].shape;
  const auto axes = c.constant_ints(1);
  if (!axes && shape.rank() > 1) internal("the axis is not known");
  const int axis = axes ? normalize_axis((*axes)[0], shape.rank()) : 0;  // of a vector, there is one
  const std::int64_t outer = shape.slice(0, axis).size(), count = shape[axis],
                     inner = shape.slice(axis + 1, shape.rank()).size();
  std::unique_ptr<Kernel> made;
  visit(PlainTypes{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.outputs()[0].dtype, [&]<class Index>(std::type_identity<Index>) {
      if (inner == 1) {
        constexpr bool kHasLoop =
            std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_integral_v<T>;
        const auto* extreme =
            kHasLoop ? vector::find_reduction(Largest ? "max" : "min", dtype_v<T>) : nullptr;
        made = kernel([=](RunContext& r) {
          const T* x = r.input<T>(0);
          Index* out = r.output<Index>(0);
          parallel_for(outer, double(count) * (count < 32 ? 2 : 0.1) + 5,
                       [&](std::int64_t begin, std::int64_t end) {
                         for (std::int64_t o = begin; o < end; ++o) {
                           const T* row = x + o * count;
                           if constexpr (kHasLoop) {
                             if (extreme && count >= 32) {
                               out[o] = Index(first_extreme(*extreme, row, count));
                               continue;
                             }
                           }
                           out[o] = Index(first_extreme_of_few(row, count, Largest));
                         }
                       });
        });
        return;
      }
      made = kernel([=](RunContext& r) {
        const T* x = r.input<T>(0);
        Index* out = r.output<Index>(0);
        constexpr std::int64_t kColumns = 64;
        const std::int64_t tiles = (inner + kColumns - 1) / kColumns;
        parallel_for(outer * tiles, double(count * std::min(inner, kColumns)) * 0.7 + 5,
                     [&](std::int64_t begin, std::int64_t end) {
                       for (std::int64_t task = begin; task < end; ++task) {
                         const std::int64_t o = task / tiles, column = task % tiles * kColumns;
                         const std::int64_t columns = std::min(kColumns, inner - column);
                         const T* from = x + o * count * inner + column;
                         Index* to = out + o * inner + column;
                         T best[kColumns];
                         std::copy_n(from, columns, best);
                         std::fill_n(to, columns, Index(0));
                         for (std::int64_t i = 1; i < count; ++i) {
                           for (std::int64_t j = 0; j < columns; ++j) {
                             if (beats(from[i * inner + j], best[j], Largest)) {
                               best[j] = from[i * inner + j];
                               to[j] = Index(i);
                             }
                           }
                         }
                       }
                     });
      });
    });
  });
  return made;
}

// ---- scans

struct Add {
  template <class T>
  static T start() {
    return T(0);
  }
  template <class T>
  static T of(T a, T b) {
    return T(a + b);
  }
};
struct Multiply {
  template <class T>
  static T start() {
    return T(1);
  }
  template <class T>
  static T of(T a, T b) {
    return T(a * b);
  }
};
struct LogAddExp {
  template <class T>
  static T start() {
    return -std::numeric_limits<T>::infinity();
  }
  template <class T>
  static T of(T a, T b) {
    const T high = std::max(a, b), low = std::min(a, b);
    return low == -std::numeric_limits<T>::infinity() || !(high < std::numeric_limits<T>::infinity())
               ? high
               : high + std::log1p(std::exp(low - high));
  }
};

template <class F, class List>
std::unique_ptr<Kernel> prepare_scan(PrepareContext& c) {
  const Shape& shape = c.inputs()[0].shape;
  const auto axes = c.constant_ints(1);
  const bool exclusive = c.node().attr<bool>("exclusive"), reverse = c.node().attr<bool>("reverse");
  const DType axis_dtype = c.inputs()[1].dtype;
  c.in_place(0, 0);
  std::unique_ptr<Kernel> made;
  visit(List{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    made = kernel([=](RunContext& r) {
      const std::int64_t given = axes                         ? (*axes)[0]
                                 : axis_dtype == DType::int32 ? *r.input<std::int32_t>(1)
                                                              : *r.input<std::int64_t>(1);
      const int axis = normalize_axis(given, shape.rank());
      const std::int64_t outer = shape.slice(0, axis).size(), count = shape[axis],
                         inner = shape.slice(axis + 1, shape.rank()).size();
      const T* x = r.input<T>(0);
      T* out = r.output<T>(0);
      using C = Compute<T>;
      constexpr std::int64_t kColumns = 64;
      const std::int64_t tiles = (inner + kColumns - 1) / kColumns;
      parallel_for(outer * tiles, double(count * std::min(inner, kColumns)) + 5,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t task = begin; task < end; ++task) {
                       const std::int64_t o = task / tiles, column = task % tiles * kColumns;
                       const std::int64_t columns = std::min(kColumns, inner - column);
                       C total[kColumns];
                       std::fill_n(total, columns, F::template start<C>());
                       for (std::int64_t step = 0; step < count; ++step) {
                         const std::int64_t at =
                             (o * count + (reverse ? count - 1 - step : step)) * inner + column;
                         for (std::int64_t j = 0; j < columns; ++j) {
                           const C next = F::template of<C>(total[j], C(x[at + j]));
                           out[at + j] = T(exclusive ? total[j] : next);
                           total[j] = next;
                         }
                       }
                     }
                   });
    });
  });
  return made;
}

// ---- segments

struct SegmentMax {
  template <class T>
  static T start() {
    return std::numeric_limits<T>::lowest();
  }
  template <class T>
  static T of(T a, T b) {
    return b > a || b != b ? b : a;
  }
};
struct SegmentMin {
  template <class T>
  static T start() {
    return std::numeric_limits<T>::max();
  }
  template <class T>
  static T of(T a, T b) {
    return b < a || b != b ? b : a;
  }
};

enum class Divide { none, count, root };

template <class C>
void divide(std::int64_t width, C* row, std::int64_t count, Divide by) {
  if (by == Divide::none || count == 0) return;
  if constexpr (std::is_integral_v<C>) {
    for (std::int64_t j = 0; j < width; ++j) row[j] = C(row[j] / C(count));
  } else {
    const double divisor = by == Divide::count ? double(count) : std::sqrt(double(count));
    for (std::int64_t j = 0; j < width; ++j) {
      if constexpr (std::is_floating_point_v<C>) {
        row[j] = C(row[j] / C(divisor));
      } else {
        row[j] /= typename C::value_type(divisor);
      }
    }
  }
}

// Combines rows of `width` elements into `segments` rows: row i of the data (or row indices[i]) into row
// ids[i]. Segments without rows become `empty`. Threads share out the columns and, within sorted ids, nothing
// else is needed: the order in which a segment's rows are combined is theirs.
template <class F, class T, class Id, class Row>
void combine_rows(std::int64_t count, std::int64_t width, std::int64_t segments, const T* data, const Id* ids,
                  Row row_of, Compute<T> empty, Divide by, T* out) {
  using C = Compute<T>;
  parallel_for(width, double(count) * 1.0 + 10, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t columns = end - begin;
    // 16-bit floats accumulate in float, in a copy of the columns.
    std::vector<C> sums;
    std::vector<std::int64_t> counts(std::size_t(segments), 0);
    C* total = nullptr;
    std::int64_t stride = width;
    if constexpr (std::is_same_v<C, T>) {
      total = out + begin;
    } else {
      sums.resize(std::size_t(segments * columns));
      total = sums.data();
      stride = columns;
    }
    for (std::int64_t s = 0; s < segments; ++s)
      std::fill_n(total + s * stride, columns, F::template start<C>());
    for (std::int64_t i = 0; i < count; ++i) {
      const auto s = std::int64_t(ids[i]);
      if (s < 0) continue;
      const T* row = data + row_of(i) * width + begin;
      C* to = total + s * stride;
      for (std::int64_t j = 0; j < columns; ++j) to[j] = F::template of<C>(to[j], C(row[j]));
      ++counts[std::size_t(s)];
    }
    for (std::int64_t s = 0; s < segments; ++s) {
      if (counts[std::size_t(s)] == 0) std::fill_n(total + s * stride, columns, empty);
      divide(columns, total + s * stride, counts[std::size_t(s)], by);
      if constexpr (!std::is_same_v<C, T>) {
        for (std::int64_t j = 0; j < columns; ++j) out[s * width + begin + j] = T(total[s * stride + j]);
      }
    }
  });
}

// The number of segments that sorted ids name.
template <class Id>
std::int64_t count_sorted(const Id* ids, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    require(ids[i] >= 0, "segment_ids[", i, "] is ", ids[i], ", but ids start from 0");
    require(i == 0 || ids[i - 1] <= ids[i], "segment_ids[", i, "] is ", ids[i], " after ",
            i ? ids[i - 1] : Id(0),
            ", but the ids must be sorted; sort the rows, or use an unsorted segment operation");
  }
  return count == 0 ? 0 : std::int64_t(ids[count - 1]) + 1;
}

Shape row_shape(const Shape& shape, std::int64_t rows, int from) {
  return Shape{rows}.concat(shape.slice(from, shape.rank()));
}

template <class F, class List>
std::unique_ptr<Kernel> prepare_segment(PrepareContext& c, Divide by, bool empty_is_one) {
  const Shape shape = c.inputs()[0].shape;
  const DType id_dtype = c.inputs()[1].dtype;
  c.own_output(0);
  std::unique_ptr<Kernel> made;
  visit(List{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, id_dtype, [&]<class Id>(std::type_identity<Id>) {
      made = kernel([=](RunContext& r) {
        const std::int64_t rows = shape[0], width = shape.slice(1, shape.rank()).size();
        const Id* ids = r.input<Id>(1);
        const std::int64_t segments = count_sorted(ids, rows);
        Tensor out(dtype_v<T>, row_shape(shape, segments, 1));
        combine_rows<F>(
            rows, width, segments, r.input<T>(0), ids, [](std::int64_t i) { return i; },
            Compute<T>(empty_is_one ? 1 : 0), by, out.data<T>());
        r.set_output(0, std::move(out));
      });
    });
  });
  return made;
}

template <class F, class List>
std::unique_ptr<Kernel> prepare_unsorted_segment(PrepareContext& c) {
  const Shape data = c.inputs()[0].shape, ids_shape = c.inputs()[1].shape;
  const std::int64_t segments = c.outputs()[0].shape[0];
  const DType id_dtype = c.inputs()[1].dtype;
  std::unique_ptr<Kernel> made;
  visit(List{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, id_dtype, [&]<class Id>(std::type_identity<Id>) {
      made = kernel([=](RunContext& r) {
        const std::int64_t rows = ids_shape.size(), width = data.slice(ids_shape.rank(), data.rank()).size();
        const Id* ids = r.input<Id>(1);
        for (std::int64_t i = 0; i < rows; ++i) {
          require(std::int64_t(ids[i]) < segments, "segment_ids has ", ids[i], " at ", i,
                  ", but num_segments is ", segments, "; ids must be below it");
        }
        combine_rows<F>(
            rows, width, segments, r.input<T>(0), ids, [](std::int64_t i) { return i; },
            F::template start<Compute<T>>(), Divide::none, r.output<T>(0));
      });
    });
  });
  return made;
}

using SparseTypes = Join<FloatTypes, IntegerTypes>;

std::unique_ptr<Kernel> prepare_sparse_segment(PrepareContext& c, Divide by, bool given_number) {
  const Shape data = c.inputs()[0].shape;
  const std::int64_t count = c.inputs()[1].shape.size();
  const std::int64_t given = given_number ? c.outputs()[0].shape[0] : -1;
  if (!given_number) c.own_output(0);
  std::unique_ptr<Kernel> made;
  visit(SparseTypes{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.inputs()[1].dtype, [&]<class Index>(std::type_identity<Index>) {
      made = kernel([=](RunContext& r) {
        const std::int64_t rows = data[0], width = data.slice(1, data.rank()).size();
        const Index* indices = r.input<Index>(1);
        const auto* ids = r.input<std::int32_t>(2);
        for (std::int64_t i = 0; i < count; ++i) {
          require(indices[i] >= 0 && indices[i] < rows, "indices[", i, "] is ", indices[i], ", but data has ",
                  rows, " rows");
        }
        const std::int64_t needed = count_sorted(ids, count), segments = given < 0 ? needed : given;
        require(needed <= segments, "segment_ids go up to ", needed - 1, ", but num_segments is ", segments);
        T* out;
        if (given < 0) {
          Tensor own(dtype_v<T>, row_shape(data, segments, 1));
          out = own.data<T>();
          r.set_output(0, std::move(own));
        } else {
          out = r.output<T>(0);
        }
        combine_rows<Add>(
            count, width, segments, r.input<T>(0), ids,
            [indices](std::int64_t i) { return std::int64_t(indices[i]); }, Compute<T>(0), by, out);
      });
    });
  });
  return made;
}

// Row i of the gradient of the data gathers, from every place that read it, its segment's gradient over the
// count.
std::unique_ptr<Kernel> prepare_sparse_segment_grad(PrepareContext& c, Divide by) {
  const Shape grad = c.inputs()[0].shape, out_shape = c.outputs()[0].shape;
  const std::int64_t count = c.inputs()[1].shape.size();
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    visit(IndexTypes{}, c.inputs()[1].dtype, [&]<class Index>(std::type_identity<Index>) {
      made = kernel([=](RunContext& r) {
        const std::int64_t segments = grad[0], rows = out_shape[0], width = grad.slice(1, grad.rank()).size();
        const T* from = r.input<T>(0);
        const Index* indices = r.input<Index>(1);
        const auto* ids = r.input<std::int32_t>(2);
        std::vector<std::int64_t> counts(std::size_t(segments), 0);
        for (std::int64_t i = 0; i < count; ++i) {
          require(ids[i] >= 0 && ids[i] < segments, "segment_ids[", i, "] is ", ids[i], ", but grad has ",
                  segments, " rows");
          require(indices[i] >= 0 && indices[i] < rows, "indices[", i, "] is ", indices[i],
                  ", but output_dim0 is ", rows);
          ++counts[std::size_t(ids[i])];
        }
        using C = Compute<T>;
        std::vector<C> sums(std::size_t(rows * width), C(0));
        for (std::int64_t i = 0; i < count; ++i) {
          const auto n = double(counts[std::size_t(ids[i])]);
          const C factor = C(1 / (by == Divide::count ? n : std::sqrt(n)));
          for (std::int64_t j = 0; j < width; ++j) {
            sums[std::size_t(indices[i] * width + j)] += C(from[ids[i] * width + j]) * factor;
          }
        }
        T* out = r.output<T>(0);
        for (std::int64_t i = 0; i < rows * width; ++i) out[i] = T(sums[std::size_t(i)]);
      });
    });
  });
  return made;
}

}  // namespace

HEADRACE_KERNELS(reduce) {
  static constexpr std::pair<const char*, const char*> kReductions[] = {
      {"Sum", "sum"},   {"Prod", "prod"},          {"Max", "max"}, {"Min", "min"},
      {"Mean", "mean"}, {"EuclideanNorm", "norm"}, {"All", "all"}, {"Any", "any"}};
  for (const auto& [op, name] : kReductions) {
    add_kernel(op, [name](PrepareContext& c) { return reduce(c, name, reduced_dims(c)); });
    add_lowering(op, [name](const Node& node) { return lower_reduction(name, node); });
  }
  add_kernel("ArgMax", prepare_arg<true>);
  add_kernel("ArgMin", prepare_arg<false>);
  add_kernel("Cumsum", prepare_scan<Add, NumericTypes>);
  add_kernel("Cumprod", prepare_scan<Multiply, NumericTypes>);
  add_kernel("CumulativeLogsumexp", prepare_scan<LogAddExp, FloatTypes>);
  add_kernel("SegmentSum",
             [](PrepareContext& c) { return prepare_segment<Add, NumericTypes>(c, Divide::none, false); });
  add_kernel("SegmentMean",
             [](PrepareContext& c) { return prepare_segment<Add, NumericTypes>(c, Divide::count, false); });
  add_kernel("SegmentProd", [](PrepareContext& c) {
    return prepare_segment<Multiply, NumericTypes>(c, Divide::none, true);
  });
  add_kernel("SegmentMax", [](PrepareContext& c) {
    return prepare_segment<SegmentMax, RealTypes>(c, Divide::none, false);
  });
  add_kernel("SegmentMin", [](PrepareContext& c) {
    return prepare_segment<SegmentMin, RealTypes>(c, Divide::none, false);
  });
  add_kernel("UnsortedSegmentSum", prepare_unsorted_segment<Add, NumericTypes>);
  add_kernel("UnsortedSegmentProd", prepare_unsorted_segment<Multiply, NumericTypes>);
  add_kernel("UnsortedSegmentMax", prepare_unsorted_segment<SegmentMax, RealTypes>);
  add_kernel("UnsortedSegmentMin", prepare_unsorted_segment<SegmentMin, RealTypes>);
  for (const auto& [name, by] : {std::pair<std::string, Divide>{"Sum", Divide::none},
                                 {"Mean", Divide::count},
                                 {"SqrtN", Divide::root}}) {
    add_kernel("SparseSegment" + name,
               [by](PrepareContext& c) { return prepare_sparse_segment(c, by, false); });
    add_kernel("SparseSegment" + name + "WithNumSegments",
               [by](PrepareContext& c) { return prepare_sparse_segment(c, by, true); });
    if (by == Divide::none) continue;
    add_kernel("SparseSegment" + name + "Grad",
               [by](PrepareContext& c) { return prepare_sparse_segment_grad(c, by); });
  }
}

}  // namespace headrace
