"""Names from before 1.0."""

import numpy as np
import pytest

import headrace as tf
from headrace.compat import v0

X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture(autouse=True)
def session():
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def test_renamed_functions(session):
    a, b = X[:, :2], X[:, 2:]
    assert np.all(session.run(v0.mul(a, b)) == a * b)
    assert np.all(session.run(v0.sub(a, b)) == a - b)
    assert np.all(session.run(v0.neg(a)) == -a)
    assert np.all(session.run(v0.pack([a, b])) == np.stack([a, b]))
    assert np.all(session.run(v0.unpack(a)) == a)
    assert np.all(session.run(v0.batch_matmul(a[None], b[None])) == a @ b)
    assert np.all(session.run(v0.select([True, False], a, b)) == [a[0], b[1]])
    assert session.run(v0.complex_abs(3 + 4j)) == 5
    assert v0.nn.relu is tf.nn.relu and v0.Session is tf.Session


def test_other_orders(session):
    assert np.all(session.run(v0.concat(1, [X, X])) == np.concatenate([X, X], 1))
    assert np.all(session.run(v0.concat(concat_dim=0, values=[X, X])) == np.concatenate([X, X]))
    first, second = session.run(v0.split(1, 2, X))
    assert np.all(first == X[:, :2]) and np.all(second == X[:, 2:])
    assert np.all(session.run(v0.reverse(X, [False, True])) == X[:, ::-1])
    assert np.all(session.run(v0.reverse_sequence(X, [2, 4], 1, 0))[:, :2] == [[1, 0], [7, 6]])


def test_losses_take_logits_first(session):
    logits, one_hot = np.float32([[1, 2]]), np.float32([[0, 1]])
    expected = np.log(1 + np.exp(-1))
    assert session.run(v0.nn.softmax_cross_entropy_with_logits(logits, one_hot)) == pytest.approx(expected)
    assert session.run(v0.nn.sparse_softmax_cross_entropy_with_logits(logits, [1])) == pytest.approx(expected)
    both = session.run(v0.nn.sigmoid_cross_entropy_with_logits(logits, targets=one_hot))
    assert both == pytest.approx(np.log(1 + np.exp([[1, -2]])), rel=1e-5)
    loss = v0.nn.sampled_softmax_loss(np.eye(4), np.zeros(4), np.eye(4)[:2], [[0], [1]], 2, 4)
    assert session.run(loss).shape == (2,)


def test_summaries(session, tmp_path):
    v0.scalar_summary(["a", "b"], [1.0, 2.0])
    v0.histogram_summary("h", [1.0, 2.0])
    v0.image_summary("i", np.zeros((2, 2, 2, 1), np.uint8), max_images=1)
    alone = v0.audio_summary("s", np.zeros((1, 9), np.float32), 8000, 1, collections=[])
    merged = v0.merge_all_summaries()
    writer = v0.train.SummaryWriter(tmp_path, session.graph)
    writer.add_summary(session.run(merged), 3)
    writer.add_summary(session.run(alone), 4)
    writer.close()
    (path,) = tmp_path.iterdir()
    tags = [[v.tag for v in e.summary.value] for e in tf.train.summary_iterator(path) if e.summary.value]
    assert tags == [["a", "b", "h", "i/image"], ["s/audio"]]


def test_variables(session):
    v = tf.Variable(2.0)
    session.run(v0.initialize_all_variables())
    assert session.run(v) == 2 and v0.all_variables() == [v]
