#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/base/parallel.h"
#include "core/kernels/elementwise.h"
#include "core/kernels/fusion.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

// ---- strings

struct StringOperand {
  int input;
  std::vector<std::int64_t> strides;
};
// f(out, x, y) for each pair of broadcast strings.
template <class R, class F>
std::unique_ptr<Kernel> string_pairs(PrepareContext& c, F f) {
  const Shape shape = c.outputs()[0].shape;
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  std::vector<std::vector<std::int64_t>> strides;
  for (const auto& input : c.inputs()) {
    const auto from = input.shape.dims();
    const auto own = strides_of(from);
    std::vector<std::int64_t> padded(dims.size(), 0);
    for (std::size_t d = 0; d < from.size(); ++d) {
      if (from[d] != 1) padded[dims.size() - from.size() + d] = own[d];
    }
    strides.push_back(std::move(padded));
  }
  const bool owns = std::is_same_v<R, std::string>;
  if (owns) c.own_output(0);
  return kernel([=](RunContext& r) {
    Tensor made;
    if (owns) r.set_output(0, made = Tensor(dtype_v<R>, shape));
    const auto *x = r.input<std::string>(0), *y = r.input<std::string>(1);
    R* out = r.output<R>(0);
    const std::int64_t count = shape.size();
    for (std::int64_t i = 0; i < count; ++i) {
      std::int64_t rest = i, at_x = 0, at_y = 0;
      for (std::size_t d = dims.size(); d-- > 0; rest /= dims[d]) {
        at_x += rest % dims[d] * strides[0][d];
        at_y += rest % dims[d] * strides[1][d];
      }
      out[i] = f(x[at_x], y[at_y]);
    }
  });
}

std::unique_ptr<Kernel> prepare_add(PrepareContext& c) {
  if (c.inputs()[0].dtype != DType::string) return elementwise(c);
  return string_pairs<std::string>(c, [](const std::string& x, const std::string& y) { return x + y; });
}

template <bool IfEqual>
std::unique_ptr<Kernel> prepare_equal(PrepareContext& c) {
  if (!c.node().attr<bool>("incompatible_shape_error")) {
    try {
      broadcast(c.inputs()[0].shape, c.inputs()[1].shape);
    } catch (const Error&) {  // such shapes count as different
      c.fixed_output(0, Tensor::scalar(!IfEqual));
      return nothing_to_run();
    }
  }
  if (c.inputs()[0].dtype != DType::string) return elementwise(c);
  return string_pairs<bool>(c,
                            [](const std::string& x, const std::string& y) { return (x == y) == IfEqual; });
}

// ---- choice

// A vector condition chooses rows; shape (n) against (n, ...) is shape (n, 1...) for broadcasting.
// Strides with which an array is walked along a shape that it broadcasts to.
std::vector<std::int64_t> broadcast_strides(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> strides(std::size_t(to.rank()), 0);
  const auto own = strides_of(from.dims());
  for (int i = 1; i <= from.rank(); ++i) {
    if (from[-i] != 1) strides[std::size_t(to.rank() - i)] = own[std::size_t(from.rank() - i)];
  }
  return strides;
}

// Strings and the like, one by one.
std::unique_ptr<Kernel> select_objects(PrepareContext& c, const Shape& condition) {
  c.own_output(0);
  const Shape out = c.outputs()[0].shape;
  const std::array strides{broadcast_strides(condition, out), broadcast_strides(c.inputs()[1].shape, out),
                           broadcast_strides(c.inputs()[2].shape, out)};
  return kernel([out, strides, dtype = c.outputs()[0].dtype](RunContext& r) {
    Tensor made(dtype, out);
    const std::size_t width = size_of(dtype);
    for (std::int64_t i = 0; i < out.size(); ++i) {
      std::array<std::int64_t, 3> at{};
      std::int64_t rest = i;
      for (int d = out.rank(); d-- > 0;) {
        for (std::size_t k = 0; k < 3; ++k) at[k] += rest % out[d] * strides[k][std::size_t(d)];
        rest /= out[d];
      }
      const int branch = r.input<bool>(0)[at[0]] ? 1 : 2;
      copy_elements(dtype, r.input<std::byte>(branch) + std::size_t(at[std::size_t(branch)]) * width,
                    made.data<std::byte>() + std::size_t(i) * width, 1);
    }
    r.set_output(0, std::move(made));
  });
}

