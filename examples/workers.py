"""Workers that train one model together: in step, with some to spare, and each at its own pace.

The workers are threads of one process and share the session, so the parameters are simply variables. Examples
come from a queue that a QueueRunner keeps full; a Coordinator ends all threads together.

    python examples/workers.py [--workers 5] [--needed 3] [--steps 200]

Asynchronous ("Hogwild", Niu et al., 2011): every worker reads the parameters, computes a gradient and applies
it without a look at the others. Nobody waits, but gradients are of parameters that have changed meanwhile.

Synchronous with backup workers (Chen et al., "Revisiting Distributed Synchronous SGD", 2016): a step takes
the mean of the first m gradients of n workers, and then hands out n tokens. A worker takes one before it
begins, which says for which step its gradient will be. Slow workers hold nobody up: gradients that come when
their step is over are dropped.
"""

import argparse
import threading
import time

import numpy as np

import headrace as tf

TRUTH = np.float32([2.0, -3.0, 0.5, 1.0])
RATE = 0.1


def examples(coordinator, session, batch=32):
    """Batches from a queue, which threads of a QueueRunner fill; and these threads."""
    queue = tf.FIFOQueue(8, [tf.float32, tf.float32], shapes=[[batch, len(TRUTH)], [batch]])
    x = tf.random_normal([batch, len(TRUTH)])
    y = tf.reduce_sum(x * TRUTH, axis=1) + tf.random_normal([batch], stddev=0.1)
    runner = tf.train.QueueRunner(queue, [queue.enqueue([x, y])] * 2)
    return queue.dequeue(), runner.create_threads(session, coordinator, start=True)


def asynchronous(loss, weights, step):
    """What a worker does again and again: its gradient is applied as soon as it is there."""
    optimizer = tf.train.GradientDescentOptimizer(RATE)
    update = optimizer.minimize(loss, global_step=step, var_list=[weights])
    return lambda session: session.run(update)


def synchronous(loss, weights, step, workers, needed):
    """What a worker does again and again, and what the chief runs: to begin, and for each step."""
    (gradient,) = tf.gradients(loss, [weights])
    accumulator = tf.ConditionalAccumulator(tf.float32, shape=weights.shape)
    tokens = tf.FIFOQueue(10 * workers, tf.int64, shapes=[])

    token = tokens.dequeue()  # says which step the next gradient is for
    of_step = tf.placeholder(tf.int64, [])
    apply = accumulator.apply_grad(gradient, local_step=of_step)

    def work(session):
        session.run(apply, {of_step: session.run(token)})

    mean = accumulator.take_grad(needed)
    update = weights.assign_sub(RATE * mean)
    with tf.control_dependencies([update]):
        next_step = step.assign_add(1)
    with tf.control_dependencies([accumulator.set_global_step(next_step)]):
        lead = tokens.enqueue_many([tf.fill([workers], next_step)])
    begin = tokens.enqueue_many([tf.zeros([workers], tf.int64)])
    return work, begin, lead


def train(needed, workers, steps):
    """Trains with threads; synchronous if `needed` says how many gradients make an update.

    Returns the parameters, the number of updates, and how many gradients each worker computed.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        coordinator = tf.train.Coordinator()
        weights = tf.Variable(tf.zeros([len(TRUTH)]), use_resource=True)
        step = tf.train.get_or_create_global_step()
        (x, y), threads = examples(coordinator, session)
        loss = tf.reduce_mean(tf.square(tf.reduce_sum(x * weights, axis=1) - y))
        if needed:
            work, begin, lead = synchronous(loss, weights, step, workers, needed)
        else:
            work = asynchronous(loss, weights, step)
        session.run(tf.global_variables_initializer())
        computed = [0] * workers

        def worker(number):
            with coordinator.stop_on_exception():
                while not coordinator.should_stop():
                    time.sleep(0.002 * number / workers)  # some are slower than others
                    work(session)
                    computed[number] += 1

        threads += [threading.Thread(target=worker, args=[i], daemon=True) for i in range(workers)]
        for thread in threads[-workers:]:
            thread.start()
        if needed:
            session.run(begin)
            for _ in range(steps):
                session.run(lead)
        while session.run(step) < steps:
            time.sleep(0.001)
        coordinator.request_stop()
        result = session.run([weights, step])
        session.close()  # wakes who waits for a token or an example
        coordinator.join(threads, stop_grace_period_secs=10)
        return (*result, computed)


def main(workers=5, needed=3, steps=200):
    """Trains both ways and prints what came of it; returns the largest error of each."""
    errors = []
    for kind, some in (("asynchronous", None), (f"synchronous, {needed} of {workers}", needed)):
        weights, updates, computed = train(some, workers, steps)
        errors.append(float(np.abs(weights - TRUTH).max()))
        print(f"{kind}: {updates} updates from {sum(computed)} gradients {computed}")
        print(f"  weights {np.round(weights, 2)}, largest error {errors[-1]:.3f}")
    return errors


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=5)
    parser.add_argument("--needed", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    main(options.workers, options.needed, options.steps)
