"""Gradients of elementwise operations.

The gradient by a complex z = x + iy is dL/dx + i dL/dy, so that for an analytic function it is the incoming
gradient times the conjugate of the derivative.
"""

from __future__ import annotations

import math as scalar
from collections.abc import Callable
from typing import Any

from headrace.framework import raw
from headrace.framework.constant import constant
from headrace.framework.graph import Tensor
from headrace.gradients.registry import NotDifferentiable, RegisterGradient
from headrace.ops import math
from headrace.ops.math import cast, conj, digamma, exp, lgamma, log, xlogy


def one(x: Tensor) -> Tensor:
    """The constant 1 of a tensor's dtype."""
    return constant(1, x.dtype)


def zeros(x: Tensor) -> Tensor:
    """Zeros of a tensor's shape and dtype."""
    return raw.ZerosLike(x)


# ---- what broadcasting repeated is summed


def _static_axes(x: Tensor, others: list[Tensor]) -> list[int] | None:
    """The axes of the broadcast shape along which `x` is repeated, None if that is not known yet."""
    shapes = [t.shape.as_list() for t in (x, *others) if t.shape.ndims is not None]
    if len(shapes) <= len(others):
        return None
    rank = max(map(len, shapes))
    missing = rank - len(shapes[0])
    dims: list[list[int | None]] = [[*[1] * (rank - len(shape)), *shape] for shape in shapes]
    axes = []
    for axis in range(rank):
        own, *rest = (d[axis] for d in dims)
        if axis < missing:
            axes.append(axis)
        elif own == 1:
            if any(size not in (1, None) for size in rest):
                axes.append(axis)
            elif None in rest:
                return None
        elif own is None and any(size != 1 for size in rest):
            return None  # it may be 1
    return axes


def sum_to(grad: Tensor, x: Tensor, *others: Tensor) -> Tensor:
    """The gradient of the broadcast result, summed to the shape of the operand `x`."""
    axes = [] if all(other is x for other in others) else _static_axes(x, list(others))
    if axes is None:
        shape = raw.Shape(x)
        other = raw.Shape(others[0])
        for more in others[1:]:
            other = raw.BroadcastArgs(other, raw.Shape(more))
        return raw.Reshape(raw.Sum(grad, raw.BroadcastGradientArgs(shape, other)[0]), shape)
    if not axes:
        return grad
    total = raw.Sum(grad, axes)
    if axes == list(range(len(axes))) and len(axes) + (x.shape.ndims or 0) == grad.shape.ndims:
        return total
    shape = x.shape.as_list() if x.shape.is_fully_defined() else raw.Shape(x)
    return raw.Reshape(total, shape)


# ---- of one tensor: the derivative, out of the argument x and the value y

_TWO_OVER_ROOT_PI = 2 / scalar.sqrt(scalar.pi)

_DERIVATIVES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "Square": lambda x, y: 2 * x,
    "Exp": lambda x, y: y,
    "Expm1": lambda x, y: exp(x),
    "Log": lambda x, y: raw.Reciprocal(x),
    "Log1p": lambda x, y: raw.Reciprocal(1 + x),
    "Sin": lambda x, y: raw.Cos(x),
    "Cos": lambda x, y: -raw.Sin(x),
    "Tan": lambda x, y: 1 + raw.Square(y),
    "Asin": lambda x, y: raw.Rsqrt(1 - raw.Square(x)),
    "Acos": lambda x, y: -raw.Rsqrt(1 - raw.Square(x)),
    "Atan": lambda x, y: raw.Reciprocal(1 + raw.Square(x)),
    "Sinh": lambda x, y: raw.Cosh(x),
    "Cosh": lambda x, y: raw.Sinh(x),
    "Asinh": lambda x, y: raw.Reciprocal(raw.Cosh(y)),
    "Acosh": lambda x, y: raw.Reciprocal(raw.Sinh(y)),
    "Atanh": lambda x, y: raw.Reciprocal(1 - raw.Square(x)),
    "Erf": lambda x, y: _TWO_OVER_ROOT_PI * exp(-raw.Square(x)),
    "Erfc": lambda x, y: -_TWO_OVER_ROOT_PI * exp(-raw.Square(x)),
    "Erfinv": lambda x, y: 1 / _TWO_OVER_ROOT_PI * exp(raw.Square(y)),
    "Ndtri": lambda x, y: scalar.sqrt(2 * scalar.pi) * exp(raw.Square(y) / 2),
    "Lgamma": lambda x, y: digamma(x),
    "Digamma": lambda x, y: raw.Polygamma(one(x), x),
    "BesselI0e": lambda x, y: raw.BesselI1e(x) - raw.Sign(x) * y,
    "BesselI1e": lambda x, y: _bessel_i1e(x, y),
}


