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
from google.protobuf import text_format
from google.protobuf.message import DecodeError

import headrace as tf
from headrace.framework.function import Defun

# What users can catch: what is wrong with a file is one of these, and not, say, an IndexError.
ERRORS = (tf.errors.OpError, OSError, ValueError, TypeError, RuntimeError, KeyError)
SECONDS, BYTES = 10, 1 << 30  # that one file may take at most
STEP_SECONDS = 2  # that a step may take: the loops of a damaged graph need not end


def model(folder: Path, as_text: bool = False) -> None:
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
        builder.save(as_text=as_text)


def text_model(folder: Path) -> None:
    model(folder, as_text=True)


def run_model(folder: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], folder)
        outputs = meta.signature_def["serving_default"].outputs
        feeds = {"x:0": np.ones((2, 3), np.float32)}
        options = tf.RunOptions(timeout_in_ms=1000 * STEP_SECONDS)
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


def graph(folder: Path) -> None:
    """A graph as text and as bytes, with a loop and a function that calls itself if one lets it."""

    @Defun(tf.float32)
    def halved(x: Any) -> Any:
        return x / 2

    with tf.Graph().as_default() as graph:
        x = tf.placeholder(tf.float32, [None], name="x")
        _, y = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, halved(a)), [0, x])
        tf.string_join([tf.as_string(tf.reshape(y, [-1, 1])), tf.constant("a\\b\n")], name="y")
        tf.train.write_graph(graph, str(folder), "graph.pbtxt")
        tf.train.write_graph(graph, str(folder), "graph.pb", as_text=False)
        tf.train.export_meta_graph(str(folder / "meta.pbtxt"), as_text=True)
        tf.train.export_meta_graph(str(folder / "meta.pb"))


def run_graph(folder: Path) -> None:
    def text() -> None:
        message = tf.GraphDef()
        try:
            text_format.Parse((folder / "graph.pbtxt").read_bytes(), message)
        except text_format.ParseError as error:
            raise ValueError(f"not a graph: {error}") from None  # its own text may be empty
        tf.import_graph_def(message, name="")

    def binary() -> None:
        try:
            message = tf.GraphDef.FromString((folder / "graph.pb").read_bytes())
        except DecodeError as error:
            raise ValueError(str(error)) from None
        tf.import_graph_def(message, name="")

    first: Exception | None = None
    for read in (
        text,
        binary,
        lambda: tf.train.import_meta_graph(str(folder / "meta.pbtxt")),
        lambda: tf.train.import_meta_graph(str(folder / "meta.pb")),
    ):
        with tf.Graph().as_default(), tf.Session() as session:
            try:
                read()
                options = tf.RunOptions(timeout_in_ms=1000 * STEP_SECONDS)
                session.run("y:0", {"x:0": [1.0, 2.0]}, options=options)
            except ERRORS as error:  # one file is damaged, and the others are read nevertheless
                first = first or error
    if first:
        raise first


def records(folder: Path) -> None:
    """Files for the readers of a graph."""
    row = tf.train.Example(
        features=tf.train.Features(
            feature={
                "i": tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2])),
                "s": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"abc"])),
            }
        )
    ).SerializeToString()
    for kind in ("", "GZIP", "ZLIB"):
        with tf.python_io.TFRecordWriter(folder / (kind or "plain"), kind) as writer:
            for _ in range(3):
                writer.write(row)
    (folder / "lines.csv").write_text('1,"a ""b"""\n2,c\n')


def read_records(folder: Path) -> None:
    options = tf.RunOptions(timeout_in_ms=1000 * STEP_SECONDS)
    for path in sorted(folder.iterdir()):
        with tf.Graph().as_default(), tf.Session() as session:
            queue = tf.FIFOQueue(9, tf.string, [[]])
            session.run(queue.enqueue(str(path)))
            session.run(queue.close())
            if path.suffix == ".csv":
                _, line = tf.TextLineReader().read(queue)
                read: Any = tf.decode_csv(line, [[0], [""]])
            else:
                kind = "" if path.name == "plain" else path.name
                reader = tf.TFRecordReader(options=tf.python_io.TFRecordOptions(kind))
                features = {"i": tf.FixedLenFeature([2], tf.int64), "s": tf.VarLenFeature(tf.string)}
                read = tf.parse_single_example(reader.read(queue)[1], features)
            try:
                for _ in range(100):
                    session.run(read, options=options)
            except tf.errors.OutOfRangeError:
                pass


TARGETS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "saved_model": (model, run_model),
    "saved_model_text": (text_model, run_model),
    "graph": (graph, run_graph),
    "records": (records, read_records),
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
    read(good)
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
