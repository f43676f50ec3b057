#include "core/io/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace headrace {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78;      // of bits in reflected order
constexpr std::uint32_t kGzipPolynomial = 0xedb88320;  // the same

// tables[k][b]: what byte b does to the checksum when k more bytes follow it.
template <std::uint32_t kOf>
constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    std::uint32_t crc = b;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? kOf : 0);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t b = 0; b < 256; ++b) {
      tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
    }
  }
  return tables;
}();

template <std::uint32_t kOf>
std::uint32_t by_tables(std::uint32_t crc, const std::byte* data, std::size_t size) {
  const auto& tables = kTables<kOf>;
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    word ^= crc;
    crc = 0;
    for (int k = 0; k < 8; ++k) crc ^= tables[7 - k][word >> 8 * k & 0xff];
  }
  for (; size > 0; ++data, --size) crc = crc >> 8 ^ tables[0][(crc ^ std::uint32_t(*data)) & 0xff];
  return crc;
}

// Checksums are polynomials modulo kPolynomial; the top bit is the power 0.
constexpr std::uint32_t kOne = 0x80000000u;
constexpr std::uint32_t product(std::uint32_t a, std::uint32_t b) {
  std::uint32_t sum = 0;
  for (; a; a <<= 1, b = b >> 1 ^ (b & 1 ? kPolynomial : 0)) {
    if (a & kOne) sum ^= b;
  }
  return sum;
}
// kPowers[k] is x to the power 2^k.
constexpr auto kPowers = [] {
  std::array<std::uint32_t, 67> powers{kOne >> 1};
  for (std::size_t k = 1; k < powers.size(); ++k) powers[k] = product(powers[k - 1], powers[k - 1]);
  return powers;
}();

// x to the power of the bits in `bytes`: what a checksum is multiplied by when so many follow.
constexpr std::uint32_t power_of(std::uint64_t bytes) {
  std::uint32_t power = kOne;
  for (std::size_t k = 3; bytes; ++k, bytes >>= 1) {
    if (bytes & 1) power = product(kPowers[k], power);
  }
  return power;
}

#if defined(__x86_64__)
// The same for a fixed number of bytes, by tables: products are sums of the products of their bytes.
template <std::size_t kBytes>
constexpr auto kFollowed = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::uint32_t b = 0; b < 256; ++b) tables[k][b] = product(power_of(kBytes), b << 8 * k);
  }
  return tables;
}();

template <std::size_t kBytes>
std::uint32_t followed(std::uint32_t crc) {
  const auto& tables = kFollowed<kBytes>;
  return tables[0][crc & 0xff] ^ tables[1][crc >> 8 & 0xff] ^ tables[2][crc >> 16 & 0xff] ^
         tables[3][crc >> 24];
}

__attribute__((target("sse4.2"))) inline std::uint64_t step(std::uint64_t crc, const std::byte* data) {
  std::uint64_t word;
  std::memcpy(&word, data, 8);
  return _mm_crc32_u64(crc, word);
}

// The instruction takes three cycles, and one can start in each: three pieces are summed side by side.
template <std::size_t kBytes>
__attribute__((target("sse4.2"))) std::uint64_t in_threes(std::uint64_t crc, const std::byte*& data,
                                                          std::size_t& size) {
  for (; size >= 3 * kBytes; data += 3 * kBytes, size -= 3 * kBytes) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t i = 0; i < kBytes; i += 8) {
      crc = step(crc, data + i);
      second = step(second, data + kBytes + i);
      third = step(third, data + 2 * kBytes + i);
    }
    crc = followed<kBytes>(std::uint32_t(crc)) ^ second;
    crc = followed<kBytes>(std::uint32_t(crc)) ^ third;
  }
  return crc;
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::uint32_t crc, const std::byte* data,
                                                               std::size_t size) {
  std::uint64_t wide = in_threes<256>(in_threes<4096>(crc, data, size), data, size);
  for (; size >= 8; data += 8, size -= 8) wide = step(wide, data);
  crc = std::uint32_t(wide);
  for (; size > 0; ++data, --size) crc = _mm_crc32_u8(crc, std::uint8_t(*data));
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> data, std::uint32_t before) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2");
  if (has_instruction) return ~by_instruction(~before, data.data(), data.size());
#endif
  return ~by_tables<kPolynomial>(~before, data.data(), data.size());
}

std::uint32_t crc32(std::string_view data, std::uint32_t before) {
  const auto bytes = std::as_bytes(std::span(data));
  return ~by_tables<kGzipPolynomial>(~before, bytes.data(), bytes.size());
}

std::uint32_t crc32c_joined(std::uint32_t first, std::uint32_t second, std::uint64_t second_size) {
  return product(power_of(second_size), first) ^ second;
}

}  // namespace headrace
