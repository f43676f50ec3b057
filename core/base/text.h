// Tensors written out, for people.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/tensor.h"

namespace headrace {

// One element; strings as they are.
std::string element_text(DType dtype, const void* data, std::int64_t i);
// "[1 2][3 4]": the first `limit` elements (all if negative), "..." where there are more.
std::string inline_text(DType dtype, const Shape& shape, const void* data, std::int64_t limit);
// One row a line, as NumPy has it: the first and last `edge` of each dimension (all if negative) with "..."
// between them. Strings of tensors are quoted, those of scalars bare.
std::string block_text(DType dtype, const Shape& shape, const void* data, std::int64_t edge);

}  // namespace headrace
