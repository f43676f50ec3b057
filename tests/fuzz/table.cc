// Tables. The first two bytes tell where the data block ends and the index begins, and how both are
// compressed; checksums and the footer are put around them, so that what is behind the checksums is reached.
#include "core/io/table.h"

#include <cstring>

#include "core/io/crc32c.h"
#include "tests/fuzz/fuzz.h"

namespace headrace {
namespace {

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(char(value | 0x80));
  out.push_back(char(value));
}

void put_block(std::string& file, std::string_view block, char compression) {
  file += block;
  file.push_back(compression);
  const std::uint32_t crc = mask_crc(crc32c(&compression, 1, crc32c(block)));
  file.append(reinterpret_cast<const char*>(&crc), 4);
}

}  // namespace
}  // namespace headrace

FUZZ(table) {
  using namespace headrace;
  fuzzing::run([](std::string_view all) { read_table(all, "file"); }, bytes);
  if (bytes.size() < 2) return;
  const std::string_view rest = bytes.substr(2);
  const std::size_t cut = std::min<std::size_t>(static_cast<unsigned char>(bytes[0]), rest.size());
  std::string file;
  put_block(file, rest.substr(0, cut), char(bytes[1] & 3));
  const std::size_t meta = file.size();
  put_block(file, std::string("\0\0\0\0\1\0\0\0", 8), 0);  // no entries
  const std::size_t index = file.size();
  put_block(file, rest.substr(cut), char(bytes[1] >> 2 & 3));
  std::string footer;
  put_varint(footer, meta);
  put_varint(footer, 8);
  put_varint(footer, index);
  put_varint(footer, rest.size() - cut);
  footer.resize(40, '\0');
  constexpr std::uint64_t kMagic = 0xdb4775248b80fb57u;
  footer.append(reinterpret_cast<const char*>(&kMagic), 8);
  read_table(file + footer, "file");
}
