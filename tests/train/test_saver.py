"""Checkpoints: savers, readers, the state file, and files that are damaged or cut off."""

import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import ml_dtypes
import numpy as np
import pytest

import headrace as tf
from headrace.compat.modules import tensorflow
from headrace.framework import raw

SAVER_BUILDER = tensorflow().python.training.saver.BaseSaverBuilder  # where programs find it
GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "checkpoints"
VALUES = {
    "net/w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "net/table": np.arange(10, dtype=np.float32).reshape(5, 2),
    "text": np.array([b"", b"\x00\xff", b"x" * 200], object),
    "global_step": np.int32(5),
    "empty": np.zeros((0, 3), np.float32),
    "bf16": np.array([1.5, -2], ml_dtypes.bfloat16),
    **{
        name: np.array([[0, 1, 2]]).astype(dtype)
        for name, dtype in (
            *(("f64", "f8"), ("f16", "f2"), ("i8", "i1"), ("i16", "i2"), ("i32", "i4"), ("i64", "i8")),
            *(("u8", "u1"), ("u16", "u2"), ("c64", "c8"), ("c128", "c16"), ("flag", "?")),
        )
    },
}


def same(value, expected):
    value = np.asarray(value)
    return value.shape == np.shape(expected) and bool(np.all(value == expected))


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default() as made:
        yield made


def saved(folder, values, **options):
    """Saves variables of these names and values; returns the path."""
    with tf.Graph().as_default(), tf.Session() as sess:
        for name, value in values.items():
            tf.Variable(value, name=name)
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver(**options).save(sess, str(folder / "model"))


@pytest.mark.parametrize("name", ["v2", "sharded", "v1"])
def test_files_of_tensorflow_are_read(name):
    reader = tf.train.NewCheckpointReader(GOLDEN / name)
    names = set(reader.get_variable_to_shape_map())
    assert names == set(VALUES) - ({"bf16", "f16", "u16"} if name == "v1" else set())
    for one in names:
        assert same(reader.get_tensor(one), VALUES[one]), one
        assert reader.get_variable_to_shape_map()[one] == list(VALUES[one].shape)
    assert b"net/w (DT_FLOAT) [2,3]\n" in reader.debug_string()


def test_files_are_those_that_tensorflow_writes(tmp_path):
    with tf.Session() as sess:
        for name in set(VALUES) - {"net/table"}:
            tf.Variable(VALUES[name], name=name)
        tf.get_variable(
            "net/table",
            [5, 2],
            partitioner=tf.fixed_size_partitioner(2),
            initializer=lambda shape, dtype, partition_info: tf.constant(
                VALUES["net/table"][partition_info.var_offset[0] :][: shape[0]]
            ),
        )
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, str(tmp_path / "model"))
    reader = tf.train.NewCheckpointReader(path)
    for name, value in VALUES.items():
        assert same(reader.get_tensor(name), value), name
    sizes = [os.path.getsize(p) for p in (f"{path}.data-00000-of-00001", GOLDEN / "v2.data-00000-of-00001")]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("sharded", [False, True])
def test_round_trip(tmp_path, sharded):
    with tf.device("/cpu:0"):
        a = tf.Variable([1.0, 2.0], name="a")
    b = tf.Variable(3, name="b")
    saver = tf.train.Saver(sharded=sharded)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = saver.save(sess, str(tmp_path / "model"), global_step=b)
        assert path == str(tmp_path / "model-3")
    with tf.Session() as sess:
        saver.restore(sess, path)
        assert sess.run(a).tolist() == [1, 2]
        assert sess.run(b) == 3
    assert not [name for name in os.listdir(tmp_path) if "tmp" in name or "temp" in name]


def test_node_names_are_those_of_tensorflow(graph):
    tf.Variable(1.0, name="v")
    definition = tf.train.Saver().as_saver_def()
    assert definition.filename_tensor_name == "save/Const:0"
    assert definition.save_tensor_name == "save/control_dependency:0"
    assert definition.restore_op_name == "save/restore_all"
    kinds = {op.name: op.type for op in graph.get_operations()}
    assert kinds["save/SaveV2"] == "SaveV2"
    assert kinds["save/RestoreV2"] == "RestoreV2"


def test_saving_again_under_one_name(tmp_path):
    v = tf.Variable(0.0, name="v")
    saver = tf.train.Saver()
    with tf.Session() as sess:
        for value in (1.0, 2.0, 3.0):
            v.load(value, sess)
            path = saver.save(sess, str(tmp_path / "model"), write_meta_graph=False)
            assert tf.train.load_variable(path, "v") == value
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "model.data-00000-of-00001", "model.index"]
    assert saver.last_checkpoints == [path]


