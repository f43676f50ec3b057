"""Blocks of pixels moved between space, depth and batch; patches of pictures."""

import numpy as np
import pytest

import headrace as tf
from tests.ops.harness import Bad, Case, OpRecord, run_records

rng = np.random.default_rng(17)
ANY = ("float32", "float64", "float16", "uint8", "complex128")


def a(*shape):
    return np.asarray(rng.uniform(0.5, 3.0, size=shape))


def space_to_depth(x, block_size, data_format="NHWC"):
    if data_format == "NCHW":
        return space_to_depth(x.transpose(0, 2, 3, 1), block_size).transpose(0, 3, 1, 2)
    n, h, w, c = x.shape
    b = block_size
    blocks = x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h // b, w // b, b * b * c)


def depth_to_space(x, block_size, data_format="NHWC"):
    if data_format == "NCHW":
        return depth_to_space(x.transpose(0, 2, 3, 1), block_size).transpose(0, 3, 1, 2)
    n, h, w, c = x.shape
    b = block_size
    blocks = x.reshape(n, h, w, b, b, c // b // b).transpose(0, 1, 3, 2, 4, 5)
    return blocks.reshape(n, h * b, w * b, c // b // b)


def space_to_batch_nd(x, block, paddings):
    count = len(block)
    rest = x.ndim - 1 - count
    x = np.pad(x, [(0, 0), *map(tuple, paddings), *[(0, 0)] * rest])
    spatial = [part for size, b in zip(x.shape[1:], block) for part in (size // b, b)]
    seen = x.reshape(x.shape[0], *spatial, *x.shape[1 + count :])
    order = [*range(2, 2 * count + 1, 2), 0, *range(1, 2 * count + 1, 2)]
    order += range(2 * count + 1, seen.ndim)
    moved = seen.transpose(order)
    return moved.reshape(x.shape[0] * int(np.prod(block)), *moved.shape[count + 1 :])


def batch_to_space_nd(x, block, crops):
    count = len(block)
    n = x.shape[0] // int(np.prod(block))
    seen = x.reshape(*block, n, *x.shape[1:])
    order = [count] + [axis for i in range(count) for axis in (count + 1 + i, i)]
    order += range(2 * count + 1, seen.ndim)
    whole = [size * b for size, b in zip(x.shape[1:], block)]
    made = seen.transpose(order).reshape(n, *whole, *x.shape[1 + count :])
    return made[(slice(None), *[slice(c[0], size - c[1]) for c, size in zip(crops, whole)])]


def patches(x, ksizes, strides, rates, padding):
    (_, kh, kw, _), (_, sh, sw, _), (_, rh, rw, _) = ksizes, strides, rates
    extent = (kh - 1) * rh + 1, (kw - 1) * rw + 1
    n, h, w, c = x.shape
    if padding == "SAME":
        rows, columns = -(-h // sh), -(-w // sw)
        missing = [
            max((count - 1) * s + e - size, 0)
            for count, s, e, size in zip((rows, columns), (sh, sw), extent, (h, w))
        ]
        x = np.pad(x, [(0, 0), *[(m // 2, m - m // 2) for m in missing], (0, 0)])
    else:
        rows, columns = max((h - extent[0]) // sh + 1, 0), max((w - extent[1]) // sw + 1, 0)
    made = np.zeros((n, rows, columns, kh * kw * c), x.dtype)
    for i in range(rows):
        for j in range(columns):
            patch = x[:, i * sh : i * sh + extent[0] : rh, j * sw : j * sw + extent[1] : rw]
            made[:, i, j] = patch.reshape(n, -1)
    return made


def sizes(h, w):
    return [1, h, w, 1]


def e(*rows):
    return np.array(rows, np.int32)


RECORDS = [
    OpRecord(
        "SpaceToDepth",
        [
            Case((a(2, 4, 6, 3),), {"block_size": 2}),
            Case((a(1, 3, 6, 2),), {"block_size": 3}),
            Case((a(2, 3, 4, 2),), {"block_size": 2, "data_format": "NCHW"}),
            Case((a(0, 2, 2, 1),), {"block_size": 2}),
        ],
        space_to_depth,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(1, 3, 4, 1),), {"block_size": 2}, match="height"),
            Bad((a(1, 4, 4),), {"block_size": 2}, match="rank 4"),
        ],
    ),
    OpRecord(
        "DepthToSpace",
        [
            Case((a(2, 2, 3, 12),), {"block_size": 2}),
            Case((a(1, 1, 2, 9),), {"block_size": 3}),
            Case((a(2, 8, 3, 2),), {"block_size": 2, "data_format": "NCHW"}),
            Case((a(0, 2, 2, 4),), {"block_size": 2}),
        ],
        depth_to_space,
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(1, 2, 2, 6),), {"block_size": 2}, match="channels")],
    ),
    OpRecord(
        "SpaceToBatch",
        [
            Case((a(2, 4, 4, 1), e([0, 0], [0, 0])), {"block_size": 2}),
            Case((a(1, 3, 5, 2), e([1, 2], [0, 1])), {"block_size": 3}),
            Case((a(0, 2, 2, 1), e([0, 0], [0, 0])), {"block_size": 2}),
        ],
        lambda x, paddings, block_size: space_to_batch_nd(x, [block_size] * 2, paddings),
        dtypes=ANY,
        differentiable=(0,),
        bad=[Bad((a(1, 3, 4, 1), e([0, 0], [0, 0])), {"block_size": 2}, match="divisible")],
    ),
    OpRecord(
        "BatchToSpace",
        [
            Case((a(8, 2, 2, 1), e([0, 0], [0, 0])), {"block_size": 2}),
            Case((a(4, 2, 3, 2), e([1, 2], [0, 1])), {"block_size": 2}),
            Case((a(0, 2, 2, 1), e([0, 0], [0, 0])), {"block_size": 2}),
        ],
        lambda x, crops, block_size: batch_to_space_nd(x, [block_size] * 2, crops),
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(3, 2, 2, 1), e([0, 0], [0, 0])), {"block_size": 2}, match="batch"),
            Bad((a(4, 2, 2, 1), e([3, 2], [0, 0])), {"block_size": 2}, match="crops"),
        ],
    ),
    OpRecord(
        "SpaceToBatchND",
        [
            Case((a(2, 4, 4, 1), [2, 2], e([0, 0], [0, 0]))),
            Case((a(1, 5, 2), [3], e([2, 2]))),
            Case((a(2, 3, 2, 5), np.array([1, 2, 3], np.int64), e([0, 0], [1, 1], [0, 1]))),
            Case((a(0, 2), [2], e([0, 0]))),
        ],
        space_to_batch_nd,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(1, 3), [2], e([0, 0])), match="divisible"),
            Bad((a(1, 3), [0], e([0, 0])), match="cannot have the size 0"),
            Bad((a(1, 4), [2], e([-1, 1])), match="negative"),
        ],
    ),
    OpRecord(
        "BatchToSpaceND",
        [
            Case((a(8, 2, 2, 1), [2, 2], e([0, 0], [0, 0]))),
            Case((a(3, 3, 2), [3], e([2, 2]))),
            Case((a(6, 3, 2, 2), np.array([1, 2, 3], np.int64), e([0, 0], [1, 1], [0, 1]))),
            Case((a(0, 2), [2], e([0, 0]))),
        ],
        batch_to_space_nd,
        dtypes=ANY,
        differentiable=(0,),
        bad=[
            Bad((a(3, 2), [2], e([0, 0])), match="batch"),
            Bad((a(2, 2), [2], e([3, 2])), match="crops"),
        ],
    ),
    OpRecord(
        "ExtractImagePatches",
        [
            Case(
                (a(2, 5, 4, 2),),
                {"ksizes": sizes(2, 3), "strides": sizes(1, 1), "rates": sizes(1, 1), "padding": "VALID"},
            ),
            Case(
                (a(1, 5, 4, 1),),
                {"ksizes": sizes(3, 2), "strides": sizes(2, 3), "rates": sizes(1, 2), "padding": "SAME"},
            ),
            Case(
                (a(1, 3, 3, 0),),
                {"ksizes": sizes(2, 2), "strides": sizes(1, 1), "rates": sizes(1, 1), "padding": "SAME"},
            ),
        ],
        patches,
        dtypes=("float32", "float64", "uint8", "bfloat16"),
        differentiable=(0,),
        bad=[
            Bad(
                (a(1, 3, 3, 1),),
                {"ksizes": [2, 2, 2, 1], "strides": sizes(1, 1), "rates": sizes(1, 1), "padding": "SAME"},
                match="must be",
            )
        ],
    ),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensor, feed=None):
    with tf.Session() as session:
        return session.run(tensor, feed)


