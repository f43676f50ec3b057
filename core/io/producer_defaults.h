// The defaults of attributes, as the program that wrote a message knows them.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "core/io/wire.h"

namespace headrace {

class ProducerDefaults {
 public:
  explicit ProducerDefaults(std::string_view op_list);  // an OpList message
  bool is_default(std::string_view op, std::string_view name, wire::Reader value) const;

 private:
  std::unordered_map<std::string, wire::Reader> defaults_;
};

}  // namespace headrace
