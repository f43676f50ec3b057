"""What extends the steps of a monitored session: hooks, and what they see of a step."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["SessionRunArgs", "SessionRunContext", "SessionRunHook", "SessionRunValues"]


class SessionRunArgs(NamedTuple):
    """What a step runs, or what a hook adds to it.

    Attributes:
      fetches: as in `Session.run`; None for nothing.
      feed_dict: as in `Session.run`, or None.
      options: a `RunOptions`, or None.
    """

    fetches: Any = None
    feed_dict: Any = None
    options: Any = None


class SessionRunValues(NamedTuple):
    """What a step gave a hook.

    Attributes:
      results: the values of what the hook fetched, in the same structure.
      options: the `RunOptions` that the step ran with.
      run_metadata: the `RunMetadata` that it filled in.
    """

    results: Any
    options: Any
    run_metadata: Any


class SessionRunContext:
    """One step, as hooks see it.

    Args:
      original_args: what the caller asked for.
      session: the session that runs it.
    """

    def __init__(self, original_args: SessionRunArgs, session: Any):
        self._original_args = original_args
        self._session = session
        self._stop_requested = False

    @property
    def original_args(self) -> SessionRunArgs:
        """What the caller asked for, without what hooks add."""
        return self._original_args

    @property
    def session(self) -> Any:
        """The session that runs the step."""
        return self._session

    @property
    def stop_requested(self) -> bool:
        """Whether a hook asked for the end."""
        return self._stop_requested

    def request_stop(self) -> None:
        """Asks that no step follows this one."""
        self._stop_requested = True


class SessionRunHook:
    """Base class of what is called around the steps of a monitored session.

    A subclass overrides what it needs; nothing happens otherwise.
    """

    def begin(self) -> None:
        """Called once, before the session is made: the graph may still be added to."""

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Called when a session has been made, and again if it has to be made anew.

        Args:
          session: the new session; its variables have values.
          coord: the coordinator of its threads.
        """

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Called before each step.

        Args:
          run_context: the step.

        Returns:
          What to fetch and feed besides, or None.
        """

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Called after each step that succeeded.

        Args:
          run_context: the step.
          run_values: what `before_run` asked for.
        """

    def end(self, session: Any) -> None:
        """Called at the end of all steps, unless they ended with an error.

        Args:
          session: still open.
        """
