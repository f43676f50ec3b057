// Definitions of the operations that draw random numbers.
//
// The stateful ones continue a stream of their own from run to run of a session. It is a function of `seed`
// and `seed2`, unless both are zero: then it differs every time. The stateless ones are functions of their
// `seed` input.
#include "core/registry/ops.h"

namespace headrace {
namespace {

constexpr const char* kFloat = "dtype: {float32, float64, float16, bfloat16}";
constexpr const char* kReal =
    "T: {float32, float64, float16, bfloat16, int8, int16, int32, int64, uint8, uint16, uint32, uint64}";

void sized_shape(ShapeContext& c) { c.output(0, c.shape_value(0)); }

void uniform_int_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  c.with_rank(2, 0);
  sized_shape(c);
}

void parameterized_shape(ShapeContext& c) {
  const Shape shape = c.shape_value(0);
  for (int i = 1; i < 5; ++i) {
    require(c.input(i).rank() <= 1, "parameter ", c.node().op().inputs()[i].name, " has shape ", c.input(i),
            "; it must be a scalar or a vector with a number for each batch");
  }
  c.output(0, shape);
}

// A sample of shape input 0 for each element of input 1.
void sample_of_each_shape(ShapeContext& c) {
  const Shape sample = c.shape_value(0);
  c.output(0, sample.concat(c.input(1)));
}

void multinomial_shape(ShapeContext& c) {
  const Shape logits = c.with_rank(0, 2);
  c.with_rank(1, 0);
  const auto samples = c.int_value(1);
  require(!samples || *samples >= 0, "num_samples is ", samples.value_or(0), "; it must not be negative");
  c.output(0, Shape{logits[0], samples.value_or(kUnknown)});
}

void check_stateless_seed(ShapeContext& c, int i) {
  const Shape seed = c.with_rank(i, 1);
  require(seed[0] == 2 || seed[0] == kUnknown, "seed has shape ", seed, "; it must be two integers");
}

void stateless_shape(ShapeContext& c) {
  check_stateless_seed(c, 1);
  sized_shape(c);
}

void stateless_int_shape(ShapeContext& c) {
  c.with_rank(2, 0);
  c.with_rank(3, 0);
  stateless_shape(c);
}

void stateless_multinomial_shape(ShapeContext& c) {
  check_stateless_seed(c, 2);
  multinomial_shape(c);
}

OpDef& stateful(const char* name, ShapeRule rule, bool has_gradient = false) {
  return op(name)
      .attr("seed: int = 0", "seed2: int = 0")
      .traits(Trait::stateful, has_gradient ? Trait::stateful : Trait::no_gradient)
      .shape(std::move(rule));
}

OpDef& stateless(const char* name, ShapeRule rule) {
  return op(name).traits(Trait::no_gradient).shape(std::move(rule));
}

}  // namespace

HEADRACE_OPS(random) {
  stateful("RandomUniform", sized_shape)
      .in("shape: T")
      .out("output: dtype")
      .attr(kFloat, "T: {int32, int64}")
      .doc("Numbers uniform in [0, 1).");
  stateful("RandomUniformInt", uniform_int_shape)
      .in("shape: T", "minval: Tout", "maxval: Tout")
      .out("output: Tout")
      .attr("Tout: {int32, int64}", "T: {int32, int64}")
      .doc("Integers uniform in [minval, maxval).");
  stateful("RandomStandardNormal", sized_shape)
      .in("shape: T")
      .out("output: dtype")
      .attr(kFloat, "T: {int32, int64}")
      .doc("Numbers of the normal distribution of mean 0 and standard deviation 1.");
  stateful("TruncatedNormal", sized_shape)
      .in("shape: T")
      .out("output: dtype")
      .attr(kFloat, "T: {int32, int64}")
      .doc("Numbers of the standard normal distribution, those beyond 2 standard deviations drawn again.");
  stateful("ParameterizedTruncatedNormal", parameterized_shape)
      .in("shape: T", "means: dtype", "stdevs: dtype", "minvals: dtype", "maxvals: dtype")
      .out("output: dtype")
      .attr(kFloat, "T: {int32, int64}")
      .doc("Numbers of a normal distribution cut to [minval, maxval], with parameters for each batch.");
  stateful("RandomShuffle", same_shape)
      .in("value: T")
      .out("output: T")
      .attr("T: type")
      .doc("The rows of a tensor in random order.");
  stateful("Multinomial", multinomial_shape)
      .in("logits: T", "num_samples: int32")
      .out("output: output_dtype")
      .attr(kReal, "output_dtype: {int32, int64} = int64")
      .doc("Classes drawn for each row of unnormalised log probabilities.");
  stateful("RandomGamma", sample_of_each_shape, /*has_gradient=*/true)
      .in("shape: S", "alpha: T")
      .out("output: T")
      .attr("S: {int32, int64}", "T: {float16, float32, float64}")
      .doc("Samples of the gamma distribution of scale 1 for each shape parameter alpha.");
  op("RandomGammaGrad")
      .in("alpha: T", "sample: T")
      .out("output: T")
      .attr("T: {float32, float64}")
      .traits(Trait::elementwise)
      .shape(broadcast_shape)
      .doc("How a sample of the gamma distribution changes with its shape parameter alpha.");
  stateful("RandomPoisson", sample_of_each_shape)
      .in("shape: S", "rate: dtype")
      .out("output: dtype")
      .attr("S: {int32, int64}", "dtype: {float16, float32, float64}")
      .doc("Samples of the Poisson distribution for each rate.");
  stateful("RandomPoissonV2", sample_of_each_shape)
      .in("shape: S", "rate: R")
      .out("output: dtype")
      .attr("S: {int32, int64}", "R: {float16, float32, float64, int32, int64} = float64",
            "dtype: {float16, float32, float64, int32, int64} = int64")
      .doc("Samples of the Poisson distribution for each rate.");
  for (const char* name : {"StatelessRandomUniform", "StatelessRandomNormal", "StatelessTruncatedNormal"}) {
    stateless(name, stateless_shape)
        .in("shape: T", "seed: Tseed")
        .out("output: dtype")
        .attr("dtype: {float32, float64, float16, bfloat16} = float32", "T: {int32, int64} = int32",
              "Tseed: {int32, int64} = int64")
        .doc("The numbers that the operation without \"Stateless\" draws, as a function of the seed.");
  }
  stateless("StatelessRandomUniformInt", stateless_int_shape)
      .in("shape: T", "seed: Tseed", "minval: dtype", "maxval: dtype")
      .out("output: dtype")
      .attr("dtype: {int32, int64}", "T: {int32, int64}", "Tseed: {int32, int64} = int64")
      .doc("Integers uniform in [minval, maxval), as a function of the seed.");
  stateless("StatelessMultinomial", stateless_multinomial_shape)
      .in("logits: T", "num_samples: int32", "seed: Tseed")
      .out("output: output_dtype")
      .attr(kReal, "Tseed: {int32, int64} = int64", "output_dtype: {int32, int64} = int64")
      .doc("Classes drawn for each row of unnormalised log probabilities, as a function of the seed.");
}

}  // namespace headrace
