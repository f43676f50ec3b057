#include "core/io/order.h"

#include <algorithm>
#include <queue>

namespace headrace {

std::vector<int> in_order(const std::vector<std::vector<int>>& needs,
                          const std::function<std::string(int)>& name_of) {
  const int count = int(needs.size());
  std::vector<int> missing(count);
  std::vector<std::vector<int>> needed_by(count);
  for (int i = 0; i < count; ++i) {
    missing[i] = int(needs[i].size());
    for (int other : needs[i]) needed_by[other].push_back(i);
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < count; ++i) {
    if (missing[i] == 0) ready.push(i);
  }
  std::vector<int> order;
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int other : needed_by[i]) {
      if (--missing[other] == 0) ready.push(other);
    }
  }
  if (int(order.size()) == count) return order;

  // Whoever is left needs someone who is left: walk that way until somebody comes twice.
  std::vector<int> path, place(count, -1);
  int at = int(std::find_if(missing.begin(), missing.end(), [](int n) { return n > 0; }) - missing.begin());
  while (place[at] < 0) {
    place[at] = int(path.size());
    path.push_back(at);
    at = *std::find_if(needs[at].begin(), needs[at].end(), [&](int other) { return missing[other] > 0; });
  }
  std::vector<std::string> cycle;
  for (std::size_t i = std::size_t(place[at]); i < path.size(); ++i) cycle.push_back(name_of(path[i]));
  invalid("the message has a cycle of ", cycle.size(), " through ", some_of(cycle));
}

}  // namespace headrace
