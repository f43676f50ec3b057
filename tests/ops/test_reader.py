"""Readers: what they give, and what they refuse.

A reader is no array: the records put names of files into a queue and read.
"""

import gzip
import pathlib
import struct
import tempfile
import threading
import zlib

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Case, OpRecord, run_records


def write_files(folder):
    (folder / "ab.txt").write_bytes(b"a\r\nb")
    with tf.python_io.TFRecordWriter(folder / "ab.records") as writer:
        writer.write(b"a")
        writer.write(b"b")


# The records' files, which another program that runs their graphs finds, too.
FOLDER = tempfile.TemporaryDirectory(prefix="headrace-readers-")
write_files(pathlib.Path(FOLDER.name))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder to work in, with the same files."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)


def at(name):
    """The path of a file, or a place in it."""
    return f"{FOLDER.name}/{name}"


def names_in(*names):
    queue = raw.FIFOQueueV2(component_types=[tf.string], shapes=[[]])
    with tf.control_dependencies([raw.QueueEnqueueManyV2(queue, [tf.constant(list(names))])]):
        return raw.Identity(queue)


def texts(*values):
    return np.array(values, object)


class Making:
    """Operations of which that of the record's is named "node"."""

    def __init__(self, op):
        self._op = op

    def __getattr__(self, name):
        made = getattr(raw, name)
        return (lambda *inputs, **attrs: made(*inputs, name="node", **attrs)) if name == self._op else made


def record(op, build, *expected):
    values = tuple(np.asarray(value, object if isinstance(value, str) else None) for value in expected)
    return OpRecord(
        op,
        cases=[Case(attrs={})],
        build=lambda: build(Making(op)),
        reference=lambda: values if len(values) > 1 else values[0],
        dtypes=(),
        no_empty="it has no inputs that could be empty",
        data_dependent=True,
    )


def first_of(maker, file="ab.txt", **attrs):
    """Reads the first piece of a file."""
    return lambda make: list(make.ReaderReadV2(getattr(make, maker)(**attrs), names_in(at(file))))


def all_of(make):
    return list(make.ReaderReadUpToV2(make.TextLineReaderV2(), names_in(at("ab.txt")), np.int64(5)))


def after_reading(name):
    """What is known of a reader that has read two lines."""

    def build(make):
        reader = make.TextLineReaderV2()
        with tf.control_dependencies([make.ReaderReadUpToV2(reader, names_in(at("ab.txt")), np.int64(2))[0]]):
            return getattr(make, name)(reader)

    return build


def saved_and_restored(make):
    one, other = raw.IdentityReaderV2(), raw.IdentityReaderV2()
    with tf.control_dependencies([raw.ReaderReadV2(one, names_in("x"))[0]]):
        state = make.ReaderSerializeStateV2(one)
    with tf.control_dependencies([make.ReaderRestoreStateV2(other, state)]):
        return raw.ReaderNumRecordsProducedV2(other)


def reset(make):
    reader = raw.TextLineReaderV2()
    with tf.control_dependencies([raw.ReaderReadV2(reader, names_in(at("ab.txt")))[0]]):
        again = make.ReaderResetV2(reader)
    with tf.control_dependencies([again]):
        return raw.ReaderNumRecordsProducedV2(reader)


RECORDS = [
    record("TextLineReaderV2", first_of("TextLineReaderV2"), at("ab.txt:1"), "a"),
    record(
        "FixedLengthRecordReaderV2",
        first_of("FixedLengthRecordReaderV2", record_bytes=2),
        *(at("ab.txt:0"), "a\r"),
    ),
    record("TFRecordReaderV2", first_of("TFRecordReaderV2", "ab.records"), at("ab.records:0"), "a"),
    record("WholeFileReaderV2", first_of("WholeFileReaderV2"), at("ab.txt"), "a\r\nb"),
    record("IdentityReaderV2", first_of("IdentityReaderV2"), at("ab.txt"), at("ab.txt")),
    record("ReaderReadV2", first_of("TextLineReaderV2", skip_header_lines=1), at("ab.txt:2"), "b"),
    record("ReaderReadUpToV2", all_of, texts(at("ab.txt:1"), at("ab.txt:2")), texts("a", "b")),
    record("ReaderNumRecordsProducedV2", after_reading("ReaderNumRecordsProducedV2"), 2),
    record("ReaderNumWorkUnitsCompletedV2", after_reading("ReaderNumWorkUnitsCompletedV2"), 0),
    record("ReaderSerializeStateV2", saved_and_restored, 1),
    record("ReaderRestoreStateV2", saved_and_restored, 1),
    record("ReaderResetV2", reset, 0),
]

run_records(globals(), RECORDS)


def pieces(reader, *names):
    """All that a reader gives of some files."""
    queue = tf.FIFOQueue(100, [tf.string], shapes=[[]])
    key, value = reader.read(queue)
    found = []
    with tf.Session() as session:
        session.run(queue.enqueue_many([tf.constant(list(names))]))
        session.run(queue.close())
        with pytest.raises(errors.OutOfRangeError):
            while True:
                found.append(session.run((key, value)))
        produced, done = session.run([reader.num_records_produced(), reader.num_work_units_completed()])
    assert (produced, done) == (len(found), len(names))
    return [(one.decode(), other) for one, other in found]


