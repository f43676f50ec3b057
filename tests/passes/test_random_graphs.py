"""Random graphs compute what NumPy does, with the passes and without, and so do their gradients."""

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as tf
from headrace import _core
from headrace.framework import raw

PASSES = [name for name, _ in _core.passes()]
BOUND = 1e3


class Value(NamedTuple):
    tensor: Any
    array: np.ndarray


# Each rule makes a value of one or two others and two numbers to choose with, or None if it cannot.
Rule = Callable[[Value, Value, int, int], "tuple[Any, np.ndarray] | None"]


def unary(op: str, reference: Callable[[Any], Any]) -> Rule:
    return lambda x, y, i, j: (getattr(raw, op)(x.tensor), reference(x.array))


def binary(op: str, reference: Callable[[Any, Any], Any]) -> Rule:
    def rule(x: Value, y: Value, i: int, j: int) -> Any:
        try:
            np.broadcast_shapes(x.array.shape, y.array.shape)
        except ValueError:
            return None
        return getattr(raw, op)(x.tensor, y.tensor), reference(x.array, y.array)

    return rule


def with_constant(op: str, reference: Callable[[Any, Any], Any], value: float) -> Rule:
    def rule(x: Value, y: Value, i: int, j: int) -> Any:
        constant = np.full(x.array.shape if i % 2 else (), value, x.array.dtype)
        pair = (constant, x.array) if j % 2 else (x.array, constant)
        tensors = (constant, x.tensor) if j % 2 else (x.tensor, constant)
        return getattr(raw, op)(*tensors), reference(*pair)

    return rule


def reduction(op: str, reference: Callable[..., Any]) -> Rule:
    def rule(x: Value, y: Value, i: int, j: int) -> Any:
        axes = [axis for axis in range(x.array.ndim) if i >> axis & 1]
        if op == "Max" and any(x.array.shape[axis] == 0 for axis in axes):
            return None
        keep = bool(j % 2)
        made = getattr(raw, op)(x.tensor, np.array(axes, np.int32), keep_dims=keep)
        return made, np.asarray(reference(x.array, axis=tuple(axes), keepdims=keep))

    return rule


