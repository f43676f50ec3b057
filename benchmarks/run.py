"""Runs workloads on Headrace and its peers in alternation (A B A B), and prints what came of it.

    python benchmarks/run.py                                   every row, every peer that is installed
    python benchmarks/run.py --rows MLP LeNet --peers headrace tensorflow bound
    python benchmarks/run.py --peer-python /path/to/python     the interpreter that has the peers
    python benchmarks/run.py --busy                            beside a process on every core, too
    python benchmarks/run.py --profile --rows MLP              what Headrace spends a step on
    python benchmarks/run.py --json FILE --plot FILE           adds figures to those in FILE, and draws them

Each peer is a process of its own, so that their thread pools do not meet; only one works at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import select
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import report
from lines import ROWS

HERE = pathlib.Path(__file__).parent
PEERS = ["headrace", "tensorflow", "torch", "torch.compile", "jax", "bound"]
OURS = ("headrace", "bound")  # run in our own interpreter
# Compiled modules are kept, as they are wherever a package is installed.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class OverLimit(Exception):
    """A peer did not answer in time."""


class Peer:
    """A worker process that measures one peer."""

    def __init__(self, name: str, python: str, limit: float, errors: bool):
        self._limit = limit
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None if errors else subprocess.DEVNULL,
            text=True, start_new_session=True, env=ENVIRONMENT,
        )  # fmt: skip
        self.rows = self._answer()["rows"]
        self.import_s = time.perf_counter() - begin

    def _answer(self) -> dict:
        """The next line of the worker's, which writes one for each that it reads."""
        output = self._process.stdout
        if not select.select([output], [], [], self._limit)[0]:
            raise OverLimit
        line = output.readline()
        if not line:
            raise ChildProcessError("it ended")
        return json.loads(line)

    def ask(self, command: str) -> dict:
        print(command, file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """Ends the process and what it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@contextlib.contextmanager
def busy_cores() -> Iterator[None]:
    """A context in which a process on every core burns time."""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def start(row: str, options: argparse.Namespace) -> Iterator[tuple[str, Peer | None, dict]]:
    """(peer, its worker with the row built, what that took) of every peer that has the row."""
    for name in options.peers:
        worker = None
        python = sys.executable if name in OURS else options.peer_python
        try:
            worker = Peer(name, python, options.limit, options.errors)
            if row not in worker.rows:
                worker.close()
                continue
            yield name, worker, {"import_s": worker.import_s} | worker.ask(f"build {row}")
        except (ChildProcessError, OverLimit) as error:
            if worker:
                worker.close()
            limit = isinstance(error, OverLimit)
            yield name, None, {"failed": "over limit" if limit else "failed"}


def measure(row: str, options: argparse.Namespace) -> dict[str, dict]:
    """{peer: figures}: "ms" of a step, "busy_ms" beside other processes, "import_s"..."""
    running, results = {}, {}
    for name, worker, figures in start(row, options):
        results[name] = figures
        if worker:
            running[name] = worker

    def rounds() -> dict[str, float]:
        times: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(options.rounds):
            for name, worker in running.items():
                times[name] += worker.ask(f"time {options.seconds}")["times_ms"]
        return {name: statistics.median(taken) for name, taken in times.items()}

    try:
        for name, ms in rounds().items():
            results[name]["ms"] = ms
        if options.busy:
            with busy_cores():
                for name, ms in rounds().items():
                    results[name]["busy_ms"] = ms
        for name, worker in running.items():
            if options.profile and name in OURS:
                results[name] |= worker.ask("kinds")
            if results[name].pop("other"):
                try:
                    results[name] |= worker.ask("other")
                except (ChildProcessError, OverLimit):
                    print(f"{name}: another shape: failed or over limit", file=sys.stderr)
    finally:
        for worker in running.values():
            worker.close()
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="*", default=ROWS, choices=ROWS, metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS, metavar="PEER")
    parser.add_argument("--peer-python", default=os.environ.get("HEADRACE_PEER_PYTHON", sys.executable))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.7, help="for each peer and round")
    parser.add_argument("--limit", type=float, default=100, help="seconds that a peer may take for a step")
    parser.add_argument("--busy", action="store_true", help="measure beside other processes too")
    parser.add_argument("--profile", action="store_true", help="print what steps are spent on")
    parser.add_argument("--errors", action="store_true", help="show what workers print on stderr")
    parser.add_argument("--json", type=pathlib.Path, help="add all figures to those in this file")
    parser.add_argument("--plot", type=pathlib.Path, help="draw the workloads to this file")
    options = parser.parse_args()
    results = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())
    for row in options.rows:
        results.setdefault(row, {}).update(measure(row, options))
        shown = {peer: f.get("failed") or round(f["ms"], 4) for peer, f in results[row].items()}
        print(row, shown, file=sys.stderr, flush=True)
        if options.profile:
            print(report.profile(row, results[row]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))
    if not options.profile:
        print(report.tables(results))
    if options.plot:
        report.plot(results, options.plot)


if __name__ == "__main__":
    main()
