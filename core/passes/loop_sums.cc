// A matrix that a loop adds a product to in each iteration, as the gradient of a weight is, becomes a sum of
// products, which collects factors until there are enough of them for a product that runs at the machine's
// speed, and adds that to the matrix in place:
//
//   s = s0; repeat s = s + a^T b        →   p = ProductSum(s0); repeat p = AddProduct(p, a, b); s = Total(p)
//
// where the loop does not read s for anything else.
#include <algorithm>

#include "core/passes/extract.h"
#include "core/passes/pipeline.h"
#include "core/registry/device.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

class LoopSums {
 public:
  LoopSums(Function& function, Node& loop, Resources& resources)
      : function_(function), graph_(function.graph), loop_(loop), resources_(resources) {}

  bool run() {
    auto body = copy_of("body"), cond = copy_of("cond");
    const std::size_t count = loop_.inputs().size();
    if (body->arguments.size() != count || cond->arguments.size() != count || body->results.size() != count)
      return false;
    if (remove_identities(*body, resources_)) prune(*body);
    for (std::size_t i = 0; i < count; ++i) {
      Sum sum{i};
      if (loop_.shape(int(i)).is_full() && cond->arguments[i]->uses().empty() && is_sum(*body, sum))
        sums_.push_back(std::move(sum));
    }
    if (sums_.empty()) return false;
    AttrMap attrs = loop_.attrs();
    auto& types = std::get<std::vector<DType>>(attrs.at(loop_.op().inputs()[0].type_attr));
    for (const Sum& sum : sums_) {
      types.at(sum.variable) = DType::variant;
      rewrite(*body, sum);
      variant_argument(*cond, sum.variable);
    }
    prune(*body);
    prune(*cond);
    attrs["body"] = FunctionName{add_variant(graph_, std::move(body), "_summed_")};
    attrs["cond"] = FunctionName{add_variant(graph_, std::move(cond), "_summed_")};
    replace(std::move(attrs));
    return true;
  }

 private:
  struct Sum {
    std::size_t variable;
    bool has_variable = false;  // among its terms
    std::vector<Node*> products = {};
  };

  std::unique_ptr<Function> copy_of(std::string_view attr) const {
    return copy(function_named(graph_, loop_.attr<FunctionName>(attr).name));
  }

  // ---- what there is

  static bool is_free(const Function& function, const Node& node) {
    return node.control_inputs().empty() && node.uses().size() == 1 && node.uses()[0].input != kControl &&
           times_result(function, node) == 0 &&
           std::find(function.targets.begin(), function.targets.end(), &node) == function.targets.end();
  }
  static std::int64_t times_result(const Function& function, const Node& node) {
    return std::count_if(function.results.begin(), function.results.end(),
                         [&](Output result) { return result.node == &node; });
  }

  // Whether the variable becomes itself plus products, and serves nothing else.
  static bool is_sum(const Function& body, Sum& found) {
    const Node &argument = *body.arguments[found.variable], &total = *body.results[found.variable].node;
    const auto& types = find_op("_AddProduct").find_attr("T")->allowed_dtypes;
    return std::find(types.begin(), types.end(), argument.dtype(0)) != types.end() &&
           argument.uses().size() == 1 && times_result(body, argument) == 0 && adds(total) &&
           total.uses().empty() && total.control_inputs().empty() && times_result(body, total) == 1 &&
           are_products(body, total, found) && found.has_variable && !found.products.empty();
  }
  static bool are_products(const Function& body, const Node& total, Sum& found) {
    return std::all_of(total.inputs().begin(), total.inputs().end(), [&](Output term) {
      Node& node = *term.node;
      if (&node == body.arguments[found.variable]) return found.has_variable = true;
      if (adds(node) && is_free(body, node)) return are_products(body, node, found);
      if (!is_product(body, node)) return false;
      found.products.push_back(&node);
      return true;
    });
  }
  // Whether it adds tensors of one shape.
  static bool adds(const Node& node) {
    if (!on_cpu(node)) return false;
    if (node.has(Trait::sum)) return true;
    return node.has(Trait::elementwise) && node.has(Trait::commutative) && node.op().neutral() == 0.0 &&
           node.shape(0).is_full() && node.input(0).shape() == node.shape(0) &&
           node.input(1).shape() == node.shape(0);
  }
  static bool is_product(const Function& body, const Node& node) {
    return node.has(Trait::matrix_product) && is_free(body, node) && node.attr<bool>("transpose_a") &&
           !node.attr<bool>("transpose_b") && on_cpu(node);
  }
  // The CPU's kernels know how; another device has ways of its own.
  static bool on_cpu(const Node& node) {
    return node.device().empty() || DeviceSpec::parse(node.device()).type == "CPU";
  }

