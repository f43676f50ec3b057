"""Queues: what one step puts in, another takes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import DType, as_dtype, int64
from headrace.framework.graph import Operation, Tensor, name_scope
from headrace.framework.random_seed import get_seed
from headrace.framework.shapes import TensorShape, as_shape

__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue"]


def _dtype_list(dtypes: Any) -> list[DType]:
    return [as_dtype(each) for each in (dtypes if isinstance(dtypes, (list, tuple)) else [dtypes])]


def _shape_list(shapes: Any, dtypes: Sequence[DType], partial: bool = False) -> list[TensorShape] | None:
    """One shape for each component, or None.

    Raises:
      ValueError: if there are more or fewer than components, or dimensions are unknown and may not be.
    """
    if shapes is None:
        return None
    if isinstance(shapes, TensorShape):
        shapes = [shapes]
    if not shapes and len(dtypes) == 1:
        shapes = [()]
    found = [as_shape(shape) for shape in shapes]
    if len(found) != len(dtypes):
        raise ValueError(f"a queue of {len(dtypes)} components got {len(found)} shapes; give one for each")
    for shape in found:
        if partial and shape.ndims is None:
            raise ValueError("the ranks of all components have to be known, one shape has none")
        if not partial and not shape.is_fully_defined():
            raise ValueError(f"shape {shape} is not fully defined; a PaddingFIFOQueue takes such elements")
    return found


def _name_list(names: Any, dtypes: Sequence[DType]) -> list[str] | None:
    if not names:
        return None
    names = list(names) if isinstance(names, (list, tuple)) else [names]
    if len(names) != len(dtypes):
        raise ValueError(f"a queue of {len(dtypes)} components got {len(names)} names; give one for each")
    return names


class QueueBase:
    """A queue of elements, each a tuple of tensors; what its subclasses share.

    Operations that put in and take out wait for room and for elements. They end with `CancelledError` or
    `OutOfRangeError` when the queue is closed, with `DeadlineExceededError` at the step's deadline, and with
    `CancelledError` when the session is closed or the step is interrupted.

    Args:
      dtypes: the dtypes of an element's components.
      shapes: their shapes, or None if any will do.
      names: names for them: elements are dicts then. Or None.
      queue_ref: the handle.

    Raises:
      ValueError: if the lengths differ.
    """

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Tensor):
        self._dtypes = _dtype_list(dtypes)
        if shapes is not None and len(shapes) != len(self._dtypes):
            raise ValueError(f"{len(shapes)} shapes for {len(self._dtypes)} components")
        self._shapes = (
            [TensorShape(None) for _ in self._dtypes]
            if shapes is None
            else [as_shape(shape) for shape in shapes]
        )
        self._names = _name_list(names, self._dtypes)
        self._queue_ref = queue_ref
        self._name = queue_ref.op.name.split("/")[-1]

    @staticmethod
    def from_list(index: Any, queues: Sequence[QueueBase]) -> QueueBase:
        """The queue at `index`, a scalar tensor, out of several with the same dtypes and names.

        Raises:
          TypeError: if they are no queues, or hold different things.
        """
        if not queues or not all(isinstance(queue, QueueBase) for queue in queues):
            raise TypeError(f"queues must be a list of at least one queue, got {queues!r}")
        first = queues[0]
        if any(queue._dtypes != first._dtypes for queue in queues):
            raise TypeError("the queues hold different dtypes")
        if any(queue._names != first._names for queue in queues):
            raise TypeError("the queues name their components differently")
        shapes = [_common_shape([queue._shapes[i] for queue in queues]) for i in range(len(first._dtypes))]
        handle = raw.Gather(raw.Pack([queue._queue_ref for queue in queues]), index)
        return QueueBase(first._dtypes, shapes, first._names, handle)

    @property
    def queue_ref(self) -> Tensor:
        """The handle."""
        return self._queue_ref

    @property
    def name(self) -> str:
        """The name of the operation that makes the queue."""
        return self._queue_ref.op.name

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes of an element's components."""
        return self._dtypes

    @property
    def shapes(self) -> list[TensorShape]:
        """Their shapes, unknown ones if none were declared."""
        return self._shapes

    @property
    def names(self) -> list[str] | None:
        """Their names, or None."""
        return self._names

    def _components(self, vals: Any) -> list[Any]:
        """The components of an element in order."""
        if isinstance(vals, dict):
            if not self._names:
                raise ValueError(f"{self.name} has no names for components; put a tuple in, not a dict")
            if sorted(self._names) != sorted(vals):
                raise ValueError(f"{self.name} has components {self._names}, the dict {sorted(vals)}")
            return [vals[name] for name in self._names]
        if self._names:
            raise ValueError(f"{self.name} has named components; put a dict in")
        return list(vals) if isinstance(vals, (list, tuple)) else [vals]

    def _converted(self, vals: Any) -> list[Tensor]:
        components = self._components(vals)
        if len(components) != len(self._dtypes):
            raise ValueError(
                f"{self.name} takes elements of {len(self._dtypes)} components, got {len(components)}"
            )
        return [
            convert_to_tensor(value, dtype=dtype, name=f"component_{i}")
            for i, (value, dtype) in enumerate(zip(components, self._dtypes))
        ]

    def _given(self, vals: Any) -> Iterable[Any]:
        if isinstance(vals, dict):
            return vals.values()
        return vals if isinstance(vals, (list, tuple)) else [vals]

    def _taken(self, components: Any, shapes: Sequence[TensorShape]) -> Any:
        """What is taken out: a tensor, a list, or a dict by names."""
        components = list(components) if isinstance(components, (list, tuple)) else [components]
        for tensor, shape in zip(components, shapes):
            tensor.set_shape(shape)
        if self._names:
            return dict(zip(self._names, components))
        return components[0] if len(components) == 1 else components

    def enqueue(self, vals: Any, name: str | None = None) -> Operation:
        """Puts one element in, waiting for room.

        Args:
          vals: a tensor, or a tuple, list or dict (if the queue has names) of one for each component.
          name: of the operation.

        Raises:
          ValueError: if components are missing, too many, or of other shapes.
          TypeError: if they are of other dtypes.
        """
        with name_scope(name, f"{self._name}_enqueue", self._given(vals)) as scope:
            tensors = self._converted(vals)
            for tensor, shape in zip(tensors, self._shapes):
                tensor.shape.assert_is_compatible_with(shape)
            return raw.QueueEnqueueV2(self._queue_ref, tensors, name=scope)

    def enqueue_many(self, vals: Any, name: str | None = None) -> Operation:
        """Puts the rows of its components in, as one element each.

        Args:
          vals: as in `enqueue`, each component with one more dimension in front.
          name: of the operation.

        Raises:
          ValueError: if components are missing, too many, or of other shapes.
          TypeError: if they are of other dtypes.
        """
        with name_scope(name, f"{self._name}_EnqueueMany", self._given(vals)) as scope:
            tensors = self._converted(vals)
            rows = TensorShape([None])
            for tensor, shape in zip(tensors, self._shapes):
                many = tensor.shape.with_rank_at_least(1)
                if many.ndims is not None:
                    rows = rows.merge_with(many[:1])
                    many[1:].assert_is_compatible_with(shape)
            return raw.QueueEnqueueManyV2(self._queue_ref, tensors, name=scope)

    def dequeue(self, name: str | None = None) -> Any:
        """Takes one element out, waiting for it.

        Returns:
          A tensor, or a list or dict of them.
        """
        name = name or f"{self._name}_Dequeue"
        taken = raw.QueueDequeueV2(self._queue_ref, component_types=self._dtypes, name=name)
        return self._taken(taken, self._shapes)

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """Takes `n` elements out at once, waiting for them, packed along a new first dimension.

        If the queue is closed and has fewer, none is taken: `OutOfRangeError`.

        Args:
          n: a scalar.
          name: of the operation.
        """
        name = name or f"{self._name}_DequeueMany"
        taken = raw.QueueDequeueManyV2(self._queue_ref, n, component_types=self._dtypes, name=name)
        return self._taken(taken, [TensorShape([None]).concatenate(shape) for shape in self._shapes])

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """Takes `n` elements out, or what is left, at least one, if the queue is closed and has fewer.

        Args:
          n: a scalar.
          name: of the operation.
        """
        name = name or f"{self._name}_DequeueUpTo"
        taken = raw.QueueDequeueUpToV2(self._queue_ref, n, component_types=self._dtypes, name=name)
        return self._taken(taken, [TensorShape([None]).concatenate(shape) for shape in self._shapes])

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Operation:
        """Closes the queue: nothing goes in any more; what is in it can still be taken.

        Args:
          cancel_pending_enqueues: whether operations that wait for room end with `CancelledError`; otherwise
            closing waits for them.
          name: of the operation.
        """
        return raw.QueueCloseV2(
            self._queue_ref,
            cancel_pending_enqueues=cancel_pending_enqueues,
            name=name or f"{self._name}_Close",
        )

    def is_closed(self, name: str | None = None) -> Tensor:
        """Whether the queue is closed: a bool scalar."""
        return raw.QueueIsClosedV2(self._queue_ref, name=name or f"{self._name}_Is_Closed")

    def size(self, name: str | None = None) -> Tensor:
        """How many elements are in the queue: an int32 scalar."""
        return raw.QueueSizeV2(self._queue_ref, name=name or f"{self._name}_Size")


