"""Programs that import TensorFlow, run as they are."""

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    def run(program, *arguments, options=(), code=0, module=False):
        (tmp_path / "neighbour.py").write_text("import tensorflow as tf\nNAME = tf.__name__\n")
        (tmp_path / "program.py").write_text(textwrap.dedent(program))
        what = ["-m", "program"] if module else [str(tmp_path / "program.py")]
        command = [sys.executable, "-m", "headrace.compat", *options, *what, *arguments]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": paths}
        )
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    return run


def test_a_program(run):
    printed = run(
        """
        import sys
        import tensorflow as tf
        import tensorflow.compat.v1 as tf1
        import tensorflow.contrib.layers as layers
        import neighbour
        from tensorflow import nn
        from tensorflow.contrib import rnn
        from tensorflow.contrib.tensorboard.plugins import projector
        from tensorflow.core.framework import graph_pb2
        from tensorflow.python.client import timeline
        from tensorflow.python.framework import dtypes, ops
        from tensorflow.python.ops import array_ops, gen_math_ops, variable_scope as vs
        from tensorflow.python.ops.rnn_cell_impl import LSTMStateTuple
        from tensorflow.python.training import saver as saver_lib

        assert __name__ == "__main__" and neighbour.NAME == "tensorflow"
        assert tf.VERSION == tf.__version__ >= "1.15" and tf.compat.v1.VERSION == tf.VERSION
        assert tf1.Session is tf.Session and nn.relu is tf.nn.relu and ops.Graph is tf.Graph
        assert dtypes.float32 is tf.float32 and rnn.LSTMStateTuple is LSTMStateTuple
        assert graph_pb2.GraphDef is tf.GraphDef and projector.ProjectorConfig().embeddings is not None
        assert saver_lib.Saver is tf.train.Saver and timeline.Timeline
        with vs.variable_scope("s"):
            w = tf.get_variable("w", [3, 1], initializer=layers.xavier_initializer())
        x = tf.placeholder(tf.float32, [None, 3])
        y = array_ops.reshape(gen_math_ops.mat_mul(x, w), [-1])
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            print(session.run(y, {x: [[0, 0, 0]] * 2}), sys.argv[1:])
        print(y.op.source)
        """,
        "--rate",
        "0.1",
    )
    assert printed.splitlines()[0] == "[0. 0.] ['--rate', '0.1']"
    assert printed.splitlines()[1].startswith("program.py:")


def test_a_module(run):
    assert run("import tensorflow as tf, sys; print(tf.__name__, sys.argv[1:])", "a", module=True) == (
        "tensorflow ['a']\n"
    )


def test_a_program_from_before_1(run):
    program = """
        import tensorflow as tf
        with tf.Session() as session:
            print(session.run(tf.concat(0, [tf.mul([2], [3]), tf.neg([1])])))
        """
    assert run(program, options=["--before-1.0"]) == "[ 6 -1]\n"
    assert "Headrace has no tensorflow.mul; did you mean" in run(program, code=1)


@pytest.mark.parametrize(
    "program,says",
    [
        (
            "import tensorflow as tf; tf.nn.relux",
            "Headrace has no tensorflow.nn.relux; did you",
        ),
        ("import tensorflow.no.such", "ModuleNotFoundError: Headrace has no tensorflow.no"),
        ("from tensorflow import no_such", "Headrace has no tensorflow.no_such"),
        ("from tensorflow.contrib import no_such", "Headrace has no tensorflow.contrib.no_such"),
        ("from tensorflow.python.ops import no_ops", "Headrace has no tensorflow.python.ops.no_ops"),
        ("import tensorflow.Session", "tensorflow.Session is no module"),
    ],
)
def test_what_is_missing_is_named(run, program, says):
    assert says in run(program, code=1)


def test_no_program(run):
    done = subprocess.run(
        [sys.executable, "-m", "headrace.compat", "nowhere.py"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 2 and "there is no file nowhere.py" in done.stderr


def test_importing_the_room_changes_nothing():
    code = (
        "import sys; before = list(sys.meta_path); import headrace.compat.programs; "
        "assert sys.meta_path == before; print([f for f in sys.modules if 'tensorflow' in f])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"
