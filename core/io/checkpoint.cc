#include "core/io/checkpoint.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "core/base/parallel.h"
#include "core/io/crc32c.h"
#include "core/io/messages.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kBlockBytes = 512 << 10;  // of a tensor, summed while it is in the cache
constexpr double kByteCost = 0.3;                // ns to sum and move one
constexpr int kMostShards = 1 << 20;
constexpr int kVersion = 1;

std::string data_name(const std::string& prefix, int shard, int shards) {
  return sharded_name(prefix + ".data", shard, shards);
}
std::string index_name(const std::string& prefix) { return prefix + ".index"; }

std::string printed(const Slice& slice) {
  std::string text;
  for (const Extent& extent : slice) {
    if (!text.empty()) text += ':';
    text += extent.length == kUnknown ? "-" : str(extent.start, ',', extent.length);
  }
  return text;
}

// A name as errors show it: a zero in it would end them.
std::string shown(std::string_view name) {
  std::string text(name);
  for (std::size_t at; (at = text.find('\0')) != text.npos;) text.replace(at, 1, "\\0");
  return text;
}

// ---- slices

// Where a slice lies in the whole.
Slice placed(const Shape& whole, const Slice& slice) {
  require(int(slice.size()) == whole.rank() || slice.empty(), "the slice ", printed(slice), " has ",
          slice.size(), " dimensions, the tensor has the shape ", whole);
  Slice made(std::size_t(whole.rank()));
  for (std::size_t i = 0; i < made.size(); ++i) {
    const std::int64_t size = whole[int(i)];
    made[i] = {0, size};
    if (slice.empty() || slice[i].length == kUnknown) continue;
    const auto [start, length] = made[i] = slice[i];
    require(start >= 0 && length >= 0 && start <= size && length <= size - start, "the slice ",
            printed(slice), " reaches beyond the shape ", whole);
  }
  return made;
}

// Copies what two boxes of one tensor have in common; returns how many elements.
std::int64_t copy_common(const Tensor& from, const Slice& from_box, const Tensor& to, const Slice& to_box) {
  const std::size_t rank = from_box.size();
  const std::size_t width = size_of(from.dtype());
  const auto from_strides = strides_of(from.shape().dims()), to_strides = strides_of(to.shape().dims());
  std::vector<std::int64_t> counts(rank);
  std::int64_t from_at = 0, to_at = 0, total = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t start = std::max(from_box[i].start, to_box[i].start);
    const std::int64_t end =
        std::min(from_box[i].start + from_box[i].length, to_box[i].start + to_box[i].length);
    if (end <= start) return 0;
    counts[i] = end - start;
    total *= counts[i];
    from_at += (start - from_box[i].start) * from_strides[i];
    to_at += (start - to_box[i].start) * to_strides[i];
  }
  const auto copy = [&](auto& self, std::size_t axis, std::int64_t source, std::int64_t target) -> void {
    if (axis + 1 < rank) {
      for (std::int64_t i = 0; i < counts[axis]; ++i) {
        self(self, axis + 1, source + i * from_strides[axis], target + i * to_strides[axis]);
      }
      return;
    }
    copy_elements(from.dtype(), static_cast<const char*>(from.raw()) + std::size_t(source) * width,
                  static_cast<char*>(to.raw()) + std::size_t(target) * width, rank ? counts[axis] : 1);
  };
  copy(copy, 0, from_at, to_at);
  return total;
}

// Keys of slices are made so that their order as bytes is that of name and numbers. Lengths of numbers stand
// in their first bits; strings end with a 0 byte, so that a 0 within one needs an escape.
void put_number(std::string& key, std::uint64_t value) {
  const int bytes = (int(std::bit_width(value)) + 7) / 8;
  key.push_back(char(bytes));
  for (int i = bytes - 1; i >= 0; --i) key.push_back(char(value >> (8 * i)));
}

