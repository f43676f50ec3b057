"""Biases, residuals, normalisations and activations done by products and convolutions."""

import threading

import numpy as np
import pytest

import headrace as tf

rng = np.random.default_rng(7)
PASS = "post_operations"


def normal(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def both(build, tolerance=2e-5):
    """The plan with the pass, after checking that values and gradients are the same without it."""
    with tf.Graph().as_default():
        variables, y = build()
        loss = tf.reduce_sum(tf.sin(tf.cast(y, tf.float32)))
        grads = [g for g in tf.gradients(loss, variables) if g is not None]
        texts, values = [], []
        for disabled in ([], [PASS]):
            with tf.Session(config=tf.ConfigProto(disabled_passes=disabled)) as sess:
                sess.run(tf.global_variables_initializer())
                texts.append(sess.describe_plan(y))
                values.append(sess.run([y, *grads]))
    assert "Fused" not in texts[1].replace("FusedBatchNorm", "")
    for a, b in zip(*values):
        scale = np.abs(np.asarray(b, np.float32)).max() + 1e-6
        a, b = np.asarray(a, np.float32), np.asarray(b, np.float32)
        np.testing.assert_allclose(a / scale, b / scale, atol=tolerance)
    return texts[0]


def variable(*shape):
    return tf.Variable(normal(*shape))


def image(first):
    return [2, 16, 6, 5] if first else [2, 6, 5, 16]


def per_channel(first, size):
    return [size, 1, 1] if first else [size]


CHAINS = {
    "bias": lambda y, first: tf.nn.bias_add(y, normal(32), data_format="NCHW" if first else "NHWC"),
    "addition": lambda y, first: y + normal(*per_channel(first, 32)),
    "addition before": lambda y, first: normal(*per_channel(first, 32)) + y,
    "difference": lambda y, first: y - normal(*per_channel(first, 32)),
    "scale": lambda y, first: y * normal(*per_channel(first, 32)),
    "one scale": lambda y, first: y * 0.125,
    "residual": lambda y, first: y + normal(*y.shape.as_list()),
    "relu": lambda y, first: tf.nn.relu(y),
    "leaky relu": lambda y, first: tf.nn.leaky_relu(y, 0.3),
    "elu": lambda y, first: tf.nn.elu(y),
    "tanh": lambda y, first: tf.tanh(0.25 * y),
    "sigmoid": lambda y, first: tf.sigmoid(y),
    "normalisation": lambda y, first: tf.nn.fused_batch_norm(
        y, normal(32), normal(32), normal(32), np.abs(normal(32)) + 0.1, is_training=False, epsilon=0.01,
        data_format="NCHW" if first else "NHWC",
    )[0],
}  # fmt: skip
CHAINS["all of a block"] = lambda y, first: CHAINS["relu"](
    CHAINS["residual"](CHAINS["normalisation"](CHAINS["bias"](y, first), first), first), first
)


@pytest.mark.parametrize("first", [False, True], ids=["NHWC", "NCHW"])
@pytest.mark.parametrize("chain", CHAINS)
def test_after_a_convolution(chain, first):
    def build():
        x, w = variable(*image(first)), variable(3, 3, 16, 32)
        y = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME", data_format="NCHW" if first else "NHWC")
        return [x, w], CHAINS[chain](y, first)

    plan = both(build)
    assert "_FusedConv2D" in plan
    assert not [op for op in ("Add", "BiasAdd", "Sub", "Mul", "elu", "Norm") if f"  {op}" in plan], plan


@pytest.mark.parametrize("chain", [name for name in CHAINS if "normal" not in name and "block" not in name])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_after_a_product(chain, batch):
    def build():
        x, w = variable(*batch, 7, 24), variable(*batch, 24, 32)
        return [x, w], CHAINS[chain](tf.matmul(x, w), False)

    plan = both(build)
    assert "_FusedMatMul" in plan or "_FusedBatchMatMulV2" in plan


def test_after_depthwise_and_volume_convolutions():
    def depthwise():
        x, w = variable(2, 6, 5, 16), variable(3, 3, 16, 2)
        return [x, w], tf.nn.relu(
            tf.nn.bias_add(tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME"), normal(32))
        )

    def volume():
        x, w = variable(2, 4, 6, 5, 8), variable(3, 3, 3, 8, 16)
        return [x, w], tf.nn.relu(tf.nn.conv3d(x, w, [1, 1, 1, 1, 1], "SAME") + normal(16))

    assert "_FusedDepthwiseConv2dNative" in both(depthwise)
    assert "_FusedConv3D" in both(volume)


def test_in_bfloat16():
    def build():
        x, w = variable(2, 6, 5, 16), variable(3, 3, 16, 32)
        y = tf.nn.conv2d(tf.cast(x, tf.bfloat16), tf.cast(w, tf.bfloat16), [1, 1, 1, 1], "SAME")
        return [x, w], tf.nn.relu(CHAINS["normalisation"](y, False))

    # One rounding instead of three.
    assert "_FusedConv2D" in both(build, tolerance=0.1)


def test_two_branches_meet():
    """The residual of one convolution is what another made."""

    def build():
        x, v, w = variable(2, 6, 5, 16), variable(1, 1, 16, 32), variable(3, 3, 16, 32)
        a, b = (CHAINS["normalisation"](tf.nn.conv2d(x, u, [1, 1, 1, 1], "SAME"), False) for u in (v, w))
        return [x, v, w], tf.nn.relu(a + b)

    plan = both(build)
    assert plan.count("_FusedConv2D '") == 2 and "  AddV2" not in plan


def fused(fetches, feeds=None):
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        return sess.describe_plan(fetches, feeds or {}).count("  _Fused")


def test_what_others_read_stays():
    with tf.Graph().as_default():
        x, w = variable(4, 8), variable(8, 16)
        product = tf.matmul(x, w)
        y = tf.nn.relu(product + normal(16))
        assert fused(y) == 1
        assert fused([y, product]) == 0  # fetched
        assert fused([y, tf.reduce_sum(product)]) == 0  # read twice
        with tf.control_dependencies([tf.no_op()]):
            assert fused(tf.nn.relu(product)) == 0  # waits for something
        assert fused(product + normal(3, 4, 16)) == 0  # grows by broadcasting
        assert fused(product + normal(4, 1)) == 0  # one for each row
        assert fused(tf.matmul(tf.cast(x, tf.float64), tf.cast(w, tf.float64)) + 1.0) == 0


def test_training_statistics_are_not_folded():
    with tf.Graph().as_default():
        x, w = variable(2, 6, 5, 16), variable(3, 3, 16, 32)
        y = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")
        z, mean, _ = tf.nn.fused_batch_norm(y, np.ones(32, "f"), np.zeros(32, "f"), is_training=True)
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            assert "_FusedConv2D" not in sess.describe_plan([z, mean])


NORM_CHAINS = {
    "relu": lambda y, other: tf.nn.relu(y),
    "residual": lambda y, other: y + other,
    "residual and relu": lambda y, other: tf.nn.relu(other + y),
    "others": lambda y, other: tf.tanh(y * 0.5 + other),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("first", [False, True], ids=["NHWC", "NCHW"])
@pytest.mark.parametrize("chain", NORM_CHAINS)
def test_after_a_normalisation(chain, first, training):
    def build():
        x, other = variable(*image(first)), variable(*image(first))
        moments = {} if training else {"mean": normal(16), "variance": np.abs(normal(16)) + 0.1}
        y, mean, variance = tf.nn.fused_batch_norm(
            x,
            normal(16),
            normal(16),
            is_training=training,
            data_format="NCHW" if first else "NHWC",
            **moments,
        )
        y = NORM_CHAINS[chain](y, other)
        return [x, other], y + tf.reduce_sum(mean) + tf.reduce_sum(variance)

    assert "_FusedFusedBatchNormV3" in both(build)


def test_a_residual_made_of_the_statistics_stays_outside():
    with tf.Graph().as_default():
        x = variable(2, 6, 5, 16)
        y, mean, _ = tf.nn.fused_batch_norm(x, np.ones(16, "f"), np.zeros(16, "f"), is_training=True)
        assert fused(y + (x - mean)) == 0


def test_an_empty_batch():
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 8])
        y = tf.nn.relu(tf.matmul(x, normal(8, 16)) + normal(16))
        with tf.Session() as sess:
            assert sess.run(y, {x: np.zeros((0, 8), np.float32)}).shape == (0, 16)


@pytest.mark.parametrize("activation", [tf.nn.relu, tf.nn.elu, tf.tanh, tf.sigmoid])
def test_a_nan_stays(activation):
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [4, 32])
        y = activation(tf.matmul(x, normal(32, 16)) + normal(16))
        feed = normal(4, 32)
        feed[2, 3] = np.nan
        with tf.Session() as sess:
            found = sess.run(y, {x: feed})
    assert np.isnan(found[2]).all() and np.isfinite(found[[0, 1, 3]]).all()


