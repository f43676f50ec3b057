"""Hooks for training: when to stop, what to save, what to log."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from headrace.framework import protos
from headrace.framework.graph import GraphKeys, Tensor, get_collection, get_default_graph
from headrace.summary.timeline import Timeline
from headrace.summary.writer import FileWriterCache
from headrace.train.checkpoint_state import write_whole
from headrace.train.global_step import get_global_step
from headrace.train.session_run_hook import (
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
)

__all__ = [
    "CheckpointSaverHook",
    "CheckpointSaverListener",
    "FeedFnHook",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "LoggingTensorHook",
    "NanLossDuringTrainingError",
    "NanTensorHook",
    "ProfilerHook",
    "SecondOrStepTimer",
    "StepCounterHook",
    "StopAtStepHook",
    "SummarySaverHook",
]

_log = logging.getLogger(__name__)


def _step_variable(hook: SessionRunHook) -> Any:
    step = get_global_step()
    if step is None:
        raise RuntimeError(
            f"{type(hook).__name__} needs a global step; make one with tf.train.get_or_create_global_step()"
        )
    return step


def _one_of(**given: Any) -> None:
    """Raises ValueError unless just one of the arguments is given."""
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError(f"give just one of {' and '.join(given)}, got {given}")


class SecondOrStepTimer:
    """Tells when so many seconds, or so many steps, have gone by.

    Args:
      every_secs: seconds between two events.
      every_steps: steps between two events.

    Raises:
      ValueError: unless just one is given.
    """

    def __init__(self, every_secs: float | None = None, every_steps: int | None = None):
        _one_of(every_secs=every_secs, every_steps=every_steps)
        self._every_secs = every_secs
        self._every_steps = every_steps
        self.reset()

    def reset(self) -> None:
        """Forgets all events."""
        self._last_step: int | None = None
        self._last_time: float | None = None

    def should_trigger_for_step(self, step: int) -> bool:
        """Whether it is time at this step: always at first, and never twice in one step."""
        if self._last_step is None or self._last_time is None:
            return True
        if step == self._last_step:
            return False
        if self._every_secs is not None:
            return time.time() >= self._last_time + self._every_secs
        return step >= self._last_step + (self._every_steps or 0)

    def update_last_triggered_step(self, step: int) -> tuple[float | None, int | None]:
        """Notes an event at this step; returns seconds and steps since the last, None if there was none."""
        now = time.time()
        since: tuple[float | None, int | None] = (None, None)
        if self._last_step is not None and self._last_time is not None:
            since = (now - self._last_time, step - self._last_step)
        self._last_time, self._last_step = now, step
        return since

    def last_triggered_step(self) -> int | None:
        """The step of the last event, or None."""
        return self._last_step


class _TimedHook(SessionRunHook):
    """Knows when so many seconds, or so many steps, have gone by."""

    def __init__(self, every_secs: float | None, every_steps: int | None):
        self._timer = SecondOrStepTimer(every_secs, every_steps)

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        self._step: Tensor = _step_variable(self)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        return SessionRunArgs(self._step)

    def _step_if_due(self, run_context: SessionRunContext, run_values: SessionRunValues) -> int | None:
        """The global step now, if it is time; None if it is not."""
        # What was fetched may be from before the update.
        if not self._timer.should_trigger_for_step(int(run_values.results) + 1):
            return None
        step = int(run_context.session.run(self._step))
        return step if self._timer.should_trigger_for_step(step) else None


class StopAtStepHook(SessionRunHook):
    """Stops after a number of steps, or at a certain step.

    Args:
      num_steps: how many steps to go from here.
      last_step: the global step to stop at.

    Raises:
      ValueError: unless just one is given.
    """

    def __init__(self, num_steps: int | None = None, last_step: int | None = None):
        _one_of(num_steps=num_steps, last_step=last_step)
        self._num_steps = num_steps
        self._last_step = last_step

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        self._step = _step_variable(self)

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Begins in a new session."""
        if self._last_step is None:
            self._last_step = int(session.run(self._step)) + (self._num_steps or 0)

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        return SessionRunArgs(self._step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        last = self._last_step or 0
        # The step fetched may be the one before the update, so it is read again close to the end.
        if run_values.results + 1 >= last and int(run_context.session.run(self._step)) >= last:
            run_context.request_stop()


class CheckpointSaverListener:
    """Base class of what is called when a `CheckpointSaverHook` saves."""

    def begin(self) -> None:
        """Called before the session is made."""

    def before_save(self, session: Any, global_step_value: int) -> None:
        """Called before a checkpoint is written."""

    def after_save(self, session: Any, global_step_value: int) -> bool | None:
        """Called after a checkpoint was written; True stops the training."""

    def end(self, session: Any, global_step_value: int) -> None:
        """Called at the end of the session."""


class CheckpointSaverHook(_TimedHook):
    """Saves a checkpoint at the start, every so many steps or seconds, and at the end.

    Args:
      checkpoint_dir: the folder.
      save_secs: seconds between two.
      save_steps: steps between two.
      saver: what saves.
      checkpoint_basename: what the files' names begin with.
      scaffold: gives the saver if `saver` is None; without both, the one in `GraphKeys.SAVERS` does.
      listeners: `CheckpointSaverListener`s.

    Raises:
      ValueError: unless just one of `save_secs` and `save_steps` is given; if there are a saver and a
        scaffold.
    """

    def __init__(
        self,
        checkpoint_dir: str,
        save_secs: float | None = None,
        save_steps: int | None = None,
        saver: Any = None,
        checkpoint_basename: str = "model.ckpt",
        scaffold: Any = None,
        listeners: Sequence[CheckpointSaverListener] | None = None,
    ):
        if saver is not None and scaffold is not None:
            raise ValueError("give a saver or a scaffold, not both")
        super().__init__(save_secs, save_steps)
        self._saver = saver
        self._scaffold = scaffold
        self._folder = checkpoint_dir
        self._path = os.path.join(checkpoint_dir, checkpoint_basename)
        self._listeners = list(listeners or [])

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        super().begin()
        self._writer = FileWriterCache.get(self._folder)
        for listener in self._listeners:
            listener.begin()

    def after_create_session(self, session: Any, coord: Any) -> None:
        """Begins in a new session."""
        graph = get_default_graph()
        os.makedirs(self._folder, exist_ok=True)
        write_whole(os.path.join(self._folder, "graph.pbtxt"), str(graph.as_graph_def()).encode())
        self._writer.add_graph(graph)
        step = int(session.run(self._step))
        self._save(session, step)
        self._timer.update_last_triggered_step(step)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        step = self._step_if_due(run_context, run_values)
        if step is not None:
            self._timer.update_last_triggered_step(step)
            if self._save(run_context.session, step):
                run_context.request_stop()

    def end(self, session: Any) -> None:
        """Ends, before the session is closed."""
        last = int(session.run(self._step))
        if last != self._timer.last_triggered_step():
            self._save(session, last)
        for listener in self._listeners:
            listener.end(session, last)

    def _save(self, session: Any, step: int) -> bool:
        """Saves; whether a listener asked for the end."""
        for listener in self._listeners:
            listener.before_save(session, step)
        self._get_saver().save(session, self._path, global_step=step)
        self._writer.add_session_log(
            protos.SessionLog(status=protos.SessionLog.CHECKPOINT, checkpoint_path=self._path), step
        )
        # All are called, whatever the first of them says.
        return any([listener.after_save(session, step) for listener in self._listeners])

    def _get_saver(self) -> Any:
        if self._saver is not None:
            return self._saver
        if self._scaffold is not None:
            return self._scaffold.saver
        savers = get_collection(GraphKeys.SAVERS)
        if len(savers) != 1:
            raise RuntimeError(
                f"there are {len(savers)} savers in the collection GraphKeys.SAVERS; give the hook a saver "
                "or a scaffold"
            )
        self._saver = savers[0]
        return self._saver


class SummarySaverHook(_TimedHook):
    """Writes summaries every so many steps or seconds.

    Args:
      save_steps: steps between two.
      save_secs: seconds between two.
      output_dir: the folder; used if there is no `summary_writer`.
      summary_writer: what writes.
      scaffold: gives the summary.
      summary_op: a string scalar, or a list of them: the summary itself.

    Raises:
      ValueError: unless just one of `scaffold` and `summary_op`, and of `save_steps` and `save_secs`, is
        given.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
        scaffold: Any = None,
        summary_op: Any = None,
    ):
        _one_of(scaffold=scaffold, summary_op=summary_op)
        super().__init__(save_secs, save_steps)
        self._folder = output_dir
        self._writer = summary_writer
        self._scaffold = scaffold
        self._summary_op = summary_op
        self._started = False
        self._next = 0

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        if self._writer is None and self._folder:
            self._writer = FileWriterCache.get(self._folder)
        super().begin()

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        # The first step's is always written, so that there is one.
        self._asked = not self._started or self._timer.should_trigger_for_step(self._next)
        fetches = {"step": self._step}
        summary = self._summary_op if self._scaffold is None else self._scaffold.summary_op
        if self._asked and summary is not None:
            fetches["summary"] = summary
        return SessionRunArgs(fetches)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        step = int(run_values.results["step"])
        if self._writer is not None and not self._started:
            self._writer.add_session_log(protos.SessionLog(status=protos.SessionLog.START), step)
        step += 1  # what was fetched may be from before the update
        if self._asked:
            step = int(run_context.session.run(self._step))
            self._timer.update_last_triggered_step(step)
            summaries = run_values.results.get("summary")
            for summary in summaries if isinstance(summaries, (list, tuple)) else [summaries]:
                if summary is not None and self._writer is not None:
                    self._writer.add_summary(summary, step)
        self._started = True
        self._next = step + 1

    def end(self, session: Any) -> None:
        """Ends, before the session is closed."""
        if self._writer is not None:
            self._writer.flush()


class StepCounterHook(_TimedHook):
    """Logs how many steps are done in a second, and writes it as the summary "global_step/sec".

    Args:
      every_n_steps: steps between two.
      every_n_secs: seconds between two; `every_n_steps` is to be None then.
      output_dir: the folder; used if there is no `summary_writer`.
      summary_writer: what writes.

    Raises:
      ValueError: unless just one of `every_n_steps` and `every_n_secs` is given.
    """

    def __init__(
        self,
        every_n_steps: int | None = 100,
        every_n_secs: float | None = None,
        output_dir: str | None = None,
        summary_writer: Any = None,
    ):
        super().__init__(every_n_secs, every_n_steps)
        self._folder = output_dir
        self._writer = summary_writer

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        if self._writer is None and self._folder:
            self._writer = FileWriterCache.get(self._folder)
        super().begin()
        self._tag = f"{self._step.op.name}/sec"

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        step = self._step_if_due(run_context, run_values)
        if step is None:
            return
        seconds, steps = self._timer.update_last_triggered_step(step)
        if seconds is not None and steps is not None:
            self._tell(steps / max(seconds, 1e-9), step)

    def _tell(self, rate: float, step: int) -> None:
        _log.info("%s: %g", self._tag, rate)
        if self._writer is not None:
            value = protos.Summary.Value(tag=self._tag, simple_value=rate)
            self._writer.add_summary(protos.Summary(value=[value]), step)


class LoggingTensorHook(SessionRunHook):
    """Logs the values of tensors every so many steps or seconds, or at the end.

    Args:
      tensors: a dict from words to tensors or their names, or a list of tensors or names.
      every_n_iter: steps between two.
      every_n_secs: seconds between two.
      at_end: whether to log at the end, too.
      formatter: makes a line out of a dict of values; a line of words and values if None.

    Raises:
      ValueError: if `every_n_iter` is not positive; unless one of `every_n_iter`, `every_n_secs` and `at_end`
        is given, and not both of the first.
    """

    def __init__(
        self,
        tensors: Any,
        every_n_iter: int | None = None,
        every_n_secs: float | None = None,
        at_end: bool = False,
        formatter: Callable[[Mapping[str, Any]], str] | None = None,
    ):
        if every_n_iter is not None and every_n_iter <= 0:
            raise ValueError(f"every_n_iter is {every_n_iter}; it must be positive")
        only_at_end = at_end and every_n_iter is None and every_n_secs is None
        self._timer = None if only_at_end else SecondOrStepTimer(every_n_secs, every_n_iter)
        if isinstance(tensors, Mapping):
            self._tensors = dict(tensors)
        else:
            self._tensors = {_name_of(each): each for each in tensors}
        self._at_end = at_end
        self._formatter = formatter

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        graph = get_default_graph()
        self._fetches = {word: graph.as_graph_element(each) for word, each in self._tensors.items()}
        self._count = 0
        if self._timer is not None:
            self._timer.reset()

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs | None:
        """Asks for what it needs of the step."""
        self._asked = self._timer is not None and self._timer.should_trigger_for_step(self._count)
        return SessionRunArgs(self._fetches) if self._asked else None

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        if self._asked:
            self._tell(run_values.results)
        self._count += 1

    def end(self, session: Any) -> None:
        """Ends, before the session is closed."""
        if self._at_end:
            self._tell(session.run(self._fetches))

    def _tell(self, values: Mapping[str, Any]) -> None:
        seconds = self._timer.update_last_triggered_step(self._count)[0] if self._timer else None
        if self._formatter is not None:
            _log.info(self._formatter(values))
            return
        text = ", ".join(f"{word} = {values[word]}" for word in self._tensors)
        _log.info(text if seconds is None else f"{text} ({seconds:.3f} sec)")


def _name_of(tensor: Any) -> str:
    return tensor if isinstance(tensor, str) else tensor.name


class NanLossDuringTrainingError(RuntimeError):
    """The loss is not a number."""

    def __init__(self, message: str = "the loss is not a number (NaN); a smaller learning rate may help"):
        super().__init__(message)


class NanTensorHook(SessionRunHook):
    """Stops when the loss is not a number.

    Args:
      loss_tensor: the loss.
      fail_on_nan_loss: whether that is an error, `NanLossDuringTrainingError`; else the steps just end.
    """

    def __init__(self, loss_tensor: Any, fail_on_nan_loss: bool = True):
        self._loss = loss_tensor
        self._fails = fail_on_nan_loss

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        return SessionRunArgs(self._loss)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        if not np.isnan(run_values.results).any():
            return
        if self._fails:
            raise NanLossDuringTrainingError
        _log.warning("the loss is not a number (NaN): the steps end")
        run_context.request_stop()


class FinalOpsHook(SessionRunHook):
    """Runs something at the end.

    Args:
      final_ops: what, as in `Session.run`.
      final_ops_feed_dict: what is fed then.
    """

    def __init__(self, final_ops: Any, final_ops_feed_dict: Any = None):
        self._ops = final_ops
        self._feeds = final_ops_feed_dict
        self._values: Any = None

    @property
    def final_ops_values(self) -> Any:
        """What it gave; None before the end."""
        return self._values

    def end(self, session: Any) -> None:
        """Ends, before the session is closed."""
        if self._ops is not None:
            self._values = session.run(self._ops, feed_dict=self._feeds)


class FeedFnHook(SessionRunHook):
    """Feeds each step what a function returns.

    Args:
      feed_fn: returns a dict of feeds.
    """

    def __init__(self, feed_fn: Callable[[], Mapping[Any, Any]]):
        self.feed_fn = feed_fn

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        return SessionRunArgs(None, self.feed_fn())


class GlobalStepWaiterHook(SessionRunHook):
    """Holds the first step back until others have reached a global step.

    Args:
      wait_until_step: which.
    """

    _POLL_SECS = 0.5

    def __init__(self, wait_until_step: int):
        self._until = wait_until_step
        self._reached = wait_until_step <= 0

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        self._step = _step_variable(self)

    def before_run(self, run_context: SessionRunContext) -> None:
        """Asks for what it needs of the step."""
        while not self._reached:
            if int(run_context.session.run(self._step)) >= self._until:
                self._reached = True
            else:
                time.sleep(self._POLL_SECS)


class ProfilerHook(_TimedHook):
    """Writes a timeline of a step every so many steps or seconds, for the browser's trace viewer.

    Args:
      save_steps: steps between two.
      save_secs: seconds between two.
      output_dir: the folder; the files are "timeline-<step>.json".
      show_dataflow: whether to draw what flows from operation to operation.
      show_memory: whether to show how much memory is in use.

    Raises:
      ValueError: unless just one of `save_steps` and `save_secs` is given.
    """

    def __init__(
        self,
        save_steps: int | None = None,
        save_secs: float | None = None,
        output_dir: str = "",
        show_dataflow: bool = True,
        show_memory: bool = False,
    ):
        super().__init__(save_secs, save_steps)
        self._folder = output_dir
        self._show_dataflow = show_dataflow
        self._show_memory = show_memory

    def begin(self) -> None:
        """Finds what it needs, before the session is made."""
        super().begin()
        self._next: int | None = None

    def before_run(self, run_context: SessionRunContext) -> SessionRunArgs:
        """Asks for what it needs of the step."""
        # The first step plans everything, which is not what it is like later.
        self._asked = self._next is not None and self._timer.should_trigger_for_step(self._next)
        options = protos.RunOptions(trace_level=protos.RunOptions.FULL_TRACE) if self._asked else None
        return SessionRunArgs(self._step, options=options)

    def after_run(self, run_context: SessionRunContext, run_values: SessionRunValues) -> None:
        """Looks at what the step gave."""
        step = int(run_values.results) + 1
        if self._asked:
            step = int(run_context.session.run(self._step))
            self._timer.update_last_triggered_step(step)
            trace = Timeline(run_values.run_metadata.step_stats, get_default_graph())
            text = trace.generate_chrome_trace_format(self._show_dataflow, self._show_memory)
            os.makedirs(self._folder or ".", exist_ok=True)
            write_whole(os.path.join(self._folder, f"timeline-{step}.json"), text.encode())
        self._next = step + 1
