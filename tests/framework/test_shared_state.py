"""State shared by concurrent steps: many threads over variables and queues, and the patterns of training."""

import os
import signal
import threading

import numpy as np
import pytest

import headrace as tf
from headrace.ops.barrier import Barrier
from headrace.ops.staging import MapStagingArea, StagingArea


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def run_all(works):
    """Runs functions in threads of their own, all at once; raises the first error."""
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


def test_32_threads_share_variables_and_queues(tmp_path):
    """100,000 steps: training, evaluation, checkpoints and queues over the same variables at once.

    No update is lost, no tensor is torn, nothing hangs.
    """
    kinds, per_kind, steps = 8, 4, 3125
    width = 64
    vector = tf.Variable(tf.zeros([width]), name="vector")  # only ever changed whole, by one number
    written = tf.Variable(tf.zeros([width]), name="written")
    slot = tf.Variable(tf.zeros([width]), name="slot")
    total = tf.Variable(0, dtype=tf.int64, name="total")
    counter = tf.Variable(0, dtype=tf.int64, name="counter")
    fifo = tf.FIFOQueue(8, [tf.int64, tf.float32], shapes=[[], [width]])
    shuffled = tf.RandomShuffleQueue(8, 0, tf.int64, shapes=[[]])
    number = tf.placeholder(tf.int64, [])
    value = tf.cast(number, tf.float32)
    momentum = tf.train.MomentumOptimizer(1.0, 0.5, use_locking=True)
    loss = tf.reduce_sum(slot) * 0.5
    taken, row = fifo.dequeue()
    signatures = [
        # What a step runs, what it feeds, and which of its results are snapshots.
        ([vector.assign_add(tf.ones([width]), use_locking=True).op], False),
        ([written.assign(tf.fill([width], value), use_locking=True).op], True),
        ([momentum.minimize(loss), counter.assign_add(1, use_locking=True).op], False),
        ([vector, written, slot], False),  # a checkpoint
        ([tf.square(vector), vector, tf.reduce_max(written) - tf.reduce_min(written)], False),
        ([fifo.enqueue([number, vector.read_value()])], True),
        ([row, shuffled.enqueue(taken)], False),
        ([total.assign_add(shuffled.dequeue(), use_locking=True).op], False),
    ]
    assert len(signatures) == kinds
    torn = []
    saver = tf.train.Saver([vector, written, slot])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def worker(fetches, fed):
            def work():
                run = session.make_callable(fetches, [number] if fed else None)
                for i in range(steps):
                    for got in run(*([i] if fed else [])):
                        if got is not None and (got != got.flat[0]).any():
                            torn.append(got)

            return work

        def save():
            for i in range(5):
                path = saver.save(session, str(tmp_path / "model"), global_step=i)
                reader = tf.train.NewCheckpointReader(path)
                for name in ("vector", "written", "slot"):
                    saved = reader.get_tensor(name)
                    if (saved != saved[0]).any():
                        torn.append(saved)

        run_all([worker(*signature) for signature in signatures] * per_kind + [save])
        assert not torn
        assert (session.run(vector) == steps * per_kind).all()
        assert session.run(counter) == steps * per_kind
        assert session.run(total) == per_kind * sum(range(steps))
        assert session.run([fifo.size(), shuffled.size()]) == [0, 0]


