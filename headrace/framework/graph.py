"""Graphs, operations and tensors: thin views of the core's graph, and the state of building one.

A graph is append-only. What is asked for while it is being built (names, devices, control dependencies...)
is kept in stacks here and handed to the core with each node.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from headrace import _core
from headrace.framework import dtypes, protos
from headrace.framework.missing import missing_operation
from headrace.framework.overview import overview
from headrace.framework.picture import neighbourhood
from headrace.framework.shapes import TensorShape, as_shape

# ---- the user's line

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Source files seen, and the name under which they appear in messages: None for our own.
_FILES: dict[str, str | None] = {}


def _shown_name(filename: str) -> str | None:
    inside = filename.startswith((_PACKAGE, "<frozen ")) or filename == "<headrace>"
    shown = None if inside or os.path.dirname(filename) == os.path.dirname(contextlib.__file__) else filename
    _FILES[filename] = name = shown and os.path.basename(shown)
    return name


def _user_line() -> str:
    """The innermost line outside the package, "train.py:31"."""
    frame = sys._getframe(2)
    while frame is not None:
        filename = frame.f_code.co_filename
        name = _FILES[filename] if filename in _FILES else _shown_name(filename)
        if name is not None:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


# ---- tensors


class Tensor:
    """A value in a graph: output `value_index` of an operation. It holds no number until a session runs it.

    Tensors are compared by identity and can be keys of dictionaries; `tf.equal` compares their elements.
    """

    # NumPy's operators leave the work to ours when one operand is a Tensor.
    __array_priority__ = 100
    __array_ufunc__ = None

    if TYPE_CHECKING:  # installed by `headrace.ops`

        def __add__(self, other: Any, /) -> Tensor: ...
        def __radd__(self, other: Any, /) -> Tensor: ...
        def __sub__(self, other: Any, /) -> Tensor: ...
        def __rsub__(self, other: Any, /) -> Tensor: ...
        def __mul__(self, other: Any, /) -> Tensor: ...
        def __rmul__(self, other: Any, /) -> Tensor: ...
        def __truediv__(self, other: Any, /) -> Tensor: ...
        def __rtruediv__(self, other: Any, /) -> Tensor: ...
        def __floordiv__(self, other: Any, /) -> Tensor: ...
        def __rfloordiv__(self, other: Any, /) -> Tensor: ...
        def __mod__(self, other: Any, /) -> Tensor: ...
        def __rmod__(self, other: Any, /) -> Tensor: ...
        def __pow__(self, other: Any, /) -> Tensor: ...
        def __rpow__(self, other: Any, /) -> Tensor: ...
        def __matmul__(self, other: Any, /) -> Tensor: ...
        def __rmatmul__(self, other: Any, /) -> Tensor: ...
        def __and__(self, other: Any, /) -> Tensor: ...
        def __rand__(self, other: Any, /) -> Tensor: ...
        def __or__(self, other: Any, /) -> Tensor: ...
        def __ror__(self, other: Any, /) -> Tensor: ...
        def __xor__(self, other: Any, /) -> Tensor: ...
        def __rxor__(self, other: Any, /) -> Tensor: ...
        def __lt__(self, other: Any, /) -> Tensor: ...
        def __le__(self, other: Any, /) -> Tensor: ...
        def __gt__(self, other: Any, /) -> Tensor: ...
        def __ge__(self, other: Any, /) -> Tensor: ...
        def __getitem__(self, other: Any, /) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...

    def __init__(self, op: Operation, value_index: int, dtype: Any):
        self._op = op
        self._index = value_index
        self._dtype = dtypes.as_dtype(dtype)
        self._id = op._id

    @classmethod
    def _install(cls, name: str, function: Callable[..., Any]) -> None:
        """Gives all tensors a method: how `headrace.ops` adds the operators."""
        setattr(cls, name, function)

    @property
    def op(self) -> Operation:
        """The operation that makes this tensor."""
        return self._op

    @property
    def dtype(self) -> dtypes.DType:
        """The type of the elements."""
        return self._dtype

    @property
    def graph(self) -> Graph:
        """The graph that this tensor is in."""
        return self._op._graph

    @property
    def name(self) -> str:
        """The name of the operation, a colon, and the index of the output."""
        return f"{self._op._name}:{self._index}"

    @property
    def device(self) -> str:
        """The device that was asked for, or ''."""
        return self._op.device

    @property
    def value_index(self) -> int:
        """Which output of the operation this is."""
        return self._index

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape."""
        return TensorShape._of(self._op._graph._core.shape(self._id, self._index))

    def get_shape(self) -> TensorShape:
        """What is known of the shape."""
        return self.shape

    def set_shape(self, shape: Any) -> None:
        """Adds to what is known of the shape.

        Raises:
          ValueError: if it contradicts what is known.
        """
        try:
            self._op._graph._core.merge_shape(self._id, self._index, as_shape(shape)._dims)
        except ValueError:
            raise ValueError(f"{self.name} has shape {self.shape}; it cannot be {as_shape(shape)}") from None

    def consumers(self) -> list[Operation]:
        """The operations that read this tensor."""
        graph = self._op._graph
        return [graph._operation(id) for id in graph._core.consumers(self._id, self._index)]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """Computes this tensor in a session, by default the default one.

        Raises:
          ValueError: if there is no session, or it is of another graph.
        """
        return _session_for(self, session, self.graph).run(self, feed_dict)

    def _as_graph_element(self) -> Tensor:
        return self

    def _shape_as_list(self) -> list[int | None] | None:
        dims = self.shape._dims
        return None if dims is None else list(dims)

    def _rank(self) -> int | None:
        return self.shape.rank

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(
            f"{self.name} has no values to iterate over while the graph is being built; use tf.unstack, "
            "tf.map_fn or tf.while_loop in the graph, or session.run first"
        )

    def __len__(self) -> int:
        raise TypeError(f"{self.name} has no len(); use its static shape, {self.name}.shape[0], or tf.shape")

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self.name} is neither true nor false while the graph is being built; use `is not None` to "
            "test whether there is a tensor, tf.cond or tf.where to choose by its value"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{self.name} has no value to make an array of; run it in a session first")

    def __float__(self) -> float:
        raise TypeError(f"{self.name} has no value to make a float of; run it in a session first")

    def __int__(self) -> int:
        raise TypeError(f"{self.name} has no value to make an int of; run it in a session first")

    __index__ = None

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self

    def __str__(self) -> str:
        shape = self.shape
        parts = [f'"{self.name}"']
        if shape._dims is not None:
            parts.append(f"shape={shape}")
        parts.append(f"dtype={self._dtype.name}")
        if self.device:
            parts.append(f"device={self.device}")
        return f"Tensor({', '.join(parts)})"

    def __repr__(self) -> str:
        return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self._dtype.name}>"

    def _repr_html_(self) -> str:
        return neighbourhood(self._op)


