"""Plans that are cut where shapes depend on data: whoever waits holds up only those that depend on it."""

import itertools
import threading

import numpy as np
import pytest

import headrace as tf
from headrace.ops.barrier import Barrier

SOON = tf.RunOptions(timeout_in_ms=30_000)


def run(fetches, feeds=None, config=None):
    with tf.Session(config=config) as session:
        return session.run(fetches, feeds, options=SOON)


def positive(x):
    """Elements of a number that only the data tells."""
    return tf.boolean_mask(x, x > 0)


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_dequeue_before_the_cut_waits_for_an_enqueue_after_it(lanes):
    x = tf.placeholder(tf.float32, [4])
    queue = tf.FIFOQueue(1, tf.float32, shapes=[[]])
    taken = queue.dequeue() + 1
    put = queue.enqueue(tf.reduce_sum(positive(x)))
    config = tf.ConfigProto(inter_op_parallelism_threads=lanes)
    assert run([taken, put], {x: [1, -1, 2, -2]}, config)[0] == 4


def test_both_ends_of_a_queue_after_the_cut():
    x = tf.placeholder(tf.float32, [4])
    queue = tf.FIFOQueue(1, tf.float32)  # of unknown shape: what reads an element is planned when it is there
    taken = tf.reduce_sum(queue.dequeue() * 2)
    put = queue.enqueue(positive(x))
    assert run([taken, put], {x: [1, -1, 2, -2]})[0] == 6


def test_an_enqueue_that_depends_on_what_was_taken_elsewhere():
    """One queue feeds the next, each element cut anew, in one step."""
    x = tf.placeholder(tf.float32, [None])
    queues = [tf.FIFOQueue(1, tf.float32) for _ in range(4)]
    results = [queues[-1].dequeue()]
    for before, after in itertools.pairwise(queues):
        element = before.dequeue()
        element.set_shape([None])
        results.append(after.enqueue(positive(element - 1)))
    results.append(queues[0].enqueue(positive(x)))
    assert run(results, {x: [0, 1, 2, 3, 4, 5]})[0].tolist() == [1, 2]


def test_a_barrier_before_the_cut_waits_for_components_after_it():
    x = tf.placeholder(tf.float32, [3])
    barrier = Barrier(tf.float32, shapes=[[]])
    taken = barrier.take_many(2)
    values = tf.stack([tf.reduce_sum(positive(x)), tf.reduce_max(positive(x))])
    put = barrier.insert_many(0, ["a", "b"], values)
    _, keys, values = run([*taken, put], {x: [1, 2, -5]})[:3]
    assert dict(zip(keys.tolist(), np.ravel(values).tolist())) == {b"a": 3, b"b": 2}


def test_control_edges_hold_across_the_cut():
    """What waits for a dequeue waits for it in whatever part of the plan it is, and nothing else does."""
    x = tf.placeholder(tf.float32, [3])
    queue = tf.FIFOQueue(2, tf.float32, shapes=[[]])
    counter = tf.Variable(0.0)
    total = tf.reduce_sum(positive(x))
    taken = queue.dequeue()
    with tf.control_dependencies([taken]):
        count = counter.assign_add(total)  # of known shape, after a cut
        constant = tf.constant(7.0) + 0.0
        with tf.control_dependencies([constant]):
            last = tf.identity(counter.assign_add(100.0 + 0 * taken + 0 * count))
    put = queue.enqueue(total)
    with tf.Session() as session:
        session.run(counter.initializer)
        got = session.run([last, taken, put], {x: [1, 2, -5]}, options=SOON)
        assert got[:2] == [103, 3]


def test_devices_wait_only_for_what_they_need():
    """A level of one device does not wait for a blocking operation of the level before it."""
    x = tf.placeholder(tf.float32, [3])
    queue = tf.FIFOQueue(1, tf.float32, shapes=[[3]])
    taken = queue.dequeue()
    with tf.device("/device:NULL:0"):
        sent = tf.exp(x)  # zeros: the null device computes nothing
    put = queue.enqueue(sent + x)
    config = tf.ConfigProto(device_count={"NULL": 1})
    assert run([taken, put], {x: [1, 2, 3]}, config)[0].tolist() == [1, 2, 3]


def test_a_failure_ends_what_waits_in_other_parts():
    x = tf.placeholder(tf.float32, [3])
    queue = tf.FIFOQueue(1, tf.float32)
    total = tf.reduce_sum(queue.dequeue())  # never comes
    fails = tf.reshape(positive(x), [2], name="fails")
    with pytest.raises(tf.errors.InvalidArgumentError, match="fails"):
        run([total, fails], {x: [1, 2, 3]})


def test_a_wait_in_another_part_ends_by_timeout_and_closing():
    x = tf.placeholder(tf.float32, [3])
    queue, other = tf.FIFOQueue(1, tf.float32), tf.FIFOQueue(1, tf.float32)
    total = [tf.reduce_sum(q.dequeue()) for q in (queue, other)]
    size = tf.size(positive(x))
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run([total, size], {x: [1, 2, 3]}, options=tf.RunOptions(timeout_in_ms=100))
        ended = []

        def wait():
            with pytest.raises(tf.errors.OutOfRangeError):
                session.run([total, size], {x: [1, 2, 3]})
            ended.append(True)

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        session.run(other.close())
        thread.join(30)
        assert ended


@pytest.mark.parametrize("lanes", [1, 3])
def test_random_programs_of_queues_and_cuts(lanes):
    """Queues that are filled and drained in one step, with cuts anywhere: only data and control order them.

    Queue i carries what is computed from x or from a queue before it; every value loses its smallest element
    now and then, which cuts the plan.
    """
    random = np.random.RandomState(lanes)

    def step(values, cut, ops):
        if cut:
            kept = values > ops.reduce_min(values)
            values = ops.boolean_mask(values, kept)
        return values * 2 + 1

    class Plain:
        reduce_min = staticmethod(np.min)
        boolean_mask = staticmethod(lambda values, kept: values[kept])

    for _ in range(25):
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [40])
            shapes = [None if random.rand() < 0.5 else [[None]] for _ in range(random.randint(1, 5))]
            make = {True: tf.FIFOQueue, False: tf.PaddingFIFOQueue}
            queues = [make[shape is None](2, tf.float32, shapes=shape) for shape in shapes]
            taken = {}
            for i in random.permutation(len(queues)):
                taken[int(i)] = queues[i].dequeue()
                taken[int(i)].set_shape([None])
            fed = random.permutation(40).astype(np.float32)
            sources = [int(random.randint(-1, i)) for i in range(len(queues))]
            cuts = [random.rand(random.randint(1, 5)) < 0.4 for _ in queues]
            values = []
            for source, cut in zip(sources, cuts):
                value = fed if source < 0 else values[source]
                for one in cut:
                    value = step(value, one, Plain)
                values.append(value)
            puts, results = [], {}
            for i in random.permutation(2 * len(queues)):
                if i % 2:
                    tensor = x if sources[i // 2] < 0 else taken[sources[i // 2]]
                    for one in cuts[i // 2]:
                        tensor = step(tensor, one, tf)
                    puts.append(queues[i // 2].enqueue(tensor))
                else:
                    results[int(i // 2)] = tf.reverse(taken[i // 2], [0])
            config = tf.ConfigProto(inter_op_parallelism_threads=lanes)
            with tf.Session(config=config) as session:
                for _ in range(2):
                    got = session.run([results, puts], {x: fed}, options=SOON)[0]
                    for i, result in got.items():
                        np.testing.assert_array_equal(result, values[i][::-1])
