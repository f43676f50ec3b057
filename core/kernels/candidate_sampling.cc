// Kernels of candidate sampling.
//
// The numbers drawn from a seed are those that TensorFlow draws.
#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>
#include <limits>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/kernels/random_stream.h"

namespace headrace {
namespace {

constexpr std::uint64_t kReserved = 512;  // blocks set aside for each class that is drawn

// A number in [0, n): those that would favour some are drawn again.
template <class Word, class Draw>
Word below(Word n, Draw&& draw) {
  if ((n & (n - 1)) == 0) return draw() & (n - 1);
  const Word surplus = Word(std::numeric_limits<Word>::max() % n + 1);
  Word bits;
  do {
    bits = draw();
  } while (bits < surplus);
  return bits % n;
}

std::uint64_t wide(PhiloxWords& words) {
  const std::uint64_t low = words();
  return low | std::uint64_t(words()) << 32;
}

// In [0, 1).
double uniform_double(PhiloxWords& words) {
  const std::uint64_t high = words() & 0xFFFFFu;
  return std::bit_cast<double>(0x3FF0000000000000u | high << 32 | words()) - 1.0;
}

float uniform_float(PhiloxWords& words) {
  return std::bit_cast<float>(0x3F800000u | (words() & 0x7FFFFFu)) - 1.0f;
}

// ---- distributions over the classes [0, range)

class Classes : public Resource {
 public:
  explicit Classes(std::int64_t range) : range_(range) {}
  std::string describe() const override { return str("a distribution over ", range_, " classes"); }
  std::int64_t range() const { return range_; }
  virtual std::int64_t draw(PhiloxWords& words) const = 0;
  virtual double probability(std::int64_t id) const = 0;
  // How many classes can be drawn at all.
  virtual std::int64_t possible() const { return range_; }
  // Learns from a step's true classes.
  virtual void learn(std::span<const std::int64_t>) {}

  std::mutex mutex;  // held by who draws from what is learned

 protected:
  void require_inside(std::int64_t id) const {
    require(id >= 0 && id < range_, "true_classes has a ", id, "; classes must be in [0, ", range_, ")");
  }

 private:
  const std::int64_t range_;
};

class Uniform final : public Classes {
 public:
  using Classes::Classes;
  std::int64_t draw(PhiloxWords& words) const override {
    return std::int64_t(below(std::uint64_t(range()), [&] { return wide(words); }));
  }
  double probability(std::int64_t id) const override {
    require_inside(id);
    return 1.0 / double(range());
  }
};

class LogUniform final : public Classes {
 public:
  explicit LogUniform(std::int64_t range) : Classes(range), log_range_(std::log1p(double(range))) {}
  std::int64_t draw(PhiloxWords& words) const override {
    return (std::int64_t(std::exp(uniform_double(words) * log_range_)) - 1) % range();
  }
  double probability(std::int64_t id) const override {
    require_inside(id);
    return std::log((double(id) + 2) / (double(id) + 1)) / log_range_;
  }

 private:
  const double log_range_;
};

// Counts of the classes seen, from one each. Sums over the first of them are kept in a tree (Fenwick: "A new
// data structure for cumulative frequency tables", 1994), so that drawing and counting take logarithmic time.
class Learned final : public Classes {
 public:
  explicit Learned(std::int64_t range) : Classes(range), counts_(range, 0), sums_(range + 1, 0) {
    for (std::int64_t id = 0; id < range; ++id) add(id);
  }
  std::int64_t draw(PhiloxWords& words) const override {
    auto rest = std::int64_t(below(std::uint32_t(total_), [&] { return words(); }));
    std::int64_t at = 0;
    for (auto step = std::int64_t(std::bit_floor(std::uint64_t(range()))); step > 0; step /= 2) {
      if (at + step <= range() && sums_[at + step] <= rest) {
        at += step;
        rest -= sums_[at];
      }
    }
    return at;
  }
  double probability(std::int64_t id) const override {
    require_inside(id);
    return double(counts_[id]) / double(total_);
  }
  void learn(std::span<const std::int64_t> ids) override {
    require(total_ + std::int64_t(ids.size()) <= std::int64_t(UINT32_MAX),
            "more than 2^32 classes were seen");
    for (const std::int64_t id : ids) add(id);
  }

