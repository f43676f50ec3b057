// Kernels that call functions. A function is planned once for the shapes that it meets, and then called as
// often as need be: a loop allocates nothing where its variables keep their shapes, since each iteration
// writes into what the one before the last has read.
#include <chrono>

#include "core/registry/kernel.h"

namespace headrace {
namespace {

using Callees = std::vector<std::shared_ptr<Callee>>;

void own_all_outputs(PrepareContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
}

// Numbers are lent. A list is handed over, so that whoever changes it may be its last holder.
std::vector<Tensor> arguments_of(RunContext& r, std::span<const ValueType> types, int from) {
  std::vector<Tensor> tensors;
  tensors.reserve(types.size());
  for (std::size_t i = from; i < types.size(); ++i) {
    const bool lent = types[i].dtype != DType::variant;
    tensors.push_back(lent ? r.lent_tensor(int(i)) : r.take_tensor(int(i)));
  }
  return tensors;
}

std::vector<ValueType> types_of(const PrepareContext& c) { return {c.inputs().begin(), c.inputs().end()}; }

// Results that are arguments passed on must not outlive what was lent.
void give_results(RunContext& r, std::span<Tensor> results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    const bool lent = results[i].buffer()->borrowed();
    r.set_output(int(i), lent ? results[i].copy() : std::move(results[i]));
  }
}

void call(RunContext& r, Callee& callee, std::span<const ValueType> types, int from, int num_outputs) {
  std::vector<Tensor> arguments = arguments_of(r, types, from);
  std::vector<Tensor> results(static_cast<std::size_t>(num_outputs));
  callee.call(r.step(), arguments, results);
  give_results(r, results);
}

std::unique_ptr<Kernel> prepare_call(PrepareContext& c) {
  own_all_outputs(c);
  return kernel([callee = c.callee(c.attr<FunctionName>("f")), types = types_of(c),
                 out = c.num_outputs()](RunContext& r) { call(r, *callee, types, 0, out); });
}

// ---- conditions

// A number is true if it is not zero; a string, or a tensor that is no scalar, if it is not empty.
bool is_true(DType dtype, const Shape& shape, const void* data) {
  if (shape.rank() != 0) return shape.size() != 0;
  if (dtype == DType::string) return !static_cast<const std::string*>(data)->empty();
  bool truth = false;
  const bool known = visit(PlainTypes{}, dtype, [&]<class T>(std::type_identity<T>) {
    truth = *static_cast<const T*>(data) != T(0);
  });
  require(known, "a ", name_of(dtype), " tensor is neither true nor false");
  return truth;
}

std::unique_ptr<Kernel> prepare_if(PrepareContext& c) {
  own_all_outputs(c);
  return kernel([then_branch = c.callee(c.attr<FunctionName>("then_branch")),
                 else_branch = c.callee(c.attr<FunctionName>("else_branch")), types = types_of(c),
                 out = c.num_outputs()](RunContext& r) {
    const bool truth = is_true(types[0].dtype, types[0].shape, r.input<void>(0));
    call(r, truth ? *then_branch : *else_branch, types, 1, out);
  });
}

std::unique_ptr<Kernel> prepare_case(PrepareContext& c) {
  own_all_outputs(c);
  Callees branches;
  for (const FunctionName& branch : c.attr<std::vector<FunctionName>>("branches"))
    branches.push_back(c.callee(branch));
  return kernel([branches, types = types_of(c), out = c.num_outputs()](RunContext& r) {
    const auto count = std::int32_t(branches.size());
    const std::int32_t asked = *r.input<std::int32_t>(0);
    call(r, *branches[std::size_t(asked >= 0 && asked < count ? asked : count - 1)], types, 1, out);
  });
}

// ---- loops

// How often a long loop looks whether its step should end.
constexpr auto kPollInterval = std::chrono::milliseconds(20);
constexpr int kIterationsPerLook = 16;

std::unique_ptr<Kernel> prepare_while(PrepareContext& c) {
  own_all_outputs(c);
  return kernel([cond = c.callee(c.attr<FunctionName>("cond")), body = c.callee(c.attr<FunctionName>("body")),
                 types = types_of(c)](RunContext& r) {
    const std::size_t count = types.size();
    std::vector<Tensor> state = arguments_of(r, types, 0);
    std::vector<Tensor> spare(count), arguments(count), verdict(1);
    auto next_poll = std::chrono::steady_clock::now() + kPollInterval;
    for (int iteration = 1;; ++iteration) {
      // The calls consume their arguments. `state` keeps what comes next round as spare, but no list: the
      // body may change it only if nobody else holds it.
      arguments = state;
      cond->call(r.step(), arguments, verdict);
      const Tensor& truth = verdict[0];
      if (!is_true(truth.dtype(), truth.shape(), truth.raw())) break;
      for (std::size_t i = 0; i < count; ++i)
        arguments[i] = types[i].dtype == DType::variant ? std::move(state[i]) : state[i];
      body->call(r.step(), arguments, spare);
      std::swap(state, spare);
      r.step().cancellation.check();
      if (iteration % kIterationsPerLook == 0) {
        if (const auto now = std::chrono::steady_clock::now(); now > next_poll) {
          r.step().poll();
          next_poll = now + kPollInterval;
        }
      }
    }
    give_results(r, state);
  });
}

}  // namespace

HEADRACE_KERNELS(function) {
  for (const char* name : {"PartitionedCall", "StatefulPartitionedCall"}) add_kernel(name, prepare_call);
  for (const char* name : {"If", "StatelessIf"}) add_kernel(name, prepare_if);
  for (const char* name : {"Case", "StatelessCase"}) add_kernel(name, prepare_case);
  for (const char* name : {"While", "StatelessWhile"}) add_kernel(name, prepare_while);
}

}  // namespace headrace
