// How arrays of shape (outer, rows, inner) are reduced over their middle dimension: what kernels of
// reductions and tapes that end in one have in common, so that both make the same of the same values.
//
// A sum is cut where the shape says, never where threads do: its rounding is the same with any number of
// threads, and in a tape. Blocks of rows give partial results, which are then reduced together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/kernels/vector/vector.h"

namespace headrace {

// What a reduction does: `first` with the elements, `second` with partial results (they differ for sums of
// squares), and `finish` with each result, if anything (the division of a mean, the root of a norm).
struct Reducer {
  const vector::Reduction *first = nullptr, *second = nullptr;
  void (*finish)(std::int64_t n, void* x, double count) = nullptr;
  explicit operator bool() const { return first && second; }
};

// "sum", "prod", "max", "min", "mean", "norm", and "all" and "any" of truth values, by their dtype. Nothing
// if it cannot be computed.
Reducer find_reducer(std::string_view name, DType dtype);

class BlockedReduction {
 public:
  BlockedReduction(Reducer by, std::size_t width, std::int64_t outer, std::int64_t rows, std::int64_t inner);

  std::int64_t blocks() const { return blocks_; }     // partial results for each outer index
  std::int64_t block_rows() const { return block_; }  // that one is made of; the last may have fewer
  std::size_t output_bytes() const { return std::size_t(outer_ * inner_) * width_; }
  std::size_t scratch_bytes() const;  // for partial results

  // All of it, except for what finishes results. Scratch memory is not touched if there is one block only.
  void run(const std::byte* x, std::byte* out, std::byte* scratch) const;

  // Or step by step, where inner > 1: some columns of a block of rows, `group()` rows or a multiple of that
  // at a time, the last time perhaps fewer, `stride` elements from row to row; `lanes` has `lane_count()`
  // elements for each column. Columns can be dealt with in parts, or rows have a stride, only if there is one
  // of these. Then the partial result.
  std::int64_t group() const { return 4 * joined_; }
  std::int64_t lane_count() const { return joined_; }
  void add(std::int64_t rows, std::int64_t columns, std::int64_t stride, const std::byte* x, std::byte* lanes,
           bool begins) const {
    add(*by_.first, rows, columns, stride, x, lanes, begins);
  }
  void close(std::int64_t columns, const std::byte* lanes, std::byte* partial) const;
  // One partial result of rows of neighbours, where inner is 1.
  void row(std::int64_t count, const std::byte* x, std::byte* partial) const {
    by_.first->row(count, x, partial);
  }
  // All partial results, which stand in scratch memory, together, if there is more than one block.
  void join(const std::byte* scratch, std::byte* out) const;

 private:
  void reduce_all(const vector::Reduction& by, std::int64_t all_rows, std::int64_t block, std::int64_t blocks,
                  const std::byte* x, std::byte* out) const;
  void reduce(const vector::Reduction& by, std::int64_t rows, std::int64_t columns, const std::byte* x,
              std::byte* out) const;
  void add(const vector::Reduction& by, std::int64_t rows, std::int64_t columns, std::int64_t stride,
           const std::byte* x, std::byte* lanes, bool begins) const;
  std::size_t at(std::int64_t element) const { return std::size_t(element) * width_; }

  Reducer by_;
  std::size_t width_;
  std::int64_t outer_, rows_, inner_;
  std::int64_t joined_ = 1, block_ = 1, blocks_ = 1;
};

}  // namespace headrace
