#include "core/kernels/strided_copy.h"

#include <algorithm>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/base/parallel.h"

namespace headrace {
namespace {

using Dim = StridedCopy::Dim;

constexpr double kNanosecondsPerByte = 0.15;
constexpr std::int64_t kShortRun = 32;  // bytes up to which a loop is faster than memcpy
constexpr std::int64_t kTile = 32;      // side of the blocks in which a transpose walks
constexpr std::size_t kMaxRank = 32;

template <class T>
void copy_run(const T* from, T* to, std::int64_t n) {
  if (std::is_trivially_copyable_v<T> && n * std::int64_t(sizeof(T)) > kShortRun) {
    std::memcpy(static_cast<void*>(to), from, std::size_t(n) * sizeof(T));
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
  }
}

// The innermost dimension.
template <class T>
void copy_line(const T* from, T* to, Dim dim) {
  if (dim.to == 1 && dim.from == 1) return copy_run(from, to, dim.size);
  if (dim.to == 1 && dim.from == 0) {
    std::fill_n(to, dim.size, *from);
    return;
  }
  if (dim.to == 1 && dim.from == -1) {
    std::reverse_copy(from - dim.size + 1, from + 1, to);
    return;
  }
  for (std::int64_t i = 0; i < dim.size; ++i) to[i * dim.to] = from[i * dim.from];
}

#if defined(__SSE2__)
// Four rows of four 32-bit elements.
inline void transpose_4x4(const std::uint32_t* from, std::int64_t from_stride, std::uint32_t* to,
                          std::int64_t to_stride) {
  const auto load = [&](int i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * from_stride));
  };
  const auto store = [&](int i, __m128i row) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * to_stride), row);
  };
  const __m128i a = load(0), b = load(1), c = load(2), d = load(3);
  const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
  const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
  store(0, _mm_unpacklo_epi64(ab_low, cd_low));
  store(1, _mm_unpackhi_epi64(ab_low, cd_low));
  store(2, _mm_unpacklo_epi64(ab_high, cd_high));
  store(3, _mm_unpackhi_epi64(ab_high, cd_high));
}
#endif

// to[i * to_stride + j] = from[j * from_stride + i] for i < rows, j < columns.
template <class T>
void transpose_tile(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride, std::int64_t rows,
                    std::int64_t columns) {
  std::int64_t done_rows = 0, done_columns = 0;
#if defined(__SSE2__)
  if constexpr (std::is_same_v<T, std::uint32_t>) {
    done_rows = rows & ~std::int64_t(3);
    done_columns = columns & ~std::int64_t(3);
    for (std::int64_t i = 0; i < done_rows; i += 4) {
      for (std::int64_t j = 0; j < done_columns; j += 4)
        transpose_4x4(from + j * from_stride + i, from_stride, to + i * to_stride + j, to_stride);
    }
  }
#endif
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = i < done_rows ? done_columns : 0; j < columns; ++j)
      to[i * to_stride + j] = from[j * from_stride + i];
  }
}

// Walks all dimensions but those that `inner` handles, in parallel, keeping offsets as an odometer does.
// `cost` is the time of one call of inner(from, to) in nanoseconds.
template <class T, class Inner>
void walk(std::span<const Dim> dims, const T* from, T* to, double cost, Inner inner) {
  std::int64_t count = 1;
  for (const Dim& dim : dims) count *= dim.size;
  parallel_for(count, cost, [&](std::int64_t begin, std::int64_t end) {
    std::int64_t index[kMaxRank];
    const T* source = from;
    T* target = to;
    std::int64_t rest = begin;
    for (int d = int(dims.size()); d-- > 0;) {
      index[d] = rest % dims[d].size;
      rest /= dims[d].size;
      source += index[d] * dims[d].from;
      target += index[d] * dims[d].to;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      inner(source, target);
      for (int d = int(dims.size()); d-- > 0;) {
        source += dims[d].from;
        target += dims[d].to;
        if (++index[d] < dims[d].size) break;
        source -= index[d] * dims[d].from;
        target -= index[d] * dims[d].to;
        index[d] = 0;
      }
    }
  });
}

}  // namespace

template <class T>
void StridedCopy::copy_swapped(const T* from, T* to) const {
  std::int64_t count = 1;
  for (const Dim& dim : dims_) count *= dim.size;
  const double cost = double(sizeof(T)) * kNanosecondsPerByte * double(row_tile_ * column_tile_);
  parallel_for(count, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t rest = i, source = 0, target = 0, tile[2] = {0, 0};
      for (std::size_t d = dims_.size(); d-- > 0;) {
        const std::int64_t index = rest % dims_[d].size;
        rest /= dims_[d].size;
        source += index * dims_[d].from;
        target += index * dims_[d].to;
        if (d + 2 >= dims_.size()) tile[d + 2 - dims_.size()] = index;
      }
      transpose_tile(from + source, columns_.from, to + target, rows_.to,
                     std::min(row_tile_, rows_.size - tile[0] * row_tile_),
                     std::min(column_tile_, columns_.size - tile[1] * column_tile_));
    }
  });
}