_new_tensor = Tensor.__new__


def _make_tensor(op: Operation, index: int, number: int) -> Tensor:
    """A Tensor, without checks: most of the time of making a node is spent in making objects."""
    tensor = _new_tensor(Tensor)
    tensor._op = op
    tensor._index = index
    tensor._dtype = dtypes._BY_NUMBER[number]
    tensor._id = op._id
    return tensor


# ---- operations


class Operation:
    """A node of a graph: what computes its outputs from its inputs when a session runs it."""

    def __init__(self, graph: Graph, id: int, name: str, type: str, output_dtypes: Iterable[int]):
        self._graph = graph
        self._id = id
        self._name = name
        self._type = type
        self._outputs = [_make_tensor(self, i, dtype) for i, dtype in enumerate(output_dtypes)]

    @property
    def graph(self) -> Graph:
        """The graph that this operation is in."""
        return self._graph

    @property
    def name(self) -> str:
        """The full name."""
        return self._name

    @property
    def type(self) -> str:
        """The kind of operation, such as "MatMul"."""
        return self._type

    @property
    def inputs(self) -> list[Tensor]:
        """The tensors that it reads."""
        graph = self._graph
        return [graph._operation(id)._outputs[index] for id, index in graph._core.inputs(self._id)]

    @property
    def outputs(self) -> list[Tensor]:
        """The tensors that it makes; the same objects every time."""
        return self._outputs

    def _append_outputs(self, dtypes: Iterable[int]) -> None:
        for dtype in dtypes:
            self._outputs.append(_make_tensor(self, len(self._outputs), dtype))

    def values(self) -> tuple[Tensor, ...]:
        """The outputs in a tuple."""
        return tuple(self._outputs)

    @property
    def control_inputs(self) -> list[Operation]:
        """The operations that must have run before it, without giving it a value."""
        return [self._graph._operation(id) for id in self._graph._core.control_inputs(self._id)]

    @property
    def _control_outputs(self) -> list[Operation]:
        return [self._graph._operation(id) for id in self._graph._core.control_consumers(self._id)]

    @property
    def device(self) -> str:
        """The device that was asked for, or ''."""
        return self._graph._core.device(self._id)

    def _set_device(self, device: Any) -> None:
        self._graph._core.set_device(self._id, _device_text(device))

    @property
    def source(self) -> str:
        """The user's line that made it, such as "train.py:31", or ''."""
        return self._graph._core.source(self._id)

    @property
    def op_def(self) -> Any:
        """The definition of this kind of operation."""
        return _core.op_def(self._type)

    @property
    def node_def(self) -> Any:
        """The node as a `NodeDef` message."""
        return protos.NodeDef.FromString(_core.node_def(self._graph._core, self._id))

    @property
    def _output_types(self) -> list[int]:
        return [output.dtype.as_datatype_enum for output in self._outputs]

    def get_attr(self, name: str) -> Any:
        """The value of an attribute: bytes, int, float, bool, `DType`, `TensorShape`, array or list of them.

        Raises:
          ValueError: if it has no attribute of this name.
        """
        found = self._graph._core.attr(self._id, name)
        if found is None:
            names = ", ".join(self._graph._core.attr_names(self._id))
            raise ValueError(
                f"operation '{self._name}' ({self._type}) has no attribute '{name}'; it has: {names}"
            )
        type, value = found
        convert = _ATTR_VALUES.get(type)
        return value if convert is None else convert(value)

    def _set_attr(self, name: str, value: Any) -> None:
        self._graph._core.set_attr(self._id, name, value)

    def colocation_groups(self) -> list[bytes]:
        """The names of what this operation is to be placed with."""
        found = self._graph._core.attr(self._id, "_class")
        groups = [] if found is None else [group for group in found[1] if group.startswith(b"loc:@")]
        return groups or [b"loc:@" + self._name.encode()]

    def _add_control_inputs(self, ops: Iterable[Operation]) -> None:
        self._graph._check_not_finalized()
        self._graph._core.add_control_inputs(self._id, [op._id for op in ops])

    def _add_control_input(self, op: Operation) -> None:
        self._add_control_inputs([op])

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Runs this operation in a session, by default the default one.

        Raises:
          ValueError: if there is no session, or it is of another graph.
        """
        _session_for(self, session, self._graph).run(self, feed_dict)

    def _as_graph_element(self) -> Operation:
        return self

    def __str__(self) -> str:
        return str(self.node_def)

    def __repr__(self) -> str:
        return f"<tf.Operation '{self._name}' type={self._type}>"

    def _repr_html_(self) -> str:
        return neighbourhood(self)


# How the core's values of attributes are shown to users.
_ATTR_VALUES: dict[str, Callable[[Any], Any]] = {
    "type": dtypes.as_dtype,
    "list(type)": lambda numbers: [dtypes.as_dtype(number) for number in numbers],
    "shape": TensorShape,
    "list(shape)": lambda shapes: [TensorShape(dims) for dims in shapes],
}


def _session_for(element: Any, session: Any, graph: Graph) -> Any:
    """The session given, or the default one, if it can run an element of this graph."""
    if session is None:
        session = get_default_session()
        if session is None:
            raise ValueError(
                f"there is no default session to run {element.name} in; "
                "use `with tf.Session():` or pass session="
            )
    if session.graph is not graph:
        raise ValueError(f"the session is of another graph than {element.name}")
    return session


# ---- devices


def _device_text(device: Any) -> str:
    """The canonical form of a device name or of an object with `to_string`."""
    if device is None:
        return ""
    text = device if isinstance(device, str) else device.to_string()
    found = _DEVICES.get(text)
    if found is None:
        found = _DEVICES[text] = _core.normalize_device(text)
    return found


_DEVICES: dict[str, str] = {"": ""}


# ---- graphs


class GraphKeys:
    """Names of the collections that Headrace itself uses."""

    GLOBAL_VARIABLES = "variables"
    LOCAL_VARIABLES = "local_variables"
    METRIC_VARIABLES = "metric_variables"
    MODEL_VARIABLES = "model_variables"
    TRAINABLE_VARIABLES = "trainable_variables"
    SUMMARIES = "summaries"
    QUEUE_RUNNERS = "queue_runners"
    TABLE_INITIALIZERS = "table_initializer"
    ASSET_FILEPATHS = "asset_filepaths"
    MOVING_AVERAGE_VARIABLES = "moving_average_variables"
    REGULARIZATION_LOSSES = "regularization_losses"
    CONCATENATED_VARIABLES = "concatenated_variables"
    SAVERS = "savers"
    WEIGHTS = "weights"
    BIASES = "biases"
    ACTIVATIONS = "activations"
    UPDATE_OPS = "update_ops"
    LOSSES = "losses"
    SAVEABLE_OBJECTS = "saveable_objects"
    RESOURCES = "resources"
    TRAINABLE_RESOURCE_VARIABLES = "trainable_resource_variables"
    LOCAL_RESOURCES = "local_resources"
    INIT_OP = "init_op"
    LOCAL_INIT_OP = "local_init_op"
    READY_OP = "ready_op"
    READY_FOR_LOCAL_INIT_OP = "ready_for_local_init_op"
    SUMMARY_OP = "summary_op"
    GLOBAL_STEP = "global_step"
    EVAL_STEP = "eval_step"
    TRAIN_OP = "train_op"
    COND_CONTEXT = "cond_context"
    WHILE_CONTEXT = "while_context"
    VARIABLES = "variables"


_SCOPE_AT_ROOT = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*\Z")
_SCOPE = re.compile(r"[A-Za-z0-9_.\\/>-]*\Z")


class _Controller:
    """One `control_dependencies` context: what must run first, and which operations were made inside."""

    __slots__ = ("clears", "made", "ops")

    def __init__(self, ops: list[Operation], clears: bool):
        self.ops = ops
        self.clears = clears
        self.made: set[int] = set()


class Graph:
    """A description of a computation: operations and the tensors between them.

    Operations are added to the default graph; `with graph.as_default():` makes a graph the default one.
    Any number of threads may add operations to it and run it; the contexts (scopes, devices...) are for all.
    """

    building_function = False

    def __init__(self) -> None:
        self._core = _core.Graph()
        self._ops: list[Operation] = []  # by id
        self._lock = threading.RLock()
        self._finalized = False
        self._names_in_use: dict[str, int] = {}
        self._name_stack = ""
        self._controllers: list[_Controller] = []
        # From the outermost in: canonical device names, functions, or None.
        self._devices: list[Any] = []
        self._device: str | None = ""  # what the stack comes to, None if it has functions
        self._colocation: list[Operation] = []
        self._attr_map: dict[str, Any] = {}
        self._gradient_override_map: dict[str, str] = {}
        self._gradient_functions: dict[str, Callable[..., Any]] = {}  # of tf.custom_gradient, by name
        self._collections: dict[Any, list[Any]] = {}
        self._unfeedable: set[Tensor] = set()
        self._unfetchable: set[Any] = set()
        self._container = ""
        self._seed: int | None = None
        self._function_names: dict[str, int] = {}
        self._plain = True  # nothing but names to think of when a node is made

    # -- making operations

    def _add(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        attrs: dict[str, Any] | None,
        name: str,
        control_inputs: Iterable[Operation] = (),
    ) -> Operation:
        """Adds an operation of exactly this name, subject to the contexts around."""
        if self._finalized:
            self._check_not_finalized()
        flat: list[int] = []
        for tensor in inputs:
            if tensor._op._graph is not self:
                inputs = [self._here(each) for each in inputs]
                flat = [number for each in inputs for number in (each._id, each._index)]
                break
            flat += (tensor._id, tensor._index)
        if self._plain and not control_inputs:
            return self._keep(op_type, name, flat, attrs, None, "", _user_line())
        return self._add_in_context(op_type, inputs, flat, attrs, name, control_inputs)

    def _here(self, tensor: Tensor) -> Tensor:
        """The tensor itself if it is in this graph, else what stands for it here."""
        return tensor if tensor._op._graph is self else self._capture(tensor)

    def _capture(self, tensor: Tensor) -> Tensor:
        """What stands here for a tensor of another graph; only the graphs of functions have such things."""
        raise ValueError(f"{tensor.name} is from another graph; build all of a computation in one graph")

    def _keep(self, op_type: str, name: str, *rest: Any) -> Operation:
        """Adds a node to the core's graph and makes the view of it, which other threads may do too."""
        with self._lock:
            made = self._core.add(op_type, name, *rest)
            op = Operation(self, made[0], name, op_type, made[1:])
            if op._id != len(self._ops):
                self._sync(op._id)
            self._ops.append(op)
        return op

    def _add_in_context(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        flat: list[int],
        attrs: dict[str, Any] | None,
        name: str,
        control_inputs: Iterable[Operation],
    ) -> Operation:
        attrs = dict(attrs or {})
        for key, value in self._attr_map.items():
            if value is not None and key not in attrs:
                attrs[key] = value(op_type, name) if callable(value) else value
        override = self._gradient_override_map.get(op_type)
        if override is not None:
            attrs["_gradient_op_type"] = override
        device = self._device or ""
        if self._colocation:
            groups = {group for op in self._colocation for group in op.colocation_groups()}
            attrs["_class"] = sorted(groups.union(attrs.get("_class", ())))
            device = next((op.device for op in self._colocation if op.device), device)
        if self._container and any(attr.name == "container" for attr in _core.op_def(op_type).attrs):
            attrs["container"] = attrs.get("container") or self._container
        controls = {op._id: None for op in control_inputs}
        controls.update(dict.fromkeys(self._control_ids({tensor._id for tensor in inputs})))
        op = self._keep(op_type, name, flat, attrs, list(controls), device, _user_line())
        for controller in self._controllers:
            controller.made.add(op._id)
        if self._device is None and not self._colocation:
            self._apply_devices(op)
        return op

    def _control_ids(self, inputs: set[int]) -> Iterator[int]:
        """What the contexts around want to run before an operation that reads `inputs`."""
        for controller in self._controllers:
            # An input that was made in the context waits already.
            if inputs.isdisjoint(controller.made):
                yield from (op._id for op in controller.ops if op._id not in inputs)

    def _apply_devices(self, op: Operation) -> None:
        for entry in reversed(self._devices):
            if entry is None:
                break
            if callable(entry):
                asked = entry(op)
                op._set_device(asked)
            else:
                op._set_device(_core.merge_devices(entry, op.device))

    def create_op(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        dtypes: Any = None,
        input_types: Any = None,
        name: str | None = None,
        attrs: dict[str, Any] | None = None,
        op_def: Any = None,
        compute_shapes: bool = True,
        compute_device: bool = True,
    ) -> Operation:
        """Adds an operation.

        Args:
          op_type: what it computes, such as "MatMul".
          inputs: the tensors that it reads, lists flattened.
          name: its name, made unique; one that ends in "/" is taken as it is. `op_type` if none is given.
          attrs: values of its attributes.
          dtypes, input_types, op_def, compute_shapes, compute_device: ignored; the definition knows.

        Raises:
          InvalidArgumentError: if inputs or attributes do not fit (also a `ValueError`).
        """
        del dtypes, input_types, op_def, compute_shapes, compute_device
        self._check_not_finalized()
        return self._add(op_type, list(inputs), attrs, self._op_name(name or op_type))

    def _op_name(self, name: str) -> str:
        name = name[:-1] if name.endswith("/") else self.unique_name(name)
        if name[:1] == "_":  # what imports may use
            raise ValueError(f"'{name}' is not a valid name of an operation: it starts with '_'")
        return name

    def _sync(self, end: int | None = None) -> None:
        """Makes the views of nodes that were added to the core's graph directly, by an import."""
        core = self._core
        with self._lock:
            end = core.size() if end is None else end
            for id in range(len(self._ops), end):
                name = core.name(id)
                self._ops.append(Operation(self, id, name, core.op(id), core.dtypes(id)))
                self._names_in_use.setdefault(name.lower(), 1)

    def _operation(self, id: int) -> Operation:
        if id >= len(self._ops):
            self._sync()
        return self._ops[id]

    def _update_plain(self) -> None:
        self._plain = not (
            self._controllers
            or self._devices
            or self._colocation
            or self._attr_map
            or self._gradient_override_map
            or self._container
        )

    def _imported(self, ids: Iterable[int]) -> None:
        """Notes that the contexts around hold for nodes that an import has made."""
        for controller in self._controllers:
            controller.made.update(ids)
        if self._device is None:
            for id in ids:
                self._apply_devices(self._operation(id))

    # -- state

    def as_default(self) -> contextlib.AbstractContextManager[Graph]:
        """A context in which this is the default graph."""
        return _graphs.entered(self)

    def finalize(self) -> None:
        """Makes the graph read-only: adding an operation raises RuntimeError."""
        self._finalized = True

    def _unsafe_unfinalize(self) -> None:
        self._finalized = False

    @property
    def finalized(self) -> bool:
        """Whether the graph is read-only."""
        return self._finalized

    def _check_not_finalized(self) -> None:
        if self._finalized:
            raise RuntimeError("the graph is finalized; no operation can be added to it")

    @property
    def version(self) -> int:
        """A number that grows with each operation that is added."""
        return self._core.size()

    @property
    def _last_id(self) -> int:
        return self._core.size()

    @property
    def seed(self) -> int | None:
        """The graph's seed of random operations."""
        return self._seed

    @seed.setter
    def seed(self, seed: int | None) -> None:
        self._seed = seed

    @property
    def graph_def_versions(self) -> Any:
        """The versions of the GraphDef format that this graph is in."""
        return protos.GraphDef.FromString(_core.graph_def(self._core, self._core.size())).versions

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> Any:
        """The graph as a `GraphDef` message.

        Args:
          from_version: if given, only operations that were added after the graph had this `version`.
          add_shapes: whether nodes tell what is known of the shapes of their outputs, in "_output_shapes".
        """
        return protos.GraphDef.FromString(_core.graph_def(self._core, from_version or 0, add_shapes))

    # -- finding

    def get_operations(self) -> list[Operation]:
        """All operations, in the order in which they were made."""
        self._sync()
        return list(self._ops)

    def as_graph_element(self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True) -> Any:
        """The operation or tensor that `obj` names or stands for.

        Args:
          obj: a `Tensor`, an `Operation`, a name ("dense/MatMul", "dense/MatMul:0"), or an object that stands
            for one, such as a variable.
          allow_tensor: whether it may be a tensor.
          allow_operation: whether it may be an operation.

        Raises:
          TypeError: if `obj` is of no such type.
          ValueError: if it is of another graph, or is no well-formed name.
          KeyError: if the graph has nothing of this name.
        """
        wanted = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        if not wanted:
            raise ValueError("allow_tensor and allow_operation cannot both be False")
        convert = getattr(obj, "_as_graph_element", None)
        if convert is not None:
            obj = convert()
        if isinstance(obj, str):
            return self._element_of_name(obj, allow_tensor, allow_operation)
        if (isinstance(obj, Tensor) and allow_tensor) or (isinstance(obj, Operation) and allow_operation):
            if obj.graph is not self:
                raise ValueError(f"{obj.name} is not an element of this graph, but of another one")
            return obj
        raise TypeError(f"expected a {wanted}, got {obj!r} of type {type(obj).__name__}")

    def _element_of_name(self, name: str, allow_tensor: bool, allow_operation: bool) -> Any:
        op_name, colon, index = name.rpartition(":")
        if not colon:
            if not allow_operation:
                hint = f", perhaps '{name}:0'" if self._core.find(name) >= 0 else ""
                raise ValueError(
                    f"'{name}' names an operation; a tensor's name is '<operation>:<index>'{hint}"
                )
            return self._operation_of_name(name)
        if not index.isdecimal():
            raise ValueError(f"'{name}' is no name of a tensor; that is '<operation>:<index>'")
        if not allow_tensor:
            raise ValueError(f"'{name}' names a tensor; expected an operation, which is named '{op_name}'")
        outputs = self._operation_of_name(op_name)._outputs
        if int(index) >= len(outputs):
            raise KeyError(f"there is no tensor '{name}': operation '{op_name}' has {len(outputs)} outputs")
        return outputs[int(index)]

    def _operation_of_name(self, name: str) -> Operation:
        id = self._core.find(name)
        if id < 0:
            self._sync()
            raise missing_operation(self._core, name, [op._name for op in self._ops])
        return self._operation(id)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of this name. KeyError if there is none, TypeError if `name` is no string."""
        if not isinstance(name, str):
            raise TypeError(f"the name of an operation is a string, got {name!r}")
        return self.as_graph_element(name, allow_tensor=False, allow_operation=True)

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor named "<operation>:<index>". KeyError if there is none, TypeError if no string."""
        if not isinstance(name, str):
            raise TypeError(f"the name of a tensor is a string, got {name!r}")
        return self.as_graph_element(name, allow_tensor=True, allow_operation=False)

    def _get_operation_by_name_unsafe(self, name: str) -> Operation:
        return self._operation_of_name(name)

    # -- names

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """A name in the current scope that no operation has yet: "name", or "name_1" and so on.

        Names that differ only in case count as the same: a file system may confuse them.
        """
        if self._name_stack:
            name = f"{self._name_stack}/{name}"
        used = self._names_in_use
        key = name.lower()
        with self._lock:
            count = used.get(key)
            if count is None:
                if mark_as_used:
                    used[key] = 1
                return name
            while f"{key}_{count}" in used:
                count += 1
            if mark_as_used:
                used[f"{key}_{count}"] = 1
                used[key] += 1
        return f"{name}_{count}"

    @contextlib.contextmanager
    def name_scope(self, name: str | None) -> Iterator[str]:
        """A context that puts "name/" before the names of operations.

        Args:
          name: the scope, made unique; one that ends in "/" is taken as it is, from the root; None or "" is
            the root.

        Yields:
          The full scope, with a "/" at its end unless it is the root.
        """
        if name and not isinstance(name, str):
            raise TypeError(f"the name of a scope is a string, got {name!r}")
        outer = self._name_stack
        if not name:
            inner = ""
        else:
            if not (_SCOPE if outer else _SCOPE_AT_ROOT).match(name):
                raise ValueError(f"{name!r} is not a valid scope; use letters, digits and ._-/\\>")
            inner = name[:-1] if name.endswith("/") else self.unique_name(name)
        self._name_stack = inner
        try:
            yield inner + "/" if inner else ""
        finally:
            self._name_stack = outer

    def get_name_scope(self) -> str:
        """The current scope, without a "/" at its end."""
        return self._name_stack

    # -- contexts

    @contextlib.contextmanager
    def control_dependencies(self, control_inputs: Any) -> Iterator[None]:
        """A context in which operations run after all of `control_inputs`.

        Args:
          control_inputs: operations, tensors, or objects that stand for one; None forgets the dependencies of
            the contexts around.
        """
        ops: list[Operation] = []
        if control_inputs is not None:
            for element in control_inputs:
                values = getattr(element, "values", None)  # IndexedSlices
                if isinstance(values, Tensor):
                    element = values
                element = self.as_graph_element(element)
                op = element.op if isinstance(element, Tensor) else element
                if op not in ops:
                    ops.append(op)
        outer = self._controllers
        inner = _Controller(ops, control_inputs is None)
        self._controllers = [] if inner.clears else [*outer, inner]
        self._update_plain()
        try:
            yield
        finally:
            self._controllers = outer
            self._update_plain()

    @contextlib.contextmanager
    def device(self, device_name_or_function: Any) -> Iterator[None]:
        """A context that says where operations are placed.

        Args:
          device_name_or_function: a device ("/device:GPU:0", "/cpu:0", "/job:worker/task:1"), whose fields
            replace those of the contexts around; a function from an operation to a device; or None, which
            forgets the contexts around.
        """
        entry = device_name_or_function
        if entry is not None and not callable(entry):
            entry = _device_text(entry)
        outer = self._devices, self._device
        self._devices = [*self._devices, entry]
        self._device = self._merged_device()
        self._update_plain()
        try:
            yield
        finally:
            self._devices, self._device = outer
            self._update_plain()

    def _merged_device(self) -> str | None:
        merged = ""
        for entry in reversed(self._devices):
            if entry is None:
                break
            if callable(entry):
                return None
            merged = _core.merge_devices(entry, merged)
        return merged

    @contextlib.contextmanager
    def colocate_with(self, op: Any, ignore_existing: bool = False) -> Iterator[None]:
        """A context in which operations are placed where `op` is, whatever the device contexts say.

        Args:
          op: an operation, a tensor, or an object that stands for one; None for nothing.
          ignore_existing: whether to forget the `colocate_with` contexts around.
        """
        if op is None and not ignore_existing:
            raise ValueError("colocate_with(None) makes sense only with ignore_existing=True")
        if op is not None and not isinstance(op, Operation):
            values = getattr(op, "values", None)
            element = self.as_graph_element(values if isinstance(values, Tensor) else op)
            op = element.op if isinstance(element, Tensor) else element
        outer = self._colocation, self._devices, self._device
        self._colocation = ([] if ignore_existing else self._colocation) + ([] if op is None else [op])
        self._devices, self._device = [], ""
        self._update_plain()
        try:
            yield
        finally:
            self._colocation, self._devices, self._device = outer
            self._update_plain()

    @contextlib.contextmanager
    def gradient_override_map(self, op_type_map: dict[str, str]) -> Iterator[None]:
        """A context in which operations of some types get other gradients.

        Args:
          op_type_map: from the type of an operation to the name under which `tf.RegisterGradient` knows its
            gradient.
        """
        if not isinstance(op_type_map, dict) or not all(
            isinstance(text, str) for item in op_type_map.items() for text in item
        ):
            raise TypeError(f"expected a dict from type to name, both strings, got {op_type_map!r}")
        outer = self._gradient_override_map
        self._gradient_override_map = {**outer, **op_type_map}
        self._update_plain()
        try:
            yield
        finally:
            self._gradient_override_map = outer
            self._update_plain()

    @contextlib.contextmanager
    def _attr_scope(self, attr_map: dict[str, Any]) -> Iterator[None]:
        """A context that gives attributes (or functions from type and name to one) to operations."""
        outer = self._attr_map
        self._attr_map = {**outer, **attr_map}
        self._update_plain()
        try:
            yield
        finally:
            self._attr_map = outer
            self._update_plain()

    @contextlib.contextmanager
    def container(self, container_name: str) -> Iterator[str]:
        """A context in which variables, queues and the like keep their state in this container."""
        outer = self._container
        self._container = container_name
        self._update_plain()
        try:
            yield container_name
        finally:
            self._container = outer
            self._update_plain()

    # -- collections

    def add_to_collection(self, name: Any, value: Any) -> None:
        """Appends a value to a collection; see `GraphKeys` for those that have a meaning."""
        self._check_not_finalized()
        with self._lock:
            self._collections.setdefault(name, []).append(value)

    def add_to_collections(self, names: Any, value: Any) -> None:
        """Appends a value to each of some collections, or to one."""
        for name in [names] if isinstance(names, str) else dict.fromkeys(names):
            self.add_to_collection(name, value)

    def get_collection_ref(self, name: Any) -> list[Any]:
        """The list itself of a collection, made if there is none."""
        with self._lock:
            return self._collections.setdefault(name, [])

    def get_collection(self, name: Any, scope: str | None = None) -> list[Any]:
        """What is in a collection, in a new list.

        Args:
          name: which.
          scope: if given, only what has a name that matches this, a regular expression from the name's start.
        """
        with self._lock:
            items = list(self._collections.get(name, ()))
        if scope is None:
            return items
        match = re.compile(scope).match
        return [item for item in items if hasattr(item, "name") and match(item.name)]

    def get_all_collection_keys(self) -> list[str]:
        """The names of the collections."""
        with self._lock:
            return [name for name in self._collections if isinstance(name, str)]

    @property
    def collections(self) -> list[str]:
        """The names of the collections."""
        return self.get_all_collection_keys()

    def clear_collection(self, name: Any) -> None:
        """Removes a collection."""
        self._check_not_finalized()
        with self._lock:
            self._collections.pop(name, None)

    # -- feeding and fetching

    def prevent_feeding(self, tensor: Tensor) -> None:
        """Marks a tensor as one that cannot be fed."""
        self._unfeedable.add(tensor)

    def is_feedable(self, tensor: Tensor) -> bool:
        """Whether a tensor can be fed."""
        return tensor not in self._unfeedable

    def prevent_fetching(self, op: Operation) -> None:
        """Marks an operation as one that cannot be fetched."""
        self._unfetchable.add(op)

    def is_fetchable(self, tensor_or_op: Any) -> bool:
        """Whether a tensor or operation can be fetched."""
        op = tensor_or_op.op if isinstance(tensor_or_op, Tensor) else tensor_or_op
        return op not in self._unfetchable

    def switch_to_thread_local(self) -> None:
        """Does nothing: a graph is built by one thread at a time."""

    def _repr_html_(self) -> str:
        return overview(self)


