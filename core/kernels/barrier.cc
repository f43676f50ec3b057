// Kernels of barriers.
//
//   insert_many(0, [a, b], ..) ─▶  a: x .   ─┐ complete
//   insert_many(1, [a],    ..) ─▶  a: x y   ─┴▶ ready, in the order in which keys came first ─▶ take_many
//                                  b: x .      incomplete
#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "core/kernels/elements.h"
#include "core/kernels/line.h"

namespace headrace {
namespace {

struct Element {
  std::int64_t number;  // of the call that brought its key
  std::string key;
  Tuple components;  // empty tensors where they are still to come
  std::size_t missing;
};

class Barrier final : public Resource {
 public:
  Barrier(std::string name, std::vector<DType> dtypes, std::vector<Shape> shapes)
      : dtypes(std::move(dtypes)), shapes(std::move(shapes)), name_(std::move(name)) {}
  const std::vector<DType> dtypes;
  const std::vector<Shape> shapes;  // empty if not declared

  std::string describe() const override {
    return str("barrier '", name_, "' of ", dtypes.size(), " components");
  }

  // All of the keys, or none.
  void insert(std::size_t component, std::span<const std::string> keys, const Tensor& values) {
    require(component < dtypes.size(), "component_index is ", component, ", ", describe(), " has ",
            dtypes.size());
    if (values.dtype() != dtypes[component]) {
      throw DTypeError(str("component ", component, " of ", describe(), " is ", name_of(dtypes[component]),
                           ", not ", name_of(values.dtype())));
    }
    const Shape one = values.shape().slice(1);
    require(shapes.empty() || shapes[component].compatible_with(one), "component ", component,
            " has elements of shape ", one, ", ", describe(), " holds ",
            shapes.empty() ? Shape() : shapes[component]);
    Tuple rows;
    for (std::size_t i = 0; i < keys.size(); ++i) rows.push_back(row(values, std::int64_t(i)));

    std::lock_guard lock(mutex_);
    check_insert(component, keys);
    bool brought = false;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const auto [it, is_new] = incomplete_.try_emplace(keys[i]);
      brought |= is_new;
      Element& element = it->second;
      if (is_new) element = {next_number_, keys[i], Tuple(dtypes.size()), dtypes.size()};
      element.components[component] = std::move(rows[i]);
      if (--element.missing > 0) continue;
      ready_.emplace(element.number, std::move(element));
      incomplete_.erase(it);
    }
    if (brought) ++next_number_;
    changed_.notify_all();
  }

  // Complete elements: `count`; once closed, and if `fewer`, as many as there are.
  std::vector<Element> take(Step& step, std::size_t count, bool fewer, bool wait_for_incomplete) {
    std::vector<Element> taken;
    taking_.wait(step, mutex_, changed_, [&](bool first) {
      if (!first) return false;
      std::size_t now = count;
      if (ready_.size() < count) {
        if (!closed_) return false;
        const std::size_t possible = ready_.size() + incomplete_.size();
        if (possible == 0 || (possible < count && !fewer)) {
          fail(Code::out_of_range, describe(), " is closed and has insufficient elements: ", count,
               " requested, ", possible, " left");
        }
        if (!fewer || ready_.empty() || (wait_for_incomplete && !incomplete_.empty())) return false;
        now = ready_.size();
      }
      for (; now > 0; --now) {
        taken.push_back(std::move(ready_.begin()->second));
        ready_.erase(ready_.begin());
      }
      return true;
    });
    return taken;
  }

  void close(bool cancel_pending) {
    std::lock_guard lock(mutex_);
    if (closed_ && (cancelled_ || !cancel_pending)) fail(Code::cancelled, describe(), " is closed already");
    closed_ = true;
    if (cancel_pending) {
      cancelled_ = true;
      incomplete_.clear();
    }
    changed_.notify_all();
  }

  std::int64_t ready() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(ready_.size());
  }
  std::int64_t incomplete() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(incomplete_.size());
  }

 private:
  void check_insert(std::size_t component, std::span<const std::string> keys) const {
    if (cancelled_) fail(Code::cancelled, describe(), " is closed");
    std::set<std::string_view> given;
    for (const std::string& key : keys) {
      if (const auto it = incomplete_.find(key); it == incomplete_.end()) {
        if (closed_) fail(Code::cancelled, describe(), " is closed; '", key, "' is a new key");
      } else {
        require(!it->second.components[component], "'", key, "' has component ", component, " already");
      }
      require(given.insert(key).second || dtypes.size() == 1, "'", key, "' is given twice");
    }
  }

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Element> incomplete_;   // by key
  std::multimap<std::int64_t, Element> ready_;  // by number
  std::int64_t next_number_ = std::numeric_limits<std::int64_t>::min();
  Line taking_;
  bool closed_ = false, cancelled_ = false;
};

// ---- kernels

