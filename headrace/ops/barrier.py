"""Barriers: elements that are put together from components which come one by one."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype, string
from headrace.framework.graph import Operation, Tensor, name_scope
from headrace.framework.shapes import TensorShape

__all__ = ["Barrier"]


class Barrier:
    """A place where components with equal keys become elements.

    Each call of `insert_many` brings one component of some elements. An element with all components is
    ready, and `take_many` takes those out whose keys came first.

    Args:
      types: the dtypes of the components.
      shapes: their shapes; None lets the elements decide.
      shared_name: barriers of one name are one, in all sessions that share state.
      name: of the operation.

    Raises:
      ValueError: if there are more or fewer shapes than types.
    """

    def __init__(self, types: Any, shapes: Any = None, shared_name: str | None = None, name: str = "barrier"):
        self._types = [as_dtype(each) for each in (types if isinstance(types, (list, tuple)) else [types])]
        if shapes is None:
            self._shapes = [TensorShape(None)] * len(self._types)
        else:
            single = (
                isinstance(shapes, TensorShape) or not len(shapes) or not isinstance(shapes, (list, tuple))
            )
            self._shapes = [TensorShape(each) for each in ([shapes] if single else shapes)]
            if len(self._shapes) != len(self._types):
                raise ValueError(
                    f"a barrier of {len(self._types)} components got {len(self._shapes)} shapes; "
                    "give one for each"
                )
        self._barrier_ref = raw.Barrier(
            component_types=self._types,
            shapes=[] if shapes is None else self._shapes,
            shared_name=shared_name or "",
            name=name,
        )
        self._name = self._barrier_ref.op.name.rpartition("/")[2]

    @property
    def barrier_ref(self) -> Tensor:
        """The handle."""
        return self._barrier_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the barrier."""
        return self._barrier_ref.op.name

    def insert_many(self, component_index: int, keys: Any, values: Any, name: str | None = None) -> Operation:
        """Gives the elements of some keys one of their components.

        Args:
          component_index: which component.
          keys: a vector of strings.
          values: a component for each key, along the first dimension.
          name: of the operation.

        Raises:
          errors.CancelledError: when it runs, for a new key of a closed barrier.
          errors.InvalidArgumentError: when it runs, if an element has the component already.
        """
        with name_scope(name, f"{self._name}_BarrierInsertMany", [keys, values]) as scope:
            return raw.BarrierInsertMany(
                self._barrier_ref,
                convert_to_tensor(keys, dtype=string),
                convert_to_tensor(values, dtype=self._component_type(component_index)),
                component_index=component_index,
                name=scope,
            )

    def _component_type(self, index: int) -> DType:
        if not 0 <= index < len(self._types):
            raise ValueError(f"component_index is {index}; there are {len(self._types)} components")
        return self._types[index]

    def take_many(
        self,
        num_elements: Any,
        allow_small_batch: bool = False,
        timeout: int | None = None,
        name: str | None = None,
    ) -> Any:
        """Takes complete elements out, waiting for them.

        Args:
          num_elements: how many, more than 0.
          allow_small_batch: whether a closed barrier gives what it has, at least one.
          timeout: only None is possible: limit the step instead, with `RunOptions(timeout_in_ms=...)`.
          name: of the operation.

        Returns:
          A tuple `(indices, keys, values)`: for each element, the number of the call that brought its key,
          ascending; its key; and a list with a tensor for each component.

        Raises:
          errors.OutOfRangeError: when it runs, if the barrier is closed and has too few.
        """
        with name_scope(name, f"{self._name}_BarrierTakeMany", [num_elements]) as scope:
            taken = raw.BarrierTakeMany(
                self._barrier_ref,
                num_elements,
                component_types=self._types,
                allow_small_batch=allow_small_batch,
                timeout_ms=-1 if timeout is None else timeout,
                name=scope,
            )
        rows = taken.indices.shape
        for tensor, shape in zip(taken.values, self._shapes):
            tensor.set_shape(rows.concatenate(shape))
        return taken

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Operation:
        """Closes the barrier: new keys are refused.

        Args:
          cancel_pending_enqueues: whether elements that have begun are given up; else they may be completed.
          name: of the operation.
        """
        return raw.BarrierClose(
            self._barrier_ref,
            cancel_pending_enqueues=cancel_pending_enqueues,
            name=name or f"{self._name}_BarrierClose",
        )

    def ready_size(self, name: str | None = None) -> Tensor:
        """How many elements are complete: an int32 scalar."""
        return raw.BarrierReadySize(self._barrier_ref, name=name or f"{self._name}_BarrierReadySize")

    def incomplete_size(self, name: str | None = None) -> Tensor:
        """How many elements have some components only: an int32 scalar."""
        return raw.BarrierIncompleteSize(
            self._barrier_ref, name=name or f"{self._name}_BarrierIncompleteSize"
        )
