"""Traces of steps."""

import json

import numpy as np
import pytest

import headrace as tf
from headrace.timeline import Timeline


@pytest.fixture
def step():
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [100, 100], name="x")
        product = tf.matmul(x, x, name="product")
        y = tf.reduce_sum(tf.nn.softmax(product, name="soft"), name="y")
        feeds = {x: np.ones((100, 100), np.float32)}
        yield graph, session, y, feeds


def test_profile_writes_a_trace(step, tmp_path):
    _, session, y, feeds = step
    path = tmp_path / "trace.json"
    metadata = tf.profile(session, y, feeds, path)
    names = {node.node_name for device in metadata.step_stats.dev_stats for node in device.node_stats}
    assert {"product", "y"} <= names
    events = json.loads(path.read_text())["traceEvents"]
    boxes = {event["args"]["name"]: event for event in events if event["ph"] == "X"}
    assert set(boxes) == names
    assert boxes["product"]["name"] == "MatMul" and boxes["product"]["args"]["bytes"] == 40000
    assert all(box["dur"] >= 0 for box in boxes.values())
    assert boxes["y"]["ts"] >= boxes["product"]["ts"] + boxes["product"]["dur"]
    processes = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert len(processes) == 1 and "CPU:0" in processes[0]


def test_arrows_go_from_writer_to_reader(step):
    graph, session, y, feeds = step
    stats = tf.profile(session, y, feeds).step_stats
    trace = json.loads(Timeline(stats, graph=graph).generate_chrome_trace_format())
    arrows = [event for event in trace["traceEvents"] if event.get("cat") == "dataflow"]
    starts = {event["id"]: event for event in arrows if event["ph"] == "s"}
    ends = {event["id"]: event for event in arrows if event["ph"] == "t"}
    assert starts and set(starts) == set(ends)
    assert all(starts[number]["ts"] <= ends[number]["ts"] for number in starts)


def test_memory(step):
    _, session, y, feeds = step
    trace = Timeline(tf.profile(session, y, feeds).step_stats).generate_chrome_trace_format(
        show_dataflow=False, show_memory=True
    )
    counts = [event["args"]["bytes"] for event in json.loads(trace)["traceEvents"] if event["ph"] == "C"]
    assert counts == sorted(counts) and counts[-1] > 40000


def test_traces_of_other_programs():
    """Without nanoseconds, with inputs in the label."""
    assert tf.timeline.Timeline is Timeline
    stats = tf.RunMetadata().step_stats
    device = stats.dev_stats.add(device="/job:localhost/replica:0/task:0/device:CPU:0")
    device.node_stats.add(
        node_name="a", timeline_label="a = MatMul(b, c)", all_start_micros=5, all_end_rel_micros=2
    )
    (box,) = [
        event
        for event in json.loads(Timeline(stats).generate_chrome_trace_format())["traceEvents"]
        if event["ph"] == "X"
    ]
    assert (box["name"], box["ts"], box["dur"]) == ("MatMul", 5, 2)


def test_cost_graph_and_partitions():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        y = tf.matmul(x, tf.ones([3, 2]), name="y")
        first, _ = tf.unique(tf.cast(tf.reshape(y, [-1]), tf.int32), name="unique")
        metadata = tf.RunMetadata()
        options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE, output_partition_graphs=True)
        session.run(first, {x: np.ones([4, 3])}, options=options, run_metadata=metadata)
        nodes = {node.name: node for node in metadata.cost_graph.node}
        assert nodes["y"].output_info[0].size == 4 * 2 * 4
        assert nodes["y"].device.endswith("CPU:0")
        assert [dim.size for dim in nodes["y"].output_info[0].shape.dim] == [4, 2]
        by_id = {node.id: node.name for node in metadata.cost_graph.node}
        inputs = [by_id[info.preceding_node] for info in nodes["unique"].input_info]
        assert len(nodes["unique"].output_info) == 2 and all(name in nodes for name in inputs)
        (part,) = metadata.partition_graphs
        assert {"y", "unique"} <= {node.name for node in part.node}
        assert not metadata.partition_graphs[0].node[0].input and part.node[0].op == "_Arg"
        session.run(first, {x: np.ones([4, 3])}, options=tf.RunOptions(), run_metadata=metadata)


