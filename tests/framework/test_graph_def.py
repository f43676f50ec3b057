"""GraphDef messages out of graphs and into graphs, checked against the protobuf library."""

from __future__ import annotations

import random

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import headrace as tf
from headrace.framework import protos, raw

# ---- random graphs

_DTYPES = [
    tf.float32,
    tf.float64,
    tf.float16,
    tf.bfloat16,
    tf.int8,
    tf.uint16,
    tf.int32,
    tf.int64,
    tf.complex64,
]


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    dtype = draw(st.sampled_from([*_DTYPES, tf.bool, tf.string]))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    count = int(np.prod(shape, dtype=int))
    if dtype == tf.string:
        items = draw(st.lists(st.binary(max_size=5), min_size=count, max_size=count))
        array = np.empty(count, object)
        array[:] = items
        return array.reshape(shape)
    raw = draw(st.lists(st.integers(-100, 100), min_size=count, max_size=count))
    return np.array(raw, np.int64).reshape(shape).astype(dtype.as_numpy_dtype)


@st.composite
def graphs(draw: st.DrawFn) -> tf.Graph:
    graph = tf.Graph()
    with graph.as_default():
        tensors = []
        for i in range(draw(st.integers(1, 12))):
            kind = draw(st.sampled_from(["constant", "placeholder", "identity", "identity_n", "noop"]))
            scope = draw(st.sampled_from(["", "a/", "a/b/", "Scope.1/"]))
            control = draw(st.lists(st.sampled_from(graph.get_operations() or [None]), max_size=2))
            device = draw(st.sampled_from([None, "/cpu:0", "/job:worker/task:1"]))
            with (
                tf.name_scope(scope),
                tf.device(device),
                tf.control_dependencies([op for op in control if op is not None]),
            ):
                if kind == "constant":
                    tensors.append(tf.constant(draw(arrays()), name=f"n{i}"))
                elif kind == "placeholder":
                    shape = draw(st.none() | st.lists(st.none() | st.integers(0, 9), max_size=4))
                    tensors.append(tf.placeholder(draw(st.sampled_from(_DTYPES)), shape, name=f"n{i}"))
                elif kind == "noop" or not tensors:
                    attrs = {
                        "_note": draw(st.binary(max_size=4)),
                        "_sizes": draw(st.lists(st.integers(-9, 9))),
                    }
                    graph.create_op("NoOp", [], attrs=attrs, name=f"n{i}")
                elif kind == "identity":
                    tensors += graph.create_op(
                        "Identity", [draw(st.sampled_from(tensors))], name=f"n{i}"
                    ).outputs
                else:
                    inputs = draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3))
                    tensors += graph.create_op("IdentityN", inputs, name=f"n{i}").outputs
    return graph


def _imported(graph_def: protos.GraphDef) -> tf.Graph:
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    return graph


@settings(max_examples=100, deadline=None)
@given(graph=graphs(), shuffle=st.randoms(use_true_random=False))
def test_random_graphs_go_both_ways(graph: tf.Graph, shuffle: random.Random) -> None:
    graph_def = graph.as_graph_def()
    # What the library reads and writes again is what we read.
    again = protos.GraphDef.FromString(graph_def.SerializeToString())
    assert again == graph_def
    assert _imported(again).as_graph_def() == graph_def

    nodes = list(graph_def.node)
    shuffle.shuffle(nodes)
    mixed = protos.GraphDef(node=nodes, versions=graph_def.versions)
    by_name = {node.name: node for node in _imported(mixed).as_graph_def().node}
    assert by_name == {node.name: node for node in graph_def.node}

    with_shapes = graph.as_graph_def(add_shapes=True)
    copy = _imported(with_shapes)
    for op in graph.get_operations():
        other = copy.get_operation_by_name(op.name)
        assert [t.shape.as_list() if t.shape.dims is not None else None for t in op.outputs] == [
            t.shape.as_list() if t.shape.dims is not None else None for t in other.outputs
        ]
    assert copy.as_graph_def() == graph_def


@settings(max_examples=100, deadline=None)
@given(array=arrays())
def test_tensors_go_both_ways(array: np.ndarray) -> None:
    proto = tf.make_tensor_proto(array)
    assert protos.TensorProto.FromString(proto.SerializeToString()) == proto
    back = tf.make_ndarray(proto)
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


