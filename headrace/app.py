"""Programs: `tf.app.run()` reads the command line's flags and calls `main`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from absl import app as _app

from headrace import flags as flags

__all__ = ["flags", "run"]


def run(main: Callable[[list[str]], Any] | None = None, argv: list[str] | None = None) -> None:
    """Reads the flags, calls a function, and ends the program: `absl.app.run`, which leaves unknown flags.

    Args:
      main: called with the program's name and the arguments that are no flags which are defined; the
        program's function `main` if None. What it returns is the exit status.
      argv: the command line; the process's if None.
    """
    _app.run(
        main or sys.modules["__main__"].main,
        argv,
        flags_parser=lambda given: flags.FLAGS(given, known_only=True),
    )
