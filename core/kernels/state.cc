// Kernels of the operations on variables.
//
// Reads are snapshots that share the variable's memory; updates work in place under the variable's lock,
// after a copy if a snapshot is still held (Variable::update). Values that are assigned are copied into the
// variable's own memory, so nothing that a step or a user may still write to is ever shared with it.
#include <algorithm>
#include <cstring>
#include <functional>

#include "core/base/parallel.h"
#include "core/base/slice.h"
#include "core/graph/handle.h"
#include "core/kernels/strided_copy.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

constexpr double kCopyCost = 0.1;  // ns a byte

std::unique_ptr<Kernel> prepare_handle(PrepareContext& c) {
  const std::string& shared = c.attr<std::string>("shared_name");
  const std::string& name = shared.empty() ? c.node().name() : shared;
  const DType dtype = c.attr<DType>("dtype");
  auto variable = c.resources().find_or_create<Variable>(
      c.attr<std::string>("container"), name, [&] { return std::make_shared<Variable>(name, dtype); });
  if (variable->dtype() != dtype) {
    throw DTypeError(str("the variable '", name, "' is ", name_of(variable->dtype()), " already, not ",
                         name_of(dtype), "; give one of them another shared_name"));
  }
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(variable))));
  return nothing_to_run();
}

// The variable behind input 0, checked to be of the dtype that the node was made for.
Variable& variable_of(RunContext& r, DType dtype) {
  Variable& variable = r.resource<Variable>(0);
  if (variable.dtype() != dtype) {
    throw DTypeError(str("variable '", variable.name(), "' is ", name_of(variable.dtype()),
                         ", this operation was made for ", name_of(dtype)));
  }
  return variable;
}

void require_shape(const Variable& variable, const Shape& is, const Shape& expected) {
  if (is == expected) return;
  fail(Code::failed_precondition, "variable '", variable.name(), "' has a value of shape ", is,
       " now, where ", expected,
       " is expected; a variable that changes shape must be made with validate_shape=False");
}

std::unique_ptr<Kernel> prepare_read(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0), shape = c.output_shape(0)](RunContext& r) {
    const Variable& variable = variable_of(r, dtype);
    Tensor value = variable.read();
    if (shape.is_full()) require_shape(variable, value.shape(), shape);
    r.set_output(0, std::move(value));
  });
}

std::unique_ptr<Kernel> prepare_assign(PrepareContext& c) {
  const Shape declared = handle_type(c.node().input(0)).shape;
  const Shape& shape = c.input_shape(1);
  require(declared.compatible_with(shape), "the value has shape ", shape, ", the variable ", declared,
          "; reshape the value, or make the variable with validate_shape=False");
  return kernel([dtype = c.input_dtype(1), shape](RunContext& r) {
    variable_of(r, dtype).store(shape, r.input<void>(1));
  });
}

// Changes n elements by n others, or by one if `from_one`. The parts of a row operation that know the dtype.
using Combine = void (*)(void* into, const void* from, std::int64_t n, bool from_one);

template <class T, class F>
void combine(void* into, const void* from, std::int64_t n, bool from_one) {
  using C = Compute<T>;
  T* y = static_cast<T*>(into);
  const T* x = static_cast<const T*>(from);
  F f;
  if (from_one) {
    const C one = C(*x);
    for (std::int64_t i = 0; i < n; ++i) y[i] = T(f(C(y[i]), one));
  } else {
    for (std::int64_t i = 0; i < n; ++i) y[i] = T(f(C(y[i]), C(x[i])));
  }
}

// What integer overflow does: wrap around, which C++ only promises for unsigned numbers.
template <class F>
struct Wrapping {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::conditional_t<(sizeof(T) > 4), std::uint64_t, std::uint32_t>;
      return T(F()(Unsigned(a), Unsigned(b)));
    } else {
      return F()(a, b);
    }
  }
};
// NaNs stay: whichever of the two is NaN wins.
struct Lesser {
  template <class T>
  T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};
