"""Arrays: making them, asking for their shapes, changing shapes, joining, repeating and padding."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.constant import constant, make_array
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.shapes import Dimension, TensorShape

__all__ = [
    "bitcast",
    "broadcast_dynamic_shape",
    "broadcast_to",
    "check_numerics",
    "concat",
    "expand_dims",
    "eye",
    "fill",
    "guarantee_const",
    "identity",
    "identity_n",
    "invert_permutation",
    "lin_space",
    "linspace",
    "matrix_transpose",
    "meshgrid",
    "one_hot",
    "ones",
    "ones_like",
    "pad",
    "parallel_stack",
    "range",
    "rank",
    "repeat",
    "reshape",
    "sequence_mask",
    "shape",
    "shape_n",
    "size",
    "split",
    "squeeze",
    "stack",
    "stop_gradient",
    "tile",
    "transpose",
    "unstack",
    "zeros",
    "zeros_like",
]

# Arrays of fewer equal elements are constants of the graph; larger ones are filled when they are needed.
_SMALL = 1000


# ---- equal elements


def _filled(value: Any, shape: Any, dtype: dtypes.DType, scope: str) -> Tensor:
    """An array of one value: a constant if the shape is known and small."""
    if not isinstance(shape, Tensor):
        try:
            static = TensorShape(shape)
        except (TypeError, ValueError):
            shape = convert_to_tensor(shape, dtypes.int32)
        else:
            count = static.num_elements()
            if count is None:
                raise ValueError(f"an array needs a fully known shape, got {static}; pass tf.shape(...)")
            if count < _SMALL:
                return constant(value, dtype, static, scope)
            shape = constant(static.as_list(), _shape_dtype(static), name="shape_as_tensor")
    if shape.dtype not in (dtypes.int32, dtypes.int64) or shape.shape.rank not in (None, 1):
        shape = raw.Reshape(shape, [-1])
    return raw.Fill(shape, constant(value, dtype), name=scope)


def _shape_dtype(static: TensorShape) -> dtypes.DType:
    fits = all(dim <= dtypes.int32.max for dim in static.as_list() if dim is not None)
    return dtypes.int32 if fits else dtypes.int64


def _zero(dtype: dtypes.DType) -> Any:
    return "" if dtype is dtypes.string else False if dtype is dtypes.bool_ else 0


def zeros(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """An array of zeros (False, empty strings).

    Args:
      shape: a list of sizes, a `TensorShape`, or an integer tensor.
      dtype: the dtype of the elements.
      name: the name of the operation.

    Returns:
      A tensor of that shape and dtype.
    """
    dtype = dtypes.as_dtype(dtype)
    with name_scope(name, "zeros", [shape]) as scope:
        return _filled(_zero(dtype), shape, dtype, scope)


def ones(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """An array of ones (True).

    Args:
      shape: a list of sizes, a `TensorShape`, or an integer tensor.
      dtype: the dtype of the elements.
      name: the name of the operation.

    Returns:
      A tensor of that shape and dtype.
    """
    dtype = dtypes.as_dtype(dtype)
    with name_scope(name, "ones", [shape]) as scope:
        return _filled(True if dtype is dtypes.bool_ else 1, shape, dtype, scope)


def zeros_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Zeros in the shape of a tensor.

    Args:
      tensor: the tensor.
      dtype: the dtype of the zeros; the tensor's if None.
      name: the name of the operation.
      optimize: whether a shape that is known now may become part of the graph.

    Returns:
      A tensor of the same shape.
    """
    with name_scope(name, "zeros_like", [tensor]) as scope:
        tensor = convert_to_tensor(tensor, name="tensor")
        dtype = tensor.dtype if dtype is None else dtypes.as_dtype(dtype)
        if optimize and tensor.shape.is_fully_defined() and dtype is not dtypes.variant:
            return zeros(tensor.shape, dtype, scope)
        if dtype is not tensor.dtype and dtype is not dtypes.variant:
            return zeros(shape(tensor), dtype, scope)
        return raw.ZerosLike(tensor, name=scope)


