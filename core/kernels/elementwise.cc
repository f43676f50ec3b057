#include "core/kernels/elementwise.h"

#include <utility>

#include "core/kernels/fusion.h"

namespace headrace {
namespace {

// A tape of one entry.
std::unique_ptr<Kernel> make(PrepareContext& c, const char* op, std::span<const ValueType> inputs,
                             DType dtype, std::span<const float> parameters) {
  if (!is_plain(inputs.back().dtype)) return nullptr;
  const Shape& shape = c.outputs()[0].shape;
  TapeEntry entry{op, {}, dtype, shape};
  for (int i = 0; i < int(inputs.size()); ++i) entry.operands.push_back({i, inputs[std::size_t(i)].shape});
  for (const float parameter : parameters) entry.operands.push_back({-1, {}, parameter});
  return run_tape(c, {{std::move(entry)}, {{int(inputs.size()), 0}}, {shape}}, inputs);
}

}  // namespace

std::unique_ptr<Kernel> elementwise(PrepareContext& c) {
  return elementwise(c, c.node().op().name().c_str());
}
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op,
                                    std::initializer_list<float> parameters) {
  return make(c, op, c.inputs(), c.outputs()[0].dtype, {parameters.begin(), parameters.size()});
}
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op, std::span<const ValueType> inputs,
                                    std::optional<DType> dtype) {
  return make(c, op, inputs, dtype.value_or(c.outputs()[0].dtype), {});
}

std::vector<TapeEntry> lower_to(const char* loop, const Node& node) {
  const auto inputs = node.inputs();
  if (inputs.empty()) return {};
  const auto cost = loop_cost(loop, int(inputs.size()), inputs.back().dtype());
  if (!cost) return {};
  TapeEntry entry{loop, {}, node.dtype(0), node.shape(0), *cost};
  for (int i = 0; i < int(inputs.size()); ++i) entry.operands.push_back({i, node.input(i).shape()});
  return {std::move(entry)};
}

void add_elementwise(const char* op) {
  add_kernel(op, [](PrepareContext& c) { return elementwise(c); });
  add_lowering(op, [](const Node& node) { return lower_to(node.op().name().c_str(), node); });
}

}  // namespace headrace
