from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors
from headrace.ops import embedding, nn
from tests.ops.harness import Bad, Case, OpRecord, run_records

random = np.random.default_rng(5)
FLOATS = ("float32", "float64", "float16", "bfloat16")
REAL = (*FLOATS, "int32", "int64", "int8", "int16", "uint8", "uint16", "uint32", "uint64")
NUMBERS = (*FLOATS, "int32", "int64", "uint8", "complex64", "complex128")


def normal(*shape: int) -> np.ndarray:
    return random.standard_normal(shape).round(2)


def ints(*shape: int) -> np.ndarray:
    return random.integers(0, 5, shape).astype(float)


def distribution(*shape: int) -> np.ndarray:
    p = random.uniform(0.1, 1, shape)
    return p / p.sum(-1, keepdims=True)


# ---- activations: away from their kinks, which have cases of their own
SMOOTH = np.array([-7.25, -1.5, -0.3, 0.2, 0.75, 3.5, 5.5, 6.5, 9.0])
ROWS = normal(3, 4) + 0.005
LARGE = normal(2, 3) + np.array([[0], [80]])
EMPTY = Case((np.zeros((0, 3)),))
SCALE, SCALED_ALPHA = 1.0507009873554804934, 1.0507009873554804934 * 1.6732632423543772848


def unsigned(values):
    return np.abs(values).round()


ACTIVATIONS = {
    # name: (value(x), derivative(g, saved), saved(x, y), dtypes)
    "Relu": (lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), REAL),
    "Relu6": (lambda x: np.minimum(np.maximum(x, 0), 6), lambda g, x: g * ((x > 0) & (x < 6)), REAL),
    "Elu": (lambda x: np.where(x < 0, np.expm1(x), x), lambda g, y: np.where(y < 0, g * (y + 1), g), FLOATS),
    "Selu": (
        lambda x: np.where(x < 0, SCALED_ALPHA * np.expm1(x), SCALE * x).astype(x.dtype),
        lambda g, y: np.where(y < 0, g * (y + SCALED_ALPHA), g * SCALE).astype(g.dtype),
        FLOATS,
    ),
    "Softplus": (
        lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
        lambda g, x: g / (1 + np.exp(-x)),
        FLOATS,
    ),
    "Softsign": (lambda x: x / (1 + abs(x)), lambda g, x: g / (1 + abs(x)) ** 2, FLOATS),
}


def activation_records():
    for name, (value, derivative, dtypes) in ACTIVATIONS.items():
        whole = unsigned if "int32" in dtypes else (lambda v: v)
        special = Case(
            (np.array([0.0, -0.0, np.inf, -np.inf, np.nan]),), dtypes=FLOATS, gradient=False, name="special"
        )
        if name == "Softsign":
            special = EMPTY  # inf / inf
        yield OpRecord(
            name,
            [
                Case((SMOOTH,), dtypes=FLOATS, name="smooth"),
                Case((whole(ROWS),), gradient="int32" not in dtypes, name="matrix"),
                Case((np.array(0.5),), dtypes=FLOATS, name="scalar"),
                special,
                EMPTY,
            ],
            value,
            dtypes,
            differentiable=(0,),
        )
        saved = value(SMOOTH) if "y" in derivative.__code__.co_varnames[:2] else SMOOTH
        yield OpRecord(
            f"{name}Grad",
            [
                Case((normal(9), saved), dtypes=FLOATS, name="smooth"),
                Case((ints(3, 4), whole(ROWS)), gradient=False, name="matrix"),
                Case((np.zeros((0, 3)), np.zeros((0, 3)))),
            ],
            lambda g, s, derivative=derivative: derivative(g, s).astype(g.dtype),
            dtypes,
            differentiable=(0, 1),
            bad=[Bad((ints(2, 3), ints(2, 4)), match=r"\(2, 3\).*\(2, 4\)|\(2, 4\).*\(2, 3\)")],
        )


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)) if x.size else x


def cross_entropy(logits, labels):
    return [-(labels * log_softmax(logits)).sum(-1), softmax(logits) - labels]


def sparse_cross_entropy(logits, labels):
    rows = np.arange(len(labels))
    hot = np.zeros(logits.shape, logits.dtype)
    hot[rows, labels] = 1
    return [-log_softmax(logits)[rows, labels], softmax(logits) - hot]


