// The first versions of queues, readers, tables, stacks and the like hand out a string, often a reference to
// one, where later versions hand out a resource, and are the same otherwise. A message is rewritten to the
// later ones.
#pragma once

#include "core/io/graph_message.h"

namespace headrace {

// Where a handle passes through other nodes (a Switch, an Identity), these pass on a resource from then on.
void resolve_first_versions(GraphMessage& graph);

}  // namespace headrace