def ones_like(tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True) -> Tensor:
    """Ones in the shape of a tensor.

    Args:
      tensor: the tensor.
      dtype: the dtype of the ones; the tensor's if None.
      name: the name of the operation.
      optimize: whether a shape that is known now may become part of the graph.

    Returns:
      A tensor of the same shape.
    """
    with name_scope(name, "ones_like", [tensor]) as scope:
        tensor = convert_to_tensor(tensor, name="tensor")
        sizes = shape(tensor) if optimize else raw.Shape(tensor)
        return ones(sizes, tensor.dtype if dtype is None else dtype, scope)


def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """An array of one value.

    Args:
      dims: its shape, an integer vector.
      value: a scalar.
      name: the name of the operation.

    Returns:
      A tensor of shape `dims` and the dtype of `value`.
    """
    return raw.Fill(dims, value, name=name)


def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """An identity matrix, or a batch of them: ones on the diagonal, zeros elsewhere.

    Args:
      num_rows: the number of rows, an integer or a scalar tensor.
      num_columns: the number of columns; `num_rows` if None.
      batch_shape: the shape of the batch, a list or an integer vector.
      dtype: the dtype of the elements.
      name: the name of the operation.

    Returns:
      A tensor of shape `batch_shape + [num_rows, num_columns]`.
    """
    with name_scope(name, "eye", [num_rows, num_columns, batch_shape]):
        square = num_columns is None
        columns = num_rows if square else num_columns
        batch = [] if batch_shape is None else batch_shape
        if isinstance(num_rows, Tensor) or isinstance(columns, Tensor):
            diagonal: Any = raw.Minimum(num_rows, columns)
        else:
            diagonal = min(int(num_rows), int(columns))
        if isinstance(batch, Tensor) or isinstance(diagonal, Tensor):
            batch = convert_to_tensor(batch, dtypes.int32, name="shape")
            line = ones(concat([batch, [diagonal]], 0), dtype)
        else:
            line = ones([*batch, diagonal], dtype)
        if square:
            return raw.MatrixDiag(line, name="diag")
        if isinstance(batch, Tensor) or isinstance(num_rows, Tensor) or isinstance(columns, Tensor):
            batch = convert_to_tensor(batch, dtypes.int32, name="shape")
            whole = zeros(concat([batch, [num_rows, columns]], 0), dtype)
        else:
            whole = zeros([*batch, num_rows, columns], dtype)
        return raw.MatrixSetDiag(whole, line, name="set_diag")


# ---- the value itself


def identity(input: Any, name: str | None = None) -> Tensor:
    """The same value as another tensor.

    Args:
      input: a tensor, or what can become one.
      name: the name of the operation.

    Returns:
      A tensor of the same shape and dtype.
    """
    return raw.Identity(input, name=name)


def identity_n(input: Sequence[Any], name: str | None = None) -> list[Tensor]:
    """The same values as a list of tensors, of any dtypes.

    Args:
      input: the tensors.
      name: the name of the operation.

    Returns:
      As many tensors of the same shapes and dtypes.
    """
    return raw.IdentityN(input, name=name)


def stop_gradient(input: Any, name: str | None = None) -> Tensor:
    """The same value, which counts as a constant for differentiation.

    Args:
      input: a tensor.
      name: the name of the operation.

    Returns:
      A tensor of the same shape and dtype.
    """
    return raw.StopGradient(input, name=name)


