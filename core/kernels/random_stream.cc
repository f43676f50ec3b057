#include "core/kernels/random_stream.h"

#include <mutex>
#include <random>

namespace headrace {
namespace {

// How far a session has read the stream of a node.
class Stream final : public Resource {
 public:
  explicit Stream(Philox start) : next_(start) {}
  std::string describe() const override { return "a random stream"; }
  Philox reserve(std::uint64_t blocks) {
    std::lock_guard lock(mutex_);
    const Philox here = next_;
    next_.skip(blocks);
    return here;
  }

 private:
  std::mutex mutex_;
  Philox next_;
};

std::uint64_t entropy() {
  static std::mutex mutex;
  static std::random_device device;
  std::lock_guard lock(mutex);
  return std::uint64_t(device()) << 32 | device();
}

}  // namespace

Source stateful_source(PrepareContext& c) {
  const auto seed = std::uint64_t(c.attr<std::int64_t>("seed"));
  const auto seed2 = std::uint64_t(c.attr<std::int64_t>("seed2"));
  auto stream =
      c.own_resources().find_or_create<Stream>("random", str(c.node().name(), " ", seed, " ", seed2), [&] {
        const bool any = seed == 0 && seed2 == 0;
        return std::make_shared<Stream>(any ? Philox(entropy(), entropy()) : Philox(seed, seed2));
      });
  return [stream = std::move(stream)](RunContext&, std::uint64_t blocks) { return stream->reserve(blocks); };
}

}  // namespace headrace
