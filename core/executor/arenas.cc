#include "core/executor/arenas.h"

#include <algorithm>

namespace headrace {

BufferRef Arenas::take(std::size_t bytes) {
  BufferRef too_small;  // freed before a larger one is allocated in its place
  {
    std::lock_guard lock(mutex_);
    const auto enough = std::find_if(idle_.begin(), idle_.end(),
                                     [&](const BufferRef& arena) { return arena->bytes() >= bytes; });
    if (enough != idle_.end()) {
      BufferRef taken = std::move(*enough);
      idle_.erase(enough);
      return taken;
    }
    if (!idle_.empty()) {
      too_small = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  too_small = BufferRef();
  return BufferRef::allocate(bytes);
}

void Arenas::give_back(BufferRef arena) {
  std::lock_guard lock(mutex_);
  const auto larger = std::find_if(idle_.begin(), idle_.end(),
                                   [&](const BufferRef& other) { return other->bytes() >= arena->bytes(); });
  idle_.insert(larger, std::move(arena));
}

}  // namespace headrace
