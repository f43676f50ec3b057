"""Makes the functions of `headrace.framework.raw` out of the registry's definitions."""

from __future__ import annotations

import collections
import keyword
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from headrace import _core
from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.errors import NotFoundError
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph


class _Input(NamedTuple):
    """What there is to know of an input when an operation is made."""

    name: str
    dtype: dtypes.DType | None  # fixed
    type_attr: str
    number_attr: str
    is_type_list: bool
    default_dtype: dtypes.DType | None
    allowed: frozenset[int]  # dtype numbers; empty for any


class _Spec:
    """A definition, prepared for `_apply`."""

    __slots__ = ("has_lists", "inputs", "lengths", "name", "result", "type_attrs", "type_list_attrs")

    def __init__(self, op: _core.OpDef):
        attrs = {attr.name: attr for attr in op.attrs}
        self.name = op.name
        self.type_attrs = [a.name for a in op.attrs if a.type == "type"]
        self.type_list_attrs = [a.name for a in op.attrs if a.type == "list(type)"]
        self.inputs = []
        for arg in op.inputs:
            attr = attrs.get(arg.type_attr)
            default = attr.default if attr and attr.type == "type" and attr.has_default else None
            self.inputs.append(
                _Input(
                    arg.name,
                    dtypes.as_dtype(arg.dtype) if arg.dtype else None,
                    "" if arg.is_type_list else arg.type_attr,
                    arg.number_attr,
                    arg.is_type_list,
                    None if default is None else dtypes.as_dtype(default),
                    frozenset(attr.allowed_dtypes) if attr else frozenset(),
                )
            )
        self.has_lists = any(arg.is_list for arg in op.inputs)
        self.lengths = [arg.number_attr or (arg.type_attr if arg.is_type_list else "") for arg in op.outputs]
        self.result = (
            collections.namedtuple(op.name, [_python_name(arg.name) for arg in op.outputs])
            if len(op.outputs) > 1
            else None
        )

    def outputs(self, op: Operation) -> Any:
        """What the function returns."""
        outputs = op._outputs
        if not self.lengths:
            return op
        if self.lengths == [""]:
            return outputs[0]
        results: list[Any] = []
        position = 0
        for length in self.lengths:
            if length:
                value = op._graph._core.attr(op._id, length)[1]
                count = value if isinstance(value, int) else len(value)
                results.append(outputs[position : position + count])
                position += count
            else:
                results.append(outputs[position])
                position += 1
        return results[0] if self.result is None else self.result(*results)


def _python_name(name: str) -> str:
    return name + "_" if keyword.iskeyword(name) else name


def _graph_of(values: Sequence[Any]) -> Graph:
    """The graph of the tensors among arguments, lists among them too; else the default graph."""
    current = get_default_graph()
    if current.building_function:
        return current  # it captures what is outside
    found: Graph | None = None
    for value in values:
        if isinstance(value, Tensor):
            graph = value._op._graph
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], Tensor):
            graph = value[0]._op._graph
        else:
            continue
        if found is None:
            found = graph
        elif found is not graph:
            raise ValueError(f"{value!r} is from another graph than the other inputs; build all in one graph")
    return found or current


def _given_dtype(value: Any) -> dtypes.DType | None:
    """The dtype of what has one that it cannot change."""
    dtype = getattr(value, "dtype", None)
    return dtype if isinstance(dtype, dtypes.DType) else None


def _implied_dtypes(spec: _Spec, values: Sequence[Any], attrs: dict[str, Any]) -> dict[str, dtypes.DType]:
    """The dtype that each type attribute has because of an attribute or a tensor."""
    known = {name: dtypes.as_dtype(attrs[name]) for name in spec.type_attrs if attrs.get(name) is not None}
    for arg, value in zip(spec.inputs, values):
        if not arg.type_attr or arg.type_attr in known:
            continue
        items = value if arg.number_attr and isinstance(value, (list, tuple)) else (value,)
        for item in items:
            dtype = _given_dtype(item)
            if dtype is not None:
                known[arg.type_attr] = dtype
                break
    return known


def _convert(spec: _Spec, arg: _Input, value: Any, dtype: Any, name: str) -> Tensor:
    hint = arg.default_dtype if dtype is None else None
    try:
        return convert_to_tensor(value, dtype, name, hint)
    except TypeError as error:
        if dtype is not None:
            given = _given_dtype(value)
            what = f"a {given.name} tensor" if given else f"{value!r} of type {type(value).__name__}"
            raise TypeError(
                f"[{spec.name}] input '{arg.name}' must be {dtype.name}, got {what}; convert it with tf.cast"
            ) from error
        raise TypeError(f"[{spec.name}] input '{arg.name}': {error}") from error
    except ValueError as error:
        raise ValueError(f"[{spec.name}] input '{arg.name}': {error}") from error


