// What a fused node ("_Fused..." of registry/ops.h) does to each of its results before it stores it, read off
// its attributes and shapes.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/registry/kernel.h"

namespace headrace {

struct PostOperation {
  // For which of the results an operand has a value.
  enum class Spread { once, channel, element };

  std::string op;  // the operation's name: "BiasAdd", "Relu", "FusedBatchNormV3"
  float value;     // of the attribute that it has (alpha, epsilon), else 0
  int first;       // its operands are inputs `first`, `first` + 1... of the node
  int operands;    // none, one, or the four of a normalisation
  Spread spread = Spread::once;

  bool normalizes() const { return operands == 4; }
  bool adds_element() const { return spread == Spread::element && (op == "Add" || op == "AddV2"); }
};

// Those of a node, in order; none where it is not a fused one. `channel_axis` is the dimension of the output
// that an operand for each channel belongs to.
std::vector<PostOperation> post_operations(const PrepareContext& c, int channel_axis);

// factor and shift such that normalising x is x * factor + shift: from scale, offset, mean and variance, four
// inputs from `first` on.
void fold_normalization(const RunContext& r, int first, float epsilon, std::int64_t channels, float* factor,
                        float* shift);

// Post-operations in a second pass over results that stand in output 0 already.
using PostPass = std::function<void(RunContext&)>;
PostPass post_pass(const PrepareContext& c, std::span<const PostOperation> operations, int channel_axis);

// A kernel for a fused node out of one of the operation that is fused, which then goes over the results
// again. It does whatever the definition allows, for where the library does not.
Prepare with_post_operations(const char* op);

}  // namespace headrace