def test_space_and_batch():
    x = a(2, 4, 6, 3)
    there = tf.space_to_batch(x, [[0, 0], [1, 1]], 2)
    np.testing.assert_array_equal(value(there), space_to_batch_nd(x, [2, 2], [[0, 0], [1, 1]]))
    np.testing.assert_array_equal(value(tf.batch_to_space(there, [[0, 0], [1, 1]], 2)), x)
    np.testing.assert_array_equal(value(tf.depth_to_space(tf.space_to_depth(x, 2), 2)), x)


def test_required_paddings():
    expected = [[[0, 0], [0, 1]], [[0, 0], [0, 1]]]
    made = tf.required_space_to_batch_paddings([4, 5], [2, 3])
    assert [tensor.op.type for tensor in made] == ["Const", "Const"]
    assert [v.tolist() for v in value(made)] == expected
    shape = tf.placeholder(tf.int32, [2])
    made = tf.required_space_to_batch_paddings(shape, [2, 3])
    assert [v.tolist() for v in value(made, {shape: [4, 5]})] == expected
    made = tf.required_space_to_batch_paddings(shape, [2, 3], [[1, 0], [0, 1]])
    assert [v.tolist() for v in value(made, {shape: [4, 5]})] == [[[1, 1], [0, 1]], [[0, 1], [0, 0]]]


def test_patches():
    x = a(1, 4, 4, 2)
    attrs = {"strides": sizes(1, 1), "rates": sizes(1, 1), "padding": "SAME"}
    got = value(tf.image.extract_image_patches(x, sizes(2, 2), **attrs))
    np.testing.assert_array_equal(got, patches(x, sizes(2, 2), **attrs))
