"""Saving variables to checkpoints and restoring them."""

from __future__ import annotations

import itertools
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from headrace.framework import errors, protos, raw
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    Tensor,
    control_dependencies,
    device,
    get_collection,
    get_default_graph,
    name_scope,
)
from headrace.framework.placeholder import placeholder_with_default
from headrace.framework.shapes import as_shape
from headrace.ops import array, control_flow
from headrace.ops.saveable import SaveableObject, SaveSpec
from headrace.ops.variables import PartitionedVariable, Variable
from headrace.train.checkpoint_reader import NewCheckpointReader
from headrace.train.checkpoint_state import (
    _write_state,
    checkpoint_exists,
    get_checkpoint_mtimes,
    meta_graph_filename,
    remove_checkpoint,
)
from headrace.train.global_step import global_step as global_step_of
from headrace.train.meta_graph import FromBytes, export_meta_graph, import_into_graph, read_meta_graph
from headrace.train.queue_runner import QueueRunner

__all__ = ["Saver", "import_meta_graph"]


class _Part(SaveableObject):
    """A variable, or a partition of one, under its name in checkpoints."""

    def __init__(self, name: str, variable: Variable, whole: bool = False):
        info = None if whole else variable._get_save_slice_info()
        # The shape of the tensor in checkpoints.
        shape = list(info.full_shape) if info else variable.shape.as_list() if variable.shape.dims else None
        spec = SaveSpec(
            variable.value, info.spec if info else "", name, variable.dtype, variable.device, shape
        )
        super().__init__(variable, [spec], name)

    def restore(self, restored_tensors: Sequence[Tensor], restored_shapes: Sequence[Any] | None) -> Operation:
        (value,) = restored_tensors
        if restored_shapes is not None:
            value = array.reshape(value, restored_shapes[0])
        with device(self.op.device):
            return raw.AssignVariableOp(self.op.handle, array.identity(value), name="AssignVariableOp")


def _parts(var_list: Any) -> list[SaveableObject]:
    """What there is to save, by name."""
    parts: list[SaveableObject] = []
    if isinstance(var_list, dict):
        for name, item in var_list.items():
            if not isinstance(name, str):
                raise TypeError(f"the keys of var_list must be names, got {name!r}")
            if isinstance(item, SaveableObject):
                parts.append(item)
            elif isinstance(item, (list, tuple, PartitionedVariable)):
                parts += [_Part(name, _variable(one)) for one in item]
            else:  # on its own, a partition is a tensor like any other
                parts.append(_Part(name, _variable(item), whole=True))
    elif isinstance(var_list, (str, bytes, Variable)) or not isinstance(var_list, Iterable):
        raise TypeError(
            f"var_list must be a list of variables, or a dict from names to them, got {var_list!r}"
        )
    else:
        for item in var_list:
            if isinstance(item, SaveableObject):
                parts.append(item)
                continue
            for one in item if isinstance(item, (list, tuple, PartitionedVariable)) else [item]:
                info = _variable(one)._get_save_slice_info()
                parts.append(_Part(info.full_name if info else one.op.name, one))
    seen: dict[str, dict[str, Any]] = {}
    for part in parts:
        for spec in part.specs:
            others = seen.setdefault(spec.name, {})
            # Several slices make one tensor, but not together with all of it.
            mixed = others and spec.slice_spec not in others and (not spec.slice_spec or "" in others)
            if mixed or others.setdefault(spec.slice_spec, part.op) is not part.op:
                raise ValueError(
                    f"two variables would be saved as '{spec.name}'; pass a dict with other names"
                )
    # One variable under two names is saved twice; the same one twice under one name, once.
    unique = {(part.name, *((spec.name, spec.slice_spec) for spec in part.specs)): part for part in parts}
    return sorted(unique.values(), key=lambda part: part.name)


def _specs(parts: Iterable[SaveableObject]) -> list[SaveSpec]:
    return [spec for part in parts for spec in part.specs]


def _variable(item: Any) -> Variable:
    if not isinstance(item, Variable):
        raise TypeError(f"{item!r} cannot be saved; pass variables or SaveableObjects")
    return item


