#include "core/kernels/cast.h"

#include <bit>
#include <complex>
#include <cstring>
#include <type_traits>

#include "core/base/parallel.h"
#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {
namespace {

// A family of its own because there are as many loops as pairs of types.

// What conversions go between; 16-bit floats go through float.
using CastTypes = Join<Types<float, double, bool>, Join<IntegerTypes, ComplexTypes>>;

template <class T>
inline constexpr bool is_complex_v =
    std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

template <class From, class To>
To convert(From x) {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From(0);
  } else if constexpr (is_complex_v<To>) {
    if constexpr (is_complex_v<From>) {
      return To(x);
    } else {
      return To(typename To::value_type(x));
    }
  } else if constexpr (is_complex_v<From>) {
    return convert<typename From::value_type, To>(x.real());
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To> && sizeof(To) < 4) {
    return To(std::int32_t(x));  // wraps, where a direct conversion would be undefined
  } else {
    return To(x);
  }
}

template <class From, class To>
void cast_loop(std::int64_t n, const void* x, void* y) {
  const From* a = static_cast<const From*>(x);
  To* r = static_cast<To*>(y);
#pragma GCC ivdep
  for (std::int64_t i = 0; i < n; ++i) r[i] = convert<From, To>(a[i]);
}

}  // namespace

vector::Unary find_cast(DType from, DType to) {
  vector::Unary loop = nullptr;
  visit(CastTypes{}, from, [&]<class From>(std::type_identity<From>) {
    visit(CastTypes{}, to, [&]<class To>(std::type_identity<To>) { loop = cast_loop<From, To>; });
  });
  return loop;
}

namespace {

// Drops the mantissa bits that the target has not, so that the conversion does not round.
void truncate(std::int64_t n, float* x, DType to) {
  const std::uint32_t mask = to == DType::float16 ? 0xffffe000u : 0xffff0000u;
  for (std::int64_t i = 0; i < n; ++i) {
    if (x[i] == x[i]) x[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x[i]) & mask);
  }
}

std::unique_ptr<Kernel> prepare_cast(PrepareContext& c) {
  const DType from = c.inputs()[0].dtype, to = c.outputs()[0].dtype;
  if (from == to) {
    c.alias(0, 0);
    return nothing_to_run();
  }
  if (!is_plain(from) || !is_plain(to)) return nullptr;
  const std::int64_t n = c.outputs()[0].shape.size();
  const std::size_t from_width = size_of(from), to_width = size_of(to);
  const double cost = 0.1 + 0.04 * double(from_width + to_width);
  if (from_width == to_width) c.in_place(0, 0);

  const auto& tables = vector::tables();
  const auto head = from == DType::float16    ? tables.float_of_half
                    : from == DType::bfloat16 ? tables.float_of_bfloat16
                                              : nullptr;
  const auto tail = to == DType::float16    ? tables.half_of_float
                    : to == DType::bfloat16 ? tables.bfloat16_of_float
                                            : nullptr;
  const DType inner_from = head ? DType::float32 : from, inner_to = tail ? DType::float32 : to;
  const vector::Unary loop = inner_from == inner_to ? nullptr : find_cast(inner_from, inner_to);
  const bool truncates = tail && c.node().attr<bool>("Truncate");
  const int stages = (head != nullptr) + (tail != nullptr) + (loop != nullptr);
  if (stages == 1 && !truncates) {
    const auto only = head ? head : tail ? tail : loop;
    return kernel([=](RunContext& r) {
      const auto* x = r.input<std::byte>(0);
      auto* y = r.output<std::byte>(0);
      parallel_for(n, cost, [&](std::int64_t begin, std::int64_t end) {
        only(end - begin, x + std::size_t(begin) * from_width, y + std::size_t(begin) * to_width);
      });
    });
  }
  return kernel([=](RunContext& r) {
    const auto* x = r.input<std::byte>(0);
    auto* y = r.output<std::byte>(0);
    parallel_for(n, cost + 0.3, [&](std::int64_t begin, std::int64_t end) {
      constexpr std::int64_t kBlock = 1024;
      alignas(64) float first[kBlock], second[kBlock];
      for (std::int64_t at = begin; at < end; at += kBlock) {
        const std::int64_t count = std::min(kBlock, end - at);
        const void* value = x + std::size_t(at) * from_width;
        void* out = y + std::size_t(at) * to_width;
        if (head) {
          head(count, value, first);
          value = first;
        }
        if (loop) {
          loop(count, value, tail ? static_cast<void*>(second) : out);
          value = second;
        }
        if (!tail) continue;
        if (truncates) {
          if (value != second) std::memcpy(second, value, std::size_t(count) * sizeof(float));
          truncate(count, second, to);
          value = second;
        }
        tail(count, value, out);
      }
    });
  });
}

std::vector<TapeEntry> lower_cast(const Node& node) {
  const DType from = node.input(0).dtype(), to = node.dtype(0);
  if (!is_plain(from) || !is_plain(to) || node.attr<bool>("Truncate")) return {};
  return {{"Cast", {{0, node.input(0).shape()}}, to, node.shape(0), 0.3f}};
}

}  // namespace

HEADRACE_KERNELS(cast) {
  add_kernel("Cast", prepare_cast);
  add_lowering("Cast", lower_cast);
}

}  // namespace headrace
