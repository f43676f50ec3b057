"""Learning rates that depend on the step.

Every schedule takes the step as a tensor or variable and returns a scalar tensor of the learning rate's
dtype.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import pi
from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.ops import array, math, random, slicing
from headrace.ops.variables import Variable

__all__ = [
    "cosine_decay",
    "cosine_decay_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "linear_cosine_decay",
    "natural_exp_decay",
    "noisy_linear_cosine_decay",
    "piecewise_constant",
    "piecewise_constant_decay",
    "polynomial_decay",
]

Step = Tensor | Variable | int


@contextmanager
def _schedule(
    name: str | None, default: str, learning_rate: Any, global_step: Any, *parameters: Any
) -> Iterator[list[Any]]:
    """A schedule's name scope; its name, rate, step and parameters, as tensors of the rate's dtype."""
    if global_step is None:
        raise ValueError("global_step is None; pass the tensor or variable that counts the steps")
    with name_scope(name, default) as scope:
        rate = convert_to_tensor(learning_rate, name="initial_learning_rate")
        dtype = rate.dtype
        yield [scope, rate, math.cast(global_step, dtype), *(math.cast(p, dtype) for p in parameters)]


def exponential_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Returns `learning_rate * decay_rate ** (global_step / decay_steps)`.

    Args:
        learning_rate: Where it starts: a number or scalar tensor.
        global_step: The step, from 0.
        decay_steps: Steps in which the rate falls by `decay_rate` once.
        decay_rate: The factor.
        staircase: Whether the exponent is rounded down, so that the rate falls every `decay_steps` steps.
        name: Name of the result.

    Raises:
        ValueError: If there is no `global_step`.
    """
    with _schedule(
        name, "ExponentialDecay", learning_rate, global_step, decay_steps, decay_rate
    ) as parameters:
        scope, rate, step, steps, factor = parameters
        exponent = step / steps
        if staircase:
            exponent = math.floor(exponent)
        return math.multiply(rate, math.pow(factor, exponent), name=scope)


def natural_exp_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Returns `learning_rate * exp(-decay_rate * global_step / decay_steps)`; like `exponential_decay`."""
    factor = math.exp(math.negative(decay_rate))
    return exponential_decay(
        learning_rate, global_step, decay_steps, factor, staircase, name or "ExponentialDecay"
    )


def inverse_time_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Tensor:
    """Returns `learning_rate / (1 + decay_rate * global_step / decay_steps)`; like `exponential_decay`."""
    with _schedule(
        name, "InverseTimeDecay", learning_rate, global_step, decay_steps, decay_rate
    ) as parameters:
        scope, rate, step, steps, factor = parameters
        time = step / steps
        if staircase:
            time = math.floor(time)
        return math.divide(rate, 1 + factor * time, name=scope)


def piecewise_constant(
    x: Step, boundaries: Sequence[Any], values: Sequence[Any], name: str | None = None
) -> Tensor:
    """Returns `values[0]` while `x <= boundaries[0]`, then `values[1]` while `x <= boundaries[1]`...

    Args:
        x: The step: a scalar.
        boundaries: Increasing scalars of the dtype of x (whole numbers will do for a floating one).
        values: Scalars of one dtype, one more than there are boundaries.
        name: Name scope.

    Raises:
        ValueError: If dtypes differ, or the numbers of boundaries and values do not fit.
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError(
            f"{len(boundaries)} boundaries for {len(values)} values; there must be one value more"
        )
    with name_scope(name, "PiecewiseConstant"):
        step = convert_to_tensor(x)
        limits = [convert_to_tensor(boundary) for boundary in boundaries]
        for i, limit in enumerate(limits):
            if limit.dtype.base_dtype == step.dtype.base_dtype:
                continue
            # A plain integer fits a step of any width; everything else must be said on purpose.
            if limit.dtype.base_dtype == dtypes.int32 and step.dtype.base_dtype == dtypes.int64:
                limits[i] = math.cast(limit, dtypes.int64)
                continue
            raise ValueError(
                f"boundaries[{i}] is {limit.dtype.name}, x is {step.dtype.name}; they must agree"
            )
        levels = [convert_to_tensor(value) for value in values]
        if len({level.dtype.base_dtype for level in levels}) > 1:
            raise ValueError(f"values are {[level.dtype.name for level in levels]}; pass values of one dtype")
        result = levels[-1]
        for limit, level in reversed(list(zip(limits, levels))):
            result = slicing.where(step <= limit, level, result)
        return array.identity(result)


piecewise_constant_decay = piecewise_constant


def polynomial_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Tensor:
    """Returns `(learning_rate - end) * (1 - global_step / decay_steps) ** power + end`.

    Args:
        learning_rate: Where it starts: a number or scalar tensor.
        global_step: The step, from 0.
        decay_steps: Steps until `end_learning_rate`.
        end_learning_rate: Where it ends, and stays.
        power: Of the polynomial; 1 is a straight line.
        cycle: Whether, once at the end, `decay_steps` is doubled, tripled... so that the rate rises and falls
            again.
        name: Name of the result.

    Raises:
        ValueError: If there is no `global_step`.
    """
    arguments = (learning_rate, global_step, decay_steps, end_learning_rate, power)
    with _schedule(name, "PolynomialDecay", *arguments) as (scope, rate, step, steps, end, exponent):
        if cycle:
            steps = steps * math.maximum(math.ceil(step / steps), 1)
        else:
            step = math.minimum(step, steps)
        left = math.pow(1 - step / steps, exponent)
        return math.add((rate - end) * left, end, name=scope)