def guarantee_const(input: Any, name: str | None = None) -> Tensor:
    """The same value, with the promise that it never changes.

    Args:
      input: a tensor.
      name: the name of the operation.

    Returns:
      A tensor of the same shape and dtype.
    """
    return raw.GuaranteeConst(input, name=name)


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The same value, if all elements are finite.

    Args:
      tensor: a floating point tensor.
      message: what the error begins with.
      name: the name of the operation.

    Returns:
      A tensor of the same shape and dtype.

    Raises:
      InvalidArgumentError: in a run, if there is a NaN or an infinity.
    """
    return raw.CheckNumerics(tensor, message=message, name=name)


def bitcast(input: Any, type: Any, name: str | None = None) -> Tensor:
    """The same bytes read as another dtype.

    Args:
      input: a tensor.
      type: the other dtype. If it is smaller, the result has one more dimension; if it is larger, the last
        one must have as many elements as go into one of it, and disappears.
      name: the name of the operation.

    Returns:
      A tensor of dtype `type`.
    """
    return raw.Bitcast(input, type=type, name=name)


# ---- shapes


def shape(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The shape of a tensor as a vector: a constant if it is known now.

    Args:
      input: a tensor, or a sparse one.
      name: the name of the operation.
      out_type: int32 or int64.

    Returns:
      A vector with one element for each dimension.
    """
    out_type = dtypes.as_dtype(out_type)
    with name_scope(name, "Shape", [input]) as scope:
        if hasattr(input, "dense_shape") and not isinstance(input, Tensor) and input.dense_shape is not None:
            return raw.Cast(input.dense_shape, DstT=out_type, name=scope)
        input = convert_to_tensor(input)
        if input.shape.is_fully_defined():
            return constant(input.shape.as_list(), out_type, name=scope)
        return raw.Shape(input, out_type=out_type, name=scope)


def shape_n(input: Sequence[Any], out_type: Any = dtypes.int32, name: str | None = None) -> list[Tensor]:
    """The shapes of several tensors of one dtype.

    Args:
      input: the tensors.
      out_type: int32 or int64.
      name: the name of the operation.

    Returns:
      A vector for each tensor.
    """
    return raw.ShapeN(input, out_type=out_type, name=name)


