import numpy as np
import pytest
import scipy.special as sp

import headrace as tf
from headrace.framework import errors
from tests.ops.harness import Bad, Case, OpRecord, run_records

FLOATS = ("float32", "float64", "float16", "bfloat16")
COMPLEX = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
WIDE = ("float32", "float64")
INF = np.inf
NAN = np.nan


def rng(seed=0):
    return np.random.default_rng(seed)


def uniform(low, high, shape=(3, 4), seed=0):
    return rng(seed).uniform(low, high, shape)


def z(shape=(2, 3), seed=1):
    r = rng(seed)
    return r.normal(size=shape) * 0.7 + 1j * r.normal(size=shape) * 0.7


EMPTY = Case((np.zeros((0, 3)),))
BAD_BOOL = Bad((np.array([True]),), error=TypeError, match="bool", cast=False)


def quiet(f):
    def wrapped(*args, **attrs):
        with np.errstate(all="ignore"):
            return f(*args, **attrs)

    return wrapped


def unary(
    op,
    f,
    low,
    high,
    *,
    special=(),
    dtypes=FLOATS,
    complex=False,
    differentiable=True,
    tolerance=None,
    gt=1e-5,
):
    cases = [
        Case((uniform(low, high),)),
        EMPTY,
        Case((uniform(low, high, ()),)),
        Case((uniform(low, high, (1030,)),)),
    ]
    if special:
        cases.append(Case((np.array(special),), gradient=False, name="special"))
    if complex:
        cases.append(Case((z(),), dtypes=COMPLEX, name="complex", gradient=False))
        cases = [
            Case(
                c.inputs,
                c.attrs,
                dtypes if c.dtypes is None else c.dtypes,
                c.gradient and c.inputs[0].size < 100,
                c.name,
            )
            for c in cases
        ]
    else:
        cases = [
            Case(c.inputs, c.attrs, c.dtypes, c.gradient and c.inputs[0].size < 100, c.name) for c in cases
        ]
    return OpRecord(
        op,
        cases=cases,
        reference=quiet(f),
        dtypes=dtypes + (COMPLEX if complex else ()),
        differentiable=(0,) if differentiable else (),
        bad=[BAD_BOOL],
        tolerance=tolerance or {},
        gradient_tolerance=gt,
    )


def predicate(op, f):
    return OpRecord(
        op,
        cases=[Case((np.array([[0.0, 1, -1], [INF, -INF, NAN]]),)), EMPTY],
        reference=f,
        dtypes=FLOATS,
        bad=[BAD_BOOL],
    )


ALL = (0.0, -0.0, 1.0, -1.0, INF, -INF, NAN, 1e-3, -1e-3, 30.0, -30.0, 88.0, -88.0)
# exp of a 16-bit float's error grows with the argument; complex ones are two functions at once.
LOOSE = {"float16": 4e-3, "bfloat16": 2e-2, "complex64": 2e-5}

