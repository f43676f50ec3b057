"""Pieces of arrays, by position, by index and by value; `Tensor.__getitem__`."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.shapes import Dimension, TensorShape
from headrace.ops.array import concat, ones_like, shape, stack

__all__ = [
    "batch_gather",
    "boolean_mask",
    "dynamic_partition",
    "dynamic_stitch",
    "gather",
    "gather_nd",
    "reverse",
    "reverse_sequence",
    "reverse_v2",
    "roll",
    "scatter_nd",
    "searchsorted",
    "setdiff1d",
    "slice",
    "strided_slice",
    "tensor_scatter_add",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
    "tensor_scatter_sub",
    "tensor_scatter_update",
    "unique",
    "unique_with_counts",
    "unravel_index",
    "where",
    "where_v2",
]


# ---- by position


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """A box out of an array.

    Args:
      input_: a tensor.
      begin: where the box begins, an integer for each dimension.
      size: its size, an integer for each dimension; -1 for all that is left.
      name: the name of the operation.

    Returns:
      A tensor of the same rank.
    """
    return raw.Slice(input_, begin, size, name=name)


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """An extended slice; `x[1:9:2, ..., 3]` says the same in fewer words.

    Bit i of a mask is about entry i of the three vectors.

    Args:
      input_: a tensor.
      begin: the first index of each slice.
      end: where each slice ends, exclusively.
      strides: the steps; ones if None.
      begin_mask: which beginnings do not count: the slice begins at the start.
      end_mask: which ends do not count.
      ellipsis_mask: which entry stands for all dimensions that are not named.
      new_axis_mask: which entries are new dimensions of size 1.
      shrink_axis_mask: which entries are single indices, whose dimensions disappear.
      var: not used; other front ends pass the variable that `input_` was read from.
      name: the name of the operation.

    Returns:
      A tensor.
    """
    del var
    if strides is None:
        strides = ones_like(begin)
    return raw.StridedSlice(
        input_,
        begin,
        end,
        strides,
        begin_mask=begin_mask,
        end_mask=end_mask,
        ellipsis_mask=ellipsis_mask,
        new_axis_mask=new_axis_mask,
        shrink_axis_mask=shrink_axis_mask,
        name=name,
    )


_NOT_AN_INDEX = (
    "an index must be an integer, a slice, `...`, `tf.newaxis` (None) or a scalar int32 or int64 tensor, got "
)


def _check_index(index: Any) -> None:
    if isinstance(index, (int, np.integer, Dimension)) and not isinstance(index, (bool, np.bool_)):
        return
    dtype = getattr(index, "dtype", None)
    rank = len(index.shape) if isinstance(index, np.ndarray) else None
    if isinstance(index, Tensor):
        rank = index.shape.rank
    if dtype is None or dtypes.as_dtype(dtype) not in (dtypes.int32, dtypes.int64) or rank not in (None, 0):
        raise TypeError(f"{_NOT_AN_INDEX}{index!r}; to pick several elements use tf.gather")


def _getitem(tensor: Any, key: Any, var: Any = None) -> Tensor:
    """`tensor[key]` with integers, slices, ellipsis, new axes, scalar tensors among them, or a boolean mask.

    A list is a tuple of indices, as in TensorFlow 1; several elements are picked by `tf.gather`.
    """
    del var
    is_mask = isinstance(key, bool) or (
        isinstance(key, (Tensor, np.ndarray)) and dtypes.as_dtype(key.dtype) is dtypes.bool_
    )
    if is_mask:
        return boolean_mask(tensor, key)
    items = list(key) if isinstance(key, (list, tuple)) else [key]
    begin: list[Any] = []
    end: list[Any] = []
    strides: list[Any] = []
    masks = {"begin": 0, "end": 0, "ellipsis": 0, "new_axis": 0, "shrink_axis": 0}
    for i, item in enumerate(items):
        bit = 1 << i
        if isinstance(item, builtins.slice):
            for bound, bounds, mask in ((item.start, begin, "begin"), (item.stop, end, "end")):
                if bound is None:
                    bounds.append(0)
                    masks[mask] |= bit
                else:
                    _check_index(bound)
                    bounds.append(bound)
            if item.step is not None:
                _check_index(item.step)
            strides.append(1 if item.step is None else item.step)
        elif item is Ellipsis or item is None:
            begin.append(0)
            end.append(0)
            strides.append(1)
            masks["ellipsis" if item is Ellipsis else "new_axis"] |= bit
        else:
            _check_index(item)
            begin.append(item)
            end.append(item + 1)
            strides.append(1)
            masks["shrink_axis"] |= bit
    with name_scope(None, "strided_slice", [tensor, *begin, *end, *strides]) as scope:
        if items:
            vectors = [stack(values) for values in (begin, end, strides)]
            if any(vector.dtype is dtypes.int64 for vector in vectors):
                vectors = [
                    vector if vector.dtype is dtypes.int64 else raw.Cast(vector, DstT=dtypes.int64)
                    for vector in vectors
                ]
        else:
            vectors = [constant([], dtypes.int32)] * 3
        named_masks: dict[str, Any] = {f"{what}_mask": mask for what, mask in masks.items()}
        return raw.StridedSlice(tensor, *vectors, **named_masks, name=scope)


Tensor._install("__getitem__", _getitem)


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """The elements in reverse order along some axes.

    Args:
      tensor: a tensor.
      axis: the axes, an integer vector.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.ReverseV2(tensor, axis, name=name)


