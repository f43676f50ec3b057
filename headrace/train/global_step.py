"""The variable that counts training steps, one for each graph."""

from __future__ import annotations

from typing import Any

from headrace.framework import dtypes
from headrace.framework.graph import Graph, GraphKeys, Tensor, get_default_graph
from headrace.ops import variable_scope as scopes
from headrace.ops.init import zeros_initializer
from headrace.ops.variables import Variable

__all__ = [
    "assert_global_step",
    "create_global_step",
    "get_global_step",
    "get_or_create_global_step",
    "global_step",
]


def global_step(sess: Any, global_step_tensor: Variable | Tensor) -> int:
    """Runs the global step in a session and returns it as an int."""
    return int(sess.run(global_step_tensor))


def get_global_step(graph: Graph | None = None) -> Variable | Tensor | None:
    """Returns the global step of a graph: of its collection `GLOBAL_STEP`, or named "global_step".

    Args:
        graph: The default graph if None.

    Returns:
        The variable, None if there is none.

    Raises:
        TypeError: If it is not an integer scalar.
    """
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        raise ValueError(f"collection 'global_step' holds {len(found)} variables; keep one")
    if found:
        step = found[0]
    else:
        named = [
            var for var in graph.get_collection(GraphKeys.GLOBAL_VARIABLES) if var.name == "global_step:0"
        ]
        if not named:
            return None
        step = named[0]
    assert_global_step(step)
    return step


def create_global_step(graph: Graph | None = None) -> Variable:
    """Makes the global step of a graph: an int64 variable that starts at 0.

    Raises:
        ValueError: If there is one already.
    """
    graph = graph or get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError("the graph has a global step already; get it with get_global_step()")
    with graph.as_default(), graph.name_scope(None):
        return scopes.get_variable(
            GraphKeys.GLOBAL_STEP,
            shape=[],
            dtype=dtypes.int64,
            initializer=zeros_initializer(),
            trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
        )


def get_or_create_global_step(graph: Graph | None = None) -> Variable | Tensor:
    """Returns the global step of a graph, made if there is none."""
    graph = graph or get_default_graph()
    step = get_global_step(graph)
    return create_global_step(graph) if step is None else step


def assert_global_step(global_step_tensor: Any) -> None:
    """Raises TypeError unless this is an integer scalar variable or tensor."""
    if not isinstance(global_step_tensor, (Variable, Tensor)):
        raise TypeError(f"the global step {global_step_tensor!r} is neither a variable nor a tensor")
    if not global_step_tensor.dtype.base_dtype.is_integer:
        raise TypeError(f"the global step is {global_step_tensor.dtype.name}; it must be an integer")
    shape = global_step_tensor.get_shape()
    if shape.ndims not in (None, 0):
        raise TypeError(f"the global step has shape {shape}; it must be a scalar")