def test_lines(tmp_path):
    (tmp_path / "long").write_bytes(b"x" * 300_000 + b"\n\nlast\n")
    (tmp_path / "none").touch()
    assert pieces(tf.TextLineReader(), "ab.txt", "none", "long") == [
        *(("ab.txt:1", b"a"), ("ab.txt:2", b"b")),
        *(("long:1", b"x" * 300_000), ("long:2", b""), ("long:3", b"last")),
    ]
    assert pieces(tf.TextLineReader(skip_header_lines=2), "long", "ab.txt") == [("long:3", b"last")]


def test_records_of_one_length(tmp_path):
    (tmp_path / "bytes").write_bytes(b"HHaaabbbcccF")
    read = pieces(tf.FixedLengthRecordReader(3, header_bytes=2, footer_bytes=1), "bytes")
    assert read == [("bytes:0", b"aaa"), ("bytes:1", b"bbb"), ("bytes:2", b"ccc")]
    hops = pieces(tf.FixedLengthRecordReader(4, header_bytes=2, footer_bytes=1, hop_bytes=3), "bytes")
    assert hops == [("bytes:0", b"aaab"), ("bytes:1", b"bbbc")]


def test_records_with_checksums():
    assert pieces(tf.TFRecordReader(), "ab.records", "ab.records") == [
        *(("ab.records:0", b"a"), ("ab.records:17", b"b")),
        *(("ab.records:0", b"a"), ("ab.records:17", b"b")),
    ]


@pytest.mark.parametrize("kind", ["GZIP", "ZLIB"])
def test_compressed_files(tmp_path, kind):
    options = tf.python_io.TFRecordOptions(kind)
    random = np.random.RandomState(0)
    # Some that can be compressed, some that cannot, and more than is expanded at once.
    records = [random.bytes(size) * times for size, times in ((1, 300_000), (200_000, 2), (0, 1), (50, 40))]
    with tf.python_io.TFRecordWriter("compressed", options) as writer:
        for value in records:
            writer.write(value)
    read = pieces(tf.TFRecordReader(options=options), "compressed", "compressed")
    assert [value for _, value in read] == records * 2
    assert [key for key, _ in read[:2]] == ["compressed:0", "compressed:300016"]

    whole = (gzip if kind == "GZIP" else zlib).compress(b"HHaaabbbcccF")
    (tmp_path / "bytes").write_bytes(whole)
    reader = tf.FixedLengthRecordReader(3, header_bytes=2, footer_bytes=1, encoding=kind)
    assert pieces(reader, "bytes") == [("bytes:0", b"aaa"), ("bytes:1", b"bbb"), ("bytes:2", b"ccc")]

    data = (tmp_path / "compressed").read_bytes()
    for damaged in (data[:-1], data[: len(data) // 2], b"", b"no such file", data + b"more"):
        (tmp_path / "damaged").write_bytes(damaged)
        queue = tf.FIFOQueue(1, [tf.string], shapes=[[]])
        _, value = tf.TFRecordReader(options=options).read(queue)
        with tf.Session() as session:
            session.run(queue.enqueue(["damaged"]))
            with pytest.raises(errors.DataLossError, match="'damaged' is no whole"):
                for _ in range(len(records) + 1):
                    session.run(value)


def test_what_cannot_be_read(tmp_path):
    data = bytearray((tmp_path / "ab.records").read_bytes())
    data[-5] ^= 1
    (tmp_path / "bad").write_bytes(data)
    (tmp_path / "huge").write_bytes(struct.pack("<Q", 1 << 60) + bytes(8))
    reads = {
        "no/such/file": (tf.WholeFileReader, errors.NotFoundError, "no/such/file"),
        "bad": (tf.TFRecordReader, errors.DataLossError, "bad: the record at byte 17"),
        "huge": (tf.TFRecordReader, errors.DataLossError, "huge: the record at byte 0"),
        "ab.txt": (lambda: tf.FixedLengthRecordReader(3), errors.InvalidArgumentError, "no multiple"),
    }
    for name, (make, error, match) in reads.items():
        with tf.Graph().as_default(), tf.Session() as session:
            queue = tf.FIFOQueue(9, [tf.string], shapes=[[]])
            _, value = make().read(queue)
            session.run(queue.enqueue_many([[name]]))
            with pytest.raises(error, match=match):
                for _ in range(2):
                    session.run(value)
    with tf.Session() as session, pytest.raises(errors.InvalidArgumentError, match="'LZ'; there are"):
        session.run(tf.FixedLengthRecordReader(3, encoding="LZ").num_records_produced())
    with tf.Session() as session, pytest.raises(errors.UnimplementedError, match="no state"):
        session.run(tf.TextLineReader().serialize_state())
    with tf.Session() as session, pytest.raises(errors.InvalidArgumentError, match="state"):
        session.run(tf.IdentityReader().restore_state(b"\x08\x01\x10\x02"))


def test_a_read_that_waits_can_be_stopped():
    queue = tf.FIFOQueue(9, [tf.string], shapes=[[]])
    reader = tf.WholeFileReader()
    _, value = reader.read(queue)
    with tf.Session() as session:
        with pytest.raises(errors.DeadlineExceededError):
            session.run(value, options=tf.RunOptions(timeout_in_ms=100))
        results = []
        thread = threading.Thread(target=lambda: results.append(session.run(value)))
        thread.start()
        session.run(queue.enqueue(["ab.txt"]))
        thread.join()
        assert results == [b"a\r\nb"]


def test_queues_of_something_else():
    with tf.Session() as session:
        _, value = tf.IdentityReader().read(tf.FIFOQueue(9, [tf.int32], shapes=[[]]))
        with pytest.raises(errors.InvalidArgumentError, match="does not hold names of files"):
            session.run(value)
