"""Elementwise arithmetic, comparison, logic and special functions, and the operators of tensors."""

from __future__ import annotations

import builtins
import numbers
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, control_dependencies, name_scope
from headrace.framework.indexed_slices import IndexedSlices
from headrace.framework.shapes import TensorShape
from headrace.ops import array

__all__ = [
    "abs",
    "accumulate_n",
    "acos",
    "acosh",
    "add",
    "add_n",
    "angle",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "betainc",
    "bincount",
    "cast",
    "ceil",
    "clip_by_value",
    "complex",
    "confusion_matrix",
    "conj",
    "cos",
    "cosh",
    "cross",
    "digamma",
    "div",
    "div_no_nan",
    "divide",
    "equal",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "floor_div",
    "floordiv",
    "floormod",
    "greater",
    "greater_equal",
    "histogram_fixed_width",
    "histogram_fixed_width_bins",
    "igamma",
    "igammac",
    "imag",
    "is_finite",
    "is_inf",
    "is_nan",
    "is_non_decreasing",
    "is_numeric_tensor",
    "is_strictly_increasing",
    "lbeta",
    "less",
    "less_equal",
    "lgamma",
    "log",
    "log1p",
    "log_sigmoid",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "negative",
    "not_equal",
    "polygamma",
    "pow",
    "real",
    "realdiv",
    "reciprocal",
    "rint",
    "round",
    "rsqrt",
    "saturate_cast",
    "scalar_mul",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "squared_difference",
    "subtract",
    "tan",
    "tanh",
    "to_bfloat16",
    "to_complex64",
    "to_complex128",
    "to_double",
    "to_float",
    "to_int32",
    "to_int64",
    "truediv",
    "truncatediv",
    "truncatemod",
    "zeta",
]

_Unary = Callable[..., Any]
_FLOATS = "floating or complex"
_REALS = "floating"
_NUMBERS = "numeric"
_INTEGERS = "integer"


