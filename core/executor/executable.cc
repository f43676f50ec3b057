#include "core/executor/executable.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/executor/memory_order.h"
#include "core/plan/waits.h"
#include "core/registry/ended.h"

namespace headrace {

// ---- building

class CpuExecutable::Builder {
 public:
  Builder(CpuExecutable& made, const Function& function, PrepareContext::Environment& environment,
          const CompileOptions& options)
      : made_(made),
        function_(function),
        environment_(environment),
        options_(options),
        waits_(function.graph.nodes().size()) {}

  void build() {
    for (std::size_t i = 0; i < function_.arguments.size(); ++i) {
      Node* argument = function_.arguments[i];
      Value value{.home = Home::argument, .type = {argument->dtype(0), argument->shape(0)}, .fixed = {}};
      value.index = int(i);
      made_.argument_values_.push_back(add_value({argument, 0}, std::move(value)));
      add_origin(*argument);
    }
    choose_lanes();
    for (Node* node : schedule()) {
      if (!node->has(Trait::argument)) prepare_node(*node);
    }
    place_results();
    find_lifetimes();
    find_holders();
    share_in_place();
    place_in_arena();
    if (made_.in_order_) {
      drop_idle_instructions();
    } else {
      share_held_values();
      connect();
    }
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

    PrepareContext context(node, inputs, std::move(constants), outputs, environment_);
    context.allow_sharing();
    instruction.kernel = prepare(context);
    const bool in_pieces = hand_out_pieces(node, context, instruction);
    for (int i = 0; !in_pieces && i < node.num_outputs(); ++i) {
      instruction.outputs.push_back(make_output(node, i, context, instruction));
      if (outputs[i].shape.is_full()) instruction.output_bytes += bytes_of(outputs[i]);
    }
    in_place_.push_back(context.in_place());
    scratch_.push_back(context.scratch_bytes());
    held_.push_back(context.held());
    shared_.push_back(context.shared());
    instruction.input_types = std::move(inputs);
    instruction.origin = add_origin(node);
    if (!made_.in_order_) add_edges(node);
    made_.instructions_.push_back(std::move(instruction));
  }

  int add_origin(const Node& node) {
    Origin origin{node.name(), node.attr_or("_label", node.op().name()), made_at(node), {}};
    for (const Output& input : node.inputs())
      origin.inputs.push_back({origin_of_.at(input.node), input.index});
    for (const Node* other : node.control_inputs()) origin.inputs.push_back({origin_of_.at(other), -1});
    made_.origins_.push_back(std::move(origin));
    return origin_of_[&node] = int(made_.origins_.size()) - 1;
  }

  // From all that the node reads and waits for.
  void add_edges(const Node& node) {
    const bool blocking = may_wait_(node);
    const int position = int(made_.instructions_.size());
    std::vector<int> before;
    const auto after = [&](const Node* other) {
      if (const auto it = position_of_.find(other); it != position_of_.end()) before.push_back(it->second);
    };
    for (const Output& input : node.inputs()) after(input.node);
    for (const Node* other : node.control_inputs()) after(other);
    for (int other : before) edges_.push_back({other, position});
    waits_.add(before, blocking);
    made_.jobs_.push_back({{}, 0, blocking});
    position_of_[&node] = position;
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

  // Lets all outputs be parts of inputs' memory, if that is what they are.
  bool hand_out_pieces(Node& node, const PrepareContext& context, Instruction& instruction) {
    const auto& pieces = context.pieces();
    if (pieces.empty()) return false;
    for (int i = 0; i < int(pieces.size()); ++i) {
      if (!pieces[std::size_t(i)] || pieces[std::size_t(i)]->offset % kAlignment != 0) return false;
      const Home home = made_.values_[instruction.inputs.at(pieces[std::size_t(i)]->input)].home;
      if (home == Home::fixed || is_result({&node, i})) return false;
    }
    std::vector<PrepareContext::Piece> granted;
    for (int i = 0; i < int(pieces.size()); ++i) {
      const auto piece = *pieces[std::size_t(i)];
      const int from = instruction.inputs[std::size_t(piece.input)];
      const Value& source = made_.values_[from];
      Value value{.home = Home::piece, .type = {node.dtype(i), node.shape(i)}, .fixed = {}};
      value.whole = source.home == Home::piece ? source.whole : from;
      value.first = int(made_.instructions_.size());
      instruction.outputs.push_back(add_value({&node, i}, std::move(value)));
      granted.push_back(piece);
    }
    instruction.kernel = kernel([granted = std::move(granted)](RunContext& r) {
      for (std::size_t i = 0; i < granted.size(); ++i) r.point(int(i), granted[i].input, granted[i].offset);
    });
    return true;
  }
  bool is_result(Output output) const {
    return std::find(function_.results.begin(), function_.results.end(), output) != function_.results.end();
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

  // One lane runs the instructions in order. More lanes, or operations that wait, need to know who waits for
  // whom.
  void choose_lanes() {
    const auto& nodes = function_.graph.nodes();
    const bool waits =
        std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) { return node && may_wait_(*node); });
    made_.lanes_ = std::max(1, options_.inter_op_threads);
    made_.in_order_ = !waits && made_.lanes_ == 1;
  }

