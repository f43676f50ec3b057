// Normalisation over batches and over neighbouring channels, in plain C++.
#include <cmath>

#include "core/base/window.h"
#include "core/kernels/channels.h"
#include "core/kernels/post_operations.h"
#include "core/kernels/vector/norm.h"
#include "core/kernels/vector/vector.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

Channels channels_of(const PrepareContext& c, const Shape& x) {
  return Channels(x, DataFormat(c.attr<std::string>("data_format")).channel_axis());
}

// Elements are T, statistics and parameters U, and sums are made in U.
template <class T, class U>
std::unique_ptr<Kernel> batch_norm(PrepareContext& c) {
  const Channels by = channels_of(c, c.input_shape(0));
  const U epsilon = U(c.attr<float>("epsilon"));
  const bool training = c.attr<bool>("is_training");
  const bool third = c.num_outputs() == 6;
  const std::size_t partial = std::size_t(by.parts() * by.channels);
  c.scratch((partial + 2 * std::size_t(by.channels)) * sizeof(U));
  return kernel([=](RunContext& r) {
    const T* x = r.input<T>(0);
    const U *scale = r.input<U>(1), *offset = r.input<U>(2);
    U* sums = static_cast<U*>(r.scratch());
    U *factor = sums + partial, *shift = factor + by.channels;
    U *mean = r.output<U>(1), *variance = r.output<U>(2), *saved_mean = r.output<U>(3),
      *saved_variance = r.output<U>(4);
    if (training) {
      const U count = U(by.each());
      sum_channels<1>(by, sums, [=](std::int64_t i, std::int64_t) { return std::array<U, 1>{U(x[i])}; });
      for (std::int64_t i = 0; i < by.channels; ++i) saved_mean[i] = mean[i] = sums[i] / count;
      sum_channels<1>(by, sums, [=](std::int64_t i, std::int64_t channel) {
        const U centred = U(x[i]) - saved_mean[channel];
        return std::array<U, 1>{centred * centred};
      });
      for (std::int64_t i = 0; i < by.channels; ++i) {
        saved_variance[i] = sums[i] / count;
        variance[i] = sums[i] / std::max(count - 1, U(1));  // the unbiased estimate, for moving averages
      }
    } else {
      std::copy_n(r.input<U>(3), by.channels, mean);
      std::copy_n(r.input<U>(4), by.channels, variance);
      std::copy_n(r.input<U>(3), by.channels, saved_mean);
      std::copy_n(r.input<U>(4), by.channels, saved_variance);
    }
    for (std::int64_t i = 0; i < by.channels; ++i) {
      factor[i] = scale[i] / std::sqrt(saved_variance[i] + epsilon);
      shift[i] = offset[i] - saved_mean[i] * factor[i];
    }
    if (third) *r.output<U>(5) = U(0);  // for devices that save more than the moments
    T* y = r.output<T>(0);
    for_channels(by, 0.3, [=](std::int64_t i, std::int64_t channel) {
      y[i] = T(U(x[i]) * factor[channel] + shift[channel]);
    });
  });
}

// ---- the same in float32 with channels last, with the residual and the rectifier that may follow

// Rows are gone through once for the moments, block by block: what a block's mean is made of is still in the
// cache when its deviations are squared. Blocks and parts follow from the shape alone, and so does the
// result.
struct Moments {
  explicit Moments(const Channels& by) : by(by) {}
  Channels by;

  static constexpr std::int64_t kBlock = 16 << 10;  // elements
  std::int64_t block_rows() const { return std::clamp<std::int64_t>(kBlock / by.channels, 4, 256); }
  // For each part its mean and its sum of squares, and as much to work with.
  std::int64_t scratch() const { return 4 * by.parts() * by.channels; }

  // Makes (mean, squares) of n rows those of n + more rows, given those of the `more` others (Chan et al.,
  // "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
  void merge(std::int64_t n, std::int64_t more, const float* other_mean, const float* other_squares,
             float* mean, float* squares) const {
    const float share = float(double(more) / double(n + more));
    const float weight = float(double(n) * double(more) / double(n + more));
    for (std::int64_t i = 0; i < by.channels; ++i) {
      const float apart = other_mean[i] - mean[i];
      mean[i] += apart * share;
      squares[i] += other_squares[i] + apart * apart * weight;
    }
  }

