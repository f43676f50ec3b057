"""Staging areas: a few elements kept ready for the next steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype, int32, int64
from headrace.framework.graph import Operation, Tensor, get_default_graph, name_scope
from headrace.framework.shapes import TensorShape

__all__ = ["MapStagingArea", "StagingArea"]


class BaseStagingArea:
    """What both kinds share.

    Args:
      dtypes: the dtypes of an element's components.
      shapes: their shapes, or None.
      names: names for them: elements are dicts then.
      shared_name: areas of one name are one, in all sessions that share state.
      capacity: how many elements there is room for; 0 for any number.
      memory_limit: how many bytes there is room for; 0 for any number.

    Raises:
      ValueError: if lengths differ, or a limit is negative.
    """

    def __init__(
        self,
        dtypes: Sequence[Any],
        shapes: Any = None,
        names: Sequence[str] | None = None,
        shared_name: str | None = None,
        capacity: int = 0,
        memory_limit: int = 0,
    ):
        if capacity < 0 or memory_limit < 0:
            raise ValueError(f"capacity is {capacity}, memory_limit {memory_limit}; neither may be negative")
        self._dtypes = [as_dtype(each) for each in dtypes]
        self._shapes = [TensorShape(each) for each in (shapes or [None] * len(self._dtypes))]
        self._names = list(names) if names else None
        for what, given in (("shapes", self._shapes), ("names", self._names)):
            if given is not None and len(given) != len(self._dtypes):
                raise ValueError(
                    f"there are {len(given)} {what} for {len(self._dtypes)} components; give one for each"
                )
        with name_scope(None, type(self).__name__) as scope:
            self._name = shared_name or get_default_graph().unique_name(scope.rstrip("/"))
        self._capacity = capacity
        self._memory_limit = memory_limit

    @property
    def name(self) -> str:
        """The name under which the area is shared."""
        return self._name

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes of an element's components."""
        return self._dtypes

    @property
    def shapes(self) -> list[TensorShape]:
        """Their shapes."""
        return self._shapes

    @property
    def names(self) -> list[str] | None:
        """Their names, or None."""
        return self._names

    @property
    def capacity(self) -> int:
        """How many elements there is room for; 0 for any number."""
        return self._capacity

    @property
    def memory_limit(self) -> int:
        """How many bytes there is room for; 0 for any number."""
        return self._memory_limit

    def _attrs(self) -> dict[str, Any]:
        return {
            "dtypes": self._dtypes,
            "shared_name": self._name,
            "capacity": self._capacity,
            "memory_limit": self._memory_limit,
        }

    def _checked(self, values: Sequence[Any], places: Sequence[int]) -> list[Tensor]:
        """The values of these components as tensors."""
        if len(values) != len(places):
            raise ValueError(
                f"there are {len(values)} values for {len(places)} components; give one for each"
            )
        tensors = []
        for value, place in zip(values, places):
            if not 0 <= place < len(self._dtypes):
                raise ValueError(f"there is no component {place}; elements have {len(self._dtypes)}")
            tensor = convert_to_tensor(value, dtype=self._dtypes[place])
            tensor.shape.assert_is_compatible_with(self._shapes[place])
            tensors.append(tensor)
        return tensors

    def _taken(self, tensors: Sequence[Tensor], places: Sequence[int]) -> Any:
        """What was taken out: a list, or a dict if the components have names."""
        for tensor, place in zip(tensors, places):
            tensor.set_shape(self._shapes[place])
        if self._names:
            return {self._names[place]: tensor for tensor, place in zip(tensors, places)}
        return list(tensors)

    def _by_name(self, values: Mapping[str, Any]) -> dict[int, Any]:
        """Values of named components by their places, in order."""
        names = self._names or []
        unknown = [name for name in values if name not in names]
        if unknown:
            raise ValueError(f"there is no component '{unknown[0]}'; the names are {names}")
        return {place: values[name] for place, name in enumerate(names) if name in values}


class StagingArea(BaseStagingArea):
    """Elements kept ready, in order of arrival.

    Args:
      dtypes: the dtypes of an element's components.
      shapes: their shapes, or None.
      names: names for them: elements are dicts then.
      shared_name: areas of one name are one, in all sessions that share state.
      capacity: how many elements there is room for; 0 for any number.
      memory_limit: how many bytes there is room for; 0 for any number.

    Raises:
      ValueError: if lengths differ, or a limit is negative.
    """

    def put(self, values: Any, name: str | None = None) -> Operation:
        """Stages an element, waiting for room.

        Args:
          values: a tensor, a list of one for each component, or a dict if they have names.
          name: of the operation.

        Raises:
          ValueError: if components are missing, unknown, or of other shapes.
          TypeError: if they are of other dtypes.
        """
        if isinstance(values, Mapping):
            values = list(self._by_name(values).values())
        elif not isinstance(values, (list, tuple)):
            values = [values]
        with name_scope(name, f"{self._name}_put", values) as scope:
            tensors = self._checked(values, range(len(self._dtypes)))
            attrs = self._attrs()
            attrs.pop("dtypes")
            return raw.Stage(tensors, name=scope, **attrs)

    def get(self, name: str | None = None) -> Any:
        """Takes the oldest element out, waiting for one.

        Returns:
          A list of tensors, or a dict if the components have names.
        """
        taken = raw.Unstage(name=name or f"{self._name}_get", **self._attrs())
        return self._taken(taken, range(len(self._dtypes)))

    def peek(self, index: Any, name: str | None = None) -> Any:
        """The element at a place in the line, which stays there; waits until there is one.

        Args:
          index: an int32 scalar; 0 is the oldest.
          name: of the operation.

        Returns:
          As `get`.
        """
        seen = raw.StagePeek(
            convert_to_tensor(index, dtype=int32), name=name or f"{self._name}_peek", **self._attrs()
        )
        return self._taken(seen, range(len(self._dtypes)))

    def size(self, name: str | None = None) -> Tensor:
        """How many elements are staged: an int32 scalar."""
        return raw.StageSize(name=name or f"{self._name}_size", **self._attrs())

    def clear(self, name: str | None = None) -> Operation:
        """Removes all elements."""
        return raw.StageClear(name=name or f"{self._name}_clear", **self._attrs())


