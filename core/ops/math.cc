// Elementwise arithmetic, comparison, logic and special functions, and what counts and compares values.
#include <algorithm>
#include <string>

#include "core/graph/graph.h"
#include "core/registry/ops.h"

namespace headrace {
namespace {

#define FLOATS "bfloat16, float16, float32, float64"
#define COMPLEX "complex64, complex128"
#define INTEGERS "int8, int16, int32, int64, uint8, uint16, uint32, uint64"
#define REALS FLOATS ", " INTEGERS
#define NUMBERS REALS ", " COMPLEX

// Shapes are computed in the graph with small integer vectors: these rules pass their known elements on.
bool carries_ints(const ShapeContext& c) {
  const DType dtype = c.input_dtype(0);
  return dtype == DType::int32 || dtype == DType::int64;
}

template <class F>
void unary_ints(ShapeContext& c, F f) {
  same_shape(c);
  if (!carries_ints(c)) return;
  if (auto x = c.ints(0)) {
    for (auto& value : *x) {
      if (value != kUnknownValue) value = f(value);
    }
    c.output_ints(0, std::move(*x));
  }
}

// `f` may set its last argument to false where it has no answer (division by zero, overflow).
template <class F>
void binary_ints(ShapeContext& c, F f) {
  broadcast_shape(c);
  const Shape& shape = c.outputs()[0];
  if (!carries_ints(c) || !shape.is_full() || shape.rank() > 1) return;
  const std::int64_t count = shape.size();
  const auto x = c.ints(0), y = c.ints(1);
  if (!x || !y || count > kMaxPartialInts) return;
  PartialInts z(std::size_t(count), kUnknownValue);
  for (std::size_t i = 0; i < z.size(); ++i) {
    const std::int64_t a = (*x)[x->size() == 1 ? 0 : i], b = (*y)[y->size() == 1 ? 0 : i];
    if (a == kUnknownValue || b == kUnknownValue) continue;
    std::int64_t value = 0;
    if (f(a, b, &value)) z[i] = value;
  }
  c.output_ints(0, std::move(z));
}

void add_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) { return !__builtin_add_overflow(a, b, z); });
}
void sub_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) { return !__builtin_sub_overflow(a, b, z); });
}
void mul_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) { return !__builtin_mul_overflow(a, b, z); });
}
void floor_div_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) {
    if (b == 0 || b == -1) return false;
    *z = a / b - (a % b != 0 && (a < 0) != (b < 0));
    return true;
  });
}
void truncate_div_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) {
    if (b == 0 || b == -1) return false;
    *z = a / b;
    return true;
  });
}
void floor_mod_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) {
    if (b == 0 || b == -1) return false;
    *z = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
    return true;
  });
}
void maximum_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) { return *z = std::max(a, b), true; });
}
void minimum_shape(ShapeContext& c) {
  binary_ints(c, [](auto a, auto b, auto* z) { return *z = std::min(a, b), true; });
}
void neg_shape(ShapeContext& c) {
  unary_ints(c, [](std::int64_t x) { return -x; });
}

void cast_shape(ShapeContext& c) {
  const DType to = c.node().attr<DType>("DstT");
  if (carries_ints(c) && (to == DType::int64 || to == c.input_dtype(0))) {
    return unary_ints(c, [](std::int64_t x) { return x; });
  }
  if (carries_ints(c) && to == DType::int32) {
    return unary_ints(c, [](std::int64_t x) { return std::int64_t(std::int32_t(x)); });
  }
  same_shape(c);
}

void equal_shape(ShapeContext& c) {
  if (c.attr<bool>("incompatible_shape_error")) return broadcast_shape(c);
  // Shapes that do not broadcast make one false instead of an error.
  if (!c.input(0).is_full() || !c.input(1).is_full()) return c.output(0, Shape::unknown());
  try {
    broadcast_shape(c);
  } catch (const Error&) {
    c.output(0, Shape());
  }
}

