// Kernels of lists of tensors. A list is an immutable value that shares its elements with the lists made from
// it; an operation that is its last holder changes it in place, so that a loop which adds or sets an element
// in each iteration takes constant time for it.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/graph/handle.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

class TensorList final : public Holder {
 public:
  TensorList(DType dtype, Shape element_shape) : dtype(dtype), element_shape(std::move(element_shape)) {}
  std::string describe() const override {
    return str("a list of ", items_.size(), " tensors of ", name_of(dtype), " ", element_shape);
  }
  HandleType holds() const override { return {dtype, known_shape()}; }

  // An empty Tensor stands where there is no value yet.
  const std::vector<Tensor>& items() const { return items_; }
  std::int64_t size() const { return std::int64_t(items_.size()); }
  void put(std::size_t i, Tensor item) {
    note(item);
    items_[i] = std::move(item);
  }
  void add(Tensor item) {
    note(item);
    items_.push_back(std::move(item));
  }
  Tensor take_last() {
    Tensor last = std::move(items_.back());
    items_.pop_back();
    return last;
  }
  void resize(std::int64_t size) { items_.resize(std::size_t(size)); }

  // What is known of every element's shape: it was told, or all that ever had a value agree.
  const Shape& known_shape() const { return element_shape.is_full() || !common_ ? element_shape : *common_; }

  const DType dtype;
  const Shape element_shape;  // perhaps partial

 private:
  void note(const Tensor& item) {
    if (!item || element_shape.is_full()) return;
    if (!common_) {
      common_ = item.shape();
    } else if (*common_ != item.shape()) {
      common_ = common_->relax(item.shape());
    }
  }
  std::vector<Tensor> items_;
  std::optional<Shape> common_;
};

const TensorList& list_in(const Tensor& variant) {
  const VariantRef* ref = variant.data<VariantRef>();
  const auto* list = dynamic_cast<const TensorList*>(ref->get());
  if (!list) invalid("the input is ", *ref ? (*ref)->describe() : "no value", ", not a list of tensors");
  return *list;
}

const TensorList& list_in(const RunContext& r, int i) { return list_in(r.lent_tensor(i)); }

Tensor wrap(std::shared_ptr<TensorList> list) { return Tensor::scalar(VariantRef(std::move(list))); }

// Input i as a list of one's own: the very one if nobody else holds it, else a copy, which shares the
// elements.
std::shared_ptr<TensorList> take_list(RunContext& r, int i) {
  Tensor taken = r.take_tensor(i);
  const TensorList& list = list_in(taken);
  VariantRef& ref = *taken.data<VariantRef>();
  if (taken.unique() && ref.use_count() == 1)
    return std::const_pointer_cast<TensorList>(std::static_pointer_cast<const TensorList>(std::move(ref)));
  return std::make_shared<TensorList>(list);
}

void check_item(const TensorList& list, const Shape& shape) {
  require(shape.compatible_with(list.element_shape), "an element of shape ", shape, " does not go into ",
          list.describe());
}

std::size_t index_in(const TensorList& list, std::int64_t index) {
  require(index >= 0 && index < list.size(), "index ", index, " is out of range for ", list.describe());
  return std::size_t(index);
}

Tensor zeros(DType dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (is_plain(dtype)) std::memset(tensor.raw(), 0, tensor.bytes());
  return tensor;
}

Tensor zeros_like(const Tensor& item) {
  if (item.dtype() != DType::variant) return zeros(item.dtype(), item.shape());
  const TensorList& like = list_in(item);
  auto list = std::make_shared<TensorList>(like.dtype, like.element_shape);
  for (const Tensor& inner : like.items()) list->add(inner ? zeros_like(inner) : Tensor());
  return wrap(std::move(list));
}

Tensor sum(const Tensor& a, const Tensor& b);

// Adds the elements of `more` to those of `total`.
void add_to(TensorList& total, const TensorList& more) {
  if (total.size() < more.size()) total.resize(more.size());
  for (std::size_t i = 0; i < more.items().size(); ++i) {
    const Tensor &item = more.items()[i], &before = total.items()[i];
    if (item) total.put(i, before ? sum(before, item) : item);
  }
}