def test_what_was_fused_goes_by_the_name_of_a_node_of_the_graph():
    """So that viewers of the graph find it."""
    with tf.Graph().as_default() as graph, tf.Session() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        with tf.name_scope("layer"):
            y = tf.exp(tf.tanh(x * 2.0), name="y")
        stats = tf.profile(session, y, {x: np.ones(5000)}).step_stats
        nodes = {node.node_name: node for device in stats.dev_stats for node in device.node_stats}
        assert all(graph.get_operation_by_name(name) for name in nodes)
        assert nodes["layer/y"].timeline_label.startswith("layer/y/fused = _Elementwise(Mul, Tanh, Exp")


def test_outputs_are_described_one_by_one():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [4], name="x")
        values, places = tf.unique(x, name="unique")
        stats = tf.profile(session, [values, places], {x: [1.0, 2.0, 1.0, 1.0]}).step_stats
        nodes = {node.node_name: node for device in stats.dev_stats for node in device.node_stats}
        described = [output.tensor_description for output in nodes["unique"].output]
        assert [output.slot for output in nodes["unique"].output] == [0, 1]
        assert [one.dtype for one in described] == [tf.float32.as_datatype_enum, tf.int32.as_datatype_enum]
        # How many there are of the first depends on data: here is what there was.
        assert [[dim.size for dim in one.shape.dim] for one in described] == [[2], [4]]
        memory = [one.allocation_description for one in described]
        assert [one.requested_bytes for one in memory] == [8, 16]
        assert [one.allocator_name for one in memory] == ["cpu", "cpu"]  # both leave the plan


def test_shapes_are_those_of_the_step():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        product = tf.matmul(x, tf.ones([3, 2]), name="product")
        total = tf.reduce_sum(tf.sigmoid(product, name="soft"), name="total")  # with the product in one node
        for rows in (4, 7):
            stats = tf.profile(session, total, {x: np.ones([rows, 3])}).step_stats
            nodes = {node.node_name: node for device in stats.dev_stats for node in device.node_stats}
            described = nodes["soft"].output[0].tensor_description
            assert [dim.size for dim in described.shape.dim] == [rows, 2]
            assert described.dtype == tf.float32.as_datatype_enum
            assert described.allocation_description.allocated_bytes == rows * 8
            assert described.allocation_description.allocator_name == "arena"
            assert nodes["soft"].memory[0].total_bytes == rows * 8


def parts_of(session, fetches, feeds=None):
    metadata = tf.RunMetadata()
    options = tf.RunOptions(output_partition_graphs=True)
    session.run(fetches, feeds, options=options, run_metadata=metadata)
    assert not metadata.step_stats.dev_stats, "no statistics were asked for"
    return [{node.name: node for node in part.node} for part in metadata.partition_graphs]


def assert_whole(nodes):
    """Every input is an output of a node that is there."""
    for node in nodes.values():
        for name in node.input:
            assert name.lstrip("^").partition(":")[0] in nodes


def test_partitions_show_what_the_passes_made():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        with tf.name_scope("layer"):
            y = tf.exp(tf.tanh(x * 2.0), name="y")
        with tf.control_dependencies([tf.assert_positive(x)]):
            values, places = tf.unique(y, name="unique")
        last = tf.negative(places, name="last")
        (nodes,) = parts_of(session, [values, last], {x: np.ones(5000)})
        assert_whole(nodes)
        fused = nodes["layer/y/fused"]
        assert fused.op == "_Elementwise" and fused.attr["_label"].s.startswith(b"_Elementwise(Mul, Tanh")
        assert "layer/y" not in nodes and fused.input[0] == "x" and nodes["x"].op == "_Arg"
        assert [dim.size for dim in fused.attr["_output_shapes"].list.shape[0].dim] == [5000]
        assert fused.device.endswith("CPU:0")
        assert "layer/y/fused" in nodes["unique"].input and nodes["last"].input[0] == "unique:1"
        assert nodes["unique"].attr["T"].type == tf.float32.as_datatype_enum


def test_a_partition_for_each_piece_of_a_plan():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None], name="x")
        with tf.name_scope("loop"):
            _, looped = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.tanh(a) * 2.0), [0, x])
        chosen = tf.boolean_mask(looped, x > 1.0, name="chosen")
        total = tf.reduce_sum(tf.square(chosen, name="square"), name="total")
        pieces = parts_of(session, total, {x: [1.0, 2.0, 3.0]})
        for nodes in pieces:
            assert_whole(nodes)
        ops = [{node.op for node in nodes.values()} for nodes in pieces]
        assert "StatelessWhile" in set.union(*ops) and any("Less" in those for those in ops)
        assert len(pieces) >= 4, "before the cut, after it, and what the loop consists of"
