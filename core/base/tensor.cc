#include "core/base/tensor.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

namespace headrace {
namespace {

std::atomic<std::int64_t> buffers_made{0};
constexpr std::size_t kHugePage = std::size_t(2) << 20;
constexpr std::size_t kHugePageThreshold = 2 * kHugePage;

// Runs f<T> for the C++ type of a dtype whose elements are objects.
template <class F>
void visit_objects(DType dtype, F&& f) {
  if (dtype == DType::string) return f(std::type_identity<std::string>{});
  if (dtype == DType::resource) return f(std::type_identity<ResourceRef>{});
  if (dtype == DType::variant) return f(std::type_identity<VariantRef>{});
  internal(name_of(dtype), " elements are not objects");
}

BufferRef allocate_objects(DType dtype, std::int64_t count) {
  BufferRef memory = BufferRef::allocate(std::size_t(count) * size_of(dtype));
  void* data = memory->data();
  visit_objects(dtype, [&]<class T>(std::type_identity<T>) {
    std::uninitialized_value_construct_n(static_cast<T*>(data), count);
  });
  const std::size_t bytes = memory->bytes();
  return BufferRef::adopt(data, bytes, [dtype, data, count, memory = std::move(memory)] {
    visit_objects(dtype,
                  [&]<class T>(std::type_identity<T>) { std::destroy_n(static_cast<T*>(data), count); });
  });
}

// Large memory lies in huge pages where the system has them: kernels walk through it in strides, and would
// miss the processor's table of pages all the time.
void* allocate_pages(std::size_t bytes) {
  if (bytes < kHugePageThreshold) return std::aligned_alloc(kAlignment, bytes);
  void* data = nullptr;
  if (posix_memalign(&data, kHugePage, bytes) != 0) return nullptr;
#if defined(MADV_HUGEPAGE)
  madvise(data, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // advice: a refusal changes nothing
#endif
  return data;
}

// Buffers of some size that nobody needs any more, for the next ones of the same size. The pages of memory
// that is fresh from the system are mapped one by one as they are touched, which takes longer than to fill
// them; and a step that made its lists and snapshots makes them again in the next one.
class Spares {
 public:
  static Spares& get() {
    static Spares& spares = *new Spares;  // is there until the last buffer is gone
    return spares;
  }

  void* take(std::size_t bytes) {
    if (!fits(bytes)) return nullptr;
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(spares_.rbegin(), spares_.rend(),
                                    [&](const Spare& spare) { return spare.bytes == bytes; });
    if (found == spares_.rend()) return nullptr;
    void* data = found->data;
    total_ -= bytes;
    spares_.erase(std::next(found).base());
    return data;
  }

  void give(void* data, std::size_t bytes) {
    if (!fits(bytes)) return std::free(data);
    std::vector<void*> dropped;  // the oldest
    {
      const std::lock_guard lock(mutex_);
      spares_.push_back({data, bytes});
      for (total_ += bytes; total_ > kMost || spares_.size() > kMostSpares; spares_.erase(spares_.begin())) {
        dropped.push_back(spares_[0].data);
        total_ -= spares_[0].bytes;
      }
    }
    for (void* old : dropped) std::free(old);
  }

 private:
  struct Spare {
    void* data;
    std::size_t bytes;
  };
  static constexpr std::size_t kLeast = std::size_t(64) << 10, kMost = std::size_t(64) << 20;
  static constexpr std::size_t kMostSpares = 64;
#if defined(__SANITIZE_ADDRESS__)
  static bool fits(std::size_t) { return false; }  // who writes to what is free is to be found
#else
  static bool fits(std::size_t bytes) { return bytes >= kLeast && bytes <= kMost / 4; }
#endif

  std::mutex mutex_;
  std::vector<Spare> spares_;  // the newest last
  std::size_t total_ = 0;
};

}  // namespace

Buffer::Buffer(void* data, std::size_t bytes, std::function<void()> release, bool borrowed)
    : data_(data), bytes_(bytes), release_(std::move(release)), borrowed_(borrowed) {
  buffers_made.fetch_add(1, std::memory_order_relaxed);
}

std::int64_t BufferRef::made() { return buffers_made.load(std::memory_order_relaxed); }

void Buffer::settle() {
  static std::atomic<std::uint64_t> last{0};
  if (version() != 0) return;
  std::uint64_t none = 0;
  version_.compare_exchange_strong(none, last.fetch_add(1, std::memory_order_relaxed) + 1,
                                   std::memory_order_relaxed);
}

BufferRef BufferRef::allocate(std::size_t bytes) {
  constexpr std::size_t kLimit = std::size_t(1) << 62;
  // Whole vectors, so that a kernel may read (not use) past the last element.
  const std::size_t rounded =
      bytes < kLimit ? (std::max<std::size_t>(bytes, 1) + kAlignment - 1) & ~(kAlignment - 1) : 0;
  void* data = Spares::get().take(rounded);
  if (!data && rounded) data = allocate_pages(rounded);
  if (!data) fail(Code::resource_exhausted, "out of memory: could not allocate ", bytes, " bytes");
  return BufferRef(new Buffer(data, bytes, [data, rounded] { Spares::get().give(data, rounded); }));
}

BufferRef BufferRef::adopt(void* data, std::size_t bytes, std::function<void()> release) {
  return BufferRef(new Buffer(data, bytes, std::move(release)));
}

BufferRef BufferRef::borrow(void* data, std::size_t bytes, std::function<void()> release) {
  return BufferRef(new Buffer(data, bytes, std::move(release), /*borrowed=*/true));
}

Tensor::Tensor(DType dtype, Shape shape) : dtype_(dtype), shape_(std::move(shape)) {
  size_ = shape_.size();
  require(size_ != kUnknown, "a tensor cannot have the partly known shape ", shape_);
  const std::size_t bytes = std::size_t(checked_mul(size_, std::int64_t(size_of(dtype))));
  buffer_ = is_plain(dtype) ? BufferRef::allocate(bytes) : allocate_objects(dtype, size_);
  data_ = buffer_->data();
}

Tensor::Tensor(DType dtype, Shape shape, BufferRef buffer, std::size_t offset)
    : dtype_(dtype), shape_(std::move(shape)), buffer_(std::move(buffer)) {
  size_ = shape_.size();
  require(size_ != kUnknown, "a tensor cannot have the partly known shape ", shape_);
  const std::int64_t needed = checked_mul(size_, std::int64_t(size_of(dtype)));
  const std::size_t there = buffer_ && offset <= buffer_->bytes() ? buffer_->bytes() - offset : 0;
  require(buffer_ && std::size_t(needed) <= there, "a ", name_of(dtype), " tensor of shape ", shape_,
          " needs ", needed, " bytes, the buffer has ", there);
  data_ = static_cast<char*>(buffer_->data()) + offset;
}

Tensor Tensor::scalar(ResourceRef resource) {
  Tensor tensor(DType::resource, Shape());
  *tensor.data<ResourceRef>() = std::move(resource);
  return tensor;
}

Tensor Tensor::scalar(VariantRef variant) {
  Tensor tensor(DType::variant, Shape());
  *tensor.data<VariantRef>() = std::move(variant);
  return tensor;
}

Tensor Tensor::reshaped(Shape shape) const {
  require(shape.size() == size_, "cannot view a tensor of shape ", shape_, " (", size_, " elements) as ",
          shape);
  Tensor view = *this;
  view.shape_ = std::move(shape);
  return view;
}

Tensor Tensor::copy() const {
  Tensor copied(dtype_, shape_);
  copy_elements(dtype_, raw(), copied.raw(), size_);
  return copied;
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  if (!a) return true;
  if (is_plain(a.dtype())) return a.size() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
  bool equal = false;
  visit_objects(a.dtype(), [&]<class T>(std::type_identity<T>) {
    equal = std::equal(a.data<T>(), a.data<T>() + a.size(), b.data<T>());
  });
  return equal;
}

std::vector<std::int64_t> to_ints(const Tensor& tensor) {
  std::vector<std::int64_t> values;
  const bool known = visit(IndexTypes{}, tensor.dtype(), [&]<class T>(std::type_identity<T>) {
    values.assign(tensor.data<T>(), tensor.data<T>() + tensor.size());
  });
  if (!known) throw DTypeError(str("expected int32 or int64, got ", name_of(tensor.dtype())));
  return values;
}

void copy_elements(DType dtype, const void* from, void* to, std::int64_t count) {
  if (count == 0) return;
  if (is_plain(dtype)) {
    std::memcpy(to, from, std::size_t(count) * size_of(dtype));
  } else {
    visit_objects(dtype, [&]<class T>(std::type_identity<T>) {
      std::copy_n(static_cast<const T*>(from), count, static_cast<T*>(to));
    });
  }
}

}  // namespace headrace
