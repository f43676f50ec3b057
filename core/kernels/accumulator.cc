// Kernels of accumulators: dense ones add up tensors, sparse ones rows.
#include <map>

#include "core/base/parallel.h"
#include "core/kernels/elements.h"
#include "core/kernels/line.h"

namespace headrace {
namespace {

// x[i] /= count.
void divide(DType dtype, void* x, std::int64_t count, std::int64_t n) {
  visit(NumericTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    parallel_for(n, 0.5, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T& at = static_cast<T*>(x)[i];
        at = T(Compute<T>(at) / Compute<T>(count));
      }
    });
  });
}

// What both kinds share: the step, the count, and who waits for gradients.
class Accumulator : public Resource {
 public:
  Accumulator(std::string name, DType dtype, Shape shape, bool mean)
      : dtype(dtype), shape(std::move(shape)), mean(mean), name_(std::move(name)) {}
  const DType dtype;
  const Shape shape;
  const bool mean;

  std::string describe() const override {
    return str("accumulator '", name_, "' of ", name_of(dtype), " gradients of shape ", shape);
  }
  std::int64_t count() const {
    std::lock_guard lock(mutex_);
    return count_;
  }
  void set_step(std::int64_t step) {
    std::lock_guard lock(mutex_);
    step_ = step;
  }
  void check_dtype(DType given) const {
    if (given != dtype) throw DTypeError(str(describe(), " was asked for ", name_of(given)));
  }

 protected:
  void require_shape(const Shape& given) const {
    require(shape.compatible_with(given), "the gradient has shape ", given, ", ", describe(),
            " takes none such");
  }
  // Calls add() under the lock, unless the gradient is late.
  template <class Add>
  void apply(std::int64_t local_step, Add add) {
    std::lock_guard lock(mutex_);
    if (local_step < step_) return;
    add();
    ++count_;
    changed_.notify_all();
  }
  // Waits until enough have come, and calls take() under the lock.
  template <class Take>
  void wait(Step& step, std::int64_t required, Take take) {
    require(required > 0, "num_required is ", required, "; it must be positive");
    taking_.wait(step, mutex_, changed_, [&](bool first) {
      if (!first || count_ < required) return false;
      take(count_);
      count_ = 0;
      ++step_;
      return true;
    });
  }

 private:
  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Line taking_;
  std::int64_t count_ = 0, step_ = 0;
};

class DenseAccumulator final : public Accumulator {
 public:
  using Accumulator::Accumulator;

  void add(std::int64_t local_step, const Tensor& gradient) {
    require_shape(gradient.shape());
    apply(local_step, [&] {
      if (!sum_) {
        sum_ = gradient.copy();
        return;
      }
      require(sum_.shape() == gradient.shape(), "the gradient has shape ", gradient.shape(),
              ", those before it have ", sum_.shape());
      add_to(dtype, sum_.raw(), gradient.raw(), sum_.size());
    });
  }
  Tensor take(Step& step, std::int64_t required) {
    Tensor sum;
    std::int64_t count = 0;
    wait(step, required, [&](std::int64_t added) {
      sum = std::exchange(sum_, Tensor());
      count = added;
    });
    if (mean) divide(dtype, sum.raw(), count, sum.size());
    return sum;
  }

 private:
  Tensor sum_;
};

class RowAccumulator final : public Accumulator {
 public:
  using Accumulator::Accumulator;
  struct Taken {
    Tensor indices, values, shape;
  };

  void add(std::int64_t local_step, const Tensor& indices, const Tensor& values) {
    const std::int64_t n = indices.size();
    for (std::int64_t index : indices.flat<std::int64_t>()) {
      require(index >= 0, "an index is ", index, "; it must not be negative");
      require(!shape.has_rank() || shape.rank() == 0 || shape.dim(0) == kUnknown || index < shape.dim(0),
              "an index is ", index, ", ", describe(), " has fewer rows");
    }
    Shape row_shape = values.shape().slice(1);
    require_shape(Shape{shape.has_rank() && shape.rank() > 0 ? shape.dim(0) : kUnknown}.concat(row_shape));
    apply(local_step, [&] {
      require(rows_.empty() || row_shape_ == row_shape, "rows have shape ", row_shape,
              ", those before them have ", row_shape_);
      row_shape_ = row_shape;
      const std::int64_t width = row_shape.size();
      const std::size_t bytes = std::size_t(width) * size_of(dtype);
      for (std::int64_t i = 0; i < n; ++i) {
        Row& row = rows_[indices.data<std::int64_t>()[i]];
        const char* from = static_cast<const char*>(values.raw()) + std::size_t(i) * bytes;
        if (row.sum) {
          add_to(dtype, row.sum.raw(), from, width);
        } else {
          row.sum = Tensor(dtype, row_shape);
          copy_elements(dtype, from, row.sum.raw(), width);
        }
        // A row that comes twice in one gradient is one of it.
        row.count += row.last != calls_;
        row.last = calls_;
      }
      ++calls_;
    });
  }
  Taken take(Step& step, std::int64_t required) {
    std::map<std::int64_t, Row> rows;
    Shape row_shape;
    wait(step, required, [&](std::int64_t) {
      rows = std::exchange(rows_, {});
      row_shape = row_shape_;
    });
    const auto n = std::int64_t(rows.size());
    Taken taken{Tensor(DType::int64, {n}), Tensor(dtype, Shape{n}.concat(row_shape)),
                Tensor(DType::int64, {row_shape.rank() + 1})};
    auto* index = taken.indices.data<std::int64_t>();
    auto* to = static_cast<char*>(taken.values.raw());
    for (auto& [number, row] : rows) {
      if (mean) divide(dtype, row.sum.raw(), row.count, row.sum.size());
      *index++ = number;
      copy_elements(dtype, row.sum.raw(), to, row.sum.size());
      to += row.sum.bytes();
    }
    auto* dims = taken.shape.data<std::int64_t>();
    *dims++ = shape.has_rank() && shape.rank() > 0 ? shape.dim(0) : kUnknown;
    for (std::int64_t size : row_shape.dims()) *dims++ = size;
    return taken;
  }

