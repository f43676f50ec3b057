"""Nested structures: lists, tuples, named tuples and dicts of things."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def is_nested(value: Any) -> bool:
    """Whether `value` is a list, tuple or dict (strings and arrays are not)."""
    return isinstance(value, (list, tuple, Mapping))


def _items(value: Any) -> list[Any]:
    """The parts of a structure in order; those of a dict by sorted key."""
    return [value[key] for key in sorted(value)] if isinstance(value, Mapping) else list(value)


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order. What is no structure is its own only leaf."""
    return (
        [leaf for part in _items(structure) for leaf in flatten(part)]
        if is_nested(structure)
        else [structure]
    )


def _rebuild(like: Any, parts: list[Any]) -> Any:
    if isinstance(like, Mapping):
        by_key = dict(zip(sorted(like), parts))
        return type(like)((key, by_key[key]) for key in like)  # type: ignore[call-arg]
    if hasattr(like, "_fields"):
        return type(like)(*parts)
    return type(like)(parts)


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if not is_nested(structure):
        return next(leaves)
    return _rebuild(structure, [_pack(part, leaves) for part in _items(structure)])


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """A structure like `structure` with other leaves.

    Raises:
      ValueError: if there are more or fewer than it has.
    """
    leaves = list(flat_sequence)
    count = len(flatten(structure))
    if len(leaves) != count:
        raise ValueError(f"the structure has {count} leaves, {len(leaves)} are given: {structure!r}")
    return _pack(structure, iter(leaves))


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True) -> None:
    """Checks that two structures differ in their leaves only.

    Raises:
      ValueError: if they are nested in different ways.
      TypeError: if `check_types` and the types of the structures differ.
    """
    if is_nested(nest1) != is_nested(nest2):
        raise ValueError(f"the structures differ: {nest1!r} against {nest2!r}")
    if not is_nested(nest1):
        return
    if check_types and type(nest1) is not type(nest2):
        raise TypeError(f"the structures differ: a {type(nest1).__name__} against a {type(nest2).__name__}")
    if isinstance(nest1, Mapping) and isinstance(nest2, Mapping) and set(nest1) != set(nest2):
        raise ValueError(f"the structures differ in their keys: {sorted(nest1)} against {sorted(nest2)}")
    first, second = _items(nest1), _items(nest2)
    if len(first) != len(second):
        raise ValueError(f"the structures differ in length: {nest1!r} against {nest2!r}")
    for one, other in zip(first, second):
        assert_same_structure(one, other, check_types)


def map_structure(func: Callable[..., Any], *structure: Any, check_types: bool = True) -> Any:
    """The structure of `func` applied to the leaves that are at the same place in each structure.

    Raises:
      ValueError, TypeError: if the structures differ.
    """
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types)
    leaves = zip(*(flatten(one) for one in structure))
    return pack_sequence_as(structure[0], [func(*each) for each in leaves])
