"""Hostile bytes into the readers that are written in Python, on top of those of the core.

    python -m tests.fuzz.python_readers [--seconds N] [--seed N]

Each target reads a folder in which one file was damaged: it must give something, or an error that says what
is wrong. The tests run each for a little while (test_python_readers.py); `make fuzz` runs them longer.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import headrace as tf

# What users can catch: what is wrong with a file is one of these, and not, say, an IndexError.
ERRORS = (tf.errors.OpError, OSError, ValueError, TypeError, RuntimeError, KeyError)
SECONDS, BYTES = 10, 1 << 30  # that one file may take at most


def model(folder: Path) -> None:
    """A saved model with a function, a branch, a table, a file and variables."""
    (folder.parent / "words.txt").write_text("a\nb\n")
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3, 2], initializer=tf.ones_initializer())
        y = tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, w), lambda: x[:, :2] - w[0])
        _, y = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), [0, y])
        words = str(folder.parent / "words.txt")
        table = tf.lookup.StaticHashTable(tf.lookup.TextFileIdTableInitializer(words), -1)
        found = table.lookup(tf.constant(["b"]))
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        builder = tf.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": tf.saved_model.predict_signature_def({"x": x}, {"y": y, "found": found})},
            assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
            main_op=tf.tables_initializer(),
        )
        builder.save()


def run_model(folder: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], folder)
        outputs = meta.signature_def["serving_default"].outputs
        feeds = {"x:0": np.ones((2, 3), np.float32)}
        options = tf.RunOptions(timeout_in_ms=1000 * SECONDS)
        session.run({name: info.name for name, info in outputs.items()}, feeds, options=options)


def events(folder: Path) -> None:
    with tf.Graph().as_default() as graph, tf.Session() as session:
        some = [tf.summary.scalar("a", 1.0), tf.summary.histogram("b", [1.0, 2.0]), tf.summary.text("c", "d")]
        with tf.summary.FileWriter(folder, graph) as writer:
            for step in range(3):
                writer.add_summary(session.run(tf.summary.merge(some)), step)


def read_events(folder: Path) -> None:
    for path in folder.iterdir():
        for event in tf.train.summary_iterator(path):
            tf.GraphDef.FromString(event.graph_def)


def checkpoint(folder: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [6, 2], partitioner=tf.fixed_size_partitioner(3))
        tf.get_variable("text", initializer=["a", "bc"])
        session.run(tf.global_variables_initializer())
        tf.train.Saver(save_relative_paths=True).save(session, str(folder / "m"))


def read_checkpoint(folder: Path) -> None:
    for name, _ in tf.train.list_variables(folder):
        tf.train.load_variable(folder, name)
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(str(folder / "m.meta"))
        saver.restore(session, tf.train.latest_checkpoint(folder))


def compressed(folder: Path) -> None:
    for kind in ("GZIP", "ZLIB"):
        with tf.python_io.TFRecordWriter(folder / kind, kind) as writer:
            for size in (3, 0, 500):
                writer.write(b"record " * size)


def read_compressed(folder: Path) -> None:
    for kind in ("GZIP", "ZLIB"):
        list(tf.python_io.tf_record_iterator(folder / kind, kind))


def weights(folder: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        tf.Variable(np.ones((2, 3), np.float32), name="a")
        tf.Variable(np.arange(4), name="b")
        session.run(tf.global_variables_initializer())
        tf.train.save_safetensors(folder / "w.safetensors", sess=session)


def read_weights(folder: Path) -> None:
    tf.train.load_safetensors(folder / "w.safetensors")


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "saved_model": (model, run_model),
    "events": (events, read_events),
    "checkpoint": (checkpoint, read_checkpoint),
    "compressed": (compressed, read_compressed),
    "safetensors": (weights, read_weights),
}


def changed(data: bytes, rng: random.Random) -> bytes:
    """The bytes with a few changes."""
    made = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, size = rng.randrange(len(made) + 1), rng.choice([1, 1, 2, 4, 8, 30])
        kind = rng.randrange(6)
        if kind == 0:
            made[at:] = b""
        elif kind == 1:
            made[at : at + size] = b""
        elif kind == 2:
            made[at:at] = made[at : at + size]
        elif kind == 3:
            made[at : at + size] = rng.choice([b"\xff", b"\x00", b"\x7f", b"\x80"]) * size
        elif kind == 4:
            made[at:at] = rng.choice([b"../", b"/etc/passwd", b"\x00", b"\xff\xff\xff\xff\x0f", b"%s" * 9])
        elif made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
    return bytes(made)


def fuzz(target: str, folder: Path, rng: random.Random) -> Iterator[Any]:
    """Reads damaged files, again and again; gives each error, or None for what could be read."""
    make, read = TARGETS[target]
    good = folder / "good"
    (folder / "work").mkdir()
    good.mkdir()
    make(good)
    files = sorted(path.relative_to(good) for path in good.rglob("*") if path.is_file())
    while True:
        bad = folder / "work" / "bad"
        shutil.copytree(good, bad)
        for name in rng.sample(files, 1):
            (bad / name).write_bytes(changed((good / name).read_bytes(), rng))
        start = time.monotonic()
        error: BaseException | None = None
        try:
            read(bad)
        except ERRORS as caught:
            error = caught
        assert error is None or str(error), f"{type(error).__name__} without a word"
        assert time.monotonic() - start < SECONDS, "it takes too long"
        shutil.rmtree(bad)
        # Nothing may be written elsewhere.
        assert not list((folder / "work").iterdir()), "there are files outside of the folder"
        yield error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    logging.disable()
    for target in TARGETS:
        rng = random.Random(arguments.seed)
        end = time.monotonic() + arguments.seconds
        runs = failed = 0
        with tempfile.TemporaryDirectory() as folder:
            for error in fuzz(target, Path(folder), rng):
                runs, failed = runs + 1, failed + (error is not None)
                most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
                assert most < BYTES, f"{target}: {most} bytes of memory after {runs} runs"
                if time.monotonic() > end:
                    break
        print(f"{target}: {runs} runs, {failed} told what is wrong", flush=True)


if __name__ == "__main__":
    main()
