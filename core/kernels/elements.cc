#include "core/kernels/elements.h"

#include <cstring>
#include <type_traits>

#include "core/base/parallel.h"

namespace headrace {
Tensor zeros(DType dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (is_plain(dtype) && tensor.size() > 0) std::memset(tensor.raw(), 0, tensor.bytes());
  return tensor;
}

Tensor row(DType dtype, const Shape& shape, const void* rows, std::int64_t i) {
  Tensor one(dtype, shape);
  copy_elements(dtype, static_cast<const char*>(rows) + std::size_t(i) * one.bytes(), one.raw(), one.size());
  return one;
}

std::vector<Tensor> cut(DType dtype, const Shape& whole, const void* data,
                        std::span<const std::int64_t> lengths) {
  std::int64_t total = 0;
  for (std::int64_t length : lengths) {
    require(length >= 0, "a piece cannot have ", length, " rows");
    total = checked_add(total, length);
  }
  require(total == whole[0], "the lengths add up to ", total, ", the tensor has ", whole[0], " rows");
  std::vector<Tensor> pieces;
  const Shape rest = whole.slice(1);
  const char* from = static_cast<const char*>(data);
  for (std::int64_t length : lengths) {
    const Tensor& piece = pieces.emplace_back(dtype, Shape{length}.concat(rest));
    copy_elements(dtype, from, piece.raw(), piece.size());
    from += piece.bytes();
  }
  return pieces;
}

Lengths lengths_of(std::span<const Tensor> elements, Shape row) {
  Tensor lengths(DType::int64, Shape{std::int64_t(elements.size())});
  std::int64_t total = 0;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    const Shape& shape = elements[i].shape();
    require(shape.rank() > 0, "element ", i, " is a scalar, which has no first dimension to join along");
    lengths.data<std::int64_t>()[i] = shape[0];
    total = checked_add(total, shape[0]);
    row = row.merge(shape.slice(1));
  }
  require(row.is_full(), "there are no elements, and the shape of their rows is only known to be ", row);
  return {std::move(lengths), Shape{total}.concat(row)};
}

Tensor joined(DType dtype, const Shape& whole, std::span<const Tensor> elements) {
  Tensor made(dtype, whole);
  char* to = static_cast<char*>(made.raw());
  for (const Tensor& element : elements) {
    copy_elements(dtype, element.raw(), to, element.size());
    to += element.bytes();
  }
  return made;
}

Tensor packed(DType dtype, const Shape& shape, std::span<const Tensor> elements) {
  for (const Tensor& element : elements) {
    require(element.shape() == shape, "elements of shapes ", shape, " and ", element.shape(),
            " cannot be packed into one tensor");
  }
  return joined(dtype, Shape{std::int64_t(elements.size())}.concat(shape), elements);
}

void add_to(DType dtype, void* sum, const void* x, std::int64_t n) {
  const bool added = visit(NumericTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    using C = std::conditional_t<std::is_integral_v<T>, std::uint64_t, Compute<T>>;  // integers wrap around
    parallel_for(n, 0.3, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T& at = static_cast<T*>(sum)[i];
        at = T(C(at) + C(static_cast<const T*>(x)[i]));
      }
    });
  });
  require(added, name_of(dtype), " elements cannot be added");
}

}  // namespace headrace
