// Graphs, seen from Python: nodes are ids, outputs are (id, index).
#include "core/graph/graph.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <mutex>

#include "bindings/python.h"
#include "core/registry/kernel.h"

namespace headrace::python {
namespace {

// ---- attributes

std::string_view text_of(nb::handle value) {
  PyObject* object = value.ptr();
  if (PyBytes_Check(object)) return {PyBytes_AS_STRING(object), std::size_t(PyBytes_GET_SIZE(object))};
  if (PyUnicode_Check(object)) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    if (!text) throw nb::python_error();
    return {text, std::size_t(size)};
  }
  invalid("expected a string, got a ", nb::cast<std::string>(nb::str(nb::inst_name(value))));
}

std::int64_t int_of(nb::handle value) {
  PyObject* index = PyNumber_Index(value.ptr());
  if (!index) throw nb::python_error();
  const std::int64_t number = PyLong_AsLongLong(index);
  Py_DECREF(index);
  if (number == -1 && PyErr_Occurred()) throw nb::python_error();
  return number;
}

bool bool_of(nb::handle value) {
  const int truth = PyObject_IsTrue(value.ptr());
  if (truth < 0) throw nb::python_error();
  return truth == 1;
}

float float_of(nb::handle value) {
  const double number = PyFloat_AsDouble(value.ptr());
  if (number == -1.0 && PyErr_Occurred()) throw nb::python_error();
  return float(number);
}

DType dtype_of(nb::handle value) {
  const auto number = PyLong_Check(value.ptr()) ? int_of(value) : int_of(value.attr("as_datatype_enum"));
  const DType dtype = DType(number);
  require(is_valid(dtype), number, " is no dtype");
  return dtype;
}

// A function's name, or an object with one.
FunctionName function_of(nb::handle value) {
  if (PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr())) return {std::string(text_of(value))};
  const nb::object name = value.attr("name");
  return {std::string(text_of(name))};
}

Tensor tensor_of(nb::handle value) { return copy_in(value); }
std::string string_of(nb::handle value) { return std::string(text_of(value)); }

template <auto Convert>
Attr convert(nb::handle value) {
  return Convert(value);
}
template <auto Convert>
Attr convert_list(nb::handle value) {
  std::vector<decltype(Convert(value))> items;
  if (PyUnicode_Check(value.ptr()) || PyBytes_Check(value.ptr())) invalid("expected a list, got a string");
  for (nb::handle item : nb::iter(value)) items.push_back(Convert(item));
  return items;
}

struct Conversion {
  std::string_view type;
  Attr (*single)(nb::handle);
  Attr (*list)(nb::handle);
};
template <auto Convert>
constexpr Conversion conversion(std::string_view type) {
  return {type, &convert<Convert>, &convert_list<Convert>};
}
constexpr Conversion kConversions[] = {
    conversion<&dtype_of>("type"),    conversion<&int_of>("int"),       conversion<&bool_of>("bool"),
    conversion<&string_of>("string"), conversion<&float_of>("float"),   conversion<&to_shape>("shape"),
    conversion<&tensor_of>("tensor"), conversion<&function_of>("func"),
};

Attr to_attr(const std::string& name, std::string_view type, nb::handle value) {
  const bool is_list = type.starts_with("list(");
  const std::string_view element = is_list ? type.substr(5, type.size() - 6) : type;
  for (const Conversion& known : kConversions) {
    if (known.type != element) continue;
    try {
      return is_list ? known.list(value) : known.single(value);
    } catch (nb::python_error& error) {
      if (!error.matches(PyExc_TypeError) && !error.matches(PyExc_AttributeError)) throw;
      throw DTypeError(str("attribute '", name, "' must be of type ", type, ", got ",
                           nb::cast<std::string>(nb::repr(value))));
    } catch (const Error& error) {
      throw DTypeError(str("attribute '", name, "' must be of type ", type, ": ", error.what()));
    }
  }
  internal("unknown attribute type ", type);
}

// Of attributes outside the definition ("_class" and the like): the type follows from the value.
std::string_view natural_type(nb::handle value) {
  PyObject* object = value.ptr();
  if (PyBool_Check(object)) return "bool";
  if (PyLong_Check(object)) return "int";
  if (PyFloat_Check(object)) return "float";
  if (PyUnicode_Check(object) || PyBytes_Check(object)) return "string";
  if (nb::hasattr(value, "as_datatype_enum")) return "type";
  if (nb::hasattr(value, "as_list")) return "shape";
  if (PyList_Check(object) || PyTuple_Check(object)) {
    const nb::object items = nb::borrow(object);
    if (nb::len(items) == 0) return "list(string)";
    const nb::object first = items[0];
    const std::string_view element = natural_type(first);
    for (const Conversion& known : kConversions) {
      static const std::string kLists[] = {"list(type)",  "list(int)",   "list(bool)",   "list(string)",
                                           "list(float)", "list(shape)", "list(tensor)", "list(func)"};
      if (known.type == element) return kLists[&known - kConversions];
    }
  }
  return "tensor";
}