  // The result stands at the beginning of the scratch: means, then sums of squares.
  void run(const NormLoops& loops, const float* x, float* scratch) const {
    const std::int64_t width = 4 * by.channels;
    parallel_for(by.parts(), 0.3 * double(by.size()) / double(by.parts()),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (auto part = begin; part < end; ++part) {
                     float *mean = scratch + part * width, *squares = mean + by.channels;
                     float *block_mean = squares + by.channels, *block_squares = block_mean + by.channels;
                     std::fill_n(mean, 2 * by.channels, 0.0f);
                     const std::int64_t first = row_of(part), last = row_of(part + 1);
                     for (std::int64_t row = first; row < last; row += block_rows()) {
                       const std::int64_t rows = std::min(block_rows(), last - row);
                       const float* from = x + row * by.channels;
                       std::fill_n(block_mean, 2 * by.channels, 0.0f);
                       loops.sum(rows, by.channels, from, block_mean);
                       for (std::int64_t i = 0; i < by.channels; ++i) block_mean[i] /= float(rows);
                       loops.squares(rows, by.channels, from, block_mean, block_squares);
                       merge(row - first, rows, block_mean, block_squares, mean, squares);
                     }
                   }
                 });
    for (std::int64_t part = 1; part < by.parts(); ++part) {
      const std::int64_t n = row_of(part), more = row_of(part + 1) - n;
      const float* other = scratch + part * width;
      if (more > 0) merge(n, more, other, other + by.channels, scratch, scratch + by.channels);
    }
  }
  std::int64_t row_of(std::int64_t part) const { return by.outer * part / by.parts(); }
};

const NormLoops& norm_loops() {
  static const NormLoops& chosen = HEADRACE_BY_ISA(norm_loops());
  return chosen;
}

// nullptr where it is another dtype or layout.
std::unique_ptr<Kernel> prepare_batch_norm_rows(PrepareContext& c) {
  const Channels by = channels_of(c, c.input_shape(0));
  if (c.output_dtype(0) != DType::float32 || by.inner != 1 || by.size() == 0) return nullptr;
  int residual = -1;
  bool rectify = false;
  const std::vector<PostOperation> then = post_operations(c, 3);
  std::size_t done = 0;  // of them, by the loop itself
  if (done < then.size() && then[done].adds_element()) residual = then[done++].first;
  if (done < then.size() && then[done].op == "Relu") rectify = true, ++done;
  const bool more = done < then.size();
  const PostPass rest = post_pass(c, std::span(then).subspan(done), 3);
  const float epsilon = c.attr<float>("epsilon");
  const bool training = c.attr<bool>("is_training");
  const bool third = c.num_outputs() == 6;
  const Moments moments(by);
  c.scratch(std::size_t(moments.scratch() + 2 * by.channels) * sizeof(float));
  c.in_place(0, 0);
  if (residual >= 0 && !more) c.in_place(0, residual);
  return kernel([=](RunContext& r) {
    const NormLoops& loops = norm_loops();
    const float *x = r.input<float>(0), *scale = r.input<float>(1), *offset = r.input<float>(2);
    float *made = static_cast<float*>(r.scratch()), *factor = made + moments.scratch(),
          *shift = factor + by.channels;
    float *mean = r.output<float>(1), *variance = r.output<float>(2), *saved_mean = r.output<float>(3),
          *saved_variance = r.output<float>(4);
    if (training) {
      moments.run(loops, x, made);
      const float count = float(by.outer), others = float(std::max<std::int64_t>(by.outer - 1, 1));
      for (std::int64_t i = 0; i < by.channels; ++i) {
        saved_mean[i] = mean[i] = made[i];
        saved_variance[i] = made[by.channels + i] / count;
        variance[i] = made[by.channels + i] / others;  // the unbiased estimate, for moving averages
      }
    } else {
      for (float* to : {mean, saved_mean}) std::copy_n(r.input<float>(3), by.channels, to);
      for (float* to : {variance, saved_variance}) std::copy_n(r.input<float>(4), by.channels, to);
    }
    for (std::int64_t i = 0; i < by.channels; ++i) {
      factor[i] = scale[i] / std::sqrt(saved_variance[i] + epsilon);
      shift[i] = offset[i] - saved_mean[i] * factor[i];
    }
    if (third) *r.output<float>(5) = 0;  // for devices that save more than the moments
    const float* added = residual >= 0 ? r.input<float>(residual) : nullptr;
    float* y = r.output<float>(0);
    parallel_for(by.outer, 0.2 * double(by.channels), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * by.channels;
      loops.scale(end - begin, by.channels, x + at, factor, shift, added ? added + at : nullptr, rectify,
                  y + at);
    });
    if (more) rest(r);
  });
}

// ---- derivatives

