// CRC-32C (Castagnoli): the checksum of records and checkpoints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace headrace {

// The checksum of `data`, or of what `before` is the checksum of with `data` behind it.
std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t before = 0);
inline std::uint32_t crc32c(std::string_view data) { return crc32c(std::as_bytes(std::span(data))); }

// Files hold checksums in this form: a checksum of data that holds checksums itself is a weak one.
constexpr std::uint32_t mask_crc(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }
constexpr std::uint32_t unmask_crc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8u;
  return rotated >> 17 | rotated << 15;
}

}  // namespace headrace
