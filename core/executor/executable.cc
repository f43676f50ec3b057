#include "core/executor/executable.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <queue>
#include <unordered_map>

#include "core/plan/memory.h"

namespace headrace {

// ---- building

class CpuExecutable::Builder {
 public:
  Builder(CpuExecutable& made, const Function& function, PrepareContext::Environment& environment,
          const CompileOptions& options)
      : made_(made), function_(function), environment_(environment), options_(options) {}

  void build() {
    for (std::size_t i = 0; i < function_.arguments.size(); ++i) {
      Node* argument = function_.arguments[i];
      Value value{.home = Home::argument, .type = {argument->dtype(0), argument->shape(0)}, .fixed = {}};
      value.index = int(i);
      made_.argument_values_.push_back(add_value({argument, 0}, std::move(value)));
    }
    for (Node* node : schedule()) {
      if (!node->has(Trait::argument)) prepare_node(*node);
    }
    place_results();
    find_lifetimes();
    share_in_place();
    place_in_arena();
    choose_lanes();
    for (std::size_t i = 0; i < made_.values_.size(); ++i) {
      const Home home = made_.values_[i].home;
      if (home != Home::arena && home != Home::fixed) made_.transient_values_.push_back(int(i));
    }
  }

 private:
  // Inputs first, otherwise in the order of creation, which keeps what belongs together together.
  std::vector<Node*> schedule() const {
    const Graph& graph = function_.graph;
    std::vector<int> missing(graph.nodes().size(), 0);
    const auto later = [](const Node* a, const Node* b) { return a->id() > b->id(); };
    std::priority_queue<Node*, std::vector<Node*>, decltype(later)> ready(later);
    for (const auto& node : graph.nodes()) {
      if (!node) continue;
      missing[node->id()] = int(node->inputs().size() + node->control_inputs().size());
      if (missing[node->id()] == 0) ready.push(node.get());
    }
    std::vector<Node*> order;
    while (!ready.empty()) {
      Node* node = ready.top();
      ready.pop();
      order.push_back(node);
      for (const Use& use : node->uses()) {
        if (--missing[use.node->id()] == 0) ready.push(use.node);
      }
    }
    return order;
  }

  int add_value(Output output, Value value) {
    made_.values_.push_back(std::move(value));
    return value_of_[output] = int(made_.values_.size()) - 1;
  }

  void prepare_node(Node& node) {
    std::vector<ValueType> inputs, outputs;
    std::vector<const Tensor*> constants;
    Instruction instruction;
    for (const Output& input : node.inputs()) {
      const int value = value_of_.at(input);
      instruction.inputs.push_back(value);
      inputs.push_back({input.dtype(), input.shape()});
      constants.push_back(made_.values_[value].home == Home::fixed ? &made_.values_[value].fixed : nullptr);
    }
    for (int i = 0; i < node.num_outputs(); ++i) outputs.push_back({node.dtype(i), node.shape(i)});

    PrepareContext context(node, inputs, constants, outputs, environment_);
    instruction.kernel = prepare(context);
    const int position = int(made_.instructions_.size());
    for (int i = 0; i < node.num_outputs(); ++i) {
      instruction.outputs.push_back(make_output(node, i, context, instruction));
      if (outputs[i].shape.is_full()) instruction.output_bytes += bytes_of(outputs[i]);
    }
    in_place_.push_back(context.in_place());
    scratch_.push_back(context.scratch_bytes());
    instruction.input_types = std::move(inputs);
    instruction.blocking = node.has(Trait::blocking);
    instruction.node = node.name();
    instruction.op = node.attr_or("_label", node.op().name());
    instruction.source = made_at(node);
    for (Node* before : node.control_inputs()) {
      if (const auto it = position_of_.find(before); it != position_of_.end())
        control_edges_.push_back({it->second, position});
    }
    position_of_[&node] = position;
    made_.instructions_.push_back(std::move(instruction));
  }

