"""Reductions, positions of extremes, running sums, segments and norms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.ops import array, math

__all__ = [
    "arg_max",
    "arg_min",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "norm",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "sparse_segment_mean",
    "sparse_segment_sqrt_n",
    "sparse_segment_sum",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
]


def _renamed(new: str, value: Any, old: str, deprecated: Any, default: Any = None) -> Any:
    """The value of an argument that used to have another name."""
    if deprecated is None:
        return default if value is None else value
    if value is not None:
        raise ValueError(
            f"both {new} and {old} are given, but {old} is the old name of {new}; give {new} only"
        )
    return deprecated


def _axes(x: Tensor, axis: Any) -> Any:
    """The axes to reduce, all if `axis` is None."""
    if axis is not None:
        return axis
    rank = x.shape.ndims
    if rank is not None:
        return constant(np.arange(rank, dtype=np.int32))
    return raw.Range(0, raw.Rank(x), 1, name="range")


def _apply(
    op: str,
    input_tensor: Any,
    axis: Any,
    keepdims: Any,
    name: str | None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    axis = _renamed("axis", axis, "reduction_indices", reduction_indices)
    keepdims = bool(_renamed("keepdims", keepdims, "keep_dims", keep_dims, False))
    x = convert_to_tensor(input_tensor, name="input_tensor")
    result = getattr(raw, op)(x, _axes(x, axis), keep_dims=keepdims, name=name)
    if axis is None and not keepdims and result.shape.ndims is None:
        result.set_shape([])
    return result


def _reduction(name: str, op: str, doc: str, kind: str, note: str = "") -> Callable[..., Tensor]:
    """The public function of a reduction."""

    def function(
        input_tensor: Any,
        axis: Any = None,
        keepdims: bool | None = None,
        name: str | None = None,
        reduction_indices: Any = None,
        keep_dims: bool | None = None,
    ) -> Tensor:
        return _apply(op, input_tensor, axis, keepdims, name, reduction_indices, keep_dims)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{doc}{note}

    Args:
      input_tensor: A {kind} tensor.
      axis: The axis or axes to reduce, in [-rank, rank); None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      name: Name of the operation.
      reduction_indices: The old name of `axis`.
      keep_dims: The old name of `keepdims`.

    Returns:
      A tensor of the same dtype without the reduced dimensions.

    Raises:
      ValueError: If an axis is out of range, or if both an argument and its old name are given.
    """
    return function


reduce_sum = _reduction("reduce_sum", "Sum", "Adds along axes.", "numeric")
reduce_mean = _reduction(
    "reduce_mean",
    "Mean",
    "Averages along axes.",
    "numeric",
    " The average of integers is an integer, rounded to zero.",
)
reduce_prod = _reduction("reduce_prod", "Prod", "Multiplies along axes.", "numeric")
reduce_max = _reduction("reduce_max", "Max", "Takes the largest along axes; NaN if any is.", "real")
reduce_min = _reduction("reduce_min", "Min", "Takes the smallest along axes; NaN if any is.", "real")
reduce_all = _reduction("reduce_all", "All", "Tells whether all along axes are true.", "bool")
reduce_any = _reduction("reduce_any", "Any", "Tells whether any along axes is true.", "bool")


def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Computes the square root of the sum of squares along axes.

    Args:
      input_tensor: A real tensor.
      axis: The axis or axes to reduce, None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      name: Name of the operation.
    """
    return _apply("EuclideanNorm", input_tensor, axis, keepdims, name)


def reduce_logsumexp(
    input_tensor: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """Computes `log(sum(exp(x)))` along axes without overflow.

    Args:
      input_tensor: A floating tensor.
      axis: The axis or axes to reduce, None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      name: Name of the scope.
      reduction_indices: The old name of `axis`.
      keep_dims: The old name of `keepdims`.

    Returns:
      A tensor of the same dtype without the reduced dimensions.
    """
    axis = _renamed("axis", axis, "reduction_indices", reduction_indices)
    keepdims = bool(_renamed("keepdims", keepdims, "keep_dims", keep_dims, False))
    with name_scope(name, "ReduceLogSumExp", [input_tensor]):
        x = convert_to_tensor(input_tensor, name="input_tensor")
        largest = reduce_max(x, axis, keepdims=True)
        finite = raw.Select(math.is_finite(largest), largest, array.zeros_like(largest))
        shift = raw.StopGradient(finite)
        result = math.log(reduce_sum(math.exp(math.subtract(x, shift)), axis, keepdims=keepdims))
        if not keepdims:
            shift = raw.Reshape(shift, array.shape(result))
        return math.add(result, shift)


def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Computes the variance along axes: the mean squared distance from the mean.

    Args:
      input_tensor: A floating or complex tensor.
      axis: The axis or axes to reduce, None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      name: Name of the scope.

    Raises:
      TypeError: If it is a tensor of integers.
    """
    with name_scope(name or "reduce_variance"):
        x = convert_to_tensor(input_tensor)
        if x.dtype.is_integer:
            raise TypeError(f"input_tensor is {x.dtype.name}, but a variance is no integer; use tf.cast")
        difference = x - reduce_mean(x, axis, keepdims=True)
        if difference.dtype.is_complex:
            squared = math.real(difference * math.conj(difference))
        else:
            squared = math.square(difference)
        return reduce_mean(squared, axis, keepdims=keepdims)


