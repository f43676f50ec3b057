"""What only a process of its own shows."""

import subprocess
import sys

PROGRAM = """
import numpy as np
import headrace as tf
from headrace.framework import raw

a = tf.placeholder(tf.float32, [None, 2], name="a")
b = tf.py_func(lambda x: x, [a], tf.float32)
session = tf.Session()
kept = session.run([a, b], {a: np.ones((3000, 2))})
handle = session.run(raw.VarHandleOp(dtype=tf.float32, shape=[], shared_name="v"))
try:
    raw.MatMul(a, a)
    session.run(a)
except ValueError as error:
    caught = error
"""


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120)


def test_importing_prints_nothing():
    done = python("-W", "error", "-c", "import headrace")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_leaks():
    done = python("-c", PROGRAM)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_leaks_would_be_reported():
    leak = "import ctypes, headrace; ctypes.pythonapi.Py_IncRef(ctypes.py_object(headrace._core.Graph()))"
    assert "leaked 1 instances" in python("-c", leak).stderr