struct ToPython {
  nb::object operator()(const std::string& v) const { return nb::bytes(v.data(), v.size()); }
  nb::object operator()(std::int64_t v) const { return nb::int_(v); }
  nb::object operator()(float v) const { return nb::float_(double(v)); }
  nb::object operator()(bool v) const { return nb::bool_(v); }
  nb::object operator()(DType v) const { return nb::int_(int(v)); }
  nb::object operator()(const Shape& v) const { return to_python(v); }
  nb::object operator()(const Tensor& v) const { return to_numpy(v, true); }
  nb::object operator()(const FunctionName& v) const { return nb::str(v.name.c_str()); }
  template <class T>
  nb::object operator()(const std::vector<T>& items) const {
    nb::list list;
    for (const T& item : items) list.append((*this)(item));
    return list;
  }
};

// ---- nodes

nb::tuple add_node(GraphHandle& handle, const std::string& op_name, std::string name, nb::handle inputs,
                   nb::handle attrs, nb::handle control_inputs, std::string device, std::string source) {
  Graph& graph = *handle.graph;
  const OpDef& op = find_op(op_name);
  NodeSpec spec{.name = name,
                .inputs = to_outputs(graph, inputs),
                .attrs = {},
                .control_inputs = to_nodes(graph, control_inputs),
                .device = std::move(device),
                .source = source};
  try {
    spec.attrs = to_attrs(op, attrs);
  } catch (const Error& error) {
    const std::string where = source.empty() ? std::string() : " (node made at " + source + ")";
    throw DTypeError(str("[", op_name, " '", name, "'] ", error.what(), where), name, op_name);
  }
  const Node& node = graph.add(op, std::move(spec));
  PyObject* made = PyTuple_New(1 + node.num_outputs());
  if (!made) throw nb::python_error();
  PyTuple_SET_ITEM(made, 0, PyLong_FromLong(node.id()));
  for (int i = 0; i < node.num_outputs(); ++i) {
    PyTuple_SET_ITEM(made, i + 1, PyLong_FromLong(long(node.dtype(i))));
  }
  return nb::steal<nb::tuple>(made);
}

nb::list outputs_to_python(std::span<const Output> outputs) {
  nb::list list;
  for (const Output& output : outputs) list.append(nb::make_tuple(output.node->id(), output.index));
  return list;
}

nb::list ids_of(std::span<Node* const> nodes) {
  nb::list list;
  for (const Node* node : nodes) list.append(node->id());
  return list;
}

// Who reads output `index`, in order of creation, each once.
std::vector<int> consumers(const GraphHandle& graph, int id, int index) {
  std::vector<int> ids;
  const Node& node = graph.node(id);
  for (const Use& use : node.uses()) {
    if (use.input != kControl && use.node->input(use.input).index == index &&
        (ids.empty() || ids.back() != use.node->id())) {
      ids.push_back(use.node->id());
    }
  }
  return ids;
}

nb::object attr_of(const GraphHandle& graph, int id, const std::string& name) {
  const Node& node = graph.node(id);
  const auto found = node.attrs().find(name);
  if (found == node.attrs().end()) return nb::none();
  const std::string_view type = attr_type(found->second);
  return nb::make_tuple(nb::str(type.data(), type.size()), to_python(found->second));
}

void set_attr(GraphHandle& graph, int id, const std::string& name, nb::handle value) {
  Node& node = graph.node(id);
  const AttrDef* defined = node.op().find_attr(name);
  Attr attr = to_attr(name, defined ? std::string_view(defined->type) : natural_type(value), value);
  const std::unique_lock lock(graph.graph->mutex());
  node.set_attr(name, std::move(attr));
}

// Computes one node on its own.
nb::list evaluate_op(const std::string& op_name, nb::handle inputs, nb::handle attrs) {
  Graph graph;
  const OpDef& op = find_op(op_name);
  NodeSpec spec{.name = op_name, .inputs = {}, .attrs = to_attrs(op, attrs)};
  std::vector<Tensor> tensors;
  for (nb::handle input : nb::iter(inputs)) {
    tensors.push_back(copy_in(input));
    Node& constant = add_constant(graph, "input" + std::to_string(tensors.size()), tensors.back());
    spec.inputs.push_back(constant.output(0));
  }
  std::vector<Tensor> outputs;
  {
    const nb::gil_scoped_release release;
    Resources resources;
    outputs = evaluate(graph.add(op, std::move(spec)), tensors, resources);
  }
  nb::list arrays;
  for (Tensor& output : outputs) arrays.append(to_numpy(std::move(output), true));
  return arrays;
}

}  // namespace

