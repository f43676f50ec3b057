"""Partitioners: into how many parts variables are cut."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from headrace.framework import dtypes
from headrace.framework.shapes import TensorShape
from headrace.ops.variable_scope import get_variable, known_sizes, variable_scope
from headrace.ops.variables import Variable

__all__ = [
    "create_partitioned_variables",
    "fixed_size_partitioner",
    "min_max_variable_partitioner",
    "variable_axis_size_partitioner",
]

Partitioner = Callable[[TensorShape, dtypes.DType], list[int]]


def _element_bytes(dtype: Any, bytes_per_string_element: int) -> int:
    dtype = dtypes.as_dtype(dtype)
    return bytes_per_string_element if dtype == dtypes.string else dtype.size


def _along(axis: int, count: int, shape: TensorShape) -> list[int]:
    partitions = [1] * len(shape)
    partitions[axis] = count
    return partitions


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """Returns a partitioner that cuts into a fixed number of parts, at most one for each row.

    Args:
        num_shards: How many parts.
        axis: The axis that is cut.
    """

    def partitioner(shape: TensorShape, dtype: Any = None, **_: Any) -> list[int]:
        return _along(axis, min(num_shards, known_sizes(shape)[axis]), shape)

    return partitioner


def variable_axis_size_partitioner(
    max_shard_bytes: int, axis: int = 0, bytes_per_string_element: int = 16, max_shards: int | None = None
) -> Partitioner:
    """Returns a partitioner that keeps parts below a size.

    Args:
        max_shard_bytes: The greatest size of a part, in bytes.
        axis: The axis that is cut.
        bytes_per_string_element: What a string is reckoned to take.
        max_shards: The greatest number of parts, which goes first.

    Raises:
        ValueError: If a number is not positive.
    """
    if max_shard_bytes < 1 or bytes_per_string_element < 1 or (max_shards is not None and max_shards < 1):
        raise ValueError("max_shard_bytes, bytes_per_string_element and max_shards must be positive")

    def partitioner(shape: TensorShape, dtype: Any) -> list[int]:
        length = known_sizes(shape)[axis]
        row = _elements(shape) // max(length, 1) * _element_bytes(dtype, bytes_per_string_element)
        rows = max(1, max_shard_bytes // row) if row else length
        count = min(length, -(-length // max(rows, 1)))
        if max_shards is not None:
            count = min(count, max_shards)
        return _along(axis, max(count, 1), shape)

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:
    """Returns a partitioner that makes as many parts as it may, none below a size.

    Args:
        max_partitions: The greatest number of parts.
        axis: The axis that is cut.
        min_slice_size: The least size of a part, in bytes.
        bytes_per_string_element: What a string is reckoned to take.
    """

    def partitioner(shape: TensorShape, dtype: Any) -> list[int]:
        total = _elements(shape) * _element_bytes(dtype, bytes_per_string_element)
        count = max(1, min(total // min_slice_size, max_partitions, known_sizes(shape)[axis]))
        return _along(axis, count, shape)

    return partitioner


def _elements(shape: TensorShape) -> int:
    return prod(known_sizes(shape))


def create_partitioned_variables(
    shape: Any,
    slicing: list[int],
    initializer: Any,
    dtype: Any = dtypes.float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> list[Variable]:
    """Returns the parts of a new variable.

    Args:
        shape: Shape of the whole.
        slicing: The number of parts along each axis, more than one along one axis at most.
        initializer: See `get_variable`, also for the others.
        dtype: The dtype.
        trainable: See `get_variable`.
        collections: See `get_variable`.
        name: Name of the whole, "PartitionedVariable" by default.
        reuse: See `variable_scope`.

    Raises:
        ValueError: If `slicing` does not fit the shape.
    """
    if len(shape) != len(slicing):
        raise ValueError(f"shape {shape} has {len(shape)} axes, slicing {slicing} has {len(slicing)}")

    def partitioner(**_: Any) -> list[int]:
        return list(slicing)

    with variable_scope(name, "PartitionedVariable", reuse=reuse):
        whole = get_variable(
            "part" if name is None else name,
            shape=shape,
            dtype=dtype,
            initializer=initializer,
            trainable=trainable,
            partitioner=partitioner,
            collections=collections,
        )
        return whole._get_variable_list()
