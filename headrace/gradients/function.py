"""Gradients of operations that call functions: conditions, loops, calls.

The gradient of a function is a function too. It is built inside a copy of the forward function, so that using
one of its tensors captures it; the forward operation is then extended to hand over what was captured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import raw
from headrace.framework.constant import constant
from headrace.framework.convert import convert_to_tensor
from headrace.framework.func_graph import FuncGraph, build, extend, func_graph_of, new_function_name
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph
from headrace.gradients.engine import gradients, is_trainable
from headrace.gradients.registry import RegisterGradient


def _function_attr(op: Operation, name: str) -> str:
    return str(op.get_attr(name))


def zeros_of(tensor: Tensor) -> Tensor:
    """Zeros like a tensor, or like the value of the variable that a handle refers to."""
    if tensor.dtype.name == "resource":
        return raw.ZerosLike(raw.ReadVariableOp(tensor, dtype=_handle_dtype(tensor)))
    return raw.ZerosLike(tensor)


def _handle_dtype(handle: Tensor) -> Any:
    return _core.handle_dtype(handle.graph._core, handle._id, handle._index)


def _input_gradients(
    ys: Sequence[Tensor], xs: Sequence[Tensor], grad_ys: Sequence[Tensor]
) -> list[Tensor | None]:
    """Dense gradients of the results of a function with respect to its arguments."""
    pairs = [(y, grad) for y, grad in zip(ys, grad_ys) if grad is not None]
    if not pairs or not xs:
        return [None] * len(xs)
    found = gradients([y for y, _ in pairs], list(xs), [grad for _, grad in pairs], name="grad")
    return [None if grad is None else convert_to_tensor(grad) for grad in found]


# ---- conditions


class _Branch:
    """One branch of a conditional operation, and the function that differentiates it."""

    def __init__(self, op: Operation, function: str, grads: Sequence[Tensor | None]):
        name = new_function_name(op.graph, function)
        self.forward, self.results = func_graph_of(op.graph, function, name)
        self.backward = FuncGraph(new_function_name(op.graph, function + "_grad"), self.forward)
        self.grad_arguments = [
            None if grad is None else self.backward.argument(grad.dtype, grad.shape, "grad_ys")
            for grad in grads
        ]
        self.trainable = [x for x in self.forward.arguments if is_trainable(x)]
        self.in_grads = build(self.backward, self._differentiate)

    def _differentiate(self) -> list[Tensor | None]:
        return _input_gradients(self.results, self.trainable, self.grad_arguments)  # type: ignore[arg-type]

    def fill_in(self, wanted: Sequence[bool]) -> list[Tensor]:
        """The gradients, with zeros for those that only the other branches have."""
        with self.backward.as_default():
            return [
                zeros_of(x) if grad is None else self.backward._here(grad)
                for x, grad, want in zip(self.trainable, self.in_grads, wanted)
                if want
            ]

    def handed_over(self) -> list[Tensor]:
        """What the backward function captured that the forward one computes, rather than gets."""
        arguments = set(self.forward.arguments)
        return [tensor for tensor in self.backward.captured if tensor not in arguments]


def _placeholder_for(tensor: Tensor, graph: FuncGraph) -> Tensor:
    """What another branch hands over in place of a tensor that it does not compute: nobody reads it."""
    with graph.as_default(), graph.control_dependencies(None):
        if tensor.dtype.name == "variant":
            return raw.EmptyTensorList(np.int32(-1), np.int32(0), element_dtype=np.float32)
        shape = tensor.shape.as_list() if tensor.shape.is_fully_defined() else [0]
        empty = "" if tensor.dtype.name == "string" else np.zeros((), tensor.dtype.as_numpy_dtype)
        return raw.Fill(np.array(shape, np.int32), constant(empty, tensor.dtype))


def _conditional_gradient(
    op: Operation, grads: Sequence[Tensor | None], functions: Sequence[str]
) -> tuple[list[Any], list[Tensor], list[str]]:
    """Extends the forward operation; returns (per-input gradient positions, inputs, backward functions)."""
    grads = [grad if is_trainable(output) else None for grad, output in zip(grads, op.outputs)]
    branches = [_Branch(op, function, grads) for function in functions]
    wanted = [
        any(branch.in_grads[i] is not None for branch in branches) for i in range(len(branches[0].trainable))
    ]
    results = [branch.fill_in(wanted) for branch in branches]

    handed = [branch.handed_over() for branch in branches]
    count = len(op.outputs)
    names = []
    for branch in branches:
        more = [
            tensor if of is branch else _placeholder_for(tensor, branch.forward)
            for of, tensors in zip(branches, handed)
            for tensor in tensors
        ]
        names.append(branch.forward.define([*branch.results, *more]))
    extra = [tensor.dtype._number for tensors in handed for tensor in tensors]
    outputs = [tensor.dtype._number for tensor in op.outputs] + extra
    attrs: dict[str, Any] = {"Tout": outputs, "output_shapes": []}
    if "branches" in {attr.name for attr in op.op_def.attrs}:
        attrs["branches"] = names
    else:
        attrs["then_branch"], attrs["else_branch"] = names
    if extra:
        extend(op, [], attrs)

    # Every backward function takes the same inputs: the gradients, and what any of them captured.
    inputs: list[Tensor] = [grad for grad in grads if grad is not None]
    arguments: list[list[Tensor]] = [
        [a for a in branch.grad_arguments if a is not None] for branch in branches
    ]
    position = count
    for branch, tensors in zip(branches, handed):
        source = dict(zip(branch.forward.arguments, op.inputs[1:]))
        for tensor in tensors:
            source[tensor] = op.outputs[position]
            position += 1
        for tensor in branch.backward.captured:
            inputs.append(source[tensor])
            for other, list_of in zip(branches, arguments):
                list_of.append(
                    branch.backward._inside[tensor]
                    if other is branch
                    else other.backward.argument(tensor.dtype, tensor.shape, "unused")
                )
    backward_names = []
    for branch, result, argument in zip(branches, results, arguments):
        branch.backward.outer = op.graph
        backward_names.append(branch.backward.define(result, argument))
    current = get_default_graph()
    if current is not op.graph:
        share(current, op.graph)
    return (
        [[x for x, want in zip(_trainable_positions(op), wanted) if want], [r.dtype for r in results[0]]],
        inputs,
        backward_names,
    )


def share(graph: Graph, other: Graph) -> None:
    """Makes the functions of one graph known in another."""
    _core.share_functions(graph._core, other._core)


def _trainable_positions(op: Operation) -> list[int]:
    return [i for i, tensor in enumerate(op.inputs) if i > 0 and is_trainable(tensor)]


def _spread(op: Operation, positions: Sequence[int], grads: Sequence[Tensor]) -> list[Tensor | None]:
    spread: list[Tensor | None] = [None] * len(op.inputs)
    for position, grad in zip(positions, grads):
        spread[position] = grad
    return spread


@RegisterGradient("If")
@RegisterGradient("StatelessIf")
def _if(op: Operation, *grads: Any) -> list[Tensor | None]:
    functions = [_function_attr(op, "then_branch"), _function_attr(op, "else_branch")]
    (positions, dtypes), inputs, names = _conditional_gradient(op, grads, functions)
    made = raw.If(
        op.inputs[0],
        inputs,
        Tin=[t.dtype for t in inputs],
        Tout=dtypes,
        then_branch=names[0],
        else_branch=names[1],
    )
    return _spread(op, positions, [] if isinstance(made, Operation) else made)


@RegisterGradient("Case")
@RegisterGradient("StatelessCase")
def _case(op: Operation, *grads: Any) -> list[Tensor | None]:
    functions = list(op.get_attr("branches"))
    (positions, dtypes), inputs, names = _conditional_gradient(op, grads, functions)
    made = raw.Case(op.inputs[0], inputs, Tin=[t.dtype for t in inputs], Tout=dtypes, branches=names)
    return _spread(op, positions, [] if isinstance(made, Operation) else made)


# ---- loops


def _element_shape(tensor: Tensor) -> Any:
    """What is known of a tensor's shape, as operations on lists take it: -1 for what is not."""
    if tensor.shape.ndims is None:
        return np.int32(-1)
    return np.array([-1 if size is None else size for size in tensor.shape.as_list()], np.int32)


