"""What orders and watches a computation without changing its values."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Operation, Tensor, control_dependencies, name_scope
from headrace.framework.indexed_slices import IndexedSlices

__all__ = ["Assert", "Print", "group", "no_op", "print", "timestamp", "tuple"]

_tuple = tuple  # the names of builtins are public functions of this module
_print = print


def no_op(name: str | None = None) -> Operation:
    """An operation that does nothing: something to wait for, or to hang control inputs on."""
    return raw.NoOp(name=name)


def _flatten(values: Any) -> list[Any]:
    if isinstance(values, dict):
        return [leaf for key in sorted(values) for leaf in _flatten(values[key])]
    if isinstance(values, list | _tuple):
        return [leaf for value in values for leaf in _flatten(value)]
    return [values]


def _operation(value: Any) -> Operation:
    """The operation that makes a value available."""
    if isinstance(value, Operation):
        return value
    op = getattr(value, "op", None)
    if not isinstance(op, Operation):
        raise TypeError(f"expected operations, tensors or variables, got {value!r}")
    return op


def group(*inputs: Any, name: str | None = None) -> Operation:
    """One operation that is done when all inputs are.

    Args:
      *inputs: operations, tensors or variables, or nested lists, tuples and dicts of them.
      name: of the operation.

    Raises:
      TypeError: if an input is something else.
    """
    operations = [_operation(value) for value in _flatten(inputs)]
    with name_scope(name, "group_deps", operations) as scope, control_dependencies(operations):
        return no_op(name=scope)


def with_dependencies(
    dependencies: Sequence[Any], output_tensor: Any, name: str | None = None
) -> Tensor | IndexedSlices:
    """A tensor of the same value, available only after all of `dependencies`.

    Args:
      dependencies: operations or tensors.
      output_tensor: a tensor, or `IndexedSlices`.
      name: of the operation.
    """
    operations = [_operation(d) for d in dependencies]
    with name_scope(name, "control_dependency", operations) as scope, control_dependencies(operations):
        if not isinstance(output_tensor, IndexedSlices):
            return raw.Identity(output_tensor, name=scope)
        values = raw.Identity(output_tensor.values, name=scope)
        return IndexedSlices(values, output_tensor.indices, output_tensor.dense_shape)


def tuple(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """Tensors of the same values, each available only after all of them.

    Args:
      tensors: a list of tensors, `IndexedSlices` or None.
      name: of the scope.
      control_inputs: operations or tensors to wait for as well.

    Returns:
      A list with one for each of `tensors`, None for None.

    Raises:
      ValueError: if there is no tensor at all.
    """
    given = [t if t is None or isinstance(t, IndexedSlices) else convert_to_tensor(t) for t in tensors]
    waits = [t.op for t in given if t is not None] + [_operation(c) for c in control_inputs or ()]
    if not any(t is not None for t in given):
        raise ValueError(f"expected at least one tensor, got {list(tensors)!r}")
    with name_scope(name, "tuple", waits):
        gate = group(*waits)
        return [None if t is None else with_dependencies([gate], t) for t in given]


def Assert(
    condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None
) -> Operation:
    """An operation that fails if a condition is false.

    It has to be run, or waited for:

        with tf.control_dependencies([tf.Assert(tf.reduce_all(x > 0), [x])]):
            y = tf.log(x)

    Args:
      condition: a bool scalar.
      data: tensors to show in the error's message.
      summarize: how many elements of each to show; 3 if None.
      name: of the scope.

    Raises:
      InvalidArgumentError: in the step, if `condition` is false.
    """
    with name_scope(name, "Assert", [condition, *data]):
        condition = convert_to_tensor(condition, name="Condition")
        return raw.Assert(
            condition,
            [convert_to_tensor(d) for d in data],
            summarize=3 if summarize is None else summarize,
            name="Assert",
        )


def timestamp(name: str | None = None) -> Tensor:
    """Seconds since 1970 when it runs, a float64 scalar."""
    return raw.Timestamp(name=name)


def Print(
    input_: Any,
    data: Sequence[Any],
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """A tensor of the same value that prints other tensors to the error stream whenever it is computed.

    Args:
      input_: the tensor to pass on.
      data: the tensors to print.
      message: printed before them.
      first_n: print in the first so many runs only.
      summarize: how many elements of each to print; 3 if None, all if negative.
      name: of the operation.
    """
    return raw.Print(
        input_,
        [convert_to_tensor(d) for d in data],
        message=message or "",
        first_n=-1 if first_n is None else first_n,
        summarize=3 if summarize is None else summarize,
        name=name,
    )


def print(*inputs: Any, **kwargs: Any) -> Operation:
    """An operation that prints tensors, and whatever else, as Python's print does.

    It has to be run, or waited for. Tensors may be nested in lists, tuples and dicts.

    Args:
      *inputs: what to print.
      **kwargs: `output_stream` (sys.stderr, sys.stdout or "file://path"; the error stream by default), `end`,
        `sep`, `summarize` (how many elements at each end of each dimension; 3, or all if -1), `name`.

    Raises:
      ValueError: if `output_stream` is something else.
      TypeError: if there are other keyword arguments.
    """
    output_stream = kwargs.pop("output_stream", sys.stderr)
    end, sep = kwargs.pop("end", "\n"), kwargs.pop("sep", " ")
    summarize, name = kwargs.pop("summarize", 3), kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"unexpected arguments {sorted(kwargs)}")
    streams = {id(sys.stderr): "stderr", id(sys.stdout): "stdout"}
    stream = output_stream if isinstance(output_stream, str) else streams.get(id(output_stream))
    if stream is None or not (stream in ("stderr", "stdout") or stream.startswith(("file://", "log("))):
        raise ValueError(
            f"output_stream is {output_stream!r}, expected sys.stderr, sys.stdout or 'file://path'"
        )
    tensors: list[Tensor] = []
    parts = [_written(value, tensors, top=True) for value in inputs]
    texts = [part for items in parts for part in items if part is not None]
    placeholder = "{}"
    while any(placeholder in text for text in [*texts, sep]):
        placeholder = "{" + placeholder + "}"
    template = sep.join("".join(placeholder if p is None else p for p in items) for items in parts)
    if (
        len(tensors) == 1
        and template == placeholder
        and tensors[0].dtype.name == "string"
        and not tensors[0].shape.rank
    ):
        text = tensors[0]
    else:
        text = raw.StringFormat(
            tensors,
            template=template,
            placeholder=placeholder,
            summarize=summarize,
            name=name and name + "_text",
        )
    return raw.PrintV2(text, output_stream=stream, end=end, name=name)


def _written(value: Any, tensors: list[Tensor], top: bool = False) -> list[str | None]:
    """The text of a value, in pieces; None stands for the next tensor."""
    if isinstance(value, dict):
        items = [[repr(key) + ": ", *_written(v, tensors)] for key, v in value.items()]
        return ["{", *_joined(items), "}"]
    if isinstance(value, list):
        return ["[", *_joined([_written(v, tensors) for v in value]), "]"]
    if isinstance(value, _tuple):
        fields = getattr(value, "_fields", None)
        if fields is not None:
            named = [[f + "=", *_written(v, tensors)] for f, v in zip(fields, value)]
            return [type(value).__name__ + "(", *_joined(named), ")"]
        return ["(", *_joined([_written(v, tensors) for v in value]), ",)" if len(value) == 1 else ")"]
    if isinstance(value, Tensor) or (
        hasattr(value, "dtype") and isinstance(getattr(value, "op", None), Operation)
    ):
        tensors.append(convert_to_tensor(value))
        return [None]
    return [str(value) if top else repr(value)]


def _joined(items: list[list[str | None]]) -> list[str | None]:
    joined: list[str | None] = []
    for i, item in enumerate(items):
        joined += [", ", *item] if i else item
    return joined
