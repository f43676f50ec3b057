"""Graphs with their collections and savers, as messages."""

from __future__ import annotations

import contextlib
import numbers
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from headrace import _core
from headrace.framework import protos
from headrace.framework.graph import Graph, GraphKeys, Operation, Tensor, get_default_graph, name_scope
from headrace.framework.graph_def import import_graph_def
from headrace.ops.variables import Variable, stripped_name
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
# What a part of a graph reads outside of it: the names of that there, behind this.
_UNBOUND_INPUTS = "unbound_inputs"
_UNBOUND = "$unbound_inputs_"
_NEAR = b"loc:@"
# What is about the message, and what only TF1's form of control flow needs, which graphs do not keep here.
_NOT_KEPT = (_UNBOUND_INPUTS, GraphKeys.COND_CONTEXT, GraphKeys.WHILE_CONTEXT)
# The version of TensorFlow whose messages these are.
_TENSORFLOW = "1.15.0"


def export_meta_graph(
    filename: str | os.PathLike[str] | None = None,
    meta_info_def: Any = None,
    graph_def: Any = None,
    saver_def: Any = None,
    collection_list: Iterable[str] | None = None,
    as_text: bool = False,
    graph: Graph | None = None,
    export_scope: str | None = None,
    clear_devices: bool = False,
    clear_extraneous_savers: bool = False,
    strip_default_attrs: bool = False,
    save_debug_info: bool = False,
) -> Any:
    """Makes a `MetaGraphDef` message of a graph and its collections, and writes it to a file.

    Items of collections that have no form as a message are left out. The message defines the operations that
    it uses, so that older programs know which attributes they need not understand.

    Args:
        filename: The file, if one is to be written. Its folder is made if it is not there.
        meta_info_def: What the message says about itself; made if None.
        graph_def: The graph as a message, if there is one already.
        saver_def: The saver to go with it.
        collection_list: Names of the collections to take; by default all.
        as_text: Whether to write the file as text.
        graph: The graph; by default the default one.
        export_scope: Takes only what is inside of this scope, and takes the scope off the names. What reads
            something outside of it has to be given that by `input_map` when the message is imported: under
            the names in the collection "unbound_inputs".
        clear_devices: Whether to leave out on which device nodes are.
        clear_extraneous_savers: Whether to leave out savers other than that of `saver_def`: of their
            collection, and their operations.
        strip_default_attrs: Whether to leave out attributes that hold their default, so that programs which
            do not know them yet can read the graph.
        save_debug_info: Whether to write the lines that made the operations, too: a `GraphDebugInfo` message
            in a file of the same name that ends in ".debug".

    Returns:
        The message.

    Raises:
        TypeError: If a message is of another kind.
        ValueError: If nothing is in `export_scope`.
    """
    for argument, value, kind in (
        ("meta_info_def", meta_info_def, "MetaInfoDef"),
        ("graph_def", graph_def, "GraphDef"),
        ("saver_def", saver_def, "SaverDef"),
    ):
        if value is not None and getattr(getattr(value, "DESCRIPTOR", None), "name", None) != kind:
            raise TypeError(f"{argument} must be a {kind} message, got {type(value).__name__}")
    if isinstance(collection_list, str):
        raise TypeError(f"collection_list must be a list of names, got {collection_list!r}")
    graph = graph or get_default_graph()
    meta = protos.MetaGraphDef()
    if meta_info_def is not None:
        meta.meta_info_def.ParseFromString(meta_info_def.SerializeToString())
    if saver_def is not None:
        meta.saver_def.ParseFromString(saver_def.SerializeToString())
    if graph_def is not None:
        meta.graph_def.ParseFromString(graph_def.SerializeToString())
    else:
        meta.graph_def.ParseFromString(_core.graph_def(graph._core, with_shapes=True))
    savers = graph.get_collection(GraphKeys.SAVERS)
    if clear_extraneous_savers:
        kept = [saver for saver in savers if saver_def is not None and saver.saver_def == meta.saver_def]
        _remove_savers(meta.graph_def, savers, meta.saver_def)
        savers = kept
    unbound: list[str] = []
    if export_scope:
        unbound = _keep_scope(meta.graph_def, export_scope)
    if clear_devices:
        for node in meta.graph_def.node:
            node.device = ""
    _describe(meta, strip_default_attrs)
    for key in collection_list if collection_list is not None else graph.get_all_collection_keys():
        items = savers if key == GraphKeys.SAVERS else graph.get_collection(key)
        _add_collection(meta, key, items, export_scope)
    if unbound:
        meta.collection_def[_UNBOUND_INPUTS].bytes_list.value.extend(name.encode() for name in unbound)
    if filename is not None:
        _write(meta, os.fspath(filename), as_text)
        if save_debug_info:
            _write(_debug_info(graph, meta), os.path.splitext(filename)[0] + ".debug", as_text)
    return meta


