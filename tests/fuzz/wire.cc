// The wire format: every message is walked, and whatever may be one within it.
#include "core/io/wire.h"

#include "tests/fuzz/fuzz.h"

namespace headrace {
namespace {

void walk(wire::Reader in) {
  while (in.next()) {
    switch (in.kind()) {
      case wire::Kind::varint:
        in.varint();
        break;
      case wire::Kind::fixed32:
        in.real32();
        break;
      case wire::Kind::fixed64:
        in.real64();
        break;
      case wire::Kind::bytes: {
        // The same bytes in all their meanings: each may be wrong, and the rest goes on.
        wire::Reader numbers = in;
        fuzzing::run(
            [](std::string_view all) {
              wire::Reader packed(all);
              while (packed.next()) packed.varints([](std::uint64_t) {});
            },
            numbers.bytes());
        try {
          walk(in.message());
        } catch (const Error&) {
        }
        break;
      }
      default:
        break;  // groups are skipped
    }
  }
}

}  // namespace
}  // namespace headrace

FUZZ(wire) { headrace::walk(headrace::wire::Reader(bytes)); }
