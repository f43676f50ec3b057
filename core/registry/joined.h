// Operations of which several nodes may become one.
#pragma once

#include "core/graph/op_def.h"

namespace headrace {

// Defines "_Joined..." beside an operation without outputs: a node of it does what several nodes with the
// same attributes do that do not depend on each other. Its inputs are those of the first, then those of the
// second, and so on.
void define_joined(OpDef& base);

// That operation; nullptr where there is none.
const OpDef* joined_of(const OpDef& base);

}  // namespace headrace
