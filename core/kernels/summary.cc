// Kernels of summaries, except of images (headrace/kernels/summary.py).
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <set>
#include <vector>

#include "core/io/messages.h"
#include "core/io/wire.h"
#include "core/registry/kernel.h"

namespace headrace {
namespace {

using wire::Reader;
using wire::Writer;

// Fields of schema/event.proto.
namespace summary {
constexpr int kValue = 1;
}
namespace value {
constexpr int kTag = 1, kSimple = 2, kHistogram = 5, kAudio = 6, kNodeName = 7, kTensor = 8, kMetadata = 9;
}

template <class Body>
void write_value(Writer& out, const std::string& tag, Body&& body) {
  require(Reader::is_utf8(tag), "the tag is not UTF-8");
  out.message(summary::kValue, [&](Writer& message) {
    message.bytes(value::kTag, tag);
    body(message);
  });
}

Tensor summary_of(Writer& out) { return Tensor::scalar(out.take()); }

std::unique_ptr<Kernel> prepare_scalars(PrepareContext& c) {
  c.own_output(0);
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.input_dtype(1), [&]<class T>(std::type_identity<T>) {
    made = kernel([n = c.input_shape(1).size()](RunContext& r) {
      Writer out;
      for (std::int64_t i = 0; i < n; ++i) {
        write_value(out, r.input<std::string>(0)[i], [&](Writer& message) {
          message.real32_element(value::kSimple, float(r.input<T>(1)[i]));
        });
      }
      r.set_output(0, summary_of(out));
    });
  });
  return made;
}

// ---- histograms

// The upper ends of the buckets: they grow by a tenth from 1e-12 to 1e20, on both sides of zero. Those who
// display histograms of several programs side by side rely on everybody having the same.
const std::vector<double>& bucket_limits() {
  static const std::vector<double> limits = [] {
    std::vector<double> positive;
    for (double limit = 1e-12; limit < 1e20; limit *= 1.1) positive.push_back(limit);
    positive.push_back(DBL_MAX);
    std::vector<double> all;
    for (auto it = positive.rbegin(); it != positive.rend(); ++it) all.push_back(-*it);
    all.push_back(0);
    all.insert(all.end(), positive.begin(), positive.end());
    return all;
  }();
  return limits;
}

template <class T>
void write_histogram(Writer& out, const T* values, std::int64_t n) {
  const std::vector<double>& limits = bucket_limits();
  std::vector<double> counts(limits.size());
  double least = DBL_MAX, most = -DBL_MAX, sum = 0, squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = double(Compute<T>(values[i]));
    require(std::isfinite(v), "element ", i, " of the values is ", v,
            "; a histogram is of finite numbers, see tf.debugging.check_numerics");
    const auto bucket = std::upper_bound(limits.begin(), limits.end(), v) - limits.begin();
    ++counts[std::min<std::size_t>(bucket, counts.size() - 1)];
    least = std::min(least, v);
    most = std::max(most, v);
    sum += v;
    squares += v * v;
  }
  // A run of empty buckets becomes one.
  std::vector<double> kept_limits, kept_counts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (!kept_counts.empty() && counts[i] == 0 && kept_counts.back() == 0) {
      kept_limits.back() = limits[i];
    } else {
      kept_limits.push_back(limits[i]);
      kept_counts.push_back(counts[i]);
    }
  }
  int field = 1;
  for (double number : {least, most, double(n), sum, squares}) out.real64_element(field++, number);
  out.packed_reals(field++, kept_limits);
  out.packed_reals(field, kept_counts);
}

std::unique_ptr<Kernel> prepare_histogram(PrepareContext& c) {
  c.own_output(0);
  std::unique_ptr<Kernel> made;
  visit(RealTypes{}, c.input_dtype(1), [&]<class T>(std::type_identity<T>) {
    made = kernel([n = c.input_shape(1).size()](RunContext& r) {
      Writer out;
      write_value(out, *r.input<std::string>(0), [&](Writer& message) {
        message.message(value::kHistogram,
                        [&](Writer& histogram) { write_histogram(histogram, r.input<T>(1), n); });
      });
      r.set_output(0, summary_of(out));
    });
  });
  return made;
}

// ---- audio

// A WAV file of 16-bit samples; those of one frame stand together.
std::string wav_of(const float* samples, std::int64_t frames, std::int64_t channels, float sample_rate) {
  const std::uint32_t rate = std::uint32_t(std::lrint(sample_rate));
  const std::uint32_t data_bytes = std::uint32_t(frames * channels * 2);
  std::string file;
  const auto put = [&](auto number) { file.append(reinterpret_cast<const char*>(&number), sizeof number); };
  file += "RIFF";
  put(data_bytes + 36);
  file += "WAVEfmt ";
  put(std::uint32_t(16));  // bytes of this part
  put(std::uint16_t(1));   // samples as they are
  put(std::uint16_t(channels));
  put(rate);
  put(std::uint32_t(rate * channels * 2));
  put(std::uint16_t(channels * 2));
  put(std::uint16_t(16));  // bits of a sample
  file += "data";
  put(data_bytes);
  for (std::int64_t i = 0; i < frames * channels; ++i) {
    const float sample = std::isnan(samples[i]) ? 0 : std::round(samples[i] * 32768.0f);
    put(std::int16_t(std::clamp(sample, -32768.0f, 32767.0f)));
  }
  return file;
}

