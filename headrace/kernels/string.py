"""Kernels of regular expressions and of alphabets.

Regular expressions are RE2's, whose time is linear in the text whatever the pattern is. Letters and encodings
are those that Python knows.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import re2

from headrace import _core

_Strings = np.ndarray[Any, Any]


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_REWRITE = re.compile(rb"[^\\]+|\\[0-9\\]")


def _compiled(pattern: bytes) -> Any:
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None


def _rewriter(compiled: Any, rewrite: bytes) -> Callable[[Any], bytes]:
    r"""What takes a match's place: text, where \0 is the match, \1 to \9 its groups and \\ a backslash."""
    parts: list[bytes | int] = []
    position = 0
    while position < len(rewrite):
        part = _REWRITE.match(rewrite, position)
        if part is None:
            raise ValueError(f"{rewrite!r} has a backslash before neither a digit nor a backslash")
        position = part.end()
        text = part.group()
        if text[:1] != b"\\":
            parts.append(text)
        else:
            parts.append(int(text[1:]) if text[1:].isdigit() else text[1:])
    most = max((part for part in parts if isinstance(part, int)), default=0)
    if most > compiled.groups:
        raise ValueError(
            f"{rewrite!r} cannot replace what {compiled.pattern!r} matches: that has no group {most}"
        )
    return lambda match: b"".join(
        part if isinstance(part, bytes) else match.group(part) or b"" for part in parts
    )


def _matches(compiled: Any, text: bytes) -> Iterator[Any]:
    """From left to right; a match of nothing does not follow right after another match."""
    end = -1
    for match in compiled.finditer(text):
        if match.start() != match.end() or match.start() != end:
            yield match
        end = match.end()


def _replaced(compiled: Any, rewriter: Callable[[Any], bytes], text: bytes, everywhere: bool) -> bytes:
    made, end = [], 0
    for match in _matches(compiled, text):
        made += [text[end : match.start()], rewriter(match)]
        end = match.end()
        if not everywhere:
            break
    return b"".join([*made, text[end:]])


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
    rewriter = _rewriter(compiled, rewrite)
    return _each(input, lambda text: _replaced(compiled, rewriter, text, replace_global), object)


def regex_replace(input: _Strings, pattern: _Strings, rewrite: _Strings, replace_global: bool) -> _Strings:
    """The same with pattern and replacement as tensors."""
    return static_regex_replace(input, pattern.item(), rewrite.item(), replace_global)


def _changed_case(strings: _Strings, encoding: bytes, change: Callable[[str], str]) -> _Strings:
    if encoding != b"utf-8":
        raise ValueError(f"encoding is {encoding.decode()!r}, expected 'utf-8', or '' for ASCII")
    return _each(strings, lambda text: change(text.decode(errors="replace")).encode(), object)


def string_lower(input: _Strings, encoding: bytes) -> _Strings:
    """The kernel: each string in small letters."""
    return _changed_case(input, encoding, str.lower)


def string_upper(input: _Strings, encoding: bytes) -> _Strings:
    """The kernel: each string in capital letters."""
    return _changed_case(input, encoding, str.upper)


def _decoded(data: bytes, codec: codecs.CodecInfo, errors: str, replacement: str) -> str:
    """A text, with something in the place of bytes that are none; a byte order mark is left out."""
    made, rest = "", data
    while True:
        try:
            return (made + codec.decode(rest)[0]).removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            if errors == "strict":
                raise ValueError(f"{data!r} is not in {codec.name}: {error.reason}") from None
            made += codec.decode(rest[: error.start])[0] + ("" if errors == "ignore" else replacement)
            rest = rest[error.end :]


def unicode_transcode(
    input: _Strings,
    input_encoding: bytes,
    output_encoding: bytes,
    errors: bytes,
    replacement_char: int,
    replace_control_characters: bool,
) -> _Strings:
    """The kernel: each string in another encoding."""
    name = input_encoding.decode(errors="replace")
    try:
        codec = codecs.lookup(name)
    except LookupError:
        raise ValueError(f"input_encoding is {name!r}, which is not known") from None
    if not 0 <= replacement_char <= 0x10FFFF or 0xD800 <= replacement_char < 0xE000:
        raise ValueError(f"replacement_char is {replacement_char}, which is no character")
    how, replacement = errors.decode(), chr(replacement_char)
    controls = {i: None if how == "ignore" else replacement for i in range(32 * replace_control_characters)}

    def transcode(data: bytes) -> bytes:
        return _decoded(data, codec, how, replacement).translate(controls).encode(output_encoding.decode())

    return _each(input, transcode, object)


_core.add_kernel("StringLower", string_lower)
_core.add_kernel("StringUpper", string_upper)
_core.add_kernel("UnicodeTranscode", unicode_transcode)
_core.add_kernel("StaticRegexFullMatch", static_regex_full_match)
_core.add_kernel("RegexFullMatch", regex_full_match)
_core.add_kernel("StaticRegexReplace", static_regex_replace)
_core.add_kernel("RegexReplace", regex_replace)
