// Definitions of operations on lists of tensors: values of their own (variants), so that a loop may carry
// them and a gradient may flow through them.
#include "core/graph/handle.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

// The shape of one element: what the operation is told, and what the list was made with.
Shape element_shape(ShapeContext& c, int told) {
  const Shape known = handle_type(c.node().input(0)).shape;
  return told < 0 ? known : known.merge(c.shape_value(told));
}

void list_shape(ShapeContext& c) { c.output(0, Shape()); }

void pop_shape(ShapeContext& c) {
  c.output(0, Shape());
  c.output(1, element_shape(c, 1));
}

void item_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.output(0, element_shape(c, 2));
}

void stack_shape(ShapeContext& c) {
  const std::int64_t count = c.attr<std::int64_t>("num_elements");
  c.output(0, Shape{count < 0 ? kUnknown : count}.concat(element_shape(c, 1)));
}

void gather_shape(ShapeContext& c) { c.output(0, c.with_rank(1, 1).concat(element_shape(c, 2))); }

void concat_shape(ShapeContext& c) {
  // The first dimension is the sum of the elements' own.
  const Shape element = element_shape(c, 1);
  c.output(0, element.has_rank() && element.rank() > 0 ? Shape{kUnknown}.concat(element.slice(1))
                                                       : Shape::unknown());
  c.output(1, Shape{kUnknown});
}

void element_shape_shape(ShapeContext& c) {
  const Shape element = handle_type(c.node().input(0)).shape;
  c.output(0, Shape{element.has_rank() ? element.rank() : kUnknown});
}

constexpr const char* kElement = "element_dtype: type";
constexpr const char* kShapeType = "shape_type: {int32, int64}";

}  // namespace

HEADRACE_OPS(list) {
  op("EmptyTensorList")
      .in("element_shape: shape_type", "max_num_elements: int32")
      .out("handle: variant")
      .attr(kElement, kShapeType)
      .shape(list_shape)
      .doc(
          "Makes an empty list. An element shape of -1, or with -1 in it, leaves open what it does not "
          "tell.");
  op("TensorListReserve")
      .in("element_shape: shape_type", "num_elements: int32")
      .out("handle: variant")
      .attr(kElement, kShapeType)
      .shape(list_shape)
      .doc("Makes a list of `num_elements` elements that have no value yet; one that is read is zeros.");
  op("TensorListFromTensor")
      .in("tensor: element_dtype", "element_shape: shape_type")
      .out("output_handle: variant")
      .attr(kElement, kShapeType)
      .shape(list_shape)
      .doc("Makes a list of the rows of a tensor.");
  op("TensorListPushBack")
      .in("input_handle: variant", "tensor: element_dtype")
      .out("output_handle: variant")
      .attr(kElement)
      .shape(list_shape)
      .doc("Adds an element at the end.");
  op("TensorListPopBack")
      .in("input_handle: variant", "element_shape: int32")
      .out("output_handle: variant", "tensor: element_dtype")
      .attr(kElement)
      .shape(pop_shape)
      .doc("Takes the last element off.");
  op("TensorListGetItem")
      .in("input_handle: variant", "index: int32", "element_shape: int32")
      .out("item: element_dtype")
      .attr(kElement)
      .shape(item_shape)
      .doc("Reads an element.");
  op("TensorListSetItem")
      .in("input_handle: variant", "index: int32", "item: element_dtype")
      .out("output_handle: variant")
      .attr(kElement, "resize_if_index_out_of_bounds: bool = false")
      .shape(list_shape)
      .doc("Replaces an element; a list that is too short gets more, if that is asked for.");
  op("TensorListLength")
      .in("input_handle: variant")
      .out("length: int32")
      .traits(Trait::no_gradient)
      .shape(scalar_shape)
      .doc("Counts the elements.");
  op("TensorListResize")
      .in("input_handle: variant", "size: int32")
      .out("output_handle: variant")
      .shape(list_shape)
      .doc("Cuts the list off, or adds elements without a value.");
  op("TensorListElementShape")
      .in("input_handle: variant")
      .out("element_shape: shape_type")
      .attr(kShapeType)
      .traits(Trait::no_gradient)
      .shape(element_shape_shape)
      .doc("The shape that elements have, with -1 for what is not known.");
  op("TensorListStack")
      .in("input_handle: variant", "element_shape: int32")
      .out("tensor: element_dtype")
      .attr(kElement, "num_elements: int = -1")
      .shape(stack_shape)
      .doc("Packs all elements, of one shape, into a tensor.");
  op("TensorListGather")
      .in("input_handle: variant", "indices: int32", "element_shape: int32")
      .out("values: element_dtype")
      .attr(kElement)
      .shape(gather_shape)
      .doc("Packs the elements at these indices.");
  op("TensorListScatterV2")
      .in("tensor: element_dtype", "indices: int32", "element_shape: shape_type", "num_elements: int32")
      .out("output_handle: variant")
      .attr(kElement, kShapeType)
      .shape(list_shape)
      .doc(
          "Makes a list with row i of the tensor at indices[i], of `num_elements` elements or as many as are "
          "needed. Rows for the same index are added up.");
  op("TensorListScatterIntoExistingList")
      .in("input_handle: variant", "tensor: element_dtype", "indices: int32")
      .out("output_handle: variant")
      .attr(kElement)
      .shape(list_shape)
      .doc(
          "Replaces the elements at these indices by the rows of a tensor. Rows for the same index are added "
          "up.");
  op("TensorListConcatV2")
      .in("input_handle: variant", "element_shape: shape_type", "leading_dims: int64")
      .out("tensor: element_dtype", "lengths: int64")
      .attr(kElement, kShapeType)
      .shape(concat_shape)
      .doc("Joins the elements along their first dimension, and tells how long each was.");
  op("TensorListSplit")
      .in("tensor: element_dtype", "element_shape: shape_type", "lengths: int64")
      .out("output_handle: variant")
      .attr(kElement, kShapeType)
      .shape(list_shape)
      .doc("Makes a list of consecutive pieces of a tensor, of these lengths in the first dimension.");
}

}  // namespace headrace
