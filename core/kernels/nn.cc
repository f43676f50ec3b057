// Activations (whose loops are in vector/elementwise.cc), biases, softmax and its losses, and the best k.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/parallel.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/fusion.h"
#include "core/kernels/reduce.h"
#include "core/kernels/vector/vector.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

// ---- biases

// The dimension of the channels.
int channel_axis(const Node& node, const Shape& value) {
  return node.attr_or<std::string>("data_format", "NHWC") == "NCHW" ? 1 : value.rank() - 1;
}

std::unique_ptr<Kernel> prepare_bias_add(PrepareContext& c) {
  const int rank = c.output_shape(0).rank();
  std::vector<ValueType> inputs(c.inputs().begin(), c.inputs().end());
  for (int i = channel_axis(c.node(), c.output_shape(0)) + 1; i < rank; ++i) inputs[1].shape.push_back(1);
  return elementwise(c, "AddV2", inputs);
}

std::vector<TapeEntry> lower_bias_add(const Node& node) {
  auto entries = lower_to("AddV2", node);
  if (entries.empty()) return entries;
  Shape& bias = entries[0].operands[1].shape;
  for (int i = channel_axis(node, node.shape(0)) + 1; i < node.shape(0).rank(); ++i) bias.push_back(1);
  return entries;
}

std::unique_ptr<Kernel> prepare_bias_add_grad(PrepareContext& c) {
  const Shape& shape = c.input_shape(0);
  std::vector<bool> reduced(std::size_t(shape.rank()), true);
  reduced[std::size_t(channel_axis(c.node(), shape))] = false;
  return reduce(c, "sum", reduced);
}

// ---- activations with a parameter

std::vector<TapeEntry> lower_leaky_relu(const Node& node) {
  const std::string& loop = node.op().name();
  const int inputs = int(node.inputs().size());
  const auto cost = loop_cost(loop, inputs + 1, node.dtype(0));
  if (!cost) return {};
  TapeEntry entry{loop, {}, node.dtype(0), node.shape(0), *cost};
  for (int i = 0; i < inputs; ++i) entry.operands.push_back({i, node.input(i).shape()});
  entry.operands.push_back({-1, Shape(), node.attr<float>("alpha")});
  return {std::move(entry)};
}

// ---- losses

// The sum of f(x[i]) in several lanes, so that it is quick and its rounding errors are small.
template <class C, class T, class F>
C sum_of(const T* x, std::int64_t size, F f) {
  constexpr int lanes = 16;
  C sums[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    for (int lane = 0; lane < lanes; ++lane) sums[lane] += f(C(x[i + lane]));
  }
  for (; i < size; ++i) sums[i % lanes] += f(C(x[i]));
  return std::accumulate(sums, sums + lanes, C{});
}

// Cut into the same parts whatever the number of threads, so that the result is the same too.
constexpr std::int64_t kParts = 16;

std::unique_ptr<Kernel> prepare_l2_loss(PrepareContext& c) {
  const std::int64_t size = c.input_shape(0).size();
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([size](RunContext& r) {
      const T* x = r.input<T>(0);
      std::array<C, kParts> sums;
      parallel_for(kParts, 0.2 * double(size) / kParts, [&](std::int64_t begin, std::int64_t end) {
        for (auto part = begin; part < end; ++part) {
          const std::int64_t from = size * part / kParts, to = size * (part + 1) / kParts;
          sums[part] = sum_of<C>(x + from, to - from, [](C v) { return v * v; });
        }
      });
      *r.output<T>(0) = T(std::accumulate(sums.begin(), sums.end(), C{}) / C(2));
    });
  });
  return made;
}

// ---- softmax

// What rows are computed with: C is the type that computes.
template <class C>
struct RowLoops {
  vector::Row max = vector::find_reduction("max", dtype_v<C>)->row;
  vector::Row sum = vector::find_reduction("sum", dtype_v<C>)->row;
  vector::Unary exp = vector::find_unary("Exp", dtype_v<C>)->run;

  // Writes exp(x - m) to e, which may be x itself, where m is x's maximum; returns m and the sum of e.
  std::pair<C, C> exponentials(const C* x, std::int64_t size, C* e) const {
    C highest, total;
    max(size, x, &highest);
    for (std::int64_t i = 0; i < size; ++i) e[i] = x[i] - highest;
    exp(size, e, e);
    sum(size, e, &total);
    return {highest, total};
  }
};

// Runs f(row, x, y) for each row of one input and one output of `columns` elements, widened to the type that
// computes where they are 16-bit floats: the rows then pass through scratch. x and y may be the same memory.
template <class T, class F>
void for_rows(std::int64_t rows, std::int64_t columns, const T* x, T* y, void* scratch, F&& f) {
  using C = Compute<T>;
  parallel_for(rows, 1.5 * double(columns), [&](std::int64_t begin, std::int64_t end) {
    for (auto row = begin; row < end; ++row) {
      const T* from = x + row * columns;
      T* to = y + row * columns;
      if constexpr (std::is_same_v<T, C>) {
        f(row, from, to);
      } else {
        C* wide = static_cast<C*>(scratch) + row * columns;
        std::copy_n(from, columns, wide);
        f(row, wide, wide);
        std::copy_n(wide, columns, to);
      }
    }
  });
}
template <class T>
std::size_t scratch_for_rows(std::int64_t elements) {
  return std::is_same_v<T, Compute<T>> ? 0 : std::size_t(elements) * sizeof(Compute<T>);
}

