// Elements that are repeated along rows.
#include "core/kernels/vector/functions.h"
#include "core/kernels/vector/isa.h"

HEADRACE_VECTOR_ISA(HEADRACE_ISA)

namespace headrace::HEADRACE_ISA {
namespace {

struct Pair {
  std::uint64_t low, high;
};

template <class T>
void repeat_loop(std::int64_t rows, std::int64_t count, const void* x, void* y) {
  const T* a = static_cast<const T*>(x);
  T* r = static_cast<T*>(y);
  for (std::int64_t i = 0; i < rows; ++i, r += count) {
    const T value = a[i];
    for (std::int64_t j = 0; j < count; ++j) r[j] = value;
  }
}

}  // namespace

void repeat(int width, std::int64_t rows, std::int64_t count, const void* x, void* y) {
  switch (width) {
    case 1:
      return repeat_loop<std::uint8_t>(rows, count, x, y);
    case 2:
      return repeat_loop<std::uint16_t>(rows, count, x, y);
    case 4:
      return repeat_loop<std::uint32_t>(rows, count, x, y);
    case 8:
      return repeat_loop<std::uint64_t>(rows, count, x, y);
    default:
      return repeat_loop<Pair>(rows, count, x, y);
  }
}

}  // namespace headrace::HEADRACE_ISA
