"""Graphs with collections as messages: whole ones and parts, and what they say about themselves."""

import os
import pathlib

import numpy as np
import pytest
from google.protobuf import any_pb2, text_format

import headrace as tf
from headrace.framework import protos


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def model():
    """Two scopes, of which the second reads the first."""
    with tf.variable_scope("first"):
        x = tf.placeholder(tf.float32, [None, 2], name="x")
        w = tf.get_variable("w", [2, 3], initializer=tf.ones_initializer())
        y = tf.matmul(x, w, name="y")
    with tf.variable_scope("second"), tf.control_dependencies([x]):
        v = tf.get_variable("v", [3], initializer=tf.constant_initializer(5.0), trainable=False)
        z = tf.add(y, v, name="z")
    for item in (y, z, y.op):
        tf.add_to_collection("results" if item is not y.op else "operations", item)
    return x, y, z


def names(meta):
    return {node.name for node in meta.graph_def.node}


def test_a_message_defines_its_operations():
    model()
    meta = tf.train.export_meta_graph()
    operations = meta.meta_info_def.stripped_op_list.op
    assert [op.name for op in operations] == sorted({node.op for node in meta.graph_def.node})
    (product,) = (op for op in operations if op.name == "MatMul")
    assert [arg.name for arg in product.input_arg] == ["a", "b"]
    assert {attr.name for attr in product.attr} == {"T", "transpose_a", "transpose_b"}
    assert not product.summary and not product.description
    (y,) = (node for node in meta.graph_def.node if node.name == "first/y")
    assert [dim.size for dim in y.attr["_output_shapes"].list.shape[0].dim] == [-1, 3]


def test_a_message_defines_the_operations_of_functions():
    x = tf.placeholder(tf.float32, [])
    tf.cond(x > 0.0, lambda: tf.exp(x), lambda: tf.matmul([[x]], [[x]], transpose_b=True)[0, 0])
    meta = tf.train.export_meta_graph(strip_default_attrs=True)
    assert {"Exp", "MatMul"} <= {op.name for op in meta.meta_info_def.stripped_op_list.op}
    nodes = [node for function in meta.graph_def.library.function for node in function.node_def]
    (product,) = (node for node in nodes if node.op == "MatMul")
    assert set(product.attr) == {"T", "transpose_b"}


def test_what_older_readers_know_is_told_by_the_definitions(graph):
    """Attributes that a reader does not know do not matter while they hold their default."""
    model()
    meta = tf.train.export_meta_graph()
    (product,) = (op for op in meta.meta_info_def.stripped_op_list.op if op.name == "MatMul")
    product.attr.add(name="speed", type="int").default_value.i = 5
    (y,) = (node for node in meta.graph_def.node if node.name == "first/y")
    y.attr["speed"].i = 5
    with tf.Graph().as_default() as other:
        tf.train.import_meta_graph(meta)
        assert other.get_operation_by_name("first/y").type == "MatMul"
    y.attr["speed"].i = 6
    with tf.Graph().as_default(), pytest.raises(tf.errors.InvalidArgumentError, match=r"'first/y'.*'speed'"):
        tf.train.import_meta_graph(meta)


def test_a_scope_alone(graph):
    model()
    first = tf.train.export_meta_graph(export_scope="first")
    assert names(first) == {"x", "w", "w/Assign", "w/Initializer/ones", "w/read", "y"}
    assert list(first.collection_def["results"].node_list.value) == ["y:0"]
    assert list(first.collection_def["operations"].node_list.value) == ["y"]
    assert len(first.collection_def["variables"].bytes_list.value) == 1
    assert not any("first" in text for node in first.graph_def.node for text in node.input)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(first, import_scope="elsewhere")
        (w,) = tf.global_variables()
        assert w.name == "elsewhere/w:0" and w.op.colocation_groups() == [b"loc:@elsewhere/w"]
        session.run(tf.global_variables_initializer())
        (y,) = tf.get_collection("results")
        assert session.run(y, {"elsewhere/x:0": [[1, 2]]}).tolist() == [[3, 3, 3]]
    with pytest.raises(ValueError, match="'fist'"):
        tf.train.export_meta_graph(export_scope="fist")
    # A scope is more than the beginning of a name.
    with pytest.raises(ValueError, match="'fir'"):
        tf.train.export_meta_graph(export_scope="fir")


