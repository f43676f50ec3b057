#include "core/plan/planner.h"

#include <algorithm>
#include <iostream>

#include "core/passes/extract.h"

namespace headrace {

std::shared_ptr<const Plan> Planner::make() {
  run_passes(*function_, environment_.options.disabled_passes, environment_.options.verify,
             environment_.resources);
  prune(*function_);
  order_ = function_->graph.topological_order();
  find_ready();
  placement_ = place(*function_, environment_.devices, environment_.options.allow_soft_placement);
  if (environment_.options.log_placement) log_placement();
  plan_ = std::make_shared<Plan>();
  plan_->threads_ = &environment_.threads;
  if (is_whole()) {
    compile_whole();
  } else {
    compile_pieces();
  }
  return plan_;
}

// A node is ready if everything that it depends on is, its inputs have full shapes, and it does not need an
// unknown value to know the shapes of its outputs.
void Planner::find_ready() {
  ready_.assign(function_->graph.nodes().size(), false);
  const auto has_full_shapes = [](const Node& node) {
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (!node.shape(i).is_full()) return false;
    }
    return true;
  };
  for (Node* node : order_) {
    const bool inputs_ready =
        std::all_of(node->inputs().begin(), node->inputs().end(),
                    [&](const Output& input) { return is_ready(*input.node) && input.shape().is_full(); }) &&
        std::all_of(node->control_inputs().begin(), node->control_inputs().end(),
                    [&](const Node* before) { return is_ready(*before); });
    if (!inputs_ready) continue;
    bool waits = false;
    if (!node->has(Trait::argument) && !has_full_shapes(*node)) {
      const ShapeContext context = infer(*node);
      for (std::size_t i = 0; i < node->inputs().size(); ++i) {
        if (!context.wanted()[i]) continue;
        waits = true;
        wanted_.insert(node->input(int(i)));
      }
    }
    ready_[std::size_t(node->id())] = !waits;
  }
}

void Planner::log_placement() const {
  for (const Node* node : order_) {
    std::cerr << node->name() << ": (" << node->op().name() << "): " << placement_.at(node)->name() << "\n";
  }
}

// Whether one device compiles everything, without any piece that would wait for another.
bool Planner::is_whole() const {
  return std::all_of(order_.begin(), order_.end(), [&](const Node* node) {
    return is_ready(*node) && placement_.at(node) == environment_.devices[0];
  });
}

void Planner::compile_whole() {
  Device& host = *environment_.devices[0];
  plan_->direct_ = true;
  plan_->steps_.push_back(Plan::Segment{&host, compile_on(host, *function_), {}, {}});
}

std::unique_ptr<Executable> Planner::compile_on(Device& device, const Function& function) {
  CompileOptions options = environment_.options.compile;
  options.verify = environment_.options.verify;
  return device.compile(function, environment_.kernels, options);
}

// ---- pieces

// Gives each piece constants of its own, so that what they say about shapes stays known. They need not wait
// for anything: the piece does.
void Planner::copy_constants(std::vector<Piece>& pieces) {
  Graph& graph = function_->graph;
  std::vector<int> piece_of(graph.nodes().size(), -1);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    for (const Node* node : pieces[i].nodes) piece_of[std::size_t(node->id())] = int(i);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Piece& piece = pieces[i];
    std::map<const Node*, Node*> copies;
    for (Node* node : piece.nodes) {
      for (int j = 0; j < int(node->inputs().size()); ++j) {
        const Node& constant = *node->input(j).node;
        if (!constant.constant() || piece_of[std::size_t(constant.id())] == int(i)) continue;
        if (piece.device && piece.device != placement_.at(&constant)) continue;
        const auto [it, added] = copies.try_emplace(&constant, nullptr);
        if (added) it->second = &graph.clone(constant, {}, {}, graph.unique_name(constant.name() + "/copy"));
        graph.set_input(*node, j, {it->second, 0});
      }
    }
    std::vector<Node*> first;
    for (const auto& [constant, copy] : copies) {
      first.push_back(copy);
      placement_[copy] = placement_.at(constant);
    }
    std::sort(first.begin(), first.end(), [](const Node* a, const Node* b) { return a->id() < b->id(); });
    piece.nodes.insert(piece.nodes.begin(), first.begin(), first.end());
  }
  // Those that nobody reads any more.
  const auto& results = function_->results;
  const auto& targets = function_->targets;
  for (Piece& piece : pieces) {
    std::erase_if(piece.nodes, [&](Node* node) {
      return node->constant() && node->uses().empty() && node->control_inputs().empty() &&
             std::find(results.begin(), results.end(), Output{node, 0}) == results.end() &&
             std::find(targets.begin(), targets.end(), node) == targets.end();
    });
  }
}

