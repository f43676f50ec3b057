#include "core/kernels/product_sum.h"

#include <atomic>
#include <complex>
#include <cstring>

#include "core/kernels/gemm.h"

namespace headrace {
namespace {

using SummedTypes = Types<float, double, std::complex<float>, std::complex<double>>;

// From here on a product gains nothing by more rows.
constexpr std::int64_t kEnoughRows = 512;

void copy_rows(Tensor& to, std::int64_t at, const void* from, std::int64_t count) {
  const std::size_t row = std::size_t(to.shape()[1]) * size_of(to.dtype());
  std::memcpy(static_cast<char*>(to.raw()) + std::size_t(at) * row, from, std::size_t(count) * row);
}

}  // namespace

ProductSum::ProductSum(const ProductSum& other)
    : total_(other.total_),
      a_(other.a_ ? other.a_.copy() : Tensor()),
      b_(other.b_ ? other.b_.copy() : Tensor()),
      collected_(other.collected_) {}

std::string ProductSum::describe() const {
  return str("a sum of products, ", name_of(total_.dtype()), " ", total_.shape());
}

std::int64_t ProductSum::rows_at_once(std::int64_t rows) {
  std::int64_t at_once = std::max<std::int64_t>(rows, 1);
  while (2 * at_once <= kEnoughRows) at_once *= 2;
  return at_once;
}

void ProductSum::add(const void* a, const void* b, std::int64_t rows, const Multiply& multiply) {
  if (rows == 0 || total_.size() == 0) return;
  const std::int64_t at_once = rows_at_once(rows);
  const auto multiply_all = [&](const void* left, const void* right) {
    if (!multiply) return multiply_plainly(left, right, at_once);
    if (!total_.unique()) total_ = total_.copy();
    multiply(left, right, total_.raw());
  };
  if (collected_ + rows > at_once) flush();
  if (at_once == rows) return multiply_all(a, b);
  if (!a_ || a_.shape()[0] < at_once) {
    flush();
    a_ = Tensor(total_.dtype(), Shape{at_once, total_.shape()[0]});
    b_ = Tensor(total_.dtype(), Shape{at_once, total_.shape()[1]});
  }
  copy_rows(a_, collected_, a, rows);
  copy_rows(b_, collected_, b, rows);
  collected_ += rows;
  if (collected_ < at_once) return;
  multiply_all(a_.raw(), b_.raw());
  collected_ = 0;
}

const Tensor& ProductSum::total() {
  flush();
  return total_;
}

void ProductSum::flush() {
  if (collected_ != 0) multiply_plainly(a_.raw(), b_.raw(), collected_);
  collected_ = 0;
}

void ProductSum::multiply_plainly(const void* a, const void* b, std::int64_t rows) {
  if (!total_.unique()) total_ = total_.copy();
  const std::int64_t m = total_.shape()[0], n = total_.shape()[1];
  visit(SummedTypes{}, total_.dtype(), [&]<class T>(std::type_identity<T>) {
    const T *as = static_cast<const T*>(a), *bs = static_cast<const T*>(b);
    T* sum = total_.data<T>();
    // Lines that lie side by side in memory: the columns of both factors.
    const auto pack = [](const T* from, std::int64_t width, int count, int depth, T* into, int stride) {
      for (int d = 0; d < depth; ++d) std::copy_n(from + d * width, count, into + d * stride);
    };
    gemm<T>(
        m, n, rows,
        [&](std::int64_t row, int count, std::int64_t k, int depth, T* into, int stride) {
          pack(as + k * m + row, m, count, depth, into, stride);
        },
        [&](std::int64_t column, int count, std::int64_t k, int depth, T* into, int stride) {
          pack(bs + k * n + column, n, count, depth, into, stride);
        },
        [&](std::int64_t row, int count, std::int64_t column, int columns, const T* tile, int stride) {
          for (int i = 0; i < count; ++i) {
            T* to = sum + (row + i) * n + column;
            for (int j = 0; j < columns; ++j) to[j] += tile[i * stride + j];
          }
        });
  });
}

namespace {

struct OwnSum {
  Tensor variant;
  ProductSum& sum;
};

// The sum that input 0 is, or a copy of it if others hold it, too.
OwnSum take_sum(RunContext& r) {
  Tensor taken = r.take_tensor(0);
  const VariantRef& held = *taken.data<VariantRef>();
  const auto* sum = dynamic_cast<const ProductSum*>(held.get());
  if (!sum) invalid("the input is ", held ? held->describe() : "no value", ", not a sum of products");
  if (taken.unique() && held.use_count() == 1) {
    std::atomic_thread_fence(std::memory_order_acquire);  // what others did while they held it is visible
    return {std::move(taken), const_cast<ProductSum&>(*sum)};
  }
  auto copied = std::make_shared<ProductSum>(*sum);
  ProductSum& own = *copied;
  return {Tensor::scalar(VariantRef(std::move(copied))), own};
}

}  // namespace

Factors::Factors(const PrepareContext& c)
    : rows(c.input_shape(1)[0]), m(c.input_shape(1)[1]), n(c.input_shape(2)[1]) {}

void Factors::add(RunContext& r, const ProductSum::Multiply& multiply) const {
  OwnSum own = take_sum(r);
  const Shape made{m, n};
  require(own.sum.holds().shape == made, "a product of shape ", made, " cannot be added to ",
          own.sum.describe());
  own.sum.add(r.input<void>(1), r.input<void>(2), rows, multiply);
  r.set_output(0, std::move(own.variant));
}

namespace {

std::unique_ptr<Kernel> prepare_start(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    r.set_output(0, Tensor::scalar(VariantRef(std::make_shared<ProductSum>(r.take_tensor(0)))));
  });
}

std::unique_ptr<Kernel> prepare_add(PrepareContext& c) {
  c.own_output(0);
  return kernel([factors = Factors(c)](RunContext& r) { factors.add(r, {}); });
}

std::unique_ptr<Kernel> prepare_total(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) { r.set_output(0, take_sum(r).sum.total()); });
}

}  // namespace

HEADRACE_KERNELS(product_sum) {
  add_kernel("_ProductSum", prepare_start);
  add_kernel("_AddProduct", prepare_add);
  add_kernel("_ProductTotal", prepare_total);
}

}  // namespace headrace
