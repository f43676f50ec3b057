#include "core/kernels/fusion.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/parallel.h"
#include "core/kernels/cast.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

// What the values of one block take together: most of a first-level cache.
constexpr std::int64_t kCacheBytes = 24 << 10;
constexpr std::int64_t kLeastBlock = 256, kMostBlock = 2048;  // elements
constexpr std::int64_t kLeastRun = 128;                       // elements that are worth a block of their own
constexpr double kNsPerByte = 0.04;  // of memory traffic, to judge what threads are worth
constexpr double kNsPerCall = 8;
// Tapes that touch more memory than this fetch the next block ahead of time: loops that take long leave the
// memory idle otherwise.
constexpr double kFetchesAhead = 1 << 20;  // bytes

bool is_16_bit_float(DType dtype) { return dtype == DType::float16 || dtype == DType::bfloat16; }

// As what a value is kept between loops.
DType held(DType dtype) { return is_16_bit_float(dtype) ? DType::float32 : dtype; }

// The loop of a choice is one for each width of elements.
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

template <std::size_t Width>
struct alignas(Width) Element {
  std::byte bytes[Width];
};
// Calls f(std::type_identity<Element<width>>{}).
template <class F>
void with_width(std::size_t width, F&& f) {
  switch (width) {
    case 1:
      return f(std::type_identity<Element<1>>{});
    case 2:
      return f(std::type_identity<Element<2>>{});
    case 4:
      return f(std::type_identity<Element<4>>{});
    case 8:
      return f(std::type_identity<Element<8>>{});
    default:
      return f(std::type_identity<Element<16>>{});
  }
}
void fill(std::size_t width, std::byte* to, const std::byte* value, std::int64_t count) {
  with_width(width, [&]<class E>(std::type_identity<E>) {
    E element;
    std::memcpy(&element, value, sizeof(E));
    std::fill_n(reinterpret_cast<E*>(to), count, element);
  });
}
vector::Unary copy_loop(std::size_t width) {
  vector::Unary loop = nullptr;
  with_width(width, [&]<class E>(std::type_identity<E>) {
    loop = [](std::int64_t n, const void* x, void* y) { std::memcpy(y, x, std::size_t(n) * sizeof(E)); };
  });
  return loop;
}

// One loop on places: positions in the list of pointers that a block has.
struct Call {
  int operands = 0;
  vector::Unary unary = nullptr;
  vector::Binary binary = nullptr;
  vector::Ternary ternary = nullptr;
  double cost = 0;
  std::array<int, 3> from{};
  int to = 0;

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

Call call_of(const std::string& loop, int operands, DType dtype) {
  Call call;
  const auto take = [&](const auto* entry, auto Call::*member) {
    if (!entry) return;
    call.operands = operands;
    call.*member = entry->run;
    call.cost = double(entry->cost);
  };
  if (loop == "Select") dtype = of_width(dtype);
  if (operands == 1) take(vector::find_unary(loop.c_str(), dtype), &Call::unary);
  if (operands == 2) take(vector::find_binary(loop.c_str(), dtype), &Call::binary);
  if (operands == 3) take(vector::find_ternary(loop.c_str(), dtype), &Call::ternary);
  return call;
}
Call call_of(vector::Unary loop, double cost) {
  Call call;
  call.operands = 1;
  call.unary = loop;
  call.cost = cost;
  return call;
}

// What a loop reads or writes: a piece of an input, of a number, of an output, or a register, which is memory
// for one block.
struct Place {
  enum Kind { input, number, output, reg } kind;
  int index = -1;  // of the input or the output
  std::size_t width = 0;
  std::vector<std::int64_t> strides =
      {};                  // of inputs, numbers and outputs, by dimension, in elements; 0 where it repeats
  std::int64_t begin = 0;  // the first element that is read or written
  bool is_box = false;
  alignas(8) std::array<std::byte, 8> value{};
  bool direct = false;     // of inputs: a block of it is contiguous in memory
  int last = -1;           // the last call that reads it
  std::size_t offset = 0;  // in the thread's memory: of registers, and of inputs that are not direct
};

class TapeKernel final : public Kernel {
 public:
  std::vector<Place> places;
  std::vector<Call> calls;
  std::vector<std::int64_t> dims;

