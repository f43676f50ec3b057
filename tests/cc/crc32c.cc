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

TEST(crc32c, of_much_is_that_of_its_bytes_one_by_one) {
  std::string text(40000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = char(i * i >> 3);
  std::uint32_t crc = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 631 == 0) CHECK_EQ(crc32c(text.data(), i), crc);
    crc = crc32c(text.data() + i, 1, crc);
  }
  CHECK_EQ(crc32c(text), crc);
}

TEST(crc32c, masks) {
  CHECK_EQ(unmask_crc(mask_crc(0x12345678u)), 0x12345678u);
  CHECK(mask_crc(0) != 0);
}

}  // namespace
}  // namespace headrace
