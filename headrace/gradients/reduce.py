"""Gradients of reductions, running values and segments."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant, constant_value
from headrace.framework.graph import Tensor
from headrace.gradients.registry import RegisterGradient
from headrace.ops import math
from headrace.ops.math import cast, conj


def _kept_shape(op: Any) -> Any:
    """The output's shape with the reduced dimensions kept, as size 1."""
    x = op.inputs[0]
    axes = constant_value(op.inputs[1])
    if axes is not None and x.shape.ndims is not None:
        reduced = {int(axis) % x.shape.ndims for axis in np.ravel(axes)} if x.shape.ndims else set()
        dims = [1 if i in reduced else size for i, size in enumerate(x.shape.as_list())]
        if None not in dims:
            return constant(dims, dtypes.int32)
    # Only the shape of this sum is used: it is never computed.
    return raw.Shape(raw.Sum(raw.ZerosLike(x), op.inputs[1], keep_dims=True))


def _shape(x: Tensor) -> Tensor:
    return constant(x.shape.as_list(), dtypes.int32) if x.shape.is_fully_defined() else raw.Shape(x)


def _kept(op: Any, tensor: Tensor) -> Tensor:
    """The output, or its gradient, with the reduced dimensions kept."""
    return tensor if op.get_attr("keep_dims") else raw.Reshape(tensor, _kept_shape(op))


def _spread(op: Any, grad: Tensor) -> Tensor:
    """The output's gradient, repeated over what was reduced."""
    return raw.BroadcastTo(_kept(op, grad), _shape(op.inputs[0]))


@RegisterGradient("Sum")
def _sum(op: Any, grad: Tensor) -> list[Any]:
    return [_spread(op, grad), None]