  void find_lifetimes() {
    users_.resize(made_.values_.size());
    const int end = int(made_.instructions_.size());
    for (int position = 0; position < end; ++position) {
      const Instruction& instruction = made_.instructions_[position];
      for (int value : instruction.outputs) touch(value, position);
      for (int value : instruction.inputs) touch(value, position);
    }
    for (const auto& [value, type] : made_.result_values_) {
      made_.values_[value].last = end;
      if (const int whole = made_.values_[value].whole; whole >= 0) made_.values_[whole].last = end;
    }
    for (int value = 0; value < int(made_.values_.size()); ++value) {
      const Value& v = made_.values_[value];
      if (is_held(v) && v.last < end && end > 0 && !reads_with_piece(made_.instructions_[v.last], value))
        made_.instructions_[v.last].releases.push_back(value);
    }
  }
  // Who uses a piece uses the whole.
  void touch(int value, int position) {
    if (made_.values_[value].whole >= 0) touch(made_.values_[value].whole, position);
    made_.values_[value].last = std::max(made_.values_[value].last, position);
    if (users_[value].empty() || users_[value].back() != position) users_[value].push_back(position);
  }
  // Whether an instruction reads a value and, under another name, a piece of it: it must not take the value
  // for its own then.
  bool reads_with_piece(const Instruction& instruction, int value) const {
    const auto& inputs = instruction.inputs;
    return std::find(inputs.begin(), inputs.end(), value) != inputs.end() &&
           std::any_of(inputs.begin(), inputs.end(),
                       [&](int other) { return made_.values_[other].whole == value; });
  }

  // Values that are joined are made in their place of the joined one, so that nobody has to copy them. On
  // lanes nobody knows which of them comes first and has to wait for the memory.
  void find_holders() {
    holder_of_.assign(made_.values_.size(), {-1, 0});
    if (!made_.in_order_) return;
    for (int position = 0; position < int(held_.size()); ++position) {
      const Instruction& instruction = made_.instructions_[position];
      for (const auto& [output, input, offset] : held_[position]) {
        const int whole = instruction.outputs.at(output), part = instruction.inputs.at(input);
        const Value &holder = made_.values_[whole], &value = made_.values_[part];
        if (holder.home != Home::arena || value.home != Home::arena || holder_of_[part].first >= 0 ||
            offset % kAlignment != 0 || value.first >= position) {
          continue;
        }
        holder_of_[part] = {whole, offset};
      }
    }
    // In the order in which they are made: a holder may be held itself.
    for (int value = 0; value < int(made_.values_.size()); ++value) {
      if (const int whole = holder_of_[value].first; whole >= 0) {
        made_.values_[whole].last = std::max(made_.values_[whole].last, made_.values_[value].last);
      }
    }
  }
  // The block of the outermost holder, in use from its first part on.
  int block_of_holder(int value) {
    const int whole = holder_of_[value].first;
    if (whole >= 0) return block_of_holder(whole);
    if (block_of_[value] < 0)
      block_of_[value] =
          add_block(std::size_t(bytes_of(made_.values_[value].type)), made_.values_[value].first);
    return block_of_[value];
  }
  std::size_t offset_in_block(int value) const {
    const auto& [whole, offset] = holder_of_[value];
    return whole < 0 ? 0 : offset + offset_in_block(whole);
  }
  static bool is_held(const Value& value) { return value.home == Home::own || value.home == Home::argument; }

