// The Philox 4x32-10 generator: random bits as a function of a counter and a key, so that any thread can
// start anywhere in a stream (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3",
// 2011).
#pragma once

#include <array>
#include <cstdint>

namespace headrace {

class Philox {
 public:
  using Block = std::array<std::uint32_t, 4>;  // what one step gives: 128 bits
  static constexpr int kRounds = 10;
  static constexpr std::uint32_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  static constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;

  Philox() = default;
  // The stream of a pair of seeds: the key, and the upper half of the counter.
  Philox(std::uint64_t key, std::uint64_t stream) : key_(key), high_(stream) {}
  Philox(std::uint64_t key, std::uint64_t low, std::uint64_t high) : key_(key), low_(low), high_(high) {}

  void skip(std::uint64_t blocks) {
    low_ += blocks;
    if (low_ < blocks) ++high_;
  }
  Philox at(std::uint64_t blocks) const {
    Philox moved = *this;
    moved.skip(blocks);
    return moved;
  }
  std::uint64_t key() const { return key_; }
  std::uint64_t low() const { return low_; }
  std::uint64_t high() const { return high_; }

  Block operator()() {
    std::uint32_t c0 = std::uint32_t(low_), c1 = std::uint32_t(low_ >> 32);
    std::uint32_t c2 = std::uint32_t(high_), c3 = std::uint32_t(high_ >> 32);
    std::uint32_t k0 = std::uint32_t(key_), k1 = std::uint32_t(key_ >> 32);
    for (int round = 0; round < kRounds; ++round) {
      const std::uint64_t p0 = std::uint64_t(kMultiplier0) * c0, p1 = std::uint64_t(kMultiplier1) * c2;
      c0 = std::uint32_t(p1 >> 32) ^ c1 ^ k0;
      c1 = std::uint32_t(p1);
      c2 = std::uint32_t(p0 >> 32) ^ c3 ^ k1;
      c3 = std::uint32_t(p0);
      k0 += kWeyl0;
      k1 += kWeyl1;
    }
    skip(1);
    return {c0, c1, c2, c3};
  }

 private:
  std::uint64_t key_ = 0, low_ = 0, high_ = 0;
};

// One 32-bit number after the other.
class PhiloxWords {
 public:
  explicit PhiloxWords(Philox from) : philox_(from) {}
  std::uint32_t operator()() {
    if (used_ == 4) {
      block_ = philox_();
      used_ = 0;
    }
    return block_[used_++];
  }

 private:
  Philox philox_;
  Philox::Block block_;
  int used_ = 4;
};

}  // namespace headrace
