// Kernels of queues.
//
// Those that put in stand in one line, those that take out in another, and only the first of a line acts:
// elements move as soon as there is one, or room for one. So many elements are taken at once or not at all
// (who gives up puts back what it took), and more may be moved than fit in at a time.
//
// A step that waits is waked by every change of the queue, and by its cancellation (deadline, Ctrl-C, a
// closed session, another failure).
#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <limits>
#include <map>
#include <random>

#include "core/kernels/elements.h"
#include "core/kernels/line.h"
#include "core/kernels/philox.h"
#include "core/kernels/queue.h"

namespace headrace {
namespace {

// The order in which elements leave.
class Order {
 public:
  virtual ~Order() = default;
  virtual void put(Tuple element) = 0;
  virtual Tuple take() = 0;
  virtual void put_back(Tuple element) = 0;  // one that was taken
  virtual std::int64_t size() const = 0;
};

class InOrder final : public Order {
 public:
  void put(Tuple element) override { elements_.push_back(std::move(element)); }
  Tuple take() override {
    Tuple first = std::move(elements_.front());
    elements_.pop_front();
    return first;
  }
  void put_back(Tuple element) override { elements_.push_front(std::move(element)); }
  std::int64_t size() const override { return std::int64_t(elements_.size()); }

 private:
  std::deque<Tuple> elements_;
};

class Shuffled final : public Order {
 public:
  Shuffled(std::uint64_t seed, std::uint64_t seed2) : next_(Philox(seed, seed2)) {}
  void put(Tuple element) override { elements_.push_back(std::move(element)); }
  Tuple take() override {
    std::swap(elements_[next_() % elements_.size()], elements_.back());
    Tuple chosen = std::move(elements_.back());
    elements_.pop_back();
    return chosen;
  }
  void put_back(Tuple element) override { put(std::move(element)); }
  std::int64_t size() const override { return std::int64_t(elements_.size()); }

 private:
  std::vector<Tuple> elements_;
  PhiloxWords next_;
};

class ByPriority final : public Order {
 public:
  void put(Tuple element) override {
    const auto priority = *element[0].data<std::int64_t>();
    elements_.emplace(priority, std::move(element));
  }
  Tuple take() override {
    auto first = elements_.extract(elements_.begin());
    return std::move(first.mapped());
  }
  void put_back(Tuple element) override {
    const auto priority = *element[0].data<std::int64_t>();
    elements_.emplace_hint(elements_.lower_bound(priority), priority, std::move(element));
  }
  std::int64_t size() const override { return std::int64_t(elements_.size()); }

 private:
  std::multimap<std::int64_t, Tuple> elements_;
};

struct QueueSpec {
  std::string kind;
  std::vector<DType> dtypes;
  std::vector<Shape> shapes;  // empty if not declared
  std::int64_t capacity;
  std::int64_t min_after_dequeue = 0;
  bool pads = false;

  bool operator==(const QueueSpec& o) const {
    return kind == o.kind && dtypes == o.dtypes && shapes == o.shapes && capacity == o.capacity &&
           min_after_dequeue == o.min_after_dequeue;
  }
};

class Queue final : public QueueResource {
 public:
  Queue(std::string name, QueueSpec spec, std::unique_ptr<Order> order)
      : spec(std::move(spec)), name_(std::move(name)), order_(std::move(order)) {}

  const QueueSpec spec;

  std::string describe() const override {
    return str(spec.kind, " '", name_, "' of ", spec.dtypes.size(), " components");
  }

  std::vector<Tensor> take_one(Step& step) override { return std::move(dequeue(step, 1)[0]); }
  std::span<const DType> component_dtypes() const override { return spec.dtypes; }

  void enqueue(Step& step, std::deque<Tuple> elements) {
    for (const Tuple& element : elements) check(element);
    in_line(
        putting_, step,
        [&] {
          if (cancelled_puts_ || closed_) fail(Code::cancelled, describe(), " is closed");
          bool moved = false;
          for (; !elements.empty() && order_->size() < spec.capacity; moved = true) {
            order_->put(std::move(elements.front()));
            elements.pop_front();
          }
          if (moved) changed_.notify_all();
          return elements.empty();
        },
        [] {});
  }

