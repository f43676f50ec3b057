// Devices there are, and the names that place nodes on them.
#include "core/registry/device.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings/python.h"

namespace headrace::python {

void bind_devices(nb::module_& m) {
  m.def(
      "device_types",
      [] {
        std::vector<std::pair<std::string, int>> rows;
        for (const DeviceType& type : device_types()) rows.emplace_back(type.type, type.count());
        return rows;
      },
      "(type, how many there are) of each device type.");
  m.def(
      "normalize_device", [](const std::string& text) { return DeviceSpec::parse(text).str(); },
      nb::arg("device"), "'/gpu:0' as '/device:GPU:0' and so on; InvalidArgument for what is no device.");
  m.def(
      "merge_devices",
      [](const std::string& outer, const std::string& inner) {
        return DeviceSpec::parse(outer).merged(DeviceSpec::parse(inner)).str();
      },
      nb::arg("outer"), nb::arg("inner"), "Fields that `inner` sets replace those of `outer`.");
}

}  // namespace headrace::python
