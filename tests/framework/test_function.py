import numpy as np
import pytest

import headrace as tf
from headrace.framework.function import Defun


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_call():
    scale = tf.constant(3.0)

    @Defun(tf.float32, tf.float32)
    def both(a, b):
        return a * b * scale, a + b

    x, y = tf.constant([2.0, 3.0]), tf.constant([5.0, 7.0])
    product, total = both(x, y, name="first")
    again, _ = both(y, y)
    assert product.op.name == "first" and product.op.type == "PartitionedCall" and product.shape == [2]
    gradient = tf.gradients(product, [x, y, scale])
    with tf.Session() as session:
        values = session.run([product, total, again, *gradient])
    for value, expected in zip(
        values, ([30, 63], [7, 10], [75, 147], [15, 21], [6, 9], 2.0 * 5.0 + 3.0 * 7.0)
    ):
        np.testing.assert_allclose(value, expected)


def test_state():
    v = tf.Variable(1.0)

    @Defun(tf.float32)
    def add(a):
        return v.assign_add(a)

    made = add(2.0)
    assert made.op.type == "StatefulPartitionedCall"
    with tf.Session() as session:
        session.run(v.initializer)
        assert [session.run(made), session.run(made)] == [3.0, 5.0]


def test_gradients_of_its_own():
    @Defun(tf.float32, tf.float32)
    def reverse(x, grad):
        return -x * grad

    @Defun(tf.float32, grad_func=reverse)
    def by_function(x):
        return x * x

    @Defun(tf.float32, python_grad_func=lambda op, grad: grad * 10.0)
    def by_python(x):
        return x * x

    x = tf.constant(3.0)
    with tf.Session() as session:
        assert session.run(tf.gradients(by_function(x), x)) == [-3.0]
        assert session.run(tf.gradients(by_python(x), x)) == [10.0]


def test_misuse():
    with pytest.raises(ValueError, match="takes 1 arguments, 2 dtypes"):
        Defun(tf.float32, tf.float32)(lambda a: a)
    with pytest.raises(ValueError, match="not both"):
        Defun(tf.float32, python_grad_func=abs, grad_func=abs)
    with pytest.raises(ValueError, match="takes 1 arguments, 2 are given"):
        Defun(tf.float32)(lambda a: a)(1.0, 2.0)
    with pytest.raises(TypeError):
        Defun(tf.float32)(lambda a: a)(tf.constant(1))
