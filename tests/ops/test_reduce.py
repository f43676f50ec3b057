import numpy as np
import pytest
import scipy.special as sp

import headrace as tf
from headrace.framework import errors
from tests.ops.harness import Bad, Case, OpRecord, run_records

FLOATS = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
NAN, INF = np.nan, np.inf


def uniform(low, high, shape=(3, 4), seed=0):
    return np.random.default_rng(seed).uniform(low, high, shape)


def z(shape=(2, 3)):
    r = np.random.default_rng(1)
    return r.normal(size=shape) + 1j * r.normal(size=shape)


def quiet(f):
    def wrapped(*args, **attrs):
        with np.errstate(all="ignore"):
            return f(*args, **attrs)

    return wrapped


BAD_AXIS = Bad((np.ones((2, 3)), np.array([2], np.int32)), match=r"2.*rank|axis 2|\[-2, 2\)")

# Shapes and axes that lead to each way of going through memory, small.
AXES = [
    ((3, 4), [1]),
    ((3, 4), [0]),
    ((3, 4), [0, 1]),
    ((3, 4), [-2]),
    ((2, 3, 2), [0, 2]),
    ((2, 3, 2), [1]),
    ((2, 2, 3, 2), [1, 3]),
    ((3, 4), []),
]
# And large: partial results, narrow and wide columns.
LARGE = [
    ((20000,), [0]),
    ((3, 9000), [1]),
    ((1500, 3), [0]),
    ((1500, 70), [0]),
    ((3, 9000), [0]),
    ((5, 300, 6), [0, 2]),
]


def reduction(
    op,
    f,
    low=-2,
    high=2,
    *,
    dtypes=FLOATS,
    complex=False,
    special=True,
    differentiable=(0,),
    large=True,
    **more,
):
    def reference(x, axes, keep_dims=False, **attrs):
        return f(x, axis=tuple(np.ravel(axes)), keepdims=keep_dims).astype(x.dtype)

    cases = [Case((uniform(low, high, shape), np.array(axes, np.int32))) for shape, axes in AXES]
    cases += [
        Case((uniform(low, high, (2, 3, 2)), np.array([1], np.int64)), {"keep_dims": True}),
        Case((uniform(low, high, (2, 3)), np.array(0, np.int32))),
        Case((uniform(low, high, ()), np.zeros(0, np.int32))),
        Case((np.zeros((2, 0)), np.array([0], np.int32)), name="empty"),
    ]
    wide = tuple(d for d in dtypes if d in ("float32", "float64", "int32", "int64"))
    if large:
        cases += [
            Case((uniform(low, high, shape), np.array(axes, np.int32)), {}, wide, False, f"large{i}")
            for i, (shape, axes) in enumerate(LARGE)
        ]
    if special:
        values = np.array([[1.0, NAN, 2], [INF, -INF, 1], [INF, 1, 2], [-INF, 0, 1]])
        floats = tuple(d for d in dtypes if "float" in d)
        cases += [
            Case((values, np.array([axis], np.int32)), {}, floats, False, f"special{axis}") for axis in (0, 1)
        ]
    if complex:
        cases = [Case(c.inputs, c.attrs, c.dtypes or dtypes, c.gradient, c.name) for c in cases]
        cases += [
            Case((z((3, 4)), np.array(axes, np.int32)), {}, COMPLEX, False, f"complex{axes}")
            for axes in ([0], [1], [0, 1])
        ]
    return OpRecord(
        op,
        cases=cases,
        reference=quiet(reference),
        dtypes=dtypes + (COMPLEX if complex else ()),
        differentiable=differentiable,
        bad=[BAD_AXIS],
        **more,
    )


def mean(x, axis, keepdims):
    if x.dtype.kind in "iu":
        count = np.prod([x.shape[a] for a in axis], dtype=np.int64)
        total = x.sum(axis=axis, keepdims=keepdims, dtype=x.dtype)
        return np.trunc(total / count) if count else total
    return x.mean(axis=axis, keepdims=keepdims)


def extreme(f, start):
    def reference(x, axis, keepdims):
        initial = start(np.iinfo(x.dtype)) if x.dtype.kind in "iu" else start(None)
        return f(x, axis=axis, keepdims=keepdims, initial=initial)

    return reference


def euclidean(x, axis, keepdims):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


# Sums of 16-bit floats add up the errors of the elements.
SUMS = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-4}
TRUTH = np.array([[True, False, True], [True, True, True]])

