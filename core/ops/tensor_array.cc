// Definitions of tensor arrays as resources: what imported graphs keep the elements of a loop in. A step
// makes its own. The `flow`, a number without a meaning, orders reads after writes, and lets gradients
// through.
#include "core/graph/handle.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

OpDef& array(OpDef& definition, ShapeRule rule) {
  return definition.traits(Trait::stateful).shape(std::move(rule));
}

Shape element_shape(ShapeContext& c) { return handle_type(c.node().input(0)).shape; }

void read_shape(ShapeContext& c) { c.output(0, element_shape(c)); }

void gather_shape(ShapeContext& c) {
  const Shape element = element_shape(c).merge(c.attr<Shape>("element_shape"));
  c.output(0, c.with_rank(1, 1).concat(element));
}

void concat_shape(ShapeContext& c) {
  const Shape& rest = c.attr<Shape>("element_shape_except0");
  c.output(0, Shape{kUnknown}.concat(rest));
  c.output(1, Shape{kUnknown});
}

void grad_with_shape(ShapeContext& c) {
  c.with_rank(2, 1);
  scalar_shape(c);
}

void write_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.output(0, Shape());
}

void scatter_shape(ShapeContext& c) {
  c.with_rank(1, 1);
  c.with_rank_at_least(2, 1);
  c.output(0, Shape());
}

void split_shape(ShapeContext& c) {
  c.with_rank_at_least(1, 1);
  c.with_rank(2, 1);
  c.output(0, Shape());
}

constexpr const char* kArray = "handle: resource";
constexpr const char* kFlow = "flow_in: float32";
constexpr const char* kFlowOut = "flow_out: float32";

}  // namespace

HEADRACE_OPS(tensor_array) {
  array(op("TensorArrayV3")
            .in("size: int32")
            .out("handle: resource", "flow: float32")
            .attr("dtype: type", "element_shape: shape = ?", "dynamic_size: bool = false",
                  "clear_after_read: bool = true", "identical_element_shapes: bool = false",
                  "tensor_array_name: string = ''"),
        scalar_shape)
      .doc(
          "Makes an array of `size` elements without values, which writing past the end makes longer if it "
          "is "
          "`dynamic_size`.");
  array(
      op("TensorArrayGradV3").in(kArray, kFlow).out("grad_handle: resource", kFlowOut).attr("source: string"),
      scalar_shape)
      .doc(
          "The array for the gradients of an array's elements, made when it is first asked for by the name "
          "`source`. What is written twice is added up, what is not written is zeros.");
  array(op("TensorArrayGradWithShape")
            .in(kArray, kFlow, "shape_to_prepend: int32")
            .out("grad_handle: resource", kFlowOut)
            .attr("source: string"),
        grad_with_shape)
      .doc(
          "The same, where a gradient has further dimensions before those of its element: as many gradients "
          "of it as there are, beside each other.");
  array(op("TensorArrayWriteV3").in(kArray, "index: int32", "value: T", kFlow).out(kFlowOut).attr("T: type"),
        write_shape)
      .doc("Gives an element its value; only once, except in an array of gradients.");
  array(op("TensorArrayReadV3").in(kArray, "index: int32", kFlow).out("value: dtype").attr("dtype: type"),
        read_shape)
      .doc("The value of an element; only once if the array is cleared after reading.");
  array(op("TensorArrayGatherV3")
            .in(kArray, "indices: int32", kFlow)
            .out("value: dtype")
            .attr("dtype: type", "element_shape: shape = ?"),
        gather_shape)
      .doc("Packs the elements at these indices into a tensor.");
  array(op("TensorArrayScatterV3")
            .in(kArray, "indices: int32", "value: T", kFlow)
            .out(kFlowOut)
            .attr("T: type"),
        scatter_shape)
      .doc("Writes the rows of a tensor to the elements at these indices.");
  array(op("TensorArrayConcatV3")
            .in(kArray, kFlow)
            .out("value: dtype", "lengths: int64")
            .attr("dtype: type", "element_shape_except0: shape = ?"),
        concat_shape)
      .doc("Joins all elements along their first dimension, and tells how long each was.");
  array(
      op("TensorArraySplitV3").in(kArray, "value: T", "lengths: int64", kFlow).out(kFlowOut).attr("T: type"),
      split_shape)
      .doc(
          "Writes consecutive pieces of a tensor, of these lengths in the first dimension, to the elements.");
  array(op("TensorArraySizeV3").in(kArray, kFlow).out("size: int32"), scalar_shape)
      .traits(Trait::no_gradient)
      .doc("Counts the elements.");
  array(op("TensorArrayCloseV3").in(kArray), no_outputs)
      .traits(Trait::no_gradient)
      .doc("Removes all elements.");
}

}  // namespace headrace