void put_signed(std::string& key, std::int64_t value) {
  const std::uint64_t magnitude = std::uint64_t(value < 0 ? ~value : value);
  int bytes = 1;
  while (bytes < 10 && int(std::bit_width(magnitude)) >= 7 * bytes) ++bytes;
  std::string text(10, char(value < 0 ? 0xff : 0));
  for (int i = 0; i < 8; ++i) text[std::size_t(9 - i)] = char(value >> (8 * i));
  text.erase(0, std::size_t(10 - bytes));
  // As many 1 bits as bytes stand in front, inverted if the number is negative.
  text[0] ^= char(bytes >= 8 ? 0xff : 0xff << (8 - bytes));
  if (bytes > 8) text[1] ^= char(0xff << (16 - bytes));
  key += text;
}

std::string key_of(std::string_view name, const Slice& slice) {
  std::string key;
  put_number(key, 0);
  for (const char c : name) {
    key.push_back(c);
    if (c == '\0') key.push_back('\xff');
    if (c == '\xff') key.push_back('\0');
  }
  key.append("\0\1", 2);
  put_number(key, slice.size());
  for (const Extent& extent : slice) {
    put_signed(key, extent.length == kUnknown ? 0 : extent.start);
    put_signed(key, extent.length);
  }
  return key;
}

// ---- messages

Slice read_slice(wire::Reader in) {
  Slice slice;
  while (in.next()) {
    if (in.field() != 1) continue;
    Extent extent;
    for (wire::Reader one = in.message(); one.next();) {
      if (one.field() == 1)
        extent.start = one.integer();
      else if (one.field() == 2)
        extent.length = one.integer();
    }
    slice.push_back(extent);
  }
  return slice;
}

void write_slice(wire::Writer& out, const Slice& slice) {
  for (const Extent& extent : slice) {
    out.message(1, [&](wire::Writer& one) {
      if (extent.length == kUnknown) return;
      one.integer(1, extent.start);
      one.varint_element(2, std::uint64_t(extent.length));
    });
  }
}

DType dtype_or_invalid(std::uint64_t number) {
  if (number > 100) number -= 100;  // a reference
  return number < 100 && is_valid(DType(number)) ? DType(number) : DType::invalid;
}

Checkpoint::Entry read_entry(std::string_view bytes) {
  Checkpoint::Entry entry;
  for (wire::Reader in(bytes); in.next();) {
    switch (in.field()) {
      case 1:
        entry.dtype = dtype_or_invalid(in.varint());
        break;
      case 2:
        entry.shape = read_shape(in.message());
        break;
      case 3:
        entry.shard = int(in.integer());
        break;
      case 4:
        entry.offset = in.integer();
        break;
      case 5:
        entry.size = in.integer();
        break;
      case 6:
        entry.crc = in.fixed32();
        break;
      case 7:
        entry.slices.push_back(read_slice(in.message()));
        break;
    }
  }
  require(entry.shape.is_full(), "its shape ", entry.shape, " is not fully known");
  entry.shape.size();  // overflows?
  require(entry.offset >= 0 && entry.size >= 0 && entry.offset <= INT64_MAX - entry.size, "it has ",
          entry.size, " bytes at ", entry.offset);
  return entry;
}

std::string entry_message(const Checkpoint::Entry& entry) {
  wire::Writer out;
  out.integer(1, int(entry.dtype));
  out.message(2, [&](wire::Writer& shape) { write_shape(shape, entry.shape); });
  out.integer(3, entry.shard);
  out.integer(4, entry.offset);
  out.integer(5, entry.size);
  if (entry.crc) out.fixed32_element(6, entry.crc);
  for (const Slice& slice : entry.slices) {
    out.message(7, [&](wire::Writer& one) { write_slice(one, slice); });
  }
  return out.take();
}

std::string index_bytes(const std::map<std::string, Checkpoint::Entry, std::less<>>& entries, int shards) {
  Table table;
  wire::Writer header;
  header.integer(1, shards);
  header.message(3, [](wire::Writer& version) { version.integer(1, kVersion); });
  table[""] = header.take();
  for (const auto& [key, entry] : entries) table[key] = entry_message(entry);
  return write_table(table);
}

