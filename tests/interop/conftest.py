"""The same graphs here and in TensorFlow, where there is an interpreter that has it.

HEADRACE_PEER_PYTHON names one with TensorFlow 2, HEADRACE_TF1_PYTHON one with TensorFlow 1.15, which is asked
in the way that programs of its time were written: reference variables, and frames for control flow.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headrace as tf
from headrace.framework import protos
from tests.interop.peer import read, write

PYTHON = os.environ.get("HEADRACE_PEER_PYTHON", "")
PYTHON_1 = os.environ.get("HEADRACE_TF1_PYTHON", "")
collect_ignore_glob = [] if PYTHON or PYTHON_1 else ["test_*.py"]


# What TensorFlow says of graphs that are right, but beyond it.
_LACKING = (
    "UnimplementedError",
    *("No OpKernel", "not implemented", "only support", "not registered", "unsupported", "not supported"),
    *("not in the list of allowed values", "do not yet support", "does not yet support"),
    # Tensors without elements.
    *("should be greater than zero", "strictly greated than zero", "must not be 0", "must not be empty"),
    *("received empty tensor", "0 was not less than 0", "Unhandled input dimensions: 0"),
    "elements of an empty list",
    "keys and values cannot be empty tensors",
    # Shapes that are not known, EnsureShape, MatrixDiagV2, MatrixSetDiagV2.
    *(
        "Shape must be rank -1",
        "min_num_rows = ",
        "num_diags = -1",
        "Shapes must be equal rank, but are 3 and 4",
    ),
    # Matrices with channels first, and groups in the derivative by the filter.
    *("Shape must be at least rank 3 but is rank 2", "filter_size does not have enough elements"),
)


class Peer:
    """A TensorFlow process in a folder of its own, started when it is first asked and again if it dies."""

    def __init__(self, folder: Path, python: str, *options: str, lacking: Sequence[str] = ()) -> None:
        self._folder = folder
        self._command = [python, str(Path(__file__).resolve().with_name("peer.py")), *options]
        self._lacking = lacking  # what it may say of a graph that is right
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, **request: Any) -> dict[str, Any]:
        """The reply to a request (see peer.py). Skips the test for what TensorFlow cannot compute itself."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._folder,
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            write(self._process.stdin, request)
            reply = read(self._process.stdout)
        except BrokenPipeError:
            reply = None
        if reply is None:
            self.stop()
            pytest.skip("TensorFlow died of this")
        if "error" in reply:
            text = f"{reply['error']}: {reply['message']}"
            if any(part in text for part in self._lacking):
                pytest.skip(f"TensorFlow does not compute this: {text[:200]}")
            pytest.fail(f"TensorFlow refuses this graph: {text[:1000]}")
        return reply

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """TensorFlow 2."""
    if not PYTHON:
        pytest.skip("HEADRACE_PEER_PYTHON names no Python with TensorFlow 2")
    started = Peer(tmp_path_factory.mktemp("peer"), PYTHON, lacking=_LACKING)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def tf1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    """TensorFlow 1.15."""
    if not PYTHON_1:
        pytest.skip("HEADRACE_TF1_PYTHON names no Python with TensorFlow 1.15")
    # Its own derivative of an array of unknown element shape reads what a loop that ended early never wrote.
    lacking = ("Could not read from TensorArray index",)
    started = Peer(tmp_path_factory.mktemp("tf1"), PYTHON_1, "--as-it-was", lacking=lacking)
    yield started
    started.stop()


@pytest.fixture(params=["peer", "tf1"])
def each_peer(request: pytest.FixtureRequest) -> Peer:
    """One and the other."""
    found: Peer = request.getfixturevalue(request.param)
    return found


def to_bytes(array: Any) -> bytes:
    return tf.make_tensor_proto(np.asarray(array)).SerializeToString()


def to_array(data: bytes) -> np.ndarray:
    return tf.make_ndarray(protos.TensorProto.FromString(data))
