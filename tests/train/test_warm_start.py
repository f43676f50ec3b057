"""Starting from an earlier training: names, scopes, partitions and vocabularies."""

import numpy as np
import pytest

import headrace as tf


@pytest.fixture
def path(tmp_path):
    """A checkpoint of an earlier training, beside its vocabulary."""
    (tmp_path / "old.txt").write_text("apple\nbanana\ncherry\nunused\n")
    (tmp_path / "new.txt").write_text("cherry\r\ndate\napple\n")
    with tf.Graph().as_default(), tf.Session() as session:
        for name, value in (
            ("linear/w", [1.0, 2.0]),
            ("linear/b", [3.0, 4.0]),
            ("other", [5.0, 6.0]),
            ("words", np.arange(8, dtype=np.float32).reshape(4, 2)),
            ("columns", np.arange(8, dtype=np.float32).reshape(2, 4)),
        ):
            tf.get_variable(name, initializer=np.array(value, np.float32))
        session.run(tf.global_variables_initializer())
        return tf.train.Saver().save(session, str(tmp_path / "model"))


def started(path, names, *arguments, trainable=True, **options):
    """What variables of these names start from."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [
            tf.get_variable(name, [2], initializer=tf.constant_initializer(70.0), trainable=trainable)
            for name in names
        ]
        options = {key: value(variables) if callable(value) else value for key, value in options.items()}
        tf.train.warm_start(path, *arguments, **options)
        session.run(tf.global_variables_initializer())
        return [session.run(variable)[0] for variable in variables]


def test_which_variables(path, tmp_path):
    assert started(path, ["linear/w", "linear/b"]) == [1, 3]
    assert started(str(tmp_path), ["linear/w", "other"], "linear.*") == [1, 70]
    assert started(path, ["linear/w", "other"], ["linear/w"]) == [1, 70]
    assert started(path, ["linear/w", "other"], vars_to_warm_start=lambda variables: variables[1:]) == [70, 5]
    assert started(path, ["linear/w", "other"], vars_to_warm_start=lambda variables: variables[0]) == [1, 70]
    # By an expression the trainable ones, by a list all.
    assert started(path, ["linear/w"], trainable=False) == [70]
    assert started(path, ["linear/w"], [".*"], trainable=False) == [1]
    assert started(path, ["linear/w"], None) == [70]
    names = {"a": "linear/w", "b": "other"}
    assert started(path, ["a", "b"], var_name_to_prev_var_name=names) == [1, 5]


def test_partitions(path):
    with tf.Graph().as_default(), tf.Session() as session:
        words = tf.get_variable("w", [4, 2], partitioner=tf.fixed_size_partitioner(3))
        tf.train.warm_start(path, var_name_to_prev_var_name={"w": "words"})
        session.run(tf.global_variables_initializer())
        assert np.array_equal(session.run(words.as_tensor()), np.arange(8).reshape(4, 2))


@pytest.mark.parametrize("parts", [1, 2])
def test_words_are_found_again(path, tmp_path, parts):
    info = tf.train.VocabInfo(
        new_vocab=str(tmp_path / "new.txt"),
        new_vocab_size=3,
        num_oov_buckets=1,
        old_vocab=str(tmp_path / "old.txt"),
        backup_initializer=tf.constant_initializer(-1.0),
    )
    with tf.Graph().as_default(), tf.Session() as session:
        words = tf.get_variable("words", [4, 2], partitioner=tf.fixed_size_partitioner(parts))
        tf.train.warm_start(path, None, var_name_to_vocab_info={"words": info})
        session.run(tf.global_variables_initializer())
        assert session.run(words.as_tensor()).tolist() == [[4, 5], [-1, -1], [0, 1], [-1, -1]]
    with tf.Graph().as_default(), tf.Session() as session:
        columns = tf.get_variable("c", [2, 3], partitioner=tf.fixed_size_partitioner(parts))
        info = info._replace(num_oov_buckets=0, old_vocab_size=2, axis=1, backup_initializer=None)
        tf.train.warm_start(
            path, var_name_to_vocab_info={"c": info}, var_name_to_prev_var_name={"c": "columns"}
        )
        session.run(tf.global_variables_initializer())
        assert session.run(columns.as_tensor()).tolist() == [[0, 0, 0], [0, 0, 4]]


def test_what_is_wrong(path, tmp_path):
    with pytest.raises(ValueError, match=r"no tensor 'z'; it has \['columns'"):
        started(path, ["z"])
    with pytest.raises(ValueError, match=r"var_name_to_prev_var_name names \['q'\]"):
        started(path, ["other"], var_name_to_prev_var_name={"q": "other"})
    for wrong in (3, [3], [".*", 3]):
        with pytest.raises(TypeError, match="vars_to_warm_start must be"):
            started(path, ["other"], wrong)
    info = tf.train.VocabInfo(str(tmp_path / "new.txt"), 3, 0, str(tmp_path / "old.txt"))
    for made, name, match in (
        (info, "other", "vocabulary of 3 along axis 0"),
        (info._replace(new_vocab_size=9), "words", "has 3 words, expected at least 9"),
        (info, "none", "no tensor 'none'"),
    ):
        with tf.Graph().as_default():
            tf.get_variable("v", [3, 2])
            with pytest.raises(ValueError, match=match):
                tf.train.warm_start(
                    path, var_name_to_vocab_info={"v": made}, var_name_to_prev_var_name={"v": name}
                )