def _convert_all(spec: _Spec, values: Sequence[Any], attrs: dict[str, Any]) -> list[Tensor]:
    known = _implied_dtypes(spec, values, attrs)
    tensors: list[Tensor] = []
    for arg, value in zip(spec.inputs, values):
        if arg.number_attr or arg.is_type_list:
            if not isinstance(value, (list, tuple)):
                raise TypeError(
                    f"[{spec.name}] input '{arg.name}' must be a list of tensors, got {value!r} "
                    f"of type {type(value).__name__}"
                )
            if arg.is_type_list:
                given = attrs.get(arg.type_attr)
                types = [None] * len(value) if given is None else [dtypes.as_dtype(each) for each in given]
                if len(types) != len(value):
                    raise ValueError(
                        f"[{spec.name}] input '{arg.name}' has {len(value)} tensors, '{arg.type_attr}' "
                        f"{len(types)} types"
                    )
                tensors += [
                    _convert(spec, arg, item, dtype, f"{arg.name}_{i}")
                    for i, (item, dtype) in enumerate(zip(value, types))
                ]
                continue
            for i, item in enumerate(value):
                dtype = arg.dtype or known.get(arg.type_attr)
                tensors.append(_convert(spec, arg, item, dtype, f"{arg.name}_{i}"))
                if arg.type_attr:
                    known.setdefault(arg.type_attr, tensors[-1]._dtype)
            attrs.setdefault(arg.number_attr, len(value))
            continue
        tensor = _convert(spec, arg, value, arg.dtype or known.get(arg.type_attr), arg.name)
        if arg.type_attr:
            known.setdefault(arg.type_attr, tensor._dtype)
        tensors.append(tensor)
    return tensors


def _are_tensors(spec: _Spec, values: Sequence[Any]) -> bool:
    """Whether there is nothing to convert."""
    if spec.has_lists:
        return False
    for value, arg in zip(values, spec.inputs):
        if type(value) is not Tensor or (arg.dtype is not None and arg.dtype is not value._dtype):
            return False
    return True


def _apply(spec: _Spec, values: tuple[Any, ...], attrs: dict[str, Any], name: str | None) -> Any:
    graph = _graph_of(values)
    attrs = {key: value for key, value in attrs.items() if value is not None}
    for key in spec.type_attrs:
        if key in attrs:
            attrs[key] = dtypes.as_dtype(attrs[key])._number
    for key in spec.type_list_attrs:
        if key in attrs:
            attrs[key] = [dtypes.as_dtype(each)._number for each in attrs[key]]
    node_name = graph._op_name(name or spec.name)
    if _are_tensors(spec, values):
        tensors: Sequence[Tensor] = values
    else:
        # Constants that are made of arguments are named "<this operation>/<argument>".
        outer = graph._name_stack
        graph._name_stack = node_name
        try:
            if graph is get_default_graph():
                tensors = _convert_all(spec, values, attrs)
            else:
                with graph.as_default():
                    tensors = _convert_all(spec, values, attrs)
        finally:
            graph._name_stack = outer
    return spec.outputs(graph._add(spec.name, tensors, attrs, node_name))


def _documentation(op: _core.OpDef) -> str:
    def line(name: str, kind: str) -> str:
        return f"  {name}: {kind}"

    def type_of(arg: _core.ArgDef) -> str:
        one = dtypes.as_dtype(arg.dtype).name if arg.dtype else arg.type_attr
        return f"a list of {arg.number_attr} tensors of {one}" if arg.number_attr else f"a tensor of {one}"

    lines = [op.doc, "", "Args:"]
    lines += [line(_python_name(arg.name), type_of(arg)) for arg in op.inputs]
    for attr in op.attrs:
        default = f", by default {attr.default!r}" if attr.has_default else ""
        lines.append(line(_python_name(attr.name), f"{attr.type}{default}"))
    lines += [line("name", "the name of the operation"), "", "Returns:"]
    lines += [line(_python_name(arg.name), type_of(arg)) for arg in op.outputs] or ["  the operation"]
    return "\n".join(lines)


def make(name: str) -> Callable[..., Any]:
    """The function that adds operations of this type. NotFoundError, with near names, if there is none."""
    op = _core.op_def(name)
    inputs = [_python_name(arg.name) for arg in op.inputs]
    attrs = [(attr.name, _python_name(attr.name)) for attr in op.attrs]
    attrs = [(attr, python) for attr, python in attrs if python not in inputs and python != "name"]
    parameters = ", ".join([*inputs, "*", *[f"{python}=None" for _, python in attrs], "name=None"])
    if inputs:
        parameters = ", ".join([*inputs, *[f"{python}=None" for _, python in attrs], "name=None"])
    given = ", ".join(f"{attr!r}: {python}" for attr, python in attrs)
    values = "".join(f"{python}, " for python in inputs)
    source = f"def {name.lstrip('_')}({parameters}): return _apply(_spec, ({values}), {{{given}}}, name)"
    scope: dict[str, Any] = {"_apply": _apply, "_spec": _Spec(op)}
    exec(compile(source, "<headrace>", "exec"), scope)
    function = scope[name.lstrip("_")]
    function.__doc__ = _documentation(op)
    function.__module__ = "headrace.framework.raw"
    return function


__all__ = ["Any", "Callable", "NotFoundError", "make"]
