// Products of matrices in plain C++: every dtype, for the library's kernel stands before it in float32.
#include "core/kernels/matmul.h"
#include "core/base/parallel.h"
#include "core/kernels/gemm.h"
#include "core/kernels/post_operations.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

// How an operand lies in memory: element (i, j) of the product's view is at i * row + j * column.
struct Strides {
  std::int64_t row, column;
};

template <class T, class C>
C element(T value, bool conjugate) {
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
    return conjugate ? std::conj(value) : value;
  } else {
    return C(value);
  }
}

// Packs `count` lines that are `line` apart, of `depth` elements that are `step` apart, side by side.
template <class T, class C>
void pack(const T* from, std::int64_t line, std::int64_t step, int count, int depth, C* into, int stride,
          bool conjugate) {
  if (step == 1) {  // read along the lines
    for (int i = 0; i < count; ++i) {
      for (int d = 0; d < depth; ++d) into[d * stride + i] = element<T, C>(from[i * line + d], conjugate);
    }
  } else {
    for (int d = 0; d < depth; ++d) {
      for (int i = 0; i < count; ++i)
        into[d * stride + i] = element<T, C>(from[i * line + d * step], conjugate);
    }
  }
}

std::unique_ptr<Kernel> prepare_matmul(PrepareContext& c) {
  const Product p(c);
  const Strides a = p.transpose_a ? Strides{1, p.m} : Strides{p.k, 1};
  const Strides b = p.transpose_b ? Strides{1, p.k} : Strides{p.n, 1};
  std::unique_ptr<Kernel> made;
  using All = Join<FloatTypes, Join<IndexTypes, ComplexTypes>>;
  visit(All{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([p, a, b](RunContext& r) {
      const T *as = r.input<T>(0), *bs = r.input<T>(1);
      T* out = r.output<T>(0);
      const double cost = 0.1 * double(p.m) * double(p.n) * double(p.k);
      auto some = [&](std::int64_t begin, std::int64_t end) {
        for (auto i = begin; i < end; ++i) {
          const T* x = as + p.a_batch(i) * p.m * p.k;
          const T* y = bs + p.b_batch(i) * p.k * p.n;
          T* z = out + i * p.m * p.n;
          gemm<C>(
              p.m, p.n, p.k,
              [&](std::int64_t row, int rows, std::int64_t k, int depth, C* into, int stride) {
                pack<T, C>(x + row * a.row + k * a.column, a.row, a.column, rows, depth, into, stride,
                           p.conjugate_a);
              },
              [&](std::int64_t column, int columns, std::int64_t k, int depth, C* into, int stride) {
                pack<T, C>(y + column * b.column + k * b.row, b.column, b.row, columns, depth, into, stride,
                           p.conjugate_b);
              },
              [&](std::int64_t row, int rows, std::int64_t column, int columns, const C* tile, int stride) {
                for (int i = 0; i < rows; ++i) {
                  for (int j = 0; j < columns; ++j) z[(row + i) * p.n + column + j] = T(tile[i * stride + j]);
                }
              });
        }
      };
      // Many products share the threads; few let the threads share each.
      if (p.batch >= num_threads()) return parallel_for(p.batch, cost, some);
      some(0, p.batch);
    });
  });
  return made;
}

}  // namespace

Product::Product(PrepareContext& c) {
  const bool single = c.node().has_attr("transpose_a");
  transpose_a = c.attr<bool>(single ? "transpose_a" : "adj_x");
  transpose_b = c.attr<bool>(single ? "transpose_b" : "adj_y");
  conjugate_a = transpose_a && !single;
  conjugate_b = transpose_b && !single;
  const Shape &x = c.input_shape(0), &y = c.input_shape(1), &out = c.output_shape(0);
  m = out[-2];
  n = out[-1];
  k = x[transpose_a ? -2 : -1];
  x_batch = x.slice(0, -2);
  y_batch = y.slice(0, -2);
  const Shape batches = out.slice(0, -2);
  batch = batches.size();
  if (x_batch == batches && y_batch == batches) return;
  a_index.resize(std::size_t(batch));
  b_index.resize(std::size_t(batch));
  auto fill = [&](const Shape& operand, std::vector<std::int64_t>& index) {
    const auto strides = strides_of(operand.dims());
    for (std::int64_t i = 0; i < batch; ++i) {
      std::int64_t rest = i, place = 0;
      for (int axis = batches.rank() - 1, own = operand.rank() - 1; axis >= 0; --axis, --own) {
        if (own >= 0 && operand[own] != 1) place += rest % batches[axis] * strides[own];
        rest /= batches[axis];
      }
      index[std::size_t(i)] = place;
    }
  };
  fill(x_batch, a_index);
  fill(y_batch, b_index);
}

HEADRACE_KERNELS(matmul) {
  for (const char* op : {"MatMul", "BatchMatMul", "BatchMatMulV2"}) add_kernel(op, prepare_matmul);
  add_kernel("_FusedMatMul", with_post_operations("MatMul"));
  add_kernel("_FusedBatchMatMul", with_post_operations("BatchMatMul"));
  add_kernel("_FusedBatchMatMulV2", with_post_operations("BatchMatMulV2"));
}

}  // namespace headrace
