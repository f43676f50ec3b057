"""Fusion: which nodes become one, that values stay the same bit by bit, and what must not be fused."""

import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import headrace as tf
from headrace.framework import raw

OFF = tf.ConfigProto(disabled_passes=["fusion"])
rng = np.random.RandomState(0)


def random(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def fused(plan):
    """The operations of each fused node of a plan, in order."""
    return [ops.split(", ") for ops in re.findall(r"_Elementwise\(([^)]*)\)", plan)]


def others(plan):
    """The operations of the other nodes."""
    return re.findall(r"^  (\w+) '", re.sub(r"^  arena.*\n|^  _Elementwise.*\n", "", plan, flags=re.M), re.M)


def check(fetches, feeds=None, exact=True):
    """The plan with fusion, after checking that values are the same without, twice."""
    with tf.Session() as on, tf.Session(config=OFF) as off:
        for sess in (on, off):
            sess.run(tf.global_variables_initializer())
        assert not fused(off.describe_plan(fetches, feeds))
        for _ in range(2):
            found, expected = on.run(fetches, feeds), off.run(fetches, feeds)
            for a, b in zip(tf.nest.flatten(found), tf.nest.flatten(expected)):
                if exact:
                    np.testing.assert_array_equal(a, b)
                else:
                    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
        return on.describe_plan(fetches, feeds)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def placeholder(array):
    return tf.placeholder(array.dtype, array.shape)


# ---- what is fused


@pytest.mark.parametrize("size", [1, 3, 1000, 5000, 100_003])
def test_a_chain_is_one_node(size):
    a = random(size)
    x = placeholder(a)
    plan = check(tf.tanh(2.0 * x + 1.0) * tf.sigmoid(x) - tf.square(x), {x: a})
    (ops,) = fused(plan)
    assert sorted(ops) == ["AddV2", "Mul", "Mul", "Sigmoid", "Square", "Sub", "Tanh"]
    assert others(plan) == []
    assert "arena of 0 bytes" in plan


@pytest.mark.parametrize(
    "shapes",
    [
        [(20, 300), (300,)],
        [(20, 300), (20, 1)],
        [(20, 300), ()],
        [(20, 300), (1, 1)],
        [(3, 5, 700), (5, 1), (3, 1, 1)],
        [(3, 5, 700), (3, 1, 700), (5, 700)],
        [(2, 3, 4, 5), (3, 1, 5), (2, 1, 4, 1)],
        [(7, 4099), (7, 1), (4099,)],
        [(4099, 7), (7,), (4099, 1)],
        [(1, 2500, 1), (1,), (2500, 1)],
    ],
)
def test_operands_broadcast(shapes):
    arrays = [random(*shape) for shape in shapes]
    xs = [placeholder(a) for a in arrays]
    y = tf.exp(-xs[0])
    for x in xs[1:]:
        y = tf.maximum(y * x, xs[0]) + x
    plan = check(y, dict(zip(xs, arrays)))
    assert len(fused(plan)) == 1
    assert others(plan) == []


def test_small_operands_are_computed_before():
    """What is repeated is computed once, by a node of its own."""
    a, b = random(50, 40), random(40)
    x, y = placeholder(a), placeholder(b)
    plan = check(tf.exp(x) * (tf.exp(y) + 1.0), {x: a, y: b})
    assert sorted(fused(plan)) == [["Exp", "AddV2"], ["Exp", "Mul"]]


def test_shapes_between_are_looked_through():
    a, b = random(6, 40), random(40)
    x, y = placeholder(a), placeholder(b)
    z = tf.reshape(tf.exp(x) + y, [2, 3, 40])
    z = tf.squeeze(tf.expand_dims(z * 2.0, 1), 1) + random(3, 1)
    assert len(fused(check(tf.reshape(z, [-1]), {x: a, y: b}))) == 1


def test_shapes_that_cut_differently_are_not():
    a = random(4, 6)
    x = placeholder(a)
    y = tf.reshape(tf.exp(x) + random(6), [6, 4]) * random(4)
    assert len(fused(check(tf.tanh(y), {x: a}))) >= 1
    y = tf.reshape(tf.exp(x), [6, 4]) * random(4)  # nothing is repeated in the first shape
    assert fused(check(y, {x: a})) == [["Exp", "Mul"]]


def test_what_is_repeated_is_not_stored():
    a, b = random(30, 50), random(30, 1)
    x, y = placeholder(a), placeholder(b)
    plan = check(x * tf.broadcast_to(y, [30, 50]), {x: a, y: b})
    assert fused(plan) == [["Mul"]]
    assert others(plan) == []


def test_casts_and_choices():
    a, b = random(33, 70), rng.randint(-5, 5, (33, 70)).astype(np.int32)
    x, y = placeholder(a), placeholder(b)
    mask = tf.cast(tf.greater(x, 0.5), tf.float32)
    z = tf.where(tf.logical_and(tf.less(y, 2), x > 0.0), mask * x, tf.cast(tf.abs(y) * 3, tf.float32))
    plan = check([z, tf.cast(z, tf.int64), tf.cast(z, tf.float64) * 0.1], {x: a, y: b})
    assert len(fused(plan)) == 1
    assert others(plan) == []


def test_rows_are_chosen():
    a, b, c = random(9, 31), random(9, 31), random(9)
    x, y, z = placeholder(a), placeholder(b), placeholder(c)
    chosen = raw.Select(z > 0.0, tf.exp(x), tf.exp(y)) + 1.0
    check(chosen, {x: a, y: b, z: c})


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_biases_and_activations(data_format):
    a, b = random(2, 3, 5, 3), random(3)
    x, y = placeholder(a), placeholder(b)
    z = tf.nn.leaky_relu(tf.nn.bias_add(x, y, data_format=data_format), 0.3)
    plan = check([z, tf.gradients(tf.nn.elu(z), x)[0]], {x: a, y: b})
    assert "BiasAdd" in fused(plan)[0]
    assert others(plan) == []


def test_sums_of_many():
    a = random(4, 500)
    x = placeholder(a)
    plan = check(tf.add_n([tf.exp(x), x, tf.tanh(x), x * x]) ** 2, {x: a})
    assert len(fused(plan)) == 1
    assert others(plan) == []


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_16_bit_floats_are_float32_in_between(dtype):
    a, b = random(30, 70).astype(dtype.as_numpy_dtype), random(70).astype(dtype.as_numpy_dtype)
    x, y = placeholder(a), placeholder(b)
    z = tf.tanh(x * y + 1.0) * x
    z = tf.where(x > y, z, x)  # of what has not been rounded yet
    with tf.Session() as on, tf.Session(config=OFF) as off:
        found = on.run([z, tf.cast(z, tf.float32) + 1.0], {x: a, y: b})
        expected = off.run([z, tf.cast(z, tf.float32) + 1.0], {x: a, y: b})
        assert len(fused(on.describe_plan(z, {x: a, y: b}))) == 1
    tolerance = 2e-3 if dtype == tf.float16 else 2e-2
    for f, e in zip(found, expected):
        assert f.dtype == e.dtype
        np.testing.assert_allclose(f.astype(np.float32), e.astype(np.float32), tolerance, tolerance)


def test_a_cast_to_16_bits_rounds():
    a = random(1000)
    x = placeholder(a)
    y = tf.cast(tf.cast(x * 1.0001, tf.bfloat16), tf.float32)
    assert fused(check(y - x, {x: a})) == [["Mul", "Cast", "Cast", "Sub"]]


# ---- groups


def test_results_inside_are_results_of_the_group():
    a = random(17, 65)
    x = placeholder(a)
    y = tf.exp(x)
    z = tf.reshape(y + 1.0, [-1])
    w = tf.sin(z) * 2.0
    plan = check([y, z, w, tf.transpose(y)], {x: a})
    assert fused(plan) == [["Exp", "AddV2", "Sin", "Mul"]]
    assert sorted(others(plan)) == ["Transpose"]


def test_nothing_lies_between_members():
    """exp(x) is read by the product and by what the product waits for."""
    a = random(40, 40)
    x = placeholder(a)
    y = tf.exp(x) + 1.0
    plan = check(tf.abs(tf.matmul(y, y)) * y, {x: a})
    assert fused(plan) == [["Exp", "AddV2"], ["Abs", "Mul"]]


def test_derivatives_are_computed_where_the_gradient_arrives():
    a, w = random(40, 40), random(40, 40)
    x = placeholder(a)
    h = tf.matmul(x, w)
    y = tf.matmul(0.5 * h * (1.0 + tf.tanh(0.8 * (h + 0.04 * h * h * h))), w)
    plan = check([y, *tf.gradients(y * y, x)], {x: a}, exact=False)
    forward, backward = sorted(fused(plan), key=lambda ops: "TanhGrad" in ops)[-2:]
    assert "Tanh" in forward and "TanhGrad" in backward
    assert others(plan).count("MatMul") == 4


def test_readers_that_wait_wait_for_the_group():
    a = random(300)
    x = placeholder(a)
    v = tf.Variable(a, use_resource=True)
    y = tf.exp(x) + 1.0
    with tf.control_dependencies([y]):
        z = tf.tanh(tf.cos(x))
    with tf.control_dependencies([tf.assign_add(v, tf.sin(z) * 2.0)]):
        w = tf.exp(v.read_value() * 3.0)
    plan = check([z, w], {x: a})
    assert ["Cos", "Tanh"] not in fused(plan) or ["Exp", "AddV2"] in fused(plan)


def test_a_target_runs():
    a = random(300)
    x = placeholder(a)
    y = tf.exp(tf.sin(x) * 2.0)
    with tf.Session() as sess:
        assert sess.run(y.op, {x: a}) is None
        assert fused(sess.describe_plan(y.op, {x: a})) == [["Sin", "Mul", "Exp"]]


def test_small_integers_that_may_be_shapes_stay():
    a = np.abs(random(4, 6))
    x = tf.placeholder(tf.float32, [None, None])
    y = tf.boolean_mask(x, tf.reduce_sum(x, 1) > 0.0)
    rows = tf.shape(y)[0] * 2 - 1 + 1
    z = tf.reshape(y, [rows // 2, -1]) * 2.0 + 1.0
    check(z, {x: a})


def test_other_devices_keep_their_nodes():
    with tf.device("/device:NULL:0"):
        y = tf.exp(tf.constant(random(9))) * 2.0 + 1.0
    config = tf.ConfigProto(device_count={"NULL": 1}, disabled_passes=["constant_folding"])
    with tf.Session(config=config) as sess:
        assert not fused(sess.describe_plan(y))


def test_integer_division_by_zero_names_its_node():
    a = np.array([6, 0, 3] * 200, np.int32)
    x = placeholder(a)
    y = tf.abs(tf.floordiv(x + 1, x, name="quotient") * 2) + 1
    failure = pytest.raises(tf.errors.InvalidArgumentError, match=r"quotient.*division by zero")
    with tf.Session() as sess, failure:
        sess.run(y, {x: a})


def test_an_update_in_place():
    """The result may take the memory of what dies, even where that is read several times."""
    a = random(64, 200)
    x = placeholder(a)
    y = tf.matmul(x, random(200, 200))
    z = tf.matmul(tf.exp(y) * y + 1.0, random(200, 200))
    plan = check(z, {x: a})
    arena = int(re.search(r"arena of (\d+)", plan)[1])
    assert arena < 2 * 64 * 200 * 4


def test_results_in_place_do_not_overwrite_what_is_still_read():
    a = random(64, 200)
    x = placeholder(a)
    y = tf.matmul(x, random(200, 200))
    e = tf.exp(y)
    z = tf.tanh(e * 0.1) * y
    check([tf.matmul(e, random(200, 3)), tf.matmul(z, random(200, 3))], {x: a})


def test_traces_name_what_was_fused():
    a = random(300)
    x = placeholder(a)
    y = tf.exp(tf.sin(x) * 2.0, name="top")
    metadata = tf.RunMetadata()
    with tf.Session() as sess:
        sess.run(y, {x: a}, tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), metadata)
    assert "top/fused" in str(metadata)
    assert "Sin, Mul, Exp" in str(metadata)


def test_loops_fuse_their_bodies():
    a = random(50)
    x = placeholder(a)
    y = tf.while_loop(lambda i, v: i < 5, lambda i, v: (i + 1, tf.tanh(v * 1.5) + 0.1), [0, x])[1]
    check([y, *tf.gradients(y, x)], {x: a})


def test_many_nodes_are_planned_quickly_enough_to_be_fused():
    x = y = tf.placeholder(tf.float32, [])
    for _ in range(3000):
        y = y + 1.0
    plan = check(y, {x: np.float32(0)})
    assert len(fused(plan)) == 1


# ---- random programs


FEEDS = [
    np.array([[0.5, -1.25, 2.0, np.nan], [0.75, 1e-40, -np.inf, 0.0], [3.5, -0.0, 1e30, np.inf]], np.float32),
    np.array([1.5, -0.5, np.nan, 1e-42], np.float32),
    np.array([[0.25], [-2.5], [np.inf]], np.float32),
    np.array(-0.75, np.float32),
    np.array([[1, -7, 3, 100], [0, 5, -2, 9], [-128, 127, 4, 4]], np.int32),
    np.array([1.5, -0.5, 0.25, 1e-300]),
    np.array([[True, False, True, True], [False] * 4, [True] * 4]),
    np.zeros((0, 4), np.float32),
    rng.standard_normal((3, 1000)).astype(np.float32),
    rng.standard_normal((3, 1)).astype(np.float32),
]
UNARY = [
    "Neg",
    "Abs",
    "Square",
    "Tanh",
    "Sigmoid",
    "Exp",
    "Log",
    "Sqrt",
    "Relu",
    "Elu",
    "Sign",
    "Floor",
    "Softplus",
]
UNARY += [
    "IsNan",
    "IsFinite",
    "LogicalNot",
    "Erf",
    "Reciprocal",
    "Rsqrt",
    "Atan",
    "Softsign",
    "Selu",
    "Expm1",
]
BINARY = ["AddV2", "Sub", "Mul", "RealDiv", "Maximum", "Minimum", "SquaredDifference", "Greater", "LessEqual"]
BINARY += ["Equal", "LogicalAnd", "TanhGrad", "SigmoidGrad", "ReluGrad", "Pow", "DivNoNan", "SoftplusGrad"]
CASTS = [np.float32, np.float64, np.int32, np.bool_, np.int64]


# Of integers: a division by zero, a negative exponent.
FAILING = {(kind, UNARY.index("Reciprocal")) for kind in range(4)}
FAILING |= {(kind, BINARY.index(op)) for kind in range(4, 8) for op in ("RealDiv", "Pow")}


def step(values, kind, which, a, b, c):
    """A further tensor out of those there are, or None where dtypes or shapes do not fit."""
    x, y, z = (values[i % len(values)] for i in (a, b, c))
    try:
        choice = which % len(UNARY if kind < 4 else BINARY)
        if not x.dtype.is_floating and (kind, choice) in FAILING:
            return None
        if kind < 4:
            return getattr(raw, UNARY[which % len(UNARY)])(x)
        if kind < 8:
            return getattr(raw, BINARY[which % len(BINARY)])(x, y)
        if kind == 8:
            condition = raw.Greater(x, x * 0) if x.dtype == tf.float32 else raw.Cast(x, DstT=tf.bool)
            return raw.SelectV2(condition, y, z)
        if kind == 9:
            # NaN and infinities have no integer.
            to = CASTS[which % len(CASTS)]
            if np.issubdtype(to, np.integer) and x.dtype.is_floating:
                x = raw.Minimum(raw.Maximum(raw.SelectV2(raw.IsFinite(x), x, raw.ZerosLike(x)), -9.0), 9.0)
            return raw.Cast(x, DstT=tf.as_dtype(to))
        if kind == 10:
            return raw.Reshape(x, [[-1], x.shape.as_list()[::-1], [1, *x.shape.as_list()]][which % 3])
        if kind == 11:
            return raw.AddN([x, y, z, x])
        if kind == 12:
            return raw.BroadcastTo(x, [3, 4] if which % 2 else [2, *x.shape.as_list()])
        if kind == 13:
            return raw.ClipByValue(x, -1.0, 2.0)
        return raw.Sum(x, list(range(which % (x.shape.ndims + 1))), keep_dims=bool(which & 4))
    except (ValueError, TypeError, tf.errors.InvalidArgumentError):
        return None


number = st.integers(0, 255)
programs = st.lists(st.tuples(st.integers(0, 14), number, number, number, number), min_size=3, max_size=30)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=programs, some=number)
def test_random_programs(program, some):
    """Values are the same bit by bit."""
    with tf.Graph().as_default():
        sources = [tf.placeholder(feed.dtype, feed.shape) for feed in FEEDS]
        values = list(sources)
        for kind, which, a, b, c in program:
            made = step(values, kind, which, a, b, c)
            if made is not None and made.shape.num_elements() < 20_000:
                values.append(made)
        fetches = [v for k, v in enumerate(values) if k == len(values) - 1 or (some >> k % 8) & 1]
        check(fetches, dict(zip(sources, FEEDS)))


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=programs)
def test_gradients_of_random_programs(program):
    with tf.Graph().as_default():
        sources = [tf.placeholder(feed.dtype, feed.shape) for feed in FEEDS]
        values = list(sources)
        for kind, which, a, b, c in program:
            made = step(values, kind, which, a, b, c)
            if made is not None and made.shape.num_elements() < 20_000:
                values.append(made)
        targets = [v for v in values[len(sources) :] if v.dtype.is_floating]
        if not targets:
            return
        floats = [s for s in sources if s.dtype.is_floating]
        gradients = [g for g in tf.gradients(targets, floats) if g is not None]
        if gradients:
            check(gradients, dict(zip(sources, FEEDS)))


