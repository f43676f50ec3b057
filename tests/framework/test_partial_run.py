import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def counted(x, calls, name):
    """x, and a note that it was computed."""
    made = tf.py_func(lambda value: (calls.append(name), value)[1], [x], tf.float32, name=name)
    made.set_shape(x.shape)
    return made


def test_each_node_runs_once():
    a, b = (tf.placeholder(tf.float32, [], name) for name in "ab")
    calls = []
    first = counted(raw.AddV2(a, 1.0), calls, "first")
    second = counted(raw.Mul(first, b), calls, "second")
    third = raw.AddV2(second, first)
    with tf.Session() as session:
        handle = session.partial_run_setup([first, second, third], [a, b])
        assert session.partial_run(handle, first, {a: 1}) == 2
        assert calls == ["first"]
        assert session.partial_run(handle, second, {b: 5}) == 10
        assert session.partial_run(handle, [third, first]) == [12, 2]
        assert calls == ["first", "second"]


def test_results_may_be_fed_back():
    a, b = (tf.placeholder(tf.float32, [], name) for name in "ab")
    doubled, total = raw.AddV2(a, a), raw.AddV2(a, b)
    with tf.Session() as session:
        handle = session.partial_run_setup([doubled, total], [a, b])
        value = session.partial_run(handle, doubled, {a: 3})
        assert session.partial_run(handle, total, {b: value * 10}) == 63


def test_state_is_changed_once():
    handle_op = raw.VarHandleOp(dtype=tf.float32, shape=[], shared_name="v")
    init = raw.AssignVariableOp(handle_op, 0.0)
    add = raw.AssignAddVariableOp(handle_op, 1.0)
    with tf.control_dependencies([add]):
        read = raw.ReadVariableOp(handle_op, dtype=tf.float32)
    p = tf.placeholder(tf.float32, [])
    late = raw.AddV2(read, p)
    with tf.Session() as session:
        session.run(init)
        handle = session.partial_run_setup([read, late], [p])
        assert session.partial_run(handle, read) == 1
        assert session.partial_run(handle, late, {p: 10}) == 11
        assert session.run(raw.ReadVariableOp(handle_op, dtype=tf.float32)) == 1


def test_misuse():
    a, b = (tf.placeholder(tf.float32, [], name) for name in "ab")
    total, other = raw.AddV2(a, b), raw.Neg(a)
    with tf.Session() as session:
        handle = session.partial_run_setup([total], [a, b])
        with pytest.raises(ValueError, match="handle"):
            session.partial_run("nope", total)
        with pytest.raises(ValueError, match="not been fed"):
            session.partial_run(handle, total, {a: 1})
        with pytest.raises(ValueError, match="already"):
            session.partial_run(handle, total, {a: 1})
        with pytest.raises(ValueError, match="announced"):
            session.partial_run(handle, other)
        with pytest.raises(ValueError, match="announced"):
            session.partial_run(handle, total, {total: 1})
        np.testing.assert_equal(session.partial_run(handle, total, {b: 2}), 3)
