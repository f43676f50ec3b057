"""Moments and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, constant_array, name_scope

__all__ = [
    "batch_norm_with_global_normalization",
    "batch_normalization",
    "fused_batch_norm",
    "l2_normalize",
    "local_response_normalization",
    "lrn",
    "moments",
    "normalize_moments",
    "sufficient_statistics",
    "weighted_moments",
]


def _axes(axes: Any) -> Any:
    return axes if isinstance(axes, Tensor) else np.array(axes, np.int32)


def _keep(keepdims: bool | None, keep_dims: bool | None) -> bool:
    if keepdims is not None and keep_dims is not None:
        raise ValueError("keepdims and keep_dims are two names of one argument; give one")
    return bool(keep_dims if keepdims is None else keepdims)


def _squeezed(x: Tensor, axes: Any) -> Tensor:
    known = constant_array(axes) if isinstance(axes, Tensor) else np.asarray(axes)
    if known is not None:
        return raw.Squeeze(x, squeeze_dims=[int(axis) for axis in np.atleast_1d(known)])
    shape = raw.Shape(x)
    rank = raw.Range(0, raw.Rank(x), 1)
    return raw.Reshape(x, raw.GatherV2(shape, raw.ListDiff(rank, axes)[0], 0))


def _scalar(value: float, like: Tensor) -> Tensor:
    return convert_to_tensor(value, dtype=like.dtype)


def _add(x: Any, y: Any) -> Tensor:
    return raw.AddV2(x, y)


def moments(
    x: Any,
    axes: Sequence[int] | Any,
    shift: Any = None,
    name: str | None = None,
    keep_dims: bool | None = None,
    keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and variance over some dimensions.

    For the moments of each channel of images (batch, height, width, channels) the axes are [0, 1, 2].

    Args:
      x: a floating tensor; 16-bit ones are computed with in float32.
      axes: the dimensions.
      shift: without effect.
      name: of the scope.
      keep_dims: another name of `keepdims`.
      keepdims: keep the dimensions, with size 1.

    Returns:
      (mean, variance), where the variance divides by the number of elements.
    """
    del shift
    keep = _keep(keepdims, keep_dims)
    with name_scope(name, "moments", [x]):
        x = convert_to_tensor(x, name="x")
        wide = raw.Cast(x, DstT="float32") if x.dtype.name in ("float16", "bfloat16") else x
        mean = raw.Mean(wide, _axes(axes), keep_dims=True, name="mean")
        # The derivative of the variance by the mean is zero: nothing is lost by stopping it.
        squares = raw.SquaredDifference(wide, raw.StopGradient(mean))
        variance = raw.Mean(squares, _axes(axes), keep_dims=True, name="variance")
        results = [mean, variance] if keep else [_squeezed(v, axes) for v in (mean, variance)]
        if wide is not x:
            results = [raw.Cast(v, DstT=x.dtype) for v in results]
        return results[0], results[1]


