"""Saved models: written, loaded, and refused."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest

import headrace as tf
from headrace.framework import errors, protos, raw
from headrace.saved_model import constants, signature_constants, tag_constants

X = [[1.0, 2.0, 3.0], [-9.0, 0.0, 0.0]]


def save(folder, as_text=False):
    """A model with variables, a branch, a table, and a file that is read when the model is loaded."""
    asset_path = os.path.join(os.path.dirname(folder), "words.txt")
    with open(asset_path, "w") as file:
        file.write("some words")
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        k = tf.placeholder(tf.string, [None], name="k")
        w = tf.get_variable("w", [3, 2], initializer=tf.ones_initializer())
        y = tf.nn.relu(tf.matmul(x, w) + tf.Variable([1.0, 2.0], name="b"), name="y")
        z = tf.cond(tf.reduce_sum(x) > 0.0, lambda: y * 2, lambda: y - w[0])
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b"]), tf.constant([5, 6], tf.int64)), -1
        )
        asset = tf.constant(asset_path, name="asset")
        text = tf.Variable("none", name="text")
        session.run(tf.global_variables_initializer())
        outputs = {"y": y, "z": z, "id": table.lookup(k), "text": text.value()}
        signature = tf.saved_model.predict_signature_def({"x": x, "k": k}, outputs)
        builder = tf.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(
            session,
            [tag_constants.SERVING],
            {"serving_default": signature},
            assets_collection=[asset],
            main_op=tf.group(tf.tables_initializer(), text.assign(raw.ReadFile(asset))),
        )
        path = builder.save(as_text)
        w.load(np.full([3, 2], 2.0), session)
        with pytest.raises(AssertionError, match="saved already"):
            builder.add_meta_graph_and_variables(session, ["again"])
        builder.add_meta_graph([tag_constants.TRAINING, "more"])
        builder.save(as_text)
    os.remove(asset_path)
    return path


def run(folder, scope=None):
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], folder, import_scope=scope)
        prefix = f"{scope}/" if scope else ""
        signature = meta.signature_def["serving_default"]
        feeds = {prefix + signature.inputs["x"].name: X, prefix + signature.inputs["k"].name: ["b", "?"]}
        return session.run({name: prefix + info.name for name, info in signature.outputs.items()}, feeds)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("scope", [None, "scope"])
def test_a_model_comes_back(tmp_path, as_text, scope):
    folder = str(tmp_path / "model")
    assert save(folder, as_text).decode() == os.path.join(folder, f"saved_model.pb{'txt' * as_text}")
    assert tf.saved_model.contains_saved_model(folder)
    got = run(folder, scope)
    np.testing.assert_array_equal(got["y"], [[7, 8], [0, 0]])
    np.testing.assert_array_equal(got["z"], [[6, 7], [-1, -1]])
    assert list(got["id"]) == [6, -1] and got["text"] == b"some words"
    assert sorted(os.listdir(folder)) == ["assets", f"saved_model.pb{'txt' * as_text}", "variables"]


def test_a_model_moves(tmp_path):
    save(str(tmp_path / "model"))
    os.rename(tmp_path / "model", tmp_path / "elsewhere")
    assert run(str(tmp_path / "elsewhere"))["text"] == b"some words"


def test_tags(tmp_path):
    folder = str(tmp_path / "model")
    save(folder)
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(RuntimeError, match=r"no graph with the tags \['gpu', 'serve'\].*\['serve'\]"):
            tf.saved_model.load(session, ["serve", "gpu"], folder)
        tf.saved_model.loader.load(session, ["more", tag_constants.TRAINING], folder)


def test_several_graphs_share_variables(tmp_path):
    folder = str(tmp_path / "m")
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.get_variable("v", initializer=3.0)
        tf.multiply(v, 2.0, name="first")
        session.run(v.initializer)
        builder = tf.saved_model.Builder(folder)
        builder.add_meta_graph_and_variables(session, "one")
        with tf.Graph().as_default():
            tf.negative(tf.get_variable("v", shape=[]), name="second")
            builder.add_meta_graph(("two", "three"))
        with tf.Graph().as_default():
            tf.constant(1.0, name="third")
            builder.add_meta_graph({"two", "three"})
            builder.add_meta_graph([])
        for wrong in (3, None, [3]):
            with pytest.raises(TypeError, match="tags must be a list of strings"):
                builder.add_meta_graph(wrong)
        builder.save()
    for tags, name, value in (
        ("one", "first:0", 6),
        (["three", "two", "two"], "second:0", -3),  # the first of those with the same tags
        ([], "third:0", 1),
    ):
        with tf.Graph().as_default(), tf.Session() as session:
            tf.saved_model.load(session, tags, folder)
            assert session.run(name) == value


@pytest.mark.parametrize("argument", ["main_op", "legacy_init_op"])
def test_what_is_run_after_loading(tmp_path, argument):
    with tf.Graph().as_default(), tf.Session() as session:
        count = tf.get_variable("count", initializer=0.0, collections=[tf.GraphKeys.LOCAL_VARIABLES])
        wrong = tf.group(count.assign(-1.0))
        for name, given in (("op", tf.group(count.assign(5.0))), ("tensor", count.assign(5.0))):
            options = {"legacy_init_op": wrong} if argument == "main_op" else {}
            builder = tf.saved_model.Builder(tmp_path / name)
            builder.add_meta_graph_and_variables(session, ["t"], **{**options, argument: given})
            builder.save()
        for given in (3, "count", count):
            with pytest.raises(TypeError, match="must be an operation"):
                tf.saved_model.Builder(tmp_path / "no").add_meta_graph_and_variables(
                    session, ["t"], **{argument: given}
                )
    for name in ("op", "tensor"):
        with tf.Graph().as_default(), tf.Session() as session:
            meta = tf.saved_model.load(session, ["t"], tmp_path / name, import_scope="in")
            assert list(meta.collection_def["saved_model_main_op"].node_list.value)
            assert session.run("in/count/read:0") == 5
    # Older models have it under the older name.
    path = tmp_path / "op" / "saved_model.pb"
    message = protos.SavedModel.FromString(path.read_bytes())
    collections = message.meta_graphs[0].collection_def
    collections["legacy_init_op"].CopyFrom(collections.pop("saved_model_main_op"))
    path.write_bytes(message.SerializeToString())
    with tf.Graph().as_default(), tf.Session() as session:
        tf.saved_model.load(session, ["t"], tmp_path / "op")
        assert session.run("count/read:0") == 5


def test_wrong_arguments(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, name="x")
        info = tf.saved_model.build_tensor_info(x)
        make = tf.saved_model.build_signature_def

        def add(**options):
            folder = tmp_path / str(len(os.listdir(tmp_path)))
            tf.saved_model.Builder(folder).add_meta_graph_and_variables(session, ["t"], **options)

        for options, error, match in (
            ({"signature_def_map": 3}, TypeError, "signature_def_map must be a dict"),
            ({"signature_def_map": {"a": 3}}, TypeError, "'a' must be a SignatureDef, got int"),
            ({"signature_def_map": {3: make({"x": info})}}, TypeError, "name of a signature is a string"),
            (
                {"signature_def_map": {"a": make({"x": protos.TensorInfo(dtype=1)})}},
                AssertionError,
                "'x' of the signature 'a' names no tensor",
            ),
            (
                {"signature_def_map": {"a": make({"x": protos.TensorInfo(name="x:0")})}},
                AssertionError,
                "'x' of the signature 'a' has no dtype",
            ),
            ({"saver": 3}, TypeError, "saver must be a Saver, got 3"),
        ):
            with pytest.raises(error, match=match):
                add(**options)
        for wrong in (3, {"x": 3}, {"x": x}):
            with pytest.raises(TypeError, match="TensorInfo message"):
                make(wrong)
        for inputs, outputs in ((x, {"y": x}), ({"x": x}, [x])):
            with pytest.raises(TypeError, match="must be a dict from names to tensors"):
                tf.saved_model.predict_signature_def(inputs, outputs)
        with pytest.raises(TypeError, match="expected a session, got NoneType"):
            tf.saved_model.simple_save(None, tmp_path / "s", {"x": x}, {"y": x})
        assert not (tmp_path / "s").exists()
        with pytest.raises(TypeError, match="bogus"):
            tf.saved_model.simple_save(session, tmp_path / "s", {"x": x}, {"y": x})
            tf.saved_model.load(session, ["serve"], tmp_path / "s", bogus=1)


@pytest.mark.parametrize("scope", [None, "in"])
def test_sparse_tensors_in_signatures(tmp_path, scope):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.sparse_placeholder(tf.float32, [None, 3], name="x")
        y = tf.reduce_sum(x.values)
        tf.saved_model.simple_save(session, tmp_path / "m", {"x": x}, {"y": y, "same": x})
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], tmp_path / "m", import_scope=scope)
        signature = meta.signature_def["serving_default"]
        x, y, same = (
            tf.saved_model.get_tensor_from_tensor_info(info, import_scope=scope)
            for info in (signature.inputs["x"], signature.outputs["y"], signature.outputs["same"])
        )
        fed = tf.SparseTensorValue([[0, 1], [1, 2]], np.float32([3, 4]), [2, 3])
        total, back = session.run([y, same], {x: fed})
        assert total == 7 and back.values.tolist() == [3, 4] and back.dense_shape.tolist() == [2, 3]


def test_directories(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(AssertionError, match="is not empty"):
        tf.saved_model.builder.SavedModelBuilder(str(tmp_path / "full"))
    assert not tf.saved_model.loader.maybe_saved_model_directory(tmp_path)
    with tf.Session() as session, pytest.raises(OSError, match="there is no saved model in"):
        tf.saved_model.load(session, ["serve"], tmp_path)
    with pytest.raises(AssertionError, match="no variables have been saved yet"):
        tf.saved_model.Builder(tmp_path / "new").add_meta_graph(["serve"])


def test_simple_save_of_a_graph_without_variables(tmp_path):
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.placeholder(tf.float32, [2], name="x")
        tf.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": x * 2})
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.load(session, ["serve"], str(tmp_path / "m"))
        signature = meta.signature_def[signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY]
        assert signature.method_name == signature_constants.PREDICT_METHOD_NAME
        y = tf.saved_model.get_tensor_from_tensor_info(signature.outputs["y"])
        assert list(session.run(y, {"x:0": [1, 2]})) == [2, 4]


def test_assets_of_the_same_name(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "words").write_text(name)
    with tf.Graph().as_default(), tf.Session() as session:
        assets = [tf.constant(str(tmp_path / name / "words")) for name in ("a", "b", "a")]
        builder = tf.saved_model.Builder(tmp_path / "m")
        builder.add_meta_graph_and_variables(session, ["serve"], assets_collection=assets)
        builder.save()
        with pytest.raises(ValueError, match="is not there"):
            tf.saved_model.Builder(tmp_path / "n").add_meta_graph_and_variables(
                session, ["serve"], assets_collection=[tf.constant("/no/such/file")]
            )
        with pytest.raises(TypeError, match="constant"):
            tf.saved_model.Builder(tmp_path / "o").add_meta_graph_and_variables(
                session, ["serve"], assets_collection=[tf.placeholder(tf.string, [])]
            )
    with tf.Graph().as_default(), tf.Session() as session:
        tf.saved_model.load(session, ["serve"], tmp_path / "m")
        paths = session.run(["Const:0", "Const_1:0", "Const_2:0"])
        assert [Path(path.decode()).read_text() for path in paths] == ["a", "b", "a"]


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "link", "", "..\\secret", "a\0b"]
)
def test_assets_stay_inside(tmp_path, name):
    folder = tmp_path / "model"
    save(str(folder))
    (tmp_path / "secret").write_text("secret")
    (folder / "assets" / "link").symlink_to(tmp_path / "secret")
    message = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    message.meta_graphs[0].asset_file_def[0].filename = name
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(errors.InvalidArgumentError, match="lies outside of"):
        run(str(folder))


def test_a_checkpoint_that_is_missing(tmp_path):
    folder = tmp_path / "model"
    save(str(folder))
    os.remove(folder / "variables" / "variables.index")
    with pytest.raises(errors.NotFoundError, match="has variables, but no checkpoint"):
        run(str(folder))


def test_unknown_operations_are_listed(tmp_path):
    folder = tmp_path / "model"
    save(str(folder))
    message = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for node in message.meta_graphs[0].graph_def.node:
        if node.op == "Relu":
            node.op = "Rellu"
        if node.name == "k":
            node.op = "NoSuchThing"
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises(
        errors.NotFoundError, match=r"2 operations.*NoSuchThing \(node 'k'\).*Rellu \(node 'y'\)"
    ):
        run(str(folder))


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files(tmp_path, seed):
    """Bits that flipped, and files that were cut: an error that can be caught, or a model that runs."""
    folder = tmp_path / "model"
    save(str(folder))
    rng = random.Random(seed)
    names = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
    originals = {name: (folder / name).read_bytes() for name in names}
    failed = 0
    for _ in range(8):
        name = rng.choice(names)
        data = bytearray(originals[name])
        if rng.random() < 0.3:
            data = data[: rng.randrange(len(data))]
        else:
            for _ in range(rng.choice([1, 10])):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / name).write_bytes(data)
        try:
            run(str(folder))
        except (OSError, errors.OpError, ValueError, KeyError, RuntimeError, TypeError):
            failed += 1
        (folder / name).write_bytes(originals[name])
    assert failed
    assert run(str(folder))["text"] == b"some words"


def test_files_that_hold_something_else(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"\xff" * 100)
    with tf.Session() as session, pytest.raises(OSError, match=r"saved_model.pb' \(100 bytes\) holds no"):
        tf.saved_model.load(session, ["serve"], tmp_path)
    os.remove(tmp_path / "saved_model.pb")
    (tmp_path / "saved_model.pbtxt").write_text("meta_graphs {")
    with tf.Session() as session, pytest.raises(OSError, match=r"saved_model.pbtxt' holds no"):
        tf.saved_model.load(session, ["serve"], tmp_path)


# ---- signatures


def test_descriptions_of_tensors():
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    info = tf.saved_model.utils.build_tensor_info(x)
    assert (info.name, info.dtype) == ("x:0", protos.DT_FLOAT)
    assert [dim.size for dim in info.tensor_shape.dim] == [-1, 3]
    assert tf.saved_model.utils.get_tensor_from_tensor_info(info) is x
    assert tf.saved_model.build_tensor_info(tf.Variable(1.0, name="v")).name == "v/read:0"
    with pytest.raises(TypeError, match="expected a tensor"):
        tf.saved_model.build_tensor_info(3)
    with pytest.raises(ValueError, match="by nothing"):
        tf.saved_model.get_tensor_from_tensor_info(protos.TensorInfo())


def test_kinds_of_signatures():
    texts, numbers = tf.placeholder(tf.string, [None]), tf.placeholder(tf.float32, [None])
    make = tf.saved_model.signature_def_utils
    valid = [
        make.classification_signature_def(texts, texts, numbers),
        make.classification_signature_def(texts, None, numbers),
        make.regression_signature_def(texts, numbers),
        make.predict_signature_def({"a": numbers}, {"b": texts}),
    ]
    assert all(map(make.is_valid_signature, valid))
    assert sorted(valid[0].outputs) == ["classes", "scores"]
    for signature in (
        None,
        make.build_signature_def(),
        make.build_signature_def(method_name="other"),
        make.build_signature_def(dict(valid[2].inputs), dict(valid[0].outputs), valid[2].method_name),
    ):
        assert not make.is_valid_signature(signature)
    with pytest.raises(ValueError, match="classes, scores or both"):
        make.classification_signature_def(texts, None, None)
    with pytest.raises(ValueError, match="must be strings"):
        make.regression_signature_def(numbers, numbers)
    with pytest.raises(ValueError, match="must be float32"):
        make.regression_signature_def(texts, texts)
    with pytest.raises(ValueError, match="needs inputs"):
        make.predict_signature_def({}, {"b": texts})


def test_names_of_the_field():
    assert constants.SAVED_MODEL_FILENAME_PB == "saved_model.pb"
    assert constants.MAIN_OP_KEY == "saved_model_main_op"
    assert signature_constants.CLASSIFY_METHOD_NAME == "tensorflow/serving/classify"
    assert tf.saved_model.SERVING == tag_constants.SERVING == "serve"
    assert tf.saved_model.PREDICT_METHOD_NAME == signature_constants.PREDICT_METHOD_NAME
    assert tf.saved_model.VARIABLES_FILENAME == constants.VARIABLES_FILENAME == "variables"
    assert (tag_constants.GPU, tag_constants.TPU, tag_constants.EVAL) == ("gpu", "tpu", "eval")


def test_main_ops():
    with tf.Graph().as_default(), tf.Session() as session:
        v = tf.Variable(2.0)
        session.run(tf.saved_model.main_op.main_op())
        assert session.run(v) == 2
        again = tf.Variable(3.0)
        session.run(tf.saved_model.main_op_with_restore(again.initializer.name))
        assert session.run(again) == 3


def test_functions_that_call_themselves_are_refused(tmp_path):
    folder = tmp_path / "model"
    save(str(folder))
    message = protos.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    library = message.meta_graphs[0].graph_def.library
    for name, called in (("ping", "pong"), ("pong", "ping")):
        function = library.function.add()
        function.signature.name = name
        function.signature.input_arg.add(name="x", type=protos.DT_FLOAT)
        function.signature.output_arg.add(name="y", type=protos.DT_FLOAT)
        call = function.node_def.add(name="call", op="StatefulPartitionedCall", input=["x"])
        call.attr["f"].func.name = called
        call.attr["Tin"].list.type.append(protos.DT_FLOAT)
        call.attr["Tout"].list.type.append(protos.DT_FLOAT)
        function.ret["y"] = "call:output:0"
    (folder / "saved_model.pb").write_bytes(message.SerializeToString())
    with pytest.raises((errors.OpError, ValueError), match=r"ping|pong"):
        run(str(folder))
