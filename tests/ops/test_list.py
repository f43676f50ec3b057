"""Lists of tensors. A list is no array: the records make one of an array's rows, and pack what comes out."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

ANY = np.int32(-1)
ROWS = np.array([[1.0, -2.0], [3.5, 0.5], [4.0, 1.0]])
EMPTY = np.zeros((0, 2))
ITEM = np.array([7.0, -8.0])


def list_of(rows, name=None):
    return raw.TensorListFromTensor(rows, ANY, name=name)


def packed(values, dtype, shape=ANY, **attrs):
    return raw.TensorListStack(values, shape, element_dtype=dtype, **attrs)


def from_tensor(rows):
    return packed(list_of(rows, "node"), rows.dtype)


def stack(rows, num_elements=-1):
    return packed(list_of(rows), rows.dtype, name="node", num_elements=num_elements)


def empty(item):
    values = raw.EmptyTensorList(ANY, ANY, element_dtype=item.dtype, name="node")
    return packed(raw.TensorListPushBack(values, item), item.dtype)


def reserve(item, count):
    values = raw.TensorListReserve(raw.Shape(item), count, element_dtype=item.dtype, name="node")
    return packed(values, item.dtype)


def push_back(rows, item):
    return packed(raw.TensorListPushBack(list_of(rows), item, name="node"), rows.dtype)


def pop_back(rows):
    left, item = raw.TensorListPopBack(list_of(rows), ANY, element_dtype=rows.dtype, name="node")
    return packed(left, rows.dtype, [2]), item


def get_item(rows, index):
    return raw.TensorListGetItem(list_of(rows), index, ANY, element_dtype=rows.dtype, name="node")


def set_item(rows, index, item, **attrs):
    return packed(raw.TensorListSetItem(list_of(rows), index, item, name="node", **attrs), rows.dtype)


def length(rows):
    return raw.TensorListLength(list_of(rows), name="node")


def resize(rows, size):
    return packed(raw.TensorListResize(list_of(rows), size, name="node"), rows.dtype, [2])


def element_shape(rows):
    return raw.TensorListElementShape(list_of(rows), shape_type=tf.int64, name="node")


def gather(rows, indices):
    return raw.TensorListGather(list_of(rows), indices, [2], element_dtype=rows.dtype, name="node")


def scatter(rows, indices, count):
    return packed(raw.TensorListScatterV2(rows, indices, ANY, count, name="node"), rows.dtype, [2])


def scatter_into(rows, more, indices):
    values = raw.TensorListScatterIntoExistingList(list_of(rows), more, indices, name="node")
    return packed(values, rows.dtype)


def split(whole, lengths):
    pieces = raw.TensorListSplit(whole, ANY, lengths, name="node")
    return raw.TensorListConcatV2(pieces, [-1, 2], np.zeros(0, np.int64), element_dtype=whole.dtype)


def concat(whole, lengths):
    pieces = raw.TensorListSplit(whole, ANY, lengths)
    return raw.TensorListConcatV2(
        pieces, [-1, 2], np.zeros(0, np.int64), element_dtype=whole.dtype, name="node"
    )


def with_rows(rows, indices, values):
    rows = rows.copy()
    rows[indices] = values
    return rows


def scattered(rows, indices, count):
    length = max([count, *(i + 1 for i in indices)])
    return with_rows(np.zeros((length, 2), rows.dtype), indices, rows)


DTYPES = ("float32", "float64", "bfloat16")
LENGTHS = np.array([2, 0, 1])
# What is packed out of a list has as many rows as the list has elements when it runs.
FREE = {"dtypes": DTYPES, "data_dependent": True}

RECORDS = [
    OpRecord(
        "EmptyTensorList",
        [Case((ITEM,)), Case((EMPTY,))],
        lambda item: item[None],
        build=empty,
        differentiable=(0,),
        **FREE,
    ),
    OpRecord(
        "TensorListReserve",
        [Case((ITEM, 3)), Case((EMPTY, 2))],
        lambda item, count: np.zeros((count, *item.shape), item.dtype),
        build=reserve,
        bad=[Bad((ITEM, -1), match="-1 elements", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListFromTensor",
        [Case((ROWS,)), Case((EMPTY,))],
        lambda rows: rows,
        build=from_tensor,
        differentiable=(0,),
        bad=[Bad((np.float32(1),), match="scalar", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListStack",
        [Case((ROWS,)), Case((ROWS,), {"num_elements": 3}), Case((EMPTY,))],
        lambda rows, num_elements=-1: rows,
        build=stack,
        differentiable=(0,),
        bad=[Bad((ROWS,), {"num_elements": 2}, match="has 3 elements, expected 2", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListPushBack",
        [Case((ROWS, ITEM)), Case((EMPTY, ITEM))],
        lambda rows, item: np.concatenate([rows, item[None]]),
        build=push_back,
        differentiable=(0, 1),
        bad=[Bad((ROWS, np.zeros(3)), match=r"shape \(3,\) does not go into", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListPopBack",
        [Case((ROWS,))],
        lambda rows: (rows[:-1], rows[-1]),
        build=pop_back,
        differentiable=(0,),
        bad=[Bad((EMPTY,), match="empty list", when="run")],
        no_empty="there has to be an element",
        **FREE,
    ),
    OpRecord(
        "TensorListGetItem",
        [Case((ROWS, 1)), Case((np.zeros((2, 0)), 0))],
        lambda rows, index: rows[index],
        build=get_item,
        differentiable=(0,),
        bad=[
            Bad((ROWS, 3), match="index 3 is out of range", when="run"),
            Bad((ROWS, -1), match="index -1 is out of range", when="run"),
        ],
        **FREE,
    ),
    OpRecord(
        "TensorListSetItem",
        [Case((ROWS, 1, ITEM)), Case((np.ones((2, 0)), 0, np.ones(0)))],
        lambda rows, index, item: with_rows(rows, index, item),
        build=set_item,
        differentiable=(0, 2),
        bad=[
            Bad((ROWS, 3, ITEM), match="index 3 is out of range", when="run"),
            Bad((ROWS, 0, np.zeros(3)), match=r"shape \(3,\) does not go into", when="run"),
        ],
        **FREE,
    ),
    OpRecord(
        "TensorListLength",
        [Case((ROWS,)), Case((EMPTY,))],
        lambda rows: np.int32(len(rows)),
        build=length,
    ),
    OpRecord(
        "TensorListResize",
        [Case((ROWS, 2)), Case((ROWS, 5)), Case((EMPTY, 1))],
        lambda rows, size: (
            np.concatenate([rows, np.zeros((9, 2))])[:size].astype(rows.dtype)
            if size > len(rows)
            else rows[:size]
        ),
        build=resize,
        differentiable=(0,),
        bad=[Bad((ROWS, -1), match="-1 elements", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListElementShape",
        [Case((ROWS,)), Case((np.zeros((2, 0, 3)),))],
        lambda rows: np.array(rows.shape[1:]),
        build=element_shape,
        **FREE,
    ),
    OpRecord(
        "TensorListGather",
        [Case((ROWS, [2, 0])), Case((ROWS, np.zeros(0, np.int32)))],
        lambda rows, indices: rows[indices],
        build=gather,
        differentiable=(0,),
        bad=[Bad((ROWS, [0, 3]), match="index 3 is out of range", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListScatterV2",
        [Case((ROWS, [2, 0, 3], 4)), Case((ROWS, [2, 0, 1], -1)), Case((EMPTY, np.zeros(0, np.int32), 2))],
        scattered,
        build=scatter,
        differentiable=(0,),
        bad=[Bad((ROWS, [0, -1, 1], 3), match="index -1 is out of range", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListScatterIntoExistingList",
        [Case((ROWS, ROWS[:2] * 2, [2, 0])), Case((ROWS, EMPTY, np.zeros(0, np.int32)))],
        lambda rows, more, indices: with_rows(rows, indices, more),
        build=scatter_into,
        differentiable=(0, 1),
        bad=[Bad((ROWS, ROWS[:1], [3]), match="index 3 is out of range", when="run")],
        **FREE,
    ),
    OpRecord(
        "TensorListSplit",
        [Case((ROWS, LENGTHS)), Case((EMPTY, np.array([0, 0])))],
        lambda whole, lengths: (whole, lengths),
        build=split,
        differentiable=(0,),
        bad=[
            Bad((ROWS, np.array([2, 2])), match="add up to 4, the tensor has 3", when="run"),
            Bad((ROWS, np.array([4, -1])), match="cannot have -1 rows", when="run"),
        ],
        **FREE,
    ),
    OpRecord(
        "TensorListConcatV2",
        [Case((ROWS, LENGTHS)), Case((EMPTY, np.array([0, 0])))],
        lambda whole, lengths: (whole, lengths),
        build=concat,
        differentiable=(0,),
        **FREE,
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_lists_are_values():
    first = list_of(tf.constant(ROWS))
    second = raw.TensorListSetItem(first, 0, tf.constant(ITEM))
    with tf.Session() as session:
        before, after = session.run([packed(first, tf.float64), packed(second, tf.float64)])
    np.testing.assert_array_equal(before, ROWS)
    np.testing.assert_array_equal(after, with_rows(ROWS, 0, ITEM))


def test_elements_of_different_shapes():
    values = raw.EmptyTensorList(ANY, ANY, element_dtype=tf.float64)
    for item in (ITEM, ROWS, 1.0):
        values = raw.TensorListPushBack(values, tf.constant(item, tf.float64))
    items = [raw.TensorListGetItem(values, i, ANY, element_dtype=tf.float64) for i in range(3)]
    with tf.Session() as session:
        for item, expected in zip(session.run(items), (ITEM, ROWS, 1.0)):
            np.testing.assert_array_equal(item, expected)
        with pytest.raises(tf.errors.InvalidArgumentError, match="cannot be packed"):
            session.run(packed(values, tf.float64))