struct Greater {
  template <class T>
  T operator()(T a, T b) const {
    return b > a || b != b ? b : a;
  }
};
struct Quotient {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_integral_v<T>) {
      require(b != 0, "integer division by zero");
      if constexpr (std::is_signed_v<T>) {
        if (b == -1) return T(std::make_unsigned_t<T>(0) - std::make_unsigned_t<T>(a));
      }
    }
    return a / b;
  }
};

template <class F, class AllowedTypes>
Combine combine_of(AllowedTypes types, DType dtype) {
  Combine made = nullptr;
  visit(types, dtype, [&]<class T>(std::type_identity<T>) { made = &combine<T, F>; });
  return made;
}

template <DType dtype>
void replace_objects(void* into, const void* from, std::int64_t n, bool from_one) {
  for (std::int64_t i = 0; i < n; ++i) {
    char* to = static_cast<char*>(into) + i * size_of(dtype);
    copy_elements(dtype, static_cast<const char*>(from) + (from_one ? 0 : i * size_of(dtype)), to, 1);
  }
}

template <std::size_t width>
void replace_plain(void* into, const void* from, std::int64_t n, bool from_one) {
  if (!from_one) {
    std::memcpy(into, from, n * width);
    return;
  }
  for (std::int64_t i = 0; i < n; ++i) std::memcpy(static_cast<char*>(into) + i * width, from, width);
}

Combine replace_of(DType dtype) {
  if (dtype == DType::string) return &replace_objects<DType::string>;
  if (dtype == DType::variant) return &replace_objects<DType::variant>;
  if (dtype == DType::resource) return &replace_objects<DType::resource>;
  switch (size_of(dtype)) {
    case 1:
      return &replace_plain<1>;
    case 2:
      return &replace_plain<2>;
    case 4:
      return &replace_plain<4>;
    case 8:
      return &replace_plain<8>;
    default:
      return &replace_plain<16>;
  }
}

Prepare update_by(Combine (*choose)(DType)) {
  return [choose](PrepareContext& c) -> std::unique_ptr<Kernel> {
    const DType dtype = c.input_dtype(1);
    const Combine combine = choose(dtype);
    if (!combine) return nullptr;
    return kernel([dtype, combine, shape = c.input_shape(1), width = size_of(dtype)](RunContext& r) {
      Variable& variable = variable_of(r, dtype);
      const auto update = [&](Tensor& value) {
        require_shape(variable, value.shape(), shape);
        char* into = value.data<char>();
        const char* from = r.input<char>(1);
        parallel_for(value.size(), kCopyCost * double(width), [&](std::int64_t begin, std::int64_t end) {
          combine(into + begin * width, from + begin * width, end - begin, false);
        });
      };
      variable.update(std::ref(update));
    });
  };
}

// ---- rows: gathers and scatters

template <class Index>
std::int64_t offset_of(const Index* index, std::span<const std::int64_t> sizes, std::int64_t at) {
  std::int64_t offset = 0;
  for (std::size_t k = 0; k < sizes.size(); ++k) {
    const std::int64_t i = index[k];
    require(i >= 0 && i < sizes[k], "indices[", at, "] is ", i, " along axis ", k, ", which has ", sizes[k],
            " elements; indices must be in [0, ", sizes[k], ")");
    offset = offset * sizes[k] + i;
  }
  return offset;
}

// Writes the row number that each index means: an index has one number for each of `sizes`, the leading
// dimensions of the variable.
template <class Index>
void find_rows(const Index* indices, std::int64_t count, std::span<const std::int64_t> sizes,
               std::int64_t* rows) {
  for (std::int64_t i = 0; i < count; ++i) rows[i] = offset_of(indices + i * sizes.size(), sizes, i);
}

