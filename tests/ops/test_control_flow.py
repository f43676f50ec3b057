import os
import sys

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors
from headrace.ops.control_flow import with_dependencies
from tests.ops.harness import Bad, Case, OpRecord, run_records

X = np.array([[1.0, -2.0, 3.5], [0.5, 4.0, 1.0]])
EMPTY = np.zeros((0, 3))


def says_time(outputs, inputs, attrs):
    assert 1.5e9 < outputs[0] < 1e11


RECORDS = [
    OpRecord("NoOp", cases=[Case()], reference=list, dtypes=()),
    OpRecord("ControlTrigger", cases=[Case()], reference=list, dtypes=()),
    OpRecord(
        "Assert",
        cases=[Case((True, [X, np.array(["text"], object)])), Case((True, [EMPTY]), {"summarize": 1})],
        reference=lambda condition, data, summarize=3: [],
        dtypes=(),
        bad=[
            Bad((False, [np.arange(5.0)]), match=r"assertion failed: \[0 1 2\.\.\.\]", when="run"),
            Bad((False, [np.arange(5.0)]), {"summarize": -1}, match=r"\[0 1 2 3 4\]", when="run"),
            Bad((np.array([True]), [X]), match="rank"),
        ],
    ),
    OpRecord(
        "EnsureShape",
        cases=[
            Case((X,), {"shape": [2, None]}),
            Case((X,), {"shape": tf.TensorShape(None)}),
            Case((EMPTY,), {"shape": [0, 3]}),
        ],
        reference=lambda x, shape: x,
        dtypes=("float32", "int64", "bool", "complex64"),
        differentiable=(0,),
        bad=[Bad((X,), {"shape": [2, 2]}, match=r"\(2, 3\).*expected \(2, 2\)")],
    ),
    OpRecord(
        "Print",
        cases=[Case((X, [X, np.array(3)]), {"message": "seen: "}), Case((EMPTY, []), {"first_n": 1})],
        reference=lambda x, data, **attrs: x,
        dtypes=("float32", "int32"),
        differentiable=(0,),
    ),
    OpRecord(
        "PrintV2",
        cases=[Case((np.array("text", object),)), Case((np.array("", object),), {"output_stream": "stdout"})],
        reference=lambda text, **attrs: [],
        dtypes=(),
        bad=[
            Bad((np.array(["a"], object),), match="rank"),
            Bad((np.array("a", object),), {"output_stream": "nowhere"}, match="stdout", when="run"),
        ],
        no_empty="takes a scalar",
    ),
    OpRecord("Timestamp", cases=[Case()], check=says_time, dtypes=()),
]

run_records(globals(), RECORDS)


@pytest.fixture(autouse=True)
def fresh_graph():
    with tf.Graph().as_default():
        yield


def test_names():
    a = tf.constant(1.0, name="a")
    assert tf.no_op().name == "NoOp"
    assert tf.group(a, a).name == "group_deps"
    assert tf.group(a, name="all").name == "all"
    b, none, c = tf.tuple([a, None, a])
    assert (b.name, none, c.name) == ("tuple/control_dependency:0", None, "tuple/control_dependency_1:0")
    assert tf.get_default_graph().get_operation_by_name("tuple/group_deps").type == "NoOp"
    assert tf.Assert(True, [a]).name == "Assert/Assert"
    assert tf.timestamp().name == "Timestamp:0"


def test_group_waits():
    v = tf.Variable(0.0)
    with tf.Session() as session:
        session.run(v.initializer)
        session.run(tf.group([v.assign_add(1.0), {"b": v.assign_add(2.0)}]))
        assert session.run(v) == 3.0
        assert session.run(with_dependencies([v.assign_add(4.0)], tf.constant(5.0))) == 5.0
        assert session.run(v) == 7.0
        tf.group()
    with pytest.raises(TypeError, match="expected operations"):
        tf.group(3)
    with pytest.raises(ValueError, match="at least one tensor"):
        tf.tuple([None])


def test_assert_in_step():
    x = tf.placeholder(tf.float32, [None])
    with tf.control_dependencies([tf.Assert(tf.reduce_all(x > 0), ["x is", x], summarize=2)]):
        y = tf.identity(x)
    with tf.Session() as session:
        np.testing.assert_array_equal(session.run(y, {x: [1, 2]}), [1, 2])
        with pytest.raises(errors.InvalidArgumentError, match=r"assertion failed: \[x is\] \[1 -2\.\.\.\]"):
            session.run(y, {x: [1, -2, 3]})
        np.testing.assert_array_equal(session.run(y, {x: [3]}), [3])


def printed(capfd, op, **feeds):
    with tf.Session() as session:
        session.run(op)
    sys.stderr.flush()
    captured = capfd.readouterr()
    return captured.err or captured.out


def test_print(capfd):
    x = tf.constant([[1.0, 2.5], [3.0, 1e10]])
    assert printed(capfd, tf.print("x is", x, [1, "b"])) == "x is [[1 2.5]\n [3 1e+10]] [1, 'b']\n"
    assert printed(capfd, tf.print({"a": x[0]}, (x[0, 0],), sep="; ", end="!")) == "{'a': [1 2.5]}; (1,)!"
    assert printed(capfd, tf.print(tf.range(10), summarize=2)) == "[0 1 ... 8 9]\n"
    assert printed(capfd, tf.print(tf.range(10), summarize=-1)) == "[0 1 2 3 4 5 6 7 8 9]\n"
    assert printed(capfd, tf.print("{}", x[0, 0], output_stream=sys.__stdout__ and "stdout")) == "{} 1\n"
    assert printed(capfd, tf.print(tf.constant(["a", "b"]), True)) == '["a" "b"] True\n'
    with pytest.raises(ValueError, match="output_stream"):
        tf.print(x, output_stream="nowhere")
    with pytest.raises(TypeError, match="colour"):
        tf.print(x, colour="red")


def test_print_to_file(tmp_path):
    path = os.path.join(tmp_path, "log.txt")
    with tf.Session() as session:
        for _ in range(2):
            session.run(tf.print("a", tf.constant(2), output_stream="file://" + path))
    with open(path) as file:
        assert file.read() == "a 2\na 2\n"


def test_old_print(capfd):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    y = tf.Print(x, [x, tf.constant("s"), x[0]], message="see ", first_n=2, summarize=3)
    with tf.Session() as session:
        for _ in range(3):
            np.testing.assert_array_equal(session.run(y), [[1, 2], [3, 4]])
    assert capfd.readouterr().err == "see [[1 2][3...]...][s][1 2]\n" * 2
