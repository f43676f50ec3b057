// Tensors, attribute values and shapes as messages: what can be read comes back the same when it is written.
#include "core/io/messages.h"

#include "tests/fuzz/fuzz.h"

FUZZ(messages) {
  using namespace headrace;
  if (bytes.empty()) return;
  const std::string_view rest = bytes.substr(1);
  if (bytes[0] % 2) {
    const Tensor tensor = from_tensor_proto(rest);
    if (tensor.bytes() > (1u << 22)) return;  // one element repeated: no more to be seen, but slow
    if (!identical(from_tensor_proto(to_tensor_proto(tensor)), tensor)) internal("another tensor came back");
  } else {
    const Attr value = from_attr_value(rest);
    if (!equal(from_attr_value(to_attr_value(value), attr_type(value)), value)) {
      // NaN is not itself.
      if (to_string(value).find("nan") == std::string::npos)
        internal("another value came back: ", to_string(value));
    }
  }
}
