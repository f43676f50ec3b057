// Pieces of a graph as functions.
#pragma once

#include <memory>
#include <span>

#include "core/graph/graph.h"

namespace headrace {

// The part of `graph` that computes `results` and runs `targets` when the `fed` outputs are given from
// outside: a function whose arguments are the fed outputs in order. Types, shapes and names are kept.
std::unique_ptr<Function> extract(const Graph& graph, std::span<const Output> fed,
                                  std::span<const Output> results, std::span<Node* const> targets);

std::unique_ptr<Function> copy(const Function& function);

}  // namespace headrace
