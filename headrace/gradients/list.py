"""Gradients of operations on lists of tensors: lists of gradients, in which no value stands for zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import NotDifferentiable, RegisterGradient

_ANY_SHAPE = np.int32(-1)


def _dtype(op: Operation) -> Any:
    return op.get_attr("element_dtype")


def _shape_of(tensor: Tensor) -> Any:
    """The shape of an element, as the operations on lists take it."""
    return (
        np.array(tensor.shape.as_list(), np.int32) if tensor.shape.is_fully_defined() else raw.Shape(tensor)
    )


def _row_shape(tensor: Tensor) -> Any:
    """The shape of a row of a tensor."""
    if tensor.shape.is_fully_defined():
        return np.array(tensor.shape.as_list()[1:], np.int32)
    return raw.StridedSlice(raw.Shape(tensor), [1], [0], [1], end_mask=1)


for _op in ("EmptyTensorList", "TensorListReserve"):
    NotDifferentiable(_op)


@RegisterGradient("TensorListPushBack")
def _push_back(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None, None]
    left, item = raw.TensorListPopBack(grad, _shape_of(op.inputs[1]), element_dtype=_dtype(op))
    return [left, item]


@RegisterGradient("TensorListPopBack")
def _pop_back(op: Operation, d_list: Any, d_item: Any) -> list[Any]:
    if d_list is None:
        left = op.outputs[0]
        d_list = raw.TensorListReserve(_ANY_SHAPE, raw.TensorListLength(left), element_dtype=_dtype(op))
    if d_item is None:
        d_item = raw.ZerosLike(op.outputs[1])
    return [raw.TensorListPushBack(d_list, d_item, element_dtype=_dtype(op)), None]


@RegisterGradient("TensorListGetItem")
def _get_item(op: Operation, grad: Tensor) -> list[Any]:
    empty = raw.TensorListReserve(_ANY_SHAPE, raw.TensorListLength(op.inputs[0]), element_dtype=_dtype(op))
    return [raw.TensorListSetItem(empty, op.inputs[1], grad, element_dtype=_dtype(op)), None, None]


def accumulated(total: Tensor, grad: Tensor) -> Tensor:
    """The sum of two gradients, of which one has been summed up so far and may be changed in place."""
    made = grad.op
    if made.type == "TensorListSetItem" and made.inputs[0].op.type == "TensorListReserve":
        # A list with a gradient of one element only, as above: the others need not be looked at.
        _, index, item = made.inputs
        dtype = _dtype(made)
        before = raw.TensorListGetItem(total, index, _shape_of(item), element_dtype=dtype)
        return raw.TensorListSetItem(total, index, raw.AddN([before, item]), element_dtype=dtype)
    return raw.AddN([total, grad])


@RegisterGradient("TensorListSetItem")
def _set_item(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None, None, None]
    index, item = op.inputs[1:]
    d_item = raw.TensorListGetItem(grad, index, _shape_of(item), element_dtype=_dtype(op))
    return [raw.TensorListSetItem(grad, index, raw.ZerosLike(item), element_dtype=_dtype(op)), None, d_item]


@RegisterGradient("TensorListResize")
def _resize(op: Operation, grad: Any) -> list[Any]:
    return [None if grad is None else raw.TensorListResize(grad, raw.TensorListLength(op.inputs[0])), None]


@RegisterGradient("TensorListStack")
def _stack(op: Operation, grad: Tensor) -> list[Any]:
    return [raw.TensorListFromTensor(grad, _row_shape(grad), element_dtype=_dtype(op)), None]


@RegisterGradient("TensorListFromTensor")
def _from_tensor(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None, None]
    tensor = op.inputs[0]
    count = tensor.shape.as_list()[0] if tensor.shape.ndims else None
    stacked = raw.TensorListStack(
        grad, _row_shape(tensor), element_dtype=_dtype(op), num_elements=-1 if count is None else count
    )
    return [stacked, None]


@RegisterGradient("TensorListGather")
def _gather(op: Operation, grad: Tensor) -> list[Any]:
    length = raw.TensorListLength(op.inputs[0])
    scattered = raw.TensorListScatterV2(
        grad, op.inputs[1], _row_shape(grad), length, element_dtype=_dtype(op)
    )
    return [scattered, None, None]


@RegisterGradient("TensorListScatterV2")
def _scatter(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None] * 4
    tensor, indices = op.inputs[:2]
    return [
        raw.TensorListGather(grad, indices, _row_shape(tensor), element_dtype=_dtype(op)),
        None,
        None,
        None,
    ]


@RegisterGradient("TensorListScatterIntoExistingList")
def _scatter_into(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None, None, None]
    _, tensor, indices = op.inputs
    d_tensor = raw.TensorListGather(grad, indices, _row_shape(tensor), element_dtype=_dtype(op))
    zeros = raw.ZerosLike(tensor)
    d_list = raw.TensorListScatterIntoExistingList(grad, zeros, indices, element_dtype=_dtype(op))
    return [d_list, d_tensor, None]


@RegisterGradient("TensorListConcatV2")
def _concat(op: Operation, grad: Tensor, _: Any) -> list[Any]:
    split = raw.TensorListSplit(grad, _ANY_SHAPE, op.outputs[1], element_dtype=_dtype(op))
    return [split, None, None]


@RegisterGradient("TensorListSplit")
def _split(op: Operation, grad: Any) -> list[Any]:
    if grad is None:
        return [None, None, None]
    joined, _ = raw.TensorListConcatV2(grad, op.inputs[1], op.inputs[2], element_dtype=_dtype(op))
    joined.set_shape(op.inputs[0].shape)
    return [joined, None, None]
