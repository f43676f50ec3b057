"""The engine of differentiation; the tables of gradients are tested by the records of operations."""

import gc
import time
import weakref

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from headrace.gradients import registry
from headrace.testing import verify_grad


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default() as graph:
        yield graph


def evaluate(tensors, feeds=None):
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        return session.run(tensors, feeds)


def test_product_rule():
    x, y = tf.constant(3.0), tf.constant(4.0)
    assert evaluate(tf.gradients(x * y + tf.tanh(x * 0.0), [x, y])) == [4.0, 3.0]
    assert evaluate(tf.gradients([x * y, x], x)) == [5.0]


def test_sum_over_elements_and_grad_ys():
    x = tf.constant([1.0, 2.0])
    y = x * x
    assert evaluate(tf.gradients(y, x))[0].tolist() == [2, 4]
    assert evaluate(tf.gradients(y, x, grad_ys=[tf.constant([1.0, 10.0])]))[0].tolist() == [2, 40]
    assert evaluate(tf.gradients([y, x], x, grad_ys=[None, [5.0, 5.0]]))[0].tolist() == [7, 9]
    assert evaluate(tf.gradients(x, x))[0].tolist() == [1, 1]


def test_checks_of_arguments():
    x = tf.constant([1.0, 2.0])
    y = x * x
    with pytest.raises(ValueError, match="1 ys and 2 grad_ys"):
        tf.gradients(y, x, grad_ys=[x, x])
    with pytest.raises(ValueError, match="shape"):
        tf.gradients(y, x, grad_ys=[tf.constant([1.0, 2.0, 3.0])])
    with pytest.raises(TypeError):
        tf.gradients(y, x, grad_ys=[tf.constant([1, 2])])
    with pytest.raises(TypeError, match="complex"):
        tf.gradients(tf.constant(1j) * 2.0, x)
    with pytest.raises(ValueError, match="aggregation_method"):
        tf.gradients(y, x, aggregation_method=77)
    assert tf.gradients(y, []) == []
    with pytest.raises(ValueError):
        tf.gradients(None, x)


