import numpy as np
import pytest

import headrace as tf
from headrace import testing

X = np.array([[1.0, -2.0], [3.5, 0.5], [4.0, 1.0]])


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def run(fetches, feeds=None):
    with tf.Session() as session:
        return session.run(fetches, feeds)


def test_map_fn():
    squares = tf.map_fn(lambda row: row * row, tf.constant(X))
    assert squares.shape == [3, 2]
    np.testing.assert_array_equal(run(squares), X**2)
    sums, doubles = tf.map_fn(
        lambda row: (tf.reduce_sum(row), {"d": row * 2}), tf.constant(X), (tf.float64, {"d": tf.float64})
    )
    np.testing.assert_allclose(run(sums), X.sum(1))
    np.testing.assert_array_equal(run(doubles["d"]), X * 2)
    products = tf.map_fn(lambda ab: ab[0] * ab[1], (tf.constant(X), tf.constant(X)), dtype=tf.float64)
    np.testing.assert_array_equal(run(products), X**2)


def test_map_fn_unknown_length():
    x = tf.placeholder(tf.float32, [None, 2])
    mapped = tf.map_fn(lambda row: row[0] - row[1], x)
    assert mapped.shape.as_list() == [None]
    np.testing.assert_allclose(run(mapped, {x: X}), X[:, 0] - X[:, 1])
    assert run(mapped, {x: X[:0]}).shape == (0,)


def test_folds():
    x = tf.constant([1.0, 2.0, 3.0])
    assert run(tf.foldl(lambda a, b: a * 0.5 + b, x)) == 4.25
    assert run(tf.foldr(lambda a, b: a * 0.5 + b, x)) == 2.75
    assert run(tf.foldl(lambda a, b: (a[0] + b, a[1] * b), x, initializer=(0.0, 1.0))) == (6.0, 6.0)
    assert run(tf.foldr(lambda a, b: a + b[0] * b[1], [x, x], initializer=1.0)) == 15.0


def test_scan():
    x = tf.constant([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(run(tf.scan(lambda a, b: a + b, x)), [1, 3, 6])
    np.testing.assert_array_equal(run(tf.scan(lambda a, b: a + b, x, reverse=True)), [6, 5, 3])
    sums, products = tf.scan(lambda a, b: (a[0] + b, a[1] * b), x, initializer=(0.0, 1.0))
    assert sums.shape == [3]
    np.testing.assert_array_equal(run(sums), [1, 3, 6])
    np.testing.assert_array_equal(run(products), [1, 2, 6])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.map_fn(lambda row: tf.tanh(row) * tf.reduce_sum(row), x),
        lambda x: tf.foldl(lambda a, row: tf.tanh(a) + row * a, x),
        lambda x: tf.foldr(lambda a, row: tf.tanh(a) + row * a, x, initializer=x[0] * 2),
        lambda x: tf.scan(lambda a, row: tf.tanh(a) + row * a, x),
        lambda x: tf.scan(lambda a, row: tf.tanh(a) + row * a, x, initializer=x[1], reverse=True),
        lambda x: tf.map_fn(lambda row: tf.foldl(lambda a, b: tf.sin(a) * b, row), x),
    ],
    ids=["map_fn", "foldl", "foldr", "scan", "scan_reverse", "nested"],
)
def test_gradients(function):
    testing.verify_grad(function, [X / 5], order=2, rtol=1e-5, atol=1e-5)


def test_no_gradient_without_back_prop():
    x = tf.constant(X)
    assert tf.gradients(tf.map_fn(lambda row: row * 2, x, back_prop=False), x) == [None]


@pytest.mark.parametrize(
    "wrong,error",
    [
        (lambda: tf.map_fn(3, tf.ones([3])), TypeError),
        (lambda: tf.map_fn(lambda a: a, tf.constant(3)), ValueError),
        (lambda: tf.map_fn(lambda a: a[0], (tf.ones([3]), tf.ones([2])), dtype=tf.float32), ValueError),
        (lambda: tf.map_fn(lambda a: (a, a), tf.ones([3])), ValueError),
        (lambda: tf.map_fn(lambda a: tf.cast(a, tf.int32), tf.ones([3])), TypeError),
        (lambda: tf.foldl(lambda a, x: (a, x), tf.ones([3])), ValueError),
        (lambda: tf.scan(lambda a, x: tf.cast(a, tf.int32), tf.ones([3])), TypeError),
        (lambda: run(tf.foldl(lambda a, x: a + x, tf.zeros([0]))), tf.errors.InvalidArgumentError),
        (lambda: run(tf.map_fn(lambda n: tf.range(n), tf.constant([1, 2]))), tf.errors.InvalidArgumentError),
    ],
)
def test_misuse(wrong, error):
    with pytest.raises(error):
        wrong()
