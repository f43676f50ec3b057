"""Whole programs: written here and run by TensorFlow, and written by TensorFlow and run here."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from tests.interop.conftest import Peer, to_array, to_bytes

# Each has placeholders "x" and "y", tensors "loss" and "out" to fetch, and operations "init" and "train".
_REGRESSION = """
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None, 3], name="y")
w = tf.Variable(tf.zeros([4, 3]), name="w")
b = tf.Variable(tf.zeros([3]), name="b")
logits = tf.matmul(x, w) + b
tf.nn.softmax(logits, name="out")
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
tf.identity(loss, name="loss")
tf.train.GradientDescentOptimizer(0.5).minimize(loss, name="train")
tf.global_variables_initializer()
"""

_NETWORK = """
import numpy as np
values = np.random.RandomState(1)
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None, 3], name="y")
step = tf.train.get_or_create_global_step()
image = tf.reshape(x, [-1, 2, 2, 1])
filters = tf.get_variable("filters", initializer=values.randn(2, 2, 1, 8).astype("f"))
hidden = tf.nn.relu(tf.nn.conv2d(image, filters, strides=[1, 1, 1, 1], padding="SAME"))
hidden = tf.nn.max_pool(hidden, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")
mean, variance = tf.nn.moments(hidden, [0, 1, 2])
hidden = tf.nn.batch_normalization(hidden, mean, variance, None, None, 1e-3)
hidden = tf.reshape(hidden, [-1, 8])
with tf.variable_scope("last"):
    w = tf.get_variable("w", initializer=values.randn(8, 3).astype("f"))
out = tf.tanh(tf.matmul(hidden, w))
tf.identity(out[:, ::2] * 2 - tf.reduce_max(out, 1, keepdims=True), name="out")
loss = tf.reduce_sum(tf.square(out - y)) + 0.01 * tf.nn.l2_loss(w)
tf.identity(loss, name="loss")
rate = tf.train.exponential_decay(0.01, step, 1, 0.9)
optimizer = tf.train.AdamOptimizer(rate)
gradients, variables = zip(*optimizer.compute_gradients(loss))
gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
optimizer.apply_gradients(zip(gradients, variables), global_step=step, name="train")
tf.global_variables_initializer()
"""

_EMBEDDING = """
import numpy as np
values = np.random.RandomState(2)
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None, 3], name="y")
table = tf.Variable(values.randn(10, 3).astype("f"), name="table")
ids = tf.cast(tf.floormod(tf.abs(x[:, 0]) * 10, 10), tf.int32)
rows = tf.nn.embedding_lookup(table, ids)
parts = tf.concat([rows, tf.transpose(tf.stack([rows[:, 0], rows[:, 1]]))], 1)
out = tf.where(parts > 0, parts, tf.zeros_like(parts))
tf.identity(out, name="out")
loss = tf.reduce_mean(tf.squared_difference(rows, y))
tf.identity(loss, name="loss")
tf.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True).minimize(loss, name="train")
tf.global_variables_initializer()
"""

_LOOP = """
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None, 3], name="y")
w = tf.Variable(0.1 * tf.reshape(tf.range(12.0), [4, 3]), name="w")
m = tf.Variable([[0.3, 0.0, 0.1], [0.0, -0.3, 0.0], [0.2, 0.0, 0.3]], name="m")


def body(i, h):
    return i + 1, STEP


_, out = tf.while_loop(lambda i, h: i < tf.shape(x)[0], body, [tf.constant(0), tf.matmul(x, w)])
out = tf.identity(out, name="out")
loss = tf.reduce_mean(tf.square(out - y), name="loss")
tf.train.GradientDescentOptimizer(0.1).minimize(loss, name="train")
tf.global_variables_initializer()
"""

# Everything goes through a resource of its own in each step, in and out again.
_RESOURCES = """
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None, 3], name="y")
n = tf.shape(x)[0]
w = tf.Variable(tf.zeros([4, 3]), name="w", use_resource=True)


def through(queue, put, count):
    with tf.control_dependencies([put]):
        return queue.dequeue_many(count)


rows = tf.queue.FIFOQueue(9, [tf.float32], shapes=[[4]])
rows = tf.reshape(through(rows, rows.enqueue_many([x]), n), [-1, 4])
ragged = tf.queue.PaddingFIFOQueue(9, [tf.float32], shapes=[[None]])
with tf.control_dependencies([ragged.enqueue([x[0, :2]])]):
    more = ragged.enqueue([x[1]])
