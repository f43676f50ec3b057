// In three strides. First the frames: which loop each node is in. Then, in every frame, *when* each node
// runs: its state is the list of (predicate, side) that must hold, found by following values from Switch to
// Switch, and a Merge of both sides takes the last of them away again. Last the tree: the nodes of one side
// of one predicate that hang together are a condition, those of a frame a loop.
#include "core/io/frames.h"

#include <algorithm>
#include <climits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/io/frame_ops.h"
#include "core/io/messages.h"
#include "core/io/order.h"

namespace headrace {
namespace {

constexpr int kMaxDepth = 100;  // of loops and conditions in each other
constexpr int kDead = -1;       // the state of what never runs

using Key = std::tuple<std::string_view, std::string_view, int>;
Key key_of(const Source& source) { return {source.node, source.output, source.index}; }

struct Edge {
  int from;  // -1 if it comes from outside the message
  Source source;
  bool back = false;  // from NextIteration to Merge
};

// One condition under which a node runs: a predicate, by number, and what it has to be.
struct Literal {
  int predicate;
  bool side;
  auto operator<=>(const Literal&) const = default;
};
using State = std::vector<Literal>;

struct Frame {
  int parent = -1, depth = 0;
  std::string_view name = {};
  std::vector<int> nodes = {}, enters = {}, exits = {}, items = {}, order = {};
  int loop_cond = -1, condition = -1;  // the LoopCond node, and its predicate's number
  std::vector<Literal> known = {};     // what holds wherever the loop runs
  bool has_effects = false;            // anything inside
};

// Nodes are items by their numbers; the loop of frame f is one of the frame around, number `count_` + f.
class Raiser {
 public:
  Raiser(std::vector<NodeMessage>& nodes, const FrameContext& context)
      : nodes_(nodes), context_(context), count_(int(nodes.size())) {}

  Block raise() {
    for (int i = 0; i < count_; ++i) {
      index_.emplace(nodes_[at(i)].name, i);
      roles_.push_back(role_of(nodes_[at(i)]));
    }
    take_merges_apart();
    read_edges();
    find_frames();
    const std::size_t items = std::size_t(count_) + frames_.size();
    state_.assign(items, 0);
    effects_.assign(items, false);
    split_.assign(std::size_t(count_), -1);
    lone_.assign(std::size_t(count_), -1);
    for (int f = 0; f < int(frames_.size()); ++f) analyse(f);
    rewrite();
    check_wanted();
    std::vector<int> top;
    for (int item : frames_[0].order) {
      if (state_[at(item)] != kDead) top.push_back(item);
    }
    return level(top, 0, 0);
  }

 private:
  static std::size_t at(int i) { return std::size_t(i); }
  std::string name(int i) const { return quoted(nodes_[at(i)].name); }
  std::string loop_name(int f) const { return "the loop " + quoted(frames_[at(f)].name); }
  int find(const Source& source) const {
    if (context_.outside(source)) return -1;
    const auto found = index_.find(source.node);
    return found == index_.end() ? -1 : found->second;
  }

  // ---- edges and frames

  // A Merge of several values becomes a tree of those of two, of which it is the last. Which values belong
  // together is seen once it is known when each comes: until then each part may take any of them.
  void take_merges_apart() {
    for (int i = 0, count = count_; i < count; ++i) {
      std::vector<Source> values;
      bool goes_round = false;  // it starts an iteration
      for (const Source& input : nodes_[at(i)].inputs) {
        if (input.control) continue;
        values.push_back(input);
        const auto from = index_.find(input.node);
        goes_round = goes_round || (from != index_.end() && roles_[at(from->second)] == Role::next);
      }
      if (roles_[at(i)] != Role::merge || values.size() <= 2 || goes_round) continue;
      parts_[i] = i;
      for (std::size_t k = 2; k < values.size(); ++k, ++count_) {
        NodeMessage part = nodes_[at(i)];
        std::string name = str(part.name, "/part_", k - 1);
        while (index_.contains(name)) name += "_";
        part.name = context_.keep(std::move(name));
        part.inputs = values;
        index_.emplace(part.name, count_);
        parts_[count_] = i;
        nodes_[at(i)].inputs.push_back({.node = part.name});
        nodes_.push_back(std::move(part));
        roles_.push_back(Role::merge);
      }
    }
  }

  void read_edges() {
    edges_.resize(at(count_));
    reads_.assign(at(count_), 0);
    asks_position_.assign(at(count_), false);
    for (int i = 0; i < count_; ++i) {
      int data = 0;
      for (const Source& input : nodes_[at(i)].inputs) {
        data += !input.control;
        if (context_.outside(input)) {
          edges_[at(i)].push_back({-1, input});
          continue;
        }
        const auto found = index_.find(input.node);
        require(found != index_.end(), "node ", name(i), " reads ", quoted(input.node),
                ", which the message does not have");
        const int from = found->second;
        const Source source = unnamed(input, nodes_[at(from)].op);
        const bool back = roles_[at(i)] == Role::merge && roles_[at(from)] == Role::next && !input.control;
        edges_[at(i)].push_back({from, source, back});
        ++reads_[at(from)];
        if (!source.control) check_output(i, from, source);
      }
      const int expected = inputs_of(roles_[at(i)]);
      require(expected < 0 || data == expected || parts_.contains(i), nodes_[at(i)].op, " node ", name(i),
              " has ", data, " input", data == 1 ? "" : "s", ", expected ", expected);
    }
    for (const Source& wanted : context_.wanted) {
      const auto found = index_.find(wanted.node);
      if (found == index_.end() || wanted.control) continue;
      const Source source = unnamed(wanted, nodes_[at(found->second)].op);
      if (roles_[at(found->second)] == Role::merge && source.index == 1)
        asks_position_[at(found->second)] = true;
    }
  }

