"""How threads should wait for each other: measures settings of GNU OpenMP on idle and on busy cores.

A parallel loop ends when its last thread does. Threads that wait may spin, which is quick to go on but keeps
a core from whoever has work to do (perhaps the very thread that is waited for), or sleep, which costs a
system call and a wake-up for each loop. Run it where nothing else runs:

    python benchmarks/wait_policy.py

Each setting gets a process of its own, with none, one and two others that only burn time beside it, and
prints medians and 90th percentiles in ms of three products of matrices: large (1024), middling (128 x 784 x
512), and of 100 small ones in a row (64 x 64), by `Session.run`. The README's table was made by this.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

SETTINGS: dict[str, dict[str, str]] = {
    "GNU's default": {"GOMP_SPINCOUNT": "300000"},
    "active": {"OMP_WAIT_POLICY": "active"},
    "passive": {"OMP_WAIT_POLICY": "passive"},
    "1,000 turns": {"GOMP_SPINCOUNT": "1000"},
    "2,000 turns": {"GOMP_SPINCOUNT": "2000"},
    "5,000 turns": {"GOMP_SPINCOUNT": "5000"},
    "10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "30,000 turns": {"GOMP_SPINCOUNT": "30000"},
    "one thread": {"HEADRACE_NUM_THREADS": "1"},
}
OURS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "HEADRACE_NUM_THREADS")


def measure(seconds: float) -> dict[str, list[float]]:
    """Runs in the measured process: {workload: [median, 90th percentile]} in ms."""
    import headrace as tf

    def chain(x: tf.Tensor, w: tf.Tensor, length: int) -> tf.Tensor:
        for _ in range(length):
            x = tf.matmul(x, w)
        return x

    shapes = {"large": (1024, 1024, 1024, 1), "middling": (128, 784, 512, 1), "small": (64, 64, 64, 100)}
    results = {}
    for name, (m, k, n, length) in shapes.items():
        with tf.Graph().as_default():
            x, w = (tf.placeholder(tf.float32, shape) for shape in ((m, k), (k, n)))
            y = chain(x, w, length)
            with tf.Session() as session:
                run = session.make_callable(y, [x, w])
                arrays = np.full((m, k), 1e-3, np.float32), np.full((k, n), 1e-3, np.float32)
                run(*arrays)
                times = []
                end = time.perf_counter() + seconds
                while time.perf_counter() < end or len(times) < 5:
                    start = time.perf_counter()
                    run(*arrays)
                    times.append((time.perf_counter() - start) * 1e3)
        results[name] = [float(np.median(times)), float(np.percentile(times, 90))]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0, help="for each workload")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("settings", nargs="*", help=f"out of {', '.join(SETTINGS)}; by default all")
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.seconds)))
        return
    print(f"| others | setting | {' | '.join(f'{w} median | p90' for w in ('large', 'middling', 'small'))} |")
    print("|---|---|" + "---|" * 6)
    for others in (0, 1, 2):
        burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(others)]
        try:
            for name in options.settings or SETTINGS:
                env = {k: v for k, v in os.environ.items() if k not in OURS} | SETTINGS[name]
                command = [sys.executable, __file__, "--worker", "--seconds", str(options.seconds)]
                found = json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
                cells = " | ".join(f"{v:.3g}" for pair in found.values() for v in pair)
                print(f"| {others} | {name} | {cells} |", flush=True)
        finally:
            for burner in burners:
                burner.kill()


if __name__ == "__main__":
    main()
