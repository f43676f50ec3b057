"""Diagonals and bands of matrices and of batches of matrices."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Tensor

__all__ = [
    "diag",
    "diag_part",
    "matrix_band_part",
    "matrix_diag",
    "matrix_diag_part",
    "matrix_set_diag",
]


def diag(diagonal: Any, name: str | None = None) -> Tensor:
    """An array with elements on its diagonal, and zeros elsewhere.

    Args:
      diagonal: a tensor of rank 1 or more.
      name: the name of the operation.

    Returns:
      A tensor of shape `diagonal.shape + diagonal.shape`.
    """
    return raw.Diag(diagonal, name=name)


def diag_part(input: Any, name: str | None = None) -> Tensor:
    """The diagonal of an array whose shape is twice the same.

    Args:
      input: a tensor of even rank.
      name: the name of the operation.

    Returns:
      A tensor with the first half of the dimensions.
    """
    return raw.DiagPart(input, name=name)


def _is_main(k: Any) -> bool:
    return isinstance(k, int) and k == 0


def matrix_diag(
    diagonal: Any,
    name: str = "diag",
    k: Any = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
) -> Tensor:
    """Matrices with these diagonals.

    Args:
      diagonal: a tensor of rank 1 or more; the last dimension runs along the diagonal (the last two are
        (diagonal, place), the highest diagonal first, if `k` is a band).
      name: the name of the operation.
      k: which diagonal: 0 the main one, positive above it, negative below; (lowest, highest) for a band.
      num_rows: the number of rows; -1 for as few as are needed.
      num_cols: the number of columns; -1 for as few as are needed.
      padding_value: the scalar elsewhere.

    Returns:
      A tensor of rank one higher (the same, for a band).
    """
    if _is_main(k) and _is(num_rows, -1) and _is(num_cols, -1) and _is(padding_value, 0):
        return raw.MatrixDiag(diagonal, name=name)
    return raw.MatrixDiagV2(diagonal, k, num_rows, num_cols, padding_value, name=name)


def matrix_diag_part(input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0) -> Tensor:
    """The diagonals of matrices.

    Args:
      input: a tensor of rank 2 or more.
      name: the name of the operation.
      k: which diagonal: 0 the main one, positive above it, negative below; (lowest, highest) for a band.
      padding_value: the scalar at the ends of the shorter diagonals of a band.

    Returns:
      A tensor with one dimension in the place of the last two; for a band two, (diagonal, place), with the
      highest diagonal first.
    """
    if _is_main(k) and _is(padding_value, 0):
        return raw.MatrixDiagPart(input, name=name)
    return raw.MatrixDiagPartV2(input, k, padding_value, name=name)


def matrix_set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0) -> Tensor:
    """Matrices with other diagonals.

    Args:
      input: a tensor of rank 2 or more.
      diagonal: the new diagonals, as `matrix_diag_part` returns them.
      name: the name of the operation.
      k: which diagonal: 0 the main one, positive above it, negative below; (lowest, highest) for a band.

    Returns:
      A tensor of the same shape.
    """
    if _is_main(k):
        return raw.MatrixSetDiag(input, diagonal, name=name)
    return raw.MatrixSetDiagV2(input, diagonal, k, name=name)


def _is(value: Any, default: int) -> bool:
    return isinstance(value, (int, float)) and value == default


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """Matrices with zeros outside of a band around the diagonal.

    Args:
      input: a tensor of rank 2 or more.
      num_lower: how many diagonals below the main one to keep; -1 for all.
      num_upper: how many above.
      name: the name of the operation.

    Returns:
      A tensor of the same shape.
    """
    return raw.MatrixBandPart(input, num_lower, num_upper, name=name)
