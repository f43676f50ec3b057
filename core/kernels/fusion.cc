#include "core/kernels/fusion.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "core/kernels/cast.h"
#include "core/kernels/tape_kernel.h"

namespace headrace {
namespace {

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
void copy(std::int64_t n, const void* x, void* y) {
  std::memcpy(y, x, std::size_t(n) * Width);
}
vector::Unary copy_loop(std::size_t width) {
  switch (width) {
    case 1:
      return copy<1>;
    case 2:
      return copy<2>;
    case 4:
      return copy<4>;
    case 8:
      return copy<8>;
    default:
      return copy<16>;
  }
}

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

// Turns entries into calls on places.
class Compiler {
 public:
  Compiler(PrepareContext& c, const Tape& tape, std::span<const ValueType> inputs)
      : c_(c), tape_(tape), num_inputs_(int(inputs.size())) {
    for (const ValueType& input : inputs) values_.push_back({input.dtype});
  }

  std::unique_ptr<Kernel> compile() {
    if (tape_.entries.at(0).shape.size() == 0) return kernel([](RunContext&) {});
    find_rows();
    for (const TapeEntry& entry : tape_.entries) find_dims(entry);
    for (const TapeResult& result : tape_.results) {
      if (result.is_box()) cut(tape_.entry_of(result, num_inputs_).shape.dims());
    }
    for (std::int64_t rows = 1; rows * width_ < size_; ++prefix_) rows *= program_.dims[prefix_];
    for (std::size_t e = 0; e < tape_.entries.size(); ++e) {
      if (!add_entry(tape_.entries[e], num_inputs_ + int(e))) return nullptr;
    }
    for (const TapeResult& result : tape_.results) write_result(result);
    join_pairs();
    for (Tail& tail : tails_) tail.place = gathered(tail.place);
    for (const TapeResult& result : tape_.results) {
      if (!result.is_box() && !value_of(result).is_tail) allow_in_place(result.output);
    }
    if (!rows_) return run_by_blocks(std::move(program_));
    return run_by_rows(c_, std::move(program_), width_, std::move(tails_));
  }

 private:
  struct Value {
    DType dtype;
    int place = -1;
    bool by_row = false;   // an element for each row
    bool is_tail = false;  // made at the end
  };
  const Value& value_of(const TapeResult& result) const { return values_[std::size_t(result.value)]; }

  bool is_by_row(const TapeEntry& entry) const {
    return entry.reduces ? entry.reduces_rows() : entry.shape.size() != size_;
  }

  // How many elements there are, and what is a row of them: what is reduced, or left by what is.
  void find_rows() {
    for (const TapeEntry& entry : tape_.entries) {
      size_ = std::max(size_, (entry.reduces ? entry.operands[0].shape : entry.shape).size());
    }
    width_ = size_;
    program_.dims = {size_};
    for (const TapeEntry& entry : tape_.entries) {
      if (!entry.reduces && entry.shape.size() == size_) continue;
      const Shape& reduced = entry.operands[0].shape;
      const std::int64_t width = !entry.reduces    ? size_ / entry.shape.size()
                                 : reduced[2] == 1 ? reduced[1]
                                                   : reduced[2];
      if (rows_ && width != width_) internal("rows of ", width, " and of ", width_, " on one tape");
      if (size_ % width != 0) internal("rows of ", width, " on a tape of ", size_, " elements");
      rows_ = true;
      width_ = width;
    }
    if (rows_) cut(std::array{size_ / width_, width_});
  }