  // Everything but `dims`, `places` and `calls`, which are complete.
  void arrange() {
    allocate_registers();
    collapse();
    const std::int64_t most = block_size();
    split_ = int(dims.size());
    inner_ = 1;
    const auto breaks = [&](Place::Kind kind, int d) {  // a box of this kind is not contiguous along d, too
      return std::any_of(places.begin(), places.end(), [&](const Place& place) {
        return place.is_box && place.kind == kind && place.strides[std::size_t(d)] != inner_;
      });
    };
    while (split_ > 0 && inner_ * dims[std::size_t(split_ - 1)] <= most && !breaks(Place::output, split_ - 1))
      inner_ *= dims[std::size_t(--split_)];
    if (split_ == 0) {  // one block: make room for a dimension to split
      dims.insert(dims.begin(), 1);
      for (auto& place : places) place.strides.insert(place.strides.begin(), 0);
    } else {
      --split_;
    }
    // Boxes are written where they stand, one run of neighbours after the other, and read so as well; only
    // inputs with short runs are gathered first.
    const std::int64_t size = dims[std::size_t(split_)];
    const bool by_runs =
        breaks(Place::output, split_) || (inner_ >= kLeastRun && breaks(Place::input, split_));
    segments_ = by_runs ? size : (size + most / inner_ - 1) / (most / inner_);
    rows_ = (size + segments_ - 1) / segments_;
    segments_ = (size + rows_ - 1) / rows_;
    blocks_ = segments_;
    for (int d = 0; d < split_; ++d) blocks_ *= dims[std::size_t(d)];

    double traffic = 0;
    thread_bytes_ = std::size_t(registers_) * register_bytes();
    for (auto& place : places) {
      if (place.kind == Place::input) place.direct = is_direct(place);
      if (place.direct || place.kind == Place::output) traffic += double(place.width) * kNsPerByte;
      if (place.kind == Place::output || place.direct) continue;
      if (place.kind == Place::reg) {
        place.offset *= register_bytes();
      } else {
        place.offset = std::exchange(thread_bytes_, thread_bytes_ + register_bytes());
      }
    }
    fetches_ahead_ = traffic / kNsPerByte * double(rows_ * inner_ * blocks_) > kFetchesAhead;
    double loops = 0;
    for (const Call& call : calls) loops += call.cost;
    cost_ = std::max(loops, traffic) * double(rows_ * inner_) + kNsPerCall * double(calls.size());
  }

  void run(RunContext& r) override {
    parallel_for(blocks_, cost_, [&](std::int64_t begin, std::int64_t end) { run_blocks(r, begin, end); });
  }

 private:
  std::size_t register_bytes() const {
    return (std::size_t(rows_ * inner_) * widest_ + kAlignment - 1) / kAlignment * kAlignment;
  }

  // Gives registers numbers (in `offset`, for now), as few as possible.
  void allocate_registers() {
    std::vector<int> free;
    for (const Place& place : places) widest_ = std::max(widest_, place.width);
    std::vector<bool> held_now(places.size(), false);
    for (int i = 0; i < int(calls.size()); ++i) {
      const Call& call = calls[std::size_t(i)];
      // A loop may write over what it reads.
      for (int k = 0; k < call.operands; ++k) {
        const int from = call.from[std::size_t(k)];
        Place& place = places[std::size_t(from)];
        if (place.kind != Place::reg || place.last != i || !held_now[std::size_t(from)]) continue;
        held_now[std::size_t(from)] = false;
        if (place.width == places[std::size_t(call.to)].width) {
          free.push_back(int(place.offset));
        } else {
          later_.push_back(int(place.offset));  // elements of another width would overtake each other
        }
      }
      Place& to = places[std::size_t(call.to)];
      if (to.kind == Place::reg && !held_now[std::size_t(call.to)]) {
        if (free.empty()) {
          to.offset = std::size_t(registers_++);
        } else {
          to.offset = std::size_t(free.back());
          free.pop_back();
        }
        held_now[std::size_t(call.to)] = true;
        if (to.last <= i) {  // nobody reads it
          held_now[std::size_t(call.to)] = false;
          later_.push_back(int(to.offset));
        }
      }
      free.insert(free.end(), later_.begin(), later_.end());
      later_.clear();
    }
  }

  std::int64_t block_size() const {
    std::int64_t bytes = registers_ * std::int64_t(widest_);
    for (const Place& place : places) bytes += place.kind == Place::reg ? 0 : std::int64_t(place.width);
    const std::int64_t elements = kCacheBytes / std::max<std::int64_t>(bytes, 1);
    return std::clamp(elements / 64 * 64, kLeastBlock, kMostBlock);
  }

