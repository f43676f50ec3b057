from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import headrace as tf
from headrace.ops import pool
from tests.ops.harness import Bad, Case, OpRecord, run_records
from tests.ops.windows import as_format, channels_last, geometry, spatial, taps

random = np.random.default_rng(3)
REAL = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "int8", "int16", "uint16")
# Without int8, in which the numbers of a case wrap.
WIDE = tuple(name for name in REAL if name != "int8")
FLOATS = ("float32", "float64", "float16", "bfloat16")


def distinct(*shape: int) -> np.ndarray:
    """Numbers without ties, exact in every dtype."""
    size = int(np.prod(shape))
    return random.permutation(size).reshape(shape).astype(float)


def ints(*shape: int) -> np.ndarray:
    return random.integers(1, 5, shape).astype(float)


class Windows:
    """The places of a tensor under each window: (batch, out..., places, channels), -1 beyond the border."""

    def __init__(self, shape, ksize, strides, padding, data_format="", **_):
        self.format = data_format or ("NHWC" if len(shape) == 4 else "NDHWC")
        size = spatial(shape, self.format)
        channels = shape[1 if self.format[1] == "C" else -1]
        window, steps = spatial(ksize, self.format), spatial(strides, self.format)
        self.out, pads = geometry(size, window, steps, [1] * len(size), padding)
        self.shape = (shape[0], *size, channels)
        numbers = np.arange(int(np.prod(self.shape))).reshape(self.shape)
        more = [(b, a + max(window)) for b, a in pads]
        padded = np.pad(numbers, [(0, 0), *more, (0, 0)], constant_values=-1)
        found = [padded[(slice(None), *where)] for _, where in taps(self.out, window, steps, [1] * len(size))]
        self.places = np.stack(found, -2)

    def values(self, x, beyond):
        flat = np.append(channels_last(x, self.format).ravel(), np.asarray(beyond).astype(x.dtype))
        return flat[self.places]

    def argmax(self, x):
        """The flat place of each maximum."""
        wide = channels_last(x, self.format).astype(float).ravel()
        best = np.append(wide, -np.inf)[self.places].argmax(-2)
        return np.take_along_axis(self.places, best[..., None, :], -2)[..., 0, :]

    def back(self, flat):
        return as_format(flat.reshape(self.shape), self.format)


def lowest(x):
    return -np.inf if x.dtype.kind in "fV" else np.iinfo(x.dtype).min


def max_pool(x, **attrs):
    w = Windows(x.shape, **attrs)
    return as_format(w.values(x, lowest(x)).max(-2), w.format)


def max_pool_grad(x, _, grad, **attrs):
    w = Windows(x.shape, **attrs)
    result = np.zeros(x.size, grad.dtype)
    np.add.at(result, w.argmax(x).ravel(), channels_last(grad, w.format).ravel())
    return w.back(result)


def max_pool_grad_grad(x, _, grad, **attrs):
    w = Windows(x.shape, **attrs)
    return as_format(channels_last(grad, w.format).ravel()[w.argmax(x)], w.format)


def avg_pool(x, **attrs):
    w = Windows(x.shape, **attrs)
    return as_format(w.values(x, 0).sum(-2) / (w.places >= 0).sum(-2), w.format)


def avg_pool_grad(shape, grad, **attrs):
    w = Windows(tuple(shape), **attrs)
    share = channels_last(grad, w.format) / (w.places >= 0).sum(-2)
    result = np.zeros(int(np.prod(shape)) + 1, grad.dtype)
    np.add.at(result, w.places.ravel(), np.broadcast_to(share[..., None, :], w.places.shape).ravel())
    return w.back(result[:-1])


def argmax_numbers(x, include_batch_in_index=False, **attrs):
    places = Windows(x.shape, **attrs).argmax(x)
    return places if include_batch_in_index or not x.size else places % x[0].size


def with_argmax(x, Targmax="int64", **attrs):
    where = argmax_numbers(x, **attrs)
    attrs.pop("include_batch_in_index", None)
    return [max_pool(x, **attrs), where.astype(Targmax)]


def window(size, stride, padding, data_format=None):
    first = data_format is not None and data_format[1] == "C"
    attrs = {
        "ksize": [1, 1, *size] if first else [1, *size, 1],
        "strides": [1, 1, *stride] if first else [1, *stride, 1],
        "padding": padding,
    }
    return attrs | ({"data_format": data_format} if data_format else {})


