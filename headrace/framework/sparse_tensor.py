"""Sparse tensors: a list of places, and a value for each."""

from __future__ import annotations

import collections
from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Graph, Operation, Tensor
from headrace.framework.shapes import TensorShape

SparseTensorValue = collections.namedtuple("SparseTensorValue", ["indices", "values", "dense_shape"])


class SparseTensor:
    """The tensor of shape `dense_shape` that is `values[i]` at `indices[i]`, and zero or empty elsewhere.

    Most functions want the indices in row-major order; see `tf.sparse.reorder`.

    Args:
      indices: int64, of shape `[n, rank]`.
      values: of shape `[n]`.
      dense_shape: int64, of shape `[rank]`.

    Raises:
      ValueError: if the shapes do not fit together.
    """

    _composite_tensor = True

    def __init__(self, indices: Any, values: Any, dense_shape: Any):
        self._indices = convert_to_tensor(indices, dtypes.int64, name="indices")
        self._values = convert_to_tensor(values, name="values")
        self._dense_shape = convert_to_tensor(dense_shape, dtypes.int64, name="dense_shape")
        self._told_shape = TensorShape(None)  # what is known beyond what the tensors tell
        places = self._indices.shape.with_rank(2)
        places[0].assert_is_compatible_with(self._values.shape.with_rank(1)[0])
        places[1].assert_is_compatible_with(self._dense_shape.shape.with_rank(1)[0])

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        """A sparse tensor of constants.

        Args:
          sparse_tensor_value: a `SparseTensorValue`, or a tuple of its fields; or a `SparseTensor`.

        Raises:
          TypeError: if it is neither.
        """
        if isinstance(sparse_tensor_value, SparseTensor):
            return sparse_tensor_value
        if not isinstance(sparse_tensor_value, tuple) or len(sparse_tensor_value) != 3:
            raise TypeError(f"expected a SparseTensorValue, got {sparse_tensor_value!r}")
        return cls(*sparse_tensor_value)

    @property
    def indices(self) -> Tensor:
        """The places of the values."""
        return self._indices

    @property
    def values(self) -> Tensor:
        """The values."""
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        """The shape of the whole, as a tensor."""
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape of the whole."""
        ints = self._dense_shape.graph._core.ints(self._dense_shape._id, self._dense_shape._index)
        if ints is not None:
            return self._told_shape.merge_with(TensorShape(ints))
        rank = self._indices.shape.merge_with([None, self._dense_shape.shape[0]])[1].value
        return self._told_shape.merge_with(None if rank is None else [None] * rank)

    def get_shape(self) -> TensorShape:
        """The same as `shape`."""
        return self.shape

    @property
    def op(self) -> Operation:
        """The operation that makes `values`."""
        return self._values.op

    @property
    def name(self) -> str:
        """The name of `values`."""
        return self._values.name

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of `values`."""
        return self._values.dtype

    @property
    def graph(self) -> Graph:
        """The graph that the tensors are in."""
        return self._values.graph

    def eval(self, feed_dict: Any = None, session: Any = None) -> SparseTensorValue:
        """The value in a session, by default in the default session."""
        return SparseTensorValue(
            *[part.eval(feed_dict, session) for part in (self._indices, self._values, self._dense_shape)]
        )

    def __str__(self) -> str:
        return (
            f"SparseTensor(indices={self._indices}, values={self._values}, dense_shape={self._dense_shape})"
        )

    __repr__ = __str__


def convert_to_tensor_or_sparse_tensor(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A `SparseTensor` for what is one or its value, and a tensor for everything else.

    Raises:
      TypeError: if it is of another dtype.
    """
    if isinstance(value, SparseTensorValue):
        value = SparseTensor.from_value(value)
    if not isinstance(value, SparseTensor):
        return convert_to_tensor(value, dtype, name)
    if dtype is not None and dtypes.as_dtype(dtype) != value.dtype:
        raise TypeError(f"expected a sparse tensor of {dtypes.as_dtype(dtype).name}, got {value.dtype.name}")
    return value
