// Kernels of elementwise operations: tapes of one loop (registry/tape.h).
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {

// The kernel of a node with one, two or three inputs out of the loop registered under the operation's name
// (or under `op`) for the dtype of its last input. `parameters` are further operands, scalars of that dtype:
// an attribute such as LeakyRelu's alpha. nullptr if there is no such loop.
//   add_kernel("Relu", [](PrepareContext& c) { return elementwise(c); });
//   add_kernel("LeakyRelu", [](PrepareContext& c) { return elementwise(c, "LeakyRelu",
//   {c.node().attr<float>("alpha")}); });
std::unique_ptr<Kernel> elementwise(PrepareContext& c);
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op,
                                    std::initializer_list<float> parameters = {});
// The same on the first inputs only, each perhaps seen under another shape of its size, for broadcasting: Pow
// with a constant exponent 2 is Square of its first input, a bias for channels in dimension 1 is a (C, 1, 1)
// operand. Where elements are only moved, they may be seen as of another dtype of the same width.
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op, std::span<const ValueType> inputs,
                                    std::optional<DType> dtype = {});

// Registers `elementwise` as the kernel of an operation whose loop has its name, and that loop as its
// lowering.
void add_elementwise(const char* op);
// The lowering of a node whose inputs one loop takes, in order. None if there is no such loop.
std::vector<TapeEntry> lower_to(const char* loop, const Node& node);

}  // namespace headrace
