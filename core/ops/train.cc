// Definitions of the update rules of optimisers: each changes a variable and its slots in place.
//
// The inputs of every rule are, in some order: the variable and its slots (resources), scalars, and a
// gradient, called `grad` or `delta`. Sparse rules also take `indices`: row i of the gradient belongs to row
// indices[i] of the variable. Dense ones can be joined: many small updates are one loop.
#include "core/graph/graph.h"
#include "core/registry/joined.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kNumber =
    "T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, uint16, uint32, uint64, "
    "complex64, "
    "complex128}";
constexpr const char* kIndex = "Tindices: {int32, int64}";
constexpr const char* kLocking = "use_locking: bool = false";

// The static shape of the variable behind a handle, as far as the node that made the handle tells.
Shape variable_shape(const ShapeContext& c, int i) {
  const Node& maker = *c.node().input(i).node;
  return maker.has_attr("shared_name") ? maker.attr_or<Shape>("shape", Shape::unknown()) : Shape::unknown();
}

void update_shape(ShapeContext& c) {
  Shape variable = Shape::unknown();
  int grad = -1, indices = -1;
  const auto args = c.node().op().inputs();
  for (int i = 0; i < int(args.size()); ++i) {
    if (args[i].dtype == DType::resource) {
      const Shape shape = variable_shape(c, i);
      require(variable.compatible_with(shape), "the slot '", args[i].name, "' has shape ", shape,
              ", its variable has ", variable, "; make slots with the shape of their variable");
      variable = variable.merge(shape);
    } else if (args[i].name == "grad" || args[i].name == "delta") {
      grad = i;
    } else if (args[i].name == "indices") {
      c.with_rank(indices = i, 1);
    } else {
      c.with_rank(i, 0);
    }
  }
  if (indices < 0) {
    require(variable.compatible_with(c.input(grad)), "the gradient has shape ", c.input(grad),
            ", its variable has ", variable, "; they must be the same");
    return;
  }
  const Shape rows = c.with_rank_at_least(grad, 1);
  require(!variable.has_rank() || variable.rank() > 0,
          "a sparse update needs a variable with rows, not a scalar");
  if (!rows.has_rank()) return;
  require(rows.slice(0, 1).compatible_with(c.input(indices)), "the gradient has ", rows[0], " rows for ",
          c.input(indices)[0], " indices; there must be one row for each index");
  require(!variable.has_rank() || rows.slice(1).compatible_with(variable.slice(1)),
          "the gradient has rows of shape ", rows.slice(1), ", its variable has rows of shape ",
          variable.slice(1), "; they must be the same");
}

OpDef& rule(const char* name) {
  return op(name).attr(kNumber).traits(Trait::stateful, Trait::no_gradient).shape(update_shape);
}

}  // namespace