  static int inputs_of(Role role) {
    switch (role) {
      case Role::plain:
        return -1;
      case Role::trigger:
        return 0;
      case Role::choose:
      case Role::merge:
        return 2;
      default:
        return 1;
    }
  }

  void check_output(int i, int from, const Source& source) {
    const Role role = roles_[at(from)];
    if (role == Role::plain) return;
    const int outputs = role == Role::trigger ? 0 : role == Role::choose || role == Role::merge ? 2 : 1;
    require(source.output.empty() && source.index < outputs, "node ", name(i), " reads output ",
            source.output.empty() ? std::to_string(source.index) : quoted(source.output), " of the ",
            nodes_[at(from)].op, " node ", name(from), ", which has ", outputs);
    if (role == Role::merge && source.index == 1) asks_position_[at(from)] = true;
  }

  // The frame that all inputs of a node are in.
  int frame_of_inputs(int i) const {
    int frame = -1, before = -1;
    for (const Edge& edge : edges_[at(i)]) {
      if (edge.from < 0 || edge.back) continue;
      const int other = frame_[at(edge.from)];
      require(frame < 0 || other == frame, "node ", name(i), " reads ", before < 0 ? "" : name(before),
              " in ", where(frame), " and ", name(edge.from), " in ", where(other),
              "; a value enters a loop through Enter and leaves it through Exit");
      frame = other;
      before = edge.from;
    }
    return std::max(frame, 0);
  }
  std::string where(int f) const { return f <= 0 ? "no loop" : loop_name(f); }

  void find_frames() {
    frames_.emplace_back();
    frame_.assign(at(count_), 0);
    std::map<std::pair<int, std::string_view>, int> by_name;
    std::vector<std::vector<int>> needs(at(count_));
    for (int i = 0; i < count_; ++i) {
      for (const Edge& edge : edges_[at(i)]) {
        if (edge.from >= 0 && !edge.back) needs[at(i)].push_back(edge.from);
      }
    }
    for (int i : in_order(needs, [&](int i) { return std::string(nodes_[at(i)].name); })) {
      int frame = frame_of_inputs(i);
      switch (roles_[at(i)]) {
        case Role::enter: {
          const auto [it, added] = by_name.try_emplace({frame, frame_name(i)}, int(frames_.size()));
          if (added) {
            const int depth = frames_[at(frame)].depth + 1;
            require(depth <= kMaxDepth, "node ", name(i), " enters a loop more than ", kMaxDepth, " deep");
            frames_.push_back({.parent = frame, .depth = depth, .name = it->first.second});
            frames_[at(frame)].items.push_back(count_ + it->second);
          }
          frame = it->second;
          frames_[at(frame)].enters.push_back(i);
          break;
        }
        case Role::exit:
          require(frame > 0, "Exit node ", name(i), " is in no loop: there is no Enter on the way to ",
                  quoted(nodes_[at(i)].inputs[0].node));
          frames_[at(frame)].exits.push_back(i);
          frame = frames_[at(frame)].parent;
          break;
        case Role::loop_cond: {
          require(frame > 0, "LoopCond node ", name(i), " is in no loop");
          int& known = frames_[at(frame)].loop_cond;
          require(known < 0, loop_name(frame), " has two LoopCond nodes, ", known < 0 ? "" : name(known),
                  " and ", name(i));
          known = i;
          break;
        }
        case Role::next:
          require(frame > 0, "NextIteration node ", name(i), " is in no loop");
          break;
        default:
          break;
      }
      frame_[at(i)] = frame;
      frames_[at(frame)].items.push_back(i);
      frames_[at(frame)].nodes.push_back(i);
    }
    for (int f = int(frames_.size()) - 1; f > 0; --f) {
      Frame& frame = frames_[at(f)];
      for (int i : frame.nodes) frame.has_effects = frame.has_effects || has_effects(i);
      if (frame.has_effects) frames_[at(frame.parent)].has_effects = true;
    }
  }

  std::string_view frame_name(int enter) {
    const wire::Reader* value = nodes_[at(enter)].find_attr("frame_name");
    std::string_view text;
    if (value) {
      for (wire::Reader in = *value; in.next();) {
        if (in.field() == 2) text = in.text();
      }
    }
    require(!text.empty(), "Enter node ", name(enter), " does not name its frame");
    return text;
  }