class Saver:
    """Saves variables to checkpoints, keeps the newest few, and restores from them.

    A checkpoint named "model-100" is the files "model-100.index" and "model-100.data-00000-of-00001", in the
    format of TensorFlow, and "model-100.meta" with the graph. It is there whole or not at all, whatever
    happens while it is written; a save that runs beside training sees each variable as it is between two
    updates.

    Args:
        var_list: The variables: a list, or a dict from their names in checkpoints; `SaveableObject`s, too. By
            default all global ones, and the collection `SAVEABLE_OBJECTS`, such as tables that change.
        reshape: Whether to restore tensors to variables of another shape with as many elements.
        sharded: Whether to write a data file for each device.
        max_to_keep: How many checkpoints to keep; None or 0 for all.
        keep_checkpoint_every_n_hours: One in so many hours is kept for good.
        name: Name of the operations; with `saver_def`, a scope to put before the names in it.
        restore_sequentially: Whether to restore one variable after another.
        saver_def: A `SaverDef` message: its operations are in the graph already.
        builder: Accepted; must be None.
        defer_build: Whether the operations are made by `build()` later.
        allow_empty: Whether there may be no variables.
        write_version: The version of the format: `SaverDef.V2`.
        pad_step_number: Whether to write steps with at least 8 digits.
        save_relative_paths: Whether the file "checkpoint" has relative paths.
        filename: Default of the path, when the operations are run without this class.

    Raises:
        TypeError: If `var_list` holds what cannot be saved.
        ValueError: If there are no variables, or two of one name.
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: int = 2,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ):
        if defer_build and var_list:
            raise ValueError(
                "var_list and defer_build cannot both be given: build() takes what is there then"
            )
        if builder is not None:
            raise ValueError("builder is not supported; leave it out")
        if write_version != 2:
            raise ValueError(f"write_version is {write_version}; only version 2 is written")
        self._var_list = var_list
        self._reshape = reshape
        self._sharded = sharded
        self._max_to_keep = max_to_keep
        self._hours = keep_checkpoint_every_n_hours
        self._name = name
        self._restore_sequentially = restore_sequentially
        self._allow_empty = allow_empty
        self._pad_step_number = pad_step_number
        self._save_relative_paths = save_relative_paths
        self._filename = filename
        self._is_empty = False
        self._temporary = ""  # what the folder of several files is named for as long as it is not complete
        self._last_checkpoints: list[tuple[str, float]] = []
        self._write_version = write_version
        self._parts: list[SaveableObject] = []  # not known of a saver that comes from a message
        self.saver_def: Any = None
        self._next_checkpoint_time = time.time() + self._hours * 3600
        self._last_preserved: float | None = None
        if saver_def is not None:
            if getattr(getattr(saver_def, "DESCRIPTOR", None), "name", None) != "SaverDef":
                raise TypeError(f"saver_def must be a SaverDef message, got {type(saver_def).__name__}")
            self.saver_def = _renamed(saver_def, lambda each: f"{name}/{each}") if name else saver_def
            self._max_to_keep = saver_def.max_to_keep
            self._hours = saver_def.keep_checkpoint_every_n_hours
            self._sharded = saver_def.sharded
            self._name = self.saver_def.save_tensor_name.rpartition("/")[0]
            self._next_checkpoint_time = time.time() + self._hours * 3600
        elif not defer_build:
            self.build()

    # -- the graph

    def build(self) -> None:
        """Makes the operations, if they are not there yet."""
        if self.saver_def is not None or self._is_empty:
            return
        variables = self._var_list
        if variables is None:
            variables = get_collection(GraphKeys.GLOBAL_VARIABLES) + get_collection(
                GraphKeys.SAVEABLE_OBJECTS
            )
        parts = _parts(variables)
        if not parts:
            if not self._allow_empty:
                raise ValueError("there are no variables to save; make them first, or pass allow_empty=True")
            self._is_empty = True
            return
        self._parts = parts
        handles = [part.op.handle for part in parts if isinstance(part.op, Variable)]
        with name_scope(self._name, "save", handles):
            default = placeholder_with_default(self._filename or "model", shape=(), name="filename")
            path = placeholder_with_default(default, shape=(), name="Const")
            if self._sharded:
                saved, restored = self._sharded_operations(path, parts)
            else:
                saved, restored = self._save(path, parts), self._restore(path, parts, "restore_all")
        self.saver_def = protos.SaverDef(
            filename_tensor_name=path.name,
            save_tensor_name=saved.name,
            restore_op_name=restored.name,
            max_to_keep=self._max_to_keep or 0,
            sharded=self._sharded,
            keep_checkpoint_every_n_hours=self._hours,
            version=self._write_version,
        )

    def _save(self, path: Tensor, parts: list[SaveableObject]) -> Tensor:
        specs = _specs(parts)
        values = [spec.tensor for spec in specs]
        save = raw.SaveV2(path, [s.name for s in specs], [s.slice_spec for s in specs], values)
        with control_dependencies([save]):
            return array.identity(path, name="control_dependency")

    def _restore(self, path: Tensor, parts: list[SaveableObject], name: str) -> Operation:
        specs = _specs(parts)
        values = iter(
            raw.RestoreV2(
                path, [s.name for s in specs], [s.slice_spec for s in specs], dtypes=[s.dtype for s in specs]
            )
        )
        done: list[Any] = []
        for part in parts:
            some = list(itertools.islice(values, len(part.specs)))
            shapes = [spec.tensor.shape.as_list() for spec in part.specs] if self._reshape else None
            with control_dependencies(done[-1:] if self._restore_sequentially else []):
                done.append(part.restore(some, shapes))
        return control_flow.group(*done, name=name)

    def _sharded_operations(self, path: Tensor, parts: list[SaveableObject]) -> tuple[Tensor, Operation]:
        """One file for each device, which are brought together at the end."""
        by_device: dict[str, list[SaveableObject]] = {}
        for part in parts:
            by_device.setdefault(part.device, []).append(part)
        shards = sorted(by_device.items())
        # Another folder for each saver: a restarted program does not meet what its predecessor left behind.
        self._temporary = f"_temp_{uuid.uuid4().hex}"
        temporary = raw.StringJoin([path, f"{self._temporary}/part"])
        count = array.constant(len(shards), name="num_shards")
        names, saved = [], []
        for number, (where, some) in enumerate(shards):
            with device(where):
                names.append(raw.ShardedFilename(temporary, number, count))
                saved.append(self._save(names[-1], some))
        with control_dependencies([tensor.op for tensor in saved]):
            prefixes = array.stack(names, name="MergeV2Checkpoints/checkpoint_prefixes")
            merge = raw.MergeV2Checkpoints(prefixes, path, delete_old_dirs=True)
        with control_dependencies([merge]):
            result = array.identity(path)
        restored = []
        for number, (where, some) in enumerate(shards):
            with device(where):
                restored.append(
                    self._restore(path, some, f"restore_shard_{number}" if number else "restore_shard")
                )
        return result, control_flow.group(*restored, name="restore_all")

    # -- saving

    def save(
        self,
        sess: Any,
        save_path: str | os.PathLike[str],
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> str | None:
        """Saves the variables.

        Args:
            sess: The session that they are in.
            save_path: Path of the checkpoint, without ending.
            global_step: The number to put behind the path: an int, a tensor or variable, or the name of one.
            latest_filename: Name of the file that says which checkpoints there are; "checkpoint" by default.
            meta_graph_suffix: Ending of the name of the file with the graph.
            write_meta_graph: Whether to write the graph.
            write_state: Whether to write the file that says which checkpoints there are.
            strip_default_attrs: Whether to leave out attributes of the graph that hold their default.
            save_debug_info: Accepted.

        Returns:
            The path of the checkpoint, with the number; None if there are no variables.

        Raises:
            ValueError: If `latest_filename` has a folder in it or is the checkpoint's own name.
            TypeError: If `sess` is no session.
        """
        self._need_operations()
        if latest_filename is None:
            latest_filename = "checkpoint"
        if os.path.split(latest_filename)[0]:
            raise ValueError(f"latest_filename is '{latest_filename}'; give a name without a folder")
        path = os.fspath(save_path)
        if not hasattr(sess, "run"):
            raise TypeError(f"sess is a {type(sess).__name__}, expected a session")
        if global_step is not None:
            if isinstance(global_step, str):
                global_step = sess.graph.as_graph_element(global_step)
            if not isinstance(global_step, (int, np.integer)):
                global_step = global_step_of(sess, global_step)
            path += f"-{global_step:08d}" if self._pad_step_number else f"-{global_step}"
        elif os.path.basename(path) == latest_filename and not self._sharded:
            raise ValueError(f"'{path}' is also the name of the file about checkpoints; choose another")
        folder = os.path.dirname(path)
        if not self._is_empty:
            try:
                sess.run(self.saver_def.save_tensor_name, {self.saver_def.filename_tensor_name: path})
            except BaseException:
                if self._temporary:  # other files than the one that failed
                    shutil.rmtree(path + self._temporary, ignore_errors=True)
                raise
            if write_state:
                doomed = self._record(path)
                _write_state(
                    folder,
                    path,
                    self.last_checkpoints,
                    latest_filename,
                    [when for _, when in self._last_checkpoints] or None,
                    self._last_preserved,
                    self._save_relative_paths,
                )
                for old in doomed:
                    remove_checkpoint(old, meta_graph_suffix=meta_graph_suffix)
        if write_meta_graph:
            with sess.graph.as_default():
                self.export_meta_graph(
                    meta_graph_filename(path, meta_graph_suffix), strip_default_attrs=strip_default_attrs
                )
        return None if self._is_empty else path

    def _need_operations(self) -> None:
        if self.saver_def is None and not self._is_empty:
            raise RuntimeError("the saver has no operations yet; call build() first")

    def _record(self, path: str) -> list[str]:
        """Notes a new checkpoint; returns those that are to go."""
        if not self._max_to_keep:
            return []
        self._last_checkpoints = [entry for entry in self._last_checkpoints if entry[0] != path]
        self._last_checkpoints.append((path, time.time()))
        doomed = []
        while len(self._last_checkpoints) > self._max_to_keep:
            old, when = self._last_checkpoints.pop(0)
            if when > self._next_checkpoint_time:
                self._next_checkpoint_time += self._hours * 3600
                self._last_preserved = when
            else:
                doomed.append(old)
        return doomed

    @property
    def last_checkpoints(self) -> list[str]:
        """Paths of the checkpoints that are kept, the newest last."""
        return [path for path, _ in self._last_checkpoints]

    def set_last_checkpoints(self, last_checkpoints: Iterable[str]) -> None:
        """Says which checkpoints there are, the newest last, as if this saver had made them."""
        if not isinstance(last_checkpoints, list):
            raise TypeError(f"last_checkpoints is a {type(last_checkpoints).__name__}, expected a list")
        self._last_checkpoints = [(path, float("inf")) for path in last_checkpoints]

    def set_last_checkpoints_with_time(self, last_checkpoints_with_time: list[tuple[str, float]]) -> None:
        """Says which checkpoints there are, and when they were made, in seconds since 1970."""
        if not isinstance(last_checkpoints_with_time, list):
            raise TypeError(
                f"expected a list of paths and times, not a {type(last_checkpoints_with_time).__name__}"
            )
        self._last_checkpoints = list(last_checkpoints_with_time)

    def recover_last_checkpoints(self, checkpoint_paths: Iterable[str]) -> None:
        """Says which checkpoints there may be; those that are not there are left out."""
        found = [path for path in checkpoint_paths if checkpoint_exists(path)]
        self.set_last_checkpoints_with_time(list(zip(found, get_checkpoint_mtimes(found))))

    # -- restoring

    def restore(self, sess: Any, save_path: str | os.PathLike[str] | None) -> None:
        """Gives the variables the values that they had when they were saved; no initializer is needed.

        Args:
            sess: The session.
            save_path: The checkpoint, as `save` returned it.

        Raises:
            ValueError: If there is no such checkpoint.
            NotFoundError: If it lacks a variable.
            InvalidArgumentError: If a variable has another shape or dtype there.
            DataLossError: If it is damaged.
        """
        if self._is_empty:
            return
        self._need_operations()
        if save_path is None:
            raise ValueError("save_path is None; latest_checkpoint() returns that if there is no checkpoint")
        path = os.fspath(save_path)
        is_index = path.endswith(".index") and checkpoint_exists(path.removesuffix(".index"))
        if is_index or not checkpoint_exists(path):
            raise ValueError(f"there is no checkpoint '{path}'; give the path without '.index'")
        try:
            sess.run(self.saver_def.restore_op_name, {self.saver_def.filename_tensor_name: path})
        except (errors.InvalidArgumentError, errors.NotFoundError) as error:
            misfits = self._misfits(path)
            if not misfits:
                raise
            raise type(error)(
                error.node_def,
                error.op,
                f"the checkpoint '{path}' is not one of these variables: {'; '.join(misfits)}: {error}",
            ) from None

    def _misfits(self, path: str) -> list[str]:
        """What a checkpoint lacks or has in another form."""
        try:
            reader = NewCheckpointReader(path)
        except errors.OpError:
            return []
        shapes, kinds = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        found = []
        for spec in _specs(self._parts):
            wanted = f"'{spec.name}' is {spec.dtype.name} of shape {spec.shape} here"
            if spec.name not in shapes:
                found.append(f"{wanted}, and missing there")
            elif kinds.get(spec.name) != spec.dtype or not self._fits(spec, shapes[spec.name]):
                there = kinds[spec.name].name if spec.name in kinds else "something else"
                found.append(f"{wanted}, {there} of shape {shapes[spec.name]} there")
        return list(dict.fromkeys(found))

    def _fits(self, spec: SaveSpec, shape: list[int]) -> bool:
        if spec.shape is None or None in spec.shape:
            return True
        if self._reshape:
            return as_shape(spec.shape).num_elements() == as_shape(shape).num_elements()
        return spec.shape == shape

    # -- messages

    def as_saver_def(self) -> Any:
        """Returns the saver as a `SaverDef` message."""
        return self.saver_def

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Returns the saver as a `SaverDef` message, or None if it is not within `export_scope`."""
        if export_scope is None:
            return self.saver_def
        scope = export_scope.rstrip("/") + "/"
        if not self.saver_def.filename_tensor_name.startswith(scope):
            return None
        return _renamed(self.saver_def, lambda name: name.removeprefix(scope))

    @staticmethod
    def from_proto(saver_def: Any, import_scope: str | None = None) -> Saver:
        """Returns the saver that a `SaverDef` message describes; its operations are in the graph."""
        if import_scope:
            return Saver(saver_def=saver_def, name=import_scope.rstrip("/"))
        return Saver(saver_def=saver_def)

    def export_meta_graph(
        self,
        filename: str | os.PathLike[str] | None = None,
        collection_list: list[str] | None = None,
        as_text: bool = False,
        export_scope: str | None = None,
        clear_devices: bool = False,
        clear_extraneous_savers: bool = False,
        strip_default_attrs: bool = False,
        save_debug_info: bool = False,
    ) -> Any:
        """Makes a `MetaGraphDef` message of the default graph with this saver; see `export_meta_graph`."""
        return export_meta_graph(
            filename=filename,
            saver_def=self.saver_def,
            collection_list=collection_list,
            as_text=as_text,
            export_scope=export_scope,
            clear_devices=clear_devices,
            clear_extraneous_savers=clear_extraneous_savers,
            strip_default_attrs=strip_default_attrs,
            save_debug_info=save_debug_info,
        )