REDUCTIONS = [
    reduction("Sum", np.sum, dtypes=(*FLOATS, *INTEGERS[:4]), complex=True, tolerance=SUMS),
    reduction("Mean", mean, dtypes=(*FLOATS, "int32", "int64"), complex=True, tolerance=SUMS),
    reduction(
        "Prod", np.prod, 0.5, 1.5, dtypes=(*FLOATS, "int32"), complex=True, large=False, tolerance=SUMS
    ),
    reduction("Max", extreme(np.max, lambda i: i.min if i else -INF), dtypes=(*FLOATS, *INTEGERS[:4])),
    reduction("Min", extreme(np.min, lambda i: i.max if i else INF), dtypes=(*FLOATS, *INTEGERS[:4])),
    reduction("EuclideanNorm", euclidean, 0.5, 2, tolerance=SUMS),
    *[
        OpRecord(
            op,
            cases=[Case((TRUTH, np.array(axes, np.int32))) for axes in ([0], [1], [0, 1], [])]
            + [
                Case((TRUTH, np.array(1, np.int32)), {"keep_dims": True}),
                Case((np.zeros((2, 0), bool), np.array([1], np.int32))),
                Case((np.tile(TRUTH, (700, 3)), np.array([0], np.int32))),
                Case((np.ones(9000, bool), np.array([0], np.int32))),
            ],
            reference=lambda x, axes, keep_dims=False, f=f: f(
                x, axis=tuple(np.ravel(axes)), keepdims=keep_dims
            ),
            dtypes=(),
            constants=(1,),
            bad=[Bad((TRUTH, np.array([5], np.int32)), match="5")],
        )
        for op, f in (("All", np.all), ("Any", np.any))
    ],
]


def position(op, f):
    def reference(x, axis, output_type=tf.int64, **attrs):
        return f(x, axis=int(axis)).astype(output_type.as_numpy_dtype)

    return OpRecord(
        op,
        cases=[
            Case((uniform(-50, 50), np.array(0, np.int32))),
            Case((uniform(-50, 50), np.array(-1, np.int32)), {"output_type": tf.int32}),
            Case((uniform(-50, 50, (2, 5, 70)), np.array(1, np.int64))),
            Case(([3, 7, 7, 1, 1, 3], np.array(0, np.int32)), name="ties"),
            Case(([1.0, NAN, INF, NAN], np.array(0, np.int32)), dtypes=FLOATS, name="nan"),
            Case((np.zeros((2, 0)), np.array(0, np.int32))),
        ],
        reference=reference,
        dtypes=(*FLOATS, *INTEGERS[:4], "bool"),
        bad=[
            Bad((np.ones((2, 3)), np.array(2, np.int32)), match="2"),
            Bad((np.ones((2, 0)), np.array(1, np.int32)), match="empty"),
        ],
    )


def scan(op, f, start, low, high, dtypes, **more):
    def reference(x, axis, exclusive=False, reverse=False, **attrs):
        axis = int(axis)
        y = np.flip(x, axis) if reverse else x
        y = f(y, axis=axis)
        if exclusive and y.shape[axis]:
            first = np.full_like(np.take(y, [0], axis), start)
            y = np.concatenate([first, np.delete(y, -1, axis)], axis)
        return (np.flip(y, axis) if reverse else y).astype(x.dtype)

    cases = [
        Case(
            (uniform(low, high, (3, 4)), np.array(axis, np.int32)),
            {"exclusive": e, "reverse": r},
            gradient=np.isfinite(start) or not e,
        )
        for axis, e, r in [
            (0, False, False),
            (1, False, False),
            (1, True, False),
            (0, False, True),
            (-1, True, True),
        ]
    ]
    cases += [
        Case((uniform(low, high, (2, 3, 70)), np.array(1, np.int64)), gradient=False),
        Case((np.zeros((0, 3)), np.array(0, np.int32))),
    ]
    return OpRecord(
        op,
        cases=cases,
        reference=quiet(reference),
        dtypes=dtypes,
        differentiable=(0,),
        bad=[Bad((np.ones((2, 3)), np.array(2, np.int32)), match="2")],
        tolerance=SUMS,
        **more,
    )


SCANS = [
    position("ArgMax", np.argmax),
    position("ArgMin", np.argmin),
    scan("Cumsum", np.cumsum, 0, -2, 2, (*FLOATS, "int32", "int64")),
    scan("Cumprod", np.cumprod, 1, 0.5, 2, (*FLOATS, "int32")),
    scan("CumulativeLogsumexp", np.logaddexp.accumulate, -INF, -2, 2, FLOATS, gradient_tolerance=1e-4),
]

# ---- segments

IDS = np.array([0, 0, 2, 2, 2, 3], np.int32)
DATA = uniform(1, 9, (6, 2))


