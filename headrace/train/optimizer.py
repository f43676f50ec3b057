"""What all optimizers share: gradients in, updates of variables out, and the slots in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    add_to_collection,
    colocate_with,
    control_dependencies,
    get_collection,
    get_collection_ref,
    get_default_graph,
    name_scope,
)
from headrace.framework.indexed_slices import IndexedSlices
from headrace.gradients.engine import gradients
from headrace.ops import array, control_flow, math
from headrace.ops.variables import Variable
from headrace.train import slot_creator

__all__ = ["Optimizer"]

Gradient = Tensor | IndexedSlices
GradientsAndVariables = list[tuple[Gradient | None, Variable]]


def sum_duplicates(values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Sums the rows of `values` that have the same index; returns the sums and their indices, each once."""
    unique, positions = raw.Unique(indices)
    count = array.shape(unique)[0]
    return raw.UnsortedSegmentSum(values, positions, count), unique


def _depth(cls: type, *hooks: str) -> int:
    """How many classes one climbs from `cls` to the first that defines one of the hooks."""
    return next(i for i, base in enumerate(cls.__mro__) if any(hook in vars(base) for hook in hooks))


class Optimizer:
    """Base class of optimizers: computes gradients of a loss and applies them to variables.

    A subclass overrides `_resource_apply_dense` and `_resource_apply_sparse` (or `_apply_dense` and
    `_apply_sparse`; the most derived of the two forms is called), `_create_slots` for variables of its own
    that go with each variable (`_zeros_slot`, `_get_or_make_slot`), `_prepare` for tensors that all updates
    share, and `_finish` for what happens after them.

    Args:
        use_locking: Kept as an attribute of the update operations. Updates always hold their variables'
            locks.
        name: Name of the optimizer: of its name scope and of its slot variables.

    Raises:
        ValueError: If the name is empty.
    """

    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("an optimizer needs a name that is not empty")
        self._name = name
        self._use_locking = use_locking
        self._slots: dict[str, dict[Any, Variable]] = {}
        self._non_slot_dict: dict[tuple[str, Graph], Variable] = {}

    def get_name(self) -> str:
        """Returns the name that was given."""
        return self._name

    def minimize(
        self,
        loss: Tensor,
        global_step: Variable | None = None,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Tensor | None = None,
    ) -> Operation:
        """Makes the operation of one training step: `compute_gradients`, then `apply_gradients`.

        Args:
            loss: What to minimise. If it is not a scalar, the sum of its elements is.
            global_step: Integer variable to increase by one after the updates.
            var_list: Variables to change; by default all trainable ones.
            gate_gradients: `GATE_NONE`, `GATE_OP` or `GATE_GRAPH`: how much must be computed before any is
                used.
            aggregation_method: How gradients that meet are added, see `AggregationMethod`.
            colocate_gradients_with_ops: Whether to place gradients with the operations that they belong to.
            name: Name of the operation, by default the optimizer's.
            grad_loss: Gradient of the loss to start from, by default ones.

        Returns:
            The operation; run it to make a step.

        Raises:
            ValueError: If no variable has a gradient.
        """
        grads_and_vars = self.compute_gradients(
            loss,
            var_list=var_list,
            gate_gradients=gate_gradients,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
            grad_loss=grad_loss,
        )
        if all(grad is None for grad, _ in grads_and_vars):
            names = [var.name for _, var in grads_and_vars]
            raise ValueError(
                f"no variable has a gradient: the loss {loss.name!r} does not depend on any of {names} "
                "through differentiable operations; check what it is computed from"
            )
        return self.apply_gradients(grads_and_vars, global_step=global_step, name=name)

    def compute_gradients(
        self,
        loss: Tensor | Callable[[], Tensor],
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Tensor | None = None,
    ) -> GradientsAndVariables:
        """Differentiates the loss; the first half of `minimize`, whose arguments see.

        Returns:
            Pairs of (gradient, variable). The gradient is a tensor, `IndexedSlices`, or None where the loss
            does not depend on the variable.

        Raises:
            TypeError: If something in `var_list` is no variable.
            ValueError: If there are no variables, or an argument has a bad value.
        """
        if callable(loss) and not isinstance(loss, Tensor):
            loss = loss()
        if gate_gradients not in (Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH):
            raise ValueError(
                f"gate_gradients is {gate_gradients!r}; pass Optimizer.GATE_NONE, GATE_OP or GATE_GRAPH"
            )
        self._assert_valid_dtypes([loss])
        if grad_loss is not None:
            self._assert_valid_dtypes([grad_loss])
        variables = get_collection(GraphKeys.TRAINABLE_VARIABLES) if var_list is None else _flatten(var_list)
        if not variables:
            raise ValueError("there are no variables to optimize; make some before, or pass var_list")
        for var in variables:
            if not isinstance(var, (Variable, Tensor)):
                raise TypeError(f"{var!r} in var_list is a {type(var).__name__}; pass variables")
        grads = gradients(
            loss,
            variables,
            grad_ys=grad_loss,
            gate_gradients=gate_gradients == Optimizer.GATE_OP,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
        )
        if gate_gradients == Optimizer.GATE_GRAPH:
            grads = control_flow.tuple(grads)
        pairs = list(zip(grads, variables))
        self._assert_valid_dtypes([var for grad, var in pairs if grad is not None])
        return pairs

    def apply_gradients(
        self,
        grads_and_vars: Iterable[tuple[Any, Variable]],
        global_step: Variable | None = None,
        name: str | None = None,
    ) -> Operation:
        """Makes the operation that changes variables by their gradients; the second half of `minimize`.

        Args:
            grads_and_vars: Pairs as `compute_gradients` returns; pairs with None are passed over.
            global_step: Integer variable to increase by one after the updates.
            name: Name of the operation, by default the optimizer's.

        Returns:
            The operation that makes all updates.

        Raises:
            TypeError: If a gradient cannot be converted to a tensor.
            ValueError: If there are no variables, or none has a gradient.
        """
        pairs = [(_as_gradient(grad), var) for grad, var in grads_and_vars]
        if not pairs:
            raise ValueError("there are no variables to update; pass pairs of (gradient, variable)")
        variables = [var for grad, var in pairs if grad is not None]
        if not variables:
            raise ValueError(f"none of the variables {[var.name for _, var in pairs]} has a gradient")
        with control_dependencies(None):
            self._create_slots(variables)
        with name_scope(name, self._name) as scope:
            self._prepare()
            updates = []
            for grad, var in pairs:
                if grad is None:
                    continue
                with name_scope("update_" + var.op.name), colocate_with(var.op):
                    updates.append(self._update(grad, var))
            if global_step is None:
                train_op = self._finish(updates, scope)
            else:
                with control_dependencies([self._finish(updates, "update")]), colocate_with(global_step.op):
                    one = convert_to_tensor(1, dtype=global_step.dtype, name="value")
                    train_op = raw.AssignAddVariableOp(global_step.handle, one, name=scope)
        if train_op not in get_collection_ref(GraphKeys.TRAIN_OP):
            add_to_collection(GraphKeys.TRAIN_OP, train_op)
        return train_op

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """Returns the slot `name` of a variable (see `get_slot_names`), None if there is none."""
        return self._slots.get(name, {}).get(_var_key(var))

    def get_slot_names(self) -> list[str]:
        """Returns the sorted names of the slots that this optimizer has made."""
        return sorted(self._slots)

    def variables(self) -> list[Variable]:
        """Returns the optimizer's own variables in the default graph, slots and others, sorted by name."""
        graph = get_default_graph()
        own = [
            *self._non_slot_dict.values(),
            *(slot for slots in self._slots.values() for slot in slots.values()),
        ]
        return sorted((var for var in own if var.graph is graph), key=lambda var: var.name)

    # ---- hooks for subclasses

    def _valid_dtypes(self) -> set[dtypes.DType]:
        """The dtypes of losses, variables and gradients that this optimizer accepts."""
        return {dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64}

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        """Makes the slots of these variables, those that are not there yet."""

    def _prepare(self) -> None:
        """Makes what all updates of one `apply_gradients` share, such as the learning rate as a tensor."""

    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        """Makes the operation that updates a variable by a gradient of its shape."""
        raise NotImplementedError(f"{type(self).__name__} has neither _apply_dense nor _resource_apply_dense")

    def _resource_apply_dense(self, grad: Tensor, handle: Variable) -> Operation:
        """Makes the operation that updates a variable by a gradient of its shape."""
        return self._apply_dense(grad, handle)

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Variable) -> Operation:
        """Like `_apply_sparse`, where the same index may occur several times."""
        values, indices = sum_duplicates(grad.values, grad.indices)
        return self._apply_sparse(IndexedSlices(values, indices, grad.dense_shape), var)

    def _apply_sparse(self, grad: IndexedSlices, var: Variable) -> Operation:
        """Makes the operation that updates those rows of a variable for which there is a gradient."""
        raise NotImplementedError(
            f"{type(self).__name__} has neither _apply_sparse nor _resource_apply_sparse: it cannot use "
            "gradients that are IndexedSlices"
        )

    def _resource_apply_sparse_duplicate_indices(
        self, grad: Tensor, handle: Variable, indices: Tensor
    ) -> Operation:
        """Like `_resource_apply_sparse`, where the same index may occur several times."""
        values, unique = sum_duplicates(grad, indices)
        return self._resource_apply_sparse(values, handle, unique)

    def _resource_apply_sparse(self, grad: Tensor, handle: Variable, indices: Tensor) -> Operation:
        """Makes the operation that updates rows `indices` of a variable by the rows of `grad`."""
        return self._apply_sparse(IndexedSlices(grad, indices), handle)

    def _finish(self, update_ops: Sequence[Operation | Tensor], name_scope: str) -> Operation:
        """Makes the operation of this name that waits for all updates, and does what comes after them."""
        return control_flow.group(*update_ops, name=name_scope)

    # ---- help for subclasses

    def _call_if_callable(self, param: Any) -> Any:
        """A hyperparameter, or what it returns if it is a function."""
        return param() if callable(param) and not isinstance(param, (Tensor, Variable)) else param

    def _slot_dict(self, slot_name: str) -> dict[Any, Variable]:
        return self._slots.setdefault(slot_name, {})

    def _get_or_make_slot(self, var: Variable, val: Any, slot_name: str, op_name: str) -> Variable:
        """The slot `slot_name` of a variable, made with initial value `val` and named after `op_name`."""
        slots = self._slot_dict(slot_name)
        if _var_key(var) not in slots:
            slots[_var_key(var)] = slot_creator.create_slot(var, val, op_name)
        return slots[_var_key(var)]

    def _get_or_make_slot_with_initializer(
        self, var: Variable, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Variable:
        """The slot `slot_name` of a variable, made by an initializer and named after `op_name`."""
        slots = self._slot_dict(slot_name)
        if _var_key(var) not in slots:
            slots[_var_key(var)] = slot_creator.create_slot_with_initializer(
                var, initializer, shape, dtype, op_name
            )
        return slots[_var_key(var)]

    def _zeros_slot(self, var: Variable, slot_name: str, op_name: str) -> Variable:
        """The slot `slot_name` of a variable, made with zeros and named after `op_name`."""
        slots = self._slot_dict(slot_name)
        if _var_key(var) not in slots:
            slots[_var_key(var)] = slot_creator.create_zeros_slot(var, op_name)
        return slots[_var_key(var)]

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Variable) -> Variable:
        """A variable of the optimizer itself, one for each graph."""
        key = (name, colocate_with.graph)
        if key not in self._non_slot_dict:
            with _colocated(colocate_with):
                self._non_slot_dict[key] = Variable(initial_value, name=name, trainable=False)
        return self._non_slot_dict[key]

    def _get_non_slot_variable(self, name: str, graph: Graph | None = None) -> Variable:
        return self._non_slot_dict[name, graph or get_default_graph()]

    def _non_slot_variables(self) -> Iterable[Variable]:
        return self._non_slot_dict.values()

    def _assert_valid_dtypes(self, tensors: Iterable[Any]) -> None:
        valid = self._valid_dtypes()
        for tensor in tensors:
            dtype = tensor.dtype.base_dtype
            if dtype not in valid:
                expected = ", ".join(sorted(v.name for v in valid))
                raise ValueError(f"{tensor.name!r} is {dtype.name}; an optimizer can use {expected}")

    def _update(self, grad: Gradient, var: Variable) -> Operation | Tensor:
        """One variable's update, by the hook that the subclass chose to override."""
        if not isinstance(var, Variable):
            raise NotImplementedError(
                f"{var!r} is a tensor, not a variable: it has a gradient, but no update"
            )
        cls = type(self)
        if isinstance(grad, IndexedSlices):
            if var.constraint is not None:
                raise RuntimeError(
                    f"variable {var.name!r} has a constraint, which a sparse gradient cannot respect"
                )
            plain = _depth(cls, "_apply_sparse", "_apply_sparse_duplicate_indices")
            resource = _depth(cls, "_resource_apply_sparse", "_resource_apply_sparse_duplicate_indices")
            if plain < resource:
                return self._apply_sparse_duplicate_indices(grad, var)
            return self._resource_apply_sparse_duplicate_indices(grad.values, var, grad.indices)
        if _depth(cls, "_apply_dense") < _depth(cls, "_resource_apply_dense"):
            update = self._apply_dense(grad, var)
        else:
            update = self._resource_apply_dense(grad, var)
        if var.constraint is None:
            return update
        with control_dependencies([update]):
            return var.assign(var.constraint(var.read_value())).op