  bool has_effects(int i) const {
    return roles_[at(i)] == Role::plain && context_.has_effects(nodes_[at(i)].op);
  }

  bool is_variable(int merge) const {
    const auto& edges = edges_[at(merge)];
    return roles_[at(merge)] == Role::merge &&
           std::any_of(edges.begin(), edges.end(), [](const Edge& edge) { return edge.back; });
  }

  // ---- when nodes run

  // The items of the same frame that an item reads or waits for.
  std::vector<int> needs_of(int item) const {
    std::vector<int> needs;
    const auto add = [&](int i) {
      for (const Edge& edge : edges_[at(i)]) {
        if (edge.from >= 0 && !edge.back) needs.push_back(edge.from);
      }
    };
    if (item >= count_) {
      for (int enter : frames_[at(item - count_)].enters) add(enter);
    } else if (roles_[at(item)] == Role::exit) {
      for (const Edge& edge : edges_[at(item)]) {
        if (edge.from >= 0) needs.push_back(count_ + frame_[at(edge.from)]);
      }
      needs.resize(1);
    } else if (roles_[at(item)] != Role::enter) {
      add(item);
    }
    return needs;
  }

  void analyse(int f) {
    Frame& frame = frames_[at(f)];
    if (f > 0) {
      require(frame.loop_cond >= 0, loop_name(f), " has no LoopCond node");
      frame.condition = number_of({.node = nodes_[at(frame.loop_cond)].name});
      frame.known = frames_[at(frame.parent)].known;
      const State& around = state_of(count_ + f);
      frame.known.insert(frame.known.end(), around.begin(), around.end());
    }
    std::unordered_map<int, int> place;
    for (std::size_t k = 0; k < frame.items.size(); ++k) place.emplace(frame.items[k], int(k));
    std::vector<std::vector<int>> needs(frame.items.size());
    for (std::size_t k = 0; k < frame.items.size(); ++k) {
      for (int other : needs_of(frame.items[k])) needs[k].push_back(place.at(other));
    }
    for (int k : in_order(needs, [&](int k) { return item_name(frame.items[at(k)]); })) {
      const int item = frame.items[at(k)];
      frame.order.push_back(item);
      find_state(f, item);
      find_effects(item);
    }
  }

  std::string item_name(int item) const {
    return std::string(item < count_ ? nodes_[at(item)].name : frames_[at(item - count_)].name);
  }

  // A predicate by number: the same for all that passes it on unchanged.
  int number_of(Source source) const {
    while (true) {
      const int i = find(source);
      if (i < 0) break;
      source = unnamed(source, nodes_[at(i)].op);
      if (roles_[at(i)] != Role::choose && roles_[at(i)] != Role::enter && !is_identity(i)) break;
      source = data(i, 0).source;
    }
    return numbers_.try_emplace(key_of(source), int(numbers_.size())).first->second;
  }

  bool is_identity(int i) const {
    return roles_[at(i)] == Role::plain && nodes_[at(i)].op == "Identity" && !edges_[at(i)].empty() &&
           !edges_[at(i)][0].source.control;
  }
  // Where the first input comes from, through what only passes it on.
  const Edge& behind_identities(int i) const {
    const Edge* edge = &data(i, 0);
    while (edge->from >= 0 && is_identity(edge->from)) edge = &data(edge->from, 0);
    return *edge;
  }

  const Source& predicate_of(int choose) const { return data(choose, 1).source; }

  const Edge& data(int i, int position) const {
    for (const Edge& edge : edges_[at(i)]) {
      if (!edge.source.control && position-- == 0) return edge;
    }
    internal("node ", name(i), " has fewer inputs");
  }

  int intern(State state) {
    if (state.empty()) return 0;
    require(state.size() <= at(kMaxDepth), "conditions are more than ", kMaxDepth, " deep in each other");
    State sorted = state;
    std::sort(sorted.begin(), sorted.end());
    const auto [it, added] = state_numbers_.try_emplace(std::move(sorted), int(states_.size()));
    if (added) states_.push_back(std::move(state));
    return it->second;
  }

  // What holds if both hold; the loop's own condition comes first.
  int both(int a, int b, int f) {
    if (a == kDead || b == kDead) return kDead;
    if (a == b || b == 0) return a;
    if (a == 0) return b;
    if (states_[at(a)].size() < states_[at(b)].size()) std::swap(a, b);
    State state = states_[at(a)];
    for (const Literal& literal : states_[at(b)]) {
      const auto known = std::find_if(state.begin(), state.end(),
                                      [&](const Literal& l) { return l.predicate == literal.predicate; });
      if (known == state.end()) {
        state.insert(literal.predicate == frames_[at(f)].condition ? state.begin() : state.end(), literal);
      } else if (known->side != literal.side) {
        return kDead;
      }
    }
    return intern(std::move(state));
  }

  // The state in which a value comes along an edge.
  int arriving(const Edge& edge, int f) {
    if (edge.from < 0) return 0;
    const int state = state_[at(edge.from)];
    if (roles_[at(edge.from)] != Role::choose || edge.source.control) return state;
    const Literal way{number_of(predicate_of(edge.from)), edge.source.index == 1};
    for (const Literal& known : frames_[at(f)].known) {
      if (known.predicate == way.predicate) return known.side == way.side ? state : kDead;
    }
    return both(state, intern({way}), f);
  }