def segments(f, empty, count=None):
    """f of the rows of each segment, `empty` (a value, or a function of the dtype) without rows."""

    def reference(data, ids, num_segments=None, **attrs):
        ids = np.asarray(ids)
        size = int(num_segments) if num_segments is not None else (ids.max() + 1 if ids.size else 0)
        rest = data.shape[ids.ndim :]
        rows, flat = data.reshape((-1, *rest)), ids.ravel()
        out = np.zeros((size, *rest), data.dtype)
        for s in range(size):
            chosen = rows[flat == s]
            out[s] = f(chosen) if len(chosen) else (empty(data.dtype) if callable(empty) else empty)
        return out

    return reference


def segment(op, f, empty=0, dtypes=(*FLOATS, "int32", "int64"), **more):
    return OpRecord(
        op,
        cases=[
            Case((DATA, IDS)),
            Case((DATA[:, 0], IDS.astype(np.int64))),
            Case((np.zeros((0, 2)), np.zeros(0, np.int32)), gradient=False),
        ],
        reference=segments(f, empty),
        dtypes=dtypes,
        differentiable=(0,),
        data_dependent=True,
        bad=[
            Bad((DATA, IDS[:3]), match=r"\(3,\).*\(6, 2\)"),
            Bad((DATA, IDS[::-1].copy()), match="sorted", when="run"),
            Bad((DATA, IDS - 1), match="-1", when="run"),
        ],
        tolerance={"float16": 1e-2, "bfloat16": 5e-2},
        **more,
    )


def unsorted(op, f, empty, dtypes=(*FLOATS, "int32", "int64"), **more):
    count = np.array(5, np.int32)
    return OpRecord(
        op,
        cases=[
            Case((DATA, np.array([2, 0, 0, -1, 2, 1], np.int32), np.array(3, np.int32))),
            Case((DATA.reshape(2, 3, 2), np.array([[2, 0, 0], [1, 2, 1]], np.int64), np.array(3, np.int64))),
            Case((DATA, np.arange(12, dtype=np.int32).reshape(6, 2) // 5, np.array(3, np.int32))),
            # Finite differences of the lowest number overflow.
            Case((DATA, np.array([3, 0, 0, -1, 3, 1], np.int32), count), gradient=not callable(empty)),
            Case((np.zeros((0, 2)), np.zeros(0, np.int32), np.array(2, np.int32)), gradient=False),
        ],
        reference=segments(f, empty),
        dtypes=dtypes,
        differentiable=(0,),
        bad=[
            Bad((DATA, np.zeros(3, np.int32), count), match=r"\(3,\).*\(6, 2\)"),
            Bad((DATA, IDS, np.array(3, np.int32)), match="num_segments", when="run"),
            Bad((DATA, IDS, np.array(-1, np.int32)), match="-1"),
        ],
        tolerance={"float16": 1e-2, "bfloat16": 5e-2},
        **more,
    )


def lowest(dtype):
    return np.iinfo(dtype).min if dtype.kind == "i" else np.finfo(dtype).min


def highest(dtype):
    return np.iinfo(dtype).max if dtype.kind == "i" else np.finfo(dtype).max


def int_mean(rows):
    return np.trunc(rows.sum(0) / len(rows)) if rows.dtype.kind == "i" else rows.mean(0)


def root_mean(rows):
    return rows.sum(0) / np.sqrt(len(rows))


INDICES = np.array([5, 0, 1, 1, 2], np.int32)
CHOSEN = np.array([0, 0, 1, 3, 3], np.int32)


def sparse(op, f, dtypes):
    def reference(data, indices, ids, num_segments=None, **attrs):
        return segments(f, 0)(data[indices], ids, num_segments)

    bad = [
        Bad((DATA, INDICES, CHOSEN[:2]), match=r"\(5,\).*\(2,\)"),
        Bad((DATA, INDICES + 3, CHOSEN), match="8", when="run"),
        Bad((DATA, INDICES, CHOSEN[::-1].copy()), match="sorted", when="run"),
    ]
    cases = [Case((DATA, INDICES, CHOSEN)), Case((DATA[:, 0], INDICES.astype(np.int64), CHOSEN))]
    empty = (np.zeros((3, 2)), np.zeros(0, np.int32), np.zeros(0, np.int32))
    tolerance = {"float16": 1e-2, "bfloat16": 5e-2}

    def numbered(inputs, n=5):
        return (*inputs, np.array(n, np.int32))

    return [
        OpRecord(
            op,
            [*cases, Case(empty, gradient=False)],
            reference,
            dtypes,
            (0,),
            bad,
            tolerance,
            data_dependent=True,
        ),
        OpRecord(
            op + "WithNumSegments",
            [*[Case(numbered(c.inputs)) for c in cases], Case(numbered(empty))],
            reference,
            dtypes,
            (0,),
            [Bad(numbered(b.inputs), b.attrs, match=b.match, when=b.when) for b in bad]
            + [Bad(numbered((DATA, INDICES, CHOSEN), 2), match="num_segments", when="run")],
            tolerance,
        ),
    ]


def sparse_grad(op, divide):
    def reference(grad, indices, ids, rows, **attrs):
        out = np.zeros((int(rows), *grad.shape[1:]))
        for index, s in zip(indices, ids):
            out[index] += grad[s] / divide(np.sum(ids == s))
        return out.astype(grad.dtype)

    rows = np.array(6, np.int32)
    return OpRecord(
        op,
        cases=[
            Case((DATA[:4], INDICES, CHOSEN, rows)),
            Case((np.zeros((0, 2)), np.zeros(0, np.int32), np.zeros(0, np.int32), rows)),
        ],
        reference=reference,
        dtypes=("float32", "float64"),
        differentiable=(0,),
        bad=[Bad((DATA[:4], INDICES + 3, CHOSEN, rows), match="8", when="run")],
    )


SEGMENTS = [
    segment("SegmentSum", lambda rows: rows.sum(0)),
    segment("SegmentMean", int_mean),
    segment("SegmentProd", lambda rows: rows.prod(0), 1),
    segment("SegmentMax", lambda rows: rows.max(0)),
    segment("SegmentMin", lambda rows: rows.min(0)),
    unsorted("UnsortedSegmentSum", lambda rows: rows.sum(0), 0),
    unsorted("UnsortedSegmentProd", lambda rows: rows.prod(0), 1),
    unsorted(
        "UnsortedSegmentMax", lambda rows: rows.max(0), lowest, ("float32", "float64", "int32", "int64")
    ),
    unsorted(
        "UnsortedSegmentMin", lambda rows: rows.min(0), highest, ("float32", "float64", "int32", "int64")
    ),
    *sparse("SparseSegmentSum", lambda rows: rows.sum(0), (*FLOATS, "int32")),
    *sparse("SparseSegmentMean", lambda rows: rows.mean(0), FLOATS),
    *sparse("SparseSegmentSqrtN", root_mean, FLOATS),
    sparse_grad("SparseSegmentMeanGrad", lambda n: n),
    sparse_grad("SparseSegmentSqrtNGrad", np.sqrt),
]

RECORDS = REDUCTIONS + SCANS + SEGMENTS
run_records(globals(), RECORDS)


# ---- public functions


def run(*fetches, feed=None):
    with tf.Session() as session:
        values = session.run(list(fetches), feed)
    return values[0] if len(values) == 1 else values


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]], np.float32)


