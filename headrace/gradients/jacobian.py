"""Jacobians and Hessians, built in the graph so that one run computes them.

A Jacobian takes one backward sweep for each of its rows; where it has fewer columns than rows, it takes one
sweep of the sweep for each column instead: J'v is linear in v, and its derivative weighted with e is J e.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Graph, Tensor
from headrace.gradients.engine import _as_list, _differentiable, gradients


def _sizes(tensor: Tensor, what: str, skip: int = 0) -> list[int]:
    shape = tensor.shape
    dims = None if shape.rank is None or shape.rank < skip else shape.as_list()[skip:]
    if dims is None or None in dims:
        raise ValueError(
            f"{what} has shape {shape}; a Jacobian takes a sweep for each of its elements, so their number "
            "has to be known when it is built: set_shape, or reshape to a full shape"
        )
    return [size for size in dims if size is not None]


def _value(x: Any) -> Tensor:
    """x as a tensor with a shape: a variable's value."""
    return x if isinstance(x, Tensor) else convert_to_tensor(x)


def _basis(size: int, i: int, like: Tensor) -> np.ndarray:
    vector = np.zeros(size, like.dtype.as_numpy_dtype)
    vector[i] = 1
    return vector


def _gradient(ys: list[Tensor], x: Any, grad_ys: list[Any]) -> Tensor | None:
    (grad,) = gradients(ys, [x], grad_ys=grad_ys)
    return None if grad is None else convert_to_tensor(grad)


def jacobian(y: Any, x: Any, name: str = "jacobian") -> Any:
    """The derivatives of every element of `y` with respect to every element of `x`.

    Takes as many backward sweeps as the smaller of y and x has elements, all sharing the forward computation.

    Args:
      y: a tensor of real dtype with a full static shape.
      x: a tensor or variable with a full static shape, or a list of them.
      name: of the scope that the new nodes are made in.

    Returns:
      A tensor of shape `y.shape + x.shape`, or None if y does not depend on x; a list if x is one.

    Raises:
      ValueError: if a shape is not fully known.
      LookupError: if an operation between has no gradient.
    """
    y = convert_to_tensor(y)
    with y.graph.as_default(), y.graph.name_scope(name):
        if isinstance(x, list | tuple):
            return [_jacobian(y, one) for one in x]
        return _jacobian(y, x)


def _jacobian(y: Tensor, x: Any) -> Tensor | None:
    y_shape, x_shape = _sizes(y, "y"), _sizes(_value(x), "x")
    rows, columns = math.prod(y_shape), math.prod(x_shape)
    if rows <= columns or y.dtype.is_complex:
        flat = _stacked(
            [_gradient([y], x, [_basis(rows, i, y).reshape(y_shape)]) for i in range(rows)],
            [rows, *x_shape],
            y,
        )
        return None if flat is None else raw.Reshape(flat, y_shape + x_shape)
    weights = raw.PlaceholderWithDefault(np.zeros(y_shape, y.dtype.as_numpy_dtype), shape=y_shape)
    swept = _gradient([y], x, [weights])
    if swept is None:
        return None
    flat = _stacked(
        [_gradient([swept], weights, [_basis(columns, i, y).reshape(x_shape)]) for i in range(columns)],
        [columns, *y_shape],
        y,
    )
    if flat is None:  # nothing of the sweep depends on the weights: y does not vary with x
        return raw.Fill(np.array(y_shape + x_shape, np.int32), np.zeros((), y.dtype.as_numpy_dtype))
    transposed = raw.Transpose(raw.Reshape(flat, [columns, rows]), [1, 0])
    return raw.Reshape(transposed, y_shape + x_shape)


def _stacked(parts: list[Tensor | None], shape: list[int], like: Tensor) -> Tensor | None:
    """The parts along a new first axis; None if none of them is connected."""
    if not parts:
        return raw.Fill(np.array(shape, np.int32), np.zeros((), like.dtype.as_numpy_dtype))
    connected = [part for part in parts if part is not None]
    if not connected:
        return None
    return raw.Pack([raw.ZerosLike(connected[0]) if part is None else part for part in parts], axis=0)


