"""Placement and partitioning, seen in plans for the null device, which computes nothing."""

import numpy as np
import pytest

import headrace as tf


def config(**options):
    return tf.ConfigProto(device_count={"NULL": 1}, **options)


def on_null(build):
    with tf.device("/device:NULL:0"):
        return build()


def test_everything_on_one_device_is_one_segment_without_transfers():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [2, 3])
        y = tf.reduce_sum(tf.tanh(x))
        with tf.Session() as sess:
            plan = sess.describe_plan(y, {x: np.ones((2, 3))})
    assert plan.count("segment on") == 1
    assert "Send" not in plan and "Recv" not in plan


def test_what_crosses_devices_is_sent_and_received_once():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [2, 3], name="x")
        a, b = on_null(lambda: (tf.exp(x, name="a"), tf.sin(x, name="b")))
        y = tf.add(a, b, name="y")
        with tf.Session(config=config()) as sess:
            plan = sess.describe_plan(y, {x: np.ones((2, 3))})
            assert sess.run(y, {x: np.ones((2, 3))}).tolist() == [[0.0] * 3] * 2
    sends = [line for line in plan.splitlines() if line.startswith("Send")]
    assert len(sends) == 3  # x goes over once though two read it; a and b come back
    null = plan.split("segment on /device:NULL:0")[1].split("segment on")[0]
    assert "Exp 'a'" in null and "Sin 'b'" in null and "'y'" not in null


def null_segments(plan):
    """The text of all segments on the null device."""
    return "".join(text for text in plan.split("segment on ") if text.startswith("/device:NULL:0"))


def test_control_edges_across_devices_order_the_segments():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [])
        first = on_null(lambda: tf.exp(x, name="first"))
        with tf.control_dependencies([first]):
            second = tf.exp(x, name="second")
        with tf.Session(config=config()) as sess:
            plan = sess.describe_plan(second, {x: 0.0})
            assert sess.run(second, {x: 0.0}) == 1.0
    assert plan.index("'first'") < plan.index("'second'")
    assert "'first'" in null_segments(plan) and "'second'" not in null_segments(plan)


def test_variables_keep_their_operations_with_them():
    with tf.Graph().as_default():
        v = on_null(lambda: tf.Variable([1.0, 2.0], name="v"))
        update = v.assign_add([1.0, 1.0])
        with tf.Session(config=config()) as sess:
            plan = sess.describe_plan(update)
    assert "AssignAddVariableOp" in null_segments(plan)


def test_a_device_that_is_not_there():
    with tf.Graph().as_default():
        with tf.device("/device:NULL:0"):
            y = tf.exp(tf.placeholder_with_default([0.0], [1]), name="y")
        with tf.Session(config=tf.ConfigProto(allow_soft_placement=True)) as sess:
            assert sess.run(y) == [1.0]
        error = pytest.raises(tf.errors.InvalidArgumentError, match=r"NULL.*devices are.*CPU")
        with tf.Session(config=tf.ConfigProto()) as sess, error:
            sess.run(y)


def test_what_depends_on_data_is_planned_when_it_is_known():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None])
        picked = tf.boolean_mask(x, x > 0)
        y = tf.reduce_sum(picked * 2, name="y")
        with tf.Session() as sess:
            plan = sess.describe_plan(y, {x: [1.0, -1.0, 3.0]})
            assert sess.run(y, {x: [1.0, -1.0, 3.0]}) == 8.0
            assert sess.run(y, {x: [-1.0]}) == 0.0
    assert "rest, planned once the shapes are known" in plan
    assert "Sum 'y'" in plan.split("rest")[1]
