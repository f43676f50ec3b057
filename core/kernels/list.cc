// Kernels of lists of tensors. An operation that is the last holder of a list changes it in place, so that a
// loop which adds or sets an element in each iteration takes constant time for it.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/kernels/elements.h"
#include "core/kernels/tensor_list.h"

namespace headrace {
namespace {

const TensorList& list_in(const VariantRef& ref) {
  const auto* list = dynamic_cast<const TensorList*>(ref.get());
  if (!list) invalid("the input is ", ref ? ref->describe() : "no value", ", not a list of tensors");
  return *list;
}

const TensorList& list_in(const Tensor& variant) { return list_in(*variant.data<VariantRef>()); }

const TensorList& list_in(const RunContext& r, int i) { return list_in(*r.input<VariantRef>(i)); }

Tensor wrap(std::shared_ptr<TensorList> list) { return Tensor::scalar(VariantRef(std::move(list))); }

// A list of one's own, to be changed and handed on.
struct OwnList {
  Tensor tensor;
  TensorList& list;
};

OwnList own(std::shared_ptr<TensorList> list) {
  TensorList& inside = *list;
  return {wrap(std::move(list)), inside};
}

// Input i as a list of one's own: the very one if nobody else holds it, else a copy, which shares the
// elements.
OwnList take_list(RunContext& r, int i) {
  Tensor taken = r.take_tensor(i);
  const TensorList& list = list_in(taken);
  if (taken.unique() && taken.data<VariantRef>()->use_count() == 1) {
    // What others did while they held it is visible from here on.
    std::atomic_thread_fence(std::memory_order_acquire);
    return {std::move(taken), const_cast<TensorList&>(list)};
  }
  return own(std::make_shared<TensorList>(list));
}

void check_item(const TensorList& list, const Shape& shape) {
  require(shape.compatible_with(list.element_shape), "an element of shape ", shape, " does not go into ",
          list.describe());
}

std::size_t index_in(const TensorList& list, std::int64_t index) {
  require(index >= 0 && index < list.size(), "index ", index, " is out of range for ", list.describe());
  return std::size_t(index);
}

Tensor zeros_like(const Tensor& item);

std::shared_ptr<TensorList> zeros_like(const TensorList& like) {
  auto list = std::make_shared<TensorList>(like.dtype, like.element_shape);
  list->resize(like.size());
  for (std::size_t i = 0; i < std::size_t(like.size()); ++i) {
    if (!like.has(i)) continue;
    const Tensor item = like.item(i);
    if (void* row = list->place(i, item.shape())) {
      std::memset(row, 0, item.bytes());
    } else {
      list->put(i, zeros_like(item));
    }
  }
  return list;
}

Tensor zeros_like(const Tensor& item) {
  return item.dtype() == DType::variant ? wrap(zeros_like(list_in(item))) : zeros(item.dtype(), item.shape());
}

void add_to(TensorList& total, const TensorList& more);

// Adds `item` to element i, which has a value.
void add_to_item(TensorList& total, std::size_t i, const Tensor& item) {
  if (item.dtype() == DType::variant) {
    auto sum = std::make_shared<TensorList>(list_in(total.item(i)));
    add_to(*sum, list_in(item));
    total.put(i, wrap(std::move(sum)));
    return;
  }
  require(total.item_shape(i) == item.shape(), "elements of shapes ", total.item_shape(i), " and ",
          item.shape(), " cannot be added");
  Tensor loose;
  void* into = total.place(i, item.shape());
  if (!into) {
    loose = total.item(i).copy();
    into = loose.raw();
  }
  add_to(item.dtype(), into, item.raw(), item.size());
  if (loose) total.put(i, std::move(loose));
}

// Adds the elements of `more` to those of `total`.
void add_to(TensorList& total, const TensorList& more) {
  if (total.size() < more.size()) total.resize(more.size());
  for (std::size_t i = 0; i < std::size_t(more.size()); ++i) {
    if (!more.has(i)) continue;
    if (total.has(i)) {
      add_to_item(total, i, more.item(i));
    } else {
      total.put(i, more.item(i));
    }
  }
}

// Sets element i to an input of that shape.
void set_item(RunContext& r, TensorList& list, std::size_t i, int input, const Shape& shape) {
  if (void* row = list.place(i, shape)) {
    const std::size_t bytes = std::size_t(shape.size()) * size_of(list.dtype);
    if (bytes != 0) std::memcpy(row, r.input<void>(input), bytes);
  } else {
    list.put(i, r.input_tensor(input));
  }
}

Tensor item_or_zeros(const TensorList& list, const Tensor& item, const Shape& told) {
  if (item) return item;
  const Shape shape = list.known_shape().merge(told);
  require(shape.is_full(), "an element of ", list.describe(),
          " has no value, and its shape is only known to be ", shape);
  return zeros(list.dtype, shape);
}

Shape shape_in(const ValueType& type, const void* data) {
  if (type.shape.rank() == 0) return Shape::unknown();
  Shape shape;
  visit(IndexTypes{}, type.dtype, [&]<class T>(std::type_identity<T>) {
    const auto* sizes = static_cast<const T*>(data);
    for (std::int64_t i = 0; i < type.shape.size(); ++i)
      shape.push_back(sizes[i] < 0 ? kUnknown : std::int64_t(sizes[i]));
  });
  return shape;
}

// Reads input i, in every run, as the shape of an element.
auto shape_reader(const PrepareContext& c, int i) {
  return [type = c.inputs()[std::size_t(i)], i](const RunContext& r) {
    return shape_in(type, r.input<void>(i));
  };
}

Tensor pack_at(const TensorList& list, std::span<const std::int32_t> indices, const Shape& told) {
  std::vector<Tensor> items;
  Shape shape = list.known_shape().merge(told);
  for (std::int32_t index : indices)
    items.push_back(item_or_zeros(list, list.item(index_in(list, index)), shape));
  if (!items.empty()) shape = items[0].shape();
  require(shape.is_full(), "an empty list cannot be packed: the shape of its elements is only known to be ",
          shape);
  return packed(list.dtype, shape, items);
}

// ---- making lists

std::unique_ptr<Kernel> prepare_empty(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("element_dtype"), shape = shape_reader(c, 0)](RunContext& r) {
    const std::int64_t most = *r.input<std::int32_t>(1);
    r.set_output(0, wrap(std::make_shared<TensorList>(dtype, shape(r), std::max<std::int64_t>(most, 0))));
  });
}

