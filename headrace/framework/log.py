"""What programs and Headrace tell the user: `tf.logging`, the logger "headrace" of Python's own."""

from __future__ import annotations

import collections
import logging
from typing import Any

__all__ = [
    "DEBUG",
    "ERROR",
    "FATAL",
    "INFO",
    "WARN",
    "TaskLevelStatusMessage",
    "debug",
    "error",
    "fatal",
    "flush",
    "get_verbosity",
    "info",
    "log",
    "log_every_n",
    "log_first_n",
    "log_if",
    "set_verbosity",
    "vlog",
    "warn",
    "warning",
]

DEBUG, INFO, WARN, ERROR, FATAL = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.FATAL

_logger = logging.getLogger("headrace")
_told: collections.Counter[tuple[str, int]] = collections.Counter()  # by where: how often


_handler = logging.StreamHandler()
_handler.setFormatter(logging.Formatter("%(levelname)s:%(name)s:%(message)s"))


def _ready() -> logging.Logger:
    """The logger, which writes to standard error unless the program has arranged something else."""
    if logging.root.handlers:  # perhaps only since `tf.app.run`: nothing is told twice
        _logger.removeHandler(_handler)
    elif not _logger.handlers:
        _logger.addHandler(_handler)
    return _logger


def get_verbosity() -> int:
    """The lowest level that is told."""
    return _logger.getEffectiveLevel()


def set_verbosity(v: int | str) -> None:
    """Sets the lowest level that is told: a number, or its name ("INFO")."""
    _ready().setLevel(v)


def log(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells something: `msg % args`."""
    _ready().log(level, msg, *args, **_at_caller(kwargs))


def debug(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells what helps to find mistakes."""
    _ready().debug(msg, *args, **_at_caller(kwargs))


def info(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells how things go."""
    _ready().info(msg, *args, **_at_caller(kwargs))


def warning(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells what may be wrong."""
    _ready().warning(msg, *args, **_at_caller(kwargs))


warn = warning


def error(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells what is wrong."""
    _ready().error(msg, *args, **_at_caller(kwargs))


def fatal(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Tells what cannot go on; the program does."""
    _ready().critical(msg, *args, **_at_caller(kwargs))


def vlog(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """The same as `log`."""
    _ready().log(level, msg, *args, **_at_caller(kwargs))


def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    """Tells something if the condition is true."""
    if condition:
        _ready().log(level, msg, *args, stacklevel=2)


def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Tells something the first time that this line is reached, and every n-th time after that."""
    if (_times() - 1) % n == 0:
        _ready().log(level, msg, *args, stacklevel=2)


def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Tells something the first n times that this line is reached."""
    if _times() <= n:
        _ready().log(level, msg, *args, stacklevel=2)


def flush() -> None:
    """Writes what has been told."""
    for handler in _logger.handlers:
        handler.flush()


def TaskLevelStatusMessage(msg: Any) -> None:
    """Tells how a task goes."""
    _ready().error(msg, stacklevel=2)


def _at_caller(kwargs: dict[str, Any]) -> dict[str, Any]:
    """So that a record says the line of the program."""
    return {"stacklevel": 2} | kwargs


def _times() -> int:
    """How often the caller's caller has been at its line."""
    path, line, _, _ = _logger.findCaller(stacklevel=3)
    _told[path, line] += 1
    return _told[path, line]