Tensor sum(const Tensor& a, const Tensor& b) {
  if (a.dtype() == DType::variant) {
    auto total = std::make_shared<TensorList>(list_in(a));
    add_to(*total, list_in(b));
    return wrap(std::move(total));
  }
  require(a.shape() == b.shape(), "elements of shapes ", a.shape(), " and ", b.shape(), " cannot be added");
  Tensor total(a.dtype(), a.shape());
  const bool added = visit(NumericTypes{}, a.dtype(), [&]<class T>(std::type_identity<T>) {
    std::transform(a.data<T>(), a.data<T>() + a.size(), b.data<T>(), total.data<T>(),
                   [](T x, T y) { return T(x + y); });
  });
  require(added, "lists of ", name_of(a.dtype()), " cannot be added");
  return total;
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

// Row i of a tensor with rows of `count` elements, as a tensor of its own.
Tensor row_of(DType dtype, const Shape& shape, const void* rows, std::int64_t i) {
  Tensor row(dtype, shape);
  const std::size_t stride = std::size_t(row.size()) * size_of(dtype);
  copy_elements(dtype, static_cast<const char*>(rows) + std::size_t(i) * stride, row.raw(), row.size());
  return row;
}

Tensor pack(DType dtype, std::span<const Tensor> items, const Shape& element) {
  Tensor packed(dtype, Shape{std::int64_t(items.size())}.concat(element));
  char* to = static_cast<char*>(packed.raw());
  for (const Tensor& item : items) {
    require(item.shape() == element, "elements of shapes ", element, " and ", item.shape(),
            " cannot be packed into one tensor");
    copy_elements(dtype, item.raw(), to, item.size());
    to += item.bytes();
  }
  return packed;
}

Tensor pack_at(const TensorList& list, std::span<const std::int32_t> indices, const Shape& told) {
  std::vector<Tensor> items;
  Shape shape = list.known_shape().merge(told);
  for (std::int32_t index : indices)
    items.push_back(item_or_zeros(list, list.items()[index_in(list, index)], shape));
  if (!items.empty()) shape = items[0].shape();
  require(shape.is_full(), "an empty list cannot be packed: the shape of its elements is only known to be ",
          shape);
  return pack(list.dtype, items, shape);
}

// ---- making lists

std::unique_ptr<Kernel> prepare_empty(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("element_dtype"), shape = shape_reader(c, 0)](RunContext& r) {
    r.set_output(0, wrap(std::make_shared<TensorList>(dtype, shape(r))));
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
  return kernel([dtype = c.input_dtype(0), count = c.input_shape(0)[0], row = c.input_shape(0).slice(1),
                 shape = shape_reader(c, 1)](RunContext& r) {
    auto list = std::make_shared<TensorList>(dtype, shape(r).merge(row));
    for (std::int64_t i = 0; i < count; ++i) list->add(row_of(dtype, row, r.input<void>(0), i));
    r.set_output(0, wrap(std::move(list)));
  });
}

// Rows for the same index are added up, which is what a gradient of reading an element twice needs.
void set_rows(RunContext& r, TensorList& list, int tensor, int indices, std::int64_t count,
              const Shape& row) {
  const auto* at = r.input<std::int32_t>(indices);
  std::vector<bool> is_set(list.items().size());
  for (std::int64_t i = 0; i < count; ++i) {
    const std::size_t index = index_in(list, at[i]);
    Tensor item = row_of(list.dtype, row, r.input<void>(tensor), i);
    list.put(index, is_set[index] ? sum(list.items()[index], item) : std::move(item));
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
    auto list = take_list(r, 0);
    check_item(*list, row);
    set_rows(r, *list, 1, 2, count, row);
    r.set_output(0, wrap(std::move(list)));
  });
}

std::unique_ptr<Kernel> prepare_split(PrepareContext& c) {
  require(c.input_shape(0).rank() > 0, "a scalar cannot be split");
  c.own_output(0);
  return kernel([dtype = c.input_dtype(0), whole = c.input_shape(0), count = c.input_shape(2).size(),
                 shape = shape_reader(c, 1)](RunContext& r) {
    auto list = std::make_shared<TensorList>(dtype, shape(r));
    const auto* lengths = r.input<std::int64_t>(2);
    const std::int64_t total = std::accumulate(lengths, lengths + count, std::int64_t(0));
    require(total == whole[0], "the lengths add up to ", total, ", the tensor has ", whole[0], " rows");
    const char* from = r.input<char>(0);
    for (std::int64_t i = 0; i < count; ++i) {
      require(lengths[i] >= 0, "length ", i, " is ", lengths[i]);
      Tensor piece(dtype, Shape{lengths[i]}.concat(whole.slice(1)));
      check_item(*list, piece.shape());
      copy_elements(dtype, from, piece.raw(), piece.size());
      from += piece.bytes();
      list->add(std::move(piece));
    }
    r.set_output(0, wrap(std::move(list)));
  });
}