UNARY = [
    unary("Neg", np.negative, -2, 2, special=ALL, complex=True),
    unary("Square", np.square, -2, 2, special=ALL, complex=True),
    unary("Reciprocal", np.reciprocal, 0.5, 2, special=ALL, complex=True),
    unary("Inv", np.reciprocal, 0.5, 2, special=ALL, complex=True),
    unary("Sqrt", np.sqrt, 0.5, 2, special=(0, 1, 4, -1, INF, NAN), complex=True),
    unary("Rsqrt", lambda x: 1 / np.sqrt(x), 0.5, 2, special=(0, 1, 4, -1, INF, NAN), complex=True),
    unary("Exp", np.exp, -2, 2, special=ALL, complex=True),
    unary("Expm1", np.expm1, -2, 2, special=ALL, complex=True),
    unary("Log", np.log, 0.5, 3, special=(0, 1, -1, INF, NAN, 1e-3), complex=True),
    unary("Log1p", np.log1p, -0.5, 3, special=(0, -1, -2, INF, NAN, 1e-3, -1e-3), complex=True),
    unary("Sin", np.sin, -7, 7, special=(*ALL, 1e4), complex=True),
    unary("Cos", np.cos, -7, 7, special=(*ALL, 1e4), complex=True),
    unary("Tan", np.tan, -1.2, 1.2, special=(*ALL, 1e4), complex=True, gt=1e-4),
    unary("Asin", np.arcsin, -0.9, 0.9, special=(0, 1, -1, 2, NAN), complex=True, gt=1e-4),
    unary("Acos", np.arccos, -0.9, 0.9, special=(0, 1, -1, 2, NAN), complex=True, gt=1e-4),
    unary("Atan", np.arctan, -3, 3, special=ALL, complex=True),
    unary("Sinh", np.sinh, -2, 2, special=(0, INF, -INF, NAN), complex=True),
    unary("Cosh", np.cosh, -2, 2, special=(0, INF, -INF, NAN), complex=True),
    unary("Tanh", np.tanh, -2, 2, special=ALL, complex=True),
    unary("Asinh", np.arcsinh, -2, 2, special=ALL, complex=True),
    unary("Acosh", np.arccosh, 1.5, 3, special=(1, 0, INF, NAN), complex=True),
    unary("Atanh", np.arctanh, -0.8, 0.8, special=(0, 1, -1, 2, NAN), complex=True, gt=1e-4),
    unary("Sigmoid", lambda x: 1 / (1 + np.exp(-x)), -3, 3, special=ALL, complex=True),
    unary("Erf", sp.erf, -2, 2, special=ALL),
    unary("Erfc", sp.erfc, -2, 2, special=ALL),
    unary("Erfinv", sp.erfinv, -0.9, 0.9, special=(0, 1, -1, 2, -2, NAN, 0.999, 1e-3), gt=1e-4),
    unary("Ndtri", sp.ndtri, 0.1, 0.9, special=(0, 1, -1, 2, NAN, 0.999, 1e-3), gt=1e-4),
    unary("Lgamma", sp.gammaln, 0.5, 5, special=(0, 1, 2, -0.5, INF, NAN, 1e-3, 100)),
    unary("Digamma", sp.digamma, 0.5, 5, special=(1, 2, -0.5, -1, INF, NAN, 1e-3, 100)),
    unary("BesselI0e", sp.i0e, -4, 4, special=(0, 20, 40, -40, 1e3, NAN)),
    unary("BesselI1e", sp.i1e, -4, 4, special=(0, 20, 40, -40, 1e3, NAN)),
    unary("Floor", np.floor, -5, 5, special=(*ALL, 0.5, -0.5, 1.5), differentiable=False),
    unary("Ceil", np.ceil, -5, 5, special=(*ALL, 0.5, -0.5, 1.5), differentiable=False),
    unary("Rint", np.rint, -5, 5, special=(*ALL, 0.5, -0.5, 1.5, 2.5), differentiable=False),
    OpRecord(
        "Round",
        cases=[
            Case((uniform(-5, 5),)),
            Case(([0.5, 1.5, 2.5, -0.5, -1.5, 7, -3],), gradient=False),
            Case((z() * 3,), dtypes=COMPLEX),
            EMPTY,
        ],
        reference=np.round,
        dtypes=(*FLOATS, "int32", *COMPLEX),
        bad=[BAD_BOOL],
    ),
    OpRecord(
        "Abs",
        cases=[
            Case(([[1.5, -2, 3], [-4, 5, -60]],)),
            EMPTY,
            Case((list(ALL),), dtypes=FLOATS, gradient=False),
        ],
        reference=np.abs,
        dtypes=(*FLOATS, *SIGNED),
        differentiable=(0,),
        bad=[BAD_BOOL],
    ),
    OpRecord(
        "Sign",
        cases=[
            Case(([[1.5, -2, 3], [-4, 5, -60]],)),
            EMPTY,
            Case(([0, -0.0, NAN, INF, -INF],), dtypes=FLOATS, gradient=False),
            Case((np.array([3 + 4j, 0, -2j]),), dtypes=COMPLEX, gradient=False),
        ],
        reference=lambda x: (
            np.where(x == 0, 0, x / np.abs(np.where(x == 0, 1, x))) if np.iscomplexobj(x) else np.sign(x)
        ),
        dtypes=(*FLOATS, *SIGNED, *COMPLEX),
        differentiable=(0,),
        bad=[BAD_BOOL],
    ),
    predicate("IsNan", np.isnan),
    predicate("IsInf", np.isinf),
    predicate("IsFinite", np.isfinite),
    OpRecord(
        "LogicalNot",
        cases=[Case((np.array([True, False]),)), Case((np.zeros(0, bool),))],
        reference=np.logical_not,
        dtypes=(),
    ),
    OpRecord(
        "Invert",
        cases=[Case(([[0, 1, 5], [7, 100, 127]],)), EMPTY],
        reference=np.invert,
        dtypes=INTEGERS,
        bad=[BAD_BOOL],
    ),
    OpRecord(
        "PopulationCount",
        cases=[Case(([[0, 1, 5], [7, 100, 127]],)), EMPTY],
        reference=lambda x: np.array([bin(v).count("1") for v in x.ravel().tolist()], np.uint8).reshape(
            x.shape
        ),
        dtypes=INTEGERS,
        bad=[BAD_BOOL],
    ),
]


def of_complex(op, f, attrs=None):
    single, double = {"Tout": tf.float32}, {"Tout": tf.float64}
    return OpRecord(
        op,
        cases=[
            Case((z(),), single, ("complex64",)),
            Case((z(),), double, ("complex128",)),
            Case((np.zeros((0, 2), complex),), single, ("complex64",)),
        ],
        reference=lambda x, Tout: f(x),
        dtypes=COMPLEX,
        bad=[Bad((np.array([1.0]),), error=TypeError, match="float", cast=False)],
    )


COMPLEX_PARTS = [
    of_complex("Real", np.real),
    of_complex("Imag", np.imag),
    of_complex("Angle", np.angle),
    of_complex("ComplexAbs", np.abs),
    OpRecord(
        "Conj",
        cases=[Case((z(),)), Case((np.zeros((0, 2), complex),))],
        reference=np.conj,
        dtypes=COMPLEX,
        bad=[Bad((np.array([1.0]),), error=TypeError, match="float", cast=False)],
    ),
    OpRecord(
        "Complex",
        cases=[
            Case(
                (uniform(-1, 1), uniform(-1, 1, seed=1)), {"Tout": tf.complex64}, ("float32",), gradient=False
            ),
            Case(
                (uniform(-1, 1), uniform(-1, 1, (4,))), {"Tout": tf.complex128}, ("float64",), gradient=False
            ),
            Case((np.zeros((0, 2)), np.zeros(2)), {"Tout": tf.complex64}, ("float32",), gradient=False),
        ],
        reference=lambda x, y, Tout: x + y.dtype.type(1) * 1j * y,
        dtypes=WIDE,
        bad=[Bad((np.zeros(2), np.zeros(3)), {"Tout": tf.complex64}, match=r"\(2,\).*\(3,\)")],
    ),
]


