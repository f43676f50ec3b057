"""Graphs of functions: the branches of a condition and the body of a loop, while Python builds them.

A tensor of a graph outside that is used inside becomes an argument of the function (it is *captured*), so a
function computes from its arguments alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from headrace import _core
from headrace.framework import dtypes
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph

# Constants up to this many elements are repeated inside, where what they say about shapes is known. Those of
# floats and complex numbers are not: they say nothing about shapes, and may be asked for their gradient.
_LARGEST_COPIED_CONSTANT = 1024


def flat_ids(tensors: Iterable[Tensor]) -> list[int]:
    """Tensors as the core takes them: id, index, id, index..."""
    return [number for tensor in tensors for number in (tensor._id, tensor._index)]


class FuncGraph(Graph):
    """The graph of a function to be, inside `outer`.

    Attributes:
      outer: the graph that the function belongs to, perhaps one of a function too.
      arguments: the tensors inside that stand for what the caller gives.
      captured: the tensors of `outer` that the arguments after the first `num_parameters` stand for.
      outer_controls: operations of `outer` that something inside waits for: the caller has to.
      targets: operations inside that run whether or not a result needs them.
    """

    building_function = True

    def __init__(self, name: str, outer: Graph):
        super().__init__()
        self.outer = outer
        self.function_name = name
        self.arguments: list[Tensor] = []
        self.captured: list[Tensor] = []
        self.outer_controls: list[Operation] = []
        self.targets: list[Operation] = []
        self._inside: dict[Tensor, Tensor] = {}
        # Variables made inside, summaries and losses belong to the program, not to the function.
        self._collections = outer._collections
        self._gradient_functions = outer._gradient_functions
        self._seed = outer._seed
        # The state of random operations is found by their names, so these differ between functions.
        self._name_stack = name
        _core.share_functions(self._core, outer._core)

    @property
    def num_parameters(self) -> int:
        """How many arguments there are besides the captured ones."""
        return len(self.arguments) - len(self.captured)

    @property
    def _last_id(self) -> int:
        return self.outer._last_id + len(self._ops)

    def argument(self, dtype: Any, shape: Any, name: str = "arg") -> Tensor:
        """Adds an argument after those that there are."""
        with self.control_dependencies(None), self._own_attributes():
            attrs = {"T": dtypes.as_dtype(dtype)._number, "index": len(self.arguments)}
            tensor = self._add("_Arg", [], attrs, self.unique_name(name)).outputs[0]
        tensor.set_shape(shape)
        self.arguments.append(tensor)
        return tensor

    @contextlib.contextmanager
    def _own_attributes(self) -> Iterator[None]:
        outer, self._attr_map = self._attr_map, {}
        try:
            yield
        finally:
            self._attr_map = outer

    def _capture(self, tensor: Tensor) -> Tensor:
        inside = self._inside.get(tensor)
        if inside is None:
            here = self.outer._here(tensor)
            inside = self._inside.get(here)
            if inside is None:
                inside = self._inside[here] = self._bring_in(here)
            self._inside[tensor] = inside
        return inside

    def _bring_in(self, tensor: Tensor) -> Tensor:
        differentiable = tensor.dtype.is_floating or tensor.dtype.is_complex
        small = (tensor.shape.num_elements() or 0) <= _LARGEST_COPIED_CONSTANT
        if tensor.op.type == "Const" and small and not differentiable:
            return self._repeated(tensor)
        inside = self.argument(tensor.dtype, tensor.shape, tensor.op.name.rpartition("/")[2] or "captured")
        if tensor.dtype.name in ("resource", "variant"):
            self.annotate(inside, tensor)
        self.captured.append(tensor)
        return inside

    def _repeated(self, constant: Tensor) -> Tensor:
        """A constant of the same value here."""
        with self.control_dependencies(None), self._own_attributes():
            value = constant.graph._core.constant(constant._id)
            attrs = {"dtype": constant.dtype._number, "value": value}
            return self._add("Const", [], attrs, self.unique_name("const")).outputs[0]

    def annotate(self, inside: Tensor, handle: Tensor) -> None:
        """Tells what the state is that an argument for `handle` refers to."""
        _core.annotate_argument(self._core, inside._id, handle.graph._core, handle._id, handle._index)

    @contextlib.contextmanager
    def control_dependencies(self, control_inputs: Any) -> Iterator[None]:
        """As `Graph.control_dependencies`; what is outside is left to the function's caller to wait for."""
        inside = control_inputs
        if control_inputs is not None:
            inside = []
            for element in control_inputs:
                op = getattr(element, "op", element)
                if isinstance(op, Operation) and op.graph is not self:
                    self.outer_controls.append(op)
                else:
                    inside.append(element)
        with super().control_dependencies(inside):
            yield

    def define(
        self, results: Sequence[Tensor], arguments: Sequence[Tensor] | None = None, name: str | None = None
    ) -> str:
        """Puts the function into the library of `outer`, and returns its name."""
        name = name or self.function_name
        arguments = self.arguments if arguments is None else arguments
        _core.share_functions(self.outer._core, self._core)
        targets = [op._id for op in self.targets]
        _core.define_function(
            self.outer._core, name, self._core, flat_ids(arguments), flat_ids(results), targets
        )
        return name

    @property
    def is_stateful(self) -> bool:
        """Whether anything inside has side effects or reads state."""
        self._sync()
        return any("stateful" in _core.op_def(type).traits for type in {op.type for op in self._ops})


def outermost(graph: Graph) -> Graph:
    """The graph that is not that of a function."""
    while isinstance(graph, FuncGraph):
        graph = graph.outer
    return graph


@contextlib.contextmanager
def init_scope() -> Iterator[None]:
    """A context outside of all functions and control dependencies.

    What a program sets up once, such as a variable, is made there even if it is asked for in a loop's body.
    """
    graph = outermost(get_default_graph())
    with graph.as_default(), graph.control_dependencies(None):
        yield


def new_function_name(graph: Graph, base: str) -> str:
    """A name that no function inside the outermost graph has."""
    names = outermost(graph)._function_names
    name = base = base.strip("/").replace("/", "_")
    while name in names:
        names[base] += 1
        name = f"{base}_{names[base]}"
    names[name] = 0
    return name


def func_graph_of(outer: Graph, name: str, new_name: str) -> tuple[FuncGraph, list[Tensor]]:
    """A graph with a copy of a function of `outer`'s library, to be extended; and its results."""
    graph = FuncGraph(new_name, outer)
    core, arguments, results, targets = _core.function_graph(outer._core, name)
    graph._core = core
    graph._sync()
    graph.targets = [graph._operation(id) for id in targets]
    graph.arguments = [graph._operation(id).outputs[0] for id in arguments]
    ids = iter(results)
    return graph, [graph._operation(id).outputs[index] for id, index in zip(ids, ids)]


def extend(op: Operation, inputs: Sequence[Tensor], attrs: dict[str, Any]) -> list[Tensor]:
    """Gives an operation more inputs and outputs; returns the new outputs."""
    graph = op.graph
    known = len(op._outputs)
    numbers = _core.extend(graph._core, op._id, flat_ids(graph._here(tensor) for tensor in inputs), attrs)
    op._append_outputs(numbers[known:])
    return op._outputs[known:]


def build(graph: FuncGraph, function: Callable[..., Any], *args: Any) -> Any:
    """What `function` returns when it runs with `graph` as the default one."""
    with graph.as_default():
        return function(*args)