def size(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The number of elements of a tensor: a constant if it is known now.

    Args:
      input: a tensor, or a sparse one (zeros count).
      name: the name of the operation.
      out_type: int32 or int64.

    Returns:
      A scalar.
    """
    out_type = dtypes.as_dtype(out_type)
    with name_scope(name, "Size", [input]) as scope:
        if hasattr(input, "dense_shape") and not isinstance(input, Tensor) and input.dense_shape is not None:
            sizes = raw.Cast(input.dense_shape, DstT=out_type)
            return raw.Prod(sizes, [0], name=scope)
        input = convert_to_tensor(input)
        count = input.shape.num_elements()
        if count is not None:
            return constant(count, out_type, name=scope)
        return raw.Size(input, out_type=out_type, name=scope)


def rank(input: Any, name: str | None = None) -> Tensor:
    """The number of dimensions of a tensor: a constant if it is known now.

    Args:
      input: a tensor, or a sparse one.
      name: the name of the operation.

    Returns:
      An int32 scalar.
    """
    with name_scope(name, "Rank", [input]) as scope:
        if hasattr(input, "dense_shape") and not isinstance(input, Tensor) and input.dense_shape is not None:
            return raw.Size(input.dense_shape, out_type=dtypes.int32, name=scope)
        input = convert_to_tensor(input)
        if input.shape.rank is not None:
            return constant(input.shape.rank, dtypes.int32, name=scope)
        return raw.Rank(input, name=scope)


def reshape(tensor: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same elements in another shape.

    Args:
      tensor: a tensor.
      shape: the new shape, an integer vector; one element may be -1, for what is left.
      name: the name of the operation.

    Returns:
      A tensor of that shape.

    Raises:
      ValueError: if the number of elements differs.
    """
    return raw.Reshape(tensor, shape, name=name)


def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """A new dimension of size 1.

    Args:
      input: a tensor.
      axis: where the new dimension will be, from `-rank - 1` to `rank`.
      name: the name of the operation.
      dim: an older name of `axis`.

    Returns:
      A tensor of rank one higher.
    """
    axis = _one_of("axis", axis, "dim", dim)
    if axis is None:
        raise ValueError("tf.expand_dims needs an axis: where shall the new dimension be?")
    return raw.ExpandDims(input, axis, name=name)


def squeeze(input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None) -> Tensor:
    """Without dimensions of size 1.

    Args:
      input: a tensor.
      axis: the dimension or dimensions to remove; all of size 1 if None.
      name: the name of the operation.
      squeeze_dims: an older name of `axis`.

    Returns:
      A tensor of lower rank with the same elements.
    """
    axis = _one_of("axis", axis, "squeeze_dims", squeeze_dims)
    if axis is None:
        axis = []
    elif np.isscalar(axis):
        axis = [axis]
    return raw.Squeeze(input, squeeze_dims=[int(each) for each in axis], name=name)


def _one_of(name: str, value: Any, old_name: str, old_value: Any) -> Any:
    """The value of an argument that has an older name."""
    if old_value is None:
        return value
    if value is not None:
        raise ValueError(f"'{old_name}' is an older name of '{name}'; pass only one of them")
    return old_value


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape that two shapes broadcast to.

    Args:
      shape_x: an integer vector.
      shape_y: another one.

    Returns:
      An integer vector.
    """
    return raw.BroadcastArgs(shape_x, shape_y)


# ---- the order of elements


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Tensor:
    """Dimensions in another order.

    Args:
      a: a tensor.
      perm: for each dimension of the result, which one of `a` it is; all reversed if None.
      name: the name of the operation.
      conjugate: whether complex elements are conjugated, too.

    Returns:
      A tensor whose dimension i is dimension `perm[i]` of `a`.
    """
    with name_scope(name, "transpose", [a]) as scope:
        a = convert_to_tensor(a, name="a")
        function = raw.ConjugateTranspose if conjugate and a.dtype.is_complex else raw.Transpose
        if perm is None:
            if a.shape.rank is not None:
                perm = np.arange(a.shape.rank - 1, -1, -1, dtype=np.int32)
            else:
                count = raw.Rank(a)
                perm = raw.Sub(raw.Sub(count, 1), raw.Range(0, count, 1))
        return function(a, perm, name=scope)


def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """The last two dimensions exchanged.

    Args:
      a: a tensor of rank 2 or more.
      name: the name of the operation.
      conjugate: whether complex elements are conjugated, too.

    Returns:
      A tensor of shape `[..., columns, rows]`.

    Raises:
      ValueError: if `a` has fewer dimensions.
    """
    with name_scope(name, values=[a]):
        a = convert_to_tensor(a, name="a")
        count = a.shape.rank
        if count is None:
            dynamic = raw.Rank(a)
            last, before = raw.Sub(dynamic, 1), raw.Sub(dynamic, 2)
            perm: Any = concat([raw.Range(0, before, 1), stack([last, before])], 0)
        else:
            if count < 2:
                raise ValueError(f"matrix_transpose needs a tensor of rank 2 or more, got shape {a.shape}")
            perm = [*builtins.range(count - 2), count - 1, count - 2]
        return transpose(a, perm, conjugate=conjugate)


def invert_permutation(x: Any, name: str | None = None) -> Tensor:
    """The inverse of a permutation: y with `y[x[i]] = i`.

    Args:
      x: an integer vector that holds each of 0 ... n - 1 once.
      name: the name of the operation.

    Returns:
      A vector of the same size and dtype.
    """
    return raw.InvertPermutation(x, name=name)


# ---- joining and taking apart


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Arrays joined along an axis.

    Args:
      values: tensors whose shapes differ at most in that dimension.
      axis: the dimension.
      name: the name of the operation.

    Returns:
      A tensor of the same rank.
    """
    if not isinstance(values, (list, tuple)):
        values = [values]
    if len(values) == 1:  # an axis out of range is an error all the same
        with name_scope(name):
            where = convert_to_tensor(axis, dtypes.int32, name="concat_dim")
            if not where.shape.is_compatible_with([]):
                raise ValueError(f"the axis must be a scalar, got shape {where.shape}")
            return identity(values[0], name=name)
    return raw.ConcatV2(list(values), axis, name=name)


def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """Arrays of one shape stacked along a new axis.

    Args:
      values: the tensors.
      axis: where the new axis will be.
      name: the name of the operation.

    Returns:
      A tensor of rank one higher.

    Raises:
      ValueError: if the axis is out of range, or the shapes differ.
    """
    if axis == 0:
        try:
            return convert_to_tensor(values, name=name)
        except (TypeError, ValueError):
            pass  # Pack says what does not fit
    else:
        count = convert_to_tensor(values[0]).shape.rank
        if count is not None and not -count - 1 <= axis <= count:
            raise ValueError(f"axis = {axis} is not in [{-count - 1}, {count}], where a new axis can be")
    return raw.Pack(list(values), axis=axis, name=name)


def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """`stack` along the first axis; here the two are the same.

    Args:
      values: tensors of one shape.
      name: the name of the operation.

    Returns:
      A tensor of rank one higher.
    """
    return raw.Pack(list(values), name=name)


def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Tensor]:
    """The slices of an array along an axis.

    Args:
      value: a tensor of rank 1 or more.
      num: how many there are; told from the shape if None.
      axis: the axis.
      name: the name of the operation.

    Returns:
      A list of tensors of rank one lower.

    Raises:
      ValueError: if the axis is out of range, or `num` is None and cannot be told.
    """
    if num is None:
        value = convert_to_tensor(value)
        count = value.shape.rank
        if count is not None:
            if not -count <= axis < count:
                raise ValueError(f"axis = {axis} is not in [{-count}, {count}) for a value of rank {count}")
            num = value.shape.as_list()[axis]
        if num is None:
            raise ValueError(
                f"dimension {axis} of shape {value.shape} is not known, so neither is the number of slices; "
                "pass num"
            )
    return raw.Unpack(value, num=num, axis=axis, name=name)


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """Parts of an array along an axis.

    Args:
      value: a tensor.
      num_or_size_splits: the number of equal parts, or an integer vector of sizes, of which one may be -1.
      axis: the axis.
      num: the number of sizes, if it cannot be told.
      name: the name of the operation.

    Returns:
      A list of tensors.

    Raises:
      ValueError: if the number of parts cannot be told, or the dimension does not divide.
    """
    if isinstance(num_or_size_splits, (int, np.integer, Dimension)):
        return raw.Split(axis, value, num_split=int(num_or_size_splits), name=name)
    sizes = convert_to_tensor(num_or_size_splits)
    if sizes.shape.rank == 0:
        raise ValueError(
            "the number of parts must be a Python integer or a vector of sizes, not a scalar tensor"
        )
    if num is None:
        num = sizes.shape.as_list()[0] if sizes.shape.rank else None
        if num is None:
            raise ValueError(f"the number of sizes cannot be told from shape {sizes.shape}; pass num")
    return raw.SplitV(value, sizes, axis, num_split=num, name=name)


