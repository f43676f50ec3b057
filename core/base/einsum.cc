#include "core/base/einsum.h"

#include <algorithm>
#include <string>

#include "core/base/error.h"

namespace headrace {
namespace {

constexpr std::string_view kDots = "...";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The labels of one term, whose ellipsis, if it has one, stands for `hidden` dimensions.
std::vector<Label> labels_of(std::string_view equation, std::string_view term, int hidden) {
  std::vector<Label> labels;
  bool seen = false;
  while (!term.empty()) {
    if (term.starts_with(kDots)) {
      require(!seen, "'", equation, "' has two ellipses in one term");
      seen = true;
      for (int i = hidden; i > 0; --i) labels.push_back(-i);
      term.remove_prefix(kDots.size());
      continue;
    }
    require(is_letter(term.front()), "'", equation,
            "': labels are letters, operands stand between commas, and '->' before the result");
    labels.push_back(term.front());
    term.remove_prefix(1);
  }
  return labels;
}

}  // namespace

EinsumLabels parse_einsum(std::string_view equation, std::span<const Shape> operands) {
  std::string text(equation);
  std::erase(text, ' ');
  const std::size_t arrow = text.find("->");
  require(arrow != std::string::npos, "'", equation, "' has no '->' with the labels of the result");
  std::string_view left = std::string_view(text).substr(0, arrow);
  const std::string_view right = std::string_view(text).substr(arrow + 2);
  std::vector<std::string_view> terms;
  while (true) {
    const std::size_t comma = left.find(',');
    terms.push_back(left.substr(0, comma));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  require(terms.size() == operands.size(), "'", equation, "' labels ", terms.size(), " operands, there are ",
          operands.size());

  EinsumLabels labels;
  int most_hidden = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool has_dots = terms[i].find(kDots) != std::string_view::npos;
    const int named = int(terms[i].size()) - (has_dots ? int(kDots.size()) : 0);
    const int rank = operands[i].rank();
    require(has_dots ? rank >= named : rank == named, "'", equation, "' labels ", named,
            " dimensions of operand ", i, ", which has shape ", operands[i]);
    labels.inputs.push_back(labels_of(equation, terms[i], rank - named));
    if (has_dots) most_hidden = std::max(most_hidden, rank - named);
  }
  labels.output = labels_of(equation, right, most_hidden);
  for (std::size_t i = 0; i < labels.output.size(); ++i) {
    const Label label = labels.output[i];
    const auto rest = std::span(labels.output).subspan(i + 1);
    require(std::find(rest.begin(), rest.end(), label) == rest.end(), "'", equation,
            "': a label occurs twice in the result");
    const bool is_known = std::any_of(labels.inputs.begin(), labels.inputs.end(), [&](const auto& of_one) {
      return std::find(of_one.begin(), of_one.end(), label) != of_one.end();
    });
    require(is_known, "'", equation, "': a label of the result is in no operand");
  }
  return labels;
}

std::map<Label, std::int64_t> einsum_sizes(std::string_view equation, const EinsumLabels& labels,
                                           std::span<const Shape> operands) {
  std::map<Label, std::int64_t> sizes;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    for (int d = 0; d < operands[i].rank(); ++d) {
      const Label label = labels.inputs[i][std::size_t(d)];
      const std::int64_t size = operands[i][d];
      const auto [known, added] = sizes.emplace(label, size);
      std::int64_t& other = known->second;
      if (added || size == other) continue;
      if (label < 0) {  // 1 gives way; of an unknown size it is not known whether it does
        if (other == 1 || (other == kUnknown && size > 1)) other = size;
        require(size == 1 || size == kUnknown || size == other, "'", equation, "': dimensions ", size,
                " and ", other, " under the ellipsis do not broadcast");
        continue;
      }
      if (other == kUnknown) other = size;
      require(size == kUnknown || size == other, "'", equation, "': the label '", char(label),
              "' has the sizes ", other, " and ", size, "; they must be the same");
    }
  }
  return sizes;
}

}  // namespace headrace
