// What kernels of other families ask of a queue.
#pragma once

#include <span>
#include <vector>

#include "core/base/tensor.h"
#include "core/registry/resource.h"
#include "core/registry/step.h"

namespace headrace {

class QueueResource : public Resource {
 public:
  // Waits for one element and takes it. OutOfRange once the queue is closed and empty.
  virtual std::vector<Tensor> take_one(Step& step) = 0;
  virtual std::span<const DType> component_dtypes() const = 0;
};

}  // namespace headrace
