// Definitions of operations on files: checkpoints.
#include "core/graph/graph.h"
#include "core/io/checkpoint.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

void names_of(ShapeContext& c, int names, int specs) {
  c.with_rank(0, 0);
  c.with_rank(names, 1).merge(c.with_rank(specs, 1));
}

void save_shape(ShapeContext& c) {
  names_of(c, 1, 2);
  const Shape& names = c.input(1);
  require(names.rank() != 1 || names[0] == kUnknown || names[0] == c.num_inputs() - 3, "there are ", names[0],
          " names for ", c.num_inputs() - 3, " tensors; give each a name");
}

// Where a slice is asked for, its shape is known; else the file tells.
void restore_shape(ShapeContext& c) {
  names_of(c, 1, 2);
  const Tensor* specs = c.value(2);
  if (specs) {
    require(specs->size() == c.num_outputs(), "there are ", specs->size(), " slices for ", c.num_outputs(),
            " tensors; give each one, which may be ''");
  }
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.output(i, Shape::unknown());
    if (!specs || specs->flat<std::string>()[std::size_t(i)].empty()) continue;
    const auto [whole, slice] = parse_slice(specs->flat<std::string>()[std::size_t(i)]);
    c.output(i, slice_shape(whole, slice));
  }
}

void scalars_to_scalar(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) c.with_rank(i, 0);
  scalar_shape(c);
}

}  // namespace

HEADRACE_OPS(io) {
  op("SaveV2")
      .in("prefix: string", "tensor_names: string", "shape_and_slices: string", "tensors: dtypes")
      .attr("dtypes: list(type) >= 1")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(save_shape)
      .doc("Writes tensors to a checkpoint, which is there all at once or not at all.");
  op("RestoreV2")
      .in("prefix: string", "tensor_names: string", "shape_and_slices: string")
      .out("tensors: dtypes")
      .attr("dtypes: list(type) >= 1")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(restore_shape)
      .doc("Reads tensors, or slices of them, from a checkpoint, and verifies their checksums.");
  op("MergeV2Checkpoints")
      .in("checkpoint_prefixes: string", "destination_prefix: string")
      .attr("delete_old_dirs: bool = true")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape([](ShapeContext& c) {
        c.with_rank(0, 1);
        c.with_rank(1, 0);
      })
      .doc("Makes one checkpoint of several, by renaming their files.");
  op("ShardedFilename")
      .in("basename: string", "shard: int32", "num_shards: int32")
      .out("filename: string")
      .traits(Trait::no_gradient)
      .shape(scalars_to_scalar)
      .doc("The name of one of several files, such as \"model-00000-of-00002\".");
  op("ReadFile")
      .in("filename: string")
      .out("contents: string")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(scalars_to_scalar)
      .doc("The whole contents of a file.");
  op("WriteFile")
      .in("filename: string", "contents: string")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape([](ShapeContext& c) {
        c.with_rank(0, 0);
        c.with_rank(1, 0);
      })
      .doc("Writes a file, and the folders that it is in.");
  op("ShardedFilespec")
      .in("basename: string", "num_shards: int32")
      .out("filename: string")
      .traits(Trait::no_gradient)
      .shape(scalars_to_scalar)
      .doc("A pattern that matches the names of several files, such as \"model-\?\?\?\?\?-of-00002\".");
}

}  // namespace headrace
