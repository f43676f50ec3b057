"""Losses, clipping and metrics: what they refuse, and what they remember."""

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_losses_are_collected():
    first = tf.losses.mean_squared_error([1.0], [2.0])
    with tf.variable_scope("part"):
        second = tf.losses.absolute_difference([1.0], [2.0])
    tf.losses.hinge_loss([1.0], [2.0], loss_collection=None)
    assert tf.losses.get_losses() == [first, second]
    assert tf.losses.get_losses("part") == [second]
    assert first.name == "mean_squared_error/value:0"
    assert second.name == "part/absolute_difference/value:0"
    assert tf.losses.get_total_loss().name == "total_loss:0"


def test_loss_has_the_dtype_of_its_elements():
    for dtype in (tf.float16, tf.float32, tf.float64):
        loss = tf.losses.compute_weighted_loss(tf.constant([1.0, 2.0], dtype), [1.0, 0.0])
        assert loss.dtype == dtype
        with tf.Session() as session:
            assert session.run(loss) == 1.0


def test_no_gradient_flows_into_labels_of_softmax():
    labels, logits = tf.constant([[0.3, 0.7]]), tf.constant([[1.0, 2.0]])
    loss = tf.losses.softmax_cross_entropy(labels, logits)
    assert tf.gradients(loss, [labels, logits])[0] is None


def test_weights_that_do_not_fit():
    with pytest.raises(ValueError, match=r"weights have shape \(3,\)"):
        tf.losses.mean_squared_error(tf.zeros([2, 3]), tf.zeros([2, 3]), tf.zeros([3]))
    # What only the run can tell must not broadcast the losses up.
    weights = tf.placeholder(tf.float32, None)
    loss = tf.losses.mean_squared_error(tf.zeros([4]), tf.ones([4]), weights)
    with tf.Session() as session:
        assert session.run(loss, {weights: [1.0, 1.0, 1.0, 0.0]}) == 1.0
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(loss, {weights: np.ones([4, 1])})


def test_errors():
    with pytest.raises(ValueError, match="reduction"):
        tf.losses.mean_squared_error([1.0], [1.0], reduction="mean")
    with pytest.raises(ValueError, match="shape"):
        tf.losses.log_loss(tf.zeros([2]), tf.zeros([3]))
    with pytest.raises(ValueError, match="None"):
        tf.losses.huber_loss(None, [1.0])
    with pytest.raises(ValueError, match="axis"):
        tf.losses.cosine_distance([1.0], [1.0])
    with pytest.raises(ValueError, match="no losses"):
        tf.losses.get_total_loss()
    with pytest.raises(TypeError, match="list"):
        tf.global_norm(tf.zeros([2]))
    with pytest.raises(ValueError, match="curve"):
        tf.metrics.auc([1], [0.5], curve="roc")
    with pytest.raises(ValueError, match="labels have shape"):
        tf.metrics.accuracy(tf.zeros([2]), tf.zeros([3]))


def test_gradient_of_clipping_is_finite_at_zero():
    x = tf.zeros([3])
    (gradient,) = tf.gradients(tf.clip_by_norm(x, 1.0), x)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(gradient), [1.0, 1.0, 1.0])


def test_global_norm_of_nothing_is_zero():
    clipped, norm = tf.clip_by_global_norm([None, None], 1.0)
    assert clipped == [None, None]
    with tf.Session() as session:
        assert session.run([norm, tf.global_norm([])]) == [0.0, 0.0]


def test_metrics_of_one_name_do_not_share_variables():
    labels = tf.constant([1, 0, 1])
    _, first = tf.metrics.accuracy(labels, tf.constant([1, 1, 1]))
    value, second = tf.metrics.accuracy(labels, labels, name="accuracy")
    third, _ = tf.metrics.accuracy(labels, labels)
    assert [var.name for var in tf.local_variables()] == [
        "accuracy/total:0",
        "accuracy/count:0",
        "accuracy_1/total:0",
        "accuracy_1/count:0",
        "accuracy_2/total:0",
        "accuracy_2/count:0",
    ]
    with tf.Session() as session:
        session.run(tf.local_variables_initializer())
        assert session.run([first, second]) == [pytest.approx(2 / 3), 1.0]
        assert session.run([value, third]) == [1.0, 0.0]


def test_collections_of_metrics():
    value, update = tf.metrics.mean([1.0, 3.0], metrics_collections=["values"], updates_collections="updates")
    assert tf.get_collection("values") == [value] and tf.get_collection("updates") == [update]
