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

Shape::Shape(std::vector<std::int64_t> dims) : dims_(std::move(dims)) {
  for (std::int64_t size : dims_) require(size >= kUnknown, "a dimension cannot be ", size);
}

Shape Shape::unknown() {
  Shape shape;
  shape.has_rank_ = false;
  return shape;
}

Shape Shape::unknown_of_rank(int rank) { return Shape(std::vector<std::int64_t>(rank, kUnknown)); }

bool Shape::is_full() const {
  return has_rank_ && std::none_of(dims_.begin(), dims_.end(), [](auto size) { return size == kUnknown; });
}

int Shape::rank() const { return has_rank_ ? int(dims_.size()) : -1; }

std::int64_t Shape::operator[](int i) const {
  if (!has_rank_) return kUnknown;
  if (i < 0) i += rank();
  if (i < 0 || i >= rank()) internal("dimension ", i, " of shape ", *this);
  return dims_[i];
}

void Shape::set_dim(int i, std::int64_t size) {
  if (i < 0) i += rank();
  if (i < 0 || i >= rank()) internal("dimension ", i, " of shape ", *this);
  require(size >= kUnknown, "a dimension cannot be ", size);
  dims_[i] = size;
}

void Shape::push_back(std::int64_t size) {
  require(size >= kUnknown, "a dimension cannot be ", size);
  dims_.push_back(size);
}

std::int64_t Shape::size() const {
  if (!is_full()) return kUnknown;
  // An empty tensor has size 0 even if its other dimensions would overflow.
  if (std::find(dims_.begin(), dims_.end(), 0) != dims_.end()) return 0;
  std::int64_t size = 1;
  for (std::int64_t dim : dims_) size = checked_mul(size, dim);
  return size;
}

bool Shape::compatible_with(const Shape& other) const {
  if (!has_rank_ || !other.has_rank_) return true;
  if (dims_.size() != other.dims_.size()) return false;
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    if (dims_[i] != other.dims_[i] && dims_[i] != kUnknown && other.dims_[i] != kUnknown) return false;
  }
  return true;
}

Shape Shape::merge(const Shape& other) const {
  require(compatible_with(other), "shapes ", *this, " and ", other, " are not compatible");
  if (!has_rank_) return other;
  Shape merged = *this;
  if (other.has_rank_) {
    for (std::size_t i = 0; i < dims_.size(); ++i) {
      if (dims_[i] == kUnknown) merged.dims_[i] = other.dims_[i];
    }
  }
  return merged;
}

Shape Shape::relax(const Shape& other) const {
  if (rank() != other.rank() || !has_rank_) return unknown();
  Shape relaxed = *this;
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    if (dims_[i] != other.dims_[i]) relaxed.dims_[i] = kUnknown;
  }
  return relaxed;
}

Shape Shape::concat(const Shape& tail) const {
  if (!has_rank_ || !tail.has_rank_) return unknown();
  Shape joined = *this;
  joined.dims_.insert(joined.dims_.end(), tail.dims_.begin(), tail.dims_.end());
  return joined;
}

Shape Shape::slice(int begin, int end) const {
  if (!has_rank_) return unknown();
  if (begin < 0) begin += rank();
  if (end < 0) end += rank();
  begin = std::clamp(begin, 0, rank());
  end = std::clamp(end, begin, rank());
  return Shape(std::vector<std::int64_t>(dims_.begin() + begin, dims_.begin() + end));
}

Shape Shape::slice(int begin) const { return has_rank_ ? slice(begin, rank()) : unknown(); }

std::string Shape::str() const {
  if (!has_rank_) return "?";
  std::string text = "(";
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    if (i) text += ", ";
    text += dims_[i] == kUnknown ? "?" : std::to_string(dims_[i]);
  }
  if (dims_.size() == 1) text += ",";
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
  return Shape(std::move(dims));
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
