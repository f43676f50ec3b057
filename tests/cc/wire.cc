#include "core/io/wire.h"

#include <limits>
#include <random>

#include "tests/cc/check.h"

namespace headrace::wire {
namespace {

TEST(wire, reads_what_it_wrote) {
  Writer out;
  out.varint(1, 300);
  out.integer(2, -1);
  out.bytes(3, "text");
  out.real32_element(4, 1.5f);
  out.real64_element(5, -2.25);
  out.message(6, [](Writer& inner) { inner.varint(1, std::numeric_limits<std::uint64_t>::max()); });
  out.packed_varints(7, std::vector<std::int64_t>{1, 2, -3});
  out.packed_reals(8, std::vector<float>{0.5f, 4});
  out.varint_element(70000, 1);

  const std::string bytes = out.str();
  Reader in(bytes);
  CHECK(in.next());
  CHECK_EQ(in.varint(), 300u);
  CHECK(in.next());
  CHECK_EQ(in.integer(), -1);
  CHECK(in.next());
  CHECK_EQ(in.text(), "text");
  CHECK(in.next());
  CHECK_EQ(in.real32(), 1.5f);
  CHECK(in.next());
  CHECK_EQ(in.real64(), -2.25);
  CHECK(in.next());
  Reader inner = in.message();
  CHECK(inner.next());
  CHECK_EQ(inner.varint(), std::numeric_limits<std::uint64_t>::max());
  CHECK(!inner.next());
  CHECK(in.next());
  std::vector<std::int64_t> numbers;
  in.varints([&](std::uint64_t value) { numbers.push_back(std::int64_t(value)); });
  CHECK_EQ(numbers, (std::vector<std::int64_t>{1, 2, -3}));
  CHECK(in.next());
  std::vector<float> reals;
  in.reals32([&](float value) { reals.push_back(value); });
  CHECK_EQ(reals, (std::vector<float>{0.5f, 4}));
  CHECK(in.next());
  CHECK_EQ(in.field(), 70000);
  CHECK(!in.next());
}

TEST(wire, defaults_are_left_out) {
  Writer out;
  out.varint(1, 0);
  out.integer(2, 0);
  out.boolean(3, false);
  out.bytes(4, "");
  out.packed_varints(5, std::vector<std::int64_t>());
  CHECK_EQ(out.str(), "");
}

TEST(wire, skips_what_is_not_asked_for) {
  // A varint, a fixed64, a fixed32, bytes and two nested groups; then field 9.
  using namespace std::string_view_literals;
  const auto bytes =
      "\x08\x96\x01"
      "\x11"
      "12345678"
      "\x1d"
      "1234"
      "\x22\x02"
      "ab"
      "\x2b\x33\x08\x01\x34\x08\x07\x2c"
      "\x48\x05"sv;
  Reader in(bytes);
  int last = 0;
  while (in.next()) last = in.field();
  CHECK_EQ(last, 9);
}

TEST(wire, malformed_input_is_an_error) {
  const auto walk = [](std::string_view bytes) {
    for (Reader in(bytes); in.next();) {
    }
  };
  using namespace std::string_view_literals;
  for (std::string_view bytes : {
           "\x08"sv,      // a tag without a value
           "\x00\x01"sv,  // field number zero
           "\x0a\x05"
           "ab"sv,                                                    // more bytes than there are
           "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,          // far more
           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,  // an endless number
           "\x0c"sv,                                                  // an end without a beginning
           "\x0b\x14"sv,                                              // another group's end
           "\x0b\x08\x01"sv,                                          // a group without an end
           "\x0e"sv,                                                  // no such wire type
           "\x0d\x01\x02"sv,                                          // half a fixed32
           "\x09\x01\x02"sv,                                          // a quarter of a fixed64
       }) {
    CHECK_CONTAINS(CHECK_ERROR(invalid_argument, walk(bytes)), "malformed");
  }
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, walk(std::string(100000, '\x0b'))), "nested");
}

TEST(wire, wrong_kind_is_an_error) {
  Reader in("\x08\x01");
  CHECK(in.next());
  CHECK_ERROR(invalid_argument, in.bytes());
}

TEST(wire, text_is_utf8) {
  CHECK(Reader::is_utf8("plain"));
  CHECK(Reader::is_utf8("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (std::string_view bad : {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"}) {
    CHECK(!Reader::is_utf8(bad));
  }
}

TEST(wire, random_bytes_never_crash) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(random() % 64, '\0');
    for (char& byte : bytes) byte = char(random());
    try {
      for (Reader in(bytes); in.next();) {
        if (in.kind() == Kind::bytes && random() % 2) {
          for (Reader inner = in.message(); inner.next();) {
          }
        }
      }
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace headrace::wire