  void find_state(int f, int item) {
    int& state = state_[at(item)];
    if (item >= count_) {
      for (int enter : frames_[at(item - count_)].enters) {
        for (const Edge& edge : edges_[at(enter)]) state = both(state, arriving(edge, f), f);
      }
      return;
    }
    const Role role = roles_[at(item)];
    if (role == Role::enter) return;
    if (role == Role::exit) {
      state = state_[at(needs_of(item)[0])];
    } else if (role == Role::merge) {
      if (is_variable(item)) return check_variable(item);
      if (parts_.contains(item)) choose_values(f, item);
      join(f, item);
    } else {
      for (const Edge& edge : edges_[at(item)]) {
        const int arrives = arriving(edge, f);
        state = both(state, role == Role::trigger ? only_loop(arrives, f) : arrives, f);
      }
    }
  }

  // Without what is not the loop's own condition.
  int only_loop(int state, int f) {
    if (state == kDead) return 0;
    State kept;
    for (const Literal& literal : states_[at(state)]) {
      if (literal.predicate == frames_[at(f)].condition) kept.push_back(literal);
    }
    return intern(std::move(kept));
  }

  void check_variable(int merge) {
    const Edge &a = data(merge, 0), &b = data(merge, 1);
    const int enter = a.back ? b.from : a.from, next = a.back ? a.from : b.from;
    const int f = frame_[at(merge)];
    require(enter >= 0 && roles_[at(enter)] == Role::enter && frame_[at(enter)] == f && f > 0 && next >= 0 &&
                frame_[at(next)] == f,
            "Merge node ", name(merge),
            " takes a value from NextIteration; the other one has to come from an "
            "Enter node of the same loop");
    require(!asks_position_[at(merge)], "which input of the Merge node ", name(merge),
            " came is asked for, but it starts an iteration of ", loop_name(f), "; this is not supported");
  }

  // The literal of `a` whose opposite `b` has, if they are the same but for that.
  static std::optional<Literal> split_of(const State& a, const State& b) {
    std::optional<Literal> split;
    for (const Literal& literal : a) {
      if (std::find(b.begin(), b.end(), literal) != b.end()) continue;
      const Literal other{literal.predicate, !literal.side};
      if (split || std::find(b.begin(), b.end(), other) == b.end()) return std::nullopt;
      split = literal;
    }
    return a.size() == b.size() ? split : std::nullopt;
  }

  // Of the values that are left of a Merge of several, this part of it takes two that make up one, of which
  // perhaps one never comes; the others are left, and what this makes of them.
  void choose_values(int f, int merge) {
    const int whole = parts_.at(merge);
    require(!asks_position_[at(whole)], "which input of the Merge node ", name(whole),
            " came is asked for, but it has more than two; this is not supported");
    const auto [it, first] = left_.try_emplace(whole);
    std::vector<Edge>& left = it->second;
    if (first) {
      for (const Edge& edge : edges_[at(whole)]) {
        const auto part = parts_.find(edge.from);
        if (!edge.source.control && (part == parts_.end() || part->second != whole)) left.push_back(edge);
      }
    }
    const auto together = [&](const Edge& a, const Edge& b) {
      const int one = arriving(a, f), other = arriving(b, f);
      return one == kDead || other == kDead || split_of(states_[at(one)], states_[at(other)]);
    };
    std::size_t a = 0, b = 1;
    for (std::size_t i = 0; i < left.size(); ++i) {
      for (std::size_t k = i + 1; k < left.size(); ++k) {
        if (together(left[i], left[k])) a = i, b = k, i = k = left.size();
      }
    }
    auto& edges = edges_[at(merge)];
    std::erase_if(edges, [](const Edge& edge) { return !edge.source.control; });
    edges.insert(edges.begin(), {left[a], left[b]});
    left.erase(left.begin() + std::ptrdiff_t(b));
    left[a] = {merge, {.node = nodes_[at(merge)].name}};
  }

  // A Merge runs when what its two sides have in common holds.
  void join(int f, int merge) {
    std::vector<std::pair<int, int>> alive;  // (input, state)
    for (int k = 0; k < 2; ++k) {
      const int state = arriving(data(merge, k), f);
      if (state != kDead) alive.emplace_back(k, state);
    }
    int& state = state_[at(merge)];
    if (alive.size() < 2) {
      state = alive.empty() ? kDead : alive[0].second;
      if (!alive.empty()) lone_[at(merge)] = alive[0].first;
      return;
    }
    const State &a = states_[at(alive[0].second)], &b = states_[at(alive[1].second)];
    const auto split = split_of(a, b);
    if (!split) {
      invalid("Merge node ", name(merge), f > 0 ? " in " + loop_name(f) : std::string(),
              " joins what are not the two sides of one condition: ", quoted(data(merge, 0).source.node),
              " runs ", to_text(a), ", ", quoted(data(merge, 1).source.node), " ", to_text(b));
    }
    State common = a;
    std::erase(common, *split);
    split_[at(merge)] = split->predicate;
    first_side_[merge] = split->side;
    state = intern(std::move(common));
  }