def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None
) -> Tensor:
    """Computes the standard deviation along axes: the square root of the variance.

    Args:
      input_tensor: A floating or complex tensor.
      axis: The axis or axes to reduce, None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      name: Name of the scope.

    Raises:
      TypeError: If it is a tensor of integers.
    """
    with name_scope(name or "reduce_std"):
        return math.sqrt(reduce_variance(input_tensor, axis, keepdims))


def count_nonzero(
    input_tensor: Any = None,
    axis: Any = None,
    keepdims: bool | None = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: bool | None = None,
    input: Any = None,
) -> Tensor:
    """Counts the elements that are not zero (not empty, of strings) along axes.

    Args:
      input_tensor: A numeric, bool or string tensor.
      axis: The axis or axes to reduce, None for all.
      keepdims: Whether reduced dimensions stay, with size 1.
      dtype: The dtype of the result.
      name: Name of the scope.
      reduction_indices: The old name of `axis`.
      keep_dims: The old name of `keepdims`.
      input: The new name of `input_tensor`.
    """
    input_tensor = _renamed("input", input, "input_tensor", input_tensor)
    if input_tensor is None:
        raise ValueError("input_tensor is missing")
    axis = _renamed("axis", axis, "reduction_indices", reduction_indices)
    keepdims = bool(_renamed("keepdims", keepdims, "keep_dims", keep_dims, False))
    with name_scope(name, "count_nonzero", [input_tensor]):
        x = convert_to_tensor(input_tensor, name="input")
        nothing = "" if x.dtype == dtypes.string else False if x.dtype.is_bool else 0
        zero = constant(nothing, x.dtype, name="zeros")
        counted = math.cast(math.not_equal(x, zero), dtypes.int64)
        return math.cast(reduce_sum(counted, axis, keepdims=keepdims), dtype)


# ---- positions of extremes


