// A device: one class with four verbs (allocate, copy in, copy out, compile). Found by type name; a C++ or a
// Python class registers a factory, and adding one edits nothing.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph/graph.h"
#include "core/registry/kernel.h"

namespace headrace {

// A function compiled for a device and for the shapes of its arguments. Safe to run in several steps at once.
class Executable {
 public:
  virtual ~Executable() = default;
  // `arguments` and `results` are tensors of the device. Arguments are consumed: memory that nobody else
  // holds may be freed or reused after its last reader. A result that arrives holding a unique buffer of the
  // right dtype and size is written in place; others are allocated.
  virtual void run(Step& step, std::span<Tensor> arguments, std::span<Tensor> results) = 0;
  // What it does, for people and tests: one line a step.
  virtual std::string describe() const = 0;
};

struct CompileOptions {
  int inter_op_threads = 0;  // lanes; 0 lets the device decide
  bool verify = false;       // check invariants while compiling
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const std::string& name() const = 0;  // "/device:CPU:0"
  virtual std::string_view type() const = 0;    // "CPU"
  // Whether it can run this node at all.
  virtual bool supports(const Node& node) const = 0;

  virtual Tensor allocate(DType dtype, const Shape& shape) = 0;
  virtual Tensor copy_in(const Tensor& host) = 0;     // host memory -> device
  virtual Tensor copy_out(const Tensor& device) = 0;  // device -> host memory
  // All argument shapes are full; `environment` gives kernels state and callees and outlives the executable.
  virtual std::unique_ptr<Executable> compile(const Function& function,
                                              PrepareContext::Environment& environment,
                                              const CompileOptions& options) = 0;
};

// Makes device number `index` of its type.
using DeviceFactory = std::function<std::unique_ptr<Device>(int index)>;
// `count` says how many there are, now. `on_request` devices are made only for sessions that name their type.
void add_device_type(std::string type, DeviceFactory factory, std::function<int()> count,
                     bool on_request = false);
struct DeviceType {
  std::string type;
  DeviceFactory factory;
  std::function<int()> count;
  bool on_request;
};
std::vector<DeviceType> device_types();

// A device specification, partial or full: "/job:worker/replica:0/task:1/device:GPU:0", "/cpu:0", "gpu", "".
struct DeviceSpec {
  std::string job;
  int replica = -1, task = -1;
  std::string type;  // upper case; "*" and "" for any
  int index = -1;
  static DeviceSpec parse(std::string_view text);  // InvalidArgument
  std::string str() const;
  // Fields that `inner` sets replace these.
  DeviceSpec merged(const DeviceSpec& inner) const;
};

}  // namespace headrace
