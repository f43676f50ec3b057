"""Poolings: maxima and means under sliding windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope

__all__ = [
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "avg_pool_v2",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_v2",
    "max_pool_with_argmax",
    "pool",
]

_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def _format(data_format: str | None, spatial: int) -> str:
    known = _FORMATS[spatial]
    if data_format is None or data_format == "":
        return known[0]
    if data_format not in known:
        raise ValueError(f"data_format is {data_format!r}, expected {known[0]!r} or {known[1]!r}")
    return data_format


def _sizes(sizes: Any, data_format: str, what: str) -> list[int]:
    """One number for each dimension, from one, from one for each of space, or from all."""
    values = [int(v) for v in np.atleast_1d(sizes)]
    spatial = len(data_format) - 2
    if len(values) == spatial + 2:
        return values
    if len(values) == 1:
        values = values * spatial
    if len(values) != spatial:
        raise ValueError(f"{what} is {sizes!r}, expected 1, {spatial} or {spatial + 2} numbers")
    return [1, 1, *values] if data_format[1] == "C" else [1, *values, 1]


_OPERATIONS = {("MAX", 2): "MaxPool", ("AVG", 2): "AvgPool", ("MAX", 3): "MaxPool3D", ("AVG", 3): "AvgPool3D"}


def _pooled(kind: str, x: Any, ksize: Any, strides: Any, padding: str, data_format: str, name: Any) -> Tensor:
    spatial = len(data_format) - 2
    if spatial == 1:  # an image of height 1
        axis = 2 if data_format == "NCW" else 1
        sizes = [_sizes(v, data_format, w) for v, w in ((ksize, "ksize"), (strides, "strides"))]
        for one in sizes:
            one.insert(axis, 1)
        image, flat_format = raw.ExpandDims(x, axis), _flat_format(data_format)
        flat = _pooled(kind, image, sizes[0], sizes[1], padding, flat_format, name)
        return raw.Squeeze(flat, squeeze_dims=[axis])
    return getattr(raw, _OPERATIONS[kind, spatial])(
        x,
        ksize=_sizes(ksize, data_format, "ksize"),
        strides=_sizes(strides, data_format, "strides"),
        padding=padding,
        data_format=data_format,
        name=name,
    )


def _flat_format(data_format: str) -> str:
    return "NCHW" if data_format == "NCW" else "NHWC"


def max_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The maximum under windows that slide over images.

    Args:
      value: images (batch, height, width, channels), or as `data_format` says.
      ksize: the window: 1, 2 (height, width) or 4 numbers.
      strides: how far it moves: 1, 2 or 4 numbers.
      padding: "SAME" (ceil(size / stride) outputs) or "VALID".
      data_format: "NHWC" or "NCHW".
      name: of the operation.
      input: another name of `value`.
    """
    value = input if value is None else value
    with name_scope(name, "MaxPool", [value]) as scope:
        return _pooled("MAX", value, ksize, strides, padding, _format(data_format, 2), scope)


