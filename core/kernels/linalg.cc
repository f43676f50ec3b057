// Kernels of linear algebra.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/parallel.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

// Householder's method on one matrix of `rows` x `columns`, in double. Column j of `a` is a[j * rows ...]; it
// is left holding r in its upper triangle. q gets its first `kept` columns, laid out likewise.
void decompose(std::vector<double>& a, std::int64_t rows, std::int64_t columns, std::int64_t kept,
               std::vector<double>& q) {
  const std::int64_t steps = std::min(rows, columns);
  std::vector<std::vector<double>> reflections;
  // x -= 2 v (v . x), for the part of x from row `from` on.
  const auto reflect = [rows](const std::vector<double>& v, std::int64_t from, double* x) {
    double dot = 0;
    for (std::int64_t i = from; i < rows; ++i) dot += v[i - from] * x[i];
    for (std::int64_t i = from; i < rows; ++i) x[i] -= 2 * dot * v[i - from];
  };
  for (std::int64_t k = 0; k < steps; ++k) {
    std::vector<double> v(a.begin() + k * rows + k, a.begin() + (k + 1) * rows);
    double squares = 0;
    for (double x : v) squares += x * x;
    v[0] += std::copysign(std::sqrt(squares), v[0]);
    squares = 0;
    for (double x : v) squares += x * x;
    const double scale = squares > 0 ? 1 / std::sqrt(squares) : 0;
    for (double& x : v) x *= scale;
    for (std::int64_t j = k; j < columns; ++j) reflect(v, k, &a[j * rows]);
    reflections.push_back(std::move(v));
  }
  q.assign(std::size_t(rows * kept), 0.0);
  for (std::int64_t j = 0; j < kept; ++j) {
    q[j * rows + j] = 1;
    for (std::int64_t k = steps - 1; k >= 0; --k) reflect(reflections[k], k, &q[j * rows]);
  }
}

std::unique_ptr<Kernel> prepare_qr(PrepareContext& c) {
  const Shape& shape = c.input_shape(0);
  const std::int64_t rows = shape[-2], columns = shape[-1], kept = c.output_shape(0)[-1];
  const std::int64_t batch = shape.slice(0, -2).size();
  const double cost = 4.0 * double(rows) * double(columns) * double(std::min(rows, columns));
  std::unique_ptr<Kernel> made;
  visit(Types<float, double, Half>{}, c.input_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([=](RunContext& r) {
      const T* input = r.input<T>(0);
      T *q = r.output<T>(0), *upper = r.output<T>(1);
      parallel_for(batch, cost, [&](std::int64_t begin, std::int64_t end) {
        std::vector<double> a(std::size_t(rows * columns)), orthonormal;
        for (std::int64_t b = begin; b < end; ++b) {
          const T* from = input + b * rows * columns;
          for (std::int64_t i = 0; i < rows; ++i) {
            for (std::int64_t j = 0; j < columns; ++j)
              a[j * rows + i] = double(Compute<T>(from[i * columns + j]));
          }
          decompose(a, rows, columns, kept, orthonormal);
          for (std::int64_t i = 0; i < rows; ++i) {
            for (std::int64_t j = 0; j < kept; ++j) {
              q[(b * rows + i) * kept + j] = T(Compute<T>(orthonormal[j * rows + i]));
            }
          }
          for (std::int64_t i = 0; i < kept; ++i) {
            for (std::int64_t j = 0; j < columns; ++j) {
              upper[(b * kept + i) * columns + j] = T(Compute<T>(i <= j ? a[j * rows + i] : 0.0));
            }
          }
        }
      });
    });
  });
  return made;
}

template <class T>
T conjugate(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    return x;
  } else {
    return std::conj(x);
  }
}

std::unique_ptr<Kernel> prepare_triangular_solve(PrepareContext& c) {
  const Shape& shape = c.output_shape(0);
  const std::int64_t rows = shape[-2], columns = shape[-1], batch = shape.slice(0, -2).size();
  const bool adjoint = c.attr<bool>("adjoint");
  const bool forward = c.attr<bool>("lower") != adjoint;  // from the first row on
  std::unique_ptr<Kernel> made;
  using SolvedTypes = Types<float, double, Half, std::complex<float>, std::complex<double>>;
  visit(SolvedTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([=](RunContext& r) {
      const T *matrix = r.input<T>(0), *rhs = r.input<T>(1);
      T* output = r.output<T>(0);
      parallel_for(batch, double(rows) * double(rows) * double(columns), [&](auto begin, auto end) {
        std::vector<C> x(static_cast<std::size_t>(columns));
        for (auto b = begin; b < end; ++b) {
          const T *a = matrix + b * rows * rows, *from = rhs + b * rows * columns;
          T* to = output + b * rows * columns;
          const auto at = [&](std::int64_t i, std::int64_t j) {
            return adjoint ? conjugate(C(a[j * rows + i])) : C(a[i * rows + j]);
          };
          for (std::int64_t step = 0; step < rows; ++step) {
            const std::int64_t i = forward ? step : rows - 1 - step;
            for (std::int64_t k = 0; k < columns; ++k) x[k] = C(from[i * columns + k]);
            for (std::int64_t before = 0; before < step; ++before) {
              const std::int64_t j = forward ? before : rows - 1 - before;
              const C factor = at(i, j);
              for (std::int64_t k = 0; k < columns; ++k) x[k] -= factor * C(to[j * columns + k]);
            }
            const C diagonal = at(i, i);
            require(diagonal != C(0), "the matrix cannot be solved for: diagonal element ", i, " is zero");
            for (std::int64_t k = 0; k < columns; ++k) to[i * columns + k] = T(x[k] / diagonal);
          }
        }
      });
    });
  });
  return made;
}

}  // namespace

HEADRACE_KERNELS(linalg) {
  add_kernel("Qr", prepare_qr);
  add_kernel("MatrixTriangularSolve", prepare_triangular_solve);
}

}  // namespace headrace
