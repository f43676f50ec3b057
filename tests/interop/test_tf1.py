"""TensorFlow 1.15 itself: meta graphs, frozen graphs, saved models and checkpoints, both ways.

A program is text that runs here and there, and what one side has written, the other goes on with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from tests.interop.conftest import Peer

# Each makes "loss" and "train" from x and y.
_HEAD = """
import numpy as np
tf.set_random_seed(1)
x = tf.placeholder(tf.float32, [None, 4], name="x")
y = tf.placeholder(tf.float32, [None], name="y")
step = tf.train.get_or_create_global_step()
values = np.random.RandomState(0)
def variable(name, *shape, **kwargs):
    return tf.get_variable(name, initializer=(values.rand(*shape) - 0.5).astype(np.float32), **kwargs)
"""
_TAIL = """
tf.identity(loss, name="loss")
tf.add_to_collection("train_op", train)
tf.add_to_collection("losses_to_see", loss)
tf.add_to_collection("learning_rates", 0.25)
"""
_MINIMIZE = "train = {}.minimize(loss, global_step=step)"
MODELS = {
    "dense": """
w, b = variable("layer/w", 4, 5), variable("layer/b", 5, trainable=False)
h = tf.nn.dropout(tf.nn.relu(tf.matmul(x, w) + b), 1.0)
loss = tf.reduce_mean(tf.squared_difference(tf.reduce_sum(h, 1), y)) + 0.1 * tf.nn.l2_loss(w)
rate = tf.train.exponential_decay(0.1, step, 2, 0.9, staircase=True)
averages = tf.train.ExponentialMovingAverage(0.9, step)
with tf.control_dependencies([tf.train.AdamOptimizer(rate).minimize(loss, global_step=step)]):
    train = averages.apply([w])
""",
    "condition": """
w = variable("w", 4, 4)
h = tf.cond(tf.reduce_sum(x) > 0.0, lambda: tf.tanh(tf.matmul(x, w)) * 2.0, lambda: tf.matmul(x, w) - w[0])
h = tf.cond(tf.equal(step % 2, 0), lambda: h, lambda: tf.cond(y[0] > 0.0, lambda: tf.sin(h), lambda: h * h))
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, 1) - y))
optimizer = tf.train.MomentumOptimizer(0.05, 0.9, use_nesterov=True)
gradients, over = zip(*optimizer.compute_gradients(loss))
gradients, norm = tf.clip_by_global_norm(gradients, 1.0)
train = optimizer.apply_gradients(zip(gradients, over), global_step=step)
""",
    "loop": """
w, u = variable("w", 4, 4), variable("u", 4, 4)
outer = lambda i, a: (i + 1, tf.while_loop(
    lambda j, b: j < i + 1, lambda j, b: (j + 1, tf.sin(tf.matmul(b, u)) + a), [0, a])[1])
_, h = tf.while_loop(lambda i, a: i < 3, outer, [0, tf.matmul(x, w)])
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, 1) - y))
"""
    + _MINIMIZE.format("tf.train.RMSPropOptimizer(0.01, momentum=0.5, centered=True)"),
    "recurrent": """
cell = tf.nn.rnn_cell.BasicLSTMCell(3)
with tf.variable_scope("rnn", initializer=tf.constant_initializer(0.1)):
    rows = tf.reshape(x, [-1, 2, 2])
    out, state = tf.nn.dynamic_rnn(cell, rows, dtype=tf.float32, sequence_length=[2, 1, 2])
loss = tf.reduce_mean(tf.square(tf.reduce_sum(out, [1, 2]) + state.c[:, 0] - y))
"""
    + _MINIMIZE.format("tf.train.AdagradOptimizer(0.1)"),
    "sparse": """
table = tf.get_variable("table", initializer=values.rand(7, 2).astype(np.float32))
parts = tf.get_variable("parts", [6, 2], initializer=tf.ones_initializer(),
                        partitioner=tf.fixed_size_partitioner(2))
ids = tf.cast(tf.abs(x * 3.0), tf.int32)
h = tf.nn.embedding_lookup(table, ids) + tf.nn.embedding_lookup(parts, ids, partition_strategy="div")
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, [1, 2]) - y))
"""
    + _MINIMIZE.format("tf.train.AdamOptimizer(0.1)"),
    "convolution": """
