// A box inside a larger array: what padding writes, and what the gradient of slicing writes.
#pragma once

#include "core/kernels/strided_copy.h"

namespace headrace {

class Box {
 public:
  // The elements [begin[i], begin[i] + size[i]) of each dimension i of an array of shape `whole`.
  Box(DType dtype, const Shape& whole, std::span<const std::int64_t> begin,
      std::span<const std::int64_t> size)
      : inner_(dtype, size, strides_of(size), strides_of(whole.dims())) {
    const std::vector<std::int64_t> strides = strides_of(whole.dims());
    const std::vector<std::int64_t> zeros(size.size(), 0);
    for (std::size_t i = 0; i < size.size(); ++i) offset_ += begin[i] * strides[i];

    // Around it: for each dimension what lies before and after, within the box in the dimensions before that
    // one.
    std::vector<std::int64_t> dims(whole.dims().begin(), whole.dims().end());
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < size.size(); ++i) {
      const std::int64_t end = begin[i] + size[i];
      dims[i] = begin[i];
      border_.push_back({StridedCopy(dtype, dims, zeros, strides), offset});
      dims[i] = whole[int(i)] - end;
      border_.push_back({StridedCopy(dtype, dims, zeros, strides), offset + end * strides[i]});
      dims[i] = size[i];
      offset += begin[i] * strides[i];
    }
  }
  // Sets everything outside the box to the element at `value`.
  void fill_around(void* whole, const void* value) const {
    for (const Border& part : border_) part.copy.run(value, 0, whole, part.offset);
  }
  void copy_in(const void* from, void* whole) const { inner_.run(from, 0, whole, offset_); }

 private:
  struct Border {
    StridedCopy copy;
    std::int64_t offset;
  };
  StridedCopy inner_;
  std::vector<Border> border_;
  std::int64_t offset_ = 0;
};

}  // namespace headrace