def numpy_cast(x, SrcT=None, DstT=None, Truncate=False):
    to = DstT.as_numpy_dtype
    with np.errstate(all="ignore"):
        if np.iscomplexobj(x) and not DstT.is_complex:
            x = x.real
        return np.asarray(x).astype(to)


NUMBERS = np.array([[0, 1, 2], [3, 100, 7]])
CAST = [
    OpRecord(
        "Cast",
        cases=[Case((NUMBERS,), {"DstT": tf.float64})]
        + [
            Case((NUMBERS,), {"DstT": tf.as_dtype(to)}, gradient=False)
            for to in ("float32", "float16", "bfloat16", *INTEGERS, "bool", *COMPLEX)
        ]
        + [
            Case(([1.7, -1.7, 0.5, -0.5],), {"DstT": tf.int32}, FLOATS, gradient=False),
            Case(([NAN, INF, 0.0, -0.0],), {"DstT": tf.bool}, FLOATS, gradient=False),
            Case((np.array([1.5 + 2j]),), {"DstT": tf.float32}, COMPLEX, gradient=False),
            Case((np.zeros((0, 2)),), {"DstT": tf.int8}, gradient=False),
            Case(([1.0, -2.0],), {"DstT": tf.bfloat16, "Truncate": True}, ("float32",), gradient=False),
        ],
        reference=numpy_cast,
        dtypes=(*FLOATS, *INTEGERS, "bool", *COMPLEX),
        type_attr="SrcT",
        differentiable=(0,),
        widen=False,
    ),
]

# ---- of two tensors

SHAPES = [
    ((3, 4), (3, 4)),
    ((3, 4), ()),
    ((), (3, 4)),
    ((3, 4), (4,)),
    ((3, 1), (3, 4)),
    ((2, 1, 3), (4, 1)),
    ((0, 3), (3,)),
]
BAD_SHAPES = Bad((np.ones((2, 3)), np.ones((2, 4))), match=r"\(2, 3\).*\(2, 4\)")


def binary(
    op, f, x, y, *, dtypes=FLOATS, differentiable=(0, 1), special=(), complex=False, integer=True, **more
):
    """`x` and `y` are intervals; `special` pairs of values."""
    cases = [Case((uniform(*x, a), uniform(*y, b, seed=1))) for a, b in SHAPES]
    cases.append(Case((uniform(*x, (40, 67)), uniform(*y, (67,), seed=1)), gradient=False, name="rows"))
    cases.append(Case((uniform(*x, (40, 1)), uniform(*y, (40, 67), seed=1)), gradient=False, name="columns"))
    cases.append(Case((uniform(*x, (3, 1, 1500)), uniform(*y, (2, 1), seed=1)), gradient=False, name="long"))
    floats = tuple(d for d in dtypes if "float" in d)
    if special:
        xs, ys = zip(*special)
        cases.append(Case((np.array(xs, float), np.array(ys, float)), {}, floats, False, "special"))
    if complex:
        cases.append(Case((z(), z(seed=2)), dtypes=COMPLEX, gradient=False, name="complex"))
        cases = [Case(c.inputs, c.attrs, c.dtypes or dtypes, c.gradient, c.name) for c in cases]
    return OpRecord(
        op,
        cases=cases,
        reference=quiet(f),
        dtypes=dtypes + (COMPLEX if complex else ()),
        differentiable=differentiable,
        bad=[BAD_SHAPES],
        **more,
    )


def truncated_div(x, y):
    return (
        np.trunc(x / y)
        if x.dtype.kind == "f"
        else (np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)
    )


PAIRS = [(0, 0), (1, 0), (0, 1), (NAN, 1), (1, NAN), (INF, 1), (-INF, INF), (-0.0, 1), (INF, INF), (0, NAN)]
POWERS = [
    *[
        (a, b)
        for a in (0, 1, -1, 2, -2, 0.5, -0.5, INF, -INF, NAN)
        for b in (0, 1, 2, 3, -1, -2, 0.5, INF, -INF, NAN)
    ]
]


def no_nan(f, zero_of):
    def reference(x, y):
        x, y = np.broadcast_arrays(x, y)
        return np.where((x, y)[zero_of] == 0, 0, f(x, y)).astype(np.result_type(x, y))

    return reference


