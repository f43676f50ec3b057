"""Gradients of operations that call functions: conditions, loops, calls.

The gradient of a function is a function too. It is built inside a copy of the forward function, so that using
one of its tensors captures it; the forward operation is then extended to hand over what was captured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import raw
from headrace.framework.constant import constant, constant_value
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import as_dtype
from headrace.framework.func_graph import FuncGraph, build, extend, func_graph_of, new_function_name
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph
from headrace.gradients.engine import gradients, is_trainable
from headrace.gradients.list import accumulated
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


class _Backward(FuncGraph):
    """A function that computes the gradient of another, `outer`.

    A shape, a length and the like of a tensor of that function is found there, so that not the tensor itself
    has to be kept but only what is asked of it.
    """

    def _add(
        self,
        op_type: str,
        inputs: Sequence[Tensor],
        attrs: dict[str, Any] | None,
        name: str,
        control_inputs: Iterable[Operation] = (),
    ) -> Operation:
        forward = self.outer
        of_forward = bool(inputs) and all(tensor.graph is forward for tensor in inputs)
        if of_forward and not control_inputs and _gives_integers(op_type, inputs, attrs or {}):
            with forward.as_default(), forward.control_dependencies(None):
                return forward._add(op_type, inputs, attrs, forward.unique_name(op_type))
        return super()._add(op_type, inputs, attrs, name, control_inputs)


def _gives_integers(op_type: str, inputs: Sequence[Tensor], attrs: dict[str, Any]) -> bool:
    """Whether an operation without a gradient or a side effect makes nothing but integers."""
    definition = _core.op_def(op_type)
    if "no_gradient" not in definition.traits or "stateful" in definition.traits:
        return False
    types = {arg.type_attr: tensor.dtype for arg, tensor in zip(definition.inputs, inputs)}
    types |= {a.name: as_dtype(a.default) for a in definition.attrs if a.type == "type" and a.has_default}
    types |= {name: as_dtype(attrs[name]) for name in types if name in attrs}
    made = [as_dtype(arg.dtype) if arg.dtype else types.get(arg.type_attr) for arg in definition.outputs]
    return all(dtype is not None and dtype.is_integer for dtype in made)


# ---- conditions


class _Branch:
    """One branch of a conditional operation, and the function that differentiates it."""

    def __init__(self, op: Operation, function: str, grads: Sequence[Tensor | None]):
        name = new_function_name(op.graph, function)
        self.forward, self.results = func_graph_of(op.graph, function, name)
        self.backward = _Backward(new_function_name(op.graph, function + "_grad"), self.forward)
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


class _LoopBackward(_Backward):
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


class _LoopGradient:
    """The gradient of a loop: a loop that runs as many times, over what the forward loop has kept.

    Loop variables are named by their positions. An *invariant* one is passed on by the body as it is (what
    the body captured is), and its gradient is the sum over all iterations; a *carried* one gets another
    gradient in each.

        forward    i, x, w, | n,     lists    body, and: count, push what `backward` asked for
        backward   n, dx, dw,        lists    pop; dx = gradient of the body; dw = dw + gradient of the body
    """

    def __init__(self, op: Operation, grads: Sequence[Any]):
        self.op = op
        self.grads = grads
        body, cond = _function_attr(op, "body"), _function_attr(op, "cond")
        self.body, self.results = func_graph_of(op.graph, body, new_function_name(op.graph, body))
        self.cond, self.truth = func_graph_of(op.graph, cond, new_function_name(op.graph, cond))
        self.arguments = list(self.body.arguments)
        invariant = [i for i, (x, y) in enumerate(zip(self.arguments, self.results)) if x is y]
        self.invariants = set(invariant)
        self.sources = [i for i in invariant if is_trainable(self.arguments[i])]
        self.carried = _connected(
            [
                i
                for i, x in enumerate(self.arguments)
                if is_trainable(x) and i not in self.invariants and x.dtype.name != "resource"
            ],
            self.arguments,
            self.results,
            grads,
        )

    def make(self) -> list[Tensor | None]:
        """The gradients of the loop's inputs."""
        self._differentiate_body()
        iterations, lists = self._extend_forward()
        return self._spread(self._run_backward(iterations, lists))

    def _differentiate_body(self) -> None:
        """Builds one iteration of the backward loop."""
        invariants = {self.arguments[i] for i in self.invariants}
        name = new_function_name(self.op.graph, f"{self._name}_grad")
        backward = _LoopBackward(name, self.body, invariants)
        self.backward = backward
        step = backward.argument(np.int32, [], "iterations_left")
        d_out = [
            backward.argument(self.arguments[i].dtype, self.arguments[i].shape, "grad") for i in self.carried
        ]

        def differentiate() -> list[Tensor | None]:
            xs = [self.arguments[i] for i in self.carried + self.sources]
            return _input_gradients([self.results[i] for i in self.carried], xs, d_out)

        in_grads = build(backward, differentiate)
        of_sources = in_grads[len(self.carried) :]
        self.used = [i for i, grad in zip(self.sources, of_sources) if grad is not None]
        totals, sums = [], []
        with backward.as_default():
            for grad in of_sources:
                if grad is not None:
                    total = backward.argument(grad.dtype, grad.shape, "total")
                    totals.append(total)
                    sums.append(accumulated(total, grad))
            next_d = [
                raw.ZerosLike(d) if grad is None else backward._here(grad) for d, grad in zip(d_out, in_grads)
            ]
            next_step = raw.Sub(step, np.int32(1))
        self.state, self.next_state = [step, *d_out, *totals], [next_step, *next_d, *sums]

    @property
    def _name(self) -> str:
        return _function_attr(self.op, "body")

    def _extend_forward(self) -> tuple[Tensor, list[Tensor]]:
        """Makes the forward loop count its iterations and keep what was asked for; returns both."""
        op, body, saved = self.op, self.body, self.backward.saved
        with op.graph.as_default(), op.graph.control_dependencies(None), op.graph.name_scope("while_saved"):
            trips = _TripCount(op, self.cond, self.truth[0], self.arguments, self.results).count()
            inputs = [constant(0, np.int32, name="iterations")]
            for tensor in saved:
                shape = _element_shape(tensor)
                inputs.append(raw.EmptyTensorList(shape, trips, element_dtype=tensor.dtype))
        with body.as_default(), body.control_dependencies(None):
            counter = body.argument(np.int32, [], "iterations")
            kept = [body.argument("variant", [], "saved") for _ in saved]
            more = [raw.AddV2(counter, np.int32(1))]
            more += [raw.TensorListPushBack(values, tensor) for values, tensor in zip(kept, saved)]
        for tensor in [counter, *kept]:
            self.cond.argument(tensor.dtype, [], "unused")
        count = len(op.outputs)
        attrs = {
            "T": [tensor.dtype._number for tensor in [*op.inputs, *inputs]],
            "body": body.define([*self.results, *more]),
            "cond": self.cond.define(self.truth),
            "output_shapes": [],
        }
        iterations, *lists = extend(op, inputs, attrs)[: 1 + len(kept)]
        assert len(op.outputs) == count + 1 + len(kept)
        return iterations, lists

    def _run_backward(self, iterations: Tensor, lists: list[Tensor]) -> list[Tensor]:
        """Makes the backward loop; returns the gradients of the carried variables and the sums."""
        op, backward = self.op, self.backward
        outside = dict(zip(self.arguments, op.inputs))
        initial = [iterations]
        initial += [
            zeros_of(op.outputs[i]) if self.grads[i] is None else convert_to_tensor(self.grads[i])
            for i in self.carried
        ]
        initial += [zeros_of(op.inputs[i]) for i in self.used]
        initial += [*lists, *(outside[tensor] for tensor in backward.captured)]
        captured = [backward._inside[tensor] for tensor in backward.captured]
        backward.outer = op.graph
        body = backward.define(
            [*self.next_state, *backward.left, *captured], [*self.state, *backward.lists, *captured]
        )
        cond = FuncGraph(new_function_name(op.graph, f"{self._name}_grad_cond"), op.graph)
        for tensor in initial:
            cond.argument(tensor.dtype, tensor.shape, "arg")
        is_left = build(cond, lambda: raw.Greater(cond.arguments[0], np.int32(0)))
        cond_name = cond.define([is_left])
        if get_default_graph() is not op.graph:
            share(get_default_graph(), op.graph)
        made = list(raw.While(initial, T=[t.dtype for t in initial], cond=cond_name, body=body))
        return made[1 : len(self.state)]

    def _spread(self, made: list[Tensor]) -> list[Tensor | None]:
        """The gradient of each input, out of those that the backward loop has made."""
        in_grads: list[Tensor | None] = [None] * len(self.arguments)
        for i in self.sources:
            in_grads[i] = self.grads[i]
        for i, grad in zip(self.carried, made):
            in_grads[i] = grad
        for i, grad in zip(self.used, made[len(self.carried) :]):
            given = self.grads[i]
            in_grads[i] = grad if given is None else raw.AddN([grad, convert_to_tensor(given)])
        return in_grads