template <class T>
void StridedCopy::copy(const T* from, T* to) const {
  if (swapped_) return copy_swapped(from, to);
  if (dims_.empty()) {
    *to = *from;
    return;
  }
  const double element = double(sizeof(T)) * kNanosecondsPerByte + 0.1;
  const Dim inner = dims_.back();
  if (dims_.size() == 1) {
    return parallel_for(inner.size, element, [&](std::int64_t begin, std::int64_t end) {
      copy_line(from + begin * inner.from, to + begin * inner.to, {end - begin, inner.from, inner.to});
    });
  }
  const auto outer = std::span(dims_).first(dims_.size() - 1);
  // Short lines: compiled for their length, so that each is a few moves.
  const auto fixed = [&]<std::int64_t n>(std::integral_constant<std::int64_t, n>) {
    walk(outer, from, to, element * n + 1, [](const T* source, T* target) {
      for (std::int64_t i = 0; i < n; ++i) target[i] = source[i];
    });
  };
  if (inner.from == 1 && inner.to == 1 && std::is_trivially_copyable_v<T>) {
    switch (inner.size) {
      case 2:
        return fixed(std::integral_constant<std::int64_t, 2>{});
      case 3:
        return fixed(std::integral_constant<std::int64_t, 3>{});
      case 4:
        return fixed(std::integral_constant<std::int64_t, 4>{});
      default:
        break;
    }
  }
  walk(outer, from, to, element * double(inner.size) + 1,
       [inner](const T* source, T* target) { copy_line(source, target, inner); });
}

StridedCopy::StridedCopy(DType dtype, std::span<const std::int64_t> dims,
                         std::span<const std::int64_t> from_strides, std::span<const std::int64_t> to_strides)
    : dtype_(dtype) {
  for (std::size_t i = 0; i < dims.size(); ++i) {
    count_ = checked_mul(count_, dims[i]);
    if (dims[i] == 1) continue;
    const Dim dim{dims[i], from_strides[i], to_strides[i]};
    if (!dims_.empty() && dims_.back().from == dim.size * dim.from && dims_.back().to == dim.size * dim.to) {
      dims_.back() = {dims_.back().size * dim.size, dim.from, dim.to};
    } else {
      dims_.push_back(dim);
    }
  }
  require(dims_.size() <= kMaxRank, "arrays of more than ", kMaxRank, " dimensions cannot be rearranged");
  if (dims_.size() < 2 || count_ == 0) return;
  // Walk along the line that is contiguous in `to`: writes are dearer than reads.
  const auto contiguous =
      std::find_if(dims_.begin(), dims_.end(), [](const Dim& dim) { return dim.to == 1; });
  if (contiguous != dims_.end()) std::rotate(contiguous, contiguous + 1, dims_.end());
  const Dim last = dims_.back();
  if (last.to != 1 || last.from == 1 || last.from == 0) return;
  const auto rows = std::find_if(dims_.begin(), dims_.end() - 1,
                                 [](const Dim& dim) { return dim.from == 1 && dim.to > 1; });
  if (rows == dims_.end() - 1) return;
  swapped_ = true;
  rows_ = *rows;
  columns_ = last;
  dims_.pop_back();
  dims_.erase(rows);
  // A narrow tile may be long.
  row_tile_ = std::min(rows_.size, std::max(kTile, kTile * kTile / columns_.size));
  column_tile_ = std::min(columns_.size, std::max(kTile, kTile * kTile / rows_.size));
  dims_.push_back({(rows_.size + row_tile_ - 1) / row_tile_, row_tile_ * rows_.from, row_tile_ * rows_.to});
  dims_.push_back({(columns_.size + column_tile_ - 1) / column_tile_, column_tile_ * columns_.from,
                   column_tile_ * columns_.to});
}

void StridedCopy::run(const void* from, std::int64_t from_offset, void* to, std::int64_t to_offset) const {
  if (count_ == 0) return;
  visit_element(dtype_, [&]<class T>(std::type_identity<T>) {
    copy(static_cast<const T*>(from) + from_offset, static_cast<T*>(to) + to_offset);
  });
}

OutputMemory::OutputMemory(PrepareContext& c, int output)
    : output_(output),
      dtype_(c.output_dtype(output)),
      shape_(c.output_shape(output)),
      own_(!is_plain(c.output_dtype(output))) {
  if (own_) c.own_output(output);
}

void* OutputMemory::operator()(RunContext& r) const {
  if (own_) r.set_output(output_, Tensor(dtype_, shape_));
  return r.output<void>(output_);
}

void set_zero(DType dtype, void* to, std::int64_t count) {
  visit_element(dtype, [&]<class T>(std::type_identity<T>) {
    T* elements = static_cast<T*>(to);
    parallel_for(
        count, double(sizeof(T)) * kNanosecondsPerByte / 2,
        [&](std::int64_t begin, std::int64_t end) { std::fill(elements + begin, elements + end, T{}); });
  });
}

void set_all(DType dtype, void* to, const void* value, std::int64_t count) {
  visit_element(dtype, [&]<class T>(std::type_identity<T>) {
    const T one = *static_cast<const T*>(value);
    T* elements = static_cast<T*>(to);
    parallel_for(
        count, double(sizeof(T)) * kNanosecondsPerByte / 2,
        [&](std::int64_t begin, std::int64_t end) { std::fill(elements + begin, elements + end, one); });
  });
}

}  // namespace headrace