class MapStagingArea(BaseStagingArea):
    """Elements kept ready under keys. Components of an element may come, and be taken, one by one.

    Args:
      dtypes: the dtypes of an element's components.
      shapes: their shapes, or None.
      names: names for them: elements are dicts then.
      shared_name: areas of one name are one, in all sessions that share state.
      ordered: whether elements that are taken without a key leave in the order of their keys.
      capacity: how many complete elements there is room for; 0 for any number.
      memory_limit: how many bytes there is room for; 0 for any number.

    Raises:
      ValueError: if lengths differ, or a limit is negative.
    """

    def __init__(
        self,
        dtypes: Sequence[Any],
        shapes: Any = None,
        names: Sequence[str] | None = None,
        shared_name: str | None = None,
        ordered: bool = False,
        capacity: int = 0,
        memory_limit: int = 0,
    ):
        super().__init__(dtypes, shapes, names, shared_name, capacity, memory_limit)
        self._kind = "OrderedMap" if ordered else "Map"

    def _op(self, name: str) -> Any:
        return getattr(raw, self._kind + name)

    def put(
        self, key: Any, vals: Any, indices: Sequence[Any] | None = None, name: str | None = None
    ) -> Operation:
        """Stages an element, or some of its components, waiting for room.

        An element that is complete stays as it is.

        Args:
          key: an int64 scalar.
          vals: a tensor, a list of them, or a dict if the components have names.
          indices: the places of the components, or their names; all of them if None. A dict needs none.
          name: of the operation.

        Raises:
          ValueError: if components are missing, unknown, or of other shapes.
          TypeError: if they are of other dtypes.
        """
        if isinstance(vals, Mapping):
            by_place = self._by_name(vals)
        else:
            values = vals if isinstance(vals, (list, tuple)) else [vals]
            places = self._places(indices)
            if len(values) != len(places):
                raise ValueError(
                    f"there are {len(values)} values for {len(places)} components; give one for each"
                )
            by_place = dict(sorted(zip(places, values)))
        with name_scope(name, f"{self._name}_put", list(by_place.values())) as scope:
            tensors = self._checked(list(by_place.values()), list(by_place))
            return self._op("Stage")(
                convert_to_tensor(key, dtype=int64), list(by_place), tensors, name=scope, **self._attrs()
            )

    def _places(self, indices: Sequence[Any] | None) -> list[int]:
        if indices is None:
            return list(range(len(self._dtypes)))
        names = self._names or []
        unknown = [each for each in indices if isinstance(each, str) and each not in names]
        if unknown:
            raise ValueError(f"there is no component '{unknown[0]}'; the names are {names}")
        return [names.index(each) if isinstance(each, str) else int(each) for each in indices]

    def _asked(self, indices: Sequence[Any] | None) -> tuple[list[int], dict[str, Any]]:
        """The places of components, in order, and the attributes of what gives them."""
        places = sorted(self._places(indices))
        for place in places:
            if not 0 <= place < len(self._dtypes):
                raise ValueError(f"there is no component {place}; elements have {len(self._dtypes)}")
        return places, {**self._attrs(), "dtypes": [self._dtypes[place] for place in places]}

    def get(self, key: Any = None, indices: Sequence[Any] | None = None, name: str | None = None) -> Any:
        """Takes an element out, or some of its components, waiting until it is complete.

        Args:
          key: an int64 scalar. None takes the element with the smallest key.
          indices: the places of the components, or their names; all of them if None.
          name: of the operation.

        Returns:
          A tuple `(key, values)`: a list of tensors, or a dict if the components have names.
        """
        places, attrs = self._asked(indices)
        name = name or f"{self._name}_get"
        if key is None:
            taken = self._op("UnstageNoKey")(places, name=name, **attrs)
            return taken.key, self._taken(taken.values, places)
        key = convert_to_tensor(key, dtype=int64)
        return key, self._taken(self._op("Unstage")(key, places, name=name, **attrs), places)

    def peek(self, key: Any, indices: Sequence[Any] | None = None, name: str | None = None) -> Any:
        """An element, or some of its components, which stay there; waits until it is complete.

        Args:
          key: an int64 scalar.
          indices: the places of the components, or their names; all of them if None.
          name: of the operation.

        Returns:
          A list of tensors, or a dict if the components have names.
        """
        places, attrs = self._asked(indices)
        key = convert_to_tensor(key, dtype=int64)
        seen = self._op("Peek")(key, places, name=name or f"{self._name}_peek", **attrs)
        return self._taken(seen, places)

    def size(self, name: str | None = None) -> Tensor:
        """How many elements are complete: an int32 scalar."""
        return self._op("Size")(name=name or f"{self._name}_size", **self._attrs())

    def incomplete_size(self, name: str | None = None) -> Tensor:
        """How many elements have some of their components only: an int32 scalar."""
        return self._op("IncompleteSize")(name=name or f"{self._name}_incomplete_size", **self._attrs())

    def clear(self, name: str | None = None) -> Operation:
        """Removes all elements."""
        return self._op("Clear")(name=name or f"{self._name}_clear", **self._attrs())
