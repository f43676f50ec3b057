#include "core/io/crc32c.h"

#include <string>

#include "tests/cc/check.h"

namespace headrace {
namespace {

TEST(crc32c, published_values) {
  CHECK_EQ(crc32c("123456789"), 0xe3069283u);
  CHECK_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  CHECK_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  CHECK_EQ(crc32c(""), 0u);
}

TEST(crc32c, goes_on_from_a_checksum) {
  const std::string text = "what stands in two pieces has the checksum of the whole";
  const auto bytes = std::as_bytes(std::span(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    CHECK_EQ(crc32c(bytes.subspan(cut), crc32c(bytes.first(cut))), crc32c(text));
  }
}

TEST(crc32c, masks) {
  CHECK_EQ(unmask_crc(mask_crc(0x12345678u)), 0x12345678u);
  CHECK(mask_crc(0) != 0);
}

}  // namespace
}  // namespace headrace