def test_unconnected():
    x, other = tf.constant([1.0, 2.0]), tf.constant(1.0)
    y = x * 2.0
    assert tf.gradients(y, other) == [None]
    zero = tf.gradients(y, other, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert evaluate(zero) == [0.0]
    assert evaluate(tf.gradients(y, other, unconnected_gradients="zero")) == [0.0]
    v = tf.Variable([1.0, 2.0])
    assert evaluate(tf.gradients(y, v, unconnected_gradients="zero"))[0].tolist() == [0, 0]
    # Not through integers, nor what has no slope.
    assert tf.gradients(tf.cast(tf.cast(x, tf.int32), tf.float32), x) == [None]
    assert tf.gradients(tf.cast(tf.argmax(x), tf.float32), x) == [None]
    n = tf.constant(3)
    assert tf.gradients(n * n, n) == [None]
    assert evaluate(tf.gradients(n * n, n, unconnected_gradients="zero")) == [0]


def test_variables():
    v = tf.Variable([1.0, 2.0])
    w = tf.Variable([3.0, 4.0])
    grads = tf.gradients(v * w + v, [v, w])
    assert [g.tolist() for g in evaluate(grads)] == [[4, 5], [1, 2]]
    assert evaluate(tf.gradients(v * v, v.handle))[0].tolist() == [2, 4]


def test_intermediate_and_stop():
    x = tf.constant(2.0)
    y = x * x
    z = y * y * x
    assert evaluate(tf.gradients(z, [x, y])) == [80.0, 16.0]
    # Partial derivatives: y is taken as constant.
    assert evaluate(tf.gradients(z, [x, y], stop_gradients=[y])) == [16.0, 16.0]
    assert evaluate(tf.gradients(z, x, stop_gradients=y)) == [16.0]
    assert evaluate(tf.gradients(z, x, stop_gradients=[x])) == [80.0]
    assert tf.gradients(tf.stop_gradient(y), x) == [None]


def test_partly_used_outputs():
    x = tf.constant([1.0, 2.0, 3.0, 4.0])
    first, _ = tf.split(x, 2)
    assert evaluate(tf.gradients(first * 3.0, x))[0].tolist() == [3, 3, 0, 0]


def test_higher_orders():
    x = tf.constant(2.0)
    y = x * x * x * x * x
    values = []
    for _ in range(5):
        (y,) = tf.gradients(y, x)
        values.append(evaluate(y))
    assert values == [80, 160, 240, 240, 120]
    assert tf.gradients(y, x) == [None]


def test_names(fresh_graph):
    a = tf.placeholder(tf.float32, [2, 3], name="a")
    b = tf.placeholder(tf.float32, [3, 2], name="b")
    with tf.name_scope("layer"):
        c = tf.matmul(a, b)
    tf.gradients(c, [a, b])
    names = [op.name for op in fresh_graph.get_operations()]
    assert "gradients/layer/MatMul_grad/MatMul" in names
    assert "gradients/grad_ys_0" in names and "gradients/Fill" in names
    tf.gradients(c, a)
    tf.gradients(c, a, name="again")
    names = [op.name for op in fresh_graph.get_operations()]
    assert "gradients_1/layer/MatMul_grad/MatMul" in names
    assert "again/layer/MatMul_grad/MatMul" in names


@pytest.mark.parametrize("method", range(3))
def test_aggregation(method, fresh_graph):
    x = tf.constant(2.0)
    (grad,) = tf.gradients(x * 2.0 + tf.exp(x) + x * x + tf.sin(x) + x, x, aggregation_method=method)
    assert evaluate(grad) == pytest.approx(2 + np.exp(2) + 4 + np.cos(2) + 1)
    kind, count = {0: ("AddN", 1), 1: ("AddN", 5), 2: ("AccumulateNV2", 1)}[method]
    sums = [op for op in fresh_graph.get_operations() if op.type in ("AddN", "AccumulateNV2")]
    assert [op.type for op in sums] == [kind] * count
    assert sums[0].name == f"gradients/{kind}"


def test_rows():
    table = tf.Variable(np.arange(6.0).reshape(3, 2))
    a, b = tf.gather(table, [0, 2]), tf.gather(table, [2])
    (grad,) = tf.gradients([a * 2.0, b], table)
    assert isinstance(grad, tf.IndexedSlices)
    values, indices, dense = evaluate([grad.values, grad.indices, tf.convert_to_tensor(grad)])
    assert values.tolist() == [[2, 2], [2, 2], [1, 1]] or values.tolist() == [[1, 1], [2, 2], [2, 2]]
    assert sorted(indices.tolist()) == [0, 2, 2]
    assert dense.tolist() == [[2, 2], [0, 0], [3, 3]]
    # Together with a dense gradient the sum is dense.
    (grad,) = tf.gradients([a * 2.0, table * 1.0], table)
    assert evaluate(tf.convert_to_tensor(grad)).tolist() == [[3, 3], [1, 1], [3, 3]]


def test_gates():
    x, y = tf.constant(2.0), tf.constant(3.0)
    grads = tf.gradients(x * y, [x, y], gate_gradients=True)
    assert evaluate(grads) == [3.0, 2.0]
    assert all(len(g.op.control_inputs) >= 1 for g in grads)


def test_colocation():
    x = tf.constant([[2.0]])
    with tf.device("/device:NULL:0"):
        y = tf.tanh(x)
    (plain,) = tf.gradients(y, x)
    (placed,) = tf.gradients(y, x, colocate_gradients_with_ops=True)
    assert plain.op.device == ""
    assert placed.op.device == "/device:NULL:0"


def test_missing_gradient(monkeypatch):
    monkeypatch.delitem(registry._rows, "Tanh")
    x = tf.constant(1.0)
    y = tf.tanh(x, name="bent")
    for kind in (LookupError, errors.OpError, errors.UnimplementedError):
        with pytest.raises(kind, match=r"\[Tanh 'bent'\] no gradient is defined"):
            tf.gradients(y * 2.0, x)
    assert tf.gradients(y, tf.constant(1.0)) == [None]  # not on the way


def test_override(fresh_graph):
    @tf.RegisterGradient("TestTenfold")
    def tenfold(op, grad):
        return grad * 10.0

    x = tf.constant(1.0)
    with fresh_graph.gradient_override_map({"Tanh": "TestTenfold"}):
        y = tf.tanh(x)
    assert y.op.get_attr("_gradient_op_type") == b"TestTenfold"
    assert evaluate(tf.gradients(y, x)) == [10.0]
    with fresh_graph.gradient_override_map({"Tanh": "NobodyKnows"}):
        y = tf.tanh(x)
    with pytest.raises(LookupError, match="NobodyKnows"):
        tf.gradients(y, x)


def test_registry():
    with pytest.raises(KeyError, match="MatMul"):
        tf.RegisterGradient("MatMul")(lambda op, grad: None)
    with pytest.raises(TypeError):
        tf.RegisterGradient(3)
    with pytest.raises(KeyError):
        tf.NotDifferentiable("MatMul")
    assert tf.NoGradient is tf.NotDifferentiable


@pytest.mark.parametrize(
    "result,error,match",
    [
        (lambda op, grad: [grad, grad], ValueError, "2 gradients for 1 inputs"),
        (lambda op, grad: tf.cast(grad, tf.float64), TypeError, "float64"),
        (lambda op, grad: tf.concat([grad, grad], 0), ValueError, "shape"),
    ],
)
def test_bad_gradient_functions(monkeypatch, result, error, match):
    monkeypatch.setitem(registry._rows, "Tanh", result)
    x = tf.constant([1.0, 2.0])
    with pytest.raises(error, match=match):
        tf.gradients(tf.tanh(x), x)


def test_in_another_graph():
    other = tf.Graph()
    with other.as_default():
        x = tf.constant(2.0)
        y = x * x
    (grad,) = tf.gradients(y, x)
    assert grad.graph is other
    with tf.Session(graph=other) as session:
        assert session.run(grad) == 4.0


def test_deep_and_wide_graph_is_differentiated_fast():
    x = tf.placeholder(tf.float32, [8])
    y = x
    for _ in range(1500):
        y = tf.tanh(y) + x
    start = time.perf_counter()
    (grad,) = tf.gradients(y, x)
    elapsed = time.perf_counter() - start
    assert grad.shape.as_list() == [8]
    assert elapsed < 2.0, f"3000 operations took {elapsed:.2f} s"


# ---- custom gradients


def test_custom_gradient():
    @tf.custom_gradient
    def log1pexp(x):
        """Its doc."""
        e = tf.exp(x)
        return tf.log(1.0 + e), lambda dy: dy * (1.0 - 1.0 / (1.0 + e))

    assert log1pexp.__doc__ == "Its doc."
    x = tf.constant(100.0)
    y = log1pexp(x)
    assert evaluate(tf.gradients(y, x)) == [1.0]


def test_custom_gradient_of_several():
    @tf.custom_gradient
    def both(a, b, *, scale):
        return (a * b, a + b), lambda da, db: (da * scale, db * scale)

    a, b = tf.constant(3.0), tf.constant(5.0)
    p, s = both(a, b, scale=7.0)
    assert evaluate([p, s]) == [15.0, 8.0]
    assert evaluate(tf.gradients([p, s], [a, b])) == [7.0, 7.0]
    assert evaluate(tf.gradients(p, [a, b])) == [7.0, 0.0]


def test_custom_gradient_with_variables():
    w = tf.get_variable("w", initializer=2.0)
    frozen = tf.get_variable("frozen", initializer=2.0, trainable=False)

    @tf.custom_gradient
    def scaled(x):
        def grad(dy, variables):
            assert [v.name for v in variables] == ["w:0"]
            return dy * 10.0, [dy * 100.0]

        return x * w * frozen, grad

    x = tf.constant(3.0)
    y = scaled(x)
    assert evaluate(y) == 12.0
    assert evaluate(tf.gradients(y, [x, w])) == [10.0, 100.0]

    @tf.custom_gradient
    def forgetful(x):
        return x * w, lambda dy: dy

    with pytest.raises(TypeError, match="variables="):
        forgetful(x)


def test_custom_gradient_of_wrong_number():
    @tf.custom_gradient
    def wrong(a, b):
        return a * b, lambda dy: dy

    a = tf.constant(1.0)
    with pytest.raises(ValueError, match="1 gradients for 2 arguments"):
        tf.gradients(wrong(a, a), a)


def test_custom_gradient_frees_its_graph():
    @tf.custom_gradient
    def twice(x):
        return x * 2.0, lambda dy: dy * 2.0

    graph = tf.Graph()
    with graph.as_default():
        twice(tf.constant(1.0))
    alive = weakref.ref(graph)
    del graph
    gc.collect()
    assert alive() is None


def test_pass_through():
    x = tf.constant([0.4, 1.7])
    y = tf.grad_pass_through(tf.round)(x) * 3.0
    assert evaluate(y).tolist() == [0, 6]
    assert evaluate(tf.gradients(y, x))[0].tolist() == [3, 3]


# ---- Jacobians


@pytest.mark.parametrize("rows,columns", [(2, 5), (5, 2), (1, 1), (3, 0), (0, 3)])
def test_jacobian(rows, columns):
    random = np.random.default_rng(0)
    matrix = random.normal(size=(rows, columns))
    x_value = random.normal(size=columns)
    x = tf.placeholder(tf.float64, [columns])
    y = tf.tanh(raw.Reshape(tf.matmul(matrix, raw.Reshape(x, [columns, 1])), [rows]))
    found = tf.jacobian(y, x)
    assert found.shape.as_list() == [rows, columns]
    expected = (1 - np.tanh(matrix @ x_value) ** 2)[:, None] * matrix
    np.testing.assert_allclose(evaluate(found, {x: x_value}), expected)


def test_jacobian_shapes():
    x = tf.Variable(np.ones((2, 2, 3)))
    y = tf.reduce_sum(x * x, axis=0)
    found = evaluate(tf.jacobian(y, x))
    assert found.shape == (2, 3, 2, 2, 3)
    np.testing.assert_array_equal(np.einsum("ijkij->kij", found), 2 * np.ones((2, 2, 3)))
    assert found.sum() == 24
    other = tf.constant(1.0)
    assert tf.jacobian(y, other) is None
    assert [j is None for j in tf.jacobian(y, [x, other])] == [False, True]
    with pytest.raises(ValueError, match="has to be known"):
        tf.jacobian(tf.placeholder(tf.float32, [None]), other)


def test_jacobian_of_what_does_not_vary_with_the_weights():
    x = tf.constant([1.0, 2.0])
    y = tf.concat([x, x], 0)
    np.testing.assert_array_equal(evaluate(tf.jacobian(y, x)), np.vstack([np.eye(2), np.eye(2)]))


def test_batch_jacobian():
    x = tf.placeholder(tf.float64, [None, 3])
    y = tf.stack([x[:, 0] * x[:, 1], tf.sin(x[:, 2])], axis=1)
    found = tf.batch_jacobian(y, x)
    assert found.shape.as_list() == [None, 2, 3]
    value = np.random.default_rng(1).normal(size=(4, 3))
    expected = np.zeros((4, 2, 3))
    expected[:, 0, 0], expected[:, 0, 1], expected[:, 1, 2] = value[:, 1], value[:, 0], np.cos(value[:, 2])
    np.testing.assert_allclose(evaluate(found, {x: value}), expected)
    with pytest.raises(ValueError, match="a row of y"):
        tf.batch_jacobian(tf.placeholder(tf.float32, [3, None]), x)


def test_hessians():
    x = tf.constant([1.0, 2.0, 3.0])
    w = tf.constant([[1.0, 2.0]])
    found = tf.hessians(tf.reduce_sum(x * x * x) + tf.reduce_sum(w), [x])
    np.testing.assert_allclose(evaluate(found[0]), np.diag([6.0, 12.0, 18.0]))
    np.testing.assert_allclose(evaluate(tf.hessians(tf.reduce_sum(w), w)[0]), np.zeros((1, 2, 1, 2)))
    with pytest.raises(ValueError, match="no y depends"):
        tf.hessians(x, w)


# ---- gradients that records cannot check: the shapes depend on the values


def test_unique_elements():
    table, rows = np.array([3.0, 1.0, 2.0]), np.array([[3.0, 1.0, 2.0], [5.0, 6.0, 7.0]])
    places = [0, 1, 0, 2, 1]
    verify_grad(lambda t: raw.Unique(tf.gather(t, places))[0], [table], order=2)
    verify_grad(lambda t: raw.UniqueV2(tf.gather(t, places, axis=1), [1])[0], [rows], order=2)
    verify_grad(lambda t: raw.ListDiff(tf.gather(t, places), tf.gather(t, [2]))[0], [table], order=2)
