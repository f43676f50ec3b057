import gc
import threading
import weakref

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.framework.graph import op_scope


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def names(elements):
    return [element.name for element in elements]


# ---- elements


def test_tensor_and_operation():
    a = tf.constant([1.0, 2.0], name="a")
    b = raw.Neg(a, name="b")
    op = b.op
    assert op.outputs[0] is b
    assert op.inputs[0] is a
    assert (op.name, op.type, b.name, b.value_index) == ("b", "Neg", "b:0", 0)
    assert b.dtype is tf.float32
    assert b.shape == b.get_shape() == [2]
    assert op.values() == (b,)
    assert a.consumers() == [op]
    assert op.graph is b.graph is tf.get_default_graph()
    assert op.get_attr("T") is tf.float32
    np.testing.assert_array_equal(a.op.get_attr("value"), [1, 2])
    assert op.node_def.op == "Neg"
    assert op.op_def.name == "Neg"
    with pytest.raises(ValueError, match=r"'nope'.*T"):
        op.get_attr("nope")


def test_text_of_elements():
    a = tf.placeholder(tf.float32, [None, 2], name="a")
    assert str(a) == 'Tensor("a:0", shape=(?, 2), dtype=float32)'
    assert repr(a) == "<tf.Tensor 'a:0' shape=(?, 2) dtype=float32>"
    assert repr(a.op) == "<tf.Operation 'a' type=Placeholder>"
    assert 'name: "a"' in str(a.op)
    b = tf.placeholder(tf.int32, name="b")
    assert str(b) == 'Tensor("b:0", dtype=int32)'
    assert repr(b) == "<tf.Tensor 'b:0' shape=<unknown> dtype=int32>"
    with tf.device("/gpu:0"):
        assert "device=/device:GPU:0" in str(tf.constant(1))


def test_picture_shows_the_neighbours():
    a = tf.constant(1.0, name="first")
    b = raw.Neg(a, name="middle")
    raw.Neg(b, name="last")
    picture = b._repr_html_()
    assert picture.startswith("<svg") and picture == b.op._repr_html_()
    assert all(name in picture for name in ("first", "middle", "last", "float32"))


@pytest.mark.parametrize("use", [bool, iter, len, float, int, lambda t: t in [1] or list(t)])
def test_a_tensor_has_no_value_yet(use):
    with pytest.raises(TypeError, match=r"tf\.|run"):
        use(tf.constant([1.0]))


def test_no_array_of_a_tensor():
    with pytest.raises(NotImplementedError, match="session"):
        np.array(tf.constant([1.0]))


def test_tensors_are_keys():
    a, b = tf.constant(1), tf.constant(1)
    assert (a == b) is False
    assert a != b
    assert {a: 1, b: 2}[a] == 1


def test_set_shape():
    a = tf.placeholder(tf.float32)
    a.set_shape([None, 2])
    a.set_shape(tf.TensorShape([3, None]))
    assert a.shape.as_list() == [3, 2]
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        a.set_shape([4, 2])


def test_finding(graph):
    a = tf.constant(1, name="s/a")
    assert graph.get_tensor_by_name("s/a:0") is a
    assert graph.get_operation_by_name("s/a") is a.op
    assert graph.as_graph_element("s/a") is a.op
    assert graph.as_graph_element(a) is a
    assert graph.get_operations() == [a.op]
    for find, error in [
        (lambda: graph.get_tensor_by_name("s/a"), ValueError),
        (lambda: graph.get_tensor_by_name("s/a:1"), KeyError),
        (lambda: graph.get_tensor_by_name("s/b:0"), KeyError),
        (lambda: graph.get_tensor_by_name("s/a:x"), ValueError),
        (lambda: graph.get_operation_by_name("s/a:0"), ValueError),
        (lambda: graph.get_operation_by_name(a), TypeError),
        (lambda: graph.as_graph_element(3), TypeError),
        (lambda: graph.as_graph_element(a, allow_tensor=False), TypeError),
        (lambda: tf.Graph().as_graph_element(a), ValueError),
    ]:
        with pytest.raises(error):
            find()
    with pytest.raises(KeyError, match="did you mean 's/a'"):
        graph.get_operation_by_name("s/A")


