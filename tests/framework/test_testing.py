"""What `tf.test` offers to the tests of users."""

import os
import subprocess
import sys
import unittest

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors


def outcome(body, name="test_it"):
    """Runs a method as a test of a TestCase; returns the result and the case."""
    case = type("Case", (tf.test.TestCase,), {name: body})(name)
    result = unittest.TestResult()
    case.run(result)
    return result, case


def passes(body):
    result, _ = outcome(body)
    problems = [text for _, text in result.errors + result.failures]
    assert not problems, problems[0]


def fails(body, match=""):
    result, _ = outcome(body)
    assert len(result.failures) == 1 and not result.errors, result
    assert match in result.failures[0][1]


X = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


def test_sessions():
    def body(self):
        with self.session() as session:
            assert session.run(tf.constant(1)) == 1
            assert tf.get_default_session() is session
        with self.cached_session() as first:
            pass
        with self.test_session() as second:
            assert first is second
            self.assertAllEqual(tf.constant([1, 2]), [1, 2])
        other = tf.Graph()
        with self.session(graph=other) as session:
            assert tf.get_default_graph() is other and session.graph is other

    passes(body)


def test_each_test_has_a_fresh_graph_and_seeds():
    numbers = []

    def body(self):
        assert tf.get_default_graph().get_operations() == []
        assert tf.get_default_graph().seed == 87654321
        tf.constant(1)
        numbers.append(np.random.rand())

    passes(body)
    passes(body)
    assert numbers[0] == numbers[1]


def test_comparisons_that_hold():
    def body(self):
        self.assertAllClose(X, X + 1e-7)
        self.assertAllClose({"a": [X, X[0]], "b": 1.0}, {"a": [X, X[0]], "b": 1.0})
        self.assertAllClose(tf.constant(X), X)
        self.assertAllCloseAccordingToType(X.astype(np.float16), X + 1e-4)
        self.assertAllEqual([1, np.nan], [1, np.nan])
        self.assertNotAllClose(X, X + 1)
        self.assertNotAllEqual(X, X + 1)
        self.assertNear(1.0, 1.1, 0.2)
        self.assertArrayNear([1.0, 2.0], [1.0, 2.01], 0.1)
        self.assertNDArrayNear(X, X + 0.01, 0.1)
        self.assertAllGreater(X, 0)
        self.assertAllLess(X, 5)
        self.assertAllGreaterEqual(X, 1)
        self.assertAllLessEqual(X, 4)
        self.assertAllInRange(X, 1, 4)
        self.assertAllInSet(X, {1, 2, 3, 4})
        self.assertShapeEqual(X, tf.constant(X))
        self.assertDTypeEqual(X, np.float32)
        self.assertDTypeEqual(tf.constant(X), tf.float32)
        self.assertDeviceEqual("/cpu:0", "/device:CPU:0")
        self.assertStartsWith("abc", "ab")
        with self.assertRaisesOpError("boom"):
            raise errors.InternalError(None, None, "boom")
        with self.assertRaisesWithPredicateMatch(ValueError, lambda e: "x" in str(e)):
            raise ValueError("x")
        self.assertEqual(self.evaluate([tf.constant(1), {"a": tf.constant(2)}]), [1, {"a": 2}])

    passes(body)


@pytest.mark.parametrize(
    "check",
    [
        lambda t: t.assertAllClose(X, X + 1e-3),
        lambda t: t.assertAllClose(X, X[0]),
        lambda t: t.assertAllClose({"a": X}, {"b": X}),
        lambda t: t.assertAllClose({"a": [X, X[0]]}, {"a": [X, X[0] + 1]}),
        lambda t: t.assertAllClose([X, X[0]], [X]),
        lambda t: t.assertAllCloseAccordingToType(X, X + 1e-4),
        lambda t: t.assertAllEqual(X, X + 1e-6),
        lambda t: t.assertAllEqual([1], [1, 1]),
        lambda t: t.assertNotAllClose(X, X),
        lambda t: t.assertNotAllEqual(X, X),
        lambda t: t.assertNear(1, 2, 0.5),
        lambda t: t.assertArrayNear([1.0, 2.0], [1.0], 0.1),
        lambda t: t.assertNDArrayNear(X, X + 1, 0.1),
        lambda t: t.assertAllGreater(X, 1),
        lambda t: t.assertAllLess(X, 4),
        lambda t: t.assertAllInRange(X, 1, 4, open_upper_bound=True),
        lambda t: t.assertAllInSet(X, {1, 2, 3}),
        lambda t: t.assertShapeEqual(X, tf.constant(X[0])),
        lambda t: t.assertDTypeEqual(X, np.float64),
        lambda t: t.assertDeviceEqual("/cpu:0", "/gpu:0"),
        lambda t: t.assertStartsWith("abc", "b"),
    ],
)
def test_comparisons_that_do_not(check):
    fails(lambda self: check(self))


def test_raises_nothing_fails():
    def body(self):
        with self.assertRaisesOpError("boom"):
            pass

    fails(body, "was not raised")


def test_temp_dirs():
    seen = []

    def body(self):
        seen.append(self.get_temp_dir())
        assert self.get_temp_dir() == seen[-1] and os.path.isdir(seen[-1])

    passes(body)
    passes(body)
    assert seen[0] != seen[1]
    assert os.path.dirname(seen[0]) == tf.test.get_temp_dir()


def test_runner_takes_the_method_for_no_test():
    result, _ = outcome(tf.test.TestCase.test_session, "test_session")
    assert len(result.skipped) == 1 and result.wasSuccessful()


def test_main():
    code = (
        "import headrace as tf\n"
        "class T(tf.test.TestCase):\n"
        "  def test_one(self): self.assertAllEqual(tf.constant(3), 3)\n"
        "tf.test.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


def test_accelerators():
    assert tf.test.is_built_with_cuda() is False
    assert tf.test.is_gpu_available() == bool(tf.test.gpu_device_name())


def test_compute_gradient():
    with tf.Graph().as_default(), tf.Session():
        x = tf.placeholder(tf.float64, [2, 2])
        y = tf.square(x)[:, 0]
        exact, numeric = tf.test.compute_gradient(x, [2, 2], y, [2], x_init_value=X)
        assert exact.shape == numeric.shape == (4, 2)
        np.testing.assert_allclose(exact, [[2, 0], [0, 0], [0, 6], [0, 0]])
        np.testing.assert_allclose(numeric, exact, atol=1e-6)
        assert tf.test.compute_gradient_error(x, [2, 2], y, [2]) < 1e-6
        pairs = tf.test.compute_gradient([x, x], [[2, 2], [2, 2]], y, [2])
        assert len(pairs) == 2
        wrong = tf.stop_gradient(y)
        assert tf.test.compute_gradient_error(x, [2, 2], wrong, [2], x_init_value=X) > 1
    with pytest.raises(ValueError, match="default session"):
        tf.test.compute_gradient(x, [2, 2], y, [2])


def test_equal_graph_defs():
    def graph_def(value):
        with tf.Graph().as_default() as graph:
            tf.constant(value, name="c")
            return graph.as_graph_def()

    tf.test.assert_equal_graph_def(graph_def(1), graph_def(1))
    with pytest.raises(AssertionError, match="'c' differs"):
        tf.test.assert_equal_graph_def(graph_def(1), graph_def(2))
