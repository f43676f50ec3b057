"""Products of matrices, of batches of them, and of tensors."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace.framework import raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, constant_array, name_scope

__all__ = ["einsum", "matmul", "matvec", "tensordot"]


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Multiplies matrices, or the matrices in the last two dimensions of batches, which broadcast.

    Args:
      a: a tensor (..., m, k), floating, complex, int32 or int64.
      b: a tensor (..., k, n) of the same dtype.
      transpose_a: a is (..., k, m), to be transposed first.
      transpose_b: b is (..., n, k), to be transposed first.
      adjoint_a: the same, and a is conjugated too.
      adjoint_b: the same, and b is conjugated too.
      a_is_sparse: accepted and without effect: all products are dense.
      b_is_sparse: accepted and without effect.
      name: of the operation.

    Returns:
      A tensor (..., m, n).

    Raises:
      ValueError: if an operand is to be both transposed and adjoint, or the shapes do not fit.
    """
    del a_is_sparse, b_is_sparse
    for both, operand in ((transpose_a and adjoint_a, "a"), (transpose_b and adjoint_b, "b")):
        if both:
            raise ValueError(
                f"transpose_{operand} and adjoint_{operand} are both set; adjoint transposes too"
            )
    with name_scope(name, "MatMul", [a, b]) as scope:
        a = convert_to_tensor(a, name="a", preferred_dtype=getattr(b, "dtype", None))
        b = convert_to_tensor(b, name="b", dtype=a.dtype)
        if a.shape.ndims == 2 and b.shape.ndims == 2:
            # A matrix product transposes but does not conjugate.
            a = _conj(a) if adjoint_a else a
            b = _conj(b) if adjoint_b else b
            return raw.MatMul(
                a, b, transpose_a=transpose_a or adjoint_a, transpose_b=transpose_b or adjoint_b, name=scope
            )
        # A product of batches conjugates what it transposes.
        a = _conj(a) if transpose_a else a
        b = _conj(b) if transpose_b else b
        return raw.BatchMatMulV2(
            a, b, adj_x=transpose_a or adjoint_a, adj_y=transpose_b or adjoint_b, name=scope
        )


def _conj(x: Tensor) -> Tensor:
    return raw.Conj(x) if x.dtype.is_complex else x


