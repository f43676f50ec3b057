// Places in an arena by lifetime.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace headrace {

// A piece of memory that is in use from step `first` to step `last`, both included.
struct Block {
  std::size_t bytes;
  int first, last;
  std::size_t offset = 0;  // the answer, a multiple of kAlignment
};

// Gives every block an offset such that blocks with overlapping lifetimes do not overlap; returns the arena's
// size. Largest first, each at the lowest offset that is free for its lifetime ("greedy by size", Pisarchyk
// and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
std::size_t assign_offsets(std::span<Block> blocks);

// The same where a block that starts after another has ended may not always follow it: `kind_of` gives each
// block a kind, a small number, and blocks of kind b may follow those of kind a if `may_follow(a, b)`. Kinds
// are packed one by one, and then as a whole, so that there may be many blocks of many kinds.
std::size_t assign_offsets(std::span<Block> blocks, std::span<const int> kind_of,
                           const std::function<bool(int, int)>& may_follow);

}  // namespace headrace
