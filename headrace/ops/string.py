"""Functions on strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import headrace.kernels.string
from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.sparse_tensor import SparseTensor
from headrace.ops import array

__all__ = [
    "as_string",
    "decode_base64",
    "encode_base64",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "string_join",
    "string_split",
    "string_strip",
    "string_to_hash_bucket",
    "string_to_hash_bucket_fast",
    "string_to_hash_bucket_strong",
    "string_to_number",
    "substr",
]


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


def _as_sparse(result_type: str, indices: Tensor, values: Tensor, shape: Tensor) -> SparseTensor:
    if result_type != "SparseTensor":
        raise ValueError(f"result_type is {result_type!r}; only 'SparseTensor' is supported")
    return SparseTensor(indices, values, shape)


def string_split(
    source: Any,
    sep: Any = None,
    skip_empty: bool = True,
    delimiter: Any = None,
    result_type: str = "SparseTensor",
    name: str | None = None,
) -> SparseTensor:
    """Cuts each string of a vector at each of some characters.

    Args:
      source: a vector of strings.
      sep: the characters, a scalar string; " " if None. If it is empty, every byte is a part.
      skip_empty: whether to leave out parts without a character.
      delimiter: another name of `sep`.
      result_type: "SparseTensor".
      name: of the operation.

    Returns:
      A sparse matrix: a row of parts for each string.

    Raises:
      ValueError: if both `sep` and `delimiter` are given, or for another `result_type`.
    """
    if sep is not None and delimiter is not None:
        raise ValueError("sep and delimiter are the same; give one of them")
    letters = sep if sep is not None else " " if delimiter is None else delimiter
    with name_scope(None, "StringSplit", [source]):
        parts = raw.StringSplit(source, letters, skip_empty=skip_empty, name=name)
    return _as_sparse(result_type, *parts)


def split(
    input: Any = None,
    sep: Any = None,
    maxsplit: int = -1,
    result_type: str = "SparseTensor",
    source: Any = None,
    name: str | None = None,
) -> SparseTensor:
    """Cuts each string at a separator, as `str.split` does.

    Args:
      input: a vector of strings.
      sep: the separator, a scalar string; any number of blanks if None or "".
      maxsplit: how often at most; always if negative.
      result_type: "SparseTensor".
      source: another name of `input`.
      name: of the operation.

    Returns:
      A sparse matrix: a row of parts for each string.

    Raises:
      ValueError: if both or none of `input` and `source` are given, or for another `result_type`.
    """
    if (input is None) == (source is None):
        raise ValueError("give strings as input or as source, one of them")
    with name_scope(name, "StringSplit", [input if source is None else source]):
        strings = convert_to_tensor(input if source is None else source, dtypes.string)
        parts = raw.StringSplitV2(strings, "" if sep is None else sep, maxsplit=maxsplit)
    return _as_sparse(result_type, *parts)


def string_strip(input: Any, name: str | None = None) -> Tensor:
    """Each string without blanks at its ends.

    Args:
      input: strings of any shape.
      name: of the operation.
    """
    return raw.StringStrip(input, name=name)


def string_length(input: Any, name: str | None = None, unit: str = "BYTE") -> Tensor:
    """How long each string is.

    Args:
      input: strings of any shape.
      name: of the operation.
      unit: what is counted: "BYTE", or "UTF8_CHAR" for characters.

    Returns:
      int32 of the shape of `input`.
    """
    return raw.StringLength(input, unit=unit, name=name)


def lower(input: Any, encoding: str = "", name: str | None = None) -> Tensor:
    """Each string in small letters.

    Args:
      input: strings of any shape.
      encoding: "utf-8" for the letters of all alphabets, "" for those of ASCII.
      name: of the operation.
    """
    return raw.StringLower(input, encoding=encoding, name=name)


def upper(input: Any, encoding: str = "", name: str | None = None) -> Tensor:
    """Each string in capital letters; see `lower`."""
    return raw.StringUpper(input, encoding=encoding, name=name)


def substr(input: Any, pos: Any, len: Any, name: str | None = None, unit: str = "BYTE") -> Tensor:
    """A part of each string.

    Args:
      input: strings; broadcast with `pos`.
      pos: where the part begins, integers; counted from the end if negative.
      len: how long it is, of the shape of `pos`; it ends with the string at the latest, or if negative.
      name: of the operation.
      unit: what is counted: "BYTE", or "UTF8_CHAR" for characters.

    Raises:
      errors.InvalidArgumentError: when run, if a string is shorter than `pos`.
    """
    return raw.Substr(input, pos, len, unit=unit, name=name)


def string_to_number(
    string_tensor: Any = None, out_type: Any = dtypes.float32, name: str | None = None, input: Any = None
) -> Tensor:
    """The number that each string is.

    Args:
      string_tensor: strings of any shape, with blanks around the numbers or not.
      out_type: float32, float64, int32 or int64.
      name: of the operation.
      input: another name of `string_tensor`.

    Raises:
      errors.InvalidArgumentError: when run, if a string is no such number.
    """
    return raw.StringToNumber(_one_of(string_tensor, input), out_type=out_type, name=name)


def _one_of(string_tensor: Any, input: Any) -> Any:
    if (string_tensor is None) == (input is None):
        raise ValueError("give strings as string_tensor or as input, one of them")
    return input if string_tensor is None else string_tensor


def string_to_hash_bucket(
    string_tensor: Any = None, num_buckets: int | None = None, name: str | None = None, input: Any = None
) -> Tensor:
    """A number below `num_buckets` for each string, the same for ever.

    Args:
      string_tensor: strings of any shape.
      num_buckets: how many numbers there are.
      name: of the operation.
      input: another name of `string_tensor`.

    Returns:
      int64 of the shape of the strings.
    """
    return raw.StringToHashBucket(_one_of(string_tensor, input), num_buckets=num_buckets, name=name)


def string_to_hash_bucket_fast(input: Any, num_buckets: int, name: str | None = None) -> Tensor:
    """The same as `string_to_hash_bucket`, by a faster and better hash."""
    return raw.StringToHashBucketFast(input, num_buckets=num_buckets, name=name)


def string_to_hash_bucket_strong(
    input: Any, num_buckets: int, key: Sequence[int], name: str | None = None
) -> Tensor:
    """The same as `string_to_hash_bucket`, by a hash that nobody can foresee without its key.

    Args:
      input: strings of any shape.
      num_buckets: how many numbers there are.
      key: two integers.
      name: of the operation.
    """
    return raw.StringToHashBucketStrong(input, num_buckets=num_buckets, key=list(key), name=name)


def encode_base64(input: Any, pad: bool = False, name: str | None = None) -> Tensor:
    """Each string written in 64 letters that are safe in addresses and file names.

    Args:
      input: strings of any shape.
      pad: whether to fill up with "=" to a multiple of four letters.
      name: of the operation.
    """
    return raw.EncodeBase64(input, pad=pad, name=name)


def decode_base64(input: Any, name: str | None = None) -> Tensor:
    """The strings that `encode_base64` has written, with or without "=" at their ends.

    Args:
      input: strings of any shape.
      name: of the operation.

    Raises:
      errors.InvalidArgumentError: when run, if a string is not written so.
    """
    return raw.DecodeBase64(input, name=name)


def reduce_join(
    inputs: Any,
    axis: Any = None,
    keep_dims: bool | None = None,
    separator: str = "",
    name: str | None = None,
    reduction_indices: Any = None,
    keepdims: bool | None = None,
) -> Tensor:
    """Joins strings along axes.

    Args:
      inputs: strings.
      axis: the axes, of which the first goes fastest; all, the last one fastest, if None.
      keep_dims: another name of `keepdims`.
      separator: put between them.
      name: of the operation.
      reduction_indices: another name of `axis`.
      keepdims: whether the axes stay, with one element.
    """
    strings = convert_to_tensor(inputs, dtypes.string)
    axes = reduction_indices if axis is None else axis
    if axes is None:
        if strings.shape.ndims is None:
            axes = array.range(array.rank(strings) - 1, -1, -1)
        else:
            axes = list(range(strings.shape.ndims - 1, -1, -1))
    return raw.ReduceJoin(
        strings,
        convert_to_tensor(axes, dtypes.int32),
        keep_dims=bool(keep_dims if keepdims is None else keepdims),
        separator=separator,
        name=name,
    )


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: Any, separator: str = "", name: str | None = None
) -> Tensor:
    """Joins the strings of each segment, in their order.

    Args:
      inputs: strings, whose shape begins with that of `segment_ids`.
      segment_ids: integers from 0 on, below `num_segments`.
      num_segments: how many there are; those without a string become empty.
      separator: put between the strings.
      name: of the operation.

    Raises:
      errors.InvalidArgumentError: when run, if there is no such segment.
    """
    return raw.UnsortedSegmentJoin(inputs, segment_ids, num_segments, separator=separator, name=name)


def unicode_transcode(
    input: Any,
    input_encoding: str,
    output_encoding: str,
    errors: str = "replace",
    replacement_char: int = 65533,
    replace_control_characters: bool = False,
    name: str | None = None,
) -> Tensor:
    """Each string in another encoding.

    Args:
      input: strings of any shape.
      input_encoding: theirs, of those that Python knows.
      output_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".
      errors: what becomes of bytes that are no character: "replace", "ignore" or "strict".
      replacement_char: the number of the character that replaces them.
      replace_control_characters: whether to replace the characters 0 to 31, too.
      name: of the operation.

    Raises:
      errors.InvalidArgumentError: when run, if the encoding is not known, or with "strict" a string is not
        written in it.
    """
    return raw.UnicodeTranscode(
        input,
        input_encoding=input_encoding,
        output_encoding=output_encoding,
        errors=errors,
        replacement_char=replacement_char,
        replace_control_characters=replace_control_characters,
        name=name,
    )
