"""What `session.run` takes: nested fetches and feeds of anything that stands for tensors."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable
from typing import Any, NamedTuple

from headrace.framework.graph import Graph, Operation, Tensor
from headrace.framework.indexed_slices import IndexedSlices, IndexedSlicesValue
from headrace.framework.sparse_tensor import SparseTensor, SparseTensorValue


class _Conversion(NamedTuple):
    """How values of one type are fetched and fed."""

    type: type
    fetch: Callable[[Any], tuple[list[Any], Callable[[list[Any]], Any]]]
    feed: Callable[[Any, Any], list[tuple[Any, Any]]] | None
    feed_keys: Callable[[Any], list[Any]] | None


_conversions: list[_Conversion] = []


def register_session_run_conversion_functions(
    tensor_type: type,
    fetch_function: Callable[[Any], tuple[list[Any], Callable[[list[Any]], Any]]],
    feed_function: Callable[[Any, Any], list[tuple[Any, Any]]] | None = None,
    feed_function_for_partial_run: Callable[[Any], list[Any]] | None = None,
) -> None:
    """Lets sessions fetch and feed objects of a type that stands for tensors.

    Args:
      tensor_type: the type.
      fetch_function: from an object to what to fetch in its place, and a function from the list of those
        values to the result.
      feed_function: from an object and a value fed for it to `(tensor, value)` pairs.
      feed_function_for_partial_run: from an object to the tensors that it stands for.

    Raises:
      ValueError: if the type is registered already.
    """
    if any(known.type is tensor_type for known in _conversions):
        raise ValueError(f"{tensor_type.__name__} is registered already")
    _conversions.insert(
        0, _Conversion(tensor_type, fetch_function, feed_function, feed_function_for_partial_run)
    )


def conversion_of(value: Any) -> _Conversion | None:
    """The conversion registered for the type of `value`, the newest first."""
    return next((known for known in _conversions if isinstance(value, known.type)), None)


register_session_run_conversion_functions(
    IndexedSlices,
    lambda fetch: (
        [part for part in (fetch.values, fetch.indices, fetch.dense_shape) if part is not None],
        lambda values: IndexedSlicesValue(*values, *[None] * (3 - len(values))),
    ),
    lambda feed, value: [
        (part, given)
        for part, given in zip((feed.values, feed.indices, feed.dense_shape), value)
        if part is not None
    ],
    lambda feed: [part for part in (feed.values, feed.indices, feed.dense_shape) if part is not None],
)

register_session_run_conversion_functions(
    SparseTensor,
    lambda fetch: (
        [fetch.indices, fetch.values, fetch.dense_shape],
        lambda values: SparseTensorValue(*values),
    ),
    lambda feed, value: list(zip((feed.indices, feed.values, feed.dense_shape), value)),
    lambda feed: [feed.indices, feed.values, feed.dense_shape],
)


def is_namedtuple(value: Any) -> bool:
    """Whether it is an instance of a `collections.namedtuple`."""
    return isinstance(value, tuple) and hasattr(value, "_fields")


class FetchPlan:
    """Nested fetches taken apart: which tensors to compute, what to run, and how results are put together.

    `tensors` has each tensor once; `build(values)` makes the result out of their values.
    """

    def __init__(self, graph: Graph, fetches: Any):
        self._graph = graph
        self.tensors: list[Tensor] = []
        self.targets: list[Operation] = []
        self._positions: dict[Tensor, int] = {}
        self.build = self._take(fetches)

    def _take(self, fetch: Any) -> Callable[[list[Any]], Any]:
        """Takes `fetch` apart; returns the function from the values of `tensors` to its result."""
        if fetch is None:
            raise TypeError("None cannot be fetched; expected a tensor, an operation or a name")
        if isinstance(fetch, (list, tuple)):
            parts = [self._take(part) for part in fetch]
            kind = type(fetch)
            if is_namedtuple(fetch):
                return lambda values: kind(*[part(values) for part in parts])
            if kind is list or kind is tuple:
                return lambda values: kind([part(values) for part in parts])
            return lambda values: [part(values) for part in parts]
        if isinstance(fetch, collections.abc.Mapping):
            named = {key: self._take(part) for key, part in fetch.items()}
            make = type(fetch)
            if isinstance(fetch, collections.defaultdict):
                return lambda values: dict((key, part(values)) for key, part in named.items())
            return lambda values: make((key, part(values)) for key, part in named.items())  # type: ignore[call-arg]
        if not isinstance(fetch, (Tensor, Operation, str)):
            conversion = conversion_of(fetch)
            if conversion is not None:
                elements, contract = conversion.fetch(fetch)
                parts = [self._take(element) for element in elements]
                return lambda values: contract([part(values) for part in parts])
        return self._take_element(fetch)

    def _take_element(self, fetch: Any) -> Callable[[list[Any]], Any]:
        try:
            element = self._graph.as_graph_element(fetch)
        except TypeError as error:
            raise TypeError(f"{fetch!r} of type {type(fetch).__name__} cannot be fetched: {error}") from None
        except (ValueError, KeyError) as error:
            raise ValueError(f"{fetch!r} cannot be fetched: {error.args[0]}") from None
        if not self._graph.is_fetchable(element):
            raise ValueError(f"{element.name} is marked as not to be fetched")
        if isinstance(element, Operation):
            if element not in self.targets:
                self.targets.append(element)
            return lambda values: None
        element = _value_of(element)
        position = self._positions.setdefault(element, len(self.tensors))
        if position == len(self.tensors):
            self.tensors.append(element)
        return lambda values: values[position]


def _value_of(tensor: Tensor) -> Tensor:
    """For the handle of a variable, whose name is the variable's own, the read of its value."""
    if tensor.op.type == "VarHandleOp":
        for reader in tensor.consumers():
            if reader.type == "ReadVariableOp" and not reader.control_inputs:
                return reader.outputs[0]
    return tensor


