"""Moving averages, learning rates and the global step: what the recorded programs do not show."""

import numpy as np
import pytest

import headrace as tf
from headrace.train import moving_averages


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def test_assign_moving_average():
    average = tf.get_variable("average", initializer=np.float32(0.0))
    value = tf.placeholder(tf.float32, [])
    plain = moving_averages.assign_moving_average(average, value, 0.75, zero_debias=False)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert [session.run(plain, {value: v}) for v in (4.0, 4.0)] == [1.0, 1.75]


def test_unbiased_average_of_a_constant_is_the_constant():
    average = tf.get_variable("average", initializer=np.float32(0.0))
    update = moving_averages.assign_moving_average(average, 4.0, 0.75)
    assert sorted(var.op.name for var in tf.global_variables()) == [
        "average",
        "average/biased",
        "average/local_step",
    ]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose([session.run(update) for _ in range(4)], 4.0, rtol=1e-6)


def test_weighted_average():
    value, weight = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [])
    average = moving_averages.weighted_moving_average(value, 0.5, weight, name="mean")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(average, {value: 1.0, weight: 1.0})
        # (0.5 * 0.5 * 1 + 0.5 * 3 * 5) / (0.5 * 0.5 + 0.5 * 3)
        assert session.run(average, {value: 5.0, weight: 3.0}) == pytest.approx(7.75 / 1.75)


def test_average_refuses_integers_and_repetition():
    ema = tf.train.ExponentialMovingAverage(0.9)
    w = tf.get_variable("w", initializer=np.float32(1.0))
    count = tf.get_variable("count", initializer=np.int32(1), trainable=False)
    ema.apply()
    assert ema.average(w).op.name == "w/ExponentialMovingAverage"
    assert tf.moving_average_variables() == [w]
    assert ema.average(count) is None and ema.average_name(count) == "count/ExponentialMovingAverage"
    with pytest.raises(ValueError, match="already"):
        ema.apply([w])
    with pytest.raises(TypeError, match="int32"):
        ema.apply([count])


def test_schedules_need_a_step_and_keep_the_dtype():
    with pytest.raises(ValueError, match="global_step"):
        tf.train.exponential_decay(0.1, None, 10, 0.5)
    rate = tf.constant(0.5, tf.float64)
    step = tf.train.get_or_create_global_step()
    assert tf.train.cosine_decay(rate, step, 10).dtype == tf.float64
    assert tf.train.exponential_decay(0.1, step, 10, 0.5).name == "ExponentialDecay:0"


def test_noise_of_the_schedule_falls():
    tf.set_random_seed(3)
    step = tf.placeholder(tf.int64, [])
    rate = tf.train.noisy_linear_cosine_decay(1.0, step, 1000, initial_variance=4.0, variance_decay=1.0)
    with tf.Session() as session:
        early = [session.run(rate, {step: 1}) for _ in range(200)]
        late = [session.run(rate, {step: 500}) for _ in range(200)]
    assert np.std(early) > 5 * np.std(late) > 0


def test_piecewise_constant_refuses():
    step = tf.constant(1, tf.int64)
    with pytest.raises(ValueError, match="one value more"):
        tf.train.piecewise_constant(step, [1], [1.0])
    with pytest.raises(ValueError, match="agree"):
        tf.train.piecewise_constant(step, [1.5], [1.0, 2.0])
    with pytest.raises(ValueError, match="one dtype"):
        tf.train.piecewise_constant(step, [1], [1.0, 2])


def test_global_step_is_found_by_name_and_checked(graph):
    assert tf.train.get_global_step() is None
    step = tf.Variable(3, name="global_step", trainable=False)
    assert tf.train.get_global_step() is step
    with tf.Session() as session:
        session.run(step.initializer)
        assert tf.train.global_step(session, step) == 3
    with pytest.raises(TypeError, match="integer"):
        tf.train.assert_global_step(tf.constant(1.0))
    with pytest.raises(TypeError, match="scalar"):
        tf.train.assert_global_step(tf.constant([1]))
