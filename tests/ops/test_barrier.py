"""Barriers: the records put components in and take elements out."""

import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.ops.barrier import Barrier
from tests.ops.harness import Case, OpRecord, run_records

ROWS = np.array([[3.0, -2.0], [1.0, 0.5]])
CASES = [Case((ROWS,)), Case((np.zeros((2, 0)),))]
ANY = {"dtypes": ("float32", "bfloat16", "int64", "bool"), "data_dependent": True}
KEYS = ["a", "b"]


def made(rows, components=1, name=None):
    shapes = [rows.shape[1:]] * components if rows.shape.rank else []
    return raw.Barrier(component_types=[rows.dtype] * components, shapes=shapes, name=name)


def inserted(barrier, rows, name=None):
    return raw.BarrierInsertMany(barrier, tf.constant(KEYS), rows, component_index=0, name=name)


def take(barrier, rows, name=None):
    return raw.BarrierTakeMany(barrier, 2, component_types=[rows.dtype], name=name)


def through(**names):
    def build(rows):
        barrier = made(rows, name=names.get("barrier"))
        with tf.control_dependencies([inserted(barrier, rows, names.get("insert"))]):
            taken = take(barrier, rows, names.get("take"))
        return [taken.keys, taken.values[0]]

    return build


def close(rows):
    barrier = made(rows)
    with tf.control_dependencies([inserted(barrier, rows)]):
        closed = raw.BarrierClose(barrier, name="node")
    with tf.control_dependencies([closed]):
        taken = raw.BarrierTakeMany(barrier, 5, component_types=[rows.dtype], allow_small_batch=True)
    return [taken.keys, taken.values[0]]


def size(op):
    def build(rows):
        barrier = made(rows, components=1 + (op == "BarrierIncompleteSize"))
        with tf.control_dependencies([inserted(barrier, rows)]):
            return getattr(raw, op)(barrier, name="node")

    return build


def keys_and_rows(rows):
    return [np.array([b"a", b"b"], object), rows]


