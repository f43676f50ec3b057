// Reading checkpoints outside of graphs.
#include <nanobind/stl/string.h>

#include "bindings/python.h"
#include "core/io/checkpoint.h"

namespace headrace::python {

void bind_checkpoint(nb::module_& m) {
  nb::class_<Checkpoint>(m, "Checkpoint", "The tensors of a checkpoint, by name.")
      .def(nb::init<std::string>(), nb::arg("prefix"), nb::call_guard<nb::gil_scoped_release>())
      .def("shards", &Checkpoint::shards, "How many files hold the tensors.")
      .def(
          "entries",
          [](const Checkpoint& checkpoint) {
            nb::list entries;
            for (const auto& [name, entry] : checkpoint.entries()) {
              entries.append(nb::make_tuple(name, int(entry.dtype), to_python(entry.shape)));
            }
            return entries;
          },
          nb::sig("def entries(self) -> list[tuple[str, int, tuple[int, ...]]]"),
          "Name, number of the dtype (0 for one that is unknown here) and shape of each tensor.")
      .def(
          "read",
          [](const Checkpoint& checkpoint, const std::string& name) {
            Tensor tensor;
            {
              const nb::gil_scoped_release release;
              tensor = checkpoint.read(name);
            }
            return to_numpy(std::move(tensor));
          },
          nb::arg("name"), nb::sig("def read(self, name: str) -> typing.Any"), "A tensor as an array.");
}

}  // namespace headrace::python
