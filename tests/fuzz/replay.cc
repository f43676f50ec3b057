// The short run of all fuzz targets that every `make test` does.
#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/io/file.h"
#include "tests/fuzz/fuzz.h"

namespace headrace::fuzzing {
namespace {

constexpr int kMutations = 300;  // of each file

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> corpus) : corpus_(std::move(corpus)) {}

  std::string operator()(std::string bytes) {
    for (int times = 1 + int(random_() % 4); times > 0; --times) change(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t end) { return end ? random_() % end : 0; }

  void change(std::string& bytes) {
    if (bytes.empty()) return bytes.push_back(char(random_()));
    const std::size_t at = below(bytes.size()),
                      length = below(std::min<std::size_t>(bytes.size() - at, 16)) + 1;
    // Numbers that are often the last or the first of something.
    static constexpr unsigned char kEdges[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x40, 0x08};
    switch (random_() % 7) {
      case 0:
        bytes[at] = char(bytes[at] ^ 1 << random_() % 8);
        return;
      case 1:
        bytes[at] = char(kEdges[random_() % std::size(kEdges)]);
        return;
      case 2:
        bytes.resize(at);
        return;
      case 3:
        bytes.erase(at, length);
        return;
      case 4:
        bytes.insert(below(bytes.size()), bytes.substr(at, length));
        return;
      case 5:
        for (std::size_t i = at; i < at + length && i < bytes.size(); ++i) bytes[i] = char(random_());
        return;
      default: {
        const std::string& other = corpus_[below(corpus_.size())];
        bytes = bytes.substr(0, at) + other.substr(below(other.size() + 1));
      }
    }
  }

  std::vector<std::string> corpus_;
  std::mt19937 random_{1};
};

}  // namespace

void replay(const char* name, Target target) {
  std::vector<std::string> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(HEADRACE_FUZZ_CORPUS "/") + name)) {
    files.push_back(entry.path().string());
  }
  std::sort(files.begin(), files.end());
  CHECK(!files.empty());
  std::vector<std::string> corpus;
  for (const std::string& file : files) corpus.push_back(read_file(file));
  Mutator mutated(corpus);
  for (const std::string& bytes : corpus) {
    run(target, bytes);
    for (int i = 0; i < kMutations; ++i) run(target, mutated(bytes));
  }
}

}  // namespace headrace::fuzzing