reverse_v2 = reverse


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """The elements moved along axes; those that fall off come in at the other end.

    Args:
      input: a tensor.
      shift: by how many places, an integer or a vector with one for each axis.
      axis: the axis or axes.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.Roll(input, shift, axis, name=name)


def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """The beginning of each sequence of a batch in reverse order.

    Args:
      input: a tensor.
      seq_lengths: how much of each sequence to reverse, an integer vector.
      seq_axis: the dimension along which sequences run.
      batch_axis: the dimension of the batch; 0 if None.
      name: the name of the operation.
      seq_dim: an older name of `seq_axis`.
      batch_dim: an older name of `batch_axis`.

    Returns:
      A tensor of the same shape.

    Raises:
      ValueError: if `seq_axis` is missing.
    """
    seq_axis = seq_dim if seq_axis is None else seq_axis
    batch_axis = batch_dim if batch_axis is None else batch_axis
    if seq_axis is None:
        raise ValueError("reverse_sequence needs seq_axis: along which dimension do the sequences run?")
    return raw.ReverseSequence(input, seq_lengths, seq_dim=seq_axis, batch_dim=batch_axis or 0, name=name)


# ---- by index


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: int = 0,
) -> Tensor:
    """The slices of an array that indices name.

    Args:
      params: a tensor or a variable.
      indices: an integer tensor.
      validate_indices: not used; indices are always checked.
      name: the name of the operation.
      axis: the dimension to index; `batch_dims` if None.
      batch_dims: how many leading dimensions of both belong together.

    Returns:
      A tensor of shape `params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1:]`.

    Raises:
      InvalidArgumentError: in a run, for an index out of range.
    """
    del validate_indices
    axis = batch_dims if axis is None else axis
    if batch_dims == 0 and not isinstance(axis, Tensor) and axis == 0 and hasattr(params, "sparse_read"):
        return params.sparse_read(indices, name=name)
    return raw.GatherV2(params, indices, axis, batch_dims=batch_dims, name=name)


def batch_gather(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """`gather` in each element of a batch: all dimensions of `indices` but the last one.

    Args:
      params: a tensor.
      indices: an integer tensor of known rank.
      name: the name of the operation.

    Returns:
      A tensor of shape `indices.shape + params.shape[indices.rank:]`.

    Raises:
      ValueError: if the rank of the indices is not known.
    """
    with name_scope(name, "BatchGather", [params, indices]) as scope:
        indices = convert_to_tensor(indices, name="indices")
        params = convert_to_tensor(params, name="params")
        count = indices.shape.rank
        if count is None:
            raise ValueError("batch_gather needs indices of known rank")
        return gather(params, indices, batch_dims=count - 1, name=scope)


def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Tensor:
    """The slices of an array that index vectors name.

    Args:
      params: a tensor or a variable.
      indices: an integer tensor, whose last dimension holds the vectors.
      name: the name of the operation.
      batch_dims: how many leading dimensions of both belong together.

    Returns:
      A tensor of shape `indices.shape[:-1] + params.shape[batch_dims + indices.shape[-1]:]`.

    Raises:
      InvalidArgumentError: in a run, for an index out of range.
    """
    if batch_dims == 0:
        if hasattr(params, "gather_nd"):
            return params.gather_nd(indices, name=name)
        return raw.GatherNd(params, indices, name=name)
    with name_scope(name, "BatchGatherND", [params, indices]) as scope:
        params = convert_to_tensor(params, name="params")
        indices = convert_to_tensor(indices, name="indices")
        count = indices.shape.rank
        if count is None or not 0 < batch_dims < count:
            raise ValueError(
                f"batch_dims = {batch_dims} must be positive and less than the rank of the indices, "
                f"whose shape is {indices.shape}"
            )
        # Each vector is led by the place of its batch.
        sizes = shape(indices)
        column = concat([sizes[:-1], [1]], 0)
        parts = []
        for i in builtins.range(batch_dims):
            line = [1] * count
            line[i] = -1
            places = raw.Cast(raw.Range(0, sizes[i], 1), DstT=indices.dtype)
            parts.append(raw.BroadcastTo(raw.Reshape(places, line), column))
        return raw.GatherNd(params, concat([*parts, indices], -1), name=scope)


def unravel_index(indices: Any, dims: Any, name: str | None = None) -> Tensor:
    """The index vectors of flat indices.

    Args:
      indices: an integer scalar or vector: places in the elements of an array, in row-major order.
      dims: the shape of that array, an integer vector.
      name: the name of the operation.

    Returns:
      A tensor of shape `[len(dims)] + indices.shape`.
    """
    return raw.UnravelIndex(indices, dims, name=name)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros with updates added at the places of index vectors.

    Args:
      indices: an integer tensor, whose last dimension holds the vectors.
      updates: a tensor of shape `indices.shape[:-1] + shape[indices.shape[-1]:]`.
      shape: the shape of the result, an integer vector of the dtype of the indices.
      name: the name of the operation.

    Returns:
      A tensor of that shape.
    """
    return raw.ScatterNd(indices, updates, shape, name=name)


