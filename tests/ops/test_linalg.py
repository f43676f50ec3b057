"""Decompositions of matrices, and systems of equations."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from headrace.testing import verify_grad
from tests.ops.harness import Bad, Case, OpRecord, run_records

RNG = np.random.RandomState(11)
MATRIX = RNG.uniform(-1, 1, (3, 3)) + 2 * np.eye(3)


def is_qr(outputs, inputs, attrs):
    matrix = inputs[0].astype(np.float64)
    q, r = (output.astype(np.float64) for output in outputs)
    near = {"float64": 1e-12, "float32": 1e-5, "float16": 1e-2}[outputs[0].dtype.name]
    np.testing.assert_allclose(q @ r, matrix, atol=near)
    np.testing.assert_allclose(
        np.swapaxes(q, -1, -2) @ q,
        np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], *q.shape[-1:] * 2)),
        atol=near,
    )
    assert (np.tril(r, -1) == 0).all()


def solved(matrix, rhs, lower=True, adjoint=False):
    triangle = np.tril(matrix) if lower else np.triu(matrix)
    return np.linalg.solve(np.swapaxes(triangle, -1, -2).conj() if adjoint else triangle, rhs)


RECORDS = [
    OpRecord(
        "Qr",
        cases=[
            Case(inputs=(RNG.normal(size=shape),), attrs={"full_matrices": full})
            for shape in [(3, 3), (5, 2), (2, 4), (2, 3, 4, 2), (0, 3, 2)]
            for full in (False, True)
        ]
        + [Case(inputs=(np.zeros((3, 2)),))],
        check=is_qr,
        dtypes=("float32", "float64", "float16"),
        bad=[Bad(inputs=(np.ones(3),), match="rank")],
    ),
    OpRecord(
        "MatrixTriangularSolve",
        cases=[
            Case(inputs=(matrix, rhs), attrs={"lower": lower, "adjoint": adjoint})
            for matrix, rhs in [
                (MATRIX, RNG.normal(size=(3, 2))),
                (np.stack([MATRIX, MATRIX.T]), np.ones((2, 3, 1))),
            ]
            for lower in (True, False)
            for adjoint in (True, False)
        ]
        + [Case(inputs=(np.zeros((0, 2, 2)), np.zeros((0, 2, 3))))],
        reference=solved,
        dtypes=("float32", "float64"),
        differentiable=(0, 1),
        bad=[
            Bad(inputs=(MATRIX, np.ones((2, 1))), match="as many rows"),
            Bad(inputs=(MATRIX[:2], np.ones((2, 1))), match="must be the same"),
            Bad(inputs=(np.zeros((2, 2)), np.ones((2, 1))), match="diagonal", when="run"),
        ],
    ),
]

run_records(globals(), RECORDS)


@pytest.mark.parametrize("shape", [(3, 3), (5, 2), (2, 4, 3)])
def test_gradient_of_qr(shape):
    def compute(matrix):
        q, r = raw.Qr(matrix)
        return tf.sin(q) @ r + tf.reduce_sum(tf.square(r))

    verify_grad(compute, [RNG.normal(size=shape)])


def test_wide_matrices_have_no_gradient_of_qr():
    with tf.Graph().as_default():
        matrix = tf.constant(np.ones((2, 3)))
        with pytest.raises(NotImplementedError, match="as many rows as"):
            tf.gradients(raw.Qr(matrix).r, matrix)
