// Kernels written in Python, for cold operations that NumPy and its friends already do well.
#include "core/registry/kernel.h"

#include <nanobind/stl/string.h>

#include "bindings/python.h"

namespace headrace::python {
namespace {

// A Python object that C++ keeps until the process ends or a kernel dies on whatever thread.
class Held {
 public:
  explicit Held(nb::object object) : object_(object.release().ptr()) {}
  Held(const Held&) = delete;
  ~Held() {
    if (!Py_IsInitialized()) return;
    const nb::gil_scoped_acquire gil;
    Py_DECREF(object_);
  }
  nb::handle get() const { return object_; }

 private:
  PyObject* object_;
};

// What Python raised, as the core's error; what Python's own signal handlers raise stays what it is.
[[noreturn]] void rethrow(nb::python_error& error) {
  const nb::object value = nb::borrow(error.value());
  std::string text = nb::cast<std::string>(nb::str(error.type().attr("__name__"))) + ": " +
                     nb::cast<std::string>(nb::str(value));
  const nb::object code = nb::getattr(value, "error_code", nb::none());
  if (nb::isinstance<nb::int_>(code)) fail(Code(nb::cast<int>(code)), nb::cast<std::string>(nb::str(value)));
  const bool is_argument = error.matches(PyExc_ValueError) || error.matches(PyExc_TypeError);
  fail(is_argument                                ? Code::invalid_argument
       : error.matches(PyExc_StopIteration)       ? Code::out_of_range
       : error.matches(PyExc_MemoryError)         ? Code::resource_exhausted
       : error.matches(PyExc_NotImplementedError) ? Code::unimplemented
                                                  : Code::unknown,
       text);
}

class HostKernel final : public Kernel {
 public:
  HostKernel(std::shared_ptr<Held> function, nb::dict attrs, const PrepareContext& c)
      : function_(std::move(function)), attrs_(std::move(attrs)), num_inputs_(c.num_inputs()) {
    outputs_.assign(c.outputs().begin(), c.outputs().end());
  }

  void run(RunContext& context) override {
    const nb::gil_scoped_acquire gil;
    try {
      nb::list inputs;
      for (int i = 0; i < num_inputs_; ++i) inputs.append(to_numpy(context.input_tensor(i), true));
      nb::object made = function_->get()(*inputs, **nb::borrow<nb::dict>(attrs_.get()));
      if (outputs_.size() == 1 && !nb::isinstance<nb::list>(made) && !nb::isinstance<nb::tuple>(made)) {
        made = nb::make_tuple(made);
      }
      const std::size_t count = made.is_none() ? 0 : nb::len(made);
      require(count == outputs_.size(), "the host kernel returned ", count, " arrays, expected ",
              outputs_.size());
      for (int i = 0; i < int(count); ++i) context.set_output(i, checked(made[i], i));
    } catch (nb::python_error& error) {
      rethrow(error);
    }
  }

 private:
  Tensor checked(nb::handle array, int i) const {
    Tensor tensor = copy_in(array);
    const ValueType& type = outputs_[i];
    if (tensor.dtype() != type.dtype) {
      throw DTypeError(str("the host kernel's output ", i, " is ", name_of(tensor.dtype()), ", expected ",
                           name_of(type.dtype)));
    }
    require(type.shape.compatible_with(tensor.shape()), "the host kernel's output ", i, " has shape ",
            tensor.shape(), ", expected ", type.shape);
    return tensor;
  }

  const std::shared_ptr<Held> function_;
  const Held attrs_;
  const int num_inputs_;
  std::vector<ValueType> outputs_;
};

std::unique_ptr<Kernel> prepare_host(const std::shared_ptr<Held>& function, PrepareContext& c) {
  const nb::gil_scoped_acquire gil;
  nb::dict attrs;
  for (const AttrDef& attr : c.node().op().attrs()) {
    attrs[nb::str(attr.name.c_str())] = to_python(c.node().attrs().at(attr.name));
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.own_output(i);
  return std::make_unique<HostKernel>(function, std::move(attrs), c);
}

void add_host_kernel(const std::string& op, nb::object function, const std::string& rank) {
  constexpr std::pair<std::string_view, KernelRank> kRanks[] = {
      {"library", KernelRank::library}, {"plain", KernelRank::plain}, {"host", KernelRank::host}};
  find_op(op);
  for (const auto& [name, value] : kRanks) {
    if (name != rank) continue;
    auto held = std::make_shared<Held>(std::move(function));
    return add_kernel(
        op, [held](PrepareContext& c) { return prepare_host(held, c); }, value);
  }
  invalid("kernel rank '", rank, "' is none of 'library', 'plain', 'host'");
}

}  // namespace

void bind_kernels(nb::module_& m) {
  m.def("add_kernel", &add_host_kernel, nb::arg("op"), nb::arg("function"), nb::arg("rank") = "host",
        "Registers function(*arrays, **attrs) -> array or sequence of arrays as a CPU kernel of an "
        "operation. The "
        "arrays are the function's own; dtypes are given as numbers, strings as bytes, functions as names.");
}

}  // namespace headrace::python