def _common_shape(shapes: Sequence[TensorShape]) -> TensorShape:
    """What holds of all the shapes."""
    first = shapes[0]
    if first.ndims is None or any(shape.ndims != first.ndims for shape in shapes):
        return TensorShape(None)
    columns = zip(*[shape.as_list() for shape in shapes])
    return TensorShape([sizes[0] if len(set(sizes)) == 1 else None for sizes in columns])


class FIFOQueue(QueueBase):
    """A queue that gives elements in the order in which they came.

    Args:
      capacity: how many elements there is room for.
      dtypes: the dtypes of an element's components.
      shapes: their full shapes. None lets elements differ; then they can only be taken one by one.
      names: names for the components.
      shared_name: queues of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "fifo_queue",
    ):
        dtypes = _dtype_list(dtypes)
        shapes = _shape_list(shapes, dtypes)
        names = _name_list(names, dtypes)
        handle = raw.FIFOQueueV2(
            component_types=dtypes,
            shapes=shapes or [],
            capacity=capacity,
            shared_name=shared_name or "",
            name=name,
        )
        super().__init__(dtypes, shapes, names, handle)


class PaddingFIFOQueue(QueueBase):
    """A queue in order of arrival whose elements may differ in size.

    Many taken at once are padded with zeros (empty strings, False) to the size of the largest among them.

    Args:
      capacity: how many elements there is room for.
      dtypes: the dtypes of an element's components.
      shapes: their shapes, with None for dimensions that differ.
      names: names for the components.
      shared_name: queues of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        capacity: int,
        dtypes: Any,
        shapes: Any,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "padding_fifo_queue",
    ):
        dtypes = _dtype_list(dtypes)
        shapes = _shape_list(shapes, dtypes, partial=True)
        names = _name_list(names, dtypes)
        if shapes is None:
            raise ValueError("a PaddingFIFOQueue needs a shape for each component")
        handle = raw.PaddingFIFOQueueV2(
            component_types=dtypes,
            shapes=shapes,
            capacity=capacity,
            shared_name=shared_name or "",
            name=name,
        )
        super().__init__(dtypes, shapes, names, handle)


