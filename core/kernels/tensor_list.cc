#include "core/kernels/tensor_list.h"

#include <algorithm>
#include <cstring>
#include <limits>

namespace headrace {
namespace {

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kFirstRows = 4;

}  // namespace

TensorList::TensorList(const TensorList& other)
    : dtype(other.dtype),
      element_shape(other.element_shape),
      expected_(other.expected_),
      has_(other.has_),
      common_(other.common_),
      row_(other.row_),
      row_bytes_(other.row_bytes_),
      rows_(other.rows_),
      seen_(kAll),
      loose_(other.loose_),
      items_(other.items_) {
  other.seen_.store(kAll, std::memory_order_relaxed);
}

TensorList::TensorList(const Tensor& rows, Shape element_shape)
    : TensorList(rows.dtype(), element_shape.merge(rows.shape().slice(1))) {
  resize(rows.shape()[0]);
  const Shape row = rows.shape().slice(1);
  for (std::size_t i = 0; i < has_.size(); ++i) {
    if (is_plain(dtype)) {
      has_[i] = true;
    } else {
      Tensor item(dtype, row);
      copy_elements(dtype, rows.data<char>() + i * item.bytes(), item.raw(), item.size());
      put(i, std::move(item));
    }
  }
  if (!is_plain(dtype) || has_.empty()) return;
  note(row);
  row_ = row;
  row_bytes_ = std::size_t(row.size()) * size_of(dtype);
  rows_ = rows.bytes() != 0 ? rows : rows.copy();
  seen_ = kAll;
}

std::string TensorList::describe() const {
  return str("a list of ", size(), " tensors of ", name_of(dtype), " ", element_shape);
}

Tensor TensorList::item(std::size_t i) const {
  if (!has_[i]) return {};
  if (!is_row(i)) return items_[i];
  std::int64_t seen = seen_.load(std::memory_order_relaxed);
  while (seen <= std::int64_t(i) &&
         !seen_.compare_exchange_weak(seen, std::int64_t(i) + 1, std::memory_order_relaxed)) {
  }
  return view(*row_, i);
}

// A tensor of this shape that starts with row i.
Tensor TensorList::view(Shape shape, std::size_t i) const {
  const auto* begin = static_cast<const char*>(rows_.buffer()->data());
  const auto offset = std::size_t(rows_.data<char>() - begin);
  return Tensor(dtype, std::move(shape), rows_.buffer(), offset + i * row_bytes_);
}

Tensor TensorList::stacked() const {
  if (loose_ || !rows_ || !items_.empty() || has_.empty() ||
      std::find(has_.begin(), has_.end(), false) != has_.end())
    return {};
  seen_.store(kAll, std::memory_order_relaxed);
  return view(Shape{size()}.concat(*row_), 0);
}

void TensorList::resize(std::int64_t size) {
  has_.resize(std::size_t(size), false);
  if (loose_ || !is_plain(dtype) || items_.size() > has_.size()) items_.resize(has_.size());
}

Tensor TensorList::take_last() {
  Tensor last = item(has_.size() - 1);
  resize(size() - 1);
  return last;
}

void TensorList::put(std::size_t i, Tensor item) {
  if (void* row = place(i, item.shape())) {
    if (item.bytes() != 0) std::memcpy(row, item.raw(), item.bytes());
    return;
  }
  note(item.shape());
  has_[i] = true;
  items_[i] = std::move(item);
}

void* TensorList::place(std::size_t i, const Shape& shape) {
  if (loose_ || !is_plain(dtype)) return nullptr;
  if (!row_ || *row_ != shape) {
    const auto others = std::count(has_.begin(), has_.end(), true) - (has_[i] ? 1 : 0);
    if (others != 0) {
      loosen();
      return nullptr;
    }
    row_ = shape;
    row_bytes_ = std::size_t(checked_mul(shape.size(), std::int64_t(size_of(dtype))));
    rows_ = Tensor();
    items_.clear();
    seen_ = 0;
    note(shape);
  }
  if (is_row(i) && std::int64_t(i) >= capacity()) grow();
  if (is_row(i) && !may_write_row(i)) {
    Tensor own(dtype, shape);
    if (has_[i] && row_bytes_ != 0) std::memcpy(own.raw(), rows_.data<char>() + i * row_bytes_, row_bytes_);
    if (items_.size() <= i) items_.resize(i + 1);
    items_[i] = std::move(own);
  }
  has_[i] = true;
  if (is_row(i)) return rows_.data<char>() + i * row_bytes_;
  if (!items_[i].unique()) items_[i] = items_[i].copy();
  return items_[i].raw();
}

void TensorList::note(const Shape& shape) {
  if (element_shape.is_full()) return;
  common_ = common_ ? common_->relax(shape) : shape;
}

// Rows give way to tensors, since an element of another shape comes.
void TensorList::loosen() {
  std::vector<Tensor> items;
  for (std::size_t i = 0; i < has_.size(); ++i) items.push_back(item(i));
  items_ = std::move(items);
  rows_ = Tensor();
  loose_ = true;
}

bool TensorList::may_write_row(std::size_t i) {
  if (rows_.unique()) seen_ = 0;
  return std::int64_t(i) >= seen_;
}

// Makes room for all elements that there are now.
void TensorList::grow() {
  const std::int64_t had = capacity();
  std::int64_t count = had == 0 ? std::max({size(), expected_, kFirstRows}) : std::max(size(), 2 * had);
  if (had == 0 && expected_ >= size()) count = std::max<std::int64_t>(expected_, 1);
  // Rows need not start on our boundary, so that whole vectors may reach beyond the last one.
  const std::size_t bytes = std::size_t(checked_mul(count, std::int64_t(row_bytes_)));
  Tensor rows(dtype, Shape{count}.concat(*row_), BufferRef::allocate(bytes + kAlignment));
  const std::size_t kept = std::size_t(std::min(had, size())) * row_bytes_;
  if (kept != 0) std::memcpy(rows.raw(), rows_.raw(), kept);
  rows_ = std::move(rows);
  seen_ = 0;
}

}  // namespace headrace
