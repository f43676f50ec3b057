"""Functions that change variables, and the family's other names: variables and variable scopes."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Tensor
from headrace.framework.indexed_slices import IndexedSlices
from headrace.ops import partitioned_variables, template, variables
from headrace.ops import variable_scope as scopes
from headrace.ops.partitioned_variables import *
from headrace.ops.template import *
from headrace.ops.variable_scope import *
from headrace.ops.variables import *
from headrace.ops.variables import Variable

__all__ = [
    *partitioned_variables.__all__,
    *scopes.__all__,
    *template.__all__,
    *variables.__all__,
    "assign",
    "assign_add",
    "assign_sub",
    "batch_scatter_update",
    "count_up_to",
    "scatter_add",
    "scatter_div",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "scatter_nd_add",
    "scatter_nd_sub",
    "scatter_nd_update",
    "scatter_sub",
    "scatter_update",
]


def _variable(ref: Any) -> Variable:
    if not isinstance(ref, Variable):
        raise TypeError(f"{ref!r} is a {type(ref).__name__}; only a tf.Variable can be changed")
    return ref


def assign(
    ref: Any,
    value: Any,
    validate_shape: bool | None = None,
    use_locking: bool | None = None,
    name: str | None = None,
) -> Tensor:
    """Makes an operation that gives a variable a new value, which it returns.

    Args:
        ref: The variable.
        value: The new value, of the variable's shape unless that was made with `validate_shape=False`.
        validate_shape: Accepted; the variable knows.
        use_locking: Accepted; updates are always atomic.
        name: Name of the operation.
    """
    return _variable(ref).assign(value, name=name)


def assign_add(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Tensor:
    """Makes an operation that adds to a variable; returns the new value."""
    return _variable(ref).assign_add(value, name=name)


def assign_sub(ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None) -> Tensor:
    """Makes an operation that subtracts from a variable; returns the new value."""
    return _variable(ref).assign_sub(value, name=name)


def count_up_to(ref: Any, limit: int, name: str | None = None) -> Tensor:
    """Makes an operation that adds one to a variable and returns what it was before.

    When run, it raises `OutOfRangeError` once the variable has reached `limit`.
    """
    var = _variable(ref)
    return raw.ResourceCountUpTo(var.handle, limit=limit, T=var.dtype, name=name or "CountUpTo")


def scatter_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Tensor:
    """Makes an operation that replaces rows of a variable: `ref[indices[i]] = updates[i]`.

    Args:
        ref: The variable.
        indices: Row numbers, integers of any shape. Of one that is there twice, the later row stays.
        updates: The rows, shape `indices.shape + ref.shape[1:]`, or a scalar.
        use_locking: Accepted; updates are always atomic.
        name: Name of the operation.

    Returns:
        The new value of the whole variable.

    Raises:
        InvalidArgumentError: When run, if an index is out of range; the variable is not changed then.
    """
    return _variable(ref).scatter_update(IndexedSlices(updates, indices), name=name)


def scatter_add(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, adding to rows, twice where an index is there twice."""
    return _variable(ref).scatter_add(IndexedSlices(updates, indices), name=name)


def scatter_sub(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, subtracting from rows."""
    return _variable(ref).scatter_sub(IndexedSlices(updates, indices), name=name)


def scatter_mul(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, multiplying rows."""
    return _variable(ref).scatter_mul(IndexedSlices(updates, indices), name=name)


def scatter_div(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, dividing rows."""
    return _variable(ref).scatter_div(IndexedSlices(updates, indices), name=name)


def scatter_min(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, taking the lesser element."""
    return _variable(ref).scatter_min(IndexedSlices(updates, indices), name=name)


def scatter_max(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_update`, taking the greater element."""
    return _variable(ref).scatter_max(IndexedSlices(updates, indices), name=name)


def batch_scatter_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Tensor:
    """Makes an operation that replaces rows of each of a batch; see `Variable.batch_scatter_update`."""
    return _variable(ref).batch_scatter_update(IndexedSlices(updates, indices), name=name)


def scatter_nd_update(
    ref: Any, indices: Any, updates: Any, use_locking: bool = True, name: str | None = None
) -> Tensor:
    """Makes an operation that replaces slices of a variable: `ref[indices[i, :]] = updates[i]`.

    Args:
        ref: The variable.
        indices: The last dimension is an index: as many numbers as leading dimensions are selected from.
        updates: The slices.
        use_locking: Accepted; updates are always atomic.
        name: Name of the operation.

    Returns:
        The new value of the whole variable.
    """
    return _variable(ref).scatter_nd_update(indices, updates, name=name)


def scatter_nd_add(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_nd_update`, adding to the slices."""
    return _variable(ref).scatter_nd_add(indices, updates, name=name)


def scatter_nd_sub(
    ref: Any, indices: Any, updates: Any, use_locking: bool = False, name: str | None = None
) -> Tensor:
    """Like `scatter_nd_update`, subtracting from the slices."""
    return _variable(ref).scatter_nd_sub(indices, updates, name=name)
