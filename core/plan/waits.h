// Which operations may wait for another step, and who waits for them.
//
// Parts of a plan, and values that take turns in one place of memory, make operations wait for others that
// they do not depend on. If one of those waits for another step, an enqueue may come to wait for a dequeue of
// its own step, which waits for it. So nothing may wait for a blocking operation that it does not depend on:
//
//   q ─▶ Dequeue ─▶ Neg ─▶ [memory] ─▶ Exp          may Mul write to the memory of Neg? Only if it depends
//   x ──────────────────▶ Mul ─▶ Enqueue ─▶ q       on the Dequeue anyway. Here it does not.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/base/sets.h"
#include "core/graph/graph.h"

namespace headrace {

// Whether a node, or anything in the functions that it calls, may wait for another step.
class MayWait {
 public:
  bool operator()(const Node& node);

 private:
  std::map<std::string, bool, std::less<>> functions_;
};

// The blocking operations that each one depends on by data and control, as numbers of sets: equal sets have
// equal numbers, 0 is the empty one.
class Waits {
 public:
  explicit Waits(std::size_t operations) : sets_(operations) {}
  // Adds the next operation, whose predecessors were added before.
  void add(std::span<const int> predecessors, bool blocking);
  int before(int operation) const { return before_[std::size_t(operation)]; }
  // The same, and the operation itself.
  int after(int operation) const { return after_[std::size_t(operation)]; }
  int unite(int a, int b) { return sets_.unite(a, b); }
  bool contains(int whole, int part) const { return sets_.contains(whole, part); }

 private:
  Sets sets_;
  std::vector<int> before_, after_;
  std::size_t blocking_ = 0;
};

}  // namespace headrace
