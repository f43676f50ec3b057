"""Diagonals and bands."""

import numpy as np
import pytest

import headrace as tf
from tests.ops.harness import Bad, Case, OpRecord, run_records

rng = np.random.default_rng(13)
ANY = ("float32", "float64", "float16", "bfloat16", "int64", "complex128")


def a(*shape):
    return np.asarray(rng.uniform(0.5, 3.0, size=shape))


def pair(k):
    k = np.atleast_1d(k)
    return int(k[0]), int(k[-1])


def length_of(k, rows, columns):
    low, high = pair(k)
    return min(rows + min(high, 0), columns - max(low, 0))


def diag(x):
    return np.diag(x.ravel()).reshape(x.shape * 2)


def diag_part(x):
    half = x.shape[: x.ndim // 2]
    return np.diag(x.reshape(int(np.prod(half)), int(np.prod(half)))).reshape(half)


def matrix_diag(x):
    return x[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


def matrix_diag_part(x):
    return np.diagonal(x, axis1=-2, axis2=-1)


def matrix_set_diag(x, diagonal):
    made = x.copy()
    i = np.arange(diagonal.shape[-1])
    made[..., i, i] = diagonal
    return made


def band_part(x, lower, upper):
    i, j = np.indices(x.shape[-2:])
    kept = ((lower < 0) | (i - j <= lower)) & ((upper < 0) | (j - i <= upper))
    return np.where(kept, x, np.zeros((), x.dtype))


def diag_part_v2(x, k, padding):
    low, high = pair(k)
    length = length_of(k, *x.shape[-2:])
    made = np.full((*x.shape[:-2], high - low + 1, length), padding, x.dtype)
    for line, d in enumerate(range(high, low - 1, -1)):
        diagonal = np.diagonal(x, d, -2, -1)
        made[..., line, : diagonal.shape[-1]] = diagonal
    return made[..., 0, :] if low == high else made


def set_diag_v2(x, diagonal, k):
    low, high = pair(k)
    if low == high:
        diagonal = diagonal[..., None, :]
    made = x.copy()
    for line, d in enumerate(range(high, low - 1, -1)):
        count = np.diagonal(x, d, -2, -1).shape[-1]
        i = np.arange(count)
        made[..., i + max(-d, 0), i + max(d, 0)] = diagonal[..., line, :count]
    return made


def diag_v2(diagonal, k, rows, columns, padding):
    low, high = pair(k)
    batch = diagonal.shape[: -1 if low == high else -2]
    least_rows, least_columns = diagonal.shape[-1] - min(high, 0), diagonal.shape[-1] + max(low, 0)
    if rows == -1 and columns == -1:
        rows = columns = max(least_rows, least_columns)
    rows = least_rows if rows == -1 else rows
    columns = least_columns if columns == -1 else columns
    return set_diag_v2(np.full((*batch, int(rows), int(columns)), padding, diagonal.dtype), diagonal, k)


def k(*values):
    return np.array(values, np.int32)


one = np.array(2.0)

RECORDS = [
    OpRecord(
        "Diag",
        [Case((a(3),)), Case((a(2, 3),)), Case((a(0),))],
        diag,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(),), match="rank 1 or more")],
    ),
    OpRecord(
        "DiagPart",
        [Case((a(3, 3),)), Case((a(2, 3, 2, 3),)), Case((a(0, 0),))],
        diag_part,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(3),), match="must be even"), Bad((a(2, 3),), match="must be the same")],
    ),
    OpRecord(
        "MatrixDiag",
        [Case((a(3),)), Case((a(2, 3),)), Case((a(2, 0),))],
        matrix_diag,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(),), match="rank 1 or more")],
    ),
    OpRecord(
        "MatrixDiagPart",
        [Case((a(3, 3),)), Case((a(2, 3, 4),)), Case((a(2, 4, 3),)), Case((a(0, 3),))],
        matrix_diag_part,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(3),), match="rank 2 or more")],
    ),
    OpRecord(
        "MatrixSetDiag",
        [Case((a(3, 3), a(3))), Case((a(2, 3, 4), a(2, 3))), Case((a(0, 3), a(0)))],
        matrix_set_diag,
        dtypes=ANY,
        differentiable=(0, 1),
        bad=[Bad((a(3, 4), a(4)), match="have diagonals of shape")],
    ),
    OpRecord(
        "MatrixBandPart",
        [
            Case((a(4, 4), np.int64(1), np.int64(0))),
            Case((a(2, 3, 5), -1, 1)),
            Case((a(5, 3), 0, -1)),
            Case((a(3, 3), -1, -1)),
            Case((a(2, 0, 3), 0, 0)),
        ],
        band_part,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(3, 3), 4, 0), match="is more than", when="run")],
    ),
    OpRecord(
        "MatrixDiagV2",
        [
            Case((a(3), k(0), -1, -1, one)),
            Case((a(2, 3), np.int32(1), -1, -1, one)),
            Case((a(2), k(-1), 3, 4, one)),
            Case((a(2, 3, 3), k(-1, 1), -1, -1, one)),
            Case((a(2, 2), k(1, 2), 2, 5, one), gradient=False),
            Case((a(0), k(0), -1, -1, one)),
        ],
        diag_v2,
        dtypes=("float32", "float64", "int64"),
        differentiable=(0,),
        bad=[
            Bad((a(3), k(0), 2, 2, one), match="do not fit"),
            Bad((a(2, 3), k(1, 0), -1, -1, one), match="swap them"),
        ],
    ),
    OpRecord(
        "MatrixDiagPartV2",
        [
            Case((a(3, 3), k(0), one)),
            Case((a(2, 3, 4), np.int32(1), one)),
            Case((a(4, 3), k(-2), one)),
            Case((a(2, 3, 4), k(-1, 2), one)),
            Case((a(0, 3, 3), k(0, 1), one)),
        ],
        diag_part_v2,
        dtypes=("float32", "float64", "int64"),
        differentiable=(0, 2),
        bad=[Bad((a(3, 3), k(3), one), match="diagonal 3 does not exist")],
    ),
    OpRecord(
        "MatrixSetDiagV2",
        [
            Case((a(3, 3), a(3), k(0))),
            Case((a(2, 3, 4), a(2, 3), np.int32(1))),
            Case((a(2, 3, 4), a(2, 4, 3), k(-1, 2)), gradient=False),
            Case((a(0, 3, 3), a(0, 2, 3), k(0, 1))),
        ],
        set_diag_v2,
        dtypes=("float32", "float64", "int64"),
        differentiable=(0, 1),
        bad=[Bad((a(3, 3), a(3), k(1)), match="diagonals")],
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor):
    with tf.Session() as session:
        return session.run(tensor)


