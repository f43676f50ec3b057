"""Monitored sessions: initialising, restoring, hooks around steps, beginning anew."""

import logging
import os
import threading

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield
    tf.summary.FileWriterCache.clear()


def counting():
    """A global step and what adds one to it."""
    step = tf.train.get_or_create_global_step()
    return step, step.assign_add(1).op


def events(folder):
    return [
        event
        for name in sorted(os.listdir(folder))
        if "tfevents" in name
        for event in tf.train.summary_iterator(os.path.join(folder, name))
    ]


class Recorder(tf.train.SessionRunHook):
    """Notes what is called, and fetches or feeds what it is told."""

    def __init__(self, fetches=None, feed_dict=None):
        self.calls, self.results = [], []
        self._args = tf.train.SessionRunArgs(fetches, feed_dict)

    def begin(self):
        self.calls.append("begin")

    def after_create_session(self, session, coord):
        self.calls.append("create")

    def before_run(self, run_context):
        self.calls.append("before")
        self.asked = run_context.original_args
        return self._args

    def after_run(self, run_context, run_values):
        self.calls.append("after")
        self.results.append(run_values.results)

    def end(self, session):
        self.calls.append("end")


def test_hooks_are_called_in_order():
    x = tf.placeholder(tf.float32, [])
    double, weight = x * 2, tf.Variable(3.0)
    hook, other = Recorder([double, weight]), Recorder()
    with tf.train.MonitoredSession(hooks=[hook, other]) as session:
        assert session.run(double, {x: 4.0}) == 8
        assert session.run({"a": weight, "b": [double]}, {x: 1.0}) == {"a": 3, "b": [2]}
        assert not session.should_stop()
    assert session.should_stop()
    assert hook.calls == ["begin", "create", "before", "after", "before", "after", "end"]
    assert hook.results == [[8, 3], [2, 3]] and other.results == [None, None]
    assert hook.asked.feed_dict == {x: 1.0}
    with pytest.raises(RuntimeError, match="closed"):
        session.run(double, {x: 1.0})


def test_errors_end_without_the_hooks_end():
    hook = Recorder()
    with pytest.raises(KeyError), tf.train.MonitoredSession(hooks=[hook]):
        raise KeyError
    assert hook.calls[-1] == "create"
    with tf.train.MonitoredSession(hooks=[hook]):
        raise tf.errors.OutOfRangeError(None, None, "no more data")
    assert hook.calls[-1] == "end"


def test_hooks_may_feed_but_once():
    x = tf.placeholder(tf.float32, [])
    more = x + 1
    with tf.train.MonitoredSession(hooks=[tf.train.FeedFnHook(lambda: {x: 3.0})]) as session:
        assert session.run(more) == 4
        with pytest.raises(RuntimeError, match="fed by FeedFnHook and by another"):
            session.run(more, {x: 1.0})


def test_a_stop_hook_counts_from_where_it_is(tmp_path):
    bump = counting()[1]
    for last, hook in ((3, tf.train.StopAtStepHook(last_step=3)), (8, tf.train.StopAtStepHook(num_steps=5))):
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=str(tmp_path), hooks=[hook], log_step_count_steps=None
        ) as session:
            while not session.should_stop():
                session.run(bump)
            with pytest.raises(RuntimeError, match="a stop was requested"):
                session.run(bump)
        reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(str(tmp_path)))
        assert reader.get_tensor("global_step") == last


def test_training_writes_checkpoints_and_summaries(tmp_path):
    folder = str(tmp_path)
    step, bump = counting()
    tf.summary.scalar("loss", tf.cast(step, tf.float32) * 2)
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=folder, save_checkpoint_steps=4, save_summaries_steps=2, log_step_count_steps=3
    ) as session:
        for _ in range(10):
            session.run(bump)
    saved = sorted(
        int(name.split("-")[1].split(".")[0]) for name in os.listdir(folder) if name.endswith(".index")
    )
    assert saved == [0, 4, 8, 10]
    values = [
        (event.step, value.tag, value.simple_value)
        for event in events(folder)
        for value in event.summary.value
    ]
    assert [at for at, tag, _ in values if tag == "loss"] == [1, 3, 5, 7, 9]
    assert [at for at, tag, _ in values if tag == "global_step/sec"] == [4, 7, 10]
    assert all(rate > 0 for _, tag, rate in values if tag == "global_step/sec")
    assert os.path.exists(os.path.join(folder, "graph.pbtxt"))
    with tf.train.MonitoredTrainingSession(checkpoint_dir=folder) as session:
        assert session.run(step) == 10


