"""Supervisors: sessions that are initialised or restored, and saved in the background."""

import os
import time

import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def wait_until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def tags(supervisor, folder):
    """The tags of all summaries in the folder."""
    supervisor.summary_writer.flush()
    return {
        value.tag
        for name in os.listdir(folder)
        if "tfevents" in name
        for event in tf.train.summary_iterator(os.path.join(folder, name))
        for value in event.summary.value
    }


def test_training_is_saved_and_goes_on(tmp_path):
    folder = str(tmp_path)
    for expected in (0, 5):
        with tf.Graph().as_default():
            step = tf.train.get_or_create_global_step()
            bump = step.assign_add(1).op
            tf.summary.scalar("step", step)
            supervisor = tf.train.Supervisor(logdir=folder, save_summaries_secs=0.05, save_model_secs=0)
            with supervisor.managed_session() as session:
                assert session.run(step) == expected
                for _ in range(5):
                    session.run(bump)
                if expected == 0:
                    supervisor.saver.save(session, supervisor.save_path, global_step=step)

                wait_until(
                    lambda supervisor=supervisor: {"step", "global_step/sec"} <= tags(supervisor, folder)
                )
                assert not supervisor.should_stop()
            assert supervisor.should_stop()
    assert os.path.exists(os.path.join(folder, "graph.pbtxt"))


def test_checkpoints_in_the_background(tmp_path):
    weight = tf.Variable(3.0, name="weight")
    supervisor = tf.train.Supervisor(logdir=str(tmp_path), save_model_secs=0.05, global_step=None)
    with supervisor.managed_session() as session:
        wait_until(lambda: tf.train.latest_checkpoint(str(tmp_path)))
        assert session.run(weight) == 3
    reader = tf.train.NewCheckpointReader(os.path.join(str(tmp_path), "model.ckpt"))
    assert reader.get_tensor("weight") == 3


def test_errors_and_the_end_of_the_data():
    tf.Variable(1.0)
    supervisor = tf.train.Supervisor()
    with supervisor.managed_session():
        raise tf.errors.OutOfRangeError(None, None, "no more data")
    with pytest.raises(KeyError), supervisor.managed_session():
        raise KeyError("mine")
    with pytest.raises(RuntimeError, match="no summary writer"):
        supervisor.summary_computed(None, b"")


def test_queues_and_loops():
    queue = tf.FIFOQueue(3, tf.int32, shapes=[[]])
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [queue.enqueue(7)]))
    taken = queue.dequeue()
    calls = []
    supervisor = tf.train.Supervisor(init_fn=lambda session: calls.append("init"))
    with supervisor.managed_session() as session:
        supervisor.loop(0.01, calls.append, ("loop",))
        assert [session.run(taken) for _ in range(10)] == [7] * 10
        wait_until(lambda: "loop" in calls)
    assert calls[0] == "init"
    with pytest.raises(RuntimeError, match="only the chief"):
        tf.train.Supervisor(is_chief=False).start_standard_services(None)