def bias_shape(value, data_format="NHWC"):
    axis = 1 if data_format == "NCHW" else value.ndim - 1
    return [-1 if i == axis else 1 for i in range(value.ndim)], tuple(
        i for i in range(value.ndim) if i != axis
    )


def bias_add_grad(value, data_format="NHWC"):
    return value.sum(bias_shape(value, data_format)[1], dtype=value.dtype)


def top_k(x, k=None, sorted=True):
    k = int(k)
    wide = x.astype(np.float64)
    order = np.argsort(-wide, -1, kind="stable")[..., :k]
    return [np.take_along_axis(x, order, -1), order.astype(np.int32)]


def distinct(*shape: int) -> np.ndarray:
    return random.permutation(int(np.prod(shape))).reshape(shape).astype(float)


def in_top_k(predictions, targets, k):
    result = []
    for row, target in zip(predictions, targets):
        fits = 0 <= target < len(row) and np.isfinite(row).all()
        result.append(bool(fits) and int((row > row[target]).sum()) < k)
    return np.array(result, bool)


SOFTMAX_CASES = [
    Case((normal(3, 5),)),
    Case((normal(2, 3, 4),)),
    Case((normal(4),), name="vector"),
    Case((LARGE,), gradient=False, name="large"),
    Case((normal(5, 300),), gradient=False, name="wide"),
    Case((np.zeros((0, 3)),), name="no_rows"),
    Case((np.zeros((3, 0)),), name="no_columns"),
]
LEAKY = {"alpha": 0.25}
IN_TOP_K = [
    (np.array([[0.1, 0.9, 0.5], [0.4, 0.3, 0.4]], np.float32), np.array([2, 0], np.int32)),
    (np.array([[0.1, 0.9, 0.5], [0.4, 0.4, 0.4]], np.float32), np.array([2, 1], np.int32)),
    (
        np.array([[np.nan, 0.9, 0.5], [0.4, 0.3, np.inf], [1, 2, 3]], np.float32),
        np.array([1, 2, 7], np.int32),
    ),
    (np.zeros((0, 3), np.float32), np.zeros(0, np.int32)),
]

