"""Checkpoints, both ways."""

import numpy as np

import headrace as tf
from tests.interop.conftest import to_array

VALUES = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([True, False]),
    "c": np.array([1 + 2j], np.complex64),
    "d": np.array(7, np.int64),
    "e": np.array([b"", b"text"], object),
}
DTYPES = "[tf.float32, tf.bool, tf.complex64, tf.int64, tf.string]"


def test_tensorflow_reads_what_we_write(each_peer, tmp_path):
    with tf.Graph().as_default(), tf.Session() as sess:
        for name, value in VALUES.items():
            tf.Variable(value, name=name)
        sess.run(tf.global_variables_initializer())
        for sharded in (False, True):
            path = tf.train.Saver(sharded=sharded).save(sess, str(tmp_path / "model"))
            program = (
                f"for x in tf.raw_ops.RestoreV2(prefix={path!r}, tensor_names={list(VALUES)}, "
                f"shape_and_slices={[''] * len(VALUES)}, dtypes={DTYPES}): tf.identity(x, name='out')"
            )
            fetches = ["out:0", *(f"out_{i}:0" for i in range(1, len(VALUES)))]
            reply = each_peer.ask(program=program, fetches=fetches, feeds={})
            for got, value in zip(reply["values"], VALUES.values()):
                assert np.array_equal(to_array(got), value)


def test_we_read_what_tensorflow_writes(each_peer, tmp_path):
    path = str(tmp_path / "model")
    program = f"""
values = [
    tf.constant([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    tf.constant([True, False]),
    tf.constant([1 + 2j], tf.complex64),
    tf.constant(7, tf.int64),
    tf.constant([b"", b"text"]),
]
save = tf.raw_ops.SaveV2(
    prefix={path!r}, tensor_names={list(VALUES)}, shape_and_slices={[""] * len(VALUES)}, tensors=values
)
with tf.control_dependencies([save]):
    tf.constant(1.0, name="done")
"""
    each_peer.ask(program=program, fetches=["done:0"], feeds={})
    reader = tf.train.load_checkpoint(path)
    for name, value in VALUES.items():
        assert np.array_equal(reader.get_tensor(name), value)
