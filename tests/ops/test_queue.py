"""Queues: what the operations do, and what happens to those that wait.

A queue is no array: the records put a tensor in and take it out again.
"""

import os
import signal
import threading
import time

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.ops.harness import Case, OpRecord, run_records

ROWS = np.array([[3.0, -2.0], [1.0, 0.5], [2.0, 1.0]])
EMPTY = np.zeros((3, 0))
ANY = {"dtypes": ("float32", "float64", "bfloat16", "int32", "bool", "complex64"), "data_dependent": True}


def through(make, value):
    """Puts a tensor in and takes it out."""
    queue = make(value)
    with tf.control_dependencies([raw.QueueEnqueueV2(queue, [value])]):
        return raw.QueueDequeueV2(queue, component_types=[value.dtype])


def maker(op, **attrs):
    return lambda value: through(
        lambda v: getattr(raw, op)(component_types=[v.dtype], name="node", **attrs), value
    )


def padding(rows, name=None):
    """A queue for the rows of a matrix of any width."""
    return raw.PaddingFIFOQueueV2(component_types=[rows.dtype], shapes=[[None]], name=name)


def padded(rows):
    queue = padding(rows, "node")
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [rows])]):
        return raw.QueueDequeueManyV2(queue, 3, component_types=[rows.dtype])


def prioritised(rows):
    queue = raw.PriorityQueueV2(component_types=[rows.dtype], shapes=[], name="node")
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [tf.constant([3, 1, 2], tf.int64), rows])]):
        first = raw.QueueDequeueV2(queue, component_types=[tf.int64, rows.dtype])
    return list(first)


def enqueued(value):
    queue = raw.FIFOQueueV2(component_types=[value.dtype])
    with tf.control_dependencies([raw.QueueEnqueueV2(queue, [value], name="node")]):
        return raw.QueueDequeueV2(queue, component_types=[value.dtype])


def enqueued_many(rows):
    queue = padding(rows)
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [rows], name="node")]):
        return raw.QueueDequeueManyV2(queue, 3, component_types=[rows.dtype])


def dequeued(value):
    queue = raw.FIFOQueueV2(component_types=[value.dtype])
    with tf.control_dependencies([raw.QueueEnqueueV2(queue, [value])]):
        return raw.QueueDequeueV2(queue, component_types=[value.dtype], name="node")


def dequeued_many(rows, n, up_to=False):
    queue = padding(rows)
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [rows])]):
        close = raw.QueueCloseV2(queue)
    with tf.control_dependencies([close]):
        take = raw.QueueDequeueUpToV2 if up_to else raw.QueueDequeueManyV2
        return take(queue, n, component_types=[rows.dtype], name="node")


def closed(value):
    queue = raw.FIFOQueueV2(component_types=[value.dtype])
    with tf.control_dependencies([raw.QueueCloseV2(queue, name="node")]):
        return raw.QueueIsClosedV2(queue)


def is_closed(value):
    return raw.QueueIsClosedV2(raw.FIFOQueueV2(component_types=[value.dtype]), name="node")


def size(rows):
    queue = padding(rows)
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [rows])]):
        return raw.QueueSizeV2(queue, name="node")


def same(value):
    return value


WHOLE = [Case((ROWS,)), Case((EMPTY,))]

