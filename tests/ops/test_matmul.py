from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

random = np.random.default_rng(1)


def ints(*shape: int) -> np.ndarray:
    """Small integers, exact in every dtype."""
    return random.integers(-3, 4, shape).astype(float)


def complexes(*shape: int) -> np.ndarray:
    return ints(*shape) + 1j * ints(*shape)


ALL = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "complex64", "complex128")
COMPLEX = ("complex64", "complex128")


def matmul(a, b, transpose_a=False, transpose_b=False):
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def batch_matmul(x, y, adj_x=False, adj_y=False):
    x = np.conj(np.swapaxes(x, -1, -2)) if adj_x else x
    y = np.conj(np.swapaxes(y, -1, -2)) if adj_y else y
    return x @ y


BATCH_CASES = [
    Case((ints(2, 3, 4), ints(2, 4, 5))),
    Case((ints(2, 4, 3), ints(2, 4, 5)), {"adj_x": True}),
    Case((ints(2, 2, 3, 4), ints(2, 2, 5, 4)), {"adj_y": True}),
    Case(
        (complexes(2, 4, 3), complexes(2, 5, 4)),
        {"adj_x": True, "adj_y": True},
        dtypes=COMPLEX,
        gradient=False,
    ),
    Case((ints(0, 3, 4), ints(0, 4, 5)), name="no_batch"),
    Case((ints(2, 3, 0), ints(2, 0, 5)), name="no_inner"),
]
BATCH_BAD = [
    Bad((ints(2, 3, 4), ints(2, 3, 5)), match="inner dimensions"),
    Bad((ints(4), ints(4)), match="rank"),
]


def einsum(inputs, equation):
    return np.einsum(equation, *inputs)


