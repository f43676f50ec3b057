// Loops on one thread, for fuzz targets: they are programs of their own, and need no OpenMP.
#include "core/base/parallel.h"

namespace headrace {

int num_threads() { return 1; }
void set_num_threads(int) {}
void parallel_for(std::int64_t count, double, FunctionRef<void(std::int64_t, std::int64_t)> body) {
  if (count > 0) body(0, count);
}

}  // namespace headrace