// The number of data files that the index under this prefix speaks of; 0 if there is no index to save.
int shards_at(const std::string& prefix) {
  try {
    return is_file(index_name(prefix)) ? Checkpoint(prefix).shards() : 0;
  } catch (const Error&) {
    return 0;
  }
}

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

void add_slice_to(std::map<std::string, Checkpoint::Entry, std::less<>>& entries, const std::string& name,
                  DType dtype, const Shape& whole, std::span<const Slice> slices) {
  auto [at, added] = entries.try_emplace(name);
  Checkpoint::Entry& entry = at->second;
  if (added) {
    entry.dtype = dtype;
    entry.shape = whole;
  }
  if (!added && entry.slices.empty())
    fail(Code::already_exists, "the tensor '", shown(name), "' is there already, whole");
  require(entry.dtype == dtype && entry.shape == whole, "slices of the tensor '", shown(name), "' are of ",
          name_of(dtype), " ", whole, " and of ", name_of(entry.dtype), " ", entry.shape);
  entry.slices.insert(entry.slices.end(), slices.begin(), slices.end());
}

}  // namespace

std::pair<Shape, Slice> parse_slice(std::string_view spec) {
  const auto wrong = [&]() {
    invalid("'", spec, "' is no shape and slice; an example of one is \"4 3 0,2:-\"");
  };
  const auto number = [&](std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) wrong();
    return value;
  };
  std::string_view rest = spec;
  const auto next = [&](char end) {
    const std::string_view word = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    return word;
  };
  const std::size_t last = spec.rfind(' ');
  if (last == spec.npos) wrong();
  std::string_view sizes = spec.substr(0, last), parts = spec.substr(last + 1);
  Shape whole;
  for (rest = sizes; !rest.empty();) whole.push_back(number(next(' ')));
  Slice slice;
  for (rest = parts; !rest.empty();) {
    const std::string_view part = next(':');
    if (part == "-") {
      slice.emplace_back();
      continue;
    }
    const std::size_t comma = part.find(',');
    if (comma == part.npos) wrong();
    slice.push_back({number(part.substr(0, comma)), number(part.substr(comma + 1))});
  }
  if (int(slice.size()) != whole.rank()) wrong();
  placed(whole, slice);
  return {whole, slice};
}

Shape slice_shape(const Shape& whole, const Slice& slice) {
  Shape shape;
  for (const Extent& extent : placed(whole, slice)) shape.push_back(extent.length);
  return shape;
}

std::string sharded_name(std::string_view basename, int shard, int shards) {
  char text[40];
  if (shard < 0)
    std::snprintf(text, sizeof text, "-\?\?\?\?\?-of-%05d", shards);
  else
    std::snprintf(text, sizeof text, "-%05d-of-%05d", shard, shards);
  return std::string(basename) + text;
}

// ---- reading

Checkpoint::Checkpoint(std::string prefix) : prefix_(std::move(prefix)) {
  if (is_file(index_name(prefix_))) {
    read_index();
  } else if (is_file(prefix_)) {
    read_old(prefix_);
  } else {
    // Version 1 may be in several files, too; it names them by a pattern, "<basename>-?????-of-00002".
    const fs::path path(prefix_);
    std::string start = path.filename().string() + "-", end_of_name;
    if (const auto any = start.rfind("-?????-of-"); any != std::string::npos && start.size() == any + 16) {
      end_of_name = start.substr(any + 6, 9);
      start.resize(any + 1);
    }
    std::error_code ignored;
    std::vector<std::string> found;
    for (fs::directory_iterator at(path.has_parent_path() ? path.parent_path() : ".", ignored), end;
         at != end; at.increment(ignored)) {
      const std::string name = at->path().filename().string();
      if (name.starts_with(start) && name.size() == start.size() + 14 &&
          name.substr(start.size() + 5, 4) == "-of-" && name.ends_with(end_of_name)) {
        found.push_back(at->path().string());
      }
    }
    if (found.empty()) {
      fail(Code::not_found, "there is no checkpoint '", prefix_, "': no file '", index_name(prefix_),
           "', and no file of that name in the older format");
    }
    for (const std::string& one : found) read_old(one);
  }
}

