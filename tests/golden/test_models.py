"""Graphs with reference variables that TensorFlow 1.15 wrote: restored, and trained on, to the same numbers.

Recorded by record_models.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import headrace as tf

FOLDER = Path(__file__).parent / "models"
RESULTS = json.loads((FOLDER / "results.json").read_text())


@pytest.fixture
def restored(request):
    """A session with a graph and its variables."""
    path = str(FOLDER / request.param)
    with tf.Graph().as_default(), tf.Session() as session:
        saver = tf.train.import_meta_graph(path + ".meta")
        saver.restore(session, path)
        yield session


def close(got, expected, tolerance=2e-5):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("restored", ["embeddings"], indirect=True)
def test_every_optimizer(restored):
    names = sorted(op.name for op in restored.graph.get_operations() if op.name.endswith("/train"))
    order = ["Momentum", "RMSProp", "Adagrad", "Adadelta", "Ftrl", "GradientDescent", "ProximalAdagrad"]
    assert names == sorted(f"{name}/train" for name in order)
    for expected in RESULTS["embeddings"]:
        fetches = [fetch for name in order for fetch in (f"{name}/train", f"{name}/loss:0")]
        close(restored.run(fetches)[1::2], expected)


@pytest.mark.parametrize("restored", ["embeddings"], indirect=True)
def test_counters_and_scatters(restored):
    fetches = ["count:0", "added:0", "doubled:0", "scatter_nd:0", "scattered_sum:0", "counter:0"]
    for name, expected in zip(fetches, RESULTS["updates"]):
        close(restored.run(name), expected)


@pytest.mark.parametrize("restored", ["embeddings"], indirect=True)
def test_variables_of_collections(restored, tmp_path):
    """They train with optimizers of ours, and are saved under their names."""
    table, weights = tf.global_variables("Adagrad/(table|weights):")
    assert [v.name for v in (table, weights)] == ["Adagrad/table:0", "Adagrad/weights:0"]
    loss = restored.graph.get_tensor_by_name("Adagrad/loss:0")
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss, var_list=[table, weights])
    before = restored.run(loss)
    restored.run(train)
    assert restored.run(loss) < before
    path = tf.train.Saver([table]).save(restored, str(tmp_path / "saved"), write_meta_graph=False)
    assert tf.train.list_variables(path) == [("Adagrad/table", [6, 2])]
    # Without the old saver's operations: what goes on from here is resources.
    again = tf.train.export_meta_graph()
    with tf.Graph().as_default():
        tf.train.import_meta_graph(again)
        assert "Adagrad/table:0" in [v.name for v in tf.global_variables()]
