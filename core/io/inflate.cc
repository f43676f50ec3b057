#include "core/io/inflate.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/io/crc32c.h"

namespace headrace {
namespace {

constexpr std::size_t kWindow = 32 << 10;  // how far back a copy may reach
constexpr std::size_t kPiece = 256 << 10;

// What the symbols of lengths and distances start from, and how many bits are added.
struct Range {
  std::uint16_t base;
  std::uint8_t bits;
};

constexpr auto kLengths = [] {
  std::array<Range, 29> ranges{};
  int base = 3;
  for (int i = 0; i < 28; ++i) {
    const int bits = i < 8 ? 0 : i / 4 - 1;
    ranges[std::size_t(i)] = {std::uint16_t(base), std::uint8_t(bits)};
    base += 1 << bits;
  }
  ranges[28] = {258, 0};
  return ranges;
}();

constexpr auto kDistances = [] {
  std::array<Range, 30> ranges{};
  int base = 1;
  for (int i = 0; i < 30; ++i) {
    const int bits = i < 4 ? 0 : i / 2 - 1;
    ranges[std::size_t(i)] = {std::uint16_t(base), std::uint8_t(bits)};
    base += 1 << bits;
  }
  return ranges;
}();

std::uint32_t adler32(std::string_view data, std::uint32_t before) {
  constexpr std::uint32_t kModulus = 65521;
  constexpr std::size_t kMost = 5552;  // bytes before the sums could overflow
  std::uint32_t a = before & 0xffff, b = before >> 16;
  while (!data.empty()) {
    for (const char byte : data.substr(0, kMost)) b += a += static_cast<unsigned char>(byte);
    a %= kModulus, b %= kModulus;
    data.remove_prefix(std::min(kMost, data.size()));
  }
  return b << 16 | a;
}

}  // namespace

Inflater::Inflater(std::string name, Container container, std::function<std::string_view()> source)
    : name_(std::move(name)), container_(container), source_(std::move(source)) {}

void Inflater::damaged(std::string_view why) const {
  fail(Code::data_loss, "the file '", name_, "' is no whole ",
       container_ == Container::gzip ? "gzip" : "zlib", " file: near byte ", taken_, ": ", why);
}

// ---- bits

// At least 32 bits, unless the input ends.
void Inflater::fill() {
  while (bit_count_ <= 56) {
    if (input_.empty()) {
      if (source_ended_) return;
      input_ = source_();
      source_ended_ = input_.empty();
      continue;
    }
    bits_ |= std::uint64_t(static_cast<unsigned char>(input_.front())) << bit_count_;
    input_.remove_prefix(1);
    bit_count_ += 8;
    ++taken_;
  }
}

std::uint32_t Inflater::bits(int count) {
  if (bit_count_ < count) fill();
  if (bit_count_ < count) damaged("it ends too early");
  const auto value = std::uint32_t(bits_ & ((std::uint64_t(1) << count) - 1));
  bits_ >>= count;
  bit_count_ -= count;
  return value;
}

void Inflater::to_byte() { bits(bit_count_ % 8); }
std::uint8_t Inflater::byte() { return std::uint8_t(bits(8)); }

std::uint32_t Inflater::little(int bytes) {
  std::uint32_t value = 0;
  for (int i = 0; i < bytes; ++i) value |= std::uint32_t(byte()) << 8 * i;
  return value;
}

bool Inflater::at_end() {
  fill();
  return bit_count_ == 0;
}

// ---- prefix codes

void Inflater::make(PrefixCode& code, std::span<const std::uint8_t> lengths, bool may_be_sparse) const {
  code.count.fill(0);
  code.fast.fill(0);
  for (const std::uint8_t length : lengths) ++code.count[length];
  code.count[0] = 0;
  int left = 1, used = 0;  // codes of a length that are free
  for (int length = 1; length <= PrefixCode::kMostBits; ++length) {
    left = 2 * left - code.count[std::size_t(length)];
    used += code.count[std::size_t(length)];
    if (left < 0) damaged("a code has too many symbols");
  }
  if (left > 0 && !(may_be_sparse && used <= 1)) damaged("a code has too few symbols");
  std::array<int, PrefixCode::kMostBits + 2> place{}, next{};  // of the first symbol, and its code, by length
  for (std::size_t length = 1; length <= PrefixCode::kMostBits; ++length) {
    place[length + 1] = place[length] + code.count[length];
    next[length + 1] = 2 * (next[length] + code.count[length]);
  }
  for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol) {
    const std::size_t length = lengths[symbol];
    if (length == 0) continue;
    code.symbol[std::size_t(place[length]++)] = std::uint16_t(symbol);
    const int bits = next[length]++;
    if (length > PrefixCode::kFastBits) continue;
    std::size_t reversed = 0;  // codes come with their first bit first
    for (std::size_t i = 0; i < length; ++i) reversed |= std::size_t(bits >> i & 1) << (length - 1 - i);
    for (; reversed < code.fast.size(); reversed += std::size_t(1) << length) {
      code.fast[reversed] = std::uint16_t(symbol << 4 | length);
    }
  }
}

