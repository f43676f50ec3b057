#include "core/plan/plan.h"

#include <algorithm>
#include <iostream>
#include <list>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "core/graph/handle.h"
#include "core/passes/extract.h"
#include "core/plan/placement.h"

namespace headrace {

// ---- making a plan

class Planner {
 public:
  Planner(std::unique_ptr<Function> function, PlanEnvironment& environment,
          std::shared_ptr<PlanCache::Family> family)
      : function_(std::move(function)), environment_(environment), family_(std::move(family)) {}

  std::shared_ptr<const Plan> make() {
    run_passes(*function_, environment_.options.disabled_passes, environment_.options.verify,
               environment_.resources);
    prune(*function_);
    find_ready();
    placement_ = place(*function_, environment_.devices, environment_.options.allow_soft_placement);
    if (environment_.options.log_placement) log_placement();
    const bool one_segment = std::all_of(order_.begin(), order_.end(), [&](const Node* node) {
      return ready_.contains(node) && placement_.at(node) == environment_.devices[0];
    });
    plan_ = std::make_shared<Plan>();
    if (one_segment) {
      compile_whole();
    } else {
      number_arguments();
      for (auto& [key, nodes] : segments()) compile_segment(*key.second, nodes);
      compile_rest();
      for (const Output& result : function_->results) {
        if (is_ready(result)) plan_->results_.push_back(value_on(result, *environment_.devices[0]));
      }
      finish_results();
    }
    return plan_;
  }

 private:
  // A node is ready if its inputs' shapes are full once what is ready has run... that is, now: everything it
  // needs is ready and of known shape, and it does not itself need a value that is not known yet to know its
  // output shapes.
  void find_ready() {
    order_ = function_->graph.topological_order();
    for (Node* node : order_) {
      const bool inputs_ready = std::all_of(node->inputs().begin(), node->inputs().end(),
                                            [&](const Output& input) {
                                              return ready_.contains(input.node) && input.shape().is_full();
                                            }) &&
                                std::all_of(node->control_inputs().begin(), node->control_inputs().end(),
                                            [&](const Node* before) { return ready_.contains(before); });
      if (!inputs_ready) continue;
      const auto outputs_full = [&] {
        for (int i = 0; i < node->num_outputs(); ++i) {
          if (!node->shape(i).is_full()) return false;
        }
        return true;
      };
      if (!node->has(Trait::argument) && !outputs_full()) {
        ShapeContext context = infer(*node);
        bool waits = false;
        for (std::size_t i = 0; i < node->inputs().size(); ++i) {
          if (!context.wanted()[i]) continue;
          waits = true;
          wanted_.insert(node->input(int(i)));
        }
        if (waits) continue;
      }
      ready_.insert(node);
    }
  }

  void log_placement() const {
    for (const Node* node : order_) {
      std::cerr << node->name() << ": (" << node->op().name() << "): " << placement_.at(node)->name() << "\n";
    }
  }

  bool is_ready(const Output& output) const { return ready_.contains(output.node); }

  void compile_whole() {
    const auto& devices = environment_.devices;
    plan_->direct_ = true;
    plan_->num_values_ = int(function_->arguments.size() + function_->results.size());
    Plan::Segment segment{devices[0], compile_on(*devices[0], *function_), {}, {}};
    plan_->steps_.push_back(std::move(segment));
  }

  std::unique_ptr<Executable> compile_on(Device& device, const Function& function) {
    CompileOptions options = environment_.options.compile;
    options.verify = environment_.options.verify;
    return device.compile(function, environment_.kernels, options);
  }

  void number_arguments() {
    for (Node* argument : function_->arguments) {
      values_[{{argument, 0}, environment_.devices[0]}] = plan_->num_values_++;
    }
  }

  // The ready nodes by (level, device). A level ends where a tensor or a control edge crosses devices.
  using Key = std::pair<int, Device*>;
  std::map<Key, std::vector<Node*>> segments() {
    std::unordered_map<const Node*, int> level;
    std::map<Key, std::vector<Node*>> by_key;
    for (Node* node : order_) {
      if (!ready_.contains(node) || node->has(Trait::argument)) continue;
      Device* device = placement_.at(node);
      int at = 0;
      const auto after = [&](const Node* before) {
        at = std::max(at, level[before] + (placement_.at(before) == device ? 0 : 1));
      };
      for (const Output& input : node->inputs()) after(input.node);
      for (const Node* before : node->control_inputs()) after(before);
      level[node] = at;
      by_key[{at, device}].push_back(node);
    }
    return by_key;
  }