def test_old_checkpoints_go(tmp_path):
    tf.Variable(0.0, name="v")
    saver = tf.train.Saver(max_to_keep=2, pad_step_number=True)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(4):
            saver.save(sess, str(tmp_path / "m"), global_step=step)
    kept = [str(tmp_path / f"m-0000000{step}") for step in (2, 3)]
    assert saver.last_checkpoints == kept
    assert not tf.train.checkpoint_exists(str(tmp_path / "m-00000001"))
    assert (
        sorted(p.suffix for p in tmp_path.glob("m-*"))
        == [".data-00000-of-00001"] * 2 + [".index"] * 2 + [".meta"] * 2
    )
    state = tf.train.get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == kept
    assert tf.train.latest_checkpoint(tmp_path) == kept[-1]
    other = tf.train.Saver()
    other.recover_last_checkpoints([*kept, str(tmp_path / "gone")])
    assert other.last_checkpoints == kept


def test_one_in_some_hours_stays(tmp_path):
    tf.Variable(0.0, name="v")
    saver = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=0.0)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(3):
            saver.save(sess, str(tmp_path / "m"), global_step=step)
    assert all(tf.train.checkpoint_exists(str(tmp_path / f"m-{step}")) for step in range(3))
    assert tf.train.get_checkpoint_state(tmp_path).last_preserved_timestamp > 0


def test_one_in_so_many_hours_stays_for_good(tmp_path, monkeypatch):
    tf.Variable(0.0, name="v")
    now = 1e9
    monkeypatch.setattr(time, "time", lambda: now)
    saver = tf.train.Saver(max_to_keep=1, keep_checkpoint_every_n_hours=2)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        for step in range(10):
            saver.save(sess, str(tmp_path / "m"), global_step=step, write_meta_graph=False)
            now += 1900  # a little more than half an hour
    kept = [step for step in range(10) if tf.train.checkpoint_exists(str(tmp_path / f"m-{step}"))]
    # The first that is two hours old or more, and four; and the newest.
    assert kept == [4, 8, 9]
    state = tf.train.get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == [str(tmp_path / "m-9")]
    assert state.last_preserved_timestamp == 1e9 + 8 * 1900


def test_relative_paths_move_with_their_folder(tmp_path):
    tf.Variable(0.0, name="v")
    saver = tf.train.Saver(save_relative_paths=True)
    (tmp_path / "a").mkdir()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        saver.save(sess, str(tmp_path / "a" / "m"))
    (tmp_path / "a").rename(tmp_path / "b")
    assert tf.train.latest_checkpoint(tmp_path / "b") == str(tmp_path / "b" / "m")


def test_the_state_file(tmp_path):
    assert tf.train.get_checkpoint_state(tmp_path) is None
    assert tf.train.latest_checkpoint(tmp_path) is None
    tf.train.update_checkpoint_state(str(tmp_path), "m-2", ["m-1", "m-2"])
    state = tf.train.get_checkpoint_state(tmp_path)
    assert list(state.all_model_checkpoint_paths) == [str(tmp_path / "m-1"), str(tmp_path / "m-2")]
    assert tf.train.latest_checkpoint(tmp_path) is None  # there are no such files
    (tmp_path / "checkpoint").write_text("what {")
    assert tf.train.get_checkpoint_state(tmp_path) is None
    with pytest.raises(ValueError, match="1 timestamps for 2"):
        tf.train.generate_checkpoint_state_proto("d", "b", ["a", "b"], [1.0])


def test_names_of_a_dict(tmp_path):
    v = tf.Variable([1.0, 2.0], name="v")
    w = tf.Variable([0.0, 0.0], name="w")
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver({"other": v}).save(sess, str(tmp_path / "m"))
        assert tf.train.list_variables(path) == [("other", [2])]
        tf.train.Saver({"other": w}).restore(sess, path)
        assert sess.run(w).tolist() == [1, 2]


def test_partitions_are_saved_as_one(tmp_path):
    part = tf.get_variable("p", [6, 2], partitioner=tf.fixed_size_partitioner(3))
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = saver.save(sess, str(tmp_path / "m"))
        value = sess.run(part.as_tensor())
        assert tf.train.list_variables(path) == [("p", [6, 2])]
        assert same(tf.train.load_variable(path, "p"), value)
    with tf.Graph().as_default(), tf.Session() as sess:
        # Other partitions, and none at all.
        two = tf.get_variable("p", [6, 2], partitioner=tf.fixed_size_partitioner(2))
        tf.train.Saver().restore(sess, path)
        assert same(sess.run(two.as_tensor()), value)
        whole = tf.Variable(tf.zeros([6, 2]), name="whole")
        tf.train.Saver({"p": whole}).restore(sess, path)
        assert same(sess.run(whole), value)


