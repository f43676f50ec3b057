// Post-operations in plain C++: a second pass over what another kernel has made.
#include "core/kernels/post_operations.h"

#include <cmath>

#include "core/base/window.h"
#include "core/kernels/channels.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

using Spread = PostOperation::Spread;

// f(x, operand, value), in double where the elements are, else in float.
template <class C>
using Formula = C (*)(C x, C operand, float value);

template <class C>
Formula<C> formula(const std::string& op) {
  struct Entry {
    std::string_view op;
    Formula<C> f;
  };
  static constexpr Entry kFormulas[] = {
      {"Add", [](C x, C y, float) { return x + y; }},
      {"AddV2", [](C x, C y, float) { return x + y; }},
      {"BiasAdd", [](C x, C y, float) { return x + y; }},
      {"BiasAddV1", [](C x, C y, float) { return x + y; }},
      {"Sub", [](C x, C y, float) { return x - y; }},
      {"Mul", [](C x, C y, float) { return x * y; }},
      {"Relu", [](C x, C, float) { return x <= C(0) ? C(0) : x; }},
      {"LeakyRelu", [](C x, C, float alpha) { return x > C(0) ? x : x * C(alpha); }},
      {"Elu", [](C x, C, float) { return x > C(0) ? x : std::expm1(x); }},
      {"Tanh", [](C x, C, float) { return std::tanh(x); }},
      {"Sigmoid", [](C x, C, float) { return C(1) / (C(1) + std::exp(-x)); }},
  };
  for (const Entry& entry : kFormulas) {
    if (entry.op == op) return entry.f;
  }
  return nullptr;
}

// The loop of the same operation, where it has one for this dtype.
template <class T>
PostPass vector_pass(const PostOperation& one, std::int64_t size) {
  const auto* unary =
      one.operands == 0 && one.value == 0 ? vector::find_unary(one.op.c_str(), dtype_v<T>) : nullptr;
  const auto* binary = one.operands == 1 && one.spread == Spread::element
                           ? vector::find_binary(one.op.c_str(), dtype_v<T>)
                           : nullptr;
  if (!unary && !binary) return {};
  return [=, first = one.first](RunContext& r) {
    T* y = r.output<T>(0);
    const T* operand = binary ? r.input<T>(first) : nullptr;
    parallel_for(size, unary ? unary->cost : binary->cost, [&](std::int64_t begin, std::int64_t end) {
      if (unary) return unary->run(end - begin, y + begin, y + begin);
      binary->run(end - begin, y + begin, operand + begin, y + begin);
    });
  };
}

template <class T>
PostPass plain_pass(const PostOperation& one, const Channels& by) {
  using C = Compute<T>;
  if (one.normalizes()) {
    return [=](RunContext& r) {
      std::vector<float> folded(std::size_t(2 * by.channels));
      float *factor = folded.data(), *shift = factor + by.channels;
      fold_normalization(r, one.first, one.value, by.channels, factor, shift);
      T* y = r.output<T>(0);
      for_channels(by, 0.5, [=](std::int64_t i, std::int64_t channel) {
        y[i] = T(C(y[i]) * C(factor[channel]) + C(shift[channel]));
      });
    };
  }
  const Formula<C> f = formula<C>(one.op);
  if (!f) internal("there is no way to apply ", one.op, " to results");
  return [=](RunContext& r) {
    T* y = r.output<T>(0);
    const T* operand = one.operands ? r.input<T>(one.first) : nullptr;
    for_channels(by, 2, [=](std::int64_t i, std::int64_t channel) {
      const std::int64_t at = one.spread == Spread::element ? i : one.spread == Spread::channel ? channel : 0;
      y[i] = T(f(C(y[i]), operand ? C(operand[at]) : C(0), one.value));
    });
  };
}

}  // namespace

std::vector<PostOperation> post_operations(const PrepareContext& c, int channel_axis) {
  std::vector<PostOperation> made;
  if (!c.node().has_attr("then")) return made;
  const auto& ops = c.attr<std::vector<std::string>>("then");
  const auto& counts = c.attr<std::vector<std::int64_t>>("then_inputs");
  const auto& values = c.attr<std::vector<float>>("then_values");
  const Shape& out = c.output_shape(0);
  int next = c.num_inputs();
  for (const std::int64_t count : counts) next -= int(count);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    PostOperation one{ops[i], values[i], next, int(counts[i])};
    next += one.operands;
    if (one.operands > 0) {
      const Shape& operand = c.input_shape(one.first);
      one.spread = operand == out                        ? Spread::element
                   : operand.size() == 1                 ? Spread::once
                   : operand.size() == out[channel_axis] ? Spread::channel
                                                         : Spread::once;
      if (one.spread == Spread::once && operand.size() != 1)
        internal("operand ", one.first, " has shape ", operand, " beside results of shape ", out);
    }
    made.push_back(std::move(one));
  }
  return made;
}

void fold_normalization(const RunContext& r, int first, float epsilon, std::int64_t channels, float* factor,
                        float* shift) {
  const float *scale = r.input<float>(first), *offset = r.input<float>(first + 1),
              *mean = r.input<float>(first + 2), *variance = r.input<float>(first + 3);
  for (std::int64_t i = 0; i < channels; ++i) {
    factor[i] = scale[i] / std::sqrt(variance[i] + epsilon);
    shift[i] = offset[i] - mean[i] * factor[i];
  }
}

PostPass post_pass(const PrepareContext& c, std::span<const PostOperation> operations, int channel_axis) {
  const Channels by(c.output_shape(0), channel_axis);
  std::vector<PostPass> passes;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    for (const PostOperation& one : operations) {
      PostPass pass = vector_pass<T>(one, by.size());
      passes.push_back(pass ? std::move(pass) : plain_pass<T>(one, by));
    }
  });
  return [passes = std::move(passes)](RunContext& r) {
    for (const PostPass& pass : passes) pass(r);
  };
}

Prepare with_post_operations(const char* op) {
  return [op](PrepareContext& c) -> std::unique_ptr<Kernel> {
    std::shared_ptr<Kernel> first = prepare_as(op, c);
    const bool image = c.node().has_attr("data_format");
    const int axis =
        image ? DataFormat(c.attr<std::string>("data_format")).channel_axis() : c.output_shape(0).rank() - 1;
    return kernel(
        [first = std::move(first), then = post_pass(c, post_operations(c, axis), axis)](RunContext& r) {
          first->run(r);
          then(r);
        });
  };
}

}  // namespace headrace
