"""Gradients of a graph against finite differences of the same graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import as_dtype
from headrace.framework.graph import Graph, GraphKeys, Tensor, get_default_session
from headrace.framework.session import Session
from headrace.gradients.engine import gradients


def verify_grad(
    fn: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    order: int = 1,
    epsilon: float = 1e-5,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    seed: int = 0,
) -> None:
    """Checks that `tf.gradients` differentiates a function rightly.

    `fn` is built once into a graph of its own, in float64 (complex128 for complex inputs). The gradient of a
    random linear combination of its outputs is compared with central finite differences of that combination,
    element by element of every input. With `order=2` the gradient itself, a function of the inputs and of the
    combination's weights, is checked in the same way, and so on.

        headrace.testing.verify_grad(lambda a, b: tf.matmul(a, tf.tanh(b)), [np.eye(3), np.ones((3, 2))])

    Args:
      fn: builds the function: called with one tensor for each input, returns a tensor or several. It must be
        smooth near the inputs and give the same values in each run.
      inputs: where to differentiate; arrays of any shapes, made float64 if they are real.
      order: the highest order of derivative to check.
      epsilon: the step of the differences, relative to elements larger than 1.
      rtol: relative tolerance, on top of `atol`.
      atol: absolute tolerance.
      seed: of the random combinations.

    Raises:
      AssertionError: if a derivative differs; the message says which, where, and both numbers.
    """
    random = np.random.default_rng(seed)
    values = [np.asarray(v) for v in inputs]
    values = [v.astype(np.complex128 if v.dtype.kind == "c" else np.float64) for v in values]
    graph = Graph()
    with graph.as_default():
        xs = [_placeholder(v, f"input_{i}") for i, v in enumerate(values)]
        result = fn(*xs)
        ys = [
            y if isinstance(y, Tensor) else convert_to_tensor(y)
            for y in (result if isinstance(result, list | tuple) else [result])
        ]
        with Session(graph=graph) as session:
            for variable in graph.get_collection(GraphKeys.GLOBAL_VARIABLES):
                session.run(variable.initializer)
            _verify(session, ys, xs, values, order, epsilon, rtol, atol, random, "the gradient")


def _placeholder(value: np.ndarray, name: str) -> Tensor:
    return raw.Placeholder(dtype=as_dtype(value.dtype), shape=value.shape, name=name)


def _weights(value: np.ndarray, random: np.random.Generator) -> np.ndarray:
    weights = random.uniform(0.5, 1.5, value.shape) * random.choice([-1.0, 1.0], value.shape)
    if value.dtype.kind == "c":
        return weights + 1j * random.uniform(-1, 1, value.shape)
    return weights


def _verify(
    session: Session,
    ys: list[Tensor],
    xs: list[Tensor],
    values: list[np.ndarray],
    order: int,
    epsilon: float,
    rtol: float,
    atol: float,
    random: np.random.Generator,
    what: str,
) -> None:
    """Checks d(sum of weights * ys) / dxs at `values`, then the same of that gradient."""
    graph = session.graph
    weights = [_weights(y, random) for y in session.run(ys, dict(zip(xs, values)))]
    with graph.as_default():
        ws = [_placeholder(w, "weights") for w in weights]
        gs = gradients(ys, xs, grad_ys=ws)
        found = [None if g is None else convert_to_tensor(g) for g in gs]
    feeds = dict(zip([*xs, *ws], [*values, *weights]))
    exact = iter(session.run([g for g in found if g is not None], feeds))
    compute = session.make_callable(ys, feed_list=xs)

    def combination(at: list[np.ndarray]) -> float:
        return float(sum(np.sum((np.conj(w) * y).real) for w, y in zip(weights, compute(*at))))

    for i, (value, g) in enumerate(zip(values, found)):
        expected = _differences(combination, values, i, epsilon)
        actual = np.zeros_like(value) if g is None else next(exact)
        if actual.shape != value.shape:
            raise AssertionError(f"{what} of input {i} has shape {actual.shape}, the input {value.shape}")
        wrong = ~np.isclose(actual, expected, rtol=rtol, atol=atol)
        if wrong.any():
            where = tuple(int(j) for j in np.argwhere(wrong)[0])
            by = "unconnected (None)" if g is None else f"{actual[where]!r}"
            raise AssertionError(
                f"{what} of input {i} is wrong in {int(wrong.sum())} of {wrong.size} elements; "
                f"at {where} it is {by}, finite differences give {expected[where]!r}"
            )
    connected = [g for g in found if g is not None]
    if order > 1 and connected:
        _verify(
            session,
            connected,
            [*xs, *ws],
            [*values, *weights],
            order - 1,
            epsilon,
            rtol,
            atol,
            random,
            what.replace("the gradient", "the gradient of the gradient", 1),
        )


def _differences(
    combination: Callable[[list[np.ndarray]], float], values: list[np.ndarray], i: int, epsilon: float
) -> np.ndarray:
    """Central differences with respect to `values[i]`; d/dRe + 1j d/dIm for complex ones."""
    result = np.zeros_like(values[i])
    moved = [np.array(v) for v in values]  # also of scalars
    for where in np.ndindex(values[i].shape):
        centre = values[i][where]
        step = epsilon * max(1.0, abs(centre))
        for direction in (1.0, 1j) if result.dtype.kind == "c" else (1.0,):
            ends = []
            for sign in (1.0, -1.0):
                moved[i][where] = centre + sign * step * direction
                ends.append(combination(moved))
            result[where] += direction * (ends[0] - ends[1]) / (2 * step)
        moved[i][where] = centre
    return result


def compute_gradient(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> Any:
    """The Jacobian of y with respect to x from `tf.gradients`, and from finite differences.

    Needs a default session.

    Args:
      x: a real tensor that can be fed, or a list of them.
      x_shape: its shape, or a list of shapes.
      y: a real tensor.
      y_shape: its shape.
      x_init_value: where to differentiate, or a list; random if None.
      delta: the step of the differences.
      init_targets: operations to run first.
      extra_feed_dict: other tensors to feed.

    Returns:
      Two matrices of shape [elements of x, elements of y]; a list of such pairs if x is a list.
    """
    session = get_default_session()
    if session is None:
        raise ValueError("compute_gradient needs a default session; call it inside `with tf.Session():`")
    for target in init_targets if isinstance(init_targets, list | tuple) else [init_targets]:
        if target is not None:
            session.run(target)
    is_list = isinstance(x, list | tuple)
    xs = list(x) if is_list else [x]
    shapes = [tuple(int(d) for d in s) for s in (x_shape if is_list else [x_shape])]
    given = list(x_init_value) if is_list and x_init_value is not None else [x_init_value] * len(xs)
    random = np.random.default_rng(0)
    values = [
        np.array(random.uniform(size=shape) if value is None else value, one.dtype.as_numpy_dtype)
        for one, shape, value in zip(xs, shapes, given)
    ]
    feeds = {**dict(zip(xs, values)), **(extra_feed_dict or {})}
    with session.graph.as_default():
        weights = _placeholder(np.zeros([int(d) for d in y_shape], y.dtype.as_numpy_dtype), "weights")
        gs = [None if g is None else convert_to_tensor(g) for g in gradients(y, xs, grad_ys=[weights])]
    pairs = []
    for one, value, g in zip(xs, values, gs):
        size = math.prod(int(d) for d in y_shape)
        exact = np.zeros((value.size, size))
        for j in range(size if g is not None else 0):
            row = np.zeros(size, y.dtype.as_numpy_dtype)
            row[j] = 1
            row = row.reshape(weights.shape.as_list())
            exact[:, j] = session.run(g, {**feeds, weights: row}).ravel()
        numeric = np.zeros((value.size, size))
        for i in range(value.size):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved.flat[i] += sign * delta
                ends.append(np.asarray(session.run(y, {**feeds, one: moved}), np.float64).ravel())
            numeric[i] = (ends[0] - ends[1]) / (2 * delta)
        pairs.append((exact, numeric))
    return pairs if is_list else pairs[0]


def compute_gradient_error(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> float:
    """The largest difference between the two Jacobians of `compute_gradient`."""
    found = compute_gradient(x, x_shape, y, y_shape, x_init_value, delta, init_targets, extra_feed_dict)
    pairs = found if isinstance(found, list) else [found]
    return max((float(np.abs(exact - numeric).max(initial=0.0)) for exact, numeric in pairs), default=0.0)
