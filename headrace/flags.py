"""Flags of a program's command line: `tf.flags`, which is `absl.flags`.

    tf.flags.DEFINE_integer("epochs", 10, "how often to see each example")
    print(tf.flags.FLAGS.epochs)        # python program.py --epochs=20

Two things are added: `FLAGS` reads the command line when it is first asked for a value, if `tf.app.run` has
not done so yet; and flags can be defined with older names of the arguments, too: `flag_name`, `default_value`
and `docstring`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

from absl import flags as _flags
from absl.flags import *

_flags.disclaim_key_flags()  # those that are defined through this module belong to the program's

_NAMES = {"flag_name": "name", "default_value": "default", "docstring": "help"}


def _with_older_names(define: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(define)
    def defined(*args: Any, **kwargs: Any) -> Any:
        return define(*args, **{_NAMES.get(name, name): value for name, value in kwargs.items()})

    return defined


_definers = [name for name in dir(_flags) if name.startswith("DEFINE_")]
globals().update({name: _with_older_names(vars(_flags)[name]) for name in _definers})


class _ReadWhenAsked:
    """`absl.flags.FLAGS`, but the command line is read before the first value is given."""

    def __call__(self, argv: Any, known_only: bool = False) -> list[str]:
        return _flags.FLAGS(argv, known_only)

    def __getattr__(self, name: str) -> Any:
        if not _flags.FLAGS.is_parsed():
            _flags.FLAGS(sys.argv)
        return getattr(_flags.FLAGS, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_flags.FLAGS, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_flags.FLAGS, name)

    def __dir__(self) -> list[str]:
        return dir(_flags.FLAGS)

    def __getitem__(self, name: str) -> Any:
        return _flags.FLAGS[name]

    def __setitem__(self, name: str, flag: Any) -> None:
        _flags.FLAGS[name] = flag

    def __contains__(self, name: str) -> bool:
        return name in _flags.FLAGS

    def __len__(self) -> int:
        return len(_flags.FLAGS)

    def __iter__(self) -> Iterator[str]:
        return iter(_flags.FLAGS)


FLAGS: Any = _ReadWhenAsked()  # type: ignore[no-redef]  # of the star
