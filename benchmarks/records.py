"""Files of records and examples: writing, reading and parsing, beside TensorFlow.

    python benchmarks/records.py --peer-python PYTHON [--rounds N]

Each program is a process of its own, and only one works at a time, in alternation. What is printed are
medians of rates, MB/s of the records' contents, in memory: files are in a temporary folder, and just written.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def load(name):
    if name == "headrace":
        return importlib.import_module("headrace")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    tensorflow = importlib.import_module("tensorflow")
    tf = getattr(tensorflow, "compat", tensorflow).v1
    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)
    return tf


def example(tf, i, floats, image_bytes):
    """A mixed example: a label, ids of varying number, floats, and perhaps an image."""

    def feature(kind, **value):
        return tf.train.Feature(**{f"{kind}_list": value["of"]})

    ids = [(i * 7919 + k * 104729) % 1_000_000 for k in range(5 + i % 20)]
    columns = {
        "label": feature("int64", of=tf.train.Int64List(value=[i % 10])),
        "ids": feature("int64", of=tf.train.Int64List(value=ids)),
        "x": feature("float", of=tf.train.FloatList(value=[0.5 * k for k in range(floats)])),
        "name": feature("bytes", of=tf.train.BytesList(value=[b"example %d" % i])),
    }
    if image_bytes:
        columns["image"] = feature("bytes", of=tf.train.BytesList(value=[bytes(image_bytes)]))
    return tf.train.Example(features=tf.train.Features(feature=columns)).SerializeToString()


def rate(amount, work, *arguments):
    """MB/s of the best of a few runs."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work(*arguments)
        best = min(best, time.perf_counter() - start)
    return amount / best / 1e6


def write(tf, path, options, record, count):
    with tf.python_io.TFRecordWriter(path, options) as writer:
        for _ in range(count):
            writer.write(record)


def read(tf, path, options, count):
    found = sum(1 for _ in tf.python_io.tf_record_iterator(path, options))
    assert found == count, f"{found} records came back of {count}"


def repeat(step, times):
    for _ in range(times):
        step()


def file_rates(tf, path):
    rates = {}
    for what, size, count in (("small", 100, 200_000), ("large", 100_000, 2000)):
        for compression in ("NONE", "GZIP"):
            some = count // 5 if compression == "GZIP" else count
            record = os.urandom(size // 2) + bytes(size - size // 2)
            options = tf.python_io.TFRecordOptions(getattr(tf.python_io.TFRecordCompressionType, compression))
            label = f"{what} records{', ' + compression if compression != 'NONE' else ''}"
            rates[f"write {label}"] = rate(some * size, write, tf, path, options, record, some)
            rates[f"read {label}"] = rate(some * size, read, tf, path, options, some)
    return rates


def parsing_rate(tf, batch, floats, image):
    wanted = {
        "label": tf.FixedLenFeature([], tf.int64),
        "ids": tf.VarLenFeature(tf.int64),
        "name": tf.FixedLenFeature([], tf.string),
        "x": tf.FixedLenFeature([floats], tf.float32),
    }
    if image:
        wanted["image"] = tf.FixedLenFeature([], tf.string)
    examples = [example(tf, i, floats, image) for i in range(batch)]
    with tf.Graph().as_default(), tf.Session() as session:
        fed = tf.placeholder(tf.string, [None])
        held = tf.Variable(fed, validate_shape=False, trainable=False)
        session.run(held.initializer, {fed: examples})
        parsed = tf.parse_example(held.value(), wanted)
        # A little of each output, so that nobody can leave any out.
        parts = [tf.size(x.values) if isinstance(x, tf.SparseTensor) else x[-1] for x in parsed.values()]
        step = session.make_callable(parts)
        times = max(8, 20_000 // batch // (20 if image else 1))
        repeat(step, times)
        return rate(times * sum(map(len, examples)), repeat, step, times)


def measure(name, folder):
    tf = load(name)
    rates = file_rates(tf, os.path.join(folder, f"{name}.records"))
    for what, floats, image in (("few floats", 8, 0), ("1000 floats", 1000, 0), ("an image", 8, 20_000)):
        for batch in (32, 1024):
            rates[f"parse {batch} with {what}"] = parsing_rate(tf, batch, floats, image)
    print(json.dumps(rates))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return measure(*arguments.child)
    programs = {"headrace": sys.executable}
    if arguments.peer_python:
        programs["tensorflow"] = arguments.peer_python
    rounds = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(arguments.rounds):
            for name, python in programs.items():
                command = [python, __file__, "--child", name, folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rounds[name].append(json.loads(done.stdout))
    print(f"| MB/s | {' | '.join(programs)} | ours / theirs |")
    print("|---" * (len(programs) + 2) + "|")
    for what in rounds["headrace"][0]:
        medians = [statistics.median(one[what] for one in rounds[name]) for name in programs]
        ratio = f"{medians[0] / medians[1]:.2f}" if len(medians) > 1 else ""
        print(f"| {what} | {' | '.join(f'{rate:.0f}' for rate in medians)} | {ratio} |")


if __name__ == "__main__":
    main()