// What scatters and N-dimensional gathers share: where rows are, and how long.
struct Rows {
  DType index_dtype;
  int depth;           // how many numbers an index has
  std::int64_t count;  // how many indices
  std::size_t scratch_bytes() const { return std::size_t(count) * sizeof(std::int64_t); }

  // The rows that the indices of input 1 mean, in scratch memory.
  std::span<const std::int64_t> find(RunContext& r, const Shape& variable) const {
    require(variable.rank() >= depth, "the variable has shape ", variable, ", an index has ", depth,
            " numbers");
    auto* rows = static_cast<std::int64_t*>(r.scratch());
    const auto sizes = variable.dims().first(depth);
    if (index_dtype == DType::int32) {
      find_rows(r.input<std::int32_t>(1), count, sizes, rows);
    } else {
      find_rows(r.input<std::int64_t>(1), count, sizes, rows);
    }
    return {rows, std::size_t(count)};
  }
};

Prepare scatter_by(Combine (*choose)(DType), bool nd) {
  return [choose, nd](PrepareContext& c) -> std::unique_ptr<Kernel> {
    const DType dtype = c.input_dtype(2);
    const Combine combine = choose(dtype);
    if (!combine) return nullptr;
    const Shape &indices = c.input_shape(1), &updates = c.input_shape(2);
    const Shape heads = nd ? indices.slice(0, -1) : indices;
    const Rows rows{c.input_dtype(1), nd ? int(indices.dim(-1)) : 1, heads.size()};
    const bool one = !nd && updates.rank() == 0;
    c.scratch(rows.scratch_bytes());
    return kernel([=, width = size_of(dtype)](RunContext& r) {
      Variable& variable = variable_of(r, dtype);
      const auto update = [&](Tensor& value) {
        require(value.shape().rank() >= rows.depth, "variable '", variable.name(), "' has shape ",
                value.shape(), "; it has no rows to update");
        const Shape expected = heads.concat(value.shape().slice(rows.depth));
        require(one || updates == expected, "updates has shape ", updates, ", expected ", expected);
        const std::int64_t length = value.shape().slice(rows.depth).size();
        const char* from = r.input<char>(2);
        for (const std::int64_t row : rows.find(r, value.shape())) {
          combine(value.data<char>() + row * length * width, from, length, one);
          if (!one) from += length * width;
        }
      };
      variable.update(std::ref(update));
    });
  };
}

// Memory for what a gather found, whose shape must be the one that was declared, if one was.
Tensor gathered(const Variable& variable, const Shape& declared, const Shape& result) {
  if (declared.is_full()) require_shape(variable, result, declared);
  return Tensor(variable.dtype(), result);
}

void copy_rows(const Tensor& value, std::span<const std::int64_t> rows, std::int64_t length, Tensor& out) {
  const std::size_t bytes = std::size_t(length) * size_of(value.dtype());
  parallel_for(std::int64_t(rows.size()), 2 + kCopyCost * double(bytes), [&](auto begin, auto end) {
    for (auto i = begin; i < end; ++i) {
      copy_elements(value.dtype(), value.data<char>() + rows[i] * bytes, out.data<char>() + i * bytes,
                    length);
    }
  });
}

