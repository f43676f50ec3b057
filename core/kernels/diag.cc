// Kernels: diagonals and bands. A diagonal is a line with a stride of its own, so these are strided copies.
#include <algorithm>
#include <array>
#include <numeric>

#include "core/base/diagonals.h"
#include "core/base/parallel.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

// Batches of matrices in the last two dimensions.
struct Matrices {
  std::int64_t batch, rows, columns;
  explicit Matrices(const Shape& shape)
      : batch(shape.slice(0, -2).size()), rows(shape[-2]), columns(shape[-1]) {}
  std::int64_t diagonal() const { return std::min(rows, columns); }
};

StridedCopy into_diagonals(DType dtype, const Matrices& m) {
  return StridedCopy(dtype, std::array{m.batch, m.diagonal()}, std::array{m.diagonal(), std::int64_t(1)},
                     std::array{m.rows * m.columns, m.columns + 1});
}
StridedCopy out_of_diagonals(DType dtype, const Matrices& m) {
  return StridedCopy(dtype, std::array{m.batch, m.diagonal()}, std::array{m.rows * m.columns, m.columns + 1},
                     std::array{m.diagonal(), std::int64_t(1)});
}

// An array whose shape is twice the same is a square matrix of all its elements.
Matrices squared(const Shape& diagonal) {
  const std::int64_t n = diagonal.size();
  return Matrices(Shape{n, n});
}

std::unique_ptr<Kernel> diag(PrepareContext& c, const Matrices& m) {
  const DType dtype = c.output_dtype(0);
  return kernel([=, copy = into_diagonals(dtype, m), output = OutputMemory(c, 0)](RunContext& r) {
    void* to = output(r);
    set_zero(dtype, to, m.batch * m.rows * m.columns);
    copy.run(r.input<void>(0), to);
  });
}

std::unique_ptr<Kernel> diag_part(PrepareContext& c, const Matrices& m) {
  return kernel([copy = out_of_diagonals(c.output_dtype(0), m), output = OutputMemory(c, 0)](RunContext& r) {
    copy.run(r.input<void>(0), output(r));
  });
}

std::unique_ptr<Kernel> prepare_matrix_set_diag(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const std::int64_t n = c.output_shape(0).size();
  const OutputMemory output(c, 0);
  if (is_plain(dtype)) c.in_place(0, 0);
  const std::array<std::int64_t, 1> all{n}, unit{1};
  return kernel([output, whole = StridedCopy(dtype, all, unit, unit),
                 line = into_diagonals(dtype, Matrices(c.output_shape(0)))](RunContext& r) {
    void* to = output(r);
    if (to != r.input<void>(0)) whole.run(r.input<void>(0), to);
    line.run(r.input<void>(1), to);
  });
}

std::unique_ptr<Kernel> prepare_matrix_band_part(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const Matrices m(c.output_shape(0));
  if (is_plain(dtype)) c.in_place(0, 0);
  FromInts<std::array<std::int64_t, 2>> band(c, {1, 2}, [m](auto& values) {
    const std::int64_t lower = values[0][0], upper = values[1][0];
    require(lower <= m.rows && upper <= m.columns, "a band of ", lower, " diagonals below and ", upper,
            " above is more than matrices of ", m.rows, " x ", m.columns, " have");
    return std::array{lower < 0 ? m.rows : lower, upper < 0 ? m.columns : upper};
  });
  return kernel([=, output = OutputMemory(c, 0)](RunContext& r) {
    void* memory = output(r);
    band.with(r, [&](const std::array<std::int64_t, 2>& widths) {
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        const T* from = r.input<T>(0);
        T* to = static_cast<T*>(memory);
        parallel_for(m.batch * m.rows, double(m.columns), [&](std::int64_t first, std::int64_t last) {
          for (std::int64_t line = first; line < last; ++line) {
            const std::int64_t row = line % m.rows;
            const std::int64_t begin = std::clamp<std::int64_t>(row - widths[0], 0, m.columns);
            const std::int64_t end = std::clamp<std::int64_t>(row + widths[1] + 1, begin, m.columns);
            const T* x = from + line * m.columns;
            T* y = to + line * m.columns;
            std::fill(y, y + begin, T{});
            if (x != y) std::copy(x + begin, x + end, y + begin);
            std::fill(y + end, y + m.columns, T{});
          }
        });
      });
    });
  });
}

// ---- with any diagonal, or several at once

