"""Writes tests/golden/models: graphs with reference variables and their checkpoints, made by TensorFlow 1.15,
and what they give when training goes on.

Run it where that is installed: `python tests/golden/record_models.py`. The tests need no TensorFlow.
"""

import json
import os
import sys

import numpy as np
import tensorflow as tf
from pictures import images

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
STEPS = 5


def convolutional():
    x = tf.placeholder(tf.float32, [None, 8, 8, 1], name="x")
    y = tf.placeholder(tf.int64, [None], name="y")
    training = tf.placeholder_with_default(False, [], name="training")
    step = tf.train.get_or_create_global_step()
    h = tf.layers.conv2d(x, 4, 3, padding="same", name="conv", kernel_regularizer=tf.nn.l2_loss)
    h = tf.layers.batch_normalization(h, training=True, name="norm")
    h = tf.layers.max_pooling2d(tf.nn.relu(h), 2, 2)
    h = tf.layers.dense(tf.layers.flatten(h), 16, tf.tanh, name="hidden")
    logits = tf.layers.dense(h, 3, name="logits")
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits) + 0.001 * tf.losses.get_regularization_loss()
    rate = tf.train.exponential_decay(0.02, step, 3, 0.8)
    averages = tf.train.ExponentialMovingAverage(0.9, step)
    with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
        train = tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)
    with tf.control_dependencies([train]):
        averaged = averages.apply(tf.trainable_variables())
        after = tf.add(step, 0, name="after")  # reads the reference, after the step
    tf.add_to_collection("train_op", tf.group(averaged, after, name="train"))
    tf.identity(loss, name="loss")
    tf.identity(averages.average(tf.trainable_variables()[0]), name="average")
    accuracy, update = tf.metrics.accuracy(y, tf.argmax(logits, 1))
    tf.identity(accuracy, name="accuracy")
    tf.identity(update, name="accuracy_update")
    return training


OPTIMIZERS = {
    "Momentum": lambda: tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "RMSProp": lambda: tf.train.RMSPropOptimizer(0.05, momentum=0.5, centered=True),
    "Adagrad": lambda: tf.train.AdagradOptimizer(0.1),
    "Adadelta": lambda: tf.train.AdadeltaOptimizer(1.0),
    "Ftrl": lambda: tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01),
    "GradientDescent": lambda: tf.train.GradientDescentOptimizer(0.1),
    "ProximalAdagrad": lambda: tf.train.ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01),
}


def embeddings():
    """Every optimizer on dense weights and on rows of a table; counters and scatters besides."""
    ids = tf.constant([0, 2, 2, 5], name="ids")
    for name, make in OPTIMIZERS.items():
        with tf.variable_scope(name):
            table = tf.get_variable(
                "table", initializer=np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)
            )
            weights = tf.get_variable("weights", initializer=np.float32([[0.5], [-0.25]]))
            rows = tf.nn.embedding_lookup(table, ids)
            loss = tf.reduce_mean(tf.square(tf.matmul(rows, weights) - 1.0), name="loss")
            make().minimize(loss, name="train")
    counter = tf.Variable(0, name="counter")
    tf.count_up_to(counter, 100, name="count")
    added = tf.assign_add(counter, 10, name="added")
    tf.multiply(added, 2, name="doubled")
    scattered = tf.Variable(np.zeros([4, 2], np.float32), name="scattered")
    first = tf.scatter_add(scattered, [1, 1], [[1.0, 2.0], [3.0, 4.0]], name="scatter_add")
    tf.scatter_nd_update(first, [[3, 0]], [7.0], name="scatter_nd")
    with tf.control_dependencies([tf.assign(scattered[2], [5.0, 6.0])]):
        tf.reduce_sum(scattered.read_value(), name="scattered_sum")


