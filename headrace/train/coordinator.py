"""Threads that work together and stop together."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from headrace.framework import errors

__all__ = ["Coordinator", "LooperThread"]


class Coordinator:
    """Lets any of several threads stop all of them, and hands the first exception to who joins them.

        coord = tf.train.Coordinator()
        threads = tf.train.start_queue_runners(sess, coord)
        try:
            while not coord.should_stop():
                sess.run(train)
        except Exception as error:
            coord.request_stop(error)
        finally:
            coord.request_stop()
            coord.join(threads)

    Args:
      clean_stop_exception_types: exceptions that only ask to stop and are not raised again; by default
        `(tf.errors.OutOfRangeError,)`, the end of the data.
    """

    def __init__(self, clean_stop_exception_types: Any = None):
        if clean_stop_exception_types is None:
            clean_stop_exception_types = (errors.OutOfRangeError,)
        self._clean_stops = tuple(clean_stop_exception_types)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._joined = False
        self._registered: set[threading.Thread] = set()

    @property
    def joined(self) -> bool:
        """Whether `join` has returned."""
        return self._joined

    def request_stop(self, ex: Any = None) -> None:
        """Asks all threads to stop.

        Args:
          ex: the exception that is the reason, or what `sys.exc_info()` returned; the first one is raised by
            `join`, unless it is of the clean kinds.
        """
        error = ex[1] if isinstance(ex, tuple) else ex
        with self._lock:
            if self._joined:
                if error is not None and not isinstance(error, self._clean_stops):
                    raise error
                return
            if not self._stop.is_set():
                if error is not None and not isinstance(error, self._clean_stops):
                    self._error = error
                self._stop.set()

    def clear_stop(self) -> None:
        """Forgets the request and the exception, so that threads can be coordinated again."""
        with self._lock:
            self._joined = False
            self._error = None
            self._stop.clear()

    def should_stop(self) -> bool:
        """Whether a stop was requested."""
        return self._stop.is_set()

    @contextlib.contextmanager
    def stop_on_exception(self) -> Iterator[None]:
        """A context in which an exception becomes a request to stop."""
        try:
            yield
        except BaseException:
            self.request_stop(ex=sys.exc_info())

    def wait_for_stop(self, timeout: float | None = None) -> bool:
        """Waits until a stop is requested, at most `timeout` seconds; whether one was."""
        return self._stop.wait(timeout)

    def register_thread(self, thread: threading.Thread) -> None:
        """Adds a thread to those that `join` waits for."""
        with self._lock:
            self._registered.add(thread)

    def join(
        self,
        threads: Iterable[threading.Thread] | None = None,
        stop_grace_period_secs: float = 120,
        ignore_live_threads: bool = False,
    ) -> None:
        """Waits for threads to end: as long as no stop is requested, and then for a grace period.

        Args:
          threads: those to wait for besides the registered ones.
          stop_grace_period_secs: how long they may take once a stop was requested.
          ignore_live_threads: whether threads that are still alive then are no error.

        Raises:
          RuntimeError: if threads are still alive after the grace period.
          BaseException: what was given to `request_stop`.
        """
        with self._lock:
            waiting_for = self._registered | set(threads or ())
        while any(thread.is_alive() for thread in waiting_for) and not self.wait_for_stop(0.05):
            pass
        # All ended on their own: that is a stop, too.
        deadline = time.monotonic() + stop_grace_period_secs
        for thread in waiting_for:
            thread.join(max(0.0, deadline - time.monotonic()))
        stragglers = [thread.name for thread in waiting_for if thread.is_alive()]
        with self._lock:
            self._joined = True
            self._registered = set()
            error = self._error
        if error is not None:
            raise error
        if stragglers and not ignore_live_threads:
            raise RuntimeError(
                f"threads {stragglers} still run {stop_grace_period_secs} seconds after the request to stop"
            )

    def raise_requested_exception(self) -> None:
        """Raises what was given to `request_stop`, if anything."""
        with self._lock:
            if self._error is not None:
                raise self._error


class LooperThread(threading.Thread):
    """A thread that calls a function again and again until a coordinator stops.

    Args:
      coord: the coordinator; an exception of the function is handed to it.
      timer_interval_secs: how long from one call to the next; None calls without a pause.
      target: the function; subclasses may define `run_loop` instead.
      args: its arguments.
      kwargs: its keyword arguments.

    Raises:
      ValueError: if `coord` is no coordinator.
    """

    def __init__(
        self,
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any] | None = None,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ):
        if not isinstance(coord, Coordinator):
            raise ValueError(f"coord must be a Coordinator, got {coord!r}")
        super().__init__(daemon=True)
        self._coord = coord
        self._interval = timer_interval_secs
        self._function = target
        self._arguments = tuple(args or ())
        self._keywords = dict(kwargs or {})
        coord.register_thread(self)

    @staticmethod
    def loop(
        coord: Coordinator,
        timer_interval_secs: float | None,
        target: Callable[..., Any],
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> LooperThread:
        """Makes a looper and starts it."""
        looper = LooperThread(coord, timer_interval_secs, target=target, args=args, kwargs=kwargs)
        looper.start()
        return looper

    def run(self) -> None:
        """The loop; called by `start`."""
        with self._coord.stop_on_exception():
            self.start_loop()
            next_call = time.monotonic()
            while not self._coord.should_stop():
                self.run_loop()
                if self._interval is not None:
                    next_call += self._interval
                    self._coord.wait_for_stop(max(0.0, next_call - time.monotonic()))
            self.stop_loop()

    def start_loop(self) -> None:
        """Called before the first call; for subclasses."""

    def stop_loop(self) -> None:
        """Called after the last call; for subclasses."""

    def run_loop(self) -> None:
        """One call."""
        if self._function is not None:
            self._function(*self._arguments, **self._keywords)