std::unique_ptr<Kernel> prepare_audio(PrepareContext& c) {
  c.own_output(0);
  const Shape& clips = c.input_shape(1);
  const std::int64_t frames = clips[1], channels = clips.rank() == 3 ? clips[2] : 1;
  const std::int64_t most = c.attr<std::int64_t>("max_outputs"), count = std::min(clips[0], most);
  require(frames > 0 && channels > 0 && channels < 1 << 15, "the clips have shape ", clips,
          "; there must be frames, and from 1 to 32767 channels");
  require(frames < (std::int64_t(1) << 30) / channels, "the clips have shape ", clips,
          ", too large for a WAV file");
  const bool rate_is_input = c.num_inputs() == 3;
  const float rate_attr = rate_is_input ? 0 : c.attr<float>("sample_rate");
  return kernel([=](RunContext& r) {
    const float rate = rate_is_input ? *r.input<float>(2) : rate_attr;
    require(rate > 0 && rate < 4e9f, "sample_rate is ", rate, ", expected a number of frames a second");
    Writer out;
    for (std::int64_t k = 0; k < count; ++k) {
      const std::string tag = *r.input<std::string>(0) + "/audio" + (most > 1 ? str("/", k) : "");
      write_value(out, tag, [&](Writer& message) {
        message.message(value::kAudio, [&](Writer& audio) {
          audio.real32_element(1, rate);
          audio.integer(2, channels);
          audio.integer(3, frames);
          audio.bytes(4, wav_of(r.input<float>(1) + k * frames * channels, frames, channels, rate));
          audio.bytes(5, "audio/wav");
        });
      });
    }
    r.set_output(0, summary_of(out));
  });
}

// ---- tensors

std::unique_ptr<Kernel> prepare_tensor(PrepareContext& c) {
  c.own_output(0);
  return kernel([name = c.node().name()](RunContext& r) {
    Writer out;
    out.message(summary::kValue, [&](Writer& message) {
      message.bytes(value::kNodeName, name);
      message.message(value::kTensor, [&](Writer& tensor) { write_tensor(tensor, r.lent_tensor(0)); });
    });
    r.set_output(0, summary_of(out));
  });
}

std::unique_ptr<Kernel> prepare_tagged_tensor(PrepareContext& c) {
  c.own_output(0);
  return kernel([](RunContext& r) {
    const std::string& metadata = *r.input<std::string>(2);
    for (Reader in(metadata); in.next();) {  // throws unless it is a message
    }
    Writer out;
    write_value(out, *r.input<std::string>(0), [&](Writer& message) {
      message.message(value::kTensor, [&](Writer& tensor) { write_tensor(tensor, r.lent_tensor(1)); });
      message.bytes_element(value::kMetadata, metadata);
    });
    r.set_output(0, summary_of(out));
  });
}

// ---- merging

// The values of a message follow each other, so several messages joined are one with all of their values.
std::unique_ptr<Kernel> prepare_merge(PrepareContext& c) {
  c.own_output(0);
  std::vector<std::int64_t> sizes;
  for (const ValueType& input : c.inputs()) sizes.push_back(input.shape.size());
  return kernel([=](RunContext& r) {
    std::string merged;
    std::set<std::string_view> tags;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      for (const std::string& text : std::span(r.input<std::string>(int(i)), std::size_t(sizes[i]))) {
        for (Reader in(text); in.next();) {
          if (in.field() != summary::kValue) continue;
          for (Reader message = in.message(); message.next();) {
            if (message.field() != value::kTag) continue;
            const std::string_view tag = message.text();
            require(tag.empty() || tags.insert(tag).second, "several summaries have the tag '", tag,
                    "'; give them different names");
          }
        }
        merged += text;
      }
    }
    r.set_output(0, Tensor::scalar(std::move(merged)));
  });
}

}  // namespace

HEADRACE_KERNELS(summary) {
  add_kernel("ScalarSummary", prepare_scalars);
  add_kernel("HistogramSummary", prepare_histogram);
  add_kernel("AudioSummary", prepare_audio);
  add_kernel("AudioSummaryV2", prepare_audio);
  add_kernel("TensorSummary", prepare_tensor);
  add_kernel("TensorSummaryV2", prepare_tagged_tensor);
  add_kernel("MergeSummary", prepare_merge);
}

}  // namespace headrace
