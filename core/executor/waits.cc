#include "core/executor/waits.h"

#include <algorithm>
#include <numeric>

namespace headrace {

int Waits::intern(Bits bits) {
  const auto [it, added] = numbers_.emplace(std::move(bits), int(sets_.size()));
  if (added) sets_.push_back(&it->first);
  return it->second;
}

void Waits::add(std::span<const int> predecessors, bool blocking) {
  int set = 0;
  for (int predecessor : predecessors) set = unite(set, after(predecessor));
  before_.push_back(set);
  if (blocking) {
    Bits bits = *sets_[std::size_t(set)];
    const auto number = std::size_t(blocking_++);
    bits.resize(std::max(bits.size(), number / 64 + 1));
    bits[number / 64] |= std::uint64_t(1) << (number % 64);
    set = intern(std::move(bits));
  }
  after_.push_back(set);
}

int Waits::unite(int a, int b) {
  if (contains(a, b)) return a;
  if (contains(b, a)) return b;
  Bits bits = *sets_[std::size_t(a)];
  const Bits& more = *sets_[std::size_t(b)];
  bits.resize(std::max(bits.size(), more.size()));
  for (std::size_t i = 0; i < more.size(); ++i) bits[i] |= more[i];
  return intern(std::move(bits));
}

bool Waits::contains(int whole, int part) const {
  if (part == whole || part == 0) return true;
  const Bits& all = *sets_[std::size_t(whole)];
  const Bits& some = *sets_[std::size_t(part)];
  if (some.size() > all.size()) return false;
  for (std::size_t i = 0; i < some.size(); ++i) {
    if (some[i] & ~all[i]) return false;
  }
  return true;
}

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
