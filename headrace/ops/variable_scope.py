"""Variable scopes: names of variables, sharing them, and their defaults."""

from __future__ import annotations

import contextlib
import copy
import enum
import functools
import inspect
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.func_graph import init_scope
from headrace.framework.graph import (
    GraphKeys,
    Tensor,
    colocate_with,
    control_dependencies,
    get_collection,
    get_default_graph,
    graph_of,
    name_scope,
)
from headrace.framework.shapes import TensorShape, as_shape
from headrace.ops import slicing
from headrace.ops.init import glorot_uniform_initializer, zeros_initializer
from headrace.ops.variables import (
    PartitionedVariable,
    SaveSliceInfo,
    Variable,
    VariableAggregation,
    VariableSynchronization,
)

__all__ = [
    "AUTO_REUSE",
    "VariableScope",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "no_regularizer",
    "variable_op_scope",
    "variable_scope",
]


class _ReuseMode(enum.Enum):
    AUTO_REUSE = 1

    def __repr__(self) -> str:
        return "tf.AUTO_REUSE"


# As `reuse`: variables that do not exist are made, others are shared.
AUTO_REUSE = _ReuseMode.AUTO_REUSE

Reuse = bool | _ReuseMode | None

# What a variable scope gives to `get_variable` where the caller gives nothing.
_DEFAULTS = (
    "initializer",
    "regularizer",
    "caching_device",
    "partitioner",
    "custom_getter",
    "dtype",
    "use_resource",
    "constraint",
)


def no_regularizer(_: Any) -> None:
    """A regularizer that does nothing: for a variable that shall not have that of its scope."""
    return None


class PartitionInfo:
    """Which part of a partitioned variable an initializer makes.

    Args:
        full_shape: Shape of the whole.
        var_offset: Where the part starts, for each dimension.
    """

    def __init__(self, full_shape: Any, var_offset: Any):
        self.full_shape = list(full_shape)
        self.var_offset = list(var_offset)

    def single_offset(self, shape: Any) -> int:
        """Returns the offset along the axis that is partitioned, given the part's shape."""
        axis = self.single_slice_dim(shape)
        return 0 if axis is None else self.var_offset[axis]

    def single_slice_dim(self, shape: Any) -> int | None:
        """Returns the axis that is partitioned, None if there is none; ValueError if there are several."""
        axes = [i for i, (part, full) in enumerate(zip(list(shape), self.full_shape)) if part != full]
        if len(axes) > 1:
            raise ValueError(f"a part of shape {list(shape)} is cut along axes {axes} of {self.full_shape}")
        return axes[0] if axes else None


# ---- the variables of a graph, by name


