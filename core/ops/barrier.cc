// Definitions of barriers: elements that are put together from components which come one by one.
#include "core/registry/ops.h"

namespace headrace {
namespace {

void handle_shape(ShapeContext& c) { c.output(0, Shape()); }

void insert_shape(ShapeContext& c) {
  const Shape keys = c.with_rank(1, 1), values = c.with_rank_at_least(2, 1);
  if (!keys.has_rank() || !values.has_rank()) return;
  require(keys.compatible_with(values.slice(0, 1)), "keys has ", keys.dim(0), " elements, values has ",
          values.dim(0), " rows; give a row for each key");
}

void take_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const auto count = c.int_value(1);
  require(!count || *count >= 0, "num_elements is ", count.value_or(0), "; it must not be negative");
  const bool fewer = c.attr<bool>("allow_small_batch");
  const std::int64_t rows = fewer ? kUnknown : count.value_or(kUnknown);
  c.output(0, Shape{rows});
  c.output(1, Shape{rows});
  const Node& maker = *c.node().input(0).node;
  const auto shapes = maker.attr_or("shapes", std::vector<Shape>());
  for (int i = 2; i < c.num_outputs(); ++i) {
    const auto component = std::size_t(i - 2);
    const bool known = component < shapes.size() && shapes[component].has_rank();
    c.output(i, known ? Shape{rows}.concat(shapes[component]) : Shape::unknown());
  }
}

OpDef& access(const char* name, ShapeRule rule) {
  return op(name).in("handle: resource").traits(Trait::stateful, Trait::no_gradient).shape(std::move(rule));
}

constexpr const char* kTypes = "component_types: list(type) >= 1";

}  // namespace

HEADRACE_OPS(barrier) {
  op("Barrier")
      .out("handle: resource")
      .attr(kTypes, "shapes: list(shape) >= 0 = []", "capacity: int = -1", "container: string = ''",
            "shared_name: string = ''")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(handle_shape)
      .doc("A place where components with equal keys, which come one by one, become elements.");
  access("BarrierInsertMany", insert_shape)
      .in("keys: string", "values: T")
      .attr("T: type", "component_index: int")
      .doc("Gives the elements of some keys one of their components.");
  access("BarrierTakeMany", take_shape)
      .in("num_elements: int32")
      .out("indices: int64", "keys: string", "values: component_types")
      .attr(kTypes, "allow_small_batch: bool = false", "wait_for_incomplete: bool = false",
            "timeout_ms: int = -1")
      .traits(Trait::blocking)
      .doc(
          "Takes complete elements out of a barrier, waiting for them; those whose keys came first go "
          "first.");
  access("BarrierClose", no_outputs)
      .attr("cancel_pending_enqueues: bool = false")
      .doc(
          "Closes a barrier: no new keys come in. Elements that have begun may be completed, unless what is "
          "pending is cancelled.");
  access("BarrierReadySize", scalar_shape).out("size: int32").doc("How many elements are complete.");
  access("BarrierIncompleteSize", scalar_shape)
      .out("size: int32")
      .doc("How many elements have some of their components only.");
}

}  // namespace headrace
