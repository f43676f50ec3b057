"""Initializers and regularizers of `tf.contrib.layers`."""

import numpy as np
import pytest

import headrace as tf

layers = tf.contrib.layers


@pytest.fixture(autouse=True)
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


@pytest.mark.parametrize(
    "shape,options,limit",
    [
        ([50, 2000], {}, np.sqrt(1.3 * 2 / 50) * 2),
        ([50, 2000], {"factor": 1.0, "mode": "FAN_OUT"}, np.sqrt(1.3 / 2000) * 2),
        ([3, 3, 40, 80], {"factor": 1.0, "mode": "FAN_AVG", "uniform": True}, np.sqrt(3 / 540)),
    ],
)
def test_initializers_are_cut_off(session, shape, options, limit):
    numbers = session.run(layers.variance_scaling_initializer(**options, seed=1)(shape, tf.float32))
    assert numbers.shape == tuple(shape)
    assert 0.99 * limit < np.abs(numbers).max() <= limit * (1 + 1e-6)
    assert abs(numbers.mean()) < limit / 50


def test_xavier(session):
    v = tf.get_variable("v", [30, 70], initializer=layers.xavier_initializer(seed=1))
    session.run(tf.global_variables_initializer())
    assert 0.9 < np.abs(session.run(v)).max() / np.sqrt(3 / 50) <= 1
    assert layers.xavier_initializer_conv2d is layers.xavier_initializer
    with pytest.raises(ValueError, match="FAN_IN"):
        layers.variance_scaling_initializer(mode="fan_in")
    with pytest.raises(ValueError, match="int32"):
        layers.xavier_initializer(dtype=tf.int32)


def test_penalties(session):
    x = tf.constant([3.0, -2.0])
    given = [
        layers.l1_regularizer(0.1),
        layers.l2_regularizer(0.1),
        layers.l1_l2_regularizer(0.1, 0.2),
        layers.sum_regularizer([layers.l1_regularizer(1.0), None, layers.l2_regularizer(0.0)]),
    ]
    penalties = [one(x) for one in given]
    assert [one.op.name for one in penalties] == [
        *("l1_regularizer", "l2_regularizer", "l1_l2_regularizer", "sum_regularizer")
    ]
    assert session.run(penalties) == pytest.approx([0.5, 0.65, 1.8, 5.0])
    assert layers.l2_regularizer(0.0)(x) is None
    for wrong in (1, -1.0, "x", float("nan")):
        with pytest.raises(ValueError, match="scale is"):
            layers.l2_regularizer(wrong)


def test_penalties_are_collected(session):
    v = tf.get_variable("v", initializer=[2.0], regularizer=layers.l2_regularizer(0.5))
    assert [one.op.name for one in tf.losses.get_regularization_losses()] == ["v/Regularizer/l2_regularizer"]
    total = layers.apply_regularization(layers.l2_regularizer(0.5), [v, v])
    assert total.op.name == "get_regularization_penalty"
    assert total in tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    session.run(tf.global_variables_initializer())
    assert session.run(total) == 2
    tf.add_to_collection(tf.GraphKeys.WEIGHTS, v)
    assert session.run(layers.apply_regularization(layers.l1_regularizer(1.0))) == 2
    assert session.run(layers.apply_regularization(None)) == 0
    with pytest.raises(ValueError, match="no weights"):
        layers.apply_regularization(layers.l1_regularizer(1.0), [])
    with pytest.raises(ValueError, match="gives scalars"):
        layers.apply_regularization(lambda weights: weights, [tf.constant([1.0])])
