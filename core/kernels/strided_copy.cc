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
constexpr std::int64_t kShortRun = 32;        // bytes up to which a loop is faster than memcpy
constexpr std::int64_t kTileElements = 4096;  // of the tiles in which a transpose walks, at most
constexpr std::int64_t kConflict =
    2048;  // lines so many bytes apart compete for the same places in the cache
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

// to[i * to_stride + j] = from[j * from_stride + i] for i, j < kBlock<T>: as many rows as fit registers.
template <class T>
constexpr std::int64_t kBlock = 1;
#if defined(__SSE2__)
template <>
constexpr std::int64_t kBlock<std::uint8_t> = 8;
template <>
constexpr std::int64_t kBlock<std::uint16_t> = 8;
template <>
constexpr std::int64_t kBlock<std::uint32_t> = 4;
template <>
constexpr std::int64_t kBlock<std::uint64_t> = 2;

inline __m128i load(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
inline __m128i load_half(const void* from) { return _mm_loadl_epi64(static_cast<const __m128i*>(from)); }
inline void store(void* to, __m128i row) { _mm_storeu_si128(static_cast<__m128i*>(to), row); }
inline void store_half(void* to, __m128i row) { _mm_storel_epi64(static_cast<__m128i*>(to), row); }
inline __m128i upper(__m128i row) { return _mm_unpackhi_epi64(row, row); }

inline void transpose_block(const std::uint8_t* from, std::int64_t f, std::uint8_t* to, std::int64_t t) {
  __m128i pairs[4];
  for (int i = 0; i < 4; ++i)
    pairs[i] = _mm_unpacklo_epi8(load_half(from + 2 * i * f), load_half(from + (2 * i + 1) * f));
  const __m128i a = _mm_unpacklo_epi16(pairs[0], pairs[1]), b = _mm_unpackhi_epi16(pairs[0], pairs[1]);
  const __m128i c = _mm_unpacklo_epi16(pairs[2], pairs[3]), d = _mm_unpackhi_epi16(pairs[2], pairs[3]);
  const __m128i rows[4] = {_mm_unpacklo_epi32(a, c), _mm_unpackhi_epi32(a, c), _mm_unpacklo_epi32(b, d),
                           _mm_unpackhi_epi32(b, d)};
  for (int i = 0; i < 4; ++i) {
    store_half(to + 2 * i * t, rows[i]);
    store_half(to + (2 * i + 1) * t, upper(rows[i]));
  }
}

inline void transpose_block(const std::uint16_t* from, std::int64_t f, std::uint16_t* to, std::int64_t t) {
  __m128i low[4], high[4];
  for (int i = 0; i < 4; ++i) {
    const __m128i a = load(from + 2 * i * f), b = load(from + (2 * i + 1) * f);
    low[i] = _mm_unpacklo_epi16(a, b);
    high[i] = _mm_unpackhi_epi16(a, b);
  }
  const auto store_four = [&](const __m128i* pairs, std::uint16_t* rows) {
    const __m128i a = _mm_unpacklo_epi32(pairs[0], pairs[1]), b = _mm_unpackhi_epi32(pairs[0], pairs[1]);
    const __m128i c = _mm_unpacklo_epi32(pairs[2], pairs[3]), d = _mm_unpackhi_epi32(pairs[2], pairs[3]);
    store(rows, _mm_unpacklo_epi64(a, c));
    store(rows + t, _mm_unpackhi_epi64(a, c));
    store(rows + 2 * t, _mm_unpacklo_epi64(b, d));
    store(rows + 3 * t, _mm_unpackhi_epi64(b, d));
  };
  store_four(low, to);
  store_four(high, to + 4 * t);
}

inline void transpose_block(const std::uint32_t* from, std::int64_t f, std::uint32_t* to, std::int64_t t) {
  const __m128i a = load(from), b = load(from + f), c = load(from + 2 * f), d = load(from + 3 * f);
  const __m128i ab_low = _mm_unpacklo_epi32(a, b), ab_high = _mm_unpackhi_epi32(a, b);
  const __m128i cd_low = _mm_unpacklo_epi32(c, d), cd_high = _mm_unpackhi_epi32(c, d);
  store(to, _mm_unpacklo_epi64(ab_low, cd_low));
  store(to + t, _mm_unpackhi_epi64(ab_low, cd_low));
  store(to + 2 * t, _mm_unpacklo_epi64(ab_high, cd_high));
  store(to + 3 * t, _mm_unpackhi_epi64(ab_high, cd_high));
}

inline void transpose_block(const std::uint64_t* from, std::int64_t f, std::uint64_t* to, std::int64_t t) {
  const __m128i a = load(from), b = load(from + f);
  store(to, _mm_unpacklo_epi64(a, b));
  store(to + t, _mm_unpackhi_epi64(a, b));
}
#endif

// to[i * to_stride + j] = from[j * from_stride + i] for i < rows, j < columns.
template <class T>
void transpose_tile(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride, std::int64_t rows,
                    std::int64_t columns) {
  constexpr std::int64_t block = kBlock<T>;
  std::int64_t done_rows = 0, done_columns = 0;
  if constexpr (block > 1) {
    done_rows = rows - rows % block;
    done_columns = columns - columns % block;
    for (std::int64_t j = 0; j < done_columns; j += block) {
      for (std::int64_t i = 0; i < done_rows; i += block)
        transpose_block(from + j * from_stride + i, from_stride, to + i * to_stride + j, to_stride);
    }
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = i < done_rows ? done_columns : 0; j < columns; ++j)
      to[i * to_stride + j] = from[j * from_stride + i];
  }
}

// The same by way of a buffer, so that each line of memory is read once and written once, whole: where
// strides are powers of two, the lines of a tile would push each other out of the cache.
template <class T>
void transpose_buffered(const T* from, std::int64_t from_stride, T* to, std::int64_t to_stride,
                        std::int64_t rows, std::int64_t columns) {
  T buffer[kTileElements];
  transpose_tile(from, from_stride, buffer, columns, rows, columns);
  for (std::int64_t i = 0; i < rows; ++i)
    std::memcpy(static_cast<void*>(to + i * to_stride), buffer + i * columns,
                std::size_t(columns) * sizeof(T));
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
      const std::int64_t rows = std::min(row_tile_, rows_.size - tile[0] * row_tile_);
      const std::int64_t columns = std::min(column_tile_, columns_.size - tile[1] * column_tile_);
      if (std::is_trivially_copyable_v<T> && buffered_) {
        transpose_buffered(from + source, columns_.from, to + target, rows_.to, rows, columns);
      } else {
        transpose_tile(from + source, columns_.from, to + target, rows_.to, rows, columns);
      }
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
  // Two lines of the cache wide; a narrow tile may be long.
  const std::int64_t side = std::clamp<std::int64_t>(128 / std::int64_t(size_of(dtype)), 16, 64);
  row_tile_ = std::min(rows_.size, std::max(side, side * side / columns_.size));
  column_tile_ = std::min(columns_.size, std::max(side, side * side / rows_.size));
  buffered_ = rows_.to * std::int64_t(size_of(dtype)) % kConflict == 0;
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
