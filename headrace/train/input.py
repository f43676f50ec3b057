"""Input pipelines of queues: what feeds a program from threads of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import dtypes
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import GraphKeys, Operation, Tensor, control_dependencies, name_scope
from headrace.framework.shapes import TensorShape, as_shape
from headrace.ops import array, control_flow, math, random, slicing, summary
from headrace.ops.queue import FIFOQueue, PaddingFIFOQueue, QueueBase, RandomShuffleQueue
from headrace.ops.state import count_up_to
from headrace.ops.variables import Variable
from headrace.train.queue_runner import QueueRunner, add_queue_runner

__all__ = [
    "batch",
    "batch_join",
    "input_producer",
    "limit_epochs",
    "maybe_batch",
    "maybe_batch_join",
    "maybe_shuffle_batch",
    "maybe_shuffle_batch_join",
    "range_input_producer",
    "shuffle_batch",
    "shuffle_batch_join",
    "slice_input_producer",
    "string_input_producer",
]


# ---- producers: elements of a tensor, over and over


def limit_epochs(tensor: Any, num_epochs: int | None = None, name: str | None = None) -> Tensor:
    """The same tensor, `num_epochs` times; then `OutOfRangeError`.

    The count is a local variable: run `tf.local_variables_initializer()` first.

    Args:
      tensor: any tensor.
      num_epochs: how often it may be taken; None for ever.
      name: of the operation.

    Raises:
      ValueError: if `num_epochs` is not positive.
    """
    if num_epochs is None:
        return convert_to_tensor(tensor)
    if num_epochs <= 0:
        raise ValueError(f"num_epochs is {num_epochs}; it must be positive, or None for no end")
    with name_scope(name, "limit_epochs", [tensor]) as scope:
        zero = constant(0, dtype=dtypes.int64)
        epochs = Variable(zero, name="epochs", trainable=False, collections=[GraphKeys.LOCAL_VARIABLES])
        with control_dependencies([count_up_to(epochs, num_epochs)]):
            return array.identity(convert_to_tensor(tensor), name=scope)


def input_producer(
    input_tensor: Any,
    element_shape: Any = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    summary_name: str | None = None,
    name: str | None = None,
    cancel_op: Operation | None = None,
) -> QueueBase:
    """A queue of the rows of a tensor, and a queue runner that fills it.

    Args:
      input_tensor: a tensor of at least one dimension.
      element_shape: the shape of a row, where that of the tensor is not fully known.
      num_epochs: how often each row comes; None for ever.
      shuffle: whether the rows of an epoch come in random order.
      seed: of that order.
      capacity: of the queue.
      shared_name: of the queue.
      summary_name: of the summary of how full the queue is.
      name: of the scope.
      cancel_op: see `QueueRunner`.

    Raises:
      ValueError: if the shape of a row is not known.
    """
    with name_scope(name, "input_producer", [input_tensor]) as scope:
        rows = convert_to_tensor(input_tensor, name="input_tensor")
        shape = rows.shape.with_rank_at_least(1)[1:].merge_with(as_shape(element_shape))
        if not shape.is_fully_defined():
            raise ValueError(f"the shape of a row is {shape}; give an element_shape that is fully known")
        if shuffle:
            rows = random.random_shuffle(rows, seed=seed)
        rows = limit_epochs(rows, num_epochs)
        queue = FIFOQueue(
            capacity, [rows.dtype.base_dtype], shapes=[shape], shared_name=shared_name, name=scope
        )
        add_queue_runner(QueueRunner(queue, [queue.enqueue_many([rows])], cancel_op=cancel_op))
        _summary_of_fill(queue, capacity, name=summary_name)
        return queue


def _summary_of_fill(queue: QueueBase, capacity: int, kept: int = 0, name: str | None = None) -> None:
    """A summary of how full a queue is, above what is always kept in it."""
    size = queue.size()
    if kept:
        size = math.maximum(0, size - kept)
    room = max(capacity - kept, 1)
    name = name or (f"fraction_over_{kept}_of_{room}_full" if kept else f"fraction_of_{room}_full")
    summary.scalar(name, math.cast(size, dtypes.float32) * (1.0 / room))


def string_input_producer(
    string_tensor: Any,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
    cancel_op: Operation | None = None,
) -> QueueBase:
    """A queue of strings, such as names of files; see `input_producer`.

    Raises:
      ValueError: if it is an empty list. A tensor that is empty is an `InvalidArgumentError` of the step.
    """
    if not isinstance(string_tensor, Tensor) and len(string_tensor) == 0:
        raise ValueError("string_input_producer got no strings")
    with name_scope(name, "input_producer", [string_tensor]) as scope:
        strings = convert_to_tensor(string_tensor, dtype=dtypes.string)
        check = control_flow.Assert(
            math.greater(array.size(strings), 0), ["string_input_producer got no strings"]
        )
        with control_dependencies([check]):
            strings = array.identity(strings)
        return input_producer(
            strings,
            element_shape=[],
            num_epochs=num_epochs,
            shuffle=shuffle,
            seed=seed,
            capacity=capacity,
            shared_name=shared_name,
            name=scope,
            cancel_op=cancel_op,
        )


def range_input_producer(
    limit: Any,
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
) -> QueueBase:
    """A queue of the numbers from 0 up to `limit`; see `input_producer`."""
    with name_scope(name, "input_producer", [limit]) as scope:
        return input_producer(
            array.range(limit),
            element_shape=[],
            num_epochs=num_epochs,
            shuffle=shuffle,
            seed=seed,
            capacity=capacity,
            shared_name=shared_name,
            name=scope,
        )


def slice_input_producer(
    tensor_list: Sequence[Any],
    num_epochs: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    capacity: int = 32,
    shared_name: str | None = None,
    name: str | None = None,
) -> list[Tensor]:
    """One row of each tensor, row i of all together, another one in each step; see `input_producer`.

    Args:
      tensor_list: tensors with the same first dimension.

    Raises:
      ValueError: if there are none.
    """
    with name_scope(name, "input_producer", tensor_list):
        tensors = [convert_to_tensor(tensor) for tensor in tensor_list]
        if not tensors:
            raise ValueError("slice_input_producer needs at least one tensor")
        queue = range_input_producer(
            array.shape(tensors[0])[0],
            num_epochs=num_epochs,
            shuffle=shuffle,
            seed=seed,
            capacity=capacity,
            shared_name=shared_name,
        )
        index = queue.dequeue()
        return [slicing.gather(tensor, index) for tensor in tensors]


# ---- batches


class _Structure:
    """How tensors were given (a dict, a list or one alone), to give batches back alike."""

    def __init__(self, tensors: Any):
        if isinstance(tensors, dict):
            self.keys: list[Any] | None = sorted(tensors)
            self.one = False
        else:
            self.keys = None
            self.one = not isinstance(tensors, (list, tuple))

    def flat(self, tensors: Any) -> list[Tensor]:
        if self.keys is not None:
            if not isinstance(tensors, dict) or sorted(tensors) != self.keys:
                raise ValueError(f"expected a dict with the keys {self.keys}, got {tensors!r}")
            tensors = [tensors[key] for key in self.keys]
        elif self.one:
            tensors = [tensors]
        if not tensors:
            raise ValueError("there are no tensors to batch")
        return [convert_to_tensor(tensor) for tensor in tensors]

    def built(self, tensors: Any) -> Any:
        tensors = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
        if self.keys is not None:
            return dict(zip(self.keys, tensors))
        return tensors[0] if len(tensors) == 1 else tensors


def _element_shapes(lists: list[list[Tensor]], shapes: Any, enqueue_many: bool, partial: bool) -> list[Any]:
    """The shape of an element of each component: what the tensors of all lists have in common."""
    if shapes is not None:
        found = [as_shape(shape) for shape in shapes]
        if len(found) != len(lists[0]):
            raise ValueError(f"got {len(found)} shapes for {len(lists[0])} tensors")
        return found
    found = []
    for column in zip(*lists):
        parts = [
            tensor.shape.with_rank_at_least(1)[1:] if enqueue_many else tensor.shape for tensor in column
        ]
        first = parts[0]
        if partial and first.ndims is not None and all(part.ndims == first.ndims for part in parts):
            sizes = zip(*[part.as_list() for part in parts])
            found.append(TensorShape([each[0] if len(set(each)) == 1 else None for each in sizes]))
        else:
            for part in parts[1:]:
                first = first.merge_with(part)
            found.append(first)
    return found


def _batches(
    default_name: str,
    tensors_list: Sequence[Any],
    batch_size: Any,
    capacity: int,
    enqueue_many: bool,
    shapes: Any,
    allow_smaller_final_batch: bool,
    shared_name: str | None,
    name: str | None,
    keep_input: Any = True,
    num_threads: int = 1,
    dynamic_pad: bool = False,
    shuffle: dict[str, Any] | None = None,
) -> Any:
    """All of the batching functions: a queue, a runner that fills it, and many taken at once."""
    if not tensors_list:
        raise ValueError("there are no tensors to batch")
    structure = _Structure(tensors_list[0])
    lists = [structure.flat(tensors) for tensors in tensors_list]
    if any([t.dtype for t in tensors] != [t.dtype for t in lists[0]] for tensors in lists):
        raise TypeError("the lists hold tensors of different dtypes")
    keep = None
    if keep_input is not True:
        keep = convert_to_tensor(keep_input, dtype=dtypes.bool_)
        if keep.shape.ndims is None:
            raise ValueError("keep_input has no known rank; it must be a scalar, or a vector for many")
        if keep.shape.ndims > 0 and (keep.shape.ndims > 1 or not enqueue_many):
            raise ValueError(f"keep_input has shape {keep.shape}; it must be a scalar, or a vector for many")
    given = [tensor for tensors in lists for tensor in tensors]
    with name_scope(name, default_name, given if keep is None else [*given, keep]) as scope:
        types = [tensor.dtype for tensor in lists[0]]
        element_shapes = _element_shapes(lists, shapes, enqueue_many, dynamic_pad)
        queue: QueueBase
        if shuffle is not None:
            queue = RandomShuffleQueue(
                capacity, dtypes=types, shapes=element_shapes, shared_name=shared_name, **shuffle
            )
        else:
            kind = PaddingFIFOQueue if dynamic_pad else FIFOQueue
            queue = kind(capacity, types, shapes=element_shapes, shared_name=shared_name)
        enqueues = [_enqueue(queue, tensors, keep, enqueue_many) for tensors in lists]
        add_queue_runner(QueueRunner(queue, enqueues * num_threads if len(enqueues) == 1 else enqueues))
        _summary_of_fill(queue, capacity, shuffle["min_after_dequeue"] if shuffle else 0)
        take = queue.dequeue_up_to if allow_smaller_final_batch else queue.dequeue_many
        return structure.built(take(batch_size, name=scope))


def _enqueue(queue: QueueBase, tensors: list[Tensor], keep: Tensor | None, enqueue_many: bool) -> Operation:
    if keep is None:
        return (queue.enqueue_many if enqueue_many else queue.enqueue)(tensors)
    if keep.shape.ndims == 1:
        rows = slicing.where(keep)[:, 0]
        return queue.enqueue_many([slicing.gather(tensor, rows) for tensor in tensors])
    # None of them, or all: as rows, of which there are none or one.
    if not enqueue_many:
        tensors = [array.expand_dims(tensor, 0) for tensor in tensors]
    kept = [tensor[: math.cast(keep, dtypes.int32) * array.shape(tensor)[0]] for tensor in tensors]
    return queue.enqueue_many(kept)


def batch(
    tensors: Any,
    batch_size: Any,
    num_threads: int = 1,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches of tensors, made by a queue that a queue runner fills.

    Args:
      tensors: a tensor, or a list or dict of them: one element, or many along the first dimension.
      batch_size: how many elements a batch has.
      num_threads: how many threads fill the queue.
      capacity: of the queue.
      enqueue_many: whether the tensors are many elements.
      shapes: the shapes of an element, where they are not known.
      dynamic_pad: whether elements may differ in size and are padded with zeros.
      allow_smaller_final_batch: whether what is left at the end is a batch too; otherwise it is dropped.
      shared_name: of the queue.
      name: of the operation.

    Returns:
      Batches in the structure of `tensors`.

    Raises:
      ValueError: if there are no tensors, or the shapes are not known.
    """
    return _batches(
        "batch",
        [tensors],
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        num_threads=num_threads,
        dynamic_pad=dynamic_pad,
    )


