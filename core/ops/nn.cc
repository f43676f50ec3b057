// Activations, biases, softmax and its losses, and the best k.
#include "core/base/window.h"
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using enum Trait;

void bias_add_shape(ShapeContext& c) {
  const bool first = c.node().has_attr("data_format") && c.attr<std::string>("data_format") == "NCHW";
  Shape value = c.with_rank_at_least(0, 2);
  const Shape bias = c.with_rank(1, 1);
  if (value.has_rank()) {
    const int axis = first ? 1 : value.rank() - 1;
    require(value[axis] == kUnknown || bias[0] == kUnknown || value[axis] == bias[0], "value ", value,
            " has ", value[axis], " channels (axis ", axis, "), bias has ", bias[0],
            " elements; they must be the same number");
    if (value[axis] == kUnknown) value.set_dim(axis, bias[0]);
  }
  c.output(0, value);
}

void bias_add_grad_shape(ShapeContext& c) {
  const bool first = c.attr<std::string>("data_format") == "NCHW";
  const Shape value = c.with_rank_at_least(0, 2);
  if (!value.has_rank()) return c.output(0, Shape{kUnknown});
  c.output(0, Shape{value[first ? 1 : -1]});
}

void softmax_shape(ShapeContext& c) { c.output(0, c.with_rank_at_least(0, 1)); }

void softmax_cross_entropy_shape(ShapeContext& c) {
  const Shape shape = broadcast(c.with_rank(0, 2), c.with_rank(1, 2));
  c.output(0, Shape{shape[0]});
  c.output(1, shape);
}

void sparse_softmax_cross_entropy_shape(ShapeContext& c) {
  const Shape logits = c.with_rank(0, 2), labels = c.with_rank(1, 1);
  require(logits[0] == kUnknown || labels[0] == kUnknown || logits[0] == labels[0], "features ", logits,
          " hold ", logits[0], " examples, labels ", labels, " hold ", labels[0],
          "; they must be the same number");
  const std::int64_t batch = logits[0] == kUnknown ? labels[0] : logits[0];
  c.output(0, Shape{batch});
  c.output(1, Shape{batch, logits[1]});
}

void in_top_k_shape(ShapeContext& c) {
  const Shape predictions = c.with_rank(0, 2), targets = c.with_rank(1, 1);
  require(predictions[0] == kUnknown || targets[0] == kUnknown || predictions[0] == targets[0],
          "predictions ", predictions, " hold ", predictions[0], " examples, targets ", targets, " hold ",
          targets[0], "; they must be the same number");
  if (c.num_inputs() == 3) c.with_rank(2, 0);
  c.output(0, Shape{predictions[0] == kUnknown ? targets[0] : predictions[0]});
}

void top_k_shape(ShapeContext& c) {
  Shape shape = c.with_rank_at_least(0, 1);
  std::int64_t k = kUnknown;
  if (c.num_inputs() == 1) {
    k = c.attr<std::int64_t>("k");
  } else {
    c.with_rank(1, 0);
    if (const auto known = c.int_value(1)) {
      k = *known;
      require(k >= 0, "k is ", k, ", expected 0 or more");
    }
  }
  if (shape.has_rank()) {
    require(k == kUnknown || shape[-1] == kUnknown || k <= shape[-1], "k is ", k, " but rows have only ",
            shape[-1], " elements; input is ", shape);
    shape.set_dim(shape.rank() - 1, k);
  }
  c.output(0, shape);
  c.output(1, shape);
}

constexpr auto kFloats = "T: {float16, bfloat16, float32, float64}";
constexpr auto kReals =
    "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64}";
constexpr auto kNumbers =
    "T: {float32, float64, int32, uint8, int16, int8, complex64, int64, bfloat16, uint16, complex128, "
    "float16, uint32, "
    "uint64}";

// An activation f(features), and its derivative from the gradient and `saved`: its features or its outputs.
OpDef& activation(const char* name, const char* types, const char* saved, const char* doc,
                  const char* extra = nullptr) {
  OpDef& forward = op(name).in("features: T").out("activations: T");
  OpDef& backward = op(std::string(name) + "Grad").in("gradients: T", str(saved, ": T")).out("backprops: T");
  if (extra) forward.attr(extra), backward.attr(extra);
  forward.attr(types).traits(elementwise).shape(same_shape).doc(doc);
  backward.attr(types)
      .traits(elementwise)
      .shape(merged_shape)
      .doc(str("The derivative of ", name, " times gradients."));
  return forward;
}