def _renamed(saver_def: Any, rename: Callable[[str], str]) -> Any:
    made = protos.SaverDef.FromString(saver_def.SerializeToString())
    for field in ("filename_tensor_name", "save_tensor_name", "restore_op_name"):
        setattr(made, field, rename(getattr(made, field)))
    return made


def _saver(data: bytes, scope: str | None) -> Saver:
    return Saver.from_proto(protos.parsed("SaverDef", data, "a collection's item"), scope)


def _queue_runner(data: bytes, scope: str | None) -> QueueRunner:
    return QueueRunner.from_proto(protos.parsed("QueueRunnerDef", data, "a collection's item"), scope)


# How the items of collections are read from meta graphs.
FROM_BYTES: dict[str, FromBytes] = {GraphKeys.SAVERS: _saver, GraphKeys.QUEUE_RUNNERS: _queue_runner}


def import_meta_graph(
    meta_graph_or_file: Any, clear_devices: bool = False, import_scope: str | None = None, **kwargs: Any
) -> Saver | None:
    """Adds a saved graph with its collections to the default graph.

    Args:
        meta_graph_or_file: A `MetaGraphDef` message, or the path of a file with one.
        clear_devices: Whether to forget on which device nodes were.
        import_scope: Scope to put before all names.
        **kwargs: `input_map` and `return_elements`, as for `import_graph_def`, and
            `restore_collections_predicate`: a function that says of each name of a collection whether to
            take it.

    Returns:
        The saver that was saved with it, or else one for its variables; None if it has none.

    Raises:
        OSError: If there is no such file, or something else is in it.
        TypeError: If it is neither the path of a file nor a message.
        ValueError: If it is a part of a graph, and `input_map` lacks something that it reads.
    """
    meta = read_meta_graph(meta_graph_or_file)
    imported = import_into_graph(meta, import_scope, clear_devices, FROM_BYTES, **kwargs)
    if meta.HasField("saver_def"):
        return Saver.from_proto(meta.saver_def, imported.scope)
    if get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, imported.scope):
        return Saver()
    return None
