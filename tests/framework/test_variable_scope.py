"""Variable scopes: names, sharing, defaults, partitions, templates."""

import threading

import numpy as np
import pytest

import headrace as tf


@pytest.fixture
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def values(*tensors):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(list(tensors))


# ---- names


def test_variables_are_named_by_variable_scopes_only(graph):
    with tf.variable_scope("a"), tf.name_scope("n"), tf.variable_scope("b"):
        variable = tf.get_variable("w", [2])
        product = variable * 2
        plain = tf.Variable(0.0, name="v")
    assert variable.name == "a/b/w:0"
    assert product.op.name == "a/n/b/mul"
    assert plain.name == "a/n/b/v:0"
    assert tf.get_variable("w", [2]).name == "w:0"


def test_scopes_entered_twice_have_other_name_scopes(graph):
    with tf.variable_scope("a"):
        tf.get_variable("w", [1])
        first = tf.constant(0)
    with tf.variable_scope("a", reuse=True):
        tf.get_variable("w", [1])
        second = tf.constant(0)
    assert (first.op.name, second.op.name) == ("a/Const", "a_1/Const")


def test_default_names_are_made_unique(graph):
    found = []
    for _ in range(3):
        with tf.variable_scope(None, "layer") as scope:
            found.append((scope.name, tf.get_variable("w", [1]).name))
    with tf.variable_scope("outer"), tf.variable_scope(None, default_name="layer") as scope:
        found.append((scope.name, tf.constant(0).op.name))
    assert found == [
        ("layer", "layer/w:0"),
        ("layer_1", "layer_1/w:0"),
        ("layer_2", "layer_2/w:0"),
        ("outer/layer", "outer/layer/Const"),
    ]


def test_entering_a_scope_object(graph):
    with tf.variable_scope("a") as a:
        tf.get_variable("w", [1])
        assert a.original_name_scope == "a/"
    with tf.variable_scope("b"), tf.variable_scope(a, reuse=True) as again:
        assert again.name == "a"
        assert tf.get_variable("w", [1]).name == "a/w:0"
        assert tf.constant(0).op.name == "b/a/Const"
        with tf.variable_scope("inner"):
            assert tf.get_variable_scope().name == "a/inner"
    assert tf.get_variable_scope().name == ""
    with tf.variable_scope(a, auxiliary_name_scope=False), tf.name_scope(a.original_name_scope):
        assert tf.constant(0).op.name == "a/Const"


def test_scopes_without_name_scopes(graph):
    with tf.variable_scope("a", auxiliary_name_scope=False) as scope:
        assert tf.constant(0).op.name == "Const"
        assert tf.get_variable("w", [1]).name == "a/w:0"
        assert scope.original_name_scope == ""
    with pytest.raises(TypeError):
        tf.variable_scope("a", auxiliary_name_scope="no")


def test_scopes_belong_to_graph_and_thread(graph):
    found = {}

    def work():
        with graph.as_default():
            found["name"] = tf.get_variable_scope().name

    with tf.variable_scope("a"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with tf.Graph().as_default():
            found["graph"] = tf.get_variable_scope().name
    assert found == {"name": "", "graph": ""}


def test_bad_scopes(graph):
    with pytest.raises(TypeError, match="name_or_scope"):
        tf.variable_scope(None)
    with pytest.raises(TypeError):
        tf.variable_scope(3)
    with pytest.raises(ValueError, match="reuse"):
        tf.variable_scope("a", reuse="sometimes")
    with pytest.raises(ValueError, match="name_or_scope"):
        tf.variable_scope(None, "a", reuse=True)


# ---- sharing


def test_sharing(graph):
    with tf.variable_scope("a"):
        made = tf.get_variable("w", [2])
        with pytest.raises(ValueError, match=r"already exists \(made at test_variable_scope.py:\d+\)"):
            tf.get_variable("w", [2])
        tf.get_variable_scope().reuse_variables()
        assert tf.get_variable("w", [2]) is made
    with tf.variable_scope("a", reuse=True):
        assert tf.get_variable("w") is made
        with pytest.raises(ValueError, match="does not exist"):
            tf.get_variable("v", [2])
        with pytest.raises(ValueError, match="shape"):
            tf.get_variable("w", [3])
        with pytest.raises(ValueError, match="float32"):
            tf.get_variable("w", [2], tf.int32)
        with tf.variable_scope("inner"):
            assert tf.get_variable_scope().reuse is True
        with tf.variable_scope("inner", reuse=False):
            assert tf.get_variable_scope().reuse is True, "it is inherited"
    with tf.variable_scope("a", reuse=tf.AUTO_REUSE):
        assert tf.get_variable("w", [2]) is made
        assert tf.get_variable("new", [2]) is tf.get_variable("new", [2])
    assert len(tf.global_variables()) == 2


def test_only_get_variable_shares(graph):
    tf.Variable(0.0, name="w")
    assert tf.get_variable("w", []).name == "w_1:0"


# ---- defaults


def test_defaults_of_scopes(graph):
    half = tf.constant_initializer(0.5)
    with tf.variable_scope("a", initializer=half, dtype=tf.float64, regularizer=tf.reduce_sum):
        a = tf.get_variable("w", [2])
        with tf.variable_scope("b", initializer=tf.ones_initializer()):
            b = tf.get_variable("w", [2])
            c = tf.get_variable("c", [2], tf.float32, tf.zeros_initializer(), tf.no_regularizer)
    assert (a.dtype, b.dtype, c.dtype) == (tf.float64, tf.float64, tf.float32)
    losses = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert [loss.op.name for loss in losses] == ["a/w/Regularizer/Sum", "a/b/w/Regularizer/Sum"]
    assert [value.tolist() for value in values(a, b, c, *losses)] == [[0.5, 0.5], [1, 1], [0, 0], 1, 2]


def test_sharing_does_not_regularize_again(graph):
    for reuse in (None, True):
        with tf.variable_scope("a", reuse=reuse):
            tf.get_variable("w", [2], regularizer=tf.reduce_sum)
    assert len(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)) == 1