void Checkpoint::read_index() {
  const std::string path = index_name(prefix_);
  const Table table = read_table(read_file(path), path);
  std::string_view reading = "the header";
  try {
    const auto header = table.find("");
    require(header != table.end(), "it is missing");
    for (wire::Reader in(header->second); in.next();) {
      if (in.field() == 1)
        shards_ = int(std::min<std::uint64_t>(in.varint(), kMostShards));
      else if (in.field() == 2 && in.varint() != 0)
        fail(Code::unimplemented, "big-endian numbers");
    }
    require(shards_ >= 0 && shards_ < kMostShards, "it tells of ", shards_, " data files");
    for (const auto& [key, value] : table) {
      if (key.empty()) continue;
      reading = key;
      Entry entry = read_entry(value);
      require(entry.shard >= 0 && entry.shard < std::max(shards_, 1), "it is in data file ", entry.shard,
              " of ", shards_);
      (key[0] == '\0' ? pieces_ : entries_)
          .emplace_hint((key[0] == '\0' ? pieces_ : entries_).end(), key, std::move(entry));
    }
  } catch (const Error& error) {
    const Code code = error.code() == Code::invalid_argument ? Code::data_loss : error.code();
    fail(code, "the file '", path, "' is damaged: ", reading == "the header" ? "" : "tensor '",
         shown(reading), reading == "the header" ? ": " : "': ", error.what());
  }
}

void Checkpoint::read_old(const std::string& path) {
  old_ = true;
  Table table = read_table(read_file(path), path);
  try {
    const auto header = table.find("");
    require(header != table.end(), "it is no checkpoint");
    for (wire::Reader in(header->second); in.next();) {
      if (in.field() != 1) continue;
      for (wire::Reader meta = in.message(); meta.next();) {
        if (meta.field() != 1) continue;
        std::string name;
        Entry one;
        for (wire::Reader of = meta.message(); of.next();) {
          switch (of.field()) {
            case 1:
              name = of.bytes();
              break;
            case 2:
              one.shape = read_shape(of.message());
              break;
            case 3:
              one.dtype = dtype_or_invalid(of.varint());
              break;
            case 4:
              one.slices.push_back(read_slice(of.message()));
              break;
          }
        }
        require(one.shape.is_full() && one.shape.size() >= 0 && !one.slices.empty(), "tensor '", shown(name),
                "' has the shape ", one.shape, " and ", one.slices.size(), " slices");
        add_slice_to(entries_, name, one.dtype, one.shape, one.slices);
      }
    }
  } catch (const Error& error) {
    fail(Code::data_loss, "the file '", path, "' is damaged: ", error.what());
  }
  table.erase("");
  old_pieces_.merge(table);
}

const Checkpoint::Entry& Checkpoint::entry(std::string_view name) const {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries_) names.push_back(known);
  fail(Code::not_found, "the checkpoint '", prefix_, "' has no tensor '", shown(name), "'",
       did_you_mean(name, names));
}

const File& Checkpoint::file(int shard) const {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find(shard);
  if (found != files_.end()) return found->second;
  return files_.emplace(shard, File::to_read(data_name(prefix_, shard, shards_))).first->second;
}

Tensor Checkpoint::read(std::string_view name) const { return read(name, {}); }

