// Maxima and means under sliding windows, and their derivatives, in plain C++.
#include "core/kernels/pool.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/parallel.h"
#include "core/kernels/vector/pool.h"
#include "core/kernels/vector/vector.h"

namespace headrace {
namespace {

using Ints = std::vector<std::int64_t>;

// Loops run over blocks of channels, side by side in memory where channels come last.
constexpr std::int64_t kBlock = 64;

// One block of channels of one image. f(output place) for each, in order; or with the offsets of its taps.
struct Block {
  const Pool& pool;
  std::int64_t image, channel;
  int channels;

  std::int64_t input_base() const { return image * pool.input.batch + channel * pool.input.channel; }
  std::int64_t output_base() const { return image * pool.output.batch + channel * pool.output.channel; }

  // f(offset of the output place, window's first and last place + 1 in each dimension of the input).
  template <class F>
  void for_outputs(F&& f) const {
    const auto& w = pool.window;
    std::int64_t begin[3], end[3];
    auto range = [&](int i, std::int64_t o) {
      const std::int64_t first = o * w[i].stride - w[i].before;
      begin[i] = std::max<std::int64_t>(first, 0);
      end[i] = std::min(first + w[i].size, w[i].in);
    };
    for (std::int64_t d = 0; d < w[0].out; ++d) {
      range(0, d);
      for (std::int64_t h = 0; h < w[1].out; ++h) {
        range(1, h);
        for (std::int64_t x = 0; x < w[2].out; ++x) {
          range(2, x);
          f(d * pool.output.space[0] + h * pool.output.space[1] + x * pool.output.space[2], begin, end);
        }
      }
    }
  }
  // f(offset of the input place, its number in the image) for each place of a window.
  template <class F>
  void for_taps(const std::int64_t* begin, const std::int64_t* end, F&& f) const {
    for (std::int64_t d = begin[0]; d < end[0]; ++d) {
      for (std::int64_t h = begin[1]; h < end[1]; ++h) {
        std::int64_t offset =
            d * pool.input.space[0] + h * pool.input.space[1] + begin[2] * pool.input.space[2];
        std::int64_t number = (d * pool.window[1].in + h) * pool.window[2].in + begin[2];
        for (std::int64_t x = begin[2]; x < end[2]; ++x, offset += pool.input.space[2], ++number)
          f(offset, number);
      }
    }
  }
};

template <class F>
void for_blocks(const Pool& pool, double cost, F&& f) {
  const std::int64_t blocks = (pool.channels + kBlock - 1) / kBlock;
  parallel_for(pool.batch * blocks, cost * double(kBlock), [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) {
      const std::int64_t channel = i % blocks * kBlock;
      f(Block{pool, i / blocks, channel, int(std::min(kBlock, pool.channels - channel))});
    }
  });
}

// f(i) for each channel of a block; `step` apart in memory, which is 1 in the case that matters.
template <class F>
inline void each(int channels, std::int64_t step, F&& f) {
  if (step == 1) {
    for (int i = 0; i < channels; ++i) f(i, std::int64_t(i));
  } else {
    for (int i = 0; i < channels; ++i) f(i, i * step);
  }
}

// Whether x is the maximum m that was found, or either is NaN.
template <class C>
bool is_maximum(C x, C m) {
  return !(x < m);
}

template <class T>
constexpr bool has_loops = std::is_same_v<T, float> || std::is_same_v<T, double>;
template <class T>
const PoolLoops<T>& loops() {
  static const PoolLoops<T> chosen = HEADRACE_BY_ISA(pool_loops(T{}));
  return chosen;
}

std::unique_ptr<Kernel> prepare_max_pool(PrepareContext& c) {
  const Pool pool(c, c.input_shape(0), c.output_shape(0));
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([pool](RunContext& r) {
      const T* x = r.input<T>(0);
      T* y = r.output<T>(0);
      for_blocks(pool, 0.3 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
        const T* from = x + block.input_base();
        T* to = y + block.output_base();
        block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
          C best[kBlock];
          bool first = true;
          block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t) {
            const T* tap = from + offset;
            if (!first && has_loops<T> && pool.input.channel == 1) {
              if constexpr (has_loops<T>) loops<T>().keep(block.channels, tap, best);
            } else if (std::exchange(first, false)) {
              each(block.channels, pool.input.channel, [&](int i, std::int64_t at) { best[i] = C(tap[at]); });
            } else {
              each(block.channels, pool.input.channel, [&](int i, std::int64_t at) {
                const C value = C(tap[at]);
                best[i] = value <= best[i] || best[i] != best[i] ? best[i] : value;
              });
            }
          });
          T* out = to + place;
          each(block.channels, pool.output.channel, [&](int i, std::int64_t at) { out[at] = T(best[i]); });
        });
      });
    });
  });
  return made;
}

