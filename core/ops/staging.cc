// Definitions of staging areas: a few elements kept ready for the next steps.
#include "core/registry/ops.h"

namespace headrace {
namespace {

void index_shape(ShapeContext& c) {
  c.with_rank(0, 0);
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, Shape::unknown());
}

void element_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, Shape::unknown());
}

OpDef& staging(OpDef& definition, const char* dtypes, ShapeRule rule) {
  return definition
      .attr("capacity: int >= 0 = 0", "memory_limit: int >= 0 = 0", dtypes, "container: string = ''",
            "shared_name: string = ''")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(std::move(rule));
}

void key_shapes(ShapeContext& c) {
  c.with_rank(0, 0);
  c.with_rank(1, 1);
}

// The places of an element that are given: all, or some in ascending order.
void put_shape(ShapeContext& c) {
  key_shapes(c);
  const std::int64_t given = c.num_inputs() - 2;
  require(c.input(1).compatible_with(Shape{given}), "indices has shape ", c.input(1), "; there are ", given,
          " values, give the place of each");
}

void get_shape(ShapeContext& c) {
  key_shapes(c);
  element_shape(c);
}

void get_any_shape(ShapeContext& c) {
  c.with_rank(0, 1);
  element_shape(c);
  c.output(0, Shape());
}

constexpr const char* kSome = "dtypes: list(type) >= 1";
constexpr const char* kAny = "dtypes: list(type)";

}  // namespace

HEADRACE_OPS(staging) {
  staging(op("Stage").in("values: dtypes"), kSome, no_outputs)
      .traits(Trait::blocking)
      .doc("Puts an element into a staging area, waiting while it is full.");
  staging(op("Unstage").out("values: dtypes"), kSome, element_shape)
      .traits(Trait::blocking)
      .doc("Takes the oldest element out of a staging area, waiting for it.");
  staging(op("StagePeek").in("index: int32").out("values: dtypes"), kSome, index_shape)
      .traits(Trait::blocking)
      .doc("An element of a staging area, which stays there; waits until there is one at the index.");
  staging(op("StageSize").out("size: int32"), kAny, scalar_shape).doc("How many elements are staged.");
  staging(op("StageClear"), kAny, no_outputs).doc("Removes all elements from a staging area.");

  for (const std::string kind : {"Map", "OrderedMap"}) {
    staging(op(kind + "Stage").in("key: int64", "indices: int32", "values: fake_dtypes"), kAny, put_shape)
        .attr("fake_dtypes: list(type) >= 1")
        .traits(Trait::blocking)
        .doc("Stages an element under a key, or some of its components, waiting while the area is full.");
    staging(op(kind + "Unstage").in("key: int64", "indices: int32").out("values: dtypes"), kSome, get_shape)
        .traits(Trait::blocking)
        .doc("Takes components of the element under a key, waiting until it is complete.");
    staging(op(kind + "UnstageNoKey").in("indices: int32").out("key: int64", "values: dtypes"), kSome,
            get_any_shape)
        .traits(Trait::blocking)
        .doc("Takes components of the element with the smallest key, waiting for one.");
    staging(op(kind + "Peek").in("key: int64", "indices: int32").out("values: dtypes"), kSome, get_shape)
        .traits(Trait::blocking)
        .doc("Components of the element under a key, which stay there; waits until it is complete.");
    staging(op(kind + "Size").out("size: int32"), kAny, scalar_shape)
        .doc("How many elements are complete in a staging area with keys.");
    staging(op(kind + "IncompleteSize").out("size: int32"), kAny, scalar_shape)
        .doc("How many elements of a staging area with keys have some of their components only.");
    staging(op(kind + "Clear"), kAny, no_outputs).doc("Removes all elements from a staging area with keys.");
  }
}

}  // namespace headrace