def weighted_moments(
    x: Any,
    axes: Sequence[int] | Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: bool | None = None,
    keepdims: bool | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and variance over some dimensions, with a weight for each element.

    Args:
      x: a floating tensor.
      axes: the dimensions.
      frequency_weights: how often each element counts; broadcasts with x.
      name: of the scope.
      keep_dims: another name of `keepdims`.
      keepdims: keep the dimensions, with size 1.

    Returns:
      (mean, variance).
    """
    keep = _keep(keepdims, keep_dims)
    with name_scope(name, "weighted_moments", [x, frequency_weights]):
        x = convert_to_tensor(x, name="x")
        weights = convert_to_tensor(frequency_weights, name="frequency_weights")
        narrow = x.dtype
        if narrow.name in ("float16", "bfloat16"):
            x = raw.Cast(x, DstT="float32")
        if weights.dtype != x.dtype:
            weights = raw.Cast(weights, DstT=x.dtype)
        weighted = raw.Mul(weights, x)
        # Adding zeros broadcasts the weights: each element's weight counts.
        spread = _add(weights, raw.ZerosLike(weighted))
        inverse = raw.Reciprocal(raw.Sum(spread, _axes(axes), keep_dims=True, name="sum_of_weights"))
        mean = raw.Mul(raw.Sum(weighted, _axes(axes), keep_dims=True, name="weighted_input_sum"), inverse)
        squares = raw.Mul(weights, raw.SquaredDifference(x, mean))
        variance = raw.Mul(raw.Sum(squares, _axes(axes), keep_dims=True, name="weighted_distsq"), inverse)
        results = [mean, variance] if keep else [_squeezed(v, axes) for v in (mean, variance)]
        if narrow != x.dtype:
            results = [raw.Cast(v, DstT=narrow) for v in results]
        return results[0], results[1]


def sufficient_statistics(
    x: Any,
    axes: Sequence[int],
    shift: Any = None,
    keep_dims: bool | None = None,
    name: str | None = None,
    keepdims: bool | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """What `normalize_moments` makes mean and variance of; statistics of parts can be added up.

    Args:
      x: a floating tensor.
      axes: the dimensions to sum over.
      shift: is subtracted first, against cancellation: a number near the mean. None for no shift.
      keep_dims: another name of `keepdims`.
      name: of the scope.
      keepdims: keep the dimensions, with size 1.

    Returns:
      (how many elements, their sum, the sum of their squares, the shift as a tensor or None).
    """
    keep = _keep(keepdims, keep_dims)
    with name_scope(name, "sufficient_statistics", [x, shift]):
        x = convert_to_tensor(x, name="x")
        sizes = x.shape.as_list() if x.shape.ndims is not None else []
        wanted = [sizes[axis] for axis in axes] if sizes else [None]
        if None not in wanted:
            count = convert_to_tensor(float(np.prod(np.array(wanted, np.float64))), dtype=x.dtype)
        else:
            shape = raw.Cast(raw.Shape(x), DstT=x.dtype)
            count = raw.Prod(raw.GatherV2(shape, _axes(axes), 0), [0], name="count")
        if shift is not None:
            shift = convert_to_tensor(shift, dtype=x.dtype, name="shift")
            first, second = raw.Sub(x, shift), raw.SquaredDifference(x, shift)
        else:
            first, second = x, raw.Square(x)
        mean_ss = raw.Sum(first, _axes(axes), keep_dims=keep, name="mean_ss")
        return count, mean_ss, raw.Sum(second, _axes(axes), keep_dims=keep, name="var_ss"), shift


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from `sufficient_statistics`.

    Args:
      counts: how many elements.
      mean_ss: their (shifted) sum.
      variance_ss: the sum of their (shifted) squares.
      shift: what was subtracted from each, or None.
      name: of the scope.

    Returns:
      (mean, variance).
    """
    with name_scope(name, "normalize", [counts, mean_ss, variance_ss, shift]):
        divisor = raw.Reciprocal(counts, name="divisor")
        if shift is not None:
            shifted = raw.Mul(mean_ss, divisor, name="shifted_mean")
            mean = raw.AddV2(shifted, shift, name="mean")
        else:
            shifted = mean = raw.Mul(mean_ss, divisor, name="mean")
        variance = raw.Sub(raw.Mul(variance_ss, divisor), raw.Square(shifted), name="variance")
        return mean, variance


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: float,
    name: str | None = None,
) -> Tensor:
    """Normalises: (x - mean) / sqrt(variance + epsilon) * scale + offset (Ioffe and Szegedy, 2015).

    Args:
      x: a floating tensor.
      mean: broadcasts with x: for example (channels,) for images with channels last.
      variance: as `mean`.
      offset: as `mean`, or None for 0.
      scale: as `mean`, or None for 1.
      variance_epsilon: a small number against division by zero.
      name: of the scope.

    Returns:
      A tensor like x.
    """
    with name_scope(name, "batchnorm", [x, mean, variance, scale, offset]):
        x = convert_to_tensor(x)
        variance = convert_to_tensor(variance)
        factor = raw.Rsqrt(raw.AddV2(variance, _scalar(variance_epsilon, variance)))
        if scale is not None:
            factor = raw.Mul(factor, scale)
        moved = raw.Mul(mean, factor)
        constant = raw.Neg(moved) if offset is None else raw.Sub(offset, moved)
        if factor.dtype != x.dtype:
            factor, constant = raw.Cast(factor, DstT=x.dtype), raw.Cast(constant, DstT=x.dtype)
        return raw.AddV2(raw.Mul(x, factor), constant)