Tensor Checkpoint::read(std::string_view name, const Slice& slice) const {
  const Entry& whole = entry(name);
  if (whole.dtype == DType::invalid) {
    fail(Code::unimplemented, "the tensor '", shown(name), "' of the checkpoint '", prefix_,
         "' has an unknown dtype");
  }
  const Slice box = placed(whole.shape, slice);
  const Slice all = placed(whole.shape, {});
  const Shape shape = slice_shape(whole.shape, slice);
  if (whole.slices.empty()) {
    Tensor tensor = elements(name, whole);
    if (box == all) return tensor;
    Tensor part(whole.dtype, shape);
    copy_common(tensor, all, part, box);
    return part;
  }
  Tensor made;
  std::int64_t filled = 0;
  for (const Slice& stored : whole.slices) {
    const Slice at = placed(whole.shape, stored);
    if (slice_shape(whole.shape, stored).size() == 0 && shape.size() > 0) continue;
    Tensor piece;
    if (old_) {
      piece = old_elements(name, whole, stored);
    } else {
      const auto found = pieces_.find(key_of(name, stored));
      if (found == pieces_.end()) {
        fail(Code::data_loss, "the file '", index_name(prefix_), "' is damaged: the slice ", printed(stored),
             " of tensor '", shown(name), "' is missing");
      }
      piece = elements(str(shown(name), "' (slice ", printed(stored), ") '"), found->second);
    }
    if (piece.dtype() != whole.dtype || piece.shape() != slice_shape(whole.shape, stored)) {
      fail(Code::data_loss, "the checkpoint '", prefix_, "' is damaged: the slice ", printed(stored),
           " of tensor '", shown(name), "' has the shape ", piece.shape());
    }
    if (at == box) return piece;
    // Made once there is something to put into it, and no bigger than what the files can hold.
    if (!made) {
      if (!old_) {
        std::uint64_t there = 0;
        for (int shard = 0; shard < shards_; ++shard) {
          std::error_code ignored;
          const auto bytes = fs::file_size(data_name(prefix_, shard, shards_), ignored);
          if (!ignored) there += bytes;
        }
        if (is_plain(whole.dtype) && std::uint64_t(shape.size()) > there / size_of(whole.dtype)) {
          fail(Code::data_loss, "the checkpoint '", prefix_, "' is damaged: tensor '", shown(name),
               "' of shape ", whole.shape, " is longer than its files");
        }
      }
      made = Tensor(whole.dtype, shape);
    }
    filled += copy_common(piece, at, made, box);
  }
  if (filled < shape.size()) {
    fail(Code::data_loss, "the checkpoint '", prefix_, "' has only ", filled, " of the ", shape.size(),
         " elements of tensor '", shown(name), "'");
  }
  return made ? made : Tensor(whole.dtype, shape);
}

Tensor Checkpoint::old_elements(std::string_view name, const Entry& whole, const Slice& slice) const {
  const auto damaged = [&](const auto&... why) {
    fail(Code::data_loss, "the checkpoint '", prefix_, "' is damaged: the slice ", printed(slice),
         " of tensor '", shown(name), "' ", why...);
  };
  const auto found = old_pieces_.find(key_of(name, slice));
  if (found == old_pieces_.end()) damaged("is missing");
  try {
    for (wire::Reader in(found->second); in.next();) {
      if (in.field() != 2) continue;
      for (wire::Reader data = in.message(); data.next();) {
        if (data.field() != 3) continue;
        // The message has no dtype and shape of its own; the last of a field counts.
        wire::Writer shape;
        shape.integer(1, int(whole.dtype));
        shape.message(2, [&](wire::Writer& out) { write_shape(out, slice_shape(whole.shape, slice)); });
        return from_tensor_proto(std::string(data.bytes()) + shape.take());
      }
    }
  } catch (const Error& error) {
    damaged("cannot be read: ", error.what());
  }
  damaged("has no elements");
  return {};
}

