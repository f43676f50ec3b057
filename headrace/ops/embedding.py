"""Lookups of rows in tables, which may be divided into several."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, colocate_with, name_scope
from headrace.ops.clip import clip_by_norm
from headrace.ops.slicing import gather

__all__ = ["embedding_lookup"]


def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:
    """Looks up rows of a table.

    Args:
      params: a tensor or variable (rows, ...), or a list of them that together are the table.
      ids: an int32 or int64 tensor of row numbers.
      partition_strategy: how several parts share the rows: "mod" (row i is in part i % parts) or "div" (each
        part has consecutive rows, the first parts one more if they do not divide evenly).
      name: of the operation.
      validate_indices: accepted and without effect: row numbers are checked.
      max_norm: scale each row down to at most this l2 norm.

    Returns:
      A tensor of shape ids.shape + row shape.

    Raises:
      ValueError: if `params` is empty, or the strategy is another.
    """
    del validate_indices
    parts = list(params) if isinstance(params, list | tuple) else _parts_of(params)
    if not parts:
        raise ValueError("params is empty, expected at least one part of the table")
    if partition_strategy not in ("mod", "div"):
        raise ValueError(f"partition_strategy is {partition_strategy!r}, expected 'mod' or 'div'")
    with name_scope(name, "embedding_lookup", [*parts, ids]) as scope:
        ids = convert_to_tensor(ids, name="ids")
        if len(parts) == 1:
            rows = gather(parts[0], ids, name=scope)
            return raw.Identity(_clipped(rows, ids, max_norm))
        count = len(parts)
        flat = raw.Reshape(ids, np.array([-1], np.int32))
        places = raw.Range(0, raw.Size(flat), 1)
        if partition_strategy == "mod":
            number = convert_to_tensor(count, dtype=ids.dtype)
            owner, row = raw.FloorMod(flat, number), raw.FloorDiv(flat, number)
        else:
            owner, row = _consecutive(flat, parts)
        owner = owner if owner.dtype.name == "int32" else raw.Cast(owner, DstT="int32")
        rows_of = raw.DynamicPartition(row, owner, num_partitions=count)
        places_of = raw.DynamicPartition(places, owner, num_partitions=count)
        found = []
        for part, mine in zip(parts, rows_of):
            with colocate_with(_tensor_of(part)):
                found.append(gather(part, mine))
        stitched = raw.ParallelDynamicStitch(places_of, found, name=scope)
        row_shape = raw.StridedSlice(raw.Shape(found[0]), [1], [0], [1], end_mask=1)
        result = raw.Reshape(stitched, raw.ConcatV2([raw.Shape(ids), row_shape], 0))
        result.set_shape(ids.shape.concatenate(found[0].shape[1:]))
        return _clipped(result, ids, max_norm)


def _parts_of(params: Any) -> list[Any]:
    """The parts of a partitioned variable, which is iterable; anything else is a table by itself."""
    parts = getattr(params, "_get_variable_list", None)
    return list(parts()) if parts is not None else [params]


def _tensor_of(part: Any) -> Any:
    return getattr(part, "handle", part)


def _consecutive(flat: Tensor, parts: list[Any]) -> tuple[Tensor, Tensor]:
    """Which part has each row, and where, if parts have consecutive rows."""
    sizes = [convert_to_tensor(part).shape.as_list()[0] for part in parts]
    if None in sizes:
        sizes_now = [raw.StridedSlice(raw.Shape(part), [0], [1], [1], shrink_axis_mask=1) for part in parts]
        total: Any = raw.Cast(raw.AddN(sizes_now), DstT=flat.dtype)
    else:
        total = convert_to_tensor(sum(size or 0 for size in sizes), dtype=flat.dtype)
    count = convert_to_tensor(len(parts), dtype=flat.dtype)
    one = convert_to_tensor(1, dtype=flat.dtype)
    each, extras = raw.FloorDiv(total, count), raw.FloorMod(total, count)
    # The first `extras` parts have one row more.
    larger = raw.AddV2(each, one)
    behind = raw.Sub(flat, extras)
    owner = raw.Maximum(raw.FloorDiv(flat, larger), raw.FloorDiv(behind, each))
    row = raw.Select(raw.Less(owner, extras), raw.FloorMod(flat, larger), raw.FloorMod(behind, each))
    return owner, row


def _clipped(rows: Tensor, ids: Tensor, max_norm: Any) -> Tensor:
    if max_norm is None:
        return rows
    if ids.shape.ndims is not None and rows.shape.ndims is not None:
        axes: Any = list(range(ids.shape.ndims, rows.shape.ndims))
    else:
        axes = raw.Range(raw.Rank(ids), raw.Rank(rows), 1)
    return clip_by_norm(rows, max_norm, axes=axes)
