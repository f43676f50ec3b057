"""Products of matrices that share an operand or are summed become one; values and gradients stay."""

import numpy as np
import pytest

import headrace as tf

RANDOM = np.random.default_rng(0)
STEPS, BATCH, WIDTH, UNITS = 6, 2, 16, 24


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def compare(fetches, feeds, expected=None):
    """(plan with the pass, plan without), after comparing what they compute."""
    texts, values = [], []
    for disabled in ([], ["products"]):
        with tf.Session(config=tf.ConfigProto(disabled_passes=disabled)) as session:
            session.run(tf.global_variables_initializer())
            texts.append(session.describe_plan(fetches, feeds))
            values.append(session.run(fetches, feeds))
    for one, other in zip(*values):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    return texts


def products(text):
    return text.count("MatMul '")


def placeholders(*shapes):
    return {tf.placeholder(tf.float64, [None] * len(s)): RANDOM.normal(size=s) for s in shapes}


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
def test_sum_of_products(transpose_a, transpose_b):
    left = (BATCH, WIDTH) if transpose_a else (WIDTH, BATCH)
    right = (UNITS, BATCH) if transpose_b else (BATCH, UNITS)
    feeds = placeholders(*[left] * STEPS, *[right] * STEPS, (WIDTH, UNITS))
    *xs, other = feeds
    made = [tf.matmul(a, b, transpose_a, transpose_b) for a, b in zip(xs[:STEPS], xs[STEPS:])]
    with_it, without = compare([tf.add_n([*made, other])], feeds)
    assert (products(with_it), products(without)) == (1, STEPS)


def test_products_with_one_right_operand():
    feeds = placeholders(*[(BATCH, WIDTH)] * STEPS, (WIDTH, UNITS))
    *xs, w = feeds
    with_it, without = compare([tf.tanh(tf.matmul(x, w)) for x in xs], feeds)
    assert (products(with_it), products(without)) == (1, STEPS)
    with_it, _ = compare([tf.tanh(tf.matmul(x, tf.transpose(w), transpose_b=True)) for x in xs], feeds)
    assert products(with_it) == 1


def test_what_depends_on_another_product_waits():
    feeds = placeholders((BATCH, WIDTH), (WIDTH, WIDTH))
    x, w = feeds
    h = x
    for _ in range(STEPS):
        h = tf.matmul(h, w)
    with_it, _ = compare([h], feeds)
    assert products(with_it) == STEPS


def test_pieces_of_a_product():
    feeds = placeholders((BATCH, WIDTH), (WIDTH, UNITS))
    x, w = feeds
    whole = tf.matmul(x, w)
    columns = tf.split(whole, [4, 8, UNITS - 12], 1)
    with_it, without = compare([columns[1]], feeds)
    assert f"({BATCH}, {UNITS})" in without and f"({BATCH}, {UNITS})" not in with_it
    rows = tf.split(tf.matmul(w, x, transpose_a=True, transpose_b=True), [4, 8, UNITS - 12], 0)
    with_it, without = compare([rows[0], rows[2]], feeds)
    assert f"({UNITS}, {BATCH})" in without and f"({UNITS}, {BATCH})" not in with_it
    with_it, _ = compare([*columns], feeds)
    assert products(with_it) == 1


def test_what_would_not_pay_stays():
    # The operands are larger than the matrix that they meet.
    feeds = placeholders(*[(100, WIDTH)] * 2, (WIDTH, UNITS))
    a, b, w = feeds
    with_it, _ = compare([tf.matmul(a, w), tf.matmul(b, w)], feeds)
    assert products(with_it) == 2


def recurrent(cell, x, h):
    for x_t in tf.unstack(x, axis=1):
        h = cell(x_t, h)
    return h


def test_a_recurrent_cell_and_its_gradients():
    shapes = (BATCH, STEPS, WIDTH), (BATCH, UNITS), (WIDTH + UNITS, UNITS)
    values = [RANDOM.normal(size=shape) * 0.3 for shape in shapes]
    x, h, w = (tf.placeholder(tf.float64, shape) for shape in shapes)
    last = recurrent(lambda x_t, h: tf.tanh(tf.matmul(tf.concat([x_t, h], 1), w)), x, h)
    feeds = dict(zip([x, h, w], values))
    with_it, without = compare([last], feeds)
    # One product for all x_t, and one in each step for h.
    assert products(with_it) == STEPS + 1 and products(without) == STEPS
    with_it, without = compare([last, *tf.gradients(last, [w])], feeds)
    # Then those by which the gradient goes from step to step, and one for that of w.
    assert products(without) == STEPS + (STEPS - 1) + STEPS
    assert products(with_it) == 1 + STEPS + (STEPS - 1) + 1
    compare(tf.gradients(last, [x, h, w]), feeds)


def test_what_waits_for_side_effects_stays():
    feeds = placeholders(*[(BATCH, WIDTH)] * 3, (WIDTH, UNITS))
    *xs, w = feeds
    first = tf.matmul(xs[0], w)
    counter = tf.get_variable("counter", [], initializer=tf.zeros_initializer())
    with tf.control_dependencies([first]), tf.control_dependencies([counter.assign_add(1.0)]):
        second = tf.matmul(xs[1], w)
    with_it, _ = compare([first, second, tf.matmul(xs[2], w)], feeds)
    assert products(with_it) == 2


@pytest.mark.parametrize("sizes", [(64, 96), (64, 8)])
def test_sum_over_joined_operands(sizes):
    """sum_t [a_t c_t]^T b_t: nobody joins a_t and c_t, unless that makes products too small."""
    feeds = placeholders(*[(BATCH, sizes[0]), (BATCH, sizes[1]), (BATCH, UNITS)] * STEPS)
    xs = [tf.identity(x) for x in feeds]
    made = [
        tf.matmul(tf.concat(xs[i : i + 2], 1), xs[i + 2], transpose_a=True) for i in range(0, 3 * STEPS, 3)
    ]
    with_it, without = compare([tf.add_n(made)], feeds)
    assert products(without) == STEPS
    assert products(with_it) == (2 if min(sizes) >= 64 else 1)
