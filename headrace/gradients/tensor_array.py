"""Gradients of tensor arrays as resources: each has an array of gradients beside it for every sweep.

The flow carries no number that means anything, but its gradient orders what is done to the array of
gradients, as the flow does for the array: all is written before it is read.
"""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.engine import sweep_name
from headrace.gradients.registry import NotDifferentiable, RegisterGradient

NotDifferentiable("TensorArrayV3")


def _beside(op: Operation, flow: Tensor) -> tuple[Tensor, Tensor]:
    """The array of gradients of the one that an operation reads or writes, and its flow."""
    handle, after = raw.TensorArrayGradV3(op.inputs[0], flow, source=sweep_name())
    return handle, after


@RegisterGradient("TensorArrayGradV3")
def _grad(op: Operation, _: Any, flow: Tensor) -> list[Any]:
    return [None, flow]


@RegisterGradient("TensorArrayGradWithShape")
def _grad_with_shape(op: Operation, _: Any, flow: Tensor) -> list[Any]:
    return [None, flow, None]


@RegisterGradient("TensorArrayReadV3")
def _read(op: Operation, grad: Tensor) -> list[Any]:
    _, index, flow = op.inputs
    array, after = _beside(op, flow)
    return [None, None, raw.TensorArrayWriteV3(array, index, grad, after)]


@RegisterGradient("TensorArrayWriteV3")
def _write(op: Operation, flow: Tensor) -> list[Any]:
    _, index, value, _ = op.inputs
    array, after = _beside(op, flow)
    grad = raw.TensorArrayReadV3(array, index, after, dtype=value.dtype)
    grad.set_shape(value.shape)
    return [None, None, grad, flow]


@RegisterGradient("TensorArrayGatherV3")
def _gather(op: Operation, grad: Tensor) -> list[Any]:
    _, indices, flow = op.inputs
    array, after = _beside(op, flow)
    return [None, None, raw.TensorArrayScatterV3(array, indices, grad, after)]


@RegisterGradient("TensorArrayScatterV3")
def _scatter(op: Operation, flow: Tensor) -> list[Any]:
    _, indices, value, _ = op.inputs
    array, after = _beside(op, flow)
    grad = raw.TensorArrayGatherV3(array, indices, after, dtype=value.dtype)
    grad.set_shape(value.shape)
    return [None, None, grad, flow]


@RegisterGradient("TensorArrayConcatV3")
def _concat(op: Operation, grad: Tensor, _: Any) -> list[Any]:
    array, after = _beside(op, op.inputs[1])
    return [None, raw.TensorArraySplitV3(array, grad, op.outputs[1], after)]


@RegisterGradient("TensorArraySplitV3")
def _split(op: Operation, flow: Tensor) -> list[Any]:
    value = op.inputs[1]
    array, after = _beside(op, flow)
    grad, _ = raw.TensorArrayConcatV3(array, after, dtype=value.dtype)
    grad.set_shape(value.shape)
    return [None, grad, None, flow]
