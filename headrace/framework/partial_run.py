"""A step in several calls: each node is computed at most once over all of them.

Each call runs, of the graph that its fetches need, only what no earlier call ran. Tensors that cross from one
call to a later one are fetched along, kept, and fed to it.
"""

from __future__ import annotations

from typing import Any

from headrace.framework import errors
from headrace.framework.fetches import FetchPlan, expand_feeds, feed_tensor
from headrace.framework.graph import Operation, Tensor


class PartialRun:
    """The state of one partial run of a session (a `BaseSession`)."""

    def __init__(self, session: Any, fetches: Any, feeds: list[Any]):
        self._session = session
        self._graph = session.graph
        self._announced = FetchPlan(self._graph, fetches)
        self._feedable = {feed_tensor(self._graph, feed) for feed in feeds}
        self._fed: set[Tensor] = set()
        self._ran: set[Operation] = set()
        self._values: dict[Tensor, Any] = {}  # what was fed or computed
        # What the whole step computes: only that can cross between calls.
        self._whole = self._needed([t.op for t in self._announced.tensors if t not in self._feedable])
        self._whole |= self._needed(self._announced.targets)

    def run(self, fetches: Any, feed_dict: Any) -> Any:
        """One call of the step."""
        plan = FetchPlan(self._graph, fetches)
        pairs = expand_feeds(self._graph, feed_dict)
        self._check(plan, [tensor for tensor, _ in pairs])
        for tensor, value in pairs:
            self._fed.add(tensor)
            self._values[tensor] = value
        wanted = [tensor for tensor in plan.tensors if tensor not in self._values]
        new = self._needed([tensor.op for tensor in wanted] + plan.targets) - self._ran
        for op in new:
            for tensor in op.inputs:
                if tensor in self._feedable and tensor not in self._fed:
                    raise errors.InvalidArgumentError(
                        None,
                        op,
                        f"'{op.name}' needs {tensor.name}, which is announced but has not been fed yet",
                    )
        crossing = [
            tensor
            for op in new
            for tensor in op.outputs
            if tensor not in self._feedable and self._is_read_later(tensor, new)
        ]
        read = {tensor for op in new for tensor in op.inputs} & self._values.keys()
        # Only what is new may run as a target; a control input that ran before must not run again.
        stale = [op for each in new for op in each.control_inputs if op in self._ran]
        computed = self._run_new(list(dict.fromkeys(wanted + crossing)), plan.targets, read, stale)
        self._values.update(computed)
        self._ran |= new
        return plan.build([self._values[tensor] for tensor in plan.tensors])

    def _run_new(
        self, tensors: list[Tensor], targets: list[Operation], read: set[Tensor], stale: list[Operation]
    ) -> dict[Tensor, Any]:
        targets = [op for op in targets if op not in self._ran]
        if not tensors and not targets:
            return {}
        feeds = {tensor: self._values[tensor] for tensor in read}
        # Feeding one output of an operation cuts it off, whatever it is for.
        for op in stale:
            feeds.update((tensor, self._values[tensor]) for tensor in op.outputs if tensor in self._values)
        values = self._session.run([tensors, targets], feeds)[0]
        return dict(zip(tensors, values))

    def _check(self, plan: FetchPlan, fed: list[Tensor]) -> None:
        for tensor in fed:
            if tensor not in self._feedable:
                raise errors.InvalidArgumentError(
                    None, tensor.op, f"{tensor.name} was not announced to partial_run_setup as a feed"
                )
            if tensor in self._fed:
                raise errors.InvalidArgumentError(None, tensor.op, f"{tensor.name} has been fed already")
        elements: list[Tensor | Operation] = [*plan.tensors, *plan.targets]
        for element in elements:
            if element not in self._announced.tensors and element not in self._announced.targets:
                raise errors.InvalidArgumentError(
                    None, None, f"{element.name} was not announced to partial_run_setup as a fetch"
                )

    def _needed(self, ops: list[Operation]) -> set[Operation]:
        """What has to run for these, up to what is fed."""
        needed: set[Operation] = set()
        pending = list(ops)
        while pending:
            op = pending.pop()
            if op in needed:
                continue
            needed.add(op)
            pending += [tensor.op for tensor in op.inputs if tensor not in self._feedable]
            pending += op.control_inputs
        return needed

    def _is_read_later(self, tensor: Tensor, now: set[Operation]) -> bool:
        later = self._whole - now - self._ran
        return tensor in self._announced.tensors or any(op in later for op in tensor.consumers())
