// Shapes, dtypes, 16-bit floats, buffers, data-parallel loops.
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/parallel.h"
#include "core/base/shape.h"
#include "core/base/tensor.h"
#include "tests/cc/check.h"

namespace headrace {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

TEST(shape, arithmetic_does_not_overflow_unnoticed) {
  CHECK_EQ(checked_mul(1 << 20, 1 << 20), std::int64_t(1) << 40);
  CHECK_EQ(checked_mul(0, kMost), 0);
  CHECK_EQ(checked_add(kMost - 1, 1), kMost);
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, checked_mul(kMost / 2, 3)), "overflow");
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, checked_add(kMost, 1)), "overflow");
  CHECK_ERROR(invalid_argument, Shape({1LL << 32, 1LL << 32}).size());
  CHECK_EQ(Shape({1LL << 32, 0, 1LL << 32}).size(), 0);
}

TEST(shape, what_is_known) {
  CHECK(Shape().is_full());
  CHECK_EQ(Shape().size(), 1);
  CHECK(!Shape::unknown().has_rank());
  CHECK_EQ(Shape::unknown().rank(), -1);
  CHECK_EQ(Shape::unknown_of_rank(2), (Shape{kUnknown, kUnknown}));
  const Shape partial{2, kUnknown, 3};
  CHECK(!partial.is_full());
  CHECK_EQ(partial.size(), kUnknown);
  CHECK_EQ(partial[-1], 3);
  CHECK_EQ(Shape::unknown()[5], kUnknown);
  CHECK_EQ(partial.str(), "(2, ?, 3)");
  CHECK_EQ(Shape::unknown().str(), "?");
  CHECK_ERROR(invalid_argument, Shape({-2}));
}

TEST(shape, merging) {
  CHECK_EQ((Shape{2, kUnknown}.merge({kUnknown, 3})), (Shape{2, 3}));
  CHECK_EQ(Shape::unknown().merge({1}), Shape{1});
  CHECK((Shape{2, kUnknown}.compatible_with(Shape{2, 5})));
  CHECK((!Shape{2}.compatible_with(Shape{3})));
  CHECK((!Shape{2}.compatible_with(Shape{2, 1})));
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, Shape{2}.merge({3})), "(2,)");
}

TEST(shape, parts) {
  const Shape shape{2, 3, 4};
  CHECK_EQ(shape.slice(1), (Shape{3, 4}));
  CHECK_EQ(shape.slice(0, -1), (Shape{2, 3}));
  CHECK_EQ(shape.slice(-1), Shape{4});
  CHECK_EQ(shape.concat({5}), (Shape{2, 3, 4, 5}));
  CHECK(!shape.concat(Shape::unknown()).has_rank());
  CHECK_EQ(strides_of(shape.dims()), (std::vector<std::int64_t>{12, 4, 1}));
  CHECK_EQ(normalize_axis(-1, 3), 2);
  CHECK_ERROR(invalid_argument, normalize_axis(3, 3));
  CHECK_ERROR(invalid_argument, normalize_axis(-4, 3));
}

TEST(shape, broadcasting) {
  CHECK_EQ(broadcast({2, 1, 3}, {4, 1}), (Shape{2, 4, 3}));
  CHECK_EQ(broadcast({}, {kUnknown}), Shape{kUnknown});
  CHECK_EQ(broadcast({kUnknown}, {1}), Shape{kUnknown});
  CHECK_EQ(broadcast({kUnknown}, {5}), Shape{5});
  CHECK_EQ(broadcast({0}, {1}), Shape{0});
  CHECK(!broadcast(Shape::unknown(), {5}).has_rank());
  CHECK_ERROR(invalid_argument, broadcast({2}, {3}));
  CHECK_ERROR(invalid_argument, broadcast({0}, {3}));
}

TEST(dtype, names_go_both_ways) {
  for (DType dtype : all_dtypes()) {
    CHECK(is_valid(dtype));
    CHECK(dtype_of_name(name_of(dtype)) == dtype);
    CHECK(size_of(dtype) > 0);
  }
  CHECK(dtype_of_name("float") == DType::float32);
  CHECK(dtype_of_name("double") == DType::float64);
  CHECK(dtype_of_name("half") == DType::float16);
  CHECK(dtype_of_name("nothing") == DType::invalid);
  CHECK(!is_valid(DType(11)));
}

