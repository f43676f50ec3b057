import time

import numpy as np
import pytest

import headrace as tf
from headrace import testing
from headrace.framework import raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

ROWS = np.array([[1.0, -2.0], [3.5, 0.5], [4.0, 1.0]])


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def run(fetches, feeds=None):
    with tf.Session() as session:
        return session.run(fetches, feeds)


def test_write_and_stack():
    array = tf.TensorArray(tf.float32, size=3)
    for i in (2, 0, 1):
        array = array.write(i, [i, 2.0 * i])
    assert array.element_shape == [2]
    stacked = array.stack()
    assert stacked.shape == [3, 2]
    np.testing.assert_array_equal(run(stacked), [[0, 0], [1, 2], [2, 4]])
    values = run([array.read(1), array.gather([2, 0]), array.size(), array.concat()])
    np.testing.assert_array_equal(values[0], [1, 2])
    np.testing.assert_array_equal(values[1], [[2, 4], [0, 0]])
    assert values[2] == 3
    np.testing.assert_array_equal(values[3], [0, 0, 1, 2, 2, 4])
    assert array.concat().shape == [6]


def test_unstack_scatter_split():
    empty = tf.TensorArray(tf.float64, size=3)
    np.testing.assert_array_equal(run(empty.unstack(ROWS).read(1)), ROWS[1])
    np.testing.assert_array_equal(run(empty.scatter([1, 2, 0], ROWS).stack()), ROWS[[2, 0, 1]])
    pieces = tf.TensorArray(tf.float64, size=2, infer_shape=False).split(ROWS, [1, 2])
    np.testing.assert_array_equal(run(pieces.read(1)), ROWS[1:])
    np.testing.assert_array_equal(run(pieces.concat()), ROWS)
    # An array that is longer than what is unstacked keeps its length.
    longer = tf.TensorArray(tf.float64, size=4).unstack(ROWS)
    np.testing.assert_array_equal(run(longer.stack()), [*ROWS, [0, 0]])


def test_dynamic_size():
    array = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
    array = array.write(3, 7)
    assert run(array.size()) == 4
    np.testing.assert_array_equal(run(array.stack()), [0, 0, 0, 7])
    np.testing.assert_array_equal(run(array.scatter([5], [8]).stack()), [0, 0, 0, 7, 0, 8])

    def body(i, array):
        return i + 1, array.write(i, i * i)

    _, squares = tf.while_loop(lambda i, _: i < 5, body, [0, tf.TensorArray(tf.int32, 0, dynamic_size=True)])
    np.testing.assert_array_equal(run(squares.stack()), [0, 1, 4, 9, 16])


@pytest.mark.parametrize(
    "wrong,error",
    [
        (lambda a: tf.TensorArray(tf.float32), ValueError),
        (lambda a: tf.TensorArray(tf.float32, size=1, flow=a.flow), ValueError),
        (lambda a: a.write(0, tf.constant(1)), TypeError),
        (lambda a: a.write(0, 1.0).write(1, [1.0]), ValueError),
        (lambda a: a.unstack(1.0), ValueError),
        (lambda a: run(a.write(2, 1.0).stack()), tf.errors.InvalidArgumentError),
        (lambda a: run(a.write(-1, 1.0).stack()), tf.errors.InvalidArgumentError),
        (lambda a: run(a.read(0)), tf.errors.InvalidArgumentError),
        (lambda a: run(a.unstack([1.0, 2.0, 3.0]).stack()), tf.errors.InvalidArgumentError),
    ],
)
def test_misuse(wrong, error):
    with pytest.raises(error):
        wrong(tf.TensorArray(tf.float32, size=2))


def test_static_shapes_after_a_loop():
    def body(i, array):
        return i + 1, array.write(i, tf.zeros([2, 3]))

    _, array = tf.while_loop(lambda i, _: i < 4, body, [0, tf.TensorArray(tf.float32, 4)])
    assert array.stack().shape == [4, 2, 3]
    assert array.read(0).shape == [2, 3]


