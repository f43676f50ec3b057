"""Synchronous training: an update waits for the gradients of several workers."""

from __future__ import annotations

from typing import Any

from headrace.framework import dtypes
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    Tensor,
    colocate_with,
    control_dependencies,
    name_scope,
)
from headrace.framework.indexed_slices import IndexedSlices
from headrace.ops import array, control_flow, math, variables
from headrace.ops.accumulator import ConditionalAccumulator, SparseConditionalAccumulator
from headrace.ops.queue import FIFOQueue
from headrace.train.optimizer import Gradient, Optimizer
from headrace.train.queue_runner import QueueRunner

__all__ = ["SyncReplicasOptimizer"]


class SyncReplicasOptimizer(Optimizer):
    """Waits for the gradients of several workers, applies their mean, and lets the workers go on.

    A worker adds its gradients to accumulators, stamped with the step that they are of, and waits for a
    token. The chief's queue runner takes the mean as soon as enough of them have come, applies it, and gives
    out tokens that tell the new step. Gradients that come late are dropped by their stamps, so that a slow
    worker holds up nobody where more workers run than are waited for.

        worker 1 ── gradients of step 7 ──▶ ┌─────────────┐ enough? mean
        worker 2 ── gradients of step 7 ──▶ │ accumulator │ ─────────────▶ update, step 8
        worker 3 ── gradients of step 6 ──x └─────────────┘                      │
           ▲                                                                     │
           └────────────────── tokens that say 8 ◀── queue ◀─────────────────────┘

    The scheme is that of Chen et al., "Revisiting Distributed Synchronous SGD", 2016.

    Args:
      opt: computes and applies the gradients.
      replicas_to_aggregate: how many gradients of each variable an update waits for.
      total_num_replicas: how many workers there are; the same number if None. A larger number makes the rest
        spare ones; with a smaller one workers go around more than once for an update.
      variable_averages: an `ExponentialMovingAverage` to be updated after each step, or None.
      variables_to_average: what it averages.
      use_locking: kept as an attribute of the update operations.
      name: of the optimizer.

    Attributes:
      local_step_init_op: tells a worker the step; made by `apply_gradients`.
      chief_init_op: the same for the chief, and the accumulators with it; made by `apply_gradients`.
      ready_for_local_init_op: names of variables that the chief has not initialised yet.
    """

    local_step_init_op: Operation
    chief_init_op: Operation
    ready_for_local_init_op: Tensor

    def __init__(
        self,
        opt: Optimizer,
        replicas_to_aggregate: int,
        total_num_replicas: int | None = None,
        variable_averages: Any = None,
        variables_to_average: Any = None,
        use_locking: bool = False,
        name: str = "sync_replicas",
    ):
        super().__init__(use_locking, name)
        self._opt = opt
        self._replicas_to_aggregate = replicas_to_aggregate
        self._total_num_replicas = replicas_to_aggregate if total_num_replicas is None else total_num_replicas
        # Workers that outnumber what is waited for each need one, and so do gradients that are waited for.
        self._tokens_per_step = max(self._total_num_replicas, replicas_to_aggregate)
        self._variable_averages = variable_averages
        self._variables_to_average = variables_to_average
        self._accumulators: list[ConditionalAccumulator | SparseConditionalAccumulator] = []
        self._chief_queue_runner: QueueRunner | None = None
        self._tokens: FIFOQueue | None = None
        self._global_step: Any = None

    def compute_gradients(self, *args: Any, **kwargs: Any) -> Any:
        """The gradients, as `opt` computes them."""
        return self._opt.compute_gradients(*args, **kwargs)

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Operation:
        """Adds a worker's gradients, and waits until it may go on.

        Args:
          grads_and_vars: what `compute_gradients` returned.
          global_step: the variable that counts updates.
          name: of the operation.

        Raises:
          ValueError: if there are no gradients, or no global step to stamp them with.
        """
        grads_and_vars = list(grads_and_vars)
        if not grads_and_vars:
            raise ValueError("there are no gradients to apply")
        if global_step is None:
            raise ValueError("global_step is None; gradients are stamped with the step, so give its variable")
        self._global_step = global_step
        step_dtype = global_step.dtype.base_dtype
        local_step = variables.Variable(
            array.zeros([], step_dtype),
            trainable=False,
            collections=[GraphKeys.LOCAL_VARIABLES],
            name="sync_rep_local_step",
        )
        self.local_step_init_op = local_step.assign(global_step.read_value()).op
        self.ready_for_local_init_op = variables.report_uninitialized_variables(variables.global_variables())
        added: list[Operation] = []
        means: list[tuple[Gradient | None, Any]] = []
        with name_scope(None, self._name):
            stamp = math.cast(local_step.read_value(), dtypes.int64)
            for grad, variable in grads_and_vars:
                means.append((self._accumulate(grad, variable, stamp, added), variable))
            self.chief_init_op = control_flow.group(
                self.local_step_init_op,
                *(
                    one.set_global_step(math.cast(global_step.read_value(), dtypes.int64))
                    for one in self._accumulators
                ),
            )
            tokens = self._tokens = FIFOQueue(
                -1, step_dtype, shapes=[[]], shared_name="sync_token_q", name="sync_token_q"
            )
            with control_dependencies(added):
                token = tokens.dequeue()
            train_op = local_step.assign(token, name=name).op
            updated = self._opt.apply_gradients(means, global_step)
            if self._variable_averages is not None:
                with control_dependencies([updated]):
                    updated = self._variable_averages.apply(self._variables_to_average)
            with control_dependencies([updated]):
                give = tokens.enqueue_many(array.fill([self._tokens_per_step], global_step.read_value()))
            # The runner closes a queue of its own in the end, and leaves the workers' tokens alone.
            unused = FIFOQueue(1, dtypes.int32, shapes=[[]], shared_name="dummy_queue", name="dummy_queue")
            self._chief_queue_runner = QueueRunner(unused, [give])
        return train_op

    def _accumulate(self, grad: Gradient | None, variable: Any, stamp: Tensor, added: list[Operation]) -> Any:
        """Adds a gradient to its variable's accumulator; returns the mean of as many as are waited for."""
        if grad is None:
            return None
        shared_name = f"{variable.name}/grad_accum"
        with colocate_with(variable.handle):
            if isinstance(grad, IndexedSlices):
                rows = SparseConditionalAccumulator(grad.dtype, shape=variable.shape, shared_name=shared_name)
                self._accumulators.append(rows)
                added.append(rows.apply_indexed_slices_grad(grad, stamp))
                return rows.take_indexed_slices_grad(self._replicas_to_aggregate)
            whole = ConditionalAccumulator(grad.dtype, shape=variable.shape, shared_name=shared_name)
            self._accumulators.append(whole)
            added.append(whole.apply_grad(grad, stamp))
            return whole.take_grad(self._replicas_to_aggregate)

    def get_chief_queue_runner(self) -> QueueRunner:
        """What applies the means and gives out tokens: to be started by the chief only.

        Raises:
          ValueError: before `apply_gradients`.
        """
        if self._chief_queue_runner is None:
            raise ValueError("there is nothing to run yet; call apply_gradients first")
        return self._chief_queue_runner

    def get_init_tokens_op(self, num_tokens: int = -1) -> Operation:
        """Gives out the first tokens: to be run by the chief, once the variables have their values.

        Args:
          num_tokens: how many; -1 for as many as gradients are waited for.

        Raises:
          ValueError: before `apply_gradients`, or if too few are asked for, so that no update could ever
            happen.
        """
        if self._tokens is None:
            raise ValueError("there are no tokens yet; call apply_gradients first")
        needed = self._replicas_to_aggregate - self._total_num_replicas
        if num_tokens == -1:
            num_tokens = self._replicas_to_aggregate
        elif num_tokens < needed:
            raise ValueError(
                f"num_tokens is {num_tokens}; {self._total_num_replicas} workers need at least {needed} to "
                f"give {self._replicas_to_aggregate} gradients"
            )
        if num_tokens <= 0:
            return control_flow.no_op(name="no_init_tokens")
        return self._tokens.enqueue_many(array.fill([num_tokens], self._global_step.read_value()))

    def get_slot(self, *args: Any, **kwargs: Any) -> Any:
        """A slot of `opt`."""
        return self._opt.get_slot(*args, **kwargs)

    def get_slot_names(self, *args: Any, **kwargs: Any) -> list[str]:
        """The names of the slots of `opt`."""
        return self._opt.get_slot_names(*args, **kwargs)

    def variables(self) -> list[Any]:
        """The variables of `opt`."""
        return self._opt.variables()