def matmul(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.ndim != 2 or y.array.ndim != 2:
        return None
    flip_x = bool(i % 2)
    flip_y = not flip_x if x.array.shape == y.array.shape else bool(j % 2)
    a, b = x.array.T if flip_x else x.array, y.array.T if flip_y else y.array
    if a.shape[1] != b.shape[0]:
        return None
    return raw.MatMul(x.tensor, y.tensor, transpose_a=flip_x, transpose_b=flip_y), a @ b


def transpose(x: Value, y: Value, i: int, j: int) -> Any:
    order = np.random.default_rng(i).permutation(x.array.ndim).astype(np.int32)
    return raw.Transpose(x.tensor, order), x.array.transpose(order)


def reshape(x: Value, y: Value, i: int, j: int) -> Any:
    shape = [(-1,), x.array.shape, (1, *x.array.shape), x.array.shape[::-1]][i % 4]
    if x.array.size == 0 and -1 in shape:
        return None
    return raw.Reshape(x.tensor, np.array(shape, np.int32)), x.array.reshape(shape)


def reshape_by_shape(x: Value, y: Value, i: int, j: int) -> Any:
    """Shapes are computed in the graph."""
    if x.array.size != y.array.size:
        return None
    return raw.Reshape(x.tensor, raw.Shape(y.tensor)), x.array.reshape(y.array.shape)


def concat(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.ndim == 0:
        return None
    axis = i % x.array.ndim
    return raw.ConcatV2([x.tensor, x.tensor], axis), np.concatenate([x.array, x.array], axis)


def pack(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.shape != y.array.shape or x.array.ndim > 3:
        return None
    axis = i % (x.array.ndim + 1)
    return raw.Pack([x.tensor, y.tensor], axis=axis), np.stack([x.array, y.array], axis)


def add_n(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.shape != y.array.shape:
        return None
    return raw.AddN([x.tensor, y.tensor, x.tensor]), 2 * x.array + y.array


def select(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.shape != y.array.shape:
        return None
    condition = raw.Greater(x.tensor, y.tensor)
    return raw.SelectV2(condition, x.tensor, y.tensor), np.where(x.array > y.array, x.array, y.array)


def broadcast(x: Value, y: Value, i: int, j: int) -> Any:
    if x.array.ndim > 2:
        return None
    shape = (2, *x.array.shape)
    return raw.BroadcastTo(x.tensor, np.array(shape, np.int32)), np.broadcast_to(x.array, shape).copy()


RULES: list[Rule] = [
    unary("Identity", lambda x: x),
    unary("Neg", np.negative),
    unary("Tanh", np.tanh),
    unary("Abs", np.abs),
    unary("Square", np.square),
    unary("Relu", lambda x: np.maximum(x, 0)),
    unary("ZerosLike", np.zeros_like),
    unary("OnesLike", np.ones_like),
    unary("StopGradient", lambda x: x),
    binary("AddV2", np.add),
    binary("Sub", np.subtract),
    binary("Mul", np.multiply),
    binary("Maximum", np.maximum),
    binary("Minimum", np.minimum),
    binary("SquaredDifference", lambda x, y: (x - y) ** 2),
    with_constant("AddV2", np.add, 0.0),
    with_constant("Mul", np.multiply, 1.0),
    with_constant("Mul", np.multiply, 0.0),
    with_constant("Sub", np.subtract, 0.0),
    with_constant("Mul", np.multiply, -2.0),
    reduction("Sum", np.sum),
    reduction("Max", np.max),
    matmul,
    matmul,
    transpose,
    reshape,
    reshape_by_shape,
    concat,
    pack,
    add_n,
    select,
    broadcast,
]

FEEDS = [
    np.array([[0.5, -1.25, 2.0], [0.75, 0.1, -0.3]]),
    np.array([[1.5, -0.5], [0.25, 2.5], [-1.0, 0.6]]),
    np.array([0.3, -0.7, 1.1]),
    np.array(-0.8),
    np.zeros((0, 3)),
]

number = st.integers(0, 255)
steps = st.lists(st.tuples(number, number, number, number, number), min_size=6, max_size=40)


def build(
    program: list[tuple[int, ...]], known_shapes: bool, dtype: Any = np.float64
) -> tuple[list[Value], list[Value]]:
    """The placeholders, and all values of a program of (rule, operand, operand, choice, choice)."""
    sources = [
        Value(raw.Placeholder(dtype=tf.as_dtype(dtype), shape=feed.shape if known_shapes else None), feed)
        for feed in [f.astype(dtype) for f in FEEDS]
    ]
    values = list(sources)
    for rule, a, b, i, j in program:
        x = values[a % len(values)]
        # Half of the time something of the same shape, which more rules can use.
        others = values if b % 2 else [v for v in values if v.array.shape == x.array.shape]
        made = RULES[rule % len(RULES)](x, others[b // 2 % len(others)], i, j)
        if made is None or made[1].size > 500:
            continue
        tensor, array = made
        if array.size and np.abs(array).max() > BOUND:
            tensor, array = raw.Tanh(tensor), np.tanh(array)
        values.append(Value(tensor, array))
    return sources, values[len(sources) :]


def run(fetches: list[Any], sources: list[Value], disabled: list[str]) -> list[np.ndarray]:
    config = types.SimpleNamespace(disabled_passes=disabled)
    feeds = {source.tensor: source.array for source in sources}
    with tf.Session(config=config) as session:
        first = session.run(fetches, feeds)
        second = session.run(fetches, feeds)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a, b, err_msg="a step's memory leaks into the next")
    return first


checked = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@checked
@given(program=steps, known_shapes=st.booleans(), some=number, single=st.booleans())
def test_values(program, known_shapes, some, single):
    tolerance = 2e-3 if single else 1e-9
    with tf.Graph().as_default():
        sources, values = build(program, known_shapes, np.float32 if single else np.float64)
        # Not all of them, so that there is something between to rewrite.
        fetched = [v for k, v in enumerate(values) if k == len(values) - 1 or (some >> k % 8) & 1]
        for value in fetched:
            static = value.tensor.shape
            assert static.is_compatible_with(value.array.shape), (
                f"{value.tensor} came out {value.array.shape}"
            )
        for disabled in (PASSES, []):
            found = run([value.tensor for value in fetched], sources, disabled)
            for value, array in zip(fetched, found):
                np.testing.assert_allclose(
                    array, value.array, tolerance, tolerance, err_msg=value.tensor.name
                )


@checked
@given(program=steps, some=number)
def test_each_pass_alone(program, some):
    with tf.Graph().as_default():
        sources, values = build(program, some % 2 == 0)
        if not values:
            return
        only = PASSES[some % len(PASSES)]
        found = run([values[-1].tensor], sources, [name for name in PASSES if name != only])
        np.testing.assert_allclose(found[0], values[-1].array, rtol=1e-9, atol=1e-9, err_msg=only)


@checked
@given(program=steps, known_shapes=st.booleans())
def test_gradients(program, known_shapes):
    with tf.Graph().as_default():
        sources, values = build(program, known_shapes)
        if not values:
            return
        tensors = [source.tensor for source in sources]
        first = tf.gradients([value.tensor for value in values], tensors)
        connected = [g for g in first if g is not None]
        second = [g for g in tf.gradients(connected, tensors) if g is not None] if connected else []
        fetched = connected + second
        for g, source in zip(first, sources):
            assert g is None or g.shape.is_compatible_with(source.array.shape)
        plain, rewritten = run(fetched, sources, PASSES), run(fetched, sources, [])
        for g, a, b in zip(fetched, plain, rewritten):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-6, err_msg=g.name)


def test_a_wrong_value_is_found():
    """The comparison itself can fail."""
    with tf.Graph().as_default():
        sources, values = build([(1, 0, 1, 0, 0)], True)
        (found,) = run([values[0].tensor], sources, [])
        np.testing.assert_array_equal(found, -FEEDS[0])
        assert not np.allclose(found, FEEDS[0])
