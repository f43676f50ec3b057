#include "core/registry/tape.h"

#include <map>

namespace headrace {
namespace {

std::map<std::string, Lowering, std::less<>>& lowerings() {
  static std::map<std::string, Lowering, std::less<>> map;
  return map;
}

using BoxFinders = std::map<std::string, FindBoxes, std::less<>>;
BoxFinders& cuts() {
  static BoxFinders map;
  return map;
}
BoxFinders& joins() {
  static BoxFinders map;
  return map;
}
std::optional<Boxes> find_boxes(const BoxFinders& finders, const Node& node) {
  const auto it = finders.find(node.op().name());
  return it == finders.end() ? std::nullopt : it->second(node);
}

std::vector<std::int64_t> dims_of(const Shape& shape) { return {shape.dims().begin(), shape.dims().end()}; }

void check_box(const Shape& box, std::span<const std::int64_t> begin, const Shape& whole, std::string_view of,
               std::size_t entry) {
  bool fits = whole.is_full() && box.rank() == whole.rank() && int(begin.size()) == whole.rank();
  for (int d = 0; fits && d < whole.rank(); ++d) {
    fits = begin[std::size_t(d)] >= 0 && begin[std::size_t(d)] <= whole[d] - box[d];
  }
  require(fits, of, " ", entry, " is a box of shape ", box, " that does not fit into ", whole);
}

}  // namespace

AttrMap to_attrs(const Tape& tape) {
  std::vector<std::string> loops;
  std::vector<std::int64_t> counts, operands, reductions, results, outputs;
  std::vector<Shape> operand_shapes, shapes, wholes, begins, result_begins;
  std::vector<DType> dtypes;
  std::vector<float> numbers;
  for (const TapeEntry& entry : tape.entries) {
    loops.push_back(entry.loop);
    counts.push_back(std::int64_t(entry.operands.size()));
    dtypes.push_back(entry.dtype);
    shapes.push_back(entry.shape);
    if (entry.reduces) reductions.push_back(std::int64_t(loops.size()) - 1);
    for (const TapeOperand& operand : entry.operands) {
      operands.push_back(operand.value);
      operand_shapes.push_back(operand.shape);
      numbers.push_back(operand.number);
      wholes.push_back(operand.whole);
      begins.push_back(Shape(operand.begin));
    }
  }
  for (const TapeResult& result : tape.results) {
    results.push_back(result.value);
    outputs.push_back(result.output);
    result_begins.push_back(Shape(result.begin));
  }
  return {{"loops", std::move(loops)},
          {"operand_counts", std::move(counts)},
          {"operands", std::move(operands)},
          {"operand_shapes", std::move(operand_shapes)},
          {"numbers", std::move(numbers)},
          {"dtypes", std::move(dtypes)},
          {"shapes", std::move(shapes)},
          {"wholes", std::move(wholes)},
          {"begins", std::move(begins)},
          {"reductions", std::move(reductions)},
          {"results", std::move(results)},
          {"outputs", std::move(outputs)},
          {"result_begins", std::move(result_begins)},
          {"output_shapes", tape.outputs}};
}

Tape tape_of(const Node& node) {
  const auto& loops = node.attr<std::vector<std::string>>("loops");
  const auto& counts = node.attr<std::vector<std::int64_t>>("operand_counts");
  const auto& operands = node.attr<std::vector<std::int64_t>>("operands");
  const auto& operand_shapes = node.attr<std::vector<Shape>>("operand_shapes");
  const auto& numbers = node.attr<std::vector<float>>("numbers");
  const auto& dtypes = node.attr<std::vector<DType>>("dtypes");
  const auto& shapes = node.attr<std::vector<Shape>>("shapes");
  const auto& wholes = node.attr<std::vector<Shape>>("wholes");
  const auto& begins = node.attr<std::vector<Shape>>("begins");
  const auto& results = node.attr<std::vector<std::int64_t>>("results");
  const auto& outputs = node.attr<std::vector<std::int64_t>>("outputs");
  const auto& result_begins = node.attr<std::vector<Shape>>("result_begins");
  const auto inputs = std::int64_t(node.inputs().size());
  std::size_t used = 0;
  require(counts.size() == loops.size() && dtypes.size() == loops.size() && shapes.size() == loops.size() &&
              operand_shapes.size() == operands.size() && numbers.size() == operands.size() &&
              wholes.size() == operands.size() && begins.size() == operands.size() &&
              outputs.size() == results.size() && result_begins.size() == results.size(),
          "the lists of the tape's entries differ in length");
  Tape tape;
  for (std::size_t e = 0; e < loops.size(); ++e) {
    require(shapes[e].is_full(), "the shape of entry ", e, " is ", shapes[e], "; it must be full");
    TapeEntry entry{loops[e], {}, dtypes[e], shapes[e]};
    require(counts[e] >= 1 && std::size_t(counts[e]) <= operands.size() - used, "entry ", e, " has ",
            counts[e], " operands, but ", operands.size() - used, " are left");
    for (std::int64_t i = 0; i < counts[e]; ++i, ++used) {
      require(operands[used] < inputs + std::int64_t(e), "entry ", e, " reads value ", operands[used],
              ", which is not known yet");
      require(operand_shapes[used].is_full(), "an operand of entry ", e, " has shape ", operand_shapes[used],
              "; it must be full");
      TapeOperand operand{int(std::max<std::int64_t>(operands[used], -1)), operand_shapes[used],
                          numbers[used], wholes[used], dims_of(begins[used])};
      if (operand.is_box()) {
        require(operand.value >= 0 && operand.value < inputs, "entry ", e, " reads a box of value ",
                operand.value, ", which is not an input");
        check_box(operand.shape, operand.begin, operand.whole, "an operand of entry", e);
      }
      entry.operands.push_back(std::move(operand));
    }
    tape.entries.push_back(std::move(entry));
  }
  for (const std::int64_t e : node.attr<std::vector<std::int64_t>>("reductions")) {
    require(e >= 0 && e < std::int64_t(loops.size()), "entry ", e, " reduces, but there are ", loops.size());
    TapeEntry& entry = tape.entries[std::size_t(e)];
    const Shape& shape = entry.operands[0].shape;
    require(entry.operands.size() == 1 && entry.operands[0].value >= 0 && shape.rank() == 3 && shape[1] > 1 &&
                shape[0] * shape[2] == entry.shape.size(),
            "entry ", e, " cannot reduce ", shape, " to ", entry.shape);
    entry.reduces = true;
  }
  tape.outputs = node.attr<std::vector<Shape>>("output_shapes");
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::int64_t result = results[i];
    require(result >= inputs && result < inputs + std::int64_t(loops.size()), "value ", result,
            " is a result, but the entries make the values ", inputs, " to ",
            inputs + std::int64_t(loops.size()) - 1);
    require(outputs[i] >= 0 && outputs[i] < std::int64_t(tape.outputs.size()), "result ", i,
            " belongs to output ", outputs[i], " of ", tape.outputs.size());
    TapeResult made{int(result), int(outputs[i]), dims_of(result_begins[i])};
    const Shape& shape = tape.entry_of(made, int(inputs)).shape;
    const Shape& output = tape.outputs[std::size_t(made.output)];
    if (made.is_box()) {
      check_box(shape, made.begin, output, "result", i);
    } else {
      require(shape == output, "result ", i, " has shape ", shape, ", its output has ", output);
    }
    tape.results.push_back(std::move(made));
  }
  return tape;
}

