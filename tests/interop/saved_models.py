"""Saved models in TensorFlow 2: writes some, or runs one. Run by the peer's interpreter.

saved_models.py write FOLDER            each model in FOLDER/NAME, an input and its output in FOLDER/NAME.npz
saved_models.py run MODEL INPUTS OUTPUTS    the model's signature on arrays (.npz files)
"""

import os
import sys
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["TF_USE_LEGACY_KERAS"] = "1"

import numpy as np
import tensorflow as tf


def module(folder: str) -> Any:
    """Control flow, a table and a file."""
    path = os.path.join(folder, "words.txt")
    with open(path, "w") as file:
        file.write("x\ny\n")

    class Module(tf.Module):
        def __init__(self) -> None:
            self.v = tf.Variable([1.0, 2.0])
            keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1, 2], tf.int64))
            self.table = tf.lookup.StaticHashTable(keys, -1)
            self.asset = tf.saved_model.Asset(path)

        @tf.function(
            input_signature=[tf.TensorSpec([None, 2], name="x"), tf.TensorSpec([None], tf.string, name="k")]
        )
        def __call__(self, x: Any, k: Any) -> Any:
            y = tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * self.v, lambda: x - self.v)
            _, z = tf.while_loop(lambda i, z: i < 3, lambda i, z: (i + 1, z * 2.0), [tf.constant(0), y])
            return {"y": z, "id": self.table.lookup(k), "text": tf.io.read_file(self.asset)}

    return Module()


def lstm(keras: Any) -> Any:
    inputs = keras.Input([7, 5], name="x")
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.LSTM(8)(inputs)))


def encoder(keras: Any, layers: int = 2, size: int = 64, heads: int = 4, words: int = 100) -> Any:
    """A transformer encoder, as BERT is."""
    length = 16
    inputs = keras.Input([length], dtype=tf.int32, name="x")
    places = keras.layers.Embedding(length, size)(tf.range(length))
    x = keras.layers.LayerNormalization()(keras.layers.Embedding(words, size)(inputs) + places)
    for _ in range(layers):
        attended = keras.layers.MultiHeadAttention(heads, size // heads)(x, x)
        x = keras.layers.LayerNormalization()(x + attended)
        y = keras.layers.Dense(size)(keras.layers.Dense(4 * size, activation="gelu")(x))
        x = keras.layers.LayerNormalization()(x + y)
    return keras.Model(inputs, x)


def bert(keras: Any) -> Any:
    return encoder(keras, layers=12, size=768, heads=12, words=30522)


def write(folder: str) -> None:
    import tf_keras as keras

    rng = np.random.RandomState(0)
    image = rng.rand(1, 224, 224, 3).astype(np.float32)
    words = rng.randint(0, 100, [2, 16]).astype(np.int32)
    makers = {
        "lstm": (lstm, rng.rand(2, 7, 5).astype(np.float32)),
        "encoder": (encoder, words),
        "bert": (bert, words),
        "resnet": (lambda keras: keras.applications.ResNet50(weights=None), image),
        "mobilenet": (lambda keras: keras.applications.MobileNetV2(weights=None), image),
        "efficientnet": (lambda keras: keras.applications.EfficientNetB0(weights=None), image),
    }
    made = module(folder)
    tf.saved_model.save(made, os.path.join(folder, "module"), signatures=made.__call__)
    run(
        os.path.join(folder, "module"),
        {"x": np.float32([[-1, 2], [3, 4]]), "k": np.array(["b", "c"])},
        folder,
    )
    for name, (make, x) in makers.items():
        keras.backend.clear_session()
        model = make(keras)

        def call(x: Any, model: Any = model) -> Any:
            return {"y": model(x, training=False)}

        # Through keras itself one of them, the rest without the many functions that it keeps for training.
        path = os.path.join(folder, name)
        if name == "resnet":
            model.save(path, save_format="tf")
        else:
            spec = tf.TensorSpec([None, *x.shape[1:]], x.dtype, name="x")
            tf.saved_model.save(model, path, signatures=tf.function(call).get_concrete_function(spec))
        run(path, {"x": x}, folder)


def run(path: str, inputs: Any, folder: str) -> None:
    """Runs a model; its inputs and outputs go to FOLDER/NAME.npz."""
    function = tf.saved_model.load(path).signatures["serving_default"]
    names = {name: spec.dtype for name, spec in function.structured_input_signature[1].items()}
    by_place = dict(zip(names, inputs)) if set(names) != set(inputs) else {name: name for name in names}
    outputs = function(**{name: tf.constant(inputs[key], names[name]) for name, key in by_place.items()})
    arrays = {f"in_{name}": np.asarray(value) for name, value in inputs.items()}
    arrays |= {f"out_{name}": np.asarray(value.numpy()) for name, value in outputs.items()}
    arrays = {k: v.astype(str) if v.dtype.kind in "OS" else v for k, v in arrays.items()}
    np.savez(os.path.join(folder, os.path.basename(path)), **arrays)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2])
    else:
        with np.load(sys.argv[3]) as arrays:
            run(sys.argv[2], dict(arrays), sys.argv[4])
