"""Functions of a graph that Python defines: `Defun` makes one, and calling it makes one node.

@function.Defun(tf.float32, tf.float32)
def hypot(a, b):
    return tf.sqrt(a * a + b * b)

hypot(x, y)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from headrace.framework import dtypes, nest, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.func_graph import FuncGraph, build, new_function_name
from headrace.framework.graph import Graph, Operation, get_default_graph

__all__ = ["Defun"]


class Defun:
    """A decorator that makes a function of the graph out of a Python function.

    The function is built once for each graph that it is called in. Tensors of that graph that it uses are
    captured.

    Args:
      *input_types: the dtypes of the arguments; without any, those of the first call.
      func_name: its name in the graph's library; that of the Python function by default.
      out_names: accepted; results are known by their positions.
      python_grad_func: a Python function (op, *grads) that differentiates a call.
      grad_func: another `Defun` that does so: it takes the arguments and then the gradients of the results.
      shape_func: a function of the node that returns the shapes of the results.
      noinline: accepted.

    Raises:
      ValueError: if there are two gradients, or not as many dtypes as arguments.
    """

    def __init__(
        self,
        *input_types: Any,
        func_name: str | None = None,
        out_names: Any = None,
        python_grad_func: Callable[..., Any] | None = None,
        grad_func: Any = None,
        shape_func: Callable[[Operation], Any] | None = None,
        noinline: bool = False,
    ):
        del out_names, noinline
        if python_grad_func is not None and grad_func is not None:
            raise ValueError("give grad_func or python_grad_func, not both")
        self._input_types = [dtypes.as_dtype(each) for each in input_types]
        self._name = func_name
        self._gradient = python_grad_func
        if grad_func is not None:
            self._gradient = lambda op, *grads: grad_func(*op.inputs, *grads)
        self._shape_func = shape_func

    def __call__(self, function: Callable[..., Any]) -> DefinedFunction:
        """What `function` becomes."""
        if not callable(function):
            raise ValueError(f"expected a function, got {function!r}")
        parameters = inspect.signature(function).parameters.values()
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        count = len(parameters)
        if self._input_types and not variadic and count != len(self._input_types):
            raise ValueError(
                f"the function takes {count} arguments, {len(self._input_types)} dtypes are given"
            )
        return DefinedFunction(function, self)


class DefinedFunction:
    """What `Defun` makes of a Python function. Calling it with tensors makes a node that calls it."""

    def __init__(self, function: Callable[..., Any], options: Defun):
        self._function = function
        self._options = options
        self._made: dict[Graph, tuple[FuncGraph, str, Any]] = {}

    @property
    def name(self) -> str:
        """The name of the function."""
        return self._options._name or self._function.__name__

    def _definition(self, graph: Graph, arguments: list[Any]) -> tuple[FuncGraph, str, Any]:
        if graph not in self._made:
            inside = FuncGraph(new_function_name(graph, self.name), graph)
            parameters = [inside.argument(a.dtype, None) for a in arguments]
            made = build(inside, self._function, *parameters)
            if made is None:
                made = []
            with inside.as_default():
                results = [convert_to_tensor(leaf) for leaf in nest.flatten(made)]
            results = [inside._here(r) for r in results]
            self._made[graph] = inside, inside.define(results), (made, [r.dtype for r in results])
        return self._made[graph]

    def __call__(self, *args: Any, name: str | None = None) -> Any:
        """Makes a node that calls the function.

        Args:
          *args: as many tensors as it takes.
          name: of the node.

        Returns:
          A tensor if it returns one, a list of tensors if several, the operation if none.

        Raises:
          ValueError: if the number of arguments differs.
        """
        types: list[Any] = list(self._options._input_types) or [None] * len(args)
        if len(args) != len(types):
            raise ValueError(f"{self.name} takes {len(types)} arguments, {len(args)} are given")
        graph = get_default_graph()
        arguments = [convert_to_tensor(arg, dtype) for arg, dtype in zip(args, types)]
        inside, library_name, (structure, result_types) = self._definition(graph, arguments)
        inputs = [*arguments, *inside.captured]
        op = raw.StatefulPartitionedCall if inside.is_stateful else raw.PartitionedCall
        attrs = {} if self._options._gradient is None else {"_gradient_op_type": self._gradient_name(graph)}
        with graph._attr_scope(attrs), graph.control_dependencies(inside.outer_controls):
            made = op(
                inputs,
                Tin=[t.dtype for t in inputs],
                Tout=result_types,
                f=library_name,
                name=name or self.name,
            )
        if isinstance(made, Operation):
            return made
        if self._options._shape_func is not None:
            for tensor, shape in zip(made, self._options._shape_func(made[0].op)):
                tensor.set_shape(shape)
        return list(made) if nest.is_nested(structure) and len(made) > 1 else made[0]

    def _gradient_name(self, graph: Graph) -> str:
        """The name under which the graph knows the gradient of a call."""
        label = f"Defun_{id(self)}"

        def gradient(op: Operation, *grads: Any) -> Any:
            assert self._options._gradient is not None
            found = self._options._gradient(op, *grads)
            found = list(found) if isinstance(found, (list, tuple)) else [found]
            return found + [None] * (len(op.inputs) - len(found))

        graph._gradient_functions[label] = gradient
        return label
