#include "core/kernels/onednn/post_operations.h"

#include <array>
#include <string_view>

#include "core/base/error.h"

namespace headrace::onednn {
namespace {

using dnnl::algorithm;
using Spread = PostOperation::Spread;

constexpr std::size_t kMostPointers = 20;

// A rectifier is a slope of zero below zero. The library's own would make zeros of NaNs, and hide that
// something went wrong.
constexpr std::string_view kRectifier = "Relu";
alignas(kAlignment) constexpr float kNoSlope[kAlignment / sizeof(float)] = {};

struct Binary {
  std::string_view op;
  algorithm does;
};
constexpr Binary kBinary[] = {
    {"Add", algorithm::binary_add},     {"AddV2", algorithm::binary_add},
    {"BiasAdd", algorithm::binary_add}, {"BiasAddV1", algorithm::binary_add},
    {"Sub", algorithm::binary_sub},     {"Mul", algorithm::binary_mul},
};

// Activations that keep a NaN (clipping, for Relu6, does not); alpha is the operation's value where it has
// one.
struct Unary {
  std::string_view op;
  algorithm does;
  float alpha = 0;
  bool has_value = false;
};
constexpr Unary kUnary[] = {
    {"LeakyRelu", algorithm::eltwise_relu, 0, true},
    {"Elu", algorithm::eltwise_elu, 1},
    {"Tanh", algorithm::eltwise_tanh},
    {"Sigmoid", algorithm::eltwise_logistic},
};

template <class Table>
const auto* find(const Table& table, std::string_view op) {
  for (const auto& entry : table) {
    if (entry.op == op) return &entry;
  }
  return static_cast<decltype(&table[0])>(nullptr);
}

}  // namespace

PostOps::PostOps(PrepareContext& c, const memory::desc& results, int channel, int channel_axis,
                 Scratch& scratch)
    : attr_(user_scratchpad()) {
  const memory::dims dims = results.get_dims();
  const auto operand = [&](memory::data_type type, Spread spread) {
    if (spread == Spread::element) return memory::desc(dims, type, results.get_strides());
    memory::dims small(dims.size(), 1);
    if (spread == Spread::channel) small[std::size_t(channel)] = dims[std::size_t(channel)];
    return desc(type, small, strides_of(small));
  };
  dnnl::post_ops ops;
  const auto add = [&](algorithm does, const memory::desc& of, Operand from) {
    from.argument = {DNNL_ARG_ATTR_MULTIPLE_POST_OP(ops.len()) | DNNL_ARG_SRC_1, of};
    ops.append_binary(does, of);
    operands_.push_back(from);
  };
  for (const PostOperation& one : post_operations(c, channel_axis)) {
    if (one.normalizes()) {
      const std::int64_t channels = dims[std::size_t(channel)];
      const std::size_t bytes = std::size_t(channels) * sizeof(float);
      const Normalization folded{one.first, one.value, channels, scratch.add(bytes), scratch.add(bytes)};
      const auto of = operand(memory::data_type::f32, Spread::channel);
      add(algorithm::binary_mul, of, {.argument = {}, .offset = folded.factor});
      add(algorithm::binary_add, of, {.argument = {}, .offset = folded.shift});
      normalizations_.push_back(folded);
    } else if (const Binary* binary = find(kBinary, one.op)) {
      add(binary->does, operand(type_of(c.input_dtype(one.first)), one.spread),
          {.argument = {}, .input = one.first});
    } else if (one.op == kRectifier) {
      const auto of = operand(memory::data_type::f32, Spread::once);
      operands_.push_back({.argument = {DNNL_ARG_ATTR_MULTIPLE_POST_OP(ops.len()) | DNNL_ARG_WEIGHTS, of},
                           .fixed = kNoSlope});
      ops.append_prelu(0);
    } else if (const Unary* unary = find(kUnary, one.op)) {
      ops.append_eltwise(unary->does, unary->has_value ? one.value : unary->alpha, 0);
    } else {
      internal("the library has no post-operation for ", one.op);
    }
  }
  attr_.set_post_ops(ops);
}

std::vector<Primitive::Argument> PostOps::arguments(std::vector<Primitive::Argument> own) const {
  for (const Operand& operand : operands_) own.push_back(operand.argument);
  return own;
}

void PostOps::run(const Primitive& primitive, RunContext& r, std::initializer_list<const void*> own) const {
  char* scratch = static_cast<char*>(r.scratch());
  for (const Normalization& one : normalizations_) {
    fold_normalization(r, one.first, one.epsilon, one.channels,
                       reinterpret_cast<float*>(scratch + one.factor),
                       reinterpret_cast<float*>(scratch + one.shift));
  }
  std::array<const void*, kMostPointers> pointers;
  std::size_t count = 0;
  for (const void* pointer : own) pointers[count++] = pointer;
  for (const Operand& operand : operands_) {
    pointers[count++] = operand.fixed        ? operand.fixed
                        : operand.input >= 0 ? r.input<void>(operand.input)
                                             : scratch + operand.offset;
  }
  primitive.run(std::span(pointers.data(), count));
}

}  // namespace headrace::onednn