std::unique_ptr<Kernel> prepare_reserve(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("element_dtype"), shape = shape_reader(c, 0)](RunContext& r) {
    const std::int32_t count = *r.input<std::int32_t>(1);
    require(count >= 0, "a list cannot have ", count, " elements");
    auto list = std::make_shared<TensorList>(dtype, shape(r));
    list->resize(count);
    r.set_output(0, wrap(std::move(list)));
  });
}

std::unique_ptr<Kernel> prepare_from_tensor(PrepareContext& c) {
  require(c.input_shape(0).rank() > 0, "a scalar has no rows to make a list of");
  c.own_output(0);
  return kernel([shape = shape_reader(c, 1)](RunContext& r) {
    r.set_output(0, wrap(std::make_shared<TensorList>(r.input_tensor(0), shape(r))));
  });
}

// Rows for the same index are added up, which is what a gradient of reading an element twice needs.
void set_rows(RunContext& r, TensorList& list, int tensor, int indices, std::int64_t count,
              const Shape& shape) {
  const auto* at = r.input<std::int32_t>(indices);
  std::vector<bool> is_set(std::size_t(list.size()));
  const std::size_t bytes = std::size_t(shape.size()) * size_of(list.dtype);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::size_t index = index_in(list, at[i]);
    void* to = is_set[index] ? nullptr : list.place(index, shape);
    if (to) {
      if (bytes != 0) std::memcpy(to, r.input<char>(tensor) + std::size_t(i) * bytes, bytes);
    } else {
      Tensor item = row(list.dtype, shape, r.input<void>(tensor), i);
      if (is_set[index]) {
        add_to_item(list, index, item);
      } else {
        list.put(index, std::move(item));
      }
    }
    is_set[index] = true;
  }
}

