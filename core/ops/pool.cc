// Maxima and means under sliding windows, and their derivatives.
#include "core/base/window.h"
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

std::string format_of(ShapeContext& c) {
  return c.node().has_attr("data_format") ? c.attr<std::string>("data_format") : "NHWC";
}

Shape pooled(ShapeContext& c, const Shape& input) {
  const DataFormat format(format_of(c));
  const Ints &size = c.attr<Ints>("ksize"), &strides = c.attr<Ints>("strides");
  require(int(size.size()) == format.rank && int(strides.size()) == format.rank, "ksize has ", size.size(),
          " elements and strides ", strides.size(), ", expected ", format.rank, ", one for each dimension");
  const int channel = format.channel_axis();
  require(size[0] == 1 && strides[0] == 1 && size[channel] == 1 && strides[channel] == 1,
          "ksize and strides of the batch and channel dimensions must be 1; windows slide over space only");
  Shape out = input;
  for (int i = 0; i < format.num_spatial(); ++i) {
    const int axis = format.spatial_axis(i);
    require(size[axis] > 0, "ksize is ", size[axis], " in dimension ", axis, ", expected a positive number");
    out.set_dim(axis, slide(input[axis], size[axis], strides[axis], 1, c.attr<std::string>("padding")).out);
  }
  return out;
}

void pool_shape(ShapeContext& c) {
  const Shape out = pooled(c, c.with_rank(0, DataFormat(format_of(c)).rank));
  for (int i = 0; i < c.num_outputs(); ++i) c.output(i, out);
}

// (orig_input, orig_output, grad): the input's shape, with a gradient like the output; or the other way
// round.
template <bool second>
void max_pool_grad_shape(ShapeContext& c) {
  const int rank = DataFormat(format_of(c)).rank;
  const Shape input = c.with_rank(0, rank), out = pooled(c, input);
  require(out.compatible_with(c.with_rank(1, rank)), "orig_output is ", c.input(1), ", expected ", out,
          " for an input of ", input);
  const Shape& grad = second ? input : out;
  require(grad.compatible_with(c.with_rank(2, rank)), "grad is ", c.input(2), ", expected ", grad);
  c.output(0, second ? out.merge(c.input(1)) : input);
}

// (input, grad, argmax).
template <bool second>
void max_pool_argmax_grad_shape(ShapeContext& c) {
  const Shape input = c.with_rank(0, 4), out = pooled(c, input);
  const Shape& grad = second ? input : out;
  require(grad.compatible_with(c.with_rank(1, 4)), "grad is ", c.input(1), ", expected ", grad);
  require(out.compatible_with(c.with_rank(2, 4)), "argmax is ", c.input(2), ", expected ", out);
  c.output(0, second ? out : input);
}

void avg_pool_grad_shape(ShapeContext& c) {
  const int rank = DataFormat(format_of(c)).rank;
  Shape input = c.shape_value(0).merge(Shape::unknown_of_rank(rank));
  const Shape out = pooled(c, input), grad = c.with_rank(1, rank);
  require(out.compatible_with(grad), "grad is ", grad, ", expected ", out, " for an input of ", input);
  for (int axis : {0, DataFormat(format_of(c)).channel_axis()}) {
    if (input[axis] == kUnknown) input.set_dim(axis, grad[axis]);
  }
  c.output(0, input);
}

HEADRACE_OPS(pool) {
  const auto floats = "T: {float16, bfloat16, float32, float64}";
  const auto real =
      "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64}";
  const auto real_default =
      "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64} = "
      "float32";
  const auto padding = "padding: {'SAME', 'VALID'}";
  const auto format = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
  const auto format3 = "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'";
  const auto size = "ksize: list(int) >= 4", strides = "strides: list(int) >= 4";
  const auto size3 = "ksize: list(int) >= 5", strides3 = "strides: list(int) >= 5";

  op("MaxPool")
      .in("input: T")
      .out("output: T")
      .attr(real_default, size, strides, padding, format)
      .shape(pool_shape)
      .doc("The maximum under each window.");
  op("MaxPoolGrad")
      .in("orig_input: T", "orig_output: T", "grad: T")
      .out("output: T")
      .attr(size, strides, padding, format, real_default)
      .shape(max_pool_grad_shape<false>)
      .doc(
          "The derivative of MaxPool: each gradient goes to the first place of its window that holds the "
          "maximum.");
  op("MaxPoolGradGrad")
      .in("orig_input: T", "orig_output: T", "grad: T")
      .out("output: T")
      .attr(size, strides, padding, format, real)
      .shape(max_pool_grad_shape<true>)
      .doc(
          "The derivative of MaxPoolGrad by its gradient: the value at the maximum's place under each "
          "window.");
  op("MaxPoolWithArgmax")
      .in("input: T")
      .out("output: T", "argmax: Targmax")
      .attr(size, strides, "Targmax: {int32, int64} = int64", padding, "include_batch_in_index: bool = false",
            real)
      .shape(pool_shape)
      .doc("The maximum under each window and its flat place in the image (or in the batch).");
  op("MaxPoolGradWithArgmax")
      .in("input: T", "grad: T", "argmax: Targmax")
      .out("output: T")
      .attr(size, strides, padding, "include_batch_in_index: bool = false", "Targmax: {int32, int64}", real)
      .shape(max_pool_argmax_grad_shape<false>)
      .doc("The derivative of MaxPoolWithArgmax.");
  op("MaxPoolGradGradWithArgmax")
      .in("input: T", "grad: T", "argmax: Targmax")
      .out("output: T")
      .attr(size, strides, padding, "include_batch_in_index: bool = false", "Targmax: {int32, int64}", real)
      .shape(max_pool_argmax_grad_shape<true>)
      .doc("The derivative of MaxPoolGradWithArgmax by its gradient.");

  op("AvgPool")
      .in("value: T")
      .out("output: T")
      .attr(size, strides, padding, format, floats)
      .shape(pool_shape)
      .doc("The mean under each window; padding does not count.");
  op("AvgPoolGrad")
      .in("orig_input_shape: int32", "grad: T")
      .out("output: T")
      .attr(size, strides, padding, format, floats)
      .shape(avg_pool_grad_shape)
      .doc("The derivative of AvgPool.");

  op("MaxPool3D")
      .in("input: T")
      .out("output: T")
      .attr(size3, strides3, padding, format3, floats)
      .shape(pool_shape)
      .doc("The maximum under each window of a volume.");
  op("MaxPool3DGrad")
      .in("orig_input: TInput", "orig_output: TInput", "grad: T")
      .out("output: T")
      .attr(size3, strides3, padding, format3, "T: {float16, bfloat16, float32, float64} = float32",
            "TInput: {float16, bfloat16, float32, float64} = float32")
      .shape(max_pool_grad_shape<false>)
      .doc("The derivative of MaxPool3D.");
  op("MaxPool3DGradGrad")
      .in("orig_input: T", "orig_output: T", "grad: T")
      .out("output: T")
      .attr(size3, strides3, padding, format3, real)
      .shape(max_pool_grad_shape<true>)
      .doc("The derivative of MaxPool3DGrad by its gradient.");
  op("AvgPool3D")
      .in("input: T")
      .out("output: T")
      .attr(size3, strides3, padding, format3, floats)
      .shape(pool_shape)
      .doc("The mean under each window of a volume; padding does not count.");
  op("AvgPool3DGrad")
      .in("orig_input_shape: int32", "grad: T")
      .out("output: T")
      .attr(size3, strides3, padding, format3, floats)
      .shape(avg_pool_grad_shape)
      .doc("The derivative of AvgPool3D.");
}

}  // namespace
}  // namespace headrace
