#include "core/io/producer_defaults.h"

#include <optional>
#include <utility>
#include <vector>

#include "core/io/messages.h"

namespace headrace {

using wire::Reader;

ProducerDefaults::ProducerDefaults(std::string_view op_list) {
  for (Reader in(op_list); in.next();) {
    if (in.field() != 1) continue;
    std::string_view op;
    std::vector<std::pair<std::string_view, Reader>> defaults;
    for (Reader definition = in.message(); definition.next();) {
      if (definition.field() == 1) op = definition.text();
      if (definition.field() != 4) continue;
      std::string_view name;
      std::optional<Reader> value;
      for (Reader attr = definition.message(); attr.next();) {
        if (attr.field() == 1) name = attr.text();
        if (attr.field() == 3) value = attr.message();
      }
      if (value) defaults.emplace_back(name, *value);
    }
    for (auto& [name, value] : defaults) defaults_.emplace(str(op, '\n', name), value);
  }
}

bool ProducerDefaults::is_default(std::string_view op, std::string_view name, Reader value) const {
  if (is_empty_attr(value)) return true;
  const auto found = defaults_.find(str(op, '\n', name));
  if (found == defaults_.end()) return false;
  Expansion expansion;
  return equal(read_attr(found->second, "", expansion), read_attr(value, "", expansion));
}

}  // namespace headrace
