"""A picture of a whole graph for notebooks: scopes are boxes, opened while there is room.

Boxes stand in rows from top to bottom, each below what it reads: the layered drawing of Sugiyama et al., 1981
(https://doi.org/10.1109/TSMC.1981.4308636), with one sweep in each direction to keep edges short.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

_MOST_BOXES = 30
_MOST_IN_ROW = 8
_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 160, 38, 16, 46


class _Box:
    """A scope with all that is in it, or one operation."""

    def __init__(self, name: str):
        self.name = name
        self.parts: dict[str, _Box] = {}
        self.op: Any = None  # the operation of that very name
        self.count = 0  # of operations
        self.first = -1  # the number of its first operation

    def opened(self) -> list[_Box]:
        """What is inside, each in a box of its own."""
        inside = list(self.parts.values())
        if self.op is not None:  # an operation with the name of a scope
            alone = _Box(self.name)
            alone.op, alone.count, alone.first = self.op, 1, self.first
            inside.append(alone)
        return inside


def _boxes(operations: list[Any]) -> list[_Box]:
    """At most so many boxes that hold all operations."""
    root = _Box("")
    for number, op in enumerate(operations):
        box = root
        parts = op.name.split("/")
        for depth, part in enumerate(parts):
            box.count += 1
            box.first = number if box.first < 0 else box.first
            box = box.parts.setdefault(part, _Box("/".join(parts[: depth + 1])))
        box.op = op
        box.count += 1
        box.first = number if box.first < 0 else box.first
    boxes = root.opened()
    closed = sorted((box for box in boxes if box.parts), key=lambda box: box.count)
    while closed:  # the largest first
        box = closed.pop()
        inside = box.opened()
        if len(boxes) - 1 + len(inside) > _MOST_BOXES:
            continue
        boxes.remove(box)
        boxes += inside
        closed = sorted([*closed, *(each for each in inside if each.parts)], key=lambda box: box.count)
    boxes.sort(key=lambda box: box.first)
    if len(boxes) > _MOST_BOXES:
        rest = _Box("more")
        for box in boxes[_MOST_BOXES - 1 :]:
            rest.parts[box.name] = box
            rest.count += box.count
        rest.first = boxes[_MOST_BOXES - 1].first
        boxes = [*boxes[: _MOST_BOXES - 1], rest]
    return boxes


def _members(box: _Box) -> Iterable[Any]:
    pending = [box]
    while pending:
        one = pending.pop()
        if one.op is not None:
            yield one.op
        pending += one.parts.values()


def _edges(boxes: list[_Box]) -> dict[tuple[int, int], list[Any]]:
    """The tensors that go from box to box; None stands for a control edge."""
    place = {op.name: number for number, box in enumerate(boxes) for op in _members(box)}
    edges: dict[tuple[int, int], list[Any]] = {}
    for number, box in enumerate(boxes):
        for op in _members(box):
            tensors = [(tensor.op.name, tensor) for tensor in op.inputs]
            for name, tensor in [*tensors, *((other.name, None) for other in op.control_inputs)]:
                if place[name] != number:
                    edges.setdefault((place[name], number), []).append(tensor)
    return edges


def _rows(count: int, edges: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Boxes in rows. An edge that leads back, to a box that began earlier, does not count."""
    down = sorted((a, b) for a, b in edges if a < b)
    level = [0] * count
    for a, b in sorted(down, key=lambda edge: edge[1]):
        level[b] = max(level[b], level[a] + 1)
    rows: list[list[int]] = [[] for _ in range(max(level, default=-1) + 1)]
    for number in range(count):
        rows[level[number]].append(number)
    near: dict[int, list[int]] = {}
    for a, b in down:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    for sweep in (rows[1:], rows[-2::-1]):
        at = {number: i / max(len(row), 1) for row in rows for i, number in enumerate(row)}
        for row in sweep:
            row.sort(key=lambda n: sum(at[m] for m in near.get(n, [n])) / len(near.get(n, [n])))
            at.update({number: i / len(row) for i, number in enumerate(row)})
    return [row[i : i + _MOST_IN_ROW] for row in rows for i in range(0, len(row), _MOST_IN_ROW)]


def overview(graph: Any) -> str:
    """An SVG of a graph (a `Graph`)."""
    boxes = _boxes(graph.get_operations())
    edges = _edges(boxes)
    rows = _rows(len(boxes), edges)
    width = max((len(row) for row in rows), default=1) * (_WIDTH + _GAP_X) + _GAP_X
    height = len(rows) * (_HEIGHT + _GAP_Y) + _GAP_Y
    places: dict[int, tuple[float, float]] = {}
    for number, row in enumerate(rows):
        left = (width - len(row) * (_WIDTH + _GAP_X) + _GAP_X) / 2
        for i, box in enumerate(row):
            places[box] = (left + i * (_WIDTH + _GAP_X), _GAP_Y / 2 + number * (_HEIGHT + _GAP_Y))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" text-anchor="middle">',
        *(_line(places[a], places[b], tensors) for (a, b), tensors in edges.items()),
        *(_rectangle(box, *places[number]) for number, box in enumerate(boxes)),
    ]
    return "".join(parts) + "</svg>"


def _line(start: tuple[float, float], end: tuple[float, float], tensors: list[Any]) -> str:
    (x1, y1), (x2, y2) = start, end
    x1, x2, y1 = x1 + _WIDTH / 2, x2 + _WIDTH / 2, y1 + _HEIGHT
    data = [tensor for tensor in tensors if tensor is not None]
    if not data:
        label = "control"
    elif len(data) == 1:
        label = f"{data[0].dtype.name} {data[0].shape}"
    else:
        label = f"{len(data)} tensors"
    dashes = "" if data else ' stroke-dasharray="3 3"'
    middle = (y1 + y2) / 2
    back = y2 < y1
    bend = f"C{x1} {middle} {x2} {middle}"
    if back:
        bend = f"C{x1 + _WIDTH} {y1 + 30} {x2 + _WIDTH} {y2 - 30}"
    text = ""
    if len(data) == 1 and not back and y2 - y1 <= _GAP_Y:
        place = f'x="{(x1 + x2) / 2}" y="{middle + 3}"'
        text = f'<text {place} fill="#445" font-size="9">{html.escape(label)}</text>'
    return (
        f'<path d="M{x1} {y1} {bend} {x2} {y2}" fill="none" stroke="#99a"{dashes}>'
        f"<title>{html.escape(label)}</title></path>{text}"
    )


def _rectangle(box: _Box, x: float, y: float) -> str:
    center = x + _WIDTH / 2
    if box.parts:
        fill, below = "#fdf1d6", f"{box.count} operations"
        title = f"{box.name}: {below}"
        under = (
            f'<rect x="{x + 4}" y="{y + 4}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" '
            f'fill="{fill}" stroke="#998"/>'
        )
    else:
        fill, below, under = "#e8eef7", box.op.type, ""
        title = f"{box.name} ({box.op.type}) {box.op.source}"
    return (
        f"<g><title>{html.escape(title)}</title>{under}"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="7" fill="{fill}" stroke="#667"/>'
        f'<text x="{center}" y="{y + 16}" font-weight="bold">{html.escape(_short(box.name, 22))}</text>'
        f'<text x="{center}" y="{y + 30}">{html.escape(_short(below, 24))}</text></g>'
    )


def _short(text: str, most: int) -> str:
    """The end of a text that is too long for a box."""
    return text if len(text) <= most else "…" + text[1 - most :]
