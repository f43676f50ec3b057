// Kernels of the operations that draw random numbers.
//
// A number's place in the output says where in the Philox stream its bits are, so that results do not depend
// on how the work is split over threads. Distributions that may reject bits have kReserved numbers of 32 bits
// each set aside. The arrangement is that of TensorFlow, so the same seeds give the same numbers.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/base/parallel.h"
#include "core/kernels/random_stream.h"
#include "core/kernels/vector/vector.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

constexpr int kReserved = 256;  // blocks that an output of a stateful operation uses up
constexpr double kTwoPi = 6.283185307179586;
constexpr double kSmallest = 1e-7;                 // in place of 0 where a logarithm follows
constexpr int kBlocks = 64, kWords = 4 * kBlocks;  // that are drawn at once
constexpr double kTruncateAt = 2;                  // standard deviations

// Two numbers of a user make all the bits of a key and a counter, so that it does not matter which of their
// bits differ.
Philox stateless_philox(std::uint64_t seed0, std::uint64_t seed1) {
  const Philox::Block mixed = Philox(0x02461E293EC8F720u, seed0, seed1)();
  return Philox(std::uint64_t(mixed[1]) << 32 | mixed[0], std::uint64_t(mixed[3]) << 32 | mixed[2]);
}

Source stateless_source(const PrepareContext& c, int input) {
  const bool narrow = c.input_dtype(input) == DType::int32;
  return [input, narrow](RunContext& r, std::uint64_t) {
    const auto seed = [&](int i) {
      return narrow ? std::int64_t(r.input<std::int32_t>(input)[i]) : r.input<std::int64_t>(input)[i];
    };
    return stateless_philox(std::uint64_t(seed(0)), std::uint64_t(seed(1)));
  };
}

// ---- bits to numbers

// The top of [1, 2) with these bits as its fraction, minus 1.
float uniform_float(std::uint32_t bits) {
  return std::bit_cast<float>(0x3F800000u | (bits & 0x007FFFFFu)) - 1.0f;
}
double uniform_double(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t fraction = std::uint64_t(high & 0xFFFFFu) << 32 | low;
  return std::bit_cast<double>(0x3FF0000000000000u | fraction) - 1.0;
}

// Two normal numbers out of two uniform ones (Box and Muller, 1958).
template <class C>
void box_muller(C u, C v, C* y) {
  const C radius = std::sqrt(C(-2) * std::log(std::max(u, C(kSmallest))));
  const C angle = C(kTwoPi) * v;
  y[0] = std::sin(angle) * radius;
  y[1] = std::cos(angle) * radius;
}

// How many 32-bit words one T takes.
template <class T>
inline constexpr int words_of = sizeof(T) == 8 ? 2 : 1;

template <class C>
C uniform(const std::uint32_t* words) {
  if constexpr (sizeof(C) == 8) {
    return uniform_double(words[0], words[1]);
  } else {
    return uniform_float(words[0]);
  }
}

// `count` numbers, even, from their words.
template <class T>
struct Uniform {
  void operator()(const std::uint32_t* words, T* y, int count) const {
    for (int i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, Half>) {
        y[i] = Half(float(words[i] & 0x3FFu) * 0x1p-10f);
      } else if constexpr (std::is_same_v<T, BFloat16>) {
        y[i] = BFloat16(float(words[i] & 0x7Fu) * 0x1p-7f);
      } else {
        y[i] = uniform<T>(words + i * words_of<T>);
      }
    }
  }
};

template <>
struct Uniform<float> {
  void operator()(const std::uint32_t* words, float* y, int count) const {
    vector::tables().random.uniform(count, words, y);
  }
};

template <class T>
struct UniformInt {
  T low;
  std::make_unsigned_t<T> range;
  void operator()(const std::uint32_t* words, T* y, int count) const {
    using U = std::make_unsigned_t<T>;
    for (int i = 0; i < count; ++i) {
      U bits = words[i * words_of<T>];
      if constexpr (sizeof(T) == 8) bits |= U(words[2 * i + 1]) << 32;
      y[i] = T(U(low) + bits % range);
    }
  }
};

template <class T>
struct Normal {
  void operator()(const std::uint32_t* words, T* y, int count) const {
    if constexpr (sizeof(T) == 8) {
      for (int i = 0; i < count; i += 2) {
        box_muller(uniform<T>(words + 2 * i), uniform<T>(words + 2 * i + 2), y + i);
      }
    } else {
      float numbers[kWords];
      float* to = std::is_same_v<T, float> ? reinterpret_cast<float*>(y) : numbers;
      vector::tables().random.normal(count, words, to);
      if (!std::is_same_v<T, float>) std::transform(to, to + count, y, [](float x) { return T(x); });
    }
  }
};