  std::string to_text(const State& state) const {
    if (state.empty()) return "always";
    std::string text = "if ";
    for (const Literal& literal : state) {
      if (text.size() > 3) text += " and ";
      for (const auto& [key, number] : numbers_) {
        if (number == literal.predicate)
          text += quoted(std::get<0>(key)) + (literal.side ? " is true" : " is false");
      }
    }
    return text;
  }

  const State& state_of(int item) const { return states_[at(std::max(state_[at(item)], 0))]; }
  std::size_t length(int item) const { return state_of(item).size(); }

  // Whether waiting for the item is more than waiting for numbers, seen from where it runs.
  void find_effects(int item) {
    bool effects = item >= count_ ? frames_[at(item - count_)].has_effects : has_effects(item);
    if (item >= count_ || (roles_[at(item)] != Role::enter && !is_variable(item))) {
      for (int from : needs_of(item)) {
        effects =
            effects || (effects_[at(from)] && state_[at(from)] != kDead && length(from) >= length(item));
      }
    }
    effects_[at(item)] = effects;
  }

  // ---- where values come from

  // The source behind all that only passes a value on along a way. `passed` gets the nodes in between.
  Source behind(Source source, std::vector<int>* passed = nullptr) const {
    while (true) {
      const int i = find(source);
      if (i < 0) return source;
      source = source.control ? source : unnamed(source, nodes_[at(i)].op);
      const Role role = roles_[at(i)];
      if (role != Role::choose && role != Role::loop_cond && role != Role::next) return source;
      if (passed) passed->push_back(i);
      source = data(i, 0).source;
    }
  }

  void rewrite() {
    uses_.resize(at(count_));
    waits_.resize(at(count_));
    std::vector<std::vector<Source>> inputs(at(count_));
    for (int i = 0; i < count_; ++i) {
      const int item = roles_[at(i)] == Role::enter ? count_ + frame_[at(i)] : i;
      std::vector<Source> outer;
      std::set<int> waits, seen;
      for (const Edge& edge : edges_[at(i)]) {
        if (edge.source.control) {
          if (edge.from < 0)
            outer.push_back(edge.source);
          else
            gather(edge.from, item, waits, seen);
          continue;
        }
        std::vector<int> passed;
        inputs[at(i)].push_back(roles_[at(i)] == Role::exit ? edge.source : behind(edge.source, &passed));
        for (int way : passed) {
          for (const Edge& wait : edges_[at(way)]) {
            if (!wait.source.control) continue;
            if (wait.from < 0)
              outer.push_back(wait.source);
            else
              gather(wait.from, item, waits, seen);
          }
        }
      }
      for (int wait : waits) {
        inputs[at(i)].push_back({.node = nodes_[at(wait)].name, .control = true});
        waits_[at(wait)].push_back(i);
      }
      inputs[at(i)].insert(inputs[at(i)].end(), outer.begin(), outer.end());
    }
    for (int i = 0; i < count_; ++i) {
      if (roles_[at(i)] == Role::exit) continue;
      for (std::size_t k = 0; k < inputs[at(i)].size(); ++k) {
        const Source& source = inputs[at(i)][k];
        // What passes through a Switch counts where it arrives; its predicate is read here.
        if (source.control || (roles_[at(i)] == Role::choose && k == 0)) continue;
        if (const int from = find(source); from >= 0) uses_[at(from)].emplace_back(i, source);
      }
    }
    for (int i = 0; i < count_; ++i) {
      NodeMessage& node = nodes_[at(i)];
      node.inputs = std::move(inputs[at(i)]);
      if (lone_[at(i)] < 0) continue;
      // Only one of its inputs ever comes.
      require(!asks_position_[at(i)], "which input of the Merge node ", name(i),
              " came is asked for, but only one ever comes; this is not supported");
      node.op = "Identity";
      std::erase_if(node.attrs, [](const auto& attr) { return attr.first == "N"; });
      node.inputs.erase(node.inputs.begin() + (1 - lone_[at(i)]));
      roles_[at(i)] = Role::plain;
    }
  }

