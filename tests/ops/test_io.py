"""Operations on files: checkpoints."""

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, raw
from tests.ops.harness import Bad, Case, OpRecord, run_records


def text(*values):
    return np.array(values, object)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The records' paths are relative."""
    monkeypatch.chdir(tmp_path)


TENSOR = np.arange(12.0).reshape(4, 3)


def save_and_restore(x, spec=""):
    """Saves a tensor whole, restores it, and all behind each other."""
    save = raw.SaveV2("saved", ["x"], [""], [x], name="node" if not spec else None)
    with tf.control_dependencies([save]):
        return raw.RestoreV2("saved", ["x"], [spec], dtypes=[x.dtype])[0]


def restore(x, spec=""):
    save = raw.SaveV2("saved", ["x"], [""], [x])
    with tf.control_dependencies([save]):
        return raw.RestoreV2("saved", ["x"], [spec], dtypes=[x.dtype], name="node")[0]


def merge(x):
    save = raw.SaveV2("part", ["x"], [""], [x])
    with tf.control_dependencies([save]):
        merged = raw.MergeV2Checkpoints(["part"], "whole", delete_old_dirs=False, name="node")
    with tf.control_dependencies([merged]):
        return raw.RestoreV2("whole", ["x"], [""], dtypes=[x.dtype])[0]


def write_and_read(contents, name="folder/file", node="ReadFile"):
    """Writes a file and reads it."""
    with tf.control_dependencies(
        [raw.WriteFile(name, contents, name="node" if node == "WriteFile" else None)]
    ):
        return raw.ReadFile(name, name="node" if node == "ReadFile" else None)


RECORDS = [
    *(
        OpRecord(
            op,
            cases=[
                Case((text("some\0 words").reshape(()),), {"node": op}),
                Case((text("").reshape(()),), {"node": op}),
            ],
            build=write_and_read,
            reference=lambda contents, node: contents,
            dtypes=(),
            no_empty="its inputs are scalars",
        )
        for op in ("ReadFile", "WriteFile")
    ),
    OpRecord(
        "SaveV2",
        cases=[Case((TENSOR,)), Case((np.zeros((0, 2)),)), Case((np.array(2.5),))],
        build=save_and_restore,
        reference=lambda x: x,
        data_dependent=True,
    ),
    OpRecord(
        "RestoreV2",
        cases=[Case((TENSOR,)), Case((np.zeros((0, 2)),)), Case((TENSOR,), {"spec": "4 3 1,2:-"})],
        build=restore,
        reference=lambda x, spec="": x[1:3] if spec else x,
        data_dependent=True,
    ),
    OpRecord(
        "MergeV2Checkpoints",
        cases=[Case((TENSOR,)), Case((np.zeros((0, 2)),))],
        build=merge,
        reference=lambda x: x,
        data_dependent=True,
    ),
    OpRecord(
        "ShardedFilename",
        cases=[Case((text("a/model").reshape(()), np.int32(1), np.int32(12)))],
        reference=lambda name, shard, shards: text(f"{name}-{shard:05d}-of-{shards:05d}").reshape(()),
        dtypes=(),
        no_empty="its inputs are scalars",
        bad=[
            Bad(
                (text("m").reshape(()), np.int32(2), np.int32(2)), match="there is no file 2 of 2", when="run"
            )
        ],
    ),
    OpRecord(
        "ShardedFilespec",
        cases=[Case((text("a/model").reshape(()), np.int32(12)))],
        reference=lambda name, shards: text(f"{name}-?????-of-{shards:05d}").reshape(()),
        dtypes=(),
        no_empty="its inputs are scalars",
    ),
]

run_records(globals(), RECORDS)


def test_names_and_tensors_must_be_as_many():
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="2 names for 1 tensors"):
        raw.SaveV2("saved", ["x", "y"], ["", ""], [tf.constant(1.0)])


def test_restoring_another_dtype_names_both():
    with tf.Session() as sess:
        sess.run(raw.SaveV2("saved", ["x"], [""], [tf.constant(1.0)]))
        with pytest.raises(errors.InvalidArgumentError, match=r"'x'.*float32, not int32"):
            sess.run(raw.RestoreV2("saved", ["x"], [""], dtypes=[tf.int32]))


def test_restoring_what_is_not_there_names_what_is():
    with tf.Session() as sess:
        sess.run(raw.SaveV2("saved", ["weights"], [""], [tf.constant(1.0)]))
        with pytest.raises(errors.NotFoundError, match="no tensor 'weight', did you mean 'weights'"):
            sess.run(raw.RestoreV2("saved", ["weight"], [""], dtypes=[tf.float32]))


def test_shapes_of_slices_are_static():
    whole, part = raw.RestoreV2("m", ["a", "b"], ["", "5 3 1,2:-"], dtypes=[tf.float32] * 2)
    assert whole.shape.ndims is None
    assert part.shape.as_list() == [2, 3]


@pytest.mark.parametrize(
    "spec", ["4", "4 3 0,2", "4 3 3,2:-", "x 3 -:-", "4 3 -:0,-1", "99999999999999999999 -"]
)
def test_what_is_no_slice(spec):
    with pytest.raises((ValueError, errors.InvalidArgumentError), match="slice"):
        raw.RestoreV2("m", ["a"], [spec], dtypes=[tf.float32])


def test_files_that_are_not_there():
    with tf.Session() as sess:
        with pytest.raises(errors.NotFoundError, match="no/such/file"):
            sess.run(raw.ReadFile("no/such/file"))
        sess.run(raw.WriteFile("file", "text"))
        with pytest.raises(errors.OpError, match="file/below"):
            sess.run(raw.WriteFile("file/below", "text"))