  // Lets an output take over the memory of an input that ends with the same instruction: they become one
  // block.
  void share_in_place() {
    block_of_.assign(made_.values_.size(), -1);
    for (int position = 0; position < int(made_.instructions_.size()); ++position) {
      const Instruction& instruction = made_.instructions_[position];
      for (std::size_t i = 0; i < instruction.outputs.size(); ++i) {
        const int out = instruction.outputs[i];
        Value& value = made_.values_[out];
        if (value.home != Home::arena || value.first != position) continue;
        if (holder_of_[out].first >= 0) {
          block_of_[out] = block_of_holder(out);
          taken_.insert(out);
        }
        if (block_of_[out] >= 0) {
          Block& block = blocks_[block_of_[out]];
          block.first = std::min(block.first, position);
          block.last = std::max(block.last, value.last);
          continue;
        }
        for (int input : in_place_[position][i]) {
          const int in = instruction.inputs.at(input);
          if (block_of_[in] < 0 || made_.values_[in].last != position || taken_.contains(in)) continue;
          if (bytes_of(made_.values_[in].type) != bytes_of(value.type)) continue;
          if (reads_with_piece(instruction, in)) continue;
          if (!only_read_elementwise(instruction, position, int(i), in)) continue;
          if (!readers_may_precede(in, position)) continue;
          block_of_[out] = block_of_[in];
          taken_.insert(in);
          break;
        }
        if (block_of_[out] < 0) block_of_[out] = add_block(std::size_t(bytes_of(value.type)), value.first);
        Block& block = blocks_[block_of_[out]];
        block.last = std::max(block.last, value.last);
        last_users_[block_of_[out]] = users_[out];
      }
    }
  }
  int add_block(std::size_t bytes, int first) {
    blocks_.push_back({bytes, first, first, 0});
    last_users_.push_back({first});
    return int(blocks_.size()) - 1;
  }
  // The other readers of a value that the instruction overwrites have to come before it.
  bool readers_may_precede(int value, int position) {
    if (made_.in_order_) return true;
    for (int user : users_[value]) {
      if (user != position && !waits_.contains(waits_.before(position), waits_.after(user))) return false;
    }
    for (int user : users_[value]) {
      if (user != position) edges_.push_back({user, position});
    }
    return true;
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
      scratch_block[position] = add_block(scratch_[position], position);
    }
    std::vector<std::pair<int, int>> shared_blocks = share_memory();
    made_.arena_bytes_ = made_.in_order_ ? assign_offsets(blocks_) : assign_offsets_on_lanes();
    for (std::size_t value = 0; value < made_.values_.size(); ++value) {
      if (block_of_[value] < 0) continue;
      made_.values_[value].offset = blocks_[block_of_[value]].offset + offset_in_block(int(value));
    }
    for (const auto& [position, block] : shared_blocks)
      made_.instructions_[position].shared_offset = blocks_[block].offset;
    for (int position = 0; position < int(scratch_.size()); ++position) {
      if (scratch_block[position] >= 0)
        made_.instructions_[position].scratch_offset = blocks_[scratch_block[position]].offset;
    }
  }

  // Blocks for what kernels make of one value and share; (instruction, block). On lanes each makes its own,
  // so that nobody waits for another.
  std::vector<std::pair<int, int>> share_memory() {
    std::vector<std::pair<int, int>> made;
    std::map<std::tuple<int, std::string, std::size_t>, int> known;
    for (int position = 0; position < int(shared_.size()); ++position) {
      if (!shared_[position]) continue;
      const auto& [input, name, bytes] = *shared_[position];
      Instruction& instruction = made_.instructions_[position];
      const auto [it, added] = known.try_emplace({instruction.inputs.at(input), name, bytes}, 0);
      if (added || !made_.in_order_) {
        it->second = add_block(bytes, position);
      } else {
        instruction.shared_filled = true;
        blocks_[it->second].last = position;
      }
      made.push_back({position, it->second});
    }
    return made;
  }

