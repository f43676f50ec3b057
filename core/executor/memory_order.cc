#include "core/executor/memory_order.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace headrace {

MemoryOrder order_by_memory(std::span<const Block> blocks, std::span<const std::vector<int>> last_users,
                            int instructions) {
  std::vector<int> in_order(blocks.size());
  std::iota(in_order.begin(), in_order.end(), 0);
  std::stable_sort(in_order.begin(), in_order.end(),
                   [&](int a, int b) { return blocks[std::size_t(a)].first < blocks[std::size_t(b)].first; });

  // What lies where so far, by offset. Who comes next waits only for what is on top: that has waited for
  // what was there before.
  struct Piece {
    std::size_t end;
    int block;
  };
  std::map<std::size_t, Piece> memory;
  std::vector<std::vector<int>> next_users(blocks.size());
  for (int number : in_order) {
    const Block& block = blocks[std::size_t(number)];
    const std::size_t begin = block.offset, end = block.offset + block.bytes;
    if (begin == end) continue;
    auto it = memory.upper_bound(begin);
    if (it != memory.begin() && std::prev(it)->second.end > begin) --it;
    while (it != memory.end() && it->first < end) {
      const auto [start, covered] = *it;
      next_users[std::size_t(covered.block)].push_back(block.first);
      it = memory.erase(it);
      if (start < begin) memory.emplace_hint(it, start, Piece{begin, covered.block});
      if (covered.end > end) it = memory.emplace_hint(it, end, covered);
    }
    memory.emplace(begin, Piece{end, number});
  }

  MemoryOrder order;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::vector<int>& after = next_users[i];
    std::sort(after.begin(), after.end());
    after.erase(std::unique(after.begin(), after.end()), after.end());
    const std::vector<int>& before = last_users[i];
    if (before.size() * after.size() > 2 * (before.size() + after.size())) {
      const int join = instructions + order.joins++;
      for (int user : before) order.edges.push_back({user, join});
      for (int user : after) order.edges.push_back({join, user});
    } else {
      for (int user : before) {
        for (int next : after) order.edges.push_back({user, next});
      }
    }
  }
  return order;
}

}  // namespace headrace
