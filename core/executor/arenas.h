// The memory that plans compute in, between their runs.
#pragma once

#include <mutex>
#include <vector>

#include "core/base/tensor.h"

namespace headrace {

// Large arenas belong to the device, not to a plan: plans that take turns (training and evaluation, batches
// of several sizes) need the memory of the largest of them only, and a new plan finds memory that is in use
// already.
class Arenas {
 public:
  // Smaller ones are not worth the lock: a plan keeps its own.
  static constexpr std::size_t kShared = std::size_t(1) << 20;

  // At least so many bytes that nobody else uses until they are given back.
  BufferRef take(std::size_t bytes);
  void give_back(BufferRef arena);

 private:
  std::mutex mutex_;
  std::vector<BufferRef> idle_;  // the smallest first
};

}  // namespace headrace
