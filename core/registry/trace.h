// What ran in a step, for whoever asks.
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/shape.h"

namespace headrace {

// One execution of a node.
struct TraceEvent {
  struct Output {
    DType dtype;
    Shape shape;  // what it was in this execution
    std::int64_t bytes;
    bool in_arena;  // of the plan; else memory of its own
  };
  std::string node, op, device;
  std::int64_t start_ns, end_ns;  // steady clock
  int lane;
  std::vector<Output> outputs;
};

// A piece of a plan that ran, as the device sees it: what the passes have made of the graph.
struct TracePiece {
  struct Node {
    std::string name, op;
    std::vector<std::pair<std::string, int>> inputs;  // what it reads: a node, and which output; -1: waits
  };
  std::string device;
  std::vector<Node> nodes;
};

// Only there if the caller asked for a trace.
class Trace {
 public:
  explicit Trace(bool with_pieces = false) : with_pieces_(with_pieces) {}
  void add(TraceEvent event) {
    std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  // Adds what `make()` gives, if pieces are wanted and it is the first time that this one runs in the step.
  template <class F>
  void add_piece(const void* piece, F&& make) {
    if (!with_pieces_) return;
    std::lock_guard lock(mutex_);
    if (known_.insert(piece).second) pieces_.push_back(make());
  }
  std::vector<TraceEvent> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }
  std::vector<TracePiece> take_pieces() {
    std::lock_guard lock(mutex_);
    known_.clear();
    return std::exchange(pieces_, {});
  }

 private:
  const bool with_pieces_;
  std::mutex mutex_;
  std::vector<TraceEvent> events_;
  std::set<const void*> known_;
  std::vector<TracePiece> pieces_;
};

}  // namespace headrace