CALLS = {
    "plain": ((2, 4, 6, 3), window((2, 2), (2, 2), "VALID")),
    "overlapping": ((1, 5, 6, 2), window((3, 2), (1, 2), "SAME")),
    "gaps": ((1, 5, 5, 2), window((2, 1), (3, 2), "VALID")),
    "channels_first": ((2, 2, 5, 4), window((2, 3), (2, 1), "SAME", "NCHW")),
    "wide": ((1, 3, 3, 25), window((2, 2), (1, 1), "VALID")),
    "no_batch": ((0, 4, 4, 2), window((2, 2), (2, 2), "SAME")),
}
CALLS_3D = {
    "plain": ((1, 4, 3, 4, 2), window((2, 2, 2), (2, 1, 2), "VALID")),
    "overlapping": ((2, 3, 3, 4, 1), window((2, 3, 2), (1, 2, 2), "SAME")),
    "channels_first": ((1, 2, 3, 4, 3), window((2, 2, 2), (1, 2, 1), "SAME", "NCDHW")),
    "no_batch": ((0, 4, 4, 4, 2), window((2, 2, 2), (2, 2, 2), "SAME")),
}
INTEGERS_ONLY_CHANNELS_LAST = {k: v for k, v in CALLS.items() if k != "channels_first"}


def cases(calls, kind, **more):
    made = []
    for name, (shape, attrs) in calls.items():
        x = distinct(*shape)
        y = max_pool(x, **attrs)
        where = argmax_numbers(x, **attrs, **more)
        inputs = {
            "forward": (x,),
            "grad": (x, y, ints(*y.shape)),
            "grad_grad": (x, y, ints(*shape)),
            "shape": (np.array(shape, np.int32), ints(*y.shape)),
            "scatter": (x, ints(*y.shape), where),
            "gather": (x, ints(*shape), where),
        }[kind]
        made.append(Case(inputs, attrs | more, name=name))
    return made


BAD = [
    Bad((ints(1, 4, 4, 1),), window((2, 2), (2, 2), "VALID") | {"ksize": [1, 2, 2]}, match="ksize"),
    Bad((ints(1, 4, 4, 1),), {"ksize": [2, 1, 1, 1], "strides": [1] * 4, "padding": "SAME"}, match="batch"),
    Bad((ints(1, 4, 4, 1),), window((6, 5), (1, 1), "VALID"), match="does not fit"),
    Bad((ints(1, 4, 4, 1),), window((0, 2), (1, 1), "VALID"), match="ksize is 0"),
    Bad((ints(4, 4, 1),), window((2, 2), (1, 1), "VALID"), match="rank 4"),
]
RECORDS = [
    OpRecord("MaxPool", cases(CALLS, "forward"), max_pool, REAL, differentiable=(0,), bad=BAD),
    OpRecord(
        "MaxPoolGrad",
        cases(CALLS, "grad"),
        max_pool_grad,
        WIDE,
        differentiable=(2,),
        bad=[
            Bad(
                (ints(1, 4, 4, 1), ints(1, 2, 2, 1), ints(1, 2, 3, 1)),
                window((2, 2), (2, 2), "VALID"),
                match="grad is",
            )
        ],
    ),
    OpRecord("MaxPoolGradGrad", cases(CALLS, "grad_grad"), max_pool_grad_grad, WIDE, differentiable=(2,)),
    OpRecord(
        "MaxPoolWithArgmax",
        [
            *cases(INTEGERS_ONLY_CHANNELS_LAST, "forward"),
            *cases(INTEGERS_ONLY_CHANNELS_LAST, "forward", include_batch_in_index=True),
        ],
        with_argmax,
        REAL,
        differentiable=(0,),
        bad=BAD[1:],
    ),
    OpRecord(
        "MaxPoolGradWithArgmax",
        [
            *cases(INTEGERS_ONLY_CHANNELS_LAST, "scatter"),
            *cases(INTEGERS_ONLY_CHANNELS_LAST, "scatter", include_batch_in_index=True),
        ],
        lambda x, grad, where, include_batch_in_index=False, **attrs: max_pool_grad(x, None, grad, **attrs),
        WIDE,
        differentiable=(1,),
        bad=[
            Bad(
                (ints(1, 2, 2, 1), ints(1, 1, 1, 1), np.array([[[[4]]]])),
                window((2, 2), (2, 2), "VALID"),
                match="outside its image",
                when="run",
            )
        ],
    ),
    OpRecord(
        "MaxPoolGradGradWithArgmax",
        cases(INTEGERS_ONLY_CHANNELS_LAST, "gather"),
        lambda x, grad, where, **attrs: max_pool_grad_grad(x, None, grad, **attrs),
        WIDE,
        differentiable=(1,),
    ),
    OpRecord("AvgPool", cases(CALLS, "forward"), avg_pool, FLOATS, differentiable=(0,), bad=BAD),
    OpRecord(
        "AvgPoolGrad",
        cases(CALLS, "shape"),
        avg_pool_grad,
        FLOATS,
        differentiable=(1,),
        bad=[Bad(([1, 4, 4, 1], ints(1, 2, 3, 1)), window((2, 2), (2, 2), "VALID"), match="grad is")],
    ),
    OpRecord("MaxPool3D", cases(CALLS_3D, "forward"), max_pool, FLOATS, differentiable=(0,)),
    OpRecord(
        "MaxPool3DGrad",
        # What was pooled in double precision, whatever the dtype of the gradient.
        [dataclasses.replace(c, attrs={**c.attrs, "TInput": "float64"}) for c in cases(CALLS_3D, "grad")],
        lambda x, y, grad, TInput, **attrs: max_pool_grad(x, y, grad, **attrs),
        FLOATS,
        differentiable=(2,),
        type_attr="T",
    ),
    OpRecord(
        "MaxPool3DGradGrad", cases(CALLS_3D, "grad_grad"), max_pool_grad_grad, FLOATS, differentiable=(2,)
    ),
    OpRecord("AvgPool3D", cases(CALLS_3D, "forward"), avg_pool, FLOATS, differentiable=(0,)),
    OpRecord("AvgPool3DGrad", cases(CALLS_3D, "shape"), avg_pool_grad, FLOATS, differentiable=(1,)),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor):
    with tf.Session(graph=tensor.graph) as session:
        return session.run(tensor)