def test_what_stands_for_a_tensor(graph):
    class Standing:
        def _as_graph_element(self):
            return a

    a = tf.constant(1)
    assert graph.as_graph_element(Standing()) is a


# ---- the graph


def test_default_graph():
    outer = tf.get_default_graph()
    inner = tf.Graph()
    with inner.as_default() as entered:
        assert entered is inner is tf.get_default_graph()
        assert tf.constant(1).graph is inner
        with pytest.raises(AssertionError):
            tf.reset_default_graph()
    assert tf.get_default_graph() is outer


def test_each_thread_has_a_default_graph(graph):
    seen = []

    def look():
        seen.append(tf.get_default_graph())
        tf.reset_default_graph()
        seen.append(tf.get_default_graph())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert len({id(each) for each in [*seen, graph]}) == 3


def test_finalize(graph):
    graph.finalize()
    assert graph.finalized
    for change in (
        lambda: tf.constant(1),
        lambda: graph.create_op("NoOp", []),
        lambda: tf.add_to_collection("a", 1),
    ):
        with pytest.raises(RuntimeError, match="finalized"):
            change()


def test_other_graph():
    a = tf.constant(1.0)
    with tf.Graph().as_default():
        b = tf.constant(1.0)
        with pytest.raises(ValueError, match="another graph"):
            raw.AddV2(a, b)
        # The graph of the inputs is the one that is meant.
        assert raw.Neg(a).graph is a.graph


def test_graph_dies_with_its_users():
    with tf.Graph().as_default() as graph:
        raw.Neg(tf.constant(1.0))
    ref = weakref.ref(graph)
    del graph
    gc.collect()
    assert ref() is None


def test_collections(graph):
    a, b = tf.constant(1, name="a"), tf.constant(1, name="b")
    tf.add_to_collection("k", a)
    tf.add_to_collections(["k", "l"], b)
    tf.add_to_collection("k", 3)
    assert tf.get_collection("k") == [a, b, 3]
    assert tf.get_collection("k", "a") == [a]
    assert tf.get_collection("none") == []
    tf.get_collection("k").clear()
    assert len(tf.get_collection_ref("k")) == 3
    assert sorted(graph.get_all_collection_keys()) == ["k", "l"]
    graph.clear_collection("k")
    assert tf.get_collection("k") == []
    assert tf.GraphKeys.GLOBAL_VARIABLES == "variables"


def test_seeds(graph):
    assert tf.get_seed(None) == (None, None)
    assert tf.get_seed(7) == (87654321, 7)
    tf.set_random_seed(5)
    assert graph.seed == 5
    assert tf.get_seed(7) == (5, 7)
    tf.constant(1)
    assert tf.get_seed(None) == (5, 1)
    tf.set_random_seed(0)
    assert tf.get_seed(0) == (0, 2**31 - 1)


# ---- contexts


def test_control_dependencies(graph):
    a, b, c = (tf.constant(i, name=name) for i, name in enumerate("abc"))
    with tf.control_dependencies([a, b.op]):
        d = raw.Identity(c)
        assert names(d.op.control_inputs) == ["a", "b"]
        # d waits already, and what reads it with it
        assert raw.Identity(d).op.control_inputs == []
        assert names(raw.Identity(a).op.control_inputs) == ["b"]
        with tf.control_dependencies([c, c]):
            assert names(raw.NoOp().control_inputs) == ["a", "b", "c"]
        with tf.control_dependencies(None):
            assert raw.NoOp().control_inputs == []
        assert names(raw.NoOp().control_inputs) == ["a", "b"]
    assert raw.NoOp().control_inputs == []
    with tf.control_dependencies(["a", tf.IndexedSlices(b, c)]):
        assert names(raw.NoOp().control_inputs) == ["a", "b"]
    for wrong in ([3], a):
        with pytest.raises(TypeError), tf.control_dependencies(wrong):
            pass


