"""Graphs as GraphDef messages: how they come in, and what tensors look like in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import dtypes, protos
from headrace.framework.constant import _shaped, make_array
from headrace.framework.convert import convert_to_tensor
from headrace.framework.func_graph import outermost
from headrace.framework.graph import Operation, Tensor, _user_line, get_default_graph, name_scope
from headrace.framework.shapes import as_shape

# In place of the index of an output: the operation itself is meant.
_WHOLE = -1


def import_graph_def(
    graph_def: Any,
    input_map: dict[str, Any] | None = None,
    return_elements: Any = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Operation | Tensor] | None:
    """Adds the operations of a message to the default graph: all of them, or none and an error.

    Args:
      graph_def: a `GraphDef`. Its nodes may stand in any order.
      input_map: what to read instead of some of its tensors: from a name in the message ("x", "x:1", or "^x"
        for a control edge) to a tensor, or to a value that is converted to one.
      return_elements: names in the message: "x" for an operation, "x:0" for a tensor.
      name: the scope of the new operations, "import" by default; "" for none. A name that is taken already
        gets a number.
      op_dict: ignored.
      producer_op_list: an `OpList` that tells the defaults of attributes that are not known here: those that
        hold their default are dropped.

    Returns:
      The operations and tensors that `return_elements` names, or None without it.

    Raises:
      TypeError: if an argument is of the wrong type.
      ValueError: if the message contradicts itself or the definitions of operations, or does not have what
        `input_map` or `return_elements` names.
      NotFoundError: if there are operations without a definition here; it lists all of them.
    """
    del op_dict
    message = _bytes_of(graph_def, "GraphDef", "graph_def")
    if input_map is None:
        input_map = {}
    if not isinstance(input_map, dict) or not all(isinstance(key, (str, bytes)) for key in input_map):
        raise TypeError(f"input_map must be a dict from names to tensors, got {input_map!r}")
    if return_elements is not None:
        return_elements = tuple(return_elements)
        if not all(isinstance(element, (str, bytes)) for element in return_elements):
            raise TypeError(f"return_elements must be a list of names, got {return_elements!r}")
    graph = get_default_graph()
    graph._check_not_finalized()
    with name_scope(name, "import", [v for v in input_map.values() if isinstance(v, Tensor)]) as scope:
        ids, returned = _core.import_graph_def(
            graph._core,
            message,
            prefix=scope[:-1],
            input_map=[(_text(key), _element_ids(key, value, name)) for key, value in input_map.items()],
            return_elements=[_text(element) for element in return_elements or ()],
            control_inputs=list(dict.fromkeys(graph._control_ids(set()))),
            device=graph._device or "",
            source=_user_line(),
            producer_ops=b""
            if producer_op_list is None
            else _bytes_of(producer_op_list, "OpList", "producer_op_list"),
        )
    graph._imported(ids)
    for function in graph._core.function_names():
        outermost(graph)._function_names.setdefault(function, 0)
    if return_elements is None:
        return None
    operations = [graph._operation(id) for id, _ in returned]
    return [
        op if index == _WHOLE else op.outputs[index]
        for op, (_, index) in zip(operations, returned, strict=True)
    ]


def _bytes_of(message: Any, kind: str, argument: str) -> bytes:
    """The bytes of a message of this kind, ours or that of another package."""
    descriptor = getattr(message, "DESCRIPTOR", None)
    if getattr(descriptor, "name", None) != kind or not hasattr(message, "SerializeToString"):
        raise TypeError(f"{argument} must be a {kind} message, got {type(message).__name__}")
    return message.SerializeToString()


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _element_ids(key: str | bytes, value: Any, name: str | None) -> tuple[int, int]:
    if _text(key).startswith("^"):
        op = value.op if isinstance(value, Tensor) else value
        if not isinstance(op, Operation):
            raise TypeError(f"input_map: {key!r} is a control edge; expected an operation, got {value!r}")
        return op._id, _WHOLE
    if not isinstance(value, Tensor):
        if name == "":
            raise ValueError(
                f"input_map: the value of {key!r} is no tensor; import under a name, or convert it"
            )
        value = convert_to_tensor(value)
    return value._id, value._index


# ---- tensors in messages


def make_tensor_proto(
    values: Any,
    dtype: Any = None,
    shape: Any = None,
    verify_shape: bool = False,
    allow_broadcast: bool = False,
) -> Any:
    """A `TensorProto` that holds the values.

    Args:
      values: a number, a string, an array, nested lists of them, or a `TensorProto`, which is returned.
      dtype: its dtype; by default that of `values`.
      shape: its shape; by default that of `values`. If it has more elements, the last one is repeated.
      verify_shape: whether `values` must have exactly that shape.
      allow_broadcast: ignored.

    Raises:
      TypeError: if `values` do not fit the dtype, or, with `verify_shape`, the shape.
      ValueError: if there are too many values for the shape.
    """
    del allow_broadcast
    if getattr(getattr(values, "DESCRIPTOR", None), "name", None) == "TensorProto":
        return values
    array = make_array(values, None if dtype is None else dtypes.as_dtype(dtype))
    if shape is not None:
        array = _shaped(array, as_shape(shape), verify_shape)
    return protos.TensorProto.FromString(_core.tensor_proto(array))


def make_ndarray(tensor: Any) -> np.ndarray[Any, Any]:
    """The array that a `TensorProto` holds; an array is returned as it is.

    Raises:
      TypeError: if `tensor` is neither.
      ValueError: if the message contradicts itself.
    """
    if isinstance(tensor, np.ndarray):
        return tensor
    return _core.array_of_tensor_proto(_bytes_of(tensor, "TensorProto", "tensor"))
