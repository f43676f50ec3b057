// Kernels of reductions, for operations that are reductions in disguise.
#pragma once

#include <memory>
#include <vector>

#include "core/registry/kernel.h"

namespace headrace {

// The kernel that reduces input 0 over the dimensions marked in `reduced` by "sum", "prod", "max" or "min".
std::unique_ptr<Kernel> reduce(PrepareContext& c, const char* by, const std::vector<bool>& reduced);

}  // namespace headrace