 private:
  void add(std::int64_t id) {
    ++counts_[id];
    ++total_;
    for (std::int64_t i = id + 1; i <= range(); i += i & -i) ++sums_[i];
  }
  std::vector<std::int64_t> counts_, sums_;
  std::int64_t total_ = 0;
};

// Given weights. A class is drawn in constant time from columns of equal weight, each shared by two classes
// (Walker: "An efficient method for generating discrete random variables with general distributions", 1977).
class Weighted final : public Classes {
 public:
  explicit Weighted(std::vector<float> weights)
      : Classes(std::int64_t(weights.size())), weights_(std::move(weights)) {
    for (const float weight : weights_) {
      require(weight >= 0, "a class has weight ", weight, "; it must not be negative");
      total_ += weight;
      possible_ += weight > 0;
    }
    require(total_ > 0, "all classes have weight 0; at least one must have more");
    fill_columns();
  }
  std::int64_t draw(PhiloxWords& words) const override {
    const float part = uniform_float(words);
    const auto id = below(std::uint32_t(columns_.size()), [&] { return words(); });
    return part < columns_[id].part ? std::int64_t(id) : columns_[id].other;
  }
  // A class outside has no weight: it may be another shard's.
  double probability(std::int64_t id) const override {
    return id >= 0 && id < range() ? weights_[id] / total_ : 0.0;
  }
  std::int64_t possible() const override { return possible_; }

 private:
  struct Column {
    float part;  // that the class keeps for itself
    std::int64_t other;
  };
  void fill_columns() {
    const auto n = std::int64_t(weights_.size());
    std::vector<double> left(n);  // weights that no column holds yet, in columns
    std::vector<std::int64_t> low, high;
    for (std::int64_t id = 0; id < n; ++id) {
      left[id] = weights_[id] * double(n) / total_;
      (left[id] < 1 ? low : high).push_back(id);
    }
    columns_.assign(n, {1, 0});
    while (!low.empty() && !high.empty()) {
      const std::int64_t small = low.back(), large = high.back();
      low.pop_back();
      columns_[small] = {float(left[small]), large};
      left[large] -= 1 - left[small];
      if (left[large] >= 1) continue;
      high.pop_back();
      low.push_back(large);
    }
    for (const std::int64_t id : low) columns_[id] = {1, id};
    for (const std::int64_t id : high) columns_[id] = {1, id};
  }