// Calls f(place in the diagonals, place in the matrix, or -1 where a shorter diagonal has ended) for one
// matrix.
template <class F>
void for_each_place(const DiagonalBand& band, std::int64_t length, const Matrices& m, F f) {
  for (std::int64_t line = 0; line < band.count(); ++line) {
    const std::int64_t d = band.high - line;
    const std::int64_t row = std::max<std::int64_t>(-d, 0), column = std::max<std::int64_t>(d, 0);
    for (std::int64_t i = 0; i < length; ++i) {
      const bool inside = row + i < m.rows && column + i < m.columns;
      f(line * length + i, inside ? (row + i) * m.columns + column + i : -1);
    }
  }
}

FromInts<DiagonalBand> band_of(PrepareContext& c, int k) {
  return {c, {k}, [](auto& values) { return DiagonalBand(values[0]); }};
}

// Diagonals that do not have the size that the matrices' shape promises would be read beyond their end.
void check_size(const DiagonalBand& band, std::int64_t length, const Matrices& m, std::int64_t size) {
  require(m.batch * band.count() * length == size, "there are ", size, " elements of diagonals, where ",
          m.batch * band.count() * length, " are expected");
}

std::unique_ptr<Kernel> set_diagonals(PrepareContext& c, bool onto_padding) {
  const DType dtype = c.output_dtype(0);
  const Matrices m(c.output_shape(0));
  const int diagonal = onto_padding ? 0 : 1;
  const OutputMemory output(c, 0);
  if (!onto_padding && is_plain(dtype)) c.in_place(0, 0);
  const auto bands = band_of(c, onto_padding ? 1 : 2);
  const std::int64_t n = m.batch * m.rows * m.columns, size = c.input_shape(diagonal).size();
  const std::array<std::int64_t, 1> all{n}, unit{1};
  return kernel([=, whole = StridedCopy(dtype, all, unit, unit)](RunContext& r) {
    void* memory = output(r);
    if (onto_padding) {
      set_all(dtype, memory, r.input<void>(4), n);
    } else if (memory != r.input<void>(0)) {
      whole.run(r.input<void>(0), memory);
    }
    bands.with(r, [&](const DiagonalBand& band) {
      const std::int64_t length = band.length(m.rows, m.columns);
      check_size(band, length, m, size);
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        for (std::int64_t b = 0; b < m.batch; ++b) {
          const T* from = r.input<T>(diagonal) + b * band.count() * length;
          T* to = static_cast<T*>(memory) + b * m.rows * m.columns;
          for_each_place(band, length, m, [&](std::int64_t i, std::int64_t at) {
            if (at >= 0) to[at] = from[i];
          });
        }
      });
    });
  });
}

std::unique_ptr<Kernel> prepare_matrix_diag_part_v2(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  const Matrices m(c.input_shape(0));
  return kernel([dtype, m, bands = band_of(c, 1), size = c.output_shape(0).size(),
                 output = OutputMemory(c, 0)](RunContext& r) {
    void* memory = output(r);
    bands.with(r, [&](const DiagonalBand& band) {
      const std::int64_t length = band.length(m.rows, m.columns);
      check_size(band, length, m, size);
      visit_element(dtype, [&]<class T>(std::type_identity<T>) {
        const T& padding = *r.input<T>(2);
        for (std::int64_t b = 0; b < m.batch; ++b) {
          const T* from = r.input<T>(0) + b * m.rows * m.columns;
          T* to = static_cast<T*>(memory) + b * band.count() * length;
          for_each_place(band, length, m,
                         [&](std::int64_t i, std::int64_t at) { to[i] = at >= 0 ? from[at] : padding; });
        }
      });
    });
  });
}

}  // namespace

HEADRACE_KERNELS(diag) {
  add_kernel("Diag", [](PrepareContext& c) { return diag(c, squared(c.input_shape(0))); });
  add_kernel("DiagPart", [](PrepareContext& c) { return diag_part(c, squared(c.output_shape(0))); });
  add_kernel("MatrixDiag", [](PrepareContext& c) { return diag(c, Matrices(c.output_shape(0))); });
  add_kernel("MatrixDiagPart", [](PrepareContext& c) { return diag_part(c, Matrices(c.input_shape(0))); });
  add_kernel("MatrixSetDiag", prepare_matrix_set_diag);
  add_kernel("MatrixBandPart", prepare_matrix_band_part);
  add_kernel("MatrixDiagV2", [](PrepareContext& c) { return set_diagonals(c, true); });
  add_kernel("MatrixDiagPartV2", prepare_matrix_diag_part_v2);
  add_kernel("MatrixSetDiagV2", [](PrepareContext& c) { return set_diagonals(c, false); });
}

}  // namespace headrace