def test_what_a_constant_waits_for_is_not_waited_for_by_its_group():
    a = random(1000)
    x = placeholder(a)
    total = tf.Variable(0.0)
    doubled = x * 2.0
    with tf.control_dependencies([total.assign(tf.reduce_sum(doubled))]):
        three = tf.constant(3.0)
    result = tf.exp(doubled) * three
    check(result, {x: a})


def test_who_waits_for_what_a_member_passes_on_waits_for_its_group():
    a = random(6, 3)
    x = placeholder(a)
    twice = x * 2.0
    result = tf.exp(twice)
    unread = tf.reshape(-twice, [3, 6])  # as gradients that nobody asked for are
    with tf.control_dependencies([unread]):
        later = tf.Variable(1.0).assign_add(1.0)
    check([result, later], {x: a})


def test_what_is_only_waited_for_is_fused():
    x = tf.placeholder(tf.float32, [6])
    with tf.control_dependencies([tf.tanh(2.0 * x + 1.0)]):
        y = tf.identity(x)
    assert fused(check(y, {x: random(6)})) == [["Mul", "AddV2", "Tanh"]]


def test_a_wrong_value_is_found():
    """The comparison itself can fail."""
    a = random(3)
    x = placeholder(a)
    noise = tf.random_uniform([3]) + x * 2.0
    with pytest.raises(AssertionError):
        check(noise, {x: a})
