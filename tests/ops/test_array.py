"""Making arrays, asking for shapes, changing shapes, joining, repeating and padding."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Bad, Case, OpRecord, run_records

rng = np.random.default_rng(7)


def a(*shape):
    return np.asarray(rng.uniform(0.5, 3.0, size=shape))


ANY = ("float32", "float64", "float16", "bfloat16", "int64", "uint8", "complex128")
ints = np.array  # of one of the index dtypes, not of the main one


def same(x, **attrs):
    return x


def int_result(value, out_type=tf.int32):
    return np.asarray(value).astype(tf.as_dtype(out_type).as_numpy_dtype)


def _bitcast(x, type):
    to = np.dtype(type.as_numpy_dtype)
    if to.itemsize > x.dtype.itemsize:
        return x.view(to)[..., 0]
    if to.itemsize < x.dtype.itemsize:
        return x[..., None].view(to)
    return x.view(to)


def mirror(x, paddings, mode):
    return np.pad(x, paddings, mode=mode.lower())


def mirror_grad(dy, paddings, mode):
    inner = [size - sum(pads) for size, pads in zip(dy.shape, paddings)]
    places = mirror(np.arange(np.prod(inner, dtype=int)).reshape(inner), paddings, mode)
    return np.bincount(places.ravel(), dy.ravel(), int(np.prod(inner))).reshape(inner).astype(dy.dtype)


def one_hot(indices, depth, on_value, off_value, axis=-1):
    made = np.where(np.arange(int(depth)) == np.asarray(indices)[..., None], on_value, off_value)
    return np.moveaxis(made, -1, axis)


def broadcast_gradient_args(x, y):
    if list(x) == list(y):
        return [np.zeros(0, np.int32)] * 2
    rank = max(len(x), len(y))
    wide = [[1] * (rank - len(s)) + list(s) for s in (x, y)]
    return [np.array([i for i in range(rank) if s[i] == 1], np.int32) for s in wide]


def concat_offset(axis, shapes):
    offsets = np.zeros((len(shapes), len(shapes[0])), np.int32)
    offsets[1:, axis] = np.cumsum([s[axis] for s in shapes])[:-1]
    return list(offsets)


def copies(op, *, differentiable=(0,), **attrs):
    cases = [Case((a(2, 3),), attrs), Case((a(),), attrs), Case((a(2, 0),), attrs)]
    return OpRecord(op, cases, same, dtypes=ANY, differentiable=differentiable)


paddings = np.array([[1, 2], [0, 3]], np.int32)

RECORDS = [
    OpRecord(
        "Const",
        [Case((), {"value": np.array([[1.0, 2.0]], np.float32), "dtype": tf.float32})],
        lambda value, dtype: np.array([[1.0, 2.0]], np.float32),
        dtypes=(),
        no_empty="no inputs",
    ),
    *[
        OpRecord(
            op,
            [],
            None,
            dtypes=(),
            no_empty="no inputs",
            bad=[Bad((), {"shape": [2], "dtype": tf.float32}, match="no value was fed", when="run")],
        )
        for op in ("Placeholder", "PlaceholderV2")
    ],
    OpRecord(
        "PlaceholderWithDefault",
        [Case((a(2, 3),), {"shape": [2, 3]}), Case((a(0),), {"shape": [0]})],
        same,
        dtypes=("float32", "int32"),
        differentiable=(0,),
        bad=[Bad((a(2),), {"shape": [3]}, match="the placeholder's shape")],
    ),
    copies("Identity"),
    copies("Snapshot"),
    copies("DeepCopy"),
    copies("GuaranteeConst"),
    copies("DebugGradientIdentity"),
    copies("StopGradient", differentiable=()),
    copies("PreventGradient", differentiable=()),
    OpRecord(
        "IdentityN",
        [Case(([a(2), a(3, 1)],)), Case(([a(0)],))],
        lambda xs: xs,
        dtypes=(),
        differentiable=(0,),
    ),
    OpRecord(
        "CheckNumerics",
        [Case((a(2, 3),), {"message": "m"}), Case((a(0),), {"message": "m"})],
        same,
        differentiable=(0,),
        bad=[
            Bad(([1.0, np.nan],), {"message": "here"}, match="here: the tensor has NaN", when="run"),
            Bad(([1.0, np.inf],), {"message": ""}, match="infinite", when="run"),
        ],
    ),
    OpRecord(
        "Shape",
        [Case((a(2, 3),)), Case((a(),), {"out_type": tf.int64}), Case((a(4, 0),))],
        lambda x, out_type=tf.int32: int_result(x.shape, out_type),
        dtypes=("float32", "uint8"),
    ),
    OpRecord(
        "ShapeN",
        [Case(([a(2, 3), a(4)],)), Case(([a(0)],), {"out_type": tf.int64})],
        lambda xs, out_type=tf.int32: [int_result(x.shape, out_type) for x in xs],
        dtypes=("float32",),
    ),
    OpRecord(
        "Size",
        [Case((a(2, 3),)), Case((a(),)), Case((a(4, 0),), {"out_type": tf.int64})],
        lambda x, out_type=tf.int32: int_result(x.size, out_type),
        dtypes=("float32", "uint8"),
    ),
    OpRecord(
        "Rank",
        [Case((a(2, 3),)), Case((a(),)), Case((a(4, 0),))],
        lambda x: np.int32(x.ndim),
        dtypes=("float32", "uint8"),
    ),
    OpRecord(
        "Reshape",
        [
            Case((a(2, 3), [3, 2])),
            Case((a(2, 3), [-1])),
            Case((a(2, 3), ints([2, -1, 1], np.int64))),
            Case((a(1), ints([], np.int32))),
            Case((a(0, 3), [3, 0])),
            Case((a(0, 3), [-1, 3])),
        ],
        lambda x, shape: x.reshape(shape),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2, 3), [4]), match="has 6 elements.* new shape"),
            Bad((a(2, 3), [-1, 4]), match="new shape"),
            Bad((a(2, 3), [-1, -1]), match="only one dimension|new shape"),
            Bad((a(2, 3), [-2, 3]), match="-2"),
            Bad((a(0), [-1, 0]), match="cannot be told"),
        ],
    ),
    OpRecord(
        "ExpandDims",
        [Case((a(2, 3), i)) for i in (0, 1, 2, -1, -3)] + [Case((a(), 0)), Case((a(0), 1))],
        lambda x, dim: np.expand_dims(x, int(dim)),
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(2), 2), match="axis 2 is out of range")],
    ),
    OpRecord(
        "Squeeze",
        [
            Case((a(1, 2, 1),)),
            Case((a(1, 2, 1),), {"squeeze_dims": [0]}),
            Case((a(1, 2, 1),), {"squeeze_dims": [-1]}),
            Case((a(2, 3),)),
            Case((a(1, 0),)),
        ],
        lambda x, squeeze_dims=None: np.squeeze(x, tuple(squeeze_dims) if squeeze_dims else None),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(1, 2),), {"squeeze_dims": [1]}, match="only dimensions of size 1"),
            Bad((a(1, 2),), {"squeeze_dims": [2]}, match="axis 2 is out of range"),
        ],
    ),
    OpRecord(
        "Bitcast",
        [
            Case((a(2, 3),), {"type": tf.int32}),
            Case((a(2, 3),), {"type": tf.uint8}),
            Case((a(2, 2),), {"type": tf.float64}),
            Case((a(0, 2),), {"type": tf.int64}),
        ],
        lambda x, type: _bitcast(x, type),
        dtypes=("float32", "int32"),
        bad=[Bad((a(2, 3),), {"type": tf.float64}, match="must be 2")],
    ),
    OpRecord(
        "Transpose",
        [
            Case((a(2, 3), [1, 0])),
            Case((a(2, 3, 4), [2, 0, 1])),
            Case((a(2, 3, 4), [0, -1, 1])),
            Case((a(2, 5, 3, 4), ints([0, 3, 1, 2], np.int64))),
            Case((a(37, 41), [1, 0]), gradient=False),
            Case((a(2, 33, 5, 3), [0, 3, 1, 2]), gradient=False),
            Case((a(), ints([], np.int32))),
            Case((a(3, 0), [1, 0])),
        ],
        lambda x, perm: np.transpose(x, perm),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2, 3), [0, 0]), match="in the permutation twice"),
            Bad((a(2, 3), [0]), match="one for each dimension"),
            Bad((a(2, 3), [0, 2]), match="axis 2 is out of range"),
        ],
    ),
    OpRecord(
        "ConjugateTranspose",
        [Case((a(2, 3) + 1j * a(2, 3), [1, 0])), Case((a(0, 2) + 0j, [1, 0]))],
        lambda x, perm: np.conj(np.transpose(x, perm)),
        dtypes=("complex64", "complex128"),
    ),
    OpRecord(
        "InvertPermutation",
        [Case(([2, 0, 1],)), Case((ints([1, 0], np.int64),)), Case((ints([], np.int32),))],
        lambda x: np.argsort(x).astype(x.dtype),
        dtypes=("int32", "int64"),
        bad=[
            Bad(([0, 2],), match="permutation", when="build"),
            Bad(([0, 0],), match="permutation", when="run"),
        ],
    ),
    OpRecord(
        "Concat",
        [Case((0, [a(2, 3), a(1, 3)])), Case((1, [a(2, 3), a(2, 0), a(2, 4)]))],
        lambda axis, xs: np.concatenate(xs, int(axis)),
        dtypes=ANY,
        differentiable=(1,),
        bad=[Bad((0, [a(2, 3), a(2, 4)]), match="all other dimensions must agree")],
    ),
    OpRecord(
        "ConcatV2",
        [
            Case(([a(2, 3), a(1, 3)], 0)),
            Case(([a(2, 3), a(2, 0), a(2, 4)], -1)),
            Case(([a(2, 1, 3), a(2, 2, 3)], ints(1, np.int64))),
            Case(([a(3), a(1)], 0)),
        ],
        lambda xs, axis: np.concatenate(xs, int(axis)),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad(([a(2, 3), a(2, 4)], 0), match="all other dimensions must agree"),
            Bad(([a(2, 3), a(2)], 0), match="the same rank"),
            Bad(([a(), a()], 0), match="stack them"),
            Bad(([a(2), a(2)], 1), match="axis 1 is out of range"),
        ],
    ),
    OpRecord(
        "ConcatOffset",
        [Case((1, [ints([2, 3], np.int32), ints([2, 0], np.int32), ints([2, 5], np.int32)]))],
        lambda axis, shapes: concat_offset(int(axis), shapes),
        dtypes=(),
        no_empty="shapes of no dimensions cannot be joined",
    ),
    OpRecord(
        "Pack",
        [Case(([a(2, 3), a(2, 3)],), {"axis": i}) for i in (0, 1, 2, -1)]
        + [Case(([a(), a(), a()],)), Case(([a(0)],))],
        lambda xs, axis=0: np.stack(xs, axis),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad(([a(2), a(3)],), match="all must have the same shape"),
            Bad(([a(2)],), {"axis": 2}, match="axis 2 is out of range"),
        ],
    ),
    OpRecord(
        "Unpack",
        [
            Case((a(2, 3),), {"num": 2}),
            Case((a(2, 3),), {"num": 3, "axis": 1}),
            Case((a(2, 3, 4),), {"num": 3, "axis": -2}),
            Case((a(2, 0),), {"num": 2}),
        ],
        lambda x, num, axis=0: list(np.moveaxis(x, axis, 0)),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2, 3),), {"num": 3}, match="num is 3"),
            Bad((a(),), {"num": 1}, match="rank 1 or more"),
        ],
    ),
    OpRecord(
        "Fill",
        [
            Case(([2, 3], a())),
            Case((ints([4], np.int64), a())),
            Case((ints([], np.int32), a())),
            Case(([2, 0], a())),
        ],
        lambda dims, value: np.full(dims, value),
        dtypes=(*ANY, "bool"),
        type_attr="T",
        differentiable=(1,),
        bad=[
            Bad(([2], a(1)), match="must have rank 0"),
            Bad(([2, -1], a()), match="cannot have the dimension -1"),
        ],
    ),
    OpRecord(
        "ZerosLike",
        [Case((a(2, 3),)), Case((a(60, 70),)), Case((a(0),))],
        lambda x: np.zeros_like(x),
        dtypes=(*ANY, "bool"),
    ),
    OpRecord(
        "OnesLike",
        [Case((a(2, 3),)), Case((a(60, 70),)), Case((a(0),))],
        lambda x: np.ones_like(x),
        dtypes=(*ANY, "bool"),
    ),
    OpRecord(
        "Tile",
        [
            Case((a(2, 3), [2, 1])),
            Case((a(2, 3), [1, 1])),
            Case((a(3), ints([4], np.int64))),
            Case((a(2, 1, 2), [1, 3, 2])),
            Case((a(), ints([], np.int32))),
            Case((a(2), [0])),
            Case((a(0, 2), [2, 2])),
        ],
        lambda x, multiples: np.tile(x, multiples),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2), [1, 2]), match="one for each dimension"),
            Bad((a(2), [-1]), match="negative"),
        ],
    ),
    OpRecord(
        "BroadcastTo",
        [
            Case((a(2, 1), [2, 3])),
            Case((a(3), [2, 3])),
            Case((a(), ints([2, 2], np.int64))),
            Case((a(2, 3), [2, 3])),
            Case((a(1, 3, 1), [2, 2, 3, 2])),
            Case((a(1), [0])),
            Case((a(0, 1), [2, 0, 3])),
        ],
        lambda x, shape: np.broadcast_to(x, shape),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2), [3]), match="cannot be broadcast"),
            Bad((a(2, 2), [2]), match="fewer dimensions"),
        ],
    ),
    OpRecord(
        "BroadcastArgs",
        [Case(([2, 1], [3])), Case(([2, 3], [2, 3])), Case((ints([], np.int32), [4]))],
        lambda x, y: np.array(np.broadcast_shapes(tuple(x), tuple(y)), x.dtype),
        dtypes=("int32", "int64"),
        bad=[Bad(([2], [3]), match="do not broadcast")],
    ),
    OpRecord(
        "BroadcastGradientArgs",
        [
            Case(([2, 1], [3])),
            Case(([2, 3], [2, 3])),
            Case(([1], [1])),
            Case(([1, 1], [1])),
            Case((ints([], np.int32), [4, 1])),
        ],
        broadcast_gradient_args,
        constants=(0, 1),
        dtypes=("int32",),
        data_dependent=True,
        bad=[Bad(([2], [3]), match="do not broadcast")],
    ),
    OpRecord(
        "Pad",
        [
            Case((a(2, 3), paddings)),
            Case((a(2, 3), np.zeros((2, 2), np.int64))),
            Case((a(4), [[3, 0]])),
            Case((a(), np.zeros((0, 2), np.int32))),
            Case((a(0), [[1, 1]])),
        ],
        lambda x, pads: np.pad(x, pads) if x.ndim else x,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(2, 3), [[1, 2]]), match="one for each dimension"),
            Bad((a(2), [[-1, 2]]), match="negative"),
            Bad((a(2), [[1, 2, 3]]), match="two columns"),
        ],
    ),
    OpRecord(
        "PadV2",
        [
            Case((a(2, 3), paddings, 7.0)),
            Case((a(2, 3), np.zeros((2, 2), np.int64), 7.0)),
            Case((a(2, 0), paddings, 5.0)),
        ],
        lambda x, pads, value: np.pad(x, pads, constant_values=value),
        dtypes=ANY,
        differentiable=(0, 2),
        bad=[Bad((a(2), [[1, 2]], a(1)), match="must have rank 0")],
    ),
    OpRecord(
        "MirrorPad",
        [
            Case((a(4, 4), paddings), {"mode": "REFLECT"}),
            Case((a(4, 3), paddings), {"mode": "SYMMETRIC"}),
            Case((a(4), np.zeros((1, 2), np.int64)), {"mode": "REFLECT"}),
            Case((a(0, 3), [[0, 0], [1, 1]]), {"mode": "SYMMETRIC"}),
        ],
        mirror,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(3), [[3, 0]]), {"mode": "REFLECT"}, match="to mirror"),
            Bad((a(3), [[0, 4]]), {"mode": "SYMMETRIC"}, match="to mirror"),
            Bad((a(3), [[0, 0]]), {"mode": "CONSTANT"}, match="expected one of"),
        ],
    ),
    OpRecord(
        "MirrorPadGrad",
        [
            Case((a(7, 7), paddings), {"mode": "REFLECT"}),
            Case((a(7, 6), paddings), {"mode": "SYMMETRIC"}),
            Case((a(0, 3), [[0, 0], [1, 1]]), {"mode": "SYMMETRIC"}),
        ],
        mirror_grad,
        dtypes=("float32", "float64"),
        differentiable=(0,),
        bad=[Bad((a(3), [[2, 2]]), {"mode": "REFLECT"}, match="mirror|dimension")],
    ),
    OpRecord(
        "OneHot",
        [
            Case((ints([0, 2, 3, -1], np.int32), 3, 5.0, 1.0)),
            Case((ints([[0, 2], [1, 1]], np.int64), 3, 5.0, 1.0), {"axis": 0}),
            Case((ints([[0, 2], [1, 1]], np.uint8), 4, 5.0, 1.0), {"axis": 1}),
            Case((ints(1, np.int32), 3, 5.0, 1.0)),
            Case((ints([], np.int32), 3, 5.0, 1.0)),
        ],
        one_hot,
        dtypes=ANY,
        bad=[
            Bad(([0], -1, 1.0, 0.0), match="cannot be negative"),
            Bad(([0], 2, 1.0, 0.0), {"axis": 2}, match="axis 2 is out of range"),
        ],
    ),
    OpRecord(
        "Range",
        [
            Case((0, 5, 1)),
            Case((5, 0, -2)),
            Case((3, 3, 1)),
            Case((0.0, 1.0, 0.25), dtypes=("float32", "float64", "bfloat16")),
            Case((1, 11, 3)),
        ],
        lambda start, limit, delta: np.arange(start, limit, delta),
        constants=(0, 1, 2),
        dtypes=("int32", "int64", "float32", "float64", "bfloat16"),
        no_empty="inputs are scalars",
        bad=[
            Bad((0, 5, 0), match="cannot be 0"),
            Bad((0, 5, -1), match="change the sign"),
        ],
    ),
    OpRecord(
        "LinSpace",
        [Case((0.0, 1.0, 5)), Case((3.0, -2.0, ints(4, np.int64))), Case((2.0, 9.0, 1))],
        lambda start, stop, num: np.linspace(start, stop, int(num)),
        dtypes=("float32", "float64", "bfloat16"),
        no_empty="inputs are scalars",
        bad=[Bad((0.0, 1.0, 0), match="at least 1")],
    ),
]

run_records(globals(), RECORDS)


# ---- public functions


def value(tensor, feed=None):
    with tf.Session(graph=tensor[0].graph if isinstance(tensor, list | tuple) else tensor.graph) as session:
        return session.run(tensor, feed)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def names(graph):
    return [f"{op.name}:{op.type}" for op in graph.get_operations() if op.type != "Placeholder"]


def ph(*shape, dtype=tf.float32):
    return tf.placeholder(dtype, list(shape))


def test_zeros_and_ones():
    assert value(tf.zeros([2, 3])).tolist() == [[0.0] * 3] * 2
    assert value(tf.ones([2], tf.int64)).dtype == np.int64
    assert value(tf.zeros([2], tf.string)).tolist() == [b"", b""]
    assert value(tf.ones([2], tf.bool)).tolist() == [True, True]
    size = ph(dtype=tf.int32)
    made = tf.zeros([size, 2])
    assert made.shape.as_list() == [None, 2]
    assert value(made, {size: 3}).shape == (3, 2)
    assert tf.zeros(tf.TensorShape([4])).shape.as_list() == [4]


def test_small_zeros_are_constants_and_large_ones_are_not(graph):
    tf.zeros([2, 3])
    tf.ones([2000])
    assert names(graph) == [
        "zeros:Const",
        "ones/shape_as_tensor:Const",
        "ones/Const:Const",
        "ones:Fill",
    ]


def test_zeros_like_and_ones_like(graph):
    x = ph(None, 2)
    zeros, ones = tf.zeros_like(x), tf.ones_like(x, tf.int32)
    got = value([zeros, ones], {x: np.ones((3, 2))})
    assert got[0].tolist() == [[0.0, 0.0]] * 3 and got[0].dtype == np.float32
    assert got[1].tolist() == [[1, 1]] * 3 and got[1].dtype == np.int32
    assert value(tf.zeros_like(np.ones(2))).dtype == np.float64
    assert tf.zeros_like(ph(2)).op.type == "Const"
    assert tf.zeros_like(ph(2), optimize=False).op.type == "ZerosLike"
    assert value(tf.zeros_like(["a", "b"])).tolist() == [b"", b""]


def test_shape_of_known_shape_is_a_constant():
    for known, op_type in ((True, "Const"), (False, "")):
        x = ph(2, 3) if known else tf.placeholder(tf.float32)
        for function in (tf.shape, tf.size, tf.rank):
            made = function(x)
            assert made.op.type == (op_type or function.__name__.capitalize())
            assert (
                value(made, {x: np.zeros((2, 3))}).tolist()
                == np.array({tf.shape: [2, 3], tf.size: 6, tf.rank: 2}[function]).tolist()
            )
    assert tf.shape(ph(2), out_type=tf.int64).dtype == tf.int64
    assert value(tf.shape_n([ph(2), ph(3)]))[1].tolist() == [3]


def test_eye():
    for rows, columns, batch in ((3, None, None), (3, 4, None), (4, 2, [2]), (2, None, [1, 3])):
        expected = np.broadcast_to(np.eye(rows, columns), (*(batch or []), rows, columns or rows))
        np.testing.assert_array_equal(value(tf.eye(rows, columns, batch_shape=batch)), expected)
    n = ph(dtype=tf.int32)
    np.testing.assert_array_equal(value(tf.eye(n), {n: 3}), np.eye(3))
    np.testing.assert_array_equal(value(tf.eye(n, 2, batch_shape=[2]), {n: 3}), [np.eye(3, 2)] * 2)


def test_expand_dims_and_squeeze_take_older_names():
    assert tf.expand_dims(ph(2), dim=0).shape.as_list() == [1, 2]
    assert tf.squeeze(ph(1, 2), squeeze_dims=[0]).shape.as_list() == [2]
    assert tf.squeeze(ph(1, 2, 1), -1).shape.as_list() == [1, 2]
    with pytest.raises(ValueError, match="axis"):
        tf.expand_dims(ph(2))
    with pytest.raises(ValueError, match="older name"):
        tf.expand_dims(ph(2), 0, dim=0)


def test_transpose():
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(value(tf.transpose(x)), x.T)
    np.testing.assert_array_equal(value(tf.transpose(x, [1, 0, 2])), x.transpose(1, 0, 2))
    np.testing.assert_array_equal(value(tf.matrix_transpose(x)), x.swapaxes(1, 2))
    np.testing.assert_array_equal(value(tf.transpose(x * 1j, conjugate=True)), (-1j * x).T)
    unknown = tf.placeholder(tf.float64)
    np.testing.assert_array_equal(value(tf.transpose(unknown), {unknown: x}), x.T)
    np.testing.assert_array_equal(value(tf.matrix_transpose(unknown), {unknown: x}), x.swapaxes(1, 2))
    with pytest.raises(ValueError, match="rank 2"):
        tf.matrix_transpose(ph(2))


def test_concat_stack_unstack(graph):
    x, y = ph(2, 3), ph(2, 3)
    assert tf.concat([x, y], 1).shape.as_list() == [2, 6]
    assert tf.concat([x], 0).op.type == "Identity"
    assert tf.stack([x, y], axis=-1).shape.as_list() == [2, 3, 2]
    assert value(tf.stack([1, 2])).tolist() == [1, 2]
    assert tf.stack([1, 2]).op.type == "Const"
    assert [t.shape.as_list() for t in tf.unstack(x, axis=1)] == [[2]] * 3
    with pytest.raises(ValueError, match="axis = 3"):
        tf.stack([x, y], axis=3)
    with pytest.raises(ValueError, match="pass num"):
        tf.unstack(ph(None, 3))
    with pytest.raises(ValueError, match="axis = 2"):
        tf.unstack(x, axis=2)


def test_a_vector_of_sizes_is_known_as_far_as_its_parts_are():
    x = ph(None, 3)
    n = tf.shape(x)[0]
    assert tf.reshape(x, [n, 1, 3]).shape.as_list() == [None, 1, 3]
    assert tf.zeros(tf.stack([n, 5])).shape.as_list() == [None, 5]
    assert tf.zeros(tf.concat([[2], tf.shape(x)[1:]], 0)).shape.as_list() == [2, 3]
    assert tf.tile(x, [1, tf.shape(x)[1]]).shape.as_list() == [None, 9]
    assert tf.reshape(tf.range(6), [2, -1]).shape.as_list() == [2, 3]


def test_split():
    x = np.arange(12.0).reshape(2, 6)
    for got, want in zip(value(tf.split(x, 3, axis=1)), np.split(x, 3, 1)):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(value(tf.split(x, [1, 2, -1], axis=1)), np.split(x, [1, 3], 1)):
        np.testing.assert_array_equal(got, want)
    sizes = ph(2, dtype=tf.int32)
    assert [v.shape for v in value(tf.split(x, sizes, axis=1), {sizes: [4, 2]})] == [(2, 4), (2, 2)]
    with pytest.raises(ValueError, match="pass num"):
        tf.split(x, ph(None, dtype=tf.int32))
    with pytest.raises(ValueError, match="not a scalar tensor"):
        tf.split(x, tf.constant(2))
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="divide"):
        tf.split(x, 4, axis=1)


def test_pad_modes():
    x = np.arange(6.0).reshape(2, 3)
    pads = [[1, 1], [2, 0]]
    np.testing.assert_array_equal(value(tf.pad(x, pads)), np.pad(x, pads))
    np.testing.assert_array_equal(
        value(tf.pad(x, pads, constant_values=3)), np.pad(x, pads, constant_values=3)
    )
    np.testing.assert_array_equal(value(tf.pad(x, pads, "reflect")), np.pad(x, pads, "reflect"))
    np.testing.assert_array_equal(value(tf.pad(x, pads, "SYMMETRIC")), np.pad(x, pads, "symmetric"))
    with pytest.raises(ValueError, match="unknown mode"):
        tf.pad(x, pads, "EDGE")


def test_repeat():
    x = np.arange(6).reshape(2, 3)
    for repeats, axis in ((2, None), (2, 1), ([1, 3], 0), ([2, 0, 1], -1)):
        np.testing.assert_array_equal(value(tf.repeat(x, repeats, axis)), np.repeat(x, repeats, axis))


def test_range():
    for args in ((5,), (1, 8, 3), (0.0, 1.0, 0.25), (0, 1.0, 0.25), (3, 0, -1)):
        np.testing.assert_array_equal(value(tf.range(*args)), np.arange(*args))
    assert tf.range(3, dtype=tf.float32).dtype == tf.float32
    assert tf.range(0, ph(dtype=tf.int64)).dtype == tf.int64
    n = ph(dtype=tf.int32)
    assert value(tf.range(n), {n: 3}).tolist() == [0, 1, 2]


def test_meshgrid():
    x, y, z = np.arange(2), np.arange(3), np.arange(4)
    for indexing in ("xy", "ij"):
        for vectors in ((x,), (x, y), (x, y, z)):
            got = value(tf.meshgrid(*vectors, indexing=indexing))
            for one, want in zip(got, np.meshgrid(*vectors, indexing=indexing)):
                np.testing.assert_array_equal(one, want)
    with pytest.raises(ValueError, match="indexing"):
        tf.meshgrid(x, y, indexing="yx")


def test_one_hot():
    assert value(tf.one_hot([0, 2], 3)).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert tf.one_hot([0], 3).dtype == tf.float32
    assert tf.one_hot([0], 3, on_value=5).dtype == tf.int32
    assert value(tf.one_hot([1], 2, 5, -1, axis=0)).tolist() == [[-1], [5]]
    assert tf.one_hot([0], 3, on_value=2, dtype=tf.float64).dtype == tf.float64
    with pytest.raises(TypeError, match="must be"):
        tf.one_hot([0], 3, on_value=tf.constant(5.0), dtype=tf.int32)
    with pytest.raises(TypeError, match="one dtype"):
        tf.one_hot([0], 3, on_value=5.0, off_value=1)


def test_sequence_mask():
    assert value(tf.sequence_mask([1, 3], 4)).tolist() == [[True, False, False, False], [True] * 3 + [False]]
    assert value(tf.sequence_mask([[1], [2]], dtype=tf.float32)).tolist() == [[[1.0, 0.0]], [[1.0, 1.0]]]
    with pytest.raises(ValueError, match="scalar"):
        tf.sequence_mask([1], [2, 3])


def test_broadcasting_of_shapes():
    assert tf.broadcast_static_shape(tf.TensorShape([2, 1]), tf.TensorShape([3])).as_list() == [2, 3]
    assert value(tf.broadcast_dynamic_shape([2, 1], [3])).tolist() == [2, 3]


def test_default_of_a_placeholder():
    x = tf.placeholder_with_default(tf.ones([2, 2]), [None, 2])
    assert x.shape.as_list() == [None, 2]
    doubled = x * 2
    assert value(doubled).tolist() == [[2.0, 2.0]] * 2
    assert value(doubled, {x: [[1, 3]]}).tolist() == [[2.0, 6.0]]


def test_gradient_may_be_prevented():
    x = ph(2)
    with pytest.raises(LookupError, match="not here"):
        tf.gradients(raw.PreventGradient(x, message="not here"), x)
    assert tf.gradients(tf.stop_gradient(x), x) == [None]


def test_strings_move_like_numbers():
    x = np.array([[b"a", b"b"], [b"c", b"d"]], dtype=object)
    assert value(tf.transpose(x)).tolist() == x.T.tolist()
    assert value(tf.concat([x, x], 0)).tolist() == np.concatenate([x, x]).tolist()
    assert value(tf.tile(x, [1, 2])).tolist() == np.tile(x, (1, 2)).tolist()
    assert value(tf.stack([x, x], 1)).tolist() == np.stack([x, x], 1).tolist()
    assert value(tf.unstack(tf.constant(x)))[1].tolist() == [b"c", b"d"]
    assert value(tf.pad(x, [[0, 0], [1, 0]], constant_values="")).tolist() == [
        [b"", b"a", b"b"],
        [b"", b"c", b"d"],
    ]
    assert value(tf.fill([2], "x")).tolist() == [b"x", b"x"]
    assert value(tf.reshape(x, [-1])).tolist() == [b"a", b"b", b"c", b"d"]
