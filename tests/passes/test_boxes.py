"""Tapes that read pieces of a value where they stand, and write what is joined where it belongs."""

import re

import numpy as np
import pytest

import headrace as tf

OFF = tf.ConfigProto(disabled_passes=["fusion"])
rng = np.random.default_rng(3)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def check(fetches, feeds, tolerance=0.0):
    """The operations of the plan, after checking that values are the same, bit by bit, without fusion."""
    with tf.Session() as on, tf.Session(config=OFF) as off:
        for _ in range(2):
            for a, b in zip(on.run(fetches, feeds), off.run(fetches, feeds)):
                np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=tolerance, atol=tolerance)
        assert "_Elementwise" not in off.describe_plan(fetches, feeds)
        return re.findall(r"^  (\w+)[ (]", on.describe_plan(fetches, feeds), re.M)[1:]


def fed(*arrays):
    return {tf.placeholder(a.dtype, a.shape): a for a in arrays}


@pytest.mark.parametrize("shape, axis", [((7, 512), 1), ((3, 4, 256), 2), ((5, 8, 96), 1), ((2, 4, 5000), 2)])
def test_pieces_are_read_where_they_stand(shape, axis):
    feeds = fed(normal(*shape))
    (x,) = feeds
    a, b, c, d = tf.split(x, 4, axis)
    assert check([tf.tanh(a) * b + c * d], feeds) == ["_Elementwise"]


@pytest.mark.parametrize("dtype", [np.float64, np.int32, tf.bfloat16.as_numpy_dtype, np.float16])
def test_dtypes(dtype):
    feeds = fed((4 * normal(9, 300)).astype(dtype))
    (x,) = feeds
    a, b = tf.split(x, [100, 200], 1)
    c, d = tf.split(b, 2, 1)
    # 16-bit floats are float32 in between.
    tolerance = 0.25 if np.dtype(dtype).itemsize == 2 else 0.0
    plan = check([tf.concat([a * c - d, tf.maximum(c, d) + a], 1)], feeds, tolerance)
    assert set(plan) <= {"_Elementwise", "Split", "SplitV"} and plan.count("_Elementwise") == 1


@pytest.mark.parametrize("shape, axis", [((7, 128), 1), ((3, 4, 64), 2), ((3, 2, 96), 1), ((2, 3, 5000), -1)])
def test_results_are_written_where_they_belong(shape, axis):
    feeds = fed(normal(*shape), normal(*shape))
    x, y = feeds
    s = tf.sigmoid(x)
    joined = tf.concat([s * y, s + y, y - s], axis)
    assert check([joined], feeds) == ["_Elementwise"]
    assert check([joined, s], feeds) == ["_Elementwise"]


def test_the_cell_of_a_recurrent_network():
    """Its gates are read out of one matrix, and their gradients written into one."""
    feeds = fed(normal(6, 1024), normal(6, 256), normal(6, 256))
    gates, before, above = feeds
    i, j, f, o = tf.split(gates, 4, 1)
    c = tf.sigmoid(f + 1.0) * before + tf.sigmoid(i) * tf.tanh(j)
    h = tf.sigmoid(o) * tf.tanh(c)
    assert set(check([h, c], feeds)) == {"_Elementwise"}
    assert set(check(tf.gradients(h, [gates, before], above), feeds)) == {"_Elementwise"}


def test_what_others_read_too_is_cut_and_joined():
    feeds = fed(normal(6, 256))
    (x,) = feeds
    a, b = tf.split(x, 2, 1)
    plan = check([tf.matmul(a, b, transpose_b=True), tf.exp(a) * b], feeds)
    assert "Split" in plan
    y = tf.exp(x)
    assert "ConcatV2" in check([tf.concat([y, x * 2.0], 1), tf.matmul(y, y, transpose_b=True)], feeds)


def test_short_runs_are_copied():
    feeds = fed(normal(600, 8))
    (x,) = feeds
    a, b = tf.split(x, 2, 1)
    assert "Split" in check([tf.concat([a * b, a + b], 1)], feeds)


def test_pieces_with_broadcasts_and_differently_cut_readers():
    feeds = fed(normal(6, 256), normal(128), normal(6, 1), normal(12, 64))
    x, bias, scale, other = feeds
    a, b = tf.split(x, 2, 1)
    y = tf.reshape((a + bias) * scale - b, [12, 64]) * other
    check([y, tf.concat([tf.reshape(y, [6, 128]), a * b], 1)], feeds)


STEPS = [
    lambda a, b: a + b,
    lambda a, b: a * b,
    lambda a, b: tf.tanh(a),
    lambda a, b: tf.maximum(a, -b),
    lambda a, b: tf.square(a) - b,
]


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed):
    random = np.random.default_rng(seed)
    rows, width = int(random.integers(1, 9)), int(random.choice([64, 72, 130, 256, 700]))
    feeds = fed(normal(rows, 4 * width), normal(rows, width), normal(width))
    whole, *others = feeds
    values = [*tf.split(whole, 4, 1), *others]
    full = lambda v: v if v.shape.rank == 2 else v + values[0]  # noqa: E731
    for _ in range(12):
        a, b = (values[i] for i in random.integers(0, len(values), 2))
        step = random.integers(0, len(STEPS))
        values.append(STEPS[step](a, b))
    parts = [full(values[i]) for i in random.integers(4, len(values), 4)]
    joined = tf.concat(parts, 1)
    loss = tf.reduce_sum(joined * tf.concat(parts[::-1], 1))
    grads = [grad for grad in tf.gradients(loss, list(feeds)) if grad is not None]
    check([joined, *grads], feeds)
