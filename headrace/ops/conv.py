"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope

__all__ = [
    "atrous_conv2d",
    "atrous_conv2d_transpose",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_backprop_filter",
    "conv3d_backprop_filter_v2",
    "conv3d_transpose",
    "conv_transpose",
    "convolution",
    "depthwise_conv2d",
    "depthwise_conv2d_backprop_filter",
    "depthwise_conv2d_backprop_input",
    "depthwise_conv2d_native",
    "depthwise_conv2d_native_backprop_filter",
    "depthwise_conv2d_native_backprop_input",
    "dilation2d",
    "erosion2d",
    "separable_conv2d",
]

_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


def _either(first: Any, second: Any, names: str) -> Any:
    """The one that is given of an argument that has two names."""
    if first is not None and second is not None:
        raise ValueError(f"{names} are two names of one argument; give one")
    return second if first is None else first


def _padding(padding: Any, channels_first: bool) -> tuple[str, list[int]]:
    """The attributes `padding` and `explicit_paddings`."""
    if isinstance(padding, str):
        return padding, []
    pairs = [list(pair) for pair in padding]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"padding is {padding!r}, expected 'SAME', 'VALID', or a pair for each dimension")
    channel = 1 if channels_first else len(pairs) - 1
    if len(pairs) < 3 or pairs[0] != [0, 0] or pairs[channel] != [0, 0]:
        raise ValueError(
            f"padding is {padding!r}, expected a pair for each dimension, (0, 0) for batch and channels"
        )
    flat = [int(size) for pair in pairs for size in pair]
    return ("EXPLICIT", flat) if any(flat) else ("VALID", [])


def _per_dimension(sizes: Any, spatial: int, channels_first: bool, what: str) -> list[int]:
    """One number for each dimension, from one, from one for each of space, or from all."""
    values = [int(v) for v in np.atleast_1d(1 if sizes is None else sizes)]
    if len(values) == spatial + 2:
        return values
    if len(values) == 1:
        values = values * spatial
    if len(values) != spatial:
        raise ValueError(f"{what} is {sizes!r}, expected 1, {spatial} or {spatial + 2} numbers")
    return [1, 1, *values] if channels_first else [1, *values, 1]


def _format(data_format: str | None, spatial: int) -> str:
    known = _FORMATS[spatial]
    if data_format is None or data_format == "":
        return known[0]
    if data_format not in known:
        raise ValueError(f"data_format is {data_format!r}, expected {known[0]!r} or {known[1]!r}")
    return data_format


def _first(data_format: str) -> bool:
    return data_format[1] == "C"


# ---- two dimensions