void add_lowering(std::string_view op, Lowering lowering) {
  lowerings().insert_or_assign(std::string(op), std::move(lowering));
}

std::vector<TapeEntry> lower(const Node& node) {
  const auto it = lowerings().find(node.op().name());
  return it == lowerings().end() ? std::vector<TapeEntry>{} : it->second(node);
}

void add_cut(std::string_view op, FindBoxes find) {
  cuts().insert_or_assign(std::string(op), std::move(find));
}
void add_join(std::string_view op, FindBoxes find) {
  joins().insert_or_assign(std::string(op), std::move(find));
}
std::optional<Boxes> cut_of(const Node& node) { return find_boxes(cuts(), node); }
std::optional<Boxes> join_of(const Node& node) { return find_boxes(joins(), node); }

std::int64_t run_in(const Shape& box, const Shape& whole) {
  std::int64_t run = 1;
  for (int d = whole.rank() - 1; d >= 0; --d) {
    run *= box[d];
    if (box[d] != whole[d]) break;
  }
  return run;
}

std::optional<std::vector<std::int64_t>> common_dims(std::span<const std::int64_t> a,
                                                     std::span<const std::int64_t> b) {
  std::vector<std::int64_t> dims;
  std::int64_t left_a = 1, left_b = 1;  // of the dimensions that are being cut
  std::size_t i = 0, j = 0;
  while (true) {
    while (left_a == 1 && i < a.size()) left_a = a[i++];
    while (left_b == 1 && j < b.size()) left_b = b[j++];
    if (left_a == 1 && left_b == 1) return dims;
    const std::int64_t small = std::min(left_a, left_b), large = std::max(left_a, left_b);
    if (small < 1 || large % small != 0) return std::nullopt;
    if (small == 1) return std::nullopt;  // different sizes
    // Cut from the front: the larger one must go on with what is left.
    dims.push_back(small);
    left_a /= small;
    left_b /= small;
  }
}

}  // namespace headrace
