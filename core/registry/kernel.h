// Kernels: what computes a node on the CPU. A kernel *prepares* once for a node and its full shapes, deciding
// everything that can be decided (library primitive, strides, layout, scratch), then *runs* any number of
// times, possibly in several steps at once, so run() must not change the kernel.
//
// Each family registers its kernels where they stand, in core/kernels/<family>.cc:
//
//   std::unique_ptr<Kernel> prepare_neg(PrepareContext& c) {
//     const std::int64_t n = c.output_shape(0).size();
//     c.in_place(0, 0);
//     std::unique_ptr<Kernel> made;
//     visit(SignedTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
//       made = kernel([n](RunContext& r) {
//         const T* x = r.input<T>(0);
//         T* y = r.output<T>(0);
//         parallel_for(n, 0.3, [&](auto begin, auto end) { for (auto i = begin; i < end; ++i) y[i] = -x[i];
//         });
//       });
//     });
//     return made;  // nullptr: this kernel does not do that dtype; the next one registered is asked
//   }
//   HEADRACE_KERNELS(math) { add_kernel("Neg", prepare_neg); }
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph/graph.h"
#include "core/registry/ops.h"
#include "core/registry/resource.h"
#include "core/registry/step.h"

namespace headrace {

// One value during a run. `held` keeps memory alive that is not the plan's own: feeds, snapshots, constants
// and tensors that a kernel made itself.
struct Slot {
  void* data = nullptr;
  Tensor held;
};

struct ValueType {
  DType dtype;
  Shape shape;  // full, except of an own output whose shape depends on data
};

// Memory that several kernels of a plan share; whoever comes first fills it.
struct SharedMemory {
  void* data = nullptr;
  bool filled = false;
};

// What run() sees: raw memory. The shapes are those that prepare() saw.
class RunContext {
 public:
  RunContext(Slot* slots, std::span<const int> inputs, std::span<const int> outputs,
             std::span<const ValueType> input_types, std::span<const int> releases, void* scratch, Step& step,
             SharedMemory shared = {})
      : slots_(slots),
        inputs_(inputs),
        outputs_(outputs),
        input_types_(input_types),
        releases_(releases),
        scratch_(scratch),
        step_(step),
        shared_(shared) {}

  template <class T>
  const T* input(int i) const {
    return static_cast<const T*>(slots_[inputs_[i]].data);
  }
  template <class T>
  T* output(int i) {
    return static_cast<T*>(slots_[outputs_[i]].data);
  }
  // Input i as a tensor that may be kept beyond the step: shared if it is not the plan's own memory, else
  // copied.
  Tensor input_tensor(int i) const;
  // Input i as a tensor for the time of this run() only: never copied, to be copied by who keeps it.
  Tensor lent_tensor(int i) const;
  // What Buffer::version says of input i's content; 0 if it is in the plan's own memory or only a part.
  std::uint64_t version(int i) const {
    const Slot& slot = slots_[inputs_[i]];
    return slot.held && slot.held.raw() == slot.data ? slot.held.buffer()->version() : 0;
  }
  // The same, given up: if nobody reads it afterwards, the caller may be its only holder and write to it.
  Tensor take_tensor(int i);
  // The resource that a handle input refers to; InvalidArgument if it is not a T.
  template <class T>
  T& resource(int i) const {
    const ResourceRef* ref = static_cast<const ResourceRef*>(slots_[inputs_[i]].data);
    T* resource = ref ? dynamic_cast<T*>(ref->get()) : nullptr;
    if (!resource) fail_resource(i);
    return *resource;
  }
  // Hands over an own output (see PrepareContext::own_output).
  void set_output(int i, Tensor tensor) {
    Slot& slot = slots_[outputs_[i]];
    slot.held = std::move(tensor);
    slot.data = slot.held.raw();
  }
  // Makes output i a piece of input j's memory, from this byte on.
  void point(int i, int j, std::size_t offset) {
    slots_[outputs_[i]].data = static_cast<char*>(slots_[inputs_[j]].data) + offset;
  }
  // The bytes that prepare() asked for, aligned to kAlignment.
  void* scratch() const { return scratch_; }
  // What PrepareContext::share was granted.
  SharedMemory shared() const { return shared_; }
  Step& step() const { return step_; }

 private:
  [[noreturn]] void fail_resource(int i) const;
  Slot* slots_;
  std::span<const int> inputs_, outputs_;
  std::span<const ValueType> input_types_;
  std::span<const int> releases_;  // slots that nobody reads after this
  void* scratch_;
  Step& step_;
  SharedMemory shared_;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(RunContext& context) = 0;
  virtual bool does_nothing() const { return false; }
};

// A kernel out of a callable that takes RunContext&.
template <class F>
std::unique_ptr<Kernel> kernel(F run) {
  class Made final : public Kernel {
   public:
    explicit Made(F run) : run_(std::move(run)) {}
    void run(RunContext& context) override { run_(context); }

   private:
    F run_;
  };
  return std::make_unique<Made>(std::move(run));
}
// For nodes whose outputs are all aliases or fixed: the executor skips it.
std::unique_ptr<Kernel> nothing_to_run();

// A function of the graph made ready to be called from a kernel (the body of a loop, the branch of a
// condition).
class Callee {
 public:
  virtual ~Callee() = default;
  // Arguments are consumed. Results that arrive holding a unique buffer of the right size are written in
  // place.
  virtual void call(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) = 0;
};

// What prepare() sees and declares.
class PrepareContext {
 public:
  struct Environment {
    Resources& resources;  // what programs name and share: variables, queues...
    Resources& own;        // what operations keep for themselves, such as their place in a random stream
    // Makes a library function callable; empty where there is no planner (constant folding).
    std::function<std::shared_ptr<Callee>(const Function&)> callee;
  };

