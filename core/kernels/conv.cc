// Convolutions in plain C++: every floating dtype, as products of matrices whose packing reads patches of the
// image.
#include "core/kernels/conv.h"

#include <algorithm>
#include <limits>

#include "core/base/parallel.h"
#include "core/kernels/gemm.h"
#include "core/kernels/post_operations.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

// A place in (depth, height, width).
struct Place {
  std::int64_t at[3];
};
Place place_of(std::int64_t flat, std::int64_t height, std::int64_t width) {
  return {{flat / (height * width), flat / width % height, flat % width}};
}

// Splits [k, k + depth), which counts the channels of each tap one after another, into runs within one tap.
template <class F>
void for_runs(const Conv& conv, std::int64_t channels, std::int64_t k, int depth, F&& f) {
  for (int d = 0; d < depth;) {
    const std::int64_t tap = (k + d) / channels, channel = (k + d) % channels;
    const int count = int(std::min<std::int64_t>(depth - d, channels - channel));
    f(d, count, place_of(tap, conv.window[1].size, conv.window[2].size), channel);
    d += count;
  }
}

// Offset of the input element under tap `t` of output `o`, or -1 in the padding.
std::int64_t input_offset(const Conv& conv, const Place& o, const Place& t) {
  std::int64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    const std::int64_t at = conv.window[i].place(o.at[i], t.at[i]);
    if (at < 0) return -1;
    offset += at * conv.input.space[i];
  }
  return offset;
}

// Offset of the output element whose tap `t` reads input `x`, or -1 if there is none.
std::int64_t output_offset(const Conv& conv, const Place& x, const Place& t) {
  std::int64_t offset = 0;
  for (int i = 0; i < 3; ++i) {
    const Window& w = conv.window[i];
    const std::int64_t from = x.at[i] + w.before - t.at[i] * w.dilation;
    if (from < 0 || from % w.stride || from / w.stride >= w.out) return -1;
    offset += from / w.stride * conv.output.space[i];
  }
  return offset;
}

std::int64_t filter_offset(const Conv& conv, const Place& t) {
  return t.at[0] * conv.filter.space[0] + t.at[1] * conv.filter.space[1] + t.at[2] * conv.filter.space[2];
}

// One group: the pointers are at its first channels. S is how elements are stored, C computes.
template <class S, class C>
struct Patches {
  const Conv& conv;
  const S *input, *filter, *output;

