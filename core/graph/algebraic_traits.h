// Traits that rewrites of algebra ask for, beside those of op_def.h.
#pragma once

#include "core/graph/op_def.h"

namespace headrace {

// Output 0 is the product of the matrices of inputs 0 and 1, with attributes transpose_a and transpose_b.
inline constexpr Trait kMatrixProduct = Trait(1u << 28);
// Output 0 is the sum of all inputs, which have its shape.
inline constexpr Trait kSum = Trait(1u << 29);
// Output 0 is all inputs but the last joined along the axis that the last one tells.
inline constexpr Trait kJoins = Trait(1u << 30);
// The outputs are input 0 cut into pieces along the axis that the last input tells.
inline constexpr Trait kCuts = Trait(1u << 31);

}  // namespace headrace
