"""Graphs with reference variables that TensorFlow 1.15 wrote: restored, and trained on, to the same numbers.

Recorded by record_models.py.
"""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from tests.golden.pictures import images

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


@pytest.mark.parametrize("restored", ["convolutional"], indirect=True)
def test_a_convolutional_network(restored):
    """Adam with a falling rate, normalisation, moving averages and a metric go on as in TensorFlow."""
    restored.run(tf.local_variables_initializer())
    train = tf.get_collection("train_op")[-1]
    for step, expected in enumerate(RESULTS["convolutional"], 3):
        feeds = dict(zip(["x:0", "y:0"], images(step)))
        got = restored.run([train, "after:0", "loss:0", "accuracy_update:0"], feeds)[1:]
        got += restored.run(["average:0", "logits/kernel:0"])
        for value, wanted in zip(got, expected):
            close(value, wanted, 1e-3)
    for variable in tf.global_variables():
        # Behind it everything is normalised: its gradient is rounding, which Adam makes large.
        if not variable.op.name.startswith("conv/bias"):
            norm = np.linalg.norm(restored.run(variable))
            close(norm, RESULTS["norms"][variable.op.name], 1e-3)


def test_a_pipeline(monkeypatch):
    """Readers, queues and their runners, and training on what comes out."""
    monkeypatch.chdir(FOLDER)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph("pipeline.meta").restore(session, "pipeline")
        session.run(tf.local_variables_initializer())
        coordinator = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(session, coordinator)
        for key, fetches in (("lines", ["keys:0", "lines:0"]), ("records", ["record_keys:0", "records:0"])):
            found = []
            with pytest.raises(tf.errors.OutOfRangeError):
                while True:
                    found.append([[text.decode() for text in part] for part in session.run(fetches)])
            assert found == RESULTS[key]
        close([session.run(["train", "loss:0"])[1] for _ in RESULTS["losses"]], RESULTS["losses"])
        assert session.run("records_produced:0") == RESULTS["records_produced"]
        coordinator.request_stop()
        coordinator.join(threads)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_meta_graphs(tmp_path, seed):
    """Bits that flipped, and files that were cut: an error that can be caught, or a graph."""
    rng = random.Random(seed)
    original = (FOLDER / "embeddings.meta").read_bytes()
    failed = 0
    for _ in range(6):
        data = bytearray(original)
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data))]
        for _ in range(rng.choice([1, 20])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (tmp_path / "damaged.meta").write_bytes(data)
        with tf.Graph().as_default():
            try:
                tf.train.import_meta_graph(tmp_path / "damaged.meta")
            except (tf.errors.OpError, OSError, ValueError, KeyError, TypeError):
                failed += 1
    assert failed
