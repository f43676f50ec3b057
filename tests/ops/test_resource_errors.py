"""Odd input to everything that has state: what is wrong is said, with the node and the user's line.

One table: each case builds something, and either making it or running it fails. Nothing may hang (every run
has a deadline) or take the process down.
"""

import pathlib
import re
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.ops.barrier import Barrier
from headrace.ops.staging import MapStagingArea, StagingArea

HERE = pathlib.Path(__file__).name
errors = tf.errors


def fifo(capacity=3, dtypes=(tf.float32,), shapes=((),), **options):
    return tf.FIFOQueue(capacity, list(dtypes), shapes=None if shapes is None else list(shapes), **options)


class Steps(list):
    """What is run, one after the other."""


def then(*steps):
    return Steps(steps)


@dataclass
class Case:
    name: str
    build: Any  # returns what is fetched, or steps of which the last one fails
    error: type[BaseException] | tuple[type[BaseException], ...]
    match: str
    feed: Any = None
    timeout_ms: int = 20_000


def fed(dtype=tf.float32, shape=None):
    return tf.placeholder(dtype, shape, name="fed")


makers = {
    "FIFOQueue": fifo,
    "PaddingFIFOQueue": lambda: tf.PaddingFIFOQueue(3, [tf.float32], shapes=[[]]),
    "RandomShuffleQueue": lambda: tf.RandomShuffleQueue(3, 0, [tf.float32], shapes=[[]]),
    "PriorityQueue": lambda: tf.PriorityQueue(3, [tf.float32], shapes=[[]]),
}


def put_one(queue, name=None):
    values = [tf.constant(1, tf.int64), 1.0] if isinstance(queue, tf.PriorityQueue) else [1.0]
    return queue.enqueue(values, name=name)


def put_many(queue, count):
    priorities = [tf.zeros([count], tf.int64)] if isinstance(queue, tf.PriorityQueue) else []
    return queue.enqueue_many([*priorities, tf.zeros([count])])


CASES = []


def case(name, error, match, feed=None, timeout_ms=20_000):
    def register(build):
        CASES.append(Case(name, build, error, match, feed, timeout_ms))
        return build

    return register


for kind, make in makers.items():
    case(f"{kind}: taken from when closed and empty", errors.OutOfRangeError, "closed")(
        lambda make=make: (lambda q: then(q.close(), q.dequeue()))(make())
    )
    case(f"{kind}: many taken when closed and empty", errors.OutOfRangeError, "closed")(
        lambda make=make: (lambda q: then(q.close(), q.dequeue_many(2)))(make())
    )
    case(f"{kind}: more taken than there are when closed", errors.OutOfRangeError, "closed")(
        lambda make=make: (lambda q: then(put_one(q), q.close(), q.dequeue_many(2)))(make())
    )
    case(f"{kind}: put in when closed", errors.CancelledError, "closed")(
        lambda make=make: (lambda q: then(q.close(), put_one(q)))(make())
    )
    case(f"{kind}: negative number taken", errors.InvalidArgumentError, "-2", feed=-2)(
        lambda make=make: make().dequeue_many(fed(tf.int32, []))
    )
    case(f"{kind}: negative number taken, up to", errors.InvalidArgumentError, "-2", feed=-2)(
        lambda make=make: make().dequeue_up_to(fed(tf.int32, []))
    )
    case(f"{kind}: more taken than there is room for", errors.DeadlineExceededError, "timeout", 2**30, 100)(
        lambda make=make: make().dequeue_many(fed(tf.int32, []))
    )
    case(f"{kind}: empty", errors.DeadlineExceededError, "timeout", timeout_ms=50)(
        lambda make=make: make().dequeue()
    )
    case(f"{kind}: full", errors.DeadlineExceededError, "timeout", timeout_ms=50)(
        lambda make=make: put_many(make(), 5)
    )
    case(f"{kind}: too many components", ValueError, "component")(
        lambda make=make: make().enqueue([np.int64(1), 1.0, 2.0, 3.0])
    )
    case(f"{kind}: no components", (ValueError, TypeError), "component")(lambda make=make: make().enqueue([]))
    case(f"{kind}: the number to take is no number", (ValueError, TypeError), "int32|string")(
        lambda make=make: make().dequeue_many("two")
    )
    case(f"{kind}: the number to take is a vector", ValueError, "rank|scalar|shape")(
        lambda make=make: make().dequeue_many([1, 2])
    )


