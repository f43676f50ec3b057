"""Pictures of the neighbourhood of an operation, for notebooks."""

from __future__ import annotations

import html
from typing import Any

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 170, 38, 18, 34
_MOST = 6  # boxes in a row


def neighbourhood(op: Any) -> str:
    """An SVG of an operation (an `Operation`) between what it reads and what reads it."""
    inputs = [(tensor.op, f"{tensor.dtype.name} {tensor.shape}") for tensor in op.inputs]
    readers = {reader.name: (reader, tensor) for tensor in op.outputs for reader in tensor.consumers()}
    outputs = [(reader, f"{tensor.dtype.name} {tensor.shape}") for reader, tensor in readers.values()]
    rows = [inputs[:_MOST], [(op, "")], outputs[:_MOST]]
    width = max(len(row) for row in rows) * (_WIDTH + _GAP_X) + _GAP_X
    height = 3 * _HEIGHT + 4 * _GAP_Y
    middle = width / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" text-anchor="middle">'
    ]
    for number, row in enumerate(rows):
        y = _GAP_Y + number * (_HEIGHT + _GAP_Y)
        left = middle - (len(row) * (_WIDTH + _GAP_X) - _GAP_X) / 2
        for i, (each, edge) in enumerate(row):
            x = left + i * (_WIDTH + _GAP_X)
            parts.append(_box(each, x, y, each is op))
            if number == 0:
                parts.append(_edge(x + _WIDTH / 2, y + _HEIGHT, middle, y + _HEIGHT + _GAP_Y, edge))
            elif number == 2:
                parts.append(_edge(middle, y - _GAP_Y, x + _WIDTH / 2, y, edge))
    left_out = len(inputs) + len(outputs) - len(rows[0]) - len(rows[2])
    if left_out:
        parts.append(f'<text x="{middle}" y="{height - 8}">and {left_out} more</text>')
    return "".join(parts) + "</svg>"


def _box(op: Any, x: float, y: float, is_middle: bool) -> str:
    name = op.name if len(op.name) <= 26 else "…" + op.name[-25:]
    fill = "#ffe9b3" if is_middle else "#e8eef7"
    center = x + _WIDTH / 2
    return (
        f"<g><title>{html.escape(f'{op.name} ({op.type}) {op.source}')}</title>"
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" fill="{fill}" stroke="#667"/>'
        f'<text x="{center}" y="{y + 16}" font-weight="bold">{html.escape(op.type)}</text>'
        f'<text x="{center}" y="{y + 30}">{html.escape(name)}</text></g>'
    )


def _edge(x1: float, y1: float, x2: float, y2: float, label: str) -> str:
    text = f'<text x="{(x1 + x2) / 2}" y="{(y1 + y2) / 2 + 3}" fill="#445">{html.escape(label)}</text>'
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#99a"/>{text}'
