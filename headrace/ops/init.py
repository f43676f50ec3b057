"""Initializers: what the first value of a variable is made by.

An initializer is called with a shape and a dtype and returns a tensor. With the same seeds, the random ones
draw the numbers that TensorFlow draws.
"""

from __future__ import annotations

import math as pymath
from typing import Any, ClassVar

import numpy as np

from headrace.framework import dtypes, raw
from headrace.framework.graph import Tensor
from headrace.framework.shapes import TensorShape
from headrace.ops import array, diag, math, random

__all__ = [
    "Initializer",
    "constant_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "ones_initializer",
    "orthogonal_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
    "uniform_unit_scaling_initializer",
    "variance_scaling_initializer",
    "zeros_initializer",
]

# The standard deviation of the standard normal distribution truncated at 2.
TRUNCATED_DEVIATION = 0.87962566103423978


class Initializer:
    """Base class of initializers: subclasses are callable with (shape, dtype, partition_info)."""

    # Names of the constructor's arguments, each kept in the attribute of that name.
    _options: ClassVar[tuple[str, ...]] = ()

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        """Returns a tensor of this shape.

        Args:
            shape: The shape, wholly known.
            dtype: Its dtype; that of the initializer if None.
            partition_info: Where the tensor is in a larger, partitioned variable, if it is.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how to make a value")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, with the dtype as a name."""
        config = {name: getattr(self, name) for name in self._options}
        if "dtype" in config:
            config["dtype"] = config["dtype"].name
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """Returns an initializer with arguments as `get_config` gives them."""
        return cls(**config)

    def _dtype(self, dtype: Any) -> dtypes.DType:
        return self.dtype if dtype is None else dtypes.as_dtype(dtype)

    dtype: dtypes.DType


def _floating(dtype: Any) -> dtypes.DType:
    dtype = dtypes.as_dtype(dtype)
    if not dtype.is_floating:
        raise ValueError(f"this initializer makes floats, not {dtype.name}")
    return dtype


class Zeros(Initializer):
    """Makes zeros (False, empty strings).

    Args:
        dtype: Dtype where the caller gives none.
    """

    _options: ClassVar[tuple[str, ...]] = ("dtype",)

    def __init__(self, dtype: Any = dtypes.float32):
        self.dtype = dtypes.as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return array.zeros(shape, self._dtype(dtype))


class Ones(Initializer):
    """Makes ones.

    Args:
        dtype: Dtype where the caller gives none.
    """

    _options: ClassVar[tuple[str, ...]] = ("dtype",)

    def __init__(self, dtype: Any = dtypes.float32):
        self.dtype = dtypes.as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return array.ones(shape, self._dtype(dtype))


class Constant(Initializer):
    """Makes given values.

    Args:
        value: A number, or numbers in a (nested) list or array. If there are fewer than the shape needs, the
            last one repeats.
        dtype: Dtype where the caller gives none.
        verify_shape: Whether the values must have the very shape that is asked for.

    Raises:
        TypeError: If `value` is neither a number, list nor array.
    """

    _options: ClassVar[tuple[str, ...]] = ("value", "dtype")

    def __init__(self, value: Any = 0, dtype: Any = dtypes.float32, verify_shape: bool = False):
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(f"{value!r} is a {type(value).__name__}; pass a number, a list or an array")
        self.value = value
        self.dtype = dtypes.as_dtype(dtype)
        self._verify_shape = verify_shape

    def __call__(
        self, shape: Any, dtype: Any = None, partition_info: Any = None, verify_shape: bool | None = None
    ) -> Tensor:
        verify = self._verify_shape if verify_shape is None else verify_shape
        return array.constant(self.value, dtype=self._dtype(dtype), shape=shape, verify_shape=verify)


