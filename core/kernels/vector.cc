// Chooses the vector loops of the machine's instruction set.
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "core/kernels/scalar.h"
#include "core/kernels/vector/isa.h"

#if defined(HEADRACE_HAS_avx2)
#define HEADRACE_FOR_EACH_ISA(F) F(avx512) F(avx2) F(baseline)
#else
#define HEADRACE_FOR_EACH_ISA(F) F(baseline)
#endif
HEADRACE_FOR_EACH_ISA(HEADRACE_VECTOR_ISA)

namespace headrace::vector {
namespace {

bool has_baseline() { return true; }
#if defined(HEADRACE_HAS_avx2)
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}
bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
#endif

// Best first.
Tables choose() {
  const char* asked = std::getenv("HEADRACE_ISA");
#define TAKE(ISA)                                                                               \
  if (has_##ISA() && (!asked || !std::strcmp(asked, #ISA) || !std::strcmp("baseline", #ISA))) { \
    return {#ISA,                                                                               \
            ISA::unary(),                                                                       \
            ISA::binary(),                                                                      \
            ISA::with_scalar(),                                                                 \
            ISA::ternary(),                                                                     \
            ISA::reductions(),                                                                  \
            ISA::pair_of,                                                                       \
            ISA::float_of_half,                                                                 \
            ISA::half_of_float,                                                                 \
            ISA::float_of_bfloat16,                                                             \
            ISA::bfloat16_of_float,                                                             \
            ISA::repeat,                                                                        \
            ISA::random()};                                                                     \
  }
  HEADRACE_FOR_EACH_ISA(TAKE)
#undef TAKE
  std::abort();  // baseline is always there
}

// By operation and dtype; a vector loop goes before a scalar one.
template <class Entry>
class Index {
 public:
  explicit Index(Table<Entry> vectors, Table<Entry> scalars = {}) {
    for (const auto& table : {vectors, scalars}) {
      for (const Entry& entry : table) entries_.try_emplace(key(entry.op, entry.dtype), &entry);
    }
  }
  const Entry* find(const char* op, DType dtype) const {
    const auto found = entries_.find(key(op, dtype));
    return found == entries_.end() ? nullptr : found->second;
  }

 private:
  static std::string key(const char* op, DType dtype) {
    return std::string(op) + '/' + std::to_string(int(dtype));
  }
  std::unordered_map<std::string, const Entry*> entries_;
};

}  // namespace

const Tables& tables() {
  static const Tables chosen = choose();
  return chosen;
}

const Entry<Unary>* find_unary(const char* op, DType dtype) {
  static const Index<Entry<Unary>> index(tables().unary, scalar::unary());
  return index.find(op, dtype);
}
const Entry<Binary>* find_binary(const char* op, DType dtype) {
  static const Index<Entry<Binary>> index(tables().binary, scalar::binary());
  return index.find(op, dtype);
}
const WithScalar* find_with_scalar(const char* op, DType dtype) {
  static const Index<WithScalar> index(tables().with_scalar);
  return index.find(op, dtype);
}
const Entry<Ternary>* find_ternary(const char* op, DType dtype) {
  static const Index<Entry<Ternary>> index(tables().ternary, scalar::ternary());
  return index.find(op, dtype);
}
const Reduction* find_reduction(const char* op, DType dtype) {
  static const Index<Reduction> index(tables().reductions, scalar::reductions());
  return index.find(op, dtype);
}

}  // namespace headrace::vector
