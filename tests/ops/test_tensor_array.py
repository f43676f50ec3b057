import time

import numpy as np
import pytest

import headrace as tf
from headrace import testing

ROWS = np.array([[1.0, -2.0], [3.5, 0.5], [4.0, 1.0]])


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def run(fetches, feeds=None):
    with tf.Session() as session:
        return session.run(fetches, feeds)


def test_write_and_stack():
    array = tf.TensorArray(tf.float32, size=3)
    for i in (2, 0, 1):
        array = array.write(i, [i, 2.0 * i])
    assert array.element_shape == [2]
    stacked = array.stack()
    assert stacked.shape == [3, 2]
    np.testing.assert_array_equal(run(stacked), [[0, 0], [1, 2], [2, 4]])
    values = run([array.read(1), array.gather([2, 0]), array.size(), array.concat()])
    np.testing.assert_array_equal(values[0], [1, 2])
    np.testing.assert_array_equal(values[1], [[2, 4], [0, 0]])
    assert values[2] == 3
    np.testing.assert_array_equal(values[3], [0, 0, 1, 2, 2, 4])
    assert array.concat().shape == [6]


def test_unstack_scatter_split():
    empty = tf.TensorArray(tf.float64, size=3)
    np.testing.assert_array_equal(run(empty.unstack(ROWS).read(1)), ROWS[1])
    np.testing.assert_array_equal(run(empty.scatter([1, 2, 0], ROWS).stack()), ROWS[[2, 0, 1]])
    pieces = tf.TensorArray(tf.float64, size=2, infer_shape=False).split(ROWS, [1, 2])
    np.testing.assert_array_equal(run(pieces.read(1)), ROWS[1:])
    np.testing.assert_array_equal(run(pieces.concat()), ROWS)
    # An array that is longer than what is unstacked keeps its length.
    longer = tf.TensorArray(tf.float64, size=4).unstack(ROWS)
    np.testing.assert_array_equal(run(longer.stack()), [*ROWS, [0, 0]])


def test_dynamic_size():
    array = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
    array = array.write(3, 7)
    assert run(array.size()) == 4
    np.testing.assert_array_equal(run(array.stack()), [0, 0, 0, 7])
    np.testing.assert_array_equal(run(array.scatter([5], [8]).stack()), [0, 0, 0, 7, 0, 8])

    def body(i, array):
        return i + 1, array.write(i, i * i)

    _, squares = tf.while_loop(lambda i, _: i < 5, body, [0, tf.TensorArray(tf.int32, 0, dynamic_size=True)])
    np.testing.assert_array_equal(run(squares.stack()), [0, 1, 4, 9, 16])


@pytest.mark.parametrize(
    "wrong,error",
    [
        (lambda a: tf.TensorArray(tf.float32), ValueError),
        (lambda a: tf.TensorArray(tf.float32, size=1, flow=a.flow), ValueError),
        (lambda a: a.write(0, tf.constant(1)), TypeError),
        (lambda a: a.write(0, 1.0).write(1, [1.0]), ValueError),
        (lambda a: a.unstack(1.0), ValueError),
        (lambda a: run(a.write(2, 1.0).stack()), tf.errors.InvalidArgumentError),
        (lambda a: run(a.write(-1, 1.0).stack()), tf.errors.InvalidArgumentError),
        (lambda a: run(a.read(0)), tf.errors.InvalidArgumentError),
        (lambda a: run(a.unstack([1.0, 2.0, 3.0]).stack()), tf.errors.InvalidArgumentError),
    ],
)
def test_misuse(wrong, error):
    with pytest.raises(error):
        wrong(tf.TensorArray(tf.float32, size=2))


def test_static_shapes_after_a_loop():
    def body(i, array):
        return i + 1, array.write(i, tf.zeros([2, 3]))

    _, array = tf.while_loop(lambda i, _: i < 4, body, [0, tf.TensorArray(tf.float32, 4)])
    assert array.stack().shape == [4, 2, 3]
    assert array.read(0).shape == [2, 3]


def test_as_a_branch():
    array = tf.TensorArray(tf.float32, 2).unstack([1.0, 2.0])
    flag = tf.placeholder(tf.bool, [])
    chosen = tf.cond(flag, lambda: array.write(0, 5.0), lambda: array)
    np.testing.assert_array_equal(run(chosen.stack(), {flag: True}), [5, 2])
    np.testing.assert_array_equal(run(chosen.stack(), {flag: False}), [1, 2])


# ---- gradients


def loop(x):
    """Every element read and written in a loop, some twice."""
    rows = tf.TensorArray(x.dtype, 3).unstack(x)

    def body(i, total, array):
        total = tf.tanh(total + rows.read(i) * rows.read(0))
        return i + 1, total, array.write(2 - i, total * rows.read(i))

    start = (0, tf.zeros([2], x.dtype), tf.TensorArray(x.dtype, 3))
    _, total, array = tf.while_loop(lambda i, *_: i < 3, body, start)
    return tf.reduce_sum(array.stack(), 0) * total


@pytest.mark.parametrize(
    "function",
    [
        loop,
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).unstack(x).gather([2, 0, 2])),
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).scatter([2, 0, 1], x).read(0)),
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).scatter([2, 0, 2], x).read(2)),
        lambda x: tf.square(tf.TensorArray(x.dtype, 2, infer_shape=False).split(x, [1, 2]).concat()),
        lambda x: tf.TensorArray(x.dtype, 2).write(0, x[0] * x[1]).write(1, x[2] * x[2]).stack(),
        lambda x: tf.square(tf.TensorArray(x.dtype, 2).write(0, x[0]).write(0, x[1]).write(1, x[2]).stack()),
    ],
    ids=["loop", "gather", "scatter", "scatter_same", "split", "write", "overwrite"],
)
def test_gradients(function):
    testing.verify_grad(function, [ROWS / 3], order=2, rtol=1e-5, atol=1e-5)


def seconds_to_write(count):
    with tf.Graph().as_default(), tf.Session() as session:
        array = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
        n = tf.placeholder(tf.int32, [])
        _, array = tf.while_loop(lambda i, _: i < n, lambda i, a: (i + 1, a.write(i, i)), [0, array])
        session.run(array.size(), {n: 10})
        start = time.perf_counter()
        assert session.run(array.size(), {n: count}) == count
        return time.perf_counter() - start


def test_writing_takes_linear_time():
    seconds_to_write(1000)
    assert seconds_to_write(100_000) < 40 * min(seconds_to_write(10_000) for _ in range(3))
