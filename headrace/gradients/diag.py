"""Gradients of diagonals and bands."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.gradients.registry import RegisterGradient
from headrace.ops.array import zeros, zeros_like


@RegisterGradient("Diag")
def _diag(op: Any, grad: Any) -> Any:
    return raw.DiagPart(grad)


@RegisterGradient("DiagPart")
def _diag_part(op: Any, grad: Any) -> Any:
    return raw.Diag(grad)


@RegisterGradient("MatrixDiag")
def _matrix_diag(op: Any, grad: Any) -> Any:
    return raw.MatrixDiagPart(grad)


@RegisterGradient("MatrixDiagPart")
def _matrix_diag_part(op: Any, grad: Any) -> Any:
    return raw.MatrixSetDiag(zeros_like(op.inputs[0]), grad)


@RegisterGradient("MatrixSetDiag")
def _matrix_set_diag(op: Any, grad: Any) -> Any:
    return [raw.MatrixSetDiag(grad, zeros_like(op.inputs[1])), raw.MatrixDiagPart(grad)]


@RegisterGradient("MatrixDiagV2")
def _matrix_diag_v2(op: Any, grad: Any) -> Any:
    # Whatever is not on the diagonals is the padding.
    diagonal, k, _, _, padding = op.inputs
    own = raw.MatrixDiagPartV2(grad, k, zeros_like(padding))
    outside = raw.MatrixSetDiagV2(grad, zeros_like(diagonal), k)
    return [own, None, None, None, raw.Sum(raw.Reshape(outside, [-1]), [0])]


@RegisterGradient("MatrixDiagPartV2")
def _matrix_diag_part_v2(op: Any, grad: Any) -> Any:
    matrix, k, padding = op.inputs
    # Ones where the shorter diagonals are padded.
    ends = raw.MatrixDiagPartV2(zeros_like(matrix), k, raw.OnesLike(padding))
    to_padding = raw.Sum(raw.Reshape(raw.Mul(grad, ends), [-1]), [0])
    return [raw.MatrixSetDiagV2(zeros_like(matrix), grad, k), None, to_padding]


@RegisterGradient("MatrixSetDiagV2")
def _matrix_set_diag_v2(op: Any, grad: Any) -> Any:
    _, diagonal, k = op.inputs
    own = raw.MatrixDiagPartV2(grad, k, zeros([], grad.dtype))
    return [raw.MatrixSetDiagV2(grad, zeros_like(diagonal), k), own, None]


@RegisterGradient("MatrixBandPart")
def _matrix_band_part(op: Any, grad: Any) -> Any:
    return [raw.MatrixBandPart(grad, op.inputs[1], op.inputs[2]), None, None]