@pytest.mark.parametrize("scope", ["second", "second/"])
def test_a_scope_that_reads_others(graph, scope):
    model()
    part = tf.train.export_meta_graph(export_scope=scope)
    unbound = sorted(name.decode() for name in part.collection_def["unbound_inputs"].bytes_list.value)
    assert unbound == ["$unbound_inputs_first/y", "^$unbound_inputs_first/x"]
    with tf.Graph().as_default() as other, tf.Session() as session:
        y = tf.placeholder(tf.float32, [None, 3], name="given")
        with pytest.raises(ValueError, match=r"\$unbound_inputs_first/y, \^\$unbound_inputs_first/x; give"):
            tf.train.import_meta_graph(part, import_scope="new")
        before = tf.no_op()
        tf.train.import_meta_graph(part, import_scope="new", input_map={unbound[0]: y, unbound[1]: before})
        z = other.get_operation_by_name("new/z")
        assert z.inputs[0] is y
        assert [op.type for op in before._control_outputs] == ["ReadVariableOp"]
        assert not tf.get_collection("unbound_inputs")
        session.run(tf.global_variables_initializer())
        assert session.run(z.outputs[0], {y: np.ones([1, 3])}).tolist() == [[6, 6, 6]]


def test_scopes_of_imports_are_made_unique_within_those_around(graph):
    model()
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default(), tf.Session() as session:
        with tf.name_scope("around"):
            tf.train.import_meta_graph(meta)
            tf.train.import_meta_graph(meta, import_scope="in")
        for scope in ("in", "in", "as_it_is/"):
            tf.train.import_meta_graph(meta, import_scope=scope)
        scopes = ["around/", "around/in/", "in/", "in_1/", "as_it_is/"]
        assert [variable.op.name for variable in tf.trainable_variables()] == [f"{s}first/w" for s in scopes]
        assert [y.op.name for y in tf.get_collection("results")][::2] == [f"{s}first/y" for s in scopes]
        session.run(tf.global_variables_initializer())


def test_what_an_import_reads_and_leaves_out(graph):
    model()
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default() as other:
        fed = tf.ones([4, 2])
        saver = tf.train.import_meta_graph(
            meta,
            import_scope="s",
            input_map={"first/x:0": fed},
            return_elements=["first/y:0"],
            restore_collections_predicate=lambda key: key != "results",
        )
        assert isinstance(saver, tf.train.Saver)
        assert other.get_tensor_by_name("s/first/y:0").shape == [4, 3]
        assert tf.get_collection("results") == [] and len(tf.get_collection("operations")) == 1
        with pytest.raises(tf.errors.InvalidArgumentError, match="'first/q:0'"):
            tf.train.import_meta_graph(meta, import_scope="t", input_map={"first/q:0": fed})
        with pytest.raises(tf.errors.InvalidArgumentError, match="1 outputs, there is no number 3"):
            tf.train.import_meta_graph(meta, import_scope="t", input_map={"first/x:3": fed})
        with pytest.raises(TypeError, match="nonsense"):
            tf.train.import_meta_graph(meta, nonsense=1)


def test_collections_of_every_kind(graph):
    model()
    packed = any_pb2.Any(type_url="type.googleapis.com/some.Kind", value=b"abc")
    for key, item in (
        ("whole", 3),
        ("whole", np.int64(4)),
        ("flags", True),
        ("real", 1.5),
        ("real", np.float32(2.5)),
        ("text", "abc"),
        ("text", b"\xff"),
        ("packed", packed),
        ("objects", object()),
        ("mixed", 1),
        ("mixed", "a"),
        (("no", "name"), 1),
    ):
        tf.add_to_collection(key, item)
    meta = tf.train.export_meta_graph()
    with tf.Graph().as_default():
        tf.train.import_meta_graph(meta)
        assert tf.get_collection("whole") == [3, 4]
        assert tf.get_collection("flags") == [1]
        assert tf.get_collection("real") == [1.5, 2.5]
        assert tf.get_collection("text") == [b"abc", b"\xff"]
        assert tf.get_collection("packed")[0].SerializeToString() == packed.SerializeToString()
        assert not tf.get_collection("objects") and not tf.get_collection("mixed")
    chosen = tf.train.export_meta_graph(collection_list=["whole", "not there"])
    assert list(chosen.collection_def) == ["whole"]


