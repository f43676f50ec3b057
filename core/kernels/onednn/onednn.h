// The little of oneDNN that our kernels share: one engine, a stream for each thread, and primitives that run
// on raw pointers. A kernel makes its primitives when it prepares; the memory that they need comes from its
// scratch.
#pragma once

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <utility>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/shape.h"
#include "core/registry/kernel.h"

namespace headrace::onednn {

using dnnl::memory;

const dnnl::engine& engine();

// float32 and bfloat16 as the library's types; undef for others, which it is not asked to compute.
memory::data_type type_of(DType dtype);

// A dense tensor in memory; `strides` in elements, for dimensions in the library's logical order.
inline memory::desc desc(memory::data_type type, const memory::dims& dims, const memory::dims& strides) {
  return memory::desc(dims, type, strides);
}
inline memory::desc any(memory::data_type type, const memory::dims& dims) {
  return memory::desc(dims, type, memory::format_tag::any);
}

// For every primitive: its working memory is an argument, so that it may run in several threads at once.
dnnl::primitive_attr user_scratchpad();
// Whether the library has a kernel of its own for this, not only its slow reference.
bool is_fast(const dnnl::primitive_desc_base& primitive);

// While it lives, the library works with this many threads on behalf of the calling thread; with as many as
// work that takes one thread `ns` nanoseconds deserves. A primitive keeps the number that it was made with.
class Team {
 public:
  explicit Team(int threads);
  explicit Team(double ns);
  ~Team();
  Team(const Team&) = delete;

 private:
  const int before_;
};
// How long one thread takes for so many floating-point operations on so many bytes, roughly.
inline double time_of(double flop, double bytes) { return std::max(flop / 200, bytes / 20); }

// Bytes of scratch handed out one after another; the kernel then declares the sum.
struct Scratch {
  std::size_t bytes = 0;
  std::size_t add(std::size_t size) {
    const std::size_t offset = bytes;
    bytes += (size + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }
};

// A primitive and the order in which it is given its memory. May be run from several threads at once.
class Primitive {
 public:
  struct Argument {
    int role;  // DNNL_ARG_...
    memory::desc desc;
  };
  Primitive() = default;
  Primitive(const dnnl::primitive& primitive, std::vector<Argument> arguments);
  explicit operator bool() const { return state_ != nullptr; }
  // One pointer for each argument.
  void run(std::span<const void* const> pointers) const;
  void run(std::initializer_list<const void*> pointers) const {
    run(std::span(pointers.begin(), pointers.size()));
  }

 private:
  struct Bound;  // memory objects, to be pointed at the data of one run
  struct State {
    dnnl::primitive primitive;
    int threads;
    std::vector<Argument> arguments;
    std::atomic<Bound*> spare{nullptr};  // left by the last run for the next
    ~State();
  };
  std::shared_ptr<State> state_;
};

// Makes a kernel with `make`; nullptr where the library turns out not to do this after all.
template <class Make>
std::unique_ptr<Kernel> if_supported(Make&& make) {
  try {
    return make();
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace headrace::onednn
