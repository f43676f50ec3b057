import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import headrace as tf
from headrace.framework import raw
from headrace.framework.constant import constant_value, constant_value_as_shape


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def run(tensor):
    with tf.Session(graph=tensor.graph) as session:
        return session.run(tensor)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (1, tf.int32, []),
        (1.5, tf.float32, []),
        (True, tf.bool, []),
        ("s", tf.string, []),
        (b"s", tf.string, []),
        (2**40, tf.int64, []),
        (1 + 2j, tf.complex128, []),
        ([1, 2.5], tf.float32, [2]),
        ([[1], [2]], tf.int32, [2, 1]),
        ((True, False), tf.bool, [2]),
        (["a", b"bc"], tf.string, [2]),
        ([], tf.float32, [0]),
        (np.float64(1), tf.float64, []),
        (np.int64(3), tf.int64, []),
        (np.arange(3), tf.int64, [3]),
        ([np.int64(3)], tf.int32, [1]),
        (np.zeros((2, 0)), tf.float64, [2, 0]),
        (np.array(["a", "bcd"]), tf.string, [2]),
        (np.array([b"a"]), tf.string, [1]),
        (np.ones(2, ml_dtypes.bfloat16), tf.bfloat16, [2]),
        (np.ones(2, np.float16), tf.float16, [2]),
    ],
)
def test_dtype_and_shape_of_values(value, dtype, shape):
    made = tf.constant(value)
    assert made.dtype is dtype
    assert made.shape.as_list() == shape
    np.testing.assert_array_equal(run(made), _expected(value, dtype))


def _expected(value, dtype):
    if dtype is tf.string:
        return np.vectorize(lambda s: s.encode() if isinstance(s, str) else s, otypes=[object])(value)
    return np.asarray(value, dtype.as_numpy_dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1, tf.float32, 1.0),
        (True, tf.int32, 1),
        ([1, 2], tf.float64, [1.0, 2.0]),
        (np.array([1.5]), tf.int32, [1]),
        (1, tf.complex64, 1 + 0j),
        (2, tf.bfloat16, 2),
    ],
)
def test_dtype_asked_for(value, dtype, expected):
    made = tf.constant(value, dtype)
    assert made.dtype is dtype
    np.testing.assert_array_equal(run(made), expected)


@pytest.mark.parametrize(
    ("value", "dtype", "error"),
    [
        (1.5, tf.int32, TypeError),
        ("a", tf.float32, TypeError),
        (1, tf.string, TypeError),
        (1, tf.bool, TypeError),
        (1j, tf.float32, TypeError),
        (300, tf.uint8, TypeError),
        (2**70, None, TypeError),
        (None, None, ValueError),
        ([[1, 2], [3]], None, ValueError),
        ([None], None, TypeError),
        (["a", 1], None, TypeError),
        (object(), None, TypeError),
        ({}, None, TypeError),
    ],
)
def test_what_is_no_constant(value, dtype, error):
    with pytest.raises(error):
        tf.constant(value, dtype)


def test_constant_of_a_shape():
    np.testing.assert_array_equal(run(tf.constant(3, shape=[2, 2])), [[3, 3], [3, 3]])
    np.testing.assert_array_equal(run(tf.constant([1, 2, 3], shape=[2, 2])), [[1, 2], [3, 3]])
    np.testing.assert_array_equal(run(tf.constant([1, 2], shape=[2, 1])), [[1], [2]])
    assert tf.constant(1, shape=[0, 3]).shape == [0, 3]
    with pytest.raises(ValueError, match="too many"):
        tf.constant([1, 2, 3], shape=[2])
    with pytest.raises(TypeError, match="shape"):
        tf.constant([1, 2], shape=[2, 1], verify_shape=True)


def test_constant_is_a_copy():
    array = np.zeros(3, np.float32)
    made = tf.constant(array)
    array[:] = 1
    np.testing.assert_array_equal(run(made), np.zeros(3))
    constant_value(made)
    with pytest.raises(ValueError):
        constant_value(made)[0] = 5