  void find_dims(const TapeEntry& entry) {
    if (entry.reduces) {
      if (entry.operands[0].shape.size() != size_) internal("what has been reduced is reduced again");
      return cut(entry.operands[0].shape.dims());
    }
    const bool by_row = is_by_row(entry);
    const std::int64_t size = entry.shape.size() * (by_row ? width_ : 1);
    if (size != size_) internal("an entry of shape ", entry.shape, " on a tape of ", size_, " elements");
    for (const TapeOperand& operand : entry.operands) {
      if (operand.value < 0 || (operand.shape.size() == entry.shape.size() && !operand.is_box())) continue;
      return cut(by_row ? entry.shape.concat(Shape{width_}).dims() : entry.shape.dims());
    }
  }
  // Lets the tape's dimensions cut those of a shape.
  void cut(std::span<const std::int64_t> shape) {
    auto common = common_dims(program_.dims, shape);
    if (!common) internal("an entry of shape ", Shape(shape), " cuts the tape's elements differently");
    program_.dims = std::move(*common);
  }

  Place& place_at(int place) { return program_.places[std::size_t(place)]; }
  int add_place(Place place) {
    place.by_row = by_row_;
    program_.places.push_back(std::move(place));
    return int(program_.places.size()) - 1;
  }
  int add_register(DType dtype) { return add_place({.kind = Place::reg, .width = size_of(dtype)}); }
  int add_call(Call call, std::initializer_list<int> from, int to) {
    std::copy(from.begin(), from.end(), call.from.begin());
    call.to = to;
    call.by_row = by_row_;
    for (const int place : from) place_at(place).last = int(program_.calls.size());
    program_.calls.push_back(call);
    return to;
  }

  // The tape's dimensions, or those of its rows.
  std::span<const std::int64_t> dims() const {
    return std::span(program_.dims).first(by_row_ ? prefix_ : program_.dims.size());
  }
  // The steps of an operand in the tape's dimensions, which cut those of the entry it belongs to.
  std::vector<std::int64_t> strides_on_tape(const Shape& operand, const Shape& entry) const {
    if (operand.size() == 1) return std::vector<std::int64_t>(program_.dims.size(), 0);
    if (operand.size() == entry.size()) return dense();
    return strides_on_tape(operand, entry, strides_of(operand.dims()));
  }
  // Those of what has all elements.
  std::vector<std::int64_t> dense() const {
    std::vector<std::int64_t> strides = strides_of(dims());
    strides.resize(program_.dims.size(), 0);
    return strides;
  }
  // The same of one with these steps.
  std::vector<std::int64_t> strides_on_tape(const Shape& operand, const Shape& entry,
                                            const std::vector<std::int64_t>& own) const {
    std::vector<std::int64_t> strides(program_.dims.size(), 0);
    std::size_t d = dims().size();
    for (int i = 1; i <= entry.rank(); ++i) {
      const bool steps = i <= operand.rank() && operand[-i] != 1;
      std::int64_t stride = steps ? own[std::size_t(operand.rank() - i)] : 0;
      for (std::int64_t left = entry[-i]; left > 1;) {
        const std::int64_t size = dims()[--d];
        strides[d] = stride;
        stride *= size;
        left /= size;
      }
    }
    return strides;
  }

