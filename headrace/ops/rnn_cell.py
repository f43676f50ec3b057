"""Cells of recurrent networks: one step, from an input and a state to an output and the next state."""

from __future__ import annotations

import collections
import hashlib
import re
from collections.abc import Callable
from typing import Any

from headrace.framework import dtypes, nest
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, device, name_scope
from headrace.framework.shapes import TensorShape
from headrace.ops import array, math, nn
from headrace.ops.init import constant_initializer, zeros_initializer
from headrace.ops.matmul import matmul
from headrace.ops.variable_scope import get_variable, variable_scope

__all__ = [
    "BasicLSTMCell",
    "BasicRNNCell",
    "DeviceWrapper",
    "DropoutWrapper",
    "GRUCell",
    "LSTMCell",
    "LSTMStateTuple",
    "MultiRNNCell",
    "RNNCell",
    "ResidualWrapper",
]

_LSTMStateTuple = collections.namedtuple("_LSTMStateTuple", ("c", "h"))


class LSTMStateTuple(_LSTMStateTuple):
    """The state of an LSTM cell: `c`, what it remembers, and `h`, its last output."""

    __slots__ = ()

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of both."""
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"c is {self.c.dtype.name} and h {self.h.dtype.name}; they must agree")
        return self.c.dtype


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def state_shape(batch: Any, size: Any) -> tuple[Any, TensorShape]:
    """The shape [batch, *size] as `tf.zeros` takes it, and what is known of it."""
    sizes = size.as_list() if isinstance(size, TensorShape) else [size]
    if isinstance(batch, Tensor):
        return array.concat([array.reshape(batch, [1]), convert_to_tensor(sizes, dtypes.int32)], 0), (
            TensorShape([None, *sizes])
        )
    return [int(batch), *sizes], TensorShape([batch, *sizes])


class RNNCell:
    """What all cells have in common; subclasses define `call` (or `__call__`), `state_size`, `output_size`.

    Its variables are made when it is first called, in a variable scope named after the class (or `name`).
    """

    def __init__(
        self,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        _reuse: Any = None,
        **kwargs: Any,
    ):
        if kwargs:
            raise TypeError(f"unexpected arguments {sorted(kwargs)}")
        self.trainable = trainable
        self._base_name = name or _snake_case(type(self).__name__)
        self._dtype = dtype
        self._reuse = _reuse
        self._scope: Any = None
        self._variables: list[Any] = []
        self.built = False

    @property
    def name(self) -> str:
        """The name of its variable scope, if it has no other."""
        return self._base_name

    @property
    def state_size(self) -> Any:
        """The size of the state: an integer, a TensorShape, or a nested structure of these."""
        raise NotImplementedError(f"{type(self).__name__} defines no state_size")

    @property
    def output_size(self) -> Any:
        """The size of the output: an integer or a TensorShape."""
        raise NotImplementedError(f"{type(self).__name__} defines no output_size")

    @property
    def variables(self) -> list[Any]:
        """Its variables, once it has been called."""
        return list(self._variables)

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        """Its trainable variables, once it has been called."""
        return [v for v in self._variables if v.trainable]

    trainable_weights = trainable_variables

    def add_variable(self, name: str, shape: Any, initializer: Any = None, dtype: Any = None) -> Any:
        """Makes a variable of the cell, within its scope."""
        variable = get_variable(
            name, shape, dtype=dtype or self._dtype, initializer=initializer, trainable=self.trainable
        )
        self._variables.append(variable)
        return variable

    add_weight = add_variable

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, when the shape of the inputs is known."""

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""
        raise NotImplementedError(f"{type(self).__name__} defines no call")

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """One step.

        Args:
          inputs: a tensor of shape [batch, input size].
          state: a tensor or a structure of `state_size`.
          scope: the variable scope, on the first call.

        Returns:
          (output, next state).
        """
        if self._scope is None:
            if self._reuse:
                opened = variable_scope(self._base_name if scope is None else scope, reuse=self._reuse)
            else:
                opened = variable_scope(scope, default_name=self._base_name)
            with opened as self._scope:
                pass
        again = variable_scope(
            self._scope, reuse=True if self.built else self._reuse, auxiliary_name_scope=False
        )
        with again, name_scope(self._scope.original_name_scope):
            if not self.built:
                first = nest.flatten(inputs)[0]
                if self._dtype is None:
                    self._dtype = first.dtype
                self.build(first.shape)
                self.built = True
            return self.call(inputs, state)

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros in the structure of `state_size`, for a batch."""

        def zeros(size: Any) -> Tensor:
            shape, known = state_shape(batch_size, size)
            made = array.zeros(shape, dtype)
            made.set_shape(known)
            return made

        with name_scope(type(self).__name__ + "ZeroState"):
            return nest.map_structure(zeros, self.state_size)

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Zeros, for the batch size and dtype of `inputs` or as told."""
        if inputs is not None:
            inputs = convert_to_tensor(inputs)
            batch_size, dtype = array.shape(inputs)[0], inputs.dtype
        if batch_size is None or dtype is None:
            raise ValueError("give inputs, or both batch_size and dtype")
        return self.zero_state(batch_size, dtype)


