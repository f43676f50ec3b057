"""Assertions about tensors: checked when the node is made as far as that is possible, else in the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from headrace.framework import errors, raw
from headrace.framework.convert import convert_to_tensor
from headrace.framework.dtypes import as_dtype
from headrace.framework.graph import Operation, Tensor, constant_array, name_scope
from headrace.framework.shapes import TensorShape
from headrace.ops.control_flow import Assert, no_op

__all__ = [
    "assert_equal",
    "assert_greater",
    "assert_greater_equal",
    "assert_integer",
    "assert_less",
    "assert_less_equal",
    "assert_near",
    "assert_negative",
    "assert_non_negative",
    "assert_non_positive",
    "assert_none_equal",
    "assert_positive",
    "assert_proper_iterable",
    "assert_rank",
    "assert_rank_at_least",
    "assert_rank_in",
    "assert_same_float_dtype",
    "assert_scalar",
    "assert_type",
    "ensure_shape",
    "is_non_decreasing",
    "is_numeric_tensor",
    "is_strictly_increasing",
]


def _all(condition: Tensor) -> Tensor:
    """A scalar: whether all elements are true."""
    if condition.shape.rank == 0:
        return condition
    axes: Any = (
        np.arange(condition.shape.rank, dtype=np.int32)
        if condition.shape.rank is not None
        else raw.Range(0, raw.Rank(condition), 1)
    )
    return raw.All(condition, axes)


def _compare(
    what: str,
    on_tensors: Callable[[Tensor, Tensor], Tensor],
    on_arrays: Callable[[Any, Any], Any],
    x: Any,
    y: Any,
    data: Sequence[Any] | None,
    summarize: int | None,
    message: str | None,
    name: str | None,
    scope: str,
) -> Operation:
    with name_scope(name, scope, [x]):
        x = convert_to_tensor(x, name="x")
        y = convert_to_tensor(y, dtype=x.dtype, name="y")
        text = f"{message or ''} expected x {what} y element by element, x is {x.name}, y is {y.name}".strip()
        known = constant_array(x), constant_array(y)
        if known[0] is not None and known[1] is not None:
            if not np.all(on_arrays(*known)):
                raise errors.InvalidArgumentError(None, None, f"{text}: {known[0]!r} and {known[1]!r}")
            return no_op(name="static_checks_determined_all_ok")
        shown = [text, "x:", x, "y:", y] if data is None else list(data)
        return Assert(_all(on_tensors(x, y)), shown, summarize=summarize)


def assert_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x == y` for all elements (which broadcast).

    Args:
      x: a numeric tensor.
      y: a tensor of the same dtype.
      data: tensors to show in the error's message; x and y if None.
      summarize: how many elements of each to show.
      message: what to say first.
      name: of the scope.

    Raises:
      InvalidArgumentError: in the step; or at once, if both values are constants.
    """
    return _compare("==", raw.Equal, np.equal, x, y, data, summarize, message, name, "assert_equal")


def assert_none_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x != y` for all elements; see `assert_equal`."""
    return _compare(
        "!=", raw.NotEqual, np.not_equal, x, y, data, summarize, message, name, "assert_none_equal"
    )


def assert_less(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x < y` for all elements; see `assert_equal`."""
    return _compare("<", raw.Less, np.less, x, y, data, summarize, message, name, "assert_less")


def assert_less_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x <= y` for all elements; see `assert_equal`."""
    return _compare(
        "<=", raw.LessEqual, np.less_equal, x, y, data, summarize, message, name, "assert_less_equal"
    )


