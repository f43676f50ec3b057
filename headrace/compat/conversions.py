"""Values turned into others, and the kinds of values that there are: helpers of `tf.compat`."""

from __future__ import annotations

import contextlib
import datetime
import numbers
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from headrace.framework.shapes import dimension_at_index, dimension_value

__all__ = [
    "as_bytes",
    "as_str",
    "as_str_any",
    "as_text",
    "bytes_or_text_types",
    "complex_types",
    "dimension_at_index",
    "dimension_value",
    "forward_compatibility_horizon",
    "forward_compatible",
    "integral_types",
    "path_to_str",
    "real_types",
]

bytes_or_text_types = (bytes, str)
integral_types = (numbers.Integral, np.integer)
real_types = (numbers.Real, np.integer, np.floating)
complex_types = (numbers.Complex, np.number)


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Bytes, or a text encoded.

    Raises:
      TypeError: if it is neither.
    """
    if isinstance(bytes_or_text, (bytes, bytearray)):
        return bytes(bytes_or_text)
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    raise TypeError(f"expected bytes or a text, got {bytes_or_text!r}")


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """A text, or bytes decoded.

    Raises:
      TypeError: if it is neither.
    """
    if isinstance(bytes_or_text, str):
        return str(bytes_or_text)
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"expected bytes or a text, got {bytes_or_text!r}")


as_str = as_text


def as_str_any(value: Any) -> str:
    """Bytes decoded, and anything else as `str` writes it."""
    return as_text(value) if isinstance(value, bytes) else str(value)


def path_to_str(path: Any) -> Any:
    """A path object as a string; anything else as it is."""
    return as_str_any(os.fspath(path)) if hasattr(path, "__fspath__") else path


# From which day on a reader of graphs need not be expected to know what is new in a graph: that of the
# TensorFlow whose programs these are.
_horizon = datetime.date(2019, 8, 21)


def forward_compatible(year: int, month: int, day: int) -> bool:
    """Whether what came on this day may be written into graphs."""
    return datetime.date(year, month, day) < _horizon


@contextlib.contextmanager
def forward_compatibility_horizon(year: int, month: int, day: int) -> Iterator[None]:
    """A context in which everything from before this day may be written into graphs."""
    global _horizon
    outer, _horizon = _horizon, datetime.date(year, month, day)
    try:
        yield
    finally:
        _horizon = outer
