"""Sessions whose variables have values: initialised, restored, or waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from headrace.framework import errors
from headrace.framework.graph import Graph, get_default_graph
from headrace.framework.session import Session
from headrace.train.checkpoint_state import checkpoint_exists, get_checkpoint_state, latest_checkpoint

__all__ = ["SessionManager"]

_log = logging.getLogger(__name__)


class SessionManager:
    """Makes sessions that are ready to train.

    Args:
      local_init_op: initialises what is not in checkpoints; run in every session.
      ready_op: gives the names of variables without values: the model is ready when there are none.
      ready_for_local_init_op: the same for what `local_init_op` needs.
      graph: the graph; the default one if None.
      recovery_wait_secs: how long to wait between two looks whether another process is done.
      local_init_run_options: a `RunOptions` for `local_init_op`.
      local_init_feed_dict: what is fed to it.
    """

    def __init__(
        self,
        local_init_op: Any = None,
        ready_op: Any = None,
        ready_for_local_init_op: Any = None,
        graph: Graph | None = None,
        recovery_wait_secs: float = 30,
        local_init_run_options: Any = None,
        local_init_feed_dict: Any = None,
    ):
        self._local_init_op = local_init_op
        self._ready_op = ready_op
        self._ready_for_local_init_op = ready_for_local_init_op
        self._graph = get_default_graph() if graph is None else graph
        self._wait_secs = recovery_wait_secs
        self._local_init_options = local_init_run_options
        self._local_init_feeds = local_init_feed_dict

    def prepare_session(
        self,
        master: str,
        init_op: Any = None,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
        init_feed_dict: Any = None,
        init_fn: Callable[[Any], Any] | None = None,
    ) -> Session:
        """A session whose variables are restored from a checkpoint, or initialised if there is none.

        Args:
          master: the target of the session.
          init_op: initialises the variables.
          saver: restores them.
          checkpoint_dir: where its newest checkpoint is looked for.
          checkpoint_filename_with_path: the very checkpoint.
          wait_for_checkpoint: whether to wait until there is one.
          max_wait_secs: how long.
          config: a `ConfigProto`.
          init_feed_dict: what is fed to `init_op`.
          init_fn: called with the session after `init_op`.

        Raises:
          RuntimeError: if there is nothing that would give the variables values, or some have none in the
            end.
          ValueError: if both a folder and a checkpoint are given.
        """
        session, restored = self._restore(
            master,
            saver,
            checkpoint_dir,
            checkpoint_filename_with_path,
            max_wait_secs if wait_for_checkpoint else 0,
            config,
        )
        if not restored:
            if init_op is None and init_fn is None and self._local_init_op is None:
                raise RuntimeError("there is no checkpoint, and no init_op, init_fn or local_init_op")
            if init_op is not None:
                session.run(init_op, feed_dict=init_feed_dict)
            if init_fn is not None:
                init_fn(session)
        missing = self._finish(session)
        if missing:
            raise RuntimeError(f"some variables have no values after initialisation: {missing}")
        return session

    def recover_session(
        self,
        master: str,
        saver: Any = None,
        checkpoint_dir: str | None = None,
        checkpoint_filename_with_path: str | None = None,
        wait_for_checkpoint: bool = False,
        max_wait_secs: float = 7200,
        config: Any = None,
    ) -> tuple[Session, bool]:
        """A session, restored if there is a checkpoint, and whether all variables have values then."""
        session, restored = self._restore(
            master,
            saver,
            checkpoint_dir,
            checkpoint_filename_with_path,
            max_wait_secs if wait_for_checkpoint else 0,
            config,
        )
        missing = self._finish(session)
        return session, restored and not missing

    def wait_for_session(
        self, master: str, config: Any = None, max_wait_secs: float = float("inf")
    ) -> Session:
        """A session whose variables somebody else gives values, once they have them.

        Raises:
          errors.DeadlineExceededError: if they have none after `max_wait_secs`.
        """
        end = time.monotonic() + max_wait_secs
        while True:
            session = Session(master, graph=self._graph, config=config)
            missing = self._finish(session)
            if not missing:
                return session
            session.close()
            if time.monotonic() + self._wait_secs > end:
                raise errors.DeadlineExceededError(
                    None, None, f"variables still have no values after {max_wait_secs} seconds: {missing}"
                )
            _log.info("waiting for variables to be initialised: %s", missing)
            time.sleep(self._wait_secs)

    def _restore(
        self,
        master: str,
        saver: Any,
        folder: str | None,
        path: str | None,
        wait_secs: float,
        config: Any,
    ) -> tuple[Session, bool]:
        if folder and path:
            raise ValueError("give checkpoint_dir or checkpoint_filename_with_path, not both")
        session = Session(master, graph=self._graph, config=config)
        if saver is None or not (folder or path):
            return session, False
        end = time.monotonic() + wait_secs
        while True:
            found = path if path else latest_checkpoint(folder or "")
            if found and checkpoint_exists(found):
                break
            if time.monotonic() >= end:
                return session, False
            time.sleep(min(self._wait_secs, max(end - time.monotonic(), 0)))
        saver.restore(session, found)
        state = get_checkpoint_state(folder) if folder else None
        if state is not None:
            saver.recover_last_checkpoints(state.all_model_checkpoint_paths)
        return session, True

    def _finish(self, session: Session) -> str:
        """Runs the local initialiser, if what it needs is there; names what has no value then."""
        missing = self._missing(session, self._ready_for_local_init_op)
        if not missing and self._local_init_op is not None:
            session.run(
                self._local_init_op, feed_dict=self._local_init_feeds, options=self._local_init_options
            )
        return missing or self._missing(session, self._ready_op)

    @staticmethod
    def _missing(session: Session, ready_op: Any) -> str:
        if ready_op is None:
            return ""
        return ", ".join(name.decode() for name in session.run(ready_op))
