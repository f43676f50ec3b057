#include "core/io/checkpoint.h"

#include <cstdlib>
#include <filesystem>

#include "core/io/crc32c.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

// A folder that goes with the test.
struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "headrace-XXXXXX").string();
    CHECK(::mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

Tensor numbers(std::int64_t count) {
  Tensor tensor(DType::float32, Shape{count});
  for (std::int64_t i = 0; i < count; ++i) tensor.data<float>()[i] = float(i);
  return tensor;
}

TEST(crc32c, of_two_pieces) {
  const std::string text(100000, 'x');
  for (const std::size_t cut : {std::size_t(0), std::size_t(1), std::size_t(77777), text.size()}) {
    const auto first = crc32c(text.data(), cut), second = crc32c(text.data() + cut, text.size() - cut);
    CHECK_EQ(crc32c_joined(first, second, text.size() - cut), crc32c(text));
  }
}

TEST(table, of_many_blocks) {
  Table table;
  for (int i = 0; i < 20000; ++i)
    table[str("key/", i)] = std::string(std::size_t(i % 100), char('a' + i % 26));
  const std::string bytes = write_table(table);
  CHECK(read_table(bytes, "f") == table);
  CHECK(read_table(write_table({}), "f").empty());
  CHECK_CONTAINS(CHECK_ERROR(data_loss, read_table(bytes.substr(1), "f")), "'f' is damaged");
  std::string flipped = bytes;
  flipped[500] = char(flipped[500] ^ 4);
  CHECK_CONTAINS(CHECK_ERROR(data_loss, read_table(flipped, "f")), "checksum");
}

TEST(checkpoint, gives_back_what_was_added) {
  const Folder folder;
  const std::string prefix = (folder.path / "model").string();
  const Tensor big = numbers(3'000'000);
  {
    CheckpointWriter out(prefix);
    out.add("big", big);
    out.add("text", Tensor::scalar(std::string("words")));
    CHECK_ERROR(already_exists, out.add("big", big));
    CHECK(!is_file(prefix + ".index"));
    out.finish();
  }
  const Checkpoint in(prefix);
  CHECK_EQ(in.entries().size(), 2u);
  CHECK(identical(in.read("big"), big));
  CHECK(identical(in.read("text"), Tensor::scalar(std::string("words"))));
  const Tensor part = in.read("big", {{5, 2}});
  CHECK_EQ(part.shape(), Shape{2});
  CHECK_EQ(part.data<float>()[1], 6.f);
  CHECK_CONTAINS(CHECK_ERROR(not_found, in.read("bog")), "big");
}

TEST(checkpoint, of_slices) {
  const Folder folder;
  const std::string prefix = (folder.path / "model").string();
  const Tensor all = numbers(12).reshaped(Shape{4, 3});
  const auto rows = [&](int begin, int count) {
    Tensor part(DType::float32, Shape{count, 3});
    copy_elements(DType::float32, all.data<float>() + 3 * begin, part.raw(), 3 * count);
    return part;
  };
  {
    CheckpointWriter out(prefix);
    out.add_slice("x", {4, 3}, {{0, 1}, {}}, rows(0, 1));
    out.add_slice("x", {4, 3}, {{1, 3}, {}}, rows(1, 3));
    out.add_slice("part", {4, 3}, {{1, 3}, {}}, rows(1, 3));
    CHECK_ERROR(invalid_argument, out.add_slice("x", {4, 3}, {{2, 3}, {}}, rows(1, 3)));
    out.finish();
  }
  const Checkpoint in(prefix);
  CHECK(identical(in.read("x"), all));
  CHECK(identical(in.read("x", {{1, 3}, {}}), rows(1, 3)));
  const Tensor corner = in.read("x", {{0, 2}, {1, 1}});
  CHECK_EQ(corner.data<float>()[1], 4.f);
  CHECK_CONTAINS(CHECK_ERROR(data_loss, in.read("part")), "only 9 of the 12");
}

TEST(checkpoint, merges) {
  const Folder folder;
  const auto path = [&](const char* name) { return (folder.path / name).string(); };
  for (const char* name : {"a", "b"}) {
    CheckpointWriter out(path(name));
    out.add(name, numbers(3));
    out.finish();
  }
  const std::vector<std::string> parts{path("a"), path("b")};
  merge_checkpoints(parts, path("both"), false);
  const Checkpoint in(path("both"));
  CHECK_EQ(in.shards(), 2);
  CHECK(identical(in.read("b"), numbers(3)));
  CHECK(!is_file(path("a.index")));
}

}  // namespace
}  // namespace headrace