  // Where an operand of an entry of some shape is found, in the dtype that loops take.
  int place_of(const TapeOperand& operand, const Shape& shape, DType dtype) {
    if (operand.value < 0) return place_of_number(operand.number, dtype);
    const Value& value = values_[std::size_t(operand.value)];
    if (operand.value >= num_inputs_) return value.by_row == by_row_ ? value.place : repeated(operand, shape);
    auto strides = operand.is_box() ? strides_on_tape(operand.shape, shape, strides_of(operand.whole.dims()))
                                    : strides_on_tape(operand.shape, shape);
    const std::int64_t begin = begin_of(operand.begin, operand.whole);
    const auto [known, added] = fed_.try_emplace({operand.value, by_row_, begin, strides}, -1);
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

  // An element of each row, repeated along it.
  int repeated(const TapeOperand& operand, const Shape& shape) {
    const Value& value = values_[std::size_t(operand.value)];
    auto expected = strides_of(std::span(program_.dims).first(prefix_));
    expected.resize(program_.dims.size(), 0);
    if (!value.by_row || value.is_tail || strides_on_tape(operand.shape, shape) != expected)
      internal("value ", operand.value, " of shape ", operand.shape, " does not repeat along rows");
    const auto [known, added] = repeated_.try_emplace(value.place, -1);
    if (!added) return known->second;
    Call call;
    call.kind = Call::repeat;
    call.operands = 1;
    call.cost = 0.05;
    call.width = place_at(value.place).width;
    return known->second =
               add_call(call, {value.place}, add_place({.kind = Place::reg, .width = call.width}));
  }

  static std::int64_t begin_of(const std::vector<std::int64_t>& begin, const Shape& whole) {
    const auto strides = strides_of(whole.dims());
    return std::inner_product(begin.begin(), begin.end(), strides.begin(), std::int64_t(0));
  }

  int place_of_number(float number, DType dtype) {
    Place place{.kind = Place::number, .width = size_of(held(dtype)), .strides = {}};
    place.strides.assign(program_.dims.size(), 0);
    visit(Join<Types<float, double>, IntegerTypes>{}, held(dtype), [&]<class T>(std::type_identity<T>) {
      const T value = T(number);
      std::memcpy(place.value.data(), &value, sizeof value);
    });
    return add_place(std::move(place));
  }

  DType dtype_of(const TapeOperand& operand) const { return values_[std::size_t(operand.value)].dtype; }

  // ---- one element that stands for all
  bool is_scalar(const TapeOperand& operand) const {
    if (operand.value < 0) return true;
    return operand.value < num_inputs_ && operand.shape.size() == 1 && !is_16_bit_float(dtype_of(operand));
  }
  // Makes a call that takes one of two operands so, if there is such an operand and such a loop, and says
  // which.
  int take_scalar(const TapeEntry& entry, DType dtype, Call& call) const {
    const auto* loops = vector::find_with_scalar(entry.loop.c_str(), dtype);
    const bool left = is_scalar(entry.operands[0]), right = is_scalar(entry.operands[1]);
    if (!loops || left == right) return -1;
    call = call_of(entry.loop, 2, dtype);
    call.binary = left ? loops->left : loops->right;
    return left ? 0 : 1;
  }
  int scalar_of(const TapeOperand& operand, DType dtype) {
    if (operand.value < 0) {
      const int place = place_of_number(operand.number, dtype);
      place_at(place).scalar = true;
      return place;
    }
    const std::int64_t begin = begin_of(operand.begin, operand.whole);
    const auto [known, added] = fed_.try_emplace({operand.value, by_row_, begin, {}}, -1);
    if (!added) return known->second;
    return known->second = add_place({.kind = Place::input,
                                      .index = operand.value,
                                      .width = size_of(dtype_of(operand)),
                                      .strides = std::vector<std::int64_t>(program_.dims.size(), 0),
                                      .begin = begin,
                                      .scalar = true});
  }

  // Each row to an element, or all rows at the end.
  bool add_reduction(const TapeEntry& entry, int value) {
    by_row_ = false;
    const TapeOperand& operand = entry.operands[0];
    const DType dtype = held(dtype_of(operand));
    const Reducer reducer = find_reducer(entry.loop, dtype);
    if (!reducer) return false;
    const int from = place_of(operand, operand.shape, dtype);
    by_row_ = entry.reduces_rows();
    values_.push_back({entry.dtype, -1, by_row_, !by_row_});
    if (by_row_) {
      Call call;
      call.kind = Call::reduce;
      call.operands = 1;
      call.cost = double(entry.cost);
      call.reducer = reducer;
      call.width = size_of(dtype);
      values_.back().place = add_call(call, {from}, new_place(value));
      return true;
    }
    const auto result = std::find_if(tape_.results.begin(), tape_.results.end(),
                                     [&](const TapeResult& one) { return one.value == value; });
    if (result == tape_.results.end()) return true;  // nobody reads it
    const Shape& shape = operand.shape;
    tails_.push_back(
        {from, result->output, entry.dtype, shape[0], shape[1], shape[2], reducer, size_of(dtype)});
    return true;
  }

  // Where what is reduced at the end stays until then.
  int gathered(int from) {
    by_row_ = false;
    Place& place = place_at(from);
    place.last = std::numeric_limits<int>::max();
    if (place.kind == Place::reg) place.kind = Place::gathered;
    if (place.kind == Place::gathered || place.kind == Place::output) return from;
    if (place.kind == Place::input && !place.is_box && place.strides == dense()) return from;
    const std::size_t width = place.width;
    return add_call(call_of(copy_loop(width), 0.1), {from},
                    add_place({.kind = Place::gathered, .width = width}));
  }

  bool add_entry(const TapeEntry& entry, int value) {
    if (entry.reduces) return add_reduction(entry, value);
    by_row_ = is_by_row(entry);
    // Numbers are of the dtype of the values that they meet.
    const auto last_value = std::find_if(entry.operands.rbegin(), entry.operands.rend(),
                                         [](const TapeOperand& operand) { return operand.value >= 0; });
    if (last_value == entry.operands.rend()) internal("an entry of numbers only");
    const DType dtype = dtype_of(*last_value);
    std::array<int, 3> from{};
    if (entry.operands.size() > from.size()) return false;
    Call call;
    const int scalar = entry.operands.size() == 2 ? take_scalar(entry, held(dtype), call) : -1;
    for (int k = 0; k < int(entry.operands.size()); ++k) {
      const TapeOperand& operand = entry.operands[std::size_t(k)];
      from[std::size_t(k)] = k == scalar ? scalar_of(operand, dtype) : place_of(operand, entry.shape, dtype);
    }
    values_.push_back({entry.dtype, -1, by_row_});
    int& place = values_[std::size_t(value)].place;
    if (entry.loop.empty()) {
      place = from[0];
      return true;
    }
    if (entry.loop == "Cast") {
      place = add_cast(from[0], dtype, entry.dtype, value);
      return place >= 0;
    }
    if (!call.operands) call = call_of(entry.loop, int(entry.operands.size()), held(dtype));
    if (!call.operands) return false;
    place = new_place(value);
    if (call.operands == 1) add_call(call, {from[0]}, place);
    if (call.operands == 2) add_call(call, {from[0], from[1]}, place);
    if (call.operands == 3) add_call(call, {from[0], from[1], from[2]}, place);
    note_simple(entry, held(dtype), scalar);
    return true;
  }

  // ---- two simple calls in one
  struct SimpleCall {  // op(a, b), a no scalar
    vector::Simple op;
    int a, b;
    DType dtype;
  };

  // Remembers the last call if it is one of those.
  void note_simple(const TapeEntry& entry, DType dtype, int scalar) {
    using enum vector::Simple;
    const auto index = int(program_.calls.size()) - 1;
    const Call& call = program_.calls.back();
    if (entry.loop == "Square") {
      simple_[index] = {mul, call.from[0], call.from[0], dtype};
      return;
    }
    static const std::map<std::string_view, vector::Simple> known{
        {"Add", add}, {"AddV2", add}, {"Sub", sub}, {"Mul", mul}};
    const auto found = known.find(entry.loop);
    if (found == known.end()) return;
    simple_[index] = {found->second, call.from[0], call.from[1], dtype};
    if (scalar == 0) simple_[index] = turned(simple_[index]);
  }
  static SimpleCall turned(SimpleCall call) {
    using enum vector::Simple;
    std::swap(call.a, call.b);
    call.op = call.op == sub ? sub_from : call.op == sub_from ? sub : call.op;
    return call;
  }

  // Makes one call of each simple one whose value only another simple one reads, and that other.
  void join_pairs() {
    if (simple_.size() < 2) return;
    std::map<int, int> readers, writers;  // by the place: how many read it, and the call that writes it
    for (int i = 0; i < int(program_.calls.size()); ++i) {
      const Call& call = program_.calls[std::size_t(i)];
      for (int k = 0; k < call.operands; ++k) ++readers[call.from[std::size_t(k)]];
      writers[call.to] = i;
    }
    for (const Tail& tail : tails_) ++readers[tail.place];
    std::vector<bool> joined(program_.calls.size(), false);
    for (auto& [index, simple] : simple_) {
      for (SimpleCall second : {simple, turned(simple)}) {
        if (place_at(second.a).kind != Place::reg || second.b == second.a || readers[second.a] != 1 ||
            joined[std::size_t(index)])
          continue;
        const int before = writers.at(second.a);
        const auto found = simple_.find(before);
        if (found == simple_.end() || joined[std::size_t(before)]) continue;
        const SimpleCall& first = found->second;
        const vector::Ternary loop = vector::tables().pair_of(first.op, place_at(first.b).scalar, second.op,
                                                              place_at(second.b).scalar, first.dtype);
        if (!loop) continue;
        Call& call = program_.calls[std::size_t(index)];
        call.operands = 3;
        call.ternary = loop;
        call.cost += program_.calls[std::size_t(before)].cost / 2;
        call.from = {first.a, first.b, second.b};
        joined[std::size_t(index)] = joined[std::size_t(before)] = true;
        program_.calls[std::size_t(before)].operands = 0;
      }
    }
    std::erase_if(program_.calls, [](const Call& call) { return call.operands == 0; });
    for (int i = 0; i < int(program_.calls.size()); ++i) {
      const Call& call = program_.calls[std::size_t(i)];
      for (int k = 0; k < call.operands; ++k) place_at(call.from[std::size_t(k)]).last = i;
    }
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
    const Shape& shape = tape_.entry_of(result, num_inputs_).shape;
    const int place = add_place(
        {.kind = Place::output,
         .index = result.output,
         .width = size_of(c_.output_dtype(result.output)),
         .strides = result.is_box() ? strides_on_tape(shape, shape, strides_of(whole.dims())) : dense(),
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
    const Value& value = value_of(result);
    if (value.is_tail) return;
    by_row_ = value.by_row;
    const Place& place = place_at(value.place);
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
    const auto& places = program_.places;
    int written = -1;
    for (std::size_t i = 0; i < program_.calls.size(); ++i) {
      const Place& to = places[std::size_t(program_.calls[i].to)];
      if (to.kind != Place::output || to.index != k) continue;
      written = int(i);
      by_row_ = to.by_row;
    }
    const std::vector<std::int64_t> all = dense();
    for (int i = 0; i < c_.num_inputs(); ++i) {
      if (c_.input_dtype(i) != c_.output_dtype(k) || c_.input_shape(i).size() != c_.output_shape(k).size())
        continue;
      const bool read_before = std::all_of(places.begin(), places.end(), [&](const Place& place) {
        return place.kind != Place::input || place.index != i ||
               (place.last <= written && place.by_row == by_row_ && place.strides == all && !place.is_box);
      });
      if (read_before) c_.in_place(k, i);
    }
  }

  PrepareContext& c_;
  const Tape& tape_;
  const int num_inputs_;  // of the tape
  Program program_;
  std::vector<Tail> tails_;
  std::int64_t size_ = 0, width_ = 0;  // elements, and those of a row
  std::size_t prefix_ = 0;             // dimensions of rows
  bool rows_ = false;                  // there are any
  bool by_row_ = false;                // what is being added has an element for each row
  std::vector<Value> values_;
  std::map<std::tuple<int, bool, std::int64_t, std::vector<std::int64_t>>, int> fed_;
  std::map<int, SimpleCall> simple_;  // by the call's index
  std::map<int, int> repeated_;       // places of what rows have one of, repeated along them, by that's place
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

std::unique_ptr<Kernel> run_tape(PrepareContext& c, const Tape& tape, std::span<const ValueType> inputs) {
  return Compiler(c, tape, inputs).compile();
}

HEADRACE_KERNELS(fusion) {
  add_kernel(kTapeOp, [](PrepareContext& c) { return run_tape(c, tape_of(c.node()), c.inputs()); });
}

}  // namespace headrace
