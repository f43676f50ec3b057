// Kernels of stacks. Whoever holds its handle holds the stack: there is nothing to clean up after a step.
#include "core/registry/kernel.h"

namespace headrace {
namespace {

class Stack final : public Resource {
 public:
  Stack(DType dtype, std::int64_t max_size) : dtype(dtype), max_size_(max_size) {}
  std::string describe() const override { return str("a stack of ", name_of(dtype)); }

  void push(Tensor element) {
    if (element.dtype() != dtype)
      throw DTypeError(str("a ", name_of(element.dtype()), " tensor does not go onto ", describe()));
    std::lock_guard lock(mutex_);
    require(!closed_, describe(), " is closed: nothing goes onto it any more");
    require(max_size_ < 0 || std::int64_t(elements_.size()) < max_size_, describe(),
            " is full: its max_size is ", max_size_);
    elements_.push_back(std::move(element));
  }
  Tensor pop() {
    std::lock_guard lock(mutex_);
    require(!elements_.empty(), describe(), closed_ ? " is closed" : " is empty",
            ": there is nothing to take off");
    Tensor last = std::move(elements_.back());
    elements_.pop_back();
    return last;
  }
  void close() {
    std::lock_guard lock(mutex_);
    elements_.clear();
    closed_ = true;
  }

  const DType dtype;

 private:
  const std::int64_t max_size_;
  std::mutex mutex_;
  std::vector<Tensor> elements_;
  bool closed_ = false;
};

std::unique_ptr<Kernel> prepare_stack(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.attr<DType>("elem_type")](RunContext& r) {
    r.set_output(0, Tensor::scalar(ResourceRef(std::make_shared<Stack>(dtype, *r.input<std::int32_t>(0)))));
  });
}

std::unique_ptr<Kernel> prepare_push(PrepareContext& c) {
  c.alias(0, 1);
  return kernel([](RunContext& r) { r.resource<Stack>(0).push(r.input_tensor(1)); });
}

std::unique_ptr<Kernel> prepare_pop(PrepareContext& c) {
  c.own_output(0);
  return kernel([dtype = c.output_dtype(0)](RunContext& r) {
    auto& stack = r.resource<Stack>(0);
    if (stack.dtype != dtype) throw DTypeError(str(stack.describe(), " has no ", name_of(dtype), " tensors"));
    r.set_output(0, stack.pop());
  });
}

std::unique_ptr<Kernel> prepare_close(PrepareContext&) {
  return kernel([](RunContext& r) { r.resource<Stack>(0).close(); });
}

}  // namespace

HEADRACE_KERNELS(stack) {
  add_kernel("StackV2", prepare_stack);
  add_kernel("StackPushV2", prepare_push);
  add_kernel("StackPopV2", prepare_pop);
  add_kernel("StackCloseV2", prepare_close);
}

}  // namespace headrace
