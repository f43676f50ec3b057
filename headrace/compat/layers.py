"""Initializers and regularizers as `tf.contrib.layers` names them."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import Any

from headrace.framework import dtypes
from headrace.framework.constant import constant
from headrace.framework.graph import GraphKeys, Tensor, add_to_collection, get_collection, name_scope
from headrace.ops import math, nn, reduce
from headrace.ops.init import TRUNCATED_DEVIATION, VarianceScaling

__all__ = [
    "apply_regularization",
    "l1_l2_regularizer",
    "l1_regularizer",
    "l2_regularizer",
    "sum_regularizer",
    "variance_scaling_initializer",
    "xavier_initializer",
]

Regularizer = Callable[[Any], Any]


def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
    dtype: Any = dtypes.float32,
) -> VarianceScaling:
    """Makes numbers whose variance is about `factor / n`.

    Args:
      factor: numerator of the variance.
      mode: what n is: "FAN_IN", the number of inputs; "FAN_OUT", of outputs; "FAN_AVG", their average.
      uniform: whether numbers are uniform, or of a normal distribution cut off at two deviations.
      seed: seed of the operation.
      dtype: a floating dtype.

    Raises:
      ValueError: if there is no such mode, or the dtype is not floating.
    """
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise ValueError(f"mode is {mode!r}; it must be 'FAN_IN', 'FAN_OUT' or 'FAN_AVG'")
    if uniform:
        return VarianceScaling(factor, mode.lower(), "uniform", seed, dtype)
    # What is cut off makes the deviation smaller. Here, sqrt(1.3) makes up for that.
    scale = factor * 1.3 * TRUNCATED_DEVIATION**2
    return VarianceScaling(scale, mode.lower(), "truncated_normal", seed, dtype)


def xavier_initializer(
    uniform: bool = True, seed: int | None = None, dtype: Any = dtypes.float32
) -> VarianceScaling:
    """Makes numbers of about variance `2 / (inputs + outputs)`; see `variance_scaling_initializer`.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.
    """
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


def _regularizer(name: str, scale: float, scope: str | None, penalty: Callable[[Any], Tensor]) -> Regularizer:
    if isinstance(scale, numbers.Integral) or not isinstance(scale, numbers.Real):
        raise ValueError(f"scale is {scale!r}; it must be a float, 0.0 or more")
    if not scale >= 0:
        raise ValueError(f"scale is {scale}; it must be 0.0 or more")
    if scale == 0:
        return lambda _: None

    def regularize(weights: Any) -> Tensor:
        with name_scope(scope, name, [weights]) as at:
            factor = constant(scale, dtype=weights.dtype.base_dtype, name="scale")
            return math.multiply(factor, penalty(weights), name=at)

    return regularize


def l1_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """A function from weights to `scale * sum(abs(weights))`.

    Args:
      scale: a float, 0.0 or more; with 0.0, the function gives None.
      scope: name of the operation.

    Raises:
      ValueError: if `scale` is no such float.
    """
    return _regularizer("l1_regularizer", scale, scope, lambda weights: reduce.reduce_sum(math.abs(weights)))


def l2_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """A function from weights to `scale * sum(weights ** 2) / 2`; see `l1_regularizer`."""
    return _regularizer("l2_regularizer", scale, scope, nn.l2_loss)


def l1_l2_regularizer(scale_l1: float = 1.0, scale_l2: float = 1.0, scope: str | None = None) -> Regularizer:
    """A function that adds what `l1_regularizer` and `l2_regularizer` give."""
    both = [l1_regularizer(scale_l1), l2_regularizer(scale_l2)]
    return sum_regularizer(both, scope or "l1_l2_regularizer")


def sum_regularizer(regularizer_list: Sequence[Regularizer | None], scope: str | None = None) -> Regularizer:
    """A function that adds what several give; those that are None, or give None, are left out."""
    regularizers = [one for one in regularizer_list if one is not None]

    def regularize(weights: Any) -> Tensor | None:
        with name_scope(scope, "sum_regularizer", [weights]) as at:
            penalties = [
                one for one in (regularizer(weights) for regularizer in regularizers) if one is not None
            ]
            return math.add_n(penalties, name=at) if penalties else None

    return regularize


def apply_regularization(
    regularizer: Regularizer | None, weights_list: Sequence[Any] | None = None
) -> Tensor:
    """The sum of the penalties of weights, which is added to `GraphKeys.REGULARIZATION_LOSSES`.

    Args:
      regularizer: a function from weights to a scalar or None.
      weights_list: the weights; those in `GraphKeys.WEIGHTS` if None.

    Raises:
      ValueError: if there are no weights, or a penalty is no scalar.
    """
    weights = get_collection(GraphKeys.WEIGHTS) if weights_list is None else list(weights_list)
    if not weights:
        raise ValueError("there are no weights to regularize")
    with name_scope("get_regularization_penalty", values=weights) as at:
        penalties = [None if regularizer is None else regularizer(each) for each in weights]
        found = [constant(0.0) if one is None else one for one in penalties]
        for one, each in zip(found, weights):
            if one.shape.ndims != 0:
                raise ValueError(f"the penalty of {each.name} is {one.shape}; a regularizer gives scalars")
        total = math.add_n(found, name=at)
    add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
    return total
