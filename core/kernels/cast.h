// Loops that convert elements.
#pragma once

#include "core/kernels/vector/vector.h"

namespace headrace {

// nullptr for 16-bit floats (which go through float32) and what is not plain.
vector::Unary find_cast(DType from, DType to);

}  // namespace headrace
