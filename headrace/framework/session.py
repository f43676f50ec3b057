"""Sessions: what runs a graph."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import dtypes, errors, step_stats
from headrace.framework import graph as graphs
from headrace.framework.fetches import FetchPlan, expand_feeds, feed_tensor, stands_for_several
from headrace.framework.graph import Graph, Operation, Tensor, get_default_graph
from headrace.framework.partial_run import PartialRun

_NO_FEEDS: dict[Any, Any] = {}


# ---- feeds


def feed_array(tensor: Tensor, value: Any) -> Any:
    """`value` as an array of the tensor's dtype.

    Raises:
      TypeError: if it is a tensor, or an integer that the dtype cannot hold.
      ValueError: if it is no array, such as lists of unequal lengths.
    """
    dtype = tensor._dtype
    wanted = dtype._np
    if type(value) is np.ndarray and value.dtype == wanted:
        return value
    if isinstance(value, (Tensor, Operation)):
        raise TypeError(
            f"the value fed for {tensor.name} is {value!r}, which has no value yet; feed a number, a string, "
            "a list or an array"
        )
    if isinstance(value, _core.Tensor):
        if value.dtype == dtype.as_datatype_enum:
            return value
        value = value.numpy()
    if wanted is None:
        raise TypeError(f"the {dtype.name} tensor {tensor.name} can only be fed what was fetched from one")
    try:
        array = np.asarray(value, dtype=wanted)
    except OverflowError as error:
        raise TypeError(f"{value!r} does not fit {dtype.name}, the dtype of {tensor.name}") from error
    except (TypeError, ValueError) as error:
        kind = type(error)
        raise kind(f"cannot make a {dtype.name} array of the value fed for {tensor.name}: {error}") from error
    if type(value) is int and not dtype.is_bool and array[()] != value and dtype is not dtypes.string:
        raise TypeError(f"{value} does not fit {dtype.name}, the dtype of {tensor.name}")
    return array


def check_shape(tensor: Tensor, array: Any) -> None:
    """Raises ValueError if the array cannot be fed for the tensor because of its shape."""
    if not tensor.shape.is_compatible_with(array.shape):
        raise ValueError(
            f"the value fed for {tensor.name} has shape {tuple(array.shape)}, the tensor {tensor.shape}; "
            "feed a value of matching shape"
        )


# ---- signatures


class _Runner:
    """A signature made ready: `runner(values, timeout, trace, pieces)` for one `(fetches, feeds)`."""

    __slots__ = ("build", "callable", "describe", "dtypes", "graph", "single", "tensors")

    def __init__(self, session: BaseSession, plan: FetchPlan, feeds: list[Tensor], fetches: Any):
        self.graph = session._graph  # not the session, which is to die with its last user
        self.tensors = feeds
        self.dtypes = [tensor._dtype._np for tensor in feeds]
        self.build = plan.build
        # One tensor, fetched alone, needs no putting together.
        self.single = len(plan.tensors) == 1 and isinstance(fetches, (Tensor, str))
        flat = [number for tensor in plan.tensors for number in (tensor._id, tensor._index)]
        fed = [number for tensor in feeds for number in (tensor._id, tensor._index)]
        try:
            made = session._core.callable(fed, flat, [op._id for op in plan.targets])
        except errors.OpError as error:
            raise _explained(error, self.graph) from None
        self.callable, self.describe = made.run, made.describe

    def __call__(
        self,
        values: Any,
        timeout_ms: int = 0,
        trace: list[Any] | None = None,
        pieces: list[Any] | None = None,
    ) -> Any:
        arrays = []
        for value, dtype, tensor in zip(values, self.dtypes, self.tensors):
            if type(value) is not np.ndarray or value.dtype is not dtype:
                value = feed_array(tensor, value)
            arrays.append(value)
        try:
            results = self.callable(arrays, timeout_ms, trace, pieces)
        except errors.OpError as error:
            for tensor, array in zip(self.tensors, arrays):
                check_shape(tensor, array)
            raise _explained(error, self.graph) from None
        return results[0] if self.single else self.build(results)


def _explained(error: errors.OpError, graph: Graph) -> errors.OpError:
    """The error, with the operation that failed."""
    if error._op is None and error.node_name:
        id = graph._core.find(error.node_name)
        error._op = None if id < 0 else graph._operation(id)
    return error


def _signature(fetches: Any) -> Any:
    """A key for nested fetches: equal for those that are fetched alike. TypeError if there is none."""
    kind = type(fetches)
    if kind is Tensor or kind is Operation or kind is str:
        return fetches
    if isinstance(fetches, (list, tuple)):
        return kind, *[_signature(fetch) for fetch in fetches]
    if isinstance(fetches, dict):
        return kind, *[(key, _signature(fetch)) for key, fetch in fetches.items()]
    hash(fetches)
    return fetches


def _field(message: Any, name: str, default: Any) -> Any:
    """A field of an options message, or of any object that stands for one."""
    return getattr(message, name, default) or default


def _options_of(config: Any) -> dict[str, Any]:
    """What the core wants to know of a ConfigProto."""
    if config is None:
        return {}
    rewrites = _field(_field(config, "graph_options", None), "rewrite_options", None)
    disabled = [str(name) for name in _field(config, "disabled_passes", ())]
    if _field(rewrites, "disable_meta_optimizer", False):
        disabled = [name for name, _ in _core.passes()]
    options = {
        "disabled_passes": disabled,
        "allow_soft_placement": bool(_field(config, "allow_soft_placement", False)),
        "log_placement": bool(_field(config, "log_device_placement", False)),
        "intra_op_threads": int(_field(config, "intra_op_parallelism_threads", 0)),
        "inter_op_threads": int(_field(config, "inter_op_parallelism_threads", 0)),
    }
    counts = _field(config, "device_count", {})
    on_request = [name for name, count in dict(counts).items() if count and name not in ("CPU", "GPU", "TPU")]
    if on_request:
        options["device_types"] = on_request
    return options


class BaseSession:
    """What `Session` and `InteractiveSession` share.

    Args:
      target: names state to share: sessions of one non-empty target see each other's variables.
      graph: the graph to run; the default graph if none is given.
      config: a `ConfigProto`, or None.

    Raises:
      TypeError: if an argument is of a wrong type.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None):
        if not isinstance(target, (str, bytes)):
            raise TypeError(f"target must be a string, got {target!r}")
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a tf.Graph, got {graph!r} of type {type(graph).__name__}")
        self._graph = get_default_graph() if graph is None else graph
        self._target = target.decode() if isinstance(target, bytes) else target
        self._config = config
        self._timeout_ms = int(_field(config, "operation_timeout_in_ms", 0))
        self._closed = False
        self._runners: dict[Any, _Runner] = {}
        self._partial_runs: dict[str, PartialRun] = {}
        self._core = _core.Session(self._graph._core, target=self._target, **_options_of(config))

    @property
    def graph(self) -> Graph:
        """The graph that this session runs."""
        return self._graph

    @property
    def graph_def(self) -> Any:
        """The graph as a GraphDef message."""
        return self._graph.as_graph_def()

    @property
    def sess_str(self) -> str:
        """The target."""
        return self._target

    def list_devices(self) -> list[Any]:
        """The devices of this session: objects with `name`, `device_type`, `memory_limit_bytes`."""
        self._check_open()
        return [DeviceAttributes(name, type) for name, type in self._core.devices()]

    def close(self) -> None:
        """Ends running steps, which raise CancelledError, refuses new ones, and frees the variables."""
        if not self._closed:
            self._closed = True
            self._core.close()
            self._runners.clear()
            self._partial_runs.clear()
            del self._core

    def as_default(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which this is the default session. It does not close it."""
        return graphs._sessions.entered(self)

    def run(self, fetches: Any, feed_dict: Any = None, options: Any = None, run_metadata: Any = None) -> Any:
        """Computes tensors and runs operations, once.

        Args:
          fetches: a tensor, an operation, a name, an object that stands for one (a variable,
            `IndexedSlices`), or lists, tuples, named tuples and dicts of them.
          feed_dict: values for tensors; any tensor of the graph can be fed.
          options: a `RunOptions`: `timeout_in_ms`, `trace_level`.
          run_metadata: a `RunMetadata`, into which a trace is written if `options` asks for one.

        Returns:
          Values in the structure of `fetches`: an array for a tensor, a NumPy scalar where it is one, bytes
          for a string, None for an operation.

        Raises:
          RuntimeError: if the session is closed.
          TypeError: if something cannot be fetched or fed.
          ValueError: if a name does not exist, or a value has a wrong shape.
          errors.OpError: if an operation fails.
        """
        if feed_dict is None:
            feed_dict = _NO_FEEDS
        elif type(feed_dict) is not dict:
            return self._run_uncached(fetches, feed_dict, options, run_metadata)
        try:
            key = (
                fetches if type(fetches) is Tensor else _signature(fetches),
                *feed_dict,
            )
            runner = self._runners.get(key)
        except TypeError:
            return self._run_uncached(fetches, feed_dict, options, run_metadata)
        if runner is None:
            return self._run_first(key, fetches, feed_dict, options, run_metadata)
        if self._closed:
            self._check_open()
        if options is None and run_metadata is None:
            return runner(feed_dict.values(), self._timeout_ms)
        return self._run_with_options(runner, list(feed_dict.values()), options, run_metadata)

    def _run_first(self, key: Any, fetches: Any, feed_dict: Any, options: Any, run_metadata: Any) -> Any:
        """Runs a signature, and keeps it if it will do for its next call."""
        runner, values = self._prepare(fetches, feed_dict)
        if not any(stands_for_several(fed) for fed in feed_dict):
            self._runners[key] = runner
        return self._run_with_options(runner, values, options, run_metadata)

    def _run_uncached(self, fetches: Any, feed_dict: Any, options: Any, run_metadata: Any) -> Any:
        runner, values = self._prepare(fetches, feed_dict)
        return self._run_with_options(runner, values, options, run_metadata)

    def _prepare(self, fetches: Any, feed_dict: Any) -> tuple[_Runner, list[Any]]:
        self._check_open()
        pairs = expand_feeds(self._graph, feed_dict)
        plan = FetchPlan(self._graph, fetches)
        runner = _Runner(self, plan, [tensor for tensor, _ in pairs], fetches)
        return runner, [value for _, value in pairs]

    def _run_with_options(self, runner: _Runner, values: Any, options: Any, run_metadata: Any) -> Any:
        timeout_ms = int(_field(options, "timeout_in_ms", 0)) or self._timeout_ms
        with_stats = bool(_field(options, "trace_level", 0))
        with_partitions = bool(_field(options, "output_partition_graphs", False))
        if run_metadata is None or not (with_stats or with_partitions):
            return runner(values, timeout_ms)
        trace: list[Any] = []
        pieces: list[Any] | None = [] if with_partitions else None
        try:
            return runner(values, timeout_ms, trace, pieces)
        finally:
            events = step_stats.in_order(trace)
            if with_stats:
                run_metadata.step_stats.CopyFrom(step_stats.step_stats(events, self._graph))
                run_metadata.cost_graph.CopyFrom(step_stats.cost_graph(events, self._graph))
            if pieces is not None:
                del run_metadata.partition_graphs[:]
                run_metadata.partition_graphs.extend(step_stats.partition_graphs(pieces, events, self._graph))

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the session is closed; make a new one")

    def describe_plan(self, fetches: Any, feed_dict: Any = None) -> str:
        """What `run` would do, without doing it: one line for each step of the plan.

        Shows what the passes left, which device computes what, what crosses devices, where results lie
        in memory, and what can only be planned once shapes that depend on data are known.

        Args:
          fetches, feed_dict: as in `run`.

        Raises:
          RuntimeError, TypeError, ValueError, errors.OpError: as `run`.
        """
        runner, values = self._prepare(fetches, feed_dict or _NO_FEEDS)
        return runner.describe([feed_array(tensor, value) for tensor, value in zip(runner.tensors, values)])

    def make_callable(
        self, fetches: Any, feed_list: Any = None, accept_options: bool = False
    ) -> Callable[..., Any]:
        """A function that runs `fetches`, faster than `run` by what need not be looked up again.

        Args:
          fetches: as in `run`.
          feed_list: the tensors for which the function takes values, in this order.
          accept_options: whether the function takes `options` and `run_metadata`.

        Raises:
          TypeError: if `feed_list` is no list, or something cannot be fetched or fed.
        """
        if feed_list is not None and not isinstance(feed_list, (list, tuple)):
            raise TypeError(f"feed_list must be a list of tensors, got {type(feed_list).__name__}")
        self._check_open()
        feeds = [feed_tensor(self._graph, key) for key in feed_list or ()]
        runner = _Runner(self, FetchPlan(self._graph, fetches), feeds, fetches)

        def run(*values: Any, options: Any = None, run_metadata: Any = None) -> Any:
            if len(values) != len(feeds):
                raise TypeError(f"expected {len(feeds)} values to feed, got {len(values)}")
            self._check_open()
            if accept_options:
                return self._run_with_options(runner, values, options, run_metadata)
            if options is not None or run_metadata is not None:
                raise TypeError("options and run_metadata need make_callable(..., accept_options=True)")
            return runner(values, self._timeout_ms)

        return run

    def partial_run_setup(self, fetches: Any, feeds: Any = None) -> str:
        """Prepares a step whose fetches and feeds come in several calls of `partial_run`.

        Args:
          fetches: all that will be fetched, as in `run`.
          feeds: all that will be fed.

        Returns:
          A handle for `partial_run`.
        """
        self._check_open()
        handle = f"partial_run_{len(self._partial_runs)}"
        self._partial_runs[handle] = PartialRun(self, fetches, list(feeds or ()))
        return handle

    def partial_run(self, handle: str, fetches: Any, feed_dict: Any = None) -> Any:
        """Goes on with a step that `partial_run_setup` prepared: each node is computed at most once in all.

        Args:
          handle: what `partial_run_setup` returned.
          fetches: what to fetch now.
          feed_dict: what to feed now; nothing is fed twice.

        Raises:
          ValueError: if something was not announced, is fed twice, or needs what was not fed yet.
        """
        self._check_open()
        if handle not in self._partial_runs:
            raise ValueError(f"{handle!r} is no handle of a partial run")
        return self._partial_runs[handle].run(fetches, feed_dict or {})


class Session(BaseSession):
    """Runs the operations of a graph and holds the state of its variables.

        with tf.Session() as sess:
            print(sess.run(c, feed_dict={a: 1.0}))

    The context makes the session and its graph the default ones, and closes the session at its end. `run` may
    be called from any number of threads.
    """

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None):
        super().__init__(target, graph, config)
        self._contexts: list[contextlib.ExitStack] = []

    def __enter__(self) -> Session:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._graph.as_default())
            stack.enter_context(self.as_default())
            self._contexts.append(stack.pop_all())
        return self

    def __exit__(self, *exception: Any) -> None:
        self._contexts.pop().__exit__(*exception)
        self.close()

    @staticmethod
    def reset(target: str, containers: list[str] | None = None, config: Any = None) -> None:
        """Closes all sessions of a target and forgets their state.

        Args:
          target: what the sessions were made with.
          containers: names of the containers (`tf.container`) whose state is forgotten; all if None.
          config: not used.
        """
        _core.Session.reset(target, list(containers or ()))


class InteractiveSession(BaseSession):
    """A session that makes itself the default one until it is closed, for notebooks and consoles."""

    def __init__(self, target: str = "", graph: Graph | None = None, config: Any = None):
        super().__init__(target, graph, config)
        self._stack = contextlib.ExitStack()
        if graph is not None:
            self._stack.enter_context(graph.as_default())
        self._stack.enter_context(self.as_default())

    def close(self) -> None:
        """Closes the session, which is no longer the default one."""
        super().close()
        self._stack.close()


class DeviceAttributes:
    """One device of a session."""

    def __init__(self, name: str, device_type: str, memory_limit_bytes: int = 0):
        self.name = name
        self.device_type = device_type
        self.memory_limit_bytes = memory_limit_bytes

    def __repr__(self) -> str:
        return f"DeviceAttributes({self.name}, {self.device_type})"


@contextlib.contextmanager
def default_session(session: BaseSession) -> Iterator[BaseSession]:
    """A context in which `session` is the default session."""
    with session.as_default():
        yield session