def _input_size(shape: Any, cell: RNNCell) -> int:
    size = shape.as_list()[-1] if shape.ndims else None
    if size is None:
        raise ValueError(f"{type(cell).__name__} needs inputs with a known last dimension, got shape {shape}")
    return int(size)


def _function(activation: Any, default: Callable[..., Any]) -> Callable[..., Any]:
    if activation is None:
        return default
    return (
        getattr(nn, activation, None) or getattr(math, activation)
        if isinstance(activation, str)
        else activation
    )


class BasicRNNCell(RNNCell):
    """output = next state = activation(W [input, state] + b).

    Args:
      num_units: the size of the state.
      activation: tanh by default.
      reuse: whether to take variables that are there already.
      name, dtype: of its variables.
    """

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation, math.tanh)

    @property
    def state_size(self) -> Any:
        """The size of the state."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, when the shape of the inputs is known."""
        size = _input_size(inputs_shape, self) + self._num_units
        self._kernel = self.add_variable("kernel", [size, self._num_units])
        self._bias = self.add_variable("bias", [self._num_units], zeros_initializer())

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""
        output = self._activation(
            nn.bias_add(matmul(array.concat([inputs, state], 1), self._kernel), self._bias)
        )
        return output, output


class GRUCell(RNNCell):
    """A gated recurrent unit (Cho et al., 2014, https://arxiv.org/abs/1406.1078).

    Args:
      num_units: the size of the state.
      activation: of the candidate; tanh by default.
      reuse: whether to take variables that are there already.
      kernel_initializer: of both kernels.
      bias_initializer: of both biases; by default ones for the gates, zeros for the candidate.
      name, dtype: of its variables.
    """

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._activation = _function(activation, math.tanh)
        self._initializers = kernel_initializer, bias_initializer

    @property
    def state_size(self) -> Any:
        """The size of the state."""
        return self._num_units

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, when the shape of the inputs is known."""
        size, units = _input_size(inputs_shape, self) + self._num_units, self._num_units
        kernel, bias = self._initializers
        self._gates = (
            self.add_variable("gates/kernel", [size, 2 * units], kernel),
            self.add_variable("gates/bias", [2 * units], bias or constant_initializer(1.0)),
        )
        self._candidate = (
            self.add_variable("candidate/kernel", [size, units], kernel),
            self.add_variable("candidate/bias", [units], bias or zeros_initializer()),
        )

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""

        def layer(x: Any, kernel: Any, bias: Any) -> Any:
            return nn.bias_add(matmul(array.concat([inputs, x], 1), kernel), bias)

        reset, update = array.split(math.sigmoid(layer(state, *self._gates)), 2, axis=1)
        candidate = self._activation(layer(reset * state, *self._candidate))
        output = update * state + (1 - update) * candidate
        return output, output


class _LSTM(RNNCell):
    """What both LSTM cells share."""

    _num_units: int
    _activation: Callable[..., Any]
    _forget_bias: float
    _state_is_tuple: bool
    _outputs: int

    @property
    def state_size(self) -> Any:
        if self._state_is_tuple:
            return LSTMStateTuple(self._num_units, self._outputs)
        return self._num_units + self._outputs

    @property
    def output_size(self) -> Any:
        return self._outputs

    def _unpacked(self, state: Any) -> Any:
        return state if self._state_is_tuple else array.split(state, [self._num_units, self._outputs], axis=1)

    def _packed(self, c: Any, h: Any) -> Any:
        return LSTMStateTuple(c, h) if self._state_is_tuple else array.concat([c, h], 1)

    def _gates(self, inputs: Any, h: Any) -> Any:
        product = nn.bias_add(matmul(array.concat([inputs, h], 1), self._kernel), self._bias)
        return array.split(product, 4, axis=1)

    _kernel: Any
    _bias: Any


class BasicLSTMCell(_LSTM):
    """A long short-term memory without peepholes (Zaremba et al., 2014, https://arxiv.org/abs/1409.2329).

    Args:
      num_units: the size of `c` and of `h`.
      forget_bias: added to the forget gate.
      state_is_tuple: whether the state is an `LSTMStateTuple`, rather than `c` and `h` side by side.
      activation: tanh by default.
      reuse: whether to take variables that are there already.
      name, dtype: of its variables.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = self._outputs = num_units
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = _function(activation, math.tanh)

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, when the shape of the inputs is known."""
        size, units = _input_size(inputs_shape, self) + self._num_units, self._num_units
        self._kernel = self.add_variable("kernel", [size, 4 * units])
        self._bias = self.add_variable("bias", [4 * units], zeros_initializer())

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""
        c, h = self._unpacked(state)
        i, j, f, o = self._gates(inputs, h)
        c = c * math.sigmoid(f + self._forget_bias) + math.sigmoid(i) * self._activation(j)
        h = self._activation(c) * math.sigmoid(o)
        return h, self._packed(c, h)


class LSTMCell(_LSTM):
    """A long short-term memory (Sak et al., 2014, https://arxiv.org/abs/1402.1128).

    Args:
      num_units: the size of `c`.
      use_peepholes: whether the gates see `c` too.
      cell_clip: clip `c` to this size.
      initializer: of the kernels and peepholes.
      num_proj: the size of `h`, onto which the output is projected.
      proj_clip: clip the projection to this size.
      num_unit_shards, num_proj_shards: accepted.
      forget_bias: added to the forget gate.
      state_is_tuple: whether the state is an `LSTMStateTuple`, rather than `c` and `h` side by side.
      activation: tanh by default.
      reuse: whether to take variables that are there already.
      name, dtype: of its variables.
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: Any = None,
        num_proj_shards: Any = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ):
        del num_unit_shards, num_proj_shards
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self._num_units = num_units
        self._num_proj = num_proj
        self._outputs = num_proj or num_units
        self._use_peepholes = use_peepholes
        self._cell_clip = cell_clip
        self._proj_clip = proj_clip
        self._initializer = initializer
        self._forget_bias = forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = _function(activation, math.tanh)

    def build(self, inputs_shape: Any) -> None:
        """Makes the variables, when the shape of the inputs is known."""
        size, units, initial = (
            _input_size(inputs_shape, self) + self._outputs,
            self._num_units,
            self._initializer,
        )
        self._kernel = self.add_variable("kernel", [size, 4 * units], initial)
        self._bias = self.add_variable("bias", [4 * units], zeros_initializer())
        if self._use_peepholes:
            self._peepholes = [self.add_variable(f"w_{gate}_diag", [units], initial) for gate in "fio"]
        if self._num_proj:
            self._projection = self.add_variable("projection/kernel", [units, self._num_proj], initial)

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""
        c, h = self._unpacked(state)
        i, j, f, o = self._gates(inputs, h)
        f = f + self._forget_bias
        if self._use_peepholes:
            w_f, w_i, w_o = self._peepholes
            f, i = f + w_f * c, i + w_i * c
        c = math.sigmoid(f) * c + math.sigmoid(i) * self._activation(j)
        if self._cell_clip is not None:
            c = math.clip_by_value(c, -self._cell_clip, self._cell_clip)
        h = math.sigmoid(o + w_o * c if self._use_peepholes else o) * self._activation(c)
        if self._num_proj:
            h = matmul(h, self._projection)
            if self._proj_clip is not None:
                h = math.clip_by_value(h, -self._proj_clip, self._proj_clip)
        return h, self._packed(c, h)


class MultiRNNCell(RNNCell):
    """Cells one above the other: the output of each is the input of the next.

    Args:
      cells: the cells, from the lowest.
      state_is_tuple: whether the state is a tuple of theirs, rather than these side by side.

    Raises:
      ValueError: if there is no cell.
    """

    def __init__(self, cells: Any, state_is_tuple: bool = True):
        super().__init__()
        if not isinstance(cells, (list, tuple)):
            raise TypeError(f"cells must be a list or tuple, got {cells!r}")
        if not cells:
            raise ValueError("MultiRNNCell needs at least one cell")
        self._cells = list(cells)
        self._state_is_tuple = state_is_tuple

    @property
    def state_size(self) -> Any:
        """The size of the state."""
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        return self._cells[-1].output_size

    @property
    def variables(self) -> list[Any]:
        """The variables, once the cell has been called."""
        return [v for cell in self._cells for v in cell.variables]

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        """The trainable variables, once the cell has been called."""
        return [v for v in self.variables if v.trainable]

    trainable_weights = trainable_variables

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros in the structure of `state_size`, for a batch."""
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        with name_scope(type(self).__name__ + "ZeroState"):
            return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def call(self, inputs: Any, state: Any) -> Any:
        """The output and the next state."""
        states = state
        if not self._state_is_tuple:
            states = array.split(state, [cell.state_size for cell in self._cells], axis=1)
        new_states = []
        for i, (cell, old) in enumerate(zip(self._cells, states)):
            with variable_scope(f"cell_{i}"):
                inputs, new = cell(inputs, old)
            new_states.append(new)
        return inputs, tuple(new_states) if self._state_is_tuple else array.concat(new_states, 1)


class _Wrapper(RNNCell):
    """A cell around another, whose sizes and variables it has."""

    def __init__(self, cell: Any):
        super().__init__()
        if not callable(cell):
            raise TypeError(f"cell must be an RNNCell, got {cell!r}")
        self.cell = self._cell = cell

    @property
    def state_size(self) -> Any:
        return self.cell.state_size

    @property
    def output_size(self) -> Any:
        return self.cell.output_size

    @property
    def variables(self) -> list[Any]:
        return self.cell.variables

    weights = variables

    @property
    def trainable_variables(self) -> list[Any]:
        return self.cell.trainable_variables

    trainable_weights = trainable_variables

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with name_scope(type(self).__name__ + "ZeroState"):
            return self.cell.zero_state(batch_size, dtype)


class DropoutWrapper(_Wrapper):
    """Drops parts of the inputs, outputs and state of a cell.

    Args:
      cell: the cell.
      input_keep_prob, output_keep_prob, state_keep_prob: how likely each element is kept.
      variational_recurrent: drop the same elements in every step (Gal & Ghahramani, 2015,
        https://arxiv.org/abs/1512.05287).
      input_size: the size of the inputs, which `variational_recurrent` has to know if inputs are dropped.
      dtype: of inputs, state and outputs, which `variational_recurrent` has to know.
      seed: of the random numbers.
      dropout_state_filter_visitor: tells, for each part of the state, whether to drop from it; the `c` of an
        LSTM is kept by default.

    Raises:
      ValueError: if a probability is not between 0 and 1, or something is missing.
    """

    def __init__(
        self,
        cell: Any,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Callable[[Any], Any] | None = None,
    ):
        super().__init__(cell)
        self._keep = {"input": input_keep_prob, "state": state_keep_prob, "output": output_keep_prob}
        for label, keep in self._keep.items():
            if isinstance(keep, (int, float)) and not 0 <= keep <= 1:
                raise ValueError(f"{label}_keep_prob is {keep}, expected a probability between 0 and 1")
        self._seed = seed
        self._filter = dropout_state_filter_visitor or (lambda part: not isinstance(part, LSTMStateTuple))
        self._noise: dict[str, list[Any]] = {}
        if variational_recurrent:
            if dtype is None:
                raise ValueError("variational_recurrent needs the dtype")
            sizes = {"input": input_size, "state": cell.state_size, "output": cell.output_size}
            if self._drops("input") and input_size is None:
                raise ValueError("variational_recurrent with input_keep_prob needs the input_size")
            for label, size in sizes.items():
                if self._drops(label):
                    self._noise[label] = [
                        self._fixed_noise(label, i, part, dtype) for i, part in enumerate(nest.flatten(size))
                    ]

    def _drops(self, label: str) -> bool:
        keep = self._keep[label]
        return not isinstance(keep, (int, float)) or keep < 1

    def _seed_of(self, label: str, i: int) -> int | None:
        if self._seed is None:
            return None
        digest = hashlib.md5(f"{self._seed}{label}_{i}".encode()).hexdigest()
        return int(digest[:8], 16) & 0x7FFFFFFF

    def _fixed_noise(self, label: str, i: int, size: Any, dtype: Any) -> Tensor:
        from_size = size.as_list() if isinstance(size, TensorShape) else [size]
        return nn.dropout(
            array.ones([1, *from_size], dtype), keep_prob=self._keep[label], seed=self._seed_of(label, i)
        )

    def _dropped(self, label: str, values: Any) -> Any:
        if not self._drops(label):
            return values
        kept = (
            _parts_to_keep(values, self._filter) if label == "state" else [False] * len(nest.flatten(values))
        )
        dropped = []
        for i, (leaf, keep) in enumerate(zip(nest.flatten(values), kept)):
            if keep:
                dropped.append(leaf)
            elif self._noise:
                dropped.append(leaf * self._noise[label][i])
            else:
                dropped.append(nn.dropout(leaf, keep_prob=self._keep[label], seed=self._seed_of(label, i)))
        return nest.pack_sequence_as(values, dropped)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """One step; see `RNNCell`."""
        inputs = self._dropped("input", inputs)
        output, state = self.cell(inputs, state, scope=scope)
        return self._dropped("output", output), self._dropped("state", state)


def _parts_to_keep(state: Any, drops: Callable[[Any], Any]) -> list[bool]:
    """For each leaf of a state, whether nothing is dropped from it."""
    if isinstance(state, LSTMStateTuple):
        chosen = drops(state)
        if isinstance(chosen, LSTMStateTuple):
            return [not chosen.c, not chosen.h]
        return [True, False] if not chosen else [False, False]
    if nest.is_nested(state):
        parts = [state[key] for key in sorted(state)] if isinstance(state, dict) else state
        return [keep for part in parts for keep in _parts_to_keep(part, drops)]
    return [not drops(state)]


class ResidualWrapper(_Wrapper):
    """Adds a cell's inputs to its outputs.

    Args:
      cell: the cell.
      residual_fn: a function of inputs and outputs to use instead of the sum.
    """

    def __init__(self, cell: Any, residual_fn: Callable[[Any, Any], Any] | None = None):
        super().__init__(cell)
        self._residual_fn = residual_fn

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """One step; see `RNNCell`."""
        outputs, state = self.cell(inputs, state, scope=scope)
        if self._residual_fn is not None:
            return self._residual_fn(inputs, outputs), state
        return nest.map_structure(lambda a, b: a + b, inputs, outputs), state


class DeviceWrapper(_Wrapper):
    """Places a cell on a device."""

    def __init__(self, cell: Any, device: Any):
        super().__init__(cell)
        self._device = device

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros in the structure of `state_size`, for a batch."""
        with device(self._device):
            return super().zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> Any:
        """One step; see `RNNCell`."""
        with device(self._device):
            return self.cell(inputs, state, scope=scope)