template <class T, class U>
std::unique_ptr<Kernel> batch_norm_grad(PrepareContext& c) {
  const Channels by = channels_of(c, c.input_shape(0));
  const U epsilon = U(c.attr<float>("epsilon"));
  const bool training = c.attr<bool>("is_training");
  const std::size_t partial = std::size_t(2 * by.parts() * by.channels);
  c.scratch((partial + 3 * std::size_t(by.channels)) * sizeof(U));
  return kernel([=](RunContext& r) {
    const T *dy = r.input<T>(0), *x = r.input<T>(1);
    const U *scale = r.input<U>(2), *mean = r.input<U>(3), *variance = r.input<U>(4);
    T* dx = r.output<T>(0);
    U *dscale = r.output<U>(1), *doffset = r.output<U>(2);
    U* sums = static_cast<U*>(r.scratch());
    sum_channels<2>(by, sums, [=](std::int64_t i, std::int64_t channel) {
      return std::array<U, 2>{U(dy[i]), U(dy[i]) * (U(x[i]) - mean[channel])};
    });
    // dx = a * dy + b * x + c, with one a, b and c for each channel.
    U *a = sums + partial, *b = a + by.channels, *k = b + by.channels;
    for (std::int64_t i = 0; i < by.channels; ++i) {
      const U inverse = U(1) / std::sqrt(variance[i] + epsilon), count = U(by.each());
      doffset[i] = sums[i];
      dscale[i] = sums[by.channels + i] * inverse;
      a[i] = scale[i] * inverse;
      b[i] = training ? -a[i] * inverse * dscale[i] / count : U(0);
      k[i] = training ? -a[i] * doffset[i] / count - b[i] * mean[i] : U(0);
    }
    for_channels(by, 0.4, [=](std::int64_t i, std::int64_t channel) {
      dx[i] = T(a[channel] * U(dy[i]) + b[channel] * U(x[i]) + k[channel]);
    });
  });
}

// The same in float32 with channels last; nullptr where it is another dtype or layout.
std::unique_ptr<Kernel> prepare_batch_norm_grad_rows(PrepareContext& c) {
  const Channels by = channels_of(c, c.input_shape(0));
  if (c.output_dtype(0) != DType::float32 || by.inner != 1 || by.size() == 0) return nullptr;
  const float epsilon = c.attr<float>("epsilon");
  const bool training = c.attr<bool>("is_training");
  const std::int64_t width = 2 * by.channels, parts = by.parts();
  c.scratch(std::size_t(parts * width + 3 * by.channels) * sizeof(float));
  c.in_place(0, 0);
  c.in_place(0, 1);
  return kernel([=](RunContext& r) {
    const NormLoops& loops = norm_loops();
    const float *dy = r.input<float>(0), *x = r.input<float>(1), *scale = r.input<float>(2),
                *mean = r.input<float>(3), *variance = r.input<float>(4);
    float *dx = r.output<float>(0), *dscale = r.output<float>(1), *doffset = r.output<float>(2);
    float* sums = static_cast<float*>(r.scratch());
    parallel_for(parts, 0.3 * double(by.size()) / double(parts), [&](std::int64_t begin, std::int64_t end) {
      for (auto part = begin; part < end; ++part) {
        const std::int64_t first = by.outer * part / parts, last = by.outer * (part + 1) / parts;
        float* own = sums + part * width;
        std::fill_n(own, width, 0.0f);
        loops.grad_sums(last - first, by.channels, dy + first * by.channels, x + first * by.channels, mean,
                        own, own + by.channels);
      }
    });
    for (std::int64_t part = 1; part < parts; ++part) {
      for (std::int64_t i = 0; i < width; ++i) sums[i] += sums[part * width + i];
    }
    // dx = a * dy + b * x + k, with one a, b and k for each channel.
    float *a = sums + parts * width, *b = a + by.channels, *k = b + by.channels;
    for (std::int64_t i = 0; i < by.channels; ++i) {
      const float inverse = 1 / std::sqrt(variance[i] + epsilon), count = float(by.outer);
      doffset[i] = sums[i];
      dscale[i] = sums[by.channels + i] * inverse;
      a[i] = scale[i] * inverse;
      b[i] = training ? -a[i] * inverse * dscale[i] / count : 0;
      k[i] = training ? -a[i] * doffset[i] / count - b[i] * mean[i] : 0;
    }
    parallel_for(by.outer, 0.3 * double(by.channels), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t at = begin * by.channels;
      loops.grad(end - begin, by.channels, dy + at, x + at, a, b, k, dx + at);
    });
  });
}