def test_a_partition_on_its_own_is_saved_as_a_tensor(tmp_path):
    parts = list(tf.get_variable("p", [6, 2], partitioner=tf.fixed_size_partitioner(3)))
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver({"x": parts[1], "all": parts}).save(sess, str(tmp_path / "m"))
        assert tf.train.list_variables(path) == [("all", [6, 2]), ("x", [2, 2])]
        value = sess.run(parts[1])
        sess.run(parts[1].assign(np.zeros([2, 2])))
        tf.train.Saver({"x": parts[1]}).restore(sess, path)
        assert same(sess.run(parts[1]), value)
        # In a list, its name is that of the whole.
        path = tf.train.Saver([parts[1]]).save(sess, str(tmp_path / "n"))
        assert tf.train.list_variables(path) == [("p", [6, 2])]


@pytest.mark.parametrize("sharded", [False, True])
def test_a_checkpoint_that_does_not_fit_names_every_variable(tmp_path, sharded):
    path = saved(tmp_path, {"a": np.zeros(2, "f"), "b": np.zeros(3, "f"), "c": np.zeros(2, "f")})
    for name, shape, dtype in (("a", [5], "f"), ("b", [3], "i"), ("c", [2], "f"), ("d", [1], "f")):
        tf.Variable(np.zeros(shape, dtype), name=name)
    saver = tf.train.Saver(sharded=sharded)
    with tf.Session() as sess:
        with pytest.raises((tf.errors.NotFoundError, tf.errors.InvalidArgumentError)) as caught:
            saver.restore(sess, path)
        text = str(caught.value)
        assert f"the checkpoint '{path}'" in text and "'c' is" not in text
        assert "'a' is float32 of shape [5] here, float32 of shape [2] there" in text
        assert "'b' is int32 of shape [3] here, float32 of shape [3] there" in text
        assert "'d' is float32 of shape [1] here, and missing there" in text
        with pytest.raises(ValueError, match=r"without '\.index'"):
            saver.restore(sess, path + ".index")
        with pytest.raises(ValueError, match="no checkpoint"):
            saver.restore(sess, str(tmp_path))
    with pytest.raises(tf.errors.NotFoundError, match=r"without '\.index'"):
        tf.train.NewCheckpointReader(path + ".index")


def test_a_saver_from_its_message(tmp_path):
    v = tf.Variable(1.0, name="v")
    message = tf.train.Saver(max_to_keep=1, name="s").to_proto()
    assert message.max_to_keep == 1
    with tf.Session() as sess:
        sess.run(v.initializer)
        saver = tf.train.Saver(saver_def=message)
        paths = [saver.save(sess, str(tmp_path / "m"), global_step=step) for step in range(2)]
        assert saver.last_checkpoints == paths[1:] and not tf.train.checkpoint_exists(paths[0])
    scoped = tf.train.Saver(saver_def=message, name="scope").as_saver_def()
    assert scoped.restore_op_name == "scope/s/restore_all"
    for make in (tf.train.Saver.from_proto, lambda message: tf.train.Saver(saver_def=message)):
        with pytest.raises(TypeError, match="SaverDef message, got int"):
            make(3)


def test_the_path_has_a_default(tmp_path):
    v = tf.Variable(1.0, name="v")
    saver = tf.train.Saver(filename=str(tmp_path / "model"))
    with tf.Session() as sess:
        sess.run(v.initializer)
        sess.run(saver.saver_def.save_tensor_name)
        v.load(2.0, sess)
        sess.run(saver.saver_def.restore_op_name)
        assert sess.run(v) == 1
    assert tf.train.load_variable(tmp_path / "model", "v") == 1


def test_operations_may_be_made_later(tmp_path):
    saver = tf.train.Saver(defer_build=True)
    v = tf.Variable(1.0, name="v")
    with tf.Session() as sess:
        sess.run(v.initializer)
        for use in (lambda: saver.save(sess, str(tmp_path / "m")), lambda: saver.restore(sess, "m")):
            with pytest.raises(RuntimeError, match="call build"):
                use()
        saver.build()
        saver.build()
        assert tf.train.list_variables(saver.save(sess, str(tmp_path / "m"))) == [("v", [])]
    with pytest.raises(ValueError, match="defer_build"):
        tf.train.Saver([v], defer_build=True)


def test_a_saver_of_nothing(tmp_path):
    saver = tf.train.Saver(allow_empty=True)
    with tf.Session() as sess:
        assert saver.save(sess, str(tmp_path / "m")) is None
        saver.restore(sess, str(tmp_path / "m"))
    assert saver.as_saver_def() is None and saver.last_checkpoints == []
    assert os.listdir(tmp_path) == ["m.meta"]