BINARY = [
    binary("Add", np.add, (-2, 2), (-2, 2), dtypes=(*FLOATS, *SIGNED), special=PAIRS, complex=True),
    binary("AddV2", np.add, (-2, 2), (-2, 2), dtypes=(*FLOATS, *SIGNED), special=PAIRS, complex=True),
    binary("Sub", np.subtract, (-2, 2), (-2, 2), dtypes=(*FLOATS, *SIGNED), special=PAIRS, complex=True),
    binary("Mul", np.multiply, (-9, 9), (-9, 9), dtypes=(*FLOATS, *SIGNED), special=PAIRS, complex=True),
    binary(
        "SquaredDifference",
        lambda x, y: (x - y) * np.conj(x - y),
        (-5, 5),
        (-5, 5),
        dtypes=(*FLOATS, *SIGNED),
    ),
    binary(
        "Div",
        lambda x, y: x / y if x.dtype.kind in "fc" else truncated_div(x, y),
        (-9, 9),
        (1, 9),
        dtypes=(*FLOATS, *SIGNED),
        special=PAIRS,
        complex=True,
        tolerance={"complex64": 2e-5},
    ),
    binary("RealDiv", np.divide, (-9, 9), (1, 9), special=PAIRS, complex=True),
    binary("TruncateDiv", truncated_div, (-90, 90), (1, 9), dtypes=(*WIDE, *INTEGERS[:4]), differentiable=()),
    binary("FloorDiv", np.floor_divide, (-90, 90), (1, 9), dtypes=(*WIDE, *INTEGERS[:4]), differentiable=()),
    binary("FloorMod", np.mod, (-90, 90), (3, 9), dtypes=(*WIDE, *SIGNED), differentiable=(0,)),
    binary("Mod", np.fmod, (-90, 90), (3, 9), dtypes=(*WIDE, *SIGNED), differentiable=(0,)),
    binary("TruncateMod", np.fmod, (-90, 90), (3, 9), dtypes=(*WIDE, *SIGNED), differentiable=(0,)),
    binary("Maximum", np.maximum, (-5, 5), (-5, 5), dtypes=(*FLOATS, *SIGNED), special=PAIRS),
    binary("Minimum", np.minimum, (-5, 5), (-5, 5), dtypes=(*FLOATS, *SIGNED), special=PAIRS),
    binary(
        "Pow",
        np.power,
        (0.5, 2),
        (-2, 2),
        special=POWERS,
        complex=True,
        gradient_tolerance=1e-4,
        tolerance={"float16": 4e-3, "bfloat16": 2e-2},
    ),
    binary("MulNoNan", no_nan(np.multiply, 1), (-2, 2), (1, 2), special=PAIRS, complex=True),
    binary("DivNoNan", no_nan(np.divide, 1), (-2, 2), (1, 2), special=PAIRS, complex=True),
    binary("Xdivy", no_nan(np.divide, 0), (1, 2), (1, 2), special=PAIRS, complex=True),
    binary("Xlogy", no_nan(lambda x, y: x * np.log(y), 0), (1, 2), (1.5, 3), special=PAIRS, complex=True),
    binary("Atan2", np.arctan2, (-2, 2), (1, 2), special=PAIRS),
    binary("Zeta", sp.zeta, (1.5, 5), (0.5, 4), dtypes=WIDE, differentiable=(1,), gradient_tolerance=1e-4),
    binary(
        "Igammac", sp.gammaincc, (0.5, 5), (0.5, 5), dtypes=WIDE, differentiable=(1,), gradient_tolerance=1e-4
    ),
    binary("NextAfter", np.nextafter, (-2, 2), (-2, 2), dtypes=WIDE, differentiable=(), special=PAIRS),
    OpRecord(
        "Polygamma",
        cases=[
            Case(([[0.0, 1, 2], [3, 4, 1]], uniform(0.5, 4, (2, 3)))),
            Case((np.zeros((0, 2)), np.ones(2))),
            Case(([0.5, -1.0], [1.0, 1.0]), gradient=False),
        ],
        reference=lambda a, x: np.where(
            (a >= 0) & (a == np.floor(a)), sp.polygamma(np.maximum(np.floor(a), 0).astype(int), x), NAN
        ).astype(x.dtype),
        dtypes=WIDE,
        differentiable=(1,),
        gradient_tolerance=1e-4,
        tolerance={"float64": 1e-9},
        bad=[BAD_SHAPES],
    ),
    OpRecord(
        "Igamma",
        cases=[
            Case((uniform(0.5, 5), uniform(0.5, 8, seed=1))),
            Case((uniform(0.5, 5, (4,)), uniform(0.5, 8, seed=1))),
            Case((np.zeros((0, 2)), np.ones(2))),
            Case(([0, 0, 1, INF, -1, 100, 1e-3], [0, 1, 0, 1, 1, 120, 10]), gradient=False),
        ],
        reference=quiet(sp.gammainc),
        dtypes=WIDE,
        differentiable=(0, 1),
        second_order=False,  # the second derivative by a has no closed form
        gradient_tolerance=1e-4,
        bad=[BAD_SHAPES],
    ),
    OpRecord(
        "IgammaGradA",
        cases=[
            Case((uniform(0.5, 5), uniform(0.5, 8, seed=1))),
            Case((np.zeros((0, 2)), np.ones(2))),
            Case(([1.0, 10.0, 50.0], [20.0, 10.0, 80.0])),
        ],
        reference=lambda a, x: (
            (
                8 * (sp.gammainc(a + 1e-3, x) - sp.gammainc(a - 1e-3, x))
                - (sp.gammainc(a + 2e-3, x) - sp.gammainc(a - 2e-3, x))
            )
            / 12e-3
        ).astype(x.dtype),
        dtypes=("float64",),
        differentiable=(1,),
        gradient_tolerance=1e-4,
        tolerance={"float64": 1e-7},
        bad=[BAD_SHAPES],
    ),
    OpRecord(
        "Betainc",
        cases=[
            Case((uniform(0.5, 5), uniform(0.5, 5, seed=1), uniform(0.1, 0.9, seed=2))),
            Case((2.0, 3.0, uniform(0.1, 0.9, seed=2))),
            Case((np.zeros((0, 2)), 1.0, 0.5)),
            Case(([1.0, 2, 0], [1.0, 2, 1], [0.0, 1, 0.5]), gradient=False),
        ],
        reference=lambda a, b, x: np.where(a > 0, sp.betainc(np.where(a > 0, a, 1), b, x), NAN).astype(
            x.dtype
        ),
        dtypes=WIDE,
        differentiable=(2,),
        gradient_tolerance=1e-4,
        bad=[Bad((np.ones(2), np.ones(3), np.ones(2)), match=r"\(2,\).*\(3,\)|\(3,\).*\(2,\)")],
    ),
]


