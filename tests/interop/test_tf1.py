"""TensorFlow 1.15 itself: meta graphs, frozen graphs, saved models and checkpoints, both ways.

A program is text that runs here and there, and what one side has written, the other goes on with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from tests.interop.conftest import Peer

# Each makes "loss" and "train" from x and y.
_HEAD = """
import numpy as np
tf.set_random_seed(1)
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None], name="y")
step = tf.train.get_or_create_global_step()
values = np.random.RandomState(0)
def variable(name, *shape, **kwargs):
    return tf.get_variable(name, initializer=(values.rand(*shape) - 0.5).astype(np.float32), **kwargs)
"""
_TAIL = """
tf.identity(loss, name="loss")
tf.add_to_collection("train_op", train)
tf.add_to_collection("losses_to_see", loss)
tf.add_to_collection("learning_rates", 0.25)
"""
_MINIMIZE = "train = {}.minimize(loss, global_step=step)"
MODELS = {
    "dense": """
w, b = variable("layer/w", 4, 5), variable("layer/b", 5, trainable=False)
h = tf.nn.dropout(tf.nn.relu(tf.matmul(x, w) + b), 1.0)
loss = tf.reduce_mean(tf.squared_difference(tf.reduce_sum(h, 1), y)) + 0.1 * tf.nn.l2_loss(w)
rate = tf.train.exponential_decay(0.1, step, 2, 0.9, staircase=True)
averages = tf.train.ExponentialMovingAverage(0.9, step)
with tf.control_dependencies([tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)]):
    train = averages.apply([w])
""",
    "condition": """
w = variable("w", 4, 4)
h = tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.tanh(tf.matmul(x, w)) * 2.0, lambda: tf.matmul(x, w) - w[0])
h = tf.cond(tf.equal(step % 2, 0), lambda: h, lambda: tf.cond(y[0] > 0.0, lambda: tf.sin(h), lambda: h * h))
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, 1) - y))
optimizer = tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True)
gradients, over = zip(*optimizer.compute_gradients(loss))
gradients, norm = tf.clip_by_global_norm(gradients, 1.0)
train = optimizer.apply_gradients(zip(gradients, over), global_step=step)
""",
    "loop": """
w, u = variable("w", 4, 4), variable("u", 4, 4)
outer = lambda i, a: (i + 1, tf.while_loop(
    lambda j, b: j < i + 1, lambda j, b: (j + 1, tf.sin(tf.matmul(b, u)) + a), [0, a])[1])
_, h = tf.while_loop(lambda i, a: i < 3, outer, [0, tf.matmul(x, w)])
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, 1) - y))
"""
    + _MINIMIZE.format("tf.train.RMSPropOptimizer(0.01, momentum=0.5, centered=True)"),
    "recurrent": """
cell = tf.nn.rnn_cell.BasicLSTMCell(3)
with tf.variable_scope("rnn", initializer=tf.constant_initializer(0.1)):
    rows = tf.reshape(x, [-1, 2, 2])
    out, state = tf.nn.dynamic_rnn(cell, rows, dtype=tf.float32, sequence_length=[2, 1, 2])
loss = tf.reduce_mean(tf.square(tf.reduce_sum(out, [1, 2]) + state.c[:, 0] - y))
"""
    + _MINIMIZE.format("tf.train.AdagradOptimizer(0.1)"),
    "sparse": """
table = tf.get_variable("table", initializer=values.rand(7, 2).astype(np.float32))
parts = tf.get_variable("parts", [6, 2], initializer=tf.ones_initializer(),
                        partitioner=tf.fixed_size_partitioner(2))
ids = tf.cast(tf.abs(x * 3.0), tf.int32)
h = tf.nn.embedding_lookup(table, ids) + tf.nn.embedding_lookup(parts, ids, partition_strategy="div")
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, [1, 2]) - y))
"""
    + _MINIMIZE.format("tf.train.AdamOptimizer(0.1)"),
    "convolution": """