def test_initializers(graph):
    of_value = tf.get_variable("value", initializer=[1.0, 2.0])
    of_tensor = tf.get_variable("tensor", initializer=tf.ones([2, 2]))
    of_function = tf.get_variable("function", initializer=lambda: tf.fill([3], 7.0))
    of_shape = tf.get_variable("shape", [2], initializer=lambda shape, dtype: tf.ones(shape, dtype) * 3)
    of_class = tf.get_variable("class", [2], initializer=tf.ones_initializer)
    found = values(of_value, of_tensor, of_function, of_shape, of_class)
    assert [value.tolist() for value in found] == [[1, 2], [[1, 1], [1, 1]], [7, 7, 7], [3, 3], [1, 1]]
    with pytest.raises(ValueError, match="pass no shape"):
        tf.get_variable("a", [2], initializer=[1.0, 2.0])
    with pytest.raises(ValueError, match="wholly known"):
        tf.get_variable("b", [None, 2])
    with pytest.raises(ValueError, match="wholly known"):
        tf.get_variable("c")
    with pytest.raises(ValueError, match="float32"):
        tf.get_variable("d", dtype=tf.int32, initializer=[1.0])
    with pytest.raises(ValueError, match="needs an initializer"):
        tf.get_variable("e", [2], tf.complex64)


def test_getters(graph):
    calls = []

    def outer(getter, name, *args, **kwargs):
        calls.append(("outer", name))
        return getter(name, *args, **kwargs)

    def inner(getter, name, *args, **kwargs):
        calls.append(("inner", name))
        return getter(name + "_renamed", *args, **kwargs) * 2

    with tf.variable_scope("a", custom_getter=outer), tf.variable_scope("b", custom_getter=inner):
        doubled = tf.get_variable("w", [1], initializer=tf.ones_initializer())
    assert calls == [("inner", "a/b/w"), ("outer", "a/b/w_renamed")]
    assert tf.global_variables()[0].name == "a/b/w_renamed:0"
    assert values(doubled)[0].tolist() == [2]

    def own(getter, name, shape, **kwargs):
        return getter(name, [shape[0] + 1], **kwargs)

    assert tf.get_variable("own", [2], custom_getter=own).shape == (3,)
    with pytest.raises(ValueError, match="custom_getter"):
        tf.get_variable("bad", [2], custom_getter=3)


def test_local_variables(graph):
    with tf.variable_scope("a") as scope:
        local = tf.get_local_variable("count", [], initializer=tf.zeros_initializer())
        weight = tf.get_variable("w", [1], trainable=False)
    tf.get_variable("other", [1])
    assert tf.local_variables() == [local] == scope.local_variables()
    assert scope.global_variables() == [weight]
    assert scope.trainable_variables() == []
    assert local not in tf.trainable_variables()
    assert tf.get_variable("mine", [1], collections=["mine"]) not in tf.global_variables()


def test_constraints_and_devices(graph):
    with tf.variable_scope("a", constraint=tf.abs, caching_device="/cpu:0"):
        variable = tf.get_variable("w", [1])
    assert variable.constraint is tf.abs
    assert "CPU:0" in variable.value().device


def test_setters(graph):
    scope = tf.get_variable_scope()
    scope.set_initializer(tf.ones_initializer())
    scope.set_dtype(tf.float64)
    scope.set_use_resource(True)
    scope.set_regularizer(None)
    assert scope.use_resource
    assert values(tf.get_variable("w", [1]))[0].dtype == np.float64