# ---- the parts of a message


def _small() -> tf.Graph:
    graph = tf.Graph()
    with graph.as_default():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        c = tf.constant([1.0, 2.0], name="c")
        with tf.control_dependencies([c]):
            graph.create_op("Identity", [x], name="y")
    return graph


def test_node_def() -> None:
    graph = _small()
    node = graph.get_operation_by_name("y").node_def
    assert node.name == "y" and node.op == "Identity" and list(node.input) == ["x", "^c"]
    assert node.attr["T"].type == protos.DT_FLOAT
    assert graph.get_operation_by_name("x").node_def.attr["shape"].shape.dim[1].size == 3
    assert node == graph.as_graph_def().node[2]


def test_from_version() -> None:
    graph = _small()
    version = graph.version
    with graph.as_default():
        tf.constant(1, name="later")
    assert [node.name for node in graph.as_graph_def(from_version=version).node] == ["later"]
    assert graph.as_graph_def().versions == graph.graph_def_versions
    assert graph.graph_def_versions.producer == 134


def test_unknown_fields_are_skipped() -> None:
    graph_def = _small().as_graph_def()
    data = graph_def.SerializeToString()
    # A field of each wire type that no message has, in the graph and in a node.
    unknown = (
        b"\xf8\x7f\x05"
        + b"\xf9\x7f12345678"
        + b"\xfa\x7f\x03abc"
        + b"\xfd\x7f1234"
        + b"\xfb\x7f\x08\x01\xfc\x7f"
    )
    node = graph_def.node[0].SerializeToString() + unknown
    rest = protos.GraphDef(node=list(graph_def.node)[1:], versions=graph_def.versions)
    data = b"\x0a" + bytes([len(node)]) + node + rest.SerializeToString() + unknown
    read = protos.GraphDef.FromString(data)
    assert read.SerializeToString() != graph_def.SerializeToString()
    assert _imported(read).as_graph_def() == graph_def


def test_damaged_messages_are_errors() -> None:
    class Message:
        """Bytes that pass for a message."""

        DESCRIPTOR = protos.GraphDef.DESCRIPTOR

        def __init__(self, data: bytes):
            self._data = data

        def SerializeToString(self) -> bytes:
            return self._data

    def attempt(data: bytes) -> None:
        graph = tf.Graph()
        with graph.as_default():
            try:
                tf.import_graph_def(Message(data), name="")
            except (tf.OpError, ValueError):
                assert graph.get_operations() == []

    data = _small().as_graph_def(add_shapes=True).SerializeToString()
    for size in range(len(data)):
        attempt(data[:size])
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        attempt(bytes(damaged))
    generator = random.Random(1)
    for _ in range(300):
        attempt(generator.randbytes(generator.randrange(100)))


# ---- import_graph_def


def test_import_under_a_scope() -> None:
    graph_def = _small().as_graph_def()
    with tf.Graph().as_default() as graph:
        assert tf.import_graph_def(graph_def) is None
        y, c = tf.import_graph_def(graph_def, return_elements=["y:0", "c"])
        assert y.name == "import_1/y:0" and isinstance(c, tf.Operation)
        with tf.name_scope("outer"):
            (named,) = tf.import_graph_def(graph_def, name="inner", return_elements=["y"])
        assert named.name == "outer/inner/y"
        (again,) = tf.import_graph_def(graph_def, name="", return_elements=["y"])
        (twice,) = tf.import_graph_def(graph_def, name="", return_elements=["y"])
        assert (again.name, twice.name) == ("y", "y_1")
        # Names that were imported are taken.
        assert tf.constant(0, name="import/c").op.name == "import/c_1"
        assert len(graph.get_operations()) == 16


def test_input_map() -> None:
    graph_def = _small().as_graph_def()
    with tf.Graph().as_default():
        fed = tf.constant([[1.0, 2.0, 3.0]])
        noop = tf.get_default_graph().create_op("NoOp", [], name="noop")
        y, x = tf.import_graph_def(graph_def, {"x": fed, "^c": noop}, ["y:0", "x:0"])
        assert y.op.inputs == [fed] and x is fed
        assert y.op.control_inputs == [noop]
        assert y.shape.as_list() == [1, 3]
        with tf.Session() as session:
            np.testing.assert_array_equal(session.run(y), [[1, 2, 3]])
        (y,) = tf.import_graph_def(graph_def, {"x:0": [[4.0, 5.0, 6.0]]}, ["y:0"])
        assert y.shape.as_list() == [1, 3]