def avg_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The mean under windows that slide over images. Padding does not count.

    Args:
      value: images (batch, height, width, channels), or as `data_format` says.
      ksize: the window: 1, 2 (height, width) or 4 numbers.
      strides: how far it moves: 1, 2 or 4 numbers.
      padding: "SAME" (ceil(size / stride) outputs) or "VALID".
      data_format: "NHWC" or "NCHW".
      name: of the operation.
      input: another name of `value`.
    """
    value = input if value is None else value
    with name_scope(name, "AvgPool", [value]) as scope:
        return _pooled("AVG", value, ksize, strides, padding, _format(data_format, 2), scope)


def max_pool2d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """`max_pool`, with its input under the newer name."""
    with name_scope(name, "MaxPool2d", [input]) as scope:
        return _pooled("MAX", input, ksize, strides, padding, _format(data_format, 2), scope)


def avg_pool2d(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """`avg_pool` under its newer name."""
    return avg_pool(value, ksize, strides, padding, data_format, name, input)


def max_pool1d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NWC", name: str | None = None
) -> Tensor:
    """The maximum under windows that slide over sequences (batch, width, channels)."""
    with name_scope(name, "MaxPool1d", [input]) as scope:
        return _pooled("MAX", input, ksize, strides, padding, _format(data_format, 1), scope)


def avg_pool1d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NWC", name: str | None = None
) -> Tensor:
    """The mean under windows that slide over sequences (batch, width, channels)."""
    with name_scope(name, "AvgPool1D", [input]) as scope:
        return _pooled("AVG", input, ksize, strides, padding, _format(data_format, 1), scope)


def max_pool3d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NDHWC", name: str | None = None
) -> Tensor:
    """The maximum under windows that slide over volumes (batch, depth, height, width, channels)."""
    with name_scope(name, "MaxPool3D", [input]) as scope:
        return _pooled("MAX", input, ksize, strides, padding, _format(data_format, 3), scope)


def avg_pool3d(
    input: Any, ksize: Any, strides: Any, padding: str, data_format: str = "NDHWC", name: str | None = None
) -> Tensor:
    """The mean under windows that slide over volumes (batch, depth, height, width, channels)."""
    with name_scope(name, "AvgPool3D", [input]) as scope:
        return _pooled("AVG", input, ksize, strides, padding, _format(data_format, 3), scope)


def _any_rank(
    kind: str, input: Any, ksize: Any, strides: Any, padding: str, data_format: str | None, scope: str
) -> Tensor:
    input = convert_to_tensor(input, name="input")
    rank = input.shape.ndims
    spatial = (rank or 0) - 2 if rank is not None or data_format is None else len(data_format) - 2
    if spatial not in _FORMATS:
        raise ValueError(f"input has rank {rank}, expected 3, 4 or 5: batch, 1 to 3 of space, channels")
    return _pooled(kind, input, ksize, strides, padding, _format(data_format, spatial), scope)


def max_pool_v2(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """The maximum under windows over 1 to 3 dimensions of space, after the rank of `input`."""
    with name_scope(name, "max_pool", [input]) as scope:
        return _any_rank("MAX", input, ksize, strides, padding, data_format, scope)


def avg_pool_v2(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """The mean under windows over 1 to 3 dimensions of space, after the rank of `input`."""
    with name_scope(name, "avg_pool", [input]) as scope:
        return _any_rank("AVG", input, ksize, strides, padding, data_format, scope)


def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    Targmax: Any = None,
    name: str | None = None,
    output_dtype: Any = None,
    include_batch_in_index: bool = False,
) -> Any:
    """The maximum under windows that slide over images, and where it is.

    Args:
      input: images (batch, height, width, channels).
      ksize: the window: 1, 2 (height, width) or 4 numbers.
      strides: how far it moves: 1, 2 or 4 numbers.
      padding: "SAME" or "VALID".
      data_format: "NHWC".
      Targmax: dtype of the places: int64 (the default) or int32.
      name: of the operation.
      output_dtype: another name of `Targmax`.
      include_batch_in_index: count the places through the batch, not within each image.

    Returns:
      A named tuple (output, argmax), where argmax counts (y * width + x) * channels + channel.

    Raises:
      ValueError: for another data format, or if the dtype is given under both names.
    """
    if data_format != "NHWC":
        raise ValueError(f"data_format is {data_format!r}, expected 'NHWC'")
    if Targmax is not None and output_dtype is not None:
        raise ValueError("Targmax and output_dtype are two names of one argument; give one")
    return raw.MaxPoolWithArgmax(
        input,
        ksize=_sizes(ksize, data_format, "ksize"),
        strides=_sizes(strides, data_format, "strides"),
        padding=padding,
        Targmax=Targmax if output_dtype is None else output_dtype,
        include_batch_in_index=include_batch_in_index,
        name=name,
    )


def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    padding: str,
    dilation_rate: Any = None,
    strides: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """Pools over 1 to 3 dimensions of space.

    Args:
      input: a tensor (batch, space..., channels), or as `data_format` says.
      window_shape: the window: a number for each dimension of space.
      pooling_type: "MAX" or "AVG".
      padding: "SAME" or "VALID".
      dilation_rate: how far apart the window's places are: a number for each dimension of space.
      strides: how far it moves: a number for each dimension of space, all 1 where a `dilation_rate` is not 1.
      name: of the operation.
      data_format: channels last (the default) or second: "NWC" or "NCW", "NHWC" or "NCHW", "NDHWC" or
        "NCDHW".
      dilations: another name of `dilation_rate`.

    Raises:
      ValueError: if the numbers do not fit the input, or both strides and dilation rates are above 1.
    """
    if pooling_type not in ("MAX", "AVG"):
        raise ValueError(f"pooling_type is {pooling_type!r}, expected 'MAX' or 'AVG'")
    rates = dilations if dilation_rate is None else dilation_rate
    with name_scope(name, f"{pooling_type.lower()}_pool", [input]) as scope:
        input = convert_to_tensor(input, name="input")
        spatial = len(window_shape)
        if spatial not in _FORMATS or (input.shape.ndims or spatial + 2) != spatial + 2:
            raise ValueError(
                f"window_shape is {window_shape!r}, expected a number for each dimension of space; "
                f"the input is {input.shape}"
            )
        data_format = _format(data_format, spatial)
        strides = [1] * spatial if strides is None else list(strides)
        rates = [1] * spatial if rates is None else list(rates)
        if len(strides) != spatial or len(rates) != spatial:
            raise ValueError(f"strides {strides} and dilation_rate {rates} must have {spatial} numbers each")
        if all(rate == 1 for rate in rates):
            return _pooled(pooling_type, input, list(window_shape), strides, padding, data_format, scope)
        if any(stride != 1 for stride in strides):
            raise ValueError(f"strides {strides} and dilation_rate {rates} cannot both be above 1")
        if padding != "VALID":
            raise ValueError("a dilated window needs padding 'VALID'; pad the input first")
        if data_format[1] == "C":
            raise ValueError("a dilated window needs channels last; transpose the input first")
        return _dilated(pooling_type, input, list(window_shape), rates, data_format, scope)


def _dilated(
    kind: str, x: Tensor, window: list[int], rates: list[int], data_format: str, name: str
) -> Tensor:
    """Images of every rate-th pixel are pooled side by side in the batch, and put together again."""
    size = [n for n in x.shape.as_list()[1:-1] if n is not None]
    if len(size) != len(window):
        raise ValueError(f"a dilated window needs to know the size of space; the input is {x.shape}")
    extra = [-n % rate for n, rate in zip(size, rates)]
    paddings = np.array([[0, more] for more in extra], np.int32)
    block = np.array(rates, np.int32)
    split = raw.SpaceToBatchND(x, block, paddings)
    pooled = _pooled(kind, split, window, [1] * len(window), "VALID", data_format, None)
    # Outputs whose windows reached into the padding lie beyond the last valid one.
    places = [n or 0 for n in pooled.shape.as_list()[1:-1]]
    crops = [
        [0, place * rate - (n - (reach - 1) * rate)]
        for place, rate, n, reach in zip(places, rates, size, window)
    ]
    return raw.BatchToSpaceND(pooled, block, np.array(crops, np.int32), name=name)