void select_shape(ShapeContext& c) {
  const Shape branches = c.input(1).merge(c.input(2));
  const Shape& condition = c.input(0);
  c.output(0, branches);
  if (!condition.has_rank() || condition.rank() == 0 || !branches.has_rank()) return;
  if (condition.rank() == 1 && branches.rank() >= 1) {
    require(condition.compatible_with(branches.slice(0, 1)), "condition is ", condition,
            " but the branches are ", branches,
            "; a vector condition chooses rows, so its length must be their first dimension");
    Shape shape = branches;
    if (shape[0] == kUnknown) shape.set_dim(0, condition[0]);
    return c.output(0, shape);
  }
  require(condition.compatible_with(branches), "condition is ", condition, " but the branches are ", branches,
          "; give them the same shape, or use a scalar or a vector condition");
  c.output(0, branches.merge(condition));
}

Shape broadcast3(const ShapeContext& c) { return broadcast(broadcast(c.input(0), c.input(1)), c.input(2)); }

void select_v2_shape(ShapeContext& c) { c.output(0, broadcast3(c)); }

void clip_shape(ShapeContext& c) {
  for (int i : {1, 2}) {
    require(!c.input(i).has_rank() || c.input(i).rank() == 0 || c.input(i).compatible_with(c.input(0)),
            i == 1 ? "clip_value_min" : "clip_value_max", " is ", c.input(i), " but t is ", c.input(0),
            "; the limits are scalars or shaped like t");
  }
  same_shape(c);
}

// For the ternary special functions, whose arguments share a shape except that each may be a scalar.
void betainc_shape(ShapeContext& c) {
  Shape shape;
  bool maybe_scalar = true;
  for (int i = 0; i < 3; ++i) {
    const Shape& x = c.input(i);
    if (!x.has_rank() || x.rank() == 0) {
      if (!x.has_rank() && maybe_scalar) shape = Shape::unknown();
      continue;
    }
    shape = maybe_scalar ? x : shape.merge(x);
    maybe_scalar = false;
  }
  c.output(0, shape);
}

void accumulate_shape(ShapeContext& c) {
  merged_shape(c);
  c.output(0, c.outputs()[0].merge(c.attr<Shape>("shape")));
}

void cross_shape(ShapeContext& c) {
  Shape shape = c.with_rank_at_least(0, 1).merge(c.with_rank_at_least(1, 1));
  if (shape.has_rank()) {
    require(shape[-1] == 3 || shape[-1] == kUnknown, "a is ", c.input(0),
            ", but a cross product is of vectors with 3 elements: the last dimension must be 3");
    shape.set_dim(shape.rank() - 1, 3);
  }
  c.output(0, shape);
}

void bincount_shape(ShapeContext& c) {
  c.with_rank(1, 0);
  const auto size = c.int_value(1);
  if (size) require(*size >= 0, "size is ", *size, ", but the number of bins cannot be negative");
  c.output(0, Shape{size.value_or(kUnknown)});
}

void bucketize_shape(ShapeContext& c) {
  const auto& boundaries = c.attr<std::vector<float>>("boundaries");
  require(std::is_sorted(boundaries.begin(), boundaries.end()),
          "boundaries are not in increasing order; sort them");
  same_shape(c);
}

void histogram_shape(ShapeContext& c) {
  const Shape range = c.with_rank(1, 1);
  require(range[0] == kUnknown || range[0] == 2, "value_range is ", range,
          ", expected two elements: [low, high]");
  c.with_rank(2, 0);
  const auto bins = c.int_value(2);
  if (bins) require(*bins > 0, "nbins is ", *bins, ", but there must be at least one bin");
  c.output(0, Shape{bins.value_or(kUnknown)});
}

struct Row {
  const char* name;
  const char* doc;
};

}  // namespace