Tensor Checkpoint::elements(std::string_view name, const Entry& entry) const {
  const File& from = file(entry.shard);
  const auto damaged = [&](const auto&... why) {
    fail(Code::data_loss, "tensor '", shown(name), "' at byte ", entry.offset, " of '", from.path(),
         "' is damaged: ", why...);
  };
  const std::uint64_t there = from.size(), at = std::uint64_t(entry.offset), size = std::uint64_t(entry.size);
  if (at > there || size > there - at) damaged("it has ", size, " bytes, the file ", there);
  const std::int64_t count = entry.shape.size();
  if (entry.dtype == DType::string) {
    std::string bytes(std::size_t(size), '\0');
    from.read(bytes.data(), bytes.size(), at);
    std::size_t next = 0;
    std::uint32_t crc = 0;
    if (std::uint64_t(count) > size) damaged("it is too short for ", count, " strings");
    std::vector<std::uint64_t> lengths(std::size_t(count), 0);
    for (std::uint64_t& length : lengths) {
      for (int shift = 0;; shift += 7) {
        if (next >= bytes.size() || shift > 63) damaged("a length is wrong");
        const auto byte = static_cast<unsigned char>(bytes[next++]);
        length |= std::uint64_t(byte & 0x7f) << shift;
        if (byte < 0x80) break;
      }
      crc = crc32c(&length, length <= UINT32_MAX ? 4 : 8, crc);
    }
    std::uint32_t stored = 0;
    if (bytes.size() - next < 4) damaged("it is too short");
    std::memcpy(&stored, bytes.data() + next, 4);
    if (stored != mask_crc(crc)) damaged("the checksum of its lengths is wrong");
    crc = crc32c(bytes.data() + next, bytes.size() - next, crc);
    if (mask_crc(crc) != entry.crc) damaged("its checksum is wrong");
    next += 4;
    Tensor tensor(DType::string, entry.shape);
    std::string* text = tensor.data<std::string>();
    for (const std::uint64_t length : lengths) {
      if (length > bytes.size() - next) damaged("a string reaches beyond its end");
      (text++)->assign(bytes, next, std::size_t(length));
      next += std::size_t(length);
    }
    if (next != bytes.size()) damaged("it is longer than its strings");
    return tensor;
  }
  if (entry.dtype == DType::invalid || !is_plain(entry.dtype)) {
    fail(Code::unimplemented, "tensor '", shown(name), "' of '", from.path(),
         "' has a dtype that cannot be read");
  }
  if (size % size_of(entry.dtype) != 0 || size / size_of(entry.dtype) != std::uint64_t(count)) {
    damaged("it has ", size, " bytes, which is not ", name_of(entry.dtype), " of shape ", entry.shape);
  }
  Tensor tensor(entry.dtype, entry.shape);
  const std::int64_t blocks = (entry.size + kBlockBytes - 1) / kBlockBytes;
  std::vector<std::uint32_t> crcs(std::size_t(blocks), 0);
  const auto bytes_of = [&](std::int64_t block) {
    return std::min(kBlockBytes, entry.size - block * kBlockBytes);
  };
  parallel_for(blocks, kByteCost * double(bytes_of(0)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      char* to = tensor.data<char>() + block * kBlockBytes;
      from.read(to, std::size_t(bytes_of(block)), at + std::uint64_t(block * kBlockBytes));
      crcs[std::size_t(block)] = crc32c(to, std::size_t(bytes_of(block)));
    }
  });
  std::uint32_t crc = 0;
  for (std::int64_t block = 0; block < blocks; ++block) {
    crc = crc32c_joined(crc, crcs[std::size_t(block)], std::uint64_t(bytes_of(block)));
  }
  if (mask_crc(crc) != entry.crc) damaged("its checksum is wrong");
  if (entry.dtype == DType::boolean) {
    for (std::int64_t i = 0; i < count; ++i) {
      if (tensor.data<unsigned char>()[i] > 1) damaged("an element is neither true nor false");
    }
  }
  return tensor;
}

// ---- writing

CheckpointWriter::CheckpointWriter(std::string prefix) : prefix_(std::move(prefix)) {
  static std::atomic<std::uint64_t> made{0};
  const fs::path folder = fs::path(prefix_).parent_path();
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  temporary_ = str(prefix_, ".tmp", ::getpid(), "-", ++made);
  file_.emplace(File::to_write(data_name(temporary_, 0, 1)));
}