  // `count` elements at once; fewer, but at least one, of a closed queue if `up_to`.
  std::vector<Tuple> dequeue(Step& step, std::int64_t count, bool up_to = false) {
    std::vector<Tuple> taken;  // which may ask for more than there will ever be: grows as they come
    if (count == 0) return taken;
    const auto give_back = [&] {
      for (; !taken.empty(); taken.pop_back()) order_->put_back(std::move(taken.back()));
    };
    in_line(
        taking_, step,
        [&] {
          // What has to stay, while more may come.
          const std::int64_t kept = closed_ ? 0 : spec.min_after_dequeue;
          bool moved = false;
          for (; std::int64_t(taken.size()) < count && order_->size() > kept; moved = true)
            taken.push_back(order_->take());
          if (moved) changed_.notify_all();
          if (std::int64_t(taken.size()) == count) return true;
          if (!closed_) return false;
          if (up_to && !taken.empty()) return true;
          fail(Code::out_of_range, describe(), " is closed and has insufficient elements: ", count,
               " requested, ", taken.size(), " left");
        },
        give_back);
    return taken;
  }

  void close(Step& step, bool cancel_puts) {
    if (cancel_puts) {
      std::lock_guard lock(mutex_);
      closed_ = cancelled_puts_ = true;
      changed_.notify_all();
      return;
    }
    in_line(
        putting_, step,
        [&] {
          if (closed_) fail(Code::cancelled, describe(), " is closed already");
          closed_ = true;
          changed_.notify_all();
          return true;
        },
        [] {});
  }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  std::int64_t size() const {
    std::lock_guard lock(mutex_);
    return order_->size();
  }

 private:
  // Waits to be the first of the line, and until attempt() returns true; it is called under the lock.
  // give_up() is, if the step is cancelled or the attempt throws.
  template <class Attempt, class GiveUp>
  void in_line(Line& line, Step& step, Attempt attempt, GiveUp give_up) {
    line.wait(
        step, mutex_, changed_,
        [&](bool first) {
          if (cancelled_puts_ && &line == &putting_) fail(Code::cancelled, describe(), " is closed");
          return first && attempt();
        },
        give_up);
  }

  void check(const Tuple& element) const {
    require(element.size() == spec.dtypes.size(), describe(), " got an element of ", element.size(),
            " components");
    for (std::size_t i = 0; i < element.size(); ++i) {
      if (element[i].dtype() != spec.dtypes[i]) {
        throw DTypeError(str("component ", i, " of ", describe(), " is ", name_of(spec.dtypes[i]), ", not ",
                             name_of(element[i].dtype())));
      }
      require(spec.shapes.empty() || spec.shapes[i].compatible_with(element[i].shape()), "component ", i,
              " has shape ", element[i].shape(), ", ", describe(), " holds ",
              spec.shapes.empty() ? Shape() : spec.shapes[i]);
    }
  }