def test_devices_can_be_left_out(graph):
    with tf.device("/cpu:0"):
        model()
    assert {node.device for node in tf.train.export_meta_graph().graph_def.node} >= {"/device:CPU:0"}
    cleared = tf.train.export_meta_graph(clear_devices=True)
    assert {node.device for node in cleared.graph_def.node} == {""}
    with tf.Graph().as_default() as other:
        tf.train.import_meta_graph(tf.train.export_meta_graph(graph=graph), clear_devices=True)
        assert {op.device for op in other.get_operations()} == {""}


def test_other_savers_can_be_left_out(graph):
    model()
    first, second = tf.train.Saver(), tf.train.Saver()
    for saver in (first, second):
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)
    assert len(tf.train.export_meta_graph().collection_def["savers"].bytes_list.value) == 2
    for kept, gone in ((first, "save_1/"), (second, "save/")):
        meta = kept.export_meta_graph(clear_extraneous_savers=True)
        assert not [name for name in names(meta) if name.startswith(gone)]
        assert kept.saver_def.restore_op_name in names(meta)
        (left,) = meta.collection_def["savers"].bytes_list.value
        assert protos.SaverDef.FromString(left) == kept.saver_def
    meta = tf.train.export_meta_graph(clear_extraneous_savers=True)
    assert "savers" not in meta.collection_def and not [name for name in names(meta) if "save" in name]
    # What others use stays.
    with tf.control_dependencies([graph.get_operation_by_name("save/restore_all")]):
        tf.no_op(name="after")
    meta = second.export_meta_graph(clear_extraneous_savers=True)
    assert "save/restore_all" in names(meta) and "save/SaveV2" not in names(meta)


@pytest.mark.parametrize("as_text", [False, True])
def test_files(tmp_path, as_text):
    model()
    path = tmp_path / "new" / "folder" / "graph.meta"
    meta = tf.train.export_meta_graph(path, as_text=as_text, save_debug_info=True)
    assert sorted(os.listdir(path.parent)) == ["graph.debug", "graph.meta"]
    with tf.Graph().as_default():
        tf.train.import_meta_graph(str(path))
        assert {op.name for op in tf.get_default_graph().get_operations()} >= names(meta)
    data = (tmp_path / "new" / "folder" / "graph.debug").read_bytes()
    info = protos.GraphDebugInfo()
    text_format.Parse(data.decode(), info) if as_text else info.ParseFromString(data)
    (trace,) = info.traces["first/y@"].file_line_cols
    assert info.files[trace.file_index] == "test_meta_graph.py"
    assert "tf.matmul" in pathlib.Path(__file__).read_text().splitlines()[trace.line - 1]


def test_messages_of_others(graph):
    """A message about itself and a graph that was a message already."""
    model()
    about = protos.MetaGraphDef.MetaInfoDef(tags=["a"], meta_graph_version="7")
    meta = tf.train.export_meta_graph(
        meta_info_def=about, strip_default_attrs=True, graph_def=graph.as_graph_def()
    )
    assert list(meta.meta_info_def.tags) == ["a"] and meta.meta_info_def.meta_graph_version == "7"
    assert meta.meta_info_def.stripped_default_attrs and len(meta.meta_info_def.stripped_op_list.op)
    (y,) = (node for node in meta.graph_def.node if node.name == "first/y")
    assert set(y.attr) == {"T"}
    for argument, kind in (
        ("meta_info_def", "MetaInfoDef"),
        ("graph_def", "GraphDef"),
        ("saver_def", "SaverDef"),
    ):
        with pytest.raises(TypeError, match=f"{argument} must be a {kind} message, got int"):
            tf.train.export_meta_graph(**{argument: 3})
    with pytest.raises(TypeError, match="collection_list"):
        tf.train.export_meta_graph(collection_list="variables")
    for wrong, kind in ((3, "int"), (graph.as_graph_def(), "GraphDef"), (None, "NoneType")):
        with pytest.raises(TypeError, match=f"path of a file, got {kind}"):
            tf.train.import_meta_graph(wrong)