  // Which nodes `item` really waits for if it is to wait for `from`: those with effects. What has none is
  // only there to say on which way, or in which iteration, a node runs.
  void gather(int from, int item, std::set<int>& waits, std::set<int>& seen) const {
    if (!seen.insert(from).second || state_[at(from)] == kDead) return;
    const Role role = roles_[at(from)];
    const bool top = frame_[at(from)] == 0 && length(item) == 0;
    if (role == Role::enter || role == Role::loop_cond || is_variable(from)) return;
    if (role == Role::choose || role == Role::next) {
      const bool of_loop =
          role == Role::choose && number_of(predicate_of(from)) == frames_[at(frame_[at(from)])].condition;
      int position = 0;
      for (const Edge& edge : edges_[at(from)]) {
        const bool is_predicate = !edge.source.control && position++ == 1;
        if (edge.from >= 0 && !(of_loop && is_predicate)) gather(edge.from, item, waits, seen);
      }
    } else if (top || effects_[at(from)]) {
      waits.insert(from);
    } else if (length(from) >= length(item)) {
      for (const Edge& edge : edges_[at(from)]) {
        if (edge.from >= 0 && frame_[at(edge.from)] == frame_[at(from)]) gather(edge.from, item, waits, seen);
      }
    }
  }
  // What is read from outside has to be there when everything has run.
  void check_wanted() const {
    for (const Source& wanted : context_.wanted) {
      const auto found = index_.find(wanted.node);
      if (found == index_.end()) continue;
      const int i = found->second;
      const Role role = roles_[at(i)];
      const bool exists =
          role == Role::plain || role == Role::trigger || role == Role::exit || split_[at(i)] >= 0;
      require(frame_[at(i)] == 0 && exists && (state_[at(i)] == 0 || (wanted.control && is_sink(i))),
              quoted(wanted.node), " (", nodes_[at(i)].op, ") is asked for, but is inside of a ",
              frame_[at(i)] > 0 ? "loop" : "condition", "; ask for what comes out of it, at ",
              frame_[at(i)] > 0 ? "an Exit" : "a Merge", " node");
    }
  }

  // Whether the node is there for its effects alone.
  bool is_sink(int i) const {
    return frame_[at(i)] == 0 && reads_[at(i)] == 0 && effects_[at(i)] && state_[at(i)] > 0 &&
           (roles_[at(i)] == Role::plain);
  }

  // ---- the tree

  // When an item runs, seen from inside its loop.
  std::span<const Literal> relative(int item, int f) const {
    const std::span<const Literal> state = state_of(item);
    if (!state.empty() && state[0].predicate == frames_[at(f)].condition) return state.subspan(1);
    return state;
  }

  // What an item is on a level: it runs whenever the level does (predicate -1), it is inside of a condition,
  // or it is the Merge that joins one.
  struct Place {
    int predicate = -1;
    bool inside = false;
    int time = 0;  // how many conditions have to be over before
  };

  // The items, in order, that run when the first `depth` of their conditions hold.
  Block level(const std::vector<int>& items, int f, std::size_t depth) {
    const int count = int(items.size());
    std::unordered_map<int, int> position;
    for (int k = 0; k < count; ++k) position.emplace(items[at(k)], k);
    std::vector<std::vector<int>> needs(at(count)), users(at(count));
    std::vector<Place> places(at(count));
    for (int k = 0; k < count; ++k) {
      const int item = items[at(k)];
      Place& place = places[at(k)];
      if (const auto state = relative(item, f); state.size() > depth) {
        place.predicate = state[depth].predicate;
        place.inside = true;
      } else if (item < count_ && split_[at(item)] >= 0) {
        place.predicate = split_[at(item)];
      }
      for (int need : needs_of(item)) {
        const auto found = position.find(need);
        if (found == position.end()) continue;
        needs[at(k)].push_back(found->second);
        users[at(found->second)].push_back(k);
        const Place& before = places[at(found->second)];
        const bool over = before.predicate >= 0 && !(before.inside && before.predicate == place.predicate);
        place.time = std::max(place.time, before.time + over);
      }
    }
    // What runs inside of a condition does so with those who use it. What comes out of a loop is there with
    // it.
    const auto is_exit = [&](int k) {
      return items[at(k)] < count_ && roles_[at(items[at(k)])] == Role::exit;
    };
    for (int k = count - 1; k >= 0; --k) {
      Place& place = places[at(k)];
      if (!place.inside || is_exit(k)) continue;
      int latest = INT_MAX;
      const auto consider = [&](int user, auto&& self) -> void {
        const Place& other = places[at(user)];
        if (is_exit(user)) {
          for (int next : users[at(user)]) self(next, self);
        } else {
          latest = std::min(latest, other.predicate == place.predicate ? other.time : place.time);
        }
      };
      for (int user : users[at(k)]) consider(user, consider);
      if (latest == INT_MAX) continue;
      place.time = std::max(place.time, latest);
      for (int user : users[at(k)]) {
        if (is_exit(user)) places[at(user)].time = place.time;
      }
    }

    // One condition is what hangs together.
    std::vector<int> group(at(count));
    std::iota(group.begin(), group.end(), 0);
    const auto leader = [&](int k) {
      while (group[at(k)] != k) k = group[at(k)] = group[at(group[at(k)])];
      return k;
    };
    for (int k = 0; k < count; ++k) {
      const Place& place = places[at(k)];
      for (int need : needs[at(k)]) {
        const Place& other = places[at(need)];
        if (other.inside && other.predicate == place.predicate && other.time == place.time)
          group[at(leader(k))] = leader(need);
      }
    }
    std::map<int, std::vector<int>> groups;
    std::vector<int> number(at(count));
    for (int k = 0; k < count; ++k) groups[leader(k)].push_back(k);
    std::vector<const std::vector<int>*> parts;
    for (const auto& [first, members] : groups) {
      for (int k : members) number[at(k)] = int(parts.size());
      parts.push_back(&members);
    }
    std::vector<std::vector<int>> part_needs(parts.size());
    for (int k = 0; k < count; ++k) {
      for (int need : needs[at(k)]) {
        if (number[at(need)] != number[at(k)]) part_needs[at(number[at(k)])].push_back(number[at(need)]);
      }
    }
    Block block;
    const auto part_name = [&](int part) { return item_name(items[at(parts[at(part)]->front())]); };
    for (int part : in_order(part_needs, part_name)) {
      std::vector<int> members;
      for (int k : *parts[at(part)]) members.push_back(items[at(k)]);
      if (const int predicate = places[at(parts[at(part)]->front())].predicate; predicate >= 0) {
        if (auto made = conditional(members, f, depth, predicate)) block.steps.emplace_back(std::move(made));
      } else if (members[0] >= count_) {
        block.steps.emplace_back(loop(members[0] - count_));
      } else if (roles_[at(members[0])] == Role::plain || roles_[at(members[0])] == Role::trigger) {
        block.steps.emplace_back(members[0]);
      }
    }
    return block;
  }

