"""Conditions: only the branch that is taken runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from headrace.framework import nest, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import bool_, int32
from headrace.framework.errors import InvalidDTypeError
from headrace.framework.func_graph import FuncGraph, build, new_function_name
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph, name_scope
from headrace.framework.indexed_slices import IndexedSlices
from headrace.ops.control_flow import Assert, with_dependencies

__all__ = ["case", "cond", "switch_case"]


class _Branch:
    """A branch while it is built: its graph, its results, and how they are nested."""

    def __init__(self, name: str, outer: Graph, function: Callable[[], Any], selector: Tensor):
        self.selector = selector
        self.graph = FuncGraph(name, outer)
        self.structure = build(self.graph, function)
        if self.structure is None:
            raise ValueError(f"{function!r} returns None; a branch has to return a tensor or an operation")
        with self.graph.as_default():
            self.results = [self._tensor(leaf) for leaf in _leaves(self.structure)]

    def _tensor(self, leaf: Any) -> Tensor:
        if isinstance(leaf, Operation):  # gives what has led here, once it has run
            with get_default_graph().control_dependencies([leaf]):
                return raw.Identity(self.selector)
        tensor = convert_to_tensor(leaf)
        return self.graph._here(tensor)


def _leaves(structure: Any) -> list[Any]:
    """The tensors of a structure; IndexedSlices are two."""
    leaves: list[Any] = []
    for leaf in nest.flatten(structure):
        if isinstance(leaf, IndexedSlices):
            leaves += (leaf.values, leaf.indices)
        elif leaf is not None:
            leaves.append(leaf)
    return leaves


def _packed(structure: Any, tensors: Sequence[Tensor]) -> Any:
    left = iter(tensors)

    def one(leaf: Any) -> Any:
        if leaf is None:
            return None
        if isinstance(leaf, IndexedSlices):
            return IndexedSlices(next(left), next(left), leaf.dense_shape)
        made = next(left)
        return leaf.build_from(made) if hasattr(leaf, "build_from") else made

    return nest.map_structure(one, structure)


def _checked(branches: Sequence[_Branch]) -> None:
    first = branches[0]
    for other in branches[1:]:
        nest.assert_same_structure(first.structure, other.structure, check_types=False)
        for i, (one, two) in enumerate(zip(first.results, other.results)):
            if one.dtype != two.dtype:
                raise InvalidDTypeError(
                    None,
                    two.op,
                    f"result {i} is {one.dtype.name} in one branch and {two.dtype.name} in another; cast one",
                )


def predicate(value: Any) -> Tensor:
    """A boolean scalar.

    Raises:
      TypeError: if it is not boolean.
      ValueError: if it is no scalar.
    """
    tensor = convert_to_tensor(value, dtype=bool_, name="pred")
    if tensor.shape.ndims:
        raise ValueError(
            f"{tensor.name} has shape {tensor.shape}, expected a scalar; tf.reduce_all it, or any"
        )
    return tensor


def share_captures(graphs: Sequence[FuncGraph]) -> list[Tensor]:
    """Gives functions that are called with the same arguments the same captured ones, in one order."""
    union = list(dict.fromkeys(tensor for graph in graphs for tensor in graph.captured))
    for graph in graphs:
        parameters = graph.arguments[: graph.num_parameters]
        for tensor in union:
            if tensor not in graph._inside:
                graph._capture(tensor)
        by_tensor = dict(zip(graph.captured, graph.arguments[len(parameters) :]))
        graph.captured = union
        graph.arguments = [*parameters, *(by_tensor[tensor] for tensor in union)]
    return union


def _branching(
    functions: Sequence[Callable[[], Any]],
    labels: Sequence[str],
    scope: str,
    selector: Tensor,
    make: Callable[..., Any],
) -> tuple[_Branch, list[Tensor]]:
    """Builds the branches and the node that chooses between them."""
    outer = get_default_graph()
    branches = [
        _Branch(new_function_name(outer, f"{scope}{label}"), outer, function, selector)
        for function, label in zip(functions, labels)
    ]
    _checked(branches)
    inputs = share_captures([branch.graph for branch in branches])
    names = [branch.graph.define(branch.results) for branch in branches]
    stateful = any(branch.graph.is_stateful for branch in branches)
    controls = [op for branch in branches for op in branch.graph.outer_controls]
    with outer.control_dependencies(controls):
        made = make(inputs, names, [tensor.dtype for tensor in branches[0].results], stateful)
    return branches[0], [] if isinstance(made, Operation) else list(made)


def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Callable[[], Any] | None = None,
    fn2: Callable[[], Any] | None = None,
) -> Any:
    """What `true_fn` returns if `pred` is true, else what `false_fn` returns.

    Operations made inside a function run only if its branch is taken; what is made outside runs always.

    Args:
      pred: a boolean scalar.
      true_fn, false_fn: return tensors, or nested lists, tuples and dicts of them, of one structure and the
        same dtypes. An operation among them gives the value of `pred`, once it has run.
      strict: do not unpack lists of one element.
      name: of the scope.
      fn1, fn2: older names of `true_fn` and `false_fn`.

    Raises:
      TypeError: if a branch is not callable, `pred` is a Python bool, or the dtypes of the branches differ.
      ValueError: if their structures differ.
    """
    true_fn, false_fn = true_fn or fn1, false_fn or fn2
    for label, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise TypeError(f"{label} must be callable, got {function!r}; wrap it in a lambda")
    if isinstance(pred, bool):
        raise TypeError(f"pred is Python's {pred}, known now; use an if statement, or make it a tensor")
    with name_scope(name, "cond", [pred]) as scope:
        pred = predicate(pred)

        def make(inputs: Any, names: Any, dtypes: Any, stateful: bool) -> Any:
            op = raw.If if stateful else raw.StatelessIf
            then_branch, else_branch = names
            return op(
                pred,
                inputs,
                Tin=[t.dtype for t in inputs],
                Tout=dtypes,
                then_branch=then_branch,
                else_branch=else_branch,
            )

        functions: list[Any] = [true_fn, false_fn]
        branch, results = _branching(functions, ["true", "false"], scope, pred, make)
        packed = _packed(branch.structure, results)
    if not strict and isinstance(packed, (list, tuple)) and len(packed) == 1:
        return packed[0]
    return packed


def switch_case(
    branch_index: Any, branch_fns: Any, default: Callable[[], Any] | None = None, name: str = "switch_case"
) -> Any:
    """What the function with number `branch_index` returns.

    Args:
      branch_index: an int32 scalar.
      branch_fns: functions, in a list, a dict by number, or a list of (number, function) pairs.
      default: for numbers that none has; without it, the function with the largest number stands for these.

    An operation that a function returns gives `branch_index`, once it has run.

    Raises:
      TypeError: if a branch is not callable, or the dtypes of the branches differ.
      ValueError: if their structures differ, or a number is there twice.
    """
    pairs = sorted(branch_fns.items()) if isinstance(branch_fns, dict) else list(branch_fns)
    pairs = (
        sorted(pairs, key=lambda p: p[0]) if pairs and isinstance(pairs[0], tuple) else list(enumerate(pairs))
    )
    numbers = [number for number, _ in pairs]
    if not pairs or len(set(numbers)) != len(numbers):
        raise ValueError(
            f"branch_fns needs at least one function, and each number once; got the numbers {numbers}"
        )
    for _, function in pairs:
        if not callable(function):
            raise TypeError(f"a branch must be callable, got {function!r}; wrap it in a lambda")
    by_number = dict(pairs)
    otherwise = default or pairs[-1][1]
    # The gaps, and one past the end, stand for every number that none has.
    functions = [by_number.get(i, otherwise) for i in range(max(numbers) + 1)] + [otherwise]
    with name_scope(name, "switch_case", [branch_index]) as scope:
        index = convert_to_tensor(branch_index, dtype=int32, name="branch_index")

        def make(inputs: Any, names: Any, dtypes: Any, stateful: bool) -> Any:
            op = raw.Case if stateful else raw.StatelessCase
            return op(index, inputs, Tin=[t.dtype for t in inputs], Tout=dtypes, branches=names)

        labels = [f"branch{i}" for i in range(len(functions))]
        branch, results = _branching(functions, labels, scope, index, make)
        packed = _packed(branch.structure, results)
    return packed[0] if isinstance(packed, (list, tuple)) and len(packed) == 1 else packed


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """What the function of the first true predicate returns, else what `default` returns.

    Args:
      pred_fn_pairs: (boolean scalar, function) pairs in a list, or a dict of them.
      default: if no predicate is true; without it that is an error when it runs.
      exclusive: check when it runs that no more than one predicate is true.
      strict: do not unpack lists of one element.

    Raises:
      TypeError: if a pair is malformed.
      ValueError: if there is no pair.
    """
    pairs = list(pred_fn_pairs.items()) if isinstance(pred_fn_pairs, dict) else list(pred_fn_pairs)
    if not pairs:
        raise ValueError("case needs at least one (predicate, function) pair")
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and callable(pair[1])):
            raise TypeError(f"case takes (predicate, function) pairs, got {pair!r}")
    with name_scope(name, "case", [pred for pred, _ in pairs]):
        preds = [predicate(pred) for pred, _ in pairs]
        checks = []
        if exclusive:
            count = raw.Sum(raw.Cast(raw.Pack(preds), DstT=int32), [0])
            checks.append(
                Assert(
                    raw.LessEqual(count, 1), ["more than one predicate of an exclusive case is true:", *preds]
                )
            )
        if default is None:
            checks.append(
                Assert(
                    raw.Any(raw.Pack(preds), [0]), ["no predicate of a case without default is true:", *preds]
                )
            )

        def from_pair(i: int) -> Any:
            if i == len(pairs) - 1 and default is None:
                return pairs[i][1]()
            if i == len(pairs):
                assert default is not None
                return default()
            return cond(preds[i], pairs[i][1], functools.partial(from_pair, i + 1), strict=True)

        with get_default_graph().control_dependencies(checks):
            packed = from_pair(0)
    return packed[0] if not strict and isinstance(packed, (list, tuple)) and len(packed) == 1 else packed