def test_as_a_branch():
    array = tf.TensorArray(tf.float32, 2).unstack([1.0, 2.0])
    flag = tf.placeholder(tf.bool, [])
    chosen = tf.cond(flag, lambda: array.write(0, 5.0), lambda: array)
    np.testing.assert_array_equal(run(chosen.stack(), {flag: True}), [5, 2])
    np.testing.assert_array_equal(run(chosen.stack(), {flag: False}), [1, 2])


# ---- gradients


def loop(x):
    """Every element read and written in a loop, some twice."""
    rows = tf.TensorArray(x.dtype, 3).unstack(x)

    def body(i, total, array):
        total = tf.tanh(total + rows.read(i) * rows.read(0))
        return i + 1, total, array.write(2 - i, total * rows.read(i))

    start = (0, tf.zeros([2], x.dtype), tf.TensorArray(x.dtype, 3))
    _, total, array = tf.while_loop(lambda i, *_: i < 3, body, start)
    return tf.reduce_sum(array.stack(), 0) * total


@pytest.mark.parametrize(
    "function",
    [
        loop,
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).unstack(x).gather([2, 0, 2])),
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).scatter([2, 0, 1], x).read(0)),
        lambda x: tf.square(tf.TensorArray(x.dtype, 3).scatter([2, 0, 2], x).read(2)),
        lambda x: tf.square(tf.TensorArray(x.dtype, 2, infer_shape=False).split(x, [1, 2]).concat()),
        lambda x: tf.TensorArray(x.dtype, 2).write(0, x[0] * x[1]).write(1, x[2] * x[2]).stack(),
        lambda x: tf.square(tf.TensorArray(x.dtype, 2).write(0, x[0]).write(0, x[1]).write(1, x[2]).stack()),
    ],
    ids=["loop", "gather", "scatter", "scatter_same", "split", "write", "overwrite"],
)
def test_gradients(function):
    testing.verify_grad(function, [ROWS / 3], order=2, rtol=1e-5, atol=1e-5)


def seconds_to_write(count):
    with tf.Graph().as_default(), tf.Session() as session:
        array = tf.TensorArray(tf.int32, size=0, dynamic_size=True, element_shape=[])
        n = tf.placeholder(tf.int32, [])
        _, array = tf.while_loop(lambda i, _: i < n, lambda i, a: (i + 1, a.write(i, i)), [0, array])
        session.run(array.size(), {n: 10})
        start = time.perf_counter()
        assert session.run(array.size(), {n: count}) == count
        return time.perf_counter() - start


def test_writing_takes_linear_time():
    seconds_to_write(1000)
    assert seconds_to_write(100_000) < 40 * min(seconds_to_write(10_000) for _ in range(3))


# ---- arrays as resources: operations of imported graphs

CASES = [Case((ROWS,)), Case((np.zeros((0, 2)),)), Case((np.zeros((3, 0)),))]


def array_of(rows, name=None, width=2, **attrs):
    """An array with the rows of a tensor, and its flow."""
    handle, flow = raw.TensorArrayV3(
        raw.Shape(rows)[0], dtype=rows.dtype, element_shape=[width], name=name, **attrs
    )
    return handle, raw.TensorArrayScatterV3(handle, tf.range(raw.Shape(rows)[0]), rows, flow)


def gathered(handle, flow, rows, name=None, **attrs):
    indices = tf.range(raw.TensorArraySizeV3(handle, flow))
    return raw.TensorArrayGatherV3(handle, indices, flow, dtype=rows.dtype, name=name, **attrs)


def make_array(rows):
    return gathered(*array_of(rows, "node"), rows)


def gradients_of(rows):
    handle, flow = array_of(rows)
    grads, after = raw.TensorArrayGradV3(handle, flow, source="once", name="node")
    indices = tf.range(raw.Shape(rows)[0])
    for _ in range(2):  # what is written twice is added up
        after = raw.TensorArrayScatterV3(grads, indices, rows, after)
    return gathered(grads, after, rows)


def gradients_beside_each_other(rows, count):
    handle, flow = array_of(rows)
    grads, after = raw.TensorArrayGradWithShape(handle, flow, [count], source="once", name="node")
    indices = tf.range(raw.Shape(rows)[0])
    for factor in (1, 2):  # what is written twice is added up
        several = tf.stack([factor * rows] * count, 1)
        after = raw.TensorArrayScatterV3(grads, indices, several, after)
    return raw.TensorArrayGatherV3(grads, indices, after, dtype=rows.dtype)


