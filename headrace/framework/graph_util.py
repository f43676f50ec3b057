"""Work on graphs as messages: pieces of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from headrace.framework import protos

# Operations that have to be on the CPU if an attribute is one of these dtypes.
_ON_CPU = {
    "Const": ("dtype", ("DT_STRING", "DT_INT32")),
    "Cast": ("SrcT", ("DT_STRING", "DT_INT32")),
    "DynamicStitch": ("T", ("DT_INT32",)),
    "ParallelDynamicStitch": ("T", ("DT_INT32",)),
}


def node_of(input_name: str) -> str:
    """The node that an input is of: "a" of "a", "a:1" and "^a"."""
    return input_name.removeprefix("^").partition(":")[0]


def _check_graph_def(graph_def: Any) -> None:
    if getattr(getattr(graph_def, "DESCRIPTOR", None), "name", None) != "GraphDef":
        raise TypeError(f"graph_def must be a GraphDef message, got {type(graph_def).__name__}")


def extract_sub_graph(graph_def: Any, dest_nodes: Iterable[str]) -> Any:
    """Returns the part of a graph that some of its nodes need, as a new `GraphDef`.

    Args:
        graph_def: The graph.
        dest_nodes: Names of nodes.

    Raises:
        TypeError: If `graph_def` is no `GraphDef`, or `dest_nodes` a single string.
        AssertionError: If a node is not in the graph.
    """
    _check_graph_def(graph_def)
    if isinstance(dest_nodes, (str, bytes)):
        raise TypeError(f"dest_nodes must be a list of names, got {dest_nodes!r}")
    nodes = {node.name: node for node in graph_def.node}
    needed: set[str] = set()
    pending = list(dest_nodes)
    for name in pending:
        if name not in nodes:
            raise AssertionError(f"the graph has no node '{name}'")
    while pending:
        name = pending.pop()
        if name in needed or name not in nodes:
            continue
        needed.add(name)
        pending += map(node_of, nodes[name].input)
    made = type(graph_def)()
    made.node.extend(node for node in graph_def.node if node.name in needed)
    made.library.CopyFrom(graph_def.library)
    made.versions.CopyFrom(graph_def.versions)
    return made


def remove_training_nodes(input_graph: Any, protected_nodes: Iterable[str] | None = None) -> Any:
    """Returns a graph without what only training needs: checks of numbers, and nodes that pass tensors on.

    Args:
        input_graph: The graph, a `GraphDef`.
        protected_nodes: Names of nodes to keep: those that will be fetched.

    Raises:
        TypeError: If `input_graph` is no `GraphDef`.
    """
    _check_graph_def(input_graph)
    protected = set(protected_nodes or ())
    nodes = {node.name: node for node in input_graph.node}
    # A node that waits, or is waited for, says when something happens; so does one of several outputs.
    ordering = {node_of(name) for node in input_graph.node for name in node.input if name.startswith("^")}
    replaced: dict[str, str] = {}
    for node in input_graph.node:
        waits = any(name.startswith("^") for name in node.input)
        if node.op not in ("Identity", "CheckNumerics") or waits:
            continue
        if node.name in protected or node.name in ordering:
            continue
        source = nodes.get(node_of(node.input[0])) if node.input else None
        # Elsewhere, or of a reference, it is a copy.
        if (
            source is None
            or source.op in ("RefSwitch", "RefMerge")
            or (node.op == "Identity" and _moves(source, node))
        ):
            continue
        replaced[node.name] = node.input[0]
    made = type(input_graph)()
    for node in input_graph.node:
        if node.name in replaced:
            continue
        copy = made.node.add()
        copy.CopyFrom(node)
        for i, name in enumerate(copy.input):
            while (stem := name.removesuffix(":0")) in replaced:
                name = replaced[stem]
            copy.input[i] = name
    made.library.CopyFrom(input_graph.library)
    made.versions.CopyFrom(input_graph.versions)
    return made


def _moves(source: Any, node: Any) -> bool:
    return bool(node.device) and node.device != source.device


def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """Whether a node has to be on the CPU where others are on a GPU: some of strings and of 32-bit integers.

    Args:
        node: A `NodeDef` or an operation.
        pin_variables_on_cpu: Whether variables have to be there, too.

    Raises:
        TypeError: If `node` is neither.
    """
    node_def = getattr(node, "node_def", node)
    if getattr(getattr(node_def, "DESCRIPTOR", None), "name", None) != "NodeDef":
        raise TypeError(f"expected an operation or a NodeDef message, got {type(node).__name__}")
    if pin_variables_on_cpu and _is_variable(node_def):
        return True
    decides, dtypes = _ON_CPU.get(node_def.op, ("", ()))
    return bool(decides) and node_def.attr[decides].type in map(protos.DataType.Value, dtypes)


def _is_variable(node_def: Any) -> bool:
    return node_def.op in ("Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable")


def tensor_shape_from_node_def_name(graph: Any, input_name: str) -> Any:
    """Returns the static shape of the tensor that an input's name means: "a" is "a:0"."""
    name = input_name.removeprefix("^")
    return graph.get_tensor_by_name(name if re.search(r":\d+$", name) else f"{name}:0").shape
