// Sessions and their prepared signatures.
#include "core/session/session.h"
#include "core/registry/trace.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python.h"

namespace headrace::python {
namespace {

unsigned long main_thread = 0;

struct SessionHandle {
  std::shared_ptr<Session> session;
  SessionHandle() = default;
  SessionHandle(SessionHandle&&) = default;
  ~SessionHandle() {
    // Running steps may need Python to come to their end.
    if (!session || !Py_IsInitialized()) return;
    const nb::gil_scoped_release release;
    session.reset();
  }
};

struct CallableHandle {
  std::shared_ptr<Session> session;  // outlives the callable
  std::shared_ptr<Callable> callable;
  CallableHandle(std::shared_ptr<Session> session, std::shared_ptr<Callable> callable)
      : session(std::move(session)), callable(std::move(callable)) {}
  CallableHandle(CallableHandle&&) = default;
  ~CallableHandle() {
    if (!session || !Py_IsInitialized()) return;
    const nb::gil_scoped_release release;
    callable.reset();
    session.reset();
  }
};

std::vector<Tensor> borrow_all(nb::handle arrays) {
  std::vector<Tensor> tensors;
  for (nb::handle array : nb::iter(arrays)) tensors.push_back(borrow(array));
  return tensors;
}

nb::tuple event_to_python(const TraceEvent& e) {
  nb::list outputs;
  for (const TraceEvent::Output& output : e.outputs) {
    outputs.append(nb::make_tuple(int(output.dtype), to_python(output.shape), output.bytes, output.in_arena));
  }
  return nb::make_tuple(e.node, e.op, e.device, e.start_ns, e.end_ns, e.lane, outputs);
}

nb::tuple piece_to_python(const TracePiece& piece) {
  nb::list nodes;
  for (const TracePiece::Node& node : piece.nodes)
    nodes.append(nb::make_tuple(node.name, node.op, node.inputs));
  return nb::make_tuple(piece.device, nodes);
}

nb::list run(CallableHandle& self, nb::handle feeds, std::int64_t timeout_ms, nb::handle trace_into,
             nb::handle pieces_into) {
  const std::vector<Tensor> tensors = borrow_all(feeds);
  Trace trace(!pieces_into.is_none());
  RunOptions options;
  options.timeout_ms = timeout_ms;
  if (!trace_into.is_none() || !pieces_into.is_none()) options.trace = &trace;
  options.interrupted = interrupt_check();
  std::vector<Tensor> results;
  try {
    const nb::gil_scoped_release release;
    results = self.callable->run(tensors, options);
  } catch (const Error&) {
    if (PyErr_Occurred())
      throw nb::python_error();  // KeyboardInterrupt, or what another signal's handler raised
    throw;
  }
  if (!trace_into.is_none()) {
    nb::list events = nb::borrow<nb::list>(trace_into);
    for (const TraceEvent& event : trace.take()) events.append(event_to_python(event));
  }
  if (!pieces_into.is_none()) {
    nb::list pieces = nb::borrow<nb::list>(pieces_into);
    for (const TracePiece& piece : trace.take_pieces()) pieces.append(piece_to_python(piece));
  }
  PyObject* arrays = PyList_New(Py_ssize_t(results.size()));
  if (!arrays) throw nb::python_error();
  nb::list list = nb::steal<nb::list>(arrays);
  for (std::size_t i = 0; i < results.size(); ++i) {
    PyList_SET_ITEM(arrays, Py_ssize_t(i), to_numpy(std::move(results[i])).release().ptr());
  }
  return list;
}

SessionHandle make_session(const GraphHandle& graph, std::vector<std::string> disabled_passes,
                           bool allow_soft_placement, bool log_placement, bool verify, int cache_size,
                           int inter_op_threads, int intra_op_threads, std::string target,
                           std::vector<std::string> device_types) {
  SessionOptions options;
  options.plan.disabled_passes = std::move(disabled_passes);
  options.plan.allow_soft_placement = allow_soft_placement;
  options.plan.log_placement = log_placement;
  options.plan.verify = verify;
  options.plan.cache_size = std::size_t(cache_size);
  options.plan.compile.inter_op_threads = inter_op_threads;
  options.plan.compile.verify = verify;
  options.intra_op_threads = intra_op_threads;
  options.target = std::move(target);
  options.device_types = std::move(device_types);
  SessionHandle handle;
  handle.session = std::make_shared<Session>(graph.graph, std::move(options));
  return handle;
}

CallableHandle make_callable(SessionHandle& self, nb::handle fed, nb::handle fetched, nb::handle targets) {
  Graph& graph = self.session->graph();
  std::vector<Output> feeds = to_outputs(graph, fed), fetches = to_outputs(graph, fetched);
  std::vector<Node*> nodes = to_nodes(graph, targets);
  const nb::gil_scoped_release release;
  return {self.session, self.session->callable(std::move(feeds), std::move(fetches), std::move(nodes))};
}

}  // namespace

std::function<bool()> interrupt_check() {
  if (PyThread_get_thread_ident() != main_thread) return {};
  return [] {
    const nb::gil_scoped_acquire gil;
    return PyErr_Occurred() || PyErr_CheckSignals() != 0;
  };
}

void bind_session(nb::module_& m) {
  const nb::object main = nb::module_::import_("threading").attr("main_thread")();
  main_thread = nb::cast<unsigned long>(main.attr("ident"));

  nb::class_<CallableHandle>(m, "Callable", "One (feeds, fetches, targets) signature made ready to run.")
      .def("run", &run, nb::arg("feeds"), nb::arg("timeout_ms") = 0, nb::arg("trace") = nb::none(),
           nb::arg("pieces") = nb::none(),
           "Runs one step on arrays of the fed dtypes; returns a list of arrays. A list given as `trace` is "
           "extended by (node, op, device, start_ns, end_ns, lane, outputs) of everything that ran, where "
           "outputs are (dtype, shape, bytes, in_arena); a list given as `pieces` by (device, nodes) of the "
           "plans that ran, where nodes are (name, op, inputs) and inputs are (name, index).")
      .def(
          "describe",
          [](CallableHandle& self, nb::handle feeds) { return self.callable->describe(borrow_all(feeds)); },
          nb::arg("feeds"), "The plan for such feeds, for people and tests.")
      .def_prop_ro("num_plans", [](const CallableHandle& self) { return self.callable->num_plans(); })
      .def_prop_ro("num_planned", [](const CallableHandle& self) { return self.callable->num_planned(); });

  nb::class_<SessionHandle>(m, "Session", "The core's session over a graph.")
      .def(nb::new_(&make_session), nb::arg("graph"), nb::kw_only(),
           nb::arg("disabled_passes") = std::vector<std::string>(), nb::arg("allow_soft_placement") = true,
           nb::arg("log_placement") = false, nb::arg("verify") = false, nb::arg("cache_size") = 64,
           nb::arg("inter_op_threads") = 0, nb::arg("intra_op_threads") = 0, nb::arg("target") = "",
           nb::arg("device_types") = std::vector<std::string>())
      .def("callable", &make_callable, nb::arg("fed"), nb::arg("fetched"), nb::arg("targets"),
           "`fed` and `fetched` are flat: id, index, id, index...; `targets` are ids.")
      .def(
          "close", [](SessionHandle& self) { self.session->close(); },
          nb::call_guard<nb::gil_scoped_release>(), "Cancels running steps and refuses new ones.")
      .def_prop_ro("closed", [](const SessionHandle& self) { return self.session->closed(); })
      .def(
          "devices",
          [](const SessionHandle& self) {
            std::vector<std::pair<std::string, std::string>> rows;
            for (const auto& device : self.session->devices()) {
              rows.emplace_back(device->name(), std::string(device->type()));
            }
            return rows;
          },
          "(name, type) of each.")
      .def(
          "resources",
          [](const SessionHandle& self) {
            nb::list rows;
            for (const auto& [container, name, text] : self.session->resources().list()) {
              rows.append(nb::make_tuple(container, name, text));
            }
            return rows;
          },
          "(container, name, description) of the state there is.")
      .def_static(
          "reset",
          [](const std::string& target, const std::vector<std::string>& containers) {
            Session::reset(target, containers);
          },
          nb::arg("target"), nb::arg("containers"), nb::call_guard<nb::gil_scoped_release>(),
          "Forgets the state of these containers (all if none are named) in the sessions of `target`.");
  m.def(
      "passes",
      [] {
        nb::list rows;
        for (const Pass& pass : pipeline()) {
          rows.append(nb::make_tuple(std::string(pass.name), std::string(pass.doc)));
        }
        return rows;
      },
      "(name, doc) of the passes, in order.");
}

}  // namespace headrace::python
