"""Event files: what TensorBoard reads."""

from __future__ import annotations

import os
import socket
import threading
import time
import warnings
import weakref
from typing import Any, ClassVar

from headrace import _core
from headrace.framework import errors, protos
from headrace.framework.graph import Graph, get_default_graph

__all__ = ["FileWriter", "FileWriterCache"]

_lock = threading.Lock()


def _new_path(logdir: str, suffix: str) -> str:
    """A file that is not there yet: names hold the second and the host, and a number if need be."""
    stem = os.path.join(logdir, f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}")
    number = 0
    while os.path.exists(path := stem + (f".{number}" if number else "") + suffix):
        number += 1
    return path


class FileWriter:
    """Writes summaries and events into a file of its own in a folder.

    A thread of the core writes; adding an event waits only if many are still to be written. A writer can be
    used from any thread, and as a context manager, which closes it.

    Args:
      logdir: the folder, made if it does not exist.
      graph: a `Graph` to write first, or None.
      max_queue: how many events may wait to be written, however large they are; small ones never make the
        program wait for the disk.
      flush_secs: accepted, and not needed: nothing waits longer than the disk does.
      graph_def: a `GraphDef` instead of `graph`.
      filename_suffix: of the file's name.
      session: not supported; must be None.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str],
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ):
        if session is not None:
            raise NotImplementedError("writing from within a session is not supported; leave session out")
        self._logdir = os.fspath(logdir)
        self._max_queue = int(max_queue or 0)
        self._suffix = filename_suffix or ""
        self._run_tags: set[str] = set()
        self._described: set[str] = set()  # tags whose metadata the file holds
        self._open()
        if graph is not None or graph_def is not None:
            self.add_graph(graph=graph, graph_def=graph_def)
            if graph is not None:
                meta = protos.MetaGraphDef()
                meta.graph_def.ParseFromString(_graph_bytes(graph))
                self.add_meta_graph(meta)

    def _open(self) -> None:
        os.makedirs(self._logdir, exist_ok=True)
        with _lock:
            self._path = _new_path(self._logdir, self._suffix)
            self._writer = _core.EventWriter(self._path, self._max_queue)
        # Also when the program ends without close().
        self._close = weakref.finalize(self, self._writer.close)
        try:
            self.add_event(protos.Event(wall_time=time.time(), file_version="brain.Event:2"))
            self._writer.flush()
        except errors.OpError:
            self._close.detach()  # it would say the same again
            raise

    def get_logdir(self) -> str:
        """The folder."""
        return self._logdir

    def add_event(self, event: Any) -> None:
        """Adds an `Event` message. A closed writer warns, and drops it.

        Raises:
          errors.OpError: if the file could not be written.
        """
        if not self._close.alive:
            warnings.warn(f"the writer of {self._path} is closed; the event is dropped", stacklevel=2)
            return
        self._writer.add(event.SerializeToString())

    def _add(self, step: Any, **what: Any) -> None:
        event = protos.Event(wall_time=time.time(), **what)
        if step is not None:
            event.step = int(step)
        self.add_event(event)

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Adds a summary.

        Args:
          summary: a `Summary` message, or its bytes, as running a summary gives.
          global_step: the step that it is of.
        """
        message = protos.Summary.FromString(
            summary if isinstance(summary, bytes) else summary.SerializeToString()
        )
        for value in message.value:
            if value.HasField("metadata"):
                # Once is enough in one file.
                if value.tag in self._described:
                    value.ClearField("metadata")
                self._described.add(value.tag)
        self._add(global_step, summary=message)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        """Adds a `SessionLog` message."""
        message = protos.SessionLog.FromString(session_log.SerializeToString())
        self._add(global_step, session_log=message)

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Adds a graph, for TensorBoard to draw.

        Args:
          graph: a `Graph`.
          global_step: the step that it is of.
          graph_def: a `GraphDef` instead of `graph`.

        Raises:
          ValueError: if both or none is given.
          TypeError: if it is no graph.
        """
        if (graph is None) == (graph_def is None):
            raise ValueError("give a graph or a graph_def, one of them")
        self._add(global_step, graph_def=_graph_bytes(graph if graph_def is None else graph_def))

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        """Adds a `MetaGraphDef` message.

        Raises:
          TypeError: if it is none.
        """
        if not hasattr(meta_graph_def, "meta_info_def"):
            raise TypeError(f"expected a MetaGraphDef, got {type(meta_graph_def).__name__}")
        self._add(global_step, meta_graph_def=meta_graph_def.SerializeToString())

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Adds what a step cost, for TensorBoard's graph.

        Args:
          run_metadata: a `RunMetadata` that `session.run` has filled.
          tag: its name, not used before.
          global_step: the step that it is of.

        Raises:
          ValueError: if the tag has been used.
        """
        if tag in self._run_tags:
            raise ValueError(f"there is a run '{tag}' already; give each a tag of its own")
        self._run_tags.add(tag)
        message = protos.TaggedRunMetadata(tag=tag, run_metadata=run_metadata.SerializeToString())
        self._add(global_step, tagged_run_metadata=message)

    def flush(self) -> None:
        """Returns when everything that was added is in the file."""
        if self._close.alive:
            self._writer.flush()

    def close(self) -> None:
        """Writes what is left, and closes the file. `reopen` makes a new one."""
        self._close()

    def reopen(self) -> None:
        """Goes on with a new file in the same folder, if the writer is closed."""
        if not self._close.alive:
            self._described.clear()
            self._open()

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()


def _graph_bytes(graph: Any) -> bytes:
    if isinstance(graph, Graph):
        return graph.as_graph_def(add_shapes=True).SerializeToString()
    if hasattr(graph, "SerializeToString"):
        return graph.SerializeToString()
    raise TypeError(f"expected a Graph or a GraphDef, got {type(graph).__name__}")


class FileWriterCache:
    """Writers by folder, one each."""

    _cache: ClassVar[dict[str, FileWriter]] = {}
    _lock = threading.Lock()

    @staticmethod
    def get(logdir: str) -> FileWriter:
        """The writer for a folder, with the default graph if it is new."""
        with FileWriterCache._lock:
            if logdir not in FileWriterCache._cache:
                FileWriterCache._cache[logdir] = FileWriter(logdir, graph=get_default_graph())
            return FileWriterCache._cache[logdir]

    @staticmethod
    def clear() -> None:
        """Closes all writers and forgets them."""
        with FileWriterCache._lock:
            for writer in FileWriterCache._cache.values():
                writer.close()
            FileWriterCache._cache.clear()
