// Typed attributes of nodes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/shape.h"
#include "core/base/tensor.h"

namespace headrace {

// A function of the graph's library by name: the value of a "func" attribute.
struct FunctionName {
  std::string name;
  bool operator==(const FunctionName&) const = default;
};

using Attr =
    std::variant<std::string, std::int64_t, float, bool, DType, Shape, Tensor, FunctionName,
                 std::vector<std::string>, std::vector<std::int64_t>, std::vector<float>, std::vector<bool>,
                 std::vector<DType>, std::vector<Shape>, std::vector<Tensor>, std::vector<FunctionName>>;
using AttrMap = std::map<std::string, Attr, std::less<>>;

// "string", "int", "float", "bool", "type", "shape", "tensor", "func", and "list(...)" of each.
std::string_view attr_type(const Attr& attr);
bool equal(const Attr& a, const Attr& b);
bool equal(const AttrMap& a, const AttrMap& b);
std::size_t hash_of(const Attr& attr);
// For messages and dumps; long lists and tensors are cut.
std::string to_string(const Attr& attr);

}  // namespace headrace