class _VariableStore:
    """The variables that `get_variable` made in a graph."""

    def __init__(self) -> None:
        self.variables: dict[str, Variable] = {}
        self.partitioned: dict[str, PartitionedVariable] = {}
        self.made_at: dict[str, str] = {}

    def get_variable(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Reuse = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        custom_getter: Any = None,
        constraint: Any = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
    ) -> Any:
        options = {
            "name": name,
            "shape": shape,
            "dtype": dtypes.as_dtype(dtype),
            "initializer": initializer,
            "regularizer": regularizer,
            "reuse": reuse,
            "trainable": trainable,
            "collections": collections,
            "caching_device": caching_device,
            "partitioner": partitioner,
            "validate_shape": validate_shape,
            "use_resource": use_resource,
            "constraint": constraint,
            "synchronization": synchronization,
            "aggregation": aggregation,
        }
        if custom_getter is None:
            return self._get(**options)
        if not callable(custom_getter):
            raise ValueError(f"custom_getter is {custom_getter!r}; it must be a function")
        # A getter written before an argument existed need not know it.
        known = inspect.signature(custom_getter).parameters
        if not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in known.values()):
            options = {key: value for key, value in options.items() if key in known}
        return custom_getter(getter=self._get, **options)

    def _get(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = dtypes.float32,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Reuse = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        constraint: Any = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
        **unknown: Any,
    ) -> Any:
        if unknown:
            raise TypeError(f"get_variable has no arguments {', '.join(unknown)}")
        options = {
            "dtype": dtype,
            "initializer": initializer,
            "regularizer": regularizer,
            "reuse": reuse,
            "trainable": trainable,
            "collections": collections,
            "caching_device": caching_device,
            "validate_shape": validate_shape,
            "constraint": constraint,
            "synchronization": synchronization,
            "aggregation": aggregation,
        }
        static = None if shape is None else as_shape(shape)
        if partitioner is not None and (static is None or static.ndims != 0):
            if not callable(partitioner):
                raise ValueError(f"partitioner is {partitioner!r}; it must be a function of shape and dtype")
            return self._get_partitioned(name, static, partitioner, **options)
        if reuse is True and name in self.partitioned:
            return self.partitioned[name]
        if f"{name}/part_0" in self.variables:
            raise ValueError(
                f"variable '{name}' is partitioned; get it with a partitioner that cuts it alike"
            )
        return self._get_single(name, static, **options)

    def _get_single(
        self,
        name: str,
        shape: TensorShape | None,
        dtype: dtypes.DType,
        initializer: Any,
        regularizer: Any,
        reuse: Reuse,
        partition_info: PartitionInfo | None = None,
        **options: Any,
    ) -> Variable:
        from_value = initializer is not None and not callable(initializer)
        if from_value and shape is not None:
            raise ValueError(
                f"variable '{name}' gets its shape from the value of its initializer; pass no shape"
            )
        found = self.variables.get(name)
        if found is not None:
            return self._shared(found, name, shape, dtype, reuse)
        if reuse is True:
            raise ValueError(
                f"variable '{name}' does not exist, or was not made by get_variable; to make it where it "
                "is missing, use reuse=tf.AUTO_REUSE"
            )
        if initializer is None:
            initializer = _default_initializer(name, dtype)
        variable = Variable(
            initial_value=initializer
            if from_value
            else _initial_value(initializer, name, shape, dtype, partition_info),
            name=name,
            dtype=None if from_value else dtype,
            **options,
        )
        self.variables[name] = variable
        self.made_at[name] = variable.op.source or _caller()
        if regularizer is not None:
            self._regularize(variable, name, regularizer)
        return variable

    def _shared(
        self, found: Variable, name: str, shape: TensorShape | None, dtype: dtypes.DType, reuse: Reuse
    ) -> Variable:
        if reuse is False or reuse is None:
            raise ValueError(
                f"variable '{name}' already exists (made at {self.made_at[name]}); to share it, set "
                "reuse=True or reuse=tf.AUTO_REUSE in its variable_scope"
            )
        if shape is not None and not shape.is_compatible_with(found.shape):
            raise ValueError(f"variable '{name}' has shape {found.shape}; it cannot be shared as {shape}")
        if not dtype.is_compatible_with(found.dtype):
            raise ValueError(f"variable '{name}' is {found.dtype.name}; it cannot be shared as {dtype.name}")
        return found

    def _regularize(self, variable: Variable, name: str, regularizer: Any) -> None:
        with colocate_with(variable.op), name_scope(name + "/Regularizer/"), control_dependencies(None):
            loss = regularizer(variable)
        if loss is not None:
            get_default_graph().add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)

    def _get_partitioned(
        self,
        name: str,
        shape: TensorShape | None,
        partitioner: Callable[..., Any],
        dtype: dtypes.DType,
        initializer: Any,
        reuse: Reuse,
        **options: Any,
    ) -> PartitionedVariable:
        from_value = initializer is not None and not callable(initializer)
        if from_value:
            value = convert_to_tensor(initializer, name="initializer")
            shape = value.shape if shape is None else shape.merge_with(value.shape)
            dtype = value.dtype
        if shape is None or not shape.is_fully_defined():
            raise ValueError(
                f"the shape of the partitioned variable '{name}' must be wholly known, not {shape}"
            )
        if name in self.variables:
            raise ValueError(f"variable '{name}' exists and is not partitioned; get it without a partitioner")
        partitions = _checked_partitions(partitioner(shape=shape, dtype=dtype), shape, name)
        found = self.partitioned.get(name)
        if found is not None and reuse in (True, AUTO_REUSE):
            if not shape.is_compatible_with(found.shape):
                raise ValueError(f"variable '{name}' has shape {found.shape}; it cannot be shared as {shape}")
            if found._get_partitions() != partitions:
                raise ValueError(
                    f"variable '{name}' is cut into {found._get_partitions()} partitions, not {partitions}"
                )
            return found
        parts = []
        for i, (offset, size) in enumerate(_slices(shape, partitions)):
            part_name = f"{name}/part_{i}"
            part: Any = initializer
            part_shape: TensorShape | None = TensorShape(size)
            if from_value:
                with name_scope(part_name + "/PartitionedInitializer"):
                    part = slicing.slice(value, offset, size)
                part_shape = None
            variable = self._get_single(
                part_name,
                part_shape,
                dtype=dtype,
                initializer=part,
                reuse=reuse,
                partition_info=PartitionInfo(shape.as_list(), offset),
                **options,
            )
            variable._set_save_slice_info(SaveSliceInfo(name, shape.as_list(), offset, size))
            parts.append(variable)
        made = PartitionedVariable(name, shape, dtype, parts, partitions)
        self.partitioned[name] = made
        return made


