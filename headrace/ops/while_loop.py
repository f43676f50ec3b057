"""Loops: the body is planned once and run as often as its condition is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headrace.framework import nest, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import int32
from headrace.framework.func_graph import FuncGraph, build, new_function_name
from headrace.framework.graph import Tensor, get_default_graph, name_scope
from headrace.framework.indexed_slices import IndexedSlices
from headrace.framework.shapes import TensorShape, as_shape
from headrace.ops.cond import _leaves, _packed, predicate, share_captures

__all__ = ["while_loop"]


def _shapes_of(structure: Any, invariants: Any, tensors: list[Tensor]) -> list[TensorShape]:
    """The static shape of each loop variable in every iteration."""
    if invariants is None:
        return [tensor.shape for tensor in tensors]
    flat = []
    for shape in _flatten_shapes(invariants):
        flat += (
            [shape.values.shape, shape.indices.shape]
            if isinstance(shape, IndexedSlices)
            else [as_shape(shape)]
        )
    if len(flat) != len(tensors):
        raise ValueError(
            f"there are {len(tensors)} loop variables and {len(flat)} shape_invariants; give one for each"
        )
    for tensor, shape in zip(tensors, flat):
        if not shape.is_compatible_with(tensor.shape):
            raise ValueError(
                f"{tensor.name} has shape {tensor.shape}, which its shape invariant {shape} does not allow"
            )
    return flat


def _flatten_shapes(invariants: Any) -> list[Any]:
    """The shapes of a nested structure; a TensorShape is a leaf though it can be iterated."""
    if isinstance(invariants, (list, tuple)):
        return [shape for part in invariants for shape in _flatten_shapes(part)]
    if isinstance(invariants, dict):
        return [shape for key in sorted(invariants) for shape in _flatten_shapes(invariants[key])]
    return [invariants]


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """Replaces loop variables by `body(*loop_vars)` for as long as `cond(*loop_vars)` is true.

    Args:
      cond: takes the loop variables, returns a boolean scalar.
      body: takes the loop variables, returns their next values: same structure, dtypes and shapes.
      loop_vars: the first values: tensors (or what becomes one), nested in lists, tuples and dicts.
      shape_invariants: a less specific shape for each variable whose shape changes.
      parallel_iterations: accepted; iterations run one after the other.
      back_prop: whether gradients flow through the loop.
      swap_memory: accepted; nothing needs it here.
      name: of the scope.
      maximum_iterations: an integer scalar at which to stop in any case.
      return_same_structure: return a list for a list of one tensor, not the tensor.

    Returns:
      The last values, in the structure of `loop_vars`.

    Raises:
      TypeError: if `cond` or `body` is not callable, or the body changes a dtype.
      ValueError: if there is no loop variable, or the body changes the structure or a shape.
    """
    del swap_memory
    for label, function in (("cond", cond), ("body", body)):
        if not callable(function):
            raise TypeError(f"{label} must be callable, got {function!r}")
    if parallel_iterations < 1:
        raise TypeError(f"parallel_iterations must be a positive integer, got {parallel_iterations}")
    if not nest.flatten(loop_vars):
        raise ValueError("a loop needs at least one loop variable")
    if not isinstance(loop_vars, (list, tuple)):
        loop_vars = [loop_vars]
        single = True
    else:
        single = len(nest.flatten(loop_vars)) == 1
    with name_scope(name, "while", _leaves(loop_vars)) as scope:
        structure = nest.map_structure(
            lambda leaf: (
                leaf
                if hasattr(leaf, "build_from") or isinstance(leaf, IndexedSlices)
                else convert_to_tensor(leaf)
            ),
            loop_vars,
        )
        loop = _Loop(scope, structure, shape_invariants)
        results = loop.make(cond, body, maximum_iterations, parallel_iterations)
        if not back_prop:
            results = [raw.StopGradient(tensor) for tensor in results]
        packed = _packed(structure, results)
    return packed[0] if single and not return_same_structure else packed


class _Loop:
    """A loop while it is built."""

    def __init__(self, scope: str, structure: Any, invariants: Any):
        self.scope = scope
        self.structure = structure
        self.outer = get_default_graph()
        self.initial = [convert_to_tensor(leaf) for leaf in _leaves(structure)]
        self.shapes = _shapes_of(structure, invariants, self.initial)

    def _graph(self, label: str) -> FuncGraph:
        """A function of the loop variables."""
        graph = FuncGraph(new_function_name(self.outer, self.scope + label), self.outer)
        for tensor, shape in zip(self.initial, self.shapes):
            inside = graph.argument(tensor.dtype, shape, tensor.op.name.rpartition("/")[2])
            if tensor.dtype.name in ("resource", "variant"):
                graph.annotate(inside, tensor)
        return graph

    def make(self, cond: Any, body: Any, maximum: Any, parallel_iterations: int) -> list[Tensor]:
        counted = maximum is not None
        if counted:  # one more variable in front
            self.initial.insert(0, convert_to_tensor(0, int32, name="iteration_counter"))
            self.shapes.insert(0, TensorShape([]))
            limit = convert_to_tensor(maximum, int32, name="maximum_iterations")
        cond_graph, body_graph = self._graph("cond"), self._graph("body")

        def variables(graph: FuncGraph) -> Any:
            return _packed(self.structure, graph.arguments[counted : len(self.initial)])

        def condition() -> Tensor:
            truth = predicate(cond(*variables(cond_graph)))
            return raw.LogicalAnd(raw.Less(cond_graph.arguments[0], limit), truth) if counted else truth

        def next_values() -> list[Tensor]:
            made = body(*variables(body_graph))
            if not isinstance(made, (list, tuple)) or (
                len(self.structure) == 1 and _is_the_variable(made, self.structure)
            ):
                made = [made]
            # Lists and tuples stand for each other at the top, as programs mix them.
            made = (
                type(self.structure)(made)
                if not hasattr(self.structure, "_fields")
                else type(self.structure)(*made)
            )
            nest.assert_same_structure(self.structure, made, check_types=False)
            flat = [convert_to_tensor(leaf) for leaf in _leaves(made)]
            if counted:
                flat.insert(0, raw.AddV2(body_graph.arguments[0], 1))
            return [body_graph._here(leaf) for leaf in flat]

        truth = cond_graph._here(build(cond_graph, condition))
        results = build(body_graph, next_values)
        self._check(results)
        captured = share_captures([cond_graph, body_graph])
        invariant = body_graph.arguments[len(self.initial) :]
        cond_name, body_name = cond_graph.define([truth]), body_graph.define([*results, *invariant])
        inputs = [*self.initial, *captured]
        op = raw.While if cond_graph.is_stateful or body_graph.is_stateful else raw.StatelessWhile
        with self.outer.control_dependencies(cond_graph.outer_controls + body_graph.outer_controls):
            made = op(
                inputs, T=[tensor.dtype for tensor in inputs], cond=cond_name, body=body_name,
                parallel_iterations=parallel_iterations, name="while",
            )  # fmt: skip
        return list(made)[int(counted) : len(self.initial)]

    def _check(self, results: list[Tensor]) -> None:
        for initial, shape, result in zip(self.initial, self.shapes, results):
            if initial.dtype != result.dtype:
                raise TypeError(
                    f"loop variable {initial.name} is {initial.dtype.name}, the body makes it "
                    f"{result.dtype.name}; cast it"
                )
            if not _allows(shape, result.shape):
                raise ValueError(
                    f"loop variable {initial.name} has shape {shape}, the body makes it {result.shape}; "
                    "give a shape_invariants that allows both, or tensor.set_shape in the body"
                )


def _is_the_variable(made: Any, structure: Any) -> bool:
    """Whether the body returned the one variable itself, which is a list or tuple, not a list of it."""
    return nest.is_nested(structure[0]) and not (len(made) == 1 and nest.is_nested(made[0]))


def _allows(shape: TensorShape, other: TensorShape) -> bool:
    """Whether every tensor of the second static shape has the first."""
    if shape.ndims is None:
        return True
    if other.ndims != shape.ndims:
        return False
    return all(a is None or a == b for a, b in zip(shape.as_list(), other.as_list()))
