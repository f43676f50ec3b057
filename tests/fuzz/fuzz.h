// Fuzz targets: what reads bytes that others wrote must give a result or an Error, whatever they are.
//
//   FUZZ(records) { RecordParser parser("file"); parser.feed(bytes); }
//
// In a build for libFuzzer (`make fuzz`) each file is a program of its own. In headrace_tests each target is
// a test, which runs over the corpus and over seeded mutations of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/error.h"
#include "tests/cc/check.h"

namespace headrace::fuzzing {

using Target = void (*)(std::string_view bytes);

// Runs a target; an Error is a good answer, if it says something.
inline void run(Target target, std::string_view bytes) {
  try {
    target(bytes);
  } catch (const Error& error) {
    if (error.code() == Code::internal || error.what()[0] == '\0') throw;
  }
}

// Runs it over the files of tests/fuzz/corpus/<name>, and over mutations of them.
void replay(const char* name, Target target);

}  // namespace headrace::fuzzing

#ifdef HEADRACE_LIBFUZZER
#define FUZZ(NAME)                                                                      \
  static void read_##NAME(std::string_view bytes);                                      \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {   \
    ::headrace::fuzzing::run(read_##NAME, {reinterpret_cast<const char*>(data), size}); \
    return 0;                                                                           \
  }                                                                                     \
  static void read_##NAME(std::string_view bytes)
#else
#define FUZZ(NAME)                                                      \
  static void read_##NAME(std::string_view bytes);                      \
  TEST(fuzz, NAME) { ::headrace::fuzzing::replay(#NAME, read_##NAME); } \
  static void read_##NAME(std::string_view bytes)
#endif
