// Products of matrices by oneDNN.
#include "core/kernels/matmul.h"

#include "core/kernels/onednn/onednn.h"
#include "core/kernels/onednn/post_operations.h"
#include "core/kernels/onednn/reorder.h"
#include "core/kernels/product_sum.h"

namespace headrace {
namespace {

using namespace onednn;

// One operand: its batch dimensions, then the matrix as the product sees it.
memory::desc operand(memory::data_type type, const Shape& batch, std::int64_t rows, std::int64_t columns,
                     bool transposed) {
  memory::dims dims(batch.dims().begin(), batch.dims().end());
  dims.insert(dims.end(), {rows, columns});
  memory::dims strides(dims.size());
  std::int64_t step = rows * columns;
  for (int i = batch.rank() - 1; i >= 0; --i) strides[i] = step, step *= dims[i];
  strides[batch.rank()] = transposed ? 1 : columns;
  strides[batch.rank() + 1] = transposed ? rows : 1;
  return desc(type, dims, strides);
}

Shape left_padded(const Shape& shape, int rank) {
  return Shape(std::vector<std::int64_t>(std::size_t(rank - shape.rank()), 1)).concat(shape);
}

// Whether bringing the right operand into the library's own layout serves several products of one step.
bool is_read_often(const Node& node) {
  constexpr int kOften = 3;
  const Output right = node.input(1);
  int readers = 0;
  for (const Use& use : right.node->uses()) {
    readers += use.input == 1 && use.node->input(1) == right && use.node->op().name() == node.op().name() &&
               use.node->input(0).shape() == node.input(0).shape();
  }
  return readers >= kOften;
}

std::unique_ptr<Kernel> prepare_matmul(PrepareContext& c) {
  const auto type = type_of(c.output_dtype(0));
  Product p(c);
  if (type == memory::data_type::undef || p.batch * p.m * p.n * p.k == 0) return nullptr;
  // As few batch dimensions as the broadcasting allows; none at all where one matrix meets a stack of rows.
  Shape batch = c.output_shape(0).slice(0, -2), x = p.x_batch, y = p.y_batch;
  if (p.batch == 1) {
    batch = x = y = Shape();
  } else if (y.size() == 1 && x.size() == p.batch && !p.transpose_a) {
    p.m *= p.batch;
    batch = x = y = Shape();
  } else if (x == y) {
    batch = x = y = Shape{p.batch};
  } else if (x.size() == 1 || y.size() == 1) {
    batch = Shape{p.batch};
    x = Shape{x.size()};
    y = Shape{y.size()};
  } else {
    x = left_padded(x, batch.rank());
    y = left_padded(y, batch.rank());
  }
  if (batch.rank() + 2 > DNNL_MAX_NDIMS) return nullptr;
  const double elements = double(x.size() * p.m * p.k + y.size() * p.k * p.n + batch.size() * p.m * p.n);
  const Team team(time_of(2.0 * double(batch.size() * p.m) * double(p.k) * double(p.n), 4 * elements));
  return if_supported([&]() -> std::unique_ptr<Kernel> {
    const auto a = operand(type, x, p.m, p.k, p.transpose_a);
    const auto b = operand(type, y, p.k, p.n, p.transpose_b);
    const auto out = operand(type, batch, p.m, p.n, false);
    // A constant may be brought into the library's own layout once and for all.
    const bool often = is_read_often(c.node());
    const bool pack = (c.constant(1) || often) && y.size() == 1 && p.k * p.n > 4096;
    const memory::dims b_dims = b.get_dims();
    Scratch scratch;
    const PostOps then(c, out, batch.rank() + 1, c.output_shape(0).rank() - 1, scratch);
    const dnnl::matmul::primitive_desc pd(engine(), a, pack ? any(type, b_dims) : b, out, then.attr(), true);
    if (!is_fast(pd)) return nullptr;
    const Operand weights(c, 1, b, pd.weights_desc(), scratch, often);
    const std::size_t own = scratch.add(pd.scratchpad_desc().get_size());
    c.scratch(scratch.bytes);
    const Primitive product(dnnl::matmul(pd), then.arguments({{DNNL_ARG_SRC, a},
                                                              {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                                                              {DNNL_ARG_DST, out},
                                                              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}}));
    return kernel([=](RunContext& r) {
      const Operand::Value packed = weights.get(r);
      then.run(product, r,
               {r.input<void>(0), packed.data, r.output<void>(0), static_cast<char*>(r.scratch()) + own});
    });
  });
}

// Adds to what is there already.
std::unique_ptr<Kernel> prepare_add_product(PrepareContext& c) {
  const Factors factors(c);
  const auto type = type_of(c.input_dtype(1));
  const std::int64_t m = factors.m, n = factors.n, rows = ProductSum::rows_at_once(factors.rows);
  if (type == memory::data_type::undef || m * n * factors.rows == 0) return nullptr;
  const Team team(time_of(2.0 * double(m) * double(n) * double(rows), 4 * double(m * n + rows * (m + n))));
  return if_supported([&]() -> std::unique_ptr<Kernel> {
    const auto a = operand(type, {}, m, rows, true), b = operand(type, {}, rows, n, false);
    const auto out = operand(type, {}, m, n, false);
    dnnl::post_ops then;
    then.append_sum();
    dnnl::primitive_attr attr = user_scratchpad();
    attr.set_post_ops(then);
    const dnnl::matmul::primitive_desc pd(engine(), a, b, out, attr, true);
    if (!is_fast(pd)) return nullptr;
    c.own_output(0);
    c.scratch(pd.scratchpad_desc().get_size());
    const Primitive product(dnnl::matmul(pd), {{DNNL_ARG_SRC, a},
                                               {DNNL_ARG_WEIGHTS, b},
                                               {DNNL_ARG_DST, out},
                                               {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}});
    return kernel([=](RunContext& r) {
      factors.add(r, [&](const void* left, const void* right, void* total) {
        product.run({left, right, total, r.scratch()});
      });
    });
  });
}

}  // namespace

HEADRACE_KERNELS(onednn_matmul) {
  for (const char* op : {"MatMul", "BatchMatMul", "BatchMatMulV2", "_FusedMatMul", "_FusedBatchMatMul",
                         "_FusedBatchMatMulV2"}) {
    add_kernel(op, prepare_matmul, KernelRank::library);
  }
  add_kernel("_AddProduct", prepare_add_product, KernelRank::library);
}

}  // namespace headrace
