// Normalisation over batches and over neighbouring channels.
#include "core/base/window.h"
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

// The number of channels on which x and the vectors (inputs from `first` to `last`) agree.
std::int64_t channels_of(ShapeContext& c, int x, int first, int last) {
  const int axis = DataFormat(c.attr<std::string>("data_format")).channel_axis();
  Shape channels{c.with_rank(x, 4)[axis]};
  for (int i = first; i <= last; ++i) {
    const Shape vector = c.with_rank(i, 1);
    if (vector[0] == 0 && !c.attr<bool>("is_training")) continue;
    require(channels.compatible_with(vector), c.node().op().inputs()[i].name, " has ", vector[0],
            " elements, but ", c.node().op().inputs()[x].name, " has ", channels[0], " channels (axis ", axis,
            ")");
    channels = channels.merge(vector);
  }
  return channels[0];
}

void fused_batch_norm_shape(ShapeContext& c) {
  const bool training = c.attr<bool>("is_training");
  c.with_rank(3, 1), c.with_rank(4, 1);  // mean and variance; in training they may be empty
  const std::int64_t channels = channels_of(c, 0, 1, training ? 2 : 4);
  Shape y = c.with_rank(0, 4);
  y.set_dim(DataFormat(c.attr<std::string>("data_format")).channel_axis(), channels);
  c.output(0, y);
  for (int i = 1; i <= 4; ++i) c.output(i, Shape{channels});
  if (c.num_outputs() == 6) c.output(5, Shape());  // nothing to save on a CPU
}

void fused_batch_norm_grad_shape(ShapeContext& c) {
  require(c.with_rank(0, 4).compatible_with(c.with_rank(1, 4)), "y_backprop is ", c.input(0), " but x is ",
          c.input(1));
  const std::int64_t channels = channels_of(c, 1, 2, 4);
  Shape x = c.with_rank(0, 4).merge(c.with_rank(1, 4));
  x.set_dim(DataFormat(c.attr<std::string>("data_format")).channel_axis(), channels);
  c.output(0, x);
  c.output(1, Shape{channels});
  c.output(2, Shape{channels});
  c.output(3, Shape{0});
  c.output(4, Shape{0});
}

HEADRACE_OPS(norm) {
  const auto floats = "T: {float32, float64}";
  const auto mixed = "T: {float16, bfloat16, float32}", statistics = "U: {float32}";
  const auto epsilon = "epsilon: float = 0.0001";
  const auto format = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
  const auto training = "is_training: bool = true";
  const auto doc =
      "Normalises each channel to mean `offset` and deviation `scale`, by the batch's own moments or by "
      "those given.";
  const auto grad_doc = "The derivatives of batch normalisation by x, scale and offset.";

  define_fused(
      op("FusedBatchNorm")
          .in("x: T", "scale: T", "offset: T", "mean: T", "variance: T")
          .out("y: T", "batch_mean: T", "batch_variance: T", "reserve_space_1: T", "reserve_space_2: T")
          .attr(floats, epsilon, format, training)
          .traits(Trait::post_operation)
          .shape(fused_batch_norm_shape)
          .doc(doc));
  define_fused(
      op("FusedBatchNormV2")
          .in("x: T", "scale: U", "offset: U", "mean: U", "variance: U")
          .out("y: T", "batch_mean: U", "batch_variance: U", "reserve_space_1: U", "reserve_space_2: U")
          .attr(mixed, statistics, epsilon, format, training)
          .traits(Trait::post_operation)
          .shape(fused_batch_norm_shape)
          .doc(doc));
  define_fused(op("FusedBatchNormV3")
                   .in("x: T", "scale: U", "offset: U", "mean: U", "variance: U")
                   .out("y: T", "batch_mean: U", "batch_variance: U", "reserve_space_1: U",
                        "reserve_space_2: U", "reserve_space_3: U")
                   .attr(mixed, statistics, epsilon, format, training)
                   .traits(Trait::post_operation)
                   .shape(fused_batch_norm_shape)
                   .doc(doc));
  op("FusedBatchNormGrad")
      .in("y_backprop: T", "x: T", "scale: T", "reserve_space_1: T", "reserve_space_2: T")
      .out("x_backprop: T", "scale_backprop: T", "offset_backprop: T", "reserve_space_3: T",
           "reserve_space_4: T")
      .attr(floats, epsilon, format, training)
      .shape(fused_batch_norm_grad_shape)
      .doc(grad_doc);
  op("FusedBatchNormGradV2")
      .in("y_backprop: T", "x: T", "scale: float32", "reserve_space_1: U", "reserve_space_2: U")
      .out("x_backprop: T", "scale_backprop: U", "offset_backprop: U", "reserve_space_3: U",
           "reserve_space_4: U")
      .attr(mixed, statistics, epsilon, format, training)
      .shape(fused_batch_norm_grad_shape)
      .doc(grad_doc);
  op("FusedBatchNormGradV3")
      .in("y_backprop: T", "x: T", "scale: float32", "reserve_space_1: U", "reserve_space_2: U",
          "reserve_space_3: U")
      .out("x_backprop: T", "scale_backprop: U", "offset_backprop: U", "reserve_space_4: U",
           "reserve_space_5: U")
      .attr(mixed, statistics, epsilon, format, training)
      .shape(fused_batch_norm_grad_shape)
      .doc(grad_doc);

  const auto lrn_types = "T: {float16, bfloat16, float32, float64} = float32";
  op("LRN")
      .in("input: T")
      .out("output: T")
      .attr("depth_radius: int = 5", "bias: float = 1.0", "alpha: float = 1.0", "beta: float = 0.5",
            lrn_types)
      .shape([](ShapeContext& c) { c.output(0, c.with_rank(0, 4)); })
      .doc("Divides by (bias + alpha * the sum of squares over neighbouring channels) ** beta.");
  op("LRNGrad")
      .in("input_grads: T", "input_image: T", "output_image: T")
      .out("output: T")
      .attr("depth_radius: int = 5", "bias: float = 1.0", "alpha: float = 1.0", "beta: float = 0.5",
            lrn_types)
      .shape([](ShapeContext& c) {
        merged_shape(c);
        c.output(0, c.with_rank(0, 4).merge(c.outputs()[0]));
      })
      .doc("The derivative of LRN.");
}

}  // namespace
}  // namespace headrace