RECORDS = [
    OpRecord(
        "Einsum",
        [
            Case(([ints(2, 3, 4), ints(2, 4, 5)],), {"equation": "bij,bjk->bik"}),
            Case(([ints(2, 3, 2, 4), ints(2, 5, 2, 4)],), {"equation": "bqhd,bkhd->bhqk"}),
            Case(([ints(3, 4), ints(4, 2, 5)],), {"equation": "ac,cde->ade"}, name="as_it_lies"),
            Case(([ints(4, 3), ints(5, 4)],), {"equation": "ka,bk->ab"}, name="both_transposed"),
            Case(([ints(3, 4), ints(3, 4)],), {"equation": "ij,ij->"}),
            Case(([ints(3), ints(4)],), {"equation": "i,j->ji"}),
            Case(([ints(2, 3), ints(3, 4)],), {"equation": "ij,jk->k"}, name="summed_in_one_operand"),
            Case(([ints(2, 3, 4)],), {"equation": "ijk->kij"}),
            Case(([ints(2, 3, 4)],), {"equation": "ijk->j"}),
            Case(([ints(3, 3, 2)],), {"equation": "iij->ji"}, name="diagonal"),
            Case(([ints(3, 3)],), {"equation": "ii->"}, name="trace"),
            Case(([ints(2, 3, 2, 2)],), {"equation": "abaa->"}, name="thrice"),
            Case(([ints(2, 3, 2, 3)],), {"equation": "abab->a"}, name="two_pairs"),
            Case(([ints(3, 2, 3), ints(2, 2, 3)],), {"equation": "iji,jji->ji"}, name="both_diagonal"),
            Case(([ints(2, 4, 2, 5), ints(4, 3)],), {"equation": "a...ab,...k->k...a"}, name="around_dots"),
            Case(([ints(0, 0, 2)],), {"equation": "iij->j"}, name="no_diagonal"),
            Case(([ints(2, 1, 3, 4), ints(5, 4, 2)],), {"equation": "...ij,...jk->...ik"}, name="broadcast"),
            Case(([ints(3, 2, 4), ints(4)],), {"equation": "a...k,k->...a"}, name="inner_ellipsis"),
            Case(([complexes(3, 4), complexes(5, 4)],), {"equation": "ik,jk->ij"}, COMPLEX, False),
            Case(([ints(0, 3), ints(3, 2)],), {"equation": "ij,jk->ik"}, name="no_rows"),
            Case(([ints(2, 0), ints(0, 3)],), {"equation": "ij,jk->ik"}, name="no_inner"),
        ],
        einsum,
        ALL,
        differentiable=(0,),
        bad=[
            Bad(([ints(2, 3), ints(4, 5)],), {"equation": "ij,jk->ik"}, match="'j' has the sizes 3 and 4"),
            Bad(([ints(2, 3)],), {"equation": "ij"}, match="no '->'"),
            Bad(([ints(2, 3)],), {"equation": "i->i"}, match=r"labels 1 dimensions of operand 0.*\(2, 3\)"),
            Bad(([ints(2, 3)],), {"equation": "ij,jk->ik"}, match="labels 2 operands, there are 1"),
            Bad(([ints(2, 3)],), {"equation": "ij->ijk"}, match="is in no operand"),
            Bad(([ints(2, 3)],), {"equation": "ij->ii"}, match="twice"),
            Bad(([ints(2, 3)],), {"equation": "i1->i"}, match="labels are letters"),
            Bad(([ints(2, 3), ints(3, 3)],), {"equation": "...,...->..."}, match="do not broadcast"),
        ],
    ),
    OpRecord(
        "MatMul",
        [
            Case((ints(3, 4), ints(4, 5))),
            Case((ints(4, 3), ints(4, 5)), {"transpose_a": True}),
            Case((ints(3, 4), ints(5, 4)), {"transpose_b": True}),
            Case((ints(4, 3), ints(5, 4)), {"transpose_a": True, "transpose_b": True}),
            Case((ints(40, 70), ints(70, 33)), gradient=False, name="several_tiles"),
            Case((ints(1, 300), ints(300, 1)), gradient=False, name="deep"),
            Case(
                (complexes(4, 3), complexes(5, 4)), {"transpose_a": True, "transpose_b": True}, COMPLEX, False
            ),
            Case((ints(0, 3), ints(3, 2)), name="no_rows"),
            Case((ints(2, 0), ints(0, 3)), name="no_inner"),
        ],
        matmul,
        ALL,
        differentiable=(0, 1),
        bad=[
            Bad((ints(3, 4), ints(3, 5)), match=r"inner dimensions.*\(3, 4\).*\(3, 5\)"),
            Bad((ints(3), ints(3, 5)), match="rank 2"),
        ],
    ),
    OpRecord(
        "BatchMatMul",
        BATCH_CASES,
        batch_matmul,
        ALL,
        differentiable=(0, 1),
        bad=[*BATCH_BAD, Bad((ints(2, 3, 4), ints(3, 4, 5)), match="batch dimensions")],
    ),
    OpRecord(
        "BatchMatMulV2",
        [
            *BATCH_CASES,
            Case((ints(2, 1, 3, 4), ints(3, 4, 5)), name="broadcast"),
            Case((ints(3, 4), ints(2, 5, 4)), {"adj_y": True}, name="one_left"),
            Case((ints(2, 3, 4), ints(4, 5)), name="one_right"),
            Case((ints(2, 4, 3), ints(4, 5)), {"adj_x": True}, name="one_right_transposed"),
        ],
        batch_matmul,
        ALL,
        differentiable=(0, 1),
        bad=[*BATCH_BAD, Bad((ints(2, 3, 4), ints(3, 4, 5)), match="broadcast")],
    ),
]

run_records(globals(), RECORDS)


def value(tensor: tf.Tensor, feeds: dict | None = None) -> np.ndarray:
    with tf.Session(graph=tensor.graph) as session:
        return session.run(tensor, feeds)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


@pytest.mark.parametrize("size", [127, 256])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_products_are_accurate(size, dtype):
    a, b = (random.standard_normal((size, size)).astype(dtype) for _ in range(2))
    x = tf.placeholder(dtype, [None, None])
    got = value(tf.matmul(x, b), {x: a})
    np.testing.assert_allclose(got, a @ b, atol=1e-3 if dtype == "float32" else 1e-11)


def test_matmul_makes_the_operation_that_fits():
    assert tf.matmul(ints(2, 3), ints(3, 4)).op.type == "MatMul"
    assert tf.matmul(ints(5, 2, 3), ints(5, 3, 4)).op.type == "BatchMatMulV2"
    assert tf.matmul(ints(2, 3), ints(3, 4), name="product").name == "product:0"
    assert tf.matmul(ints(2, 3), ints(3, 4)).name == "MatMul_2:0"


@pytest.mark.parametrize("batch", [(), (2,)])
def test_matmul_transposes_and_adjoints(batch):
    a, b = complexes(*batch, 3, 2), complexes(*batch, 4, 3)
    at, bt = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2)
    np.testing.assert_allclose(value(tf.matmul(a, b, transpose_a=True, transpose_b=True)), at @ bt)
    np.testing.assert_allclose(value(tf.matmul(a, b, adjoint_a=True, adjoint_b=True)), at.conj() @ bt.conj())
    with pytest.raises(ValueError, match="transpose_a and adjoint_a"):
        tf.matmul(a, b, transpose_a=True, adjoint_a=True)


