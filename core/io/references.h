// Reference variables of older graphs, turned into resources.
//
// In graphs of TensorFlow 1 a variable is a node whose output is a reference to a buffer: `Assign` writes
// through it and passes it on, and any other node may read it like a tensor. Here state is a resource, so
// the message is rewritten before nodes are made of it:
//
//   v = VariableV2            v/handle = VarHandleOp named "v"    v = ReadVariableOp(v/handle)
//   a = Assign(v, x)          a/update = AssignVariableOp(v/handle, x)
//                             a = ReadVariableOp(v/handle) after a/update
//   y = Neg(v) after ^a       y/read = ReadVariableOp(v/handle) after ^a     y = Neg(y/read) after ^a
//
// Every node keeps its name, so what was fetched, fed, restored or run by name still is. A reader sees the
// updates that it waits for, directly or not; where it waits for none, it reads `v` itself. The same holds
// for who reads an Identity of `v`: there it would share the buffer, and moving averages that are taken after
// a training step count on it.
#pragma once

#include "core/io/graph_message.h"

namespace headrace {

// Rewrites the graph's nodes (not those of functions, which cannot hold references). Operations that are
// known neither as they are nor as resources stay, for the list of unknown ones. InvalidArgument if an update
// is of something that is no variable.
void resolve_references(GraphMessage& graph);

}  // namespace headrace