  static bool has_strides(const Place& place) { return place.kind != Place::reg; }

  // Drops dimensions of size one and joins those that every operand steps through evenly.
  void collapse() {
    std::vector<std::int64_t> kept;
    std::vector<std::vector<std::int64_t>> strides(places.size());
    for (std::size_t d = 0; d < dims.size(); ++d) {
      if (dims[d] == 1) continue;
      bool joins = !kept.empty();
      for (std::size_t k = 0; k < places.size() && joins; ++k) {
        joins = !has_strides(places[k]) || strides[k].back() == places[k].strides[d] * dims[d];
      }
      if (!joins) kept.push_back(1);
      kept.back() *= dims[d];
      for (std::size_t k = 0; k < places.size(); ++k) {
        if (!has_strides(places[k])) continue;
        if (joins) strides[k].pop_back();
        strides[k].push_back(places[k].strides[d]);
      }
    }
    dims = std::move(kept);
    for (std::size_t k = 0; k < places.size(); ++k) places[k].strides = std::move(strides[k]);
  }

  bool is_direct(const Place& place) const {
    std::int64_t expected = 1;
    for (int d = int(dims.size()) - 1; d >= split_; --d) {
      if (d == split_ && rows_ == 1) break;
      if (dims[std::size_t(d)] != 1 && place.strides[std::size_t(d)] != expected) return false;
      expected *= dims[std::size_t(d)];
    }
    return true;
  }

  // Copies the elements of a block, `rows` steps of dimension `split_`, one after the other.
  void expand(const Place& place, const std::byte* from, std::int64_t rows, std::byte* to) const {
    const int last = int(dims.size()) - 1;
    const auto width = std::int64_t(place.width);
    const auto copy = [&](auto& self, int d, const std::byte* at) -> void {
      const std::int64_t count = d == split_ ? rows : dims[std::size_t(d)],
                         stride = place.strides[std::size_t(d)];
      if (d < last) {
        for (std::int64_t i = 0; i < count; ++i) self(self, d + 1, at + i * stride * width);
        return;
      }
      if (stride == 0) {
        fill(place.width, to, at, count);
      } else {
        std::memcpy(to, at, std::size_t(count * width));
      }
      to += count * width;
    };
    copy(copy, split_, from);
  }

  void run_blocks(RunContext& r, std::int64_t begin, std::int64_t end) const {
    // Kept from run to run, so that it stays in the cache.
    thread_local BufferRef memory;
    thread_local std::vector<std::byte*> at;
    thread_local std::vector<const std::byte*> shown;  // what is expanded, not to do it again
    if (!memory || memory->bytes() < thread_bytes_)
      memory = BufferRef::allocate(std::max<std::size_t>(thread_bytes_, 64));
    auto* own = static_cast<std::byte*>(memory->data());
    at.assign(places.size(), nullptr);
    shown.assign(places.size(), nullptr);
    for (std::size_t k = 0; k < places.size(); ++k) at[k] = own + places[k].offset;
    std::int64_t shown_rows = 0;
    const std::int64_t size = dims[std::size_t(split_)];
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t row = block % segments_ * rows_, rows = std::min(rows_, size - row);
      for (std::size_t k = 0; k < places.size(); ++k) {
        const Place& place = places[k];
        if (place.kind == Place::reg) continue;
        std::int64_t offset = place.begin + row * place.strides[std::size_t(split_)];
        std::int64_t index = block / segments_;
        for (int d = split_ - 1; d >= 0 && index > 0; --d) {
          offset += index % dims[std::size_t(d)] * place.strides[std::size_t(d)];
          index /= dims[std::size_t(d)];
        }
        if (place.kind == Place::output) {
          at[k] = r.output<std::byte>(place.index) + std::size_t(offset) * place.width;
          continue;
        }
        const std::byte* from =
            (place.kind == Place::input ? r.input<std::byte>(place.index) : place.value.data()) +
            offset * std::int64_t(place.width);
        if (place.direct) {
          at[k] = const_cast<std::byte*>(from);  // no call writes to it
        } else if (from != shown[k] || rows > shown_rows) {
          expand(place, from, rows, at[k]);
          shown[k] = from;
        }
      }
      shown_rows = std::max(shown_rows, rows);
      const std::int64_t count = rows * inner_;
      if (!fetches_ahead_) {
        for (const Call& call : calls) call(count, at.data());
        continue;
      }
      // A part between any two calls, since few lines can be on their way at once.
      const auto parts = std::int64_t(calls.size());
      for (std::int64_t i = 0; i < parts; ++i) {
        for (std::size_t k = 0; k < places.size(); ++k) {
          const Place& place = places[k];
          if (!place.direct && place.kind != Place::output) continue;
          const std::int64_t bytes = count * std::int64_t(place.width);
          const std::byte* next = at[k] + bytes;
          for (std::int64_t line = bytes * i / parts / 64; line < bytes * (i + 1) / parts / 64; ++line) {
            if (place.direct) {
              __builtin_prefetch(next + 64 * line, 0);
            } else {
              __builtin_prefetch(next + 64 * line, 1);
            }
          }
        }
        calls[std::size_t(i)](count, at.data());
      }
    }
  }

