"""Assertions about tensors: what can be checked when the node is made is, the rest in the step."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def holds(op, feeds=None):
    with tf.Session() as session:
        session.run(op, feeds)


def fails(op, feeds=None, match=""):
    with tf.Session() as session, pytest.raises(errors.InvalidArgumentError, match=match or None):
        session.run(op, feeds)


PAIRS = [
    (tf.assert_equal, [1.0, 2.0], [1.0, 2.0], [1.0, 3.0]),
    (tf.assert_none_equal, [1.0, 2.0], [2.0, 1.0], [1.0, 3.0]),
    (tf.assert_less, [1.0, 2.0], [2.0, 3.0], [1.0, 3.0]),
    (tf.assert_less_equal, [1.0, 2.0], [1.0, 3.0], [0.0, 3.0]),
    (tf.assert_greater, [1.0, 2.0], [0.0, 1.0], [1.0, 1.0]),
    (tf.assert_greater_equal, [1.0, 2.0], [1.0, 1.0], [1.0, 3.0]),
    (tf.assert_near, [1.0, 2.0], [1.0, 2.0 + 2e-7], [1.0, 2.1]),
]


@pytest.mark.parametrize("check,x,good,bad", PAIRS, ids=lambda p: getattr(p, "__name__", None))
def test_comparisons(check, x, good, bad):
    y = tf.placeholder(tf.float32)
    op = check(tf.constant(x), y, message="look here")
    assert op.name.startswith(check.__name__ + "/")
    holds(op, {y: good})
    fails(op, {y: bad}, match="look here")
    # Constants are checked at once.
    holds(check(x, good))
    with pytest.raises(errors.InvalidArgumentError, match="look here"):
        check(x, bad, message="look here")
    fails(check(tf.constant(x), y, data=["mine", tf.constant(7)]), {y: bad}, match=r"\[mine\] \[7\]")


def test_comparison_broadcasts_and_takes_empty():
    x = tf.placeholder(tf.float32, [None, 2])
    holds(tf.assert_less(x, 3.0), {x: [[1, 2], [0, 0]]})
    holds(tf.assert_less(x, 3.0), {x: np.zeros((0, 2))})
    fails(tf.assert_less(x, [3.0, 1.0]), {x: [[1, 2]]})


def test_near_tolerances():
    x = tf.placeholder(tf.float32)
    holds(tf.assert_near(x, 100.0, rtol=0.1), {x: 105.0})
    fails(tf.assert_near(x, 100.0, rtol=0.01), {x: 105.0})
    holds(tf.assert_near(x, 100.0, atol=10.0), {x: 105.0})
    fails(tf.assert_near(x, 1.0), {x: float("nan")})


@pytest.mark.parametrize(
    "check,good,bad",
    [
        (tf.assert_negative, [-1, -2], [0, -1]),
        (tf.assert_positive, [1, 2], [0, 1]),
        (tf.assert_non_negative, [0, 2], [-1, 1]),
        (tf.assert_non_positive, [0, -2], [1, -1]),
    ],
    ids=lambda p: getattr(p, "__name__", None),
)
def test_signs(check, good, bad):
    for dtype in (tf.int32, tf.float64):
        x = tf.placeholder(dtype, [2])
        holds(check(x), {x: good})
        fails(check(x), {x: bad})
    holds(check([]))


def test_ranks():
    x = tf.placeholder(tf.float32)
    for check, good, bad in [
        (tf.assert_rank, 2, 1),
        (tf.assert_rank_at_least, 2, 3),
        (tf.assert_rank_in, (1, 2), (0, 3)),
    ]:
        holds(check(x, good), {x: [[1.0]]})
        fails(check(x, bad, message="here"), {x: [[1.0]]}, match="here")
        matrix = tf.constant([[1.0]])
        holds(check(matrix, good))
        with pytest.raises(ValueError, match="must have rank"):
            check(matrix, bad)
    with pytest.raises(ValueError, match="scalar"):
        tf.assert_rank(x, [1, 2])
    with pytest.raises(TypeError, match="integer"):
        tf.assert_rank(x, 0.5)
    with pytest.raises(ValueError, match="has to be known"):
        tf.assert_rank(x, tf.placeholder(tf.int32))
    assert tf.assert_scalar(tf.constant(1)).shape.rank == 0
    with pytest.raises(ValueError, match="scalar"):
        tf.assert_scalar(tf.constant([1]))


def test_ensure_shape():
    x = tf.placeholder(tf.float32)
    y = tf.ensure_shape(x, [None, 2])
    assert y.shape.as_list() == [None, 2]
    assert y.name == "EnsureShape:0"
    holds(y, {x: [[1, 2]]})
    fails(y, {x: [1, 2]}, match="EnsureShape")
    with pytest.raises(ValueError):
        tf.ensure_shape(tf.constant([1.0]), [2])


def test_dtypes():
    tf.assert_type(tf.constant(1), tf.int32)
    with pytest.raises(TypeError, match="expected float32"):
        tf.assert_type(tf.constant(1), tf.float32)
    tf.assert_integer(tf.constant(1))
    with pytest.raises(TypeError, match="integer"):
        tf.assert_integer(tf.constant(1.0))
    assert tf.assert_same_float_dtype([tf.constant(1.0), None], tf.float32) == tf.float32
    assert tf.assert_same_float_dtype() == tf.float32
    with pytest.raises(ValueError):
        tf.assert_same_float_dtype([tf.constant(1.0)], tf.float64)
    with pytest.raises(ValueError):
        tf.assert_same_float_dtype([tf.constant(1)])
    assert tf.is_numeric_tensor(tf.constant(1)) and tf.is_numeric_tensor(tf.constant(1j))
    assert not tf.is_numeric_tensor(tf.constant("a")) and not tf.is_numeric_tensor(3)


def test_iterables():
    tf.assert_proper_iterable([1, 2])
    for value in (tf.constant([1]), np.ones(2), "text", 3):
        with pytest.raises(TypeError):
            tf.assert_proper_iterable(value)


@pytest.mark.parametrize(
    "values,rises,strictly",
    [
        ([], True, True),
        ([1.0], True, True),
        ([1, 2, 4], True, True),
        ([1, 1, 2], True, False),
        ([2, 1], False, False),
    ],
)
def test_order(values, rises, strictly):
    x = tf.placeholder(tf.float32)
    with tf.Session() as session:
        assert session.run(tf.is_non_decreasing(x), {x: values}) == rises
        assert session.run(tf.is_strictly_increasing(x), {x: values}) == strictly
        assert session.run(tf.is_strictly_increasing(np.array(values, np.float32))) == strictly
    with pytest.raises(TypeError):
        tf.is_non_decreasing(tf.constant(["a"]))


def test_debugging_namespace():
    assert tf.debugging.assert_equal is tf.assert_equal
    assert tf.debugging.Assert is tf.Assert