RECORDS = [
    *activation_records(),
    OpRecord(
        "LeakyRelu",
        [Case((SMOOTH,), LEAKY), Case((SMOOTH,)), EMPTY],
        lambda x, alpha=0.2: np.where(x > 0, x, x * x.dtype.type(np.float32(alpha))),
        differentiable=(0,),
    ),
    OpRecord(
        "LeakyReluGrad",
        [Case((normal(9), SMOOTH), LEAKY), Case((np.zeros(0), np.zeros(0)))],
        lambda g, x, alpha=0.2: np.where(x > 0, g, g * g.dtype.type(np.float32(alpha))),
        differentiable=(0, 1),
    ),
    OpRecord(
        "BiasAdd",
        [
            Case((ints(3, 4), ints(4))),
            Case((ints(2, 3, 4, 5), ints(5))),
            Case((ints(2, 3, 4, 5), ints(3)), {"data_format": "NCHW"}),
            Case((ints(2, 3, 4), ints(3)), {"data_format": "NCHW"}),
            Case((ints(2, 3), ints(3)), {"data_format": "NCHW"}),
            Case((ints(1, 2, 3, 2, 2), ints(2)), {"data_format": "NCHW"}),
            Case((np.zeros((0, 4)), ints(4))),
        ],
        lambda x, b, data_format="NHWC": (x + b.reshape(bias_shape(x, data_format)[0])).astype(x.dtype),
        NUMBERS,
        differentiable=(0, 1),
        bad=[
            Bad((ints(3, 4), ints(3)), match="4 channels"),
            Bad((ints(3), ints(3)), match="rank 2"),
            Bad((ints(2, 3), ints(1, 3)), match="rank 1"),
        ],
    ),
    OpRecord(
        "BiasAddV1",
        [Case((ints(3, 4), ints(4))), Case((ints(2, 3, 4), ints(4))), Case((np.zeros((0, 4)), ints(4)))],
        lambda x, b: (x + b).astype(x.dtype),
        NUMBERS,
        differentiable=(0, 1),
        bad=[Bad((ints(3, 4), ints(3)), match="4 channels")],
    ),
    OpRecord(
        "BiasAddGrad",
        [
            Case((ints(3, 4),)),
            Case((ints(2, 3, 4, 5),)),
            Case((ints(40, 3),), gradient=False, name="several_parts"),
            Case((ints(2, 3, 4, 5),), {"data_format": "NCHW"}),
            Case((ints(2, 3, 4),), {"data_format": "NCHW"}),
            Case((ints(2, 3),), {"data_format": "NCHW"}),
            Case((np.zeros((0, 4)),)),
        ],
        bias_add_grad,
        NUMBERS,
        differentiable=(0,),
        bad=[Bad((ints(3),), match="rank 2")],
    ),
    OpRecord(
        "L2Loss",
        [Case((normal(3, 4),)), Case((normal(500),), gradient=False), Case((np.array(3.0),)), EMPTY],
        lambda t: (t * t).sum() / 2,
        differentiable=(0,),
    ),
    OpRecord(
        "Softmax",
        SOFTMAX_CASES,
        softmax,
        differentiable=(0,),
        bad=[Bad((np.array(1.0),), match="rank 1")],
    ),
    OpRecord(
        "LogSoftmax",
        SOFTMAX_CASES,
        log_softmax,
        differentiable=(0,),
        tolerance={"float32": 2e-5},
        bad=[Bad((np.array(1.0),), match="rank 1")],
    ),
    OpRecord(
        "SoftmaxCrossEntropyWithLogits",
        [
            Case((normal(3, 5), distribution(3, 5))),
            Case((normal(1, 4), distribution(3, 4)), name="one_prediction"),
            Case((normal(3, 4), distribution(1, 4)), name="one_target"),
            Case((LARGE, distribution(2, 3)), gradient=False, name="large"),
            Case((np.zeros((0, 3)), np.zeros((0, 3)))),
        ],
        cross_entropy,
        differentiable=(0, 1),
        bad=[
            Bad((normal(2, 3), normal(2, 4)), match=r"\(2, 3\)"),
            Bad((normal(3), normal(3)), match="rank 2"),
            Bad((normal(2, 0), normal(2, 0)), match="no classes", when="run"),
        ],
        tolerance={"bfloat16": 2e-2},
    ),
    OpRecord(
        "SparseSoftmaxCrossEntropyWithLogits",
        [
            Case((normal(3, 5), np.array([0, 4, 2], np.int32))),
            Case((LARGE, np.array([1, 0], np.int64)), gradient=False, name="large"),
            Case((np.zeros((0, 3)), np.zeros(0, np.int64))),
        ],
        sparse_cross_entropy,
        differentiable=(0,),
        bad=[
            Bad((normal(2, 3), np.array([0, 3])), match=r"label 1 is 3.*\[0, 3\)", when="run"),
            Bad((normal(2, 3), np.array([-1, 0])), match="label 0 is -1", when="run"),
            Bad((normal(2, 3), np.array([0, 1, 2])), match="2 examples"),
            Bad((normal(2, 3), np.array([[0, 1]])), match="rank 1"),
        ],
        tolerance={"bfloat16": 2e-2},
    ),
    OpRecord(
        "InTopK",
        [Case(inputs, {"k": k}) for inputs in IN_TOP_K for k in (0, 1, 2, 5)],
        in_top_k,
        dtypes=(),
        bad=[Bad((np.zeros((2, 3), np.float32), np.zeros(3, np.int32)), {"k": 1}, match="2 examples")],
    ),
    OpRecord(
        "InTopKV2",
        [Case((p, t, np.array(k, np.int32))) for p, t in IN_TOP_K for k in (0, 1, 2, 5)],
        in_top_k,
        dtypes=(),
        bad=[Bad((np.zeros((2, 3), np.float32), np.zeros(3, np.int32), np.int32(1)), match="2 examples")],
    ),
    OpRecord(
        "TopK",
        [
            Case((distinct(3, 5),), {"k": 2}),
            Case((distinct(7),), {"k": 7}),
            Case((ints(4, 20),), {"k": 6}, gradient=False, name="ties"),
            Case((np.zeros((0, 4)),), {"k": 2}),
            Case((distinct(2, 3),), {"k": 0}, name="none"),
        ],
        top_k,
        REAL,
        differentiable=(0,),
        bad=[
            Bad((distinct(2, 3),), {"k": 4}, match="k is 4"),
            Bad((np.array(1.0),), {"k": 1}, match="rank 1"),
        ],
    ),
    OpRecord(
        "TopKV2",
        [
            Case((distinct(3, 5), np.int32(2))),
            Case((distinct(2, 2, 4), np.int32(3))),
            Case((ints(4, 20), np.int32(6)), gradient=False, name="ties"),
            Case((np.zeros((0, 4)), np.int32(2))),
        ],
        top_k,
        REAL,
        differentiable=(0,),
        bad=[
            Bad((distinct(2, 3), np.int32(4)), match="k is 4"),
            Bad((distinct(2, 3), np.int32(-1)), match="k is -1"),
        ],
    ),
]

