"""Graphs with their collections and savers, as messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from headrace import _core
from headrace.framework import protos
from headrace.framework.graph import Graph, GraphKeys, Operation, Tensor, get_default_graph
from headrace.framework.graph_def import import_graph_def
from headrace.ops.variables import Variable
from headrace.train.checkpoint_state import write_whole

__all__ = ["export_meta_graph", "write_graph"]

_VARIABLES = (
    GraphKeys.GLOBAL_VARIABLES,
    GraphKeys.LOCAL_VARIABLES,
    GraphKeys.MODEL_VARIABLES,
    GraphKeys.TRAINABLE_VARIABLES,
    GraphKeys.MOVING_AVERAGE_VARIABLES,
    GraphKeys.CONCATENATED_VARIABLES,
    GraphKeys.METRIC_VARIABLES,
    GraphKeys.GLOBAL_STEP,
)
# What only TF1's form of control flow needs, which graphs do not keep here.
_CONTEXTS = (GraphKeys.COND_CONTEXT, GraphKeys.WHILE_CONTEXT)
# The version of TensorFlow whose messages these are.
_TENSORFLOW = "1.15.0"


def export_meta_graph(
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: list[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
    **kwargs: Any,
) -> Any:
    """Makes a `MetaGraphDef` message of a graph and its collections, and writes it to a file.

    Items of collections that have no form as a message are left out.

    Args:
        filename: The file, if one is to be written.
        meta_info_def: What the message says about itself; made if None.
        graph_def: The graph as a message, if there is one already.
        saver_def: The saver to go with it.
        collection_list: Names of the collections to take; by default all.
        as_text: Whether to write the file as text.
        graph: The graph; by default the default one.
        export_scope: Not supported; must be None.
        clear_devices: Whether to leave out on which device nodes are.
        clear_extraneous_savers: Whether to leave out the collection of savers.
        strip_default_attrs: Whether to leave out attributes that hold their default, so that programs which
            do not know them yet can read the graph; not from `graph_def`.
        save_debug_info: Accepted.

    Returns:
        The message.

    Raises:
        ValueError: If `export_scope` is given.
    """
    if export_scope is not None:
        raise ValueError("export_scope is not supported; export the whole graph")
    graph = graph or get_default_graph()
    meta = protos.MetaGraphDef()
    if meta_info_def is not None:
        meta.meta_info_def.CopyFrom(meta_info_def)
    meta.meta_info_def.tensorflow_version = meta.meta_info_def.tensorflow_version or _TENSORFLOW
    if graph_def is not None:
        meta.graph_def.CopyFrom(graph_def)
    else:
        meta.graph_def.ParseFromString(_core.graph_def(graph._core, with_defaults=not strip_default_attrs))
        meta.meta_info_def.stripped_default_attrs = strip_default_attrs
    if clear_devices:
        for node in meta.graph_def.node:
            node.device = ""
    if saver_def is not None:
        meta.saver_def.CopyFrom(saver_def)
    for key in collection_list if collection_list is not None else graph.get_all_collection_keys():
        if isinstance(key, str) and not (clear_extraneous_savers and key == GraphKeys.SAVERS):
            _add_collection(meta, key, graph.get_collection(key))
    if filename is not None:
        from google.protobuf import text_format

        data = text_format.MessageToString(meta).encode() if as_text else meta.SerializeToString()
        write_whole(os.fspath(filename), data)
    return meta


def write_graph(
    graph_or_graph_def: Any, logdir: str | os.PathLike[str], name: str, as_text: bool = True
) -> str:
    """Writes a graph to a file, as a `GraphDef`.

    Args:
        graph_or_graph_def: The graph, or the message.
        logdir: The directory, made if it is not there.
        name: The name of the file.
        as_text: Whether to write the message as text.

    Returns:
        The path of the file.
    """
    from google.protobuf import text_format

    message = graph_or_graph_def
    if isinstance(message, Graph):
        message = message.as_graph_def()
    folder = os.fspath(logdir)
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    data = text_format.MessageToString(message).encode() if as_text else message.SerializeToString()
    write_whole(path, data)
    return path


def _add_collection(meta: Any, key: str, items: list[Any]) -> None:
    into = protos.CollectionDef()
    for item in items:
        if hasattr(item, "to_proto"):
            into.bytes_list.value.append(item.to_proto().SerializeToString())
        elif isinstance(item, (Tensor, Operation)):
            into.node_list.value.append(item.name)
        elif isinstance(item, (str, bytes)):
            into.bytes_list.value.append(item.encode() if isinstance(item, str) else item)
        elif isinstance(item, int) and not isinstance(item, bool):
            into.int64_list.value.append(item)
        elif isinstance(item, float):
            into.float_list.value.append(item)
    kind = into.WhichOneof("kind")
    # One kind holds all, or the collection cannot be told.
    if kind and len(getattr(into, kind).value) == len(items):
        meta.collection_def[key].CopyFrom(into)


def read_meta_graph(meta_graph_or_file: Any) -> Any:
    """The message in a file, binary or text; a message is returned as it is."""
    if isinstance(meta_graph_or_file, protos.MetaGraphDef):
        return meta_graph_or_file
    path = os.fspath(meta_graph_or_file)
    if not os.path.isfile(path):
        raise OSError(f"there is no file '{path}'")
    with open(path, "rb") as file:
        data = file.read()
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    try:
        return protos.MetaGraphDef.FromString(data)
    except DecodeError:
        try:
            return text_format.Parse(data.decode(), protos.MetaGraphDef())
        except (UnicodeDecodeError, text_format.ParseError) as error:
            raise OSError(f"the file '{path}' holds no MetaGraphDef: {error}") from None


# Makes an item of a collection from its bytes and the scope that its graph was imported under.
FromBytes = Callable[[bytes, str | None], Any]


def import_into_graph(
    meta: Any,
    import_scope: str | None,
    clear_devices: bool,
    from_bytes: dict[str, FromBytes],
    **kwargs: Any,
) -> list[Variable]:
    """Adds the graph and the collections of a message to the default graph; returns its variables.

    Args:
        meta: The `MetaGraphDef`.
        import_scope: Scope to put before all names.
        clear_devices: Whether to forget on which device nodes were.
        from_bytes: For collections other than those of variables: what makes their items.
        **kwargs: `input_map` and `return_elements`, as for `import_graph_def`.
    """
    graph = get_default_graph()
    graph_def = protos.GraphDef()
    graph_def.CopyFrom(meta.graph_def)
    if clear_devices:
        for node in graph_def.node:
            node.device = ""
    producers = meta.meta_info_def.stripped_op_list
    import_graph_def(
        graph_def,
        name=import_scope or "",
        producer_op_list=producers if producers.op else None,
        **{key: kwargs[key] for key in ("input_map", "return_elements") if key in kwargs},
    )
    scope = f"{import_scope}/" if import_scope else ""
    known: dict[str, Variable] = {}

    def variable(data: bytes, scope: str | None) -> Variable:
        definition = protos.parsed("VariableDef", data, "a collection's item")
        if definition.variable_name not in known:
            known[definition.variable_name] = Variable.from_proto(definition, scope)
        return known[definition.variable_name]

    from_bytes = {**dict.fromkeys(_VARIABLES, variable), **from_bytes}
    for key in sorted(meta.collection_def):
        kind = meta.collection_def[key].WhichOneof("kind")
        if kind is None or key in _CONTEXTS:
            continue
        for value in getattr(meta.collection_def[key], kind).value:
            item: Any = value
            if kind == "node_list":
                item = graph.as_graph_element(scope + value)
            elif kind == "bytes_list" and key in from_bytes:
                item = from_bytes[key](value, import_scope)
            graph.add_to_collection(key, item)
    return list(known.values())