def test_reshape(tmp_path):
    path = saved(tmp_path, {"v": np.arange(6.0)})
    v = tf.Variable(np.zeros((2, 3)), name="v")
    with tf.Session() as sess:
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\(6,\).*\(2, 3\)"):
            tf.train.Saver().restore(sess, path)
        tf.train.Saver(reshape=True, restore_sequentially=True).restore(sess, path)
        assert sess.run(v)[1].tolist() == [3, 4, 5]


def test_init_from_checkpoint(tmp_path):
    path = saved(tmp_path, {"a/v": [1.0, 2.0], "a/w": [3.0]})
    v = tf.Variable([0.0, 0.0], name="b/v")
    w = tf.Variable([0.0], name="b/w")
    u = tf.Variable([0.0], name="u")
    tf.train.init_from_checkpoint(path, {"a/": "b/"})
    tf.train.init_from_checkpoint(str(tmp_path), {"a/w": u})
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert [sess.run(x).tolist() for x in (v, w, u)] == [[1, 2], [3], [3]]
    with pytest.raises(ValueError, match="shape"):
        tf.train.init_from_checkpoint(path, {"a/v": u})
    with pytest.raises(ValueError, match="no tensor 'x'"):
        tf.train.init_from_checkpoint(path, {"x": u})


def test_init_from_checkpoint_by_names_scopes_and_partitions(tmp_path):
    values = {"a/v": [1.0, 2.0], "a/b/w": [3.0], "u": [4.0], "p": np.arange(12, dtype="f").reshape(6, 2)}
    path = saved(tmp_path, values)

    def made(*pairs, like="u"):
        """What variables of these names start from."""
        with tf.Graph().as_default(), tf.Session() as sess:
            shapes = {"v": [2], "w": [1], "u": [1], "p": [6, 2]}
            names = ["a/v", "a/b/w", "u"] if like == "u" else ["x/a/v", "x/a/b/w"]
            some = {
                name: tf.get_variable(name, shapes[name[-1]], initializer=tf.zeros_initializer())
                for name in names
            }
            parts = tf.get_variable(
                "p" if like == "u" else "x/p",
                [6, 2],
                initializer=tf.zeros_initializer(),
                partitioner=tf.fixed_size_partitioner(3),
            )
            for where, assignment in pairs:
                tf.train.init_from_checkpoint(where, assignment(some, parts))
            sess.run(tf.global_variables_initializer())
            found = {name: sess.run(variable).tolist() for name, variable in some.items()}
            return found, sess.run(parts.as_tensor())

    nothing = {"a/v": [0, 0], "a/b/w": [0], "u": [0]}
    whole = {"a/v": [1, 2], "a/b/w": [3], "u": [4]}
    # All there are.
    found, p = made((path, lambda some, parts: {"/": "/"}))
    assert found == whole
    assert same(p, values["p"])
    # Into a scope, of a folder's latest.
    found, p = made((tmp_path, lambda some, parts: {"/": "x/"}), like="x")
    assert found == {"x/a/v": [1, 2], "x/a/b/w": [3]}
    assert same(p, values["p"])
    # Scopes within scopes, by pairs.
    found, p = made((path, lambda some, parts: [("a/b/", "a/b/")]))
    assert found == nothing | {"a/b/w": [3]}
    assert same(p, np.zeros((6, 2)))
    # Names, and variables.
    found, _ = made((path, lambda some, parts: {"a/b/w": "u", "u": some["a/b/w"]}))
    assert found == nothing | {"u": [3], "a/b/w": [4]}
    # Partitions: by name, as a variable, and as a list.
    for assignment in (
        lambda some, parts: {"p": "p"},
        lambda some, parts: {"p": parts},
        lambda some, parts: {"p": list(parts)},
    ):
        assert same(made((path, assignment))[1], values["p"])
    # The older format, in its file and by its tensors.
    with tf.Session() as sess:
        w = tf.get_variable("net/w", [2, 3])
        tf.train.init_from_checkpoint(GOLDEN / "v1", {"net/w": w})
        sess.run(w.initializer)
        assert same(sess.run(w), VALUES["net/w"])
    for wrong, match in (
        ({"a/": "nowhere/"}, "no variable in the scope"),
        ({"u": "nothing"}, "no variable 'nothing'"),
        ({"nowhere/": "a/"}, "no tensor 'nowhere/"),
        ({"p": "u"}, "shape"),
    ):
        with pytest.raises(ValueError, match=match):
            made((path, lambda some, parts, wrong=wrong: wrong))