class _TripCount:
    """How often a loop will run, where its condition compares counters with limits: `i < n`, or several.

    A counter is a loop variable that the body adds a positive constant to, or subtracts one from; a limit is
    a constant, or a loop variable that stays as it is.
    """

    def __init__(
        self,
        op: Operation,
        cond: FuncGraph,
        truth: Tensor,
        arguments: Sequence[Tensor],
        results: Sequence[Tensor],
    ):
        self.op = op
        self.positions = {tensor: i for i, tensor in enumerate(cond.arguments)}
        self.truth = truth
        self.arguments = arguments
        self.results = results

    def count(self) -> Any:
        """An int32 scalar, -1 if the count is not known before the loop has run."""
        counts = []
        open_ = [self.truth]
        while open_:
            op = _behind_identities(open_.pop()).op
            if op.type == "LogicalAnd":
                open_.extend(op.inputs)
            elif op.type in ("Less", "Greater"):
                low, high = op.inputs if op.type == "Less" else reversed(op.inputs)
                count = self._up(low, high)
                if count is None:
                    count = self._down(low, high)
                if count is None:
                    return np.int32(-1)
                counts.append(count)
            elif constant_value(op.outputs[0]) is None or not constant_value(op.outputs[0]):
                return np.int32(-1)
        if not counts:
            return np.int32(-1)
        numbers = [np.int32(count) for count in counts if isinstance(count, int)]
        least = [min(numbers)] if numbers else []
        for tensor in counts:
            if isinstance(tensor, Tensor):
                least = [raw.Minimum(tensor, *least) if least else tensor]
        return least[0]

    def _up(self, counter: Tensor, limit: Tensor) -> Tensor | None:
        return self._distance(self._outside(limit), self._start(counter), self._stride(counter, 1))

    def _down(self, limit: Tensor, counter: Tensor) -> Tensor | None:
        return self._distance(self._start(counter), self._outside(limit), self._stride(counter, -1))

    def _distance(self, high: Any, low: Any, stride: int | None) -> Any:
        """The number of strides that lead from one to the other."""
        if high is None or low is None or stride is None:
            return None
        most = np.iinfo(np.int32).max
        known = constant_value(high), constant_value(low)
        if known[0] is not None and known[1] is not None:
            return min(max(-(-(int(known[0]) - int(known[1])) // stride), 0), most)
        far = raw.Sub(raw.Cast(high, DstT=np.int64), raw.Cast(low, DstT=np.int64))
        strides = raw.FloorDiv(raw.AddV2(far, np.int64(stride - 1)), np.int64(stride))
        return raw.Cast(raw.Minimum(raw.Maximum(strides, np.int64(0)), np.int64(most)), DstT=np.int32)

    def _outside(self, limit: Tensor) -> Any:
        """The tensor of the graph around that has the value of an unchanging tensor of the condition."""
        limit = _behind_identities(limit)
        if limit.op.type == "Const":
            return constant_value(limit)
        i = self.positions.get(limit)
        return None if i is None or self.results[i] is not self.arguments[i] else self.op.inputs[i]

    def _start(self, counter: Tensor) -> Tensor | None:
        i = self.positions.get(_behind_identities(counter))
        return None if i is None or counter.shape.ndims != 0 else self.op.inputs[i]

    def _stride(self, counter: Tensor, sign: int) -> int | None:
        """What the body adds to a loop variable, if it is a constant of this sign: its absolute value."""
        i = self.positions.get(_behind_identities(counter))
        if i is None or not counter.dtype.is_integer:
            return None
        op = _behind_identities(self.results[i]).op
        if op.type not in ("Add", "AddV2", "Sub"):
            return None
        a, b = (_behind_identities(tensor) for tensor in op.inputs)
        if b is self.arguments[i] and op.type != "Sub":
            a, b = b, a
        value = constant_value(b)
        if a is not self.arguments[i] or value is None or np.ndim(value) != 0:
            return None
        stride = sign * (-int(value) if op.type == "Sub" else int(value))
        return stride if stride > 0 else None


def _behind_identities(tensor: Tensor) -> Tensor:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


@RegisterGradient("While")
@RegisterGradient("StatelessWhile")
def _while(op: Operation, *grads: Any) -> list[Tensor | None]:
    return _LoopGradient(op, grads).make()


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
