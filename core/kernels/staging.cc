// Kernels of staging areas.
#include <deque>

#include "core/kernels/waking.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

using Tuple = std::vector<Tensor>;

std::int64_t bytes_of(const Tuple& element) {
  std::int64_t bytes = 0;
  for (const Tensor& tensor : element) bytes += std::int64_t(tensor.bytes());
  return bytes;
}

class StagingArea final : public Resource {
 public:
  // No limit where they are 0.
  StagingArea(std::string name, std::int64_t capacity, std::int64_t memory_limit)
      : name_(std::move(name)), capacity_(capacity), memory_limit_(memory_limit) {}
  std::string describe() const override { return "staging area '" + name_ + "'"; }

  void put(Step& step, Tuple element) {
    const std::int64_t bytes = bytes_of(element);
    if (memory_limit_ > 0 && bytes > memory_limit_) {
      fail(Code::resource_exhausted, "an element of ", bytes, " bytes does not fit ", describe(),
           ", whose memory_limit is ", memory_limit_);
    }
    change(
        step,
        [&] {
          return (capacity_ == 0 || std::int64_t(elements_.size()) < capacity_) &&
                 (memory_limit_ == 0 || bytes_ + bytes <= memory_limit_);
        },
        [&] {
          elements_.push_back(std::move(element));
          bytes_ += bytes;
        });
  }

  Tuple take(Step& step) {
    Tuple first;
    change(
        step, [&] { return !elements_.empty(); },
        [&] {
          first = std::move(elements_.front());
          elements_.pop_front();
          bytes_ -= bytes_of(first);
        });
    return first;
  }

  Tuple peek(Step& step, std::int64_t index) {
    require(index >= 0, "index is ", index, "; it must not be negative");
    Tuple found;
    change(
        step, [&] { return std::int64_t(elements_.size()) > index; },
        [&] { found = elements_[std::size_t(index)]; });
    return found;
  }

  std::int64_t size() const {
    std::lock_guard lock(mutex_);
    return std::int64_t(elements_.size());
  }

  void clear() {
    std::lock_guard lock(mutex_);
    elements_.clear();
    bytes_ = 0;
    changed_.notify_all();
  }

 private:
  // Waits until ready() holds, and acts.
  template <class Ready, class Act>
  void change(Step& step, Ready ready, Act act) {
    const Waking waking(step, mutex_, changed_);
    std::unique_lock lock(mutex_);
    while (true) {
      step.cancellation.check();
      if (ready()) break;
      changed_.wait(lock);
    }
    act();
    changed_.notify_all();
  }

  const std::string name_;
  const std::int64_t capacity_, memory_limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Tuple> elements_;
  std::int64_t bytes_ = 0;
};

std::shared_ptr<StagingArea> area_of(PrepareContext& c) {
  const std::string& shared = c.attr<std::string>("shared_name");
  const std::string& name = shared.empty() ? c.node().name() : shared;
  return c.resources().find_or_create<StagingArea>(c.attr<std::string>("container"), name, [&] {
    return std::make_shared<StagingArea>(name, c.attr<std::int64_t>("capacity"),
                                         c.attr<std::int64_t>("memory_limit"));
  });
}

std::unique_ptr<Kernel> prepare_stage(PrepareContext& c) {
  return kernel([area = area_of(c), n = c.num_inputs()](RunContext& r) {
    Tuple element;
    for (int i = 0; i < n; ++i) element.push_back(r.input_tensor(i));
    area->put(r.step(), std::move(element));
  });
}

// Hands over an element, checked to be of the dtypes that the node was made for.
void give(RunContext& r, Tuple element, const std::vector<DType>& dtypes) {
  require(element.size() == dtypes.size(), "the element has ", element.size(), " components, expected ",
          dtypes.size());
  for (std::size_t i = 0; i < dtypes.size(); ++i) {
    if (element[i].dtype() != dtypes[i])
      throw DTypeError(
          str("component ", i, " is ", name_of(element[i].dtype()), ", not ", name_of(dtypes[i])));
  }
  for (std::size_t i = 0; i < dtypes.size(); ++i) r.set_output(int(i), std::move(element[i]));
}

std::unique_ptr<Kernel> prepare_unstage(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = area_of(c), dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    give(r, area->take(r.step()), dtypes);
  });
}

std::unique_ptr<Kernel> prepare_peek(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return kernel([area = area_of(c), dtypes = c.attr<std::vector<DType>>("dtypes")](RunContext& r) {
    give(r, area->peek(r.step(), *r.input<std::int32_t>(0)), dtypes);
  });
}

std::unique_ptr<Kernel> prepare_size(PrepareContext& c) {
  return kernel(
      [area = area_of(c)](RunContext& r) { *r.output<std::int32_t>(0) = std::int32_t(area->size()); });
}

std::unique_ptr<Kernel> prepare_clear(PrepareContext& c) {
  return kernel([area = area_of(c)](RunContext&) { area->clear(); });
}

}  // namespace

HEADRACE_KERNELS(staging) {
  add_kernel("Stage", prepare_stage);
  add_kernel("Unstage", prepare_unstage);
  add_kernel("StagePeek", prepare_peek);
  add_kernel("StageSize", prepare_size);
  add_kernel("StageClear", prepare_clear);
}

}  // namespace headrace
