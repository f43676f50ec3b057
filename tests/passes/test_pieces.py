"""Pieces of a value share its memory, and parts are made in their place of what they are joined to."""

import re

import numpy as np
import pytest

import headrace as tf

rng = np.random.default_rng(5)
ROWS, WIDTH = 32, 64  # rows of 256 bytes: every row begins where memory may begin


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


@pytest.fixture(params=["one lane", "lanes"])
def session(request):
    """No pass rewrites what is tested; on lanes, instructions run as they come."""
    config = tf.ConfigProto(inter_op_parallelism_threads=1 if request.param == "one lane" else 3)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.Session(config=config) as sess:
        sess.one_lane = request.param == "one lane"
        yield sess


def fed(*arrays):
    return {tf.placeholder(a.dtype, a.shape): a for a in arrays}


def arena(session, fetches, feeds):
    return int(re.search(r"arena of (\d+) bytes", session.describe_plan(fetches, feeds))[1])


def test_pieces_take_no_memory(session):
    a = normal(64 * ROWS, WIDTH)
    feeds = fed(a)
    (x,) = feeds
    pieces = [*tf.split(x, 4), x[16:48], *tf.split(x, [64, 1920, 64]), tf.slice(x, [320, 0], [32, -1])]
    totals = [tf.reduce_max(piece, 1) for piece in pieces]
    expected = [*np.split(a, 4), a[16:48], *np.split(a, [64, 1984]), a[320:352]]
    for one, want in zip(session.run(totals, feeds), expected):
        np.testing.assert_array_equal(one, want.max(1))
    assert arena(session, totals, feeds) < a.nbytes / 32


@pytest.mark.parametrize("begin", [0, 3, 16, 31])
def test_a_piece_is_fetched(session, begin):
    a = normal(ROWS, WIDTH)
    feeds = fed(a)
    (x,) = feeds
    y = tf.negative(x)
    piece = y[begin:]
    reshaped = tf.reshape(y[begin : begin + 1], [-1])
    found = session.run([piece, reshaped, y], feeds)
    for one, want in zip(found, [-a[begin:], -a[begin], -a]):
        np.testing.assert_array_equal(one, want)
    found[0][:] = 7  # fetches own their memory
    np.testing.assert_array_equal(found[2], -a)


def test_a_piece_of_a_variable_is_a_snapshot(session):
    a = normal(ROWS, WIDTH)
    v = tf.Variable(a, use_resource=True)
    session.run(tf.global_variables_initializer())
    piece = v.read_value()[16:]
    with tf.control_dependencies([piece]):
        update = v.assign_add(np.ones_like(a))
    with tf.control_dependencies([update]):
        later = tf.reduce_sum(tf.square(piece))
    for step in range(3):
        expected = np.sum((a[16:] + step).astype(np.float64) ** 2)
        np.testing.assert_allclose(session.run(later), expected, rtol=1e-5)
    np.testing.assert_allclose(session.run(v), a + 3, rtol=1e-6)


def test_nobody_overwrites_a_value_that_pieces_are_read_of(session):
    a = normal(ROWS, WIDTH)
    feeds = fed(a)
    (x,) = feeds
    y = tf.exp(x)
    top, bottom = tf.split(y, 2)
    z = y + tf.concat([bottom, top], 0)
    w = tf.negative(y)
    again = w * tf.concat([bottom, bottom], 0)
    e = np.exp(a)
    found = session.run([z, again, top], feeds)
    np.testing.assert_allclose(found[0], e + np.roll(e, 16, 0), rtol=1e-5)
    np.testing.assert_allclose(found[1], -e * np.concatenate([e[16:]] * 2), rtol=1e-5)
    np.testing.assert_allclose(found[2], e[:16], rtol=1e-5)


def test_parts_are_made_in_place(session):
    arrays = [normal(16, WIDTH) for _ in range(4)]
    feeds = fed(*arrays)
    parts = [tf.exp(x) for x in feeds]
    total = tf.reduce_sum(tf.abs(tf.concat(parts, 0)), 1)
    expected = np.exp(np.concatenate(arrays)).sum(1)
    np.testing.assert_allclose(session.run(total, feeds), expected, rtol=1e-5)
    if session.one_lane:
        assert arena(session, total, feeds) < 1.5 * 4 * 16 * WIDTH * 4


