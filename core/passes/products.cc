// Products of matrices are brought together where they share an operand or are summed, since one large
// product runs nearer to the machine's speed than many small ones and needs not read or add up as much:
//
//   sum_t a_t b_t = [a_1 a_2 ...] [b_1; b_2; ...]         gradients of a weight that every time step reads
//   a_t w for all t = [a_1; a_2; ...] w, cut into pieces  where no a_t depends on another's product
//   [x_t h_t] w = x_t w_x + h_t w_h                       where that frees the x_t w_x for the rule above:
//                                                         a recurrent cell, x_t given and h_t the last output
//   pieces of a w = a times pieces of w                   where not all pieces are read
//   sum_t [a_t c_t]^T b_t = [sum_t a_t^T b_t;             so that nobody has to join a_t and c_t
//                            sum_t c_t^T b_t]
//
// The first three where the operands that have to be joined are smaller than what they are multiplied with.
#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_set>

#include "core/passes/pipeline.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

// Joined results may be this large: they are all there at once.
constexpr std::int64_t kMostBytes = std::int64_t(256) << 20;

class Products {
 public:
  explicit Products(Function& function) : function_(function), graph_(function.graph) {}

  bool run() {
    for (Node* node : graph_.topological_order()) {
      if (node->has(Trait::cuts)) cut_operand(*node);
    }
    for (Node* node : graph_.topological_order()) {
      if (node->has(Trait::sum)) join_terms(*node);
    }
    // By the right operand, in order of creation.
    std::vector<std::vector<Node*>> groups;
    std::map<std::pair<Output, bool>, std::size_t> group_of;
    for (Node* node : graph_.topological_order()) {
      if (!is_product(*node) || node->attr<bool>("transpose_a")) continue;
      const auto [it, added] =
          group_of.try_emplace({node->input(1), node->attr<bool>("transpose_b")}, groups.size());
      if (added) groups.emplace_back();
      groups[it->second].push_back(node);
    }
    for (const auto& group : groups) {
      if (group.size() > 1) join_rows(group);
    }
    return changed_;
  }

 private:
  // ---- what there is

  // Nobody waits for it, it waits for nobody, and it need not run for its own sake.
  bool is_free(const Node& node) const {
    return node.control_inputs().empty() &&
           std::none_of(node.uses().begin(), node.uses().end(),
                        [](const Use& use) { return use.input == kControl; }) &&
           std::find(function_.targets.begin(), function_.targets.end(), &node) == function_.targets.end();
  }
  bool is_product(const Node& node) const {
    return node.has(Trait::matrix_product) && is_free(node) && is_matrix(node.input(0)) &&
           is_matrix(node.input(1));
  }
  static bool is_matrix(Output output) { return output.shape().is_full() && output.shape().rank() == 2; }
  bool is_result(const Node& node) const {
    return std::any_of(function_.results.begin(), function_.results.end(),
                       [&](Output result) { return result.node == &node; });
  }
  bool is_read(Node& node, int output) const {
    return std::find(function_.results.begin(), function_.results.end(), Output{&node, output}) !=
               function_.results.end() ||
           std::any_of(node.uses().begin(), node.uses().end(), [&](const Use& use) {
             return use.input != kControl && use.node->input(use.input).index == output;
           });
  }
  // The axis that a constant last input tells, or -1.
  static int axis_of(const Node& node, int rank) {
    const Tensor* axis = node.input(int(node.inputs().size()) - 1).node->constant();
    if (!axis || axis->size() != 1) return -1;
    const std::int64_t value = to_ints(*axis)[0];
    return value >= -rank && value < rank ? normalize_axis(value, rank) : -1;
  }

  // ---- what is made