  // Packs input patches. Lines are output places, depth counts taps and channels.
  void patches(std::int64_t row, int rows, std::int64_t k, int depth, C* into, int stride) const {
    for (int r = 0; r < rows; ++r) {
      const Place o = place_of((row + r) % conv.out_space(), conv.window[1].out, conv.window[2].out);
      const S* image = input + (row + r) / conv.out_space() * conv.input.batch;
      for_runs(conv, conv.in, k, depth, [&](int d, int count, const Place& tap, std::int64_t channel) {
        const std::int64_t offset = input_offset(conv, o, tap);
        C* to = into + d * stride + r;
        if (offset < 0) {
          for (int i = 0; i < count; ++i) to[i * stride] = C(0);
        } else {
          const S* from = image + offset + channel * conv.input.channel;
          for (int i = 0; i < count; ++i) to[i * stride] = C(from[i * conv.input.channel]);
        }
      });
    }
  }
  // The same patches, transposed: lines count taps and channels, depth is output places.
  void patches_across(std::int64_t row, int rows, std::int64_t k, int depth, C* into, int stride) const {
    for (int d = 0; d < depth; ++d) {
      const Place o = place_of((k + d) % conv.out_space(), conv.window[1].out, conv.window[2].out);
      const S* image = input + (k + d) / conv.out_space() * conv.input.batch;
      for_runs(conv, conv.in, row, rows, [&](int r, int count, const Place& tap, std::int64_t channel) {
        const std::int64_t offset = input_offset(conv, o, tap);
        const S* from = image + offset + channel * conv.input.channel;
        C* to = into + d * stride + r;
        for (int i = 0; i < count; ++i) to[i] = offset < 0 ? C(0) : C(from[i * conv.input.channel]);
      });
    }
  }
  // Packs what of the output's gradient reached an input place. Lines are input places, depth counts taps and
  // output channels.
  void reached(std::int64_t row, int rows, std::int64_t k, int depth, C* into, int stride) const {
    for (int r = 0; r < rows; ++r) {
      const Place x = place_of((row + r) % conv.in_space(), conv.window[1].in, conv.window[2].in);
      const S* image = output + (row + r) / conv.in_space() * conv.output.batch;
      for_runs(conv, conv.out, k, depth, [&](int d, int count, const Place& tap, std::int64_t channel) {
        const std::int64_t offset = output_offset(conv, x, tap);
        const S* from = image + offset + channel * conv.output.channel;
        C* to = into + d * stride + r;
        for (int i = 0; i < count; ++i) to[i * stride] = offset < 0 ? C(0) : C(from[i * conv.output.channel]);
      });
    }
  }
  // Packs the filter with output channels as columns; depth counts taps and input channels.
  void filter_columns(std::int64_t column, int columns, std::int64_t k, int depth, C* into,
                      int stride) const {
    for_runs(conv, conv.in, k, depth, [&](int d, int count, const Place& tap, std::int64_t channel) {
      const S* from = filter + filter_offset(conv, tap) + channel * conv.filter.in + column * conv.filter.out;
      for (int i = 0; i < count; ++i) {
        for (int j = 0; j < columns; ++j) {
          into[(d + i) * stride + j] = C(from[i * conv.filter.in + j * conv.filter.out]);
        }
      }
    });
  }
  // Packs the filter with input channels as columns; depth counts taps and output channels.
  void filter_across(std::int64_t column, int columns, std::int64_t k, int depth, C* into, int stride) const {
    for_runs(conv, conv.out, k, depth, [&](int d, int count, const Place& tap, std::int64_t channel) {
      const S* from = filter + filter_offset(conv, tap) + channel * conv.filter.out + column * conv.filter.in;
      for (int i = 0; i < count; ++i) {
        for (int j = 0; j < columns; ++j) {
          into[(d + i) * stride + j] = C(from[i * conv.filter.out + j * conv.filter.in]);
        }
      }
    });
  }
  // Packs the output's gradient with channels as columns; depth is output places.
  void output_columns(std::int64_t column, int columns, std::int64_t k, int depth, C* into,
                      int stride) const {
    for (int d = 0; d < depth; ++d) {
      const S* from = output + output_place(k + d) + column * conv.output.channel;
      for (int j = 0; j < columns; ++j) into[d * stride + j] = C(from[j * conv.output.channel]);
    }
  }
  std::int64_t output_place(std::int64_t flat) const {
    const Place o = place_of(flat % conv.out_space(), conv.window[1].out, conv.window[2].out);
    return flat / conv.out_space() * conv.output.batch + o.at[0] * conv.output.space[0] +
           o.at[1] * conv.output.space[1] + o.at[2] * conv.output.space[2];
  }
  std::int64_t input_place(std::int64_t flat) const {
    const Place x = place_of(flat % conv.in_space(), conv.window[1].in, conv.window[2].in);
    return flat / conv.in_space() * conv.input.batch + x.at[0] * conv.input.space[0] +
           x.at[1] * conv.input.space[1] + x.at[2] * conv.input.space[2];
  }
};

template <class S>
void run_group(const Conv& conv, ConvRole role, std::int64_t group, const S* input, const S* filter,
               const S* output, S* result) {
  using C = Compute<S>;
  const std::int64_t in_channel = group * conv.in * conv.input.channel;
  const std::int64_t out_channel = group * conv.out * conv.output.channel;
  const Patches<S, C> p{conv, input + in_channel, filter + group * conv.filter.group, output + out_channel};
  const std::int64_t taps = conv.taps(), places = conv.batch * conv.out_space();
  // Each callback below names what it packs; `at` are the five arguments that say where.
  switch (role) {
    case ConvRole::forward:
      result += out_channel;
      return gemm<C>(
          places, conv.out, taps * conv.in, [&](auto... at) { p.patches(at...); },
          [&](auto... at) { p.filter_columns(at...); },
          [&](std::int64_t row, int rows, std::int64_t column, int columns, const C* tile, int stride) {
            for (int r = 0; r < rows; ++r) {
              S* to = result + p.output_place(row + r) + column * conv.output.channel;
              for (int j = 0; j < columns; ++j) to[j * conv.output.channel] = S(tile[r * stride + j]);
            }
          });
    case ConvRole::input:
      result += in_channel;
      return gemm<C>(
          conv.batch * conv.in_space(), conv.in, taps * conv.out, [&](auto... at) { p.reached(at...); },
          [&](auto... at) { p.filter_across(at...); },
          [&](std::int64_t row, int rows, std::int64_t column, int columns, const C* tile, int stride) {
            for (int r = 0; r < rows; ++r) {
              S* to = result + p.input_place(row + r) + column * conv.input.channel;
              for (int j = 0; j < columns; ++j) to[j * conv.input.channel] = S(tile[r * stride + j]);
            }
          });
    case ConvRole::filter:
      result += group * conv.filter.group;
      return gemm<C>(
          taps * conv.in, conv.out, places, [&](auto... at) { p.patches_across(at...); },
          [&](auto... at) { p.output_columns(at...); },
          [&](std::int64_t row, int rows, std::int64_t column, int columns, const C* tile, int stride) {
            for_runs(conv, conv.in, row, rows, [&](int r, int count, const Place& tap, std::int64_t channel) {
              S* to = result + filter_offset(conv, tap) + channel * conv.filter.in + column * conv.filter.out;
              for (int i = 0; i < count; ++i) {
                for (int j = 0; j < columns; ++j) {
                  to[i * conv.filter.in + j * conv.filter.out] = S(tile[(r + i) * stride + j]);
                }
              }
            });
          });
  }
}