@RegisterGradient("Mean")
def _mean(op: Any, grad: Tensor) -> list[Any]:
    x, y = op.inputs[0], op.outputs[0]
    if x.shape.is_fully_defined() and y.shape.is_fully_defined():
        count: Any = x.shape.num_elements() // max(y.shape.num_elements(), 1)
    else:
        count = cast(raw.Size(x) // math.maximum(raw.Size(y), 1), grad.dtype)
    return [_spread(op, grad / count), None]


@RegisterGradient("Max")
@RegisterGradient("Min")
def _extreme(op: Any, grad: Tensor) -> list[Any]:
    x = op.inputs[0]
    # Equal extremes share the gradient.
    chosen = cast(raw.Equal(_kept(op, op.outputs[0]), x), grad.dtype)
    sharing = raw.Sum(chosen, op.inputs[1], keep_dims=True)
    return [chosen / sharing * _kept(op, grad), None]


@RegisterGradient("EuclideanNorm")
def _euclidean_norm(op: Any, grad: Tensor) -> list[Any]:
    scaled = raw.DivNoNan(_kept(op, grad), _kept(op, op.outputs[0]))
    return [op.inputs[0] * scaled, None]


@RegisterGradient("Prod")
def _prod(op: Any, grad: Tensor) -> list[Any]:
    x = op.inputs[0]
    # The reduced axes first and joined: the product of the others is that of those before and after.
    rank = raw.Rank(x)
    axes = raw.FloorMod(raw.Reshape(cast(op.inputs[1], dtypes.int32), [-1]), rank)
    others = raw.ListDiff(raw.Range(0, rank, 1), axes)[0]
    order = raw.ConcatV2([axes, others], 0)
    moved = raw.Transpose(x, order)
    shape = raw.Shape(moved)
    rows = raw.Prod(raw.GatherV2(raw.Shape(x), axes, 0), [0])
    columns = raw.Prod(raw.GatherV2(raw.Shape(x), others, 0), [0])
    matrix = raw.Reshape(moved, raw.Pack([rows, columns]))
    before = raw.Cumprod(matrix, 0, exclusive=True)
    after = raw.Cumprod(matrix, 0, exclusive=True, reverse=True)
    rest = raw.Transpose(raw.Reshape(conj(before) * conj(after), shape), raw.InvertPermutation(order))
    result = _kept(op, grad) * rest
    result.set_shape(x.shape)
    return [result, None]


# ---- running values


@RegisterGradient("Cumsum")
def _cumsum(op: Any, grad: Tensor) -> list[Any]:
    exclusive, reverse = op.get_attr("exclusive"), op.get_attr("reverse")
    return [raw.Cumsum(grad, op.inputs[1], exclusive=exclusive, reverse=not reverse), None]


@RegisterGradient("Cumprod")
def _cumprod(op: Any, grad: Tensor) -> list[Any]:
    # Divides by x: the gradient at a zero is NaN.
    x, axis = op.inputs
    exclusive, reverse = op.get_attr("exclusive"), op.get_attr("reverse")
    total = raw.Cumsum(conj(op.outputs[0]) * grad, axis, exclusive=exclusive, reverse=not reverse)
    return [total / conj(x), None]


@RegisterGradient("CumulativeLogsumexp")
def _cumulative_logsumexp(op: Any, grad: Tensor) -> list[Any]:
    x, axis = op.inputs
    exclusive, reverse = op.get_attr("exclusive"), op.get_attr("reverse")

    def weighted(part: Tensor) -> Tensor:
        """The sum over later i of part[i] * exp(x - y[i]), for part >= 0 and in logarithms."""
        positive = raw.Greater(part, raw.ZerosLike(part))
        safe = raw.Select(positive, part, raw.OnesLike(part))
        lowest = raw.Fill(raw.Shape(x), constant(-np.inf, x.dtype))
        # Elements that nothing precedes have the lowest value, and no part in this.
        known = raw.LogicalAnd(positive, raw.IsFinite(op.outputs[0]))
        logs = raw.Select(known, math.log(safe) - op.outputs[0], lowest)
        summed = raw.CumulativeLogsumexp(logs, axis, exclusive=exclusive, reverse=not reverse)
        some = raw.IsFinite(summed)
        return raw.Select(some, math.exp(raw.Select(some, summed, raw.ZerosLike(x)) + x), raw.ZerosLike(x))

    return [weighted(grad) - weighted(-grad), None]


# ---- segments


def _gather(grad: Tensor, ids: Tensor) -> Tensor:
    return raw.GatherV2(grad, ids, 0)


def _gather_kept(values: Tensor, ids: Tensor, data: Tensor, otherwise: Any = 0) -> Tensor:
    """Rows of `values` by segment, `otherwise` for rows that were left out because of a negative id."""
    gathered = raw.GatherV2(values, math.maximum(ids, 0), 0)
    kept = math.greater_equal(ids, 0)
    extra = (data.shape.ndims or 0) - (ids.shape.ndims or 0)
    if data.shape.ndims is None or ids.shape.ndims is None:
        ones = raw.Fill(raw.Reshape(raw.Rank(data) - raw.Rank(ids), [1]), 1)
        kept = raw.Reshape(kept, raw.ConcatV2([raw.Shape(ids), ones], 0))
    elif extra:
        kept = raw.Reshape(kept, raw.ConcatV2([raw.Shape(ids), constant([1] * extra)], 0))
    return raw.SelectV2(kept, gathered, constant(otherwise, values.dtype))


@RegisterGradient("SegmentSum")
def _segment_sum(op: Any, grad: Tensor) -> list[Any]:
    return [_gather(grad, op.inputs[1]), None]


@RegisterGradient("SegmentMean")
def _segment_mean(op: Any, grad: Tensor) -> list[Any]:
    data, ids = op.inputs
    counts = raw.SegmentSum(raw.OnesLike(data), ids)
    return [raw.DivNoNan(_gather(grad, ids), _gather(counts, ids)), None]


@RegisterGradient("SegmentMax")
@RegisterGradient("SegmentMin")
def _segment_extreme(op: Any, grad: Tensor) -> list[Any]:
    data, ids = op.inputs
    chosen = cast(raw.Equal(data, _gather(op.outputs[0], ids)), data.dtype)
    sharing = raw.SegmentSum(chosen, ids)
    return [chosen * _gather(grad, ids) / _gather(sharing, ids), None]


@RegisterGradient("SegmentProd")
def _segment_prod(op: Any, grad: Tensor) -> list[Any]:
    data, ids = op.inputs
    count = raw.Shape(op.outputs[0])
    segments = raw.StridedSlice(count, [0], [1], [1], shrink_axis_mask=1)
    return [_products_of_others(data, ids, segments, grad), None]


def _products_of_others(data: Tensor, ids: Tensor, segments: Tensor, grad: Tensor) -> Tensor:
    """The gradient of products of segments, with no division by zero.

    The product of the others is the product over the element where no element is zero; the product of the
    nonzero elements for the zero if there is just one; and zero otherwise.
    """
    is_zero = raw.Equal(data, raw.ZerosLike(data))
    nonzero = raw.Select(is_zero, raw.OnesLike(data), data)
    product = raw.UnsortedSegmentProd(nonzero, ids, segments)
    zeros = raw.UnsortedSegmentSum(cast(is_zero, dtypes.int32), ids, segments)
    other_zeros = _gather_kept(zeros, ids, data) - cast(is_zero, dtypes.int32)
    others = _gather_kept(product, ids, data) / nonzero
    no_other = raw.Equal(other_zeros, raw.ZerosLike(other_zeros))
    rest = raw.Select(no_other, others, raw.ZerosLike(others))
    return _gather_kept(grad, ids, data) * conj(rest)


@RegisterGradient("UnsortedSegmentSum")
def _unsorted_segment_sum(op: Any, grad: Tensor) -> list[Any]:
    return [_gather_kept(grad, op.inputs[1], op.inputs[0]), None, None]


@RegisterGradient("UnsortedSegmentMax")
@RegisterGradient("UnsortedSegmentMin")
def _unsorted_segment_extreme(op: Any, grad: Tensor) -> list[Any]:
    data, ids, segments = op.inputs
    chosen = cast(raw.Equal(data, _gather_kept(op.outputs[0], ids, data)), data.dtype)
    sharing = raw.UnsortedSegmentSum(chosen, ids, segments)
    share = raw.DivNoNan(chosen, _gather_kept(sharing, ids, data))
    return [share * _gather_kept(grad, ids, data), None, None]


@RegisterGradient("UnsortedSegmentProd")
def _unsorted_segment_prod(op: Any, grad: Tensor) -> list[Any]:
    data, ids, segments = op.inputs
    return [_products_of_others(data, ids, segments, grad), None, None]


# ---- segments of chosen rows


def _rows(x: Tensor) -> Tensor:
    return raw.StridedSlice(raw.Shape(x), [0], [1], [1], shrink_axis_mask=1)


def _to_rows(op: Any, grad: Tensor, divisor: str) -> list[Any]:
    data, indices, ids = op.inputs[:3]
    if divisor:
        by_data = getattr(raw, f"SparseSegment{divisor}Grad")(grad, indices, ids, _rows(data))
    else:
        by_data = raw.UnsortedSegmentSum(_gather(grad, ids), indices, _rows(data))
    return [by_data] + [None] * (len(op.inputs) - 1)


@RegisterGradient("SparseSegmentSum")
@RegisterGradient("SparseSegmentSumWithNumSegments")
def _sparse_segment_sum(op: Any, grad: Tensor) -> list[Any]:
    return _to_rows(op, grad, "")


@RegisterGradient("SparseSegmentMean")
@RegisterGradient("SparseSegmentMeanWithNumSegments")
def _sparse_segment_mean(op: Any, grad: Tensor) -> list[Any]:
    return _to_rows(op, grad, "Mean")


@RegisterGradient("SparseSegmentSqrtN")
@RegisterGradient("SparseSegmentSqrtNWithNumSegments")
def _sparse_segment_sqrt_n(op: Any, grad: Tensor) -> list[Any]:
    return _to_rows(op, grad, "SqrtN")


@RegisterGradient("SparseSegmentMeanGrad")
def _sparse_segment_mean_grad(op: Any, grad: Tensor) -> list[Any]:
    segments = _rows(op.inputs[0])
    by_grad = raw.SparseSegmentMeanWithNumSegments(grad, op.inputs[1], op.inputs[2], segments)
    return [by_grad, None, None, None]


@RegisterGradient("SparseSegmentSqrtNGrad")
def _sparse_segment_sqrt_n_grad(op: Any, grad: Tensor) -> list[Any]:
    segments = _rows(op.inputs[0])
    by_grad = raw.SparseSegmentSqrtNWithNumSegments(grad, op.inputs[1], op.inputs[2], segments)
    return [by_grad, None, None, None]