  // Where the value of a ready output is on a device, sent there if need be.
  int value_on(const Output& output, Device& device) {
    const auto [it, added] = values_.try_emplace({output, &device}, -1);
    if (added) {
      Device* home = placement_.at(output.node);
      const int sent = values_.at({output, home});
      const int received = plan_->num_values_++;
      plan_->steps_.push_back(Plan::Transfer{home, &device, sent, received, output.name()});
      values_[{output, &device}] = received;
      return received;
    }
    return it->second;
  }

  void compile_segment(Device& device, const std::vector<Node*>& nodes) {
    const std::unordered_set<const Node*> inside(nodes.begin(), nodes.end());
    std::vector<Output> inputs, outputs;
    for (Node* node : nodes) {
      for (const Output& input : node->inputs()) {
        if (!inside.contains(input.node) && std::find(inputs.begin(), inputs.end(), input) == inputs.end()) {
          inputs.push_back(input);
        }
      }
      for (int i = 0; i < node->num_outputs(); ++i) {
        const Output output{node, i};
        const bool read_outside = std::any_of(node->uses().begin(), node->uses().end(), [&](const Use& use) {
          return use.input != kControl && use.node->input(use.input) == output && !inside.contains(use.node);
        });
        const auto& results = function_->results;
        if (read_outside || std::find(results.begin(), results.end(), output) != results.end())
          outputs.push_back(output);
      }
    }
    Plan::Segment segment{&device, nullptr, {}, {}};
    for (const Output& input : inputs) segment.inputs.push_back(value_on(input, device));
    const auto piece = extract_piece(inputs, outputs, nodes, inside);
    segment.executable = compile_on(device, *piece);
    for (const Output& output : outputs) {
      values_[{output, &device}] = plan_->num_values_;
      segment.outputs.push_back(plan_->num_values_++);
    }
    plan_->steps_.push_back(std::move(segment));
  }

  // extract, without the control edges that come in from nodes that have run by then.
  std::unique_ptr<Function> extract_piece(const std::vector<Output>& inputs,
                                          const std::vector<Output>& outputs, const std::vector<Node*>& nodes,
                                          const std::unordered_set<const Node*>& inside) {
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

  void compile_rest() {
    std::vector<Node*> nodes;
    for (Node* node : order_) {
      if (!ready_.contains(node)) nodes.push_back(node);
    }
    if (nodes.empty()) return;
    const std::unordered_set<const Node*> inside(nodes.begin(), nodes.end());
    std::vector<Output> inputs, results;
    std::vector<int> value_arguments;
    for (Node* node : nodes) {
      for (const Output& input : node->inputs()) {
        // Constants are copied, so that what they say about shapes stays known.
        if (inside.contains(input.node) || input.node->constant()) continue;
        if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) inputs.push_back(input);
      }
    }
    Device& host = *environment_.devices[0];
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      plan_->rest_inputs_.push_back(value_on(inputs[i], host));
      if (wanted_.contains(inputs[i])) value_arguments.push_back(int(i));
    }
    for (const Output& result : function_->results) {
      if (!is_ready(result)) results.push_back(result);
    }
    // Constants that only the rest reads must not wait for what has run.
    for (Node* node : order_) {
      if (node->constant()) function_->graph.remove_control_inputs(*node);
    }
    auto piece = extract_piece(inputs, results, nodes, inside);
    plan_->rest_ =
        std::make_unique<PlanCache>(std::move(piece), std::move(value_arguments), environment_, family_);
    for (std::size_t i = 0; i < results.size(); ++i) plan_->rest_outputs_.push_back(plan_->num_values_++);
  }

  // results_ so far holds the ready ones in order; put those of the rest between them.
  void finish_results() {
    std::vector<int> ready_results = std::move(plan_->results_);
    std::size_t from_ready = 0, from_rest = 0;
    for (const Output& result : function_->results) {
      plan_->results_.push_back(is_ready(result) ? ready_results[from_ready++]
                                                 : plan_->rest_outputs_[from_rest++]);
    }
  }