def conv2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Slides filters over images: each output is the sum of products of a filter and the patch beneath it.

    Args:
      input: images (batch, height, width, channels), or as `data_format` says.
      filter: (filter height, filter width, channels, outputs). If it has fewer channels than the images,
        these are divided into groups, each with its share of the outputs.
      strides: how far the filters move: 1, 2 (height, width) or 4 numbers.
      padding: "SAME" (zeros around, as many as make ceil(size / stride) outputs), "VALID" (none), or a pair
        of numbers (before, after) for each dimension.
      use_cudnn_on_gpu: kept for compatibility.
      data_format: "NHWC" or "NCHW".
      dilations: how far apart the filters' elements are: 1, 2 or 4 numbers.
      name: of the operation.
      filters: another name of `filter`.

    Returns:
      A tensor (batch, output height, output width, outputs), or as `data_format` says.

    Raises:
      ValueError: if the shapes do not fit.
    """
    filter = _either(filter, filters, "filter and filters")
    data_format = _format(data_format, 2)
    kind, explicit = _padding(padding, _first(data_format))
    return raw.Conv2D(
        input,
        filter,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=kind,
        explicit_paddings=explicit,
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any = None,
    out_backprop: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The derivative of `conv2d` by its input.

    Args:
      input_sizes: the shape of the input: 4 integers.
      filter: as in `conv2d`.
      out_backprop: the derivative by the output, of the output's shape.
      strides: as in `conv2d`.
      padding: as in `conv2d`.
      use_cudnn_on_gpu: kept for compatibility.
      data_format: "NHWC" or "NCHW".
      dilations: as in `conv2d`.
      name: of the operation.
      filters: another name of `filter`.

    Returns:
      A tensor of shape `input_sizes`.
    """
    filter = _either(filter, filters, "filter and filters")
    data_format = _format(data_format, 2)
    kind, explicit = _padding(padding, _first(data_format))
    return raw.Conv2DBackpropInput(
        input_sizes,
        filter,
        out_backprop,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=kind,
        explicit_paddings=explicit,
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    use_cudnn_on_gpu: bool = True,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The derivative of `conv2d` by its filter.

    Args:
      input: as in `conv2d`.
      filter_sizes: the shape of the filter: 4 integers.
      out_backprop: the derivative by the output, of the output's shape.
      strides: as in `conv2d`.
      padding: as in `conv2d`.
      use_cudnn_on_gpu: kept for compatibility.
      data_format: "NHWC" or "NCHW".
      dilations: as in `conv2d`.
      name: of the operation.

    Returns:
      A tensor of shape `filter_sizes`.
    """
    data_format = _format(data_format, 2)
    kind, explicit = _padding(padding, _first(data_format))
    return raw.Conv2DBackpropFilter(
        input,
        filter_sizes,
        out_backprop,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=kind,
        explicit_paddings=explicit,
        use_cudnn_on_gpu=use_cudnn_on_gpu,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


def conv2d_transpose(
    value: Any = None,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: str = "NHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose of `conv2d`, sometimes called deconvolution: from outputs to images that could make them.

    Args:
      value: a tensor (batch, height, width, channels), or as `data_format` says.
      filter: (filter height, filter width, outputs, channels): that of the convolution that is transposed.
      output_shape: the shape of the result: 4 integers.
      strides: of the convolution that is transposed: 1, 2 or 4 numbers.
      padding: of the convolution that is transposed.
      data_format: "NHWC" or "NCHW".
      name: of the operation.
      input: another name of `value`.
      filters: another name of `filter`.
      dilations: of the convolution that is transposed.

    Returns:
      A tensor of shape `output_shape`.
    """
    value = _either(value, input, "value and input")
    filter = _either(filter, filters, "filter and filters")
    with name_scope(name, "conv2d_transpose", [value, filter]) as scope:
        return conv2d_backprop_input(
            output_shape,
            filter,
            value,
            strides,
            padding,
            data_format=data_format,
            dilations=(1, 1, 1, 1) if dilations is None else dilations,
            name=scope,
        )


def atrous_conv2d(value: Any, filters: Any, rate: int, padding: str, name: str | None = None) -> Tensor:
    """`conv2d` with filters whose elements are `rate` apart ("with holes").

    Args:
      value: images (batch, height, width, channels).
      filters: (filter height, filter width, channels, outputs).
      rate: a positive number.
      padding: "SAME" or "VALID".
      name: of the operation.
    """
    return convolution(value, filters, padding, dilation_rate=[rate, rate], name=name)


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """The transpose of `atrous_conv2d`.

    Args:
      value: a tensor (batch, height, width, channels).
      filters: (filter height, filter width, outputs, channels).
      output_shape: the shape of the result: 4 integers.
      rate: a positive number.
      padding: "SAME" or "VALID".
      name: of the operation.
    """
    with name_scope(name, "atrous_conv2d_transpose", [value, filters]) as scope:
        return conv2d_backprop_input(
            output_shape, filters, value, 1, padding, dilations=[1, rate, rate, 1], name=scope
        )


# ---- one dimension: images of height 1


def conv1d(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool | None = None,
    data_format: str | None = None,
    name: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Slides filters over sequences.

    Args:
      value: sequences (batch, width, channels), or (batch, channels, width) for "NCW".
      filters: (filter width, channels, outputs).
      stride: how far the filters move: 1 or 3 numbers.
      padding: "SAME" or "VALID".
      use_cudnn_on_gpu: kept for compatibility.
      data_format: "NWC" or "NCW" (also written "NHWC" and "NCHW").
      name: of the operation.
      input: another name of `value`.
      dilations: how far apart the filters' elements are: 1 or 3 numbers.

    Returns:
      A tensor (batch, output width, outputs), or as `data_format` says.
    """
    del use_cudnn_on_gpu
    value = _either(value, input, "value and input")
    data_format = _format({"NHWC": "NWC", "NCHW": "NCW"}.get(data_format or "", data_format), 1)
    first = _first(data_format)
    with name_scope(name, "conv1d", [value, filters]) as scope:
        axis = 2 if first else 1
        result = conv2d(
            raw.ExpandDims(value, axis),
            raw.ExpandDims(filters, 0),
            _flat_strides(stride, first, "stride"),
            padding,
            data_format="NCHW" if first else "NHWC",
            dilations=_flat_strides(dilations, first, "dilations"),
            name=scope,
        )
        return raw.Squeeze(result, squeeze_dims=[axis])


def _flat_strides(sizes: Any, channels_first: bool, what: str) -> list[int]:
    values = _per_dimension(sizes, 1, channels_first, what)
    values.insert(2 if channels_first else 1, 1)
    return values


def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `conv1d`.

    Args:
      input: a tensor (batch, width, channels), or (batch, channels, width) for "NCW".
      filters: (filter width, outputs, channels).
      output_shape: the shape of the result: 3 integers.
      strides: 1 or 3 numbers.
      padding: "SAME" or "VALID".
      data_format: "NWC" or "NCW".
      dilations: 1 or 3 numbers.
      name: of the operation.
    """
    data_format = _format(data_format, 1)
    first = _first(data_format)
    with name_scope(name, "conv1d_transpose", [input, filters]) as scope:
        axis = 2 if first else 1
        shape = convert_to_tensor(output_shape, dtype="int32")
        # (batch, width, channels) becomes (batch, 1, width, channels).
        parts = [raw.Slice(shape, [0], [axis]), np.ones(1, np.int32), raw.Slice(shape, [axis], [3 - axis])]
        result = conv2d_backprop_input(
            raw.ConcatV2(parts, 0),
            raw.ExpandDims(filters, 0),
            raw.ExpandDims(input, axis),
            _flat_strides(strides, first, "strides"),
            padding,
            data_format="NCHW" if first else "NHWC",
            dilations=_flat_strides(dilations, first, "dilations"),
            name=scope,
        )
        return raw.Squeeze(result, squeeze_dims=[axis])


# ---- three dimensions


def conv3d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: str = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Slides filters over volumes.

    Args:
      input: volumes (batch, depth, height, width, channels), or as `data_format` says.
      filter: (filter depth, height, width, channels, outputs).
      strides: how far the filters move: 1, 3 or 5 numbers.
      padding: "SAME" or "VALID".
      data_format: "NDHWC" or "NCDHW".
      dilations: how far apart the filters' elements are: 1, 3 or 5 numbers.
      name: of the operation.
      filters: another name of `filter`.
    """
    filter = _either(filter, filters, "filter and filters")
    data_format = _format(data_format, 3)
    return raw.Conv3D(
        input,
        filter,
        strides=_per_dimension(strides, 3, _first(data_format), "strides"),
        padding=padding,
        data_format=data_format,
        dilations=_per_dimension(dilations, 3, _first(data_format), "dilations"),
        name=name,
    )


def conv3d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The derivative of `conv3d` by its filter, whose shape is `filter_sizes`."""
    data_format = _format(data_format, 3)
    return raw.Conv3DBackpropFilterV2(
        input,
        filter_sizes,
        out_backprop,
        strides=_per_dimension(strides, 3, _first(data_format), "strides"),
        padding=padding,
        data_format=data_format,
        dilations=_per_dimension(dilations, 3, _first(data_format), "dilations"),
        name=name,
    )


conv3d_backprop_filter_v2 = conv3d_backprop_filter


def conv3d_transpose(
    value: Any,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: str = "SAME",
    data_format: str = "NDHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose of `conv3d`.

    Args:
      value: a tensor (batch, depth, height, width, channels), or as `data_format` says.
      filter: (filter depth, height, width, outputs, channels).
      output_shape: the shape of the result: 5 integers.
      strides: 1, 3 or 5 numbers.
      padding: "SAME" or "VALID".
      data_format: "NDHWC" or "NCDHW".
      name: of the operation.
      input: another name of `value`.
      filters: another name of `filter`.
      dilations: 1, 3 or 5 numbers.
    """
    value = _either(value, input, "value and input")
    filter = _either(filter, filters, "filter and filters")
    data_format = _format(data_format, 3)
    with name_scope(name, "conv3d_transpose", [value, filter]) as scope:
        return raw.Conv3DBackpropInputV2(
            output_shape,
            filter,
            value,
            strides=_per_dimension(strides, 3, _first(data_format), "strides"),
            padding=padding,
            data_format=data_format,
            dilations=_per_dimension(dilations, 3, _first(data_format), "dilations"),
            name=scope,
        )


# ---- any number of dimensions


def _spatial(x: Any, data_format: str | None, what: str) -> int:
    rank = x.shape.ndims
    spatial = len(data_format) - 2 if rank is None and data_format else (rank or 0) - 2
    if spatial not in _FORMATS:
        raise ValueError(f"{what} has rank {rank}, expected 3, 4 or 5: batch, 1 to 3 of space, channels")
    return spatial


def convolution(
    input: Any,
    filter: Any = None,
    padding: Any = None,
    strides: Any = None,
    dilation_rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Slides filters over sequences, images or volumes.

    Args:
      input: a tensor (batch, space..., channels), with 1 to 3 dimensions of space, or as `data_format` says.
      filter: (filter space..., channels, outputs).
      padding: "SAME" or "VALID".
      strides: how far the filters move: a number for each dimension of space.
      dilation_rate: how far apart the filters' elements are: a number for each dimension of space.
      name: of the operation.
      data_format: channels last (the default) or second: "NWC" or "NCW", "NHWC" or "NCHW", "NDHWC" or
        "NCDHW".
      filters: another name of `filter`.
      dilations: another name of `dilation_rate`.
    """
    filter = _either(filter, filters, "filter and filters")
    dilation_rate = _either(dilation_rate, dilations, "dilation_rate and dilations")
    with name_scope(name, "convolution", [input, filter]) as scope:
        input = convert_to_tensor(input, name="input")
        filter = convert_to_tensor(filter, name="filter", dtype=input.dtype)
        spatial = _spatial(input, data_format, "input")
        convolve: Any = (conv1d, conv2d, conv3d)[spatial - 1]
        return convolve(
            input,
            filter,
            strides,
            padding,
            data_format=_format(data_format, spatial),
            dilations=dilation_rate,
            name=scope,
        )


def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `convolution`.

    Args:
      input: a tensor (batch, space..., channels), with 1 to 3 dimensions of space, or as `data_format` says.
      filters: (filter space..., outputs, channels).
      output_shape: the shape of the result.
      strides: 1 number, or one for each dimension of space, or of the tensor.
      padding: "SAME" or "VALID".
      data_format: as in `convolution`.
      dilations: as `strides`.
      name: of the operation.
    """
    with name_scope(name, "conv_transpose", [input, filters]) as scope:
        input = convert_to_tensor(input, name="input")
        spatial = _spatial(input, data_format, "input")
        transpose: Any = (conv1d_transpose, conv2d_transpose, conv3d_transpose)[spatial - 1]
        return transpose(
            input,
            filters,
            output_shape,
            strides,
            padding=padding,
            data_format=_format(data_format, spatial),
            dilations=dilations,
            name=scope,
        )


# ---- depthwise


def depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Slides filters over images, each over one channel.

    Args:
      input: images (batch, height, width, channels), or as `data_format` says.
      filter: (filter height, filter width, channels, multiplier).
      strides: 4 numbers.
      padding: "SAME" or "VALID".
      data_format: "NHWC" or "NCHW".
      dilations: how far apart the filters' elements are: 4 numbers.
      name: of the operation.

    Returns:
      A tensor with channels * multiplier channels: those of the first channel first.
    """
    data_format = _format(data_format, 2)
    return raw.DepthwiseConv2dNative(
        input,
        filter,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=padding,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


def depthwise_conv2d_native_backprop_input(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The derivative of `depthwise_conv2d_native` by its input, whose shape is `input_sizes`."""
    return raw.DepthwiseConv2dNativeBackpropInput(
        input_sizes,
        filter,
        out_backprop,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=padding,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


def depthwise_conv2d_native_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The derivative of `depthwise_conv2d_native` by its filter, whose shape is `filter_sizes`."""
    return raw.DepthwiseConv2dNativeBackpropFilter(
        input,
        filter_sizes,
        out_backprop,
        strides=_per_dimension(strides, 2, _first(data_format), "strides"),
        padding=padding,
        data_format=data_format,
        dilations=_per_dimension(dilations, 2, _first(data_format), "dilations"),
        name=name,
    )


depthwise_conv2d_backprop_input = depthwise_conv2d_native_backprop_input
depthwise_conv2d_backprop_filter = depthwise_conv2d_native_backprop_filter


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: str,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """Slides filters over images, each over one channel.

    Args:
      input: images (batch, height, width, channels), or as `data_format` says.
      filter: (filter height, filter width, channels, multiplier).
      strides: 4 numbers.
      padding: "SAME" or "VALID".
      rate: how far apart the filters' elements are: 2 numbers.
      name: of the operation.
      data_format: "NHWC" or "NCHW".
      dilations: another name of `rate`.

    Returns:
      A tensor with channels * multiplier channels: those of the first channel first.
    """
    rate = _either(rate, dilations, "rate and dilations")
    with name_scope(name, "depthwise", [input, filter]) as scope:
        return depthwise_conv2d_native(
            input,
            filter,
            strides,
            padding,
            data_format=_format(data_format, 2),
            dilations=rate,
            name=scope,
        )


def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: str,
    rate: Any = None,
    name: str | None = None,
    data_format: str | None = None,
    dilations: Any = None,
) -> Tensor:
    """A `depthwise_conv2d`, whose channels are then mixed by a convolution of size 1.

    Args:
      input: images (batch, height, width, channels), or as `data_format` says.
      depthwise_filter: (filter height, filter width, channels, multiplier).
      pointwise_filter: (1, 1, channels * multiplier, outputs).
      strides: of the depthwise convolution: 4 numbers.
      padding: "SAME" or "VALID".
      rate: how far apart the depthwise filters' elements are: 2 numbers.
      name: of the operation.
      data_format: "NHWC" or "NCHW".
      dilations: another name of `rate`.
    """
    rate = _either(rate, dilations, "rate and dilations")
    data_format = _format(data_format, 2)
    with name_scope(name, "separable_conv2d", [input, depthwise_filter, pointwise_filter]) as scope:
        pointwise = convert_to_tensor(pointwise_filter, name="pointwise_filter")
        if not pointwise.shape[:2].is_compatible_with([1, 1]):
            raise ValueError(f"pointwise_filter is {pointwise.shape}, expected (1, 1, channels, outputs)")
        middle = depthwise_conv2d_native(
            input,
            depthwise_filter,
            strides,
            padding,
            data_format=data_format,
            dilations=rate,
            name="depthwise",
        )
        return conv2d(middle, pointwise, 1, "VALID", data_format=data_format, dilations=1, name=scope)


# ---- morphology


def dilation2d(
    input: Any,
    filter: Any = None,
    strides: Sequence[int] | None = None,
    rates: Sequence[int] | None = None,
    padding: str | None = None,
    name: str | None = None,
    filters: Any = None,
    dilations: Sequence[int] | None = None,
) -> Tensor:
    """Grey-scale dilation: each output is the maximum of the patch beneath it plus the filter.

    Args:
      input: images (batch, height, width, channels).
      filter: (filter height, filter width, channels): the structuring function.
      strides: 4 numbers, 1 for batch and channels.
      rates: how far apart the filter's elements are: 4 numbers, 1 for batch and channels.
      padding: "SAME" or "VALID".
      name: of the operation.
      filters: another name of `filter`.
      dilations: another name of `rates`.
    """
    return raw.Dilation2D(
        input,
        _either(filter, filters, "filter and filters"),
        strides=strides,
        rates=_either(rates, dilations, "rates and dilations"),
        padding=padding,
        name=name,
    )


def erosion2d(
    value: Any,
    kernel: Any,
    strides: Sequence[int],
    rates: Sequence[int],
    padding: str,
    name: str | None = None,
) -> Tensor:
    """Grey-scale erosion: each output is the minimum of the patch beneath it minus the kernel.

    Args:
      value: images (batch, height, width, channels).
      kernel: (kernel height, kernel width, channels).
      strides: 4 numbers, 1 for batch and channels.
      rates: how far apart the kernel's elements are: 4 numbers, 1 for batch and channels.
      padding: "SAME" or "VALID".
      name: of the operation.
    """
    with name_scope(name, "erosion2d", [value, kernel]) as scope:
        # Erosion is the dual of dilation: negate the image, and mirror the kernel.
        mirrored = raw.ReverseV2(kernel, [0, 1])
        dilated = raw.Dilation2D(raw.Neg(value), mirrored, strides=strides, rates=rates, padding=padding)
        return raw.Neg(dilated, name=scope)
