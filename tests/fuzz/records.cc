// Files of records, in pieces; and records that come back.
#include "core/io/records.h"

#include <vector>

#include "tests/fuzz/fuzz.h"

FUZZ(records) {
  using namespace headrace;
  // As it is: nothing that has no checksum comes through.
  fuzzing::run(
      [](std::string_view all) {
        RecordParser parser("file");
        const std::size_t step = 1 + all.size() / 3;
        for (std::size_t at = 0; at < all.size(); at += step) parser.feed(all.substr(at, step));
        parser.finish();
      },
      bytes);
  // With checksums, cut off somewhere, and with a byte changed.
  std::string file;
  append_record(file, bytes);
  append_record(file, bytes.substr(0, bytes.size() / 2));
  RecordParser whole("file");
  const std::vector<std::string> records = whole.feed(file);
  whole.finish();
  if (records.size() != 2 || records[0] != bytes) internal("other records came back");
  const std::size_t at = bytes.empty() ? 0 : static_cast<unsigned char>(bytes[0]) % file.size();
  std::string damaged = file;
  damaged[at] = char(damaged[at] ^ 4);
  RecordParser parser("file");
  bool told = false;
  try {
    parser.feed(damaged);
    parser.finish();
  } catch (const Error& error) {
    told = error.code() == Code::data_loss;
  }
  if (!told) internal("a changed byte was not noticed");
}