def _write(message: Any, path: str, as_text: bool) -> None:
    from google.protobuf import text_format

    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    write_whole(
        path, text_format.MessageToString(message).encode() if as_text else message.SerializeToString()
    )


def _describe(meta: Any, strip_default_attrs: bool) -> None:
    """Adds the definitions of what the graph uses, and takes away what they tell anyway."""
    info = meta.meta_info_def
    info.tensorflow_version = info.tensorflow_version or _TENSORFLOW
    info.stripped_default_attrs = strip_default_attrs
    nodes = list(meta.graph_def.node)
    for function in meta.graph_def.library.function:
        nodes += function.node_def
    definitions = {name: _definition(name) for name in {node.op for node in nodes} if _core.has_op(name)}
    if strip_default_attrs:
        for node in nodes:
            for attr in definitions[node.op].attr if node.op in definitions else ():
                if attr.HasField("default_value") and node.attr.get(attr.name) == attr.default_value:
                    del node.attr[attr.name]
    if not info.HasField("stripped_op_list"):
        info.stripped_op_list.op.extend(definition for _, definition in sorted(definitions.items()))


def _definition(name: str) -> Any:
    """The `OpDef` of an operation, without words for people."""
    made = protos.OpDef.FromString(_core.op_def_message(name))
    made.ClearField("summary")
    return made


def _keep_scope(graph_def: Any, scope: str) -> list[str]:
    """Leaves only the nodes in a scope, without it; returns what they read outside, under its new names."""
    prefix = scope.rstrip("/") + "/"
    inside = [node for node in graph_def.node if node.name.startswith(prefix)]
    if not inside:
        raise ValueError(f"export_scope is '{scope}', but no operation of the graph has a name in that scope")
    unbound: dict[str, None] = {}
    for node in inside:
        node.name = node.name.removeprefix(prefix)
        for i, text in enumerate(node.input):
            control, name = ("^", text[1:]) if text.startswith("^") else ("", text)
            if name.startswith(prefix):
                node.input[i] = control + name.removeprefix(prefix)
            else:
                node.input[i] = f"{control}{_UNBOUND}{name}"
                unbound[node.input[i]] = None
        if "_class" in node.attr:
            near = [text.removeprefix(_NEAR) for text in node.attr["_class"].list.s]
            kept = [
                _NEAR + name.removeprefix(prefix.encode())
                for name in near
                if name.startswith(prefix.encode())
            ]
            node.attr["_class"].list.s[:] = kept
            if not kept:
                del node.attr["_class"]
    kept_nodes = type(graph_def)(node=inside)
    del graph_def.node[:]
    graph_def.node.extend(kept_nodes.node)
    return list(unbound)


def _remove_savers(graph_def: Any, savers: list[Any], kept: Any) -> None:
    """Takes the operations of savers out of a graph, unless others use them."""
    scopes = {
        saver.saver_def.filename_tensor_name.rpartition("/")[0] + "/"
        for saver in savers
        if saver.saver_def is not None and saver.saver_def != kept
    } - {"/", kept.filename_tensor_name.rpartition("/")[0] + "/"}
    nodes = {node.name: node for node in graph_def.node}
    needed = {name for name in nodes if not name.startswith(tuple(scopes))}
    pending = list(needed)
    while pending:
        for text in nodes[pending.pop()].input:
            name = text.removeprefix("^").partition(":")[0]
            if name in nodes and name not in needed:
                needed.add(name)
                pending.append(name)
    left = [node for node in graph_def.node if node.name in needed]
    if len(left) < len(nodes):
        rest = type(graph_def)(node=left)
        del graph_def.node[:]
        graph_def.node.extend(rest.node)


def _debug_info(graph: Graph, meta: Any) -> Any:
    """Which line made each node of a message, as far as the graph has it."""
    made = protos.GraphDebugInfo()
    files: dict[str, int] = {}
    names = {node.name for node in meta.graph_def.node}
    for op in graph.get_operations():
        file, _, line = op.source.rpartition(":")
        if file and op.name in names:
            index = files.setdefault(file, len(files))
            made.traces[f"{op.name}@"].file_line_cols.add(file_index=index, line=int(line))
    made.files.extend(files)
    return made


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
    message = graph_or_graph_def
    if isinstance(message, Graph):
        message = message.as_graph_def()
    if getattr(getattr(message, "DESCRIPTOR", None), "name", None) != "GraphDef":
        raise TypeError(f"expected a graph or a GraphDef message, got {type(message).__name__}")
    path = os.path.join(os.fspath(logdir), name)
    _write(message, path, as_text)
    return path


