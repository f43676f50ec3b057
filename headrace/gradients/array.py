"""Gradients of what makes, reshapes, joins, repeats and pads arrays."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.constant import constant_value
from headrace.framework.graph import Tensor
from headrace.gradients.registry import NotDifferentiable, RegisterGradient
from headrace.ops.array import concat, rank, shape, size, stack, unstack

NotDifferentiable("StopGradient")


# ---- the same value


def _same(op: Any, grad: Any) -> Any:
    return grad


for _name in ("Identity", "PlaceholderWithDefault", "Snapshot", "DeepCopy", "GuaranteeConst"):
    RegisterGradient(_name)(_same)
RegisterGradient("DebugGradientIdentity")(_same)


@RegisterGradient("IdentityN")
def _identity_n(op: Any, *grads: Any) -> Any:
    return grads


@RegisterGradient("PreventGradient")
def _prevent_gradient(op: Any, grad: Any) -> Any:
    raise LookupError(
        f"[PreventGradient '{op.name}'] no gradient may be taken here: {op.get_attr('message')}"
    )


@RegisterGradient("CheckNumerics")
def _check_numerics(op: Any, grad: Any) -> Any:
    return raw.CheckNumerics(grad, message="the gradient is not finite: " + _text(op.get_attr("message")))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


# ---- another shape


def _back_to_input(op: Any, grad: Any) -> Any:
    return [raw.Reshape(grad, shape(op.inputs[0])), *[None] * (len(op.inputs) - 1)]


for _name in ("Reshape", "ExpandDims", "Squeeze"):
    RegisterGradient(_name)(_back_to_input)


def _inverse(perm: Tensor) -> Any:
    # Negative axes count from the end, which the inverse must not.
    known = constant_value(perm)
    if known is not None:
        return [int(place) for place in (known % max(len(known), 1)).argsort()]
    return raw.InvertPermutation(perm)


@RegisterGradient("Transpose")
def _transpose(op: Any, grad: Any) -> Any:
    return [raw.Transpose(grad, _inverse(op.inputs[1])), None]


@RegisterGradient("ConjugateTranspose")
def _conjugate_transpose(op: Any, grad: Any) -> Any:
    return [raw.ConjugateTranspose(grad, _inverse(op.inputs[1])), None]


# ---- joining and taking apart


def _parts(grad: Any, values: list[Tensor], axis: Tensor) -> list[Tensor]:
    """What each of several joined tensors gets of the gradient of the whole."""
    if len(values) == 1:
        return [raw.Identity(grad)]
    known = constant_value(axis)
    sizes: list[Any] = [None] * len(values)
    for i, value in enumerate(values):
        if known is not None and value.shape.rank is not None:
            sizes[i] = value.shape.as_list()[int(known)]
        if sizes[i] is None:
            sizes[i] = raw.GatherV2(shape(value), _counted(axis, rank(value)), 0)
    return raw.SplitV(grad, stack(sizes), _as_int32(axis), num_split=len(values))


def _as_int32(axis: Tensor) -> Tensor:
    return axis if axis.dtype.name == "int32" else raw.Cast(axis, DstT="int32")


def _counted(axis: Tensor, count: Tensor) -> Tensor:
    """An axis counted from the front."""
    return raw.FloorMod(_as_int32(axis), count)


@RegisterGradient("ConcatV2")
def _concat_v2(op: Any, grad: Any) -> Any:
    *values, axis = op.inputs
    return [*_parts(grad, values, axis), None]


@RegisterGradient("Concat")
def _concat(op: Any, grad: Any) -> Any:
    axis, *values = op.inputs
    return [None, *_parts(grad, values, axis)]


@RegisterGradient("Pack")
def _pack(op: Any, grad: Any) -> Any:
    return unstack(grad, num=op.get_attr("N"), axis=op.get_attr("axis"))


@RegisterGradient("Unpack")
def _unpack(op: Any, *grads: Any) -> Any:
    return raw.Pack(list(grads), axis=op.get_attr("axis"))


@RegisterGradient("Split")
def _split(op: Any, *grads: Any) -> Any:
    return [None, concat(list(grads), op.inputs[0])]


@RegisterGradient("SplitV")
def _split_v(op: Any, *grads: Any) -> Any:
    return [concat(list(grads), op.inputs[2]), None, None]


# ---- repeating


@RegisterGradient("Fill")
def _fill(op: Any, grad: Any) -> Any:
    return [None, _sum_all(grad)]


def _sum_all(tensor: Any) -> Tensor:
    return raw.Sum(raw.Reshape(tensor, [-1]), [0])


@RegisterGradient("Tile")
def _tile(op: Any, grad: Any) -> Any:
    # Seen as (multiple, size) for each dimension, the copies are summed.
    sizes = shape(op.inputs[0], out_type=op.inputs[1].dtype)
    pairs = raw.Reshape(raw.Pack([op.inputs[1], sizes], axis=1), [-1])
    axes = raw.Range(0, size(pairs), 2)
    summed = raw.Sum(raw.Reshape(grad, pairs), axes)
    return [raw.Reshape(summed, sizes), None]


@RegisterGradient("BroadcastTo")
def _broadcast_to(op: Any, grad: Any) -> Any:
    sizes = shape(op.inputs[0])
    axes = raw.BroadcastGradientArgs(sizes, shape(op.outputs[0])).r0
    return [raw.Reshape(raw.Sum(grad, axes), sizes), None]


# ---- padding


@RegisterGradient("Pad")
def _pad(op: Any, grad: Any) -> Any:
    return [_inside(op, grad), None]


@RegisterGradient("PadV2")
def _pad_v2(op: Any, grad: Any) -> Any:
    inside = _inside(op, grad)
    return [inside, None, raw.Sub(_sum_all(grad), _sum_all(inside))]


def _inside(op: Any, grad: Any) -> Tensor:
    """The part of the gradient that is not about the border."""
    x, paddings = op.inputs[:2]
    before = paddings[:, 0]
    return raw.Slice(grad, before, shape(x, out_type=before.dtype))


@RegisterGradient("MirrorPad")
def _mirror_pad(op: Any, grad: Any) -> Any:
    return [raw.MirrorPadGrad(grad, op.inputs[1], mode=op.get_attr("mode")), None]


@RegisterGradient("MirrorPadGrad")
def _mirror_pad_grad(op: Any, grad: Any) -> Any:
    return [raw.MirrorPad(grad, op.inputs[1], mode=op.get_attr("mode")), None]