// Gradients are T, what was pooled X.
template <class T, class X>
std::unique_ptr<Kernel> max_pool_grad(const Pool& pool, std::int64_t size) {
  return kernel([pool, size](RunContext& r) {
    using C = Compute<T>;
    const X *x = r.input<X>(0), *y = r.input<X>(1);
    const T* grad = r.input<T>(2);
    T* dx = r.output<T>(0);
    parallel_for(size, 0.1, [&](auto begin, auto end) { std::fill(dx + begin, dx + end, T{}); });
    for_blocks(pool, 0.5 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
      const std::int64_t in = block.input_base(), out = block.output_base();
      block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
        // The gradient is still to be given away; the first place that holds the maximum takes it.
        C rest[kBlock];
        Compute<X> maximum[kBlock];
        each(block.channels, pool.output.channel, [&](int i, std::int64_t at) {
          rest[i] = C(grad[out + place + at]);
          maximum[i] = Compute<X>(y[out + place + at]);
        });
        block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t) {
          const X* from = x + in + offset;
          T* to = dx + in + offset;
          if constexpr (has_loops<T> && std::is_same_v<T, X>) {
            if (pool.input.channel == 1) return loops<T>().take(block.channels, from, maximum, rest, to);
          }
          each(block.channels, pool.input.channel, [&](int i, std::int64_t at) {
            const bool here = is_maximum(Compute<X>(from[at]), maximum[i]);
            to[at] = T(C(to[at]) + (here ? rest[i] : C(0)));
            rest[i] = here ? C(0) : rest[i];
          });
        });
      });
    });
  });
}

std::unique_ptr<Kernel> prepare_max_pool_grad(PrepareContext& c) {
  const Pool pool(c, c.input_shape(0), c.input_shape(1));
  const std::int64_t size = c.output_shape(0).size();
  std::unique_ptr<Kernel> made;
  if (c.input_dtype(0) == c.output_dtype(0)) {
    visit(RealTypes{}, c.output_dtype(0),
          [&]<class T>(std::type_identity<T>) { made = max_pool_grad<T, T>(pool, size); });
    return made;
  }
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    visit(FloatTypes{}, c.input_dtype(0),
          [&]<class X>(std::type_identity<X>) { made = max_pool_grad<T, X>(pool, size); });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_max_pool_grad_grad(PrepareContext& c) {
  const Pool pool(c, c.input_shape(0), c.input_shape(1));
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([pool](RunContext& r) {
      const T *x = r.input<T>(0), *y = r.input<T>(1), *grad = r.input<T>(2);
      T* result = r.output<T>(0);
      for_blocks(pool, 0.5 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
        const std::int64_t in = block.input_base(), out = block.output_base();
        block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
          C value[kBlock] = {}, maximum[kBlock];
          bool taken[kBlock] = {};
          each(block.channels, pool.output.channel,
               [&](int i, std::int64_t at) { maximum[i] = C(y[out + place + at]); });
          block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t) {
            each(block.channels, pool.input.channel, [&](int i, std::int64_t at) {
              const bool here = !taken[i] && is_maximum(C(x[in + offset + at]), maximum[i]);
              value[i] = here ? C(grad[in + offset + at]) : value[i];
              taken[i] |= here;
            });
          });
          each(block.channels, pool.output.channel,
               [&](int i, std::int64_t at) { result[out + place + at] = T(value[i]); });
        });
      });
    });
  });
  return made;
}