k, scale, offset = variable("k", 2, 2, 1, 3), variable("scale", 3), variable("offset", 3)
h = tf.nn.conv2d(tf.reshape(x, [-1, 2, 2, 1]), k, [1, 1, 1, 1], "SAME")
h, mean, _ = tf.nn.fused_batch_norm(h, scale, offset, epsilon=0.01)
h = tf.nn.max_pool(tf.nn.relu(h), [1, 2, 2, 1], [1, 1, 1, 1], "VALID")
kept = tf.get_variable("kept", [3], trainable=False, initializer=tf.zeros_initializer())
tf.add_to_collection(tf.GraphKeys.UPDATE_OPS, tf.assign_sub(kept, 0.1 * (kept - mean)).op)
loss = tf.reduce_mean(tf.square(tf.reduce_sum(h, [1, 2, 3]) - y))
with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
    train = tf.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01).minimize(loss, global_step=step)
""",
}
# Trains for some steps, from a checkpoint or from the beginning, and leaves the next checkpoint.
_TRAIN = """
import numpy as np
with tf.Graph().as_default() as graph, tf.Session() as session:
    if {begin!r}:
        saver = tf.train.import_meta_graph({begin!r} + ".meta", clear_devices=True)
        saver.restore(session, {begin!r})
        # What was a reference is behind a handle, once it has been here.
        names = {{variable.op.name.replace("/handle", "") for variable in tf.global_variables()}}
        assert names == set(np.load({folder!r} + "/names.npy")), names
        assert tf.get_collection("learning_rates") == [0.25]
        assert [tensor.name for tensor in tf.get_collection("losses_to_see")]
        assert len(tf.trainable_variables()) < len(names)
    else:
        exec({model!r})
        saver = tf.train.Saver({saver})
        session.run(tf.global_variables_initializer())
        np.save({folder!r} + "/names.npy", [variable.op.name for variable in tf.global_variables()])
    train = tf.get_collection("train_op")[-1]
    losses = []
    for number in range(3):
        random = np.random.RandomState(int(session.run(tf.train.get_global_step())))
        feeds = {{"x:0": random.rand(3, 4) * 2 - 1, "y:0": random.rand(3)}}
        losses.append(session.run([train, "loss:0"], feeds)[1])
    saver.save(session, {end!r})
    dots = lambda name: name.replace("/handle", "").replace("/", ".")
    values = session.run({{dots(variable.op.name): variable for variable in tf.global_variables()}})
    np.savez({end!r} + ".npz", losses=losses, **values)
"""


class Both:
    """Runs the text of a program here or in TensorFlow 1.15."""

    def __init__(self, tf1: Peer) -> None:
        self._tf1 = tf1

    def run(self, here: bool, program: str) -> None:
        if here:
            exec(program, {"tf": tf})
        else:
            self._tf1.ask(program=program, fetches=[], run=False)


@pytest.fixture
def both(tf1: Peer) -> Both:
    return Both(tf1)


def same(path: Path, other: Path, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    with np.load(path) as ours, np.load(other) as theirs:
        assert set(ours) == set(theirs)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("here", [True, False], ids=["ours", "theirs"])
@pytest.mark.parametrize("model", MODELS)
def test_training_goes_on_at_the_other_side(both: Both, tmp_path: Path, model: str, here: bool) -> None:
    """A meta graph and its checkpoint: from one side to the other, and back."""
    text = _HEAD + MODELS[model] + _TAIL
    paths = {name: str(tmp_path / name) for name in ("begin", "here", "there", "here_again", "there_again")}

    def train(where: bool, begin: str, end: str) -> None:
        begin, end = paths.get(begin, ""), paths[end]
        saver = "sharded=True" if model == "sparse" else ""
        both.run(where, _TRAIN.format(folder=str(tmp_path), model=text, begin=begin, end=end, saver=saver))

    train(here, "", "begin")
    train(True, "begin", "here")
    train(False, "begin", "there")
    same(tmp_path / "here.npz", tmp_path / "there.npz")
    # What has been imported is exported again, and crosses once more.
    train(False, "here", "there_again")
    train(True, "there", "here_again")
    same(tmp_path / "here_again.npz", tmp_path / "there_again.npz", rtol=1e-4, atol=1e-5)


_FEEDS = '{"x:0": np.linspace(-1, 1, 12).reshape(3, 4), "y:0": [0.5, 1.0, -0.5]}'
_FREEZE = """
import numpy as np
with tf.Graph().as_default() as graph, tf.Session() as session:
    exec({model!r})
    session.run(tf.global_variables_initializer())
    frozen = tf.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["loss"])
    frozen = tf.graph_util.remove_training_nodes(frozen, protected_nodes=["loss"])
    assert not [node.name for node in frozen.node if "Var" in node.op]
    tf.train.write_graph(frozen, {folder!r}, "frozen.pbtxt")
    tf.train.write_graph(frozen, {folder!r}, "frozen.pb", as_text=False)
    np.savez({folder!r} + "/written.npz", loss=session.run("loss:0", {feeds}))
"""
_THAW = """
import numpy as np
message = tf.GraphDef()
with open({folder!r} + "/frozen.pb", "rb") as file:
    message.ParseFromString(file.read())
