"""How much of a stream of steps with ever new shapes goes into planning.

    python benchmarks/data_dependent.py [steps]

Batch sizes, sequence lengths and the contents that shapes depend on are random: a few batches that come again
and again, and then ever new ones. Prints, for each thousand steps, how many specialisations were planned, how
many are kept, the resident memory, and the time of steps that planned something as a share of all.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from tests.framework.data_dependent_stream import Stream


def resident_mb() -> float:
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main(steps: int) -> None:
    for common in (True, False):
        print("Batches that come again:" if common else "Ever new ones:")
        report(Stream(common), steps)


def report(stream: Stream, steps: int) -> None:
    print("steps | planned | kept | resident MB | median ms | share of planning")
    for start in range(0, steps, 1000):
        times, extra, before = [], 0.0, stream.planned()
        for _ in range(min(1000, steps - start)):
            planned = stream.planned()
            begin = time.perf_counter()
            stream.step()
            took = time.perf_counter() - begin
            if stream.planned() == planned:
                times.append(took)
            else:
                extra += took
        typical = sorted(times)[len(times) // 2] if times else 0.0
        share = extra / (extra + sum(times))
        print(
            f"{start + 1000:5d} | {stream.planned() - before:7d} | {stream.kept():4d} | {resident_mb():8.1f} "
            f"| {1e3 * typical:.3f} | {100 * share:.1f} %"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
