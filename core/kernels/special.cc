#include "core/kernels/special.h"

#include <cmath>
#include <limits>

namespace headrace::special {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
constexpr double kPi = 3.14159265358979323846;

// Bernoulli numbers B_2k.
constexpr double kBernoulli[] = {1.0 / 6,       -1.0 / 30,       1.0 / 42,       -1.0 / 30,
                                 5.0 / 66,      -691.0 / 2730,   7.0 / 6,        -3617.0 / 510,
                                 43867.0 / 798, -174611.0 / 330, 854513.0 / 138, -236364091.0 / 2730};

bool is_pole(double x) { return x <= 0 && x == std::floor(x); }

// P(a, x) by its power series: right where x < a + 1.
double igamma_series(double a, double x) {
  double term = 1 / a, sum = term;
  for (double n = 1; n < 10000; ++n) {
    term *= x / (a + n);
    sum += term;
    if (term < sum * kEpsilon) break;
  }
  return sum * std::exp(a * std::log(x) - x - lgamma(a));
}

// Q(a, x) by Legendre's continued fraction, evaluated by Lentz's method: right where x >= a + 1.
double igammac_fraction(double a, double x) {
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / b, h = d;
  for (double n = 1; n < 10000; ++n) {
    const double numerator = -n * (n - a);
    b += 2;
    d = numerator * d + b;
    d = 1 / (std::abs(d) < kTiny ? kTiny : d);
    c = b + numerator / c;
    c = std::abs(c) < kTiny ? kTiny : c;
    h *= d * c;
    if (std::abs(d * c - 1) < kEpsilon) break;
  }
  return h * std::exp(a * std::log(x) - x - lgamma(a));
}

// The continued fraction DLMF 8.17.22 of the incomplete beta function, by Lentz's method.
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300;
  const auto away = [](double value) { return std::abs(value) < kTiny ? kTiny : value; };
  double c = 1, d = 1 / away(1 - (a + b) * x / (a + 1)), h = d;
  for (double m = 1; m < 10000; ++m) {
    double numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + numerator * d);
    c = away(1 + numerator / c);
    h *= d * c;
    numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + numerator * d);
    c = away(1 + numerator / c);
    h *= d * c;
    if (std::abs(d * c - 1) < kEpsilon) break;
  }
  return h;
}

// exp(-x) I_order(x) for x >= 0.
double bessel_ie(int order, double x) {
  if (x < 30) {  // power series
    const double quarter = x * x / 4;
    double term = order == 0 ? 1.0 : x / 2, sum = term;
    for (double k = 1; k < 500; ++k) {
      term *= quarter / (k * (k + order));
      sum += term;
      if (term < sum * kEpsilon) break;
    }
    return sum * std::exp(-x);
  }
  if (std::isinf(x)) return 0;
  // Hankel's expansion for large arguments.
  const double mu = 4.0 * order * order;
  double term = 1, sum = 1;
  for (double k = 1; k < 60; ++k) {
    const double next = -term * (mu - (2 * k - 1) * (2 * k - 1)) / (k * 8 * x);
    if (std::abs(next) > std::abs(term) || std::abs(next) < kEpsilon) break;
    term = next;
    sum += term;
  }
  return sum / std::sqrt(2 * kPi * x);
}

}  // namespace

double lgamma(double x) {
#if defined(__GLIBC__)
  int sign;
  return ::lgamma_r(x, &sign);
#else
  return std::lgamma(x);
#endif
}

double digamma(double x) {
  if (std::isnan(x) || is_pole(x) || x == -kInfinity) return x == 0 ? -std::copysign(kInfinity, x) : kNaN;
  if (x == kInfinity) return x;
  double result = 0;
  if (x < 0) {  // reflection; the fraction of x keeps the tangent exact
    const double fraction = x - std::floor(x);
    result = -kPi / std::tan(kPi * fraction);
    x = 1 - x;
  }
  for (; x < 10; ++x) result -= 1 / x;  // recurrence, up to where the expansion converges
  const double inverse = 1 / (x * x);
  double power = inverse, sum = 0;
  for (int k = 0; k < 8; ++k, power *= inverse) sum += kBernoulli[k] / (2 * (k + 1)) * power;
  return result + std::log(x) - 0.5 / x - sum;
}

double ndtri(double p) {
  if (!(p >= 0 && p <= 1)) return kNaN;
  if (p == 0) return -kInfinity;
  if (p == 1) return kInfinity;
  if (p > 0.5) return p == 1 ? kInfinity : -ndtri(1 - p);  // 1 - p is exact there
  // A first guess (Abramowitz and Stegun 26.2.23), then Halley's iteration on log of the distribution
  // function's tail.
  const double t = std::sqrt(-2 * std::log(p));
  double x = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                       (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
  for (int i = 0; i < 4; ++i) {
    const double cdf = 0.5 * std::erfc(-x * std::sqrt(0.5));
    if (cdf == 0) break;
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2 * kPi);
    const double slope = density / cdf;  // of log cdf
    const double error = std::log(cdf) - std::log(p);
    const double curvature = -x * slope - slope * slope;  // of log cdf
    const double step = error / slope;
    const double next = x - step / (1 - 0.5 * step * curvature / slope);
    if (!(std::abs(next - x) > 1e-16 * std::abs(x))) break;
    x = next;
  }
  return x;
}