  int make_output(Node& node, int i, const PrepareContext& context, Instruction& instruction) {
    const ValueType type{node.dtype(i), node.shape(i)};
    if (const auto from = context.aliases()[i]) {
      const int root = instruction.inputs.at(*from);
      // A view of a fixed tensor is fixed, under its own shape: kernels look at its shape when they read its
      // value.
      if (made_.values_[root].home == Home::fixed) {
        Value view{
            .home = Home::fixed, .type = type, .fixed = made_.values_[root].fixed.reshaped(type.shape)};
        return add_value({&node, i}, std::move(view));
      }
      return value_of_[{&node, i}] = root;
    }
    Value value{.home = Home::arena, .type = type, .fixed = context.fixed()[i]};
    if (value.fixed) {
      value.home = Home::fixed;
    } else if (context.own()[i]) {
      value.home = Home::own;
      if (type.shape.is_full()) instruction.promised.push_back(int(made_.values_.size()));
    } else if (!type.shape.is_full() || !is_plain(type.dtype)) {
      internal("the kernel of ", node.op().name(), " must make output ", i, " itself: ", name_of(type.dtype),
               " ", type.shape);
    }
    value.first = int(made_.instructions_.size());
    return add_value({&node, i}, std::move(value));
  }

  static std::int64_t bytes_of(const ValueType& type) {
    return checked_mul(type.shape.size(), std::int64_t(size_of(type.dtype)));
  }

  void place_results() {
    for (const Output& result : function_.results) {
      const int root = value_of_.at(result);
      Value& value = made_.values_[root];
      if (value.home == Home::arena) {
        value.home = Home::result;
        value.index = int(made_.result_values_.size());
      }
      made_.result_values_.push_back({root, {result.dtype(), result.shape()}});
    }
  }

  void find_lifetimes() {
    const int end = int(made_.instructions_.size());
    for (int position = 0; position < end; ++position) {
      const Instruction& instruction = made_.instructions_[position];
      // What a waiting operation holds is nobody else's until the end: others must not wait for it.
      const int until = instruction.blocking ? end : position;
      for (int value : instruction.outputs) touch(value, until);
      for (int value : instruction.inputs) touch(value, until);
    }
    for (const auto& [value, type] : made_.result_values_) made_.values_[value].last = end;
    for (int value = 0; value < int(made_.values_.size()); ++value) {
      const Value& v = made_.values_[value];
      const bool held = v.home == Home::own || v.home == Home::argument;
      if (held && v.last < end && end > 0) made_.instructions_[v.last].releases.push_back(value);
    }
  }
  void touch(int value, int position) {
    made_.values_[value].last = std::max(made_.values_[value].last, position);
  }

  // Lets an output take over the memory of an input that ends with the same instruction: they become one
  // block.
  void share_in_place() {
    block_of_.assign(made_.values_.size(), -1);
    for (int position = 0; position < int(made_.instructions_.size()); ++position) {
      const Instruction& instruction = made_.instructions_[position];
      for (std::size_t i = 0; i < instruction.outputs.size(); ++i) {
        const int out = instruction.outputs[i];
        Value& value = made_.values_[out];
        if (value.home != Home::arena || value.first != position || block_of_[out] >= 0) continue;
        for (int input : in_place_[position][i]) {
          const int in = instruction.inputs.at(input);
          if (block_of_[in] < 0 || made_.values_[in].last != position || taken_.contains(in)) continue;
          if (bytes_of(made_.values_[in].type) != bytes_of(value.type)) continue;
          if (!only_read_elementwise(instruction, position, int(i), in)) continue;
          block_of_[out] = block_of_[in];
          taken_[in] = out;
          break;
        }
        if (block_of_[out] < 0) {
          block_of_[out] = int(blocks_.size());
          blocks_.push_back({std::size_t(bytes_of(value.type)), value.first, value.last, 0});
        }
        Block& block = blocks_[block_of_[out]];
        block.last = std::max(block.last, value.last);
      }
    }
  }
  // Every input of the instruction that is this value may be overwritten by output i, under one shape.
  bool only_read_elementwise(const Instruction& instruction, int position, int i, int value) const {
    const auto& allowed = in_place_[position][i];
    const Shape* shape = nullptr;
    for (std::size_t j = 0; j < instruction.inputs.size(); ++j) {
      if (instruction.inputs[j] != value) continue;
      if (std::find(allowed.begin(), allowed.end(), int(j)) == allowed.end()) return false;
      if (shape && *shape != instruction.input_types[j].shape) return false;
      shape = &instruction.input_types[j].shape;
    }
    return true;
  }