@case("a queue without room", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    return fifo(capacity=0).enqueue([1.0])


@case("a queue: an element of another shape", (ValueError, errors.InvalidArgumentError), "shape", [1.0, 2.0])
def _():
    return fifo().enqueue([fed()])


@case("a queue: an element of another dtype", (TypeError, ValueError), "float32|int32|dtype")
def _():
    return fifo().enqueue([tf.constant(1, tf.int32)])


@case("a queue: components of different lengths", (ValueError, errors.InvalidArgumentError), "2|3")
def _():
    return fifo(dtypes=[tf.float32] * 2, shapes=[[], []]).enqueue_many([tf.zeros([2]), tf.zeros([3])])


@case("a queue: many from a scalar", (ValueError, errors.InvalidArgumentError), "rank|scalar|shape", 1.0)
def _():
    return fifo().enqueue_many([fed()])


@case("a queue: many of unknown shapes", (ValueError, errors.InvalidArgumentError), "shape")
def _():
    return fifo(shapes=None).dequeue_many(1)


@case("a queue: another one of the same name", errors.InvalidArgumentError, "of another kind, types")
def _():
    first = fifo(shared_name="same")
    return then(first.size(), fifo(dtypes=[tf.int32], shared_name="same").size())


@case("a queue: what it holds is something else", errors.InvalidArgumentError, "queue|Variable|variable")
def _():
    variable = tf.Variable(1.0, use_resource=True)
    return then(variable.initializer, raw.QueueSizeV2(variable.handle, name="wrong"))


@case("a shuffling queue that keeps more than it may hold", (ValueError, errors.InvalidArgumentError), "")
def _():
    return tf.RandomShuffleQueue(2, 5, [tf.float32], shapes=[[]]).size()


@case("a priority queue: no priority", (ValueError, TypeError), "int64|component|priority")
def _():
    return tf.PriorityQueue(3, [tf.float32], shapes=[[]]).enqueue([1.5, 1.0])


@case("a padding queue: another rank", (ValueError, errors.InvalidArgumentError), "shape|rank", [[1.0]])
def _():
    return tf.PaddingFIFOQueue(3, [tf.float32], shapes=[[None]]).enqueue([fed()])


# ---- barriers


@case("a barrier: taken from when closed and empty", errors.OutOfRangeError, "closed")
def _():
    barrier = Barrier(tf.float32, shapes=[[]])
    return then(barrier.close(), barrier.take_many(1))


@case("a barrier: put in when closed", errors.CancelledError, "closed")
def _():
    barrier = Barrier(tf.float32, shapes=[[]])
    return then(barrier.close(), barrier.insert_many(0, ["a"], [1.0]))


@case("a barrier: a component that there is not", ValueError, "component")
def _():
    return Barrier(tf.float32, shapes=[[]]).insert_many(3, ["a"], [1.0])


@case("a barrier: a component twice", errors.InvalidArgumentError, "twice|already|'a'")
def _():
    barrier = Barrier((tf.float32, tf.float32), shapes=[[], []])
    return then(barrier.insert_many(0, ["a"], [1.0]), barrier.insert_many(0, ["a"], [1.0]))


@case("a barrier: more keys than values", (ValueError, errors.InvalidArgumentError), "2", [1.0])
def _():
    return Barrier(tf.float32, shapes=[[]]).insert_many(0, ["a", "b"], fed())


@case("a barrier: negative number taken", errors.InvalidArgumentError, "-1", -1)
def _():
    return Barrier(tf.float32, shapes=[[]]).take_many(fed(tf.int32, []))


@case("a barrier: empty", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    return Barrier(tf.float32, shapes=[[]]).take_many(1)


@case("a barrier: values of another shape", (ValueError, errors.InvalidArgumentError), "shape", [[1.0]])
def _():
    return Barrier(tf.float32, shapes=[[]]).insert_many(0, ["a"], fed())


@case("a barrier: values of another dtype", (TypeError, ValueError), "float32|int32")
def _():
    return Barrier(tf.float32, shapes=[[]]).insert_many(0, ["a"], tf.constant([1]))


# ---- staging areas


@case("a staging area: empty", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    return StagingArea([tf.float32]).get()


@case("a staging area: full", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    area = StagingArea([tf.float32], capacity=1)
    return then(area.put([1.0]), area.put([1.0]))


@case("a staging area: more than it may ever hold", errors.ResourceExhaustedError, "bytes|memory")
def _():
    return StagingArea([tf.float32], memory_limit=8).put([tf.zeros([100])])


@case("a staging area: too many components", ValueError, "component")
def _():
    return StagingArea([tf.float32]).put([1.0, 2.0])


@case("a staging area: negative capacity", ValueError, "negative")
def _():
    return StagingArea([tf.float32], capacity=-1).size()


@case("a staging area: another dtype", (TypeError, ValueError), "float32|int32")
def _():
    return StagingArea([tf.float32]).put([tf.constant(1)])


@case("a staging area: an element that there is not", errors.DeadlineExceededError, "timeout", 5, 50)
def _():
    return StagingArea([tf.float32]).peek(fed(tf.int32, []))


@case("a staging map: no such key", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    return MapStagingArea([tf.float32]).get(tf.constant(3, tf.int64))


@case("a staging map: a component twice", (errors.InvalidArgumentError, errors.AlreadyExistsError), "3")
def _():
    area = MapStagingArea([tf.float32, tf.float32])
    key = tf.constant(3, tf.int64)
    return then(area.put(key, [1.0], [0]), area.put(key, [1.0], [0]))


@case("a staging map: a component that there is not", ValueError, "component")
def _():
    return MapStagingArea([tf.float32]).put(tf.constant(3, tf.int64), [1.0], [4])


@case("a staging map: components without their places", ValueError, "component|ind")
def _():
    return MapStagingArea([tf.float32, tf.float32]).put(tf.constant(3, tf.int64), [1.0])


@case("a staging map: more than it may ever hold", errors.ResourceExhaustedError, "bytes|memory")
def _():
    return MapStagingArea([tf.float32], memory_limit=8).put(tf.constant(1, tf.int64), [tf.zeros([9])], [0])


# ---- stacks


def stack(limit=-1):
    return raw.StackV2(max_size=limit, elem_type=tf.float32, stack_name="", name="stack")


@case("a stack: empty", errors.InvalidArgumentError, "empty")
def _():
    return raw.StackPopV2(stack(), elem_type=tf.float32, name="pop")


@case("a stack: full", (errors.InvalidArgumentError,), "max_size is 1")
def _():
    handle = stack(tf.constant(1))
    first = raw.StackPushV2(handle, 1.0, name="first")
    with tf.control_dependencies([first]):
        return raw.StackPushV2(handle, 2.0, name="second")


@case("a stack: used after it is closed", errors.InvalidArgumentError, "closed")
def _():
    handle = stack()
    with tf.control_dependencies([raw.StackCloseV2(handle, name="close")]):
        return raw.StackPushV2(handle, 2.0, name="push")


@case("a stack: another dtype", (TypeError, errors.InvalidArgumentError), "float32|int32")
def _():
    return raw.StackPushV2(stack(), tf.constant(1), name="push")


# ---- tables


def table(cls=tf.lookup.MutableHashTable):
    return cls(tf.string, tf.int64, -1)


def static_table():
    entries = tf.lookup.KeyValueTensorInitializer(["a"], tf.constant([1], tf.int64))
    return tf.lookup.StaticHashTable(entries, -1)


@case("a table: not initialised", errors.FailedPreconditionError, "initiali")
def _():
    return static_table().lookup(tf.constant(["a"]))


@case("a table: keys of another dtype", (TypeError, ValueError), "string|int")
def _():
    return table().lookup(tf.constant([1]))


@case("a table: values of another dtype", (TypeError, ValueError), "int64|float")
def _():
    return table().insert(tf.constant(["a"]), tf.constant([1.5]))


@case("a table: more keys than values", (ValueError, errors.InvalidArgumentError), "shape|1|2", ["a", "b"])
def _():
    return table().insert(fed(tf.string), tf.constant([1], tf.int64))


@case("a table: one key with two values", errors.OpError, "a")
def _():
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a", "a"], tf.constant([1, 2], tf.int64)), -1
    )
    return table.initializer


# ---- accumulators


def accumulator(shape=()):
    return tf.ConditionalAccumulator(tf.float32, shape=shape)


@case("an accumulator: nothing there", errors.DeadlineExceededError, "timeout", timeout_ms=50)
def _():
    return accumulator().take_grad(1)


@case("an accumulator: a mean of none", errors.InvalidArgumentError, "0", 0)
def _():
    return accumulator().take_grad(fed(tf.int32, []))


@case("an accumulator: a negative number", errors.InvalidArgumentError, "-3", -3)
def _():
    return accumulator().take_grad(fed(tf.int32, []))


@case("an accumulator: another shape", (ValueError, errors.InvalidArgumentError), "shape", [1.0])
def _():
    return accumulator().apply_grad(fed())


@case("an accumulator: another dtype", (TypeError, ValueError), "float32|int32")
def _():
    return accumulator().apply_grad(tf.constant(1))


@case("a sparse accumulator: an index beyond its shape", errors.InvalidArgumentError, "7|index|indices", [7])
def _():
    sparse = tf.SparseConditionalAccumulator(tf.float32, shape=[3, 2])
    return sparse.apply_grad(fed(tf.int64, [1]), tf.ones([1, 2]), [3, 2])


@case("a sparse accumulator: as many rows as indices", (ValueError, errors.InvalidArgumentError), "2|1", [1])
def _():
    sparse = tf.SparseConditionalAccumulator(tf.float32, shape=[3, 2])
    return sparse.apply_grad(fed(tf.int64), tf.ones([2, 2]), [3, 2])


# ---- tensor arrays


def array(size=3, **options):
    return tf.TensorArray(tf.float32, size, **options)


@case("a tensor array: beyond the end", errors.OpError, "5", 5)
def _():
    return array().write(fed(tf.int32, []), 1.0).flow


@case("a tensor array: before the beginning", errors.OpError, "-1", -1)
def _():
    return array().write(fed(tf.int32, []), 1.0).flow


@case("a tensor array: nothing written there", errors.OpError, "has no value")
def _():
    return array().read(0)


@case("a tensor array: another dtype", (TypeError, ValueError, errors.OpError), "float32|int32")
def _():
    return array().write(0, tf.constant(1)).flow


@case("a tensor array: elements of different shapes", (ValueError, errors.OpError), "shape")
def _():
    return array(2, infer_shape=False).write(0, [1.0]).write(1, [1.0, 2.0]).stack()


@case("a tensor array: of a negative size", (ValueError, errors.OpError), "-1", -1)
def _():
    return array(fed(tf.int32, [])).size()


@case("a tensor array: split into other lengths", errors.OpError, "5|4|length", [2, 3])
def _():
    return array(2).split(tf.zeros([4]), fed(tf.int32, [2])).flow


# ---- variables


@case("a variable: not initialised", errors.FailedPreconditionError, "no value")
def _():
    return tf.Variable(1.0, use_resource=True, name="fresh").read_value()


@case("a variable: another shape", (ValueError, errors.InvalidArgumentError), "shape", [1.0])
def _():
    variable = tf.Variable([1.0, 2.0], use_resource=True)
    return then(variable.initializer, variable.assign(fed()))


def run(one):
    """Builds and runs a case in a thread of its own; gives what was raised, and whether it came to run."""
    raised, built = [], []

    def work():
        try:
            with tf.Graph().as_default():
                made = one.build()
                steps = made if isinstance(made, Steps) else [made]
                built.append(True)
                feeds = [op for op in tf.get_default_graph().get_operations() if op.name == "fed"]
                with tf.Session() as session:
                    for fetch in steps:
                        used = {op.outputs[0]: one.feed for op in feeds if fetch is steps[-1]}
                        session.run(fetch, used, options=tf.RunOptions(timeout_in_ms=one.timeout_ms))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it hangs"
    return raised[0] if raised else None, bool(built)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.name)
def test_odd_input_is_told(one):
    error, ran = run(one)
    assert isinstance(error, one.error), repr(error)
    text = str(error)
    assert re.search(one.match, text), text
    if ran:
        assert re.match(r"\[\w+ '[^']+'\] ", text), text
        assert f"made at {HERE}:" in text, text
    assert len(text) < 1000


EMPTY = {
    "many of none, from an empty queue": lambda: fifo().dequeue_many(0),
    "up to none, from an empty queue": lambda: fifo().dequeue_up_to(0),
    "none put in": lambda: fifo().enqueue_many([tf.zeros([0])]),
    "none taken from a barrier": lambda: Barrier(tf.float32, shapes=[[]]).take_many(0),
    "none put into a barrier": lambda: Barrier(tf.float32, shapes=[[]]).insert_many(
        0, tf.zeros([0], tf.string), tf.zeros([0])
    ),
    "none looked up": lambda: table().lookup(tf.zeros([0], tf.string)),
    "none put into a table": lambda: table().insert(tf.zeros([0], tf.string), tf.zeros([0], tf.int64)),
    "an array of none": lambda: array(0, element_shape=[2]).stack(),
    "an array unstacked from none": lambda: array(0).unstack(tf.zeros([0, 2])).flow,
}


@pytest.mark.parametrize("build", EMPTY.values(), ids=EMPTY.keys())
def test_nothing_at_all_is_fine(build):
    assert run(Case("", build, (), "")) == (None, True)


ELEMENTS_OF_NONE = {
    "FIFOQueue": lambda: (lambda q: then(q.enqueue([tf.zeros([0, 3])]), q.dequeue()))(fifo(shapes=[[0, 3]])),
    "PaddingFIFOQueue": lambda: (lambda q: then(q.enqueue([tf.zeros([0])]), q.dequeue_many(1)))(
        tf.PaddingFIFOQueue(3, [tf.float32], shapes=[[None]])
    ),
    "StagingArea": lambda: (lambda a: then(a.put([tf.zeros([0])]), a.get()))(StagingArea([tf.float32])),
    "accumulator": lambda: (lambda a: then(a.apply_grad(tf.zeros([0])), a.take_grad(1)))(accumulator([0])),
    "barrier": lambda: (lambda b: then(b.insert_many(0, ["a"], tf.zeros([1, 0])), b.take_many(1)))(
        Barrier(tf.float32, shapes=[[0]])
    ),
}


@pytest.mark.parametrize("build", ELEMENTS_OF_NONE.values(), ids=ELEMENTS_OF_NONE.keys())
def test_elements_without_elements(build):
    assert run(Case("", build, (), "")) == (None, True)


def test_what_is_left_works_after_an_error():
    """Whoever gave up has put back what it had taken, and left the line."""
    queue = fifo()
    put, one, many = queue.enqueue([1.0]), queue.dequeue(), queue.dequeue_many(3)
    with tf.Session() as session:
        session.run(put)
        for _ in range(3):
            with pytest.raises(errors.DeadlineExceededError):
                session.run(many, options=tf.RunOptions(timeout_in_ms=20))
        assert session.run(queue.size()) == 1
        assert session.run(one) == 1.0


@pytest.mark.parametrize("kind", ["queue", "barrier", "area", "accumulator", "map"])
def test_a_reset_ends_whoever_waits(kind):
    take = {
        "queue": lambda: fifo().dequeue(),
        "barrier": lambda: Barrier(tf.float32, shapes=[[]]).take_many(1),
        "area": lambda: StagingArea([tf.float32]).get(),
        "accumulator": lambda: accumulator().take_grad(1),
        "map": lambda: MapStagingArea([tf.float32]).get(tf.constant(1, tf.int64)),
    }[kind]()
    target = f"reset while {kind} waits"
    session, started, ended = tf.Session(target), threading.Event(), []

    def wait():
        started.set()
        with pytest.raises((errors.CancelledError, errors.FailedPreconditionError)) as caught:
            session.run(take)
        ended.append(str(caught.value))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    started.wait(10)
    tf.Session.reset(target)
    thread.join(30)
    assert ended and "closed" in ended[0]
