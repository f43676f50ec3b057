"""Variables, random numbers, Python functions and control dependencies inside branches and loops."""

import numpy as np
import pytest

import headrace as tf
from headrace import testing


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def initialized():
    session = tf.Session()
    session.run(tf.global_variables_initializer())
    return session


def test_variables_made_inside_belong_to_the_program():
    def body(i, h):
        with tf.variable_scope("cell", reuse=tf.AUTO_REUSE):
            w = tf.get_variable("w", [2, 2], initializer=tf.ones_initializer())
        b = tf.Variable([1.0, 2.0], name="b")
        return i + 1, tf.matmul(h, w) + b

    _, h = tf.while_loop(lambda i, _: i < 2, body, [0, tf.ones([1, 2])])
    assert [v.name for v in tf.global_variables()] == ["cell/w:0", "while/b:0"]
    train = tf.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(h))
    with initialized() as session:
        np.testing.assert_array_equal(session.run(h), [[8, 9]])
        session.run(train)
        w, b = session.run(tf.trainable_variables())
        # h1 = w'(1, 1) + b, h2 = w' h1 + b: by hand.
        np.testing.assert_allclose(w, 1 - 0.1 * np.array([[3.0 + 2.0] * 2, [4.0 + 2.0] * 2]), rtol=1e-6)
        np.testing.assert_allclose(b, np.array([1.0, 2.0]) - 0.1 * 3.0, rtol=1e-6)


def test_only_the_taken_branch_assigns():
    v = tf.Variable(0.0)
    flag = tf.placeholder(tf.bool, [])
    made = tf.cond(flag, lambda: v.assign_add(1.0), lambda: v.assign_sub(10.0))
    with initialized() as session:
        assert [session.run(made, {flag: f}) for f in (True, True, False)] == [1.0, 2.0, -8.0]


def test_assigning_in_each_iteration():
    v = tf.Variable(1.0)

    def body(i, seen):
        with tf.control_dependencies([v.assign(v.read_value() * 2.0)]):
            return i + 1, seen + v.read_value()

    _, seen = tf.while_loop(lambda i, _: i < 3, body, [0, 0.0])
    with initialized() as session:
        assert session.run(seen) == 2 + 4 + 8
        assert session.run(v) == 8


def test_control_dependencies_across_a_body():
    v = tf.Variable(0.0)
    before = v.assign(5.0)

    def body(i, x):
        with tf.control_dependencies([before]):
            return i + 1, x + v.read_value()

    _, x = tf.while_loop(lambda i, _: i < 2, body, [0, 0.0])
    with tf.control_dependencies([x]):
        after = v.assign_add(1.0)
    with initialized() as session:
        assert session.run([x, after]) == [10.0, 6.0]


def test_random_numbers_are_fresh_in_each_iteration():
    x = tf.placeholder(tf.float32, [])
    noisy = tf.map_fn(lambda e: e * tf.random_normal([]), x * tf.ones([8]))
    (grad,) = tf.gradients(noisy, x)
    with tf.Session() as session:
        values, slope = session.run([noisy, grad], {x: 2.0})
        assert len(set(values.tolist())) == 8
        # The backward loop sees the numbers of the forward one.
        np.testing.assert_allclose(values.sum(), 2 * slope, rtol=1e-5)
        assert not np.array_equal(session.run(noisy, {x: 2.0}), values)


def test_python_functions_inside():
    doubled = tf.map_fn(lambda e: tf.py_func(lambda a: a * 2, [e], tf.float32), tf.constant([1.0, 2.0]))
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(doubled), [2, 4])


def test_init_scope():
    outside = tf.get_default_graph()

    def branch():
        with tf.init_scope():
            assert tf.get_default_graph() is outside
        assert tf.get_default_graph() is not outside
        return tf.constant(1)

    with tf.Session() as session:
        assert session.run(tf.cond(tf.constant(True), branch, branch)) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.cond(
            x[0] > 0, lambda: tf.cond(x[1] > 0, lambda: x * x[0], lambda: tf.sin(x)), lambda: x
        ),
        lambda x: tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, tf.sin(y) * x), [0, x])[1],
        lambda x: tf.while_loop(
            lambda i, _: i < 3,
            lambda i, y: (i + 1, tf.cond(tf.equal(i % 2, 0), lambda: tf.sin(y) * x, lambda: y * y)),
            [0, x],
        )[1],
        lambda x: tf.while_loop(
            lambda i, _: i < 2,
            lambda i, y: (
                i + 1,
                tf.while_loop(lambda j, _: j < i + 1, lambda j, z: (j + 1, tf.sin(z * x)), [0, y])[1],
            ),
            [0, x],
        )[1],
        lambda x: tf.case([(x[0] < 0, lambda: x), (x[1] < 0, lambda: x * x * x)], default=lambda: tf.sin(x)),
        lambda x: tf.switch_case(tf.constant(1), [lambda: x, lambda: x * x * x]),
    ],
    ids=["cond_in_cond", "while", "cond_in_while", "while_in_while", "case", "switch_case"],
)
def test_gradients(function):
    testing.verify_grad(function, [np.array([0.3, -0.6])], order=2, rtol=1e-5, atol=1e-5)


def test_a_loop_can_be_interrupted():
    forever = tf.while_loop(lambda i: i >= 0, lambda i: i * 1, [0])
    with tf.Session() as session, pytest.raises(tf.errors.DeadlineExceededError):
        session.run(forever, options=tf.RunOptions(timeout_in_ms=100))