  std::vector<int> later_;
  int registers_ = 0, split_ = 0;
  std::size_t widest_ = 1, thread_bytes_ = 0;
  std::int64_t inner_ = 1, rows_ = 1, segments_ = 1, blocks_ = 1;
  double cost_ = 0;
  bool fetches_ahead_ = false;
};

// Turns entries into calls on places.
class Compiler {
 public:
  Compiler(PrepareContext& c, const Tape& tape) : c_(c), tape_(tape) {}

  std::unique_ptr<Kernel> compile() {
    const std::int64_t size = tape_.entries.at(0).shape.size();
    if (size == 0) return kernel([](RunContext&) {});
    kernel_->dims = {size};
    for (const TapeEntry& entry : tape_.entries) find_dims(entry, size);
    for (const TapeResult& result : tape_.results) {
      if (result.is_box()) cut(tape_.entry_of(result, c_.num_inputs()).shape);
    }
    read_inputs();
    for (std::size_t e = 0; e < tape_.entries.size(); ++e) {
      if (!add_entry(tape_.entries[e], c_.num_inputs() + int(e))) return nullptr;
    }
    for (const TapeResult& result : tape_.results) write_result(result);
    for (const TapeResult& result : tape_.results) {
      if (!result.is_box()) allow_in_place(result.output);
    }
    kernel_->arrange();
    return std::move(kernel_);
  }

 private:
  struct Value {
    DType dtype;
    int place = -1;
  };

  void find_dims(const TapeEntry& entry, std::int64_t size) {
    if (entry.shape.size() != size)
      internal("an entry of shape ", entry.shape, " on a tape of ", size, " elements");
    for (const TapeOperand& operand : entry.operands) {
      if (operand.value < 0 || (operand.shape.size() == size && !operand.is_box())) continue;
      return cut(entry.shape);
    }
  }
  // Lets the tape's dimensions cut those of a shape.
  void cut(const Shape& shape) {
    auto common = common_dims(kernel_->dims, shape.dims());
    if (!common) internal("an entry of shape ", shape, " cuts the tape's elements differently");
    kernel_->dims = std::move(*common);
  }

  void read_inputs() {
    for (int i = 0; i < c_.num_inputs(); ++i) values_.push_back({c_.input_dtype(i)});
  }

  int add_place(Place place) {
    kernel_->places.push_back(std::move(place));
    return int(kernel_->places.size()) - 1;
  }
  int add_register(DType dtype) { return add_place({.kind = Place::reg, .width = size_of(dtype)}); }
  int add_call(Call call, std::initializer_list<int> from, int to) {
    std::copy(from.begin(), from.end(), call.from.begin());
    call.to = to;
    for (const int place : from) kernel_->places[std::size_t(place)].last = int(kernel_->calls.size());
    kernel_->calls.push_back(call);
    return to;
  }

  // The steps of an operand in the tape's dimensions, which cut those of the entry it belongs to.
  std::vector<std::int64_t> strides_on_tape(const Shape& operand, const Shape& entry) const {
    if (operand.size() == 1) return std::vector<std::int64_t>(kernel_->dims.size(), 0);
    if (operand.size() == entry.size()) return strides_of(kernel_->dims);
    return strides_on_tape(operand, entry, strides_of(operand.dims()));
  }
  // The same of one with these steps.
  std::vector<std::int64_t> strides_on_tape(const Shape& operand, const Shape& entry,
                                            const std::vector<std::int64_t>& own) const {
    const auto& dims = kernel_->dims;
    std::vector<std::int64_t> strides(dims.size(), 0);
    std::size_t d = dims.size();
    for (int i = 1; i <= entry.rank(); ++i) {
      const bool steps = i <= operand.rank() && operand[-i] != 1;
      std::int64_t stride = steps ? own[std::size_t(operand.rank() - i)] : 0;
      for (std::int64_t left = entry[-i]; left > 1;) {
        const std::int64_t size = dims[--d];
        strides[d] = stride;
        stride *= size;
        left /= size;
      }
    }
    return strides;
  }

