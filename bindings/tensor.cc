// Tensors and NumPy arrays. The only file that uses NumPy's C interface.
#define NPY_NO_DEPRECATED_API NPY_1_22_API_VERSION
#define NPY_TARGET_VERSION NPY_1_22_API_VERSION
#include "bindings/python.h"
// After Python.h, which nanobind includes.
#include <nanobind/stl/string.h>
#include <numpy/arrayobject.h>

#include <array>
#include <cstring>

namespace headrace::python {
namespace {

constexpr int kDTypes = 24;
// NumPy's descriptors by dtype number; they live as long as the process.
std::array<PyArray_Descr*, kDTypes> descriptors{};
int bfloat16_type = -1;

// Below this, copying into memory of NumPy's costs less than lending ours.
constexpr std::size_t kSmall = 2048;

nb::object steal_or_throw(PyObject* made) {
  if (!made) throw nb::python_error();
  return nb::steal(made);
}

PyArray_Descr* descriptor(DType dtype) {
  PyArray_Descr* found = descriptors.at(std::size_t(dtype));
  if (!found) throw DTypeError(str("NumPy has no dtype for ", name_of(dtype)));
  Py_INCREF(found);
  return found;
}

DType dtype_of(PyArrayObject* array) {
  const int type = PyArray_TYPE(array);
  switch (type) {
    case NPY_FLOAT:
      return DType::float32;
    case NPY_DOUBLE:
      return DType::float64;
    case NPY_HALF:
      return DType::float16;
    case NPY_BOOL:
      return DType::boolean;
    case NPY_CFLOAT:
      return DType::complex64;
    case NPY_CDOUBLE:
      return DType::complex128;
    case NPY_OBJECT:
    case NPY_STRING:
    case NPY_UNICODE:
      return DType::string;
    default:
      break;
  }
  if (type == bfloat16_type) return DType::bfloat16;
  const std::size_t size = std::size_t(PyArray_ITEMSIZE(array));
  if (PyTypeNum_ISINTEGER(type)) {
    constexpr DType kSigned[] = {DType::int8, DType::int16, DType::int32, DType::int64};
    constexpr DType kUnsigned[] = {DType::uint8, DType::uint16, DType::uint32, DType::uint64};
    const int rank = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    return PyTypeNum_ISUNSIGNED(type) ? kUnsigned[rank] : kSigned[rank];
  }
  const nb::object name = nb::borrow(reinterpret_cast<PyObject*>(PyArray_DESCR(array))).attr("name");
  throw DTypeError(str("NumPy dtype ", nb::cast<std::string>(nb::str(name)), " has no counterpart here"));
}

PyArrayObject* as_array(nb::handle value) {
  if (!PyArray_Check(value.ptr())) {
    throw nb::type_error(
        str("expected a NumPy array, got a ", nb::cast<std::string>(nb::str(nb::inst_name(value)))).c_str());
  }
  return reinterpret_cast<PyArrayObject*>(value.ptr());
}

Shape shape_of(PyArrayObject* array) {
  const npy_intp* dims = PyArray_DIMS(array);
  return Shape(std::vector<std::int64_t>(dims, dims + PyArray_NDIM(array)));
}

// The array itself or a copy that is contiguous, aligned and in native byte order.
nb::object behaved(PyArrayObject* array, int flags = NPY_ARRAY_CARRAY_RO) {
  if (PyArray_ISCARRAY_RO(array) && !(flags & NPY_ARRAY_ENSURECOPY)) {
    return nb::borrow(reinterpret_cast<PyObject*>(array));
  }
  PyArray_Descr* native = PyArray_DescrNewByteorder(PyArray_DESCR(array), '=');
  if (!native) throw nb::python_error();
  return steal_or_throw(PyArray_FromArray(array, native, flags));
}

std::string to_bytes(nb::handle element) {
  PyObject* object = element.ptr();
  if (PyBytes_Check(object)) return {PyBytes_AS_STRING(object), std::size_t(PyBytes_GET_SIZE(object))};
  if (PyUnicode_Check(object)) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) throw nb::python_error();
    return {text, std::size_t(size)};
  }
  throw nb::type_error(str("expected bytes or str in a string tensor, got a ",
                           nb::cast<std::string>(nb::str(nb::inst_name(element))))
                           .c_str());
}

