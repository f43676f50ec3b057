"""Files of records and of events: written here and read by TensorFlow and TensorBoard, and the other way."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request

import numpy as np
import pytest

import headrace as tf
from tests.interop.conftest import PYTHON, Peer

RECORDS = [b"", b"one", bytes(range(256)) * 40]
KINDS = ("", "GZIP", "ZLIB")

_OPTIONS = """
kinds = tf.python_io.TFRecordCompressionType
options = {"": None, "GZIP": tf.python_io.TFRecordOptions(kinds.GZIP),
           "ZLIB": tf.python_io.TFRecordOptions(kinds.ZLIB)}[%r]
"""


def ask(peer: Peer, program: str) -> None:
    """Runs a program in TensorFlow; what it asserts must hold."""
    peer.ask(program=program, fetches=[], run=False)


@pytest.mark.parametrize("kind", KINDS)
def test_our_records(each_peer, tmp_path, kind):
    path = str(tmp_path / "records")
    with tf.python_io.TFRecordWriter(path, kind) as writer:
        for record in RECORDS:
            writer.write(record)
    program = f"assert list(tf.python_io.tf_record_iterator({path!r}, options)) == {RECORDS!r}"
    ask(each_peer, _OPTIONS % kind + program)


@pytest.mark.parametrize("kind", KINDS)
def test_their_records(each_peer, tmp_path, kind):
    path = str(tmp_path / "records")
    program = f"""
with tf.python_io.TFRecordWriter({path!r}, options) as writer:
    for record in {RECORDS!r}:
        writer.write(record)
"""
    ask(each_peer, _OPTIONS % kind + program)
    assert list(tf.python_io.tf_record_iterator(path, kind)) == RECORDS


def write_events(folder: str) -> None:
    """One of each kind, twice."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 4], name="x")
        with tf.name_scope("layer"):
            y = tf.nn.relu(tf.matmul(x, tf.ones([4, 3])), name="y")
        tf.summary.scalar("mean_of_y", tf.reduce_mean(y))
        tf.summary.histogram("all_of_y", y)
        tf.summary.image("picture", tf.reshape(y, [1, -1, 3, 1]))
        tf.summary.audio("sound", tf.reshape(y, [1, -1]), 8000)
        tf.summary.text("note", tf.constant("some *words*"))
        merged = tf.summary.merge_all()
        with tf.summary.FileWriter(folder, graph) as writer:
            for step in range(2):
                metadata = tf.RunMetadata()
                options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
                value = session.run(merged, {x: np.ones([5, 4])}, options, metadata)
                writer.add_summary(value, step)
                writer.add_run_metadata(metadata, f"step {step}", step)


def test_our_events(each_peer, tmp_path):
    write_events(str(tmp_path))
    (path,) = tmp_path.iterdir()
    ask(
        each_peer,
        f"""
events = list(tf.train.summary_iterator({str(path)!r}))
assert events[0].file_version == "brain.Event:2"
assert {{node.name for node in tf.GraphDef.FromString(events[1].graph_def).node}} >= {{"x", "layer/y"}}
values = {{value.tag: value for value in events[3].summary.value}}
assert values["mean_of_y"].simple_value == 4 and values["all_of_y"].histo.num == 15
assert values["picture/image/0"].image.height == 5
assert values["sound/audio/0"].audio.length_frames == 15
stats = tf.RunMetadata.FromString(events[4].tagged_run_metadata.run_metadata).step_stats
assert "layer/y" in [node.node_name for device in stats.dev_stats for node in device.node_stats]
pixels = tf.image.decode_png(values["picture/image/0"].image.encoded_image_string)
sound, rate = tf.audio.decode_wav(values["sound/audio/0"].audio.encoded_audio_string)
with tf.Session() as session:
    assert session.run(pixels).tolist() == [[[255]] * 3] * 5
    assert session.run(rate) == 8000 and session.run(sound).shape == (15, 1)
""",
    )


def test_their_events(each_peer, tmp_path):
    ask(
        each_peer,
        f"""
summary = tf.summary.merge([tf.summary.scalar("a", 2.5), tf.summary.histogram("b", [1.0, 2.0])])
with tf.summary.FileWriter({str(tmp_path)!r}, tf.get_default_graph()) as writer, tf.Session() as session:
    writer.add_summary(session.run(summary), 4)
""",
    )
    (path,) = tmp_path.iterdir()
    version, graph, _, last = tf.train.summary_iterator(path)
    assert version.file_version == "brain.Event:2"
    assert "ScalarSummary" in [node.op for node in tf.GraphDef.FromString(graph.graph_def).node]
    assert (last.step, last.summary.value[0].simple_value, last.summary.value[1].histo.num) == (4, 2.5, 2)


@pytest.fixture
def board(tmp_path):
    """Asks TensorBoard, which looks at `write_events`."""
    if not PYTHON:
        pytest.skip("HEADRACE_PEER_PYTHON names no Python with TensorBoard")
    python = PYTHON
    if subprocess.run([python, "-c", "import tensorboard"], capture_output=True).returncode:
        pytest.skip("the peer has no TensorBoard")
    write_events(str(tmp_path))
    command = [python, "-m", "tensorboard.main", "--logdir", str(tmp_path), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--load_fast", "false", "--reload_interval", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"http://\S+?:(\d+)", line):
            break
    else:
        pytest.fail("TensorBoard did not start")

    def ask(what: str) -> str:
        with urllib.request.urlopen(f"http://localhost:{found[1]}/data/plugin/{what}", timeout=60) as reply:
            return reply.read().decode()

    yield ask
    process.terminate()
    process.communicate()


def test_tensorboard_shows_everything(board):
    assert set(json.loads(board("scalars/tags"))["."]) == {"mean_of_y"}
    scalars = json.loads(board("scalars/scalars?run=.&tag=mean_of_y"))
    assert [point[1:] for point in scalars] == [[0, 4.0], [1, 4.0]]
    for kind, tag in [
        ("histograms", "all_of_y"),
        ("distributions", "all_of_y"),
        ("images", "picture/image/0"),
        ("audio", "sound/audio/0"),
    ]:
        assert set(json.loads(board(f"{kind}/tags"))["."]) == {tag}, kind
    assert json.loads(board("text/tags"))["."] == ["note"]
    assert "<em>words</em>" in board("text/text?run=.&tag=note")
    assert 'name: "layer/y"' in board("graphs/graph?run=.&conceptual=false")
    assert 'node_name: "layer/y"' in board("graphs/run_metadata?run=.&tag=step%201")
