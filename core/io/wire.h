// The protocol buffer wire format: just enough to read and write messages field by field.
//
// A message is a sequence of fields, each a tag (number << 3 | kind) and a value. What a reader does not know
// it skips, so old programs read new messages. Nothing here trusts its input: every length is checked against
// the bytes there are, and nesting is bounded.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/error.h"

namespace headrace::wire {

static_assert(std::endian::native == std::endian::little, "the wire format is read and written in place");

enum class Kind : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, group = 3, end_group = 4, fixed32 = 5 };

inline constexpr int kMaxDepth = 64;

// Walks over the fields of one message:
//   for (Reader in(bytes); in.next();) {
//     switch (in.field()) {
//       case 1: name = in.text(); break;
//       case 2: shape = read_shape(in.message()); break;
//     }                                 // what is not asked for is skipped
//   }
class Reader {
 public:
  explicit Reader(std::string_view bytes, int depth = kMaxDepth) : rest_(bytes), depth_(depth) {
    require(depth > 0, "malformed message: nested too deeply");
  }

  bool next() {
    if (pending_) skip(kind_);
    if (rest_.empty()) return false;
    const std::uint64_t tag = take_varint();
    field_ = int(tag >> 3 & 0x1fffffff);
    kind_ = Kind(tag & 7);
    require(field_ > 0 && tag >> 32 == 0 && (tag & 7) <= 5 && kind_ != Kind::end_group,
            "malformed message: bad field tag ", tag);
    return pending_ = true;
  }
  int field() const { return field_; }
  Kind kind() const { return kind_; }

  // The value of the current field; InvalidArgument if it is of another kind.
  std::uint64_t varint() {
    expect(Kind::varint);
    return take_varint();
  }
  std::int64_t integer() { return std::int64_t(varint()); }
  bool boolean() { return varint() != 0; }
  float real32() {
    expect(Kind::fixed32);
    return take<float>();
  }
  std::uint32_t fixed32() {
    expect(Kind::fixed32);
    return take<std::uint32_t>();
  }
  double real64() {
    expect(Kind::fixed64);
    return take<double>();
  }
  std::string_view bytes() {
    expect(Kind::bytes);
    return take_bytes();
  }
  // Text is UTF-8, which is checked.
  std::string_view text() {
    const std::string_view value = bytes();
    require(is_utf8(value), "malformed message: field ", field_, " is not UTF-8");
    return value;
  }
  Reader message() { return Reader(bytes(), depth_ - 1); }
  int depth() const { return depth_; }

  // A repeated number comes one a field or packed, many in one; calls f(value) for each of this field's.
  template <class F>
  void varints(F&& f) {
    repeated(Kind::varint, [&](Reader& in) { f(in.take_varint()); });
  }
  template <class F>
  void reals32(F&& f) {
    repeated(Kind::fixed32, [&](Reader& in) { f(in.take<float>()); });
  }
  template <class F>
  void reals64(F&& f) {
    repeated(Kind::fixed64, [&](Reader& in) { f(in.take<double>()); });
  }

  static bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
      const auto first = static_cast<unsigned char>(text[i]);
      const int length = first < 0x80       ? 1
                         : first >> 5 == 6  ? 2
                         : first >> 4 == 14 ? 3
                         : first >> 3 == 30 ? 4
                                            : 0;
      if (length == 0 || i + length > text.size()) return false;
      std::uint32_t point = length == 1 ? first : first & (0x7f >> length);
      for (int k = 1; k < length; ++k) {
        const auto byte = static_cast<unsigned char>(text[i + k]);
        if (byte >> 6 != 2) return false;
        point = point << 6 | (byte & 0x3f);
      }
      constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
      if (point < kLeast[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
      i += length;
    }
    return true;
  }