def test_synchronous_training_with_backup_workers():
    """Of five workers, the first three gradients of a step count; late ones are dropped by their stamps."""
    workers, needed, steps, rate = 5, 3, 20, 0.1
    weight = tf.Variable(4.0)
    step = tf.Variable(0, dtype=tf.int64)
    gradients = tf.FIFOQueue(100, [tf.int64, tf.float32], shapes=[[], []])
    tokens = tf.FIFOQueue(100, [tf.int64], shapes=[[]])
    local_step = tf.placeholder(tf.int64, [])
    put = gradients.enqueue([local_step, 2 * weight.read_value()])
    token = tokens.dequeue()
    stamp, gradient = gradients.dequeue()
    mean = tf.placeholder(tf.float32, [])
    with tf.control_dependencies([weight.assign_sub(rate * mean).op]):
        advance = step.assign_add(1)
    give_tokens = tokens.enqueue_many([tf.fill([workers], advance)])
    used = []
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        coord = tf.train.Coordinator((tf.errors.OutOfRangeError, tf.errors.CancelledError))

        def work():
            mine = 0
            with coord.stop_on_exception():
                while not coord.should_stop():
                    session.run(put, {local_step: mine})
                    mine = session.run(token)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for now in range(steps):
            fresh = []
            while len(fresh) < needed:
                of_step, value = session.run([stamp, gradient])
                if of_step == now:
                    fresh.append(value)
            used.append(fresh)
            session.run(give_tokens, {mean: np.mean(fresh)})
        coord.request_stop()
        session.run([queue.close(cancel_pending_enqueues=True) for queue in (tokens, gradients)])
        coord.join(threads, stop_grace_period_secs=10)
        # Every gradient that counted was of the weight of its step: the same as one worker's.
        expected = 4.0
        for fresh in used:
            np.testing.assert_allclose(fresh, 2 * expected, rtol=1e-5)
            expected -= rate * 2 * expected
        np.testing.assert_allclose(session.run(weight), expected, rtol=1e-5)
        assert session.run(step) == steps


def test_asynchronous_training_without_locks():
    """Hogwild: threads read and update one weight as they come, and it converges all the same."""
    random = np.random.RandomState(0)
    inputs = random.randn(256, 4).astype(np.float32)
    truth = np.array([[1.0], [-2.0], [0.5], [3.0]], np.float32)
    weight = tf.Variable(tf.zeros([4, 1]))
    x = tf.placeholder(tf.float32, [None, 4])
    loss = tf.reduce_mean(tf.square(tf.matmul(x, weight) - tf.matmul(x, tf.constant(truth))))
    train = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def work(rows):
            for _ in range(150):
                session.run(train, {x: rows})

        run_all([lambda rows=rows: work(rows) for rows in np.split(inputs, 4)])
        np.testing.assert_allclose(session.run(weight), truth, atol=1e-2)