std::unique_ptr<Kernel> prepare_gather(PrepareContext& c) {
  const Shape& indices = c.input_shape(1);
  const int batch = int(c.attr<std::int64_t>("batch_dims"));
  const DType index_dtype = c.input_dtype(1), dtype = c.output_dtype(0);
  const Shape declared = c.output_shape(0);
  c.own_output(0);
  c.scratch(std::size_t(indices.size()) * sizeof(std::int64_t));
  return kernel([=](RunContext& r) {
    const Variable& variable = variable_of(r, dtype);
    const Tensor value = variable.read();
    const Shape& shape = value.shape();
    require(shape.rank() > batch, "variable '", variable.name(), "' has shape ", shape,
            "; a gather needs a rank of at least ", batch + 1);
    const Shape heads = indices.slice(0, batch);
    require(shape.slice(0, batch) == heads, "the first ", batch, " dimensions of the variable are ",
            shape.slice(0, batch), ", those of indices ", heads, "; they must be the same");
    // The rows of one batch after another.
    const std::int64_t batches = heads.size(), size = shape[batch];
    const std::int64_t count = batches ? indices.size() / batches : 0;
    auto* rows = static_cast<std::int64_t*>(r.scratch());
    for (std::int64_t b = 0; b < batches; ++b) {
      std::int64_t* to = rows + b * count;
      if (index_dtype == DType::int32) {
        find_rows(r.input<std::int32_t>(1) + b * count, count, {&size, 1}, to);
      } else {
        find_rows(r.input<std::int64_t>(1) + b * count, count, {&size, 1}, to);
      }
      for (std::int64_t i = 0; i < count; ++i) to[i] += b * size;
    }
    Tensor out = gathered(variable, declared, indices.concat(shape.slice(batch + 1)));
    copy_rows(value, {rows, std::size_t(batches * count)}, shape.slice(batch + 1).size(), out);
    r.set_output(0, std::move(out));
  });
}

std::unique_ptr<Kernel> prepare_gather_nd(PrepareContext& c) {
  const Shape heads = c.input_shape(1).slice(0, -1);
  const Rows rows{c.input_dtype(1), int(c.input_shape(1).dim(-1)), heads.size()};
  const DType dtype = c.output_dtype(0);
  const Shape declared = c.output_shape(0);
  c.own_output(0);
  c.scratch(rows.scratch_bytes());
  return kernel([=](RunContext& r) {
    const Variable& variable = variable_of(r, dtype);
    const Tensor value = variable.read();
    const auto found = rows.find(r, value.shape());
    const Shape row = value.shape().slice(rows.depth);
    Tensor out = gathered(variable, declared, heads.concat(row));
    copy_rows(value, found, row.size(), out);
    r.set_output(0, std::move(out));
  });
}

// ---- the rest

std::unique_ptr<Kernel> prepare_slice_assign(PrepareContext& c) {
  const DType dtype = c.input_dtype(4);
  const FromInts<SliceExpression> expression(c, {1, 2, 3}, [masks = masks_of(c)](auto& values) {
    SliceExpression whole = masks;
    whole.begin = values[0];
    whole.end = values[1];
    whole.strides = values[2];
    return whole;
  });
  return kernel([dtype, expression, shape = c.input_shape(4)](RunContext& r) {
    Variable& variable = variable_of(r, dtype);
    const auto update = [&](Tensor& value) {
      expression.with(r, [&](const SliceExpression& slice) {
        const SliceResult piece = resolve_slice(slice, value.shape(), INT64_MIN);
        const bool one = shape.size() == 1;  // for all elements
        require(one || shape == piece.shape, "the value has shape ", shape, ", the slice ", piece.shape,
                "; they must be the same, or the value a scalar");
        const auto strides = strides_of(value.shape().dims());
        std::vector<std::int64_t> dims, to;
        std::int64_t offset = 0;
        for (std::size_t i = 0; i < piece.ranges.size(); ++i) {
          dims.push_back(piece.ranges[i].size);
          to.push_back(piece.ranges[i].stride * strides[i]);
          offset += piece.ranges[i].begin * strides[i];
        }
        if (piece.shape.size() == 0) return;
        const auto from = one ? std::vector<std::int64_t>(dims.size(), 0) : strides_of(dims);
        StridedCopy(dtype, dims, from, to).run(r.input<void>(4), 0, value.raw(), offset);
      });
    };
    variable.update(std::ref(update));
  });
}

std::unique_ptr<Kernel> prepare_is_initialized(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<bool>(0) = r.resource<Variable>(0).initialized(); });
}