def test_matmul_of_mixed_dtypes_is_refused():
    with pytest.raises(TypeError):
        tf.matmul(tf.constant(ints(2, 2), tf.float32), tf.constant(ints(2, 2), tf.float64))
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="inner"):
        tf.matmul(ints(2, 3), ints(2, 3))


def test_matvec():
    a, b = ints(2, 3, 4), ints(2, 4)
    np.testing.assert_allclose(value(tf.linalg.matvec(a, b)), np.einsum("bij,bj->bi", a, b))


@pytest.mark.parametrize(
    "a, b, axes",
    [
        ((2, 3, 4), (4, 5), 1),
        ((2, 3, 4), (3, 4, 5), 2),
        ((2, 3), (4, 5), 0),
        ((2, 3, 4), (4, 3, 5), [[1, 2], [1, 0]]),
        ((2, 3, 4), (5, 3), [1, -1]),
        ((2, 3), (3, 2), [[0, 1], [1, 0]]),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_tensordot(a, b, axes, known):
    x, y = ints(*a), ints(*b)
    p, q = (tf.placeholder(tf.float64, v.shape if known else [None] * v.ndim) for v in (x, y))
    result = tf.tensordot(p, q, axes)
    want = np.tensordot(x, y, axes)
    assert result.shape.is_compatible_with(want.shape)
    np.testing.assert_allclose(value(result, {p: x, q: y}), want)


def test_tensordot_explains_bad_axes():
    with pytest.raises(ValueError, match="axes is 3"):
        tf.tensordot(ints(2, 3), ints(3, 2), 3)
    with pytest.raises(ValueError, match="pairs"):
        tf.tensordot(ints(2, 3), ints(3, 2), [[0, 1], [0]])


@pytest.mark.parametrize(
    "equation, shapes",
    [
        ("ij,jk->ik", [(2, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ij,kj->ki", [(2, 3), (4, 3)]),
        ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
        ("bij,bkj->bki", [(5, 2, 3), (5, 4, 3)]),
        ("ij->ji", [(2, 3)]),
        ("ij->", [(2, 3)]),
        ("ij->j", [(2, 3)]),
        ("i,j->ij", [(2,), (3,)]),
        ("i,i->", [(3,), (3,)]),
        ("i,i->i", [(3,), (3,)]),
        ("ij,ij->i", [(2, 3), (2, 3)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
        ("abcd,bd,c->ac", [(2, 3, 4, 5), (3, 5), (4,)]),
        ("ii->", [(3, 3)]),
        ("iij->ij", [(3, 3, 2)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (5, 3, 4)]),
        ("...ij,jk->...ik", [(6, 5, 2, 3), (3, 4)]),
        ("...ij,...jk->...ik", [(6, 5, 2, 3), (5, 3, 4)]),
        ("b i j , b j -> b i", [(5, 2, 3), (5, 3)]),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_einsum(equation, shapes, known):
    arrays = [ints(*shape) for shape in shapes]
    holes = [tf.placeholder(tf.float64, v.shape if known else [None] * v.ndim) for v in arrays]
    result = tf.einsum(equation, *holes)
    want = np.einsum(equation, *arrays)
    assert result.shape.is_compatible_with(want.shape)
    np.testing.assert_allclose(value(result, dict(zip(holes, arrays))), want)


@pytest.mark.parametrize(
    "equation, match",
    [
        ("ij,jk->ik", "labels 2 inputs"),
        ("ijk->ij", "labels 3 dimensions"),
        ("ij->ii", "twice in the output"),
        ("ij->ik", "in no input"),
        ("i1->i", "letters"),
    ],
)
def test_einsum_explains_bad_equations(equation, match):
    with pytest.raises(ValueError, match=match):
        tf.einsum(equation, ints(2, 3))


def test_spaces_and_ranks_of_an_equation():
    with tf.Graph().as_default(), tf.Session() as session:
        x, y = tf.placeholder(tf.float32), tf.placeholder(tf.float32)
        z = raw.Einsum([x, y], equation="ij, jk -> k")
        assert z.shape.as_list() == [None]
        assert raw.Einsum([x, y], equation="...ij,jk->...ik").shape.ndims is None
        found = session.run(z, {x: np.ones((2, 3)), y: np.ones((3, 4))})
        assert found.tolist() == [6, 6, 6, 6]
