"""Derivatives of matrix products."""

from __future__ import annotations

import string
from collections.abc import Iterable

from headrace.framework import raw
from headrace.framework.graph import Operation, Tensor
from headrace.gradients.registry import RegisterGradient


def _conj(x: Tensor) -> Tensor:
    return raw.Conj(x) if x.dtype.is_complex else x


@RegisterGradient("MatMul")
def _matmul(op: Operation, grad: Tensor) -> list[Tensor]:
    # For C = A B: dA = dC B^H and dB = A^H dC; each transposed operand swaps the places of its product.
    transpose_a, transpose_b = op.get_attr("transpose_a"), op.get_attr("transpose_b")
    a, b = _conj(op.inputs[0]), _conj(op.inputs[1])
    if transpose_a:
        grad_a = raw.MatMul(b, grad, transpose_a=transpose_b, transpose_b=True)
    else:
        grad_a = raw.MatMul(grad, b, transpose_b=not transpose_b)
    if transpose_b:
        grad_b = raw.MatMul(grad, a, transpose_a=True, transpose_b=transpose_a)
    else:
        grad_b = raw.MatMul(a, grad, transpose_a=not transpose_a)
    return [grad_a, grad_b]


def _batch_grads(op: Operation, grad: Tensor) -> list[Tensor]:
    # The same with A^H for A^T, so that nothing needs to be conjugated: adj does it.
    adj_x, adj_y = op.get_attr("adj_x"), op.get_attr("adj_y")
    x, y = op.inputs
    product = getattr(raw, op.type)
    if adj_x:
        grad_x = product(y, grad, adj_x=adj_y, adj_y=True)
    else:
        grad_x = product(grad, y, adj_y=not adj_y)
    if adj_y:
        grad_y = product(grad, x, adj_x=True, adj_y=adj_x)
    else:
        grad_y = product(x, grad, adj_x=not adj_x)
    return [grad_x, grad_y]


@RegisterGradient("BatchMatMul")
def _batch_matmul(op: Operation, grad: Tensor) -> list[Tensor]:
    return _batch_grads(op, grad)


@RegisterGradient("BatchMatMulV2")
def _batch_matmul_v2(op: Operation, grad: Tensor) -> list[Tensor]:
    grads = _batch_grads(op, grad)
    x, y = op.inputs
    if x.shape.is_fully_defined() and y.shape.is_fully_defined() and x.shape[:-2] == y.shape[:-2]:
        return grads
    # What was repeated along a batch dimension gets the sum of its gradients.
    shapes = [raw.Shape(x), raw.Shape(y)]
    batches = [raw.StridedSlice(s, [0], [-2], [1], begin_mask=1) for s in shapes]
    axes = raw.BroadcastGradientArgs(*batches)
    return [raw.Reshape(raw.Sum(g, a), s) for g, a, s in zip(grads, axes, shapes)]


@RegisterGradient("Einsum")
def _einsum(op: Operation, grad: Tensor) -> list[Tensor]:
    equation = op.get_attr("equation").decode().replace(" ", "")
    left, _, output = equation.partition("->")
    terms = left.split(",")
    if len(terms) == 1:
        return [_unlabelled(grad, output, None, "", op.inputs[0], terms[0])]
    (a, b), (a_term, b_term) = op.inputs, terms
    return [
        _unlabelled(grad, output, _conj(b), b_term, a, a_term),
        _unlabelled(grad, output, _conj(a), a_term, b, b_term),
    ]


def _unlabelled(
    grad: Tensor, output: str, other: Tensor | None, other_term: str, x: Tensor, term: str
) -> Tensor:
    """The derivative by `x`: the gradient times the other operand, with the labels of x in their order."""
    term, repeats = _told_apart(term, output + other_term)
    missing = {label for label in term if label not in output + other_term + "."} - repeats.keys()
    operands, terms = [grad], [output]
    if other is not None:
        operands, terms = [grad, other], [output, other_term]
    has_dots = any("..." in each for each in terms)

    def kept(labels: Iterable[str]) -> str:
        return "".join(label for label in term if label in labels or (label == "." and has_dots))

    labels = set(term) - missing - repeats.keys() - {"."}
    made = raw.Einsum(operands, equation=f"{','.join(terms)}->{kept(labels)}")
    # Only the elements whose indices agree along a repeated label were used: the others get nothing.
    for repeat, label in repeats.items():
        before, labels = kept(labels), labels | {repeat, label}
        one = _identity(x, term.replace("...", "."), label, grad)
        made = raw.Einsum([made, one], equation=f"{before},{label}{repeat}->{kept(labels)}")
    missing -= labels
    # What only x has was summed over: the derivative is the same along it. Behind an ellipsis, dimensions are
    # counted from the end.
    before, dots, after = term.partition("...")
    for axis, label in enumerate(before):
        if label in missing:
            made = raw.ExpandDims(made, axis)
    for axis, label in enumerate(reversed(after)):
        if label in missing:
            made = raw.ExpandDims(made, -1 - axis)
    if dots:
        rank, wanted = made.shape.ndims, x.shape.ndims
        if rank is None or wanted is None:
            raise ValueError("the gradient of an Einsum with an ellipsis needs the ranks of its operands")
        if rank > wanted:
            made = raw.Sum(made, list(range(len(before), len(before) + rank - wanted)))
    return raw.BroadcastTo(_sum_to(made, x), raw.Shape(x)) if missing or dots else made


def _told_apart(term: str, others: str) -> tuple[str, dict[str, str]]:
    """The term with other letters for the labels that it repeats, and which label each of them repeats."""
    free = (letter for letter in string.ascii_letters if letter not in term + others)
    repeats: dict[str, str] = {}
    apart = ""
    for label in term:
        if label in apart and label != ".":
            repeats[fresh := next(free)] = label
            label = fresh
        apart += label
    return apart, repeats


def _identity(x: Tensor, term: str, label: str, like: Tensor) -> Tensor:
    """The matrix with ones on its diagonal, as large as x is along `label`; a dot is for any dimensions."""
    axis = term.index(label)
    if "." in term[:axis]:
        axis -= len(term)
    end = raw.StridedSlice(raw.Shape(x), [axis], [axis + 1], [1], end_mask=int(axis == -1))
    return raw.MatrixDiag(raw.Fill(end, raw.Cast(1, DstT=like.dtype)))


def _sum_to(made: Tensor, x: Tensor) -> Tensor:
    """Summed over the dimensions along which x has one element and was repeated."""
    sizes, wanted = raw.Shape(made), raw.Shape(x)
    _, axes = raw.BroadcastGradientArgs(sizes, wanted)
    return raw.Sum(made, axes, keep_dims=True)
