// Element types. The numbers are those of the GraphDef wire format, so a dtype needs no translation there.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/float16.h"

namespace headrace {

enum class DType : std::int32_t {
  invalid = 0,
  float32 = 1,
  float64 = 2,
  int32 = 3,
  uint8 = 4,
  int16 = 5,
  int8 = 6,
  string = 7,
  complex64 = 8,
  int64 = 9,
  boolean = 10,
  bfloat16 = 14,
  uint16 = 17,
  complex128 = 18,
  float16 = 19,
  resource = 20,
  variant = 21,
  uint32 = 22,
  uint64 = 23,
};

// Bytes of one element in memory; for string, resource and variant the size of the C++ object that holds one.
std::size_t size_of(DType dtype);
// "float32", "bool", ...: the names that users type. Throws InvalidArgument for a number that is no dtype.
std::string_view name_of(DType dtype);
// The dtype of a name as users type it ("float", "double" and "half" too); DType::invalid if there is none.
DType dtype_of_name(std::string_view name);
std::span<const DType> all_dtypes();
bool is_valid(DType dtype);

bool is_floating(DType dtype);  // float16, bfloat16, float32, float64
bool is_complex(DType dtype);
bool is_integer(DType dtype);  // signed and unsigned, not bool
// Elements are plain bytes: they can live in an arena and be copied with memcpy.
bool is_plain(DType dtype);

// The C++ type of a dtype's elements, and back: DTypeOf<float>::value == DType::float32.
template <class T>
struct DTypeOf;
#define HEADRACE_DTYPE(TYPE, ENUM)              \
  template <>                                   \
  struct DTypeOf<TYPE> {                        \
    static constexpr DType value = DType::ENUM; \
  };
HEADRACE_DTYPE(float, float32)
HEADRACE_DTYPE(double, float64)
HEADRACE_DTYPE(Half, float16)
HEADRACE_DTYPE(BFloat16, bfloat16)
HEADRACE_DTYPE(std::int8_t, int8)
HEADRACE_DTYPE(std::int16_t, int16)
HEADRACE_DTYPE(std::int32_t, int32)
HEADRACE_DTYPE(std::int64_t, int64)
HEADRACE_DTYPE(std::uint8_t, uint8)
HEADRACE_DTYPE(std::uint16_t, uint16)
HEADRACE_DTYPE(std::uint32_t, uint32)
HEADRACE_DTYPE(std::uint64_t, uint64)
HEADRACE_DTYPE(bool, boolean)
HEADRACE_DTYPE(std::complex<float>, complex64)
HEADRACE_DTYPE(std::complex<double>, complex128)
HEADRACE_DTYPE(std::string, string)
#undef HEADRACE_DTYPE
template <class T>
inline constexpr DType dtype_v = DTypeOf<T>::value;

// A list of element types for `visit`.
template <class... T>
struct Types {};
template <class A, class B>
struct JoinTypes;
template <class... A, class... B>
struct JoinTypes<Types<A...>, Types<B...>> {
  using type = Types<A..., B...>;
};
template <class A, class B>
using Join = typename JoinTypes<A, B>::type;

using FloatTypes = Types<float, double, Half, BFloat16>;
using SignedTypes = Types<std::int8_t, std::int16_t, std::int32_t, std::int64_t>;
using UnsignedTypes = Types<std::uint8_t, std::uint16_t, std::uint32_t, std::uint64_t>;
using IntegerTypes = Join<SignedTypes, UnsignedTypes>;
using ComplexTypes = Types<std::complex<float>, std::complex<double>>;
using RealTypes = Join<FloatTypes, IntegerTypes>;    // everything with an order
using NumericTypes = Join<RealTypes, ComplexTypes>;  // everything with + and *
using PlainTypes = Join<NumericTypes, Types<bool>>;  // everything that memcpy may move
using IndexTypes = Types<std::int32_t, std::int64_t>;

// Calls f(std::type_identity<T>{}) with the T of `dtype` if it is in the list; returns whether it was.
//   if (!visit(FloatTypes{}, dtype, [&]<class T>(std::type_identity<T>) { ... })) return nullptr;
template <class... T, class F>
bool visit(Types<T...>, DType dtype, F&& f) {
  return ((dtype == dtype_v<T> ? (f(std::type_identity<T>{}), true) : false) || ...);
}

// The type in which sums of T are accumulated, and in which 16-bit floats compute.
template <class T>
struct ComputeOf {
  using type = T;
};
template <>
struct ComputeOf<Half> {
  using type = float;
};
template <>
struct ComputeOf<BFloat16> {
  using type = float;
};
template <class T>
using Compute = typename ComputeOf<T>::type;

}  // namespace headrace
