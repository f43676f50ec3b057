// The CPU: prepared kernels run on host memory.
#include "core/executor/executable.h"
#include "core/registry/device.h"

namespace headrace {
namespace {

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int index) : name_("/device:CPU:" + std::to_string(index)) {}
  const std::string& name() const override { return name_; }
  std::string_view type() const override { return "CPU"; }
  bool supports(const Node&) const override { return true; }
  Tensor allocate(DType dtype, const Shape& shape) override { return Tensor(dtype, shape); }
  Tensor copy_in(const Tensor& host) override { return host; }
  Tensor copy_out(const Tensor& device) override { return device; }
  std::unique_ptr<Executable> compile(const Function& function, PrepareContext::Environment& environment,
                                      const CompileOptions& options) override {
    return std::make_unique<CpuExecutable>(function, environment, options, threads_, arenas_, name_);
  }

 private:
  const std::string name_;
  ThreadCache threads_;
  Arenas arenas_;
};

const Registration registered([] {
  add_device_type(
      "CPU", [](int index) { return std::make_unique<CpuDevice>(index); }, [] { return 1; });
});

}  // namespace
}  // namespace headrace
