"""Moving averages of variables and tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from headrace.framework import dtypes
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    Tensor,
    add_to_collections,
    colocate_with,
    control_dependencies,
    get_collection,
    get_default_graph,
    name_scope,
)
from headrace.ops import control_flow, math
from headrace.ops import variable_scope as scopes
from headrace.ops.init import zeros_initializer
from headrace.ops.variables import Variable
from headrace.train import slot_creator

__all__ = ["ExponentialMovingAverage", "assign_moving_average", "weighted_moving_average"]


def assign_moving_average(
    variable: Variable, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Tensor:
    """Makes a variable follow a value: `variable -= (1 - decay) * (variable - value)`.

    Args:
        variable: What holds the average.
        value: What is averaged, of its shape.
        decay: Share of the average that stays in each step: a number or scalar tensor.
        zero_debias: Whether to divide by what an average that started at zero has taken in so far, as in
            Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980. Keeps two more variables, "biased" and
            "local_step".
        name: Name of the update.

    Returns:
        The average after the update.
    """
    with name_scope(name, "AssignMovingAvg") as scope, colocate_with(variable.op):
        rate = math.cast(1.0 - convert_to_tensor(decay, name="decay"), variable.dtype.base_dtype)
        if zero_debias:
            return _assign_debiased(variable, convert_to_tensor(value), rate, scope)
        return variable.assign_sub((variable.read_value() - value) * rate, name=scope)


def _assign_debiased(average: Variable, value: Tensor, rate: Tensor, scope: str) -> Tensor:
    """The same for an average that starts at zero: divided by 1 - decay**steps."""
    dtype = average.dtype.base_dtype
    with scopes.variable_scope(average.op.name):
        biased = scopes.get_variable(
            "biased", average.get_shape(), dtype, initializer=zeros_initializer(), trainable=False
        )
        steps = scopes.get_variable("local_step", [], dtype, initializer=zeros_initializer(), trainable=False)
    advance = [biased.assign_sub((biased.read_value() - value) * rate).op, steps.assign_add(1).op]
    with control_dependencies(advance):
        weight = 1 - math.pow(1 - rate, steps.read_value())
        return average.assign(biased.read_value() / weight, name=scope)


def weighted_moving_average(
    value: Tensor,
    decay: Any,
    weight: Any,
    truediv: bool = True,
    collections: Any = None,
    name: str | None = None,
) -> Tensor:
    """Returns the moving average of `value * weight` over that of `weight`.

    Args:
        value: What is averaged.
        decay: Share that stays in each step.
        weight: A tensor that broadcasts with `value`.
        truediv: Whether to divide integers as real numbers.
        collections: Where the two variables go, by default `GLOBAL_VARIABLES`.
        name: Name of the result.
    """
    collections = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
    with scopes.variable_scope(name, "WeightedMovingAvg", values=[value, weight, decay]) as scope:
        weight = convert_to_tensor(weight, dtype=value.dtype)
        averages = []
        for kind, followed in (("value", value * weight), ("weight", weight)):
            held = scopes.get_variable(
                kind,
                followed.get_shape(),
                followed.dtype,
                initializer=zeros_initializer(),
                trainable=False,
                collections=collections,
            )
            averages.append(assign_moving_average(held, followed, decay, zero_debias=False))
        divide = math.truediv if truediv else math.div
        return divide(averages[0], averages[1], name=scope.original_name_scope)


class ExponentialMovingAverage:
    """Keeps moving averages of variables and tensors: `average -= (1 - decay) * (average - value)`.

    Averages of parameters often do better in evaluation than the parameters at the end of training.

    Args:
        decay: Share of the average that stays in each step; near 1.
        num_updates: If given, the decay is `min(decay, (1 + num_updates) / (10 + num_updates))`, which lets
            averages move faster at the start.
        zero_debias: Whether averages of tensors, which start at zero, are freed from that bias.
        name: Name of the operations and of the variables that hold the averages.
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay = decay
        self._num_updates = num_updates
        self._zero_debias = zero_debias
        self._name = name
        self._averages: dict[Any, Variable] = {}

    @property
    def name(self) -> str:
        """The name that was given."""
        return self._name

    def apply(self, var_list: Iterable[Variable | Tensor] | None = None) -> Operation:
        """Makes the operation that updates the averages, and the variables that hold them.

        Args:
            var_list: Variables and tensors, by default all trainable variables. Averages of variables start
                at their initial values, those of tensors at zero.

        Returns:
            The operation that updates all averages.

        Raises:
            TypeError: If something is not floating.
            ValueError: If the average of something is kept already.
        """
        items = get_collection(GraphKeys.TRAINABLE_VARIABLES) if var_list is None else list(var_list)
        debiased = set()
        with control_dependencies(None):
            for item in items:
                dtype = item.dtype.base_dtype
                if dtype not in (dtypes.bfloat16, dtypes.float16, dtypes.float32, dtypes.float64):
                    raise TypeError(f"{item.name!r} is {dtype.name}; averages are kept of floating values")
                key = self._key(item)
                if key in self._averages:
                    raise ValueError(
                        f"the average of {item.name!r} is kept already; call apply once for each"
                    )
                if isinstance(item, Variable):
                    average = slot_creator.create_slot(item, item.initialized_value(), self._name)
                    add_to_collections([GraphKeys.MOVING_AVERAGE_VARIABLES], item)
                else:
                    average = slot_creator.create_zeros_slot(item, self._name)
                    if self._zero_debias:
                        debiased.add(key)
                self._averages[key] = average
        with name_scope(self._name) as scope:
            decay = convert_to_tensor(self._decay, name="decay")
            if self._num_updates is not None:
                updates = math.cast(self._num_updates, dtypes.float32, name="num_updates")
                decay = math.minimum(decay, (1.0 + updates) / (10.0 + updates))
            made = [
                assign_moving_average(self._averages[key], item, decay, zero_debias=key in debiased).op
                for key, item in ((self._key(item), item) for item in items)
            ]
            return control_flow.group(*made, name=scope)

    def average(self, var: Variable | Tensor) -> Variable | None:
        """Returns the variable that holds the average of `var`, None if there is none."""
        return self._averages.get(self._key(var))

    def average_name(self, var: Variable | Tensor) -> str:
        """Returns the name of the variable that holds the average of `var`, or that would."""
        held = self.average(var)
        if held is not None:
            return held.op.name
        return get_default_graph().unique_name(var.op.name + "/" + self._name, mark_as_used=False)

    def variables_to_restore(
        self, moving_avg_variables: Iterable[Variable] | None = None
    ) -> dict[str, Variable]:
        """Returns what to read from a checkpoint to evaluate with averages.

        Args:
            moving_avg_variables: Variables to replace by their averages, by default those that are trainable
                and those that have averages.

        Returns:
            Names in the checkpoint and the variables that they go to: for a variable with an average, the
            average's.
        """
        if moving_avg_variables is None:
            averaged = [
                *get_collection(GraphKeys.TRAINABLE_VARIABLES),
                *get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES),
            ]
        else:
            averaged = list(moving_avg_variables)
        names = {self.average_name(var): var for var in averaged}
        taken = {var.op.name for var in averaged}
        for var in get_collection(GraphKeys.GLOBAL_VARIABLES):
            if var.op.name not in taken and var.op.name not in names:
                names[var.op.name] = var
        return names

    @staticmethod
    def _key(item: Variable | Tensor) -> Any:
        return item.graph, item.name
