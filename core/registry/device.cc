#include "core/registry/device.h"

#include <algorithm>
#include <charconv>

namespace headrace {
namespace {

std::vector<DeviceType>& types() {
  static std::vector<DeviceType> list;
  return list;
}

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return result;
}

int number_in(std::string_view text, std::string_view whole) {
  if (text == "*") return -1;
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc() && end == text.data() + text.size() && value >= 0, "'", text, "' in device '",
          whole, "' must be a number or *");
  return value;
}

}  // namespace

void add_device_type(std::string type, DeviceFactory factory, std::function<int()> count, bool on_request) {
  for (const DeviceType& known : types()) {
    if (known.type == type) fail(Code::already_exists, "device type ", type, " is registered twice");
  }
  types().push_back({std::move(type), std::move(factory), std::move(count), on_request});
}

std::vector<DeviceType> device_types() { return types(); }

DeviceSpec DeviceSpec::parse(std::string_view text) {
  DeviceSpec spec;
  std::string_view rest = text;
  while (!rest.empty()) {
    if (rest.front() == '/') rest.remove_prefix(1);
    const auto end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end);
    if (part.empty()) continue;
    std::vector<std::string_view> fields;
    for (std::string_view left = part;;) {
      const auto colon = left.find(':');
      fields.push_back(left.substr(0, colon));
      if (colon == left.npos) break;
      left.remove_prefix(colon + 1);
    }
    const std::string_view key = fields[0];
    const auto count = fields.size();
    if (key == "job" && count == 2) {
      spec.job = fields[1];
    } else if (key == "replica" && count == 2) {
      spec.replica = number_in(fields[1], text);
    } else if (key == "task" && count == 2) {
      spec.task = number_in(fields[1], text);
    } else if (key == "device" && (count == 2 || count == 3)) {
      spec.type = fields[1] == "*" ? "" : upper(fields[1]);
      if (count == 3) spec.index = number_in(fields[2], text);
    } else if (count <= 2 && key != "job" && key != "replica" && key != "task" && key != "device") {
      spec.type = upper(key);  // the short form, "cpu:0"
      if (count == 2) spec.index = number_in(fields[1], text);
    } else {
      invalid("device '", text, "' is malformed at '", part,
              "'; expected for instance '/device:CPU:0' or '/job:worker/task:1'");
    }
  }
  return spec;
}

std::string DeviceSpec::str() const {
  std::string text;
  if (!job.empty()) text += "/job:" + job;
  if (replica >= 0) text += "/replica:" + std::to_string(replica);
  if (task >= 0) text += "/task:" + std::to_string(task);
  if (!type.empty()) text += "/device:" + type + ":" + (index >= 0 ? std::to_string(index) : "*");
  return text;
}

DeviceSpec DeviceSpec::merged(const DeviceSpec& inner) const {
  DeviceSpec spec = *this;
  if (!inner.job.empty()) spec.job = inner.job;
  if (inner.replica >= 0) spec.replica = inner.replica;
  if (inner.task >= 0) spec.task = inner.task;
  if (!inner.type.empty()) spec.type = inner.type, spec.index = -1;
  if (inner.index >= 0) spec.index = inner.index;
  return spec;
}

}  // namespace headrace