  void place_in_arena() {
    std::vector<int> scratch_block(scratch_.size(), -1);
    for (int position = 0; position < int(scratch_.size()); ++position) {
      if (scratch_[position] == 0) continue;
      scratch_block[position] = int(blocks_.size());
      blocks_.push_back({scratch_[position], position, position, 0});
    }
    made_.arena_bytes_ = assign_offsets(blocks_);
    for (std::size_t value = 0; value < made_.values_.size(); ++value) {
      if (block_of_[value] >= 0) made_.values_[value].offset = blocks_[block_of_[value]].offset;
    }
    for (int position = 0; position < int(scratch_.size()); ++position) {
      if (scratch_block[position] >= 0)
        made_.instructions_[position].scratch_offset = blocks_[scratch_block[position]].offset;
    }
  }

  // One lane runs the instructions in order and needs no edges. More lanes, or operations that wait, need
  // them: data, control, and from every reader of a piece of memory to whoever writes it next.
  void choose_lanes() {
    auto& instructions = made_.instructions_;
    const bool waits =
        std::any_of(instructions.begin(), instructions.end(), [](auto& one) { return one.blocking; });
    made_.lanes_ = std::max(1, options_.inter_op_threads);
    made_.in_order_ = !waits && made_.lanes_ == 1;
    if (made_.in_order_) {
      drop_idle_instructions();
      return;
    }
    std::vector<std::pair<int, int>> edges = control_edges_;
    // Instructions by value, in order. Several make one: those that pass it on under another name too.
    std::vector<std::vector<int>> touched(made_.values_.size()), makers(made_.values_.size());
    for (int position = 0; position < int(instructions.size()); ++position) {
      for (int value : instructions[position].inputs) {
        for (int maker : makers[value]) edges.push_back({maker, position});
        touched[value].push_back(position);
      }
      for (int value : instructions[position].outputs) {
        makers[value].push_back(position);
        touched[value].push_back(position);
      }
    }
    // Memory in order of first use; each new user waits for all that touched what lies there before.
    struct Region {
      std::size_t begin, end;
      int first;
      std::vector<int> users;
    };
    std::vector<Region> regions;
    for (std::size_t value = 0; value < made_.values_.size(); ++value) {
      const Value& v = made_.values_[value];
      if (v.home == Home::arena)
        regions.push_back({v.offset, v.offset + std::size_t(bytes_of(v.type)), v.first, touched[value]});
    }
    for (int position = 0; position < int(scratch_.size()); ++position) {
      const auto begin = instructions[position].scratch_offset;
      if (scratch_[position]) regions.push_back({begin, begin + scratch_[position], position, {position}});
    }
    for (const Region& earlier : regions) {
      for (const Region& later : regions) {
        if (later.first <= earlier.first || later.begin >= earlier.end || earlier.begin >= later.end)
          continue;
        for (int user : earlier.users) {
          if (user < later.first) edges.push_back({user, later.first});
        }
      }
    }
    // A value with several readers is not released early: nobody waits for another reader of it.
    for (int position = 0; position < int(instructions.size()); ++position) {
      std::erase_if(instructions[position].releases, [&](int value) {
        const auto& made = makers[value];
        return std::any_of(touched[value].begin(), touched[value].end(), [&](int user) {
          return user != position && std::find(made.begin(), made.end(), user) == made.end();
        });
      });
    }
    std::sort(edges.begin(), edges.end());
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    for (const auto& [before, after] : edges) {
      if (before == after) continue;
      instructions[before].successors.push_back(after);
      ++instructions[after].predecessors;
    }
  }

  void drop_idle_instructions() {
    auto& instructions = made_.instructions_;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < instructions.size(); ++i) {
      if (!instructions[i].kernel->does_nothing()) {
        if (kept != i) instructions[kept] = std::move(instructions[i]);
        ++kept;
      } else if (kept > 0) {
        // What it would have released goes with the instruction before it: nobody in between reads it.
        auto& before = instructions[kept - 1].releases;
        before.insert(before.end(), instructions[i].releases.begin(), instructions[i].releases.end());
      }
    }
    instructions.erase(instructions.begin() + std::ptrdiff_t(kept), instructions.end());
  }