RECORDS = [
    OpRecord("FIFOQueueV2", WHOLE, same, build=maker("FIFOQueueV2"), **ANY),
    OpRecord("RandomShuffleQueueV2", WHOLE, same, build=maker("RandomShuffleQueueV2"), **ANY),
    OpRecord("PaddingFIFOQueueV2", WHOLE, same, build=padded, **ANY),
    OpRecord("PriorityQueueV2", WHOLE, lambda rows: (np.int64(1), rows[1]), build=prioritised, **ANY),
    OpRecord("QueueEnqueueV2", WHOLE, same, build=enqueued, **ANY),
    OpRecord("QueueEnqueueManyV2", WHOLE, same, build=enqueued_many, **ANY),
    OpRecord("QueueDequeueV2", WHOLE, same, build=dequeued, **ANY),
    OpRecord(
        "QueueDequeueManyV2",
        [Case((ROWS, 2)), Case((ROWS, 0)), Case((EMPTY, 3))],
        lambda rows, n: rows[:n, : rows.shape[1] if n else 0],
        build=dequeued_many,
        **ANY,
    ),
    OpRecord(
        "QueueDequeueUpToV2",
        [Case((ROWS, 2)), Case((ROWS, 7)), Case((EMPTY, 7))],
        lambda rows, n: rows[:n],
        build=lambda rows, n: dequeued_many(rows, n, up_to=True),
        **ANY,
    ),
    OpRecord(
        "QueueCloseV2", [Case((ROWS,))], lambda _: np.array(True), build=closed, no_empty="no tensors", **ANY
    ),
    OpRecord(
        "QueueIsClosedV2",
        [Case((ROWS,))],
        lambda _: np.array(False),
        build=is_closed,
        no_empty="no tensors",
        **ANY,
    ),
    OpRecord("QueueSizeV2", WHOLE, lambda rows: np.int32(3), build=size, **ANY),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


class Waiting(threading.Thread):
    """Runs something that is expected to wait, and keeps its result or its error."""

    def __init__(self, session, fetch, **arguments):
        super().__init__(daemon=True)
        self.session, self.fetch, self.arguments = session, fetch, arguments
        self.result = self.error = None
        self.start()
        time.sleep(0.05)
        assert self.is_alive(), "it did not wait"

    def run(self):
        try:
            self.result = self.session.run(self.fetch, **self.arguments)
        except tf.errors.OpError as error:
            self.error = error

    def end(self):
        self.join(10)
        assert not self.is_alive(), "it still waits"
        return self.error or self.result


def test_names_and_static_shapes():
    queue = tf.FIFOQueue(10, [tf.int32, tf.float32], shapes=[[], [2]], name="q")
    assert (queue.name, queue.dtypes, queue.names) == ("q", [tf.int32, tf.float32], None)
    assert [shape.as_list() for shape in queue.shapes] == [[], [2]]
    put = queue.enqueue([1, [1.0, 2.0]])
    assert (put.name, put.type) == ("q_enqueue", "QueueEnqueueV2")
    assert put.inputs[1].op.name == "q_enqueue/component_0"
    assert queue.enqueue_many([[1], [[1.0, 2.0]]]).name == "q_EnqueueMany"
    assert [t.name for t in queue.dequeue()] == ["q_Dequeue:0", "q_Dequeue:1"]
    assert [t.shape.as_list() for t in queue.dequeue_many(3)] == [[3], [3, 2]]
    assert [t.shape.as_list() for t in queue.dequeue_up_to(3)] == [[None], [None, 2]]
    assert [t.shape.as_list() for t in queue.dequeue_many(tf.placeholder(tf.int32))] == [[None], [None, 2]]
    others = [queue.close(), queue.is_closed().op, queue.size().op]
    assert [op.name for op in others] == ["q_Close", "q_Is_Closed", "q_Size"]


def test_wrong_elements():
    queue = tf.FIFOQueue(3, [tf.int32], shapes=[[]])
    with pytest.raises(ValueError, match="incompatible"):
        queue.enqueue([[1, 2]])
    with pytest.raises(ValueError, match="1 components, got 2"):
        queue.enqueue([1, 2])
    with pytest.raises(TypeError, match="int32"):
        queue.enqueue(1.5)
    with pytest.raises(TypeError, match="component 0 of the queue is int32, not float32"):
        raw.QueueDequeueV2(queue.queue_ref, component_types=[tf.float32])
    with pytest.raises(ValueError, match="not fully defined"):
        tf.FIFOQueue(3, [tf.int32], shapes=[[None]])
    with pytest.raises(ValueError, match="give one for each"):
        tf.FIFOQueue(3, [tf.int32], shapes=[[], []])
    fed = tf.placeholder(tf.int32)
    put = queue.enqueue(fed)
    with tf.Session() as session:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"component 0 has shape \(2,\)"):
            session.run(put, {fed: [1, 2]})
        assert session.run(queue.size()) == 0