double erfinv(double y) {
  if (!(y >= -1 && y <= 1)) return kNaN;
  if (std::abs(y) == 1) return std::copysign(kInfinity, y);
  if (y == 0) return y;
  // Newton's iteration in erf near 0, where erfc would cancel; by the quantile function's tail elsewhere.
  const double magnitude = std::abs(y);
  double x;
  if (magnitude < 0.5) {
    x = magnitude * std::sqrt(kPi) / 2;
    for (int i = 0; i < 6; ++i) {
      const double error = std::erf(x) - magnitude;
      const double step = error / (2 / std::sqrt(kPi) * std::exp(-x * x));
      x -= step / (1 + x * step);
    }
  } else {
    x = -ndtri((1 - magnitude) / 2) * std::sqrt(0.5);
  }
  return std::copysign(x, y);
}

double zeta(double x, double q) {
  if (x == 1) return kInfinity;
  if (!(x > 1)) return kNaN;
  if (q <= 0) {
    if (q == std::floor(q)) return kInfinity;
    if (x != std::floor(x)) return kNaN;  // a negative number to a broken power
  }
  // Euler-Maclaurin summation.
  double sum = 0, n = 0;
  for (; n < 12 || q + n < 10; ++n) {
    const double term = std::pow(q + n, -x);
    sum += term;
    if (n > 12 && std::abs(term) < std::abs(sum) * kEpsilon * 1e-3) return sum;
  }
  const double a = q + n, power = std::pow(a, -x);
  sum += a * power / (x - 1) + 0.5 * power;
  double factor = x * power / a;
  for (int k = 0; k < 12; ++k) {
    // B_2k / (2k)! * x (x + 1) ... (x + 2k - 2) * a^(-x - 2k + 1)
    double factorial = 1;
    for (int i = 2; i <= 2 * (k + 1); ++i) factorial *= i;
    const double term = kBernoulli[k] / factorial * factor;
    sum += term;
    if (std::abs(term) < std::abs(sum) * kEpsilon) break;
    factor *= (x + 2 * k + 1) * (x + 2 * k + 2) / (a * a);
  }
  return sum;
}

double polygamma(double a, double x) {
  if (a < 0 || a != std::floor(a)) return kNaN;
  if (a == 0) return digamma(x);
  const double sign = std::fmod(a, 2) == 0 ? -1 : 1;
  return sign * std::exp(lgamma(a + 1)) * zeta(a + 1, x);
}

double igamma(double a, double x) {
  if (!(a >= 0) || !(x >= 0)) return kNaN;
  if (a == 0) return x > 0 ? 1 : kNaN;
  if (x == 0) return 0;
  if (std::isinf(a)) return std::isinf(x) ? kNaN : 0;
  if (std::isinf(x)) return 1;
  return x < a + 1 ? igamma_series(a, x) : 1 - igammac_fraction(a, x);
}

double igammac(double a, double x) {
  if (!(a >= 0) || !(x >= 0)) return kNaN;
  if (a == 0) return x > 0 ? 0 : kNaN;
  if (x == 0) return 1;
  if (std::isinf(a)) return std::isinf(x) ? kNaN : 1;
  if (std::isinf(x)) return 0;
  return x < a + 1 ? 1 - igamma_series(a, x) : igammac_fraction(a, x);
}

double igamma_grad_a(double a, double x) {
  if (!(a > 0) || !(x >= 0)) return kNaN;
  if (x == 0 || std::isinf(x)) return 0;
  if (x < a + 1 || x < 3) {
    // P = exp(a log x - x - lgamma(a + 1)) * sum of x^n / ((a + 1) ... (a + n)), differentiated term by term.
    double term = 1, log_slope = 0, sum = 1, slope = 0;
    for (double n = 1; n < 10000; ++n) {
      term *= x / (a + n);
      log_slope -= 1 / (a + n);
      sum += term;
      slope += term * log_slope;
      if (term * (1 + std::abs(log_slope)) < sum * kEpsilon * 0.1) break;
    }
    return std::exp(a * std::log(x) - x - lgamma(a + 1)) * (sum * (std::log(x) - digamma(a + 1)) + slope);
  }
  // Q's continued fraction as h = A_n / B_n by its recurrence, carried along with its derivative by a.
  double a0 = 1, a1 = 0, b0 = 0, b1 = 1;  // A_{-1}, A_0, B_{-1}, B_0
  double da0 = 0, da1 = 0, db0 = 0, db1 = 0;
  double h = 0, dh = 0;
  for (double n = 0; n < 10000; ++n) {
    const double numerator = n == 0 ? 1 : -n * (n - a), dnumerator = n == 0 ? 0 : n;
    const double b = x + 1 - a + 2 * n;  // its derivative is -1
    const double a2 = b * a1 + numerator * a0, b2 = b * b1 + numerator * b0;
    const double da2 = b * da1 - a1 + numerator * da0 + dnumerator * a0;
    const double db2 = b * db1 - b1 + numerator * db0 + dnumerator * b0;
    const double scale = 1 / b2;
    a0 = a1 * scale, a1 = a2 * scale, b0 = b1 * scale, b1 = 1;
    da0 = da1 * scale, da1 = da2 * scale, db0 = db1 * scale, db1 = db2 * scale;
    const double next = a1, dnext = da1 - a1 * db1;
    const bool done = n > 2 && std::abs(next - h) < kEpsilon * std::abs(next) &&
                      std::abs(dnext - dh) <= 4 * kEpsilon * std::abs(dnext);
    h = next, dh = dnext;
    if (done) break;
  }
  return -std::exp(a * std::log(x) - x - lgamma(a)) * (h * (std::log(x) - digamma(a)) + dh);
}

double betainc(double a, double b, double x) {
  if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1)) return kNaN;
  if (x == 0 || x == 1) return x;
  const double front = std::exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * std::log(x) + b * std::log1p(-x));
  return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                   : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double bessel_i0e(double x) { return bessel_ie(0, std::abs(x)); }
double bessel_i1e(double x) { return std::copysign(bessel_ie(1, std::abs(x)), x); }

}  // namespace headrace::special
