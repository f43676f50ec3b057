#include "core/registry/kernel.h"

#include <algorithm>
#include <map>

namespace headrace {
namespace {

struct Entry {
  KernelRank rank;
  Prepare prepare;
};

std::map<std::string, std::vector<Entry>, std::less<>>& kernels() {
  static std::map<std::string, std::vector<Entry>, std::less<>> map;
  return map;
}

}  // namespace

Tensor RunContext::input_tensor(int i) const {
  const Slot& slot = slots_[inputs_[i]];
  const ValueType& type = input_types_[i];
  if (slot.held && !slot.held.buffer()->borrowed())
    return slot.held.shape() == type.shape ? slot.held : slot.held.reshaped(type.shape);
  Tensor copied(type.dtype, type.shape);
  copy_elements(type.dtype, slot.data, copied.raw(), copied.size());
  return copied;
}

Tensor RunContext::lent_tensor(int i) const {
  const Slot& slot = slots_[inputs_[i]];
  const ValueType& type = input_types_[i];
  if (slot.held) return slot.held.shape() == type.shape ? slot.held : slot.held.reshaped(type.shape);
  const std::size_t bytes = std::size_t(type.shape.size()) * size_of(type.dtype);
  return Tensor(type.dtype, type.shape, BufferRef::borrow(slot.data, bytes, {}));
}

Tensor RunContext::take_tensor(int i) {
  const int slot = inputs_[i];
  if (std::count(inputs_.begin(), inputs_.end(), slot) > 1 ||
      std::find(releases_.begin(), releases_.end(), slot) == releases_.end()) {
    return input_tensor(i);
  }
  if (slots_[slot].held.buffer()->borrowed()) return input_tensor(i);
  Tensor taken = std::move(slots_[slot].held);
  return taken.shape() == input_types_[i].shape ? taken : taken.reshaped(input_types_[i].shape);
}

void RunContext::fail_resource(int i) const {
  const ResourceRef* ref = static_cast<const ResourceRef*>(slots_[inputs_[i]].data);
  invalid("input ", i, " is ", ref && *ref ? (*ref)->describe() : "no resource",
          ", which this operation cannot use");
}

std::unique_ptr<Kernel> nothing_to_run() {
  class Nothing final : public Kernel {
   public:
    void run(RunContext&) override {}
    bool does_nothing() const override { return true; }
  };
  return std::make_unique<Nothing>();
}

PrepareContext::PrepareContext(const Node& node, std::vector<ValueType> inputs,
                               std::vector<const Tensor*> constants, std::vector<ValueType> outputs,
                               Environment& environment)
    : node_(node),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      constants_(std::move(constants)),
      environment_(environment),
      alias_(outputs_.size()),
      in_place_(outputs_.size()),
      own_(outputs_.size(), false),
      fixed_(outputs_.size()),
      pieces_(outputs_.size()) {}

std::optional<std::vector<std::int64_t>> PrepareContext::constant_ints(int i) const {
  if (const Tensor* known = constant(i)) return to_ints(*known);
  if (inputs_[i].shape.size() == 0) return std::vector<std::int64_t>();
  // No constant, but shape rules may know what it will be.
  const Output input = node_.input(i);
  const PartialInts* ints = input.node->ints(input.index);
  if (!ints || std::find(ints->begin(), ints->end(), kUnknownValue) != ints->end()) return std::nullopt;
  return *ints;
}

std::shared_ptr<Callee> PrepareContext::callee(const FunctionName& name) const {
  const auto function = node_.graph().find_function(name.name);
  if (!function) fail(Code::not_found, "the graph has no function '", name.name, "'");
  if (!environment_.callee) fail(Code::unimplemented, "functions cannot be called here");
  return environment_.callee(*function);
}

void add_kernel(std::string_view op, Prepare prepare, KernelRank rank) {
  auto& entries = kernels()[std::string(op)];
  const auto after =
      std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) { return entry.rank > rank; });
  entries.insert(after, {rank, std::move(prepare)});
}

bool has_kernel(std::string_view op) { return kernels().contains(op); }

std::vector<std::string> ops_with_kernels() {
  std::vector<std::string> names;
  for (const auto& [name, entries] : kernels()) names.push_back(name);
  return names;
}

std::unique_ptr<Kernel> prepare(PrepareContext& context) {
  return prepare_as(context.node().op().name(), context);
}

std::unique_ptr<Kernel> prepare_as(std::string_view op, PrepareContext& context) {
  return in_node(context.node(), [&]() -> std::unique_ptr<Kernel> {
    const auto it = kernels().find(op);
    if (it != kernels().end()) {
      for (const Entry& entry : it->second) {
        if (auto made = entry.prepare(context)) return made;
      }
    }
    std::string dtypes;
    for (const ValueType& type : context.inputs())
      dtypes += (dtypes.empty() ? "" : ", ") + std::string(name_of(type.dtype));
    for (const ValueType& type : context.outputs()) dtypes += " -> " + std::string(name_of(type.dtype));
    fail(Code::unimplemented, "there is no CPU kernel for (", dtypes, ")",
         it == kernels().end() ? "" : "; cast to a dtype that it supports, such as float32");
  });
}

std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs, Resources& resources) {
  std::vector<ValueType> input_types, output_types;
  std::vector<const Tensor*> constants;
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) {
    input_types.push_back({input.dtype(), input.shape()});
    constants.push_back(&input);
    shapes.push_back(input.shape());
  }
  const std::vector<const PartialInts*> no_ints(inputs.size(), nullptr);
  ShapeContext inferred(node, std::move(shapes), constants, no_ints);
  in_node(node, [&] { node.op().shape_rule()(inferred); });
  for (int i = 0; i < node.num_outputs(); ++i) output_types.push_back({node.dtype(i), inferred.outputs()[i]});

  PrepareContext::Environment environment{resources, resources, {}};
  PrepareContext context(node, input_types, constants, output_types, environment);
  const auto made = prepare(context);

  std::vector<Slot> slots(inputs.size() + output_types.size());
  std::vector<int> in, out;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    in.push_back(int(i));
    slots[i] = {inputs[i].raw(), inputs[i]};
  }
  for (std::size_t i = 0; i < output_types.size(); ++i) {
    out.push_back(int(inputs.size() + i));
    if (context.own()[i]) continue;
    Tensor value = context.fixed()[i];
    if (const auto from = context.aliases()[i]) value = inputs[*from].reshaped(output_types[i].shape);
    if (!value) value = Tensor(output_types[i].dtype, output_types[i].shape);
    slots[out.back()] = {value.raw(), value};
  }
  const BufferRef scratch = BufferRef::allocate(context.scratch_bytes());
  Step step;
  RunContext run(slots.data(), in, out, input_types, {}, scratch->data(), step);
  in_node(node, [&] { made->run(run); });
  std::vector<Tensor> results;
  for (int slot : out) results.push_back(slots[slot].held);
  return results;
}

}  // namespace headrace
