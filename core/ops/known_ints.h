// What shape rules share to pass on the values of small integer tensors, so that a shape computed by a graph
// is known as far as its parts are.
#pragma once

#include <optional>

#include "core/registry/ops.h"

namespace headrace {

inline bool is_index(DType dtype) { return dtype == DType::int32 || dtype == DType::int64; }

// What is known of input i, if it is of the kind whose value is passed on. For outputs whose shape does not
// depend on the value: no plan waits for it.
inline std::optional<PartialInts> known_ints(ShapeContext& c, int i) {
  const Shape& shape = c.input(i);
  if (!is_index(c.input_dtype(i)) || !shape.is_full() || shape.rank() > 1 || shape.size() > kMaxPartialInts)
    return std::nullopt;
  return c.ints(i);
}

// Output `output` holds the same elements as input `input`.
inline void pass_ints(ShapeContext& c, int output, int input) {
  if (auto values = known_ints(c, input)) c.output_ints(output, std::move(*values));
}

inline std::int64_t as_value(std::int64_t dimension) {
  return dimension == kUnknown ? kUnknownValue : dimension;
}
inline std::int64_t as_dimension(std::int64_t value) { return value == kUnknownValue ? kUnknown : value; }

// a + b and a * b of dimensions that may be unknown.
inline std::int64_t add_dims(std::int64_t a, std::int64_t b) {
  return a == kUnknown || b == kUnknown ? kUnknown : checked_add(a, b);
}
inline std::int64_t mul_dims(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return 0;
  return a == kUnknown || b == kUnknown ? kUnknown : checked_mul(a, b);
}
// The one dimension that both are; InvalidArgument with `what` they are of if they differ.
inline std::int64_t merge_dims(std::int64_t a, std::int64_t b, const char* what) {
  require(a == kUnknown || b == kUnknown || a == b, what, " must agree, got ", a, " and ", b);
  return a == kUnknown ? b : a;
}

}  // namespace headrace