// Select takes a vector of conditions to be about rows; SelectV2 broadcasts it like anything else.
std::unique_ptr<Kernel> prepare_select(PrepareContext& c) {
  const Shape& out = c.outputs()[0].shape;
  std::vector<ValueType> inputs(c.inputs().begin(), c.inputs().end());
  Shape& condition = inputs[0].shape;
  if (c.node().op().name() == "Select" && condition.rank() == 1) {
    while (condition.rank() < out.rank()) condition.push_back(1);
  }
  const DType dtype = c.outputs()[0].dtype;
  if (!is_plain(dtype)) return select_objects(c, condition);
  if (size_of(dtype) != 2) return elementwise(c, "Select", inputs);
  inputs[1].dtype = inputs[2].dtype = DType::uint16;  // else 16-bit floats would become float32 in between
  return elementwise(c, "Select", inputs, DType::uint16);
}

std::vector<TapeEntry> lower_select(const Node& node) {
  auto entries = lower_to("Select", node);
  if (entries.empty() || node.op().name() != "Select") return entries;
  Shape& condition = entries[0].operands[0].shape;
  while (condition.rank() == 1 && condition.rank() < node.shape(0).rank()) condition.push_back(1);
  return entries;
}

// ---- powers

// The loop for a constant exponent that is cheap, or nullptr.
const char* cheap_power(const Tensor* exponent) {
  if (!exponent || exponent->size() != 1) return nullptr;
  double value = 0;
  visit(RealTypes{}, exponent->dtype(),
        [&]<class T>(std::type_identity<T>) { value = double(*exponent->data<T>()); });
  if (value == 2) return "Square";
  return value == -1 && is_floating(exponent->dtype()) ? "Reciprocal" : nullptr;
}

std::unique_ptr<Kernel> prepare_pow(PrepareContext& c) {
  const char* cheap = cheap_power(c.constant(1));
  if (cheap && c.inputs()[0].shape == c.outputs()[0].shape) return elementwise(c, cheap, c.inputs().first(1));
  return elementwise(c);
}

std::vector<TapeEntry> lower_pow(const Node& node) {
  const char* cheap = cheap_power(node.input(1).node->constant());
  const Output x = node.input(0);
  if (!cheap || x.shape() != node.shape(0)) return lower_to("Pow", node);
  const auto cost = loop_cost(cheap, 1, x.dtype());
  if (!cost) return {};
  return {{cheap, {{0, x.shape()}}, node.dtype(0), node.shape(0), *cost}};
}

// ---- sums of many tensors

std::unique_ptr<Kernel> prepare_add_n(PrepareContext& c) {
  const int inputs = int(c.inputs().size());
  const DType dtype = c.outputs()[0].dtype;
  const std::int64_t n = c.outputs()[0].shape.size();
  if (inputs == 1) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  const bool half = dtype == DType::float16, converts = half || dtype == DType::bfloat16;
  const auto* add = vector::find_binary("AddV2", converts ? DType::float32 : dtype);
  if (!add) return nullptr;
  for (int k = 0; k < inputs; ++k) c.in_place(0, k);
  const auto& tables = vector::tables();
  const auto to_float = half ? tables.float_of_half : tables.float_of_bfloat16;
  const auto from_float = half ? tables.half_of_float : tables.bfloat16_of_float;
  const std::size_t width = size_of(dtype);
  const auto run = add->run;
  return kernel([=](RunContext& r) {
    auto* out = r.output<std::byte>(0);
    parallel_for(n, 0.04 * double(width) * (inputs + 1), [&](std::int64_t begin, std::int64_t end) {
      // A block of the output is written last, so that it may be the memory of any input.
      constexpr std::int64_t kBlock = 1024;
      alignas(64) std::byte sums[std::size_t(kBlock) * 16], next[std::size_t(kBlock) * sizeof(float)];
      for (std::int64_t at = begin; at < end; at += kBlock) {
        const std::int64_t count = std::min(kBlock, end - at);
        const auto block = [&](int k) { return r.input<std::byte>(k) + std::size_t(at) * width; };
        if (converts) {
          to_float(count, block(0), sums);
          for (int k = 1; k < inputs; ++k) {
            to_float(count, block(k), next);
            run(count, sums, next, sums);
          }
          from_float(count, sums, out + std::size_t(at) * width);
          continue;
        }
        const void* sum = block(0);
        for (int k = 1; k < inputs; ++k) {
          void* to = k + 1 < inputs ? static_cast<void*>(sums) : out + std::size_t(at) * width;
          run(count, sum, block(k), to);
          sum = sums;
        }
      }
    });
  });
}