class RandomShuffleQueue(QueueBase):
    """A queue that gives elements in random order.

    Args:
      capacity: how many elements there is room for.
      min_after_dequeue: how many have to stay until the queue is closed, so that there is a choice.
      dtypes: the dtypes of an element's components.
      shapes: their full shapes. None lets elements differ; then they can only be taken one by one.
      names: names for the components.
      seed: of the order, with the graph's seed.
      shared_name: queues of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        capacity: int,
        min_after_dequeue: int,
        dtypes: Any,
        shapes: Any = None,
        names: Any = None,
        seed: int | None = None,
        shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ):
        dtypes = _dtype_list(dtypes)
        shapes = _shape_list(shapes, dtypes)
        names = _name_list(names, dtypes)
        seed1, seed2 = get_seed(seed)
        handle = raw.RandomShuffleQueueV2(
            component_types=dtypes,
            shapes=shapes or [],
            capacity=capacity,
            min_after_dequeue=min_after_dequeue,
            seed=seed1 or 0,
            seed2=seed2 or 0,
            shared_name=shared_name or "",
            name=name,
        )
        super().__init__(dtypes, shapes, names, handle)


class PriorityQueue(QueueBase):
    """A queue that gives the element with the smallest priority first.

    The first component of an element is its priority, an int64 scalar.

    Args:
      capacity: how many elements there is room for.
      types: the dtypes of an element's components, without the priority.
      shapes: their full shapes.
      names: names for the components, the priority's first.
      shared_name: queues of one name are one, in all sessions that share state.
      name: of the operation.
    """

    def __init__(
        self,
        capacity: int,
        types: Any,
        shapes: Any = None,
        names: Any = None,
        shared_name: str | None = None,
        name: str = "priority_queue",
    ):
        types = _dtype_list(types)
        shapes = _shape_list(shapes, types)
        handle = raw.PriorityQueueV2(
            component_types=types,
            shapes=shapes or [],
            capacity=capacity,
            shared_name=shared_name or "",
            name=name,
        )
        whole = [TensorShape([]), *shapes] if shapes else None
        super().__init__([int64, *types], whole, names, handle)