Tensor copy_strings(PyArrayObject* array) {
  const nb::object objects = steal_or_throw(
      PyArray_FromArray(array, PyArray_DescrFromType(NPY_OBJECT), NPY_ARRAY_CARRAY_RO | NPY_ARRAY_FORCECAST));
  array = reinterpret_cast<PyArrayObject*>(objects.ptr());
  Tensor tensor(DType::string, shape_of(array));
  PyObject** elements = static_cast<PyObject**>(PyArray_DATA(array));
  for (std::int64_t i = 0; i < tensor.size(); ++i) tensor.data<std::string>()[i] = to_bytes(elements[i]);
  return tensor;
}

nb::object bytes_of(const std::string& text) {
  return steal_or_throw(PyBytes_FromStringAndSize(text.data(), Py_ssize_t(text.size())));
}

nb::object new_array(DType dtype, const Shape& shape, void* data = nullptr) {
  std::array<npy_intp, NPY_MAXDIMS> dims;
  if (shape.rank() > NPY_MAXDIMS) {
    fail(Code::unimplemented, "NumPy arrays have at most ", NPY_MAXDIMS, " dimensions, not ", shape.rank());
  }
  std::copy(shape.dims().begin(), shape.dims().end(), dims.begin());
  return steal_or_throw(PyArray_NewFromDescr(&PyArray_Type, descriptor(dtype), shape.rank(), dims.data(),
                                             nullptr, data, data ? NPY_ARRAY_CARRAY : 0, nullptr));
}

nb::object strings_to_numpy(const Tensor& tensor) {
  nb::object made = new_array(DType::string, tensor.shape());
  PyObject** elements = static_cast<PyObject**>(PyArray_DATA(reinterpret_cast<PyArrayObject*>(made.ptr())));
  for (std::int64_t i = 0; i < tensor.size(); ++i) {
    Py_XDECREF(std::exchange(elements[i], bytes_of(tensor.data<std::string>()[i]).release().ptr()));
  }
  return made;
}

int import_numpy() {
  import_array1(-1);
  return 0;
}

}  // namespace

Tensor copy_in(nb::handle value) {
  if (nb::isinstance<Tensor>(value)) return nb::cast<const Tensor&>(value);
  PyArrayObject* array = as_array(value);
  const DType dtype = dtype_of(array);
  if (dtype == DType::string) return copy_strings(array);
  const nb::object source = behaved(array);
  Tensor tensor(dtype, shape_of(array));
  std::memcpy(tensor.raw(), PyArray_DATA(reinterpret_cast<PyArrayObject*>(source.ptr())), tensor.bytes());
  return tensor;
}

Tensor borrow(nb::handle value) {
  if (nb::isinstance<Tensor>(value)) return nb::cast<const Tensor&>(value);
  PyArrayObject* array = as_array(value);
  const DType dtype = dtype_of(array);
  if (dtype == DType::string) return copy_strings(array);
  PyObject* held = behaved(array).release().ptr();
  array = reinterpret_cast<PyArrayObject*>(held);
  BufferRef buffer = BufferRef::borrow(PyArray_DATA(array), std::size_t(PyArray_NBYTES(array)), [held] {
    if (!Py_IsInitialized()) return;
    const nb::gil_scoped_acquire gil;
    Py_DECREF(held);
  });
  return Tensor(dtype, shape_of(array), std::move(buffer));
}