def test_variable_op_scope(graph):
    with tf.variable_op_scope([], None, "a") as scope:
        assert scope.name == "a"


# ---- partitions


def test_partitioned_variables(graph):
    with tf.variable_scope("a", partitioner=tf.fixed_size_partitioner(3)):
        whole = tf.get_variable("w", [7, 2], initializer=tf.ones_initializer())
        scalar = tf.get_variable("s", [])
    parts = list(whole)
    assert [part.name for part in parts] == ["a/w/part_0:0", "a/w/part_1:0", "a/w/part_2:0"]
    assert [part.shape.as_list() for part in parts] == [[3, 2], [2, 2], [2, 2]]
    assert parts[1]._get_save_slice_info().spec == "7 2 3,2:0,2"
    assert (whole.name, whole.shape, whole.dtype, len(whole)) == ("a/w", (7, 2), tf.float32, 3)
    assert isinstance(scalar, tf.Variable)
    assign = whole.assign(np.arange(14).reshape(7, 2))
    product = tf.matmul(whole, [[1.0], [1.0]])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert (session.run(product) == 2).all()
        session.run(assign)
        assert session.run(whole.as_tensor())[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]
    with tf.variable_scope("a", reuse=True, partitioner=tf.fixed_size_partitioner(3)):
        assert tf.get_variable("w", [7, 2]) is whole
    halves = tf.fixed_size_partitioner(2)
    with tf.variable_scope("a", reuse=True), pytest.raises(ValueError, match="partitions"):
        tf.get_variable("w", [7, 2], partitioner=halves)
    with tf.variable_scope("a"), pytest.raises(ValueError, match="partition"):
        tf.get_variable("w", [7, 2])


def test_partitions_of_a_value(graph):
    value = np.arange(10, dtype=np.float32).reshape(5, 2)
    whole = tf.get_variable(
        "w", initializer=tf.constant(value), partitioner=tf.fixed_size_partitioner(2, axis=1)
    )
    assert [part.shape.as_list() for part in whole] == [[5, 1], [5, 1]]
    assert (values(tf.convert_to_tensor(whole))[0] == value).all()
    identity = tf.get_variable(
        "i", [4, 4], initializer=tf.initializers.identity(), partitioner=tf.fixed_size_partitioner(2)
    )
    assert (values(identity.as_tensor())[0] == np.eye(4)).all()


def test_partitioners():
    shape = tf.TensorShape([100, 10])
    assert tf.fixed_size_partitioner(4)(shape, tf.float32) == [4, 1]
    assert tf.fixed_size_partitioner(40, axis=1)(shape, tf.float32) == [1, 10]
    assert tf.variable_axis_size_partitioner(1000)(shape, tf.float32) == [4, 1]
    assert tf.variable_axis_size_partitioner(1000, max_shards=2)(shape, tf.float32) == [2, 1]
    assert tf.variable_axis_size_partitioner(1)(shape, tf.float32) == [100, 1]
    assert tf.min_max_variable_partitioner(8, min_slice_size=1000)(shape, tf.float32) == [4, 1]
    assert tf.min_max_variable_partitioner(2, min_slice_size=1000)(shape, tf.float32) == [2, 1]
    with pytest.raises(ValueError):
        tf.variable_axis_size_partitioner(0)


def test_create_partitioned_variables(graph):
    parts = tf.create_partitioned_variables([4, 2], [2, 1], tf.ones_initializer(), name="w")
    assert [part.shape.as_list() for part in parts] == [[2, 2], [2, 2]]
    with pytest.raises(ValueError, match="slicing"):
        tf.create_partitioned_variables([4, 2], [2], tf.ones_initializer())


# ---- templates


def test_templates(graph):
    def layer(x, factor):
        weight = tf.get_variable("w", [1], initializer=tf.ones_initializer())
        return x * weight * factor

    double = tf.make_template("double", layer, factor=2.0)
    assert double.variable_scope is None
    a, b = double(1.0), double(3.0)
    other = tf.make_template("double", layer, factor=1.0)
    c = other(5.0)
    assert [value.tolist() for value in values(a, b, c)] == [[2], [6], [5]]
    assert [variable.name for variable in tf.global_variables()] == ["double/w:0", "double_1/w:0"]
    assert double.trainable_variables == double.variables == tf.global_variables()[:1]
    assert (double.name, double.variable_scope_name) == ("double", "double/")

    careless = tf.make_template("careless", lambda: tf.Variable(0.0))
    careless()
    with pytest.raises(ValueError, match="get_variable"):
        careless()

    now = tf.make_template("now", layer, create_scope_now_=True, factor=1.0)
    assert now.variable_scope.name == "now"
    now(1.0)
    now(1.0)
    assert len(now.variables) == 1