std::unique_ptr<Kernel> prepare_scatter(PrepareContext& c) {
  require(c.input_shape(0).rank() > 0, "a scalar has no rows to make a list of");
  c.own_output(0);
  return kernel([dtype = c.input_dtype(0), count = c.input_shape(1).size(), row = c.input_shape(0).slice(1),
                 shape = shape_reader(c, 2)](RunContext& r) {
    auto list = std::make_shared<TensorList>(dtype, shape(r).merge(row));
    std::int64_t length = *r.input<std::int32_t>(3);
    const auto* at = r.input<std::int32_t>(1);
    for (std::int64_t i = 0; i < count; ++i) length = std::max<std::int64_t>(length, at[i] + std::int64_t(1));
    list->resize(length);
    set_rows(r, *list, 0, 1, count, row);
    r.set_output(0, wrap(std::move(list)));
  });
}

std::unique_ptr<Kernel> prepare_scatter_into(PrepareContext& c) {
  require(c.input_shape(1).rank() > 0, "a scalar has no rows to put into a list");
  c.own_output(0);
  return kernel([count = c.input_shape(2).size(), row = c.input_shape(1).slice(1)](RunContext& r) {
    OwnList own = take_list(r, 0);
    check_item(own.list, row);
    set_rows(r, own.list, 1, 2, count, row);
    r.set_output(0, std::move(own.tensor));
  });
}

std::unique_ptr<Kernel> prepare_split(PrepareContext& c) {
  require(c.input_shape(0).rank() > 0, "a scalar cannot be split");
  c.own_output(0);
  return kernel([dtype = c.input_dtype(0), whole = c.input_shape(0),
                 count = std::size_t(c.input_shape(2).size()), shape = shape_reader(c, 1)](RunContext& r) {
    auto list = std::make_shared<TensorList>(dtype, shape(r));
    auto pieces = cut(dtype, whole, r.input<void>(0), {r.input<std::int64_t>(2), count});
    list->resize(std::int64_t(count));
    for (std::size_t i = 0; i < count; ++i) {
      check_item(*list, pieces[i].shape());
      list->put(i, std::move(pieces[i]));
    }
    r.set_output(0, wrap(std::move(list)));
  });
}

// ---- changing lists

std::unique_ptr<Kernel> prepare_push_back(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = c.input_shape(1)](RunContext& r) {
    OwnList own = take_list(r, 0);
    check_item(own.list, shape);
    own.list.resize(own.list.size() + 1);
    set_item(r, own.list, std::size_t(own.list.size() - 1), 1, shape);
    r.set_output(0, std::move(own.tensor));
  });
}

std::unique_ptr<Kernel> prepare_pop_back(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([shape = shape_reader(c, 1)](RunContext& r) {
    OwnList own = take_list(r, 0);
    require(own.list.size() > 0, "an empty list has no last element to take off");
    r.set_output(1, item_or_zeros(own.list, own.list.take_last(), shape(r)));
    r.set_output(0, std::move(own.tensor));
  });
}

std::unique_ptr<Kernel> prepare_set_item(PrepareContext& c) {
  c.own_output(0);
  return kernel(
      [shape = c.input_shape(2), grows = c.attr<bool>("resize_if_index_out_of_bounds")](RunContext& r) {
        OwnList own = take_list(r, 0);
        check_item(own.list, shape);
        const std::int32_t index = *r.input<std::int32_t>(1);
        if (grows && index >= own.list.size()) own.list.resize(index + std::int64_t(1));
        set_item(r, own.list, index_in(own.list, index), 2, shape);
        r.set_output(0, std::move(own.tensor));
      });
}

std::unique_ptr<Kernel> prepare_resize(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    const std::int32_t size = *r.input<std::int32_t>(1);
    require(size >= 0, "a list cannot have ", size, " elements");
    OwnList own = take_list(r, 0);
    own.list.resize(size);
    r.set_output(0, std::move(own.tensor));
  });
}

// ---- reading lists

std::unique_ptr<Kernel> prepare_get_item(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = shape_reader(c, 2)](RunContext& r) {
    const TensorList& list = list_in(r, 0);
    const Tensor item = list.item(index_in(list, *r.input<std::int32_t>(1)));
    r.set_output(0, item ? item : item_or_zeros(list, item, shape(r)));
  });
}