def test_named_components():
    queue = tf.FIFOQueue(3, [tf.int32, tf.string], shapes=[[], []], names=["number", "word"])
    with pytest.raises(ValueError, match="put a dict in"):
        queue.enqueue([1, "a"])
    with pytest.raises(ValueError, match="number"):
        queue.enqueue({"number": 1})
    with tf.Session() as session:
        session.run(queue.enqueue_many({"number": [1, 2, 3], "word": ["a", "b", "c"]}))
        assert session.run(queue.dequeue()) == {"number": 1, "word": b"a"}
        rest = session.run(queue.dequeue_many(2))
        assert rest["word"].tolist() == [b"b", b"c"]


def test_orders_of_leaving():
    shuffled = tf.RandomShuffleQueue(100, 0, tf.int32, shapes=[[]], seed=7)
    priority = tf.PriorityQueue(100, tf.string, shapes=[[]])
    padded = tf.PaddingFIFOQueue(10, tf.int32, shapes=[[None]])
    with tf.Session() as session:
        session.run(shuffled.enqueue_many([list(range(10))]))
        # The order that TensorFlow 1.15 gives for these seeds.
        assert session.run(shuffled.dequeue_many(10)).tolist() == [7, 1, 5, 6, 4, 3, 2, 0, 9, 8]
        session.run(priority.enqueue_many([[3, 1, 2, 1], ["c", "a", "b", "a2"]]))
        keys, words = session.run(priority.dequeue_many(4))
        assert keys.tolist() == [1, 1, 2, 3] and words.tolist() == [b"a", b"a2", b"b", b"c"]
        for element in ([1], [], [1, 2]):
            session.run(padded.enqueue(tf.constant(element, tf.int32)))
        assert session.run(padded.dequeue_many(3)).tolist() == [[1, 0], [0, 0], [1, 2]]


def test_a_shuffled_queue_keeps_its_minimum_until_it_is_closed():
    queue = tf.RandomShuffleQueue(10, 3, tf.int32, shapes=[[]])
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1, 2, 3]]))
        waiting = Waiting(session, queue.dequeue_many(2))
        session.run(queue.close())
        assert isinstance(waiting.end(), np.ndarray)
    with (
        pytest.raises(tf.errors.InvalidArgumentError, match="less than the capacity"),
        tf.Session() as session,
    ):
        session.run(tf.RandomShuffleQueue(3, 5, tf.int32).size())


def test_from_list():
    queues = [tf.FIFOQueue(3, tf.int32, shapes=[[]], shared_name=f"q{i}") for i in range(2)]
    index = tf.placeholder(tf.int32, [])
    chosen = tf.QueueBase.from_list(index, queues)
    put, take = chosen.enqueue(index + 10), queues[1].dequeue()
    with tf.Session() as session:
        session.run(put, {index: 1})
        assert session.run(take) == 11
    with pytest.raises(TypeError, match="different dtypes"):
        tf.QueueBase.from_list(0, [queues[0], tf.FIFOQueue(3, tf.float32)])


def test_shared_queues_must_agree():
    first = tf.FIFOQueue(3, tf.int32, shared_name="shared")
    second = tf.FIFOQueue(3, tf.int32, shared_name="shared")
    other = tf.FIFOQueue(4, tf.int32, shared_name="shared")
    with tf.Session() as session:
        session.run(first.enqueue(5))
        assert session.run(second.dequeue()) == 5
        with pytest.raises(tf.errors.InvalidArgumentError, match="another shared_name"):
            session.run(other.size())


def test_reset_forgets_queues():
    queue = tf.FIFOQueue(3, tf.int32, shared_name="forgotten")
    with tf.Session("queues") as session:
        session.run(queue.enqueue(1))
    with tf.Session("queues") as session:
        assert session.run(queue.size()) == 1
    tf.Session.reset("queues")
    with tf.Session("queues") as session:
        assert session.run(queue.size()) == 0


# ---- waiting


def test_more_than_fits_goes_through_in_order():
    queue = tf.FIFOQueue(2, tf.int32, shapes=[[]])
    with tf.Session() as session:
        waiting = Waiting(session, queue.enqueue_many([list(range(10))]))
        assert session.run(queue.size()) == 2
        assert session.run(queue.dequeue_many(9)).tolist() == list(range(9))
        assert waiting.end() is None
        assert session.run(queue.dequeue()) == 9