def feed_tensor(graph: Graph, key: Any) -> Tensor:
    """The tensor that a key of a feed_dict stands for.

    Raises:
      TypeError: if it stands for none.
      ValueError: if it cannot be fed.
    """
    try:
        tensor = graph.as_graph_element(key, allow_operation=False)
    except (TypeError, ValueError, KeyError) as error:
        raise TypeError(f"{key!r} is no tensor that can be fed: {error.args[0]}") from None
    if not graph.is_feedable(tensor):
        raise ValueError(f"{tensor.name} is marked as not to be fed")
    return _value_of(tensor)


def stands_for_several(key: Any) -> bool:
    """Whether a key of a feed_dict is fed through a conversion, so that its value has to be taken apart."""
    return isinstance(key, tuple) or (not isinstance(key, (Tensor, str)) and conversion_of(key) is not None)


def expand_feeds(graph: Graph, feed_dict: Any) -> list[tuple[Tensor, Any]]:
    """`(tensor, value)` of everything that is fed.

    Raises:
      TypeError: if a key stands for no tensor, or `feed_dict` is no dictionary.
    """
    if not isinstance(feed_dict, collections.abc.Mapping):
        raise TypeError(f"feed_dict must be a dict from tensors to values, got {type(feed_dict).__name__}")
    pairs: list[tuple[Tensor, Any]] = []
    for key, value in feed_dict.items():
        if isinstance(key, tuple):  # of tensors, fed by a tuple of values
            if not isinstance(value, (list, tuple)) or len(value) != len(key):
                raise ValueError(f"the key {key!r} of feed_dict needs {len(key)} values")
            pairs += expand_feeds(graph, dict(zip(key, value)))
            continue
        conversion = None if isinstance(key, (Tensor, str)) else conversion_of(key)
        if conversion is not None and conversion.feed is not None:
            pairs += [(feed_tensor(graph, part), given) for part, given in conversion.feed(key, value)]
        else:
            pairs.append((feed_tensor(graph, key), value))
    return pairs