def maybe_batch(
    tensors: Any,
    keep_input: Any,
    batch_size: Any,
    num_threads: int = 1,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `batch` makes them, of the elements for which `keep_input` holds.

    Args:
      keep_input: a bool scalar, or one bool for each element if `enqueue_many`.
    """
    return _batches(
        "batch",
        [tensors],
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        keep_input=keep_input,
        num_threads=num_threads,
        dynamic_pad=dynamic_pad,
    )


def batch_join(
    tensors_list: Sequence[Any],
    batch_size: Any,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `batch` makes them, of several sources at once: one thread for each.

    Args:
      tensors_list: for each thread what `batch` takes as its tensors.
    """
    return _batches(
        "batch_join",
        tensors_list,
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        dynamic_pad=dynamic_pad,
    )


def maybe_batch_join(
    tensors_list: Sequence[Any],
    keep_input: Any,
    batch_size: Any,
    capacity: int = 32,
    enqueue_many: bool = False,
    shapes: Any = None,
    dynamic_pad: bool = False,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `batch_join` makes them, of the elements for which `keep_input` holds."""
    return _batches(
        "batch_join",
        tensors_list,
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        keep_input=keep_input,
        dynamic_pad=dynamic_pad,
    )


def shuffle_batch(
    tensors: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    num_threads: int = 1,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `batch` makes them, of elements in random order.

    Args:
      min_after_dequeue: how many elements stay in the queue to choose from.
      seed: of the order.
    """
    return _batches(
        "shuffle_batch",
        [tensors],
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        num_threads=num_threads,
        shuffle={"min_after_dequeue": min_after_dequeue, "seed": seed},
    )


def maybe_shuffle_batch(
    tensors: Any,
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    keep_input: Any,
    num_threads: int = 1,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `shuffle_batch` makes them, of the elements for which `keep_input` holds."""
    return _batches(
        "shuffle_batch",
        [tensors],
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        keep_input=keep_input,
        num_threads=num_threads,
        shuffle={"min_after_dequeue": min_after_dequeue, "seed": seed},
    )


def shuffle_batch_join(
    tensors_list: Sequence[Any],
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `batch_join` makes them, of elements in random order."""
    return _batches(
        "shuffle_batch_join",
        tensors_list,
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        shuffle={"min_after_dequeue": min_after_dequeue, "seed": seed},
    )


def maybe_shuffle_batch_join(
    tensors_list: Sequence[Any],
    batch_size: Any,
    capacity: int,
    min_after_dequeue: int,
    keep_input: Any,
    seed: int | None = None,
    enqueue_many: bool = False,
    shapes: Any = None,
    allow_smaller_final_batch: bool = False,
    shared_name: str | None = None,
    name: str | None = None,
) -> Any:
    """Batches as `shuffle_batch_join` makes them, of the elements for which `keep_input` holds."""
    return _batches(
        "shuffle_batch_join",
        tensors_list,
        batch_size,
        capacity,
        enqueue_many,
        shapes,
        allow_smaller_final_batch,
        shared_name,
        name,
        keep_input=keep_input,
        shuffle={"min_after_dequeue": min_after_dequeue, "seed": seed},
    )
