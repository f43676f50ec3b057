// Kernels of operations on sparse tensors.
#include <algorithm>
#include <numeric>

#include "core/registry/kernel.h"

namespace headrace {
namespace {

std::string printed(const std::int64_t* index, std::int64_t rank) {
  std::string text = "(";
  for (std::int64_t i = 0; i < rank; ++i) text += (i ? ", " : "") + std::to_string(index[i]);
  return text + ")";
}

// ---- SparseToDense

std::unique_ptr<Kernel> prepare_to_dense(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  if (!is_plain(dtype) && dtype != DType::string) return nullptr;
  c.own_output(0);
  const Shape &indices = c.input_shape(0), &values = c.input_shape(2), shape = c.output_shape(0);
  // A vector of indices is for a vector, a scalar one is a single index of it.
  const std::int64_t count = indices.rank() == 0 ? 1 : indices[0],
                     rank = indices.rank() == 2 ? indices[1] : 1;
  require(rank == shape.rank(), "sparse_indices have the shape ", indices, ", output_shape has ",
          shape.rank(), " dimensions; give an index for each");
  require(values.rank() == 0 || values[0] == count, "there are ", count, " indices and ", values.size(),
          " values; give as many");
  const std::vector<std::int64_t> strides = strides_of(shape.dims());
  const bool validate = c.attr<bool>("validate_indices");
  std::unique_ptr<Kernel> made;
  visit(IndexTypes{}, c.input_dtype(0), [&]<class I>(std::type_identity<I>) {
    made = kernel([=, one_value = values.rank() == 0](RunContext& r) {
      Tensor out(dtype, shape);
      const std::size_t width = size_of(dtype);
      char* to = static_cast<char*>(out.raw());
      for (std::int64_t i = 0; i < shape.size(); ++i) {
        copy_elements(dtype, r.input<char>(3), to + std::size_t(i) * width, 1);
      }
      const I* index = r.input<I>(0);
      std::int64_t before = -1;
      for (std::int64_t k = 0; k < count; ++k, index += rank) {
        std::int64_t at = 0;
        bool inside = true;
        for (std::int64_t d = 0; d < rank; ++d) {
          inside = inside && index[d] >= 0 && std::int64_t(index[d]) < shape[int(d)];
          at += inside ? std::int64_t(index[d]) * strides[std::size_t(d)] : 0;
        }
        if (!inside || (validate && at <= before)) {
          const std::vector<std::int64_t> wide(index, index + rank);
          const std::string name = str("index ", k, ", ", printed(wide.data(), rank), ",");
          require(inside, name, " is outside of the shape ", shape);
          require(at != before, name, " is there twice; see validate_indices");
          invalid(name, " is out of order; sort the indices, or see validate_indices");
        }
        before = at;
        copy_elements(dtype, r.input<char>(2) + (one_value ? 0 : std::size_t(k) * width),
                      to + std::size_t(at) * width, 1);
      }
      r.set_output(0, std::move(out));
    });
  });
  return made;
}

// ---- SparseReorder

std::unique_ptr<Kernel> prepare_reorder(PrepareContext& c) {
  const DType dtype = c.output_dtype(1);
  if (!is_plain(dtype) && dtype != DType::string) return nullptr;
  c.own_output(0);
  c.own_output(1);
  const std::int64_t count = c.input_shape(0)[0], rank = c.input_shape(0)[1];
  return kernel([=](RunContext& r) {
    const std::int64_t* indices = r.input<std::int64_t>(0);
    const std::int64_t* shape = r.input<std::int64_t>(2);
    for (std::int64_t k = 0; k < count; ++k) {
      for (std::int64_t d = 0; d < rank; ++d) {
        const std::int64_t at = indices[k * rank + d];
        require(at >= 0 && at < shape[d], "index ", k, ", ", printed(indices + k * rank, rank),
                ", is outside of the shape ", printed(shape, rank));
      }
    }
    std::vector<std::int64_t> order(std::size_t(count), 0);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      const std::int64_t *left = indices + a * rank, *right = indices + b * rank;
      return std::lexicographical_compare(left, left + rank, right, right + rank);
    });
    Tensor sorted(DType::int64, Shape{count, rank}), values(dtype, Shape{count});
    const std::size_t width = size_of(dtype);
    for (std::int64_t k = 0; k < count; ++k) {
      const std::int64_t from = order[std::size_t(k)];
      std::copy_n(indices + from * rank, rank, sorted.data<std::int64_t>() + k * rank);
      copy_elements(dtype, r.input<char>(1) + std::size_t(from) * width,
                    static_cast<char*>(values.raw()) + std::size_t(k) * width, 1);
    }
    r.set_output(0, std::move(sorted));
    r.set_output(1, std::move(values));
  });
}

}  // namespace

HEADRACE_KERNELS(sparse) {
  add_kernel("SparseToDense", prepare_to_dense);
  add_kernel("SparseReorder", prepare_reorder);
}

}  // namespace headrace