// The words of `blocks` blocks, `stride` apart.
void draw(Philox from, std::uint64_t stride, int blocks, std::uint32_t* words) {
  const std::uint64_t last = from.low() + stride * std::uint64_t(blocks);
  if (last >= from.low()) {
    return vector::tables().random.philox(from.key(), from.low(), from.high(), stride, blocks, words);
  }
  for (int i = 0; i < blocks; ++i) {
    const Philox::Block block = from.at(std::uint64_t(i) * stride)();
    std::copy(block.begin(), block.end(), words + 4 * i);
  }
}

// Fills y with numbers that each take a fixed number of words.
template <class T, class Distribution>
void fill(Philox start, T* y, std::int64_t n, double cost, const Distribution& distribution) {
  constexpr int kCount = kWords / words_of<T>;
  const std::int64_t pieces = (n + kCount - 1) / kCount;
  parallel_for(pieces, cost * kCount, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) std::uint32_t words[kWords];
    for (std::int64_t piece = begin; piece < end; ++piece) {
      T* to = y + piece * kCount;
      const auto count = int(std::min<std::int64_t>(n - piece * kCount, kCount));
      const int blocks = (count * words_of<T> + 3) / 4;
      draw(start.at(std::uint64_t(piece) * kBlocks), 1, blocks, words);
      if (count % 2 == 0) {
        distribution(words, to, count);
      } else {
        alignas(64) T last[kCount];
        distribution(words, last, count + 1);
        std::copy(last, last + count, to);
      }
    }
  });
}

// Takes numbers of one group from a stretch of the stream until they are all within kTruncateAt.
template <class T>
void draw_truncated(Philox from, T* y, std::int64_t n) {
  using C = Compute<T>;
  constexpr int w = words_of<T>;
  PhiloxWords words(from);
  for (std::int64_t i = 0; i < n;) {
    std::uint32_t bits[2 * w];
    for (std::uint32_t& word : bits) word = words();
    C pair[2];
    box_muller(uniform<C>(bits), uniform<C>(bits + w), pair);
    for (const C x : pair) {
      if (std::abs(x) < C(kTruncateAt) && i < n) y[i++] = T(x);
    }
  }
}

// Fills y with numbers of the standard normal distribution that are within kTruncateAt. Groups of numbers,
// one block's worth, each have a stretch of the stream; most take nothing but its first block.
template <class T>
void fill_truncated(Philox start, T* y, std::int64_t n) {
  constexpr int kGroup = 4 / words_of<T>, kStretch = kGroup * kReserved / 4;
  const std::int64_t groups = (n + kGroup - 1) / kGroup, pieces = (groups + kBlocks - 1) / kBlocks;
  parallel_for(pieces, 4.0 * kWords, [&](std::int64_t begin, std::int64_t end) {
    alignas(64) std::uint32_t words[kWords];
    alignas(64) T numbers[kBlocks * kGroup];
    for (std::int64_t piece = begin; piece < end; ++piece) {
      const std::int64_t first = piece * kBlocks;
      const auto count = int(std::min<std::int64_t>(groups - first, kBlocks));
      draw(start.at(std::uint64_t(first) * kStretch), kStretch, count, words);
      Normal<T>()(words, numbers, count * kGroup);
      for (int g = 0; g < count; ++g) {
        const T* found = numbers + g * kGroup;
        const std::int64_t at = (first + g) * kGroup;
        const std::int64_t size = std::min<std::int64_t>(kGroup, n - at);
        const bool inside = std::all_of(
            found, found + kGroup, [](T x) { return std::abs(Compute<T>(x)) < Compute<T>(kTruncateAt); });
        if (inside) {
          std::copy(found, found + size, y + at);
        } else {
          draw_truncated(start.at(std::uint64_t(first + g) * kStretch), y + at, size);
        }
      }
    }
  });
}

enum class Kind { uniform, normal, truncated };

