// Copies between two layouts of a tensor, and operands that need one.
#pragma once

#include <mutex>

#include "core/kernels/onednn/onednn.h"

namespace headrace::onednn {

// Weights as users keep them, (height, width, in, out), differ from most layouts that the library packs them
// into by where each run of 16 or more neighbouring elements stands, or else by a transposition of blocks.
// Such copies are made here, at the speed of memory; the library makes the others.
class Reorder {
 public:
  Reorder() = default;
  Reorder(const memory::desc& from, const memory::desc& to);
  explicit operator bool() const { return rows_ || boxes_ || primitive_; }
  void run(const void* from, void* to) const;

 private:
  struct Cut;
  struct Rows;
  struct Boxes;
  std::shared_ptr<const Rows> rows_;
  std::shared_ptr<const Boxes> boxes_;
  Primitive primitive_;
};

// An operand that the library wants in a layout of its own. A constant is brought into it once, when the
// kernel prepares; the value of a variable once while nobody changes it; anything else in every run.
class Operand {
 public:
  Operand() = default;
  // `plain` is how input `index` lies in memory, `wanted` how the primitive reads it. What is `read_often` in
  // a step is brought into that layout once, for all kernels that want it so.
  Operand(PrepareContext& c, int index, const memory::desc& plain, const memory::desc& wanted,
          Scratch& scratch, bool read_often = false);
  // The operand in the wanted layout, for as long as this lives.
  struct Value {
    const void* data;
    Tensor held = {};
  };
  Value get(RunContext& r) const;

 private:
  // A copy in the wanted layout is worth its memory where the same content comes a second time: weights while
  // nobody trains them. Copies are never written again; who is at work with one holds it.
  struct Kept {
    std::mutex mutex;
    std::uint64_t last = 0, version = 0;  // of the content met last, and of the copy's
    Tensor copy;
  };
  int index_ = 0;
  Tensor constant_;
  Reorder reorder_;
  std::size_t offset_ = 0, bytes_ = 0;
  bool shared_ = false;
  std::shared_ptr<Kept> kept_;
};

}  // namespace headrace::onednn
