// Definitions of accumulators: gradients of several workers, added up for one update.
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kNumber =
    "dtype: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, uint16, uint32, uint64, "
    "complex64, complex128}";

Shape declared_shape(const ShapeContext& c) {
  return c.node().input(0).node->attr_or("shape", Shape::unknown());
}

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

void apply_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const Shape declared = declared_shape(c);
  require(declared.compatible_with(c.input(2)), "the gradient has shape ", c.input(2),
          ", the accumulator was made for ", declared);
}

void take_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.output(0, declared_shape(c));
}

void number_shape(ShapeContext& c) { c.output(0, Shape()); }

void set_step_shape(ShapeContext& c) { c.with_rank(1, 0); }

void apply_rows_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const Shape indices = c.with_rank(2, 1), values = c.with_rank_at_least(3, 1);
  c.with_rank(4, 1);
  if (!indices.has_rank() || !values.has_rank()) return;
  require(indices.compatible_with(values.slice(0, 1)), "there are ", indices.dim(0), " indices and ",
          values.dim(0), " rows of values; give a row for each index");
}

void take_rows_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const Shape declared = declared_shape(c);
  const bool known = declared.has_rank() && declared.rank() > 0;
  c.output(0, Shape{kUnknown});
  c.output(1, known ? Shape{kUnknown}.concat(declared.slice(1)) : Shape::unknown());
  c.output(2, Shape{known ? declared.rank() : kUnknown});
}

OpDef& maker(const std::string& name) {
  return op(name)
      .out("handle: resource")
      .attr(kNumber, "shape: shape", "container: string = ''", "shared_name: string = ''",
            "reduction_type: {'MEAN', 'SUM'} = 'MEAN'")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(handle_shape);
}

OpDef& access(const std::string& name, ShapeRule rule) {
  return op(name).in("handle: resource").traits(Trait::stateful, Trait::no_gradient).shape(std::move(rule));
}

}  // namespace

HEADRACE_OPS(accumulator) {
  // Both kinds of handle are resources here.
  for (const std::string kind : {"", "Resource"}) {
    maker(kind + "ConditionalAccumulator")
        .doc("A place where gradients are added up; those of steps that are over are dropped.");
    access(kind + "AccumulatorApplyGradient", apply_shape)
        .in("local_step: int64", "gradient: dtype")
        .attr(kNumber)
        .doc("Adds a gradient of a step to an accumulator, which drops it if that step is over.");
    access(kind + "AccumulatorTakeGradient", take_shape)
        .in("num_required: int32")
        .out("average: dtype")
        .attr(kNumber)
        .traits(Trait::blocking)
        .doc(
            "Waits until so many gradients have been added, gives their mean or sum, and goes on with the "
            "next "
            "step.");
    access(kind + "AccumulatorNumAccumulated", number_shape)
        .out("num_accumulated: int32")
        .doc("How many gradients have been added since the last was taken.");
    access(kind + "AccumulatorSetGlobalStep", set_step_shape)
        .in("new_global_step: int64")
        .doc("Tells an accumulator which step it is: gradients of earlier ones are dropped.");
  }
  maker("SparseConditionalAccumulator")
      .doc("A place where gradients of some rows are added up; those of steps that are over are dropped.");
  access("SparseAccumulatorApplyGradient", apply_rows_shape)
      .in("local_step: int64", "gradient_indices: int64", "gradient_values: dtype", "gradient_shape: int64")
      .attr(kNumber, "has_known_shape: bool")
      .doc("Adds a gradient of some rows of a step, which is dropped if that step is over.");
  access("SparseAccumulatorTakeGradient", take_rows_shape)
      .in("num_required: int32")
      .out("indices: int64", "values: dtype", "shape: int64")
      .attr(kNumber)
      .traits(Trait::blocking)
      .doc(
          "Waits until so many gradients have been added, gives the mean or sum of each row that has any, "
          "and "
          "goes on with the next step.");
}

}  // namespace headrace