std::vector<TapeEntry> lower_add_n(const Node& node) {
  const int inputs = int(node.inputs().size());
  const DType dtype = node.dtype(0);
  const Shape& shape = node.shape(0);
  const auto cost = loop_cost("AddV2", 2, dtype);
  if (!cost) return {};
  if (inputs == 1) return {{"", {{0, shape}}, dtype, shape}};
  std::vector<TapeEntry> entries;
  for (int i = 1; i < inputs; ++i) {
    const int sum = i == 1 ? 0 : inputs + i - 2;  // so far
    entries.push_back({"AddV2", {{sum, shape}, {i, shape}}, dtype, shape, *cost});
  }
  return entries;
}

// ---- comparison within a tolerance

std::unique_ptr<Kernel> prepare_approximate_equal(PrepareContext& c) {
  const std::int64_t n = c.outputs()[0].shape.size();
  const auto tolerance = double(c.node().attr<float>("tolerance"));
  std::unique_ptr<Kernel> made;
  visit(NumericTypes{}, c.inputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    made = kernel([n, tolerance](RunContext& r) {
      const T *x = r.input<T>(0), *y = r.input<T>(1);
      bool* out = r.output<bool>(0);
      parallel_for(n, 0.5, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          using std::abs;
          if constexpr (std::is_integral_v<T>) {
            out[i] = double(x[i] > y[i] ? x[i] - y[i] : y[i] - x[i]) < tolerance;
          } else {
            out[i] = abs(Compute<T>(x[i]) - Compute<T>(y[i])) < tolerance;
          }
        }
      });
    });
  });
  return made;
}

// ---- vectors, counts