class _LoopBackward(FuncGraph):
    """The body of a backward loop.

    A tensor of the forward body that it uses is taken off a list, onto which the forward loop has put it in
    every iteration; what is the same in every iteration is captured as it is.
    """

    def __init__(self, name: str, outer: FuncGraph, invariants: set[Tensor]):
        super().__init__(name, outer)
        self.invariants = invariants
        self.saved: list[Tensor] = []  # tensors of the forward body
        self.lists: list[Tensor] = []  # our arguments: the lists of their values
        self.left: list[Tensor] = []  # the lists without the last values

    def _bring_in(self, tensor: Tensor) -> Tensor:
        if tensor.op.type == "Const":
            return self._repeated(tensor)
        if tensor in self.invariants:
            return super()._bring_in(tensor)
        with self.control_dependencies(None), self._own_attributes(), self.as_default():
            values = self.argument("variant", [], "saved")
            left, value = raw.TensorListPopBack(values, _element_shape(tensor), element_dtype=tensor.dtype)
        self.saved.append(tensor)
        self.lists.append(values)
        self.left.append(left)
        return value


@RegisterGradient("While")
@RegisterGradient("StatelessWhile")
def _while(op: Operation, *grads: Any) -> list[Tensor | None]:
    body_name, cond_name = _function_attr(op, "body"), _function_attr(op, "cond")
    name = new_function_name(op.graph, body_name)
    body, results = func_graph_of(op.graph, body_name, name)
    arguments = list(body.arguments)
    invariant = [i for i, (x, y) in enumerate(zip(arguments, results)) if x is y]
    carried = [
        i
        for i, x in enumerate(arguments)
        if is_trainable(x) and i not in set(invariant) and x.dtype.name != "resource"
    ]
    carried = _connected(carried, arguments, results, grads)
    sources = [i for i in invariant if is_trainable(arguments[i])]

    # One iteration, backwards.
    backward = _LoopBackward(
        new_function_name(op.graph, body_name + "_grad"), body, {arguments[i] for i in invariant}
    )
    step = backward.argument(np.int32, [], "iterations_left")
    d_out = [backward.argument(arguments[i].dtype, arguments[i].shape, "grad") for i in carried]

    def differentiate() -> list[Tensor | None]:
        xs = [arguments[i] for i in carried + sources]
        return _input_gradients([results[i] for i in carried], xs, d_out)

    in_grads = build(backward, differentiate)
    used = [i for i, grad in zip(sources, in_grads[len(carried) :]) if grad is not None]
    with backward.as_default():
        sums = []
        totals = []
        for grad in in_grads[len(carried) :]:
            if grad is not None:
                total = backward.argument(grad.dtype, grad.shape, "total")
                totals.append(total)
                sums.append(raw.AddN([total, grad]))
        next_d = [
            raw.ZerosLike(d) if grad is None else backward._here(grad)
            for d, grad in zip(d_out, in_grads[: len(carried)])
        ]
        next_step = raw.Sub(step, np.int32(1))

    # The forward loop counts its iterations and keeps what was asked for.
    with op.graph.as_default(), op.graph.control_dependencies(None), op.graph.name_scope("while_saved"):
        extra_inputs = [constant(0, np.int32, name="iterations")]
        for tensor in backward.saved:
            saved = raw.EmptyTensorList(_element_shape(tensor), np.int32(-1), element_dtype=tensor.dtype)
            extra_inputs.append(saved)
    with body.as_default(), body.control_dependencies(None):
        counter = body.argument(np.int32, [], "iterations")
        kept = [body.argument("variant", [], "saved") for _ in backward.saved]
        more = [raw.AddV2(counter, np.int32(1))]
        more += [raw.TensorListPushBack(values, tensor) for values, tensor in zip(kept, backward.saved)]
    cond, truth = func_graph_of(op.graph, cond_name, new_function_name(op.graph, cond_name))
    for tensor in [counter, *kept]:
        cond.argument(tensor.dtype, [], "unused")
    count = len(op.outputs)
    new_body, new_cond = body.define([*results, *more]), cond.define(truth)
    types = [tensor.dtype._number for tensor in [*op.inputs, *extra_inputs]]
    attrs = {"T": types, "body": new_body, "cond": new_cond, "output_shapes": []}
    iterations, *lists = extend(op, extra_inputs, attrs)[: 1 + len(kept)]
    assert len(op.outputs) == count + 1 + len(kept)

    # The backward loop.
    captured_sources = dict(zip(arguments, op.inputs))
    captured = [captured_sources[tensor] for tensor in backward.captured]
    captured_arguments = [backward._inside[tensor] for tensor in backward.captured]
    initial = [iterations]
    initial += [zeros_of(op.outputs[i]) if grads[i] is None else convert_to_tensor(grads[i]) for i in carried]
    initial += [zeros_of(op.inputs[i]) for i in used]
    initial += [*lists, *captured]
    backward.outer = op.graph
    backward_body = backward.define(
        [next_step, *next_d, *sums, *backward.left, *captured_arguments],
        [step, *d_out, *totals, *backward.lists, *captured_arguments],
    )
    condition = FuncGraph(new_function_name(op.graph, body_name + "_grad_cond"), op.graph)
    for tensor in initial:
        condition.argument(tensor.dtype, tensor.shape, "arg")
    backward_cond = condition.define(
        [build(condition, lambda: raw.Greater(condition.arguments[0], np.int32(0)))]
    )
    if get_default_graph() is not op.graph:
        share(get_default_graph(), op.graph)
    made = list(raw.While(initial, T=[t.dtype for t in initial], cond=backward_cond, body=backward_body))

    in_grads_of: list[Tensor | None] = [None] * len(arguments)
    for i, grad in zip(carried, made[1:]):
        in_grads_of[i] = grad
    for i in sources:
        in_grads_of[i] = grads[i]
    for i, grad in zip(used, made[1 + len(carried) :]):
        in_grads_of[i] = grad if grads[i] is None else raw.AddN([grad, convert_to_tensor(grads[i])])
    return in_grads_of


