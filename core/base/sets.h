// Sets of numbers that share what they have in common. A graph has a set for every node (of the side effects
// before it, say), and most differ little from those of their neighbours: kept apart, they would need memory
// in the square of the graph's size.
//
//   {3, 70, 200}   ──▶ [0, 256) ─┬─▶ [0, 128) ─┬─▶ word of [0, 64)          a set is a tree over its words;
//   {3, 70, 201}   ──▶ [0, 256) ─┼─▶   same    └─▶ word of [64, 128)        equal trees are one tree
//                                └─▶ [128, 256) ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace headrace {

// Sets are named by numbers: equal sets have equal ones, and 0 is the empty set.
class Sets {
 public:
  // Of numbers below `limit`.
  explicit Sets(std::size_t limit);
  int with(int set, std::size_t number) { return with(set, number, levels_); }
  int unite(int a, int b) { return unite(a, b, levels_); }
  bool contains(int whole, int part) const { return contains(whole, part, levels_); }
  // How many trees and words there are in all.
  std::size_t size() const { return trees_.size(); }

 private:
  // A tree of level 0 is a word of 64 members; others are the numbers of their two halves. What a number of
  // trees_ stands for depends on the level, so a word and a pair of halves may share one.
  static std::uint64_t pair(int low, int high) { return std::uint64_t(low) << 32 | std::uint32_t(high); }
  int low(int tree) const { return int(trees_[std::size_t(tree)] >> 32); }
  int high(int tree) const { return int(trees_[std::size_t(tree)] & 0xffffffffu); }
  int with(int set, std::size_t number, int level);
  int unite(int a, int b, int level);
  bool contains(int whole, int part, int level) const;
  int intern(std::uint64_t tree);
  void grow();
  std::size_t slot_of(std::uint64_t tree) const;

  int levels_ = 0;
  std::vector<std::uint64_t> trees_;
  std::vector<int> table_;  // numbers of trees_ by hash, -1 where free; at most half full
};

}  // namespace headrace
