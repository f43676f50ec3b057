"""Clipping by norm. Clipping by value is in `math`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, colocate_with, name_scope
from headrace.framework.indexed_slices import IndexedSlices
from headrace.ops import array, math, reduce, slicing

__all__ = ["clip_by_average_norm", "clip_by_global_norm", "clip_by_norm", "global_norm"]


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """Scales a tensor down to an l2 norm of at most `clip_norm`: `t * clip_norm / max(norm, clip_norm)`.

    Args:
        t: A floating tensor or `IndexedSlices`.
        clip_norm: The greatest norm: a positive scalar.
        axes: Dimensions over which to compute the norm, by default all.
        name: Name of the result.

    Returns:
        What `t` is, of the same shape and dtype.
    """
    with name_scope(name, "clip_by_norm") as scope:
        values = _values(t)
        total = reduce.reduce_sum(values * values, axes, keepdims=True)
        # The root has no gradient at zero: keep it away from there.
        positive = total > 0
        safe = slicing.where(positive, total, array.ones_like(total))
        norm = slicing.where(positive, math.sqrt(safe), total)
        clipped = values * clip_norm / math.maximum(norm, clip_norm)
        return _like(t, array.identity(clipped, name=scope))


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Any:
    """Scales a tensor down to an l2 norm per element (norm / size) of at most `clip_norm`.

    Args:
        t: A floating tensor.
        clip_norm: The greatest average norm: a positive scalar.
        name: Name of the result.
    """
    with name_scope(name, "clip_by_average_norm") as scope:
        values = convert_to_tensor(t)
        size = math.cast(array.size(values), values.dtype)
        inverse = size * math.rsqrt(reduce.reduce_sum(values * values))
        limit = 1.0 / convert_to_tensor(clip_norm, dtype=values.dtype)
        return array.identity(values * clip_norm * math.minimum(inverse, limit), name=scope)


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor:
    """Returns the l2 norm of many tensors together: `sqrt(sum(sum(t**2) for t in t_list))`.

    Args:
        t_list: Floating tensors, `IndexedSlices` and None, which is passed over.
        name: Name scope.

    Returns:
        A scalar; 0 if there is no tensor.

    Raises:
        TypeError: If `t_list` is not a sequence.
    """
    _check_sequence(t_list)
    with name_scope(name, "global_norm"):
        halves = []
        for t in t_list:
            if t is None:
                continue
            values = _values(t)
            with colocate_with(values.op):
                halves.append(raw.L2Loss(values))
        if not halves:
            return convert_to_tensor(0.0, name="global_norm")
        total = reduce.reduce_sum(array.stack(halves))
        return math.sqrt(total * convert_to_tensor(2.0, dtype=total.dtype), name="global_norm")


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Tensor | None = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """Scales many tensors down together, so that their `global_norm` is at most `clip_norm`.

    This keeps the direction of a gradient. See Pascanu et al., 2012, https://arxiv.org/abs/1211.5063.

    Args:
        t_list: Floating tensors, `IndexedSlices` and None, which stays None.
        clip_norm: The greatest norm: a positive scalar.
        use_norm: The global norm if it is known already.
        name: Name scope.

    Returns:
        The scaled tensors and the norm before. If that is not finite, the tensors become NaN.

    Raises:
        TypeError: If `t_list` is not a sequence.
    """
    _check_sequence(t_list)
    norm = global_norm(t_list, name) if use_norm is None else use_norm
    with name_scope(name, "clip_by_global_norm"):
        limit = convert_to_tensor(clip_norm, dtype=norm.dtype)
        scale = limit * math.minimum(1.0 / norm, 1.0 / limit)
        scale = slicing.where(math.is_finite(norm), scale, convert_to_tensor(float("nan"), dtype=scale.dtype))
        clipped: list[Any] = []
        for i, t in enumerate(t_list):
            if t is None:
                clipped.append(None)
                continue
            values = _values(t)
            with colocate_with(values.op):
                clipped.append(_like(t, array.identity(values * scale, name=f"clip_by_global_norm/_{i}")))
        return clipped, norm


def _values(t: Any) -> Tensor:
    return t.values if isinstance(t, IndexedSlices) else convert_to_tensor(t)


def _like(t: Any, values: Tensor) -> Any:
    return IndexedSlices(values, t.indices, t.dense_shape) if isinstance(t, IndexedSlices) else values


def _check_sequence(t_list: Any) -> None:
    if not isinstance(t_list, (list, tuple)):
        raise TypeError(f"t_list is a {type(t_list).__name__}; pass a list of tensors")
