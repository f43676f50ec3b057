"""Files of records."""

import os

import numpy as np
import pytest

import headrace as tf

RECORDS = [b"", b"one", os.urandom(3000), b"x" * 2_500_000]
KINDS = ["", "ZLIB", "GZIP"]


def write(path, records=RECORDS, options=None):
    with tf.python_io.TFRecordWriter(path, options) as writer:
        for record in records:
            writer.write(record)


@pytest.mark.parametrize("kind", KINDS)
def test_records_come_back(tmp_path, kind):
    path = tmp_path / "records"
    write(path, options=tf.python_io.TFRecordOptions(kind))
    assert list(tf.python_io.tf_record_iterator(path, kind)) == RECORDS


def test_known_bytes(tmp_path):
    """The format as TensorFlow writes it."""
    path = tmp_path / "records"
    write(path, [b"headrace"])
    assert path.read_bytes().hex() == KNOWN


KNOWN = "0800000000000000ff86240f68656164726163657050a6b3"


@pytest.mark.parametrize("option", [0, 1, 2, tf.python_io.TFRecordCompressionType.GZIP, None, "", "GZIP"])
def test_kinds_by_number_and_name(tmp_path, option):
    path = tmp_path / "records"
    write(path, [b"a"], option)
    assert list(tf.python_io.tf_record_iterator(path, option)) == [b"a"]
    name = tf.python_io.TFRecordOptions.get_compression_type_string(option)
    assert name == {0: "", 1: "ZLIB", 2: "GZIP", None: ""}.get(option, option)


def test_unknown_kind():
    with pytest.raises(ValueError, match="no compression"):
        tf.python_io.TFRecordOptions("LZW")


def test_options_of_the_compressor(tmp_path):
    path = tmp_path / "records"
    options = tf.python_io.TFRecordOptions("ZLIB", compression_level=9, window_bits=10, mem_level=5)
    write(path, [b"a" * 10000], options)
    assert path.stat().st_size < 200
    assert list(tf.python_io.tf_record_iterator(path, options)) == [b"a" * 10000]


def test_flush_brings_the_file_up_to_date(tmp_path):
    for kind in KINDS:
        path = tmp_path / f"records{kind}"
        writer = tf.python_io.TFRecordWriter(path, kind)
        writer.write(b"one")
        writer.flush()
        records = tf.python_io.tf_record_iterator(path, kind)
        assert next(records) == b"one"
        writer.write(b"two")
        writer.close()
        writer.close()
        with pytest.raises(tf.errors.FailedPreconditionError, match="closed"):
            writer.write(b"three")


def test_gzip_files_behind_each_other(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, [b"a"], "GZIP")
    write(b, [b"b"], "GZIP")
    a.write_bytes(a.read_bytes() + b.read_bytes())
    assert list(tf.python_io.tf_record_iterator(a, "GZIP")) == [b"a", b"b"]


def test_empty_file(tmp_path):
    path = tmp_path / "records"
    path.write_bytes(b"")
    for kind in KINDS:
        assert list(tf.python_io.tf_record_iterator(path, kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_truncated_files(tmp_path, kind):
    path = tmp_path / "records"
    write(path, [b"first", os.urandom(100)], kind)
    data = path.read_bytes()
    for size in range(1, len(data), 7):  # never where a record ends
        path.write_bytes(data[:size])
        with pytest.raises(tf.errors.DataLossError):
            list(tf.python_io.tf_record_iterator(path, kind))


def test_flipped_bits(tmp_path):
    path = tmp_path / "records"
    write(path, [b"first", b"second"])
    data = path.read_bytes()
    for place in np.random.RandomState(0).permutation(8 * len(data))[:200]:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(tf.errors.DataLossError, match="records: the record at byte"):
            list(tf.python_io.tf_record_iterator(path))


def test_what_is_before_the_damage_comes_first(tmp_path):
    path = tmp_path / "records"
    write(path, [b"first", b"second"])
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    records = tf.python_io.tf_record_iterator(path)
    assert next(records) == b"first"
    with pytest.raises(tf.errors.DataLossError, match="byte 21"):
        next(records)


def test_no_such_file(tmp_path):
    with pytest.raises(tf.errors.NotFoundError, match="nowhere"):
        list(tf.python_io.tf_record_iterator(tmp_path / "nowhere"))
    with pytest.raises(tf.errors.NotFoundError):
        tf.python_io.TFRecordWriter(tmp_path / "nowhere" / "file")