  void nodes_in(int item, std::vector<int>& nodes) const {
    if (item < count_) {
      nodes.push_back(item);
      return;
    }
    for (int inner : frames_[at(item - count_)].items) nodes_in(inner, nodes);
  }

  std::unique_ptr<Conditional> conditional(const std::vector<int>& items, int f, std::size_t depth,
                                           int predicate) {
    auto made = std::make_unique<Conditional>();
    for (int item : items) nodes_in(item, made->members);
    const std::unordered_set<int> inside(made->members.begin(), made->members.end());
    std::array<std::vector<int>, 2> sides;
    std::set<std::tuple<Key, bool>> given;
    const auto give = [&](const Source& source, bool side) {
      if (!given.emplace(key_of(source), side).second) return;
      made->results.emplace_back().sides[side] = source;
    };
    for (int item : items) {
      const auto state = relative(item, f);
      if (state.size() <= depth) {  // a Merge
        join_sides(*made, item);
        continue;
      }
      const bool side = state[depth].side;
      sides[side].push_back(item);
      if (item >= count_) continue;
      for (const auto& [user, source] : uses_[at(item)]) {
        if (!inside.contains(user)) give(source, side);
      }
      const auto& waiting = waits_[at(item)];
      if (std::any_of(waiting.begin(), waiting.end(), [&](int other) { return !inside.contains(other); }))
        made->awaited[side].push_back(item);
      if (is_sink(item)) give({.node = nodes_[at(item)].name, .output = kHasRun}, side);
    }
    if (made->results.empty() && made->awaited[0].empty() && made->awaited[1].empty()) return nullptr;
    made->predicate = predicate_source(items, f, predicate);
    for (const bool side : {false, true}) made->sides[side] = level(sides[side], f, depth + 1);
    return made;
  }

  void join_sides(Conditional& made, int merge) {
    const bool first = first_side_.at(merge);
    Conditional::Joined joined{merge, int(made.results.size()), -1};
    Conditional::Result& value = made.results.emplace_back();
    value.sides[first] = nodes_[at(merge)].inputs[0];
    value.sides[!first] = nodes_[at(merge)].inputs[1];
    if (asks_position_[at(merge)]) {
      joined.position = int(made.results.size());
      made.results.emplace_back().position = first ? std::array{1, 0} : std::array{0, 1};
    }
    made.joined.push_back(joined);
  }

  // The predicate as the Switch nodes of a condition read it: the most derived form of it that is known
  // outside.
  Source predicate_source(const std::vector<int>& items, int f, int predicate) {
    int best = -1;
    const auto consider = [&](int i) {
      if (i < 0 || i >= count_ || roles_[at(i)] != Role::choose || state_[at(i)] == kDead ||
          number_of(predicate_of(i)) != predicate)
        return;
      if (best < 0 || std::pair(length(i), -i) < std::pair(length(best), -best)) best = i;
    };
    for (int item : items) {
      for (int need : needs_of(item)) consider(need);
    }
    if (best < 0) {
      for (int item : frames_[at(f)].order) consider(item);
    }
    return behind(predicate_of(best));
  }

