// What the files of this folder hand to core/kernels/vector.cc, declared once for each instruction set.
#include "core/kernels/vector/vector.h"

#define HEADRACE_VECTOR_ISA(ISA)                                                                             \
  namespace headrace::ISA {                                                                                  \
  vector::Table<vector::Entry<vector::Unary>> unary();                                                       \
  vector::Table<vector::Entry<vector::Binary>> binary();                                                     \
  vector::Table<vector::WithScalar> with_scalar();                                                           \
  vector::Table<vector::Entry<vector::Ternary>> ternary();                                                   \
  vector::Table<vector::Reduction> reductions();                                                             \
  void float_of_half(std::int64_t, const void*, void*);                                                      \
  void half_of_float(std::int64_t, const void*, void*);                                                      \
  void float_of_bfloat16(std::int64_t, const void*, void*);                                                  \
  void bfloat16_of_float(std::int64_t, const void*, void*);                                                  \
  vector::Ternary pair_of(vector::Simple first, bool one_b, vector::Simple second, bool one_c, DType dtype); \
  void repeat(int, std::int64_t, std::int64_t, const void*, void*);                                          \
  vector::Random random();                                                                                   \
  }