template <bool log>
std::unique_ptr<Kernel> prepare_softmax(PrepareContext& c) {
  const std::int64_t columns = c.output_shape(0)[-1];
  const std::int64_t rows = columns ? c.output_shape(0).size() / columns : 0;
  c.in_place(0, 0);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    c.scratch(scratch_for_rows<T>(rows * columns) + (log ? std::size_t(rows * columns) * sizeof(C) : 0));
    made = kernel([rows, columns, loops = RowLoops<C>()](RunContext& r) {
      for_rows(rows, columns, r.input<T>(0), r.output<T>(0), r.scratch(),
               [&](std::int64_t row, const C* x, C* y) {
                 if (log) {
                   // The exponentials are needed for their sum only.
                   C* spare = static_cast<C*>(r.scratch()) + scratch_for_rows<T>(rows * columns) / sizeof(C) +
                              row * columns;
                   const auto [highest, sum] = loops.exponentials(x, columns, spare);
                   const C shift = std::log(sum);
                   for (std::int64_t i = 0; i < columns; ++i) y[i] = (x[i] - highest) - shift;
                 } else {
                   const C scale = C(1) / loops.exponentials(x, columns, y).second;
                   for (std::int64_t i = 0; i < columns; ++i) y[i] *= scale;
                 }
               });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_softmax_cross_entropy(PrepareContext& c) {
  const Shape& shape = c.output_shape(1);
  const std::int64_t rows = shape[0], columns = shape[1];
  // Either operand may have one row or one column for all.
  auto steps = [&](const Shape& operand) {
    return std::pair(operand[0] == 1 ? 0 : operand[1], std::int64_t(operand[1] == 1 ? 0 : 1));
  };
  const auto [x_row, x_step] = steps(c.input_shape(0));
  const auto [label_row, label_step] = steps(c.input_shape(1));
  require(columns > 0 || rows == 0, "features ", c.input_shape(0), " have no classes, expected at least one");
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    c.scratch(std::size_t(rows * columns) * sizeof(C));
    made = kernel([=, x_row = x_row, x_step = x_step, label_row = label_row, label_step = label_step,
                   loops = RowLoops<C>()](RunContext& r) {
      const T *x = r.input<T>(0), *labels = r.input<T>(1);
      T *loss = r.output<T>(0), *backprop = r.output<T>(1);
      parallel_for(rows, 3.0 * double(columns), [&](std::int64_t begin, std::int64_t end) {
        for (auto row = begin; row < end; ++row) {
          const T* from = x + row * x_row;
          const T* target = labels + row * label_row;
          C* e = static_cast<C*>(r.scratch()) + row * columns;
          for (std::int64_t i = 0; i < columns; ++i) e[i] = C(from[i * x_step]);
          const auto [highest, sum] = loops.exponentials(e, columns, e);
          const C shift = std::log(sum), scale = C(1) / sum;
          C total = 0;
          for (std::int64_t i = 0; i < columns; ++i) {
            const C centred = C(from[i * x_step]) - highest, label = C(target[i * label_step]);
            // A class that cannot occur costs nothing, however unlikely it is thought.
            total += label == C(0) ? C(0) : label * (shift - centred);
            backprop[row * columns + i] = T(e[i] * scale - label);
          }
          loss[row] = T(total);
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_sparse_softmax_cross_entropy(PrepareContext& c) {
  const std::int64_t rows = c.output_shape(1)[0], columns = c.output_shape(1)[1];
  require(columns > 0 || rows == 0, "features ", c.input_shape(0), " have no classes, expected at least one");
  c.in_place(1, 0);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    c.scratch(scratch_for_rows<T>(rows * columns));
    visit(IndexTypes{}, c.input_dtype(1), [&]<class I>(std::type_identity<I>) {
      made = kernel([rows, columns, loops = RowLoops<C>()](RunContext& r) {
        const I* labels = r.input<I>(1);
        T* loss = r.output<T>(0);
        for_rows(rows, columns, r.input<T>(0), r.output<T>(1), r.scratch(),
                 [&](std::int64_t row, const C* x, C* y) {
                   const std::int64_t label = labels[row];
                   require(label >= 0 && label < columns, "label ", row, " is ", label,
                           ", expected a class in [0, ", columns, "), for features have ", columns,
                           " columns");
                   const C own = x[label];
                   const auto [highest, sum] = loops.exponentials(x, columns, y);
                   loss[row] = T(std::log(sum) - (own - highest));
                   const C scale = C(1) / sum;
                   for (std::int64_t i = 0; i < columns; ++i) y[i] *= scale;
                   y[label] -= C(1);
                 });
      });
    });
  });
  return made;
}

// ---- the best k

template <class I>
std::unique_ptr<Kernel> in_top_k(std::int64_t rows, std::int64_t classes, std::optional<std::int64_t> fixed) {
  return kernel([=](RunContext& r) {
    const float* predictions = r.input<float>(0);
    const I* targets = r.input<I>(1);
    const std::int64_t k = fixed ? *fixed : std::int64_t(*r.input<I>(2));
    bool* precision = r.output<bool>(0);
    parallel_for(rows, double(classes), [&](std::int64_t begin, std::int64_t end) {
      for (auto row = begin; row < end; ++row) {
        const float* of = predictions + row * classes;
        const std::int64_t target = targets[row];
        // With a target that is no class, or a prediction that is no number, there is no telling.
        bool known = target >= 0 && target < classes;
        std::int64_t higher = 0;
        for (std::int64_t i = 0; i < classes && known; ++i) {
          known = std::isfinite(of[i]);
          higher += of[i] > of[target];
        }
        precision[row] = known && higher < k;
      }
    });
  });
}

std::unique_ptr<Kernel> prepare_in_top_k(PrepareContext& c) {
  const std::int64_t rows = c.output_shape(0)[0], classes = c.input_shape(0)[1];
  const auto k = c.num_inputs() == 2 ? std::optional(c.attr<std::int64_t>("k")) : std::nullopt;
  std::unique_ptr<Kernel> made;
  visit(IndexTypes{}, c.input_dtype(1),
        [&]<class I>(std::type_identity<I>) { made = in_top_k<I>(rows, classes, k); });
  return made;
}

std::unique_ptr<Kernel> prepare_top_k(PrepareContext& c) {
  const std::int64_t columns = c.input_shape(0)[-1], k = c.output_shape(0)[-1];
  const std::int64_t rows = k ? c.output_shape(0).size() / k : 0;
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([=](RunContext& r) {
      const T* x = r.input<T>(0);
      T* values = r.output<T>(0);
      std::int32_t* indices = r.output<std::int32_t>(1);
      parallel_for(rows, 2.0 * double(columns), [&](std::int64_t begin, std::int64_t end) {
        for (auto row = begin; row < end; ++row) {
          const T* from = x + row * columns;
          std::int32_t* best = indices + row * k;
          // NaN counts as the largest, so that it is noticed; of equal elements the first wins.
          auto before = [from](std::int32_t a, std::int32_t b) {
            const auto u = Compute<T>(from[a]), v = Compute<T>(from[b]);
            if (u != u || v != v) return v == v || (u != u && a < b);
            return u > v || (u == v && a < b);
          };
          // The best so far are a heap with the worst of them on top.
          std::iota(best, best + k, 0);
          std::make_heap(best, best + k, before);
          for (std::int64_t i = k; i < columns; ++i) {
            if (!before(std::int32_t(i), best[0])) continue;
            std::pop_heap(best, best + k, before);
            best[k - 1] = std::int32_t(i);
            std::push_heap(best, best + k, before);
          }
          std::sort_heap(best, best + k, before);
          for (std::int64_t i = 0; i < k; ++i) values[row * k + i] = from[best[i]];
        }
      });
    });
  });
  return made;
}

}  // namespace

HEADRACE_KERNELS(nn) {
  for (const char* name : {"Relu", "ReluGrad", "Relu6", "Relu6Grad", "Elu", "EluGrad", "Selu", "SeluGrad",
                           "Softplus", "SoftplusGrad", "Softsign", "SoftsignGrad"}) {
    add_elementwise(name);
  }
  for (const char* name : {"LeakyRelu", "LeakyReluGrad"}) {
    add_lowering(name, lower_leaky_relu);
    add_kernel(name, [](PrepareContext& c) {
      return elementwise(c, c.node().op().name().c_str(), {c.node().attr<float>("alpha")});
    });
  }
  add_kernel("BiasAdd", prepare_bias_add);
  add_kernel("BiasAddV1", prepare_bias_add);
  add_lowering("BiasAdd", lower_bias_add);
  add_lowering("BiasAddV1", lower_bias_add);
  add_kernel("BiasAddGrad", prepare_bias_add_grad);
  add_kernel("L2Loss", prepare_l2_loss);
  add_kernel("Softmax", prepare_softmax<false>);
  add_kernel("LogSoftmax", prepare_softmax<true>);
  add_kernel("SoftmaxCrossEntropyWithLogits", prepare_softmax_cross_entropy);
  add_kernel("SparseSoftmaxCrossEntropyWithLogits", prepare_sparse_softmax_cross_entropy);
  add_kernel("InTopK", prepare_in_top_k);
  add_kernel("InTopKV2", prepare_in_top_k);
  add_kernel("TopK", prepare_top_k);
  add_kernel("TopKV2", prepare_top_k);
}

}  // namespace headrace