template <ConvRole role, bool depthwise>
std::unique_ptr<Kernel> prepare_conv(PrepareContext& c) {
  const Conv conv(c, role, depthwise);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    made = kernel([conv](RunContext& r) {
      const T* input = role == ConvRole::input ? nullptr : r.input<T>(0);
      const T* filter = role == ConvRole::filter ? nullptr : r.input<T>(1);
      const T* output = role == ConvRole::forward ? nullptr : r.input<T>(2);
      T* result = r.output<T>(0);
      auto groups = [&](std::int64_t begin, std::int64_t end) {
        for (auto g = begin; g < end; ++g) run_group<T>(conv, role, g, input, filter, output, result);
      };
      // Many groups share the threads; few let the threads share each.
      if (conv.groups >= num_threads())
        return parallel_for(conv.groups, conv.flop() / double(conv.groups), groups);
      groups(0, conv.groups);
    });
  });
  return made;
}

// ---- dilation

struct Dilation {
  explicit Dilation(PrepareContext& c)
      : batch(c.input_shape(0)[0]), channels(c.input_shape(0)[3]), size(c.input_shape(0).size()) {
    const Ints &strides = c.attr<Ints>("strides"), &rates = c.attr<Ints>("rates");
    const Shape &x = c.input_shape(0), &w = c.input_shape(1);
    const std::string& padding = c.attr<std::string>("padding");
    height = slide(x[1], w[0], strides[1], rates[1], padding);
    width = slide(x[2], w[1], strides[2], rates[2], padding);
  }
  std::int64_t batch, channels, size;
  Window height, width;

  // f(output, input, filter) with the places (in elements) of one output and of what makes its maximum, for
  // the given images and channels; the latter two are -1 where the whole window lies in the padding.
  template <class T, class F>
  void for_maxima(const T* x, const T* w, std::int64_t image, std::int64_t channel, F&& f) const {
    using C = Compute<T>;
    for (std::int64_t i = 0; i < height.out; ++i) {
      for (std::int64_t j = 0; j < width.out; ++j) {
        std::int64_t from = -1, by = -1;
        C best{};
        for (std::int64_t a = 0; a < height.size; ++a) {
          const std::int64_t row = height.place(i, a);
          if (row < 0) continue;
          for (std::int64_t b = 0; b < width.size; ++b) {
            const std::int64_t column = width.place(j, b);
            if (column < 0) continue;
            const std::int64_t at = ((image * height.in + row) * width.in + column) * channels + channel;
            const std::int64_t tap = (a * width.size + b) * channels + channel;
            const C value = C(C(x[at]) + C(w[tap]));
            if (from >= 0 && !(value > best)) continue;
            best = value;
            from = at;
            by = tap;
          }
        }
        f(((image * height.out + i) * width.out + j) * channels + channel, from, by);
      }
    }
  }
  double cost() const { return 2.0 * double(height.out * width.out * height.size * width.size); }
};

enum class DilationRole { forward, input, filter };