RECORDS = [
    OpRecord("Barrier", CASES, keys_and_rows, build=through(barrier="node"), **ANY),
    OpRecord("BarrierInsertMany", CASES, keys_and_rows, build=through(insert="node"), **ANY),
    OpRecord("BarrierTakeMany", CASES, keys_and_rows, build=through(take="node"), **ANY),
    OpRecord("BarrierClose", CASES, keys_and_rows, build=close, **ANY),
    OpRecord("BarrierReadySize", CASES, lambda _: np.int32(2), build=size("BarrierReadySize"), **ANY),
    OpRecord(
        "BarrierIncompleteSize", CASES, lambda _: np.int32(2), build=size("BarrierIncompleteSize"), **ANY
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_elements_are_ready_in_the_order_in_which_their_keys_came():
    barrier = Barrier([tf.float32, tf.string], shapes=[[2], []])
    first = barrier.insert_many(0, ["x", "y"], [[1, 2], [3, 4]])
    later = barrier.insert_many(0, ["z"], [[5, 6]])
    words = barrier.insert_many(1, ["z", "y", "x"], ["zz", "yy", "xx"])
    taken = barrier.take_many(3)
    assert taken.values[0].shape == (3, 2) and taken.indices.shape == (3,)
    sizes = [barrier.ready_size(), barrier.incomplete_size()]
    with tf.Session() as session:
        session.run(first)
        session.run(later)
        assert session.run(sizes) == [0, 3]
        session.run(words)
        assert session.run(sizes) == [3, 0]
        indices, keys, values = session.run(taken)
        # y and x came by one call, so they have one number; y was complete before x.
        assert keys.tolist() == [b"y", b"x", b"z"]
        assert indices.tolist() == [-(2**63), -(2**63), -(2**63) + 1]
        np.testing.assert_array_equal(values[0], [[3, 4], [1, 2], [5, 6]])
        assert values[1].tolist() == [b"yy", b"xx", b"zz"]


def test_taking_waits_and_ends():
    barrier = Barrier(tf.int32, shapes=[[]])
    n = tf.placeholder(tf.int32, [])
    keys = tf.placeholder(tf.string, [None])
    put, taken = barrier.insert_many(0, keys, tf.zeros_like(keys, tf.int32)), barrier.take_many(n)
    few = barrier.take_many(n, allow_small_batch=True)
    assert few.values[0].shape.as_list() == [None]
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(taken, {n: 1}, options=tf.RunOptions(timeout_in_ms=50))
        got = []
        thread = threading.Thread(target=lambda: got.append(session.run(taken.keys, {n: 3})))
        thread.start()
        time.sleep(0.05)
        session.run(put, {keys: ["a", "b"]})
        session.run(put, {keys: ["c"]})
        thread.join(30)
        assert got[0].tolist() == [b"a", b"b", b"c"]
        session.run(put, {keys: ["d"]})
        session.run(barrier.close())
        with pytest.raises(tf.errors.OutOfRangeError, match="2 requested, 1 left"):
            session.run(taken, {n: 2})
        assert session.run(few.keys, {n: 2}).tolist() == [b"d"]
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(few, {n: 2})
        with pytest.raises(tf.errors.InvalidArgumentError, match="num_elements is -1"):
            session.run(taken, {n: -1})
        assert session.run(taken, {n: 0}).keys.size == 0


def test_closing():
    barrier = Barrier([tf.int32, tf.int32], shapes=[[], []])
    put = [barrier.insert_many(i, ["a"], [i]) for i in range(2)]
    new = barrier.insert_many(0, ["new"], [1])
    taken = barrier.take_many(1)
    with tf.Session() as session:
        session.run(put[0])
        session.run(barrier.close())
        with pytest.raises(tf.errors.CancelledError, match="'new' is a new key"):
            session.run(new)
        with pytest.raises(tf.errors.CancelledError, match="closed already"):
            session.run(barrier.close())
        # What has begun may be completed: taking waits for it.
        got = []
        thread = threading.Thread(target=lambda: got.append(session.run(taken.keys)))
        thread.start()
        time.sleep(0.05)
        session.run(put[1])
        thread.join(30)
        assert got[0].tolist() == [b"a"]
    with tf.Session() as session:
        session.run(put[0])
        session.run(barrier.close(cancel_pending_enqueues=True))
        assert session.run(barrier.incomplete_size()) == 0
        with pytest.raises(tf.errors.CancelledError):
            session.run(put[1])
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(taken)


def test_misuse():
    barrier = Barrier([tf.float32, tf.float32], shapes=[[], [2]])
    fed = tf.placeholder(tf.float32)
    put = barrier.insert_many(1, ["a"], fed)
    with tf.Session() as session:
        session.run(put, {fed: [[1, 2]]})
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"'a' has component 1 already.*test_barrier\.py"
        ):
            session.run(put, {fed: [[1, 2]]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"shape \(3\)|\(3,\)"):
            session.run(barrier.insert_many(1, ["b"], fed), {fed: [[1, 2, 3]]})
        with pytest.raises(tf.errors.InvalidArgumentError, match="'b' is given twice"):
            session.run(barrier.insert_many(0, ["b", "b"], [1.0, 2.0]))
        # Nothing of a call that fails goes in.
        assert session.run(barrier.incomplete_size()) == 1
    with pytest.raises(ValueError, match="component_index is 2"):
        barrier.insert_many(2, ["a"], [1.0])
    with pytest.raises(ValueError, match="a row for each key"):
        barrier.insert_many(0, ["a"], [1.0, 2.0])
    with pytest.raises(ValueError, match="num_elements is -1"):
        barrier.take_many(-1)
    with pytest.raises(ValueError, match="got 1 shapes"):
        Barrier([tf.float32, tf.float32], shapes=[[]])