run_records(globals(), RECORDS)


# ---- public functions


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor, feeds=None):
    with tf.Session() as session:
        return session.run(tensor, feeds)


def test_top_k_puts_nan_first():
    x = tf.constant([1.0, float("nan"), 3.0])
    assert value(nn.top_k(x, 2)).indices.tolist() == [1, 2]


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
@pytest.mark.parametrize("known", [True, False])
def test_softmax_along_any_axis(axis, known):
    x = normal(3, 4, 2)
    hole = tf.placeholder(tf.float64, x.shape if known else None)
    moved = np.moveaxis(x, axis, -1)
    for function, reference in ((nn.softmax, softmax), (nn.log_softmax, log_softmax)):
        want = np.moveaxis(reference(moved), -1, axis)
        np.testing.assert_allclose(value(function(hole, axis=axis), {hole: x}), want)


def test_softmax_checks_its_axis():
    with pytest.raises(ValueError, match="axis is 2"):
        nn.softmax(normal(2, 3), axis=2)
    with pytest.raises(ValueError, match="two names"):
        nn.softmax(normal(2, 3), axis=1, dim=1)


@pytest.mark.parametrize("shape, axis", [((3, 4), -1), ((3, 4), 0), ((2, 3, 4), -1), ((2, 3, 4), 1)])
@pytest.mark.parametrize("known", [True, False])
def test_softmax_cross_entropy(shape, axis, known):
    x, p = normal(*shape), distribution(*shape)
    holes = [tf.placeholder(tf.float64, shape if known else [None] * len(shape)) for _ in range(2)]
    loss = nn.softmax_cross_entropy_with_logits_v2(logits=holes[0], labels=holes[1], axis=axis)
    want = cross_entropy(np.moveaxis(x, axis, -1), np.moveaxis(p, axis, -1))[0]
    assert loss.shape.is_compatible_with(want.shape)
    assert loss.shape.ndims == len(shape) - 1
    np.testing.assert_allclose(value(loss, dict(zip(holes, (x, p)))), want)


def test_only_the_newer_cross_entropy_differentiates_its_labels():
    x, p = tf.constant(normal(2, 3)), tf.constant(distribution(2, 3))
    newer = nn.softmax_cross_entropy_with_logits_v2(labels=p, logits=x)
    older = nn.softmax_cross_entropy_with_logits(labels=p, logits=x)
    assert tf.gradients(newer, p)[0] is not None
    assert tf.gradients(older, p)[0] is None
    assert older.name.startswith("softmax_cross_entropy_with_logits_sg")
    with pytest.raises(ValueError, match="by name"):
        nn.softmax_cross_entropy_with_logits(x, p)


def test_a_class_that_cannot_occur_costs_nothing():
    loss = nn.softmax_cross_entropy_with_logits_v2(labels=[[1.0, 0.0]], logits=[[0.0, -np.inf]])
    assert value(loss).tolist() == [0]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_sparse_softmax_cross_entropy(shape):
    x, labels = normal(*shape, 4), random.integers(0, 4, shape)
    loss = nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)
    want = sparse_cross_entropy(x.reshape(-1, 4), labels.reshape(-1))[0].reshape(shape)
    assert loss.shape.as_list() == list(shape)
    np.testing.assert_allclose(value(loss), want)
    with pytest.raises(ValueError, match="labels are classes"):
        nn.sparse_softmax_cross_entropy_with_logits(labels=np.zeros((3, 3), int), logits=normal(3, 3))


def test_losses_of_halves_are_computed_in_single_precision():
    x = tf.constant(normal(2, 3), tf.float16)
    loss = nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1], logits=x)
    assert loss.dtype == tf.float16
    assert "SparseSoftmaxCrossEntropyWithLogits" in [op.type for op in loss.graph.get_operations()]
    value(loss)