  // A node that takes the place of a part of `like`.
  Node& add(std::string_view op, std::vector<Output> inputs, const Node& like, AttrMap attrs = {}) {
    NodeSpec spec{.name = graph_.unique_name(like.name() + "/joined"),
                  .inputs = std::move(inputs),
                  .attrs = std::move(attrs),
                  .device = like.device(),
                  .source = like.source()};
    return graph_.add(find_op(op), std::move(spec));
  }
  Output ints(std::initializer_list<std::int32_t> values, const Node& like) {
    return vector(std::vector<std::int32_t>(values), like);
  }
  Output vector(const std::vector<std::int32_t>& values, const Node& like) {
    return constant(Tensor::vector(std::span<const std::int32_t>(values)), like);
  }
  Output constant(Tensor value, const Node& like) {
    Node& made = add_constant(graph_, graph_.unique_name(like.name() + "/joined"), std::move(value));
    made.set_device(like.device());
    return {&made, 0};
  }
  Output join(std::vector<Output> parts, int axis, const Node& like) {
    if (parts.size() == 1) return parts[0];
    Output& made = joined_[{parts, axis, like.device()}];
    if (made) return made;
    const auto count = std::int64_t(parts.size());
    parts.push_back(constant(Tensor::scalar(std::int32_t(axis)), like));
    return made = {&add("ConcatV2", std::move(parts), like, {{"N", count}}), 0};
  }
  // Rows or columns [begin, begin + count) of a matrix.
  Output piece(Output matrix, int axis, std::int64_t begin, std::int64_t count, const Node& like) {
    if (count == matrix.shape()[axis]) return matrix;
    Output& made = pieces_[{matrix, axis, begin, count}];
    if (made) return made;
    const auto at = std::int32_t(begin), size = std::int32_t(count);
    const Output from = axis == 0 ? ints({at, 0}, like) : ints({0, at}, like);
    const Output sizes = axis == 0 ? ints({size, -1}, like) : ints({-1, size}, like);
    return made = {&add("Slice", {matrix, from, sizes}, like), 0};
  }
  Output product(Output a, Output b, const Node& like) {
    return {&add(like.op().name(), {a, b}, like,
                 {{"transpose_a", like.attr<bool>("transpose_a")},
                  {"transpose_b", like.attr<bool>("transpose_b")}}),
            0};
  }
  // Consecutive rows of a matrix.
  std::vector<Output> cut_rows(Output matrix, const std::vector<std::int32_t>& counts, const Node& like) {
    Node& cut = add("SplitV", {matrix, vector(counts, like), constant(Tensor::scalar(std::int32_t(0)), like)},
                    like, {{"num_split", std::int64_t(counts.size())}});
    std::vector<Output> rows;
    for (int i = 0; i < cut.num_outputs(); ++i) rows.push_back({&cut, i});
    return rows;
  }
  void replace(Node& node, Output by) {
    substitute(function_, {&node, 0}, by);
    changed_ = true;
  }

  // ---- pieces of a product

  void cut_operand(Node& cut) {
    const Output whole = cut.input(0);
    if (!is_free(cut) || !is_product(*whole.node) || is_result(*whole.node)) return;
    Node& made = *whole.node;
    const int axis = axis_of(cut, 2);
    if (axis < 0 || made.uses().size() != 1 || made.device() != cut.device()) return;
    std::int64_t unread = 0;
    for (int i = 0; i < cut.num_outputs(); ++i) {
      if (!cut.shape(i).is_full()) return;
      if (!is_read(cut, i)) unread += cut.shape(i)[axis];
    }
    if (unread == 0) return;
    // Rows of the product are those of its left operand, columns those of its right one.
    const Output operand = made.input(axis);
    const bool transposed = made.attr<bool>(axis == 0 ? "transpose_a" : "transpose_b");
    std::int64_t begin = 0;
    for (int i = 0; i < cut.num_outputs(); ++i) {
      const std::int64_t count = cut.shape(i)[axis];
      if (is_read(cut, i)) {
        const Output part = piece(operand, transposed ? 1 - axis : axis, begin, count, made);
        const Output by = axis == 0 ? product(part, made.input(1), made) : product(made.input(0), part, made);
        substitute(function_, {&cut, i}, by);
      }
      begin += count;
    }
    changed_ = true;
  }

  // ---- sums of products

