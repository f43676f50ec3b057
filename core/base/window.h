// How windows (of convolutions, poolings and their like) slide over images: sizes and paddings along one
// dimension, and where channels and space are in a data format.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/shape.h"

namespace headrace {

// One dimension. Place k of output o reads input o * stride + k * dilation - before, or nothing outside [0,
// in).
struct Window {
  std::int64_t in = 1, out = 1, size = 1, stride = 1, dilation = 1, before = 0, after = 0;

  // The input place, or a negative number where it falls into the padding.
  std::int64_t place(std::int64_t o, std::int64_t k) const {
    const std::int64_t i = o * stride + k * dilation - before;
    return i < in ? i : -1;
  }
};

// Works out `out` and, for SAME, the padding: "SAME" makes ceil(in / stride) outputs and splits the zeros
// evenly (an odd one goes last), "VALID" stays inside, "EXPLICIT" takes `before` and `after` as given. `in`
// and `size` may be kUnknown; `out` is then, unless it does not depend on them. InvalidArgument if the window
// does not fit.
Window slide(std::int64_t in, std::int64_t size, std::int64_t stride, std::int64_t dilation,
             std::string_view padding, std::int64_t before = 0, std::int64_t after = 0);

// "NHWC", "NCHW", "NDHWC", "NCDHW" and the like.
struct DataFormat {
  bool channels_first = false;
  int rank = 4;

  explicit DataFormat(std::string_view text) : channels_first(text[1] == 'C'), rank(int(text.size())) {}
  int num_spatial() const { return rank - 2; }
  int channel_axis() const { return channels_first ? 1 : rank - 1; }
  int spatial_axis(int i) const { return i + (channels_first ? 2 : 1); }
};

}  // namespace headrace
