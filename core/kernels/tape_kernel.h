// What tapes are compiled to (kernels/fusion.cc), and the kernels that run that: calls of loops on places,
// block by block.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/base/tensor.h"
#include "core/kernels/reduction.h"
#include "core/kernels/vector/vector.h"
#include "core/registry/kernel.h"
#include "core/registry/tape.h"

namespace headrace {

inline bool is_16_bit_float(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

// What a loop reads or writes: a piece of an input, of a number, of an output, or a register, which is memory
// for one block.
struct Place {
  enum Kind { input, number, output, reg, gathered } kind;  // gathered: a register that is summed at the end
  int index = -1;                                           // of the input or the output
  std::size_t width = 0;
  std::vector<std::int64_t> strides =
      {};                  // of inputs, numbers and outputs, by dimension, in elements; 0 where it repeats
  std::int64_t begin = 0;  // the first element that is read or written
  bool is_box = false;
  bool by_row = false;  // has an element for each row
  bool scalar = false;  // of inputs and numbers: one element, which loops take for all
  alignas(8) std::array<std::byte, 8> value{};
  bool direct = false;     // of inputs: a block of it is contiguous in memory
  int last = -1;           // the last call that reads it
  std::size_t offset = 0;  // in the thread's memory: of registers, and of inputs that are not direct
};

// One loop on places: positions in the list of pointers that a block has.
struct Call {
  enum Kind { elements, reduce, repeat } kind = elements;
  int operands = 0;
  vector::Unary unary = nullptr;
  vector::Binary binary = nullptr;
  vector::Ternary ternary = nullptr;
  double cost = 0;
  std::array<int, 3> from{};
  int to = 0;
  Reducer reducer = {};   // of `reduce`: each row to an element
  std::size_t width = 0;  // of an element of `repeat`, which makes a row of each element
  bool by_row = false;    // `elements` are those of rows

  void operator()(std::int64_t n, std::byte* const* places) const {
    switch (operands) {
      case 1:
        return unary(n, places[from[0]], places[to]);
      case 2:
        return binary(n, places[from[0]], places[from[1]], places[to]);
      default:
        return ternary(n, places[from[0]], places[from[1]], places[from[2]], places[to]);
    }
  }
};

struct Program {
  std::vector<Place> places;
  std::vector<Call> calls;
  std::vector<std::int64_t> dims;  // what broadcasts cut the elements into
};

// A reduction at the end: of elements (outer, rows, inner) over their middle, into an output of its own.
struct Tail {
  int place;
  int output;
  DType dtype;  // of the output
  std::int64_t outer, rows, inner;
  Reducer reducer;
  std::size_t width;  // of an element in between
};

// Runs the calls for blocks of elements.
std::unique_ptr<Kernel> run_by_blocks(Program program);
// The same where elements are rows of `width`, some of which are reduced, or all rows at the end. Blocks are
// whole rows where anything has an element for each row.
std::unique_ptr<Kernel> run_by_rows(PrepareContext& c, Program program, std::int64_t width,
                                    std::vector<Tail> tails);

}  // namespace headrace