def _bessel_i1e(x: Tensor, y: Tensor) -> Tensor:
    # I1(x) / x tends to 1/2.
    at_zero = raw.Equal(x, zeros(x))
    safe = raw.Select(at_zero, raw.OnesLike(x), x)
    slope = raw.BesselI0e(x) - y * (raw.Sign(safe) + raw.Reciprocal(safe))
    return raw.Select(at_zero, raw.OnesLike(x) / 2, slope)


def _register_derivatives() -> None:
    def register(op_type: str, derivative: Callable[[Tensor, Tensor], Any]) -> None:
        @RegisterGradient(op_type)
        def gradient(op: Any, grad: Tensor) -> Tensor:
            return grad * conj(derivative(op.inputs[0], op.outputs[0]))

    for op_type, derivative in _DERIVATIVES.items():
        register(op_type, derivative)


_register_derivatives()

# Where a derivative exists, it is zero.
for _op_type in ("Floor", "Ceil", "Round", "Rint", "FloorDiv", "TruncateDiv"):
    NotDifferentiable(_op_type)


# The gradients that are operations of their own: of the value and the incoming gradient.
def _register_grad_ops() -> None:
    def register(op_type: str, grad_type: str) -> None:
        @RegisterGradient(op_type)
        def gradient(op: Any, grad: Tensor) -> Tensor:
            return getattr(raw, grad_type)(op.outputs[0], grad)

    for op_type in ("Sqrt", "Rsqrt", "Inv", "Reciprocal"):
        register(op_type, op_type + "Grad")


_register_grad_ops()


# These two leave it to their caller to conjugate the value.
@RegisterGradient("Tanh")
def _tanh(op: Any, grad: Tensor) -> Tensor:
    return raw.TanhGrad(conj(op.outputs[0]), grad)


@RegisterGradient("Sigmoid")
def _sigmoid(op: Any, grad: Tensor) -> Tensor:
    return raw.SigmoidGrad(conj(op.outputs[0]), grad)


@RegisterGradient("TanhGrad")
def _tanh_grad(op: Any, grad: Tensor) -> list[Tensor]:
    y, dy = conj(op.inputs[0]), conj(op.inputs[1])
    return [-2 * grad * dy * y, raw.TanhGrad(y, grad)]


@RegisterGradient("SigmoidGrad")
def _sigmoid_grad(op: Any, grad: Tensor) -> list[Tensor]:
    y, dy = conj(op.inputs[0]), conj(op.inputs[1])
    return [grad * dy * (1 - 2 * y), raw.SigmoidGrad(y, grad)]


@RegisterGradient("SqrtGrad")
def _sqrt_grad(op: Any, grad: Tensor) -> list[Tensor]:
    scaled = grad / op.inputs[0]
    return [-conj(scaled) * op.outputs[0], scaled / 2]


@RegisterGradient("RsqrtGrad")
def _rsqrt_grad(op: Any, grad: Tensor) -> list[Tensor]:
    y, dy = conj(op.inputs[0]), conj(op.inputs[1])
    return [-1.5 * grad * dy * raw.Square(y), raw.RsqrtGrad(y, grad)]


@RegisterGradient("InvGrad")
@RegisterGradient("ReciprocalGrad")
def _reciprocal_grad(op: Any, grad: Tensor) -> list[Tensor]:
    y, dy = conj(op.inputs[0]), conj(op.inputs[1])
    return [-2 * grad * dy * y, raw.ReciprocalGrad(y, grad)]


@RegisterGradient("Neg")
def _neg(op: Any, grad: Tensor) -> Tensor:
    return -grad


@RegisterGradient("Abs")
def _abs(op: Any, grad: Tensor) -> Tensor:
    return grad * raw.Sign(op.inputs[0])


