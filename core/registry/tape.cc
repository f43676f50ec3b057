#include "core/registry/tape.h"

#include <map>

namespace headrace {
namespace {

std::map<std::string, Lowering, std::less<>>& lowerings() {
  static std::map<std::string, Lowering, std::less<>> map;
  return map;
}

}  // namespace

AttrMap to_attrs(const Tape& tape) {
  std::vector<std::string> loops;
  std::vector<std::int64_t> counts, operands, results(tape.results.begin(), tape.results.end());
  std::vector<Shape> operand_shapes, shapes;
  std::vector<DType> dtypes;
  std::vector<float> numbers;
  for (const TapeEntry& entry : tape.entries) {
    loops.push_back(entry.loop);
    counts.push_back(std::int64_t(entry.operands.size()));
    dtypes.push_back(entry.dtype);
    shapes.push_back(entry.shape);
    for (const TapeOperand& operand : entry.operands) {
      operands.push_back(operand.value);
      operand_shapes.push_back(operand.shape);
      numbers.push_back(operand.number);
    }
  }
  return {{"loops", std::move(loops)},       {"operand_counts", std::move(counts)},
          {"operands", std::move(operands)}, {"operand_shapes", std::move(operand_shapes)},
          {"numbers", std::move(numbers)},   {"dtypes", std::move(dtypes)},
          {"shapes", std::move(shapes)},     {"results", std::move(results)}};
}

Tape tape_of(const Node& node) {
  const auto& loops = node.attr<std::vector<std::string>>("loops");
  const auto& counts = node.attr<std::vector<std::int64_t>>("operand_counts");
  const auto& operands = node.attr<std::vector<std::int64_t>>("operands");
  const auto& operand_shapes = node.attr<std::vector<Shape>>("operand_shapes");
  const auto& numbers = node.attr<std::vector<float>>("numbers");
  const auto& dtypes = node.attr<std::vector<DType>>("dtypes");
  const auto& shapes = node.attr<std::vector<Shape>>("shapes");
  const auto& results = node.attr<std::vector<std::int64_t>>("results");
  const auto inputs = std::int64_t(node.inputs().size());
  std::size_t used = 0;
  require(counts.size() == loops.size() && dtypes.size() == loops.size() && shapes.size() == loops.size() &&
              operand_shapes.size() == operands.size() && numbers.size() == operands.size(),
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
      entry.operands.push_back(
          {int(std::max<std::int64_t>(operands[used], -1)), operand_shapes[used], numbers[used]});
    }
    tape.entries.push_back(std::move(entry));
  }
  for (const std::int64_t result : results) {
    require(result >= inputs && result < inputs + std::int64_t(loops.size()), "value ", result,
            " is a result, but the entries make the values ", inputs, " to ",
            inputs + std::int64_t(loops.size()) - 1);
    tape.results.push_back(int(result));
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
