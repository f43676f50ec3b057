// Messages of graphs, as another program may write them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/io/messages.h"

namespace headrace {

// Adds a node to the message of a graph.
inline void write_node(wire::Writer& graph, std::string_view name, std::string_view op,
                       std::span<const std::string> inputs, const AttrMap& attrs) {
  graph.message(1, [&](wire::Writer& node) {
    node.bytes(1, name);
    node.bytes(2, op);
    for (const auto& input : inputs) node.bytes_element(3, input);
    for (const auto& [key, value] : attrs) {
      node.message(5, [&](wire::Writer& entry) {
        entry.bytes(1, key);
        entry.message(2, [&](wire::Writer& to) { write_attr(to, value); });
      });
    }
  });
}

}  // namespace headrace