def test_empty_graphs(tmp_path):
    path = str(tmp_path / "empty")
    assert not tf.train.export_meta_graph(path).graph_def.node
    assert tf.train.import_meta_graph(path) is None
    (tmp_path / "empty").write_bytes(b"")
    assert tf.train.import_meta_graph(path) is None
    model()  # a saver for what is there already
    assert isinstance(tf.train.import_meta_graph(path), tf.train.Saver)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_messages_are_errors(seed):
    """Cut off, or with bits that flipped: an error that can be caught, or a graph."""
    model()
    tf.add_to_collection(tf.GraphKeys.SAVERS, tf.train.Saver())
    data = tf.train.export_meta_graph().SerializeToString()
    rng = np.random.RandomState(seed)
    failed = 0
    for _ in range(60):
        damaged = bytearray(data)
        if rng.rand() < 0.5:
            damaged = damaged[: rng.randint(len(data))]
        else:
            for _ in range(rng.choice([1, 10])):
                damaged[rng.randint(len(data))] ^= 1 << rng.randint(8)
        with tf.Graph().as_default():
            try:
                meta = protos.parsed("MetaGraphDef", bytes(damaged), "a message")
                tf.train.import_meta_graph(meta)
            except (OSError, ValueError, KeyError, TypeError, tf.OpError):
                failed += 1
    assert failed


def test_variables_as_messages_within_scopes(graph):
    with tf.variable_scope("a"):
        w = tf.get_variable("w", [2], initializer=tf.ones_initializer())
        doubled = tf.get_variable("doubled", initializer=w.initialized_value() * 2)
    part = w.to_proto(export_scope="a")
    assert (part.variable_name, part.initial_value_name) == ("w:0", "w/Initializer/ones:0")
    assert w.to_proto(export_scope="b") is None and w.to_proto(export_scope="a/") == part
    for scope in ("a", "a/"):
        back = tf.Variable.from_proto(part, import_scope=scope)
        assert back.handle is w.handle and back.initial_value is w.initial_value
    with pytest.raises(KeyError, match="'w'"):
        tf.Variable.from_proto(part)
    meta = tf.train.export_meta_graph()
    for scope in (None, "s"):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.train.import_meta_graph(meta, import_scope=scope)
            first, second = tf.global_variables()
            assert first.name == (f"{scope}/" if scope else "") + "a/w:0"
            again = tf.get_variable("again", initializer=second.initialized_value() + 1.0)
            session.run(tf.global_variables_initializer())
            assert [value.tolist() for value in session.run([first, second, again])] == [
                [1, 1],
                [2, 2],
                [3, 3],
            ]
    assert doubled.to_proto().initial_value_name == doubled.initial_value.name
    definition = doubled.to_proto()
    definition.ClearField("initial_value_name")
    with pytest.raises(ValueError, match="a/doubled:0 comes from a message that tells no"):
        tf.Variable.from_proto(definition).initialized_value()


def test_initial_values_of_other_variables_need_no_operation_of_our_own(graph):
    w = tf.get_variable("w", [2], initializer=tf.random_uniform_initializer())
    for value in (w.initialized_value() * 2, w * 3):
        tf.Variable(value)
    tf.train.ExponentialMovingAverage(0.9).apply([w])
    assert "InitializedValue" not in {op.type for op in graph.get_operations()}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        first, *others = session.run(tf.global_variables())
        for value, factor in zip(others, (2, 3, 1)):
            np.testing.assert_allclose(value, factor * first, rtol=1e-6)
