"""Recurrent networks: a cell applied to the steps of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headrace.framework import dtypes, nest, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor
from headrace.framework.shapes import TensorShape
from headrace.ops import array, math, reduce, slicing
from headrace.ops.rnn_cell import state_shape
from headrace.ops.tensor_array import TensorArray
from headrace.ops.variable_scope import variable_scope
from headrace.ops.while_loop import while_loop

__all__ = [
    "bidirectional_dynamic_rnn",
    "dynamic_rnn",
    "static_bidirectional_rnn",
    "static_rnn",
]


def _swapped(tensor: Tensor) -> Tensor:
    """[batch, time, ...] from [time, batch, ...], and back."""
    if tensor.shape.ndims is not None and tensor.shape.ndims < 2:
        raise ValueError(f"{tensor.name} has shape {tensor.shape}, expected [batch, time, ...]")
    rank = tensor.shape.ndims or 3
    return array.transpose(tensor, [1, 0, *range(2, rank)])


def _checked_cell(cell: Any) -> None:
    if not (callable(cell) and hasattr(cell, "state_size") and hasattr(cell, "output_size")):
        raise TypeError(f"cell must be an RNNCell, got {cell!r}")


def _static(tensor: Tensor, axis: int) -> int | None:
    return tensor.shape.as_list()[axis] if tensor.shape.ndims is not None else None


def _size(tensor: Tensor, axis: int) -> Any:
    known = _static(tensor, axis)
    return array.shape(tensor)[axis] if known is None else known


def _first_state(cell: Any, batch: Any, initial_state: Any, dtype: Any) -> Any:
    if initial_state is not None:
        return nest.map_structure(convert_to_tensor, initial_state)
    if dtype is None:
        raise ValueError("an RNN without an initial_state needs a dtype")
    return cell.zero_state(batch, dtype)


def _lengths(sequence_length: Any) -> Tensor | None:
    if sequence_length is None:
        return None
    lengths = math.cast(convert_to_tensor(sequence_length), dtypes.int32)
    if lengths.shape.ndims not in (None, 1):
        raise ValueError(f"sequence_length has shape {lengths.shape}, expected [batch]")
    return array.identity(lengths, name="sequence_length")


def _through(time: Any, lengths: Tensor, new: Any, old: Any) -> Any:
    """`new` for the sequences that last longer than `time`, `old` for the others."""

    def one(new: Any, old: Any) -> Any:
        if isinstance(new, TensorArray) or new.shape.ndims == 0:
            return new
        chosen = slicing.where(time >= lengths, old, new)
        chosen.set_shape(new.shape)
        return chosen

    return nest.map_structure(one, new, old)


def dynamic_rnn(
    cell: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Applies a cell to each step of sequences, in a loop.

    Args:
      cell: an RNNCell.
      inputs: [batch, time, ...], or [time, batch, ...] if `time_major`; or a nested structure of these.
      sequence_length: how long each sequence is, an integer vector; after that, outputs are zeros and the
        state stays as it is.
      initial_state: zeros by default.
      dtype: of the zero state.
      parallel_iterations, swap_memory: accepted; steps run one after the other.
      time_major: whether time is the first dimension of inputs and outputs.
      scope: the variable scope, "rnn" by default.

    Returns:
      (outputs, state): the outputs of all steps, and the last state.

    Raises:
      TypeError: if `cell` is no RNNCell.
      ValueError: if shapes do not fit, or there is neither an initial state nor a dtype.
    """
    del swap_memory
    _checked_cell(cell)
    with variable_scope(scope or "rnn"):
        tensors = [convert_to_tensor(x) for x in nest.flatten(inputs)]
        if not time_major:
            tensors = [_swapped(x) for x in tensors]
        lengths = _lengths(sequence_length)
        steps, batch = _size(tensors[0], 0), _size(tensors[0], 1)
        state = _first_state(cell, batch, initial_state, dtype)
        arrays = [TensorArray(x.dtype, size=steps).unstack(x) for x in tensors]

        sizes = cell.output_size
        kind = tensors[0].dtype if dtype is None else dtypes.as_dtype(dtype)
        shapes = [state_shape(batch, size) for size in nest.flatten(sizes)]
        results = [TensorArray(kind, size=steps, element_shape=known) for _, known in shapes]
        padding = [array.zeros(shape, kind) for shape, _ in shapes] if lengths is not None else []

        def step(time: Any, results: Any, state: Any) -> Any:
            rows = [a.read(time) for a in arrays]
            for row, x in zip(rows, tensors):
                row.set_shape(TensorShape(x.shape.as_list()[1:]) if x.shape.ndims is not None else None)
            output, next_state = cell(nest.pack_sequence_as(inputs, rows), state)
            nest.assert_same_structure(state, next_state)
            outputs = nest.flatten(output)
            if lengths is not None:
                outputs = _through(time, lengths, outputs, padding)
                next_state = _through(time, lengths, next_state, state)
            return time + 1, [a.write(time, o) for a, o in zip(results, outputs)], next_state

        bound = steps
        if lengths is not None:
            bound = math.minimum(steps, math.maximum(1, reduce.reduce_max(lengths)))
        _, results, state = while_loop(
            lambda time, *_: time < bound,
            step,
            (0, results, state),
            parallel_iterations=parallel_iterations or 32,
            maximum_iterations=None,
        )
        outputs = [result.stack() for result in results]
        for output, (_, known) in zip(outputs, shapes):
            output.set_shape(TensorShape([_static(tensors[0], 0)]).concatenate(known))
        if not time_major:
            outputs = [_swapped(output) for output in outputs]
        return nest.pack_sequence_as(sizes, outputs), state