CheckpointWriter::~CheckpointWriter() {
  remove_quietly(data_name(temporary_, 0, 1));
  remove_quietly(index_name(temporary_));
}

void CheckpointWriter::add(const std::string& name, const Tensor& tensor) {
  require(!name.empty() && name[0] != '\0', "a tensor needs a name");
  put(name, tensor);
}

void CheckpointWriter::add_slice(const std::string& name, const Shape& whole, const Slice& slice,
                                 const Tensor& tensor) {
  require(slice_shape(whole, slice) == tensor.shape(), "the slice ", printed(slice), " of shape ", whole,
          " of '", shown(name), "' has the shape ", slice_shape(whole, slice), ", the tensor ",
          tensor.shape());
  if (placed(whole, slice) == placed(whole, {})) return add(name, tensor);
  add_slice_to(entries_, name, tensor.dtype(), whole, {&slice, 1});
  put(key_of(name, slice), tensor);
}

void CheckpointWriter::put(const std::string& key, const Tensor& tensor) {
  const auto [at, added] = entries_.try_emplace(key);
  if (!added) fail(Code::already_exists, "the tensor '", shown(key), "' is there already");
  Checkpoint::Entry& entry = at->second;
  entry.dtype = tensor.dtype();
  entry.shape = tensor.shape();
  entry.offset = size_;
  std::uint32_t crc = 0;
  if (tensor.dtype() == DType::string) {
    std::string lengths;
    for (const std::string& text : tensor.flat<std::string>()) {
      const std::uint64_t length = text.size();
      crc = crc32c(&length, length <= UINT32_MAX ? 4 : 8, crc);
      std::uint64_t rest = length;
      for (; rest >= 0x80; rest >>= 7) lengths.push_back(char(rest | 0x80));
      lengths.push_back(char(rest));
    }
    const std::uint32_t masked = mask_crc(crc);
    lengths.append(reinterpret_cast<const char*>(&masked), 4);
    crc = crc32c(&masked, 4, crc);
    const auto write = [&](std::string_view bytes) {
      file_->write(bytes.data(), bytes.size(), std::uint64_t(size_));
      size_ += std::int64_t(bytes.size());
    };
    write(lengths);
    for (const std::string& text : tensor.flat<std::string>()) {
      crc = crc32c(text.data(), text.size(), crc);
      write(text);
    }
  } else {
    require(is_plain(tensor.dtype()), "tensors of ", name_of(tensor.dtype()), " cannot be saved");
    const std::int64_t size = std::int64_t(tensor.bytes());
    const std::int64_t blocks = (size + kBlockBytes - 1) / kBlockBytes;
    std::vector<std::uint32_t> crcs(std::size_t(blocks), 0);
    const auto bytes_of = [&](std::int64_t block) {
      return std::min(kBlockBytes, size - block * kBlockBytes);
    };
    parallel_for(blocks, kByteCost * double(bytes_of(0)), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const char* from = static_cast<const char*>(tensor.raw()) + block * kBlockBytes;
        crcs[std::size_t(block)] = crc32c(from, std::size_t(bytes_of(block)));
        file_->write(from, std::size_t(bytes_of(block)), std::uint64_t(size_ + block * kBlockBytes));
      }
    });
    for (std::int64_t block = 0; block < blocks; ++block) {
      crc = crc32c_joined(crc, crcs[std::size_t(block)], std::uint64_t(bytes_of(block)));
    }
    size_ += size;
  }
  entry.crc = mask_crc(crc);
  entry.size = size_ - entry.offset;
}

