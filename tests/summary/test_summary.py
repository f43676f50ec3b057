"""The public functions for summaries, and event files."""

import glob
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import headrace as tf


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as graph:
        yield graph


def evaluate(summary):
    with tf.Session() as session:
        return tf.Summary.FromString(session.run(summary))


def tags(summary):
    return [value.tag for value in evaluate(summary).value]


def events_in(folder):
    found = []
    for path in sorted(glob.glob(str(folder) + "/*tfevents*")):
        found.extend(tf.train.summary_iterator(path))
    return found


# ---- names


def test_tags_and_names():
    with tf.name_scope("a"):
        first = tf.summary.scalar("loss b", 1.0)
        assert first.op.name == "a/loss_b" and tags(first) == ["a/loss_b"]
        assert first.op.type == "ScalarSummary" and first.op.inputs[0].op.name == "a/loss_b/tags"
        again = tf.summary.scalar("loss b", 2.0)
        assert tags(again) == ["a/loss_b_1"]
        assert tags(tf.summary.scalar("/x/y:z", 2.0)) == ["a/x/y_z"]


def test_names_must_leave_a_tag():
    for name, error in [("", ValueError), ("//", ValueError), (None, ValueError), (3, TypeError)]:
        with pytest.raises(error, match="summary"):
            tf.summary.scalar(name, 1.0)
    assert not tf.get_collection(tf.GraphKeys.SUMMARIES)


def test_family_comes_before_the_tag():
    with tf.name_scope("a"):
        summary = tf.summary.histogram("h", [1.0], family="f")
    assert summary.op.name == "a/f/h" and tags(summary) == ["f/a/f/h"]


def test_collections():
    default = tf.summary.scalar("a", 1.0)
    mine = tf.summary.image("b", tf.zeros([1, 2, 2, 1]), collections=["mine"])
    none = tf.summary.audio("c", tf.zeros([1, 9]), 100, collections=[])
    assert tf.get_collection(tf.GraphKeys.SUMMARIES) == [default]
    assert tf.get_collection("mine") == [mine]
    assert none.op.type == "AudioSummaryV2" and none.op.inputs[2].op.name == "c/sample_rate"


def test_merge():
    a, b = tf.summary.scalar("x/a", 1.0), tf.summary.scalar("b", 2.0)
    merged = tf.summary.merge([a, b], collections=["merged"])
    assert merged.op.name == "Merge/MergeSummary" and tags(merged) == ["x/a", "b"]
    assert tf.get_collection("merged") == [merged]
    assert tags(tf.summary.merge_all()) == ["x/a", "b"]
    assert tags(tf.summary.merge_all(scope="x")) == ["x/a"]
    assert tf.summary.merge_all("nothing") is None
    with pytest.raises(tf.errors.InvalidArgumentError, match="'b'"):
        evaluate(tf.summary.merge([b, b]))


def test_merging_has_a_name():
    one = tf.summary.scalar("a", 1.0)
    assert tf.summary.merge([one]).op.name == "Merge/MergeSummary"
    assert tf.summary.merge([one], name="m").op.name == "m/m"
    assert tf.summary.merge_all(name="all").op.name == "all/all"


def test_text():
    value = evaluate(tf.summary.text("t", tf.constant(["a", "b"]))).value[0]
    assert value.metadata.plugin_data.plugin_name == "text"
    assert list(tf.make_ndarray(value.tensor)) == [b"a", b"b"]
    with pytest.raises(ValueError, match="strings"):
        tf.summary.text("t", tf.constant(1))


def test_tensor_summary():
    metadata = tf.SummaryMetadata(plugin_data={"plugin_name": "mine", "content": b"c"})
    summary = tf.summary.tensor_summary(
        "t", [1, 2], summary_description="what", summary_metadata=metadata, display_name="T"
    )
    value = evaluate(summary).value[0]
    assert value.metadata.plugin_data.content == b"c"
    assert (value.metadata.summary_description, value.metadata.display_name) == ("what", "T")
    assert not metadata.display_name
    np.testing.assert_array_equal(tf.make_ndarray(value.tensor), [1, 2])


def test_summary_description():
    from headrace.framework import raw

    node = raw.TensorSummary([1.0], description='{"typeHint": "hint"}').op.node_def
    assert tf.summary.get_summary_description(node) == tf.summary.SummaryDescription(type_hint="hint")
    with pytest.raises(ValueError, match="TensorSummary"):
        tf.summary.get_summary_description(tf.constant(1).op.node_def)


# ---- event files