# ---- weights kept in another layout while they do not change


def test_weights_that_change_are_laid_out_again():
    with tf.Graph().as_default():
        x, w = tf.placeholder(tf.float32, [2, 8, 8, 32]), variable(3, 3, 32, 64)
        y = tf.nn.conv2d(x, w, [1, 1, 1, 1], "SAME")
        double, feed = tf.assign(w, 2.0 * w), normal(2, 8, 8, 32)
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            first = sess.run(y, {x: feed})
            for times in range(1, 4):
                for _ in range(4):
                    np.testing.assert_array_equal(sess.run(y, {x: feed}), first * 2.0 ** (times - 1))
                sess.run(double.op)
            w.load(normal(3, 3, 32, 64), sess)
            assert np.abs(sess.run(y, {x: feed}) / first - 8).max() > 1


def test_steps_at_once_with_an_update_between():
    """Each step sees the weights of before an update or of after it, never a mixture or an old copy."""
    with tf.Graph().as_default():
        x, w = tf.placeholder(tf.float32, [1, 8, 8, 32]), tf.Variable(tf.ones([3, 3, 32, 64]))
        y = tf.reduce_mean(tf.nn.conv2d(x, w, [1, 1, 1, 1], "VALID"), [1, 2])
        more = w.assign_add(tf.ones([3, 3, 32, 64]))
        feed, wrong = np.ones((1, 8, 8, 32), np.float32), []
        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            done = threading.Event()

            def read():
                last = 0.0
                while not done.is_set():
                    found = sess.run(y, {x: feed}) / (3 * 3 * 32)
                    if found.min() != found.max() or found[0, 0] != round(found[0, 0]) or found[0, 0] < last:
                        wrong.append(found)
                    last = found[0, 0]

            readers = [threading.Thread(target=read) for _ in range(3)]
            for reader in readers:
                reader.start()
            for _ in range(100):
                sess.run(more.op)
                sess.run(y, {x: feed})
            done.set()
            for reader in readers:
                reader.join()
            assert not wrong
            assert sess.run(y, {x: feed})[0, 0] == 101 * 3 * 3 * 32