# ---- defaults


class _DefaultStack(threading.local):
    """Per thread, which object is the default now."""

    def __init__(self) -> None:
        self.stack: list[Any] = []

    def top(self) -> Any:
        return self.stack[-1] if self.stack else None

    @contextlib.contextmanager
    def entered(self, default: Any) -> Iterator[Any]:
        depth = len(self.stack)
        self.stack.append(default)
        try:
            yield default
        finally:
            if len(self.stack) != depth + 1 or self.stack[-1] is not default:
                # A context inside was left in another order, by an InteractiveSession or a generator.
                if default in self.stack:
                    del self.stack[len(self.stack) - 1 - self.stack[::-1].index(default)]
            else:
                self.stack.pop()


class _DefaultGraphs(_DefaultStack):
    """The default graphs of a thread; at the bottom one that is made when it is needed."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom: Graph | None = None

    def top(self) -> Graph:
        if self.stack:
            return self.stack[-1]
        if self.bottom is None:
            self.bottom = Graph()
        return self.bottom


_graphs = _DefaultGraphs()
_sessions = _DefaultStack()


def get_default_graph() -> Graph:
    """The graph that operations are added to now, in this thread."""
    stack = _graphs.stack
    return stack[-1] if stack else _graphs.top()


def reset_default_graph() -> None:
    """Replaces the default graph of this thread by an empty one.

    Raises:
      AssertionError: inside a `with graph.as_default():`.
    """
    if _graphs.stack:
        raise AssertionError("reset_default_graph cannot be used inside a `with graph.as_default():`")
    _graphs.bottom = Graph()


def has_default_graph() -> bool:
    """Whether this thread has a default graph already."""
    return bool(_graphs.stack or _graphs.bottom)


def get_default_session() -> Any:
    """The session of the innermost `with session:` of this thread, or None."""
    return _sessions.top()


# ---- the same for the default graph


class name_scope:
    """A context that puts a scope before the names of operations, for functions that make several.

    Args:
      name: the scope, or None.
      default_name: the scope where `name` is None.
      values: the tensors that the function was given: their graph is made the default one.

    Raises:
      TypeError: if `name` is no string.
      ValueError: if `values` are given, but neither name is.
    """

    def __init__(self, name: str | None, default_name: str | None = None, values: Any = None):
        if not (name is None or isinstance(name, str)) or not (
            default_name is None or isinstance(default_name, str)
        ):
            raise TypeError(f"the name of a scope is a string, got {name!r} and {default_name!r}")
        self._name = default_name if name is None else name
        self._values = values
        self._stack = contextlib.ExitStack()

    @property
    def name(self) -> str | None:
        """The name as given."""
        return self._name

    def __enter__(self) -> str:
        if self._name is None and self._values is not None:
            raise ValueError("a name_scope with values needs a name or a default_name")
        graph = graph_of(self._values or ())
        with contextlib.ExitStack() as stack:
            if graph is not get_default_graph():
                stack.enter_context(graph.as_default())
            scope = stack.enter_context(graph.name_scope(self._name))
            self._stack = stack.pop_all()
        return scope

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)


def graph_of(values: Iterable[Any]) -> Graph:
    """The graph that the tensors and operations among `values` are in, else the default graph.

    Raises:
      ValueError: if they are in different ones.
    """
    current = get_default_graph()
    if current.building_function:
        return current  # it captures what is outside
    found = None
    for value in values:
        graph = getattr(value, "graph", None)
        if isinstance(graph, Graph):
            if found is not None and graph is not found.graph:
                raise ValueError(
                    f"{value.name} is from another graph than {found.name}; build all in one graph"
                )
            found = value
    return current if found is None else found.graph


def op_scope(values: Any, name: str | None, default_name: str | None = None) -> name_scope:
    """An older name of `name_scope`, with its arguments in another order."""
    return name_scope(name, default_name=default_name, values=values)


def control_dependencies(control_inputs: Any) -> contextlib.AbstractContextManager[None]:
    """`Graph.control_dependencies` of the default graph; functions among the inputs are called."""
    if callable(control_inputs):
        control_inputs = [control_inputs()]
    return get_default_graph().control_dependencies(control_inputs)


def device(device_name_or_function: Any) -> contextlib.AbstractContextManager[None]:
    """`Graph.device` of the default graph."""
    return get_default_graph().device(device_name_or_function)


def colocate_with(op: Any, ignore_existing: bool = False) -> contextlib.AbstractContextManager[None]:
    """`Graph.colocate_with` of the default graph."""
    return get_default_graph().colocate_with(op, ignore_existing)


def container(container_name: str) -> contextlib.AbstractContextManager[str]:
    """`Graph.container` of the default graph."""
    return get_default_graph().container(container_name)


def add_to_collection(name: Any, value: Any) -> None:
    """`Graph.add_to_collection` of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """`Graph.add_to_collections` of the default graph."""
    get_default_graph().add_to_collections(names, value)


def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """`Graph.get_collection` of the default graph."""
    return get_default_graph().get_collection(key, scope)


def get_collection_ref(key: Any) -> list[Any]:
    """`Graph.get_collection_ref` of the default graph."""
    return get_default_graph().get_collection_ref(key)


def get_all_collection_keys() -> list[str]:
    """`Graph.get_all_collection_keys` of the default graph."""
    return get_default_graph().get_all_collection_keys()


def is_dense_tensor_like(value: Any) -> bool:
    """Whether `value` is a tensor of a graph, or stands for one."""
    return isinstance(value, Tensor) or hasattr(value, "_as_graph_element")


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor of a graph: a `Tensor`, a variable, `IndexedSlices` or the like."""
    return isinstance(x, Tensor) or hasattr(x, "_as_graph_element") or hasattr(type(x), "_composite_tensor")


def constant_array(tensor: Tensor) -> np.ndarray[Any, Any] | None:
    """The value of a tensor that a Const makes, else None."""
    value = tensor.graph._core.constant(tensor._id)
    if value is not None:
        value.flags.writeable = False
    return value