  // Where an operand is found, in the dtype that loops take.
  int place_of(const TapeOperand& operand, const TapeEntry& entry, DType dtype) {
    if (operand.value < 0) return place_of_number(operand.number, dtype);
    const Value& value = values_[std::size_t(operand.value)];
    if (operand.value >= c_.num_inputs()) return value.place;
    auto strides = operand.is_box()
                       ? strides_on_tape(operand.shape, entry.shape, strides_of(operand.whole.dims()))
                       : strides_on_tape(operand.shape, entry.shape);
    const std::int64_t begin = begin_of(operand.begin, operand.whole);
    const auto [known, added] = fed_.try_emplace({operand.value, begin, strides}, -1);
    if (!added) return known->second;
    int place = add_place({.kind = Place::input,
                           .index = operand.value,
                           .width = size_of(value.dtype),
                           .strides = std::move(strides),
                           .begin = begin,
                           .is_box = operand.is_box()});
    if (is_16_bit_float(value.dtype)) {
      const auto& tables = vector::tables();
      place = add_call(
          call_of(value.dtype == DType::float16 ? tables.float_of_half : tables.float_of_bfloat16, 0.1),
          {place}, add_register(DType::float32));
    }
    return known->second = place;
  }

  static std::int64_t begin_of(const std::vector<std::int64_t>& begin, const Shape& whole) {
    const auto strides = strides_of(whole.dims());
    return std::inner_product(begin.begin(), begin.end(), strides.begin(), std::int64_t(0));
  }

  int place_of_number(float number, DType dtype) {
    Place place{.kind = Place::number, .width = size_of(held(dtype)), .strides = {}};
    place.strides.assign(kernel_->dims.size(), 0);
    visit(Join<Types<float, double>, IntegerTypes>{}, held(dtype), [&]<class T>(std::type_identity<T>) {
      const T value = T(number);
      std::memcpy(place.value.data(), &value, sizeof value);
    });
    return add_place(std::move(place));
  }

  DType dtype_of(const TapeOperand& operand) const { return values_[std::size_t(operand.value)].dtype; }

  bool add_entry(const TapeEntry& entry, int value) {
    // Numbers are of the dtype of the values that they meet.
    const auto last_value = std::find_if(entry.operands.rbegin(), entry.operands.rend(),
                                         [](const TapeOperand& operand) { return operand.value >= 0; });
    if (last_value == entry.operands.rend()) internal("an entry of numbers only");
    const DType dtype = dtype_of(*last_value);
    std::array<int, 3> from{};
    if (entry.operands.size() > from.size()) return false;
    for (std::size_t k = 0; k < entry.operands.size(); ++k) {
      from[k] = place_of(entry.operands[k], entry, dtype);
    }
    values_.push_back({entry.dtype});
    int& place = values_[std::size_t(value)].place;
    if (entry.loop.empty()) {
      place = from[0];
      return true;
    }
    if (entry.loop == "Cast") {
      place = add_cast(from[0], dtype, entry.dtype, value);
      return place >= 0;
    }
    const Call call = call_of(entry.loop, int(entry.operands.size()), held(dtype));
    if (!call.operands) return false;
    place = new_place(value);
    if (call.operands == 1) add_call(call, {from[0]}, place);
    if (call.operands == 2) add_call(call, {from[0], from[1]}, place);
    if (call.operands == 3) add_call(call, {from[0], from[1], from[2]}, place);
    return true;
  }

  // For the result of an entry: in an output if it is one, so that it need not be copied there.
  int new_place(int value) {
    const DType dtype = values_[std::size_t(value)].dtype;
    const auto result = std::find_if(tape_.results.begin(), tape_.results.end(),
                                     [&](const TapeResult& one) { return one.value == value; });
    if (result == tape_.results.end() || held(dtype) != dtype) return add_register(held(dtype));
    return add_output(*result);
  }
  int add_output(const TapeResult& result) {
    const Shape& whole = tape_.outputs[std::size_t(result.output)];
    const Shape& shape = tape_.entry_of(result, c_.num_inputs()).shape;
    const int place =
        add_place({.kind = Place::output,
                   .index = result.output,
                   .width = size_of(c_.output_dtype(result.output)),
                   .strides = result.is_box() ? strides_on_tape(shape, shape, strides_of(whole.dims()))
                                              : strides_of(kernel_->dims),
                   .begin = begin_of(result.begin, whole),
                   .is_box = result.is_box()});
    output_places_[&result] = place;
    return place;
  }