def test_event_file(tmp_path, graph):
    x = tf.constant(2.0, name="x")
    summary = tf.summary.scalar("x_value", x)
    with tf.Session() as session, tf.summary.FileWriter(tmp_path, graph, filename_suffix=".s") as writer:
        metadata = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
        value = session.run(summary, options=options, run_metadata=metadata)
        writer.add_summary(value, 7)
        writer.add_summary(tf.Summary(value=[{"tag": "y", "simple_value": 3.0}]), np.int64(8))
        writer.add_run_metadata(metadata, "step 7", 7)
        writer.add_session_log(tf.SessionLog(status=tf.SessionLog.START), 9)
        with pytest.raises(ValueError, match="step 7"):
            writer.add_run_metadata(metadata, "step 7")
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents.") and path.name.endswith(".s")
    version, drawn, meta, first, second, run, log = events_in(tmp_path)
    assert version.file_version == "brain.Event:2" and version.wall_time > 1e9
    names = {node.name for node in tf.GraphDef.FromString(drawn.graph_def).node}
    assert names == {op.name for op in graph.get_operations()}
    assert "_output_shapes" in tf.GraphDef.FromString(drawn.graph_def).node[0].attr
    assert len(tf.MetaGraphDef.FromString(meta.meta_graph_def).graph_def.node) == len(names)
    assert (first.step, first.summary.value[0].simple_value) == (7, 2.0)
    assert (second.step, second.summary.value[0].tag) == (8, "y")
    assert run.tagged_run_metadata.tag == "step 7"
    assert tf.RunMetadata.FromString(run.tagged_run_metadata.run_metadata) == metadata
    assert (log.session_log.status, log.step) == (tf.SessionLog.START, 9)


def test_metadata_is_written_once(tmp_path):
    value = tf.Summary(value=[{"tag": "t", "metadata": {"display_name": "T"}}])
    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_summary(value, 0)
        writer.add_summary(value, 1)
    first, second = events_in(tmp_path)[1:]
    assert first.summary.value[0].HasField("metadata") and not second.summary.value[0].HasField("metadata")


def test_close_and_reopen(tmp_path):
    writer = tf.summary.FileWriter(tmp_path)
    assert writer.get_logdir() == str(tmp_path)
    writer.close()
    writer.close()
    writer.flush()
    with pytest.warns(UserWarning, match="closed"):
        writer.add_summary(tf.Summary(), 1)
    writer.reopen()
    writer.reopen()
    writer.add_summary(tf.Summary(), 2)
    writer.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert [event.step for event in events_in(tmp_path) if event.HasField("summary")] == [2]


def test_flush(tmp_path):
    writer = tf.summary.FileWriter(tmp_path, flush_secs=1000)
    for step in range(100):
        writer.add_summary(tf.Summary(), step)
    writer.flush()
    assert len(events_in(tmp_path)) == 101
    writer.close()


def test_a_forgotten_writer_writes(tmp_path):
    writer = tf.summary.FileWriter(tmp_path)
    writer.add_summary(tf.Summary(), 1)
    del writer
    assert len(events_in(tmp_path)) == 2


def test_the_program_ends_without_close(tmp_path):
    program = (
        "import sys, os, headrace as tf\n"
        "writer = tf.summary.FileWriter(sys.argv[1])\n"
        "writer.add_summary(tf.Summary(), 1)\n"
        "writer.flush()\n"
        "if os.fork() == 0:\n"
        "    sys.exit()\n"  # closes nothing, writes nothing, waits for nobody
        "os.wait()\n"
        "writer.add_summary(tf.Summary(), 2)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    assert [event.step for event in events_in(tmp_path)] == [0, 1, 2]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full disk to write to")
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("headrace.summary.writer._new_path", lambda *_: "/dev/full")
    with pytest.raises(tf.errors.UnavailableError, match="No space left"):
        tf.summary.FileWriter(tmp_path)


def test_threads_and_a_short_queue(tmp_path):
    with tf.summary.FileWriter(tmp_path, max_queue=2) as writer:
        threads = [
            threading.Thread(target=lambda: [writer.add_summary(tf.Summary(), k) for k in range(50)])
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(events_in(tmp_path)) == 151


def test_bad_arguments(tmp_path, graph):
    with tf.summary.FileWriter(tmp_path) as writer:
        with pytest.raises(ValueError, match="one of them"):
            writer.add_graph(None)
        with pytest.raises(TypeError, match="expected a Graph"):
            writer.add_graph(3)
        with pytest.raises(TypeError, match="MetaGraphDef"):
            writer.add_meta_graph(tf.GraphDef())
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OSError):
        tf.summary.FileWriter(file / "folder")


def test_cache(tmp_path):
    first = tf.summary.FileWriterCache.get(str(tmp_path))
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is first
    tf.summary.FileWriterCache.clear()
    assert tf.summary.FileWriterCache.get(str(tmp_path)) is not first
    tf.summary.FileWriterCache.clear()


def test_projector_config(tmp_path):
    config = tf.summary.projector.ProjectorConfig()
    embedding = config.embeddings.add(tensor_name="words", metadata_path="words.tsv")
    embedding.sprite.image_path = "all.png"
    embedding.sprite.single_image_dim.extend([8, 8])
    with tf.summary.FileWriter(tmp_path) as writer:
        tf.summary.projector.visualize_embeddings(writer, config)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert 'tensor_name: "words"' in text and "single_image_dim: 8" in text
