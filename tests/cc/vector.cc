// The vector loops of every instruction set that the machine has: errors below 2 ulp, and what IEEE 754 asks
// for at the ends.
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/kernels/vector/isa.h"
#include "tests/cc/check.h"

HEADRACE_VECTOR_ISA(baseline)
#if defined(__x86_64__)
HEADRACE_VECTOR_ISA(avx2)
HEADRACE_VECTOR_ISA(avx512)
#endif

namespace headrace {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kSmallest = std::numeric_limits<float>::denorm_min();
constexpr float kLargest = std::numeric_limits<float>::max();

struct Isa {
  std::string name;
  vector::Table<vector::Entry<vector::Unary>> unary;
};

std::vector<Isa> isas() {
  std::vector<Isa> all{{"baseline", baseline::unary()}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v3")) all.push_back({"avx2", avx2::unary()});
  if (__builtin_cpu_supports("x86-64-v4")) all.push_back({"avx512", avx512::unary()});
#endif
  return all;
}

std::vector<float> run(const Isa& isa, std::string_view op, const std::vector<float>& x) {
  for (const auto& entry : isa.unary) {
    if (entry.op != op || entry.dtype != DType::float32) continue;
    std::vector<float> y(x.size());
    entry.run(std::int64_t(x.size()), x.data(), y.data());
    return y;
  }
  throw testing::Failure(str("no loop for ", op));
}

struct Function {
  const char* op;
  double (*exact)(double);
  std::vector<std::pair<float, float>> ends;  // arguments with values that have to be exact
};

const Function kFunctions[] = {
    {"Exp",
     [](double x) { return std::exp(x); },
     {{-kInf, 0}, {kInf, kInf}, {0, 1}, {-0.0f, 1}, {kSmallest, 1}}},
    {"Expm1",
     [](double x) { return std::expm1(x); },
     {{-kInf, -1}, {kInf, kInf}, {0, 0}, {-0.0f, -0.0f}, {kSmallest, kSmallest}}},
    {"Log",
     [](double x) { return std::log(x); },
     {{0, -kInf}, {-0.0f, -kInf}, {1, 0}, {kInf, kInf}, {-1, kNaN}}},
    {"Log1p",
     [](double x) { return std::log1p(x); },
     {{-1, -kInf}, {0, 0}, {-0.0f, -0.0f}, {kInf, kInf}, {-2, kNaN}, {kSmallest, kSmallest}}},
    {"Tanh",
     [](double x) { return std::tanh(x); },
     {{-kInf, -1}, {kInf, 1}, {0, 0}, {-0.0f, -0.0f}, {kSmallest, kSmallest}, {kLargest, 1}}},
    {"Sigmoid",
     [](double x) { return 1 / (1 + std::exp(-x)); },
     {{-kInf, 0}, {kInf, 1}, {0, 0.5f}, {kSmallest, 0.5f}, {kLargest, 1}, {-kLargest, 0}}},
    {"Erf",
     [](double x) { return std::erf(x); },
     {{-kInf, -1}, {kInf, 1}, {0, 0}, {-0.0f, -0.0f}, {kLargest, 1}}},
};

// In units of the last place of the exact value.
double error(float found, double exact) {
  const float nearest = std::abs(float(exact));
  return std::abs(double(found) - exact) / (double(std::nextafter(nearest, kInf)) - double(nearest));
}

TEST(vector, functions_err_by_less_than_2_ulp) {
  std::vector<float> x;  // of every size, subnormal ones included
  for (std::uint64_t bits = 0; bits < (std::uint64_t(1) << 32); bits += 9973) {
    const auto one = std::bit_cast<float>(std::uint32_t(bits));
    if (std::isfinite(one)) x.push_back(one);
  }
  for (const Function& f : kFunctions) {
    std::vector<double> exact;
    for (const float one : x) exact.push_back(f.exact(double(one)));
    for (const Isa& isa : isas()) {
      const std::vector<float> y = run(isa, f.op, x);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const auto wanted = float(exact[i]);
        const bool good = std::isnan(wanted)   ? std::isnan(y[i])
                          : std::isinf(wanted) ? y[i] == wanted
                                               : error(y[i], exact[i]) < 2;
        if (!good)
          throw testing::Failure(str(f.op, " of ", x[i], " is ", y[i], ", not ", wanted, ": ", isa.name));
      }
    }
  }
}

TEST(vector, functions_at_their_ends) {
  for (const Function& f : kFunctions) {
    for (const Isa& isa : isas()) {
      // Within a vector and alone, where a loop takes what is left over.
      for (const std::size_t count : {1, 67}) {
        for (const float one : run(isa, f.op, std::vector<float>(count, kNaN))) CHECK(std::isnan(one));
        for (const auto& [x, wanted] : f.ends) {
          for (const float one : run(isa, f.op, std::vector<float>(count, x))) {
            const bool good = std::isnan(wanted)
                                  ? std::isnan(one)
                                  : std::bit_cast<std::uint32_t>(one) == std::bit_cast<std::uint32_t>(wanted);
            if (!good)
              throw testing::Failure(str(f.op, " of ", x, " is ", one, ", not ", wanted, ": ", isa.name));
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace headrace