  std::unique_ptr<Function> function_;
  PlanEnvironment& environment_;
  const std::shared_ptr<PlanCache::Family> family_;  // of the cache that this is made for
  std::vector<Node*> order_;
  std::unordered_set<const Node*> ready_;
  struct OutputHash {
    std::size_t operator()(const Output& o) const {
      return std::hash<const void*>{}(o.node) * 31 + std::size_t(o.index);
    }
  };
  std::unordered_set<Output, OutputHash> wanted_;  // outputs whose values the rest needs to be specialised
  Placement placement_;
  std::map<std::pair<Output, Device*>, int> values_;
  std::shared_ptr<Plan> plan_;
};

// ---- running a plan

void Plan::run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) const {
  if (direct_) return std::get<Segment>(steps_[0]).executable->run(step, arguments, results);

  std::vector<Tensor> values(num_values_);
  std::move(arguments.begin(), arguments.end(), values.begin());
  std::vector<int> readers(num_values_, 0);  // still to come
  const auto count = [&](std::span<const int> read) {
    for (int value : read) ++readers[value];
  };
  for (const auto& one : steps_) {
    if (auto* segment = std::get_if<Segment>(&one)) count(segment->inputs);
    if (auto* transfer = std::get_if<Transfer>(&one)) ++readers[transfer->sent];
  }
  count(rest_inputs_);
  count(results_);
  // The last reader gets the value itself, so that it may reuse the memory.
  const auto take = [&](int value) {
    return --readers[value] == 0 ? std::move(values[value]) : values[value];
  };
  const auto call = [&](std::span<const int> in, std::span<const int> out, auto&& run) {
    std::vector<Tensor> taken, given(out.size());
    for (int value : in) taken.push_back(take(value));
    run(std::span<Tensor>(taken), std::span<Tensor>(given));
    for (std::size_t i = 0; i < out.size(); ++i) values[out[i]] = std::move(given[i]);
  };

  for (const auto& one : steps_) {
    step.cancellation.check();
    if (auto* segment = std::get_if<Segment>(&one)) {
      call(segment->inputs, segment->outputs,
           [&](auto in, auto out) { segment->executable->run(step, in, out); });
    } else {
      const auto& transfer = std::get<Transfer>(one);
      values[transfer.received] = transfer.to->copy_in(transfer.from->copy_out(take(transfer.sent)));
    }
  }
  if (rest_) call(rest_inputs_, rest_outputs_, [&](auto in, auto out) { rest_->run(step, in, out); });
  for (std::size_t i = 0; i < results.size(); ++i) results[i] = take(results_[i]);
}

std::string Plan::describe() const {
  std::string text;
  for (const auto& one : steps_) {
    if (auto* segment = std::get_if<Segment>(&one)) {
      text += "segment on " + segment->device->name() + "\n" + segment->executable->describe();
    } else {
      const auto& transfer = std::get<Transfer>(one);
      text += "Send " + transfer.tensor + " from " + transfer.from->name() + "\n";
      text += "Recv " + transfer.tensor + " on " + transfer.to->name() + "\n";
    }
  }
  if (rest_) {
    text += "rest, planned once the shapes are known:\n";
    for (const Node* node : rest_->function().graph.topological_order()) {
      if (!node->has(Trait::argument) && !node->constant())
        text += "  " + node->op().name() + " '" + node->name() + "'\n";
    }
  }
  return text;
}

// ---- the cache

namespace {

// What decides about a plan, as words: dtypes are fixed by the function, so shapes and some values.
using Key = std::vector<std::int64_t>;

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::size_t seed = key.size();
    for (std::int64_t word : key) seed = (seed ^ std::size_t(word)) * 0x9e3779b97f4a7c15u;
    return seed ^ (seed >> 32);
  }
};

void append_value(Key& key, const Tensor& value) {
  if (value.dtype() == DType::string) {
    for (const auto& text : value.flat<std::string>()) {
      key.push_back(std::int64_t(text.size()));
      for (char c : text) key.push_back(c);
    }
  } else if (is_plain(value.dtype())) {
    const auto* bytes = static_cast<const unsigned char*>(value.raw());
    key.insert(key.end(), bytes, bytes + value.bytes());
  } else {
    internal("a ", name_of(value.dtype()), " value cannot decide about shapes");
  }
}

void append_type(Key& key, const HandleType& type) {
  key.push_back(int(type.dtype));
  key.push_back(type.shape.has_rank() ? type.shape.rank() : kUnknown);
  if (!type.shape.has_rank()) return;
  for (std::int64_t size : type.shape.dims()) key.push_back(size);
}

}  // namespace