def test_axes_and_old_names():
    x = tf.constant(X)
    total = tf.reduce_sum(x)
    assert (total.op.name, total.op.inputs[1].op.name) == ("Sum", "Const_1")
    assert tf.reduce_max(x, 1).op.inputs[1].op.name == "Max/reduction_indices"
    kept = tf.reduce_mean(x, reduction_indices=1, keep_dims=True)
    assert kept.shape.as_list() == [2, 1]
    for got, want in [
        (total, X.sum()),
        (kept, X.mean(1, keepdims=True)),
        (tf.reduce_sum(x, axis=[-1, 0]), X.sum()),
        (tf.reduce_prod(x, [0]), X.prod(0)),
        (tf.reduce_any(x > 4, 1), [False, True]),
        (tf.reduce_all(x > -9), True),
        (tf.reduce_min([[1, 2], [3, 0]], 1), [1, 0]),
        (tf.argmax(x, dimension=1), X.argmax(1)),
        (tf.argmin(x), X.argmin(0)),
        (tf.arg_max(x, 1), X.argmax(1)),
    ]:
        np.testing.assert_allclose(run(got), want, rtol=1e-6)
    for build in (
        lambda: tf.reduce_sum(x, axis=1, reduction_indices=1),
        lambda: tf.reduce_sum(x, keepdims=True, keep_dims=True),
        lambda: tf.argmax(x, axis=1, dimension=1),
        lambda: tf.reduce_sum(x, 2),
    ):
        with pytest.raises(ValueError):
            build()