std::unique_ptr<Kernel> prepare_barrier(PrepareContext& c) {
  const std::string& name = resource_name(c);
  const auto& dtypes = c.attr<std::vector<DType>>("component_types");
  const auto& shapes = c.attr<std::vector<Shape>>("shapes");
  require(shapes.empty() || shapes.size() == dtypes.size(), "shapes has ", shapes.size(),
          " entries, component_types ", dtypes.size(), "; give one for each, or none");
  require(c.attr<std::int64_t>("capacity") < 0, "capacity is ", c.attr<std::int64_t>("capacity"),
          "; a barrier has no limit, leave it at -1");
  auto barrier = c.resources().find_or_create<Barrier>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<Barrier>(name, dtypes, shapes);
  });
  require(barrier->dtypes == dtypes && barrier->shapes == shapes, "there is ", barrier->describe(),
          " already, of other types or shapes; give one of them another shared_name");
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(barrier))));
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_insert(PrepareContext& c) {
  const std::int64_t component = c.attr<std::int64_t>("component_index");
  require(component >= 0, "component_index is ", component, "; it must not be negative");
  return kernel([component = std::size_t(component), count = c.input_shape(1).size()](RunContext& r) {
    const std::span<const std::string> keys(r.input<std::string>(1), std::size_t(count));
    r.resource<Barrier>(0).insert(component, keys, r.lent_tensor(2));
  });
}

// Components of one shape, as rows of one tensor.
Tensor stack(const Barrier& barrier, const std::vector<Element>& elements, std::size_t component) {
  if (elements.empty()) {  // what is not known of their shape may be anything
    Shape none{0};
    const Shape declared = barrier.shapes.empty() ? Shape() : barrier.shapes[component];
    for (std::int64_t size : declared.dims()) none.push_back(std::max<std::int64_t>(size, 0));
    return Tensor(barrier.dtypes[component], none);
  }
  const Shape shape = elements[0].components[component].shape();
  std::vector<Tensor> rows;
  for (const Element& element : elements) {
    const Tensor& one = element.components[component];
    require(one.shape() == shape, "component ", component, " of '", element.key, "' has shape ", one.shape(),
            ", that of '", elements[0].key, "' has ", shape,
            "; elements that are taken together need one shape");
    rows.push_back(one);
  }
  return packed(barrier.dtypes[component], shape, rows);
}

std::unique_ptr<Kernel> prepare_take(PrepareContext& c) {
  require(c.attr<std::int64_t>("timeout_ms") == -1,
          "timeout_ms is not supported; limit the step instead, with RunOptions(timeout_in_ms=...)");
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([dtypes = c.attr<std::vector<DType>>("component_types"),
                 fewer = c.attr<bool>("allow_small_batch"),
                 wait = c.attr<bool>("wait_for_incomplete")](RunContext& r) {
    Barrier& barrier = r.resource<Barrier>(0);
    if (barrier.dtypes != dtypes)
      throw DTypeError(str(barrier.describe(), " has components of other dtypes than this operation"));
    const std::int32_t count = *r.input<std::int32_t>(1);
    require(count >= 0, "num_elements is ", count, "; it must not be negative");
    std::vector<Element> elements;
    if (count > 0) elements = barrier.take(r.step(), std::size_t(count), fewer, wait);
    const Shape rows{std::int64_t(elements.size())};
    Tensor numbers(DType::int64, rows), keys(DType::string, rows);
    for (std::size_t i = 0; i < elements.size(); ++i) {
      numbers.data<std::int64_t>()[i] = elements[i].number;
      keys.data<std::string>()[i] = elements[i].key;
    }
    r.set_output(0, std::move(numbers));
    r.set_output(1, std::move(keys));
    for (std::size_t i = 0; i < dtypes.size(); ++i) r.set_output(int(i) + 2, stack(barrier, elements, i));
  });
}

std::unique_ptr<Kernel> prepare_close(PrepareContext& c) {
  return kernel([cancel = c.attr<bool>("cancel_pending_enqueues")](RunContext& r) {
    r.resource<Barrier>(0).close(cancel);
  });
}

std::unique_ptr<Kernel> prepare_ready(PrepareContext&) {
  return kernel(
      [](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(r.resource<Barrier>(0).ready()); });
}

std::unique_ptr<Kernel> prepare_incomplete(PrepareContext&) {
  return kernel(
      [](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(r.resource<Barrier>(0).incomplete()); });
}

}  // namespace

HEADRACE_KERNELS(barrier) {
  add_kernel("Barrier", prepare_barrier);
  add_kernel("BarrierInsertMany", prepare_insert);
  add_kernel("BarrierTakeMany", prepare_take);
  add_kernel("BarrierClose", prepare_close);
  add_kernel("BarrierReadySize", prepare_ready);
  add_kernel("BarrierIncompleteSize", prepare_incomplete);
}

}  // namespace headrace