HEADRACE_OPS(nn) {
  activation("Relu", kReals, "features", "Computes max(x, 0).").traits(post_operation);
  activation("Relu6", kReals, "features", "Computes min(max(x, 0), 6).");
  activation("Elu", kFloats, "outputs", "Computes x where it is positive, else exp(x) - 1.")
      .traits(post_operation);
  activation("Selu", kFloats, "outputs",
             "Computes the exponential linear unit, scaled so that networks normalise themselves.");
  activation("LeakyRelu", "T: {float16, bfloat16, float32, float64} = float32", "features",
             "Computes max(x, 0) + alpha * min(x, 0).", "alpha: float = 0.2")
      .traits(post_operation);
  activation("Softplus", kFloats, "features", "Computes log(1 + exp(x)).");
  activation("Softsign", kFloats, "features", "Computes x / (1 + |x|).");

  op("BiasAdd")
      .in("value: T", "bias: T")
      .out("output: T")
      .attr(kNumbers, "data_format: {'NHWC', 'NCHW'} = 'NHWC'")
      .traits(post_operation)
      .shape(bias_add_shape)
      .doc("Adds a number for each channel.");
  op("BiasAddV1")
      .in("value: T", "bias: T")
      .out("output: T")
      .attr(kNumbers)
      .traits(post_operation)
      .shape(bias_add_shape)
      .doc("Adds a number for each channel, the last dimension.");
  op("BiasAddGrad")
      .in("out_backprop: T")
      .out("output: T")
      .attr(kNumbers, "data_format: {'NHWC', 'NCHW'} = 'NHWC'")
      .shape(bias_add_grad_shape)
      .doc("Sums over all but the channels.");

  op("Softmax")
      .in("logits: T")
      .out("softmax: T")
      .attr(kFloats)
      .shape(softmax_shape)
      .doc("Computes exp(x) / sum(exp(x)) along the last dimension.");
  op("LogSoftmax")
      .in("logits: T")
      .out("logsoftmax: T")
      .attr(kFloats)
      .shape(softmax_shape)
      .doc("Computes x - log(sum(exp(x))) along the last dimension.");
  op("SoftmaxCrossEntropyWithLogits")
      .in("features: T", "labels: T")
      .out("loss: T", "backprop: T")
      .attr(kFloats)
      .shape(softmax_cross_entropy_shape)
      .doc("Computes -sum(labels * log_softmax(features)) of each row, and its derivative by the features.");
  op("SparseSoftmaxCrossEntropyWithLogits")
      .in("features: T", "labels: Tlabels")
      .out("loss: T", "backprop: T")
      .attr(kFloats, "Tlabels: {int32, int64} = int64")
      .shape(sparse_softmax_cross_entropy_shape)
      .doc("Computes -log_softmax(features)[label] of each row, and its derivative by the features.");

  op("L2Loss").in("t: T").out("output: T").attr(kFloats).shape(scalar_shape).doc("Computes sum(t * t) / 2.");

  op("InTopK")
      .in("predictions: float32", "targets: T")
      .out("precision: bool")
      .attr("k: int", "T: {int32, int64} = int32")
      .traits(no_gradient)
      .shape(in_top_k_shape)
      .doc("Says whether each target's prediction is among the k highest of its row.");
  op("InTopKV2")
      .in("predictions: float32", "targets: T", "k: T")
      .out("precision: bool")
      .attr("T: {int32, int64} = int32")
      .traits(no_gradient)
      .shape(in_top_k_shape)
      .doc("Says whether each target's prediction is among the k highest of its row.");
  op("TopK")
      .in("input: T")
      .out("values: T", "indices: int32")
      .attr("k: int >= 0", "sorted: bool = true", kReals)
      .shape(top_k_shape)
      .doc("Finds the k largest elements of each row and where they are; of equal ones the first.");
  op("TopKV2")
      .in("input: T", "k: int32")
      .out("values: T", "indices: int32")
      .attr("sorted: bool = true", kReals)
      .shape(top_k_shape)
      .doc("Finds the k largest elements of each row and where they are; of equal ones the first.");
}

}  // namespace
}  // namespace headrace