// The statistics have the elements' dtype where the operation has one dtype only, else float32.
template <bool grad>
std::unique_ptr<Kernel> prepare_batch_norm(PrepareContext& c) {
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using U = Compute<T>;
    if (c.output_dtype(1) != dtype_v<U>) return;
    made = grad ? batch_norm_grad<T, U>(c) : batch_norm<T, U>(c);
  });
  return made;
}

// ---- local response normalisation (Krizhevsky et al., 2012)

struct Response {
  explicit Response(PrepareContext& c)
      : channels(c.output_shape(0)[-1]),
        rows(channels ? c.output_shape(0).size() / channels : 0),
        radius(c.attr<std::int64_t>("depth_radius")),
        bias(c.attr<float>("bias")),
        alpha(c.attr<float>("alpha")),
        beta(c.attr<float>("beta")) {
    require(radius >= 0, "depth_radius is ", radius, ", expected 0 or more");
  }
  std::int64_t channels, rows, radius;
  double bias, alpha, beta;

  // The sum of f(j) over i's neighbours j, itself included.
  template <class C, class F>
  C around(std::int64_t i, F f) const {
    C sum = 0;
    const std::int64_t last = std::min(i + radius, channels - 1);
    for (std::int64_t j = std::max<std::int64_t>(i - radius, 0); j <= last; ++j) sum += f(j);
    return sum;
  }
  template <class C, class T>
  C norm(const T* row, std::int64_t i) const {
    return C(bias) + C(alpha) * around<C>(i, [row](std::int64_t j) { return C(row[j]) * C(row[j]); });
  }
};

std::unique_ptr<Kernel> prepare_lrn(PrepareContext& c) {
  const Response by(c);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    made = kernel([by](RunContext& r) {
      parallel_for(by.rows, double(by.channels) * double(10 + 2 * by.radius),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto row = begin; row < end; ++row) {
                       const T* x = r.input<T>(0) + row * by.channels;
                       T* y = r.output<T>(0) + row * by.channels;
                       for (std::int64_t i = 0; i < by.channels; ++i)
                         y[i] = T(C(x[i]) * std::pow(by.norm<C>(x, i), C(-by.beta)));
                     }
                   });
    });
  });
  return made;
}

std::unique_ptr<Kernel> prepare_lrn_grad(PrepareContext& c) {
  const Response by(c);
  std::unique_ptr<Kernel> made;
  visit(FloatTypes{}, c.output_dtype(0), [&]<class T>(std::type_identity<T>) {
    using C = Compute<T>;
    c.scratch(std::size_t(2 * by.rows * by.channels) * sizeof(C));
    made = kernel([by](RunContext& r) {
      parallel_for(by.rows, double(by.channels) * double(20 + 4 * by.radius),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (auto row = begin; row < end; ++row) {
                       const T* grad = r.input<T>(0) + row * by.channels;
                       const T* x = r.input<T>(1) + row * by.channels;
                       const T* y = r.input<T>(2) + row * by.channels;
                       T* dx = r.output<T>(0) + row * by.channels;
                       C* norm = static_cast<C*>(r.scratch()) + 2 * row * by.channels;
                       C* ratio = norm + by.channels;
                       for (std::int64_t i = 0; i < by.channels; ++i) {
                         norm[i] = by.norm<C>(x, i);
                         ratio[i] = C(grad[i]) * C(y[i]) / norm[i];
                       }
                       for (std::int64_t i = 0; i < by.channels; ++i) {
                         const C others = by.around<C>(i, [ratio](std::int64_t j) { return ratio[j]; });
                         dx[i] = T(C(grad[i]) * std::pow(norm[i], C(-by.beta)) -
                                   C(2 * by.alpha * by.beta) * C(x[i]) * others);
                       }
                     }
                   });
    });
  });
  return made;
}

}  // namespace

HEADRACE_KERNELS(norm) {
  for (const char* op : {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}) {
    const std::string fused = str("_Fused", op);
    add_kernel(op, prepare_batch_norm_rows);
    add_kernel(fused, prepare_batch_norm_rows);
    add_kernel(op, prepare_batch_norm<false>);
    add_kernel(fused, with_post_operations(op));
  }
  for (const char* op : {"FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"}) {
    add_kernel(op, prepare_batch_norm_grad_rows);
    add_kernel(op, prepare_batch_norm<true>);
  }
  add_kernel("LRN", prepare_lrn);
  add_kernel("LRNGrad", prepare_lrn_grad);
}

}  // namespace headrace
