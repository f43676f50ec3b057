"""A supervisor: one object that initialises or restores, saves and writes summaries in the background."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from headrace.framework import protos
from headrace.framework.graph import Graph, GraphKeys, add_to_collection, get_collection, get_default_graph
from headrace.framework.session import Session
from headrace.ops import variables
from headrace.ops.summary import merge_all
from headrace.summary.writer import FileWriter
from headrace.train.checkpoint_state import write_whole
from headrace.train.coordinator import Coordinator, LooperThread
from headrace.train.global_step import get_global_step
from headrace.train.monitored_session import Scaffold
from headrace.train.queue_runner import start_queue_runners
from headrace.train.saver import Saver
from headrace.train.session_manager import SessionManager

__all__ = ["Supervisor"]


class _Default:
    """Stands for what is made if nothing is given; None means that there is to be none."""

    def __repr__(self) -> str:
        return "Supervisor.USE_DEFAULT"


_DEFAULT: Any = _Default()


class Supervisor:
    """Initialises or restores a model, and saves it and its summaries while it is trained.

        supervisor = tf.train.Supervisor(logdir="/tmp/model")
        with supervisor.managed_session() as session:
            while not supervisor.should_stop():
                session.run(train_op)

    `MonitoredTrainingSession` is what newer programs use.

    Args:
      graph: the graph; the default one if None.
      ready_op: gives the names of variables without values.
      ready_for_local_init_op: the same, of those that `local_init_op` needs.
      is_chief: the chief initialises and saves; others wait for it.
      init_op: initialises variables.
      init_feed_dict: what is fed to it.
      local_init_op: initialises what is not in checkpoints.
      logdir: for checkpoints and summaries; None for neither.
      summary_op: merges all summaries; None if the caller computes them.
      saver: saves and restores; None for no checkpoints.
      global_step: counts steps; None for none.
      save_summaries_secs: seconds between two summaries; 0 for none.
      save_model_secs: seconds between two checkpoints; 0 for none.
      recovery_wait_secs: how long to wait between two looks whether the chief is done.
      stop_grace_secs: how long threads have to end.
      checkpoint_basename: what the names of checkpoints begin with.
      session_manager: makes the session.
      summary_writer: writes summaries; None for none.
      init_fn: called with the session after `init_op`.
      local_init_run_options: a `RunOptions` for `local_init_op`.
    """

    USE_DEFAULT = _DEFAULT

    def __init__(
        self,
        graph: Graph | None = None,
        ready_op: Any = _DEFAULT,
        ready_for_local_init_op: Any = _DEFAULT,
        is_chief: bool = True,
        init_op: Any = _DEFAULT,
        init_feed_dict: Any = None,
        local_init_op: Any = _DEFAULT,
        logdir: str | None = None,
        summary_op: Any = _DEFAULT,
        saver: Any = _DEFAULT,
        global_step: Any = _DEFAULT,
        save_summaries_secs: float = 120,
        save_model_secs: float = 600,
        recovery_wait_secs: float = 30,
        stop_grace_secs: float = 120,
        checkpoint_basename: str = "model.ckpt",
        session_manager: SessionManager | None = None,
        summary_writer: Any = _DEFAULT,
        init_fn: Callable[[Any], Any] | None = None,
        local_init_run_options: Any = None,
    ):
        self._graph = get_default_graph() if graph is None else graph
        self._is_chief = is_chief
        self._logdir = logdir
        self._init_feed_dict = init_feed_dict
        self._init_fn = init_fn
        self._save_summaries_secs = save_summaries_secs
        self._save_model_secs = save_model_secs
        self._grace = stop_grace_secs
        self._save_path = os.path.join(logdir, checkpoint_basename) if logdir else None
        self.coord = Coordinator()
        with self._graph.as_default():
            self.ready_op = _either(ready_op, GraphKeys.READY_OP, variables.report_uninitialized_variables)
            self.ready_for_local_init_op = _either(
                ready_for_local_init_op,
                GraphKeys.READY_FOR_LOCAL_INIT_OP,
                lambda: variables.report_uninitialized_variables(variables.global_variables()),
            )
            self.init_op = _either(init_op, GraphKeys.INIT_OP, variables.global_variables_initializer)
            self.local_init_op = _either(
                local_init_op, GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op
            )
            self.summary_op = _either(summary_op, GraphKeys.SUMMARY_OP, merge_all)
            self.saver = _either(saver, GraphKeys.SAVERS, lambda: Saver(allow_empty=True))
            self.global_step: Any = get_global_step() if global_step is _DEFAULT else global_step
            self.session_manager = session_manager or SessionManager(
                local_init_op=self.local_init_op,
                ready_op=self.ready_op,
                ready_for_local_init_op=self.ready_for_local_init_op,
                graph=self._graph,
                recovery_wait_secs=recovery_wait_secs,
                local_init_run_options=local_init_run_options,
            )
        if self.saver is not None:
            with self._graph.as_default():
                self.saver.build()
        self.summary_writer = summary_writer
        if summary_writer is _DEFAULT:
            self.summary_writer = FileWriter(logdir) if logdir and is_chief else None
        self._graph.finalize()

    @property
    def is_chief(self) -> bool:
        """Whether this is the chief."""
        return self._is_chief

    @property
    def save_path(self) -> str | None:
        """What the paths of checkpoints begin with, or None."""
        return self._save_path

    @property
    def save_model_secs(self) -> float:
        """Seconds between two checkpoints."""
        return self._save_model_secs

    @property
    def save_summaries_secs(self) -> float:
        """Seconds between two summaries."""
        return self._save_summaries_secs

    # ---- the session

    def prepare_or_wait_for_session(
        self,
        master: str = "",
        config: Any = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        start_standard_services: bool = True,
    ) -> Session:
        """A session that is ready: the chief initialises or restores, others wait.

        Args:
          master: the target of the session.
          config: a `ConfigProto`.
          wait_for_checkpoint: whether a chief waits until there is a checkpoint.
          max_wait_secs: how long to wait.
          start_standard_services: whether to start what saves in the background.
        """
        self.coord.clear_stop()
        with self._graph.as_default():
            if self._is_chief:
                session = self.session_manager.prepare_session(
                    master,
                    init_op=self.init_op,
                    saver=self.saver,
                    checkpoint_dir=self._logdir,
                    wait_for_checkpoint=wait_for_checkpoint,
                    max_wait_secs=max_wait_secs,
                    config=config,
                    init_feed_dict=self._init_feed_dict,
                    init_fn=self._init_fn,
                )
                self._write_graph()
                if start_standard_services:
                    self.start_standard_services(session)
            else:
                session = self.session_manager.wait_for_session(master, config, max_wait_secs)
        if start_standard_services:
            self.start_queue_runners(session)
        return session

    def _write_graph(self) -> None:
        if not self._logdir:
            return
        os.makedirs(self._logdir, exist_ok=True)
        write_whole(os.path.join(self._logdir, "graph.pbtxt"), str(self._graph.as_graph_def()).encode())
        if self.summary_writer is not None:
            self.summary_writer.add_graph(self._graph)

    @contextlib.contextmanager
    def managed_session(
        self,
        master: str = "",
        config: Any = None,
        start_standard_services: bool = True,
        close_summary_writer: bool = True,
    ) -> Iterator[Session]:
        """A context with a session, which ends everything at its end. The end of the data is a clean end.

        Args:
          master: the target of the session.
          config: a `ConfigProto`.
          start_standard_services: whether to start what saves in the background.
          close_summary_writer: whether to close the writer in the end.
        """
        session = self.prepare_or_wait_for_session(
            master, config, start_standard_services=start_standard_services
        )
        try:
            with session.as_default(), self._graph.as_default():
                yield session
        except Exception as error:
            self.request_stop(error)
        try:
            self.stop(close_summary_writer=close_summary_writer)
        finally:
            session.close()

    # ---- what runs in the background

    def start_standard_services(self, sess: Session) -> list[LooperThread]:
        """Starts what saves checkpoints and summaries, and counts steps a second.

        Args:
          sess: the session.

        Raises:
          RuntimeError: if this is not the chief.
        """
        if not self._is_chief:
            raise RuntimeError("only the chief saves; make the supervisor with is_chief=True")
        threads = []
        if self._logdir and self.summary_writer is not None and self._save_summaries_secs:
            if self.summary_op is not None:
                threads.append(self._looper(self._save_summaries_secs, self._write_summary, sess))
            if self.global_step is not None:
                self._counted: tuple[float, int] | None = None
                threads.append(self._looper(self._save_summaries_secs, self._count_steps, sess))
        if self.saver is not None and self._save_path and self._save_model_secs:
            threads.append(self._looper(self._save_model_secs, self._save, sess))
        return threads

    def _looper(self, seconds: float, target: Callable[[Session], Any], session: Session) -> LooperThread:
        return self.loop(seconds, target, (session,))

    def _save(self, session: Session) -> None:
        step = None if self.global_step is None else int(session.run(self.global_step))
        self.saver.save(session, self._save_path, global_step=step)

    def _write_summary(self, session: Session) -> None:
        if self.global_step is None:
            self.summary_computed(session, session.run(self.summary_op))
        else:
            summary, step = session.run([self.summary_op, self.global_step])
            self.summary_computed(session, summary, int(step))

    def _count_steps(self, session: Session) -> None:
        now, step = time.monotonic(), int(session.run(self.global_step))
        if self._counted is not None:
            then, before = self._counted
            rate = (step - before) / max(now - then, 1e-9)
            tag = f"{self.global_step.op.name}/sec"
            self.summary_writer.add_summary(
                protos.Summary(value=[protos.Summary.Value(tag=tag, simple_value=rate)]), step
            )
        self._counted = now, step

    def summary_computed(self, sess: Session, summary: Any, global_step: int | None = None) -> None:
        """Writes a summary.

        Args:
          sess: the session.
          summary: what the summary operation gave.
          global_step: of which step; now's if None.

        Raises:
          RuntimeError: if there is no writer.
        """
        if self.summary_writer is None:
            raise RuntimeError("there is no summary writer; give the supervisor a logdir or a summary_writer")
        if global_step is None and self.global_step is not None:
            global_step = int(sess.run(self.global_step))
        self.summary_writer.add_summary(summary, global_step)

    def start_queue_runners(self, sess: Session, queue_runners: Sequence[Any] | None = None) -> list[Any]:
        """Starts queue runners: those given, or all of the graph."""
        if queue_runners is None:
            return start_queue_runners(sess=sess, coord=self.coord)
        return [
            thread
            for runner in queue_runners
            for thread in runner.create_threads(sess, coord=self.coord, daemon=True, start=True)
        ]

    def loop(
        self,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Any = None,
    ) -> LooperThread:
        """Starts a thread that calls a function again and again until the end.

        Args:
          timer_interval_secs: seconds between two calls; None for no wait.
          target: the function.
          args: its arguments.
          kwargs: its keyword arguments.
        """
        looper = LooperThread(self.coord, timer_interval_secs, target=target, args=args, kwargs=kwargs)
        looper.start()
        return looper

    # ---- the end

    def should_stop(self) -> bool:
        """Whether no step should follow."""
        return self.coord.should_stop()

    def request_stop(self, ex: Any = None) -> None:
        """Asks for the end; `ex` is the reason, if it is an error."""
        self.coord.request_stop(ex)

    def stop_on_exception(self) -> Any:
        """A context that asks for the end if an error leaves it."""
        return self.coord.stop_on_exception()

    def wait_for_stop(self) -> None:
        """Waits until somebody asks for the end."""
        self.coord.wait_for_stop()

    def stop(
        self,
        threads: Sequence[Any] | None = None,
        close_summary_writer: bool = True,
        ignore_live_threads: bool = False,
    ) -> None:
        """Ends the threads, and raises what one of them failed with.

        Args:
          threads: those to wait for besides the supervisor's own.
          close_summary_writer: whether to close the writer.
          ignore_live_threads: whether threads that go on are no error.
        """
        self.coord.request_stop()
        try:
            self.coord.join(
                threads, stop_grace_period_secs=self._grace, ignore_live_threads=ignore_live_threads
            )
        finally:
            if close_summary_writer and self.summary_writer is not None:
                self.summary_writer.close()


def _either(given: Any, collection: str, make: Callable[[], Any]) -> Any:
    """What is given, or the first of a collection, or what is made then and put there."""
    if given is not _DEFAULT:
        return given
    found = get_collection(collection)
    if found:
        return found[0]
    made = make()
    if made is not None:
        add_to_collection(collection, made)
    return made
