// Convolutions and their derivatives, and morphological dilation.
#include <array>

#include "core/base/window.h"
#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

// The attribute `name` of a node, one number for each dimension of the data format; 1 for batch and channels.
Ints per_dimension(ShapeContext& c, std::string_view name, const DataFormat& format) {
  const Ints& values = c.attr<Ints>(name);
  require(int(values.size()) == format.rank, name, " has ", values.size(), " elements, expected ",
          format.rank, ", one for each dimension");
  require(values[0] == 1 && values[format.channel_axis()] == 1, name,
          " of the batch and channel dimensions must be 1; they slide over space only");
  return values;
}

struct Convolution {
  DataFormat format;
  Ints strides, dilations, paddings;  // paddings: (before, after) for each dimension
  std::string padding;

  explicit Convolution(ShapeContext& c, std::string_view text)
      : format(text),
        strides(per_dimension(c, "strides", format)),
        dilations(per_dimension(c, "dilations", format)),
        paddings(2 * format.rank),
        padding(c.attr<std::string>("padding")) {
    if (!c.node().has_attr("explicit_paddings")) return;
    const Ints& given = c.attr<Ints>("explicit_paddings");
    if (padding != "EXPLICIT") {
      require(given.empty(), "explicit_paddings are given but padding is '", padding,
              "'; pass padding 'EXPLICIT'");
      return;
    }
    require(given.size() == paddings.size(), "explicit_paddings has ", given.size(), " elements, expected ",
            paddings.size(), ": before and after for each dimension");
    const int channel = 2 * format.channel_axis();
    require(!given[0] && !given[1] && !given[channel] && !given[channel + 1],
            "explicit_paddings of the batch and channel dimensions must be 0");
    paddings = given;
  }

  std::int64_t out_size(int i, std::int64_t in, std::int64_t size) const {
    const int axis = format.spatial_axis(i);
    return slide(in, size, strides[axis], dilations[axis], padding, paddings[2 * axis],
                 paddings[2 * axis + 1])
        .out;
  }

  // The output's shape. `depthwise`: the filter's last two dimensions are channels and their multiplier.
  Shape output(const Shape& input, const Shape& filter, bool depthwise) const {
    const int space = format.num_spatial();
    Shape out = Shape::unknown_of_rank(format.rank);
    out.set_dim(0, input[0]);
    for (int i = 0; i < space; ++i) {
      out.set_dim(format.spatial_axis(i), out_size(i, input[format.spatial_axis(i)], filter[i]));
    }
    const std::int64_t channels = input[format.channel_axis()], in = filter[space], last = filter[space + 1];
    if (depthwise) {
      require(channels == kUnknown || in == kUnknown || channels == in, "input ", input, " has ", channels,
              " channels, filter ", filter, " is for ", in);
      const std::int64_t known = channels == kUnknown ? in : channels;
      if (known != kUnknown && last != kUnknown) out.set_dim(format.channel_axis(), checked_mul(known, last));
    } else {
      if (channels != kUnknown && in != kUnknown) {
        require(in > 0 ? channels % in == 0 : channels == 0, "input ", input, " has ", channels,
                " channels, filter ", filter, " is for ", in,
                "; the filter's shape is (height, width, input channels, output channels)");
        const std::int64_t groups = in > 0 ? channels / in : 1;
        require(last == kUnknown || groups == 0 || last % groups == 0, "filter ", filter, " makes ", last,
                " channels, which ", groups, " groups cannot share evenly");
      }
      out.set_dim(format.channel_axis(), last);
    }
    return out;
  }
};

template <bool depthwise>
void conv_shape(ShapeContext& c) {
  const Convolution conv(c, c.attr<std::string>("data_format"));
  c.output(0, conv.output(c.with_rank(0, conv.format.rank), c.with_rank(1, conv.format.rank), depthwise));
}

// An output whose shape input i says, as far as it is known.
Shape asked_shape(ShapeContext& c, int i, int rank) {
  c.with_rank(i, 1);
  return c.shape_value(i).merge(Shape::unknown_of_rank(rank));
}

void check_backprop(ShapeContext& c, const Convolution& conv, const Shape& input, const Shape& filter,
                    bool depthwise) {
  const Shape expected = conv.output(input, filter, depthwise);
  require(expected.compatible_with(c.input(2)), "out_backprop is ", c.input(2), ", expected ", expected,
          " for an input of ", input, " and a filter of ", filter);
}

template <bool depthwise>
void conv_backprop_input_shape(ShapeContext& c) {
  const Convolution conv(c, c.attr<std::string>("data_format"));
  const Shape filter = c.with_rank(1, conv.format.rank), grad = c.with_rank(2, conv.format.rank);
  Shape input = asked_shape(c, 0, conv.format.rank);
  check_backprop(c, conv, input, filter, depthwise);
  if (input[0] == kUnknown) input.set_dim(0, grad[0]);
  c.output(0, input);
}

template <bool depthwise>
void conv_backprop_filter_shape(ShapeContext& c) {
  const Convolution conv(c, c.attr<std::string>("data_format"));
  const Shape input = c.with_rank(0, conv.format.rank);
  const Shape filter = asked_shape(c, 1, conv.format.rank);
  c.with_rank(2, conv.format.rank);
  check_backprop(c, conv, input, filter, depthwise);
  c.output(0, filter);
}

