// Elements of queues, lists and the like: tuples of tensors, and rows of tensors that become or were
// elements.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/registry/kernel.h"

namespace headrace {

using Tuple = std::vector<Tensor>;

// Zeros, or what takes their place (empty strings).
Tensor zeros(DType dtype, const Shape& shape);

// Row i of rows of this shape, copied.
Tensor row(DType dtype, const Shape& shape, const void* rows, std::int64_t i);
inline Tensor row(const Tensor& many, std::int64_t i) {
  return row(many.dtype(), many.shape().slice(1), many.raw(), i);
}

// Consecutive pieces of a tensor of shape `whole`, `lengths` rows each; an error if they are not all of it.
std::vector<Tensor> cut(DType dtype, const Shape& whole, const void* data,
                        std::span<const std::int64_t> lengths);

// How many rows each element has, and the shape of all their rows in one tensor. What is known of the shape
// of a row matters where there are no elements.
struct Lengths {
  Tensor lengths;
  Shape whole;
};
Lengths lengths_of(std::span<const Tensor> elements, Shape row);

// Elements one after the other in one tensor.
Tensor joined(DType dtype, const Shape& whole, std::span<const Tensor> elements);

// Elements of this shape as the rows of one tensor; an error if one has another.
Tensor packed(DType dtype, const Shape& shape, std::span<const Tensor> elements);

// sum[i] += x[i]; an error where elements of a dtype have no sum.
void add_to(DType dtype, void* sum, const void* x, std::int64_t n);

// The name under which a resource of this node is shared.
inline const std::string& resource_name(const PrepareContext& c) {
  const std::string& shared = c.attr<std::string>("shared_name");
  return shared.empty() ? c.node().name() : shared;
}

}  // namespace headrace
