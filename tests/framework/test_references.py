"""Reference variables of TensorFlow 1 graphs: they come in as resources, and mean the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, protos

FLOAT, FLOAT_REF = protos.DT_FLOAT, protos.DT_FLOAT + 100


class Message:
    """A GraphDef, written as TensorFlow 1 writes it."""

    def __init__(self) -> None:
        self.graph_def = protos.GraphDef()

    def node(self, name: str, op: str, *inputs: str, **attrs: Any) -> Message:
        node = self.graph_def.node.add(name=name, op=op, input=inputs)
        for key, value in attrs.items():
            if isinstance(value, bool):
                node.attr[key].b = value
            elif isinstance(value, np.ndarray):
                node.attr[key].tensor.CopyFrom(tf.make_tensor_proto(value))
            elif isinstance(value, (list, tuple)):
                node.attr[key].shape.SetInParent()
                for size in value:
                    node.attr[key].shape.dim.add(size=size)
            elif isinstance(value, bytes):
                node.attr[key].s = value
            elif key == "limit":
                node.attr[key].i = value
            else:
                node.attr[key].type = value
        return self

    def constant(self, name: str, value: Any, *inputs: str) -> Message:
        array = np.asarray(value, np.float32)
        return self.node(name, "Const", *inputs, value=array, dtype=FLOAT)

    def variable(self, name: str = "v", shape: Any = (2,), op: str = "VariableV2", **attrs: Any) -> Message:
        return self.node(name, op, shape=shape, dtype=FLOAT, **attrs)

    def session(self, name: str = "") -> tf.Session:
        with tf.Graph().as_default() as graph:
            tf.import_graph_def(self.graph_def, name=name)
        return tf.Session(graph=graph)


def initialised() -> Message:
    """v = [1, 2], and v/read."""
    return (
        Message()
        .variable()
        .constant("one", [1.0, 2.0])
        .node("v/Assign", "Assign", "v", "one", T=FLOAT, use_locking=True, validate_shape=True)
        .node("v/read", "Identity", "v", T=FLOAT, _class=b"loc:@v")
    )


def test_every_name_stays():
    with initialised().session("scope") as session:
        assert [op.type for op in session.graph.get_operations()] == [
            *("VarHandleOp", "ReadVariableOp", "Const", "AssignVariableOp", "ReadVariableOp", "Identity")
        ]
        assert session.graph.get_tensor_by_name("scope/v:0").shape == [2]
        with pytest.raises(errors.FailedPreconditionError, match="'scope/v'"):
            session.run("scope/v:0")
        session.run("scope/v/Assign")
        assert list(session.run("scope/v:0")) == [1, 2]
        assert list(session.run("scope/v/Assign:0")) == [1, 2]
        assert list(session.run("scope/v/read:0", {"scope/v:0": [5.0, 6.0]})) == [5, 6]


def test_a_reader_sees_the_updates_that_it_waits_for():
    message = initialised()
    message.node("plus", "AssignAdd", "v", "one", T=FLOAT)
    message.node("after", "Neg", "v", "^plus", T=FLOAT)
    message.node("by_data", "Sub", "v", "plus_copy", T=FLOAT)  # waits for `plus` through its second input
    message.node("plus_copy", "Identity", "plus", T=FLOAT)
    message.node("twice", "AssignAdd", "plus", "one", T=FLOAT)  # an update of what an update passes on
    message.node("sum", "Add", "twice", "twice", T=FLOAT)
    with message.session() as session:
        session.run("v/Assign")
        assert list(session.run("after:0")) == [-2, -4]
        assert list(session.run("by_data:0")) == [0, 0]
        assert list(session.run("v:0")) == [3, 6]
        assert list(session.run("sum:0")) == [10, 20]
        assert list(session.run("v/read:0")) == [5, 10]


def test_a_copy_by_identity_shares_the_buffer():
    """So a moving average that waits for a training step sees what the step has made of the weights."""
    message = initialised().node("plus", "AssignAdd", "v", "one", T=FLOAT)
    message.node("before", "Neg", "v/read", T=FLOAT)
    message.node("after", "Neg", "v/read", "^plus", T=FLOAT)
    with message.session() as session:
        session.run("v/Assign")
        assert [list(value) for value in session.run(["after:0", "plus:0"])] == [[-2, -4], [2, 4]]
        assert list(session.run("before:0")) == [-2, -4]


def test_a_value_that_an_update_takes_from_another_variable():
    message = initialised().variable("w")
    message.node("w/Assign", "Assign", "w", "v", "^v/Assign", T=FLOAT)
    message.node("w/Sub", "AssignSub", "w", "v", T=FLOAT)
    with message.session() as session:
        assert list(session.run("w/Assign:0")) == [1, 2]
        assert list(session.run("w/Sub:0")) == [0, 0]


def test_updates_with_a_result_of_their_own():
    message = Message().node("n", "VariableV2", shape=(), dtype=protos.DT_INT32)
    message.node("zero", "Const", dtype=protos.DT_INT32, value=np.array(0, np.int32))
    message.node("set", "Assign", "n", "zero", T=protos.DT_INT32)
    message.node("count", "CountUpTo", "n", T=protos.DT_INT32, limit=2)
    message.node("made", "IsVariableInitialized", "n", dtype=protos.DT_INT32)
    with message.session() as session:
        assert not session.run("made:0")
        session.run("set")
        assert session.run("made:0")
        assert [session.run("count:0") for _ in range(2)] == [0, 1]
        with pytest.raises(errors.OutOfRangeError):
            session.run("count:0")


@pytest.mark.parametrize("op, shape", [("VariableV2", (2,)), ("Variable", ())])
def test_assignments_that_change_the_shape(op, shape):
    message = Message().variable(shape=shape, op=op).constant("wide", [[1.0, 2.0, 3.0]])
    message.node("set", "Assign", "v", "wide", T=FLOAT, validate_shape=False)
    with message.session() as session:
        assert session.graph.get_tensor_by_name("v:0").shape.ndims is None
        assert session.run("set:0").shape == (1, 3)


def test_references_that_are_passed_on():
    message = initialised().node("same", "RefIdentity", "v", "^v/Assign", T=FLOAT)
    message.node("add", "AssignAdd", "same", "one", T=FLOAT)
    with message.session() as session:
        assert list(session.run("add:0")) == [2, 4]
        assert list(session.run("same:0")) == [1, 2]


def test_shared_names():
    message = Message().variable("a", shared_name=b"both").variable("b", shared_name=b"both")
    message.constant("one", [1.0, 1.0]).node("set", "Assign", "a", "one", T=FLOAT)
    with message.session() as session:
        session.run("set")
        assert list(session.run("b:0")) == [1, 1]


def test_names_that_are_taken():
    message = Message().constant("v/handle", 7.0)
    message.graph_def.node.extend(initialised().graph_def.node)
    with message.session() as session:
        assert session.run("v/handle:0") == 7
        assert list(session.run("v/Assign:0")) == [1, 2]


def test_an_update_of_what_is_no_variable():
    message = initialised().node("bad", "Assign", "one", "one", T=FLOAT)
    with pytest.raises(errors.InvalidArgumentError, match=r"'bad' \(Assign\) takes a reference"):
        message.session()
    message = initialised().node("a", "Assign", "b", "one", T=FLOAT).node("b", "Assign", "a", "one", T=FLOAT)
    with pytest.raises(errors.InvalidArgumentError, match="refers to itself"):
        message.session()


def test_updates_that_are_not_known():
    message = initialised().node("bad", "ApplySomethingNew", "v", "one", T=FLOAT)
    with pytest.raises(errors.NotFoundError, match=r"ApplySomethingNew \(node 'bad'\)"):
        message.session()


def test_variables_by_their_messages():
    with initialised().session("scope") as session:
        definition = protos.VariableDef(
            variable_name="v:0",
            initializer_name="v/Assign",
            snapshot_name="v/read:0",
            initial_value_name="one:0",
            trainable=True,
        )
        with session.graph.as_default():
            variable = tf.Variable.from_proto(definition, "scope")
            again = tf.Variable.from_proto(variable.to_proto())
            assert variable.name == again.name == "scope/v:0" and variable.op.name == "scope/v"
            assert variable.shape == [2] and variable.dtype == tf.float32
            doubled = variable.assign(variable * 2)
            (gradient,) = tf.gradients(tf.reduce_sum(variable**2), variable)
        session.run(variable.initializer)
        assert list(session.run(doubled)) == [2, 4]
        assert list(session.run(gradient)) == [4, 8]
        again.load([7, 8], session)
        assert list(variable.eval(session)) == [7, 8]


def test_older_queues_and_tables():
    message = Message()
    message.graph_def.node.add(name="q", op="FIFOQueue").attr["component_types"].list.type.append(FLOAT)
    message.constant("one", 3.0)
    message.graph_def.node.add(name="put", op="QueueEnqueue", input=["q", "one"]).attr[
        "Tcomponents"
    ].list.type.append(FLOAT)
    message.graph_def.node.add(name="take", op="QueueDequeue", input=["q", "^put"]).attr[
        "component_types"
    ].list.type.append(FLOAT)
    message.node("size", "QueueSize", "q", "^take")
    with message.session() as session:
        assert session.run(["take:0", "size:0"]) == [3, 0]
