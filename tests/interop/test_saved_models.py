"""Saved models, both ways: those of TensorFlow 2 and Keras here, ours in TensorFlow."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from headrace.framework import raw
from tests.interop.conftest import PYTHON, to_array, to_bytes

_SCRIPT = Path(__file__).parent / "saved_models.py"
MODELS = ["module", "lstm", "encoder", "bert", "resnet", "mobilenet", "efficientnet"]


def tensorflow(*arguments):
    """Runs saved_models.py in TensorFlow 2."""
    if not PYTHON:
        pytest.skip("HEADRACE_PEER_PYTHON names no Python with TensorFlow 2")
    done = subprocess.run(
        [PYTHON, str(_SCRIPT), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout.decode()[-2000:]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with the models that TensorFlow wrote, and what they give."""
    folder = tmp_path_factory.mktemp("models")
    tensorflow("write", folder)
    (folder / "words.txt").unlink()  # the model has a copy
    return folder


def arrays(path):
    with np.load(path) as file:
        values = dict(file)
    return [{k.removeprefix(p): v for k, v in values.items() if k.startswith(p)} for p in ("in_", "out_")]


def run(folder, inputs):
    """The signature's outputs."""
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], folder)
        signature = meta.signature_def["serving_default"]
        if set(inputs) != set(signature.inputs):  # Keras has names of its own
            inputs = dict(zip(signature.inputs, inputs.values()))
        feeds = {signature.inputs[name].name: value for name, value in inputs.items()}
        return session.run({name: info.name for name, info in signature.outputs.items()}, feeds)


def same(got, expected):
    assert len(got) == len(expected)
    for name, value in expected.items():
        ours = got[name] if name in got else next(iter(got.values()))
        if value.dtype.kind == "U":
            assert np.array_equal(np.asarray(ours).astype(str), value)
        else:
            np.testing.assert_allclose(ours, value, rtol=1e-4, atol=1e-5 * np.abs(value).max())


@pytest.mark.parametrize("name", MODELS)
def test_we_run_what_tensorflow_writes(written, name):
    inputs, outputs = arrays(written / f"{name}.npz")
    same(run(written / name, inputs), outputs)


@pytest.mark.parametrize("name", ["resnet", "lstm"])
def test_we_freeze_what_functions_hold(written, name):
    """Models whose variables are handed to functions."""
    inputs, outputs = arrays(written / f"{name}.npz")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], written / name)
        signature = meta.signature_def["serving_default"]
        output = next(iter(signature.outputs.values())).name
        frozen = tf.graph_util.convert_variables_to_constants(
            session, graph.as_graph_def(), [output.partition(":")[0]]
        )
    assert not [node.name for node in frozen.node if "Var" in node.op]
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(frozen, name="")
        feeds = {info.name: next(iter(inputs.values())) for info in signature.inputs.values()}
        same({"y": session.run(output, feeds)}, outputs)


def test_tensorflow_runs_what_we_write(tmp_path):
    (tmp_path / "words.txt").write_text("some words")
    x_value = np.array([[1, 2, 3], [-9, 0, 0]], np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        w = tf.get_variable("w", [3, 2], initializer=tf.ones_initializer())
        y = tf.nn.relu(tf.matmul(x, w) + tf.Variable([1.0, 2.0]))
        z = tf.cond(tf.reduce_sum(x) > 0.0, lambda: y * 2, lambda: y - w[0])
        _, looped = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), [0, z])
        asset = tf.constant(str(tmp_path / "words.txt"))
        text = tf.Variable("none")
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([1, 2], tf.int64), tf.constant([5.0, 6.0])), -1.0
        )
        outputs = {
            "y": y,
            "z": z,
            "looped": looped,
            "text": text.value(),
            "found": table.lookup(tf.cast(x[:, 0], tf.int64)),
        }
        session.run([tf.global_variables_initializer(), tf.tables_initializer()])
        builder = tf.saved_model.Builder(tmp_path / "model")
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": tf.saved_model.predict_signature_def({"x": x}, outputs)},
            assets_collection=[asset],
            main_op=tf.group(tf.tables_initializer(), text.assign(raw.ReadFile(asset))),
        )
        builder.save()
    (tmp_path / "words.txt").unlink()
    np.savez(tmp_path / "inputs.npz", x=x_value)
    tensorflow("run", tmp_path / "model", tmp_path / "inputs.npz", tmp_path)
    _, expected = arrays(tmp_path / "model.npz")
    assert str(expected["text"]) == "some words"
    same(run(tmp_path / "model", {"x": x_value}), expected)


def test_frozen_graphs(each_peer):
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [2, 6, 6, 1], name="x")
        kernel = tf.get_variable("kernel", [3, 3, 1, 4])
        table = tf.get_variable("table", [5, 4])
        y = tf.nn.relu(tf.nn.conv2d(x, kernel, [1, 1, 1, 1], "SAME")) + tf.nn.embedding_lookup(table, 3)
        tf.identity(y, name="y")
        session.run(tf.global_variables_initializer())
        frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["y"])
        value = np.random.RandomState(0).rand(2, 6, 6, 1).astype(np.float32)
        expected = session.run("y:0", {"x:0": value})
    feeds = {"x:0": to_bytes(value)}
    reply = each_peer.ask(graph_def=frozen.SerializeToString(), fetches=["y:0"], feeds=feeds)
    np.testing.assert_allclose(to_array(reply["values"][0]), expected, rtol=1e-5, atol=1e-6)
