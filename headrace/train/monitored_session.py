"""Monitored sessions: they initialise or restore, call hooks around each step, and begin anew when lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from headrace.framework import errors, protos
from headrace.framework.fetches import expand_feeds
from headrace.framework.graph import (
    Graph,
    GraphKeys,
    add_to_collection,
    get_collection,
    get_default_graph,
)
from headrace.framework.session import Session
from headrace.ops import control_flow, table, variables
from headrace.ops.summary import merge_all
from headrace.train.coordinator import Coordinator
from headrace.train.hooks import CheckpointSaverHook, StepCounterHook, SummarySaverHook
from headrace.train.queue_runner import start_queue_runners
from headrace.train.saver import Saver
from headrace.train.session_manager import SessionManager
from headrace.train.session_run_hook import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

__all__ = [
    "ChiefSessionCreator",
    "MonitoredSession",
    "MonitoredTrainingSession",
    "Scaffold",
    "SessionCreator",
    "SingularMonitoredSession",
    "WorkerSessionCreator",
]

_log = logging.getLogger(__name__)

# A process that was taken away; a new session may do better.
_PREEMPTED = (errors.AbortedError, errors.UnavailableError)


class Scaffold:
    """The parts of a graph that training needs, made where they are missing.

    Args:
      init_op: initialises variables; all global ones if None.
      init_feed_dict: what is fed to it.
      init_fn: called with the scaffold and the session after `init_op`.
      ready_op: gives the names of variables without values.
      ready_for_local_init_op: the same, of those that `local_init_op` needs.
      local_init_op: initialises what is not in checkpoints: local variables and tables.
      summary_op: merges all summaries.
      saver: saves and restores.
      copy_from_scaffold: a scaffold whose parts are used where none is given.
    """

    def __init__(
        self,
        init_op: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[[Scaffold, Any], Any] | None = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        local_init_op: Any = None,
        summary_op: Any = None,
        saver: Any = None,
        copy_from_scaffold: Scaffold | None = None,
    ):
        given = copy_from_scaffold
        if given is not None and not isinstance(given, Scaffold):
            raise TypeError(f"copy_from_scaffold must be a Scaffold, got {given!r}")

        def either(value: Any, name: str) -> Any:
            return value if value is not None or given is None else getattr(given, name)

        self._init_op = either(init_op, "_init_op")
        self._init_feed_dict = either(init_feed_dict, "_init_feed_dict")
        self._user_init_fn = either(init_fn, "_user_init_fn")
        self._ready_op = either(ready_op, "_ready_op")
        self._ready_for_local_init_op = either(ready_for_local_init_op, "_ready_for_local_init_op")
        self._local_init_op = either(local_init_op, "_local_init_op")
        self._summary_op = either(summary_op, "_summary_op")
        self._saver = either(saver, "_saver")

    def finalize(self) -> Scaffold:
        """Makes what is missing, and closes the graph: nothing can be added to it any more."""
        if self._init_op is None:
            self._init_op = self.get_or_default(
                "init_op", GraphKeys.INIT_OP, variables.global_variables_initializer
            )
        if self._ready_op is None:
            self._ready_op = self.get_or_default(
                "ready_op", GraphKeys.READY_OP, variables.report_uninitialized_variables
            )
        if self._ready_for_local_init_op is None:
            self._ready_for_local_init_op = self.get_or_default(
                "ready_for_local_init_op",
                GraphKeys.READY_FOR_LOCAL_INIT_OP,
                lambda: variables.report_uninitialized_variables(variables.global_variables()),
            )
        if self._local_init_op is None:
            self._local_init_op = self.get_or_default(
                "local_init_op", GraphKeys.LOCAL_INIT_OP, Scaffold.default_local_init_op
            )
        if self._summary_op is None:
            self._summary_op = self.get_or_default("summary_op", GraphKeys.SUMMARY_OP, merge_all)
        if self._saver is None:
            self._saver = self.get_or_default("saver", GraphKeys.SAVERS, lambda: Saver(allow_empty=True))
        self._saver.build()
        get_default_graph().finalize()
        return self

    @property
    def init_op(self) -> Any:
        """Initialises variables."""
        return self._init_op

    @property
    def init_feed_dict(self) -> Any:
        """What is fed to `init_op`."""
        return self._init_feed_dict

    @property
    def init_fn(self) -> Callable[[Any], Any] | None:
        """Called with a session after `init_op`, or None."""
        init_fn = self._user_init_fn
        return None if init_fn is None else (lambda session: init_fn(self, session))

    @property
    def ready_op(self) -> Any:
        """Gives the names of variables without values."""
        return self._ready_op

    @property
    def ready_for_local_init_op(self) -> Any:
        """Gives the names of variables without values that `local_init_op` needs."""
        return self._ready_for_local_init_op

    @property
    def local_init_op(self) -> Any:
        """Initialises what is not in checkpoints."""
        return self._local_init_op

    @property
    def summary_op(self) -> Any:
        """Merges all summaries."""
        return self._summary_op

    @property
    def saver(self) -> Any:
        """Saves and restores."""
        return self._saver

    @staticmethod
    def get_or_default(arg_name: str, collection_key: str, default_constructor: Callable[[], Any]) -> Any:
        """What is in a collection; what the constructor makes, put there, if it is empty.

        Raises:
          RuntimeError: if there are several.
        """
        found = get_collection(collection_key)
        if len(found) > 1:
            raise RuntimeError(
                f"the collection '{collection_key}' has {len(found)} entries; give the scaffold {arg_name}"
            )
        if found:
            return found[0]
        made = default_constructor()
        if made is not None:
            add_to_collection(collection_key, made)
        return made

    @staticmethod
    def default_local_init_op() -> Any:
        """Initialises local variables and tables."""
        return control_flow.group(variables.local_variables_initializer(), table.tables_initializer())


class SessionCreator:
    """Makes sessions for `MonitoredSession`."""

    def create_session(self) -> Session:
        """A new session that is ready to train."""
        raise NotImplementedError


class ChiefSessionCreator(SessionCreator):
    """Makes sessions that initialise the variables, or restore them.

    Args:
      scaffold: the parts; default ones if None.
      master: the target of the session.
      config: a `ConfigProto`.
      checkpoint_dir: where the newest checkpoint is looked for.
      checkpoint_filename_with_path: the very checkpoint.
    """

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
    ):
        self._scaffold = scaffold or Scaffold()
        self._master = master
        self._config = config
        self._folder = checkpoint_dir
        self._path = checkpoint_filename_with_path

    def create_session(self) -> Session:
        """A new session whose variables have values."""
        scaffold = self._scaffold.finalize()
        return _manager(scaffold).prepare_session(
            self._master,
            saver=scaffold.saver,
            checkpoint_dir=self._folder,
            checkpoint_filename_with_path=self._path,
            config=self._config,
            init_op=scaffold.init_op,
            init_feed_dict=scaffold.init_feed_dict,
            init_fn=scaffold.init_fn,
        )


class WorkerSessionCreator(SessionCreator):
    """Makes sessions that wait until a chief has given the variables values.

    Args:
      scaffold: the parts; default ones if None.
      master: the target of the session.
      config: a `ConfigProto`.
      max_wait_secs: how long to wait.
    """

    def __init__(
        self,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        max_wait_secs: float = 30 * 60,
    ):
        self._scaffold = scaffold or Scaffold()
        self._master = master
        self._config = config
        self._max_wait_secs = max_wait_secs

    def create_session(self) -> Session:
        """A new session, once the variables have values."""
        manager = _manager(self._scaffold.finalize())
        return manager.wait_for_session(self._master, self._config, self._max_wait_secs)


def _manager(scaffold: Scaffold) -> SessionManager:
    return SessionManager(
        local_init_op=scaffold.local_init_op,
        ready_op=scaffold.ready_op,
        ready_for_local_init_op=scaffold.ready_for_local_init_op,
        graph=get_default_graph(),
        recovery_wait_secs=1,
    )


class _MonitoredSession:
    """What `MonitoredSession` and `SingularMonitoredSession` share.

    Args:
      session_creator: makes the session.
      hooks: called around each step.
      recovers: whether a new session takes the place of one that was taken away.
      stop_grace_period_secs: how long threads have to end.
    """

    def __init__(
        self,
        session_creator: SessionCreator,
        hooks: Sequence[SessionRunHook] | None,
        recovers: bool,
        stop_grace_period_secs: float,
    ):
        self._hooks = list(hooks or [])
        self._creator = session_creator
        self._recovers = recovers
        self._grace = stop_grace_period_secs
        self._graph_was_finalized = get_default_graph().finalized
        self._graph = get_default_graph()
        self._session: Session | None = None
        self._stop = False
        self.coord: Coordinator | None = None
        for hook in self._hooks:
            hook.begin()
        self._open_again()

    @property
    def graph(self) -> Graph | None:
        """The graph, None once the session is closed."""
        return None if self._session is None else self._session.graph

    def _open(self) -> None:
        session = self._creator.create_session()
        coord = Coordinator(clean_stop_exception_types=[])
        start_queue_runners(sess=session, coord=coord)
        self._session, self.coord, self._stop = session, coord, False
        for hook in self._hooks:
            hook.after_create_session(session, coord)

    def _open_again(self) -> None:
        """Opens a session, as often as it is taken away meanwhile."""
        while True:
            try:
                self._open()
                return
            except _PREEMPTED as error:
                if not self._recovers:
                    raise
                _log.info("the session was lost while it was made, another is made: %s", error)
                self._close_session()

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """Runs a step, as `Session.run` does, with the hooks around it.

        Raises:
          RuntimeError: if the session is closed, or a hook has asked for the end; if two feed one tensor.
        """
        return self._recovering(lambda: self._run(fetches, feed_dict, options, run_metadata))

    def _recovering(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except _PREEMPTED as error:
                if not self._recovers:
                    raise
                _log.info("the session was lost, another is made: %s", error)
                self._close_session()
                self._open_again()

    def _run(self, fetches: Any, feed_dict: Any, options: Any, run_metadata: Any) -> Any:
        session = self._opened()
        if self.should_stop():
            raise RuntimeError("a stop was requested; ask should_stop() before each step")
        context = SessionRunContext(SessionRunArgs(fetches, feed_dict), session)
        feeds = dict(feed_dict or {})
        all_options = protos.RunOptions()
        if options is not None:
            all_options.CopyFrom(options)
        metadata = protos.RunMetadata() if run_metadata is None else run_metadata
        wanted: dict[int, Any] = {}
        for number, hook in enumerate(self._hooks):
            asked = hook.before_run(context)
            if asked is None:
                continue
            if asked.fetches is not None:
                wanted[number] = asked.fetches
            if asked.feed_dict:
                self._add_feeds(feeds, asked.feed_dict, hook)
            if asked.options is not None:
                _merge_options(all_options, asked.options)
        plain = options is None and not all_options.ByteSize() and run_metadata is None
        extra = {} if plain else {"options": all_options, "run_metadata": metadata}
        everything = {"caller": fetches, "hooks": list(wanted.values())}
        results = self._step(session, everything, feeds, extra)
        of_hooks = dict(zip(wanted, results["hooks"]))
        for number, hook in enumerate(self._hooks):
            hook.after_run(context, SessionRunValues(of_hooks.get(number), all_options, metadata))
        self._stop = self._stop or context.stop_requested
        return results["caller"]

    def _step(self, session: Session, fetches: Any, feeds: Any, extra: dict[str, Any]) -> Any:
        try:
            return session.run(fetches, feeds, **extra)
        except _PREEMPTED:
            raise
        except Exception:
            # A thread's failure, which may be why the step failed, says more.
            if self.coord is not None:
                self.coord.raise_requested_exception()
            raise

    def _add_feeds(self, feeds: dict[Any, Any], more: Any, hook: SessionRunHook) -> None:
        given = {tensor for tensor, _ in expand_feeds(self._graph, feeds)}
        for tensor, _ in expand_feeds(self._graph, dict(more)):
            if tensor in given:
                raise RuntimeError(
                    f"{tensor.name} is fed by {type(hook).__name__} and by another hook or the caller; "
                    "feed it once"
                )
        feeds.update(more)

    def run_step_fn(self, step_fn: Callable[..., Any]) -> Any:
        """Calls a function that runs a step in parts.

        Args:
          step_fn: called with an object that has `session`, without hooks; `run_with_hooks(...)`, which is
            `run`; and `request_stop()`. If it has a parameter `self`, it is a method and gets its object
            first.

        Returns:
          What `step_fn` returns.
        """
        if not callable(step_fn):
            raise TypeError(f"step_fn must be callable, got {step_fn!r}")
        return self._recovering(lambda: step_fn(_StepContext(self._opened(), self)))

    def _opened(self) -> Session:
        if self._session is None:
            raise RuntimeError("the session is closed; make a new one")
        return self._session

    def should_stop(self) -> bool:
        """Whether no step should follow."""
        if self._session is None or self._stop:
            return True
        return self.coord is not None and self.coord.should_stop()

    def close(self) -> None:
        """Ends: hooks, threads and the session."""
        self._close(failed=False)

    def _close(self, failed: bool) -> None:
        try:
            if not failed and self._session is not None:
                for hook in self._hooks:
                    hook.end(self._session)
        finally:
            try:
                self._close_session(join=True)
            finally:
                if not self._graph_was_finalized:
                    self._graph._unsafe_unfinalize()

    def _close_session(self, join: bool = False) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        coord = self.coord
        try:
            if coord is not None:
                coord.request_stop()
                try:
                    coord.join(stop_grace_period_secs=self._grace, ignore_live_threads=True)
                except Exception as error:
                    if join:
                        raise
                    _log.info("a thread of the lost session failed: %s", error)
        finally:
            session.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        # The end of the data is a clean end.
        clean = kind is None or issubclass(kind, (errors.OutOfRangeError, StopIteration))
        self._close(failed=not clean)
        return clean


class _StepContext:
    """What a step function sees of its session."""

    def __init__(self, session: Session, monitored: _MonitoredSession):
        self.session = session
        self._monitored = monitored

    def run_with_hooks(self, *args: Any, **kwargs: Any) -> Any:
        """Runs a step with hooks."""
        return self._monitored._run(*_run_arguments(*args, **kwargs))

    def request_stop(self) -> None:
        """Ends the steps: raises StopIteration."""
        raise StopIteration("the step function asked for the end")


def _run_arguments(
    fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None
) -> tuple[Any, Any, Any, Any]:
    return fetches, feed_dict, options, run_metadata


def _merge_options(options: Any, more: Any) -> None:
    """The greater trace level, and the longer timeout of two that are limited."""
    options.trace_level = max(options.trace_level, more.trace_level)
    options.timeout_in_ms = max(options.timeout_in_ms, more.timeout_in_ms)


class MonitoredSession(_MonitoredSession):
    """A session that calls hooks around each step, and begins anew if it is lost.

        with tf.train.MonitoredSession(session_creator, hooks) as session:
            while not session.should_stop():
                session.run(train_op)

    The context ends cleanly when the data does (`OutOfRangeError`). A step that fails with `AbortedError` or
    `UnavailableError` is run again in a new session, restored from the last checkpoint.

    Args:
      session_creator: makes sessions; a `ChiefSessionCreator` if None.
      hooks: called around each step.
      stop_grace_period_secs: how long threads have to end.
    """

    def __init__(
        self,
        session_creator: SessionCreator | None = None,
        hooks: Sequence[SessionRunHook] | None = None,
        stop_grace_period_secs: float = 120,
    ):
        super().__init__(session_creator or ChiefSessionCreator(), hooks, True, stop_grace_period_secs)


class SingularMonitoredSession(_MonitoredSession):
    """A session that calls hooks around each step, and is not made again if it is lost.

    Args:
      hooks: called around each step.
      scaffold: the parts; default ones if None.
      master: the target of the session.
      config: a `ConfigProto`.
      checkpoint_dir: where the newest checkpoint is looked for.
      stop_grace_period_secs: how long threads have to end.
      checkpoint_filename_with_path: the very checkpoint.
    """

    def __init__(
        self,
        hooks: Sequence[SessionRunHook] | None = None,
        scaffold: Scaffold | None = None,
        master: str = "",
        config: Any = None,
        checkpoint_dir: str | None = None,
        stop_grace_period_secs: float = 120,
        checkpoint_filename_with_path: str | None = None,
    ):
        creator = ChiefSessionCreator(scaffold, master, config, checkpoint_dir, checkpoint_filename_with_path)
        super().__init__(creator, hooks, False, stop_grace_period_secs)

    def raw_session(self) -> Session:
        """The session beneath, without hooks."""
        return self._opened()


_UNSET: Any = object()


def MonitoredTrainingSession(
    master: str = "",
    is_chief: bool = True,
    checkpoint_dir: str | None = None,
    scaffold: Scaffold | None = None,
    hooks: Sequence[SessionRunHook] | None = None,
    chief_only_hooks: Sequence[SessionRunHook] | None = None,
    save_checkpoint_secs: float | None = _UNSET,
    save_summaries_steps: int | None = _UNSET,
    save_summaries_secs: float | None = _UNSET,
    config: Any = None,
    stop_grace_period_secs: float = 120,
    log_step_count_steps: int | None = 100,
    max_wait_secs: float = 7200,
    save_checkpoint_steps: int | None = _UNSET,
    summary_dir: str | None = None,
) -> MonitoredSession:
    """A monitored session with the hooks that training usually has: checkpoints, summaries, steps a second.

    Args:
      master: the target of the session.
      is_chief: the chief initialises and saves; others wait for it.
      checkpoint_dir: for checkpoints, and for summaries if `summary_dir` is None.
      scaffold: the parts; default ones if None.
      hooks: called around each step.
      chief_only_hooks: the same, of a chief only.
      save_checkpoint_secs: seconds between two checkpoints; 600 if neither this nor `save_checkpoint_steps`
        is given. None for no such limit.
      save_summaries_steps: steps between two summaries; 100 if neither this nor `save_summaries_secs` is
        given. None for no such limit.
      save_summaries_secs: seconds between two summaries.
      config: a `ConfigProto`.
      stop_grace_period_secs: how long threads have to end.
      log_step_count_steps: steps between two logs of steps a second; None for none.
      max_wait_secs: how long a worker waits for its chief.
      save_checkpoint_steps: steps between two checkpoints.
      summary_dir: for summaries.
    """
    if save_summaries_steps is _UNSET and save_summaries_secs is _UNSET:
        save_summaries_steps = 100
    if save_checkpoint_secs is _UNSET and save_checkpoint_steps is _UNSET:
        save_checkpoint_secs = 600

    def asked(value: Any) -> Any:
        return value if value is not _UNSET and value is not None and value > 0 else None

    scaffold = scaffold or Scaffold()
    if not is_chief:
        worker = WorkerSessionCreator(scaffold, master, config, max_wait_secs)
        return MonitoredSession(worker, hooks, stop_grace_period_secs)
    all_hooks = list(chief_only_hooks or [])
    summary_dir = summary_dir or checkpoint_dir
    if summary_dir and asked(log_step_count_steps):
        all_hooks.append(StepCounterHook(log_step_count_steps, output_dir=summary_dir))
    steps, secs = asked(save_summaries_steps), asked(save_summaries_secs)
    if summary_dir and (steps or secs):
        all_hooks.append(SummarySaverHook(steps, secs, output_dir=summary_dir, scaffold=scaffold))
    steps, secs = asked(save_checkpoint_steps), asked(save_checkpoint_secs)
    if checkpoint_dir and (steps or secs):
        all_hooks.append(CheckpointSaverHook(checkpoint_dir, secs, steps, scaffold=scaffold))
    chief = ChiefSessionCreator(scaffold, master, config, checkpoint_dir)
    return MonitoredSession(chief, [*all_hooks, *(hooks or [])], stop_grace_period_secs)
