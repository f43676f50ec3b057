"""Coordinators, queue runners, and what they make: input pipelines."""

import threading
import time

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def collect(fetch, limit=10_000):
    """All that a pipeline gives until its end."""
    found = []
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coord)
        try:
            while not coord.should_stop() and len(found) < limit:
                found.append(session.run(fetch))
        except tf.errors.OutOfRangeError:
            pass
        finally:
            coord.request_stop()
        coord.join(threads, stop_grace_period_secs=10)
        assert coord.joined and not any(thread.is_alive() for thread in threads)
    return found


# ---- coordinator


def test_the_first_exception_is_raised_where_threads_are_joined():
    coord = tf.train.Coordinator()

    def fail():
        with coord.stop_on_exception():
            raise KeyError("first")

    def wait():
        coord.wait_for_stop()
        coord.request_stop(ValueError("second"))

    threads = [threading.Thread(target=wait), threading.Thread(target=fail)]
    for thread in threads:
        thread.start()
    with pytest.raises(KeyError, match="first"):
        coord.join(threads)
    with pytest.raises(KeyError):
        coord.raise_requested_exception()
    coord.clear_stop()
    assert not coord.should_stop() and not coord.joined
    coord.raise_requested_exception()


def test_the_end_of_the_data_is_a_clean_stop():
    coord = tf.train.Coordinator()
    with coord.stop_on_exception():
        raise tf.errors.OutOfRangeError(None, None, "no more")
    assert coord.should_stop()
    coord.join([])


def test_threads_that_do_not_stop_are_named():
    coord = tf.train.Coordinator()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="stubborn", daemon=True)
    thread.start()
    coord.request_stop()
    with pytest.raises(RuntimeError, match="stubborn"):
        coord.join([thread], stop_grace_period_secs=0.05)
    coord.clear_stop()
    coord.request_stop()
    coord.join([thread], stop_grace_period_secs=0.05, ignore_live_threads=True)
    end.set()


def test_looper_threads():
    coord = tf.train.Coordinator()
    calls = []
    looper = tf.train.LooperThread.loop(coord, 0.001, calls.append, args=(1,))
    while len(calls) < 3:
        time.sleep(0.001)
    coord.request_stop()
    coord.join()
    assert not looper.is_alive()

    def fail():
        raise KeyError("in the loop")

    coord.clear_stop()
    tf.train.LooperThread.loop(coord, None, fail)
    with pytest.raises(KeyError, match="in the loop"):
        coord.join()
    with pytest.raises(ValueError, match="Coordinator"):
        tf.train.LooperThread(None, 1)


# ---- queue runners


def test_a_runner_fills_a_queue_and_closes_it():
    queue = tf.FIFOQueue(3, tf.int64, shapes=[[]])
    count = tf.Variable(0, dtype=tf.int64)
    put = queue.enqueue(tf.count_up_to(count, 7))
    runner = tf.train.QueueRunner(queue, [put, put])
    tf.train.add_queue_runner(runner)
    assert tf.get_collection(tf.GraphKeys.QUEUE_RUNNERS) == [runner]
    assert runner.name == "fifo_queue" and runner.enqueue_ops == [put, put]
    assert runner.close_op.name == "fifo_queue_Close" and runner.cancel_op.name == "fifo_queue_Close_1"
    assert sorted(collect(queue.dequeue())) == list(range(7))


def test_errors_of_runners_reach_the_coordinator():
    queue = tf.FIFOQueue(3, tf.int32, shapes=[[]])
    with tf.control_dependencies([tf.Assert(tf.placeholder_with_default(False, []), ["broken"])]):
        put = queue.enqueue(1)
    tf.train.add_queue_runner(tf.train.QueueRunner(queue, [put]))
    with tf.Session() as session:
        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coord)
        with pytest.raises(tf.errors.OutOfRangeError, match="closed"):
            session.run(queue.dequeue())
        with pytest.raises(tf.errors.InvalidArgumentError, match="broken"):
            coord.join(threads)


