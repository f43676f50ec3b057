// The kernel of a tape (registry/tape.h).
#pragma once

#include <memory>

#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {

// Runs a tape on the node's inputs; its results are the node's outputs. nullptr if a loop is missing.
std::unique_ptr<Kernel> run_tape(PrepareContext& c, const Tape& tape);

// Whether there is a loop for an entry on operands of this dtype (of the last one, for a choice) that cannot
// fail.
bool has_loop(const std::string& loop, int operands, DType dtype);

}  // namespace headrace
