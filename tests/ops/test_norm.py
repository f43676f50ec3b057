from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.ops import norm
from tests.ops.harness import Bad, Case, OpRecord, run_records

random = np.random.default_rng(4)


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).round(2)


def positive(*shape: int) -> np.ndarray:
    return random.uniform(0.5, 2, shape).round(2)


class Batch:
    """Batch normalisation with its axes."""

    def __init__(self, x, epsilon=0.0001, data_format="NHWC", is_training=True):
        self.first, self.training = data_format == "NCHW", is_training
        self.axes = (0, 2, 3) if self.first else (0, 1, 2)
        self.x, self.epsilon = np.asarray(x, np.float64), np.float64(np.float32(epsilon))
        self.count = x.size // max(x.shape[1 if self.first else 3], 1)

    def spread(self, v):
        v = np.asarray(v, np.float64)
        return v[:, None, None] if self.first else v

    def moments(self, mean, variance):
        if not self.training:
            return mean, variance, variance
        with np.errstate(all="ignore"):
            mean, variance = self.x.mean(self.axes), self.x.var(self.axes)
        return mean, variance, variance * self.count / max(self.count - 1, 1)

    def normal(self, mean, variance):
        return (self.x - self.spread(mean)) / np.sqrt(self.spread(variance) + self.epsilon)


def batch_norm(x, scale, offset, mean, variance, **attrs):
    b = Batch(x, **attrs)
    mean, variance, unbiased = b.moments(mean, variance)
    y = b.normal(mean, variance) * b.spread(scale) + b.spread(offset)
    wide = np.result_type(scale)
    return [y.astype(x.dtype), *(np.asarray(v, wide) for v in (mean, unbiased, mean, variance))]


def batch_norm_v3(*args, **attrs):
    return [*batch_norm(*args, **attrs), np.zeros((), np.float32)]


def batch_norm_grad(dy, x, scale, mean, variance, *_, **attrs):
    b = Batch(x, **attrs)
    dy = np.asarray(dy, np.float64)
    h = b.normal(mean, variance)
    dscale, doffset = (dy * h).sum(b.axes), dy.sum(b.axes)
    dx = dy
    if b.training and b.count:
        dx = dy - b.spread(doffset) / b.count - h * b.spread(dscale) / b.count
    dx = dx * b.spread(scale) / np.sqrt(b.spread(variance) + b.epsilon)
    wide, empty = np.result_type(scale), np.zeros(0, np.result_type(scale))
    return [dx.astype(x.dtype), dscale.astype(wide), doffset.astype(wide), empty, empty]


NONE = np.zeros(0)
FORMATS = [("NHWC", (3, 2, 4, 3)), ("NCHW", (2, 3, 3, 4))]


def as32(values):
    return tuple(np.asarray(v, np.float32) for v in values)


def forward_cases(cast=tuple):
    made = []
    for data_format, shape in FORMATS:
        attrs = {"data_format": data_format, "epsilon": 0.01}
        parameters = (positive(3), normal(3))
        made.append(Case((normal(*shape), *cast((*parameters, NONE, NONE))), attrs, name=data_format))
        given = (*parameters, normal(3), positive(3))
        inference = attrs | {"is_training": False}
        made.append(Case((normal(*shape), *cast(given)), inference, name=f"{data_format}-inference"))
    made.append(
        Case((normal(1, 1, 1, 2), *cast((positive(2), normal(2), NONE, NONE))), gradient=False, name="one")
    )
    empty = (np.zeros((0, 2, 2, 3)), *cast((positive(3), normal(3), normal(3), positive(3))))
    made.append(Case(empty, {"is_training": False}, name="empty"))
    return made


def grad_cases(cast=tuple, third=False):
    made = []
    more = (np.zeros((), np.float32),) if third else ()
    for data_format, shape in FORMATS:
        for training in (True, False):
            inputs = (normal(*shape), normal(*shape), *cast((positive(3), normal(3), positive(3))), *more)
            attrs = {"data_format": data_format, "epsilon": 0.01, "is_training": training}
            made.append(Case(inputs, attrs, name=f"{data_format}-{training}"))
    empty = (np.zeros((0, 2, 2, 3)),) * 2 + (*cast((positive(3), normal(3), positive(3))), *more)
    made.append(Case(empty, {"is_training": False}, name="empty"))
    return made