def argmax(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Tensor:
    """Computes where along an axis the largest element is, the first of equal ones.

    Args:
      input: A numeric tensor of rank 1 or more.
      axis: The axis, in [-rank, rank); by default the first.
      name: Name of the operation.
      dimension: The old name of `axis`.
      output_type: int32 or int64.

    Returns:
      A tensor of `output_type` without the dimension `axis`.
    """
    axis = _renamed("axis", axis, "dimension", dimension, 0)
    return raw.ArgMax(input, axis, output_type=output_type, name=name)


def argmin(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Tensor:
    """Computes where along an axis the smallest element is, the first of equal ones.

    Args:
      input: A numeric tensor of rank 1 or more.
      axis: The axis, in [-rank, rank); by default the first.
      name: Name of the operation.
      dimension: The old name of `axis`.
      output_type: int32 or int64.

    Returns:
      A tensor of `output_type` without the dimension `axis`.
    """
    axis = _renamed("axis", axis, "dimension", dimension, 0)
    return raw.ArgMin(input, axis, output_type=output_type, name=name)


def arg_max(input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None) -> Tensor:
    """Computes where along an axis the largest element is; see `argmax`.

    Args:
      input: A numeric tensor of rank 1 or more.
      dimension: The axis.
      output_type: int32 or int64.
      name: Name of the operation.
    """
    return raw.ArgMax(input, dimension, output_type=output_type, name=name)


def arg_min(input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None) -> Tensor:
    """Computes where along an axis the smallest element is; see `argmin`.

    Args:
      input: A numeric tensor of rank 1 or more.
      dimension: The axis.
      output_type: int32 or int64.
      name: Name of the operation.
    """
    return raw.ArgMin(input, dimension, output_type=output_type, name=name)


# ---- running values


def _scan(name: str, op: str, what: str, start: str, kind: str) -> Callable[..., Tensor]:
    def function(
        x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None
    ) -> Tensor:
        return getattr(raw, op)(x, axis, exclusive=exclusive, reverse=reverse, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""Computes running {what} along an axis.

    Args:
      x: A {kind} tensor.
      axis: The axis, in [-rank, rank).
      exclusive: Whether an element counts only for those after it; the first result is {start} then.
      reverse: Whether to go from the end to the beginning.
      name: Name of the operation.

    Returns:
      A tensor of the shape and dtype of `x`.
    """
    return function


cumsum = _scan("cumsum", "Cumsum", "sums", "0", "numeric")
cumprod = _scan("cumprod", "Cumprod", "products", "1", "numeric")
cumulative_logsumexp = _scan(
    "cumulative_logsumexp",
    "CumulativeLogsumexp",
    "values of `log(sum(exp(x)))`",
    "the lowest value",
    "floating",
)


# ---- segments


def _segment(name: str, op: str, what: str, empty: str) -> Callable[..., Tensor]:
    def function(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
        return getattr(raw, op)(data, segment_ids, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what} the rows of each segment.

    Args:
      data: A tensor of rank 1 or more; rows are along its first axis.
      segment_ids: An int32 or int64 vector: the segment of each row, sorted, from 0.
      name: Name of the operation.

    Returns:
      A tensor with one row for each segment up to the last id; segments without rows give {empty}.
    """
    return function


def _unsorted_segment(name: str, op: str, what: str, empty: str) -> Callable[..., Tensor]:
    def function(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
        return getattr(raw, op)(data, segment_ids, num_segments, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what} the rows of each segment, in any order.

    Args:
      data: A tensor.
      segment_ids: An int32 or int64 tensor whose shape begins the shape of `data`: the segment of each row,
        below `num_segments`; rows of negative segments are left out.
      num_segments: The number of segments.
      name: Name of the operation.

    Returns:
      A tensor with `num_segments` rows; segments without rows give {empty}.
    """
    return function


segment_sum = _segment("segment_sum", "SegmentSum", "Adds", "0")
segment_mean = _segment("segment_mean", "SegmentMean", "Averages", "0")
segment_prod = _segment("segment_prod", "SegmentProd", "Multiplies", "1")
segment_max = _segment("segment_max", "SegmentMax", "Takes the largest of", "0")
segment_min = _segment("segment_min", "SegmentMin", "Takes the smallest of", "0")
unsorted_segment_sum = _unsorted_segment("unsorted_segment_sum", "UnsortedSegmentSum", "Adds", "0")
unsorted_segment_prod = _unsorted_segment("unsorted_segment_prod", "UnsortedSegmentProd", "Multiplies", "1")
unsorted_segment_max = _unsorted_segment(
    "unsorted_segment_max", "UnsortedSegmentMax", "Takes the largest of", "the lowest value of the dtype"
)
unsorted_segment_min = _unsorted_segment(
    "unsorted_segment_min", "UnsortedSegmentMin", "Takes the smallest of", "the highest value of the dtype"
)


def _segment_sizes(data: Tensor, segment_ids: Tensor, num_segments: Any) -> Tensor:
    """How many rows each segment has, at least 1, in a shape that broadcasts with rows."""
    ones = array.ones(array.shape(segment_ids), data.dtype)
    counts = raw.UnsortedSegmentSum(ones, segment_ids, num_segments)
    if data.shape.ndims is not None and segment_ids.shape.ndims is not None:
        shape: Any = [-1] + [1] * (data.shape.ndims - segment_ids.shape.ndims)
    else:
        extra = raw.Sub(raw.Rank(data), raw.Rank(segment_ids))
        shape = raw.ConcatV2([constant([-1]), raw.Fill(raw.Reshape(extra, [1]), 1)], 0)
    return math.maximum(raw.Reshape(counts, shape), 1)


def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Tensor:
    """Averages the rows of each segment, in any order.

    Args:
      data: A floating tensor.
      segment_ids: An int32 or int64 tensor whose shape begins the shape of `data`: the segment of each row.
      num_segments: The number of segments.
      name: Name of the scope.

    Returns:
      A tensor with `num_segments` rows; segments without rows give 0.
    """
    with name_scope(name, "UnsortedSegmentMean"):
        data, segment_ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
        sizes = _segment_sizes(data, segment_ids, num_segments)
        return raw.UnsortedSegmentSum(data, segment_ids, num_segments) / sizes


def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Adds the rows of each segment and divides by the square root of their number.

    Args:
      data: A floating tensor.
      segment_ids: An int32 or int64 tensor whose shape begins the shape of `data`: the segment of each row.
      num_segments: The number of segments.
      name: Name of the scope.

    Returns:
      A tensor with `num_segments` rows; segments without rows give 0.
    """
    with name_scope(name, "UnsortedSegmentSqrtN"):
        data, segment_ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
        sizes = _segment_sizes(data, segment_ids, num_segments)
        return raw.UnsortedSegmentSum(data, segment_ids, num_segments) / math.sqrt(sizes)


def _sparse_segment(name: str, op: str, what: str) -> Callable[..., Tensor]:
    def function(
        data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None
    ) -> Tensor:
        if num_segments is None:
            return getattr(raw, op)(data, indices, segment_ids, name=name)
        return getattr(raw, op + "WithNumSegments")(data, indices, segment_ids, num_segments, name=name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""{what}: like the segment operation on `tf.gather(data, indices)`.

    Args:
      data: A tensor of rank 1 or more; rows are along its first axis.
      indices: An int32 or int64 vector: which rows to take.
      segment_ids: An int32 vector: the segment of each row taken, sorted, from 0.
      name: Name of the operation.
      num_segments: The number of segments, by default one more than the last id.

    Returns:
      A tensor with one row for each segment; segments without rows give 0.
    """
    return function


sparse_segment_sum = _sparse_segment(
    "sparse_segment_sum", "SparseSegmentSum", "Adds chosen rows of each segment"
)
sparse_segment_mean = _sparse_segment(
    "sparse_segment_mean", "SparseSegmentMean", "Averages chosen rows of each segment"
)
sparse_segment_sqrt_n = _sparse_segment(
    "sparse_segment_sqrt_n",
    "SparseSegmentSqrtN",
    "Adds chosen rows of each segment, over the root of their number",
)


# ---- norms


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: bool | None = None,
    name: str | None = None,
    keep_dims: bool | None = None,
) -> Tensor:
    """Computes the norm of vectors or matrices.

    Args:
      tensor: A floating or complex tensor.
      ord: "euclidean" (of a matrix, "fro"), 1, 2, `np.inf`, or any positive number p for the p-norm of
        vectors.
      axis: The axis of vectors, or the pair of axes of matrices; None takes the whole tensor for one vector.
      keepdims: Whether the axes stay, with size 1.
      name: Name of the scope.
      keep_dims: The old name of `keepdims`.

    Returns:
      A tensor of the same dtype without these axes.

    Raises:
      ValueError: If there is no such norm.
    """
    keepdims = bool(_renamed("keepdims", keepdims, "keep_dims", keep_dims, False))
    axis = tuple(axis) if isinstance(axis, list) else axis
    is_matrix = isinstance(axis, tuple)
    if is_matrix:
        if len(axis) != 2 or not all(isinstance(a, (int, np.integer)) for a in axis) or axis[0] == axis[1]:
            raise ValueError(f"axis is {axis}, expected None, an integer, or two different integers")
        known = ("euclidean", "fro", 1, 2, np.inf)
        if ord not in known:
            raise ValueError(f"ord is {ord!r}, but norms of matrices are {known}")
    elif ord == "fro" or (isinstance(ord, str) and ord != "euclidean"):
        raise ValueError(f"ord is {ord!r}, but norms of vectors are 'euclidean' or a positive number")
    elif not isinstance(ord, str) and ord <= 0:
        raise ValueError(f"ord is {ord!r}, but it must be positive")
    with name_scope(name, "norm", [tensor]):
        x = convert_to_tensor(tensor)
        if ord in ("euclidean", "fro") or (ord == 2 and not is_matrix):
            squares = x * math.conj(x)
            result = math.sqrt(reduce_sum(squares, axis, keepdims=True))
        elif ord == 2:
            result = _spectral_norm(x, axis)
        else:
            result = math.abs(x)
            if is_matrix:  # the largest sum of a column or of a row
                result = reduce_sum(result, axis[0] if ord == 1 else axis[1], keepdims=True)
                result = reduce_max(result, axis[1] if ord == 1 else axis[0], keepdims=True)
            elif ord == 1:
                result = reduce_sum(result, axis, keepdims=True)
            elif ord == np.inf:
                result = reduce_max(result, axis, keepdims=True)
            else:
                result = math.pow(reduce_sum(math.pow(result, ord), axis, keepdims=True), 1.0 / ord)
        if keepdims:
            return result
        return raw.Squeeze(result, squeeze_dims=[] if axis is None else axis if is_matrix else [axis])


def _spectral_norm(x: Tensor, axis: tuple[int, int]) -> Tensor:
    """The largest singular value, with the two axes kept."""
    rank = x.shape.ndims
    if rank is None:
        raise ValueError("the spectral norm needs a tensor of known rank; use Tensor.set_shape")
    pair = [a % rank for a in axis]
    order = [a for a in range(rank) if a not in pair] + pair
    values = math.abs(raw.Svd(raw.Transpose(x, order), compute_uv=False)[0])
    largest = raw.ExpandDims(reduce_max(values, -1, keepdims=True), -1)
    return raw.Transpose(largest, [order.index(a) for a in range(rank)])