def _unary(
    name: str, op: str, doc: str, kind: str = _FLOATS, result: str = "the shape and dtype of `x`"
) -> _Unary:
    """The public function of an operation with one input."""

    def function(x: Any, name: str | None = None) -> Any:
        return getattr(raw, op)(x, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}

    Args:
      x: A {kind} tensor.
      name: Name of the operation.

    Returns:
      A tensor of {result}.
    """
    return function


def _binary(
    name: str,
    op: str,
    doc: str,
    kind: str = _NUMBERS,
    result: str = "their dtype",
    arguments: tuple[str, str] = ("x", "y"),
) -> Callable[..., Any]:
    """The public function of an operation with two inputs that broadcast."""
    first, second = arguments
    scope: dict[str, Any] = {"raw": raw}
    # Spelled with the arguments' own names, because callers may pass them by keyword.
    source = f"def {name}({first}, {second}, name=None): return raw.{op}({first}, {second}, name=name)"
    # The file name tells errors that this line is not the user's.
    exec(compile(source, "<headrace>", "exec"), scope)
    function: Callable[..., Any] = scope[name]
    function.__module__ = __name__
    function.__doc__ = f"""{doc}

    Args:
      {first}: A {kind} tensor.
      {second}: A tensor of the same dtype, of a shape that broadcasts with the shape of `{first}`.
      name: Name of the operation.

    Returns:
      A tensor of the broadcast shape and {result}.

    Raises:
      TypeError: If the dtypes differ.
      ValueError: If the shapes do not broadcast.
    """
    return function


# ---- functions of one tensor

negative = _unary("negative", "Neg", "Computes `-x`.", _NUMBERS)
sign = _unary("sign", "Sign", "Computes -1, 0 or 1 by the sign of `x`; `x / |x|` if it is complex.", _NUMBERS)
square = _unary("square", "Square", "Computes `x * x`.", _NUMBERS)
reciprocal = _unary("reciprocal", "Reciprocal", "Computes `1 / x`.", _NUMBERS)
sqrt = _unary("sqrt", "Sqrt", "Computes the square root.")
rsqrt = _unary("rsqrt", "Rsqrt", "Computes `1 / sqrt(x)`.")
exp = _unary("exp", "Exp", "Computes e to the power `x`.")
expm1 = _unary("expm1", "Expm1", "Computes `exp(x) - 1`, accurately near zero.")
log = _unary("log", "Log", "Computes the natural logarithm.")
log1p = _unary("log1p", "Log1p", "Computes `log(1 + x)`, accurately near zero.")
sin = _unary("sin", "Sin", "Computes the sine of angles in radians.")
cos = _unary("cos", "Cos", "Computes the cosine of angles in radians.")
tan = _unary("tan", "Tan", "Computes the tangent of angles in radians.")
asin = _unary("asin", "Asin", "Computes the inverse sine, in [-pi/2, pi/2].")
acos = _unary("acos", "Acos", "Computes the inverse cosine, in [0, pi].")
atan = _unary("atan", "Atan", "Computes the inverse tangent, in (-pi/2, pi/2).")
sinh = _unary("sinh", "Sinh", "Computes the hyperbolic sine.")
cosh = _unary("cosh", "Cosh", "Computes the hyperbolic cosine.")
tanh = _unary("tanh", "Tanh", "Computes the hyperbolic tangent.")
asinh = _unary("asinh", "Asinh", "Computes the inverse hyperbolic sine.")
acosh = _unary("acosh", "Acosh", "Computes the inverse hyperbolic cosine.")
atanh = _unary("atanh", "Atanh", "Computes the inverse hyperbolic tangent.")
sigmoid = _unary("sigmoid", "Sigmoid", "Computes `1 / (1 + exp(-x))`.")
erf = _unary("erf", "Erf", "Computes the error function.", _REALS)
erfc = _unary("erfc", "Erfc", "Computes `1 - erf(x)`, accurately for large `x`.", _REALS)
erfinv = _unary("erfinv", "Erfinv", "Computes the inverse of `erf`.", _REALS)
ndtri = _unary("ndtri", "Ndtri", "Computes the quantiles of the standard normal distribution.", _REALS)
lgamma = _unary("lgamma", "Lgamma", "Computes `log |gamma(x)|`.", _REALS)
digamma = _unary("digamma", "Digamma", "Computes the derivative of `lgamma`.", _REALS)
bessel_i0e = _unary("bessel_i0e", "BesselI0e", "Computes `exp(-|x|)` times the Bessel function I0.", _REALS)
bessel_i1e = _unary("bessel_i1e", "BesselI1e", "Computes `exp(-|x|)` times the Bessel function I1.", _REALS)
floor = _unary("floor", "Floor", "Rounds down.", _REALS)
ceil = _unary("ceil", "Ceil", "Rounds up.", _REALS)
rint = _unary("rint", "Rint", "Rounds to the nearest integer, halves to the even one.", _REALS)
is_nan = _unary("is_nan", "IsNan", "Tells which elements are NaN.", _REALS, "bool, of the shape of `x`")
is_inf = _unary("is_inf", "IsInf", "Tells which elements are infinite.", _REALS, "bool, of the shape of `x`")
is_finite = _unary(
    "is_finite", "IsFinite", "Tells which elements are finite numbers.", _REALS, "bool, of the shape of `x`"
)
logical_not = _unary("logical_not", "LogicalNot", "Negates truth values.", "bool")
invert = _unary("invert", "Invert", "Flips every bit.", _INTEGERS)

# ---- functions of two tensors

add = _binary("add", "Add", "Computes `x + y`; joins strings.", "numeric or string")
subtract = _binary("subtract", "Sub", "Computes `x - y`.")
multiply = _binary("multiply", "Mul", "Computes `x * y`.")
realdiv = _binary("realdiv", "RealDiv", "Computes `x / y` of floating or complex numbers.", _FLOATS)
floor_div = _binary("floor_div", "FloorDiv", "Computes `x / y` rounded down.")
floormod = _binary(
    "floormod", "FloorMod", "Computes the remainder of `x / y` that has the sign of `y`.", "real"
)
mod = _binary("mod", "FloorMod", "Computes the remainder of `x / y` that has the sign of `y`.", "real")
truncatediv = _binary("truncatediv", "TruncateDiv", "Computes `x / y` rounded towards zero.")
truncatemod = _binary(
    "truncatemod", "TruncateMod", "Computes the remainder that has the sign of `x`.", "real"
)
maximum = _binary("maximum", "Maximum", "Computes the larger of `x` and `y`; NaN if either is.", "real")
minimum = _binary("minimum", "Minimum", "Computes the smaller of `x` and `y`; NaN if either is.", "real")
squared_difference = _binary("squared_difference", "SquaredDifference", "Computes `(x - y)**2`.")
atan2 = _binary("atan2", "Atan2", "Computes the angle of the point (x, y).", _REALS, arguments=("y", "x"))
xdivy = _binary("xdivy", "Xdivy", "Computes `x / y`, which is 0 where `x` is 0.", _FLOATS)
xlogy = _binary("xlogy", "Xlogy", "Computes `x * log(y)`, which is 0 where `x` is 0.", _FLOATS)
nextafter = _binary(
    "nextafter", "NextAfter", "Computes the number next to `x1` towards `x2`.", _REALS, arguments=("x1", "x2")
)
zeta = _binary("zeta", "Zeta", "Computes the Hurwitz zeta function.", _REALS, arguments=("x", "q"))
polygamma = _binary(
    "polygamma", "Polygamma", "Computes derivative `a` of `digamma`.", _REALS, arguments=("a", "x")
)
igamma = _binary(
    "igamma", "Igamma", "Computes the lower incomplete gamma function P(a, x).", _REALS, arguments=("a", "x")
)
igammac = _binary(
    "igammac",
    "Igammac",
    "Computes the upper incomplete gamma function Q(a, x).",
    _REALS,
    arguments=("a", "x"),
)
equal = _binary("equal", "Equal", "Tells where `x` equals `y`.", "numeric, bool or string", "dtype bool")
not_equal = _binary(
    "not_equal", "NotEqual", "Tells where they differ.", "numeric, bool or string", "dtype bool"
)
less = _binary("less", "Less", "Tells where `x < y`.", "real", "dtype bool")
less_equal = _binary("less_equal", "LessEqual", "Tells where `x <= y`.", "real", "dtype bool")
greater = _binary("greater", "Greater", "Tells where `x > y`.", "real", "dtype bool")
greater_equal = _binary("greater_equal", "GreaterEqual", "Tells where `x >= y`.", "real", "dtype bool")
logical_and = _binary("logical_and", "LogicalAnd", "Tells where both are true.", "bool")
logical_or = _binary("logical_or", "LogicalOr", "Tells where at least one is true.", "bool")
bitwise_and = _binary("bitwise_and", "BitwiseAnd", "Computes the bits that both have.", _INTEGERS)
bitwise_or = _binary("bitwise_or", "BitwiseOr", "Computes the bits that either has.", _INTEGERS)
bitwise_xor = _binary("bitwise_xor", "BitwiseXor", "Computes the bits that just one has.", _INTEGERS)
left_shift = _binary("left_shift", "LeftShift", "Shifts bits up.", _INTEGERS)
right_shift = _binary("right_shift", "RightShift", "Shifts bits down, keeping the sign.", _INTEGERS)


def logical_xor(x: Any, y: Any, name: str | None = "LogicalXor") -> Tensor:
    """Tells where exactly one is true.

    Args:
      x: A bool tensor.
      y: A bool tensor of a shape that broadcasts with the shape of `x`.
      name: Name of the last operation.
    """
    return logical_and(logical_or(x, y), logical_not(logical_and(x, y)), name=name)


def abs(x: Any, name: str | None = None) -> Any:
    """Computes the absolute value, of complex numbers the modulus.

    Args:
      x: A numeric tensor, or `IndexedSlices`.
      name: Name of the operation.

    Returns:
      A tensor of the shape of `x`, real if `x` is complex.
    """
    with name_scope(name, "Abs", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        if x.dtype.is_complex:
            return raw.ComplexAbs(x, Tout=x.dtype.real_dtype, name=scope)
        return raw.Abs(x, name=scope)


def round(x: Any, name: str | None = None) -> Tensor:
    """Rounds to the nearest integer, halves to the even one.

    Args:
      x: A numeric tensor; integers stay as they are.
      name: Name of the operation.
    """
    x = convert_to_tensor(x, name="x")
    return x if x.dtype.is_integer else raw.Round(x, name=name)


def pow(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Computes `x` to the power `y`.

    Args:
      x: A numeric tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`; integers must
        not be negative.
      name: Name of the operation.
    """
    return raw.Pow(x, y, name=name or "Pow")


