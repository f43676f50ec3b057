"""Functions on strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import headrace.kernels.string
from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor

__all__ = ["as_string", "regex_full_match", "regex_replace", "string_join"]


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


def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Tensor:
    """Whether each string as a whole matches a regular expression.

    Args:
      input: strings of any shape.
      pattern: the expression, a scalar string.
      name: of the operation.

    Returns:
      Bools of the shape of `input`.
    """
    if isinstance(pattern, (str, bytes)):
        return raw.StaticRegexFullMatch(input, pattern=pattern, name=name or "RegexFullMatch")
    return raw.RegexFullMatch(input, pattern, name=name or "RegexFullMatch")


def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> Tensor:
    r"""Each string with what matches a regular expression replaced.

    Args:
      input: strings of any shape.
      pattern: the expression, a scalar string.
      rewrite: what to put there, a scalar string, in which `\1` is the first group.
      replace_global: whether to replace all matches, or only the first.
      name: of the operation.

    Returns:
      Strings of the shape of `input`.
    """
    if isinstance(pattern, (str, bytes)) and isinstance(rewrite, (str, bytes)):
        return raw.StaticRegexReplace(
            input,
            pattern=pattern,
            rewrite=rewrite,
            replace_global=replace_global,
            name=name or "RegexReplace",
        )
    return raw.RegexReplace(
        input, pattern, rewrite, replace_global=replace_global, name=name or "RegexReplace"
    )