  PrepareContext(const Node& node, std::vector<ValueType> inputs, std::vector<const Tensor*> constants,
                 std::vector<ValueType> outputs, Environment& environment);

  const Node& node() const { return node_; }
  int num_inputs() const { return int(inputs_.size()); }
  int num_outputs() const { return int(outputs_.size()); }
  DType input_dtype(int i) const { return inputs_.at(i).dtype; }
  DType output_dtype(int i) const { return outputs_.at(i).dtype; }
  const Shape& input_shape(int i) const { return inputs_.at(i).shape; }
  const Shape& output_shape(int i) const { return outputs_.at(i).shape; }  // full unless it depends on data
  template <class T>
  const T& attr(std::string_view name) const {
    return node_.attr<T>(name);
  }
  // The value of input i if it is known now, else nullptr. An input whose value the shape rule needed to
  // complete the output shapes is always known.
  const Tensor* constant(int i) const { return constants_.at(i); }
  std::optional<std::vector<std::int64_t>> constant_ints(int i) const;

  Resources& resources() const { return environment_.resources; }
  Resources& own_resources() const { return environment_.own; }
  std::shared_ptr<Callee> callee(const FunctionName& name) const;
  std::span<const ValueType> inputs() const { return inputs_; }
  std::span<const ValueType> outputs() const { return outputs_; }

  // Declarations. Without any, every output gets memory of its own in the plan's arena.
  // Output is input's memory (under its own shape); run() does not write it.
  void alias(int output, int input) { alias_.at(output) = input; }
  // run() may write the output over the input, of the same byte size, if nobody else reads that any more:
  // element i of the input is not read after element i of the output has been written.
  void in_place(int output, int input) { in_place_.at(output).push_back(input); }
  // run() makes the tensor itself and hands it over with set_output. Needed for strings, resources and
  // variants, for shapes that depend on data, and useful for snapshots.
  void own_output(int output) { own_.at(output) = true; }
  // The output is this tensor in every run.
  void fixed_output(int output, Tensor value) { fixed_.at(output) = std::move(value); }
  void scratch(std::size_t bytes) { scratch_bytes_ = bytes; }
  // The output is a piece of the input's memory, from this byte on. Where the plan can arrange that for all
  // outputs, run() is not called; it must be able to copy nevertheless.
  void piece(int output, int input, std::size_t offset) { pieces_.at(output) = {input, offset}; }
  // The input may be put where it belongs in the output, from this byte on, by whoever makes it: run() finds
  // its pointers agree then, and has nothing to copy.
  void hold(int output, int input, std::size_t offset) { held_.push_back({output, input, offset}); }
  // run() needs something that is made of the input alone, and so named that kernels which name the same of
  // the same value may share it. False if there is nobody to share with: it must be made in scratch.
  bool share(int input, std::string name, std::size_t bytes) {
    if (!may_share_ || shared_) return false;
    shared_ = {input, std::move(name), bytes};
    return true;
  }

  // Read by whoever called prepare.
  const std::vector<std::optional<int>>& aliases() const { return alias_; }
  const std::vector<std::vector<int>>& in_place() const { return in_place_; }
  const std::vector<bool>& own() const { return own_; }
  const std::vector<Tensor>& fixed() const { return fixed_; }
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  struct Piece {
    int input;
    std::size_t offset;
  };
  struct Held {
    int output, input;
    std::size_t offset;
  };
  struct Shared {
    int input;
    std::string name;
    std::size_t bytes;
  };
  const std::vector<std::optional<Piece>>& pieces() const { return pieces_; }
  const std::vector<Held>& held() const { return held_; }
  void allow_sharing() { may_share_ = true; }
  const std::optional<Shared>& shared() const { return shared_; }

 private:
  const Node& node_;
  std::vector<ValueType> inputs_, outputs_;
  std::vector<const Tensor*> constants_;
  Environment& environment_;
  std::vector<std::optional<int>> alias_;
  std::vector<std::vector<int>> in_place_;
  std::vector<bool> own_;
  std::vector<Tensor> fixed_;
  std::size_t scratch_bytes_ = 0;
  std::vector<std::optional<Piece>> pieces_;
  std::vector<Held> held_;
  bool may_share_ = false;
  std::optional<Shared> shared_;
};

// Makes a kernel for the node, or nullptr if it does not do that (a dtype, an attribute): the next one is
// asked. Throws for what no kernel could do (an axis out of range).
using Prepare = std::function<std::unique_ptr<Kernel>(PrepareContext&)>;

// Kernels of an operation are asked in this order, those of one rank in order of registration.
enum class KernelRank { library, plain, host };
void add_kernel(std::string_view op, Prepare prepare, KernelRank rank = KernelRank::plain);
bool has_kernel(std::string_view op);
std::vector<std::string> ops_with_kernels();

// Asks the registered kernels in turn. Unimplemented, naming the dtypes, if none does it.
std::unique_ptr<Kernel> prepare(PrepareContext& context);
// The same with the kernels of another operation, whose inputs and attributes the node has too.
std::unique_ptr<Kernel> prepare_as(std::string_view op, PrepareContext& context);

// Runs one node once, outside any plan: for constant folding and tests. All inputs must be given.
std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs, Resources& resources);

#define HEADRACE_KERNELS(FAMILY)                                                        \
  static void register_##FAMILY##_kernels();                                            \
  static const ::headrace::Registration FAMILY##_kernels(&register_##FAMILY##_kernels); \
  static void register_##FAMILY##_kernels()

}  // namespace headrace
