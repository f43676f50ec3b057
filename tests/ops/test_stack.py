"""Stacks: the records put tensors on one and take them off again."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

A = np.array([[3.0, -2.0], [1.0, 0.5]])
B = np.array([7.0, -8.0])
CASES = [Case((A, B)), Case((np.zeros((0, 2)), B))]


def stack_for(value, max_size=-1, name=None):
    return raw.StackV2(max_size, elem_type=value.dtype, name=name)


def pushed(handle, *values, name=None):
    """Control dependencies on pushes, one after the other."""
    pushes = []
    for value in values:
        with tf.control_dependencies(pushes):
            pushes = [raw.StackPushV2(handle, value, name=name)]
    return tf.control_dependencies(pushes)


def both(a, b, max_size=-1, make=None, pop=None):
    handle = stack_for(a, max_size, make)
    with pushed(handle, a, b):
        last = raw.StackPopV2(handle, elem_type=a.dtype, name=pop)
    with tf.control_dependencies([last]):
        return raw.StackPopV2(handle, elem_type=a.dtype), last


def push(a, max_size=-1):
    return raw.StackPushV2(stack_for(a, max_size), a, name="node")


def pop_none(a):
    return raw.StackPopV2(stack_for(a), elem_type=a.dtype, name="node")


def close(a):
    handle = stack_for(a)
    with pushed(handle, a), tf.control_dependencies([raw.StackCloseV2(handle, name="node")]):
        return raw.Identity(a)


def pop(a, b=None):
    return pop_none(a) if b is None else both(a, b, pop="node")


ANY = {"dtypes": ("float32", "bfloat16", "float64"), "data_dependent": True}

RECORDS = [
    OpRecord("StackV2", CASES, lambda a, b: (a, b), build=lambda a, b: both(a, b, make="node"), **ANY),
    OpRecord(
        "StackPushV2",
        [Case((A,)), Case((np.zeros((0, 2)),))],
        lambda a: a,
        build=push,
        bad=[Bad((A,), {"max_size": 0}, error=tf.errors.InvalidArgumentError, match="full", when="run")],
        **ANY,
    ),
    OpRecord(
        "StackPopV2",
        CASES,
        lambda a, b: (a, b),
        build=pop,
        bad=[Bad((A,), error=tf.errors.InvalidArgumentError, match="nothing to take off", when="run")],
        **ANY,
    ),
    OpRecord("StackCloseV2", [Case((A,)), Case((np.zeros((0, 2)),))], lambda a: a, build=close, **ANY),
]

run_records(globals(), RECORDS)


def test_every_step_has_its_own():
    with tf.Graph().as_default(), tf.Session() as session:
        handle = raw.StackV2(-1, elem_type=tf.float32)
        with pushed(handle, tf.constant(1.0)):
            value = raw.StackPopV2(handle, elem_type=tf.float32)
        assert [session.run(value) for _ in range(3)] == [1, 1, 1]


def test_stacks_on_a_stack():
    with tf.Graph().as_default(), tf.Session() as session:
        inner = raw.StackV2(-1, elem_type=tf.float32)
        outer = raw.StackV2(-1, elem_type=tf.resource)
        with pushed(inner, tf.constant(5.0)), pushed(outer, inner):
            again = raw.StackPopV2(outer, elem_type=tf.resource)
        assert session.run(raw.StackPopV2(again, elem_type=tf.float32)) == 5


@pytest.mark.parametrize(
    "make", [lambda h: raw.StackPushV2(h, 1), lambda h: raw.StackPopV2(h, elem_type=tf.int32)]
)
def test_of_another_dtype(make):
    with tf.Graph().as_default(), tf.Session() as session:
        handle = raw.StackV2(-1, elem_type=tf.float32)
        with pytest.raises(TypeError, match="float32"):
            session.run(make(handle))
