"""Prints the polynomial coefficients that core/kernels/vector/functions.h uses.

Each is a weighted minimax fit (Lawson's iteration: least squares, whose weights grow with the error)
of the relative error of the function as it is put together, not of the polynomial alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray


def fit(
    target: Callable[[Array], Array], weight: Callable[[Array], Array], low: float, high: float, terms: int
) -> Array:
    """Coefficients, constant first, of the polynomial p that minimises max |weight * (p - target)|."""
    nodes = np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)
    x = ((high + low) / 2 + (high - low) / 2 * nodes).astype(np.longdouble)
    t, w = target(x), weight(x)
    basis = np.vander(x.astype(float), terms, increasing=True)
    scale = np.abs(basis).max(axis=0)
    lawson = np.ones(len(x))
    for _ in range(200):
        root = np.sqrt(lawson) * w.astype(float)
        solved = (
            np.linalg.lstsq((basis / scale) * root[:, None], t.astype(float) * root, rcond=None)[0] / scale
        )
        error = np.abs(w * (basis @ solved - t)).astype(float)
        lawson *= error + 1e-300
        lawson /= lawson.sum()
    print(f"// error {error.max():.2e}")
    return solved


def show(name: str, coefficients: Array, double: bool = False) -> None:
    """Prints highest power first, as Horner's rule takes them."""
    kind = float if double else np.float32
    print(
        name,
        ", ".join(f"{kind(c)!r}" if double else f"{float(np.float32(c))!r}f" for c in coefficients[::-1]),
    )


def show_table(name: str, columns: list[Array]) -> None:
    """Prints one column after the other, each a line of float32 numbers."""
    for column in columns:
        print(name, "{" + ", ".join(f"{np.float32(c):.9g}f" for c in column) + "},")


def tanh_piece(begin: float, end: float) -> Array:
    """Coefficients of d, constant first, of a polynomial for tanh(begin + d)."""
    if begin > 9:  # the value is 1
        return np.array([1.0, 0, 0, 0, 0, 0])
    constant = float(np.float32(np.tanh(begin)))

    def value(d: Array) -> Array:
        return np.tanh(begin + d)

    rest = fit(lambda d: (value(d) - constant) / d, lambda d: d / value(d), 1e-9, end - begin, 5)
    return np.concatenate([[constant], rest])


def show_tanh_pieces() -> None:
    """Prints the polynomials in d of tanh(begin + d), highest power first.

    The pieces begin at 2^k (1 + m / 8) - 1 for k below 4 and m below 8, and are printed in the order
    of the five bits 8 (k - 1) + m. The constant is the rounded value at the beginning, so that it costs
    half an ulp at most.
    """
    begins = [2.0**k * (1 + m / 8) - 1 for k in range(4) for m in range(8)]
    ends = [*begins[1:], 15.0]
    rows = [tanh_piece(begin, end) for begin, end in zip(begins, ends, strict=True)]
    show_table("tanh, lanes", list(np.roll(np.array(rows), -8, axis=0).T[::-1]))


def main() -> None:
    """Fits and prints everything."""
    half_log2 = float(np.log(np.longdouble(2)) / 2) * 1.002
    # exp(x) = 1 + x + x^2 p(x)
    show("exp", fit(lambda x: (np.expm1(x) - x) / x**2, lambda x: x**2 / np.exp(x), -half_log2, half_log2, 5))
    # expm1(x) = x + x^2 p(x)
    show(
        "expm1",
        fit(lambda x: (np.expm1(x) - x) / x**2, lambda x: x**2 / np.expm1(x), -half_log2, half_log2, 6),
    )
    # log1p(x) = x - x^2/2 + x^3 p(x)
    low, high = math.sqrt(0.5) - 1, math.sqrt(2) - 1
    show(
        "log", fit(lambda x: (np.log1p(x) - x + x**2 / 2) / x**3, lambda x: x**3 / np.log1p(x), low, high, 9)
    )
    # tanh(x) = x + x^3 p(x^2) below 0.55
    show(
        "tanh",
        fit(
            lambda s: (np.tanh(np.sqrt(s)) / np.sqrt(s) - 1) / s,
            lambda s: s * np.sqrt(s) / np.tanh(np.sqrt(s)),
            1e-4,
            0.55**2,
            4,
        ),
    )
    # erf(x) = x + x p(x^2) below 1, 1 - exp(p(x)) above
    erf = np.vectorize(math.erf, otypes=[float])
    erfc = np.vectorize(math.erfc, otypes=[float])
    low_target: Callable[[Array], Array] = lambda s: erf(np.sqrt(s).astype(float)) / np.sqrt(s) - 1  # noqa: E731
    show("erf", fit(low_target, lambda s: np.sqrt(s) / erf(np.sqrt(s).astype(float)), 1e-4, 0.9375**2, 7))
    show(
        "erf tail",
        fit(lambda x: np.log(erfc(x.astype(float))), lambda x: erfc(x.astype(float)), 0.9375, 4.0, 7),
    )
    # in double: sin(x) = x + x^3 p(x^2), cos(x) = 1 - x^2/2 + x^4 p(x^2)
    quarter = (math.pi / 4 * 1.001) ** 2
    root: Callable[[Array], Array] = np.sqrt
    show(
        "sin", fit(lambda s: (np.sin(root(s)) - root(s)) / root(s) ** 3, lambda s: s, 1e-3, quarter, 5), True
    )
    show("cos", fit(lambda s: (np.cos(root(s)) - 1 + s / 2) / s**2, lambda s: s**2, 1e-2, quarter, 4), True)
    # in double: log2(m) = s p(s^2) with s = (m - 1) / (m + 1); 2^x = p(x) on [-1/2, 1/2]
    two = np.longdouble(2)
    show(
        "log2",
        fit(lambda s: 2 * np.arctanh(root(s)) / root(s) / np.log(two), lambda s: 1 + 0 * s, 1e-6, 0.0295, 6),
        True,
    )
    show("exp2", fit(lambda x: two**x, lambda x: two**-x, -0.5, 0.5, 8), True)
    # For lanes: exp(x) = 1 + x + x^2 p(x) for what is left of a sixteenth; powers of 2 by sixteenths, and
    # what their rounding takes, as a part of them; pieces of tanh.
    small = float(np.log(two) / 32) * 1.002
    show("exp, lanes", fit(lambda x: (np.expm1(x) - x) / x**2, lambda x: x**2 / np.exp(x), -small, small, 2))
    powers = two ** (np.arange(16) / two**4)
    show_table("power", [powers])
    show_table("rest", [(powers - powers.astype(np.float32)) / powers])
    show_tanh_pieces()


if __name__ == "__main__":
    main()
