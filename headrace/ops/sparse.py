"""Functions on sparse tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.placeholder import placeholder
from headrace.framework.shapes import TensorShape
from headrace.framework.sparse_tensor import SparseTensor, SparseTensorValue
from headrace.ops import array, math

__all__ = [
    "sparse_merge",
    "sparse_placeholder",
    "sparse_reorder",
    "sparse_tensor_to_dense",
    "sparse_to_dense",
]


def _sparse(value: Any) -> SparseTensor:
    """`value` as a sparse tensor.

    Raises:
      TypeError: if it is none.
    """
    if isinstance(value, SparseTensorValue):
        return SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        raise TypeError(f"expected a SparseTensor, got {value!r}")
    return value


def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A sparse tensor that must be fed, with a `SparseTensorValue` or a tuple of its fields.

    Args:
      dtype: the dtype of the values.
      shape: what is known of the dense shape: None for nothing, None in a list for an unknown size.
      name: prefix of the names of its parts.
    """
    known = TensorShape(shape)
    prefix = "" if name is None else f"{name}/"
    rank = known.ndims
    values = placeholder(dtype, [None], name=prefix + "values" if prefix else None)
    indices = placeholder(dtypes.int64, [None, rank], name=prefix + "indices" if prefix else None)
    dense_shape = placeholder(dtypes.int64, [rank], name=prefix + "shape" if prefix else None)
    sparse = SparseTensor(indices, values, dense_shape)
    sparse._told_shape = known
    return sparse


def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """A tensor with values at some places.

    Args:
      sparse_indices: int32 or int64, the places: `[n, rank]`, or `[n]` or a scalar for a vector.
      output_shape: the shape, of the dtype of `sparse_indices`.
      sparse_values: a value for each place, or one for all.
      default_value: the value elsewhere.
      validate_indices: whether the places must be in order, each once.
      name: of the operation.

    Raises:
      ValueError: if shapes do not fit together.
      errors.InvalidArgumentError: at run time, if a place is outside, or `validate_indices` fails.
    """
    values = convert_to_tensor(sparse_values, name="sparse_values")
    indices = convert_to_tensor(sparse_indices, name="sparse_indices")
    return raw.SparseToDense(
        indices,
        convert_to_tensor(output_shape, indices.dtype, name="output_shape"),
        values,
        convert_to_tensor(default_value, values.dtype, name="default_value"),
        validate_indices=validate_indices,
        name=name,
    )


def sparse_tensor_to_dense(
    sp_input: Any, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Tensor:
    """A sparse tensor as a dense one.

    Args:
      sp_input: a `SparseTensor`.
      default_value: the value where it has none; zero, False or empty by default.
      validate_indices: whether its indices must be in order, each once.
      name: of the operation.

    Raises:
      TypeError: if `sp_input` is no sparse tensor.
      errors.InvalidArgumentError: at run time, as `sparse_to_dense`.
    """
    sparse = _sparse(sp_input)
    if default_value is None:
        default_value = array.zeros([], sparse.dtype)
    dense = sparse_to_dense(
        sparse.indices, sparse.dense_shape, sparse.values, default_value, validate_indices, name
    )
    dense.set_shape(sparse.shape)
    return dense


def sparse_reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """A sparse tensor with its elements in row-major order.

    Args:
      sp_input: a `SparseTensor`.
      name: of the operation.

    Raises:
      TypeError: if `sp_input` is no sparse tensor.
      errors.InvalidArgumentError: at run time, if an index is outside of the shape.
    """
    sparse = _sparse(sp_input)
    indices, values = raw.SparseReorder(sparse.indices, sparse.values, sparse.dense_shape, name=name)
    return SparseTensor(indices, values, array.identity(sparse.dense_shape))


def sparse_merge(
    sp_ids: Any,
    sp_values: Any,
    vocab_size: Any,
    name: str | None = None,
    already_sorted: bool = False,
) -> SparseTensor:
    """A sparse tensor out of one that tells where values are in the last dimension, and one of the values.

    Element `[b, ids[b, k]]` of the result is `values[b, k]`.

    Args:
      sp_ids: a `SparseTensor` of integers, or a list of them for as many last dimensions.
      sp_values: a `SparseTensor` with the indices of `sp_ids`.
      vocab_size: the size of the last dimension, or a list of sizes.
      name: of the scope.
      already_sorted: whether the ids are in order, so that they need not be sorted.

    Raises:
      TypeError: if there is something else than sparse tensors of integers.
      ValueError: if there are not as many sizes as ids.
    """
    many = isinstance(sp_ids, Sequence) and not isinstance(sp_ids, SparseTensorValue)
    ids = [_sparse(one) for one in (sp_ids if many else [sp_ids])]
    sizes = list(vocab_size) if many else [vocab_size]
    values = _sparse(sp_values)
    if len(ids) != len(sizes):
        raise ValueError(f"there are {len(ids)} sp_ids and {len(sizes)} sizes in vocab_size")
    for one in ids:
        if not one.dtype.is_integer:
            raise TypeError(f"ids must be integers, got {one.dtype.name}")
    with name_scope(name, "SparseMerge", [values.values]):
        columns = [array.expand_dims(math.cast(one.values, dtypes.int64), 1) for one in ids]
        indices = array.concat([ids[0].indices[:, :-1], *columns], 1)
        last = [math.cast(size, dtypes.int64) for size in sizes]
        sparse = SparseTensor(
            indices, values.values, array.concat([ids[0].dense_shape[:-1], array.stack(last)], 0)
        )
        return sparse if already_sorted else sparse_reorder(sparse)
