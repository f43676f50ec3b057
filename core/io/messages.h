// Shapes, tensors, attribute values and definitions as protocol messages (schema/tensor.proto, graph.proto).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/graph/attr.h"
#include "core/graph/op_def.h"
#include "core/io/wire.h"

namespace headrace {

// A message may say "a million times 0.5" in a few bytes. Elements beyond those that stand in the message are
// counted against this many bytes for one import.
struct Expansion {
  std::int64_t bytes_left = std::int64_t(1) << 29;
};

void write_shape(wire::Writer& out, const Shape& shape);
Shape read_shape(wire::Reader in);

void write_tensor(wire::Writer& out, const Tensor& tensor);
// Unimplemented for element types that have no value in a message (resources, variants).
Tensor read_tensor(wire::Reader in, Expansion& expansion);

// The wire's dtype number, where references (numbers above 100) count as what they refer to.
DType read_dtype(std::uint64_t number);

void write_attr(wire::Writer& out, const Attr& value);
// `type` is the attribute's type in its definition, or "" if there is none: then the message decides.
Attr read_attr(wire::Reader in, std::string_view type, Expansion& expansion);
// Whether the value is the empty one of its kind: false, 0, "", no elements. Attributes that later versions
// of a definition add tend to have it for a default.
bool is_empty_attr(wire::Reader in);

void write_op_def(wire::Writer& out, const OpDef& op);

// Whole messages.
std::string to_tensor_proto(const Tensor& tensor);
Tensor from_tensor_proto(std::string_view bytes);
std::string to_attr_value(const Attr& value);
Attr from_attr_value(std::string_view bytes, std::string_view type = "");
std::string to_op_def(const OpDef& op);

}  // namespace headrace
