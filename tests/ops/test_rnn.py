import numpy as np
import pytest

import headrace as tf
from headrace import testing

BATCH, TIME, SIZE, UNITS = 2, 4, 3, 5
X = np.random.default_rng(0).uniform(-1, 1, (BATCH, TIME, SIZE))
cells = tf.nn.rnn_cell


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def basic(x, h, w):
    h = np.tanh(np.hstack([x, h]) @ w["kernel"] + w["bias"])
    return h, h


def gru(x, h, w):
    gates = sigmoid(np.hstack([x, h]) @ w["gates/kernel"] + w["gates/bias"])
    r, u = np.split(gates, 2, 1)
    c = np.tanh(np.hstack([x, r * h]) @ w["candidate/kernel"] + w["candidate/bias"])
    h = u * h + (1 - u) * c
    return h, h


def lstm(x, state, w):
    c, h = state
    i, j, f, o = np.split(np.hstack([x, h]) @ w["kernel"] + w["bias"], 4, 1)
    peep = "w_f_diag" in w
    f, i = f + (w["w_f_diag"] * c if peep else 0), i + (w["w_i_diag"] * c if peep else 0)
    c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(j)
    h = sigmoid(o + (w["w_o_diag"] * c if peep else 0)) * np.tanh(c)
    if "projection/kernel" in w:
        h = h @ w["projection/kernel"]
    return h, (c, h)


CELLS = {
    "basic_rnn_cell": (lambda: cells.BasicRNNCell(UNITS), basic),
    "gru_cell": (lambda: cells.GRUCell(UNITS), gru),
    "basic_lstm_cell": (lambda: cells.BasicLSTMCell(UNITS), lstm),
    "lstm_cell": (lambda: cells.LSTMCell(UNITS, use_peepholes=True, num_proj=2), lstm),
}


def unrolled(step, x, state, weights, lengths=None):
    outputs = []
    for t in range(x.shape[1]):
        output, new = step(x[:, t], state, weights)
        if lengths is not None:
            going = (t < np.asarray(lengths))[:, None]
            output = np.where(going, output, 0)
            if isinstance(new, tuple):
                new = tuple(np.where(going, a, b) for a, b in zip(new, state))
            else:
                new = np.where(going, new, state)
        outputs.append(output)
        state = new
    return np.stack(outputs, 1), state


def zeros(state_size):
    if isinstance(state_size, tuple):
        return tuple(np.zeros((BATCH, size)) for size in state_size)
    return np.zeros((BATCH, state_size))


def values_of(session, scope):
    return {v.name[len(scope) + 1 : -2]: session.run(v) for v in tf.global_variables(scope)}


def randomised(session):
    session.run(tf.global_variables_initializer())
    rng = np.random.default_rng(1)
    for v in tf.global_variables():
        v.load(rng.uniform(-1, 1, v.shape.as_list()), session)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("lengths", [None, [4, 2]])
@pytest.mark.parametrize("kind", ["dynamic", "time_major", "static", "unknown_shape"])
def test_recurrent_networks(name, lengths, kind):
    make, step = CELLS[name]
    cell = make()
    x = tf.placeholder(tf.float64, [None, None, SIZE] if kind == "unknown_shape" else X.shape)
    if kind == "static":
        outputs, state = tf.nn.static_rnn(
            cell, tf.unstack(x, axis=1), dtype=tf.float64, sequence_length=lengths
        )
        outputs = tf.stack(outputs, 1)
    elif kind == "time_major":
        turned = tf.transpose(x, [1, 0, 2])
        outputs, state = tf.nn.dynamic_rnn(cell, turned, lengths, dtype=tf.float64, time_major=True)
        outputs = tf.transpose(outputs, [1, 0, 2])
    else:
        outputs, state = tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float64)
    assert outputs.shape.as_list()[2] == cell.output_size
    assert all(v.name.startswith(f"rnn/{name}/") for v in tf.trainable_variables())
    assert cell.trainable_variables == tf.trainable_variables()
    with tf.Session() as session:
        randomised(session)
        expected = unrolled(step, X, zeros(cell.state_size), values_of(session, f"rnn/{name}"), lengths)
        actual = session.run([outputs, state], {x: X})
    np.testing.assert_allclose(actual[0], expected[0], rtol=1e-9)
    for got, want in zip(tf.nest.flatten(actual[1]), tf.nest.flatten(expected[1])):
        np.testing.assert_allclose(got, want, rtol=1e-9)


