// Convolutions and their derivatives by oneDNN.
#include "core/kernels/conv.h"

#include "core/kernels/onednn/onednn.h"
#include "core/kernels/onednn/post_operations.h"
#include "core/kernels/onednn/reorder.h"

namespace headrace {
namespace {

using namespace onednn;
using dnnl::algorithm;
using dnnl::prop_kind;

// A convolution in the library's words: logical dimensions (batch, channels, space...), our strides.
struct Described {
  Described(const Conv& conv, memory::data_type type) {
    memory::dims input{conv.batch, conv.groups * conv.in}, output{conv.batch, conv.groups * conv.out};
    memory::dims input_strides{conv.input.batch, conv.input.channel};
    memory::dims output_strides{conv.output.batch, conv.output.channel};
    memory::dims filter{conv.out, conv.in}, filter_strides{conv.filter.out, conv.filter.in};
    if (conv.groups > 1) {
      filter.insert(filter.begin(), conv.groups);
      filter_strides.insert(filter_strides.begin(), conv.filter.group);
    }
    for (int i = 3 - conv.spatial; i < 3; ++i) {
      const Window& w = conv.window[i];
      input.push_back(w.in), input_strides.push_back(conv.input.space[i]);
      output.push_back(w.out), output_strides.push_back(conv.output.space[i]);
      filter.push_back(w.size), filter_strides.push_back(conv.filter.space[i]);
      strides.push_back(w.stride);
      dilates.push_back(w.dilation - 1);
      before.push_back(w.before);
      after.push_back((w.out - 1) * w.stride + (w.size - 1) * w.dilation + 1 - w.in - w.before);
    }
    x = desc(type, input, input_strides);
    y = desc(type, output, output_strides);
    plain_filter = desc(type, filter, filter_strides);
    own_filter = any(type, filter);
  }
  memory::desc x, y, plain_filter, own_filter;
  memory::dims strides, dilates, before, after;
};

dnnl::convolution_forward::primitive_desc forward(const Described& d, prop_kind kind,
                                                  const dnnl::primitive_attr& attr = user_scratchpad()) {
  return {engine(),  kind,         algorithm::convolution_direct,
          d.x,       d.own_filter, d.y,
          d.strides, d.dilates,    d.before,
          d.after,   attr,         true};
}

template <bool depthwise>
std::unique_ptr<Kernel> prepare_forward(PrepareContext& c) {
  const auto type = type_of(c.output_dtype(0));
  const Conv conv(c, ConvRole::forward, depthwise);
  if (type == memory::data_type::undef || conv.empty()) return nullptr;
  const Team team(time_of(conv.flop(), 0));
  return if_supported([&]() -> std::unique_ptr<Kernel> {
    const Described d(conv, type);
    Scratch scratch;
    const DataFormat format(c.attr<std::string>("data_format"));
    const PostOps then(c, d.y, 1, format.channel_axis(), scratch);
    const auto pd = forward(d, prop_kind::forward_inference, then.attr());
    if (!is_fast(pd)) return nullptr;
    const Operand filter(c, 1, d.plain_filter, pd.weights_desc(), scratch);
    const std::size_t own = scratch.add(pd.scratchpad_desc().get_size());
    c.scratch(scratch.bytes);
    const Primitive convolve(dnnl::convolution_forward(pd),
                             then.arguments({{DNNL_ARG_SRC, d.x},
                                             {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                                             {DNNL_ARG_DST, d.y},
                                             {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}}));
    return kernel([=](RunContext& r) {
      const Operand::Value weights = filter.get(r);
      then.run(convolve, r,
               {r.input<void>(0), weights.data, r.output<void>(0), static_cast<char*>(r.scratch()) + own});
    });
  });
}

template <bool depthwise>
std::unique_ptr<Kernel> prepare_backprop_input(PrepareContext& c) {
  const auto type = type_of(c.output_dtype(0));
  const Conv conv(c, ConvRole::input, depthwise);
  if (type == memory::data_type::undef || conv.empty()) return nullptr;
  const Team team(time_of(conv.flop(), 0));
  return if_supported([&]() -> std::unique_ptr<Kernel> {
    const Described d(conv, type);
    const auto hint = forward(d, prop_kind::forward_training);
    if (!hint) return nullptr;
    const dnnl::convolution_backward_data::primitive_desc pd(
        engine(), algorithm::convolution_direct, d.x, d.own_filter, d.y, d.strides, d.dilates, d.before,
        d.after, hint, user_scratchpad(), true);
    if (!is_fast(pd)) return nullptr;
    Scratch scratch;
    const Operand filter(c, 1, d.plain_filter, pd.weights_desc(), scratch);
    const std::size_t own = scratch.add(pd.scratchpad_desc().get_size());
    c.scratch(scratch.bytes);
    const Primitive convolve(dnnl::convolution_backward_data(pd),
                             {{DNNL_ARG_DIFF_SRC, d.x},
                              {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                              {DNNL_ARG_DIFF_DST, d.y},
                              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}});
    return kernel([=](RunContext& r) {
      const Operand::Value weights = filter.get(r);
      convolve.run(
          {r.output<void>(0), weights.data, r.input<void>(2), static_cast<char*>(r.scratch()) + own});
    });
  });
}

template <bool depthwise>
std::unique_ptr<Kernel> prepare_backprop_filter(PrepareContext& c) {
  const auto type = type_of(c.output_dtype(0));
  const Conv conv(c, ConvRole::filter, depthwise);
  if (type == memory::data_type::undef || conv.empty()) return nullptr;
  const Team team(time_of(conv.flop(), 0));
  return if_supported([&]() -> std::unique_ptr<Kernel> {
    const Described d(conv, type);
    const auto hint = forward(d, prop_kind::forward_training);
    if (!hint) return nullptr;
    const dnnl::convolution_backward_weights::primitive_desc pd(
        engine(), algorithm::convolution_direct, d.x, d.own_filter, d.y, d.strides, d.dilates, d.before,
        d.after, hint, user_scratchpad(), true);
    if (!is_fast(pd)) return nullptr;
    const memory::desc made = pd.diff_weights_desc();
    const bool convert = made != d.plain_filter;
    Scratch scratch;
    const std::size_t own = scratch.add(pd.scratchpad_desc().get_size());
    const std::size_t filter = scratch.add(convert ? made.get_size() : 0);
    c.scratch(scratch.bytes);
    const Primitive convolve(dnnl::convolution_backward_weights(pd),
                             {{DNNL_ARG_SRC, d.x},
                              {DNNL_ARG_DIFF_WEIGHTS, made},
                              {DNNL_ARG_DIFF_DST, d.y},
                              {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc()}});
    const Reorder to_plain = convert ? Reorder(made, d.plain_filter) : Reorder();
    return kernel([=](RunContext& r) {
      char* memory = static_cast<char*>(r.scratch());
      void* result = convert ? memory + filter : r.output<void>(0);
      convolve.run({r.input<void>(0), result, r.input<void>(2), memory + own});
      if (convert) to_plain.run(result, r.output<void>(0));
    });
  });
}

}  // namespace

HEADRACE_KERNELS(onednn_conv) {
  const auto library = KernelRank::library;
  for (const char* op : {"Conv2D", "_FusedConv2D", "Conv3D", "_FusedConv3D"})
    add_kernel(op, prepare_forward<false>, library);
  add_kernel("Conv2DBackpropInput", prepare_backprop_input<false>, library);
  add_kernel("Conv2DBackpropFilter", prepare_backprop_filter<false>, library);
  for (const char* op : {"DepthwiseConv2dNative", "_FusedDepthwiseConv2dNative"})
    add_kernel(op, prepare_forward<true>, library);
  add_kernel("DepthwiseConv2dNativeBackpropInput", prepare_backprop_input<true>, library);
  add_kernel("DepthwiseConv2dNativeBackpropFilter", prepare_backprop_filter<true>, library);
  add_kernel("Conv3DBackpropInputV2", prepare_backprop_input<false>, library);
  add_kernel("Conv3DBackpropFilterV2", prepare_backprop_filter<false>, library);
}

}  // namespace headrace