def write(rows, index, item):
    handle, flow = raw.TensorArrayV3(2, dtype=rows.dtype, element_shape=[2], dynamic_size=True)
    for at, value in ((0, rows[0]), (1, rows[1])):
        flow = raw.TensorArrayWriteV3(handle, at, value, flow)
    flow = raw.TensorArrayWriteV3(handle, index, item, flow, name="node")
    return gathered(handle, flow, rows)


def read(rows, index):
    handle, flow = array_of(rows, width=None)
    return raw.TensorArrayReadV3(handle, index, flow, dtype=rows.dtype, name="node")


def gather(rows, indices):
    handle, flow = array_of(rows, clear_after_read=False)
    return raw.TensorArrayGatherV3(handle, indices, flow, dtype=rows.dtype, element_shape=[2], name="node")


def scatter(rows, indices):
    handle, flow = raw.TensorArrayV3(3, dtype=rows.dtype)
    flow = raw.TensorArrayScatterV3(handle, indices, rows, flow, name="node")
    return raw.TensorArrayGatherV3(handle, indices, flow, dtype=rows.dtype)


def concat(rows, lengths):
    handle, flow = raw.TensorArrayV3(tf.size(lengths), dtype=rows.dtype)
    flow = raw.TensorArraySplitV3(handle, rows, lengths, flow)
    return raw.TensorArrayConcatV3(handle, flow, dtype=rows.dtype, name="node")


def split(rows, lengths):
    handle, flow = raw.TensorArrayV3(tf.size(lengths), dtype=rows.dtype)
    flow = raw.TensorArraySplitV3(handle, rows, lengths, flow, name="node")
    return raw.TensorArrayConcatV3(handle, flow, dtype=rows.dtype)


def size(rows):
    return raw.TensorArraySizeV3(*array_of(rows, width=None), name="node")


def close(rows):
    handle, flow = array_of(rows, width=None)
    with tf.control_dependencies([flow]):
        closed = raw.TensorArrayCloseV3(handle, name="node")
    with tf.control_dependencies([closed]):
        return raw.TensorArraySizeV3(handle, flow)


FREE = {"dtypes": ("float32", "float64", "bfloat16"), "data_dependent": True}
LENGTHS = np.array([2, 0, 1])

