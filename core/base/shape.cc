#include "core/base/shape.h"

#include <algorithm>
#include <ostream>

#include "core/base/error.h"

namespace headrace {

std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t result;
  require(!__builtin_mul_overflow(a, b, &result), "the size ", a, " x ", b, " overflows 64 bits");
  return result;
}

std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t result;
  require(!__builtin_add_overflow(a, b, &result), "the size ", a, " + ", b, " overflows 64 bits");
  return result;
}

Shape::Shape(std::span<const std::int64_t> dims) {
  for (std::int64_t size : dims) push_back(size);
}

Shape Shape::unknown() {
  Shape shape;
  shape.has_rank_ = false;
  return shape;
}

Shape Shape::unknown_of_rank(int rank) { return Shape(std::vector<std::int64_t>(rank, kUnknown)); }

bool Shape::is_full() const {
  const auto known = dims();
  return has_rank_ && std::none_of(known.begin(), known.end(), [](auto size) { return size == kUnknown; });
}

int Shape::rank() const { return has_rank_ ? int(dims().size()) : -1; }

std::int64_t Shape::operator[](int i) const {
  if (!has_rank_) return kUnknown;
  if (i < 0) i += rank();
  if (i < 0 || i >= rank()) internal("dimension ", i, " of shape ", *this);
  return dims()[std::size_t(i)];
}

void Shape::set_dim(int i, std::int64_t size) {
  if (i < 0) i += rank();
  if (i < 0 || i >= rank()) internal("dimension ", i, " of shape ", *this);
  require(size >= kUnknown, "a dimension cannot be ", size);
  own_dims()[std::size_t(i)] = size;
}

void Shape::push_back(std::int64_t size) {
  require(size >= kUnknown, "a dimension cannot be ", size);
  if (many_.empty() && count_ < kFew) {
    few_[std::size_t(count_++)] = size;
    return;
  }
  if (many_.empty()) many_.assign(few_.begin(), few_.end());
  many_.push_back(size);
  count_ = 0;
}

std::int64_t Shape::size() const {
  if (!is_full()) return kUnknown;
  // An empty tensor has size 0 even if its other dimensions would overflow.
  const auto known = dims();
  if (std::find(known.begin(), known.end(), 0) != known.end()) return 0;
  std::int64_t size = 1;
  for (std::int64_t dim : known) size = checked_mul(size, dim);
  return size;
}

bool Shape::operator==(const Shape& other) const {
  return has_rank_ == other.has_rank_ && std::ranges::equal(dims(), other.dims());
}

bool Shape::compatible_with(const Shape& other) const {
  if (!has_rank_ || !other.has_rank_) return true;
  return std::ranges::equal(dims(), other.dims(), [](std::int64_t a, std::int64_t b) {
    return a == b || a == kUnknown || b == kUnknown;
  });
}

Shape Shape::merge(const Shape& other) const {
  require(compatible_with(other), "shapes ", *this, " and ", other, " are not compatible");
  if (!has_rank_) return other;
  Shape merged = *this;
  for (std::size_t i = 0; i < other.dims().size(); ++i) {
    if (dims()[i] == kUnknown) merged.own_dims()[i] = other.dims()[i];
  }
  return merged;
}

Shape Shape::relax(const Shape& other) const {
  if (rank() != other.rank() || !has_rank_) return unknown();
  Shape relaxed = *this;
  for (std::size_t i = 0; i < dims().size(); ++i) {
    if (dims()[i] != other.dims()[i]) relaxed.own_dims()[i] = kUnknown;
  }
  return relaxed;
}

Shape Shape::concat(const Shape& tail) const {
  if (!has_rank_ || !tail.has_rank_) return unknown();
  Shape joined = *this;
  for (std::int64_t size : tail.dims()) joined.push_back(size);
  return joined;
}

Shape Shape::slice(int begin, int end) const {
  if (!has_rank_) return unknown();
  if (begin < 0) begin += rank();
  if (end < 0) end += rank();
  begin = std::clamp(begin, 0, rank());
  end = std::clamp(end, begin, rank());
  return Shape(dims().subspan(std::size_t(begin), std::size_t(end - begin)));
}

Shape Shape::slice(int begin) const { return has_rank_ ? slice(begin, rank()) : unknown(); }

std::string Shape::str() const {
  if (!has_rank_) return "?";
  std::string text = "(";
  for (std::int64_t size : dims()) {
    if (text.size() > 1) text += ", ";
    text += size == kUnknown ? "?" : std::to_string(size);
  }
  if (rank() == 1) text += ",";
  return text + ")";
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

Shape broadcast(const Shape& a, const Shape& b) {
  if (!a.has_rank() || !b.has_rank()) return Shape::unknown();
  const int rank = std::max(a.rank(), b.rank());
  std::vector<std::int64_t> dims(rank);
  for (int i = 0; i < rank; ++i) {
    const std::int64_t x = i < rank - a.rank() ? 1 : a[i - (rank - a.rank())];
    const std::int64_t y = i < rank - b.rank() ? 1 : b[i - (rank - b.rank())];
    if (x == 1) {
      dims[i] = y;
    } else if (y == 1 || x == y) {
      dims[i] = x;
    } else if (x == kUnknown || y == kUnknown) {
      // The known one is not 1, so it decides.
      dims[i] = std::max(x, y);
    } else {
      invalid("shapes ", a, " and ", b, " do not broadcast: dimension ", i, " is ", x, " in one and ", y,
              " in the other; they must be equal or one of them 1");
    }
  }
  return Shape(dims);
}

int normalize_axis(std::int64_t axis, int rank) {
  require(axis >= -rank && axis < rank, "axis ", axis, " is out of range for a tensor of rank ", rank,
          "; expected a value in [", -rank, ", ", rank, ")");
  return int(axis < 0 ? axis + rank : axis);
}

std::vector<std::int64_t> strides_of(std::span<const std::int64_t> dims) {
  std::vector<std::int64_t> strides(dims.size());
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    strides[i] = stride;
    stride = checked_mul(stride, std::max<std::int64_t>(dims[i], 1));
  }
  return strides;
}

}  // namespace headrace