def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: float | None = None,
    scale_after_normalization: bool | None = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """`batch_normalization` under its oldest name.

    Args:
      t: a floating tensor (batch, height, width, channels).
      m: the mean of each channel.
      v: the variance of each channel.
      beta: the offset of each channel.
      gamma: the scale of each channel.
      variance_epsilon: a small number against division by zero.
      scale_after_normalization: False leaves `gamma` out.
      name: of the scope.
      input: another name of `t`.
      mean: another name of `m`.
      variance: another name of `v`.
    """
    return batch_normalization(
        input if t is None else t,
        mean if m is None else m,
        variance if v is None else v,
        beta,
        gamma if scale_after_normalization else None,
        1e-3 if variance_epsilon is None else variance_epsilon,
        name,
    )


def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: float = 0.001,
    data_format: str = "NHWC",
    is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of images in one operation.

    Args:
      x: images (batch, height, width, channels), or as `data_format` says.
      scale: (channels,), float32 (float64 for float64 images).
      offset: (channels,), of the same dtype.
      mean: (channels,): to normalise with where `is_training` is False; not to be given in training.
      variance: as `mean`.
      epsilon: a small number against division by zero; at least 1.001e-5.
      data_format: "NHWC" or "NCHW".
      is_training: normalise with the batch's own moments.
      name: of the operation.

    Returns:
      (y like x, mean, variance), each of the latter (channels,): in training the batch's mean and unbiased
      variance, else those given.

    Raises:
      ValueError: if the moments are given in training, or are not otherwise.
    """
    x = convert_to_tensor(x, name="input")
    scale = convert_to_tensor(scale, name="scale")
    offset = convert_to_tensor(offset, name="offset")
    if is_training and (mean is not None or variance is not None):
        raise ValueError("mean and variance are given in training, which computes its own; leave them out")
    if not is_training and (mean is None or variance is None):
        raise ValueError("mean and variance are needed where is_training is False; pass moving averages")
    empty = np.zeros(0, scale.dtype.as_numpy_dtype)
    # The mixed operation has no double precision, the older one nothing but one precision.
    operation = raw.FusedBatchNorm if x.dtype.name == "float64" else raw.FusedBatchNormV3
    y, batch_mean, batch_variance, *_ = operation(
        x,
        scale,
        offset,
        convert_to_tensor(empty if mean is None else mean, dtype=scale.dtype),
        convert_to_tensor(empty if variance is None else variance, dtype=scale.dtype),
        epsilon=max(epsilon, 1.001e-5),
        data_format=data_format,
        is_training=is_training,
        name=name,
    )
    return y, batch_mean, batch_variance


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """Divides by the l2 norm along some dimensions: x / sqrt(max(sum(x**2), epsilon)).

    Args:
      x: a floating tensor.
      axis: the dimensions, one or several; None for all.
      epsilon: the least sum of squares to divide by.
      name: of the operation.
      dim: another name of `axis`.
    """
    if axis is not None and dim is not None:
        raise ValueError("axis and dim are two names of one argument; give one")
    axis = dim if axis is None else axis
    with name_scope(name, "l2_normalize", [x]) as scope:
        x = convert_to_tensor(x, name="x")
        axes = raw.Range(0, raw.Rank(x), 1) if axis is None else _axes(axis)
        total = raw.Sum(raw.Square(x), axes, keep_dims=True)
        return raw.Mul(x, raw.Rsqrt(raw.Maximum(total, _scalar(epsilon, x))), name=scope)


def local_response_normalization(
    input: Any,
    depth_radius: int = 5,
    bias: float = 1,
    alpha: float = 1,
    beta: float = 0.5,
    name: str | None = None,
) -> Tensor:
    """Divides by (bias + alpha * sum over neighbouring channels of x**2)**beta (Krizhevsky et al., 2012).

    Args:
      input: images (batch, height, width, channels).
      depth_radius: how many channels to either side are neighbours.
      bias: keeps the divisor from zero.
      alpha: the weight of the sum of squares.
      beta: the exponent.
      name: of the operation.
    """
    return raw.LRN(input, depth_radius=depth_radius, bias=bias, alpha=alpha, beta=beta, name=name)


lrn = local_response_normalization
