"""Derivatives of poolings. Means are linear, and maxima are as long as they stay where they are."""

from __future__ import annotations

from typing import Any

from headrace import _core
from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient

_ATTRIBUTES = ("ksize", "strides", "padding", "data_format", "include_batch_in_index")


def _attributes(op: Operation) -> dict[str, Any]:
    names = {attr.name for attr in _core.op_def(op.type).attrs}
    return {name: op.get_attr(name) for name in _ATTRIBUTES if name in names}


@RegisterGradient("AvgPool")
def _avg_pool(op: Operation, grad: Tensor) -> Tensor:
    return raw.AvgPoolGrad(raw.Shape(op.inputs[0]), grad, **_attributes(op))


@RegisterGradient("AvgPoolGrad")
def _avg_pool_grad(op: Operation, grad: Tensor) -> list[Tensor | None]:
    return [None, raw.AvgPool(grad, **_attributes(op))]


@RegisterGradient("AvgPool3D")
def _avg_pool_3d(op: Operation, grad: Tensor) -> Tensor:
    return raw.AvgPool3DGrad(raw.Shape(op.inputs[0]), grad, **_attributes(op))


@RegisterGradient("AvgPool3DGrad")
def _avg_pool_3d_grad(op: Operation, grad: Tensor) -> list[Tensor | None]:
    return [None, raw.AvgPool3D(grad, **_attributes(op))]


def _register_max(forward: str) -> None:
    to_input, to_output = getattr(raw, forward + "Grad"), getattr(raw, forward + "GradGrad")

    @RegisterGradient(forward)
    def _forward(op: Operation, grad: Tensor) -> Tensor:
        return to_input(op.inputs[0], op.outputs[0], grad, **_attributes(op))

    @RegisterGradient(forward + "Grad")
    def _grad(op: Operation, grad: Tensor) -> list[Tensor]:
        x, y, _ = op.inputs
        # What was pooled may have another dtype than the gradient.
        own = grad if grad.dtype == x.dtype else raw.Cast(grad, DstT=x.dtype)
        result = to_output(x, y, own, **_attributes(op))
        result = result if own is grad else raw.Cast(result, DstT=grad.dtype)
        return [raw.ZerosLike(x), raw.ZerosLike(y), result]

    @RegisterGradient(forward + "GradGrad")
    def _grad_grad(op: Operation, grad: Tensor) -> list[Tensor]:
        x, y, _ = op.inputs
        return [raw.ZerosLike(x), raw.ZerosLike(y), to_input(x, y, grad, **_attributes(op))]


_register_max("MaxPool")
_register_max("MaxPool3D")


@RegisterGradient("MaxPoolWithArgmax")
def _max_pool_with_argmax(op: Operation, grad: Tensor, _: Tensor | None) -> Tensor:
    return raw.MaxPoolGradWithArgmax(op.inputs[0], grad, op.outputs[1], **_attributes(op))


@RegisterGradient("MaxPoolGradWithArgmax")
def _max_pool_grad_with_argmax(op: Operation, grad: Tensor) -> list[Tensor | None]:
    x, _, argmax = op.inputs
    return [raw.ZerosLike(x), raw.MaxPoolGradGradWithArgmax(x, grad, argmax, **_attributes(op)), None]


@RegisterGradient("MaxPoolGradGradWithArgmax")
def _max_pool_grad_grad_with_argmax(op: Operation, grad: Tensor) -> list[Tensor | None]:
    x, _, argmax = op.inputs
    return [raw.ZerosLike(x), raw.MaxPoolGradWithArgmax(x, grad, argmax, **_attributes(op)), None]
