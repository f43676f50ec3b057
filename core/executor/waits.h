// Who waits for whom when the instructions of a function run on lanes.
//
// Memory that passes from one value to another makes the second one's writer wait for all users of the first.
// If one of those users depends on an operation that may wait for another step, so does the writer then, and
// that must not be: an enqueue would wait for a dequeue of its own step, which waits for it.
//
//   q ─▶ Dequeue ─▶ Neg ─▶ [memory] ─▶ Exp          may Mul write to the memory of Neg? Only if it depends
//   x ──────────────────▶ Mul ─▶ Enqueue ─▶ q       on the Dequeue anyway. Here it does not.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "core/plan/memory.h"

namespace headrace {

// The blocking instructions that each instruction depends on by data and control. Equal sets have equal
// numbers; 0 is the empty one.
class Waits {
 public:
  Waits() { intern({}); }
  // Adds the next instruction, whose predecessors were added before.
  void add(std::span<const int> predecessors, bool blocking);
  int before(int instruction) const { return before_[std::size_t(instruction)]; }
  // The same, and the instruction itself.
  int after(int instruction) const { return after_[std::size_t(instruction)]; }
  int unite(int a, int b);
  bool contains(int whole, int part) const;

 private:
  using Bits = std::vector<std::uint64_t>;  // by number of the blocking instruction; no zeros at the end
  int intern(Bits bits);
  std::map<Bits, int> numbers_;
  std::vector<const Bits*> sets_;  // by number; they point into numbers_
  std::vector<int> before_, after_;
  int blocking_ = 0;
};

// Edges (before, after) from the last users of each block to the first users of those that lie there next.
// Numbers from `instructions` on are joins: they do nothing, and wait for many on behalf of many.
struct MemoryOrder {
  std::vector<std::pair<int, int>> edges;
  int joins = 0;
};
MemoryOrder order_by_memory(std::span<const Block> blocks, std::span<const std::vector<int>> last_users,
                            int instructions);

}  // namespace headrace