def test_the_older_format_in_several_files_is_named_by_a_pattern(tmp_path):
    shutil.copy(GOLDEN / "v1", tmp_path / "model-00000-of-00001")
    (tmp_path / "model-00000-of-00002").write_bytes(b"of another checkpoint")
    name = str(tmp_path / "model-?????-of-00001")
    (tmp_path / "checkpoint").write_text(f'model_checkpoint_path: "{name}"')
    assert tf.train.latest_checkpoint(tmp_path) == name
    assert same(tf.train.load_variable(name, "net/w"), VALUES["net/w"])
    assert not tf.train.checkpoint_exists(str(tmp_path / "model-?????-of-00003"))
    assert not tf.train.checkpoint_exists(str(tmp_path / "m*-?????-of-00001"))
    with pytest.raises(tf.errors.NotFoundError):
        tf.train.load_checkpoint(str(tmp_path / "model-?????-of-00003"))


@pytest.mark.parametrize("name", ["v2", "sharded", "v1"])
def test_tensors_of_a_file_of_any_format(name):
    listed = tf.train.list_variables(GOLDEN / name)
    assert listed == sorted(listed)
    assert ("net/table", [5, 2]) in listed
    assert same(tf.train.load_variable(GOLDEN / name, "net/table"), VALUES["net/table"])
    assert same(tf.train.load_variable(str(GOLDEN / name), "net/w:0"), VALUES["net/w"])
    with pytest.raises(tf.errors.NotFoundError, match="did you mean 'net/w'"):
        tf.train.load_variable(GOLDEN / name, "net/ww")
    reader = tf.train.load_checkpoint(GOLDEN / name)
    assert reader.has_tensor("global_step")
    assert reader.get_variable_to_dtype_map()["net/w"] == tf.float32
    with tf.Session() as sess:
        w = tf.get_variable("net/w", [2, 3])
        tf.train.Saver([w]).restore(sess, str(GOLDEN / name))
        assert same(sess.run(w), VALUES["net/w"])


def test_tensors_of_a_folder(tmp_path):
    with pytest.raises(ValueError, match="no checkpoint in the folder"):
        tf.train.list_variables(tmp_path)
    saved(tmp_path, {"v": [1.0]})
    assert tf.train.list_variables(tmp_path) == [("v", [1])]
    assert same(tf.train.load_variable(tmp_path, "v"), [1.0])
    assert tf.train.load_checkpoint(str(tmp_path)).has_tensor("v")
    with pytest.raises(tf.errors.NotFoundError, match=r"no file .*nothing\.index"):
        tf.train.NewCheckpointReader(tmp_path / "nothing")


