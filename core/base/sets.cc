#include "core/base/sets.h"

namespace headrace {

Sets::Sets(std::size_t limit) : table_(64, -1) {
  while ((std::size_t(64) << levels_) < limit) ++levels_;
  intern(0);
}

// Where the tree is in the table, or where it goes.
std::size_t Sets::slot_of(std::uint64_t tree) const {
  const std::size_t mask = table_.size() - 1;
  std::size_t slot = std::size_t((tree ^ (tree >> 29)) * 0x9e3779b97f4a7c15u >> 20) & mask;
  while (table_[slot] >= 0 && trees_[std::size_t(table_[slot])] != tree) slot = (slot + 1) & mask;
  return slot;
}

int Sets::intern(std::uint64_t tree) {
  const std::size_t slot = slot_of(tree);
  if (table_[slot] >= 0) return table_[slot];
  const int number = int(trees_.size());
  table_[slot] = number;
  trees_.push_back(tree);
  if (2 * trees_.size() > table_.size()) grow();
  return number;
}

void Sets::grow() {
  table_.assign(2 * table_.size(), -1);
  for (std::size_t i = 0; i < trees_.size(); ++i) table_[slot_of(trees_[i])] = int(i);
}

int Sets::with(int set, std::size_t number, int level) {
  if (level == 0) return intern(trees_[std::size_t(set)] | std::uint64_t(1) << (number % 64));
  const bool upper = number >> (5 + level) & 1;
  const int half = with(upper ? high(set) : low(set), number, level - 1);
  return intern(upper ? pair(low(set), half) : pair(half, high(set)));
}

int Sets::unite(int a, int b, int level) {
  if (a == b || b == 0) return a;
  if (a == 0) return b;
  if (level == 0) return intern(trees_[std::size_t(a)] | trees_[std::size_t(b)]);
  const int lower = unite(low(a), low(b), level - 1);
  return intern(pair(lower, unite(high(a), high(b), level - 1)));
}

bool Sets::contains(int whole, int part, int level) const {
  if (whole == part || part == 0) return true;
  if (whole == 0) return false;
  if (level == 0) return (trees_[std::size_t(part)] & ~trees_[std::size_t(whole)]) == 0;
  return contains(low(whole), low(part), level - 1) && contains(high(whole), high(part), level - 1);
}

}  // namespace headrace