def test_a_lost_session_is_made_again(tmp_path):
    step, bump = counting()
    lose = [True]

    class Loses(tf.train.SessionRunHook):
        def before_run(self, run_context):
            if lose and run_context.session.run(step) == 3:
                lose.clear()
                raise tf.errors.AbortedError(None, None, "lost")

    recorder = Recorder()
    with tf.train.MonitoredTrainingSession(
        checkpoint_dir=str(tmp_path), save_checkpoint_steps=2, hooks=[Loses(), recorder]
    ) as session:
        for _ in range(4):
            session.run(bump)
        # Of three steps, two were saved; the fourth call ran in a new session.
        assert session.run(step) == 3
    assert recorder.calls.count("create") == 2 and recorder.calls.count("begin") == 1

    def fail(step_context):
        raise tf.errors.AbortedError(None, None, "lost for good")

    with (
        tf.Graph().as_default(),
        tf.train.SingularMonitoredSession() as single,
        pytest.raises(tf.errors.AbortedError, match="for good"),
    ):
        single.run_step_fn(fail)


def test_listeners_may_stop(tmp_path):
    step, bump = counting()
    calls = []

    class Listener(tf.train.CheckpointSaverListener):
        def begin(self):
            calls.append("begin")

        def before_save(self, session, global_step_value):
            calls.append(("before", global_step_value))

        def after_save(self, session, global_step_value):
            calls.append(("after", global_step_value))
            return global_step_value >= 4

        def end(self, session, global_step_value):
            calls.append(("end", global_step_value))

    saver = tf.train.CheckpointSaverHook(
        str(tmp_path), save_steps=2, scaffold=(scaffold := tf.train.Scaffold()), listeners=[Listener()]
    )
    with tf.train.SingularMonitoredSession(hooks=[saver], scaffold=scaffold) as session:
        while not session.should_stop():
            session.run(bump)
        assert session.raw_session().run(step) == 4
    saves = [(what, at) for at in (0, 2, 4) for what in ("before", "after")]
    assert calls == ["begin", *saves, ("end", 4)]


def test_values_are_logged(caplog):
    caplog.set_level(logging.INFO, logger="headrace")
    step, bump = counting()
    every = tf.train.LoggingTensorHook(
        {"step": step}, every_n_iter=2, formatter=lambda values: f"at {values['step']}"
    )
    last = tf.train.LoggingTensorHook([step], at_end=True)
    with tf.train.SingularMonitoredSession(hooks=[every, last]) as session:
        for _ in range(5):
            session.run(bump)
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("hooks")]
    assert len([line for line in lines if line.startswith("at ")]) == 3
    assert lines[-1] == f"{step.name} = 5"
    with pytest.raises(ValueError, match="every_n_iter is 0"):
        tf.train.LoggingTensorHook([step], every_n_iter=0)


def test_a_loss_that_is_no_number_stops():
    loss = tf.placeholder(tf.float32, [])
    strict = tf.train.NanTensorHook(loss)
    with (
        pytest.raises(tf.train.NanLossDuringTrainingError),
        tf.train.SingularMonitoredSession(hooks=[strict]) as session,
    ):
        session.run(loss, {loss: 1.0})
        session.run(loss, {loss: np.nan})
    hook = tf.train.NanTensorHook(loss, fail_on_nan_loss=False)
    with tf.train.SingularMonitoredSession(hooks=[hook]) as session:
        session.run(loss, {loss: np.nan})
        assert session.should_stop()


