"""Random tensors, each run anew: uniform, normal, shuffled, of given probabilities.

Numbers follow from two seeds, the graph's (`set_random_seed`) and the operation's (`seed=`), and are those
that TensorFlow draws from the same seeds. Runs of one session continue a stream; a new session starts over.
Without any seed, every session differs. The `stateless_` functions have no stream: the same seed gives the
same numbers in every run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.random_seed import get_seed, set_random_seed
from headrace.ops import array, control_flow, math, reduce, slicing

__all__ = [
    "multinomial",
    "parameterized_truncated_normal",
    "random_crop",
    "random_gamma",
    "random_normal",
    "random_poisson",
    "random_shuffle",
    "random_uniform",
    "set_random_seed",
    "truncated_normal",
]


def _shape_tensor(shape: Any) -> Tensor:
    """A shape as an integer tensor; an empty list is the shape of a scalar, not a list of floats."""
    dtype = dtypes.int32 if isinstance(shape, (list, tuple)) and not shape else None
    return convert_to_tensor(shape, dtype=dtype, name="shape")


def _seeds(seed: int | None) -> dict[str, int]:
    """The seed attributes of an operation that is made now."""
    graph_seed, op_seed = get_seed(seed)
    return {"seed": graph_seed or 0, "seed2": op_seed or 0}


def _number(value: Any, dtype: dtypes.DType, name: str) -> Tensor:
    return convert_to_tensor(value, dtype=dtype, name=name)


def _between(unit: Tensor, low: Tensor, high: Tensor, name: str) -> Tensor:
    """Numbers in [0, 1) stretched to [low, high)."""
    return math.add(unit * (high - low), low, name=name)


def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns numbers uniform in [minval, maxval).

    Args:
        shape: The shape of the result: a list or an integer tensor.
        minval: Lower bound, a number or scalar tensor of `dtype`.
        maxval: Upper bound, exclusive. By default 1 for floats; integers need one. The integers of a range
            that is not a power of two are not quite equally likely.
        dtype: float16, bfloat16, float32, float64, int32 or int64.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.

    Raises:
        ValueError: If `dtype` is another one, or an integer one without `maxval`.
    """
    dtype = _checked(dtype, maxval, "random_uniform")
    with name_scope(name, "random_uniform", [shape, minval, maxval]) as scope:
        size = _shape_tensor(shape)
        low = _number(minval, dtype, "min")
        high = _number(1 if maxval is None else maxval, dtype, "max")
        if dtype.is_integer:
            return raw.RandomUniformInt(size, low, high, **_seeds(seed), name=scope)
        return _between(raw.RandomUniform(size, dtype=dtype, **_seeds(seed)), low, high, scope)


def _checked(dtype: Any, maxval: Any, function: str) -> dtypes.DType:
    dtype = dtypes.as_dtype(dtype)
    if dtype not in (
        dtypes.float16,
        dtypes.bfloat16,
        dtypes.float32,
        dtypes.float64,
        dtypes.int32,
        dtypes.int64,
    ):
        raise ValueError(f"{function} makes floats, int32 and int64, not {dtype.name}; cast its result")
    if dtype.is_integer and maxval is None:
        raise ValueError(f"maxval is needed for the integer dtype {dtype.name}")
    return dtype


def random_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns numbers of the normal distribution.

    Args:
        shape: The shape of the result: a list or an integer tensor.
        mean: Mean, a number or a tensor of `dtype` that broadcasts.
        stddev: Standard deviation, likewise.
        dtype: A float dtype.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.
    """
    with name_scope(name, "random_normal", [shape, mean, stddev]) as scope:
        return _scaled(raw.RandomStandardNormal, shape, mean, stddev, dtype, seed, scope)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns numbers of the normal distribution within two standard deviations of the mean.

    Numbers beyond are drawn again. Arguments as those of `random_normal`.
    """
    with name_scope(name, "truncated_normal", [shape, mean, stddev]) as scope:
        return _scaled(raw.TruncatedNormal, shape, mean, stddev, dtype, seed, scope)


