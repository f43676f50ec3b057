"""TensorBoard itself, in a browser: what its pages show of a log that `examples/digits.py` has written.

With HEADRACE_SCREENSHOTS=FOLDER, pictures of the pages are put there: docs/ has some of them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from tests.interop.browser import Browser

ROOT = Path(__file__).parents[2]
_BOARD = Path(os.environ.get("HEADRACE_PEER_PYTHON", "")).parent / "tensorboard"
_BROWSER = shutil.which("chromium") or ""

pytestmark = [
    pytest.mark.skipif(not _BROWSER, reason="there is no chromium to look with"),
    pytest.mark.skipif("CI" in os.environ, reason="a browser is too heavy for CI"),
    pytest.mark.skipif(not _BOARD.exists(), reason="there is no TensorBoard beside the peer"),
    pytest.mark.xdist_group("tensorboard"),  # one server for all
]


@pytest.fixture(scope="module")
def logdir(tmp_path_factory) -> Path:
    folder: Path = tmp_path_factory.mktemp("log")
    example = ROOT / "examples/digits.py"
    command = [sys.executable, example, "--epochs", "3", "--picture", "", "--logdir", folder]
    subprocess.run(command, check=True, capture_output=True)
    # Points in space, beside the training.
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("points", initializer=np.random.RandomState(0).rand(60, 8).astype(np.float32))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(folder / "model"))
        # The plan of a step, as a run of its own.
        total = tf.reduce_sum(tf.exp(tf.tanh(tf.global_variables()[0])))
        metadata = tf.RunMetadata()
        session.run(total, options=tf.RunOptions(output_partition_graphs=True), run_metadata=metadata)
        tf.summary.FileWriter(folder / "plan", graph_def=metadata.partition_graphs[0]).close()
    config = tf.summary.projector.ProjectorConfig()
    config.embeddings.add(tensor_name="points")
    with tf.summary.FileWriter(folder) as writer:
        tf.summary.projector.visualize_embeddings(writer, config)
    return folder


@pytest.fixture(scope="module")
def url(logdir: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    command = [_BOARD, "--logdir", logdir, "--port", str(port), "--host", "127.0.0.1", "--load_fast=false"]
    board = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while b"held_out_accuracy" not in _get(address + "data/plugin/scalars/tags"):
            assert board.poll() is None, "TensorBoard has ended"
            assert time.monotonic() < deadline, "TensorBoard finds no scalars"
            time.sleep(0.5)
        yield address
    finally:
        board.kill()
        board.wait()


def _get(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return bytes(reply.read())
    except (OSError, urllib.error.URLError):
        return b""


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with Browser(_BROWSER, tmp_path_factory.mktemp("profile")) as started:
        yield started


# What is to be read on each page.
PAGES = {
    "scalars": ["log/held_out_accuracy", "log/learning_rate", "log/loss"],
    "images": ["log/filters/image/0", "log/digits/image/2"],
    "distributions": ["log/conv1/kernel", "log/dense2/bias"],
    "histograms": ["log/conv1/kernel", "log/dense2/bias"],
    # Scopes are groups: what is within them does not show until one opens them.
    "graphs": ["conv1", "conv2", "dense1", "dense2", "CosineDecay", "gradients", "Adam"],
}


@pytest.mark.parametrize("page", PAGES)
def test_what_pages_show(url: str, browser: Browser, page: str) -> None:
    browser.open(f"{url}?darkMode=false#{page}")
    text = browser.wait_for(PAGES[page])
    missing = [word for word in PAGES[page] if word not in text]
    assert not missing, f"the page '{page}' lacks {missing}; it says: {text[:2000]}"
    if page == "graphs":
        assert "Conv2D" not in text.split("\n"), "the scopes are not collapsed"
    if folder := os.environ.get("HEADRACE_SCREENSHOTS"):
        time.sleep(3)  # until what moves has come to rest
        browser.screenshot(Path(folder) / f"tensorboard_{page}.png")


def test_nodes_have_shapes_devices_and_statistics(url: str) -> None:
    """What the graph's page shows of a node that one clicks at, and of edges: where it gets it from."""
    graph = _get(f"{url}data/plugin/graphs/graph?run=.&conceptual=false").decode()
    node = graph[graph.index('name: "conv1/Conv2D"') :].partition("\n}\n")[0]
    assert "_output_shapes" in node and "size: 32" in node
    tags = json.loads(_get(f"{url}data/plugin/graphs/info"))["."]["tags"]
    assert tags["epoch 3"]["profile"]
    stats = _get(f"{url}data/plugin/graphs/run_metadata?tag=epoch%203&run=.").decode()
    assert "/device:CPU:0" in stats
    ran = stats[stats.index('node_name: "conv1/') :].partition("\n    }\n")[0]
    assert "all_end_rel_micros" in stats and "total_bytes" in ran
    # As many rows as the step's batch had.
    nodes = [node for node in stats.split("node_stats {") if 'node_name: "conv1/' in node]
    sizes = [[line.strip() for line in node.split("\n") if "size:" in line] for node in nodes]
    assert ["size: 64", "size: 8", "size: 8", "size: 32"] in [those[:4] for those in sizes]


def test_a_plan_is_a_graph(url: str) -> None:
    graph = _get(f"{url}data/plugin/graphs/graph?run=plan&conceptual=false").decode()
    assert 'op: "_Elementwise"' in graph and "/fused" in graph


def test_the_projector_finds_the_points(url: str) -> None:
    info = json.loads(_get(f"{url}data/plugin/projector/info?run=."))
    assert {"tensorName": "points", "tensorShape": [60, 8]} in [
        {key: one.get(key) for key in ("tensorName", "tensorShape")} for one in info["embeddings"]
    ]
    data = _get(f"{url}data/plugin/projector/tensor?run=.&name=points")
    points = np.frombuffer(data, np.float32).reshape(60, 8)
    assert np.array_equal(points, np.random.RandomState(0).rand(60, 8).astype(np.float32))


def test_the_projector_shows_the_points(url: str, browser: Browser) -> None:
    browser.open(f"{url}?darkMode=false#projector")
    wanted = ["Points:", "60", "Dimension:", "8"]
    text = browser.wait_for(wanted)
    missing = [word for word in wanted if word not in text.split()]
    assert not missing, f"the projector lacks {missing}; it says: {text[:2000]}"
