// Checkpoints: an index whose entries are made of the bytes (each a length and so many bytes, keys and values
// in turn, up to one of length 0), and the rest as the file of data.
#include "core/io/checkpoint.h"

#include <cstdlib>
#include <filesystem>

#include "core/io/table.h"
#include "tests/fuzz/fuzz.h"

namespace headrace {
namespace {

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "headrace-fuzz-XXXXXX").string();
    if (!::mkdtemp(name.data())) internal("no temporary folder");
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::string_view take(std::string_view& from) {
  const std::size_t size = from.empty() ? 0 : static_cast<unsigned char>(from[0]);
  const std::string_view taken = from.substr(std::min<std::size_t>(1, from.size())).substr(0, size);
  from.remove_prefix(std::min(from.size(), size + 1));
  return taken;
}

// Files that no sync has to wait for.
void write(const std::string& path, std::string_view bytes) {
  const File file = File::to_write(path);
  file.write(bytes.data(), bytes.size(), 0);
}

}  // namespace
}  // namespace headrace

FUZZ(checkpoint) {
  using namespace headrace;
  static const Folder folder;
  const std::string prefix = (folder.path / "model").string();
  fuzzing::run([](std::string_view spec) { parse_slice(spec); }, bytes);
  Table table;
  std::string_view rest = bytes;
  // The first entry is the header.
  for (bool first = true; !rest.empty(); first = false) {
    const std::string_view key = first ? std::string_view() : take(rest);
    if (!first && key.empty()) break;
    table[std::string(key)] = take(rest);
  }
  // The same as the one file of the old format, and as an index.
  write(prefix + "-old", write_table(table));
  write(prefix + ".index", write_table(table));
  write(prefix + ".data-00000-of-00001", rest);
  for (const std::string& path : {prefix, prefix + "-old"}) {
    try {
      const Checkpoint checkpoint(path);
      for (const auto& [name, entry] : checkpoint.entries()) {
        try {
          checkpoint.read(name);
        } catch (const Error& error) {
          if (error.code() == Code::internal) throw;
          // Damage is told with the name of the tensor.
          std::string shown = name;
          for (std::size_t at; (at = shown.find('\0')) != shown.npos;) shown.replace(at, 1, "\\0");
          if (error.code() == Code::data_loss && !testing::contains(error.what(), shown)) {
            internal("no name of the tensor in: ", error.what());
          }
        }
      }
    } catch (const Error& error) {
      if (error.code() == Code::internal) throw;
    }
  }
}
