"""Placeholders: tensors whose values are given when a session runs."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Tensor
from headrace.framework.shapes import TensorShape


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor that must be fed: `session.run(fetches, feed_dict={placeholder: value})`.

    Args:
      dtype: the dtype of the values.
      shape: what is known of their shape; None for nothing, None in a list for an unknown size.
      name: its name.
    """
    return raw.Placeholder(dtype=dtype, shape=TensorShape(shape), name=name)


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor that may be fed, and is `input` if it is not.

    Args:
      input: a tensor, or what can become one.
      shape: what is known of the shape of the values that may be fed.
      name: its name.
    """
    return raw.PlaceholderWithDefault(input, shape=TensorShape(shape), name=name)