def _reversed(inputs: Any, lengths: Any, time: int, batch: int) -> Any:
    def one(x: Any) -> Tensor:
        if lengths is None:
            return slicing.reverse(x, [time])
        return slicing.reverse_sequence(x, lengths, seq_axis=time, batch_axis=batch)

    return nest.map_structure(one, inputs)


def bidirectional_dynamic_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Any,
    sequence_length: Any = None,
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    swap_memory: bool = False,
    time_major: bool = False,
    scope: Any = None,
) -> tuple[Any, Any]:
    """Applies one cell to sequences forwards and another backwards; see `dynamic_rnn`.

    Returns:
      ((forward outputs, backward outputs), (forward state, backward state)), outputs in the order of inputs.
    """
    _checked_cell(cell_fw)
    _checked_cell(cell_bw)
    common = {
        "sequence_length": sequence_length,
        "dtype": dtype,
        "parallel_iterations": parallel_iterations,
        "swap_memory": swap_memory,
        "time_major": time_major,
    }
    time, batch = (0, 1) if time_major else (1, 0)
    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as forward:
            output_fw, state_fw = dynamic_rnn(
                cell_fw, inputs, initial_state=initial_state_fw, scope=forward, **common
            )
        with variable_scope("bw") as backward:
            turned = _reversed(nest.map_structure(convert_to_tensor, inputs), sequence_length, time, batch)
            output_bw, state_bw = dynamic_rnn(
                cell_bw, turned, initial_state=initial_state_bw, scope=backward, **common
            )
    return (output_fw, _reversed(output_bw, sequence_length, time, batch)), (state_fw, state_bw)


def static_rnn(
    cell: Any,
    inputs: Sequence[Any],
    initial_state: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any]:
    """Applies a cell to each of a list of inputs; see `dynamic_rnn`.

    Args:
      cell: an RNNCell.
      inputs: a list with a tensor [batch, ...], or a structure of these, for each step.
      initial_state: zeros by default.
      dtype: of the zero state.
      sequence_length: how long each sequence is, an integer vector.
      scope: the variable scope, "rnn" by default.

    Returns:
      (outputs, state): a list of outputs, and the last state.
    """
    _checked_cell(cell)
    if not isinstance(inputs, (list, tuple)):
        raise TypeError(f"inputs must be a list with one tensor a step, got {inputs!r}")
    if not inputs:
        raise ValueError("inputs must not be empty")
    with variable_scope(scope or "rnn") as variables:
        first = convert_to_tensor(nest.flatten(inputs[0])[0])
        batch = _size(first, 0)
        state = _first_state(cell, batch, initial_state, dtype)
        lengths = _lengths(sequence_length)
        padding: Any = None
        outputs = []
        for time, step in enumerate(inputs):
            if time > 0:
                variables.reuse_variables()
            output, next_state = cell(step, state)
            if lengths is not None:
                padding = nest.map_structure(raw.ZerosLike, output) if padding is None else padding
                output = _through(time, lengths, output, padding)
                next_state = _through(time, lengths, next_state, state)
            state = next_state
            outputs.append(output)
        return outputs, state


def static_bidirectional_rnn(
    cell_fw: Any,
    cell_bw: Any,
    inputs: Sequence[Any],
    initial_state_fw: Any = None,
    initial_state_bw: Any = None,
    dtype: Any = None,
    sequence_length: Any = None,
    scope: Any = None,
) -> tuple[list[Any], Any, Any]:
    """Applies one cell to a list of inputs forwards and another backwards; see `static_rnn`.

    Returns:
      (outputs, forward state, backward state); each output is that of both cells side by side.
    """
    _checked_cell(cell_fw)
    _checked_cell(cell_bw)

    def turned(values: Sequence[Any]) -> list[Any]:
        if sequence_length is None:
            return list(reversed(values))
        columns = zip(*(nest.flatten(value) for value in values))
        stacked = [array.stack(column) for column in columns]
        back = [slicing.reverse_sequence(s, sequence_length, seq_axis=0, batch_axis=1) for s in stacked]
        rows = zip(*(array.unstack(s, num=len(values)) for s in back))
        return [nest.pack_sequence_as(values[0], row) for row in rows]

    with variable_scope(scope or "bidirectional_rnn"):
        with variable_scope("fw") as forward:
            output_fw, state_fw = static_rnn(
                cell_fw, inputs, initial_state_fw, dtype, sequence_length, forward
            )
        with variable_scope("bw") as backward:
            output_bw, state_bw = static_rnn(
                cell_bw, turned(inputs), initial_state_bw, dtype, sequence_length, backward
            )
    outputs = [array.concat([one, two], 1) for one, two in zip(output_fw, turned(output_bw))]
    return outputs, state_fw, state_bw
