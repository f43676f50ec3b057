"""Tapes that end in reductions, or go on with what they made of rows; values stay the same bit by bit."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as tf
from headrace.framework import raw

OFF = tf.ConfigProto(disabled_passes=["fusion"])
SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 1e-42, 3e38]
rng = np.random.default_rng(5)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def fed(*arrays):
    return {tf.placeholder(a.dtype, a.shape): a for a in arrays}


def check(fetches, feeds, tolerance=None):
    """The operations of the plan, after checking that values are the same without fusion, twice."""
    with tf.Session() as on, tf.Session(config=OFF) as off:
        for _ in range(2):
            for a, b in zip(on.run(fetches, feeds), off.run(fetches, feeds)):
                assert a.dtype == b.dtype
                if tolerance is None:
                    np.testing.assert_array_equal(a, b)
                    np.testing.assert_array_equal(np.signbit(a), np.signbit(b))
                else:
                    np.testing.assert_allclose(a.astype(float), b.astype(float), tolerance, tolerance)
        assert "_Elementwise" not in off.describe_plan(fetches, feeds)
        return re.findall(r"^  (\w+)[ (]", on.describe_plan(fetches, feeds), re.M)[1:]


SHAPES = [
    (1, 1),
    (1, 7),
    (7, 1),
    (3, 5),
    (2, 300),
    (300, 2),
    (50, 33),
    (1000, 64),
    (129, 256),
    (2048, 10),
    (37, 1024),
    (64, 1500),
    (5, 4096),
    (3, 5000),
    (9, 20_000),
    (4099, 3),
]
REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "EuclideanNorm"]


@pytest.mark.parametrize("axes", [[0], [1], [0, 1], [-1], [-2]], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_is_reduced_is_not_stored(shape, axes):
    feeds = fed(normal(*shape), normal(shape[1]))
    x, b = feeds
    y = tf.tanh(x * b)
    for keep in (False, True):
        for op in REDUCTIONS:
            plan = check([getattr(raw, op)(y, axes, keep_dims=keep)], feeds)
            trivial = np.prod([shape[axis] for axis in axes]) == 1
            assert trivial or plan == ["_Elementwise"]


DTYPES = [np.float64, np.int32, np.int64, np.uint8, np.float16, tf.bfloat16.as_numpy_dtype]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(3, 5), (200, 65), (70, 1000), (2, 9000)], ids=str)
def test_dtypes(shape, dtype):
    feeds = fed((3 * normal(*shape)).astype(dtype), (3 * normal(*shape)).astype(dtype))
    x, y = feeds
    z = x * y + x
    # 16-bit floats are float32 in between.
    tolerance = 0.1 if x.dtype in (tf.float16, tf.bfloat16) else None
    for axes in ([0], [1], [0, 1]):
        fetches = [tf.reduce_sum(z, axes), tf.reduce_max(z, axes), tf.reduce_mean(z, axes)]
        scale = [f / shape[0] for f in fetches] if tolerance else fetches
        assert "_Elementwise" in check(scale, feeds, tolerance)


def test_truth_values():
    feeds = fed(normal(60, 200))
    (x,) = feeds
    small = tf.less(x, 3.0)
    assert check([tf.reduce_all(small, 1), tf.reduce_any(x > 2.9, 1)], feeds) == ["_Elementwise"] * 2
    assert check([tf.reduce_all(small, 0), tf.reduce_any(small)], feeds).count("_Elementwise") >= 1


@pytest.mark.parametrize("shape", [(4, 6, 50), (3, 70, 64), (2, 5, 3000), (6, 4100, 2)], ids=str)
@pytest.mark.parametrize("axes", [[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]], ids=str)
def test_three_dimensions(shape, axes):
    feeds = fed(normal(*shape), normal(shape[1], 1), normal(shape[0], 1, shape[2]))
    x, b, c = feeds
    y = tf.exp(x * b) - c
    check([tf.reduce_sum(y, axes), tf.reduce_max(y, axes, keepdims=True), y], feeds)


@pytest.mark.parametrize("axes", [[0], [1], [0, 1]], ids=str)
@pytest.mark.parametrize("shape", [(5, 6), (130, 257), (70, 2000), (2, 10_000)], ids=str)
def test_special_values(shape, axes):
    a = normal(*shape)
    a.flat[:: a.size // 6][: len(SPECIAL)] = SPECIAL
    for array in (a, np.full(shape, -0.0, np.float32)):
        feeds = fed(array)
        (x,) = feeds
        y = -tf.abs(x)
        for op in REDUCTIONS:
            check([getattr(raw, op)(y, axes)], feeds)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0)], ids=str)
def test_nothing_is_reduced(shape):
    feeds = fed(np.zeros(shape, np.float32))
    (x,) = feeds
    for axes in ([0], [1], [0, 1]):
        check([tf.reduce_sum(tf.exp(x) + 1.0, axes), tf.reduce_mean(tf.exp(x), axes)], feeds)


def test_what_others_read_is_written_and_summed_at_once():
    feeds = fed(normal(300, 512), normal(512, 30))
    x, w = feeds
    y = tf.nn.relu(x) * 2.0
    for axes in ([0], [1], [0, 1]):
        plan = check([tf.matmul(y, w), tf.reduce_sum(y, axes)], feeds)
        assert sorted(plan) == ["MatMul", "_Elementwise"]


def test_an_input_that_is_summed_is_not_overwritten():
    feeds = fed(normal(300, 512), normal(512, 512))
    x, w = feeds
    for axes in ([0], [1], [0, 1]):
        y = tf.matmul(x, w)
        z = tf.tanh(y + tf.zeros_like(y))
        check([tf.matmul(z, w), tf.reduce_sum(y, axes), tf.reduce_sum(z * y, axes)], feeds)


# ---- rows


ROWS = [(1, 5), (40, 2), (7, 10), (130, 256), (33, 1000), (5, 4096), (3, 4097)]


@pytest.mark.parametrize("shape", ROWS, ids=str)
def test_softmax(shape):
    feeds = fed(normal(*shape))
    (x,) = feeds
    e = tf.exp(x - tf.reduce_max(x, 1, keepdims=True))
    y = e / tf.reduce_sum(e, -1, keepdims=True)
    plan = check([y], feeds)
    if shape[1] <= 4096:
        assert plan == ["_Elementwise"]
    weights = tf.constant(normal(*shape))
    check([y, *tf.gradients(y * weights, x)], feeds)


def layer_norm(x, gamma, beta, axes=(-1,)):
    mean, variance = tf.nn.moments(x, list(axes), keepdims=True)
    return (x - mean) * tf.rsqrt(variance + 1e-5) * gamma + beta


@pytest.mark.parametrize("shape", [(1, 4), (64, 8), (19, 33), (130, 256), (10, 1000), (4, 3, 70)], ids=str)
def test_layer_normalisation(shape):
    feeds = fed(normal(*shape), normal(shape[-1]), normal(shape[-1]), normal(*shape))
    x, gamma, beta, above = feeds
    y = layer_norm(tf.tanh(x), gamma, beta)
    assert check([y], feeds) == ["_Elementwise"]
    check([y, *tf.gradients(y, [x, gamma, beta], above)], feeds)


def test_layer_normalisation_with_two_axes():
    feeds = fed(normal(6, 5, 40), normal(5, 40), normal(40), normal(6, 5, 40))
    x, gamma, beta, above = feeds
    y = layer_norm(x, gamma, beta, (1, 2))
    assert check([y], feeds) == ["_Elementwise"]
    check([y, *tf.gradients(y, [x, gamma, beta], above)], feeds)


def test_rows_without_kept_dimensions():
    feeds = fed(normal(40, 3, 50))
    (x,) = feeds
    total = tf.reduce_sum(tf.exp(x), -1)
    scaled = tf.log(total + 1.0) * 0.5
    y = x - tf.expand_dims(scaled, -1)
    assert check([y, scaled, total], feeds) == ["_Elementwise"]
    z = x - tf.reshape(scaled, [40, 3, 1]) * tf.constant(normal(3, 1))
    check([z], feeds)


def test_operands_with_an_element_for_each_row():
    feeds = fed(normal(40, 3, 50), normal(40, 3), normal(3, 1), normal(40, 1, 1), normal(40, 1, 50))
    x, by_row, b, c, d = feeds
    total = tf.reduce_sum(x * b * c + d, -1) * by_row
    y = tf.expand_dims(total / (1.0 + tf.abs(by_row)), -1) * x + c
    assert check([y, total], feeds) == ["_Elementwise"]


def test_a_square_keeps_rows_and_columns_apart():
    """As many rows as columns: what belongs to a row is not what belongs to a column."""
    feeds = fed(normal(64, 64), normal(64), normal(64, 1))
    x, b, c = feeds
    rows = tf.reduce_sum(tf.exp(x) * b, 1)
    y = rows * b  # of columns
    z = tf.exp(x) * tf.reshape(rows, [64, 1]) + tf.reduce_sum(x, 0) * rows
    check([rows, y, z, rows * tf.reshape(c, [64])], feeds)


def test_rows_of_different_lengths():
    feeds = fed(normal(12, 6, 10))
    (x,) = feeds
    y = tf.exp(x)
    a, b = tf.reduce_sum(y, 2, keepdims=True), tf.reduce_sum(y, [1, 2], keepdims=True)
    check([y / a + y / b, tf.reduce_max(y - a, 0), tf.reduce_mean(y - b)], feeds)


def test_rows_and_columns_at_once():
    feeds = fed(normal(300, 96))
    (x,) = feeds
    y = tf.tanh(x)
    z = y - tf.reduce_mean(y, 1, keepdims=True)
    assert check([tf.reduce_sum(z * y, 0), tf.reduce_max(y, 0)], feeds) == ["_Elementwise"]


def test_pieces_of_rows():
    feeds = fed(normal(30, 512))
    (x,) = feeds
    a, b = tf.split(x, 2, 1)
    y = tf.tanh(a) * b
    check([tf.reduce_sum(y, 0), y / tf.reduce_max(y, 1, keepdims=True)], feeds)
    check([tf.concat([tf.exp(a), y - tf.reduce_mean(y, 1, keepdims=True)], 1)], feeds)


def test_a_broken_sum_is_found():
    """The comparison itself can fail."""
    feeds = fed(normal(30, 512))
    (x,) = feeds
    with pytest.raises(AssertionError):
        check([tf.reduce_sum(x * tf.random_uniform([512]), 0)], feeds)


def test_the_number_of_threads_does_not_matter():
    feeds = fed(normal(3000, 40), normal(40))
    x, b = feeds
    y = tf.exp(x * b)
    fetches = [tf.reduce_sum(y, 0), tf.reduce_sum(y), tf.reduce_sum(y, 1)]
    found = []
    for threads in (1, 2, 3, 7):
        with tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=threads)) as sess:
            found.append(sess.run(fetches, feeds))
    for values in found[1:]:
        for a, b in zip(found[0], values):
            np.testing.assert_array_equal(a, b)


def test_sums_are_accurate():
    a = rng.uniform(0.5, 1.5, (100_000, 3)).astype(np.float32)
    feeds = fed(a)
    (x,) = feeds
    with tf.Session() as sess:
        for axes, exact in (([0], a.astype(float).sum(0)), ([0, 1], a.astype(float).sum())):
            np.testing.assert_allclose(sess.run(tf.reduce_sum(x * 1.0 + 0.0, axes), feeds), exact, rtol=1e-6)


# ---- random programs


AXES = [[0], [1], [2], [0, 1], [1, 2], [0, 1, 2], [0, 2], []]
UNARY = ["Neg", "Tanh", "Exp", "Square", "Abs", "Relu"]
BINARY = ["AddV2", "Sub", "Mul", "Maximum", "SquaredDifference"]
number = st.integers(0, 255)
programs = st.lists(st.tuples(st.integers(0, 9), number, number, number), min_size=3, max_size=25)


def step(values, kind, which, a, b):
    x, y = values[a % len(values)], values[b % len(values)]
    if kind < 2:
        return getattr(raw, UNARY[which % len(UNARY)])(x)
    if kind < 5:
        return getattr(raw, BINARY[which % len(BINARY)])(x, y)
    if kind < 9:
        return getattr(raw, REDUCTIONS[which % 4])(x, AXES[b % len(AXES)], keep_dims=True)
    return raw.Reshape(raw.Reshape(x, [-1]), x.shape.as_list())


@pytest.mark.parametrize("shape", [(3, 4, 6), (5, 12, 70), (2, 40, 300), (2, 2, 5000)], ids=str)
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=programs, some=number, differentiate=st.booleans())
def test_random_programs(shape, program, some, differentiate):
    with tf.Graph().as_default():
        feeds = fed(normal(*shape), normal(1, shape[1], 1), normal(1, 1, shape[2]))
        values = list(feeds)
        for kind, which, a, b in program:
            values.append(tf.tanh(step(values, kind, which, a, b)))
        fetches = [v for k, v in enumerate(values[3:]) if k == len(values) - 4 or (some >> k % 8) & 1]
        if differentiate:
            fetches += [g for g in tf.gradients(values[-1], list(feeds)) if g is not None]
        check(fetches, feeds)
