// Elements of queues and the like: tuples of tensors, and rows of tensors that become or were elements.
#pragma once

#include <string>
#include <vector>

#include "core/registry/kernel.h"

namespace headrace {

using Tuple = std::vector<Tensor>;

// Row i of a tensor, copied.
inline Tensor row(const Tensor& many, std::int64_t i) {
  Tensor one(many.dtype(), many.shape().slice(1));
  const auto* from = static_cast<const char*>(many.raw()) + std::size_t(i) * one.bytes();
  copy_elements(one.dtype(), from, one.raw(), one.size());
  return one;
}

// The name under which a resource of this node is shared.
inline const std::string& resource_name(const PrepareContext& c) {
  const std::string& shared = c.attr<std::string>("shared_name");
  return shared.empty() ? c.node().name() : shared;
}

}  // namespace headrace
