"""Small updates of variables as one parallel loop."""

import threading

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw

rng = np.random.default_rng(11)
PASS = "updates"
SHAPES = [(3, 5), (), (7,), (2, 1, 3), (0, 4), (33, 65), (1,)]

OPTIMIZERS = {
    "gradient descent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda: tf.train.AdamOptimizer(0.1),
    "adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "adagrad da": lambda: tf.train.AdagradDAOptimizer(
        0.1, tf.train.get_or_create_global_step(), l1_regularization_strength=0.01
    ),
    "adadelta": lambda: tf.train.AdadeltaOptimizer(0.1),
    "rmsprop": lambda: tf.train.RMSPropOptimizer(0.1, momentum=0.5),
    "centred rmsprop": lambda: tf.train.RMSPropOptimizer(0.1, centered=True),
    "ftrl": lambda: tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
    "proximal gradient descent": lambda: tf.train.ProximalGradientDescentOptimizer(0.1, 0.01, 0.01),
    "proximal adagrad": lambda: tf.train.ProximalAdagradOptimizer(0.1, 0.1, 0.01, 0.01),
}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def session(disabled=(), **options):
    made = tf.Session(config=tf.ConfigProto(disabled_passes=list(disabled), **options))
    made.run(tf.global_variables_initializer())
    return made


def variable(*shape, dtype=np.float32, **options):
    return tf.Variable(rng.standard_normal(shape).astype(dtype), use_resource=True, **options)


def loss_of(variables):
    terms = [tf.reduce_sum(tf.sin(tf.cast(v, tf.float32) * (i + 1.0))) for i, v in enumerate(variables)]
    return tf.add_n(terms)


def joined(sess, target):
    return sum("_Joined" in line for line in sess.describe_plan(target).splitlines())


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("lanes", [1, 2])
def test_every_rule_computes_the_same_joined(name, lanes):
    variables = [variable(*shape) for shape in SHAPES]
    train = OPTIMIZERS[name]().minimize(loss_of(variables), global_step=tf.train.get_or_create_global_step())
    found = []
    for disabled in ([], [PASS]):
        with session(disabled, inter_op_parallelism_threads=lanes) as sess:
            assert (joined(sess, train) > 0) == (not disabled)
            for _ in range(3):
                sess.run(train)
            found.append(sess.run(tf.global_variables()))
    for got, want in zip(*found):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, tf.bfloat16.as_numpy_dtype])
def test_variables_of_one_dtype_are_joined(dtype):
    variables = [variable(5, dtype=dtype), variable(4), variable(3, dtype=dtype), variable(2)]
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss_of(variables))
    found = []
    for disabled in ([], [PASS]):
        with session(disabled) as sess:
            assert joined(sess, train) == (0 if disabled else 2)
            sess.run(train)
            found.append(sess.run(variables))
    for got, want in zip(*found):
        np.testing.assert_array_equal(got, want)


def test_variables_given_as_references_are_joined():
    variables = [tf.Variable(rng.standard_normal(n).astype(np.float32), use_resource=False) for n in (3, 4)]
    train = tf.train.GradientDescentOptimizer(0.5).minimize(loss_of(variables))
    with session() as sess:
        before = sess.run(variables)
        assert joined(sess, train) == 1
        sess.run(train)
        for i, (old, new) in enumerate(zip(before, sess.run(variables))):
            want = old - 0.5 * (i + 1) * np.cos(old * (i + 1))
            np.testing.assert_allclose(new, want, rtol=1e-5, atol=1e-6)


def test_updates_after_one_another_stay_so():
    v, w = variable(4), variable(4)
    descend = tf.train.GradientDescentOptimizer(1.0)
    first = descend.apply_gradients([(tf.ones([4]), v)])
    with tf.control_dependencies([first]):
        second = descend.apply_gradients([(v.read_value(), w)])
    with session() as sess:
        before = sess.run([v, w])
        assert joined(sess, second) == 0
        sess.run(second)
        after = sess.run([v, w])
    np.testing.assert_allclose(after[0], before[0] - 1)
    np.testing.assert_allclose(after[1], before[1] - after[0])


def test_what_comes_after_an_update_comes_after_all():
    variables = [variable(3) for _ in range(40)]
    before = [v.read_value() for v in variables]
    with tf.control_dependencies([tf.identity(value) for value in before]):
        train = tf.train.GradientDescentOptimizer(1.0).apply_gradients([(tf.ones([3]), v) for v in variables])
    with tf.control_dependencies([train]):
        after = [v.read_value() for v in variables]
    with session() as sess:
        assert joined(sess, train) == 3
        old, new = sess.run([before, after])
    np.testing.assert_allclose(np.array(old) - 1, new, rtol=1e-6)


