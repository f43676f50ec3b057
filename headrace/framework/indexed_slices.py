"""Slices of a large tensor: the gradients of what reads only some rows."""

from __future__ import annotations

import collections
from typing import Any

from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor, register_tensor_conversion_function
from headrace.framework.graph import Graph, Operation, Tensor
from headrace.framework.shapes import TensorShape

IndexedSlicesValue = collections.namedtuple("IndexedSlicesValue", ["values", "indices", "dense_shape"])


class IndexedSlices:
    """The tensor whose row `indices[i]` is `values[i]`, summed where indices repeat, and zero elsewhere.

    Args:
      values: of shape `[n, d1, ...]`.
      indices: integers, of shape `[n]`.
      dense_shape: the shape `[d0, d1, ...]` of the whole, an integer vector, or None if it is not known.
    """

    _composite_tensor = True

    def __init__(self, values: Tensor, indices: Tensor, dense_shape: Tensor | None = None):
        self._values = values
        self._indices = indices
        self._dense_shape = dense_shape

    @property
    def values(self) -> Tensor:
        """The rows."""
        return self._values

    @property
    def indices(self) -> Tensor:
        """Where the rows belong."""
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        """The shape of the whole, or None."""
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape of the whole."""
        if self._dense_shape is None:
            return TensorShape([None]).concatenate(self._values.shape[1:])
        ints = self._dense_shape.graph._core.ints(self._dense_shape._id, self._dense_shape._index)
        return TensorShape(ints)

    @property
    def name(self) -> str:
        """The name of `values`."""
        return self._values.name

    @property
    def device(self) -> str:
        """The device of `values`."""
        return self._values.device

    @property
    def op(self) -> Operation:
        """The operation that makes `values`."""
        return self._values.op

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of `values`."""
        return self._values.dtype

    @property
    def graph(self) -> Graph:
        """The graph that the tensors are in."""
        return self._values.graph

    def __str__(self) -> str:
        shape = "" if self._dense_shape is None else f", dense_shape={self._dense_shape}"
        return f"IndexedSlices(indices={self._indices}, values={self._values}{shape})"

    __repr__ = __str__

    def __neg__(self) -> IndexedSlices:
        return IndexedSlices(-self._values, self._indices, self._dense_shape)


def convert_to_tensor_or_indexed_slices(value: Any, dtype: Any = None, name: str | None = None) -> Any:
    """`value` itself if it is `IndexedSlices`, else as a tensor.

    Raises:
      TypeError: if it is of another dtype.
    """
    if not isinstance(value, IndexedSlices):
        return convert_to_tensor(value, dtype, name)
    if dtype is not None and dtypes.as_dtype(dtype) != value.dtype:
        raise TypeError(f"expected {dtypes.as_dtype(dtype).name} slices, got {value.dtype.name}")
    return value


def convert_n_to_tensor_or_indexed_slices(
    values: Any, dtype: Any = None, name: str | None = None
) -> list[Any]:
    """`convert_to_tensor_or_indexed_slices` of each value that is not None."""
    return [
        None
        if value is None
        else convert_to_tensor_or_indexed_slices(value, dtype, None if name is None else f"{name}_{i}")
        for i, value in enumerate(values)
    ]


def _to_dense(
    value: IndexedSlices, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Tensor:
    if dtype is not None and dtype != value.dtype:
        raise TypeError(f"expected {dtype.name} slices, got {value.dtype.name}")
    if value.dense_shape is None:
        raise ValueError(f"{value} has no dense_shape, so that it cannot become a tensor")
    rows = raw.StridedSlice(
        value.dense_shape, [0], [1], [1], shrink_axis_mask=1, name=None if name is None else f"{name}_rows"
    )
    return raw.UnsortedSegmentSum(value.values, value.indices, rows, name=name)


register_tensor_conversion_function(IndexedSlices, _to_dense)
