import gc
import os
import resource
import signal
import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace.framework import protos, raw


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run_in_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_many_threads_on_one_session():
    p = tf.placeholder(tf.float32, [None])
    y = raw.AddV2(raw.Mul(p, p), p)
    with tf.Session() as session:

        def work(i):
            for step in range(50):
                x = np.full(step % 7 + 1, i, np.float32)
                np.testing.assert_array_equal(session.run(y, {p: x}), x * x + x)

        run_in_threads(32, work)


def test_threads_that_share_variables():
    handles = [
        raw.VarHandleOp(dtype=tf.float32, shape=[1000], shared_name=f"v{i}", name=f"v{i}") for i in range(3)
    ]
    ones = tf.constant(np.ones(1000, np.float32))
    init = [raw.AssignVariableOp(handle, np.zeros(1000, np.float32)) for handle in handles]
    add = [raw.AssignAddVariableOp(handle, ones) for handle in handles]
    read = [raw.ReadVariableOp(handle, dtype=tf.float32) for handle in handles]
    with tf.Session() as session:
        session.run(init)

        def work(i):
            for _ in range(20):
                session.run(add if i % 2 else add[i % 3])
                for value in session.run(read):
                    assert (value == value[0]).all()  # a snapshot: no half-made update shows

        run_in_threads(32, work)
        totals = [value[0] for value in session.run(read)]
    assert sum(totals) == 16 * 20 * 3 + 16 * 20


def test_a_feed_that_is_kept_is_copied():
    handle = raw.VarHandleOp(dtype=tf.float32, shape=[5000], shared_name="kept")
    p = tf.placeholder(tf.float32, [5000])
    assign = raw.AssignVariableOp(handle, p)
    add = raw.AssignAddVariableOp(handle, tf.constant(np.ones(5000, np.float32)))
    with tf.control_dependencies([add]):
        read = raw.ReadVariableOp(handle, dtype=tf.float32)
    array = np.zeros(5000, np.float32)
    with tf.Session() as session:
        session.run(assign, {p: array})
        array[:] = 9
        np.testing.assert_array_equal(session.run(read), np.ones(5000))
    np.testing.assert_array_equal(array, np.full(5000, 9))


def test_threads_that_build_and_run():
    def work(i):
        with tf.Graph().as_default(), tf.Session() as session:
            x = tf.placeholder(tf.float32)
            y = x
            for _ in range(30):
                y = raw.AddV2(y, 1.0)
                session.run(y, {x: 0.0})
            assert session.run(y, {x: float(i)}) == i + 30

    run_in_threads(8, work)


def test_threads_that_build_one_graph(graph):
    def work(i):
        with graph.as_default():
            y = tf.constant(float(i))
            for _ in range(100):
                y = raw.AddV2(y, 1.0)
            assert tf.Session().run(y) == i + 100

    run_in_threads(8, work)
    ops = graph.get_operations()
    assert len(ops) == 8 * 201
    assert all(graph.get_operation_by_name(op.name) is op for op in ops)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads Linux's /proc")
def test_ten_thousand_steps_without_memory_growth():
    p = tf.placeholder(tf.float32, [None, 50])
    w = tf.constant(np.ones((50, 50), np.float32))
    y = raw.Tanh(raw.MatMul(p, w))
    x = np.ones((40, 50), np.float32)
    with tf.Session() as session:
        for _ in range(2000):
            session.run([y, p], {p: x})
        gc.collect()
        before = resident()
        for _ in range(10_000):
            session.run([y, p], {p: x})
        gc.collect()
        assert resident() - before < 2 << 20


def spin(seconds):
    """A step of py_funcs that takes this long if nothing stops it."""
    y = tf.constant(0.0)
    for _ in range(int(seconds / 0.01)):
        y = tf.py_func(lambda x: (time.sleep(0.01), x + np.float32(1))[1], [y], tf.float32)
    return y


def test_ctrl_c_leaves_the_session_usable():
    y = spin(20)
    k = tf.constant(1.0)
    with tf.Session() as session:
        timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        start = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            session.run(y)
        assert time.monotonic() - start < 10
        assert session.run(k) == 1


def test_timeout_leaves_the_session_usable():
    y = spin(20)
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(y, options=protos.RunOptions(timeout_in_ms=200))
        assert session.run(tf.constant(1.0)) == 1


def test_close_ends_running_steps():
    y = spin(20)
    session = tf.Session()
    failures = []

    def run():
        try:
            session.run(y)
        except tf.errors.CancelledError as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    session.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(failures) == 1


def test_failure_leaves_the_session_usable():
    p = tf.placeholder(tf.float32)
    bad = raw.CheckNumerics(p, message="no number")
    with tf.Session() as session:

        def work(i):
            for _ in range(20):
                if i % 2:
                    with pytest.raises(tf.errors.InvalidArgumentError):
                        session.run(bad, {p: np.nan})
                else:
                    assert session.run(bad, {p: 3.0}) == 3

        run_in_threads(8, work)
