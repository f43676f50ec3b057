// Definitions of candidate sampling: a few classes drawn out of many, for losses that look at a sample of the
// classes only (Jean, Cho, Memisevic, Bengio: "On using very large target vocabulary for neural machine
// translation", 2015).
//
// Each gives the classes drawn, and how often each of them and of the true classes is to be expected in such
// a sample.
#include "core/registry/ops.h"

namespace headrace {
namespace {

std::int64_t true_classes(ShapeContext& c) {
  const Shape classes = c.with_rank(0, 2);
  const std::int64_t number = c.attr<std::int64_t>("num_true");
  require(classes[1] == number || classes[1] == kUnknown, "true_classes has shape ", classes,
          ", num_true is ", number, "; it must have num_true columns");
  return classes[0];
}

void sampler_shape(ShapeContext& c) {
  const std::int64_t rows = true_classes(c), drawn = c.attr<std::int64_t>("num_sampled");
  c.output(0, Shape{drawn});
  c.output(1, Shape{rows, c.attr<std::int64_t>("num_true")});
  c.output(2, Shape{drawn});
}

void all_shape(ShapeContext& c) {
  require(c.attr<bool>("unique"), "unique is false, expected true: every class is drawn once");
  sampler_shape(c);
}

void ranged_shape(ShapeContext& c) {
  const std::int64_t drawn = c.attr<std::int64_t>("num_sampled"), range = c.attr<std::int64_t>("range_max");
  require(!c.attr<bool>("unique") || drawn <= range, "num_sampled is ", drawn, ", range_max is ", range,
          "; there are not so many different classes");
  sampler_shape(c);
}

void hits_shape(ShapeContext& c) {
  true_classes(c);
  c.with_rank(1, 1);
  for (int i = 0; i < 3; ++i) c.output(i, Shape{kUnknown});
}

OpDef& sampler(const char* name, ShapeRule rule = ranged_shape) {
  return op(name)
      .in("true_classes: int64")
      .out("sampled_candidates: int64", "true_expected_count: float32", "sampled_expected_count: float32")
      .attr("num_true: int >= 1", "num_sampled: int >= 1", "unique: bool")
      .traits(Trait::stateful, Trait::no_gradient)
      .shape(std::move(rule));
}

constexpr const char* kRange = "range_max: int >= 1";
constexpr const char *kSeed = "seed: int = 0", *kSeed2 = "seed2: int = 0";

}  // namespace

HEADRACE_OPS(candidate_sampling) {
  sampler("UniformCandidateSampler")
      .attr(kRange, kSeed, kSeed2)
      .doc("Classes in [0, range_max), all with the same probability.");
  sampler("LogUniformCandidateSampler")
      .attr(kRange, kSeed, kSeed2)
      .doc(
          "Classes in [0, range_max), class k with probability log((k + 2) / (k + 1)) / log(range_max + 1).");
  sampler("LearnedUnigramCandidateSampler")
      .attr(kRange, kSeed, kSeed2)
      .doc("Classes in [0, range_max), as often as they were among the true ones so far.");
  sampler("ThreadUnsafeUnigramCandidateSampler")
      .attr(kRange, kSeed, kSeed2)
      .doc("The same as LearnedUnigramCandidateSampler; it may be run from several threads as well.");
  sampler("FixedUnigramCandidateSampler")
      .attr(kRange, "vocab_file: string = ''", "distortion: float = 1.0", "num_reserved_ids: int = 0",
            "num_shards: int >= 1 = 1", "shard: int >= 0 = 0", "unigrams: list(float) = []", kSeed, kSeed2)
      .doc(
          "Classes in [0, range_max), by their weights to the power of the distortion, which are listed or "
          "stand "
          "in the last column of a file.");
  sampler("AllCandidateSampler", all_shape)
      .attr(kSeed, kSeed2)
      .doc("All classes in [0, num_sampled), once each.");
  op("ComputeAccidentalHits")
      .in("true_classes: int64", "sampled_candidates: int64")
      .out("indices: int32", "ids: int64", "weights: float32")
      .attr("num_true: int >= 1", kSeed, kSeed2)
      .traits(Trait::no_gradient)
      .shape(hits_shape)
      .doc("Where true classes were drawn: row, position in the sample, and the lowest float32.");
}

}  // namespace headrace
