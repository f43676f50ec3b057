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

inline constexpr std::int64_t kMostInRow = 4096;  // elements of a row that stays in the cache

// What a loop reads: one of the tape's values, which are its inputs and then the results of its entries, or a
// number.
struct TapeOperand {
  int value = 0;     // negative for a number
  Shape shape = {};  // as which the value broadcasts to the entry's shape
  float number = 0;
  // Of a box, which only inputs can have: the shape of the whole value, and where in it the box begins.
  Shape whole = {};
  std::vector<std::int64_t> begin = {};
  bool is_box() const { return !begin.empty(); }
};

struct TapeEntry {
  std::string loop;  // by its name in kernels/vector; empty for operand 0 as it is, perhaps in another shape
  std::vector<TapeOperand> operands;
  DType dtype;  // of the result; 16-bit floats are float32 between the entries of a tape
  Shape shape;
  float cost = 0;  // nanoseconds an element, roughly; only lowerings tell
  // The one operand, seen as (outer, rows, inner), is reduced over its middle dimension by what
  // kernels/reduction.h has under the loop's name.
  bool reduces = false;
  // Such a result has an element for each row of neighbours, and further entries may read it: others with an
  // element for each row, and those that repeat them along rows. Other reductions are made at the end.
  bool reduces_rows() const {
    return reduces && operands[0].shape[2] == 1 && operands[0].shape[1] <= kMostInRow;
  }
};

// Where a value goes: it is an output, or a box of one that begins there.
struct TapeResult {
  int value;
  int output;
  std::vector<std::int64_t> begin = {};
  bool is_box() const { return !begin.empty(); }
};

struct Tape {
  std::vector<TapeEntry> entries;
  std::vector<TapeResult> results;
  std::vector<Shape> outputs;
  const TapeEntry& entry_of(const TapeResult& result, int inputs) const {
    return entries.at(std::size_t(result.value - inputs));
  }
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

// How a node's outputs are boxes of one of its inputs, or its inputs boxes of its output 0: which input, or
// the first of them, and where each box begins. None if that is not known.
struct Boxes {
  int input;
  std::vector<std::vector<std::int64_t>> begins;
};
using FindBoxes = std::function<std::optional<Boxes>(const Node& node)>;
void add_cut(std::string_view op, FindBoxes find);
void add_join(std::string_view op, FindBoxes find);
std::optional<Boxes> cut_of(const Node& node);
std::optional<Boxes> join_of(const Node& node);

// How many elements of a box of this shape lie side by side in the whole.
std::int64_t run_in(const Shape& box, const Shape& whole);

// The coarsest dimensions that both cut the same elements into, row-major: (2, 12) for (2, 12) and (24), (2,
// 3, 4) for (6, 4) and (2, 12). None if there are none ((2, 3) and (3, 2)). Sizes of 1 are left out.
std::optional<std::vector<std::int64_t>> common_dims(std::span<const std::int64_t> a,
                                                     std::span<const std::int64_t> b);

}  // namespace headrace