def tensor_scatter_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with elements replaced at the places of index vectors.

    Args:
      tensor: the tensor.
      indices: an integer tensor, whose last dimension holds the vectors.
      updates: the new elements, of shape `indices.shape[:-1] + tensor.shape[indices.shape[-1]:]`.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.TensorScatterUpdate(tensor, indices, updates, name=name)


def tensor_scatter_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with updates added at the places of index vectors.

    Args:
      tensor: the tensor.
      indices: an integer tensor, whose last dimension holds the vectors.
      updates: what to add, of shape `indices.shape[:-1] + tensor.shape[indices.shape[-1]:]`.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.TensorScatterAdd(tensor, indices, updates, name=name)


def tensor_scatter_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Tensor:
    """A tensor with updates subtracted at the places of index vectors.

    Args:
      tensor: the tensor.
      indices: an integer tensor, whose last dimension holds the vectors.
      updates: what to subtract, of shape `indices.shape[:-1] + tensor.shape[indices.shape[-1]:]`.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.TensorScatterSub(tensor, indices, updates, name=name)


tensor_scatter_nd_update = tensor_scatter_update
tensor_scatter_nd_add = tensor_scatter_add
tensor_scatter_nd_sub = tensor_scatter_sub


# ---- by value


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """The places of what is true; or elements chosen from two arrays.

    Args:
      condition: a tensor; a boolean one if `x` and `y` are given.
      x: the elements where the condition is true. Of the same shape as the condition, or with a row for each
        element of a vector of conditions.
      y: the elements elsewhere, of the shape of `x`.
      name: the name of the operation.

    Returns:
      Without `x` and `y` an int64 tensor with a row of indices for each place, else a tensor like `x`.

    Raises:
      ValueError: if only one of `x` and `y` is given.
    """
    if x is None and y is None:
        return raw.Where(condition, name=name)
    if x is None or y is None:
        raise ValueError("tf.where needs both x and y, or neither")
    return raw.Select(condition, x, y, name=name)


def where_v2(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """`where` that broadcasts condition, `x` and `y`.

    Args:
      condition: a tensor; a boolean one if `x` and `y` are given.
      x: the elements where the condition is true.
      y: the elements elsewhere.
      name: the name of the operation.

    Returns:
      Without `x` and `y` an int64 tensor with a row of indices for each place, else a tensor of the shape
      that all three broadcast to.

    Raises:
      ValueError: if only one of `x` and `y` is given.
    """
    if x is None and y is None:
        return raw.Where(condition, name=name)
    if x is None or y is None:
        raise ValueError("tf.where_v2 needs both x and y, or neither")
    return raw.SelectV2(condition, x, y, name=name)


def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: int | None = None) -> Tensor:
    """The slices of an array where a mask is true.

    Args:
      tensor: a tensor.
      mask: a boolean tensor of known rank, of the shape of `tensor` from `axis` on.
      name: the name of the operations.
      axis: the first dimension that is masked; 0 if None.

    Returns:
      A tensor in which one dimension takes the place of the masked ones.

    Raises:
      ValueError: if the rank of the mask is unknown or 0, or the shapes differ.
    """
    with name_scope(name, values=[tensor, mask]):
        tensor = convert_to_tensor(tensor, name="tensor")
        mask = convert_to_tensor(mask, name="mask")
        count = mask.shape.rank
        if count is None:
            raise ValueError(
                "the rank of the mask must be known; give its placeholder a shape such as [None]"
            )
        if count == 0:
            raise ValueError("the mask is a scalar; it must have a dimension")
        first = 0 if axis is None else int(axis)
        if tensor.shape.rank is not None:
            if first < 0:
                first += tensor.shape.rank
            masked = tensor.shape[first : first + count]
            if not masked.is_compatible_with(mask.shape):
                raise ValueError(f"the mask has shape {mask.shape}, what it is for has {masked}")
        if count > 1:
            sizes = shape(tensor)
            merged = concat([sizes[:first], [-1], sizes[first + count :]], 0)
            static = tensor.shape
            tensor = raw.Reshape(tensor, merged)
            if static.rank is not None:
                tensor.set_shape([*static[:first], None, *static[first + count :]])
            mask = raw.Reshape(mask, [-1])
        places = raw.Squeeze(raw.Where(mask), squeeze_dims=[1])
        return gather(tensor, places, axis=first)


def unique(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """The different elements of a vector, in the order in which they first occur.

    Args:
      x: a vector.
      out_idx: the dtype of the indices, int32 or int64.
      name: the name of the operation.

    Returns:
      A named tuple: `y`, the different elements, and `idx`, with `x[i] = y[idx[i]]`.
    """
    return raw.Unique(x, out_idx=out_idx, name=name)


def unique_with_counts(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """`unique`, and how often each element occurs.

    Args:
      x: a vector.
      out_idx: the dtype of indices and counts, int32 or int64.
      name: the name of the operation.

    Returns:
      A named tuple `(y, idx, count)`.
    """
    return raw.UniqueWithCounts(x, out_idx=out_idx, name=name)


def setdiff1d(x: Any, y: Any, index_dtype: Any = dtypes.int32, name: str | None = None) -> Any:
    """The elements of one vector that are not in another.

    Args:
      x: a vector.
      y: a vector of the same dtype.
      index_dtype: the dtype of the indices, int32 or int64.
      name: the name of the operation.

    Returns:
      A named tuple: `out`, the elements, and `idx`, their places in `x`.
    """
    return raw.ListDiff(x, y, out_idx=index_dtype, name=name)


def searchsorted(
    sorted_sequence: Any,
    values: Any,
    side: str = "left",
    out_type: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """Where values could go into sorted sequences.

    Args:
      sorted_sequence: a tensor, sorted along its last dimension.
      values: a tensor with the same leading dimensions.
      side: "left" for the first place that keeps the order, "right" for the last one.
      out_type: int32 or int64.
      name: the name of the operation.

    Returns:
      A tensor of the shape of `values`.

    Raises:
      ValueError: for another side.
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', got {side!r}")
    sequences = convert_to_tensor(sorted_sequence)
    values = convert_to_tensor(values, sequences.dtype)
    rows = [raw.Reshape(each, stack([-1, shape(each)[-1]])) for each in (sequences, values)]
    function = raw.LowerBound if side == "left" else raw.UpperBound
    return raw.Reshape(function(*rows, out_type=out_type, name=name), shape(values))


def dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[Tensor]:
    """The slices of an array shared out among several.

    Args:
      data: a tensor.
      partitions: int32; the partition of each slice, of the shape with which that of `data` begins.
      num_partitions: how many partitions there are.
      name: the name of the operation.

    Returns:
      A list of tensors of shape `[number of slices] + data.shape[partitions.rank:]`.
    """
    return raw.DynamicPartition(data, partitions, num_partitions=num_partitions, name=name)


def dynamic_stitch(indices: Any, data: Any, name: str | None = None) -> Tensor:
    """Slices of several arrays put together into one: `merged[indices[m][i]] = data[m][i]`.

    Args:
      indices: int32 tensors.
      data: as many tensors; the shape of each begins with that of its indices, and goes on the same for all.
      name: the name of the operation.

    Returns:
      A tensor of shape `[largest index + 1] + data[m].shape[indices[m].rank:]`.
    """
    return raw.DynamicStitch(indices, data, name=name)
