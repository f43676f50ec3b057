// What a pooling (or one of its derivatives) slides over, read off its node and shapes.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/window.h"
#include "core/registry/kernel.h"

namespace headrace {

// Space has always three dimensions, the first of size 1 where it is flat.
struct Pool {
  Pool(PrepareContext& c, const Shape& in, const Shape& out);

  int spatial;  // 2 or 3: how many dimensions of space the tensors really have
  std::int64_t batch, channels;
  std::array<Window, 3> window;
  struct Layout {  // in elements
    std::int64_t batch, channel;
    std::array<std::int64_t, 3> space;
  };
  Layout input, output;

  std::int64_t in_space() const { return window[0].in * window[1].in * window[2].in; }
  std::int64_t out_space() const { return window[0].out * window[1].out * window[2].out; }
  std::int64_t taps() const { return window[0].size * window[1].size * window[2].size; }
  bool empty() const { return batch * channels * in_space() * out_space() == 0; }
};

}  // namespace headrace
