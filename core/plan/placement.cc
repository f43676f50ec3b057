#include "core/plan/placement.h"

#include <algorithm>

namespace headrace {
namespace {

constexpr std::string_view kColocated = "loc:@";

// The node that `node` says it is colocated with, if it is in the function.
const Node* colocated_with(const Node& node) {
  for (const std::string& group : node.attr_or("_class", std::vector<std::string>{})) {
    if (group.starts_with(kColocated)) {
      const Node* other = node.graph().find(std::string_view(group).substr(kColocated.size()));
      if (other && other != &node) return other;
    }
  }
  return nullptr;
}

std::string names(std::span<Device* const> devices) {
  std::string text;
  for (const Device* device : devices) text += (text.empty() ? "" : ", ") + device->name();
  return text;
}

}  // namespace

Device* find_device(std::span<Device* const> devices, const DeviceSpec& spec) {
  if (spec.type.empty() && spec.index < 0) return devices[0];
  for (Device* device : devices) {
    const DeviceSpec own = DeviceSpec::parse(device->name());
    if ((spec.type.empty() || spec.type == own.type) && (spec.index < 0 || spec.index == own.index))
      return device;
  }
  return nullptr;
}

Placement place(const Function& function, std::span<Device* const> devices, bool soft) {
  Placement placement;
  std::unordered_map<std::string, Device*> by_text;  // parsing each specification once
  for (const Node* node : function.graph.topological_order()) {
    Device* device = devices[0];
    if (node->has(Trait::argument)) {
      placement[node] = device;
      continue;
    }
    const auto resource = std::find_if(node->inputs().begin(), node->inputs().end(), [](const Output& input) {
      return input.dtype() == DType::resource && !input.node->has(Trait::argument);
    });
    if (resource != node->inputs().end()) {
      device = placement.at(resource->node);
    } else if (!node->device().empty()) {
      const auto [it, added] = by_text.try_emplace(node->device(), nullptr);
      if (added)
        it->second = in_node(*node, [&] { return find_device(devices, DeviceSpec::parse(node->device())); });
      device = it->second;
    } else if (const Node* other = colocated_with(*node); other && placement.contains(other)) {
      device = placement.at(other);
    }
    if (!device || !device->supports(*node)) {
      if (!soft) {
        in_node(*node, [&] {
          invalid(device ? "device '" + device->name() + "' cannot run it"
                         : "there is no device '" + node->device() + "'",
                  "; the devices are ", names(devices), "; ask for one of these, or allow soft placement");
        });
      }
      device = devices[0];
    }
    placement[node] = device;
  }
  return placement;
}

}  // namespace headrace
