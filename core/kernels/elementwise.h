// Kernels of elementwise operations: a loop over contiguous blocks, with broadcasting, 16-bit floats and
// threads around it.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>

#include "core/registry/kernel.h"

namespace headrace {

// The kernel of a node with one, two or three inputs out of the loop registered under the operation's name
// (or under `op`) for the dtype of its last input. `parameters` are further operands, scalars of that dtype:
// an attribute such as LeakyRelu's alpha. nullptr if there is no such loop.
//   add_kernel("Relu", [](PrepareContext& c) { return elementwise(c); });
//   add_kernel("LeakyRelu", [](PrepareContext& c) { return elementwise(c, "LeakyRelu",
//   {c.node().attr<float>("alpha")}); });
std::unique_ptr<Kernel> elementwise(PrepareContext& c);
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op,
                                    std::initializer_list<double> parameters = {});
// The same for a function of the first input alone: Pow with a constant exponent 2 is Square.
std::unique_ptr<Kernel> elementwise_of_first(PrepareContext& c, const char* op);
// The same with input 0 seen under another shape of its size, for broadcasting.
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op, const Shape& first);

}  // namespace headrace