def of_value(op, f):
    return OpRecord(
        op,
        cases=[
            Case((uniform(0.5, 2), uniform(-1, 1, seed=1)), dtypes=FLOATS),
            Case((z(), z(seed=2)), dtypes=COMPLEX, gradient=False),
            EMPTY_PAIR,
        ],
        reference=f,
        dtypes=(*FLOATS, *COMPLEX),
        differentiable=(0, 1),
        bad=[BAD_SHAPES],
        tolerance={"float16": 4e-3, "bfloat16": 2e-2},
    )


EMPTY_PAIR = Case((np.zeros((0, 2)), np.zeros((0, 2))))
GRADS = [
    of_value("TanhGrad", lambda y, dy: dy * (1 - y * y)),
    of_value("SigmoidGrad", lambda y, dy: dy * y * (1 - y)),
    of_value("SqrtGrad", lambda y, dy: dy * 0.5 / np.conj(y)),
    of_value("RsqrtGrad", lambda y, dy: -0.5 * dy * np.conj(y**3)),
    of_value("InvGrad", lambda y, dy: -dy * np.conj(y * y)),
    of_value("ReciprocalGrad", lambda y, dy: -dy * np.conj(y * y)),
]

# ---- comparison, logic, bits

COMPARED = ([[1, 2, 3], [4, 5, 6]], [[1, 3, 2], [4, 6, 5]])


def compare(op, f, equality=False):
    cases = [
        Case(COMPARED),
        Case((COMPARED[0], [4, 2, 6])),
        Case((3, COMPARED[0])),
        Case((np.zeros((0, 2)), np.zeros(2))),
        Case((uniform(-9, 9, (3, 700)), uniform(-9, 9, (700,)))),
        Case(([NAN, NAN, 1, INF, -INF], [NAN, 1, NAN, INF, INF]), dtypes=FLOATS),
    ]
    if equality:
        cases.append(Case((z(), z()), dtypes=COMPLEX))
        cases.append(Case(([True, False], [True, True]), dtypes=("bool",)))
    extra = (*COMPLEX, "bool") if equality else ()
    return OpRecord(
        op,
        cases=[Case(c.inputs, c.attrs, c.dtypes or (*FLOATS, *INTEGERS), name=c.name) for c in cases],
        reference=f,
        dtypes=(*FLOATS, *INTEGERS, *extra),
        bad=[BAD_SHAPES],
    )


def logic(op, f):
    x, y = np.array([True, True, False, False]), np.array([True, False, True, False])
    return OpRecord(
        op,
        cases=[Case((x, y)), Case((x, np.array(True))), Case((np.zeros((0, 4), bool), y))],
        reference=f,
        dtypes=(),
        bad=[Bad((np.ones(2, bool), np.ones(3, bool)), match=r"\(2,\).*\(3,\)")],
    )


def bits(op, f, y=(3, 1, 7)):
    return OpRecord(
        op,
        cases=[Case(([[0, 1, 5], [7, 100, 127]], list(y))), Case((np.zeros((0, 3)), list(y)))],
        reference=f,
        dtypes=INTEGERS,
        bad=[BAD_SHAPES],
    )


LOGIC = [
    compare("Equal", np.equal, True),
    compare("NotEqual", np.not_equal, True),
    compare("Less", np.less),
    compare("LessEqual", np.less_equal),
    compare("Greater", np.greater),
    compare("GreaterEqual", np.greater_equal),
    OpRecord(
        "ApproximateEqual",
        cases=[
            Case(([1.0, 2, 3], [1.5, 2, 2]), {"tolerance": 0.75}),
            Case(([1.0, 2, 3], [1.000001, 2, 2]), dtypes=("float64",)),
            EMPTY_PAIR,
        ],
        reference=lambda x, y, tolerance=1e-5: np.abs(x - y) < tolerance,
        dtypes=(*FLOATS, *INTEGERS),
        bad=[BAD_SHAPES],
    ),
    logic("LogicalAnd", np.logical_and),
    logic("LogicalOr", np.logical_or),
    bits("BitwiseAnd", np.bitwise_and),
    bits("BitwiseOr", np.bitwise_or),
    bits("BitwiseXor", np.bitwise_xor),
    bits("LeftShift", np.left_shift),
    bits("RightShift", np.right_shift),
]

# ---- the others


def select(condition, t, e):
    t, e = np.asarray(t), np.asarray(e)
    condition = (
        np.reshape(condition, condition.shape + (1,) * (t.ndim - condition.ndim))
        if condition.ndim == 1
        else condition
    )
    return np.where(condition, t, e)


