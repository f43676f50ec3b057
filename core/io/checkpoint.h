// Checkpoints: tensors by name, in TensorFlow's formats.
//
// Version 2 is written and read. `<prefix>.index` is a table (table.h) with a BundleHeaderProto under the
// empty key and a BundleEntryProto for each tensor (schema/checkpoint.proto),
// `<prefix>.data-<shard>-of-<shards>` hold the elements. A tensor may be stored in slices: its entry lists
// them, and each has an entry of its own under a key that is made of the name and the slice. Version 1, a
// table with all in it, is only read.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/tensor.h"
#include "core/io/file.h"
#include "core/io/table.h"

namespace headrace {

// A range of one dimension; all of it if the length is kUnknown.
struct Extent {
  std::int64_t start = 0;
  std::int64_t length = kUnknown;
  bool operator==(const Extent&) const = default;
};
using Slice = std::vector<Extent>;

// "4 3 0,2:-": the first two rows of a tensor of shape (4, 3). InvalidArgument for what is no such text, or
// reaches beyond the shape.
std::pair<Shape, Slice> parse_slice(std::string_view spec);
// The shape of a slice of a tensor.
Shape slice_shape(const Shape& whole, const Slice& slice);

class Checkpoint {
 public:
  struct Entry {
    DType dtype = DType::invalid;  // invalid for one that only other programs have
    Shape shape;
    std::vector<Slice> slices;  // that it is stored in, if it is
    int shard = 0;
    std::int64_t offset = 0;
    std::int64_t size = 0;
    std::uint32_t crc = 0;  // masked
  };

  // Reads the index. NotFound if there is none, DataLoss if it is damaged.
  explicit Checkpoint(std::string prefix);

  int shards() const { return shards_; }
  const std::map<std::string, Entry, std::less<>>& pieces() const { return pieces_; }  // by key
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  // NotFound, with the nearest names, if it is not there.
  const Entry& entry(std::string_view name) const;
  // DataLoss, with file, offset and tensor, if what is stored is damaged.
  Tensor read(std::string_view name) const;
  Tensor read(std::string_view name, const Slice& slice) const;

 private:
  Tensor elements(std::string_view name, const Entry& entry) const;
  Tensor old_elements(std::string_view name, const Entry& entry, const Slice& slice) const;
  void read_index();
  void read_old(const std::string& path);
  const File& file(int shard) const;

  std::string prefix_;
  int shards_ = 1;
  bool old_ = false;
  std::map<std::string, Entry, std::less<>> entries_;  // by name
  std::map<std::string, Entry, std::less<>> pieces_;   // slices, by key
  Table old_pieces_;                                   // the same, of version 1
  mutable std::mutex mutex_;
  mutable std::map<int, File> files_;
};

// Writes a checkpoint under other names, which `finish` replaces by the right ones: until then, and if
// anything fails, a checkpoint that was there stays whole.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(std::string prefix);
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // AlreadyExists for a name that has been added.
  void add(const std::string& name, const Tensor& tensor);
  // `tensor` is a slice of the tensor `name`, of shape `whole`.
  void add_slice(const std::string& name, const Shape& whole, const Slice& slice, const Tensor& tensor);
  void finish();

 private:
  void put(const std::string& key, const Tensor& tensor);
  std::string prefix_, temporary_;
  std::optional<File> file_;
  std::int64_t size_ = 0;
  std::map<std::string, Checkpoint::Entry, std::less<>> entries_;
};

// Makes one checkpoint of several, by renaming their data files. Tensors that are in several of them must be
// there in different slices.
void merge_checkpoints(std::span<const std::string> prefixes, const std::string& destination,
                       bool delete_old_folders);

// "<basename>-00000-of-00001" or, for `shard` = -1, "<basename>-?????-of-00001".
std::string sharded_name(std::string_view basename, int shard, int shards);

}  // namespace headrace