def test_final_values_and_timelines(tmp_path):
    step, bump = counting()
    final = tf.train.FinalOpsHook({"step": step})
    profile = tf.train.ProfilerHook(save_steps=2, output_dir=str(tmp_path))
    with tf.train.SingularMonitoredSession(hooks=[final, profile]) as session:
        for _ in range(4):
            session.run(bump)
        assert final.final_ops_values is None
    assert final.final_ops_values == {"step": 4}
    assert sorted(os.listdir(tmp_path)) == ["timeline-2.json", "timeline-4.json"]


def test_a_step_waiter():
    step, bump = counting()
    waiter = tf.train.GlobalStepWaiterHook(2)
    with tf.train.SingularMonitoredSession(hooks=[waiter]) as session:
        raw = session.raw_session()
        done = []
        thread = threading.Thread(target=lambda: done.append(session.run(step)), daemon=True)
        thread.start()
        raw.run(bump)
        assert not done
        raw.run(bump)
        thread.join(30)
        assert done == [2]


def test_workers_wait_for_their_chief():
    bump = counting()[1]
    target = "monitored"
    chief_graph = tf.get_default_graph()
    got = []

    def work():
        with tf.Graph().as_default():
            theirs, _ = counting()
            with tf.train.MonitoredTrainingSession(target, is_chief=False, max_wait_secs=60) as session:
                got.append(session.run(theirs))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    with chief_graph.as_default(), tf.train.MonitoredTrainingSession(target) as session:
        session.run(bump)
        thread.join(60)
    assert got in ([0], [1])
    tf.Session.reset(target)


def test_threads_that_fail_end_the_steps():
    x = tf.placeholder_with_default(np.nan, [])
    queue = tf.FIFOQueue(2, tf.float32, shapes=[[]])
    bad = queue.enqueue(tf.check_numerics(x, "bad input"))
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [bad]))
    taken = queue.dequeue()
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="bad input"),
        tf.train.MonitoredSession() as session,
    ):
        while not session.should_stop():
            session.run(taken)


def test_scaffolds():
    weight = tf.Variable(1.0)
    calls = []
    scaffold = tf.train.Scaffold(init_fn=lambda scaffold, session: calls.append(session.run(weight)))
    with tf.train.MonitoredSession(tf.train.ChiefSessionCreator(scaffold)) as session:
        session.run(weight)
        with pytest.raises(RuntimeError, match="final"):
            tf.constant(1.0)
    assert calls == [1]
    assert scaffold.saver is not None and scaffold.summary_op is None
    tf.constant(1.0)
    again = tf.train.Scaffold(copy_from_scaffold=scaffold)
    again.finalize()
    assert again.init_op is scaffold.init_op
    with tf.Graph().as_default():
        tf.add_to_collection(tf.GraphKeys.INIT_OP, 1)
        tf.add_to_collection(tf.GraphKeys.INIT_OP, 2)
        with pytest.raises(RuntimeError, match="2 entries"):
            tf.train.Scaffold().finalize()


def test_steps_in_parts():
    x = tf.placeholder(tf.float32, [])
    half = x / 2
    hook = Recorder()
    with tf.train.MonitoredSession(hooks=[hook]) as session:

        def step(step_context):
            return step_context.run_with_hooks(x, {x: step_context.session.run(half, {x: 4.0})})

        assert session.run_step_fn(step) == 2
        assert hook.calls.count("before") == 1
        session.run_step_fn(lambda step_context: step_context.request_stop())
        raise AssertionError("a step that asks for the end ends the context")


def test_timers():
    timer = tf.train.SecondOrStepTimer(every_steps=3)
    assert timer.should_trigger_for_step(5)
    assert timer.update_last_triggered_step(5) == (None, None)
    assert not timer.should_trigger_for_step(7) and timer.should_trigger_for_step(8)
    assert timer.update_last_triggered_step(9)[1] == 4 and timer.last_triggered_step() == 9
    timer = tf.train.SecondOrStepTimer(every_secs=0)
    timer.update_last_triggered_step(1)
    assert not timer.should_trigger_for_step(1) and timer.should_trigger_for_step(2)
    with pytest.raises(ValueError, match="just one"):
        tf.train.SecondOrStepTimer(every_secs=1, every_steps=1)
