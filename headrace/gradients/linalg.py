"""Gradients of linear algebra."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient


def _matmul(a: Tensor, b: Tensor, adj_x: bool = False, adj_y: bool = False) -> Tensor:
    return raw.BatchMatMulV2(a, b, adj_x=adj_x, adj_y=adj_y)


def _adjoint(matrix: Tensor) -> Tensor:
    rank = matrix.shape.ndims
    if rank is None:
        raise NotImplementedError(f"the rank of {matrix.name} must be known to differentiate this")
    return raw.Transpose(matrix, [*range(rank - 2), rank - 1, rank - 2])


@RegisterGradient("Qr")
def _qr(op: Operation, grad_q: Tensor, grad_r: Tensor) -> Any:
    """S. F. Walter and L. Lehmann, "Algorithmic differentiation of linear algebra functions", 2010.

    With M = R dR' - dQ' Q, dA = (dQ + Q (tril(M) + tril(M, -1)')) inv(R)'.
    """
    q, r = op.outputs
    rows, columns = op.inputs[0].shape[-2].value, op.inputs[0].shape[-1].value
    if (
        rows is None
        or columns is None
        or rows < columns
        or (op.get_attr("full_matrices") and rows != columns)
    ):
        raise NotImplementedError(
            f"Qr '{op.name}' of matrices of shape ({rows}, {columns}) has a gradient only for at least as "
            "many rows as columns, both known, and full_matrices=False"
        )
    m = raw.Sub(_matmul(r, grad_r, adj_y=True), _matmul(grad_q, q, adj_x=True))
    lower = raw.MatrixBandPart(m, -1, 0)
    strict = raw.Sub(lower, raw.MatrixBandPart(m, 0, 0))
    right = raw.AddV2(grad_q, _matmul(q, raw.AddV2(lower, _adjoint(strict))))
    # X inv(R)' = (inv(R) X')'
    return _adjoint(raw.MatrixTriangularSolve(r, _adjoint(right), lower=False))


@RegisterGradient("MatrixTriangularSolve")
def _triangular_solve(op: Operation, grad: Tensor) -> list[Tensor]:
    matrix = op.inputs[0]
    solution = op.outputs[0]
    lower, adjoint = op.get_attr("lower"), op.get_attr("adjoint")
    grad_rhs = raw.MatrixTriangularSolve(matrix, grad, lower=lower, adjoint=not adjoint)
    if adjoint:
        grad_matrix = raw.Neg(_matmul(solution, grad_rhs, adj_y=True))
    else:
        grad_matrix = raw.Neg(_matmul(grad_rhs, solution, adj_y=True))
    keep = (-1, 0) if lower else (0, -1)
    return [raw.MatrixBandPart(grad_matrix, *keep), grad_rhs]
