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
}

}  // namespace headrace