def test_sigmoid_cross_entropy():
    x, z = np.array([-100.0, -1.0, 0.0, 2.0, 100.0]), np.array([0.0, 1.0, 0.5, 0.25, 1.0])
    p = 1 / (1 + np.exp(-x[1:4]))
    want = -z[1:4] * np.log(p) - (1 - z[1:4]) * np.log(1 - p)
    hole = tf.placeholder(tf.float64, [5])
    loss = nn.sigmoid_cross_entropy_with_logits(labels=z, logits=hole)
    got, slope = value([loss, tf.gradients(loss, hole)[0]], {hole: x})
    np.testing.assert_allclose(got[1:4], want)
    np.testing.assert_allclose(got[[0, 4]], 0, atol=1e-40)
    np.testing.assert_allclose(slope, 1 / (1 + np.exp(-x)) - z, atol=1e-15)
    with pytest.raises(ValueError, match="same shape"):
        nn.sigmoid_cross_entropy_with_logits(labels=z[:2], logits=hole)


def test_weighted_cross_entropy():
    x, z = normal(6), random.uniform(0, 1, 6)
    p = 1 / (1 + np.exp(-x))
    want = -z * np.log(p) * 3 - (1 - z) * np.log(1 - p)
    np.testing.assert_allclose(value(nn.weighted_cross_entropy_with_logits(z, x, 3.0)), want)
    np.testing.assert_allclose(
        value(nn.weighted_cross_entropy_with_logits(targets=z, logits=x, pos_weight=3.0)), want
    )


def test_log_poisson_loss():
    c, z = normal(4), np.array([0.0, 1.0, 2.0, 5.0])
    want = np.exp(c) - z * c
    np.testing.assert_allclose(value(nn.log_poisson_loss(z, c)), want)
    more = np.array([0, 0, *(v * np.log(v) - v + 0.5 * np.log(2 * np.pi * v) for v in (2, 5))])
    np.testing.assert_allclose(value(nn.log_poisson_loss(z, c, compute_full_loss=True)), want + more)


def test_layers():
    x, w, b = normal(2, 3), normal(3, 4), normal(4)
    np.testing.assert_allclose(value(nn.xw_plus_b(x, w, b)), x @ w + b)
    np.testing.assert_allclose(value(nn.relu_layer(x, w, b)), np.maximum(x @ w + b, 0))
    assert nn.xw_plus_b(x, w, b, name="layer").name == "layer:0"


def test_bias_add_knows_data_formats():
    x = ints(2, 3, 4)
    np.testing.assert_allclose(value(nn.bias_add(x, [1.0, 2, 3], "NCW")), x + np.arange(1, 4)[:, None])
    np.testing.assert_allclose(value(nn.bias_add(x, [1.0, 2, 3, 4], "NWC")), x + np.arange(1, 5))
    with pytest.raises(ValueError, match="data_format"):
        nn.bias_add(x, [1.0, 2, 3], "CHW")


def test_activations_made_of_others():
    x = np.array([-2.0, -0.5, 1.0])
    np.testing.assert_allclose(value(nn.crelu(x)), [0, 0, 1, 2, 0.5, 0])
    np.testing.assert_allclose(value(nn.swish(x)), x / (1 + np.exp(-x)))
    np.testing.assert_allclose(value(nn.leaky_relu(x, 0.5)), [-1, -0.25, 1])
    np.testing.assert_allclose(value(nn.leaky_relu(x, tf.constant(0.5, tf.float64))), [-1, -0.25, 1])
    assert nn.leaky_relu([1, -5]).dtype == tf.float32


def test_zero_fraction():
    assert value(nn.zero_fraction([[0.0, 1], [2, 0]])) == 0.5
    assert np.isnan(value(nn.zero_fraction(np.zeros((0, 2)))))


def test_in_top_k():
    assert value(nn.in_top_k([[0.1, 0.9, 0.5]], [2], 2)).tolist() == [True]


