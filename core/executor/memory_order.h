// Who waits for whom because of memory, when the instructions of a function run on lanes: what takes over the
// place of a value waits for all users of that value.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "core/plan/memory.h"

namespace headrace {

// Edges (before, after) from the last users of each block to the first users of those that lie there next.
// Numbers from `instructions` on are joins: they do nothing, and wait for many on behalf of many.
struct MemoryOrder {
  std::vector<std::pair<int, int>> edges;
  int joins = 0;
};
MemoryOrder order_by_memory(std::span<const Block> blocks, std::span<const std::vector<int>> last_users,
                            int instructions);

}  // namespace headrace
