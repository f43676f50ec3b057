"""Functions of functions: over the elements of tensors, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headrace.framework import dtypes, nest, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Tensor, name_scope
from headrace.framework.shapes import TensorShape
from headrace.ops.tensor_array import TensorArray
from headrace.ops.variable_scope import get_variable_scope, variable_scope
from headrace.ops.while_loop import while_loop

__all__ = ["foldl", "foldr", "map_fn", "scan"]


class _Elements:
    """The elements that a function is called with: rows of tensors, in a structure."""

    def __init__(self, elems: Any):
        self.structure = elems
        self.tensors = [convert_to_tensor(e, name="elem") for e in nest.flatten(elems)]
        for tensor in self.tensors:
            if tensor.shape.ndims == 0:
                raise ValueError(f"{tensor.name} is a scalar, which has no elements to go over")
        first = [t.shape.as_list()[0] for t in self.tensors if t.shape.ndims]
        lengths = {size for size in first if size is not None}
        if len(lengths) > 1:
            raise ValueError(f"the tensors have different numbers of elements: {sorted(lengths)}")
        self.static: int | None = next(iter(lengths), None)
        self.count: Any = self.static
        if self.static is None:
            shape = raw.Shape(self.tensors[0])
            self.count = raw.StridedSlice(shape, [0], [1], [1], shrink_axis_mask=1, name="n")
        self.arrays = [
            TensorArray(tensor.dtype, size=self.count, element_shape=_row(tensor.shape)).unstack(tensor)
            for tensor in self.tensors
        ]

    def at(self, index: Any) -> Any:
        return nest.pack_sequence_as(self.structure, [array.read(index) for array in self.arrays])


def _row(shape: TensorShape) -> TensorShape | None:
    return TensorShape(shape.as_list()[1:]) if shape.ndims is not None else None


def _callable(fn: Any) -> None:
    if not callable(fn):
        raise TypeError(f"fn must be callable, got {fn!r}")


class _Scope:
    """The name scope around a function, and a variable scope in which its variables are made once."""

    def __init__(self, name: str | None, default: str, values: Sequence[Any]):
        self._names = name_scope(name, default, values)
        # Variables that `fn` asks for are the caller's.
        self._variables = variable_scope(get_variable_scope(), auxiliary_name_scope=False)

    def __enter__(self) -> None:
        self._names.__enter__()
        self._variables.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._variables.__exit__(*exception)
        self._names.__exit__(*exception)


def _stacked(
    arrays: Sequence[TensorArray], elements: _Elements, infer_shape: bool, extra: int = 0
) -> list[Tensor]:
    stacked = []
    for array in arrays:
        tensor = array.stack()
        if infer_shape and array.element_shape.ndims is not None:
            count = None if elements.static is None else elements.static + extra
            tensor.set_shape(TensorShape([count]).concatenate(array.element_shape))
        stacked.append(tensor)
    return stacked


def map_fn(
    fn: Callable[..., Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """Stacks what `fn` makes of each element of `elems`, its slices along the first dimension.

    Args:
      fn: takes an element (in the structure of `elems`), returns tensors in the structure of `dtype`.
      elems: a tensor, or a nested structure of tensors with equal first dimensions.
      dtype: the dtypes of what `fn` returns, if they or the structure differ from those of `elems`.
      parallel_iterations: accepted; the elements are taken one after the other.
      back_prop: whether gradients flow back.
      swap_memory: accepted; nothing needs it here.
      infer_shape: whether the results of all elements have one shape.
      name: of the scope.

    Raises:
      TypeError: if `fn` is not callable, or its results have other dtypes.
      ValueError: if structures or lengths differ.
    """
    _callable(fn)
    with _Scope(name, "map", nest.flatten(elems)):
        elements = _Elements(elems)
        structure = elems if dtype is None else dtype
        kinds = [
            tensor.dtype if dtype is None else dtypes.as_dtype(kind)
            for tensor, kind in zip(
                elements.tensors if dtype is None else nest.flatten(dtype), nest.flatten(structure)
            )
        ]
        results = [TensorArray(kind, size=elements.count, infer_shape=infer_shape) for kind in kinds]

        def body(i: Tensor, arrays: Any) -> Any:
            made = fn(elements.at(i))
            nest.assert_same_structure(structure, made)
            leaves = nest.flatten(made)
            return i + 1, [array.write(i, leaf) for array, leaf in zip(arrays, leaves)]

        _, arrays = while_loop(
            lambda i, _: i < elements.count,
            body,
            (0, results),
            parallel_iterations=parallel_iterations or 10,
            back_prop=back_prop,
            swap_memory=swap_memory,
        )
        return nest.pack_sequence_as(structure, _stacked(arrays, elements, infer_shape))


def _fold(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any,
    parallel_iterations: int | None,
    back_prop: bool,
    swap_memory: bool,
    name: str | None,
    backwards: bool,
) -> Any:
    _callable(fn)
    with _Scope(name, "foldr" if backwards else "foldl", nest.flatten(elems)):
        elements = _Elements(elems)
        first = 0
        if initializer is None:
            first = 1
            initializer = elements.at(elements.count - 1 if backwards else 0)
        initializer = nest.map_structure(convert_to_tensor, initializer)

        def body(i: Tensor, accumulated: Any) -> Any:
            made = fn(accumulated, elements.at(elements.count - 1 - i if backwards else i))
            nest.assert_same_structure(initializer, made)
            return i + 1, made

        _, result = while_loop(
            lambda i, _: i < elements.count,
            body,
            (first, initializer),
            parallel_iterations=parallel_iterations or 10,
            back_prop=back_prop,
            swap_memory=swap_memory,
        )
        return result


def foldl(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """fn(... fn(fn(initializer, elems[0]), elems[1]) ..., elems[-1]).

    Args:
      fn: takes what was accumulated and an element, returns what is accumulated then.
      elems: a tensor, or a nested structure of tensors with equal first dimensions.
      initializer: the first accumulated value, perhaps of another structure; the first element if None.
      parallel_iterations, swap_memory: accepted; the elements are taken one after the other.
      back_prop: whether gradients flow back.
      name: of the scope.

    Raises:
      TypeError: if `fn` is not callable, or changes a dtype.
      ValueError: if it changes the structure, or lengths differ.
    """
    return _fold(fn, elems, initializer, parallel_iterations, back_prop, swap_memory, name, False)


def foldr(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """fn(... fn(fn(initializer, elems[-1]), elems[-2]) ..., elems[0]); see `foldl`."""
    return _fold(fn, elems, initializer, parallel_iterations, back_prop, swap_memory, name, True)


def scan(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """Stacks all that `foldl` accumulates: out[i] = fn(out[i - 1], elems[i]).

    Args:
      fn: takes what was accumulated and an element, returns what is accumulated then.
      elems: a tensor, or a nested structure of tensors with equal first dimensions.
      initializer: the value before the first, perhaps of another structure; out[0] is elems[0] if None.
      parallel_iterations, swap_memory: accepted; the elements are taken one after the other.
      back_prop: whether gradients flow back.
      infer_shape: whether all accumulated values have one shape.
      reverse: go from the last element to the first: out[i] = fn(out[i + 1], elems[i]).
      name: of the scope.

    Raises:
      TypeError: if `fn` is not callable, or changes a dtype.
      ValueError: if it changes the structure, or lengths differ.
    """
    _callable(fn)
    with _Scope(name, "scan", nest.flatten(elems)):
        elements = _Elements(elems)
        last = elements.count - 1
        first = 0 if initializer is not None else 1
        start = elements.at(last if reverse else 0) if initializer is None else initializer
        start = nest.map_structure(convert_to_tensor, start)
        leaves = nest.flatten(start)
        results = [
            TensorArray(
                leaf.dtype,
                elements.count,
                infer_shape=infer_shape,
                element_shape=leaf.shape if infer_shape else None,
            )
            for leaf in leaves
        ]
        if initializer is None:
            results = [array.write(last if reverse else 0, leaf) for array, leaf in zip(results, leaves)]

        def body(i: Tensor, accumulated: Any, arrays: Any) -> Any:
            at = last - i if reverse else i
            made = fn(accumulated, elements.at(at))
            nest.assert_same_structure(start, made)
            made = nest.map_structure(convert_to_tensor, made)
            return i + 1, made, [array.write(at, leaf) for array, leaf in zip(arrays, nest.flatten(made))]

        _, _, arrays = while_loop(
            lambda i, _, __: i < elements.count,
            body,
            (first, start, results),
            parallel_iterations=parallel_iterations or 10,
            back_prop=back_prop,
            swap_memory=swap_memory,
        )
        return nest.pack_sequence_as(start, _stacked(arrays, elements, infer_shape))