def cosine_decay(
    learning_rate: Any, global_step: Step, decay_steps: Any, alpha: Any = 0.0, name: str | None = None
) -> Tensor:
    """Returns half a cosine wave from `learning_rate` down to `alpha * learning_rate`, and that from then on.

    See Loshchilov and Hutter, 2016, https://arxiv.org/abs/1608.03983.

    Args:
        learning_rate: Where it starts: a number or scalar tensor.
        global_step: The step, from 0.
        decay_steps: Steps until the end.
        alpha: Share of the rate at the end.
        name: Name scope.

    Raises:
        ValueError: If there is no `global_step`.
    """
    arguments = (learning_rate, global_step, decay_steps, alpha)
    with _schedule(name, "CosineDecay", *arguments) as (_, rate, step, steps, share):
        wave = _half_wave(math.minimum(step, steps) / steps)
        return math.multiply(rate, (1 - share) * wave + share)


def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Step,
    first_decay_steps: Any,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Tensor:
    """Returns a `cosine_decay` that starts again at each end, `t_mul` times longer, `m_mul` times higher.

    Args:
        learning_rate: Where it starts: a number or scalar tensor.
        global_step: The step, from 0.
        first_decay_steps: Steps until the first end.
        t_mul: How much longer each period is than the one before.
        m_mul: How much higher.
        alpha: Share of the rate at an end.
        name: Name of the result.

    Raises:
        ValueError: If there is no `global_step`.
    """
    arguments = (learning_rate, global_step, first_decay_steps, t_mul, m_mul, alpha)
    with _schedule(name, "SGDRDecay", *arguments) as (scope, rate, step, steps, longer, higher, share):
        time = step / steps
        # Periods of equal length: count them. Else period n starts at time (1 - longer**n) / (1 - longer).
        equal = math.equal(longer, 1)
        ratio = slicing.where(equal, 2 * array.ones_like(longer), longer)  # anything but 1, to stay finite
        growing = math.floor(math.log(1 - time * (1 - ratio)) / math.log(ratio))
        length = math.pow(ratio, growing)
        start = (1 - length) / (1 - ratio)
        period = slicing.where(equal, math.floor(time), growing)
        done = slicing.where(equal, time - math.floor(time), (time - start) / length)
        height = math.pow(higher, period)
        return math.multiply(rate, (1 - share) * height * _half_wave(done) + share, name=scope)


def linear_cosine_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """Returns `learning_rate * ((alpha + falling line) * cosine wave + beta)`.

    See Bello et al., 2017, https://arxiv.org/abs/1709.07417.

    Args:
        learning_rate: The scale: a number or scalar tensor.
        global_step: The step, from 0.
        decay_steps: Steps until the end.
        num_periods: Periods of the wave until the end.
        alpha: Added to the line, which falls from 1 to 0.
        beta: Share of the rate that is always there.
        name: Name of the result.

    Raises:
        ValueError: If there is no `global_step`.
    """
    arguments = (learning_rate, global_step, decay_steps, num_periods, alpha, beta)
    with _schedule(name, "LinearCosineDecay", *arguments) as (scope, rate, step, steps, periods, a, b):
        step = math.minimum(step, steps)
        line = (steps - step) / steps
        return math.multiply(rate, (a + line) * _half_wave(2 * periods * (step / steps)) + b, name=scope)


def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Step,
    decay_steps: Any,
    initial_variance: Any = 1.0,
    variance_decay: Any = 0.55,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Tensor:
    """Returns `linear_cosine_decay` with noise of variance `initial_variance / (1 + step)**variance_decay`.

    Args:
        learning_rate: The scale: a number or scalar tensor.
        global_step: The step, from 0.
        decay_steps: Steps until the end.
        initial_variance: Of the normal noise.
        variance_decay: How fast it falls.
        num_periods: Periods of the wave until the end.
        alpha: Added to the line, which falls from 1 to 0.
        beta: Share of the rate that is always there.
        name: Name of the result.

    Raises:
        ValueError: If there is no `global_step`.
    """
    arguments = (
        learning_rate,
        global_step,
        decay_steps,
        initial_variance,
        variance_decay,
        num_periods,
        alpha,
        beta,
    )
    with _schedule(name, "NoisyLinearCosineDecay", *arguments) as parameters:
        scope, rate, step, steps, variance, decay, periods, a, b = parameters
        step = math.minimum(step, steps)
        spread = math.sqrt(variance / math.pow(1 + step, decay))
        line = (steps - step) / steps + random.random_normal([], stddev=spread, dtype=rate.dtype)
        return math.multiply(rate, (a + line) * _half_wave(2 * periods * (step / steps)) + b, name=scope)


def _half_wave(done: Tensor) -> Tensor:
    """A cosine from 1 at 0 to 0 at 1."""
    return 0.5 * (1 + math.cos(convert_to_tensor(pi, dtype=done.dtype) * done))
