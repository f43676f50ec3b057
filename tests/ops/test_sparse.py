"""Sparse tensors."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors
from tests.ops.harness import Bad, Case, OpRecord, run_records


def dense(indices, shape, values, default, validate_indices=True):
    full = np.full(shape, default, dtype=values.dtype)
    places = np.reshape(indices, (-1, len(shape)))
    for place, value in zip(places, np.broadcast_to(values, len(places))):
        full[tuple(place)] = value
    return full


def reordered(indices, values, shape):
    order = np.lexsort(indices.T[::-1]) if len(indices) else np.zeros(0, int)
    return [indices[order], values[order]]


INT64 = np.int64
RECORDS = [
    OpRecord(
        "SparseToDense",
        cases=[
            Case((np.array([[0, 1], [2, 0]]), np.array([3, 2]), np.array([1.5, 2.5]), np.array(0.5))),
            Case(
                (np.array([3, 1]), np.array([4]), np.array([1.5, 2.5]), np.array(0.5)),
                {"validate_indices": False},
            ),
            Case((np.array([0, 2]), np.array([4]), np.array(1.5), np.array(0.0))),
            Case((np.array(2), np.array([4]), np.array(1.5), np.array(0.0))),
            Case((np.zeros((0, 2), int), np.array([0, 2]), np.zeros(0), np.array(0.0))),
        ],
        reference=dense,
        type_attr="T",
        dtypes=("float32", "float64", "bfloat16", "int64", "bool"),
        differentiable=(2, 3),
        bad=[
            Bad(
                (np.array([[0, 3]]), np.array([3, 2]), np.array([1.5]), np.array(0.5)),
                match=r"index 0, \(0, 3\), is outside of the shape \(3, 2\)",
                when="run",
            ),
            Bad(
                (np.array([[1], [0]]), np.array([3]), np.array([1.5, 2.5]), np.array(0.5)),
                match=r"index 1, \(0\), is out of order",
                when="run",
            ),
            Bad(
                (np.array([[1], [1]]), np.array([3]), np.array([1.5, 2.5]), np.array(0.5)),
                match=r"index 1, \(1\), is there twice",
                when="run",
            ),
            Bad(
                (np.array([[1], [2]]), np.array([3]), np.array([1.5]), np.array(0.5)),
                match="2 indices and 1 values",
            ),
        ],
    ),
    OpRecord(
        "SparseReorder",
        cases=[
            Case(
                (
                    np.array([[2, 0], [0, 1], [0, 0]], INT64),
                    np.array([1.5, 2.5, 3.5]),
                    np.array([3, 2], INT64),
                )
            ),
            Case((np.zeros((0, 2), INT64), np.zeros(0), np.array([3, 2], INT64))),
        ],
        reference=reordered,
        type_attr="T",
        dtypes=("float32", "float64", "bfloat16", "int64", "bool"),
        differentiable=(1,),
        bad=[
            Bad(
                (np.array([[5]], INT64), np.array([1.5]), np.array([3], INT64)),
                match=r"index 0, \(5\), is outside of the shape \(3\)",
                when="run",
            )
        ],
    ),
]

run_records(globals(), RECORDS)


def test_strings():
    with tf.Graph().as_default(), tf.Session() as session:
        sparse = tf.SparseTensor([[1, 0], [0, 1]], ["b", "a"], [2, 2])
        ordered = tf.sparse.reorder(sparse)
        assert session.run(ordered).values.tolist() == [b"a", b"b"]
        assert session.run(tf.sparse.to_dense(ordered)).tolist() == [[b"", b"a"], [b"b", b""]]


def test_feeds_and_fetches():
    value = tf.SparseTensorValue(np.array([[0, 1]]), np.array([2.5], np.float32), np.array([2, 3]))
    with tf.Graph().as_default(), tf.Session() as session:
        sparse = tf.sparse_placeholder(tf.float32, name="s")
        assert (sparse.indices.name, sparse.values.name, sparse.dense_shape.name) == (
            "s/indices:0",
            "s/values:0",
            "s/shape:0",
        )
        doubled = tf.SparseTensor(sparse.indices, sparse.values * 2, sparse.dense_shape)
        for fed in (value, tuple(value)):
            fetched = session.run({"x": doubled}, {sparse: fed})["x"]
            assert isinstance(fetched, tf.SparseTensorValue)
            assert fetched.values.tolist() == [5] and fetched.dense_shape.tolist() == [2, 3]
        assert doubled.eval({sparse: value}, session).values.tolist() == [5]
        dense = tf.sparse_tensor_to_dense(sparse, default_value=-1)
        assert session.run(dense, {sparse: value}).tolist() == [[-1, 2.5, -1], [-1, -1, -1]]


def test_what_is_known_of_shapes():
    assert tf.SparseTensor([[0, 1]], [1.0], [2, 3]).shape.as_list() == [2, 3]
    assert tf.sparse_placeholder(tf.float32).shape.ndims is None
    partly = tf.sparse_placeholder(tf.float32, [None, 3])
    assert partly.shape.as_list() == [None, 3] and partly.indices.shape.as_list() == [None, 2]
    assert tf.sparse_tensor_to_dense(partly).shape.as_list() == [None, 3]
    with pytest.raises(ValueError):
        tf.SparseTensor([[0, 1]], [1.0, 2.0], [2, 3])
    with pytest.raises(ValueError):
        tf.SparseTensor([[0, 1]], [1.0], [2, 3, 4])


def test_merge():
    with tf.Graph().as_default(), tf.Session() as session:
        ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [4, 2, 0], [2, 2])
        values = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], [1.0, 2.0, 3.0], [2, 2])
        merged = session.run(tf.sparse.merge(ids, values, 5))
        assert merged.indices.tolist() == [[0, 2], [0, 4], [1, 0]]
        assert merged.values.tolist() == [2, 1, 3] and merged.dense_shape.tolist() == [2, 5]
        with pytest.raises(TypeError, match="integers"):
            tf.sparse.merge(values, values, 5)
        with pytest.raises(ValueError, match="1 sp_ids and 2 sizes"):
            tf.sparse.merge([ids], values, [5, 6])


def test_conversions():
    value = tf.SparseTensorValue([[0]], [1.0], [2])
    made = tf.convert_to_tensor_or_sparse_tensor(value)
    assert isinstance(made, tf.SparseTensor) and tf.is_tensor(made)
    assert isinstance(tf.convert_to_tensor_or_sparse_tensor(1.0), tf.Tensor)
    assert tf.SparseTensor.from_value(made) is made
    with pytest.raises(TypeError, match="expected a sparse tensor of int32"):
        tf.convert_to_tensor_or_sparse_tensor(made, tf.int32)
    with pytest.raises(TypeError, match="expected a SparseTensorValue"):
        tf.SparseTensor.from_value([1])
    with pytest.raises(TypeError, match="expected a SparseTensor"):
        tf.sparse_tensor_to_dense(tf.constant([1.0]))


def test_gradients_reach_sparse_values():
    with tf.Graph().as_default(), tf.Session() as session:
        values = tf.constant([1.0, 2.0])
        sparse = tf.SparseTensor([[1, 1], [0, 0]], values, [2, 2])
        y = tf.sparse.to_dense(tf.sparse.reorder(sparse)) * [[1.0, 2.0], [3.0, 4.0]]
        assert session.run(tf.gradients(y, values))[0].tolist() == [4, 1]


def test_errors_of_feeds():
    with tf.Graph().as_default(), tf.Session() as session:
        sparse = tf.sparse_placeholder(tf.float32, [2, 3])
        with pytest.raises((ValueError, errors.InvalidArgumentError)):
            session.run(sparse, {sparse: ([[0, 1, 2]], [1.0], [2, 3])})
