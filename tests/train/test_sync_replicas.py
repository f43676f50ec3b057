"""Synchronous training: workers are threads of one process, each with gradients and a step of its own."""

import threading
import time

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


class Cluster:
    """A chief and some workers that train one model in one session.

    Args:
      workers: how many there are.
      needed: how many gradients of a step an update waits for.
      loss: makes the loss out of a worker's inputs.
      rate: the learning rate.
      tokens: how many workers may go on before the first update.
    """

    def __init__(self, workers, needed, loss, rate=0.1, tokens=-1):
        self.step = tf.train.get_or_create_global_step()
        self.inputs = [tf.placeholder(tf.float32) for _ in range(workers)]
        self.optimizers, self.trains = [], []
        for x in self.inputs:
            optimizer = tf.train.SyncReplicasOptimizer(
                tf.train.GradientDescentOptimizer(rate), needed, total_num_replicas=workers
            )
            self.trains.append(optimizer.minimize(loss(x), global_step=self.step))
            self.optimizers.append(optimizer)
        self.chief = self.optimizers[0]
        self.runner = self.chief.get_chief_queue_runner()
        self.first_tokens = self.chief.get_init_tokens_op(tokens)

    def start(self, session):
        session.run(tf.global_variables_initializer())
        session.run([optimizer.chief_init_op for optimizer in self.optimizers[:1]])
        session.run([optimizer.local_step_init_op for optimizer in self.optimizers])
        self.coord = tf.train.Coordinator((tf.errors.OutOfRangeError, tf.errors.CancelledError))
        self.runner.create_threads(session, self.coord, daemon=True, start=True)
        session.run(self.first_tokens)


def test_workers_train_as_one():
    """With all gradients waited for, the result is that of one worker on all the data."""
    random = np.random.RandomState(0)
    data = random.randn(4, 16, 3).astype(np.float32)
    truth = np.array([[1.0], [-2.0], [0.5]], np.float32)
    weight = tf.Variable(tf.zeros([3, 1]))
    bias = tf.Variable(tf.zeros([1]))

    def loss(x):
        x = tf.reshape(x, [16, 3])
        return tf.reduce_mean(tf.square(tf.matmul(x, weight) + bias - tf.matmul(x, truth)))

    cluster, steps = Cluster(4, 4, loss, tokens=0), 20
    # Without it one worker could go around twice, with the token of another.
    round_ended = threading.Barrier(4)
    with tf.Session() as session:
        cluster.start(session)

        def work(i):
            for _ in range(steps):
                session.run(cluster.trains[i], {cluster.inputs[i]: data[i]})
                round_ended.wait(60)

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        deadline = time.monotonic() + 60
        while session.run(cluster.step) < steps and time.monotonic() < deadline:
            time.sleep(0.01)
        trained, count = session.run([weight, cluster.step])
        cluster.coord.request_stop()
    expected, shift = np.zeros((3, 1)), np.zeros(1)
    whole = data.reshape(-1, 3).astype(np.float64)
    for _ in range(steps):
        error = whole @ expected + shift - whole @ truth
        expected, shift = (
            expected - 0.1 * 2 * whole.T @ error / len(whole),
            shift - 0.1 * 2 * error.mean(axis=0),
        )
    assert count == steps
    np.testing.assert_allclose(trained, expected, rtol=1e-4, atol=1e-5)


def test_spare_workers_make_up_for_slow_ones():
    """Two of three gradients are enough; the slow worker's are late, and do not count."""
    weight = tf.Variable(0.0)
    cluster, steps = Cluster(3, 2, lambda x: weight * x, rate=1.0), 10
    with tf.Session() as session:
        cluster.start(session)

        def work(i):
            with cluster.coord.stop_on_exception():
                while not cluster.coord.should_stop():
                    session.run(cluster.trains[i], {cluster.inputs[i]: 1.0})

        threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(2)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while session.run(cluster.step) < steps and time.monotonic() < deadline:
            time.sleep(0.005)
        # The slow one believes that it is step 0 still: whatever it computed is dropped.
        session.run(cluster.trains[2], {cluster.inputs[2]: 1e6})
        cluster.coord.request_stop()
        value, count = session.run([weight, cluster.step])
        assert count >= steps and -value <= count + 1


def test_rows_are_waited_for_too():
    table = tf.Variable(tf.zeros([4, 2]))
    cluster = Cluster(2, 2, lambda x: tf.reduce_sum(tf.gather(table, tf.cast(x, tf.int32))), rate=1.0)
    with tf.Session() as session:
        cluster.start(session)
        threads = [
            threading.Thread(
                target=session.run, args=(cluster.trains[i], {cluster.inputs[i]: [i, 3]}), daemon=True
            )
            for i in range(2)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while session.run(cluster.step) < 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        for thread in threads:
            thread.join(60)
        # The mean of a row is over those that have it.
        np.testing.assert_array_equal(session.run(table), [[-1, -1], [-1, -1], [0, 0], [-1, -1]])
        cluster.coord.request_stop()


def test_slots_and_averages_are_the_inner_optimizers():
    weight = tf.Variable(1.0)
    step = tf.train.get_or_create_global_step()
    averages = tf.train.ExponentialMovingAverage(0.5)
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.MomentumOptimizer(0.5, 0.9), 1, variable_averages=averages, variables_to_average=[weight]
    )
    train = optimizer.minimize(weight * 1.0, global_step=step)
    assert optimizer.get_slot_names() == ["momentum"]
    assert optimizer.get_slot(weight, "momentum") in optimizer.variables()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(optimizer.chief_init_op)
        coord = tf.train.Coordinator()
        optimizer.get_chief_queue_runner().create_threads(session, coord, daemon=True, start=True)
        session.run(train)
        deadline = time.monotonic() + 60
        while session.run(averages.average(weight)) == 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert session.run([weight, averages.average(weight)]) == [0.5, 0.75]
        coord.request_stop()


def test_misuse():
    weight = tf.Variable(1.0)
    optimizer = tf.train.SyncReplicasOptimizer(
        tf.train.GradientDescentOptimizer(0.1), 4, total_num_replicas=2
    )
    with pytest.raises(ValueError, match="call apply_gradients first"):
        optimizer.get_chief_queue_runner()
    with pytest.raises(ValueError, match="call apply_gradients first"):
        optimizer.get_init_tokens_op()
    with pytest.raises(ValueError, match="global_step is None"):
        optimizer.minimize(weight * 1.0)
    with pytest.raises(ValueError, match="no gradients"):
        optimizer.apply_gradients([])
    optimizer.minimize(weight * 1.0, global_step=tf.train.get_or_create_global_step())
    with pytest.raises(ValueError, match="need at least 2"):
        optimizer.get_init_tokens_op(1)