  std::unique_ptr<Loop> loop(int f) {
    Frame& frame = frames_[at(f)];
    auto made = std::make_unique<Loop>();
    made->frame = frame.name;
    std::unordered_set<int> needed;
    std::vector<int> open;
    const auto need = [&](int item) {
      if (needed.insert(item).second) open.push_back(item);
    };
    std::unordered_map<int, int> variables;
    need(frame.loop_cond);
    for (int i : frame.nodes) {
      if (roles_[at(i)] != Role::merge || !is_variable(i)) continue;
      const Edge &a = data(i, 0), &b = data(i, 1);
      const Loop::Variable variable{a.back ? b.from : a.from, i, a.back ? a.from : b.from};
      variables.emplace(i, int(made->variables.size()));
      made->variables.push_back(variable);
      require(state_of(variable.next) == State{{frame.condition, true}}, "NextIteration node ",
              name(variable.next), " of ", loop_name(f), " runs ", to_text(state_of(variable.next)),
              "; it has to run if the loop goes on, and only then");
      need(variable.next);
    }
    require(state_[at(frame.loop_cond)] == 0, "LoopCond node ", name(frame.loop_cond), " of ", loop_name(f),
            " runs ", to_text(state_of(frame.loop_cond)), "; it has to run always");
    while (!open.empty()) {
      const int item = open.back();
      open.pop_back();
      for (int other : needs_of(item)) need(other);
    }
    for (int enter : frame.enters) {
      // A variable's first value may be read by itself as well.
      const auto& uses = uses_[at(enter)];
      const bool stays = std::any_of(uses.begin(), uses.end(),
                                     [&](const auto& use) { return !variables.contains(use.first); });
      if (stays) made->invariants.push_back(enter);
      if (const wire::Reader* value = nodes_[at(enter)].find_attr("parallel_iterations")) {
        for (wire::Reader in = *value; in.next();) {
          if (in.field() == 3) made->parallel_iterations = in.integer();
        }
      }
    }
    for (int exit : frame.exits) {
      const Edge& way = behind_identities(exit);
      const bool leaves = way.from >= 0 && roles_[at(way.from)] == Role::choose && way.source.index == 0 &&
                          number_of(predicate_of(way.from)) == frame.condition;
      const int merge = leaves ? data(way.from, 0).from : -1;
      require(merge >= 0 && variables.contains(merge), "Exit node ", name(exit), " of ", loop_name(f),
              " has to take the value of a loop variable when the loop is over: output 0 of a Switch on the "
              "LoopCond");
      made->exits.emplace_back(exit, variables.at(merge));
    }

    // The condition is what runs always, the body what runs if it holds. A body may read what the condition
    // has computed; that is computed again.
    std::unordered_set<int> in_condition, in_body;
    const auto reach = [&](int item, auto&& keeps, std::unordered_set<int>& reached) {
      std::vector<int> stack{item};
      while (!stack.empty()) {
        const int i = stack.back();
        stack.pop_back();
        if (!reached.insert(i).second) continue;
        for (int other : needs_of(i)) {
          if (keeps(other)) stack.push_back(other);
        }
      }
    };
    const auto is_body = [&](int item) {
      const State& state = state_of(item);
      return !state.empty() && state[0].predicate == frame.condition;
    };
    reach(
        frame.loop_cond, [&](int item) { return !is_body(item); }, in_condition);
    for (int item : frame.order) {
      if (needed.contains(item) && is_body(item)) in_body.insert(item);
    }
    std::unordered_set<int> shared;
    for (int item : frame.order) {
      if (!in_body.contains(item)) continue;
      for (int i : item < count_ ? std::vector<int>{item} : frames_[at(item - count_)].enters) {
        for (const Source& input : nodes_[at(i)].inputs) {
          const int from = input.control ? -1 : find(input);
          if (from < 0 || is_body(from)) continue;
          reach(
              from, [&](int other) { return !is_body(other); }, shared);
        }
      }
    }
    for (int item : shared) {
      require(!effects_[at(item)], "the body of ", loop_name(f), " reads ", quoted(item_name(item)),
              " of its condition, which has effects; this is not supported");
      in_body.insert(item);
    }
    std::vector<int> condition_items, body_items;
    for (int item : frame.order) {
      if (state_[at(item)] == kDead) continue;
      if (in_condition.contains(item)) condition_items.push_back(item);
      if (in_body.contains(item)) body_items.push_back(item);
    }
    made->predicate = behind({.node = nodes_[at(frame.loop_cond)].name});
    made->cond = level(condition_items, f, 0);
    made->body = level(body_items, f, 0);
    return made;
  }

  std::vector<NodeMessage>& nodes_;
  const FrameContext& context_;
  int count_;
  std::unordered_map<std::string_view, int> index_;
  std::vector<Role> roles_;
  std::vector<std::vector<Edge>> edges_;
  std::vector<int> reads_;           // by how many edges each node is read or waited for
  std::vector<bool> asks_position_;  // of a Merge: somebody reads which input came
  std::vector<Frame> frames_;        // the first is that of no loop
  std::vector<int> frame_;           // of a node's outputs
  std::vector<State> states_{State()};
  std::map<State, int> state_numbers_;
  mutable std::map<Key, int> numbers_;        // of predicates
  std::vector<int> state_;                    // of items
  std::vector<bool> effects_;                 // of items
  std::vector<int> split_;                    // of a Merge: the predicate of which it joins the sides
  std::unordered_map<int, bool> first_side_;  // of a Merge: which side its first input is
  std::unordered_map<int, int> parts_;        // of a Merge of several values: the whole
  std::unordered_map<int, std::vector<Edge>> left_;
  std::vector<int> lone_;  // of a Merge: its only input that ever comes
  std::vector<std::vector<std::pair<int, Source>>> uses_;
  std::vector<std::vector<int>> waits_;
};

}  // namespace

Block raise_frames(std::vector<NodeMessage>& nodes, const FrameContext& context) {
  return Raiser(nodes, context).raise();
}

}  // namespace headrace
