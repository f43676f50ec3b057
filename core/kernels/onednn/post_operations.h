// Post-operations as the library does them: on its accumulators, before it stores them.
#pragma once

#include "core/kernels/onednn/onednn.h"
#include "core/kernels/post_operations.h"

namespace headrace::onednn {

// Those of a node; none where it is not a fused one.
class PostOps {
 public:
  // `results` is how the library sees the node's output 0, channels along its dimension `channel`, which is
  // the output's own `channel_axis`.
  PostOps(PrepareContext& c, const memory::desc& results, int channel, int channel_axis, Scratch& scratch);

  // For the primitive's description, with scratch of the caller's.
  const dnnl::primitive_attr& attr() const { return attr_; }
  // The primitive's arguments: its own, then the operands.
  std::vector<Primitive::Argument> arguments(std::vector<Primitive::Argument> own) const;
  // Runs it with its own pointers, then those of the operands.
  void run(const Primitive& primitive, RunContext& r, std::initializer_list<const void*> own) const;

 private:
  struct Operand {
    Primitive::Argument argument;
    int input = -1;               // of the node,
    std::size_t offset = 0;       // or else in scratch,
    const void* fixed = nullptr;  // or else this
  };
  // A normalisation's four inputs become a factor and a shift in scratch.
  struct Normalization {
    int first;
    float epsilon;
    std::int64_t channels;
    std::size_t factor, shift;
  };
  dnnl::primitive_attr attr_;
  std::vector<Operand> operands_;
  std::vector<Normalization> normalizations_;
};

}  // namespace headrace::onednn