 private:
  struct Row {
    Tensor sum;
    std::int64_t count = 0, last = -1;
  };
  std::map<std::int64_t, Row> rows_;
  Shape row_shape_;
  std::int64_t calls_ = 0;
};

// ---- kernels

template <class T>
std::unique_ptr<Kernel> prepare_accumulator(PrepareContext& c) {
  const std::string& name = resource_name(c);
  const DType dtype = c.attr<DType>("dtype");
  const Shape& shape = c.attr<Shape>("shape");
  const bool mean = c.attr<std::string>("reduction_type") == "MEAN";
  auto found = c.resources().find_or_create<T>(c.attr<std::string>("container"), name,
                                               [&] { return std::make_shared<T>(name, dtype, shape, mean); });
  require(found->dtype == dtype && found->shape == shape && found->mean == mean, "there is ",
          found->describe(),
          " already, of another type, shape or reduction; give one of them another "
          "shared_name");
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(found))));
  return nothing_to_run();
}

template <class T>
T& accumulator_of(RunContext& r, DType dtype) {
  T& accumulator = r.resource<T>(0);
  accumulator.check_dtype(dtype);
  return accumulator;
}

std::unique_ptr<Kernel> prepare_apply(PrepareContext& c) {
  return kernel([dtype = c.attr<DType>("dtype")](RunContext& r) {
    accumulator_of<DenseAccumulator>(r, dtype).add(*r.input<std::int64_t>(1), r.lent_tensor(2));
  });
}

std::unique_ptr<Kernel> prepare_take(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("dtype")](RunContext& r) {
    r.set_output(0, accumulator_of<DenseAccumulator>(r, dtype).take(r.step(), *r.input<std::int32_t>(1)));
  });
}

std::unique_ptr<Kernel> prepare_count(PrepareContext&) {
  return kernel(
      [](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(r.resource<Accumulator>(0).count()); });
}

std::unique_ptr<Kernel> prepare_set_step(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Accumulator>(0).set_step(*r.input<std::int64_t>(1)); });
}

std::unique_ptr<Kernel> prepare_apply_rows(PrepareContext& c) {
  const Shape shape_of_shape = c.input_shape(4);
  return kernel([dtype = c.attr<DType>("dtype"), known = c.attr<bool>("has_known_shape"),
                 rank = c.input_shape(3).rank(), shape_of_shape](RunContext& r) {
    auto& accumulator = accumulator_of<RowAccumulator>(r, dtype);
    if (known) {
      const std::int64_t* dims = r.input<std::int64_t>(4);
      Shape whole;
      for (std::int64_t d = 0; d < shape_of_shape.size(); ++d) whole.push_back(dims[d]);
      require(whole.rank() == rank, "gradient_shape is ", whole, ", values have rank ", rank);
      require(accumulator.shape.compatible_with(whole), "gradient_shape is ", whole, ", ",
              accumulator.describe(), " takes none such");
    }
    accumulator.add(*r.input<std::int64_t>(1), r.lent_tensor(2), r.lent_tensor(3));
  });
}

std::unique_ptr<Kernel> prepare_take_rows(PrepareContext& c) {
  for (int i = 0; i < 3; ++i) c.own_output(i);
  return kernel([dtype = c.attr<DType>("dtype")](RunContext& r) {
    auto taken = accumulator_of<RowAccumulator>(r, dtype).take(r.step(), *r.input<std::int32_t>(1));
    r.set_output(0, std::move(taken.indices));
    r.set_output(1, std::move(taken.values));
    r.set_output(2, std::move(taken.shape));
  });
}

}  // namespace

HEADRACE_KERNELS(accumulator) {
  for (const std::string kind : {"", "Resource"}) {
    add_kernel(kind + "ConditionalAccumulator", prepare_accumulator<DenseAccumulator>);
    add_kernel(kind + "AccumulatorApplyGradient", prepare_apply);
    add_kernel(kind + "AccumulatorTakeGradient", prepare_take);
    add_kernel(kind + "AccumulatorNumAccumulated", prepare_count);
    add_kernel(kind + "AccumulatorSetGlobalStep", prepare_set_step);
  }
  add_kernel("SparseConditionalAccumulator", prepare_accumulator<RowAccumulator>);
  add_kernel("SparseAccumulatorApplyGradient", prepare_apply_rows);
  add_kernel("SparseAccumulatorTakeGradient", prepare_take_rows);
}

}  // namespace headrace
