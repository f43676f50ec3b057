"""Writing saved models."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from headrace.framework import protos
from headrace.framework.graph import GraphKeys, Operation, Tensor, get_default_graph
from headrace.framework.graph_def import make_ndarray
from headrace.saved_model import directory
from headrace.saved_model.signature import (
    DEFAULT_SERVING_SIGNATURE_DEF_KEY,
    build_tensor_info,
    predict_signature_def,
)
from headrace.train.checkpoint_state import write_whole
from headrace.train.meta_graph import export_meta_graph
from headrace.train.saver import Saver

SERVING, TRAINING, EVAL, GPU, TPU = "serve", "train", "eval", "gpu", "tpu"


class SavedModelBuilder:
    """Writes a saved model: a directory with graphs, their variables, and files that they need.

    The first graph is added with `add_meta_graph_and_variables`, which saves the variables; others, for
    instance for training, share these and are added with `add_meta_graph`. `save()` writes the graphs.

    Args:
        export_dir: The directory; it must not exist, or be empty.

    Raises:
        AssertionError: If there is something in the directory.
    """

    def __init__(self, export_dir: str | os.PathLike[str]):
        self._export_dir = os.fspath(export_dir)
        if os.path.isdir(self._export_dir) and os.listdir(self._export_dir):
            raise AssertionError(f"'{self._export_dir}' is not empty; export to a new directory")
        if os.path.exists(self._export_dir) and not os.path.isdir(self._export_dir):
            raise AssertionError(f"'{self._export_dir}' is no directory; export to a new one")
        os.makedirs(self._export_dir, exist_ok=True)
        self._saved_model = protos.SavedModel(saved_model_schema_version=directory.SAVED_MODEL_SCHEMA_VERSION)
        self._has_saved_variables = False
        self._copied: dict[str, str] = {}  # names of copies of assets to where they come from

    def add_meta_graph_and_variables(
        self,
        sess: Any,
        tags: Iterable[str],
        signature_def_map: dict[str, Any] | None = None,
        assets_collection: Any = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Adds a session's graph, and saves its variables.

        Args:
            sess: The session.
            tags: What the graph is for: it is loaded by exactly these.
            signature_def_map: Signatures by name.
            assets_collection: Constants (or their collection's tensors) that hold the paths of files to copy.
            legacy_init_op: The older name of `main_op`, which is taken if both are given.
            clear_devices: Whether to leave out on which device nodes are.
            main_op: What to run after loading: an operation or a tensor.
            strip_default_attrs: Whether to leave out attributes of the graph that hold their default.
            saver: What saves the variables; made if None.

        Raises:
            AssertionError: If variables have been saved before.
            ValueError: If an asset's file is missing.
            TypeError: If something is of the wrong type.
        """
        if self._has_saved_variables:
            raise AssertionError(
                "the variables have been saved already; add other graphs with add_meta_graph"
            )
        _check_session(sess)
        with sess.graph.as_default():
            saver = _saver(saver)
            meta = self._made(
                sess.graph,
                tags,
                signature_def_map,
                assets_collection,
                clear_devices,
                legacy_init_op if main_op is None else main_op,
                saver,
                strip_default_attrs,
            )
            os.makedirs(os.path.join(self._export_dir, directory.VARIABLES_DIRECTORY), exist_ok=True)
            saver.save(
                sess,
                directory.variables_path(self._export_dir),
                write_meta_graph=False,
                write_state=False,
            )
        self._saved_model.meta_graphs.append(meta)
        self._has_saved_variables = True

    def add_meta_graph(
        self,
        tags: Iterable[str],
        signature_def_map: dict[str, Any] | None = None,
        assets_collection: Any = None,
        legacy_init_op: Any = None,
        clear_devices: bool = False,
        main_op: Any = None,
        strip_default_attrs: bool = False,
        saver: Saver | None = None,
    ) -> None:
        """Adds the default graph, whose variables are those that have been saved.

        Arguments and errors are those of `add_meta_graph_and_variables`, which has to come first.
        """
        if not self._has_saved_variables:
            raise AssertionError("no variables have been saved yet; call add_meta_graph_and_variables first")
        meta = self._made(
            get_default_graph(),
            tags,
            signature_def_map,
            assets_collection,
            clear_devices,
            legacy_init_op if main_op is None else main_op,
            _saver(saver),
            strip_default_attrs,
        )
        self._saved_model.meta_graphs.append(meta)

    def _made(
        self,
        graph: Any,
        tags: Iterable[str],
        signatures: dict[str, Any] | None,
        assets: Any,
        clear_devices: bool,
        main_op: Any,
        saver: Saver,
        strip_default_attrs: bool,
    ) -> Any:
        """Checks everything, copies the assets and makes the message of a graph."""
        signatures = {} if signatures is None else signatures
        if not isinstance(signatures, Mapping):
            raise TypeError(f"signature_def_map must be a dict from names to signatures, got {signatures!r}")
        for name, signature in signatures.items():
            _check_signature(name, signature)
        meta = export_meta_graph(
            graph=graph,
            saver_def=saver.as_saver_def(),
            clear_devices=clear_devices,
            strip_default_attrs=strip_default_attrs,
        )
        meta.meta_info_def.tags.extend(_tags(tags))
        for name, signature in signatures.items():
            meta.signature_def[name].ParseFromString(signature.SerializeToString())
        _set_main_op(meta, main_op)
        self._add_assets(meta, assets)
        return meta

    def _add_assets(self, meta: Any, assets: Any) -> None:
        """Copies the files, and lists them."""
        meta.collection_def.pop(directory.ASSETS_KEY, None)
        for tensor in assets or ():
            path = _path_in(tensor)
            if not os.path.isfile(path):
                raise ValueError(f"the asset {tensor.name} names the file '{path}', which is not there")
            name = _free_name(os.path.basename(path), os.path.realpath(path), self._copied)
            folder = os.path.join(self._export_dir, directory.ASSETS_DIRECTORY)
            os.makedirs(folder, exist_ok=True)
            target = os.path.join(folder, name)
            if not os.path.exists(target):
                shutil.copyfile(path, target)
            asset = protos.AssetFileDef(filename=name, tensor_info=build_tensor_info(tensor))
            meta.asset_file_def.append(asset)
            packed = meta.collection_def[directory.ASSETS_KEY].any_list.value.add()
            packed.type_url = "type.googleapis.com/tensorflow.AssetFileDef"
            packed.value = asset.SerializeToString()

    def save(self, as_text: bool = False) -> bytes:
        """Writes the graphs; returns the path of the file.

        Args:
            as_text: Whether to write them as text.
        """
        from google.protobuf import text_format

        name = directory.SAVED_MODEL_FILENAME_PBTXT if as_text else directory.SAVED_MODEL_FILENAME_PB
        path = os.path.join(self._export_dir, name)
        if as_text:
            data = text_format.MessageToString(self._saved_model).encode()
        else:
            data = self._saved_model.SerializeToString(deterministic=True)
        write_whole(path, data)
        return path.encode()


