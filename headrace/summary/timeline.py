"""Traces of steps, for chrome://tracing and Perfetto."""

from __future__ import annotations

import json
import os
from typing import Any

from headrace.framework import protos

__all__ = ["Timeline", "profile"]


class Timeline:
    """What ran when in a step.

    Args:
      step_stats: the `StepStats` of a `RunMetadata` that `session.run` has filled.
      graph: the `Graph` that ran, to show what reads from what; or None.
    """

    def __init__(self, step_stats: Any, graph: Any = None):
        self._step_stats = step_stats
        self._graph = graph

    def generate_chrome_trace_format(self, show_dataflow: bool = True, show_memory: bool = False) -> str:
        """The trace as JSON: a process for each device, a thread for each of its lanes.

        Args:
          show_dataflow: with arrows from an operation to those that read it, if the graph was given.
          show_memory: with a curve for each device of the bytes that operations put out, counted from the
            first.
        """
        events: list[dict[str, Any]] = []
        ran: dict[str, dict[str, Any]] = {}
        for process, device in enumerate(self._step_stats.dev_stats):
            events.append(_named("process_name", device.device, process))
            lanes = sorted({node.thread_id for node in device.node_stats})
            events += [
                _named("thread_name", device.thread_names.get(lane, f"lane {lane}"), process, lane)
                for lane in lanes
            ]
            bytes_so_far = 0
            for node in device.node_stats:
                event = _execution(node, process)
                events.append(event)
                ran[node.node_name] = event
                bytes_so_far += event["args"]["bytes"]
                if show_memory:
                    end = event["ts"] + event["dur"]
                    events.append(
                        {"ph": "C", "name": "bytes put out", "pid": process, "ts": end}
                        | {"args": {"bytes": bytes_so_far}}
                    )
        if show_dataflow and self._graph is not None:
            events += self._arrows(ran)
        return json.dumps({"traceEvents": events}, indent=1)

    def _arrows(self, ran: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        arrows: list[dict[str, Any]] = []
        for name, reader in ran.items():
            try:
                inputs = self._graph.get_operation_by_name(name).inputs
            except KeyError:  # a node that the plan has made
                continue
            for tensor in inputs:
                writer = ran.get(tensor.op.name)
                if writer is None:
                    continue
                common = {"cat": "dataflow", "name": tensor.name, "id": len(arrows) // 2}
                start = {"ph": "s", "pid": writer["pid"], "tid": writer["tid"]}
                end = {"ph": "t", "pid": reader["pid"], "tid": reader["tid"]}
                arrows.append(common | start | {"ts": writer["ts"] + writer["dur"]})
                arrows.append(common | end | {"ts": reader["ts"]})
        return arrows


def _named(kind: str, name: str, process: int, thread: int | None = None) -> dict[str, Any]:
    event: dict[str, Any] = {"ph": "M", "name": kind, "pid": process, "args": {"name": name}}
    return event if thread is None else event | {"tid": thread}


def _execution(node: Any, process: int) -> dict[str, Any]:
    """The box of one execution. Times are microseconds, with a fraction."""
    start = node.all_start_nanos / 1000 or node.all_start_micros
    duration = node.all_end_rel_nanos / 1000 or node.all_end_rel_micros
    kind = node.timeline_label.partition(" = ")[2].partition("(")[0] or node.node_name
    size = sum(memory.total_bytes for memory in node.memory)
    return {
        "ph": "X",
        "cat": "Op",
        "name": kind,
        "pid": process,
        "tid": node.thread_id,
        "ts": start,
        "dur": duration,
        "args": {"name": node.node_name, "op": kind, "bytes": size},
    }


def profile(
    session: Any, fetches: Any, feed_dict: Any = None, path: str | os.PathLike[str] | None = None
) -> Any:
    """Runs a step, and says what it cost.

    Args:
      session: a session.
      fetches: as for `session.run`.
      feed_dict: as for `session.run`.
      path: a file to write the trace to, for chrome://tracing and Perfetto; none if None.

    Returns:
      A `RunMetadata` with the step's statistics.
    """
    metadata = protos.RunMetadata()
    options = protos.RunOptions(trace_level=protos.RunOptions.FULL_TRACE)
    session.run(fetches, feed_dict, options=options, run_metadata=metadata)
    if path is not None:
        trace = Timeline(metadata.step_stats, session.graph).generate_chrome_trace_format()
        with open(path, "w") as file:
            file.write(trace)
    return metadata
