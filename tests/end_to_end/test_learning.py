"""Models that learn: regression, networks of layers, embeddings."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

import headrace as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def digits():
    data = load_digits()
    order = np.random.RandomState(0).permutation(len(data.data))
    return (data.data[order] / 16).astype(np.float32), data.target[order].astype(np.int64)


def test_linear_regression_finds_the_least_squares_solution():
    rng = np.random.RandomState(0)
    inputs = rng.normal(size=(100, 3)).astype(np.float32)
    answers = inputs @ np.float32([1.0, -2.0, 0.5]) + 0.3 + 0.1 * rng.normal(size=100).astype(np.float32)
    x = tf.placeholder(tf.float32, [None, 3])
    y = tf.placeholder(tf.float32, [None])
    w = tf.Variable(tf.zeros([3, 1]))
    b = tf.Variable(0.0)
    loss = tf.reduce_mean(tf.square(tf.squeeze(tf.matmul(x, w), 1) + b - y))
    step = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(300):
            session.run(step, {x: inputs, y: answers})
        found = np.append(session.run(w), session.run(b))
    exact = np.linalg.lstsq(np.c_[inputs, np.ones(100)], answers, rcond=None)[0]
    np.testing.assert_allclose(found, exact, atol=1e-4)


def test_logistic_regression():
    rng = np.random.RandomState(1)
    inputs = rng.normal(size=(400, 2)).astype(np.float32)
    answers = (inputs @ np.float32([2.0, -1.0]) + 0.5 > 0).astype(np.float32)
    x = tf.placeholder(tf.float32, [None, 2])
    y = tf.placeholder(tf.float32, [None])
    w = tf.get_variable("w", [2, 1], initializer=tf.zeros_initializer())
    b = tf.get_variable("b", [], initializer=tf.zeros_initializer())
    logits = tf.matmul(x, w)[:, 0] + b
    loss = tf.losses.sigmoid_cross_entropy(y, logits)
    step = tf.train.AdamOptimizer(0.1).minimize(loss)
    correct = tf.reduce_mean(tf.cast(tf.equal(tf.cast(logits > 0, tf.float32), y), tf.float32))
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(150):
            session.run(step, {x: inputs, y: answers})
        assert session.run(correct, {x: inputs, y: answers}) > 0.98
        weights = session.run(w)[:, 0]
    assert weights[0] / weights[1] == pytest.approx(-2.0, rel=0.2)


def test_multilayer_perceptron_on_digits():
    images, labels = digits()
    tf.set_random_seed(0)
    x = tf.placeholder(tf.float32, [None, 64])
    y = tf.placeholder(tf.int64, [None])
    hidden = x
    for i, units in enumerate((64, 32)):
        with tf.variable_scope(f"layer{i}"):
            size = hidden.shape.as_list()[1]
            w = tf.get_variable("w", [size, units])
            b = tf.get_variable("b", [units], initializer=tf.zeros_initializer())
            hidden = tf.nn.relu(tf.nn.xw_plus_b(hidden, w, b))
    logits = tf.matmul(hidden, tf.get_variable("out", [32, 10]))
    loss = tf.losses.sparse_softmax_cross_entropy(y, logits)
    step = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, tf.train.get_or_create_global_step())
    accuracy = tf.reduce_mean(tf.to_float(tf.nn.in_top_k(logits, y, 1)))
    rng = np.random.RandomState(0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(400):
            chosen = rng.randint(360, len(images), size=64)
            session.run(step, {x: images[chosen], y: labels[chosen]})
        assert session.run(accuracy, {x: images[:360], y: labels[:360]}) > 0.95
        assert session.run(tf.train.get_global_step()) == 400


def test_lenet_on_digits():
    images, labels = digits()
    tf.set_random_seed(0)
    x = tf.placeholder(tf.float32, [None, 64])
    y = tf.placeholder(tf.int64, [None])
    keep = tf.placeholder(tf.float32)

    def weight(shape):
        return tf.Variable(tf.truncated_normal(shape, stddev=0.1))

    def bias(shape):
        return tf.Variable(tf.constant(0.1, shape=shape))

    image = tf.reshape(x, [-1, 8, 8, 1])
    h1 = tf.nn.relu(tf.nn.conv2d(image, weight([5, 5, 1, 16]), [1, 1, 1, 1], "SAME") + bias([16]))
    p1 = tf.nn.max_pool(h1, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    h2 = tf.nn.relu(tf.nn.conv2d(p1, weight([5, 5, 16, 32]), [1, 1, 1, 1], "SAME") + bias([32]))
    p2 = tf.nn.max_pool(h2, [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
    flat = tf.reshape(p2, [-1, 2 * 2 * 32])
    dense = tf.nn.dropout(tf.nn.relu(tf.matmul(flat, weight([128, 64])) + bias([64])), keep)
    logits = tf.matmul(dense, weight([64, 10])) + bias([10])
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=tf.one_hot(y, 10), logits=logits))
    step = tf.train.AdamOptimizer(2e-3).minimize(loss)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(logits, 1), y), tf.float32))
    rng = np.random.RandomState(0)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(250):
            chosen = rng.randint(360, len(images), size=50)
            session.run(step, {x: images[chosen], y: labels[chosen], keep: 0.8})
        assert session.run(accuracy, {x: images[:360], y: labels[:360], keep: 1.0}) > 0.95


def test_embeddings_learn_from_sparse_gradients():
    """Words that occur together come to have a high product; words that never occur stay as they were."""
    tf.set_random_seed(0)
    table = tf.get_variable("table", [10, 4], initializer=tf.random_uniform_initializer(-0.5, 0.5))
    pairs = np.array([[0, 1], [2, 3], [0, 1], [3, 2]])
    ids = tf.placeholder(tf.int32, [None, 2])
    left, right = tf.nn.embedding_lookup(table, ids[:, 0]), tf.nn.embedding_lookup(table, ids[:, 1])
    loss = tf.reduce_mean(tf.nn.softplus(-tf.reduce_sum(left * right, 1)))
    (gradient,) = tf.gradients(loss, [table])
    assert isinstance(gradient, tf.IndexedSlices)
    step = tf.train.AdagradOptimizer(0.5).minimize(loss)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        before = session.run(table)
        for _ in range(100):
            session.run(step, {ids: pairs})
        after = session.run(table)
    assert after[0] @ after[1] > 2 and after[2] @ after[3] > 2
    np.testing.assert_array_equal(after[4:], before[4:])
