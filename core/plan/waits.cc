#include "core/plan/waits.h"

#include <algorithm>

namespace headrace {

bool MayWait::operator()(const Node& node) {
  if (node.has(Trait::blocking)) return true;
  if (node.graph().functions().empty()) return false;
  const auto called = [&](const FunctionName& name) {
    const auto [it, added] = functions_.try_emplace(name.name, false);
    if (!added) return it->second;
    const auto function = node.graph().find_function(name.name);
    if (!function) return false;
    const auto& nodes = function->graph.nodes();
    const bool waits =
        std::any_of(nodes.begin(), nodes.end(), [&](const auto& one) { return one && (*this)(*one); });
    return functions_[name.name] = waits;
  };
  for (const auto& [name, attr] : node.attrs()) {
    if (const auto* one = std::get_if<FunctionName>(&attr); one && called(*one)) return true;
    const auto* several = std::get_if<std::vector<FunctionName>>(&attr);
    if (several && std::any_of(several->begin(), several->end(), called)) return true;
  }
  return false;
}

void Waits::add(std::span<const int> predecessors, bool blocking) {
  int set = 0;
  for (int predecessor : predecessors) set = unite(set, after(predecessor));
  before_.push_back(set);
  after_.push_back(blocking ? sets_.with(set, blocking_++) : set);
}

}  // namespace headrace
