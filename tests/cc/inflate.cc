#include "core/io/inflate.h"

#include "core/io/crc32c.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

using namespace std::string_literals;

std::string expanded(Container container, std::string_view file, std::size_t step = 1) {
  Inflater inflater("f", container, [&] {
    const std::string_view piece = file.substr(0, step);
    file.remove_prefix(piece.size());
    return piece;
  });
  std::string all;
  for (std::string_view piece; !(piece = inflater.read()).empty();) all += piece;
  return all;
}

std::string number(std::uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes.push_back(char(value >> 8 * i));
  return bytes;
}

// A gzip file of stored blocks; with a name and a comment.
std::string stored(const std::string& contents) {
  std::string file = "\x1f\x8b\x08\x18\0\0\0\0\0\xff"s + "name\0"s + "comment\0"s;
  std::size_t at = 0;
  do {
    const std::string part = contents.substr(at, 0xffff);
    at += part.size();
    file.push_back(at == contents.size());
    const auto size = std::uint16_t(part.size()), other = std::uint16_t(~size);
    for (const std::uint16_t n : {size, other}) file.push_back(char(n)), file.push_back(char(n >> 8));
    file += part;
  } while (at < contents.size());
  return file + number(crc32(contents)) + number(std::uint32_t(contents.size()));
}

TEST(inflate, checksum_of_gzip) { CHECK_EQ(crc32("123456789"), 0xcbf43926u); }

TEST(inflate, stored_blocks) {
  std::string contents;
  for (int i = 0; contents.size() < 1'000'000; ++i) contents += str(i, ' ');
  CHECK(expanded(Container::gzip, stored(contents), 1000) == contents);
  CHECK(expanded(Container::gzip, stored("one ") + stored("") + stored("two")) == "one two");
}

TEST(inflate, codes) {
  // "aaaaaaaaaa" with the fixed codes: an 'a', and a copy of nine from one before.
  const std::string file = "\x78\x9c\x4b\x84\x03\0\x14\xe1\x03\xcb"s;
  CHECK_EQ(expanded(Container::zlib, file), "aaaaaaaaaa");
  for (std::size_t cut = 0; cut < file.size(); ++cut) {
    CHECK_CONTAINS(CHECK_ERROR(data_loss, expanded(Container::zlib, file.substr(0, cut))),
                   "'f' is no whole zlib");
  }
  std::string wrong = file;
  wrong.back() ^= 1;
  CHECK_CONTAINS(CHECK_ERROR(data_loss, expanded(Container::zlib, wrong)), "checksum");
}

TEST(inflate, nothing_before_its_beginning) {
  // Another file before it is no place to copy from.
  const std::string copy = "\x78\x9c\x03\x22\0"s;
  CHECK_ERROR(data_loss, expanded(Container::zlib, copy));
}

}  // namespace
}  // namespace headrace
