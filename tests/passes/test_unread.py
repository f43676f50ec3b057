"""What conditions, loops and calls would compute for nobody is not computed."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework.function import Defun
from tests.passes.executed import executed, with_and_without


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def same(results):
    (values, ran), (others, without) = results
    for one, other in zip(values, others):
        np.testing.assert_array_equal(one, other)
    return ran, without


FUSION = ("fusion",)  # which would hide operations in others


@pytest.mark.parametrize("value", [True, False])
def test_results_of_a_condition(value):
    flag, x, y = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [2]), tf.placeholder(tf.float32, [2])
    a, b = tf.cond(flag, lambda: (tf.exp(x), tf.sin(tf.exp(y))), lambda: (tf.negative(x), tf.cos(y)))
    feeds = {flag: value, x: [1, 2], y: [3, 4]}
    ran, without = same(with_and_without("unread", [a], feeds, FUSION))
    assert ran["Exp"] == value and without["Exp"] == 2 * value
    assert not ran["Sin"] and not ran["Cos"]
    # What serves the other result only need not even be fed.
    with tf.Session() as session:
        np.testing.assert_allclose(
            session.run(a, {flag: value, x: [1, 2]}), np.exp([1, 2]) if value else [-1, -2], rtol=1e-6
        )
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(b, {flag: value, x: [1, 2]})
        np.testing.assert_array_equal(session.run([a, b], feeds)[0], session.run(a, feeds))


def test_variables_of_a_loop():
    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    # `last` is read by nobody but itself and `more`; `more` by nobody; `count` by the condition.
    count, total, last, more = tf.while_loop(
        lambda count, *_: count < 4,
        lambda count, total, last, more: (count + 1, total * x, tf.sin(last), more + tf.cos(last)),
        [0, 1.0, y, y],
    )
    ran, without = same(with_and_without("unread", [total], {x: 2.0, y: 1.0}, FUSION))
    assert (ran["Sin"], ran["Cos"], ran["Mul"]) == (0, 0, 4)
    assert (without["Sin"], without["Cos"], without["Mul"]) == (4, 4, 4)
    ran, _ = same(with_and_without("unread", [last], {x: 2.0, y: 1.0}, FUSION))
    assert (ran["Sin"], ran["Cos"], ran["Mul"]) == (4, 0, 0)
    ran, _ = same(with_and_without("unread", [more, count], {x: 2.0, y: 1.0}, FUSION))
    assert (ran["Sin"], ran["Cos"], ran["Mul"]) == (4, 4, 0)


def test_effects_go_with_what_they_serve():
    """As they do outside of functions, and in TensorFlow."""
    flag, x = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, [])
    sums = [tf.Variable(0.0, use_resource=True) for _ in range(2)]

    def adding(sum_, value):
        with tf.control_dependencies([sum_.assign_add(value)]):
            return tf.identity(value)

    loop = tf.while_loop(
        lambda i, *_: i < 3, lambda i, a, b: (i + 1, a + 1, adding(sums[0], tf.exp(x)) + b), [0, 0, x]
    )
    branch = tf.cond(flag, lambda: (x, adding(sums[1], tf.sin(x))), lambda: (tf.negative(x), x))
    feeds = {flag: True, x: 1.0}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        (values, ran) = executed(session, [loop[1], branch[0]], feeds)
        assert values == [3, 1] and not ran["AssignAddVariableOp"]
        assert session.run(sums) == [0, 0]
        (values, ran) = executed(session, [loop[2], branch[1]], feeds)
        assert ran["AssignAddVariableOp"] == 4
        np.testing.assert_allclose(session.run(sums), [3 * np.exp(1), np.sin(1)], rtol=1e-6)


def test_who_waits_waits_for_all():
    flag, v = tf.placeholder(tf.bool, []), tf.Variable(0.0, use_resource=True)
    branch = tf.cond(flag, lambda: v.assign_add(1.0), lambda: v.assign_sub(10.0))

    def body(i, _):
        with tf.control_dependencies([v.assign_add(100.0)]):
            return i + 1, tf.identity(1.0)

    loop = tf.while_loop(lambda i, _: i < 2, body, [0, 0.0])
    with tf.control_dependencies([branch]):
        after = tf.constant(7.0) + 0
    inside = tf.cond(flag, lambda: tf.group(branch, loop[1]), lambda: tf.group(loop))
    with tf.control_dependencies([tf.identity(branch)]):
        after_copy = tf.constant(8.0) + 0
    expected = 0
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for fetch, change in [
            (branch.op, 1),
            (tf.group(branch), 1),
            (after, 1),
            (after_copy, 1),
            (loop[1].op, 200),
            (tf.group(loop[1], branch), 201),
            (inside, 201),
        ]:
            session.run(fetch, {flag: True})
            expected += change
            assert session.run(v) == expected, fetch


def test_effects_of_what_is_read_stay():
    total = tf.Variable(0.0, use_resource=True)

    @Defun(tf.float32, tf.float32)
    def counting(x, y):
        update = total.assign_add(y)
        with tf.control_dependencies([update]):
            return tf.exp(x), tf.sin(x)

    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    a, _ = counting(x, y)
    with tf.Session(config=tf.ConfigProto(disabled_passes=list(FUSION))) as session:
        session.run(tf.global_variables_initializer())
        value, ran = executed(session, a, {x: 0.0, y: 2.0})
        assert value == 1 and ran["AssignAddVariableOp"] == 1 and not ran["Sin"]
        assert session.run(total) == 2


def test_to_any_depth():
    flag, x, y = tf.placeholder(tf.bool, []), tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])

    def body(i, a, b):
        inner_a, inner_b = tf.cond(
            flag,
            lambda: tf.while_loop(lambda a, _: a < 10.0, lambda a, b: (a + x, tf.sin(b) + y), [a, b]),
            lambda: [a, tf.cos(b)],
        )
        return i + 1, inner_a, inner_b

    _, a, b = tf.while_loop(lambda i, *_: i < 2, body, [0, 0.0, y])
    for value in (True, False):
        ran, without = same(with_and_without("unread", [a], {flag: value, x: 3.0, y: 1.0}, FUSION))
        assert without["Sin" if value else "Cos"]
        assert not ran["Sin"] and not ran["Cos"]
        with tf.Session() as session:
            assert session.run(a, {flag: value, x: 3.0}) == (12 if value else 0)  # without y
            session.run(b, {flag: value, x: 3.0, y: 1.0})


def test_a_call():
    @Defun(tf.float32, tf.float32)
    def both(x, y):
        return tf.exp(x), tf.sin(y)

    x, y = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    a, b = both(x, y)
    with tf.Session(config=tf.ConfigProto(disabled_passes=list(FUSION))) as session:
        value, ran = executed(session, a, {x: 0.0})
        assert value == 1 and ran["Exp"] == 1 and not ran["Sin"]
        value, ran = executed(session, b, {y: 0.0})
        assert value == 0 and ran["Sin"] == 1 and not ran["Exp"]


def test_gradients_that_nobody_wants():
    """The gradient of a loop is one node; only what leads to the wanted ones is computed."""
    w = tf.placeholder(tf.float32, [3, 3])
    x = tf.placeholder(tf.float32, [2, 3])
    _, y = tf.while_loop(lambda i, _: i < 3, lambda i, h: (i + 1, tf.matmul(h, w)), [0, x])
    loss = tf.reduce_sum(y * y)
    feeds = {w: np.eye(3) * 2, x: np.ones([2, 3])}
    ran, without = same(with_and_without("unread", [tf.gradients(loss, x)[0]], feeds, FUSION))
    assert ran["MatMul"] == 6 and without["MatMul"] == 6 and without["_AddProduct"] == 3
    assert not ran["_AddProduct"]
