"""Flags of the command line, and programs that are run by `tf.app.run`."""

import os
import pathlib
import subprocess
import sys

import absl.flags
import pytest

import headrace as tf

flags = tf.flags
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def unread():
    """The program's flags, as if nothing had asked for them yet."""
    flags.DEFINE_integer("test_i", 3, "an integer")
    flags.FLAGS.unparse_flags()
    yield flags.FLAGS
    flags.FLAGS.unparse_flags()
    del flags.FLAGS.test_i


def test_the_first_value_reads_the_command_line(unread, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["p", "--test_i=8"])
    assert "test_i" in unread and unread["test_i"].default == 3  # which need no command line
    assert unread.test_i == 8
    monkeypatch.setattr(sys, "argv", ["p", "--test_i=9"])
    assert unread.test_i == 8 and absl.flags.FLAGS.test_i == 8
    unread.unparse_flags()
    assert unread.test_i == 9
    unread.test_i = 1
    assert unread.test_i == 1 and {"test_i"} <= set(unread) & set(dir(unread)) and len(unread) >= 1


def test_a_flag_that_is_not_defined_is_refused(unread, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["p", "--test_ii=8"])
    with pytest.raises(flags.UnrecognizedFlagError, match="test_ii"):
        _ = unread.test_i
    monkeypatch.setattr(sys, "argv", ["p"])
    with pytest.raises(AttributeError, match="test_ii"):
        _ = unread.test_ii


def test_flags_can_be_left_to_others(unread):
    assert unread(["p", "x", "--test_j=2", "--test_i=4"], known_only=True) == ["p", "x", "--test_j=2"]
    assert unread.test_i == 4


@pytest.mark.parametrize("kind", ["string", "integer", "float", "bool", "boolean", "list", "multi_string"])
def test_older_names_of_arguments(kind):
    values = flags.FlagValues()
    define = getattr(flags, f"DEFINE_{kind}")
    define(flag_name="f", default_value=None, docstring="what it is for", flag_values=values)
    assert values["f"].help.startswith("what it is for") and values["f"].default is None


def test_what_is_set_to_a_wrong_value(unread):
    unread.mark_as_parsed()
    flags.register_validator("test_i", lambda value: value < 10, "is too large")
    with pytest.raises(flags.IllegalFlagValueError, match="too large"):
        unread.test_i = 11


PROGRAM = """
import headrace as tf
tf.app.flags.DEFINE_integer("i", 3, "how many")
tf.app.flags.DEFINE_bool("b", True, "whether")
tf.logging.warning("before")
def main(argv):
    print(argv[1:], tf.flags.FLAGS.i, tf.flags.FLAGS.b)
    tf.logging.warning("after")
    return 3
if __name__ == "__main__":
    tf.app.run()
"""


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--i=4 x --j=5", 3, "['x', '--j=5'] 4 True"),
        ("--nob -- --i=9", 3, "['--', '--i=9'] 3 False"),
        ("--i=x", 1, "flag --i=x"),
        ("--help", 1, "program.py:\n  --[no]b: whether\n    (default: 'true')\n  --i: how many\n"),
    ],
)
def test_programs(tmp_path, line, code, says):
    (tmp_path / "program.py").write_text(PROGRAM)
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py", *line.split()],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert done.stderr.count("before") == 1
    assert done.stderr.count("after") == (code == 3)  # and not once more in another form