with tf.Graph().as_default() as graph, tf.Session() as session:
    x, y = tf.placeholder(tf.float32, [3, 4], name="x"), tf.placeholder(tf.float32, [3], name="y")
    loss, = tf.import_graph_def(message, {{"x:0": x, "y:0": y}}, ["loss:0"], name="again")
    assert loss.name == "again/loss:0"
    np.savez({folder!r} + "/read.npz", loss=session.run(loss, {feeds}))
"""


@pytest.mark.parametrize("here", [True, False], ids=["ours", "theirs"])
@pytest.mark.parametrize("model", MODELS)
def test_frozen_graphs(both: Both, tmp_path: Path, model: str, here: bool) -> None:
    text = _HEAD + MODELS[model] + _TAIL
    both.run(here, _FREEZE.format(model=text, folder=str(tmp_path), feeds=_FEEDS))
    both.run(not here, _THAW.format(folder=str(tmp_path), feeds=_FEEDS))
    same(tmp_path / "written.npz", tmp_path / "read.npz")


_SAVE_MODEL = """
import numpy as np
with open({folder!r} + "/words.txt", "w") as file:
    file.write("a\\nbb\\nccc\\n")
with tf.Graph().as_default() as graph, tf.Session() as session:
    exec({model!r})
    word = tf.placeholder(tf.string, [None], name="word")
    asset = tf.constant({folder!r} + "/words.txt")
    tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, asset)
    words = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "bb"]), tf.constant([1, 2], tf.int64)), -1)
    found = words.lookup(word)
    seen = tf.get_variable("seen", initializer=0, trainable=False, collections=["local_variables"])
    held = tf.get_variable("held", initializer="", trainable=False)
    tables, local_variables = tf.tables_initializer(), tf.local_variables_initializer()
    session.run([tf.global_variables_initializer(), local_variables, tables])
    outputs = {{"loss": graph.get_tensor_by_name("loss:0"), "found": found, "text": tf.identity(held)}}
    inputs = {{"x": x, "y": y, "word": word}}
    signatures = {{"serving_default": tf.saved_model.predict_signature_def(inputs, outputs)}}
    builder = tf.saved_model.Builder({folder!r} + "/model")
    start = tf.group(tables, local_variables, tf.assign(held, tf.read_file(asset)))
    builder.add_meta_graph_and_variables(session, ["serve", "twice"], signatures, main_op=start,
                                         assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS),
                                         strip_default_attrs=True)
    builder.add_meta_graph(["train"], signatures)
    builder.save(as_text={as_text})
    feeds = dict({feeds}, **{{"word:0": ["bb", "zz"]}})
    values = session.run({{"loss": outputs["loss"], "found": found}}, feeds)
    np.savez({folder!r} + "/written.npz", text=np.array(b"a\\nbb\\nccc\\n"), **values)
"""
_LOAD_MODEL = """
import numpy as np
with tf.Graph().as_default() as graph, tf.Session() as session:
    assert tf.saved_model.maybe_saved_model_directory({folder!r} + "/model")
    meta = tf.saved_model.load(session, ["serve", "twice"], {folder!r} + "/model")
    signature = meta.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    values = dict({feeds}, **{{"word:0": ["bb", "zz"]}})
    feeds = {{signature.inputs[name].name: values[name + ":0"] for name in signature.inputs}}
    assert sorted(feeds) == ["word:0", "x:0", "y:0"]
    outputs = {{name: info.name for name, info in signature.outputs.items()}}
    np.savez({folder!r} + "/read.npz", **session.run(outputs, feeds))
"""


@pytest.mark.parametrize("here", [True, False], ids=["ours", "theirs"])
@pytest.mark.parametrize("model", MODELS)
def test_saved_models(both: Both, tmp_path: Path, model: str, here: bool) -> None:
    """With a table, an asset that the main operation reads, several graphs and strings."""
    text = _HEAD + MODELS[model] + _TAIL
    write = _SAVE_MODEL.format(model=text, folder=str(tmp_path), feeds=_FEEDS, as_text=model == "dense")
    both.run(here, write)
    (tmp_path / "words.txt").unlink()  # the model has a copy
    both.run(not here, _LOAD_MODEL.format(folder=str(tmp_path), feeds=_FEEDS))
    text_too = np.load(tmp_path / "read.npz", allow_pickle=True)
    with np.load(tmp_path / "written.npz") as written, text_too as read:
        assert read["text"].item() == written["text"].item()
        assert read["found"].tolist() == written["found"].tolist() == [2, -1]
        np.testing.assert_allclose(read["loss"], written["loss"], rtol=1e-5)


_VARIABLES = """
import numpy as np
kinds = {kinds}.split()
values = {{kind: np.arange(6).reshape(2, 3).astype(getattr(tf, kind).as_numpy_dtype) for kind in kinds}}
values["string"] = np.array([[b"a", b""], [b"ccc" * 100, b"\\0\\xff"]], object)
values["empty"] = np.zeros([0, 2], np.float32)
values["scalar"] = np.float64(2.5)
values["in/a.scope-1"] = np.float32([1, 2])
def variables(filled):
    made = []
    for name, value in values.items():
        nothing = np.full(value.shape, b"" if name == "string" else 0, value.dtype)
        dtype = getattr(tf, name) if name in kinds else tf.as_dtype(value.dtype)
        made.append(tf.get_variable(name, dtype=dtype, initializer=value if filled else nothing))
    made.append(tf.get_variable("parts", [5, 3], tf.float32, partitioner=tf.fixed_size_partitioner(2),
                                initializer=tf.ones_initializer() if filled else tf.zeros_initializer()))
    return made