int Inflater::symbol(const PrefixCode& code) {
  if (bit_count_ < PrefixCode::kMostBits) fill();
  const std::uint16_t found = code.fast[std::size_t(bits_) % code.fast.size()];
  if (found != 0) {
    bits(found & 15);
    return found >> 4;
  }
  // Codes of one length follow each other, and those of the next begin at twice the end.
  int value = 0, first = 0, index = 0;
  for (int length = 1; length <= PrefixCode::kMostBits; ++length) {
    value |= int(bits_ >> (length - 1) & 1);
    const int count = code.count[std::size_t(length)];
    if (value - first < count) {
      bits(length);
      return code.symbol[std::size_t(index + value - first)];
    }
    index += count;
    first = 2 * (first + count);
    value *= 2;
  }
  damaged("there is no such code");
}

// ---- the parts of a file

void Inflater::read_header() {
  if (at_end()) {
    state_ = State::end;
    if (taken_ == 0) damaged("it is empty");
    return;
  }
  if (container_ == Container::zlib) {
    const int method = byte(), flags = byte();
    if ((method & 15) != 8 || method >> 4 > 7 || (method << 8 | flags) % 31 != 0)
      damaged("its header is wrong");
    if (flags & 32) damaged("it needs a dictionary");
    sum_ = 1;
  } else {
    if (byte() != 0x1f || byte() != 0x8b || byte() != 8) damaged("its header is wrong");
    const int flags = byte();
    if (flags & 0xe0) damaged("its header is wrong");
    little(4), little(2);  // time, and how and where it was made
    if (flags & 4) {
      for (std::uint32_t left = little(2); left > 0; --left) byte();
    }
    for (const int text : {8, 16}) {  // a name, a comment
      while (flags & text && byte() != 0) {
      }
    }
    if (flags & 2) little(2);
    sum_ = 0;
  }
  size_ = 0;
  member_ = out_.size();
  state_ = State::block;
}

void Inflater::begin_block() {
  last_block_ = bits(1) != 0;
  switch (bits(2)) {
    case 0:
      to_byte();
      stored_left_ = little(2);
      if ((little(2) ^ 0xffff) != stored_left_) damaged("a length is wrong");
      state_ = State::stored;
      return;
    case 1: {
      std::array<std::uint8_t, 288> lengths;
      for (std::size_t i = 0; i < lengths.size(); ++i)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
      make(literals_, lengths, false);
      std::array<std::uint8_t, 32> fives;
      fives.fill(5);
      make(distances_, fives, false);
      break;
    }
    case 2:
      read_codes();
      break;
    default:
      damaged("there is no such kind of block");
  }
  state_ = State::coded;
}