std::unique_ptr<Kernel> prepare_cross(PrepareContext& c) {
  const std::int64_t n = c.outputs()[0].shape.size() / 3;
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.outputs()[0].dtype, [&]<class T>(std::type_identity<T>) {
    made = kernel([n](RunContext& r) {
      const T *a = r.input<T>(0), *b = r.input<T>(1);
      T* out = r.output<T>(0);
      parallel_for(n, 2, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const T *u = a + 3 * i, *v = b + 3 * i;
          T* w = out + 3 * i;
          w[0] = T(u[1] * v[2] - u[2] * v[1]);
          w[1] = T(u[2] * v[0] - u[0] * v[2]);
          w[2] = T(u[0] * v[1] - u[1] * v[0]);
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_bincount(PrepareContext& c) {
  const std::int64_t n = c.inputs()[0].shape.size(), bins = c.outputs()[0].shape.size();
  const std::int64_t weights = c.inputs()[2].shape.size();
  require(weights == 0 || weights == n, "weights has ", weights, " elements, but arr has ", n,
          "; give one weight for each element, or none at all");
  std::unique_ptr<Kernel> made;
  visit(Types<std::int32_t, std::int64_t, float, double>{}, c.outputs()[0].dtype,
        [&]<class T>(std::type_identity<T>) {
          made = kernel([n, bins, weights](RunContext& r) {
            const auto* values = r.input<std::int32_t>(0);
            const T* weight = r.input<T>(2);
            T* out = r.output<T>(0);
            std::fill_n(out, bins, T(0));
            for (std::int64_t i = 0; i < n; ++i) {
              require(values[i] >= 0, "arr contains ", values[i], ", but only values from 0 can be counted");
              if (values[i] < bins) out[values[i]] += weights ? weight[i] : T(1);
            }
          });
        });
  return made;
}

std::unique_ptr<Kernel> prepare_bucketize(PrepareContext& c) {
  const std::int64_t n = c.outputs()[0].shape.size();
  const auto& boundaries = c.node().attr<std::vector<float>>("boundaries");
  std::unique_ptr<Kernel> made;
  visit(Types<std::int32_t, std::int64_t, float, double>{}, c.inputs()[0].dtype,
        [&]<class T>(std::type_identity<T>) {
          made = kernel([n, boundaries](RunContext& r) {
            const T* x = r.input<T>(0);
            auto* out = r.output<std::int32_t>(0);
            parallel_for(n, 5, [&](std::int64_t begin, std::int64_t end) {
              for (std::int64_t i = begin; i < end; ++i) {
                const auto after =
                    std::upper_bound(boundaries.begin(), boundaries.end(), double(x[i]),
                                     [](double value, float bound) { return value < double(bound); });
                out[i] = std::int32_t(after - boundaries.begin());
              }
            });
          });
        });
  return made;
}

std::unique_ptr<Kernel> prepare_histogram(PrepareContext& c) {
  const std::int64_t n = c.inputs()[0].shape.size(), bins = c.outputs()[0].shape.size();
  const DType counts = c.outputs()[0].dtype;
  std::unique_ptr<Kernel> made;
  visit(Types<std::int32_t, std::int64_t, float, double>{}, c.inputs()[0].dtype,
        [&]<class T>(std::type_identity<T>) {
          visit(IndexTypes{}, counts, [&]<class Count>(std::type_identity<Count>) {
            made = kernel([n, bins](RunContext& r) {
              const T *x = r.input<T>(0), *range = r.input<T>(1);
              require(range[0] < range[1], "value_range is [", range[0], ", ", range[1],
                      "], expected the low end below the high end");
              const double low = double(range[0]), step = (double(range[1]) - low) / double(bins);
              auto* out = r.output<Count>(0);
              std::fill_n(out, bins, Count(0));
              for (std::int64_t i = 0; i < n; ++i) {
                const double bin = std::floor((double(x[i]) - low) / step);
                ++out[std::int64_t(std::clamp(bin == bin ? bin : 0.0, 0.0, double(bins - 1)))];
              }
            });
          });
        });
  return made;
}

}  // namespace

HEADRACE_KERNELS(math) {
  for (const char* name : {"Neg",          "Abs",
                           "ComplexAbs",   "Sign",
                           "Reciprocal",   "Inv",
                           "Square",       "Sqrt",
                           "Rsqrt",        "Exp",
                           "Expm1",        "Log",
                           "Log1p",        "Sin",
                           "Cos",          "Tan",
                           "Asin",         "Acos",
                           "Atan",         "Sinh",
                           "Cosh",         "Tanh",
                           "Asinh",        "Acosh",
                           "Atanh",        "Sigmoid",
                           "Erf",          "Erfc",
                           "Erfinv",       "Ndtri",
                           "Lgamma",       "Digamma",
                           "BesselI0e",    "BesselI1e",
                           "Floor",        "Ceil",
                           "Round",        "Rint",
                           "IsNan",        "IsInf",
                           "IsFinite",     "LogicalNot",
                           "Invert",       "PopulationCount",
                           "Conj",         "Real",
                           "Imag",         "Angle",
                           "TanhGrad",     "SigmoidGrad",
                           "SqrtGrad",     "RsqrtGrad",
                           "InvGrad",      "ReciprocalGrad",
                           "AddV2",        "Sub",
                           "Mul",          "SquaredDifference",
                           "Div",          "RealDiv",
                           "TruncateDiv",  "FloorDiv",
                           "FloorMod",     "Mod",
                           "TruncateMod",  "Maximum",
                           "Minimum",      "MulNoNan",
                           "DivNoNan",     "Xdivy",
                           "Xlogy",        "Atan2",
                           "NextAfter",    "Zeta",
                           "Polygamma",    "Igamma",
                           "Igammac",      "IgammaGradA",
                           "Betainc",      "Less",
                           "LessEqual",    "Greater",
                           "GreaterEqual", "LogicalAnd",
                           "LogicalOr",    "BitwiseAnd",
                           "BitwiseOr",    "BitwiseXor",
                           "LeftShift",    "RightShift",
                           "ClipByValue",  "Complex"}) {
    add_elementwise(name);
  }
  add_kernel("Add", prepare_add);
  add_kernel("Pow", prepare_pow);
  add_kernel("Equal", prepare_equal<true>);
  add_kernel("NotEqual", prepare_equal<false>);
  add_kernel("Select", prepare_select);
  add_kernel("SelectV2", prepare_select);
  add_kernel("AddN", prepare_add_n);
  add_kernel("AccumulateNV2", prepare_add_n);
  add_kernel("ApproximateEqual", prepare_approximate_equal);
  for (const char* name : {"Add", "Equal", "NotEqual"}) {
    add_lowering(name, [](const Node& node) {
      const bool broadcasts = node.attr_or("incompatible_shape_error", true);
      return broadcasts ? lower_to(node.op().name().c_str(), node) : std::vector<TapeEntry>{};
    });
  }
  add_lowering("Pow", lower_pow);
  add_lowering("Select", lower_select);
  add_lowering("SelectV2", lower_select);
  add_lowering("AddN", lower_add_n);
  add_lowering("AccumulateNV2", lower_add_n);
  add_kernel("Cross", prepare_cross);
  add_kernel("Bincount", prepare_bincount);
  add_kernel("Bucketize", prepare_bucketize);
  add_kernel("HistogramFixedWidth", prepare_histogram);
}

}  // namespace headrace