def test_close_wakes_those_that_take_and_keeps_their_elements():
    queue = tf.FIFOQueue(10, tf.int32, shapes=[[]])
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1, 2, 3]]))
        waiting = Waiting(session, queue.dequeue_many(4))
        session.run(queue.close())
        error = waiting.end()
        assert isinstance(error, tf.errors.OutOfRangeError)
        assert "closed and has insufficient elements" in str(error)
        assert session.run(queue.is_closed())
        assert session.run(queue.dequeue_up_to(9)).tolist() == [1, 2, 3]
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run(queue.dequeue_up_to(9))
        with pytest.raises(tf.errors.CancelledError, match="closed"):
            session.run(queue.enqueue(1))
        with pytest.raises(tf.errors.CancelledError, match="closed already"):
            session.run(queue.close())


def test_close_waits_for_those_that_put_or_cancels_them():
    queue = tf.FIFOQueue(2, tf.int32, shapes=[[]])
    with tf.Session() as session:
        putting = Waiting(session, queue.enqueue_many([[1, 2, 3]]))
        closing = Waiting(session, queue.close())
        assert not session.run(queue.is_closed())
        assert session.run(queue.dequeue()) == 1
        assert putting.end() is None and closing.end() is None
        assert session.run(queue.is_closed())
    queue = tf.FIFOQueue(2, tf.int32, shapes=[[]])
    with tf.Session() as session:
        putting = Waiting(session, queue.enqueue_many([[1, 2, 3]]))
        session.run(queue.close(cancel_pending_enqueues=True))
        assert isinstance(putting.end(), tf.errors.CancelledError)


def test_deadlines():
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    soon = tf.RunOptions(timeout_in_ms=60)
    with tf.Session() as session:
        with pytest.raises(tf.errors.DeadlineExceededError, match="timeout"):
            session.run(queue.dequeue(), options=soon)
        session.run(queue.enqueue(1))
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(queue.enqueue(2), options=soon)
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(queue.dequeue_many(2), options=soon)
        # Who gave up took nothing.
        assert session.run(queue.dequeue()) == 1


def test_closing_the_session_wakes_all_who_wait():
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    session = tf.Session()
    waiting = [Waiting(session, queue.dequeue()) for _ in range(3)]
    session.close()
    assert all(isinstance(one.end(), tf.errors.CancelledError) for one in waiting)


def test_a_failure_in_the_step_wakes_what_waits():
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    fails = tf.Assert(tf.placeholder_with_default(False, []), ["never"])
    with tf.Session() as session, pytest.raises(tf.errors.InvalidArgumentError):
        session.run([queue.dequeue(), fails])


def test_an_interrupt_wakes_what_waits():
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    take = queue.dequeue()
    with tf.Session() as session:
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            session.run(take)
        session.run(queue.enqueue(1))
        assert session.run(take) == 1


def test_queues_inside_loops():
    queue = tf.FIFOQueue(10, tf.int32, shapes=[[]])
    _, total = tf.while_loop(lambda i, _: i < 3, lambda i, total: (i + 1, total + queue.dequeue()), [0, 0])
    with tf.Session() as session:
        session.run(queue.enqueue_many([[1, 2, 3]]))
        assert session.run(total) == 6


def test_many_taken_at_once_belong_together():
    """Of several that take pairs while others put pairs in, each gets a whole pair."""
    queue = tf.FIFOQueue(3, tf.int32, shapes=[[]])
    number = tf.placeholder(tf.int32, [])
    put, take = queue.enqueue_many([[number, number]]), queue.dequeue_many(2)
    pairs, lock = [], threading.Lock()
    with tf.Session() as session:

        def produce(first):
            for i in range(50):
                session.run(put, {number: first + i})

        def consume():
            for _ in range(50):
                pair = session.run(take).tolist()
                with lock:
                    pairs.append(pair)

        threads = [threading.Thread(target=produce, args=(100 * i,)) for i in range(4)]
        threads += [threading.Thread(target=consume) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(a == b for a, b in pairs)
    assert sorted(a for a, _ in pairs) == sorted(100 * i + k for i in range(4) for k in range(50))