padded = through(ragged, more, 2)
line = tf.queue.PriorityQueue(9, [tf.float32], shapes=[[]])
priorities = tf.cast(1000.0 * x[:, 0], tf.int64)
priorities, ordered = through(line, line.enqueue_many([priorities, x[:, 0]]), n)
shuffled = tf.queue.RandomShuffleQueue(9, 0, [tf.float32], shapes=[[]])
largest = tf.reduce_max(through(shuffled, shuffled.enqueue_many([x[:, 1]]), n))
elements = tf.TensorArray(tf.float32, n, element_shape=[4]).unstack(rows)
gathered = elements.gather(tf.range(n)[::-1])

logits = tf.matmul(rows, w)
loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
loss = tf.add(loss, 0.1 * (tf.reduce_sum(padded) + largest), name="loss")
out = tf.concat([tf.reshape(part, [-1]) for part in (logits, padded, ordered, gathered)], 0, name="out")
(gradient,) = tf.gradients(loss, [w])
accumulator = tf.ConditionalAccumulator(tf.float32, shape=[4, 3])
late = 1000  # gradients of earlier steps than the accumulator's are dropped
given = [accumulator.apply_grad(gradient, late), accumulator.apply_grad(3.0 * gradient, late)]
with tf.control_dependencies([out, *given]):
    mean = accumulator.take_grad(2)
with tf.control_dependencies([w.assign_sub(0.1 * mean)]):
    tf.no_op(name="train")
tf.global_variables_initializer()
"""

_PROGRAMS = {
    "regression": _REGRESSION,
    "network": _NETWORK,
    "embedding": _EMBEDDING,
    "resources": _RESOURCES,
    "loop": _LOOP.replace("STEP", "tf.tanh(tf.matmul(h, m)) + tf.cast(i, tf.float32)"),
    "condition": _LOOP.replace(
        "STEP",
        "tf.cond(tf.equal(tf.floormod(i, 2), 0), lambda: tf.tanh(tf.matmul(h, m)),"
        " lambda: h + tf.cast(i, tf.float32))",
    ),
}
# TensorFlow hands what a branch saves for its gradient over in optionals, which are its own.
_NOT_HERE = {"condition"}
_STEPS = 4
_FETCHES = ["loss:0", "out:0"]


def _feeds() -> dict[str, np.ndarray]:
    values = np.random.RandomState(0)
    labels = np.eye(3, dtype=np.float32)[values.randint(3, size=6)]
    return {"x:0": values.randn(6, 4).astype(np.float32), "y:0": labels}


def _run(graph: tf.Graph) -> list[np.ndarray]:
    values = []
    with tf.Session(graph=graph) as session:
        session.run(graph.get_operation_by_name("init"))
        for _ in range(_STEPS):
            values += session.run([*_FETCHES, "train"], _feeds())[: len(_FETCHES)]
    return values


def _agree(mine: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=f"fetch {i}")


def _request(**of: object) -> dict:
    feeds = {name: to_bytes(array) for name, array in _feeds().items()}
    common = {"fetches": _FETCHES, "targets": ["train"], "before": ["init"], "feeds": feeds, "steps": _STEPS}
    return {**common, **of}


@pytest.mark.parametrize("program", _PROGRAMS.values(), ids=_PROGRAMS)
def test_ours_in_tensorflow(peer: Peer, program: str) -> None:
    graph = tf.Graph()
    with graph.as_default():
        exec(program, {"tf": tf})
    reply = peer.ask(**_request(graph_def=graph.as_graph_def().SerializeToString()))
    _agree(_run(graph), [to_array(data) for data in reply["values"]])


@pytest.mark.parametrize("name", sorted(_PROGRAMS.keys() - _NOT_HERE))
def test_tensorflows_here(peer: Peer, name: str) -> None:
    reply = peer.ask(**_request(program=_PROGRAMS[name]))
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(tf.GraphDef.FromString(reply["graph_def"]), name="")
    _agree(_run(graph), [to_array(data) for data in reply["values"]])


@pytest.mark.parametrize("program", _PROGRAMS.values(), ids=_PROGRAMS)
def test_same_names(peer: Peer, program: str) -> None:
    """What the program itself names and what users see of it bears the same names."""
    reply = peer.ask(**_request(program=program, run=False))
    theirs = {node.name: node.op for node in tf.GraphDef.FromString(reply["graph_def"]).node}
    graph = tf.Graph()
    with graph.as_default():
        exec(program, {"tf": tf})
    ours = {op.name: op.type for op in graph.get_operations()}
    kinds = {"Placeholder", "VarHandleOp", "MatMul", "Conv2D", "MaxPool", "Relu", "Softmax", "Tanh"}
    # Gradients are ours to compose; the forward computation is not.
    inner = ("gradients/", "train")
    seen = {name for name, op in theirs.items() if op in kinds and not name.startswith(inner)}
    missing = {name: theirs[name] for name in seen if ours.get(name) != theirs[name]}
    assert not missing, f"not here: {missing}"
