// Which device runs each node.
#pragma once

#include <span>
#include <unordered_map>

#include "core/registry/device.h"

namespace headrace {

using Placement = std::unordered_map<const Node*, Device*>;

// The device that a specification asks for, devices[0] for an empty one; nullptr if there is none.
Device* find_device(std::span<Device* const> devices, const DeviceSpec& spec);

// Places every node: where it asks to be, else with what it is colocated with or whose resource it uses, else
// on devices[0]. Arguments are on devices[0]. With `soft`, a node whose device is missing or cannot run it
// goes to devices[0]; otherwise that is InvalidArgument, naming the devices there are.
Placement place(const Function& function, std::span<Device* const> devices, bool soft);

}  // namespace headrace
