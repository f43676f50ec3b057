"""Slots: variables of an optimizer that go with a variable of the model, named after it."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from headrace.framework.graph import Tensor, colocate_with
from headrace.ops import array
from headrace.ops import variable_scope as scopes
from headrace.ops.init import zeros_initializer
from headrace.ops.variables import Variable

__all__ = ["create_slot", "create_slot_with_initializer", "create_zeros_slot"]


def create_slot(
    primary: Variable | Tensor, val: Any, name: str, colocate_with_primary: bool = True
) -> Variable:
    """Makes a slot with an initial value.

    Args:
        primary: The variable or tensor that the slot goes with.
        val: The initial value: a tensor, or what can become one.
        name: Name of the slot, which is appended to that of `primary`.
        colocate_with_primary: Whether the slot is placed on the device of `primary`.

    Returns:
        A variable that is not trainable, named "<primary>/<name>", with a number appended if there is one
        already.
    """
    return _make(primary, name, colocate_with_primary, initializer=val)


def create_slot_with_initializer(
    primary: Variable | Tensor,
    initializer: Any,
    shape: Any,
    dtype: Any,
    name: str,
    colocate_with_primary: bool = True,
) -> Variable:
    """Makes a slot whose initial value comes from an initializer; else like `create_slot`."""
    return _make(primary, name, colocate_with_primary, initializer=initializer, shape=shape, dtype=dtype)


def create_zeros_slot(
    primary: Variable | Tensor, name: str, dtype: Any = None, colocate_with_primary: bool = True
) -> Variable:
    """Makes a slot of zeros with the shape of `primary` and, unless told otherwise, its dtype."""
    dtype = primary.dtype.base_dtype if dtype is None else dtype
    shape = primary.get_shape()
    if shape.is_fully_defined():
        return create_slot_with_initializer(
            primary, zeros_initializer(), shape, dtype, name, colocate_with_primary
        )
    value = primary.initialized_value() if isinstance(primary, Variable) else primary
    zeros = array.zeros(array.shape(value), dtype=dtype)
    return _make(primary, name, colocate_with_primary, initializer=zeros, validate_shape=False)


def _make(primary: Variable | Tensor, name: str, colocate: bool, **options: Any) -> Variable:
    """One variable in a scope of its own: its name is unique, and it inherits no regularizer."""
    with ExitStack() as stack:
        named = stack.enter_context(scopes.variable_scope(None, primary.op.name + "/" + name))
        scope = stack.enter_context(scopes.variable_scope(named, reuse=scopes.AUTO_REUSE))
        scope.set_partitioner(None)
        scope.set_regularizer(None)
        if colocate:
            stack.enter_context(colocate_with(primary.op))
        slot = scopes.get_variable("", trainable=False, **options)
    _describe_slice(slot, primary)
    return slot


def _describe_slice(slot: Variable, primary: Variable | Tensor) -> None:
    """The slot of a part of a partitioned variable is a part too, in checkpoints."""
    part = primary._get_save_slice_info() if isinstance(primary, Variable) else None
    if part is None:
        return
    own_name = slot.op.name.removeprefix(primary.op.name + "/")
    slot._set_save_slice_info(
        Variable.SaveSliceInfo(
            f"{part.full_name}/{own_name}", part.full_shape, part.var_offset, part.var_shape
        )
    )
