"""Which checkpoints there are: the file "checkpoint" beside them."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Iterable
from typing import Any

from headrace.framework import errors, protos

__all__ = [
    "checkpoint_exists",
    "generate_checkpoint_state_proto",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "latest_checkpoint",
    "remove_checkpoint",
    "update_checkpoint_state",
]

_LOG = logging.getLogger("headrace")


def generate_checkpoint_state_proto(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Iterable[str] | None = None,
    all_model_checkpoint_timestamps: Iterable[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> Any:
    """Returns a `CheckpointState` message.

    Args:
        save_dir: The folder that it is for. If that is a relative path, relative paths of checkpoints are
            made relative to it.
        model_checkpoint_path: The newest checkpoint.
        all_model_checkpoint_paths: All that are there, the newest last; by default only that one.
        all_model_checkpoint_timestamps: When each of them was saved.
        last_preserved_timestamp: When the last one was saved that is kept for good.

    Raises:
        ValueError: If there are not as many timestamps as paths.
    """
    paths = list(all_model_checkpoint_paths or ())
    if not paths or paths[-1] != model_checkpoint_path:
        paths.append(model_checkpoint_path)
    times = list(all_model_checkpoint_timestamps or ())
    if times and len(times) != len(paths):
        raise ValueError(f"there are {len(times)} timestamps for {len(paths)} checkpoints; give as many")

    def placed(path: str) -> str:
        keep = os.path.isabs(save_dir) or os.path.isabs(path)
        return path if keep else os.path.relpath(path, save_dir or ".")

    return protos.CheckpointState(
        model_checkpoint_path=placed(model_checkpoint_path),
        all_model_checkpoint_paths=[placed(path) for path in paths],
        all_model_checkpoint_timestamps=times,
        last_preserved_timestamp=last_preserved_timestamp or 0.0,
    )


def update_checkpoint_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_model_checkpoint_paths: Iterable[str] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Iterable[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:
    """Writes the file that says which checkpoints a folder has; it is replaced at once or not at all.

    The arguments are those of `generate_checkpoint_state_proto`, and `latest_filename`, the name of the
    file: "checkpoint" by default.
    """
    _write_state(
        save_dir,
        model_checkpoint_path,
        all_model_checkpoint_paths,
        latest_filename,
        all_model_checkpoint_timestamps,
        last_preserved_timestamp,
    )


def _write_state(
    save_dir: str,
    model_checkpoint_path: str,
    all_paths: Iterable[str] | None = None,
    latest_filename: str | None = None,
    timestamps: Iterable[float] | None = None,
    last_preserved: float | None = None,
    relative: bool = False,
) -> None:
    from google.protobuf import text_format

    file = _state_file(save_dir, latest_filename)
    if os.path.abspath(file) == os.path.abspath(model_checkpoint_path):
        raise RuntimeError(f"the checkpoint '{file}' has the name of the file about checkpoints; rename one")
    paths = list(all_paths or ())
    if relative:
        model_checkpoint_path = os.path.relpath(model_checkpoint_path, save_dir or ".")
        paths = [os.path.relpath(path, save_dir or ".") for path in paths]
        save_dir = os.path.abspath(save_dir)
    state = generate_checkpoint_state_proto(
        save_dir, model_checkpoint_path, paths, timestamps, last_preserved
    )
    write_whole(file, text_format.MessageToString(state).encode())


def write_whole(path: str, data: bytes) -> None:
    """Writes a file under another name first, so that it is there all at once or not at all."""
    folder = os.path.dirname(path)
    if folder and not os.path.isdir(folder):
        raise errors.NotFoundError(None, None, f"cannot write '{path}': there is no folder '{folder}'")
    temporary = f"{path}.tmp{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _state_file(folder: str, latest_filename: str | None) -> str:
    return os.path.join(folder, latest_filename or "checkpoint")


def get_checkpoint_state(checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None) -> Any:
    """Returns the `CheckpointState` of a folder with usable paths, or None if it has none.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Name of the file that says it; "checkpoint" by default.
    """
    from google.protobuf import text_format

    folder = os.fspath(checkpoint_dir)
    file = _state_file(folder, latest_filename)
    try:
        with open(file, encoding="utf-8") as text:
            state = text_format.Parse(text.read(), protos.CheckpointState())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        _LOG.warning("cannot read %s: %s", file, error)
        return None
    if not state.model_checkpoint_path:
        _LOG.warning("%s names no checkpoint", file)
        return None
    state.model_checkpoint_path = os.path.join(folder, state.model_checkpoint_path)
    paths = [os.path.join(folder, path) for path in state.all_model_checkpoint_paths]
    del state.all_model_checkpoint_paths[:]
    state.all_model_checkpoint_paths.extend(paths)
    return state


def latest_checkpoint(
    checkpoint_dir: str | os.PathLike[str], latest_filename: str | None = None
) -> str | None:
    """Returns the path of the newest checkpoint of a folder, or None if there is none.

    Args:
        checkpoint_dir: The folder.
        latest_filename: Name of the file that says it; "checkpoint" by default.
    """
    state = get_checkpoint_state(checkpoint_dir, latest_filename)
    if state is None or not checkpoint_exists(state.model_checkpoint_path):
        return None
    return str(state.model_checkpoint_path)


def _main_files(prefix: str) -> list[str]:
    """The file that makes a checkpoint one: its index, or in the older format the files themselves."""
    found = [path for path in (prefix + ".index", prefix) if os.path.isfile(path)]
    if found:
        return found
    # Where there are several, that is a pattern.
    pattern = re.search(r"-\?{5}-of-\d{5}$", prefix)
    stem, ending = (prefix[: pattern.start()], pattern[0]) if pattern else (prefix, "-?????-of-?????")
    return glob.glob(glob.escape(stem) + ending)


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Returns whether there is a checkpoint of this path, in either format."""
    return bool(_main_files(os.fspath(checkpoint_prefix)))


def get_checkpoint_mtimes(checkpoint_prefixes: Iterable[str]) -> list[float]:
    """Returns when checkpoints were saved, in seconds since 1970, leaving out those that are not there."""
    return [max(map(os.path.getmtime, files)) for files in map(_main_files, checkpoint_prefixes) if files]


def remove_checkpoint(
    checkpoint_prefix: str, checkpoint_format_version: int = 2, meta_graph_suffix: str = "meta"
) -> None:
    """Removes the files of a checkpoint, if they are there.

    Args:
        checkpoint_prefix: What it was saved as.
        checkpoint_format_version: 2, or 1 for the older format.
        meta_graph_suffix: Ending of the name of the file with its graph.
    """
    safe = glob.escape(checkpoint_prefix)
    doomed = [meta_graph_filename(checkpoint_prefix, meta_graph_suffix)]
    if checkpoint_format_version == 2:
        # The index first: without it, the rest is no checkpoint.
        doomed = [checkpoint_prefix + ".index", *glob.glob(safe + ".data-?????-of-?????"), *doomed]
    else:
        doomed = [checkpoint_prefix, *glob.glob(safe + "-?????-of-?????"), *doomed]
    for path in doomed:
        if os.path.isfile(path):
            os.unlink(path)


def meta_graph_filename(checkpoint_filename: str, meta_graph_suffix: str = "meta") -> str:
    """The name of the file with the graph of a checkpoint."""
    return re.sub(r"-[\d?]+-of-\d+$", "", checkpoint_filename) + "." + meta_graph_suffix
