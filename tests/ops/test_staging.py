"""Staging areas: the records stage a tensor and take it out again."""

import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.ops.staging import MapStagingArea, StagingArea
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


def keyed(kind, op):
    """The value goes in under key 5, and the operation follows."""

    def build(value):
        names = {op: "node"}
        attrs = area(value)
        put = getattr(raw, kind + "Stage")(5, [0], [value], name=names.get("Stage"), **attrs)
        with tf.control_dependencies([put]):
            if op == "Clear":
                with tf.control_dependencies([getattr(raw, kind + op)(name="node", **attrs)]):
                    return getattr(raw, kind + "Size")(**attrs)
            if op.endswith("Size"):
                return getattr(raw, kind + op)(name="node", **attrs)
            if op == "UnstageNoKey":
                taken = getattr(raw, kind + op)([0], name="node", **attrs)
                return [taken.key, taken.values[0]]
            take = getattr(raw, kind + ("Unstage" if op == "Stage" else op))
            return take(5, [0], name=names.get(op) if op != "Stage" else None, **attrs)

    return build


KEYED = {
    "Stage": lambda value: value,
    "Unstage": lambda value: value,
    "UnstageNoKey": lambda value: [np.int64(5), value],
    "Peek": lambda value: value,
    "Size": lambda _: np.int32(1),
    "IncompleteSize": lambda _: np.int32(0),
    "Clear": lambda _: np.int32(0),
}

RECORDS = [
    OpRecord("Stage", CASES, lambda value: value, build=stage, **ANY),
    OpRecord("Unstage", CASES, lambda value: value, build=unstage, **ANY),
    OpRecord("StagePeek", CASES, lambda value: value, build=peek, **ANY),
    OpRecord("StageSize", CASES, lambda _: np.int32(1), build=size, **ANY),
    OpRecord("StageClear", CASES, lambda _: np.int32(0), build=clear, **ANY),
    *(
        OpRecord(kind + op, CASES, reference, build=keyed(kind, op), **ANY)
        for kind in ("Map", "OrderedMap")
        for op, reference in KEYED.items()
    ),
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


def test_areas_with_names_and_shapes():
    staged = StagingArea([tf.float32, tf.int32], shapes=[[2], []], names=["x", "n"], capacity=3)
    put = staged.put({"n": 7, "x": [1.0, 2.0]})
    taken, seen = staged.get(), staged.peek(0)
    assert taken["x"].shape == (2,) and staged.capacity == 3
    with tf.Session() as session:
        session.run([put])
        assert session.run(seen)["n"] == 7
        assert session.run(staged.size()) == 1
        assert session.run(taken)["x"].tolist() == [1, 2]
        session.run(put)
        session.run(staged.clear())
        assert session.run(staged.size()) == 0
    with pytest.raises(ValueError, match="no component 'y'"):
        staged.put({"x": [1.0, 2.0], "y": 1})
    with pytest.raises(ValueError, match="1 values for 2 components"):
        staged.put({"x": [1.0, 2.0]})
    with pytest.raises(ValueError):
        staged.put([[1.0], 2])
    with pytest.raises(ValueError, match="neither may be negative"):
        StagingArea([tf.int32], capacity=-1)


@pytest.mark.parametrize("ordered", [False, True])
def test_components_come_and_go_one_by_one(ordered):
    staged = MapStagingArea([tf.float32, tf.int32], names=["x", "n"], ordered=ordered)
    key = tf.placeholder(tf.int64, [])
    put_x, put_n = staged.put(key, {"x": 1.5}), staged.put(key, {"n": 7})
    sizes = [staged.size(), staged.incomplete_size()]
    soon = tf.RunOptions(timeout_in_ms=50)
    with tf.Session() as session:
        session.run(put_x, {key: 3})
        assert session.run(sizes) == [0, 1]
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(staged.get(key), {key: 3}, options=soon)
        with pytest.raises(tf.errors.InvalidArgumentError, match="component 0 already"):
            session.run(put_x, {key: 3})
        session.run(put_n, {key: 3})
        assert session.run(sizes) == [1, 0]
        session.run([put_x, put_n], {key: 1})
        assert session.run(staged.peek(key, ["n"]), {key: 3}) == {"n": 7}
        number, values = session.run(staged.get())
        assert number == 1 and values == {"x": 1.5, "n": 7}
        assert session.run(staged.get(key, ["x"]), {key: 3}) == (3, {"x": 1.5})
        with pytest.raises(tf.errors.InvalidArgumentError, match="has been taken already"):
            session.run(staged.get(key, ["x"]), {key: 3})
        assert session.run(sizes) == [1, 0]
        assert session.run(staged.get(key, ["n"]), {key: 3}) == (3, {"n": 7})
        assert session.run(sizes) == [0, 0]
        # The first element of a key stays.
        whole = staged.put(key, {"x": 2.5, "n": tf.placeholder_with_default(8, [], name="n")})
        session.run([put_x, put_n], {key: 4})
        session.run(whole, {key: 4})
        assert session.run(staged.get(key)[1], {key: 4}) == {"x": 1.5, "n": 7}
        session.run(whole, {key: 5})
        session.run(staged.clear())
        assert session.run(sizes) == [0, 0]


def test_areas_with_keys_have_limits():
    staged = MapStagingArea([tf.float32], capacity=1)
    key = tf.placeholder(tf.int64, [])
    put, take = staged.put(key, tf.zeros([4])), staged.get()
    with tf.Session() as session:
        session.run(put, {key: 1})
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(put, {key: 2}, options=tf.RunOptions(timeout_in_ms=50))
        waiting = threading.Thread(target=session.run, args=(put, {key: 3}))
        waiting.start()
        time.sleep(0.05)
        assert session.run(take[0]) == 1
        waiting.join(30)
        assert session.run(take[0]) == 3
        small = MapStagingArea([tf.float32], memory_limit=8)
        with pytest.raises(tf.errors.ResourceExhaustedError, match="memory_limit is 8"):
            session.run(small.put(1, tf.zeros([4])))
    with pytest.raises(ValueError, match="no component 1"):
        staged.get(key, [1])
    with pytest.raises(TypeError):
        staged.put(key, tf.zeros([4], tf.int32))