def test_bidirectional():
    x = tf.constant(X)
    both, states = tf.nn.bidirectional_dynamic_rnn(
        cells.GRUCell(UNITS), cells.BasicRNNCell(2), x, [4, 2], dtype=tf.float64
    )
    with tf.Session() as session:
        randomised(session)
        (forward, backward), (_, last) = session.run([both, states])
        weights = values_of(session, "bidirectional_rnn/bw/basic_rnn_cell")
    assert forward.shape == (BATCH, TIME, UNITS)
    turned = np.stack([X[0, ::-1], np.concatenate([X[1, 1::-1], X[1, 2:]])])
    outputs, state = unrolled(basic, turned, np.zeros((BATCH, 2)), weights, [4, 2])
    np.testing.assert_allclose(last, state)
    np.testing.assert_allclose(backward[0], outputs[0, ::-1])
    np.testing.assert_allclose(backward[1, :2], outputs[1, 1::-1])


def test_stacked_and_wrapped():
    cell = cells.MultiRNNCell(
        [cells.LSTMCell(SIZE), cells.ResidualWrapper(cells.DropoutWrapper(cells.GRUCell(SIZE), 0.999999))]
    )
    outputs, state = tf.nn.dynamic_rnn(cell, tf.constant(X), dtype=tf.float64)
    assert isinstance(state, tuple) and isinstance(state[0], cells.LSTMStateTuple)
    assert [v.name for v in tf.global_variables()][::3] == [
        "rnn/multi_rnn_cell/cell_0/lstm_cell/kernel:0",
        "rnn/multi_rnn_cell/cell_1/gru_cell/gates/bias:0",
    ]
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        assert session.run(outputs).shape == X.shape


@pytest.mark.parametrize("variational", [False, True])
def test_dropout(variational):
    cell = cells.DropoutWrapper(
        cells.BasicRNNCell(50), output_keep_prob=0.5, variational_recurrent=variational, dtype=tf.float64
    )
    outputs, _ = tf.nn.dynamic_rnn(cell, tf.constant(X), dtype=tf.float64)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        dropped = session.run(outputs) == 0
    assert 0.3 < dropped.mean() < 0.7
    assert (dropped[:, :1] == dropped).all() == variational


def test_gradients():
    def function(x):
        with tf.variable_scope("net", reuse=tf.AUTO_REUSE):
            initial = tf.constant_initializer(0.3)
            cell = cells.LSTMCell(2, initializer=initial)
            outputs, state = tf.nn.dynamic_rnn(cell, x, [4, 2], dtype=tf.float64)
        return outputs, state.c

    testing.verify_grad(function, [X], order=2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "wrong,error",
    [
        (lambda x: tf.nn.dynamic_rnn(3, x, dtype=tf.float64), TypeError),
        (lambda x: tf.nn.dynamic_rnn(cells.GRUCell(2), x), ValueError),
        (lambda x: tf.nn.static_rnn(cells.GRUCell(2), x, dtype=tf.float64), TypeError),
        (lambda x: tf.nn.static_rnn(cells.GRUCell(2), [], dtype=tf.float64), ValueError),
        (lambda x: cells.MultiRNNCell([]), ValueError),
        (lambda x: cells.DropoutWrapper(cells.GRUCell(2), input_keep_prob=2.0), ValueError),
        (lambda x: tf.nn.dynamic_rnn(cells.GRUCell(2), x, [[1]], dtype=tf.float64), ValueError),
    ],
)
def test_misuse(wrong, error):
    with pytest.raises(error):
        wrong(tf.constant(X))
