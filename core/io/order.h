// Items of a message in an order in which each comes after what it needs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/io/graph_message.h"

namespace headrace {

// "'a', 'b', 'c' and 7 more"
template <class Names>
std::string some_of(const Names& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kShown; ++i) text += (i ? ", " : "") + quoted(names[i]);
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

// Items after all that they need, otherwise in their own order. `needs[i]` are indices; `name_of(i)` is for
// the message about a cycle (InvalidArgument).
std::vector<int> in_order(const std::vector<std::vector<int>>& needs,
                          const std::function<std::string(int)>& name_of);

}  // namespace headrace
