// The null device: accepts everything, computes nothing. Its tensors are zeros (or empty strings). For tests
// of placement, partitioning and planning without hardware.
#include <cstring>

#include "core/registry/device.h"

namespace headrace {
namespace {

Tensor zeros(DType dtype, const Shape& shape) {
  // Dimensions that depend on data are as small as can be.
  Shape full = shape.has_rank() ? shape : Shape{0};
  for (int i = 0; i < full.rank(); ++i) {
    if (full[i] == kUnknown) full.set_dim(i, 0);
  }
  Tensor tensor(dtype, full);
  if (is_plain(dtype)) std::memset(tensor.raw(), 0, tensor.bytes());
  return tensor;
}

class NullExecutable final : public Executable {
 public:
  explicit NullExecutable(const Function& function) {
    for (const Output& result : function.results) results_.push_back({result.dtype(), result.shape()});
    for (const Node* node : function.graph.topological_order()) {
      if (!node->has(Trait::argument)) text_ += "  " + node->op().name() + " '" + node->name() + "'\n";
    }
  }
  void run(Step&, std::span<Tensor>, std::span<Tensor> results) override {
    for (std::size_t i = 0; i < results.size(); ++i) results[i] = zeros(results_[i].dtype, results_[i].shape);
  }
  std::string describe() const override { return text_; }

 private:
  std::vector<ValueType> results_;
  std::string text_;
};

class NullDevice final : public Device {
 public:
  explicit NullDevice(int index) : name_("/device:NULL:" + std::to_string(index)) {}
  const std::string& name() const override { return name_; }
  std::string_view type() const override { return "NULL"; }
  bool supports(const Node&) const override { return true; }
  Tensor allocate(DType dtype, const Shape& shape) override { return zeros(dtype, shape); }
  Tensor copy_in(const Tensor& host) override { return zeros(host.dtype(), host.shape()); }
  Tensor copy_out(const Tensor& device) override { return device; }
  std::unique_ptr<Executable> compile(const Function& function, PrepareContext::Environment&,
                                      const CompileOptions&) override {
    return std::make_unique<NullExecutable>(function);
  }

 private:
  const std::string name_;
};

const Registration registered([] {
  add_device_type(
      "NULL", [](int index) { return std::make_unique<NullDevice>(index); }, [] { return 2; }, true);
});

}  // namespace
}  // namespace headrace
