"""The optimizers. Each is one update rule; the rules themselves are operations (core/kernels/train.cc)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from headrace.framework import dtypes, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.graph import Operation, Tensor, colocate_with, control_dependencies
from headrace.framework.indexed_slices import IndexedSlices
from headrace.ops import array, control_flow, math
from headrace.ops.init import constant_initializer, ones_initializer
from headrace.ops.variables import Variable
from headrace.train.optimizer import Optimizer, RuleOptimizer

__all__ = [
    "AdadeltaOptimizer",
    "AdagradDAOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
]


class GradientDescentOptimizer(RuleOptimizer):
    """Gradient descent: `w -= learning_rate * g`.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
    """

    _rule = "GradientDescent"
    _scalar_inputs: ClassVar = {"alpha": ("_learning_rate", "learning_rate")}
    _grad_input = "delta"
    _learning_rate_tensor: Tensor

    def __init__(self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent") -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _scatter(self, values: Tensor, var: Variable, indices: Tensor) -> Operation:
        rate = math.cast(self._learning_rate_tensor, values.dtype.base_dtype)
        return raw.ResourceScatterAdd(var.handle, indices, -values * rate)

    # Adding needs no sum over duplicates first.
    def _resource_apply_sparse_duplicate_indices(
        self, grad: Tensor, handle: Variable, indices: Tensor
    ) -> Operation:
        return self._scatter(grad, handle, indices)

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Variable) -> Operation:
        return self._scatter(grad.values, var, grad.indices)


class MomentumOptimizer(RuleOptimizer):
    """Gradient descent with momentum: `a = momentum * a + g; w -= learning_rate * a`.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        momentum: Share of the last step that is kept: likewise.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
        use_nesterov: Whether to look ahead: `w -= learning_rate * (g + momentum * a)`, as in Sutskever et
            al., 2013, http://proceedings.mlr.press/v28/sutskever13.pdf.
    """

    _rule = "Momentum"
    _slot_inputs: ClassVar = {"accum": "momentum"}
    _scalar_inputs: ClassVar = {
        "lr": ("_learning_rate", "learning_rate"),
        "momentum": ("_momentum", "momentum"),
    }

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._momentum = momentum
        self._use_nesterov = use_nesterov

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        return {**super()._rule_inputs(var, dtype), "use_nesterov": self._use_nesterov}


class AdagradOptimizer(RuleOptimizer):
    """Adagrad (Duchi et al., 2011, https://jmlr.org/papers/v12/duchi11a.html).

    `a += g**2; w -= learning_rate * g / sqrt(a)`.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        initial_accumulator_value: Where `a` starts; must be positive.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.

    Raises:
        ValueError: If `initial_accumulator_value` is not positive.
    """

    _rule = "Adagrad"
    _slot_inputs: ClassVar = {"accum": "accumulator"}
    _scalar_inputs: ClassVar = {"lr": ("_learning_rate", "learning_rate")}

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        _require_positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_accumulator_value = initial_accumulator_value

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            _filled_slot(self, var, "accumulator", self._initial_accumulator_value)


class AdagradDAOptimizer(RuleOptimizer):
    """Adagrad with dual averaging and l1, l2 penalties, for sparse linear models (Duchi et al., 2011).

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        global_step: Variable that counts the steps.
        initial_gradient_squared_accumulator_value: Where the sum of squared gradients starts; must be
            positive.
        l1_regularization_strength: Penalty on absolute values.
        l2_regularization_strength: Penalty on squares.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.

    Raises:
        ValueError: If `initial_gradient_squared_accumulator_value` is not positive.
    """

    _rule = "AdagradDA"
    _slot_inputs: ClassVar = {
        "gradient_accumulator": "gradient_accumulator",
        "gradient_squared_accumulator": "gradient_squared_accumulator",
    }
    _scalar_inputs: ClassVar = {
        "lr": ("_learning_rate", "learning_rate"),
        "l1": ("_l1_regularization_strength", "l1_regularization_strength"),
        "l2": ("_l2_regularization_strength", "l2_regularization_strength"),
    }

    def __init__(
        self,
        learning_rate: Any,
        global_step: Variable,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:
        _require_positive(
            "initial_gradient_squared_accumulator_value", initial_gradient_squared_accumulator_value
        )
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_gradient_squared_accumulator_value = initial_gradient_squared_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._global_step = global_step

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            _filled_slot(self, var, "gradient_accumulator", 0.0)
            _filled_slot(
                self, var, "gradient_squared_accumulator", self._initial_gradient_squared_accumulator_value
            )

    def _prepare(self) -> None:
        super()._prepare()
        # The step that is being made; the variable still counts those before.
        self._step = math.cast(array.identity(self._global_step), dtypes.int64) + 1

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        return {**super()._rule_inputs(var, dtype), "global_step": self._step}


class AdadeltaOptimizer(RuleOptimizer):
    """Adadelta (Zeiler, 2012, https://arxiv.org/abs/1212.5701).

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either. 1 is the
            paper's.
        rho: Decay of the mean squares.
        epsilon: Added to them under the roots.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
    """

    _rule = "Adadelta"
    _slot_inputs: ClassVar = {"accum": "accum", "accum_update": "accum_update"}
    _scalar_inputs: ClassVar = {
        "lr": ("_lr", "lr"),
        "rho": ("_rho", "rho"),
        "epsilon": ("_epsilon", "epsilon"),
    }
    _tensor_suffix = "_t"

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr = learning_rate
        self._rho = rho
        self._epsilon = epsilon


class AdamOptimizer(RuleOptimizer):
    """Adam (Kingma and Ba, 2014, https://arxiv.org/abs/1412.6980).

    In step t: `m += (1 - beta1) * (g - m); v += (1 - beta2) * (g**2 - v)`, then
    `w -= learning_rate * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + epsilon)`.

    A sparse gradient counts as zero where it has no row: m and v decay there, and the variable moves by m.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        beta1: Decay of the mean gradient: likewise.
        beta2: Decay of the mean squared gradient: likewise.
        epsilon: Added to the root; the "epsilon hat" of the paper's section 2.1.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
    """

    _rule = "Adam"
    _slot_inputs: ClassVar = {"m": "m", "v": "v"}
    _scalar_inputs: ClassVar = {
        "lr": ("_lr", "learning_rate"),
        "beta1": ("_beta1", "beta1"),
        "beta2": ("_beta2", "beta2"),
        "epsilon": ("_epsilon", "epsilon"),
    }
    _tensor_suffix = "_t"
    _lr_t: Tensor
    _beta1_t: Tensor
    _beta2_t: Tensor
    _epsilon_t: Tensor

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr = learning_rate
        self._beta1 = beta1
        self._beta2 = beta2
        self._epsilon = epsilon

    def _get_beta_accumulators(self) -> tuple[Variable, Variable]:
        """The variables that hold beta1**t and beta2**t for the step t to come."""
        return self._get_non_slot_variable("beta1_power"), self._get_non_slot_variable("beta2_power")

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        # The powers live with the first variable by name, wherever the list starts.
        first = min(var_list, key=lambda var: var.name)
        self._create_non_slot_variable(self._call_if_callable(self._beta1), "beta1_power", first)
        self._create_non_slot_variable(self._call_if_callable(self._beta2), "beta2_power", first)
        super()._create_slots(var_list)

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        beta1_power, beta2_power = (math.cast(power, dtype) for power in self._get_beta_accumulators())
        return {**super()._rule_inputs(var, dtype), "beta1_power": beta1_power, "beta2_power": beta2_power}

    def _sparse(self, grad: Tensor, var: Variable, indices: Tensor) -> Operation:
        dtype = var.dtype.base_dtype
        beta1_power, beta2_power = (math.cast(power, dtype) for power in self._get_beta_accumulators())
        lr, beta1, beta2, epsilon = (
            math.cast(x, dtype) for x in (self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t)
        )
        rate = lr * math.sqrt(1 - beta2_power) / (1 - beta1_power)
        m = self._decay_and_add(self.get_slot(var, "m"), beta1, grad * (1 - beta1), indices)
        v = self._decay_and_add(self.get_slot(var, "v"), beta2, grad * grad * (1 - beta2), indices)
        return raw.AssignSubVariableOp(var.handle, rate * m / (math.sqrt(v) + epsilon))

    def _decay_and_add(self, slot: Variable | None, decay: Tensor, rows: Tensor, indices: Tensor) -> Tensor:
        """Multiplies a slot, adds rows to it, and reads it."""
        assert slot is not None
        decayed = raw.AssignVariableOp(slot.handle, slot.read_value() * decay)
        with control_dependencies([decayed]):
            added = raw.ResourceScatterAdd(slot.handle, indices, rows)
        with control_dependencies([added]):
            return slot.read_value()

    def _resource_apply_sparse(self, grad: Tensor, handle: Variable, indices: Tensor) -> Operation:
        return self._sparse(grad, handle, indices)

    def _apply_sparse(self, grad: IndexedSlices, var: Variable) -> Operation:
        return self._sparse(grad.values, var, grad.indices)

    def _finish(self, update_ops: Sequence[Operation | Tensor], name_scope: str) -> Operation:
        powers = self._get_beta_accumulators()
        with control_dependencies(update_ops), colocate_with(powers[0].op):
            advance = [
                raw.AssignVariableOp(
                    power.handle, power.read_value() * math.cast(beta, power.dtype.base_dtype)
                )
                for power, beta in zip(powers, (self._beta1_t, self._beta2_t))
            ]
        return control_flow.group(*update_ops, *advance, name=name_scope)


class RMSPropOptimizer(RuleOptimizer):
    """RMSProp (Tieleman and Hinton, 2012, http://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf).

    `s = decay * s + (1 - decay) * g**2; a = momentum * a + learning_rate * g / sqrt(s + epsilon); w -= a`.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        decay: Decay of the mean squared gradient.
        momentum: Share of the last step that is kept.
        epsilon: Added to the mean square.
        use_locking: Kept as an attribute; updates always hold the lock.
        centered: Whether to divide by the standard deviation in place of the root mean square, as in Graves,
            2013, https://arxiv.org/abs/1308.0850.
        name: Name of the optimizer.
    """

    _slot_inputs: ClassVar = {"ms": "rms", "mom": "momentum"}
    _scalar_inputs: ClassVar = {
        "lr": ("_learning_rate", "learning_rate"),
        "rho": ("_decay", "decay"),
        "momentum": ("_momentum", "momentum"),
        "epsilon": ("_epsilon", "epsilon"),
    }

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._decay = decay
        self._momentum = momentum
        self._epsilon = epsilon
        self._centered = centered

    @property
    def _rule(self) -> str:  # type: ignore[override]
        return "CenteredRMSProp" if self._centered else "RMSProp"

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            self._get_or_make_slot_with_initializer(
                var, ones_initializer(), var.get_shape(), var.dtype.base_dtype, "rms", self._name
            )
            if self._centered:
                self._zeros_slot(var, "mg", self._name)
            self._zeros_slot(var, "momentum", self._name)

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        inputs = super()._rule_inputs(var, dtype)
        mean = self.get_slot(var, "mg")
        return inputs if mean is None else {**inputs, "mg": mean.handle}


class FtrlOptimizer(RuleOptimizer):
    """Follow the regularised leader (McMahan et al., 2013, https://research.google/pubs/pub41159/).

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        learning_rate_power: How the step size falls with the sum of squared gradients; not positive. -0.5 is
            Adagrad's way, 0 keeps it fixed.
        initial_accumulator_value: Where the sum of squared gradients starts; not negative.
        l1_regularization_strength: Penalty on absolute values; not negative.
        l2_regularization_strength: Penalty on squares; not negative. It stabilises.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
        accum_name: Name of the variables that hold the sums of squared gradients, by default `name`.
        linear_name: Name of the variables that hold the linear terms, by default `name`.
        l2_shrinkage_regularization_strength: Penalty on the squares of the variables as they are in each
            step; not negative. It shrinks.

    Raises:
        ValueError: If one of the arguments has the wrong sign.
    """

    _slot_inputs: ClassVar = {"accum": "accum", "linear": "linear"}
    _scalar_inputs: ClassVar = {
        "lr": ("_learning_rate", "learning_rate"),
        "l1": ("_l1_regularization_strength", "l1_regularization_strength"),
        "l2": ("_l2_regularization_strength", "l2_regularization_strength"),
        "l2_shrinkage": ("_l2_shrinkage_regularization_strength", "l2_shrinkage_regularization_strength"),
        "lr_power": ("_learning_rate_power", "learning_rate_power"),
    }

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: Any = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:
        super().__init__(use_locking, name)
        _require_not_negative("initial_accumulator_value", initial_accumulator_value)
        _require_not_negative("l1_regularization_strength", l1_regularization_strength)
        _require_not_negative("l2_regularization_strength", l2_regularization_strength)
        _require_not_negative("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength)
        if not callable(learning_rate_power) and not isinstance(learning_rate_power, Tensor):
            _require_not_negative("-learning_rate_power", -learning_rate_power)
        self._learning_rate = learning_rate
        self._learning_rate_power = learning_rate_power
        self._initial_accumulator_value = initial_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self._accum_name = accum_name
        self._linear_name = linear_name

    @property
    def _rule(self) -> str:  # type: ignore[override]
        return "FtrlV2" if self._l2_shrinkage_regularization_strength > 0 else "Ftrl"

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            _filled_slot(self, var, "accum", self._initial_accumulator_value, self._accum_name)
            self._zeros_slot(var, "linear", self._linear_name or self._name)

    def _rule_inputs(self, var: Variable, dtype: dtypes.DType) -> dict[str, Any]:
        inputs = super()._rule_inputs(var, dtype)
        if self._rule == "Ftrl":
            del inputs["l2_shrinkage"]
        return inputs


class ProximalGradientDescentOptimizer(RuleOptimizer):
    """Gradient descent with l1 and l2 penalties by forward-backward splitting (Duchi and Singer, 2009).

    See https://papers.nips.cc/paper/3793-efficient-learning-using-forward-backward-splitting.pdf.

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        l1_regularization_strength: Penalty on absolute values.
        l2_regularization_strength: Penalty on squares.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.
    """

    _rule = "ProximalGradientDescent"
    _scalar_inputs: ClassVar = {
        "alpha": ("_learning_rate", "learning_rate"),
        "l1": ("_l1_regularization_strength", "l1_regularization_strength"),
        "l2": ("_l2_regularization_strength", "l2_regularization_strength"),
    }
    _grad_input = "delta"

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength


class ProximalAdagradOptimizer(RuleOptimizer):
    """Adagrad with l1 and l2 penalties by forward-backward splitting (Duchi and Singer, 2009).

    Args:
        learning_rate: Step size: a number, a scalar tensor, or a function that returns either.
        initial_accumulator_value: Where the sum of squared gradients starts; must be positive.
        l1_regularization_strength: Penalty on absolute values.
        l2_regularization_strength: Penalty on squares.
        use_locking: Kept as an attribute; updates always hold the lock.
        name: Name of the optimizer.

    Raises:
        ValueError: If `initial_accumulator_value` is not positive.
    """

    _rule = "ProximalAdagrad"
    _slot_inputs: ClassVar = {"accum": "accumulator"}
    _scalar_inputs: ClassVar = {
        "lr": ("_learning_rate", "learning_rate"),
        "l1": ("_l1_regularization_strength", "l1_regularization_strength"),
        "l2": ("_l2_regularization_strength", "l2_regularization_strength"),
    }

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        _require_positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_accumulator_value = initial_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        for var in var_list:
            _filled_slot(self, var, "accumulator", self._initial_accumulator_value)


def _filled_slot(
    optimizer: Optimizer, var: Variable, slot_name: str, value: float, op_name: str | None = None
) -> Variable:
    """The slot of a variable, made with `value` everywhere."""
    dtype = var.dtype.base_dtype
    name = op_name or optimizer.get_name()
    if var.get_shape().is_fully_defined():
        return optimizer._get_or_make_slot_with_initializer(
            var, constant_initializer(value, dtype=dtype), var.get_shape(), dtype, slot_name, name
        )
    filled = array.fill(array.shape(var.initialized_value()), convert_to_tensor(value, dtype=dtype))
    return optimizer._get_or_make_slot(var, filled, slot_name, name)


def _require_positive(name: str, value: float) -> None:
    if value <= 0.0:
        raise ValueError(f"{name} is {value}; it must be positive")


def _require_not_negative(name: str, value: float) -> None:
    if value < 0.0:
        raise ValueError(f"{name} is {value}; it must not be negative")