class TestDropout:
    def test_keeps_the_expected_share_scaled_up(self):
        tf.set_random_seed(1)
        y = value(nn.dropout(np.ones((100, 100)), rate=0.3))
        assert set(np.unique(y.round(6))) == {0, (1 / 0.7).__round__(6)}
        assert abs((y > 0).mean() - 0.7) < 0.02

    def test_says_it_in_two_ways(self):
        tf.set_random_seed(1)
        kept = nn.dropout(np.ones((8, 8)), 0.25, seed=3)
        dropped = nn.dropout(np.ones((8, 8)), rate=0.75, seed=3)
        one, other = value([kept, dropped])
        np.testing.assert_array_equal(one, other)

    def test_structure(self):
        x = tf.placeholder(tf.float32, [3, 4], name="x")
        y = nn.dropout(x, 0.5)
        assert y.name == "dropout/mul_1:0"
        names = {op.name: op.type for op in y.graph.get_operations()}
        assert names["dropout/random_uniform/RandomUniform"] == "RandomUniform"
        assert names["dropout/GreaterEqual"] == "GreaterEqual"
        assert y.shape.as_list() == [3, 4]

    def test_shares_decisions(self):
        y = value(nn.dropout(np.ones((50, 3)), rate=0.5, noise_shape=[None, 1], seed=1))
        assert set(y.sum(1)) == {0, 6}
        hole = tf.placeholder(tf.float64, [None, 3])
        y = value(nn.dropout(hole, rate=0.5, noise_shape=[None, 1], seed=1), {hole: np.ones((50, 3))})
        assert set(y.sum(1)) == {0, 6}

    def test_gradient_is_the_same_mask(self):
        x = tf.constant(np.ones((5, 5)))
        y = nn.dropout(x, rate=0.5, seed=2)
        one, slope = value([y, tf.gradients(y, x)[0]])
        np.testing.assert_array_equal(one, slope)

    def test_bad_arguments(self):
        x = np.ones((2, 2))
        assert nn.dropout(tf.constant(x), 1.0).op.type == "Const"
        for arguments, match in [
            ({}, "either"),
            ({"keep_prob": 0.5, "rate": 0.5}, "either"),
            ({"rate": 1.0}, r"\[0, 1\)"),
            ({"keep_prob": 0.0}, r"\[0, 1\)"),
            ({"keep_prob": "a"}, "keep_prob"),
        ]:
            with pytest.raises(ValueError, match=match):
                nn.dropout(x, **arguments)
        with pytest.raises(ValueError, match="floating"):
            nn.dropout(np.ones(3, np.int32), rate=0.5)


class TestEmbeddingLookup:
    table = normal(10, 3)
    ids = np.array([[3, 0], [9, 3]], np.int32)

    @pytest.mark.parametrize("ids", [ids, ids.astype(np.int64)])
    @pytest.mark.parametrize("strategy", ["mod", "div"])
    @pytest.mark.parametrize("parts", [1, 2, 3])
    def test_tables_in_parts(self, parts, strategy, ids):
        if strategy == "mod":
            tables = [self.table[i::parts] for i in range(parts)]
        else:
            tables = np.array_split(self.table, parts)
        tables = [tf.constant(t) for t in tables]
        rows = embedding.embedding_lookup(tables, ids, strategy)
        assert rows.shape.as_list() == [2, 2, 3]
        np.testing.assert_array_equal(value(rows), self.table[ids])

    @pytest.mark.parametrize("parts", [1, 2])
    def test_clips_rows(self, parts):
        tables = [tf.constant(self.table[i::parts]) for i in range(parts)]
        rows = value(embedding.embedding_lookup(tables, self.ids, max_norm=0.5))
        want = self.table[self.ids]
        norms = np.linalg.norm(want, axis=-1, keepdims=True)
        np.testing.assert_allclose(rows, want * np.minimum(1, 0.5 / norms))

    def test_gradient_is_sparse(self):
        table = tf.constant(self.table)
        rows = embedding.embedding_lookup(table, self.ids)
        grad = tf.gradients(rows, table)[0]
        assert isinstance(grad, tf.IndexedSlices)
        assert value(grad.indices).tolist() == [3, 0, 9, 3]

    def test_bad_arguments(self):
        with pytest.raises(ValueError, match="empty"):
            embedding.embedding_lookup([], self.ids)
        with pytest.raises(ValueError, match="partition_strategy"):
            embedding.embedding_lookup(self.table, self.ids, "round")


def test_bfloat16_is_computed_in_single_precision():
    x = np.full((1, 400), 1.0).astype(ml_dtypes.bfloat16)
    total = value(tf.matmul(x, x.T))
    assert total.astype(float) == 400


def test_errors_name_the_line():
    with pytest.raises((ValueError, errors.InvalidArgumentError), match=r"test_nn\.py"):
        nn.bias_add(np.ones((2, 3)), np.ones(4))
