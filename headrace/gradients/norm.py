"""Derivatives of normalisations."""

from __future__ import annotations

from headrace.framework import raw
from headrace.framework.constant import constant
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.engine import gradients
from headrace.gradients.registry import RegisterGradient

# ---- batch normalisation


class _Moments:
    """Sums over all but the channels of x, in the dtype of the statistics."""

    def __init__(self, op: Operation, x: Tensor, scale: Tensor):
        self.dtype = scale.dtype
        self._first = op.get_attr("data_format") == b"NCHW"
        self.epsilon = constant(op.get_attr("epsilon"), self.dtype)
        self.count = raw.RealDiv(self.wide(raw.Size(x)), self.wide(raw.Size(scale)))

    def wide(self, v: Tensor) -> Tensor:
        return v if v.dtype == self.dtype else raw.Cast(v, DstT=self.dtype)

    def spread(self, v: Tensor) -> Tensor:
        """A value for each channel, so that it broadcasts with x."""
        return raw.Reshape(v, [1, -1, 1, 1]) if self._first else v

    def sum(self, v: Tensor) -> Tensor:
        return raw.Sum(v, [0, 2, 3] if self._first else [0, 1, 2])

    def inverse(self, variance: Tensor) -> Tensor:
        """One over the deviation."""
        return raw.Rsqrt(raw.Add(variance, self.epsilon))


def _sum_of(grads: list[Tensor]) -> Tensor | None:
    """The sum of those gradients that are not zero by construction."""
    real = [grad for grad in grads if grad.op.type != "ZerosLike"]
    return raw.AddN(real) if len(real) > 1 else real[0] if real else None


def _batch_norm(op: Operation, *grads: Tensor) -> list[Tensor | None]:
    x, scale, _, _, variance = op.inputs
    training = op.get_attr("is_training")
    version = op.type.removeprefix("FusedBatchNorm")
    dx, dscale, doffset, *_ = getattr(raw, "FusedBatchNormGrad" + version)(
        grads[0],
        x,
        scale,
        *op.outputs[3:],
        epsilon=op.get_attr("epsilon"),
        data_format=op.get_attr("data_format"),
        is_training=training,
    )
    moments = _Moments(op, x, scale)
    if not training:
        # y = (x - mean) * factor + offset, and the moments are also handed through.
        inverse = moments.inverse(variance)
        factor = raw.Mul(scale, inverse)
        by_mean = raw.Neg(raw.Mul(factor, doffset))
        half = constant(-0.5, scale.dtype)
        by_variance = raw.Mul(raw.Mul(raw.Mul(factor, inverse), dscale), half)
        by_mean = _sum_of([by_mean, grads[1], grads[3]])
        by_variance = _sum_of([by_variance, grads[2], grads[4]])
        return [dx, dscale, doffset, by_mean, by_variance]

    # The moments depend on x: the mean as 1 / n, the sum of squares as 2 (x - mean).
    terms = [dx]
    by_mean = _sum_of([grads[1], grads[3]])
    if by_mean is not None:
        each = moments.spread(raw.RealDiv(by_mean, moments.count))
        terms.append(raw.Cast(raw.BroadcastTo(each, raw.Shape(x)), DstT=x.dtype))
    one = constant(1, scale.dtype)
    degrees = raw.Maximum(raw.Sub(moments.count, one), one)
    by_squares = _sum_of(
        [
            raw.RealDiv(grad, number) if grad.op.type != "ZerosLike" else grad
            for grad, number in ((grads[2], degrees), (grads[4], moments.count))
        ]
    )
    if by_squares is not None:
        centred = raw.Sub(moments.wide(x), moments.spread(op.outputs[3]))
        two = constant(2, scale.dtype)
        terms.append(raw.Cast(raw.Mul(centred, moments.spread(raw.Mul(by_squares, two))), DstT=x.dtype))
    return [raw.AddN(terms) if len(terms) > 1 else dx, dscale, doffset, None, None]


