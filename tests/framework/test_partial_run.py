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


def test_random_numbers_are_drawn_once():
    p = tf.placeholder(tf.float32, [])
    drawn = tf.random_uniform([3])
    later = drawn + p
    with tf.Session() as session:
        for _ in range(2):
            handle = session.partial_run_setup([drawn, later], [p])
            numbers = session.partial_run(handle, drawn)
            np.testing.assert_array_equal(session.partial_run(handle, later, {p: 0}), numbers)


def test_a_queue_between_the_parts():
    p = tf.placeholder(tf.float32, [])
    queue = tf.FIFOQueue(5, tf.float32, shapes=[[]])
    taken = queue.dequeue()
    later = taken * p
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1.0, 2.0, 3.0]]))
        handle = session.partial_run_setup([taken, later], [p])
        assert session.partial_run(handle, taken) == 1
        # Another step in between takes its own.
        assert session.run(taken) == 2
        assert session.partial_run(handle, later, {p: 10}) == 10
        assert session.run(queue.size()) == 1


def test_runs_side_by_side():
    p = tf.placeholder(tf.float32, [])
    half, whole = p / 2, p * 3
    with tf.Session() as session:
        handles = [session.partial_run_setup([half, whole], [p]) for _ in range(3)]
        assert len(set(handles)) == 3
        for i, handle in enumerate(handles):
            assert session.partial_run(handle, half, {p: i}) == i / 2
        for i, handle in enumerate(handles):
            assert session.partial_run(handle, whole) == 3 * i


def test_a_closed_session_ends_its_runs():
    p = tf.placeholder(tf.float32, [])
    half, whole = p / 2, p * 3
    session = tf.Session()
    handle = session.partial_run_setup([half, whole], [p])
    session.partial_run(handle, half, {p: 1})
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.partial_run(handle, whole)
    with pytest.raises(RuntimeError, match="closed"):
        session.partial_run_setup([half], [p])


def test_a_failure_is_the_parts_own():
    p, q = (tf.placeholder(tf.float32, [], name) for name in "pq")
    fine, bad = p + 1, raw.CheckNumerics(q, message="no number")
    with tf.Session() as session:
        handle = session.partial_run_setup([fine, bad], [p, q])
        with pytest.raises(tf.errors.InvalidArgumentError, match="no number"):
            session.partial_run(handle, bad, {q: np.nan})
        assert session.partial_run(handle, fine, {p: 1}) == 2
