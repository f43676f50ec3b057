"""The table of gradients: for each operation, the function that differentiates it.

The rows stand in `headrace/gradients/<family>.py`; users add their own with `tf.RegisterGradient`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

# Called with an operation and the gradient of each of its outputs, returns the gradient of each input (a
# tensor, IndexedSlices or None), built from operations that can be differentiated again.
GradientFunction = Callable[..., Any]
_F = TypeVar("_F", bound=GradientFunction)

_rows: dict[str, GradientFunction | None] = {}


def _add(op_type: str, row: GradientFunction | None) -> None:
    if not isinstance(op_type, str):
        raise TypeError(f"the name of an operation is a str, not {op_type!r}; write RegisterGradient('MyOp')")
    if op_type in _rows:
        raise KeyError(f"'{op_type}' has a gradient already; an operation is differentiated in one way")
    _rows[op_type] = row


class RegisterGradient:
    """Decorator that makes a function the gradient of all operations of one type.

    The function is called with the operation and one gradient for each of its outputs, and returns the
    gradients of the inputs: a tensor, `IndexedSlices` or None for each, in a list, or bare if there is one
    input. The name may be an invented one, for `Graph.gradient_override_map` to refer to.

        @tf.RegisterGradient("Sub")
        def _sub(op, grad):
            return grad, -grad

    Args:
      op_type: the name of the operation, such as "MatMul".

    Raises:
      TypeError: if `op_type` is not a string.
      KeyError: if it has a gradient already.
    """

    def __init__(self, op_type: str):
        if not isinstance(op_type, str):
            raise TypeError(
                f"the name of an operation is a str, not {op_type!r}; write RegisterGradient('MyOp')"
            )
        self._op_type = op_type

    def __call__(self, function: _F) -> _F:
        """Registers `function` and returns it."""
        _add(self._op_type, function)
        return function


def NotDifferentiable(op_type: str) -> None:
    """Declares that no gradient flows through operations of this type: their inputs get None.

    For what is not differentiable by nature (integer-valued, or piecewise constant). An operation whose
    gradient is merely missing should not be declared so: `tf.gradients` then says so.

    Args:
      op_type: the name of the operation.

    Raises:
      TypeError: if `op_type` is not a string.
      KeyError: if it has a gradient already.
    """
    _add(op_type, None)


NoGradient = NotDifferentiable


def has_row(op_type: str) -> bool:
    """Whether somebody said how `op_type` is differentiated, or that it is not."""
    return op_type in _rows


def lookup(op_type: str) -> GradientFunction | None:
    """The gradient function of `op_type`, None if it is declared not differentiable.

    Raises:
      KeyError: if nobody said anything.
    """
    return _rows[op_type]


def registered() -> list[str]:
    """The names that have a row, sorted."""
    return sorted(_rows)
