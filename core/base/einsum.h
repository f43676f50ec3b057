// Einstein's notation: which dimensions of operands are one, and which remain.
#pragma once

#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/shape.h"

namespace headrace {

// A label: a letter, or, for a dimension that an ellipsis stands for, how far it is from the last one of
// these
// (-1 for the last).
using Label = int;

struct EinsumLabels {
  std::vector<std::vector<Label>> inputs;  // for each dimension of each operand
  std::vector<Label> output;
};

// Reads "ij,jk->ik" for operands of these shapes, whose ranks are known. InvalidArgument if it is not well
// formed or does not fit them.
EinsumLabels parse_einsum(std::string_view equation, std::span<const Shape> operands);

// The size of each label; dimensions of an ellipsis broadcast. InvalidArgument if sizes contradict each
// other.
std::map<Label, std::int64_t> einsum_sizes(std::string_view equation, const EinsumLabels& labels,
                                           std::span<const Shape> operands);

}  // namespace headrace