def _connected(
    carried: list[int], arguments: list[Tensor], results: list[Tensor], grads: Sequence[Any]
) -> list[int]:
    """The loop variables whose gradient an iteration may need: those that have one, and what makes these."""
    wanted = {i for i in carried if grads[i] is not None}
    while True:
        reached = _ancestors([results[i] for i in wanted])
        more = {i for i in carried if arguments[i] in reached} | wanted
        if more == wanted:
            return [i for i in carried if i in wanted]
        wanted = more


def _ancestors(tensors: Sequence[Tensor]) -> set[Tensor]:
    found: set[Tensor] = set()
    stack = list(tensors)
    while stack:
        tensor = stack.pop()
        if tensor not in found:
            found.add(tensor)
            stack.extend(tensor.op.inputs)
    return found


# ---- calls


@RegisterGradient("PartitionedCall")
@RegisterGradient("StatefulPartitionedCall")
def _call(op: Operation, *grads: Any) -> list[Tensor | None]:
    function = _function_attr(op, "f")
    grads = tuple(grad if is_trainable(output) else None for grad, output in zip(grads, op.outputs))
    branch = _Branch(op, function, grads)
    wanted = [grad is not None for grad in branch.in_grads]
    results = branch.fill_in(wanted)
    handed = branch.handed_over()
    source = dict(zip(branch.forward.arguments, op.inputs))
    if handed:
        name = branch.forward.define([*branch.results, *handed])
        outputs = [tensor.dtype._number for tensor in [*op.outputs, *handed]]
        source.update(zip(handed, extend(op, [], {"f": name, "Tout": outputs})))
    inputs = [grad for grad in grads if grad is not None] + [source[t] for t in branch.backward.captured]
    branch.backward.outer = op.graph
    backward = branch.backward.define(results, [a for a in branch.backward.arguments])
    if get_default_graph() is not op.graph:
        share(get_default_graph(), op.graph)
    call = raw.StatefulPartitionedCall if op.type.startswith("Stateful") else raw.PartitionedCall
    made = call(inputs, Tin=[t.dtype for t in inputs], Tout=[r.dtype for r in results], f=backward)
    positions = [i for i, x in enumerate(op.inputs) if is_trainable(x)]
    return _spread(
        op, [p for p, want in zip(positions, wanted) if want], [] if isinstance(made, Operation) else made
    )