def test_two_handles_of_one_variable():
    """One update comes after the other, as it would if they were apart."""
    handles = [raw.VarHandleOp(dtype=tf.float32, shape=[3], shared_name="twice") for _ in range(2)]
    handles.append(raw.VarHandleOp(dtype=tf.float32, shape=[2], shared_name="once"))
    starts = [
        raw.AssignVariableOp(resource=handles[0], value=tf.zeros([3])),
        raw.AssignVariableOp(resource=handles[2], value=tf.zeros([2])),
    ]
    updates = [
        raw.ResourceApplyGradientDescent(var=handle, alpha=-1.0, delta=tf.fill([size], amount))
        for handle, size, amount in zip(handles, (3, 3, 2), (1.0, 2.0, 4.0))
    ]
    both = tf.group(*updates)
    reads = [raw.ReadVariableOp(resource=handles[i], dtype=tf.float32) for i in (1, 2)]
    with tf.Session() as sess:
        sess.run(starts)
        assert joined(sess, both) == 1
        sess.run(both)
        twice, once = sess.run(reads)
    np.testing.assert_array_equal(twice, [3, 3, 3])
    np.testing.assert_array_equal(once, [4, 4])


def test_large_updates_are_not_joined():
    variables = [variable(600, 500), variable(600, 500)]
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss_of(variables))
    with session() as sess:
        assert joined(sess, train) == 0


def test_updates_that_wait_for_others_are_not_joined_to_those_that_do_not():
    """The enqueue comes after the one update, the dequeue before the other: joined, they would never end."""
    v, w = variable(3), variable(3)
    queue = tf.FIFOQueue(1, [tf.float32], [[3]])
    descend = tf.train.GradientDescentOptimizer(1.0)
    first = descend.apply_gradients([(tf.ones([3]), v)])
    with tf.control_dependencies([first]):
        enqueue = queue.enqueue([tf.ones([3])])
    second = descend.apply_gradients([(queue.dequeue(), w)])
    both = tf.group(first, enqueue, second)
    with session() as sess:
        before = sess.run([v, w])
        sess.run(both, options=tf.RunOptions(timeout_in_ms=20_000))
        after = sess.run([v, w])
    np.testing.assert_allclose(np.array(before) - 1, after, rtol=1e-6)


def test_a_variable_without_a_value_is_named_and_none_is_changed():
    known, unknown = variable(3, name="known"), variable(3, name="unknown")
    train = tf.train.GradientDescentOptimizer(1.0).minimize(loss_of([known, unknown]))
    pairs = [(tf.ones([3]), v) for v in (known, unknown)]
    update = tf.train.GradientDescentOptimizer(1.0).apply_gradients(pairs)
    with tf.Session() as sess:
        sess.run(known.initializer)
        before = sess.run(known)
        for step in (train, update):
            with pytest.raises(tf.errors.FailedPreconditionError, match="unknown"):
                sess.run(step)
        np.testing.assert_array_equal(sess.run(known), before)


def test_a_fetched_value_is_not_changed_by_later_steps():
    variables = [variable(3) for _ in range(3)]
    update = tf.train.GradientDescentOptimizer(1.0).apply_gradients([(tf.ones([3]), v) for v in variables])
    with session() as sess:
        held = sess.run(variables)
        copies = [value.copy() for value in held]
        sess.run(update)
        for value, copy, new in zip(held, copies, sess.run(variables)):
            np.testing.assert_array_equal(value, copy)
            np.testing.assert_allclose(new, copy - 1, rtol=1e-6)


def test_steps_at_the_same_time_lose_nothing():
    variables = [tf.Variable(np.zeros(n, np.float32), use_resource=True) for n in range(1, 50)]
    descend = tf.train.GradientDescentOptimizer(1.0)
    pairs = [(tf.fill([n], -1.0), v) for n, v in enumerate(variables, 1)]
    forwards, backwards = descend.apply_gradients(pairs), descend.apply_gradients(pairs[::-1])
    with session() as sess:
        assert joined(sess, forwards) > 1 and joined(sess, backwards) > 1
        threads = [
            threading.Thread(target=lambda step=step: [sess.run(step) for _ in range(50)])
            for step in (forwards, backwards, forwards, backwards)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for value in sess.run(variables):
            np.testing.assert_array_equal(value, np.full(value.shape, 200, np.float32))