def _add_collection(meta: Any, key: str, items: list[Any], scope: str | None) -> None:
    """Adds a collection, if there is one kind of message that all of its items have a form in."""
    into = protos.CollectionDef()
    included = 0
    for item in items:
        if hasattr(item, "to_proto"):
            made = item.to_proto(export_scope=scope) if scope else item.to_proto()
            if made is None:
                continue
            into.bytes_list.value.append(made.SerializeToString())
        elif isinstance(item, (Tensor, Operation)):
            name = stripped_name(scope, item.name)
            if name is None:
                continue
            into.node_list.value.append(name)
        elif isinstance(item, (str, bytes)):
            into.bytes_list.value.append(item.encode() if isinstance(item, str) else item)
        elif isinstance(item, numbers.Integral):
            into.int64_list.value.append(int(item))
        elif isinstance(item, numbers.Real):
            into.float_list.value.append(float(item))
        elif getattr(getattr(item, "DESCRIPTOR", None), "full_name", None) == "google.protobuf.Any":
            into.any_list.value.add().ParseFromString(item.SerializeToString())
        included += 1
    kind = into.WhichOneof("kind")
    if kind and len(getattr(into, kind).value) == included:
        meta.collection_def[key].CopyFrom(into)


def read_meta_graph(meta_graph_or_file: Any) -> Any:
    """The message in a file, binary or text; a message is returned as it is.

    Raises:
        TypeError: If it is neither.
        OSError: If there is no such file, or something else is in it.
    """
    kind = getattr(getattr(meta_graph_or_file, "DESCRIPTOR", None), "name", None)
    if kind == "MetaGraphDef":
        if isinstance(meta_graph_or_file, protos.MetaGraphDef):
            return meta_graph_or_file
        return protos.MetaGraphDef.FromString(meta_graph_or_file.SerializeToString())  # another package's
    if not isinstance(meta_graph_or_file, (str, bytes, os.PathLike)):
        raise TypeError(
            f"expected a MetaGraphDef message or the path of a file, got {type(meta_graph_or_file).__name__}"
        )
    path = os.fsdecode(meta_graph_or_file)
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


class ImportedMeta(NamedTuple):
    """What an import has made: the scope that it is in, its variables, and what was asked for."""

    scope: str | None
    variables: list[Variable]
    elements: list[Operation | Tensor] | None


def import_into_graph(
    meta: Any,
    import_scope: str | None,
    clear_devices: bool,
    from_bytes: dict[str, FromBytes],
    input_map: dict[str, Any] | None = None,
    return_elements: Any = None,
    restore_collections_predicate: Callable[[str], bool] = lambda key: True,
) -> ImportedMeta:
    """Adds the graph and the collections of a message to the default graph.

    Args:
        meta: The `MetaGraphDef`.
        import_scope: Scope to put before all names, made unique, inside of the current scope.
        clear_devices: Whether to forget on which device nodes were.
        from_bytes: For collections other than those of variables: what makes their items.
        input_map: As for `import_graph_def`.
        return_elements: As for `import_graph_def`.
        restore_collections_predicate: Which collections to take, by name.

    Raises:
        ValueError: If the message is a part of a graph, and `input_map` lacks something that it reads.
    """
    graph = get_default_graph()
    unbound = (
        [name.decode() for name in meta.collection_def[_UNBOUND_INPUTS].bytes_list.value]
        if (_UNBOUND_INPUTS in meta.collection_def)
        else []
    )
    lacking = sorted(set(unbound) - set(input_map or ()))
    if lacking:
        raise ValueError(
            f"the message is a part of a graph that reads {', '.join(lacking)}; give these in input_map"
        )
    graph_def = meta.graph_def
    if clear_devices:
        graph_def = protos.GraphDef()
        graph_def.CopyFrom(meta.graph_def)
        for node in graph_def.node:
            node.device = ""
    producers = meta.meta_info_def.stripped_op_list
    with contextlib.ExitStack() as stack:
        scope = graph.get_name_scope()
        if import_scope:
            scope = stack.enter_context(name_scope(import_scope)).rstrip("/")
        elements = import_graph_def(
            graph_def,
            input_map=input_map,
            return_elements=return_elements,
            name=f"{scope}/" if scope else "",
            producer_op_list=producers if producers.op else None,
        )
    made_in = scope or None
    known: dict[str, Variable] = {}

    def variable(data: bytes, scope: str | None) -> Variable:
        definition = protos.parsed("VariableDef", data, "an item of a collection of variables")
        if definition.variable_name not in known:
            known[definition.variable_name] = Variable.from_proto(definition, scope)
        return known[definition.variable_name]

    from_bytes = {**dict.fromkeys(_VARIABLES, variable), **from_bytes}
    for key in sorted(meta.collection_def):
        kind = meta.collection_def[key].WhichOneof("kind")
        if kind is None or key in _NOT_KEPT or not restore_collections_predicate(key):
            continue
        for value in getattr(meta.collection_def[key], kind).value:
            item: Any = value
            if kind == "node_list":
                item = graph.as_graph_element(f"{scope}/{value}" if scope else value)
            elif kind == "bytes_list" and key in from_bytes:
                item = from_bytes[key](value, made_in)
            graph.add_to_collection(key, item)
    return ImportedMeta(made_in, list(known.values()), elements)