  const std::string name_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<Order> order_;
  Line putting_, taking_;
  bool closed_ = false, cancelled_puts_ = false;
};

// ---- packing

// Copies `from` into the leading corner of memory of shape `shape`, which has the same rank and is no
// smaller.
void copy_corner(const Tensor& from, const Shape& shape, char* to) {
  if (from.size() == 0) return;
  const int rank = shape.rank();
  const std::int64_t run = rank ? from.shape().dim(-1) : 1;
  const std::size_t width = size_of(from.dtype());
  std::vector<std::int64_t> at(std::size_t(std::max(rank - 1, 0)), 0);
  for (std::int64_t done = 0; done < from.size(); done += run) {
    std::int64_t target = 0;
    for (int d = 0; d < rank; ++d) target = target * shape.dim(d) + (d + 1 < rank ? at[std::size_t(d)] : 0);
    copy_elements(from.dtype(), static_cast<const char*>(from.raw()) + std::size_t(done) * width,
                  to + std::size_t(target) * width, run);
    for (int d = rank - 2; d >= 0 && ++at[std::size_t(d)] == from.shape().dim(d); --d) at[std::size_t(d)] = 0;
  }
}

// The shape that holds every element: theirs, or the largest of each dimension where the queue pads.
Shape packed_shape(const Queue& queue, const std::vector<Tuple>& elements, std::size_t component) {
  const Shape declared = queue.spec.shapes.at(component);
  if (declared.is_full()) return declared;
  Shape largest;
  for (int d = 0; d < declared.rank(); ++d) {
    std::int64_t size = std::max<std::int64_t>(declared.dim(d) == kUnknown ? 0 : declared.dim(d), 0);
    for (const Tuple& element : elements) size = std::max(size, element[component].shape().dim(d));
    largest.push_back(size);
  }
  return largest;
}

Tensor pack(const Queue& queue, const std::vector<Tuple>& elements, std::size_t component) {
  const Shape shape = packed_shape(queue, elements, component);
  const DType dtype = queue.spec.dtypes[component];
  const Shape whole = Shape{std::int64_t(elements.size())}.concat(shape);
  Tensor packed = queue.spec.pads ? zeros(dtype, whole) : Tensor(dtype, whole);
  auto* to = static_cast<char*>(packed.raw());
  const std::size_t bytes = std::size_t(shape.size()) * size_of(dtype);
  for (const Tuple& element : elements) {
    const Tensor& one = element[component];
    if (one.shape() == shape) {
      copy_elements(dtype, one.raw(), to, one.size());
    } else {
      copy_corner(one, shape, to);
    }
    to += bytes;
  }
  return packed;
}

// ---- kernels

std::unique_ptr<Kernel> make_queue(PrepareContext& c, std::string kind,
                                   const std::function<std::unique_ptr<Order>()>& order,
                                   QueueSpec spec = {}) {
  const std::string& name = resource_name(c);
  spec.kind = std::move(kind);
  const auto& dtypes = c.attr<std::vector<DType>>("component_types");
  const auto& shapes = c.attr<std::vector<Shape>>("shapes");
  spec.dtypes.insert(spec.dtypes.end(), dtypes.begin(), dtypes.end());
  require(shapes.empty() || shapes.size() == dtypes.size(), "shapes has ", shapes.size(),
          " entries, component_types ", dtypes.size(), "; give one for each, or none");
  // A priority's own shape is told only together with the others.
  if (shapes.size() == dtypes.size()) {
    spec.shapes.insert(spec.shapes.end(), shapes.begin(), shapes.end());
  } else {
    spec.shapes.clear();
  }
  for (const Shape& shape : spec.shapes) {
    require(spec.pads ? shape.has_rank() : shape.is_full(), "a component has shape ", shape, "; ",
            spec.pads ? "its rank has to be known" : "it has to be known, or no shapes given at all");
  }
  const std::int64_t capacity = c.attr<std::int64_t>("capacity");
  spec.capacity = capacity < 0 ? std::numeric_limits<std::int64_t>::max() : capacity;
  auto queue = c.resources().find_or_create<Queue>(
      c.attr<std::string>("container"), name, [&] { return std::make_shared<Queue>(name, spec, order()); });
  require(queue->spec == spec, "there is ", queue->describe(),
          " already, of another kind, types, shapes or capacity; give one of them another shared_name");
  c.fixed_output(0, Tensor::scalar(ResourceRef(std::move(queue))));
  return nothing_to_run();
}

std::unique_ptr<Kernel> prepare_fifo(PrepareContext& c) {
  return make_queue(c, "FIFOQueue", [] { return std::make_unique<InOrder>(); });
}

std::unique_ptr<Kernel> prepare_padding(PrepareContext& c) {
  QueueSpec spec;
  spec.pads = true;
  require(!c.attr<std::vector<Shape>>("shapes").empty(), "a PaddingFIFOQueue needs shapes");
  return make_queue(
      c, "PaddingFIFOQueue", [] { return std::make_unique<InOrder>(); }, spec);
}

std::unique_ptr<Kernel> prepare_shuffle(PrepareContext& c) {
  QueueSpec spec;
  spec.min_after_dequeue = c.attr<std::int64_t>("min_after_dequeue");
  const std::int64_t capacity = c.attr<std::int64_t>("capacity");
  require(spec.min_after_dequeue >= 0, "min_after_dequeue is ", spec.min_after_dequeue,
          "; it must not be negative");
  require(capacity < 0 || spec.min_after_dequeue < capacity, "min_after_dequeue is ", spec.min_after_dequeue,
          "; it must be less than the capacity, ", capacity);
  std::uint64_t seed = std::uint64_t(c.attr<std::int64_t>("seed"));
  std::uint64_t seed2 = std::uint64_t(c.attr<std::int64_t>("seed2"));
  if (seed == 0 && seed2 == 0) {
    std::random_device entropy;
    seed = (std::uint64_t(entropy()) << 32) | entropy();
    seed2 = (std::uint64_t(entropy()) << 32) | entropy();
  }
  return make_queue(
      c, "RandomShuffleQueue", [&] { return std::make_unique<Shuffled>(seed, seed2); }, spec);
}

std::unique_ptr<Kernel> prepare_priority(PrepareContext& c) {
  QueueSpec spec;
  spec.dtypes = {DType::int64};
  spec.shapes = {Shape()};
  return make_queue(
      c, "PriorityQueue", [] { return std::make_unique<ByPriority>(); }, spec);
}

void no_timeout(PrepareContext& c) {
  require(c.attr<std::int64_t>("timeout_ms") == -1,
          "timeout_ms is not supported; limit the step instead, with RunOptions(timeout_in_ms=...)");
}

std::unique_ptr<Kernel> prepare_enqueue(PrepareContext& c) {
  no_timeout(c);
  return kernel([n = c.num_inputs()](RunContext& r) {
    Tuple element;
    for (int i = 1; i < n; ++i) element.push_back(r.input_tensor(i));
    std::deque<Tuple> one;
    one.push_back(std::move(element));
    r.resource<Queue>(0).enqueue(r.step(), std::move(one));
  });
}

std::unique_ptr<Kernel> prepare_enqueue_many(PrepareContext& c) {
  no_timeout(c);
  const std::int64_t count = c.input_shape(1).dim(0);
  for (int i = 1; i < c.num_inputs(); ++i) {
    require(c.input_shape(i).rank() > 0 && c.input_shape(i).dim(0) == count, "component ", i - 1,
            " has shape ", c.input_shape(i), "; its first dimension must be ", count,
            ", as that of component 0");
  }
  return kernel([n = c.num_inputs(), count](RunContext& r) {
    std::deque<Tuple> elements;
    elements.resize(std::size_t(count));
    for (int i = 1; i < n; ++i) {
      const Tensor many = r.lent_tensor(i);
      for (std::int64_t k = 0; k < count; ++k) elements[std::size_t(k)].push_back(row(many, k));
    }
    r.resource<Queue>(0).enqueue(r.step(), std::move(elements));
  });
}

void make_own(PrepareContext& c) {
  no_timeout(c);
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
}

std::vector<DType> output_dtypes(const PrepareContext& c) {
  std::vector<DType> dtypes;
  for (const ValueType& output : c.outputs()) dtypes.push_back(output.dtype);
  return dtypes;
}

Queue& queue_of(RunContext& r, const std::vector<DType>& dtypes) {
  Queue& queue = r.resource<Queue>(0);
  if (queue.spec.dtypes != dtypes)
    throw DTypeError(str(queue.describe(), " has components of other dtypes than this operation"));
  return queue;
}

std::unique_ptr<Kernel> prepare_dequeue(PrepareContext& c) {
  make_own(c);
  return kernel([dtypes = output_dtypes(c)](RunContext& r) {
    Tuple element = std::move(queue_of(r, dtypes).dequeue(r.step(), 1)[0]);
    for (std::size_t i = 0; i < element.size(); ++i) r.set_output(int(i), std::move(element[i]));
  });
}

template <bool up_to>
std::unique_ptr<Kernel> prepare_dequeue_many(PrepareContext& c) {
  make_own(c);
  return kernel([dtypes = output_dtypes(c)](RunContext& r) {
    Queue& queue = queue_of(r, dtypes);
    const std::int32_t count = *r.input<std::int32_t>(1);
    require(count >= 0, "n is ", count, "; it must not be negative");
    require(!queue.spec.shapes.empty(), queue.describe(),
            " was made without shapes, so many elements cannot be packed; give it shapes");
    const auto elements = queue.dequeue(r.step(), count, up_to);
    for (std::size_t i = 0; i < dtypes.size(); ++i) r.set_output(int(i), pack(queue, elements, i));
  });
}

std::unique_ptr<Kernel> prepare_close(PrepareContext& c) {
  return kernel([cancel = c.attr<bool>("cancel_pending_enqueues")](RunContext& r) {
    r.resource<Queue>(0).close(r.step(), cancel);
  });
}

std::unique_ptr<Kernel> prepare_is_closed(PrepareContext&) {
  return kernel([](RunContext& r) { *r.output<bool>(0) = r.resource<Queue>(0).closed(); });
}

std::unique_ptr<Kernel> prepare_size(PrepareContext&) {
  return kernel(
      [](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(r.resource<Queue>(0).size()); });
}

}  // namespace

HEADRACE_KERNELS(queue) {
  add_kernel("FIFOQueueV2", prepare_fifo);
  add_kernel("PaddingFIFOQueueV2", prepare_padding);
  add_kernel("RandomShuffleQueueV2", prepare_shuffle);
  add_kernel("PriorityQueueV2", prepare_priority);
  add_kernel("QueueEnqueueV2", prepare_enqueue);
  add_kernel("QueueEnqueueManyV2", prepare_enqueue_many);
  add_kernel("QueueDequeueV2", prepare_dequeue);
  add_kernel("QueueDequeueManyV2", prepare_dequeue_many<false>);
  add_kernel("QueueDequeueUpToV2", prepare_dequeue_many<true>);
  add_kernel("QueueCloseV2", prepare_close);
  add_kernel("QueueIsClosedV2", prepare_is_closed);
  add_kernel("QueueSizeV2", prepare_size);
}

}  // namespace headrace
