// What the binding files share. Each file binds one subject and nothing else: what is computed is in core/.
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/tensor.h"
#include "core/graph/graph.h"
#include "core/session/session.h"

namespace headrace::python {

namespace nb = nanobind;

// A Python graph holds the C++ one through this, so that sessions can share it without Python.
// Nodes are named by their ids in Python: a node is never removed from a user's graph.
struct GraphHandle {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Node& node(int id) const;
  Output output(int id, int index) const;
};

// Calls f with the GIL released; on the main thread, f is told how to ask whether Ctrl-C was pressed.
std::function<bool()> interrupt_check();

// ---- arrays (tensor.cc)

// The array's memory lent to the core where its layout allows it, else a copy. The array must be an ndarray
// of a dtype that the core has, or a Tensor.
Tensor borrow(nb::handle array);
// The same, but the memory is the core's own: later changes of the array do not show.
Tensor copy_in(nb::handle array);
// An ndarray, or a NumPy scalar (bytes for a string) if the tensor is one; resources and variants stay
// Tensors. Without a copy if nobody else holds the memory.
nb::object to_numpy(Tensor tensor, bool keep_rank = false);

// ---- graph (graph.cc)

nb::object to_python(const Shape& shape);  // None, or a tuple with None for what is unknown
Shape to_shape(nb::handle shape);
nb::object to_python(const Attr& attr);
AttrMap to_attrs(const OpDef& op, nb::handle dict);
std::vector<Output> to_outputs(const Graph& graph, nb::handle flat_ids);
std::vector<Node*> to_nodes(const Graph& graph, nb::handle ids);

void bind_errors(nb::module_& m);
void bind_tensor(nb::module_& m);
void bind_ops(nb::module_& m);
void bind_graph(nb::module_& m);
void bind_functions(nb::module_& m);
void bind_session(nb::module_& m);
void bind_devices(nb::module_& m);
void bind_kernels(nb::module_& m);
void bind_io(nb::module_& m);
void bind_records(nb::module_& m);
void bind_checkpoint(nb::module_& m);

}  // namespace headrace::python
