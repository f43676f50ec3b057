"""Functions whose gradients their authors give."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Graph, GraphKeys, Operation, Tensor, get_default_graph

_number = itertools.count()


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for a function that says itself how it is differentiated.

    `f(*args)` returns its result, a tensor or several, and a function `grad(*dys)` that is given one gradient
    for each result and returns one for each of `args`. If f reads trainable variables, grad must take
    `variables=`, a list of them, and return two lists: gradients of args, and of those variables.

        @tf.custom_gradient
        def log1pexp(x):
            e = tf.exp(x)
            return tf.log(1 + e), lambda dy: dy * (1 - 1 / (1 + e))

    Args:
      f: the function. Keyword arguments of a call are passed on and not differentiated.

    Returns:
      A function of the same arguments that returns f's result alone.

    Raises:
      TypeError: in a call, if f reads variables that its gradient function does not take.
    """

    @functools.wraps(f)
    def call(*args: Any, **kwargs: Any) -> Any:
        tensors = [convert_to_tensor(arg) for arg in args]
        graph = tensors[0].graph if tensors else get_default_graph()
        first_id = len(graph.get_operations())
        result, grad = f(*tensors, **kwargs)
        results = [convert_to_tensor(r) for r in (result if isinstance(result, list | tuple) else [result])]
        made = graph.get_operations()[first_id:]
        variables = _variables_among(graph, [*(t for op in made for t in op.inputs), *results])
        parameters = inspect.signature(grad).parameters
        takes = "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if variables and not takes:
            raise TypeError(
                f"{f.__name__} reads the variables {[v.name for v in variables]}; "
                "its gradient function has to take variables= and return their gradients too"
            )

        def gradient(op: Operation, *dys: Any) -> list[Any]:
            dys = dys[: len(results)]
            if variables:
                input_grads, variable_grads = grad(*dys, variables=variables)
            else:
                input_grads, variable_grads = grad(*dys), []
            input_grads = list(input_grads) if isinstance(input_grads, list | tuple) else [input_grads]
            if len(input_grads) != len(tensors) or len(variable_grads) != len(variables):
                raise ValueError(
                    f"the gradient function of {f.__name__} returned {len(input_grads)} "
                    f"gradients for {len(tensors)} arguments and {len(variable_grads)} for {len(variables)} "
                    "variables; return one, or None, for each"
                )
            return [None] * len(results) + input_grads + list(variable_grads)

        # One operation between the results and all that they depend on; the function is its gradient.
        name = f"CustomGradient-{next(_number)}"
        graph._gradient_functions[name] = gradient
        with graph.gradient_override_map({"IdentityN": name}):
            outputs = raw.IdentityN([*results, *tensors, *(v.handle for v in variables)])
        found = outputs[: len(results)]
        if not isinstance(result, list | tuple):
            return found[0]
        return type(result)(*found) if hasattr(result, "_fields") else type(result)(found)

    return call


def _variables_among(graph: Graph, tensors: Iterable[Tensor]) -> list[Any]:
    """The trainable variables whose handles or values are among the tensors, each once, in order."""
    by_handle = {v.handle: v for v in graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)}
    found = {}
    for tensor in tensors:
        handle = tensor.op.inputs[0] if tensor.op.type == "ReadVariableOp" else tensor
        if handle in by_handle:
            found[handle] = by_handle[handle]
    return list(found.values())


def grad_pass_through(f: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a function whose gradient is that of the identity: a straight-through estimator.

        rounded = tf.grad_pass_through(tf.round)(x)   # d rounded / d x = 1

    Args:
      f: a function whose one result has the shape and dtype of its one argument.

    Returns:
      A function with the same result.
    """

    @custom_gradient
    @functools.wraps(f)
    def passed(*args: Any, **kwargs: Any) -> Any:
        def grad(*dys: Any, variables: Any = None) -> Any:
            grads = dys[0] if len(dys) == 1 else list(dys)
            return (grads, [None] * len(variables)) if variables is not None else grads

        return f(*args, **kwargs), grad

    return passed
