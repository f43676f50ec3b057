#include "core/kernels/elementwise.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/base/parallel.h"
#include "core/kernels/fusion.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

constexpr int kMaxOperands = 3;
constexpr std::int64_t kBlock = 1024;  // elements that a loop takes at once; all operands of it fit into L1
constexpr std::size_t kWidest = 16;    // bytes of the widest element
constexpr double kNsPerByte = 0.04;    // of memory traffic, to judge what threads are worth

bool is_16_bit_float(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

// A loop of one, two or three operands.
struct Loop {
  int operands = 0;
  vector::Unary unary = nullptr;
  vector::Binary binary = nullptr;
  vector::Ternary ternary = nullptr;
  double cost = 0;

  void operator()(std::int64_t n, const void* const* x, void* out) const {
    switch (operands) {
      case 1:
        return unary(n, x[0], out);
      case 2:
        return binary(n, x[0], x[1], out);
      default:
        return ternary(n, x[0], x[1], x[2], out);
    }
  }
};

Loop find_loop(const char* op, int operands, DType dtype) {
  Loop loop;
  const auto take = [&](const auto* entry, auto Loop::*member) {
    if (!entry) return;
    loop.operands = operands;
    loop.*member = entry->run;
    loop.cost = double(entry->cost);
  };
  if (operands == 1) take(vector::find_unary(op, dtype), &Loop::unary);
  if (operands == 2) take(vector::find_binary(op, dtype), &Loop::binary);
  if (operands == 3) take(vector::find_ternary(op, dtype), &Loop::ternary);
  return loop;
}

struct Operand {
  int input = -1;  // -1 for a parameter
  std::size_t width = 0;
  vector::Unary to_float = nullptr;        // for 16-bit floats
  alignas(8) std::byte parameter[8] = {};  // the value, if it is one
  std::vector<std::int64_t> strides;       // by dimension, in elements; 0 where it is broadcast
  bool direct = false;                     // a block of it is contiguous in memory

  const std::byte* data(RunContext& r) const { return input < 0 ? parameter : r.input<std::byte>(input); }
};

template <std::size_t Width>
void fill(std::byte* to, const std::byte* value, std::int64_t count) {
  struct alignas(Width) Element {
    std::byte bytes[Width];
  };
  Element element;
  std::memcpy(&element, value, Width);
  std::fill_n(reinterpret_cast<Element*>(to), count, element);
}
void fill(std::size_t width, std::byte* to, const std::byte* value, std::int64_t count) {
  switch (width) {
    case 1:
      return fill<1>(to, value, count);
    case 2:
      return fill<2>(to, value, count);
    case 4:
      return fill<4>(to, value, count);
    case 8:
      return fill<8>(to, value, count);
    default:
      return fill<16>(to, value, count);
  }
}

// The output, row-major, is cut into blocks: `rows` steps of dimension `split` with all the dimensions after
// it (or fewer steps, at the end of that dimension). Operands that are not contiguous over a block are
// expanded into a buffer first; that costs nothing where successive blocks want the same elements (scalars,
// rows that are added to each row).
class Elementwise final : public Kernel {
 public:
  Loop loop;
  std::vector<Operand> operands;
  std::vector<std::int64_t> dims;
  std::size_t out_width = 0;
  vector::Unary from_float = nullptr;

  void arrange() {
    collapse();
    split_ = int(dims.size());
    inner_ = 1;
    while (split_ > 0 && inner_ * dims[std::size_t(split_ - 1)] <= kBlock)
      inner_ *= dims[std::size_t(--split_)];
    if (split_ == 0) {  // one block: make room for a dimension to split
      dims.insert(dims.begin(), 1);
      for (auto& operand : operands) operand.strides.insert(operand.strides.begin(), 0);
    } else {
      --split_;
    }
    rows_ = std::min(kBlock / inner_, dims[std::size_t(split_)]);
    segments_ = (dims[std::size_t(split_)] + rows_ - 1) / rows_;
    blocks_ = segments_;
    for (int d = 0; d < split_; ++d) blocks_ *= dims[std::size_t(d)];
    bool all_direct = from_float == nullptr;
    std::size_t bytes = out_width;
    for (auto& operand : operands) {
      operand.direct = is_direct(operand);
      all_direct &= operand.direct && !operand.to_float;
      bytes += operand.direct ? operand.width : 0;
    }
    flat_ = all_direct && dims.size() == std::size_t(split_) + 1 && split_ == 0;
    if (all_direct && split_ == 0 && blocks_ == 1) flat_ = true;
    cost_ = std::max(loop.cost + (from_float ? 0.3 : 0.0), double(bytes) * kNsPerByte);
  }

  void run(RunContext& r) override {
    std::array<const std::byte*, kMaxOperands> data;
    for (std::size_t k = 0; k < operands.size(); ++k) data[k] = operands[k].data(r);
    auto* out = r.output<std::byte>(0);
    if (flat_) {
      parallel_for(size(), cost_, [&](std::int64_t begin, std::int64_t end) {
        std::array<const void*, kMaxOperands> x{};
        for (std::size_t k = 0; k < operands.size(); ++k)
          x[k] = data[k] + std::size_t(begin) * operands[k].width;
        loop(end - begin, x.data(), out + std::size_t(begin) * out_width);
      });
    } else {
      parallel_for(blocks_, cost_ * double(rows_ * inner_),
                   [&](std::int64_t begin, std::int64_t end) { run_blocks(begin, end, data, out); });
    }
  }

 private:
  std::int64_t size() const { return dims[std::size_t(split_)] * inner_; }  // if flat

  // Drops dimensions of size one and joins those that every operand steps through evenly.
  void collapse() {
    std::vector<std::int64_t> kept;
    std::vector<std::vector<std::int64_t>> strides(operands.size());
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] == 1) continue;
      bool joins = !kept.empty();
      for (std::size_t k = 0; k < operands.size() && joins; ++k) {
        joins = strides[k].back() == operands[k].strides[d] * dims[d];
      }
      if (!joins) kept.push_back(1);
      kept.back() *= dims[d];
      for (std::size_t k = 0; k < operands.size(); ++k) {
        if (joins) strides[k].pop_back();
        strides[k].push_back(operands[k].strides[d]);
      }
    }
    dims = std::move(kept);
    for (std::size_t k = 0; k < operands.size(); ++k) operands[k].strides = std::move(strides[k]);
  }

  bool is_direct(const Operand& operand) const {
    std::int64_t expected = 1;
    for (int d = int(dims.size()) - 1; d >= split_; --d) {
      if (d == split_ && rows_ == 1) break;
      if (dims[std::size_t(d)] != 1 && operand.strides[std::size_t(d)] != expected) return false;
      expected *= dims[std::size_t(d)];
    }
    return true;
  }

  // Copies the elements of a block, `rows` steps of dimension `split_`, one after the other.
  void expand(const Operand& operand, const std::byte* from, std::int64_t rows, std::byte* to) const {
    const int last = int(dims.size()) - 1;
    const auto copy = [&](auto& self, int d, const std::byte* at) -> void {
      const std::int64_t count = d == split_ ? rows : dims[std::size_t(d)],
                         stride = operand.strides[std::size_t(d)];
      if (d < last) {
        for (std::int64_t i = 0; i < count; ++i)
          self(self, d + 1, at + i * stride * std::int64_t(operand.width));
      } else if (stride == 0) {
        fill(operand.width, to, at, count);
        to += count * std::int64_t(operand.width);
      } else {
        std::memcpy(to, at, std::size_t(count) * operand.width);
        to += count * std::int64_t(operand.width);
      }
    };
    copy(copy, split_, from);
  }

  void run_blocks(std::int64_t begin, std::int64_t end,
                  const std::array<const std::byte*, kMaxOperands>& data, std::byte* out) const {
    alignas(64) std::byte expanded[kMaxOperands][std::size_t(kBlock) * kWidest];
    alignas(64) float floats[kMaxOperands + 1][kBlock];
    // What the buffers hold, not to make it again.
    std::array<const std::byte*, kMaxOperands> held{};
    std::array<std::int64_t, kMaxOperands> held_rows{};
    std::array<const void*, kMaxOperands> x{};
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t row = block % segments_ * rows_;
      const std::int64_t rows = std::min(rows_, dims[std::size_t(split_)] - row), count = rows * inner_;
      std::array<std::int64_t, kMaxOperands> offset{};
      for (std::size_t k = 0; k < operands.size(); ++k)
        offset[k] = row * operands[k].strides[std::size_t(split_)];
      std::int64_t index = block / segments_;
      const std::int64_t at = (index * dims[std::size_t(split_)] + row) * inner_;
      for (int d = split_ - 1; d >= 0; --d) {
        const std::int64_t i = index % dims[std::size_t(d)];
        index /= dims[std::size_t(d)];
        for (std::size_t k = 0; k < operands.size(); ++k)
          offset[k] += i * operands[k].strides[std::size_t(d)];
      }
      for (std::size_t k = 0; k < operands.size(); ++k) {
        const Operand& operand = operands[k];
        const std::byte* from = data[k] + offset[k] * std::int64_t(operand.width);
        const bool stale = from != held[k] || rows != held_rows[k];
        held[k] = from;
        held_rows[k] = rows;
        if (!operand.direct) {
          if (stale) expand(operand, from, rows, expanded[k]);
          from = expanded[k];
        }
        if (operand.to_float) {
          if (stale) operand.to_float(count, from, floats[k]);
          from = reinterpret_cast<const std::byte*>(floats[k]);
        }
        x[k] = from;
      }
      std::byte* to = out + std::size_t(at) * out_width;
      if (from_float) {
        loop(count, x.data(), floats[kMaxOperands]);
        from_float(count, floats[kMaxOperands], to);
      } else {
        loop(count, x.data(), to);
      }
    }
  }

  int split_ = 0;
  std::int64_t inner_ = 1, rows_ = 1, segments_ = 1, blocks_ = 1;
  bool flat_ = false;
  double cost_ = 0;
};