@RegisterGradient("Sign")
def _sign(op: Any, grad: Tensor) -> Tensor:
    x = op.inputs[0]
    if not x.dtype.is_complex:
        return zeros(x)
    # x / |x| only moves along the circle: what of the gradient points outwards is lost.
    y = op.outputs[0]
    outward = _as_complex(math.real(conj(y) * grad), x)
    return raw.DivNoNan(grad - y * outward, _as_complex(math.abs(x), x))


# ---- complex numbers and their parts


def _as_complex(x: Tensor, like: Tensor) -> Tensor:
    return cast(x, like.dtype)


@RegisterGradient("ComplexAbs")
def _complex_abs(op: Any, grad: Tensor) -> Tensor:
    return _as_complex(grad, op.inputs[0]) * raw.Sign(op.inputs[0])


@RegisterGradient("Conj")
def _conj(op: Any, grad: Tensor) -> Tensor:
    return conj(grad)


@RegisterGradient("Real")
def _real(op: Any, grad: Tensor) -> Tensor:
    return math.complex(grad, zeros(grad))


@RegisterGradient("Imag")
def _imag(op: Any, grad: Tensor) -> Tensor:
    return math.complex(zeros(grad), grad)


@RegisterGradient("Angle")
def _angle(op: Any, grad: Tensor) -> Tensor:
    x = op.inputs[0]
    turned = math.complex(-math.imag(x), math.real(x))  # i x, across the ray to x
    return _as_complex(grad, x) * turned / (x * conj(x))


@RegisterGradient("Complex")
def _complex(op: Any, grad: Tensor) -> list[Tensor]:
    x, y = op.inputs
    return [sum_to(math.real(grad), x, y), sum_to(math.imag(grad), y, x)]


@RegisterGradient("Cast")
def _cast(op: Any, grad: Tensor) -> Tensor | None:
    source = op.inputs[0].dtype
    continuous = [dtype.is_floating or dtype.is_complex for dtype in (source, op.outputs[0].dtype)]
    if not all(continuous):
        return None
    if grad.dtype.is_complex and not source.is_complex:
        return cast(math.real(grad), source)
    return cast(grad, source)


# ---- of two tensors: both partial derivatives times the gradient g, in the broadcast shape

_Partials = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor | None, Tensor | None]]


def _register_partials(op_type: str, partials: _Partials) -> None:
    @RegisterGradient(op_type)
    def gradient(op: Any, grad: Tensor) -> list[Tensor | None]:
        x, y = op.inputs
        if x.dtype.is_complex:
            by_x, by_y = partials(conj(x), conj(y), conj(op.outputs[0]), grad)
        else:
            by_x, by_y = partials(x, y, op.outputs[0], grad)
        return [
            None if by_x is None else sum_to(by_x, x, y),
            None if by_y is None else sum_to(by_y, y, x),
        ]


