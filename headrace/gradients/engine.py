"""Reverse-mode differentiation: from a graph, the nodes that compute its derivatives.

Gradients flow from `ys` to `xs` through the operations between them, the last made first: in an append-only
graph every operation is younger than what it reads, so its outputs' gradients are complete when its turn
comes. Each operation's own derivative is a row of a table (`registry.py`).
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from headrace import _core
from headrace.framework import errors, raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Graph, Operation, Tensor, graph_of
from headrace.framework.indexed_slices import IndexedSlices
from headrace.gradients import registry

Gradient = Tensor | IndexedSlices


class UnconnectedGradients(enum.Enum):
    """What `tf.gradients` returns for an x that no y depends on: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


class AggregationMethod:
    """How `tf.gradients` adds up the gradients that meet at a tensor.

    ADD_N adds them in one operation; EXPERIMENTAL_TREE pair by pair, so that memory of early ones is free
    sooner; EXPERIMENTAL_ACCUMULATE_N adds them as they come.
    """

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


class MissingGradientError(errors.UnimplementedError, LookupError):
    """An operation between ys and xs has neither a gradient nor a declaration that it has none."""


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: int | None = None,
    stop_gradients: Any = None,
    unconnected_gradients: UnconnectedGradients = UnconnectedGradients.NONE,
) -> list[Any]:
    """Derivatives of the sum of `ys` with respect to each of `xs`, as new nodes of the graph.

    The result for x has x's shape and dtype: the sum over all elements of all ys of their derivative, each
    weighted with the element of `grad_ys` at its place. Variables among xs stand for their values. Complex
    derivatives are d/dRe + 1j d/dIm of the real part.

    Args:
      ys: a tensor or a list of them.
      xs: a tensor or variable, or a list of them.
      grad_ys: a tensor or None for each of ys, of its shape; None stands for ones.
      name: of the scope that the new nodes are made in.
      colocate_gradients_with_ops: put the derivative of each operation onto its device.
      gate_gradients: compute all gradients of an operation before any of them is used.
      aggregation_method: an `AggregationMethod`.
      stop_gradients: tensors that are taken as constant.
      unconnected_gradients: what stands for x where no y depends on it.

    Returns:
      A list with a tensor, `IndexedSlices` (rows of x, as lookups have them) or None for each of xs.

    Raises:
      LookupError: if an operation on the way has no gradient (also an `errors.UnimplementedError`).
      ValueError: if `grad_ys` do not fit `ys`.
      TypeError: if a dtype does not fit, or a y is complex and has no grad_ys.
    """
    ys = [convert_to_tensor(y, name="y") for y in _as_list(ys)]
    xs = [_differentiable(x) for x in _as_list(xs)]
    stops = [_differentiable(x) for x in _as_list([] if stop_gradients is None else stop_gradients)]
    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"there are {len(ys)} ys and {len(given)} grad_ys; give one, or None, for each y")
    method = AggregationMethod.DEFAULT if aggregation_method is None else aggregation_method
    if method not in _SUMS:
        raise ValueError(f"aggregation_method is {method!r}, expected one of AggregationMethod's")
    if not ys or not xs:
        return [None] * len(xs)
    unconnected = UnconnectedGradients(unconnected_gradients)
    graph: Graph = graph_of(ys)
    with graph.as_default(), graph.name_scope(name or "gradients") as scope, _sweep(scope):
        backward = _Backward(graph, method, colocate_gradients_with_ops, gate_gradients)
        backward.run(ys, xs, _initial(graph, ys, given, colocate_gradients_with_ops), stops)
        return [backward.result(x, unconnected) for x in xs]


_sweeps = threading.local()


@contextlib.contextmanager
def _sweep(scope: str) -> Iterator[None]:
    outer = getattr(_sweeps, "name", None)
    _sweeps.name = outer or scope.rstrip("/")
    try:
        yield
    finally:
        _sweeps.name = outer


def sweep_name() -> str:
    """What this call of `gradients` is called, also in the bodies that it differentiates on its way.

    Gradients that meet in state, rather than in the graph, must not meet those of another call there.
    """
    return str(_sweeps.name)


def _as_list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values]