  void join_terms(Node& sum) {
    std::map<std::pair<bool, bool>, std::vector<Output>> by_form;
    std::vector<Output> others;
    for (const Output& term : sum.inputs()) {
      if (is_term(*term.node, sum)) {
        by_form[{term.node->attr<bool>("transpose_a"), term.node->attr<bool>("transpose_b")}].push_back(term);
      } else {
        others.push_back(term);
      }
    }
    std::vector<Output> terms;
    for (const auto& [form, products] : by_form) {
      if (products.size() == 1) {
        others.push_back(products[0]);
        continue;
      }
      std::vector<Output> left, right;
      for (const Output& term : products) {
        left.push_back(term.node->input(0));
        right.push_back(term.node->input(1));
      }
      const Node& like = *products[0].node;
      const Output all_right = join(right, form.second ? 1 : 0, like);
      std::vector<Output> rows;
      for (const std::vector<Output>& part : parts_of_rows(left, form.first ? 1 : 0)) {
        rows.push_back(product(join(part, form.first ? 0 : 1, like), all_right, like));
      }
      terms.push_back(join(std::move(rows), 0, like));
    }
    if (terms.empty()) return;
    terms.insert(terms.end(), others.begin(), others.end());
    Output total = terms[0];
    if (terms.size() > 1) {
      const auto count = std::int64_t(terms.size());
      total = {&add(sum.op().name(), std::move(terms), sum, {{"N", count}}), 0};
    }
    substitute(function_, sum, *total.node);
    changed_ = true;
  }

  // Operands that are all joined along an axis out of parts of the same sizes, part by part; else themselves.
  static std::vector<std::vector<Output>> parts_of_rows(const std::vector<Output>& operands, int axis) {
    constexpr std::int64_t kLeast = 64;  // rows that are worth a product of their own
    std::vector<std::vector<Output>> parts;
    for (const Output& operand : operands) {
      const Node& join = *operand.node;
      if (!join.has(Trait::joins) || axis_of(join, 2) != axis) return {operands};
      const std::size_t count = join.inputs().size() - 1;
      if (&operand == &operands[0]) parts.resize(count);
      if (parts.size() != count) return {operands};
      for (std::size_t i = 0; i < count; ++i) {
        const Output part = join.input(int(i));
        parts[i].push_back(part);
        const auto size = part.shape()[axis];
        if (size < kLeast || size != parts[i][0].shape()[axis]) return {operands};
      }
    }
    return parts;
  }

  bool is_term(const Node& node, const Node& sum) const {
    if (!is_product(node) || node.uses().size() != 1 || is_result(node) || node.device() != sum.device())
      return false;
    const bool transposed = node.attr<bool>("transpose_a");
    const std::int64_t m = node.shape(0)[0], n = node.shape(0)[1];
    const std::int64_t k = node.input(0).shape()[transposed ? 0 : 1];
    return pays(k, m + n, m * n) && pays_in_memory(std::int64_t(sum.inputs().size()) * k * (m + n), node);
  }

  // Joining `count` lines of `length` elements costs less than what it saves.
  static bool pays(std::int64_t count, std::int64_t length, std::int64_t saved) {
    return count > 0 && count <= saved / std::max<std::int64_t>(length, 1);
  }
  static bool pays_in_memory(std::int64_t elements, const Node& node) {
    return elements <= kMostBytes / std::int64_t(size_of(node.dtype(0)));
  }

  // ---- products with one right operand

  void join_rows(const std::vector<Node*>& group) {
    const std::unordered_set<const Node*> later = dependants(group);
    std::vector<Node*> ready;
    for (Node* node : group) {
      if (!later.contains(node->input(0).node) && node->device() == group[0]->device()) ready.push_back(node);
    }
    if (ready.size() < group.size()) {
      split_left(group, later);
      return;
    }
    std::vector<Output> left;
    for (Node* node : ready) left.push_back(node->input(0));
    const std::vector<Output> made = products_of_rows(left, ready[0]->input(1), *ready[0]);
    for (std::size_t i = 0; i < made.size(); ++i) replace(*ready[i], made[i]);
  }