std::unique_ptr<Kernel> prepare_fill(PrepareContext& c, Kind kind, Source source) {
  const std::int64_t n = c.output_shape(0).size();
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([n, kind, source = std::move(source)](RunContext& r) {
      if (n == 0) return;
      const Philox philox = source(r, std::uint64_t(n) * kReserved);
      T* y = r.output<T>(0);
      if (kind == Kind::uniform) fill(philox, y, n, 1.5, Uniform<T>());
      if (kind == Kind::normal) fill(philox, y, n, 8, Normal<T>());
      if (kind == Kind::truncated) fill_truncated(philox, y, n);
    });
  });
  return made;
}

Prepare stateful_fill(Kind kind) {
  return [kind](PrepareContext& c) { return prepare_fill(c, kind, stateful_source(c)); };
}
Prepare stateless_fill(Kind kind) {
  return [kind](PrepareContext& c) { return prepare_fill(c, kind, stateless_source(c, 1)); };
}

// Input `first` is the least number, the next one past the greatest.
std::unique_ptr<Kernel> prepare_uniform_int(PrepareContext& c, int first, Source source) {
  const std::int64_t n = c.output_shape(0).size();
  std::unique_ptr<Kernel> made;
  visit(IndexTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([n, first, source = std::move(source)](RunContext& r) {
      if (n == 0) return;
      const T low = *r.input<T>(first), high = *r.input<T>(first + 1);
      require(low < high, "minval is ", low, " and maxval ", high, "; minval must be less than maxval");
      using U = std::make_unsigned_t<T>;
      const Philox philox = source(r, std::uint64_t(n) * kReserved);
      fill(philox, r.output<T>(0), n, 3, UniformInt<T>{low, U(U(high) - U(low))});
    });
  });
  return made;
}

// ---- samplers that draw as many numbers as they need

class Sampler {
 public:
  explicit Sampler(Philox start) : philox_(start) {}
  // Of the two numbers of a block, the second one is handed out first.
  double uniform() {
    if (uniforms_ == 0) {
      const Philox::Block bits = philox_();
      uniform_[0] = uniform_double(bits[0], bits[1]);
      uniform_[1] = uniform_double(bits[2], bits[3]);
      uniforms_ = 2;
    }
    return uniform_[--uniforms_];
  }
  double normal() {
    if (normals_ == 0) {
      const Philox::Block bits = philox_();
      box_muller(uniform_double(bits[0], bits[1]), uniform_double(bits[2], bits[3]), normal_);
      normals_ = 2;
    }
    return normal_[--normals_];
  }

 private:
  Philox philox_;
  double uniform_[2], normal_[2];
  int uniforms_ = 0, normals_ = 0;
};

// Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.
double sample_gamma(double alpha, Sampler& random) {
  if (alpha == 1) return -std::log1p(-random.uniform());
  const bool boosted = alpha < 1;  // by a sample for alpha + 1
  const double d = alpha + (boosted ? 2.0 / 3 : -1.0 / 3), c = 1.0 / 3 / std::sqrt(d);
  if (!(alpha > 0) || std::isinf(alpha)) return std::numeric_limits<double>::quiet_NaN();
  for (;;) {
    const double x = random.normal();
    double v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    const double u = random.uniform();
    if (u < 1 - 0.0331 * (x * x) * (x * x) || std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) {
      return boosted ? d * v * std::pow(random.uniform(), 1 / alpha) : d * v;
    }
  }
}

double digamma(double x) {
  double sum = 0;
  for (; x < 10; x += 1) sum -= 1 / x;
  const double s = 1 / (x * x);
  return sum + std::log(x) - 0.5 / x - s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240))));
}

// d sample / d alpha at the sample's quantile: minus the derivative of the cumulative distribution by alpha,
// over the density (Figurnov, Mohamed, Mnih, "Implicit reparameterization gradients", 2018).
double gamma_slope(double alpha, double x) {
  if (!(alpha > 0) || !(x >= 0)) return std::numeric_limits<double>::quiet_NaN();
  if (x == 0) return 0;
  if (alpha > 2000) {
    // By the normal approximation of the cube root (Wilson and Hilferty, 1931).
    const double root = std::cbrt(x / alpha);
    const double z = (root - 1 + 1 / (9 * alpha)) * 3 * std::sqrt(alpha);
    const double slope = 1 / (9 * alpha * alpha) - z / (6 * alpha * std::sqrt(alpha));
    return root * root * root + 3 * alpha * root * root * slope;
  }
  // The distribution is the sum of x^(a+n) exp(-x) / gamma(a+n+1) over n, its density the first term times a
  // / x: terms are kept relative to that.
  double term = x / alpha, sum = 0, psi = digamma(alpha + 1);
  const double log_x = std::log(x);
  for (double n = 1;; n += 1) {
    sum += term * (log_x - psi);
    psi += 1 / (alpha + n);
    term *= x / (alpha + n);
    if (n > x - alpha && term * (std::abs(log_x - psi) + 1) <= 1e-17 * std::abs(sum)) break;
  }
  return -sum;
}