def test_parts_live_on(session):
    """Parts that are used before and after, twice, joined to several values, or fetched."""
    arrays = [normal(16, WIDTH) for _ in range(3)]
    feeds = fed(*arrays)
    a, b, c = (tf.exp(x) for x in feeds)
    early = tf.sqrt(a)
    both = tf.concat([a, b, a], 0)
    nested = tf.concat([tf.negative(both), tf.concat([c, b], 0)], 0)
    late = tf.negative(both) * 2.0
    after = tf.square(a) + tf.square(b) + c
    found = session.run([early, nested, late, after, b], feeds)
    ea, eb, ec = np.exp(arrays)
    joined = np.concatenate([ea, eb, ea])
    expected = [np.sqrt(ea), np.concatenate([-joined, ec, eb]), -2 * joined, ea**2 + eb**2 + ec, eb]
    for one, want in zip(found, expected):
        np.testing.assert_allclose(one, want, rtol=1e-5)


def test_a_loop_of_pieces_and_joins(session):
    a = normal(ROWS, WIDTH)
    feeds = fed(a)
    (x,) = feeds

    def body(i, h):
        top, bottom = tf.split(h, 2)
        return i + 1, tf.concat([bottom, tf.tanh(top)], 0)

    _, y = tf.while_loop(lambda i, h: i < 5, body, [0, x])
    (grad,) = tf.gradients(y, x)
    expected, found_grad = a, None
    for _ in range(5):
        expected = np.concatenate([expected[16:], np.tanh(expected[:16])])
    value, found_grad = session.run([y, grad], feeds)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert found_grad.shape == a.shape and np.all(found_grad > 0)
    _, piece = tf.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, tf.tile(h[16:], [2, 1])), [0, x])
    np.testing.assert_array_equal(session.run(piece, feeds), np.concatenate([a[16:]] * 2))


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_are_packed_once_a_step(session, transposed):
    """Products that read the same weights share them in the layout that the library likes best."""
    w = normal(128, 192)
    weights = tf.Variable(w.T if transposed else w, use_resource=True)
    session.run(tf.global_variables_initializer())
    arrays = [normal(8, 128) for _ in range(5)]
    feeds = fed(*arrays)
    read = weights.read_value()
    made = [tf.matmul(x, read, transpose_b=transposed) for x in feeds]
    with tf.control_dependencies(made):
        double = weights.assign(2.0 * read)
    for step in range(3):
        found = session.run([*made, double.op], feeds)
        for one, x in zip(found, arrays):
            np.testing.assert_allclose(one, 2.0**step * (x @ w), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_random_programs(session, seed):
    random = np.random.default_rng(seed)
    arrays = [normal(ROWS, WIDTH) for _ in range(2)]
    feeds = fed(*arrays)
    values, expected = list(feeds), list(arrays)
    for _ in range(14):
        i, j = random.integers(0, len(values), 2)
        at = int(random.choice([5, 8, 16, 24]))
        kind = random.integers(0, 4)
        if kind == 0:
            values.append(tf.tanh(values[i]))
            expected.append(np.tanh(expected[i]))
        elif kind == 1:
            values.append(values[i] - values[j])
            expected.append(expected[i] - expected[j])
        elif kind == 2:
            values.append(tf.concat([values[i][at:], values[j][:at]], 0))
            expected.append(np.concatenate([expected[i][at:], expected[j][:at]]))
        else:
            top, bottom = tf.split(values[i], [at, ROWS - at])
            values.append(tf.concat([bottom, tf.abs(top)], 0))
            expected.append(np.concatenate([expected[i][at:], np.abs(expected[i][:at])]))
    fetched = [int(i) for i in random.integers(2, len(values), 4)]
    for _ in range(2):
        for one, i in zip(session.run([values[i] for i in fetched], feeds), fetched):
            np.testing.assert_allclose(one, expected[i], rtol=1e-4, atol=1e-5)
