#include "core/plan/memory.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/base/tensor.h"

namespace headrace {

std::size_t assign_offsets(std::span<Block> blocks,
                           const std::function<bool(const Block&, const Block&)>& may_follow) {
  const auto apart = [&](const Block& a, const Block& b) {
    if (a.last < b.first) return !may_follow || may_follow(a, b);
    if (b.last < a.first) return !may_follow || may_follow(b, a);
    return false;
  };
  const auto aligned = [](std::size_t bytes) { return (bytes + kAlignment - 1) & ~(kAlignment - 1); };
  std::vector<Block*> order;
  for (Block& block : blocks) order.push_back(&block);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });

  std::size_t total = 0;
  std::vector<Block*> placed;  // by offset
  for (Block* block : order) {
    std::size_t offset = 0;
    for (const Block* other : placed) {
      if (apart(*other, *block)) continue;
      if (offset + aligned(block->bytes) <= other->offset) break;  // the gap before it is large enough
      offset = std::max(offset, other->offset + aligned(other->bytes));
    }
    block->offset = offset;
    total = std::max(total, offset + aligned(block->bytes));
    const auto at =
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [](std::size_t value, const Block* other) { return value < other->offset; });
    placed.insert(at, block);
  }
  return total;
}

}  // namespace headrace
