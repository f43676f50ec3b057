"""One peer in a process of its own: builds rows and runs their steps as the driver (run.py) asks.

First line out: how long the import took, and which rows the peer has. Then, for each line in, one out:

    build ROW      builds the row and runs three steps
    time SECONDS   runs steps for so long
    other          runs steps on inputs of other shapes
    kinds          says what one step spends on what (headrace and the bound)
"""

import collections
import importlib
import json
import os
import resource
import statistics
import sys
import time

# What is measured at once takes at least this long, so that looking at the clock counts for nothing.
SHORTEST = 1e-4


def rows_of(peer: str):
    """{row: function that builds it} for a peer."""
    if peer in ("headrace", "tensorflow"):
        from rows import graph

        if peer == "headrace":
            tf = importlib.import_module("headrace")
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
            tf = importlib.import_module("tensorflow.compat.v1")
            tf.disable_eager_execution()
            tf.logging.set_verbosity(tf.logging.ERROR)
        return {name: lambda build=build: build(tf) for name, build in graph.ROWS.items()}
    if peer in ("torch", "torch.compile"):
        from rows import pytorch

        return {
            name: lambda build=build: build(peer == "torch.compile") for name, build in pytorch.ROWS.items()
        }
    if peer == "jax":
        from rows import jax_jit

        return jax_jit.ROWS
    if peer == "bound":
        importlib.import_module("headrace._wait_policy")  # threads are to wait for each other alike
        from rows import bound

        return bound.ROWS
    raise SystemExit(f"there is no peer {peer!r}")


def run_for(step, seconds: float) -> list[float]:
    """What steps take in ms, at least three of them; of short ones, the means of several."""
    times, count = [], 1
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        for _ in range(count):
            step()
        took = time.perf_counter() - begin
        if took < SHORTEST:
            count *= 2
            times.clear()
        else:
            times.append(1e3 * took / count)
    return times


def timed(step) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def kinds_of(step) -> dict:
    """What a step spends on what, the middle one of five: {kind: [how often, ms, bytes written]}."""
    if hasattr(step, "kinds"):
        return {"kinds": {kind: [1, ms, 0] for kind, ms in step.kinds().items()}}
    traces = sorted((step.trace() for _ in range(5)), key=span)
    kinds = collections.defaultdict(lambda: [0, 0.0, 0])
    for kind, begin, end, written in traces[2]:
        kinds[kind] = [a + b for a, b in zip(kinds[kind], (1, end - begin, written))]
    return {"kinds": kinds, "plan_ms": span(traces[2])}


def span(trace) -> float:
    return max(end for _, _, end, _ in trace) - min(begin for _, begin, _, _ in trace)


def main() -> None:
    begin = time.perf_counter()
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever the peer prints
    rows = rows_of(sys.argv[1])
    say = lambda **fields: print(json.dumps(fields), file=answers, flush=True)  # noqa: E731
    say(import_s=time.perf_counter() - begin, rows=list(rows))
    step = None
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        if command == "build":
            begin = time.perf_counter()
            step = rows[argument]()
            build_s = time.perf_counter() - begin
            first_s = timed(step)
            step(), step()
            peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            say(build_s=build_s, first_s=first_s, peak_mb=peak_mb, other=hasattr(step, "other"))
        elif command == "time":
            say(times_ms=run_for(step, float(argument)))
        elif command == "other":
            first_s = timed(step.other)
            say(other_shape_s=first_s - statistics.median(timed(step.other) for _ in range(3)))
        else:
            say(**kinds_of(step))


if __name__ == "__main__":
    main()
