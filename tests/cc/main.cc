// Runs all tests whose name contains one of the arguments, or all.
#include <algorithm>
#include <cstdio>
#include <string_view>

#include "tests/cc/check.h"

// Under the sanitizers: too much memory is an error of ours and not the end; undefined behaviour is the end.
extern "C" const char* __asan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }

int main(int count, char** arguments) {
  using namespace headrace::testing;
  const auto wanted = [&](std::string_view name) {
    return count == 1 || std::any_of(arguments + 1, arguments + count,
                                     [&](std::string_view part) { return name.find(part) != name.npos; });
  };
  int passed = 0, failed = 0;
  for (const Test& test : tests()) {
    if (!wanted(test.name)) continue;
    try {
      test.run();
      ++passed;
    } catch (const std::exception& error) {
      ++failed;
      std::printf("FAILED %s: %s\n", test.name.c_str(), error.what());
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 || passed == 0;
}
