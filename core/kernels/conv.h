// What a convolution (or one of its derivatives) computes, read off its node and shapes.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/base/window.h"
#include "core/registry/kernel.h"

namespace headrace {

// Which of its three tensors is computed from the other two.
enum class ConvRole { forward, input, filter };

// Convolutions over two and three dimensions alike: space has always three, the first of size 1 where it is
// flat. Depthwise ones are those with a group for each channel.
struct Conv {
  Conv(PrepareContext& c, ConvRole role, bool depthwise);

  int spatial;  // 2 or 3: how many dimensions of space the tensors really have
  std::int64_t batch, groups;
  std::int64_t in, out;  // channels of one group
  std::array<Window, 3> window;

  // Where elements are, in elements.
  struct Layout {
    std::int64_t batch, channel;
    std::array<std::int64_t, 3> space;
  };
  Layout input, output;
  struct FilterLayout {
    std::int64_t group, in, out;
    std::array<std::int64_t, 3> space;
  };
  FilterLayout filter;

  std::int64_t in_space() const { return window[0].in * window[1].in * window[2].in; }
  std::int64_t out_space() const { return window[0].out * window[1].out * window[2].out; }
  std::int64_t taps() const { return window[0].size * window[1].size * window[2].size; }
  bool empty() const { return batch * groups * in * out * in_space() * out_space() * taps() == 0; }
  double flop() const {
    return 2.0 * double(batch) * double(groups) * double(in) * double(out) * double(out_space()) *
           double(taps());
  }
};

}  // namespace headrace
