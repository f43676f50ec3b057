// Rewrites of a function before it is compiled: one a file, listed in order in pipeline.cc, each nameable and
// disableable. A pass keeps values, side effects and their order; it may change anything else.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/graph/graph.h"
#include "core/registry/resource.h"

namespace headrace {

struct Pass {
  std::string_view name;  // "common_subexpressions"
  std::string_view doc;
  // Returns whether it changed anything.
  bool (*run)(Function& function, Resources& resources);
};

std::span<const Pass> pipeline();

// Specialises shapes, then runs the passes that are not disabled. With `verify_each`, the verifier runs after
// each.
void run_passes(Function& function, std::span<const std::string> disabled, bool verify_each,
                Resources& resources);

// Infers every node again, in order, from the shapes of the arguments.
void infer_all(Function& function);
// Removes what neither results nor targets need.
void prune(Function& function);
// Every use of `from`, as an input or as a result, becomes one of `to`.
void substitute(Function& function, Output from, Output to);
// Everything that reads, awaits or returns `from` does so with `to`, which has at least as many outputs.
void substitute(Function& function, Node& from, Node& to);

// The passes, each in the file of its name.
bool drop_unread(Function& function, Resources& resources);
bool fold_constants(Function& function, Resources& resources);
bool drop_waits(Function& function, Resources& resources);
bool remove_identities(Function& function, Resources& resources);
bool simplify_algebra(Function& function, Resources& resources);
bool merge_common_subexpressions(Function& function, Resources& resources);
bool sum_products_in_loops(Function& function, Resources& resources);
bool join_products(Function& function, Resources& resources);
bool fuse_post_operations(Function& function, Resources& resources);
bool fuse_elementwise(Function& function, Resources& resources);
bool join_updates(Function& function, Resources& resources);

}  // namespace headrace
