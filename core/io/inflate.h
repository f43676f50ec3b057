// Files that are compressed as gzip and zlib do it (RFC 1950, 1951, 1952), read from front to back.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace headrace {

enum class Container { gzip, zlib };

// Expands a stream piece by piece. It keeps the last 32 KiB and one piece, however much it expands to.
class Inflater {
 public:
  // `source` gives the next bytes, none at the end; they are valid until it is called again. `name` is the
  // file's, for errors.
  Inflater(std::string name, Container container, std::function<std::string_view()> source);
  // The next piece, empty at the end; it is valid until the next call. DataLoss if what is there is damaged
  // or ends too early; a piece is believed before the checksum behind the last one is.
  std::string_view read();

 private:
  // A prefix code: symbols in order of their codes, how many have each length, and a table for short codes.
  struct PrefixCode {
    static constexpr int kFastBits = 10, kMostBits = 15;
    std::array<std::uint16_t, kMostBits + 1> count;
    std::array<std::uint16_t, 288> symbol;
    std::array<std::uint16_t, 1 << kFastBits>
        fast;  // symbol << 4 | length, by the next bits; 0 for longer ones
  };
  enum class State { header, block, stored, coded, trailer, end };

  [[noreturn]] void damaged(std::string_view why) const;
  std::uint8_t byte();
  std::uint32_t little(int bytes);
  bool at_end();
  void fill();
  std::uint32_t bits(int count);
  void to_byte();
  int symbol(const PrefixCode& code);
  void make(PrefixCode& code, std::span<const std::uint8_t> lengths, bool may_be_sparse) const;

  void read_header();
  void begin_block();
  void read_codes();
  void copy_stored();
  void expand();
  void sum();
  void read_trailer();
  bool piece_is_full() const;

  const std::string name_;
  const Container container_;
  const std::function<std::string_view()> source_;
  std::string_view input_;
  std::uint64_t taken_ = 0;  // bytes of the input, for errors
  bool source_ended_ = false;
  std::uint64_t bits_ = 0;  // what is taken and not used yet, the next bit lowest
  int bit_count_ = 0;

  State state_ = State::header;
  bool last_block_ = false;
  std::uint32_t stored_left_ = 0;
  PrefixCode literals_, distances_;
  std::string out_;         // what may be referred to, and the piece
  std::size_t begin_ = 0;   // of the piece
  std::size_t summed_ = 0;  // so much of `out_` is in the checksum
  std::size_t member_ = 0;  // where what belongs to this header begins in `out_`, at most
  std::uint32_t sum_ = 0;
  std::uint32_t size_ = 0;
};

}  // namespace headrace
