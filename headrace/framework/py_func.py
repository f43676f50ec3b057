"""Python functions as operations."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from headrace import _core
from headrace.framework import dtypes, raw
from headrace.framework.graph import get_default_graph

# The functions by token, for as long as a graph that calls them lives.
_functions: weakref.WeakValueDictionary[str, _Held] = weakref.WeakValueDictionary()
_lock = threading.Lock()
_count = 0


class _Held:
    """A function that a graph keeps."""

    def __init__(self, function: Callable[..., Any], is_list: bool):
        self.function = function
        self.is_list = is_list


def _register(held: _Held) -> str:
    global _count
    with _lock:
        token = f"pyfunc_{_count}"
        _count += 1
    _functions[token] = held
    graph = get_default_graph()
    if not hasattr(graph, "_py_funcs"):
        graph._py_funcs = []  # type: ignore[attr-defined]
    graph._py_funcs.append(held)  # type: ignore[attr-defined]
    return token


def _call(*arrays: Any, token: bytes, Tin: list[int], Tout: list[int]) -> list[Any]:
    held = _functions.get(token.decode())
    if held is None:
        raise ValueError(
            f"the Python function '{token.decode()}' is not of this process; a graph with py_func runs only "
            "where it was built"
        )
    # Scalars come as NumPy's scalars, strings as bytes.
    result = held.function(*[array[()] if array.ndim == 0 else array for array in arrays])
    results = list(result) if isinstance(result, (list, tuple)) and held.is_list else [result]
    if not Tout and (result is None or not results):
        return []
    if len(results) != len(Tout):
        raise ValueError(f"the function returned {len(results)} values, Tout has {len(Tout)} types")
    return [_array(value, dtypes.as_dtype(number)) for value, number in zip(results, Tout)]


def _array(value: Any, dtype: dtypes.DType) -> np.ndarray[Any, Any]:
    if value is None:
        raise TypeError(f"the function returned None, Tout says {dtype.name}")
    array = np.asarray(value)
    if dtype is dtypes.string:
        return array if array.dtype == object else array.astype(object)
    if array.dtype == dtype._np:
        return array
    # Python's own numbers take any dtype that holds them; arrays must have the one that was promised.
    if not isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value, dtype=dtype.as_numpy_dtype)
    raise TypeError(f"the function returned {array.dtype}, Tout says {dtype.name}")


def py_func(
    func: Callable[..., Any], inp: Any, Tout: Any, stateful: bool = True, name: str | None = None
) -> Any:
    """An operation that calls a Python function.

    The function gets arrays (NumPy scalars for scalars, bytes for strings) and returns arrays, or what
    becomes one. It runs in the process that built the graph, and is not differentiable.

    Args:
      func: the function.
      inp: a list of tensors, its arguments.
      Tout: the dtypes of what it returns, in a list, or one dtype for one value; [] for nothing.
      stateful: whether it may return other values for the same arguments, or has effects.
      name: the name of the operation.

    Returns:
      A list of tensors, one tensor if `Tout` is one dtype, or the operation if `Tout` is [].
    """
    is_list = isinstance(Tout, (list, tuple))
    types = [dtypes.as_dtype(each) for each in (Tout if is_list else [Tout])]
    token = _register(_Held(func, is_list))
    make = raw.PyFunc if stateful else raw.PyFuncStateless
    outputs = make(list(inp), token=token, Tout=types, name=name)
    if not types:  # a list of no outputs does not tell its operation
        return get_default_graph().get_operations()[-1]
    return list(outputs) if is_list else outputs[0]


def numpy_function(func: Callable[..., Any], inp: Any, Tout: Any, name: str | None = None) -> Any:
    """`py_func` of a stateful function."""
    return py_func(func, inp, Tout, stateful=True, name=name)


for _op in ("PyFunc", "PyFuncStateless"):
    _core.add_kernel(_op, _call)
