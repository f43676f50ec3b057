// The other direction of broadcasting.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "core/base/shape.h"

namespace headrace {

// The axes of the broadcast shape over which each operand was repeated (or has size 1), so that a gradient is
// to be summed there. Empty for equal shapes. InvalidArgument if they do not broadcast.
inline std::array<std::vector<std::int64_t>, 2> broadcast_gradient_axes(const Shape& a, const Shape& b) {
  std::array<std::vector<std::int64_t>, 2> axes;
  if (a == b) return axes;
  const int rank = broadcast(a, b).rank();
  for (int i = 0; i < rank; ++i) {
    const int in_a = i - (rank - a.rank()), in_b = i - (rank - b.rank());
    if (in_a < 0 || a[in_a] == 1) axes[0].push_back(i);
    if (in_b < 0 || b[in_b] == 1) axes[1].push_back(i);
  }
  return axes;
}

}  // namespace headrace
