// Work on values before they are stored for the first time: with f a product of matrices, a convolution or a
// normalisation,
//
//   g(f(x, w), b) = f'(x, w, b)      g an operation that f' can apply to each value: a bias, a residual, a
//                                    scale, an activation, normalisation by statistics that are given
//
// for as many g in a row as there are, where nobody else reads what lies between. b has a value for each
// element, for each channel, or one for all.
#include <algorithm>
#include <set>
#include <unordered_set>

#include "core/base/window.h"
#include "core/passes/pipeline.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr std::size_t kMostOperations = 6;

// What a fused node has to know of one operation: for the lists of define_fused.
struct Step {
  std::string op;
  std::vector<Output> operands;
  float value = 0;
};

class Chain {
 public:
  Chain(Node& first, const std::set<Output>& kept)
      : first_(first), last_(&first), kept_(kept), nodes_{&first} {
    while (steps_.size() < kMostOperations) {
      Node* next = only_reader();
      if (!next || !append(*next)) break;
      nodes_.push_back(last_ = next);
    }
  }
  bool empty() const { return steps_.empty(); }
  // What the fused node stands for, in order.
  const std::vector<Node*>& nodes() const { return nodes_; }

  void fuse(Function& function) const {
    std::vector<Output> inputs(first_.inputs().begin(), first_.inputs().end());
    std::vector<std::string> names;
    std::vector<std::int64_t> counts;
    std::vector<float> values;
    std::vector<DType> dtypes;
    for (const Step& step : steps_) {
      names.push_back(step.op);
      counts.push_back(std::int64_t(step.operands.size()));
      values.push_back(step.value);
      for (const Output& operand : step.operands) {
        inputs.push_back(operand);
        dtypes.push_back(operand.dtype());
      }
    }
    AttrMap attrs = first_.attrs();
    attrs["Targs"] = dtypes;
    attrs["then"] = names;
    attrs["then_inputs"] = counts;
    attrs["then_values"] = values;
    Node& fused = function.graph.add(
        find_op(first_.op().fused_as()),
        {.name = function.graph.unique_name(last_->name() + "/fused"),
         .inputs = std::move(inputs),
         .attrs = std::move(attrs),
         .control_inputs = {first_.control_inputs().begin(), first_.control_inputs().end()},
         .device = first_.device(),
         .source = first_.source()});
    substitute(function, {last_, 0}, {&fused, 0});
    for (int i = 1; i < first_.num_outputs(); ++i) substitute(function, {&first_, i}, {&fused, i});
    function.graph.redirect_controls(*last_, fused);
    for (Node* node : nodes_) std::replace(function.targets.begin(), function.targets.end(), node, &fused);
    // At once, so that nobody takes them for readers.
    for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) function.graph.remove(**node);
  }

 private:
  // Who alone reads the values made so far, if nothing else needs them.
  Node* only_reader() const {
    if (kept_.contains({last_, 0})) return nullptr;
    Node* reader = nullptr;
    for (const Use& use : last_->uses()) {
      if (use.input == kControl) return nullptr;
      if (use.node->input(use.input).index != 0) continue;
      if (reader) return nullptr;
      reader = use.node;
    }
    return reader;
  }

  int channel_axis() const {
    const int rank = first_.shape(0).rank();
    const auto format = first_.attr_or<std::string>("data_format", "");
    return format.empty() ? rank - 1 : DataFormat(format).channel_axis();
  }

  // Whether an operand, seen with the values under broadcasting, has one value for each channel.
  bool by_channel(const Shape& operand, bool is_vector_of_channels) const {
    const Shape& values = first_.shape(0);
    const int axis = channel_axis();
    if (operand.size() != values[axis]) return false;
    if (is_vector_of_channels) return operand.rank() == 1;
    const int at = axis - (values.rank() - operand.rank());
    return at >= 0 && operand[at] == values[axis];
  }

  // Only the first node's further outputs are made.
  bool only_first_is_read(Node& node) const {
    for (int i = 1; i < node.num_outputs(); ++i) {
      if (kept_.contains({&node, i})) return false;
    }
    return std::all_of(node.uses().begin(), node.uses().end(), [](const Use& use) {
      return use.input == kControl || use.node->input(use.input).index == 0;
    });
  }

  // Whether the operand is made, in some way, of further outputs of the first node.
  bool needs_first(Output operand) const {
    if (first_.num_outputs() == 1) return false;
    std::unordered_set<const Node*> seen;
    std::vector<const Node*> open{operand.node};
    while (!open.empty()) {
      const Node* node = open.back();
      open.pop_back();
      if (node == &first_) return true;
      if (!seen.insert(node).second) continue;
      for (const Output& input : node->inputs()) open.push_back(input.node);
      for (const Node* before : node->control_inputs()) open.push_back(before);
    }
    return false;
  }

  bool append(Node& next) {
    const Shape& values = first_.shape(0);
    if (!next.has(Trait::post_operation) || next.has_attr("then") || next.device() != first_.device() ||
        !next.control_inputs().empty() || next.dtype(0) != first_.dtype(0) || next.shape(0) != values ||
        next.attr_or("is_training", false)) {
      return false;
    }
    if (next.num_outputs() > 1 && !only_first_is_read(next)) return false;
    Step step{next.op().name(), {}};
    const bool swapped = next.input(0) != Output{last_, 0};
    if (swapped && !next.has(Trait::commutative)) return false;
    // Channels are where the node's own format says, unless it goes by broadcasting.
    const bool channels = !next.has(Trait::elementwise);
    if (channels && DataFormat(next.attr_or<std::string>("data_format", "NHWC")).channels_first !=
                        (channel_axis() == 1 && values.rank() > 2)) {
      return false;
    }
    for (std::size_t i = 0; i < next.inputs().size(); ++i) {
      if (int(i) == (swapped ? 1 : 0)) continue;
      const Output operand = next.input(int(i));
      const Shape& shape = operand.shape();
      if (!shape.is_full() || needs_first(operand)) return false;
      const bool fits =
          by_channel(shape, channels) ||
          (!channels && (shape == values || (shape.size() == 1 && shape.rank() <= values.rank())));
      if (!fits) return false;
      step.operands.push_back(operand);
    }
    for (const char* attr : {"alpha", "epsilon"}) step.value = next.attr_or(attr, step.value);
    steps_.push_back(std::move(step));
    return true;
  }

  Node& first_;
  Node* last_;
  const std::set<Output>& kept_;
  std::vector<Node*> nodes_;
  std::vector<Step> steps_;
};

// The CPU's kernels know how; another device has ways of its own.
bool may_fuse(const Node& node) {
  if (node.op().fused_as().empty() || !node.shape(0).is_full() || node.shape(0).size() == 0) return false;
  if (node.dtype(0) != DType::float32 && node.dtype(0) != DType::bfloat16) return false;
  return node.device().empty() || DeviceSpec::parse(node.device()).type == "CPU";
}

}  // namespace

bool fuse_post_operations(Function& function, Resources&) {
  const std::set<Output> kept(function.results.begin(), function.results.end());
  std::unordered_set<const Node*> fused;
  for (Node* node : function.graph.topological_order()) {
    if (fused.contains(node) || !may_fuse(*node)) continue;
    const Chain chain(*node, kept);
    if (chain.empty()) continue;
    fused.insert(chain.nodes().begin(), chain.nodes().end());
    chain.fuse(function);
  }
  return !fused.empty();
}

}  // namespace headrace
