// Kernels of operations on files: checkpoints, and files as a whole.
#include <filesystem>

#include "core/io/checkpoint.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

std::unique_ptr<Kernel> prepare_save(PrepareContext& c) {
  const int count = c.num_inputs() - 3;
  require(c.input_shape(1).size() == count && c.input_shape(2).size() == count, "there are ",
          c.input_shape(1).size(), " names and ", c.input_shape(2).size(), " slices for ", count,
          " tensors; give each of them both");
  return kernel([count](RunContext& r) {
    CheckpointWriter out(*r.input<std::string>(0));
    const std::string* names = r.input<std::string>(1);
    const std::string* specs = r.input<std::string>(2);
    for (int i = 0; i < count; ++i) {
      // Written from where it is: a read variable is a snapshot already.
      const Tensor tensor = r.lent_tensor(3 + i);
      if (specs[i].empty()) {
        out.add(names[i], tensor);
      } else {
        const auto [whole, slice] = parse_slice(specs[i]);
        out.add_slice(names[i], whole, slice, tensor);
      }
    }
    out.finish();
  });
}

std::unique_ptr<Kernel> prepare_restore(PrepareContext& c) {
  const int count = c.num_outputs();
  require(c.input_shape(1).size() == count && c.input_shape(2).size() == count, "there are ",
          c.input_shape(1).size(), " names and ", c.input_shape(2).size(), " slices for ", count,
          " tensors; give each of them both");
  for (int i = 0; i < count; ++i) c.own_output(i);
  std::vector<ValueType> types(c.outputs().begin(), c.outputs().end());
  return kernel([types](RunContext& r) {
    const std::string& prefix = *r.input<std::string>(0);
    const std::string* names = r.input<std::string>(1);
    const std::string* specs = r.input<std::string>(2);
    const Checkpoint in(prefix);
    for (int i = 0; i < int(types.size()); ++i) {
      const Checkpoint::Entry& entry = in.entry(names[i]);
      require(entry.dtype == types[i].dtype || entry.dtype == DType::invalid, "the tensor '", names[i],
              "' of the checkpoint '", prefix, "' is ", name_of(entry.dtype), ", not ",
              name_of(types[i].dtype));
      if (specs[i].empty()) {
        r.set_output(i, in.read(names[i]));
        continue;
      }
      const auto [whole, slice] = parse_slice(specs[i]);
      require(entry.shape == whole, "the tensor '", names[i], "' of the checkpoint '", prefix,
              "' has the shape ", entry.shape, ", the slice '", specs[i], "' is one of ", whole);
      r.set_output(i, in.read(names[i], slice));
    }
  });
}

std::unique_ptr<Kernel> prepare_merge(PrepareContext& c) {
  return kernel([count = c.input_shape(0).size(), remove = c.attr<bool>("delete_old_dirs")](RunContext& r) {
    merge_checkpoints({r.input<std::string>(0), std::size_t(count)}, *r.input<std::string>(1), remove);
  });
}

std::unique_ptr<Kernel> prepare_name(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    const std::int32_t shard = *r.input<std::int32_t>(1), shards = *r.input<std::int32_t>(2);
    require(shard >= 0 && shard < shards, "there is no file ", shard, " of ", shards);
    r.set_output(0, Tensor::scalar(sharded_name(*r.input<std::string>(0), shard, shards)));
  });
}

std::unique_ptr<Kernel> prepare_spec(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    r.set_output(0, Tensor::scalar(sharded_name(*r.input<std::string>(0), -1, *r.input<std::int32_t>(1))));
  });
}

std::unique_ptr<Kernel> prepare_read_file(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) { r.set_output(0, Tensor::scalar(read_file(*r.input<std::string>(0)))); });
}

std::unique_ptr<Kernel> prepare_write_file(PrepareContext&) {
  return kernel([](RunContext& r) {
    const std::filesystem::path path(*r.input<std::string>(0));
    std::error_code error;
    if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
    write_file(path.string(), *r.input<std::string>(1));  // says what is wrong
  });
}

}  // namespace

HEADRACE_KERNELS(io) {
  add_kernel("ReadFile", prepare_read_file);
  add_kernel("WriteFile", prepare_write_file);
  add_kernel("SaveV2", prepare_save);
  add_kernel("RestoreV2", prepare_restore);
  add_kernel("MergeV2Checkpoints", prepare_merge);
  add_kernel("ShardedFilename", prepare_name);
  add_kernel("ShardedFilespec", prepare_spec);
}

}  // namespace headrace