class RandomUniform(Initializer):
    """Makes numbers uniform in [minval, maxval); see `tf.random_uniform`.

    Args:
        minval: Lower bound.
        maxval: Upper bound; 1 for floats by default.
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none.
    """

    _options: ClassVar[tuple[str, ...]] = ("minval", "maxval", "seed", "dtype")

    def __init__(
        self, minval: Any = 0, maxval: Any = None, seed: int | None = None, dtype: Any = dtypes.float32
    ):
        self.minval = minval
        self.maxval = maxval
        self.seed = seed
        self.dtype = dtypes.as_dtype(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return random.random_uniform(shape, self.minval, self.maxval, self._dtype(dtype), seed=self.seed)


class RandomNormal(Initializer):
    """Makes numbers of a normal distribution; see `tf.random_normal`.

    Args:
        mean: Mean.
        stddev: Standard deviation.
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("mean", "stddev", "seed", "dtype")

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None, dtype: Any = dtypes.float32
    ):
        self.mean = mean
        self.stddev = stddev
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return random.random_normal(shape, self.mean, self.stddev, self._dtype(dtype), seed=self.seed)


class TruncatedNormal(RandomNormal):
    """Makes numbers of a normal distribution within two standard deviations; see `tf.truncated_normal`.

    Args:
        mean: Mean.
        stddev: Standard deviation, before the distribution is truncated.
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        return random.truncated_normal(shape, self.mean, self.stddev, self._dtype(dtype), seed=self.seed)


def _full_shape(shape: Any, partition_info: Any) -> list[int]:
    """The shape of the whole variable, of which a partition may have been asked for."""
    whole = shape if partition_info is None else partition_info.full_shape
    sizes = [size for size in TensorShape(whole).as_list() if size is not None]
    if len(sizes) != len(TensorShape(whole)):
        raise ValueError(f"an initializer needs a shape that is wholly known, not {whole}")
    return sizes


class UniformUnitScaling(Initializer):
    """Makes uniform numbers that keep the scale of what they are multiplied with.

    They are in [-limit, limit) with `limit = factor * sqrt(3 / inputs)`, `inputs` being the product of all
    dimensions but the last.

    Args:
        factor: Multiplies the limit.
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("factor", "seed", "dtype")

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32):
        self.factor = factor
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        inputs = 1.0
        for size in _full_shape(shape, partition_info)[:-1]:
            inputs *= float(size)
        limit = pymath.sqrt(3 / max(inputs, 1.0)) * self.factor
        return random.random_uniform(shape, -limit, limit, self._dtype(dtype), seed=self.seed)


def _fans(shape: list[int]) -> tuple[float, float]:
    """How many inputs an output of weights of this shape sees, and how many outputs an input."""
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return shape[0], shape[0]
    window = 1.0
    for size in shape[:-2]:
        window *= size
    return shape[-2] * window, shape[-1] * window


class VarianceScaling(Initializer):
    """Makes numbers whose variance is `scale / n`, n being a number of inputs or outputs of the weights.

    Args:
        scale: Numerator of the variance, positive.
        mode: What n is: "fan_in", the number of inputs; "fan_out", of outputs; "fan_avg", their average.
        distribution: "truncated_normal" (or "normal"), "untruncated_normal" or "uniform".
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.

    Raises:
        ValueError: If an argument has another value.
    """

    _options: ClassVar[tuple[str, ...]] = ("scale", "mode", "distribution", "seed", "dtype")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ):
        if scale <= 0:
            raise ValueError(f"scale is {scale}; it must be positive")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode is {mode!r}; it must be 'fan_in', 'fan_out' or 'fan_avg'")
        distribution = distribution.lower()
        if distribution not in ("normal", "uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(
                f"distribution is {distribution!r}; it must be 'truncated_normal', 'untruncated_normal' or "
                "'uniform'"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        fan_in, fan_out = _fans(_full_shape(shape, partition_info))
        number = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        scale = self.scale / max(1.0, number)
        dtype = self._dtype(dtype)
        if self.distribution == "uniform":
            limit = pymath.sqrt(3.0 * scale)
            return random.random_uniform(shape, -limit, limit, dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random.random_normal(shape, 0.0, pymath.sqrt(scale), dtype, seed=self.seed)
        stddev = pymath.sqrt(scale) / TRUNCATED_DEVIATION
        return random.truncated_normal(shape, 0.0, stddev, dtype, seed=self.seed)


class GlorotUniform(VarianceScaling):
    """Makes uniform numbers of variance `2 / (inputs + outputs)`.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010.

    Args:
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("seed", "dtype")

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32):
        super().__init__(1.0, "fan_avg", "uniform", seed, dtype)