void Planner::compile_pieces() {
  Device& host = *environment_.devices[0];
  std::vector<Piece> pieces = divide(order_, ready_, placement_);
  copy_constants(pieces);
  for (Node* argument : function_->arguments) add_value({argument, 0}, host, -1);

  std::vector<int> piece_of(function_->graph.nodes().size(), -1);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    for (const Node* node : pieces[i].nodes) piece_of[std::size_t(node->id())] = int(i);
  }
  const std::unordered_set<Output, OutputHash> results(function_->results.begin(), function_->results.end());
  // All before anything is extracted, which removes edges between pieces.
  std::vector<std::vector<Output>> inputs(pieces.size()), outputs(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::unordered_set<Output, OutputHash> read;
    for (Node* node : pieces[i].nodes) {
      for (const Output& input : node->inputs()) {
        if (piece_of[std::size_t(input.node->id())] != int(i) && read.insert(input).second)
          inputs[i].push_back(input);
      }
      for (int j = 0; j < node->num_outputs(); ++j) {
        const Output output{node, j};
        const auto outside = [&](const Use& use) {
          return use.input != kControl && use.node->input(use.input) == output &&
                 piece_of[std::size_t(use.node->id())] != int(i);
        };
        if (results.contains(output) || std::any_of(node->uses().begin(), node->uses().end(), outside))
          outputs[i].push_back(output);
      }
    }
  }

  std::vector<int> step_of(pieces.size(), -1), after;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Piece& piece = pieces[i];
    if (piece.nodes.empty()) continue;
    after.clear();
    for (int before : piece.after) {
      if (step_of[std::size_t(before)] >= 0) after.push_back(step_of[std::size_t(before)]);
    }
    // What is sent to the piece's device comes before it.
    Device& device = piece.device ? *piece.device : host;
    for (const Output& input : inputs[i]) {
      if (const int made_by = made_by_[std::size_t(value_on(input, device))]; made_by >= 0)
        after.push_back(made_by);
    }
    std::variant<Plan::Segment, Plan::Transfer, Plan::Rest> step;
    if (piece.device) {
      step = compile_segment(device, piece.nodes, inputs[i], outputs[i]);
    } else {
      step = keep_rest(piece.nodes, inputs[i], outputs[i]);
    }
    step_of[i] = add_step(std::move(step), piece.may_wait, after);
  }
  for (const Output& result : function_->results) plan_->results_.push_back(value_on(result, host));

  plan_->readers_.assign(std::size_t(plan_->num_values_), 0);
  const auto count = [&](std::span<const int> read) {
    for (int value : read) ++plan_->readers_[std::size_t(value)];
  };
  for (const auto& step : plan_->steps_) {
    if (auto* segment = std::get_if<Plan::Segment>(&step)) count(segment->inputs);
    if (auto* transfer = std::get_if<Plan::Transfer>(&step)) count({&transfer->sent, 1});
    if (auto* rest = std::get_if<Plan::Rest>(&step)) count(rest->inputs);
  }
  count(plan_->results_);
}

Plan::Segment Planner::compile_segment(Device& device, std::span<Node* const> nodes,
                                       std::span<const Output> inputs, std::span<const Output> outputs) {
  Plan::Segment segment{&device, nullptr, {}, {}};
  for (const Output& input : inputs) segment.inputs.push_back(value_on(input, device));
  segment.executable = compile_on(device, *extract_piece(inputs, outputs, nodes));
  const int step = int(plan_->steps_.size());
  for (const Output& output : outputs) segment.outputs.push_back(add_value(output, device, step));
  return segment;
}

Plan::Rest Planner::keep_rest(std::span<Node* const> nodes, std::span<const Output> inputs,
                              std::span<const Output> outputs) {
  Device& host = *environment_.devices[0];
  Plan::Rest rest;
  std::vector<int> value_arguments;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    rest.inputs.push_back(value_on(inputs[i], host));
    if (wanted_.contains(inputs[i])) value_arguments.push_back(int(i));
  }
  auto piece = extract_piece(inputs, outputs, nodes);
  rest.cache =
      std::make_unique<PlanCache>(std::move(piece), std::move(value_arguments), environment_, family_);
  const int step = int(plan_->steps_.size());
  for (const Output& output : outputs) rest.outputs.push_back(add_value(output, host, step));
  return rest;
}

// extract, without the control edges from other pieces, which have run by then.
std::unique_ptr<Function> Planner::extract_piece(std::span<const Output> inputs,
                                                 std::span<const Output> outputs,
                                                 std::span<Node* const> nodes) {
  const std::unordered_set<const Node*> inside(nodes.begin(), nodes.end());
  for (Node* node : nodes) {
    std::vector<Node*> kept;
    for (Node* before : node->control_inputs()) {
      if (inside.contains(before)) kept.push_back(before);
    }
    if (kept.size() == node->control_inputs().size()) continue;
    function_->graph.remove_control_inputs(*node);
    for (Node* before : kept) function_->graph.add_control_input(*node, *before);
  }
  return extract(function_->graph, inputs, outputs, nodes);
}

// ---- values and steps

int Planner::add_value(const Output& output, Device& device, int step) {
  values_[{output, &device}] = plan_->num_values_;
  made_by_.push_back(step);
  return plan_->num_values_++;
}

// The device where a value is made. What waits for its shape leaves its results on the host.
Device& Planner::home(const Output& output) const {
  return is_ready(*output.node) ? *placement_.at(output.node) : *environment_.devices[0];
}

// Where the value of an output is on a device, sent there if need be.
int Planner::value_on(const Output& output, Device& device) {
  if (const auto it = values_.find({output, &device}); it != values_.end()) return it->second;
  Device& from = home(output);
  const int sent = values_.at({output, &from});
  const int before = made_by_[std::size_t(sent)];
  const int received = add_value(output, device, int(plan_->steps_.size()));
  add_step(Plan::Transfer{&from, &device, sent, received, output.name()}, false,
           std::span(&before, before >= 0 ? 1 : 0));
  return received;
}

int Planner::add_step(std::variant<Plan::Segment, Plan::Transfer, Plan::Rest> step, bool may_wait,
                      std::span<const int> after) {
  const int number = int(plan_->steps_.size());
  plan_->steps_.push_back(std::move(step));
  std::vector<int> before(after.begin(), after.end());
  std::sort(before.begin(), before.end());
  before.erase(std::unique(before.begin(), before.end()), before.end());
  for (int other : before) plan_->jobs_[std::size_t(other)].successors.push_back(number);
  plan_->jobs_.push_back({{}, int(before.size()), may_wait});
  plan_->in_order_ = plan_->in_order_ && !may_wait;
  return number;
}

}  // namespace headrace
