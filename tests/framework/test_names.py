import re

import pytest

import headrace as tf


def names(*tensors):
    return [tensor.op.name for tensor in tensors]


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_names_are_unique_without_regard_to_case():
    made = names(*[tf.constant(1, name=name) for name in ["a", "A", "a", "a_1", "b", "a", "A_1"]])
    assert made == ["a", "A_1", "a_2", "a_1_1", "b", "a_3", "A_1_2"]
    assert len({name.lower() for name in made}) == len(made)


def test_nested_scopes():
    with tf.name_scope("s") as outer:
        assert outer == "s/"
        assert tf.constant(1, name="c").op.name == "s/c"
        with tf.name_scope("s") as inner:
            assert inner == "s/s/"
            assert names(tf.constant(1, name="c"), tf.constant(1, name="C")) == ["s/s/c", "s/s/C_1"]
        with tf.name_scope(outer) as again:
            assert again == outer
            assert tf.constant(1, name="c").op.name == "s/c_1"
        for root in (None, ""):
            with tf.name_scope(root) as scope:
                assert scope == ""
    with tf.name_scope("s") as second:
        assert second == "s_1/"
    with tf.name_scope("S") as third:
        assert third == "S_2/"
    assert tf.get_default_graph().get_name_scope() == ""


def test_scope_is_left_after_an_error():
    with pytest.raises(RuntimeError), tf.name_scope("s"):
        raise RuntimeError
    assert tf.constant(1, name="c").op.name == "c"


def test_scope_defaults():
    with tf.name_scope(None, "default", [tf.constant(1)]) as scope:
        assert scope == "default/"
    with tf.name_scope("given", "default") as scope:
        assert scope == "given/"
    with pytest.raises(ValueError), tf.name_scope(None, None, [tf.constant(1)]):
        pass
    with pytest.raises(TypeError):
        tf.name_scope(3)


def test_scope_of_values_in_another_graph():
    other = tf.Graph()
    with other.as_default():
        a = tf.constant(1)
    with tf.name_scope("s", values=[a]):
        assert tf.get_default_graph() is other
    with pytest.raises(ValueError, match="another graph"), tf.name_scope("s", values=[a, tf.constant(1)]):
        pass


@pytest.mark.parametrize("bad", ["_x", "a b", "-", "a:0", "ä"])
def test_bad_names(graph, bad):
    with pytest.raises(ValueError):
        tf.constant(1, name=bad)
    with pytest.raises(ValueError), graph.name_scope(bad):
        pass
    with graph.name_scope("s"), graph.name_scope("_x") as scope:
        assert scope == "s/_x/"


def test_unique_name(graph):
    assert [graph.unique_name("q"), graph.unique_name("q")] == ["q", "q_1"]
    assert graph.unique_name("q", mark_as_used=False) == "q_2"
    assert graph.unique_name("q") == "q_2"


def test_name_with_slash_is_taken_as_it_is():
    assert tf.placeholder(tf.float32, name="p/").op.name == "p"
    with pytest.raises(tf.errors.AlreadyExistsError, match="p"):
        tf.placeholder(tf.float32, name="p/")


def test_every_node_knows_the_users_line():
    a = tf.constant(1)
    assert re.fullmatch(r"test_names\.py:\d+", a.op.source)
    with pytest.raises(ValueError, match=r"test_names\.py:\d+"):
        tf.get_default_graph().create_op("MatMul", [tf.constant([1.0]), tf.constant([[1.0]])])
