"""The products that a loop sums up are collected and multiplied together; values and gradients stay."""

import numpy as np
import pytest

import headrace as tf
from tests.passes.executed import with_and_without

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def compared(fetches, feeds):
    """How often operations ran with the pass, after comparing what it computes with and without."""
    (values, ran), (expected, without) = with_and_without("loop_sums", fetches, feeds)
    for one, other in zip(values, expected):
        np.testing.assert_allclose(one, other, rtol=1e-4 if one.dtype == np.float32 else 1e-10, atol=1e-5)
    assert not without["_AddProduct"]
    return ran


def recurrent(dtype, rows, width, units, steps, static):
    """A simple recurrent network in a loop; returns (loss, weights, feeds)."""
    x = tf.placeholder(dtype, [steps, rows if static else None, width])
    w = tf.Variable(RANDOM.normal(size=[width, units]) / 8, dtype=dtype, use_resource=True)
    u = tf.Variable(RANDOM.normal(size=[units, units]) / 8, dtype=dtype, use_resource=True)
    inputs = tf.TensorArray(dtype, steps).unstack(x)

    def body(t, h):
        return t + 1, tf.tanh(tf.matmul(inputs.read(t), w) + tf.matmul(h, u) + tf.matmul(h * h, u))

    start = tf.zeros([tf.shape(x)[1], units], dtype)
    _, h = tf.while_loop(lambda t, _: t < steps, body, [0, start])
    return tf.reduce_sum(h * h), [w, u], {x: RANDOM.normal(size=[steps, rows, width])}


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
@pytest.mark.parametrize("static", [True, False])
@pytest.mark.parametrize(
    "rows, steps",
    [(3, 5), (32, 50), (600, 2), (200, 7), (1, 3)],  # a part, several and a part, each at once, two at once
)
def test_gradients_of_weights(dtype, static, rows, steps):
    loss, weights, feeds = recurrent(dtype, rows, 12, 20, steps, static)
    ran = compared(tf.gradients(loss, weights), feeds)
    assert ran["_AddProduct"] == 3 * steps
    assert ran["_ProductTotal"] == 2


def test_second_derivatives():
    loss, weights, feeds = recurrent(tf.float64, 3, 4, 5, 4, True)
    first = tf.gradients(loss, weights)
    second = tf.gradients([tf.reduce_sum(g * g) for g in first], weights)
    assert compared(second, feeds)["_AddProduct"]
    x = next(iter(feeds))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        w = weights[0]
        base, (gradient, *_) = session.run([w, second], feeds)
        direction = RANDOM.normal(size=base.shape)
        total = sum(tf.reduce_sum(g * g) for g in first)
        ends = []
        for step in (1e-5, -1e-5):
            w.load(base + step * direction, session)
            ends.append(session.run(total, {x: feeds[x]}))
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, np.sum(gradient * direction), rtol=1e-6)


def test_a_sum_that_a_user_writes():
    x = tf.placeholder(tf.float32, [None, 8, 16])
    start = tf.placeholder(tf.float32, [16, 16])
    array = tf.TensorArray(tf.float32, 20).unstack(x)
    total = lambda s, a: s + tf.matmul(a, a, transpose_a=True)  # noqa: E731
    _, covariance = tf.while_loop(
        lambda i, _: i < 20, lambda i, s: (i + 1, total(s, array.read(i))), [0, start]
    )
    feeds = {x: RANDOM.normal(size=[20, 8, 16]), start: RANDOM.normal(size=[16, 16])}
    given = feeds[start].copy()
    assert compared([covariance, start + 0], feeds)["_AddProduct"] == 20
    np.testing.assert_array_equal(feeds[start], given)  # nobody writes to what is fed


def test_a_sum_in_a_loop_in_a_loop():
    x = tf.placeholder(tf.float64, [3, 4, 6])
    w = tf.Variable(RANDOM.normal(size=[6, 6]) / 4, use_resource=True)
    inner = lambda h: tf.while_loop(  # noqa: E731
        lambda j, _: j < 2, lambda j, g: (j + 1, tf.tanh(tf.matmul(g, w))), [0, h]
    )[1]
    _, y = tf.while_loop(lambda i, _: i < 3, lambda i, h: (i + 1, inner(h + x[i])), [0, x[0]])
    gradients = tf.gradients(tf.reduce_sum(y * y), [w, x])
    assert compared(gradients, {x: RANDOM.normal(size=[3, 4, 6])})["_AddProduct"] == 6


@pytest.mark.parametrize("trips", [0, 1])
def test_few_iterations(trips):
    x, start, n = (
        tf.placeholder(tf.float64, [4, 3]),
        tf.placeholder(tf.float64, [3, 3]),
        tf.placeholder(tf.int32),
    )
    _, s = tf.while_loop(
        lambda i, _: i < n, lambda i, s: (i + 1, s + tf.matmul(x, x, transpose_a=True)), [0, start]
    )
    feeds = {x: RANDOM.normal(size=[4, 3]), start: RANDOM.normal(size=[3, 3]), n: trips}
    assert compared([s], feeds)["_AddProduct"] == trips


def test_empty_matrices():
    x, y = tf.placeholder(tf.float32, [None, 3]), tf.placeholder(tf.float32, [None, 3])
    _, s = tf.while_loop(
        lambda i, _: i < 2, lambda i, s: (i + 1, s + tf.matmul(x, y, transpose_a=True)), [0, tf.ones([3, 3])]
    )
    compared([s], {x: np.zeros([0, 3]), y: np.zeros([0, 3])})


def test_what_else_reads_the_sum_keeps_it():
    x = tf.placeholder(tf.float64, [4, 3])
    product = tf.matmul(x, x, transpose_a=True)
    feeds = {x: RANDOM.normal(size=[4, 3])}
    zeros = tf.zeros([3, 3], tf.float64)
    square = lambda: tf.matmul(x, x, transpose_a=True)  # noqa: E731
    bodies = [
        lambda i, s: (i + 1, s + square() + tf.sin(s)),  # in the body
        lambda i, s: (i + 1, s + product),  # the product is the same in all iterations
        lambda i, s: (i + 1, square() + square()),  # not a sum over iterations
        lambda i, s: (i + 1, s + s + square()),
        lambda i, s: (i + 1, s + tf.matmul(x, x, transpose_a=True)[:1]),  # broadcast
    ]
    for body in bodies:
        _, s = tf.while_loop(lambda i, _: i < 3, body, [0, zeros])
        assert not compared([s], feeds)["_AddProduct"]
    # In the condition.
    _, s = tf.while_loop(
        lambda i, s: (i < 3) & (s[0, 0] < 1e6), lambda i, s: (i + 1, s + square()), [0, zeros]
    )
    assert not compared([s], feeds)["_AddProduct"]
