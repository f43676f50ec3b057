"""Accumulators: the records add a gradient and take it out again."""

import threading

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Case, OpRecord, run_records

ROWS = np.array([[3.0, -2.0], [1.0, 0.5]])
CASES = [Case((ROWS,)), Case((np.zeros((2, 0)),))]
ANY = {"dtypes": ("float32", "float64", "float16", "bfloat16", "int32", "complex64"), "data_dependent": True}


def dense(kind, what):
    """A gradient of step 1 that is added to an accumulator of step 0, and taken."""

    def op(name, *inputs, **attrs):
        name = kind + name
        return getattr(raw, name)(*inputs, **attrs, name="node" if name == what else None)

    def build(value):
        handle = op("ConditionalAccumulator", dtype=value.dtype, shape=tf.TensorShape(None))
        with tf.control_dependencies([op("AccumulatorSetGlobalStep", handle, 1)]):
            late = op("AccumulatorApplyGradient", handle, 0, value) if "Apply" not in what else tf.no_op()
        with tf.control_dependencies([late]):
            add = op("AccumulatorApplyGradient", handle, 1, value)
        with tf.control_dependencies([add]):
            count = op("AccumulatorNumAccumulated", handle)
        with tf.control_dependencies([count]):
            return [count, op("AccumulatorTakeGradient", handle, 1, dtype=value.dtype)]

    return build


def rows(what):
    def build(value):
        names = {what: "node"}
        handle = raw.SparseConditionalAccumulator(
            dtype=value.dtype, shape=tf.TensorShape(None), name=names.get("SparseConditionalAccumulator")
        )
        indices = tf.constant([2, 5], tf.int64)
        add = raw.SparseAccumulatorApplyGradient(
            handle,
            0,
            indices,
            value,
            tf.constant([], tf.int64),
            has_known_shape=False,
            name=names.get("SparseAccumulatorApplyGradient"),
        )
        with tf.control_dependencies([add]):
            taken = raw.SparseAccumulatorTakeGradient(
                handle, 1, dtype=value.dtype, name=names.get("SparseAccumulatorTakeGradient")
            )
        return list(taken)

    return build


def taken_rows(value):
    return [np.array([2, 5], np.int64), value, np.array([-1, value.shape[1]], np.int64)]


