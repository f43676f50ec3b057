"""Pieces of graphs, and freezing."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, protos, raw


def frozen(graph_def, fetch, feeds):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(graph_def, name="")
        return session.run(fetch, feeds)


def model():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    w = tf.get_variable("w", initializer=np.arange(6, dtype=np.float32).reshape(3, 2))
    table = tf.get_variable("table", initializer=np.eye(4, 2, dtype=np.float32))
    rows = tf.nn.embedding_lookup(table, [1, 0], name="rows")
    y = tf.matmul(x, w, name="y")
    tf.add(y, rows, name="z")
    tf.negative(w, name="unused")
    return x


def test_variables_become_constants():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        model()
        initializer = tf.global_variables_initializer()
        before = graph.as_graph_def()
        with pytest.raises(errors.FailedPreconditionError, match=r"'(w|table)'"):
            tf.graph_util.convert_variables_to_constants(session, before, ["z"])
        session.run(initializer)
        feeds = {"x:0": np.ones([2, 3], np.float32)}
        expected = session.run("z:0", feeds)
        constant = tf.graph_util.convert_variables_to_constants(session, before, ["z"])
        kept = tf.graph_util.convert_variables_to_constants(
            session, before, ["z"], variable_names_blacklist=["w"]
        )
        only = tf.graph_util.convert_variables_to_constants(
            session, before, ["z"], variable_names_whitelist=["w"]
        )
        assert graph.as_graph_def() == before
    ops = [node.op for node in constant.node]
    assert "VarHandleOp" not in ops and "unused" not in [node.name for node in constant.node]
    np.testing.assert_array_equal(frozen(constant, "z:0", feeds), expected)
    assert [node.name for node in kept.node if node.op == "VarHandleOp"] == ["w"]
    assert [node.name for node in only.node if node.op == "VarHandleOp"] == ["table"]


def test_variables_that_functions_read_become_constants():
    """In conditions, loops and what is in them: passed on, read, and looked up in."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [3], name="x")
        w, table = tf.get_variable("w", initializer=[1.0, 2.0, 3.0]), tf.get_variable("table", [4, 3])
        kept = tf.get_variable("kept", initializer=[0.5, 0.25, 0.125])

        def step(i, a):
            even = tf.equal(i % 2, 0)
            row = tf.cond(even, lambda: tf.gather(table, i), lambda: tf.gather_nd(table, [i]) * w)
            return i + 1, a * w + row - kept

        looped = tf.while_loop(lambda i, a: tf.reduce_sum(w) > tf.cast(i, tf.float32) + 2.0, step, [0, x])[1]
        again = tf.cond(
            x[0] > 0.0,
            lambda: looped + w,
            lambda: tf.while_loop(lambda a: a[0] < 9.0, lambda a: tf.abs(a) + w, [looped]),
        )
        tf.identity(again, name="y")
        session.run(tf.global_variables_initializer())
        before = graph.as_graph_def()
        constant = tf.graph_util.convert_variables_to_constants(session, before, ["y"])
        partly = tf.graph_util.convert_variables_to_constants(
            session, before, ["y"], variable_names_blacklist=["kept"]
        )
        assert graph.as_graph_def() == before
        feeds = [{"x:0": np.float32(value)} for value in ([1, 2, 3], [-1, 0, 5])]
        expected = [session.run("y:0", feed) for feed in feeds]
        for feed, value in zip(feeds, expected):
            np.testing.assert_array_equal(frozen(constant, "y:0", feed), value)
    nodes = [*constant.node, *(node for function in constant.library.function for node in function.node_def)]
    assert not [node.name for node in nodes if "Var" in node.op or node.op.startswith("Resource")]
    arguments = [arg for function in constant.library.function for arg in function.signature.input_arg]
    assert arguments and not [arg.name for arg in arguments if arg.type == protos.DT_RESOURCE]
    assert [node.name for node in partly.node if node.op == "VarHandleOp"] == ["kept"]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(partly, name="")
        handle = tf.get_default_graph().get_tensor_by_name("kept:0")
        session.run(raw.AssignVariableOp(handle, [0.5, 0.25, 0.125]))
        np.testing.assert_array_equal(session.run("y:0", feeds[0]), expected[0])


