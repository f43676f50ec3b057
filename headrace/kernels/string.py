"""Kernels of regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from headrace import _core

_Strings = np.ndarray[Any, Any]


def _compiled(pattern: bytes) -> re.Pattern[bytes]:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def _each(strings: _Strings, f: Callable[[bytes], Any], dtype: Any) -> _Strings:
    made = np.empty(strings.shape, dtype)
    for i, text in enumerate(strings.flat):
        made.flat[i] = f(text)
    return made


def static_regex_full_match(input: _Strings, pattern: bytes) -> _Strings:
    """The kernel: whether each string as a whole matches."""
    compiled = _compiled(pattern)
    return _each(input, lambda text: compiled.fullmatch(text) is not None, np.bool_)


def regex_full_match(input: _Strings, pattern: _Strings) -> _Strings:
    """The same with the pattern as a tensor."""
    return static_regex_full_match(input, pattern.item())


def static_regex_replace(input: _Strings, pattern: bytes, rewrite: bytes, replace_global: bool) -> _Strings:
    """The kernel: each string with what matches, everywhere or the first time, replaced."""
    compiled = _compiled(pattern)
    try:
        return _each(input, lambda text: compiled.sub(rewrite, text, 0 if replace_global else 1), object)
    except (re.error, IndexError) as error:
        raise ValueError(f"{rewrite!r} cannot replace what {pattern!r} matches: {error}") from None


def regex_replace(input: _Strings, pattern: _Strings, rewrite: _Strings, replace_global: bool) -> _Strings:
    """The same with pattern and replacement as tensors."""
    return static_regex_replace(input, pattern.item(), rewrite.item(), replace_global)


_core.add_kernel("StaticRegexFullMatch", static_regex_full_match)
_core.add_kernel("RegexFullMatch", regex_full_match)
_core.add_kernel("StaticRegexReplace", static_regex_replace)
_core.add_kernel("RegexReplace", regex_replace)