RECORDS = [
    *(
        OpRecord(kind + op, CASES, lambda value: [np.int32(1), value], build=dense(kind, kind + op), **ANY)
        for kind in ("", "Resource")
        for op in (
            "ConditionalAccumulator",
            "AccumulatorApplyGradient",
            "AccumulatorTakeGradient",
            "AccumulatorNumAccumulated",
            "AccumulatorSetGlobalStep",
        )
    ),
    *(
        OpRecord(op, CASES, taken_rows, build=rows(op), **ANY)
        for op in (
            "SparseConditionalAccumulator",
            "SparseAccumulatorApplyGradient",
            "SparseAccumulatorTakeGradient",
        )
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


@pytest.mark.parametrize(("reduction", "expected"), [("MEAN", [2, 3]), ("SUM", [6, 9])])
def test_gradients_are_added_and_late_ones_dropped(reduction, expected):
    accumulator = tf.ConditionalAccumulator(tf.float32, shape=[2], reduction_type=reduction)
    value, step = tf.placeholder(tf.float32, [2]), tf.placeholder(tf.int64, [])
    add, take = accumulator.apply_grad(value, step), accumulator.take_grad(3)
    count = accumulator.num_accumulated()
    assert take.shape == (2,)
    with tf.Session() as session:
        for i in range(3):
            session.run(add, {value: [i + 1, i + 2], step: 0})
        assert session.run(count) == 3
        np.testing.assert_array_equal(session.run(take), expected)
        # It is step 1 now.
        session.run(add, {value: [9, 9], step: 0})
        assert session.run(count) == 0
        session.run(add, {value: [9, 9], step: 2})
        assert session.run(count) == 1
        session.run(accumulator.set_global_step(5))
        session.run(add, {value: [9, 9], step: 4})
        assert session.run(count) == 1
        session.run(add, {value: [9, 9], step: 5})
        assert session.run(count) == 2


def test_rows_have_means_of_their_own():
    accumulator = tf.SparseConditionalAccumulator(tf.float32, shape=tf.TensorShape([None, 2]))
    with tf.Session() as session:
        session.run(accumulator.apply_grad([0, 2], [[1.0, 1.0], [2.0, 2.0]]))
        slices = tf.IndexedSlices(tf.constant([[3.0, 3.0], [4.0, 4.0]]), tf.constant([1, 2]))
        session.run(accumulator.apply_indexed_slices_grad(slices))
        assert session.run(accumulator.num_accumulated()) == 2
        taken = accumulator.take_indexed_slices_grad(1)
        assert taken.values.shape.as_list() == [None, 2]
        values, indices, shape = session.run([taken.values, taken.indices, taken.dense_shape])
        assert indices.tolist() == [0, 1, 2] and shape.tolist() == [-1, 2]
        np.testing.assert_array_equal(values, [[1, 1], [3, 3], [3, 3]])
        session.run(accumulator.apply_grad([5, 2], [[1.0, 1.0], [2.0, 2.0]], local_step=1))
        indices, values, _ = session.run(accumulator.take_grad(1))
        assert indices.tolist() == [2, 5] and values.tolist() == [[2, 2], [1, 1]]
        # A row that comes twice in one gradient is one of it.
        session.run(accumulator.apply_grad([4, 4], [[1.0, 1.0], [2.0, 2.0]], local_step=2))
        assert session.run(accumulator.take_grad(1))[1].tolist() == [[3, 3]]


def test_misuse():
    accumulator = tf.ConditionalAccumulator(tf.float32, shape=tf.TensorShape([None]))
    rows = tf.SparseConditionalAccumulator(tf.float32, shape=tf.TensorShape([3, 2]))
    value = tf.placeholder(tf.float32)
    n = tf.placeholder(tf.int32, [])
    with tf.Session() as session:
        session.run(accumulator.apply_grad(value), {value: [1, 2]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"those before it.*test_accumulator.py"):
            session.run(accumulator.apply_grad(value), {value: [1, 2, 3]})
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\(1, 1\).*made for \(\?,\)"):
            session.run(accumulator.apply_grad(value), {value: [[1]]})
        for accumulated in (accumulator, rows):
            with pytest.raises(tf.errors.InvalidArgumentError, match="num_required is 0"):
                session.run(accumulated.take_grad(n), {n: 0})
        for index in (-1, 3):
            with pytest.raises(tf.errors.InvalidArgumentError, match=f"an index is {index}"):
                session.run(rows.apply_grad([index], [[1.0, 1.0]]))
        with pytest.raises(tf.errors.InvalidArgumentError, match="takes none such"):
            session.run(rows.apply_grad([0], [[1.0, 1.0]], [4, 2]))
        with pytest.raises(tf.errors.InvalidArgumentError, match="takes none such"):
            session.run(rows.apply_grad([0], [[1.0]]))
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(rows.take_grad(1), options=tf.RunOptions(timeout_in_ms=50))
    with pytest.raises(ValueError, match="a row for each index"):
        rows.apply_grad([0, 1], [[1.0, 1.0]])
    with pytest.raises(ValueError):
        tf.ConditionalAccumulator(tf.float32, reduction_type="MAX")


def test_many_workers_and_one_taker():
    workers, steps = 8, 25
    accumulator = tf.ConditionalAccumulator(tf.float64, shape=[100], reduction_type="SUM")
    step = tf.placeholder(tf.int64, [])
    add = accumulator.apply_grad(tf.ones([100], tf.float64), step)
    take = accumulator.take_grad(workers)
    barrier = threading.Barrier(workers + 1)
    with tf.Session() as session:

        def work():
            run = session.make_callable(add, [step])
            for i in range(steps):
                run(i)
                barrier.wait(60)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for _ in range(steps):
            assert (session.run(take, options=tf.RunOptions(timeout_in_ms=60_000)) == workers).all()
            barrier.wait(60)
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