// The flat place of a maximum counts height, width and channels, and images too if asked for.
std::int64_t argmax_base(const PrepareContext& c) {
  return c.attr<bool>("include_batch_in_index") ? c.input_shape(0).slice(1).size() : 0;
}

std::unique_ptr<Kernel> prepare_max_pool_with_argmax(PrepareContext& c) {
  const Pool pool(c, c.input_shape(0), c.output_shape(0));
  const std::int64_t per_image = argmax_base(c);
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    visit(IndexTypes{}, c.output_dtype(1), [&]<class I>(std::type_identity<I>) {
      made = kernel([pool, per_image](RunContext& r) {
        const T* x = r.input<T>(0);
        T* y = r.output<T>(0);
        I* argmax = r.output<I>(1);
        for_blocks(pool, 1.0 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
          const std::int64_t in = block.input_base(), out = block.output_base();
          block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
            C best[kBlock];
            std::int64_t where[kBlock];
            bool first = true;
            block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t number) {
              each(block.channels, pool.input.channel, [&](int i, std::int64_t at) {
                const C value = C(x[in + offset + at]);
                if (!first && (value <= best[i] || best[i] != best[i])) return;
                best[i] = value;
                where[i] = number * pool.channels + block.channel + i;
              });
              first = false;
            });
            each(block.channels, pool.output.channel, [&](int i, std::int64_t at) {
              y[out + place + at] = T(best[i]);
              argmax[out + place + at] = I(where[i] + block.image * per_image);
            });
          });
        });
      });
    });
  });
  return made;
}

// Scatters a gradient like the output to the maxima's places, or gathers one like the input from them.
template <bool second>
std::unique_ptr<Kernel> prepare_max_pool_argmax_grad(PrepareContext& c) {
  const std::int64_t images = c.input_shape(0)[0];
  if (images == 0) return nothing_to_run();
  const std::int64_t in = c.input_shape(0).size() / images, out = c.input_shape(2).size() / images;
  const std::int64_t per_image = argmax_base(c);
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    visit(IndexTypes{}, c.input_dtype(2), [&]<class I>(std::type_identity<I>) {
      made = kernel([=](RunContext& r) {
        const T* grad = r.input<T>(1);
        const I* argmax = r.input<I>(2);
        T* result = r.output<T>(0);
        parallel_for(images, 2.0 * double(in + out), [&](std::int64_t begin, std::int64_t end) {
          for (auto image = begin; image < end; ++image) {
            if (!second) std::fill_n(result + image * in, in, T{});
            for (std::int64_t i = image * out; i < (image + 1) * out; ++i) {
              const std::int64_t at = std::int64_t(argmax[i]) - image * per_image;
              require(at >= 0 && at < in, "argmax ", i, " is ", std::int64_t(argmax[i]),
                      ", which is outside its image of ", in, " elements");
              if (second) {
                result[i] = grad[image * in + at];
              } else {
                T& to = result[image * in + at];
                to = T(C(to) + C(grad[i]));
              }
            }
          }
        });
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_avg_pool(PrepareContext& c) {
  const Pool pool(c, c.input_shape(0), c.output_shape(0));
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([pool](RunContext& r) {
      const T* x = r.input<T>(0);
      T* y = r.output<T>(0);
      for_blocks(pool, 0.3 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
        const std::int64_t in = block.input_base(), out = block.output_base();
        block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
          C sum[kBlock] = {};
          block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t) {
            each(block.channels, pool.input.channel,
                 [&](int i, std::int64_t at) { sum[i] += C(x[in + offset + at]); });
          });
          const C count = C((end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]));
          each(block.channels, pool.output.channel,
               [&](int i, std::int64_t at) { y[out + place + at] = T(sum[i] / count); });
        });
      });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_avg_pool_grad(PrepareContext& c) {
  const Pool pool(c, c.output_shape(0), c.input_shape(1));
  const std::int64_t size = c.output_shape(0).size();
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    // 16-bit sums would lose too much: they are made in float first.
    constexpr bool narrow = !std::is_same_v<T, C>;
    if (narrow) c.scratch(std::size_t(size) * sizeof(C));
    made = kernel([pool, size](RunContext& r) {
      const T* grad = r.input<T>(1);
      T* dx = r.output<T>(0);
      C* sums = narrow ? static_cast<C*>(r.scratch()) : reinterpret_cast<C*>(dx);
      parallel_for(size, 0.1, [&](auto begin, auto end) { std::fill(sums + begin, sums + end, C{}); });
      for_blocks(pool, 0.4 * double(pool.out_space() * pool.taps()), [&](const Block& block) {
        const std::int64_t in = block.input_base(), out = block.output_base();
        block.for_outputs([&](std::int64_t place, const std::int64_t* begin, const std::int64_t* end) {
          C share[kBlock];
          const C count = C((end[0] - begin[0]) * (end[1] - begin[1]) * (end[2] - begin[2]));
          each(block.channels, pool.output.channel,
               [&](int i, std::int64_t at) { share[i] = C(grad[out + place + at]) / count; });
          block.for_taps(begin, end, [&](std::int64_t offset, std::int64_t) {
            each(block.channels, pool.input.channel,
                 [&](int i, std::int64_t at) { sums[in + offset + at] += share[i]; });
          });
        });
      });
      if (narrow) {
        parallel_for(size, 0.3, [&](auto begin, auto end) {
          for (auto i = begin; i < end; ++i) dx[i] = T(sums[i]);
        });
      }
    });
  });
  return made;
}

}  // namespace

