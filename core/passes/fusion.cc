// Fusion: elementwise nodes that read each other become one node with a tape of their loops
// (registry/tape.h).
//
//   y = tanh(2 x + 1) * sigmoid(x)      becomes      y = tape(x, 2, 1)
//
// A group must be convex: nothing may lie between two of its members, or the fused node would wait for
// itself. So every node gets a stage,
//
//   stage(n) = max over what n reads or waits for: stage(p), plus 1 unless p -> n is an edge that can be
//   fused, or nothing up to p can be
//
// and a group is what edges that can be fused connect within one stage: a path that leaves the group comes to
// a higher stage, and stages never fall. An edge can be fused if both ends are elementwise over equally many
// elements; a node whose producers in one stage cut their elements differently starts a stage of its own.
//
// A reduction joins the group of what it reduces. If it makes an element of each row of neighbours, and rows
// are short, its readers may be of the group, too: those with an element for each row, and those that repeat
// these along the rows.
//
//   y = exp(x - max(x, -1)); z = y / sum(y, -1)      becomes      z = tape(x)
//
// Other reductions (of columns, of all elements, of long rows) are the end: only other groups read them.
//
// A node whose readers are all in a later stage moves there if that keeps no more memory alive: the
// derivative of an activation is computed where the gradient arrives, not where the activation was.
//
// A cheap node that is read in a later stage too is computed there once more, rather than stored, if what it
// reads is at hand there or much smaller: in training, what lies between the operations of an activation is
// not kept for its derivative.
//
// What cuts a value into boxes becomes a node for each of them, if elementwise nodes read them all: a tape
// reads a box where it stands. Likewise it writes results where they belong in what somebody joins them to;
// so nodes of one stage whose results are joined are one group, too.
//
// Nodes that only pass a value on, perhaps in another shape or repeated, are looked through. They stay for
// readers outside.
#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "core/passes/pipeline.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

constexpr std::size_t kNamesInLabel = 12;
constexpr std::int64_t kLeastRun = 64;  // neighbouring elements of a box that are worth a block of their own
constexpr double kCheap = 0.4;  // ns an element: what it takes to write it to memory and read it again

class Fusion {
 public:
  explicit Fusion(Function& function) : function_(function), graph_(function.graph) {}

