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
inline std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t before = 0) {
  return crc32c(std::span(static_cast<const std::byte*>(data), size), before);
}
// The checksum of two pieces one behind the other, from that of each: pieces can be summed in parallel.
std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t second_size);

// The checksum of gzip files, which has another polynomial.
std::uint32_t crc32(std::string_view data, std::uint32_t before = 0);

// Files hold checksums in this form: a checksum of data that holds checksums itself is a weak one.
constexpr std::uint32_t mask_crc(std::uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }
constexpr std::uint32_t unmask_crc(std::uint32_t masked) {
  const std::uint32_t rotated = masked - 0xa282ead8u;
  return rotated >> 17 | rotated << 15;
}

}  // namespace headrace
