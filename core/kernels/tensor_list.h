// Lists of tensors. A list is an immutable value for the graph; a kernel that is its last holder changes it
// in place.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/graph/handle.h"

namespace headrace {

// Elements of one shape and a plain dtype are the rows of one growing buffer, so that adding one allocates
// nothing most of the time, taking one off hands out a view, and stacking all of them is a view too. Other
// elements are tensors of their own.
//
//   rows:   [ row 0 | row 1 | row 2 |  room for more  ]
//             └─ seen by views ─┘       a row that a view may see is not written to: its element moves out,
//             and has a tensor of its own from then on
class TensorList final : public Holder {
 public:
  // Room for `expected` rows is made at once when the first element comes.
  TensorList(DType dtype, Shape element_shape, std::int64_t expected = 0)
      : dtype(dtype), element_shape(std::move(element_shape)), expected_(expected) {}
  TensorList(const TensorList& other);  // shares the elements
  // The rows of a tensor.
  TensorList(const Tensor& rows, Shape element_shape);

  std::string describe() const override;
  HandleType holds() const override { return {dtype, known_shape()}; }
  // What is known of every element's shape: it was told, or all that ever had a value agree.
  const Shape& known_shape() const { return element_shape.is_full() || !common_ ? element_shape : *common_; }

  std::int64_t size() const { return std::int64_t(has_.size()); }
  bool has(std::size_t i) const { return has_[i]; }
  // Element i, or no tensor where there is no value yet. A view of a row is never written to.
  Tensor item(std::size_t i) const;
  const Shape& item_shape(std::size_t i) const { return is_row(i) ? *row_ : items_[i].shape(); }
  // All elements as one tensor without copying anything; no tensor if that cannot be.
  Tensor stacked() const;

  // New elements have no value.
  void resize(std::int64_t size);
  Tensor take_last();
  void put(std::size_t i, Tensor item);
  // The memory of element i, which is to have this shape, to write its value to; what was there is still
  // there. Null if elements are not rows: then put one.
  void* place(std::size_t i, const Shape& shape);

  const DType dtype;
  const Shape element_shape;  // perhaps partial

 private:
  void note(const Shape& shape);
  void loosen();
  void grow();
  bool is_row(std::size_t i) const { return !loose_ && row_ && !(i < items_.size() && items_[i]); }
  bool may_write_row(std::size_t i);
  Tensor view(Shape shape, std::size_t i) const;
  std::int64_t capacity() const { return rows_ ? rows_.shape()[0] : 0; }

  const std::int64_t expected_ = 0;
  std::vector<bool> has_;
  std::optional<Shape> common_;
  // Rows of one shape, as long as there is one...
  std::optional<Shape> row_;
  std::size_t row_bytes_ = 0;
  Tensor rows_;
  mutable std::atomic<std::int64_t> seen_{0};  // the rows before this one may be seen by views
  // ... and tensors, in place of their rows; at least one for each element once there are no rows any more.
  bool loose_ = false;
  std::vector<Tensor> items_;
};

}  // namespace headrace
