"""A `unittest.TestCase` for programs that build and run graphs."""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import re
import shutil
import sys
import tempfile
import unittest
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf import text_format

from headrace import _core
from headrace.framework import errors
from headrace.framework.dtypes import as_dtype
from headrace.framework.graph import (
    Graph,
    Tensor,
    get_default_graph,
    get_default_session,
    reset_default_graph,
)
from headrace.framework.session import Session

_GRAPH_SEED = 87654321
_temp_dir: str | None = None


def get_temp_dir() -> str:
    """A folder for the files of this test run, removed when the process ends."""
    global _temp_dir
    if _temp_dir is None:
        made = tempfile.mkdtemp(prefix="headrace_test_")
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        _temp_dir = made
    return _temp_dir


def main(argv: list[str] | None = None) -> None:
    """Runs the tests of the calling program, as `unittest.main` does."""
    unittest.main(module="__main__", argv=sys.argv if argv is None else argv)


class TestCase(unittest.TestCase):
    """A test with a fresh default graph, fixed seeds, sessions, and comparisons of arrays."""

    def __init__(self, methodName: str = "runTest"):
        super().__init__(methodName)
        self._cached: Session | None = None
        self._temp_dir: str | None = None

    def setUp(self) -> None:
        """Makes a fresh default graph and sets the seeds."""
        random.seed(_GRAPH_SEED)
        np.random.seed(_GRAPH_SEED % 2**32)
        reset_default_graph()
        get_default_graph().seed = _GRAPH_SEED
        # Whatever happens in the test, the next one must not see its session.
        self.addCleanup(self._close_cached)

    def _close_cached(self) -> None:
        if self._cached is not None:
            self._cached.close()
            self._cached = None

    def get_temp_dir(self) -> str:
        """A folder for the files of this test alone."""
        if self._temp_dir is None:
            self._temp_dir = tempfile.mkdtemp(prefix=self.id().split(".")[-1] + "_", dir=get_temp_dir())
        return self._temp_dir

    # ---- sessions

    @contextlib.contextmanager
    def session(
        self, graph: Graph | None = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Session]:
        """A session, and its graph, as the default within a `with` block; closed at its end."""
        with Session(graph=graph, config=config) as session, _on_device(session.graph, use_gpu, force_gpu):
            yield session

    @contextlib.contextmanager
    def cached_session(
        self, graph: Graph | None = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Session]:
        """The session of this test, the same in all `with` blocks, on the default graph of the first."""
        if self._cached is None:
            self._cached = Session(graph=graph, config=config)
        with (
            self._cached.graph.as_default(),
            self._cached.as_default(),
            _on_device(self._cached.graph, use_gpu, force_gpu),
        ):
            yield self._cached

    def test_session(
        self, graph: Graph | None = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Any:
        """The cached session if no graph is given, else one of its own."""
        if self._testMethodName == "test_session":  # its name makes test runners take it for one
            self.skipTest("not a test")
        make = self.cached_session if graph is None else self.session
        return make(graph, config, use_gpu, force_gpu)

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors (nested as `Session.run` takes them), in the session at hand."""
        at_hand = get_default_session() or self._cached
        if at_hand is not None:
            return at_hand.run(tensors)
        with self.session() as session:
            return session.run(tensors)

    def _array(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            value = self.evaluate(value)
        return np.asarray(value)

    # ---- comparisons

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Arrays, or lists, tuples and dicts of them, are equal within tolerances."""
        self._walk(a, b, lambda x, y, where: self._close(x, y, rtol, atol, msg, where), "")

    def assertAllCloseAccordingToType(
        self,
        a: Any,
        b: Any,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        float_rtol: float = 1e-6,
        float_atol: float = 1e-6,
        half_rtol: float = 1e-3,
        half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2,
        bfloat16_atol: float = 1e-2,
        msg: str | None = None,
    ) -> None:
        """As `assertAllClose`, with the tolerances of the less precise dtype of the two."""
        by_name = {
            "float32": (float_rtol, float_atol),
            "complex64": (float_rtol, float_atol),
            "float16": (half_rtol, half_atol),
            "bfloat16": (bfloat16_rtol, bfloat16_atol),
        }

        def compare(x: np.ndarray, y: np.ndarray, where: str) -> None:
            allowed = [(rtol, atol)] + [by_name[v.dtype.name] for v in (x, y) if v.dtype.name in by_name]
            self._close(x, y, max(r for r, _ in allowed), max(a for _, a in allowed), msg, where)

        self._walk(a, b, compare, "")

    def _walk(self, a: Any, b: Any, compare: Callable[[Any, Any, str], None], where: str) -> None:
        if isinstance(a, Mapping) or isinstance(b, Mapping):
            if not (isinstance(a, Mapping) and isinstance(b, Mapping)) or sorted(a) != sorted(b):
                raise self.failureException(f"expected dicts with the same keys{where}, got {a!r} and {b!r}")
            for key in a:
                self._walk(a[key], b[key], compare, f"{where}[{key!r}]")
            return
        try:
            arrays = self._array(a), self._array(b)
        except ValueError:  # ragged: lists of arrays of different shapes
            if len(a) != len(b):
                raise self.failureException(f"{len(a)} values and {len(b)} values{where}") from None
            for i, (x, y) in enumerate(zip(a, b)):
                self._walk(x, y, compare, f"{where}[{i}]")
            return
        compare(*arrays, where)

    def _same_shape(self, a: np.ndarray, b: np.ndarray, msg: str | None, where: str) -> None:
        if a.shape != b.shape:
            raise self.failureException(f"shapes differ{where}: {a.shape} and {b.shape}. {msg or ''}")

    def _close(self, a: Any, b: Any, rtol: float, atol: float, msg: str | None, where: str) -> None:
        self._same_shape(a, b, msg, where)
        a, b = (v.astype(np.float64) if v.dtype.name == "bfloat16" else v for v in (a, b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol, err_msg=f"{where} {msg or ''}")

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Arrays have the same shape and elements; NaN equals NaN."""
        a, b = self._array(a), self._array(b)
        self._same_shape(a, b, msg, "")
        np.testing.assert_array_equal(a, b, err_msg=msg or "")

    def assertNotAllClose(self, a: Any, b: Any, **kwargs: Any) -> None:
        """The opposite of `assertAllClose`."""
        try:
            self.assertAllClose(a, b, **kwargs)
        except AssertionError:
            return
        raise self.failureException("the two values are close at all elements")

    def assertNotAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """The opposite of `assertAllEqual`."""
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise self.failureException(f"the two values are equal at all elements. {msg or ''}")

    def assertNear(self, f1: float, f2: float, err: float, msg: str | None = None) -> None:
        """Two numbers differ by at most `err`."""
        if not (f1 == f2 or abs(f1 - f2) <= err):
            raise self.failureException(f"{f1!r} and {f2!r} differ by more than {err!r}. {msg or ''}")

    def assertArrayNear(self, farray1: Any, farray2: Any, err: float, msg: str | None = None) -> None:
        """Two sequences of numbers differ by at most `err`, element by element."""
        self.assertEqual(len(farray1), len(farray2), msg)
        for f1, f2 in zip(farray1, farray2):
            self.assertNear(float(f1), float(f2), err, msg)

    def assertNDArrayNear(self, ndarray1: Any, ndarray2: Any, err: float, msg: str | None = None) -> None:
        """The Euclidean norm of the difference of two arrays is less than `err`."""
        distance = np.linalg.norm(np.asarray(ndarray1) - np.asarray(ndarray2))
        if not distance < err:
            raise self.failureException(
                f"the norm of the difference is {distance!r}, not < {err!r}. {msg or ''}"
            )

    def _all(self, a: Any, holds: Callable[[np.ndarray], Any], what: str) -> None:
        a = self._array(a)
        wrong = ~np.asarray(holds(a))
        if wrong.any():
            where = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise self.failureException(
                f"{int(wrong.sum())} elements are not {what}; at {where} is {a[where]!r}"
            )

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        """All elements are greater than a number."""
        self._all(a, lambda x: x > comparison_target, f"> {comparison_target}")

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        """All elements are less than a number."""
        self._all(a, lambda x: x < comparison_target, f"< {comparison_target}")

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:
        """No element is less than a number."""
        self._all(a, lambda x: x >= comparison_target, f">= {comparison_target}")

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:
        """No element is greater than a number."""
        self._all(a, lambda x: x <= comparison_target, f"<= {comparison_target}")

    def assertAllInRange(
        self,
        target: Any,
        lower_bound: float,
        upper_bound: float,
        open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:
        """All elements lie between two numbers."""

        def inside(x: np.ndarray) -> Any:
            above = x > lower_bound if open_lower_bound else x >= lower_bound
            return above & (x < upper_bound if open_upper_bound else x <= upper_bound)

        ends = "(" if open_lower_bound else "[", ")" if open_upper_bound else "]"
        self._all(target, inside, f"in {ends[0]}{lower_bound}, {upper_bound}{ends[1]}")

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        """All elements are members of a set."""
        self._all(target, lambda x: np.isin(x, list(expected_set)), f"in {expected_set}")

    def assertShapeEqual(self, np_array: np.ndarray, tf_tensor: Tensor, msg: str | None = None) -> None:
        """A tensor's static shape is that of an array."""
        if not isinstance(np_array, np.ndarray | np.generic):
            raise TypeError(f"np_array is {np_array!r}, expected an array")
        if not isinstance(tf_tensor, Tensor):
            raise TypeError(f"tf_tensor is {tf_tensor!r}, expected a tensor")
        self.assertEqual(list(np_array.shape), tf_tensor.shape.as_list(), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        """An array or tensor has this dtype."""
        actual = target.dtype if isinstance(target, Tensor) else np.asarray(target).dtype
        self.assertEqual(as_dtype(actual).base_dtype, as_dtype(expected_dtype).base_dtype)

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: str | None = None) -> None:
        """Two device names mean the same."""

        def canonical(device: Any) -> str:
            text = device.decode() if isinstance(device, bytes) else str(device or "")
            return re.sub(
                r"/(?:device:)?(cpu|gpu)(?=:|$)", lambda m: f"/device:{m[1].upper()}", text, flags=re.I
            )

        self.assertEqual(canonical(device1), canonical(device2), msg)

    def assertStartsWith(self, actual: str, expected_start: str, msg: str | None = None) -> None:
        """A string begins with another."""
        if not actual.startswith(expected_start):
            raise self.failureException(f"{actual!r} does not start with {expected_start!r}. {msg or ''}")

    def assertProtoEquals(
        self, expected_message_maybe_ascii: Any, message: Any, msg: str | None = None
    ) -> None:
        """A message equals another, which may be given as text."""
        expected = expected_message_maybe_ascii
        if isinstance(expected, str | bytes):
            from_text = type(message)()
            text_format.Parse(expected, from_text)
            expected = from_text
        self.assertEqual(expected, message, msg)

    @contextlib.contextmanager
    def assertRaisesWithPredicateMatch(self, exception_type: Any, expected: Any) -> Iterator[None]:
        """The block raises the class, and the message matches a pattern, or the exception a predicate."""

        def matches(error: BaseException) -> bool:
            return bool(expected(error) if callable(expected) else re.search(expected, str(error)))

        try:
            yield
        except exception_type as error:
            if not matches(error):
                raise self.failureException(f"not the expected {exception_type}: {error}") from error
        else:
            raise self.failureException(f"{exception_type} was not raised")

    # What programs of Python 2's time call it.
    assertItemsEqual = unittest.TestCase.assertCountEqual

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> Any:
        """The block raises an `errors.OpError` with such a message."""
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)


@contextlib.contextmanager
def _on_device(graph: Graph, use_gpu: bool, force_gpu: bool) -> Iterator[None]:
    """Pins a test to the CPU unless it may use accelerators."""
    with contextlib.nullcontext() if use_gpu or force_gpu else graph.device("/device:CPU:0"):
        yield


def assert_equal_graph_def(actual: Any, expected: Any, checkpoint_v2: bool = False) -> None:
    """Asserts that two GraphDef messages have the same nodes, in any order.

    Raises:
      AssertionError: if they differ; the message names the first difference.
    """
    nodes = {node.name: node for node in actual.node}
    wanted = {node.name: node for node in expected.node}
    if nodes.keys() != wanted.keys():
        raise AssertionError(
            f"nodes only in actual: {sorted(nodes.keys() - wanted.keys())}, "
            f"only in expected: {sorted(wanted.keys() - nodes.keys())}"
        )
    for name, node in nodes.items():
        if node != wanted[name]:
            raise AssertionError(f"node {name!r} differs:\n{node}\nexpected:\n{wanted[name]}")


def test_src_dir_path(relative_path: str) -> str:
    """The absolute path of a file below the folder that holds the package."""
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.join(here, relative_path)


def is_built_with_cuda() -> bool:
    """False: accelerators are reached through plug-ins, nothing of the core is built for one."""
    return False


def gpu_device_name() -> str:
    """The name of the first GPU, or "" if there is none."""
    return "/device:GPU:0" if is_gpu_available() else ""


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether there is a GPU to run on."""
    return any(kind == "GPU" and count > 0 for kind, count in _core.device_types())
