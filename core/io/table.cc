#include "core/io/table.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/io/crc32c.h"

namespace headrace {
namespace {

constexpr std::size_t kBlockBytes = 256 << 10;
constexpr std::size_t kEntriesPerRestart = 16;
constexpr std::size_t kTrailerBytes = 5;
constexpr std::size_t kHandlesBytes = 40;
constexpr std::uint64_t kMagic = 0xdb4775248b80fb57u;
enum Compression : char { plain = 0, snappy = 1 };

template <class T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void put_varint(std::string& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(char(value | 0x80));
  to.push_back(char(value));
}

// ---- writing

class Block {
 public:
  void add(std::string_view key, std::string_view value) {
    std::size_t shared = 0;
    if (count_++ % kEntriesPerRestart == 0) {
      restarts_.push_back(std::uint32_t(bytes_.size()));
    } else {
      const std::size_t most = std::min(key.size(), last_.size());
      while (shared < most && key[shared] == last_[shared]) ++shared;
    }
    put_varint(bytes_, shared);
    put_varint(bytes_, key.size() - shared);
    put_varint(bytes_, value.size());
    bytes_.append(key.substr(shared)).append(value);
    last_ = key;
  }
  bool empty() const { return count_ == 0; }
  std::size_t size() const { return bytes_.size(); }
  const std::string& last() const { return last_; }

  // Appends the block to the file and starts anew; returns where it is, as the index says it.
  std::string write(std::string& file) {
    if (restarts_.empty()) restarts_.push_back(0);
    for (const std::uint32_t at : restarts_) put(bytes_, at);
    put(bytes_, std::uint32_t(restarts_.size()));
    std::string where;
    put_varint(where, file.size());
    put_varint(where, bytes_.size());
    bytes_.push_back(plain);
    put(bytes_, mask_crc(crc32c(bytes_)));
    file += bytes_;
    *this = Block();
    return where;
  }

 private:
  std::string bytes_, last_;
  std::vector<std::uint32_t> restarts_;
  std::size_t count_ = 0;
};

// ---- reading

class TableReader {
 public:
  TableReader(std::string_view bytes, const std::string& file)
      : bytes_(bytes), file_(file), left_(64 * std::uint64_t(bytes.size()) + (64 << 20)) {}

  Table read() {
    const std::size_t footer = bytes_.size() - std::min(bytes_.size(), kHandlesBytes + 8);
    if (bytes_.size() < kHandlesBytes + 8) damaged(0, "it is too short for a table");
    std::uint64_t magic;
    std::memcpy(&magic, bytes_.data() + footer + kHandlesBytes, 8);
    if (magic != kMagic) damaged(footer + kHandlesBytes, "it does not end as a table does");
    at_ = footer;
    std::string_view handles = bytes_.substr(footer, kHandlesBytes);
    take_varint(handles), take_varint(handles);  // the metaindex
    const std::string index = block(handles);
    Table table;
    each_entry(index, [&](const std::string&, std::string_view handle) {
      const std::size_t index_at = at_;
      const std::string found = block(handle);
      each_entry(found, [&](const std::string& key, std::string_view value) {
        if (!table.empty() && key <= table.rbegin()->first) damaged(at_, "the keys are not in order");
        table.emplace_hint(table.end(), key, value);
      });
      at_ = index_at;
    });
    return table;
  }

 private:
  [[noreturn]] void damaged(std::size_t at, std::string_view why) const {
    fail(Code::data_loss, "the file '", file_, "' is damaged at byte ", at, ": ", why);
  }

  std::uint64_t take_varint(std::string_view& from) const {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (from.empty()) damaged(at_, "it ends within a number");
      const auto byte = static_cast<unsigned char>(from.front());
      from.remove_prefix(1);
      value |= std::uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    damaged(at_, "a number is longer than 10 bytes");
  }

