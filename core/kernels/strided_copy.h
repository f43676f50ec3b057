// Copies between arrays that are walked in different orders: what transposes, slices, pads, tiles, joins and
// reversals have in common. Elements are bytes here, of any dtype.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "core/base/tensor.h"
#include "core/registry/kernel.h"

namespace headrace {

// to[i . to_strides] = from[i . from_strides] for every index i in `dims`; strides are in elements and may be
// zero (from: repeat) or negative. Made once, run often.
class StridedCopy {
 public:
  StridedCopy(DType dtype, std::span<const std::int64_t> dims, std::span<const std::int64_t> from_strides,
              std::span<const std::int64_t> to_strides);
  // Offsets in elements.
  void run(const void* from, std::int64_t from_offset, void* to, std::int64_t to_offset) const;
  void run(const void* from, void* to) const { run(from, 0, to, 0); }

  struct Dim {
    std::int64_t size, from, to;
  };

 private:
  DType dtype_;
  std::int64_t count_ = 1;
  std::vector<Dim> dims_;  // outermost first; neighbours that can be walked as one are one
  // Where `from` is contiguous along another dimension (rows) than `to` (columns), these two are walked in
  // tiles and `dims_` is what is left of the others, followed by the tiles.
  bool swapped_ = false;
  bool buffered_ = false;  // a tile is transposed in a buffer first
  Dim rows_{}, columns_{};
  std::int64_t row_tile_ = 0, column_tile_ = 0;
  template <class T>
  void copy(const T* from, T* to) const;
  template <class T>
  void copy_swapped(const T* from, T* to) const;
};

// Sixteen bytes that are only moved.
struct Bytes16 {
  std::uint64_t words[2];
  bool operator==(const Bytes16&) const = default;
};

// Calls f(std::type_identity<T>{}) with a T that moves as an element of the dtype does: kernels that only
// move elements are compiled once for each width, not for each dtype.
template <class F>
void visit_element(DType dtype, F&& f) {
  if (dtype == DType::string) return f(std::type_identity<std::string>{});
  if (dtype == DType::resource) return f(std::type_identity<ResourceRef>{});
  if (dtype == DType::variant) return f(std::type_identity<VariantRef>{});
  switch (size_of(dtype)) {
    case 1:
      return f(std::type_identity<std::uint8_t>{});
    case 2:
      return f(std::type_identity<std::uint16_t>{});
    case 4:
      return f(std::type_identity<std::uint32_t>{});
    case 8:
      return f(std::type_identity<std::uint64_t>{});
    default:
      return f(std::type_identity<Bytes16>{});
  }
}

// Memory of an output in a run: the plan's, or for elements that are not plain bytes a tensor of its own.
class OutputMemory {
 public:
  OutputMemory(PrepareContext& c, int output);
  void* operator()(RunContext& r) const;

 private:
  int output_;
  DType dtype_;
  Shape shape_;
  bool own_;
};

// What a kernel derives from the values of small integer inputs: made once if they are known when it is
// prepared, anew in each run if not. `make` takes one vector for each input and checks it: nobody else has,
// in a run.
template <class Made>
class FromInts {
 public:
  using Ints = std::vector<std::int64_t>;
  using Make = std::function<Made(const std::vector<Ints>&)>;
  FromInts(PrepareContext& c, std::vector<int> inputs, Make make) : make_(std::move(make)) {
    std::vector<Ints> values;
    for (int i : inputs) {
      if (const auto known = c.constant_ints(i)) values.push_back(*known);
      inputs_.push_back({i, c.input_dtype(i), c.input_shape(i).size()});
    }
    if (values.size() == inputs.size()) made_ = std::make_shared<const Made>(make_(values));
  }
  // What was made, if it was made already.
  const Made* now() const { return made_.get(); }
  template <class Use>
  void with(const RunContext& r, Use&& use) const {
    if (made_) return use(*made_);
    std::vector<Ints> values;
    for (const Source& source : inputs_) {
      visit(IndexTypes{}, source.dtype, [&]<class T>(std::type_identity<T>) {
        const T* data = r.input<T>(source.input);
        values.emplace_back(data, data + source.count);
      });
    }
    use(make_(values));
  }

 private:
  struct Source {
    int input;
    DType dtype;
    std::int64_t count;
  };
  Make make_;
  std::vector<Source> inputs_;
  std::shared_ptr<const Made> made_;
};

// Sets count elements to zero: 0, False, the empty string.
void set_zero(DType dtype, void* to, std::int64_t count);
// Sets count elements to the one at `value`.
void set_all(DType dtype, void* to, const void* value, std::int64_t count);

}  // namespace headrace
