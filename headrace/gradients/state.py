"""Gradients of reads of variables. The gradient of a handle is that of the value behind it."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.constant import constant
from headrace.framework.dtypes import int32
from headrace.framework.graph import Operation, Tensor
from headrace.framework.indexed_slices import IndexedSlices
from headrace.gradients.registry import RegisterGradient


def _variable_shape(handle: Tensor) -> Tensor:
    """The shape of a variable as a vector: a constant if it is wholly known."""
    if handle.op.type == "VarHandleOp":
        shape = handle.op.get_attr("shape")
        if shape.is_fully_defined():
            return constant(shape.as_list(), dtype=int32)
    return raw.VariableShape(handle)


@RegisterGradient("ReadVariableOp")
def _read(op: Operation, grad: Any) -> Any:
    return grad


@RegisterGradient("ResourceGather")
def _gather(op: Operation, grad: Tensor) -> list[Any]:
    handle, indices = op.inputs
    shape = _variable_shape(handle)
    batch_dims = op.get_attr("batch_dims")
    if batch_dims:
        return [_batched_rows(op, grad, shape, batch_dims), None]
    # One row for each index.
    row = raw.Slice(shape, [1], [-1])
    values = raw.Reshape(grad, raw.ConcatV2([raw.Reshape(raw.Size(indices), [1]), row], 0))
    return [IndexedSlices(values, raw.Reshape(indices, [-1]), shape), None]


def _batched_rows(op: Operation, grad: Tensor, shape: Tensor, batch_dims: int) -> Tensor:
    """Adds each row of the gradient to the row of its batch: rows are numbered through all batches."""
    indices = raw.Cast(op.inputs[1], DstT=int32)
    batch = raw.Slice(shape, [0], [batch_dims])
    rows = raw.Reshape(raw.Slice(shape, [batch_dims], [1]), [])
    row = raw.Slice(shape, [batch_dims + 1], [-1])
    batches = raw.Prod(batch, 0)
    flat = raw.Reshape(indices, raw.Pack([batches, -1]))
    first = raw.ExpandDims(raw.Mul(raw.Range(0, batches, 1), rows), 1)
    at = raw.Reshape(raw.AddV2(flat, first), [-1])
    values = raw.Reshape(grad, raw.ConcatV2([raw.Shape(at), row], 0))
    whole = raw.ConcatV2([raw.Reshape(raw.Mul(batches, rows), [1]), row], 0)
    summed = raw.ScatterNd(raw.ExpandDims(at, 1), values, whole)
    return raw.Reshape(summed, shape)


@RegisterGradient("ResourceGatherNd")
def _gather_nd(op: Operation, grad: Tensor) -> list[Any]:
    handle, indices = op.inputs
    shape = raw.Cast(_variable_shape(handle), DstT=indices.dtype)
    if indices.shape.ndims == 2 and indices.shape.as_list()[1] == 1:
        return [IndexedSlices(grad, raw.Squeeze(indices, axis=[-1]), shape), None]
    return [raw.ScatterNd(indices, grad, shape), None]
