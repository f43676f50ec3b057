"""Variables: state that lives in a session from run to run.

A variable has resource semantics: a read is a snapshot that later updates do not change, and updates by
several threads at once do not mix. The node names are those of a program in the TensorFlow 1 graph: `w` is
the variable, `w/Assign` initialises it, `w/read` is its value.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from headrace.framework import dtypes, protos, raw
from headrace.framework.convert import convert_to_tensor, register_tensor_conversion_function
from headrace.framework.func_graph import init_scope
from headrace.framework.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    colocate_with,
    control_dependencies,
    device,
    get_collection,
    get_default_graph,
    get_default_session,
    name_scope,
)
from headrace.framework.indexed_slices import IndexedSlices
from headrace.framework.shapes import TensorShape, as_shape, unknown_shape
from headrace.ops import array, control_flow, math, slicing
from headrace.ops.cond import cond

__all__ = [
    "PartitionedVariable",
    "Variable",
    "VariableAggregation",
    "VariableSynchronization",
    "all_variables",
    "assert_variables_initialized",
    "global_variables",
    "global_variables_initializer",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
    "is_variable_initialized",
    "local_variables",
    "local_variables_initializer",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
    "trainable_variables",
    "variables_initializer",
]


class VariableSynchronization(enum.Enum):
    """When copies of a variable on several devices are brought together; kept, but there is one copy here."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(enum.Enum):
    """How copies of a variable on several devices are brought together; kept, but there is one copy here."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3
    ONLY_FIRST_TOWER = 3  # noqa: PIE796, the older name


class SaveSliceInfo:
    """Where a variable is in the larger one that it is a partition of, for checkpoints.

    Args:
        full_name: Name of the whole.
        full_shape: Shape of the whole.
        var_offset: Where the partition starts, for each dimension.
        var_shape: Shape of the partition.
        save_slice_info_def: A `SaveSliceInfoDef` message, instead of all that.
        import_scope: Scope that is put before the name of the message.
    """

    def __init__(
        self,
        full_name: str | None = None,
        full_shape: Any = None,
        var_offset: Any = None,
        var_shape: Any = None,
        save_slice_info_def: Any = None,
        import_scope: str | None = None,
    ):
        if save_slice_info_def is not None:
            full_name = _joined(import_scope, save_slice_info_def.full_name)
            full_shape = list(save_slice_info_def.full_shape)
            var_offset = list(save_slice_info_def.var_offset)
            var_shape = list(save_slice_info_def.var_shape)
        self.full_name = full_name
        self.full_shape = full_shape
        self.var_offset = var_offset
        self.var_shape = var_shape

    @property
    def spec(self) -> str:
        """The slice as checkpoints write it: "4 3 0,2:0,3" is rows 0 and 1 of shape (4, 3)."""
        full = " ".join(map(str, self.full_shape or ()))
        parts = ":".join(f"{at},{size}" for at, size in zip(self.var_offset or (), self.var_shape or ()))
        return f"{full} {parts}"

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Returns a `SaveSliceInfoDef` message, or None if the variable is not within `export_scope`."""
        full_name = stripped_name(export_scope, self.full_name or "")
        if full_name is None:
            return None
        return protos.SaveSliceInfoDef(
            full_name=full_name,
            full_shape=self.full_shape,
            var_offset=self.var_offset,
            var_shape=self.var_shape,
        )


def _joined(scope: str | None, name: str) -> str:
    return f"{scope.rstrip('/')}/{name}" if scope else name


def stripped_name(scope: str | None, name: str) -> str | None:
    """The name without the scope at its front; None if it is not there."""
    if not scope:
        return name
    prefix = scope.rstrip("/") + "/"
    return name[len(prefix) :] if name.startswith(prefix) else None