"""
_WRITE = """
with tf.Graph().as_default(), tf.Session() as session:
    variables(True)
    session.run(tf.global_variables_initializer())
    saver = tf.train.Saver(sharded={sharded}, write_version={version})
    for step in (1, 2):
        saver.save(session, {folder!r} + "/model", global_step=step, write_meta_graph=False)
"""
_READ = """
with tf.Graph().as_default(), tf.Session() as session:
    path = tf.train.latest_checkpoint({folder!r})
    assert path == {folder!r} + "/model-2" + {ending!r}, path
    state = tf.train.get_checkpoint_state({folder!r})
    assert list(state.all_model_checkpoint_paths) == [{folder!r} + "/model-1" + {ending!r}, path]
    assert tf.train.checkpoint_exists(path)
    variables(False)
    tf.train.Saver().restore(session, path)
    for variable in tf.global_variables():
        name = variable.op.name
        expected = values.get(name, np.ones(variable.shape.as_list(), np.float32))
        assert np.array_equal(session.run(variable), expected), name
    reader = tf.train.NewCheckpointReader(path)
    if {outside}:
        assert reader.get_tensor("parts").tolist() == [[1] * 3] * 5
    shapes = dict(tf.train.list_variables(path))
    assert set(shapes) == set(values) | {{"parts"}}
    for name, value in values.items():
        assert not {outside} or np.array_equal(tf.train.load_variable(path, name), value), name
        assert list(value.shape) == list(shapes[name]) and reader.has_tensor(name)
        assert reader.get_variable_to_dtype_map()[name] == tf.as_dtype(value.dtype)
"""
_KINDS = "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 bool complex64 complex128"


@pytest.mark.parametrize("sharded", [False, True], ids=["whole", "sharded"])
@pytest.mark.parametrize("writer,version", [("ours", 2), ("theirs", 2), ("theirs", 1)])
def test_checkpoints(both: Both, tmp_path: Path, writer: str, version: int, sharded: bool) -> None:
    here = writer == "ours"
    kinds = _KINDS if version == 2 else _KINDS.replace("float16 ", "").replace("uint16 ", "")
    define = _VARIABLES.format(kinds=repr(kinds))
    both.run(here, define + _WRITE.format(folder=str(tmp_path), sharded=sharded, version=version))
    ending = "-?????-of-00001" if sharded and version == 1 else ""
    for reader in (not here, here):
        outside = version == 2 or reader  # TensorFlow reads little of version 1 outside of graphs
        both.run(reader, define + _READ.format(folder=str(tmp_path), ending=ending, outside=outside))


_TABLE = """
with tf.Graph().as_default(), tf.Session() as session:
    table = tf.contrib.lookup.MutableHashTable(tf.string, tf.int64, -1, name="table")
    insert = table.insert(tf.constant(["a", "b"]), tf.constant([5, 6], tf.int64))
    found = table.lookup(tf.constant(["b", "c"]))
    saver = tf.train.Saver()
    if {write}:
        session.run(insert)
        saver.save(session, {path!r})
    else:
        saver.restore(session, {path!r})
        assert session.run(found).tolist() == [6, -1]
with tf.Graph().as_default() as graph, tf.Session() as session:
    saver = tf.train.import_meta_graph({path!r} + ".meta")
    saver.restore(session, {path!r})
    assert session.run({found!r}).tolist() == [6, -1]
"""


@pytest.mark.parametrize("here", [True, False], ids=["ours", "theirs"])
def test_tables_in_checkpoints(both: Both, tmp_path: Path, here: bool) -> None:
    path = str(tmp_path / "model")
    found = "table_lookup_table_find/LookupTableFindV2:0"
    both.run(here, _TABLE.format(path=path, write=True, found=found))
    both.run(not here, _TABLE.format(path=path, write=False, found=found))
