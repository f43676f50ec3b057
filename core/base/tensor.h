// Tensors: a dtype, a full shape, and a share in a reference-counted buffer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "core/base/dtype.h"
#include "core/base/error.h"
#include "core/base/shape.h"

namespace headrace {

// Every buffer of ours starts on such a boundary: a cache line, and the widest vector.
inline constexpr std::size_t kAlignment = 64;

// Mutable state that outlives a step: variables, queues, tables... (registry/resource.h holds them by name).
class Resource {
 public:
  virtual ~Resource() = default;
  virtual std::string describe() const = 0;
};
using ResourceRef = std::shared_ptr<Resource>;

// A value that only some operations understand (tensor lists...): the element of a variant tensor. Immutable.
class Variant {
 public:
  virtual ~Variant() = default;
  virtual std::string describe() const = 0;
};
using VariantRef = std::shared_ptr<const Variant>;

// Memory shared by tensors, freed with its last reference.
class Buffer {
 public:
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  // The caller's memory, lent for a step: never written, and copied by who keeps it beyond the step.
  bool borrowed() const { return borrowed_; }

  // A number that no other content of any buffer has, for who keeps something made from this content (weights
  // in another layout). 0 unless somebody promised, by `settle`, that only a holder who found the buffer
  // unique will ever write to it. To find it unique is leave to write, so that takes the number away again.
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void settle();

 private:
  friend class BufferRef;
  Buffer(void* data, std::size_t bytes, std::function<void()> release, bool borrowed = false);
  ~Buffer() {
    if (release_) release_();
  }
  std::atomic<std::int64_t> references_{1};
  std::atomic<std::uint64_t> version_{0};
  void* data_;
  std::size_t bytes_;
  std::function<void()> release_;
  bool borrowed_;
};

// A reference to a Buffer. `unique` is an acquire: if it says true, all that other holders did is visible.
class BufferRef {
 public:
  BufferRef() = default;
  // Uninitialised bytes, aligned to kAlignment; ResourceExhausted if there are none.
  static BufferRef allocate(std::size_t bytes);
  // Memory that somebody else owns until `release` is called, which may happen on any thread.
  static BufferRef adopt(void* data, std::size_t bytes, std::function<void()> release);
  // The same for memory that its owner may read and change after the step (see Buffer::borrowed).
  static BufferRef borrow(void* data, std::size_t bytes, std::function<void()> release);

  BufferRef(const BufferRef& other) : buffer_(other.buffer_) {
    if (buffer_) buffer_->references_.fetch_add(1, std::memory_order_relaxed);
  }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() {
    if (buffer_ && buffer_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete buffer_;
  }
  explicit operator bool() const { return buffer_ != nullptr; }
  Buffer* operator->() const { return buffer_; }
  // How many buffers were ever made, for tests of what a loop allocates.
  static std::int64_t made();
  bool unique() const {
    if (!buffer_ || buffer_->borrowed() || buffer_->references_.load(std::memory_order_acquire) != 1)
      return false;
    buffer_->version_.store(0, std::memory_order_relaxed);
    return true;
  }

 private:
  explicit BufferRef(Buffer* buffer) : buffer_(buffer) {}
  Buffer* buffer_ = nullptr;
};

class Tensor {
 public:
  Tensor() = default;  // no tensor: `if (tensor)` is false
  // Plain elements are uninitialised, others default-constructed.
  Tensor(DType dtype, Shape shape);
  // A view of `buffer`, which must hold shape.size() elements from byte `offset` on.
  Tensor(DType dtype, Shape shape, BufferRef buffer, std::size_t offset = 0);
  template <class T>
  static Tensor scalar(T value) {
    Tensor tensor(dtype_v<T>, Shape());
    *tensor.data<T>() = std::move(value);
    return tensor;
  }
  template <class T>
  static Tensor vector(std::span<const T> values) {
    Tensor tensor(dtype_v<T>, Shape{std::int64_t(values.size())});
    std::copy(values.begin(), values.end(), tensor.data<T>());
    return tensor;
  }
  template <class T>
  static Tensor vector(std::initializer_list<T> values) {
    return vector(std::span<const T>(values.begin(), values.size()));
  }
  static Tensor scalar(ResourceRef resource);
  static Tensor scalar(VariantRef variant);

  explicit operator bool() const { return dtype_ != DType::invalid; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return size_; }
  std::size_t bytes() const { return std::size_t(size_) * size_of(dtype_); }
  const BufferRef& buffer() const { return buffer_; }
  // Nobody else holds this memory, so it may be written in place.
  bool unique() const { return buffer_.unique(); }

  void* raw() const { return buffer_ ? data_ : nullptr; }
  template <class T>
  T* data() const {
    return static_cast<T*>(raw());
  }
  template <class T>
  std::span<T> flat() const {
    if (dtype_v<T> != dtype_) internal("a ", name_of(dtype_), " tensor read as ", name_of(dtype_v<T>));
    return {data<T>(), std::size_t(size_)};
  }
  // The same memory under another shape of the same size, or seen as another plain dtype of the same width.
  Tensor reshaped(Shape shape) const;
  Tensor copy() const;

 private:
  DType dtype_ = DType::invalid;
  Shape shape_;
  std::int64_t size_ = 0;
  BufferRef buffer_;
  void* data_ = nullptr;  // in the buffer
};

// Same dtype, shape and elements (floats bitwise, resources and variants by identity).
bool identical(const Tensor& a, const Tensor& b);
// The elements of a small integer tensor, widened; DTypeError if it is not int32 or int64.
std::vector<std::int64_t> to_ints(const Tensor& tensor);
// Copies elements between memories of the same dtype, which may hold strings.
void copy_elements(DType dtype, const void* from, void* to, std::int64_t count);

}  // namespace headrace