def test_a_state_file_may_lead_elsewhere_but_only_to_be_read(tmp_path):
    """Checkpoints are looked for where it says, as other programs do; nothing is removed there."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    path = saved(tmp_path / "there", {"v": [1.0]})
    before = sorted(os.listdir(tmp_path / "there"))
    for named in ("../there/model", path):
        (tmp_path / "here" / "checkpoint").write_text(
            f'model_checkpoint_path: "{named}"\nall_model_checkpoint_paths: "{named}"\n'
        )
        assert tf.train.load_variable(tmp_path / "here", "v") == [1.0]
        with tf.Graph().as_default(), tf.Session() as sess:
            tf.Variable([0.0], name="v")
            saver = tf.train.Saver(max_to_keep=1)
            saver.restore(sess, tf.train.latest_checkpoint(tmp_path / "here"))
            saver.save(sess, str(tmp_path / "here" / "model"))
        assert sorted(os.listdir(tmp_path / "there")) == before
    for hostile in ("/dev/null", "a\\000b", "x" * 100_000, "../" * 5000, ""):
        (tmp_path / "here" / "checkpoint").write_text(f'model_checkpoint_path: "{hostile}"\n')
        assert tf.train.latest_checkpoint(tmp_path / "here") is None
    for bad in (b"\xff\xfe", b"model_checkpoint_path: 3", b"{" * 100_000):
        (tmp_path / "here" / "checkpoint").write_bytes(bad)
        assert tf.train.get_checkpoint_state(tmp_path / "here") is None
    os.unlink(tmp_path / "here" / "checkpoint")
    (tmp_path / "here" / "checkpoint").mkdir()
    assert tf.train.get_checkpoint_state(tmp_path / "here") is None


def test_names_of_tensors_are_no_paths(tmp_path):
    """A name that looks like one is a name, a zero in it is told."""
    with tf.Session() as sess:
        names = ["../v", "/etc/v", "a\0b", "\n"]
        values = [tf.constant([float(i)]) for i in range(4)]
        sess.run(raw.SaveV2(str(tmp_path / "m"), names, [""] * 4, values))
    assert sorted(os.listdir(tmp_path)) == ["m.data-00000-of-00001", "m.index"]
    reader = tf.train.NewCheckpointReader(tmp_path / "m")
    assert {name: float(reader.get_tensor(name)[0]) for name in names} == dict(zip(names, range(4)))
    data = tmp_path / "m.data-00000-of-00001"
    data.write_bytes(bytes(16))
    with pytest.raises(tf.errors.DataLossError, match=r"tensor 'a\\0b' at byte .* is damaged: its checksum"):
        reader.get_tensor("a\0b")


def test_graphs_come_back_with_their_collections(tmp_path):
    x = tf.placeholder(tf.float32, name="x")
    v = tf.get_variable("v", initializer=2.0)
    y = tf.multiply(x, v, name="y")
    tf.add_to_collection("outputs", y)
    tf.add_to_collection("numbers", 3)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(sess, str(tmp_path / "m"))
    for scope in (None, "again"):
        with tf.Graph().as_default(), tf.Session() as sess:
            saver = tf.train.import_meta_graph(path + ".meta", import_scope=scope)
            saver.restore(sess, path)
            (output,) = tf.get_collection("outputs")
            assert sess.run(output, {f"{scope}/x:0" if scope else "x:0": 5.0}) == 10
            assert tf.get_collection("numbers") == [3]
            assert tf.trainable_variables() == tf.global_variables()
            assert len(tf.global_variables()) == 1


def test_a_graph_of_tensorflow_is_restored():
    with tf.Session() as sess:
        saver = tf.train.import_meta_graph(str(GOLDEN / "v2.meta"))
        saver.restore(sess, str(GOLDEN / "v2"))
        for variable in tf.global_variables():
            if variable.op.name in VALUES:
                assert same(sess.run(variable), VALUES[variable.op.name]), variable.name


def test_what_is_no_graph(tmp_path):
    with pytest.raises(OSError, match="no file"):
        tf.train.import_meta_graph(str(tmp_path / "m.meta"))
    (tmp_path / "m.meta").write_bytes(b"\xff\xff what")
    with pytest.raises(OSError, match="no MetaGraphDef"):
        tf.train.import_meta_graph(str(tmp_path / "m.meta"))


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="no variables"):
        tf.train.Saver()
    v = tf.Variable(1.0, name="v")
    with pytest.raises(TypeError, match="cannot be saved"):
        tf.train.Saver([tf.constant(1)])
    for wrong in (3, v, "v"):
        with pytest.raises(TypeError, match="list of variables, or a dict"):
            tf.train.Saver(wrong)
    with pytest.raises(TypeError, match="keys of var_list must be names, got 1"):
        tf.train.Saver({1: v})
    with pytest.raises(ValueError, match="only version 2"):
        tf.train.Saver(write_version=1)
    with pytest.raises(ValueError, match=r"two variables .* 'v'"):
        w = tf.Variable(1.0)
        w._set_save_slice_info(tf.Variable.SaveSliceInfo("v", [], [], []))
        tf.train.Saver([v, w, tf.Variable(2.0, name="u")])
    saver = tf.train.Saver([v])
    with tf.Session() as sess:
        with pytest.raises(ValueError, match="None"):
            saver.restore(sess, None)
        with pytest.raises(ValueError, match="no checkpoint"):
            saver.restore(sess, str(tmp_path / "nothing"))
        with pytest.raises(ValueError, match="without a folder"):
            saver.save(sess, str(tmp_path / "m"), latest_filename="a/b")
        with pytest.raises(ValueError, match="also the name"):
            saver.save(sess, str(tmp_path / "checkpoint"))
        with pytest.raises(tf.errors.FailedPreconditionError):
            saver.save(sess, str(tmp_path / "m"))
    assert not [p for p in tmp_path.iterdir() if p.suffix == ".index"]


def damaged(path, at, tmp_path):
    """A copy of a file with one bit changed."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    (tmp_path / path.name).write_bytes(data)


def test_damage_is_reported_by_tensor(tmp_path):
    path = saved(tmp_path, {"v": np.arange(10.0), "w": np.arange(5.0)})
    data = pathlib.Path(path + ".data-00000-of-00001")
    damaged(data, 80 + 12, tmp_path)
    reader = tf.train.NewCheckpointReader(path)
    assert same(reader.get_tensor("v"), np.arange(10.0))
    with pytest.raises(tf.errors.DataLossError, match=r"'w' at byte 80 of '.*data-00000-of-00001'.*checksum"):
        reader.get_tensor("w")
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(tf.errors.DataLossError, match=r"'w'.*40 bytes, the file 100"):
        tf.train.load_variable(path, "w")
    data.unlink()
    with pytest.raises(tf.errors.NotFoundError, match="data-00000"):
        tf.train.load_variable(path, "w")