def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Multiplies matrices (..., m, k) by vectors (..., k).

    Args:
      a: a tensor (..., m, k).
      b: a tensor (..., k) of the same dtype.
      transpose_a: a is (..., k, m), to be transposed first.
      adjoint_a: the same, and a is conjugated too.
      a_is_sparse: accepted and without effect.
      b_is_sparse: accepted and without effect.
      name: of the operation.

    Returns:
      A tensor (..., m).
    """
    with name_scope(name, "MatVec", [a, b]):
        product = matmul(
            a,
            raw.ExpandDims(b, -1),
            transpose_a=transpose_a,
            adjoint_a=adjoint_a,
            a_is_sparse=a_is_sparse,
            b_is_sparse=b_is_sparse,
        )
        return raw.Squeeze(product, squeeze_dims=[-1])


# ---- sizes that may be known only in a run: an int where it is known, else a scalar tensor

_Size = int | Tensor


def _sizes(x: Tensor) -> list[_Size]:
    known = x.shape.as_list()
    if None not in known:
        return list(known)  # type: ignore[arg-type]
    shape = raw.Shape(x)
    return [
        raw.StridedSlice(shape, [i], [i + 1], [1], shrink_axis_mask=1) if size is None else size
        for i, size in enumerate(known)
    ]


def _vector(sizes: Sequence[_Size]) -> Any:
    if all(isinstance(size, int) for size in sizes):
        return np.array(sizes, np.int32)
    return raw.Pack([np.int32(size) if isinstance(size, int) else size for size in sizes])


def _product(sizes: Sequence[_Size]) -> _Size:
    known = int(np.prod([size for size in sizes if isinstance(size, int)], dtype=np.int64))
    product: _Size = known
    for size in sizes:
        if not isinstance(size, int):
            product = size if isinstance(product, int) and product == 1 else raw.Mul(product, size)
    return product


def _transposed(x: Tensor, order: Sequence[int]) -> Tensor:
    return x if list(order) == list(range(len(order))) else raw.Transpose(x, np.array(order, np.int32))


def tensordot(a: Any, b: Any, axes: Any, name: str | None = None) -> Tensor:
    """Sums products of elements of a and b over pairs of their dimensions.

    Args:
      a: a tensor.
      b: a tensor of the same dtype.
      axes: n for the last n dimensions of a with the first n of b in order; or two lists of the same length:
        a's dimensions, and b's that each goes with.
      name: of the operation.

    Returns:
      A tensor with a's other dimensions, then b's.

    Raises:
      ValueError: if the axes do not fit the tensors, or a rank is unknown.
    """
    with name_scope(name, "Tensordot", [a, b]) as scope:
        a = convert_to_tensor(a, name="a")
        b = convert_to_tensor(b, name="b", dtype=a.dtype)
        if a.shape.ndims is None or b.shape.ndims is None:
            raise ValueError(f"tensordot needs the ranks of its tensors; a is {a.shape}, b is {b.shape}")
        axes_a, axes_b = _contracted(axes, a.shape.ndims, b.shape.ndims)
        free_a = [i for i in range(a.shape.ndims) if i not in axes_a]
        free_b = [i for i in range(b.shape.ndims) if i not in axes_b]
        sizes_a, sizes_b = _sizes(a), _sizes(b)
        over = _product([sizes_a[i] for i in axes_a])
        rows, columns = [sizes_a[i] for i in free_a], [sizes_b[i] for i in free_b]
        left = raw.Reshape(_transposed(a, free_a + axes_a), _vector([_product(rows), over]))
        right = raw.Reshape(_transposed(b, axes_b + free_b), _vector([over, _product(columns)]))
        return raw.Reshape(raw.MatMul(left, right), _vector(rows + columns), name=scope)


def _contracted(axes: Any, rank_a: int, rank_b: int) -> tuple[list[int], list[int]]:
    if isinstance(axes, Tensor):
        known = constant_array(axes)
        if known is None:
            raise ValueError("tensordot's axes must be known when the graph is built; pass numbers")
        axes = known.tolist()
    if isinstance(axes, int | np.integer):
        if not 0 <= axes <= min(rank_a, rank_b):
            raise ValueError(
                f"axes is {axes}, expected 0 to {min(rank_a, rank_b)}, the smaller rank of the two"
            )
        return list(range(rank_a - int(axes), rank_a)), list(range(int(axes)))
    if not isinstance(axes, list | tuple | np.ndarray) or len(axes) != 2:
        raise ValueError(f"axes is {axes!r}, expected a number, or two lists of dimensions")
    pair = [[int(i) for i in np.atleast_1d(one)] for one in axes]
    if len(pair[0]) != len(pair[1]):
        raise ValueError(f"axes names {len(pair[0])} dimensions of a and {len(pair[1])} of b; name pairs")
    normal = []
    for one, rank, operand in zip(pair, (rank_a, rank_b), "ab"):
        if any(not -rank <= i < rank for i in one):
            raise ValueError(f"axes {one} are not dimensions of {operand}, whose rank is {rank}")
        normal.append([i % rank for i in one])
    return normal[0], normal[1]


# ---- einsum


def einsum(equation: str, *inputs: Any, **kwargs: Any) -> Tensor:
    """Sums products of elements along labelled dimensions, in Einstein's notation.

    Each input's dimensions are labelled with letters; the output's labels say which remain, and in which
    order. The others are summed over. `einsum("ij,jk->ik", a, b)` is a product of matrices,
    `einsum("bij,bjk->bik", a, b)` one of batches, `einsum("ij->ji", a)` a transposition,
    `einsum("ii->", a)` a trace. Without an arrow the output has the labels that occur once, in alphabetical
    order. An ellipsis stands for dimensions that broadcast.

    Args:
      equation: the labels: inputs separated by commas, an arrow, the output.
      *inputs: the tensors, of one dtype.
      **kwargs: `name`, of the scope.

    Returns:
      A tensor with the output's labels.

    Raises:
      ValueError: if the equation is not well formed or does not fit the inputs.
      TypeError: for other keyword arguments.
    """
    name = kwargs.pop("name", None)
    if kwargs:
        raise TypeError(f"einsum takes no argument {sorted(kwargs)[0]!r}, only name=")
    with name_scope(name, "einsum", inputs):
        tensors = [convert_to_tensor(x) for x in inputs]
        terms, output = _parse(equation, [x.shape.ndims for x in tensors])
        operands = [_without_repeats(x, labels) for x, labels in zip(tensors, terms)]
        for label in output:
            if not any(label in labels for _, labels in operands):
                raise ValueError(f"'{equation}': the output's label '{label}' is in no input")
        x, labels = operands[0]
        for i, (other, other_labels) in enumerate(operands[1:], 2):
            later = set(output).union(*(rest for _, rest in operands[i:]))
            x, labels = _contract(x, labels, other, other_labels, later)
        x, labels = _summed(x, labels, set(output))
        return _transposed(x, [labels.index(label) for label in output])


def _parse(equation: str, ranks: list[int | None]) -> tuple[list[str], str]:
    """Labels of each input and of the output; an ellipsis becomes labels of its own, not letters."""
    text = equation.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"'{equation}' labels {len(terms)} inputs, but {len(ranks)} are given")
    more = 0
    for term, rank in zip(terms, ranks):
        named = term.replace("...", "")
        if rank is None:
            raise ValueError(f"einsum needs the ranks of its inputs; that of '{term}' is unknown")
        if rank < len(named) or (rank != len(named) and "..." not in term):
            raise ValueError(f"'{equation}' labels {len(named)} dimensions of an input with {rank}: '{term}'")
        more = max(more, rank - len(named)) if "..." in term else more
    dots = "".join(chr(0x2460 + i) for i in range(more))
    expanded = []
    for term, rank in zip(terms, ranks):
        count = (rank or 0) - len(term.replace("...", ""))
        expanded.append(term.replace("...", dots[more - count :] if count else ""))
    if not arrow:
        letters = "".join(expanded)
        output = "..." + "".join(sorted(x for x in set(letters) if letters.count(x) == 1 and x not in dots))
    output = output.replace("...", dots)
    for term in [*expanded, output]:
        if any(label not in string.ascii_letters and label not in dots for label in term):
            raise ValueError(f"'{equation}': labels are letters, '->' stands before the output's")
    if len(set(output)) != len(output):
        raise ValueError(f"'{equation}': a label occurs twice in the output")
    return expanded, output


def _without_repeats(x: Tensor, labels: str) -> tuple[Tensor, str]:
    """Takes the diagonal where a label is repeated."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            i = labels.index(label)
            j = labels.index(label, i + 1)
            rest = [k for k in range(len(labels)) if k not in (i, j)]
            x = _transposed(x, [*rest, i, j])
            sizes = _sizes(x)
            n = sizes[-1]
            # In a flat (n, n) matrix the diagonal's elements are n + 1 apart.
            flat = raw.Reshape(x, _vector([*sizes[:-2], _product([n, n])]))
            begin, end = [0] * len(rest) + [0], [0] * len(rest) + [0]
            step = _vector([1] * len(rest) + [n + 1 if isinstance(n, int) else raw.Add(n, 1)])
            mask = (1 << len(rest) + 1) - 1
            x = raw.StridedSlice(flat, begin, end, step, begin_mask=mask, end_mask=mask)
            labels = "".join(labels[k] for k in rest) + label
    return x, labels


