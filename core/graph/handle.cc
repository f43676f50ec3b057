#include "core/graph/handle.h"

namespace headrace {

HandleType handle_type(Output handle) {
  while (handle.node->has(Trait::identity) && !handle.node->inputs().empty()) {
    handle = handle.node->input(handle.index < int(handle.node->inputs().size()) ? handle.index : 0);
  }
  const Node& maker = *handle.node;
  if (maker.has_attr("shared_name") && maker.has_attr("shape")) {
    return {maker.attr_or("dtype", DType::invalid), maker.attr_or("shape", Shape::unknown())};
  }
  if (maker.has_attr("tensor_array_name")) {
    return {maker.attr_or("dtype", DType::invalid), maker.attr_or("element_shape", Shape::unknown())};
  }
  const auto dtypes = maker.attr_or("_handle_dtypes", std::vector<DType>());
  const auto shapes = maker.attr_or("_handle_shapes", std::vector<Shape>());
  return {dtypes.size() == 1 ? dtypes[0] : DType::invalid, shapes.size() == 1 ? shapes[0] : Shape::unknown()};
}

void annotate_argument(Node& argument, const HandleType& type) {
  if (type.dtype == DType::invalid) return;
  argument.set_attr("_handle_dtypes", std::vector<DType>{type.dtype});
  argument.set_attr("_handle_shapes", std::vector<Shape>{type.shape});
}

HandleType held_type(const Tensor& variant) {
  const auto* holder = dynamic_cast<const Holder*>(variant.data<VariantRef>()->get());
  return holder ? holder->holds() : HandleType{};
}

}  // namespace headrace
