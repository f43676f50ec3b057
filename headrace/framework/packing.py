"""Lists with tensors in them become tensors by stacking."""

from __future__ import annotations

from typing import Any

from headrace.framework import dtypes, raw
from headrace.framework.constant import _has_tensor
from headrace.framework.convert import convert_to_tensor, register_tensor_conversion_function
from headrace.framework.graph import Tensor, name_scope


def _dtype_of(values: Any) -> dtypes.DType | None:
    """The dtype of the first tensor in nested lists."""
    if isinstance(values, (list, tuple)):
        return next((found for value in values if (found := _dtype_of(value)) is not None), None)
    return values.dtype if isinstance(values, Tensor) else None


def _pack(values: Any, dtype: dtypes.DType, name: str) -> Tensor:
    with name_scope(name) as scope:
        tensors = []
        for i, value in enumerate(values):
            if isinstance(value, (list, tuple)) and _has_tensor(value):
                tensors.append(_pack(value, dtype, str(i)))
            else:
                tensors.append(convert_to_tensor(value, dtype, str(i)))
        return raw.Pack(tensors, name=scope)


def _convert(values: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    if not _has_tensor(values):
        return NotImplemented
    dtype = dtype or _dtype_of(values)
    return _pack(values, dtype, name or "packed")


register_tensor_conversion_function((list, tuple), _convert, 99)