# ---- repeating and padding


def tile(input: Any, multiples: Any, name: str | None = None) -> Tensor:
    """An array repeated along each dimension.

    Args:
      input: a tensor.
      multiples: how often, an integer for each dimension.
      name: the name of the operation.

    Returns:
      A tensor with dimension i `multiples[i]` times as large.
    """
    return raw.Tile(input, multiples, name=name)


def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """An array broadcast to a shape, by the rules of arithmetic.

    Args:
      input: a tensor.
      shape: an integer vector.
      name: the name of the operation.

    Returns:
      A tensor of that shape.
    """
    return raw.BroadcastTo(input, shape, name=name)


def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Tensor:
    """Each element repeated.

    Args:
      input: a tensor.
      repeats: how often: an integer, or a vector with one for each slice along the axis.
      axis: the axis along which slices are repeated; None flattens the input first.
      name: the name of the operation.

    Returns:
      A tensor of the same rank, or a vector if `axis` is None.
    """
    with name_scope(name, "Repeat", [input, repeats]):
        input = convert_to_tensor(input)
        if axis is None:
            input, axis = raw.Reshape(input, [-1]), 0
        if input.shape.rank is None:
            raise ValueError("repeat along an axis needs a tensor of known rank")
        if axis < 0:
            axis += input.shape.rank
        repeats = convert_to_tensor(repeats, name="repeats")
        if repeats.shape.rank == 0:
            multiples = [1] * (input.shape.rank + 1)
            multiples[axis + 1] = repeats
            sizes = shape(input)
            more = raw.Tile(raw.ExpandDims(input, axis + 1), stack(multiples))
            return raw.Reshape(more, concat([sizes[:axis], [-1], sizes[axis + 1 :]], 0))
        # Slice i is taken from when all before it have been repeated until it has been, too.
        sizes = raw.StridedSlice(shape(input), [axis], [axis + 1], [1], shrink_axis_mask=1)
        each = raw.Cast(raw.Reshape(repeats, [-1]), DstT=dtypes.int32)
        each = raw.BroadcastTo(each, stack([sizes]))
        ends = raw.Cumsum(each, 0)
        total = raw.Sum(each, [0])
        starts = raw.UpperBound(raw.ExpandDims(ends, 0), raw.ExpandDims(raw.Range(0, total, 1), 0))
        return raw.GatherV2(input, raw.Reshape(starts, [-1]), axis)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", name: str | None = None, constant_values: Any = 0
) -> Tensor:
    """An array with a border.

    Args:
      tensor: a tensor.
      paddings: an integer matrix: (before, after) for each dimension.
      mode: "CONSTANT", "REFLECT" (the mirror image without its border) or "SYMMETRIC" (with it).
      name: the name of the operation.
      constant_values: the scalar that mode "CONSTANT" fills in.

    Returns:
      A larger tensor.

    Raises:
      ValueError: for an unknown mode.
    """
    mode = mode.upper()
    if mode in ("REFLECT", "SYMMETRIC"):
        return raw.MirrorPad(tensor, paddings, mode=mode, name=name)
    if mode != "CONSTANT":
        raise ValueError(f"unknown mode {mode!r} of padding; use 'CONSTANT', 'REFLECT' or 'SYMMETRIC'")
    if not isinstance(constant_values, Tensor) and np.ndim(constant_values) == 0 and constant_values == 0:
        return raw.Pad(tensor, paddings, name=name)
    return raw.PadV2(tensor, paddings, constant_values, name=name)


