"""Pieces of arrays by position, by index and by value."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

rng = np.random.default_rng(11)
ANY = ("float32", "float64", "float16", "bfloat16", "int64", "uint8", "complex128")
REAL = ("float32", "float64", "bfloat16", "int32")
i32 = lambda *values: np.array(values, np.int32)  # noqa: E731
i64 = lambda *values: np.array(values, np.int64)  # noqa: E731


def a(*shape):
    return np.asarray(rng.uniform(0.5, 3.0, size=shape))


def take(x, begin, end, strides, **masks):
    """What the index expression behind StridedSlice means to NumPy."""
    bits = {
        name: masks.get(f"{name}_mask", 0) for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    key = []
    for i in range(len(begin)):
        if bits["ellipsis"] >> i & 1:
            key.append(Ellipsis)
        elif bits["new_axis"] >> i & 1:
            key.append(None)
        elif bits["shrink_axis"] >> i & 1:
            key.append(int(begin[i]))
        else:
            key.append(
                slice(
                    None if bits["begin"] >> i & 1 else int(begin[i]),
                    None if bits["end"] >> i & 1 else int(end[i]),
                    int(strides[i]),
                )
            )
    return tuple(key)


def strided_slice(x, begin, end, strides, **masks):
    return x[take(x, begin, end, strides, **masks)]


def strided_slice_grad(shape, begin, end, strides, dy, **masks):
    made = np.zeros(shape, dy.dtype)
    made[take(made, begin, end, strides, **masks)] = dy
    return made


def strided_slice_update(x, begin, end, strides, value, **masks):
    made = x.copy()
    made[take(made, begin, end, strides, **masks)] = value
    return made


def reverse_sequence(x, lengths, seq_dim, batch_dim=0):
    made = x.copy()
    for b, length in enumerate(lengths):
        key = [slice(None)] * x.ndim
        key[batch_dim] = slice(b, b + 1)
        key[seq_dim] = slice(0, length)
        made[tuple(key)] = np.flip(x[tuple(key)], seq_dim)
    return made


def gather_v2(params, indices, axis, batch_dims=0):
    axis = int(axis) % params.ndim
    if batch_dims < 0:
        batch_dims += indices.ndim
    if batch_dims == 0:
        return np.take(params, indices, axis)
    return np.stack([gather_v2(p, i, axis - 1, batch_dims - 1) for p, i in zip(params, indices)])


def gather_nd(params, indices):
    return params[tuple(np.moveaxis(indices, -1, 0))]


def scatter_nd(indices, updates, shape):
    made = np.zeros(shape, updates.dtype)
    np.add.at(made, tuple(np.moveaxis(indices, -1, 0)), updates)
    return made


def scatter(how):
    def reference(tensor, indices, updates):
        made = tensor.copy()
        key = tuple(np.moveaxis(indices, -1, 0))
        if how is None:
            made[key] = updates
        else:
            how.at(made, key, updates)
        return made

    return reference


def unique(x, out_idx=tf.int32, counts=False, axis=0):
    keys = [tuple(np.ravel(row).tolist()) for row in np.moveaxis(x, axis, 0)]
    seen = list(dict.fromkeys(keys))
    index = tf.as_dtype(out_idx).as_numpy_dtype
    y = np.take(x, [keys.index(key) for key in seen], axis) if seen else np.take(x, np.zeros(0, int), axis)
    result = [y, np.array([seen.index(key) for key in keys], index)]
    return [*result, np.array([keys.count(key) for key in seen], index)] if counts else result


def list_diff(x, y, out_idx=tf.int32):
    kept = [i for i, value in enumerate(x) if value not in y]
    return [x[kept], np.array(kept, tf.as_dtype(out_idx).as_numpy_dtype)]


def bound(side):
    def reference(rows, values, out_type=tf.int32):
        found = [np.searchsorted(r, v, side) for r, v in zip(rows, values)]
        return np.array(found, tf.as_dtype(out_type).as_numpy_dtype).reshape(values.shape)

    return reference


def dynamic_partition(data, partitions, num_partitions):
    return [data[partitions == i] for i in range(num_partitions)]


def dynamic_stitch(indices, data):
    size = max((int(i.max()) + 1 for i in indices if i.size), default=0)
    merged = np.zeros((size, *data[0].shape[indices[0].ndim :]), data[0].dtype)
    for place, values in zip(indices, data):
        for at in np.ndindex(place.shape):
            merged[place[at]] = values[at]
    return merged


def stitched(op):
    return OpRecord(
        op,
        [
            Case(([i32(0, 2), i32(1, 3)], [a(2, 3), a(2, 3)])),
            Case(([np.int32(1), i32(0, 2)], [a(4), a(2, 4)])),
            Case(([i32(0, 1), i32(1)], [a(2), a(1)]), name="repeated"),
            Case(([np.zeros(0, np.int32)], [a(0, 2)])),
        ],
        dynamic_stitch,
        dtypes=ANY,
        differentiable=(1,),
        data_dependent=True,
        bad=[
            Bad(([i32(-1)], [a(1)]), match="negative", when="run"),
            Bad(([i32(0, 1)], [a(3)]), match="begins"),
            Bad(([i32(0), i32(1)], [a(1, 2), a(1, 3)]), match="all must be the same"),
        ],
    )


def scattered(op, how, dtypes):
    return OpRecord(
        op,
        [
            Case((a(5), [[1], [3]], a(2))),
            Case((a(3, 2), np.array([[2], [0]], np.int64), a(2, 2))),
            Case((a(2, 3), [[0, 1], [1, 2]], a(2))),
            Case((a(4), [[1], [2], [1]], a(3)), name="repeated"),
            Case((a(4), np.zeros((0, 1), np.int32), a(0))),
            Case((a(2, 2), np.zeros((0, 1), np.int32), a(0, 2))),
        ],
        scatter(how),
        dtypes=dtypes,
        differentiable=(0, 2),
        bad=[
            Bad((a(3), [[3]], a(1)), match="does not point into", when="run"),
            Bad((a(3), [[0]], a(2)), match="expected"),
            Bad((a(3), [[0, 0]], a(1)), match="at most one"),
        ],
    )


RECORDS = [
    OpRecord(
        "Split",
        [
            Case((0, a(4, 3)), {"num_split": 2}),
            Case((1, a(4, 3)), {"num_split": 3}),
            Case((-1, a(2, 2, 4)), {"num_split": 2}),
            Case((0, a(0, 2)), {"num_split": 2}),
        ],
        lambda axis, x, num_split: np.split(x, num_split, int(axis)),
        dtypes=ANY,
        differentiable=(1,),
        bad=[
            Bad((0, a(3)), {"num_split": 2}, match="does not divide"),
            Bad((1, a(3)), {"num_split": 1}, match="axis 1 is out of range"),
        ],
    ),
    OpRecord(
        "SplitV",
        [
            Case((a(4, 3), i32(1, 3), 0), {"num_split": 2}),
            Case((a(4, 3), i64(1, -1, 1), -1), {"num_split": 3}),
            Case((a(0, 2), i32(0, 0), 0), {"num_split": 2}),
        ],
        lambda x, sizes, axis, num_split: np.split(
            x, np.cumsum(np.where(sizes < 0, x.shape[axis] - sizes.sum() - 1, sizes))[:-1], int(axis)
        ),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(4), i32(1, 2), 0), {"num_split": 2}, match="add up to 3"),
            Bad((a(4), i32(-1, -1), 0), {"num_split": 2}, match="only one"),
            Bad((a(4), i32(4), 0), {"num_split": 2}, match="one for each"),
        ],
    ),
    OpRecord(
        "Slice",
        [
            Case((a(4, 5), [1, 2], [2, 3])),
            Case((a(4, 5), [1, 0], i32(-1, 2))),
            Case((a(4, 5), i64(0, 0), i64(4, 5))),
            Case((a(2, 3, 4), [0, 1, 2], [2, 1, 2])),
            Case((a(), np.zeros(0, np.int32), np.zeros(0, np.int32))),
            Case((a(3), [3], [0])),
            Case((a(0, 3), [0, 1], [0, 2])),
        ],
        lambda x, begin, size: x[tuple(slice(b, None if s < 0 else b + s) for b, s in zip(begin, size))],
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(4), [2], [3]), match="goes beyond"),
            Bad((a(4), [-1], [2]), match="goes beyond"),
            Bad((a(4), [0], [-2]), match="cannot be -2"),
            Bad((a(4), [0, 0], [1, 1]), match="one for each dimension"),
        ],
    ),
    OpRecord(
        "StridedSlice",
        [
            Case((a(4, 5), [1, 0], [3, 5], [1, 2])),
            Case((a(4, 5), [3, 4], [-5, -6], [-1, -2])),
            Case((a(4, 5), i64(1), i64(0), i64(1)), {"shrink_axis_mask": 1}),
            Case((a(4, 5), [1, 2], [0, 0], [1, 1]), {"shrink_axis_mask": 3}),
            Case((a(4, 5), [9, 1], [9, 9], [-3, 3]), {"begin_mask": 1, "end_mask": 3}),
            Case((a(2, 3, 4), [0, 0, 1], [0, 0, 3], [1, 1, 1]), {"ellipsis_mask": 1, "new_axis_mask": 2}),
            Case((a(2, 3, 4), [1, 0, -1], [0, 0, 0], [1, 1, 1]), {"ellipsis_mask": 2, "shrink_axis_mask": 5}),
            Case((a(3), [2], [1], [1])),
            Case((a(0, 3), [0, 0], [5, 2], [1, 1])),
        ],
        strided_slice,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(4), [4], [5], [1]), {"shrink_axis_mask": 1}, match="index 4 is out of range"),
            Bad((a(4), [0], [4], [0]), match="stride of index 0 is 0"),
            Bad((a(4), [0, 0], [1, 1], [1, 1]), match="too many indices"),
            Bad((a(4), [0, 0], [0, 0], [1, 1]), {"ellipsis_mask": 3}, match="one ellipsis"),
            Bad((a(4), [0], [1, 1], [1]), match="one each|begin, end"),
        ],
    ),
    OpRecord(
        "StridedSliceGrad",
        [
            Case(([4, 5], [1, 0], [3, 5], [1, 2], a(2, 3))),
            Case(([4, 5], [1, 1], [3, 4], [1, 1], a(2, 3))),
            Case((i64(4, 5), i64(3, 4), i64(-5, -6), i64(-1, -2), a(4, 3))),
            Case(([4, 5], i32(1), i32(0), i32(1), a(5)), {"shrink_axis_mask": 1}),
            Case(([3], [2], [1], [1], a(0))),
        ],
        strided_slice_grad,
        dtypes=ANY,
        differentiable=(4,),
        bad=[Bad(([4], [0], [2], [1], a(3)), match="the slice has")],
    ),
    OpRecord(
        "TensorStridedSliceUpdate",
        [
            Case((a(4, 5), [1, 0], [3, 5], [1, 2], a(2, 3))),
            Case((a(4, 5), i32(1), i32(0), i32(1), a(5)), {"shrink_axis_mask": 1}),
            Case((a(3), [2], [1], [1], a(0))),
        ],
        strided_slice_update,
        dtypes=ANY,
        differentiable=(0, 4),
        bad=[Bad((a(4), [0], [2], [1], a(3)), match="is expected", when="run")],
    ),
    OpRecord(
        "Reverse",
        [Case((a(2, 3), [True, False])), Case((a(3), [True])), Case((a(2, 0), [False, True]))],
        lambda x, flags: np.flip(x, tuple(np.flatnonzero(flags))),
        dtypes=("float32", "float64", "uint8"),
        differentiable=(0,),
        bad=[Bad((a(2), [True, False]), match="one for each dimension")],
    ),
    OpRecord(
        "ReverseV2",
        [
            Case((a(2, 3), [1])),
            Case((a(2, 3, 4), i64(0, -1))),
            Case((a(2), np.zeros(0, np.int32))),
            Case((a(2, 0), [0])),
        ],
        lambda x, axis: np.flip(x, tuple(axis)),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2), [1]), match="axis 1 is out of range"),
            Bad((a(2, 2), [1, -1]), match="named twice"),
        ],
    ),
    OpRecord(
        "Roll",
        [
            Case((a(5), 2, 0)),
            Case((a(3, 4), [1, -6], [0, 1])),
            Case((a(2, 3, 4), i64(2, 3, 1), i64(-1, 0, 2))),
            Case((a(2, 0), 1, 1)),
        ],
        lambda x, shift, axis: np.roll(x, tuple(np.atleast_1d(shift)), tuple(np.atleast_1d(axis))),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(3), 1, 1), match="axis 1 is out of range"),
            Bad((a(3), [1, 2], [0]), match="shifts"),
        ],
    ),
    OpRecord(
        "ReverseSequence",
        [
            Case((a(2, 4), i64(2, 3)), {"seq_dim": 1}),
            Case((a(3, 2, 2), [3, 0]), {"seq_dim": 0, "batch_dim": 1}),
            Case((a(0, 3), np.zeros(0, np.int64)), {"seq_dim": 1}),
        ],
        reverse_sequence,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2, 3), i64(1, 4)), {"seq_dim": 1}, match=r"not in \[0, 3\]", when="run"),
            Bad((a(2, 3), i64(1, 1)), {"seq_dim": 0}, match="cannot both"),
            Bad((a(2, 3), i64(1, 1, 1)), {"seq_dim": 1}, match="must agree"),
        ],
    ),
    OpRecord(
        "UnravelIndex",
        [Case(([0, 5, 3], [2, 3])), Case((4, [2, 3])), Case((np.zeros(0, np.int32), [2]))],
        lambda indices, dims: np.array(np.unravel_index(indices, dims)).astype(indices.dtype),
        dtypes=("int32", "int64"),
        bad=[Bad(([6], [2, 3]), match="index 6", when="run")],
    ),
    OpRecord(
        "Gather",
        [
            Case((a(4, 3), [2, 0, 2])),
            Case((a(4), np.array([[1], [3]], np.int64))),
            Case((a(4), np.zeros(0, np.int32))),
        ],
        lambda x, indices: x[indices],
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(4), [4]), match=r"index 4 .*not in \[0, 4\)|index 4 is not in", when="run")],
    ),
    OpRecord(
        "GatherV2",
        [
            Case((a(4, 3), [2, 0, 2], 0)),
            Case((a(4, 3), 1, 1)),
            Case((a(2, 3, 4), np.array([[1, 0], [3, 3]], np.int64), i64(-1)[0])),
            Case((a(2, 3, 4), [2, 0], 1)),
            Case((a(2, 3, 4), [[2, 0], [1, 1]], 1), {"batch_dims": 1}),
            Case((a(2, 3, 4), [[2, 0], [1, 3]], 2), {"batch_dims": -1}),
            Case((a(2, 3, 2), rng.integers(0, 2, (2, 3, 5)).astype(np.int32), 2), {"batch_dims": 2}),
            Case((a(2, 3), np.zeros(0, np.int32), 0)),
            Case((a(2, 3), np.zeros((2, 0), np.int32), 1)),
            Case((a(2, 0), [1], 0)),
        ],
        gather_v2,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(4), [4], 0), match="index 4", when="run"),
            Bad((a(4), [-1], 0), match="index -1", when="run"),
            Bad((a(4), [0], 1), match="axis 1 is out of range"),
            Bad((a(4, 3), [0, 0], 0), {"batch_dims": 1}, match="must not be greater"),
            Bad((a(4, 3), [0, 0], 1), {"batch_dims": 1}, match="must agree"),
        ],
    ),
    OpRecord(
        "GatherNd",
        [
            Case((a(4), [[1], [3]])),
            Case((a(3, 2), [[2], [0], [2]])),
            Case((a(3, 2), np.array([[[2, 0]], [[1, 1]]], np.int64))),
            Case((a(3, 2), [2, 1])),
            Case((a(3), np.zeros((0, 1), np.int32))),
        ],
        gather_nd,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(3, 2), [[0, 2]]), match=r"\(0, 2\).* does not point into", when="run"),
            Bad((a(3), [[0, 0]]), match="at most one"),
        ],
    ),
    OpRecord(
        "ScatterNd",
        [
            Case(([[1], [3]], a(2), [5])),
            Case((np.array([[2], [0]], np.int64), a(2, 2), i64(3, 2))),
            Case(([[0, 1], [0, 1]], a(2), [2, 3]), name="repeated"),
            Case((np.zeros((0, 1), np.int32), a(0), [2])),
        ],
        scatter_nd,
        dtypes=("float32", "float64", "int64", "uint8", "complex128"),
        differentiable=(1,),
        bad=[
            Bad(([[5]], a(1), [5]), match="does not point into", when="run"),
            Bad(([[0]], a(2), [5]), match="expected"),
        ],
    ),
    scattered("TensorScatterUpdate", None, ANY),
    scattered("TensorScatterAdd", np.add, ("float32", "float64", "int64", "complex128")),
    scattered("TensorScatterSub", np.subtract, ("float32", "float64", "int64", "complex128")),
    OpRecord(
        "Where",
        [
            Case(([True, False, True],), dtypes=("bool",)),
            Case((np.array([[0.0, 2.0], [np.nan, 0.0]]),), dtypes=("float32", "float16")),
            Case((np.array([[0, 2], [3, 0]]),)),
            Case((np.array(1),)),
            Case((np.zeros((0, 2)),)),
        ],
        lambda x: np.argwhere(x),
        dtypes=("bool", "float32", "float16", "int64"),
        data_dependent=True,
    ),
    OpRecord(
        "Unique",
        [Case(([3, 1, 3, 2, 1],)), Case(([3, 1, 3],), {"out_idx": tf.int64}), Case((np.zeros(0),))],
        unique,
        dtypes=REAL,
        data_dependent=True,
        bad=[Bad((a(2, 2),), match="rank 1")],
    ),
    OpRecord(
        "UniqueWithCounts",
        [Case(([3, 1, 3, 2, 1],)), Case(([3, 1, 3],), {"out_idx": tf.int64}), Case((np.zeros(0),))],
        lambda x, out_idx=tf.int32: unique(x, out_idx, counts=True),
        dtypes=REAL,
        data_dependent=True,
    ),
    OpRecord(
        "UniqueV2",
        [
            Case((np.array([[1, 2], [3, 4], [1, 2]]), [0])),
            Case((np.array([[1, 1, 2], [3, 3, 4]]), i64(-1))),
            Case(([2, 1, 2], np.zeros(0, np.int64))),
            Case((np.zeros(0), [0])),
        ],
        lambda x, axis: unique(x, axis=int(axis[0]) if len(axis) else 0),
        dtypes=REAL,
        data_dependent=True,
        bad=[Bad((a(2, 2), np.zeros(0, np.int64)), match="needs an axis")],
    ),
    OpRecord(
        "UniqueWithCountsV2",
        [Case((np.array([[1, 2], [3, 4], [1, 2]]), [0])), Case((np.zeros(0), [0]))],
        lambda x, axis: unique(x, axis=int(axis[0]), counts=True),
        dtypes=REAL,
        data_dependent=True,
    ),
    OpRecord(
        "ListDiff",
        [Case(([3, 1, 2, 3], [1, 5])), Case(([3, 1], [9]), {"out_idx": tf.int64}), Case((np.zeros(0), [1]))],
        list_diff,
        dtypes=REAL,
        data_dependent=True,
        bad=[Bad((a(2, 2), a(2)), match="rank 1")],
    ),
    *[
        OpRecord(
            op,
            [
                Case((np.array([[1, 2, 2, 5], [0, 1, 2, 3]]), np.array([[0, 2, 9], [3, 1, -1]]))),
                Case((np.array([[1, 2]]), np.array([[2]])), {"out_type": tf.int64}),
                Case((np.zeros((2, 0)), np.array([[1], [2]]))),
            ],
            bound(side),
            dtypes=REAL,
            bad=[Bad((a(1, 2), a(2, 2)), match="as many")],
        )
        for op, side in (("LowerBound", "left"), ("UpperBound", "right"))
    ],
    OpRecord(
        "DynamicPartition",
        [
            Case((a(4, 2), [0, 2, 0, 2]), {"num_partitions": 3}),
            Case((a(2, 2), [[1, 0], [0, 0]]), {"num_partitions": 2}),
            Case((a(0), np.zeros(0, np.int32)), {"num_partitions": 2}),
        ],
        dynamic_partition,
        dtypes=ANY,
        differentiable=(0,),
        data_dependent=True,
        bad=[
            Bad((a(2), [0, 2]), {"num_partitions": 2}, match="partition 2", when="run"),
            Bad((a(2), [0, 0, 0]), {"num_partitions": 2}, match="begins"),
        ],
    ),
    stitched("DynamicStitch"),
    stitched("ParallelDynamicStitch"),
]

run_records(globals(), RECORDS)


# ---- public functions


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor, feed=None):
    with tf.Session() as session:
        return session.run(tensor, feed)


def ph(*shape, dtype=tf.float32):
    return tf.placeholder(dtype, list(shape))


X = np.arange(60.0).reshape(3, 4, 5)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (1, 2),
        (1, 2, 3),
        slice(1, 3),
        slice(None, None, -1),
        slice(None, None, 2),
        (slice(1, None), slice(None, -1), slice(0, 5, 2)),
        Ellipsis,
        (Ellipsis, 0),
        (0, Ellipsis, slice(None, None, -2)),
        None,
        (None, 1, None, Ellipsis, None),
        (slice(5, 1), 0),
        (slice(-100, 100),),
        (),
        np.int64(2),
        (np.int32(1), slice(np.int64(1), np.int32(3))),
    ],
)
def test_getitem_is_numpys(key):
    for known in (True, False):
        x = tf.constant(X) if known else tf.placeholder(tf.float64, [None, None, None])
        got = x[key]
        assert got.shape.is_compatible_with(X[key].shape)
        np.testing.assert_array_equal(value(got, None if known else {x: X}), X[key])


def test_getitem_with_tensors():
    x = tf.constant(X)
    for dtype in (tf.int32, tf.int64):
        i = tf.placeholder(dtype, [])
        np.testing.assert_array_equal(value(x[i], {i: 2}), X[2])
        np.testing.assert_array_equal(value(x[1, i], {i: -1}), X[1, -1])
        np.testing.assert_array_equal(value(x[:, i:], {i: 3}), X[:, 3:])
        np.testing.assert_array_equal(value(x[i:2, ::-1], {i: 1}), X[1:2, ::-1])
        assert x[i].shape.as_list() == [4, 5]
    with pytest.raises(errors.InvalidArgumentError, match="out of range"):
        value(x[i], {i: 3})


def test_getitem_with_a_mask():
    x = tf.constant(X)
    mask = X[:, :, 0] > 20
    np.testing.assert_array_equal(value(x[mask]), X[mask])
    np.testing.assert_array_equal(value(x[x > 20.0]), X[X > 20])


def test_getitem_refuses_what_is_no_index():
    x = tf.constant(X)
    for key in (1.5, "a", np.array([1, 2]), tf.constant([1, 2]), slice(0.5, 2), tf.constant(1.0)):
        with pytest.raises(TypeError, match="an index must be"):
            x[key]
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="out of range"):
        x[3]
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="too many"):
        x[0, 0, 0, 0]


def test_names_of_slices(graph):
    ph(4)[1:3]
    assert [f"{op.name}:{op.type}" for op in graph.get_operations()][1:] == [
        "strided_slice/stack:Const",
        "strided_slice/stack_1:Const",
        "strided_slice/stack_2:Const",
        "strided_slice:StridedSlice",
    ]


def test_strided_slice_has_strides_of_one():
    np.testing.assert_array_equal(value(tf.strided_slice(X, [0, 1], [2, 3])), X[:2, 1:3])
    np.testing.assert_array_equal(value(tf.slice(X, [1, 0, 2], [1, -1, 2])), X[1:2, :, 2:4])


def test_gather():
    np.testing.assert_array_equal(value(tf.gather(X, [2, 0])), X[[2, 0]])
    np.testing.assert_array_equal(value(tf.gather(X, [2, 0], axis=1)), X[:, [2, 0]])
    indices = np.array([[0, 1], [3, 3], [2, 0]])
    expected = np.stack([x[i] for x, i in zip(X, indices)])
    np.testing.assert_array_equal(value(tf.gather(X, indices, batch_dims=1)), expected)
    np.testing.assert_array_equal(value(tf.batch_gather(X, indices)), expected)
    vectors = indices[:, :, None]
    np.testing.assert_array_equal(value(tf.gather_nd(X, vectors, batch_dims=1)), expected)
    np.testing.assert_array_equal(value(tf.gather_nd(X, [[0, 1], [2, 3]])), X[[0, 2], [1, 3]])


def test_gradient_of_gather_is_sparse():
    x = tf.constant(X)
    (grad,) = tf.gradients(tf.gather(x, [[2, 0], [2, 2]]), x)
    assert isinstance(grad, tf.IndexedSlices)
    dense = value(tf.convert_to_tensor(grad))
    assert dense[:, 0, 0].tolist() == [1.0, 0.0, 3.0]


def test_where():
    condition = np.array([True, False, True])
    assert value(tf.where(condition)).tolist() == [[0], [2]]
    assert value(tf.where(condition, [1, 2, 3], [4, 5, 6])).tolist() == [1, 5, 3]
    rows = value(tf.where(condition, np.ones((3, 2)), np.zeros((3, 2))))
    assert rows.tolist() == [[1, 1], [0, 0], [1, 1]]
    words = value(tf.where_v2(condition, "a", [["b"], ["c"]]))
    assert words.tolist() == [[b"a", b"b", b"a"], [b"a", b"c", b"a"]]
    assert value(tf.where_v2(condition, 1, [[0], [5]])).tolist() == [[1, 0, 1], [1, 5, 1]]
    with pytest.raises(ValueError, match="both"):
        tf.where(condition, [1, 2, 3])


def test_boolean_mask():
    for shape, axis in (((3,), 0), ((3, 4), 0), ((4,), 1), ((4, 5), 1), ((5,), -1), ((3, 4, 5), 0)):
        mask = rng.uniform(size=shape) < 0.5
        first = axis % 3
        merged = X.reshape(*X.shape[:first], -1, *X.shape[first + mask.ndim :])
        expected = np.compress(mask.ravel(), merged, first)
        made = tf.boolean_mask(X, mask, axis=axis)
        assert made.shape.as_list()[first] is None
        np.testing.assert_array_equal(value(made), expected)
    x, mask = tf.placeholder(tf.float64, [None, 4]), tf.placeholder(tf.bool, [None])
    got = value(tf.boolean_mask(x, mask), {x: X[:, :, 0], mask: [True, False, True]})
    np.testing.assert_array_equal(got, X[[0, 2], :, 0])
    with pytest.raises(ValueError, match="scalar"):
        tf.boolean_mask(X, True)
    with pytest.raises(ValueError, match="rank of the mask"):
        tf.boolean_mask(X, tf.placeholder(tf.bool))
    with pytest.raises(ValueError, match="shape"):
        tf.boolean_mask(X, [True, False])


def test_what_follows_a_shape_that_depends_on_data():
    x = ph(None)
    kept = tf.boolean_mask(x, x > 0.0)
    total = tf.reduce_sum(tf.reshape(kept, [-1, 1]) * 2.0)
    grad = tf.convert_to_tensor(tf.gradients(total, x)[0])
    assert value([total, grad], {x: [1.0, -1.0, 3.0]})[1].tolist() == [2.0, 0.0, 2.0]
    assert value(total, {x: [-1.0]}) == 0.0


def test_unique_and_setdiff():
    y, idx = tf.unique(["b", "a", "b"])
    assert [v.tolist() for v in value([y, idx])] == [[b"b", b"a"], [0, 1, 0]]
    made = tf.unique_with_counts([4, 4, 1])
    assert made._fields == ("y", "idx", "count")
    assert value(made.count).tolist() == [2, 1]
    assert value(tf.setdiff1d([1, 2, 3], [2]).out).tolist() == [1, 3]


def test_searchsorted():
    rows = np.sort(rng.integers(0, 9, (2, 3, 6)))
    values = rng.integers(0, 9, (2, 3, 4))
    for side in ("left", "right"):
        expected = [[np.searchsorted(r, v, side) for r, v in zip(*two)] for two in zip(rows, values)]
        np.testing.assert_array_equal(value(tf.searchsorted(rows, values, side)), expected)
    with pytest.raises(ValueError, match="side"):
        tf.searchsorted([1], [1], "middle")


def test_scatters():
    assert value(tf.scatter_nd([[1], [1]], [2.0, 3.0], [3])).tolist() == [0.0, 5.0, 0.0]
    x = tf.constant([1.0, 2.0])
    assert value(tf.tensor_scatter_update(x, [[1]], [5.0])).tolist() == [1.0, 5.0]
    assert value(tf.tensor_scatter_add(x, [[1], [1]], [5.0, 1.0])).tolist() == [1.0, 8.0]
    assert value(tf.tensor_scatter_sub(x, [[0]], [5.0])).tolist() == [-4.0, 2.0]
    assert value(x).tolist() == [1.0, 2.0]


def test_partition_and_stitch_are_inverse():
    x = tf.constant(X)
    parts = [0, 1, 0]
    places = tf.dynamic_partition(tf.range(3), parts, 2)
    back = tf.dynamic_stitch(places, tf.dynamic_partition(x, parts, 2))
    np.testing.assert_array_equal(value(back), X)
    assert tf.dynamic_stitch([[0, 2], [1]], [[1, 2], [3]]).shape.as_list() == [3]


def test_reversals_and_rolls():
    np.testing.assert_array_equal(value(tf.roll(X, [1, 2], [0, 2])), np.roll(X, (1, 2), (0, 2)))
    np.testing.assert_array_equal(value(tf.reverse(X, [0, 2])), X[::-1, :, ::-1])
    got = value(tf.reverse_sequence(X[0], [1, 2, 3, 5], seq_axis=1, batch_axis=0))
    assert got[2].tolist() == [12.0, 11.0, 10.0, 13.0, 14.0]
    with pytest.raises(ValueError, match="seq_axis"):
        tf.reverse_sequence(X, [1])


def test_strings_are_sliced_like_numbers():
    x = np.array([[b"a", b"b"], [b"c", b"d"]], dtype=object)
    assert value(tf.constant(x)[:, 0]).tolist() == [b"a", b"c"]
    assert value(tf.gather(x, [1, 1])).tolist() == x[[1, 1]].tolist()
    assert value(tf.gather_nd(x, [[1, 0]])).tolist() == [b"c"]
    assert value(tf.reverse(x, [0])).tolist() == x[::-1].tolist()
    assert value(tf.boolean_mask(x, [False, True])).tolist() == [[b"c", b"d"]]
    assert value(raw.TensorScatterUpdate(x, [[0, 0]], ["z"])).tolist() == [[b"z", b"b"], [b"c", b"d"]]
    parts = value(tf.dynamic_partition(x, [1, 0], 2))
    assert parts[0].tolist() == [[b"c", b"d"]]
