// Loops over contiguous arrays: the innermost work of elementwise kernels and reductions.
//
// Every .cc file of this folder is compiled once for each instruction set, into a namespace of that name;
// tables() (core/kernels/vector.cc) picks the best one that the machine has. These files must not instantiate
// inline code that is shared with others (no containers, no strings): the linker keeps one copy of it, which
// could be the AVX-512 one.
#pragma once

#include <cstdint>

#include "core/base/dtype.h"

namespace headrace::vector {

// n elements each; an output may be the very array that is an input, but they must not overlap otherwise.
using Unary = void (*)(std::int64_t n, const void* x, void* y);
using Binary = void (*)(std::int64_t n, const void* x, const void* y, void* z);
using Ternary = void (*)(std::int64_t n, const void* a, const void* b, const void* c, void* z);
// Reduces x of shape (rows, width) over its rows: out[j] = x[0][j] + x[1][j] + ..., `stride` elements from
// row to row. Unless this begins it, `out` has what earlier rows gave: the same comes of all rows at once and
// of some after the other, if all but the last are multiples of four.
using Columns = void (*)(std::int64_t rows, std::int64_t width, std::int64_t stride, const void* x, void* out,
                         bool begins);
// Reduces n contiguous elements to one.
using Row = void (*)(std::int64_t n, const void* x, void* out);

// The loop of an operation (its registered name) for its main dtype. 16-bit floats have none: they are
// converted to float32 and back around the float32 loop.
template <class Loop>
struct Entry {
  const char* op;
  DType dtype;
  Loop run;
  float cost;  // nanoseconds an element, roughly, in cache
};

// Loops of a binary operation on floats that take one element for the whole left or right operand.
struct WithScalar {
  const char* op;
  DType dtype;
  Binary left, right;
};

// What takes less time than its operands take on their way.
enum class Simple { add, sub, sub_from, mul };

struct Reduction {
  const char* op;  // "sum", "prod", "max", "min", "sum_squares"
  DType dtype;
  Row row;
  Columns columns;
};

template <class T>
struct Table {
  const T* entries = nullptr;
  int size = 0;
  const T* begin() const { return entries; }
  const T* end() const { return entries + size; }
};

struct Random {
  // The 4 * blocks words of a Philox stream (core/kernels/philox.h), every `stride` blocks from the counter
  // (low, high) on; the low half must not overflow.
  void (*philox)(std::uint64_t key, std::uint64_t low, std::uint64_t high, std::uint64_t stride,
                 std::int64_t blocks, std::uint32_t* words);
  // Uniform and normal numbers, one for each word; n must be even.
  void (*uniform)(std::int64_t n, const std::uint32_t* words, float* y);
  void (*normal)(std::int64_t n, const std::uint32_t* words, float* y);
};

// Each of the elements of x, which are so many bytes wide, `count` times: y has shape (rows, count).
using Repeat = void (*)(int width, std::int64_t rows, std::int64_t count, const void* x, void* y);

struct Tables {
  const char* isa;
  Table<Entry<Unary>> unary;
  Table<Entry<Binary>> binary;
  Table<WithScalar> with_scalar;
  Table<Entry<Ternary>> ternary;
  Table<Reduction> reductions;
  // The loop of second(first(a, b), c), where b, or c, or both are one element for all; nullptr if there is
  // none.
  Ternary (*pair_of)(Simple first, bool one_b, Simple second, bool one_c, DType dtype);
  Unary float_of_half, half_of_float, float_of_bfloat16, bfloat16_of_float;
  Repeat repeat;
  Random random;
};

// Those of the machine, or of the lesser instruction set that HEADRACE_ISA names (baseline, avx2, avx512).
const Tables& tables();

// Calls a function of the namespace that tables() chose: HEADRACE_BY_ISA(gemm_tile(float())).
#if defined(HEADRACE_HAS_avx2)
#define HEADRACE_BY_ISA(CALL)                                                    \
  (std::string_view(::headrace::vector::tables().isa) == "avx512" ? avx512::CALL \
   : std::string_view(::headrace::vector::tables().isa) == "avx2" ? avx2::CALL   \
                                                                  : baseline::CALL)
#else
#define HEADRACE_BY_ISA(CALL) baseline::CALL
#endif

// nullptr if there is none.
const Entry<Unary>* find_unary(const char* op, DType dtype);
const Entry<Binary>* find_binary(const char* op, DType dtype);
const WithScalar* find_with_scalar(const char* op, DType dtype);
const Entry<Ternary>* find_ternary(const char* op, DType dtype);
const Reduction* find_reduction(const char* op, DType dtype);

}  // namespace headrace::vector