def betainc(a: Any, b: Any, x: Any, name: str | None = None) -> Tensor:
    """Computes the regularised incomplete beta function I_x(a, b).

    Args:
      a: A positive float32 or float64 tensor.
      b: A positive tensor of the same dtype and shape, or a scalar.
      x: A tensor of the same dtype and shape, or a scalar, with elements in [0, 1].
      name: Name of the operation.
    """
    return raw.Betainc(a, b, x, name=name)


def cross(a: Any, b: Any, name: str | None = None) -> Tensor:
    """Computes the cross products of vectors.

    Args:
      a: A real tensor whose last dimension is 3.
      b: A tensor of the same dtype and shape.
      name: Name of the operation.
    """
    return raw.Cross(a, b, name=name)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """Computes `log(1 / (1 + exp(-x)))` without overflow.

    Args:
      x: A floating tensor.
      name: Name of the last operation.
    """
    with name_scope(name, "LogSigmoid", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        return negative(raw.Softplus(-x), name=scope)


def bessel_i0(x: Any, name: str | None = None) -> Tensor:
    """Computes the modified Bessel function I0.

    Args:
      x: A floating tensor.
      name: Name of the scope.
    """
    with name_scope(name, "bessel_i0", [x]):
        x = convert_to_tensor(x, name="x")
        return exp(abs(x)) * bessel_i0e(x)


def bessel_i1(x: Any, name: str | None = None) -> Tensor:
    """Computes the modified Bessel function I1.

    Args:
      x: A floating tensor.
      name: Name of the scope.
    """
    with name_scope(name, "bessel_i1", [x]):
        x = convert_to_tensor(x, name="x")
        return exp(abs(x)) * bessel_i1e(x)


def lbeta(x: Any, name: str | None = None) -> Tensor:
    """Computes the logarithm of the multivariate beta function along the last axis.

    Args:
      x: A floating tensor of rank 1 or more.
      name: Name of the scope.

    Returns:
      A tensor without the last dimension: `sum(lgamma(x)) - lgamma(sum(x))`.
    """
    with name_scope(name, "lbeta", [x]):
        x = convert_to_tensor(x, name="x")
        return raw.Sum(lgamma(x), [-1]) - lgamma(raw.Sum(x, [-1]))


# ---- division, of which there are many

# What integers are converted to before they are truly divided.
_TRUE_DIVISION = {
    dtypes.uint8: dtypes.float32,
    dtypes.int8: dtypes.float32,
    dtypes.uint16: dtypes.float32,
    dtypes.int16: dtypes.float32,
    dtypes.int32: dtypes.float64,
    dtypes.int64: dtypes.float64,
    dtypes.uint32: dtypes.float64,
    dtypes.uint64: dtypes.float64,
}


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one dtype, that of the one that has a dtype of its own."""
    hint = y.dtype if isinstance(y, Tensor) and not isinstance(x, Tensor) else None
    x = convert_to_tensor(x, name="x", preferred_dtype=hint)
    y = convert_to_tensor(y, name="y", preferred_dtype=x.dtype)
    if x.dtype != y.dtype:
        raise TypeError(
            f"x is {x.dtype.name} and y is {y.dtype.name}, but both must have one dtype; use tf.cast"
        )
    return x, y


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Divides as Python 3 does: the quotient of integers is a floating number.

    Args:
      x: A numeric tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the last operation.

    Returns:
      A tensor of the broadcast shape: of the dtype of `x`, but float32 for integers of 8 and 16 bits and
      float64 for longer ones.

    Raises:
      TypeError: If the dtypes differ.
    """
    with name_scope(name, "truediv", [x, y]) as scope:
        x, y = _pair(x, y)
        to = _TRUE_DIVISION.get(x.dtype)
        if to is not None:
            x, y = cast(x, to), cast(y, to)
        return raw.RealDiv(x, y, name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Divides as Python 3 does; see `truediv`.

    Args:
      x: A numeric tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the last operation.
    """
    if name is not None:
        return truediv(x, y, name)
    return x / y


def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Divides as Python 2 did: integers are rounded down.

    Args:
      x: A numeric tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the operation.

    Returns:
      A tensor of the broadcast shape and the dtype of `x`.
    """
    with name_scope(name, "div", [x, y]) as scope:
        x, y = _pair(x, y)
        return (raw.FloorDiv if x.dtype.is_integer else raw.RealDiv)(x, y, name=scope)


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Divides and rounds down, integers and floating numbers alike.

    Args:
      x: A real tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the operation.
    """
    return raw.FloorDiv(x, y, name=name or "floordiv")


def div_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Computes `x / y`, which is 0 where `y` is 0.

    Args:
      x: A floating or complex tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the operation.
    """
    return raw.DivNoNan(x, y, name=name or "div_no_nan")


def multiply_no_nan(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Computes `x * y`, which is 0 where `y` is 0, whatever `x` is.

    Args:
      x: A floating or complex tensor.
      y: A tensor of the same dtype, of a shape that broadcasts with the shape of `x`.
      name: Name of the operation.
    """
    return raw.MulNoNan(x, y, name=name or "multiply_no_nan")


def reciprocal_no_nan(x: Any, name: str | None = None) -> Tensor:
    """Computes `1 / x`, which is 0 where `x` is 0.

    Args:
      x: A floating or complex tensor.
      name: Name of the last operation.
    """
    with name_scope(name, "reciprocal_no_nan", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        return raw.DivNoNan(constant(1, x.dtype, name="one"), x, name=scope)


# ---- conversion of elements


def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """Converts the elements to another dtype.

    Floating numbers lose their fraction when they become integers, complex numbers their imaginary part.

    Args:
      x: A numeric or bool tensor, or `IndexedSlices`.
      dtype: The dtype of the result.
      name: Name of the operation.

    Returns:
      A tensor of the shape of `x`: `x` itself if that has the dtype already.

    Raises:
      TypeError: If there is no conversion.
    """
    dtype = dtypes.as_dtype(dtype).base_dtype
    if isinstance(x, Tensor):
        return x if x.dtype == dtype else raw.Cast(x, DstT=dtype, name=name)
    with name_scope(name, "Cast", [x]) as scope:
        if isinstance(x, IndexedSlices):
            return IndexedSlices(cast(x.values, dtype), x.indices, x.dense_shape)
        x = convert_to_tensor(x, name="x")
        return x if x.dtype == dtype else raw.Cast(x, DstT=dtype, name=scope)


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Converts the elements to another dtype, after limiting them to what that can hold.

    Args:
      value: A real tensor.
      dtype: The dtype of the result.
      name: Name of the last operation.
    """
    with name_scope(name, "saturate_cast", [value]) as scope:
        value = convert_to_tensor(value, name="value")
        dtype = dtypes.as_dtype(dtype).base_dtype
        if value.dtype.min < dtype.min:
            value = maximum(value, constant(_inside(dtype.min, value.dtype, dtype), value.dtype, name="min"))
        if value.dtype.max > dtype.max:
            value = minimum(value, constant(_inside(dtype.max, value.dtype, dtype), value.dtype, name="max"))
        return cast(value, dtype, name=scope)


def _inside(limit: Any, of: dtypes.DType, within: dtypes.DType) -> Any:
    """The limit as a value of dtype `of`, rounded towards zero so that it can be converted."""
    value = np.asarray(limit).astype(of.as_numpy_dtype)
    if of.is_floating and within.is_integer and int(value) != int(limit):
        bits = value.view(f"i{value.dtype.itemsize}")
        value = (bits - 1).view(value.dtype) if builtins.abs(int(value)) > builtins.abs(int(limit)) else value
    return value


def _converter(name: str, scope: str, dtype: dtypes.DType) -> Callable[..., Any]:
    def function(x: Any, name: str = scope) -> Any:
        return cast(x, dtype, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Converts the elements to {dtype.name}; `tf.cast` says the same for any dtype.

    Args:
      x: A numeric or bool tensor, or `IndexedSlices`.
      name: Name of the operation.
    """
    return function


to_float = _converter("to_float", "ToFloat", dtypes.float32)
to_double = _converter("to_double", "ToDouble", dtypes.float64)
to_int32 = _converter("to_int32", "ToInt32", dtypes.int32)
to_int64 = _converter("to_int64", "ToInt64", dtypes.int64)
to_bfloat16 = _converter("to_bfloat16", "ToBFloat16", dtypes.bfloat16)
to_complex64 = _converter("to_complex64", "ToComplex64", dtypes.complex64)
to_complex128 = _converter("to_complex128", "ToComplex128", dtypes.complex128)


def is_numeric_tensor(tensor: Any) -> bool:
    """Tells whether something is a tensor of numbers.

    Args:
      tensor: Anything.
    """
    return isinstance(tensor, Tensor) and (
        tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_complex
    )


# ---- complex numbers


def complex(real: Any, imag: Any, name: str | None = None) -> Tensor:
    """Makes complex numbers.

    Args:
      real: The real parts: a float32 or float64 tensor.
      imag: The imaginary parts, of the same dtype.
      name: Name of the operation.

    Returns:
      A complex64 or complex128 tensor.

    Raises:
      TypeError: If the parts are of other dtypes, or of two.
    """
    real = convert_to_tensor(real, name="real")
    imag = convert_to_tensor(imag, name="imag", preferred_dtype=real.dtype)
    made = {dtypes.float32: dtypes.complex64, dtypes.float64: dtypes.complex128}.get(real.dtype)
    if made is None or imag.dtype != real.dtype:
        raise TypeError(
            f"real is {real.dtype.name} and imag is {imag.dtype.name}; both must be float32, or both float64"
        )
    return raw.Complex(real, imag, Tout=made, name=name)


def real(input: Any, name: str | None = None) -> Tensor:
    """Takes the real part.

    Args:
      input: A numeric tensor; real ones are returned as they are.
      name: Name of the operation.
    """
    input = convert_to_tensor(input, name="input")
    return raw.Real(input, Tout=input.dtype.real_dtype, name=name) if input.dtype.is_complex else input


def imag(input: Any, name: str | None = None) -> Tensor:
    """Takes the imaginary part: zeros for a real tensor.

    Args:
      input: A numeric tensor.
      name: Name of the operation.
    """
    with name_scope(name, "Imag", [input]) as scope:
        input = convert_to_tensor(input, name="input")
        if input.dtype.is_complex:
            return raw.Imag(input, Tout=input.dtype.real_dtype, name=scope)
        return array.zeros_like(input)


def angle(input: Any, name: str | None = None) -> Tensor:
    """Computes the phase angle, in radians: zeros for a real tensor.

    Args:
      input: A numeric tensor.
      name: Name of the operation.
    """
    with name_scope(name, "Angle", [input]) as scope:
        input = convert_to_tensor(input, name="input")
        if input.dtype.is_complex:
            return raw.Angle(input, Tout=input.dtype.real_dtype, name=scope)
        return array.zeros_like(input)


def conj(x: Any, name: str | None = None) -> Tensor:
    """Computes the complex conjugate.

    Args:
      x: A numeric tensor; real ones are returned as they are.
      name: Name of the operation.
    """
    x = convert_to_tensor(x, name="x")
    return raw.Conj(x, name=name) if x.dtype.is_complex else x


# ---- limits, scaling, sums of many


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """Limits the elements to an interval.

    Args:
      t: A real tensor, or `IndexedSlices`.
      clip_value_min: The least value: a scalar, or of a shape that broadcasts to the shape of `t`.
      clip_value_max: The greatest value, likewise.
      name: Name of the last operation.

    Returns:
      What `t` is, of the same shape and dtype.

    Raises:
      ValueError: If the limits would broadcast `t` to a larger shape.
    """
    with name_scope(name, "clip_by_value", [t, clip_value_min, clip_value_max]) as scope:
        values = convert_to_tensor(t.values if isinstance(t, IndexedSlices) else t, name="t")
        below = minimum(values, clip_value_max)
        values.shape.assert_is_compatible_with(below.shape)
        clipped = maximum(below, clip_value_min, name=scope)
        values.shape.assert_is_compatible_with(clipped.shape)
        if isinstance(t, IndexedSlices):
            return IndexedSlices(clipped, t.indices, t.dense_shape)
        return clipped


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """Multiplies by a scalar.

    Args:
      scalar: A tensor of rank 0.
      x: A tensor, or `IndexedSlices`.
      name: Name of the operation.

    Raises:
      ValueError: If `scalar` is known not to be one.
    """
    scalar = convert_to_tensor(scalar, dtype=x.dtype.base_dtype, name="scalar")
    if scalar.shape.ndims not in (0, None):
        raise ValueError(f"scalar has shape {scalar.shape}, but it must have rank 0; use tf.multiply")
    if isinstance(x, IndexedSlices):
        return IndexedSlices(raw.Mul(scalar, x.values, name=name), x.indices, x.dense_shape)
    return raw.Mul(scalar, x, name=name)


def add_n(inputs: Any, name: str | None = None) -> Tensor:
    """Adds tensors of one shape and dtype.

    Args:
      inputs: A list of at least one tensor or `IndexedSlices`.
      name: Name of the operation.

    Raises:
      ValueError: If there is none, or if dtypes or shapes differ.
    """
    if isinstance(inputs, (Tensor, IndexedSlices)) or not isinstance(inputs, Sequence) or not inputs:
        raise ValueError(f"inputs must be a list of at least one tensor, got {inputs!r}")
    tensors = [convert_to_tensor(x) for x in inputs]
    if any(tensor.dtype != tensors[0].dtype for tensor in tensors):
        names = ", ".join(tensor.dtype.name for tensor in tensors)
        raise ValueError(f"inputs have the dtypes {names}, but they must be of one dtype; use tf.cast")
    if len(tensors) == 1:
        return raw.Identity(tensors[0], name=name) if name else tensors[0]
    return raw.AddN(tensors, name=name)


def accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None) -> Tensor:
    """Adds tensors of one shape and dtype.

    Args:
      inputs: A list of at least one tensor.
      shape: Their shape, where it is not known from them.
      tensor_dtype: Their dtype.
      name: Name of the operation.

    Raises:
      ValueError: If there is none, or if dtypes or shapes differ.
      TypeError: If `tensor_dtype` is not their dtype.
    """
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(f"inputs must be a list of at least one tensor, got {inputs!r}")
    tensors = [convert_to_tensor(x) for x in inputs]
    if any(tensor.dtype != tensors[0].dtype for tensor in tensors):
        raise ValueError("inputs have different dtypes, but they must be of one dtype; use tf.cast")
    merged = TensorShape(shape)
    for tensor in tensors:
        merged = merged.merge_with(tensor.shape)
    if tensor_dtype is not None and dtypes.as_dtype(tensor_dtype) != tensors[0].dtype:
        wanted = dtypes.as_dtype(tensor_dtype).name
        raise TypeError(f"tensor_dtype is {wanted}, but the inputs are {tensors[0].dtype.name}")
    if len(tensors) == 1:
        return raw.Identity(tensors[0], name=name) if name else tensors[0]
    return raw.AccumulateNV2(tensors, shape=merged, name=name)


def polyval(coeffs: Sequence[Any], x: Any, name: str | None = None) -> Tensor:
    """Evaluates a polynomial by Horner's rule.

    Args:
      coeffs: A list of tensors, that of the highest power first.
      x: Where to evaluate it: a tensor that broadcasts with the coefficients.
      name: Name of the scope.
    """
    if not isinstance(coeffs, list):
        raise ValueError(f"coeffs must be a list of tensors, got {type(coeffs).__name__}")
    with name_scope(name, "polyval", [*coeffs, x]):
        x = convert_to_tensor(x, name="x")
        if not coeffs:
            return raw.ZerosLike(x)
        value = convert_to_tensor(coeffs[0], name="coeff_0")
        for i, coefficient in enumerate(coeffs[1:], 1):
            value = convert_to_tensor(coefficient, name=f"coeff_{i}") + value * x
        return value


# ---- counts


def bincount(
    arr: Any, weights: Any = None, minlength: Any = None, maxlength: Any = None, dtype: Any = dtypes.int32
) -> Tensor:
    """Counts how often each non-negative integer occurs, or adds up the weights of its occurrences.

    Args:
      arr: An int32 tensor of non-negative values.
      weights: A tensor of the shape of `arr`: what each of its elements counts for.
      minlength: The least length of the result, padded with zeros.
      maxlength: The greatest length: values from it on are not counted.
      dtype: The dtype of counts without weights.

    Returns:
      A vector with an element for each of 0 ... max(arr).
    """
    with name_scope("bincount"):
        arr = convert_to_tensor(arr, name="arr", dtype=dtypes.int32)
        flat = raw.Reshape(arr, [-1])
        positive = cast(raw.Size(arr) > 0, dtypes.int32)
        # The lowest integer, which Max makes of nothing, must not overflow on the way.
        size = positive * (raw.Max(flat, [0]) * positive + 1)
        if minlength is not None:
            size = maximum(convert_to_tensor(minlength, name="minlength", dtype=dtypes.int32), size)
        if maxlength is not None:
            size = minimum(convert_to_tensor(maxlength, name="maxlength", dtype=dtypes.int32), size)
        if weights is None:
            return raw.Bincount(flat, size, constant([], dtype))
        weights = convert_to_tensor(weights, name="weights")
        if maxlength is not None:
            return raw.Bincount(flat, size, raw.Reshape(weights, [-1]))
        return raw.UnsortedSegmentSum(raw.Reshape(weights, [-1]), flat, size)


def confusion_matrix(
    labels: Any,
    predictions: Any,
    num_classes: Any = None,
    dtype: Any = dtypes.int32,
    name: str | None = None,
    weights: Any = None,
) -> Tensor:
    """Counts how often each class was taken for each.

    Args:
      labels: A vector of true classes, 0 ... num_classes - 1.
      predictions: A vector of predicted classes, of the same length.
      num_classes: The number of classes, by default one more than the largest that occurs.
      dtype: The dtype of the result.
      name: Name of the scope.
      weights: What each example counts for, a vector of the same length; by default 1.

    Returns:
      A matrix whose element (i, j) counts the examples of class i that were predicted to be of class j.
    """
    with name_scope(name, "confusion_matrix", [labels, predictions, weights]):
        labels = convert_to_tensor(labels, name="labels")
        predictions = convert_to_tensor(predictions, name="predictions")
        difference = (predictions.shape.ndims or 0) - (labels.shape.ndims or 0)
        if None not in (predictions.shape.ndims, labels.shape.ndims) and difference in (1, -1):
            if difference == 1:
                predictions = raw.Squeeze(predictions, squeeze_dims=[-1])
            else:
                labels = raw.Squeeze(labels, squeeze_dims=[-1])
        labels, predictions = cast(labels, dtypes.int64), cast(predictions, dtypes.int64)
        if num_classes is None:
            num_classes = maximum(raw.Max(predictions, [0]), raw.Max(labels, [0])) + 1
            limit = None
        else:
            num_classes = limit = cast(num_classes, dtypes.int64)
        checks = [
            _assert_classes(which, classes, limit)
            for which, classes in (("labels", labels), ("predictions", predictions))
        ]
        with control_dependencies(checks):
            cell = labels * num_classes + predictions
        ones = raw.OnesLike(predictions)
        counted = cast(ones, dtype) if weights is None else cast(weights, dtype)
        total = raw.UnsortedSegmentSum(counted, cell, num_classes * num_classes)
        return raw.Reshape(total, raw.Pack([num_classes, num_classes]))


def _assert_classes(which: str, classes: Tensor, limit: Tensor | None) -> Any:
    """An operation that fails unless 0 <= classes < limit."""
    right = classes >= 0 if limit is None else logical_and(classes >= 0, classes < limit)
    message = f"`{which}` must be in [0, num_classes)"
    return raw.Assert(raw.All(right, [0]), [constant(message), classes])


def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Counts values in bins of equal width.

    Args:
      values: A numeric tensor.
      value_range: Two values of the same dtype: the low end of the first bin and the high end of the last.
        Values beyond count in these bins.
      nbins: The number of bins.
      dtype: The dtype of the counts, int32 or int64.
      name: Name of the operation.

    Returns:
      A vector of `nbins` counts.
    """
    with name_scope(name, "histogram_fixed_width", [values, value_range, nbins]) as scope:
        return raw.HistogramFixedWidth(values, value_range, nbins, dtype=dtype, name=scope)


def histogram_fixed_width_bins(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = dtypes.int32, name: str | None = None
) -> Tensor:
    """Computes in which bin of equal width each value lies.

    Args:
      values: A numeric tensor.
      value_range: Two values of the same dtype: the low end of the first bin and the high end of the last.
      nbins: The number of bins.
      dtype: The dtype of the result.
      name: Name of the scope.

    Returns:
      A tensor of the shape of `values`, of numbers in 0 ... nbins - 1.
    """
    with name_scope(name, "histogram_fixed_width_bins", [values, value_range, nbins]):
        values = convert_to_tensor(values, name="values")
        value_range = convert_to_tensor(value_range, dtype=values.dtype, name="value_range")
        nbins = convert_to_tensor(nbins, dtype=dtypes.int32, name="nbins")
        low, high = raw.Unpack(value_range, num=2)
        count = cast(nbins, values.dtype)
        scaled = truediv(values - low, high - low, name="scaled_values")
        bins = floor(cast(count, scaled.dtype) * scaled, name="indices")
        last = cast(nbins - 1, scaled.dtype)
        return cast(clip_by_value(bins, constant(0, scaled.dtype), last), dtype)


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Tells whether the elements, in row-major order, never decrease.

    Args:
      x: A numeric tensor.
      name: Name of the scope.

    Returns:
      A bool scalar; true for less than two elements.
    """
    with name_scope(name, "is_non_decreasing", [x]):
        later, earlier = _neighbours(x)
        return raw.All(less_equal(earlier, later), [0])


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Tells whether the elements, in row-major order, always increase.

    Args:
      x: A numeric tensor.
      name: Name of the scope.

    Returns:
      A bool scalar; true for less than two elements.
    """
    with name_scope(name, "is_strictly_increasing", [x]):
        later, earlier = _neighbours(x)
        return raw.All(less(earlier, later), [0])


def _neighbours(x: Any) -> tuple[Tensor, Tensor]:
    """All elements but the first, and all but the last."""
    flat = raw.Reshape(convert_to_tensor(x, name="x"), [-1])
    one = constant([1])
    later = raw.StridedSlice(flat, one, [0], [1], end_mask=1)
    return later, raw.StridedSlice(flat, [0], [-1], [1], begin_mask=1)


# ---- operators

_VALUES = (numbers.Number, str, bytes, list, tuple, np.ndarray, np.generic)


def _operator(apply: Callable[..., Any], reflected: bool = False) -> Callable[[Tensor, Any], Any]:
    """An operator out of a function of its operands; what it cannot convert may have a reflected one."""

    def operator(self: Tensor, other: Any) -> Any:
        try:
            return apply(other, self) if reflected else apply(self, other)
        except TypeError:
            if isinstance(other, (Tensor, *_VALUES)) or not hasattr(type(other), "__radd__"):
                raise
            return NotImplemented

    return operator


def _named(op: str, name: str) -> Callable[..., Any]:
    def apply(x: Any, y: Any) -> Any:
        return getattr(raw, op)(x, y, name=name)

    return apply


def _add(x: Any, y: Any) -> Tensor:
    dtype = x.dtype if isinstance(x, Tensor) else y.dtype
    return (raw.Add if dtype == dtypes.string else raw.AddV2)(x, y, name="add")


def _by_kind(logical: Callable[..., Any], bitwise: str, name: str) -> Callable[..., Any]:
    """`&`, `|` and `^` mean logic for truth values and bits for integers."""

    def apply(x: Any, y: Any) -> Any:
        dtype = x.dtype if isinstance(x, Tensor) else y.dtype
        return getattr(raw, bitwise)(x, y, name=name) if dtype.is_integer else logical(x, y, name=name)

    return apply


def _xor(x: Any, y: Any, name: str) -> Tensor:
    with name_scope(name) as scope:
        return logical_xor(x, y, name=scope)


def _true_division(x: Any, y: Any) -> Tensor:
    if isinstance(x, Tensor) and not isinstance(y, Tensor):
        with name_scope("truediv") as scope:
            return truediv(x, convert_to_tensor(y, dtype=x.dtype, name="y"), name=scope)
    return truediv(x, y)


def _invert(x: Tensor, name: str | None = None) -> Tensor:
    return invert(x, name=name) if x.dtype.is_integer else logical_not(x, name=name)


def _install_operators() -> None:
    for symbol, apply in {
        "add": _add,
        "sub": _named("Sub", "sub"),
        "mul": _named("Mul", "mul"),
        "truediv": _true_division,
        "div": div,
        "floordiv": floordiv,
        "mod": _named("FloorMod", "mod"),
        "pow": _named("Pow", "pow"),
        "and": _by_kind(logical_and, "BitwiseAnd", "and"),
        "or": _by_kind(logical_or, "BitwiseOr", "or"),
        "xor": _by_kind(_xor, "BitwiseXor", "xor"),
    }.items():
        Tensor._install(f"__{symbol}__", _operator(apply))
        Tensor._install(f"__r{symbol}__", _operator(apply, reflected=True))
    for symbol, compare in {"lt": less, "le": less_equal, "gt": greater, "ge": greater_equal}.items():
        Tensor._install(f"__{symbol}__", _operator(compare))
    Tensor._install("__neg__", lambda self: negative(self))
    Tensor._install("__abs__", lambda self: abs(self))
    Tensor._install("__invert__", lambda self: _invert(self))


_install_operators()