def _differentiable(x: Any) -> Tensor:
    """The tensor that stands for x in the graph: for a variable its handle, which all its readers read."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, IndexedSlices):
        return x.values
    handle = getattr(x, "handle", None)
    return handle if isinstance(handle, Tensor) else convert_to_tensor(x, name="x")


def _initial(graph: Graph, ys: list[Tensor], given: list[Any], colocate: bool) -> list[Gradient | None]:
    """The gradients of ys, checked; ones where none is given."""
    initial: list[Gradient | None] = []
    for i, (y, grad) in enumerate(zip(ys, given)):
        with graph.colocate_with(y.op) if colocate else contextlib.nullcontext():
            if grad is None:
                if y.dtype.is_complex:
                    raise TypeError(
                        f"{y.name} is {y.dtype.name}: the derivative of a complex y needs grad_ys; "
                        "or differentiate its real part"
                    )
                if y.dtype.is_floating or y.dtype.is_integer:
                    one = constant(1, y.dtype, name=f"grad_ys_{i}")
                    initial.append(raw.Fill(raw.Shape(y), one))
                else:
                    initial.append(None)
                continue
            if not isinstance(grad, IndexedSlices):
                grad = convert_to_tensor(grad, dtype=y.dtype, name=f"grad_ys_{i}")
            if grad.dtype != y.dtype:
                raise TypeError(f"{y.name} is {y.dtype.name}, its grad_ys {grad.dtype.name}; cast one")
            if not y.shape.is_compatible_with(grad.shape):
                raise ValueError(
                    f"{y.name} has shape {y.shape}, its grad_ys {grad.shape}; give the same shape"
                )
            initial.append(grad)
    return initial


def is_trainable(tensor: Tensor) -> bool:
    """Whether gradients can flow through a tensor of this dtype."""
    dtype = tensor.dtype
    return dtype.is_floating or dtype.is_complex or dtype.name in ("resource", "variant")


class _Backward:
    """One backward sweep: gradients collected so far, by tensor."""

    def __init__(self, graph: Graph, method: int, colocate: bool, gate: bool):
        self._graph = graph
        self._sum = _SUMS[method]
        self._colocate = colocate
        self._gate = gate
        self._grads: dict[Tensor, list[Gradient]] = {}

    def run(
        self,
        ys: list[Tensor],
        xs: list[Tensor],
        grad_ys: list[Gradient | None],
        stops: list[Tensor],
    ) -> None:
        path, reached = _between(ys, xs, {stop.op for stop in stops})
        for y, grad in zip(ys, grad_ys):
            if grad is not None:
                self._grads.setdefault(y, []).append(grad)
        wanted = set(xs)
        for op, inputs in path:
            out_grads = [self._aggregate(output, keep=output in wanted) for output in op.outputs]
            if all(grad is None for grad in out_grads):
                continue
            function = gradient_function(op)
            if function is None:
                continue
            with self._where(op), self._graph.name_scope(op.name + "_grad"):
                for i, output in enumerate(op.outputs):
                    if out_grads[i] is None and (output.dtype.is_floating or output.dtype.is_complex):
                        out_grads[i] = raw.ZerosLike(output)
                in_grads = _checked(op, inputs, function(op, *out_grads))
                # What nobody asked for is not to be computed because others wait for it.
                in_grads = [g if tensor in reached else None for tensor, g in zip(inputs, in_grads)]
                if self._gate and sum(grad is not None for grad in in_grads) > 1:
                    in_grads = _gated(self._graph, in_grads)
            for tensor, grad in zip(inputs, in_grads):
                if grad is not None:
                    self._grads.setdefault(tensor, []).append(grad)

    def result(self, x: Tensor, unconnected: UnconnectedGradients) -> Gradient | None:
        """What was collected for x."""
        grad = self._aggregate(x, keep=True)
        if grad is None and unconnected is UnconnectedGradients.ZERO:
            return zeros_like(x)
        return grad

    def _where(self, op: Operation) -> contextlib.AbstractContextManager[Any]:
        return self._graph.colocate_with(op) if self._colocate else contextlib.nullcontext()

    def _aggregate(self, tensor: Tensor, keep: bool) -> Gradient | None:
        grads = self._grads.get(tensor)
        if not grads:
            return None
        total = grads[0]
        if len(grads) > 1:
            with self._where(tensor.op):
                if all(isinstance(grad, IndexedSlices) for grad in grads):
                    total = _concatenated(grads)
                else:
                    total = self._sum([_dense(grad) for grad in grads])
        if keep:
            self._grads[tensor] = [total]
        else:
            del self._grads[tensor]
        return total


def _between(
    ys: list[Tensor], xs: list[Tensor], stop_ops: set[Operation]
) -> tuple[list[tuple[Operation, list[Tensor]]], set[Tensor]]:
    """Operations on paths from xs to ys, the last made first, with their inputs; and what depends on xs."""
    inputs: dict[Operation, list[Tensor]] = {}  # of all that ys depend on
    stack = [y.op for y in ys]
    while stack:
        op = stack.pop()
        if op not in inputs:
            inputs[op] = [] if op in stop_ops else op.inputs
            stack.extend(tensor.op for tensor in inputs[op])
    reached = {x for x in xs if is_trainable(x)}
    path: list[tuple[Operation, list[Tensor]]] = []
    for op in sorted(inputs, key=lambda op: op._id):
        if any(tensor in reached for tensor in inputs[op]):
            path.append((op, inputs[op]))
            reached.update(output for output in op.outputs if is_trainable(output))
    path.reverse()
    return path, reached


def gradient_function(op: Operation) -> registry.GradientFunction | None:
    """What differentiates an operation, or None if it is declared not differentiable.

    Raises:
      LookupError: if nobody said anything about it.
    """
    override = op.graph._core.attr(op._id, "_gradient_op_type")
    op_type = op.type if override is None else override[1].decode()
    function = op.graph._gradient_functions.get(op_type)
    if function is not None:
        return function
    if registry.has_row(op_type):
        return registry.lookup(op_type)
    if op_type == op.type and "no_gradient" in _core.op_def(op_type).traits:
        return None
    raise MissingGradientError(
        None,
        op,
        f"[{op.type} '{op.name}'] no gradient is defined for '{op_type}', which lies between ys and xs; "
        f"define one with tf.RegisterGradient('{op_type}'), or cut the path with tf.stop_gradient"
        + (f" (node made at {op.source})" if op.source else ""),
    )


def _checked(op: Operation, inputs: list[Tensor], in_grads: Any) -> list[Gradient | None]:
    """The gradients of an operation's inputs, whose number, dtypes and shapes fit the inputs."""
    grads = list(in_grads) if isinstance(in_grads, list | tuple) else [in_grads]
    if len(grads) != len(inputs):
        raise ValueError(
            f"[{op.type} '{op.name}'] its gradient function returned {len(grads)} gradients for "
            f"{len(inputs)} inputs; return one, or None, for each"
        )
    for i, (tensor, grad) in enumerate(zip(inputs, grads)):
        if grad is None or isinstance(grad, IndexedSlices):
            continue
        if not isinstance(grad, Tensor):
            grad = grads[i] = convert_to_tensor(grad, dtype=tensor.dtype)
        if tensor.dtype.name in ("resource", "variant"):
            continue
        if grad.dtype != tensor.dtype:
            raise TypeError(
                f"[{op.type} '{op.name}'] the gradient of input {i} is {grad.dtype.name}, "
                f"the input is {tensor.dtype.name}; its gradient function has to cast"
            )
        try:
            grad.set_shape(tensor.shape)
        except ValueError as error:
            raise ValueError(
                f"[{op.type} '{op.name}'] the gradient of input {i} has shape {grad.shape}, "
                f"the input has {tensor.shape}; its gradient function has to give the same"
            ) from error
    return grads