@pytest.mark.parametrize("name", ["v2.index", "v2.data-00000-of-00001", "v1"])
def test_every_damage_is_an_error(tmp_path, name):
    for file in ("v2.index", "v2.data-00000-of-00001", "v1"):
        shutil.copy(GOLDEN / file, tmp_path)
    data = (GOLDEN / name).read_bytes()
    wrong = [data[:cut] for cut in range(0, len(data), 13)]
    wrong += [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(0, len(data), 3)]
    for bad in wrong:
        (tmp_path / name).write_bytes(bad)
        try:
            reader = tf.train.NewCheckpointReader(tmp_path / name.split(".")[0])
            values = {one: reader.get_tensor(one) for one in reader.get_variable_to_shape_map()}
        except tf.errors.OpError:
            continue
        # What is not covered by a checksum does not matter: padding of the footer.
        assert all(same(values[one], VALUES[one]) for one in values)
        assert len(values) >= len(VALUES) - 3


SAVING = """
import sys
import numpy as np
import headrace as tf
v = tf.Variable(np.zeros(500_000, np.float32), name="v")
add = v.assign_add(tf.ones([500_000]))
saver = tf.train.Saver(max_to_keep=2)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(10_000):
        saver.save(sess, sys.argv[1] + "/again", latest_filename="one", write_meta_graph=False)
        saver.save(sess, sys.argv[1] + "/model", global_step=step, write_meta_graph=False)
        print(step, flush=True)
        sess.run(add.op)
"""


