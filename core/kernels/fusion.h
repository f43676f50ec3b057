// The kernel of a tape (registry/tape.h).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {

// Runs a tape on the node's first inputs, each as what it is told to be; its results are the node's outputs.
// nullptr if a loop is missing.
std::unique_ptr<Kernel> run_tape(PrepareContext& c, const Tape& tape, std::span<const ValueType> inputs);

// What an element costs in the loop of an entry on operands of this dtype, in nanoseconds. None if there is
// no such loop, or if it can fail.
std::optional<float> loop_cost(const std::string& loop, int operands, DType dtype);

}  // namespace headrace
