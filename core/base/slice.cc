#include "core/base/slice.h"

#include <algorithm>

#include "core/base/error.h"

namespace headrace {
namespace {

bool bit(std::int64_t mask, std::size_t i) { return i < 63 && (mask >> i & 1); }

// One bound as an index: counted from the end if negative, then clamped to the places between which the
// stride moves.
std::int64_t clamp_bound(std::int64_t bound, std::int64_t stride, std::int64_t size) {
  if (bound < 0) bound += size;
  return stride > 0 ? std::clamp<std::int64_t>(bound, 0, size)
                    : std::clamp<std::int64_t>(bound, -1, size - 1);
}

}  // namespace

SliceResult resolve_slice(const SliceExpression& e, const Shape& shape, std::int64_t unknown) {
  const std::size_t count = e.begin.size();
  const std::size_t rank = std::size_t(shape.rank());
  require(e.end.size() == count && e.strides.size() == count, "begin, end and strides have ", count, ", ",
          e.end.size(), " and ", e.strides.size(), " entries; they must have one each for every index");
  std::size_t named = 0, ellipses = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (bit(e.ellipsis_mask, i)) {
      ++ellipses;
    } else if (!bit(e.new_axis_mask, i)) {
      ++named;
    }
  }
  require(ellipses <= 1, "an index expression can have one ellipsis, got ", ellipses);
  require(named <= rank, "too many indices: ", named, " for an array of rank ", rank, " and shape ", shape);

  SliceResult result;
  const auto keep_whole = [&](std::size_t dimensions) {
    for (; dimensions > 0; --dimensions) {
      const std::int64_t size = shape[int(result.ranges.size())];
      result.ranges.push_back({0, 1, size, true});
      result.shape.push_back(size);
    }
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (bit(e.ellipsis_mask, i)) {
      keep_whole(rank - named);
      continue;
    }
    if (bit(e.new_axis_mask, i)) {
      result.shape.push_back(1);
      continue;
    }
    const int axis = int(result.ranges.size());
    const std::int64_t size = shape[axis], stride = e.strides[i];
    require(stride != 0, "the stride of index ", i, " is 0; use a positive or negative one");
    if (bit(e.shrink_axis_mask, i)) {
      require(stride == unknown || stride > 0, "the stride of single index ", i, " is ", stride, "; use 1");
      std::int64_t at = e.begin[i];
      const bool known = at != unknown && size != kUnknown;
      if (known) {
        require(at >= -size && at < size, "index ", at, " is out of range for dimension ", axis, " of size ",
                size, "; expected a value in [", -size, ", ", size, ")");
        if (at < 0) at += size;
      }
      result.ranges.push_back({at, 1, 1, known});
      continue;
    }
    const bool from_start = bit(e.begin_mask, i), to_end = bit(e.end_mask, i);
    SliceRange range{0, stride, kUnknown, false};
    const bool bounds_known =
        (from_start || e.begin[i] != unknown) && (to_end || e.end[i] != unknown) && stride != unknown;
    if (size != kUnknown && bounds_known) {
      const std::int64_t begin =
          from_start ? (stride > 0 ? 0 : size - 1) : clamp_bound(e.begin[i], stride, size);
      const std::int64_t end = to_end ? (stride > 0 ? size : -1) : clamp_bound(e.end[i], stride, size);
      const std::int64_t length = end - begin;
      range.begin = begin;
      range.begin_known = true;
      range.size = length == 0 || (length < 0) != (stride < 0) ? 0 : length / stride + (length % stride != 0);
    }
    result.ranges.push_back(range);
    result.shape.push_back(range.size);
  }
  keep_whole(rank - result.ranges.size());
  return result;
}

}  // namespace headrace
