"""Weights in files of the safetensors format."""

import os

import ml_dtypes
import numpy as np
import pytest

import headrace as tf

numpy_form = pytest.importorskip("safetensors.numpy", reason="the package safetensors is optional")

VALUES = {
    "a/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "step": np.int64(7),
    "half": np.array([1.5, -2], ml_dtypes.bfloat16),
    "flag": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float64),
}


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def variables(values=VALUES):
    return [tf.Variable(value, name=name) for name, value in values.items()]


def test_both_ways(tmp_path):
    path = tmp_path / "model.safetensors"
    made = variables()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.train.save_safetensors(path, metadata={"format": "pt"})
        found = tf.train.load_safetensors(path)
        assert sorted(found) == sorted(VALUES)
        for name, value in VALUES.items():
            assert found[name].dtype == value.dtype and np.array_equal(found[name], value)
        zeros = [v.assign(tf.zeros_like(v.value())) for v in made if v.dtype != tf.bool]
        sess.run([z.op for z in zeros])
        tf.train.restore_safetensors(path, sess=sess)
        for value, variable in zip(sess.run(made), made):
            assert np.array_equal(value, VALUES[variable.op.name])
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_library_reads_and_writes_the_same(tmp_path):
    path = tmp_path / "model"
    numpy_form.save_file({"x": VALUES["a/w"]}, path)
    assert np.array_equal(tf.train.load_safetensors(path)["x"], VALUES["a/w"])
    tf.train.save_safetensors(path, {"y": VALUES["a/w"]})
    assert np.array_equal(numpy_form.load_file(path)["y"], VALUES["a/w"])


def test_names_of_a_dict(tmp_path):
    path = tmp_path / "model"
    w = tf.Variable([[1.0, 2.0]], name="w")
    with tf.Session() as sess:
        sess.run(w.initializer)
        tf.train.save_safetensors(path, {"layer.weight": w})
        sess.run(w.assign([[0.0, 0.0]]))
        tf.train.restore_safetensors(path, {"layer.weight": w})
        assert sess.run(w).tolist() == [[1, 2]]


def test_partitions_are_one_tensor(tmp_path):
    path = tmp_path / "model"
    value = np.arange(10, dtype=np.float32).reshape(5, 2)
    w = tf.get_variable("w", initializer=tf.constant(value), partitioner=tf.fixed_size_partitioner(2, axis=0))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        tf.train.save_safetensors(path)
        assert np.array_equal(tf.train.load_safetensors(path)["w"], value)
        for part in w:
            part.load(np.zeros(part.shape.as_list()), sess)
        tf.train.restore_safetensors(path)
        assert np.array_equal(sess.run(tf.convert_to_tensor(w)), value)


def test_what_cannot_be_saved(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(ValueError, match="nothing to save"):
        tf.train.save_safetensors(path)
    text = tf.Variable(["text"], name="text")
    with pytest.raises(ValueError, match="no session"):
        tf.train.save_safetensors(path)
    with tf.Session() as sess:
        sess.run(text.initializer)
        with pytest.raises(TypeError, match="'text' is object"):
            tf.train.save_safetensors(path)
    with pytest.raises(TypeError, match="cannot be saved"):
        tf.train.save_safetensors(path, [1.0])
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.save_safetensors(tmp_path / "nowhere" / "model", {"x": np.zeros(2)})
    assert not os.listdir(tmp_path)


def test_what_cannot_be_restored(tmp_path):
    path = tmp_path / "model"
    tf.train.save_safetensors(path, {"w": np.zeros((2, 3), np.float32)})
    other = tf.Variable([1.0], name="w")
    with tf.Session() as sess:
        sess.run(other.initializer)
        with pytest.raises(ValueError, match=r"'w' has the shape \[2, 3\] in the file, the variable \[1\]"):
            tf.train.restore_safetensors(path)
        with pytest.raises(tf.errors.NotFoundError, match="there is no tensor 'v'; there are"):
            tf.train.restore_safetensors(path, {"v": other})
        with pytest.raises(tf.errors.NotFoundError, match="no such file"):
            tf.train.restore_safetensors(tmp_path / "nowhere")
        data = path.read_bytes()
        for size in (0, 7, 20, len(data) - 1):
            path.write_bytes(data[:size])
            with pytest.raises(tf.errors.DataLossError, match="model: no safetensors file"):
                tf.train.restore_safetensors(path)
        assert sess.run(other).tolist() == [1]
