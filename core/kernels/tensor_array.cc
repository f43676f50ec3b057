// Kernels of tensor arrays. Whoever holds its handle holds the array, and an array holds those of its
// gradients: there is nothing to clean up after a step.
#include "core/kernels/elements.h"

namespace headrace {
namespace {

class TensorArray final : public Resource {
 public:
  struct Options {
    DType dtype;
    Shape element_shape = Shape::unknown();
    bool grows = false, clears = true, one_shape = false;
    bool adds = false;  // an array of gradients
  };
  TensorArray(Options options, std::int64_t size)
      : options_(std::move(options)), elements_(std::size_t(size)) {}
  std::string describe() const override {
    return str("a tensor array of ", elements_.size(), " elements of ", name_of(options_.dtype), " ",
               options_.element_shape);
  }
  DType dtype() const { return options_.dtype; }

  std::int64_t size() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(elements_.size());
  }

  // Several elements at once, so that another step sees all of them or none.
  void write(std::span<const std::int32_t> indices, std::vector<Tensor> values) {
    std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < indices.size(); ++i) write_one(indices[i], std::move(values[i]));
  }
  void write_all(std::vector<Tensor> values) {
    std::lock_guard lock(mutex_);
    if (options_.grows && values.size() > elements_.size()) elements_.resize(values.size());
    require(values.size() == elements_.size(), "there are ", values.size(), " pieces for ", describe());
    for (std::size_t i = 0; i < values.size(); ++i) write_one(std::int64_t(i), std::move(values[i]));
  }

  std::vector<Tensor> read(std::span<const std::int32_t> indices) {
    std::lock_guard lock(mutex_);
    std::vector<Tensor> values;
    for (std::int32_t index : indices) values.push_back(read_one(index));
    return values;
  }
  std::vector<Tensor> read_all() {
    std::lock_guard lock(mutex_);
    std::vector<Tensor> values;
    for (std::size_t i = 0; i < elements_.size(); ++i) values.push_back(read_one(std::int64_t(i)));
    return values;
  }

  // The array of gradients of this name, which has as many elements as this one from now on. Each has the
  // shape of its element, after these dimensions.
  std::shared_ptr<TensorArray> gradients(const std::string& source, const Shape& before) {
    std::lock_guard lock(mutex_);
    auto& found = gradients_[source];
    if (!found) {
      Options options = options_;
      options.adds = true;
      options.grows = options_.grows = false;
      options.element_shape = before.concat(options_.element_shape);
      found = std::make_shared<TensorArray>(std::move(options), std::int64_t(elements_.size()));
      for (std::size_t i = 0; i < elements_.size(); ++i)
        found->elements_[i].shape = before.concat(elements_[i].shape);
    }
    return found;
  }

  void clear() {
    std::lock_guard lock(mutex_);
    elements_.clear();
    gradients_.clear();
  }

  Shape element_shape() const {
    std::lock_guard lock(mutex_);
    return options_.element_shape;
  }

 private:
  struct Element {
    Tensor value;
    Shape shape = Shape::unknown();  // that it had or, of a gradient, has to have
    bool written = false, cleared = false;
  };

  void write_one(std::int64_t index, Tensor value) {
    if (options_.grows && index >= std::int64_t(elements_.size())) elements_.resize(std::size_t(index) + 1);
    Element& element = at(index);
    if (value.dtype() != options_.dtype)
      throw DTypeError(str("a ", name_of(value.dtype()), " tensor does not go into ", describe()));
    require(value.shape().compatible_with(options_.element_shape), "a tensor of shape ", value.shape(),
            " does not go into ", describe());
    require(!element.cleared, "element ", index, " was read and cleared; it cannot be written again");
    if (element.written) {
      require(options_.adds, "element ", index, " has a value; it cannot be written twice");
      require(element.value.shape() == value.shape(), "gradients of shapes ", element.value.shape(), " and ",
              value.shape(), " for one element cannot be added");
      if (!element.value.unique()) element.value = element.value.copy();  // readers keep what they got
      add_to(options_.dtype, element.value.raw(), value.raw(), value.size());
      return;
    }
    if (options_.one_shape) options_.element_shape = value.shape();
    element.shape = value.shape();
    element.value = std::move(value);
    element.written = true;
  }

  Tensor read_one(std::int64_t index) {
    Element& element = at(index);
    require(!element.cleared, "element ", index,
            " was read before and cleared; make the array with clear_after_read=False to read it again");
    if (!element.written) {
      const Shape shape = element.shape.merge(options_.element_shape);
      require(options_.adds && shape.is_full(), "element ", index, " of ", describe(), " has no value");
      element.value = zeros(options_.dtype, shape);
      element.written = true;
    }
    if (!options_.clears) return element.value;
    element.cleared = true;
    return std::move(element.value);
  }

  Element& at(std::int64_t index) {
    require(index >= 0 && index < std::int64_t(elements_.size()), "index ", index, " is out of range for ",
            describe());
    return elements_[std::size_t(index)];
  }

  Options options_;
  mutable std::mutex mutex_;
  std::vector<Element> elements_;
  std::map<std::string, std::shared_ptr<TensorArray>> gradients_;
};

TensorArray& array_in(RunContext& r, DType dtype) {
  auto& array = r.resource<TensorArray>(0);
  if (array.dtype() != dtype) throw DTypeError(str(array.describe(), " has no ", name_of(dtype), " tensors"));
  return array;
}

void pass_flow(RunContext& r, int input) { *r.output<float>(0) = *r.input<float>(input); }