def test_conversion():
    a = tf.constant(1.0)
    assert tf.convert_to_tensor(a) is a
    assert tf.convert_to_tensor(a, tf.float32) is a
    for error in (TypeError, ValueError):
        with pytest.raises(error, match="cast"):
            tf.convert_to_tensor(a, tf.int32)
    assert tf.convert_to_tensor(1, name="one").op.name == "one"
    assert tf.convert_to_tensor(1, preferred_dtype=tf.float64).dtype is tf.float64
    assert tf.convert_to_tensor(1.5, preferred_dtype=tf.int32).dtype is tf.float32


def test_shapes_become_tensors():
    np.testing.assert_array_equal(run(tf.convert_to_tensor(tf.TensorShape([2, 3]))), [2, 3])
    assert tf.convert_to_tensor(tf.Dimension(3), tf.int64).dtype is tf.int64
    assert tf.convert_to_tensor(tf.TensorShape([2**40])).dtype is tf.int64
    for unknown in (tf.TensorShape([None]), tf.Dimension(None)):
        with pytest.raises(ValueError):
            tf.convert_to_tensor(unknown)


def test_lists_with_tensors_are_stacked():
    a = tf.constant(1)
    packed = tf.convert_to_tensor([a, 2])
    assert (packed.op.type, packed.op.name, packed.op.inputs[1].op.name) == ("Pack", "packed", "packed/1")
    np.testing.assert_array_equal(run(packed), [1, 2])
    np.testing.assert_array_equal(run(tf.convert_to_tensor([[a, 2], [3, a]])), [[1, 2], [3, 1]])
    assert tf.convert_to_tensor([a, 2], name="both").op.name == "both"
    with pytest.raises(TypeError):
        tf.constant([a, 2])
    with pytest.raises((TypeError, ValueError)):
        tf.convert_to_tensor([a, tf.constant(1.0)])


def test_registered_conversion():
    class Celsius:
        degrees = 20.0

    class Odd:
        pass

    tf.register_tensor_conversion_function(
        Celsius,
        lambda value, dtype=None, name=None, as_ref=False: tf.constant(
            value.degrees, dtype, name=name or "c"
        ),
    )
    tf.register_tensor_conversion_function(Odd, lambda value, **_: NotImplemented)
    assert tf.convert_to_tensor(Celsius()).dtype is tf.float32
    assert raw.Neg(Celsius()).op.inputs[0].op.name == "Neg/x"
    with pytest.raises(TypeError):
        tf.convert_to_tensor(Odd())
    with pytest.raises(TypeError):
        tf.register_tensor_conversion_function(3, lambda value: value)


def test_values_known_while_building():
    a = tf.constant([[1, 2], [3, 4]])
    np.testing.assert_array_equal(constant_value(a), [[1, 2], [3, 4]])
    p = tf.placeholder(tf.float32, [None, 3])
    assert constant_value(p) is None
    shape = raw.Shape(p)
    assert constant_value(shape) is None
    assert list(constant_value(shape, partial=True)) == [None, 3]
    assert constant_value_as_shape(shape).as_list() == [None, 3]
    assert constant_value_as_shape(tf.constant([2, -1])).as_list() == [2, None]
    with pytest.raises(ValueError):
        constant_value_as_shape(tf.constant([-2]))


PLAIN = [
    d
    for d in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
]
PLAIN += ["uint64", "bool", "complex64", "complex128"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_arrays_come_back_as_they_went(data):
    dtype = np.dtype(data.draw(st.sampled_from(PLAIN)))
    shape = data.draw(npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    array = data.draw(npst.arrays(dtype, shape))
    order = data.draw(st.sampled_from("CF"))
    given_array = np.asarray(array, order=order)
    if data.draw(st.booleans()) and array.ndim:
        given_array = given_array[::-1]  # negative strides
    with tf.Graph().as_default():
        fed = tf.placeholder(tf.as_dtype(dtype))
        with tf.Session() as session:
            for result in (
                session.run(tf.constant(given_array)),
                session.run(raw.Identity(fed), {fed: given_array}),
                session.run(fed, {fed: given_array}),
            ):
                assert np.asarray(result).dtype == dtype
                np.testing.assert_array_equal(result, given_array)