def assert_greater(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x > y` for all elements; see `assert_equal`."""
    return _compare(">", raw.Greater, np.greater, x, y, data, summarize, message, name, "assert_greater")


def assert_greater_equal(
    x: Any,
    y: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x >= y` for all elements; see `assert_equal`."""
    return _compare(
        ">=", raw.GreaterEqual, np.greater_equal, x, y, data, summarize, message, name, "assert_greater_equal"
    )


def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `|x - y| <= atol + rtol * |y|` for all elements.

    Args:
      x: a tensor of floating dtype.
      y: a tensor of the same dtype.
      rtol: ten times the dtype's machine epsilon if None.
      atol: likewise.
      data: tensors to show in the error's message; x and y if None.
      summarize: how many elements of each to show.
      message: what to say first.
      name: of the scope.

    Raises:
      InvalidArgumentError: in the step; or at once, if both values are constants.
    """
    x = convert_to_tensor(x, name="x")
    epsilon = 10 * _epsilon(x.dtype)
    rtol = epsilon if rtol is None else rtol
    atol = epsilon if atol is None else atol

    def on_tensors(x: Tensor, y: Tensor) -> Tensor:
        allowed = raw.AddV2(
            convert_to_tensor(atol, dtype=x.dtype),
            raw.Mul(convert_to_tensor(rtol, dtype=x.dtype), raw.Abs(y)),
        )
        return raw.LessEqual(raw.Abs(raw.Sub(x, y)), allowed)

    def on_arrays(x: Any, y: Any) -> Any:
        return np.abs(x - y) <= atol + rtol * np.abs(y)

    numbers = isinstance(rtol, int | float) and isinstance(atol, int | float)
    return _compare(
        "near",
        on_tensors,
        on_arrays if numbers else _undecided,
        x,
        y,
        data,
        summarize,
        message,
        name,
        "assert_near",
    )


def _undecided(x: Any, y: Any) -> Any:
    return True


def _epsilon(dtype: Any) -> float:
    return {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23}.get(
        dtype.name, 2.0**-52
    )


def _against_zero(
    compare: Callable[..., Operation],
    x: Any,
    data: Any,
    summarize: int | None,
    message: str | None,
    name: str | None,
    scope: str,
) -> Operation:
    with name_scope(name, scope, [x]):
        x = convert_to_tensor(x, name="x")
        zero = np.zeros((), x.dtype.as_numpy_dtype)
        return compare(x, zero, data, summarize, message)


def assert_negative(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x < 0` for all elements; see `assert_equal`."""
    return _against_zero(assert_less, x, data, summarize, message, name, "assert_negative")


def assert_positive(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x > 0` for all elements; see `assert_equal`."""
    return _against_zero(assert_greater, x, data, summarize, message, name, "assert_positive")


def assert_non_negative(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x >= 0` for all elements; see `assert_equal`."""
    return _against_zero(assert_greater_equal, x, data, summarize, message, name, "assert_non_negative")


def assert_non_positive(
    x: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless `x <= 0` for all elements; see `assert_equal`."""
    return _against_zero(assert_less_equal, x, data, summarize, message, name, "assert_non_positive")


# ---- ranks and shapes


def _rank_check(
    x: Any,
    holds: Callable[[int], bool],
    in_step: Callable[[Tensor], Tensor],
    expected: str,
    data: Any,
    summarize: int | None,
    message: str | None,
    name: str | None,
    scope: str,
) -> Operation:
    with name_scope(name, scope, [x]):
        x = convert_to_tensor(x, name="x")
        text = f"{message or ''} {x.name} must have rank {expected}".strip()
        if x.shape.rank is not None:
            if not holds(x.shape.rank):
                raise ValueError(f"{text}; its shape is {x.shape}")
            return no_op(name="static_checks_determined_all_ok")
        shown = [text, "its shape:", raw.Shape(x)] if data is None else list(data)
        return Assert(in_step(raw.Rank(x)), shown, summarize=summarize)


def _static_rank(rank: Any) -> int:
    value = np.asarray(constant_array(rank) if isinstance(rank, Tensor) else rank)
    if value.dtype == object:
        raise ValueError(f"the rank {rank!r} has to be known when the check is made")
    if value.dtype.kind not in "iu":
        raise TypeError(f"the rank is {rank!r}, expected an integer")
    if value.ndim:
        raise ValueError(f"the rank is {rank!r}, expected a scalar")
    return int(value)


def assert_rank(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless x has this rank.

    Args:
      x: a tensor.
      rank: an integer.
      data: tensors to show in the error's message; x's shape if None.
      summarize: how many elements of each to show.
      message: what to say first.
      name: of the scope.

    Raises:
      ValueError: at once, if x's static rank is another.
      InvalidArgumentError: in the step, if it is not known before.
    """
    n = _static_rank(rank)
    return _rank_check(
        x, lambda r: r == n, lambda r: raw.Equal(r, n), str(n), data, summarize, message, name, "assert_rank"
    )


def assert_rank_at_least(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless x has at least this rank; see `assert_rank`."""
    n = _static_rank(rank)
    return _rank_check(
        x,
        lambda r: r >= n,
        lambda r: raw.GreaterEqual(r, n),
        f"{n} or more",
        data,
        summarize,
        message,
        name,
        "assert_rank_at_least",
    )


def assert_rank_in(
    x: Any,
    ranks: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """An operation that fails unless x has one of these ranks; see `assert_rank`."""
    known = [_static_rank(rank) for rank in ranks]
    return _rank_check(
        x,
        lambda r: r in known,
        lambda r: raw.Any(raw.Equal(r, np.array(known, np.int32)), np.zeros(1, np.int32)),
        " or ".join(map(str, known)),
        data,
        summarize,
        message,
        name,
        "assert_rank_in",
    )


def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Tensor:
    """The tensor, whose static shape must be that of a scalar.

    Raises:
      ValueError: if it is not.
    """
    tensor = convert_to_tensor(tensor, name=name)
    if tensor.shape.rank != 0:
        raise ValueError(f"{message or ''} expected a scalar, {tensor.name} has shape {tensor.shape}".strip())
    return tensor


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor of the same value whose shape is checked, and known, to be `shape`.

    Args:
      x: a tensor.
      shape: a shape, with None where anything goes.
      name: of the operation.

    Raises:
      ValueError: at once, if x's static shape contradicts.
      InvalidArgumentError: in the step, if the shape turns out to be another.
    """
    return raw.EnsureShape(x, shape=TensorShape(shape), name=name)


# ---- dtypes


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> Operation:
    """A no-op, after checking a tensor's dtype.

    Raises:
      TypeError: if it is another.
    """
    with name_scope(name, "assert_type", [tensor]):
        tensor = convert_to_tensor(tensor, name="tensor")
        if tensor.dtype.base_dtype != as_dtype(tf_type).base_dtype:
            expected = as_dtype(tf_type).name
            raise TypeError(
                f"{message or ''} {tensor.name} is {tensor.dtype.name}, expected {expected}".strip()
            )
        return no_op(name="statically_determined_correct_type")


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Operation:
    """A no-op, after checking that a tensor's dtype is an integer one.

    Raises:
      TypeError: if it is not.
    """
    with name_scope(name, "assert_integer", [x]):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.is_integer:
            raise TypeError(f"{message or ''} {x.name} is {x.dtype.name}, expected an integer dtype".strip())
        return no_op(name="statically_determined_was_integer")


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> Any:
    """The floating dtype that all of `tensors` and `dtype` share; float32 if there are neither.

    Raises:
      ValueError: if they differ or are not floating.
    """
    found = [t.dtype.base_dtype for t in tensors or () if t is not None]
    found += [as_dtype(dtype).base_dtype] if dtype is not None else []
    if any(one != found[0] for one in found):
        raise ValueError(f"expected one dtype, got {[one.name for one in found]}")
    result = found[0] if found else as_dtype("float32")
    if not result.is_floating:
        raise ValueError(f"expected a floating dtype, got {result.name}")
    return result


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers (not of bools or strings)."""
    return isinstance(tensor, Tensor) and (
        tensor.dtype.is_floating or tensor.dtype.is_integer or tensor.dtype.is_complex
    )


def assert_proper_iterable(values: Any) -> None:
    """Checks that something is a list, tuple or the like, and not a tensor, array or string.

    Raises:
      TypeError: if it is not.
    """
    if isinstance(values, Tensor | np.ndarray | bytes | str) or not hasattr(values, "__iter__"):
        raise TypeError(f"expected a list or another iterable of values, got a {type(values).__name__}")


# ---- order


def _steps(x: Any, compare: Callable[[Tensor, Any], Tensor], name: str | None, scope: str) -> Tensor:
    with name_scope(name, scope, [x]):
        x = convert_to_tensor(x, name="x")
        if x.dtype.is_complex or not is_numeric_tensor(x):
            raise TypeError(f"{x.name} is {x.dtype.name}, expected a dtype with an order")
        flat = raw.Reshape(x, [-1])
        size = raw.Size(flat)
        begin, count = raw.Minimum(size, 1), raw.Maximum(raw.Sub(size, 1), 0)
        later = raw.Slice(flat, raw.Reshape(begin, [1]), [-1])
        earlier = raw.Slice(flat, [0], raw.Reshape(count, [1]))
        return _all(compare(earlier, later))


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether no element of x, in row-major order, is less than the one before it: a bool scalar."""
    return _steps(x, raw.LessEqual, name, "is_non_decreasing")


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether every element of x, in row-major order, is greater than the one before it: a bool scalar."""
    return _steps(x, raw.Less, name, "is_strictly_increasing")