// The loop of Select is one for each width of elements.
DType of_width(DType dtype) {
  switch (size_of(dtype)) {
    case 1:
      return DType::uint8;
    case 2:
      return DType::uint16;
    case 4:
      return DType::uint32;
    case 8:
      return DType::uint64;
    default:
      return DType::complex128;
  }
}

std::unique_ptr<Kernel> make(PrepareContext& c, const char* op, std::span<const ValueType> inputs,
                             std::span<const double> parameters) {
  const auto& output = c.outputs()[0];
  const DType dtype = inputs.back().dtype;
  const std::size_t count = inputs.size() + parameters.size();
  if (!is_plain(dtype) || count > kMaxOperands) return nullptr;
  const bool selects = std::string_view(op) == "Select";
  const bool converts = is_16_bit_float(dtype) && !selects;
  const DType computes = selects ? of_width(dtype) : converts ? DType::float32 : dtype;

  auto made = std::make_unique<Elementwise>();
  made->loop = find_loop(op, int(count), computes);
  if (!made->loop.operands) return nullptr;
  if (output.shape.size() == 0) return kernel([](RunContext&) {});
  made->dims.assign(output.shape.dims().begin(), output.shape.dims().end());
  made->out_width = size_of(output.dtype);
  const auto& tables = vector::tables();
  if (is_16_bit_float(output.dtype) && !selects) {
    made->from_float = output.dtype == DType::float16 ? tables.half_of_float : tables.bfloat16_of_float;
  }
  const std::size_t rank = made->dims.size();
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    Operand operand;
    operand.input = int(k);
    operand.width = size_of(inputs[k].dtype);
    if (converts) {
      operand.to_float = inputs[k].dtype == DType::float16 ? tables.float_of_half : tables.float_of_bfloat16;
    }
    const Shape& shape = inputs[k].shape;
    const auto dims = shape.dims();
    const auto strides = strides_of(dims);
    operand.strides.assign(rank, 0);
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] != 1) operand.strides[rank - dims.size() + d] = strides[d];
    }
    if (operand.width == made->out_width && shape == output.shape) c.in_place(0, int(k));
    made->operands.push_back(std::move(operand));
  }
  for (const double parameter : parameters) {
    Operand operand;
    operand.width = size_of(computes);
    operand.strides.assign(rank, 0);
    if (computes == DType::float32) {
      const auto value = float(parameter);
      std::memcpy(operand.parameter, &value, sizeof value);
    } else if (computes == DType::float64) {
      std::memcpy(operand.parameter, &parameter, sizeof parameter);
    } else {
      return nullptr;
    }
    made->operands.push_back(std::move(operand));
  }
  made->arrange();
  return made;
}

}  // namespace

std::unique_ptr<Kernel> elementwise(PrepareContext& c) {
  return elementwise(c, c.node().op().name().c_str());
}
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op,
                                    std::initializer_list<double> parameters) {
  return make(c, op, c.inputs(), {parameters.begin(), parameters.size()});
}
std::unique_ptr<Kernel> elementwise(PrepareContext& c, const char* op, std::span<const ValueType> inputs) {
  return make(c, op, inputs, {});
}

std::vector<TapeEntry> lower_to(const char* loop, const Node& node) {
  const auto inputs = node.inputs();
  if (inputs.empty()) return {};
  const auto cost = loop_cost(loop, int(inputs.size()), inputs.back().dtype());
  if (!cost) return {};
  TapeEntry entry{loop, {}, node.dtype(0), node.shape(0), *cost};
  for (int i = 0; i < int(inputs.size()); ++i) entry.operands.push_back({i, node.input(i).shape()});
  return {std::move(entry)};
}

void add_elementwise(const char* op) {
  add_kernel(op, [](PrepareContext& c) { return elementwise(c); });
  add_lowering(op, [](const Node& node) { return lower_to(node.op().name().c_str(), node); });
}

}  // namespace headrace
