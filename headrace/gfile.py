"""Files and folders: public names, those of `tf.gfile` and of `tf.io.gfile`."""

from collections.abc import Iterator
from typing import Any

from headrace.framework.file_io import (
    GFile,
    copy,
    exists,
    glob,
    isdir,
    listdir,
    makedirs,
    mkdir,
    remove,
    rename,
    rmtree,
    stat,
    walk,
)
from headrace.framework.file_io import copy as Copy
from headrace.framework.file_io import exists as Exists
from headrace.framework.file_io import glob as Glob
from headrace.framework.file_io import isdir as IsDirectory
from headrace.framework.file_io import listdir as ListDirectory
from headrace.framework.file_io import makedirs as MakeDirs
from headrace.framework.file_io import mkdir as MkDir
from headrace.framework.file_io import remove as Remove
from headrace.framework.file_io import rename as Rename
from headrace.framework.file_io import rmtree as DeleteRecursively
from headrace.framework.file_io import stat as Stat

Open = FastGFile = GFile


def Walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """The same as `walk`."""
    return walk(top, in_order)