// The codes are compressed themselves, with a code whose lengths come first.
void Inflater::read_codes() {
  const std::size_t literals = bits(5) + 257, distances = bits(5) + 1, given = bits(4) + 4;
  if (literals > 286 || distances > 30) damaged("a code has too many symbols");
  constexpr std::array<std::uint8_t, 19> kOrder = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                   11, 4,  12, 3, 13, 2, 14, 1, 15};
  std::array<std::uint8_t, 19> of_lengths{};
  for (std::size_t i = 0; i < given; ++i) of_lengths[kOrder[i]] = std::uint8_t(bits(3));
  make(literals_, of_lengths, false);
  std::array<std::uint8_t, 286 + 30> lengths{};
  for (std::size_t i = 0; i < literals + distances;) {
    const int found = symbol(literals_);
    if (found < 16) {
      lengths[i++] = std::uint8_t(found);
      continue;
    }
    if (found == 16 && i == 0) damaged("there is no length to repeat");
    const std::uint8_t value = found == 16 ? lengths[i - 1] : 0;
    const std::size_t times = found == 16 ? 3 + bits(2) : found == 17 ? 3 + bits(3) : 11 + bits(7);
    if (times > literals + distances - i) damaged("a code has too many symbols");
    std::fill_n(lengths.begin() + std::ptrdiff_t(i), times, value);
    i += times;
  }
  if (lengths[256] == 0) damaged("a block has no end");
  make(literals_, std::span(lengths).first(literals), true);
  make(distances_, std::span(lengths).subspan(literals, distances), true);
}

bool Inflater::piece_is_full() const { return out_.size() - begin_ >= kPiece; }

void Inflater::copy_stored() {
  while (stored_left_ > 0 && !piece_is_full()) {
    out_.push_back(char(byte()));
    --stored_left_;
  }
  if (stored_left_ == 0) state_ = last_block_ ? State::trailer : State::block;
}

void Inflater::expand() {
  while (!piece_is_full()) {
    const int found = symbol(literals_);
    if (found < 256) {
      out_.push_back(char(found));
      continue;
    }
    if (found == 256) {
      state_ = last_block_ ? State::trailer : State::block;
      return;
    }
    if (found - 257 >= int(kLengths.size())) damaged("there is no such length");
    const Range length = kLengths[std::size_t(found - 257)];
    std::size_t left = length.base + bits(length.bits);
    const int far = symbol(distances_);
    if (far >= int(kDistances.size())) damaged("there is no such distance");
    const Range distance = kDistances[std::size_t(far)];
    const std::size_t back = distance.base + bits(distance.bits);
    if (back > out_.size() - member_) damaged("a copy reaches before the beginning");
    std::size_t from = out_.size() - back;
    if (back >= left) {
      out_.resize(out_.size() + left);
      std::copy_n(out_.begin() + std::ptrdiff_t(from), left, out_.end() - std::ptrdiff_t(left));
    } else {  // what it has just copied is copied again
      for (; left > 0; --left) out_.push_back(out_[from++]);
    }
  }
}

void Inflater::sum() {
  const std::string_view fresh = std::string_view(out_).substr(summed_);
  sum_ = container_ == Container::gzip ? crc32(fresh, sum_) : adler32(fresh, sum_);
  size_ += std::uint32_t(fresh.size());
  summed_ = out_.size();
}

void Inflater::read_trailer() {
  sum();
  to_byte();
  if (container_ == Container::gzip) {
    if (little(4) != sum_) damaged("its checksum is wrong");
    if (little(4) != size_) damaged("its size is wrong");
  } else {
    std::uint32_t stored = 0;
    for (int i = 0; i < 4; ++i) stored = stored << 8 | byte();
    if (stored != sum_) damaged("its checksum is wrong");
  }
  state_ = State::header;  // a file may be several, one behind the other
}

std::string_view Inflater::read() {
  const std::size_t kept = std::min(kWindow, out_.size());
  member_ -= std::min(member_, out_.size() - kept);
  out_.erase(0, out_.size() - kept);
  begin_ = summed_ = kept;
  while (!piece_is_full() && state_ != State::end) {
    switch (state_) {
      case State::header:
        read_header();
        break;
      case State::block:
        begin_block();
        break;
      case State::stored:
        copy_stored();
        break;
      case State::coded:
        expand();
        break;
      case State::trailer:
        read_trailer();
        break;
      case State::end:
        break;
    }
  }
  sum();
  return std::string_view(out_).substr(begin_);
}

}  // namespace headrace
