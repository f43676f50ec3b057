from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from headrace.ops import conv
from tests.ops.harness import Bad, Case, OpRecord, run_records
from tests.ops.windows import as_format, channels_last, geometry, spatial, taps

random = np.random.default_rng(2)


def ints(*shape: int) -> np.ndarray:
    """Small integers, exact in every dtype."""
    return random.integers(-2, 3, shape).astype(float)


class Conv:
    """A convolution as the sum over its taps; the filter is (space..., channels of a group, outputs)."""

    def __init__(
        self, shape, window, strides, padding, data_format, dilations=None, explicit_paddings=(), **_
    ):
        self.format = data_format
        rank = len(data_format)
        size = spatial(shape, data_format)
        self.strides = spatial(strides, data_format)
        self.dilations = spatial(dilations or [1] * rank, data_format)
        pairs = [list(explicit_paddings[2 * i : 2 * i + 2]) for i in range(len(explicit_paddings) // 2)]
        explicit = [n for pair in spatial(pairs, data_format) for n in pair] if pairs else ()
        self.size, self.window = size, window
        self.out, self.pads = geometry(size, window, self.strides, self.dilations, padding, explicit)

    def taps(self):
        return taps(self.out, self.window, self.strides, self.dilations)

    def padded(self, x):
        return np.pad(x, [(0, 0), *self.pads, (0, 0)])

    def cropped(self, x):
        return x[(slice(None), *(slice(b, b + n) for (b, _), n in zip(self.pads, self.size)))]

    def forward(self, x, w):
        x = channels_last(x, self.format)
        padded = self.padded(x)
        groups = x.shape[-1] // w.shape[-2] if w.shape[-2] else 1
        share = w.shape[-1] // groups
        y = np.zeros((x.shape[0], *self.out, w.shape[-1]), np.result_type(x, w))
        for tap, where in self.taps():
            for g in range(groups):
                own = slice(g * w.shape[-2], (g + 1) * w.shape[-2])
                outs = slice(g * share, (g + 1) * share)
                y[..., outs] += padded[(slice(None), *where)][..., own] @ w[tap][:, outs]
        return as_format(y, self.format)

    def by_input(self, shape, w, dy):
        dy = channels_last(dy, self.format)
        channels = shape[1 if self.format[1] == "C" else -1]
        dx = self.padded(np.zeros((dy.shape[0], *self.size, channels), dy.dtype))
        groups = channels // w.shape[-2] if w.shape[-2] else 1
        share = w.shape[-1] // groups
        for tap, where in self.taps():
            for g in range(groups):
                own = slice(g * w.shape[-2], (g + 1) * w.shape[-2])
                outs = slice(g * share, (g + 1) * share)
                dx[(slice(None), *where, own)] += dy[..., outs] @ w[tap][:, outs].T
        return as_format(self.cropped(dx), self.format)

    def by_filter(self, x, shape, dy):
        x, dy = channels_last(x, self.format), channels_last(dy, self.format)
        dw = np.zeros(shape, dy.dtype)
        padded = self.padded(x)
        groups = x.shape[-1] // shape[-2] if shape[-2] else 1
        share = shape[-1] // groups
        for tap, where in self.taps():
            for g in range(groups):
                own = slice(g * shape[-2], (g + 1) * shape[-2])
                outs = slice(g * share, (g + 1) * share)
                patch = padded[(slice(None), *where)][..., own]
                dw[tap][:, outs] += np.tensordot(
                    patch, dy[..., outs], (range(dy.ndim - 1), range(dy.ndim - 1))
                )
        return dw


def as_groups(w):
    """A depthwise filter (h, w, channels, multiplier) as one of a group for each channel."""
    return w.reshape(*w.shape[:-2], 1, w.shape[-2] * w.shape[-1])


def format_of(attrs, rank):
    return attrs.get("data_format", "NHWC" if rank == 4 else "NDHWC")


def forward(x, w, **attrs):
    attrs["data_format"] = format_of(attrs, x.ndim)
    return Conv(x.shape, w.shape[:-2], **attrs).forward(x, w)


def by_input(shape, w, dy, **attrs):
    attrs["data_format"] = format_of(attrs, dy.ndim)
    return Conv(shape, w.shape[:-2], **attrs).by_input(shape, w, dy)


def by_filter(x, shape, dy, **attrs):
    attrs["data_format"] = format_of(attrs, dy.ndim)
    return Conv(x.shape, shape[:-2], **attrs).by_filter(x, tuple(shape), dy)


def depthwise_by_filter(x, shape, dy, **attrs):
    grouped = (*shape[:-2], 1, shape[-2] * shape[-1])
    return by_filter(x, grouped, dy, **attrs).reshape(shape)


# (input, filter, attributes) of each case; the derivatives' cases follow from them.
CALLS = {
    "plain": ((2, 5, 6, 3), (3, 2, 3, 4), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    "same": ((1, 6, 5, 2), (3, 3, 2, 3), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    "strided": ((2, 7, 6, 2), (3, 2, 2, 3), {"strides": [1, 2, 3, 1], "padding": "SAME"}),
    "pointwise": ((2, 3, 4, 5), (1, 1, 5, 4), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    "sparse": ((1, 5, 5, 2), (1, 1, 2, 3), {"strides": [1, 2, 2, 1], "padding": "SAME"}),
    "dilated": (
        (1, 7, 7, 2),
        (3, 3, 2, 2),
        {"strides": [1, 1, 1, 1], "padding": "SAME", "dilations": [1, 2, 2, 1]},
    ),
    "explicit": (
        (1, 4, 5, 2),
        (3, 3, 2, 2),
        {"strides": [1, 2, 1, 1], "padding": "EXPLICIT", "explicit_paddings": [0, 0, 1, 2, 0, 3, 0, 0]},
    ),
    "channels_first": (
        (2, 3, 5, 6),
        (3, 2, 3, 4),
        {"strides": [1, 1, 2, 1], "padding": "SAME", "data_format": "NCHW"},
    ),
    "groups": ((1, 4, 4, 4), (2, 2, 2, 6), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    "wide": ((1, 6, 6, 20), (3, 3, 20, 36), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    "no_batch": ((0, 4, 4, 2), (2, 2, 2, 3), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    "no_channels": ((1, 4, 4, 0), (2, 2, 0, 3), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
}
DEPTHWISE_CALLS = {
    "plain": ((2, 5, 6, 3), (3, 2, 3, 1), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    "multiplied": ((1, 6, 5, 2), (3, 3, 2, 3), {"strides": [1, 2, 2, 1], "padding": "SAME"}),
    "dilated": (
        (1, 7, 7, 2),
        (3, 3, 2, 2),
        {"strides": [1, 1, 1, 1], "padding": "SAME", "dilations": [1, 2, 2, 1]},
    ),
    "channels_first": (
        (2, 3, 5, 6),
        (3, 2, 3, 2),
        {"strides": [1, 1, 1, 1], "padding": "SAME", "data_format": "NCHW"},
    ),
    "wide": ((1, 6, 6, 20), (3, 3, 20, 1), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    "one_channel": ((1, 5, 5, 1), (3, 3, 1, 2), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
    "no_batch": ((0, 4, 4, 2), (2, 2, 2, 3), {"strides": [1, 1, 1, 1], "padding": "SAME"}),
}
CALLS_3D = {
    "plain": ((1, 4, 5, 4, 2), (2, 3, 2, 2, 3), {"strides": [1, 1, 1, 1, 1], "padding": "VALID"}),
    "same": ((2, 3, 4, 5, 2), (2, 2, 3, 2, 2), {"strides": [1, 2, 1, 2, 1], "padding": "SAME"}),
    "dilated": (
        (1, 5, 5, 5, 1),
        (2, 2, 2, 1, 2),
        {"strides": [1, 1, 1, 1, 1], "padding": "VALID", "dilations": [1, 2, 1, 2, 1]},
    ),
    "channels_first": (
        (1, 2, 4, 3, 4),
        (2, 2, 2, 2, 3),
        {"strides": [1, 1, 1, 2, 1], "padding": "SAME", "data_format": "NCDHW"},
    ),
    "no_batch": ((0, 3, 3, 3, 2), (2, 2, 2, 2, 2), {"strides": [1, 1, 1, 1, 1], "padding": "SAME"}),
}
SLOW = ("wide",)  # too many elements for finite differences


def cases(calls, role, depthwise=False):
    made = []
    for name, (x_shape, w_shape, attrs) in calls.items():
        x, w = ints(*x_shape), ints(*w_shape)
        y = ints(*forward(x, as_groups(w) if depthwise else w, **dict(attrs)).shape)
        inputs = {
            "forward": (x, w),
            "input": (np.array(x_shape, np.int32), w, y),
            "filter": (x, np.array(w_shape, np.int32), y),
        }[role]
        made.append(Case(inputs, attrs, gradient=name not in SLOW, name=name))
    return made


ATTRS = {"strides": [1, 1, 1, 1], "padding": "SAME"}
BAD = [
    Bad((ints(1, 4, 4, 3), ints(2, 2, 2, 1)), ATTRS, match="3 channels"),
    Bad((ints(4, 4, 3), ints(2, 2, 3, 1)), ATTRS, match="rank 4"),
    Bad((ints(1, 4, 4, 3), ints(2, 2, 3, 1)), ATTRS | {"strides": [1, 1, 1]}, match="strides has 3"),
    Bad((ints(1, 4, 4, 3), ints(2, 2, 3, 1)), ATTRS | {"strides": [2, 1, 1, 1]}, match="batch and channel"),
    Bad((ints(1, 4, 4, 3), ints(2, 2, 3, 1)), ATTRS | {"strides": [1, 0, 1, 1]}, match="stride is 0"),
    Bad((ints(1, 2, 2, 3), ints(5, 5, 3, 1)), ATTRS | {"padding": "VALID"}, match="does not fit"),
]

RECORDS = [
    OpRecord("Conv2D", cases(CALLS, "forward"), forward, differentiable=(0, 1), bad=BAD),
    OpRecord(
        "Conv2DBackpropInput",
        cases(CALLS, "input"),
        by_input,
        differentiable=(1, 2),
        bad=[Bad(([1, 4, 4, 2], ints(2, 2, 2, 3), ints(1, 4, 4, 2)), ATTRS, match="out_backprop is")],
    ),
    OpRecord(
        "Conv2DBackpropFilter",
        cases(CALLS, "filter"),
        by_filter,
        differentiable=(0, 2),
        bad=[Bad((ints(1, 4, 4, 2), [2, 2, 2, 3], ints(1, 3, 4, 3)), ATTRS, match="out_backprop is")],
    ),
    OpRecord(
        "DepthwiseConv2dNative",
        cases(DEPTHWISE_CALLS, "forward", True),
        lambda x, w, **attrs: forward(x, as_groups(w), **attrs),
        differentiable=(0, 1),
        bad=[Bad((ints(1, 4, 4, 3), ints(2, 2, 2, 1)), ATTRS, match="3 channels")],
    ),
    OpRecord(
        "DepthwiseConv2dNativeBackpropInput",
        cases(DEPTHWISE_CALLS, "input", True),
        lambda shape, w, dy, **attrs: by_input(shape, as_groups(w), dy, **attrs),
        differentiable=(1, 2),
        bad=[Bad(([1, 4, 4, 2], ints(2, 2, 2, 3), ints(1, 4, 4, 2)), ATTRS, match="out_backprop is")],
    ),
    OpRecord(
        "DepthwiseConv2dNativeBackpropFilter",
        cases(DEPTHWISE_CALLS, "filter", True),
        depthwise_by_filter,
        differentiable=(0, 2),
        bad=[Bad((ints(1, 4, 4, 2), [2, 2, 2, 3], ints(1, 3, 4, 6)), ATTRS, match="out_backprop is")],
    ),
    OpRecord(
        "Conv3D",
        cases(CALLS_3D, "forward"),
        forward,
        differentiable=(0, 1),
        bad=[
            Bad(
                (ints(1, 4, 4, 4, 3), ints(2, 2, 2, 2, 1)),
                {"strides": [1, 1, 1, 1, 1], "padding": "SAME"},
                match="3 channels",
            )
        ],
    ),
    OpRecord("Conv3DBackpropInputV2", cases(CALLS_3D, "input"), by_input, differentiable=(1, 2)),
    OpRecord("Conv3DBackpropFilterV2", cases(CALLS_3D, "filter"), by_filter, differentiable=(0, 2)),
]


# ---- dilation


def dilation_places(x, w, strides, rates, padding):
    """For each output, the values under the filter plus the filter, and where they come from."""
    s, r = strides[1:3], rates[1:3]
    out, pads = geometry(x.shape[1:3], w.shape[:2], s, r, padding)
    for n in range(x.shape[0]):
        for i in range(out[0]):
            for j in range(out[1]):
                for c in range(x.shape[3]):
                    values = {}
                    for a in range(w.shape[0]):
                        for b in range(w.shape[1]):
                            p, q = i * s[0] + a * r[0] - pads[0][0], j * s[1] + b * r[1] - pads[1][0]
                            if 0 <= p < x.shape[1] and 0 <= q < x.shape[2]:
                                values[(p, q), (a, b)] = x[n, p, q, c] + w[a, b, c]
                    yield (n, i, j, c), values, (x.shape[0], *out, x.shape[3])


def dilation(x, w, **attrs):
    result = None
    for at, values, shape in dilation_places(x, w, **attrs):
        result = np.zeros(shape, x.dtype) if result is None else result
        result[at] = max(values.values())
    if result is None:
        out, _ = geometry(
            x.shape[1:3], w.shape[:2], attrs["strides"][1:3], attrs["rates"][1:3], attrs["padding"]
        )
        result = np.zeros((x.shape[0], *out, x.shape[3]), x.dtype)
    return result


def dilation_backprop(of):
    def reference(x, w, dy, **attrs):
        result = np.zeros_like((x, w)[of])
        for (n, i, j, c), values, _ in dilation_places(x, w, **attrs):
            place = max(values, key=values.get)[of]
            result[(n, *place, c) if of == 0 else (*place, c)] += dy[n, i, j, c]
        return result

    return reference


def distinct(*shape: int) -> np.ndarray:
    """Numbers without ties."""
    size = int(np.prod(shape))
    return random.permutation(size).reshape(shape).astype(float) * 2


DILATIONS = [
    ((1, 4, 5, 2), (2, 3, 2), {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "VALID"}),
    ((2, 5, 4, 1), (2, 2, 1), {"strides": [1, 2, 1, 1], "rates": [1, 2, 1, 1], "padding": "SAME"}),
    ((0, 4, 4, 1), (2, 2, 1), {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"}),
]
REAL = ("float32", "float64", "float16", "bfloat16", "int32", "int64", "uint8", "int8", "int16", "uint16")
MORPHOLOGY = [
    # The images' numbers are even and distinct, the filters' 0 or 1: no two sums are equal.
    (distinct(*x), random.integers(0, 2, w).astype(float), attrs)
    for x, w, attrs in DILATIONS
]


def dilation_cases(with_grad):
    made = []
    for x, w, attrs in MORPHOLOGY:
        inputs = (x, w, ints(*dilation(x, w, **attrs).shape) + 2) if with_grad else (x, w)
        made.append(Case(inputs, attrs))
    return made


MORPHOLOGY_BAD = [
    Bad(
        (ints(1, 4, 4, 2), ints(2, 2, 3)),
        {"strides": [1, 1, 1, 1], "rates": [1, 1, 1, 1], "padding": "SAME"},
        match="2 channels",
    )
]
RECORDS += [
    OpRecord(
        "Dilation2D",
        dilation_cases(False),
        dilation,
        REAL,
        differentiable=(0, 1),
        bad=MORPHOLOGY_BAD,
    ),
    OpRecord(
        "Dilation2DBackpropInput", dilation_cases(True), dilation_backprop(0), REAL, differentiable=(0, 1, 2)
    ),
    OpRecord(
        "Dilation2DBackpropFilter", dilation_cases(True), dilation_backprop(1), REAL, differentiable=(0, 1, 2)
    ),
]

run_records(globals(), RECORDS)


# ---- public functions


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def value(tensors, feeds=None):
    with tf.Session() as session:
        return session.run(tensors, feeds)


def test_conv2d_takes_strides_and_paddings_in_several_ways():
    x, w = ints(1, 6, 6, 2), ints(3, 3, 2, 4)
    want = forward(x, w, strides=[1, 2, 2, 1], padding="SAME")
    for strides in (2, [2, 2], [1, 2, 2, 1]):
        np.testing.assert_allclose(value(conv.conv2d(x, w, strides, "SAME")), want)
    pairs = [[0, 0], [1, 2], [0, 1], [0, 0]]
    flat = {"padding": "EXPLICIT", "explicit_paddings": [n for pair in pairs for n in pair]}
    np.testing.assert_allclose(
        value(conv.conv2d(x, filters=w, strides=1, padding=pairs)), forward(x, w, strides=[1] * 4, **flat)
    )
    assert conv.conv2d(x, w, 1, "SAME").name == "Conv2D_4:0"
    with pytest.raises(ValueError, match="two names"):
        conv.conv2d(x, w, 1, "SAME", filters=w)


@pytest.mark.parametrize("data_format", ["NWC", "NCW"])
def test_conv1d(data_format):
    x, w = ints(2, 7, 3), ints(3, 3, 4)
    want = forward(x[:, None], w[None], strides=[1, 1, 2, 1], padding="SAME")[:, 0]
    result = conv.conv1d(as_format(x, data_format), w, 2, "SAME", data_format=data_format)
    assert result.name.startswith("conv1d/Squeeze")
    np.testing.assert_allclose(channels_last(value(result), data_format), want)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_convolution_and_its_transpose(space):
    x, w = ints(1, *[6] * space, 2), ints(*[2] * space, 2, 3)
    y = conv.convolution(x, w, "VALID", dilation_rate=[2] * space)
    assert y.shape.as_list() == [1, *[4] * space, 3]
    y = conv.convolution(x, w, "SAME", strides=[2] * space)
    back = conv.conv_transpose(y, w, [1, *[6] * space, 2], 2)
    assert back.shape.as_list() == list(x.shape)
    # <conv(x), y> = <x, conv_transpose(y)>
    made, transposed = value(y), value(back)
    np.testing.assert_allclose((made * made).sum(), (transposed * x).sum())


def test_conv2d_transpose_with_a_batch_known_only_in_a_run():
    x = tf.placeholder(tf.float64, [None, 3, 3, 4])
    w = ints(3, 3, 2, 4)
    shape = tf.stack([tf.shape(x)[0], 6, 6, 2])
    y = conv.conv2d_transpose(x, w, shape, 2)
    assert y.shape.as_list() == [None, 6, 6, 2]
    array = ints(2, 3, 3, 4)
    want = by_input((2, 6, 6, 2), w, array, strides=[1, 2, 2, 1], padding="SAME")
    np.testing.assert_allclose(value(y, {x: array}), want)


def test_atrous_conv2d_is_a_dilated_convolution():
    x, w = ints(1, 8, 8, 2), ints(3, 3, 2, 3)
    want = forward(x, w, strides=[1] * 4, padding="SAME", dilations=[1, 2, 2, 1])
    y = conv.atrous_conv2d(x, w, 2, "SAME")
    np.testing.assert_allclose(value(y), want)
    back = conv.atrous_conv2d_transpose(want, w, x.shape, 2, "SAME")
    np.testing.assert_allclose(
        value(back), by_input(x.shape, w, want, strides=[1] * 4, padding="SAME", dilations=[1, 2, 2, 1])
    )


def test_separable_conv2d_is_a_depthwise_and_a_pointwise_one():
    x, depthwise, pointwise = ints(1, 5, 5, 2), ints(3, 3, 2, 2), ints(1, 1, 4, 3)
    middle = conv.depthwise_conv2d(x, depthwise, [1, 1, 1, 1], "SAME", rate=[2, 2])
    want = conv.conv2d(middle, pointwise, 1, "VALID")
    y = conv.separable_conv2d(x, depthwise, pointwise, [1, 1, 1, 1], "SAME", rate=[2, 2])
    np.testing.assert_allclose(value(y), value(want))


def test_erosion_is_the_minimum_under_the_mirrored_kernel():
    x, kernel = distinct(1, 5, 5, 1), ints(3, 3, 1)
    y = value(conv.erosion2d(x, kernel, [1, 1, 1, 1], [1, 1, 1, 1], "VALID"))
    mirrored = kernel[::-1, ::-1, 0]
    want = [[(x[0, i : i + 3, j : j + 3, 0] - mirrored).min() for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(y[0, :, :, 0], want)


@pytest.mark.parametrize(
    ("window", "size_in", "size"),
    [(1, 100, 70), (1, 64, 128), (1, 17, 200), (3, 50, 33), (3, 33, 130), (2, 3, 5)],
)
def test_filters_of_any_size_are_packed_whole(window, size_in, size):
    """Libraries pack filters in blocks of channels, in another order for each derivative: here blocks that
    are full and such that are not. float64 is computed without packing."""
    x, w, dy = ints(2, 6, 5, size_in), ints(window, window, size_in, size), ints(2, 6, 5, size)
    found = []
    for dtype in (tf.float32, tf.float64):
        operands = [tf.placeholder(dtype, array.shape) for array in (x, w, dy)]
        y = tf.nn.conv2d(operands[0], operands[1], [1, 1, 1, 1], "SAME")
        made = [y, *tf.gradients(y, operands[:2], operands[2])]
        found.append(value(made, dict(zip(operands, (x, w, dy)))))
    for got, want in zip(*found):
        np.testing.assert_array_equal(got, want)