@pytest.mark.parametrize("delay", [0.003, 0.008, 0.013, 0.021])
def test_being_killed_loses_nothing(tmp_path, delay):
    process = subprocess.Popen(
        [sys.executable, "-c", SAVING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == 2:
            break
    time.sleep(delay)
    process.kill()
    process.communicate()
    for path in (tf.train.latest_checkpoint(tmp_path), tf.train.latest_checkpoint(tmp_path, "one")):
        assert path is not None
        value = tf.train.load_variable(path, "v")
        assert value[0] >= 2
        assert np.all(value == value[0])


def test_a_save_beside_training_sees_each_variable_whole(tmp_path):
    """Several threads update large variables, which are all of one number between two updates."""
    size = 1_000_000
    names = ["v", "w", "sparse"]
    variables = [tf.Variable(np.zeros(size, np.float32), name=name) for name in names]
    ones = tf.ones([size])
    updates = [
        variables[0].assign_add(ones, read_value=False),
        variables[1].assign(variables[1] + ones, read_value=False),
        tf.scatter_add(variables[2], tf.range(size), ones).op,
    ]
    saver = tf.train.Saver(max_to_keep=None)
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        stop = threading.Event()

        def train(update):
            while not stop.is_set():
                sess.run(update)

        threads = [threading.Thread(target=train, args=(update,)) for update in updates]
        for thread in threads:
            thread.start()
        try:
            paths, deadline = [], time.monotonic() + 60
            while len(paths) < 8 or (np.any(sess.run([v[0] for v in variables]) == 0)):
                assert time.monotonic() < deadline, "nothing is trained beside saving"
                path = saver.save(sess, str(tmp_path / "m"), len(paths), write_meta_graph=False)
                paths.append(path)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        paths.append(saver.save(sess, str(tmp_path / "last"), write_meta_graph=False))
    for name in names:
        values = [tf.train.load_variable(path, name) for path in paths]
        assert all(np.all(value == value[0]) for value in values), name
        firsts = [value[0] for value in values]
        assert firsts == sorted(firsts) and len(set(firsts)) > 1


class Pair(SAVER_BUILDER.SaveableObject):
    """Two variables that are saved as one, the second as its negative."""

    def __init__(self, first, second, name):
        spec = SAVER_BUILDER.SaveSpec
        specs = [
            spec(first.value(), "", name + "-first"),
            spec(lambda: -second.value(), "", name + "-second", tf.float32),
        ]
        super().__init__(first, specs, name)
        self.second = second

    def restore(self, restored_tensors, restored_shapes):
        if restored_shapes is not None:
            restored_tensors = [tf.reshape(t, s) for t, s in zip(restored_tensors, restored_shapes)]
        return tf.group(self.op.assign(restored_tensors[0]), self.second.assign(-restored_tensors[1]))


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("given", ["list", "dict", "collection"])
def test_objects_that_save_themselves(tmp_path, given, sharded):
    v, w = tf.Variable([1.0, 2.0], name="v"), tf.Variable([3.0], name="w", collections=[])
    u = tf.Variable(7, name="u")
    pair = Pair(v, w, "pair")
    if given == "collection":
        tf.add_to_collection(tf.GraphKeys.SAVEABLE_OBJECTS, pair)
    var_list = {"list": [u, pair], "dict": {"u": u, "any": pair}, "collection": None}[given]
    saver = tf.train.Saver(var_list, sharded=sharded, restore_sequentially=True)
    with tf.Session() as sess:
        sess.run([x.initializer for x in (u, v, w)])
        path = saver.save(sess, str(tmp_path / "m"))
        everything = {"u", "pair-first", "pair-second"} | ({"v"} if given == "collection" else set())
        assert {name for name, _ in tf.train.list_variables(path)} == everything
        assert tf.train.load_variable(path, "pair-second").tolist() == [-3]
        sess.run([u.assign(0), v.assign([0, 0]), w.assign([0])])
        saver.restore(sess, path)
        assert [sess.run(x).tolist() for x in (u, v, w)] == [7, [1, 2], [3]]
        tf.train.Saver([pair], reshape=True).restore(sess, path)
        # What is wrong is said of each tensor.
        with pytest.raises(tf.errors.NotFoundError, match=r"'other-second' is float32.*missing"):
            tf.train.Saver([Pair(v, w, "other")]).restore(sess, path)
    with pytest.raises(ValueError, match="would be saved as 'pair-first'"):
        tf.train.Saver([pair, Pair(w, v, "pair")])
    with pytest.raises(ValueError, match="dtype"):
        SAVER_BUILDER.SaveSpec(v.value, "", "v")
    with pytest.raises(NotImplementedError, match="restore"):
        tf.train.Saver([SAVER_BUILDER.SaveableObject(v, pair.specs, "bare")])


@pytest.mark.parametrize("default", [-1.0, [-1.0, -2.0]])
def test_tables_are_saved(tmp_path, default):
    values = np.arange(3.0) if np.isscalar(default) else np.arange(6.0).reshape(3, 2)
    table = tf.contrib.lookup.MutableHashTable
    made = table(tf.string, tf.float32, default, name="table")
    table(tf.string, tf.float32, default, name="not_saved", checkpoint=False)
    insert = made.insert(["a", "b", "c"], values.astype(np.float32))
    found = made.lookup(tf.constant(["c", "zz"]))
    tf.Variable(1.0, name="v")
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run([tf.global_variables_initializer(), insert])
        path = saver.save(sess, str(tmp_path / "m"))
    assert {name for name, _ in tf.train.list_variables(path)} == {"v", "table-keys", "table-values"}
    with tf.Session() as sess:
        assert sess.run(made.size()) == 0
        sess.run(made.insert(["zz"], values[:1].astype(np.float32)))
        saver.restore(sess, path)  # what was there before is gone
        assert sess.run(found).tolist() == [values[2].tolist(), default] and sess.run(made.size()) == 3
    # A graph that is read again saves and restores the table, too.
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.train.import_meta_graph(path + ".meta").restore(sess, path)
        assert sess.run(found.name).tolist() == [values[2].tolist(), default]


def test_a_full_disk_leaves_the_last_one(tmp_path):
    resource = pytest.importorskip("resource")
    path = saved(tmp_path, {"v": np.ones(10, np.float32)})
    code = f"""
import resource, signal
import headrace as tf
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
v = tf.Variable(tf.zeros([100000]), name="v")
saver = tf.train.Saver()
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
    try:
        saver.save(sess, {path!r}, write_meta_graph=False)
    except tf.errors.ResourceExhaustedError as error:
        assert "cannot write" in str(error), error
    else:
        raise SystemExit("no error")
"""
    assert resource
    subprocess.run([sys.executable, "-c", code], check=True)
    assert same(tf.train.load_variable(path, "v"), np.ones(10))
    assert not list(tmp_path.glob("*tmp*"))


@pytest.mark.parametrize("as_text", [False, True])
def test_attributes_with_their_defaults_may_be_left_out(tmp_path, as_text):
    x = tf.placeholder(tf.float32, [2, 2], name="x")
    tf.matmul(x, tf.get_variable("w", [2, 2]), transpose_b=True, name="y")
    path = str(tmp_path / "graph")
    whole = tf.train.export_meta_graph(path, as_text=as_text)
    stripped = tf.train.export_meta_graph(path, as_text=as_text, strip_default_attrs=True)
    (y,) = (node for node in whole.graph_def.node if node.name == "y")
    assert set(y.attr) >= {"T", "transpose_a", "transpose_b"}
    assert not whole.meta_info_def.stripped_default_attrs
    (y,) = (node for node in stripped.graph_def.node if node.name == "y")
    assert set(y.attr) == {"T", "transpose_b", "_output_shapes"}
    assert stripped.meta_info_def.stripped_default_attrs
    with tf.Graph().as_default() as graph:
        tf.train.import_meta_graph(path)
        assert graph.get_operation_by_name("y").get_attr("transpose_a") is False
        assert graph.get_operation_by_name("y").get_attr("transpose_b") is True