  // The contents of the block that a handle leads to.
  std::string block(std::string_view& handle) {
    const std::uint64_t at = take_varint(handle), size = take_varint(handle);
    if (at > bytes_.size() || size > bytes_.size() - at || bytes_.size() - at - size < kTrailerBytes) {
      damaged(at_, str("it leads to ", size, " bytes at ", at, ", the file has ", bytes_.size()));
    }
    at_ = std::size_t(at);
    const std::string_view content = bytes_.substr(at_, std::size_t(size));
    const char* trailer = content.data() + content.size();
    std::uint32_t crc;
    std::memcpy(&crc, trailer + 1, 4);
    if (mask_crc(crc32c(content.data(), content.size() + 1)) != crc) damaged(at_, "a checksum is wrong");
    charge(size);
    if (*trailer == plain) return std::string(content);
    if (*trailer == snappy) return uncompressed(content);
    damaged(at_ + content.size(), str("unknown compression ", int(*trailer)));
  }

  // Entries share bytes, so that a small file can hold much: all that is made is counted.
  void charge(std::uint64_t bytes) {
    if (bytes > left_) damaged(at_, "its entries take too much memory");
    left_ -= bytes;
  }

  template <class F>
  void each_entry(std::string_view block, F&& f) {
    std::uint32_t restarts = 0;
    if (block.size() >= 4) std::memcpy(&restarts, block.data() + block.size() - 4, 4);
    if (block.size() < 4 || restarts > (block.size() - 4) / 4) damaged(at_, "a block has a wrong length");
    std::string_view rest = block.substr(0, block.size() - 4 - 4 * std::size_t(restarts));
    std::string key;
    while (!rest.empty()) {
      const std::uint64_t shared = take_varint(rest), added = take_varint(rest), size = take_varint(rest);
      if (shared > key.size() || added > rest.size() || size > rest.size() - added) {
        damaged(at_, "an entry reaches beyond its block");
      }
      charge(shared + added + size);
      key.resize(std::size_t(shared));
      key.append(rest.substr(0, std::size_t(added)));
      const std::string_view value = rest.substr(std::size_t(added), std::size_t(size));
      rest.remove_prefix(std::size_t(added + size));
      f(key, value);
    }
  }

  // Snappy: the size, then literals and copies of what was there before.
  std::string uncompressed(std::string_view from) {
    const std::uint64_t size = take_varint(from);
    charge(size);
    std::string made;
    const auto little = [&](std::size_t bytes) {
      if (from.size() < bytes) damaged(at_, "compressed bytes end too early");
      std::uint32_t value = 0;
      std::memcpy(&value, from.data(), bytes);
      from.remove_prefix(bytes);
      return value;
    };
    while (!from.empty()) {
      const std::uint32_t tag = little(1);
      std::size_t length = tag >> 2;
      if ((tag & 3) == 0) {
        if (length >= 60) length = little(length - 59);
        ++length;
        if (length > from.size() || length > size - made.size()) damaged(at_, "a literal is too long");
        made.append(from.substr(0, length));
        from.remove_prefix(length);
        continue;
      }
      std::size_t back;
      if ((tag & 3) == 1) {
        length = (tag >> 2 & 7) + 4;
        back = (tag >> 5) << 8 | little(1);
      } else {
        length += 1;
        back = little((tag & 3) == 2 ? 2 : 4);
      }
      if (back == 0 || back > made.size() || length > size - made.size()) damaged(at_, "a copy is wrong");
      for (; length > 0; --length) made.push_back(made[made.size() - back]);
    }
    if (made.size() != size) damaged(at_, "compressed bytes end too early");
    return made;
  }

  std::string_view bytes_;
  const std::string& file_;
  std::uint64_t left_;  // bytes that may yet be made
  std::size_t at_ = 0;  // where the block being read is
};

}  // namespace

std::string write_table(const Table& table) {
  std::string file;
  Block block, index;
  const auto finish = [&] {
    const std::string last = block.last();
    index.add(last, block.write(file));
  };
  for (const auto& [key, value] : table) {
    block.add(key, value);
    if (block.size() >= kBlockBytes) finish();
  }
  if (!block.empty()) finish();
  std::string footer = Block().write(file);
  footer += index.write(file);
  footer.resize(kHandlesBytes);
  put(footer, kMagic);
  return file + footer;
}

Table read_table(std::string_view bytes, const std::string& file) { return TableReader(bytes, file).read(); }

}  // namespace headrace