def test_ties_go_to_the_first_place():
    x = tf.constant(np.ones((1, 2, 2, 1)))
    y = pool.max_pool(x, 2, 2, "VALID")
    np.testing.assert_array_equal(value(tf.gradients(y, x)[0])[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_is_the_maximum(dtype):
    x = np.zeros((1, 2, 2, 1), dtype)
    x[0, 0, 1, 0] = np.nan
    assert np.isnan(value(pool.max_pool(tf.constant(x), 2, 2, "VALID"))).all()


def test_public_functions_take_sizes_in_several_ways():
    x = distinct(1, 4, 6, 2)
    want = max_pool(x, **window((2, 2), (2, 2), "SAME"))
    for size in (2, [2, 2], [1, 2, 2, 1]):
        np.testing.assert_array_equal(value(pool.max_pool(x, size, size, "SAME")), want)
    np.testing.assert_array_equal(value(pool.max_pool_v2(x, 2, 2, "SAME")), want)
    assert pool.max_pool(x, 2, 2, "SAME", name="p").name == "p:0"
    with pytest.raises(ValueError, match="data_format"):
        pool.max_pool(x, 2, 2, "SAME", data_format="HWC")


@pytest.mark.parametrize("data_format", ["NWC", "NCW"])
def test_sequences_are_pooled(data_format):
    x = distinct(2, 6, 3)
    want = x.reshape(2, 3, 2, 3)
    pooled = pool.max_pool1d(as_format(x, data_format), 2, 2, "VALID", data_format=data_format)
    np.testing.assert_array_equal(channels_last(value(pooled), data_format), want.max(2))
    pooled = pool.avg_pool1d(as_format(x, data_format), 2, 2, "VALID", data_format=data_format)
    np.testing.assert_allclose(channels_last(value(pooled), data_format), want.mean(2))


@pytest.mark.parametrize("kind, reference", [("MAX", max_pool), ("AVG", avg_pool)])
def test_pool_over_any_number_of_dimensions(kind, reference):
    x = distinct(1, 4, 5, 2)
    y = pool.pool(x, [2, 3], kind, "SAME", strides=[2, 1])
    np.testing.assert_allclose(value(y), reference(x, **window((2, 3), (2, 1), "SAME")))
    x = distinct(1, 4, 3, 4, 2)
    y = pool.pool(x, [2, 2, 2], kind, "VALID")
    np.testing.assert_allclose(value(y), reference(x, **window((2, 2, 2), (1, 1, 1), "VALID")))
    with pytest.raises(ValueError, match="window_shape"):
        pool.pool(x, [2, 2], kind, "VALID")


def test_pool_with_dilated_windows():
    x = distinct(1, 7, 6, 2)
    y = value(pool.pool(x, [2, 3], "MAX", "VALID", dilation_rate=[3, 2]))
    want = np.stack([x[:, 3 * i : 4 + 3 * i, 2 * j : 2 + 2 * j] for i in range(2) for j in range(3)]).max(0)
    np.testing.assert_array_equal(y, want)