// log(n!) without lgamma's global variable.
double log_factorial(double n) {
  int sign;
  return ::lgamma_r(n + 1, &sign);
}

// Knuth's method for small rates, else the transformed rejection of Hoermann ("The transformed rejection
// method for generating Poisson random variables", 1993).
double sample_poisson(double rate, double highest, Sampler& random) {
  if (!(rate >= 0) || std::isinf(rate)) return std::numeric_limits<double>::quiet_NaN();
  if (rate < 10) {
    const double limit = std::exp(-rate);
    double product = 1, k = 0;
    for (;; k += 1) {
      product *= random.uniform();
      if (product <= limit && k <= highest) return k;
    }
  }
  const double log_rate = std::log(rate), b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
  for (;;) {
    const double u = random.uniform() - 0.5, v = random.uniform(), us = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / us + b) * u + rate + 0.43);
    if (k > highest) continue;
    if (us >= 0.07 && v <= 0.9277 - 3.6224 / (b - 2)) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const double s = std::log(v * inverse_alpha / (a / (us * us) + b));
    if (s <= -rate + k * log_rate - log_factorial(k)) return k;
  }
}

// A standard normal number in [low, high] (Robert, "Simulation of truncated normal variables", 1995).
double sample_between(double low, double high, Sampler& random) {
  if (low < 0 && high > 0) {
    if (high - low > std::sqrt(kTwoPi)) {  // wide: most normal numbers are inside
      for (;;) {
        const double x = random.normal();
        if (x >= low && x <= high) return x;
      }
    }
    for (;;) {
      const double x = low + (high - low) * random.uniform();
      if (random.uniform() <= std::exp(-0.5 * x * x)) return x;
    }
  }
  if (high <= 0) return -sample_between(-high, -low, random);
  // A tail: exponential proposals, or uniform ones if the interval is short.
  const double root = std::sqrt(low * low + 4), rate = (low + root) / 2;
  const double wide = 2 / (low + root) * std::exp(0.5 + (low * low - low * root) / 4);
  for (;;) {
    if (high - low <= wide) {
      const double x = low + (high - low) * random.uniform();
      if (random.uniform() <= std::exp((low * low - x * x) / 2)) return x;
    } else {
      const double x = low - std::log1p(-random.uniform()) / rate;
      if (x <= high && random.uniform() <= std::exp(-(x - rate) * (x - rate) / 2)) return x;
    }
  }
}

using GammaTypes = Types<float, double, Half>;
using PoissonTypes = Types<float, double, Half, std::int32_t, std::int64_t>;

// The highest whole number up to which Out counts.
template <class Out>
double highest() {
  if constexpr (std::is_same_v<Out, Half>) {
    return 65504;
  } else {
    return double(std::numeric_limits<Out>::max());
  }
}

// output[sample, parameter]: `sample` samples for each element of input 1.
template <class Out, class In, class Draw>
std::unique_ptr<Kernel> sampler(PrepareContext& c, Draw draw) {
  const std::int64_t parameters = c.input_shape(1).size(), n = c.output_shape(0).size();
  const std::int64_t samples = parameters ? n / parameters : 0;
  return kernel([=, source = stateful_source(c)](RunContext& r) {
    if (n == 0) return;
    const Philox start = source(r, std::uint64_t(n) * kReserved);
    const In* parameter = r.input<In>(1);
    Out* y = r.output<Out>(0);
    parallel_for(n, 100, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        Sampler random(start.at(std::uint64_t(i) * kReserved));
        const std::int64_t p = i / samples;
        const double drawn = draw(double(Compute<In>(parameter[p])), random);
        y[i % samples * parameters + p] = Out(Compute<Out>(drawn));
      }
    });
  });
}

std::unique_ptr<Kernel> prepare_gamma(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(GammaTypes{}, c.output_dtype(0),
        [&]<class T>(std::type_identity<T>) { made = sampler<T, T>(c, &sample_gamma); });
  return made;
}

