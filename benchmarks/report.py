"""Tables and a picture of what was measured: `results` is {row: {peer: figures}}."""

from __future__ import annotations

import pathlib
from typing import Any

from lines import LINES, WORKLOADS, Figures

Results = dict[str, dict[str, dict[str, Any]]]

COLUMNS = ["headrace", "tensorflow", "torch", "torch.compile", "jax"]
NONE = "—"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|---" * len(rows[0]) + "|", *body])


def _number(figure: float | None) -> str:
    if figure is None:
        return NONE
    return f"{figure:.3g}" if abs(figure) < 1000 else f"{figure:.0f}"


def _ratio(a: float | None, b: float | None) -> str:
    return f"{a / b:.2f}" if a and b else NONE


def _cell(figures: dict[str, Any], name: str = "ms") -> str:
    return figures.get("failed") or _number(figures.get(name))


def workloads(results: Results) -> str:
    """Medians of a step in ms; ours beside the best peer's and the bound (below 1 is ahead)."""
    rows = [["workload, ms", *COLUMNS, "bound", "ours / best peer", "ours / bound"]]
    for row in WORKLOADS:
        if row not in results:
            continue
        figures = results[row]
        ours, bound = (figures.get(peer, {}).get("ms") for peer in ("headrace", "bound"))
        others = [figures[peer]["ms"] for peer in COLUMNS[1:] if "ms" in figures.get(peer, {})]
        cells = [_cell(figures.get(peer, {})) for peer in [*COLUMNS, "bound"]]
        rows.append([row, *cells, _ratio(ours, min(others, default=None)), _ratio(ours, bound)])
    return _markdown(rows)


def others(results: Results) -> str:
    """What is measured besides the steps of workloads."""
    rows = [["", "unit", "wanted", *COLUMNS]]
    for line in LINES:
        cells = []
        for peer in COLUMNS:
            figures: Figures = {row: by_peer.get(peer, {}) for row, by_peer in results.items()}
            try:
                cells.append(_number(line.figure(figures)))
            except KeyError:  # it has no such row, or did not get so far
                cells.append(NONE)
        if set(cells) != {NONE}:
            rows.append([line.name, line.unit, line.wanted, *cells])
    return _markdown(rows) if len(rows) > 1 else ""


def busy(results: Results) -> str:
    """Steps beside a process on every core, as multiples of what they take on idle cores."""
    rows = [["beside a process on every core: times the idle step", *COLUMNS]]
    for row, figures in results.items():
        by_peer = [figures.get(peer, {}) for peer in COLUMNS]
        if any("busy_ms" in f for f in by_peer):
            rows.append([row, *(_ratio(f.get("busy_ms"), f.get("ms")) for f in by_peer)])
    return _markdown(rows) if len(rows) > 1 else ""


def tables(results: Results) -> str:
    return "\n\n".join(text for text in (workloads(results), others(results), busy(results)) if text)


def profile(row: str, figures: dict[str, dict[str, Any]]) -> str:
    """What a step is spent on: ours by operation, and the library's kernels alone."""
    ours = figures["headrace"]
    whole = ours["plan_ms"]
    rows = [[row, "how often", "ms", "share", "MB written"]]
    for kind, (count, ms, written) in sorted(ours["kinds"].items(), key=lambda item: -item[1][1]):
        rows.append([kind, str(count), _number(ms), f"{ms / whole:.1%}", f"{written / 1e6:.3g}"])
    between = whole - sum(ms for _, ms, _ in ours["kinds"].values())
    rows.append(["between the nodes", "", _number(between), f"{between / whole:.1%}", ""])
    rows.append(["all of the plan, traced", "", _number(whole), "", ""])
    rows.append(["`Session.run`, not traced", "", _number(ours["ms"]), "", ""])
    for kind, (_, ms, _) in figures.get("bound", {}).get("kinds", {}).items():
        rows.append([f"the library alone: {kind}", "", _number(ms), f"{ms / whole:.1%}", ""])
    return _markdown(rows) + "\n"


def plot(results: Results, path: pathlib.Path) -> None:
    """Draws each peer's steps as multiples of ours, and the bound, to a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [row for row in WORKLOADS if "ms" in results.get(row, {}).get("headrace", {})]
    peers = [*COLUMNS, "bound"]
    figure, axes = pyplot.subplots(figsize=(12, 5))
    width = 0.8 / len(peers)
    for i, peer in enumerate(peers):
        at, heights = [], []
        for place, row in enumerate(shown):
            if "ms" in results[row].get(peer, {}):
                at.append(place + (i - (len(peers) - 1) / 2) * width)
                heights.append(results[row][peer]["ms"] / results[row]["headrace"]["ms"])
        axes.bar(at, heights, width, label=peer, color="#b0b0b0" if peer == "bound" else f"C{i}")
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_yticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    axes.set_xticks(range(len(shown)), shown, rotation=20, ha="right")
    axes.set_ylabel("time of a step, Headrace's is 1")
    axes.legend(ncols=len(peers), loc="upper center", bbox_to_anchor=(0.5, 1.12), frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
