import pickle

import ml_dtypes
import numpy as np
import pytest

import headrace as tf

ALL = [
    tf.float16, tf.bfloat16, tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8,
    tf.uint16, tf.uint32, tf.uint64, tf.bool, tf.complex64, tf.complex128, tf.string, tf.resource, tf.variant,
]  # fmt: skip


@pytest.mark.parametrize("dtype", ALL, ids=lambda d: d.name)
def test_every_way_to_name_a_dtype(dtype):
    ways = [dtype, dtype.name, dtype.as_datatype_enum]
    if dtype.is_numpy_compatible:
        ways += [dtype.as_numpy_dtype, np.dtype(dtype.as_numpy_dtype)]
    for way in ways:
        assert tf.as_dtype(way) is dtype
        assert dtype == way
    assert hash(dtype) == hash(tf.as_dtype(dtype.name))
    assert pickle.loads(pickle.dumps(dtype)) is dtype
    assert repr(dtype) == f"tf.{dtype.name}"
    assert str(dtype) == f"<dtype: '{dtype.name}'>"
    assert dtype.base_dtype is dtype
    assert dtype.is_compatible_with(dtype.name)


def test_numbers_are_those_of_the_graph_format():
    published = {"float32": 1, "float64": 2, "int32": 3, "uint8": 4, "string": 7, "int64": 9, "bool": 10}
    published |= {"bfloat16": 14, "float16": 19, "resource": 20, "variant": 21, "uint64": 23}
    assert {name: tf.as_dtype(name).as_datatype_enum for name in published} == published


def test_aliases_and_python_types():
    assert tf.as_dtype("float") is tf.float32
    assert tf.as_dtype("double") is tf.double is tf.float64
    assert tf.as_dtype("half") is tf.half is tf.float16
    assert tf.as_dtype(float) is tf.float32
    assert tf.as_dtype(bool) is tf.bool
    assert tf.as_dtype(str) is tf.string
    assert tf.as_dtype(np.dtype("S3")) is tf.string
    assert tf.as_dtype(np.dtype(">f4")) is tf.float32
    assert tf.as_dtype(ml_dtypes.bfloat16) is tf.bfloat16


@pytest.mark.parametrize("wrong", ["floaty", 12345, None, np.dtype([("a", "f4")]), object()])
def test_what_is_no_dtype(wrong):
    with pytest.raises(TypeError, match="dtype"):
        tf.as_dtype(wrong)
    assert tf.float32 != wrong


def test_kinds():
    def having(kind):
        return {d.name for d in ALL if getattr(d, kind)}

    assert having("is_floating") == {"float16", "bfloat16", "float32", "float64"}
    assert having("is_complex") == {"complex64", "complex128"}
    assert having("is_unsigned") == {"uint8", "uint16", "uint32", "uint64"}
    assert having("is_integer") == having("is_unsigned") | {"int8", "int16", "int32", "int64"}
    assert having("is_bool") == {"bool"}
    assert not having("is_quantized")
    assert tf.complex64.real_dtype is tf.float32
    assert tf.complex128.real_dtype is tf.float64
    assert tf.int8.real_dtype is tf.int8


def test_limits():
    assert tf.int8.limits == (-128, 127)
    assert tf.uint8.max == 255
    assert tf.float32.max == np.finfo(np.float32).max
    assert float(tf.bfloat16.max) > 1e38
    assert tf.float32.limits == (0, 1)
    assert (tf.bool.min, tf.bool.max) == (False, True)
    with pytest.raises(TypeError):
        tf.complex64.max  # noqa: B018
    with pytest.raises(TypeError):
        tf.string.min  # noqa: B018
    assert tf.float64.size == 8
    assert tf.bfloat16.size == 2
