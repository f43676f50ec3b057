"""Reading checkpoints outside of graphs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from headrace import _core
from headrace.framework import dtypes, errors, protos, raw
from headrace.framework.graph import Graph, GraphKeys, name_scope
from headrace.framework.graph import get_default_graph as default_graph
from headrace.ops.variables import PartitionedVariable, Variable
from headrace.train.checkpoint_state import checkpoint_exists, latest_checkpoint

__all__ = [
    "NewCheckpointReader",
    "init_from_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]


class CheckpointReader:
    """The tensors of a checkpoint; see `NewCheckpointReader`."""

    def __init__(self, filepattern: str | os.PathLike[str]):
        path = os.fspath(filepattern)
        if path.endswith(".index") and checkpoint_exists(path.removesuffix(".index")):
            raise errors.NotFoundError(
                None, None, f"'{path}' is a file of a checkpoint; give the path without '.index'"
            )
        self._checkpoint = _core.Checkpoint(path)
        self._entries = {name: (number, shape) for name, number, shape in self._checkpoint.entries()}

    def has_tensor(self, tensor_str: str) -> bool:
        """Returns whether there is a tensor of this name."""
        return tensor_str in self._entries

    def get_tensor(self, tensor_str: str) -> Any:
        """Returns a tensor as an array (a scalar as a NumPy scalar, bytes for a string).

        Raises:
            NotFoundError: If there is no tensor of this name.
            DataLossError: If what is stored is damaged.
        """
        return self._checkpoint.read(tensor_str)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Returns the shape of each tensor, by name."""
        return {name: list(shape) for name, (_, shape) in self._entries.items()}

    def get_variable_to_dtype_map(self) -> dict[str, dtypes.DType]:
        """Returns the dtype of each tensor, by name; those of unknown dtypes are left out."""
        return {name: dtypes.as_dtype(number) for name, (number, _) in self._entries.items() if number}

    def debug_string(self) -> bytes:
        """Returns a line for each tensor: its name, dtype and shape."""
        return "".join(
            f"{name} ({protos.DataType.Name(number)}) [{','.join(map(str, shape))}]\n"
            for name, (number, shape) in self._entries.items()
        ).encode()


def NewCheckpointReader(filepattern: str | os.PathLike[str]) -> CheckpointReader:
    """Opens a checkpoint for reading.

    Args:
        filepattern: What it was saved as: the path without ".index".

    Raises:
        NotFoundError: If there is none.
        DataLossError: If its index is damaged.
    """
    return CheckpointReader(filepattern)


def load_checkpoint(ckpt_dir_or_file: str | os.PathLike[str]) -> CheckpointReader:
    """Opens a checkpoint, or the latest of a folder; see `NewCheckpointReader`.

    Raises:
        ValueError: If there is no checkpoint in the folder.
    """
    path = os.fspath(ckpt_dir_or_file)
    if os.path.isdir(path):
        latest = latest_checkpoint(path)
        if latest is None:
            raise ValueError(f"there is no checkpoint in the folder '{path}'")
        path = latest
    return CheckpointReader(path)


def load_variable(ckpt_dir_or_file: str | os.PathLike[str], name: str) -> Any:
    """Returns the value of a variable in a checkpoint, by its name with or without ":0"."""
    if not isinstance(name, str):
        raise TypeError(f"the name of a variable is a string, got {name!r}")
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: str | os.PathLike[str]) -> list[tuple[str, list[int]]]:
    """Returns name and shape of each variable of a checkpoint, by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def init_from_checkpoint(ckpt_dir_or_file: str | os.PathLike[str], assignment_map: Any) -> None:
    """Makes the initializers of variables read them from a checkpoint.

    Args:
        ckpt_dir_or_file: The checkpoint, or a folder whose latest is taken.
        assignment_map: What in the checkpoint goes where. Keys are names in the checkpoint, values are the
            variables (or lists of their partitions), or their names. `"scope/": "other/"` stands for all
            variables in the scope "other", and "/" for all there are.

    Raises:
        ValueError: If the checkpoint lacks a tensor, one has another shape than its variable, or there is no
            variable of a name.
        TypeError: If `assignment_map` is something else.
    """
    path = os.fspath(ckpt_dir_or_file)
    try:
        pairs = dict(assignment_map)
    except (TypeError, ValueError):
        raise TypeError(
            f"assignment_map must be a dict from names in the checkpoint to variables, got {assignment_map!r}"
        ) from None
    reader = load_checkpoint(path)
    prefix = path if not os.path.isdir(path) else latest_checkpoint(path)
    shapes = reader.get_variable_to_shape_map()
    by_name = _by_name(default_graph())
    for key, target in pairs.items():
        for name, parts in _targets(key, target, by_name, shapes):
            if name not in shapes:
                raise ValueError(f"the checkpoint '{prefix}' has no tensor '{name}'; it has {sorted(shapes)}")
            for part in parts:
                _read_initially(part, str(prefix), name, shapes[name])


def _by_name(graph: Graph) -> dict[str, list[Variable]]:
    """The graph's variables by name, the partitions of one together."""
    found: dict[str, list[Variable]] = {}
    for variable in graph.get_collection(GraphKeys.GLOBAL_VARIABLES):
        info = variable._get_save_slice_info()
        found.setdefault(info.full_name if info else variable.op.name, []).append(variable)
    return found


def _targets(
    key: str, target: Any, by_name: dict[str, list[Variable]], shapes: dict[str, Any]
) -> Iterable[tuple[str, list[Variable]]]:
    """The names in the checkpoint that an entry of an assignment map is about, with their variables."""
    if not isinstance(key, str):
        raise TypeError(f"the keys of an assignment map are names in the checkpoint, got {key!r}")
    if isinstance(target, Variable):
        return [(key, [target])]
    if isinstance(target, (list, tuple, PartitionedVariable)):
        return [(key, list(target))]
    if not isinstance(target, str):
        raise TypeError(f"'{key}' is assigned to {target!r}; expected a variable, its name or a scope")
    if target in by_name:
        return [(key + target if key.endswith("/") else key, by_name[target])]
    scope = target.strip("/") + "/" if target.strip("/") else ""
    if key and not key.endswith("/"):
        raise ValueError(f"there is no variable '{target}' for '{key}'; scopes end with '/' in both")
    there = key.strip("/") + "/" if key.strip("/") else ""
    inside = {name: parts for name, parts in by_name.items() if name.startswith(scope)}
    if not inside:
        raise ValueError(f"there is no variable in the scope '{target}'")
    return [(there + name[len(scope) :], parts) for name, parts in inside.items()]


def _read_initially(variable: Variable, prefix: str, name: str, shape: list[int]) -> None:
    info = variable._get_save_slice_info()
    whole = info.full_shape if info else variable.shape.as_list()
    if list(whole) != shape:
        raise ValueError(
            f"the variable '{variable.op.name}' has the shape {list(whole)}, the tensor '{name}' of the "
            f"checkpoint '{prefix}' has {shape}"
        )
    with variable.graph.as_default(), name_scope("init_from_checkpoint"):
        value = raw.RestoreV2(prefix, [name], [info.spec if info else ""], dtypes=[variable.dtype])[0]
        value.set_shape(variable.shape)
        variable._start_from(value)
