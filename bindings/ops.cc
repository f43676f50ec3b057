// What operations there are.
#include "core/registry/ops.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python.h"
#include "core/registry/kernel.h"

namespace headrace::python {
namespace {

constexpr std::pair<Trait, const char*> kTraits[] = {
    {Trait::stateful, "stateful"},
    {Trait::blocking, "blocking"},
    {Trait::elementwise, "elementwise"},
    {Trait::commutative, "commutative"},
    {Trait::alias, "alias"},
    {Trait::identity, "identity"},
    {Trait::involution, "involution"},
    {Trait::idempotent, "idempotent"},
    {Trait::constant, "constant"},
    {Trait::argument, "argument"},
    {Trait::no_gradient, "no_gradient"},
    {Trait::post_operation, "post_operation"},
    {Trait::matrix_product, "matrix_product"},
    {Trait::sum, "sum"},
    {Trait::joins, "joins"},
    {Trait::cuts, "cuts"},
    {Trait::calls, "calls"},
    {Trait::loop, "loop"},
};

nb::object lookup(const std::string& name) { return nb::cast(&find_op(name), nb::rv_policy::reference); }

template <class T>
nb::tuple references(std::span<const T> items) {
  nb::list list;
  for (const T& item : items) list.append(nb::cast(&item, nb::rv_policy::reference));
  return nb::tuple(list);
}

}  // namespace

void bind_ops(nb::module_& m) {
  nb::class_<ArgDef>(m, "ArgDef", "One input or output of an operation.")
      .def_ro("name", &ArgDef::name)
      .def_prop_ro(
          "dtype", [](const ArgDef& a) { return int(a.dtype); }, "The fixed dtype's number, or 0.")
      .def_ro("type_attr", &ArgDef::type_attr, "The attribute that gives the dtype (or dtypes), or ''.")
      .def_ro("number_attr", &ArgDef::number_attr, "The attribute that gives the length of a list, or ''.")
      .def_ro("is_type_list", &ArgDef::is_type_list)
      .def_prop_ro("is_list", &ArgDef::is_list);
  nb::class_<AttrDef>(m, "AttrDef", "One attribute of an operation.")
      .def_ro("name", &AttrDef::name)
      .def_ro("type", &AttrDef::type, "'int', 'list(type)'...")
      .def_prop_ro("has_default", [](const AttrDef& a) { return a.default_value.has_value(); })
      .def_prop_ro(
          "default",
          [](const AttrDef& a) { return a.default_value ? to_python(*a.default_value) : nb::none(); },
          nb::for_getter(nb::sig("def default(self) -> typing.Any")))
      .def_prop_ro(
          "allowed_dtypes",
          [](const AttrDef& a) {
            std::vector<int> numbers;
            for (DType dtype : a.allowed_dtypes) numbers.push_back(int(dtype));
            return numbers;
          },
          "Numbers of the allowed dtypes; empty for any.")
      .def_ro("allowed_strings", &AttrDef::allowed_strings)
      .def_ro("minimum", &AttrDef::minimum);
  nb::class_<OpDef>(m, "OpDef", "The definition of an operation.")
      .def_prop_ro("name", &OpDef::name)
      .def_prop_ro("doc", [](const OpDef& op) { return op.doc(); })
      .def_prop_ro(
          "inputs", [](const OpDef& op) { return references(op.inputs()); },
          nb::for_getter(nb::sig("def inputs(self) -> tuple[ArgDef, ...]")))
      .def_prop_ro(
          "outputs", [](const OpDef& op) { return references(op.outputs()); },
          nb::for_getter(nb::sig("def outputs(self) -> tuple[ArgDef, ...]")))
      .def_prop_ro(
          "attrs", [](const OpDef& op) { return references(op.attrs()); },
          nb::for_getter(nb::sig("def attrs(self) -> tuple[AttrDef, ...]")))
      .def_prop_ro(
          "traits",
          [](const OpDef& op) {
            nb::list names;
            for (const auto& [trait, name] : kTraits) {
              if (op.has(trait)) names.append(name);
            }
            return nb::frozenset(names);
          },
          "Names of its traits.")
      .def("__repr__", [](const OpDef& op) { return "<operation " + op.name() + ">"; });
  m.def("op_def", &lookup, nb::arg("name"), nb::sig("def op_def(name: str) -> OpDef"),
        "The definition of an operation; NotFound with near names.");
  m.def(
      "has_op", [](const std::string& name) { return find_op_or_null(name) != nullptr; }, nb::arg("name"));
  m.def("op_names", [] {
    std::vector<std::string> names;
    for (const OpDef* op : all_ops()) names.push_back(op->name());
    return names;
  });
  m.def("ops_with_kernels", &ops_with_kernels, "Names of operations that a CPU kernel computes.");
}

}  // namespace headrace::python