// The last step is the renaming of the index. Where that would replace an index that speaks of the same data
// file, the new one first stands beside it as "data file 0 of 2", so that at every moment there is an index
// whose data file is the right one.
void CheckpointWriter::finish() {
  file_->sync();
  file_.reset();
  const int before = shards_at(prefix_);
  const std::string index = index_name(temporary_), made = data_name(temporary_, 0, 1);
  const auto commit = [&](int shards) {
    write_file(index, index_bytes(entries_, shards));
    rename_file(index, index_name(prefix_));
    sync_folder_of(prefix_);
  };
  // Data that no index speaks of must not be left on a disk that may be full.
  const auto move_and_commit = [&](int shards) {
    const std::string data = data_name(prefix_, 0, shards);
    rename_file(made, data);
    try {
      commit(shards);
    } catch (...) {
      if (shards_at(prefix_) != shards) remove_quietly(data);
      throw;
    }
  };
  if (before == 1) {
    move_and_commit(2);
    // It is saved, and may stay so if the rest fails.
    if (::link(data_name(prefix_, 0, 2).c_str(), made.c_str()) != 0) return;
    try {
      rename_file(made, data_name(prefix_, 0, 1));
      commit(1);
    } catch (const Error&) {
      if (shards_at(prefix_) != 1) remove_quietly(data_name(prefix_, 0, 1));
      return;
    }
    remove_quietly(data_name(prefix_, 0, 2));
    return;
  }
  move_and_commit(1);
  for (int shard = 0; shard < before; ++shard) remove_quietly(data_name(prefix_, shard, before));
}

void merge_checkpoints(std::span<const std::string> prefixes, const std::string& destination,
                       bool delete_old_folders) {
  std::map<std::string, Checkpoint::Entry, std::less<>> entries;
  std::vector<std::string> files;
  for (const std::string& prefix : prefixes) {
    const Checkpoint part(prefix);
    if (!is_file(index_name(prefix)))
      fail(Code::not_found, "there is no '", index_name(prefix), "' to merge");
    const int first = int(files.size());
    for (const auto& [name, entry] : part.entries()) {
      if (!entry.slices.empty()) {
        add_slice_to(entries, name, entry.dtype, entry.shape, entry.slices);
        continue;
      }
      Checkpoint::Entry moved = entry;
      moved.shard += first;
      if (!entries.try_emplace(name, moved).second) {
        fail(Code::already_exists, "the tensor '", shown(name), "' is in more than one of the checkpoints");
      }
    }
    for (const auto& [key, entry] : part.pieces()) {
      Checkpoint::Entry moved = entry;
      moved.shard += first;
      if (!entries.try_emplace(key, moved).second) {
        fail(Code::already_exists, "a slice of a tensor is in more than one of the checkpoints");
      }
    }
    for (int shard = 0; shard < part.shards(); ++shard)
      files.push_back(data_name(prefix, shard, part.shards()));
  }
  const fs::path folder = fs::path(destination).parent_path();
  std::error_code ignored;
  if (!folder.empty()) fs::create_directories(folder, ignored);
  const int before = shards_at(destination);
  // Not the names of data files that an index speaks of now.
  const int shards = int(files.size()) + (before == int(files.size()));
  const std::string index = str(index_name(destination), ".tmp", ::getpid());
  try {
    for (std::size_t i = 0; i < files.size(); ++i) {
      if (is_file(files[i])) rename_file(files[i], data_name(destination, int(i), shards));
    }
    write_file(index, index_bytes(entries, shards));
    rename_file(index, index_name(destination));
  } catch (...) {  // no index speaks of them
    for (int shard = 0; shard < shards; ++shard) remove_quietly(data_name(destination, shard, shards));
    remove_quietly(index);
    throw;
  }
  sync_folder_of(destination);
  for (int shard = 0; shard < before; ++shard) remove_quietly(data_name(destination, shard, before));
  for (const std::string& prefix : prefixes) {
    if (prefix == destination) continue;
    remove_quietly(index_name(prefix));
    // Only a folder that is empty now goes.
    if (delete_old_folders) remove_quietly(fs::path(prefix).parent_path().string());
  }
}

}  // namespace headrace
