"""Staging areas: the records stage a tensor and take it out again."""

import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Case, OpRecord, run_records

ROWS = np.array([[3.0, -2.0], [1.0, 0.5]])
CASES = [Case((ROWS,)), Case((np.zeros((0, 2)),))]
ANY = {"dtypes": ("float32", "bfloat16", "int64", "bool"), "data_dependent": True}


def area(value):
    return {"dtypes": [value.dtype], "shared_name": "area"}


def staged(value, name=None):
    return tf.control_dependencies([raw.Stage([value], shared_name="area", name=name)])


def stage(value):
    with staged(value, "node"):
        return raw.Unstage(**area(value))


def unstage(value):
    with staged(value):
        return raw.Unstage(**area(value), name="node")


def peek(value):
    with staged(value):
        return raw.StagePeek(0, **area(value), name="node")


def size(value):
    with staged(value):
        return raw.StageSize(**area(value), name="node")


def clear(value):
    with staged(value), tf.control_dependencies([raw.StageClear(**area(value), name="node")]):
        return raw.StageSize(**area(value))


RECORDS = [
    OpRecord("Stage", CASES, lambda value: value, build=stage, **ANY),
    OpRecord("Unstage", CASES, lambda value: value, build=unstage, **ANY),
    OpRecord("StagePeek", CASES, lambda value: value, build=peek, **ANY),
    OpRecord("StageSize", CASES, lambda _: np.int32(1), build=size, **ANY),
    OpRecord("StageClear", CASES, lambda _: np.int32(0), build=clear, **ANY),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_limits_and_waiting():
    few = {"dtypes": [tf.int32], "shared_name": "few", "capacity": 1}
    small = {"shared_name": "small", "memory_limit": 16}
    put, take = raw.Stage([tf.constant(5)], shared_name="few", capacity=1), raw.Unstage(**few)
    soon = tf.RunOptions(timeout_in_ms=50)
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(take, options=soon)
        session.run(put)
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(put, options=soon)
        waiting = threading.Thread(target=session.run, args=(put,))
        waiting.start()
        time.sleep(0.05)
        assert session.run(take) == [5]
        waiting.join(10)
        assert not waiting.is_alive() and session.run(raw.StageSize(**few)) == 1
        with pytest.raises(tf.errors.ResourceExhaustedError, match="memory_limit is 16"):
            session.run(raw.Stage([tf.zeros([5])], **small))
        session.run(raw.Stage([tf.zeros([3])], **small))
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(raw.Stage([tf.zeros([2])], **small), options=soon)
        with pytest.raises(TypeError, match="component 0 is float32, not int32"):
            session.run(raw.Unstage(dtypes=[tf.int32], **small))
