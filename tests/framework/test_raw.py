import inspect

import numpy as np
import pytest

import headrace as tf
from headrace import _core
from headrace.framework import raw


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def types(graph):
    return [(op.type, op.name) for op in graph.get_operations()]


def test_one_node_and_its_constants(graph):
    a = tf.placeholder(tf.float64, [2], name="a")
    raw.AddV2(a, 1)
    assert types(graph) == [("Placeholder", "a"), ("Const", "AddV2/y"), ("AddV2", "AddV2")]
    assert graph.get_tensor_by_name("AddV2/y:0").dtype is tf.float64
    raw.AddV2(2, y=a, name="sum")
    assert types(graph)[3:] == [("Const", "sum/x"), ("AddV2", "sum")]


def test_first_argument_takes_the_dtype_of_the_second():
    a = tf.placeholder(tf.int64, [2])
    assert raw.Mul(3, a).dtype is tf.int64
    with pytest.raises(TypeError, match=r"\[Mul\] input 'x'.*int64"):
        raw.Mul(2.5, a)
    with pytest.raises(TypeError, match="input 'y'"):
        raw.Mul(a, tf.constant(1.0))


def test_fixed_dtype():
    with pytest.raises(TypeError, match=r"\[LogicalNot\] input 'x' must be bool"):
        raw.LogicalNot(tf.constant(1))
    assert raw.LogicalNot(True).dtype is tf.bool


def test_attributes():
    a = tf.constant([[1.0, 2.0]])
    assert raw.MatMul(a, a, transpose_b=True).shape == [1, 1]
    for dtype in (tf.int32, "int32", np.int32, 3):
        assert raw.Cast(a, DstT=dtype).dtype is tf.int32
    with pytest.raises(TypeError, match="transpose_b"):
        raw.MatMul(a, a, transpose_b=a)
    with pytest.raises(TypeError, match="transposed"):
        raw.MatMul(a, a, transposed=True)
    with pytest.raises(ValueError, match=r"'VALIDD'.*SAME"):
        image = tf.constant(0.0, shape=[1, 2, 2, 1])
        raw.MaxPool(image, ksize=[1, 1, 1, 1], strides=[1, 1, 1, 1], padding="VALIDD")


def test_lists():
    a, b = tf.constant([1]), tf.constant([2])
    assert raw.Pack([a, b, [3]]).shape == [3, 1]
    assert raw.Pack([[1], b]).dtype is tf.int32
    parts = raw.Unpack(tf.constant([1, 2, 3]), num=3)
    assert isinstance(parts, list) and len(parts) == 3
    with pytest.raises(TypeError, match="list"):
        raw.Pack(a)
    with pytest.raises(ValueError):
        raw.Pack([])


def test_several_outputs_have_names():
    result = raw.TopKV2([1.0, 3.0, 2.0], 2)
    assert result._fields == ("values", "indices")
    assert result.indices.dtype is tf.int32


def test_no_output():
    op = raw.NoOp(name="nothing")
    assert isinstance(op, tf.Operation)
    assert op.name == "nothing"


def test_unknown_operation():
    with pytest.raises(AttributeError, match="MatMul"):
        raw.MatMull  # noqa: B018
    assert not hasattr(raw, "_nope")
    assert "MatMul" in dir(raw)


def test_help():
    assert "transpose_a" in inspect.signature(raw.MatMul).parameters
    assert "Args:" in raw.MatMul.__doc__


@pytest.mark.parametrize("name", _core.op_names())
def test_every_operation_has_a_function(name):
    if not name.startswith("_"):
        function = getattr(raw, name)
        parameters = list(inspect.signature(function).parameters)
        assert parameters[-1] == "name"
        assert len(function.__doc__) > 20


def test_evaluate():
    (product,) = _core.evaluate("MatMul", [np.ones((1, 2), np.float32), np.ones((2, 1), np.float32)])
    np.testing.assert_array_equal(product, [[2]])
    with pytest.raises(ValueError):
        _core.evaluate("MatMul", [np.ones((1, 2), np.float32), np.ones((3, 1), np.float32)])
    with pytest.raises(TypeError):
        _core.evaluate("MatMul", [np.ones((1, 2), np.float32), np.ones((2, 1), np.float64)])
