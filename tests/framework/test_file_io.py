"""Files and folders."""

import pathlib

import pytest

import headrace as tf

gfile = tf.gfile


def test_text_and_bytes(tmp_path):
    path = str(tmp_path / "f")
    with gfile.GFile(path, "w") as file:
        file.write("aé\n")
        file.write(b"b")
        file.flush()
        assert file.size() == 5
    with gfile.GFile(path) as file:
        assert (file.name, file.mode, file.seekable()) == (path, "r", True)
        assert file.read(1) == "a" and file.readline() == "é\n" and file.tell() == 4
        assert file.read() == "b" and file.read() == ""
        file.seek(0)
        assert list(file) == ["aé\n", "b"]
        file.seek(0)
        assert file.readlines() == ["aé\n", "b"]
        file.seek(position=0)
        assert file.next() == "aé\n"
    assert gfile.Open(path, "rb").read() == b"a\xc3\xa9\nb"
    with gfile.FastGFile(path, "ab") as file:
        file.write("c")
    assert gfile.GFile(path, "rb").readlines() == [b"a\xc3\xa9\n", b"bc"]
    gfile.GFile(tmp_path / "empty", "w").close()
    assert gfile.Stat(tmp_path / "empty").length == 0


def test_modes():
    for wrong in ("x", "rw", ""):
        with pytest.raises(tf.errors.InvalidArgumentError, match="mode is"):
            gfile.GFile("f", wrong)
    with pytest.raises(tf.errors.PermissionDeniedError, match="opened as 'r'"):
        gfile.GFile("f").write("a")
    with pytest.raises(tf.errors.PermissionDeniedError, match="opened as 'w'"):
        gfile.GFile("f", "w").read()
    with pytest.raises(tf.errors.NotFoundError, match="nowhere"):
        gfile.GFile("nowhere/f").read()


def test_folders(tmp_path):
    inside = tmp_path / "a" / "b"
    gfile.MakeDirs(inside)
    gfile.MakeDirs(str(inside))
    gfile.MkDir(tmp_path / "c")
    for name in ("2.txt", "1.txt", "x"):
        (inside / name).write_text(name)
    assert gfile.Exists(inside) and gfile.IsDirectory(inside) and not gfile.IsDirectory(inside / "x")
    assert gfile.ListDirectory(inside) == ["1.txt", "2.txt", "x"]
    assert gfile.Glob(str(inside / "*.txt")) == [str(inside / "1.txt"), str(inside / "2.txt")]
    assert tf.io.gfile.glob([str(inside / "x"), str(inside / "1*")]) == [
        *(str(inside / "x"), str(inside / "1.txt"))
    ]
    walked = list(gfile.Walk(tmp_path))
    assert walked[0] == (str(tmp_path), ["a", "c"], [])
    assert walked[2] == (str(inside), [], ["1.txt", "2.txt", "x"])
    assert [path for path, _, _ in gfile.Walk(tmp_path, in_order=False)][-1] == str(tmp_path)
    stat = tf.io.gfile.stat(inside / "x")
    assert (stat.length, stat.is_directory) == (1, False)
    assert stat.mtime_nsec == (inside / "x").stat().st_mtime_ns
    assert gfile.Stat(inside).is_directory
    gfile.DeleteRecursively(tmp_path / "a")
    assert not gfile.Exists(tmp_path / "a")


def test_copies(tmp_path):
    (tmp_path / "f").write_text("f")
    gfile.Copy(tmp_path / "f", tmp_path / "g")
    with pytest.raises(tf.errors.AlreadyExistsError, match="overwrite=True"):
        gfile.Copy(tmp_path / "f", tmp_path / "g")
    (tmp_path / "f").write_text("new")
    gfile.Copy(tmp_path / "f", tmp_path / "g", overwrite=True)
    assert (tmp_path / "g").read_text() == "new"
    with pytest.raises(tf.errors.AlreadyExistsError):
        gfile.Rename(tmp_path / "f", tmp_path / "g")
    gfile.Rename(tmp_path / "f", tmp_path / "h")
    gfile.Remove(tmp_path / "g")
    assert gfile.ListDirectory(tmp_path) == ["h"]


def test_what_goes_wrong(tmp_path):
    nowhere = tmp_path / "no" / "where"
    for call in (gfile.Remove, gfile.Stat, gfile.MkDir, gfile.ListDirectory, gfile.DeleteRecursively):
        with pytest.raises(tf.errors.NotFoundError, match="no"):
            call(nowhere)
    with pytest.raises(tf.errors.NotFoundError):
        gfile.Rename(nowhere, tmp_path / "x")
    with pytest.raises(tf.errors.AlreadyExistsError, match=pathlib.Path(tmp_path).name):
        gfile.MkDir(tmp_path)
    with pytest.raises(tf.errors.FailedPreconditionError):
        gfile.Copy(tmp_path, tmp_path / "x")