Shape dilation_output(ShapeContext& c) {
  const DataFormat format("NHWC");
  const Ints strides = per_dimension(c, "strides", format), rates = per_dimension(c, "rates", format);
  const Shape input = c.with_rank(0, 4), filter = c.with_rank(1, 3);
  const std::string& padding = c.attr<std::string>("padding");
  require(input[3] == kUnknown || filter[2] == kUnknown || input[3] == filter[2], "input ", input, " has ",
          input[3], " channels, filter ", filter, " is for ", filter[2]);
  return Shape{input[0], slide(input[1], filter[0], strides[1], rates[1], padding).out,
               slide(input[2], filter[1], strides[2], rates[2], padding).out,
               input[3] == kUnknown ? filter[2] : input[3]};
}

template <int of>
void dilation_backprop_shape(ShapeContext& c) {
  const Shape expected = dilation_output(c);
  require(expected.compatible_with(c.with_rank(2, 4)), "out_backprop is ", c.input(2), ", expected ",
          expected);
  c.output(0, c.with_rank(of, of == 0 ? 4 : 3));
}

HEADRACE_OPS(conv) {
  const auto types = "T: {float16, bfloat16, float32, float64}";
  const auto strides = "strides: list(int)";
  const auto any_padding = "padding: {'SAME', 'VALID', 'EXPLICIT'}";
  const auto padding = "padding: {'SAME', 'VALID'}";
  const auto format = "data_format: {'NHWC', 'NCHW'} = 'NHWC'";
  const auto dilations = "dilations: list(int) = [1, 1, 1, 1]";
  const auto format3 = "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'";
  const auto dilations3 = "dilations: list(int) = [1, 1, 1, 1, 1]";

  define_fused(op("Conv2D")
                   .in("input: T", "filter: T")
                   .out("output: T")
                   .attr(types, strides, "use_cudnn_on_gpu: bool = true", any_padding,
                         "explicit_paddings: list(int) = []", format, dilations)
                   .shape(conv_shape<false>)
                   .doc("Slides filters (height, width, input channels, output channels) over images."));
  op("Conv2DBackpropInput")
      .in("input_sizes: int32", "filter: T", "out_backprop: T")
      .out("output: T")
      .attr(types, strides, "use_cudnn_on_gpu: bool = true", any_padding, "explicit_paddings: list(int) = []",
            format, dilations)
      .shape(conv_backprop_input_shape<false>)
      .doc("The derivative of Conv2D by its input.");
  op("Conv2DBackpropFilter")
      .in("input: T", "filter_sizes: int32", "out_backprop: T")
      .out("output: T")
      .attr(types, strides, "use_cudnn_on_gpu: bool = true", any_padding, "explicit_paddings: list(int) = []",
            format, dilations)
      .shape(conv_backprop_filter_shape<false>)
      .doc("The derivative of Conv2D by its filter.");

  define_fused(op("DepthwiseConv2dNative")
                   .in("input: T", "filter: T")
                   .out("output: T")
                   .attr(types, strides, padding, format, dilations)
                   .shape(conv_shape<true>)
                   .doc("Gives each channel filters of its own: (height, width, channels, multiplier)."));
  op("DepthwiseConv2dNativeBackpropInput")
      .in("input_sizes: int32", "filter: T", "out_backprop: T")
      .out("output: T")
      .attr(types, strides, padding, format, dilations)
      .shape(conv_backprop_input_shape<true>)
      .doc("The derivative of DepthwiseConv2dNative by its input.");
  op("DepthwiseConv2dNativeBackpropFilter")
      .in("input: T", "filter_sizes: int32", "out_backprop: T")
      .out("output: T")
      .attr(types, strides, padding, format, dilations)
      .shape(conv_backprop_filter_shape<true>)
      .doc("The derivative of DepthwiseConv2dNative by its filter.");

  define_fused(
      op("Conv3D")
          .in("input: T", "filter: T")
          .out("output: T")
          .attr(types, "strides: list(int) >= 5", padding, format3, dilations3)
          .shape(conv_shape<false>)
          .doc("Slides filters (depth, height, width, input channels, output channels) over volumes."));
  op("Conv3DBackpropInputV2")
      .in("input_sizes: Tshape", "filter: T", "out_backprop: T")
      .out("output: T")
      .attr(types, "strides: list(int) >= 5", padding, format3, dilations3, "Tshape: {int32, int64} = int32")
      .shape(conv_backprop_input_shape<false>)
      .doc("The derivative of Conv3D by its input.");
  op("Conv3DBackpropFilterV2")
      .in("input: T", "filter_sizes: int32", "out_backprop: T")
      .out("output: T")
      .attr(types, "strides: list(int) >= 5", padding, format3, dilations3)
      .shape(conv_backprop_filter_shape<false>)
      .doc("The derivative of Conv3D by its filter.");

  const auto real =
      "T: {float32, float64, int32, uint8, int16, int8, int64, bfloat16, uint16, float16, uint32, uint64}";
  op("Dilation2D")
      .in("input: T", "filter: T")
      .out("output: T")
      .attr(real, "strides: list(int) >= 4", "rates: list(int) >= 4", padding)
      .shape([](ShapeContext& c) { c.output(0, dilation_output(c)); })
      .doc("Grey-scale dilation: the maximum of input + filter under a sliding structuring element.");
  op("Dilation2DBackpropInput")
      .in("input: T", "filter: T", "out_backprop: T")
      .out("in_backprop: T")
      .attr(real, "strides: list(int) >= 4", "rates: list(int) >= 4", padding)
      .shape(dilation_backprop_shape<0>)
      .doc("The derivative of Dilation2D by its input.");
  op("Dilation2DBackpropFilter")
      .in("input: T", "filter: T", "out_backprop: T")
      .out("filter_backprop: T")
      .attr(real, "strides: list(int) >= 4", "rates: list(int) >= 4", padding)
      .shape(dilation_backprop_shape<1>)
      .doc("The derivative of Dilation2D by its filter.");
}

}  // namespace
}  // namespace headrace
