// The streams that stateful random operations read: one for each node, kept by the session.
#pragma once

#include <functional>

#include "core/kernels/philox.h"
#include "core/registry/kernel.h"

namespace headrace {

// Finds the Philox generator of a run: called with the number of blocks that the run uses up.
using Source = std::function<Philox(RunContext&, std::uint64_t blocks)>;

// The stream that follows from the node's `seed` and `seed2`; another one every time if both are zero.
Source stateful_source(PrepareContext& c);

}  // namespace headrace