  // left_t times right for all t by one product; none if that does not pay.
  std::vector<Output> products_of_rows(const std::vector<Output>& left, Output right, const Node& like) {
    const bool transposed = like.attr<bool>("transpose_b");
    const std::int64_t k = right.shape()[transposed ? 1 : 0], n = right.shape()[transposed ? 0 : 1];
    std::int64_t rows = 0;
    std::vector<std::int32_t> counts;
    for (const Output& one : left) {
      if (!pays(one.shape()[0], k + n, k * n)) return {};
      rows += one.shape()[0];
      counts.push_back(std::int32_t(one.shape()[0]));
    }
    if (!pays_in_memory(rows * (k + n), like)) return {};
    return cut_rows(product(join(left, 0, like), right, like), counts, like);
  }

  // Everything that needs one of the products.
  std::unordered_set<const Node*> dependants(const std::vector<Node*>& group) const {
    const std::unordered_set<const Node*> members(group.begin(), group.end());
    std::unordered_set<const Node*> later;
    const auto is_later = [&](const Node* before) {
      return members.contains(before) || later.contains(before);
    };
    for (const Node* node : graph_.topological_order()) {
      if (std::any_of(node->inputs().begin(), node->inputs().end(),
                      [&](Output input) { return is_later(input.node); }) ||
          std::any_of(node->control_inputs().begin(), node->control_inputs().end(), is_later)) {
        later.insert(node);
      }
    }
    return later;
  }

  // Left operands that are joined out of parts of the same widths, of which some are there from the start.
  void split_left(const std::vector<Node*>& group, const std::unordered_set<const Node*>& later) {
    if (group[0]->attr<bool>("transpose_b")) return;
    std::map<std::vector<std::int64_t>, std::vector<Node*>> by_widths;
    for (Node* node : group) {
      const Node& join = *node->input(0).node;
      if (!join.has(Trait::joins) || axis_of(join, 2) != 1 || node->device() != group[0]->device()) continue;
      std::vector<std::int64_t> widths;
      for (std::size_t i = 0; i + 1 < join.inputs().size(); ++i)
        widths.push_back(join.input(int(i)).shape()[1]);
      by_widths[widths].push_back(node);
    }
    for (const auto& [widths, members] : by_widths) {
      if (members.size() > 1) split_left(members, widths, later);
    }
  }

  void split_left(const std::vector<Node*>& members, const std::vector<std::int64_t>& widths,
                  const std::unordered_set<const Node*>& later) {
    std::vector<int> early, late;
    for (int i = 0; i < int(widths.size()); ++i) {
      const bool waits = std::any_of(members.begin(), members.end(), [&](const Node* node) {
        return later.contains(node->input(0).node->input(i).node);
      });
      (waits ? late : early).push_back(i);
    }
    if (early.empty() || late.empty()) return;
    const Node& like = *members[0];
    const auto left_of = [&](const Node& member, const std::vector<int>& parts) {
      std::vector<Output> joined;
      for (int i : parts) joined.push_back(member.input(0).node->input(i));
      return join(std::move(joined), 1, member);
    };
    const auto rows_of = [&](const std::vector<int>& parts) {
      std::vector<Output> rows;
      for (int i : parts) {
        std::int64_t begin = 0;
        for (int before = 0; before < i; ++before) begin += widths[std::size_t(before)];
        rows.push_back(piece(like.input(1), 0, begin, widths[std::size_t(i)], like));
      }
      return join(std::move(rows), 0, like);
    };
    std::vector<Output> left;
    for (const Node* member : members) left.push_back(left_of(*member, early));
    const std::vector<Output> made = products_of_rows(left, rows_of(early), like);
    if (made.empty()) return;
    const Output right = rows_of(late);
    for (std::size_t i = 0; i < members.size(); ++i) {
      const Output rest = product(left_of(*members[i], late), right, *members[i]);
      replace(*members[i], {&add("AddV2", {made[i], rest}, *members[i]), 0});
    }
  }

  Function& function_;
  Graph& graph_;
  std::map<std::tuple<Output, int, std::int64_t, std::int64_t>, Output> pieces_;  // made so far
  std::map<std::tuple<std::vector<Output>, int, std::string>, Output> joined_;    // likewise
  bool changed_ = false;
};

}  // namespace

bool join_products(Function& function, Resources&) { return Products(function).run(); }

}  // namespace headrace