template <DilationRole role>
std::unique_ptr<Kernel> prepare_dilation(PrepareContext& c) {
  const Dilation d(c);
  const std::int64_t result_size = c.output_shape(0).size();
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([d, result_size](RunContext& r) {
      const T *x = r.input<T>(0), *w = r.input<T>(1);
      T* result = r.output<T>(0);
      const T* grad = role == DilationRole::forward ? nullptr : r.input<T>(2);
      if (grad) std::fill_n(result, result_size, T{});
      // Channels share nothing; so a gradient is summed by one thread.
      parallel_for(d.channels, double(d.batch) * d.cost(), [&](std::int64_t begin, std::int64_t end) {
        for (auto channel = begin; channel < end; ++channel) {
          for (std::int64_t image = 0; image < d.batch; ++image) {
            d.for_maxima(x, w, image, channel, [&](std::int64_t out, std::int64_t from, std::int64_t by) {
              if (role == DilationRole::forward) {
                result[out] = from < 0 ? T(std::numeric_limits<C>::lowest()) : T(C(x[from]) + C(w[by]));
              } else if (from >= 0) {
                T& to = result[role == DilationRole::input ? from : by];
                to = T(C(to) + C(grad[out]));
              }
            });
          }
        }
      });
    });
  });
  return made;
}

}  // namespace

Conv::Conv(PrepareContext& c, ConvRole role, bool depthwise) {
  const Shape& x = role == ConvRole::input ? c.output_shape(0) : c.input_shape(0);
  const Shape& w = role == ConvRole::filter ? c.output_shape(0) : c.input_shape(1);
  const Shape& y = role == ConvRole::forward ? c.output_shape(0) : c.input_shape(2);
  const DataFormat format(c.attr<std::string>("data_format"));
  const Ints &strides = c.attr<Ints>("strides"), &dilations = c.attr<Ints>("dilations");
  const std::string& padding = c.attr<std::string>("padding");
  const Ints given = c.node().attr_or<Ints>("explicit_paddings", {});

  spatial = format.num_spatial();
  batch = x[0];
  const std::int64_t channels = x[format.channel_axis()], filters = y[format.channel_axis()];
  const std::int64_t first = w[spatial], second = w[spatial + 1];  // the filter's channels
  in = depthwise ? 1 : first;
  groups = in ? channels / in : 1;
  out = groups ? filters / groups : filters;

  const auto in_strides = strides_of(x.dims()), out_strides = strides_of(y.dims()),
             filter_strides = strides_of(w.dims());
  input = {in_strides[0], in_strides[format.channel_axis()], {}};
  output = {out_strides[0], out_strides[format.channel_axis()], {}};
  filter = depthwise ? FilterLayout{second, first * second, 1, {}} : FilterLayout{out, second, 1, {}};
  for (int i = 0; i < spatial; ++i) {
    const int axis = format.spatial_axis(i), at = i + 3 - spatial;
    const bool is_explicit = padding == "EXPLICIT";
    window[at] = slide(x[axis], w[i], strides[axis], dilations[axis], padding,
                       is_explicit ? given[2 * axis] : 0, is_explicit ? given[2 * axis + 1] : 0);
    input.space[at] = in_strides[axis];
    output.space[at] = out_strides[axis];
    filter.space[at] = filter_strides[i];
  }
}

HEADRACE_KERNELS(conv) {
  add_kernel("Conv2D", prepare_conv<ConvRole::forward, false>);
  add_kernel("_FusedConv2D", with_post_operations("Conv2D"));
  add_kernel("Conv2DBackpropInput", prepare_conv<ConvRole::input, false>);
  add_kernel("Conv2DBackpropFilter", prepare_conv<ConvRole::filter, false>);
  add_kernel("DepthwiseConv2dNative", prepare_conv<ConvRole::forward, true>);
  add_kernel("_FusedDepthwiseConv2dNative", with_post_operations("DepthwiseConv2dNative"));
  add_kernel("DepthwiseConv2dNativeBackpropInput", prepare_conv<ConvRole::input, true>);
  add_kernel("DepthwiseConv2dNativeBackpropFilter", prepare_conv<ConvRole::filter, true>);
  add_kernel("Conv3D", prepare_conv<ConvRole::forward, false>);
  add_kernel("_FusedConv3D", with_post_operations("Conv3D"));
  add_kernel("Conv3DBackpropInputV2", prepare_conv<ConvRole::input, false>);
  add_kernel("Conv3DBackpropFilterV2", prepare_conv<ConvRole::filter, false>);
  add_kernel("Dilation2D", prepare_dilation<DilationRole::forward>);
  add_kernel("Dilation2DBackpropInput", prepare_dilation<DilationRole::input>);
  add_kernel("Dilation2DBackpropFilter", prepare_dilation<DilationRole::filter>);
}

}  // namespace headrace
