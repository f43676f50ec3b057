"""Gradients of random numbers by the parameters of their distributions."""

from __future__ import annotations

from typing import Any

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient


@RegisterGradient("RandomGamma")
def _gamma(op: Operation, grad: Tensor) -> list[Any]:
    """How samples move with alpha at their quantiles; the sum over all samples of an alpha."""
    shape, alpha = op.inputs
    slopes = raw.RandomGammaGrad(alpha, op.outputs[0])
    samples = raw.Range(0, raw.Size(shape), 1)
    return [None, raw.Sum(raw.Mul(grad, slopes), samples)]


@RegisterGradient("RandomGammaGrad")
def _gamma_grad(op: Operation, grad: Tensor) -> Any:
    raise NotImplementedError(
        f"[RandomGammaGrad '{op.name}'] samples of the gamma distribution can be differentiated only once"
    )
