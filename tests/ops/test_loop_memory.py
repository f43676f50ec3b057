"""What a loop allocates: nothing in each iteration, and what it saves for its gradient in one piece."""

import numpy as np
import pytest

import headrace as tf
from headrace import _core

COUNT = 1000


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def allocations(fetches, feeds=None):
    """How many pieces of memory a step allocates once it has been planned."""
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        step = session.make_callable(fetches, feed_list=list(feeds or {}))
        values = list((feeds or {}).values())
        for _ in range(2):
            before = _core.buffers_made()
            step(*values)
        return _core.buffers_made() - before


def recurrent(count, cond, **options):
    """h = tanh(h w + x_t) over the rows of x; the gradient needs all values of h."""
    w = tf.constant(np.eye(8) * 0.5)
    x = tf.constant(np.random.default_rng(0).normal(size=[count, 4, 8]))
    rows = tf.TensorArray(tf.float64, size=count).unstack(x)
    h = tf.while_loop(
        cond,
        lambda i, h: (i + 1, tf.tanh(tf.matmul(h, w) + rows.read(i))),
        [0, tf.zeros([4, 8], tf.float64)],
        **options,
    )[1]
    return [h, *tf.gradients(h, [w, x])]


def known(count):
    return recurrent(count, lambda i, h: i < count)


def bounded(count):
    return recurrent(count, lambda i, h: True, maximum_iterations=count)


def unknown(count):
    # The sum of squares never gets that large, but nobody can know.
    return recurrent(count, lambda i, h: (i < count) & (tf.reduce_sum(h * h) < 1e6))


@pytest.mark.parametrize("loop", [known, bounded])
def test_known_trip_count(loop):
    assert allocations(loop(COUNT)) == allocations(loop(COUNT // 10))


def test_unknown_trip_count():
    few = allocations(unknown(COUNT // 10))
    # Each of the saved values doubles its memory from 4 rows on: 1000 are 256 times 4, 100 are 32 times 4.
    assert 0 < allocations(unknown(COUNT)) - few <= 4 * 3


@pytest.mark.parametrize(
    "body",
    [
        lambda a, b: (b, a + b),
        lambda a, b: (b, a),
        lambda a, b: (a + b, a + b),
        lambda a, b: (tf.sin(a), b),
    ],
    ids=["rotated", "swapped", "twice", "invariant"],
)
def test_state(body):
    def step(count):
        start = [0, tf.ones([64], tf.float64), tf.ones([64], tf.float64)]
        return tf.while_loop(lambda i, *_: i < count, lambda i, a, b: (i + 1, *body(a, b)), start)

    assert allocations(step(20)) == allocations(step(10))


def test_an_array_is_stacked_without_a_copy():
    def step(count):
        array = tf.TensorArray(tf.float64, size=count, element_shape=[1024])
        ones = tf.ones([1024], tf.float64)
        _, array = tf.while_loop(
            lambda i, _: i < count,
            lambda i, a: (i + 1, a.write(i, ones * tf.cast(i, tf.float64))),
            [0, array],
        )
        return array.stack()

    with tf.Session() as session:
        stacked = session.run(step(5))
        np.testing.assert_array_equal(stacked, np.arange(5.0)[:, None] * np.ones(1024))
    assert allocations(step(COUNT)) == allocations(step(10))


def test_reading_what_was_written():
    def step(count):
        array = tf.TensorArray(tf.float64, size=count + 2, clear_after_read=False)
        array = array.write(0, [1.0, 2.0]).write(1, [1.0, 2.0])
        _, array = tf.while_loop(
            lambda i, _: i < count + 2,
            lambda i, a: (i + 1, a.write(i, a.read(i - 1) + a.read(i - 2))),
            [2, array],
        )
        return array.stack()

    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(step(4))[:, 0], [1, 1, 2, 3, 5, 8])
    assert allocations(step(COUNT)) == allocations(step(10))


def test_a_list_that_two_hold_is_copied_before_it_changes():
    rows = tf.constant([[1.0], [2.0]], tf.float64)
    array = tf.TensorArray(tf.float64, size=2, clear_after_read=False).unstack(rows)
    read, stacked = array.read(0), array.stack()
    one, other = array.write(0, [5.0]), array.write(1, [7.0])
    popped_from = other.write(0, [9.0])
    with tf.Session() as session:
        values = session.run([a.stack() for a in (array, one, other, popped_from)] + [read, stacked])
    for value, expected in zip(values, ([1, 2], [5, 2], [1, 7], [9, 7], [1], [1, 2])):
        np.testing.assert_array_equal(np.ravel(value), expected)


def test_only_the_shape_of_what_only_its_shape_is_needed_of_is_saved():
    # Without a static shape the gradient of adding a row asks for the shapes of both.
    x, row = tf.placeholder(tf.float64, [None, 8]), tf.placeholder(tf.float64, [None, 8])

    def body(i, y):
        return i + 1, y + row

    y = tf.while_loop(lambda i, _: i < 3, body, [0, x])[1]
    tf.gradients(y, row)
    loops = [op for op in tf.get_default_graph().get_operations() if "While" in op.type]
    saved = [t for op in loops for t in op.inputs if t.op.type == "EmptyTensorList"]
    assert saved and all(t.op.get_attr("element_dtype").is_integer for t in saved)