 private:
  void expect(Kind kind) {
    require(pending_ && kind_ == kind, "malformed message: field ", field_, " has wire type ", int(kind_),
            ", expected ", int(kind));
    pending_ = false;
  }
  template <class F>
  void repeated(Kind element, F&& one) {
    if (kind_ != Kind::bytes) {
      expect(element);
      one(*this);
      return;
    }
    for (Reader packed(bytes(), depth_); !packed.rest_.empty();) one(packed);
  }
  std::uint64_t take_varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      require(!rest_.empty(), "malformed message: it ends within a number");
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      if (shift < 64) value |= std::uint64_t(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    invalid("malformed message: a number is longer than 10 bytes");
  }
  template <class T>
  T take() {
    require(rest_.size() >= sizeof(T), "malformed message: it ends within a number");
    T value;
    std::memcpy(&value, rest_.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return value;
  }
  std::string_view take_bytes() {
    const std::uint64_t size = take_varint();
    require(size <= rest_.size(), "malformed message: a field of ", size, " bytes where ", rest_.size(),
            " are left");
    const std::string_view value = rest_.substr(0, std::size_t(size));
    rest_.remove_prefix(std::size_t(size));
    return value;
  }
  void skip(Kind kind) {
    pending_ = false;
    switch (kind) {
      case Kind::varint:
        take_varint();
        break;
      case Kind::fixed64:
        take<std::uint64_t>();
        break;
      case Kind::fixed32:
        take<std::uint32_t>();
        break;
      case Kind::bytes:
        take_bytes();
        break;
      default:
        skip_group();
        break;
    }
  }
  // Groups are an ancient kind of sub-message that ends with a tag instead of starting with a length.
  void skip_group() {
    std::uint64_t numbers[kMaxDepth] = {std::uint64_t(field_)};
    for (int level = 1; level > 0;) {
      const std::uint64_t tag = take_varint();
      require((tag & 7) <= 5 && tag >> 3 != 0, "malformed message: bad field tag ", tag);
      switch (const Kind kind = Kind(tag & 7)) {
        case Kind::group:
          require(level < kMaxDepth, "malformed message: nested too deeply");
          numbers[level++] = tag >> 3;
          break;
        case Kind::end_group:
          require(numbers[--level] == tag >> 3, "malformed message: a group ends that did not begin");
          break;
        default:
          skip(kind);
      }
    }
  }

  std::string_view rest_;
  int depth_;
  int field_ = 0;
  Kind kind_ = Kind::varint;
  bool pending_ = false;  // the current field's value is not read yet
};

// Appends fields to a message. The plain calls leave out a value that is the default (zero, empty), as the
// format's rules for single fields say; the `_element` ones do not, for repeated fields and members of a
// oneof.
class Writer {
 public:
  void varint(int field, std::uint64_t value) {
    if (value) varint_element(field, value);
  }
  void integer(int field, std::int64_t value) { varint(field, std::uint64_t(value)); }
  void boolean(int field, bool value) { varint(field, value); }
  void bytes(int field, std::string_view value) {
    if (!value.empty()) bytes_element(field, value);
  }
  void varint_element(int field, std::uint64_t value) {
    tag(field, Kind::varint);
    put_varint(value);
  }
  void real32_element(int field, float value) {
    tag(field, Kind::fixed32);
    put(value);
  }
  void fixed32_element(int field, std::uint32_t value) {
    tag(field, Kind::fixed32);
    put(value);
  }
  void real64_element(int field, double value) {
    tag(field, Kind::fixed64);
    put(value);
  }
  void bytes_element(int field, std::string_view value) {
    tag(field, Kind::bytes);
    put_varint(value.size());
    bytes_.append(value);
  }
  // A sub-message, which `body(writer)` writes.
  template <class Body>
  void message(int field, Body&& body) {
    tag(field, Kind::bytes);
    const std::size_t start = bytes_.size();
    body(*this);
    Writer size;
    size.put_varint(bytes_.size() - start);
    bytes_.insert(start, size.bytes_);
  }
  // A repeated number, packed: put(value) is called with each of `values`.
  template <class Values>
  void packed_varints(int field, const Values& values) {
    if (std::size(values) == 0) return;
    message(field, [&](Writer& out) {
      for (auto value : values) out.put_varint(std::uint64_t(value));
    });
  }
  template <class Values>
  void packed_reals(int field, const Values& values) {
    if (std::size(values) == 0) return;
    message(field, [&](Writer& out) {
      for (auto value : values) out.put(value);
    });
  }

  const std::string& str() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  void tag(int field, Kind kind) { put_varint(std::uint64_t(field) << 3 | std::uint64_t(kind)); }
  void put_varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(char(value | 0x80));
    bytes_.push_back(char(value));
  }
  template <class T>
  void put(T value) {
    char raw[sizeof(T)];
    std::memcpy(raw, &value, sizeof(T));
    bytes_.append(raw, sizeof(T));
  }

  std::string bytes_;
};

}  // namespace headrace::wire