// ---- shared with other files

Node& GraphHandle::node(int id) const {
  const auto nodes = graph->nodes();
  if (id < 0 || id >= int(nodes.size()) || !nodes[id])
    fail(Code::not_found, "the graph has no node number ", id);
  return *nodes[id];
}

Output GraphHandle::output(int id, int index) const {
  Node& owner = node(id);
  require(index >= 0 && index < owner.num_outputs(), "node '", owner.name(), "' has ", owner.num_outputs(),
          " outputs, there is no number ", index);
  return owner.output(index);
}

nb::object to_python(const Shape& shape) {
  if (!shape.has_rank()) return nb::none();
  PyObject* dims = PyTuple_New(shape.rank());
  if (!dims) throw nb::python_error();
  for (int i = 0; i < shape.rank(); ++i) {
    PyTuple_SET_ITEM(dims, i,
                     shape[i] == kUnknown ? nb::none().release().ptr() : PyLong_FromLongLong(shape[i]));
  }
  return nb::steal(dims);
}

// None for an unknown rank, else dimensions: ints (-1 for unknown), None, or objects with such a `value`.
// What a TensorShape holds is in its `_dims`.
Shape to_shape(nb::handle value) {
  if (value.is_none()) return Shape::unknown();
  if (nb::hasattr(value, "_dims")) {
    const nb::object dims = value.attr("_dims");
    return to_shape(dims);
  }
  std::vector<std::int64_t> dims;
  for (nb::handle item : nb::iter(value)) {
    const nb::object size = nb::hasattr(item, "value") ? nb::object(item.attr("value")) : nb::borrow(item);
    dims.push_back(size.is_none() ? kUnknown : int_of(size));
  }
  return Shape(std::move(dims));
}

nb::object to_python(const Attr& attr) { return std::visit(ToPython(), attr); }

AttrMap to_attrs(const OpDef& op, nb::handle dict) {
  AttrMap attrs;
  if (dict.is_none()) return attrs;
  for (const auto& [key, value] : nb::cast<nb::dict>(dict)) {
    std::string name(text_of(key));
    const AttrDef* defined = op.find_attr(name);
    Attr attr = to_attr(name, defined ? std::string_view(defined->type) : natural_type(value), value);
    attrs.emplace(std::move(name), std::move(attr));
  }
  return attrs;
}

std::vector<Node*> to_nodes(const Graph& graph, nb::handle ids) {
  std::vector<Node*> found;
  if (ids.is_none()) return found;
  for (nb::handle id : nb::iter(ids)) {
    const auto number = int_of(id);
    if (number < 0 || number >= std::int64_t(graph.nodes().size())) internal("no node number ", number);
    found.push_back(graph.nodes()[number].get());
  }
  return found;
}

std::vector<Output> to_outputs(const Graph& graph, nb::handle flat_ids) {
  std::vector<Output> found;
  bool is_index = false;
  for (nb::handle item : nb::iter(flat_ids)) {
    const auto number = int_of(item);
    if (is_index) {
      found.back().index = int(number);
    } else {
      if (number < 0 || number >= std::int64_t(graph.nodes().size())) internal("no node number ", number);
      found.push_back({graph.nodes()[number].get(), 0});
    }
    is_index = !is_index;
  }
  return found;
}

