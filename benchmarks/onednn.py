"""The library's own kernels, run alone: what a workload would take if nothing but its products were computed.

oneDNN's C interface by ctypes, so that nothing of Headrace's takes part. Layouts of all operands are the
library's choice, and its inputs lie in its caches as far as they fit.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Sequence

FLOAT32, BFLOAT16 = 3, 2
_CPU, _IN_ORDER = 1, 1
TANH, LOGISTIC = 33, 41
_FORWARD_TRAINING, _FORWARD_INFERENCE, _DIRECT = 64, 96, 1
_ANY, _IN_LINE = 1, 2
# Operands: how a primitive's description is asked for their memory, and which argument they are.
_SRC, _WEIGHTS, _DST = (129, 1), (131, 33), (133, 17)
_DIFF_SRC, _DIFF_WEIGHTS, _DIFF_DST = (130, 129), (132, 161), (134, 145)
_ALLOCATE = ctypes.c_void_p(-1)

Pointer = ctypes.c_void_p


class _Argument(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int), ("memory", Pointer))


def _library() -> ctypes.CDLL:
    files = importlib.metadata.files("onednn-cpu-gomp") or ()
    path = next(file for file in files if str(file).endswith("libdnnl.so.3"))
    library = ctypes.CDLL(str(path.locate()))
    library.dnnl_primitive_desc_query_md.restype = Pointer
    library.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
    return library


_dnnl = _library()


def _make(function: str, *arguments: object) -> Pointer:
    made = Pointer()
    status = getattr(_dnnl, function)(ctypes.byref(made), *arguments)
    if status != 0:
        raise RuntimeError(f"{function} failed with status {status}")
    return made


_engine = _make("dnnl_engine_create", _CPU, ctypes.c_size_t(0))
_stream = _make("dnnl_stream_create", _engine, _IN_ORDER)


def _dims(sizes: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (ctypes.c_int64 * 12)(*sizes)


def _desc(sizes: Sequence[int], dtype: int, layout: int = _ANY) -> Pointer:
    return _make("dnnl_memory_desc_create_with_tag", len(sizes), _dims(sizes), dtype, layout)


class Primitive:
    """A kernel of the library with memory of its own; called, it runs once."""

    def __init__(self, kind: str, operands: Sequence[tuple[int, int]], *description: object):
        desc = _make(f"dnnl_{kind}_primitive_desc_create", _engine, *description, None)
        self.kind, self.desc = kind, desc
        self._primitive = _make("dnnl_primitive_create", desc)
        arguments = []
        for query, number in operands:
            layout = Pointer(_dnnl.dnnl_primitive_desc_query_md(desc, query, 0))
            memory = _make("dnnl_memory_create", layout, _engine, _ALLOCATE)
            data = Pointer()
            _dnnl.dnnl_memory_get_data_handle(memory, ctypes.byref(data))
            ctypes.memset(data, 0, _dnnl.dnnl_memory_desc_get_size(layout))
            arguments.append(_Argument(number, memory))
        self._arguments = (_Argument * len(arguments))(*arguments)

    def __call__(self) -> None:
        _dnnl.dnnl_primitive_execute(self._primitive, _stream, len(self._arguments), self._arguments)


def product(*sizes: int, dtype: int = FLOAT32) -> Primitive:
    """(m, k) times (k, n), for `sizes` (m, k, n) or (batch, m, k, n)."""
    *batch, m, k, n = sizes
    a, b, c = (_desc([*batch, *matrix], dtype) for matrix in ((m, k), (k, n), (m, n)))
    return Primitive("matmul", (_SRC, _WEIGHTS, _DST), a, b, None, c)


class _Window:
    """A convolution's operands and its padding, which keeps ceil(size / stride) positions."""

    def __init__(
        self, batch: int, size: int, channels: tuple[int, int], kernel: int, stride: int, dtype: int
    ):
        out = -(-size // stride)
        padding = max((out - 1) * stride + kernel - size, 0)
        self.x = _desc([batch, channels[0], size, size], dtype)
        self.w = _desc([channels[1], channels[0], kernel, kernel], dtype)
        self.y = _desc([batch, channels[1], out, out], dtype)
        sides = (stride, 0, padding // 2, padding - padding // 2)
        self.shape = [_dims([side, side]) for side in sides]


def convolution(
    batch: int,
    size: int,
    channels: tuple[int, int],
    kernel: int,
    stride: int = 1,
    dtype: int = FLOAT32,
    training: bool = True,
    first: bool = False,
) -> list[Primitive]:
    """A square convolution; in training with its derivatives, by its input only if it is not the `first`."""
    w = _Window(batch, size, channels, kernel, stride, dtype)
    kind = _FORWARD_TRAINING if training else _FORWARD_INFERENCE
    forward = Primitive(
        "convolution_forward", (_SRC, _WEIGHTS, _DST), kind, _DIRECT, w.x, w.w, None, w.y, *w.shape
    )
    if not training:
        return [forward]
    by_weights = Primitive(
        "convolution_backward_weights", (_SRC, _DIFF_WEIGHTS, _DIFF_DST),
        _DIRECT, w.x, w.w, None, w.y, *w.shape, forward.desc,
    )  # fmt: skip
    if first:
        return [forward, by_weights]
    by_input = Primitive(
        "convolution_backward_data", (_DIFF_SRC, _WEIGHTS, _DIFF_DST),
        _DIRECT, w.x, w.w, w.y, *w.shape, forward.desc,
    )  # fmt: skip
    return [forward, by_weights, by_input]


def elementwise(elements: int, function: int) -> Primitive:
    """A function of so many float32 elements."""
    x, y = (_desc([elements], FLOAT32, _IN_LINE) for _ in range(2))
    unused = ctypes.c_float(0), ctypes.c_float(0)
    return Primitive("eltwise_forward", (_SRC, _DST), _FORWARD_INFERENCE, function, x, y, *unused)
