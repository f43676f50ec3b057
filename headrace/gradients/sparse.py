"""Gradients of operations on sparse tensors: of their values."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient
from headrace.ops.array import invert_permutation, range, shape


@RegisterGradient("SparseToDense")
def _sparse_to_dense(op: Operation, grad: Tensor) -> Any:
    indices, dense_shape, values, default = op.inputs
    # Places that have no value took the default.
    untouched = raw.SparseToDense(
        indices,
        dense_shape,
        raw.ZerosLike(values),
        raw.OnesLike(default),
        validate_indices=op.get_attr("validate_indices"),
    )
    grad_default = raw.Sum(raw.Mul(grad, untouched), range(raw.Rank(grad)))
    if indices.shape.ndims is None:
        raise NotImplementedError(f"the rank of {indices.name} must be known to differentiate this")
    places = indices if indices.shape.ndims == 2 else raw.Reshape(indices, [-1, 1])
    grad_values = raw.GatherNd(grad, places)
    if values.shape.ndims is None:
        raise NotImplementedError(f"the rank of {values.name} must be known to differentiate this")
    if values.shape.ndims == 0:
        grad_values = raw.Sum(grad_values, [0])
    return [None, None, grad_values, grad_default]


@RegisterGradient("SparseReorder")
def _sparse_reorder(op: Operation, unused_indices: Any, grad: Tensor) -> Any:
    indices, values, dense_shape = op.inputs
    # Where each value came from.
    _, order = raw.SparseReorder(indices, range(shape(values)[0]), dense_shape)
    return [None, raw.GatherV2(grad, invert_permutation(order), 0), None]