# ---- sequences


# In the order in which they win over one another.
_RANGE_DTYPES = [dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64]


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range") -> Tensor:
    """The numbers start, start + delta, ... before limit.

    Args:
      start: the first number; if `limit` is None, the limit, and the range starts at 0.
      limit: where to stop, exclusively.
      delta: the step.
      dtype: the dtype; the widest of the arguments' if None.
      name: the name of the operation.

    Returns:
      A vector.
    """
    if limit is None:
        start, limit = 0, start
    with name_scope(name, "Range", [start, limit, delta]) as scope:
        values = {"start": start, "limit": limit, "delta": delta}
        if dtype is None:
            given = [
                value.dtype if isinstance(value, Tensor) else dtypes.as_dtype(make_array(value).dtype)
                for value in values.values()
            ]
            if all(each in _RANGE_DTYPES for each in given):
                dtype = max(given, key=_RANGE_DTYPES.index)
        arguments = [
            _cast(value, dtype)
            if isinstance(value, Tensor) and dtype
            else convert_to_tensor(value, dtype, what)
            for what, value in values.items()
        ]
        return raw.Range(*arguments, name=scope)


def _cast(tensor: Tensor, dtype: Any) -> Tensor:
    dtype = dtypes.as_dtype(dtype)
    return tensor if tensor.dtype is dtype else raw.Cast(tensor, DstT=dtype)


def linspace(start: Any, stop: Any, num: Any, name: str | None = None) -> Tensor:
    """Numbers at equal distances, both ends included.

    Args:
      start: the first number, a float.
      stop: the last number.
      num: how many.
      name: the name of the operation.

    Returns:
      A vector of `num` numbers.
    """
    return raw.LinSpace(start, stop, num, name=name)