def test_contexts_hold_for_imported_operations() -> None:
    graph_def = _small().as_graph_def()
    with tf.Graph().as_default():
        first = tf.constant(0)
        with tf.device("/cpu:0"), tf.control_dependencies([first]):
            (x,) = tf.import_graph_def(graph_def, return_elements=["x"])
        assert x.device == "/device:CPU:0" and x.control_inputs == [first.op]
        with tf.device(lambda op: "/cpu:1" if op.type == "Const" else ""):
            x, c = tf.import_graph_def(graph_def, return_elements=["x", "c"])
        assert (x.device, c.device) == ("", "/device:CPU:1")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"graph_def": b""}, TypeError, "GraphDef message, got bytes"),
        ({"input_map": [1]}, TypeError, "input_map must be a dict"),
        ({"input_map": {"q": 1.0}}, ValueError, "no node for 'q'"),
        ({"input_map": {"x": 1.0}, "name": ""}, ValueError, "import under a name"),
        ({"return_elements": [3]}, TypeError, "list of names"),
        ({"return_elements": ["q"]}, ValueError, "no node 'q'"),
        ({"return_elements": ["y:1"]}, ValueError, "1 outputs, there is no number 1"),
        ({"return_elements": ["^y"]}, ValueError, "no name of an operation"),
        ({"input_map": {"x:1": 1.0}}, ValueError, "1 outputs, there is no number 1"),
    ],
)
def test_bad_arguments(arguments: dict, error: type[Exception], match: str) -> None:
    with tf.Graph().as_default() as graph, pytest.raises(error, match=match):
        tf.import_graph_def(**{"graph_def": _small().as_graph_def(), **arguments})
    # A value of the input map may have become a constant; nothing of the message is there.
    assert {op.type for op in graph.get_operations()} <= {"Const"}


def test_bad_messages() -> None:
    def failing(change) -> pytest.ExceptionInfo:
        graph_def = _small().as_graph_def()
        change(graph_def)
        with tf.Graph().as_default(), pytest.raises(tf.OpError) as caught:
            tf.import_graph_def(graph_def)
        return caught

    def unknown_ops(graph_def) -> None:
        graph_def.node[0].op = "Placeholdr"
        graph_def.node[1].op = "Frobnicate"

    caught = failing(unknown_ops)
    assert caught.type is tf.errors.NotFoundError
    for part in ("2 operations", "Placeholdr", "'x'", "did you mean 'Placeholder'", "Frobnicate", "'c'"):
        assert part in str(caught.value)
    assert "no attribute" not in str(caught.value)

    def cycle(graph_def) -> None:
        graph_def.node[2].input[0] = "y"

    assert "cycle" in str(failing(cycle).value)

    def other_type(graph_def) -> None:
        graph_def.node[2].attr["T"].type = protos.DT_INT32

    assert "int32" in str(failing(other_type).value) and "import/y" in str(failing(other_type).value)

    def newer(graph_def) -> None:
        graph_def.versions.min_consumer = 10_000

    assert "10000" in str(failing(newer).value)

    def bad_for_us(graph_def) -> None:
        graph_def.versions.bad_consumers.append(134)

    assert "version 134 of the format must not read it" in str(failing(bad_for_us).value)

    def later_attribute(graph_def) -> None:
        graph_def.node[2].attr["mode"].s = b"fast"

    assert "'mode'" in str(failing(later_attribute).value)

    def no_operation(graph_def) -> None:
        graph_def.node[2].op = ""

    assert "node 'y' has no operation" in str(failing(no_operation).value)

    def no_device(graph_def) -> None:
        graph_def.node[2].device = "/bogus:x"

    assert "node 'y' (Identity): 'x' in device '/bogus:x'" in str(failing(no_device).value)