def test_devices():
    def here():
        return raw.NoOp().device

    with tf.device("/cpu:0"):
        assert here() == "/device:CPU:0"
        with tf.device("/gpu:1"):
            assert here() == "/device:GPU:1"
        with tf.device("/job:worker"):
            assert here() == "/job:worker/device:CPU:0"
        with tf.device(None):
            assert here() == ""
        with tf.device(lambda op: "/job:ps/task:2"):
            assert here() == "/job:ps/task:2/device:CPU:0"
        with tf.device(lambda op: "/gpu:3" if op.type == "NoOp" else ""):
            assert here() == "/device:GPU:3"
            assert tf.constant(1).device == "/device:CPU:0"
        with tf.device(""):
            assert here() == "/device:CPU:0"
    assert here() == ""
    with pytest.raises(ValueError), tf.device("/bad:x:y"):
        pass


def test_colocation():
    with tf.device("/gpu:0"):
        a = tf.constant(1, name="a")
    b = tf.constant(2, name="b")
    assert a.op.colocation_groups() == [b"loc:@a"]
    with tf.colocate_with(a), tf.device("/cpu:0"):
        pass
    with tf.device("/cpu:0"), tf.colocate_with(a):
        c = tf.constant(3)
        assert (c.device, c.op.colocation_groups()) == ("/device:GPU:0", [b"loc:@a"])
        with tf.colocate_with(b.op):
            assert tf.constant(4).op.colocation_groups() == [b"loc:@a", b"loc:@b"]
        with tf.colocate_with(b, ignore_existing=True):
            assert tf.constant(5).op.colocation_groups() == [b"loc:@b"]
    with tf.colocate_with(c):
        assert tf.constant(6).op.colocation_groups() == [b"loc:@a"]
    with pytest.raises(ValueError), tf.colocate_with(None):
        pass


def test_gradient_override_map(graph):
    with graph.gradient_override_map({"Neg": "Other"}):
        a = raw.Neg(tf.constant(1.0))
        b = raw.Identity(a)
    assert a.op.get_attr("_gradient_op_type") == b"Other"
    for op in (b.op, raw.Neg(a).op):
        with pytest.raises(ValueError):
            op.get_attr("_gradient_op_type")
    with pytest.raises(TypeError), graph.gradient_override_map({"Neg": 3}):
        pass


def test_attributes_outside_the_definition(graph):
    op = raw.NoOp()
    values = {"_i": 3, "_f": 1.5, "_b": True, "_s": b"x", "_l": [1, 2], "_t": tf.int32, "_n": [b"a"]}
    for name, value in values.items():
        op._set_attr(name, value)
        assert op.get_attr(name) == value
    with graph._attr_scope({"_mark": True}):
        assert raw.NoOp().get_attr("_mark") is True


def test_create_op(graph):
    a = tf.constant([[1.0]])
    op = graph.create_op("MatMul", [a, a], [tf.float32], name="product", attrs={"transpose_a": True})
    assert (op.name, op.get_attr("transpose_a"), op.get_attr("transpose_b")) == ("product", True, False)
    with pytest.raises(tf.errors.NotFoundError, match="MatMul"):
        graph.create_op("MatMull", [a, a])
    with pytest.raises(tf.errors.InvalidArgumentError, match="transpose_c"):
        graph.create_op("MatMul", [a, a], attrs={"transpose_c": True})


def test_older_and_other_names(graph):
    with op_scope([tf.constant(1)], None, "default") as scope:
        assert scope == "default/"
    assert not tf.executing_eagerly()
    assert tf.is_tensor(tf.constant(1)) and not tf.is_tensor(np.ones(2))
    assert tf.IndexedSlices(tf.constant([[1.0]]), tf.constant([0])).shape.as_list() == [None, 1]