def _scaled(draw: Any, shape: Any, mean: Any, stddev: Any, dtype: Any, seed: int | None, name: str) -> Tensor:
    dtype = dtypes.as_dtype(dtype)
    size = _shape_tensor(shape)
    center = _number(mean, dtype, "mean")
    spread = _number(stddev, dtype, "stddev")
    unit = draw(size, dtype=dtype, **_seeds(seed))
    return math.add(unit * spread, center, name=name)


def parameterized_truncated_normal(
    shape: Any,
    means: Any = 0.0,
    stddevs: Any = 1.0,
    minvals: Any = -2.0,
    maxvals: Any = 2.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns numbers of normal distributions cut to [minvals, maxvals].

    The parameters are scalars, or vectors with a number for each index of the first dimension of `shape`.
    """
    dtype = dtypes.as_dtype(dtype)
    with name_scope(
        name, "parameterized_truncated_normal", [shape, means, stddevs, minvals, maxvals]
    ) as scope:
        return raw.ParameterizedTruncatedNormal(
            _shape_tensor(shape),
            _number(means, dtype, "means"),
            _number(stddevs, dtype, "stddevs"),
            _number(minvals, dtype, "minvals"),
            _number(maxvals, dtype, "maxvals"),
            **_seeds(seed),
            name=scope,
        )


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """Returns the rows of `value` (its slices along the first dimension) in random order."""
    return raw.RandomShuffle(value, **_seeds(seed), name=name)


def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """Returns a slice of shape `size` at a random place of `value`.

    Args:
        value: The tensor to cut from.
        size: A size for each dimension, at most that of `value`: give the full size where it shall not be
            cut.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.

    Raises:
        InvalidArgumentError: When run, if `size` is larger than `value`.
    """
    with name_scope(name, "random_crop", [value, size]) as scope:
        value = convert_to_tensor(value, name="value")
        size = convert_to_tensor(size, dtype=dtypes.int32, name="size")
        shape = array.shape(value)
        check = control_flow.Assert(
            reduce.reduce_all(shape >= size),
            ["random_crop needs value.shape >= size, got", shape, size],
            summarize=1000,
        )
        checked: Any = control_flow.with_dependencies([check], shape)
        limit = checked - size + 1
        offset = (
            random_uniform(array.shape(checked), dtype=size.dtype, maxval=size.dtype.max, seed=seed) % limit
        )
        return slicing.slice(value, offset, size, name=scope)


def multinomial(
    logits: Any,
    num_samples: Any,
    seed: int | None = None,
    name: str | None = None,
    output_dtype: Any = None,
) -> Tensor:
    """Returns classes drawn by unnormalised log probabilities.

    Args:
        logits: Shape (batch, classes).
        num_samples: How many to draw for each row.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.
        output_dtype: int32 or int64, the default.

    Returns:
        Class numbers, shape (batch, num_samples).
    """
    with name_scope(name, "multinomial", [logits]):
        return _categorical(logits, num_samples, output_dtype, seed)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Tensor:
    """`multinomial` under its later name."""
    with name_scope(name, "categorical", [logits]):
        return _categorical(logits, num_samples, dtype, seed)


def _categorical(logits: Any, num_samples: Any, dtype: Any, seed: int | None) -> Tensor:
    logits = convert_to_tensor(logits, name="logits")
    dtype = dtypes.int64 if dtype is None else dtypes.as_dtype(dtype)
    return raw.Multinomial(logits, num_samples, **_seeds(seed), output_dtype=dtype)


def random_gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns samples of gamma distributions.

    Args:
        shape: How many samples of each distribution: a list or an integer tensor.
        alpha: Shape parameters, positive.
        beta: Inverse scale parameters, which broadcast with `alpha`; 1 by default.
        dtype: float16, float32 or float64.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.

    Returns:
        A tensor of shape `shape + shape(alpha + beta)`.
    """
    dtype = dtypes.as_dtype(dtype)
    with name_scope(name, "random_gamma", [shape, alpha, beta]):
        size = convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        alpha = convert_to_tensor(alpha, name="alpha", dtype=dtype)
        beta = convert_to_tensor(1 if beta is None else beta, name="beta", dtype=dtype)
        each = alpha + array.zeros_like(beta)
        smallest = np.finfo(dtype.as_numpy_dtype).tiny
        return math.maximum(smallest, raw.RandomGamma(size, each, **_seeds(seed)) / beta)


def random_poisson(
    lam: Any,
    shape: Any,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Returns samples of Poisson distributions.

    Args:
        lam: Rates, not negative.
        shape: How many samples of each distribution: a list or an integer tensor.
        dtype: Dtype of the result: float16, float32, float64, int32 or int64.
        seed: Seed of this operation, see `set_random_seed`.
        name: Name of the operation.

    Returns:
        A tensor of shape `shape + shape(lam)`.
    """
    with name_scope(name, "random_poisson", [lam, shape]):
        size = convert_to_tensor(shape, name="shape", dtype=dtypes.int32)
        return raw.RandomPoissonV2(size, lam, dtype=dtypes.as_dtype(dtype), **_seeds(seed))


def _stateless_seed(seed: Any) -> Tensor:
    return convert_to_tensor(seed, name="seed")


def stateless_random_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """Returns numbers uniform in [minval, maxval) that are a function of the seed.

    Args:
        shape: The shape of the result: a list or an integer tensor.
        seed: Two integers, a list or a tensor.
        minval: Lower bound, a number or scalar tensor of `dtype`.
        maxval: Upper bound, exclusive. By default 1 for floats; integers need one.
        dtype: float16, bfloat16, float32, float64, int32 or int64.
        name: Name of the operation.

    Raises:
        ValueError: If `dtype` is another one, or an integer one without `maxval`.
    """
    dtype = _checked(dtype, maxval, "stateless_random_uniform")
    with name_scope(name, "stateless_random_uniform", [shape, seed, minval, maxval]) as scope:
        size = _shape_tensor(shape)
        low = _number(minval, dtype, "min")
        high = _number(1 if maxval is None else maxval, dtype, "max")
        if dtype.is_integer:
            return raw.StatelessRandomUniformInt(size, _stateless_seed(seed), low, high, name=scope)
        unit = raw.StatelessRandomUniform(size, _stateless_seed(seed), dtype=dtype)
        return _between(unit, low, high, scope)


def stateless_random_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """`random_normal` as a function of the seed, two integers."""
    with name_scope(name, "stateless_random_normal", [shape, seed, mean, stddev]) as scope:
        return _stateless_scaled(raw.StatelessRandomNormal, shape, seed, mean, stddev, dtype, scope)


def stateless_truncated_normal(
    shape: Any,
    seed: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """`truncated_normal` as a function of the seed, two integers."""
    with name_scope(name, "stateless_truncated_normal", [shape, seed, mean, stddev]) as scope:
        return _stateless_scaled(raw.StatelessTruncatedNormal, shape, seed, mean, stddev, dtype, scope)


def _stateless_scaled(
    draw: Any, shape: Any, seed: Any, mean: Any, stddev: Any, dtype: Any, name: str
) -> Tensor:
    dtype = dtypes.as_dtype(dtype)
    size = _shape_tensor(shape)
    center = _number(mean, dtype, "mean")
    spread = _number(stddev, dtype, "stddev")
    unit = draw(size, _stateless_seed(seed), dtype=dtype)
    return math.add(unit * spread, center, name=name)


def stateless_multinomial(
    logits: Any, num_samples: Any, seed: Any, output_dtype: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """`multinomial` as a function of the seed, two integers."""
    with name_scope(name, "stateless_multinomial", [logits, seed]):
        return _stateless_categorical(logits, num_samples, seed, output_dtype)


def stateless_categorical(
    logits: Any, num_samples: Any, seed: Any, dtype: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """`categorical` as a function of the seed, two integers."""
    with name_scope(name, "stateless_categorical", [logits, seed]):
        return _stateless_categorical(logits, num_samples, seed, dtype)


def _stateless_categorical(logits: Any, num_samples: Any, seed: Any, dtype: Any) -> Tensor:
    logits = convert_to_tensor(logits, name="logits")
    return raw.StatelessMultinomial(
        logits, num_samples, _stateless_seed(seed), output_dtype=dtypes.as_dtype(dtype)
    )