def test_unknown_rank():
    x = tf.placeholder(tf.float32)
    total = tf.reduce_sum(x)
    assert total.shape.as_list() == []
    assert run(total, feed={x: X}) == X.sum()
    axis = tf.placeholder(tf.int32, [])
    np.testing.assert_array_equal(run(tf.reduce_sum(x, axis), feed={x: X, axis: 1}), X.sum(1))


def test_compositions():
    x = tf.constant(X)
    for axis in (None, 0, 1):
        for keep in (False, True):
            for got, want in [
                (tf.reduce_logsumexp(x, axis, keep), sp.logsumexp(X, axis=axis, keepdims=keep)),
                (tf.math.reduce_variance(x, axis, keep), X.var(axis=axis, keepdims=keep)),
                (tf.math.reduce_std(x, axis, keep), X.std(axis=axis, keepdims=keep)),
                (tf.count_nonzero(x > 0, axis, keep), np.count_nonzero(X > 0, axis=axis, keepdims=keep)),
                (
                    tf.math.reduce_euclidean_norm(x, axis, keep),
                    np.sqrt((X**2).sum(axis=axis, keepdims=keep)),
                ),
            ]:
                np.testing.assert_allclose(run(got), want, rtol=1e-5)
    assert run(tf.reduce_logsumexp(tf.constant([-INF, -INF]))) == -INF
    assert run(tf.reduce_logsumexp(tf.constant([1000.0, 1000.0]))) == np.float32(1000 + np.log(2))
    assert tf.count_nonzero(x, dtype=tf.int32).dtype == tf.int32
    assert run(tf.count_nonzero(["a", "", "b"])) == 2
    with pytest.raises(TypeError):
        tf.math.reduce_variance([1, 2])


def test_norm():
    x = tf.constant(X)
    for ord, axis, want in [
        ("euclidean", None, np.linalg.norm(X.ravel())),
        (2, 1, np.linalg.norm(X, axis=1)),
        (1, 0, np.linalg.norm(X, 1, axis=0)),
        (np.inf, 1, np.abs(X).max(1)),
        (3, None, (np.abs(X) ** 3).sum() ** (1 / 3)),
        ("fro", (0, 1), np.linalg.norm(X)),
        (1, [0, 1], np.linalg.norm(X, 1)),
        (np.inf, (-2, -1), np.linalg.norm(X, np.inf)),
    ]:
        np.testing.assert_allclose(run(tf.norm(x, ord, axis)), want, rtol=1e-5)
    assert tf.norm(x, axis=1, keepdims=True).shape.as_list() == [2, 1]
    for ord, axis in [("fro", None), (-1, None), (3, (0, 1)), (2, (0, 0)), ("other", None)]:
        with pytest.raises(ValueError):
            tf.norm(x, ord, axis)


def test_segments():
    data, ids = tf.constant(DATA), tf.constant(IDS)
    got = run(tf.unsorted_segment_mean(data, ids, 5))
    np.testing.assert_allclose(got, segments(lambda r: r.mean(0), 0)(DATA, IDS, 5))
    got = run(tf.unsorted_segment_sqrt_n(data, ids, 5))
    np.testing.assert_allclose(got, segments(root_mean, 0)(DATA, IDS, 5))
    assert tf.sparse_segment_sum(data, INDICES, CHOSEN, num_segments=6).shape.as_list() == [6, 2]


def test_sums_do_not_depend_on_threads(monkeypatch):
    x = uniform(-1, 1, (100003,)).astype(np.float32)
    wide = uniform(-1, 1, (3001, 37)).astype(np.float32)
    sums = []
    for threads in (1, 2, 3):
        config = tf.ConfigProto(intra_op_parallelism_threads=threads)
        with tf.Session(config=config) as session:
            sums.append(session.run([tf.reduce_sum(tf.constant(x)), tf.reduce_sum(tf.constant(wide), 0)]))
    for total, columns in sums[1:]:
        assert total == sums[0][0]
        np.testing.assert_array_equal(columns, sums[0][1])


def test_sums_are_accurate():
    x = np.full(10**6, 0.1, np.float32)
    exact = float(np.float32(0.1)) * 10**6
    feed = tf.placeholder(tf.float32, [None])
    assert abs(run(tf.reduce_sum(feed), feed={feed: x}) - exact) <= 2 * np.spacing(np.float32(exact))
    table = tf.placeholder(tf.float32, [None, 4])
    columns = run(tf.reduce_sum(table, 0), feed={table: x.reshape(-1, 4)})
    np.testing.assert_allclose(columns, exact / 4, rtol=1e-6)


def test_empty_maximum_of_positions():
    with pytest.raises(errors.InvalidArgumentError):
        run(tf.argmax(np.zeros((0, 2), np.float32), 0))
