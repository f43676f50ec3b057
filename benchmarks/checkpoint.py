"""Checkpoints: saving and restoring, beside the disk, the memory and TensorFlow.

    python benchmarks/checkpoint.py [--gigabytes N] [--peer-python PYTHON]

Saves and restores variables of 64 MB each and prints rates, and how far memory grew beyond what it was before
the first save. What the rates are to be measured by: copying as much in memory, and writing as much to a file
in one go, without and with waiting for the disk. Each program is a process of its own.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np

TENSOR = 64 << 20


def rate(amount, work):
    """GB/s of the best of three runs."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return amount / best / 1e9


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


class Peak:
    """The most memory that the process has had while this context was open, beyond what it had before."""

    def __enter__(self):
        self._before = self._most = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.002):
            self._most = max(self._most, resident())

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()
        self.megabytes = (self._most - self._before) / 1e6


def measure(name, folder, total):
    if name == "headrace":
        import headrace as tf
    else:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        import tensorflow

        tf = getattr(tensorflow, "compat", tensorflow).v1
        tf.disable_eager_execution()
        tf.enable_resource_variables()
    count = total // TENSOR
    for i in range(count):
        tf.get_variable(f"v{i}", [TENSOR // 4], initializer=tf.random_uniform_initializer())
    saver = tf.train.Saver()
    path = os.path.join(folder, name)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with Peak() as peak:
            saver.save(session, path, write_meta_graph=False)
        found = {"save": rate(total, lambda: saver.save(session, path, write_meta_graph=False))}
        found["restore"] = rate(total, lambda: saver.restore(session, path))
        found["more memory while saving, MB"] = peak.megabytes
    print(json.dumps(found))


def bounds(folder, total):
    """GB/s of a copy in memory and of a plain file."""
    source, target = np.random.bytes(TENSOR), bytearray(TENSOR)
    path = os.path.join(folder, "plain")

    def write(sync):
        with open(path, "wb", buffering=0) as file:
            for _ in range(total // TENSOR):
                file.write(source)
            if sync:
                os.fsync(file.fileno())

    def copy():
        for _ in range(total // TENSOR):
            target[:] = source

    found = {"copy in memory": rate(total, copy)}
    found["write a file"] = rate(total, lambda: write(False))
    found["write a file and wait for the disk"] = rate(total, lambda: write(True))
    os.remove(path)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, folder, total = arguments.child
        return measure(name, folder, int(total))
    total = int(arguments.gigabytes * 1e9) // TENSOR * TENSOR
    programs = {"headrace": sys.executable}
    if arguments.peer_python:
        programs["tensorflow"] = arguments.peer_python
    folder = tempfile.mkdtemp()
    try:
        for what, value in bounds(folder, total).items():
            print(f"{what}: {value:.2f} GB/s")
        for name, python in programs.items():
            command = [python, __file__, "--child", name, folder, str(total)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            for what, value in json.loads(done.stdout).items():
                print(f"{name}: {what}: {value:.2f}{'' if 'MB' in what else ' GB/s'}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
