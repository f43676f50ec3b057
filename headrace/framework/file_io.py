"""Files and folders of the system: `tf.gfile`. What goes wrong is an error of `tf.errors`."""

from __future__ import annotations

import contextlib
import errno
import glob as globs
import os
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

from headrace.framework import errors

__all__ = [
    "FileStatistics",
    "GFile",
    "copy",
    "exists",
    "glob",
    "isdir",
    "listdir",
    "makedirs",
    "mkdir",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
]

_KINDS: dict[int, type[errors.OpError]] = {
    errno.ENOENT: errors.NotFoundError,
    errno.EEXIST: errors.AlreadyExistsError,
    errno.EACCES: errors.PermissionDeniedError,
    errno.EPERM: errors.PermissionDeniedError,
    errno.ENOSPC: errors.ResourceExhaustedError,
    errno.EISDIR: errors.FailedPreconditionError,
    errno.ENOTDIR: errors.FailedPreconditionError,
    errno.ENOTEMPTY: errors.FailedPreconditionError,
}


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A context whose OSErrors become errors of `tf.errors`."""
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, errors.UnknownError)
        raise kind(None, None, f"{os.fsdecode(error.filename or '')}: {error.strerror}") from None


def _path(name: Any) -> str:
    return os.fsdecode(name)


class GFile:
    """A file: `with tf.gfile.GFile(path) as file: file.read()`.

    It is opened when it is first read or written.

    Args:
      name: its path.
      mode: "r", "w" or "a", with "+" to do both, and with "b" for bytes instead of text.
    """

    def __init__(self, name: Any, mode: str = "r"):
        if mode.replace("b", "").replace("+", "") not in ("r", "w", "a"):
            raise errors.InvalidArgumentError(
                None, None, f"mode is {mode!r}; it is 'r', 'w' or 'a', with '+' and 'b' behind it or not"
            )
        self._name = name
        self._mode = mode
        self._file: Any = None

    @property
    def name(self) -> Any:
        """The path that it was made with."""
        return self._name

    @property
    def mode(self) -> str:
        """How it is opened."""
        return self._mode

    def _opened(self) -> Any:
        if self._file is None:
            encoding = None if "b" in self._mode else "utf-8"
            newline = None if "b" in self._mode else ""
            with _told():
                path = _path(self._name)
                self._file = open(path, self._mode, encoding=encoding, newline=newline)  # noqa: SIM115
        return self._file

    def _checked(self, what: str) -> Any:
        with_plus = "+" in self._mode
        if not with_plus and (what == "read") != self._mode.startswith("r"):
            raise errors.PermissionDeniedError(None, None, f"{self._name} is opened as {self._mode!r}")
        return self._opened()

    def size(self) -> int:
        """How many bytes it has."""
        return stat(self._name).length

    def read(self, n: int = -1) -> Any:
        """The next n characters or bytes, or all that are left."""
        with _told():
            return self._checked("read").read(n)

    def readline(self) -> Any:
        """The next line, with its end."""
        with _told():
            return self._checked("read").readline()

    def readlines(self) -> list[Any]:
        """All lines that are left."""
        with _told():
            return list(self._checked("read").readlines())

    def __iter__(self) -> GFile:
        return self

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def next(self) -> Any:
        """The next line; StopIteration at the end."""
        return self.__next__()

    def write(self, file_content: Any) -> None:
        """Writes text or bytes."""
        file = self._checked("write")
        if "b" in self._mode and isinstance(file_content, str):
            file_content = file_content.encode()
        elif "b" not in self._mode and isinstance(file_content, bytes):
            file_content = file_content.decode()
        with _told():
            file.write(file_content)

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Goes on from another place; `position` is another name of `offset`."""
        place = offset if position is None else position
        if place is None:
            raise TypeError("seek needs an offset")
        with _told():
            self._checked("read").seek(place, whence)

    def tell(self) -> int:
        """The place where it is."""
        return int(self._opened().tell())

    def seekable(self) -> bool:
        """True."""
        return True

    def flush(self) -> None:
        """Brings the file up to date."""
        if self._file is not None:
            with _told():
                self._file.flush()

    def close(self) -> None:
        """Writes what is left, and closes it. An empty file is made if nothing was written."""
        if self._file is None and self._mode[0] != "r":
            self._opened()
        if self._file is not None:
            with _told():
                self._file.close()
            self._file = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


class FileStatistics(NamedTuple):
    """What the system knows of a file.

    Attributes:
      length: how many bytes it has.
      mtime_nsec: when it was changed, in nanoseconds since 1970.
      is_directory: whether it is a folder.
    """

    length: int
    mtime_nsec: int
    is_directory: bool


def exists(path: Any) -> bool:
    """Whether there is such a file or folder."""
    return os.path.exists(_path(path))


def isdir(path: Any) -> bool:
    """Whether it is a folder."""
    return os.path.isdir(_path(path))


def stat(path: Any) -> FileStatistics:
    """What the system knows of a file or folder.

    Raises:
      errors.NotFoundError: if there is none.
    """
    with _told():
        found = os.stat(_path(path))
    return FileStatistics(found.st_size, found.st_mtime_ns, isdir(path))


def listdir(path: Any) -> list[str]:
    """The names of what is in a folder.

    Raises:
      errors.NotFoundError: if there is no such folder.
    """
    if not isdir(path):
        raise errors.NotFoundError(None, None, f"there is no folder {_path(path)}")
    with _told():
        return sorted(os.listdir(_path(path)))


def glob(pattern: Any) -> list[str]:
    """The paths that match a pattern, or one of a list of patterns."""
    patterns = pattern if isinstance(pattern, (list, tuple)) else [pattern]
    return [path for each in patterns for path in sorted(globs.glob(_path(each)))]


def mkdir(path: Any) -> None:
    """Makes a folder in one that there is.

    Raises:
      errors.AlreadyExistsError: if there is something of its name.
      errors.NotFoundError: if there is no folder to make it in.
    """
    with _told():
        os.mkdir(_path(path))


def makedirs(path: Any) -> None:
    """Makes a folder and those around it, as far as they do not exist."""
    with _told():
        os.makedirs(_path(path), exist_ok=True)


def remove(path: Any) -> None:
    """Removes a file.

    Raises:
      errors.NotFoundError: if there is none.
    """
    with _told():
        os.remove(_path(path))


def rmtree(path: Any) -> None:
    """Removes a folder with all that is in it.

    Raises:
      errors.NotFoundError: if there is none.
    """
    with _told():
        shutil.rmtree(_path(path))


def _check_free(path: Any, overwrite: bool) -> None:
    if not overwrite and exists(path):
        raise errors.AlreadyExistsError(None, None, f"{_path(path)} exists; say overwrite=True to replace it")


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copies a file.

    Raises:
      errors.AlreadyExistsError: if there is something at `dst` and it is not to be overwritten.
      errors.NotFoundError: if there is nothing at `src`.
    """
    _check_free(dst, overwrite)
    with _told():
        shutil.copyfile(_path(src), _path(dst))


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Gives a file or folder another path; raises as `copy` does."""
    _check_free(dst, overwrite)
    with _told():
        os.replace(_path(src), _path(dst))


def walk(top: Any, topdown: bool = True, onerror: Any = None) -> Iterator[tuple[str, list[str], list[str]]]:
    """A folder and those in it: `(path, names of folders, names of files)` of each.

    Args:
      top: where to begin.
      topdown: whether a folder comes before those in it.
      onerror: called with what went wrong; that is passed over if None.
    """
    for path, folders, files in os.walk(_path(top), topdown, onerror):
        folders.sort()
        yield path, folders, sorted(files)
