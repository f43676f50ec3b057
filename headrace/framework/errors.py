"""The exceptions of the errors family.

Every failure of the core is one of these. What a user passed wrongly is an `InvalidArgumentError`, which is a
`ValueError` too; a wrong dtype is an `InvalidDTypeError`, which is a `TypeError` besides.
"""

from __future__ import annotations

from typing import Any

from headrace import _core

OK = 0
CANCELLED = 1
UNKNOWN = 2
INVALID_ARGUMENT = 3
DEADLINE_EXCEEDED = 4
NOT_FOUND = 5
ALREADY_EXISTS = 6
PERMISSION_DENIED = 7
RESOURCE_EXHAUSTED = 8
FAILED_PRECONDITION = 9
ABORTED = 10
OUT_OF_RANGE = 11
UNIMPLEMENTED = 12
INTERNAL = 13
UNAVAILABLE = 14
DATA_LOSS = 15
UNAUTHENTICATED = 16


class OpError(Exception):
    """A failure while a graph is built or run.

    Args:
      node_def: the NodeDef of the node at fault, or None.
      op: its Operation, or None.
      message: what happened.
      error_code: one of the codes of this module.
    """

    _code = UNKNOWN

    def __init__(self, node_def: Any, op: Any, message: str, error_code: int | None = None):
        super().__init__(message)
        self._node_def = node_def
        self._op = op
        self._message = message
        self._error_code = self._code if error_code is None else error_code
        # What the core says of the node, until someone who holds the graph asks for more.
        self.node_name = ""
        self.op_type = ""

    @property
    def message(self) -> str:
        """What happened."""
        return self._message

    @property
    def op(self) -> Any:
        """The Operation that failed, if it is known."""
        return self._op

    @property
    def node_def(self) -> Any:
        """The NodeDef of the operation that failed, if it is known."""
        return self._op.node_def if self._node_def is None and self._op is not None else self._node_def

    @property
    def error_code(self) -> int:
        """The code of this kind of failure."""
        return self._error_code

    def __str__(self) -> str:
        return self._message

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self._message, self._error_code)


def _remade(kind: type[OpError], message: str, code: int) -> OpError:
    error = kind(None, None, message)
    error._error_code = code
    return error


class CancelledError(OpError):
    """The step was cancelled: its session was closed, or it was interrupted."""

    _code = CANCELLED


class UnknownError(OpError):
    """A failure of which no more is known, such as an exception in a Python kernel."""

    _code = UNKNOWN


class InvalidArgumentError(OpError, ValueError):
    """An operation was given what it cannot take."""

    _code = INVALID_ARGUMENT


class InvalidDTypeError(InvalidArgumentError, TypeError):
    """An operation was given a dtype that it does not take."""


class DeadlineExceededError(OpError):
    """The time that the caller allowed has passed."""

    _code = DEADLINE_EXCEEDED


class NotFoundError(OpError):
    """Something that was named does not exist: a file, an operation, a device."""

    _code = NOT_FOUND


class AlreadyExistsError(OpError):
    """What was to be made exists already."""

    _code = ALREADY_EXISTS


class PermissionDeniedError(OpError):
    """The caller may not do this."""

    _code = PERMISSION_DENIED


class ResourceExhaustedError(OpError):
    """Memory, disk or something else ran out."""

    _code = RESOURCE_EXHAUSTED


class FailedPreconditionError(OpError):
    """The state is not one in which this can be done, such as a variable that has no value yet."""

    _code = FAILED_PRECONDITION


class AbortedError(OpError):
    """The operation was ended, by a conflict with another."""

    _code = ABORTED


class OutOfRangeError(OpError):
    """There is no more: the end of an input was reached."""

    _code = OUT_OF_RANGE


class UnimplementedError(OpError):
    """No kernel does this."""

    _code = UNIMPLEMENTED


class InternalError(OpError):
    """A bug in Headrace."""

    _code = INTERNAL


class UnavailableError(OpError):
    """Something is not there right now; trying again may help."""

    _code = UNAVAILABLE


class DataLossError(OpError):
    """Stored data is damaged."""

    _code = DATA_LOSS


class UnauthenticatedError(OpError):
    """The caller did not say who they are."""

    _code = UNAUTHENTICATED


_BY_CODE: dict[int, type[OpError]] = {
    kind._code: kind for kind in OpError.__subclasses__() if kind is not UnknownError
} | {UNKNOWN: UnknownError}


def exception_type_from_error_code(error_code: int) -> type[OpError]:
    """The class of exceptions with this code. KeyError if there is none."""
    return _BY_CODE[error_code]


def error_code_from_exception_type(cls: type[OpError]) -> int:
    """The code of a class of exceptions."""
    return cls._code


def _make(code: int, message: str, node: str, op: str, is_dtype: bool) -> OpError:
    kind = InvalidDTypeError if is_dtype else _BY_CODE.get(code, UnknownError)
    error = kind(None, None, message)
    error.node_name, error.op_type = node, op
    return error


_core.set_error_factory(_make)