  struct OutputHash {
    std::size_t operator()(const Output& o) const {
      return std::hash<const void*>{}(o.node) * 31 + std::size_t(o.index);
    }
  };
  CpuExecutable& made_;
  const Function& function_;
  PrepareContext::Environment& environment_;
  const CompileOptions& options_;
  std::unordered_map<Output, int, OutputHash> value_of_;
  std::unordered_map<const Node*, int> position_of_;
  std::vector<std::pair<int, int>> control_edges_;
  std::vector<std::vector<std::vector<int>>> in_place_;  // by instruction and output
  std::vector<std::size_t> scratch_;                     // by instruction
  std::vector<Block> blocks_;
  std::vector<int> block_of_;           // by value; -1 outside the arena
  std::unordered_map<int, int> taken_;  // values whose memory another took over
};

CpuExecutable::CpuExecutable(const Function& function, PrepareContext::Environment& environment,
                             const CompileOptions& options, ThreadCache& threads, Arenas& arenas,
                             std::string device)
    : threads_(threads), arenas_(arenas), device_(std::move(device)) {
  Builder(*this, function, environment, options).build();
}

// ---- running

namespace {

constexpr auto kPollInterval = std::chrono::milliseconds(20);
// Looking at the clock costs as much as a small kernel, so it is done every so many instructions.
constexpr int kInstructionsPerLook = 16;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A tensor's memory may become a result's if nobody else holds it and it has the right size.
bool reusable(const Tensor& tensor, const ValueType& type) {
  return tensor.unique() && tensor.dtype() == type.dtype && tensor.shape() == type.shape;
}

}  // namespace

std::unique_ptr<CpuExecutable::Frame> CpuExecutable::take_frame() {
  std::unique_ptr<Frame> frame;
  {
    std::lock_guard lock(mutex_);
    if (!idle_frames_.empty()) {
      frame = std::move(idle_frames_.back());
      idle_frames_.pop_back();
    }
  }
  if (!frame) {
    frame = std::make_unique<Frame>();
    frame->slots.resize(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const Value& value = values_[i];
      if (value.home == Home::fixed) frame->slots[i] = {value.fixed.raw(), value.fixed};
    }
  }
  if (!frame->arena) frame->arena = allocate_arena();
  if (frame->arena->data() != frame->pointed) {
    auto* arena = static_cast<char*>(frame->arena->data());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (values_[i].home == Home::arena) frame->slots[i].data = arena + values_[i].offset;
    }
    frame->pointed = arena;
  }
  return frame;
}

BufferRef CpuExecutable::allocate_arena() {
  try {
    return shares_arena() ? arenas_.take(arena_bytes_) : BufferRef::allocate(arena_bytes_);
  } catch (const Error& error) {
    // No node in particular is at fault, but the one that makes the largest value is a good guess.
    const auto largest = std::max_element(
        instructions_.begin(), instructions_.end(),
        [](const Instruction& a, const Instruction& b) { return a.output_bytes < b.output_bytes; });
    if (largest != instructions_.end()) rethrow_at(*largest);
    throw;
  }
}

void CpuExecutable::give_back(std::unique_ptr<Frame> frame) {
  for (int value : transient_values_) frame->slots[value] = {};
  if (shares_arena()) arenas_.give_back(std::move(frame->arena));
  std::lock_guard lock(mutex_);
  idle_frames_.push_back(std::move(frame));
}

void CpuExecutable::execute(int position, Frame& frame, Step& step, int lane) const {
  const Instruction& instruction = instructions_[position];
  RunContext context(frame.slots.data(), instruction.inputs, instruction.outputs, instruction.input_types,
                     instruction.releases,
                     static_cast<char*>(frame.arena->data()) + instruction.scratch_offset, step);
  if (step.trace) [[unlikely]] {
    const std::int64_t start = now_ns();
    instruction.kernel->run(context);
    step.trace->add(
        {instruction.node, instruction.op, device_, start, now_ns(), lane, instruction.output_bytes});
  } else {
    instruction.kernel->run(context);
  }
  if (!instruction.promised.empty()) check_promises(instruction, frame);
  for (int value : instruction.releases) frame.slots[value].held = Tensor();
}

// Whoever reads an own output was prepared for the planned shape, so another one must go no further.
void CpuExecutable::check_promises(const Instruction& instruction, const Frame& frame) const {
  for (int value : instruction.promised) {
    const Shape& made = frame.slots[value].held.shape();
    require(made == values_[value].type.shape, "the output has shape ", made, ", but was declared to have ",
            values_[value].type.shape);
  }
}

