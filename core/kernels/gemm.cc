#include "core/kernels/gemm.h"

#include <algorithm>
#include <complex>
#include <memory>
#include <new>
#include <string_view>

#include "core/base/tensor.h"
#include "core/kernels/vector/gemm.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

template <class T>
const GemmTile<T>& best_tile() {
  static const GemmTile<T>* best = HEADRACE_BY_ISA(gemm_tile(T{}));
  return *best;
}

// A thread's working memory, kept for the next product.
void* workspace(std::size_t bytes) {
  struct Free {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t(kAlignment)); }
  };
  thread_local std::unique_ptr<void, Free> memory;
  thread_local std::size_t size = 0;
  if (size < bytes) {
    memory.reset();
    memory.reset(::operator new(bytes, std::align_val_t(kAlignment)));
    size = bytes;
  }
  return memory.get();
}

std::int64_t round_up(std::int64_t value, std::int64_t step) { return (value + step - 1) / step * step; }

}  // namespace

template <class T>
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, PackRows<T> pack_a, PackColumns<T> pack_b,
          StoreTile<T> store) {
  if (m == 0 || n == 0) return;
  const GemmTile<T>& tile = best_tile<T>();
  const int mr = tile.rows, nr = tile.columns;
  // A block of A (rows x depth) stays in L2 beside one of B; both are smaller where the product is.
  const std::int64_t depth = std::clamp<std::int64_t>(k, 1, 256);
  std::int64_t rows = std::min(round_up(96, mr), round_up(m, mr));
  const std::int64_t columns = std::min(round_up(std::int64_t(2048 / sizeof(T)), nr), round_up(n, nr));
  const std::int64_t column_blocks = (n + columns - 1) / columns;
  const double flop = 2.0 * double(m) * double(n) * double(k);
  if (flop > 1e6) {  // enough blocks for all threads
    const std::int64_t wanted = (2 * num_threads() + column_blocks - 1) / column_blocks;
    rows = std::min(rows, std::max<std::int64_t>(mr, round_up((m + wanted - 1) / wanted, mr)));
  }
  const std::int64_t row_blocks = (m + rows - 1) / rows;

  parallel_for(
      row_blocks * column_blocks, flop / 20 / double(row_blocks * column_blocks), [&](auto begin, auto end) {
        // Whole vectors of b and of the tiles are read at once, so these come first: they stay aligned.
        T* b = static_cast<T*>(workspace((rows * depth + depth * columns + rows * columns) * sizeof(T)));
        T* tiles = b + depth * columns;
        T* a = tiles + rows * columns;
        for (auto block = begin; block < end; ++block) {
          const std::int64_t row = block % row_blocks * rows, column = block / row_blocks * columns;
          const std::int64_t height = std::min(rows, m - row), width = std::min(columns, n - column);
          std::fill_n(tiles, rows * columns, T{});
          for (std::int64_t from = 0; from < k; from += depth) {
            const int deep = int(std::min(depth, k - from));
            for (std::int64_t r = 0; r < height; r += mr) {
              T* into = a + r * depth;
              const int count = int(std::min<std::int64_t>(mr, height - r));
              if (count < mr) std::fill_n(into, deep * mr, T{});
              pack_a(row + r, count, from, deep, into, mr);
            }
            for (std::int64_t c = 0; c < width; c += nr) {
              T* into = b + c * depth;
              const int count = int(std::min<std::int64_t>(nr, width - c));
              if (count < nr) std::fill_n(into, deep * nr, T{});
              pack_b(column + c, count, from, deep, into, nr);
            }
            for (std::int64_t c = 0; c < width; c += nr) {
              for (std::int64_t r = 0; r < height; r += mr) {
                tile.run(deep, a + r * depth, b + c * depth, tiles + c * rows + r * nr);
              }
            }
          }
          for (std::int64_t c = 0; c < width; c += nr) {
            for (std::int64_t r = 0; r < height; r += mr) {
              store(row + r, int(std::min<std::int64_t>(mr, height - r)), column + c,
                    int(std::min<std::int64_t>(nr, width - c)), tiles + c * rows + r * nr, nr);
            }
          }
        }
      });
}

template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<float>, PackColumns<float>,
                   StoreTile<float>);
template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<double>, PackColumns<double>,
                   StoreTile<double>);
template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<std::int32_t>,
                   PackColumns<std::int32_t>, StoreTile<std::int32_t>);
template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<std::int64_t>,
                   PackColumns<std::int64_t>, StoreTile<std::int64_t>);
template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<std::complex<float>>,
                   PackColumns<std::complex<float>>, StoreTile<std::complex<float>>);
template void gemm(std::int64_t, std::int64_t, std::int64_t, PackRows<std::complex<double>>,
                   PackColumns<std::complex<double>>, StoreTile<std::complex<double>>);

}  // namespace headrace
