"""Runs programs that import TensorFlow, with Headrace in its place."""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import os
import runpy
import sys
import types
from collections.abc import Sequence
from typing import Any

from headrace.compat.modules import tensorflow
from headrace.compat.names import Names

__all__ = ["Finder", "main"]


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds "tensorflow" and the modules inside of it, in this process only.

    Args:
      outermost: what "tensorflow" is.
    """

    def __init__(self, outermost: Names):
        self._outermost = outermost

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The place of a module.

        Raises:
          ModuleNotFoundError: if it is one of TensorFlow's that Headrace does not have.
        """
        if fullname.partition(".")[0] != "tensorflow":
            return None
        self._module(fullname)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def _module(self, fullname: str) -> types.ModuleType:
        module: Any = self._outermost
        for part in fullname.split(".")[1:]:
            try:
                module = getattr(module, part)
            except AttributeError as error:
                raise ModuleNotFoundError(str(error)) from None
        if not isinstance(module, types.ModuleType):
            raise ModuleNotFoundError(f"{fullname} is no module")
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Puts what the table describes in the place of the new module."""
        sys.modules[module.__name__] = self._module(module.__name__)


def main(arguments: Sequence[str]) -> None:
    """Runs a program.

    Args:
      arguments: options, the program's file, and its arguments.
    """
    parser = argparse.ArgumentParser(
        prog="python -m headrace.compat",
        description="Runs a program that imports TensorFlow, with Headrace in its place.",
    )
    parser.add_argument(
        "--before-1.0",
        action="store_true",
        dest="before_1",
        help="names mean what they did before TensorFlow 1.0: tf.concat(axis, values), tf.scalar_summary",
    )
    parser.add_argument("-m", action="store_true", dest="is_module", help="PROGRAM is a module, not a file")
    parser.add_argument("program", metavar="PROGRAM", help="the program's file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, metavar="ARGUMENTS", help="its arguments")
    options = parser.parse_args(arguments)
    if not options.is_module and not os.path.exists(options.program):
        parser.error(f"there is no file {options.program}")

    sys.meta_path.insert(0, Finder(tensorflow(options.before_1)))
    sys.argv = [options.program, *options.arguments]
    if options.is_module:
        sys.path[0] = os.getcwd()
        runpy.run_module(options.program, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(options.program))
        runpy.run_path(options.program, run_name="__main__")