std::unique_ptr<Kernel> prepare_gamma_grad(PrepareContext& c) {
  const Shape& shape = c.output_shape(0);
  // Strides of the inputs in the output's dimensions: zero where they are broadcast.
  const auto strides = [&](int input) {
    const Shape& from = c.input_shape(input);
    const auto own = strides_of(from.dims());
    std::vector<std::int64_t> found(std::size_t(shape.rank()), 0);
    for (int i = 0; i < from.rank(); ++i) {
      if (from[i] != 1) found[std::size_t(i + shape.rank() - from.rank())] = own[std::size_t(i)];
    }
    return found;
  };
  const auto alpha_strides = strides(0), sample_strides = strides(1);
  std::unique_ptr<Kernel> made;
  visit(Types<float, double>{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([=](RunContext& r) {
      const T *alpha = r.input<T>(0), *sample = r.input<T>(1);
      T* y = r.output<T>(0);
      parallel_for(shape.size(), 300, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          std::int64_t rest = i, a = 0, s = 0;
          for (int k = shape.rank() - 1; k >= 0; --k) {
            a += rest % shape[k] * alpha_strides[std::size_t(k)];
            s += rest % shape[k] * sample_strides[std::size_t(k)];
            rest /= shape[k];
          }
          y[i] = T(gamma_slope(double(alpha[a]), double(sample[s])));
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_poisson(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(PoissonTypes{}, c.output_dtype(0), [&]<class Out>(std::type_identity<Out>) {
    visit(PoissonTypes{}, c.input_dtype(1), [&]<class In>(std::type_identity<In>) {
      made = sampler<Out, In>(
          c, [](double rate, Sampler& random) { return sample_poisson(rate, highest<Out>(), random); });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_parameterized(PrepareContext& c) {
  const Shape& shape = c.output_shape(0);
  require(shape.rank() >= 1, "shape is that of a scalar; its first dimension must be the number of batches");
  const std::int64_t n = shape.size(), each = shape.slice(1).size();
  std::array<bool, 4> one;  // for all batches
  for (int i = 0; i < 4; ++i) {
    const std::int64_t size = c.input_shape(i + 1).size();
    one[i] = size == 1;
    require(one[i] || size == shape[0], c.node().op().inputs()[i + 1].name, " has ", size,
            " elements; it must have one, or one for each of the ", shape[0], " batches");
  }
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([=, source = stateful_source(c)](RunContext& r) {
      if (n == 0) return;
      const auto parameter = [&](int i, std::int64_t batch) {
        return double(Compute<T>(r.input<T>(i + 1)[one[i] ? 0 : batch]));
      };
      for (std::int64_t b = 0; b < n / each; ++b) {
        const double stdev = parameter(1, b), low = parameter(2, b), high = parameter(3, b);
        require(stdev > 0 && std::isfinite(stdev) && std::isfinite(parameter(0, b)) && low < high, "batch ",
                b, " has mean ", parameter(0, b), ", standard deviation ", stdev, " and bounds [", low, ", ",
                high, "]; the deviation must be positive and the bounds in order");
      }
      const Philox start = source(r, std::uint64_t(n) * kReserved);
      T* y = r.output<T>(0);
      parallel_for(n, 100, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t b = i / each;
          const double mean = parameter(0, b), stdev = parameter(1, b);
          Sampler random(start.at(std::uint64_t(i) * kReserved));
          const double x =
              sample_between((parameter(2, b) - mean) / stdev, (parameter(3, b) - mean) / stdev, random);
          y[i] = T(Compute<T>(mean + stdev * x));
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_multinomial(PrepareContext& c, Source source) {
  const std::int64_t rows = c.input_shape(0)[0], classes = c.input_shape(0)[1];
  const std::int64_t samples = c.output_shape(0)[1];
  require(classes > 0 || rows * samples == 0, "logits has shape ", c.input_shape(0),
          "; there must be at least one class");
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    const bool narrow = c.output_dtype(0) == DType::int32;
    made = kernel([=, source = std::move(source)](RunContext& r) {
      if (rows * samples == 0) return;
      const Philox start = source(r, std::uint64_t(rows) * ((samples + 3) / 4 * 4) * 2 * kReserved);
      const T* logits = r.input<T>(0);
      parallel_for(rows, 10.0 * double(classes + samples), [&](std::int64_t begin, std::int64_t end) {
        std::vector<double> cumulative(classes);
        for (std::int64_t row = begin; row < end; ++row) {
          const auto logit = [&](std::int64_t i) { return double(Compute<T>(logits[row * classes + i])); };
          double largest = std::numeric_limits<double>::lowest(), total = 0;
          for (std::int64_t i = 0; i < classes; ++i) {
            if (std::isfinite(logit(i))) largest = std::max(largest, logit(i));
          }
          for (std::int64_t i = 0; i < classes; ++i) {
            if (std::isfinite(logit(i))) total += std::exp(logit(i) - largest);
            cumulative[i] = total;
          }
          // Rows read on in the stream where the row before ended, which may be in the middle of a block.
          const std::uint64_t word = std::uint64_t(row) * samples * 2;
          PhiloxWords words(start.at(word / 4));
          for (std::uint64_t i = 0; i < word % 4; ++i) words();
          for (std::int64_t i = 0; i < samples; ++i) {
            const std::uint32_t high = words(), low = words();
            const double drawn = uniform_double(high, low) * total;
            const auto above = std::upper_bound(cumulative.begin(), cumulative.end(), drawn);
            const std::int64_t found = std::min<std::int64_t>(above - cumulative.begin(), classes - 1);
            const std::int64_t at = row * samples + i;
            if (narrow) {
              r.output<std::int32_t>(0)[at] = std::int32_t(found);
            } else {
              r.output<std::int64_t>(0)[at] = found;
            }
          }
        }
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_shuffle(PrepareContext& c) {
  const Shape shape = c.input_shape(0);
  const DType dtype = c.input_dtype(0);
  const std::int64_t rows = shape.rank() > 0 ? shape[0] : 1;
  const std::int64_t length = shape.rank() > 0 ? shape.slice(1).size() : 1;
  require(rows <= std::numeric_limits<std::uint32_t>::max(), "there are ", rows, " rows; at most 2^32 - 1");
  const bool plain = is_plain(dtype);
  if (!plain) c.own_output(0);
  c.scratch(std::size_t(rows) * sizeof(std::int64_t));
  return kernel([=, source = stateful_source(c)](RunContext& r) {
    Tensor made;
    if (!plain) made = Tensor(dtype, shape);
    char* to = plain ? r.output<char>(0) : made.data<char>();
    // Fisher and Yates: swap each row with one that comes later, or itself.
    auto* order = static_cast<std::int64_t*>(r.scratch());
    std::iota(order, order + rows, std::int64_t(0));
    if (rows > 1) {
      PhiloxWords words(source(r, std::uint64_t(rows + 3) / 4));
      for (std::int64_t i = 0; i < rows - 1; ++i) {
        std::swap(order[i], order[i + words() % std::uint32_t(rows - i)]);
      }
    }
    const char* from = r.input<char>(0);
    const std::size_t bytes = std::size_t(length) * size_of(dtype);
    parallel_for(rows, 2 + 0.1 * double(bytes), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        copy_elements(dtype, from + order[i] * bytes, to + i * bytes, length);
      }
    });
    if (!plain) r.set_output(0, std::move(made));
  });
}

}  // namespace

HEADRACE_KERNELS(random) {
  add_kernel("RandomUniform", stateful_fill(Kind::uniform));
  add_kernel("RandomStandardNormal", stateful_fill(Kind::normal));
  add_kernel("TruncatedNormal", stateful_fill(Kind::truncated));
  add_kernel("StatelessRandomUniform", stateless_fill(Kind::uniform));
  add_kernel("StatelessRandomNormal", stateless_fill(Kind::normal));
  add_kernel("StatelessTruncatedNormal", stateless_fill(Kind::truncated));
  add_kernel("RandomUniformInt",
             [](PrepareContext& c) { return prepare_uniform_int(c, 1, stateful_source(c)); });
  add_kernel("StatelessRandomUniformInt",
             [](PrepareContext& c) { return prepare_uniform_int(c, 2, stateless_source(c, 1)); });
  add_kernel("Multinomial", [](PrepareContext& c) { return prepare_multinomial(c, stateful_source(c)); });
  add_kernel("StatelessMultinomial",
             [](PrepareContext& c) { return prepare_multinomial(c, stateless_source(c, 2)); });
  add_kernel("RandomGamma", prepare_gamma);
  add_kernel("RandomGammaGrad", prepare_gamma_grad);
  add_kernel("RandomPoisson", prepare_poisson);
  add_kernel("RandomPoissonV2", prepare_poisson);
  add_kernel("ParameterizedTruncatedNormal", prepare_parameterized);
  add_kernel("RandomShuffle", prepare_shuffle);
}

}  // namespace headrace
