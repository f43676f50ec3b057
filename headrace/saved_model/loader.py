"""Loading saved models, of TensorFlow 1 and 2."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from headrace import _core
from headrace.framework import errors, protos
from headrace.framework.graph import get_default_graph
from headrace.saved_model import directory
from headrace.train.checkpoint_state import checkpoint_exists
from headrace.train.meta_graph import import_into_graph
from headrace.train.saver import FROM_BYTES, Saver

contains_saved_model = directory.maybe_saved_model_directory
maybe_saved_model_directory = directory.maybe_saved_model_directory


class SavedModelLoader:
    """A saved model that is loaded in steps; `load` does all of them.

    Args:
        export_dir: The directory.

    Raises:
        OSError: If no saved model is there.
    """

    def __init__(self, export_dir: str | os.PathLike[str]):
        self._export_dir = os.fspath(export_dir)
        self._saved_model = directory.read_saved_model(export_dir)

    @property
    def export_dir(self) -> str:
        """The directory."""
        return self._export_dir

    @property
    def saved_model(self) -> Any:
        """The `SavedModel` message."""
        return self._saved_model

    def get_meta_graph_def_from_tags(self, tags: Iterable[str]) -> Any:
        """Returns the first `MetaGraphDef` that has exactly these tags.

        Raises:
            RuntimeError: If there is none.
        """
        wanted = {tags} if isinstance(tags, str) else set(tags)
        for meta in self._saved_model.meta_graphs:
            if set(meta.meta_info_def.tags) == wanted:
                return meta
        there = ", ".join(str(sorted(meta.meta_info_def.tags)) for meta in self._saved_model.meta_graphs)
        raise RuntimeError(
            f"saved model '{self._export_dir}' has no graph with the tags {sorted(wanted)}; it has graphs "
            f"with the tags {there or '(none at all)'}"
        )

    def load_graph(
        self, graph: Any, tags: Iterable[str], import_scope: str | None = None, **saver_kwargs: Any
    ) -> tuple[Saver | None, Any]:
        """Adds the graph with these tags to a graph.

        Args:
            graph: The graph to add to.
            tags: The tags.
            import_scope: Scope to put before all names.
            **saver_kwargs: As for `load`.

        Returns:
            The saver that restores the variables, or None if there are none, and what `return_elements`
            names.
        """
        meta = self.get_meta_graph_def_from_tags(tags)
        placed = protos.MetaGraphDef()
        placed.CopyFrom(meta)
        self._place_assets(placed)
        with graph.as_default():
            clear_devices = saver_kwargs.pop("clear_devices", False)
            imported = import_into_graph(placed, import_scope, clear_devices, FROM_BYTES, **saver_kwargs)
            saver = None
            if meta.HasField("saver_def") and meta.saver_def.restore_op_name:
                saver = Saver.from_proto(meta.saver_def, imported.scope)
        return saver, imported.elements

    def restore_variables(self, sess: Any, saver: Saver | None, import_scope: str | None = None) -> None:
        """Restores the variables of a loaded graph.

        Raises:
            NotFoundError: If there are variables to restore, but no checkpoint.
        """
        if saver is None:  # what variables there are, were not saved
            return
        path = directory.variables_path(self._export_dir)
        if checkpoint_exists(path):
            saver.restore(sess, path)
            return
        made = [op.name for op in sess.graph.get_operations() if op.type == "VarHandleOp"]
        scope = f"{import_scope}/" if import_scope else ""
        if any(name.startswith(scope) for name in made):
            raise errors.NotFoundError(
                None, None, f"saved model '{self._export_dir}' has variables, but no checkpoint '{path}'"
            )

    def run_init_ops(self, sess: Any, tags: Iterable[str], import_scope: str | None = None) -> None:
        """Runs what the model wants to be run once the variables are there: to fill its tables, say."""
        meta = self.get_meta_graph_def_from_tags(tags)
        scope = f"{import_scope}/" if import_scope else ""
        name = _init_op_name(meta)
        if name is None:
            return
        feeds = {
            scope + info.tensor_info.name: directory.asset_path(self._export_dir, info.filename)
            for info in _assets(meta)
        }
        sess.run(sess.graph.as_graph_element(scope + name), feeds)

    def load(
        self, sess: Any, tags: Iterable[str], import_scope: str | None = None, **saver_kwargs: Any
    ) -> Any:
        """Loads the graph with these tags into a session; arguments and result as those of `load`."""
        saver, _ = self.load_graph(sess.graph, tags, import_scope, **saver_kwargs)
        with sess.graph.as_default():
            self.restore_variables(sess, saver, import_scope)
            self.run_init_ops(sess, tags, import_scope)
        return self.get_meta_graph_def_from_tags(tags)

    def _place_assets(self, meta: Any) -> None:
        """Constants that held an asset's path when the model was saved hold the path of its copy."""
        nodes = {node.name: node for node in meta.graph_def.node}
        for info in _assets(meta):
            path = directory.asset_path(self._export_dir, info.filename)
            node = nodes.get(info.tensor_info.name.partition(":")[0])
            if node is not None and node.op == "Const":
                tensor = protos.TensorProto(dtype=protos.DT_STRING, string_val=[path.encode()])
                tensor.tensor_shape.SetInParent()
                node.attr["value"].tensor.CopyFrom(tensor)


def _assets(meta: Any) -> list[Any]:
    """The assets (`AssetFileDef`) of a graph: newer models list them, older ones have a collection."""
    assets = list(meta.asset_file_def)
    if not assets and directory.ASSETS_KEY in meta.collection_def:
        for item in meta.collection_def[directory.ASSETS_KEY].any_list.value:
            assets.append(protos.parsed("AssetFileDef", item.value, "a collection's item"))
    return assets


def _init_op_name(meta: Any) -> str | None:
    """The operation to run once the variables are there."""
    if directory.INIT_OP_SIGNATURE_KEY in meta.signature_def:
        outputs = meta.signature_def[directory.INIT_OP_SIGNATURE_KEY].outputs
        if directory.INIT_OP_SIGNATURE_KEY in outputs:
            return outputs[directory.INIT_OP_SIGNATURE_KEY].name
    for key in (directory.MAIN_OP_KEY, directory.LEGACY_INIT_OP_KEY):
        if key in meta.collection_def:
            names = meta.collection_def[key].node_list.value
            if len(names) != 1:
                raise RuntimeError(
                    f"the collection '{key}' of the saved model has {len(names)} items, expected one"
                )
            return names[0]
    return None


def load(
    sess: Any,
    tags: Iterable[str],
    export_dir: str | os.PathLike[str],
    import_scope: str | None = None,
    **saver_kwargs: Any,
) -> Any:
    """Loads a saved model into a session: adds its graph, restores its variables, runs its initialisation.

    Models of TensorFlow 2 are loaded for inference: their signatures name tensors of the graph.

    Args:
        sess: The session.
        tags: The graph's tags, such as `[tag_constants.SERVING]`.
        export_dir: The directory.
        import_scope: Scope to put before all names.
        **saver_kwargs: `clear_devices`: whether to forget on which device nodes were; and what
            `tf.train.import_meta_graph` takes besides.

    Returns:
        The `MetaGraphDef` with the signatures; names in it are without `import_scope`.

    Raises:
        OSError: If there is no saved model.
        RuntimeError: If it has no graph with these tags.
        NotFoundError: If it uses operations that are not known here, or variables are missing.
        InvalidArgumentError: If an asset lies outside of the directory.
    """
    return SavedModelLoader(export_dir).load(sess, tags, import_scope, **saver_kwargs)