CHOICE = np.array([[True, False, True], [False, False, True]])
MIXED = (*FLOATS, "int32", "int8", "int64", *COMPLEX)
OTHERS = [
    OpRecord(
        "Select",
        cases=[
            Case((CHOICE, uniform(-2, 2, (2, 3)), uniform(-2, 2, (2, 3), 1))),
            Case((np.array([True, False]), uniform(-2, 2, (2, 3)), uniform(-2, 2, (2, 3), 1))),
            Case((np.array(False), uniform(-2, 2, (2, 3)), uniform(-2, 2, (2, 3), 1))),
            Case((np.zeros(0, bool), np.zeros((0, 2)), np.zeros((0, 2)))),
        ],
        reference=select,
        dtypes=MIXED,
        differentiable=(1, 2),
        bad=[
            Bad((CHOICE, np.ones((2, 3)), np.ones((2, 4))), match=r"\(2, 3\).*\(2, 4\)"),
            Bad((np.array([True]), np.ones((2, 3)), np.ones((2, 3))), match=r"\(1,\).*\(2, 3\)"),
        ],
    ),
    OpRecord(
        "SelectV2",
        cases=[
            Case((CHOICE, uniform(-2, 2, (2, 3)), uniform(-2, 2, (3,), 1))),
            Case((CHOICE[:1], uniform(-2, 2, (2, 1)), 3.0)),
            Case((np.array(True), 1.0, uniform(-2, 2, (2, 3)))),
            Case((np.zeros((0, 1), bool), np.zeros((1, 2)), 1.0)),
        ],
        reference=np.where,
        dtypes=MIXED,
        differentiable=(1, 2),
        bad=[Bad((CHOICE, np.ones((2, 3)), np.ones((2, 4))), match=r"\(2, 3\).*\(2, 4\)")],
        widen=False,
    ),
    OpRecord(
        "ClipByValue",
        cases=[
            Case((uniform(-5, 5), -1, 2)),
            Case((uniform(-5, 5, (2, 3)), np.full((2, 3), -1), np.full((2, 3), 2))),
            Case((np.zeros((0, 2)), 0, 1)),
            Case(([1.0, NAN, INF], 0, 2), dtypes=FLOATS, gradient=False),
        ],
        reference=np.clip,
        dtypes=(*FLOATS, *SIGNED),
        differentiable=(0, 1, 2),
        bad=[Bad((np.ones((2, 3)), np.ones(2), 1), match=r"\(2,\).*\(2, 3\)")],
    ),
    OpRecord(
        "AddN",
        cases=[
            Case(([uniform(-2, 2, seed=i) for i in range(3)],)),
            Case(([uniform(-2, 2)],)),
            Case(([uniform(-2, 2, (2, 700), seed=i) for i in range(20)],), gradient=False, dtypes=WIDE),
            Case(([np.zeros((0, 2)), np.zeros((0, 2))],)),
        ],
        reference=lambda inputs: sum(inputs[1:], inputs[0]),
        dtypes=(*FLOATS, *INTEGERS[:4], *COMPLEX),
        differentiable=(0,),
        bad=[Bad(([np.ones(2), np.ones(3)],), match=r"\(2,\).*\(3,\)|\(3,\).*\(2,\)")],
    ),
    OpRecord(
        "AccumulateNV2",
        cases=[
            Case(([uniform(-2, 2, seed=i) for i in range(3)],), {"shape": [3, 4]}),
            Case(([np.zeros((0, 2)), np.zeros((0, 2))],), {"shape": [0, 2]}),
        ],
        reference=lambda inputs, shape: sum(inputs[1:], inputs[0]),
        dtypes=(*FLOATS, "int32"),
        differentiable=(0,),
        bad=[Bad(([np.ones(2), np.ones(2)],), {"shape": [3]}, match=r"\(2,\).*\(3,\)|\(3,\).*\(2,\)")],
    ),
    OpRecord(
        "Cross",
        cases=[
            Case((uniform(-2, 2, (2, 3)), uniform(-2, 2, (2, 3), 1))),
            Case((np.zeros((0, 3)), np.zeros((0, 3)))),
        ],
        reference=np.cross,
        dtypes=(*FLOATS, "int32"),
        differentiable=(0, 1),
        tolerance={"float16": 1e-2, "bfloat16": 5e-2},
        bad=[Bad((np.ones((2, 4)), np.ones((2, 4))), match=r"\(2, 4\)")],
    ),
    OpRecord(
        "Bincount",
        cases=[
            Case((np.array([1, 1, 5, 2, 9], np.int32), np.array(6, np.int32), [])),
            Case((np.array([[1, 1], [5, 2]], np.int32), np.array(6, np.int32), [[1, 2], [3, 4]])),
            Case((np.zeros(0, np.int32), np.array(3, np.int32), [])),
        ],
        reference=lambda arr, size, weights: np.bincount(
            arr.ravel(), weights.ravel() if weights.size else None, size
        )[:size].astype(weights.dtype),
        dtypes=(*WIDE, "int32", "int64"),
        bad=[
            Bad((np.array([1], np.int32), np.array(-1, np.int32), []), match="-1"),
            Bad((np.array([-1], np.int32), np.array(2, np.int32), []), match="-1", when="run"),
        ],
    ),
    OpRecord(
        "Bucketize",
        cases=[
            Case(([[-5, 0, 10], [50, 100, 1000]],), {"boundaries": [0.0, 10.0, 100.0]}),
            Case((np.zeros((0, 2)),), {"boundaries": [1.0]}),
        ],
        reference=lambda x, boundaries: np.digitize(x, boundaries).astype(np.int32),
        dtypes=(*WIDE, "int32", "int64"),
        bad=[Bad((np.ones(2),), {"boundaries": [2.0, 1.0]}, match="increasing")],
    ),
    OpRecord(
        "HistogramFixedWidth",
        cases=[
            Case(([-1, 0, 1.5, 2, 5, 15], [0, 5], np.array(5, np.int32)), dtypes=WIDE),
            Case(([-1, 0, 1, 2, 5, 15], [0, 5], np.array(5, np.int32)), {"dtype": tf.int64}),
            Case((np.zeros((0, 2)), [0, 5], np.array(2, np.int32))),
        ],
        reference=lambda values, value_range, nbins, dtype=tf.int32: np.histogram(
            np.clip(values, *value_range), nbins, value_range
        )[0].astype(dtype.as_numpy_dtype),
        dtypes=(*WIDE, "int32", "int64"),
        bad=[
            Bad((np.ones(2), [1, 1], np.array(2, np.int32)), match="value_range", when="run"),
            Bad((np.ones(2), [0, 1], np.array(0, np.int32)), match="nbins"),
        ],
    ),
]

