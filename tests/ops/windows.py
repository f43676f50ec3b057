"""NumPy references of operations that slide windows over space."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def channels_last(x: Any, data_format: str) -> np.ndarray:
    """The array with its channels moved last."""
    x = np.asarray(x)
    return np.moveaxis(x, 1, -1) if data_format[1] == "C" else x


def as_format(x: np.ndarray, data_format: str) -> np.ndarray:
    """The array, channels last, in a data format."""
    return np.moveaxis(x, -1, 1) if data_format[1] == "C" else x


def spatial(values: Sequence[Any], data_format: str) -> list[Any]:
    """The entries for the dimensions of space."""
    return list(values[2:] if data_format[1] == "C" else values[1:-1])


def geometry(
    size: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    explicit: Sequence[int] = (),
) -> tuple[list[int], list[tuple[int, int]]]:
    """Output size and (before, after) padding of each dimension of space."""
    out, pads = [], []
    for i, (n, k, s, d) in enumerate(zip(size, window, strides, dilations)):
        reach = (k - 1) * d + 1
        if padding == "SAME":
            o = -(-n // s)
            zeros = max((o - 1) * s + reach - n, 0)
            pads.append((zeros // 2, zeros - zeros // 2))
        else:
            pads.append(tuple(explicit[2 * i : 2 * i + 2]) if padding == "EXPLICIT" else (0, 0))
            o = (n + sum(pads[-1]) - reach) // s + 1
        out.append(max(o, 0))
    return out, pads


def taps(
    out: Sequence[int], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each place of the window, and the slice of the padded input that it reads."""
    for tap in itertools.product(*map(range, window)):
        yield (
            tap,
            tuple(
                slice(t * d, t * d + (o - 1) * s + 1 if o else t * d, s)
                for t, d, o, s in zip(tap, dilations, out, strides)
            ),
        )