def test_what_cannot_be_frozen():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        v = tf.Variable(1.0, name="v")
        tf.identity(v.assign_add(1.0), name="y")
        session.run(v.initializer)
        with pytest.raises(ValueError, match=r"AssignAdd.*cannot become a constant"):
            tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
        tf.identity(tf.cond(v > 0.0, lambda: v.assign_add(1.0), lambda: v), name="z")
        with pytest.raises(ValueError, match=r"AssignAdd.*cannot become a constant"):
            tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["z"])


def test_sub_graphs():
    with tf.Graph().as_default() as graph:
        model()
        graph_def = graph.as_graph_def()
    part = tf.graph_util.extract_sub_graph(graph_def, ["y"])
    names = [node.name for node in part.node]
    assert set(names) >= {"x", "w", "w/read", "y"} and "table" not in names and "z" not in names
    assert names == [node.name for node in graph_def.node if node.name in names]
    assert part.versions == graph_def.versions
    with pytest.raises(AssertionError, match="no node 'nobody'"):
        tf.graph_util.extract_sub_graph(graph_def, ["nobody"])
    with pytest.raises(TypeError, match="list of names"):
        tf.graph_util.extract_sub_graph(graph_def, "y")
    with pytest.raises(TypeError, match="GraphDef"):
        tf.graph_util.extract_sub_graph(graph, ["y"])


def test_nodes_that_only_training_needs():
    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [2], name="x")
        a = tf.identity(tf.check_numerics(tf.identity(x, name="a"), "bad", name="check"), name="b")
        with tf.control_dependencies([tf.identity(x, name="waited_for")]):
            y = tf.negative(a, name="y")
        tf.identity(y, name="out")
        graph_def = graph.as_graph_def()
    slim = tf.graph_util.remove_training_nodes(graph_def, protected_nodes=["out"])
    assert [node.name for node in slim.node] == ["x", "waited_for", "y", "out"]
    assert list(frozen(slim, "out:0", {"x:0": [1, 2]})) == [-1, -2]
    assert [node.name for node in tf.graph_util.remove_training_nodes(graph_def).node] == [
        "x",
        "waited_for",
        "y",
    ]


def test_places_and_shapes():
    with tf.Graph().as_default() as graph:
        text, number = tf.constant("a"), tf.constant(1.0)
        v = tf.Variable([1.0, 2.0], name="v")
        assert tf.graph_util.must_run_on_cpu(text.op)
        assert not tf.graph_util.must_run_on_cpu(number.op.node_def)
        fed, whole = tf.placeholder(tf.int32), tf.placeholder(tf.float32)
        stitch = tf.dynamic_stitch
        for on_cpu, tensor in (
            (True, tf.constant(1)),
            (True, tf.cast(fed, tf.float32)),
            (True, stitch([[0]], [[1]])),
            (False, tf.cast(whole, tf.int32)),
            (False, stitch([[0]], [[1.0]])),
            (False, fed),
        ):
            assert tf.graph_util.must_run_on_cpu(tensor.op) is on_cpu, tensor
        with pytest.raises(TypeError, match="NodeDef message, got str"):
            tf.graph_util.must_run_on_cpu("x")
        assert tf.graph_util.must_run_on_cpu(v.op, pin_variables_on_cpu=True)
        assert not tf.graph_util.must_run_on_cpu(v.op)
        shape = tf.graph_util.tensor_shape_from_node_def_name
        assert shape(graph, "v/read") == shape(graph, "v/read:0") == [2]


@pytest.mark.parametrize("as_text", [False, True])
def test_graphs_are_written(tmp_path, as_text):
    from google.protobuf import text_format

    with tf.Graph().as_default() as graph:
        model()
        path = tf.train.write_graph(graph, str(tmp_path / "new" / "folder"), "graph.pb", as_text)
        graph_def = graph.as_graph_def()
    data = (tmp_path / "new" / "folder" / "graph.pb").read_bytes()
    assert path == str(tmp_path / "new" / "folder" / "graph.pb")
    read = (
        text_format.Parse(data.decode(), protos.GraphDef()) if as_text else protos.GraphDef.FromString(data)
    )
    assert read == graph_def
    assert tf.train.write_graph(graph_def, tmp_path, "again", as_text) == str(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
