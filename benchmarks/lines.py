"""What the two tables say of a run: which rows they come from, what is said of each, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# What was measured of one peer: {row: {"ms", "import_s", "build_s", "first_s", "peak_mb", ...}}.
Figures = dict[str, dict[str, float]]

# Steps of whole workloads, in ms; each is to be ahead of every peer, and near its bound.
WORKLOADS = [
    "matmul 1024",
    "elementwise 4M",
    "linear regression",
    "MLP",
    "LeNet",
    "ResNet-50 inference 1",
    "ResNet-50 inference 8",
    "ResNet-50 training 8",
    "LSTM",
    "transformer",
]


class Line(NamedTuple):
    """One line of the second table; `figure` gives a peer's figure, and KeyError where it has none."""

    name: str
    unit: str
    wanted: str
    figure: Callable[[Figures], float]


TRAINING = "ResNet-50 training 8"


def _first_step(f: Figures) -> float:
    return f[TRAINING]["import_s"] + f[TRAINING]["build_s"] + f[TRAINING]["first_s"]


def _over(row: str, other: str) -> Callable[[Figures], float]:
    """How many steps of `other` one of `row` takes as long as."""
    return lambda f: f[row]["ms"] / f[other]["ms"]


LINES = [
    Line("null step", "µs", "< 5", lambda f: 1e3 * f["null step"]["ms"]),
    Line("executor: chain of 10,000", "nodes/µs", "> 10", lambda f: 10 / f["chain"]["ms"]),
    Line("executor: fan-out of 10,000", "nodes/µs", "> 10", lambda f: 10 / f["fan-out"]["ms"]),
    Line("feed 128 × 784 and sum", "µs", "< 15", lambda f: 1e3 * f["feed"]["ms"]),
    Line("first step, from process start", "s", "< 2.5", _first_step),
    Line("of it: start and import", "s", "< 0.3", lambda f: f[TRAINING]["import_s"]),
    Line("of it: build", "s", "", lambda f: f[TRAINING]["build_s"]),
    Line("new shape, over the step itself", "s", "< 0.3", lambda f: f[TRAINING]["other_shape_s"]),
    Line("memory, peak of training", "MB", "the lowest", lambda f: f[TRAINING]["peak_mb"]),
    Line("LSTM in a while_loop", "ms", "below", lambda f: f["LSTM loop"]["ms"]),
    Line("LSTM as dynamic_rnn", "ms", "below", lambda f: f["LSTM dynamic_rnn"]["ms"]),
    Line("sparse update, 10^3 rows", "µs", "", lambda f: 1e3 * f["sparse 10^3"]["ms"]),
    Line("sparse update, 10^5 rows", "µs", "", lambda f: 1e3 * f["sparse 10^5"]["ms"]),
    Line("sparse update, 10^7 rows", "µs", "as 10^3", lambda f: 1e3 * f["sparse 10^7"]["ms"]),
    Line("full softmax of 40,000 words", "ms", "", lambda f: f["full softmax"]["ms"]),
    Line("sampled softmax: full over it", "×", "> 20", _over("full softmax", "sampled softmax")),
    Line("bfloat16: float32 over it", "×", "> 1.6", _over("ResNet-50 inference 8", "ResNet-50 bfloat16 8")),
]

ROWS = [
    *WORKLOADS,
    "null step",
    "chain",
    "fan-out",
    "feed",
    "sparse 10^3",
    "sparse 10^5",
    "sparse 10^7",
    "LSTM loop",
    "LSTM dynamic_rnn",
    "full softmax",
    "sampled softmax",
    "ResNet-50 bfloat16 8",
]
