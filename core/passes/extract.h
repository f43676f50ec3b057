// Pieces of a graph as functions.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/graph/graph.h"

namespace headrace {

// The part of `graph` that computes `results` and runs `targets` when the `fed` outputs are given from
// outside: a function whose arguments are the fed outputs in order. Types, shapes and names are kept.
std::unique_ptr<Function> extract(const Graph& graph, std::span<const Output> fed,
                                  std::span<const Output> results, std::span<Node* const> targets);

std::unique_ptr<Function> copy(const Function& function);

// A function of the graph's library. Throws not_found if it has none of this name.
const Function& function_named(const Graph& graph, const std::string& name);

// Adds a changed copy of a function of the library to it, under a new name: the old one, the suffix and a
// number.
std::string add_variant(Graph& graph, std::unique_ptr<Function> function, std::string_view suffix);

}  // namespace headrace
