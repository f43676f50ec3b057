"""Conversion of Python values to tensors of the default graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from headrace.framework import dtypes
from headrace.framework.constant import constant
from headrace.framework.errors import InvalidDTypeError
from headrace.framework.graph import Tensor
from headrace.framework.shapes import Dimension, TensorShape

# function(value, dtype, name, as_ref) -> Tensor, or NotImplemented to let the next one try.
Conversion = Callable[..., Any]
_registered: list[tuple[int, Any, Conversion]] = []
_by_type: dict[type, list[Conversion]] = {}

_PYTHON_TYPES = (bool, int, float, complex, str, bytes)


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Conversion, priority: int = 100
) -> None:
    """Registers how values of a type become tensors.

    Args:
      base_type: a type or a tuple of types; their subclasses are meant too.
      conversion_func: `conversion_func(value, dtype=None, name=None, as_ref=False)`, which returns a tensor,
        of the dtype if one is given, or NotImplemented to let other functions try.
      priority: functions are tried in this order, the smallest first.

    Raises:
      TypeError: if the arguments are of wrong types.
    """
    types = base_type if isinstance(base_type, tuple) else (base_type,)
    if not all(isinstance(each, type) for each in types):
        raise TypeError(f"base_type must be a type or a tuple of types, got {base_type!r}")
    if not callable(conversion_func):
        raise TypeError(f"conversion_func must be callable, got {conversion_func!r}")
    _registered.append((priority, base_type, conversion_func))
    _registered.sort(key=lambda row: row[0])
    _by_type.clear()


def _conversions(kind: type) -> list[Conversion]:
    found = _by_type.get(kind)
    if found is None:
        found = [function for _, base, function in _registered if issubclass(kind, base)]
        _by_type[kind] = found
    return found


def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
) -> Tensor:
    """The tensor that `value` is or stands for; a constant is made of numbers, strings, lists and arrays.

    Python's integers become int32 (int64 if they do not fit), its floats float32; arrays keep their type.

    Args:
      value: a tensor, a variable, a number, a string, an array, or nested lists of them.
      dtype: the dtype that it must have.
      name: the name of a constant that is made.
      preferred_dtype: the dtype to take if `value` has none of its own and allows it.
      dtype_hint: the same as `preferred_dtype`.

    Raises:
      TypeError: if it cannot become a tensor of that dtype.
      ValueError: if it is malformed, such as lists of unequal lengths.
    """
    if dtype is not None:
        dtype = dtypes.as_dtype(dtype)
    if isinstance(value, Tensor):
        if dtype is not None and value._dtype is not dtype:
            raise InvalidDTypeError(
                None,
                value._op,
                f"expected a {dtype.name} tensor, got {value.name} of dtype {value._dtype.name}; "
                "tf.cast it first",
            )
        return value
    hint = dtype_hint if preferred_dtype is None else preferred_dtype
    if dtype is None and hint is not None:
        try:
            return _convert(value, dtypes.as_dtype(hint), name)
        except (TypeError, ValueError):
            pass  # only a preference
    return _convert(value, dtype, name)


def _convert(value: Any, dtype: dtypes.DType | None, name: str | None) -> Tensor:
    for function in _conversions(type(value)):
        made = function(value, dtype=dtype, name=name, as_ref=False)
        if made is NotImplemented:
            continue
        if not isinstance(made, Tensor):
            raise RuntimeError(
                f"the conversion function of {type(value).__name__} returned {made!r}, no tensor"
            )
        if dtype is not None and made._dtype is not dtype:
            raise TypeError(
                f"expected a {dtype.name} tensor, got {value!r} of dtype {made._dtype.name}; tf.cast it first"
            )
        return made
    raise TypeError(f"cannot make a tensor of {value!r} of type {type(value).__name__}")


def internal_convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    as_ref: bool = False,
    preferred_dtype: Any = None,
    ctx: Any = None,
    accept_symbolic_tensors: bool = True,
    accept_composite_tensors: bool = False,
) -> Tensor:
    """`convert_to_tensor` with arguments that other front ends pass and that mean nothing here."""
    del as_ref, ctx, accept_symbolic_tensors, accept_composite_tensors
    return convert_to_tensor(value, dtype, name, preferred_dtype)


def convert_n_to_tensor(values: Any, dtype: Any = None, name: str | None = None) -> list[Tensor]:
    """`convert_to_tensor` of each value; constants are named "name_0" and so on."""
    return [
        convert_to_tensor(value, dtype, None if name is None else f"{name}_{i}")
        for i, value in enumerate(values)
    ]


def _constant(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Tensor:
    return constant(value, dtype, name=name or "Const")


def _shape(value: TensorShape, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Tensor:
    if not value.is_fully_defined():
        raise ValueError(
            f"cannot make a tensor of the partly known shape {value}; tf.shape gives it when it runs"
        )
    sizes = value.as_list()
    if dtype is None:
        dtype = dtypes.int64 if any(size >= 2**31 for size in sizes) else dtypes.int32  # type: ignore[operator]
    elif dtype not in (dtypes.int32, dtypes.int64):
        raise TypeError(f"a shape becomes an int32 or int64 tensor, not {dtype.name}")
    return constant(sizes, dtype, name=name or "shape_as_tensor")


def _dimension(value: Dimension, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Tensor:
    if value.value is None:
        raise ValueError("cannot make a tensor of an unknown dimension; tf.shape gives it when it runs")
    if dtype is None:
        dtype = dtypes.int64 if value.value >= 2**31 else dtypes.int32
    elif dtype not in (dtypes.int32, dtypes.int64):
        raise TypeError(f"a dimension becomes an int32 or int64 tensor, not {dtype.name}")
    return constant(value.value, dtype, name=name or "shape_as_tensor")


def _dtype(value: dtypes.DType, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    return NotImplemented


register_tensor_conversion_function(_PYTHON_TYPES, _constant)
register_tensor_conversion_function((list, tuple), _constant)
register_tensor_conversion_function((np.ndarray, np.generic), _constant)
register_tensor_conversion_function(TensorShape, _shape)
register_tensor_conversion_function(Dimension, _dimension)
# The last resort: whatever NumPy understands.
register_tensor_conversion_function(object, _constant, 200)