def _summed(x: Tensor, labels: str, keep: set[str]) -> tuple[Tensor, str]:
    """Sums over the labels that nobody wants any more."""
    axes = [i for i, label in enumerate(labels) if label not in keep]
    if axes:
        x = raw.Sum(x, np.array(axes, np.int32))
        labels = "".join(label for label in labels if label in keep)
    return x, labels


def _contract(a: Tensor, a_labels: str, b: Tensor, b_labels: str, later: set[str]) -> tuple[Tensor, str]:
    """The product of two operands, summed over what neither the output nor a later operand has."""
    a, a_labels = _summed(a, a_labels, later | set(b_labels))
    b, b_labels = _summed(b, b_labels, later | set(a_labels))
    shared = [label for label in a_labels if label in b_labels]
    batch, over = [x for x in shared if x in later], [x for x in shared if x not in later]
    rows, columns = [x for x in a_labels if x not in shared], [x for x in b_labels if x not in shared]

    def sizes_of(x: Tensor, labels: str) -> dict[str, _Size]:
        return dict(zip(labels, _sizes(x)))

    def arranged(x: Tensor, labels: str, *groups: list[str]) -> Tensor:
        """Batch dimensions as they are, and each further group as one dimension."""
        sizes = sizes_of(x, labels)
        x = _transposed(x, [labels.index(label) for group in (batch, *groups) for label in group])
        if all(len(group) == 1 for group in groups):
            return x
        merged = [_product([sizes[label] for label in group]) for group in groups]
        return raw.Reshape(x, _vector([sizes[label] for label in batch] + merged))

    a_sizes, b_sizes = sizes_of(a, a_labels), sizes_of(b, b_labels)
    left, right = arranged(a, a_labels, rows, over), arranged(b, b_labels, over, columns)
    product = raw.BatchMatMulV2(left, right) if batch else raw.MatMul(left, right)
    if len(rows) != 1 or len(columns) != 1:
        outer = _sizes(product)[: len(batch)]
        inner = [a_sizes[x] for x in rows] + [b_sizes[x] for x in columns]
        product = raw.Reshape(product, _vector(outer + inner))
    return product, "".join(batch + rows + columns)


Tensor._install("__matmul__", lambda a, b: matmul(a, b))
Tensor._install("__rmatmul__", lambda b, a: matmul(a, b))