BAD = [
    Bad((normal(2, 2, 2, 3), normal(2), normal(3), NONE, NONE), match="scale has 2 elements"),
    Bad((normal(2, 2, 3), normal(3), normal(3), NONE, NONE), match="rank 4"),
]
BAD_MIXED = [Bad((bad.inputs[0], *as32(bad.inputs[1:])), match=bad.match) for bad in BAD]
MIXED = ("float32", "float16", "bfloat16")
TOLERANCE = {"float32": 1e-4, "float64": 1e-9, "float16": 1e-2, "bfloat16": 5e-2}


def lrn(x, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    return x / lrn_norm(x, depth_radius, bias, alpha) ** beta


def around(v, radius):
    place = np.arange(v.shape[-1])
    return v @ (abs(place[:, None] - place) <= radius).astype(v.dtype)


def lrn_norm(x, radius, bias, alpha):
    return np.float32(bias) + np.float32(alpha) * around(x * x, radius)


def lrn_grad(g, x, y, depth_radius=5, bias=1.0, alpha=1.0, beta=0.5):
    n = lrn_norm(x, depth_radius, bias, alpha)
    factor = 2 * np.float64(np.float32(alpha)) * np.float64(np.float32(beta))
    result = g * n ** -np.float64(np.float32(beta)) - factor * x * around(g * y / n, depth_radius)
    return result.astype(x.dtype)


LRN = {"depth_radius": 1, "bias": 1.5, "alpha": 0.75, "beta": 0.625}

RECORDS = [
    OpRecord(
        "FusedBatchNorm",
        forward_cases(),
        batch_norm,
        ("float32", "float64"),
        differentiable=(0, 1, 2),
        bad=BAD,
        tolerance=TOLERANCE,
    ),
    OpRecord("FusedBatchNormV2", forward_cases(as32), batch_norm, MIXED, tolerance=TOLERANCE, bad=BAD_MIXED),
    OpRecord(
        "FusedBatchNormV3", forward_cases(as32), batch_norm_v3, MIXED, tolerance=TOLERANCE, bad=BAD_MIXED
    ),
    OpRecord(
        "FusedBatchNormGrad",
        grad_cases(),
        batch_norm_grad,
        ("float32", "float64"),
        differentiable=(0, 1, 2, 3, 4),
        tolerance=TOLERANCE,
        bad=[Bad((normal(1, 2, 2, 3), normal(1, 2, 1, 3), *[normal(3)] * 3), match="y_backprop is")],
    ),
    OpRecord("FusedBatchNormGradV2", grad_cases(as32), batch_norm_grad, MIXED, tolerance=TOLERANCE),
    OpRecord("FusedBatchNormGradV3", grad_cases(as32, True), batch_norm_grad, MIXED, tolerance=TOLERANCE),
    OpRecord(
        "LRN",
        [Case((normal(1, 2, 2, 5),), LRN), Case((normal(1, 1, 2, 3),)), Case((normal(0, 1, 2, 3),))],
        lrn,
        differentiable=(0,),
        bad=[Bad((normal(2, 3),), match="rank 4")],
        tolerance={"bfloat16": 2e-2},
    ),
    OpRecord(
        "LRNGrad",
        [
            Case((normal(1, 2, 2, 5), normal(1, 2, 2, 5), normal(1, 2, 2, 5)), LRN),
            Case((normal(1, 1, 2, 3), normal(1, 1, 2, 3), normal(1, 1, 2, 3))),
            Case((normal(0, 1, 2, 3), normal(0, 1, 2, 3), normal(0, 1, 2, 3))),
        ],
        lrn_grad,
        differentiable=(0, 1, 2),
        bad=[Bad((normal(2, 3), normal(2, 3), normal(2, 3)), match="rank 4")],
        tolerance={"bfloat16": 2e-2},
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor, feeds=None):
    with tf.Session() as session:
        return session.run(tensor, feeds)


@pytest.mark.parametrize("axes", [[0], [0, 1], [1, -1]])
@pytest.mark.parametrize("keep", [False, True])
def test_moments(axes, keep):
    x = normal(3, 4, 2)
    hole = tf.placeholder(tf.float64, [None, 4, None])
    mean, variance = value(norm.moments(hole, axes, keepdims=keep), {hole: x})
    np.testing.assert_allclose(mean, x.mean(tuple(axes), keepdims=keep))
    np.testing.assert_allclose(variance, x.var(tuple(axes), keepdims=keep))
    with pytest.raises(ValueError, match="two names"):
        norm.moments(hole, axes, keepdims=True, keep_dims=True)


def test_moments_of_halves_do_not_overflow():
    x = np.full((4000,), 100, np.float16)
    mean, variance = norm.moments(tf.constant(x), [0])
    assert mean.dtype == tf.float16
    assert value([mean, variance]) == [100, 0]


def test_weighted_moments():
    x, weights = normal(3, 4), positive(3, 1)
    mean, variance = value(norm.weighted_moments(x, [0], weights))
    want = (x * weights).sum(0) / weights.sum()
    np.testing.assert_allclose(mean, want)
    np.testing.assert_allclose(variance, (weights * (x - want) ** 2).sum(0) / weights.sum())


@pytest.mark.parametrize("shift", [None, 0.5])
@pytest.mark.parametrize("known", [True, False])
def test_moments_of_parts_add_up(shift, known):
    x = normal(6, 3)
    hole = tf.placeholder(tf.float64, x.shape if known else [None, None])
    count, mean_ss, variance_ss, moved = norm.sufficient_statistics(hole, [0], shift)
    mean, variance = value(norm.normalize_moments(count, mean_ss, variance_ss, moved), {hole: x})
    np.testing.assert_allclose(mean, x.mean(0))
    np.testing.assert_allclose(variance, x.var(0))


@pytest.mark.parametrize("scale, offset", [(2.0, 1.0), (None, 1.0), (2.0, None), (None, None)])
def test_batch_normalization(scale, offset):
    x, mean, variance = normal(5, 3), normal(3), positive(3)
    y = value(norm.batch_normalization(x, mean, variance, offset, scale, 1e-3))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-3) * (scale or 1) + (offset or 0))