  // Where instructions run as they come, memory passes on only where that makes nobody wait for more blocking
  // operations (see plan/waits.h): blocks are of one kind if what they wait for before and after is the same.
  std::size_t assign_offsets_on_lanes() {
    std::map<std::pair<int, int>, int> numbers;
    std::vector<std::pair<int, int>> kinds;  // what is waited for before its first user, and by its last ones
    std::vector<int> kind_of;
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      int after = 0;
      for (int user : last_users_[i]) after = waits_.unite(after, waits_.after(user));
      const std::pair<int, int> kind{waits_.before(blocks_[i].first), after};
      const auto [it, added] = numbers.try_emplace(kind, int(kinds.size()));
      if (added) kinds.push_back(kind);
      kind_of.push_back(it->second);
    }
    return assign_offsets(blocks_, kind_of, [&](int earlier, int later) {
      return waits_.contains(kinds[std::size_t(later)].first, kinds[std::size_t(earlier)].second);
    });
  }

  // On lanes nobody knows which of several readers comes last: they count. Who only passes a value on under
  // another name is no reader.
  void share_held_values() {
    made_.readers_.assign(made_.values_.size(), 0);
    std::vector<int> held;
    for (Instruction& instruction : made_.instructions_) {
      held.insert(held.end(), instruction.releases.begin(), instruction.releases.end());
      instruction.releases.clear();
    }
    for (int value : held) {
      const Value& v = made_.values_[value];
      std::vector<int> readers;
      for (int user : users_[value]) {
        const bool makes = v.home == Home::own && user == v.first;
        if (!makes && !made_.instructions_[user].kernel->does_nothing()) readers.push_back(user);
      }
      if (readers.size() <= 1) {
        made_.instructions_[readers.empty() ? v.last : readers[0]].releases.push_back(value);
        continue;
      }
      made_.readers_[value] = int(readers.size());
      for (int reader : readers) made_.instructions_[reader].shares.push_back(value);
    }
  }

  // Who waits for whom: by data and control, and where memory passes from one value to another.
  void connect() {
    auto& instructions = made_.instructions_;
    const auto [edges, joins] = order_by_memory(blocks_, last_users_, int(instructions.size()));
    edges_.insert(edges_.end(), edges.begin(), edges.end());
    for (int i = 0; i < joins; ++i) {
      instructions.emplace_back();
      instructions.back().kernel = nothing_to_run();
      made_.jobs_.emplace_back();
    }
    std::sort(edges_.begin(), edges_.end());
    edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
    for (const auto& [before, after] : edges_) {
      if (before == after) continue;
      made_.jobs_[before].successors.push_back(after);
      ++made_.jobs_[after].predecessors;
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
  std::unordered_map<const Node*, int> origin_of_;
  MayWait may_wait_;
  std::vector<std::pair<int, int>> edges_;  // (before, after)
  Waits waits_;
  std::vector<std::vector<int>> users_;                        // by value: instructions that write or read it
  std::vector<std::vector<std::vector<int>>> in_place_;        // by instruction and output
  std::vector<std::size_t> scratch_;                           // by instruction
  std::vector<std::vector<PrepareContext::Held>> held_;        // by instruction
  std::vector<std::optional<PrepareContext::Shared>> shared_;  // by instruction
  std::vector<std::pair<int, std::size_t>> holder_of_;  // by value: who holds it (or -1), from which byte on
  std::vector<Block> blocks_;
  std::vector<std::vector<int>> last_users_;  // by block: of the last value in it
  std::vector<int> block_of_;                 // by value; -1 outside the arena
  std::unordered_set<int> taken_;             // values whose memory another took over
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

SharedMemory CpuExecutable::shared_memory(const Instruction& instruction, const Frame& frame) {
  if (!instruction.shared_offset) return {};
  return {static_cast<char*>(frame.arena->data()) + *instruction.shared_offset, instruction.shared_filled};
}

void CpuExecutable::execute(int position, Frame& frame, Step& step, int lane) const {
  const Instruction& instruction = instructions_[position];
  RunContext context(frame.slots.data(), instruction.inputs, instruction.outputs, instruction.input_types,
                     instruction.releases,
                     static_cast<char*>(frame.arena->data()) + instruction.scratch_offset, step,
                     shared_memory(instruction, frame));
  if (step.trace && !instruction.kernel->does_nothing()) [[unlikely]] {
    run_traced(instruction, context, frame, *step.trace, lane);
  } else {
    instruction.kernel->run(context);
  }
  if (!instruction.promised.empty()) check_promises(instruction, frame);
  for (int value : instruction.releases) frame.slots[value].held = Tensor();
}

void CpuExecutable::run_traced(const Instruction& instruction, RunContext& context, const Frame& frame,
                               Trace& trace, int lane) const {
  const Origin& origin = origins_[std::size_t(instruction.origin)];
  TraceEvent event{origin.name, origin.op, device_, now_ns(), 0, lane, {}};
  instruction.kernel->run(context);
  event.end_ns = now_ns();
  for (int output : instruction.outputs) {
    const Value& value = values_[output];
    const Tensor& held = frame.slots[output].held;
    const Shape& shape = value.home == Home::own && held ? held.shape() : value.type.shape;
    const bool known = shape.is_full() && is_plain(value.type.dtype);
    event.outputs.push_back({value.type.dtype, shape,
                             known ? shape.size() * std::int64_t(size_of(value.type.dtype)) : 0,
                             value.home == Home::arena || value.home == Home::piece});
  }
  trace.add(std::move(event));
}

TracePiece CpuExecutable::piece() const {
  TracePiece piece{device_, {}};
  for (const Origin& origin : origins_) {
    TracePiece::Node node{origin.name, origin.op, {}};
    for (const auto& [from, index] : origin.inputs)
      node.inputs.push_back({origins_[std::size_t(from)].name, index});
    piece.nodes.push_back(std::move(node));
  }
  return piece;
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
  const Origin& origin = origins_.at(std::size_t(at.origin));
  const auto message = [&](const std::exception& e) {
    return "[" + origin.op + " '" + origin.name + "'] " + e.what() + origin.source;
  };
  try {
    throw;
  } catch (const DTypeError& error) {
    if (!error.node().empty()) throw;
    throw DTypeError(message(error), origin.name, origin.op);
  } catch (const EndedByAnother& error) {
    if (!error.node().empty()) throw;
    throw EndedByAnother(error.code(), message(error), origin.name, origin.op);
  } catch (const Error& error) {
    if (!error.node().empty()) throw;
    throw Error(error.code(), message(error), origin.name, origin.op);
  } catch (const std::bad_alloc& error) {
    throw Error(Code::resource_exhausted, message(error), origin.name, origin.op);
  } catch (const std::exception& error) {  // a library's own
    throw Error(Code::internal, message(error), origin.name, origin.op);
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
class CpuExecutable::LaneRun : public Flow {
 public:
  LaneRun(const CpuExecutable& executable, Frame& frame, Step& step)
      : Flow(executable.jobs_, executable.threads_, step, {.lanes = executable.lanes_}),
        executable_(executable),
        frame_(frame),
        step_(step),
        readers_(executable.readers_) {}

 private:
  void execute(int position, int lane) override {
    try {
      executable_.execute(position, frame_, step_, lane);
    } catch (...) {
      executable_.rethrow_at(executable_.instructions_[position]);
    }
  }
  void finished(int position) override {
    for (int value : executable_.instructions_[position].shares) {
      if (--readers_[value] == 0) frame_.slots[value].held = Tensor();
    }
  }

  const CpuExecutable& executable_;
  Frame& frame_;
  Step& step_;
  std::vector<int> readers_;  // by value: to come
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
  if (step.trace) [[unlikely]]
    step.trace->add_piece(this, [&] { return piece(); });
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
    if (values_[value].home == Home::piece) {
      if (!reusable(results[i], type)) results[i] = Tensor(type.dtype, type.shape);
      copy_elements(type.dtype, frame.slots[value].data, results[i].raw(), results[i].size());
      continue;
    }
    // The shape of an own output may only be known now.
    const bool as_is = !type.shape.is_full() || held.shape() == type.shape;
    results[i] = as_is ? held : held.reshaped(type.shape);
  }
}

std::string CpuExecutable::describe() const {
  std::string text = str("  arena of ", arena_bytes_, " bytes, ", in_order_ ? "one lane" : "lanes", "\n");
  for (const Instruction& instruction : instructions_) {
    if (instruction.origin < 0) continue;  // a join
    const Origin& origin = origins_[std::size_t(instruction.origin)];
    text += "  " + origin.op + " '" + origin.name + "'";
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