void CpuExecutable::rethrow_at(const Instruction& at) const {
  const auto message = [&](const std::exception& e) {
    return "[" + at.op + " '" + at.node + "'] " + e.what() + at.source;
  };
  try {
    throw;
  } catch (const DTypeError& error) {
    if (!error.node().empty()) throw;
    throw DTypeError(message(error), at.node, at.op);
  } catch (const Error& error) {
    if (!error.node().empty()) throw;
    throw Error(error.code(), message(error), at.node, at.op);
  } catch (const std::bad_alloc& error) {
    throw Error(Code::resource_exhausted, message(error), at.node, at.op);
  } catch (const std::exception& error) {  // a library's own
    throw Error(Code::internal, message(error), at.node, at.op);
  }
}

void CpuExecutable::run_in_order(Frame& frame, Step& step) const {
  const int end = int(instructions_.size());
  auto next_poll = std::chrono::steady_clock::time_point::min();
  if (end >= kInstructionsPerLook) next_poll = std::chrono::steady_clock::now() + kPollInterval;
  int position = 0;
  try {
    for (; position < end; ++position) {
      if (position % kInstructionsPerLook == kInstructionsPerLook - 1) {
        if (const auto now = std::chrono::steady_clock::now(); now > next_poll) {
          step.poll();
          next_poll = now + kPollInterval;
        }
      }
      if (step.cancellation.cancelled()) [[unlikely]]
        step.cancellation.check();
      execute(position, frame, step, 0);
    }
  } catch (...) {
    rethrow_at(instructions_[position]);
  }
}

// One run on several lanes: an instruction starts when its predecessors are done.
class CpuExecutable::LaneRun {
 public:
  LaneRun(const CpuExecutable& executable, Frame& frame, Step& step)
      : executable_(executable), frame_(frame), step_(step), left_(int(executable.instructions_.size())) {
    for (int i = 0; i < left_; ++i) {
      missing_.push_back(executable.instructions_[i].predecessors);
      if (missing_.back() == 0) make_ready(i);
    }
  }