def _saver(given: Any) -> Saver:
    if given is None:
        return Saver(sharded=True, allow_empty=True)
    if not isinstance(given, Saver):
        raise TypeError(f"saver must be a Saver, got {given!r}")
    return given


def _check_session(sess: Any) -> None:
    if not hasattr(sess, "run") or not hasattr(sess, "graph"):
        raise TypeError(f"expected a session, got {type(sess).__name__}")


def _tags(tags: Any) -> list[str]:
    found = [tags] if isinstance(tags, str) else list(tags) if isinstance(tags, Iterable) else [tags]
    if not all(isinstance(tag, str) for tag in found):
        raise TypeError(f"tags must be a list of strings, got {tags!r}")
    return found


def _check_signature(name: str, signature: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"the name of a signature is a string, got {name!r}")
    if getattr(getattr(signature, "DESCRIPTOR", None), "name", None) != "SignatureDef":
        raise TypeError(f"the signature '{name}' must be a SignatureDef, got {type(signature).__name__}")
    for infos in (signature.inputs, signature.outputs):
        for key, info in infos.items():
            if info.WhichOneof("encoding") is None:
                raise AssertionError(
                    f"'{key}' of the signature '{name}' names no tensor; see build_tensor_info"
                )
            if info.dtype == protos.DT_INVALID:
                raise AssertionError(f"'{key}' of the signature '{name}' has no dtype; see build_tensor_info")


def _set_main_op(meta: Any, op: Any) -> None:
    meta.collection_def.pop(directory.LEGACY_INIT_OP_KEY, None)
    if op is None:
        return
    if isinstance(op, Tensor):
        op = op.op
    if not isinstance(op, Operation):
        raise TypeError(f"what is to be run after loading must be an operation, got {op!r}")
    meta.collection_def.pop(directory.MAIN_OP_KEY, None)
    meta.collection_def[directory.MAIN_OP_KEY].node_list.value.append(op.name)


def _path_in(tensor: Any) -> str:
    """The path that a constant holds."""
    if not isinstance(tensor, Tensor) or tensor.op.type != "Const":
        raise TypeError(f"an asset is a constant that holds a path, got {tensor!r}")
    value = make_ndarray(tensor.op.node_def.attr["value"].tensor)
    if value.dtype.kind not in "OS" or value.size != 1:
        raise ValueError(f"the asset {tensor.name} must hold one path, got {value!r}")
    return bytes(value.item()).decode()


def _free_name(name: str, source: str, taken: dict[str, str]) -> str:
    """A name for a copy: that of the file, unless another file of that name was copied."""
    candidate, count = name, 0
    while taken.setdefault(candidate, source) != source:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def simple_save(
    session: Any,
    export_dir: str | os.PathLike[str],
    inputs: dict[str, Tensor],
    outputs: dict[str, Tensor],
    legacy_init_op: Any = None,
) -> None:
    """Saves a model for serving, with one signature.

    Args:
        session: The session with the variables.
        export_dir: The directory; it must not exist, or be empty.
        inputs: Tensors to be fed, by the names that callers use.
        outputs: Tensors to be fetched, by name.
        legacy_init_op: What to run after loading.
    """
    _check_session(session)
    signature = predict_signature_def(inputs, outputs)
    builder = SavedModelBuilder(export_dir)
    builder.add_meta_graph_and_variables(
        session,
        tags=[SERVING],
        signature_def_map={DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature},
        assets_collection=session.graph.get_collection(GraphKeys.ASSET_FILEPATHS),
        main_op=legacy_init_op,
        clear_devices=True,
    )
    builder.save()
