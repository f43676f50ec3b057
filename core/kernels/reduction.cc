#include "core/kernels/reduction.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>

#include "core/base/parallel.h"
#include "core/base/tensor.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

constexpr std::int64_t kMostRows = 256, kLeastRows = 32;  // of a column reduction for one partial result
constexpr std::int64_t kBlocks = 16;  // partial results that there should be, for threads to work on
constexpr std::int64_t kTile = 4096;  // columns that are one thread's work
constexpr std::int64_t kNarrow = 64;  // columns; fewer are joined to some rows side by side
constexpr std::size_t kWidest = 16;   // bytes of an element
constexpr double kNsPerByte = 0.05;

template <class T>
void scale(std::int64_t n, T* x, double divisor) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    for (std::int64_t i = 0; i < n; ++i) x[i] /= typename T::value_type(divisor);
  } else if constexpr (std::is_integral_v<T>) {
    for (std::int64_t i = 0; i < n; ++i) x[i] = divisor == 0 ? T(0) : T(x[i] / T(divisor));
  } else {
    for (std::int64_t i = 0; i < n; ++i) x[i] = T(x[i] / T(divisor));
  }
}

using Finish = void (*)(std::int64_t n, void* x, double count);

Finish mean_finish(DType dtype) {
  Finish finish = nullptr;
  visit(Join<Types<float, double>, Join<IntegerTypes, ComplexTypes>>{}, dtype,
        [&]<class T>(std::type_identity<T>) {
          finish = [](std::int64_t n, void* x, double count) { scale(n, static_cast<T*>(x), count); };
        });
  return finish;
}
Finish norm_finish(DType dtype) {
  Finish finish = nullptr;
  visit(Join<Types<float, double>, IntegerTypes>{}, dtype, [&]<class T>(std::type_identity<T>) {
    finish = [](std::int64_t n, void* x, double) {
      for (T* at = static_cast<T*>(x); n-- > 0; ++at)
        *at = T(std::sqrt(std::conditional_t<std::is_integral_v<T>, double, T>(*at)));
    };
  });
  return finish;
}

Finish truth_finish(DType) {  // what limits "all" and "any" of nothing start from becomes a truth value
  return [](std::int64_t n, void* x, double) {
    for (auto* at = static_cast<std::uint8_t*>(x); n-- > 0; ++at) *at = *at != 0;
  };
}

struct Named {
  std::string_view name;
  const char *first, *second;
  Finish (*finish_of)(DType);
};
constexpr Named kReducers[] = {
    {"sum", "sum", "sum", nullptr},      {"prod", "prod", "prod", nullptr},
    {"max", "max", "max", nullptr},      {"min", "min", "min", nullptr},
    {"mean", "sum", "sum", mean_finish}, {"norm", "sum_squares", "sum", norm_finish},
    {"all", "min", "min", truth_finish}, {"any", "max", "max", truth_finish},
};

}  // namespace

Reducer find_reducer(std::string_view name, DType dtype) {
  if (dtype == DType::boolean) dtype = DType::uint8;
  for (const Named& named : kReducers) {
    if (named.name != name) continue;
    Reducer found{vector::find_reduction(named.first, dtype), vector::find_reduction(named.second, dtype)};
    if (!found || !named.finish_of) return found;
    found.finish = named.finish_of(dtype);
    return found.finish ? found : Reducer{};
  }
  return {};
}

BlockedReduction::BlockedReduction(Reducer by, std::size_t width, std::int64_t outer, std::int64_t rows,
                                   std::int64_t inner)
    : by_(by), width_(width), outer_(outer), rows_(rows), inner_(inner) {
  if (inner == 1) {
    block_ = kMostInRow;  // so that a tape has as many elements of a row at hand
  } else {
    // Narrow columns: `joined` rows in line are one wide row, whose parts are reduced at the end.
    joined_ = inner < kNarrow ? kNarrow / inner : 1;
    const std::int64_t wide = rows / joined_, share = (wide / kBlocks + 3) / 4 * 4;
    block_ = std::clamp(share, kLeastRows, kMostRows) * joined_;
  }
  blocks_ = rows > block_ ? (rows + block_ - 1) / block_ : 1;
}

std::size_t BlockedReduction::scratch_bytes() const {
  const std::size_t bytes = blocks_ > 1 ? std::size_t(outer_ * blocks_ * inner_) * width_ : 0;
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

void BlockedReduction::run(const std::byte* x, std::byte* out, std::byte* scratch) const {
  reduce_all(*by_.first, rows_, block_, blocks_, x, blocks_ > 1 ? scratch : out);
  join(scratch, out);
}

void BlockedReduction::join(const std::byte* scratch, std::byte* out) const {
  if (blocks_ > 1) reduce_all(*by_.second, blocks_, blocks_, 1, scratch, out);
}

// Reduces all_rows rows of each outer index in `blocks` blocks of `block` rows, the last perhaps shorter.
void BlockedReduction::reduce_all(const vector::Reduction& by, std::int64_t all_rows, std::int64_t block,
                                  std::int64_t blocks, const std::byte* x, std::byte* out) const {
  const std::int64_t tiles = (inner_ + kTile - 1) / kTile, tile = tiles > 1 ? kTile : inner_;
  const double cost = double(std::min(all_rows, block) * tile) * double(width_) * kNsPerByte + 5;
  parallel_for(outer_ * blocks * tiles, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t which = task / tiles, column = task % tiles * kTile;
      const std::int64_t o = which / blocks, row = which % blocks * block;
      reduce(by, std::min(block, all_rows - row), std::min(tile, inner_ - column),
             x + at((o * all_rows + row) * inner_ + column), out + at(which * inner_ + column));
    }
  });
}

void BlockedReduction::reduce(const vector::Reduction& by, std::int64_t rows, std::int64_t columns,
                              const std::byte* x, std::byte* out) const {
  if (inner_ == 1) return by.row(rows, x, out);
  if (joined_ == 1) return by.columns(rows, columns, inner_, x, out, true);
  alignas(kAlignment) std::byte lanes[std::size_t(kNarrow) * kWidest];
  add(by, rows, columns, inner_, x, lanes, true);
  close(columns, lanes, out);
}

void BlockedReduction::add(const vector::Reduction& by, std::int64_t rows, std::int64_t columns,
                           std::int64_t stride, const std::byte* x, std::byte* lanes, bool begins) const {
  if (joined_ == 1) return by.columns(rows, columns, stride, x, lanes, begins);
  const std::int64_t wide = joined_ * inner_, lines = rows / joined_, rest = rows - lines * joined_;
  if (begins || lines > 0) by.columns(lines, wide, wide, x, lanes, begins);
  if (rest > 0) by.columns(1, rest * inner_, wide, x + at(lines * wide), lanes, false);
}

void BlockedReduction::close(std::int64_t columns, const std::byte* lanes, std::byte* partial) const {
  if (joined_ > 1) return by_.second->columns(joined_, inner_, inner_, lanes, partial, true);
  std::memcpy(partial, lanes, at(columns));
}

}  // namespace headrace
