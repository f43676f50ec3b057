"""Trains a convolutional network to read handwritten digits, and shows what it has learnt in a picture.

The digits are the 1,797 of scikit-learn, 8 by 8 pixels each, written by 43 people; a fifth is held out.

    python examples/digits.py [--epochs 30] [--picture digits.png] [--logdir DIR]

With --logdir, `tensorboard --logdir DIR` shows curves, histograms, images, the graph, and what steps cost.
"""

import argparse
import sys
import time

import numpy as np
from sklearn.datasets import load_digits

import headrace as tf

BATCH = 64


def load(seed=0):
    """Images as [n, 8, 8, 1] in [0, 1] and labels: training set, test set."""
    digits = load_digits()
    images = digits.images[..., np.newaxis].astype(np.float32) / 16.0
    order = np.random.RandomState(seed).permutation(len(images))
    images, labels = images[order], digits.target[order].astype(np.int64)
    held_out = len(images) // 5
    return images[held_out:], labels[held_out:], images[:held_out], labels[:held_out]


def convolution(x, channels, name):
    """A 3 by 3 convolution with bias and ReLU."""
    with tf.variable_scope(name):
        inputs = x.shape.as_list()[-1]
        scale = np.sqrt(2.0 / (9 * inputs))
        kernel = tf.get_variable(
            "kernel", [3, 3, inputs, channels], initializer=tf.truncated_normal_initializer(stddev=scale)
        )
        bias = tf.get_variable("bias", [channels], initializer=tf.zeros_initializer())
        return tf.nn.relu(tf.nn.conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME") + bias)


def dense(x, units, name):
    """A fully connected layer."""
    with tf.variable_scope(name):
        inputs = x.shape.as_list()[-1]
        scale = np.sqrt(2.0 / inputs)
        weights = tf.get_variable(
            "weights", [inputs, units], initializer=tf.truncated_normal_initializer(stddev=scale)
        )
        bias = tf.get_variable("bias", [units], initializer=tf.zeros_initializer())
        return tf.matmul(x, weights) + bias


def network(images, keep):
    """Two convolutions, pooling, two dense layers: logits of the ten digits."""
    x = convolution(images, 32, "conv1")
    x = convolution(x, 64, "conv2")
    x = tf.nn.max_pool(x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")
    x = tf.reshape(x, [-1, 4 * 4 * 64])
    x = tf.nn.relu(dense(x, 128, "dense1"))
    return dense(tf.nn.dropout(x, keep), 10, "dense2")


def show_progress(epoch, epochs, batch, batches, loss, accuracy):
    """Draws a line over itself: a bar, the mean loss of the epoch, and the held-out accuracy before it."""
    done = (epoch * batches + batch) / (epochs * batches)
    bar = ("█" * int(30 * done)).ljust(30, "·")
    measures = f"loss {loss:6.4f}  held-out accuracy {100 * accuracy:5.1f} %"
    sys.stdout.write(f"\repoch {epoch + 1:3d}/{epochs} {bar} {measures}")
    sys.stdout.flush()


def save_picture(path, losses, accuracies, images, labels, predictions):
    """The learning curve above, test digits with predictions below; wrong ones first and in red."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    order = np.argsort(predictions == labels, kind="stable")[:40]
    figure = plt.figure(figsize=(11, 7), constrained_layout=True)
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.25])
    left = above.subplots()
    epochs = np.arange(1, len(losses) + 1)
    left.plot(epochs, losses, color="tab:blue")
    left.set_yscale("log")
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color="tab:blue")
    right = left.twinx()
    right.plot(epochs, 100 * np.array(accuracies), color="tab:green")
    right.set_ylabel("held-out accuracy, %", color="tab:green")
    right.set_ylim(min(90, 100 * min(accuracies)), 100.2)
    wrong = int(np.sum(predictions != labels))
    left.set_title(
        f"{len(labels) - wrong} of {len(labels)} held-out digits are read right; wrong ones in red"
    )
    for axes, i in zip(below.subplots(4, 10).ravel(), order):
        right_answer = predictions[i] == labels[i]
        axes.imshow(images[i, :, :, 0], cmap="gray_r")
        title = str(predictions[i]) if right_answer else f"{predictions[i]}, is {labels[i]}"
        axes.set_title(title, fontsize=9, color="black" if right_answer else "red", pad=2)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_edgecolor("gray" if right_answer else "red")
            spine.set_linewidth(0.5 if right_answer else 2.5)
    figure.savefig(path, dpi=100)


class Log:
    """What TensorBoard shows of the training, in a folder."""

    def __init__(self, logdir, images, loss, accuracy, rate):
        """Adds summaries to the graph, which is to be whole otherwise."""
        with tf.name_scope("log"):
            batch = [tf.summary.scalar("loss", loss), tf.summary.scalar("learning_rate", rate)]
            batch += [tf.summary.histogram(each.op.name, each) for each in tf.trainable_variables()]
            # Filters as grey pictures: [height, width, 1, number] becomes a batch.
            filters = tf.transpose(tf.trainable_variables()[0], [3, 0, 1, 2])
            batch.append(tf.summary.image("filters", filters, max_outputs=8))
            self.batch = tf.summary.merge(batch)
            self.held_out = tf.summary.merge(
                [tf.summary.scalar("held_out_accuracy", accuracy), tf.summary.image("digits", images)]
            )
        self.writer = tf.summary.FileWriter(logdir, tf.get_default_graph())

    def write(self, session, train_feeds, test_feeds, step, epoch):
        """Writes an epoch's summaries, and what it costs to compute them."""
        metadata = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        self.writer.add_summary(session.run(self.batch, train_feeds, options, metadata), step)
        self.writer.add_run_metadata(metadata, f"epoch {epoch + 1}", step)
        self.writer.add_summary(session.run(self.held_out, test_feeds), step)

    def close(self):
        """Brings the file up to date."""
        self.writer.close()


def train(epochs=30, picture="digits.png", seed=1, logdir=None):
    """Builds the graph, trains it, saves the picture; returns the held-out accuracy."""
    train_images, train_labels, test_images, test_labels = load()
    with tf.Graph().as_default():
        tf.set_random_seed(seed)
        images = tf.placeholder(tf.float32, [None, 8, 8, 1], name="images")
        labels = tf.placeholder(tf.int64, [None], name="labels")
        keep = tf.placeholder_with_default(1.0, [], name="keep")
        logits = network(images, keep)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))
        prediction = tf.argmax(logits, 1)
        accuracy = tf.reduce_mean(tf.cast(tf.equal(prediction, labels), tf.float32))

        step = tf.train.get_or_create_global_step()
        batches = len(train_images) // BATCH
        rate = tf.train.cosine_decay(2e-3, step, epochs * batches, alpha=0.02)
        minimize = tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)
        log = Log(logdir, images, loss, accuracy, rate) if logdir else None

        rng = np.random.RandomState(seed)
        losses, accuracies = [], []
        held_out = 0.0
        start = time.time()
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            for epoch in range(epochs):
                order = rng.permutation(len(train_images))
                total = 0.0
                for batch in range(batches):
                    chosen = order[batch * BATCH : (batch + 1) * BATCH]
                    feeds = {images: train_images[chosen], labels: train_labels[chosen], keep: 0.5}
                    _, value = session.run([minimize, loss], feeds)
                    total += value
                    show_progress(epoch, epochs, batch + 1, batches, total / (batch + 1), held_out)
                held_out = session.run(accuracy, {images: test_images, labels: test_labels})
                losses.append(total / batches)
                accuracies.append(held_out)
                show_progress(epoch, epochs, batches, batches, losses[-1], held_out)
                if log:
                    test_feeds = {images: test_images, labels: test_labels}
                    log.write(session, feeds, test_feeds, (epoch + 1) * batches, epoch)
            predictions = session.run(prediction, {images: test_images})
        print(f"\nheld-out accuracy {100 * held_out:.2f} % after {time.time() - start:.1f} s of training")
    if log:
        log.close()
        print(f"event file written to {logdir}")
    if picture:
        save_picture(picture, losses, accuracies, test_images, test_labels, predictions)
        print(f"picture saved to {picture}")
    return float(held_out)


def main():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--picture", default="digits.png")
    parser.add_argument("--logdir", help="a folder to write an event file to, for TensorBoard")
    arguments = parser.parse_args()
    train(arguments.epochs, arguments.picture, logdir=arguments.logdir)


if __name__ == "__main__":
    main()