class RuleOptimizer(Optimizer):
    """Its update is one operation: `ResourceApply<rule>`, `ResourceSparseApply<rule>` for rows.

    A subclass says which, in class attributes, and keeps the hyperparameters as attributes of its own.
    """

    # The rule's name in the operations.
    _rule: ClassVar[str]
    # Inputs of the operation that are slots, and the names of these.
    _slot_inputs: ClassVar[dict[str, str]] = {}
    # Inputs of the operation that are scalars: the attribute with the hyperparameter, the constant's name.
    _scalar_inputs: ClassVar[dict[str, tuple[str, str]]] = {}
    # What is appended to the attribute for the one that holds the tensor.
    _tensor_suffix: ClassVar[str] = "_tensor"
    # What the operation calls the gradient.
    _grad_input: ClassVar[str] = "grad"

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            for slot in self._slot_inputs.values():
                self._zeros_slot(var, slot, self._name)

    def _prepare(self) -> None:
        for attribute, name in self._scalar_inputs.values():
            value = self._call_if_callable(getattr(self, attribute))
            setattr(self, attribute + self._tensor_suffix, convert_to_tensor(value, name=name))

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        """All inputs of the operation but the gradient, and its attributes."""
        slots = {name: self.get_slot(var, slot) for name, slot in self._slot_inputs.items()}
        scalars = {
            name: math.cast(getattr(self, attribute + self._tensor_suffix), dtype)
            for name, (attribute, _) in self._scalar_inputs.items()
        }
        handles = {name: slot.handle for name, slot in slots.items() if slot is not None}
        return {"var": var.handle, **handles, **scalars, "use_locking": self._use_locking}

    def _resource_apply_dense(self, grad: Tensor, handle: Variable) -> Operation:
        inputs = self._rule_inputs(handle, grad.dtype.base_dtype)
        return getattr(raw, "ResourceApply" + self._rule)(**inputs, **{self._grad_input: grad})

    def _resource_apply_sparse(self, grad: Tensor, handle: Variable, indices: Tensor) -> Operation:
        inputs = self._rule_inputs(handle, grad.dtype.base_dtype)
        return getattr(raw, "ResourceSparseApply" + self._rule)(**inputs, grad=grad, indices=indices)

    # The same under the names that subclasses of the time before resource variables call through super().
    def _apply_dense(self, grad: Tensor, var: Variable) -> Operation:
        return RuleOptimizer._resource_apply_dense(self, grad, var)

    def _apply_sparse(self, grad: IndexedSlices, var: Variable) -> Operation:
        return RuleOptimizer._resource_apply_sparse(self, grad.values, var, grad.indices)


def _var_key(var: Variable) -> Any:
    return var.graph, var.op.name


def _colocated(var: Variable) -> Any:
    return colocate_with(var.op)


def _flatten(var_list: Any) -> list[Any]:
    if isinstance(var_list, dict):
        var_list = [var_list[key] for key in sorted(var_list)]
    if isinstance(var_list, (list, tuple)):
        return [var for item in var_list for var in _flatten(item)]
    return [var_list]


def _as_gradient(grad: Any) -> Gradient | None:
    if grad is None or isinstance(grad, (Tensor, IndexedSlices)):
        return grad
    try:
        return convert_to_tensor(grad)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the gradient {grad!r} is neither a tensor nor IndexedSlices nor None") from error