def batch_jacobian(y: Any, x: Any, name: str = "batch_jacobian") -> Tensor | None:
    """The Jacobian of each example of a batch: of `y[b]` with respect to `x[b]` for every b.

    Row b of y must depend on row b of x only. Takes one backward sweep for each element of a row of y,
    whatever the size of the batch, which may be unknown.

    Args:
      y: a tensor of shape [batch, ...], its row shape fully known.
      x: a tensor of shape [batch, ...].
      name: of the scope that the new nodes are made in.

    Returns:
      A tensor of shape `[batch] + y.shape[1:] + x.shape[1:]`, or None if y does not depend on x.

    Raises:
      ValueError: if the shape of the rows of y is not fully known, or the batches differ.
      LookupError: if an operation between has no gradient.
    """
    y, x = convert_to_tensor(y), _value(x)
    row_shape = _sizes(y, "a row of y", skip=1)
    if not y.shape[:1].is_compatible_with(x.shape[:1]):
        raise ValueError(f"y has shape {y.shape}, x has {x.shape}; their first dimensions must agree")
    rows = math.prod(row_shape)
    with y.graph.as_default(), y.graph.name_scope(name):
        batch = raw.StridedSlice(raw.Shape(y), [0], [1], [1], shrink_axis_mask=1)
        flat = raw.Reshape(y, raw.Pack([batch, rows], axis=0))
        parts = []
        for i in range(rows):
            weights = raw.Mul(raw.OnesLike(flat), _basis(rows, i, y))
            parts.append(_gradient([flat], x, [weights]))
        connected = [part for part in parts if part is not None]
        if parts and not connected:
            return None
        shape = raw.ConcatV2(
            [raw.Reshape(batch, [1]), np.array(row_shape, np.int32), raw.Slice(raw.Shape(x), [1], [-1])], 0
        )
        if not parts:
            return raw.Fill(shape, np.zeros((), y.dtype.as_numpy_dtype))
        stacked = raw.Pack([raw.ZerosLike(connected[0]) if p is None else p for p in parts], axis=1)
        result = raw.Reshape(stacked, shape)
        if x.shape.rank is not None:
            result.set_shape([x.shape.as_list()[0], *row_shape, *x.shape.as_list()[1:]])
        return result


def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
) -> list[Tensor]:
    """Second derivatives of the sum of `ys` with respect to each of `xs`.

    Args:
      ys: a tensor or a list of them.
      xs: a tensor or variable of full static shape, or a list of them.
      name: of the scope that the new nodes are made in.
      colocate_gradients_with_ops: see `gradients`.
      gate_gradients: see `gradients`.
      aggregation_method: see `gradients`.

    Returns:
      A list with a tensor of shape `x.shape + x.shape` for each of xs.

    Raises:
      ValueError: if an x's shape is not fully known, or no y depends on it.
      LookupError: if an operation between has no gradient.
    """
    xs = _as_list(xs)
    graph: Graph = _differentiable(xs[0]).graph if xs else convert_to_tensor(_as_list(ys)[0]).graph
    with graph.as_default(), graph.name_scope(name):
        firsts = gradients(
            ys,
            xs,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
            gate_gradients=gate_gradients,
            aggregation_method=aggregation_method,
        )
        found = []
        for i, (x, first) in enumerate(zip(xs, firsts)):
            if first is None:
                raise ValueError(f"no y depends on x number {i}, {_differentiable(x).name}; leave it out")
            first = convert_to_tensor(first)
            first.set_shape(_value(x).shape)
            second = _jacobian(first, x)
            if second is None:  # linear
                shape = _sizes(_value(x), "x")
                second = raw.Fill(np.array(shape + shape, np.int32), np.zeros((), first.dtype.as_numpy_dtype))
            found.append(second)
        return found
