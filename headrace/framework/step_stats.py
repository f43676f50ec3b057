"""What a traced step tells of itself: the parts of a `RunMetadata`."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from headrace.framework import protos
from headrace.framework.graph import Graph, Operation


class Output(NamedTuple):
    """What one execution of a node has put out."""

    dtype: int
    shape: tuple[int | None, ...] | None
    bytes: int
    in_arena: bool  # memory that the plan uses again and again

    def describe(self, into: Any) -> None:
        """Writes dtype and shape into a message."""
        into.dtype = self.dtype
        if self.shape is None:
            into.shape.unknown_rank = True
        for size in self.shape or ():
            into.shape.dim.add(size=-1 if size is None else size)


class Event(NamedTuple):
    """One execution of a node of a plan, as the core tells it."""

    node: str
    op: str
    device: str
    start_ns: int
    end_ns: int
    lane: int
    outputs: Sequence[Any]

    @property
    def described(self) -> list[Output]:
        """What it has put out."""
        return [Output(*output) for output in self.outputs]

    @property
    def bytes(self) -> int:
        """The size of all that it has put out."""
        return sum(output.bytes for output in self.described)


def in_order(trace: Sequence[Any]) -> list[Event]:
    """The core's trace, by the time when things began."""
    return sorted((Event(*event) for event in trace), key=operator.attrgetter("start_ns"))


def _graph_name(graph: Graph, name: str) -> str:
    """The node of the graph whose work a node of the plan does: "a/b" for "a/b/fused"."""
    if graph._core.find(name) >= 0:
        return name
    parent = name.rpartition("/")[0]
    return parent if parent and graph._core.find(parent) >= 0 else name


def step_stats(events: Sequence[Event], graph: Graph) -> Any:
    """A StepStats message; what the plan has made is under the name of a graph's node."""
    stats = protos.StepStats()
    devices: dict[str, Any] = {}
    for event in events:
        if event.device not in devices:
            devices[event.device] = stats.dev_stats.add(device=event.device)
        took = event.end_ns - event.start_ns
        entry = devices[event.device].node_stats.add(
            node_name=_graph_name(graph, event.node),
            timeline_label=f"{event.node} = {event.op}",
            all_start_micros=event.start_ns // 1000,
            all_start_nanos=event.start_ns,
            scheduled_micros=event.start_ns // 1000,
            scheduled_nanos=event.start_ns,
            op_end_rel_micros=took // 1000,
            op_end_rel_nanos=took,
            all_end_rel_micros=took // 1000,
            all_end_rel_nanos=took,
            thread_id=event.lane,
        )
        entry.memory.add(allocator_name="cpu", total_bytes=event.bytes)
        for slot, output in enumerate(event.described):
            told = entry.output.add(slot=slot).tensor_description
            output.describe(told)
            told.allocation_description.allocator_name = "arena" if output.in_arena else "cpu"
            told.allocation_description.requested_bytes = output.bytes
            told.allocation_description.allocated_bytes = output.bytes
    return stats


def _ran(events: Sequence[Event], graph: Graph) -> dict[str, tuple[Operation | None, list[Event]]]:
    """For each node that ran, in the order of their first runs: the operation, and its runs.

    A node of a function's body is no operation of the graph: None.
    """
    ran: dict[str, tuple[Operation | None, list[Event]]] = {}
    for event in events:
        name = _graph_name(graph, event.node)
        if name not in ran:
            id = graph._core.find(name)
            ran[name] = (None if id < 0 else graph._operation(id), [])
        ran[name][1].append(event)
    return ran


def cost_graph(events: Sequence[Event], graph: Graph) -> Any:
    """What the nodes that ran cost together, as a CostGraphDef message. Times are microseconds."""
    cost = protos.CostGraphDef()
    ran = _ran(events, graph)
    ids = {name: id for id, name in enumerate(ran)}
    for name, (op, runs) in ran.items():
        time = sum(event.end_ns - event.start_ns for event in runs) // 1000
        node = cost.node.add(
            name=name, device=runs[0].device, id=ids[name], compute_cost=time, compute_time=time
        )
        if op is not None:
            for tensor in op.inputs:
                if tensor.op.name in ids:
                    node.input_info.add(preceding_node=ids[tensor.op.name], preceding_port=tensor.value_index)
            node.control_input.extend(ids[before.name] for before in op.control_inputs if before.name in ids)
        for output in runs[-1].described:
            info = node.output_info.add(alias_input_port=-1, size=output.bytes)
            output.describe(info)
    return cost


def partition_graphs(pieces: Sequence[Any], events: Sequence[Event], graph: Graph) -> list[Any]:
    """The pieces of plans that ran, as the passes have left them, a GraphDef message each.

    A piece begins where values come from outside, at nodes of the operation `_Arg`. Nodes that ran tell the
    shapes of their outputs in "_output_shapes".
    """
    ran = {(event.node, event.op): event for event in events}
    made = []
    for device, nodes in pieces:
        part = protos.GraphDef()
        for name, label, inputs in nodes:
            node = part.node.add(name=name, op=label.partition("(")[0], device=device)
            id = graph._core.find(name)
            if id >= 0 and graph._operation(id).type == node.op:
                node.MergeFrom(protos.NodeDef(attr=graph._operation(id).node_def.attr))
            if label != node.op:
                node.attr["_label"].s = label.encode()
            for other, index in inputs:
                node.input.append(f"^{other}" if index < 0 else f"{other}:{index}" if index else other)
            if (name, label) in ran:
                shapes = node.attr["_output_shapes"].list.shape
                shapes.extend(_shape(output) for output in ran[name, label].described)
        made.append(part)
    return made


def _shape(output: Output) -> Any:
    told = protos.TensorDescription()
    output.describe(told)
    return told.shape
