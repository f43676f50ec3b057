#include "core/registry/joined.h"

#include <unordered_map>

#include "core/registry/ops.h"

namespace headrace {
namespace {

std::unordered_map<const OpDef*, const OpDef*>& joined() {
  static std::unordered_map<const OpDef*, const OpDef*> by_base;
  return by_base;
}

}  // namespace

void define_joined(OpDef& base) {
  const std::string name = "_Joined" + base.name();
  joined()[&base] = &(op(name) = base.renamed(name)
                                     .in("others: Tothers")
                                     .attr("Tothers: list(type)")
                                     .traits(Trait::stateful, Trait::no_gradient)
                                     .shape(no_outputs)
                                     .doc("The plans' own: several " + base.name() + ", all at once."));
}

const OpDef* joined_of(const OpDef& base) {
  const auto found = joined().find(&base);
  return found == joined().end() ? nullptr : found->second;
}

}  // namespace headrace
