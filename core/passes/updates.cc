// Many small updates, of an optimiser's variables for instance, are one parallel loop:
//
//   update(v, f), update(w, g), ...  =  update all of (v, f), (w, g), ...      where none depends on another
//
// Each by itself would be too small to share out among threads. A large one keeps the threads busy as it is,
// and joined to others it would have its gradient wait for theirs.
//
// Nobody comes to wait for an operation that may wait for another step and that he does not depend on anyway:
// joined are those that depend on the same of these.
#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <vector>

#include "core/base/sets.h"
#include "core/passes/pipeline.h"
#include "core/registry/device.h"
#include "core/registry/joined.h"

namespace headrace {
namespace {

constexpr std::int64_t kLarge = std::int64_t(1) << 18;  // elements
constexpr std::size_t kMost = 16;                       // whose variables are locked at the same time

// The CPU's kernels know how; another device has ways of its own.
bool may_join(const Node& node) {
  if (!joined_of(node.op())) return false;
  if (!node.device().empty() && DeviceSpec::parse(node.device()).type != "CPU") return false;
  return std::all_of(node.inputs().begin(), node.inputs().end(),
                     [](Output input) { return input.shape().is_full() && input.shape().size() < kLarge; });
}

// The same but for what is only said of a node.
bool same_attrs(const Node& a, const Node& b) {
  const auto matters = [](const auto& attr) { return !attr.first.starts_with('_'); };
  AttrMap own, other;
  std::copy_if(a.attrs().begin(), a.attrs().end(), std::inserter(own, own.end()), matters);
  std::copy_if(b.attrs().begin(), b.attrs().end(), std::inserter(other, other.end()), matters);
  return equal(own, other);
}

// Where a node stands: after how many of those that may be joined, one after the other, and after which
// operations that may wait. Of two with the same of both, none depends on the other.
struct Place {
  int level = 0, waits = 0;
};

std::vector<Place> places_of(const Function& function, std::span<Node* const> order) {
  std::vector<Place> places(function.graph.nodes().size());
  Sets sets(order.size());
  std::size_t waiting = 0;
  std::vector<Place> after(places.size());
  for (const Node* node : order) {
    Place& own = places[std::size_t(node->id())];
    const auto follow = [&](const Node* before) {
      const Place& other = after[std::size_t(before->id())];
      own = {std::max(own.level, other.level), sets.unite(own.waits, other.waits)};
    };
    for (const Output& input : node->inputs()) follow(input.node);
    for (const Node* before : node->control_inputs()) follow(before);
    Place& then = after[std::size_t(node->id())] = own;
    if (joined_of(node->op())) ++then.level;
    const bool may_wait = node->has(Trait::blocking) || node->has(Trait::calls) || node->has(Trait::loop);
    if (may_wait) then.waits = sets.with(then.waits, waiting++);
  }
  return places;
}

void join(Function& function, std::span<Node* const> nodes) {
  const Node& first = *nodes[0];
  NodeSpec spec{.name = function.graph.unique_name(first.name() + "/joined"),
                .inputs = {first.inputs().begin(), first.inputs().end()},
                .attrs = first.attrs(),
                .device = first.device(),
                .source = first.source()};
  std::vector<DType> dtypes;
  for (Node* node : nodes) {
    for (const Node* before : node->control_inputs()) {
      auto& all = spec.control_inputs;
      if (std::find(all.begin(), all.end(), before) == all.end()) all.push_back(const_cast<Node*>(before));
    }
    if (node == &first) continue;
    for (const Output& input : node->inputs()) {
      spec.inputs.push_back(input);
      dtypes.push_back(input.dtype());
    }
  }
  spec.attrs["Tothers"] = dtypes;
  Node& joined = function.graph.add(*joined_of(first.op()), std::move(spec));
  for (Node* node : nodes) substitute(function, *node, joined);
  // At once: they are not to have their effects a second time.
  for (Node* node : nodes) function.graph.remove(*node);
}

}  // namespace

bool join_updates(Function& function, Resources&) {
  const std::vector<Node*> order = function.graph.topological_order();
  std::vector<Node*> candidates;
  std::copy_if(order.begin(), order.end(), std::back_inserter(candidates),
               [](const Node* node) { return may_join(*node); });
  if (candidates.size() < 2) return false;
  const std::vector<Place> places = places_of(function, order);
  struct Group {
    const Node* like;
    Place place;
    std::vector<Node*> nodes;
  };
  std::vector<Group> groups;
  std::map<std::tuple<const OpDef*, int, int>, std::vector<std::size_t>> known;
  for (Node* node : candidates) {
    const Place& place = places[std::size_t(node->id())];
    auto& alike = known[{&node->op(), place.level, place.waits}];
    const auto group = std::find_if(alike.begin(), alike.end(), [&](std::size_t i) {
      const Node& like = *groups[i].like;
      return groups[i].nodes.size() < kMost && like.device() == node->device() && same_attrs(like, *node);
    });
    if (group != alike.end()) {
      groups[*group].nodes.push_back(node);
    } else {
      alike.push_back(groups.size());
      groups.push_back({node, place, {node}});
    }
  }
  bool changed = false;
  for (const Group& group : groups) {
    if (group.nodes.size() < 2) continue;
    join(function, group.nodes);
    changed = true;
  }
  return changed;
}

}  // namespace headrace