RECORDS = [
    OpRecord("TensorArrayV3", CASES[:2], lambda rows: rows, build=make_array, differentiable=(0,), **FREE),
    OpRecord(
        "TensorArrayGradV3",
        CASES[:2],
        lambda rows: rows + rows,
        build=gradients_of,
        differentiable=(0,),
        **FREE,
    ),
    OpRecord(
        "TensorArrayGradWithShape",
        [Case((ROWS,), {"count": 1}), Case((ROWS,), {"count": 3}), Case((np.zeros((0, 2)),), {"count": 2})],
        lambda rows, count: np.stack([3 * rows] * count, 1),
        build=gradients_beside_each_other,
        differentiable=(0,),
        **FREE,
    ),
    OpRecord(
        "TensorArrayWriteV3",
        [Case((ROWS, 2, np.array([5.0, 6.0])))],
        lambda rows, index, item: np.concatenate([rows[:2], item[None]]),
        build=write,
        differentiable=(0, 2),
        no_empty="the array has a first and a second row",
        bad=[
            Bad((ROWS, 1, np.array([5.0, 6.0])), match="element 1 has a value", when="run"),
            Bad((ROWS, -1, np.array([5.0, 6.0])), match="index -1 is out of range", when="run"),
            Bad((ROWS, 2, np.array([5.0])), match="does not go into", when="run"),
        ],
        **FREE,
    ),
    OpRecord(
        "TensorArrayReadV3",
        [Case((ROWS, 2)), Case((np.zeros((3, 0)), 0))],
        lambda rows, index: rows[index],
        build=read,
        differentiable=(0,),
        bad=[Bad((ROWS, 3), match="index 3 is out of range", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorArrayGatherV3",
        [Case((ROWS, [2, 0])), Case((ROWS, [1, 1])), Case((ROWS, np.zeros(0, np.int32)))],
        lambda rows, indices: rows[indices],
        build=gather,
        differentiable=(0,),
        bad=[Bad((ROWS, [3]), match="out of range", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorArrayScatterV3",
        [Case((ROWS, [2, 0, 1])), Case((np.zeros((2, 0)), [2, 0]))],
        lambda rows, indices: rows,
        build=scatter,
        differentiable=(0,),
        bad=[
            Bad((ROWS, [0, 1]), match="2 indices", when="run"),
            Bad((ROWS, [0, 1, 1]), match="element 1 has a value", when="run"),
        ],
        **FREE,
    ),
    OpRecord(
        "TensorArrayConcatV3",
        [Case((ROWS, LENGTHS)), Case((np.zeros((3, 0)), LENGTHS))],
        lambda rows, lengths: (rows, lengths),
        build=concat,
        differentiable=(0,),
        **FREE,
    ),
    OpRecord(
        "TensorArraySplitV3",
        [Case((ROWS, LENGTHS)), Case((np.zeros((3, 0)), LENGTHS))],
        lambda rows, lengths: (rows, lengths),
        build=split,
        differentiable=(0,),
        bad=[
            Bad((ROWS, np.array([1, 1])), match="add up to 2", when="run"),
            Bad((ROWS, np.array([4, -1])), match="-1 rows", when="run"),
        ],
        **FREE,
    ),
    OpRecord("TensorArraySizeV3", CASES, lambda rows: np.int32(len(rows)), build=size, **FREE),
    OpRecord("TensorArrayCloseV3", CASES, lambda rows: np.int32(0), build=close, **FREE),
]

run_records(globals(), RECORDS)


def test_resource_reading_once():
    handle, flow = raw.TensorArrayV3(1, dtype=tf.float32)
    flow = raw.TensorArrayWriteV3(handle, 0, 2.0, flow)
    once = raw.TensorArrayReadV3(handle, 0, flow, dtype=tf.float32)
    with tf.control_dependencies([once]):
        twice = raw.TensorArrayReadV3(handle, 0, flow, dtype=tf.float32)
    assert run(once) == 2
    with pytest.raises(tf.errors.InvalidArgumentError, match="clear_after_read"):
        run(twice)


def test_resource_gradients_that_nobody_wrote_are_zeros():
    handle, flow = raw.TensorArrayV3(2, dtype=tf.float32, element_shape=[3])
    grads, after = raw.TensorArrayGradV3(handle, flow, source="s")
    np.testing.assert_array_equal(run(raw.TensorArrayReadV3(grads, 1, after, dtype=tf.float32)), [0, 0, 0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="has no value"):
        run(raw.TensorArrayReadV3(handle, 1, flow, dtype=tf.float32))


def test_resource_sweeps_do_not_meet():
    x = tf.constant([[1.0], [2.0]])
    handle, flow = array_of(x, width=1)
    y = gathered(handle, flow, x)
    first, second = tf.gradients(y * y, x)[0], tf.gradients(3 * y, x)[0]
    values = run([first, second])
    np.testing.assert_array_equal(values[0], [[2], [4]])
    np.testing.assert_array_equal(values[1], [[3], [3]])


def test_resource_in_a_loop():
    def gradient(x):
        handle, flow = array_of(x)
        out, flow_out = raw.TensorArrayV3(3, dtype=tf.float64)

        def body(i, state, flow_out):
            state = tf.sin(state) + raw.TensorArrayReadV3(handle, i, flow, dtype=tf.float64)
            state.set_shape([2])
            return i + 1, state, raw.TensorArrayWriteV3(out, i, state * state, flow_out)

        _, _, flow_out = tf.while_loop(lambda i, *_: i < 3, body, [0, tf.zeros([2], tf.float64), flow_out])
        return raw.TensorArrayGatherV3(out, [0, 1, 2], flow_out, dtype=tf.float64)

    testing.verify_grad(gradient, [ROWS], order=2, rtol=1e-5, atol=1e-5)