def test_fused_batch_norm_agrees_with_the_composed_one():
    x, scale, offset = normal(2, 3, 3, 4), positive(4), normal(4)
    y, mean, variance = norm.fused_batch_norm(x, scale, offset)
    batch_mean, batch_variance = norm.moments(x, [0, 1, 2])
    composed = norm.batch_normalization(x, batch_mean, batch_variance, offset, scale, 0.001)
    got, want, unbiased, biased = value([y, composed, variance, batch_variance])
    np.testing.assert_allclose(got, want, rtol=1e-6)
    np.testing.assert_allclose(unbiased, biased * 18 / 17)
    again = norm.fused_batch_norm(x, scale, offset, batch_mean, batch_variance, is_training=False)
    np.testing.assert_allclose(value(again[0]), want, rtol=1e-6)
    with pytest.raises(ValueError, match="in training"):
        norm.fused_batch_norm(x, scale, offset, mean, variance)
    with pytest.raises(ValueError, match="are needed"):
        norm.fused_batch_norm(x, scale, offset, is_training=False)


def test_l2_normalize():
    x = normal(3, 4)
    np.testing.assert_allclose(value(norm.l2_normalize(x, 1)), x / np.sqrt((x * x).sum(1, keepdims=True)))
    np.testing.assert_allclose(value(norm.l2_normalize(x)), x / np.sqrt((x * x).sum()))
    assert value(norm.l2_normalize(np.zeros((2, 2)), 0)).sum() == 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 3, 3, 5), (3, 7, 5, 33), (4, 20, 20, 64)])
def test_gradients_of_batch_norm_agree_with_float64(shape, training):
    """float32 with channels last has loops of its own, which may write over what they read."""
    x, weights = normal(*shape), normal(*shape)
    channels = [normal(shape[-1]) for _ in range(3)] + [positive(shape[-1])]
    found = []
    for dtype in (tf.float32, tf.float64):
        operands = [tf.placeholder(dtype, array.shape) for array in (x, *channels)]
        moments = () if training else operands[3:]
        y, _, _ = norm.fused_batch_norm(*operands[:3], *moments, epsilon=0.01, is_training=training)
        loss = tf.reduce_sum(tf.exp(y * 0.1) * tf.constant(weights, dtype))
        with tf.Session() as session:
            feeds = dict(zip(operands, (x, *channels)))
            found.append(session.run(tf.gradients(loss, operands[:3]), feeds))
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6 + 1e-4 * np.abs(want).max())
