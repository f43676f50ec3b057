import gc
import weakref

import numpy as np
import pytest

import headrace as tf
from headrace import _core


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run(fetches, feed_dict=None):
    with tf.Session() as session:
        return session.run(fetches, feed_dict)


def test_one_value_and_several():
    a = tf.constant([1.0, 2.0])
    one = tf.py_func(lambda x: x * 2, [a], tf.float32)
    assert isinstance(one, tf.Tensor)
    np.testing.assert_array_equal(run(one), [2, 4])
    both = tf.py_func(lambda x, y: (x + y, str(x.dtype)), [a, a], [tf.float32, tf.string])
    total, text = run(both)
    np.testing.assert_array_equal(total, [2, 4])
    assert text == b"float32"


def test_arguments():
    seen = []
    inputs = [tf.constant(3), tf.constant("s"), tf.constant([[True]]), tf.constant(["a", "b"])]
    op = tf.py_func(lambda *args: seen.extend(args), inputs, [])
    assert isinstance(op, tf.Operation)
    run(op)
    assert isinstance(seen[0], np.int32)
    assert seen[1] == b"s"
    assert seen[2].shape == (1, 1)
    assert seen[3].tolist() == [b"a", b"b"]


def test_shape_depends_on_data():
    n = tf.placeholder(tf.int32, [])
    y = tf.py_func(lambda n: np.arange(n, dtype=np.float32), [n], tf.float32)
    assert y.shape.ndims is None
    doubled = tf.convert_to_tensor([y, y])
    with tf.Session() as session:
        for size in (3, 0, 5):
            assert session.run(doubled, {n: size}).shape == (2, size)


def test_arguments_may_be_kept_and_changed():
    kept = []
    a = tf.constant(np.zeros(3000, np.float32))
    y = tf.py_func(lambda x: kept.append(x) or x, [tf.convert_to_tensor([a, a])], tf.float32)
    with tf.Session() as session:
        session.run(y)
        copy = kept[0].copy()
        for _ in range(5):
            session.run(y)
        np.testing.assert_array_equal(kept[0], copy)


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda x: np.float64(1), tf.errors.InvalidArgumentError, "float64"),
        (lambda x: None, tf.errors.InvalidArgumentError, "None"),
        (lambda x: 1 / 0, tf.errors.UnknownError, "ZeroDivisionError"),
        (lambda x: [][0], tf.errors.UnknownError, "IndexError"),
        (lambda x: int("x"), tf.errors.InvalidArgumentError, "ValueError"),
        (lambda x: next(iter([])), tf.errors.OutOfRangeError, "StopIteration"),
        (
            lambda x: (_ for _ in ()).throw(tf.errors.NotFoundError(None, None, "gone")),
            tf.errors.NotFoundError,
            "gone",
        ),
        (lambda x: (_ for _ in ()).throw(NotImplementedError("no")), tf.errors.UnimplementedError, "no"),
    ],
)
def test_failures(function, error, match):
    y = tf.py_func(function, [tf.constant(1.0)], tf.float32, name="mine")
    with pytest.raises(error, match=match) as caught:
        run(y)
    assert caught.value.op is y.op
    assert "'mine'" in str(caught.value)


def test_stateful_functions_run_every_time_and_others_may_be_folded():
    calls = []
    y = tf.py_func(lambda: np.float32(calls.append(1) or len(calls)), [], tf.float32)
    with tf.Session() as session:
        assert [session.run(y) for _ in range(3)] == [1, 2, 3]


def test_the_function_lives_as_long_as_the_graph():
    class Callme:
        def __call__(self):
            return np.float32(1)

    function = Callme()
    ref = weakref.ref(function)
    with tf.Graph().as_default() as graph:
        y = tf.py_func(function, [], tf.float32)
        del function
        gc.collect()
        with tf.Session() as session:
            assert session.run(y) == 1
    del graph, y, session
    gc.collect()
    assert ref() is None


def test_numpy_function_nested_in_a_run():
    inner = tf.Graph()
    with inner.as_default():
        p = tf.placeholder(tf.float32)
        square = p
    session = tf.Session(graph=inner)
    y = tf.numpy_function(lambda x: session.run(square, {p: x}), [tf.constant(3.0)], tf.float32)
    assert run(y) == 3


def test_kernels_in_python_are_checked():
    with pytest.raises(tf.errors.NotFoundError):
        _core.add_kernel("NoSuchOperation", lambda: None)
    with pytest.raises(ValueError, match="rank"):
        _core.add_kernel("PyFunc", lambda: None, "fastest")