  int add_cast(int from, DType from_dtype, DType to_dtype, int value) {
    const DType from_held = held(from_dtype), to_held = held(to_dtype);
    int place = from;
    if (from_held != to_held) {
      const vector::Unary loop = find_cast(from_held, to_held);
      if (!loop) return -1;
      place = add_call(call_of(loop, 0.3), {from}, new_place(value));
    }
    if (to_held == to_dtype || from_dtype == to_dtype) return place;
    // Whoever asks for 16 bits gets their rounding.
    const auto& tables = vector::tables();
    const bool half = to_dtype == DType::float16;
    const int rounded = add_call(call_of(half ? tables.half_of_float : tables.bfloat16_of_float, 0.2),
                                 {place}, add_register(to_dtype));
    return add_call(call_of(half ? tables.float_of_half : tables.float_of_bfloat16, 0.1), {rounded},
                    add_register(DType::float32));
  }

  void write_result(const TapeResult& result) {
    if (output_places_.contains(&result)) return;
    const Value& value = values_[std::size_t(result.value)];
    const Place& place = kernel_->places[std::size_t(value.place)];
    const auto& tables = vector::tables();
    const vector::Unary loop = value.dtype == DType::float16    ? tables.half_of_float
                               : value.dtype == DType::bfloat16 ? tables.bfloat16_of_float
                                                                : copy_loop(place.width);
    const int from = value.place;
    add_call(call_of(loop, 0.2), {from}, add_output(result));
  }

  // An input may give its memory to an output if all of a block of it has been read when the output is
  // written.
  void allow_in_place(int k) {
    const auto& places = kernel_->places;
    int written = -1;
    for (std::size_t i = 0; i < kernel_->calls.size(); ++i) {
      const Place& to = places[std::size_t(kernel_->calls[i].to)];
      if (to.kind == Place::output && to.index == k) written = int(i);
    }
    for (int i = 0; i < c_.num_inputs(); ++i) {
      if (c_.input_dtype(i) != c_.output_dtype(k) || c_.input_shape(i).size() != c_.output_shape(k).size())
        continue;
      const bool read_before = std::all_of(places.begin(), places.end(), [&](const Place& place) {
        return place.kind != Place::input || place.index != i || (place.last <= written && !place.is_box);
      });
      if (read_before) c_.in_place(k, i);
    }
  }

  PrepareContext& c_;
  const Tape& tape_;
  std::unique_ptr<TapeKernel> kernel_ = std::make_unique<TapeKernel>();
  std::vector<Value> values_;
  std::map<std::tuple<int, std::int64_t, std::vector<std::int64_t>>, int> fed_;
  std::map<const TapeResult*, int> output_places_;
};

template <class Entry>
std::optional<float> cost_of(const Entry* entry, const vector::Table<Entry>& vectors, DType dtype) {
  // Scalar loops of integers check for division by zero.
  const bool can_fail = entry && is_integer(dtype) && !(entry >= vectors.begin() && entry < vectors.end());
  return entry && !can_fail ? std::optional(entry->cost) : std::nullopt;
}

}  // namespace

std::optional<float> loop_cost(const std::string& loop, int operands, DType dtype) {
  if (!is_plain(dtype)) return std::nullopt;
  const auto& tables = vector::tables();
  const DType looked_up = loop == "Select" ? of_width(held(dtype)) : held(dtype);
  switch (operands) {
    case 1:
      return cost_of(vector::find_unary(loop.c_str(), looked_up), tables.unary, looked_up);
    case 2:
      return cost_of(vector::find_binary(loop.c_str(), looked_up), tables.binary, looked_up);
    case 3:
      return cost_of(vector::find_ternary(loop.c_str(), looked_up), tables.ternary, looked_up);
    default:
      return std::nullopt;
  }
}

std::unique_ptr<Kernel> run_tape(PrepareContext& c, const Tape& tape) { return Compiler(c, tape).compile(); }

HEADRACE_KERNELS(fusion) {
  add_kernel(kTapeOp, [](PrepareContext& c) { return run_tape(c, tape_of(c.node())); });
}

}  // namespace headrace
