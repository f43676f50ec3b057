#include "core/io/records.h"

#include <cstdio>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "core/io/events.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

std::string file_of(const std::vector<std::string>& records) {
  std::string file;
  for (const std::string& record : records) append_record(file, record);
  return file;
}

TEST(records, come_back_however_the_file_is_cut) {
  const std::vector<std::string> records = {"", "one", std::string(5000, 'x')};
  const std::string file = file_of(records);
  for (std::size_t step : {1, 7, 4096, 100000}) {
    RecordParser parser("file");
    std::vector<std::string> found;
    for (std::size_t at = 0; at < file.size(); at += step) {
      for (std::string& record : parser.feed(std::string_view(file).substr(at, step))) {
        found.push_back(std::move(record));
      }
    }
    parser.finish();
    CHECK(found == records);
  }
}

TEST(records, damage_is_found_after_what_is_whole) {
  const std::string file = file_of({"first", "second"});
  for (std::size_t at = 21; at < file.size(); ++at) {  // the first record has 21 bytes
    std::string damaged = file;
    damaged[at] ^= 0x10;
    RecordParser parser("file");
    CHECK_EQ(parser.feed(damaged).size(), 1u);
    CHECK_ERROR(data_loss, parser.finish());
  }
}

TEST(records, a_short_file_is_told) {
  const std::string file = file_of({"first"});
  for (std::size_t size = 1; size < file.size(); ++size) {
    RecordParser parser("file");
    CHECK(parser.feed(std::string_view(file).substr(0, size)).empty());
    CHECK_ERROR(data_loss, parser.finish());
  }
}

TEST(events, from_several_threads_all_reach_the_file) {
  const std::string path = "headrace_events_test.bin";
  std::remove(path.c_str());
  {
    EventWriter writer(path, 4);
    std::vector<std::thread> threads;
    for (int k = 0; k < 3; ++k) {
      threads.emplace_back([&] {
        for (int i = 0; i < 100; ++i) writer.add("event");
      });
    }
    for (std::thread& thread : threads) thread.join();
    writer.flush();
    std::ifstream in(path, std::ios::binary);
    RecordParser parser(path);
    CHECK_EQ(parser.feed(std::string(std::istreambuf_iterator<char>(in), {})).size(), 300u);
    parser.finish();
    writer.close();
    CHECK_ERROR(failed_precondition, writer.add("late"));
  }
  std::remove(path.c_str());
  CHECK_ERROR(not_found, EventWriter("no/such/folder/file", 1));
}

}  // namespace
}  // namespace headrace