HEADRACE_OPS(math) {
  using enum Trait;

  // ---- of one argument
  op("Neg")
      .in("x: T")
      .out("y: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, involution)
      .shape(neg_shape)
      .doc("Computes -x.");
  op("Abs")
      .in("x: T")
      .out("y: T")
      .attr("T: {" REALS "}")
      .traits(elementwise, idempotent)
      .shape(same_shape)
      .doc("Computes the absolute value.");
  op("ComplexAbs")
      .in("x: T")
      .out("y: Tout")
      .attr("T: {" COMPLEX "} = complex64", "Tout: {float32, float64} = float32")
      .traits(elementwise)
      .shape(same_shape)
      .doc("Computes the modulus of complex numbers.");
  op("Round")
      .in("x: T")
      .out("y: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, idempotent)
      .shape(same_shape)
      .doc("Rounds to the nearest integer, halves to the even one.");
  for (const auto& [name, doc] : {Row{"Sign", "Computes -1, 0 or 1 by the sign; x / |x| for complex x."},
                                  {"Square", "Computes x * x."}}) {
    op(name).in("x: T").out("y: T").attr("T: {" NUMBERS "}").traits(elementwise).shape(same_shape).doc(doc);
  }
  for (const char* name : {"Reciprocal", "Inv"}) {
    op(name)
        .in("x: T")
        .out("y: T")
        .attr("T: {" NUMBERS "}")
        .traits(elementwise)
        .shape(same_shape)
        .doc("Computes 1 / x.");
  }
  for (const auto& [name, doc] : {Row{"Sqrt", "Computes the square root."},
                                  {"Rsqrt", "Computes 1 / sqrt(x)."},
                                  {"Exp", "Computes e to the x."},
                                  {"Expm1", "Computes exp(x) - 1, accurately near zero."},
                                  {"Log", "Computes the natural logarithm."},
                                  {"Log1p", "Computes log(1 + x), accurately near zero."},
                                  {"Sin", "Computes the sine."},
                                  {"Cos", "Computes the cosine."},
                                  {"Tan", "Computes the tangent."},
                                  {"Asin", "Computes the inverse sine."},
                                  {"Acos", "Computes the inverse cosine."},
                                  {"Atan", "Computes the inverse tangent."},
                                  {"Sinh", "Computes the hyperbolic sine."},
                                  {"Cosh", "Computes the hyperbolic cosine."},
                                  {"Asinh", "Computes the inverse hyperbolic sine."},
                                  {"Acosh", "Computes the inverse hyperbolic cosine."},
                                  {"Atanh", "Computes the inverse hyperbolic tangent."}}) {
    op(name)
        .in("x: T")
        .out("y: T")
        .attr("T: {" FLOATS ", " COMPLEX "}")
        .traits(elementwise)
        .shape(same_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {std::pair{"Tanh", "Computes the hyperbolic tangent."}, {"Sigmoid", "Computes 1 / (1 + exp(-x))."}}) {
    op(name)
        .in("x: T")
        .out("y: T")
        .attr("T: {" FLOATS ", " COMPLEX "}")
        .traits(elementwise, post_operation)
        .shape(same_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"Erf", "Computes the error function."},
        {"Erfc", "Computes 1 - erf(x), accurately for large x."},
        {"Erfinv", "Computes the inverse of erf."},
        {"Ndtri", "Computes the quantile function of the standard normal distribution."},
        {"Lgamma", "Computes log |gamma(x)|."},
        {"Digamma", "Computes the derivative of lgamma."},
        {"BesselI0e", "Computes exp(-|x|) I0(x), of the modified Bessel function of order 0."},
        {"BesselI1e", "Computes exp(-|x|) I1(x), of the modified Bessel function of order 1."}}) {
    op(name).in("x: T").out("y: T").attr("T: {" FLOATS "}").traits(elementwise).shape(same_shape).doc(doc);
  }
  for (const auto& [name, doc] : {Row{"Floor", "Rounds down."},
                                  {"Ceil", "Rounds up."},
                                  {"Rint", "Rounds to the nearest integer, halves to the even one."}}) {
    op(name)
        .in("x: T")
        .out("y: T")
        .attr("T: {" FLOATS "}")
        .traits(elementwise, idempotent)
        .shape(same_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] : {Row{"IsNan", "Tells which elements are not numbers."},
                                  {"IsInf", "Tells which elements are infinite."},
                                  {"IsFinite", "Tells which elements are neither infinite nor NaN."}}) {
    op(name)
        .in("x: T")
        .out("y: bool")
        .attr("T: {" FLOATS "}")
        .traits(elementwise, no_gradient)
        .shape(same_shape)
        .doc(doc);
  }
  op("LogicalNot")
      .in("x: bool")
      .out("y: bool")
      .traits(elementwise, involution, no_gradient)
      .shape(same_shape)
      .doc("Negates truth values.");
  op("Invert")
      .in("x: T")
      .out("y: T")
      .attr("T: {" INTEGERS "}")
      .traits(elementwise, involution, no_gradient)
      .shape(same_shape)
      .doc("Flips every bit.");
  op("PopulationCount")
      .in("x: T")
      .out("y: uint8")
      .attr("T: {" INTEGERS "}")
      .traits(elementwise, no_gradient)
      .shape(same_shape)
      .doc("Counts the bits that are set.");
  op("Conj")
      .in("input: T")
      .out("output: T")
      .attr("T: {" COMPLEX ", variant} = complex64")
      .traits(elementwise, involution)
      .shape(same_shape)
      .doc("Computes the complex conjugate.");
  for (const auto& [name, doc] : {Row{"Real", "Takes the real part."},
                                  {"Imag", "Takes the imaginary part."},
                                  {"Angle", "Computes the argument (phase angle) of complex numbers."}}) {
    op(name)
        .in("input: T")
        .out("output: Tout")
        .attr("T: {" COMPLEX "} = complex64", "Tout: {float32, float64} = float32")
        .traits(elementwise)
        .shape(same_shape)
        .doc(doc);
  }
  op("Cast")
      .in("x: SrcT")
      .out("y: DstT")
      .attr("SrcT: type", "DstT: type", "Truncate: bool = false")
      .traits(elementwise)
      .shape(cast_shape)
      .doc(
          "Converts elements to another dtype; floats lose their fraction, complex numbers their imaginary "
          "part.");

  // ---- derivatives as functions of the function's value y (or argument x) and the incoming gradient dy
  for (const auto& [name, doc] :
       {Row{"TanhGrad", "Computes dy * (1 - y * y), the gradient of y = tanh(x)."},
        {"SigmoidGrad", "Computes dy * y * (1 - y), the gradient of y = sigmoid(x)."},
        {"SqrtGrad", "Computes dy / (2 y), the gradient of y = sqrt(x)."},
        {"RsqrtGrad", "Computes -dy * y * y * y / 2, the gradient of y = 1 / sqrt(x)."},
        {"InvGrad", "Computes -dy * y * y, the gradient of y = 1 / x."},
        {"ReciprocalGrad", "Computes -dy * y * y, the gradient of y = 1 / x."}}) {
    op(name)
        .in("y: T", "dy: T")
        .out("z: T")
        .attr("T: {" FLOATS ", " COMPLEX "}")
        .traits(elementwise)
        .shape(merged_shape)
        .doc(doc);
  }

  // ---- of two arguments that broadcast
  op("Add")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS ", string}")
      .traits(elementwise, post_operation)
      .neutral(0)
      .shape(add_shape)
      .doc("Computes x + y; joins strings.");
  op("AddV2")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, commutative, post_operation)
      .neutral(0)
      .shape(add_shape)
      .doc("Computes x + y.");
  op("Sub")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, post_operation)
      .neutral(0)
      .shape(sub_shape)
      .doc("Computes x - y.");
  op("Mul")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, commutative, post_operation)
      .neutral(1)
      .shape(mul_shape)
      .doc("Computes x * y.");
  op("SquaredDifference")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise, commutative)
      .shape(broadcast_shape)
      .doc("Computes (x - y)^2; the squared modulus for complex numbers.");
  for (const auto& [name, doc] : {Row{"Div", "Computes x / y; integers are divided towards zero."},
                                  {"RealDiv", "Computes x / y."},
                                  {"TruncateDiv", "Computes x / y rounded towards zero, for integers."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: T")
        .attr("T: {" NUMBERS "}")
        .traits(elementwise)
        .neutral(1)
        .shape(truncate_div_shape)
        .doc(doc);
  }
  op("FloorDiv")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise)
      .shape(floor_div_shape)
      .doc("Computes x / y rounded down.");
  op("FloorMod")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" REALS "}")
      .traits(elementwise)
      .shape(floor_mod_shape)
      .doc("Computes the remainder that has the sign of y.");
  for (const char* name : {"Mod", "TruncateMod"}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: T")
        .attr("T: {" REALS "}")
        .traits(elementwise)
        .shape(broadcast_shape)
        .doc("Computes the remainder that has the sign of x.");
  }
  op("Maximum")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" REALS "}")
      .traits(elementwise, commutative)
      .shape(maximum_shape)
      .doc("Computes the larger of x and y; NaN if either is.");
  op("Minimum")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" REALS "}")
      .traits(elementwise, commutative)
      .shape(minimum_shape)
      .doc("Computes the smaller of x and y; NaN if either is.");
  op("Pow")
      .in("x: T", "y: T")
      .out("z: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise)
      .neutral(1)
      .shape(broadcast_shape)
      .doc("Computes x to the power y.");
  for (const auto& [name, doc] : {Row{"MulNoNan", "Computes x * y, which is 0 where y is 0 whatever x is."},
                                  {"DivNoNan", "Computes x / y, which is 0 where y is 0."},
                                  {"Xdivy", "Computes x / y, which is 0 where x is 0."},
                                  {"Xlogy", "Computes x * log(y), which is 0 where x is 0."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: T")
        .attr("T: {" FLOATS ", " COMPLEX "}")
        .traits(elementwise)
        .shape(broadcast_shape)
        .doc(doc);
  }
  op("Atan2")
      .in("y: T", "x: T")
      .out("z: T")
      .attr("T: {" FLOATS "}")
      .traits(elementwise)
      .shape(broadcast_shape)
      .doc("Computes the angle of the point (x, y), in [-pi, pi].");
  op("NextAfter")
      .in("x1: T", "x2: T")
      .out("output: T")
      .attr("T: {float64, float32} = float32")
      .traits(elementwise, no_gradient)
      .shape(broadcast_shape)
      .doc("Computes the number next to x1 in the direction of x2.");
  op("Zeta")
      .in("x: T", "q: T")
      .out("z: T")
      .attr("T: {float32, float64}")
      .traits(elementwise)
      .shape(broadcast_shape)
      .doc("Computes the Hurwitz zeta function, the sum over n of (q + n)^-x.");
  op("Polygamma")
      .in("a: T", "x: T")
      .out("z: T")
      .attr("T: {float32, float64}")
      .traits(elementwise)
      .shape(broadcast_shape)
      .doc("Computes the a-th derivative of digamma at x.");
  for (const auto& [name, doc] :
       {Row{"Igamma", "Computes the lower regularised incomplete gamma function P(a, x)."},
        {"Igammac", "Computes the upper regularised incomplete gamma function Q(a, x)."},
        {"IgammaGradA", "Computes the derivative of P(a, x) by a."}}) {
    op(name)
        .in("a: T", "x: T")
        .out("z: T")
        .attr("T: {float32, float64}")
        .traits(elementwise)
        .shape(broadcast_shape)
        .doc(doc);
  }
  op("Betainc")
      .in("a: T", "b: T", "x: T")
      .out("z: T")
      .attr("T: {float32, float64}")
      .traits(elementwise)
      .shape(betainc_shape)
      .doc("Computes the regularised incomplete beta function I_x(a, b).");

  // ---- comparison and logic
  for (const auto& [name, doc] :
       {Row{"Equal", "Tells where x equals y."}, {"NotEqual", "Tells where x differs from y."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: bool")
        .attr("T: {" NUMBERS ", bool, string}", "incompatible_shape_error: bool = true")
        .traits(elementwise, commutative, no_gradient)
        .shape(equal_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] : {Row{"Less", "Tells where x < y."},
                                  {"LessEqual", "Tells where x <= y."},
                                  {"Greater", "Tells where x > y."},
                                  {"GreaterEqual", "Tells where x >= y."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: bool")
        .attr("T: {" REALS "}")
        .traits(elementwise, no_gradient)
        .shape(broadcast_shape)
        .doc(doc);
  }
  op("ApproximateEqual")
      .in("x: T", "y: T")
      .out("z: bool")
      .attr("T: {" NUMBERS "}", "tolerance: float = 1e-05")
      .traits(elementwise, commutative, no_gradient)
      .shape(merged_shape)
      .doc("Tells where |x - y| is less than the tolerance.");
  for (const auto& [name, doc] : {Row{"LogicalAnd", "Tells where both are true."},
                                  {"LogicalOr", "Tells where at least one is true."}}) {
    op(name)
        .in("x: bool", "y: bool")
        .out("z: bool")
        .traits(elementwise, commutative, no_gradient)
        .shape(broadcast_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] : {Row{"BitwiseAnd", "Computes x & y."},
                                  {"BitwiseOr", "Computes x | y."},
                                  {"BitwiseXor", "Computes x ^ y."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: T")
        .attr("T: {" INTEGERS "}")
        .traits(elementwise, commutative, no_gradient)
        .shape(broadcast_shape)
        .doc(doc);
  }
  for (const auto& [name, doc] :
       {Row{"LeftShift", "Computes x << y."}, {"RightShift", "Computes x >> y, keeping the sign."}}) {
    op(name)
        .in("x: T", "y: T")
        .out("z: T")
        .attr("T: {" INTEGERS "}")
        .traits(elementwise, no_gradient)
        .shape(broadcast_shape)
        .doc(doc);
  }

  // ---- choice, limits, sums of many
  op("Select")
      .in("condition: bool", "t: T", "e: T")
      .out("output: T")
      .attr("T: type")
      .shape(select_shape)
      .doc("Takes elements (rows, for a vector condition) of t where the condition holds, else of e.");
  op("SelectV2")
      .in("condition: bool", "t: T", "e: T")
      .out("output: T")
      .attr("T: type")
      .traits(elementwise)
      .shape(select_v2_shape)
      .doc("Takes elements of t where the condition holds, else of e; all three broadcast.");
  op("ClipByValue")
      .in("t: T", "clip_value_min: T", "clip_value_max: T")
      .out("output: T")
      .attr("T: {" NUMBERS "}")
      .traits(elementwise)
      .shape(clip_shape)
      .doc("Limits t to [clip_value_min, clip_value_max].");
  op("AddN")
      .in("inputs: N * T")
      .out("sum: T")
      .attr("N: int >= 1", "T: {" NUMBERS ", variant}")
      .traits(elementwise, Trait::sum)
      .shape(merged_shape)
      .doc("Adds N tensors of one shape in one pass.");
  op("AccumulateNV2")
      .in("inputs: N * T")
      .out("sum: T")
      .attr("N: int >= 1", "T: {" NUMBERS "}", "shape: shape")
      .traits(elementwise)
      .shape(accumulate_shape)
      .doc("Adds N tensors of the shape `shape` in one pass.");

  // ---- complex numbers, vectors, histograms
  op("Complex")
      .in("real: T", "imag: T")
      .out("out: Tout")
      .attr("T: {float32, float64} = float32", "Tout: {" COMPLEX "} = complex64")
      .traits(elementwise)
      .shape(broadcast_shape)
      .doc("Makes complex numbers out of real and imaginary parts.");
  op("Cross")
      .in("a: T", "b: T")
      .out("product: T")
      .attr("T: {" REALS "}")
      .shape(cross_shape)
      .doc("Computes the cross products of the 3-vectors along the last axis.");
  op("Bincount")
      .in("arr: int32", "size: int32", "weights: T")
      .out("bins: T")
      .attr("T: {int32, int64, float32, float64}")
      .traits(no_gradient)
      .shape(bincount_shape)
      .doc(
          "Counts how often each of 0 ... size - 1 occurs in arr, or adds up the weights of its "
          "occurrences.");
  op("Bucketize")
      .in("input: T")
      .out("output: int32")
      .attr("T: {int32, int64, float32, float64}", "boundaries: list(float)")
      .traits(elementwise, no_gradient)
      .shape(bucketize_shape)
      .doc("Computes how many of the sorted boundaries are at or below each element.");
  op("HistogramFixedWidth")
      .in("values: T", "value_range: T", "nbins: int32")
      .out("out: dtype")
      .attr("T: {int32, int64, float32, float64}", "dtype: {int32, int64} = int32")
      .traits(no_gradient)
      .shape(histogram_shape)
      .doc("Counts values in nbins equal bins of value_range; the outer bins take what is beyond.");
}

}  // namespace headrace
