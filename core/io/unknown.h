// What a message has that is not known here: operations, which is an error, and attributes of newer versions,
// some of which can be left out.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/graph/graph.h"
#include "core/io/graph_message.h"
#include "core/io/wire.h"

namespace headrace {

// What an operation that is named like a function becomes.
inline constexpr std::string_view kCall = "PartitionedCall";

// One error that lists all operations without a definition, so that a user sees the whole of the work at
// once. Of the functions, only those that are called matter.
void check_operations(const Graph& graph, const GraphMessage& message, const std::set<std::string>& called);

class ProducerDefaults {
 public:
  // An OpList message: the defaults as the program that wrote a graph knows them.
  explicit ProducerDefaults(std::string_view op_list);
  // Whether an attribute that is not known here does nothing with this value.
  bool can_drop(std::string_view op, std::string_view name, wire::Reader value) const;

 private:
  std::unordered_map<std::string, wire::Reader> defaults_;
};

}  // namespace headrace