class GlorotNormal(VarianceScaling):
    """Makes truncated normal numbers of variance `2 / (inputs + outputs)`; see `GlorotUniform`.

    Args:
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("seed", "dtype")

    def __init__(self, seed: int | None = None, dtype: Any = dtypes.float32):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, dtype)


class Orthogonal(Initializer):
    """Makes a matrix with orthonormal rows or columns, whichever are fewer.

    All dimensions but the last are taken together as rows.

    Args:
        gain: Factor of the matrix.
        seed: Seed of the operation.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("gain", "seed", "dtype")

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32):
        self.gain = gain
        self.seed = seed
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        dtype = self._dtype(dtype)
        sizes = _full_shape(shape, None)
        if len(sizes) < 2:
            raise ValueError(f"an orthogonal matrix has at least two dimensions, not shape {tuple(sizes)}")
        columns = sizes[-1]
        rows = int(np.prod(sizes[:-1]))
        tall = (max(rows, columns), min(rows, columns))
        q, r = raw.Qr(random.random_normal(tall, dtype=dtype, seed=self.seed), full_matrices=False)
        # The signs of the diagonal make the decomposition unique, and so the result uniform.
        q = q * math.sign(diag.diag_part(r))
        if rows < columns:
            q = array.matrix_transpose(q)
        return self.gain * array.reshape(q, sizes)


class Identity(Initializer):
    """Makes an identity matrix.

    Args:
        gain: Factor of the matrix.
        dtype: Dtype where the caller gives none, a float.
    """

    _options: ClassVar[tuple[str, ...]] = ("gain", "dtype")

    def __init__(self, gain: float = 1.0, dtype: Any = dtypes.float32):
        self.gain = gain
        self.dtype = _floating(dtype)

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        sizes = _full_shape(shape, partition_info)
        if len(sizes) != 2:
            raise ValueError(f"an identity matrix has two dimensions, not shape {tuple(sizes)}")
        dtype = self._dtype(dtype)
        matrix = np.eye(sizes[0], sizes[1]) * self.gain
        if partition_info is not None:
            starts = partition_info.var_offset
            stops = [start + size for start, size in zip(starts, TensorShape(shape).as_list())]
            matrix = matrix[starts[0] : stops[0], starts[1] : stops[1]]
        return array.constant(matrix, dtype=dtype)


def lecun_normal(seed: int | None = None) -> Initializer:
    """Truncated normal numbers of variance `1 / inputs` (Y. LeCun et al., "Efficient backprop", 1998)."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> Initializer:
    """Uniform numbers of variance `1 / inputs`; see `lecun_normal`."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


def he_normal(seed: int | None = None) -> Initializer:
    """Truncated normal numbers of variance `2 / inputs`, for layers with ReLU.

    K. He et al., "Delving deep into rectifiers", 2015.
    """
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> Initializer:
    """Uniform numbers of variance `2 / inputs`; see `he_normal`."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


zeros_initializer = Zeros
ones_initializer = Ones
constant_initializer = Constant
random_uniform_initializer = RandomUniform
random_normal_initializer = RandomNormal
truncated_normal_initializer = TruncatedNormal
uniform_unit_scaling_initializer = UniformUnitScaling
variance_scaling_initializer = VarianceScaling
orthogonal_initializer = Orthogonal
glorot_uniform_initializer = GlorotUniform
glorot_normal_initializer = GlorotNormal
identity_initializer = Identity
