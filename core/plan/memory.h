// Places in an arena by lifetime.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

namespace headrace {

// A piece of memory that is in use from step `first` to step `last`, both included.
struct Block {
  std::size_t bytes;
  int first, last;
  std::size_t offset = 0;  // the answer, a multiple of kAlignment
};

// Gives every block an offset such that blocks with overlapping lifetimes do not overlap, nor any two of
// which the later one may not follow the earlier one, if `may_follow(earlier, later)` is given; returns the
// arena's size. Largest first, each at the lowest offset that is free for its lifetime ("greedy by size",
// Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
std::size_t assign_offsets(std::span<Block> blocks,
                           const std::function<bool(const Block&, const Block&)>& may_follow = {});

}  // namespace headrace
