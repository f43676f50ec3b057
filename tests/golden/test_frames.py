"""Graphs with conditions and loops as frames, written by TensorFlow: run here to the same numbers, with
gradients of theirs and of ours. Recorded by record_frames.py.
"""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

import headrace as tf

FOLDER = Path(__file__).parent / "frames"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
FRAMES = {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond"}


def recorded(name):
    message = tf.GraphDef.FromString(gzip.decompress((FOLDER / f"{name}.pb.gz").read_bytes()))
    return message, json.loads((FOLDER / f"{name}.json").read_text())


def check(session, results, prefix="", fetches=None):
    session.run(prefix + results["init"])
    for feed, expected in zip(results["feeds"], results["values"], strict=True):
        feed = {prefix + key: value for key, value in feed.items()}
        values = session.run(
            [prefix + name for name in results["fetches"]] if fetches is None else fetches, feed
        )
        for value, want in zip(values, expected, strict=True):
            np.testing.assert_allclose(value, want, rtol=2e-5, atol=2e-6)


def test_there_are_all():
    assert len(NAMES) == 20


@pytest.mark.parametrize("name", NAMES)
def test_values(name):
    message, results = recorded(name)
    functions = [node for function in message.library.function for node in function.node_def]
    assert FRAMES & {node.op for node in [*message.node, *functions]}
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(message, name="")
        assert not FRAMES & {op.type for op in graph.get_operations()}
        check(session, results)


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read_again(name):
    message, results = recorded(name)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
        again = graph.as_graph_def()
    # Nodes are near to nodes that there are.
    classes = [node.attr["_class"].list.s for node in again.node if "_class" in node.attr]
    near = {text for names in classes for text in names if text.startswith(b"loc:@")}
    assert near <= {b"loc:@" + node.name.encode() for node in again.node}
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(again, name="scope")
        check(session, results, "scope/")


WITHOUT_GRADIENTS = ("effects", "recurrent", "several_ways", "first_stacks", "in_functions")


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(WITHOUT_GRADIENTS)])
def test_our_gradients(name):
    message, results = recorded(name)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(message, name="")
        ys = [graph.get_tensor_by_name(name) for name in results["fetches"][:-1]]
        x = graph.get_tensor_by_name("x:0")
        (gradient,) = tf.gradients(ys, x)
        check(session, results, fetches=[*ys, gradient])


@pytest.mark.parametrize("name", ["condition_in_condition", "loop_in_loop", "condition_in_loop", "arrays"])
def test_second_derivatives(name):
    message, results = recorded(name)
    with tf.Graph().as_default() as graph, tf.Session() as session:
        tf.import_graph_def(message, name="")
        ys = [graph.get_tensor_by_name(name) for name in results["fetches"][:-1]]
        x = graph.get_tensor_by_name("x:0")
        (first,) = tf.gradients(ys, x)
        direction = tf.cos(tf.cast(tf.reshape(tf.range(tf.size(x)), tf.shape(x)), tf.float32))
        along = tf.reduce_sum(first * direction)
        (second,) = tf.gradients(along, x)
        for feed in results["feeds"]:
            got, way = session.run([second, direction], feed)
            value, step = np.asarray(feed["x:0"], np.float32), 1e-2
            ahead, behind = (
                session.run(first, {**feed, "x:0": value + sign * step * way}) for sign in (1, -1)
            )
            # The matrix of second derivatives is symmetric: times `way` it is the change of `first` along it.
            np.testing.assert_allclose(got, (ahead - behind) / (2 * step), rtol=0.02, atol=0.02)


def test_names_that_users_fetch():
    message, _ = recorded("loop")
    with tf.Graph().as_default() as graph, tf.Session() as session:
        exit_op, exit_tensor = tf.import_graph_def(
            message, name="a", return_elements=["while/Exit_1", "while/Exit_1:0"]
        )
        assert exit_op.name == "a/while/Exit_1" and exit_tensor is exit_op.outputs[0]
        assert exit_tensor.shape == [2, 3]
        x = tf.constant(np.ones((2, 3), np.float32))
        (mapped,) = tf.import_graph_def(message, {"x": x, "n": tf.constant(2)}, ["while/Exit_1:0"], name="b")
        (replaced,) = tf.import_graph_def(message, {"while/Exit_1:0": x}, ["gradients/grad_ys_0:0"], name="c")
        one = np.tanh(1) + 1
        np.testing.assert_allclose(session.run(mapped), np.full((2, 3), np.tanh(one) + one), rtol=1e-6)
        assert graph.get_operation_by_name("c/while/While") is not None
        assert session.run(replaced) == 1


def test_which_side_came():
    message, _ = recorded("condition")
    with tf.Graph().as_default(), tf.Session() as session:
        value, position, p = tf.import_graph_def(
            message, return_elements=["cond/Merge:0", "cond/Merge:1", "p:0"]
        )
        assert position.dtype == tf.int32
        x = tf.get_default_graph().get_tensor_by_name("import/x:0")
        ones = np.ones((2, 3))
        assert session.run(position, {p: True, x: ones}) == 1
        assert session.run(position, {p: False, x: ones}) == 0
        np.testing.assert_array_equal(session.run(value, {p: False, x: ones}), ones + 1)


@pytest.mark.parametrize(
    ("name", "element", "match"),
    [
        ("loop", "while/Identity_1", "inside of a loop"),
        ("condition", "cond/Tanh:0", "inside of a condition"),
        ("condition", "cond/Switch:1", "inside of a condition"),
    ],
)
def test_what_is_inside_cannot_be_asked_for(name, element, match):
    message, _ = recorded(name)
    with tf.Graph().as_default() as graph:
        with pytest.raises(ValueError, match=match):
            tf.import_graph_def(message, return_elements=[element])
        assert not graph.get_operations()


@pytest.mark.parametrize(
    ("name", "inside", "match"),
    [
        ("loop", "while/Tanh", "'while/Tanh' is inside of While 'while/While': .* a loop variable"),
        ("condition", "cond/Tanh", "inside of StatelessIf 'cond/If(_1)?': .* one of its results"),
        (
            "condition_in_loop",
            "while/cond/Sin",
            "inside of If 'while/cond/If', which is inside of While 'while/While'",
        ),
    ],
)
def test_what_is_inside_has_no_value_outside(name, inside, match):
    message, _ = recorded(name)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(message, name="")
        with pytest.raises(KeyError, match=match):
            graph.get_tensor_by_name(f"{inside}:0")
        with pytest.raises(KeyError, match=match):
            graph.get_operation_by_name(inside)
        with tf.Session() as session, pytest.raises((KeyError, ValueError), match=match):
            session.run(f"{inside}:0")
