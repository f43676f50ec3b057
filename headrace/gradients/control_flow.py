"""Gradients of what orders and watches a computation."""

from __future__ import annotations

from typing import Any

from headrace.gradients.registry import RegisterGradient


@RegisterGradient("EnsureShape")
def _ensure_shape(op: Any, grad: Any) -> Any:
    return grad


@RegisterGradient("Print")
def _print(op: Any, grad: Any) -> list[Any]:
    return [grad] + [None] * (len(op.inputs) - 1)
