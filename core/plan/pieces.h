// Divides a function into pieces that are compiled or planned one by one.
//
// A piece starts when all that it reads is there, and what it makes is there when all of it has run. So that
// nothing waits for a blocking operation that it does not depend on (see waits.h), operations share a piece
// only if they depend on the same blocking ones; and one that blocks shares a piece with others only if all
// that reads from the piece depends on it anyway.
//
//   x ─▶ Where ─▶ │ Gather ─▶ Enqueue ─▶ q         three pieces: {Where}, {Dequeue}, and, once the shape of
//   q ─▶ Dequeue                                   Where's output is known, {Gather, Enqueue}
#pragma once

#include <span>
#include <vector>

#include "core/plan/placement.h"
#include "core/registry/device.h"

namespace headrace {

struct Piece {
  std::vector<Node*> nodes;  // every one after those that it depends on
  Device* device = nullptr;  // nullptr: planned when its shapes are known
  bool may_wait = false;     // for another step
  std::vector<int> after;    // the pieces that it waits for: all of them come before it
};

// `order` is topological. `ready` says by node id which nodes can be compiled now; arguments are in no piece.
std::vector<Piece> divide(std::span<Node* const> order, const std::vector<char>& ready,
                          const Placement& placement);

}  // namespace headrace