def test_evaluation_reads_whole_snapshots_while_training():
    """Two reads of one step of a variable that another thread changes are each a whole value."""
    weight = tf.Variable(tf.zeros([1000]))
    double = tf.Variable(tf.zeros([1000]))
    bump = tf.group(weight.assign_add(tf.ones([1000])).op, double.assign_add(2 * tf.ones([1000])).op)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())

        def train():
            for _ in range(200):
                session.run(bump)

        def evaluate():
            for _ in range(200):
                for value in session.run([weight, double]):
                    assert (value == value[0]).all()

        run_all([train, train, evaluate, evaluate])
        assert session.run(weight)[0] == 400 and session.run(double)[0] == 800


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_steps_that_feed_themselves_through_queues(lanes):
    """Random programs whose queues are filled and drained in one step: only data and control order them.

    Every value goes around by a queue of its own, and the two ends are made in any order, so that a plan that
    lets memory, or the order of the nodes, decide who waits would hang.
    """
    random = np.random.RandomState(lanes)
    for _ in range(40):
        with tf.Graph().as_default():
            x = tf.placeholder(tf.float32, [300])
            queues = [tf.FIFOQueue(2, tf.float32, shapes=[[300]]) for _ in range(random.randint(1, 5))]
            taken = {int(i): queues[i].dequeue() for i in random.permutation(len(queues))}
            fed = random.randn(300).astype(np.float32)
            # Queue i carries what is computed from x or from a queue before it.
            sources = [int(random.randint(-1, i)) for i in range(len(queues))]
            lengths = random.randint(1, 6, size=len(queues))
            values = []
            for source, length in zip(sources, lengths):
                values.append(fed if source < 0 else values[source])
                for _ in range(length):
                    values[-1] = np.sin(values[-1] * 2)
            puts, results = [], {}
            for i in random.permutation(2 * len(queues)):
                if i % 2:
                    tensor = x if sources[i // 2] < 0 else taken[sources[i // 2]]
                    for _ in range(lengths[i // 2]):
                        tensor = tf.sin(tensor * 2.0)
                    puts.append(queues[i // 2].enqueue(tensor))
                else:
                    results[i // 2] = tf.cos(tf.reverse(tf.cos(taken[i // 2]), [0]))
            config = tf.ConfigProto(inter_op_parallelism_threads=lanes)
            with tf.Session(config=config) as session:
                soon = tf.RunOptions(timeout_in_ms=30_000)
                got = session.run([results, puts], {x: fed}, options=soon)[0]
            for i, result in got.items():
                np.testing.assert_allclose(result, np.cos(np.cos(values[i])[::-1]), rtol=1e-4, atol=1e-5)


def test_a_body_that_waits_holds_up_nobody():
    """A loop that takes elements out, and what puts them in, run side by side on one lane."""
    x = tf.placeholder(tf.float32, [])
    queue = tf.FIFOQueue(1, tf.float32, shapes=[[]])
    total = tf.while_loop(lambda i, _: i < 3, lambda i, sum: (i + 1, sum + queue.dequeue()), [0, 0.0])[1]
    either = tf.cond(x > 0, lambda: queue.dequeue() * 2, lambda: x)
    puts = [queue.enqueue(tf.sin(x) + float(i)) for i in range(4)]
    with tf.Session() as session:
        soon = tf.RunOptions(timeout_in_ms=30_000)
        sums = session.run([total, either, puts], {x: 1.0}, options=soon)[:2]
        assert np.isclose(sums[0] + sums[1] / 2, 4 * np.sin(1) + 6, atol=1e-5)


def test_a_session_may_be_closed_under_its_threads():
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    take = queue.dequeue()
    session = tf.Session()
    ready, ended = threading.Barrier(9), []

    def work():
        run = session.make_callable(take)
        ready.wait()
        try:
            run()
        except (tf.errors.CancelledError, tf.errors.FailedPreconditionError, RuntimeError) as error:
            ended.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    ready.wait()
    session.close()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 8


def test_containers_are_forgotten_one_by_one():
    with tf.container("box"):
        boxed = tf.Variable(1.0, name="boxed")
        queue = tf.FIFOQueue(3, tf.float32, shapes=[[]], shared_name="boxed_queue")
    plain = tf.Variable(2.0, name="plain")
    put = queue.enqueue(5.0)
    target = "containers"
    with tf.Session(target) as session:
        session.run(tf.global_variables_initializer())
        session.run(put)
    with tf.Session(target) as session:
        assert session.run([boxed, plain, queue.size()]) == [1, 2, 1]
    tf.Session.reset(target, ["box"])
    with tf.Session(target) as session:
        assert session.run(plain) == 2
        assert session.run(queue.size()) == 0
        with pytest.raises(tf.errors.FailedPreconditionError, match="'boxed' has no value yet"):
            session.run(boxed)
    tf.Session.reset(target)
    with tf.Session(target) as session, pytest.raises(tf.errors.FailedPreconditionError):
        session.run(plain)


def test_a_reset_ends_the_sessions_of_its_target():
    weight = tf.Variable(1.0)
    queue = tf.FIFOQueue(1, tf.int32, shapes=[[]])
    take = queue.dequeue()
    used, waiting, other = tf.Session("reset"), tf.Session("reset"), tf.Session("kept")
    for session in (used, other):
        session.run(weight.initializer)
    ended = []

    def wait():
        with pytest.raises(tf.errors.CancelledError, match="the session was closed"):
            waiting.run(take)
        ended.append(True)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    with pytest.raises(tf.errors.DeadlineExceededError):
        waiting.run(take, options=tf.RunOptions(timeout_in_ms=50))
    tf.Session.reset("reset")
    thread.join(30)
    assert ended
    for session in (used, waiting):
        with pytest.raises(tf.errors.FailedPreconditionError, match="the session is closed"):
            session.run(weight)
    assert other.run(weight) == 1


def test_sessions_draw_random_numbers_of_their_own():
    """A random operation's state is its session's: another session begins anew."""
    draw = tf.random_uniform([4], seed=1)
    again = tf.random_uniform([4], seed=1)
    first, second = tf.Session(), tf.Session()
    one, two = first.run(draw), first.run(draw)
    assert (one != two).any()
    np.testing.assert_array_equal(second.run(draw), one)
    np.testing.assert_array_equal(tf.Session().run(draw), one)
    np.testing.assert_array_equal(second.run(draw), two)
    # Two operations of one seed each have a state.
    both = tf.Session().run([draw, again])
    np.testing.assert_array_equal(both[0], one)
    np.testing.assert_array_equal(both[1], one)
    # One step draws once, however often it is asked.
    np.testing.assert_array_equal(*first.run([draw, tf.identity(draw)]))


def test_threads_count_up_to_a_limit():
    limit, threads = 500, 8
    counter = tf.Variable(0, dtype=tf.int64)
    count = counter.count_up_to(limit)
    seen = []
    with tf.Session() as session:
        session.run(counter.initializer)

        def work():
            run = session.make_callable(count)
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    seen.append(int(run()))

        run_all([work] * threads)
        assert sorted(seen) == list(range(limit))
        assert session.run(counter) == limit


@pytest.mark.parametrize("kind", ["fifo", "padding", "shuffled", "priority", "staging", "barrier", "sum"])
@pytest.mark.parametrize("end", ["deadline", "close", "interrupt"])
def test_whatever_waits_is_ended(kind, end):
    """Every blocking operation, and every way in which a step that waits ends early."""
    if kind == "fifo":
        wait = tf.FIFOQueue(1, tf.int32, shapes=[[]]).dequeue()
    elif kind == "padding":
        wait = tf.PaddingFIFOQueue(1, tf.int32, shapes=[[None]]).dequeue_many(2)
    elif kind == "shuffled":
        wait = tf.RandomShuffleQueue(3, 1, tf.int32, shapes=[[]]).dequeue_up_to(2)
    elif kind == "priority":
        wait = tf.PriorityQueue(1, tf.int32, shapes=[[]]).dequeue()
    elif kind == "staging":
        wait = [
            StagingArea([tf.int32]).get(),
            MapStagingArea([tf.int32]).get(3),
            MapStagingArea([tf.int32]).get(),
        ]
    elif kind == "barrier":
        wait = Barrier(tf.int32, shapes=[[]]).take_many(1)
    else:
        wait = [
            tf.ConditionalAccumulator(tf.float32).take_grad(1),
            tf.SparseConditionalAccumulator(tf.float32).take_grad(1),
        ]
    session = tf.Session()
    if end == "deadline":
        with pytest.raises(tf.errors.DeadlineExceededError):
            session.run(wait, options=tf.RunOptions(timeout_in_ms=50))
    else:
        stop = session.close if end == "close" else (lambda: os.kill(os.getpid(), signal.SIGINT))
        timer = threading.Timer(0.1, stop)
        timer.start()
        with pytest.raises(tf.errors.CancelledError if end == "close" else KeyboardInterrupt):
            session.run(wait)
        timer.join(30)
    if end != "close":
        assert session.run(tf.constant(3)) == 3


def test_sessions_of_one_target_draw_random_numbers_of_their_own():
    """What a program names is shared; an operation's place in its stream is the session's."""
    draw, weight = tf.random_uniform([4], seed=1), tf.Variable(0.0)
    bump = weight.assign_add(1.0)
    with tf.Session("random") as first, tf.Session("random") as second:
        first.run(weight.initializer)
        one, two = first.run(draw), first.run(draw)
        assert (one != two).any()
        np.testing.assert_array_equal(second.run(draw), one)
        first.run(bump)
        assert second.run(weight) == 1
        # Another signature of the same session goes on where the last one has ended.
        assert (second.run([draw, bump])[0] == two).all()
    tf.Session.reset("random")