def _gated(graph: Graph, grads: Sequence[Gradient | None]) -> list[Gradient | None]:
    """The same gradients, none of them there before all of them are."""
    with graph.control_dependencies([g.op for g in grads if g is not None]):
        return [
            None
            if g is None
            else IndexedSlices(raw.Identity(g.values), g.indices, g.dense_shape)
            if isinstance(g, IndexedSlices)
            else raw.Identity(g)
            for g in grads
        ]


def zeros_like(x: Tensor) -> Tensor:
    """Zeros of the shape of a tensor, or of the variable behind a handle."""
    if x.dtype.name != "resource":
        return raw.ZerosLike(x)
    dtype = x.op.get_attr("dtype")
    return raw.Fill(raw.VariableShape(x), constant(0, dtype))


# ---- sums of gradients


def _dense(grad: Gradient) -> Tensor:
    return convert_to_tensor(grad)


def _concatenated(grads: Iterable[Any]) -> IndexedSlices:
    """The sum of sparse gradients: all their rows."""
    grads = list(grads)
    dtypes = {grad.indices.dtype for grad in grads}
    indices = [grad.indices for grad in grads]
    if len(dtypes) > 1:
        indices = [raw.Cast(i, DstT="int64") for i in indices]
    return IndexedSlices(
        raw.ConcatV2([grad.values for grad in grads], 0),
        raw.ConcatV2(indices, 0),
        next((grad.dense_shape for grad in grads if grad.dense_shape is not None), None),
    )


def _sum_at_once(tensors: list[Tensor]) -> Tensor:
    return raw.AddN(tensors)


def _sum_in_pairs(tensors: list[Tensor]) -> Tensor:
    while len(tensors) > 1:
        pairs = [raw.AddN(tensors[i : i + 2]) for i in range(0, len(tensors) - 1, 2)]
        tensors = pairs + tensors[len(pairs) * 2 :]
    return tensors[0]


def _sum_as_they_come(tensors: list[Tensor]) -> Tensor:
    known = [tensor.shape for tensor in tensors if tensor.shape.is_fully_defined()]
    return raw.AccumulateNV2(tensors, shape=known[0]) if known else raw.AddN(tensors)


_SUMS = {
    AggregationMethod.ADD_N: _sum_at_once,
    AggregationMethod.EXPERIMENTAL_TREE: _sum_in_pairs,
    AggregationMethod.EXPERIMENTAL_ACCUMULATE_N: _sum_as_they_come,
}