Pool::Pool(PrepareContext& c, const Shape& in, const Shape& out) {
  const DataFormat format(c.node().attr_or<std::string>("data_format", "NHWC"));
  const Ints &sizes = c.attr<Ints>("ksize"), &strides = c.attr<Ints>("strides");
  spatial = format.num_spatial();
  batch = in[0];
  channels = in[format.channel_axis()];
  const auto in_strides = strides_of(in.dims()), out_strides = strides_of(out.dims());
  input = {in_strides[0], in_strides[format.channel_axis()], {}};
  output = {out_strides[0], out_strides[format.channel_axis()], {}};
  for (int i = 0; i < spatial; ++i) {
    const int axis = format.spatial_axis(i), at = i + 3 - spatial;
    window[at] = slide(in[axis], sizes[axis], strides[axis], 1, c.attr<std::string>("padding"));
    input.space[at] = in_strides[axis];
    output.space[at] = out_strides[axis];
  }
}

HEADRACE_KERNELS(pool) {
  add_kernel("MaxPool", prepare_max_pool);
  add_kernel("MaxPoolGrad", prepare_max_pool_grad);
  add_kernel("MaxPoolGradGrad", prepare_max_pool_grad_grad);
  add_kernel("MaxPoolWithArgmax", prepare_max_pool_with_argmax);
  add_kernel("MaxPoolGradWithArgmax", prepare_max_pool_argmax_grad<false>);
  add_kernel("MaxPoolGradGradWithArgmax", prepare_max_pool_argmax_grad<true>);
  add_kernel("AvgPool", prepare_avg_pool);
  add_kernel("AvgPoolGrad", prepare_avg_pool_grad);
  add_kernel("MaxPool3D", prepare_max_pool);
  add_kernel("MaxPool3DGrad", prepare_max_pool_grad);
  add_kernel("MaxPool3DGradGrad", prepare_max_pool_grad_grad);
  add_kernel("AvgPool3D", prepare_avg_pool);
  add_kernel("AvgPool3DGrad", prepare_avg_pool_grad);
}

}  // namespace headrace