RECORDS = UNARY + COMPLEX_PARTS + CAST + BINARY + GRADS + LOGIC + OTHERS
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
INTS = np.array([7, -7, 8], np.int32)


def test_operators():
    x, i = tf.constant(X), tf.constant(INTS)
    b = tf.constant([True, False])
    for got, want in [
        (x + 1, X + 1),
        (1 + x, 1 + X),
        (2 - x, 2 - X),
        (x * X, X * X),
        (3 / x, 3 / X),
        (x // 2, X // 2),
        (7.0 // x, 7 // X),
        (x % 4, X % 4),
        (x**2, X**2),
        (2**x, 2**X),
        (-x, -X),
        (abs(x), np.abs(X)),
        (i / 2, INTS / 2),
        (i // 2, INTS // 2),
        (i % 3, INTS % 3),
        (i & 3, INTS & 3),
        (i | 3, INTS | 3),
        (i ^ 3, INTS ^ 3),
        (~i, ~INTS),
        (b & True, [True, False]),
        (b | [True, True], [True, True]),
        (b ^ True, [False, True]),
        (~b, [False, True]),
        (x < 2, X < 2),
        (x <= 3, X <= 3),
        (x > X, X > X),
        (x <= 2, X <= 2),
        (np.ones(3, np.float32) + x, 1 + X),
        ([1.0, 2.0, 3.0] * x, X * [1, 2, 3]),
    ]:
        np.testing.assert_allclose(run(got), want, rtol=1e-6)


def test_names_of_operators():
    x = tf.placeholder(tf.float32, [2], name="x")
    i = tf.placeholder(tf.int32, [2], name="i")
    assert [t.op.name for t in (x + 1, 1 - x, x * x, x / x, x // x, x % x, x**x, -x, abs(x))] == [
        "add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "Neg", "Abs",
    ]  # fmt: skip
    assert (x + 1).op.inputs[1].op.name == "add_1/y"
    quotient = i / 2
    assert quotient.dtype == tf.float64
    assert [t.op.name for t in quotient.op.inputs] == ["truediv_1/Cast", "truediv_1/Cast_1"]
    assert [t.op.type for t in (x + x, tf.add(x, x), i // i, tf.div(i, i), tf.mod(i, i))] == [
        "AddV2", "Add", "FloorDiv", "FloorDiv", "FloorMod",
    ]  # fmt: skip
    assert (x == x) is True and (x == i) is False


def test_operators_refuse_other_dtypes():
    x, i = tf.placeholder(tf.float32, [2]), tf.placeholder(tf.int32, [2])
    for build in (lambda: x + i, lambda: i + 1.5, lambda: x / i, lambda: tf.truediv(i, x)):
        with pytest.raises(TypeError):
            build()


def test_cast():
    x = tf.constant(X)
    assert tf.cast(x, tf.float32) is x
    assert tf.cast(5, "float64").dtype == tf.float64
    assert tf.to_int32(x).op.name == "ToInt32"
    np.testing.assert_array_equal(run(tf.to_int64(x)), X.astype(np.int64))
    large = tf.constant([1e10, -1e10, 3.7, -3.7])
    np.testing.assert_array_equal(run(tf.saturate_cast(large, tf.uint8)), [255, 0, 3, 0])
    low, high = run(tf.saturate_cast(large, tf.int32))[1], run(tf.saturate_cast(large, tf.int32))[0]
    assert low == -(2**31) and 2**31 - 200 < high < 2**31
    np.testing.assert_array_equal(run(tf.saturate_cast(tf.constant([300, -5]), tf.int8)), [127, -5])


def test_parts_of_real_tensors():
    x = tf.constant(X)
    assert tf.real(x) is x and tf.conj(x) is x
    np.testing.assert_array_equal(run(tf.imag(x)), 0 * X)
    np.testing.assert_array_equal(run(tf.angle(x)), 0 * X)
    np.testing.assert_allclose(run(tf.abs(tf.complex(x, x))), np.abs(X + 1j * X), rtol=1e-6)
    assert tf.round(tf.constant(INTS)).op.type == "Const"


def test_divisions():
    i = tf.constant(INTS)
    np.testing.assert_array_equal(run(tf.div(i, 2)), INTS // 2)
    np.testing.assert_array_equal(run(tf.truncatediv(i, 2)), [3, -3, 4])
    np.testing.assert_array_equal(run(tf.truncatemod(i, 4)), [3, -3, 0])
    np.testing.assert_array_equal(run(tf.divide(i, 2)), INTS / 2)
    np.testing.assert_array_equal(run(tf.div_no_nan([1.0, 2.0], [0.0, 4.0])), [0, 0.5])
    np.testing.assert_array_equal(run(tf.math.reciprocal_no_nan([0.0, 4.0])), [0, 0.25])
    zero = tf.placeholder(tf.int32, [3])
    with pytest.raises(errors.InvalidArgumentError, match="zero"):
        run(i // zero, feed={zero: [0, 1, 2]})
    lowest = tf.placeholder(tf.int32, [])
    assert run(lowest // -1, feed={lowest: -(2**31)}) == -(2**31)


def test_clip_by_value():
    x = tf.constant(X)
    clipped = tf.clip_by_value(x, -1, 2)
    assert clipped.op.name == "clip_by_value" and clipped.op.type == "Maximum"
    np.testing.assert_array_equal(run(clipped), np.clip(X, -1, 2))
    with pytest.raises(ValueError):
        tf.clip_by_value(tf.constant([1.0]), [0.0, 0.0], 1.0)


def test_sums_of_many():
    x = tf.constant(X)
    assert tf.add_n([x]) is x
    assert tf.add_n([x, x], name="total").op.name == "total"
    np.testing.assert_array_equal(run(tf.accumulate_n([x, x, x])), 3 * X)
    np.testing.assert_array_equal(run(tf.scalar_mul(2, x)), 2 * X)
    for bad in ([], x, [x, tf.constant(INTS)]):
        with pytest.raises(ValueError):
            tf.add_n(bad)
    with pytest.raises(ValueError):
        tf.scalar_mul(x, x)


def test_counts():
    arr = [1, 1, 5]
    np.testing.assert_array_equal(run(tf.bincount(arr)), np.bincount(arr))
    np.testing.assert_array_equal(run(tf.bincount(arr, minlength=8)), np.bincount(arr, minlength=8))
    np.testing.assert_array_equal(run(tf.bincount(arr, maxlength=3)), [0, 2, 0])
    np.testing.assert_array_equal(run(tf.bincount(arr, weights=[1.0, 2.0, 3.0])), [0, 3, 0, 0, 0, 3])
    np.testing.assert_array_equal(run(tf.bincount(np.zeros(0, np.int32))), [])
    np.testing.assert_array_equal(
        run(tf.confusion_matrix([1, 2, 4], [2, 2, 4])),
        [[0] * 5, [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0] * 5, [0, 0, 0, 0, 1]],
    )
    weighted = tf.confusion_matrix([0, 1], [1, 1], num_classes=2, weights=[0.5, 2.0], dtype=tf.float32)
    np.testing.assert_array_equal(run(weighted), [[0, 0.5], [0, 2]])
    with pytest.raises(errors.InvalidArgumentError, match="labels"):
        run(tf.confusion_matrix([5, 1], [1, 1], num_classes=2))
    values = [-1.0, 0.0, 1.5, 2.0, 5.0, 15.0]
    np.testing.assert_array_equal(run(tf.histogram_fixed_width(values, [0.0, 5.0], nbins=5)), [2, 1, 1, 0, 2])
    np.testing.assert_array_equal(
        run(tf.histogram_fixed_width_bins(values, [0.0, 5.0], nbins=5)), [0, 0, 1, 2, 4, 4]
    )


def test_compositions():
    x = np.array([0.5, 1.0, 2.5], np.float32)
    np.testing.assert_allclose(run(tf.lbeta(x)), sp.gammaln(x).sum() - sp.gammaln(x.sum()), rtol=1e-5)
    np.testing.assert_allclose(run(tf.log_sigmoid(x)), -np.log1p(np.exp(-x)), rtol=1e-6)
    np.testing.assert_allclose(
        run(tf.math.polyval([2.0, 3.0, 1.0], tf.constant(x))), np.polyval([2, 3, 1], x), rtol=1e-6
    )
    np.testing.assert_allclose(run(tf.math.bessel_i0(x)), sp.i0(x), rtol=1e-5)
    np.testing.assert_allclose(run(tf.math.bessel_i1(x)), sp.i1(x), rtol=1e-5)
    np.testing.assert_array_equal(run(tf.logical_xor([True, False], [True, True])), [False, True])
    for value, decreasing, increasing in [
        ([1, 2, 2], True, False),
        ([1, 2, 3], True, True),
        ([2, 1], False, False),
        ([1], True, True),
    ]:
        assert run(tf.math.is_non_decreasing(value)) == decreasing
        assert run(tf.math.is_strictly_increasing(value)) == increasing


def test_strings():
    a, b = tf.constant(["a", "b"]), tf.constant(["a", "c"])
    assert run(a + b).tolist() == [b"aa", b"bc"]
    assert run(tf.equal(a, b)).tolist() == [True, False]
    assert run(tf.not_equal(a, "a")).tolist() == [False, True]


def ulps(got, want):
    """Errors in units of the last place of float32."""
    want32 = want.astype(np.float32)
    return np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(want32)).astype(np.float64)


@pytest.mark.parametrize(
    "op, f, low, high",
    [
        ("exp", np.exp, -103, 88.7),
        ("expm1", np.expm1, -20, 88.7),
        ("log", np.log, 1e-40, 1e38),
        ("log1p", np.log1p, -0.999, 1e6),
        ("tanh", np.tanh, -12, 12),
        ("sigmoid", sp.expit, -103, 30),
        ("erf", sp.erf, -5, 5),
        ("sin", np.sin, -1e5, 1e5),
        ("cos", np.cos, -1e5, 1e5),
    ],
)
def test_float32_functions_are_accurate(op, f, low, high):
    r = rng()
    x = np.concatenate(
        [r.uniform(low, high, 50000), r.uniform(-1, 1, 50000) if low < 0 else r.uniform(0.5, 2, 50000)]
    )
    x = x.astype(np.float32)
    got = run(getattr(tf, op)(tf.constant(x)))
    want = f(x.astype(np.float64))
    assert ulps(got, want).max() < 2.0