def _batch_norm_grad(op: Operation, *grads: Tensor) -> list[Tensor | None]:
    # The same function again, in operations that have derivatives themselves.
    dy, x, scale, mean, variance, *rest = op.inputs
    moments = _Moments(op, x, scale)
    centred = raw.Sub(moments.wide(x), moments.spread(mean))
    inverse = moments.inverse(variance)
    normal = raw.Mul(centred, moments.spread(inverse))
    dx = moments.wide(dy)
    dscale, doffset = moments.sum(raw.Mul(dx, normal)), moments.sum(dx)
    if op.get_attr("is_training"):
        dx = raw.Sub(dx, moments.spread(raw.RealDiv(doffset, moments.count)))
        dx = raw.Sub(dx, raw.Mul(normal, moments.spread(raw.RealDiv(dscale, moments.count))))
    dx = raw.Cast(raw.Mul(dx, moments.spread(raw.Mul(scale, inverse))), DstT=x.dtype)
    inputs = [dy, x, scale, mean, variance]
    # The inputs depend on each other, but that is the business of the operations that made them.
    found = gradients([dx, dscale, doffset], inputs, grad_ys=list(grads[:3]), stop_gradients=inputs)
    return found + [None] * len(rest)


for _version in ("", "V2", "V3"):
    RegisterGradient("FusedBatchNorm" + _version)(_batch_norm)
    RegisterGradient("FusedBatchNormGrad" + _version)(_batch_norm_grad)


# ---- local response normalisation


@RegisterGradient("LRN")
def _lrn(op: Operation, grad: Tensor) -> Tensor:
    return raw.LRNGrad(
        grad,
        op.inputs[0],
        op.outputs[0],
        depth_radius=op.get_attr("depth_radius"),
        bias=op.get_attr("bias"),
        alpha=op.get_attr("alpha"),
        beta=op.get_attr("beta"),
    )


@RegisterGradient("LRNGrad")
def _lrn_grad(op: Operation, grad: Tensor) -> list[Tensor]:
    # With N = bias + alpha B(x^2), where B sums over neighbouring channels (and is symmetric), LRNGrad is
    #   g N^-beta - 2 alpha beta x B(g y / N).
    g, x, y = op.inputs

    def number(value: float) -> Tensor:
        return constant(value, x.dtype)

    alpha, beta = op.get_attr("alpha"), op.get_attr("beta")
    shape = raw.Shape(x)
    channels = raw.StridedSlice(shape, [3], [4], [1], shrink_axis_mask=1)
    place = raw.Range(constant(0, "int32"), channels, constant(1, "int32"))
    distance = raw.Abs(raw.Sub(raw.ExpandDims(place, 0), raw.ExpandDims(place, 1)))
    radius = constant(op.get_attr("depth_radius"), "int32")
    band = raw.Cast(raw.LessEqual(distance, radius), DstT=x.dtype)
    flat = raw.Pack([constant(-1, "int32"), channels])

    def around(v: Tensor) -> Tensor:
        return raw.Reshape(raw.MatMul(raw.Reshape(v, flat), band), shape)

    norm = raw.Add(raw.Mul(around(raw.Square(x)), number(alpha)), number(op.get_attr("bias")))
    power = raw.Pow(norm, number(-beta))
    ratio = raw.RealDiv(raw.Mul(g, y), norm)
    factor = number(-2 * alpha * beta)
    others = raw.Mul(around(raw.Mul(grad, x)), factor)  # -2 alpha beta B(grad x)
    by_g = raw.Add(raw.Mul(grad, power), raw.Mul(others, raw.RealDiv(y, norm)))
    by_y = raw.Mul(others, raw.RealDiv(g, norm))
    by_norm = raw.Sub(
        raw.Mul(raw.Mul(raw.Mul(grad, g), raw.RealDiv(power, norm)), number(-beta)),
        raw.Mul(others, raw.RealDiv(ratio, norm)),
    )
    by_x = raw.Add(
        raw.Mul(raw.Mul(grad, around(ratio)), factor),
        raw.Mul(raw.Mul(x, around(by_norm)), number(2 * alpha)),
    )
    return [by_g, by_x, by_y]
