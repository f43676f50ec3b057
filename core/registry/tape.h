// Tapes: elementwise computations as lists of vector loops. A kernel's file says of an operation how a node
// of it is such a list (add_lowering); the fusion pass joins the lists of many nodes into one node, whose
// kernel (kernels/fusion.cc) runs the list block by block, so that what lies between stays in the cache.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/graph.h"

namespace headrace {

// What a loop reads: one of the tape's values, which are its inputs and then the results of its entries, or a
// number.
struct TapeOperand {
  int value = 0;     // negative for a number
  Shape shape = {};  // as which the value broadcasts to the entry's shape
  float number = 0;
};

struct TapeEntry {
  std::string loop;  // by its name in kernels/vector; empty for operand 0 as it is, perhaps in another shape
  std::vector<TapeOperand> operands;
  DType dtype;  // of the result; 16-bit floats are float32 between the entries of a tape
  Shape shape;
  float cost = 0;  // nanoseconds an element, roughly; only lowerings tell
};

struct Tape {
  std::vector<TapeEntry> entries;
  std::vector<int> results;  // values
};

// As attributes of a node of the operation kTapeOp, and back.
inline constexpr const char* kTapeOp = "_Elementwise";
AttrMap to_attrs(const Tape& tape);
Tape tape_of(const Node& node);

// The entries that compute a node's one output, the last of them, out of its inputs; none if this node cannot
// be put on a tape (its dtype, an attribute). All shapes are full.
using Lowering = std::function<std::vector<TapeEntry>(const Node& node)>;
void add_lowering(std::string_view op, Lowering lowering);
std::vector<TapeEntry> lower(const Node& node);

// The coarsest dimensions that both cut the same elements into, row-major: (2, 12) for (2, 12) and (24), (2,
// 3, 4) for (6, 4) and (2, 12). None if there are none ((2, 3) and (3, 2)). Sizes of 1 are left out.
std::optional<std::vector<std::int64_t>> common_dims(std::span<const std::int64_t> a,
                                                     std::span<const std::int64_t> b);

}  // namespace headrace
