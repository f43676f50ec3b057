#include "core/registry/ops.h"

#include <algorithm>
#include <map>

namespace headrace {
namespace {

std::map<std::string, OpDef, std::less<>>& definitions() {
  static std::map<std::string, OpDef, std::less<>> map;
  return map;
}

// The edit distance of Damerau and Levenshtein (adjacent swaps count one), ignoring case.
std::size_t distance(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1])) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

OpDef& op(std::string name) {
  const auto [it, added] = definitions().try_emplace(name, OpDef(name));
  if (!added) fail(Code::already_exists, "operation '", name, "' is defined twice");
  return it->second;
}

void define_fused(OpDef& base) {
  const std::string name = "_Fused" + base.name();
  op(name) = base.renamed(name)
                 .in("args: Targs")
                 .attr("Targs: list(type)", "then: list(string)", "then_inputs: list(int)",
                       "then_values: list(float)")
                 .traits(Trait::no_gradient)
                 .doc("The plans' own: " + base.name() + ", then what else is done to its results.");
  base.fused_as(name);
}

const OpDef* find_op_or_null(std::string_view name) {
  const auto it = definitions().find(name);
  return it == definitions().end() ? nullptr : &it->second;
}

const OpDef& find_op(std::string_view name) {
  if (const OpDef* found = find_op_or_null(name)) return *found;
  std::vector<std::string> names;
  for (const auto& [known, definition] : definitions()) names.push_back(known);
  fail(Code::not_found, "there is no operation '", name, "'", did_you_mean(name, names));
}

std::vector<const OpDef*> all_ops() {
  std::vector<const OpDef*> all;
  for (const auto& [name, definition] : definitions()) all.push_back(&definition);
  return all;
}

std::string did_you_mean(std::string_view name, std::span<const std::string> candidates) {
  constexpr std::size_t kShown = 3;
  const std::size_t limit = std::max<std::size_t>(1, name.size() / 3);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const auto& candidate : candidates) {
    if (const std::size_t d = distance(name, candidate); d <= limit) near.emplace_back(d, candidate);
  }
  std::sort(near.begin(), near.end());
  if (near.size() > kShown) near.resize(kShown);
  std::string text;
  for (std::size_t i = 0; i < near.size(); ++i) {
    text += i == 0 ? ", did you mean '" : i + 1 == near.size() ? "' or '" : "', '";
    text += near[i].second;
  }
  return text.empty() ? text : text + "'?";
}

Node& add_constant(Graph& graph, std::string name, Tensor value) {
  static const OpDef& definition = find_op("Const");
  const DType dtype = value.dtype();
  return graph.add(
      definition,
      {.name = std::move(name), .inputs = {}, .attrs = {{"value", std::move(value)}, {"dtype", dtype}}});
}

}  // namespace headrace