def _choose(condition: Tensor, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient to whichever was chosen."""
    nothing = zeros(grad)
    return raw.Select(condition, grad, nothing), raw.Select(condition, nothing, grad)


def _nonzero(x: Tensor) -> Tensor:
    return cast(raw.NotEqual(x, zeros(x)), x.dtype)


def _pow_partials(x: Tensor, y: Tensor, z: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    # log(x) only where it exists: 0^y is 0 for any y > 0, and negative x have no derivative by y.
    exists = raw.NotEqual(x, zeros(x)) if x.dtype.is_complex else raw.Greater(x, zeros(x))
    safe = log(raw.Select(exists, x, raw.OnesLike(x)))
    return g * y * raw.Pow(x, y - 1), g * z * safe


def _div_partials(x: Tensor, y: Tensor, z: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    return g / y, g * (-x / y / y)


def _igamma_partials(a: Tensor, x: Tensor, z: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    return g * raw.IgammaGradA(a, x), g * exp(-x + xlogy(a - 1, x) - lgamma(a))


def _atan2_partials(y: Tensor, x: Tensor, z: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
    scaled = g / (raw.Square(x) + raw.Square(y))
    return x * scaled, -y * scaled


_PARTIALS: dict[str, _Partials] = {
    "Add": lambda x, y, z, g: (g, g),
    "AddV2": lambda x, y, z, g: (g, g),
    "Sub": lambda x, y, z, g: (g, -g),
    "Mul": lambda x, y, z, g: (g * y, x * g),
    "MulNoNan": lambda x, y, z, g: (raw.MulNoNan(g, y), raw.MulNoNan(x, g)),
    "Div": _div_partials,
    "RealDiv": _div_partials,
    "DivNoNan": lambda x, y, z, g: (
        raw.DivNoNan(g, y),
        g * raw.DivNoNan(raw.DivNoNan(-x, y), y),
    ),
    "FloorMod": lambda x, y, z, g: (g, -g * raw.FloorDiv(x, y)),
    "Mod": lambda x, y, z, g: (g, -g * raw.TruncateDiv(x, y)),
    "TruncateMod": lambda x, y, z, g: (g, -g * raw.TruncateDiv(x, y)),
    "Pow": _pow_partials,
    "Maximum": lambda x, y, z, g: _choose(raw.GreaterEqual(x, y), x, g),
    "Minimum": lambda x, y, z, g: _choose(raw.LessEqual(x, y), x, g),
    "Atan2": _atan2_partials,
    "Xdivy": lambda x, y, z, g: (g * raw.Xdivy(_nonzero(x), y), g * raw.Xdivy(-x, raw.Square(y))),
    "Xlogy": lambda x, y, z, g: (g * raw.Xlogy(_nonzero(x), y), g * raw.Xdivy(x, y)),
    "Igamma": _igamma_partials,
    "Igammac": lambda a, x, z, g: _igamma_partials(a, x, z, -g),
    # Not known by the order: a derivative by it has no closed form and no operation.
    "Zeta": lambda x, q, z, g: (None, -g * x * raw.Zeta(x + 1, q)),
    "Polygamma": lambda a, x, z, g: (None, g * raw.Polygamma(a + 1, x)),
    "IgammaGradA": lambda a, x, z, g: (
        None,
        g * exp(-x + xlogy(a - 1, x) - lgamma(a)) * (log(x) - digamma(a)),
    ),
}
for _op_type, _partials in _PARTIALS.items():
    _register_partials(_op_type, _partials)


@RegisterGradient("SquaredDifference")
def _squared_difference(op: Any, grad: Tensor) -> list[Tensor]:
    x, y = op.inputs
    if x.dtype.is_complex:  # |x - y|^2: real, and not analytic
        grad = _as_complex(math.real(grad), x)
    by_x = 2 * grad * (x - y)
    return [sum_to(by_x, x, y), sum_to(-by_x, y, x)]


@RegisterGradient("Betainc")
def _betainc(op: Any, grad: Tensor) -> list[Tensor | None]:
    a, b, x = op.inputs
    log_beta = lgamma(a) + lgamma(b) - lgamma(a + b)
    by_x = grad * exp((b - 1) * raw.Log1p(-x) + xlogy(a - 1, x) - log_beta)
    return [None, None, sum_to(by_x, x, a, b)]


# ---- choice, limits, sums of many, products of vectors


@RegisterGradient("Select")
def _select(op: Any, grad: Tensor) -> list[Tensor | None]:
    nothing = zeros(grad)
    return [None, raw.Select(op.inputs[0], grad, nothing), raw.Select(op.inputs[0], nothing, grad)]


@RegisterGradient("SelectV2")
def _select_v2(op: Any, grad: Tensor) -> list[Tensor | None]:
    condition, t, e = op.inputs
    nothing = zeros(grad)
    by_t = raw.SelectV2(condition, grad, nothing)
    by_e = raw.SelectV2(condition, nothing, grad)
    return [None, sum_to(by_t, t, condition, e), sum_to(by_e, e, condition, t)]


@RegisterGradient("ClipByValue")
def _clip_by_value(op: Any, grad: Tensor) -> list[Tensor]:
    t, low, high = op.inputs
    nothing = zeros(grad)
    below, above = raw.Less(t, low), raw.Greater(t, high)
    inside = raw.Select(raw.LogicalOr(below, above), nothing, grad)
    # Where the limits are the wrong way round, the upper one wins.
    by_low = raw.Select(raw.LogicalAnd(below, raw.LessEqual(low, high)), grad, nothing)
    by_high = grad - inside - by_low
    return [inside, sum_to(by_low, low, t), sum_to(by_high, high, t)]


@RegisterGradient("AddN")
@RegisterGradient("AccumulateNV2")
def _add_n(op: Any, grad: Tensor) -> list[Tensor]:
    return [grad] * len(op.inputs)


@RegisterGradient("Cross")
def _cross(op: Any, grad: Tensor) -> list[Tensor]:
    a, b = op.inputs
    return [raw.Cross(b, grad), raw.Cross(grad, a)]