// One specialisation, in the list of its family and in the map of the cache that it belongs to.
struct PlanCache::Entry {
  Entries* owner;
  Key key;
  std::shared_ptr<const Plan> plan;
};

struct PlanCache::Entries {
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> by_key;
};

class PlanCache::Family {
 public:
  std::mutex mutex;         // of the maps too
  std::list<Entry> recent;  // the most recently used first
  std::int64_t planned = 0;
};

PlanCache::PlanCache(std::unique_ptr<Function> function, std::vector<int> value_arguments,
                     PlanEnvironment& environment, std::shared_ptr<Family> family)
    : function_(std::move(function)),
      value_arguments_(std::move(value_arguments)),
      environment_(environment),
      family_(family ? std::move(family) : std::make_shared<Family>()),
      entries_(std::make_unique<Entries>()) {}

PlanCache::~PlanCache() {
  std::list<Entry> ours;  // goes without the lock, which the caches of rests need when they go with it
  const std::lock_guard lock(family_->mutex);
  for (const auto& [key, entry] : entries_->by_key) ours.splice(ours.end(), family_->recent, entry);
}

std::shared_ptr<const Plan> PlanCache::specialise(std::span<const Tensor> arguments) {
  thread_local Key key;
  key.clear();
  for (const Tensor& argument : arguments) {
    key.push_back(argument.shape().rank());
    const auto dims = argument.shape().dims();
    key.insert(key.end(), dims.begin(), dims.end());
    if (argument.dtype() == DType::variant) append_type(key, held_type(argument));
  }
  for (int i : value_arguments_) append_value(key, arguments[i]);

  Entries& entries = *entries_;
  Family& family = *family_;
  std::unique_lock lock(family.mutex);
  if (const auto it = entries.by_key.find(key); it != entries.by_key.end()) {
    if (it->second != family.recent.begin())
      family.recent.splice(family.recent.begin(), family.recent, it->second);
    return it->second->plan;
  }
  lock.unlock();

  const Key made_for = key;  // planning may come back here, on this thread
  auto function = copy(*function_);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    function->arguments[i]->set_shape(0, arguments[i].shape());
    if (arguments[i].dtype() == DType::variant)
      annotate_argument(*function->arguments[i], held_type(arguments[i]));
  }
  for (int i : value_arguments_) {
    Node& argument = *function->arguments[i];
    Node& constant =
        add_constant(function->graph, function->graph.unique_name(argument.name() + "/value"), arguments[i]);
    substitute(*function, {&argument, 0}, {&constant, 0});
  }
  const auto made = Planner(std::move(function), environment_, family_).make();
  auto plan = made;  // which goes without the lock if it is not needed after all

  std::list<Entry> dropped;  // goes after the lock has: with a plan go the entries of its rest
  lock.lock();
  if (const auto it = entries.by_key.find(made_for); it != entries.by_key.end()) {
    plan = it->second->plan;  // somebody was faster
    lock.unlock();
    return plan;
  }
  family.recent.push_front({&entries, made_for, plan});
  entries.by_key.emplace(made_for, family.recent.begin());
  ++family.planned;
  if (family.recent.size() > environment_.options.cache_size) {
    const auto last = std::prev(family.recent.end());
    last->owner->by_key.erase(last->key);
    dropped.splice(dropped.end(), family.recent, last);
  }
  lock.unlock();
  return plan;
}

void PlanCache::run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) {
  specialise(arguments)->run(step, arguments, results);
}

std::size_t PlanCache::size() const {
  std::lock_guard lock(family_->mutex);
  return family_->recent.size();
}

std::int64_t PlanCache::planned() const {
  std::lock_guard lock(family_->mutex);
  return family_->planned;
}

PlanEnvironment::PlanEnvironment(std::vector<Device*> all, PlanOptions given, Resources& state)
    : devices(std::move(all)), options(std::move(given)), resources(state), kernels{state, {}} {
  std::vector<std::string> names;
  for (const Pass& pass : pipeline()) names.emplace_back(pass.name);
  for (const std::string& name : options.disabled_passes) {
    require(std::find(names.begin(), names.end(), name) != names.end(), "there is no pass '", name, "'",
            did_you_mean(name, names));
  }
  kernels.callee = [this](const Function& function) {
    return std::make_shared<PlanCache>(copy(function), std::vector<int>{}, *this);
  };
}

}  // namespace headrace