def test_attributes_of_later_versions_that_change_nothing() -> None:
    """They are left out without being told their default, unless they ask for something."""
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [2, 3], name="x")
        tf.nn.top_k(x, name="top")
        graph_def = graph.as_graph_def()
    (top,) = (node for node in graph_def.node if node.op == "TopKV2")
    top.attr["index_type"].type = protos.DT_INT32
    top.attr["bad_indices_policy"].s = b""
    top.attr["debug_name"].s = b"some note"
    assert _imported(graph_def).get_operation_by_name("top").type == "TopKV2"
    top.attr["index_type"].type = protos.DT_INT16
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"'top'.*'index_type'"):
        _imported(graph_def)


def test_attributes_that_older_readers_do_not_know_are_left_out_where_they_can() -> None:
    with tf.Graph().as_default() as graph:
        list_ = raw.TensorListReserve(tf.constant([], tf.int32), 2, element_dtype=tf.float32)
        raw.TensorListSetItem(list_, 0, 1.0, name="set")
        raw.TensorListSetItem(list_, 5, 1.0, resize_if_index_out_of_bounds=True, name="resize")
        graph_def = graph.as_graph_def()
    nodes = {node.name: node for node in graph_def.node}
    assert set(nodes["set"].attr) == {"element_dtype"}
    assert set(nodes["resize"].attr) == {"element_dtype", "resize_if_index_out_of_bounds"}
    back = _imported(graph_def).get_operation_by_name("set")
    assert back.get_attr("resize_if_index_out_of_bounds") is False


def test_inputs_that_a_part_of_a_graph_lacks() -> None:
    graph_def = _small().as_graph_def()
    del graph_def.node[0]  # "x"
    with tf.Graph().as_default():
        with pytest.raises(tf.errors.InvalidArgumentError, match="'y' reads 'x', which the message does not"):
            tf.import_graph_def(graph_def)
        fed = tf.constant([[1.0, 2.0, 3.0]])
        (y,) = tf.import_graph_def(graph_def, {"x": fed}, ["y"])
        assert y.inputs == [fed]


def test_defaults_are_filled_in_and_unknown_defaults_dropped() -> None:
    graph_def = _small().as_graph_def()
    del graph_def.node[0].attr["shape"]
    graph_def.node[2].attr["mode"].s = b"plain"
    graph_def.node[2].attr["extra"].b = False
    producer = protos.OpList()
    producer.op.add(name="Identity").attr.add(name="mode").default_value.s = b"plain"
    with tf.Graph().as_default():
        x, y = tf.import_graph_def(graph_def, return_elements=["x", "y"], producer_op_list=producer)
    assert x.outputs[0].shape.dims is None and "shape" in x.node_def.attr
    assert set(y.node_def.attr) == {"T"}


# ---- messages in general


def test_messages() -> None:
    config = tf.ConfigProto(
        gpu_options=tf.GPUOptions(allow_growth=True),
        graph_options=tf.GraphOptions(
            optimizer_options=tf.OptimizerOptions(opt_level=tf.OptimizerOptions.L0)
        ),
        device_count={"CPU": 2},
        disabled_passes=["constant_folding"],
    )
    assert tf.ConfigProto.FromString(config.SerializeToString()) == config
    assert config.graph_options.optimizer_options.opt_level == -1
    assert tf.RunOptions.FULL_TRACE == 3
    assert {tf.NodeDef, tf.GraphDef} == {protos.NodeDef, protos.GraphDef}
    with pytest.raises(AttributeError, match="no attribute 'GraphDeff'"):
        tf.GraphDeff  # noqa: B018


def test_make_tensor_proto() -> None:
    assert list(tf.make_tensor_proto(3).int_val) == [3]
    assert tf.make_tensor_proto([1, 2], dtype=tf.int64).dtype == protos.DT_INT64
    assert list(tf.make_tensor_proto("a", shape=[2]).string_val) == [b"a", b"a"]
    half = protos.TensorProto(dtype=protos.DT_HALF, half_val=[0x3C00])
    half.tensor_shape.dim.add(size=3)
    np.testing.assert_array_equal(tf.make_ndarray(half), np.ones(3, np.float16))
    array = np.arange(3)
    assert tf.make_ndarray(array) is array
    with pytest.raises(TypeError):
        tf.make_ndarray([1])
    with pytest.raises(ValueError, match="content"):
        tf.make_ndarray(protos.TensorProto(dtype=protos.DT_FLOAT, tensor_content=b"123"))