// What rounding to the nearest with ties to even says, worked out in double precision.
template <class T>
float nearest(float x, int digits, int least_exponent, float greatest) {
  if (std::isnan(x) || std::isinf(x) || x == 0) return x;
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| is in [0.5, 1) * 2^exponent
  const double unit = std::ldexp(1.0, std::max(exponent - digits, least_exponent));
  const double rounded = std::nearbyint(double(x) / unit) * unit;
  if (std::abs(rounded) > greatest) return std::copysign(std::numeric_limits<float>::infinity(), x);
  return std::copysign(float(rounded), x);
}

template <class T>
void check_all(int digits, int least_exponent, float greatest) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const T value = std::bit_cast<T>(std::uint16_t(bits));
    const float wide = float(value);
    // Every 16-bit value survives the way there and back.
    const T back = T(wide);
    if (std::isnan(wide)) {
      CHECK(std::isnan(float(back)));
      continue;
    }
    CHECK_EQ(std::bit_cast<std::uint16_t>(back), std::uint16_t(bits));
    // And its neighbourhood among floats rounds as it should.
    for (std::uint32_t part :
         {1u, 0x7ffu, 0x800u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu, 0x7fffu, 0x8000u, 0x8001u}) {
      const float x = std::bit_cast<float>(std::bit_cast<std::uint32_t>(wide) + part);
      if (std::isnan(x) || std::isinf(wide)) continue;
      CHECK_EQ(std::bit_cast<std::uint32_t>(float(T(x))),
               std::bit_cast<std::uint32_t>(nearest<T>(x, digits, least_exponent, greatest)));
    }
  }
}

TEST(float16, every_value) { check_all<Half>(11, -24, 65504.0f); }
TEST(float16, every_bfloat16_value) { check_all<BFloat16>(8, -133, 3.3895313892515355e38f); }

TEST(tensor, buffers_are_counted) {
  static int released = 0;
  released = 0;
  alignas(kAlignment) static float memory[4] = {1, 2, 3, 4};
  {
    Tensor tensor(DType::float32, {4}, BufferRef::adopt(memory, sizeof memory, [] { ++released; }));
    CHECK(tensor.unique());
    const Tensor view = tensor.reshaped({2, 2});
    CHECK(!tensor.unique());
    CHECK_EQ(view.data<float>(), memory);
    tensor = Tensor();
    CHECK(view.unique());
    CHECK_EQ(released, 0);
    const Tensor copy = view.copy();
    CHECK(identical(copy, view));
    CHECK(copy.data<float>() != memory);
  }
  CHECK_EQ(released, 1);
  const Tensor borrowed(DType::float32, {4}, BufferRef::borrow(memory, sizeof memory, {}));
  CHECK(!borrowed.unique());
  CHECK_ERROR(invalid_argument, borrowed.reshaped({3}));
}

TEST(tensor, memory_is_aligned_and_bounded) {
  for (std::int64_t size : {1, 3, 1000}) {
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(Tensor(DType::int8, {size}).raw()) % kAlignment, 0u);
  }
  CHECK_EQ(Tensor(DType::float64, {0, 5}).bytes(), 0u);
  CHECK_ERROR(resource_exhausted, Tensor(DType::float64, {1LL << 58}));
}

TEST(tensor, strings_live_and_die_with_it) {
  Tensor tensor(DType::string, {100});
  for (std::string& text : tensor.flat<std::string>()) text = std::string(100, 'x');
  const Tensor copy = tensor.copy();
  tensor = Tensor();
  CHECK_EQ(copy.flat<std::string>()[99].size(), 100u);
  CHECK_ERROR(internal, copy.flat<float>());
}

TEST(tensor, identity_is_bitwise) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(identical(Tensor::scalar(nan), Tensor::scalar(nan)));
  CHECK(!identical(Tensor::scalar(0.0f), Tensor::scalar(-0.0f)));
  CHECK(!identical(Tensor::scalar(0), Tensor::scalar(0.0f)));
  CHECK(!identical(Tensor::vector({1}), Tensor::scalar(1)));
}

TEST(parallel, covers_everything_once) {
  for (std::int64_t count : {0, 1, 7, 100000}) {
    std::vector<std::atomic<int>> seen(std::size_t(count) + 1);
    parallel_for(count, 1000, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++seen[std::size_t(i)];
    });
    for (std::int64_t i = 0; i < count; ++i) CHECK_EQ(seen[std::size_t(i)].load(), 1);
  }
}

TEST(parallel, exceptions_come_out) {
  CHECK_CONTAINS(CHECK_ERROR(invalid_argument, parallel_for(1000, 1e6,
                                                            [](std::int64_t begin, std::int64_t) {
                                                              if (begin == 0) invalid("from a body");
                                                            })),
                 "from a body");
}

}  // namespace
}  // namespace headrace