def pipeline():
    """Records from files, through queues, into training."""
    names = tf.train.string_input_producer(["lines_0.txt", "lines_1.txt"], num_epochs=2, shuffle=False)
    key, line = tf.TextLineReader(skip_header_lines=1).read(names)
    keys, lines = tf.train.batch([key, line], 3, allow_smaller_final_batch=True)
    tf.identity(keys, name="keys")
    tf.identity(lines, name="lines")
    reader = tf.FixedLengthRecordReader(4, header_bytes=2, footer_bytes=1)
    files = tf.train.string_input_producer(["bytes.bin"], num_epochs=1, shuffle=False, name="files")
    some_keys, some = reader.read_up_to(files, 2)
    tf.identity(some_keys, name="record_keys")
    tf.identity(some, name="records")
    reader.num_records_produced(name="records_produced")
    x, y = tf.train.slice_input_producer(
        [np.arange(12, dtype=np.float32).reshape(6, 2) / 10, np.arange(6, dtype=np.float32)], shuffle=False
    )
    xs, ys = tf.train.batch([x, y], 4)
    w = tf.get_variable("w", [2, 1], initializer=tf.ones_initializer())
    loss = tf.reduce_mean(tf.square(tf.matmul(xs, w)[:, 0] - ys), name="loss")
    tf.train.GradientDescentOptimizer(0.1).minimize(loss, name="train")


FILES = {
    "lines_0.txt": b"head\na\nbb\n\nccc",
    "lines_1.txt": b"head\r\nd\r\n",
    "bytes.bin": b"HHaaaabbbbccccF",
}


def record_convolutional(results):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.set_random_seed(1)
        convolutional()
        saver = tf.train.Saver()
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        train = tf.get_collection("train_op")[-1]
        for step in range(3):
            session.run(train, dict(zip(["x:0", "y:0"], images(step))))
        saver.save(session, os.path.join(FOLDER, "convolutional"), write_state=False)
        values = []
        for step in range(3, 3 + STEPS):
            feeds = dict(zip(["x:0", "y:0"], images(step)))
            step_values = session.run([train, "after:0", "loss:0", "accuracy_update:0"], feeds)[1:]
            step_values += session.run(["average:0", "logits/kernel:0"])
            values.append([np.asarray(value).tolist() for value in step_values])
        results["convolutional"] = values
        results["norms"] = {v.op.name: float(np.linalg.norm(session.run(v))) for v in tf.global_variables()}


def record_embeddings(results):
    with tf.Graph().as_default(), tf.Session() as session:
        embeddings()
        saver = tf.train.Saver()
        session.run(tf.global_variables_initializer())
        saver.save(session, os.path.join(FOLDER, "embeddings"), write_state=False)
        names = [f"{name}/{part}" for name in OPTIMIZERS for part in ("train", "loss:0")]
        results["embeddings"] = [[float(loss) for loss in session.run(names)[1::2]] for _ in range(STEPS)]
        fetches = ["count:0", "added:0", "doubled:0", "scatter_nd:0", "scattered_sum:0", "counter:0"]
        results["updates"] = [np.asarray(session.run(name)).tolist() for name in fetches]


def record_pipeline(results):
    os.chdir(FOLDER)
    for name, data in FILES.items():
        with open(name, "wb") as file:
            file.write(data)
    with tf.Graph().as_default(), tf.Session() as session:
        pipeline()
        saver = tf.train.Saver()
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        saver.save(session, "pipeline", write_state=False)
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        batches, records, losses = [], [], []
        for fetches, into in ((["keys:0", "lines:0"], batches), (["record_keys:0", "records:0"], records)):
            try:
                while True:
                    into.append([[text.decode() for text in part] for part in session.run(fetches)])
            except tf.errors.OutOfRangeError:
                pass
        for _ in range(STEPS):
            losses.append(float(session.run(["train", "loss:0"])[1]))
        results.update(lines=batches, records=records, losses=losses)
        results["records_produced"] = int(session.run("records_produced:0"))
        coordinator.request_stop()
        coordinator.join(threads)


def main():
    tf.compat.v1.logging.set_verbosity("ERROR")
    if not tf.__version__.startswith("1.15"):
        sys.exit("the recorded version is TensorFlow 1.15, this is " + tf.__version__)
    results = {}
    record_convolutional(results)
    record_embeddings(results)
    record_pipeline(results)
    with open(os.path.join(FOLDER, "results.json"), "w") as file:
        lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(results.items()))
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
