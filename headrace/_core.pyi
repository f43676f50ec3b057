# Made by tools/stubs.py out of the built extension; `make stubs` makes it anew.
# nanobind 3.1.0
"""
The C++ core of headrace. The public interface is the headrace package.
"""

from collections.abc import Sequence
from typing import Any


def set_error_factory(factory: object) -> None:
    """
    Installs factory(code, message, node, op, is_dtype), which makes the exceptions that the core raises.
    """

class Tensor:
    """A tensor of the core: what resources and variants are fetched as."""

    @staticmethod
    def of(array: object) -> Tensor:
        """A tensor with a copy of the array's elements."""

    @property
    def dtype(self) -> int:
        """The dtype's number."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""

    def numpy(self) -> Any:
        """The elements as an ndarray."""

    def __repr__(self) -> str: ...

def buffers_made() -> int:
    """
    How many pieces of memory tensors were ever given: for tests of what a step allocates.
    """

def dtypes() -> tuple:
    """
    All dtypes: (number, name, bytes of an element in the core, NumPy's dtype or None).
    """

class ArgDef:
    """One input or output of an operation."""

    @property
    def name(self) -> str: ...

    @property
    def dtype(self) -> int:
        """The fixed dtype's number, or 0."""

    @property
    def type_attr(self) -> str:
        """The attribute that gives the dtype (or dtypes), or ''."""

    @property
    def number_attr(self) -> str:
        """The attribute that gives the length of a list, or ''."""

    @property
    def is_type_list(self) -> bool: ...

    @property
    def is_list(self) -> bool: ...

class AttrDef:
    """One attribute of an operation."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str:
        """'int', 'list(type)'..."""

    @property
    def has_default(self) -> bool: ...

    @property
    def default(self) -> Any: ...

    @property
    def allowed_dtypes(self) -> list[int]:
        """Numbers of the allowed dtypes; empty for any."""

    @property
    def allowed_strings(self) -> list[str]: ...

    @property
    def minimum(self) -> int | None: ...

class OpDef:
    """The definition of an operation."""

    @property
    def name(self) -> str: ...

    @property
    def doc(self) -> str: ...

    @property
    def inputs(self) -> tuple[ArgDef, ...]: ...

    @property
    def outputs(self) -> tuple[ArgDef, ...]: ...

    @property
    def attrs(self) -> tuple[AttrDef, ...]: ...

    @property
    def traits(self) -> frozenset:
        """Names of its traits."""

    def __repr__(self) -> str: ...

def op_def(name: str) -> OpDef:
    """The definition of an operation; NotFound with near names."""

def has_op(name: str) -> bool: ...

def op_names() -> list[str]: ...

def ops_with_kernels() -> list[str]:
    """Names of operations that a CPU kernel computes."""

class Graph:
    """The core's graph: nodes are ids in order of creation."""

    def __init__(self) -> None: ...

    def add(self, op: str, name: str, inputs: object, attrs: object | None, control_inputs: object | None, device: str, source: str) -> tuple:
        """
        Adds a node. `inputs` is flat: id, index, id, index... Returns (id, dtype numbers of the outputs...).
        """

    def size(self) -> int:
        """How many nodes there are."""

    def find(self, name: str) -> int:
        """The node's id, or -1."""

    def name(self, id: int) -> str: ...

    def op(self, id: int) -> str: ...

    def inputs(self, id: int) -> list:
        """(id, index) of each input."""

    def control_inputs(self, id: int) -> list: ...

    def control_consumers(self, id: int) -> list[int]:
        """Nodes that wait for this one."""

    def consumers(self, id: int, index: int) -> list[int]:
        """Nodes that read this output."""

    def dtypes(self, id: int) -> list[int]: ...

    def shape(self, id: int, index: int) -> tuple[int | None, ...] | None:
        """None for an unknown rank, else a tuple with None for what is unknown."""

    def merge_shape(self, id: int, index: int, shape: object | None) -> None:
        """Adds to what is known of a shape."""

    def ints(self, id: int, index: int) -> list[int | None] | None:
        """The value of a small integer output as far as it is known, or None."""

    def constant(self, id: int) -> Any:
        """The value of a constant node, or None."""

    def attr_names(self, id: int) -> list[str]: ...

    def attr(self, id: int, name: str) -> Any:
        """(type, value), or None."""

    def set_attr(self, id: int, name: str, value: object | None) -> None: ...

    def device(self, id: int) -> str: ...

    def set_device(self, id: int, device: str) -> None: ...

    def source(self, id: int) -> str:
        """The user's line that made the node, 'train.py:31', or ''."""

    def add_control_inputs(self, id: int, ids: object) -> None: ...

    def function_names(self) -> list[str]: ...

def evaluate(op: str, inputs: object, attrs: object | None = None) -> list:
    """
    Computes one operation on arrays, outside any graph and session; returns a list of arrays.
    """

def define_function(graph: Graph, name: str, body: Graph, arguments: object, results: object, targets: object) -> None:
    """
    Adds to a graph's library the function between `arguments` and `results` of `body` (flat: id, index...).
    """

def function_graph(graph: Graph, name: str) -> tuple:
    """
    A graph with a copy of a function: (graph, argument ids, flat results, target ids).
    """

def share_functions(graph: Graph, other: Graph) -> None:
    """Adds the functions of `other` that `graph` lacks."""

def callers(graph: Graph, name: str) -> list[tuple[str, str]]:
    """
    The nodes in whose functions a node of this name is: (operation, name) from the inside out.
    """

def annotate_argument(graph: Graph, id: int, other: Graph, from_id: int, index: int) -> None:
    """Tells an argument what the handle that it stands for refers to."""

def handle_dtype(graph: Graph, id: int, index: int) -> int:
    """The dtype number of the state behind a handle, 0 if not known."""

def extend(graph: Graph, id: int, inputs: object, attrs: object) -> list[int]:
    """
    Gives a node more inputs and, by its attributes, outputs; returns the dtype numbers of all outputs.
    """

class Callable:
    """One (feeds, fetches, targets) signature made ready to run."""

    def run(self, feeds: object, timeout_ms: int = 0, trace: object | None = None, pieces: object | None = None) -> list:
        """
        Runs one step on arrays of the fed dtypes; returns a list of arrays. A list given as `trace` is extended by (node, op, device, start_ns, end_ns, lane, outputs) of everything that ran, where outputs are (dtype, shape, bytes, in_arena); a list given as `pieces` by (device, nodes) of the plans that ran, where nodes are (name, op, inputs) and inputs are (name, index).
        """

    def describe(self, feeds: object) -> str:
        """The plan for such feeds, for people and tests."""

    @property
    def num_plans(self) -> int: ...

    @property
    def num_planned(self) -> int: ...

class Session:
    """The core's session over a graph."""

    def __init__(self, graph: Graph, *, disabled_passes: Sequence[str] = [], allow_soft_placement: bool = True, log_placement: bool = False, verify: bool = False, cache_size: int = 64, inter_op_threads: int = 0, intra_op_threads: int = 0, target: str = '', device_types: Sequence[str] = []) -> None: ...

    def callable(self, fed: object, fetched: object, targets: object) -> Callable:
        """
        `fed` and `fetched` are flat: id, index, id, index...; `targets` are ids.
        """

    def close(self) -> None:
        """Cancels running steps and refuses new ones."""

    @property
    def closed(self) -> bool: ...

    def devices(self) -> list[tuple[str, str]]:
        """(name, type) of each."""

    def resources(self) -> list:
        """(container, name, description) of the state there is."""

    @staticmethod
    def reset(target: str, containers: Sequence[str]) -> None:
        """
        Forgets the state of these containers (all if none are named) in the sessions of `target`.
        """

def passes() -> list:
    """(name, doc) of the passes, in order."""

def device_types() -> list[tuple[str, int]]:
    """(type, how many there are) of each device type."""

def normalize_device(device: str) -> str:
    """
    '/gpu:0' as '/device:GPU:0' and so on; InvalidArgument for what is no device.
    """

def merge_devices(outer: str, inner: str) -> str:
    """Fields that `inner` sets replace those of `outer`."""

def add_kernel(op: str, function: object, rank: str = 'host') -> None:
    """
    Registers function(*arrays, **attrs) -> array or sequence of arrays as a CPU kernel of an operation. The arrays are the function's own; dtypes are given as numbers, strings as bytes, functions as names.
    """

def graph_def(graph: Graph, first_node: int = 0, with_shapes: bool = False) -> bytes:
    """
    The graph as a GraphDef message, without the nodes before `first_node`.
    """

def node_def(graph: Graph, id: int) -> bytes:
    """One node as a NodeDef message."""

def import_graph_def(graph: Graph, message: bytes, prefix: str, input_map: Sequence[tuple[str, tuple[int, int]]], return_elements: Sequence[str], control_inputs: object, device: str, source: str, producer_ops: bytes) -> tuple[list[int], list[tuple[int, int]]]:
    """
    Adds a GraphDef's nodes. Returns their ids, and (id, index) of each of `return_elements`; the index is -1 for a node.
    """

def function_def(graph: Graph, name: str) -> bytes:
    """One function of the graph's library as a FunctionDef message."""

def import_function(graph: Graph, message: bytes) -> None:
    """Adds a FunctionDef to the graph's library."""

def op_def_message(op: str) -> bytes:
    """The definition of an operation as an OpDef message."""

def tensor_proto(array: object) -> bytes:
    """An array as a TensorProto message."""

def array_of_tensor_proto(message: bytes) -> Any:
    """The array that a TensorProto message holds."""

class RecordBuffer:
    """Data as they stand in a file of records."""

    def __init__(self, enough: int) -> None: ...

    def add(self, data: bytes) -> bool:
        """
        Adds a record with its length and checksums; whether there are enough bytes now.
        """

    def take(self) -> bytes:
        """All bytes, which are there no more."""

class RecordWriter:
    """Writes a file of records."""

    def __init__(self, path: str) -> None: ...

    def write(self, data: bytes) -> None:
        """Adds a record. FailedPreconditionError if the writer is closed."""

    def flush(self) -> None:
        """Returns when everything is in the file."""

    def close(self) -> None:
        """Writes what is left, and closes the file."""

class RecordParser:
    """
    Takes a file of records in pieces and hands out the records that are complete.
    """

    def __init__(self, source: str) -> None: ...

    def feed(self, piece: bytes) -> list[bytes]:
        """
        The records that the piece completes. DataLossError if a checksum is wrong.
        """

    def finish(self) -> None:
        """DataLossError if the file ends within a record."""

class EventWriter:
    """Appends events to a file, by a thread of its own."""

    def __init__(self, path: str, max_queue: int) -> None: ...

    def add(self, event: bytes) -> None:
        """Waits only if many events are still to be written."""

    def flush(self) -> None:
        """Returns when everything is in the file."""

    def close(self) -> None:
        """Writes what there is, and ends the thread."""

class Checkpoint:
    """The tensors of a checkpoint, by name."""

    def __init__(self, prefix: str) -> None: ...

    def shards(self) -> int:
        """How many files hold the tensors."""

    def entries(self) -> list[tuple[str, int, tuple[int, ...]]]:
        """
        Name, number of the dtype (0 for one that is unknown here) and shape of each tensor.
        """

    def read(self, name: str) -> Any:
        """A tensor as an array."""