lin_space = linspace


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Tensor]:
    """The coordinates of all points of a grid.

    Args:
      *args: vectors of coordinates, one for each dimension.
      indexing: "xy" if the first two dimensions of the results are (y, x), "ij" for (x, y).
      name: the name of the operations.

    Returns:
      A tensor for each dimension, all of the grid's shape.

    Raises:
      ValueError: for another `indexing`.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing must be 'xy' or 'ij', got {indexing!r}")
    with name_scope(name, "meshgrid", args):
        vectors = [raw.Reshape(convert_to_tensor(vector), [-1]) for vector in args]
        order = list(builtins.range(len(vectors)))
        if indexing == "xy" and len(vectors) > 1:
            order[:2] = [1, 0]
        # Dimension order[i] of the grid runs over vector i.
        sizes: list[Any] = [None] * len(vectors)
        for i, vector in enumerate(vectors):
            sizes[order[i]] = size(vector)
        grid = stack(sizes) if sizes else None
        results = []
        for i, vector in enumerate(vectors):
            line = [1] * len(vectors)
            line[order[i]] = -1
            results.append(raw.BroadcastTo(raw.Reshape(vector, line), grid))
        return results


def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """A new axis with one value at each index and another elsewhere.

    Args:
      indices: an integer tensor; what is not in `[0, depth)` makes a line without the value.
      depth: the size of the new axis.
      on_value: the value at the index; 1 if None.
      off_value: the value elsewhere; 0 if None.
      axis: where the new axis will be; last if None.
      dtype: the dtype; that of the values if None, else float32.
      name: the name of the operation.

    Returns:
      A tensor of rank one higher than `indices`.

    Raises:
      TypeError: if the dtypes of the values differ.
    """
    with name_scope(name, "one_hot", [indices, depth, on_value, off_value]) as scope:
        dtype = None if dtype is None else dtypes.as_dtype(dtype)
        given: dict[str, Any] = {"on_value": on_value, "off_value": off_value}
        found = {
            what: convert_to_tensor(value, dtype_hint=dtype).dtype
            for what, value in given.items()
            if value is not None
        }
        for what, its in found.items():
            if dtype is not None and its is not dtype:
                raise TypeError(f"{what} is {its.name}, but dtype is {dtype.name}; they must be the same")
        if len(set(found.values())) > 1:
            raise TypeError(
                f"on_value is {found['on_value'].name}, off_value is {found['off_value'].name}; "
                "they must be of one dtype"
            )
        dtype = dtype or next(iter(found.values()), dtypes.float32)
        on, off = (
            convert_to_tensor(default if value is None else value, dtype, name=what)
            for what, value, default in (("on_value", on_value, 1), ("off_value", off_value, 0))
        )
        return raw.OneHot(indices, depth, on, off, axis=-1 if axis is None else axis, name=scope)


def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dtypes.bool_, name: str | None = None
) -> Tensor:
    """For each length n, a line that is True in its first n places.

    Args:
      lengths: an integer tensor.
      maxlen: the length of the lines; the largest of `lengths` if None.
      dtype: the dtype of the result.
      name: the name of the operations.

    Returns:
      A tensor of shape `lengths.shape + [maxlen]`.
    """
    with name_scope(name, "SequenceMask", [lengths, maxlen]):
        lengths = convert_to_tensor(lengths)
        if maxlen is None:
            flat = lengths if lengths.shape.rank == 1 else raw.Reshape(lengths, [-1])
            maxlen = raw.Maximum(raw.Max(flat, [0]), constant(0, lengths.dtype))
        else:
            maxlen = convert_to_tensor(maxlen)
        if maxlen.shape.rank not in (None, 0):
            raise ValueError(f"maxlen must be a scalar, got shape {maxlen.shape}")
        places = raw.Range(constant(0, maxlen.dtype), maxlen, constant(1, maxlen.dtype))
        mask = raw.Less(places, _cast(raw.ExpandDims(lengths, -1), maxlen.dtype))
        return _cast(mask, dtypes.as_dtype(dtype))
