"""Gradients of what takes pieces out of arrays, and puts pieces together."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.constant import constant, constant_value
from headrace.framework.graph import Tensor
from headrace.framework.indexed_slices import IndexedSlices
from headrace.gradients.registry import RegisterGradient
from headrace.ops.array import concat, ones_like, rank, shape, size, stack, zeros_like

_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")


def _masks(op: Any) -> dict[str, int]:
    return {name: op.get_attr(name) for name in _MASKS}


# ---- by position


@RegisterGradient("Slice")
def _slice(op: Any, grad: Any) -> Any:
    x, begin, _ = op.inputs
    end = raw.AddV2(begin, shape(op.outputs[0], out_type=begin.dtype))
    sizes = shape(x, out_type=begin.dtype)
    return [raw.StridedSliceGrad(sizes, begin, end, ones_like(begin), grad), None, None]


@RegisterGradient("StridedSlice")
def _strided_slice(op: Any, grad: Any) -> Any:
    x, *bounds = op.inputs
    sizes = shape(x, out_type=bounds[0].dtype)
    return [raw.StridedSliceGrad(sizes, *bounds, grad, **_masks(op)), None, None, None]


@RegisterGradient("StridedSliceGrad")
def _strided_slice_grad(op: Any, grad: Any) -> Any:
    bounds = op.inputs[1:4]
    return [None, None, None, None, raw.StridedSlice(grad, *bounds, **_masks(op))]


@RegisterGradient("TensorStridedSliceUpdate")
def _strided_slice_update(op: Any, grad: Any) -> Any:
    bounds, value = op.inputs[1:4], op.inputs[4]
    kept = raw.TensorStridedSliceUpdate(grad, *bounds, zeros_like(value), **_masks(op))
    return [kept, None, None, None, raw.StridedSlice(grad, *bounds, **_masks(op))]


@RegisterGradient("Reverse")
def _reverse(op: Any, grad: Any) -> Any:
    return [raw.Reverse(grad, op.inputs[1]), None]


@RegisterGradient("ReverseV2")
def _reverse_v2(op: Any, grad: Any) -> Any:
    return [raw.ReverseV2(grad, op.inputs[1]), None]


@RegisterGradient("Roll")
def _roll(op: Any, grad: Any) -> Any:
    return [raw.Roll(grad, raw.Neg(op.inputs[1]), op.inputs[2]), None, None]


@RegisterGradient("ReverseSequence")
def _reverse_sequence(op: Any, grad: Any) -> Any:
    dims = {name: op.get_attr(name) for name in ("seq_dim", "batch_dim")}
    return [raw.ReverseSequence(grad, op.inputs[1], **dims), None]


# ---- by index


def _rows(params: Tensor, indices: Tensor, grad: Any) -> IndexedSlices:
    """The gradient of reading some rows: only these rows."""
    sizes = shape(params)
    values = raw.Reshape(grad, concat([stack([size(indices)]), sizes[1:]], 0))
    return IndexedSlices(values, raw.Reshape(indices, stack([size(indices)])), sizes)


@RegisterGradient("Gather")
def _gather(op: Any, grad: Any) -> Any:
    return [_rows(op.inputs[0], op.inputs[1], grad), None]


@RegisterGradient("GatherV2")
def _gather_v2(op: Any, grad: Any) -> Any:
    params, indices, axis = op.inputs
    known = constant_value(axis)
    batch = op.get_attr("batch_dims")
    if known is not None and known == 0 and batch == 0:
        return [_rows(params, indices, grad), None, None]
    if batch < 0:
        batch += indices.shape.rank
    if known is not None and params.shape.rank is not None:
        at: Any = int(known) % params.shape.rank
    else:
        at = raw.FloorMod(axis, raw.Cast(rank(params), DstT=axis.dtype))
    sizes = shape(params)

    def count(part: Tensor) -> Tensor:
        return raw.Prod(part, [0])

    # params is seen as [batch, outer, along, inner], the gradient as [batch, outer, indices, inner]. Summing
    # by index needs the indices first, so outer moves behind them for a while.
    n_batch, outer, inner = count(sizes[:batch]), count(sizes[batch:at]), count(sizes[at + 1 :])
    along = sizes[at]
    picked = count(shape(indices)[batch:])
    seen = raw.Reshape(grad, stack([n_batch, outer, picked, inner]))
    lines = raw.Reshape(
        raw.Transpose(seen, [0, 2, 1, 3]), stack([raw.Mul(n_batch, picked), raw.Mul(outer, inner)])
    )
    flat = raw.Reshape(indices, stack([n_batch, picked]))
    first = raw.Mul(raw.Range(0, n_batch, 1), along)
    flat = raw.AddV2(flat, raw.Cast(raw.ExpandDims(first, 1), DstT=flat.dtype))
    summed = raw.UnsortedSegmentSum(lines, raw.Reshape(flat, [-1]), raw.Mul(n_batch, along))
    back = raw.Transpose(raw.Reshape(summed, stack([n_batch, along, outer, inner])), [0, 2, 1, 3])
    return [raw.Reshape(back, sizes), None, None]


@RegisterGradient("GatherNd")
def _gather_nd(op: Any, grad: Any) -> Any:
    params, indices = op.inputs
    if indices.shape.rank == 2 and indices.shape.as_list()[1] == 1:
        return [IndexedSlices(grad, raw.Squeeze(indices, squeeze_dims=[1]), shape(params)), None]
    return [raw.ScatterNd(indices, grad, shape(params, out_type=indices.dtype)), None]


@RegisterGradient("ScatterNd")
def _scatter_nd(op: Any, grad: Any) -> Any:
    return [None, raw.GatherNd(grad, op.inputs[0]), None]


@RegisterGradient("TensorScatterUpdate")
def _tensor_scatter_update(op: Any, grad: Any) -> Any:
    _, indices, updates = op.inputs
    kept = raw.TensorScatterUpdate(grad, indices, zeros_like(updates))
    # Of several updates of one place the last is what counts.
    vectors = shape(indices)[:-1]
    numbers = raw.Reshape(raw.Range(0, raw.Prod(vectors, [0]), 1), vectors)
    places = raw.Fill(shape(grad)[: shape(indices)[-1]], -1)
    last = raw.GatherNd(raw.TensorScatterUpdate(places, indices, numbers), indices)
    return [kept, None, _rows_where(raw.Equal(last, numbers), raw.GatherNd(grad, indices))]


def _rows_where(condition: Tensor, rows: Tensor) -> Tensor:
    """The rows where the condition is true, and zeros elsewhere."""
    missing = raw.Sub(rank(rows), rank(condition))
    wide = raw.Reshape(condition, concat([shape(condition), raw.Fill(stack([missing]), 1)], 0))
    return raw.SelectV2(wide, rows, zeros_like(rows))


@RegisterGradient("TensorScatterAdd")
def _tensor_scatter_add(op: Any, grad: Any) -> Any:
    return [grad, None, raw.GatherNd(grad, op.inputs[1])]


@RegisterGradient("TensorScatterSub")
def _tensor_scatter_sub(op: Any, grad: Any) -> Any:
    return [grad, None, raw.Neg(raw.GatherNd(grad, op.inputs[1]))]


# ---- by value


@RegisterGradient("DynamicPartition")
def _dynamic_partition(op: Any, *grads: Any) -> Any:
    data, partitions = op.inputs
    # The places go where the data went; by them the gradients find back.
    sizes = shape(partitions)
    places = raw.Reshape(raw.Range(0, raw.Prod(sizes, [0]), 1), sizes)
    went = raw.DynamicPartition(places, partitions, num_partitions=op.get_attr("num_partitions"))
    return [raw.Reshape(raw.DynamicStitch(went, list(grads)), shape(data)), None]


def _dynamic_stitch(op: Any, grad: Any) -> Any:
    count = op.get_attr("N")
    indices = op.inputs[:count]
    # Of several elements for one place the last is what counts.
    flat = [raw.Reshape(each, [-1]) for each in indices]
    joined = concat(flat, 0)
    numbers = raw.Range(0, size(joined), 1)
    last = raw.GatherV2(raw.DynamicStitch([joined], [numbers]), joined, 0)
    chosen = _rows_where(raw.Equal(last, numbers), raw.GatherV2(grad, joined, 0))
    parts = raw.SplitV(chosen, stack([size(each) for each in flat]), 0, num_split=count)
    data_grads = [raw.Reshape(part, shape(data)) for part, data in zip(parts, op.inputs[count:])]
    return [None] * count + data_grads


RegisterGradient("DynamicStitch")(_dynamic_stitch)
RegisterGradient("ParallelDynamicStitch")(_dynamic_stitch)


# ---- what occurs


@RegisterGradient("Unique")
@RegisterGradient("UniqueWithCounts")
@RegisterGradient("UniqueV2")
@RegisterGradient("UniqueWithCountsV2")
def _unique(op: Any, grad: Any, *_: Any) -> Any:
    """Each of the different slices is where it first occurs."""
    x, places = op.inputs[0], op.outputs[1]
    axis = constant_value(op.inputs[1]) if len(op.inputs) > 1 else np.zeros(0)
    if axis is None or x.shape.rank is None:
        raise NotImplementedError(
            f"the gradient of {op.name} needs to know its axis and the rank of its input"
        )
    order = np.arange(x.shape.rank, dtype=np.int32)
    if axis.size:
        order[[0, int(axis.flat[0])]] = order[[int(axis.flat[0]), 0]]
    count = size(places, out_type=places.dtype)
    there = raw.Range(constant(0, places.dtype), count, constant(1, places.dtype))
    front = raw.Transpose(grad, order)
    different = raw.StridedSlice(shape(front), [0], [1], [1], shrink_axis_mask=1)
    first = raw.UnsortedSegmentMin(there, places, different)
    found = raw.Transpose(raw.UnsortedSegmentSum(front, first, count), order)
    return [found] + [None] * (len(op.inputs) - 1)


@RegisterGradient("ListDiff")
def _list_diff(op: Any, grad: Any, _: Any) -> Any:
    return [raw.UnsortedSegmentSum(grad, op.outputs[1], size(op.inputs[0])), None]