  std::vector<float> weights_;
  std::vector<Column> columns_;
  double total_ = 0;
  std::int64_t possible_ = 0;
};

// The weights in the last column of a comma-separated file; lines may have other columns before it.
std::vector<float> weights_in(const std::string& path) {
  std::ifstream file(path);
  if (!file) fail(Code::not_found, "cannot open vocab_file '", path, "'");
  std::vector<float> weights;
  std::string line;
  while (std::getline(file, line)) {
    const std::string last = line.substr(line.find_last_of(',') + 1);
    char* end = nullptr;
    weights.push_back(std::strtof(last.c_str(), &end));
    require(end != last.c_str(), "line ", weights.size(), " of vocab_file '", path, "' is '", line,
            "'; its last column must be a weight");
  }
  return weights;
}

std::shared_ptr<Classes> fixed_classes(const PrepareContext& c) {
  const std::string& path = c.attr<std::string>("vocab_file");
  const auto& unigrams = c.attr<std::vector<float>>("unigrams");
  require(path.empty() != unigrams.empty(), "vocab_file is '", path, "' and unigrams has ", unigrams.size(),
          " weights; exactly one of them must be given");
  const std::vector<float> listed = path.empty() ? unigrams : weights_in(path);
  const std::int64_t shards = c.attr<std::int64_t>("num_shards"), shard = c.attr<std::int64_t>("shard");
  require(shard < shards, "shard is ", shard, " of ", shards, "; it must be less than num_shards");
  const std::int64_t reserved = c.attr<std::int64_t>("num_reserved_ids");
  const float distortion = c.attr<float>("distortion");
  std::vector<float> weights;
  for (std::int64_t id = 0; id < reserved + std::int64_t(listed.size()); ++id) {
    if (id % shards != shard) continue;
    weights.push_back(id < reserved ? 0 : std::pow(listed[id - reserved], distortion));
  }
  const std::int64_t range = c.attr<std::int64_t>("range_max");
  require(std::int64_t(weights.size()) == range, "there are ", weights.size(), " weights, range_max is ",
          range, "; they must be as many");
  return std::make_shared<Weighted>(std::move(weights));
}

template <class T>
std::shared_ptr<Classes> classes_of(const PrepareContext& c) {
  return std::make_shared<T>(c.attr<std::int64_t>("range_max"));
}

// ---- samples

struct Sample {
  std::int64_t tries = 0;
  // How often a class of this probability is to be expected among `drawn`.
  double expected(double probability, std::int64_t drawn) const {
    if (tries == drawn) return probability * double(drawn);
    return -std::expm1(double(tries) * std::log1p(-probability));
  }
};

Sample draw(const Classes& classes, bool unique, std::span<std::int64_t> drawn, PhiloxWords& words) {
  Sample sample;
  std::unordered_set<std::int64_t> seen;
  for (std::int64_t& id : drawn) {
    do {
      id = classes.draw(words);
      ++sample.tries;
    } while (unique && !seen.insert(id).second);
  }
  return sample;
}

using Choose = std::shared_ptr<Classes> (*)(const PrepareContext&);

Prepare sampler_of(Choose choose, bool learns = false) {
  return [choose, learns](PrepareContext& c) -> std::unique_ptr<Kernel> {
    const std::int64_t drawn = c.attr<std::int64_t>("num_sampled"), trues = c.input_shape(0).size();
    const bool unique = c.attr<bool>("unique");
    // What a session has learned is kept like its place in the random stream.
    std::shared_ptr<Classes> classes;
    if (learns) {
      const auto make = [&] { return choose(c); };
      classes = c.own_resources().find_or_create<Classes>("learned", c.node().name(), make);
    } else {
      classes = choose(c);
    }
    require(!unique || drawn <= classes->possible(), "num_sampled is ", drawn, ", but only ",
            classes->possible(), " classes have any weight");
    return kernel([=, source = stateful_source(c)](RunContext& r) {
      const std::span<const std::int64_t> ids(r.input<std::int64_t>(0), std::size_t(trues));
      const std::span<std::int64_t> sampled(r.output<std::int64_t>(0), std::size_t(drawn));
      PhiloxWords words(source(r, kReserved * std::uint64_t(drawn)));
      std::unique_lock lock(classes->mutex, std::defer_lock);
      if (learns) lock.lock();
      const Sample sample = draw(*classes, unique, sampled, words);
      const auto expect = [&](std::span<const std::int64_t> of, float* expected) {
        for (const std::int64_t id : of)
          *expected++ = float(sample.expected(classes->probability(id), drawn));
      };
      expect(ids, r.output<float>(1));
      expect(sampled, r.output<float>(2));
      classes->learn(ids);
    });
  };
}

std::unique_ptr<Kernel> prepare_all(PrepareContext& c) {
  const std::int64_t trues = c.input_shape(0).size(), all = c.attr<std::int64_t>("num_sampled");
  return kernel([=](RunContext& r) {
    for (std::int64_t id = 0; id < all; ++id) r.output<std::int64_t>(0)[id] = id;
    std::fill_n(r.output<float>(1), trues, 1.0f);
    std::fill_n(r.output<float>(2), all, 1.0f);
  });
}

std::unique_ptr<Kernel> prepare_hits(PrepareContext& c) {
  const Shape classes = c.input_shape(0);
  const std::int64_t drawn = c.input_shape(1).size();
  for (int i = 0; i < 3; ++i) c.own_output(i);
  return kernel([=](RunContext& r) {
    std::unordered_map<std::int64_t, std::int64_t> position;
    for (std::int64_t i = 0; i < drawn; ++i) position[r.input<std::int64_t>(1)[i]] = i;
    std::vector<std::int32_t> rows;
    std::vector<std::int64_t> ids;
    for (std::int64_t i = 0; i < classes.size(); ++i) {
      const auto found = position.find(r.input<std::int64_t>(0)[i]);
      if (found == position.end()) continue;
      rows.push_back(std::int32_t(i / classes[1]));
      ids.push_back(found->second);
    }
    const Shape shape{std::int64_t(ids.size())};
    Tensor indices(DType::int32, shape), places(DType::int64, shape), weights(DType::float32, shape);
    std::copy(rows.begin(), rows.end(), indices.data<std::int32_t>());
    std::copy(ids.begin(), ids.end(), places.data<std::int64_t>());
    std::fill_n(weights.data<float>(), ids.size(), std::numeric_limits<float>::lowest());
    r.set_output(0, std::move(indices));
    r.set_output(1, std::move(places));
    r.set_output(2, std::move(weights));
  });
}

}  // namespace

HEADRACE_KERNELS(candidate_sampling) {
  add_kernel("UniformCandidateSampler", sampler_of(classes_of<Uniform>));
  add_kernel("LogUniformCandidateSampler", sampler_of(classes_of<LogUniform>));
  add_kernel("LearnedUnigramCandidateSampler", sampler_of(classes_of<Learned>, true));
  add_kernel("ThreadUnsafeUnigramCandidateSampler", sampler_of(classes_of<Learned>, true));
  add_kernel("FixedUnigramCandidateSampler", sampler_of(fixed_classes));
  add_kernel("AllCandidateSampler", prepare_all);
  add_kernel("ComputeAccidentalHits", prepare_hits);
}

}  // namespace headrace
