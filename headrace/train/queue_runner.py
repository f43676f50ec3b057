"""Threads that fill queues."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from typing import Any

from headrace.framework import errors, protos
from headrace.framework.graph import (
    GraphKeys,
    Operation,
    add_to_collection,
    get_collection,
    get_default_graph,
    get_default_session,
)
from headrace.train.coordinator import Coordinator

__all__ = ["QueueRunner", "add_queue_runner", "start_queue_runners"]


class QueueRunner:
    """Runs operations that put elements into a queue, each in a thread of its own, until the data end.

    Args:
      queue: a queue.
      enqueue_ops: operations, one for each thread; the same one may be given several times.
      close_op: what closes the queue once no thread runs any more; `queue.close()` by default.
      cancel_op: what closes it and cancels those that wait, when a coordinator stops; by default
        `queue.close(cancel_pending_enqueues=True)`.
      queue_closed_exception_types: errors of `enqueue_ops` that only mean the end of the data;
        `(tf.errors.OutOfRangeError,)` by default.

    Raises:
      ValueError: if the queue or the operations are missing.
      TypeError: if the error types are no tuple of exceptions.
    """

    def __init__(
        self,
        queue: Any = None,
        enqueue_ops: Sequence[Operation] | None = None,
        close_op: Operation | None = None,
        cancel_op: Operation | None = None,
        queue_closed_exception_types: tuple[type[BaseException], ...] | None = None,
    ):
        if queue is None or not enqueue_ops:
            raise ValueError("a QueueRunner needs a queue and operations that put elements into it")
        if queue_closed_exception_types is None:
            queue_closed_exception_types = (errors.OutOfRangeError,)
        if not (
            isinstance(queue_closed_exception_types, tuple)
            and queue_closed_exception_types
            and all(
                isinstance(one, type) and issubclass(one, Exception) for one in queue_closed_exception_types
            )
        ):
            raise TypeError(
                "queue_closed_exception_types must be a tuple of exceptions, "
                f"got {queue_closed_exception_types!r}"
            )
        self._queue = queue
        self._enqueue_ops = list(enqueue_ops)
        self._close_op = queue.close() if close_op is None else close_op
        self._cancel_op = queue.close(cancel_pending_enqueues=True) if cancel_op is None else cancel_op
        self._closed_by = queue_closed_exception_types
        self._lock = threading.Lock()
        self._running: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()  # by session
        self._raised: list[BaseException] = []

    def to_proto(self, export_scope: str | None = None) -> Any:
        """Returns the runner as a `QueueRunnerDef`, or None if its queue is not within `export_scope`."""
        scope = f"{export_scope.rstrip('/')}/" if export_scope else ""
        if not self.name.startswith(scope):
            return None
        return protos.QueueRunnerDef(
            queue_name=self.name.removeprefix(scope),
            enqueue_op_name=[op.name.removeprefix(scope) for op in self._enqueue_ops],
            close_op_name=self._close_op.name.removeprefix(scope),
            cancel_op_name=self._cancel_op.name.removeprefix(scope),
            queue_closed_exception_types=[
                errors.error_code_from_exception_type(kind)
                for kind in self._closed_by
                if issubclass(kind, errors.OpError)
            ],
        )

    @staticmethod
    def from_proto(queue_runner_def: Any, import_scope: str | None = None) -> QueueRunner:
        """Returns the runner that a `QueueRunnerDef` describes; its operations are in the default graph."""
        graph = get_default_graph()

        def find(name: str) -> Any:
            return graph.as_graph_element(f"{import_scope}/{name}" if import_scope else name)

        codes = queue_runner_def.queue_closed_exception_types
        return QueueRunner(
            queue=find(queue_runner_def.queue_name),
            enqueue_ops=[find(name) for name in queue_runner_def.enqueue_op_name],
            close_op=find(queue_runner_def.close_op_name),
            cancel_op=find(queue_runner_def.cancel_op_name),
            queue_closed_exception_types=tuple(map(errors.exception_type_from_error_code, codes)) or None,
        )

    @property
    def queue(self) -> Any:
        """The queue."""
        return self._queue

    @property
    def enqueue_ops(self) -> list[Operation]:
        """What the threads run."""
        return self._enqueue_ops

    @property
    def close_op(self) -> Operation:
        """What closes the queue."""
        return self._close_op

    @property
    def cancel_op(self) -> Operation:
        """What closes the queue and cancels those that wait."""
        return self._cancel_op

    @property
    def queue_closed_exception_types(self) -> tuple[type[BaseException], ...]:
        """Errors that only mean the end of the data."""
        return self._closed_by

    @property
    def exceptions_raised(self) -> list[BaseException]:
        """What the threads failed with where there was no coordinator to tell."""
        return self._raised

    @property
    def name(self) -> str:
        """The name of the queue."""
        return self._queue.name

    def create_threads(
        self, sess: Any, coord: Coordinator | None = None, daemon: bool = False, start: bool = False
    ) -> list[threading.Thread]:
        """Makes the threads, none if those of an earlier call still run in this session.

        Args:
          sess: the session to run in.
          coord: stops the threads, and is told their errors.
          daemon: whether the program may end while they run.
          start: whether to start them.
        """
        with self._lock:
            if self._running.get(sess, 0) > 0:
                return []
            self._running[sess] = len(self._enqueue_ops)
            self._raised = []
        threads = [
            threading.Thread(target=self._fill, args=(sess, op, coord), name=f"{self.name}-{op.name}")
            for op in self._enqueue_ops
        ]
        if coord is not None:
            threads.append(
                threading.Thread(target=self._cancel_on_stop, args=(sess, coord), name=f"{self.name}-cancel")
            )
        for thread in threads:
            if coord is not None:
                coord.register_thread(thread)
            thread.daemon = daemon
            if start:
                thread.start()
        return threads

    def _fill(self, sess: Any, enqueue_op: Operation, coord: Coordinator | None) -> None:
        ended = False
        try:
            enqueue = sess.make_callable(enqueue_op) if hasattr(sess, "make_callable") else None
            while coord is None or not coord.should_stop():
                try:
                    enqueue() if enqueue is not None else sess.run(enqueue_op)
                except self._closed_by:
                    ended = True
                    # The last one out closes the queue.
                    if self._leave(sess) == 0:
                        self._run_quietly(sess, self._close_op)
                    return
        except Exception as error:
            if coord is not None:
                coord.request_stop(error)
            else:
                logging.getLogger(__name__).error("%s stopped: %s", self.name, error)
                with self._lock:
                    self._raised.append(error)
                raise
        finally:
            if not ended:
                self._leave(sess)

    def _leave(self, sess: Any) -> int:
        """Counts one thread less; how many are left."""
        with self._lock:
            self._running[sess] -= 1
            return self._running[sess]

    def _cancel_on_stop(self, sess: Any, coord: Coordinator) -> None:
        coord.wait_for_stop()
        self._run_quietly(sess, self._cancel_op)

    def _run_quietly(self, sess: Any, op: Operation) -> None:
        """Runs what closes a queue: closed twice, or in a closed session, is closed all the same."""
        try:
            sess.run(op)
        except Exception as error:
            logging.getLogger(__name__).debug("closing %s: %s", self.name, error)


def add_queue_runner(qr: QueueRunner, collection: str = GraphKeys.QUEUE_RUNNERS) -> None:
    """Adds a runner to those that `start_queue_runners` starts."""
    add_to_collection(collection, qr)


def start_queue_runners(
    sess: Any = None,
    coord: Coordinator | None = None,
    daemon: bool = True,
    start: bool = True,
    collection: str = GraphKeys.QUEUE_RUNNERS,
) -> list[threading.Thread]:
    """Starts all queue runners of a session's graph.

    Args:
      sess: the default session if None.
      coord: stops the threads, and is told their errors.
      daemon: whether the program may end while they run.
      start: False only makes the threads.
      collection: where the runners are.

    Returns:
      The threads.

    Raises:
      ValueError: if there is no session.
      TypeError: if `sess` is no session.
    """
    if sess is None:
        sess = get_default_session()
        if sess is None:
            raise ValueError("there is no default session; give one, or call this inside `with session:`")
    if not hasattr(sess, "run") or not hasattr(sess, "graph"):
        raise TypeError(f"sess must be a session, got {sess!r}")
    with sess.graph.as_default():
        return [
            thread
            for runner in get_collection(collection)
            for thread in runner.create_threads(sess, coord=coord, daemon=daemon, start=start)
        ]