k, scale, offset = variable("k", 2, 2, 1, 3), variable("scale", 3), variable("offset", 3)
h = tf.nn.conv2d(tf.reshape(x, [-1, 2, 2, 1]), k, [1, 1, 1, 1], "SAME")
h, mean, _ = tf.nn.fused_batch_norm(h, scale, offset, epsilon=0.01)
h = tf.nn.max_pool(tf.nn.relu(h), [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
kept = tf.get_variable("kept", [3], trainable=False, initializer=tf.zeros_initializer())
tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(kept, 0.1 * (kept - mean)).op)
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, [1, 2, 3]) - y))
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train = tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01).minimize(loss, global_step=step)
""",
}
# Trains for some steps, from a checkpoint or from the beginning, and leaves the next checkpoint.
_TRAIN = """
import numpy as np
with tf.Graph().as_default() as graph, tf.Session() as session:
    if {begin!r}:
        saver = tf.train.import_meta_graph({begin!r} + ".meta", clear_devices=True)
        saver.restore(session, {begin!r})
        # What was a reference is behind a handle, once it has been here.
        names = {{variable.op.name.replace("/handle", "") for variable in tf.global_variables()}}
        assert names == set(np.load({folder!r} + "/names.npy")), names
        assert tf.get_collection("learning_rates") == [0.25]
        assert [tensor.name for tensor in tf.get_collection("losses_to_see")]
        assert len(tf.trainable_variables()) < len(names)
    else:
        exec({model!r})
        saver = tf.train.Saver({saver})
        session.run(tf.global_variables_initializer())
        np.save({folder!r} + "/names.npy", [variable.op.name for variable in tf.global_variables()])
    train = tf.get_collection("train_op")[-1]
    losses = []
    for number in range(3):
        random = np.random.RandomState(int(session.run(tf.train.get_global_step())))
        feeds = {{"x:0": random.rand(3, 4) * 2 - 1, "y:0": random.rand(3)}}
        losses.append(session.run([train, "loss:0"], feeds)[1])
    saver.save(session, {end!r})
    dots = lambda name: name.replace("/handle", "").replace("/", ".")
    values = session.run({{dots(variable.op.name): variable for variable in tf.global_variables()}})
    np.savez({end!r} + ".npz", losses=losses, **values)
"""


class Both:
    """Runs the text of a program here or in TensorFlow 1.15."""

    def __init__(self, tf1: Peer) -> None:
        self._tf1 = tf1

    def run(self, here: bool, program: str) -> None:
        if here:
            exec(program, {"tf": tf})
        else:
            self._tf1.ask(program=program, fetches=[], run=False)


@pytest.fixture
def both(tf1: Peer) -> Both:
    return Both(tf1)


def same(path: Path, other: Path, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    with np.load(path) as ours, np.load(other) as theirs:
        assert set(ours) == set(theirs)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("here", [True, False], ids=["ours", "theirs"])
@pytest.mark.parametrize("model", MODELS)
def test_training_goes_on_at_the_other_side(both: Both, tmp_path: Path, model: str, here: bool) -> None:
    """A meta graph and its checkpoint: from one side to the other, and back."""
    text = _HEAD + MODELS[model] + _TAIL
    paths = {name: str(tmp_path / name) for name in ("begin", "here", "there", "here_again", "there_again")}

    def train(where: bool, begin: str, end: str) -> None:
        begin, end = paths.get(begin, ""), paths[end]
        saver = "sharded=True" if model == "sparse" else ""
        both.run(where, _TRAIN.format(folder=str(tmp_path), model=text, begin=begin, end=end, saver=saver))

    train(here, "", "begin")
    train(True, "begin", "here")
    train(False, "begin", "there")
    same(tmp_path / "here.npz", tmp_path / "there.npz")
    # What has been imported is exported again, and crosses once more.
    train(False, "here", "there_again")
    train(True, "there", "here_again")
    same(tmp_path / "here_again.npz", tmp_path / "there_again.npz", rtol=1e-4, atol=1e-5)
