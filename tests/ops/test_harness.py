"""The harness finds what is wrong: records, kernels and gradients that lie must fail."""

import dataclasses

import numpy as np
import pytest

from headrace.framework import errors, raw
from headrace.framework.graph import Tensor
from headrace.framework.shapes import TensorShape
from headrace.gradients import registry
from headrace.gradients.custom import custom_gradient
from headrace.testing import verify_grad
from tests.ops import harness
from tests.ops.harness import Bad, Call, Case, OpRecord

X = np.array([[0.1, -0.4, 0.7], [1.1, 0.3, -0.9]])
TANH = OpRecord("Tanh", cases=[Case((X,)), Case((np.zeros((0, 2)),))], reference=np.tanh, differentiable=(0,))
MATMUL = OpRecord(
    "MatMul",
    cases=[Case((X, X.T))],
    reference=lambda a, b, transpose_a=False, transpose_b=False: (
        (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    ),
    differentiable=(0, 1),
    bad=[Bad((X, X), match="inner dimensions")],
)


def values(record: OpRecord, dtype: str | None = "float32") -> None:
    for case in record.cases:
        harness.check_values(Call(record, case.inputs, case.attrs, dtype))


@pytest.mark.parametrize("record", [TANH, MATMUL], ids=lambda r: r.op)
def test_honest_records_pass(record):
    for dtype in ("float32", "float64"):
        values(record, dtype)
    harness.check_static_shapes(record, record.cases[0], "float32")
    harness.check_gradient(record, record.cases[0])
    for bad in record.bad:
        harness.check_bad(record, bad, "float32")


@pytest.mark.parametrize(
    "reference",
    [
        lambda x: np.tanh(x) + 1e-3,
        lambda x: np.tanh(x)[:1],
        lambda x: np.tanh(x).T,
        lambda x: np.tanh(x) > 0,
        lambda x: np.where(np.tanh(x) > 0.5, np.nan, np.tanh(x)),
        lambda x: [np.tanh(x), x],
    ],
    ids=["value", "shape", "transposed", "dtype", "nan", "outputs"],
)
def test_wrong_reference(reference):
    with pytest.raises(AssertionError):
        values(dataclasses.replace(TANH, reference=reference))


def test_wrong_static_shape(monkeypatch):
    monkeypatch.setattr(Tensor, "shape", property(lambda self: TensorShape([2, 7])))
    with pytest.raises(AssertionError, match="inferred to be"):
        values(TANH)


def test_incomplete_static_shape(monkeypatch):
    monkeypatch.setattr(Tensor, "shape", property(lambda self: TensorShape(None)))
    with pytest.raises(AssertionError, match="though all inputs are known"):
        harness.check_static_shapes(TANH, TANH.cases[0], "float32")


def test_changed_variable():
    record = OpRecord(
        "AssignAddVariableOp",
        cases=[Case((harness.Var(X), X))],
        reference=lambda var, value: [var + value],
        dtypes=("float32",),
    )
    values(record)
    with pytest.raises(AssertionError):
        values(dataclasses.replace(record, reference=lambda var, value: []))


@pytest.mark.parametrize(
    "bad",
    [
        Bad((X, X.T)),
        Bad((X, X), error=errors.NotFoundError),
        Bad((X, X), match="no such text"),
        Bad((X, X), when="run"),
    ],
    ids=["accepted", "class", "message", "when"],
)
def test_wrong_expectation_of_failure(bad):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        harness.check_bad(MATMUL, bad, "float32")


def test_message_without_node_or_line():
    harness.check_message(ValueError("[MatMul 'node'] bad (node made at harness.py:3)"), "MatMul", "bad")
    for text in ("bad", "[MatMul 'node'] bad", "[MatMul 'x'] bad (made at harness.py:3)"):
        with pytest.raises(AssertionError):
            harness.check_message(ValueError(text), "MatMul", "bad")


def test_other_device():
    harness.check_other_device(Call(TANH, (X,), {}, "float32", device=harness.NULL_DEVICE))
    with pytest.raises(AssertionError, match="not on"):
        harness.check_other_device(Call(TANH, (X,), {}, "float32"))


def with_gradient(monkeypatch, function):
    monkeypatch.setitem(registry._rows, "Tanh", function)
    harness.check_gradient(TANH, TANH.cases[0])


def tanh_gradient(op, grad):
    y = op.outputs[0]
    return raw.Mul(grad, raw.Sub(np.ones((), y.dtype.as_numpy_dtype), raw.Mul(y, y)))


@pytest.mark.parametrize(
    "function",
    [
        lambda op, grad: grad,
        lambda op, grad: None,
        None,
        lambda op, grad: raw.Neg(tanh_gradient(op, grad)),
        # Right, but its own derivative is not.
        lambda op, grad: raw.StopGradient(tanh_gradient(op, grad)),
        lambda op, grad: raw.Mul(grad, raw.StopGradient(tanh_gradient(op, raw.OnesLike(grad)))),
    ],
    ids=["identity", "none", "not differentiable", "sign", "constant", "constant slope"],
)
def test_wrong_gradient(monkeypatch, function):
    with_gradient(monkeypatch, tanh_gradient)
    with pytest.raises(AssertionError, match="finite differences"):
        with_gradient(monkeypatch, function)


def test_order_of_verify_grad():
    @custom_gradient
    def square(x):
        return raw.Mul(x, x), lambda dy: raw.Mul(dy, raw.StopGradient(raw.Mul(x, 2.0)))

    verify_grad(square, [X])
    with pytest.raises(AssertionError, match="gradient of the gradient"):
        verify_grad(square, [X], order=2)


def test_verify_grad_finds_one_wrong_element():
    @custom_gradient
    def tripled(x):
        return raw.Mul(x, 3.0), lambda dy: raw.Mul(dy, np.array([3.0, 3.0, 3.001]))

    with pytest.raises(AssertionError, match=r"1 of 3 elements; at \(2,\)"):
        verify_grad(tripled, [np.ones(3)])


def test_complex_gradients():
    verify_grad(lambda z: raw.Mul(z, z), [np.array([1 + 2j, -0.5j])], order=2)
    with pytest.raises(AssertionError):
        # Right for real z only: misses the conjugate.
        @custom_gradient
        def square(z):
            return raw.Mul(z, z), lambda dy: raw.Mul(dy, raw.Mul(z, 2.0))

        verify_grad(square, [np.array([1 + 2j, -0.5j])])


def test_missing_empty_case():
    assert harness.has_empty_case(TANH)
    assert not harness.has_empty_case(MATMUL)
