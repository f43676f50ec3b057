"""Derivatives of convolutions, each again a convolution, and of morphological dilation.

A convolution is linear in its input and in its filter. It and its two derivatives are the three views of one
trilinear form in (input, filter, output gradient), so each one's derivatives are the other two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient

_ATTRIBUTES = (
    "strides",
    "padding",
    "explicit_paddings",
    "data_format",
    "dilations",
    "use_cudnn_on_gpu",
    "rates",
)


def _attributes(op: Operation) -> dict[str, Any]:
    names = {attr.name for attr in _core.op_def(op.type).attrs}
    return {name: op.get_attr(name) for name in _ATTRIBUTES if name in names}


def _register(forward: str, by_input: str, by_filter: str) -> None:
    convolve: Callable[..., Tensor] = getattr(raw, forward)
    to_input: Callable[..., Tensor] = getattr(raw, by_input)
    to_filter: Callable[..., Tensor] = getattr(raw, by_filter)

    @RegisterGradient(forward)
    def _forward(op: Operation, grad: Tensor) -> list[Tensor]:
        x, w = op.inputs
        shapes = raw.ShapeN([x, w])
        attributes = _attributes(op)
        return [to_input(shapes[0], w, grad, **attributes), to_filter(x, shapes[1], grad, **attributes)]

    @RegisterGradient(by_input)
    def _by_input(op: Operation, grad: Tensor) -> list[Tensor | None]:
        _, w, output = op.inputs
        attributes = _attributes(op)
        return [None, to_filter(grad, raw.Shape(w), output, **attributes), convolve(grad, w, **attributes)]

    @RegisterGradient(by_filter)
    def _by_filter(op: Operation, grad: Tensor) -> list[Tensor | None]:
        x, _, output = op.inputs
        attributes = _attributes(op)
        return [to_input(raw.Shape(x), grad, output, **attributes), None, convolve(x, grad, **attributes)]


_register("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
_register(
    "DepthwiseConv2dNative", "DepthwiseConv2dNativeBackpropInput", "DepthwiseConv2dNativeBackpropFilter"
)
_register("Conv3D", "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2")


@RegisterGradient("Dilation2D")
def _dilation(op: Operation, grad: Tensor) -> list[Tensor]:
    x, w = op.inputs
    attributes = _attributes(op)
    return [
        raw.Dilation2DBackpropInput(x, w, grad, **attributes),
        raw.Dilation2DBackpropFilter(x, w, grad, **attributes),
    ]


def _sizes(w: Tensor, op: Operation) -> list[int]:
    sizes = [size for size in w.shape.as_list() if size is not None] if w.shape.rank else []
    if len(sizes) != 3:
        raise NotImplementedError(f"the second derivative at {op.name} needs the static shape of the filter")
    return sizes


def _places(x: Tensor, op: Operation) -> Tensor:
    """What each place of the filter of a dilation lies over: [batch, rows, columns, places, channels]."""
    rows, columns, _ = _sizes(op.inputs[1], op)
    patches = raw.ExtractImagePatches(
        x,
        ksizes=[1, rows, columns, 1],
        strides=op.get_attr("strides"),
        rates=op.get_attr("rates"),
        padding=op.get_attr("padding"),
    )
    outputs = raw.Slice(raw.Shape(op.inputs[2]), [0], [3])
    return raw.Reshape(
        patches, raw.ConcatV2([outputs, [rows * columns], raw.Slice(raw.Shape(x), [3], [1])], 0)
    )


def _flat(w: Tensor, op: Operation) -> Tensor:
    rows, columns, channels = _sizes(w, op)
    return raw.Reshape(w, [1, 1, 1, rows * columns, channels])


def _chosen(op: Operation) -> Tensor:
    """One where a place was the largest, as it was for the forward operation; else zero."""
    x, w, _ = op.inputs
    sums = raw.AddV2(_places(x, op), _flat(w, op))
    inside = raw.Greater(_places(raw.OnesLike(x), op), raw.ZerosLike(sums))
    lowest = raw.Cast(np.float64(-np.inf), DstT=x.dtype)
    best = raw.ArgMax(raw.SelectV2(inside, sums, lowest), 3)
    dtype = x.dtype.as_numpy_dtype
    rows, columns, _ = _sizes(w, op)
    return raw.OneHot(best, rows * columns, dtype(1), dtype(0), axis=3)


# The derivatives of a dilation are linear in the gradient of its output, and step functions of all else.
@RegisterGradient("Dilation2DBackpropInput")
def _dilation_input(op: Operation, grad: Tensor) -> list[Tensor | None]:
    return [None, None, raw.Sum(raw.Mul(_chosen(op), _places(grad, op)), [3])]


@RegisterGradient("Dilation2DBackpropFilter")
def _dilation_filter(op: Operation, grad: Tensor) -> list[Tensor | None]:
    return [None, None, raw.Sum(raw.Mul(_chosen(op), _flat(grad, op)), [3])]
