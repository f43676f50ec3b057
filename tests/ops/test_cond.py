"""Conditions and loops as programs write them: structures, static shapes, and what is refused."""

import collections

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def run(fetches, feeds=None):
    with tf.Session() as session:
        return session.run(fetches, feeds)


def true():
    return tf.constant(True)


def below(n):
    return lambda x, *_: x < n


def test_structures():
    flag = tf.placeholder(tf.bool, [])
    made = tf.cond(flag, lambda: {"a": 1, "b": (2.0, [3])}, lambda: {"a": 4, "b": (5.0, [6])})
    assert run(made, {flag: True}) == {"a": 1, "b": (2.0, [3])}
    assert run(made, {flag: False}) == {"a": 4, "b": (5.0, [6])}
    assert run(tf.cond(flag, lambda: [1], lambda: [2]), {flag: True}) == 1
    assert run(tf.cond(flag, lambda: [1], lambda: [2], strict=True), {flag: True}) == [1]
    assert run(tf.while_loop(below(5), lambda x: x + 1, [1])) == 5
    assert run(tf.while_loop(below(5), lambda x: x + 1, [1], return_same_structure=True)) == [5]
    pair = collections.namedtuple("pair", "a b")
    several = tf.while_loop(lambda p: p.a < 3, lambda p: [pair(p.a + 1, p.b * 2)], [pair(0, 1)])
    assert run(several) == [pair(3, 8)]  # one variable, but two tensors
    nested = tf.while_loop(below(3), lambda x, y: (x + 1, {"s": y["s"] + x}), (0, {"s": 0}))
    assert run(nested) == (3, {"s": 3})


def test_an_operation_gives_what_has_led_to_it():
    flag, number = tf.placeholder(tf.bool, []), tf.placeholder(tf.int32, [])
    two = lambda: {"op": tf.no_op(), "x": tf.constant(2)}  # noqa: E731
    for value in (True, False):
        ran = tf.cond(flag, tf.no_op, tf.no_op)
        assert run([ran], {flag: value}) == [value]
        assert run(tf.cond(flag, two, two), {flag: value}) == {"op": value, "x": 2}
        assert run([tf.case([(flag, tf.no_op)], default=tf.no_op)], {flag: value}) == [value]
    for value in (-1, 0, 1, 5):
        assert run([tf.switch_case(number, [tf.no_op, tf.no_op])], {number: value}) == [value]
    count = tf.Variable(0, use_resource=True)
    ran = tf.cond(flag, lambda: count.assign_add(1).op, lambda: count.assign_add(10).op)
    with tf.Session() as session:
        session.run(count.initializer)
        assert not session.run(ran, {flag: False})
        assert session.run(count) == 10


def test_static_shapes():
    made = tf.cond(true(), lambda: tf.ones([2, 3]), lambda: tf.ones([4, 3]))
    assert made.shape.as_list() == [None, 3]
    grown = tf.while_loop(
        lambda x: tf.size(x) < 10,
        lambda x: tf.concat([x, x], 0),
        [tf.ones([1])],
        shape_invariants=[tf.TensorShape([None])],
    )
    assert grown.shape.as_list() == [None]
    np.testing.assert_array_equal(run(grown), np.ones(16))


def test_maximum_iterations():
    assert run(tf.while_loop(lambda x: True, lambda x: x + 1, [1], maximum_iterations=5)) == 6


def test_case():
    x = tf.placeholder(tf.int32, [])
    made = tf.case([(x < 0, lambda: -1), (x > 10, lambda: 1)], default=lambda: 0)
    assert [run(made, {x: value}) for value in (-3, 30, 3)] == [-1, 1, 0]
    overlapping = tf.case([(x > 0, lambda: 1), (x > 10, lambda: 2)], default=lambda: 0, exclusive=True)
    assert run(overlapping, {x: 5}) == 1
    with pytest.raises(tf.errors.InvalidArgumentError, match="exclusive"):
        run(overlapping, {x: 50})
    chosen = tf.switch_case(x, {0: lambda: 5, 2: lambda: 7}, default=lambda: 9)
    assert [run(chosen, {x: value}) for value in (0, 1, 2, 3, -1)] == [5, 9, 7, 9, 9]


@pytest.mark.parametrize(
    "wrong,error",
    [
        (lambda: tf.cond(True, lambda: 1, lambda: 2), TypeError),
        (lambda: tf.cond(true(), lambda: 1), TypeError),
        (lambda: tf.cond(tf.constant(1), lambda: 1, lambda: 2), TypeError),
        (lambda: tf.cond(tf.constant([True]), lambda: 1, lambda: 2), ValueError),
        (lambda: tf.cond(true(), lambda: 1, lambda: 2.0), ValueError),
        (lambda: tf.cond(true(), lambda: (1, 2), lambda: (1,)), ValueError),
        (lambda: tf.cond(true(), lambda: None, lambda: None), ValueError),
        (lambda: tf.while_loop(below(5), lambda x: tf.ones([2]) + x, [tf.ones([])]), ValueError),
        (lambda: tf.while_loop(below(5), lambda x: tf.cast(x, tf.float32), [0]), TypeError),
        (lambda: tf.while_loop(below(5), lambda x, y: x, [0, 0]), ValueError),
        (lambda: tf.while_loop(lambda: True, lambda: 1, []), ValueError),
        (lambda: tf.while_loop(lambda x: x, lambda x: x, [1]), TypeError),
        (lambda: tf.while_loop(lambda x: x < [1, 2], lambda x: x, [1]), ValueError),
        (lambda: tf.while_loop(3, lambda x: x, [1]), TypeError),
        (lambda: tf.while_loop(below(5), lambda x: x, [1], parallel_iterations=0), TypeError),
        (lambda: tf.while_loop(below(5), lambda x: x, [1], [tf.TensorShape([2])]), ValueError),
        (lambda: tf.case([]), ValueError),
        (lambda: tf.case([true()]), TypeError),
        (lambda: tf.switch_case(tf.constant(0), []), ValueError),
    ],
)
def test_misuse(wrong, error):
    with pytest.raises(error):
        wrong()