// ---- changing lists

std::unique_ptr<Kernel> prepare_push_back(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = c.input_shape(1)](RunContext& r) {
    auto list = take_list(r, 0);
    check_item(*list, shape);
    list->add(r.input_tensor(1));
    r.set_output(0, wrap(std::move(list)));
  });
}

std::unique_ptr<Kernel> prepare_pop_back(PrepareContext& c) {
  c.own_output(0);
  c.own_output(1);
  return kernel([shape = shape_reader(c, 1)](RunContext& r) {
    auto list = take_list(r, 0);
    require(list->size() > 0, "an empty list has no last element to take off");
    r.set_output(1, item_or_zeros(*list, list->take_last(), shape(r)));
    r.set_output(0, wrap(std::move(list)));
  });
}

std::unique_ptr<Kernel> prepare_set_item(PrepareContext& c) {
  c.own_output(0);
  return kernel(
      [shape = c.input_shape(2), grows = c.attr<bool>("resize_if_index_out_of_bounds")](RunContext& r) {
        auto list = take_list(r, 0);
        check_item(*list, shape);
        const std::int32_t index = *r.input<std::int32_t>(1);
        if (grows && index >= list->size()) list->resize(index + std::int64_t(1));
        list->put(index_in(*list, index), r.input_tensor(2));
        r.set_output(0, wrap(std::move(list)));
      });
}

std::unique_ptr<Kernel> prepare_resize(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    const std::int32_t size = *r.input<std::int32_t>(1);
    require(size >= 0, "a list cannot have ", size, " elements");
    auto list = take_list(r, 0);
    list->resize(size);
    r.set_output(0, wrap(std::move(list)));
  });
}

// ---- reading lists

std::unique_ptr<Kernel> prepare_get_item(PrepareContext& c) {
  c.own_output(0);
  return kernel([shape = shape_reader(c, 2)](RunContext& r) {
    const TensorList& list = list_in(r, 0);
    const Tensor& item = list.items()[index_in(list, *r.input<std::int32_t>(1))];
    r.set_output(0, item_or_zeros(list, item, shape(r)));
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
    std::vector<std::int32_t> all(list.items().size());
    std::iota(all.begin(), all.end(), 0);
    r.set_output(0, pack_at(list, all, shape(r)));
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
    Tensor lengths(DType::int64, Shape{list.size()});
    std::int64_t total = 0;
    Shape tail = told.has_rank() ? told.slice(1) : Shape::unknown();
    for (std::size_t i = 0; i < list.items().size(); ++i) {
      const Tensor& item = list.items()[i];
      require(bool(item) && item.shape().rank() > 0, "element ", i, " has no first dimension to join along");
      lengths.data<std::int64_t>()[i] = item.shape()[0];
      total = checked_add(total, item.shape()[0]);
      tail = tail.merge(item.shape().slice(1));
    }
    require(tail.is_full(), "an empty list cannot be joined: the shape of its elements is only known to be ",
            told);
    Tensor joined(list.dtype, Shape{total}.concat(tail));
    char* to = static_cast<char*>(joined.raw());
    for (const Tensor& item : list.items()) {
      copy_elements(list.dtype, item.raw(), to, item.size());
      to += item.bytes();
    }
    r.set_output(0, std::move(joined));
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
  return kernel([](RunContext& r) {
    const Tensor zeroed = zeros_like(r.lent_tensor(0));
    r.set_output(0, zeroed);
  });
}

std::unique_ptr<Kernel> prepare_add_n(PrepareContext& c) {
  if (c.input_dtype(0) != DType::variant) return nullptr;
  c.own_output(0);
  return kernel([count = c.num_inputs()](RunContext& r) {
    auto sum = take_list(r, 0);
    for (int i = 1; i < count; ++i) add_to(*sum, list_in(r, i));
    r.set_output(0, wrap(std::move(sum)));
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