def _caller() -> str:
    """The innermost line outside this package, for messages."""
    for frame in reversed(traceback.extract_stack()):
        if "headrace" not in frame.filename:
            return f"{frame.filename}:{frame.lineno}"
    return "an unknown line"


def _default_initializer(name: str, dtype: dtypes.DType) -> Any:
    if dtype.is_floating:
        return glorot_uniform_initializer()
    if dtype.is_integer or dtype.is_unsigned or dtype.is_bool or dtype == dtypes.string:
        return zeros_initializer()
    raise ValueError(f"variable '{name}' of dtype {dtype.name} needs an initializer")


def _initial_value(
    initializer: Any,
    name: str,
    shape: TensorShape | None,
    dtype: dtypes.DType,
    partition_info: PartitionInfo | None,
) -> Callable[[], Tensor]:
    """What the variable calls for its initial value."""
    if inspect.isclass(initializer):
        initializer = initializer()
    if shape is not None and shape.is_fully_defined():
        sizes = shape.as_list()
        if "partition_info" in _arguments(initializer):
            return lambda: initializer(sizes, dtype=dtype, partition_info=partition_info)
        return lambda: initializer(sizes, dtype=dtype)
    if not _arguments(initializer):
        return initializer
    raise ValueError(
        f"the shape of the new variable '{name}' must be wholly known, not {shape}; pass shape=, or a "
        "tensor as the initializer"
    )


