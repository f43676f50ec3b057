// Tensors seen as (outer, channels, inner), and sums over all but the channels.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/parallel.h"
#include "core/base/shape.h"

namespace headrace {

struct Channels {
  std::int64_t outer = 1, channels = 1, inner = 1;

  Channels(const Shape& shape, int axis) : channels(shape[axis]) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
  std::int64_t each() const { return outer * inner; }  // elements of one channel
  std::int64_t size() const { return outer * channels * inner; }

  // Sums are cut into as many parts as the shape says, not as there are threads, so that results are the same
  // for any number of threads.
  std::int64_t parts() const { return std::clamp<std::int64_t>(outer, 1, 16); }
};

// For each channel the sums of the `count` values f(place, channel) over its places: sums[n * channels +
// channel]. `sums` has room for parts() times count times channels.
template <int count, class C, class F>
void sum_channels(const Channels& by, C* sums, F f) {
  const std::int64_t width = count * by.channels;
  parallel_for(by.parts(), 0.3 * double(by.size()) / double(by.parts()),
               [&](std::int64_t begin, std::int64_t end) {
                 for (auto part = begin; part < end; ++part) {
                   C* own = sums + part * width;
                   std::fill_n(own, width, C{});
                   for (auto o = by.outer * part / by.parts(); o < by.outer * (part + 1) / by.parts(); ++o) {
                     if (by.inner == 1) {
                       for (std::int64_t i = 0; i < by.channels; ++i) {
                         const std::array<C, count> values = f(o * by.channels + i, i);
                         for (int n = 0; n < count; ++n) own[n * by.channels + i] += values[n];
                       }
                       continue;
                     }
                     for (std::int64_t i = 0; i < by.channels; ++i) {
                       constexpr int lanes = 8;
                       C lane[count][lanes] = {};
                       const std::int64_t from = (o * by.channels + i) * by.inner;
                       for (std::int64_t j = 0; j < by.inner; ++j) {
                         const std::array<C, count> values = f(from + j, i);
                         for (int n = 0; n < count; ++n) lane[n][j % lanes] += values[n];
                       }
                       for (int n = 0; n < count; ++n) {
                         for (C value : lane[n]) own[n * by.channels + i] += value;
                       }
                     }
                   }
                 }
               });
  for (std::int64_t part = 1; part < by.parts(); ++part) {
    for (std::int64_t i = 0; i < width; ++i) sums[i] += sums[part * width + i];
  }
}

// f(place, channel) for every element.
template <class F>
void for_channels(const Channels& by, double cost, F f) {
  if (by.inner == 1) {
    return parallel_for(by.outer, cost * double(by.channels), [&](std::int64_t begin, std::int64_t end) {
      for (auto row = begin; row < end; ++row) {
        for (std::int64_t i = 0; i < by.channels; ++i) f(row * by.channels + i, i);
      }
    });
  }
  parallel_for(by.outer * by.channels, cost * double(by.inner), [&](std::int64_t begin, std::int64_t end) {
    for (auto row = begin; row < end; ++row) {
      const std::int64_t channel = row % by.channels;
      for (auto i = row * by.inner; i < (row + 1) * by.inner; ++i) f(i, channel);
    }
  });
}

}  // namespace headrace
