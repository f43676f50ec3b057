"""Freezing a graph: its variables become constants, also those that functions read.

A variable is followed from its handle to all that gets it: operations that pass it on, and functions, of
which there are copies then that take the value where they took the handle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from headrace.framework import protos
from headrace.framework.graph_def import make_tensor_proto
from headrace.framework.graph_util import extract_sub_graph, node_of

# What can read a constant instead of a variable.
_READ = "ReadVariableOp"
_GATHER = "ResourceGather"
_GATHER_ND = "ResourceGatherNd"


def convert_variables_to_constants(
    sess: Any,
    input_graph_def: Any,
    output_node_names: Iterable[str],
    variable_names_whitelist: Iterable[str] | None = None,
    variable_names_blacklist: Iterable[str] | None = None,
) -> Any:
    """Returns the part of a graph that its outputs need, with the values of variables as constants.

    Args:
        sess: The session with the variables' values.
        input_graph_def: The graph, such as `sess.graph.as_graph_def()`.
        output_node_names: Names of the nodes to keep, without ":0".
        variable_names_whitelist: Names of the variables to convert; by default all.
        variable_names_blacklist: Names of variables that stay variables.

    Raises:
        AssertionError: If an output is not in the graph.
        ValueError: If a variable is used as a constant cannot be: it is changed, say.
        FailedPreconditionError: If a variable has no value.
    """
    graph_def = extract_sub_graph(input_graph_def, output_node_names)
    chosen = None if variable_names_whitelist is None else set(variable_names_whitelist)
    kept = set(variable_names_blacklist or ())
    handles = {
        node.name: _Variable(node.name, node.attr["dtype"].type, node.attr["shape"].shape)
        for node in graph_def.node
        if node.op == "VarHandleOp" and (chosen is None or node.name in chosen) and node.name not in kept
    }
    functions = _Functions(graph_def.library)
    readers = _Body(graph_def.node, handles, functions, inside=False).frozen()
    values = dict(zip(handles, sess.run([_value(sess.graph, name) for name in handles]))) if handles else {}
    made = type(graph_def)()
    made.node.extend(_constant(node, values[node.name]) if node.name in values else node for node in readers)
    made.library.CopyFrom(functions.needed_by(made.node))
    made.versions.CopyFrom(graph_def.versions)
    return made


class _Variable(NamedTuple):
    name: str
    dtype: int
    shape: Any


def _value(graph: Any, handle: str) -> Any:
    """A tensor with the value of a variable."""
    with graph.as_default():
        op = graph.get_operation_by_name(handle)
        for reader in op.outputs[0].consumers():
            if reader.type == _READ and not reader.control_inputs:
                return reader.outputs[0]
    raise ValueError(
        f"nothing reads the variable '{handle}' in the session's graph, so its value is not known"
    )


def _constant(node: Any, value: Any) -> Any:
    made = type(node)(name=node.name, op="Const", device=node.device)
    made.attr["dtype"].CopyFrom(node.attr["dtype"])
    made.attr["value"].tensor.ParseFromString(
        make_tensor_proto(value, dtype=node.attr["dtype"].type).SerializeToString()
    )
    return made


def _functions_of(node: Any) -> list[Any]:
    """The attributes, or parts of one, that name functions which a node calls."""
    found: list[Any] = []
    for value in node.attr.values():
        found += [value.func] if value.HasField("func") else value.list.func
    return found


class _Functions:
    """The functions of a graph, and the copies of them that take values instead of handles."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._by_name = {function.signature.name: function for function in library.function}
        self._made: dict[Any, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def arguments(self, name: str) -> int:
        """How many there are."""
        return len(self._by_name[name].signature.input_arg)

    def frozen(self, name: str, given: dict[int, _Variable], passes: bool) -> str:
        """The name of a copy.

        Args:
            name: of the function.
            given: the variables, by argument.
            passes: whether each of them is also the result of that number: so it is in the body of a loop.
        """
        key = (name, passes, tuple((i, variable.name) for i, variable in sorted(given.items())))
        if key not in self._made:
            copy = type(self._by_name[name])()
            copy.CopyFrom(self._by_name[name])
            number = 0
            while (new_name := f"{name}_frozen_{number}") in self._by_name:
                number += 1
            self._made[key] = copy.signature.name = new_name
            self._by_name[new_name] = copy
            self._freeze(copy, given, passes)
        return self._made[key]

    def _freeze(self, function: Any, given: dict[int, _Variable], passes: bool) -> None:
        signature = function.signature
        for i, variable in given.items():
            signature.input_arg[i].type = variable.dtype
            function.arg_attr.pop(i, None)  # about the handle
        variables = {signature.input_arg[i].name: variable for i, variable in given.items()}
        body = _Body(function.node_def, variables, self, inside=True)
        nodes = body.frozen()
        del function.node_def[:]
        function.node_def.extend(nodes)
        for i, result in enumerate(signature.output_arg):
            tensor = function.ret[result.name]
            passed = body.variables.get(tensor)
            if passed is not None:
                if not passes or given.get(i) != passed:
                    raise ValueError(
                        f"the variable '{passed.name}' that function '{signature.name}' returns cannot "
                        "become a constant; name the variable in variable_names_blacklist"
                    )
                result.type = passed.dtype
            function.ret[result.name] = body.renamed(tensor)

    def needed_by(self, nodes: Sequence[Any]) -> Any:
        """The library with what these nodes call, directly or not."""
        if not self._made:
            return self._library
        needed: set[str] = set()
        pending = list(nodes)
        while pending:
            node = pending.pop()
            for name in [node.op, *(each.name for each in _functions_of(node))]:
                if name in self and name not in needed:
                    needed.add(name)
                    pending += self._by_name[name].node_def
        made = type(self._library)()
        made.function.extend(self._by_name[name] for name in sorted(needed))
        made.gradient.extend(each for each in self._library.gradient if each.function_name in needed)
        return made


class _Body:
    """The nodes of a graph, or `inside` a function, where tensors have other names.

    Attributes:
        variables: by each tensor that is a handle.
    """

    def __init__(
        self, nodes: Sequence[Any], variables: dict[str, _Variable], functions: _Functions, inside: bool
    ) -> None:
        self._nodes = nodes
        self._functions = functions
        self._inside = inside
        self._renamed: dict[str, str] = {}
        self.variables = dict(variables)
        known = -1
        while len(self.variables) > known:  # nodes are in any order
            known = len(self.variables)
            for node in nodes:
                given = self._given(node)
                if node.op == "Identity" or self._is_loop(node):  # what it gets comes out again
                    self.variables.update((self._output(node, i), given[i]) for i in given)

    def _given(self, node: Any) -> dict[int, _Variable]:
        """The variables that a node gets, by input."""
        tensors = [name if self._inside else name.removesuffix(":0") for name in node.input]
        return {i: self.variables[name] for i, name in enumerate(tensors) if name in self.variables}

    def _output(self, node: Any, i: int) -> str:
        if self._inside:
            return f"{node.name}:output:{i}"
        return f"{node.name}:{i}" if i else node.name

    def _is_loop(self, node: Any) -> bool:
        return "body" in node.attr and "cond" in node.attr

    def renamed(self, tensor: str) -> str:
        """What a tensor is called after freezing."""
        return self._renamed.get(tensor, tensor)

    def frozen(self) -> list[Any]:
        """The nodes after freezing."""
        made = []
        for node in self._nodes:
            given = self._given(node)
            made += self._changed(node, given) if given else [node]
        for node in made if self._renamed else ():
            for i, name in enumerate(node.input):
                node.input[i] = self.renamed(name)
        return made

    def _changed(self, node: Any, given: dict[int, _Variable]) -> list[Any]:
        if node.op in (_READ, _GATHER, _GATHER_ND, "Identity"):
            return self._reader(node, given[0])
        called = _functions_of(node)
        if not called and node.op not in self._functions:
            raise ValueError(
                f"the variable that node '{node.name}' ({node.op}) uses cannot become a constant: only reads "
                "can be converted; leave the node out, or name the variable in variable_names_blacklist"
            )
        return [self._call(node, given)]

    def _call(self, node: Any, given: dict[int, _Variable]) -> Any:
        made = type(node)()
        made.CopyFrom(node)
        made.attr.pop("_output_shapes", None)
        inputs = sum(not name.startswith("^") for name in node.input)
        called = _functions_of(made)
        first = inputs - self._functions.arguments(called[0].name if called else node.op)  # after a predicate
        arguments = {i - first: variable for i, variable in given.items()}
        body = made.attr["body"].func if self._is_loop(node) else None
        for each in called:
            each.name = self._functions.frozen(each.name, arguments, each is body)
        if not called:
            made.op = self._functions.frozen(node.op, arguments, False)
        for i, variable in arguments.items():
            for key in ("T", "Tin"):
                if key in made.attr:
                    made.attr[key].list.type[i] = variable.dtype
            if body is not None and made.attr["output_shapes"].list.shape:
                made.attr["output_shapes"].list.shape[i].CopyFrom(variable.shape)
        return made

    def _reader(self, node: Any, variable: _Variable) -> list[Any]:
        """What reads the constant as `node` read the variable."""
        made = type(node)(name=node.name, device=node.device)
        made.input.extend(node.input)
        if node.op in (_READ, "Identity"):
            made.op = "Identity"
            made.attr["T"].type = variable.dtype
            self._renamed[f"{node.name}:value:0"] = f"{node.name}:output:0"
            return [made]
        made.attr["Tparams"].type = variable.dtype
        made.attr["Tindices"].CopyFrom(node.attr["Tindices"])
        if node.op == _GATHER_ND:
            made.op = "GatherNd"
            return [made]
        made.op = "GatherV2"
        axis = type(node)(name=f"{node.name}/axis", op="Const", device=node.device)
        axis.attr["dtype"].type = protos.DT_INT32
        axis.attr["value"].tensor.ParseFromString(
            make_tensor_proto(node.attr["batch_dims"].i, dtype=protos.DT_INT32).SerializeToString()
        )
        made.attr["Taxis"].type = protos.DT_INT32
        made.attr["batch_dims"].i = node.attr["batch_dims"].i
        made.input.insert(2, f"{axis.name}:output:0" if self._inside else axis.name)
        return [axis, made]
