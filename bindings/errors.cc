// The core's exceptions as Python's: a factory that headrace.framework.errors installs makes the exception
// objects.
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include "bindings/python.h"
#include "core/base/error.h"

namespace headrace::python {
namespace {

PyObject* error_factory = nullptr;  // lives as long as the process

void raise(const Error& error) {
  if (!error_factory) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return;
  }
  const bool is_dtype = dynamic_cast<const DTypeError*>(&error) != nullptr;
  try {
    const nb::object exception = nb::borrow(error_factory)(int(error.code()), std::string_view(error.what()),
                                                           error.node(), error.op(), is_dtype);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  } catch (nb::python_error& failure) {
    failure.restore();
  }
}

}  // namespace

void bind_errors(nb::module_& m) {
  nb::register_exception_translator(
      [](const std::exception_ptr& thrown, void*) {
        try {
          std::rethrow_exception(thrown);
        } catch (const Error& error) {
          raise(error);
        }
      },
      nullptr);
  m.def(
      "set_error_factory",
      [](nb::object factory) {
        Py_XDECREF(error_factory);
        error_factory = factory.release().ptr();
      },
      nb::arg("factory"),
      "Installs factory(code, message, node, op, is_dtype), which makes the exceptions that the core "
      "raises.");
}

}  // namespace headrace::python
