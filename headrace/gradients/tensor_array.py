"""Gradients of tensor arrays as resources: each has an array of gradients beside it for every sweep.

The flow carries no number that means anything, but its gradient orders what is done to the array of
gradients, as the flow does for the array: all is written before it is read.
"""

from __future__ import annotations

from collections.abc import Callable
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


def _into_gradients(write: Callable[..., Tensor]) -> Callable[..., list[Any]]:
    """The gradient of reading: what writes to the array of gradients."""

    def gradient(op: Operation, grad: Tensor) -> list[Any]:
        _, index, flow = op.inputs
        array, after = _beside(op, flow)
        return [None, None, write(array, index, grad, after)]

    return gradient


def _out_of_gradients(read: Callable[..., Tensor]) -> Callable[..., list[Any]]:
    """The gradient of writing: what reads the array of gradients."""

    def gradient(op: Operation, flow: Tensor) -> list[Any]:
        _, index, value, _ = op.inputs
        array, after = _beside(op, flow)
        grad = read(array, index, after, dtype=value.dtype)
        grad.set_shape(value.shape)
        return [None, None, grad, flow]

    return gradient


RegisterGradient("TensorArrayReadV3")(_into_gradients(raw.TensorArrayWriteV3))
RegisterGradient("TensorArrayGatherV3")(_into_gradients(raw.TensorArrayScatterV3))
RegisterGradient("TensorArrayWriteV3")(_out_of_gradients(raw.TensorArrayReadV3))
RegisterGradient("TensorArrayScatterV3")(_out_of_gradients(raw.TensorArrayGatherV3))


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
