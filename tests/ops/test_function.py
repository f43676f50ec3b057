"""Operations that call functions. The records define the functions that the operation calls."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.framework.func_graph import FuncGraph, new_function_name
from tests.ops.harness import Bad, Case, OpRecord, run_records

X = np.array([[1.0, -2.0], [3.5, 0.5]])
EMPTY = np.zeros((0, 2))


def function(compute, *arguments):
    """The name of a function of arguments with the dtypes and shapes of these."""
    graph = FuncGraph(new_function_name(tf.get_default_graph(), "f"), tf.get_default_graph())
    with graph.as_default():
        results = compute(*[graph.argument(t.dtype, t.shape) for t in arguments])
    return graph.define([results] if isinstance(results, tf.Tensor) else list(results))


def double(x):
    return raw.Mul(x, raw.AddV2(x, x))


def negative(x):
    return raw.Neg(x)


def call(op):
    def build(x):
        return getattr(raw, op)([x], Tin=[x.dtype], Tout=[x.dtype], f=function(double, x), name="node")[0]

    return build


def condition(op):
    def build(truth, x):
        return getattr(raw, op)(
            truth,
            [x],
            Tin=[x.dtype],
            Tout=[x.dtype],
            then_branch=function(double, x),
            else_branch=function(negative, x),
            name="node",
        )[0]

    return build


def choice(op):
    def build(index, x):
        branches = [function(f, x) for f in (double, negative, raw.Tanh)]
        return getattr(raw, op)(index, [x], Tin=[x.dtype], Tout=[x.dtype], branches=branches, name="node")[0]

    return build


def repeat(op):
    """x -> tanh(x * x), n times."""

    def build(n, x):
        body = function(lambda n, x: (raw.Sub(n, 1), raw.Tanh(raw.Mul(x, x))), n, x)
        cond = function(lambda n, x: raw.Greater(n, 0), n, x)
        return getattr(raw, op)([n, x], T=[n.dtype, x.dtype], cond=cond, body=body, name="node")

    return build


def repeated(n, x):
    for _ in range(n):
        x = np.tanh(x * x)
    return np.int32(min(n, 0)), x


def conditional(truth, x):
    return x * (x + x) if truth else -x


def chosen(index, x):
    return [lambda x: x * (x + x), np.negative, np.tanh][index if 0 <= index < 3 else 2](x)


DTYPES = ("float32", "float64")

RECORDS = [
    record
    for prefix in ("", "Stateless")
    for record in (
        OpRecord(
            prefix + "If",
            [
                Case((True, X)),
                Case((False, X)),
                Case((np.int32(3), X)),
                Case((np.array("text", object), X)),
                Case((np.array([], bool), X), name="empty_is_false"),
                Case((True, EMPTY)),
            ],
            lambda truth, x: conditional(np.size(truth) and (np.ndim(truth) or truth), x),
            DTYPES,
            differentiable=(1,),
            build=condition(prefix + "If"),
        ),
        OpRecord(
            prefix + "Case",
            [Case((0, X)), Case((1, X)), Case((2, X)), Case((7, X)), Case((-1, X)), Case((0, EMPTY))],
            chosen,
            DTYPES,
            differentiable=(1,),
            build=choice(prefix + "Case"),
            bad=[Bad((np.array([1], np.int32), X), match="rank", when="build")],
        ),
        OpRecord(
            prefix + "While",
            [Case((3, X)), Case((0, X)), Case((2, EMPTY))],
            repeated,
            DTYPES,
            differentiable=(1,),
            build=repeat(prefix + "While"),
        ),
    )
]
RECORDS += [
    OpRecord(
        op, [Case((X,)), Case((EMPTY,))], lambda x: x * (x + x), DTYPES, differentiable=(0,), build=call(op)
    )
    for op in ("PartitionedCall", "StatefulPartitionedCall")
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_unknown_function():
    x = tf.constant(1.0)
    with pytest.raises(tf.errors.NotFoundError, match="no function 'nowhere'"):
        raw.PartitionedCall([x], Tin=[x.dtype], Tout=[x.dtype], f="nowhere")


def test_wrong_number_of_results():
    x = tf.constant(1.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="returns 1 tensors, expected 2"):
        raw.PartitionedCall([x], Tin=[x.dtype], Tout=[x.dtype] * 2, f=function(double, x))


def test_static_shape_of_a_loop_is_what_every_iteration_keeps():
    x = tf.zeros([2, 3])
    body = function(lambda x: raw.ConcatV2([x, x], 0), tf.placeholder(tf.float32, [None, 3]))
    cond = function(lambda x: raw.Less(raw.Size(x), 20), tf.placeholder(tf.float32, [None, 3]))
    (result,) = raw.While([x], T=[x.dtype], cond=cond, body=body)
    assert result.shape.as_list() == [None, 3]
    with tf.Session() as session:
        assert session.run(result).shape == (8, 3)


def test_condition_in_a_loop_and_its_gradient():
    x = tf.placeholder(tf.float32, [None, 2])
    m = tf.constant([[0.3, 0.1], [0.0, 0.2]])  # a constant from outside has a gradient too

    def step(h, even):
        return tf.cond(even, lambda: tf.tanh(tf.matmul(h, m)), lambda: h * h)

    def body(i, h):
        return i + 1, step(h, tf.equal(tf.floormod(i, 2), 0))

    _, looped = tf.while_loop(lambda i, h: i < 4, body, [0, x])
    straight = x
    for i in range(4):
        straight = tf.tanh(tf.matmul(straight, m)) if i % 2 == 0 else straight * straight
    with tf.Session() as session:
        values = session.run(
            [tf.gradients(looped, [x, m]), tf.gradients(straight, [x, m])], {x: [[1.0, 2.0], [0.5, -1.0]]}
        )
    for got, want in zip(*values):
        np.testing.assert_allclose(got, want, rtol=1e-5)