  void run() {
    std::unique_lock lock(mutex_);
    for (int lane = 1; lane < executable_.lanes_; ++lane) launch([this, lane] { work(lane); });
    start_blocking();
    while (left_ > 0 && !failure_) {
      if (ready_.empty()) changed_.wait_for(lock, kPollInterval);
      if (!ready_.empty()) run_one(lock, 0);
      lock.unlock();
      step_.poll();
      try {
        step_.cancellation.check();
      } catch (const Error&) {
        fail(std::current_exception());
      }
      lock.lock();
    }
    // Those that still run look at this object.
    changed_.notify_all();
    changed_.wait(lock, [&] { return running_ == 0; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // Everything here but fail and execute is called under the lock.
  void make_ready(int position) {
    if (executable_.instructions_[position].blocking) {
      ready_blocking_.push_back(position);
    } else {
      ready_.push_back(position);
    }
  }

  void launch(std::function<void()> job) {
    ++running_;
    executable_.threads_.start([this, job = std::move(job)] {
      job();
      std::lock_guard lock(mutex_);
      --running_;
      changed_.notify_all();
    });
  }

  void start_blocking() {
    for (int position : std::exchange(ready_blocking_, {})) {
      launch([this, position] {
        execute(position, -1);
        std::lock_guard lock(mutex_);
        if (!failure_) finish(position);
      });
    }
  }

  void work(int lane) {
    std::unique_lock lock(mutex_);
    while (left_ > 0 && !failure_) {
      if (ready_.empty()) {
        changed_.wait(lock);
      } else {
        run_one(lock, lane);
      }
    }
  }

  void run_one(std::unique_lock<std::mutex>& lock, int lane) {
    const int position = ready_.front();
    ready_.pop_front();
    lock.unlock();
    execute(position, lane);
    lock.lock();
    if (!failure_) finish(position);
  }

  void execute(int position, int lane) {
    try {
      executable_.execute(position, frame_, step_, lane);
    } catch (...) {
      try {
        executable_.rethrow_at(executable_.instructions_[position]);
      } catch (...) {
        fail(std::current_exception());
      }
    }
  }

  void finish(int position) {
    --left_;
    for (int next : executable_.instructions_[position].successors) {
      if (--missing_[next] == 0) make_ready(next);
    }
    start_blocking();
    changed_.notify_all();
  }

  // The first failure is the step's; the others are waked so that they end too.
  void fail(std::exception_ptr failure) {
    {
      std::lock_guard lock(mutex_);
      if (failure_) return;
      failure_ = failure;
    }
    step_.cancellation.cancel(Code::cancelled, "another operation of the step failed");
    changed_.notify_all();
  }

  const CpuExecutable& executable_;
  Frame& frame_;
  Step& step_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<int> ready_;
  std::vector<int> ready_blocking_;
  std::vector<int> missing_;
  int left_;
  int running_ = 0;
  std::exception_ptr failure_;
};

Tensor CpuExecutable::allocate_result(int value) const {
  const ValueType& type = values_[value].type;
  try {
    return Tensor(type.dtype, type.shape);
  } catch (...) {
    for (const Instruction& instruction : instructions_) {
      const auto& made = instruction.outputs;
      if (std::find(made.begin(), made.end(), value) != made.end()) rethrow_at(instruction);
    }
    throw;
  }
}

void CpuExecutable::place_results(Frame& frame, std::span<Tensor> results) const {
  const auto is_made_here = [&](std::size_t i) {
    const Value& value = values_[result_values_[i].first];
    return value.home == Home::result && value.index == int(i);
  };
  const auto place = [&](std::size_t i, Tensor memory) {
    Slot& slot = frame.slots[result_values_[i].first];
    slot.held = std::move(memory);
    slot.data = slot.held.raw();
  };
  // What a loop hands in for results that come from elsewhere may be the memory of others (the body has
  // passed a value on, or returned it twice), so those that do not get their own back look there.
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!is_made_here(i)) continue;
    if (reusable(results[i], values_[result_values_[i].first].type)) {
      place(i, std::move(results[i]));
    } else {
      left.push_back(i);
    }
  }
  for (std::size_t i : left) {
    const ValueType& type = values_[result_values_[i].first].type;
    for (std::size_t j = 0; j < results.size() && results[i]; ++j) {
      if (j != i && results[j].raw() == results[i].raw()) results[j] = Tensor();
    }
    const auto spare = std::find_if(results.begin(), results.end(),
                                    [&](const Tensor& tensor) { return reusable(tensor, type); });
    place(i, spare == results.end() ? allocate_result(result_values_[i].first) : std::move(*spare));
  }
}

void CpuExecutable::run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) {
  auto owned = take_frame();
  Frame& frame = *owned;
  // A frame goes back whatever happens.
  struct Return {
    CpuExecutable& executable;
    std::unique_ptr<Frame>& frame;
    ~Return() { executable.give_back(std::move(frame)); }
  } back{*this, owned};

  for (std::size_t i = 0; i < arguments.size(); ++i) {
    Slot& slot = frame.slots[argument_values_[i]];
    slot.data = arguments[i].raw();
    slot.held = std::move(arguments[i]);
  }
  place_results(frame, results);

  if (in_order_) {
    run_in_order(frame, step);
  } else {
    LaneRun(*this, frame, step).run();
  }

  for (std::size_t i = 0; i < results.size(); ++i) {
    const auto& [value, type] = result_values_[i];
    const Tensor& held = frame.slots[value].held;
    // The shape of an own output may only be known now.
    const bool as_is = !type.shape.is_full() || held.shape() == type.shape;
    results[i] = as_is ? held : held.reshaped(type.shape);
  }
}

std::string CpuExecutable::describe() const {
  std::string text = str("  arena of ", arena_bytes_, " bytes, ", in_order_ ? "one lane" : "lanes", "\n");
  for (const Instruction& instruction : instructions_) {
    text += "  " + instruction.op + " '" + instruction.node + "'";
    for (int output : instruction.outputs) {
      const Value& value = values_[output];
      text += str(" ", name_of(value.type.dtype), value.type.shape);
      if (value.home == Home::arena) text += str(" at ", value.offset);
      if (value.home == Home::result) text += " result";
    }
    text += "\n";
  }
  return text;
}

}  // namespace headrace