  // ---- what is made

  static void rewrite(Function& body, const Sum& sum) {
    Output total{&variant_argument(body, sum.variable), 0};
    for (Node* product : sum.products) {
      NodeSpec spec{.name = body.graph.unique_name(product->name() + "/added"),
                    .inputs = {total, product->input(0), product->input(1)},
                    .device = product->device(),
                    .source = product->source()};
      total = {&body.graph.add(find_op("_AddProduct"), std::move(spec)), 0};
    }
    body.results[sum.variable] = total;
  }

  // The argument that takes the place of argument i.
  static Node& variant_argument(Function& function, std::size_t i) {
    Node& argument = *function.arguments[i];
    NodeSpec spec{.name = function.graph.unique_name(argument.name() + "/products"),
                  .inputs = {},
                  .attrs = {{"T", DType::variant}, {"index", std::int64_t(i)}},
                  .source = argument.source()};
    Node& made = function.graph.add(argument.op(), std::move(spec));
    made.set_shape(0, Shape());
    return *(function.arguments[i] = &made);
  }

  Node& add_beside(const char* op, std::string_view suffix, Output input, AttrMap attrs = {}) {
    NodeSpec spec{.name = graph_.unique_name(str(loop_.name(), suffix)),
                  .inputs = {input},
                  .attrs = std::move(attrs),
                  .device = loop_.device(),
                  .source = loop_.source()};
    return graph_.add(find_op(op), std::move(spec));
  }

  void replace(AttrMap attrs) {
    NodeSpec spec{.name = loop_.name(),
                  .inputs = {loop_.inputs().begin(), loop_.inputs().end()},
                  .attrs = std::move(attrs),
                  .control_inputs = {loop_.control_inputs().begin(), loop_.control_inputs().end()},
                  .device = loop_.device(),
                  .source = loop_.source()};
    for (const Sum& sum : sums_) {
      Output& start = spec.inputs[sum.variable];
      start = {&add_beside("_ProductSum", "/products", start), 0};
    }
    if (spec.attrs.contains("output_shapes")) spec.attrs["output_shapes"] = std::vector<Shape>{};
    graph_.rename(loop_, graph_.unique_name(loop_.name() + "/without_sums"));
    Node& made = graph_.add(loop_.op(), std::move(spec));
    for (int i = 0; i < made.num_outputs(); ++i) {
      Output by{&made, i};
      if (made.dtype(i) != loop_.dtype(i)) {
        const AttrMap type{{"T", loop_.dtype(i)}, {"shape", loop_.shape(i)}};
        by = {&add_beside("_ProductTotal", "/total", by, type), 0};
      }
      substitute(function_, {&loop_, i}, by);
    }
    graph_.redirect_controls(loop_, made);
    std::replace(function_.targets.begin(), function_.targets.end(), &loop_, &made);
  }

  Function& function_;
  Graph& graph_;
  Node& loop_;
  Resources& resources_;
  std::vector<Sum> sums_;
};

}  // namespace

bool sum_products_in_loops(Function& function, Resources& resources) {
  bool changed = false;
  for (Node* node : function.graph.topological_order()) {
    if (node->has(Trait::loop)) changed = LoopSums(function, *node, resources).run() || changed;
  }
  return changed;
}

}  // namespace headrace