std::unique_ptr<Kernel> prepare_length(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(list_in(r, 0).size()); });
}

std::unique_ptr<Kernel> prepare_stack(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = shape_reader(c, 1), expected = c.attr<std::int64_t>("num_elements")](RunContext& r) {
    const TensorList& list = list_in(r, 0);
    require(expected < 0 || expected == list.size(), "the list has ", list.size(), " elements, expected ",
            expected);
    Tensor stacked = list.stacked();
    if (!stacked) {
      std::vector<std::int32_t> all(std::size_t(list.size()));
      std::iota(all.begin(), all.end(), 0);
      stacked = pack_at(list, all, shape(r));
    }
    r.set_output(0, std::move(stacked));
  });
}

std::unique_ptr<Kernel> prepare_gather(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = shape_reader(c, 2), count = std::size_t(c.input_shape(1).size())](RunContext& r) {
    r.set_output(0, pack_at(list_in(r, 0), {r.input<std::int32_t>(1), count}, shape(r)));
  });
}

std::unique_ptr<Kernel> prepare_concat(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([](RunContext& r) {
    const TensorList& list = list_in(r, 0);
    const Shape& told = list.known_shape();
    std::vector<Tensor> items;
    for (std::size_t i = 0; i < std::size_t(list.size()); ++i) {
      require(list.has(i), "element ", i, " has no value to join with others");
      items.push_back(list.item(i));
    }
    auto [lengths, whole] =
        lengths_of(items, told.has_rank() && told.rank() > 0 ? told.slice(1) : Shape::unknown());
    const Tensor stacked = list.stacked();
    r.set_output(0, stacked ? stacked.reshaped(whole) : joined(list.dtype, whole, items));
    r.set_output(1, std::move(lengths));
  });
}

std::unique_ptr<Kernel> prepare_element_shape(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0)](RunContext& r) {
    const Shape shape = list_in(r, 0).element_shape;
    visit(IndexTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
      if (!shape.has_rank()) return r.set_output(0, Tensor::scalar<T>(-1));
      std::vector<T> sizes(shape.dims().begin(), shape.dims().end());
      r.set_output(0, Tensor::vector(std::span<const T>(sizes)));
    });
  });
}

// ---- lists of gradients: an element without a value stands for zeros

std::unique_ptr<Kernel> prepare_zeros_like(PrepareContext& c) {
  if (c.input_dtype(0) != DType::variant) return nullptr;
  c.own_output(0);
  return kernel([](RunContext& r) { r.set_output(0, wrap(zeros_like(list_in(r, 0)))); });
}

std::unique_ptr<Kernel> prepare_add_n(PrepareContext& c) {
  if (c.input_dtype(0) != DType::variant) return nullptr;
  c.own_output(0);
  return kernel([count = c.num_inputs()](RunContext& r) {
    OwnList sum = take_list(r, 0);
    for (int i = 1; i < count; ++i) add_to(sum.list, list_in(r, i));
    r.set_output(0, std::move(sum.tensor));
  });
}

}  // namespace

HEADRACE_KERNELS(list) {
  add_kernel("ZerosLike", prepare_zeros_like, KernelRank::library);
  add_kernel("AddN", prepare_add_n, KernelRank::library);
  add_kernel("EmptyTensorList", prepare_empty);
  add_kernel("TensorListReserve", prepare_reserve);
  add_kernel("TensorListFromTensor", prepare_from_tensor);
  add_kernel("TensorListScatterV2", prepare_scatter);
  add_kernel("TensorListScatterIntoExistingList", prepare_scatter_into);
  add_kernel("TensorListSplit", prepare_split);
  add_kernel("TensorListPushBack", prepare_push_back);
  add_kernel("TensorListPopBack", prepare_pop_back);
  add_kernel("TensorListSetItem", prepare_set_item);
  add_kernel("TensorListResize", prepare_resize);
  add_kernel("TensorListGetItem", prepare_get_item);
  add_kernel("TensorListLength", prepare_length);
  add_kernel("TensorListStack", prepare_stack);
  add_kernel("TensorListGather", prepare_gather);
  add_kernel("TensorListConcatV2", prepare_concat);
  add_kernel("TensorListElementShape", prepare_element_shape);
}

}  // namespace headrace