std::unique_ptr<Kernel> prepare_array(PrepareContext& c) {
  c.own_output(0);
  TensorArray::Options options{.dtype = c.attr<DType>("dtype"),
                               .element_shape = c.attr<Shape>("element_shape"),
                               .grows = c.attr<bool>("dynamic_size"),
                               .clears = c.attr<bool>("clear_after_read"),
                               .one_shape = c.attr<bool>("identical_element_shapes")};
  return kernel([options](RunContext& r) {
    const std::int32_t size = *r.input<std::int32_t>(0);
    require(size >= 0, "an array cannot have ", size, " elements");
    r.set_output(0, Tensor::scalar(ResourceRef(std::make_shared<TensorArray>(options, size))));
    *r.output<float>(1) = 0;
  });
}

std::unique_ptr<Kernel> prepare_grad(PrepareContext& c) {
  c.own_output(0);
  const std::int64_t before = c.num_inputs() > 2 ? c.input_shape(2).size() : 0;
  return kernel([source = c.attr<std::string>("source"), before](RunContext& r) {
    Shape shape;
    for (std::int64_t i = 0; i < before; ++i) {
      shape.push_back(r.input<std::int32_t>(2)[i]);
      require(shape[-1] >= 0, "dimension ", i, " to prepend is ", shape[-1]);
    }
    r.set_output(0, Tensor::scalar(ResourceRef(r.resource<TensorArray>(0).gradients(source, shape))));
    *r.output<float>(1) = *r.input<float>(1);
  });
}

std::unique_ptr<Kernel> prepare_write(PrepareContext& c) {
  return kernel([dtype = c.input_dtype(2)](RunContext& r) {
    array_in(r, dtype).write({r.input<std::int32_t>(1), 1}, {r.input_tensor(2)});
    pass_flow(r, 3);
  });
}

std::unique_ptr<Kernel> prepare_read(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0)](RunContext& r) {
    r.set_output(0, array_in(r, dtype).read({r.input<std::int32_t>(1), 1})[0]);
  });
}

std::unique_ptr<Kernel> prepare_gather(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0), count = c.input_shape(1).size(),
                 told = c.attr<Shape>("element_shape")](RunContext& r) {
    TensorArray& array = array_in(r, dtype);
    const auto values = array.read({r.input<std::int32_t>(1), std::size_t(count)});
    Shape shape = array.element_shape().merge(told);
    if (!values.empty()) shape = values[0].shape();
    require(shape.is_full(), "no elements are asked for, and their shape is only known to be ", shape);
    r.set_output(0, packed(dtype, shape, values));
  });
}

std::unique_ptr<Kernel> prepare_scatter(PrepareContext& c) {
  const std::int64_t count = c.input_shape(1).size();
  require(c.input_shape(2).rank() > 0 && c.input_shape(2)[0] == count, "there are ", count,
          " indices for a tensor of shape ", c.input_shape(2));
  return kernel([dtype = c.input_dtype(2), whole = c.input_shape(2), count](RunContext& r) {
    const Shape shape = whole.slice(1);
    std::vector<Tensor> rows;
    for (std::int64_t i = 0; i < count; ++i) rows.push_back(row(dtype, shape, r.input<void>(2), i));
    array_in(r, dtype).write({r.input<std::int32_t>(1), std::size_t(count)}, std::move(rows));
    pass_flow(r, 3);
  });
}

std::unique_ptr<Kernel> prepare_concat(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([dtype = c.output_dtype(0), told = c.attr<Shape>("element_shape_except0")](RunContext& r) {
    TensorArray& array = array_in(r, dtype);
    const auto values = array.read_all();
    const Shape known = array.element_shape();
    auto [lengths, whole] =
        lengths_of(values, known.has_rank() && known.rank() > 0 ? told.merge(known.slice(1)) : told);
    r.set_output(0, joined(dtype, whole, values));
    r.set_output(1, std::move(lengths));
  });
}

std::unique_ptr<Kernel> prepare_split(PrepareContext& c) {
  require(c.input_shape(1).rank() > 0, "a scalar cannot be split");
  return kernel(
      [dtype = c.input_dtype(1), whole = c.input_shape(1), count = c.input_shape(2).size()](RunContext& r) {
        const std::span<const std::int64_t> lengths(r.input<std::int64_t>(2), std::size_t(count));
        array_in(r, dtype).write_all(cut(dtype, whole, r.input<void>(1), lengths));
        pass_flow(r, 3);
      });
}

std::unique_ptr<Kernel> prepare_size(PrepareContext&) {
  return kernel(
      [](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(r.resource<TensorArray>(0).size()); });
}

std::unique_ptr<Kernel> prepare_close(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<TensorArray>(0).clear(); });
}

}  // namespace

HEADRACE_KERNELS(tensor_array) {
  add_kernel("TensorArrayV3", prepare_array);
  add_kernel("TensorArrayGradV3", prepare_grad);
  add_kernel("TensorArrayGradWithShape", prepare_grad);
  add_kernel("TensorArrayWriteV3", prepare_write);
  add_kernel("TensorArrayReadV3", prepare_read);
  add_kernel("TensorArrayGatherV3", prepare_gather);
  add_kernel("TensorArrayScatterV3", prepare_scatter);
  add_kernel("TensorArrayConcatV3", prepare_concat);
  add_kernel("TensorArraySplitV3", prepare_split);
  add_kernel("TensorArraySizeV3", prepare_size);
  add_kernel("TensorArrayCloseV3", prepare_close);
}

}  // namespace headrace