  bool run() {
    for (Node* node : graph_.topological_order()) take_apart(*node);
    order_ = graph_.topological_order();
    about_.resize(graph_.nodes().size());
    for (const Output& result : function_.results) kept_.insert(result.node);
    for (const Node* target : function_.targets) kept_.insert(target);
    for (Node* node : order_) examine(*node);
    for (Node* node : order_) find_stage(*node);
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) sink(**it);
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) repeat(**it);
    if (repeated_) order_ = graph_.topological_order();
    for (const Node* node : order_) unite_parts(*node);
    bool changed = taken_apart_;
    for (const auto& members : groups()) changed |= fuse(members);
    for (const auto& [fused, id] : places_) graph_.renumber(*fused, id);
    return changed;
  }

 private:
  using Extents = std::array<std::int64_t, 3>;  // outer, rows, inner, of which rows are reduced
  struct About {
    std::vector<TapeEntry> entries;  // empty if it cannot be fused
    bool passes_on = false;          // all of the entries do
    std::int64_t size = 0;           // elements
    std::optional<Extents> reduced;  // what it reduces, if it does
    std::string device;
    std::vector<std::int64_t> dims;  // what its broadcasts cut the elements into
    int stage = 0;
    int group = -1;  // of groups_
    int place = 0;   // in the order of creation; -1 for what is computed once more
  };
  struct Group {
    int joined;  // the group that it has become part of; itself if none
    std::vector<std::int64_t> dims;
    std::int64_t size = 0;       // elements
    std::int64_t row = 0;        // of a row, of which there are single elements as well; 0 if there are none
    std::optional<Extents> end;  // what is reduced at the end, if anything is
    bool is_plain() const { return row == 0 && !end; }
  };

  About& about(const Node& node) { return about_[std::size_t(node.id())]; }
  bool can_be_fused(const Node& node) { return !about(node).entries.empty(); }

  // ---- boxes

  // Replaces a node that cuts a value by one for each piece.
  void take_apart(Node& node) {
    if (node.num_outputs() < 2 || !node.control_inputs().empty() || !runs_tapes(device_of(node))) return;
    const auto boxes = cut_of(node);
    if (!boxes) return;
    const Output whole = node.input(boxes->input);
    for (int i = 0; i < node.num_outputs(); ++i) {
      const std::int64_t run = run_in(node.shape(i), whole.shape());
      if (run < kLeastRun || run == node.shape(i).size()) return;  // neighbours need no copy anyway
      const Output piece{&node, i};
      if (std::find(function_.results.begin(), function_.results.end(), piece) != function_.results.end())
        return;
    }
    for (const Use& use : node.uses()) {
      if (use.input == kControl || !reads_elementwise(*use.node, use.input)) return;
    }
    for (int i = 0; i < node.num_outputs(); ++i) {
      const auto vector = [&](std::span<const std::int64_t> values) {
        Node& made = add_constant(graph_, graph_.unique_name(node.name() + "/box"), Tensor::vector(values));
        made.set_device(node.device());
        return Output{&made, 0};
      };
      const Output begin = vector(boxes->begins[std::size_t(i)]), size = vector(node.shape(i).dims());
      Node& box = graph_.add(find_op("Slice"), {.name = graph_.unique_name(node.name() + "/box"),
                                                .inputs = {whole, begin, size},
                                                .attrs = {},
                                                .device = node.device(),
                                                .source = node.source()});
      substitute(function_, {&node, i}, {&box, 0});
      sources_[&box] = node.id();
    }
    taken_apart_ = true;
    if (std::find(function_.targets.begin(), function_.targets.end(), &node) == function_.targets.end())
      graph_.remove(node);
  }

  // Whether a node takes this input element by element, in its full size.
  static bool reads_elementwise(const Node& node, int input) {
    return node.num_outputs() == 1 && node.shape(0).is_full() && node.control_inputs().empty() &&
           node.input(input).shape().size() == node.shape(0).size() && !lower(node).empty();
  }

  // Whether a join is all that reads this part, which lies in it in runs of neighbours that are long enough,
  // but not as a whole.
  bool is_only_joined(Output part, const Node& join) const {
    const std::int64_t run = run_in(part.shape(), join.shape(0));
    return part.node->uses().size() == 1 && !kept_.contains(part.node) && run >= kLeastRun &&
           run < part.shape().size();
  }

  // Groups of one stage become one where their results are joined.
  void unite_parts(const Node& join) {
    const auto boxes = join_of(join);
    if (!boxes || !join.control_inputs().empty()) return;
    std::vector<const Node*> parts;
    std::optional<std::vector<std::int64_t>> dims;
    for (std::size_t i = 0; i < boxes->begins.size(); ++i) {
      const Output part = join.input(boxes->input + int(i));
      if (!can_be_fused(*part.node) || about(*part.node).passes_on || !is_only_joined(part, join)) return;
      const About &one = about(*part.node), &first = about(parts.empty() ? *part.node : *parts[0]);
      if (one.stage != first.stage || one.size != first.size || one.device != first.device) return;
      if (!group_of(*part.node).is_plain()) return;
      const auto& cut = group_of(*part.node).dims;
      dims = common_dims(dims ? *dims : cut, cut);
      if (dims) dims = common_dims(*dims, part.shape().dims());
      if (!dims) return;
      parts.push_back(part.node);
    }
    if (parts.empty()) return;
    const int whole = find_group(about(*parts[0]).group);
    for (const Node* part : parts) {
      groups_[std::size_t(find_group(about(*part).group))].joined = whole;
      united_.push_back({parts[0]->id(), part->id()});
    }
    groups_[std::size_t(whole)].dims = *dims;
  }

  // What joins results of a group, and nothing else, along an axis; none if it cannot be written in runs of
  // neighbours.
  std::optional<Boxes> join_of_results(const Node& join, const std::vector<Node*>& results,
                                       const std::vector<std::int64_t>& dims) {
    if (!join.control_inputs().empty() || device_of(join) != about(*results[0]).device ||
        !group_of(*results[0]).is_plain()) {
      return std::nullopt;
    }
    auto boxes = join_of(join);
    if (!boxes) return std::nullopt;
    for (std::size_t i = 0; i < boxes->begins.size(); ++i) {
      const Output part = join.input(boxes->input + int(i));
      if (std::find(results.begin(), results.end(), part.node) == results.end() ||
          !is_only_joined(part, join) || !common_dims(dims, part.shape().dims())) {
        return std::nullopt;
      }
    }
    return boxes;
  }

  // ---- single nodes

  void examine(Node& node) {
    About& a = about(node);
    const auto source = sources_.find(&node);
    a.place = source == sources_.end() ? node.id() : source->second;
    if (node.num_outputs() != 1 || node.inputs().empty() || !node.control_inputs().empty() ||
        node.has(Trait::stateful) || node.has(Trait::argument) || node.has(Trait::constant) ||
        !is_plain(node.dtype(0)) || !node.shape(0).is_full() || carries_shapes(node)) {
      return;
    }
    for (const Output& input : node.inputs()) {
      if (!is_plain(input.dtype()) || !input.shape().is_full()) return;
    }
    a.size = node.shape(0).size();
    a.device = device_of(node);
    if (a.size == 0 || !runs_tapes(a.device)) return;
    const Output first = node.input(0);
    if (node.has(Trait::alias) && first.dtype() == node.dtype(0) && first.shape().size() == a.size) {
      a.entries = {{"", {{0, first.shape()}}, node.dtype(0), node.shape(0)}};
    } else {
      a.entries = lower(node);
    }
    a.passes_on =
        std::all_of(a.entries.begin(), a.entries.end(), [](auto& entry) { return entry.loop.empty(); });
    a.dims = {a.size};
    for (const TapeEntry& entry : a.entries) {
      if (entry.reduces) {
        const Shape& shape = entry.operands[0].shape;
        a.reduced = {shape[0], shape[1], shape[2]};
        a.dims.assign(shape.dims().begin(), shape.dims().end());
        continue;
      }
      for (const TapeOperand& operand : entry.operands) {
        if (operand.value >= 0 && (operand.shape.size() != a.size || operand.is_box())) {
          a.dims.assign(entry.shape.dims().begin(), entry.shape.dims().end());
        }
      }
    }
  }

  // Small integers may say what shape something has; when the rest of a plan that was cut is specialised,
  // shape rules want to see how they are computed.
  static bool carries_shapes(const Node& node) {
    const bool index = node.dtype(0) == DType::int32 || node.dtype(0) == DType::int64;
    return index && node.shape(0).rank() <= 1 && node.shape(0).size() <= kMaxPartialInts;
  }

  // Where it asks to be, itself or through the node it is colocated with.
  static std::string device_of(const Node& node) {
    constexpr std::string_view kColocated = "loc:@";
    if (!node.device().empty()) return node.device();
    for (const std::string& group : node.attr_or("_class", std::vector<std::string>{})) {
      if (!group.starts_with(kColocated)) continue;
      const Node* other = node.graph().find(std::string_view(group).substr(kColocated.size()));
      if (other) return other->device();
    }
    return {};
  }
  bool runs_tapes(const std::string& device) {
    if (device.empty()) return true;
    const auto [it, added] = runs_tapes_.try_emplace(device, false);
    if (added) {
      const std::string type = DeviceSpec::parse(device).type;
      it->second = type.empty() || type == "*" || type == "CPU";
    }
    return it->second;
  }

  // ---- stages

  static bool is_end(const About& a) { return a.reduced && !a.entries[0].reduces_rows(); }
  static std::int64_t product(const Extents& extents) { return extents[0] * extents[1] * extents[2]; }

  // Whether a node, in this group or about to be, can read another on its tape.
  bool fusible(const Node& from, const Node& to, const Group& group) {
    const About &a = about(from), &b = about(to);
    if (a.entries.empty() || b.entries.empty() || a.device != b.device || is_end(a)) return false;
    if (b.reduced) return a.size == group.size && a.size == product(*b.reduced);
    if (a.size == b.size) return true;
    return group.row > 0 && a.size * group.row == group.size && b.size == group.size &&
           repeats_rows(from, to, group.row);
  }
  // In the group of the one that is read, or of the reader.
  bool fusible(const Node& from, const Node& to) {
    return can_be_fused(from) && fusible(from, to, group_of(from));
  }
  bool fusible_there(const Node& from, const Node& to) {
    return can_be_fused(to) && fusible(from, to, group_of(to));
  }
  // Whether a node reads another's elements once for each row of so many elements.
  bool repeats_rows(const Node& from, const Node& to, std::int64_t row) {
    for (const TapeEntry& entry : about(to).entries) {
      for (const TapeOperand& operand : entry.operands) {
        if (operand.value < 0 || operand.value >= int(to.inputs().size())) continue;
        if (to.input(operand.value).node != &from) continue;
        std::int64_t left = row;
        for (int i = 1; left > 1; ++i) {
          if (i > entry.shape.rank() || (i <= operand.shape.rank() && operand.shape[-i] != 1)) return false;
          if (left % entry.shape[-i] != 0) return false;
          left /= entry.shape[-i];
        }
        if (operand.is_box() || operand.shape.size() * row != entry.shape.size()) return false;
      }
    }
    return true;
  }

  int find_group(int group) {
    while (groups_[std::size_t(group)].joined != group) {
      int& next = groups_[std::size_t(group)].joined;
      group = next = groups_[std::size_t(next)].joined;
    }
    return group;
  }
  Group& group_of(const Node& node) { return groups_[std::size_t(find_group(about(node).group))]; }

  // What a node is a group of alone.
  static Group alone(const About& a) {
    Group group{-1, a.dims, a.size, 0, std::nullopt};
    if (!a.reduced) return group;
    group.size = product(*a.reduced);
    if (is_end(a)) {
      group.end = a.reduced;
    } else {
      group.row = (*a.reduced)[1];
    }
    return group;
  }
  // What both are together, if that can be a tape. The smaller may be of elements for each row.
  static std::optional<Group> together(const Group& one, const Group& other) {
    Group both = one.size >= other.size ? one : other;
    const Group& second = one.size >= other.size ? other : one;
    std::vector<std::int64_t> dims = second.dims;
    if (second.size < both.size) {
      if (!second.is_plain() || second.size * both.row != both.size) return std::nullopt;
      dims.push_back(both.row);
    } else {
      if (second.row > 0 && both.row > 0 && second.row != both.row) return std::nullopt;
      if (second.end && both.end && second.end != both.end) return std::nullopt;
      both.row = std::max(both.row, second.row);
      if (!both.end) both.end = second.end;
    }
    // What is reduced at the end has to have the same rows.
    if (both.end && both.row > 0 && (*both.end)[2] != both.row) return std::nullopt;
    auto common = common_dims(both.dims, dims);
    if (!common) return std::nullopt;
    both.dims = std::move(*common);
    return both;
  }

  // The groups of some nodes become one, which the node enters, if their elements and its own can be cut
  // alike.
  bool enter(const Node& node, std::span<Node* const> others) {
    About& a = about(node);
    std::vector<int> joined;
    Group whole = alone(a);
    for (const Node* other : others) {
      const int group = find_group(about(*other).group);
      if (std::find(joined.begin(), joined.end(), group) == joined.end()) joined.push_back(group);
    }
    // The largest first: what is smaller has to know its rows.
    std::sort(joined.begin(), joined.end(),
              [&](int x, int y) { return groups_[std::size_t(x)].size > groups_[std::size_t(y)].size; });
    for (const int group : joined) {
      auto both = together(whole, groups_[std::size_t(group)]);
      if (!both) return false;
      whole = std::move(*both);
    }
    if (joined.empty()) {
      joined.push_back(int(groups_.size()));
      groups_.emplace_back();
    }
    for (const int group : joined) groups_[std::size_t(group)].joined = joined[0];
    whole.joined = joined[0];
    groups_[std::size_t(joined[0])] = std::move(whole);
    a.group = joined[0];
    return true;
  }

  // Of who reads it and is not of its group.
  int stage_after(const Node& node) {
    const int stage = about(node).stage;
    return can_be_fused(node) || stage > 0 ? stage + 1 : stage;
  }

  void find_stage(const Node& node) {
    About& a = about(node);
    for (const Output& input : node.inputs()) {
      // Those that nothing comes before are there at any stage.
      if (input.node->constant() && input.node->control_inputs().empty()) continue;
      const bool joins = fusible(*input.node, node);
      a.stage = std::max(a.stage, joins ? about(*input.node).stage : stage_after(*input.node));
    }
    for (const Node* before : node.control_inputs()) a.stage = std::max(a.stage, stage_after(*before));
    if (!can_be_fused(node)) return;
    std::vector<Node*> producers;
    for (const Output& input : node.inputs()) {
      if (fusible(*input.node, node) && about(*input.node).stage == a.stage) producers.push_back(input.node);
    }
    if (enter(node, producers)) return;
    ++a.stage;
    enter(node, {});
  }

  static std::int64_t bytes_of(const Node& node, int output) {
    return node.shape(output).size() * std::int64_t(size_of(node.dtype(output)));
  }

  // Moves a node to the later stage of its readers.
  void sink(const Node& node) {
    if (!can_be_fused(node) || about(node).reduced || kept_.contains(&node) || node.uses().empty()) return;
    About& a = about(node);
    const int later = about(*node.uses()[0].node).stage;
    std::vector<Node*> readers;
    for (const Use& use : node.uses()) {
      if (use.input == kControl || !fusible_there(node, *use.node) || about(*use.node).stage != later) return;
      readers.push_back(use.node);
    }
    if (later <= a.stage) return;
    if (kept_longer(node, later) <= bytes_of(node, 0) && enter(node, readers)) a.stage = later;
  }

  // The bytes of inputs that would have to be kept until a stage if the node were computed there.
  std::int64_t kept_longer(const Node& node, int later) {
    std::int64_t bytes = 0;
    for (const Output& input : node.inputs()) {
      if (input.node->constant() || input.node->has(Trait::argument) || kept_.contains(input.node)) continue;
      const auto& uses = input.node->uses();
      const bool needed_then = std::any_of(uses.begin(), uses.end(), [&](const Use& use) {
        return use.node != &node && about(*use.node).stage >= later;
      });
      if (!needed_then) bytes += bytes_of(*input.node, input.index);
    }
    return bytes;
  }

  // Gives the readers in later stages a node of their own that computes the same, if they are all that it
  // would have to be stored for.
  void repeat(Node& node) {
    if (!can_be_fused(node) || about(node).reduced || kept_.contains(&node)) return;
    double cost = 0;
    for (const TapeEntry& entry : about(node).entries) cost += double(entry.cost);
    if (cost > kCheap) return;
    const int stage = about(node).stage;
    std::map<int, std::vector<Use>> late;  // readers by stage
    for (const Use& use : node.uses()) {
      if (use.input == kControl || !fusible_there(node, *use.node)) return;
      if (about(*use.node).stage > stage) late[about(*use.node).stage].push_back(use);
    }
    for (const auto& [later, uses] : late) {
      if (2 * kept_longer(node, later) > bytes_of(node, 0)) return;
    }
    for (const auto& [later, uses] : late) {
      std::vector<Node*> readers;
      for (const Use& use : uses) readers.push_back(use.node);
      const std::vector<Output> inputs(node.inputs().begin(), node.inputs().end());
      Node& again = graph_.clone(node, inputs, {}, graph_.unique_name(node.name() + "/again"));
      About copied = about(node);
      copied.place = -1;
      copied.stage = later;
      about_.push_back(std::move(copied));
      if (!enter(again, readers)) {
        graph_.remove(again);
        graph_.trim();
        about_.pop_back();
        continue;
      }
      for (const Use& use : uses) graph_.set_input(*use.node, use.input, {&again, 0});
      repeated_ = true;
    }
  }

  // ---- groups

  // What edges that can be fused connect within a stage, members in order.
  std::vector<std::vector<Node*>> groups() {
    std::vector<int> parent(about_.size());
    std::iota(parent.begin(), parent.end(), 0);
    const auto find = [&](int id) {
      while (parent[std::size_t(id)] != id)
        id = parent[std::size_t(id)] = parent[std::size_t(parent[std::size_t(id)])];
      return id;
    };
    for (const Node* node : order_) {
      for (const Output& input : node->inputs()) {
        if (fusible(*input.node, *node) && about(*input.node).stage == about(*node).stage) {
          parent[std::size_t(find(node->id()))] = find(input.node->id());
        }
      }
    }
    for (const auto& [one, other] : united_) parent[std::size_t(find(one))] = find(other);
    std::vector<std::vector<Node*>> found;
    std::unordered_map<int, std::size_t> index;
    for (Node* node : order_) {
      if (!can_be_fused(*node)) continue;
      const auto [it, added] = index.try_emplace(find(node->id()), found.size());
      if (added) found.emplace_back();
      found[it->second].push_back(node);
    }
    return found;
  }

  // One loop is worth a tape if that saves repeating what it reads.
  bool worth_it(const std::vector<Node*>& members) {
    int loops = 0;
    bool repeats = false;
    for (const Node* node : members) {
      const About& a = about(*node);
      loops += !a.passes_on;
      for (const TapeEntry& entry : a.entries) {
        const TapeOperand& first = entry.operands[0];
        repeats |= entry.loop.empty() && (first.shape.size() != a.size || first.is_box());
      }
    }
    return loops > 1 || (loops == 1 && repeats);
  }

  bool fuse(const std::vector<Node*>& members) {
    if (!worth_it(members)) return false;
    const std::unordered_set<const Node*> inside(members.begin(), members.end());

    // Inputs are numbered first.
    std::vector<Output> inputs;
    std::unordered_map<const Node*, std::vector<int>> inputs_of;  // outputs of a node outside, by index
    const auto input_number = [&](const Output& output) -> int& {
      auto& numbers = inputs_of[output.node];
      if (numbers.empty()) numbers.assign(std::size_t(output.node->num_outputs()), -1);
      return numbers[std::size_t(output.index)];
    };
    for (const Node* node : members) {
      for (const TapeEntry& entry : about(*node).entries) {
        for (const TapeOperand& operand : entry.operands) {
          if (operand.value < 0 || operand.value >= int(node->inputs().size())) continue;
          const Output input = node->input(operand.value);
          if (inside.contains(input.node)) continue;
          int& number = input_number(input);
          if (number >= 0) continue;
          number = int(inputs.size());
          inputs.push_back(input);
        }
      }
    }

    Tape tape;
    std::unordered_map<const Node*, int> value_of;
    for (const Node* node : members) {
      const int count = int(node->inputs().size());
      const int base = int(inputs.size() + tape.entries.size());
      const auto number = [&](int local) {
        if (local >= count) return base + local - count;
        const Output input = node->input(local);
        return inside.contains(input.node) ? value_of.at(input.node) : input_number(input);
      };
      const About& a = about(*node);
      const TapeEntry& first = a.entries[0];
      if (a.passes_on && first.operands[0].shape.size() == a.size && !first.operands[0].is_box()) {
        value_of[node] = number(first.operands[0].value);
        continue;
      }
      for (TapeEntry entry : a.entries) {
        for (TapeOperand& operand : entry.operands) {
          if (operand.value >= 0) operand.value = number(operand.value);
        }
        tape.entries.push_back(std::move(entry));
      }
      value_of[node] = int(inputs.size() + tape.entries.size()) - 1;
    }

    // Whom somebody outside reads, perhaps through members that pass it on.
    std::unordered_set<const Node*> read_outside;
    std::vector<Node*> results;
    for (auto it = members.rbegin(); it != members.rend(); ++it) {
      Node* node = *it;
      const bool read = std::any_of(node->uses().begin(), node->uses().end(), [&](const Use& use) {
        return use.input != kControl && (!inside.contains(use.node) ||
                                         (about(*use.node).passes_on && read_outside.contains(use.node)));
      });
      if (!read && !kept_.contains(node)) continue;
      read_outside.insert(node);
      if (!about(*node).passes_on) results.push_back(node);
    }
    if (results.empty()) {  // only waited for
      const auto last = std::find_if(members.rbegin(), members.rend(),
                                     [&](const Node* node) { return !about(*node).passes_on; });
      if (last == members.rend()) return false;
      results.push_back(*last);
    }
    std::reverse(results.begin(), results.end());
    std::vector<std::int64_t> dims = group_of(*results[0]).dims;
    std::vector<Node*> outputs;  // of which each result is, or is a box of
    for (Node* node : results) {
      Node* reader = node->uses().empty() ? nullptr : node->uses()[0].node;
      const auto boxes = reader ? join_of_results(*reader, results, dims) : std::nullopt;
      Node* output = boxes ? reader : node;
      const auto known = std::find(outputs.begin(), outputs.end(), output);
      TapeResult result{value_of.at(node), int(known - outputs.begin()), {}};
      if (boxes) result.begin = boxes->begins[std::size_t(node->uses()[0].input - boxes->input)];
      if (known == outputs.end()) {
        if (boxes) dims = *common_dims(dims, node->shape(0).dims());
        outputs.push_back(output);
        tape.outputs.push_back(output->shape(0));
      }
      tape.results.push_back(std::move(result));
    }
    replace(members, outputs, std::move(inputs), std::move(tape));
    return true;
  }

  void replace(const std::vector<Node*>& members, const std::vector<Node*>& results,
               std::vector<Output> inputs, Tape tape) {
    std::vector<DType> types, result_types;
    for (const Output& input : inputs) types.push_back(input.dtype());
    for (const Node* node : results) result_types.push_back(node->dtype(0));
    std::vector<Node*> joins;
    for (Node* node : results) {
      if (std::find(members.begin(), members.end(), node) == members.end()) joins.push_back(node);
    }
    std::string label = std::string(kTapeOp) + "(";
    std::size_t named = 0;
    Node* last =
        *std::find_if(members.begin(), members.end(), [&](Node* node) { return !about(*node).passes_on; });
    for (Node* node : members) {
      if (about(*node).passes_on) continue;
      if (about(*node).place > about(*last).place) last = node;
      if (named++ < kNamesInLabel) label += (named > 1 ? ", " : "") + node->op().name();
    }
    if (named > kNamesInLabel) label += ", and " + std::to_string(named - kNamesInLabel) + " more";
    AttrMap attrs = to_attrs(tape);
    attrs["Tin"] = std::move(types);
    attrs["Tout"] = std::move(result_types);
    attrs["_label"] = label + ")";
    Node& fused = graph_.add(find_op(kTapeOp), {.name = graph_.unique_name(last->name() + "/fused"),
                                                .inputs = std::move(inputs),
                                                .attrs = std::move(attrs),
                                                .device = about(*last).device,
                                                .source = last->source()});
    for (int i = 0; i < int(results.size()); ++i) {
      Node& node = *results[std::size_t(i)];
      substitute(function_, {&node, 0}, {&fused, i});
      std::replace(function_.targets.begin(), function_.targets.end(), &node, &fused);
    }
    places_.push_back({&fused, about(*last).place});
    for (Node* join : joins) {
      graph_.redirect_controls(*join, fused);
      graph_.remove(*join);
    }
    for (auto it = members.rbegin(); it != members.rend(); ++it) {
      Node& node = **it;
      // Who waits for a member that nobody reads waits for all of it; one that passes on to readers stays.
      const bool stays =
          about(node).passes_on && std::any_of(node.uses().begin(), node.uses().end(),
                                               [](auto& use) { return use.input != kControl; });
      if (!stays) graph_.redirect_controls(node, fused);
      if (node.uses().empty() && !(about(node).passes_on && kept_.contains(&node))) graph_.remove(node);
    }
  }

  Function& function_;
  Graph& graph_;
  std::vector<Node*> order_;
  std::vector<About> about_;
  std::vector<Group> groups_;
  std::unordered_set<const Node*> kept_;  // results and targets
  std::unordered_map<std::string, bool> runs_tapes_;
  std::vector<std::pair<Node*, int>> places_;  // of fused nodes in the order of creation
  std::vector<std::pair<int, int>> united_;    // ids of nodes of one group
  bool repeated_ = false, taken_apart_ = false;
  std::unordered_map<const Node*, int> sources_;  // of boxes: the node that cut them, by its place
};

}  // namespace

bool fuse_elementwise(Function& function, Resources&) { return Fusion(function).run(); }

}  // namespace headrace