class Variable:
    """A tensor that keeps its value from run to run of a session, and can be assigned to.

    A variable must be initialised in a session before it is read: run `global_variables_initializer()`, or
    restore it from a checkpoint. It can be used wherever a tensor can.

    Args:
        initial_value: What the initializer assigns: a tensor, what can become one, or a function without
            arguments that returns one. It also gives the shape and, unless `dtype` is given, the dtype.
        trainable: Whether optimizers change it by default: it is then in the collection
            `TRAINABLE_VARIABLES`.
        collections: The collections that it is put into; `[GraphKeys.GLOBAL_VARIABLES]` by default.
        validate_shape: If False, the shape is not fixed: values of any shape can be assigned.
        caching_device: Device where its value is read.
        name: Its name, made unique; "Variable" by default.
        variable_def: A `VariableDef` message: the variable is then looked up in the graph.
        dtype: Its dtype; by default that of `initial_value`.
        expected_shape: The shape that it must have, checked against `initial_value`.
        import_scope: Scope before the names of `variable_def`.
        constraint: A function that optimizers apply to the new value after an update; see `constraint`.
        use_resource: Accepted; all variables are resources.
        synchronization: Kept as an attribute.
        aggregation: Kept as an attribute.
        shape: Its static shape, if less is known of it than of that of `initial_value`.

    Raises:
        ValueError: If there is no initial value, or its shape is not wholly known while `validate_shape` is
            True.
        TypeError: If `initial_value` does not fit `dtype`.
    """

    SaveSliceInfo: ClassVar[Any] = SaveSliceInfo

    # NumPy's operators leave the work to ours.
    __array_priority__ = 100
    __array_ufunc__ = None

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Tensor], Any] | None = None,
        use_resource: bool | None = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
        shape: Any = None,
    ):
        self._save_slice_info: Any = None
        if variable_def is not None:
            if initial_value is not None:
                raise ValueError("variable_def and initial_value cannot both be given")
            self._look_up(variable_def, import_scope)
            return
        if initial_value is None:
            raise ValueError("a variable needs an initial_value: a tensor, or a function that returns one")
        if constraint is not None and not callable(constraint):
            raise ValueError(f"constraint is {constraint!r}; it must be a function of the new value")
        if collections is None:
            collections = [GraphKeys.GLOBAL_VARIABLES]
        if not isinstance(collections, (list, tuple, set)):
            raise ValueError(
                f"collections is a {type(collections).__name__}; pass a list, such as [{collections!r}]"
            )
        self._synchronization = synchronization
        self._aggregation = aggregation
        self._constraint = constraint
        self._trainable = _trainable(trainable, synchronization)
        if self._trainable and GraphKeys.TRAINABLE_VARIABLES not in collections:
            collections = [*collections, GraphKeys.TRAINABLE_VARIABLES]

        of_function = callable(initial_value)
        values = [] if of_function else [initial_value]
        with init_scope(), name_scope(name, "Variable", values) as scope:
            graph = self._graph = get_default_graph()
            value = self._made(initial_value, of_function, dtype, scope[:-1])
            static = value.shape if shape is None else as_shape(shape)
            if expected_shape is not None:
                static = static.merge_with(expected_shape)
            if not validate_shape:
                static = unknown_shape() if shape is None else static
            elif not value.shape.is_fully_defined():
                raise ValueError(
                    f"the initial value {value.name} has the partly known shape {value.shape}; fix it, for "
                    "instance with tf.reshape, or pass validate_shape=False"
                )
            self._initial_value: Any = value
            self._handle = self._named = raw.VarHandleOp(
                dtype=value.dtype, shape=static, shared_name=scope[:-1], name=scope
            )
            safe = _safe_initial_value(value)
            with colocate_with(self._handle.op):
                self._initializer_op = raw.AssignVariableOp(self._handle, safe, name="Assign")
            with device(caching_device) if caching_device is not None else colocate_with(self._handle.op):
                self._snapshot = raw.ReadVariableOp(self._handle, dtype=value.dtype, name="read")
        graph.add_to_collections(collections, self)

    def _made(self, initial_value: Any, of_function: bool, dtype: Any, name: str) -> Tensor:
        """The initial value as a tensor."""
        if not of_function:
            return convert_to_tensor(initial_value, dtype=dtype, name="initial_value")
        graph = self._graph
        with (
            graph._attr_scope({"_class": [f"loc:@{name}".encode()]}),
            graph.name_scope("Initializer"),
            graph.device(None),
        ):
            return convert_to_tensor(initial_value(), dtype=dtype, name="initial_value")

    def _look_up(self, variable_def: Any, import_scope: str | None) -> None:
        """Makes this a view of a variable that the graph has already."""
        graph = self._graph = get_default_graph()

        def find(name: str) -> Any:
            return graph.as_graph_element(_joined(import_scope, name))

        named = find(variable_def.variable_name)
        # What was a reference in another graph is a read of a resource here, under the variable's name.
        self._handle = named if named.dtype == dtypes.resource else named.op.inputs[0]
        self._named = _stand_in(self._handle)
        self._initializer_op = find(variable_def.initializer_name)
        self._snapshot = find(variable_def.snapshot_name)
        self._initial_value = (
            find(variable_def.initial_value_name) if variable_def.initial_value_name else None
        )
        self._trainable = variable_def.trainable
        self._synchronization = VariableSynchronization(variable_def.synchronization)
        self._aggregation = VariableAggregation(variable_def.aggregation)
        self._constraint = None
        if variable_def.HasField("save_slice_info_def"):
            self._save_slice_info = SaveSliceInfo(
                save_slice_info_def=variable_def.save_slice_info_def, import_scope=import_scope
            )

    # -- what it is

    @property
    def handle(self) -> Tensor:
        """The resource tensor that refers to the variable."""
        return self._handle

    @property
    def op(self) -> Operation:
        """The operation with the variable's name; it makes the handle."""
        return self._named.op

    @property
    def name(self) -> str:
        """The name, such as "dense/kernel:0"."""
        return self._named.name

    @property
    def _shared_name(self) -> str:
        return self._named.op.name

    @property
    def graph(self) -> Graph:
        """The graph that the variable is in."""
        return self._graph

    @property
    def device(self) -> str:
        """The device that was asked for, or ''."""
        return self._handle.device

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of its values."""
        return self._snapshot.dtype

    @property
    def shape(self) -> TensorShape:
        """The static shape."""
        return self._snapshot.shape

    def get_shape(self) -> TensorShape:
        """Returns the static shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Adds to what is known of the shape; ValueError if it contradicts what is known."""
        self._snapshot.set_shape(shape)
        self._handle.op._set_attr("shape", self._snapshot.shape)

    def _shape_as_list(self) -> list[int | None] | None:
        return self._snapshot._shape_as_list()

    @property
    def trainable(self) -> bool:
        """Whether optimizers change it by default."""
        return self._trainable

    @property
    def synchronization(self) -> Any:
        """As given."""
        return self._synchronization

    @property
    def aggregation(self) -> Any:
        """As given."""
        return self._aggregation

    @property
    def constraint(self) -> Callable[[Tensor], Any] | None:
        """The function that is applied to the value after an optimizer's update, or None."""
        return self._constraint

    @property
    def initializer(self) -> Operation:
        """The operation that assigns the initial value."""
        return self._initializer_op

    @property
    def initial_value(self) -> Tensor:
        """The tensor that the initializer assigns."""
        return self._initial_value

    def _start_from(self, value: Tensor) -> None:
        """Makes the initializer assign another value."""
        self._initializer_op = raw.AssignVariableOp(self._handle, value)
        self._initial_value = value

    def _set_save_slice_info(self, info: Any) -> None:
        self._save_slice_info = info

    def _get_save_slice_info(self) -> Any:
        return self._save_slice_info

    # -- reading

    def value(self) -> Tensor:
        """Returns the value as a tensor: in a run, that at the run's beginning.

        Within `control_dependencies`, it is the value once those operations have run.
        """
        graph = get_default_graph()
        if graph is self._graph and not graph._controllers:
            return self._snapshot
        return self.read_value()

    def read_value(self) -> Tensor:
        """Returns the value read anew, subject to the control dependencies around."""
        return raw.ReadVariableOp(self._handle, dtype=self.dtype, name="read")

    def _as_graph_element(self) -> Tensor:
        return self._snapshot

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """Returns the rows that `indices` name, without reading the others."""
        return raw.ResourceGather(self._handle, indices, dtype=self.dtype, name=name or "Gather")

    def gather_nd(self, indices: Any, name: str | None = None) -> Tensor:
        """Returns the slices at N-dimensional `indices`; see `tf.gather_nd`."""
        return raw.ResourceGatherNd(self._handle, indices, dtype=self.dtype, name=name or "GatherNd")

    def eval(self, session: Any = None) -> Any:
        """Returns the value in a session, by default the default one."""
        return self._snapshot.eval(session=session)

    def initialized_value(self) -> Tensor:
        """Returns the value, or the initial value where the variable is not initialised.

        For initial values of other variables, whose initializers run in any order.
        """
        if self._initial_value is None:
            raise ValueError(f"variable {self.name} comes from a message that tells no initial value")
        made = is_variable_initialized(self)
        return cond(made, self.read_value, lambda: self._initial_value, name="initialized_value")

    # -- assigning

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Makes an operation that gives the variable a new value.

        Args:
            value: The new value.
            use_locking: Accepted; updates are always atomic.
            name: Name of the operation.
            read_value: Whether to return the new value.

        Returns:
            The new value as a tensor, or the operation if `read_value` is False.

        Raises:
            ValueError: If the value does not have the variable's shape.
        """
        return self._update(raw.AssignVariableOp, "Assign", name, read_value, value=value)

    def assign_add(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Makes an operation that adds to the variable; arguments and result as those of `assign`."""
        return self._update(raw.AssignAddVariableOp, "AssignAdd", name, read_value, value=delta)

    def assign_sub(
        self, delta: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Makes an operation that subtracts from the variable; arguments and result as those of `assign`."""
        return self._update(raw.AssignSubVariableOp, "AssignSub", name, read_value, value=delta)

    def _update(
        self, make: Callable[..., Operation], default_name: str, name: str | None, read: bool, **inputs: Any
    ) -> Any:
        """Makes an update, and a read of what it leaves behind.

        Values and updates are converted to the variable's dtype, indices to an integer one.
        """
        with name_scope(name, default_name, [self._handle]) as scope:
            converted = {
                key: convert_to_tensor(value, dtype=None if key == "indices" else self.dtype, name=key)
                for key, value in inputs.items()
            }
            op = make(self._handle, **converted, name=scope)
            if not read:
                return op
            with control_dependencies([op]):
                return self.read_value()

    def load(self, value: Any, session: Any = None) -> None:
        """Gives the variable a new value in a session, by default the default one, at once.

        Args:
            value: An array or what can become one.
            session: The session.

        Raises:
            ValueError: If there is no session.
        """
        session = session or get_default_session()
        if session is None:
            raise ValueError(
                "there is no default session to load a value in; use `with sess:` or pass session="
            )
        session.run(self._assignment(), {self._assignment().inputs[1]: value})

    def _assignment(self) -> Operation:
        """The initializer, or what it stands for if it is a read that waits for it."""
        candidates = [self._initializer_op, *self._initializer_op.control_inputs]
        return next(op for op in candidates if op.type == "AssignVariableOp")

    def count_up_to(self, limit: int) -> Tensor:
        """Makes an operation that adds one to the variable and returns what it was before.

        When run, it raises `OutOfRangeError` once the variable has reached `limit`.
        """
        return raw.ResourceCountUpTo(self._handle, limit=limit, T=self.dtype, name="CountUpTo")

    # -- assigning to parts

    def scatter_update(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Makes an operation that replaces rows; returns the new value.

        Args:
            sparse_delta: The rows and their indices. If an index is there twice, the later row stays.
            use_locking: Accepted; updates are always atomic.
            name: Name of the operation.

        Raises:
            TypeError: If `sparse_delta` is no `IndexedSlices`.
        """
        return self._scatter(raw.ResourceScatterUpdate, "ScatterUpdate", sparse_delta, name)

    def scatter_add(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, adding to rows: an index that is there twice is added to twice."""
        return self._scatter(raw.ResourceScatterAdd, "ScatterAdd", sparse_delta, name)

    def scatter_sub(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, subtracting from rows."""
        return self._scatter(raw.ResourceScatterSub, "ScatterSub", sparse_delta, name)

    def scatter_mul(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, multiplying rows."""
        return self._scatter(raw.ResourceScatterMul, "ScatterMul", sparse_delta, name)

    def scatter_div(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, dividing rows."""
        return self._scatter(raw.ResourceScatterDiv, "ScatterDiv", sparse_delta, name)

    def scatter_min(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, taking the lesser element."""
        return self._scatter(raw.ResourceScatterMin, "ScatterMin", sparse_delta, name)

    def scatter_max(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Like `scatter_update`, taking the greater element."""
        return self._scatter(raw.ResourceScatterMax, "ScatterMax", sparse_delta, name)

    def _scatter(
        self, make: Callable[..., Operation], default_name: str, delta: IndexedSlices, name: str | None
    ) -> Tensor:
        if not isinstance(delta, IndexedSlices):
            raise TypeError(
                f"sparse_delta is a {type(delta).__name__}; pass tf.IndexedSlices(values, indices)"
            )
        return self._update(make, default_name, name, True, indices=delta.indices, updates=delta.values)

    def batch_scatter_update(
        self, sparse_delta: IndexedSlices, use_locking: bool = False, name: str | None = None
    ) -> Tensor:
        """Makes an operation that replaces rows of each of a batch; returns the new value.

        With indices of shape (..., n), `variable[..., indices[..., i], :] = values[..., i, :]`.

        Args:
            sparse_delta: The rows and their indices, whose leading dimensions are those of the variable.
            use_locking: Accepted; updates are always atomic.
            name: Name of the operation.
        """
        if not isinstance(sparse_delta, IndexedSlices):
            raise TypeError(
                f"sparse_delta is a {type(sparse_delta).__name__}; pass tf.IndexedSlices(values, indices)"
            )
        with name_scope(name, "batch_scatter_update", [self._handle, sparse_delta.indices]):
            indices = convert_to_tensor(sparse_delta.indices, name="indices")
            shape = array.shape(indices)
            rank = indices.shape.ndims
            if rank is None:
                raise ValueError("the rank of the indices must be known")
            # The place of an index in the batch, before the index itself.
            places = []
            for axis in range(rank - 1):
                steps = math.cast(array.range(0, shape[axis]), indices.dtype)
                ones = [1] * rank
                ones[axis] = -1
                places.append(array.broadcast_to(array.reshape(steps, ones), shape))
            full = array.stack([*places, indices], axis=-1)
            return self.scatter_nd_update(full, sparse_delta.values)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """Makes an operation that replaces the slices at N-dimensional indices; returns the new value.

        Args:
            indices: The last dimension is an index: as many numbers as leading dimensions are selected from.
            updates: The new slices.
            name: Name of the operation.
        """
        return self._update(
            raw.ResourceScatterNdUpdate, "ScatterNdUpdate", name, True, indices=indices, updates=updates
        )

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """Like `scatter_nd_update`, adding to the slices."""
        return self._update(
            raw.ResourceScatterNdAdd, "ScatterNdAdd", name, True, indices=indices, updates=updates
        )

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """Like `scatter_nd_update`, subtracting from the slices."""
        return self._update(
            raw.ResourceScatterNdSub, "ScatterNdSub", name, True, indices=indices, updates=updates
        )

    def _strided_slice_assign(self, sliced: Operation, value: Any, name: str | None) -> Tensor:
        """Assigns to the slice that a StridedSlice operation takes."""
        masks = {key: sliced.get_attr(key) for key in _SLICE_MASKS}
        begin, end, strides = sliced.inputs[1:4]

        def make(handle: Tensor, value: Tensor, name: str) -> Operation:
            return raw.ResourceStridedSliceAssign(handle, begin, end, strides, value, **masks, name=name)

        return self._update(make, "strided_slice_assign", name, True, value=value)

    def __getitem__(self, item: Any) -> Tensor:
        """Returns a slice, as of a tensor; its method `assign(value)` assigns to that part."""
        sliced: Any = Tensor.__getitem__(self.value(), item)
        if sliced.op.type == "StridedSlice":

            def assign(value: Any, name: str | None = None) -> Tensor:
                return self._strided_slice_assign(sliced.op, value, name)

            sliced.assign = assign
        return sliced

    # -- messages

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Returns a `VariableDef` message, or None if the variable is not within `export_scope`."""
        names = {
            "variable_name": self._handle.name,
            "initializer_name": self._initializer_op.name,
            "snapshot_name": self._snapshot.name,
        }
        if self._initial_value is not None:
            names["initial_value_name"] = self._initial_value.name
        stripped = {key: stripped_name(export_scope, name) for key, name in names.items()}
        if stripped["variable_name"] is None:
            return None
        made = protos.VariableDef(
            **{key: name for key, name in stripped.items() if name is not None},
            is_resource=True,
            trainable=self._trainable,
            synchronization=self._synchronization.value,
            aggregation=self._aggregation.value,
        )
        if self._save_slice_info is not None:
            info = self._save_slice_info.to_proto(export_scope)
            if info is not None:
                made.save_slice_info_def.CopyFrom(info)
        return made

    @staticmethod
    def from_proto(variable_def: Any, import_scope: str | None = None) -> Variable:
        """Returns the variable of the default graph that a `VariableDef` message describes."""
        return Variable(variable_def=variable_def, import_scope=import_scope)

    # -- Python

    def experimental_ref(self) -> Variable:
        """Returns the variable itself, which can be a key of dictionaries."""
        return self

    def __iter__(self) -> Any:
        raise TypeError(f"variable {self.name} cannot be iterated over; use tf.unstack, or slices")

    def __bool__(self) -> bool:
        raise TypeError(
            f"variable {self.name} is neither true nor false while the graph is being built; use `is not "
            "None`, or tf.cond to choose by its value"
        )

    def __copy__(self) -> Variable:
        return self

    def __deepcopy__(self, memo: Any) -> Variable:
        return self

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"


_SLICE_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")

# Names of special methods, without underscores.
_OPERATORS = (
    "abs invert neg add radd sub rsub mul rmul div rdiv truediv rtruediv floordiv "
    "rfloordiv mod rmod pow rpow matmul rmatmul and rand or ror xor rxor lt le gt ge"
)


def _operator(name: str) -> Callable[..., Any]:
    """The operator of tensors, applied to a variable's value."""

    def run(self: Variable, *others: Any) -> Any:
        return getattr(Tensor, name)(self.value(), *others)

    run.__name__ = name
    run.__doc__ = f"`Tensor.{name}` of the value."
    return run


for _name in _OPERATORS.split():
    setattr(Variable, f"__{_name}__", _operator(f"__{_name}__"))


def _to_tensor(value: Any, dtype: Any = None, name: str | None = None, as_ref: bool = False) -> Any:
    if dtype is not None and not dtype.is_compatible_with(value.dtype):
        raise ValueError(
            f"variable {value.name} is {value.dtype.name}, expected {dtypes.as_dtype(dtype).name}; tf.cast "
            "it first"
        )
    return value.value()


register_tensor_conversion_function(Variable, _to_tensor)


def _stand_in(handle: Tensor) -> Tensor:
    """The tensor with a variable's name: its handle, unless it was a reference in another graph.

    Of an imported reference "w", the handle is "w/handle", and "w" reads it.
    """
    name = handle.op.name.rpartition("/")[0]
    for op in handle.consumers():
        if op.name == name and op.type == "ReadVariableOp":
            return op.outputs[0]
    return handle


def _trainable(trainable: bool | None, synchronization: Any) -> bool:
    if synchronization == VariableSynchronization.ON_READ:
        if trainable:
            raise ValueError("a variable with synchronization ON_READ cannot be trainable")
        return False
    return True if trainable is None else bool(trainable)


def _safe_initial_value(value: Tensor) -> Tensor:
    """The value computed from variables' initialized values, because initializers run in any order.

    Where it depends on reads of variables, what leads from them to it is made again.
    """
    graph = value.graph
    ancestors: dict[int, Operation] = {}
    pending = [value.op]
    reads = False
    while pending:
        op = pending.pop()
        if op._id in ancestors:
            continue
        ancestors[op._id] = op
        reads = reads or op.type == "ReadVariableOp"
        pending += [tensor.op for tensor in op.inputs]
    if not reads:
        return value
    known = {
        var.handle: var
        for key in (GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES)
        for var in graph.get_collection(key)
        if isinstance(var, Variable)
    }
    replaced: dict[Tensor, Tensor] = {}
    for _, op in sorted(ancestors.items()):
        if op.type == "ReadVariableOp" and op.inputs[0] in known:
            replaced[op.outputs[0]] = known[op.inputs[0]].initialized_value()
        elif any(tensor in replaced for tensor in op.inputs):
            attrs = {name: graph._core.attr(op._id, name)[1] for name in graph._core.attr_names(op._id)}
            inputs = [replaced.get(tensor, tensor) for tensor in op.inputs]
            again = graph.create_op(op.type, inputs, name=op.name.rpartition("/")[2], attrs=attrs)
            replaced.update(zip(op.outputs, again.outputs))
    return replaced.get(value, value)


# ---- partitioned variables


class PartitionedVariable:
    """A variable in several partitions along one axis, each a `Variable`; made by `get_variable`.

    Args:
        name: Name of the whole.
        shape: Shape of the whole.
        dtype: Its dtype.
        variable_list: The partitions in order, each with its `SaveSliceInfo`.
        partitions: The number of partitions along each axis.

    Raises:
        TypeError: If `variable_list` or `partitions` is no list.
        ValueError: If they do not fit.
    """

    def __init__(
        self, name: str, shape: Any, dtype: Any, variable_list: Iterable[Variable], partitions: list[int]
    ):
        if not isinstance(variable_list, (list, tuple)):
            raise TypeError(f"variable_list is a {type(variable_list).__name__}; pass a list")
        if not isinstance(partitions, (list, tuple)):
            raise TypeError(f"partitions is a {type(partitions).__name__}; pass a list")
        if not variable_list or not all(count >= 1 for count in partitions):
            raise ValueError(
                f"{len(variable_list)} variables and partitions {partitions}; there must be at least one"
            )
        self._name = name
        self._shape = as_shape(shape)
        self._dtype = dtypes.as_dtype(dtype)
        self._variables = sorted(variable_list, key=lambda var: _slice_of(var).var_offset)
        self._partitions = list(partitions)

    def _partition_axes(self) -> list[int]:
        """The axes that there is more than one partition along."""
        return [axis for axis, count in enumerate(self._partitions) if count > 1] or [0]

    def as_tensor(self) -> Tensor:
        """Returns the whole value."""
        axes = self._partition_axes()
        if len(axes) > 1:
            raise NotImplementedError(
                f"'{self._name}' is partitioned along axes {axes}; one at most can be joined"
            )
        with name_scope(None), name_scope(self._name + "/ConcatPartitions/"):
            if len(self._variables) == 1:
                joined = array.identity(self._variables[0].value())
            else:
                joined = array.concat([var.value() for var in self._variables], axes[0])
        with name_scope(None):
            return array.identity(joined, name=self._name)

    def __iter__(self) -> Any:
        """Iterates over the partitions."""
        return iter(self._variables)

    def __len__(self) -> int:
        """How many partitions there are."""
        return len(self._variables)

    def _get_variable_list(self) -> list[Variable]:
        return self._variables

    def _get_partitions(self) -> list[int]:
        return self._partitions

    @property
    def name(self) -> str:
        """Name of the whole."""
        return self._name

    @property
    def dtype(self) -> dtypes.DType:
        """The dtype of all partitions."""
        return self._dtype

    @property
    def shape(self) -> TensorShape:
        """Shape of the whole."""
        return self._shape

    def get_shape(self) -> TensorShape:
        """Returns the shape of the whole."""
        return self._shape

    @property
    def graph(self) -> Graph:
        """The graph of the partitions."""
        return self._variables[0].graph

    def assign(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Makes operations that assign a value of the whole shape; returns one result for each partition."""
        return self._each("assign", value, name, read_value)

    def assign_add(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Like `assign`, adding."""
        return self._each("assign_add", value, name, read_value)

    def assign_sub(
        self, value: Any, use_locking: bool = False, name: str | None = None, read_value: bool = True
    ) -> list[Any]:
        """Like `assign`, subtracting."""
        return self._each("assign_sub", value, name, read_value)

    def _each(self, method: str, value: Any, name: str | None, read_value: bool) -> list[Any]:
        whole = convert_to_tensor(value, dtype=self._dtype)
        results = []
        for i, var in enumerate(self._variables):
            info = _slice_of(var)
            part = slicing.slice(whole, info.var_offset, info.var_shape)
            part_name = None if name is None else f"{name}_{i}"
            results.append(getattr(var, method)(part, name=part_name, read_value=read_value))
        return results


def _slice_of(var: Variable) -> SaveSliceInfo:
    info = var._get_save_slice_info()
    if info is None:
        raise ValueError(f"variable {var.name} does not know which slice of the whole it is")
    return info


register_tensor_conversion_function(
    PartitionedVariable, lambda value, dtype=None, name=None, as_ref=False: value.as_tensor()
)


# ---- collections of variables, and their initializers


def global_variables(scope: str | None = None) -> list[Variable]:
    """Returns the variables that checkpoints keep: all that were made without other `collections`.

    Args:
        scope: Only those whose names match this, a regular expression from the name's start.
    """
    return get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def all_variables() -> list[Variable]:
    """Older name of `global_variables`."""
    return global_variables()


def local_variables(scope: str | None = None) -> list[Variable]:
    """Returns the variables that belong to a process and are not saved, such as counters."""
    return get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def model_variables(scope: str | None = None) -> list[Variable]:
    """Returns the variables of the collection `MODEL_VARIABLES`."""
    return get_collection(GraphKeys.MODEL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Variable]:
    """Returns the variables that optimizers change by default."""
    return get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Variable]:
    """Returns the variables that have moving averages."""
    return get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)


def variables_initializer(var_list: Iterable[Any], name: str = "init") -> Operation:
    """Returns an operation that initialises these variables, in no particular order."""
    return control_flow.group(*[var.initializer for var in var_list], name=name)


def global_variables_initializer() -> Operation:
    """Returns an operation that initialises all global variables that there are now."""
    return variables_initializer(global_variables())


def local_variables_initializer() -> Operation:
    """Returns an operation that initialises all local variables that there are now."""
    return variables_initializer(local_variables())


def initialize_variables(var_list: Iterable[Any], name: str = "init") -> Operation:
    """Older name of `variables_initializer`."""
    return variables_initializer(var_list, name)


def initialize_all_variables() -> Operation:
    """Older name of `global_variables_initializer`."""
    return global_variables_initializer()


def initialize_local_variables() -> Operation:
    """Older name of `local_variables_initializer`."""
    return local_variables_initializer()


def is_variable_initialized(variable: Variable) -> Tensor:
    """Returns a tensor that says whether the variable has a value."""
    return raw.VarIsInitializedOp(variable.handle, name="IsVariableInitialized")


def _known_variables(var_list: Any) -> list[Any]:
    return global_variables() + local_variables() if var_list is None else list(var_list)


def assert_variables_initialized(var_list: Any = None) -> Tensor | None:
    """Returns a tensor that fails to compute while one of the variables has no value.

    Args:
        var_list: The variables; all global and local ones if None.

    Returns:
        The ranks of the variables, None if there are no variables.
    """
    variables = _known_variables(var_list)
    if not variables:
        return None
    reads = []
    for var in variables:
        with colocate_with(var.op):
            reads.append(raw.ReadVariableOp(var.handle, dtype=var.dtype))
    # The ranks may be known without reading anything.
    with control_dependencies(reads):
        ranks = [array.rank(read) for read in reads]
        return ranks[0] if len(ranks) == 1 else array.stack(ranks)


def report_uninitialized_variables(
    var_list: Any = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """Returns the names of those variables that have no value, a vector of strings.

    Args:
        var_list: The variables; all global and local ones if None.
        name: Name of the operation.
    """
    variables = _known_variables(var_list)
    with name_scope(name):
        if not variables:
            return array.constant([], dtype=dtypes.string)
        known = array.stack([is_variable_initialized(var) for var in variables])
        names = array.constant([var.op.name for var in variables])
        return slicing.boolean_mask(names, math.logical_not(known))
