"""Random programs that TensorFlow, of either version, writes with frames, and both run."""

from __future__ import annotations

import numpy as np
import pytest

import headrace as tf
from tests.interop.conftest import Peer, to_array, to_bytes
from tests.interop.random_frames import program

_FETCHES = ["y:0", "dx:0"]
_FEEDS = [
    {"p:0": p, "q:0": q, "n:0": np.int32(n), "x:0": np.array(x, np.float32)}
    for p, q, n, x in (
        (True, False, 2, [0.3, -0.5, 0.9]),
        (False, True, 0, [-0.2, 0.4, 0.1]),
        (True, True, 3, [0.7, 0.6, -0.8]),
    )
]


_REQUEST = {
    "fetches": _FETCHES,
    "feeds": [{name: to_bytes(np.asarray(value)) for name, value in feed.items()} for feed in _FEEDS],
    "before": ["init"],
}


@pytest.mark.parametrize("seed", range(150))
def test_random_programs(each_peer: Peer, seed: int):
    text = program(seed)
    reply = each_peer.ask(program=text, frames=True, **_REQUEST)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(tf.GraphDef.FromString(reply["graph_def"]), name="")
        session.run("init")
        for step, feed in enumerate(_FEEDS):
            values = session.run(_FETCHES, feed)
            for value, name, want in zip(values, _FETCHES, reply["values"][2 * step :]):
                np.testing.assert_allclose(
                    value, to_array(want), rtol=2e-4, atol=2e-5, err_msg=f"{name} of program\n{text}"
                )


@pytest.mark.parametrize("seed", range(20))
def test_written_again_as_functions(each_peer: Peer, seed: int):
    reply = each_peer.ask(program=program(seed), frames=True, **_REQUEST)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(tf.GraphDef.FromString(reply["graph_def"]), name="")
    again = each_peer.ask(graph_def=graph.as_graph_def().SerializeToString(), **_REQUEST)
    for value, want in zip(again["values"], reply["values"], strict=True):
        np.testing.assert_allclose(to_array(value), to_array(want), rtol=2e-4, atol=2e-5)
