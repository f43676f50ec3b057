// Loops that the compiler does not make vectors of: complex numbers, integer division, special functions.
// They stand beside those of core/kernels/vector/ and are found through the same find_unary, find_binary and
// so on.
#pragma once

#include "core/kernels/vector/vector.h"

namespace headrace::scalar {

vector::Table<vector::Entry<vector::Unary>> unary();
vector::Table<vector::Entry<vector::Binary>> binary();
vector::Table<vector::Entry<vector::Ternary>> ternary();
vector::Table<vector::Reduction> reductions();

}  // namespace headrace::scalar
