#include "core/base/fingerprint.h"

#include <bit>
#include <cstring>
#include <utility>

namespace headrace {
namespace {

using U64 = std::uint64_t;

template <class T>
T load(const char* from) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
U64 word(const char* from) { return load<U64>(from); }

// Up to 7 bytes as a little-endian number.
U64 tail_of(std::string_view bytes) {
  U64 value = 0;
  if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

// ---- FarmHash: four ways, by the length of the text.

constexpr U64 kFarm0 = 0xc3a5c85c97cb3127, kFarm1 = 0xb492b66fbe98f273, kFarm2 = 0x9ae16a3b2f90404f;

U64 mixed(U64 value) { return value ^ value >> 47; }
U64 joined(U64 a, U64 b, U64 factor) {
  const U64 once = mixed((a ^ b) * factor);
  return mixed((b ^ once) * factor) * factor;
}

U64 farm_short(const char* s, U64 size) {
  const U64 factor = kFarm2 + size * 2;
  if (size >= 8) {
    const U64 first = word(s) + kFarm2, last = word(s + size - 8);
    return joined(std::rotr(last, 37) * factor + first, (std::rotr(first, 25) + last) * factor, factor);
  }
  if (size >= 4) {
    const U64 first = load<std::uint32_t>(s), last = load<std::uint32_t>(s + size - 4);
    return joined(size + (first << 3), last, factor);
  }
  if (size == 0) return kFarm2;
  const auto at = [&](U64 i) { return std::uint32_t(static_cast<unsigned char>(s[i])); };
  const std::uint32_t y = at(0) + (at(size / 2) << 8), z = std::uint32_t(size) + (at(size - 1) << 2);
  return mixed(y * kFarm2 ^ z * kFarm0) * kFarm2;
}

U64 farm_to_32(const char* s, U64 size) {
  const U64 factor = kFarm2 + size * 2;
  const U64 a = word(s) * kFarm1, b = word(s + 8), c = word(s + size - 8) * factor,
            d = word(s + size - 16) * kFarm2;
  return joined(std::rotr(a + b, 43) + std::rotr(c, 30) + d, a + std::rotr(b + kFarm2, 18) + c, factor);
}

U64 farm_to_64(const char* s, U64 size) {
  const U64 factor = kFarm2 + size * 2;
  const U64 a = word(s) * kFarm2, b = word(s + 8), c = word(s + size - 8) * factor,
            d = word(s + size - 16) * kFarm2;
  const U64 y = std::rotr(a + b, 43) + std::rotr(c, 30) + d;
  const U64 z = joined(y, a + std::rotr(b + kFarm2, 18) + c, factor);
  const U64 e = word(s + 16) * factor, f = word(s + 24), g = (y + word(s + size - 32)) * factor,
            h = (z + word(s + size - 24)) * factor;
  return joined(std::rotr(e + f, 43) + std::rotr(g, 30) + h, e + std::rotr(f + a, 18) + g, factor);
}

// Two words that take in 32 bytes.
struct Pair {
  U64 first, second;
  static Pair of(const char* s, U64 a, U64 b) {
    const U64 w = word(s), x = word(s + 8), y = word(s + 16), z = word(s + 24);
    a += w;
    b = std::rotr(b + a + z, 21);
    const U64 sum = a + x + y;
    return {sum + z, b + std::rotr(sum, 44) + a};
  }
};

U64 farm_long(const char* s, U64 size) {
  U64 x = 81, y = 81 * kFarm1 + 113, z = mixed(y * kFarm2 + 113) * kFarm2;
  x = x * kFarm2 + word(s);
  Pair v{0, 0}, w{0, 0};
  const U64 rest = (size - 1) % 64;  // of the last block, without its last byte
  const char* const last = s + size - 64;
  const auto take_block = [&](const char* block, U64 factor, U64 of_v, U64 of_w) {
    x = std::rotr(x + y + v.first + word(block + 8), 37) * factor;
    y = std::rotr(y + v.second + word(block + 48), 42) * factor;
    x ^= w.second * of_w;
    y += v.first * of_v + word(block + 40);
    z = std::rotr(z + w.first, 33) * factor;
    v = Pair::of(block, v.second * factor, x + w.first);
    w = Pair::of(block + 32, z + w.second, y + word(block + 16));
    std::swap(z, x);
  };
  for (const char* const end = s + (size - 1) / 64 * 64; s != end; s += 64) take_block(s, kFarm1, 1, 1);
  const U64 factor = kFarm1 + ((z & 0xff) << 1);
  w.first += rest;
  v.first += w.first;
  w.first += v.first;
  take_block(last, factor, 9, 9);
  return joined(joined(v.first, w.first, factor) + mixed(y) * kFarm0 + z,
                joined(v.second, w.second, factor) + x, factor);
}

}  // namespace

U64 farm_fingerprint(std::string_view text) {
  const char* s = text.data();
  if (text.size() <= 16) return farm_short(s, text.size());
  if (text.size() <= 32) return farm_to_32(s, text.size());
  if (text.size() <= 64) return farm_to_64(s, text.size());
  return farm_long(s, text.size());
}

U64 murmur_hash(std::string_view text, U64 seed) {
  constexpr U64 kFactor = 0xc6a4a7935bd1e995;
  U64 hash = seed ^ text.size() * kFactor;
  for (; text.size() >= 8; text.remove_prefix(8)) {
    U64 k = word(text.data()) * kFactor;
    k = (k ^ k >> 47) * kFactor;
    hash = (hash ^ k) * kFactor;
  }
  if (!text.empty()) hash = (hash ^ tail_of(text)) * kFactor;
  hash = mixed(hash) * kFactor;
  return mixed(hash);
}

U64 sip_hash(std::string_view text, U64 key0, U64 key1) {
  U64 a = key0 ^ 0x736f6d6570736575, b = key1 ^ 0x646f72616e646f6d, c = key0 ^ 0x6c7967656e657261,
      d = key1 ^ 0x7465646279746573;
  const auto rounds = [&](int count) {
    for (; count > 0; --count) {
      a += b;
      c += d;
      b = std::rotl(b, 13) ^ a;
      d = std::rotl(d, 16) ^ c;
      a = std::rotl(a, 32);
      c += b;
      a += d;
      b = std::rotl(b, 17) ^ c;
      d = std::rotl(d, 21) ^ a;
      c = std::rotl(c, 32);
    }
  };
  const auto take = [&](U64 block) {
    d ^= block;
    rounds(2);
    a ^= block;
  };
  const U64 size = text.size();
  for (; text.size() >= 8; text.remove_prefix(8)) take(word(text.data()));
  take(size << 56 | tail_of(text));
  c ^= 0xff;
  rounds(4);
  return a ^ b ^ c ^ d;
}

}  // namespace headrace