nb::object to_numpy(Tensor tensor, bool keep_rank) {
  const DType dtype = tensor.dtype();
  if (dtype == DType::resource || dtype == DType::variant) return nb::cast(std::move(tensor));
  const bool is_scalar = tensor.shape().rank() == 0 && !keep_rank;
  if (dtype == DType::string) {
    return is_scalar ? bytes_of(*tensor.data<std::string>()) : strings_to_numpy(tensor);
  }
  if (is_scalar) {
    PyArray_Descr* type = descriptors[std::size_t(dtype)];
    return steal_or_throw(PyArray_Scalar(tensor.raw(), type, nullptr));
  }
  if (tensor.bytes() <= kSmall || !tensor.unique()) {
    nb::object made = new_array(dtype, tensor.shape());
    std::memcpy(PyArray_DATA(reinterpret_cast<PyArrayObject*>(made.ptr())), tensor.raw(), tensor.bytes());
    return made;
  }
  auto owner = std::make_unique<Tensor>(std::move(tensor));
  nb::object made = new_array(dtype, owner->shape(), owner->raw());
  const nb::capsule base(owner.release(), [](void* held) noexcept { delete static_cast<Tensor*>(held); });
  // Takes the reference, even if it fails.
  if (PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(made.ptr()), base.inc_ref().ptr()) != 0) {
    throw nb::python_error();
  }
  return made;
}

void bind_tensor(nb::module_& m) {
  if (import_numpy() != 0) throw nb::python_error();
  const nb::object bfloat16 = nb::module_::import_("ml_dtypes").attr("bfloat16");
  constexpr std::pair<DType, int> kTypes[] = {
      {DType::float32, NPY_FLOAT},    {DType::float64, NPY_DOUBLE},     {DType::float16, NPY_HALF},
      {DType::int8, NPY_INT8},        {DType::int16, NPY_INT16},        {DType::int32, NPY_INT32},
      {DType::int64, NPY_INT64},      {DType::uint8, NPY_UINT8},        {DType::uint16, NPY_UINT16},
      {DType::uint32, NPY_UINT32},    {DType::uint64, NPY_UINT64},      {DType::boolean, NPY_BOOL},
      {DType::complex64, NPY_CFLOAT}, {DType::complex128, NPY_CDOUBLE}, {DType::string, NPY_OBJECT},
  };
  for (const auto& [dtype, type] : kTypes) descriptors[std::size_t(dtype)] = PyArray_DescrFromType(type);
  PyArray_Descr* found = nullptr;
  if (!PyArray_DescrConverter(bfloat16.ptr(), &found)) throw nb::python_error();
  descriptors[std::size_t(DType::bfloat16)] = found;
  bfloat16_type = found->type_num;

  nb::class_<Tensor>(m, "Tensor", "A tensor of the core: what resources and variants are fetched as.")
      .def_static("of", &copy_in, nb::arg("array"), "A tensor with a copy of the array's elements.")
      .def_prop_ro(
          "dtype", [](const Tensor& t) { return int(t.dtype()); }, "The dtype's number.")
      .def_prop_ro(
          "shape", [](const Tensor& t) { return to_python(t.shape()); },
          nb::for_getter(nb::sig("def shape(self) -> tuple[int, ...]")), "The shape.")
      .def(
          "numpy", [](const Tensor& t) { return to_numpy(t, true); },
          nb::sig("def numpy(self) -> typing.Any"), "The elements as an ndarray.")
      .def("__repr__",
           [](const Tensor& t) { return str("<core tensor ", name_of(t.dtype()), " ", t.shape(), ">"); });

  nb::list names;
  for (DType dtype : all_dtypes()) {
    PyArray_Descr* type = descriptors[std::size_t(dtype)];
    names.append(nb::make_tuple(int(dtype), std::string(name_of(dtype)), size_of(dtype),
                                type ? nb::borrow(reinterpret_cast<PyObject*>(type)) : nb::none()));
  }
  m.def("buffers_made", &BufferRef::made,
        "How many pieces of memory tensors were ever given: for tests of what a step allocates.");
  m.def(
      "dtypes", [names = nb::tuple(names)] { return names; },
      "All dtypes: (number, name, bytes of an element in the core, NumPy's dtype or None).");
}

}  // namespace headrace::python
