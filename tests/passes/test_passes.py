"""Each pass: what it leaves of a graph, and that values stay the same without it."""

import numpy as np
import pytest

import headrace as tf
from headrace import _core

NAMES = [name for name, _ in _core.passes()]


def plans(build, feeds, disabled):
    """(plan with all passes but fusion, plan without `disabled` too), after checking that the values agree.

    Fused nodes would hide what the other passes leave; tests/passes/test_fusion.py is about them.
    """
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [2, 2], name="x")
        fetched = build(x)
        texts, values = [], []
        for names in (["fusion"], ["fusion", *disabled]):
            with tf.Session(config=tf.ConfigProto(disabled_passes=names)) as sess:
                texts.append(sess.describe_plan(fetched, {x: feeds}))
                values.append(sess.run(fetched, {x: feeds}))
    np.testing.assert_array_equal(values[0], values[1])
    return texts


X = np.array([[1.0, -2.0], [0.5, 4.0]], np.float32)


def test_they_are_named_in_order():
    assert [
        *("unread", "constant_folding", "waits", "identities", "algebra"),
        *("common_subexpressions", "loop_sums", "products", "post_operations", "fusion", "updates"),
    ] == NAMES


def test_constants_are_folded():
    with_it, without = plans(lambda x: x * tf.exp(tf.constant([0.0, 1.0])), X, ["constant_folding"])
    assert "Exp" not in with_it
    assert "Exp" in without


def test_shapes_are_folded():
    build = lambda x: tf.reshape(x, tf.stack([tf.size(x) // 2, tf.shape(tf.tanh(x))[1]]))  # noqa: E731
    with_it, _ = plans(build, X, ["constant_folding"])
    assert "Pack" not in with_it and "rest" not in with_it


def test_identities_are_removed():
    build = lambda x: tf.exp(tf.identity(tf.identity(x)))  # noqa: E731
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [2, 2])
        y = build(x)
        with tf.Session() as sess:
            assert "Identity" not in sess.describe_plan(y, {x: X})


@pytest.mark.parametrize(
    "build",
    [
        lambda x: x + 0.0,
        lambda x: 0.0 + x,
        lambda x: x - 0.0,
        lambda x: x * 1.0,
        lambda x: x / 1.0,
        lambda x: tf.negative(-x),
        lambda x: tf.abs(tf.abs(tf.sin(x))),
    ],
)
def test_algebra_removes_what_changes_nothing(build):
    with_it, without = plans(lambda x: tf.exp(build(x)), X, ["algebra"])
    assert len(with_it.splitlines()) < len(without.splitlines())


def test_algebra_keeps_what_broadcasts():
    with_it, _ = plans(lambda x: tf.exp(x[:1]) * tf.ones([2, 2]), X, ["algebra"])
    assert "Mul" in with_it


def test_common_subexpressions_are_computed_once():
    build = lambda x: tf.exp(x + x[0, 0]) * tf.exp(x[0, 0] + x)  # noqa: E731
    with_it, without = plans(build, X, ["common_subexpressions"])
    assert with_it.count("  Exp ") == 1
    assert without.count("  Exp ") == 2


def test_random_numbers_and_effects_are_not_merged():
    with tf.Graph().as_default():
        a, b = tf.random_uniform([3]), tf.random_uniform([3])
        v = tf.Variable(0.0)
        both = tf.group(v.assign_add(1.0), v.assign_add(1.0))
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            first, second = sess.run([a, b])
            assert not np.array_equal(first, second)
            sess.run(both)
            assert sess.run(v) == 2.0


def test_an_unknown_pass_is_refused():
    with (
        tf.Graph().as_default(),
        pytest.raises(tf.errors.InvalidArgumentError, match="did you mean 'algebra'"),
    ):
        tf.Session(config=tf.ConfigProto(disabled_passes=["algebr"]))


def test_all_passes_at_once_are_switched_off_by_the_published_option():
    config = tf.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Graph().as_default():
        five = tf.constant(2.0) + tf.constant(3.0)
        with tf.Session(config=config) as plain, tf.Session() as rewriting:
            assert "AddV2" in plain.describe_plan(five)
            assert "AddV2" not in rewriting.describe_plan(five)
            assert plain.run(five) == rewriting.run(five) == 5.0


def test_waits_for_what_has_no_effects_go():
    def build(x):
        y = tf.exp(x)
        with tf.control_dependencies([y]):
            return y + tf.exp(x)

    with_it, without = plans(build, X, ["waits"])
    assert with_it.count("Exp '") == 1 and without.count("Exp '") == 2


def test_waits_that_keep_the_order_of_effects_stay():
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", [], initializer=tf.zeros_initializer(), use_resource=True)
        read = v.read_value() * 2.0
        with tf.control_dependencies([read]):
            assigned = v.assign_add(1.0)
        with tf.control_dependencies([assigned]):
            after = tf.identity(tf.constant(1.0)) * v.read_value()
        session.run(v.initializer)
        assert [session.run([read, after]) for _ in range(3)] == [[0, 1], [2, 2], [4, 3]]


def test_a_wait_that_alone_keeps_a_check_stays():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [])
        with tf.control_dependencies([tf.check_numerics(x, "not finite")]):
            y = tf.identity(x)
        assert session.run(y, {x: 1.0}) == 1.0
        with pytest.raises(tf.errors.InvalidArgumentError, match="not finite"):
            session.run(y, {x: float("nan")})