std::unique_ptr<Kernel> prepare_shape(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0), declared = c.output_shape(0)](RunContext& r) {
    const Variable& variable = r.resource<Variable>(0);
    const Tensor value = variable.read();
    const auto dims = value.shape().dims();
    if (declared.is_full()) {
      require(declared[0] == std::int64_t(dims.size()), "variable '", variable.name(), "' has rank ",
              dims.size(), " now, ", declared[0], " was declared");
    }
    Tensor out(dtype, Shape{std::int64_t(dims.size())});
    visit(IndexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
      std::transform(dims.begin(), dims.end(), out.data<T>(), [](std::int64_t size) { return T(size); });
    });
    r.set_output(0, std::move(out));
  });
}

std::unique_ptr<Kernel> prepare_destroy(PrepareContext& c) {
  return kernel([ignore = c.attr<bool>("ignore_lookup_error")](RunContext& r) {
    // Plans hold the variable itself, so what can be destroyed is its value.
    Variable& variable = r.resource<Variable>(0);
    if (!ignore && !variable.initialized()) {
      fail(Code::not_found, "variable '", variable.name(), "' has no value that could be destroyed");
    }
    variable.clear();
  });
}

std::unique_ptr<Kernel> prepare_count(PrepareContext& c) {
  const DType dtype = c.output_dtype(0);
  return kernel([dtype, limit = c.attr<std::int64_t>("limit")](RunContext& r) {
    Variable& variable = variable_of(r, dtype);
    const auto count = [&](Tensor& value) {
      require_shape(variable, value.shape(), Shape());
      visit(IndexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
        T& counter = *value.data<T>();
        if (counter >= limit) {
          fail(Code::out_of_range, "variable '", variable.name(), "' has counted up to its limit, ", limit);
        }
        *r.output<T>(0) = counter++;
      });
    };
    variable.update(std::ref(count));
  });
}

template <class F>
Combine number(DType dtype) {
  return combine_of<F>(NumericTypes{}, dtype);
}
template <class F>
Combine ordered(DType dtype) {
  return combine_of<F>(RealTypes{}, dtype);
}

}  // namespace

HEADRACE_KERNELS(state) {
  add_kernel("VarHandleOp", prepare_handle);
  add_kernel("ReadVariableOp", prepare_read);
  add_kernel("AssignVariableOp", prepare_assign);
  add_kernel("AssignAddVariableOp", update_by(number<Wrapping<std::plus<>>>));
  add_kernel("AssignSubVariableOp", update_by(number<Wrapping<std::minus<>>>));
  add_kernel("DisableCopyOnRead", [](PrepareContext&) { return nothing_to_run(); });
  add_kernel("VarIsInitializedOp", prepare_is_initialized);
  add_kernel("VariableShape", prepare_shape);
  add_kernel("DestroyResourceOp", prepare_destroy);
  add_kernel("ResourceGather", prepare_gather);
  add_kernel("ResourceGatherNd", prepare_gather_nd);
  add_kernel("ResourceScatterUpdate", scatter_by(replace_of, false));
  add_kernel("ResourceScatterAdd", scatter_by(number<Wrapping<std::plus<>>>, false));
  add_kernel("ResourceScatterSub", scatter_by(number<Wrapping<std::minus<>>>, false));
  add_kernel("ResourceScatterMul", scatter_by(number<Wrapping<std::multiplies<>>>, false));
  add_kernel("ResourceScatterDiv", scatter_by(number<Quotient>, false));
  add_kernel("ResourceScatterMin", scatter_by(ordered<Lesser>, false));
  add_kernel("ResourceScatterMax", scatter_by(ordered<Greater>, false));
  add_kernel("ResourceScatterNdUpdate", scatter_by(replace_of, true));
  add_kernel("ResourceScatterNdAdd", scatter_by(number<Wrapping<std::plus<>>>, true));
  add_kernel("ResourceScatterNdSub", scatter_by(number<Wrapping<std::minus<>>>, true));
  add_kernel("ResourceStridedSliceAssign", prepare_slice_assign);
  add_kernel("ResourceCountUpTo", prepare_count);
}

}  // namespace headrace