def test_runners_without_a_coordinator_keep_their_errors(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    queue = tf.FIFOQueue(3, tf.int32, shapes=[[]])
    with tf.control_dependencies([tf.Assert(tf.placeholder_with_default(False, []), ["broken"])]):
        runner = tf.train.QueueRunner(queue, [queue.enqueue(1)])
    with tf.Session() as session:
        threads = runner.create_threads(session, start=True)
        for thread in threads:
            thread.join()
        assert [type(error) for error in runner.exceptions_raised] == [tf.errors.InvalidArgumentError]
        # All ended, so that there can be new ones; while they run, there are no others.
        assert len(runner.create_threads(session)) == 1
        assert runner.create_threads(session) == []


def test_wrong_arguments():
    queue = tf.FIFOQueue(3, tf.int32)
    with pytest.raises(ValueError, match="needs a queue"):
        tf.train.QueueRunner(queue, [])
    with pytest.raises(TypeError, match="tuple of exceptions"):
        tf.train.QueueRunner(queue, [queue.enqueue(1)], queue_closed_exception_types=3)
    with pytest.raises(ValueError, match="no default session"):
        tf.train.start_queue_runners()
    with pytest.raises(ValueError, match="must be positive"):
        tf.train.limit_epochs(tf.constant(1), 0)


# ---- pipelines


def test_producers():
    numbers = tf.train.range_input_producer(4, num_epochs=2, shuffle=False)
    assert numbers.name == "input_producer"
    assert [var.op.name for var in tf.local_variables()] == ["input_producer/limit_epochs/epochs"]
    assert collect(numbers.dequeue()) == [0, 1, 2, 3] * 2


def test_shuffled_epochs():
    words = tf.train.string_input_producer(["a", "b", "c"], num_epochs=3, seed=3)
    found = collect(words.dequeue())
    assert [sorted(found[i : i + 3]) for i in (0, 3, 6)] == [[b"a", b"b", b"c"]] * 3
    with pytest.raises(ValueError, match="no strings"):
        tf.train.string_input_producer([])


def test_rows_of_several_tensors_stay_together():
    first, second = tf.train.slice_input_producer([np.arange(5), np.arange(5) ** 2], num_epochs=2, seed=1)
    pairs = collect([first, second])
    assert sorted(int(a) for a, _ in pairs) == sorted([*range(5)] * 2)
    assert all(b == a * a for a, b in pairs)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("smaller", [False, True])
def test_batches(threads, smaller):
    number = tf.train.range_input_producer(10, num_epochs=1, shuffle=False).dequeue()
    batch = tf.train.batch(
        {"number": number, "square": number**2}, 4, num_threads=threads, allow_smaller_final_batch=smaller
    )
    assert batch["number"].op.name == "batch"
    assert batch["square"].shape.as_list() == [None if smaller else 4]
    found = collect(batch)
    assert [len(each["number"]) for each in found] == [4, 4, 2][: 3 if smaller else 2]
    numbers = np.concatenate([each["number"] for each in found])
    assert len(set(numbers)) == len(numbers)
    if threads == 1:
        assert numbers.tolist() == [*range(len(numbers))]
    assert all((each["square"] == each["number"] ** 2).all() for each in found)


def test_batches_that_are_padded_or_come_many_at_once():
    number = tf.train.range_input_producer(4, num_epochs=1, shuffle=False).dequeue()
    ones = tf.ones(tf.stack([number]))
    found = collect(tf.train.batch([ones], 2, dynamic_pad=True))
    assert [each.tolist() for each in found] == [[[0], [1]], [[1, 1, 0], [1, 1, 1]]]


def test_batches_of_rows():
    number = tf.train.range_input_producer(3, num_epochs=1, shuffle=False).dequeue()
    found = collect(tf.train.batch([tf.stack([number, number])], 3, enqueue_many=True))
    assert [each.tolist() for each in found] == [[0, 0, 1], [1, 2, 2]]


@pytest.mark.parametrize("many", [False, True])
def test_batches_of_what_is_kept(many):
    number = tf.train.range_input_producer(10, num_epochs=1, shuffle=False).dequeue()
    value = tf.stack([number, number + 10]) if many else number
    batch = tf.train.maybe_batch([value], tf.equal(value % 2, 0), 5, enqueue_many=many)
    found = np.concatenate(collect(batch))
    assert found.tolist() == (
        [k + 10 * j for k in (0, 2, 4, 6, 8) for j in (0, 1)] if many else [0, 2, 4, 6, 8]
    )


def test_shuffled_batches_of_several_sources():
    numbers = tf.train.range_input_producer(20, num_epochs=1, shuffle=False)
    batch = tf.train.shuffle_batch_join(
        [[numbers.dequeue()], [numbers.dequeue()]], 5, capacity=20, min_after_dequeue=10, seed=1
    )
    found = np.concatenate(collect(batch))
    assert found.tolist() != [*range(20)] and sorted(found.tolist()) == [*range(20)]


def test_shuffled_batches():
    number = tf.train.range_input_producer(12, num_epochs=1, shuffle=False).dequeue()
    batch = tf.train.shuffle_batch([number], 4, capacity=12, min_after_dequeue=6, seed=1)
    names = [tensor.op.name for tensor in tf.get_collection(tf.GraphKeys.SUMMARIES)]
    assert names == ["input_producer/fraction_of_32_full", "shuffle_batch/fraction_over_6_of_6_full"]
    assert sorted(np.concatenate(collect(batch)).tolist()) == [*range(12)]


def test_joined_batches():
    numbers = tf.train.range_input_producer(6, num_epochs=1, shuffle=False)
    batch = tf.train.batch_join([[numbers.dequeue()], [numbers.dequeue()]], 3)
    assert sorted(np.concatenate(collect(batch)).tolist()) == [*range(6)]
