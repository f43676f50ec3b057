"""Functions on strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor

__all__ = ["as_string", "string_join"]


def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Tensor:
    """Each number written out.

    Args:
      input: a tensor of numbers or bools.
      precision: digits after the point; 6 if negative.
      scientific: with an exponent.
      shortest: with or without an exponent, whichever is shorter.
      width: pad to so many characters.
      fill: what to pad with, "0" or " "; or "-" to pad on the right, "+" to write signs.
      name: of the operation.

    Returns:
      A string tensor of the same shape.
    """
    return raw.AsString(
        input,
        precision=precision,
        scientific=scientific,
        shortest=shortest,
        width=width,
        fill=fill,
        name=name,
    )


def string_join(inputs: Sequence[Any], separator: str = "", name: str | None = None) -> Tensor:
    """Joins the strings at the same place of several tensors.

    Args:
      inputs: string tensors of one shape, or scalars, which go with every shape.
      separator: put between them.
      name: of the operation.
    """
    return raw.StringJoin(
        [convert_to_tensor(one, dtype="string") for one in inputs], separator=separator, name=name
    )


def string_format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Tensor:
    """A template with each placeholder replaced by a tensor, written out.

    Args:
      template: the text.
      inputs: a tensor for each placeholder in it.
      placeholder: what stands for a tensor.
      summarize: how many elements at each end of each dimension to write; all if negative.
      name: of the operation.

    Returns:
      A string scalar.

    Raises:
      ValueError: if the number of placeholders and tensors differ.
    """
    tensors = [convert_to_tensor(one) for one in (inputs if isinstance(inputs, list | tuple) else [inputs])]
    count = template.count(placeholder)
    if count != len(tensors):
        raise ValueError(f"the template has {count} placeholders {placeholder!r} for {len(tensors)} tensors")
    return raw.StringFormat(
        tensors, template=template, placeholder=placeholder, summarize=summarize, name=name
    )