void bind_graph(nb::module_& m) {
  nb::class_<GraphHandle>(m, "Graph", "The core's graph: nodes are ids in order of creation.")
      .def(nb::init<>())
      .def("add", &add_node, nb::arg("op"), nb::arg("name"), nb::arg("inputs"), nb::arg("attrs").none(),
           nb::arg("control_inputs").none(), nb::arg("device"), nb::arg("source"),
           "Adds a node. `inputs` is flat: id, index, id, index... Returns (id, dtype numbers of the "
           "outputs...).")
      .def(
          "size", [](const GraphHandle& g) { return g.graph->nodes().size(); }, "How many nodes there are.")
      .def(
          "find",
          [](const GraphHandle& g, const std::string& name) {
            const Node* node = g.graph->find(name);
            return node ? node->id() : -1;
          },
          nb::arg("name"), "The node's id, or -1.")
      .def(
          "name", [](const GraphHandle& g, int id) { return g.node(id).name(); }, nb::arg("id"))
      .def(
          "op", [](const GraphHandle& g, int id) { return g.node(id).op().name(); }, nb::arg("id"))
      .def(
          "inputs", [](const GraphHandle& g, int id) { return outputs_to_python(g.node(id).inputs()); },
          nb::arg("id"), "(id, index) of each input.")
      .def(
          "control_inputs", [](const GraphHandle& g, int id) { return ids_of(g.node(id).control_inputs()); },
          nb::arg("id"))
      .def(
          "control_consumers",
          [](const GraphHandle& g, int id) {
            std::vector<int> ids;
            for (const Use& use : g.node(id).uses()) {
              if (use.input == kControl) ids.push_back(use.node->id());
            }
            return ids;
          },
          nb::arg("id"), "Nodes that wait for this one.")
      .def("consumers", &consumers, nb::arg("id"), nb::arg("index"), "Nodes that read this output.")
      .def(
          "dtypes",
          [](const GraphHandle& g, int id) {
            const Node& node = g.node(id);
            std::vector<int> numbers;
            for (int i = 0; i < node.num_outputs(); ++i) numbers.push_back(int(node.dtype(i)));
            return numbers;
          },
          nb::arg("id"))
      .def(
          "shape",
          [](const GraphHandle& g, int id, int index) { return to_python(g.output(id, index).shape()); },
          nb::arg("id"), nb::arg("index"),
          nb::sig("def shape(self, id: int, index: int) -> tuple[int | None, ...] | None"),
          "None for an unknown rank, else a tuple with None for what is unknown.")
      .def(
          "merge_shape",
          [](GraphHandle& g, int id, int index, nb::handle shape) {
            const Output output = g.output(id, index);
            const Shape known = to_shape(shape);
            const std::unique_lock lock(g.graph->mutex());
            output.node->merge_shape(index, known);
          },
          nb::arg("id"), nb::arg("index"), nb::arg("shape").none(), "Adds to what is known of a shape.")
      .def(
          "ints",
          [](const GraphHandle& g, int id, int index) -> nb::object {
            const Node& node = *g.output(id, index).node;
            const PartialInts* ints = node.ints(index);
            PartialInts whole;
            const Tensor* value = ints ? nullptr : node.constant();
            if (value && (value->dtype() == DType::int32 || value->dtype() == DType::int64) &&
                value->size() <= kMaxPartialInts) {
              whole = to_ints(*value);
              ints = &whole;
            }
            if (!ints) return nb::none();
            nb::list list;
            for (std::int64_t v : *ints)
              list.append(v == kUnknownValue ? nb::none() : nb::object(nb::int_(v)));
            return list;
          },
          nb::arg("id"), nb::arg("index"),
          nb::sig("def ints(self, id: int, index: int) -> list[int | None] | None"),
          "The value of a small integer output as far as it is known, or None.")
      .def(
          "constant",
          [](const GraphHandle& g, int id) {
            const Tensor* value = g.node(id).constant();
            return value ? to_numpy(*value, true) : nb::none();
          },
          nb::arg("id"), nb::sig("def constant(self, id: int) -> typing.Any"),
          "The value of a constant node, or None.")
      .def(
          "attr_names",
          [](const GraphHandle& g, int id) {
            std::vector<std::string> names;
            for (const auto& [name, value] : g.node(id).attrs()) names.push_back(name);
            return names;
          },
          nb::arg("id"))
      .def("attr", &attr_of, nb::arg("id"), nb::arg("name"),
           nb::sig("def attr(self, id: int, name: str) -> typing.Any"), "(type, value), or None.")
      .def("set_attr", &set_attr, nb::arg("id"), nb::arg("name"), nb::arg("value").none())
      .def(
          "device", [](const GraphHandle& g, int id) { return g.node(id).device(); }, nb::arg("id"))
      .def(
          "set_device",
          [](GraphHandle& g, int id, std::string device) {
            const std::unique_lock lock(g.graph->mutex());
            g.node(id).set_device(std::move(device));
          },
          nb::arg("id"), nb::arg("device"))
      .def(
          "source", [](const GraphHandle& g, int id) { return g.node(id).source(); }, nb::arg("id"),
          "The user's line that made the node, 'train.py:31', or ''.")
      .def(
          "add_control_inputs",
          [](GraphHandle& g, int id, nb::handle ids) {
            Node& node = g.node(id);
            const std::vector<Node*> before = to_nodes(*g.graph, ids);
            const std::unique_lock lock(g.graph->mutex());
            for (Node* other : before) g.graph->add_control_input(node, *other);
          },
          nb::arg("id"), nb::arg("ids"))
      .def("function_names", [](const GraphHandle& g) {
        std::vector<std::string> names;
        for (const auto& [name, function] : g.graph->functions()) names.push_back(name);
        return names;
      });
  m.def("evaluate", &evaluate_op, nb::arg("op"), nb::arg("inputs"), nb::arg("attrs") = nb::none(),
        "Computes one operation on arrays, outside any graph and session; returns a list of arrays.");
}

}  // namespace headrace::python
