// What an extended slice such as x[..., 1:9:2, None, 3] means: the arithmetic behind StridedSlice and its
// relatives.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/shape.h"

namespace headrace {

// An index expression, one entry for each item between the brackets. A bit of a mask belongs to the entry of
// its number: begin and end masks leave out a bound, an ellipsis stands for as many whole dimensions as are
// not named, a new axis has size 1, a shrinking entry is a single index whose dimension disappears.
struct SliceExpression {
  std::vector<std::int64_t> begin, end, strides;
  std::int64_t begin_mask = 0, end_mask = 0, ellipsis_mask = 0, new_axis_mask = 0, shrink_axis_mask = 0;
};

// The masks among the attributes of a node, which a context tells; it has yet to get its entries.
template <class Context>
SliceExpression masks_of(const Context& c) {
  const auto mask = [&](const char* name) { return c.template attr<std::int64_t>(name); };
  return {{},
          {},
          {},
          mask("begin_mask"),
          mask("end_mask"),
          mask("ellipsis_mask"),
          mask("new_axis_mask"),
          mask("shrink_axis_mask")};
}

// The same, one entry for each dimension of the sliced array: elements begin, begin + stride, ...
struct SliceRange {
  std::int64_t begin, stride, size;  // size is kUnknown if it cannot be told; begin is only known if size is
  bool begin_known;
};

struct SliceResult {
  std::vector<SliceRange> ranges;
  Shape shape;  // of the result
};

// Applies the expression to an array of this (partial) shape, whose rank must be known. An entry of begin,
// end or strides may be `unknown_value`. InvalidArgument for too many entries, an index out of range or a
// zero stride.
SliceResult resolve_slice(const SliceExpression& expression, const Shape& shape, std::int64_t unknown_value);

}  // namespace headrace