HEADRACE_OPS(train) {
  define_joined(rule("ResourceApplyGradientDescent")
                    .in("var: resource", "alpha: T", "delta: T")
                    .attr(kLocking)
                    .doc("var -= alpha * delta."));
  define_joined(rule("ResourceApplyMomentum")
                    .in("var: resource", "accum: resource", "lr: T", "grad: T", "momentum: T")
                    .attr(kLocking, "use_nesterov: bool = false")
                    .doc("accum = momentum * accum + grad; var -= lr * accum."));
  rule("ResourceSparseApplyMomentum")
      .in("var: resource", "accum: resource", "lr: T", "grad: T", "indices: Tindices", "momentum: T")
      .attr(kIndex, kLocking, "use_nesterov: bool = false")
      .doc("ResourceApplyMomentum for the rows that `indices` names.");
  define_joined(rule("ResourceApplyKerasMomentum")
                    .in("var: resource", "accum: resource", "lr: T", "grad: T", "momentum: T")
                    .attr(kLocking, "use_nesterov: bool = false")
                    .doc("accum = momentum * accum - lr * grad; var += accum."));
  rule("ResourceSparseApplyKerasMomentum")
      .in("var: resource", "accum: resource", "lr: T", "grad: T", "indices: Tindices", "momentum: T")
      .attr(kIndex, kLocking, "use_nesterov: bool = false")
      .doc("ResourceApplyKerasMomentum for the rows that `indices` names.");
  define_joined(rule("ResourceApplyAdagrad")
                    .in("var: resource", "accum: resource", "lr: T", "grad: T")
                    .attr(kLocking, "update_slots: bool = true")
                    .doc("accum += grad^2; var -= lr * grad / sqrt(accum)."));
  rule("ResourceSparseApplyAdagrad")
      .in("var: resource", "accum: resource", "lr: T", "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking, "update_slots: bool = true")
      .doc("ResourceApplyAdagrad for the rows that `indices` names.");
  define_joined(rule("ResourceApplyAdagradV2")
                    .in("var: resource", "accum: resource", "lr: T", "epsilon: T", "grad: T")
                    .attr(kLocking, "update_slots: bool = true")
                    .doc("accum += grad^2; var -= lr * grad / (sqrt(accum) + epsilon)."));
  rule("ResourceSparseApplyAdagradV2")
      .in("var: resource", "accum: resource", "lr: T", "epsilon: T", "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking, "update_slots: bool = true")
      .doc("ResourceApplyAdagradV2 for the rows that `indices` names.");
  define_joined(rule("ResourceApplyAdagradDA")
                    .in("var: resource", "gradient_accumulator: resource",
                        "gradient_squared_accumulator: resource", "grad: T", "lr: T", "l1: T", "l2: T",
                        "global_step: int64")
                    .attr(kLocking)
                    .doc("Adagrad with dual averaging: the variable is computed anew from the sums of "
                         "gradients and their "
                         "squares."));
  rule("ResourceSparseApplyAdagradDA")
      .in("var: resource", "gradient_accumulator: resource", "gradient_squared_accumulator: resource",
          "grad: T", "indices: Tindices", "lr: T", "l1: T", "l2: T", "global_step: int64")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyAdagradDA for the rows that `indices` names.");
  define_joined(
      rule("ResourceApplyAdadelta")
          .in("var: resource", "accum: resource", "accum_update: resource", "lr: T", "rho: T", "epsilon: T",
              "grad: T")
          .attr(kLocking)
          .doc("Steps in proportion to the root mean square of earlier steps over that of the gradients."));
  rule("ResourceSparseApplyAdadelta")
      .in("var: resource", "accum: resource", "accum_update: resource", "lr: T", "rho: T", "epsilon: T",
          "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyAdadelta for the rows that `indices` names.");
  define_joined(
      rule("ResourceApplyAdam")
          .in("var: resource", "m: resource", "v: resource", "beta1_power: T", "beta2_power: T", "lr: T",
              "beta1: T", "beta2: T", "epsilon: T", "grad: T")
          .attr(kLocking, "use_nesterov: bool = false")
          .doc(
              "Steps along the mean gradient m over the root of the mean squared gradient v, both freed from "
              "bias."));
  define_joined(rule("ResourceApplyAdamWithAmsgrad")
                    .in("var: resource", "m: resource", "v: resource", "vhat: resource", "beta1_power: T",
                        "beta2_power: T", "lr: T", "beta1: T", "beta2: T", "epsilon: T", "grad: T")
                    .attr(kLocking)
                    .doc("ResourceApplyAdam with the largest v so far in place of v."));
  define_joined(
      rule("ResourceApplyAdaMax")
          .in("var: resource", "m: resource", "v: resource", "beta1_power: T", "lr: T", "beta1: T",
              "beta2: T", "epsilon: T", "grad: T")
          .attr(kLocking)
          .doc("ResourceApplyAdam with the decayed largest gradient in place of the root mean square."));
  define_joined(rule("ResourceApplyRMSProp")
                    .in("var: resource", "ms: resource", "mom: resource", "lr: T", "rho: T", "momentum: T",
                        "epsilon: T", "grad: T")
                    .attr(kLocking)
                    .doc("Momentum on gradients over their root mean square."));
  rule("ResourceSparseApplyRMSProp")
      .in("var: resource", "ms: resource", "mom: resource", "lr: T", "rho: T", "momentum: T", "epsilon: T",
          "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyRMSProp for the rows that `indices` names.");
  define_joined(rule("ResourceApplyCenteredRMSProp")
                    .in("var: resource", "mg: resource", "ms: resource", "mom: resource", "lr: T", "rho: T",
                        "momentum: T", "epsilon: T", "grad: T")
                    .attr(kLocking)
                    .doc("Momentum on gradients over their standard deviation."));
  rule("ResourceSparseApplyCenteredRMSProp")
      .in("var: resource", "mg: resource", "ms: resource", "mom: resource", "lr: T", "rho: T", "momentum: T",
          "epsilon: T", "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyCenteredRMSProp for the rows that `indices` names.");
  define_joined(rule("ResourceApplyFtrl")
                    .in("var: resource", "accum: resource", "linear: resource", "grad: T", "lr: T", "l1: T",
                        "l2: T", "lr_power: T")
                    .attr(kLocking)
                    .doc("Follows the regularised leader: the variable minimises the sum of linear losses so "
                         "far, with l1 "
                         "and l2."));
  rule("ResourceSparseApplyFtrl")
      .in("var: resource", "accum: resource", "linear: resource", "grad: T", "indices: Tindices", "lr: T",
          "l1: T", "l2: T", "lr_power: T")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyFtrl for the rows that `indices` names.");
  define_joined(rule("ResourceApplyFtrlV2")
                    .in("var: resource", "accum: resource", "linear: resource", "grad: T", "lr: T", "l1: T",
                        "l2: T", "l2_shrinkage: T", "lr_power: T")
                    .attr(kLocking)
                    .doc("ResourceApplyFtrl with an l2 penalty on the size of the variable itself."));
  rule("ResourceSparseApplyFtrlV2")
      .in("var: resource", "accum: resource", "linear: resource", "grad: T", "indices: Tindices", "lr: T",
          "l1: T", "l2: T", "l2_shrinkage: T", "lr_power: T")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyFtrlV2 for the rows that `indices` names.");
  define_joined(rule("ResourceApplyProximalGradientDescent")
                    .in("var: resource", "alpha: T", "l1: T", "l2: T", "delta: T")
                    .attr(kLocking)
                    .doc("Gradient descent, then the step that shrinks for the l1 and l2 penalties."));
  rule("ResourceSparseApplyProximalGradientDescent")
      .in("var: resource", "alpha: T", "l1: T", "l2: T", "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyProximalGradientDescent for the rows that `indices` names.");
  define_joined(rule("ResourceApplyProximalAdagrad")
                    .in("var: resource", "accum: resource", "lr: T", "l1: T", "l2: T", "grad: T")
                    .attr(kLocking)
                    .doc("Adagrad, then the step that shrinks for the l1 and l2 penalties."));
  rule("ResourceSparseApplyProximalAdagrad")
      .in("var: resource", "accum: resource", "lr: T", "l1: T", "l2: T", "grad: T", "indices: Tindices")
      .attr(kIndex, kLocking)
      .doc("ResourceApplyProximalAdagrad for the rows that `indices` names.");
  define_joined(
      rule("ResourceApplyAddSign")
          .in("var: resource", "m: resource", "lr: T", "alpha: T", "sign_decay: T", "beta: T", "grad: T")
          .attr(kLocking)
          .doc("Steps by (alpha + sign_decay * sign(grad) * sign(m)) * grad, m being the mean gradient."));
  define_joined(
      rule("ResourceApplyPowerSign")
          .in("var: resource", "m: resource", "lr: T", "logbase: T", "sign_decay: T", "beta: T", "grad: T")
          .attr(kLocking)
          .doc("Steps by exp(logbase * sign_decay * sign(grad) * sign(m)) * grad, m being the mean "
               "gradient."));
}

}  // namespace headrace
