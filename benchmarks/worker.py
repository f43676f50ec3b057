"""One peer in a process of its own: builds rows and times steps as the driver (run.py) asks.

Lines in: "build ROW" or "time SECONDS". Lines out: one JSON object each.
"""

import importlib
import json
import os
import resource
import sys
import time


def rows_of(peer: str):
    """{row: function that builds it} for a peer."""
    if peer == "headrace":
        from rows import graph

        import headrace as tf

        return {name: lambda build=build: with_graph(tf, build) for name, build in graph.ROWS.items()}
    if peer == "tensorflow":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        tf = importlib.import_module("tensorflow.compat.v1")
        tf.disable_eager_execution()
        tf.logging.set_verbosity(tf.logging.ERROR)
        from rows import graph

        return {name: lambda build=build: with_graph(tf, build) for name, build in graph.ROWS.items()}
    if peer in ("torch", "torch.compile"):
        from rows import pytorch

        return {
            name: lambda build=build: build(peer == "torch.compile") for name, build in pytorch.ROWS.items()
        }
    if peer == "jax":
        from rows import jax_jit

        return jax_jit.ROWS
    raise SystemExit(f"there is no peer {peer!r}")


def with_graph(tf, build):
    tf.reset_default_graph()
    return build(tf)


def main() -> None:
    start = time.perf_counter()
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever the peer prints
    rows = rows_of(sys.argv[1])
    say = lambda **fields: print(json.dumps(fields), file=answers, flush=True)  # noqa: E731
    say(import_s=time.perf_counter() - start)
    step = None
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        start = time.perf_counter()
        if command == "build":
            step = rows[argument]()
            step()
            first = time.perf_counter() - start
            for _ in range(2):
                step()
            say(first_step_s=first, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        else:
            times = []
            end = start + float(argument)
            while time.perf_counter() < end or len(times) < 3:
                begin = time.perf_counter()
                step()
                times.append(time.perf_counter() - begin)
            say(times_ms=[1000 * t for t in times])


if __name__ == "__main__":
    main()
