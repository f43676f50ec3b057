"""Runs workloads on Headrace and its peers in alternation (A B A B), and prints medians and ratios.

    python benchmarks/run.py                                   every row, every peer that is installed
    python benchmarks/run.py --rows MLP LeNet --peers headrace tensorflow
    python benchmarks/run.py --peer-python /path/to/python     the interpreter that has the peers

Each peer is a process of its own, so that their thread pools do not meet; only one works at a time.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PEERS = ["headrace", "tensorflow", "torch", "torch.compile", "jax"]
ROWS = [
    "matmul 1024",
    "elementwise 4M",
    "linear regression",
    "MLP",
    "LeNet",
    "ResNet-50 inference 1",
    "ResNet-50 inference 8",
    "ResNet-50 training 8",
    "LSTM",
    "transformer",
]
# Arithmetic or memory bound in ms on the machine of the first table (AVX-512, 2 cores); see README.md.
BOUND = dict(zip(ROWS, [9.2, 1.3, None, 1.8, 19, 35, 280, 870, 17, 88]))


class Peer:
    def __init__(self, name: str, python: str):
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.import_s = self._answer()["import_s"]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise ChildProcessError
        return json.loads(line)

    def ask(self, command: str) -> dict:
        print(command, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(
    row: str, peers: list[str], pythons: dict[str, str], rounds: int, seconds: float
) -> dict[str, dict]:
    """{peer: {"median_ms", "first_step_s", "peak_mb"}}, without the peers that cannot run."""
    running, results = {}, {}
    for name in peers:
        try:
            running[name] = Peer(name, pythons[name])
            results[name] = running[name].ask(f"build {row}") | {"times": []}
        except ChildProcessError:
            print(f"  {name}: could not run {row}", file=sys.stderr)
            running.pop(name, None)
            results.pop(name, None)
    for _ in range(rounds):
        for name, peer in running.items():
            results[name]["times"] += peer.ask(f"time {seconds}")["times_ms"]
    for peer in running.values():
        peer.close()
    return {name: {"median_ms": statistics.median(r.pop("times"))} | r for name, r in results.items()}


def table(results: dict[str, dict[str, dict]], peers: list[str]) -> str:
    """Markdown: medians in ms, and Headrace's as a multiple of the best peer's (below 1 is ahead)."""
    lines = ["| workload | " + " | ".join(peers) + " | ours / best peer | bound |"]
    lines.append("|---" * (len(peers) + 3) + "|")
    for row, by_peer in results.items():
        cells = [f"{by_peer[p]['median_ms']:.4g}" if p in by_peer else "—" for p in peers]
        others = [by_peer[p]["median_ms"] for p in peers if p != "headrace" and p in by_peer]
        ratio = (
            f"{by_peer['headrace']['median_ms'] / min(others):.2f}"
            if "headrace" in by_peer and others
            else "—"
        )
        lines.append(f"| {row} | " + " | ".join(cells) + f" | {ratio} | {BOUND[row] or '—'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS, metavar="ROW")
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS, metavar="PEER")
    parser.add_argument("--peer-python", default=os.environ.get("HEADRACE_PEER_PYTHON", sys.executable))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each peer and round")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures here too")
    options = parser.parse_args()
    pythons = {name: sys.executable if name == "headrace" else options.peer_python for name in PEERS}
    results = {}
    for row in options.rows:
        results[row] = measure(row, options.peers, pythons, options.rounds, options.seconds)
        print(row, {name: round(r["median_ms"], 4) for name, r in results[row].items()}, file=sys.stderr)
    print(f"Medians in ms, {datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores\n")
    print(table(results, options.peers))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