def test_public_functions():
    x = a(2, 3, 3)
    np.testing.assert_array_equal(value(tf.matrix_diag_part(x)), matrix_diag_part(x))
    np.testing.assert_array_equal(value(tf.matrix_diag_part(x, k=(-1, 0))), diag_part_v2(x, (-1, 0), 0))
    np.testing.assert_array_equal(value(tf.matrix_diag(x[0])), matrix_diag(x[0]))
    np.testing.assert_array_equal(value(tf.matrix_diag(x[0], k=1)), diag_v2(x[0], 1, -1, -1, 0))
    np.testing.assert_array_equal(value(tf.matrix_set_diag(x, x[:, 0])), matrix_set_diag(x, x[:, 0]))
    np.testing.assert_array_equal(
        value(tf.matrix_set_diag(x, x[:, 0, :2], k=-1)), set_diag_v2(x, x[:, 0, :2], -1)
    )
    np.testing.assert_array_equal(value(tf.matrix_band_part(x, 1, 0)), band_part(x, 1, 0))
    np.testing.assert_array_equal(value(tf.diag(x[0, 0])), np.diag(x[0, 0]))
    np.testing.assert_array_equal(value(tf.diag_part(x[0])), np.diag(x[0]))


def test_names(graph):
    tf.matrix_diag([1.0])
    tf.linalg.set_diag([[1.0]], [2.0])
    tf.linalg.diag_part([[1.0]])
    made = [f"{op.name}:{op.type}" for op in graph.get_operations() if op.type != "Const"]
    assert made == ["diag:MatrixDiag", "set_diag:MatrixSetDiag", "diag_part:MatrixDiagPart"]