def _arguments(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ["shape"]


def _checked_partitions(partitions: Any, shape: TensorShape, name: str) -> list[int]:
    if not isinstance(partitions, (list, tuple)) or len(partitions) != shape.ndims:
        raise ValueError(
            f"the partitioner of '{name}' returned {partitions!r}; it must return a list with the number "
            f"of partitions along each of the {shape.ndims} axes"
        )
    sizes = shape.as_list()
    if any(count < 1 or (size and count > size) for count, size in zip(partitions, sizes)):
        raise ValueError(f"the partitioner of '{name}' returned {partitions} for shape {shape}")
    if sum(count > 1 for count in partitions) > 1:
        raise ValueError(f"'{name}' would be cut along several axes, {partitions}; cut along one")
    return [int(count) for count in partitions]


def known_sizes(shape: TensorShape) -> list[int]:
    """The dimensions of a shape that must be wholly known."""
    sizes = [size for size in shape.as_list() if size is not None]
    if len(sizes) != len(shape):
        raise ValueError(f"a variable of the partly known shape {shape} cannot be cut")
    return sizes


def _slices(shape: TensorShape, partitions: list[int]) -> Iterator[tuple[list[int], list[int]]]:
    """Offset and size of each part; the first parts are one longer where it does not divide."""
    sizes = known_sizes(shape)
    axis = next((i for i, count in enumerate(partitions) if count > 1), 0)
    each, longer = divmod(sizes[axis], partitions[axis])
    start = 0
    for i in range(partitions[axis]):
        length = each + (i < longer)
        offset, size = [0] * len(sizes), list(sizes)
        offset[axis], size[axis] = start, length
        yield offset, size
        start += length


# ---- scopes


class VariableScope:
    """The state of a `variable_scope`: prefix, sharing, and defaults for `get_variable`.

    Args:
        reuse: True to share variables, None (or False) to make them, `tf.AUTO_REUSE` for whichever is
            possible.
        name: Prefix of the names of variables.
        initializer: Default of `get_variable`, like those that follow.
        regularizer: See `get_variable`.
        caching_device: See `get_variable`.
        partitioner: See `get_variable`.
        custom_getter: See `get_variable`.
        name_scope: The name scope that belongs to it.
        dtype: See `get_variable`.
        use_resource: Accepted; all variables are resources.
        constraint: See `get_variable`.
    """

    def __init__(
        self,
        reuse: Reuse,
        name: str = "",
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        name_scope: str = "",
        dtype: Any = dtypes.float32,
        use_resource: bool | None = None,
        constraint: Any = None,
    ):
        self._name = name
        self._reuse = reuse
        self._name_scope = name_scope
        self._initializer = initializer
        self._regularizer = regularizer
        self._caching_device = caching_device
        self._partitioner = partitioner
        self._custom_getter = custom_getter
        self._dtype = dtype
        self._use_resource = use_resource
        self._constraint = constraint

    @property
    def name(self) -> str:
        """The prefix of the names of variables, without a "/" at its end."""
        return self._name

    @property
    def original_name_scope(self) -> str:
        """The name scope that was entered with this scope first, for making operations in it again."""
        return self._name_scope

    @property
    def reuse(self) -> Reuse:
        """Whether variables are shared."""
        return self._reuse

    @property
    def initializer(self) -> Any:
        """Default of `get_variable`."""
        return self._initializer

    @property
    def regularizer(self) -> Any:
        """Default of `get_variable`."""
        return self._regularizer

    @property
    def caching_device(self) -> Any:
        """Default of `get_variable`."""
        return self._caching_device

    @property
    def partitioner(self) -> Any:
        """Default of `get_variable`."""
        return self._partitioner

    @property
    def custom_getter(self) -> Any:
        """Default of `get_variable`."""
        return self._custom_getter

    @property
    def dtype(self) -> Any:
        """Default of `get_variable`."""
        return self._dtype

    @property
    def use_resource(self) -> bool | None:
        """As given."""
        return self._use_resource

    @property
    def constraint(self) -> Any:
        """Default of `get_variable`."""
        return self._constraint

    def reuse_variables(self) -> None:
        """Shares variables from now on, in this scope and those inside."""
        self._reuse = True

    def set_initializer(self, initializer: Any) -> None:
        """Sets the default of `get_variable`."""
        self._initializer = initializer

    def set_dtype(self, dtype: Any) -> None:
        """Sets the default of `get_variable`."""
        self._dtype = dtype

    def set_use_resource(self, use_resource: bool | None) -> None:
        """Accepted; all variables are resources."""
        self._use_resource = use_resource

    def set_regularizer(self, regularizer: Any) -> None:
        """Sets the default of `get_variable`."""
        self._regularizer = regularizer

    def set_caching_device(self, caching_device: Any) -> None:
        """Sets the default of `get_variable`."""
        self._caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        """Sets the default of `get_variable`."""
        self._partitioner = partitioner

    def set_custom_getter(self, custom_getter: Any) -> None:
        """Sets the default of `get_variable`."""
        self._custom_getter = custom_getter

    def get_collection(self, name: str) -> list[Any]:
        """Returns what is in a collection and has a name in this scope."""
        return get_collection(name, f"{self._name}/" if self._name else self._name)

    def trainable_variables(self) -> list[Variable]:
        """Returns the trainable variables of this scope."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def global_variables(self) -> list[Variable]:
        """Returns the global variables of this scope."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Variable]:
        """Returns the local variables of this scope."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def get_variable(
        self,
        var_store: _VariableStore,
        name: str,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Reuse = None,
        trainable: bool | None = None,
        collections: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        validate_shape: bool = True,
        use_resource: bool | None = None,
        custom_getter: Any = None,
        constraint: Any = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
    ) -> Any:
        """Returns a variable of this scope; see `tf.get_variable`."""
        full_name = f"{self._name}/{name}" if self._name else name
        # The name of a variable does not depend on name scopes, nor is it of the function that asks for it.
        with init_scope(), name_scope(None):
            if dtype is not None and initializer is not None and not callable(initializer):
                given = convert_to_tensor(initializer).dtype
                if given != dtypes.as_dtype(dtype):
                    raise ValueError(
                        f"the initializer of '{full_name}' is {given.name}, dtype is "
                        f"{dtypes.as_dtype(dtype).name}"
                    )
            return var_store.get_variable(
                full_name,
                shape=shape,
                dtype=self._dtype if dtype is None else dtype,
                initializer=self._initializer if initializer is None else initializer,
                regularizer=self._regularizer if regularizer is None else regularizer,
                reuse=self._reuse if reuse is None else reuse,
                trainable=trainable,
                collections=collections,
                caching_device=self._caching_device if caching_device is None else caching_device,
                partitioner=self._partitioner if partitioner is None else partitioner,
                validate_shape=validate_shape,
                use_resource=self._use_resource if use_resource is None else use_resource,
                custom_getter=self._custom_getter if custom_getter is None else custom_getter,
                constraint=self._constraint if constraint is None else constraint,
                synchronization=synchronization,
                aggregation=aggregation,
            )


class _ScopeStore(threading.local):
    """The current scope of a thread in a graph, and how often each name was opened as a scope."""

    def __init__(self) -> None:
        self.current = VariableScope(None)
        self.counts: dict[str, int] = {}

    def opened(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def forget_inside(self, name: str) -> None:
        """Scopes inside of `name` may be opened anew under the same names."""
        for inner in self.counts:
            if not name or inner.startswith(name + "/"):
                self.counts[inner] = 0

    def unique(self, prefix: str) -> str:
        """`prefix`, or with a number appended, such that no scope of that name was opened here."""
        outer = f"{self.current.name}/" if self.current.name else ""
        name, number = prefix, 0
        while self.counts.get(outer + name):
            number += 1
            name = f"{prefix}_{number}"
        return name


_STORE_KEY = ("__variable_store",)
_SCOPES_KEY = ("__varscope",)


def _of_graph(key: Any, make: Callable[[], Any]) -> Any:
    """What the default graph keeps under a key, made if there is none."""
    kept = get_default_graph().get_collection_ref(key)
    if not kept:
        kept.append(make())
    return kept[0]


def _store() -> _VariableStore:
    return _of_graph(_STORE_KEY, _VariableStore)


def _scopes() -> _ScopeStore:
    return _of_graph(_SCOPES_KEY, _ScopeStore)


def get_variable_scope() -> VariableScope:
    """Returns the current variable scope."""
    return _scopes().current


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = VariableSynchronization.AUTO,
    aggregation: Any = VariableAggregation.NONE,
) -> Any:
    """Returns the variable of this name in the current variable scope: new, or shared if the scope says so.

    Args:
        name: The name, before which that of the scope is put.
        shape: The shape of a new variable, or the shape that a shared one must have.
        dtype: The dtype; that of the scope by default, which is float32.
        initializer: A function of (shape, dtype) such as `tf.zeros_initializer()`, a function without
            arguments, or a value, which also gives the shape. By default that of the scope, else
            `glorot_uniform_initializer` for floats and zeros for others.
        regularizer: A function of the new variable that returns a loss, which is put into the collection
            `REGULARIZATION_LOSSES`.
        trainable: See `Variable`, also for those that follow.
        collections: See `Variable`.
        caching_device: See `Variable`.
        partitioner: A function of shape and dtype that returns the number of partitions along each axis: then
            the result is a `PartitionedVariable`.
        validate_shape: See `Variable`.
        use_resource: Accepted; all variables are resources.
        custom_getter: A function that is called instead, as `custom_getter(getter, name, ...)`; it may call
            `getter` with other arguments.
        constraint: See `Variable`.
        synchronization: See `Variable`.
        aggregation: See `Variable`.

    Raises:
        ValueError: If the variable exists and is not to be shared, does not exist and is to be, or has
            another shape or dtype; if the shape of a new variable is not known.
    """
    return get_variable_scope().get_variable(
        _store(),
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=collections,
        caching_device=caching_device,
        partitioner=partitioner,
        validate_shape=validate_shape,
        use_resource=use_resource,
        custom_getter=custom_getter,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=aggregation,
    )


def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = False,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = VariableSynchronization.AUTO,
    aggregation: Any = VariableAggregation.NONE,
) -> Any:
    """`get_variable` for a variable that is not trained or saved: only in `LOCAL_VARIABLES`."""
    return get_variable(
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=False,
        collections=[*(collections or ()), GraphKeys.LOCAL_VARIABLES],
        caching_device=caching_device,
        partitioner=partitioner,
        validate_shape=validate_shape,
        use_resource=use_resource,
        custom_getter=custom_getter,
        constraint=constraint,
        synchronization=synchronization,
        aggregation=aggregation,
    )


class variable_scope:
    """A context in which variables get a prefix, may be shared, and have other defaults.

    Args:
        name_or_scope: The name of the scope inside the current one; a `VariableScope`, to enter that one
            again from wherever; or None, to make a new name of `default_name`.
        default_name: Name where `name_or_scope` is None, made unique.
        values: Tensors that a function was given: their graph is made the default one.
        initializer: Default of `get_variable`, like those that follow; inherited where None.
        regularizer: See `get_variable`.
        caching_device: See `get_variable`.
        partitioner: See `get_variable`.
        custom_getter: See `get_variable`. It is called around that of the scope outside.
        reuse: True to share variables (inherited by scopes inside), `tf.AUTO_REUSE` to share those that exist
            and make the others, None or False to inherit.
        dtype: See `get_variable`.
        use_resource: Accepted; all variables are resources.
        constraint: See `get_variable`.
        auxiliary_name_scope: Whether to enter a name scope too.

    Raises:
        ValueError: If `reuse` is given without `name_or_scope`, or is something else.
        TypeError: If neither name is given.
    """

    def __init__(
        self,
        name_or_scope: Any,
        default_name: str | None = None,
        values: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        reuse: Reuse = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Any = None,
        auxiliary_name_scope: bool = True,
    ):
        if name_or_scope is None and default_name is None:
            raise TypeError("a variable_scope needs a name_or_scope or a default_name")
        if name_or_scope is not None and not isinstance(name_or_scope, (str, VariableScope)):
            raise TypeError(f"name_or_scope is {name_or_scope!r}; pass a string or a VariableScope")
        if reuse not in (None, False, True, AUTO_REUSE):
            raise ValueError(f"reuse is {reuse!r}; it must be True, False, None or tf.AUTO_REUSE")
        if name_or_scope is None and reuse:
            raise ValueError("a scope of a new name has nothing to share; pass a name_or_scope with reuse")
        if not isinstance(auxiliary_name_scope, bool):
            raise TypeError(f"auxiliary_name_scope is {auxiliary_name_scope!r}; it must be True or False")
        self._name_or_scope = name_or_scope
        self._default_name = default_name
        self._values = values
        self._reuse = reuse or None
        self._auxiliary = auxiliary_name_scope
        self._defaults = {
            "initializer": initializer,
            "regularizer": regularizer,
            "caching_device": caching_device,
            "partitioner": partitioner,
            "custom_getter": custom_getter,
            "dtype": dtype,
            "use_resource": use_resource,
            "constraint": constraint,
        }
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> VariableScope:
        with contextlib.ExitStack() as stack:
            graph = graph_of(self._values or ())
            if graph is not get_default_graph():
                stack.enter_context(graph.as_default())
            scope = stack.enter_context(self._entered())
            self._stack = stack.pop_all()
        return scope

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    @contextlib.contextmanager
    def _entered(self) -> Iterator[VariableScope]:
        target = self._name_or_scope
        scopes = _scopes()
        with contextlib.ExitStack() as stack:
            own_name = target.name.rpartition("/")[2] if isinstance(target, VariableScope) else target
            ops_name = self._default_name if target is None else own_name
            ops_scope = ""
            if self._auxiliary and ops_name:
                ops_scope = stack.enter_context(name_scope(ops_name))
            elif not self._auxiliary or not isinstance(target, VariableScope):
                current = get_default_graph().get_name_scope()
                ops_scope = current + "/" if current else ""
            if isinstance(target, VariableScope):
                scope = self._jumped_to(target)
            else:
                name = scopes.unique(self._default_name or "") if target is None else target
                scope = self._inside(scopes.current, name, ops_scope)
            yield from self._as_current(scopes, scope, jumped=isinstance(target, VariableScope))

    def _as_current(self, scopes: _ScopeStore, scope: VariableScope, jumped: bool) -> Iterator[VariableScope]:
        outer, counts = scopes.current, dict(scopes.counts)
        scopes.opened(scope.name)
        scopes.current = scope
        try:
            yield scope
        finally:
            scopes.forget_inside(scope.name)
            if jumped:
                scopes.counts = counts
            scopes.current = outer

    def _inside(self, outer: VariableScope, name: str, ops_scope: str) -> VariableScope:
        """A scope of this name in the current one."""
        scope = copy.copy(outer)
        scope._name = f"{outer.name}/{name}" if outer.name else name
        scope._name_scope = ops_scope
        scope._reuse = self._reuse or outer.reuse
        self._override(scope)
        return scope

    def _jumped_to(self, target: VariableScope) -> VariableScope:
        """A copy of a scope that was made before."""
        scope = copy.copy(target)
        scope._reuse = self._reuse or target.reuse
        self._override(scope)
        return scope

    def _override(self, scope: VariableScope) -> None:
        for key in _DEFAULTS:
            value = self._defaults[key]
            if value is None:
                continue
            if key == "custom_getter":
                value = _nested(value, scope.custom_getter)
            setattr(scope, "_" + key, value)


def _nested(inner: Callable[..., Any], outer: Callable[..., Any] | None) -> Callable[..., Any]:
    """The getter of a scope inside another: it is called with a getter that calls the other's."""
    if outer is None:
        return inner

    def getter(getter: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return inner(functools.partial(outer, getter), *args, **kwargs)

    return getter


def variable_op_scope(
    values: Any,
    name_or_scope: Any,
    default_name: str | None = None,
    initializer: Any = None,
    regularizer: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Reuse = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Any = None,
) -> variable_scope:
    """An older name of `variable_scope`, with its arguments in another order."""
    return variable_scope(
        name_or_scope,
        default_name,
        values,
        initializer=initializer,
        regularizer=regularizer,
        caching_device=caching_device,
        partitioner=partitioner,
        custom_getter=custom_getter,
        reuse=reuse,
        dtype=dtype,
        use_resource=use_resource,
        constraint=constraint,
    )
